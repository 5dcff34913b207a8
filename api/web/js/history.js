/** The jobs of this service, newest first: look at one, pick several to compare, delete what is not wanted. */

import { Problem, deleteJob, getJob, jobPath, listJobs, picture } from "./api.js";
import { announce, h, heading, pause } from "./dom.js";
import { finished } from "./follow.js";
import { STATUS, ago, title } from "./format.js";
import { forget, remembered } from "./history-store.js";

const PAGE = 40;
const MOST_COMPARED = 6;
const LOOK_MS = 3_000;
const LOOKED_AT = 10; // unfinished jobs, the oldest of them: they are next

/** Show the screen in `main` until `signal`. */
export async function show(main, _, signal) {
  const pages = pagesOf();
  const first = await pages.next();
  if (signal.aborted) return;
  const picked = new Set();
  const compare = h("button", { type: "button", class: "primary", disabled: true, onclick: () => { location.hash = `#/compare/${[...picked].join(",")}`; } }, "Compare");
  const list = h("ul", { class: "gallery" });
  const hint = h("p", { class: "lead" }, "Pick two or more pictures to compare them.");
  const end = h("div", { class: "gallery-end" });
  main.replaceChildren(h("div", { class: "history" },
    h("div", { class: "job-head" }, heading("History"), compare), hint, list, end));
  const images = lazily(signal);
  const pick = (job, on) => {
    if (on) picked.add(job.id);
    else picked.delete(job.id);
    compare.disabled = picked.size < 2;
    compare.textContent = picked.size ? `Compare ${picked.size}` : "Compare";
    list.classList.toggle("full", picked.size >= MOST_COMPARED);
    for (const box of list.querySelectorAll("input")) box.disabled = picked.size >= MOST_COMPARED && !box.checked;
  };
  const unfinished = new Map();
  const made = (job) => {
    const element = card(job, pick, images);
    if (!finished(job)) unfinished.set(element, job);
    return element;
  };
  const add = (jobs) => list.append(...jobs.map(made));
  add(first.value ?? []);
  if (!list.children.length) hint.replaceChildren("Nothing was painted yet. ", h("a", { href: "#/" }, "Paint a photo"));
  moreAtTheEnd(end, pages, add, signal);
  keptCurrent(unfinished, made, signal).catch((reason) => { if (!signal.aborted) throw reason; });
}

/** Put a new card in the place of each whose job has begun or ended, until `signal`. */
async function keptCurrent(unfinished, made, signal) {
  while (!signal.aborted) {
    await pause(LOOK_MS, signal);
    if (document.hidden) continue;
    for (const [element, job] of [...unfinished].slice(-LOOKED_AT)) {
      if (signal.aborted) return;
      const now = await getJob(job.id, { signal }).catch((problem) => {
        if ([404, 410].includes(problem.status)) unfinished.delete(element);
        return job; // in other trouble, again next time
      });
      if (now.status === job.status || !element.isConnected) continue;
      unfinished.delete(element);
      const focused = element.contains(document.activeElement);
      const fresh = made(now);
      element.replaceWith(fresh);
      if (focused) fresh.querySelector("a").focus();
    }
  }
}

/** Pages of jobs: the service's list, or this browser's memory where there is none. */
async function* pagesOf() {
  let cursor;
  try {
    do {
      const { items, next } = await listJobs({ limit: PAGE, cursor });
      yield items;
      cursor = next;
    } while (cursor);
  } catch (problem) {
    if (!(problem instanceof Problem) || ![404, 405].includes(problem.status)) throw problem;
    yield* remembrances();
  }
}

async function* remembrances() {
  const ids = remembered();
  for (let at = 0; at < ids.length; at += PAGE) {
    const page = await Promise.all(ids.slice(at, at + PAGE).map((id) => getJob(id).catch((problem) => {
      if (problem.status === 404) forget(id);
      return null;
    })));
    yield page.filter(Boolean);
  }
}

function moreAtTheEnd(end, pages, add, signal) {
  let busy = false;
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting || busy) return;
    busy = true;
    const { value, done } = await pages.next();
    if (done || signal.aborted) {
      observer.disconnect();
      return;
    }
    add(value);
    busy = false;
    observer.unobserve(end);
    observer.observe(end);
  }, { rootMargin: "600px" });
  observer.observe(end);
  signal.addEventListener("abort", () => observer.disconnect());
}

function card(job, pick, images) {
  const done = job.status === "succeeded";
  const frame = h("a", { class: "card-picture", href: `#/jobs/${job.id}`, "aria-label": `${title(job)}, ${STATUS[job.status].toLowerCase()}` });
  if (!done) frame.append(h("span", {}, STATUS[job.status]));
  if (done || job.status === "processing") images.watch(frame, job);
  const remove = h("button", { type: "button", class: "icon", "aria-label": `Delete ${title(job)}`, onclick: () => deleted(job, element, remove) }, "×");
  const element = h("li", { "data-job": job.id }, frame,
    h("div", { class: "card-line" },
      done && h("input", { type: "checkbox", "aria-label": `Compare ${title(job)}, ${variantOf(job)}`, onchange: (event) => pick(job, event.target.checked) }),
      h("div", {}, h("strong", {}, title(job)), h("span", {}, `${variantOf(job)} · ${ago(job.created_at)}`)),
      finished(job) && remove));
  return element;
}

const variantOf = (job) => job.options.profile ?? job.options.preset;

async function deleted(job, element, button) {
  if (button.dataset.sure !== "yes") {
    button.dataset.sure = "yes";
    button.textContent = "Delete?";
    button.addEventListener("blur", () => {
      button.dataset.sure = "";
      button.textContent = "×";
    }, { once: true });
    return;
  }
  try {
    await deleteJob(job.id);
    forget(job.id);
    const next = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    next?.querySelector("a").focus();
    announce("Deleted.");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    announce(problem.message);
    button.textContent = "×";
    button.title = problem.message;
  }
}

/** Fetch a picture when its place comes near the screen. */
function lazily(signal) {
  const jobs = new Map();
  const urls = [];
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      thumbnail(jobs.get(target), signal).then((url) => {
        urls.push(url);
        target.append(h("img", { src: url, alt: "", decoding: "async" }));
      }).catch((problem) => { if (!signal.aborted && !(problem instanceof Problem)) throw problem; });
    }
  }, { rootMargin: "300px" });
  signal.addEventListener("abort", () => {
    observer.disconnect();
    urls.forEach((url) => URL.revokeObjectURL(url));
  });
  return {
    watch: (target, job) => {
      jobs.set(target, job);
      observer.observe(target);
    },
  };
}

let small = true; // until the service turns out to have no thumbnails

async function thumbnail(job, signal) {
  if (!finished(job)) return picture(jobPath(job.id, "preview"), { signal });
  if (small) {
    try {
      return await picture(jobPath(job.id, "thumbnail"), { signal });
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      small = false;
    }
  }
  return picture(jobPath(job.id, "image?format=webp"), { signal });
}
