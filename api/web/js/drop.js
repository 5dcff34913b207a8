/** A place to put pictures: by choosing, dragging, pasting, or taking a sample. */

import { asset } from "./api.js";
import { h, newId } from "./dom.js";
import { percent } from "./format.js";

const ACCEPT = "image/jpeg,image/png,image/webp";

/**
 * { element, show(pictures), fail(detail, at), take(files), input }.
 * `add(files)`, `remove(at)`, `blend(at, share)` and `sample(entry)` are called when the person acts.
 */
export function dropZone({ title, hint, name, multiple, samples, add, remove, blend, sample }) {
  const id = newId(name);
  const input = h("input", {
    type: "file", id, name, accept: ACCEPT, multiple, class: "unseen", "aria-describedby": `${id}-hint ${id}-error`,
    onchange: () => {
      if (input.files.length) add([...input.files]);
      input.value = "";
    },
  });
  const prompt = h("label", { class: "prompt", for: id });
  const pictures = h("ul", { class: "pictures", "aria-label": `${title}: chosen` });
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const area = h("div", { class: "drop-area" }, pictures, prompt);
  const element = h("section", { class: `drop drop-${name}`, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title), input, area, error,
    samples.length > 0 && h("div", { class: "samples", role: "group", "aria-label": `Sample ${title.toLowerCase()}s` },
      samples.map((entry) => h("button", { type: "button", title: `${entry.title} (${entry.credit})`, "data-sample": entry.name, onclick: () => sample(entry) },
        h("img", { src: asset(`samples/${entry.name}-thumb.jpg`), alt: entry.title, width: 48, height: 48, loading: "lazy" })))));
  dragging(element, add);

  function show(given) {
    element.classList.toggle("empty", given.length === 0);
    element.classList.toggle("several", given.length > 1);
    pictures.replaceChildren(...given.map((picture, at) => tile(picture, at, given)));
    if (given.length > 1) filled(given);
    const again = multiple ? "Add another" : "Choose another";
    prompt.replaceChildren(...(given.length
      ? [h("span", {}, again)]
      : [h("strong", {}, `Choose a ${title.toLowerCase()}`), h("span", {}, hint)]));
    prompt.id = `${id}-hint`;
  }

  function tile(picture, at, all) {
    const image = h("img", { src: picture.url, alt: picture.name, onerror: () => image.replaceWith(h("span", { class: "unreadable" }, "No preview of this file")) });
    const total = all.reduce((sum, each) => sum + each.blend, 0);
    return h("li", {}, image,
      h("button", { type: "button", class: "icon", "aria-label": `Remove ${picture.name}`, onclick: () => remove(at) }, "×"),
      all.length > 1 && h("label", { class: "blend" }, h("span", {}, percent(total ? picture.blend / total : 0)),
        h("input", { type: "range", min: 0, max: 1, step: 0.05, value: picture.blend, "aria-label": `Share of ${picture.name}`, "data-at": at,
          oninput: (event) => blend(at, event.target.valueAsNumber) })));
  }

  const filled = (given) => pictures.querySelectorAll(".blend input").forEach((slider, at) => slider.style.setProperty("--at", `${given[at].blend * 100}%`));

  return {
    element,
    input,
    show,
    /** Only the shares changed: the slider that is being moved must stay. */
    showShares: (given) => {
      filled(given);
      const total = given.reduce((sum, each) => sum + each.blend, 0);
      pictures.querySelectorAll(".blend").forEach((part, at) => {
        part.querySelector("span").textContent = percent(total ? given[at].blend / total : 0);
      });
    },
    fail: (detail) => {
      error.textContent = detail ?? "";
      error.hidden = !detail;
      element.classList.toggle("refused", Boolean(detail));
      if (detail) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

function dragging(element, add) {
  let depth = 0;
  const over = (by) => {
    depth = Math.max(0, depth + by);
    element.classList.toggle("over", depth > 0);
  };
  element.addEventListener("dragenter", () => over(1));
  element.addEventListener("dragleave", () => over(-1));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    const files = [...event.dataTransfer.files];
    if (files.length) add(files);
  });
}
