"""The trunk is torchvision's VGG, cut where it is no longer looked at."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.models import vgg

from core.engine.architecture import ARCHITECTURES, VGG16, VGG19, Architecture
from core.engine.errors import OptionsError, PictureError
from core.engine.network import MEAN, STD, Network, Parameters, normalise
from core.engine.weights import _own_names

CFGS = {"vgg16": vgg.cfgs["D"], "vgg19": vgg.cfgs["E"]}


@pytest.mark.parametrize("architecture", [VGG16, VGG19])
def test_the_architecture_is_torchvisions(architecture: Architecture) -> None:
    with torch.device("meta"):
        features = vgg.make_layers(CFGS[architecture.name])
    theirs = [(m.in_channels, m.out_channels) for m in features if isinstance(m, torch.nn.Conv2d)]
    assert [architecture.channels(conv) for conv in architecture.convs] == theirs


def test_activations_are_torchvisions_layer_by_layer(picture: Callable[..., Tensor]) -> None:
    """On a VGG-19 of a sixteenth of the width, built by torchvision's own code."""
    narrow = Architecture("narrow", VGG19.convolutions, width=1 / 16)
    cfg = [int(v / 16) if isinstance(v, int) else v for v in CFGS["vgg19"]]
    torch.manual_seed(0)
    theirs = vgg.make_layers(cfg)
    for module in theirs:
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    state = {f"features.{key}": value.detach() for key, value in theirs.state_dict().items()}
    network = Network(Parameters(narrow, "torchvision", _own_names(state, narrow)), torch.device("cpu"))

    x = picture(1)[None]
    found = network.trunk(narrow.layers, pooling="max")(x)

    y = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    expected = []
    with torch.no_grad():
        for module in theirs:
            y = module(y)
            if not isinstance(module, torch.nn.MaxPool2d):
                expected.append(y)
    assert list(found) == list(narrow.layers)
    for layer, activation in zip(narrow.layers, expected, strict=True):
        torch.testing.assert_close(found[layer], activation, msg=layer)


def test_nothing_beyond_the_deepest_layer_asked_for_exists(tiny: Network) -> None:
    trunk = tiny.trunk(["relu1_1", "conv3_2"])
    assert [conv.name for conv in trunk.convs] == ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2"]


def test_a_convolution_asked_for_is_not_overwritten_by_its_relu(tiny: Network, picture: Callable[..., Tensor]) -> None:
    found = tiny.trunk(["conv2_2", "relu2_2"])(picture(1)[None])
    assert found["conv2_2"].min() < 0
    assert torch.equal(found["relu2_2"], found["conv2_2"].relu())


def test_replicate_padding_keeps_a_flat_picture_flat_at_its_border(tiny: Network) -> None:
    flat = torch.full((1, 3, 16, 16), 0.7)
    zeros = tiny.trunk(["conv1_1"])(flat)["conv1_1"]
    replicate = tiny.trunk(["conv1_1"], padding="replicate")(flat)["conv1_1"]
    assert (replicate - replicate[..., :1, :1]).abs().max() < 1e-5
    assert (zeros - zeros[..., 8:9, 8:9]).abs().max() > 1e-2


def test_a_flat_picture_of_the_mean_colour_is_zero_after_normalising() -> None:
    mean = torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert torch.equal(normalise(mean), torch.zeros(1, 3, 4, 4))


def test_a_picture_too_small_for_a_layer_is_refused_with_what_it_needs(tiny: Network) -> None:
    with pytest.raises(PictureError, match=r"64 x 8 is too small for layer conv5_1, which needs 16"):
        tiny.trunk(["relu5_1"])(torch.zeros(1, 3, 8, 64))


def test_a_layer_the_parameters_lack_is_refused_by_name() -> None:
    strata = ARCHITECTURES["strata"]
    network = Network(Parameters(strata, "short", {}), torch.device("cpu"))
    with pytest.raises(OptionsError, match=r"no layer relu5_2; it ends at relu5_1"):
        network.trunk(["relu5_2"])
