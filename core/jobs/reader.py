"""Looking at jobs, often and by many: stored bytes go out as they are, many looks in one round trip."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from pydantic_core import to_json
from redis.asyncio import Redis

from core.jobs import names
from core.jobs.connections import answering
from core.jobs.errors import JobExpired, JobNotFound
from core.jobs.ids import earliest_id, is_job_id
from core.jobs.record import TERMINAL, JobRecord, JobStatus

POSITION: Final = "queue_position"
"""The one field of a look that the record does not have."""

_MOST_AT_A_TIME: Final = 64
ETA: Final = re.compile(rb'"eta_seconds":([0-9.eE+-]+)')

# KEYS: the queue, then the jobs' hashes. ARGV: the ids. What goes in place of the names: _script().
# Answers for each job nothing, or: owner, attempt, status, the JSON up to progress, progress, the rest.
_LOOK: Final = """
local function iso(text)
  local seconds, fraction = string.match(text, '^(%d+)%.?(%d*)$')
  if not seconds then return text end
  seconds = tonumber(seconds)
  local days, rest = math.floor(seconds / 86400), seconds % 86400
  local z = days + 719468  -- days to a date: Hinnant, "chrono-compatible low-level date algorithms", civil_from_days
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('"%04d-%02d-%02dT%02d:%02d:%02d.%sZ"', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60, string.sub(fraction .. '000000', 1, 6))
end
local heads, defaults = {@HEADS@}, {@DEFAULTS@}
local found = {}
for n = 2, #KEYS do
  local values = redis.call('HMGET', KEYS[n], 'owner', 'attempt', 'status', @NAMES@)
  if not values[2] then
    found[n - 1] = false
  else
    local parts = {}
    for at = 1, #heads do
      parts[2 * at - 1], parts[2 * at] = heads[at], values[at + 3] or defaults[at]
    end
    for _, at in ipairs({@TIMES@}) do parts[2 * at] = iso(parts[2 * at]) end
    local rank = values[3] == '"queued"' and redis.call('ZRANK', KEYS[1], ARGV[n - 1])
    parts[2 * @POSITION@] = rank and string.format('%d', rank + 1) or 'null'
    local before = table.concat(parts, '', 1, 2 * @PROGRESS@ - 1)
    found[n - 1] = {values[1] or 'null', values[2], values[3], before, parts[2 * @PROGRESS@],
      table.concat(parts, '', 2 * @PROGRESS@ + 1)}
  end
end
return found
"""
_TIMES: Final = ("created_at", "started_at", "completed_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Look:
    """A job as it is now, its JSON ready to be sent: an object that still lacks its closing brace."""

    owner: str | None
    status: JobStatus
    attempt: int
    eta_seconds: float | None
    body: bytes

    @property
    def finished(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True)
class Asked:
    """Which jobs a list is to have. Times are aware; `after` is the id of the last job seen."""

    owner: str | None = None
    status: JobStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: int = 20
    after: str | None = None


class JobReader:
    """Reads jobs for one event loop. `fields`: the names a look's JSON has, `queue_position` among them, in order."""

    def __init__(
        self,
        redis: Redis,
        fields: Sequence[str],
        eta: Callable[[str], Awaitable[float | None]] | None = None,
    ) -> None:
        """`eta`: tells of a queued job in how many seconds it will be done, if that can be told."""
        self._redis = redis
        self._script = redis.register_script(_script(fields))
        self._eta = eta
        self._asked: dict[str, list[asyncio.Future[Look | None]]] = {}
        self._batch: asyncio.Task[None] | None = None

    async def look(self, job_id: str, owner: str | None = None) -> Look:
        """Raises JobNotFound, for somebody else's job too, JobExpired, StoreUnavailable.

        Everybody who looks while a round trip is under way shares the next one.
        """
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        future: asyncio.Future[Look | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(job_id, []).append(future)
        if self._batch is None:
            self._batch = asyncio.create_task(self._answer())
        found = await future
        if found is None:
            await self._raise_absent(job_id, owner)
            raise JobNotFound(job_id)
        if owner is not None and found.owner != owner:
            raise JobNotFound(job_id)
        return found

    async def listed(self, asked: Asked) -> list[tuple[str, Look]]:
        """Ids and jobs, newest first."""
        key = f"{names.JOBS}{asked.owner or ''}" + (f":{asked.status}" if asked.status else "")
        newest = f"({asked.after}" if asked.after else "+"
        if asked.created_before is not None:
            newest = min(newest, f"({earliest_id(asked.created_before)}", key=lambda edge: edge.replace("+", "~"))
        oldest = "-" if asked.created_after is None else f"[{earliest_id(asked.created_after)}"
        async with answering():
            ids = await cast(Any, self._redis.zrevrangebylex(key, newest, oldest, 0, asked.limit))
            found = [job_id.decode() for job_id in ids]
            looks = await self._looks(found)
        return [(job_id, look) for job_id, look in zip(found, looks, strict=True) if look is not None]

    async def _answer(self) -> None:
        """Round trips until nobody asks any more."""
        while self._asked:
            asked = dict(list(self._asked.items())[:_MOST_AT_A_TIME])
            for job_id in asked:
                del self._asked[job_id]
            try:
                async with answering():
                    looks = await self._looks(list(asked))
            except Exception as error:  # everybody who asked hears of it
                for future in _waiting(asked.values()):
                    future.set_exception(error)
            else:
                for futures, look in zip(asked.values(), looks, strict=True):
                    for future in _waiting([futures]):
                        future.set_result(look)
        self._batch = None

    async def _looks(self, ids: Sequence[str]) -> list[Look | None]:
        if not ids:
            return []
        keys = (names.QUEUE, *(f"strata:job:{job_id}" for job_id in ids))
        found = await cast(Awaitable[list[Any]], self._script(keys=keys, args=ids))
        return [await self._seen(job_id, parts) if parts else None for job_id, parts in zip(ids, found, strict=True)]

    async def _seen(self, job_id: str, parts: list[bytes]) -> Look:
        owner, attempt, status, before, progress, rest = parts
        state = _STATES[status]
        if state is JobStatus.QUEUED and self._eta is not None and (eta := await self._eta(job_id)) is not None:
            progress = progress.replace(b'"eta_seconds":null', b'"eta_seconds":%.1f' % eta)
        left = ETA.search(progress)
        return Look(
            owner=None if owner == b"null" else json.loads(owner),
            status=state,
            attempt=int(attempt),
            eta_seconds=float(left[1]) if left else None,
            body=b"%b%b%b" % (before, progress, rest),
        )

    async def _raise_absent(self, job_id: str, owner: str | None) -> None:
        async with answering():
            gone = await self._redis.get(names.GONE + job_id)
        if gone is not None:
            was = json.loads(gone)
            if owner is None or owner == was:
                raise JobExpired(job_id, was)


def _waiting(asked: Iterable[list[asyncio.Future[Look | None]]]) -> Iterator[asyncio.Future[Look | None]]:
    """Those who did not give up meanwhile."""
    return (future for futures in asked for future in futures if not future.done())


_STATES: Final[Mapping[bytes, JobStatus]] = {f'"{state}"'.encode(): state for state in JobStatus}


def _script(fields: Sequence[str]) -> str:
    """The script that looks at these fields. A record written before a field existed has its default there."""
    heads = [f'{"," if at else "{"}"{name}":' for at, name in enumerate(fields)]
    known = [JobRecord.model_fields.get(name) for name in fields]
    defaults = [to_json(None if f is None or f.is_required() else f.get_default()).decode() for f in known]
    place = {name: str(at) for at, name in enumerate(fields, 1)}
    words = {
        "HEADS": ",".join(f"'{head}'" for head in heads),
        "DEFAULTS": ",".join(f"'{value}'" for value in defaults),
        "NAMES": ",".join(f"'{name}'" for name in fields),
        "TIMES": ",".join(place[name] for name in _TIMES),
        "POSITION": place[POSITION],
        "PROGRESS": place["progress"],
    }
    return re.sub("@([A-Z]+)@", lambda word: words[word[1]], _LOOK)
