/** Numbers, times and names as people read them. */

/** Three significant digits, without a tail of zeros. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}

export function percent(share) {
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.round(share * 100)} %`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "5 minutes ago". */
export function ago(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const [unit, length] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return unit === "second" ? "just now" : RELATIVE.format(Math.round(seconds / length), unit);
}

export function megabytes(bytes) {
  return bytes === null || bytes === undefined ? "–" : `${Math.round(bytes / 1e6)} MB`;
}

/** An option's name as a label: "tv_weight" is "TV weight". */
export function label(name) {
  const words = name.replaceAll("_", " ").replace(/\btv\b/, "TV");
  return words[0].toUpperCase() + words.slice(1);
}

/** An option's value in a sentence or a table. */
export function value(given) {
  if (given === null || given === undefined) return "none";
  if (typeof given === "number") return number(given);
  if (Array.isArray(given)) return given.length ? given.map(value).join(", ") : "all alike";
  if (typeof given === "object") return Object.entries(given).map(([name, weight]) => `${name} ${number(weight)}`).join(", ");
  return String(given);
}

export const STATUS = {
  queued: "Waiting",
  processing: "Painting",
  succeeded: "Finished",
  failed: "Failed",
  canceled: "Canceled",
};

/** What a job is called: the names of its pictures, if it was sent from here. */
export function title(job) {
  const { content, styles } = job.metadata ?? {};
  return content && styles?.length ? `${content} in the manner of ${styles.join(" and ")}` : `Job ${job.id.slice(0, 8)}`;
}
