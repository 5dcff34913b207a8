"""Untrusted picture bytes to one canonical form: upright, sRGB, opaque, RGB PNG without metadata.

Runs in a decoder's child process (see decoder.py); everything here may be fed a bomb.
"""

import contextlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageCms, ImageFile, ImageOps

FORMATS: Final = ("JPEG", "PNG", "WEBP")

_PNG_LEVEL: Final = 1  # inputs are written once and read once; the level changes only size and time
_SIXTEEN_TO_EIGHT: Final = 1 / 257  # 65535 becomes 255 exactly
_WHITE: Final = (255, 255, 255, 255)


@dataclass(frozen=True)
class PictureLimits:
    """`max_pixels` decoded; `min_side` of the shorter side, in pixels."""

    max_pixels: int
    min_side: int


@dataclass(frozen=True)
class Canonical:
    """The canonical PNG and its size in pixels, upright."""

    png: bytes
    width: int
    height: int


class UnusablePictureError(Exception):
    """Raised with a sentence for the person who sent the picture."""


def canonical(data: bytes, limits: PictureLimits) -> Canonical:
    """Decode and normalise. The same picture always gives the same bytes on the same Pillow.

    Raises UnusablePictureError for one that is damaged, animated, too large or too small.
    """
    picture = _upright(_decoded(data, limits))
    rgb = _over_white(_srgb(_eight_bit(picture)))
    rgb.info.clear()
    png = io.BytesIO()
    rgb.save(png, "PNG", compress_level=_PNG_LEVEL)
    return Canonical(png.getvalue(), rgb.width, rgb.height)


def _decoded(data: bytes, limits: PictureLimits) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            _within(picture, limits)
            picture.load()
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as bomb:
            found = re.search(r"\d+(?= pixels)", str(bomb))
            raise UnusablePictureError(_too_many(int(found[0]) if found else None, limits)) from None
        except UnusablePictureError:
            raise
        except MemoryError:
            raise UnusablePictureError("The picture needs too much memory to decode.") from None
        except Exception as error:  # Pillow's decoders raise many types on damaged data
            raise UnusablePictureError(f"The picture is damaged or incomplete{_why(error)}.") from error
    return picture


def _why(error: Exception) -> str:
    """The decoder's reason, unless it names an object of ours."""
    text = str(error)
    return f" ({text})" if text and "<" not in text else ""


def _within(picture: ImageFile.ImageFile, limits: PictureLimits) -> None:
    """Judge what the header says, before anything is decoded."""
    width, height = picture.size
    if width * height > limits.max_pixels:
        raise UnusablePictureError(_too_many(width * height, limits))
    if min(width, height) < limits.min_side:
        raise UnusablePictureError(
            f"The picture is {width} x {height} pixels; each side must have at least {limits.min_side}."
        )
    # A phone's JPEG may hold several pictures (MPO); its first is the photograph. Frames are not.
    if picture.format in ("PNG", "WEBP") and getattr(picture, "is_animated", False):
        raise UnusablePictureError("The picture is animated; only still pictures are taken.")


def _too_many(pixels: int | None, limits: PictureLimits) -> str:
    found = f"{pixels / 1e6:.1f} megapixels" if pixels else "too many pixels"
    return f"The picture has {found}; at most {limits.max_pixels / 1e6:g} megapixels are taken."


def _upright(picture: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a broken tag says nothing; the picture itself decoded
        return ImageOps.exif_transpose(picture)
    return picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Sixteen-bit grays scaled, not clipped; palettes and transparency tags spelt out."""
    if picture.mode.startswith("I"):
        info = dict(picture.info)
        picture = picture.point(lambda value: value * _SIXTEEN_TO_EIGHT + 0.5).convert("L")
        if isinstance(clear := info.get("transparency"), int):
            info["transparency"] = round(clear * _SIXTEEN_TO_EIGHT)
        picture.info = info
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("RGB") if picture.mode == "P" else picture


def _srgb(picture: Image.Image) -> Image.Image:
    """RGB or RGBA in sRGB; a profile that is broken or belongs to another colour space is ignored."""
    target = "RGBA" if picture.mode == "RGBA" else "RGB"
    if profile := picture.info.get("icc_profile"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "RGB" and picture.mode == "L":
                picture = picture.convert("RGB")
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=target)
            if converted is not None:
                return converted
    return picture.convert(target)


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture).convert("RGB")
