"""A network small enough for tests, and pictures made on the spot."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from core.engine.architecture import VGG19, Architecture
from core.engine.network import Network, Parameters
from core.engine.seeded import generate

TINY = Architecture("tiny", VGG19.convolutions, width=0.125)
CPU = torch.device("cpu")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and busy machines lose much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> Network:
    """A seeded VGG-19 of an eighth of the width, float32."""
    return Network(Parameters(TINY, "seeded-tiny", generate(TINY)), CPU)


@pytest.fixture(scope="session")
def tiny64(tiny: Network) -> Network:
    """The same in float64, for exact comparisons."""
    return tiny.to(torch.float64)


def smooth_picture(seed: int, height: int = 48, width: int = 64) -> Tensor:
    """(3, height, width) in 0..1: soft colour blobs with some grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.rand(1, 3, 6, 8, generator=generator)
    soft = torch.nn.functional.interpolate(blobs, (height, width), mode="bicubic", align_corners=False)[0]
    return (soft + 0.1 * torch.randn(3, height, width, generator=generator)).clamp(0, 1)


@pytest.fixture(scope="session")
def picture() -> Callable[..., Tensor]:
    return smooth_picture
