"""Clients that send jobs without end while one fault after another strikes, each at a random moment."""

import random
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final

from tools.chaos.faults import Fault
from tools.chaos.receiver import Receiver
from tools.chaos.service import Sent, Service

CLIENTS: Final = 6
"""Each sends a job and waits for its end, and so on: so many jobs are under way at any time."""

ITERATIONS: Final = (3, 3, 8, 40, 120)
CANCELED: Final = 0.1
CALM_SECONDS: Final = 3.0
"""A fault strikes so long after the last one was got over at most."""


@dataclass(frozen=True)
class Struck:
    """A fault and what came after it, in seconds from its end: a job sent then was accepted, and had ended."""

    fault: str
    accepted: float
    ended: float


@dataclass(frozen=True)
class Report:
    """`waited`: the longest from a job's acceptance to its end, in seconds; `seconds`: the whole storm."""

    struck: Sequence[Struck]
    jobs: int
    canceled: int
    unknown: int
    again: int
    waited: float
    seconds: float


class Storm:
    """The clients, and how long they waited."""

    def __init__(self, service: Service, jobs: int, seed: int) -> None:
        self._service = service
        self._jobs = jobs
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be unforeseeable
        self._calm = threading.Event()
        self._waited: list[float] = []

    def through(self, faults: Iterable[Fault]) -> tuple[list[Struck], float]:
        """Strike with each; what came after each, and the longest a job took. Raises AssertionError."""
        struck = []
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._client, self._random.random()) for _ in range(CLIENTS)]
            try:
                for fault in faults:
                    time.sleep(self._random.uniform(0, CALM_SECONDS))
                    struck.append(self._strike(fault))
                    _raise_from(clients)
            finally:
                self._calm.set()
        _raise_from(clients)
        return struck, max(self._waited)

    def _strike(self, fault: Fault) -> Struck:
        service = self._service
        fault.strike(service)
        began = time.monotonic()
        job = service.submit(Sent(ITERATIONS[0], priority="high"))
        accepted = time.monotonic() - began
        service.until(lambda: service.ended(job), f"the next job to end after: {fault.name}")
        ended = time.monotonic() - began
        service.until(service.ready, f"the service to be ready after: {fault.name}")
        return Struck(fault.name, accepted, ended)

    def _client(self, seed: float) -> None:
        """Until the storm is over and enough jobs were sent."""
        choice, service = random.Random(seed), self._service  # noqa: S311
        while not self._calm.is_set() or len(service.ledger.accepted) < self._jobs:
            cancel = choice.random() < CANCELED
            priority = choice.choice(("high", "normal", "low"))
            job = service.submit(Sent(choice.choice(ITERATIONS), cancel, priority))
            self._waited.append(service.until(lambda job=job: service.ended(job), f"job {job} to end"))  # type: ignore[misc]


def _raise_from(clients: Iterable[Future[None]]) -> None:
    for client in clients:
        if client.done():
            client.result()


def weathered(
    service: Service, receiver: Receiver, faults: Sequence[Fault], rounds: int, jobs: int, seed: int
) -> Report:
    """Every fault so often, in a random order, under load; then everybody is called back. Raises AssertionError."""
    order = list(faults) * rounds
    random.Random(seed).shuffle(order)  # noqa: S311
    began = time.monotonic()
    struck, waited = Storm(service, jobs, seed).through(order)
    ids = service.ledger.accepted
    service.until(lambda: all(receiver.events_of(job) for job in ids), "every callback")
    looked = [service.job(job) for job in ids]
    return Report(
        struck=struck,
        jobs=len(ids),
        canceled=sum(job["status"] == "canceled" for job in looked),
        unknown=service.ledger.unknown,
        again=sum(job["attempt"] > 1 for job in looked),
        waited=waited,
        seconds=time.monotonic() - began,
    )


def table(report: Report) -> str:
    """For people: Markdown, median and longest of each fault."""
    lines = ["| fault | times | next job accepted after | and done after |", "|---|---|---|---|"]
    for name in dict.fromkeys(sorted(each.fault for each in report.struck)):
        these = [each for each in report.struck if each.fault == name]
        accepted, ended = ([getattr(each, what) for each in these] for what in ("accepted", "ended"))
        lines.append(f"| {name} | {len(these)} | {_spread(accepted)} | {_spread(ended)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{report.jobs} jobs were accepted in {report.seconds / 60:.1f} minutes; all ended, {report.canceled} of"
            f" them canceled as asked; {report.again} needed more than one run; the longest took {report.waited:.1f} s"
            f" from acceptance to its end. {report.unknown} requests got no answer and were sent again as new ones.",
        ]
    )


def _spread(seconds: Sequence[float]) -> str:
    longest = f" ({max(seconds):.1f} s)" if len(seconds) > 1 else ""
    return f"{median(seconds):.1f} s{longest}"
