/** The way between the screens, and what stands above all of them. */

import { Problem } from "./api.js";
import { bannerKept } from "./banner.js";
import { h, heading } from "./dom.js";
import { askForKey, key } from "./key.js";

const SCREENS = [
  { name: "studio", pattern: /^\/?$/, load: () => import("./studio.js") },
  { name: "history", pattern: /^\/history$/, load: () => import("./history.js") },
  { name: "job", pattern: /^\/jobs\/([\w-]+)$/, load: () => import("./job.js") },
  { name: "compare", pattern: /^\/compare\/([\w,-]+)$/, load: () => import("./compare.js") },
  { name: "explain", pattern: /^\/explain(?:\/([\w-]+))?$/, load: () => import("./explain.js") },
];

const main = document.getElementById("main");
let leaving = null;
let first = true;

async function arrive() {
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const path = location.hash.slice(1);
  const screen = SCREENS.find(({ pattern }) => pattern.test(path));
  for (const link of document.querySelectorAll("[data-screen]")) {
    if (link.dataset.screen === screen?.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.screen = screen?.name ?? "none";
  try {
    if (!screen) throw new Problem(404, { title: "No such screen", detail: "Nothing is shown under this address." });
    const { show } = await screen.load();
    if (!signal.aborted) await show(main, screen.pattern.exec(path).slice(1), signal);
  } catch (problem) {
    if (!signal.aborted) failed(problem);
  }
  if (!signal.aborted) settle();
}

function settle() {
  if (!first) {
    if (!location.hash.split("/")[2] || document.body.dataset.screen !== "explain") scrollTo(0, 0);
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
  first = false;
}

function failed(problem) {
  const known = problem instanceof Problem;
  if (!known) console.error(problem);
  main.replaceChildren(h("div", { class: "prose" },
    heading(known ? problem.title : "Something went wrong"),
    h("p", {}, known ? problem.message : "The page ran into an error of its own; its console says more."),
    h("p", {}, h("button", { type: "button", class: "primary", onclick: arrive }, "Try again"), " ", h("a", { href: "#/" }, "Back to the start"))));
}

const change = document.getElementById("key");
change.hidden = !key();
change.addEventListener("click", async () => {
  if (await askForKey()) arrive();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
// A picture dropped beside its place must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
addEventListener("hashchange", arrive);
bannerKept(document.getElementById("banner"));
arrive();
