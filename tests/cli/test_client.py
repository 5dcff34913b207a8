"""The client against a real API."""

import http.server
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from cli.client import AnswerLost, ApiProblem, Client, Unreachable
from cli.models import Job

Serving = Callable[..., AbstractContextManager[str]]

NOBODY = "http://127.0.0.1:9"


def test_a_submitted_job_comes_back_queued_with_its_options_in_full(
    client: Client, photo: bytes, painting: bytes
) -> None:
    job = client.submit(photo, painting, profile="abstract", iterations=7, metadata={"by": "test"})
    assert (job.status, job.done, job.queue_position) == ("queued", False, 1)
    assert job.options["layer_weights"]["relu5_1"] == 256 * job.options["layer_weights"]["relu1_1"]
    assert job.progress.iterations == 7
    assert job.metadata == {"by": "test"}
    assert client.get(job) == client.get(job.id)


def test_pictures_are_paths_or_bytes_and_styles_keep_their_order(
    client: Client, photo: bytes, painting: bytes, tmp_path: Path
) -> None:
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    job = client.submit(tmp_path / "photo.png", [painting, str(tmp_path / "photo.png")])
    assert [style.id for style in job.styles] == [client.submit(photo, painting).styles[0].id, job.content.id]


def test_a_picture_is_uploaded_once_and_named_in_many_jobs(client: Client, photo: bytes, painting: bytes) -> None:
    content, style = client.upload(photo), client.upload(painting)
    assert client.upload(photo) == content
    jobs = [client.submit(content, [style], seed=seed) for seed in (1, 2)]
    assert {(job.content.id, job.styles[0].id) for job in jobs} == {(content, style)}


def test_a_refusal_names_every_field_that_is_wrong(client: Client, photo: bytes) -> None:
    with pytest.raises(ApiProblem) as refusal:
        client.submit(photo, b"not a picture", size=10, unheard_of=1)
    pointers = {error.pointer for error in refusal.value.problem.errors}
    assert {"/options/size", "/options/unheard_of", "/style/0"} <= pointers
    assert all(pointer in str(refusal.value) for pointer in pointers)
    assert 400 <= refusal.value.status < 500


def test_an_unknown_job_is_a_problem_with_its_status(client: Client) -> None:
    with pytest.raises(ApiProblem) as refusal:
        client.get("nobody")
    assert refusal.value.status == 404


def test_there_is_no_picture_of_a_queued_job(client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    for look in (client.image, client.preview, client.losses):
        with pytest.raises(ApiProblem) as refusal:
            look(job)
        assert refusal.value.status == 409


def test_waiting_shows_every_answer_and_ends_with_the_job(client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    seen: list[Job] = []

    def watch(current: Job) -> None:
        seen.append(current)
        if len(seen) == 2:
            client.cancel(job)

    ended = client.wait(job, watch, poll=0.01)
    assert ended.status == "canceled"
    assert [current.status for current in seen] == ["queued", "queued", "canceled"]
    assert client.cancel(job).status == "canceled"


def test_waiting_gives_up_after_its_timeout(client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    with pytest.raises(TimeoutError, match=job.id):
        client.wait(job, poll=0.01, timeout=0.05)


def test_waiting_outlives_a_restart_of_the_server(
    serving: Callable[..., AbstractContextManager[str]], photo: bytes, painting: bytes
) -> None:
    with serving() as url, Client(url) as client:
        job = client.submit(photo, painting)
    over = threading.Event()

    def come_back() -> None:
        time.sleep(0.3)
        with serving(int(url.rpartition(":")[2])):
            over.wait(30)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        with Client(url) as client:
            ended = client.wait(job, lambda current: client.cancel(current) and None, poll=0.05, timeout=30)
    finally:
        over.set()
        thread.join()
    assert ended.status == "canceled"


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with Client(NOBODY) as client, pytest.raises(Unreachable, match=NOBODY):
        client.get("x")


def test_a_proxy_that_speaks_html_is_told_by_its_status() -> None:
    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502, "Bad Gateway")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client, pytest.raises(ApiProblem) as refusal:
            client.get("x")
        server.shutdown()
        thread.join()
    assert (refusal.value.status, str(refusal.value)) == (502, "Bad Gateway")


def test_what_happens_to_a_job_can_be_iterated_to_its_end(client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    happening = client.events(job)
    first = next(happening)
    assert (first.kind, first.data["status"]) == ("status", "queued")
    client.cancel(job)
    rest = list(happening)
    assert [(event.kind, event.data["status"]) for event in rest] == [("status", "canceled")]
    assert [event.data for event in client.events(job)] == [first.data, rest[0].data]


IN_FLIGHT = b'{"type": "/problems/idempotency-key-in-flight", "status": 409}'


class Lossy:
    """A proxy that passes every request on, loses the answers to the first few, and then says that it is busy."""

    def __init__(self, url: str, losses: int, busy: int = 0) -> None:
        self.passed: list[str | None] = []
        lossy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {name: self.headers[name] for name in ("Content-Type", "Idempotency-Key")}
                answer = httpx.post(url + self.path, content=body, headers=kept, timeout=60)
                lossy.passed.append(kept["Idempotency-Key"])
                if len(lossy.passed) <= losses:
                    self.close_connection = True
                    return
                still = len(lossy.passed) <= losses + busy
                self.send_response(409 if still else answer.status_code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(IN_FLIGHT if still else answer.content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Lossy":
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_an_answer_that_is_lost_is_asked_for_again_and_makes_no_second_job(
    client: Client, url: str, photo: bytes, painting: bytes
) -> None:
    with Lossy(url, losses=1, busy=1) as proxy, Client(proxy.url) as far:
        job = far.submit(photo, painting)
        mine = far.submit(photo, painting, idempotency_key="mine")
        assert far.submit(photo, painting, idempotency_key="mine") == mine
    assert [found.id for found in client.jobs()] == [mine.id, job.id]
    first, *others = proxy.passed
    assert others == [first, first, "mine", "mine"]


def test_an_answer_that_is_always_lost_is_given_up(
    url: str, photo: bytes, painting: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.client.time", SimpleNamespace(monotonic=count(0, 20).__next__, sleep=lambda _: None))
    with Lossy(url, losses=99) as proxy, Client(proxy.url) as far, pytest.raises(AnswerLost):
        far.submit(photo, painting)
    assert (len(proxy.passed), len(set(proxy.passed))) == (4, 1)  # a minute's worth


def test_a_server_that_was_never_reached_is_not_asked_again(photo: bytes, painting: bytes) -> None:
    with Client(NOBODY) as client, pytest.raises(Unreachable, match="does not answer"):
        client.submit(photo, painting)


def test_jobs_are_listed_newest_first_over_all_pages_and_can_be_deleted(
    client: Client, photo: bytes, painting: bytes
) -> None:
    uploaded = client.upload(photo)
    ids = [client.submit(uploaded, uploaded, seed=seed).id for seed in range(25)]
    assert [job.id for job in client.jobs()] == ids[::-1]
    client.cancel(ids[3])
    assert [job.id for job in client.jobs("canceled")] == [ids[3]]
    client.delete(ids[3])
    assert [job.id for job in client.jobs("canceled")] == []


def test_everything_that_can_be_asked_for_is_passed_on(serving: Serving, photo: bytes, painting: bytes) -> None:
    with serving(egress_allow_loopback=True) as url, Client(url) as client:
        job = client.submit(photo, painting, expires_in=60, webhook={"url": "http://127.0.0.1:9/"}, priority="low")
        ended = client.cancel(job)
        deliveries = httpx.get(f"{url}/v1/jobs/{job.id}/deliveries").json()["items"]
    assert ended.expires_at is not None
    assert ended.completed_at is not None
    assert (job.priority, round((ended.expires_at - ended.completed_at).total_seconds())) == ("low", 60)
    assert [delivery["event"] for delivery in deliveries] == ["job.canceled"]
