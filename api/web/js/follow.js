/** Follow a job to its end: by server-sent events, resumed after every break, or by asking again and again. */

import { Problem, call, getJob, jobPath } from "./api.js";
import { pause } from "./dom.js";

const TERMINAL = new Set(["succeeded", "failed", "canceled"]);
const SILENCE_MS = 40_000; // the service says something every 15 s
const QUEUE_MS = 3_000;
const POLL_MS = 1_000;
const SLOW_MS = 4_000; // an answer that takes longer is worth a word
const RETRY_MS = [300, 1_000, 2_000, 4_000, 8_000];
const UNSUPPORTED = new Set([404, 405, 406, 501]);

export const finished = (job) => TERMINAL.has(job.status);

/**
 * Tell `seen.job(job)`, `seen.progress(progress)`, `seen.preview()` and `seen.connection(ok)` until the job has ended.
 * Raises Problem when the job cannot be had; whatever else goes wrong is tried again.
 */
export async function follow(id, seen, signal) {
  const run = { id, seen, signal, last: null, failures: 0, events: true, job: await getJob(id, { signal }) };
  seen.job(run.job);
  while (!finished(run.job)) {
    try {
      await (run.events ? streamed(run) : polled(run));
    } catch (error) {
      if (signal.aborted) return;
      await recovered(run, error);
    }
  }
}

async function recovered(run, error) {
  if (error instanceof Problem && run.events && UNSUPPORTED.has(error.status)) {
    run.events = false;
    return;
  }
  if (error instanceof Problem && [401, 403, 404, 410].includes(error.status)) throw error;
  run.seen.connection(false);
  await pause(RETRY_MS[Math.min(run.failures, RETRY_MS.length - 1)], run.signal);
  run.failures += 1;
}

async function look(run) {
  const before = run.job;
  run.job = await patiently(run, getJob(run.id, { signal: run.signal }));
  connected(run);
  run.seen.job(run.job);
  return run.job.progress.iteration !== before.progress.iteration;
}

/** Say so when an answer is long in coming. */
async function patiently(run, answer) {
  const slow = setTimeout(() => run.seen.connection(false), SLOW_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(slow);
  }
}

function connected(run) {
  run.failures = 0;
  run.seen.connection(true);
}

async function polled(run) {
  await pause(POLL_MS, run.signal);
  if (await look(run)) {
    run.seen.progress(run.job.progress);
    const { preview_every: every } = run.job.options;
    if (every && run.job.progress.iteration >= every) run.seen.preview();
  }
}

async function streamed(run) {
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  let silent = setTimeout(() => stop.abort(), SILENCE_MS);
  const queue = setInterval(() => run.job.status === "queued" && look(run).catch(() => {}), QUEUE_MS);
  try {
    const headers = { Accept: "text/event-stream", ...(run.last && { "Last-Event-ID": run.last }) };
    const response = await patiently(run, call(jobPath(run.id, "events"), { headers, signal }));
    connected(run);
    if (response.status === 204) { // all was said before
      await look(run);
      return;
    }
    for await (const event of events(response.body, () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENCE_MS);
    })) {
      await heard(run, event);
      if (finished(run.job)) return;
    }
    await look(run);
    if (!finished(run.job)) throw new Error("the stream ended before the job");
  } finally {
    clearTimeout(silent);
    clearInterval(queue);
    stop.abort();
  }
}

async function heard(run, { id, type, data }) {
  run.last = id ?? run.last;
  if (type === "status" && data.status !== run.job.status) await look(run);
  else if (type === "progress") run.seen.progress(data.progress ?? data);
  else if (type === "preview") run.seen.preview();
}

/** The events of a stream, as the standard says to read them. `alive()` is called for every piece. */
async function* events(body, alive) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  const event = { type: "message", data: "" };
  for (const line of block.split("\n")) {
    const [, field, text] = /^(\w+):? ?(.*)$/.exec(line) ?? [];
    if (field === "event") event.type = text;
    else if (field === "id") event.id = text;
    else if (field === "data") event.data += text;
  }
  if (!event.data) return null;
  return { ...event, data: JSON.parse(event.data) };
}
