"""A bank and a recipe small enough to train in seconds."""

import pytest
import torch

from training.bank import Bank, build
from training.recipe import Phase, Recipe


@pytest.fixture(scope="session")
def bank() -> Bank:
    return build(places=12, painted=6, scenes=1, seed=0)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(width=0.125, steps=40, warmup=4, phases=(Phase(0.75, 32, 24), Phase(0.25, 48, 12)), decay=0.25)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # these tensors are too small to share out
