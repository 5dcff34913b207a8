"""A job that ends its workers, or takes all their memory, fails alone."""

import os
import resource
import signal
from collections.abc import Callable
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
from worker.failures import ran_out_of_memory, shortage
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

    def none_left(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")

    studio = Studio(device="cpu", weights="seeded", weights_dir=Path(), threads=0, memory_bytes=0, warm_networks=2)
    store, artifacts = JobStore(redis, keep_seconds=3600), open_artifacts(settings.artifacts)
    workshop = Workshop(studio, store, artifacts, lease_seconds=30, checkpoint_seconds=5, drain=Drain())
    monkeypatch.setattr(stylize, "stylize", none_left)
    job = submit()

    carried = stylize.carry_out(job.id, workshop)

    assert carried is not None
    assert carried.exhausted
    failed = service.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.type) == (JobStatus.FAILED, "out-of-memory")
    for said in ("expected to need", "the worker held", "Tried to allocate 2.00 GiB."):
        assert said in failed.error.detail


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_memory_that_ran_out_is_known_by_its_words(error: Exception, is_one: bool) -> None:
    assert ran_out_of_memory(error) is is_one


def test_a_shortage_says_what_was_expected_and_what_was_held() -> None:
    told = shortage(MemoryError(), 2_500_000_000, 1_250_000_000)

    assert told.detail == (
        "The run asked for more memory than there was: it was expected to need 2,500 MB and the worker held 1,250 MB."
        " Lower the size, or choose a smaller network."
    )
