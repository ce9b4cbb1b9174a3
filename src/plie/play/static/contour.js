// The line on which two classes are equally likely.

/** Trace the 0.5-contour of P(class 1) into the context's path.

    `pairs` is the frame's grid, rows from the top; `x` and `y` map columns and rows to pixels. */
export function traceContour(context, pairs, side, x, y) {
  const level = levels();
  const at = (row, column) => level[pairs[2 * (row * side + column) + 1]];
  context.beginPath();
  for (let row = 0; row < side - 1; row++) {
    for (let column = 0; column < side - 1; column++) {
      const a = at(row, column);
      const b = at(row, column + 1);
      const c = at(row + 1, column + 1);
      const d = at(row + 1, column);
      const kind = (a > 0) | ((b > 0) << 1) | ((c > 0) << 2) | ((d > 0) << 3);
      if (kind === 0 || kind === 15) continue;
      const sides = [
        () => [column + a / (a - b), row],
        () => [column + 1, row + b / (b - c)],
        () => [column + d / (d - c), row + 1],
        () => [column, row + a / (a - d)],
      ];
      for (const [from, to] of SEGMENTS[kind]) {
        const [fx, fy] = sides[from]();
        const [tx, ty] = sides[to]();
        context.moveTo(x(fx), y(fy));
        context.lineTo(x(tx), y(ty));
      }
    }
  }
}

// sides are top, right, bottom, left; which of them the line joins, by the corners above zero
const SEGMENTS = [
  [], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]],
  [[2, 3]], [[0, 2]], [[0, 1], [2, 3]], [[1, 2]], [[1, 3]], [[0, 1]], [[3, 0]], [],
];

let logits = null;

/** Logits of the 256 probabilities: between cells they are nearer to straight lines. */
function levels() {
  logits ??= Float32Array.from({ length: 256 }, (_, p) => Math.log((p + 0.5) / (255.5 - p)));
  return logits;
}
