// Choosing an activation: the whole zoo by name, alias or family, or a formula.

import { byId, element, text } from "./dom.js";

const dialog = byId("picker");
const search = byId("picker-search");
const list = byId("picker-list");
const formula = byId("formula");
const message = byId("formula-message");
const use = byId("formula-use");
const every = byId("picker-all");
const PATIENCE = 220; // ms after the last key before the server is asked

/** Gives `open({layer})` for a layer of the selected network, `open({network})` for another one. */
export function mountPicker(app) {
  const rows = app.zoo.activations.map((row) => ({
    row,
    words: [row.name, row.title, row.family, ...row.aliases].join(" ").toLowerCase(),
  }));
  let place = {};
  let active = -1;
  let timer = 0;
  let asked = "";

  search.addEventListener("input", show);
  search.addEventListener("keydown", (event) => {
    const options = list.children;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in moves && options.length) {
      event.preventDefault();
      activate(Math.max(0, Math.min(options.length - 1, active + moves[event.key])));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (options[active]) pick(options[active].dataset.name);
    }
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) pick(option.dataset.name);
  });
  formula.addEventListener("input", () => {
    clearTimeout(timer);
    use.disabled = true;
    say("", "");
    const given = formula.value.trim();
    if (given) timer = setTimeout(() => ask(given), PATIENCE);
  });
  formula.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (!use.disabled) pick(formula.value.trim());
    else if (formula.value.trim()) ask(formula.value.trim());
  });
  use.onclick = () => pick(formula.value.trim());
  app.on("check", (answer) => {
    if (answer.text !== undefined && answer.text !== asked) return;
    use.disabled = !answer.ok;
    formula.setAttribute("aria-invalid", String(!answer.ok));
    if (answer.ok) say("good", `${answer.label}: f(x) = ${answer.formula}`);
    else say("bad", answer.message);
  });
  app.on("error", (error) => {
    if (dialog.open && error.field === "activation") say("bad", error.message);
  });

  function ask(given) {
    asked = given;
    app.send({ do: "check", text: given });
  }

  function say(kind, words) {
    message.className = `message ${kind}`;
    text(message, words);
  }

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((each) => words.every((word) => each.words.includes(word)));
    // a name that begins as typed comes first
    const begins = ({ row }) =>
      words.length &&
      (row.name.startsWith(words[0]) || row.title.toLowerCase().startsWith(words[0]))
        ? 0
        : 1;
    found.sort(
      (a, b) => begins(a) - begins(b) || (begins(a) ? 0 : a.row.name.length - b.row.name.length),
    );
    list.replaceChildren(...found.map(({ row }, i) => option(row, i)));
    text(byId("picker-count"), found.length === 1 ? "1 activation" : `${found.length} activations`);
    const current = found.findIndex(({ row }) => row.name === place.text);
    activate(words.length ? (found.length ? 0 : -1) : current);
  }

  function option(row, index) {
    const made = element("li", { role: "option", id: `option-${index}`, "aria-selected": "false" });
    made.dataset.name = row.name;
    made.append(
      element("b", {}, row.title || row.name),
      element("span", { class: "tag" }, row.family),
      element("code", {}, row.formula),
    );
    return made;
  }

  function activate(index) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = index;
    const chosen = list.children[active];
    if (!chosen) return search.removeAttribute("aria-activedescendant");
    chosen.setAttribute("aria-selected", "true");
    search.setAttribute("aria-activedescendant", chosen.id);
    chosen.scrollIntoView({ block: "nearest" });
  }

  function pick(name) {
    dialog.close();
    if (place.adds) {
      const copy = app.settings.networks[app.view.network].map((kept, layer) =>
        every.checked || layer === app.view.layer ? name : kept,
      );
      app.change((draft) => draft.networks.push(copy), {
        view: { network: app.settings.networks.length },
      });
      return;
    }
    const { layer } = place;
    app.change(
      (draft) => {
        const layers = draft.networks[app.view.network];
        for (let i = 0; i < layers.length; i++) if (every.checked || i === layer) layers[i] = name;
      },
      { view: { layer } },
    );
  }

  return {
    /** For a hidden layer of the selected network. */
    layer(layer) {
      const layers = app.settings.networks[app.view.network];
      const alike = layers.length > 1 && layers.every((name) => name === layers[0]);
      open({ layer, text: layers[layer] }, `Activation of layer ${layer + 1}`, alike);
    },
    /** For another network, which is the selected one but for this. */
    network() {
      const layers = app.settings.networks[app.view.network];
      open({ adds: true, text: layers[app.view.layer] }, "Compare with another activation", true);
    },
  };

  function open(where, title, all) {
    place = where;
    text(byId("picker-title"), title);
    byId("picker-all-field").hidden = app.settings.hidden.length < 2;
    every.checked = all;
    search.value = "";
    const known = app.zoo.activations.some((row) => row.name === place.text);
    formula.value = known ? "" : (place.text ?? "");
    formula.removeAttribute("aria-invalid");
    use.disabled = true;
    say("", "");
    dialog.showModal();
    show();
    search.focus();
  }
}
