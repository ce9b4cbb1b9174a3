// Loss, accuracy and gradient norms over the updates, and the selected layer's activation.

import { byId, element, text, throttled } from "./dom.js";
import { markCanvas, paintMark } from "./marks.js";
import { networkName } from "./networks.js";
import { css, onTheme, palette } from "./palette.js";
import { Chart } from "./plot.js";
import { describe } from "./words.js";

const DASH = [5, 4];
const OFTEN = 90; // ms: curves that grow need not be drawn with every frame
const SLOW = 3000; // ms between two texts for who cannot see the curves

export function mountCharts(app) {
  const again = () => app.redraw();
  const charts = Object.fromEntries(
    ["loss", "accuracy", "gradient", "function"].map((name) => [
      name,
      new Chart(byId(`${name}-chart`), again),
    ]),
  );
  app.on("settings view", () => keys(app));
  onTheme(() => app.told && keys(app));
  const words = throttled(SLOW, () => describe(app));
  let last = 0;
  app.on("draw", (frame) => {
    const now = performance.now();
    if (app.playing && now - last < OFTEN) return;
    last = now;
    drawCurves(app, charts.loss, "loss");
    drawCurves(app, charts.accuracy, "accuracy");
    drawGradients(app, charts.gradient);
    drawFunction(app, charts.function, frame);
    words();
  });
}

/** Train solid, test dashed; one colour and marker for each network. */
function drawCurves(app, chart, key) {
  const { step, networks } = app.history;
  const several = networks.length > 1;
  const series = networks.flatMap((network, i) => {
    const colour = css(palette().nets[i]);
    const behind = several && i !== app.view.network;
    const width = behind ? 1.4 : 2;
    const [train, test] = network[key];
    return [
      { x: step, y: train, colour, width: several ? width * 0.7 : width },
      { x: step, y: test, colour, width, dash: DASH, mark: several ? i : undefined },
    ];
  });
  const y = key === "loss" ? lossRange(series) : shareRange(series);
  chart.draw({ x: stepRange(step), y, series, percent: key === "accuracy", xlabel: "updates" });
}

function drawGradients(app, chart) {
  const { step, networks } = app.history;
  const { ink, edge } = palette();
  const columns = networks[app.view.network]?.gradient ?? [];
  const series = columns.map((y, layer) => {
    const share = columns.length > 1 ? layer / (columns.length - 1) : 1;
    const colour = css(ink.map((value, i) => Math.round(edge[i] + (value - edge[i]) * share)));
    return {
      x: step,
      y,
      colour,
      width: 1.2,
      end: layer === columns.length - 1 ? "out" : `${layer + 1}`,
    };
  });
  const positive = series.flatMap(({ y }) =>
    y.filter((value) => value > 0 && Number.isFinite(value)),
  );
  const low = Math.max(-12, Math.floor(Math.log10(least(positive, 1e-2))));
  const high = Math.ceil(Math.log10(most(positive, 1)));
  chart.draw({
    x: stepRange(step),
    y: [low, Math.max(high, low + 1)],
    series,
    log: true,
    xlabel: "updates",
  });
}

function drawFunction(app, chart, frame) {
  const { network, layer } = app.view;
  const curve = app.selectedCurve();
  if (!curve) return;
  const { ink, soft, classes } = palette();
  const x = [curve.x[0], curve.x.at(-1)];
  const series = [
    { x: curve.x, y: curve.slope, colour: css(classes[1]), width: 1.6, dash: DASH },
    { x: curve.x, y: curve.f, colour: css(ink), width: 2.2 },
  ];
  const values = series.flatMap(({ y }) =>
    y.filter((value) => value !== null && Number.isFinite(value)),
  );
  const low = Math.max(least(values, -1), -8);
  const high = Math.min(most(values, 1), 8);
  const room = 0.08 * (high - low || 1);
  const bars = frame.networks[network].histogram[layer];
  chart.draw({
    x,
    y: [low - room, high + room],
    series,
    bars: bars && { ...bars, colour: css(soft, 0.28) },
    zero: true,
  });
}

/** What lines and marks mean, beneath the charts. */
function keys(app) {
  const { labels, settings } = app.told ?? {};
  if (!labels || app.view.network >= labels.length) return;
  const curve = app.selectedCurve();
  text(
    byId("function-title"),
    curve ? app.label(app.view.network, app.view.layer) : "No hidden layer",
  );
  text(
    byId("function-formula"),
    curve ? `layer ${app.view.layer + 1} · f(x) = ${curve.formula}` : "",
  );
  byId("function-key").replaceChildren(
    ...(curve ? [line("f"), line("f′", "slope dashed"), line("inputs of the layer", "bars")] : []),
  );
  const layers = settings.hidden.length + 1;
  text(
    byId("gradient-key"),
    layers > 1 ? "by number: hidden layers; out: the output" : "out: the output",
  );
  const several = labels.length > 1;
  const names = several ? labels.map((_, i) => net(app, i)) : [];
  byId("curves-key").replaceChildren(line("train"), line("test", "dashed"), ...names);
}

function line(label, kind = "") {
  return element(
    "li",
    {},
    element("span", { class: `stroke ${kind}`, "aria-hidden": "true" }),
    label,
  );
}

function net(app, index) {
  const mark = markCanvas();
  paintMark(mark, index, css(palette().nets[index]));
  return element("li", {}, mark, networkName(app, index));
}

function stepRange(step) {
  return [step[0] ?? 0, Math.max(step.at(-1) ?? 0, (step[0] ?? 0) + 10)];
}

function lossRange(series) {
  const values = series.flatMap(({ y }) => y.filter((value) => value !== null));
  return [0, Math.min(most(values, 0.7) * 1.05, 10)];
}

function shareRange(series) {
  const low = least(
    series.flatMap(({ y }) => y.filter((value) => value !== null)),
    0.5,
  );
  return [Math.min(0.5, Math.floor(low * 10) / 10), 1.02];
}

// of arrays that may be too long to spread
const least = (values, otherwise) =>
  values.reduce((a, b) => Math.min(a, b), values[0] ?? otherwise);
const most = (values, otherwise) => values.reduce((a, b) => Math.max(a, b), values[0] ?? otherwise);
