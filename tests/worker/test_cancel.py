"""Cancel against completion, again and again: one end each time, and everything that is told of it agrees."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis

from core.jobs.deliveries import DeliveryStore
from core.jobs.record import TERMINAL, JobRecord, JobStatus, WebhookEvent
from core.jobs.service import JobService, Submission
from core.settings import Settings
from worker.stylize import carry_out
from worker.workshop import Workshop

STEP = 1.1
"""A cancel that came too late comes sooner by this the next time, and the other way round: so they meet."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"egress_allow_loopback": True})


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def told(redis: Redis, job: JobRecord) -> list[str]:
    """Every status that the job's event stream tells of."""
    stream: Any = redis.xrange(f"strata:events:{job.id}")
    return [json.loads(event[b"data"])["status"] for _, event in stream if event[b"type"] == b"status"]


def places(redis: Redis, job: JobRecord) -> list[str]:
    """Every list that has the job."""
    lists = [f"strata:jobs::{status}" for status in JobStatus] + ["strata:queue", "strata:running"]
    return [name for name in lists if redis.zscore(name, job.id) is not None]


def seconds(call: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.race
@pytest.mark.timeout(600)
def test_a_cancel_that_races_the_end_of_a_real_run_leaves_one_consistent_end(
    http: httpx.Client,
    service: JobService,
    workshop: Workshop,
    redis: Redis,
    photo: bytes,
    painting: bytes,
    quick: Mapping[str, object],
    races: int,
) -> None:
    webhook = {"url": "http://127.0.0.1:9/", "events": list(WebhookEvent)}
    submission = Submission(photo, [painting], {**quick, "iterations": 2}, webhook=webhook)
    ends: Counter[JobStatus] = Counter()
    deliveries = DeliveryStore(redis)
    wait = min(seconds(lambda: carry_out(service.submit(submission).id, workshop)) for _ in range(3))
    with ThreadPoolExecutor(1) as pool:
        for _ in range(races):
            job = service.submit(submission)

            def cancel(job: JobRecord = job, wait: float = wait) -> httpx.Response:
                time.sleep(wait)
                return http.post(f"/v1/jobs/{job.id}/cancel")

            canceling = pool.submit(cancel)
            carry_out(job.id, workshop)
            answer = canceling.result()
            if answer.json()["status"] == "processing":
                assert answer.status_code == 202

            ended = service.get(job.id)
            assert ended.status in (JobStatus.SUCCEEDED, JobStatus.CANCELED)
            assert [status for status in told(redis, job) if status in TERMINAL] == [ended.status]
            assert told(redis, job)[-1] == ended.status
            assert places(redis, job) == [f"strata:jobs::{ended.status}"]
            assert [d.event for d in deliveries.of_job(job.id)][-1:] == [f"job.{ended.status}"]
            assert len({d.event for d in deliveries.of_job(job.id)} - {"job.processing"}) == 1

            again, image = http.post(f"/v1/jobs/{job.id}/cancel"), http.get(f"/v1/jobs/{job.id}/image")
            assert (again.status_code, again.json()["status"]) == (200, ended.status)
            assert again.json() == http.get(f"/v1/jobs/{job.id}").json()
            assert image.status_code == (200 if ended.status is JobStatus.SUCCEEDED else 409)
            assert (again.json()["metrics"] is not None) is (ended.status is JobStatus.SUCCEEDED)

            ends[ended.status] += 1
            wait *= STEP if ended.status is JobStatus.CANCELED else 1 / STEP
            http.delete(f"/v1/jobs/{job.id}")
    assert min(ends[JobStatus.SUCCEEDED], ends[JobStatus.CANCELED]) > races // 10, ends
