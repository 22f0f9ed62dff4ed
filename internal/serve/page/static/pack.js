// Pack and unpack: a text through the autoencoder, with noise on its vectors.

import { get } from "./api.js";
import { Chart, colour } from "./chart.js";
import { byID, count, element, percent, roam, say, visible } from "./element.js";
import { bars, scale, strip } from "./latents.js";
import { offer } from "./models.js";

let model = null;
let packed = null; // the answer for the text that is shown
let cells = []; // of its patches
let chosen = 0; // the patch whose vector is shown in full
let known = new Map(); // answers for this text by sigma in hundredths
let curve = null;
let generation = 0; // counts texts: answers for an earlier text are dropped
let asking = false;

const wished = () => Math.round(100 * Number(byID("pack-sigma").value));

export function begin({ models, limits }) {
  byID("pack-text").maxLength = limits.text;
  curve = new Chart(byID("pack-curve"), {
    y: (v) => percent(v), height: innerWidth < 560 ? 110 : 150, draw: mark, scales: { x: { range: () => [0, 1] }, y: { range: (_, low) => [Math.max(0, Math.floor(10 * Math.min(low ?? 0.9, 0.9)) / 10), 1] } },
  });
  scale(byID("pack-scale"));
  const none = offer(byID("pack-model"), byID("pack-about"), models, (m) => m.packs, (m) => { model = m; repack(); });
  if (!model) return say(byID("pack-error"), none || "No model with an autoencoder is served.");
  let pause = 0;
  for (const id of ["pack-text", "pack-seed"]) {
    byID(id).addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(repack, 250); });
  }
  byID("pack-form").addEventListener("submit", (e) => e.preventDefault());
  byID("pack-sigma").addEventListener("input", noise);
  roam(byID("pack-patches"), ".cell", (e) => { chosen = Number(e.dataset.i); detail(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { scale(byID("pack-scale")); noise(); });
  addEventListener("resize", detail);
}

export function shown(here) {
  if (here && packed) detail();
}

const request = () => ({ model: model.name, text: byID("pack-text").value, seed: Number(byID("pack-seed").value) });

// repack packs the text anew.
async function repack() {
  if (!byID("pack-form").checkValidity()) return;
  const mine = ++generation;
  const body = request();
  if (body.text === "") return clear("There is no text.");
  let answer;
  try {
    answer = await get("pack", { body });
  } catch (e) {
    if (mine === generation) clear(e.message);
    return;
  }
  if (mine !== generation) return;
  say(byID("pack-error"), "");
  packed = { ...answer, body };
  known = new Map();
  chosen = Math.min(chosen, packed.latents.length - 1);
  cells = packed.latents.map((_, i) => cell(i));
  const longest = Math.max(...cells.map((c) => c.root.firstChild.textContent.length));
  byID("pack-patches").style.setProperty("--letters", Math.max(9, Math.min(24, longest)));
  byID("pack-patches").replaceChildren(...cells.map((c) => c.root));
  noise();
}

function clear(sentence) {
  packed = null;
  cells = [];
  known = new Map();
  byID("pack-patches").replaceChildren();
  byID("pack-accuracy").textContent = "–";
  byID("pack-wrong").textContent = "";
  say(byID("pack-error"), sentence);
}

const tokensOf = (list, i) => list.slice(i * packed.patch_size, (i + 1) * packed.patch_size);

function cell(i) {
  const source = tokensOf(packed.tokens, i);
  const canvas = element("canvas", { "aria-hidden": "true" });
  const back = element("span", { class: "dst" });
  const root = element("div", { class: "cell", role: "listitem", "data-i": i, tabindex: i ? -1 : 0 },
    element("span", { class: "src" }, ...source.map((t) => element("span", {}, visible(t.name)))), canvas, back);
  return { root, canvas, back };
}

const noisy = (i, sigma) => packed.latents[i].map((x, j) => x + sigma * packed.noise[i][j]);

// noise shows the vectors at the slider's place at once, and what comes back from them when the server has said it.
function noise() {
  const at = wished();
  byID("pack-sigma-value").textContent = (at / 100).toFixed(2);
  if (!packed) return;
  cells.forEach((c, i) => strip(c.canvas, noisy(i, at / 100)));
  detail();
  if (known.has(at)) back(at);
  ask();
}

// ask asks for what the slider wants, and then for what the curve lacks, one sigma at a time.
async function ask() {
  if (asking || !packed) return;
  asking = true;
  try {
    for (;;) {
      const at = next();
      if (at === undefined) return;
      const mine = packed;
      const answer = await get("unpack", { body: { ...mine.body, sigma: at / 100 } });
      if (mine !== packed) continue;
      known.set(at, answer);
      if (at === wished()) back(at);
      draw();
    }
  } catch (e) {
    say(byID("pack-error"), e.message);
  } finally {
    asking = false;
  }
}

// next returns the sigma to ask for: the slider's, or one of the curve's, in steps of .05.
function next() {
  if (!packed) return undefined;
  if (!known.has(wished())) return wished();
  for (let at = 0; at <= 100; at += 5) if (!known.has(at)) return at;
  return undefined;
}

// back shows the text that came back.
function back(at) {
  const { tokens, right } = known.get(at);
  const of = packed.tokens.length;
  byID("pack-accuracy").textContent = percent(right / of, right === of ? 0 : 1);
  byID("pack-wrong").textContent = right === of ? `all ${count(of, "token")} right` : `${(of - right).toLocaleString("en")} of ${count(of, "token")} wrong`;
  cells.forEach((c, i) => {
    const source = tokensOf(packed.tokens, i);
    let wrong = 0;
    c.back.replaceChildren(...tokensOf(tokens, i).map((t, j) => {
      const differs = t.id !== source[j].id;
      if (differs) wrong++;
      return element("span", differs ? { class: "wrong" } : {}, visible(t.name));
    }));
    c.root.classList.toggle("failed", wrong > 0);
    c.root.setAttribute("aria-label", `patch ${i + 1}: ${source.map((t) => t.name).join("")}` + (wrong ? `, ${count(wrong, "token")} wrong` : ""));
  });
  detail();
  draw();
}

function draw() {
  const points = [...known.keys()].sort((a, b) => a - b);
  curve.set([points.map((at) => at / 100), points.map((at) => known.get(at).right / packed.tokens.length)],
    [{ stroke: "--accent", width: 2, points: { show: true, size: 4 } }]);
}

// mark draws the slider's place on the curve.
function mark(plot) {
  const context = plot.ctx;
  const x = Math.round(plot.valToPos(wished() / 100, "x", true)) + 0.5;
  context.save();
  context.strokeStyle = colour("--warm");
  context.lineWidth = devicePixelRatio;
  context.beginPath();
  context.moveTo(x, plot.bbox.top);
  context.lineTo(x, plot.bbox.top + plot.bbox.height);
  context.stroke();
  const answer = known.get(wished());
  if (answer) {
    context.fillStyle = colour("--warm");
    context.beginPath();
    context.arc(x, plot.valToPos(answer.right / packed.tokens.length, "y", true), 4.5 * devicePixelRatio, 0, 7);
    context.fill();
  }
  context.restore();
}

// detail shows the vector of the chosen patch in full.
function detail() {
  if (!packed || byID("pack").hidden) return;
  const sigma = wished() / 100;
  bars(byID("pack-detail-bars"), noisy(chosen, sigma), packed.latents[chosen]);
  byID("pack-detail-title").textContent = `Vector of patch ${chosen + 1}: ${visible(tokensOf(packed.tokens, chosen).map((t) => t.name).join(""))}`;
  byID("pack-detail-about").textContent = `${packed.latents[chosen].length} numbers from −4 to 4` + (sigma ? "; the marks are without noise" : "");
}
