// The controls above each hidden layer, and what is told of it below.

import { byId, element, text } from "./dom.js";

const heads = byId("diagram-heads");
const feet = byId("diagram-feet");
const NARROWEST = "4.2rem"; // of the columns of inputs and outputs

/** Keep the controls as the settings are; gives `tell(layer, counts)` for the lines below. */
export function mountLayers(app, choose) {
  const layers = [];
  mountCount(app);
  app.on("settings", () => {
    const count = app.told.sizes.length - 2;
    const hidden = count ? `repeat(${count}, minmax(5.4rem, 1fr))` : "";
    for (const row of [heads, feet]) {
      row.style.gridTemplateColumns = `minmax(${NARROWEST}, .7fr) ${hidden} minmax(${NARROWEST}, .7fr)`;
    }
    if (layers.length !== count || !heads.hasChildNodes()) rebuild(count);
    label();
  });
  app.on("view", label);

  function rebuild(count) {
    if (!heads.hasChildNodes()) {
      heads.append(end("Input"), end("Output"));
      feet.append(element("div"), element("div"));
    }
    // What stays is not touched: a button of it may be pressed just now.
    while (layers.length > count) {
      const { head, foot } = layers.pop();
      head.remove();
      foot.remove();
    }
    while (layers.length < count) layers.push(controls(app, layers.length, choose));
  }

  function label() {
    if (!app.told || app.view.network >= app.told.labels.length) return;
    const { settings } = app.told;
    layers.forEach((of, layer) => {
      const shown = app.label(app.view.network, layer);
      const size = settings.hidden[layer];
      text(of.picker, shown);
      of.picker.title = shown;
      of.picker.setAttribute("aria-label", `Activation of layer ${layer + 1}: ${shown}. Change`);
      text(of.count, size);
      of.fewer.disabled = size <= 1;
      of.more.disabled = size >= app.zoo.limits.units;
      of.title.setAttribute("aria-pressed", String(layer === app.view.layer));
    });
  }

  return function tell(layer, { dead, saturated, hidden }) {
    const parts = [];
    if (dead) parts.push(`${dead} dead`);
    if (saturated) parts.push(`${saturated} saturated`);
    if (hidden > 0) parts.push(`${hidden} not shown`);
    text(layers[layer].foot, parts.join(" · "));
  };
}

const end = (name) => element("div", { class: "head" }, element("b", {}, name));

const button = (attributes, ...words) =>
  element("button", { type: "button", ...attributes }, ...words);

function controls(app, layer, choose) {
  const name = `layer ${layer + 1}`;
  const hint = "Show this layer's activation below";
  const title = button({ class: "plain", id: `layer-${layer}`, title: hint }, `Layer ${layer + 1}`);
  const picker = button({ class: "picker", id: `activation-${layer}`, "aria-haspopup": "dialog" });
  const fewer = button(
    { id: `units-${layer}-fewer`, "aria-label": `Remove a unit of ${name}` },
    "−",
  );
  const more = button({ id: `units-${layer}-more`, "aria-label": `Add a unit to ${name}` }, "+");
  const count = element("output", { id: `units-${layer}` });
  const foot = element("p", { class: "foot", id: `state-${layer}` });
  const change = (by) => {
    const size = app.settings.hidden[layer] + by;
    if (size < 1 || size > app.zoo.limits.units) return;
    app.change((draft) => (draft.hidden[layer] = size));
  };
  title.onclick = () => app.look({ layer });
  picker.onclick = () => choose(layer);
  fewer.onclick = () => change(-1);
  more.onclick = () => change(1);
  const group = { class: "stepper", role: "group", "aria-label": `Units of ${name}` };
  const stepper = element("div", group, fewer, count, more);
  const head = element("div", { class: "head" }, title, picker, stepper);
  heads.lastChild.before(head);
  feet.lastChild.before(foot);
  return { head, title, picker, fewer, more, count, foot };
}

/** How many hidden layers there are; a new one is as the last. */
function mountCount(app) {
  const fewer = byId("layers-fewer");
  const more = byId("layers-more");
  fewer.onclick = () =>
    app.change((draft) => {
      draft.hidden.pop();
      draft.networks.forEach((layers) => layers.pop());
    });
  more.onclick = () =>
    app.change((draft) => {
      draft.hidden.push(draft.hidden.at(-1) ?? 8);
      draft.networks.forEach((layers) => layers.push(layers.at(-1) ?? "relu"));
    });
  app.on("settings draft", () => {
    const count = app.settings.hidden.length;
    text(byId("layers"), count);
    fewer.disabled = count === 0;
    more.disabled = count >= app.zoo.limits.layers;
  });
}
