"""The whole service on one machine: a data folder, an address, and the processes of cli.roles."""

import fcntl
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from redis import Redis
from redis.exceptions import RedisError

from cli import roles
from cli.supervisor import Say, Supervisor
from core.relief import relieve
from core.settings import MEGA, Settings

HOST: Final = "127.0.0.1"
SOCKET_PATH_BYTES: Final = 100
"""A unix socket's address holds 107 bytes on Linux and 103 on macOS."""
LOCK_SECONDS: Final = 3.0
REDIS_SECONDS: Final = 30.0
LEAST_BYTES: Final = 16 * MEGA
"""Redis needs some to start at all, and to write what it forgets."""


class LocalError(Exception):
    """The service cannot start here; says why and what to do."""


@dataclass(frozen=True)
class Readiness:
    """What /readyz answered: whether a job would be worked on, and the state of each part."""

    ok: bool
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to start.

    data: folder of everything that lasts; one service at a time uses it.
    port: 0 for a free one.
    redis_url, artifacts: a server and a place of your own instead of those in `data`.
    throwaway: the service lives for a job or two: it needs no courier, and asks nobody for a key.
    """

    data: Path
    port: int = 0
    weights: str = "auto"
    redis_url: str | None = None
    artifacts: str | None = None
    throwaway: bool = False


class LocalService:
    """Redis, API, worker and courier as planned, until the context ends.

    Raises LocalError when the folder or the port is in use.
    """

    def __init__(self, plan: Plan, say: Say) -> None:
        self.data = plan.data.resolve()
        self._plan = plan
        self._say = say
        self._supervisor = Supervisor(say)
        self._scratch: Path | None = None
        self._lock = -1
        self._listener: socket.socket | None = None
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def supervisor(self) -> Supervisor:
        """The processes."""
        return self._supervisor

    def ready(self) -> Readiness | None:
        """What the API says of itself and the others; None while it does not answer."""
        try:
            response = httpx.get(f"{self.url}/readyz", timeout=5.0)
            return Readiness(response.is_success, response.json())
        except (httpx.TransportError, ValueError):
            return None

    def wait_ready(self, seconds: float, tick: Callable[[], None]) -> Readiness | None:
        """The first good answer of `ready`, or the last one when `seconds` are over. Calls `tick` between."""
        deadline = time.monotonic() + seconds
        while True:
            tick()
            readiness = self.ready()
            if (readiness and readiness.ok) or time.monotonic() > deadline:
                return readiness
            time.sleep(0.2)

    def stop(self, hurry: threading.Event | None = None) -> None:
        """End every process and give the folder and the port free. Again: nothing."""
        self._supervisor.stop(hurry)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _start(self) -> None:
        self._listener = _listen(self._plan.port)
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self.data.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_folder(self.data)
        artifacts = self._plan.artifacts or str(self.data / "artifacts")
        self._make_room(Settings(artifacts=artifacts))
        env: dict[str, str | None] = {
            "STRATA_REDIS_URL": self._plan.redis_url or self._embedded_redis(),
            "STRATA_ARTIFACTS": artifacts,
            "STRATA_WEIGHTS": self._plan.weights,
        }
        if self._plan.throwaway:
            env |= {"STRATA_KEYS": None, "STRATA_KEYS_FILE": None}
        self._supervisor.start(roles.api(self._listener.fileno(), Settings().connections, env))
        self._supervisor.start(roles.worker(env))
        if not self._plan.throwaway:
            self._supervisor.start(roles.courier(env))

    def _make_room(self, settings: Settings) -> None:
        """A full disk is said to be one, and relieved of what has had its time: Redis does not start on it."""
        if (relief := relieve(settings)) is not None:
            freed, free = relief.megabytes
            self._say(
                roles.DISK,
                f"{free:,.0f} MB are free, less than STRATA_RESERVE_BYTES ({settings.reserve_bytes / MEGA:,.0f} MB):"
                f" no new pictures are taken. {freed:,.0f} MB of what had had its time were removed.",
            )
        free_bytes = shutil.disk_usage(self.data).free
        if free_bytes < LEAST_BYTES and self._plan.redis_url is None:
            raise LocalError(
                f"The disk of {self.data} has {free_bytes / MEGA:.1f} MB free, too little for Redis to write its file;"
                f" all that had had its time was removed already. Make room: results are in {settings.artifacts}/jobs,"
                " the oldest first to go."
            )

    def _embedded_redis(self) -> str:
        folder, address = self.data / "redis", self._socket_path()
        folder.mkdir(exist_ok=True)
        self._supervisor.start(roles.redis(folder, address, self._lock))
        self._wait_for_redis(address)
        return f"unix://{address}"

    def _socket_path(self) -> Path:
        inside = self.data / "redis.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_BYTES:
            return inside
        self._scratch = Path(tempfile.mkdtemp(prefix="strata-"))
        return self._scratch / "redis.sock"

    def _wait_for_redis(self, address: Path) -> None:
        """A long append-only file takes its time to load: until then the server answers LOADING."""
        deadline = time.monotonic() + REDIS_SECONDS
        with Redis(unix_socket_path=str(address)) as server:
            while True:
                try:
                    server.ping()
                    return
                except RedisError as error:
                    if self._supervisor.dead() or time.monotonic() > deadline:
                        folder = self.data / "redis"
                        raise LocalError(f"The embedded Redis does not start in {folder}: {error}") from error
                time.sleep(0.02)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise LocalError(
            f"Port {port} of {HOST} cannot be used ({error.strerror}); choose another with --port, or 0 for a free one."
        ) from error
    listener.listen(128)
    return listener


def _lock_folder(data: Path) -> int:
    """The descriptor of the folder's lock. A service that was just killed takes a moment to let go of it."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LocalError(
                    f"Another Strata is running in {data}; stop it, or choose another folder with --data."
                ) from error
            time.sleep(0.1)
