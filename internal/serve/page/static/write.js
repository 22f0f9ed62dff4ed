// Write: texts that come patch by patch.

import { call, lines } from "./api.js";
import { byID, count, element, percent, roam, say, visible } from "./element.js";
import { offer } from "./models.js";

const defaults = { prefix: 64, batch: 200, exact: 10000 }; // draws of each sampler
const samplers = {
  prefix: "The temperature is applied token by token, to a pool of draws.",
  batch: "The temperature is applied to whole patches, to a pool of draws.",
  exact: "The temperature is applied to whole patches, without bias. The number of draws is random, and may be large.",
};

let model = null;
let running = new Set(); // what stops the texts that are being written
let nextSeed = 1;

export function begin({ models, limits }) {
  byID("write-prompt").maxLength = limits.prompt;
  byID("write-length").max = limits.tokens;
  byID("write-draws").max = limits.draws;
  const none = offer(byID("write-model"), byID("write-about"), models, (m) => m.writes, (m) => { model = m; settings(); });
  if (!model) say(byID("write-error"), none || "No model that writes is served: an autoencoder alone does not.");
  byID("write-start").disabled = !model;
  byID("write-form").addEventListener("input", settings);
  byID("write-form").addEventListener("submit", (e) => { e.preventDefault(); start(Number(byID("write-seed").value)); });
  byID("write-again").addEventListener("click", () => byID("write-form").reportValidity() && start(nextSeed));
  byID("write-stop").addEventListener("click", stop);
  byID("write-sure").addEventListener("change", sureness);
  addEventListener("keydown", (e) => {
    if (byID("write").hidden) return;
    if (e.key === "Escape") stop();
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !byID("write-start").disabled) byID("write-form").requestSubmit();
  });
  settings();
  sureness();
}

// settings shows what the fields stand for, and which of them have no effect.
function settings() {
  const temperature = Number(byID("write-temperature").value);
  const sampler = byID("write-sampler");
  byID("write-temperature-value").textContent = temperature.toFixed(2);
  const pool = Boolean(model?.draws) && temperature < 1;
  sampler.disabled = byID("write-draws").disabled = !pool;
  for (const option of sampler.options) option.disabled = option.value === "exact" && temperature === 0;
  if (sampler.value === "exact" && temperature === 0) sampler.value = "prefix";
  byID("write-draws").placeholder = pool ? defaults[sampler.value] : 1;
  byID("write-sampler-about").textContent = pool ? samplers[sampler.value]
    : model?.draws ? "At temperature 1 a patch is one draw." : model ? "This model has probabilities, and needs no sampler." : "";
}

// sureness colours the tokens by the share of the pool that agreed, or the patches in turns.
function sureness() {
  const on = byID("write-sure").checked;
  byID("write-texts").classList.toggle("sure", on);
  byID("write-scale").hidden = !on;
  const known = document.querySelector("#write-texts .token.rated");
  const any = document.querySelector("#write-texts .patch");
  byID("write-sure-about").textContent = on && any && !known ? "These texts have no pools to compare: write below temperature 1." : "";
}

function stop() {
  for (const controller of running) controller.abort();
}

// start writes as many texts as are asked for, with successive seeds.
function start(seed) {
  stop();
  const n = Number(byID("write-count").value);
  const temperature = Number(byID("write-temperature").value);
  const pool = !byID("write-sampler").disabled;
  const request = {
    model: model.name, prompt: byID("write-prompt").value, temperature, max_tokens: Number(byID("write-length").value),
    sampler: pool ? byID("write-sampler").value : "", draws: pool ? Number(byID("write-draws").value) : 0,
  };
  byID("write-seed").value = seed;
  nextSeed = seed + n;
  byID("write-empty").hidden = true;
  say(byID("write-error"), "");
  const texts = Array.from({ length: n }, (_, i) => new Text({ ...request, seed: seed + i }));
  together(texts);
  byID("write-texts").replaceChildren(...texts.map((t) => t.card));
  byID("write-texts").classList.toggle("several", n > 1);
  if (texts[0].card.getBoundingClientRect().top > innerHeight - 160) texts[0].card.scrollIntoView({ block: "center" });
  const controller = new AbortController();
  running.add(controller);
  busy();
  Promise.all(texts.map((t) => t.write(controller.signal, () => together(texts)))).then(() => {
    running.delete(controller);
    busy();
    sureness();
  });
}

// together says how fast several texts come, all of them counted.
function together(texts) {
  const tokens = texts.reduce((sum, t) => sum + t.tokens, 0);
  const seconds = Math.max(...texts.map((t) => t.seconds));
  byID("write-together").textContent = texts.length > 1 && seconds > 0 ? `together ${rate(tokens / seconds)} tokens/s` : "";
}

function busy() {
  byID("write-stop").disabled = running.size === 0;
  byID("write-again").disabled = !model;
}

// rate writes a number of tokens a second.
const rate = (v) => v >= 100 ? Math.round(v).toLocaleString("en") : v.toPrecision(2);

// Text is one text, its card, and what was counted of it.
class Text {
  constructor(request) {
    this.request = request;
    this.steps = this.tokens = this.draws = this.seconds = 0;
    this.text = "";
    this.patches = [];
    this.out = element("div", { class: "out", role: "group", "aria-label": "Text" }, element("span", { class: "prompt" }, request.prompt));
    this.state = element("span", { class: "state", role: "status" }, "reading the prompt");
    this.readout = element("div", { class: "readout", "aria-live": "polite" }, element("span", { class: "hint" }, "Point at a patch to see its tokens."));
    this.numbers = {};
    for (const name of ["steps", "tokens", "speed", "drawn"]) this.numbers[name] = element("b", {}, "0");
    this.stepBar = element("span", { class: "bar steps" });
    this.tokenBar = element("span", { class: "bar" });
    const copy = element("button", { type: "button", class: "quiet", onclick: () => this.copy(copy) }, "Copy");
    this.card = element("article", { class: "card", "aria-label": "Text with seed " + request.seed },
      element("header", {}, element("span", { class: "seed" }, "seed " + request.seed), this.state, copy),
      this.out, this.readout,
      element("footer", {},
        element("div", { class: "meter" },
          element("span", {}, this.numbers.steps, " ", this.stepName = element("span", {}, "steps")), element("span", { class: "rail" }, this.stepBar),
          element("span", {}, this.numbers.tokens, " tokens"), element("span", { class: "rail" }, this.tokenBar)),
        element("p", { class: "rates" }, this.numbers.speed, " tokens/s", element("span", { class: "dot" }, "·"), this.numbers.drawn, " draws")));
    roam(this.out, ".patch", (e) => this.read(this.patches[e.dataset.i]));
  }

  // write writes the text, and calls progress after each line.
  async write(signal, progress) {
    const from = performance.now();
    try {
      const response = await call("write", { body: this.request, signal });
      for await (const line of lines(response)) {
        this.seconds = (performance.now() - from) / 1000;
        if (line.patch) this.add(line.patch);
        if (line.end) this.end(line.end.stop, line.end.message);
        if (line.error) throw new Error(line.error);
        progress();
      }
      if (!this.ended) throw new Error("The answer ended early: the server may have stopped.");
    } catch (e) {
      if (e.name === "AbortError") this.end("stopped", "");
      else {
        this.end("error", "");
        this.card.append(element("p", { class: "notice", role: "alert" }, e.message));
      }
    }
  }

  add(patch) {
    const follow = this.out.scrollHeight - this.out.scrollTop - this.out.clientHeight < 40;
    patch.i = this.patches.length;
    this.patches.push(patch);
    this.steps++;
    this.tokens += patch.tokens.length;
    this.draws += patch.draws;
    this.text += patch.text;
    const e = element("span", { class: `patch tint${patch.i % 4}`, "data-i": patch.i, tabindex: patch.i ? -1 : 0 });
    patch.tokens.forEach((token, i) => {
      const t = element("span", { class: "token" }, token.text ?? "");
      const share = patch.shares?.[i];
      if (share !== undefined) {
        t.classList.add("rated");
        t.style.setProperty("--doubt", (100 * (1 - share)).toFixed(0) + "%");
      }
      e.append(t);
    });
    this.out.append(e);
    if (follow) this.out.scrollTop = this.out.scrollHeight;
    this.state.textContent = "writing";
    this.measure();
  }

  measure() {
    const { steps, tokens, speed, drawn } = this.numbers;
    steps.textContent = this.steps.toLocaleString("en");
    this.stepName.textContent = this.steps === 1 ? "step" : "steps";
    tokens.textContent = this.tokens.toLocaleString("en");
    speed.textContent = rate(this.seconds > 0 ? this.tokens / this.seconds : 0);
    drawn.textContent = this.draws.toLocaleString("en");
    const of = this.request.max_tokens;
    this.stepBar.style.width = percent(Math.min(1, this.steps / of), 2).replace(" ", "");
    this.tokenBar.style.width = percent(Math.min(1, this.tokens / of), 2).replace(" ", "");
  }

  end(stop, message) {
    this.ended = true;
    this.state.textContent = stop === "max tokens" ? "length reached" : stop;
    this.state.title = message;
    this.card.dataset.stop = stop;
  }

  // read shows what is known of a patch.
  read(patch) {
    const unit = this.steps === this.tokens && patch.tokens.length === 1 ? "token" : "patch";
    this.readout.replaceChildren(
      element("span", { class: "name" }, element("b", {}, `${unit} ${patch.i + 1}`), element("span", {}, `${count(patch.draws, "draw")} · ${patch.ms.toFixed(patch.ms < 10 ? 1 : 0)} ms`)),
      element("span", { class: "chips" }, ...patch.tokens.map((token, i) => {
        const share = patch.shares?.[i];
        return element("span", { class: "chip", title: "id " + token.id }, element("span", { class: "glyph" }, visible(token.name)),
          element("small", {}, share === undefined ? String(token.id) : percent(share)));
      })));
  }

  async copy(button) {
    const text = this.request.prompt + this.text;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch { // without https the browser may refuse: the text is selected instead
      getSelection().selectAllChildren(this.out);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }
}
