/** The jobs sent from this browser, for a service that lists none. */

const PLACE = "strata.jobs";
const MOST = 200;

/** Newest first. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(PLACE)) ?? [];
  } catch {
    return [];
  }
}

export function remember(job) {
  localStorage.setItem(PLACE, JSON.stringify([job.id, ...remembered().filter((id) => id !== job.id)].slice(0, MOST)));
}

export function forget(id) {
  localStorage.setItem(PLACE, JSON.stringify(remembered().filter((other) => other !== id)));
}
