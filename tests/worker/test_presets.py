"""Every published system through HTTP, at a fraction of its size and length."""

from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from core.engine.presets import PRESETS, resolve

SHORT = {"network": "strata-small", "size": 64, "iterations": 3, "timeout_seconds": 60}


@pytest.mark.usefixtures("working")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs_by_name_and_twice_gives_the_same_bytes(
    url: str, photo: bytes, painting: bytes, preset: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {**SHORT, "preset": preset}
    with Client(url) as client:
        jobs = [client.wait(client.submit(photo, painting, **options), timeout=90) for _ in range(2)]
        first, second = (client.image(job) for job in jobs)

    assert [job.status for job in jobs] == ["succeeded", "succeeded"]
    assert jobs[0].options == resolve(options).model_dump(mode="json")
    assert len(jobs[0].metrics or {}) > 10
    assert first == second
