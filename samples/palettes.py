"""Named palettes, dark to light, as sRGB colours. Ours: mixed by eye for the painters beside this file."""

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Colors = npt.NDArray[np.float64]

_HEX = {
    "night": "0b1230 142a6b 1f4fa8 3f7fc9 79b4d9 cfe3d8 f4e38f f2b632 e07a1f",
    "ember": "1a0d14 46131b 8c1c1f c9341e ee6c1f f79f3a fbd27a 2b4a6e 16263f",
    "wheat": "2c2a12 5a5a1c 8f7f1f c79a22 e9c23d f6e08a 6fa3b8 3a6f8f b5531c",
    "garden": "10241a 1f4d2b 3c7f3a 7fb04a c8d36a e889a8 d3456e f7e6d0 5a3f8c",
    "harbour": "101820 1f3a4d 2f6f7f 5fa8a0 a9d6c0 f1ead2 e8a15c c2512f 7a2a24",
    "orchid": "1b0f2e 3d1f6b 7237a3 b04fc0 e58ad0 f8cfe0 f6b04a 3f7fb0 0f3f5a",
    "clay": "1f1410 4a2a1d 7d4a2f ae7247 d6a36f f0d6ae 8a9a78 50685e 2b3a3f",
    "ink": "11141c 2a2d36 4a4d55 7d7b78 b2aca0 dcd3bf f3ecd9 8a2f23 c9b48a",
    "ice": "0a1a2a 163a55 2a6a8a 5aa0bd 9fd0de e4f4f4 ffffff 7a8aa8 c2b0d0",
    "citrus": "14302a 1f6b4a 58a83a b8d42a f6ee3a ffb81f ff7a1f e8331f fff4d0",
    "folk": "16203a 1f3f9a d0201f f2b51f f6efe0 1f8a5a e8703a 8a1f4a 2f2f2f",
    "dusk": "140f22 2f1f4a 5f2f6a a0406f dd6a63 f6a56a fbd9a0 4a5f9a 1f2f5a",
}


def _colors(text: str) -> Colors:
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in text.split()])


PALETTES: MappingProxyType[str, Colors] = MappingProxyType({name: _colors(text) for name, text in _HEX.items()})


def blend(palette: Colors, t: npt.NDArray[np.float64]) -> Colors:
    """Read a palette as a gradient. t: any shape, 0..1. Returns t's shape with a last axis of 3, 0..1."""
    at = np.clip(t, 0, 1) * (len(palette) - 1)
    low = np.minimum(at.astype(int), len(palette) - 2)
    part = (at - low)[..., None]
    return np.asarray(palette[low] * (1 - part) + palette[low + 1] * part)


def jitter(rng: np.random.Generator, colors: Colors, amount: float) -> Colors:
    """Vary colours in lightness (mostly) and hue, as paint mixed by hand does."""
    n = len(colors)
    light = rng.normal(0, amount, (n, 1))
    return np.clip(colors + light + rng.normal(0, amount / 2, (n, 3)), 0, 1)
