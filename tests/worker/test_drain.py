"""A worker that is told to end hands its job back with all that was done, or finishes it if that is sooner."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.jobs.artifacts import CHECKPOINT
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService
from core.jobs.store import JobStore
from worker.drain import Drain
from worker.stylize import carry_out
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]
LONG = 10_000  # iterations that nobody waits for


@pytest.fixture
def workshop(workshop: Workshop) -> Workshop:
    """One that puts nothing aside before it is told to end."""
    return replace(workshop, checkpoint_seconds=1000)


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_nobody_ends_without_being_told() -> None:
    assert Drain().seconds_left() is None


def test_the_first_word_counts() -> None:
    drain = Drain()
    drain.begin(0)
    drain.begin(1000)

    assert drain.seconds_left() == 0


def test_a_child_learns_what_its_parent_was_told() -> None:
    drain = Drain()
    asked, answered = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.read(asked[0], 1)
        os.write(answered[1], b"yes" if drain.seconds_left() == 0 else b"no")
        os._exit(0)
    drain.begin(0)
    os.write(asked[1], b"?")

    assert os.read(answered[0], 3) == b"yes"
    os.waitpid(child, 0)
    for end in (*asked, *answered):
        os.close(end)


def test_a_run_is_put_aside_when_there_is_no_time_and_another_worker_goes_on_with_it(
    workshop: Workshop, service: JobService, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    disturbed, undisturbed = (submit(iterations=10) for _ in range(2))
    workshop.drain.begin(0)

    carried = carry_out(disturbed.id, workshop)

    assert carried is not None
    assert carried.handed_back
    waiting = service.get(disturbed.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 1)
    assert workshop.artifacts.output(disturbed.id, 1, CHECKPOINT)
    other = replace(workshop, drain=Drain())
    with caplog.at_level("INFO"):
        for job in (disturbed, undisturbed):
            carry_out(job.id, other)
    assert any("goes on after iteration 1 of attempt 1" in line for line in caplog.messages)
    assert service.image(disturbed.id) == service.image(undisturbed.id)


def test_a_run_that_ends_soon_is_finished(workshop: Workshop, service: JobService, submit: Submit) -> None:
    job = submit()
    workshop.drain.begin(1000)

    carry_out(job.id, workshop)

    assert service.get(job.id).status is JobStatus.SUCCEEDED


def test_a_run_that_would_not_end_in_time_is_not_waited_for(
    workshop: Workshop, service: JobService, submit: Submit
) -> None:
    job = submit(iterations=LONG)
    workshop.drain.begin(5)

    carry_out(job.id, workshop)

    waiting = service.get(job.id)
    assert waiting.status is JobStatus.QUEUED
    assert waiting.progress.iteration < LONG / 2


def test_a_job_canceled_while_its_worker_is_to_end_is_canceled(
    workshop: Workshop, service: JobService, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(iterations=LONG)
    hand_back = JobStore.hand_back

    def cancel_before(store: JobStore, job_id: str, attempt: int) -> bool:
        service.cancel(job_id)
        return hand_back(store, job_id, attempt)

    monkeypatch.setattr(JobStore, "hand_back", cancel_before)
    workshop.drain.begin(0)

    carry_out(job.id, workshop)

    assert service.get(job.id).status is JobStatus.CANCELED


def test_a_worker_that_is_stopped_hands_its_job_on_at_once_and_one_that_is_killed_when_its_lease_is_over(
    floor: Any, submit: Submit
) -> None:
    first = floor.worker(lease_seconds=3600)
    floor.warm()
    job = floor.reached(submit(iterations=LONG), 10)
    first.popen.send_signal(signal.SIGTERM)
    floor.until(lambda: first.popen.poll() is not None)
    waiting = floor.service.get(job.id)
    assert (first.popen.returncode, waiting.status, waiting.attempt) == (0, JobStatus.QUEUED, 1)

    second = floor.worker(checkpoint_seconds=0.1)  # there is no courier yet: the first one has rung
    went_on = floor.reached(job, waiting.progress.iteration + 10)
    assert (went_on.status, went_on.attempt) == (JobStatus.PROCESSING, 2)
    child = second.child
    second.popen.kill()
    floor.until(lambda: has_ended(child))
    floor.courier()
    floor.worker()

    floor.until(lambda: floor.service.get(job.id).attempt == 3)
    floor.until(lambda: floor.told().count("goes on after iteration") == 2)
    assert floor.told().count("handed back") == 1
