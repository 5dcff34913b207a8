"""How many requests a minute a key sends, counted in Redis for all API processes together."""

from collections.abc import Awaitable
from typing import Final, cast

from redis.asyncio import Redis

from core.jobs.connections import answering
from core.jobs.errors import QuotaExceeded

_MINUTE_MS: Final = 60_000

# The generic cell rate algorithm, as for ATM cells (ITU-T I.371): one number says when the allowance is whole again.
# KEYS: that number. ARGV: milliseconds a request costs. Answers for how many milliseconds there is no room.
_TAKE: Final = f"""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
if whole - now > {_MINUTE_MS} then return math.ceil(whole - now - {_MINUTE_MS}) end
redis.call('SET', KEYS[1], string.format('%.3f', whole), 'PX', string.format('%d', math.ceil(whole - now)))
return 0
"""


class RequestRate:
    """Allows so many requests in any minute, and after that as many as time makes room for."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script(_TAKE)

    async def take(self, owner: str, per_minute: int) -> None:
        """Count one request. Raises QuotaExceeded, having counted nothing, StoreUnavailable."""
        async with answering():
            call = self._take(keys=(f"strata:rate:{owner}",), args=(f"{_MINUTE_MS / per_minute:.3f}",))
            wait_ms = await cast(Awaitable[int], call)
        if wait_ms:
            raise QuotaExceeded(f"Your key may send {per_minute} requests a minute.", wait_ms / 1000)
