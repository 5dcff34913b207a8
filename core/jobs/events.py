"""What happens to jobs, as it happens: one connection listens for all who watch, the streams hold what was said."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

from redis import exceptions
from redis.asyncio import Redis

from core.jobs.connections import answering
from core.jobs.errors import StoreUnavailable

log = logging.getLogger(__name__)

BEGINNING: Final = "0-0"
"""Before every event."""

_EVENT_ID: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_MANY: Final = 128
_AGAIN_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is status, progress or preview; `data` is JSON. Ids grow."""

    id: str
    kind: str
    data: bytes

    @property
    def is_last(self) -> bool:
        """Whether the job has ended with this."""
        return self.kind == "status" and any(ending in self.data for ending in _ENDINGS)


_ENDINGS: Final = tuple(f'"status":"{state}"'.encode() for state in ("succeeded", "failed", "canceled"))


def is_event_id(text: str) -> bool:
    """Whether this could be the id of an event, and not the last of all, after which Redis knows nothing."""
    if not _EVENT_ID.fullmatch(text):
        return False
    milliseconds, number = map(int, text.split("-"))
    return max(milliseconds, number) < 2**64 and min(milliseconds, number) < 2**64 - 1


@dataclass
class _Watched:
    """A job that somebody watches. Everybody at the same place in the stream shares one reading of it."""

    watchers: set["Watch"] = field(default_factory=set)
    pages: dict[str, asyncio.Task[list[Event]]] = field(default_factory=dict)


class Watch:
    """One listener's place in the stream of one job. Holds no events, so a slow listener costs nothing."""

    def __init__(self, events: "Events", job_id: str) -> None:
        self._events = events
        self._job_id = job_id
        self._news = asyncio.Event()

    def attend(self) -> None:
        """What is said from now on is news."""
        self._news.clear()

    async def read(self, after: str, *, shared: bool = True) -> Sequence[Event]:
        """What was said after that event, at once; nothing if nothing was. Raises StoreUnavailable.

        `shared`: perhaps as somebody else has read it, after the latest news that was heard.
        """
        self.attend()
        return await self._events._page(self._job_id, after, shared)

    async def news(self, seconds: float) -> bool:
        """Wait for news, at most so long; whether there are any."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        return self._news.is_set()

    def wake(self) -> None:
        self._news.set()


class Events:
    """The events of all jobs, for one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._watched: dict[str, _Watched] = {}
        self._hearing = asyncio.Event()
        self._stopped = False
        self._listener: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Let go of the connection."""
        self._stopped = True  # the client library may swallow a cancellation
        while self._listener is not None and not self._listener.done():
            self._listener.cancel()
            await asyncio.wait([self._listener], timeout=0.5)

    @asynccontextmanager
    async def watch(self, job_id: str) -> AsyncIterator[Watch]:
        """Whatever is said from then on wakes the watch. Raises StoreUnavailable."""
        watch = Watch(self, job_id)
        watched = self._watched.setdefault(job_id, _Watched())
        watched.watchers.add(watch)
        try:
            await self._heard()
            yield watch
        finally:
            watched.watchers.discard(watch)
            if not watched.watchers and self._watched.get(job_id) is watched:
                del self._watched[job_id]

    async def _heard(self) -> None:
        """Return once what is said is heard."""
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        try:
            await asyncio.wait_for(self._hearing.wait(), _PATIENCE_SECONDS)
        except TimeoutError:
            raise StoreUnavailable("no events are heard") from None

    async def _page(self, job_id: str, after: str, shared: bool) -> list[Event]:
        if not shared:
            return await self._read(job_id, after)
        watched = self._watched[job_id]
        if (reading := watched.pages.get(after)) is None:
            reading = watched.pages[after] = asyncio.create_task(self._read(job_id, after))
        return await asyncio.shield(reading)

    async def _read(self, job_id: str, after: str) -> list[Event]:
        async with answering():
            found = await cast(Any, self._redis.xrange(_stream(job_id), min=f"({after}", count=_MANY))
        return [Event(at.decode(), entry[b"type"].decode(), entry[b"data"]) for at, entry in found]

    async def _listen(self) -> None:
        """For the life of the process: after a break in the connection everybody looks for himself."""
        while not self._stopped:
            pubsub = self._redis.pubsub()
            try:
                await pubsub.psubscribe(_stream("*"))
                while not self._stopped:
                    message = await pubsub.get_message(timeout=None)
                    if message is None:
                        continue
                    if message["type"] == "psubscribe":  # again after the client library connected again
                        self._hearing.set()
                        self.wake_all()
                    elif message["type"] == "pmessage":
                        self._wake(message["channel"].decode().removeprefix(_stream("")))
            except (exceptions.RedisError, OSError) as error:
                log.warning("no events are heard: %s", error)
                self._hearing.clear()
                self.wake_all()
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _wake(self, job_id: str) -> None:
        if (watched := self._watched.get(job_id)) is not None:
            watched.pages.clear()
            for watch in watched.watchers:
                watch.wake()

    def wake_all(self) -> None:
        """Let everybody look for himself."""
        for job_id in list(self._watched):
            self._wake(job_id)


def _stream(job_id: str) -> str:
    return f"strata:events:{job_id}"
