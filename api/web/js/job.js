/** One job: watched while it waits and runs, looked at when it is done. */

import { picture } from "./api.js";
import { announce, h, heading, replace } from "./dom.js";
import { follow, finished } from "./follow.js";
import { STATUS, title } from "./format.js";
import { remember } from "./history-store.js";
import { look } from "./look.js";
import { schema } from "./schema.js";
import { watch } from "./watch.js";

/** Show the job in `main` until `signal`. */
export async function show(main, [id], signal) {
  const known = await schema();
  let screen = null;
  await new Promise((arrived, refused) => {
    const seen = {
      job: (job) => {
        screen ??= open(main, job, known, signal);
        screen.job(job);
        arrived();
      },
      progress: (progress) => screen.progress(progress),
      preview: () => screen.preview(),
      connection: (ok) => screen?.connection(ok),
    };
    follow(id, seen, signal).catch((problem) => !signal.aborted && refused(problem));
  });
}

function open(main, first, known, signal) {
  remember(first);
  const chip = h("span", { class: "chip" });
  const stage = h("div", { class: "stage" });
  const panel = h("div", { class: "panel" });
  const strip = h("div", { class: "strip" });
  main.replaceChildren(h("div", { class: "job" },
    h("div", { class: "job-head" }, heading(title(first)), chip),
    h("div", { class: "job-grid" }, h("div", { class: "job-stage" }, stage, strip), panel)));
  const inputs = inputsOf(first, signal);
  inputs.then((urls) => strip.replaceChildren(...pictured(first, urls)));
  strip.replaceChildren(...pictured(first, { content: null, styles: [] }));
  const watching = watch(first, known, inputs, signal);
  stage.replaceChildren(...watching.stage);
  panel.replaceChildren(watching.panel);
  let status = null;

  return {
    job(job) {
      watching.job(job);
      if (job.status === status) return;
      const came = status !== null;
      status = job.status;
      replace(chip, STATUS[status]);
      chip.dataset.status = status;
      if (came || finished(job)) announce(`${STATUS[status]}.`);
      if (status === "succeeded") look(job, known, { stage, panel, inputs, points: watching.points }, signal);
      else if (finished(job)) watching.ended(job);
    },
    progress: watching.progress,
    preview: watching.preview,
    connection: watching.connection,
  };
}

/** Addresses of the pictures that went in; null for one that cannot be had. */
async function inputsOf(job, signal) {
  const fetched = await Promise.all([job.content, ...job.styles].map(({ id }) => picture(`v1/images/${id}/file`, { signal }).catch(() => null)));
  signal.addEventListener("abort", () => fetched.forEach((url) => url && URL.revokeObjectURL(url)));
  const [content, ...styles] = fetched;
  return { content, styles };
}

function pictured(job, { content, styles }) {
  const figure = (url, { width, height }, text) => {
    const frame = h("div", { class: "thumb-frame" }, url && h("img", { src: url, alt: text, width, height }));
    frame.style.aspectRatio = `${width} / ${height}`;
    return h("figure", {}, frame, h("figcaption", {}, text));
  };
  const names = job.metadata?.styles ?? [];
  return [
    figure(content, job.content, job.metadata?.content ?? "Photo"),
    ...job.styles.map((style, at) => figure(styles[at], style, names[at] ?? `Painting${job.styles.length > 1 ? ` ${at + 1}` : ""}`)),
  ];
}
