"""How much of everything a running service holds: memory, file descriptors, keys, files."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from tools.chaos.service import Service

ROLES: Final = ("API", "API child", "worker", "worker child", "courier", "courier child", "Redis")

JOBS: Final = "of jobs not yet expired"
KEPT_MB: Final = "MB, with the tombstones"

_MEGA: Final = 1e6
_TOMBSTONES: Final = ("strata:gone:*", "strata:idempotency:*")
"""What is kept of jobs that are gone and of requests that were answered, for days: it grows with the jobs."""

_GROWTH: Final = 0.05
_SLACK: Final[Mapping[str, float]] = {"MB": 2.0, "fds": 2.0}
"""What does not count as growth: part of the whole, and so much of each unit."""

_SAID: Final[Mapping[bool | None, str]] = {True: "flat", False: "GROWS", None: ""}


@dataclass(frozen=True)
class Sample:
    """`values` by (what, unit)."""

    minute: float
    values: Mapping[tuple[str, str], float]


def sample(service: Service, began: float) -> Sample:
    """As it is now. Raises RedisError while Redis does not answer."""
    values: dict[tuple[str, str], float] = {}
    for role in ROLES:
        pids = service.role(role)
        values[role, "MB" if role != "Redis" else KEPT_MB] = sum(map(_resident, pids)) / _MEGA
        values[role, "fds"] = sum(map(_descriptors, pids))
    with service.redis() as redis:
        info: Any = redis.info("memory")
        tombstones = sum(sum(1 for _ in redis.scan_iter(pattern, count=1000)) for pattern in _TOMBSTONES)
        total: Any = redis.dbsize()
        values["jobs", JOBS] = sum(1 for _ in redis.scan_iter("strata:job:*", count=1000))
        values["keys", JOBS] = total - tombstones
        values["tombstones", "of jobs and answers"] = tombstones
        values["Redis's data", KEPT_MB] = info["used_memory"] / _MEGA
    values["files", JOBS] = len(_files(service.data / "artifacts"))
    values["append-only file", KEPT_MB] = sum(map(_size, _files(service.data / "redis"))) / _MEGA
    return Sample((time.monotonic() - began) / 60, values)


def verdicts(samples: Sequence[Sample]) -> dict[tuple[str, str], tuple[float, float, float, bool | None]]:
    """The means of each third of the time, and whether the last one is as the middle one; None for what is kept for
    days, and for what goes with the jobs."""
    third = len(samples) // 3
    found = {}
    for key in samples[0].values:
        first, middle, last = (
            mean(each.values[key] for each in part)
            for part in (samples[:third], samples[third:-third], samples[-third:])
        )
        slack = _SLACK.get(key[1])
        flat = None if slack is None else last <= middle * (1 + _GROWTH) + slack
        found[key] = first, middle, last, flat
    return found


def table(samples: Sequence[Sample]) -> str:
    """For people: Markdown."""
    lines = ["| what | first third | middle third | last third | |", "|---|---|---|---|---|"]
    for (what, unit), (*thirds, flat) in verdicts(samples).items():
        cells = " | ".join(f"{value:,.1f}" for value in thirds)
        lines.append(f"| {what} ({unit}) | {cells} | {_SAID[flat]} |")
    return "\n".join(lines)


def _resident(pid: int) -> float:
    with suppress(OSError, StopIteration):
        lines: Iterable[str] = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024
    return 0.0


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def _files(folder: Path) -> list[Path]:
    """Those that were there; folders may go meanwhile."""
    return [Path(path, name) for path, _, names in os.walk(folder) for name in names]


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
