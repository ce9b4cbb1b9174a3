// A CSV file of the user's: read here, understood by the server.

import { byId, element, text } from "./dom.js";
import { clearError, showError } from "./notes.js";

const MOST = 2 ** 20; // bytes
const picks = ["csv-x", "csv-y", "csv-target"];

export function mountUpload(app) {
  let file = null; // {name, text}
  let used = null; // the points it became

  byId("csv").onchange = async ({ target }) => {
    const [given] = target.files;
    clearError("csv");
    if (!given) return;
    if (given.size > MOST)
      return showError(
        "csv",
        `${given.name} has ${Math.ceil(given.size / 2 ** 20)} MiB; a file may have at most 1 MiB`,
      );
    file = { name: given.name, text: await given.text() };
    ask(null, null);
    target.value = ""; // the same file can be chosen again, mended
  };
  for (const id of picks) {
    byId(id).onchange = () => {
      const [x, y, target] = picks.map((each) => byId(each).value);
      clearError("csv");
      if (file) ask([x, y], target);
    };
  }
  app.on("csv", (answer) => {
    byId("csv-columns").hidden = false;
    const few =
      answer.kept < answer.rows ? `${answer.kept} of ${answer.rows} rows` : `${answer.rows} rows`;
    const kinds = answer.classes.map((name, i) => (name === `${i}` ? name : `${i} is ${name}`));
    text(byId("csv-note"), `${answer.name}: ${few}, scaled to the plane. ${kinds.join(", ")}.`);
    const [x, y] = answer.data.names ?? answer.columns;
    fill("csv-x", answer.columns, x);
    fill("csv-y", answer.columns, y);
    fill(
      "csv-target",
      answer.targets,
      answer.target ?? (byId("csv-target").value || answer.targets.at(-1)),
    );
    used = answer.data.points;
    app.change((draft) => (draft.data = answer.data));
  });
  app.on("settings", ({ settings, restarted }) => {
    if (settings.data.points !== used) byId("csv-columns").hidden = true;
    if (restarted) clearError("csv");
  });

  function ask(columns, target) {
    app.send({ do: "csv", name: file.name, text: file.text, columns, target });
  }
}

function fill(id, names, chosen) {
  byId(id).replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  byId(id).value = chosen;
}
