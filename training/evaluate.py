"""`python -m training.evaluate`: the four measures of docs/network.md for the untrained and our own networks."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from core.engine.architecture import ARCHITECTURES, STYLE_LAYERS
from core.engine.network import Network, Parameters
from core.engine.pixels import to_image, to_tensor
from core.engine.presets import resolve
from core.engine.seeded import generate
from core.engine.stylize import stylize
from core.engine.weights import Origin, choose, load
from samples import PHOTOS, paint, photo
from training import measures

SYNTHESISED = ("starlit", "marbled", "kelp", "mosaic", "woven", "roof")
PAIRS = (
    ("chelsea", "starlit"),
    ("astronaut", "wheatfield"),
    ("coffee", "ember"),
    ("rocket", "garden"),
    ("camera", "marbled"),
    ("coins", "kelp"),
)
PAINTED_SEED = 7  # of the style pictures: scenes and textures that training has not seen
INVERTED = ("astronaut", "chelsea", "coffee")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each network asked for, print a table, write sheets and `measures.json`."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("networks", nargs="*", default=["seeded", "strata-small", "strata"])
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--textures", type=int, default=56, help="textures to retrieve among")
    parser.add_argument("--steps", type=int, default=80, help="iterations of each drawing")
    parser.add_argument("--side", type=int, default=160, help="longer side of each drawing, pixels")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-speed", action="store_true", help="leave the times out, on a busy machine")
    parser.add_argument("--no-sheets", action="store_true", help="leave the pictures to look at out")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    asked.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    path = asked.out / "measures.json"
    found: dict[str, Mapping[str, float]] = json.loads(path.read_text()) if path.is_file() else {}
    for name in asked.networks:
        with console.status(name):
            found[name] = _evaluate(name, find(name), asked)
        path.write_text(json.dumps(found, indent=2) + "\n")
    console.print(table({name: found[name] for name in asked.networks}), markup=False)
    return 0


def find(name: str) -> Network:
    """`seeded`, a shipped network by name, or a parameter file."""
    device = torch.device("cpu")
    if name == "seeded":
        return Network(Parameters(ARCHITECTURES["vgg19"], "seeded-v1", generate(ARCHITECTURES["vgg19"])), device)
    if name in ARCHITECTURES:
        return Network(load(choose("embedded", name, (), Path())), device)
    width, path = name.split(":", 1)
    return Network(load(Origin("file", ARCHITECTURES[width], Path(path))), device)


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The measures as Markdown: one row a measure, one column a network."""
    rows = dict.fromkeys(key for row in found.values() for key in row)
    lines = ["| measure | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    for key in rows:
        values = [f"{row[key]:.3f}" if key in row else "-" for row in found.values()]
        lines.append(f"| {key} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _evaluate(name: str, network: Network, asked: argparse.Namespace) -> dict[str, float]:
    label = Path(name.split(":")[-1]).stem
    crops = measures.retrieval_set(asked.textures)
    found: dict[str, float] = {}
    for kind, pictures in (("colour", crops), ("grey", measures.colourless(crops))):
        by_layer = measures.retrieval(network, pictures)
        found |= {f"retrieval mAP, {kind}, {layer}": by_layer[layer] for layer in STYLE_LAYERS}
        found[f"retrieval mAP, {kind}, mean"] = mean(by_layer.values())
    photos = [unseen_photo(), *(to_tensor(photo(n)) for n in INVERTED)]
    drawn, found["inversion SSIM"] = measures.inversion(network, photos, asked.side, asked.steps)
    sheet([drawn], asked.side).save(asked.out / f"{label}-inversion.png")
    textures = [to_tensor(paint(n, (256, 256), PAINTED_SEED)) for n in SYNTHESISED]
    if not asked.no_sheets:
        made = [measures.synthesis(network, texture, asked.side, asked.steps) for texture in textures]
        sheet([textures, made], asked.side).save(asked.out / f"{label}-synthesis.png")
        sheet(transfers(network, asked.side, asked.steps), asked.side).save(asked.out / f"{label}-transfer.png")
    if not asked.no_speed:
        style = textures[0]
        for size in (256, 512):
            found[f"seconds per iteration, {size} px"] = measures.seconds_per_iteration(network, photos[0], style, size)
    return found


def transfers(network: Network, side: int, steps: int) -> list[list[Tensor]]:
    """Six pairs in the three profiles, one row a profile, with the default weights."""
    rows = []
    for profile in ("fine-grain", "balanced", "abstract"):
        options = resolve({"size": side, "iterations": steps, "profile": profile, "preview_every": 0})
        row = []
        for content, style in PAIRS:
            assert content in PHOTOS  # noqa: S101 - a name in the table above
            painted = to_tensor(paint(style, (384, 384), PAINTED_SEED))
            row.append(stylize(to_tensor(photo(content)), [painted], options, network).picture)
        rows.append(row)
    return rows


def unseen_photo() -> Tensor:
    """The left picture of Middlebury's motorcycle: measured on, never trained on, as its licence is not stated."""
    import skimage.data

    return to_tensor(Image.fromarray(skimage.data.stereo_motorcycle()[0]))  # type: ignore[no-untyped-call]


def sheet(rows: Sequence[Sequence[Tensor]], side: int) -> Image.Image:
    """Pictures (3, H, W) on one sheet, each in a square cell."""
    out = Image.new("RGB", (side * max(len(row) for row in rows), side * len(rows)))
    for j, row in enumerate(rows):
        for i, picture in enumerate(row):
            image = to_image(picture)
            image.thumbnail((side, side))
            out.paste(image, (i * side, j * side))
    return out


if __name__ == "__main__":
    raise SystemExit(main())
