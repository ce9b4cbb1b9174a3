// Sharp canvases: as many pixels as the screen has, measured only when the size changes.

const sizes = new WeakMap();
const listeners = new WeakMap();
const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    sizes.set(target, [contentRect.width, contentRect.height]);
    listeners.get(target)?.();
  }
});

/** Watch a canvas's size; `changed` is called when it has another. */
export function watch(canvas, changed) {
  sizes.set(canvas, [canvas.clientWidth, canvas.clientHeight]);
  listeners.set(canvas, changed);
  observer.observe(canvas);
}

export function forget(canvas) {
  observer.unobserve(canvas);
}

/** A cleared context in CSS pixels and its width and height; null while there is no room. */
export function cleared(canvas) {
  const [width, height] = sizes.get(canvas);
  if (width < 2 || height < 2) return null;
  const ratio = devicePixelRatio || 1;
  const w = Math.round(width * ratio);
  const h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** A small picture of pixels that is drawn enlarged. */
export class Pixels {
  constructor(side) {
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = side;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(side, side);
    this.image.data.fill(255);
    this.side = side;
  }

  /** Each pixel a value of −127 … 127, in the colours of `palette.diverging`. */
  paint(table, values) {
    const { data } = this.image;
    for (let i = 0, n = this.side * this.side; i < n; i++) {
      const at = 3 * (values[i] + 127);
      data[4 * i] = table[at];
      data[4 * i + 1] = table[at + 1];
      data[4 * i + 2] = table[at + 2];
    }
    this.context.putImageData(this.image, 0, 0);
  }

  /** Each pixel a pair of bytes, class and probability, in the shades of its class. */
  paintPairs(tables, pairs) {
    const { data } = this.image;
    for (let i = 0, n = this.side * this.side; i < n; i++) {
      const p = pairs[2 * i + 1];
      // of two classes only class 1's probability is told
      const two = tables.length === 2;
      const table = two ? tables[p < 128 ? 0 : 1] : tables[pairs[2 * i]];
      const at = 3 * (two && p < 128 ? 255 - p : p);
      data[4 * i] = table[at];
      data[4 * i + 1] = table[at + 1];
      data[4 * i + 2] = table[at + 2];
    }
    this.context.putImageData(this.image, 0, 0);
  }

  drawTo(context, x, y, width, height) {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "low"; // bilinear, as in the figures, and quick
    context.drawImage(this.canvas, x, y, width, height);
  }
}

let unit = 0;
addEventListener("resize", () => (unit = 0));

/** The size of a rem in CSS pixels: text in canvases grows with that of the page. */
export function rem() {
  unit ||= parseFloat(getComputedStyle(document.documentElement).fontSize);
  return unit;
}

/** A line's width in CSS pixels, given for the usual size of text. */
export const thick = (width) => (width * rem()) / 15;
