"""Idempotency keys: the first answer to a request is kept, and given again to whoever repeats it.

After the draft "The Idempotency-Key HTTP Header Field" of the IETF's HTTPAPI working group.
"""

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import Redis

from core.jobs.errors import KeyInFlight, KeyReused
from core.jobs.reader import answering

KEPT_SECONDS: Final = 86_400
IN_FLIGHT_SECONDS: Final = 300
"""A process that dies with a request in its hands blocks the key for so long."""

# KEYS: the entry. ARGV: fingerprint, seconds. Answers nothing for the first, else what is there.
_BEGIN: Final = """
local found = redis.call('HGETALL', KEYS[1])
if #found > 0 then return found end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return false
"""


@dataclass(frozen=True)
class Answer:
    """What was answered to the first request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Idempotency:
    """Answers by key, each within one owner's own. Raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = redis.register_script(_BEGIN)

    async def begin(self, owner: str | None, key: str, fingerprint: str) -> Answer | None:
        """None: this is the first request; `settle` or `abandon` it. Else the answer the first one got.

        Raises KeyReused when that was another request, KeyInFlight when it has no answer yet.
        """
        async with answering():
            call = self._begin(keys=(_name(owner, key),), args=(fingerprint, IN_FLIGHT_SECONDS))
            flat = await cast(Awaitable[list[bytes] | None], call)
        if not flat:
            return None
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        if found[b"fingerprint"].decode() != fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request; use a new one.")
        if b"body" not in found:
            raise KeyInFlight("The first request with this Idempotency-Key is still being answered.")
        return Answer(int(found[b"status"]), json.loads(found[b"headers"]), found[b"body"])

    async def settle(self, owner: str | None, key: str, answer: Answer) -> None:
        """Keep the answer for a day."""
        name = _name(owner, key)
        entry = {"status": answer.status, "headers": json.dumps(dict(answer.headers)), "body": answer.body}
        async with answering(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(name, mapping=cast(Any, entry))
            pipe.expire(name, KEPT_SECONDS)
            await pipe.execute()

    async def abandon(self, owner: str | None, key: str) -> None:
        """The request came to nothing: the next one with this key is the first."""
        async with answering():
            await self._redis.delete(_name(owner, key))


def _name(owner: str | None, key: str) -> str:
    return f"strata:idempotency:{owner or ''}:{key}"
