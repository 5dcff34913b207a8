/** A finished job: the picture to look at, what it cost and what it came to, and where to go from here. */

import { Problem, call, json, jobPath, picture } from "./api.js";
import { lossChart } from "./chart.js";
import { announce, confirmed, h, segmented } from "./dom.js";
import * as drafting from "./draft.js";
import { value, label } from "./format.js";
import { influenceTable, measureList, runFacts } from "./metrics.js";
import { asked, byDepth } from "./schema.js";
import { curl } from "./share.js";
import "./viewer.js";
import "./wipe.js";

const VIEWS = { picture: "Picture", wipe: "Wipe", beside: "Side by side" };

/** Fill the stage and the panel of a job's screen. */
export async function look(job, known, { stage, panel, inputs, points }, signal) {
  const src = await picture(jobPath(job.id, "image"), { signal });
  signal.addEventListener("abort", () => URL.revokeObjectURL(src));
  const urls = await inputs;
  if (signal.aborted) return;
  stage.replaceChildren(...stageOf(job, src, urls));
  panel.replaceChildren(...panelOf(job, known, points, signal));
}

function stageOf(job, src, urls) {
  const frame = h("div", { class: "frame" });
  const { width, height } = job.content;
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.style.setProperty("--aspect", width / height);
  const result = { src, alt: "The result" };
  const shows = {
    picture: () => [document.createElement("picture-viewer").set(result)],
    wipe: () => [document.createElement("picture-wipe").set({
      before: { src: urls.content, alt: "the photo", tag: "Photo" }, after: { src, alt: "the result", tag: "Result" },
    })],
    beside: () => [[urls.content, "Photo"], [src, "Result"], ...urls.styles.map((url) => [url, "Painting"])]
      .filter(([url]) => url)
      .map(([url, text]) => h("figure", {}, h("img", { src: url, alt: text }), h("figcaption", {}, text))),
  };
  const choose = (view) => {
    frame.dataset.view = view;
    frame.replaceChildren(...shows[view]());
  };
  choose("picture");
  const views = urls.content ? VIEWS : { picture: VIEWS.picture };
  return [frame, h("div", { class: "stage-bar" }, segmented("View", views, "picture", choose).element)];
}

function panelOf(job, known, points, signal) {
  const layers = byDepth(known, job.options.network, Object.keys(job.options.layer_weights));
  const chart = lossChart(known, layers);
  if (points.length) chart.show(points, job.progress.iterations);
  json(jobPath(job.id, "losses"), { signal, headers: { Accept: "application/json" } })
    .then((series) => series.length && chart.show(series, Math.max(job.progress.iterations, series.at(-1).iteration)))
    .catch((problem) => { if (!signal.aborted && !(problem instanceof Problem)) throw problem; });
  return [
    actions(job, known),
    job.warnings.length > 0 && h("section", { class: "card note", "aria-label": "Warnings" }, job.warnings.map((warning) => h("p", {}, sentence(warning)))),
    h("section", { class: "card" }, h("h2", {}, "What the layers did"), influenceTable(known, job, layers)),
    h("section", { class: "card" }, h("h2", {}, "Measures"), measureList(job.metrics)),
    h("section", { class: "card" }, h("h2", {}, "Losses"), chart.element,
      h("button", { type: "button", class: "quiet", onclick: () => saved(jobPath(job.id, "losses"), `strata-${job.id}.csv`, { headers: { Accept: "text/csv" } }) }, "Download as CSV")),
    h("section", { class: "card" }, h("h2", {}, "The run"), runFacts(job), h("details", {}, h("summary", {}, "All options"), optionTable(job.options, asked(known, job.options)))),
  ].filter(Boolean);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function actions(job, known) {
  const button = (text, act, kind = "quiet") => h("button", { type: "button", class: kind, onclick: (event) => acted(event.currentTarget, act) }, text);
  return h("section", { class: "card actions", "aria-label": "Actions" },
    button("Download PNG", () => saved(jobPath(job.id, "image?format=png"), `strata-${job.id}.png`), "primary"),
    button("JPEG", () => saved(jobPath(job.id, "image?format=jpeg"), `strata-${job.id}.jpg`)),
    button("Run again with changes", () => again(job, known)),
    button("Copy link", async (self) => copied(self, location.href)),
    button("Copy as curl", async (self) => copied(self, curl(job, known))));
}

async function acted(button, act) {
  try {
    await act(button);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    confirmed(button, problem.title);
  }
}

async function copied(button, text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copiedByHand(text);
  await confirmed(button, "Copied");
}

/** Browsers have no clipboard for pages that come over plain http from elsewhere. */
function copiedByHand(text) {
  const field = h("textarea", { class: "unseen", value: text });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

async function saved(path, name, request) {
  const url = URL.createObjectURL(await (await call(path, request)).blob());
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  announce("Downloaded.");
}

/** Open the first screen with this job's pictures and options. */
export async function again(job, known) {
  await drafting.ready();
  const names = job.metadata?.styles ?? [];
  const [content, init, mask, ...styles] = await Promise.all([
    drafting.ofInput(job.content, job.metadata?.content ?? "Photo"),
    job.init_image && drafting.ofInput(job.init_image, "Beginning"),
    job.mask && drafting.ofInput(job.mask, "Regions"),
    ...job.styles.map((style, at) => drafting.ofInput(style, names[at] ?? `Painting ${at + 1}`)),
  ]);
  drafting.start(asked(known, job.options), { content, styles, init, mask });
  location.hash = "#/";
}

function optionTable(options, given) {
  return h("table", { class: "facts" }, Object.entries(options).map(([name, set]) =>
    h("tr", { class: name in given ? "given" : "" }, h("th", { scope: "row" }, label(name)), h("td", {}, value(set)))));
}
