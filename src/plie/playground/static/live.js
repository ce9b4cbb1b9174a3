// The websocket: messages out, messages and frames in, and again after a loss.

const LONGEST_WAIT = 5000;
const FULL = 4429; // the code that a server closes with when it has pages enough

/** Calls `on.open(again)`, `on.message(object)`, `on.frame(frame)` and `on.lost(full)`. */
export class Live {
  #socket = null;
  #wait = 500;
  #again = false;

  constructor(on) {
    this.on = on;
    this.#connect();
  }

  /** Whether it went out: nothing is kept for a server that is not there. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #connect() {
    const socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`,
    );
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#socket = socket;
      this.#wait = 500;
      this.on.open(this.#again);
      this.#again = true;
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.on.message(JSON.parse(data));
      else this.on.frame(frameOf(data));
    };
    socket.onclose = ({ code }) => {
      this.#socket = null;
      this.on.lost(code === FULL);
      setTimeout(() => this.#connect(), this.#wait);
      this.#wait = Math.min(this.#wait * 1.6, LONGEST_WAIT);
    };
  }
}

/** The header's fields; grids, unit maps and weights become views of the bytes behind it. */
export function frameOf(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const signed = ([offset, size]) => new Int8Array(buffer, start + offset, size);
  for (const network of frame.networks) {
    network.grid = new Uint8Array(buffer, start + network.grid[0], network.grid[1]);
    network.units = network.units.map(signed);
    network.weights = network.weights.map(signed);
  }
  return frame;
}
