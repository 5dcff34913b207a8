/** Several jobs side by side, looked at together, with what differs in what was asked and what came out. */

import { address, jobPath, picture } from "./api.js";
import { announce, h, heading, replace } from "./dom.js";
import { follow, finished } from "./follow.js";
import { STATUS, duration, label, number, title, value } from "./format.js";
import { MEASURES } from "./metrics.js";
import { same, schema } from "./schema.js";
import { View } from "./viewer.js";

const FACTS = {
  seconds_per_iteration: ["Seconds per iteration", number],
  engine_seconds: ["Painted in", duration],
};

/** Show the jobs in `main` until `signal`. */
export async function show(main, [ids], signal) {
  await schema();
  const view = new View();
  const jobs = new Map(ids.split(",").map((id) => [id, null]));
  const tables = h("div", { class: "stack" });
  const columns = [...jobs.keys()].map((id) => column(id, view, (job) => {
    jobs.set(id, job);
    const known = [...jobs.values()];
    if (known.every(Boolean)) tables.replaceChildren(...differences(known));
  }, signal));
  main.replaceChildren(h("div", { class: "compare" },
    heading("Compare"), h("p", { class: "lead" }, "Zoom or move one picture, and the others follow."),
    h("div", { class: "columns" }, columns.map(({ element }) => element)), tables));
  await Promise.all(columns.map(({ arrived }) => arrived));
}

function column(id, view, learned, signal) {
  const name = h("h2", {}, h("a", { href: `#/jobs/${id}` }, "…"));
  const frame = h("div", { class: "frame waiting" });
  const line = h("p", { class: "help" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const element = h("section", { class: "column", "data-job": id }, name, frame, bar, line);
  let viewer = null;
  let shown = null;

  async function draw(part) {
    const url = await picture(jobPath(id, part), { signal, cache: "no-cache" }).catch(() => null);
    if (!url || signal.aborted || (shown === "image" && part !== "image")) return;
    viewer ??= frame.appendChild(document.createElement("picture-viewer"));
    viewer.set({ src: url, alt: name.textContent, view });
    frame.classList.remove("waiting");
    shown = part;
  }

  const seen = {
    job: (job) => {
      name.firstChild.textContent = heads(job);
      frame.style.aspectRatio = `${job.content.width} / ${job.content.height}`;
      learned(job);
      bar.hidden = finished(job);
      replace(line, finished(job) ? `${STATUS[job.status]}. ${title(job)}.` : `${STATUS[job.status]}.`);
      if (job.status === "succeeded") {
        draw("image");
        announce(`${heads(job)} is finished.`);
      } else if (finished(job)) frame.classList.remove("waiting");
    },
    progress: ({ fraction, iteration, iterations, eta_seconds: eta }) => {
      bar.value = fraction;
      replace(line, `${iteration} of ${iterations} iterations${eta === null ? "" : `, about ${duration(eta)} left`}.`);
    },
    preview: () => draw("preview"),
    connection: () => {},
  };
  const arrived = new Promise((resolve, reject) => {
    const first = seen.job;
    seen.job = (job) => {
      first(job);
      resolve();
    };
    follow(id, seen, signal).catch((problem) => (signal.aborted ? resolve() : reject(problem)));
  });
  return { element, arrived };
}

const heads = (job) => label((job.options.profile ?? job.options.preset).replace("-", " "));

function differences(jobs) {
  const names = Object.keys(jobs[0].options).filter((name) => jobs.some((job) => !same(job.options[name], jobs[0].options[name])));
  const measured = jobs.filter((job) => job.metrics);
  const rows = [
    ...Object.entries(MEASURES).map(([name, { title: text, better }]) => ({ text, better, of: (job) => job.metrics?.[name], as: number })),
    ...Object.entries(FACTS).map(([name, [text, as]]) => ({ text, better: "lower", of: (job) => job.metrics?.[name], as })),
  ];
  return [
    h("section", { class: "card" }, h("h2", {}, "What was asked"), names.length
      ? table(jobs, names.map((name) => [label(name), jobs.map((job) => h("td", {}, spoken(jobs, name)(job.options[name])))]))
      : h("p", {}, "The same options for all.")),
    measured.length > 0 && h("section", { class: "card" }, h("h2", {}, "What came out"),
      table(jobs, rows.map((row) => [row.text, cells(row, jobs)])),
      h("p", { class: "help" }, "Bold is the lowest, where lower means more of what the name says. ", h("a", { href: "#/explain/measures" }, "What the measures do not say"))),
    h("p", { class: "help" }, "This comparison has an address of its own: ", h("a", { href: location.hash }, address(location.hash))),
  ].filter(Boolean);
}

/** How to write an option's value: weights of the same layers as a ratio. */
function spoken(jobs, name) {
  const layers = Object.keys(jobs[0].options[name] ?? {}).sort().join();
  const alike = typeof jobs[0].options[name] === "object" && jobs.every((job) => Object.keys(job.options[name] ?? {}).sort().join() === layers);
  return alike && layers && !Array.isArray(jobs[0].options[name]) ? (weights) => Object.keys(weights).sort().map((layer) => number(weights[layer])).join(" : ") : value;
}

function cells({ better, of, as }, jobs) {
  const values = jobs.map(of);
  const best = better ? Math.min(...values.filter((each) => typeof each === "number")) : null;
  return values.map((each) => h("td", { class: better && each === best ? "best" : "" }, as(each)));
}

function table(jobs, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table" }, h("table", { class: "differences" },
    h("thead", {}, h("tr", {}, h("td", {}), jobs.map((job) => h("th", { scope: "col" }, heads(job))))),
    h("tbody", {}, rows.map(([text, found]) => h("tr", {}, h("th", { scope: "row" }, text), found)))));
}
