// The compared networks: a card with a board for each, added, chosen and removed here.

import { Board } from "./board.js";
import { forget } from "./canvas.js";
import { byId, element, percent, text, throttled } from "./dom.js";
import { markCanvas, paintMark } from "./marks.js";
import { css, onTheme, palette } from "./palette.js";

const list = byId("networks");
const add = byId("add-network");

/** Cards and boards; `choose(index)` opens the picker for another network. */
export function mountNetworks(app, choose) {
  const cards = [];
  let unit = null; // a unit whose own response is shown
  const numbers = throttled(120, tellNumbers);
  const words = throttled(3000, describe);

  app.on("settings", () => {
    if (cards.length !== app.told.labels.length) rebuild();
    for (const card of cards) card.board.set(app.told);
    label();
  });
  app.on("view", label);
  app.on("unit", (found) => (unit = found));
  onTheme(() => {
    for (const card of cards) {
      card.board.set(app.told);
      paintMark(card.mark, card.index, css(palette().nets[card.index]));
    }
    app.redraw();
  });
  app.on("draw", (frame) => {
    cards.forEach((card, i) => {
      const network = frame.networks[i];
      const cells = frame.small ** 2;
      const map =
        unit && i === app.view.network
          ? network.units[unit.layer]?.subarray(unit.unit * cells, (unit.unit + 1) * cells)
          : null;
      card.board.draw(network, frame, { unit: map, ...app.aiming?.(i) });
    });
    numbers();
    words();
  });

  add.onclick = () => choose(cards.length);

  function rebuild() {
    for (const card of cards) forget(card.board.canvas);
    cards.length = 0;
    list.replaceChildren();
    for (let i = 0; i < app.told.labels.length; i++) cards.push(makeCard(i));
    list.dataset.count = cards.length;
    document.body.classList.toggle("comparing", cards.length > 1);
  }

  function makeCard(index) {
    const canvas = element("canvas", {
      class: "board",
      id: `board-${index}`,
      tabindex: "0",
      role: "application",
      "aria-roledescription": "decision boundary",
    });
    const mark = markCanvas();
    const name = element("span", { class: "name" });
    const choice = element(
      "button",
      { type: "button", class: "plain choice", id: `network-${index}` },
      name,
    );
    const accuracy = element("output", { class: "accuracy", id: `accuracy-${index}` }, "–");
    const train = element("span", { class: "train", id: `train-accuracy-${index}` });
    const remove = element(
      "button",
      { type: "button", class: "close", id: `remove-${index}` },
      "×",
    );
    const state = element("p", { class: "state", id: `network-state-${index}` });
    choice.onclick = () => app.look({ network: index });
    canvas.addEventListener(
      "pointerdown",
      () => app.view.network !== index && app.look({ network: index }),
    );
    remove.onclick = () => {
      const { network } = app.view;
      const view = { network: Math.max(0, network - (network >= index ? 1 : 0)) };
      app.change((draft) => draft.networks.splice(index, 1), { view });
    };
    const tested = element(
      "span",
      { class: "scores" },
      element("span", { class: "small" }, "test "),
      accuracy,
      train,
    );
    const head = element("div", { class: "card-head" }, choice, tested, remove);
    list.append(
      element(
        "article",
        { class: "card", "aria-label": `Network ${index + 1}` },
        head,
        canvas,
        state,
      ),
    );
    paintMark(mark, index, css(palette().nets[index]));
    const board = new Board(canvas);
    board.changed = () => app.redraw();
    app.emit("board", board, index);
    return { index, board, mark, name, choice, accuracy, train, remove, state };
  }

  function label() {
    if (!app.told) return;
    const several = cards.length > 1;
    cards.forEach((card, i) => {
      const name = networkName(app, i);
      text(card.name, name);
      card.name.title = name;
      if (several !== card.mark.isConnected) {
        if (several) card.choice.prepend(card.mark);
        else card.mark.remove();
      }
      card.remove.hidden = !several;
      card.remove.setAttribute("aria-label", `Remove ${name}`);
      const chosen = several && i === app.view.network;
      card.choice.setAttribute("aria-pressed", String(chosen));
      card.choice.parentElement.parentElement.classList.toggle("chosen", chosen);
    });
    add.disabled = cards.length >= app.zoo.limits.networks;
    text(
      byId("network-name"),
      several ? networkName(app, app.view.network) : app.told.sizes.join(" – "),
    );
    describe();
  }

  function tellNumbers() {
    cards.forEach((card, i) => {
      const network = app.frame?.networks[i];
      if (!network) return;
      text(card.accuracy, percent(network.accuracy[1]));
      text(card.train, `train ${percent(network.accuracy[0])}`);
      text(card.state, network.diverged ? "Diverged: its numbers are no longer finite." : "");
    });
  }

  function describe() {
    cards.forEach((card, i) => {
      const network = app.frame?.networks[i];
      const said = network ? `test accuracy ${percent(network.accuracy[1])}` : "not drawn yet";
      card.board.canvas.setAttribute(
        "aria-label",
        `Decision boundary of ${networkName(app, i)}, ${said}. Arrow keys move the adversary's crosshair.`,
      );
    });
  }
}

/** What a network is called: its activation, or all of them where they differ. */
export function networkName(app, index) {
  const labels = app.told.labels[index].map((_, layer) => app.label(index, layer));
  if (!labels.length) return "No hidden layer";
  return labels.every((label) => label === labels[0]) ? labels[0] : labels.join(", ");
}
