"""The Lua that moves a job from state to state: each script is one atomic step, by Redis's own clock.

A script writes nothing at all when its transition is not legal.
"""

from typing import Final

from core.jobs import names
from core.jobs.prelude import PRELUDE
from core.jobs.record import JobStatus
from core.jobs.stored import CHARGE

OVERTIME_SECONDS: Final = 600
"""A run ends itself when its time is over; one that has not so long after that hangs."""

# ARGV: id, most that may be queued, most of this owner's or '', most of them at work or '', place,
# then field, JSON, field, JSON ...
# Answers created | full | quota.
CREATE: Final = (
    PRELUDE
    + f"""
if redis.call('EXISTS', job) == 1 then return 'created' end
if redis.call('ZCARD', queue) >= tonumber(ARGV[2]) then return 'full' end
redis.call('HSET', job, '_place', ARGV[5], unpack(ARGV, 6))
if ARGV[4] ~= '' then redis.call('HSET', job, '_alone', ARGV[4]) end
redis.call('SADD', '{names.OWNERS}', owner())
if ARGV[3] ~= '' and redis.call('ZCARD', listed('{JobStatus.QUEUED}')) >= tonumber(ARGV[3]) then
  redis.call('DEL', job)
  return 'quota'
end
redis.call('ZADD', queue, ARGV[5], id)
redis.call('ZADD', listed(), 0, id)
become('{JobStatus.QUEUED}')
return 'created'
"""
)

# A job whose owner has as many at work as may be is put by until one of them is not.
_CLAIMED: Final = f"""
local function claimed(lease_ms, token)
  if not may_become('{JobStatus.PROCESSING}') then return false end
  local most = tonumber(get('_alone') or '')
  if most and redis.call('ZCARD', listed('{JobStatus.PROCESSING}')) >= most then
    redis.call('ZADD', '{names.HELD}' .. owner(), get('_place'), id)
    return false
  end
  local lease = string.format('%d', now_ms + lease_ms)
  local readable, options = pcall(cjson.decode, get('options') or '')
  local seconds = readable and options.timeout_seconds or 0
  redis.call('HINCRBY', job, 'attempt', 1)
  redis.call('HSET', job, '_lease', lease, '_claim', token,
    '_ends', string.format('%d', now_ms + (seconds + {OVERTIME_SECONDS}) * 1000))
  if get('started_at') == 'null' then redis.call('HSET', job, 'started_at', now) end
  redis.call('ZREM', queue, id)
  redis.call('ZREM', '{names.HELD}' .. owner(), id)
  redis.call('ZADD', running, lease, id)
  redis.call('HINCRBY', '{names.TOTALS}', 'claims', 1)
  become('{JobStatus.PROCESSING}')
  return redis.call('HGETALL', job)
end
"""

# ARGV: id, lease in milliseconds, a token of this call. Answers the job's hash, or nothing.
CLAIM: Final = (
    PRELUDE
    + _CLAIMED
    + f"""
if status() == '{JobStatus.PROCESSING}' and get('_claim') == ARGV[3] then return redis.call('HGETALL', job) end
return claimed(ARGV[2], ARGV[3])
"""
)

# The same for the first job of the queue that may be had; the id counts for nothing.
CLAIM_NEXT: Final = (
    PRELUDE
    + _CLAIMED
    + f"""
local function look_at(found) id, job, events = found, '{names.JOB}' .. found, '{names.EVENTS}' .. found end
for _, held in ipairs(redis.call('ZRANGE', running, 0, -1)) do
  look_at(held)
  if get('_claim') == ARGV[3] then return redis.call('HGETALL', job) end
end
for _, waiting in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  look_at(waiting)
  local found = claimed(ARGV[2], ARGV[3])
  if found then return found end
end
return false
"""
)

# ARGV: id, attempt, lease in milliseconds, progress as JSON or ''. Answers lost | cancel | go-on.
RENEW: Final = (
    PRELUDE
    + """
if not held_by(ARGV[2]) then return 'lost' end
local lease = string.format('%d', now_ms + ARGV[3])
redis.call('HSET', job, '_lease', lease)
redis.call('ZADD', running, lease, id)
if ARGV[4] ~= '' then
  redis.call('HSET', job, 'progress', ARGV[4])
  publish('progress', ARGV[4])
end
return get('cancel_requested') == 'true' and 'cancel' or 'go-on'
"""
)

# ARGV: id, attempt, what the event says as JSON. Answers 1, or 0 for a run that lost its job.
PREVIEW: Final = (
    PRELUDE
    + """
if not held_by(ARGV[2]) then return 0 end
publish('preview', ARGV[3])
return 1
"""
)

# ARGV: id, attempt, terminal status, milliseconds to keep it, bytes it leaves, then field, JSON ... Answers 1, or 0.
# The second question is the first call's own repetition: no other run has this attempt.
FINISH: Final = (
    PRELUDE
    + CHARGE
    + """
if status() == ARGV[3] and get('attempt') == ARGV[2] then return 1 end
if not held_by(ARGV[2]) or not may_become(ARGV[3]) then return 0 end
if #ARGV > 5 then redis.call('HSET', job, unpack(ARGV, 6)) end
if ARGV[5] ~= '0' then charge(owner(), id, tonumber(ARGV[5])) end
complete(ARGV[3], tonumber(ARGV[4]))
return 1
"""
)

# ARGV: id, milliseconds to keep it. Answers the job's hash, or nothing for an unknown id.
CANCEL: Final = (
    PRELUDE
    + f"""
if status() == '{JobStatus.QUEUED}' then
  redis.call('HSET', job, 'cancel_requested', 'true')
  cancel(tonumber(ARGV[2]))
elseif status() == '{JobStatus.PROCESSING}' then
  redis.call('HSET', job, 'cancel_requested', 'true')
end
return redis.call('HGETALL', job)
"""
)

# KEYS: the totals. The reconciler was there.
RECONCILED: Final = """
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], 'reconciled', string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000)))
"""

# KEYS: an owner's jobs put by. Answers the id and priority of the first that waits still, or nothing.
NEXT_HELD: Final = f"""
while true do
  local first = redis.call('ZPOPMIN', KEYS[1])[1]
  if not first then return false end
  local status, priority = unpack(redis.call('HMGET', '{names.JOB}' .. first, 'status', 'priority'))
  if status == '"{JobStatus.QUEUED}"' then return {{first, priority}} end
end
"""

# ARGV: id, attempt, milliseconds to keep it should it end here. Answers 1, or 0 for a run that lost its job.
# The first question is the first call's own repetition.
HAND_BACK: Final = (
    PRELUDE
    + f"""
if status() == '{JobStatus.QUEUED}' and get('attempt') == ARGV[2] then return 1 end
if not held_by(ARGV[2]) then return 0 end
if get('cancel_requested') == 'true' then cancel(tonumber(ARGV[3])) else queue_again() end
return 1
"""
)

# ARGV: id, runs that may lose it, milliseconds to keep it, the error of a job lost so often, of one that hangs.
# Answers held | queued | spent | late | canceled.
RECLAIM: Final = (
    PRELUDE
    + f"""
local function lost(then_)
  redis.call('HINCRBY', '{names.TOTALS}', 'lost:' .. then_, 1)
  return then_
end
if status() ~= '{JobStatus.PROCESSING}' then
  redis.call('ZREM', running, id)
  return 'held'
end
if now_ms > tonumber(get('_ends') or now_ms) then
  redis.call('HSET', job, 'error', ARGV[5], 'outcome', '"deadline"')
  complete('{JobStatus.FAILED}', tonumber(ARGV[3]))
  return lost('late')
end
if now_ms < tonumber(get('_lease')) then return 'held' end
if get('cancel_requested') == 'true' then
  cancel(tonumber(ARGV[3]))
  return lost('canceled')
end
if redis.call('HINCRBY', job, '_lost', 1) >= tonumber(ARGV[2]) then
  redis.call('HSET', job, 'error', ARGV[4])
  complete('{JobStatus.FAILED}', tonumber(ARGV[3]))
  return lost('spent')
end
queue_again()
return lost('queued')
"""
)

# ARGV: id, milliseconds for which to remember that it expired, or 0. Answers what its hash was, or nothing.
# A run that holds the job finds it lost. Listeners are woken, to find it gone.
REMOVE: Final = (
    PRELUDE
    + CHARGE
    + f"""
local was = redis.call('HGETALL', job)
redis.call('ZREM', '{names.EXPIRING}', id)
if #was == 0 then return false end
if ARGV[2] ~= '0' then redis.call('SET', '{names.GONE}' .. id, get('owner'), 'PX', ARGV[2]) end
redis.call('ZREM', queue, id)
redis.call('ZREM', running, id)
redis.call('ZREM', listed(), id)
redis.call('ZREM', listed(status()), id)
forget_deliveries(ARGV[2] ~= '0')
credit_owner(owner(), id)
credit_all(id)
redis.call('DEL', job, events)
redis.call('PUBLISH', events, 'status')
return was
"""
)
