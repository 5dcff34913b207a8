"""A disk that is nearly full is relieved of what has had its time, without asking Redis."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.jobs.artifacts import RESULT, FolderArtifacts
from core.jobs.ids import new_job_id
from core.relief import relieve
from core.settings import Settings

DAY = 86_400.0
DAYS = 2.0


@pytest.fixture
def settings(small_disk: Any) -> Settings:
    """Of a service whose Redis is not there."""
    return Settings(
        redis_url="unix:///nowhere/redis.sock",
        artifacts=str(small_disk.folder / "artifacts"),
        result_days=DAYS,
        reserve_bytes=2**20,
    )


def aged(folder: Path, pattern: str, days: float) -> None:
    for path in folder.glob(pattern):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_what_has_had_its_time_goes_when_room_is_short(settings: Settings) -> None:
    folder = Path(settings.artifacts)
    artifacts = FolderArtifacts(folder)
    old, new = new_job_id(datetime.now(UTC)), new_job_id(datetime.now(UTC))
    for job_id in (old, new):
        artifacts.put_output(job_id, 1, RESULT, bytes(300_000))
    forgotten, used = artifacts.put_input(bytes(300_000)), artifacts.put_input(bytes(300_001))
    aged(folder, f"jobs/{old}/**", DAYS + 2)
    aged(folder, "inputs/**/*.png", 2 * DAYS + 2)
    artifacts.put_input(bytes(300_001))  # sent again: it has its time before it

    relief = relieve(settings)

    assert relief is not None
    assert relief.megabytes[0] >= 0.6
    assert list(artifacts.jobs(before=time.time() + DAY)) == [new]
    assert list(artifacts.inputs(before=time.time() + DAY)) == [used]
    assert forgotten != used


def test_nothing_goes_while_there_is_room(settings: Settings) -> None:
    folder = Path(settings.artifacts)
    artifacts = FolderArtifacts(folder)
    job_id = new_job_id(datetime.now(UTC))
    artifacts.put_output(job_id, 1, RESULT, bytes(300_000))
    aged(folder, "jobs/*/**", 1000)

    assert relieve(settings) is None
    assert list(artifacts.jobs(before=time.time())) == [job_id]
