// The settings of training: each control shows what is set, and sets what is shown.

import { byId, element } from "./dom.js";
import { clearError } from "./notes.js";

const NUMBERS = ["lr", "batch", "strength", "seed"];
const CHOICES = ["optimizer", "regularisation", "init", "norm", "attack"];
const NAMES = { sgd: "SGD", adam: "Adam", adamw: "AdamW", torch: "PyTorch's", gain: "By gain" };

export function mountTraining(app) {
  fill("optimizer", app.zoo.optimizers);
  fill("init", app.zoo.inits);
  byId("settings-form").addEventListener("submit", (event) => event.preventDefault());
  for (const id of CHOICES) {
    byId(id).onchange = ({ target }) => change((draft) => (draft[id] = target.value), id);
  }
  for (const id of NUMBERS) {
    byId(id).onchange = ({ target }) => {
      // the server says what is wrong with a number, here it only has to be one
      if (Number.isFinite(target.valueAsNumber))
        change((draft) => (draft[id] = target.valueAsNumber), id);
      else show();
    };
  }
  byId("adversarial").onchange = ({ target }) =>
    change((draft) => (draft.eps = target.checked ? app.view.ball : 0), "eps");
  byId("eps").onchange = ({ target }) => {
    const eps = target.valueAsNumber;
    if (!(eps > 0)) return show();
    app.look({ ball: eps });
    if (app.settings.eps > 0) change((draft) => (draft.eps = eps), "eps");
  };
  app.on("settings draft view", show);

  function change(edit, id) {
    clearError(id);
    app.change(edit);
  }

  function show() {
    const { settings, view } = app;
    for (const id of [...NUMBERS, ...CHOICES]) set(id, settings[id]);
    byId("adversarial").checked = settings.eps > 0;
    set("eps", settings.eps > 0 ? settings.eps : view.ball);
    byId("attack").disabled = settings.eps === 0;
    byId("strength").disabled = settings.regularisation === "none";
  }
}

/** Show a value unless the user is at it, or it was refused and waits to be mended. */
export function set(id, value) {
  const control = byId(id);
  if (control.getAttribute("aria-invalid") === "true") return;
  if (
    control === document.activeElement &&
    control.type === "number" &&
    control.valueAsNumber === value
  )
    return;
  const shown = String(value ?? "");
  if (control.value !== shown) control.value = shown;
}

function fill(id, names) {
  byId(id).replaceChildren(
    ...names.map((name) => element("option", { value: name }, NAMES[name] ?? name)),
  );
}
