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

# KEYS: the entry, its lease. ARGV: fingerprint, a job's id, milliseconds of the lease, seconds to keep the entry.
# Answers taken, the job's id and 1 if it was taken before; or busy; or the entry.
_BEGIN: Final = """
local first = redis.call('HSETNX', KEYS[1], 'fingerprint', ARGV[1]) == 1
if first then
  redis.call('HSET', KEYS[1], 'job', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
local same = redis.call('HGET', KEYS[1], 'fingerprint') == ARGV[1]
if not same or redis.call('HEXISTS', KEYS[1], 'body') == 1 then return redis.call('HGETALL', KEYS[1]) end
if not redis.call('SET', KEYS[2], 1, 'PX', ARGV[3], 'NX') then return {'busy'} end
return {'taken', redis.call('HGET', KEYS[1], 'job'), first and '0' or '1'}
"""


@dataclass(frozen=True)
class Answer:
    """What was answered to the first request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Taken:
    """A request that is to be answered now, by making the job of this id.

    `again`: somebody has been at it and came to no answer; perhaps there is the job already.
    """

    job_id: str
    again: bool


class Idempotency:
    """Answers by key, each within one owner's own. Raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = redis.register_script(_BEGIN)

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
            return Taken(rest[0].decode(), again=rest[1] == b"1")
        if said == b"busy":
            raise KeyInFlight("The first request with this Idempotency-Key is still being answered.")
        found = dict(zip([said, *rest][::2], rest[::2], strict=True))
        if found[b"fingerprint"].decode() != fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request; use a new one.")
        return Answer(int(found[b"status"]), json.loads(found[b"headers"]), found[b"body"])

    @asynccontextmanager
    async def held(self, owner: str | None, key: str) -> AsyncIterator[None]:
        """Within it a request that was taken is nobody else's, for as long as this process lives."""
        _, lease = _names(owner, key)
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(StoreUnavailable):
                async with answering():
                    await self._redis.delete(lease)

    async def settle(self, owner: str | None, key: str, answer: Answer) -> None:
        """Keep the answer for a day."""
        name, _ = _names(owner, key)
        entry = {"status": answer.status, "headers": json.dumps(dict(answer.headers)), "body": answer.body}
        async with answering(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, mapping=cast(Any, entry))
            pipe.expire(name, KEPT_SECONDS)
            await pipe.execute()

    async def abandon(self, owner: str | None, key: str) -> None:
        """The request was refused, and no job was made: the next one with this key is the first."""
        async with answering():
            await self._redis.delete(_names(owner, key)[0])

    async def _renew(self, lease: str) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            with suppress(StoreUnavailable):
                async with answering():
                    await self._redis.set(lease, 1, px=int(LEASE_SECONDS * 1000))


def _names(owner: str | None, key: str) -> tuple[str, str]:
    whose = f"{owner or ''}:{key}"
    return f"strata:idempotency:{whose}", f"strata:answering:{whose}"
