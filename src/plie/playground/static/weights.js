// Weights as curves, the heavier the larger; few strokes, since a layer may have a thousand.

import { thick } from "./canvas.js";
import { css, palette } from "./palette.js";

const STEPS = 5; // widths and opacities that are told apart
const LEAST = 7; // of 127: smaller weights are not seen

/** Draw a layer's weights from one column of units to the next.

    `weights` are out × in signed bytes of `inputs` columns; only units in the columns are drawn.
    `hovered` is the unit whose weights stand out. */
export function strokeWeights(context, from, to, weights, inputs, hovered) {
  const { classes } = palette();
  const paths = new Map();
  for (const target of to) {
    for (const source of from) {
      const weight = weights[target.unit * inputs + source.unit];
      if (Math.abs(weight) < LEAST) continue;
      const faint = hovered && !touches(hovered, source) && !touches(hovered, target);
      const size = faint ? 0 : Math.ceil((Math.abs(weight) / 127) * STEPS);
      const key = weight < 0 ? -size - 1 : size + 1;
      if (!paths.has(key)) paths.set(key, new Path2D());
      curve(paths.get(key), source, target);
    }
  }
  const crowd = Math.min(1, 90 / (from.length * to.length));
  for (const key of [...paths.keys()].sort((a, b) => Math.abs(a) - Math.abs(b))) {
    const share = (Math.abs(key) - 1) / STEPS;
    context.strokeStyle = css(classes[key < 0 ? 0 : 1], 0.1 + share * (0.35 + 0.45 * crowd));
    context.lineWidth = thick(0.5 + share * (1.6 + 2 * crowd));
    context.stroke(paths.get(key));
  }
}

const touches = (a, b) => a.layer === b.layer && a.unit === b.unit;

function curve(path, source, target) {
  const x1 = source.x + source.size / 2;
  const x2 = target.x - target.size / 2;
  const bend = (x2 - x1) * 0.45;
  path.moveTo(x1, source.y);
  path.bezierCurveTo(x1 + bend, source.y, x2 - bend, target.y, x2, target.y);
}
