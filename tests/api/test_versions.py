"""Records as earlier versions wrote them, field by field: this one shows them, carries them out and removes them.

`records/version-N.json` holds what the very first service with that version put into Redis; it is never changed.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from api.answers import Job
from core.engine.options import StyleOptions
from core.jobs.record import RECORD_VERSION
from core.jobs.store import JobStore

RECORDS = Path(__file__).parent / "records"
VERSIONS = range(1, RECORD_VERSION + 1)


def written(redis: Redis, version: int, state: str) -> str:
    """The id of a job that an earlier version left in this state."""
    fields: dict[str, str] = json.loads((RECORDS / f"version-{version}.json").read_text())[state]
    job_id: str = json.loads(fields["id"])
    assert json.loads(fields["version"]) == version
    redis.hset(f"strata:job:{job_id}", mapping=fields)
    if state == "queued":
        redis.zadd("strata:queue", {job_id: fields["_place"]})
    return job_id


@pytest.fixture
def store(service) -> JobStore:
    return JobStore(service.redis, keep_seconds=60)


def shown(http: Any, job_id: str) -> Job:
    answer = http.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == list(Job.model_fields)
    return Job.model_validate_json(answer.content)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_finished_job_of_an_earlier_version_is_shown_and_removed(http, service, store, version):
    job_id = written(service.redis, version, "succeeded")
    job = shown(http, job_id)
    assert (job.status, job.outcome, job.metadata) == ("succeeded", "finished", {"album": "ü"})
    assert job.metrics is not None
    assert job.metrics.ssim == 0.5
    assert job.completed_at is not None
    assert store.get(job_id).version == version
    assert http.post(f"/v1/jobs/{job_id}/cancel").json()["status"] == "succeeded"
    assert http.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert http.get(f"/v1/jobs/{job_id}").status_code == 404


@pytest.mark.parametrize("version", VERSIONS)
def test_a_queued_job_of_an_earlier_version_is_carried_out(http, service, store, photo, version):
    job_id = written(service.redis, version, "queued")
    job = shown(http, job_id)
    assert (job.status, job.queue_position) == ("queued", 1)
    assert job.options.iterations == 5
    assert set(job.options.model_dump()) == set(StyleOptions.model_fields)
    service.run(job_id, photo, [])
    assert shown(http, job_id).status == "succeeded"
    assert http.get(f"/v1/jobs/{job_id}/image").content == photo
