"""What a waiting client is told of time, from what the latest jobs took."""

import httpx
import pytest

from api.app import create_app
from core.jobs.store import JobStore


@pytest.fixture
def told(serve, settings, redis, photo, painting):
    """An API whose queue holds two, with a worker that took 7 seconds for each job of this size so far."""
    store = JobStore(redis, keep_seconds=60)
    store.heartbeat("w1", {})
    url = serve(create_app(settings.model_copy(update={"max_queued": 2})))

    def submit() -> httpx.Response:
        files = {"content": photo, "style": painting}
        return httpx.post(f"{url}/v1/jobs", files=files, data={"options": '{"size": 64, "iterations": 10}'})

    first = submit().json()
    work = redis.hget(f"strata:job:{first['id']}", "_work").decode()
    redis.lpush("strata:history", f"{work} 7.0")
    store.request_cancel(first["id"])
    return submit


def test_waiting_jobs_are_told_when_they_will_be_done_and_when_to_look(told):
    etas = []
    for _ in range(2):
        job = told()
        etas.append((job.json()["queue_position"], job.json()["progress"]["eta_seconds"]))
        assert 1 <= int(job.headers["retry-after"]) <= 10
    assert etas[0] == (1, 7.0)


def test_a_full_queue_says_when_there_will_be_room(told):
    for _ in range(2):
        assert told().status_code == 202
    answer = told()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/queue-full")
    assert 1 <= int(answer.headers["retry-after"]) <= 7
