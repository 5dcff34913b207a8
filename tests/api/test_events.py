"""Following a job: what is streamed, from where, and how it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from core.jobs.record import JobLosses, JobProgress
from core.jobs.store import JobStore
from tools.waiting import until

Submit = Callable[..., dict[str, Any]]
Said = tuple[str | None, str, Any]


@pytest.fixture
def store(service) -> JobStore:
    return JobStore(service.redis, keep_seconds=60)


def parsed(lines: Iterator[str]) -> Iterator[Said]:
    """(id, event, data) of each event; a comment is (None, "", its text)."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and not name:
            yield None, "", value.strip()
        elif line:
            fields[name] = value.strip()
        elif "event" in fields:
            yield fields.get("id"), fields["event"], json.loads(fields["data"])
            fields = {}


def followed(http: httpx.Client, job: dict[str, Any], **headers: str) -> list[Said]:
    """Everything that is said until the stream ends."""
    with http.stream("GET", job["urls"]["events"], headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(parsed(answer.iter_lines()))


def told(said: list[Said]) -> list[tuple[str, Any]]:
    return [(kind, data["status"] if kind == "status" else data["iteration"]) for _, kind, data in said]


def run(store: JobStore, job_id: str, iterations: int = 2) -> None:
    store.claim(job_id, 30)
    for at in range(1, iterations + 1):
        store.renew(job_id, 1, JobProgress(iterations=iterations, iteration=at), 30)
    store.announce_preview(job_id, 1, iterations)
    store.finish(job_id, 1, "succeeded")


WHOLE = [
    ("status", "queued"),
    ("status", "processing"),
    ("progress", 1),
    ("progress", 2),
    ("preview", 2),
    ("status", "succeeded"),
]


def test_a_finished_job_is_told_from_the_beginning_and_the_stream_ends(http, submit, store):
    job = submit()
    run(store, job["id"])
    said = followed(http, job)
    assert told(said) == WHOLE
    ids = [tuple(map(int, str(at).split("-"))) for at, _, _ in said]
    assert ids == sorted(set(ids))


def test_what_happens_meanwhile_is_told_as_it_happens(http, submit, store):
    job = submit()
    with http.stream("GET", job["urls"]["events"]) as answer:
        said = parsed(answer.iter_lines())
        assert told([next(said)]) == [("status", "queued")]
        store.claim(job["id"], 30)
        assert told([next(said)]) == [("status", "processing")]
        store.renew(job["id"], 1, JobProgress(iterations=9, iteration=7), 30)
        assert told([next(said)]) == [("progress", 7)]
        store.finish(job["id"], 1, "failed")
        assert told(list(said)) == [("status", "failed")]


def test_a_stream_goes_on_after_the_last_event_that_was_seen(http, submit, store):
    job = submit()
    run(store, job["id"])
    said = followed(http, job)
    for seen in range(len(said) - 1):
        assert followed(http, job, **{"Last-Event-ID": str(said[seen][0])}) == said[seen + 1 :]


def test_who_has_seen_everything_is_told_not_to_come_back(http, submit, store):
    job = submit()
    run(store, job["id"])
    last = followed(http, job)[-1][0]
    assert http.get(job["urls"]["events"], headers={"Last-Event-ID": str(last)}).status_code == 204


def test_a_last_event_id_that_is_none_of_ours_is_as_none(http, submit, store):
    job = submit()
    run(store, job["id"])
    assert told(followed(http, job, **{"Last-Event-ID": "x' 1"})) == WHOLE


@pytest.mark.parametrize("far", ["99999999999999999999-0", "0-99999999999999999999", f"{2**64 - 1}-{2**64 - 1}"])
def test_a_last_event_id_beyond_all_that_redis_counts_is_as_none(http, submit, store, far):
    job = submit()
    store.request_cancel(job["id"])
    answer = http.get(job["urls"]["events"], headers={"Last-Event-ID": far})
    assert (answer.status_code, answer.text.count("event: status")) == (200, 2)


def test_a_stream_whose_beginning_is_gone_begins_with_the_status(http, submit, store, service):
    job = submit()
    store.claim(job["id"], 30)
    store.renew(job["id"], 1, JobProgress(iterations=9, iteration=7), 30)
    service.redis.xtrim(f"strata:events:{job['id']}", maxlen=1, approximate=False)
    with http.stream("GET", job["urls"]["events"]) as answer:
        said = parsed(answer.iter_lines())
        assert told([next(said), next(said)]) == [("status", "processing"), ("progress", 7)]


def test_a_finished_job_without_events_tells_its_end(http, submit, store, service):
    job = submit()
    run(store, job["id"])
    service.redis.delete(f"strata:events:{job['id']}")
    assert told(followed(http, job)) == [("status", "succeeded")]


def test_the_stream_of_a_job_that_is_deleted_ends(http, submit, store):
    job = submit()
    with http.stream("GET", job["urls"]["events"]) as answer:
        said = parsed(answer.iter_lines())
        next(said)
        assert http.delete(job["urls"]["self"]).status_code == 204
        assert told(list(said)) == [("status", "canceled")]


def test_an_unknown_job_has_no_events(http):
    assert http.get("/v1/jobs/0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596/events").status_code == 404


def test_a_silent_stream_says_that_it_lives(http, submit, monkeypatch):
    monkeypatch.setattr("api.routes.events.PING_SECONDS", 0.05)
    with http.stream("GET", submit()["urls"]["events"]) as answer:
        assert (None, "", "ping") in islice(parsed(answer.iter_lines()), 2)


def test_five_hundred_streams_on_one_process_hear_everything(service, submit, store):
    jobs = [submit() for _ in range(5)]
    server = urlsplit(service.url)

    async def followed_by_all() -> list[list[str]]:
        opened = asyncio.Semaphore(0)

        async def follow(job_id: str) -> list[str]:
            reader, writer = await asyncio.open_connection(server.hostname, server.port)
            writer.write(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            said = []
            while line := await reader.readline():
                if line.startswith(b"data: "):
                    said.append(line.decode().strip())
                    if len(said) == 1:
                        opened.release()
                    if b"succeeded" in line:
                        break
            writer.close()
            return said

        following = [asyncio.create_task(follow(jobs[at % 5]["id"])) for at in range(500)]
        for _ in following:
            await opened.acquire()
        for job in jobs:
            await asyncio.to_thread(run, store, job["id"])
        return await asyncio.gather(*following)

    heard = asyncio.run(followed_by_all())
    assert [len(said) for said in heard] == [len(WHOLE)] * 500


def test_clients_that_vanish_leave_nothing_behind(service, http, submit, serve, settings):
    from api.app import create_app

    app = create_app(settings)
    url, job = serve(app), submit()
    for _ in range(20):
        with httpx.stream("GET", f"{url}/v1/jobs/{job['id']}/events") as answer:
            next(answer.iter_lines())
    events = app.state.parts.events
    until(lambda: events._watched == {})


def test_a_client_that_takes_nothing_holds_up_nobody_and_is_let_go(serve, submit, store, settings, monkeypatch, caplog):
    from api.app import create_app

    monkeypatch.setattr("api.routes.events._STUCK_SECONDS", 3.0)
    app, job = create_app(settings), submit()
    url = urlsplit(serve(app))
    much = JobLosses(total=1, content=1, style=1, tv=1, style_by_layer={f"layer{at}": 1.0 for at in range(4000)})
    path = f"/v1/jobs/{job['id']}/events"
    with socket.create_connection((url.hostname, url.port)) as stuck:
        stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert stuck.recv(12) == b"HTTP/1.1 200"
        with httpx.stream("GET", f"{url.geturl()}{path}", timeout=60) as answer:
            said = parsed(answer.iter_lines())
            next(said)
            store.claim(job["id"], 30)
            for at in range(1, 201):  # more than the buffers between a server and its client hold
                store.renew(job["id"], 1, JobProgress(iterations=200, iteration=at, losses=much), 30)
            store.finish(job["id"], 1, "succeeded")
            assert told(list(said))[-1] == ("status", "succeeded")
        events = app.state.parts.events
        until(lambda: events._watched == {})
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_server_that_is_told_to_end_ends_its_streams_and_held_answers_at_once(redis_server, submit, settings, looks):
    job = submit()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, environment = listener.getsockname()[1], {**os.environ, "STRATA_REDIS_URL": redis_server}
        command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--fd", str(listener.fileno())]
        environment["STRATA_ARTIFACTS"] = settings.artifacts
        server = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}/v1/jobs/{job['id']}"
            held: list[int] = []
            with httpx.stream("GET", f"{url}/events", timeout=60) as answer:
                lines = answer.iter_lines()
                next(lines)
                waiter = threading.Thread(
                    target=lambda: held.append(httpx.get(url, params={"wait": 60}, timeout=90).status_code)
                )
                before = looks()
                waiter.start()
                until(lambda: looks() > before)  # the held request looks at its job
                server.send_signal(signal.SIGTERM)
                rest = list(lines)
            waiter.join(60)
        finally:
            server.terminate()
            assert server.wait(60) in (0, -signal.SIGTERM)
    assert "retry: 1000" in rest
    assert held == [200]


def test_a_stream_ends_politely_when_the_store_is_lost(serve, start_redis, settings, photo, painting, monkeypatch):
    from api.app import create_app

    url = start_redis()
    client = Redis.from_url(url)
    base = serve(create_app(settings.model_copy(update={"redis_url": url})))
    job = httpx.post(f"{base}/v1/jobs", files={"content": photo, "style": painting}).json()
    with httpx.stream("GET", job["urls"]["events"], timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        client.shutdown(nosave=True)
        assert "retry: 1000" in list(lines)
