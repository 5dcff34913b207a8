/** <picture-wipe>: one picture over another, as much of it as a slider says. */

import { h } from "./dom.js";
import { percent } from "./format.js";

class PictureWipe extends HTMLElement {
  /** Show `before` to the left of the edge, `after` to its right. */
  set({ before, after }) {
    const slider = h("input", { type: "range", min: 0, max: 1000, "aria-label": `How much of ${before.alt} covers ${after.alt}`, value: 500, oninput: () => at() });
    const at = () => {
      const share = slider.valueAsNumber / 1000;
      this.style.setProperty("--edge", `${share * 100}%`);
      slider.setAttribute("aria-valuetext", percent(share));
    };
    this.replaceChildren(
      h("img", { src: after.src, alt: after.alt, class: "after" }), h("img", { src: before.src, alt: before.alt, class: "before" }),
      h("span", { class: "edge", "aria-hidden": "true" }), slider,
      h("span", { class: "tag left", "aria-hidden": "true" }, before.tag), h("span", { class: "tag right", "aria-hidden": "true" }, after.tag));
    at();
    return this;
  }
}

customElements.define("picture-wipe", PictureWipe);
