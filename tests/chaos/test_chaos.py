"""Every accepted job comes to exactly one end, whatever dies: `make chaos` prints the table.

STRATA_CHAOS_ROUNDS, 1 unless set, is how often each fault strikes.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

SHORT, LONG = 3, 120
"""Iterations: of a job in the queue, and of the one at work when the fault strikes."""

ROUNDS = int(os.environ.get("STRATA_CHAOS_ROUNDS", "1"))


@dataclass(frozen=True)
class Fault:
    name: str
    role: str
    pause: float | None = None
    """Seconds for which the process is stopped; None: it is killed."""

    def strike(self, service: Any) -> None:
        pids = service.role(self.role)
        assert pids, f"no process of {self.role}:\n{service.log.read_text()[-4000:]}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL if self.pause is None else signal.SIGSTOP)
        if self.pause is not None:
            time.sleep(self.pause)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


FAULTS = (
    Fault("kill -9 of the worker's child", "worker child"),
    Fault("kill -9 of the worker", "worker"),
    Fault("kill -9 of the API", "API"),
    Fault("kill -9 of the courier", "courier"),
    Fault("kill -9 of Redis", "Redis"),
    Fault("Redis stopped for 8 s", "Redis", pause=8.0),
    Fault("worker's child stopped beyond its lease", "worker child", pause=8.0),
)


@dataclass(frozen=True)
class Row:
    fault: str
    jobs: int
    accepting: float
    ended: float


@pytest.mark.timeout(3600)
def test_every_accepted_job_comes_to_one_end_whatever_dies(
    service: Any, photo: bytes, painting: bytes, receiver: Any, broken: Callable[..., list[str]]
) -> None:
    service.until(service.ready, "the service to come up")
    rows = [struck(fault, service, photo, painting) for fault in FAULTS * ROUNDS]

    def told() -> dict[str, list[str]]:
        by_job: dict[str, list[str]] = {}
        for request in receiver.received:
            body = json.loads(request.body)
            by_job.setdefault(body["data"]["id"], []).append(body["type"])
        return by_job

    service.until(lambda: set(told()) >= set(service.accepted.values()), "every callback")
    print(table(rows))  # noqa: T201 - what `make chaos` is for
    assert broken(service, told()) == []


def struck(fault: Fault, service: Any, photo: bytes, painting: bytes) -> Row:
    at_work = service.submit(photo, painting, LONG)
    jobs = [at_work, service.submit(photo, painting, SHORT)]
    service.until(lambda: service.started(at_work), "the job to begin")
    fault.strike(service)
    began = time.monotonic()
    jobs.append(service.submit(photo, painting, SHORT))
    accepting = time.monotonic() - began
    service.until(lambda: all(service.ended(job) for job in jobs), f"the jobs to end after: {fault.name}")
    ended = time.monotonic() - began
    service.until(service.ready, f"the service to be ready after: {fault.name}")
    return Row(fault.name, len(jobs), accepting, ended)


def table(rows: list[Row]) -> str:
    lines = ["", "| fault | jobs | next job accepted after | all jobs ended after |", "|---|---|---|---|"]
    lines += [f"| {row.fault} | {row.jobs} | {row.accepting:.1f} s | {row.ended:.1f} s |" for row in rows]
    return "\n".join(lines)
