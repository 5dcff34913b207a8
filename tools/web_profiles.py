"""Paint the page's three profiles, photo and painting the same: `python -m tools.web_profiles [network]`."""

import sys
from pathlib import Path
from typing import Final

import torch

from core.engine.network import Network
from core.engine.options import PROFILES
from core.engine.pixels import to_image, to_tensor
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from samples import paint, photo
from tools.web_samples import FOLDER, save_jpeg

NETWORK: Final = "strata-small"
ASKED: Final = {"size": 320, "iterations": 150, "tv_weight": 0.2}


def main(name: str) -> None:
    """Write a picture for each profile."""
    content, style = to_tensor(photo("chelsea")), to_tensor(paint("starlit"))
    for profile in PROFILES:
        options = resolve({**ASKED, "profile": profile, "network": name})
        origin = choose("embedded", name, {*options.layer_weights, *options.content_layers}, Path())
        network = Network(load(origin), torch.device("cpu"), torch.float32)
        save_jpeg(to_image(stylize(content, [style], options, network).picture), FOLDER / f"profile-{profile}.jpg")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else NETWORK)
