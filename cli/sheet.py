"""Content, style and result side by side, labelled: one picture to show what happened."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

HEIGHT: Final = 360
MARGIN: Final = 16
CAPTION: Final = 34
PAPER: Final = (250, 248, 244)
INK: Final = (40, 38, 36)


def sheet(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """The panels from left to right, each scaled to one height with its label below. RGB."""
    scaled = [(label, _to_height(picture)) for label, picture in panels]
    width = sum(picture.width for _, picture in scaled) + MARGIN * (len(scaled) + 1)
    page = Image.new("RGB", (width, HEIGHT + 2 * MARGIN + CAPTION), PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=18)
    left = MARGIN
    for label, picture in scaled:
        page.paste(picture, (left, MARGIN))
        centre = (left + picture.width // 2, MARGIN + HEIGHT + CAPTION // 2 + 4)
        draw.text(centre, label, fill=INK, font=font, anchor="mm")
        left += picture.width + MARGIN
    return page


def _to_height(picture: Image.Image) -> Image.Image:
    width = round(picture.width * HEIGHT / picture.height)
    return picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS)
