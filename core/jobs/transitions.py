"""The Lua that moves a job from state to state: each script is one atomic step, by Redis's own clock.

A job is a hash with one field per field of JobRecord, each holding its JSON, so that no script has to
take a record apart. Fields that begin with an underscore are the store's own:

    _place  score in the queue: priority first, then age
    _lease  when the run's lease ends, milliseconds since 1970
    _claim  which call made the claim, so that one repeated by the client library is not refused

A script writes nothing at all when its transition is not legal.
"""

import json
from typing import Final

from core.jobs.record import TRANSITIONS, JobStatus

MAX_EVENTS: Final = 512
"""A job's stream keeps about so many events; at two a second that is four minutes of progress."""

_LEGAL: Final = json.dumps({status: sorted(then) for status, then in TRANSITIONS.items()})

# KEYS: the job's hash, its event stream, the queue (place), the running (lease). ARGV[1]: the job's id.
_PRELUDE: Final = f"""
local job, events, queue, running = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local legal = cjson.decode('{_LEGAL}')
local clock = redis.call('TIME')
local now = string.format('%d.%06d', clock[1], clock[2])
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function get(field) return redis.call('HGET', job, field) end
local function status() return (string.gsub(get('status') or '', '"', '')) end

local function may_become(to)
  for _, then_ in ipairs(legal[status()] or {{}}) do
    if then_ == to then return true end
  end
  return false
end

local function publish(kind, data)
  redis.call('XADD', events, 'MAXLEN', '~', {MAX_EVENTS}, '*', 'type', kind, 'data', data)
end

local function become(to)
  redis.call('HSET', job, 'status', '"' .. to .. '"')
  publish('status', string.format('{{"status":"%s","attempt":%d}}', to, get('attempt')))
end

local function complete(to, keep_ms)
  redis.call('HSET', job, 'completed_at', now,
    'expires_at', string.format('%.3f', (now_ms + keep_ms) / 1000))
  redis.call('ZREM', queue, id)
  redis.call('ZREM', running, id)
  become(to)
  redis.call('PEXPIREAT', events, string.format('%d', now_ms + keep_ms))
end

local function held_by(attempt) return status() == '{JobStatus.PROCESSING}' and get('attempt') == attempt end
"""

# ARGV: id, most that may be queued, place, then field, JSON, field, JSON ... Answers created | full.
CREATE: Final = (
    _PRELUDE
    + f"""
if redis.call('EXISTS', job) == 1 then return 'created' end
if redis.call('ZCARD', queue) >= tonumber(ARGV[2]) then return 'full' end
redis.call('HSET', job, '_place', ARGV[3], unpack(ARGV, 4))
redis.call('ZADD', queue, ARGV[3], id)
become('{JobStatus.QUEUED}')
return 'created'
"""
)

# ARGV: id, lease in milliseconds, a token of this call. Answers the job's hash, or nothing.
CLAIM: Final = (
    _PRELUDE
    + f"""
if status() == '{JobStatus.PROCESSING}' and get('_claim') == ARGV[3] then
  return redis.call('HGETALL', job)
end
if not may_become('{JobStatus.PROCESSING}') then return false end
local lease = string.format('%d', now_ms + ARGV[2])
redis.call('HINCRBY', job, 'attempt', 1)
redis.call('HSET', job, '_lease', lease, '_claim', ARGV[3])
if get('started_at') == 'null' then redis.call('HSET', job, 'started_at', now) end
redis.call('ZREM', queue, id)
redis.call('ZADD', running, lease, id)
become('{JobStatus.PROCESSING}')
return redis.call('HGETALL', job)
"""
)

# ARGV: id, attempt, lease in milliseconds, progress as JSON or ''. Answers lost | cancel | go-on.
RENEW: Final = (
    _PRELUDE
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
    _PRELUDE
    + """
if not held_by(ARGV[2]) then return 0 end
publish('preview', ARGV[3])
return 1
"""
)

# ARGV: id, attempt, terminal status, milliseconds to keep it, then field, JSON ... Answers 1, or 0.
# The second question is the first call's own repetition: no other run has this attempt.
FINISH: Final = (
    _PRELUDE
    + """
if status() == ARGV[3] and get('attempt') == ARGV[2] then return 1 end
if not held_by(ARGV[2]) or not may_become(ARGV[3]) then return 0 end
if #ARGV > 4 then redis.call('HSET', job, unpack(ARGV, 5)) end
complete(ARGV[3], tonumber(ARGV[4]))
return 1
"""
)

# ARGV: id, milliseconds to keep it. Answers the job's hash, or nothing for an unknown id.
CANCEL: Final = (
    _PRELUDE
    + f"""
if status() == '{JobStatus.QUEUED}' then
  redis.call('HSET', job, 'cancel_requested', 'true', 'outcome', '"canceled"')
  complete('{JobStatus.CANCELED}', tonumber(ARGV[2]))
elseif status() == '{JobStatus.PROCESSING}' then
  redis.call('HSET', job, 'cancel_requested', 'true')
end
return redis.call('HGETALL', job)
"""
)

# KEYS: workers by the time they were seen, what each said.
# ARGV: worker id, JSON, milliseconds until a silent worker is forgotten.
HEARTBEAT: Final = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms - ARGV[3])) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
"""

# KEYS: as above. ARGV: milliseconds. Answers worker, JSON, worker, JSON ... of those seen since, newest last.
WORKERS: Final = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now_ms - ARGV[1], '+inf')) do
  table.insert(found, worker)
  table.insert(found, redis.call('HGET', KEYS[2], worker))
end
return found
"""
