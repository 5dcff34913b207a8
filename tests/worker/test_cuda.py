"""A worker on a GPU: the first thing to run where there is one, `pytest -m cuda`. Written without one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from redis import Redis

from core.jobs.artifacts import open_artifacts
from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore
from core.settings import Settings
from worker.drain import Drain
from worker.studio import Studio
from worker.stylize import carry_out
from worker.workshop import Workshop

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

Submit = Callable[..., JobRecord]
MIB = 1 << 20


@pytest.fixture
def workshop(settings: Settings, redis: Redis) -> Workshop:
    studio = Studio(device="cuda", weights="seeded", weights_dir=Path(), threads=1, memory_bytes=0, warm_networks=2)
    store, artifacts = JobStore(redis, keep_seconds=3600), open_artifacts(settings.artifacts)
    return Workshop(studio, store, artifacts, lease_seconds=30, checkpoint_seconds=5, drain=Drain())


def test_mixed_jobs_succeed_and_leave_nothing_behind(submit: Submit, workshop: Workshop) -> None:
    kinds: list[dict[str, Any]] = [
        {"iterations": 60},
        {"size": 128, "iterations": 60, "optimizer": "adam"},
        {"iterations": 60, "random_shift": 0.97},
        {"iterations": 40, "style_loss": "wasserstein"},
        {"iterations": 60, "color": "content", "scales": "auto", "size": 200},
    ]
    held = []
    for _ in range(5):
        for kind in kinds:
            job = submit(**kind)
            assert carry_out(job.id, workshop) is not None
            done = workshop.store.get(job.id)
            assert done.status is JobStatus.SUCCEEDED, done.error
            assert done.metrics is not None
            assert done.metrics.device == "cuda:0"
            assert done.metrics.peak_memory_bytes is not None
        torch.cuda.synchronize()
        held.append(torch.cuda.memory_allocated() - workshop.studio.targets.bytes)
    assert held[-1] <= held[0] + MIB
    assert workshop.studio.graphs.wanted


def test_a_job_with_graphs_turned_off_ends_at_about_the_same_loss(submit: Submit, workshop: Workshop) -> None:
    totals = []
    for wanted in (True, False):
        workshop.studio.graphs.wanted = wanted
        job = submit(iterations=60, dtype="float32", seed=len(totals))
        carry_out(job.id, workshop)
        progress = workshop.store.get(job.id).progress
        assert progress is not None
        assert progress.losses is not None
        totals.append(progress.losses.total)
    assert totals[0] == pytest.approx(totals[1], rel=0.05)


def test_each_card_has_a_child_that_tells_its_name(floor: Any, submit: Submit, redis: Redis) -> None:
    store = JobStore(redis, keep_seconds=3600)
    floor.worker(device="cuda")
    floor.until(lambda: len(store.workers()) == torch.cuda.device_count())
    assert all(said["card"] and int(said["memory_bytes"]) > 0 for said in store.workers().values())
    assert floor.finished(submit(iterations=40)).status is JobStatus.SUCCEEDED


def test_several_children_share_a_card_and_work_at_the_same_time(floor: Any, submit: Submit, redis: Redis) -> None:
    slots = 2 * torch.cuda.device_count()
    floor.worker(device="cuda", slots=slots)
    floor.until(lambda: len(JobStore(redis, keep_seconds=3600).workers()) == slots)
    jobs = [submit(iterations=10_000, seed=seed) for seed in range(slots)]
    floor.until(lambda: all(floor.service.get(job.id).status is JobStatus.PROCESSING for job in jobs))
    for job in jobs:
        floor.service.cancel(job.id)
    assert {floor.finished(job).status for job in jobs} == {JobStatus.CANCELED}


def test_who_shares_a_card_gets_no_more_than_its_share(settings: Settings) -> None:
    try:
        Studio(
            device="cuda", weights="seeded", weights_dir=Path(), threads=1, memory_bytes=0, warm_networks=2, sharers=4
        )
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(torch.cuda.get_device_properties(0).total_memory // 3, dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
