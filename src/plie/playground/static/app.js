// The page's state and what happens to it; every part of the page listens here.

import { VIEW, decode, encode } from "./address.js";
import { History } from "./history.js";
import { Live } from "./live.js";

const SETTLE = 120; // ms: a slider that moves sends its last value, not all of them

export class App {
  /** The server's last word on the settings: settings, points, curves, labels …; null before it. */
  told = null;
  frame = null;
  history = new History();
  playing = false;
  view = { ...VIEW };
  #draft;
  #listeners = new Map();
  #sent = null; // the settings that went out last, until an answer to them
  #next = {};
  #drawn = true;
  #fresh = false; // whether the frame has not been drawn yet
  #owed = false; // whether another is to be asked for once it is drawn
  #timer = 0;

  constructor(zoo) {
    this.zoo = zoo;
    this.#draft = structuredClone(zoo.default);
    this.titles = new Map(zoo.activations.map((row) => [row.name, row.title || row.name]));
  }

  start() {
    this.#readAddress();
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.#address()) {
        this.#readAddress();
        this.#sendSettings();
      }
    });
    this.live = new Live({
      open: (again) => this.#opened(again),
      message: (message) => this.#message(message),
      frame: (frame) => this.#arrived(frame),
      lost: (full) => this.emit("lost", full),
    });
  }

  on(names, listener) {
    for (const name of names.split(" ")) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, []);
      this.#listeners.get(name).push(listener);
    }
  }

  emit(name, ...given) {
    for (const listener of this.#listeners.get(name) ?? []) listener(...given);
  }

  /** What an activation is called: a name of the zoo by its title, anything else as it is. */
  label(network, layer) {
    return (
      this.titles.get(this.told.settings.networks[network][layer]) ??
      this.told.labels[network][layer]
    );
  }

  /** The curve of the selected network's selected layer; undefined without hidden layers. */
  selectedCurve() {
    const { network, layer } = this.view;
    return this.told.curves[this.told.settings.networks[network][layer]];
  }

  send(message) {
    return this.live.send(message);
  }

  /** The settings as the user has them now, which the server may not have seen yet. */
  get settings() {
    return this.#draft;
  }

  /** Change settings by a function of them; `soon` waits for the last of several changes.

      `view` is what to look at once the server has made them. */
  change(edit, { soon = false, view = {} } = {}) {
    edit(this.#draft);
    Object.assign(this.#next, view);
    this.emit("draft");
    clearTimeout(this.#timer);
    if (soon) this.#timer = setTimeout(() => this.#sendSettings(), SETTLE);
    else this.#sendSettings();
  }

  /** Put other settings in place of all. */
  replace(settings) {
    this.change((draft) => Object.assign(draft, structuredClone(settings)), {
      view: { network: 0, layer: 0 },
    });
  }

  look(view) {
    Object.assign(this.view, view);
    this.#writeAddress();
    this.emit("view");
    this.redraw();
  }

  play(playing = !this.playing) {
    if (this.send({ do: playing ? "play" : "pause" })) this.#setPlaying(playing);
  }

  step() {
    this.#setPlaying(false);
    this.send({ do: "step" });
  }

  reset() {
    this.send({ do: "reset" });
  }

  speed(rate) {
    this.look({ speed: rate });
    this.send({ do: "speed", rate });
  }

  /** Draw once in the next animation frame, however often it is asked for. */
  redraw() {
    if (!this.#drawn) return;
    this.#drawn = false;
    requestAnimationFrame(() => {
      this.#drawn = true;
      if (this.#owed) this.#ask();
      this.#fresh = this.#owed = false;
      if (this.told && this.frame) this.emit("draw", this.frame);
    });
  }

  link() {
    const hash = this.#address();
    return location.origin + location.pathname + (hash ? `#${hash}` : "");
  }

  #opened(again) {
    const { playing } = this;
    this.emit("open", again);
    this.#sendSettings();
    this.send({ do: "speed", rate: this.view.speed });
    this.#ask();
    if (again && playing) this.send({ do: "play" });
  }

  #arrived(frame) {
    if (this.told && frame.networks.length !== this.told.labels.length) {
      this.#ask(); // it shows networks that have gone
      return;
    }
    this.history.add(frame);
    this.frame = frame;
    // the next one is made while this one waits to be drawn; no more than that
    if (this.#fresh) this.#owed = true;
    else this.#ask();
    this.#fresh = true;
    this.#setPlaying(frame.playing);
    this.redraw();
  }

  /** For one more frame. */
  #ask() {
    this.send({ do: "seen" });
  }

  #message(message) {
    if (message.kind === "settings") this.#settled(message);
    else if (message.kind === "error") this.#refused(message);
    else if (message.kind === "paused") this.#setPlaying(false);
    this.emit(message.kind, message);
  }

  #settled(message) {
    this.told = message;
    if (message.restarted) this.frame = null;
    Object.assign(this.view, this.#next);
    this.#next = {};
    this.view.network = Math.min(this.view.network, message.labels.length - 1);
    this.view.layer = Math.max(0, Math.min(this.view.layer, message.settings.hidden.length - 1));
    // an answer to earlier settings than the user's last ones must not undo them
    if (!this.#sent || agree(this.#sent, message.settings)) {
      this.#draft = structuredClone(message.settings);
      this.#sent = null;
    }
    this.#writeAddress();
    this.redraw();
  }

  /** The old state goes on; a link that the server refuses leads to the default. */
  #refused(message) {
    if (message.of !== "settings" || !this.#sent) return;
    const asked = this.#sent;
    this.#next = {};
    this.#sent = null;
    if (this.told) {
      this.#draft = structuredClone(this.told.settings);
      return;
    }
    const { default: standard } = this.zoo;
    if (agree(standard, asked) && agree(asked, standard)) return; // it cannot be made now; asking again would not help
    this.#draft = structuredClone(standard);
    this.view = { ...VIEW };
    message.field = null;
    message.message = `The link cannot be followed: ${message.message.replace(/[^?!.]$/, "$&.")} The default is shown.`;
    this.#sendSettings();
  }

  #sendSettings() {
    const settings = structuredClone(this.#draft);
    if (this.send({ do: "settings", settings })) this.#sent = settings;
  }

  #setPlaying(playing) {
    if (playing === this.playing) return;
    this.playing = playing;
    this.emit("playing", playing);
  }

  #address() {
    return encode(this.#draft, this.view, this.zoo.default);
  }

  #writeAddress() {
    const hash = this.#address();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
  }

  #readAddress() {
    try {
      const read = decode(location.hash, this.zoo.default);
      this.#draft = read.settings;
      this.view = read.view;
    } catch (error) {
      this.emit("toast", error.message);
    }
  }
}

/** Whether settings came back as they were sent; the server may have filled in what was left out. */
function agree(sent, told) {
  if (typeof sent !== "object" || sent === null) return sent === told;
  if (Array.isArray(sent) && sent.length !== told?.length) return false;
  return Object.keys(sent).every(
    (key) => sent[key] === undefined || (told?.[key] !== undefined && agree(sent[key], told[key])),
  );
}
