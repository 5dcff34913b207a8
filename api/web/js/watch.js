/** A job that waits or runs: the preview as it sharpens, progress, losses, cancel. */

import { Problem, cancelJob, jobPath, picture } from "./api.js";
import { lossChart } from "./chart.js";
import { announce, h, replace } from "./dom.js";
import { duration } from "./format.js";
import { byDepth } from "./schema.js";

const QUARTERS = 4;

/** { stage, panel, points, job(job), progress(progress), preview(), connection(ok), ended(job) }. */
export function watch(first, known, inputs, signal) {
  const image = h("img", { alt: "The picture as it is now", hidden: true });
  const frame = h("div", { class: "frame waiting" }, image);
  frame.style.aspectRatio = `${first.content.width} / ${first.content.height}`;
  frame.style.setProperty("--aspect", first.content.width / first.content.height);
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const line = h("p", { class: "progress-line" });
  const detail = h("p", { class: "help" });
  const lost = h("p", { class: "note", role: "status", hidden: true }, "The connection is lost. Trying again.");
  const cancel = h("button", { type: "button", class: "quiet", onclick: stop }, "Cancel");
  const layers = byDepth(known, first.options.network, Object.keys(first.options.layer_weights));
  const chart = lossChart(known, layers);
  const points = [];
  const newest = latestPreview(first.id, image, frame, signal);
  let quarter = 0;
  let waits = false;

  inputs.then(({ content }) => {
    if (!content || !image.hidden) return;
    image.src = content;
    image.hidden = false;
  });

  async function stop() {
    cancel.disabled = true;
    replace(cancel, "Canceling");
    try {
      await cancelJob(first.id);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      cancel.disabled = false;
      replace(cancel, "Cancel");
      replace(detail, problem.message);
    }
  }

  function progress({ iteration, iterations, fraction, eta_seconds: eta, losses }) {
    bar.value = fraction;
    replace(line, `${iteration} of ${iterations} iterations`);
    replace(detail, eta === null ? "Measuring the pace." : `About ${duration(eta)} left.`);
    if (losses) {
      if (points.length && iteration <= points.at(-1).iteration) points.length = iteration === points.at(-1).iteration ? points.length - 1 : 0;
      points.push({ iteration, ...losses });
      chart.show(points, iterations);
    }
    const now = Math.floor(fraction * QUARTERS);
    if (now > quarter && now < QUARTERS) announce(`${now * 25} percent, ${eta === null ? "" : `about ${duration(eta)} left`}.`);
    quarter = now;
  }

  function job(now) {
    if (now.status === "queued") {
      const place = now.queue_position;
      bar.removeAttribute("value");
      replace(line, place > 1 ? `Number ${place} in the queue` : "Next in the queue");
      const eta = now.progress.eta_seconds;
      replace(detail, eta === null ? "It starts as soon as a worker is free." : `Finished in about ${duration(eta)}, as far as one can tell.`);
    } else if (now.status === "processing") {
      if (waits) announce("A worker has begun.");
      progress(now.progress);
    }
    waits = now.status === "queued";
  }

  function ended(now) {
    cancel.remove();
    lost.hidden = true;
    bar.value = now.progress.fraction;
    replace(line, now.status === "canceled" ? `Canceled after ${now.progress.iteration} of ${now.progress.iterations} iterations` : now.error?.title ?? "Failed");
    replace(detail, now.error?.detail ?? "");
    panel.append(h("p", {}, h("a", { class: "button", href: "#/" }, "Back to the pictures")));
    frame.classList.remove("waiting");
  }

  const panel = h("section", { class: "card watch", "aria-label": "Progress" },
    line, bar, detail, lost, h("div", { class: "row" }, cancel), h("h2", {}, "Losses"), chart.element);
  return {
    stage: [frame, h("div", { class: "stage-bar" })], // where the views are chosen later
    panel,
    points,
    job,
    progress,
    preview: newest,
    connection: (ok) => { lost.hidden = ok; },
    ended,
  };
}

/** A function that shows the newest preview; called while one is on its way, it fetches once more afterwards. */
function latestPreview(id, image, frame, signal) {
  let busy = false;
  let again = false;
  return async function fetched() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      const url = await picture(jobPath(id, "preview"), { signal, cache: "no-cache" });
      const before = image.dataset.preview === "yes" ? image.src : null;
      image.src = url;
      await image.decode().catch(() => {});
      image.dataset.preview = "yes";
      image.hidden = false;
      frame.classList.remove("waiting");
      if (before) URL.revokeObjectURL(before);
    } catch (problem) {
      if (!signal.aborted && !(problem instanceof Problem)) throw problem; // a missing preview is no trouble
    }
    busy = false;
    if (again) fetched();
  };
}
