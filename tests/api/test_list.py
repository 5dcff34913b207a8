"""Lists of jobs, deleting them, and answers that are held."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from core.jobs.artifacts import FolderArtifacts
from core.jobs.store import JobStore
from tools.waiting import until


@pytest.fixture
def store(service):
    return JobStore(service.redis, keep_seconds=60)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


def test_jobs_are_listed_newest_first_as_they_are_shown_alone(http, submit):
    jobs = [submit() for _ in range(3)]
    answer = http.get("/v1/jobs")
    assert ids(answer) == [job["id"] for job in reversed(jobs)]
    assert answer.json()["items"] == [http.get(job["urls"]["self"]).json() for job in reversed(jobs)]
    assert answer.json()["next"] is None
    assert http.get("/v1/jobs", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_no_jobs_are_an_empty_list(http):
    assert http.get("/v1/jobs").json() == {"items": [], "next": None}


def test_pages_follow_each_other_even_while_jobs_come_in(http, submit):
    jobs = [submit()["id"] for _ in range(5)]
    first = http.get("/v1/jobs", params={"limit": 2})
    submit()
    second = http.get("/v1/jobs", params={"limit": 2, "cursor": first.json()["next"]})
    third = http.get("/v1/jobs", params={"limit": 2, "cursor": second.json()["next"]})
    assert ids(first) + ids(second) + ids(third) == jobs[::-1]
    assert third.json()["next"] is None


def test_a_state_is_followed_through_every_change(http, submit, store):
    job, states = submit()["id"], ("queued", "processing", "succeeded", "failed", "canceled")

    def where() -> list[str]:
        return [state for state in states if ids(http.get("/v1/jobs", params={"status": state})) == [job]]

    assert where() == ["queued"]
    store.claim(job, 30)
    assert where() == ["processing"]
    store.finish(job, 1, "failed")
    assert where() == ["failed"]


def test_only_jobs_of_a_time_are_listed(http, submit):
    job = submit()
    made = datetime.fromisoformat(job["created_at"])
    second = timedelta(seconds=1)

    def between(after: datetime, before: datetime) -> list[str]:
        return ids(http.get("/v1/jobs", params={"created_after": after, "created_before": before}))

    assert between(made - second, made + second) == [job["id"]]
    assert between(made + second, made + 2 * second) == []
    assert between(made - 2 * second, made - second) == []
    assert between(datetime(1960, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)) == [job["id"]]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=101", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("status=done", "/query/status"),
        ("created_after=yesterday", "/query/created_after"),
        ("created_before=2026-01-01T00:00:00", "/query/created_before"),
        ("cursor=x", "/query/cursor"),
        ("cursor=" + "a" * 32, "/query/cursor"),
        ("cursor=%00", "/query/cursor"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(http, query, pointer):
    answer = http.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_deleted_job_leaves_nothing_behind(http, submit, service, photo):
    before = service.stored()
    job = submit()
    service.run(job["id"], photo, [])
    assert http.delete(job["urls"]["self"]).status_code == 204
    assert http.get(job["urls"]["self"]).status_code == 404
    assert http.delete(job["urls"]["self"]).status_code == 404
    sums = ("stylize.", "_kombu", "unacked", "strata:owners", "strata:totals")  # the bell, and what is about all jobs
    left = [name for name in service.stored() if not name.startswith(sums)]
    assert left == before
    assert ids(http.get("/v1/jobs")) == []


def test_inputs_that_another_job_uses_stay_until_it_goes(http, submit, service):
    one, other = submit(), submit()
    folder = FolderArtifacts(service.artifacts)
    http.delete(one["urls"]["self"])
    assert folder.input(other["content"]["id"])
    assert http.get(f"/v1/images/{other['content']['id']}").status_code == 200
    http.delete(other["urls"]["self"])
    assert not [name for name in service.stored() if name.endswith(".png")]
    assert http.get(f"/v1/images/{other['content']['id']}").status_code == 404


def test_a_running_job_that_is_deleted_is_lost_to_its_run(http, submit, store):
    job = submit()
    store.claim(job["id"], 30)
    assert http.delete(job["urls"]["self"]).status_code == 204
    assert store.renew(job["id"], 1, None, 30) == "lost"
    assert not store.finish(job["id"], 1, "succeeded")
    assert http.get(job["urls"]["self"]).status_code == 404


def test_an_expired_job_is_gone_not_unknown(http, submit, service, store):
    job = submit()
    store.claim(job["id"], 30)
    store.finish(job["id"], 1, "succeeded")
    store.remove(job["id"], remember_seconds=60)
    for part in ("self", "events", "image"):
        answer = http.get(job["urls"][part])
        assert (answer.status_code, answer.json()["type"]) == (410, "/problems/job-expired")
    assert http.delete(job["urls"]["self"]).status_code == 410


def test_a_job_may_say_how_long_it_is_kept(http, photo, painting, store):
    files = {"content": photo, "style": painting}
    job = http.post("/v1/jobs", files=files, data={"expires_in": "90"}).json()
    store.claim(job["id"], 30)
    store.finish(job["id"], 1, "succeeded")
    done = http.get(job["urls"]["self"]).json()
    kept = datetime.fromisoformat(done["expires_at"]) - datetime.fromisoformat(done["completed_at"])
    assert abs(kept - timedelta(seconds=90)) < timedelta(milliseconds=2)


def test_a_look_is_held_until_the_status_changes(http, submit, store, looks):
    job = submit()
    before = looks()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(http.get, job["urls"]["self"], params={"wait": 60}, timeout=90)
        until(lambda: looks() > before)  # it has seen that the job is queued
        store.claim(job["id"], 30)
        assert held.result().json()["status"] == "processing"


def test_a_look_is_held_no_longer_than_asked(http, submit):
    job = submit()
    assert http.get(job["urls"]["self"], params={"wait": 1}).json()["status"] == "queued"


def test_a_look_at_a_finished_job_is_not_held(http, submit):
    job = submit()
    http.post(job["urls"]["cancel"])
    assert http.get(job["urls"]["self"], params={"wait": 60}, timeout=30).json()["status"] == "canceled"


def test_a_submission_that_prefers_to_wait_is_answered_with_the_end(http, photo, painting, store):
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.01):
            for job_id in store._redis.zrange("strata:queue", 0, -1):
                store.claim(job_id.decode(), 30)
                store.finish(job_id.decode(), 1, "succeeded")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        files = {"content": photo, "style": painting}
        answer = http.post("/v1/jobs", files=files, headers={"Prefer": "respond-async, wait=60"}, timeout=90)
    finally:
        stop.set()
        worker.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait"


def test_a_submission_that_waited_in_vain_is_accepted(http, photo, painting):
    files = {"content": photo, "style": painting}
    answer = http.post("/v1/jobs", files=files, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["location"] == answer.json()["urls"]["self"]


def test_the_stored_bytes_are_what_the_models_would_say(http, submit, store, service, photo):
    from api.answers import Job

    job = submit()
    for _ in range(2):
        shown = http.get(job["urls"]["self"])
        record = store.get(job["id"]).model_dump(mode="json")
        fields = record | {"queue_position": shown.json()["queue_position"], "urls": shown.json()["urls"]}
        assert shown.json() == {name: fields[name] for name in Job.model_fields}
        Job.model_validate_json(shown.content)
        if not shown.json()["completed_at"]:
            service.run(job["id"], photo, [])


def test_a_record_that_an_older_version_wrote_is_shown_with_what_it_lacks(http, submit, service):
    job = submit()
    service.redis.hdel(f"strata:job:{job['id']}", "warnings", "metrics", "metadata")
    shown = http.get(job["urls"]["self"]).json()
    assert (shown["warnings"], shown["metrics"], shown["metadata"]) == ([], None, {})
