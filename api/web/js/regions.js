/** Where each painting goes: a picture of flat colours, and which colour is which painting. */

import { h, newId, replace } from "./dom.js";

const ACCEPT = "image/png,image/webp";
const MOST_COLOURS = 16; // of a map that somebody drew; what has more goes to the service as it is
const LOOKED_AT = 512; // pixels of its longer side

/**
 * { element, show(mask, paintings), fail(detail), field }.
 * `choose(file)`, `assign(colour, painting)` and `remove()` are called when the person acts.
 */
export function regionMap({ choose, assign, remove }) {
  const id = newId("mask");
  const input = h("input", { type: "file", id, name: "mask", accept: ACCEPT, class: "unseen", "aria-describedby": `${id}-help ${id}-error`,
    onchange: () => {
      if (input.files.length) choose(input.files[0]);
      input.value = "";
    } });
  const prompt = h("label", { class: "button", for: id });
  const away = h("button", { type: "button", class: "icon", "aria-label": "Remove the regions", onclick: remove }, "×");
  const picture = h("div", { class: "region-picture" });
  const rows = h("ul", { class: "region-rows", "aria-label": "Which colour is which painting" });
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const element = h("div", { class: "field regions", "data-option": "mask" },
    h("div", { class: "field-head" }, h("span", { class: "label" }, "Regions")),
    input, h("div", { class: "row" }, prompt, away), picture, rows,
    h("p", { class: "help", id: `${id}-help` }, "A picture of flat colours, shaped like the photo, that says where each painting goes. Without one every painting goes everywhere."),
    error);

  const row = (colour, at, paintings) => {
    const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    const field = h("select", { "aria-label": `Painting for ${colour}`, onchange: () => assign(colour, field.value === "" ? null : Number(field.value)) },
      h("option", { value: "" }, "No painting"), paintings.map((painting, which) => h("option", { value: which }, painting)));
    field.value = at ?? "";
    return h("li", { class: "row" }, swatch, h("code", {}, colour), field);
  };

  let shown = "";
  return {
    element,
    field: () => input,
    show: (mask, paintings) => {
      const now = JSON.stringify([mask?.url, mask?.map, paintings]);
      if (now === shown) return;
      shown = now;
      replace(prompt, mask ? "Choose another" : "Choose a picture");
      away.hidden = !mask;
      picture.replaceChildren(...(mask?.blob ? [h("img", { src: mask.url, alt: "The regions" })] : []));
      const focused = [...rows.querySelectorAll("select")].indexOf(document.activeElement);
      rows.replaceChildren(...(mask?.map ? Object.entries(mask.map).map(([colour, at]) => row(colour, at, paintings)) : []),
        ...(mask?.id ? [h("li", {}, "As in the earlier job.")] : []));
      if (focused >= 0) rows.querySelectorAll("select")[focused]?.focus();
    },
    fail: (detail) => {
      error.textContent = detail ?? "";
      error.hidden = !detail;
      if (detail) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

/** A file as a region map, its colours given to the paintings from the darkest on. `map` is null when it is no drawing of few colours. */
export async function ofFile(file, paintings) {
  const colours = await coloursOf(file).catch(() => null); // the service says what is wrong with it
  const map = colours && Object.fromEntries(colours.map((colour, at) => [colour, at < paintings ? at : null]));
  return { blob: file, name: file.name || "regions.png", url: URL.createObjectURL(file), map };
}

/** The colours that a request names: those that have a painting. */
export function asked({ map }, paintings) {
  if (!map) return null;
  return Object.fromEntries(Object.entries(map).filter(([, at]) => at !== null && at < paintings));
}

async function coloursOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const scale = Math.min(1, LOOKED_AT / Math.max(bitmap.width, bitmap.height));
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.max(1, bitmap.width * scale), height: Math.max(1, bitmap.height * scale) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#fff"; // what the service puts under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const found = new Set();
  for (let at = 0; at < data.length && found.size <= MOST_COLOURS; at += 4) found.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  if (found.size > MOST_COLOURS) return null;
  const brightness = (colour) => (colour >> 16) + ((colour >> 8) & 255) + (colour & 255);
  return [...found].sort((a, b) => brightness(a) - brightness(b) || a - b).map((colour) => `#${colour.toString(16).padStart(6, "0")}`);
}
