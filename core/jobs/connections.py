"""Connections to Redis, for threads and for an event loop: bounded in time, and one error for all its troubles."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

from redis import Redis, exceptions
from redis import asyncio as aio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from core.jobs.errors import StoreUnavailable

SILENT_SECONDS: Final = 3.0
"""A server that says nothing for so long is not waited for."""

DOUBT_SECONDS: Final = 1.0
"""After that nobody else asks it for a while: callers are refused at once and do not queue up behind each other."""

_CONNECT_SECONDS: Final = 2.0
_CONNECTIONS: Final = 16
_RETRIES: Final = 3

_UNAVAILABLE: Final[Mapping[type[Exception], str]] = {
    exceptions.AuthenticationError: "Redis refuses the password",
    exceptions.BusyLoadingError: "Redis is loading its data",
    exceptions.MaxConnectionsError: "too many wait for Redis",
    exceptions.ConnectionError: "Redis is not reached",
    exceptions.TimeoutError: "Redis does not answer",
    exceptions.OutOfMemoryError: "the memory of Redis is full",
    exceptions.ReadOnlyError: "Redis only reads",
    exceptions.NoPermissionError: "Redis refuses the command",
    TimeoutError: "Redis does not answer",
    OSError: "Redis is not reached",
}
"""What is said of each, the first that fits: the library's own words name addresses and paths."""

_UNFIT: Final = {
    "MISCONF": "Redis cannot write to its disk",
    "NOREPLICAS": "Redis lacks its replicas",
    "MASTERDOWN": "Redis lacks its master",
}
"""Errors without a class of their own, by their first word."""


class _Silent(exceptions.TimeoutError):
    """A silence of the server, in our own words."""


class _Doubt:
    """Whether a server was silent a moment ago."""

    def __init__(self) -> None:
        self._until = 0.0

    def check(self) -> None:
        if monotonic() < self._until:
            raise _Silent("Redis did not answer a moment ago")

    def arise(self) -> None:
        self._until = monotonic() + DOUBT_SECONDS


class _Redis(Redis):
    """Asks nothing while in doubt."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doubt = _Doubt()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self._doubt.check()
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except exceptions.TimeoutError:
            self._doubt.arise()
            raise


class _AsyncRedis(aio.Redis):
    """The same for an event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doubt = _Doubt()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self._doubt.check()
        try:
            async with asyncio.timeout(SILENT_SECONDS):  # a new connection would be tried again, silent as it is
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (exceptions.TimeoutError, TimeoutError) as error:
            self._doubt.arise()
            raise _Silent(f"Redis did not answer within {SILENT_SECONDS:g} s") from error


def connect(redis_url: str) -> Redis:
    """A client that tries a broken connection again, and a silent server not."""
    client: Redis = _Redis.from_url(
        redis_url,
        socket_timeout=SILENT_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        health_check_interval=15,
        retry=Retry(_backoff(), _RETRIES, supported_errors=(exceptions.ConnectionError,)),
    )
    return client


def connect_async(redis_url: str) -> aio.Redis:
    """As `connect`, for the event loop."""
    pool: aio.BlockingConnectionPool = aio.BlockingConnectionPool.from_url(
        redis_url,
        max_connections=_CONNECTIONS,  # who finds none waits for one
        timeout=SILENT_SECONDS,
        socket_timeout=SILENT_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        retry=AsyncRetry(_backoff(), _RETRIES, supported_errors=(exceptions.ConnectionError,)),
    )
    client: aio.Redis = _AsyncRedis.from_pool(pool)
    return client


def answered(call: Callable[[], Any]) -> Any:
    """What a call of Redis answers. Raises StoreUnavailable."""
    try:
        return call()
    except (exceptions.RedisError, OSError) as error:
        raise _translated(error) from error


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Turns the troubles of Redis into StoreUnavailable."""
    try:
        async with asyncio.timeout(2 * SILENT_SECONDS):  # several calls, or one that bypasses the client
            yield
    except (exceptions.RedisError, OSError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Exception:
    """The error itself if it is our own mistake."""
    if isinstance(error, _Silent):
        return StoreUnavailable(str(error))
    if isinstance(error, exceptions.ResponseError) and (unfit := _UNFIT.get(str(error).partition(" ")[0])):
        return StoreUnavailable(unfit)
    told = next((words for kind, words in _UNAVAILABLE.items() if isinstance(error, kind)), None)
    return error if told is None else StoreUnavailable(told)


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.05, cap=0.5)
