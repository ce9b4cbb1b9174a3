// Which points: generated, from a CSV file, or drawn.

import { byId, element, text } from "./dom.js";
import { markCanvas, paintMark } from "./marks.js";
import { clearError } from "./notes.js";
import { css, onTheme, palette } from "./palette.js";
import { set } from "./training.js";

export function mountData(app) {
  const sets = new Map(app.zoo.data.map((row) => [row.name, row]));
  byId("data-sets").append(
    ...app.zoo.data.map(({ name }) => choice(name, title(name))),
    choice("points", "Your own points"),
  );
  byId("data-sets").addEventListener("change", ({ target }) => {
    clearError("data");
    app.change((draft) => {
      // each data set has its own noise; how many points stays
      draft.data = {
        name: target.value,
        n: draft.data.n ?? app.zoo.default.data.n,
        seed: draft.data.seed ?? 0,
      };
    });
  });
  slide("n", (draft, value) => (draft.data.n = value));
  slide("noise", (draft, value) => (draft.data.noise = value));
  slide("test", (draft, value) => (draft.test = value));
  number("data-seed", (draft, value) => (draft.data.seed = value));
  number("classes", (draft, value) => (draft.data.classes = value));
  app.on("settings draft view", show);
  app.on("settings", legend);
  onTheme(() => app.told && legend());

  function slide(id, edit) {
    byId(id).oninput = ({ target }) => {
      clearError("data");
      app.change((draft) => edit(draft, Number(target.valueAsNumber.toPrecision(4))), {
        soon: true,
      });
    };
  }

  function number(id, edit) {
    byId(id).onchange = ({ target }) => {
      clearError("data");
      if (Number.isFinite(target.valueAsNumber))
        app.change((draft) => edit(draft, target.valueAsNumber));
    };
  }

  function show() {
    const { data, test } = app.settings;
    const row = sets.get(data.name);
    for (const radio of byId("data-sets").querySelectorAll("input")) {
      radio.checked = radio.value === data.name;
      // there is nothing of one's own to go back to until it is made
      if (radio.value === "points") radio.parentElement.hidden = data.name !== "points";
    }
    for (const id of ["n-field", "noise-field", "data-seed-field"]) byId(id).hidden = !row;
    // generated sets are tested on new points, as many as there are to learn from
    byId("test-field").hidden = Boolean(row);
    byId("classes-field").hidden = !row || !hasKinds(data);
    text(byId("data-about"), row?.about ?? "Points of your own.");
    set("test", test);
    text(byId("test-value"), `${Math.round(100 * test)} %`);
    if (!row) return;
    set("n", data.n);
    text(byId("n-value"), data.n);
    set("data-seed", data.seed);
    if (hasKinds(data)) set("classes", data.classes ?? row.classes.default);
    showNoise(row.noise, data.noise ?? row.noise?.default);
  }

  function showNoise(noise, value) {
    if (!noise) return void (byId("noise-field").hidden = true);
    const slider = byId("noise");
    Object.assign(slider, {
      min: noise.low,
      max: noise.high,
      step: (noise.high - noise.low) / 100,
    });
    text(byId("noise-label"), noise.label[0].toUpperCase() + noise.label.slice(1));
    set("noise", value);
    text(byId("noise-value"), Number(value.toPrecision(2)));
  }

  /** Whether a data set comes in any number of classes. */
  function hasKinds(data) {
    return Boolean(sets.get(data.name)?.classes);
  }

  function legend() {
    const { classes, points } = app.told;
    const items = classes.slice(0, 8).map((name, kind) => item(kind, `class ${name}`));
    const tested = points.test.reduce((sum, flag) => sum + flag, 0);
    items.push(item(0, `${tested} test points`, true));
    byId("classes-key").replaceChildren(...items);
  }
}

function item(kind, words, ring = false) {
  const mark = markCanvas();
  const { classes, soft } = palette();
  paintMark(mark, kind, css(ring ? soft : classes[kind]), ring);
  return element("li", {}, mark, words);
}

function choice(name, label) {
  const radio = element("input", { type: "radio", name: "data", value: name, id: `data-${name}` });
  return element("label", {}, radio, element("span", {}, label));
}

const title = (name) => (name === "xor" ? "XOR" : name[0].toUpperCase() + name.slice(1));
