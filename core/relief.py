"""Room on a disk that is about to be full, made without Redis, which cannot start on one that is.

What is removed has had its time by any account: Redis would have it removed, if it could be asked.
"""

import time
from dataclasses import dataclass
from typing import Final

from core.jobs.artifacts import ArtifactStore, Space, left_for_upkeep, open_artifacts
from core.jobs.errors import ArtifactsUnavailable
from core.settings import MEGA, Settings

_DAY: Final = 86_400.0
_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Relief:
    """What was free on the disk of pictures before and after, in bytes."""

    before: Space
    after: Space

    @property
    def megabytes(self) -> tuple[float, float]:
        """How many were freed, and how many are free."""
        return max(0, self.after.free_bytes - self.before.free_bytes) / MEGA, self.after.free_bytes / MEGA


def relieve(settings: Settings) -> Relief | None:
    """Remove what has had its time, if less than the reserve is free; None where there is no need or no such disk."""
    try:
        artifacts = open_artifacts(settings.artifacts)
        before = artifacts.space()
        if before is None or before.free_bytes >= settings.reserve_bytes:
            return None
        _remove_outlived(artifacts, settings.result_days * _DAY)
        return Relief(before, artifacts.space() or before)
    except ArtifactsUnavailable:
        return None


def _remove_outlived(artifacts: ArtifactStore, keep_seconds: float) -> None:
    """A day beyond: the clock of the files is not that of Redis. An input may be an upload that a job named on its
    last day, so it is given as long again.
    """
    now = time.time()
    with left_for_upkeep("what had its time"):
        artifacts.delete_halves(now - _HOUR)
        for job_id in list(artifacts.jobs(now - keep_seconds - _DAY)):
            artifacts.delete_job(job_id)
        for picture_id in list(artifacts.inputs(now - 2 * keep_seconds - _DAY)):
            artifacts.delete_input(picture_id)
