"""Idempotency keys: the first answer to a request is kept, and given again to whoever repeats it.

After the draft "The Idempotency-Key HTTP Header Field" of the IETF's HTTPAPI working group. The id of the job is
decided and kept with the key before there is a job. So whoever repeats a request whose process died, at whatever
moment, makes that very job or finds it made.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from redis.asyncio import Redis

from core.jobs.connections import answering
from core.jobs.errors import KeyInFlight, KeyReused, StoreUnavailable
from core.jobs.ids import new_job_id

KEPT_SECONDS: Final = 86_400
LEASE_SECONDS: Final = 15.0
"""A process that dies with a request in its hands blocks the key for so long."""

_RENEW_SECONDS: Final = LEASE_SECONDS / 3

# KEYS: the entry, its lease. ARGV: fingerprint, an id for the job, milliseconds of the lease, seconds of the entry.
# Answers taken, the job's id and 1 if it was taken before; or busy; or the entry. The id stands in the lease, too, and
# tells who holds it: the client library may repeat the call.
_BEGIN: Final = """
local first = redis.call('HSETNX', KEYS[1], 'fingerprint', ARGV[1]) == 1
if first then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
local same = redis.call('HGET', KEYS[1], 'fingerprint') == ARGV[1]
if not same or redis.call('HEXISTS', KEYS[1], 'body') == 1 then return redis.call('HGETALL', KEYS[1]) end
local free = redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX')
if not free and redis.call('GET', KEYS[2]) ~= ARGV[2] then return {'busy'} end
redis.call('HSETNX', KEYS[1], 'job', ARGV[2])
return {'taken', redis.call('HGET', KEYS[1], 'job'), first and '0' or '1'}
"""

# KEYS: as above. ARGV: who holds the lease, what to do, milliseconds of the lease. Nothing for one who does not.
_HOLDING: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
if ARGV[2] == 'renew' then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
if ARGV[2] == 'abandon' then redis.call('DEL', KEYS[1]) end
if ARGV[2] == 'leave' then redis.call('DEL', KEYS[2]) end
"""


@dataclass(frozen=True)
class Answer:
    """What was answered to the first request, and the job that it made."""

    job_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Taken:
    """A request that is to be answered now, by making the job of this id.

    `again`: somebody has been at it and came to no answer; perhaps there is the job already. `holder` tells this
    taking of it from others.
    """

    job_id: str
    again: bool
    holder: str


class Idempotency:
    """Answers by key, each within one owner's own. Raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = redis.register_script(_BEGIN)
        self._holding = redis.register_script(_HOLDING)

    async def begin(self, owner: str | None, key: str, fingerprint: str) -> Taken | Answer:
        """Taken: nobody has answered this request; answer it within `held`. Else the answer that it got.

        Raises KeyReused when the key came with another request, KeyInFlight while somebody else is answering.
        """
        async with answering():
            seconds, microseconds = await self._redis.time()
            proposed = new_job_id(datetime.fromtimestamp(seconds + microseconds / 1e6, UTC))
            args = (fingerprint, proposed, int(LEASE_SECONDS * 1000), KEPT_SECONDS)
            said, *rest = await cast(Awaitable[list[bytes]], self._begin(keys=_names(owner, key), args=args))
        if said == b"taken":
            return Taken(rest[0].decode(), rest[1] == b"1", proposed)
        if said == b"busy":
            raise KeyInFlight("The first request with this Idempotency-Key is still being answered.")
        found = dict(zip([said, *rest][::2], rest[::2], strict=True))
        if found[b"fingerprint"].decode() != fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request; use a new one.")
        job_id = found[b"job"].decode()
        return Answer(job_id, int(found[b"status"]), json.loads(found[b"headers"]), found[b"body"])

    @asynccontextmanager
    async def held(self, owner: str | None, key: str, taken: Taken) -> AsyncIterator[None]:
        """Within it a request that was taken is nobody else's, for as long as this process lives."""
        renewing = asyncio.create_task(self._renew(owner, key, taken))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(StoreUnavailable):
                await self._hold(owner, key, taken, "leave")

    async def settle(self, owner: str | None, key: str, answer: Answer) -> None:
        """Keep the answer for a day."""
        name, _ = _names(owner, key)
        entry = {"status": answer.status, "headers": json.dumps(dict(answer.headers)), "body": answer.body}
        async with answering(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, mapping=cast(Any, entry))
            pipe.expire(name, KEPT_SECONDS)
            await pipe.execute()

    async def abandon(self, owner: str | None, key: str, taken: Taken) -> None:
        """The request was refused, and no job was made: the next one with this key is the first."""
        await self._hold(owner, key, taken, "abandon")

    async def _renew(self, owner: str | None, key: str, taken: Taken) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            with suppress(StoreUnavailable):
                await self._hold(owner, key, taken, "renew")

    async def _hold(self, owner: str | None, key: str, taken: Taken, what: str) -> None:
        args = (taken.holder, what, int(LEASE_SECONDS * 1000))
        async with answering():
            await cast(Awaitable[None], self._holding(keys=_names(owner, key), args=args))


def _names(owner: str | None, key: str) -> tuple[str, str]:
    whose = f"{owner or ''}:{key}"
    return f"strata:idempotency:{whose}", f"strata:answering:{whose}"
