"""Masks: which style goes where."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.engine import losses
from core.engine.errors import OptionsError
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.regions import guides, masks
from core.engine.stylize import stylize

Pictures = Callable[..., Tensor]
SMALL = {"size": 64, "iterations": 6, "dtype": "float64", "content_weight": 0.0, "tv_weight": 0.0}


@pytest.mark.parametrize("describe", [losses.gram_statistics, losses.moments])
def test_a_full_guide_gives_the_plain_statistics(describe: Callable[..., losses.Statistics]) -> None:
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for guided, plain in zip(describe(x, torch.ones(6, 5)), describe(x, None), strict=True):
        torch.testing.assert_close(guided, plain)


@pytest.mark.parametrize("describe", [losses.gram_statistics, losses.moments])
def test_a_guide_of_half_the_picture_gives_the_statistics_of_that_half(
    describe: Callable[..., losses.Statistics],
) -> None:
    x = torch.randn(1, 4, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    guide = torch.zeros(6, 8)
    guide[:, :4] = 1
    for guided, half in zip(describe(x, guide), describe(x[..., :4], None), strict=True):
        torch.testing.assert_close(guided, half)


def test_labels_become_one_mask_a_style() -> None:
    found = masks(torch.tensor([[0, 1], [2, 1]]), 2)
    assert found.tolist() == [[[0, 1], [0, 1]], [[0, 0], [1, 0]]]


@pytest.mark.parametrize(
    ("labels", "says"), [([[3]], "assigns style 3, but there are 2"), ([[0]], "no style anywhere")]
)
def test_a_mask_that_fits_no_style_is_refused(labels: list[list[int]], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        masks(torch.tensor(labels), 2)


def test_a_region_too_small_for_a_layer_has_no_guide_there() -> None:
    label = torch.zeros(1, 1, 64, 64)
    label[..., :8, :8] = 1
    found = guides(label, (64, 64), ["relu1_1", "relu3_1", "relu5_1"])
    assert [found[layer][0] is None for layer in found] == [False, False, True]


def test_a_mask_of_one_style_everywhere_changes_nothing(tiny: Network, picture: Pictures) -> None:
    options = resolve(SMALL)
    plain = stylize(picture(1), [picture(2)], options, tiny)
    masked = stylize(picture(1), [picture(2)], options, tiny, labels=torch.ones(10, 10, dtype=torch.long))
    torch.testing.assert_close(masked.picture, plain.picture, rtol=0, atol=1e-5)


def test_each_half_takes_the_colour_of_its_own_style(tiny: Network, picture: Pictures) -> None:
    red, blue = (torch.zeros(3, 48, 64) + 0.1 * picture(2) for _ in range(2))
    red[0] += 0.9
    blue[2] += 0.9
    labels = torch.ones(48, 64, dtype=torch.long)
    labels[:, 32:] = 2
    options = resolve(SMALL | {"iterations": 40, "init": "content", "layer_weights": {"relu1_1": 1.0}})
    result = stylize(picture(1), [red, blue], options, tiny, labels=labels).picture
    left, right = result[:, :, 4:28].mean((1, 2)), result[:, :, 36:60].mean((1, 2))
    assert left[0] > left[2] + 0.2
    assert right[2] > right[0] + 0.2


@pytest.mark.parametrize("style_loss", ["relative", "wasserstein"])
def test_a_region_of_one_pixel_is_no_harm(tiny: Network, picture: Pictures, style_loss: str) -> None:
    labels = torch.ones(48, 64, dtype=torch.long)
    labels[0, 0] = 2
    options = resolve(SMALL | {"style_loss": style_loss, "iterations": 3, "random_shift": 0.97})
    outcome = stylize(picture(1), [picture(2), picture(3)], options, tiny, labels=labels)
    assert outcome.picture.isfinite().all()
    assert all(loss.total == loss.total for loss in outcome.losses)


@pytest.mark.parametrize("weights", [{}, {"content_weight": 0.0, "tv_weight": 0.0}])
def test_a_map_whose_only_region_is_too_small_for_some_layers_is_no_harm(
    tiny: Network, picture: Pictures, weights: dict[str, float]
) -> None:
    labels = torch.zeros(48, 64, dtype=torch.long)
    labels[:6, :6] = 1
    outcome = stylize(picture(1), [picture(2)], resolve(SMALL | weights | {"iterations": 3}), tiny, labels=labels)
    assert outcome.picture.isfinite().all()
    assert len(outcome.losses) == 3
    assert outcome.layer_influence["relu1_1"] > outcome.layer_influence["relu5_1"] == 0
