/** <picture-viewer>: a picture to zoom into and move about, down to its pixels. Several may share one View. */

import { h } from "./dom.js";

const STEP = 1.4;
const NUDGE = 0.1;
const MOST_PIXELS = 16; // of the screen for one of the picture
const CRISP = 2;

/** Where to look: zoom 1 shows all of the picture; x and y are the middle, 0..1. */
export class View extends EventTarget {
  zoom = 1;
  x = 0.5;
  y = 0.5;

  move(change) {
    Object.assign(this, change);
    this.dispatchEvent(new Event("change"));
  }
}

class PictureViewer extends HTMLElement {
  #view = new View();
  #image = h("img", { draggable: "false" });
  #level = h("span", { class: "level" });
  #pointers = new Map();
  #left = new AbortController();

  /** Show a picture. `view` is shared by viewers that move together. */
  set({ src, alt, view, width, height }) {
    if (view && view !== this.#view) {
      this.#view.removeEventListener("change", this.#draw);
      this.#view = view;
      this.#view.addEventListener("change", this.#draw);
    }
    Object.assign(this.#image, { src, alt, width, height });
    this.setAttribute("aria-label", `${alt}. Plus and minus zoom, arrows move, zero shows all.`);
    if (this.isConnected) this.#draw();
    return this;
  }

  connectedCallback() {
    this.#left = new AbortController();
    const { signal } = this.#left;
    this.tabIndex = 0;
    this.setAttribute("role", "group");
    const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.replaceChildren(this.#image, h("div", { class: "tools" }, this.#level,
      button("−", "Zoom out", () => this.#zoomBy(1 / STEP)), button("Fit", "Fit all of it", () => this.#view.move({ zoom: 1, x: 0.5, y: 0.5 })),
      button("1:1", "1:1, one pixel on one pixel", () => this.#move({ zoom: 1 / this.#fit() })), button("+", "Zoom in", () => this.#zoomBy(STEP))));
    this.#view.addEventListener("change", this.#draw);
    signal.addEventListener("abort", () => this.#view.removeEventListener("change", this.#draw));
    this.#image.addEventListener("load", () => this.#draw(), { signal });
    const sizes = new ResizeObserver(() => this.#draw());
    sizes.observe(this);
    signal.addEventListener("abort", () => sizes.disconnect());
    this.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    this.addEventListener("dblclick", (event) => this.#zoomAt(event, this.#view.zoom > 1 ? 1 / this.#view.zoom : 1 / this.#fit()), { signal });
    this.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    this.addEventListener("pointermove", (event) => this.#moved(event), { signal });
    for (const kind of ["pointerup", "pointercancel"]) this.addEventListener(kind, (event) => this.#pointers.delete(event.pointerId), { signal });
  }

  disconnectedCallback() {
    this.#left.abort();
  }

  /** Look elsewhere, once there is a picture: without its size no place is known. */
  #move(change) {
    if (this.#image.naturalWidth) this.#view.move(change);
  }

  /** Screen pixels of one picture pixel when all of it is shown. */
  #fit() {
    const { naturalWidth, naturalHeight } = this.#image;
    return Math.min(this.clientWidth / naturalWidth, this.clientHeight / naturalHeight) || 1;
  }

  #draw = () => {
    if (!this.#image.naturalWidth) return;
    const scale = this.#fit() * this.#view.zoom;
    const place = (middle, size, room) => {
      const most = size <= room ? 0.5 : room / 2 / size;
      return room / 2 - Math.min(1 - most, Math.max(most, middle)) * size;
    };
    const [width, height] = [this.#image.naturalWidth * scale, this.#image.naturalHeight * scale];
    Object.assign(this.#image.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(${place(this.#view.x, width, this.clientWidth)}px, ${place(this.#view.y, height, this.clientHeight)}px)`,
    });
    this.#image.classList.toggle("crisp", scale >= CRISP && this.#view.zoom > 1);
    this.classList.toggle("zoomed", this.#view.zoom > 1);
    this.#level.textContent = `${Math.round(scale * 100)} %`;
  };

  #clamped(zoom) {
    return Math.min(Math.max(zoom, 1), Math.max(1, MOST_PIXELS / this.#fit()));
  }

  #zoomBy(factor) {
    this.#move({ zoom: this.#clamped(this.#view.zoom * factor), ...this.#inside() });
  }

  /** Zoom so that what is under the pointer stays there. */
  #zoomAt({ clientX, clientY }, factor) {
    const box = this.getBoundingClientRect();
    const before = this.#size();
    const zoom = this.#clamped(this.#view.zoom * factor);
    const grown = zoom / this.#view.zoom;
    const { x, y } = this.#inside();
    const [dx, dy] = [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
    this.#move({ zoom, x: x + (dx / before.width) * (1 - 1 / grown), y: y + (dy / before.height) * (1 - 1 / grown) });
  }

  #size() {
    const scale = this.#fit() * this.#view.zoom;
    return { width: this.#image.naturalWidth * scale, height: this.#image.naturalHeight * scale };
  }

  /** The middle, where it is really drawn. */
  #inside() {
    const { width, height } = this.#size();
    const hold = (middle, size, room) => (size <= room ? 0.5 : Math.min(1 - room / 2 / size, Math.max(room / 2 / size, middle)));
    return { x: hold(this.#view.x, width, this.clientWidth), y: hold(this.#view.y, height, this.clientHeight) };
  }

  #pan(dx, dy) {
    const { width, height } = this.#size();
    const { x, y } = this.#inside();
    this.#move({ x: x - dx / width, y: y - dy / height });
  }

  #key(event) {
    const [w, hgt] = [this.clientWidth * NUDGE, this.clientHeight * NUDGE];
    const acts = {
      "+": () => this.#zoomBy(STEP), "=": () => this.#zoomBy(STEP), "-": () => this.#zoomBy(1 / STEP), 0: () => this.#view.move({ zoom: 1, x: 0.5, y: 0.5 }),
      ArrowLeft: () => this.#pan(w, 0), ArrowRight: () => this.#pan(-w, 0), ArrowUp: () => this.#pan(0, hgt), ArrowDown: () => this.#pan(0, -hgt),
    };
    const act = acts[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || (event.key.startsWith("Arrow") && this.#view.zoom === 1)) return;
    event.preventDefault();
    act();
  }

  #wheel(event) {
    if (!event.ctrlKey && this.#view.zoom === 1 && document.activeElement !== this) return; // the page scrolls
    event.preventDefault();
    this.#zoomAt(event, Math.exp(-event.deltaY / 300));
  }

  #down(event) {
    if (event.target.closest(".tools") || event.button) return;
    this.#pointers.set(event.pointerId, event);
    this.setPointerCapture(event.pointerId);
  }

  #moved(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    this.#pointers.set(event.pointerId, event);
    const other = [...this.#pointers.values()].find((each) => each.pointerId !== event.pointerId);
    if (!other) {
      if (this.#view.zoom > 1) this.#pan(event.clientX - before.clientX, event.clientY - before.clientY);
      return;
    }
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    this.#zoomAt(middle, apart(event) / Math.max(1, apart(before)));
  }
}

customElements.define("picture-viewer", PictureViewer);
