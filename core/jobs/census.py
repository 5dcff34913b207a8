"""The service in numbers: how many jobs there are in which state, how long they wait, what was ever done."""

import json
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import Redis

from core.jobs import names
from core.jobs.connections import answering
from core.jobs.deliveries import RESULTS
from core.jobs.record import JobStatus, Priority
from core.jobs.store import PLACE_PER_RANK, Reclaimed

_WORKER_SEEN_MS: Final = 30_000
_STATES: Final = ",".join(f"'{state}'" for state in JobStatus)

# KEYS: the owners, the queue, the workers by the time they were seen, the totals, the webhooks' counts, what each
# worker said.
# Answers: how many jobs in each state; the queue's first of each priority's places counted; and so on.
_COUNT: Final = f"""
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local jobs = {{}}
for at, state in ipairs({{{_STATES}}}) do
  jobs[at] = 0
  for _, owner in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    jobs[at] = jobs[at] + redis.call('ZCARD', '{names.JOBS}' .. owner .. ':' .. state)
  end
end
local queued, oldest = {{}}, now_ms
for rank = 0, {len(Priority) - 1} do
  local from, to = string.format('%d', rank * {PLACE_PER_RANK}), string.format('(%d', (rank + 1) * {PLACE_PER_RANK})
  queued[rank + 1] = redis.call('ZCOUNT', KEYS[2], from, to)
  local first = redis.call('ZRANGEBYSCORE', KEYS[2], from, to, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then oldest = math.min(oldest, first[2] - rank * {PLACE_PER_RANK}) end
end
local workers = {{}}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now_ms - {_WORKER_SEEN_MS}, '+inf')) do
  table.insert(workers, worker)
  table.insert(workers, redis.call('HGET', KEYS[6], worker) or '{{}}')
end
local ever, webhooks = redis.call('HGETALL', KEYS[4]), redis.call('HGETALL', KEYS[5])
return {{jobs, queued, now_ms - oldest, workers, ever, webhooks, now_ms}}
"""


@dataclass(frozen=True)
class Census:
    """`jobs` by state; `finished` since ever by state and outcome; `queued` by priority; `workers`: what each says.

    `lost`: runs that lost their jobs, by what became of those. `reconciled_seconds`: since somebody looked after
    such jobs; None if nobody ever did. `memory_bytes`: what Redis holds; `memory_max_bytes`: beyond which it refuses
    to take more, None for no bound of its own.
    """

    jobs: Mapping[str, int]
    finished: Mapping[tuple[str, str], int]
    queued: Mapping[str, int]
    oldest_seconds: float
    workers: Mapping[str, Mapping[str, str]]
    engine_seconds: float
    iterations: int
    claims: int
    lost: Mapping[str, int]
    reconciled_seconds: float | None
    memory_bytes: int
    memory_max_bytes: int | None
    webhooks: Mapping[str, int]


async def census(redis: Redis) -> Census:
    """The numbers now. Raises StoreUnavailable."""
    keys = (names.OWNERS, names.QUEUE, names.WORKERS_SEEN, names.TOTALS, "strata:webhooks:counts", names.WORKERS_INFO)
    async with answering():
        call = cast(Awaitable[list[Any]], redis.eval(_COUNT, len(keys), *keys))
        jobs, queued, oldest, workers, totals, webhooks, now_ms = await call
        memory = await redis.info("memory")
    ever = _pairs(totals)
    finished: Counter[tuple[str, str]] = Counter()
    for name, number in ever.items():
        if name.startswith("jobs:"):
            _, status, outcome = name.split(":")
            finished[status, outcome] = int(number)
    return Census(
        jobs=dict(zip(map(str, JobStatus), jobs, strict=True)),
        finished=finished,
        queued=dict(zip(map(str, Priority), queued, strict=True)),
        oldest_seconds=oldest / 1000,
        workers={worker: json.loads(said) for worker, said in _pairs(workers).items()},
        engine_seconds=float(ever.get("engine_seconds", 0)),
        iterations=int(ever.get("iterations", 0)),
        claims=int(ever.get("claims", 0)),
        lost={what: int(ever.get(f"lost:{what}", 0)) for what in Reclaimed if what is not Reclaimed.HELD},
        reconciled_seconds=(now_ms - int(ever["reconciled"])) / 1000 if "reconciled" in ever else None,
        memory_bytes=memory["used_memory"],
        memory_max_bytes=memory["maxmemory"] or None,
        webhooks={result: int(_pairs(webhooks).get(result, 0)) for result in RESULTS},
    )


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
