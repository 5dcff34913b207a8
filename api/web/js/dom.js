/** Elements, announcements and the small functions that every screen uses. */

/** An element: h("button", { class: "quiet", onclick: save, disabled: busy }, "Save"). */
export function h(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG. */
export function svg(tag, given = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), given, children);
}

function filled(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Give an element other children, unless they are the same text. */
export function replace(element, ...children) {
  if (children.length === 1 && typeof children[0] === "string" && element.textContent === children[0]) return;
  element.replaceChildren(...children.flat(Infinity).filter((child) => child || child === 0));
}

let counted = 0;

/** An id that no other element has. */
export function newId(prefix = "id") {
  counted += 1;
  return `${prefix}-${counted}`;
}

/** Say something to those who listen instead of looking. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A button whose text tells for a moment that it worked. */
export async function confirmed(button, text) {
  const before = button.textContent;
  button.textContent = text;
  announce(text);
  await new Promise((done) => setTimeout(done, 1600));
  button.textContent = before;
}

/** Resolves after so long, or rejects when `signal` says to stop. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** The heading of a screen, which takes the focus when the screen appears. */
export function heading(text, ...more) {
  document.title = `${text} · Strata`;
  return h("h1", { tabindex: -1 }, text, ...more);
}

/** A group of buttons of which one is pressed: { value: label }. */
export function segmented(label, choices, chosen, onchoose) {
  const buttons = Object.entries(choices).map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), "data-value": value, onclick: () => choose(value) }, text));
  const choose = (value) => {
    show(value);
    onchoose(value);
  };
  const show = (value) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === value)));
  const element = h("div", { class: "segmented", role: "group", "aria-label": label }, buttons);
  return { element, show };
}
