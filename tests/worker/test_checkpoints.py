"""A run that was cut off goes on from where it was put aside, and ends with the same picture."""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.engine.checkpoint import Checkpoint
from core.engine.progress import Ended, Progress
from core.jobs.artifacts import CHECKPOINT, RESULT, ArtifactStore, open_artifacts
from core.jobs.errors import ArtifactMissing, ArtifactsFull
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService
from core.settings import Settings
from worker import checkpoints
from worker.checkpoints import WORTH, Checkpoints, Pace
from worker.run import PROGRESS_SECONDS, Run
from worker.stylize import carry_out
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]
CutOff = Callable[..., None]
ITERATIONS = 12
CUT_OFF = 8
LONG = 4000


class Cut(BaseException):
    """The process is no more."""


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    return open_artifacts(settings.artifacts)


@pytest.fixture
def workshop(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """One that puts a run aside after every step, whatever that costs."""
    due = Checkpoints.due

    def always(kept: Checkpoints) -> bool:
        kept.settle()
        due(kept)
        return True

    monkeypatch.setattr(Checkpoints, "due", always)
    return replace(workshop, checkpoint_seconds=0)


@pytest.fixture
def cut_off(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> CutOff:
    """`cut_off(job)`: its run dies in the middle, and its job waits again."""

    def cut_off(job: JobRecord, at: int = CUT_OFF) -> None:
        go_on = Run.on_progress

        def die(run: Run, progress: Progress) -> Ended | None:
            if progress.iteration == at:
                raise Cut
            return go_on(run, progress)

        with monkeypatch.context() as patched:
            patched.setattr(Run, "on_progress", die)
            with pytest.raises(Cut):
                carry_out(job.id, workshop)
        assert workshop.store.hand_back(job.id, workshop.store.get(job.id).attempt)

    return cut_off


def first_iteration(caplog: pytest.LogCaptureFixture) -> int:
    """After which the run went on."""
    (told,) = [line for line in caplog.messages if "goes on" in line]
    return int(re.findall(r"iteration (\d+)", told)[0])


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_goes_on_where_the_one_before_it_was_cut_off_and_ends_with_the_same_picture(
    workshop: Workshop,
    service: JobService,
    submit: Submit,
    cut_off: CutOff,
    optimizer: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disturbed, undisturbed = (submit(iterations=ITERATIONS, optimizer=optimizer, seed=1) for _ in range(2))
    cut_off(disturbed)
    with caplog.at_level("INFO"):
        for job in (disturbed, undisturbed):
            carry_out(job.id, workshop)

    assert first_iteration(caplog) == CUT_OFF - 1
    done = service.get(disturbed.id)
    assert (done.status, done.attempt, done.warnings) == (JobStatus.SUCCEEDED, 2, ())
    assert service.image(disturbed.id) == service.image(undisturbed.id)
    assert service.losses(disturbed.id) == service.losses(undisturbed.id)
    assert done.metrics is not None
    assert done.metrics.iterations == ITERATIONS


def test_nothing_is_left_of_checkpoints_and_of_earlier_runs_when_the_job_has_ended(
    workshop: Workshop, submit: Submit, cut_off: CutOff, settings: Settings, artifacts: ArtifactStore
) -> None:
    job = submit(iterations=ITERATIONS)
    cut_off(job)
    artifacts.put_output(job.id, 1, RESULT, b"the picture of a run that died before it could say so")
    assert list(Path(settings.artifacts).rglob(CHECKPOINT))

    carry_out(job.id, workshop)

    assert list(Path(settings.artifacts).rglob(CHECKPOINT)) == []
    assert [path.parent.name for path in Path(settings.artifacts).rglob(RESULT)] == ["2"]


def test_a_run_that_lost_its_job_but_lives_on_leaves_its_checkpoint_to_the_next_one(
    workshop: Workshop,
    service: JobService,
    submit: Submit,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job, go_on = submit(iterations=ITERATIONS), Run.on_progress

    def lose(run: Run, progress: Progress) -> Ended | None:
        if progress.iteration == CUT_OFF:
            assert workshop.store.hand_back(job.id, 1)  # as the reconciler takes it from a run whose lease ran out
        return go_on(run, progress)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "on_progress", lose)
        carry_out(job.id, workshop)
    left = {path.name for path in (Path(settings.artifacts) / "jobs" / job.id).rglob("*") if path.is_file()}
    with caplog.at_level("INFO"):
        carry_out(job.id, workshop)

    assert left == {CHECKPOINT}
    assert first_iteration(caplog) >= CUT_OFF - 1
    assert (service.get(job.id).status, service.get(job.id).attempt) == (JobStatus.SUCCEEDED, 2)
    assert list(Path(settings.artifacts).rglob(CHECKPOINT)) == []


def test_nothing_is_left_of_earlier_runs_when_the_job_is_canceled_before_it_goes_on(
    service: JobService, submit: Submit, cut_off: CutOff, settings: Settings, artifacts: ArtifactStore
) -> None:
    job = submit(iterations=ITERATIONS)
    cut_off(job)
    artifacts.put_output(job.id, 1, RESULT, b"the picture of a run that died before it could say so")

    service.cancel(job.id)

    for name in (CHECKPOINT, RESULT):
        assert list(Path(settings.artifacts).rglob(name)) == []


@pytest.mark.parametrize("damage", ["half", "byte", "nothing", "no seal", "network"])
def test_a_damaged_checkpoint_is_not_gone_on_with_and_the_result_says_so(
    workshop: Workshop,
    service: JobService,
    submit: Submit,
    cut_off: CutOff,
    artifacts: ArtifactStore,
    damage: str,
) -> None:
    disturbed, undisturbed = (submit(iterations=ITERATIONS) for _ in range(2))
    cut_off(disturbed)
    whole = artifacts.output(disturbed.id, 1, CHECKPOINT)
    middle = len(whole) // 2
    damaged = {
        "half": whole[:middle],
        "byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "nothing": b"",
        "no seal": whole.partition(b"\n")[2],
        "network": whole.replace(b"seeded-v1", b"seeded-v0", 1),
    }
    artifacts.put_output(disturbed.id, 1, CHECKPOINT, damaged[damage])
    for job in (disturbed, undisturbed):
        carry_out(job.id, workshop)

    done = service.get(disturbed.id)
    assert done.status is JobStatus.SUCCEEDED
    assert any("began anew" in warning for warning in done.warnings)
    assert service.image(disturbed.id) == service.image(undisturbed.id)


def test_a_checkpoint_of_other_options_is_not_gone_on_with(
    workshop: Workshop,
    service: JobService,
    submit: Submit,
    cut_off: CutOff,
    artifacts: ArtifactStore,
) -> None:
    other, job = submit(iterations=ITERATIONS, tv_weight=3.0), submit(iterations=ITERATIONS)
    for each in (other, job):
        cut_off(each)
    artifacts.put_output(job.id, 1, CHECKPOINT, artifacts.output(other.id, 1, CHECKPOINT))

    carry_out(job.id, workshop)

    done = service.get(job.id)
    assert done.status is JobStatus.SUCCEEDED
    assert any("began anew" in warning for warning in done.warnings)


def test_a_run_that_lost_its_job_leaves_the_next_ones_checkpoint_alone(
    workshop: Workshop, submit: Submit, artifacts: ArtifactStore, cut_off: CutOff
) -> None:
    job = submit(iterations=ITERATIONS)
    cut_off(job)
    cut_off(job, CUT_OFF + 2)
    newest = artifacts.output(job.id, 2, CHECKPOINT)
    zombie = Checkpoints(
        workshop.store.get(job.id).model_copy(update={"attempt": 1}), artifacts, "seeded-v1", 0, Pace()
    )
    taken = zombie._read(artifacts.output(job.id, 1, CHECKPOINT))

    zombie.save(lambda: taken)
    zombie.settle()

    assert artifacts.output(job.id, 2, CHECKPOINT) == newest
    third = Checkpoints(workshop.store.get(job.id).model_copy(update={"attempt": 3}), artifacts, "seeded-v1", 0, Pace())
    latest = third.latest()
    assert latest is not None
    assert (latest.iteration, taken.iteration) == (CUT_OFF + 1, CUT_OFF - 1)


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(
    workshop: Workshop, service: JobService, submit: Submit, artifacts: ArtifactStore, settings: Settings
) -> None:
    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(artifacts, name)

        def put_output(self, job_id: str, attempt: int, name: str, data: bytes, *, flush: bool = True) -> None:
            if name == CHECKPOINT:
                raise ArtifactsFull("the disk is full")
            artifacts.put_output(job_id, attempt, name, data, flush=flush)

    job = submit(iterations=ITERATIONS)

    carry_out(job.id, replace(workshop, artifacts=Full()))  # type: ignore[arg-type]

    assert service.get(job.id).status is JobStatus.SUCCEEDED


def test_checkpoints_cost_at_most_one_part_in_fifty_of_the_time(
    submit: Submit, artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of our own: a step takes a second, a checkpoint four."""
    now = 0.0
    monkeypatch.setattr(checkpoints, "monotonic", lambda: now)
    kept = Checkpoints(submit(), artifacts, "seeded-v1", 5, Pace())
    saved = []

    def take() -> Checkpoint:
        nonlocal now
        now += 4.0
        return Checkpoint({})

    for step in range(2000):
        now += 1.0
        if kept.due():
            saved.append(step)
            kept.save(take)
            kept.settle()

    assert 5 <= len(saved) <= 10
    assert kept.seconds - 4.0 <= (now - kept.seconds) / WORTH  # but for one, whose cost was not known before


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("killed_at", [0.4, 0.9])
def test_a_run_that_is_killed_at_any_moment_does_less_than_a_fifth_of_its_work_again(
    floor: Any, submit: Submit, killed_at: float
) -> None:
    """By the settings that users have; the run is long enough for them, half a minute."""
    floor.courier()
    worker = floor.worker()
    floor.warm()
    job = floor.reached(submit(iterations=LONG), int(killed_at * LONG))
    os.kill(worker.child, signal.SIGKILL)

    done = floor.finished(job)

    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    (after,) = re.findall(rf"job {job.id}: goes on after iteration (\d+)", floor.told())
    unseen = PROGRESS_SECONDS / done.metrics.seconds_per_iteration  # done, but not published
    assert job.progress.iteration + unseen - int(after) < 0.2 * LONG


def test_nothing_is_found_where_nothing_was_put_aside(
    submit: Submit, artifacts: ArtifactStore, workshop: Workshop
) -> None:
    job = submit().model_copy(update={"attempt": 3})

    assert Checkpoints(job, artifacts, "seeded-v1", 0, Pace()).latest() is None
    with pytest.raises(ArtifactMissing):
        artifacts.output(job.id, 2, CHECKPOINT)
