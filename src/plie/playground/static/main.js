// The page's parts are put together here.

import { mountAdversary } from "./adversary.js";
import { App } from "./app.js";
import { mountCharts } from "./charts.js";
import { mountData } from "./data.js";
import { mountDiagram } from "./diagram.js";
import { byId, plain, text, throttled } from "./dom.js";
import { mountDrawing } from "./drawing.js";
import { mountNetworks } from "./networks.js";
import { mountNotes } from "./notes.js";
import { mountPicker } from "./picker.js";
import { mountDialogs, mountMenus, mountPresets, mountShare, mountTheme } from "./share.js";
import { mountTraining } from "./training.js";
import { mountUpload } from "./upload.js";

const NARROW = matchMedia("(max-width: 61.99rem)");

async function start() {
  mountTheme();
  mountMenus();
  mountDialogs();
  mountLayout();
  const answer = await fetch("/zoo.json");
  const app = new App(await answer.json());
  const picker = mountPicker(app);
  mountNotes(app);
  mountTransport(app);
  mountTraining(app);
  mountData(app);
  mountUpload(app);
  mountDrawing(app);
  mountAdversary(app);
  mountNetworks(app, () => picker.network());
  mountDiagram(app, (layer) => picker.layer(layer));
  mountUnitWords(app);
  mountCharts(app);
  mountShare(app);
  mountPresets(app);
  mountKeys(app);
  app.start();
}

/** The board comes first on a narrow page, in the document as on the screen. */
function mountLayout() {
  const arrange = () => {
    if (NARROW.matches) byId("main").prepend(byId("output"));
    else byId("main").append(byId("output"));
    for (const id of ["settings", "data"]) byId(id).open = !NARROW.matches;
  };
  NARROW.addEventListener("change", arrange);
  arrange();
}

function mountTransport(app) {
  byId("play").onclick = () => app.play();
  byId("step").onclick = () => app.step();
  byId("reset").onclick = () => app.reset();
  byId("speed").onchange = ({ target }) => app.speed(target.value ? Number(target.value) : null);
  app.on("playing", (playing) => {
    byId("play").classList.toggle("playing", playing);
    text(byId("play-text"), playing ? "Pause" : "Play");
  });
  app.on("settings view", () => (byId("speed").value = app.view.speed ?? ""));
  const count = throttled(100, () => {
    if (!app.frame) return;
    const { epoch, step, rate } = app.frame;
    text(byId("epoch"), epoch < 100 ? epoch.toFixed(1) : Math.floor(epoch).toLocaleString("en"));
    text(byId("updates"), step.toLocaleString("en"));
    text(byId("rate"), app.playing && rate ? Number(plain(rate, 2)).toLocaleString("en") : "–");
  });
  app.on("draw playing", count);
}

/** The line beneath the diagram: what the unit under the pointer is. */
function mountUnitWords(app) {
  app.on("unit", (unit) => {
    const network = app.frame?.networks[app.view.network];
    if (!unit || !network) return text(byId("diagram-hover"), "");
    const { layer } = unit;
    const state = network.dead[layer].includes(unit.unit)
      ? ", dead"
      : network.saturated[layer].includes(unit.unit)
        ? ", saturated"
        : "";
    const bias = plain(network.bias[layer][unit.unit], 2);
    text(
      byId("diagram-hover"),
      `Layer ${layer + 1}, unit ${unit.unit + 1}: bias ${bias}${state}; shown on the board`,
    );
  });
}

/** Space, s and r, unless one types or a control takes the key itself. */
function mountKeys(app) {
  const deeds = { " ": () => app.play(), s: () => app.step(), r: () => app.reset() };
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !(key in deeds)) return;
    if (
      target.closest(
        "dialog, select, textarea, input:not([type=radio], [type=range], [type=checkbox])",
      )
    )
      return;
    if (key === " " && target.closest("button, summary, input")) return;
    event.preventDefault();
    deeds[key]();
  });
}

start().catch(() => {
  byId("connection").hidden = false;
  text(byId("connection"), "plie play does not answer; start it again and reload this page.");
});
