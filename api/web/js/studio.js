/** The first screen: pictures, layers, options, Run. */

import { Problem, asset, submitJob } from "./api.js";
import { control } from "./control.js";
import * as drafting from "./draft.js";
import { draft } from "./draft.js";
import { dropZone } from "./drop.js";
import { announce, h, heading, segmented } from "./dom.js";
import { label } from "./format.js";
import { remember } from "./history-store.js";
import { layerSliders } from "./layers.js";
import * as regions from "./regions.js";
import { schema } from "./schema.js";

const MAIN = ["style_weight", "iterations", "size", "color"];
const ELSEWHERE = ["preset", "profile", "style_blend"]; // have a place of their own on this screen
const GROUPS = {
  "Pictures": ["network", "style_scale", "init", "seed", "blend_mode"],
  "Layers": ["layer_weights", "content_layers", "pooling", "padding"],
  "Losses": ["content_weight", "tv_weight", "style_loss", "content_loss", "tv_loss", "distance"],
  "Optimiser": ["optimizer", "learning_rate", "parametrization", "scales", "random_shift", "averaging", "early_stop"],
};
const REST = "The run";
const MANY = "Pictures"; // the group to which the regions belong
const UPLOAD = "upload"; // the value of `init` that needs one picture more

/** Show the screen in `main` until `signal`. */
export async function show(main, _, signal) {
  const [known, samples] = await Promise.all([schema(), sampleList(), drafting.ready()]);
  if (signal.aborted) return;
  const screen = build(known, samples);
  main.replaceChildren(screen.element);
  screen.refresh();
  drafting.onChange(screen.refresh, signal);
  document.addEventListener("paste", (event) => pasted(event, screen), { signal });
}

const sampleList = async () => (await fetch(asset("samples/samples.json"))).json();

function build(known, samples) {
  const zones = dropZones(samples);
  const acts = { change: drafting.setOption, reset: drafting.resetOption, known };
  const named = (names) => names.filter((name) => name in known.properties);
  const controls = new Map();
  const make = (name) => {
    const made = control(name, known.properties[name], { ...acts, strength: name === "style_weight" });
    controls.set(name, made);
    return made.element;
  };
  const mask = regions.regionMap({ choose: regionsChosen, assign: regionAssigned, remove: () => drafting.setMask(null) });
  const sliders = layerSliders(known, drafting.setWeights);
  const profiles = segmented("Profile", Object.fromEntries(Object.keys(known.profiles).map((name) => [name, label(name.replace("-", " "))])), null, drafting.setProfile);
  const preset = presetChoice(known);
  const grouped = Object.values(GROUPS).flat();
  const rest = Object.keys(known.properties).filter((name) => ![...MAIN, ...ELSEWHERE, ...grouped].includes(name));
  const runBar = runControls(known, () => screen);
  const layersError = h("p", { class: "error", hidden: true });
  const panel = h("div", { class: "panel" },
    h("section", { class: "card", "aria-labelledby": "layers-title" },
      h("div", { class: "card-head" }, h("h2", { id: "layers-title" }, "Layers"), h("a", { href: "#/explain" }, "What are these?")),
      profiles.element, sliders.element, layersError),
    h("section", { class: "card", "aria-labelledby": "options-title" },
      h("h2", { id: "options-title" }, "Options"),
      preset.element, named(MAIN).map(make),
      h("details", { class: "drawer" },
        h("summary", {}, "Everything else"),
        Object.entries({ ...GROUPS, [REST]: rest }).map(([title, names]) =>
          h("fieldset", {}, h("legend", {}, title), named(names).map(make), title === MANY && mask.element)))),
    runBar.element);
  const element = h("div", { class: "studio" },
    h("div", { class: "stage" },
      heading("Paint a photo"),
      h("p", { class: "lead" }, "A photo, a painting, and how much each depth of the painting counts."),
      h("div", { class: "zones" }, zones.content.element, zones.style.element, zones.init.element)),
    panel);
  const screen = { element, zones, mask, controls, layersError, runBar, refresh };

  function refresh() {
    const options = drafting.options();
    zones.refresh();
    mask.show(draft.mask, draft.styles.map((style, at) => `${at + 1}: ${style.name}`));
    profiles.show(drafting.profile());
    sliders.show(options.layer_weights, options.network);
    preset.show(draft.preset);
    const base = known.presets[draft.preset].options;
    for (const [name, each] of controls) {
      const itsOwn = drafting.OF_THE_OPTIMIZER.includes(name) && drafting.isChanged("optimizer") && !drafting.isChanged(name);
      const value = itsOwn ? null : options[name];
      each.show(value, drafting.isChanged(name), base[name]);
    }
    runBar.refresh();
  }
  return screen;
}

async function regionsChosen(file) {
  drafting.setMask(await regions.ofFile(file, draft.styles.length));
}

const regionAssigned = (colour, painting) => drafting.setMask({ ...draft.mask, map: { ...draft.mask.map, [colour]: painting } });

function dropZones(samples) {
  const content = dropZone({
    title: "Photo", name: "content", multiple: false, samples: samples.photos,
    hint: "Drop, paste or click. JPEG, PNG or WebP.",
    add: ([file]) => drafting.setContent(drafting.ofFile(file)),
    remove: () => drafting.setContent(null),
    sample: (entry) => drafting.setContent(drafting.sample(entry)),
  });
  const style = dropZone({
    title: "Painting", name: "style", multiple: true, samples: samples.paintings,
    hint: "One, or several to mix.",
    add: (files) => drafting.setStyles([...draft.styles, ...files.map(drafting.ofFile)]),
    remove: drafting.removeStyle,
    blend: (at, share) => {
      draft.styles[at].blend = share;
      style.showShares(draft.styles);
    },
    sample: (entry) => drafting.setStyles([...draft.styles.filter((each) => !each.sample), drafting.sample(entry)]),
  });
  const init = dropZone({
    title: "Beginning", name: "init_image", multiple: false, samples: [],
    hint: "The picture that the run begins with.",
    add: ([file]) => drafting.setInit(drafting.ofFile(file)),
    remove: () => drafting.setInit(null),
  });
  let shown = [null, [], undefined];
  const refresh = () => {
    if (draft.content !== shown[0]) {
      content.show(draft.content ? [draft.content] : []);
      content.fail(null);
    }
    if (draft.styles !== shown[1]) {
      style.show(draft.styles);
      style.fail(null);
    }
    if (draft.init !== shown[2]) {
      init.show(draft.init ? [draft.init] : []);
      init.fail(null);
    }
    init.element.hidden = drafting.options().init !== UPLOAD;
    shown = [draft.content, draft.styles, draft.init];
  };
  content.show([]);
  style.show([]);
  return { content, style, init, refresh };
}

function presetChoice(known) {
  const field = h("select", { id: "preset", "aria-describedby": "preset-help preset-source", onchange: () => drafting.setPreset(field.value) },
    Object.keys(known.presets).map((name) => h("option", {}, name)));
  const source = h("p", { class: "help", id: "preset-source" });
  const element = h("div", { class: "field", "data-option": "preset" },
    h("div", { class: "field-head" }, h("label", { for: "preset" }, "Preset")), field, source,
    h("p", { class: "unseen", id: "preset-help" }, known.properties.preset.description));
  return {
    element,
    show: (name) => {
      field.value = name;
      source.textContent = known.presets[name].source;
      source.title = known.presets[name].choices;
    },
  };
}

function runControls(known, screen) {
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const run = h("button", { type: "button", class: "primary", onclick: () => go([{}]) }, "Run");
  const names = Object.keys(known.profiles);
  const three = h("button", { type: "button", class: "quiet", title: `Run ${names.join(", ")}, and compare`, onclick: () => go(names.map((profile) => ({ profile }))) }, "Three profiles");
  const element = h("div", { class: "run-bar" }, error, h("div", { class: "row" }, run, three));

  async function go(variants) {
    clear(screen());
    if (missing(screen())) return;
    for (const button of [run, three]) button.setAttribute("aria-busy", "true");
    run.disabled = three.disabled = true;
    announce("Sending the pictures.");
    try {
      const jobs = await sent(variants);
      location.hash = jobs.length > 1 ? `#/compare/${jobs.map((job) => job.id).join(",")}` : `#/jobs/${jobs[0].id}`;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      refuse(screen(), problem, error);
    } finally {
      run.disabled = three.disabled = false;
      for (const button of [run, three]) button.removeAttribute("aria-busy");
    }
  }
  return { element, error, refresh: () => { error.hidden = true; } };
}

async function sent(variants) {
  const begins = drafting.options().init === UPLOAD ? [draft.init] : [];
  const [content, ...pictures] = await Promise.all([draft.content, ...draft.styles, ...begins].map(drafting.sendable));
  const styles = pictures.slice(0, draft.styles.length);
  const init = pictures[styles.length];
  const mask = draft.mask && (await drafting.sendable(draft.mask));
  const maskMap = draft.mask && regions.asked(draft.mask, styles.length);
  const metadata = { content: draft.content.name, styles: draft.styles.map((style) => style.name) };
  const jobs = [];
  for (const variant of variants) {
    const options = drafting.requested(variant);
    if (variant.profile) delete options.layer_weights;
    const job = await submitJob({ content, styles, init, mask, maskMap, options, metadata });
    remember(job);
    jobs.push(job);
  }
  return jobs;
}

function missing({ zones, mask }) {
  const lacking = [[draft.content, zones.content, "Choose a photo first."], [draft.styles.length, zones.style, "Choose a painting first."],
    [draft.init || zones.init.element.hidden, zones.init, "Choose the picture to begin with."]]
    .filter(([given]) => !given);
  const given = draft.mask?.map && regions.asked(draft.mask, draft.styles.length);
  if (!lacking.length && given && !Object.keys(given).length) lacking.push([null, mask, "Give at least one colour a painting, or remove the regions."]);
  lacking.forEach(([, zone, text]) => zone.fail(text));
  const field = lacking[0]?.[1].field?.() ?? lacking[0]?.[1].input;
  field?.closest("details")?.setAttribute("open", "");
  field?.focus();
  if (lacking.length) announce(lacking.map(([, , text]) => text).join(" "));
  return lacking.length > 0;
}

function clear({ zones, mask, controls, layersError, runBar }) {
  mask.fail(null);
  zones.content.fail(null);
  zones.style.fail(null);
  zones.init.fail(null);
  controls.forEach((each) => each.fail(null));
  layersError.hidden = true;
  runBar.error.hidden = true;
}

/** Show each error at the field it names, and what names none beside Run. */
function refuse(screen, problem, general) {
  const loose = [];
  let first = null;
  for (const { pointer, detail } of problem.errors) {
    const place = placeOf(screen, pointer);
    if (place) place.fail(detail);
    else loose.push(`${pointer} ${detail}`.trim());
    first ??= place;
  }
  general.textContent = problem.errors.length && !loose.length ? `${problem.title}: see the marked field.` : [problem.errors.length ? "" : problem.message, ...loose].filter(Boolean).join(" ");
  general.hidden = false;
  if (!first) return;
  const field = first.field?.() ?? first.input;
  field?.closest("details")?.setAttribute("open", "");
  field?.focus();
}

function placeOf({ zones, mask, controls, layersError }, pointer) {
  const [, part, option] = pointer.split("/");
  if (part === "content") return zones.content;
  if (part === "init_image") return zones.init;
  if (part === "mask" || part === "mask_map") return mask;
  if (part === "style" || option === "style_blend") return zones.style;
  if (option === "layer_weights" || option === "profile") {
    return { fail: (detail) => { layersError.textContent = detail; layersError.hidden = !detail; } };
  }
  return controls.get(option);
}

function pasted(event, { zones }) {
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (!files.length) return;
  event.preventDefault();
  const intoStyle = draft.content && !zones.content.element.contains(document.activeElement);
  if (intoStyle) drafting.setStyles([...draft.styles, ...files.map(drafting.ofFile)]);
  else drafting.setContent(drafting.ofFile(files[0]));
  announce(intoStyle ? "Pasted as a painting." : "Pasted as the photo.");
}
