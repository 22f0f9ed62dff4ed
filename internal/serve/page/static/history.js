// The metrics of a run, read piece by piece while it trains.

import { get } from "./api.js";

// History is what is known of a run.
export class History {
  constructor(name, colour) {
    this.name = name;
    this.colour = colour; // its number among those of the chosen runs
    this.config = null;
    this.reset();
  }

  reset() {
    this.after = "";
    this.step = 0;
    this.total = 0; // steps in all, where a run under a time limit has decided
    this.damaged = 0;
    this.lines = []; // {kind, step, seconds, values}
    this.latest = new Map(); // newest value by key
    this.kindOf = new Map(); // the kind of lines that a key's curve is taken from
  }

  // read reads what is new, and reports whether there was something.
  async read(summary) {
    if (summary) this.tokensPerStep = summary.tokens_per_step;
    let news = false;
    if (!this.config) {
      try {
        ({ config: this.config } = await get("runs/config?" + new URLSearchParams({ run: this.name })));
      } catch {
        this.config = {}; // the list says what is wrong with it
      }
      news = true;
    }
    for (let more = true; more;) {
      const part = await get("runs/metrics?" + new URLSearchParams({ run: this.name, after: this.after }));
      if (part.restarted) this.reset();
      part.lines.forEach((line) => this.add(line));
      this.damaged += part.damaged;
      this.after = part.next;
      news ||= part.lines.length > 0 || part.restarted;
      more = part.more;
    }
    return news;
  }

  add({ kind, step, values }) {
    const seconds = values.seconds ?? this.latest.get("seconds") ?? 0; // measurements have no time of their own
    this.step = Math.max(this.step, step);
    if (values.decided_steps) this.total = values.decided_steps;
    if (kind !== "step" && kind !== "measured") return;
    this.lines.push({ kind, step, seconds, values });
    for (const [key, v] of Object.entries(values)) {
      this.latest.set(key, v);
      if (kind === "measured" || !this.kindOf.has(key)) this.kindOf.set(key, kind);
    }
  }

  // keys lists the metrics that have a curve.
  keys() {
    return [...this.kindOf.keys()].filter((key) => key !== "seconds");
  }

  // curve returns a metric over steps, tokens or minutes. A metric that is also measured on held-out text is taken from there.
  curve(key, axis) {
    const points = this.kindOf.get(key);
    const x = [], y = [];
    for (const line of this.lines) {
      if (line.kind !== points || !(key in line.values)) continue;
      const at = axis === "tokens" ? line.step * this.tokensPerStep : axis === "minutes" ? line.seconds / 60 : line.step;
      if (x.length && at <= x.at(-1)) { // a clock of hundredths may stand still
        y[y.length - 1] = line.values[key];
        continue;
      }
      x.push(at);
      y.push(line.values[key]);
    }
    return { x, y, points };
  }
}
