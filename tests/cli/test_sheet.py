"""The sheet: pictures side by side."""

from PIL import Image

from cli.sheet import CAPTION, HEIGHT, INK, MARGIN, PAPER, sheet


def test_every_panel_is_shown_at_one_height_over_its_label() -> None:
    red, blue = Image.new("RGB", (100, 50), "red"), Image.new("RGBA", (30, 60), "blue")
    page = sheet([("left", red), ("right", blue)])
    widths = (2 * HEIGHT, HEIGHT // 2)
    assert page.size == (sum(widths) + 3 * MARGIN, HEIGHT + 2 * MARGIN + CAPTION)
    assert page.getpixel((MARGIN + widths[0] // 2, MARGIN + HEIGHT // 2)) == (255, 0, 0)
    assert page.getpixel((2 * MARGIN + widths[0] + widths[1] // 2, MARGIN + HEIGHT // 2)) == (0, 0, 255)
    assert page.getpixel((0, 0)) == PAPER
    for left, width in ((MARGIN, widths[0]), (2 * MARGIN + widths[0], widths[1])):
        label = page.crop((left, MARGIN + HEIGHT, left + width, page.height))
        assert INK in {colour for _, colour in label.getcolors(maxcolors=1 << 16) or ()}
