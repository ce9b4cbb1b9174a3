// The network as a picture: units as heat maps, weights as curves, controls above each layer.

import { Pixels, cleared, rem, watch } from "./canvas.js";
import { byId } from "./dom.js";
import { mountLayers } from "./layers.js";
import { css, diverging, onTheme, palette } from "./palette.js";
import { drawInputName, drawOutput, drawUnit, inputPicture } from "./units.js";
import { strokeWeights } from "./weights.js";

const MOST_IN_LINE = 16; // units of a layer; more stand two abreast
const MOST_OUTPUTS = 8;

/** Show the selected network; `choose(layer)` opens the picker for a layer. */
export function mountDiagram(app, choose) {
  const canvas = byId("diagram-canvas");
  const tell = mountLayers(app, choose);
  const pictures = new Map(); // of units, by place and size
  let units = []; // those of the hidden layers, as they lie
  let hovered = null;

  watch(canvas, () => app.redraw());
  onTheme(() => pictures.clear());
  app.on("settings", () => pictures.clear());
  app.on("draw", draw);

  function draw(frame) {
    const room = cleared(canvas);
    if (!room) return;
    const { context, height } = room;
    const { sizes, shown, settings, classes } = app.told;
    const columns = place([2, ...shown, Math.min(sizes.at(-1), MOST_OUTPUTS)], height);
    const network = frame.networks[app.view.network];
    units = columns.slice(1, -1).flat();
    if (shown.length) drawBand(context, columns[app.view.layer + 1], height);
    columns.slice(1).forEach((to, k) => {
      strokeWeights(context, columns[k], to, network.weights[k], sizes[k], hovered);
    });
    for (const input of columns[0]) {
      const feature = input.unit;
      drawUnit(
        context,
        input,
        kept(`input ${feature}`, () => inputPicture(feature)),
      );
      drawInputName(context, input, settings.data.names?.[feature] ?? `x${feature + 1}`);
    }
    columns.slice(1, -1).forEach((column, layer) => drawLayer(context, column, layer, frame));
    for (const output of columns.at(-1)) drawOutput(context, output, classes[output.unit]);
  }

  function drawLayer(context, column, layer, frame) {
    const network = frame.networks[app.view.network];
    const dead = new Set(network.dead[layer]);
    const saturated = new Set(network.saturated[layer]);
    const cells = frame.small ** 2;
    for (const place of column) {
      const { unit } = place;
      const picture = kept(`${layer} ${unit} ${frame.small}`, () => new Pixels(frame.small));
      picture.paint(diverging(), network.units[layer].subarray(unit * cells, (unit + 1) * cells));
      const state = dead.has(unit) ? "dead" : saturated.has(unit) ? "saturated" : "";
      drawUnit(context, place, picture, { state, chosen: isSame(place, hovered) });
    }
    const hidden = app.told.sizes[layer + 1] - column.length;
    tell(layer, { dead: dead.size, saturated: saturated.size, hidden });
  }

  function kept(key, make) {
    if (!pictures.has(key)) pictures.set(key, make());
    return pictures.get(key);
  }

  function find({ offsetX, offsetY }) {
    const near = ({ x, y, size }) =>
      Math.abs(offsetX - x) <= size / 2 + 2 && Math.abs(offsetY - y) <= size / 2 + 1;
    return units.find(near) ?? null;
  }

  function hover(found) {
    if (isSame(found, hovered)) return;
    hovered = found;
    app.emit("unit", found);
    app.redraw();
  }

  canvas.addEventListener("pointermove", (event) => hover(find(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("click", (event) => {
    const found = find(event);
    if (found) app.look({ layer: found.layer });
  });
}

const isSame = (a, b) => a?.layer === b?.layer && a?.unit === b?.unit;

/** Where the units lie: a column of places for each layer, beneath the layer's controls. */
function place(counts, height) {
  const unit = rem();
  const heads = [...byId("diagram-heads").children];
  return counts.map((count, c) => {
    const { offsetLeft, offsetWidth, parentElement } = heads[c];
    const middle = offsetLeft - parentElement.offsetLeft + offsetWidth / 2;
    const abreast = count > MOST_IN_LINE ? 2 : 1;
    const rows = Math.ceil(count / abreast);
    const pitch = Math.min(4.2 * unit, (height - 8) / rows);
    // a narrow column of inputs still has room for their names
    const beside = c === 0 || c === counts.length - 1 ? 2.9 : 1;
    const most = Math.min(3.1 * unit, offsetWidth - beside * unit);
    const size = Math.max(6, Math.min(most, pitch - Math.max(2, pitch * 0.14)));
    return Array.from({ length: count }, (_, i) => ({
      layer: c - 1,
      unit: i,
      x: middle + ((i % abreast) - (abreast - 1) / 2) * 1.3 * size,
      y: height / 2 + (Math.floor(i / abreast) - (rows - 1) / 2) * pitch,
      size,
    }));
  });
}

/** The ground of the layer whose activation is shown below. */
function drawBand(context, column, height) {
  if (!column || column[0].layer < 0) return;
  const left = column[0].x - column[0].size / 2;
  const right = column.at(-1).x + column.at(-1).size / 2;
  context.fillStyle = css(palette().panel);
  context.beginPath();
  context.roundRect(left - 8, 0, right - left + 16, height, 8);
  context.fill();
}
