"""The formats a finished picture can be had in."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from PIL import Image

from api.negotiate import first_accepted
from core.provenance import Provenance


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


THUMBNAIL: Final = Encoding("image/webp", "webp", {"quality": 80, "method": 4})
THUMBNAIL_PIXELS: Final = 256
_MOST_THUMBNAILS: Final = 512  # about ten kilobytes each


def asked_for(name: ImageFormat | None, accept: str | None) -> ImageFormat:
    """The format named, or else the first that the Accept header allows: PNG for every browser."""
    if name is not None:
        return name
    by_media_type = {encoding.media_type: each for each, encoding in ENCODINGS.items()}
    return by_media_type[first_accepted(accept, list(by_media_type))]


def encode(png: bytes, wanted: ImageFormat) -> bytes:
    """A finished picture in another format, with its colour profile and how it was made; PNG passes untouched."""
    if wanted is ImageFormat.PNG:
        return png
    out = io.BytesIO()
    made = Provenance.read(png)
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        kept = {"icc_profile": picture.info.get("icc_profile"), "exif": made.exif() if made else None}
        settings = ENCODINGS[wanted].settings | {name: value for name, value in kept.items() if value is not None}
        picture.convert("RGB").save(out, wanted.value, **settings)
    return out.getvalue()


class _Thumbnails:
    """The latest thumbnails, made once."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: Hashable, png: Callable[[], bytes]) -> bytes:
        with self._lock:
            if (known := self._made.get(key)) is not None:
                self._made.move_to_end(key)
                return known
        made = _small(png())
        with self._lock:
            self._made[key] = made
            while len(self._made) > _MOST_THUMBNAILS:
                self._made.popitem(last=False)
        return made


thumbnail_of: Final = _Thumbnails().of
"""`thumbnail_of(key, png)`: the picture that `png()` reads, within THUMBNAIL_PIXELS a side. Kept by key."""


def _small(png: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        small = picture.convert("RGB")
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS, reducing_gap=3.0)
        small.save(out, "WEBP", **THUMBNAIL.settings)
    return out.getvalue()
