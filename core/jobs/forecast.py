"""When waiting jobs will be done, from what this service's own workers took for the latest ones."""

import heapq
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, NamedTuple, cast

from redis.asyncio import Redis

from core.engine.schedule import schedule
from core.jobs import names
from core.jobs.connections import answering
from core.jobs.reader import ETA
from core.jobs.record import JobRecord

FRESH_SECONDS: Final = 1.0
_MOST_QUEUED: Final = 1000
_WORKER_SEEN_MS: Final = 30_000

# KEYS: the history, the queue, the running, the workers by the time they were seen.
# Answers: the history, [work, progress, seconds since it began] of each running job, [id, work] of each queued one,
# how many workers there are.
_SEE: Final = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local running, queued = {{}}, {{}}
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local found = redis.call('HMGET', 'strata:job:' .. id, '_work', 'progress', 'started_at')
  local since = now - (tonumber(found[3] or '') or now)
  running[#running + 1] = {{found[1] or '', found[2] or '', string.format('%.3f', since)}}
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, {_MOST_QUEUED - 1})) do
  queued[#queued + 1] = {{id, redis.call('HGET', 'strata:job:' .. id, '_work') or ''}}
end
local workers = redis.call('ZCOUNT', KEYS[4], now * 1000 - {_WORKER_SEEN_MS}, '+inf')
return {{redis.call('LRANGE', KEYS[1], 0, -1), running, queued, workers}}
"""


@dataclass(frozen=True)
class Running:
    """A job at work: how much work it is, for how long it has been at it, and what it says is left, if it does."""

    work: str
    seconds: float
    left: float | None


class Expected(NamedTuple):
    """In how many seconds a waiting job is taken up, and is done."""

    begins: float
    ends: float


def work_of(record: JobRecord) -> str:
    """`network amount`: how much work a job is at most."""
    stages = schedule(record.options, (record.content.width, record.content.height))
    return f"{record.options.network} {sum(stage.work for stage in stages)}"


def forecast(
    history: Iterable[str], running: Sequence[Running], queued: Sequence[tuple[str, str]], workers: int
) -> dict[str, Expected]:
    """What can be told of each queued job.

    `history`: `network amount seconds` of jobs that were done. The queue is served in order, by whichever worker is
    free first.
    """
    pace = _pace(history)
    free = [left if (left := _left(job, pace)) is not None else 0.0 for job in running]
    free += [0.0] * (workers - len(free))
    heapq.heapify(free)
    expected: dict[str, Expected] = {}
    for job_id, work in queued:
        if not free or (seconds := _seconds(work, pace)) is None:
            break
        begins = heapq.heapreplace(free, free[0] + seconds)
        expected[job_id] = Expected(begins, begins + seconds)
    return expected


def _pace(history: Iterable[str]) -> dict[str, float]:
    """Seconds for one unit of work, by network; under `` for any."""
    found: dict[str, list[float]] = {}
    for line in history:
        network, amount, seconds = line.split()
        if float(amount):
            found.setdefault(network, []).append(float(seconds) / float(amount))
    paces = {network: median(each) for network, each in found.items()}
    return paces | ({"": median(paces.values())} if paces else {})


def _seconds(work: str, pace: Mapping[str, float]) -> float | None:
    network, _, amount = work.partition(" ")
    each = pace.get(network, pace.get(""))
    return None if each is None or not amount else each * float(amount)


def _left(job: Running, pace: Mapping[str, float]) -> float | None:
    if job.left is not None:
        return job.left
    seconds = _seconds(job.work, pace)
    return None if seconds is None else max(0.0, seconds - job.seconds)


class Forecast:
    """The forecast for one event loop, made anew once a second and for new jobs, and only when somebody asks.

    Every method raises StoreUnavailable.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._see = redis.register_script(_SEE)
        self._expected: dict[str, Expected] = {}
        self._queued: frozenset[str] = frozenset()
        self._made = float("-inf")

    async def eta(self, job_id: str) -> float | None:
        """Seconds until a queued job is done; None if that cannot be told."""
        if job_id not in self._queued and len(self._queued) < _MOST_QUEUED:
            self._made = float("-inf")
        found = (await self._current()).get(job_id)
        return None if found is None else found.ends

    async def room(self) -> float | None:
        """Seconds until a place in the queue is free; None if that cannot be told."""
        return min((job.begins for job in (await self._current()).values()), default=None)

    async def room_of(self, owner: str | None) -> float | None:
        """Seconds until a job of an owner's has left the queue; None if that cannot be told."""
        expected = await self._current()
        async with answering():
            found = await cast(Any, self._redis.zrange(f"{names.JOBS}{owner or ''}:queued", 0, -1))
        own = (expected.get(job_id.decode()) for job_id in found)
        return min((job.begins for job in own if job is not None), default=None)

    async def _current(self) -> dict[str, Expected]:
        if time.monotonic() - self._made > FRESH_SECONDS:
            self._made = time.monotonic()  # at once: one asks, the others go on with what there is
            keys = (names.HISTORY, names.QUEUE, names.RUNNING, names.WORKERS_SEEN)
            async with answering():
                history, running, queued, workers = await cast(Awaitable[list[Any]], self._see(keys=keys))
            at_work = [_running(*(part.decode() for part in job)) for job in running]
            waiting = [(job_id.decode(), work.decode()) for job_id, work in queued]
            self._queued = frozenset(job_id for job_id, _ in waiting)
            self._expected = forecast((line.decode() for line in history), at_work, waiting, workers)
        return self._expected


def _running(work: str, progress: str, seconds: str) -> Running:
    return Running(work, float(seconds), _eta_in(progress))


def _eta_in(progress: str) -> float | None:
    found = ETA.search(progress.encode())
    return float(found[1]) if found else None
