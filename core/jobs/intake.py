"""Intake: untrusted picture bytes to a checked, canonical picture, or a refusal that says what to do."""

import hashlib
from dataclasses import dataclass
from typing import Final

from core.jobs.canonical import PictureLimits, UnusablePictureError
from core.jobs.decoder import Decoders
from core.jobs.errors import FieldProblem, PictureRefused, RefusalReason
from core.jobs.record import Picture
from core.jobs.renditions import Rendition

_ALLOWED: Final = "send a JPEG, PNG or WebP"

_TAKEN: Final = ((0, b"\xff\xd8\xff"), (0, b"\x89PNG\r\n\x1a\n"), (8, b"WEBP"))
"""(offset, bytes) that begin the formats we take."""

_OTHERS: Final = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"II*\x00", "a TIFF"),
    (0, b"MM\x00*", "a TIFF"),
    (4, b"ftypheic", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)


@dataclass(frozen=True)
class CheckedPicture:
    """Safe to store and to hand to the engine. `id` is `sha256:` and the hash of `png`."""

    png: bytes
    id: str
    width: int
    height: int

    @property
    def picture(self) -> Picture:
        return Picture(id=self.id, width=self.width, height=self.height)


class Intake:
    """Checks pictures. Starts child processes when first used; `close()` ends them."""

    def __init__(self, *, max_bytes: int, max_pixels: int, min_side: int, decode_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._decoders = Decoders(PictureLimits(max_pixels, min_side), decode_seconds)

    def check(self, data: bytes, pointer: str) -> CheckedPicture:
        """The picture in its canonical form. Raises PictureRefused, naming `pointer`."""
        if len(data) > self._max_bytes:
            raise _refused(
                pointer,
                "too-large",
                f"The file has {len(data) / 1e6:.1f} MB; at most {self._max_bytes / 1e6:g} MB are taken.",
            )
        if not data:
            raise _refused(pointer, "not-a-picture", f"The file is empty; {_ALLOWED}.")
        if not any(data.startswith(magic, at) for at, magic in _TAKEN):
            raise _refused(pointer, "not-a-picture", f"The file is {_kind(data)}; {_ALLOWED}.")
        try:
            made = self._decoders.canonical(data)
        except UnusablePictureError as error:
            raise _refused(pointer, "unusable", str(error)) from error
        digest = hashlib.sha256(made.png).hexdigest()
        return CheckedPicture(made.png, f"sha256:{digest}", made.width, made.height)

    def rendered(self, png: bytes, rendition: Rendition) -> bytes:
        """A stored picture in another form, made by the same processes. Raises UnusablePictureError."""
        return self._decoders.rendered(png, rendition)

    def close(self) -> None:
        self._decoders.close()


def _refused(pointer: str, reason: RefusalReason, detail: str) -> PictureRefused:
    return PictureRefused((FieldProblem(pointer, detail),), reason)


def _kind(data: bytes) -> str:
    """What a file is that we do not take, as well as its beginning tells."""
    for at, magic, name in _OTHERS:
        if data.startswith(magic, at):
            return name
    beginning = data[:1024]
    if b"<svg" in beginning.lower():
        return "an SVG drawing"
    if b"<html" in beginning.lower():
        return "a web page"
    text = beginning.decode("utf-8", errors="ignore")
    readable = bool(text) and all(c.isprintable() or c.isspace() for c in text)
    return "text, not a picture" if readable else "of an unknown kind"
