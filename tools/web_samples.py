"""Write the page's pictures: photographs, paintings of our own, what a layer sees of a painting, and the profiles.

Run again after changing the choice below, or drawing the gallery again, whose profiles these are:
`python -m tools.web_samples`.
"""

import json
import shutil
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from core.engine.options import PROFILES
from samples import PAINTINGS, PHOTOS, paint, photo

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "api" / "web" / "samples"
GALLERY: Final = ROOT / "docs" / "gallery"
PHOTO_NAMES: Final = ("chelsea", "astronaut", "coffee", "rocket")
PAINTING_NAMES: Final = ("starlit", "wheatfield", "garden", "mosaic", "ember", "knife")
SIDE: Final = 576
THUMB: Final = 96
"""Shown at half of it: sharp on dense screens."""
MAX_BYTES: Final = 60_000
THUMB_BYTES: Final = 4_000

REGIONS: Final = {"relu1_1": 3, "relu2_1": 10, "relu3_1": 24, "relu4_1": 68, "relu5_1": 156}
"""Pixels across of what one position of a VGG-19 layer can see."""
SHOWN: Final = 288


def main() -> None:
    """Write every picture and the list of them."""
    FOLDER.mkdir(exist_ok=True)
    listed: dict[str, list[dict[str, str]]] = {"photos": [], "paintings": []}
    for name in PHOTO_NAMES:
        known = PHOTOS[name]
        _save(photo(name), name)
        listed["photos"].append({"name": name, "title": known.title, "credit": f"{known.source}, {known.licence}"})
    for name in PAINTING_NAMES:
        _save(paint(name, (SIDE, SIDE * 4 // 5)), name)
        listed["paintings"].append({"name": name, "title": PAINTINGS[name].title, "credit": "painted by Strata"})
    (FOLDER / "samples.json").write_text(json.dumps(listed, indent=1) + "\n")
    painting = paint("starlit", (SHOWN, SHOWN))
    for layer, side in REGIONS.items():
        save_jpeg(_without_places(painting, side), FOLDER / f"seen-{layer}.jpg")
    for profile in PROFILES:
        shutil.copyfile(GALLERY / f"profile-{profile}.jpg", FOLDER / f"profile-{profile}.jpg")


def _save(picture: Image.Image, name: str) -> None:
    """The picture within SIDE, and a square thumbnail of its middle."""
    fitted = picture.copy()
    fitted.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    save_jpeg(fitted, FOLDER / f"{name}.jpg")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side)).resize((THUMB, THUMB), Image.Resampling.LANCZOS)
    save_jpeg(square, FOLDER / f"{name}-thumb.jpg", THUMB_BYTES)


def _without_places(picture: Image.Image, side: int) -> Image.Image:
    """Patches of `side` pixels from random places, side by side: what is left when only patches count."""
    rng = np.random.default_rng(side)
    source = np.asarray(picture)
    height, width = source.shape[:2]
    result = np.zeros_like(source)
    for top in range(0, height, side):
        for left in range(0, width, side):
            tall, wide = min(side, height - top), min(side, width - left)
            y, x = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
            result[top : top + tall, left : left + wide] = source[y : y + tall, x : x + wide]
    return Image.fromarray(result)


def save_jpeg(picture: Image.Image, path: Path, most: int = MAX_BYTES) -> None:
    """As good as so many bytes allow."""
    for quality in range(90, 30, -4):
        picture.save(path, "JPEG", quality=quality, optimize=True, progressive=True)
        if path.stat().st_size < most:
            return
    raise ValueError(f"{path.name} does not fit into {most} bytes")


if __name__ == "__main__":
    main()
