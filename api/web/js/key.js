/** The API key: kept in this browser, asked for when the service wants one. */

import { h } from "./dom.js";

const PLACE = "strata.key";

export const key = () => sessionStorage.getItem(PLACE) ?? localStorage.getItem(PLACE);

let asking = null;

/** Ask for a key, once however many requests need it. Resolves to whether one was given. */
export function askForKey(problem) {
  asking ??= dialog(problem).finally(() => { asking = null; });
  return asking;
}

/** Forget the key, on this device and in this tab. */
function forget() {
  sessionStorage.removeItem(PLACE);
  localStorage.removeItem(PLACE);
}

function dialog(problem) {
  document.getElementById("key").hidden = false; // this service has keys
  const input = h("input", { id: "key-input", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const keep = h("input", { type: "checkbox" });
  const form = h("form", { method: "dialog", class: "stack" },
    h("h2", { id: "key-title" }, "API key"),
    h("p", { id: "key-why" }, problem?.message ?? "The service wants to know who is asking. Leave empty to forget the key."),
    h("label", { for: "key-input" }, "Key"), input,
    h("label", { class: "check" }, keep, "Remember on this device"),
    h("div", { class: "row end" },
      h("button", { type: "button", class: "quiet", onclick: () => element.close("") }, "Not now"),
      h("button", { type: "submit", class: "primary", value: "given" }, "Use this key")));
  const element = h("dialog", { "aria-labelledby": "key-title", "aria-describedby": "key-why" }, form);
  if (!problem) input.required = false;
  document.body.append(element);
  element.showModal();
  return new Promise((resolve) => {
    element.addEventListener("close", () => {
      const given = element.returnValue === "given";
      if (given) forget();
      if (given && input.value) (keep.checked ? localStorage : sessionStorage).setItem(PLACE, input.value.trim());
      element.remove();
      resolve(given);
    });
  });
}
