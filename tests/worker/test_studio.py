"""What a worker knows of its machine."""

import math
from pathlib import Path

import pytest

from worker.studio import _container_limit


@pytest.mark.parametrize(("told", "meant"), [("2147483648\n", 2 << 30), ("max\n", math.inf)])
def test_a_container_may_have_what_its_limit_says(tmp_path: Path, told: str, meant: float) -> None:
    file = tmp_path / "memory.max"
    file.write_text(told)
    assert _container_limit(file) == meant


def test_where_nobody_set_a_limit_there_is_none(tmp_path: Path) -> None:
    assert _container_limit(tmp_path / "memory.max") == math.inf
