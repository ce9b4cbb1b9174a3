// A small chart: axes with few ticks, lines, and bars behind them.

import { cleared, rem, thick, watch } from "./canvas.js";
import { css, palette } from "./palette.js";
import { trace } from "./marks.js";

export class Chart {
  constructor(canvas, changed) {
    this.canvas = canvas;
    watch(canvas, changed);
  }

  /** Draw series `{x, y, colour, dash?, width?, mark?, end?}`; null in y is a gap.

      x and y are `[low, high]`; `log` makes y logarithmic (in powers of ten); `bars` are
      `{low, high, counts}` behind the lines; `percent` labels y as such. */
  draw({ x, y, series, log = false, bars = null, percent = false, xlabel = "", zero = false }) {
    const room = cleared(this.canvas);
    if (!room) return;
    const { context, width, height } = room;
    const unit = rem();
    const right = series.some((line) => line.end) ? 2.1 * unit : 1.1 * unit;
    const f = {
      left: 2.6 * unit,
      top: 0.4 * unit,
      width: width - 2.6 * unit - right,
      height: height - 0.4 * unit - (xlabel ? 2.1 : 1.35) * unit,
    };
    const toX = (value) => f.left + (f.width * (value - x[0])) / (x[1] - x[0] || 1);
    const place = log ? Math.log10 : (value) => value;
    const toY = (value) => f.top + f.height * (1 - (place(value) - y[0]) / (y[1] - y[0] || 1));
    this.#grid(context, f, unit, { x, y, toX, toY, log, percent, xlabel, zero });
    context.save();
    context.beginPath();
    context.rect(f.left, f.top - 1, f.width + 1, f.height + 2);
    context.clip();
    if (bars) drawBars(context, f, bars, toX);
    for (const line of series) drawLine(context, line, toX, toY, log);
    context.restore();
    drawEnds(context, f, series, toY, unit);
  }

  #grid(context, f, unit, { x, y, toX, toY, log, percent, xlabel, zero }) {
    const { ink, soft, line } = palette();
    context.font = `${0.7 * unit}px system-ui, sans-serif`;
    context.lineWidth = 1;
    context.fillStyle = css(soft);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { value, text } of log
      ? powers(...y)
      : ticks(...y, f.height / (1.9 * unit), percent)) {
      const at = Math.round(toY(value)) + 0.5;
      context.strokeStyle = css(line);
      segment(context, f.left, at, f.left + f.width, at);
      context.fillText(text, f.left - 0.4 * unit, at);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const { value, text } of ticks(...x, f.width / (3.6 * unit))) {
      context.fillText(text, toX(value), f.top + f.height + 0.3 * unit);
    }
    if (xlabel) context.fillText(xlabel, f.left + f.width / 2, f.top + f.height + 1.2 * unit);
    context.strokeStyle = css(ink, 0.75);
    segment(context, f.left, f.top + f.height + 0.5, f.left + f.width, f.top + f.height + 0.5);
    if (zero && x[0] < 0 && x[1] > 0) {
      context.strokeStyle = css(soft, 0.6);
      const at = Math.round(toX(0)) + 0.5;
      segment(context, at, f.top, at, f.top + f.height);
    }
  }
}

function drawBars(context, f, { low, high, counts, colour }, toX) {
  const most = Math.max(...counts, 1);
  const step = (high - low) / counts.length;
  context.fillStyle = colour;
  counts.forEach((count, i) => {
    if (!count) return;
    const left = toX(low + i * step);
    const tall = (0.62 * f.height * count) / most;
    context.fillRect(
      left + 0.5,
      f.top + f.height - tall,
      Math.max(1, toX(low + (i + 1) * step) - left - 0.5),
      tall,
    );
  });
}

function drawLine(context, { x, y, colour, dash = [], width = 1.8, mark }, toX, toY, log) {
  context.beginPath();
  let on = false;
  for (let i = 0; i < y.length; i++) {
    const value = y[i];
    if (value === null || !Number.isFinite(value) || (log && value <= 0)) {
      on = false;
      continue;
    }
    if (on) context.lineTo(toX(x[i]), toY(value));
    else context.moveTo(toX(x[i]), toY(value));
    on = true;
  }
  context.setLineDash(dash.map(thick));
  context.strokeStyle = colour;
  context.lineWidth = thick(width);
  context.lineJoin = "round";
  context.stroke();
  context.setLineDash([]);
  if (mark === undefined) return;
  // few markers: shapes tell the lines apart for whom colours do not
  context.fillStyle = colour;
  for (const share of [0.14, 0.42, 0.7, 0.97]) {
    const i = Math.round(share * (y.length - 1));
    if (y[i] === null || y[i] === undefined) continue;
    trace(context, mark, toX(x[i]), toY(y[i]), thick(3.6));
    context.fill();
  }
}

/** Names at the lines' right ends, moved apart where they would meet. */
function drawEnds(context, f, series, toY, unit) {
  const ends = series
    .filter((line) => line.end)
    .map((line) => ({ line, y: toY(line.y.findLast((value) => value > 0) ?? NaN) }))
    .filter(({ y }) => Number.isFinite(y))
    .sort((a, b) => a.y - b.y);
  const gap = 0.82 * unit;
  ends.forEach((end, i) => {
    if (i) end.y = Math.max(end.y, ends[i - 1].y + gap);
  });
  const over = (ends.at(-1)?.y ?? 0) - (f.top + f.height);
  context.font = `${0.7 * unit}px system-ui, sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const { line, y } of ends) {
    context.fillStyle = line.colour;
    context.fillText(line.end, f.left + f.width + 0.35 * unit, y - Math.max(0, over));
  }
}

function segment(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

/** About `count` round numbers between low and high with their texts. */
export function ticks(low, high, count, percent = false) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const rough = span / Math.max(1.5, Math.min(count, 8));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * span; i++) {
    found.push({ value: i * step, text: label(i * step, step, percent) });
  }
  return found;
}

function label(value, step, percent) {
  if (percent) return `${Math.round(100 * value)} %`;
  if (Math.abs(value) >= 10000) return `${+(value / 1000).toPrecision(6)}k`.replace("-", "−");
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = value.toFixed(Math.min(places, 6));
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** Powers of ten between two exponents, every so many that they keep apart. */
function powers(low, high) {
  const every = Math.max(1, Math.ceil((high - low) / 5));
  const found = [];
  for (let p = Math.ceil(low); p <= high; p += every)
    found.push({ value: 10 ** p, text: `10${superscript(p)}` });
  return found;
}

const superscript = (number) =>
  String(number).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"[sign === "-" ? 0 : 1 + Number(sign)]);
