/** How it works, in pictures and few words. */

import { asset } from "./api.js";
import { gramDemo } from "./gram.js";
import { h, heading, svg } from "./dom.js";
import { label, percent } from "./format.js";
import { carries, schema, shares, tint } from "./schema.js";

const SEEN_BY = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]; // an illustration for each
const PIXELS = { relu1_1: 3, relu2_1: 10, relu3_1: 24, relu4_1: 68, relu5_1: 156 };

/** Show the screen in `main`; `section` is the part to begin with. */
export async function show(main, [section], signal) {
  const known = await schema();
  if (signal.aborted) return;
  main.replaceChildren(h("article", { class: "explain" },
    heading("How it works"),
    h("p", { class: "lead" }, "A network that has learned to see tells two pictures apart by what it notices in them. Strata changes a third picture, a little at a time, until the network notices the shapes of your photo and the look of your painting."),
    layers(known), gram(), weights(known), search(), measures(), networks()));
  if (section) requestAnimationFrame(() => document.getElementById(section)?.scrollIntoView());
}

const part = (id, title, ...children) => h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), children);
const text = (...children) => h("p", {}, children);

function layers(known) {
  return part("layers", "Five depths of looking",
    text("The network looks at a picture in layers, each built on the one before. A position in the first layer sees three pixels across: a speck of colour. One in the deepest sees 156: a star with its halo, a tree against the sky."),
    h("ol", { class: "seen" }, SEEN_BY.map((layer) => {
      const { name, effect } = carries(known, layer);
      return h("li", { class: tint(layer) }, h("img", { src: asset(`samples/seen-${layer}.jpg`), alt: `The painting in shuffled patches of ${PIXELS[layer]} pixels`, width: 288, height: 288, loading: "lazy" }),
        h("strong", {}, name), h("span", {}, h("code", {}, layer), ` sees ${PIXELS[layer]} pixels`), h("p", {}, effect));
    })),
    text("Each picture shows one painting, cut into patches as large as the layer sees, the patches put anywhere. What you still recognise is what that layer can pass on."));
}

function gram() {
  return part("gram", "What goes together, not where",
    text("Within a layer, every feature answers everywhere: here an edge, there a spot of yellow. A Gram matrix multiplies every two of these answers and adds up over the whole picture. It knows that yellow comes with round strokes and blue with long ones. It no longer knows where."),
    gramDemo(),
    text("So two pictures with nearly equal Gram matrices share a look without sharing a motif. That is why a painting’s manner can be laid over your photo."));
}

function weights(known) {
  return part("weights", "Why weights",
    text("Matching all five layers alike is only one choice. Ask more of the first ones, and the photo keeps its forms and takes on colour and grain; ask more of the deep ones, and its forms bend into the painting’s. Only the ratio counts, so the sliders show shares."),
    h("div", { class: "profiles" }, Object.entries(known.profiles).map(([name, ratios]) => {
      const share = shares(ratios);
      const bars = Object.keys(ratios).map((layer) => {
        const bar = h("i", { class: tint(layer), title: `${carries(known, layer).name} ${percent(share[layer])}` });
        bar.style.flexGrow = share[layer];
        return bar;
      });
      return h("figure", {}, h("img", { src: asset(`samples/profile-${name}.jpg`), alt: `A cat painted with the profile ${name}`, width: 320, height: 213, loading: "lazy" }),
        h("div", { class: "strata", "aria-hidden": "true" }, bars),
        h("figcaption", {}, h("strong", {}, label(name.replace("-", " "))), ` ${Object.values(ratios).join(" : ")}`));
    })),
    text("The same photo, painting and iterations, painted by VGG-19. ", h("a", { href: "#/" }, "Try it with yours"), ": the button Three profiles makes such a row."));
}

function search() {
  const box = (x, y, wide, title, small) => [
    svg("rect", { x, y, width: wide, height: 44, rx: 6 }), svg("text", { x: x + wide / 2, y: y + 19, "text-anchor": "middle", class: "strong" }, title), svg("text", { x: x + wide / 2, y: y + 35, "text-anchor": "middle" }, small),
  ];
  const arrow = (d, x, y, turn = 0) => [svg("path", { d, class: "arrow" }), svg("path", { d: "M0 0L-9 -4.5V4.5Z", class: "head", transform: `translate(${x} ${y}) rotate(${turn})` })];
  return part("search", "A picture, not a network, is trained",
    text("The network stays as it is. What changes is the picture: the run begins with your photo, asks the network how far shapes and look are off, and follows the slope of that error pixel by pixel. After some hundred such steps little is left to gain. You can watch the error of each layer fall while it happens."),
    h("div", { class: "diagram" }, svg("svg", { viewBox: "0 0 640 172", role: "img", "aria-label": "The picture goes into the network. Its shapes are compared with the photo, its look with the painting. Both errors together change the picture." },
      box(10, 62, 130, "The picture", "starts as the photo"), box(210, 62, 130, "The network", "never changes"),
      box(410, 12, 220, "Shapes, against the photo", "content weight"), box(410, 112, 220, "Look, against the painting", "style weight × layer weights"),
      arrow("M140 84H202", 210, 84), arrow("M340 78C370 78 370 34 402 34", 410, 34), arrow("M340 90C370 90 370 134 402 134", 410, 134),
      arrow("M520 156V166H75V114", 75, 107, -90))));
}

function measures() {
  return part("measures", "What the measures do not say",
    text(h("strong", {}, "SSIM"), " compares light, contrast and fine structure with your photo, window by window. ", h("strong", {}, "LPIPS"), " compares what another trained network notices. Both ask how much of the photo is left, and nothing else. Doing nothing at all scores perfectly on both, so neither tells whether a picture is well painted."),
    text("That is why a ", h("strong", {}, "style distance"), " stands beside them: how far the Gram matrices still are from the painting’s, and how far the untouched photo’s were. A good picture has come a long way on that measure and kept what you wanted on the others. Where that balance lies, no number knows. Look at it."),
    text("Distances measured by different networks are not comparable. Each result names the network that measured it."));
}

function networks() {
  return part("networks", "Which network draws",
    text("The look that made this method known comes from VGG-19, a network that learned from a million photographs. It ships with Strata and draws unless you choose another."),
    h("dl", {},
      h("dt", {}, "vgg19"), h("dd", {}, "The reference look."),
      h("dt", {}, "strata, strata-small"), h("dd", {}, "Narrow networks of ours. Several times faster, with less of the look: for a quick try."),
      h("dt", {}, "vgg16"), h("dd", {}, "VGG-19’s smaller sister, where whoever runs this service has fetched it."),
      h("dt", {}, "seeded"), h("dd", {}, "A network of random numbers that never saw a picture. For tests and comparisons.")),
    text("The line at the top of the page says which one is at work, and each result names the one that drew it."));
}
