// How one unit is drawn: its heat map and what has become of it; inputs and outputs beside them.

import { Pixels, rem, thick } from "./canvas.js";
import { trace } from "./marks.js";
import { css, diverging, palette } from "./palette.js";

const SIDE = 24; // of an input's picture

/** A unit's map; dead units are faint and crossed out, saturated ones lie between two bars. */
export function drawUnit(context, { x, y, size }, picture, { state = "", chosen = false } = {}) {
  const { ink, page, line } = palette();
  const left = x - size / 2;
  const top = y - size / 2;
  context.fillStyle = css(page);
  context.fillRect(left - 1, top - 1, size + 2, size + 2);
  context.globalAlpha = state === "dead" ? 0.35 : 1;
  picture.drawTo(context, left, top, size, size);
  context.globalAlpha = 1;
  context.strokeStyle = state || chosen ? css(ink) : css(line);
  context.lineWidth = thick(chosen ? 2 : 1);
  context.strokeRect(left - 0.5, top - 0.5, size + 1, size + 1);
  if (state) drawState(context, left, top, size, state);
}

function drawState(context, left, top, size, state) {
  context.beginPath();
  if (state === "dead") {
    context.moveTo(left, top);
    context.lineTo(left + size, top + size);
    context.moveTo(left + size, top);
    context.lineTo(left, top + size);
    context.lineWidth = thick(1.5);
  } else {
    for (const edge of [top - 0.5, top + size + 0.5]) {
      context.moveTo(left - 1.5, edge);
      context.lineTo(left + size + 1.5, edge);
    }
    context.lineWidth = thick(3.5);
  }
  context.stroke();
}

/** An input's name beside its picture. */
export function drawInputName(context, { x, y, size }, name) {
  const right = x - size / 2 - 0.4 * rem();
  caption(context, "right");
  context.fillText(shorten(name), right, y, right - 2);
}

/** A class's marker with its name. */
export function drawOutput(context, { x, y, unit, size }, name) {
  const { classes, page } = palette();
  const radius = Math.min(size, 1.6 * rem()) / 2.6;
  trace(context, unit, x, y, radius + 3);
  context.fillStyle = css(page);
  context.fill();
  trace(context, unit, x, y, radius);
  context.fillStyle = css(classes[unit % classes.length]);
  context.fill();
  caption(context, "left");
  context.fillText(shorten(name), x + radius + 0.5 * rem(), y);
}

/** What an input is over the plane: itself. */
export function inputPicture(feature) {
  const made = new Pixels(SIDE);
  const last = SIDE - 1;
  const values = Int8Array.from({ length: SIDE ** 2 }, (_, i) => {
    const share = feature ? 1 - Math.floor(i / SIDE) / last : (i % SIDE) / last;
    return Math.round(254 * share - 127);
  });
  made.paint(diverging(), values);
  return made;
}

function caption(context, align) {
  context.font = `${0.75 * rem()}px system-ui, sans-serif`;
  context.fillStyle = css(palette().soft);
  context.textBaseline = "middle";
  context.textAlign = align;
}

const shorten = (name) => (name.length > 9 ? `${name.slice(0, 8)}…` : name);
