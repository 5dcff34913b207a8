"""A drawn region map to labels: which style picture goes where.

A client sends a picture of flat colours, and a map of colours to style pictures. Kept is a greyscale PNG whose
value is 0 where no style goes and k + 1 where style k does: small, exact, and nothing is left to interpret.
"""

import io
from collections.abc import Mapping
from typing import Any, Final, cast

from PIL import Image, ImageChops

MAX_COLOURS: Final = 64

Colour = tuple[int, int, int]


class MaskRefusedError(Exception):
    """Raised with the field to mend, `mask` or `mask_map`, and a sentence for the person who sent it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


def labelled(png: bytes, mapping: Mapping[str, Any] | None, styles: int) -> bytes:
    """The label map of a checked picture.

    mapping: `{"#ff0000": 0}`, style pictures counted from 0; colours it leaves out get no style. None: as many
    colours as styles, from the darkest to the lightest. Raises MaskRefusedError.
    """
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        found = picture.convert("RGB").getcolors(MAX_COLOURS)
        if found is None:
            raise MaskRefusedError(
                "mask",
                f"It has more than {MAX_COLOURS} colours; send a PNG of flat colours, without smoothed edges.",
            )
        colours = sorted((_rgb(colour) for _, colour in found), key=_brightness)
        assigned = _in_order(colours, styles) if mapping is None else _named(mapping, colours, styles)
        labels = Image.new("L", picture.size, 0)
        for colour, style in assigned.items():
            labels.paste(style + 1, mask=_where(picture.convert("RGB"), colour))
    file = io.BytesIO()
    labels.save(file, "PNG")
    return file.getvalue()


def _in_order(colours: list[Colour], styles: int) -> dict[Colour, int]:
    if len(colours) != styles:
        raise MaskRefusedError(
            "mask",
            f"It has {len(colours)} colours for {styles} style pictures; say in mask_map which colour is which:"
            f" {_listed(colours)}.",
        )
    return {colour: style for style, colour in enumerate(colours)}


def _named(mapping: Mapping[str, Any], colours: list[Colour], styles: int) -> dict[Colour, int]:
    by_name = {_name(colour): colour for colour in colours}
    assigned: dict[Colour, int] = {}
    for name, style in mapping.items():
        if name.lower() not in by_name:
            raise MaskRefusedError("mask_map", f"The mask has no colour {name[:20]!r}; it has {_listed(colours)}.")
        if isinstance(style, bool) or not isinstance(style, int) or not 0 <= style < styles:
            raise MaskRefusedError("mask_map", f"{name} is given to a style picture from 0 to {styles - 1}.")
        assigned[by_name[name.lower()]] = style
    if not assigned:
        raise MaskRefusedError("mask_map", "It gives no colour to any style picture.")
    return assigned


def _where(picture: Image.Image, colour: Colour) -> Image.Image:
    """255 exactly where the picture has the colour."""
    red, green, blue = (
        band.point([255 * (value == wanted) for value in range(256)])
        for band, wanted in zip(picture.split(), colour, strict=True)
    )
    return ImageChops.darker(ImageChops.darker(red, green), blue)


def _rgb(colour: tuple[int, ...] | float) -> Colour:
    red, green, blue = cast(Colour, colour)  # of an RGB picture, whatever Pillow's type allows
    return red, green, blue


def _brightness(colour: Colour) -> tuple[int, Colour]:
    return sum(colour), colour


def _name(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _listed(colours: list[Colour]) -> str:
    return ", ".join(map(_name, colours))
