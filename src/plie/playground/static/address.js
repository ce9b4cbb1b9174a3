// The whole state in the URL's hash: what differs from the default, short and readable.

const NUMBERS = ["test", "lr", "batch", "strength", "seed", "eps"];
const WORDS = ["optimizer", "regularisation", "init", "attack", "norm"];
const SPEEDS = [600, 60, 10, 1]; // updates a second, of the page's menu
const WIDEST = 6; // ball: the plane goes no further
const DATA_NUMBERS = { n: "n", noise: "noise", seed: "data-seed", classes: "classes" };

/** The hash, without "#", of settings and view; empty for the default. */
export function encode(settings, view, defaults) {
  const said = [];
  const say = (key, value) => said.push(`${key}=${escape(value)}`);
  sayData(settings.data, defaults.data, say);
  for (const key of [...NUMBERS, ...WORDS]) {
    if (settings[key] !== defaults[key]) say(key, settings[key]);
  }
  if (!same(settings.hidden, defaults.hidden)) say("hidden", settings.hidden.join(","));
  if (!same(settings.networks, defaults.networks)) {
    for (const layers of settings.networks)
      say("net", alike(layers) ? (layers[0] ?? "") : layers.join(";"));
  }
  for (const [key, standard] of Object.entries(VIEW)) {
    if (view[key] !== standard) say(`v-${key}`, view[key] ?? "");
  }
  return said.join("&");
}

/** What is looked at, which no training depends on. `speed` is null for full speed. */
export const VIEW = Object.freeze({ network: 0, layer: 0, speed: null, ball: 0.3 });

/** Settings and view of a hash; throws an Error whose message is a sentence. */
export function decode(hash, defaults) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const settings = structuredClone(defaults);
  const view = { ...VIEW };
  const nets = given.getAll("net");
  for (const [key, text] of given) {
    if (key === "net" || key in DATA_KEYS) continue;
    else if (NUMBERS.includes(key)) settings[key] = number(key, text);
    else if (WORDS.includes(key)) settings[key] = text;
    else if (key === "hidden")
      settings.hidden = text === "" ? [] : text.split(",").map((size) => number(key, size));
    else if (key.startsWith("v-") && key.slice(2) in VIEW)
      view[key.slice(2)] = text === "" ? null : number(key, text);
    else
      throw new Error(`The link says “${short(key)}”, which is no setting; the default is shown.`);
  }
  settings.data = readData(given, defaults.data);
  const texts = nets.length
    ? nets
    : [alike(defaults.networks[0]) ? defaults.networks[0][0] : defaults.networks[0].join(";")];
  settings.networks = texts.map((text) => layersOf(text, settings.hidden.length));
  view.network = clamp(view.network, settings.networks.length);
  view.layer = clamp(view.layer, settings.hidden.length);
  if (!SPEEDS.includes(view.speed)) view.speed = null;
  view.ball = Math.max(0, Math.min(view.ball ?? VIEW.ball, WIDEST));
  return { settings, view };
}

const DATA_KEYS = {
  data: 1,
  points: 1,
  names: 1,
  ...Object.fromEntries(Object.values(DATA_NUMBERS).map((k) => [k, 1])),
};

function sayData(data, standard, say) {
  if (data.name === "points") {
    say("points", data.points);
    if (data.names && !same(data.names, ["x1", "x2"]))
      data.names.forEach((name) => say("names", name));
    return;
  }
  if (data.name !== standard.name) say("data", data.name);
  const other = data.name !== standard.name;
  for (const [key, word] of Object.entries(DATA_NUMBERS)) {
    // another data set has its own noise and classes where nothing is said
    const usual = other && key !== "n" && key !== "seed" ? undefined : standard[key];
    if (data[key] != null && data[key] !== usual) say(word, data[key]);
  }
}

function readData(given, standard) {
  if (given.has("points")) {
    const points = given.get("points");
    if (!/^[\w-]*$/.test(points))
      throw new Error("The link's points cannot be read; the default is shown.");
    const names = given.getAll("names");
    return { name: "points", points, names: names.length === 2 ? names : ["x1", "x2"] };
  }
  const name = given.get("data") ?? standard.name;
  const data =
    name === standard.name ? { ...standard } : { name, n: standard.n, seed: standard.seed };
  for (const [key, word] of Object.entries(DATA_NUMBERS)) {
    if (given.has(word)) data[key] = number(word, given.get(word));
  }
  return data;
}

function layersOf(text, count) {
  const layers = text.split(";");
  if (layers.length === 1) return Array(count).fill(text);
  if (layers.length !== count)
    throw new Error(
      `The link has ${layers.length} activations for ${count} hidden layers; the default is shown.`,
    );
  return layers;
}

function number(key, text) {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value))
    throw new Error(
      `The link's ${key} is “${short(text)}”, which is no number; the default is shown.`,
    );
  return value;
}

// characters that a fragment may hold as they are stay readable
const escape = (value) =>
  encodeURIComponent(value).replace(/%(2C|3B|20|28|29|2A|2F)/g, (code) =>
    code === "%20" ? "+" : decodeURIComponent(code),
  );
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const alike = (layers) => layers.every((text) => text === layers[0]);
const short = (text) => (text.length > 24 ? `${text.slice(0, 24)}…` : text);
const clamp = (value, count) => Math.max(0, Math.min(Math.trunc(value ?? 0), count - 1));
