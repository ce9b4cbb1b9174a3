// The house's colours, read from the style sheet so that pictures follow the theme.

export const CLASSES = 8;
const SURE = 0.55; // opacity of a certain class, as in the study's figures

let colours = null;
const watchers = [];

/** The theme's colours: ink, soft, page, line, accent, classes[8], nets[4]. */
export function palette() {
  colours ??= read();
  return colours;
}

/** Call `watcher` whenever the theme changes. */
export function onTheme(watcher) {
  watchers.push(watcher);
}

/** Forget the colours: the theme has changed. */
export function repaint() {
  colours = null;
  for (const watcher of watchers) watcher();
}

/** 256 × RGB of page towards a class's colour, for its probability of 0 … 255 among k classes. */
export function shades(k) {
  const { page, classes, tables } = palette();
  return (tables[k] ??= Array.from({ length: k }, (_, c) => {
    const table = new Uint8Array(256 * 3);
    for (let p = 0; p < 256; p++) {
      const sure = Math.max(0, (p / 255 - 1 / k) / (1 - 1 / k));
      mix(table, p, page, classes[c % CLASSES], SURE * sure);
    }
    return table;
  }));
}

/** 255 × RGB for −127 … 127, index 127 + value: class 0's colour below zero, class 1's above. */
export function diverging() {
  const { page, classes, tables } = palette();
  return (tables.diverging ??= (() => {
    const table = new Uint8Array(255 * 3);
    for (let v = -127; v <= 127; v++)
      mix(table, v + 127, page, classes[v < 0 ? 0 : 1], 0.9 * (Math.abs(v) / 127) ** 0.8);
    return table;
  })());
}

export const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

function mix(table, index, from, to, share) {
  for (let i = 0; i < 3; i++)
    table[3 * index + i] = Math.round(from[i] + (to[i] - from[i]) * share);
}

function read() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => rgb(style.getPropertyValue(`--${name}`).trim());
  return {
    ink: of("ink"),
    soft: of("soft"),
    page: of("page"),
    panel: of("panel"),
    line: of("line"),
    edge: of("edge"),
    classes: Array.from({ length: CLASSES }, (_, i) => of(`class${i}`)),
    nets: Array.from({ length: 4 }, (_, i) => of(`net${i}`)),
    tables: {},
  };
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
