"""The distance between palettes, against closed forms and another implementation of Lab."""

from collections.abc import Sequence

import pytest
import torch
from skimage.color import rgb2lab
from torch import Tensor

from core.engine.color import lab
from core.engine.palette import palette, palette_distance


def test_lab_is_what_scikit_image_computes() -> None:
    picture = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    picture[:, 0, 0], picture[:, 0, 1] = 0, 1
    theirs = torch.from_numpy(rgb2lab(picture.permute(1, 2, 0).numpy())).permute(2, 0, 1)
    torch.testing.assert_close(lab(picture[None])[0], theirs, atol=1e-3, rtol=0)


def apart(picture: Tensor, styles: Sequence[Tensor], blend: Sequence[float]) -> float:
    return palette_distance(palette([picture], [1.0]), palette(styles, blend))


def grey(*levels: float) -> Tensor:
    """(3, 1, n)."""
    return torch.tensor(levels).expand(3, 1, -1)


def lightness(level: float) -> float:
    return float(lab(grey(level)[None])[0, 0])


def along(difference: float) -> float:
    """How far greys that differ by so much lightness are apart along the directions, on average."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(64, 3, generator=generator), dim=1)
    return difference * float(directions[:, 0].abs().mean())


def test_two_plain_colours_are_apart_by_their_difference_along_the_directions() -> None:
    expected = along(lightness(0.8) - lightness(0.2))
    assert apart(grey(0.2), [grey(0.8)], [1.0]) == pytest.approx(expected, abs=0.1)


def test_where_colours_stand_and_how_often_a_picture_repeats_does_not_count() -> None:
    picture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert apart(picture, [picture.flip(2).repeat(1, 2, 3)], [1.0]) == pytest.approx(0, abs=0.1)
    assert apart(picture, [picture * 0.5], [1.0]) > 1


def test_half_of_a_colour_is_half_of_the_way() -> None:
    expected = along(lightness(0.8) - lightness(0.2))
    assert apart(grey(0.2), [grey(0.2, 0.8)], [1.0]) == pytest.approx(expected / 2, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_several_styles_count_by_their_shares_whatever_their_sizes(share: float) -> None:
    styles = [grey(0.2, 0.2, 0.2), grey(0.8)]
    expected = along(lightness(0.8) - lightness(0.2))
    found = apart(grey(0.2), styles, [1 - share, share])
    assert found == pytest.approx(share * expected, abs=0.1)
