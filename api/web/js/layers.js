/** The sliders of the style layers: the weight of each depth, its share, and all shares as strata. */

import { h } from "./dom.js";
import { percent } from "./format.js";
import { byDepth, carries, shares, tint } from "./schema.js";

// Position 0 leaves a layer out; from there on, eight steps double the weight, up to MOST at the right end.
const STEPS_PER_OCTAVE = 8;
const STEPS = 72;
const MOST = 16;

const weightAt = (position) => (position === 0 ? 0 : Number((MOST * 2 ** ((position - STEPS) / STEPS_PER_OCTAVE)).toPrecision(3)));
const positionOf = (weight) =>
  weight > 0 ? Math.max(1, Math.min(STEPS, Math.round(STEPS + STEPS_PER_OCTAVE * Math.log2(weight / MOST)))) : 0;

/** { element, show(weights, network) }; `change(weights)` is called while a slider moves. */
export function layerSliders(known, change) {
  const strata = h("div", { class: "strata", "aria-hidden": "true" });
  const rows = h("div", { class: "sliders" });
  const element = h("div", { class: "stack tight", "data-option": "layer_weights" }, strata, rows);
  let built = "";
  let now = {};

  function build(layers) {
    built = layers.join();
    strata.replaceChildren(...layers.map((layer) => h("i", { class: tint(layer) })));
    rows.replaceChildren(...layers.map(row));
  }

  function row(layer) {
    const { name, effect } = carries(known, layer);
    const slider = h("input", {
      type: "range", id: `slider-${layer}`, min: 0, max: STEPS, step: 1, "data-layer": layer, "aria-describedby": `effect-${layer}`,
      oninput: () => change({ ...now, [layer]: weightAt(slider.valueAsNumber) }),
    });
    return h("div", { class: `slider ${tint(layer)}` },
      h("label", { for: slider.id }, name, " ", h("code", {}, layer)),
      h("output", { for: slider.id }), slider,
      h("p", { class: "help", id: `effect-${layer}` }, effect));
  }

  function show(weights, network) {
    const layers = byDepth(known, network, Object.keys(weights));
    if (layers.join() !== built) build(layers);
    const largest = Math.max(...Object.values(weights));
    const scale = largest > MOST ? MOST / largest : 1;
    now = Object.fromEntries(layers.map((layer) => [layer, weights[layer] * scale]));
    const share = shares(weights);
    layers.forEach((layer, at) => {
      const slider = rows.children[at].querySelector("input");
      const position = positionOf(now[layer]);
      if (document.activeElement !== slider || slider.valueAsNumber !== position) slider.value = position;
      slider.style.setProperty("--at", `${(position / STEPS) * 100}%`);
      slider.setAttribute("aria-valuetext", percent(share[layer]));
      rows.children[at].querySelector("output").textContent = percent(share[layer]);
      strata.children[at].style.flexGrow = Math.max(share[layer], 0.0001);
    });
  }

  return { element, show };
}
