"""That another feature scale is one factor a layer, in closed form, and that weights follow it."""

import pytest
import torch
from torch import Tensor

from core.engine.feature_scale import MEANS, factors, mean_activation
from core.engine.losses import gatys_style_l2, gram, half_sum_l2, mean_l2, mean_style_l2, relative_l2
from core.engine.network import Network
from core.engine.options import FeatureScale


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("scale", ["oxford", "torchvision"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_every_layer_is_multiplied_by_one_number(
    tiny64: Network, pictures: Tensor, scale: FeatureScale, pooling: str
) -> None:
    layers = tiny64.architecture.layers
    before = tiny64.trunk(layers, pooling)(pictures)
    after = tiny64.in_scale(scale).trunk(layers, pooling)(pictures)
    for layer in layers:
        factor = mean_activation(scale, layer.replace("relu", "conv"))
        expected = before[layer] * factor
        torch.testing.assert_close(after[layer], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_parameters_already_in_the_scale_are_left_alone(tiny: Network) -> None:
    assert tiny.in_scale("normalized") is tiny
    assert factors("oxford", "oxford", ["conv1_1", "conv4_2"]) == {"conv1_1": 1.0, "conv4_2": 1.0}


def test_scales_convert_into_one_another() -> None:
    convs = list(MEANS["oxford"])
    there, back = factors("torchvision", "oxford", convs), factors("oxford", "torchvision", convs)
    assert all(there[conv] * back[conv] == pytest.approx(1) for conv in convs)
    assert there["conv4_1"] == pytest.approx(474 / 1.25)


@pytest.mark.parametrize(("conv", "like"), [("conv3_4", "conv3_3"), ("conv4_4", "conv4_3"), ("conv5_4", "conv5_1")])
def test_a_layer_that_was_not_measured_takes_the_one_before_it(conv: str, like: str) -> None:
    assert mean_activation("torchvision", conv) == mean_activation("torchvision", like)


def test_losses_grow_as_published_weights_assume() -> None:
    """A feature times s: content by s squared, Gram matrices' squares by s to the fourth, relative ones not at all."""
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.rand(1, 4, 5, 6, generator=generator, dtype=torch.float64) for _ in "xt")
    s = 21.3
    for content in (mean_l2, half_sum_l2):
        assert content(s * x, s * target) == pytest.approx(float(s**2 * content(x, target)))
    for style in (mean_style_l2, gatys_style_l2):
        assert style(gram(s * x), gram(s * target)) == pytest.approx(float(s**4 * style(gram(x), gram(target))))
    assert relative_l2(gram(s * x), gram(s * target)) == pytest.approx(float(relative_l2(gram(x), gram(target))))
