/** A job as a command that anybody can repeat. */

import { address } from "./api.js";
import { key } from "./key.js";
import { asked } from "./schema.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The curl command that asks for the same again; the files are for the person to name. */
export function curl(job, known) {
  const styles = job.styles.length > 1 ? job.styles.map((_, at) => `painting-${at + 1}.jpg`) : ["painting.jpg"];
  return [
    `curl ${address("v1/jobs")}`,
    ...(key() ? ['-H "Authorization: Bearer $STRATA_API_KEY"'] : []),
    "-F content=@photo.jpg",
    ...styles.map((file) => `-F style=@${file}`),
    ...(job.init_image ? ["-F init_image=@beginning.jpg"] : []),
    ...(job.mask ? [`-F mask=${job.mask.id}`] : []), // which colour was which painting is in the stored one only
    `-F ${quoted(`options=${JSON.stringify(asked(known, job.options))}`)}`,
  ].join(" \\\n  ");
}
