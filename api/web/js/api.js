/** The service over HTTP: problems as errors, the key where one is needed, pictures as blobs. */

import { askForKey, key } from "./key.js";

const ROOT = new URL("../../../", import.meta.url);

/** A file of the page itself. */
export const asset = (path) => new URL(`../${path}`, import.meta.url).href;

/** The address of a path of the service. */
export const address = (path) => new URL(path, ROOT).href;

/** What went wrong, as the service says it (RFC 9457). Status 0: it did not answer at all. */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail ?? body.title ?? `The service answered ${status}.`);
    this.status = status;
    this.title = body.title ?? "Something went wrong";
    this.body = body;
    this.errors = body.errors ?? [];
  }
}

/** The answer to a request. Raises Problem. */
export async function call(path, { headers = {}, ...request } = {}) {
  const response = await answered(path, headers, request);
  if (response.ok || response.status === 304) return response;
  const problem = new Problem(response.status, await bodyOf(response));
  if (response.status === 401 && (await askForKey(problem))) return call(path, { headers, ...request });
  throw problem;
}

async function answered(path, headers, request) {
  const authorization = key() ? { Authorization: `Bearer ${key()}` } : {};
  try {
    return await fetch(address(path), { ...request, headers: { ...authorization, ...headers } });
  } catch (error) {
    if (error.name === "AbortError" || request.signal?.aborted) throw error;
    throw new Problem(0, { title: "No connection", detail: "The service does not answer. Is it running?" });
  }
}

async function bodyOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

export const json = async (path, request) => (await call(path, request)).json();

/** The picture at a path, as an address that <img> takes. The caller revokes it. */
export async function picture(path, request) {
  return URL.createObjectURL(await (await call(path, request)).blob());
}

export const jobPath = (id, part = "") => `v1/jobs/${encodeURIComponent(id)}${part && `/${part}`}`;

export const getJob = (id, request) => json(jobPath(id), request);

export const cancelJob = (id) => json(jobPath(id, "cancel"), { method: "POST" });

export const deleteJob = (id) => call(jobPath(id), { method: "DELETE" });

/** Whether the service is well and what draws; the same shape when it is not. */
export async function readiness() {
  try {
    return await json("readyz");
  } catch (problem) {
    return { status: "not ready", parts: {}, network: null, ...problem.body };
  }
}

/** One page of jobs, newest first. */
export function listJobs({ limit = 50, cursor, status } = {}) {
  const query = new URLSearchParams({ limit, ...(cursor && { cursor }), ...(status && { status }) });
  return json(`v1/jobs?${query}`);
}

/** Send a job: pictures as { blob, name } or { id }, options as a plain object. */
export async function submitJob({ content, styles, options, metadata }) {
  const idempotent = { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
  if ([content, ...styles].every((picture) => picture.blob)) {
    const form = new FormData();
    form.append("content", content.blob, content.name);
    for (const style of styles) form.append("style", style.blob, style.name);
    form.append("options", JSON.stringify(options));
    form.append("metadata", JSON.stringify(metadata));
    return json("v1/jobs", { method: "POST", body: form, headers: idempotent });
  }
  const [first, ...rest] = await Promise.all([content, ...styles].map(uploaded));
  const body = JSON.stringify({ content: first, style: rest, options, metadata });
  return json("v1/jobs", { method: "POST", body, headers: { "Content-Type": "application/json", ...idempotent } });
}

async function uploaded(picture) {
  if (picture.id) return { id: picture.id };
  const form = new FormData();
  form.append("image", picture.blob, picture.name);
  return { id: (await json("v1/images", { method: "POST", body: form })).id };
}
