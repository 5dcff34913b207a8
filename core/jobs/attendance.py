"""The Lua by which workers say that they are there."""

from typing import Final

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
