// The curves so far, thinned out as they grow: a screen has only so many pixels.

const MOST = 1600;

export class History {
  step = [];
  networks = [];

  /** Take up a frame's new rows. */
  add(frame) {
    const { history, from } = frame;
    if (from === 0 || this.networks.length !== history.networks.length) {
      this.step = [];
      this.networks = history.networks.map((rows) => ({
        loss: [[], []],
        accuracy: [[], []],
        gradient: rows.gradient.map(() => []),
      }));
    }
    push(this.step, history.step);
    this.networks.forEach((kept, i) => {
      for (const key of ["loss", "accuracy", "gradient"]) {
        kept[key].forEach((column, k) => push(column, history.networks[i][key][k] ?? []));
      }
    });
    while (this.step.length > MOST) this.#halve();
  }

  #halve() {
    // the last row always stays
    const keep = (_, i, all) => (all.length - 1 - i) % 2 === 0;
    this.step = this.step.filter(keep);
    for (const network of this.networks) {
      for (const key of ["loss", "accuracy", "gradient"])
        network[key] = network[key].map((column) => column.filter(keep));
    }
  }
}

function push(column, values) {
  for (const value of values) column.push(value);
}
