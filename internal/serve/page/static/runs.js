// Runs: the curves of the runs in a directory, while they train.

import { get } from "./api.js";
import { Chart, short } from "./chart.js";
import { byID, count, element, percent, say } from "./element.js";
import { History } from "./history.js";

/* global uPlot */

const most = 8; // runs that are compared, one colour each
const titles = { loss: "Training loss", brier_lm: "BrierLM, held out", accuracy: "Accuracy, held out" };
const kinds = { ae: "autoencoder", lm: "language model", ar: "baseline" };

let list = [];
const chosen = new Map(); // histories by name of the run
let other = "learning_rate"; // what the last chart shows
let charts = new Map();
let here = false, begun = false; // the page is shown; it was shown before
let first = true; // no runs were chosen yet
let polling = false, again = false, timer = 0;

export function begin() {
  begun = true;
  for (const e of document.querySelectorAll("#runs input[name=axis], #runs-smooth, #runs-late")) e.addEventListener("change", draw);
  byID("runs-differences").addEventListener("change", tables);
  addEventListener("visibilitychange", () => shown(here));
}

// shown begins and ends the polling.
export function shown(now) {
  here = now;
  clearTimeout(timer);
  if (here && begun && !document.hidden) poll();
}

// poll reads what is new, again at once if it is called meanwhile, and again in two seconds as long as the page is shown.
async function poll() {
  clearTimeout(timer);
  again = true;
  if (polling) return;
  polling = true;
  while (again) {
    again = false;
    try {
      say(byID("runs-error"), await refresh());
    } catch (e) {
      say(byID("runs-error"), e.message);
    }
  }
  polling = false;
  if (here && !document.hidden) timer = setTimeout(poll, 2000);
}

// refresh reads what is new of the list and of the chosen runs. It returns what is wrong with one of them, or "".
async function refresh() {
  const { directory, runs, left_out: left } = await get("runs");
  list = runs;
  byID("runs-directory").textContent = directory + (left ? `, without ${left} older ones` : "");
  if (first && list.length) {
    first = false;
    const kind = list.find((r) => !r.error && r.written)?.kind;
    list.filter((r) => r.kind === kind && r.written).slice(0, 3).forEach((r) => choose(r.name));
  }
  let problem = "", news = false;
  await Promise.all([...chosen.values()].map(async (h) => {
    const run = list.find((r) => r.name === h.name);
    if (!run) { // it was removed
      news = chosen.delete(h.name);
      return;
    }
    try {
      if (await h.read(run)) news = true;
    } catch (e) {
      problem = e.message;
    }
  }));
  show();
  if (news) draw();
  return problem;
}

function choose(name) {
  const used = new Set([...chosen.values()].map((h) => h.colour));
  const free = Array.from({ length: most }, (_, i) => i).find((i) => !used.has(i));
  if (free !== undefined) chosen.set(name, new History(name, free));
}

function toggle(name, on) {
  if (on) choose(name);
  else chosen.delete(name);
  draw();
  poll();
}

function age(written) {
  const s = Math.max(0, (Date.now() - written) / 1000);
  if (s < 60) return Math.round(s) + " s ago";
  if (s < 3600) return Math.round(s / 60) + " min ago";
  if (s < 2 * 86400) return Math.round(s / 3600) + " h ago";
  return Math.round(s / 86400) + " days ago";
}

// arrange makes elements the children of a place, without touching those that are there: the focus would be lost.
function arrange(place, children) {
  if (place.children.length === children.length && children.every((e, i) => place.children[i] === e)) return;
  const focused = document.activeElement;
  place.replaceChildren(...children);
  if (place.contains(focused)) focused.focus({ preventScroll: true });
}

// show shows the list.
function show() {
  const place = byID("runs-list");
  const rows = new Map([...place.children].map((e) => [e.dataset.name, e]));
  const now = list.map((r) => {
    const row = rows.get(r.name) ?? item(r.name);
    const box = row.querySelector("input");
    box.checked = chosen.has(r.name);
    box.disabled = !box.checked && (chosen.size >= most || Boolean(r.error));
    row.querySelector(".swatch").className = "swatch" + (chosen.has(r.name) ? " c" + chosen.get(r.name).colour : "");
    const total = chosen.get(r.name)?.total || r.max_steps;
    const live = r.written && Date.now() - r.written < 120e3 && !(total && r.step >= total);
    row.classList.toggle("live", Boolean(live));
    const facts = r.error || [kinds[r.kind], r.head].filter(Boolean).join(", ") + "\n" + [
      `step ${r.step.toLocaleString("en")}` + (total ? ` of ${total.toLocaleString("en")}` : ""),
      r.written ? age(r.written) : "no metrics yet"].join(" · ");
    const damaged = chosen.get(r.name)?.damaged;
    row.querySelector(".hint").textContent = facts + (damaged ? ` · ${count(damaged, "damaged line")} left out` : "");
    return row;
  });
  arrange(place, now.length ? now : [place.querySelector("li.hint") ?? element("li", { class: "hint" }, "There are no runs here yet. A training in this directory appears by itself.")]);
}

function item(name) {
  return element("li", { "data-name": name }, element("label", {},
    element("input", { type: "checkbox", onchange: (e) => toggle(name, e.target.checked) }),
    element("span", { class: "swatch", "aria-hidden": "true" }),
    element("span", { class: "name" }, name), element("span", { class: "hint" })));
}

const axis = () => document.querySelector("#runs input[name=axis]:checked").value;

// draw draws the charts of the chosen runs.
function draw() {
  const histories = [...chosen.values()];
  const keys = [...new Set(histories.flatMap((h) => [...h.keys()]))].sort();
  const wanted = ["loss", "brier_lm", "accuracy"].filter((key) => keys.includes(key));
  const rest = keys.filter((key) => !wanted.includes(key));
  if (rest.length) {
    if (!rest.includes(other)) other = rest.includes("learning_rate") ? "learning_rate" : rest[0];
    wanted.push("");
  }
  for (const [key, chart] of charts) {
    if (!wanted.includes(key)) {
      chart.remove();
      chart.figure.remove();
      charts.delete(key);
    }
  }
  for (const key of wanted) {
    if (!charts.has(key)) charts.set(key, figure(key));
    if (key === "") options(charts.get(key).select, rest);
  }
  arrange(byID("runs-charts"), wanted.map((key) => charts.get(key).figure));
  for (const key of wanted) fill(charts.get(key), key || other, histories);
  byID("runs-charts").classList.toggle("none", wanted.length === 0);
  tables();
}

function options(select, keys) {
  if ([...select.options].map((o) => o.value).join() !== keys.join()) select.replaceChildren(...keys.map((key) => element("option", {}, key)));
  select.value = other;
}

// figure makes the place of a chart. The one of no key has a list to choose the key from.
function figure(key) {
  const plot = element("div", { class: "plot" });
  const reading = element("span", { class: "under" });
  const select = element("select", { "aria-label": "Metric", onchange: () => { other = select.value; draw(); } });
  const root = element("figure", { class: "chart", "data-key": key || "other" }, element("figcaption", {}, key ? titles[key] : select, reading), plot);
  const chart = new Chart(plot, { height: 220, under: (i) => under(chart, reading, i) });
  return Object.assign(chart, { figure: root, select });
}

// fill gives a chart the curves of a metric.
function fill(chart, key, histories) {
  const smooth = byID("runs-smooth").checked;
  const series = [], curves = [];
  chart.lines = [];
  const found = histories.map((h) => ({ h, ...h.curve(key, axis()) }));
  const from = byID("runs-late").checked ? Math.max(...found.map(({ x }) => x.at(-1) ?? 0)) / 10 : 0;
  for (let { h, x, y, points } of found) {
    const left = x.findIndex((at) => at >= from);
    if (left < 0) continue;
    [x, y] = [x.slice(left), y.slice(left)];
    const stroke = "--c" + h.colour;
    if (smooth && points === "step" && key !== "learning_rate" && x.length > 20) {
      series.push({ stroke, faint: true, width: 1 });
      curves.push([x, y]);
      series.push({ stroke });
      curves.push([x, smoothed(y)]);
    } else {
      series.push({ stroke, points: { show: x.length < 60, size: 5 } });
      curves.push([x, y]);
    }
    chart.lines.push({ name: h.name, colour: h.colour, series: series.length });
  }
  chart.options.x = axis();
  const same = chart.axis === axis();
  chart.axis = axis();
  if (!same) chart.series = null;
  chart.set(curves.length ? uPlot.join(curves) : [[]], series);
}

// smoothed returns a moving average over a twentieth of the curve, half as wide at its ends.
function smoothed(y) {
  const sums = [0], counts = [0];
  for (const v of y) {
    sums.push(sums.at(-1) + (v ?? 0));
    counts.push(counts.at(-1) + (v === null ? 0 : 1));
  }
  const wide = Math.max(1, Math.round(y.length / 40));
  return y.map((v, i) => {
    const from = Math.max(0, i - wide), to = Math.min(y.length, i + wide + 1);
    return v === null ? null : (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}

// under says what the curves have under the pointer.
function under(chart, place, i) {
  const data = chart.plot?.data;
  if (i === null || i === undefined || !data) return place.replaceChildren();
  place.replaceChildren(element("span", {}, `${axis().replace(/s$/, "")} ${short(data[0][i])}`), ...(chart.lines ?? []).flatMap((line) => {
    const v = near(data[line.series], i);
    return v === undefined ? [] : [element("span", {}, element("span", { class: "swatch c" + line.colour }), short(v))];
  }));
}

// near returns the value at a place, or the one before it: runs have their values at different places.
function near(values, i) {
  for (let j = i; j >= 0 && values; j--) if (values[j] !== null && values[j] !== undefined) return values[j];
  return undefined;
}

// tables shows the latest metrics and the configurations.
function tables() {
  const histories = [...chosen.values()].filter((h) => h.config); // read at least once
  const columns = [["step", "step"], ["seconds", "minutes"], ["loss", "loss"], ["brier_lm", "BrierLM"], ["accuracy", "accuracy"], ["tokens_per_s", "tokens/s"]]
    .filter(([key]) => key === "step" || histories.some((h) => h.latest.has(key)));
  const number = (h, key) => {
    if (key === "step") return h.step.toLocaleString("en");
    const v = h.latest.get(key);
    if (v === undefined) return "";
    if (v === null) return "not measurable";
    if (key === "seconds") return (v / 60).toFixed(1);
    if (key === "accuracy") return percent(v, 2);
    return key === "tokens_per_s" ? Math.round(v).toLocaleString("en") : v.toFixed(key === "loss" ? 3 : 2);
  };
  const name = (h) => [element("span", { class: "swatch c" + h.colour }), h.name];
  byID("runs-latest").replaceChildren(
    element("thead", {}, element("tr", {}, element("th", {}, "run"), ...columns.map(([, title]) => element("th", { class: "number" }, title)))),
    element("tbody", {}, ...histories.map((h) => element("tr", {}, element("th", { scope: "row" }, ...name(h)),
      ...columns.map(([key]) => element("td", { class: "number" }, number(h, key)))))));
  const only = byID("runs-differences").checked;
  const text = (h, key) => h.config && key in h.config ? JSON.stringify(h.config[key]).replaceAll('"', "") : "–";
  const keys = [...new Set(histories.flatMap((h) => Object.keys(h.config ?? {})))]
    .filter((key) => !only || new Set(histories.map((h) => text(h, key))).size > 1);
  const body = keys.map((key) => element("tr", {}, element("th", { scope: "row" }, key), ...histories.map((h) => element("td", {}, text(h, key)))));
  const none = only ? histories.length < 2 ? "Choose two or more runs to see where they differ." : "The configurations are the same." : "";
  if (!body.length && none) byID("runs-config").replaceChildren(element("tbody", {}, element("tr", {}, element("td", { class: "hint" }, none))));
  else byID("runs-config").replaceChildren(
    element("thead", {}, element("tr", {}, element("th", {}, "key"), ...histories.map((h) => element("th", {}, ...name(h))))), element("tbody", {}, ...body));
}
