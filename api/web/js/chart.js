/** Losses over the iterations: one line for each layer and one for the content, on a logarithmic scale. */

import { h, svg } from "./dom.js";
import { number } from "./format.js";
import { carries, tint } from "./schema.js";

const WIDTH = 420;
const HEIGHT = 220;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;
const MOST_POINTS = 300; // more than that no screen shows
const UNSETTLED = 3; // the first evaluations: a run that begins at the photo has almost no content loss there
const MOST_LINES = 8;
const FEWEST = 20; // iterations on the axis
const CONTENT = "content";

/** { element, show(points, iterations) }; a point is { iteration, content, style_by_layer }. */
export function lossChart(known, layers) {
  const series = [
    ...layers.map((layer) => ({ name: layer, text: carries(known, layer).name, css: tint(layer), of: (point) => point.style_by_layer?.[layer] })),
    { name: CONTENT, text: "Content", css: CONTENT, of: (point) => point.content },
  ];
  const grid = svg("g", { class: "grid" });
  const paths = series.map(({ css }) => svg("path", { class: css }));
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Losses so far: none yet" }, grid, paths, cursor);
  const values = series.map(() => h("td", {}, "–"));
  const caption = h("caption", {}, "No iteration yet");
  const legend = h("table", { class: "legend" }, caption,
    series.map(({ name, text, css }, at) => h("tr", {}, h("th", { scope: "row" }, h("i", { class: css }), text, name !== CONTENT && h("code", {}, name)), values[at])));
  const element = h("div", { class: "chart" }, plot, legend);
  let shown = { points: [], x: null };

  function show(points, planned) {
    const iterations = reached(points.at(-1).iteration, planned);
    const seen = thinned(points);
    const settled = seen.length > UNSETTLED * 2 ? seen.slice(UNSETTLED) : seen;
    const all = settled.flatMap((point) => series.map(({ of }) => of(point))).filter((value) => value > 0);
    if (!all.length) return;
    const x = (iteration) => LEFT + (iteration / iterations) * (WIDTH - LEFT - RIGHT);
    const [low, high] = [Math.log10(Math.min(...all)) - 0.05, Math.log10(Math.max(...all)) + 0.05];
    const y = (value) => Math.min(HEIGHT - BOTTOM, Math.max(TOP, TOP + ((high - Math.log10(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM)));
    grid.replaceChildren(...lines(low, high, y), ...[0, iterations / 2, iterations].map((at) =>
      svg("text", { x: x(at), y: HEIGHT - 5, "text-anchor": at === 0 ? "start" : at === iterations ? "end" : "middle" }, String(Math.round(at)))));
    series.forEach(({ of }, at) => {
      const drawn = seen.filter((point) => of(point) > 0).map((point) => `${x(point.iteration).toFixed(1)},${y(of(point)).toFixed(1)}`);
      paths[at].setAttribute("d", drawn.length ? `M${drawn.join("L")}` : "");
    });
    shown = { points, x };
    tell(points.at(-1));
    plot.setAttribute("aria-label", `Losses after ${points.at(-1).iteration} of ${planned} iterations; the table has the values`);
  }

  function tell(point) {
    caption.textContent = `Iteration ${point.iteration}`;
    series.forEach(({ of }, at) => { values[at].textContent = number(of(point)); });
  }

  plot.addEventListener("pointermove", (event) => {
    if (!shown.points.length) return;
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const nearest = shown.points.reduce((best, point) => (Math.abs(shown.x(point.iteration) - at) < Math.abs(shown.x(best.iteration) - at) ? point : best));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, shown.x(nearest.iteration));
    cursor.setAttribute("visibility", "visible");
    tell(nearest);
  });
  plot.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    if (shown.points.length) tell(shown.points.at(-1));
  });
  return { element, show };
}

/** Where the axis ends: the plan, halved as long as the run is not even half as far. */
function reached(now, planned) {
  let end = planned;
  while (end / 2 > Math.max(now, FEWEST)) end /= 2;
  return end;
}

function thinned(points) {
  const step = Math.ceil(points.length / MOST_POINTS);
  return step <= 1 ? points : points.filter((_, at) => at % step === 0 || at === points.length - 1);
}

function lines(low, high, y) {
  const factors = high - low > 2 ? [1] : high - low > 0.8 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const found = [];
  const stride = Math.max(1, Math.round((high - low) / MOST_LINES)); // a run that went astray spans dozens of powers
  for (let power = Math.floor(low); power <= Math.ceil(high); power += stride) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) > low && Math.log10(value) < high) found.push(value);
    }
  }
  return found.flatMap((value) => [
    svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" }, number(value)),
  ]);
}
