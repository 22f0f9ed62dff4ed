// Charts, drawn by uPlot in the page's colours.

/* global uPlot */

// colour returns a colour of the page.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const dark = matchMedia("(prefers-color-scheme: dark)");
const all = new Set();

// short writes a number for an axis.
export function short(v) {
  if (v === null || v === undefined) return "";
  const size = Math.abs(v);
  if (size >= 1e9) return +(v / 1e9).toPrecision(3) + "G";
  if (size >= 1e6) return +(v / 1e6).toPrecision(3) + "M";
  if (size > 0 && size < 1e-3) return v.toExponential().replace(/(\.\d)\d*e/, "$1e").replace("-", "−");
  if (size >= 1e4) return +(v / 1e3).toPrecision(3) + "k";
  return String(+v.toPrecision(4));
}

// Chart is a chart that fits its place, follows the page's colours, and says what stands under the pointer.
export class Chart {
  constructor(place, options) {
    this.place = place;
    this.options = options; // x: the axis' name, y: writes its values; height, scales; draw(plot); under(index of the pointer)
    this.data = null;
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(place);
    all.add(this);
  }

  // set shows data, [x, y, y, ..]; with other series if they are given.
  set(data, series) {
    const other = series && JSON.stringify(series) !== JSON.stringify(this.series);
    if (series) this.series = series;
    this.data = data;
    if (!this.plot || other) this.draw();
    else this.plot.setData(data);
  }

  draw() {
    this.plot?.destroy();
    this.plot = null;
    if (!this.data || this.place.clientWidth === 0) return;
    const axis = (more) => ({
      stroke: colour("--muted"), font: "11px " + colour("--text"), labelFont: "11px " + colour("--text"), labelSize: 16, labelGap: 0,
      grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...more,
    });
    const o = this.options;
    this.plot = new uPlot({
      width: this.place.clientWidth, height: o.height, legend: { show: false }, padding: [8, 18, 0, 0],
      scales: { x: { time: false, ...o.scales?.x }, y: { ...o.scales?.y } },
      axes: [axis({ label: o.x, size: 26, space: 64, values: (_, list) => list.map(short) }),
        axis({ size: 48, space: 32, values: (_, list) => list.map(o.y ?? short) })],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      series: [{}, ...this.series.map((s) => ({ width: 1.5, points: { show: false }, spanGaps: true, ...s, stroke: colour(s.stroke) + (s.faint ? "44" : "") }))],
      hooks: { setCursor: [(plot) => o.under?.(plot.cursor.idx)], draw: o.draw ? [(plot) => o.draw(plot)] : [] },
    }, this.data, this.place);
  }

  resize() {
    const width = this.place.clientWidth;
    if (!width) return;
    if (!this.plot) this.draw();
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.options.height });
  }

  remove() {
    this.watch.disconnect();
    this.plot?.destroy();
    all.delete(this);
  }
}

dark.addEventListener("change", () => all.forEach((chart) => chart.draw()));
