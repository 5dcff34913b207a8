/** What is about to be asked for: two pictures or more, a preset, and the fields that depart from it. */

import { asset, picture } from "./api.js";
import { byDepth, effective, profileOf, schema } from "./schema.js";

const PLACE = "strata.draft";
const KEPT_ACROSS_PRESETS = ["size", "color", "style_scale", "seed"];

const listeners = new Set();

let known = null;

/** The draft itself. Read it freely; change it through the functions below. */
export const draft = { preset: null, overrides: {}, content: null, styles: [], init: null, mask: null };

/** Ready once the schema is here; earlier choices of this tab come back. */
export async function ready() {
  if (known) return;
  known = await schema();
  const { preset = known.defaultPreset, overrides = {}, samples = {} } = stored();
  draft.preset = preset in known.presets ? preset : known.defaultPreset;
  draft.overrides = Object.fromEntries(Object.entries(overrides).filter(([name]) => name in known.properties));
  if (samples.content) draft.content = sample(samples.content);
  draft.styles = (samples.styles ?? []).map(sample);
}

/** The options as they would run. */
export const options = () => effective(known, draft.preset, draft.overrides);

export const isChanged = (name) => name in draft.overrides;

/** Call `listener` after every change, until `signal` says to stop. */
export function onChange(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** Options whose default is the optimiser's own. */
export const OF_THE_OPTIMIZER = ["learning_rate", "parametrization"];

export function setPreset(name) {
  const kept = KEPT_ACROSS_PRESETS.filter(isChanged).map((field) => [field, draft.overrides[field]]);
  draft.preset = name;
  draft.overrides = Object.fromEntries(kept);
  changed();
}

export function setOption(name, value) {
  draft.overrides[name] = value;
  if (name === "optimizer") for (const own of OF_THE_OPTIMIZER) delete draft.overrides[own];
  changed();
}

/** Back to what the preset says. */
export function resetOption(name) {
  delete draft.overrides[name];
  if (name === "layer_weights") delete draft.overrides.profile;
  changed();
}

export function setProfile(name) {
  delete draft.overrides.layer_weights;
  draft.overrides.profile = name;
  changed();
}

/** Layer weights by hand; the profile that happens to have their ratios is named instead. */
export function setWeights(weights) {
  const layers = byDepth(known, options().network, Object.keys(weights));
  const sorted = Object.fromEntries(layers.map((layer) => [layer, weights[layer]]));
  const profile = layers.join() === presetLayers().join() ? profileOf(known, sorted) : undefined;
  if (profile) {
    setProfile(profile);
    return;
  }
  delete draft.overrides.profile;
  draft.overrides.layer_weights = sorted;
  changed();
}

/** The profile in force, or null. */
export function profile() {
  const { layer_weights: weights } = options();
  const layers = byDepth(known, options().network, Object.keys(weights));
  return profileOf(known, Object.fromEntries(layers.map((layer) => [layer, weights[layer]]))) ?? null;
}

function presetLayers() {
  const base = known.presets[draft.preset].options;
  return byDepth(known, base.network, Object.keys(base.layer_weights));
}

/** The request's options: only what departs from the preset. */
export function requested(more = {}) {
  const blend = draft.styles.map((style) => style.blend);
  const uneven = blend.some((share) => share !== blend[0]);
  return { preset: draft.preset, ...draft.overrides, ...(uneven && { style_blend: blend }), ...more };
}

/** A picture from this machine. */
export const ofFile = (file) => ({ blob: file, name: file.name || "pasted.png", url: URL.createObjectURL(file), blend: 1 });

/** One of the page's own samples. */
export function sample({ name, title }) {
  return { sample: { name, title }, name: title, url: asset(`samples/${name}.jpg`), blend: 1 };
}

/** A picture that the service has already. */
export async function ofInput({ id, blend = 1 }, name) {
  return { id, name, url: await picture(`v1/images/${id}/file`), blend };
}

export function setContent(given) {
  draft.content = given;
  changed();
}

export function setInit(given) {
  draft.init = given;
  changed();
}

/** Where each painting goes: see regions.js; or { id } of a map that the service has. */
export function setMask(given) {
  draft.mask = given;
  changed();
}

export function setStyles(given) {
  draft.styles = given;
  changed();
}

/** Without the painting at a place; regions that were the later ones' stay theirs. */
export function removeStyle(at) {
  draft.styles = draft.styles.filter((_, other) => other !== at);
  if (draft.mask?.map) {
    const moved = ([colour, which]) => [colour, which === at ? null : which > at ? which - 1 : which];
    draft.mask = { ...draft.mask, map: Object.fromEntries(Object.entries(draft.mask.map).map(moved)) };
  }
  changed();
}

/** Everything at once: to run a job again with changes. */
export function start({ preset, ...overrides }, { content, styles, init, mask }) {
  delete overrides.style_blend;
  Object.assign(draft, { preset, overrides, content, styles, init, mask });
  changed();
}

/** A picture as it is sent: { blob, name } or { id }. */
export async function sendable(given) {
  if (given.id) return { id: given.id };
  const blob = given.blob ?? (await (await fetch(given.url)).blob());
  return { blob, name: given.sample ? `${given.sample.name}.jpg` : given.name };
}

function changed() {
  const samples = { content: draft.content?.sample, styles: draft.styles.map((style) => style.sample).filter(Boolean) };
  sessionStorage.setItem(PLACE, JSON.stringify({ preset: draft.preset, overrides: draft.overrides, samples }));
  listeners.forEach((listener) => listener());
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE)) ?? {};
  } catch {
    return {};
  }
}
