"""The record is the truth: what queue and workers have lost of it is put right."""

import logging
from itertools import islice
from typing import Final, Self

from celery import Celery
from redis import Redis

from core.jobs.artifacts import WITHOUT_PICTURE, ArtifactStore, left_for_upkeep, open_artifacts
from core.jobs.connections import connect
from core.jobs.queue import make_celery, ring, rung_for
from core.jobs.record import JobError
from core.jobs.service import SECONDS_PER_DAY
from core.jobs.store import JobStore, Reclaimed
from core.settings import Settings

log = logging.getLogger(__name__)

RING_SECONDS: Final = 10.0
"""A job is rung for again this often at most."""

RINGS_AT_A_TIME: Final = 100
"""Of a long queue without messages only so many are rung for in a round; workers take the first ones meanwhile."""

FRESH_SECONDS: Final = 2.0
"""Whoever has just queued a job is about to ring for it."""


class Reconciler:
    """Safe to run at any time, by any number at once, and again after a crash."""

    def __init__(
        self, redis: Redis, store: JobStore, artifacts: ArtifactStore, queue: Celery, *, max_attempts: int
    ) -> None:
        self._redis = redis
        self._store = store
        self._artifacts = artifacts
        self._queue = queue
        self._max_attempts = max_attempts

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connects when first used."""
        redis = connect(settings.redis_url)
        store = JobStore(redis, keep_seconds=settings.result_days * SECONDS_PER_DAY)
        artifacts = open_artifacts(settings.artifacts)
        return cls(redis, store, artifacts, make_celery(settings), max_attempts=settings.max_attempts)

    def close(self) -> None:
        self._queue.close()
        self._store.close()

    def round(self) -> int:
        """Take jobs from runs that are gone, ring for jobs nobody will look at; how many. Raises StoreUnavailable."""
        put_right = self.reclaim() + self.ring_again()
        self._store.note_reconciled()
        return put_right

    def reclaim(self) -> int:
        """Jobs whose lease ran out wait again, or fail when that was once too often; so do jobs that hang."""
        looked_at = ((job_id, self._reclaimed(job_id)) for job_id in self._store.running())
        taken = [(job_id, what) for job_id, what in looked_at if what is not Reclaimed.HELD]
        for job_id, what in taken:
            log.warning("job %s was taken from a run that is gone: %s", job_id, what)
            if what is not Reclaimed.QUEUED:
                with left_for_upkeep(f"what job {job_id} put aside"):
                    for name in WITHOUT_PICTURE:
                        self._artifacts.delete_output(job_id, name)
        return len(taken)

    def ring_again(self) -> int:
        """Queued jobs without a message are rung for. Once too often does no harm: one claim gets the job."""
        before = self._store.now().timestamp() - FRESH_SECONDS
        waiting = [job for job in self._store.waiting() if job.since < before]
        heard = rung_for(self._redis) if waiting else set()
        silent = (job for job in waiting if job.id not in heard and self._store.may_ring(job.id, RING_SECONDS))
        rung = 0
        for job in islice(silent, RINGS_AT_A_TIME):
            ring(self._queue, job.id, job.priority)
            log.info("job %s was rung for again", job.id)
            rung += 1
        return rung

    def _reclaimed(self, job_id: str) -> Reclaimed:
        return self._store.reclaim(job_id, self._max_attempts, _spent(self._max_attempts), _LATE)


_LATE: Final = JobError(
    type="deadline",
    title="The run took longer than it may",
    detail="The worker did not end the run when its time was over; it was ended from outside.",
)


def _spent(attempts: int) -> JobError:
    often = "once" if attempts == 1 else f"{attempts} times"
    return JobError(
        type="attempts-spent",
        title="The job ended its workers",
        detail=f"A worker that carried the job out stopped {often} without a word, as one does that is killed or runs"
        " out of memory. It is not tried again; a smaller size needs less memory.",
    )
