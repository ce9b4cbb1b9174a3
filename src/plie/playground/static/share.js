// Taking a network away: a link, code, a study, a picture, a dance.

import { byId, text } from "./dom.js";
import { sentence, toast } from "./notes.js";
import { repaint } from "./palette.js";

const BETWEEN = 250; // ms between two downloads

export function mountShare(app) {
  const close = () => (byId("share").open = false);
  byId("share-link").onclick = () => {
    close();
    copy(app.link(), "The link is copied.");
  };
  ask("share-code", () => ({ do: "code" }));
  ask("share-study", () => ({ do: "study" }));
  ask("share-dance", () => ({ do: "dance", dark: isDark() }));
  for (const format of ["png", "svg"]) {
    ask(`share-${format}`, () => ({
      do: "figure",
      format,
      network: app.view.network,
      dark: isDark(),
    }));
  }
  app.on("code", ({ text: code }) =>
    show("As PyTorch", "This makes and trains the networks on the page.", code),
  );
  app.on("study", ({ files, note, command }) => {
    const names = Object.keys(files);
    names.forEach((name, i) => {
      // a browser may take two at the same moment for one
      setTimeout(() => save(new Blob([files[name]]), name), i * BETWEEN);
    });
    const left = note ? ` ${sentence(note)}` : "";
    show("Study", `${names.join(" and ")} are saved; this command runs them.${left}`, command);
  });
  app.on("figure", ({ format, base64, name }) => {
    const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    save(new Blob([bytes], { type: format === "svg" ? "image/svg+xml" : "image/png" }), name);
    toast(`${name} is saved.`);
  });
  app.on("dance", ({ names, svg }) => {
    const type = "image/svg+xml";
    const blob = new Blob([svg], { type });
    const picture = byId("dance-picture");
    URL.revokeObjectURL(picture.src);
    // a picture within a page is not told by every browser that less motion is asked for
    const shown = STILL.matches ? svg.replace("(prefers-reduced-motion:reduce)", "all") : svg;
    picture.src = URL.createObjectURL(new Blob([shown], { type }));
    picture.alt = `${names.join(", ")}, dancing`;
    byId("dance-save").onclick = () => save(blob, "dance.svg");
    if (!byId("dance").open) byId("dance").showModal();
  });
  byId("text-copy").onclick = () => copy(byId("text-body").textContent, "Copied.");

  function ask(id, message) {
    byId(id).onclick = () => {
      close();
      app.send(message());
    };
  }
}

const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const isDark = () => document.documentElement.dataset.theme === "dark";

function show(title, note, body) {
  text(byId("text-title"), title);
  text(byId("text-note"), note);
  text(byId("text-body"), body);
  byId("text").showModal();
}

async function copy(words, done) {
  try {
    await navigator.clipboard.writeText(words);
    toast(done);
  } catch {
    // without permission the user copies what is shown
    show("Copy", "The browser does not let this page copy; select and copy it here.", words);
    getSelection().selectAllChildren(byId("text-body"));
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export function mountPresets(app) {
  const list = byId("preset-list");
  for (const { title, about, settings } of app.zoo.presets) {
    const button = document.createElement("button");
    const name = document.createElement("b");
    const words = document.createElement("small");
    button.type = "button";
    name.textContent = title;
    words.textContent = about;
    button.append(name, " ", words);
    button.onclick = () => {
      byId("presets").open = false;
      app.replace({ ...app.zoo.default, ...settings });
    };
    list.append(button);
  }
}

/** Each dialog's × closes it; Enter in a field of a dialog does not. */
export function mountDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    dialog.querySelector(".close").onclick = () => dialog.close();
  }
}

/** Menus close on Escape, on a click elsewhere and when focus leaves them. */
export function mountMenus() {
  for (const menu of document.querySelectorAll("details.menu")) {
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (!menu.contains(target)) menu.open = false;
    });
  }
}

/** Light, dark, or as the system has it; kept for the next visit. */
export function mountTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const select = byId("theme");
  const apply = () => {
    const theme = select.value === "auto" ? (dark.matches ? "dark" : "light") : select.value;
    document.documentElement.dataset.theme = theme;
    repaint();
  };
  select.value = stored() ?? "auto";
  select.onchange = () => {
    try {
      localStorage.setItem("plie-theme", select.value);
    } catch {
      // a browser without storage forgets it, no more
    }
    apply();
  };
  dark.addEventListener("change", apply);
  apply();
}

function stored() {
  try {
    return localStorage.getItem("plie-theme");
  } catch {
    return null;
  }
}
