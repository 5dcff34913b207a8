"""Deliveries of callbacks: what is due and what was tried, in Redis.

A delivery is made by the very step that moves its job to a new state (transitions.py). The receivers'
hosts are lanes: each has its own schedule and at most so many deliveries under way, so that a host with
many that hang takes nothing from the others. A delivery that is taken is leased: one whose courier died
is due again when its lease ends.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, cast
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from redis import Redis

from core.jobs import names
from core.jobs.connections import answered
from core.jobs.record import JobRecord

LEASE_SECONDS: Final = 60.0
"""Longer than an attempt may take."""

PER_HOST: Final = 8
"""Deliveries under way to one host at a time."""

MOST_ATTEMPTS: Final = 100
"""The newest so many attempts at one delivery are listed: by hand it can be made again without end."""

_COUNTS: Final = "strata:webhooks:counts"


class DeliveryStatus(StrEnum):
    """Whether a callback was taken: not yet, yes, or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


RETRIED: Final = "retried"
RESULTS: Final = (DeliveryStatus.DELIVERED, RETRIED, DeliveryStatus.FAILED)
"""How an attempt may go, as it is counted."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Attempt(_Value):
    """One try to deliver a callback."""

    at: AwareDatetime = Field(description="When it began.")
    seconds: float | None = Field(description="How long it took; null if that is not known.")
    status_code: int | None = Field(description="Of the answer; null when there was none.")
    error: str | None = Field(description="Why it does not count as taken; null if it does.")


class Delivery(_Value):
    """A callback and how it went."""

    id: str = Field(description="The `webhook-id` of every attempt.")
    event: str = Field(description="What it tells of: job.succeeded ...")
    url: str = Field(description="Where it goes.")
    status: DeliveryStatus
    created_at: AwareDatetime = Field(description="When that happened.")
    next_attempt_at: AwareDatetime | None = Field(description="Null when there is to be none.")
    attempts: tuple[Attempt, ...] = Field(description="The newest hundred at most, oldest first.")


class Due(_Value):
    """A delivery that was taken to be tried. `tries` counts this one; `now` is Redis's clock; `job` is the job's id."""

    id: str
    token: str
    job: str
    owner: str | None
    event: str
    url: str
    home: str
    lane: str
    at: AwareDatetime
    now: AwareDatetime
    tries: int
    record_json: str

    @property
    def record(self) -> JobRecord:
        """The job as it was. Raises ValueError for one that a newer service wrote: here, so that others are taken."""
        return JobRecord.model_validate_json(self.record_json)


_PRELUDE: Final = f"""
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(number) return string.format('%d', number) end

-- A lane's place among the lanes is when there will be something to do in it.
local function rank(lane)
  local due, busy = '{names.DUE}' .. lane, '{names.BUSY}' .. lane
  local ends = redis.call('ZRANGE', busy, 0, 0, 'WITHSCORES')[2]
  local next_ = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  if redis.call('ZCARD', busy) >= {PER_HOST} then next_ = nil end
  if ends and (not next_ or tonumber(ends) < tonumber(next_)) then next_ = ends end
  if next_ then redis.call('ZADD', '{names.LANES}', next_, lane)
  else redis.call('ZREM', '{names.LANES}', lane) end
end
"""

# ARGV: how many at most, lease in milliseconds, a token. One from each lane that has one.
# Answers the time in milliseconds, then id and hash of each.
_CLAIM: Final = (
    _PRELUDE
    + f"""
local found = {{int(now_ms)}}
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', '{names.LANES}', '-inf', now_ms, 'LIMIT', 0, ARGV[1])) do
  local due, busy = '{names.DUE}' .. lane, '{names.BUSY}' .. lane
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', busy, '-inf', now_ms)) do
    local delivery = '{names.DELIVERY}' .. id
    redis.call('ZREM', busy, id)
    if redis.call('EXISTS', delivery) == 1 then
      redis.call('ZADD', due, int(now_ms), id)
      redis.call('RPUSH', delivery .. ':attempts', string.format('{{"at":%s,"seconds":null,"status_code":null,'
        .. '"error":"The courier ended before it was answered."}}', redis.call('HGET', delivery, '_began')))
    end
  end
  local id = redis.call('ZCARD', busy) < {PER_HOST}
    and redis.call('ZRANGEBYSCORE', due, '-inf', now_ms, 'LIMIT', 0, 1)[1]
  if id then
    local delivery = '{names.DELIVERY}' .. id
    redis.call('ZREM', due, id)
    if redis.call('EXISTS', delivery) == 1 then
      redis.call('ZADD', busy, int(now_ms + ARGV[2]), id)
      redis.call('HINCRBY', delivery, 'tries', 1)
      redis.call('HSET', delivery, '_token', ARGV[3], '_began', string.format('%.3f', now_ms / 1000))
      table.insert(found, id)
      table.insert(found, redis.call('HGETALL', delivery))
    end
  end
  rank(lane)
end
return found
"""
)

# ARGV: id, lane, token, status, milliseconds until the next attempt or '', what it is counted as, the attempt as JSON.
# Answers 1, or 0 when the lease had ended. What a job that is gone still had to say is forgotten once it is said.
_SETTLE: Final = (
    _PRELUDE
    + f"""
local id, lane = ARGV[1], ARGV[2]
local delivery, due, busy = '{names.DELIVERY}' .. id, '{names.DUE}' .. lane, '{names.BUSY}' .. lane
local token = redis.call('HGET', delivery, '_token')
if token and token ~= ARGV[3] then return 0 end
redis.call('ZREM', busy, id)
if token then
  redis.call('HDEL', delivery, '_token')
  redis.call('HSET', delivery, 'status', ARGV[4])
  redis.call('RPUSH', delivery .. ':attempts', ARGV[7])
  redis.call('LTRIM', delivery .. ':attempts', -{MOST_ATTEMPTS}, -1)
  redis.call('HINCRBY', '{_COUNTS}', ARGV[6], 1)
  if ARGV[5] ~= '' then
    redis.call('ZADD', due, int(now_ms + ARGV[5]), id)
  elseif redis.call('EXISTS', '{names.JOB}' .. redis.call('HGET', delivery, 'job')) == 0 then
    redis.call('DEL', delivery, delivery .. ':attempts')
  end
end
rank(lane)
return token and 1 or 0
"""
)

# ARGV: job, id. Answers 1, or 0 if that job has no such delivery. One that is under way stays so.
_AGAIN: Final = (
    _PRELUDE
    + f"""
local id = ARGV[2]
local delivery = '{names.DELIVERY}' .. id
if redis.call('HGET', delivery, 'job') ~= ARGV[1] then return 0 end
local lane = redis.call('HGET', delivery, 'lane')
if not redis.call('ZSCORE', '{names.BUSY}' .. lane, id) then
  redis.call('HSET', delivery, 'status', '{DeliveryStatus.PENDING}', 'tries', 0)
  redis.call('ZADD', '{names.DUE}' .. lane, int(now_ms), id)
  rank(lane)
end
return 1
"""
)

# Answers milliseconds until there is something to do, or nothing.
_NEXT: Final = (
    _PRELUDE
    + f"""
local first = redis.call('ZRANGE', '{names.LANES}', 0, 0, 'WITHSCORES')[2]
return first and math.max(0, math.ceil(first - now_ms))
"""
)


class DeliveryStore:
    """Safe to share between threads. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim = redis.register_script(_CLAIM)
        self._settle = redis.register_script(_SETTLE)
        self._again = redis.register_script(_AGAIN)
        self._next = redis.register_script(_NEXT)

    def close(self) -> None:
        self._redis.close()

    def claim(self, at_most: int) -> list[Due]:
        """Take deliveries that are due, one for each host; ask again for more."""
        token = uuid4().hex
        now, *found = answered(lambda: self._claim(args=(at_most, int(LEASE_SECONDS * 1000), token)))
        at = datetime.fromtimestamp(int(now) / 1000, UTC)
        return [_due(id_.decode(), token, flat, at) for id_, flat in zip(found[::2], found[1::2], strict=True)]

    def settle(self, due: Due, status: DeliveryStatus, attempt: Attempt, again_in: float | None = None) -> bool:
        """Note how an attempt went. `again_in`: seconds until the next. False: the lease had ended meanwhile."""
        pause = "" if again_in is None else int(again_in * 1000)
        counted = status if again_in is None else RETRIED
        args = (due.id, due.lane, due.token, status, pause, counted, attempt.model_dump_json())
        return bool(answered(lambda: self._settle(args=args)))

    def next_in(self) -> float | None:
        """Seconds until there is something to do; None when nothing is planned."""
        ms = cast(int | None, answered(lambda: self._next()))
        return None if ms is None else ms / 1000

    def redeliver(self, job_id: str, delivery_id: str) -> bool:
        """Make it due at once, its schedule from the start. False: that job has no such delivery. Idempotent."""
        return bool(answered(lambda: self._again(args=(job_id, delivery_id))))

    def of_job(self, job_id: str) -> list[Delivery]:
        """All of a job, oldest first."""
        ids = cast(list[bytes], answered(lambda: self._redis.lrange(names.DELIVERIES + job_id, 0, -1)))
        found = (self.get(delivery_id.decode()) for delivery_id in ids)
        return [delivery for delivery in found if delivery is not None]

    def get(self, delivery_id: str) -> Delivery | None:
        key = names.DELIVERY + delivery_id
        lane = answered(lambda: self._redis.hget(key, "lane"))
        if lane is None:
            return None
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(key, "event", "url", "status", "at")
        pipe.lrange(f"{key}:attempts", 0, -1)
        pipe.zscore(names.DUE + lane.decode(), delivery_id)
        (event, url, status, at), attempts, due = cast(Any, answered(pipe.execute))
        if event is None:
            return None
        return Delivery(
            id=delivery_id,
            event=event.decode(),
            url=url.decode(),
            status=DeliveryStatus(status.decode()),
            created_at=_moment(float(at)),
            next_attempt_at=None if due is None else _moment(due / 1000),
            attempts=tuple(Attempt.model_validate_json(attempt) for attempt in attempts),
        )

    def counts(self) -> Mapping[str, int]:
        """Attempts since ever, by how they went: delivered, retried, failed."""
        found = cast(dict[bytes, bytes], answered(lambda: self._redis.hgetall(_COUNTS)))
        return {name.decode(): int(number) for name, number in found.items()}


def _due(delivery_id: str, token: str, flat: Iterable[bytes], now: datetime) -> Due:
    values = list(flat)
    fields = {k.decode(): v.decode() for k, v in zip(values[::2], values[1::2], strict=True)}
    named = {name: fields[name] for name in ("job", "event", "url", "home", "lane")}
    return Due(
        id=delivery_id,
        token=token,
        owner=json.loads(fields["owner"]),
        at=_moment(float(fields["at"])),
        now=now,
        tries=int(fields["tries"]),
        record_json=fields["record"],
        **named,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
