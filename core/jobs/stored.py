"""What is stored, counted in bytes: by owner, and in all.

Something is charged to an owner once, whatever needs it, and to all once, whoever has it. What was charged is kept
beside the sums, so that exactly that is credited again.
"""

from typing import Final, cast

from redis import Redis

from core.jobs.connections import answered

CHARGES: Final = "strata:charges"
"""Bytes of each thing that is stored, by the id of a picture or a job; and again by id, a space and each owner."""

SUMS: Final = "strata:stored"
"""Bytes by owner, as `owner:` and a name, and as `all`."""

# KEYS[5], KEYS[6]: the two above.
CHARGE: Final = """
local function add(field, sum, bytes)
  local known = tonumber(redis.call('HGET', KEYS[5], field) or '')
  if known then return end
  redis.call('HSET', KEYS[5], field, bytes)
  redis.call('HINCRBY', KEYS[6], sum, bytes)
end

local function take(field, sum)
  local known = tonumber(redis.call('HGET', KEYS[5], field) or '')
  if not known then return end
  redis.call('HDEL', KEYS[5], field)
  if redis.call('HINCRBY', KEYS[6], sum, string.format('%d', -known)) <= 0 then redis.call('HDEL', KEYS[6], sum) end
end

local function charge(owner, thing, bytes)
  add(thing .. ' ' .. owner, 'owner:' .. owner, string.format('%d', bytes))
  add(thing, 'all', string.format('%d', bytes))
end

local function credit_owner(owner, thing) take(thing .. ' ' .. owner, 'owner:' .. owner) end
local function credit_all(thing) take(thing, 'all') end

-- Whether so many bytes more are too many: quota for the owner, full for all. 0 is no bound.
local function over(owner, thing, bytes, most_own, most)
  local function beyond(field, sum, limit)
    if limit == '0' or redis.call('HEXISTS', KEYS[5], field) == 1 then return false end
    return tonumber(redis.call('HGET', KEYS[6], sum) or '0') + bytes > tonumber(limit)
  end
  if beyond(thing .. ' ' .. owner, 'owner:' .. owner, most_own) then return 'quota' end
  if beyond(thing, 'all', most) then return 'full' end
  return false
end
"""


def stored_bytes(redis: Redis, owner: str | None = None) -> int:
    """How many bytes an owner has stored. Raises StoreUnavailable."""
    return int(cast(bytes | None, answered(lambda: redis.hget(SUMS, f"owner:{owner or ''}"))) or 0)


def all_bytes(redis: Redis) -> int:
    """How many bytes are stored in all. Raises StoreUnavailable."""
    return int(cast(bytes | None, answered(lambda: redis.hget(SUMS, "all"))) or 0)
