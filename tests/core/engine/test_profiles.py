"""What the five sliders promise, on the untrained network that every machine can make."""

from pathlib import Path

import torch

from core.engine.metrics import measure
from core.engine.network import Network
from core.engine.options import PROFILES
from core.engine.perceptual import Lpips
from core.engine.pixels import to_tensor
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from samples import paint, photo


def test_the_profiles_shift_the_style_from_grain_to_composition() -> None:
    """The style distance at relu5_1 over that at relu1_1 falls from fine-grain to balanced to abstract."""
    network = Network(load(choose("seeded", "vgg19", ["relu5_1"], Path())), torch.device("cpu"))
    content, style = to_tensor(photo("chelsea")), to_tensor(paint("starlit", (128, 128), 0))
    ratios = {}
    for profile in PROFILES:
        options = resolve(
            {"profile": profile, "size": 64, "iterations": 50, "dtype": "float32", "content_weight": 0.01}
        )
        outcome = stylize(content, [style], options, network)
        found = measure(content, [style], [1.0], outcome.picture, network, Lpips())
        assert found.style_distance_by_layer is not None
        assert found.content_style_distance is not None
        assert found.style_distance is not None
        assert found.style_distance < found.content_style_distance
        ratios[profile] = found.style_distance_by_layer["relu5_1"] / found.style_distance_by_layer["relu1_1"]
    assert ratios["fine-grain"] > 2 * ratios["balanced"] > 4 * ratios["abstract"]
