// Points drawn with the mouse, or typed in, by class.

import { cleared, rem, watch } from "./canvas.js";
import { byId, element, text } from "./dom.js";
import { markCanvas, paintMark, trace } from "./marks.js";
import { CLASSES, css, onTheme, palette } from "./palette.js";

const REACH = 6; // the plane is [−6, 6]²
const SPACING = 0.32; // between points of one stroke
const LEAST = 10;

/** Points as the settings hold them: 5 bytes each, in base64 for URLs. */
export function pack(points) {
  const bytes = new Uint8Array(points.length * 5);
  const view = new DataView(bytes.buffer);
  points.forEach(([x, y, kind], i) => {
    view.setUint16(5 * i, whole(x), true);
    view.setUint16(5 * i + 2, whole(y), true);
    view.setUint8(5 * i + 4, kind);
  });
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const whole = (value) => Math.round(((clip(value) + REACH) / (2 * REACH)) * 65535);
const counted = (kinds) => (kinds === 1 ? "1 class" : `${kinds} classes`);
const clip = (value) => Math.max(-REACH, Math.min(REACH, value));

export function mountDrawing(app) {
  const dialog = byId("drawing");
  const canvas = byId("drawing-canvas");
  const strokes = []; // each a list of points [x, y, class]: undo takes back one
  let stroke = null;
  const marks = makeClasses();
  const count = () => strokes.reduce((sum, each) => sum + each.length, 0);
  const kind = () => Number(dialog.querySelector("[name=drawing-class]:checked").value);

  watch(canvas, draw);
  onTheme(paint);
  byId("draw").onclick = () => {
    paint();
    dialog.showModal();
    show();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = [];
    strokes.push(stroke);
    put(at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const point = at(event);
    const last = stroke.at(-1);
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) > SPACING) put(point);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => (stroke = null));
  byId("drawing-add").onclick = () => {
    stroke = [];
    strokes.push(stroke);
    put([byId("drawing-x").valueAsNumber || 0, byId("drawing-y").valueAsNumber || 0]);
    stroke = null;
  };
  byId("drawing-undo").onclick = () => {
    strokes.pop();
    show();
  };
  byId("drawing-clear").onclick = () => {
    strokes.length = 0;
    show();
  };
  byId("drawing-use").onclick = () => {
    const points = strokes.flat();
    dialog.close();
    app.change(
      (draft) => (draft.data = { name: "points", points: pack(points), names: ["x1", "x2"] }),
    );
  };

  function put([x, y]) {
    if (count() >= app.zoo.limits.points) return;
    stroke.push([clip(x), clip(y), kind()]);
    show();
  }

  function at({ offsetX, offsetY }) {
    return [
      (offsetX / canvas.clientWidth) * 2 * REACH - REACH,
      REACH - (offsetY / canvas.clientHeight) * 2 * REACH,
    ];
  }

  function show() {
    const points = strokes.flat();
    const kinds = [...new Set(points.map((point) => point[2]))];
    // the server numbers classes from 0 up
    const missing =
      points.length < LEAST
        ? `At least ${LEAST} points are needed`
        : kinds.length < 2
          ? "At least two classes are needed"
          : "";
    text(
      byId("drawing-message"),
      missing
        ? `${missing}; there are ${points.length} points of ${counted(kinds.length)}.`
        : `${points.length} of at most ${app.zoo.limits.points} points.`,
    );
    byId("drawing-use").disabled = Boolean(missing);
    byId("drawing-undo").disabled = byId("drawing-clear").disabled = points.length === 0;
    canvas.setAttribute(
      "aria-label",
      points.length
        ? `${points.length} points of ${counted(kinds.length)}`
        : "No points yet; draw with the mouse or add them below",
    );
    draw();
  }

  function draw() {
    const room = cleared(canvas);
    if (!room) return;
    const { context, width, height } = room;
    const { line, classes } = palette();
    context.strokeStyle = css(line);
    context.beginPath();
    context.moveTo(width / 2, 0);
    context.lineTo(width / 2, height);
    context.moveTo(0, height / 2);
    context.lineTo(width, height / 2);
    context.stroke();
    for (const [x, y, each] of strokes.flat()) {
      trace(
        context,
        each,
        ((x + REACH) / (2 * REACH)) * width,
        ((REACH - y) / (2 * REACH)) * height,
        0.26 * rem(),
      );
      context.fillStyle = css(classes[each]);
      context.fill();
    }
  }

  function paint() {
    marks.forEach((mark, i) => paintMark(mark, i, css(palette().classes[i])));
    draw();
  }
}

function makeClasses() {
  return Array.from({ length: CLASSES }, (_, kind) => {
    const mark = markCanvas();
    const radio = element("input", { type: "radio", name: "drawing-class", value: kind });
    radio.checked = kind === 0;
    byId("drawing-classes").append(
      element("label", {}, radio, mark, element("span", { class: "hidden" }, `Class ${kind}`)),
    );
    return mark;
  });
}
