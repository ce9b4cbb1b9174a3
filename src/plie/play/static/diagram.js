// The network as a picture: units as heat maps, weights as curves, controls above each layer.

import { Pixels, cleared, rem, thick, watch } from "./canvas.js";
import { trace } from "./marks.js";
import { css, diverging, onTheme, palette } from "./palette.js";
import { strokeWeights } from "./weights.js";
import { element, text } from "./dom.js";

const heads = document.getElementById("diagram-heads");
const feet = document.getElementById("diagram-feet");
const MOST_IN_LINE = 16; // units of a layer; more stand two abreast
const canvas = document.getElementById("diagram-canvas");

/** Show the selected network; `choose(layer)` opens the picker for a layer. */
export function mountDiagram(app, choose) {
  const layers = []; // controls of the hidden layers
  let units = []; // [{layer, unit, x, y, size}], of the last layout
  let pictures = new Map();
  let hovered = null;

  watch(canvas, () => app.redraw());
  onTheme(() => pictures.clear());

  app.on("settings", () => {
    build();
    pictures = new Map();
  });
  app.on("view", label);
  app.on("draw", draw);
  mountSteppers(app);

  function build() {
    const { sizes } = app.told;
    const columns = `minmax(3.6rem, .7fr) repeat(${sizes.length - 2}, minmax(5.4rem, 1fr)) minmax(3.6rem, .7fr)`.replace("repeat(0, minmax(5.4rem, 1fr))", "");
    for (const row of [heads, feet]) row.style.gridTemplateColumns = columns;
    if (layers.length !== sizes.length - 2) rebuild(sizes);
    label();
  }

  function rebuild(sizes) {
    const focused = document.activeElement?.id;
    layers.length = 0;
    heads.replaceChildren(element("div", { class: "head" }, element("b", {}, "Input")));
    feet.replaceChildren(element("div"));
    for (let layer = 0; layer < sizes.length - 2; layer++) layers.push(layerControls(layer));
    heads.append(element("div", { class: "head" }, element("b", {}, "Output")));
    feet.append(element("div"));
    document.getElementById(focused)?.focus();
  }

  function layerControls(layer) {
    const change = (by) => app.change((draft) => (draft.hidden[layer] = Math.max(1, Math.min(app.zoo.limits.units, draft.hidden[layer] + by))));
    const name = `layer ${layer + 1}`;
    const title = element("button", { type: "button", class: "plain", id: `layer-${layer}`, title: "Show this layer's activation below" }, `Layer ${layer + 1}`);
    const picker = element("button", { type: "button", class: "picker", id: `activation-${layer}`, "aria-haspopup": "dialog" });
    const fewer = element("button", { type: "button", id: `units-${layer}-fewer`, "aria-label": `Remove a unit of ${name}` }, "−");
    const more = element("button", { type: "button", id: `units-${layer}-more`, "aria-label": `Add a unit to ${name}` }, "+");
    const count = element("output", { id: `units-${layer}` });
    const error = element("p", { class: "error", id: `activation-${layer}-error`, hidden: "" });
    const foot = element("p", { class: "foot", id: `state-${layer}` });
    title.onclick = () => app.look({ layer });
    picker.onclick = () => choose(layer);
    fewer.onclick = () => change(-1);
    more.onclick = () => change(1);
    const stepper = element("div", { class: "stepper", role: "group", "aria-label": `Units of ${name}` }, fewer, count, more);
    heads.append(element("div", { class: "head" }, title, picker, stepper, error));
    feet.append(foot);
    return { title, picker, fewer, more, count, foot };
  }

  function label() {
    if (!app.told) return;
    const { settings } = app.told;
    const { network, layer: selected } = app.view;
    layers.forEach((controls, layer) => {
      const shown = app.label(network, layer);
      const size = settings.hidden[layer];
      text(controls.picker, shown);
      controls.picker.title = shown;
      controls.picker.setAttribute("aria-label", `Activation of layer ${layer + 1}: ${shown}. Change`);
      text(controls.count, size);
      controls.fewer.disabled = size <= 1;
      controls.more.disabled = size >= app.zoo.limits.units;
      controls.title.setAttribute("aria-pressed", String(layer === selected));
    });
  }

  function place(height) {
    const { sizes, shown } = app.told;
    const counts = [2, ...shown, Math.min(sizes.at(-1), 8)];
    const unit = rem();
    const middles = [...heads.children].map((head) => head.offsetLeft - heads.offsetLeft + head.offsetWidth / 2);
    return counts.map((count, c) => {
      const abreast = count > MOST_IN_LINE ? 2 : 1;
      const rows = Math.ceil(count / abreast);
      const pitch = Math.min(4.2 * unit, (height - 8) / rows);
      const size = Math.max(6, Math.min(3.1 * unit, pitch - Math.max(2, pitch * 0.14)));
      return Array.from({ length: count }, (_, i) => ({
        layer: c - 1,
        unit: i,
        x: middles[c] + ((i % abreast) - (abreast - 1) / 2) * 1.3 * size,
        y: height / 2 + (Math.floor(i / abreast) - (rows - 1) / 2) * pitch,
        size,
      }));
    });
  }

  function draw(frame) {
    const room = cleared(canvas);
    if (!room) return;
    const { context, height } = room;
    const columns = place(height);
    const network = frame.networks[app.view.network];
    units = columns.slice(1, -1).flat();
    band(context, columns, height);
    columns.slice(1).forEach((to, k) => strokeWeights(context, columns[k], to, network.weights[k], app.told.sizes[k], hovered));
    columns[0].forEach((unit) => drawInput(context, unit));
    columns.slice(1, -1).forEach((column, layer) => {
      const dead = new Set(network.dead[layer]);
      const saturated = new Set(network.saturated[layer]);
      const maps = network.units[layer];
      const cells = frame.small ** 2;
      for (const unit of column) {
        const picture = pictureOf(layer, unit.unit, frame.small);
        picture.paint(diverging(), maps.subarray(unit.unit * cells, (unit.unit + 1) * cells));
        drawUnit(context, unit, picture, dead.has(unit.unit) ? "dead" : saturated.has(unit.unit) ? "saturated" : "");
      }
      tell(layers[layer].foot, network.dead[layer].length, network.saturated[layer].length, app.told.sizes[layer + 1] - column.length);
    });
    columns.at(-1).forEach((unit) => drawOutput(context, unit));
  }

  function band(context, columns, height) {
    const column = columns[app.view.layer + 1];
    if (columns.length < 3) return;
    const left = column[0].x - column[0].size / 2;
    const right = column.at(-1).x + column.at(-1).size / 2;
    context.fillStyle = css(palette().panel);
    context.beginPath();
    context.roundRect(left - 8, 0, right - left + 16, height, 8);
    context.fill();
  }

  function drawUnit(context, { x, y, size, layer, unit }, picture, state) {
    const { ink, page, line } = palette();
    const left = x - size / 2;
    const top = y - size / 2;
    context.fillStyle = css(page);
    context.fillRect(left - 1, top - 1, size + 2, size + 2);
    context.globalAlpha = state === "dead" ? 0.35 : 1;
    picture.drawTo(context, left, top, size, size);
    context.globalAlpha = 1;
    const chosen = hovered && hovered.layer === layer && hovered.unit === unit;
    context.strokeStyle = state || chosen ? css(ink) : css(line);
    context.lineWidth = thick(chosen ? 2 : 1);
    context.strokeRect(left - 0.5, top - 0.5, size + 1, size + 1);
    context.beginPath();
    if (state === "dead") {
      context.moveTo(left, top);
      context.lineTo(left + size, top + size);
      context.moveTo(left + size, top);
      context.lineTo(left, top + size);
      context.lineWidth = thick(1.5);
    } else if (state === "saturated") {
      for (const edge of [top - 0.5, top + size + 0.5]) {
        context.moveTo(left - 1.5, edge);
        context.lineTo(left + size + 1.5, edge);
      }
      context.lineWidth = thick(3.5);
    }
    context.stroke();
  }

  function drawInput(context, unit) {
    drawUnit(context, unit, inputPicture(unit.unit), "");
    context.font = `${0.75 * rem()}px system-ui, sans-serif`;
    context.fillStyle = css(palette().soft);
    context.textBaseline = "middle";
    context.textAlign = "right";
    const name = app.told.settings.data.names?.[unit.unit] ?? `x${unit.unit + 1}`;
    context.fillText(shorten(name), unit.x - unit.size / 2 - 0.4 * rem(), unit.y, unit.x - unit.size / 2 - 0.6 * rem());
  }

  function drawOutput(context, { x, y, unit, size }) {
    const { classes, page, soft } = palette();
    const radius = Math.min(size, 1.6 * rem()) / 2.6;
    trace(context, unit, x, y, radius + 3);
    context.fillStyle = css(page);
    context.fill();
    trace(context, unit, x, y, radius);
    context.fillStyle = css(classes[unit % classes.length]);
    context.fill();
    context.font = `${0.75 * rem()}px system-ui, sans-serif`;
    context.fillStyle = css(soft);
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillText(shorten(app.told.classes[unit]), x + radius + 0.5 * rem(), y);
  }

  function inputPicture(feature) {
    const made = pictureOf("input", feature, 24);
    if (made.filled) return made;
    const values = Int8Array.from({ length: 576 }, (_, i) => Math.round(254 * ((feature ? 23 - Math.floor(i / 24) : i % 24) / 23) - 127));
    made.paint(diverging(), values);
    made.filled = true;
    return made;
  }

  function pictureOf(layer, unit, side) {
    const key = `${layer}.${unit}.${side}`;
    if (!pictures.has(key)) pictures.set(key, new Pixels(side));
    return pictures.get(key);
  }

  function find({ offsetX, offsetY }) {
    return units.find(({ x, y, size }) => Math.abs(offsetX - x) <= size / 2 + 2 && Math.abs(offsetY - y) <= size / 2 + 1) ?? null;
  }

  canvas.addEventListener("pointermove", (event) => {
    const found = find(event);
    if (found?.layer === hovered?.layer && found?.unit === hovered?.unit) return;
    hovered = found;
    app.emit("unit", found);
    app.redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    if (!hovered) return;
    hovered = null;
    app.emit("unit", null);
    app.redraw();
  });
  canvas.addEventListener("click", (event) => {
    const found = find(event);
    if (found) app.look({ layer: found.layer });
  });
}

function mountSteppers(app) {
  const fewer = document.getElementById("layers-fewer");
  const more = document.getElementById("layers-more");
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
    text(document.getElementById("layers"), count);
    fewer.disabled = count === 0;
    more.disabled = count >= app.zoo.limits.layers;
  });
}

function tell(foot, dead, saturated, hidden) {
  const parts = [];
  if (dead) parts.push(`${dead} dead`);
  if (saturated) parts.push(`${saturated} saturated`);
  if (hidden > 0) parts.push(`${hidden} not shown`);
  text(foot, parts.join(" · "));
}

const shorten = (name) => (name.length > 9 ? `${name.slice(0, 8)}…` : name);
