// The classes' markers, one shape each, so that nobody depends on colours.

const TURN = 2 * Math.PI;

const SHAPES = [
  (c, x, y, r) => c.arc(x, y, r, 0, TURN),
  (c, x, y, r) => polygon(c, x, y, 1.25 * r, 3, -TURN / 4),
  (c, x, y, r) => c.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r),
  (c, x, y, r) => polygon(c, x, y, 1.25 * r, 4, 0),
  (c, x, y, r) => polygon(c, x, y, 1.25 * r, 3, TURN / 4),
  (c, x, y, r) => star(c, x, y, 1.25 * r, 4, 0.42, 0),
  (c, x, y, r) => star(c, x, y, 1.4 * r, 5, 0.45, -TURN / 4),
  (c, x, y, r) => star(c, x, y, 1.35 * r, 4, 0.42, TURN / 8),
];

/** Trace the marker of a class; the caller fills or strokes it. */
export function trace(context, kind, x, y, radius) {
  context.beginPath();
  SHAPES[kind % SHAPES.length](context, x, y, radius);
  context.closePath();
}

function polygon(context, x, y, radius, corners, from) {
  for (let i = 0; i < corners; i++) {
    const angle = from + (TURN * i) / corners;
    context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
}

function star(context, x, y, radius, tips, inner, from) {
  for (let i = 0; i < 2 * tips; i++) {
    const angle = from + (TURN * i) / (2 * tips);
    const reach = i % 2 ? inner * radius : radius;
    context.lineTo(x + reach * Math.cos(angle), y + reach * Math.sin(angle));
  }
}

/** A small canvas that shows a marker, for legends; redrawn by `paintMark`. */
export function markCanvas() {
  const canvas = document.createElement("canvas");
  canvas.className = "mark";
  canvas.width = canvas.height = 40;
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

export function paintMark(canvas, kind, colour, ring = false) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, 40, 40);
  trace(context, kind, 20, 20, ring ? 11 : 13);
  context.lineWidth = 4;
  if (ring) {
    context.strokeStyle = colour;
    context.stroke();
  } else {
    context.fillStyle = colour;
    context.fill();
  }
}
