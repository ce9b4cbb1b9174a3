// The line on which two classes are equally likely.

/** Trace the 0.5-contour of P(class 1) into the context's path.

    `pairs` is the frame's grid of cells, rows from the top; `x` and `y` map places in cells, 0 to
    `side`, to pixels. */
export function traceContour(context, pairs, side, x, y) {
  const level = smooth(pairs, side);
  const last = side - 1;
  // from the middles of the outermost cells the line goes on to the edge
  const node = (i) => (i < 0 ? 0 : i > last ? last : i);
  const place = (i) => (i < 0 ? 0 : i > last ? side : i + 0.5);
  const between = (i, share) => place(i) + share * (place(i + 1) - place(i));
  context.beginPath();
  for (let row = -1; row < side; row++) {
    for (let column = -1; column < side; column++) {
      const a = level[node(row) * side + node(column)];
      const b = level[node(row) * side + node(column + 1)];
      const c = level[node(row + 1) * side + node(column + 1)];
      const d = level[node(row + 1) * side + node(column)];
      const kind = (a > 0) | ((b > 0) << 1) | ((c > 0) << 2) | ((d > 0) << 3);
      if (kind === 0 || kind === 15) continue;
      const at = (edge) => {
        if (edge === 0) return [between(column, a / (a - b)), place(row)];
        if (edge === 1) return [place(column + 1), between(row, b / (b - c))];
        if (edge === 2) return [between(column, d / (d - c)), place(row + 1)];
        return [place(column), between(row, a / (a - d))];
      };
      for (const [from, to] of SEGMENTS[kind]) {
        const [fx, fy] = at(from);
        const [tx, ty] = at(to);
        context.moveTo(x(fx), y(fy));
        context.lineTo(x(tx), y(ty));
      }
    }
  }
}

// edges are top, right, bottom, left; which of them the line joins, by the corners above zero
const SEGMENTS = [
  [],
  [[3, 0]],
  [[0, 1]],
  [[3, 1]],
  [[1, 2]],
  [
    [3, 0],
    [1, 2],
  ],
  [[0, 2]],
  [[3, 2]],
  [[2, 3]],
  [[0, 2]],
  [
    [0, 1],
    [2, 3],
  ],
  [[1, 2]],
  [[1, 3]],
  [[0, 1]],
  [[3, 0]],
  [],
];

// Logits of the 256 probabilities: between cells they are nearer to straight lines.
const LOGITS = Float32Array.from({ length: 256 }, (_, p) => Math.log((p + 0.5) / (255.5 - p)));

/** Logits of the cells, averaged over neighbours where the field is so flat that bytes show steps. */
function smooth(pairs, side) {
  let low = 255;
  let high = 0;
  for (let i = 1; i < pairs.length; i += 2) {
    if (pairs[i] < low) low = pairs[i];
    if (pairs[i] > high) high = pairs[i];
  }
  const level = Float32Array.from({ length: side * side }, (_, i) => LOGITS[pairs[2 * i + 1]]);
  const reach = Math.min(5, Math.round(150 / Math.max(1, high - low)));
  return reach ? averaged(averaged(level, side, reach, 1), side, reach, side) : level;
}

/** Means over the cells within `reach` along one axis, whose neighbours are `stride` apart. */
function averaged(level, side, reach, stride) {
  const made = new Float32Array(level.length);
  for (let i = 0; i < level.length; i++) {
    const at = stride === 1 ? i % side : Math.floor(i / side);
    // as many on either side, so that a plane stays one at the edges
    const far = Math.min(reach, at, side - 1 - at);
    let sum = 0;
    for (let k = -far; k <= far; k++) sum += level[i + k * stride];
    made[i] = sum / (2 * far + 1);
  }
  return made;
}
