/** One option as a control, built from its JSON schema: label, help, unit, bounds, reset, and its error. */

import { h, newId, segmented } from "./dom.js";
import { label, value as spoken } from "./format.js";
import { carries } from "./schema.js";

const SLIDER_STEPS = 120;
const SLIDER_RATIO = 1e4; // bounds further apart than this make no useful slider
const FEW = 4;
const OCTAVES = 4;

/**
 * A control: { element, name, show(value, changed), fail(detail), field }.
 * `change(name, value)` and `reset(name)` are called when the person acts.
 */
export function control(name, property, { change, reset, strength = false, known }) {
  const id = newId(name);
  const parts = { id, name, property, change: (given) => change(name, given), known };
  const input = (strength ? strengthInput : kindOf(property, name))(parts);
  const back = h("button", {
    type: "button", class: "reset", title: "Back to the preset", "aria-label": `Reset ${label(name)}`, onclick: () => reset(name),
  }, "↺");
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const element = h("div", { class: `field field-${name}`, "data-option": name },
    h("div", { class: "field-head" },
      input.labels ? h("label", { for: id }, label(name)) : h("span", { class: "label", id: `${id}-label` }, label(name)),
      back, property.unit && h("span", { class: "unit" }, property.unit)),
    input.element,
    h("p", { class: "help", id: `${id}-help` }, property.description, property.source && h("span", { class: "source" }, ` ${property.source}.`)),
    error);
  const describe = () => input.field?.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  describe();
  return {
    element,
    name,
    field: () => input.field ?? element.querySelector("input, button, select"),
    show: (value, changed, base) => {
      input.show(value, base);
      back.classList.toggle("shown", changed);
      back.disabled = !changed;
    },
    fail: (detail) => {
      error.textContent = detail ?? "";
      error.hidden = !detail;
      const field = input.field ?? element.querySelector("input, button, select");
      if (detail) field?.setAttribute("aria-invalid", "true");
      else field?.removeAttribute("aria-invalid");
    },
  };
}

function kindOf(property, name) {
  const variants = property.anyOf ?? [property];
  const choices = variants.find((variant) => variant.enum);
  if (variants.some((variant) => variant.type === "array")) return choices ? choiceOrList : listInput;
  if (property.type === "object") return layerInput;
  if (choices) return choices.enum.length <= FEW && choices.enum.join("").length < 26 ? pressed : selected;
  if (variants.some((variant) => variant.type === "null")) return optional;
  const { minimum, maximum } = property;
  return minimum > 0 && maximum / minimum <= SLIDER_RATIO && name !== "random_shift" ? sliding : plain;
}

function numberInput({ id, property, change }, more = {}) {
  const { minimum, maximum, exclusiveMinimum, type } = property;
  const field = h("input", {
    id, type: "number", min: minimum ?? exclusiveMinimum, max: maximum, step: type === "integer" ? 1 : "any",
    inputmode: type === "integer" ? "numeric" : "decimal", ...more,
    onchange: () => field.value !== "" && change(field.valueAsNumber),
  });
  return field;
}

const unlessFocused = (field, value) => {
  if (document.activeElement !== field || field.type === "range") field.value = value ?? "";
};

function plain(parts) {
  const field = numberInput(parts);
  return { element: field, field, labels: true, show: (value) => { field.value = value ?? ""; } };
}

/** A slider on a logarithmic scale beside the number itself. */
function sliding(parts) {
  const { minimum, maximum, type } = parts.property;
  const field = numberInput(parts);
  const octaves = Math.log2(maximum / minimum);
  const at = (value) => (Math.log2(value / minimum) / octaves) * SLIDER_STEPS;
  const valueAt = (position) => tidy(minimum * 2 ** ((position / SLIDER_STEPS) * octaves), type, minimum, maximum);
  const slider = h("input", {
    type: "range", min: 0, max: SLIDER_STEPS, step: 1, "aria-label": label(parts.name),
    oninput: () => parts.change(valueAt(slider.valueAsNumber)),
  });
  const show = (value) => {
    field.value = value;
    unlessFocused(slider, at(value));
    slider.setAttribute("aria-valuetext", `${value} ${parts.property.unit ?? ""}`);
    slider.style.setProperty("--at", `${(at(value) / SLIDER_STEPS) * 100}%`);
  };
  return { element: h("div", { class: "slide" }, slider, field), field, labels: true, show };
}

function tidy(value, type, minimum, maximum) {
  const digits = value < 100 ? 1 : 10 ** Math.floor(Math.log10(value) - 1);
  const round = type === "integer" ? Math.round(value / digits) * digits : Number(value.toPrecision(2));
  return Math.min(maximum, Math.max(minimum, round));
}

/** A weight as so many times what the preset says. */
function strengthInput(parts) {
  const field = numberInput(parts);
  let base = 1;
  const slider = h("input", {
    type: "range", min: -OCTAVES, max: OCTAVES, step: 0.25, "aria-label": label(parts.name),
    oninput: () => parts.change(Number((base * 2 ** slider.valueAsNumber).toPrecision(3))),
  });
  const show = (value, preset) => {
    base = preset || 1;
    const times = value / base;
    const at = Math.max(-OCTAVES, Math.min(OCTAVES, Math.log2(times || 2 ** -OCTAVES)));
    field.value = value;
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${spoken(times)} times the preset's`);
    slider.style.setProperty("--at", `${((at + OCTAVES) / (2 * OCTAVES)) * 100}%`);
  };
  return { element: h("div", { class: "slide" }, slider, field), field, labels: true, show };
}

function choicesOf(property) {
  return (property.anyOf ?? [property]).find((variant) => variant.enum).enum;
}

function pressed({ name, property, change }) {
  const group = segmented(label(name), Object.fromEntries(choicesOf(property).map((choice) => [choice, choice])), null, change);
  return { element: group.element, show: group.show };
}

function selected({ id, property, change }) {
  const field = h("select", { id, onchange: () => change(field.value) }, choicesOf(property).map((choice) => h("option", {}, choice)));
  return { element: field, field, labels: true, show: (value) => { field.value = value; } };
}

/** A number that may be left out. */
function optional(parts) {
  const bounds = parts.property.anyOf.find((variant) => variant.type !== "null");
  const low = bounds.minimum ?? bounds.exclusiveMinimum ?? 0;
  const middle = Number(((low + (bounds.maximum ?? bounds.exclusiveMaximum ?? 1)) / 2).toPrecision(2));
  const field = numberInput({ ...parts, property: bounds });
  const on = h("input", { type: "checkbox", "aria-label": `Use ${label(parts.name)}`, onchange: () => parts.change(on.checked ? middle : null) });
  const show = (value) => {
    on.checked = value !== null;
    field.disabled = value === null;
    field.value = value ?? "";
  };
  return { element: h("div", { class: "row" }, on, field), field, labels: true, show };
}

const numbersIn = (text) => text.split(/[\s,;]+/).filter(Boolean).map(Number);

/** A choice, or a list of numbers by hand. */
function choiceOrList({ id, name, property, change }) {
  const list = h("input", { type: "text", "aria-label": `${label(name)}, by hand`, placeholder: "128, 256", onchange: () => change(numbersIn(list.value)) });
  const choices = choicesOf(property);
  const field = h("select", { id, onchange: () => {
    list.hidden = field.value !== "by hand";
    if (list.hidden) change(field.value);
    else list.focus();
  } }, [...choices, "by hand"].map((choice) => h("option", {}, choice)));
  const show = (value) => {
    const byHand = Array.isArray(value);
    if (byHand) list.value = value.join(", ");
    field.value = byHand ? "by hand" : value;
    list.hidden = !byHand;
  };
  return { element: h("div", { class: "row" }, field, list), field, labels: true, show };
}

function listInput({ id, change }) {
  const field = h("input", { id, type: "text", onchange: () => change(numbersIn(field.value)) });
  return { element: field, field, labels: true, show: (value) => { field.value = (value ?? []).join(", "); } };
}

/** Layers by name, each with a weight; more can be added from those the network has. */
function layerInput({ name, change, known }) {
  const rows = h("div", { class: "layer-rows" });
  const more = h("select", { "aria-label": `Add to ${label(name)}` });
  const element = h("div", { class: "stack tight" }, rows, more);
  let now = {};
  const row = (layer) => {
    const field = h("input", { type: "number", min: 0, step: "any", "aria-label": `${layer}, ${carries(known, layer).name}`, onchange: () => change({ ...now, [layer]: field.valueAsNumber || 0 }) });
    field.value = now[layer];
    const drop = h("button", { type: "button", class: "icon", "aria-label": `Remove ${layer}`, disabled: Object.keys(now).length < 2, onclick: () => {
      const { [layer]: gone, ...rest } = now;
      change(rest);
    } }, "×");
    return h("div", { class: "row" }, h("code", {}, layer), field, drop);
  };
  more.addEventListener("change", () => more.value && change({ ...now, [more.value]: 1 }));
  const show = (value, base, network = "vgg19") => {
    now = value;
    if (!element.contains(document.activeElement) || rows.children.length !== Object.keys(value).length) rows.replaceChildren(...Object.keys(value).map(row));
    const others = (known.layers[network] ?? []).filter((layer) => !(layer in value));
    more.replaceChildren(h("option", { value: "" }, "Add a layer"), ...others.map((layer) => h("option", {}, layer)));
  };
  return { element, show };
}
