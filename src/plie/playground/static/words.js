// The pictures as texts, for who cannot see them.

import { byId, percent, plain } from "./dom.js";
import { networkName } from "./networks.js";

/** Say what the charts and the diagram show, from the frame drawn last. */
export function describe(app) {
  const { frame } = app;
  const network = frame?.networks[app.view.network];
  if (!network) return;
  const pair = (one, write, values) =>
    `${one}: train ${write(values[0])}, test ${write(values[1])}`;
  const each = (key, write) =>
    frame.networks.map((one, i) => pair(networkName(app, i), write, one[key])).join("; ");
  say("loss-chart", `Loss after ${frame.step} updates. ${each("loss", plain)}.`);
  say("accuracy-chart", `Accuracy after ${frame.step} updates. ${each("accuracy", percent)}.`);
  const norms = network.gradient.map((value) => plain(value)).join(", ");
  say("gradient-chart", `Gradient norm by layer: ${norms}.`);
  say("function-chart", functionWords(app, network));
  say("diagram-canvas", diagramWords(app, network));
}

function functionWords(app, network) {
  const { layer } = app.view;
  const curve = app.selectedCurve();
  if (!curve) return "No hidden layer, so no activation.";
  const { low, high } = network.histogram[layer];
  const name = app.label(app.view.network, layer);
  const inputs = `the layer's inputs lie between ${plain(low)} and ${plain(high)}`;
  return `${name}, f(x) = ${curve.formula}, with its derivative; ${inputs}.`;
}

function diagramWords(app, network) {
  const layers = network.dead.map((dead, i) => {
    const name = app.label(app.view.network, i);
    const state = `dead: ${numbers(dead)}, saturated: ${numbers(network.saturated[i])}`;
    return `Layer ${i + 1}: ${name}, ${app.told.sizes[i + 1]} units, ${state}.`;
  });
  return [`Network ${app.told.sizes.join(" – ")}.`, ...layers].join(" ");
}

const say = (id, words) => byId(id).setAttribute("aria-label", words);
const numbers = (units) => (units.length ? units.map((unit) => unit + 1).join(", ") : "none");
