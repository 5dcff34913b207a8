"""What signs callbacks: a secret for each owner, in Redis, so that nobody can forge another's."""

from datetime import UTC, datetime
from typing import Final

from redis import Redis

from core.jobs.connections import answered
from core.jobs.errors import QuotaExceeded
from core.jobs.webhooks import ROTATION_SECONDS, new_secret

MOST_PREVIOUS: Final = 8
"""Each signs for the day that was promised, so that this many rotations are done within one; a callback carries all."""

# KEYS: an owner's newest secret. ARGV: the first secret, if there is none. Answers the newest.
_SECRET: Final = "redis.call('HSETNX', KEYS[1], 'secret', ARGV[1]) return redis.call('HGET', KEYS[1], 'secret')"  # noqa: S105

# What an older version kept: one secret before the newest.
_PRELUDE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local secret, previous, ends = unpack(redis.call('HMGET', KEYS[1], 'secret', 'previous', 'ends'))
if previous then
  redis.call('ZADD', KEYS[2], ends, previous)
  redis.call('HDEL', KEYS[1], 'previous', 'ends')
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
"""

# KEYS: an owner's newest secret, those before it by when they cease to sign. ARGV: the new one, for how many
# milliseconds the one before it signs too, how many may do so. Answers 1 and until when, or 0 and when there is room.
_ROTATE: Final = (
    _PRELUDE
    + """
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return {0, string.format('%d', redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] - now)}
end
local until_ = string.format('%d', now + ARGV[2])
if secret then redis.call('ZADD', KEYS[2], until_, secret) end
redis.call('HSET', KEYS[1], 'secret', ARGV[1])
return {1, until_}
"""
)

# KEYS: as above. Answers the secrets that sign, newest first.
_SIGNING: Final = _PRELUDE + "return {secret, unpack(redis.call('ZREVRANGE', KEYS[2], 0, -1))}"


class Secrets:
    """Safe to share between threads. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._secret = redis.register_script(_SECRET)
        self._rotate = redis.register_script(_ROTATE)
        self._signing = redis.register_script(_SIGNING)

    def newest(self, owner: str | None) -> str:
        """Made when first asked for."""
        found: bytes = answered(lambda: self._secret(keys=_keys(owner), args=[new_secret()]))
        return found.decode()

    def rotate(self, owner: str | None) -> tuple[str, datetime]:
        """A new one, and until when the one before it signs too. Raises QuotaExceeded while too many sign."""
        made = new_secret()
        args = (made, int(ROTATION_SECONDS * 1000), MOST_PREVIOUS)
        done, milliseconds = answered(lambda: self._rotate(keys=_keys(owner), args=args))
        if not done:
            detail = f"{MOST_PREVIOUS} secrets before the newest sign still, as many as may."
            raise QuotaExceeded(detail, int(milliseconds) / 1000)
        return made, datetime.fromtimestamp(int(milliseconds) / 1000, UTC)

    def signing(self, owner: str | None) -> list[str]:
        """Every one that signs now, the newest first; never none."""
        self.newest(owner)
        return [secret.decode() for secret in answered(lambda: self._signing(keys=_keys(owner)))]


def _keys(owner: str | None) -> tuple[str, str]:
    newest = f"strata:webhooks:secret:{owner or ''}"
    return newest, f"strata:webhooks:secrets:{owner or ''}"
