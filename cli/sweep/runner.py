"""Carries trials out: a few jobs at a time, waiting wherever the service asks for patience."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cli.client import PATIENCE_SECONDS, ApiProblem, Client, StrataError, Unreachable
from cli.models import Job
from cli.sweep.grid import Trial
from cli.sweep.ledger import Ledger, Result
from cli.sweep.uploads import Uploads, about_pictures

POLL_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 5.0
"""How long to leave a service alone that does not say how long."""
FULL: Final = (429, 503)
"""With Retry-After: come again. Waited for without end; everything else that passes has limited patience."""
AWAY: Final = (502, 503, 504)
GONE: Final = (404, 410)
REFUSED: Final = (400, 413, 415, 422)
"""About this one trial: another may be taken."""


class Watcher(Protocol):
    """Who is told how a sweep goes."""

    def progress(self, running: Mapping[str, Job], ended: int) -> None:
        """The jobs under way by their trial's name, and how many trials are over."""

    def ended(self, result: Result) -> None:
        """A trial is over."""

    def waiting(self, seconds: float, why: str) -> None:
        """The service asked us to wait."""


@dataclass
class Runner:
    """at_once: how many jobs may be queued or running; the queue is others' too."""

    client: Client
    ledger: Ledger
    watcher: Watcher
    priority: str
    at_once: int
    poll: float = POLL_SECONDS
    _uploads: Uploads = field(init=False)
    _running: dict[Trial, Job] = field(default_factory=dict, init=False)
    _not_before: float = field(default=0.0, init=False)
    _heard: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        self._uploads = Uploads(self.client)

    def run(self, trials: Sequence[Trial]) -> Iterator[Result]:
        """Each trial's result as it comes; those of an earlier run at once.

        Raises StrataError when the service refuses us as such, or does not answer for a minute.
        """
        waiting: deque[Trial] = deque()
        ended = 0
        for trial in trials:
            if (result := self.ledger.result(trial)) is not None:
                ended += 1
                yield result
            else:
                waiting.append(trial)
        while waiting or self._running:
            for result in (*self._begun(waiting), *self._finished()):
                ended += 1
                self.watcher.ended(result)
                yield result
            self.watcher.progress({trial.name: job for trial, job in self._running.items()}, ended)
            if waiting or self._running:
                time.sleep(self.poll)

    def _begun(self, waiting: deque[Trial]) -> Iterator[Result]:
        """Submit as many as may be; yields those that were refused."""
        while waiting and len(self._running) < self.at_once and time.monotonic() >= self._not_before:
            try:
                job = self._job(waiting[0])
            except ApiProblem as problem:
                if problem.status in REFUSED:
                    yield Result(waiting.popleft(), refusal=_reason(problem))
                else:
                    self._bear(problem)
                continue
            except Unreachable as error:
                self._bear(error)
                continue
            self._heard = time.monotonic()
            self._running[waiting.popleft()] = job

    def _job(self, trial: Trial) -> Job:
        """The trial's job: the one it became before we were interrupted, or a new one."""
        if known := self.ledger.job(trial):
            try:
                return self.client.get(known)
            except ApiProblem as problem:
                if problem.status not in GONE:
                    raise
        metadata = {"sweep": self.ledger.sweep, "trial": trial.name, **trial.values}
        job = self._submitted(trial, metadata)
        self.ledger.note(trial, job.id)
        return job

    def _submitted(self, trial: Trial, metadata: Mapping[str, Any]) -> Job:
        """Queue the trial. Pictures the service has dropped meanwhile are sent once more."""
        for last in (False, True):
            try:
                content, *styles = map(self._uploads.stored, (trial.content, *trial.styles))
                return self.client.submit(content, styles, priority=self.priority, metadata=metadata, **trial.options)
            except ApiProblem as problem:
                if last or not about_pictures(problem):
                    raise
                self._uploads.forget()
        raise AssertionError("the second try returns or raises")

    def _finished(self) -> Iterator[Result]:
        """Look at every job; yields those that are over."""
        for trial, job in list(self._running.items()):
            try:
                self._running[trial] = current = self.client.get(job)
                result = self._collected(trial, current) if current.done else None
            except ApiProblem as problem:
                if problem.status not in GONE:
                    self._bear(problem)
                    return
                result = Result(trial, refusal=f"the job was deleted meanwhile ({problem})")
            except Unreachable as error:
                self._bear(error)
                return
            self._heard = time.monotonic()
            if result is not None:
                del self._running[trial]
                yield result

    def _collected(self, trial: Trial, job: Job) -> Result:
        image = self.client.image(job) if job.status == "succeeded" else None
        try:
            losses = self.client.losses(job)
        except ApiProblem as problem:
            if problem.status != 409:  # a job that ended before it began has none
                raise
            losses = []
        return self.ledger.keep(Result(trial, job, losses=tuple(losses)), image)

    def _bear(self, error: StrataError) -> None:
        """Wait, or raise what is no matter of waiting."""
        asked = error.retry_after if isinstance(error, ApiProblem) and error.status in FULL else None
        if asked is None:
            passes = isinstance(error, Unreachable) or (isinstance(error, ApiProblem) and error.status in AWAY)
            if not passes or time.monotonic() - self._heard > PATIENCE_SECONDS:
                raise error
        else:
            self._heard = time.monotonic()
        pause = PAUSE_SECONDS if asked is None else max(asked, self.poll)
        self._not_before = time.monotonic() + pause
        self.watcher.waiting(pause, str(error))


def _reason(problem: ApiProblem) -> str:
    """Which fields are wrong and how, in a line; else the server's own words."""
    errors = problem.problem.errors
    return "; ".join(f"{error.pointer} {error.detail}" for error in errors) if errors else str(problem)
