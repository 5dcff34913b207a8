"""What signs callbacks: a secret for each owner, in Redis, so that nobody can forge another's."""

from datetime import UTC, datetime
from typing import Final

from redis import Redis

from core.jobs.connections import answered
from core.jobs.webhooks import ROTATION_SECONDS, new_secret

# KEYS: an owner's secrets. ARGV: the first secret, if there is none. Answers the newest.
_SECRET: Final = "redis.call('HSETNX', KEYS[1], 'secret', ARGV[1]) return redis.call('HGET', KEYS[1], 'secret')"  # noqa: S105

# KEYS: as above. ARGV: the new one, for how many milliseconds the one before it signs too. Answers until when.
_ROTATE: Final = """
local clock = redis.call('TIME')
local ends = string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[2])
local was = redis.call('HGET', KEYS[1], 'secret')
if was then redis.call('HSET', KEYS[1], 'previous', was, 'ends', ends) end
redis.call('HSET', KEYS[1], 'secret', ARGV[1])
return ends
"""

# KEYS: as above. Answers the secrets that sign, newest first.
_SIGNING: Final = """
local clock = redis.call('TIME')
local secret, previous, ends = unpack(redis.call('HMGET', KEYS[1], 'secret', 'previous', 'ends'))
if previous and tonumber(ends) > clock[1] * 1000 then return {secret, previous} end
return {secret}
"""


class Secrets:
    """Safe to share between threads. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._secret = redis.register_script(_SECRET)
        self._rotate = redis.register_script(_ROTATE)
        self._signing = redis.register_script(_SIGNING)

    def newest(self, owner: str | None) -> str:
        """Made when first asked for."""
        found: bytes = answered(lambda: self._secret(keys=[_secrets_key(owner)], args=[new_secret()]))
        return found.decode()

    def rotate(self, owner: str | None) -> tuple[str, datetime]:
        """A new one, and until when the one before it signs too."""
        made = new_secret()
        args = (made, int(ROTATION_SECONDS * 1000))
        ends = answered(lambda: self._rotate(keys=[_secrets_key(owner)], args=args))
        return made, datetime.fromtimestamp(int(ends) / 1000, UTC)

    def signing(self, owner: str | None) -> list[str]:
        """Every one that signs now, newest first; never none."""
        self.newest(owner)
        return [secret.decode() for secret in answered(lambda: self._signing(keys=[_secrets_key(owner)]))]


def _secrets_key(owner: str | None) -> str:
    return f"strata:webhooks:secret:{owner or ''}"
