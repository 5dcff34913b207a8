"""JobStore: the records, the queue's order, the events and the workers, atomically, in Redis."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, cast
from uuid import uuid4

from redis import Redis
from redis.commands.core import Script

from core.jobs import attendance, names, transitions
from core.jobs.connections import answered
from core.jobs.errors import JobExpired, JobNotFound, QueueFull, QuotaExceeded
from core.jobs.fields import expect_readable, paired, to_fields, to_record
from core.jobs.forecast import work_of
from core.jobs.ids import is_job_id
from core.jobs.record import TERMINAL, JobError, JobProgress, JobRecord, JobStatus, Priority
from core.jobs.stored import CHARGES, SUMS

WORKER_SEEN_SECONDS: Final = 30
"""A worker that was not heard of for so long does not count as alive."""

_RUNG: Final = "strata:rung:"

_QUEUE_FULL_RETRY_SECONDS: Final = 30
_QUOTA_RETRY_SECONDS: Final = 30
_WORKER_FORGOTTEN_SECONDS: Final = 3600
PLACE_PER_RANK: Final = 10**13  # more milliseconds than there are between 1970 and 2280

Workers = Mapping[str, Mapping[str, Any]]
"""What each worker said of itself, by its name."""


class Verdict(StrEnum):
    """What a run is told when it renews its lease."""

    GO_ON = "go-on"
    CANCEL = "cancel"
    LOST = "lost"


class Reclaimed(StrEnum):
    """What became of a job that was looked at because its run may be gone."""

    HELD = "held"
    QUEUED = "queued"
    SPENT = "spent"
    LATE = "late"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Waiting:
    """A queued job. `since`: when it was created, in seconds since 1970."""

    id: str
    priority: Priority
    since: float


class JobStore:
    """Safe to share between threads. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis, *, keep_seconds: float) -> None:
        """`keep_seconds`: how long after its end a job expires."""
        self._redis = redis
        self._keep_ms = int(keep_seconds * 1000)
        self._create = redis.register_script(transitions.CREATE)
        self._claim = redis.register_script(transitions.CLAIM)
        self._claim_next = redis.register_script(transitions.CLAIM_NEXT)
        self._renew = redis.register_script(transitions.RENEW)
        self._preview = redis.register_script(transitions.PREVIEW)
        self._finish = redis.register_script(transitions.FINISH)
        self._hand_back = redis.register_script(transitions.HAND_BACK)
        self._reclaim = redis.register_script(transitions.RECLAIM)
        self._cancel = redis.register_script(transitions.CANCEL)
        self._next_held = redis.register_script(transitions.NEXT_HELD)
        self._remove = redis.register_script(transitions.REMOVE)
        self._reconciled = redis.register_script(transitions.RECONCILED)
        self._heartbeat = redis.register_script(attendance.HEARTBEAT)
        self._workers = redis.register_script(attendance.WORKERS)

    def ping(self) -> None:
        answered(self._redis.ping)

    def close(self) -> None:
        self._redis.close()

    def now(self) -> datetime:
        """Redis's clock: the one that every role shares."""
        seconds, microseconds = cast(tuple[int, int], answered(self._redis.time))
        return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)

    def create(
        self, record: JobRecord, *, max_queued: int, max_own: int | None = None, max_running: int | None = None
    ) -> None:
        """Write a queued record. Idempotent.

        Raises QueueFull, QuotaExceeded, UnreadableRecord, having written nothing.

        `max_own`: how many of the owner's jobs may be queued, this one included; `max_running`: how many may be at
        work when it is claimed, likewise; None for any number.
        """
        rank = list(Priority).index(record.priority)
        place = rank * PLACE_PER_RANK + int(record.created_at.timestamp() * 1000)
        own, alone = ("" if most is None else most for most in (max_own, max_running))
        fields = to_fields(record.model_dump(mode="json"))
        expect_readable(record, fields)
        said = self._run(self._create, record.id, max_queued, own, alone, place, *fields, "_work", work_of(record))
        if said == b"full":
            raise QueueFull(max_queued, _QUEUE_FULL_RETRY_SECONDS)
        if said == b"quota":
            detail = f"{max_own} of your jobs are queued already, as many as may be."
            raise QuotaExceeded(detail, _QUOTA_RETRY_SECONDS, of_queue=True)

    def get(self, job_id: str) -> JobRecord:
        """Raises JobNotFound, for a malformed id too, JobExpired, UnreadableRecord."""
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        pairs = cast(dict[bytes, bytes], answered(lambda: self._redis.hgetall(_job_key(job_id))))
        if not pairs:
            raise self._absent(job_id)
        return to_record(job_id, pairs.items())

    def claim(self, job_id: str, lease_seconds: float) -> JobRecord | None:
        """Queued to processing, with the next attempt and a lease. None: not queued, unknown, or put by because
        its owner has as many at work as may be: see `next_held`.

        Of any number of claims on one queued job exactly one gets it. Raises UnreadableRecord, with the attempt that
        was begun.
        """
        return self._claimed(self._run(self._claim, job_id, _ms(lease_seconds), uuid4().hex))

    def claim_next(self, lease_seconds: float) -> JobRecord | None:
        """`claim` the first job of the queue that may be had, whatever its id. None: there is none."""
        return self._claimed(self._run(self._claim_next, "", _ms(lease_seconds), uuid4().hex))

    def owner(self, job_id: str) -> str | None:
        """Whose job it is, even if its record cannot be read. Raises JobNotFound, JobExpired."""
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        found = cast(bytes | None, answered(lambda: self._redis.hget(_job_key(job_id), "owner")))
        if found is None:
            raise self._absent(job_id)
        return cast(str | None, json.loads(found))

    def renew(self, job_id: str, attempt: int, progress: JobProgress | None, lease_seconds: float) -> Verdict:
        """Keep the lease of this attempt, publish its progress if given, and learn whether to go on."""
        text = progress.model_dump_json() if progress else ""
        return Verdict(self._run(self._renew, job_id, attempt, _ms(lease_seconds), text).decode())

    def announce_preview(self, job_id: str, attempt: int, iteration: int) -> bool:
        """Tell listeners that a newer preview is stored. False: this attempt no longer holds the job."""
        return bool(self._run(self._preview, job_id, attempt, json.dumps({"iteration": iteration})))

    def finish(self, job_id: str, attempt: int, status: JobStatus, *, stored_bytes: int = 0, **fields: Any) -> bool:
        """Processing to a terminal state, with further fields of JobRecord. Idempotent.

        `stored_bytes`: of what it leaves, which count as its owner's until the job is removed.

        False: this attempt does not hold the job any more; nothing was written.
        """
        if status not in TERMINAL:
            raise ValueError(f"{status} is not a terminal state")
        if unknown := fields.keys() - JobRecord.model_fields.keys():
            raise ValueError(f"a record has no {', '.join(sorted(unknown))}")
        own = to_fields(fields)
        return bool(self._run(self._finish, job_id, attempt, status, self._keep_ms, stored_bytes, *own))

    def hand_back(self, job_id: str, attempt: int) -> bool:
        """Processing to queued, by the run that holds it and will not end it: this is no attempt lost. Idempotent.

        False: this attempt does not hold the job any more.
        """
        return bool(self._run(self._hand_back, job_id, attempt, self._keep_ms))

    def reclaim(self, job_id: str, max_attempts: int, spent: JobError, late: JobError) -> Reclaimed:
        """Take a job from a run whose lease ran out: to queued, or to failed when `max_attempts` runs lost it.

        One that hangs, its lease kept beyond its deadline, fails too.
        """
        errors = (spent.model_dump_json(), late.model_dump_json())
        return Reclaimed(self._run(self._reclaim, job_id, max_attempts, self._keep_ms, *errors).decode())

    def running(self) -> list[str]:
        """Jobs that are held, the one whose lease ends first before all."""
        found = answered(lambda: self._redis.zrange(names.RUNNING, 0, -1))
        return [job_id.decode() for job_id in cast(list[bytes], found)]

    def waiting(self) -> list[Waiting]:
        """Every queued job, the next to run first."""
        found = answered(lambda: self._redis.zrange(names.QUEUE, 0, -1, withscores=True))
        ranks, places = tuple(Priority), ((job_id, divmod(int(place), PLACE_PER_RANK)) for job_id, place in found)
        return [Waiting(job_id.decode(), ranks[rank], since / 1000) for job_id, (rank, since) in places]

    def may_ring(self, job_id: str, every_seconds: float) -> bool:
        """Whether to ring for a job now: no more often than so, whoever asks."""
        return bool(answered(lambda: self._redis.set(_RUNG + job_id, 1, px=_ms(every_seconds), nx=True)))

    def request_cancel(self, job_id: str) -> JobRecord:
        """Queued: canceled at once. Processing: flagged for the run. Terminal: unchanged.

        Raises JobNotFound.
        """
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        flat = self._run(self._cancel, job_id, self._keep_ms)
        if not flat:
            raise JobNotFound(job_id)
        return to_record(job_id, paired(flat))

    def remove(self, job_id: str, *, remember_seconds: float = 0) -> JobRecord | None:
        """Forget a job in any state, and say what it was; None if there is none. A run finds that it lost it.

        Raises UnreadableRecord, having forgotten it, when that cannot be said.

        `remember_seconds`: for how long to raise JobExpired, not JobNotFound, to those who ask for it.
        """
        if not is_job_id(job_id):
            return None
        flat = self._run(self._remove, job_id, _ms(remember_seconds))
        return to_record(job_id, paired(flat)) if flat else None

    def expired(self, limit: int = 100) -> list[str]:
        """Jobs whose time is over, the longest first."""
        until = int(self.now().timestamp() * 1000)
        found = answered(lambda: self._redis.zrangebyscore(names.EXPIRING, "-inf", until, 0, limit))
        return [job_id.decode() for job_id in cast(list[bytes], found)]

    def has(self, job_id: str) -> bool:
        """Whether there is such a job."""
        return bool(answered(lambda: self._redis.exists(_job_key(job_id))))

    def next_held(self, owner: str | None) -> tuple[str, Priority] | None:
        """One of an owner's jobs that was put by, to be rung for when another one of theirs has ended."""
        found = answered(lambda: self._next_held(keys=(f"{names.HELD}{owner or ''}",)))
        return None if found is None else (found[0].decode(), Priority(json.loads(found[1])))

    def queue_position(self, job_id: str) -> int | None:
        """1 for the next to run; None for one that is not queued."""
        rank = answered(lambda: self._redis.zrank(names.QUEUE, job_id))
        return None if rank is None else cast(int, rank) + 1

    def expect_room(self, max_queued: int) -> None:
        """Raises QueueFull when as many jobs are queued."""
        if self.queue_length() >= max_queued:
            raise QueueFull(max_queued, _QUEUE_FULL_RETRY_SECONDS)

    def queue_length(self) -> int:
        return cast(int, answered(lambda: self._redis.zcard(names.QUEUE)))

    def note_reconciled(self) -> None:
        """Say that somebody has looked after jobs whose runs or messages are gone."""
        answered(lambda: self._reconciled(keys=(names.TOTALS,)))

    def heartbeat(self, worker_id: str, info: Mapping[str, Any]) -> None:
        """Say that a worker is alive, warm, with which network, weights and device, and what else it can draw with."""
        keys = (names.WORKERS_SEEN, names.WORKERS_INFO)
        args = (worker_id, json.dumps(dict(info)), _WORKER_FORGOTTEN_SECONDS * 1000)
        answered(lambda: self._heartbeat(keys=keys, args=args))

    def workers(self) -> Workers:
        """Workers heard of within WORKER_SEEN_SECONDS and what they said, the latest last."""
        keys = (names.WORKERS_SEEN, names.WORKERS_INFO)
        flat = answered(lambda: self._workers(keys=keys, args=(WORKER_SEEN_SECONDS * 1000,)))
        return {worker.decode(): json.loads(info) for worker, info in paired(cast(list[bytes], flat))}

    def _absent(self, job_id: str) -> JobNotFound | JobExpired:
        owner = cast(bytes | None, answered(lambda: self._redis.get(names.GONE + job_id)))
        return JobNotFound(job_id) if owner is None else JobExpired(job_id, json.loads(owner))

    def _claimed(self, flat: list[bytes] | None) -> JobRecord | None:
        if not flat:
            return None
        pairs = paired(flat)
        return to_record(json.loads(dict(pairs)[b"id"]), pairs)

    def _run(self, script: Script, job_id: str, *args: str | int) -> Any:
        keys = (_job_key(job_id), f"strata:events:{job_id}", names.QUEUE, names.RUNNING, CHARGES, SUMS)
        return answered(lambda: script(keys=keys, args=(job_id, *args)))


def _job_key(job_id: str) -> str:
    return f"strata:job:{job_id}"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
