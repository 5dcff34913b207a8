"""What a waiting client is told of time, from what the latest jobs took."""

import time

import httpx
import pytest

from api.app import create_app
from core.jobs.store import JobStore
from core.keys import ApiKey, hash_of


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


def test_a_full_queue_says_when_there_will_be_room(told, redis):
    first, _ = told(), told()
    at_once = told()
    assert (at_once.status_code, at_once.json()["type"]) == (503, "/problems/queue-full")
    assert at_once.headers["retry-after"] == "1"  # a worker is free
    began = time.monotonic()
    JobStore(redis, keep_seconds=60).claim(first.json()["id"], 30)
    assert told().status_code == 202
    later = told()
    assert later.status_code == 503
    # The one at work is to take seven seconds.
    assert max(1, 7 - (time.monotonic() - began)) <= int(later.headers["retry-after"]) <= 7


def test_a_key_that_has_enough_in_the_queue_is_told_when_one_of_its_own_has_left_it(serve, settings, redis, photo):
    keys = {name: ApiKey(hash=hash_of(name), queued=1) for name in ("ann", "bob")}
    url = serve(create_app(settings.model_copy(update={"keys": keys})))
    store = JobStore(redis, keep_seconds=60)
    store.heartbeat("w1", {})

    def submit(name: str) -> httpx.Response:
        files, headers = {"content": photo, "style": photo}, {"Authorization": f"Bearer {name}"}
        return httpx.post(f"{url}/v1/jobs", files=files, data={"options": '{"iterations": 10}'}, headers=headers)

    first = submit("ann").json()["id"]
    redis.lpush("strata:history", f"{redis.hget(f'strata:job:{first}', '_work').decode()} 7.0")
    began = time.monotonic()
    store.claim(first, 30)
    assert [submit(name).status_code for name in ("ann", "bob")] == [202, 202]
    waits = {name: int(submit(name).headers["retry-after"]) for name in ("ann", "bob")}
    gone = time.monotonic() - began
    assert (max(1, 7 - gone) <= waits["ann"] <= 7, 14 - gone <= waits["bob"] <= 14) == (True, True), waits
