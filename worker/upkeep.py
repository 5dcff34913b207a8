"""What has had its time goes: jobs with their pictures, uploads, and what a crash left behind."""

import logging
from datetime import timedelta
from typing import Final, Self

from redis import Redis

from core.jobs.artifacts import ArtifactStore, open_artifacts
from core.jobs.connections import connect
from core.jobs.ids import earliest_id, is_job_id
from core.jobs.pictures import Pictures
from core.jobs.service import SECONDS_PER_DAY, JobService
from core.jobs.store import JobStore
from core.settings import Settings

log = logging.getLogger(__name__)

REMEMBER_SECONDS: Final = 7 * SECONDS_PER_DAY
"""For how long it is said that a job has expired; after that nobody knows that it ever was."""

ORPHAN_SECONDS: Final = 3600.0
"""What belongs to nothing is left alone for so long: its owner may only be about to come."""

_AT_A_TIME: Final = 100


class Upkeep:
    """Safe to run at any time, by any number at once, and again after a crash."""

    def __init__(self, jobs: JobService, store: JobStore, artifacts: ArtifactStore, pictures: Pictures) -> None:
        self._jobs = jobs
        self._store = store
        self._artifacts = artifacts
        self._pictures = pictures

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connects when first used."""
        redis: Redis = connect(settings.redis_url)
        artifacts = open_artifacts(settings.artifacts)
        keep_seconds = settings.result_days * SECONDS_PER_DAY
        return cls(
            JobService.from_settings(settings),
            JobStore(redis, keep_seconds=keep_seconds),
            artifacts,
            Pictures(redis, artifacts, keep_seconds=keep_seconds),
        )

    def expire(self) -> int:
        """Remove jobs and uploads whose time is over; how many. Raises StoreUnavailable."""
        gone = 0
        while due := self._store.expired(_AT_A_TIME):
            for job_id in due:
                self._jobs.remove(job_id, remember_seconds=REMEMBER_SECONDS)
            gone += len(due)
        while uploads := self._pictures.expire(self._store.now(), _AT_A_TIME):
            gone += uploads
        if gone:
            log.info("%d jobs and uploads have expired", gone)
        return gone

    def tidy(self) -> int:
        """Remove what belongs to nothing; how many things. Raises StoreUnavailable."""
        edge = self._store.now() - timedelta(seconds=ORPHAN_SECONDS)
        before = edge.timestamp()
        gone = 0
        for picture_id, owner, needed_by in self._pictures.uses():
            if is_job_id(needed_by) and needed_by < earliest_id(edge) and not self._store.has(needed_by):
                self._pictures.release([picture_id], owner, needed_by)
                gone += 1
        for picture_id in self._artifacts.inputs(before):
            gone += self._pictures.tidied(picture_id)
        for job_id in self._artifacts.jobs(before):
            if not self._store.has(job_id):
                self._artifacts.delete_job(job_id)
                gone += 1
        self._artifacts.delete_halves(before)
        if gone:
            log.info("%d things that belonged to nothing were removed", gone)
        return gone

    def close(self) -> None:
        self._jobs.close()
        self._store.close()
