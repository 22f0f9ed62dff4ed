// Latent vectors as pictures.

const reach = 3; // numbers of the vectors are mostly within -3 to 3

// theme returns the colours of the page as red, green and blue.
function theme() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((x) => parseInt(x, 16));
  return { zero: rgb("--zero"), low: rgb("--low"), high: rgb("--high"), ink: rgb("--muted"), line: rgb("--line") };
}

let colours = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours = null; });

function colour(x) {
  colours ??= theme();
  const end = x < 0 ? colours.low : colours.high;
  const part = Math.min(1, Math.abs(x) / reach) ** 0.8;
  return colours.zero.map((c, i) => Math.round(c + part * (end[i] - c)));
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;

// strip draws a vector as a strip of cells in one row, two or four.
export function strip(canvas, vector) {
  const rows = vector.length > 64 ? 4 : vector.length > 16 ? 2 : 1;
  const columns = Math.ceil(vector.length / rows);
  canvas.width = columns;
  canvas.height = rows;
  canvas.style.height = (rows > 1 ? 7 * rows : 10) + "px";
  const image = new ImageData(columns, rows);
  vector.forEach((x, i) => image.data.set([...colour(x), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// scale draws the colours from -3 to 3.
export function scale(canvas) {
  const context = canvas.getContext("2d");
  for (let i = 0; i < canvas.width; i++) {
    context.fillStyle = css(colour(reach * (2 * i / (canvas.width - 1) - 1)));
    context.fillRect(i, 0, 1, canvas.height);
  }
}

// bars draws a vector as bars from zero, and the vector without noise as marks.
export function bars(canvas, vector, clean) {
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  colours ??= theme();
  const middle = height / 2;
  const step = width / vector.length;
  const y = (x) => middle - Math.max(-1, Math.min(1, x / (reach + 1))) * (middle - 2);
  context.fillStyle = css(colours.line);
  context.fillRect(0, Math.round(middle), width, 1);
  vector.forEach((x, i) => {
    const gap = step > 4 ? 1 : 0;
    context.fillStyle = css(colour(x < 0 ? Math.min(x, -1.2) : Math.max(x, 1.2)));
    context.fillRect(i * step, Math.min(middle, y(x)), step - gap, Math.abs(y(x) - middle));
    context.fillStyle = css(colours.ink);
    context.fillRect(i * step, y(clean[i]) - 0.75, step - gap, 1.5);
  });
}
