"""A job that ends its workers, or takes all their memory, fails alone."""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from redis import Redis

from core.jobs.artifacts import open_artifacts
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService
from core.jobs.store import JobStore
from core.settings import Settings
from worker import stylize
from worker.drain import Drain
from worker.failures import shortage
from worker.memory import is_short
from worker.reconcile import Reconciler
from worker.studio import Studio
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]
LONG = 10_000  # iterations that nobody waits for


def test_a_job_that_ends_every_worker_fails_with_that_reason_and_the_next_one_succeeds(
    floor: Any, submit: Submit
) -> None:
    floor.courier(max_attempts=2)
    worker = floor.worker()
    floor.warm()
    poison, other = submit(iterations=LONG), submit()
    for attempt in (1, 2):
        floor.until(
            lambda attempt=attempt: (
                floor.service.get(poison.id).attempt == attempt
                and floor.service.get(poison.id).status is JobStatus.PROCESSING
            )
        )
        os.kill(worker.child, signal.SIGKILL)

    failed, succeeded = floor.finished(poison), floor.finished(other)

    assert (failed.status, failed.error.type, failed.attempt) == (JobStatus.FAILED, "attempts-spent", 2)
    assert (succeeded.status, succeeded.attempt) == (JobStatus.SUCCEEDED, 1)


def test_a_job_that_takes_all_memory_fails_the_worker_is_replaced_and_the_next_job_succeeds(
    floor: Any, submit: Submit
) -> None:
    worker = floor.worker()
    floor.warm()
    child = worker.child
    held = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(child, resource.RLIMIT_AS, (held + 150_000_000, resource.RLIM_INFINITY))
    greedy, modest = submit(size=2048, iterations=LONG), submit()

    failed, succeeded = floor.finished(greedy), floor.finished(modest)

    assert (failed.status, failed.error.type) == (JobStatus.FAILED, "out-of-memory")
    assert "expected to need" in failed.error.detail
    assert "the worker held" in failed.error.detail
    assert succeeded.status is JobStatus.SUCCEEDED
    assert worker.child != child


def test_a_device_that_has_no_more_memory_fails_the_job_and_the_process_is_not_trusted_with_another(
    submit: Submit, service: JobService, settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA says it; there is no device here to run out of it."""

    said = "CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation."
    _failing(monkeypatch, torch.OutOfMemoryError(said))
    job = submit()

    carried = stylize.carry_out(job.id, _workshop(settings, redis))

    assert carried is not None
    assert carried.unfit
    failed = service.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.type) == (JobStatus.FAILED, "out-of-memory")
    for said in ("expected to need", "the worker held", "Tried to allocate 2.00 GiB."):
        assert said in failed.error.detail


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stylize, "stylize", fail)


def _workshop(settings: Settings, redis: Redis) -> Workshop:
    studio = Studio(device="cpu", weights="seeded", weights_dir=Path(), threads=0, memory_bytes=0, warm_networks=2)
    store, artifacts = JobStore(redis, keep_seconds=3600), open_artifacts(settings.artifacts)
    return Workshop(studio, store, artifacts, lease_seconds=30, checkpoint_seconds=5, drain=Drain())


def test_a_broken_device_costs_the_job_an_attempt_and_the_process_its_life(
    submit: Submit, service: JobService, settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CUDA says it; there is no device here that could break."""
    _failing(monkeypatch, torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))
    workshop, job = _workshop(settings, redis), submit()
    with closing(Reconciler.open(settings.model_copy(update={"max_attempts": 2}))) as reconciler:
        for attempt, then in ((1, JobStatus.QUEUED), (2, JobStatus.FAILED)):
            carried = stylize.carry_out(job.id, workshop)

            assert carried is not None
            assert carried.unfit
            assert not carried.handed_back
            reconciler.reclaim()  # without waiting for the lease to run out
            now = service.get(job.id)
            assert (now.status, now.attempt) == (then, attempt)
    assert now.error is not None
    assert now.error.type == "attempts-spent"


def test_a_shortage_that_others_made_does_not_end_the_job(
    submit: Submit, service: JobService, settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    monkeypatch.setattr(stylize, "taken_by_others", lambda _: True)
    job = submit()

    carried = stylize.carry_out(job.id, _workshop(settings, redis))

    assert carried is not None
    assert carried.unfit
    with closing(Reconciler.open(settings)) as reconciler:
        reconciler.reclaim()
    assert service.get(job.id).status is JobStatus.QUEUED


def test_others_made_a_shortage_when_less_was_left_than_was_promised() -> None:
    assert is_short(promised=100, free=10, held=60)
    assert not is_short(promised=100, free=10, held=95)


def test_a_shortage_says_what_was_expected_and_what_was_held() -> None:
    told = shortage(MemoryError(), 2_500_000_000, 1_250_000_000)

    assert told.detail == (
        "The run asked for more memory than there was: it was expected to need 2,500 MB and the worker held 1,250 MB."
        " Lower the size, or choose a smaller network."
    )
