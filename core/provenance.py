"""How a picture was made, written into the picture itself, so that it can be made again.

In a PNG it is an international text chunk named `strata`, in JPEG and WebP the EXIF user comment; JSON in both.
"""

import io
import json
from contextlib import suppress
from typing import Any, Final, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

KEYWORD: Final = "strata"

_EXIF_IFD: Final = 0x8769
_USER_COMMENT: Final = 0x9286
_ASCII: Final = b"ASCII\0\0\0"


class Provenance(BaseModel):
    """What made a picture, and nothing of when or for whom: the same job twice gives the same bytes.

    Pictures are ids of inputs, `sha256:...`; `options` are complete. network and weights say what drew it: another
    network draws another picture from the same options.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    content: str
    styles: tuple[str, ...]
    mask: str | None = None
    init_image: str | None = None
    options: dict[str, Any]
    network: str
    weights: str

    @classmethod
    def read(cls, picture: bytes) -> Self | None:
        """What a PNG, JPEG or WebP says of itself; None when it says nothing we understand."""
        with Image.open(io.BytesIO(picture), formats=("PNG", "JPEG", "WEBP")) as image:
            text = image.info.get(KEYWORD) if image.format == "PNG" else _user_comment(image)
        if text:
            with suppress(ValidationError):
                return cls.model_validate_json(text)
        return None

    def exif(self) -> Image.Exif:
        """For a JPEG or WebP."""
        exif = Image.Exif()
        exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + json.dumps(self.model_dump(mode="json")).encode()
        return exif


def _user_comment(image: Image.Image) -> str | None:
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if not isinstance(comment, bytes) or not comment.startswith(_ASCII):
        return None
    return comment.removeprefix(_ASCII).rstrip(b"\0").decode("ascii", "ignore")
