"""Draws docs/gallery and writes docs/gallery.md: `make gallery`.

One photo in the manner of one painting, both from installed packages, by every profile and every preset. What was
asked and measured is kept in docs/gallery/measures.json, from which the page is written; a test holds it to that.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from core.engine.metrics import measure
from core.engine.network import Network, resolve_dtype
from core.engine.options import PROFILES, StyleOptions
from core.engine.perceptual import Lpips
from core.engine.pixels import resize, to_image, to_tensor
from core.engine.presets import PRESETS, resolve
from core.engine.progress import Progress
from core.engine.shares import blend_weights, layers_in_use
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from core.settings import Settings
from samples import PAINTINGS, PHOTOS, paint, photo

log = logging.getLogger(__name__)

DOCS: Final = Path(__file__).parent.parent / "docs"
PAGE: Final = "gallery.md"
FOLDER: Final = "gallery"
MEASURES: Final = "measures.json"

PHOTO: Final = "chelsea"
PAINTING: Final = "ember"
NETWORK: Final = "strata"
SIZE: Final = 320
JPEG_QUALITY: Final = 84
LOG_EVERY: Final = 25


@dataclass(frozen=True)
class Entry:
    """One picture to draw: its file's name, and what would be sent to the service for it."""

    name: str
    request: Mapping[str, Any]


PROFILE_ENTRIES: Final = tuple(Entry(f"profile-{name}", {"profile": name}) for name in PROFILES)
PRESET_ENTRIES: Final = tuple(Entry(f"preset-{name}", {"preset": name}) for name in PRESETS)
WEIGHED_ENTRIES: Final = (
    Entry("weighed-tv", {"preset": "tv", "content_weight": 3.3e3, "style_weight": 5.4e7}),
    Entry("weighed-gatys", {"preset": "gatys", "style_weight": 1e6}),
    Entry("weighed-johnson", {"preset": "johnson", "style_weight": 2e5}),
)
"""Presets whose weights belong to another scale of activations, with weights that suit our network."""
ENTRIES: Final = (*PROFILE_ENTRIES, *PRESET_ENTRIES, *WEIGHED_ENTRIES)


@dataclass(frozen=True)
class Drawn:
    """What is said beside a picture. asked: what the preset itself would have had."""

    name: str
    network: str
    weights: str
    dtype: str
    width: int
    height: int
    iterations: int
    asked_iterations: int
    asked_network: str
    outcome: str
    seconds: float
    ssim: float | None
    psnr: float | None
    lpips: float | None
    content_distance: float | None
    style_distance: float | None
    content_style_distance: float | None


class Painter:
    """One network, one photo, one painting."""

    def __init__(self, network: str, size: int, iterations: int | None = None) -> None:
        """iterations: at most so many a picture, for a quick look."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._weights_dir = Settings().weights_dir
        self._network, self._size, self._iterations = network, size, iterations
        self.content, self.style = to_tensor(photo(PHOTO)), to_tensor(paint(PAINTING))
        self._drawn: dict[str, tuple[Image.Image, Drawn]] = {}

    def draw(self, entry: Entry) -> tuple[Image.Image, Drawn]:
        """The entry's picture, and the facts about it. What asks for the same options is drawn once.

        Raises EngineError when it cannot be drawn.
        """
        asked = resolve(entry.request)
        if (known := asked.model_dump_json()) not in self._drawn:
            self._drawn[known] = self._draw(entry, asked)
        image, fact = self._drawn[known]
        return image, replace(fact, name=entry.name)

    def _draw(self, entry: Entry, asked: StyleOptions) -> tuple[Image.Image, Drawn]:
        options = resolve({**entry.request, "network": self._network, "size": self._size, "preview_every": 0})
        options = options.model_copy(update={"iterations": min(asked.iterations, self._iterations or asked.iterations)})
        network = self._opened(options)
        outcome = stylize(self.content, [self.style], options, network, _log_progress)
        blend = blend_weights(options, 1)
        lpips = Lpips()
        measures = measure(
            self.content, [self.style], blend, outcome.picture, network.to(torch.float32), lpips, color=options.color
        )
        kept = {name: value for name, value in vars(measures).items() if name in Drawn.__dataclass_fields__}
        image = to_image(outcome.picture)
        return image, Drawn(
            name=entry.name,
            network=network.architecture.name,
            weights=network.id,
            dtype=str(network.dtype).removeprefix("torch."),
            width=image.width,
            height=image.height,
            iterations=len(outcome.losses),
            asked_iterations=asked.iterations,
            asked_network=asked.network,
            outcome=outcome.ended,
            seconds=round(outcome.seconds, 1),
            **kept,
        )

    def _opened(self, options: StyleOptions) -> Network:
        origin = choose("auto", options.network, layers_in_use(options), self._weights_dir)
        return Network(load(origin), self._device, resolve_dtype(options.dtype, self._device))

    def inputs(self) -> tuple[Image.Image, Image.Image]:
        """The photo and the painting at the gallery's size."""
        photograph = resize(self.content, _fitted(self.content, self._size))
        return to_image(photograph), to_image(resize(self.style, _fitted(self.style, self._size)))


def _fitted(picture: torch.Tensor, side: int) -> tuple[int, int]:
    height, width = picture.shape[-2:]
    scale = side / max(width, height)
    return round(width * scale), round(height * scale)


def _log_progress(progress: Progress) -> None:
    if progress.iteration % LOG_EVERY == 0:
        done = f"{progress.iteration}/{progress.iterations}"
        log.info("  %s  loss %.4g  %.0f s", done, progress.losses.total, progress.seconds)


def page(drawn: Sequence[Drawn]) -> str:
    """The gallery as Markdown."""
    known = {fact.name: fact for fact in drawn}
    parts = [_HEAD, _inputs(), "## Profiles\n", _PROFILES, _table(PROFILE_ENTRIES, known)]
    parts += ["## Presets\n", _PRESETS, _table(PRESET_ENTRIES, known)]
    parts += ["## Presets, weighed for this network\n", _WEIGHED, _table(WEIGHED_ENTRIES, known)]
    return "\n".join(parts).rstrip() + "\n"


_HEAD: Final = """\
# Gallery

One photo in the manner of one painting, by every profile and every preset. Both pictures come with the installed
packages; `make gallery` draws them all again. The painting is made by `samples`, so nobody's licence is in the way.

Beside each picture stand its measures and the id of the network parameters that drew it. SSIM, PSNR and the content
distance compare with the photo: an untouched copy scores perfectly. The style distance compares with the painting
(0 is the same look), and the figure after the slash is that of the photo itself, before anything was painted.
Style distances compare only between pictures of one network.
"""

_PROFILES: Final = """\
The same run three times; only the ratios of the five style layers differ. Fine grain keeps the cat, whisker by
whisker, and takes the painting's colours and the run of its bristles. Balanced lays the painting's bands across the
face. Abstract lets the face melt into them, nose and mouth first, and is free with the colours: the content distance
is four times that of fine grain.
"""

_PRESETS: Final = """\
Every published system with its own losses, layers, weights, optimiser, start and number of iterations. What is not
theirs is the network: ours needs no download, theirs is torchvision's or Caffe's VGG. That changes the balance of
every preset whose losses are not relative, as the next section says.
"""

_WEIGHED: Final = """\
A content loss that is not relative grows with the square of a network's activations, a style loss with their fourth
power. The activations of our network are about 1, those of the sources' larger, so the published numbers give another
balance here. What the terms weigh at the first iterate, at 256 pixels:

| preset | content | style | variation | what comes of it |
|---|---|---|---|---|
| `tv` | 6.9 | 0.02 | 17000 | flat grey: nothing counts but smoothness |
| `gatys` | 446000 | 2130 | 0 | the photo, in the grain of the noise it began with |
| `johnson` | 34 | 2.1 | 0.0003 | the same |

`tv` works on pictures in 0..255, which a network answers about 57 times as strongly as normalised ones: with content
57^2 and style 57^4 times as heavy its terms are 23000, 233000 and 17000. The other two get a larger style weight. With
that all three paint:
"""


def _inputs() -> str:
    photograph, painting = PHOTOS[PHOTO], PAINTINGS[PAINTING]
    return "\n".join(
        [
            f"| {photograph.title} | {painting.title} |",
            "|---|---|",
            f"| ![The photo]({FOLDER}/content.jpg) | ![The painting]({FOLDER}/style.jpg) |",
            f"| {photograph.source}, {photograph.licence} | `samples.paint({PAINTING!r})` |",
            "",
        ]
    )


def _table(entries: Sequence[Entry], known: Mapping[str, Drawn]) -> str:
    rows = [_row(entry, known[entry.name]) for entry in entries if entry.name in known]
    return "\n".join(["| picture | settings | measures |", "|---|---|---|", *rows, ""])


def _row(entry: Entry, fact: Drawn) -> str:
    (kind, value), *changes = entry.request.items()
    asked = f"{fact.iterations} iterations"
    if fact.iterations < fact.asked_iterations:
        asked += f" (**of its {fact.asked_iterations}**)"
    given = [f"`{name}: {change:.15g}`" for name, change in changes]
    settings = [f"`{kind}: {value}`", *given, asked, f"{fact.width} x {fact.height} px"]
    if fact.asked_network not in (fact.network, resolve({}).network):
        settings.append(f"its network is {fact.asked_network}")
    if fact.outcome != "finished":
        settings.append(f"ended: {fact.outcome}")
    style = f"{_number(fact.style_distance)} / {_number(fact.content_style_distance)}"
    measures = [
        f"style distance {style}",
        f"content distance {_number(fact.content_distance)}",
        f"SSIM {_number(fact.ssim)}, PSNR {_number(fact.psnr)} dB",
        *([f"LPIPS {_number(fact.lpips)}"] if fact.lpips is not None else []),
        f"network `{fact.weights}` ({fact.network}, {fact.dtype})",
    ]
    picture = f"![{value}]({FOLDER}/{entry.name}.jpg)"
    return f"| {picture} | {'<br>'.join(settings)} | {'<br>'.join(measures)} |"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def read(docs: Path) -> list[Drawn]:
    """The facts of the pictures that are there."""
    file = docs / FOLDER / MEASURES
    return [Drawn(**facts) for facts in json.loads(file.read_text())] if file.is_file() else []


def draw(docs: Path, painter: Painter, entries: Sequence[Entry]) -> None:
    """Draw the entries, beside those that are there, and write the page. After each, what is there is whole."""
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(("content", "style"), painter.inputs(), strict=True):
        _save(picture, folder / f"{name}.jpg")
    known = {fact.name: fact for fact in read(docs)}
    for entry in entries:
        log.info("%s", entry.name)
        image, known[entry.name] = painter.draw(entry)
        _save(image, folder / f"{entry.name}.jpg")
        facts = [known[e.name] for e in ENTRIES if e.name in known]
        (folder / MEASURES).write_text(json.dumps([asdict(fact) for fact in facts], indent=1) + "\n")
        (docs / PAGE).write_text(page(facts))


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "JPEG", quality=JPEG_QUALITY, optimize=True)


def main() -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--size", type=int, default=SIZE, help="longer side, pixels")
    parser.add_argument("--iterations", type=int, help="at most so many a picture, for a quick look")
    parser.add_argument("--only", nargs="*", choices=[entry.name for entry in ENTRIES], help="not all of them")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where to write")
    given = parser.parse_args()
    chosen = [entry for entry in ENTRIES if not given.only or entry.name in given.only]
    draw(given.docs, Painter(given.network, given.size, given.iterations), chosen)


if __name__ == "__main__":
    main()
