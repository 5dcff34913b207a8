"""A stored picture in another form: another format, or small.

Runs in a decoder's child process (see decoder.py): a picture of few bytes may have many pixels.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from core.provenance import Provenance

_REDUCING_GAP: Final = 3.0


@dataclass(frozen=True)
class Rendition:
    """`kind` and `settings` as Pillow saves it. `longest`: pixels of the longer side at most; None for as it is.

    described: with its colour profile and how it was made.
    """

    kind: str
    settings: Mapping[str, Any]
    longest: int | None = None
    described: bool = True


def rendered(png: bytes, rendition: Rendition) -> bytes:
    """A PNG of ours in that form."""
    out = io.BytesIO()
    Image.MAX_IMAGE_PIXELS = None  # it was judged when it came in
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        settings = dict(rendition.settings) | (_description(png, picture) if rendition.described else {})
        shown = picture.convert("RGB")
        if rendition.longest is not None:
            box = (rendition.longest, rendition.longest)
            shown.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
        shown.save(out, rendition.kind, **settings)
    return out.getvalue()


def _description(png: bytes, picture: Image.Image) -> dict[str, Any]:
    made = Provenance.read(png)
    kept = {"icc_profile": picture.info.get("icc_profile"), "exif": made.exif() if made else None}
    return {name: value for name, value in kept.items() if value is not None}
