"""How a run ended, as a client over HTTP learns it."""

import io
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from cli.client import Client

ENDS: dict[str, dict[str, Any]] = {
    "finished": {"iterations": 3, "optimizer": "adam"},
    "converged": {"iterations": 400, "early_stop": 0.1, "tv_weight": 0.0},
    "diverged": {"iterations": 60, "optimizer": "lbfgs", "learning_rate": 1e6},
}


@pytest.mark.usefixtures("working")
@pytest.mark.parametrize("outcome", ENDS)
def test_a_run_says_why_it_ended_and_leaves_a_picture_all_the_same(
    url: str, photo: bytes, painting: bytes, quick: Mapping[str, Any], outcome: str
) -> None:
    with Client(url) as client:
        job = client.wait(client.submit(photo, painting, **{**quick, **ENDS[outcome]}), timeout=120)
        with Image.open(io.BytesIO(client.image(job))) as picture:
            assert len(picture.getcolors(100_000) or range(100_000)) > 100
        losses = client.losses(job)
    assert (job.status, job.outcome) == ("succeeded", outcome)
    assert (len(losses) == ENDS[outcome]["iterations"]) is (outcome == "finished")
    assert any("best iterate" in warning for warning in job.warnings) is (outcome == "diverged")
