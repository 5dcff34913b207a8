"""That the network that ships paints: what no run can reach by doing nothing."""

from pathlib import Path

import torch

from core.engine.metrics import measure
from core.engine.network import Network
from core.engine.perceptual import Lpips
from core.engine.pixels import to_tensor
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from samples import paint, photo


def test_the_default_network_gives_a_photo_the_look_and_the_colours_of_a_painting() -> None:
    network = Network(load(choose("auto", "vgg19", (), Path())), torch.device("cpu"))
    content, style = to_tensor(photo("astronaut")), to_tensor(paint("wheatfield", (128, 128)))
    outcome = stylize(content, [style], resolve({"size": 128, "iterations": 45, "dtype": "float32"}), network)
    found = measure(content, [style], [1.0], outcome.picture, network, Lpips())
    assert found.style_distance is not None
    assert found.content_style_distance is not None
    assert found.palette_distance is not None
    assert found.content_palette_distance is not None
    assert found.style_distance < found.content_style_distance / 10
    assert found.palette_distance < found.content_palette_distance / 2
