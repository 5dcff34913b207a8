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

/** Send a job: pictures as { blob, name }, or { id } for those that the service has; options as a plain object. */
export function submitJob({ content, styles, init, mask, maskMap, options, metadata }) {
  const form = new FormData();
  const add = (part, { id, blob, name }) => (id ? form.append(part, id) : form.append(part, blob, name));
  add("content", content);
  for (const style of styles) add("style", style);
  if (init) add("init_image", init);
  if (mask) add("mask", mask);
  if (maskMap) form.append("mask_map", JSON.stringify(maskMap));
  form.append("options", JSON.stringify(options));
  form.append("metadata", JSON.stringify(metadata));
  return json("v1/jobs", { method: "POST", body: form, headers: { "Idempotency-Key": onceOnly() } });
}

/** A key that no other request has; randomUUID is missing where the page comes over plain http. */
function onceOnly() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
