"""Looking at jobs, cancelling them, and taking what they leave behind."""

import csv
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from api.app import create_app
from core.jobs.record import JobLosses, JobProgress
from core.jobs.store import JobStore
from tools.waiting import until

LOSSES = [
    {
        "iteration": i,
        "total": 0.5 / i,
        "content": 0.25,
        "style": 0.5,
        "tv": None,
        "style_by_layer": {"relu1_1": 0.5 / i},
    }
    for i in (1, 2)
]


@pytest.fixture
def finished(submit, service, photo):
    """A job that has its picture."""
    job = submit()
    service.run(job["id"], photo, LOSSES)
    return f"/v1/jobs/{job['id']}"


@pytest.fixture
def store(service):
    return JobStore(service.redis, keep_seconds=60)


def test_a_job_that_has_not_changed_is_304(http, submit, store):
    url = submit()["urls"]["self"]
    first = http.get(url)
    again = http.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert http.get(url, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'}).status_code == 304

    store.claim(first.json()["id"], 30)
    changed = http.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "processing")
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(("eta", "seconds"), [(None, 1), (0.2, 1), (3.4, 4), (3600.0, 10)])
def test_retry_after_follows_the_time_left(http, submit, store, eta, seconds):
    job = submit()
    store.claim(job["id"], 30)
    store.renew(job["id"], 1, JobProgress(iterations=300, iteration=1, eta_seconds=eta), 30)
    assert http.get(job["urls"]["self"]).headers["retry-after"] == str(seconds)


def test_a_finished_job_asks_nobody_to_come_back(http, finished):
    answer = http.get(finished)
    assert answer.json()["status"] == "succeeded"
    assert "retry-after" not in answer.headers


def test_progress_is_shown_as_it_was_reported(http, submit, store):
    job = submit()
    store.claim(job["id"], 30)
    losses = JobLosses(total=0.5, content=1.0, style=2.0, tv=None, style_by_layer={"relu1_1": 2.0})
    progress = JobProgress(iterations=300, iteration=120, fraction=0.4, eta_seconds=31.2, losses=losses)
    store.renew(job["id"], 1, progress, 30)
    assert http.get(job["urls"]["self"]).json()["progress"] == progress.model_dump()


def test_waiting_jobs_know_their_place(http, submit):
    urls = [submit()["urls"]["self"] for _ in range(3)]
    assert [http.get(url).json()["queue_position"] for url in urls] == [1, 2, 3]


@pytest.mark.parametrize("job_id", ["0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596", "x", "..%2F..%2Fetc", "%00", "a" * 3000])
@pytest.mark.parametrize(("method", "part"), [("GET", ""), ("GET", "/image"), ("GET", "/losses"), ("POST", "/cancel")])
def test_unknown_and_malformed_ids_are_not_found(http, job_id, method, part):
    answer = http.request(method, f"/v1/jobs/{job_id}{part}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_waiting_job_is_canceled_at_once_and_stays_so(http, submit):
    job = submit()
    answer = http.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"], answer.json()["queue_position"]) == (202, "canceled", None)
    again = http.post(job["urls"]["cancel"])
    assert (again.status_code, again.json()) == (200, answer.json())


def test_a_running_job_is_told_to_end(http, submit, store):
    job = submit()
    store.claim(job["id"], 30)
    answer = http.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")
    assert store.get(job["id"]).cancel_requested


def test_a_finished_job_cannot_be_canceled(http, finished):
    before = http.get(finished).json()
    answer = http.post(f"{finished}/cancel")
    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize("part", ["image", "preview", "losses"])
def test_what_is_not_there_yet_is_a_conflict_that_says_why(http, submit, part):
    answer = http.get(submit()["urls"][part])
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-result-yet")
    assert "queued" in answer.json()["detail"]


def test_the_picture_comes_as_it_was_stored(http, finished, photo):
    answer = http.get(f"{finished}/image")
    assert (answer.content, answer.headers["content-type"]) == (photo, "image/png")
    assert answer.headers["content-disposition"] == f'inline; filename="strata-{finished[9:]}.png"'
    assert answer.headers["cache-control"] == "private, no-cache"  # it may be deleted
    assert http.get(f"{finished}/image", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("?format=png", "image/webp", "PNG"),
        ("?format=jpeg", "*/*", "JPEG"),
        ("?format=webp", "*/*", "WEBP"),
        ("", "image/webp", "WEBP"),
        ("", "image/png;q=0, image/*", "JPEG"),
        ("", "text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8", "PNG"),
        ("", "application/pdf", "PNG"),
    ],
)
def test_the_picture_comes_in_the_format_asked_for(http, finished, query, accept, kind):
    answer = http.get(f"{finished}/image{query}", headers={"Accept": accept})
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == (kind, (96, 64))


def test_a_format_that_does_not_exist_is_refused_by_name(http, finished):
    answer = http.get(f"{finished}/image?format=tiff")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/query/format"


def test_the_preview_is_a_jpeg_that_is_looked_at_again(http, finished):
    answer = http.get(f"{finished}/preview")
    assert (answer.headers["content-type"], answer.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert "no-cache" in answer.headers["cache-control"]


def test_losses_come_as_json_and_as_a_table(http, finished):
    assert http.get(f"{finished}/losses").json() == LOSSES

    answer = http.get(f"{finished}/losses", headers={"Accept": "text/csv, application/json;q=0.5"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[1] == {
        "iteration": "2", "total": "0.25", "content": "0.25", "style": "0.5", "tv": "", "relu1_1": "0.25"
    }  # fmt: skip


def test_a_failed_job_says_why_it_has_no_picture(http, submit, store):
    job = submit()
    store.claim(job["id"], 30)
    store.finish(job["id"], 1, "failed", error={"type": "t", "title": "Out", "detail": "The memory ran out."})
    answer = http.get(job["urls"]["image"])
    assert answer.status_code == 409
    assert "The memory ran out." in answer.json()["detail"]


def test_submissions_that_wait_do_not_hold_up_a_look_at_a_job(serve, settings, photo, painting):
    app, files = create_app(settings), {"content": photo, "style": painting}
    with httpx.Client(base_url=serve(app), timeout=60) as http, ThreadPoolExecutor(60) as pool:
        url = http.post("/v1/jobs", files=files).headers["location"]
        free = threading.Event()
        parts = app.state.parts
        submit_now = parts.service.submit
        parts.service.submit = lambda sent: free.wait(60) and submit_now(sent)
        waiting = [pool.submit(httpx.post, f"{http.base_url}/v1/jobs", files=files, timeout=60) for _ in range(60)]
        until(lambda: len(parts.submitting.statistics().borrowers) == 8)
        assert http.get(url).status_code == 200
        assert not any(answer.done() for answer in waiting)
        free.set()
        assert {answer.result().status_code for answer in waiting} == {202}


def test_urls_follow_the_name_that_the_client_used(service, submit):
    job = submit()
    with httpx.Client(base_url=service.url.replace("127.0.0.1", "localhost")) as http:
        assert http.get(f"/v1/jobs/{job['id']}").json()["urls"]["self"].startswith("http://localhost:")
