// Where an adversary takes the point under the pointer or the crosshair.

import { byId, percent, text } from "./dom.js";

const STEP = 0.02; // of the picture's width, for an arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function mountAdversary(app) {
  const usual = byId("probe").textContent;
  let aim = null; // {network, x}
  let probe = null; // the last answer for it
  let asked = null; // a point under way
  let due = false; // whether another has to be asked for

  /** What the board of a network draws; the others show the ball, too. */
  app.aiming = (network) => {
    if (!aim) return {};
    const { norm } = app.settings;
    return {
      aim: { x: aim.x, eps: app.view.ball, norm },
      probe: network === aim.network ? probe : null,
    };
  };

  app.on("board", (board, network) => {
    const { canvas } = board;
    canvas.addEventListener("pointermove", (event) => {
      if (app.told) point(network, board.plane(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("blur", leave);
    canvas.addEventListener("keydown", (event) => {
      const move = ARROWS[event.key];
      if (event.key === "Escape") leave();
      if (!move || !app.told) return;
      event.preventDefault();
      const [l, r, b, t] = app.told.extent;
      const from = aim?.network === network ? aim.x : [(l + r) / 2, (b + t) / 2];
      const far = event.shiftKey ? 5 : 1;
      const clip = (value, low, high) => Math.max(low, Math.min(high, value));
      point(network, [
        clip(from[0] + move[0] * far * STEP * (r - l), l, r),
        clip(from[1] + move[1] * far * STEP * (t - b), b, t),
      ]);
    });
  });
  app.on("probe", (answer) => {
    asked = null;
    if (!aim || answer.network !== aim.network) return;
    probe = answer;
    tell(answer);
    app.redraw();
    if (due) ask();
  });
  // the network has learnt since: ask again, but never twice at a time
  app.on("draw", () => {
    if (aim && app.playing && !asked) ask();
  });
  app.on("error open", () => (asked = null));
  app.on("settings", (told) => told.restarted && leave());

  function point(network, x) {
    if (aim?.network !== network) probe = null;
    aim = { network, x };
    ask();
    app.redraw();
  }

  function ask() {
    due = Boolean(asked);
    if (asked) return;
    asked = aim;
    if (
      !app.send({
        do: "probe",
        network: aim.network,
        x: aim.x,
        eps: app.view.ball,
        norm: app.settings.norm,
      })
    )
      asked = null;
  }

  function leave() {
    if (!aim) return;
    aim = null;
    probe = null;
    due = false;
    text(byId("probe"), usual);
    app.redraw();
  }

  function tell({ path, before, after, class: kinds }) {
    const name = (kind) => app.told.classes[kind] ?? kind;
    const at = path[0].map((value) => value.toFixed(2).replace("-", "−")).join(", ");
    const first = `(${at}): class ${name(kinds[0])}, ${percent(before[kinds[0]])}`;
    const then =
      kinds[0] === kinds[1]
        ? `still ${name(kinds[1])}, ${percent(after[kinds[1]])}`
        : `becomes ${name(kinds[1])}, ${percent(after[kinds[1]])}`;
    text(byId("probe"), `${first}; within ε = ${app.view.ball}: ${then}.`);
  }
}
