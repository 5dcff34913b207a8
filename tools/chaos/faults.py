"""What may befall a service: each fault strikes, ends by itself, and leaves the service to recover."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from tools.chaos.service import Service

_QUEUES: Final = ("stylize.high", "stylize.normal", "stylize.low")
_COPIES: Final = 10

Strike = Callable[[Service], None]


@dataclass(frozen=True)
class Fault:
    """`kills`: whether a process is replaced by it."""

    name: str
    strike: Strike
    kills: bool = False


def faults(redis_pause: float, worker_pause: float, spell: float) -> tuple[Fault, ...]:
    """Every fault there is. Seconds: Redis stopped; a worker stopped, which is to be longer than its lease; and the
    time for which Redis is full or refuses its password."""
    return (
        Fault("kill -9 of the worker's child", _signal("worker child", signal.SIGKILL), kills=True),
        Fault("kill -9 of the worker", _signal("worker", signal.SIGKILL), kills=True),
        Fault("kill -9 of the API", _signal("API", signal.SIGKILL), kills=True),
        Fault("kill -9 of the courier", _signal("courier", signal.SIGKILL), kills=True),
        Fault("kill -9 of Redis", _signal("Redis", signal.SIGKILL), kills=True),
        Fault("SIGTERM to the worker", _signal("worker", signal.SIGTERM), kills=True),
        Fault("SIGTERM to the API", _signal("API", signal.SIGTERM), kills=True),
        Fault(f"Redis stopped for {redis_pause:g} s", _stop("Redis", redis_pause)),
        Fault(f"worker's child stopped for {worker_pause:g} s, beyond its lease", _stop("worker child", worker_pause)),
        Fault(f"Redis full for {spell:g} s", _full(spell)),
        Fault(f"Redis refuses the password for {spell:g} s", _refusing(spell)),
        Fault("every connection to Redis cut", _cut),
        Fault("every message in the broker lost", _lose),
        Fault(f"every message in the broker there {_COPIES} times", _repeat),
    )


def _processes(service: Service, role: str) -> list[int]:
    """Waited for: an earlier fault may have left none for the moment."""
    found: list[int] = []

    def there() -> bool:
        found[:] = service.role(role)
        return bool(found)

    service.until(there, f"a process of {role}")
    return found


def _signal(role: str, number: signal.Signals) -> Strike:
    def strike(service: Service) -> None:
        for pid in _processes(service, role):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    return strike


def _stop(role: str, seconds: float) -> Strike:
    def strike(service: Service) -> None:
        pids = _processes(service, role)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return strike


@contextmanager
def _server(service: Service) -> Iterator[Redis]:
    service.until(lambda: _pongs(service), "Redis to answer")
    with service.redis() as redis:
        yield redis


def _pongs(service: Service) -> bool:
    with suppress(Exception), service.redis() as redis:
        return bool(redis.ping())
    return False


def _full(seconds: float) -> Strike:
    def strike(service: Service) -> None:
        with _server(service) as redis:
            redis.config_set("maxmemory", 1)
            time.sleep(seconds)
            redis.config_set("maxmemory", 0)

    return strike


def _refusing(seconds: float) -> Strike:
    def strike(service: Service) -> None:
        with _server(service) as redis:
            redis.config_set("requirepass", "another")
            _cut_all(redis)
            time.sleep(seconds)
            redis.config_set("requirepass", "")

    return strike


def _cut(service: Service) -> None:
    with _server(service) as redis:
        _cut_all(redis)


def _cut_all(redis: Redis) -> None:
    call: Any = redis.execute_command
    for kind in ("normal", "pubsub"):
        call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def _lose(service: Service) -> None:
    with _server(service) as redis:
        redis.delete(*_QUEUES)


def _repeat(service: Service) -> None:
    with _server(service) as redis:
        for queue in _QUEUES:
            found: Any = redis.lrange(queue, 0, -1)
            if found:
                redis.rpush(queue, *found * (_COPIES - 1))
