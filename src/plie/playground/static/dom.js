// Small helpers; each touches the document only where something changes.

/** An element with attributes and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Set an element's text if it is another one. */
export function text(target, value) {
  const words = String(value);
  if (target.textContent !== words) target.textContent = words;
}

export const byId = (id) => document.getElementById(id);

/** At most one call in `wait` ms; the last one always comes. */
export function throttled(wait, call) {
  let timer = 0;
  let last = 0;
  return () => {
    if (timer) return;
    const now = performance.now();
    const left = last + wait - now;
    const go = () => {
      timer = 0;
      last = performance.now();
      call();
    };
    if (left <= 0) go();
    else timer = setTimeout(go, left);
  };
}

export const percent = (share) =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
export const plain = (value, digits = 3) =>
  value === null || value === undefined
    ? "–"
    : Number(value.toPrecision(digits)).toString().replace("-", "−");
