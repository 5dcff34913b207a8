"""A claimed job while this process works on it: its lease, what it publishes, and whether to go on."""

import io
import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from core.engine.checkpoint import Checkpoint
from core.engine.pixels import to_image
from core.engine.progress import Ended, Losses, Progress
from core.jobs.artifacts import PREVIEW, ArtifactStore
from core.jobs.errors import ArtifactsUnavailable, StoreUnavailable
from core.jobs.record import JobLosses, JobProgress, JobRecord
from core.jobs.store import JobStore, Verdict
from core.jobs.transitions import OVERTIME_SECONDS
from worker.checkpoints import Checkpoints
from worker.drain import Drain
from worker.watchdog import put_off, watchdog

log = logging.getLogger(__name__)

PROGRESS_SECONDS: Final = 0.5
"""Progress is published, and a cancel noticed, this often at most."""

PREVIEW_SECONDS: Final = 1.0
_PREVIEW_QUALITY: Final = 85
_NO_PREVIEW_SECONDS: Final = 30.0
_RENEWALS_PER_LEASE: Final = 3


PATIENCE_SECONDS: Final = OVERTIME_SECONDS + 60.0
"""Longer than until the reconciler says of a job that its run was late."""

STORAGE_SECONDS: Final = 120.0
"""A run whose pictures cannot be read or written for so long has failed."""

_AGAIN_SECONDS: Final = 1.0
_INSIST_SECONDS: Final = 120.0

T = TypeVar("T")


class PutAside(BaseException):
    """Leaves the engine: the worker is to end, and the run can be gone on with from its checkpoint."""


class _First(NamedTuple):
    """The first evaluation of a size, with which its pace begins."""

    pixels: int
    iteration: int
    seconds: float


class Run:
    """Holds the lease from `with` to its end, also while one evaluation takes longer than the lease."""

    def __init__(
        self,
        record: JobRecord,
        store: JobStore,
        artifacts: ArtifactStore,
        lease_seconds: float,
        drain: Drain,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """patience_seconds: beyond its deadline, or once told to stop, a run that does not end hangs; this process is
        then ended.
        """
        self.record = record
        self.seconds_to_first_iteration: float | None = None
        self.stored_bytes = 0
        self._store = store
        self._artifacts = artifacts
        self._lease_seconds = lease_seconds
        self._drain = drain
        self._to_go: float | None = None
        self._claimed = monotonic()
        self._verdict = Verdict.GO_ON
        self._first: _First | None = None
        self._seconds_per_pixel: float | None = None
        self._told = self._shown = float("-inf")
        self._patience = patience_seconds
        self._watchdog = ExitStack()
        self._over = Event()
        self._keeper = Thread(target=self._keep_lease, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._watchdog.enter_context(watchdog(self.record.options.timeout_seconds + self._patience))
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._keeper.join()
        self._watchdog.close()

    def let_go(self) -> None:
        """End the lease now, after `with`: the job is taken from this run as from one that is gone, which counts as an
        attempt."""
        log.warning("job %s attempt %d: left to another process", self.record.id, self.record.attempt)
        with suppress(StoreUnavailable):  # then the lease runs out by itself
            self._store.renew(self.record.id, self.record.attempt, None, lease_seconds=0)

    def on_progress(self, progress: Progress) -> Ended | None:
        """What the engine calls after each evaluation; a reason ends the run."""
        now = monotonic()
        if self.seconds_to_first_iteration is None:
            self.seconds_to_first_iteration = now - self._claimed
        self._to_go = self._eta(progress)
        last = progress.iteration >= progress.iterations
        if last or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self.ask(self._job_progress(progress))
        if progress.picture is not None and now - self._shown >= PREVIEW_SECONDS:
            self._shown = now
            self._show(progress)
        return None if self._verdict is Verdict.GO_ON else Ended.CANCELED

    def on_checkpoint(self, take: Callable[[], Checkpoint], checkpoints: Checkpoints) -> None:
        """What the engine calls after each step. Raises PutAside when the worker is to end before the run would."""
        if self._verdict is not Verdict.GO_ON:
            return
        leaving = self._must_leave()
        if checkpoints.due() or leaving:
            checkpoints.save(take)
        if leaving:
            raise PutAside

    def insist(self, call: Callable[[], T]) -> T:
        """What a call says that must not be lost for a Redis that is away for a while. The lease is kept meanwhile,
        and should it be lost all the same, the call finds that out. Raises StoreUnavailable in the end.
        """
        until = monotonic() + _INSIST_SECONDS
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                if monotonic() > until:
                    raise
                log.warning("job %s: tried again soon: %s", self.record.id, error)
                self._over.wait(_AGAIN_SECONDS)

    def stored(self, call: Callable[[], T]) -> T:
        """What a call on the artifacts says, tried again while their place is away or full, for a while.

        Raises ArtifactsUnavailable in the end, or once the run is told to stop; PutAside when the worker is to end.
        """
        until = monotonic() + STORAGE_SECONDS
        while True:
            try:
                return call()
            except ArtifactsUnavailable as error:
                if monotonic() > until or self._verdict is not Verdict.GO_ON:
                    raise
                if self._must_leave():
                    raise PutAside from error
                log.warning("job %s: tried again soon: %s", self.record.id, error)
                self._over.wait(_AGAIN_SECONDS)

    def ask(self, progress: JobProgress | None = None) -> Verdict:
        """Renew the lease and learn whether to go on. Once told to stop, that stays so."""
        try:
            told = self._store.renew(self.record.id, self.record.attempt, progress, self._lease_seconds)
        except StoreUnavailable as error:
            # Every write is fenced by the attempt, so working on can do no harm.
            log.warning("job %s: the lease was not renewed: %s", self.record.id, error)
            return self._verdict
        if self._verdict is Verdict.GO_ON and told is not Verdict.GO_ON:
            log.info("job %s attempt %d: told to stop: %s", self.record.id, self.record.attempt, told)
            self._bring_forward()
        if self._verdict is Verdict.GO_ON or told is Verdict.LOST:
            self._verdict = told
        return self._verdict

    def _bring_forward(self) -> None:
        """A run that is told to stop has no more than its patience left."""
        left = self.record.options.timeout_seconds - (monotonic() - self._claimed)
        if left > 0:
            put_off(self._patience)

    def _keep_lease(self) -> None:
        while not self._over.wait(self._lease_seconds / _RENEWALS_PER_LEASE):
            self.ask()

    def _must_leave(self) -> bool:
        """Whether the run would not end in the time this worker has left."""
        left = self._drain.seconds_left()
        return left is not None and (left <= 0 or (self._to_go is not None and self._to_go > left))

    def _job_progress(self, progress: Progress) -> JobProgress:
        return JobProgress(
            iteration=progress.iteration,
            iterations=progress.iterations,
            fraction=min(1.0, progress.iteration / progress.iterations),
            eta_seconds=self._to_go,
            losses=job_losses(progress.losses),
        )

    def _eta(self, progress: Progress) -> float | None:
        """From the pace measured at this size, its first evaluation left out: it also prepares the size."""
        pixels = progress.width * progress.height
        if self._first is None or self._first.pixels != pixels:
            self._first = _First(pixels, progress.iteration, progress.seconds)
        else:
            made = progress.iteration - self._first.iteration
            self._seconds_per_pixel = (progress.seconds - self._first.seconds) / made / pixels
        if self._seconds_per_pixel is None:
            return None
        return max(0.0, round(self._seconds_per_pixel * pixels * progress.evaluations_left, 2))

    def _show(self, progress: Progress) -> None:
        assert progress.picture is not None  # noqa: S101 - asked by the caller
        file = io.BytesIO()
        to_image(progress.picture()).save(file, "JPEG", quality=_PREVIEW_QUALITY)
        try:
            self._artifacts.put_output(self.record.id, self.record.attempt, PREVIEW, file.getvalue())
            self._store.announce_preview(self.record.id, self.record.attempt, progress.iteration)
        except (ArtifactsUnavailable, StoreUnavailable) as error:
            log.warning("job %s: no preview: %s", self.record.id, error)
            self._shown = monotonic() + _NO_PREVIEW_SECONDS  # a store that hangs would hold up the run at each


def job_losses(losses: Losses) -> JobLosses:
    """As the record has them."""
    return JobLosses.model_validate(vars(losses))
