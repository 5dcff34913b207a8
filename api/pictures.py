"""The formats a finished picture can be had in."""

import io
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from PIL import Image

from api.negotiate import first_accepted


class ImageFormat(StrEnum):
    """The names by which a client asks for a format."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True)
class Encoding:
    """How one format is named over HTTP and written by Pillow."""

    media_type: str
    suffix: str
    settings: dict[str, Any]


ENCODINGS: Final = {
    ImageFormat.PNG: Encoding("image/png", "png", {}),
    ImageFormat.JPEG: Encoding("image/jpeg", "jpg", {"quality": 92, "subsampling": 0, "optimize": True}),
    ImageFormat.WEBP: Encoding("image/webp", "webp", {"quality": 90, "method": 4}),
}


def asked_for(name: ImageFormat | None, accept: str | None) -> ImageFormat:
    """The format named, or else the first that the Accept header allows: PNG for every browser."""
    if name is not None:
        return name
    by_media_type = {encoding.media_type: each for each, encoding in ENCODINGS.items()}
    return by_media_type[first_accepted(accept, list(by_media_type))]


def encode(png: bytes, wanted: ImageFormat) -> bytes:
    """A finished picture in another format; PNG passes through untouched."""
    if wanted is ImageFormat.PNG:
        return png
    out = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        picture.convert("RGB").save(out, wanted.value, **ENCODINGS[wanted].settings)
    return out.getvalue()
