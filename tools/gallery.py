"""Draws docs/gallery and writes docs/gallery.md: `make gallery`.

Eight photos in the manner of eight paintings by default, and one pair by every profile and every preset, all from
installed packages. What was asked and measured is kept in docs/gallery/measures.json, from which the page is written; a
test holds it to that.
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
NETWORK: Final = "vgg19"
SIZE: Final = 320
JPEG_QUALITY: Final = 84
LOG_EVERY: Final = 25


@dataclass(frozen=True)
class Entry:
    """One picture to draw: its file's name, what would be sent to the service for it, and of which pictures."""

    name: str
    request: Mapping[str, Any]
    photo: str = PHOTO
    painting: str = PAINTING


PAIRS: Final = (
    ("astronaut", "wheatfield"),
    ("chelsea", "ember"),
    ("camera", "marbled"),
    ("coffee", "garden"),
    ("rocket", "starlit"),
    ("hubble_deep_field", "kelp"),
    ("brick", "mosaic"),
    ("grass", "knife"),
)
"""Faces, a still life, a launch by night, a sky, a wall and a meadow; strong and pale, smooth and grainy paintings."""

PAIR_ENTRIES: Final = tuple(Entry(f"pair-{photo}", {}, photo, painting) for photo, painting in PAIRS)

PROFILE_ENTRIES: Final = tuple(Entry(f"profile-{name}", {"profile": name}) for name in PROFILES)
PRESET_ENTRIES: Final = tuple(Entry(f"preset-{name}", {"preset": name}) for name in PRESETS)
ENTRIES: Final = (*PAIR_ENTRIES, *PROFILE_ENTRIES, *PRESET_ENTRIES)


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
    palette_distance: float | None
    content_palette_distance: float | None


class Painter:
    """One network, at one size."""

    def __init__(self, network: str, size: int, iterations: int | None = None) -> None:
        """iterations: at most so many a picture, for a quick look."""
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._weights_dir = Settings().weights_dir
        self._network, self._size, self._iterations = network, size, iterations
        self._drawn: dict[tuple[str, str, str], tuple[Image.Image, Drawn]] = {}

    def draw(self, entry: Entry) -> tuple[Image.Image, Drawn]:
        """The entry's picture, and the facts about it. What asks for the same options is drawn once.

        Raises EngineError when it cannot be drawn.
        """
        asked = resolve(entry.request)
        if (known := (entry.photo, entry.painting, asked.model_dump_json())) not in self._drawn:
            self._drawn[known] = self._draw(entry, asked)
        image, fact = self._drawn[known]
        return image, replace(fact, name=entry.name)

    def _draw(self, entry: Entry, asked: StyleOptions) -> tuple[Image.Image, Drawn]:
        options = resolve({**entry.request, "network": self._network, "size": self._size, "preview_every": 0})
        options = options.model_copy(update={"iterations": min(asked.iterations, self._iterations or asked.iterations)})
        network = self._opened(options)
        content, style = to_tensor(photo(entry.photo)), to_tensor(paint(entry.painting))
        outcome = stylize(content, [style], options, network, _log_progress)
        blend = blend_weights(options, 1)
        measures = measure(
            content, [style], blend, outcome.picture, network.to(torch.float32), Lpips(), color=options.color
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
        """The photo and the painting of presets and profiles, at the gallery's size."""
        pictures = to_tensor(photo(PHOTO)), to_tensor(paint(PAINTING))
        content, style = (to_image(resize(picture, _fitted(picture, self._size))) for picture in pictures)
        return content, style


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
    parts = [_HEAD, "## Eight pairs\n", _PAIRS, _table(PAIR_ENTRIES, known), "## One pair, every way\n", _inputs()]
    parts += ["### Profiles\n", _PROFILES, _table(PROFILE_ENTRIES, known)]
    parts += ["### Presets\n", _PRESETS, _table(PRESET_ENTRIES, known)]
    return "\n".join(parts).rstrip() + "\n"


_HEAD: Final = """\
# Gallery

Pictures that come with the installed packages, drawn by VGG-19 as it ships; `make gallery` draws them all again. The
paintings are made by `samples`, so nobody's licence is in the way.

Beside each picture stand its measures. SSIM, PSNR, LPIPS and the content distance compare with the photo: an untouched
copy scores perfectly. Style and palette distance compare with the painting (0 is the same look, the same colours), and
the figure after the slash is that of the photo itself, before anything was painted.
"""

_PAIRS: Final = """\
Default options, nothing tuned for any of them.
"""

_PROFILES: Final = """\
The same run three times; only the ratios of the five style layers differ.
"""

_PRESETS: Final = """\
Every published system with its own losses, layers, weights, optimiser, start and number of iterations, in the scale of
its own network's activations (`feature_scale`). The network is VGG-19 as it ships, for `tv` too, whose own is VGG-16.
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
    asked = f"{fact.iterations} iterations"
    if fact.iterations < fact.asked_iterations:
        may_stop = resolve(entry.request).early_stop is not None
        asked += f" of at most {fact.asked_iterations}" if may_stop else f" (**of its {fact.asked_iterations}**)"
    title = " ".join(entry.request.values()) or f"{entry.photo}, {entry.painting}"
    given = [f"`{name}: {value}`" for name, value in entry.request.items()] or [title]
    settings = [*given, asked, f"{fact.width} x {fact.height} px"]
    if fact.asked_network not in (fact.network, resolve({}).network):
        settings.append(f"its network is {fact.asked_network}")
    if fact.outcome != "finished":
        settings.append(f"ended: {fact.outcome}")
    measures = [
        f"style distance {_number(fact.style_distance)} / {_number(fact.content_style_distance)}",
        f"palette distance {_number(fact.palette_distance)} / {_number(fact.content_palette_distance)}",
        f"content distance {_number(fact.content_distance)}",
        f"SSIM {_number(fact.ssim)}, PSNR {_number(fact.psnr)} dB, LPIPS {_number(fact.lpips)}",
        f"network `{fact.weights}` ({fact.network}, {fact.dtype})",
    ]
    picture = f"![{title}]({FOLDER}/{entry.name}.jpg)"
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
