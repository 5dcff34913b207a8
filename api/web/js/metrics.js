/** What a finished picture's measures are, and what each of them does and does not say. */

import { h } from "./dom.js";
import { duration, megabytes, number, percent } from "./format.js";
import { carries, shares, tint } from "./schema.js";

/** In the order in which they are shown. `better`: which end is closer to what the name promises. */
export const MEASURES = {
  style_distance: {
    title: "Style distance",
    better: "lower",
    text: "How far the picture’s Gram matrices are from the painting’s. Lower means more of the painting’s look.",
  },
  content_style_distance: {
    title: "… of the photo itself",
    better: null,
    text: "The same for the photo before anything was painted: where the run began.",
  },
  palette_distance: {
    title: "Palette distance",
    better: "lower",
    text: "How far the colours are from the painting’s, wherever they stand. 0 is the same palette.",
  },
  content_palette_distance: {
    title: "… of the photo itself",
    better: null,
    text: "The same for the photo before anything was painted.",
  },
  content_distance: {
    title: "Content distance",
    better: "lower",
    text: "How far the shapes moved away from the photo’s, seen at relu4_2. Some distance is the point of painting.",
  },
  lpips: {
    title: "LPIPS",
    better: null,
    text: "How different picture and photo look to a trained eye, from 0. A copy of the photo scores best, so low is not good by itself.",
  },
  ssim: {
    title: "SSIM",
    better: null,
    text: "How much of the photo’s light, contrast and fine structure is left, up to 1. Strokes lower it; that is no fault.",
  },
  psnr: {
    title: "PSNR",
    better: null,
    unit: "dB",
    text: "How close the pixels are to the photo’s. Says little about paintings; here for comparison with other work.",
  },
};

export function measureList(metrics) {
  const shown = Object.entries(MEASURES).filter(([name]) => name in metrics);
  return h("dl", { class: "measures" }, shown.map(([name, { title, unit, text }]) => {
    const why = metrics[name] === null ? metrics.unavailable?.[name] ?? "It was not measured." : null;
    return h("div", {}, h("dt", {}, title), h("dd", { class: "figure" }, why ? "–" : `${number(metrics[name])}${unit ? ` ${unit}` : ""}`),
      h("dd", { class: "help" }, text, why && h("span", { class: "why" }, ` Not measured: ${why.replace(/\.$/, "")}.`)));
  }));
}

/** Each layer's share as it was asked for beside the share that it had in moving the picture. */
export function influenceTable(known, { options, metrics }, layers) {
  const asked = shares(options.layer_weights);
  const had = metrics.layer_influence ? shares(metrics.layer_influence) : null;
  const most = Math.max(...Object.values(asked), ...Object.values(had ?? {}));
  const bar = (kind, share) => {
    const filled = h("i", { class: kind });
    filled.style.width = `${(share / most) * 100}%`;
    return filled;
  };
  return [
    h("p", { class: "help" }, had
      ? "What you asked for, and beneath it how much each layer really moved the picture, averaged over the run."
      : "What you asked for. How much each layer really moved the picture was not measured."),
    h("table", { class: "influence" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Layer"), h("td", { class: "bars" }), h("th", { scope: "col" }, "Asked"), had && h("th", { scope: "col" }, "Real"))),
      h("tbody", {}, layers.map((layer) => h("tr", { class: tint(layer) },
        h("th", { scope: "row" }, carries(known, layer).name, h("code", {}, layer)),
        h("td", { class: "bars", "aria-hidden": "true" }, bar("asked", asked[layer]), had && bar("real", had[layer] ?? 0)),
        h("td", {}, percent(asked[layer])), had && h("td", {}, percent(had[layer] ?? 0)))))),
  ];
}

const OUTCOMES = {
  finished: "all iterations done",
  converged: "stopped early, nothing moved any more",
  diverged: "went astray; this is the best it reached",
};

export function runFacts({ metrics, outcome, options }) {
  const facts = {
    "Ended": OUTCOMES[outcome] ?? outcome ?? "–",
    "Network": `${metrics.network}, ${metrics.weights}`,
    "Iterations": `${metrics.iterations}, ${duration(metrics.seconds_per_iteration)} each`,
    "Painted in": duration(metrics.engine_seconds),
    "Waited": duration(metrics.queue_seconds),
    "Device": `${metrics.device}, ${metrics.dtype}`,
    "Peak memory": megabytes(metrics.peak_memory_bytes),
    "Preset": options.preset,
  };
  return h("table", { class: "facts" }, Object.entries(facts).map(([name, text]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text))));
}
