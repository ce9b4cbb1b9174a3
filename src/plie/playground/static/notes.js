// What the page says: toasts, a sentence next to the field it is about, and a summary now and then.

import { byId, element, percent, plain, text } from "./dom.js";
import { networkName } from "./networks.js";

const SHOWN = 6000; // ms
const OFTEN = 12000; // ms between two summaries for screen readers

/** Where the server's name of a field is on the page, if not under the same id. */
const PLACES = {
  n: "n",
  noise: "noise",
  classes: "classes",
  csv: "csv",
  data: "draw",
  test: "test",
  hidden: "layers-more",
};

export function toast(words, kind = "") {
  const note = element("p", { class: `toast ${kind}` }, words);
  byId("toasts").append(note);
  while (byId("toasts").children.length > 3) byId("toasts").firstChild.remove();
  setTimeout(() => note.remove(), SHOWN + 40 * words.length);
}

/** A sentence beside a control, tied to it for screen readers. */
export function showError(id, words) {
  const control = byId(id);
  if (!control || !control.checkVisibility()) return toast(words, "bad");
  clearError(id);
  const note = element("p", { class: "error", id: `${id}-error`, role: "alert" }, words);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", note.id);
  (control.closest("label, .head") ?? control).after(note);
}

export function clearError(id) {
  for (const each of id === "data" ? Object.values(PLACES) : [id]) {
    byId(each)?.removeAttribute("aria-invalid");
    byId(each)?.removeAttribute("aria-describedby");
    byId(`${each}-error`)?.remove();
  }
}

export function mountNotes(app) {
  const banner = byId("connection");
  app.on("toast", toast);
  app.on("error", ({ message, field }) => {
    if (field === "activation" && byId("picker").open) return;
    const id = place(app, field);
    if (id) showError(id, sentence(message, field));
    else toast(sentence(message), "bad");
  });
  app.on("paused", ({ message }) => toast(sentence(message)));
  app.on("busy", ({ message }) => {
    text(banner, message);
    banner.hidden = false;
    banner.className = "banner busy";
  });
  app.on("lost", (full) => {
    text(
      banner,
      full
        ? "plie play has as many pages as it can serve; trying again …"
        : "The connection to plie play is lost; trying again …",
    );
    banner.hidden = false;
    banner.className = "banner";
  });
  app.on("settings", () => {
    banner.hidden = true;
    for (const field of document.querySelectorAll(".head .error, .head [aria-invalid]"))
      if (field.id) clearError(field.id.replace(/-error$/, ""));
  });
  app.on("error", () => (banner.hidden = true));
  app.on("open", (again) => again && toast("Connected again; training starts anew."));
  mountSummary(app);
}

/** The id of the control for a field such as "networks.0.1"; undefined if it is not on view. */
function place(app, field) {
  if (!field) return undefined;
  const [name, first, second] = field.split(".");
  if (name === "networks")
    return Number(first ?? 0) === app.view.network ? `activation-${second ?? 0}` : undefined;
  if (name === "hidden" && first !== undefined) return `units-${first}-more`;
  return PLACES[name] ?? (byId(name)?.matches("input, select") ? name : undefined);
}

function mountSummary(app) {
  let last = 0;
  const say = () => {
    if (!app.frame || !app.told) return;
    last = performance.now();
    const each = app.frame.networks.map(({ accuracy, loss }, i) => {
      const scores = `test accuracy ${percent(accuracy[1])}, test loss ${plain(loss[1], 2)}`;
      return `${networkName(app, i)}: ${scores}`;
    });
    text(byId("summary"), `Epoch ${Math.floor(app.frame.epoch)}. ${each.join("; ")}.`);
  };
  app.on("draw", () => app.playing && performance.now() - last > OFTEN && say());
  app.on("playing", (playing) => !playing && setTimeout(say, 300));
}

/** As a sentence: with a capital and a full stop, unless it begins with the setting's own name. */
export function sentence(words, field = "") {
  const begun = field && words.startsWith(field) ? words : words[0].toUpperCase() + words.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
