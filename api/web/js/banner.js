/** The line that says which network draws, and whether anything draws at all. */

import { readiness } from "./api.js";
import { h, replace } from "./dom.js";

const SLOWLY_MS = 60_000;
const SOON_MS = 5_000;

/** Keep the banner true for as long as the page is open. */
export async function bannerKept(banner) {
  const now = await readiness();
  const { tone, text, more } = said(now);
  if (banner.dataset.tone !== tone || !banner.textContent.startsWith(text)) {
    banner.dataset.tone = tone;
    replace(banner, h("span", {}, text), " ", more && h("a", { href: "#/explain/networks" }, more));
  }
  setTimeout(() => bannerKept(banner), now.status === "ready" ? SLOWLY_MS : SOON_MS);
}

function said({ parts, network, detail }) {
  const broken = Object.entries(parts).find(([, part]) => !part.ok);
  if (broken) return { tone: "wrong", text: wrong(...broken) };
  if (!network) return { tone: "wrong", text: detail ?? "The service does not answer." };
  if (network.weights.startsWith("seeded")) {
    return {
      tone: "preview",
      text: "An untrained network draws here: this service was started with seeded weights, for tests.",
      more: "What that means",
    };
  }
  return { tone: "real", text: `Drawn by ${network.network.toUpperCase()}, on ${network.device}.` };
}

function wrong(name, { detail }) {
  if (name === "worker") return `No painter at work: jobs will wait. Worker: ${detail}.`;
  return `The service is not ready. ${name[0].toUpperCase()}${name.slice(1)}: ${detail}.`;
}
