"""What every Lua script on a job begins with: how to read the job, tell of it, count it and list it elsewhere.

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
"""

import json
from typing import Final

from core.jobs import names
from core.jobs.record import TRANSITIONS, JobStatus

MAX_EVENTS: Final = 512
"""A job's stream keeps about so many events; at two a second that is four minutes of progress."""

HISTORY_LENGTH: Final = 64
"""So many jobs tell how long one takes."""

_LEGAL: Final = json.dumps({status: sorted(then) for status, then in TRANSITIONS.items()})

# KEYS: the job's hash, its event stream, the queue (place), the running (lease). ARGV[1]: the job's id.
PRELUDE: Final = f"""
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

local function listed(state) return '{names.JOBS}' .. owner() .. (state and ':' .. state or '') end

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
  redis.call('HSET', '{names.DELIVERY}' .. delivery, 'job', id, 'owner', get('owner') or 'null', 'event', 'job.' .. to,
    'url', webhook.url, 'home', webhook.home, 'lane', webhook.host, 'at', now, 'tries', 0, 'status', 'pending',
    'record', '{{' .. table.concat(parts, ',') .. '}}')
  redis.call('RPUSH', '{names.DELIVERIES}' .. id, delivery)
  redis.call('ZADD', '{names.DUE}' .. webhook.host, string.format('%d', now_ms), delivery)
  redis.call('ZADD', '{names.LANES}', 'LT', string.format('%d', now_ms), webhook.host)
end

-- What its client is still to be told of an expired job is told; of a deleted one nothing is.
local function forget_deliveries(expired)
  for _, delivery in ipairs(redis.call('LRANGE', '{names.DELIVERIES}' .. id, 0, -1)) do
    local key = '{names.DELIVERY}' .. delivery
    if not (expired and redis.call('HGET', key, 'status') == 'pending') then
      redis.call('DEL', key, key .. ':attempts')
    end
  end
  redis.call('DEL', '{names.DELIVERIES}' .. id)
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
  redis.call('HINCRBY', '{names.TOTALS}', 'jobs:' .. to .. ':' .. (outcome == 'null' and '' or outcome), 1)
  local metrics = get('metrics') or 'null'
  if to ~= '{JobStatus.SUCCEEDED}' or metrics == 'null' then return end
  metrics = cjson.decode(metrics)
  redis.call('HINCRBYFLOAT', '{names.TOTALS}', 'engine_seconds', metrics.engine_seconds)
  redis.call('HINCRBY', '{names.TOTALS}', 'iterations', metrics.iterations)
  if get('attempt') ~= '1' or not get('_work') then return end  -- a job that began twice is no measure
  local seconds = now - tonumber(get('started_at'))
  redis.call('LPUSH', '{names.HISTORY}', string.format('%s %.3f', get('_work'), seconds))
  redis.call('LTRIM', '{names.HISTORY}', 0, {HISTORY_LENGTH - 1})
end

local function complete(to, keep_ms)
  count(to)
  local own = tonumber(get('expires_in') or '')
  if own then keep_ms = own * 1000 end
  redis.call('ZADD', '{names.EXPIRING}', string.format('%d', now_ms + keep_ms), id)
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
