"""The formats a picture can be had in."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from api.negotiate import first_accepted
from core.jobs.renditions import Rendition


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
SMALL: Final = Rendition("WEBP", THUMBNAIL.settings, longest=THUMBNAIL_PIXELS, described=False)
_MOST_THUMBNAILS: Final = 512  # about ten kilobytes each

AT_A_TIME: Final = 4
"""Pictures that are read for an answer, or made into another form: each may take the memory of a large one."""


def asked_for(name: ImageFormat | None, accept: str | None) -> ImageFormat:
    """The format named, or else the first that the Accept header allows: PNG for every browser."""
    if name is not None:
        return name
    by_media_type = {encoding.media_type: each for each, encoding in ENCODINGS.items()}
    return by_media_type[first_accepted(accept, list(by_media_type))]


def rendition(wanted: ImageFormat) -> Rendition | None:
    """How a stored picture becomes one of that format; None for PNG, which it is."""
    return None if wanted is ImageFormat.PNG else Rendition(wanted.value, ENCODINGS[wanted].settings)


class Thumbnails:
    """The latest thumbnails, made once. For one event loop."""

    def __init__(self, limiter: CapacityLimiter) -> None:
        self._limiter = limiter
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()

    async def of(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What is kept by that key, or else what `make` returns, in a thread."""
        made = self._made.pop(key, None)
        if made is None:
            made = await to_thread.run_sync(make, limiter=self._limiter)
        self._made[key] = made
        while len(self._made) > _MOST_THUMBNAILS:
            self._made.popitem(last=False)
        return made
