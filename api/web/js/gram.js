/** A Gram matrix to play with: six simple features of a small picture, and what shuffling its patches does to them. */

import { asset } from "./api.js";
import { announce, h, svg } from "./dom.js";
import { percent } from "./format.js";

const SIDE = 96;
const CELL = 20;
const FEATURES = ["light", "red–green", "blue–yellow", "edges |", "edges —", "spots"];
const PAINTING = "starlit";
const PHOTO = "chelsea";

/** A figure: the painting, its Gram matrix, and buttons that shuffle it in patches or put the photo in its place. */
export function gramDemo() {
  const canvas = h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "The painting" });
  const matrix = svg("svg", { viewBox: `-78 -4 ${78 + 6 * CELL + 4} ${6 * CELL + 8}`, role: "img", "aria-label": "Its Gram matrix" });
  const verdict = h("p", { role: "status" }, "This is the painting, and the matrix to match.");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let target = null;

  async function draw(name, patch) {
    const image = h("img", { src: asset(`samples/${name}-thumb.jpg`) });
    await image.decode();
    if (!patch) context.drawImage(image, 0, 0, SIDE, SIDE);
    else shuffled(context, image, patch);
    const features = featuresOf(context.getImageData(0, 0, SIDE, SIDE).data);
    target ??= { scale: features.map((feature) => Math.sqrt(feature.reduce((sum, value) => sum + value * value, 0) / feature.length)) };
    const gram = gramOf(features.map((feature, at) => feature.map((value) => value / target.scale[at])));
    target.gram ??= gram;
    show(gram);
    return Math.sqrt(square(gram.map((value, at) => value - target.gram[at])) / square(target.gram));
  }

  function show(gram) {
    matrix.replaceChildren(...FEATURES.flatMap((name, row) => [
      svg("text", { x: -6, y: row * CELL + CELL / 2 + 4, "text-anchor": "end" }, name),
      ...FEATURES.map((_, column) => {
        const value = gram[row * FEATURES.length + column];
        return svg("rect", { x: column * CELL, y: row * CELL, width: CELL - 1, height: CELL - 1, class: value < 0 ? "negative" : "positive", "fill-opacity": Math.min(1, Math.abs(value)).toFixed(3) });
      }),
    ]));
  }

  const act = (text, name, patch, say) => h("button", { type: "button", onclick: async () => {
    const off = await draw(name, patch);
    canvas.setAttribute("aria-label", text);
    verdict.textContent = say(off);
    announce(verdict.textContent);
  } }, text);
  draw(PAINTING, 0);
  return h("figure", { class: "gram" },
    h("div", { class: "gram-pictures" }, canvas, matrix), verdict,
    h("div", { class: "row" },
      act("The painting", PAINTING, 0, () => "This is the painting, and the matrix to match."),
      act("Shuffled in patches", PAINTING, 24, (off) => `Everything moved, yet the matrix changed by only ${percent(off)}.`),
      act("The photo", PHOTO, 0, (off) => `The photo’s matrix is ${percent(off)} off: its look is another one.`)),
    h("figcaption", {}, "Computed here, with six hand-made features. The network has learned hundreds in each layer."));
}

function shuffled(context, image, patch) {
  const places = [];
  for (let y = 0; y < SIDE; y += patch) for (let x = 0; x < SIDE; x += patch) places.push([x, y]);
  const order = [...places].sort(() => Math.random() - 0.5);
  const scale = image.naturalWidth / SIDE;
  places.forEach(([x, y], at) => context.drawImage(image, order[at][0] * scale, order[at][1] * scale, patch * scale, patch * scale, x, y, patch, patch));
}

function featuresOf(rgba) {
  const at = (x, y, channel) => rgba[(Math.min(SIDE - 1, Math.max(0, y)) * SIDE + Math.min(SIDE - 1, Math.max(0, x))) * 4 + channel] / 255;
  const light = (x, y) => 0.3 * at(x, y, 0) + 0.59 * at(x, y, 1) + 0.11 * at(x, y, 2);
  const found = FEATURES.map(() => []);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const here = light(x, y);
      found[0].push(here);
      found[1].push(at(x, y, 0) - at(x, y, 1));
      found[2].push(at(x, y, 2) - (at(x, y, 0) + at(x, y, 1)) / 2);
      found[3].push(Math.abs(light(x + 1, y) - here));
      found[4].push(Math.abs(light(x, y + 1) - here));
      found[5].push(Math.abs(4 * here - light(x + 1, y) - light(x - 1, y) - light(x, y + 1) - light(x, y - 1)));
    }
  }
  return found;
}

const gramOf = (features) => features.flatMap((a) => features.map((b) => a.reduce((sum, value, at) => sum + value * b[at], 0) / a.length));

const square = (values) => values.reduce((sum, value) => sum + value * value, 0);
