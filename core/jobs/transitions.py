"""The Lua that moves a job from state to state: each script is one atomic step, by Redis's own clock.

A job is a hash with one field per field of JobRecord, each holding its JSON, so that no script has to
take a record apart. Fields that begin with an underscore are the store's own:

    _place  score in the queue: priority first, then age
    _lease  when the run's lease ends, milliseconds since 1970
    _ends   when a run that did not end itself at its deadline is ended, milliseconds since 1970
    _claim  which call made the claim, so that one repeated by the client library is not refused
    _lost   how many runs lost the job: their lease ran out
    _work   how much work it is, for the forecast
    _alone  at most so many of the owner's jobs run at a time; absent for any number

Jobs are listed by owner, and by owner and state, in sets ordered by id: ids sort by age.

A new state that a client wants to be called back for makes the delivery in the same step, with the job as it
is then; deliveries.py takes it from there.

A script writes nothing at all when its transition is not legal.
"""

import json
from typing import Final

from core.jobs.record import TRANSITIONS, JobStatus

MAX_EVENTS: Final = 512
"""A job's stream keeps about so many events; at two a second that is four minutes of progress."""

JOBS: Final = "strata:jobs:"
"""Begins the names of the lists of jobs: an owner follows (none for nobody), then perhaps `:` and a state."""

EXPIRING: Final = "strata:expiring"
"""Finished jobs by the time they expire, milliseconds since 1970."""

TOTALS: Final = "strata:totals"
"""What was ever done: finished jobs as `jobs:state:outcome`, engine_seconds, iterations, claims; runs that lost their
jobs as `lost:` and what became of those; and when the reconciler was last there, milliseconds since 1970.
"""

OWNERS: Final = "strata:owners"
"""Everybody who ever had a job."""

HISTORY: Final = "strata:history"
"""The latest jobs that succeeded: their work, and the seconds they took; see core.jobs.forecast."""

HISTORY_LENGTH: Final = 64

HELD: Final = "strata:held:"
"""Begins the names of an owner's jobs that wait for their other jobs, in the queue's order."""

GONE: Final = "strata:gone:"
"""Begins the names of what remains of an expired job: its owner, as JSON."""

JOB: Final = "strata:job:"
"""Begins the names of the jobs: an id follows."""

DELIVERY: Final = "strata:delivery:"
"""Begins the names of the deliveries: an id follows. Its attempts are a list, named by `:attempts` after that."""

DELIVERIES: Final = "strata:deliveries:"
"""Begins the names of the lists of a job's deliveries."""

LANES: Final = "strata:webhooks"
"""Receivers' hosts by the time when there is something to do for them, milliseconds since 1970."""

DUE: Final = "strata:webhooks:due:"
"""Begins the names of what is due for a host, by time."""

BUSY: Final = "strata:webhooks:busy:"
"""Begins the names of what is under way to a host, by the end of its lease."""

OVERTIME_SECONDS: Final = 600
"""A run ends itself when its time is over; one that has not so long after that hangs."""

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
  redis.call('PUBLISH', events, kind)
end

local function owner()
  local text = get('owner') or 'null'
  return text == 'null' and '' or (string.gsub(text, '"', ''))
end

local function listed(state) return '{JOBS}' .. owner() .. (state and ':' .. state or '') end

local function call_back(to)
  local webhook = get('webhook') or 'null'
  webhook = webhook ~= 'null' and cjson.decode(webhook)
  local wanted = false
  for _, event in ipairs(webhook and webhook.events or {{}}) do wanted = wanted or event == 'job.' .. to end
  if not wanted then return end
  local parts, hash = {{}}, redis.call('HGETALL', job)
  for at = 1, #hash, 2 do
    if string.sub(hash[at], 1, 1) ~= '_' then table.insert(parts, '"' .. hash[at] .. '":' .. hash[at + 1]) end
  end
  local delivery = string.format('msg_%s_%s_%d', string.gsub(id, '-', ''), to, get('attempt'))
  redis.call('HSET', '{DELIVERY}' .. delivery, 'job', id, 'owner', get('owner') or 'null', 'event', 'job.' .. to,
    'url', webhook.url, 'home', webhook.home, 'lane', webhook.host, 'at', now, 'tries', 0, 'status', 'pending',
    'record', '{{' .. table.concat(parts, ',') .. '}}')
  redis.call('RPUSH', '{DELIVERIES}' .. id, delivery)
  redis.call('ZADD', '{DUE}' .. webhook.host, string.format('%d', now_ms), delivery)
  redis.call('ZADD', '{LANES}', 'LT', string.format('%d', now_ms), webhook.host)
end

-- What its client is still to be told of an expired job is told; of a deleted one nothing is.
local function forget_deliveries(expired)
  for _, delivery in ipairs(redis.call('LRANGE', '{DELIVERIES}' .. id, 0, -1)) do
    local key = '{DELIVERY}' .. delivery
    if not (expired and redis.call('HGET', key, 'status') == 'pending') then
      redis.call('DEL', key, key .. ':attempts')
    end
  end
  redis.call('DEL', '{DELIVERIES}' .. id)
end

local function become(to)
  redis.call('ZREM', listed(status()), id)
  redis.call('ZADD', listed(to), 0, id)
  redis.call('HSET', job, 'status', '"' .. to .. '"')
  publish('status', string.format('{{"status":"%s","attempt":%d}}', to, get('attempt')))
  call_back(to)
end

local function count(to)
  local outcome = string.gsub(get('outcome') or '', '"', '')
  redis.call('HINCRBY', '{TOTALS}', 'jobs:' .. to .. ':' .. (outcome == 'null' and '' or outcome), 1)
  local metrics = get('metrics') or 'null'
  if to ~= '{JobStatus.SUCCEEDED}' or metrics == 'null' then return end
  metrics = cjson.decode(metrics)
  redis.call('HINCRBYFLOAT', '{TOTALS}', 'engine_seconds', metrics.engine_seconds)
  redis.call('HINCRBY', '{TOTALS}', 'iterations', metrics.iterations)
  if get('attempt') ~= '1' or not get('_work') then return end  -- a job that began twice is no measure
  local seconds = now - tonumber(get('started_at'))
  redis.call('LPUSH', '{HISTORY}', string.format('%s %.3f', get('_work'), seconds))
  redis.call('LTRIM', '{HISTORY}', 0, {HISTORY_LENGTH - 1})
end

local function complete(to, keep_ms)
  count(to)
  local own = tonumber(get('expires_in') or '')
  if own then keep_ms = own * 1000 end
  redis.call('ZADD', '{EXPIRING}', string.format('%d', now_ms + keep_ms), id)
  redis.call('HSET', job, 'completed_at', now,
    'expires_at', string.format('%.3f', (now_ms + keep_ms) / 1000))
  redis.call('ZREM', queue, id)
  redis.call('ZREM', running, id)
  become(to)
  redis.call('PEXPIREAT', events, string.format('%d', now_ms + keep_ms))
end

local function queue_again()
  redis.call('ZREM', running, id)
  redis.call('ZADD', queue, get('_place'), id)
  redis.call('HDEL', job, '_lease', '_ends', '_claim')
  become('{JobStatus.QUEUED}')
end

local function cancel(keep_ms)
  redis.call('HSET', job, 'outcome', '"canceled"')
  complete('{JobStatus.CANCELED}', keep_ms)
end

local function held_by(attempt) return status() == '{JobStatus.PROCESSING}' and get('attempt') == attempt end
"""

# ARGV: id, most that may be queued, most of this owner's or '', most of them at work or '', place,
# then field, JSON, field, JSON ...
# Answers created | full | quota.
CREATE: Final = (
    _PRELUDE
    + f"""
if redis.call('EXISTS', job) == 1 then return 'created' end
if redis.call('ZCARD', queue) >= tonumber(ARGV[2]) then return 'full' end
redis.call('HSET', job, '_place', ARGV[5], unpack(ARGV, 6))
if ARGV[4] ~= '' then redis.call('HSET', job, '_alone', ARGV[4]) end
redis.call('SADD', '{OWNERS}', owner())
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

# ARGV: id, lease in milliseconds, a token of this call. Answers the job's hash, or nothing. A job whose owner has
# as many at work as may be is put by until one of them is not.
CLAIM: Final = (
    _PRELUDE
    + f"""
if status() == '{JobStatus.PROCESSING}' and get('_claim') == ARGV[3] then
  return redis.call('HGETALL', job)
end
if not may_become('{JobStatus.PROCESSING}') then return false end
local most = tonumber(get('_alone') or '')
if most and redis.call('ZCARD', listed('{JobStatus.PROCESSING}')) >= most then
  redis.call('ZADD', '{HELD}' .. owner(), get('_place'), id)
  return false
end
local lease = string.format('%d', now_ms + ARGV[2])
local ends = now_ms + (cjson.decode(get('options')).timeout_seconds + {OVERTIME_SECONDS}) * 1000
redis.call('HINCRBY', job, 'attempt', 1)
redis.call('HSET', job, '_lease', lease, '_ends', string.format('%d', ends), '_claim', ARGV[3])
if get('started_at') == 'null' then redis.call('HSET', job, 'started_at', now) end
redis.call('ZREM', queue, id)
redis.call('ZADD', running, lease, id)
redis.call('HINCRBY', '{TOTALS}', 'claims', 1)
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

# KEYS: an owner's jobs put by. Answers the first of them, or nothing.
NEXT_HELD: Final = """
local first = redis.call('ZPOPMIN', KEYS[1])
return first[1] or false
"""

# ARGV: id, attempt, milliseconds to keep it should it end here. Answers 1, or 0 for a run that lost its job.
# The first question is the first call's own repetition.
HAND_BACK: Final = (
    _PRELUDE
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
    _PRELUDE
    + f"""
local function lost(then_)
  redis.call('HINCRBY', '{TOTALS}', 'lost:' .. then_, 1)
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
    _PRELUDE
    + f"""
local was = redis.call('HGETALL', job)
redis.call('ZREM', '{EXPIRING}', id)
if #was == 0 then return false end
if ARGV[2] ~= '0' then redis.call('SET', '{GONE}' .. id, get('owner'), 'PX', ARGV[2]) end
redis.call('ZREM', queue, id)
redis.call('ZREM', running, id)
redis.call('ZREM', listed(), id)
redis.call('ZREM', listed(status()), id)
forget_deliveries(ARGV[2] ~= '0')
redis.call('DEL', job, events)
redis.call('PUBLISH', events, 'status')
return was
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
