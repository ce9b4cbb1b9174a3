// One network's decision boundary with the points, the ball and the adversary's path.

import { Pixels, cleared, rem, thick, watch } from "./canvas.js";
import { traceContour } from "./contour.js";
import { trace } from "./marks.js";
import { css, diverging, palette, shades } from "./palette.js";
import { ticks } from "./plot.js";

export class Board {
  #points = null; // a picture of all points, made once
  #pixels = null;
  #small = null;

  constructor(canvas) {
    this.canvas = canvas;
    watch(canvas, () => {
      this.#points = null;
      this.changed?.();
    });
  }

  /** New points, extent or theme. */
  set(told) {
    this.told = told;
    this.#points = null;
  }

  /** The rectangle of the picture within the canvas, in CSS pixels. */
  frame(width, height) {
    const unit = rem();
    const left = 1.9 * unit;
    // a small board has no room for the features' names
    const bottom = (width > 17 * unit ? 2.2 : 1.35) * unit;
    return { left, top: 2, width: width - left - 2, height: height - bottom - 2 };
  }

  /** From pixels of the canvas to the data's plane. */
  plane(px, py) {
    const f = this.frame(this.canvas.clientWidth, this.canvas.clientHeight);
    const [l, r, b, t] = this.told.extent;
    const clip = (value) => Math.max(0, Math.min(1, value));
    return [
      l + (r - l) * clip((px - f.left) / f.width),
      t - (t - b) * clip((py - f.top) / f.height),
    ];
  }

  /** Draw; `network` is the frame's part, `unit` a map to show instead of the boundary. */
  draw(network, { side, small }, { unit, aim, probe }) {
    const room = cleared(this.canvas);
    if (!room || !this.told) return;
    const { context, width, height } = room;
    const f = this.frame(width, height);
    this.#shade(context, f, network, side, small, unit);
    this.#points ??= this.#pointsPicture(f);
    context.drawImage(this.#points, f.left, f.top, f.width, f.height);
    this.#axes(context, f);
    if (aim) this.#aim(context, f, aim, probe);
  }

  #shade(context, f, network, side, small, unit) {
    if (unit) {
      if (this.#small?.side !== small) this.#small = new Pixels(small);
      this.#small.paint(diverging(), unit);
      this.#small.drawTo(context, f.left, f.top, f.width, f.height);
      return;
    }
    if (this.#pixels?.side !== side) this.#pixels = new Pixels(side);
    const k = this.told.classes.length;
    this.#pixels.paintPairs(shades(k), network.grid);
    this.#pixels.drawTo(context, f.left, f.top, f.width, f.height);
    if (k !== 2 || network.diverged) return;
    traceContour(
      context,
      network.grid,
      side,
      (i) => f.left + (f.width * i) / side,
      (i) => f.top + (f.height * i) / side,
    );
    context.strokeStyle = css(palette().ink);
    context.lineWidth = thick(1.8);
    context.lineJoin = context.lineCap = "round";
    context.stroke();
  }

  #pointsPicture(f) {
    const ratio = devicePixelRatio || 1;
    const picture = document.createElement("canvas");
    picture.width = Math.max(1, Math.round(f.width * ratio));
    picture.height = Math.max(1, Math.round(f.height * ratio));
    const context = picture.getContext("2d");
    context.scale(ratio, ratio);
    const { x, y, test } = this.told.points;
    const { classes, page } = palette();
    const radius = Math.max(
      1.7,
      Math.min(thick(4.5), (Math.min(f.width, f.height) / 100) * (x.length > 800 ? 0.75 : 1)),
    );
    const at = this.#mapper({ ...f, left: 0, top: 0 });
    x.forEach((point, i) => {
      trace(context, y[i], ...at(point), test[i] ? radius * 0.95 : radius);
      if (test[i]) {
        // a ring: the test points are not learnt from
        context.fillStyle = css(page, 0.65);
        context.fill();
        context.strokeStyle = css(classes[y[i] % classes.length]);
        context.lineWidth = thick(1.2);
      } else {
        context.fillStyle = css(classes[y[i] % classes.length]);
        context.fill();
        context.strokeStyle = css(page);
        context.lineWidth = thick(0.6);
      }
      context.stroke();
    });
    return picture;
  }

  #mapper(f) {
    const [l, r, b, t] = this.told.extent;
    return ([px, py]) => [
      f.left + (f.width * (px - l)) / (r - l),
      f.top + (f.height * (t - py)) / (t - b),
    ];
  }

  #axes(context, f) {
    const { ink, soft } = palette();
    const [l, r, b, t] = this.told.extent;
    const unit = rem();
    context.strokeStyle = css(ink, 0.75);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(f.left - 0.5, f.top);
    context.lineTo(f.left - 0.5, f.top + f.height + 0.5);
    context.lineTo(f.left + f.width, f.top + f.height + 0.5);
    context.stroke();
    context.fillStyle = css(soft);
    context.font = `${0.7 * unit}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const { value, text } of ticks(l, r, f.width / (3.2 * unit))) {
      context.fillText(
        text,
        f.left + (f.width * (value - l)) / (r - l),
        f.top + f.height + 0.3 * unit,
      );
    }
    if (f.height + 2 * unit < this.canvas.clientHeight) {
      const [across, up] = this.told.settings.data.names ?? ["x1", "x2"];
      context.fillText(across, f.left + f.width / 2, f.top + f.height + 1.25 * unit);
      context.textAlign = "left";
      context.fillText(up, f.left + 0.4 * unit, f.top + 0.3 * unit);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { value, text } of ticks(b, t, f.height / (3.2 * unit))) {
      const y = f.top + (f.height * (t - value)) / (t - b);
      if (y > f.top + 0.4 * unit) context.fillText(text, f.left - 0.35 * unit, y);
    }
  }

  /** The ball of radius ε about the point, and the path that leads furthest astray. */
  #aim(context, f, { x, eps, norm }, probe) {
    const { ink, page } = palette();
    const [l, r, b, t] = this.told.extent;
    const at = this.#mapper(f);
    const [cx, cy] = at(x);
    const rx = (eps * f.width) / (r - l);
    const ry = (eps * f.height) / (t - b);
    context.save();
    context.beginPath();
    context.rect(f.left, f.top, f.width, f.height);
    context.clip();
    context.beginPath();
    if (norm === "l2") context.ellipse(cx, cy, rx, ry, 0, 0, 2 * Math.PI);
    else context.rect(cx - rx, cy - ry, 2 * rx, 2 * ry);
    outlined(context, css(page, 0.8), css(ink), [5, 4]);
    context.beginPath();
    const arm = thick(7);
    context.moveTo(cx - arm, cy);
    context.lineTo(cx + arm, cy);
    context.moveTo(cx, cy - arm);
    context.lineTo(cx, cy + arm);
    outlined(context, css(page, 0.8), css(ink), []);
    if (probe?.path?.length > 1) {
      context.beginPath();
      probe.path.forEach((point) => context.lineTo(...at(point)));
      outlined(context, css(page, 0.9), css(ink), []);
      trace(context, probe.class[1], ...at(probe.path.at(-1)), thick(5));
      context.fillStyle = css(palette().classes[probe.class[1] % 8]);
      context.fill();
      outlined(context, css(page, 0), css(ink), []);
    }
    context.restore();
  }
}

/** A line that stands out on every ground. */
function outlined(context, under, over, dash) {
  context.setLineDash([]);
  context.strokeStyle = under;
  context.lineWidth = thick(4);
  context.stroke();
  context.setLineDash(dash.map(thick));
  context.strokeStyle = over;
  context.lineWidth = thick(1.6);
  context.stroke();
  context.setLineDash([]);
}
