"""Each preset's objective, against its source's formula written out here once more in plain torch.

Weights are the published ones, layers are summed where the source sums them, values are in the source's range.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import VGG16, VGG19, Architecture
from core.engine.network import Network, Parameters
from core.engine.presets import PRESETS, resolve
from core.engine.scene import Pictures as Given
from core.engine.scene import Scene
from core.engine.schedule import schedule
from core.engine.seeded import generate
from core.engine.warp import Shift

Look = Callable[[Tensor], dict[str, Tensor]]

SIDE = 64


def looking(parameters: Parameters, pool: Callable[[Tensor, int], Tensor], first_padding: str = "constant") -> Look:
    """Every layer of the network by name, computed here."""

    def look(x: Tensor) -> dict[str, Tensor]:
        mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        found, x, block = {}, (x - mean) / std, "1"
        for name in parameters.architecture.convs:
            if name[4] != block:
                x, block = pool(x, 2), name[4]
            mode = first_padding if name == "conv1_1" else "constant"
            weight, bias = (parameters.tensors[f"{name}.{part}"].double() for part in ("weight", "bias"))
            x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), weight, bias)
            found[name] = x
            x = x.clamp(min=0)
            found[name.replace("conv", "relu")] = x
        return found

    return look


def gram(f: Tensor) -> Tensor:
    """Sum over positions of products of channels."""
    return torch.einsum("bchw,bdhw->cd", f, f)


def positions(f: Tensor) -> int:
    return f.shape[2] * f.shape[3]


def gatys_layer(f: Tensor, a: Tensor) -> Tensor:
    """Gatys et al. 2016, eq. 4, with both pictures of one size."""
    c, m = f.shape[1], positions(f)
    return (gram(f) - gram(a)).pow(2).sum() / (4 * c**2 * m**2)


def mean_layer(f: Tensor, a: Tensor) -> Tensor:
    c = f.shape[1]
    return F.mse_loss(gram(f) / (c * positions(f)), gram(a) / (c * positions(a)))


def absolute_layer(f: Tensor, a: Tensor) -> Tensor:
    c = f.shape[1]
    return F.l1_loss(gram(f) / (c * positions(f)), gram(a) / (c * positions(a)))


def wasserstein_layer(f: Tensor, a: Tensor) -> Tensor:
    """Through eigenvalues of the product of covariances: tr (A^1/2 B A^1/2)^1/2 = sum sqrt eig(A B)."""
    fm, am = f.mean((0, 2, 3)), a.mean((0, 2, 3))
    fc, ac = gram(f) / positions(f) - fm[:, None] * fm, gram(a) / positions(a) - am[:, None] * am
    cross = torch.linalg.eigvals(fc @ ac).real.clamp(min=0).sqrt().sum()
    return (fm - am).pow(2).mean() + (fc.trace() + ac.trace() - 2 * cross) / len(fm)


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, :, :, 1:] - x[:, :, :, :-1], x[:, :, 1:, :] - x[:, :, :-1, :]


RELUS = [f"relu{block}_1" for block in range(1, 6)]
CONVS = [f"conv{block}_1" for block in range(1, 6)]
FIRST_CONVS = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
FIRST_RELUS = [name.replace("conv", "relu") for name in FIRST_CONVS]


def lwsw(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.avg_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    content = (fx["relu4_2"] - fc["relu4_2"]).pow(2).sum() / fc["relu4_2"].pow(2).sum()
    style = 0.0
    for name in RELUS:
        g, a = gram(fx[name]) / positions(fx[name]), gram(fs[name]) / positions(fs[name])
        style += (g - a).pow(2).sum() / a.pow(2).sum() / 5
    variation = sum(d.abs().mean() for d in differences(x))
    return 0.04 * content + style + 0.02 * variation


def dynamic(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.max_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    return (fx["conv4_2"] - fc["conv4_2"]).pow(2).sum() + 1e9 * sum(gatys_layer(fx[n], fs[n]) for n in CONVS)


def interpretable_baseline(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.avg_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    return F.mse_loss(fx["conv2_2"], fc["conv2_2"]) + 1e6 * sum(mean_layer(fx[n], fs[n]) for n in FIRST_CONVS)


def interpretable_revised(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.avg_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    return F.l1_loss(fx["relu3_1"], fc["relu3_1"]) + 1e3 * sum(absolute_layer(fx[n], fs[n]) for n in FIRST_RELUS)


def tv(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.max_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    variation = sum(d.abs().mean() for d in differences(255 * x))
    style = sum(mean_layer(fx[n], fs[n]) for n in RELUS)
    return F.mse_loss(fx["relu4_2"], fc["relu4_2"]) + style + 100 * variation


def gatys(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.avg_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    style = 0.0
    for name in RELUS:
        g, a = gram(fx[name]) / positions(fx[name]), gram(fs[name]) / positions(fs[name])
        style += 1e3 / fx[name].shape[1] ** 2 * F.mse_loss(g, a)
    return F.mse_loss(fx["relu4_2"], fc["relu4_2"]) + style


def johnson(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.max_pool2d)
    fx, fc, fs = look(x), look(c), look(s)
    variation = sum(d.pow(2).mean() for d in differences(x))
    style = sum(mean_layer(fx[n], fs[n]) for n in RELUS)
    return 5 * F.mse_loss(fx["relu4_2"], fc["relu4_2"]) + 100 * style + 1e-3 * variation


def coarse_to_fine(x: Tensor, c: Tensor, s: Tensor, network: Parameters) -> Tensor:
    look = looking(network, F.max_pool2d, first_padding="replicate")
    fx, fc, fs = look(x), look(c), look(s)
    weights = [w / 341 for w in (256, 64, 16, 4, 1)]
    style = sum(w * wasserstein_layer(fx[n], fs[n]) for w, n in zip(weights, RELUS, strict=True))
    variation = sum(d.pow(2).mean() for d in differences(x))
    return 0.015 * F.mse_loss(fx["relu4_2"], fc["relu4_2"]) + style + 2 * variation


FORMULAS = {
    "lwsw": lwsw,
    "dynamic": dynamic,
    "interpretable-baseline": interpretable_baseline,
    "interpretable-revised": interpretable_revised,
    "tv": tv,
    "gatys": gatys,
    "johnson": johnson,
    "coarse-to-fine": coarse_to_fine,
}


@pytest.fixture(scope="module")
def narrow() -> dict[str, Parameters]:
    """Both networks at an eighth of the width."""
    shapes = {a.name: Architecture(a.name, a.convolutions, width=0.125) for a in (VGG16, VGG19)}
    return {name: Parameters(shape, "narrow", generate(shape)) for name, shape in shapes.items()}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_objective_is_the_sources_formula(
    preset: str, narrow: dict[str, Parameters], picture: Callable[..., Tensor]
) -> None:
    options = resolve({"preset": preset, "size": SIDE, "dtype": "float64", "scales": "single"})
    # As if the network were the source's own: that one in another scale comes near it, test_feature_scale says.
    parameters = replace(narrow[options.network], scale=options.feature_scale)
    content, style, x = (picture(seed, SIDE, SIDE) for seed in (1, 2, 3))
    scene = Scene(Given(content, [style]), options, Network(parameters, torch.device("cpu")))
    found = scene.at(schedule(options, scene.size)[0]).evaluate(x.double()[None]).total
    expected = FORMULAS[preset](x.double()[None], content.double()[None], style.double()[None], parameters)
    assert found.item() == pytest.approx(float(expected), rel=1e-6)


def test_a_shifted_evaluation_judges_the_shifted_picture_against_the_shifted_content(
    narrow: dict[str, Parameters], picture: Callable[..., Tensor]
) -> None:
    options = resolve({"preset": "interpretable-revised", "size": SIDE, "dtype": "float64"})
    content, style, x = (picture(seed, SIDE, SIDE) for seed in (1, 2, 3))
    parameters = replace(narrow["vgg19"], scale=options.feature_scale)
    scene = Scene(Given(content, [style]), options, Network(parameters, torch.device("cpu")))
    shift = Shift(0.97, 0.5, -0.5, 0.02)
    found = scene.at(schedule(options, scene.size)[0]).evaluate(x.double()[None], shift).total
    moved, moved_content = shift(x.double()[None]), shift(content.double()[None])
    expected = interpretable_revised(moved, moved_content, style.double()[None], parameters)
    assert found.item() == pytest.approx(float(expected), rel=1e-6)


DELIBERATE = {
    "dynamic": {"feature_scale": "torchvision"},
    "interpretable-baseline": {"feature_scale": "torchvision"},
    "interpretable-revised": {"feature_scale": "torchvision"},
    "tv": {"feature_scale": "oxford"},
    "gatys": {"feature_scale": "oxford", "content_loss": "mean", "style_loss": "mean", "style_weight": 5000.0},
    "johnson": {"feature_scale": "oxford"},
    "coarse-to-fine": {"feature_scale": "torchvision"},
}


@pytest.mark.parametrize("preset", DELIBERATE)
def test_a_published_preset_resolves_as_before_the_defaults_were_chosen_again(preset: str) -> None:
    """But for what was changed on purpose. The file was written by the version whose default network was our own."""
    before = json.loads((Path(__file__).parent / "data" / "presets-before-vgg19.json").read_text())[preset]
    assert resolve({"preset": preset}).model_dump(mode="json") == before | DELIBERATE[preset]


def test_what_each_preset_fixes_beside_its_objective() -> None:
    fixed = {
        "lwsw": {"optimizer": "lbfgs", "iterations": 150, "size": 512, "init": "content", "scales": "half"},
        "dynamic": {"optimizer": "adam", "learning_rate": 0.003, "iterations": 2000, "init": "content"},
        "interpretable-baseline": {"optimizer": "lbfgs", "iterations": 300, "size": 512},
        "interpretable-revised": {"optimizer": "adam", "learning_rate": 0.05, "iterations": 600, "random_shift": 0.97},
        "tv": {"optimizer": "adam", "learning_rate": 30 / 255, "iterations": 500, "init": "noise", "network": "vgg16"},
        "gatys": {"optimizer": "lbfgs", "pooling": "average"},
        "johnson": {"optimizer": "lbfgs", "iterations": 1000, "init": "noise"},
        "coarse-to-fine": {"optimizer": "adam", "learning_rate": 0.02, "scales": "auto", "averaging": 0.99},
    }
    assert set(fixed) == set(PRESETS)
    for preset, fields in fixed.items():
        options = resolve({"preset": preset})
        assert {name: getattr(options, name) for name in fields} == fields
