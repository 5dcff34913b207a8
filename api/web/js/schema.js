/** What can be asked for, as the service tells it: options, presets, profiles, layers and what they carry. */

import { json } from "./api.js";

let loaded = null;

/** { properties, layers, blocks, profiles, presets, defaultPreset }. Loaded once. */
export function schema() {
  loaded ??= load().catch((problem) => {
    loaded = null;
    throw problem;
  });
  return loaded;
}

async function load() {
  const [options, { presets }] = await Promise.all([json("v1/options"), json("v1/presets")]);
  return {
    properties: options.properties,
    layers: options["x-layers"],
    blocks: options["x-blocks"],
    profiles: options["x-profiles"],
    presets: Object.fromEntries(presets.map((preset) => [preset.name, preset])),
    defaultPreset: options.properties.preset.default,
  };
}

const blockOf = (layer) => layer[4];

/** { name, effect } of a layer: what of a painting it carries. */
export const carries = (known, layer) => known.blocks[blockOf(layer)];

/** Layers from the surface down, as a network has them. */
export function byDepth(known, network, layers) {
  const order = known.layers[network] ?? [];
  return [...layers].sort((a, b) => order.indexOf(a) - order.indexOf(b));
}

/** A class that gives a layer the colour of its depth. */
export const tint = (layer) => `depth-${blockOf(layer)}`;

/** Weights over a preset's layers that a profile means. */
export function profileWeights(known, layers, profile) {
  const ratios = Object.values(known.profiles[profile]);
  return Object.fromEntries(layers.map((layer, at) => [layer, ratios[at]]));
}

/** The profile that has these ratios, or undefined. */
export function profileOf(known, weights) {
  const given = Object.values(weights);
  return Object.keys(known.profiles).find((name) => {
    const ratios = Object.values(known.profiles[name]);
    const scale = given[0] / ratios[0];
    return given.length === ratios.length && scale > 0
      && ratios.every((ratio, at) => Math.abs(given[at] / (ratio * scale) - 1) < 1e-6);
  });
}

/** What runs when a preset is named together with these fields. */
export function effective(known, preset, overrides) {
  const base = known.presets[preset].options;
  const own = byDepth(known, base.network, Object.keys(base.layer_weights));
  const weights = overrides.profile ? { layer_weights: profileWeights(known, own, overrides.profile) } : {};
  return { ...base, ...weights, ...overrides };
}

/** The shortest request for resolved options: the preset, and the fields in which they differ from it. */
export function asked(known, options) {
  const base = known.presets[options.preset]?.options ?? {};
  const given = { preset: options.preset };
  for (const [name, value] of Object.entries(options)) {
    if (name === "preset" || !(name in known.properties)) continue;
    if (!same(value, base[name])) given[name] = value;
  }
  if (given.profile) delete given.layer_weights;
  else delete given.profile;
  return given;
}

/** Equal as JSON, whatever the order of an object's members. */
export function same(a, b) {
  if (a === b) return true;
  if (!a || !b || typeof a !== "object" || typeof b !== "object") return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => same(a[name], b[name]));
}

/** Each weight as its share of all. */
export function shares(weights) {
  const total = Object.values(weights).reduce((sum, weight) => sum + (weight ?? 0), 0);
  return Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, total ? (weight ?? 0) / total : 0]));
}
