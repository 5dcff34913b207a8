"""Repeating a submission with the same Idempotency-Key."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from core.jobs.connections import connect_async
from core.jobs.idempotency import Answer as KeptAnswer
from core.jobs.idempotency import Idempotency, Taken
from core.jobs.store import JobStore

MORTAL = """
import os, signal, sys, uvicorn
from api.app import create_app
import {module}

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

{module}.{where} = die
uvicorn.run(create_app(), fd=int(sys.argv[1]), log_level="warning")
"""
"""An API that dies where it would do what it never comes to."""


@pytest.fixture
def send(http, photo, painting):
    def sent(key: str | None, options: str = "{}", **more: object) -> httpx.Response:
        files = {"content": ("p.png", photo), "style": ("s.png", painting)}
        headers = {} if key is None else {"Idempotency-Key": key}
        return http.post("/v1/jobs", files=files, data={"options": options, **more}, headers=headers)

    return sent


def count(http: httpx.Client) -> int:
    return len(http.get("/v1/jobs", params={"limit": 100}).json()["items"])


def test_the_same_again_gets_the_first_answer_and_makes_no_second_job(http, service, send):
    first = send("k1", '{"size": 128, "iterations": 5}', metadata='{"a": 1, "b": 2}')
    JobStore(service.redis, keep_seconds=60).claim(first.json()["id"], 30)
    again = send("k1", '{"iterations": 5, "size": 128}', metadata='{"b": 2, "a": 1}')
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert count(http) == 1
    assert 86_000 < service.redis.ttl("strata:idempotency::k1") <= 86_400


def test_fifty_at_once_make_one_job(http, send):
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: send("k50"), range(50)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in accepted) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "/problems/idempotency-key-in-flight"
            assert int(answer.headers["retry-after"]) >= 1
    assert count(http) == 1
    assert send("k50").headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "change", [{"options": '{"iterations": 6}'}, {"priority": "low"}, {"metadata": '{"x": 1}'}, {"expires_in": "60"}]
)
def test_another_request_with_the_same_key_is_refused(http, send, change):
    send("k2")
    answer = send("k2", **change)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert count(http) == 1


def test_of_a_job_that_was_deleted_meanwhile_nothing_is_shown(http, send):
    job = send("k1").json()
    http.delete(job["urls"]["self"])
    again = send("k1")
    assert (again.status_code, again.json()["type"]) == (404, "/problems/job-not-found")
    assert count(http) == 0


def test_another_picture_is_another_request(http, send, photo):
    send("k3")
    files = {"content": photo, "style": photo}
    answer = http.post("/v1/jobs", files=files, headers={"Idempotency-Key": "k3"})
    assert answer.json()["type"] == "/problems/idempotency-key-reused"


def test_a_request_that_was_refused_leaves_its_key_free(http, send):
    assert send("k4", '{"iterations": 0}').status_code == 422
    answer = send("k4", '{"iterations": 1}')
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (202, False)


def test_without_a_key_each_submission_is_a_job(http, send):
    assert send(None).json()["id"] != send(None).json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "with space"])
def test_a_key_that_is_none_is_named(http, send, key):
    answer = send(key)
    assert answer.status_code == 422
    assert json.dumps(answer.json()["errors"]).count("/header/idempotency-key") == 1


@pytest.fixture
def dying_at(service):
    """`dying_at("module", "Class.method")`: an API on the same store that kills itself there, as by kill -9."""
    ended = []

    def started(module: str, where: str) -> httpx.Client:
        code = MORTAL.format(module=module, where=where)
        environment = {"STRATA_REDIS_URL": service.settings.redis_url, "STRATA_ARTIFACTS": str(service.artifacts)}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(listener.fileno())],
                env={**os.environ, **environment},
                pass_fds=[listener.fileno()],
            )
            client = httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60)
        ended.append((client, process))
        return client

    yield started
    for client, process in ended:
        client.close()
        assert process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("module", "where", "made"),
    [
        ("core.jobs.service", "JobService.submit", 0),
        ("core.jobs.store", "JobStore.create", 0),
        ("core.jobs.service", "ring", 1),
        ("core.jobs.idempotency", "Idempotency.settle", 1),
    ],
)
def test_a_process_that_dies_while_it_answers_leaves_one_job_whoever_asks_again(
    http, service, send, photo, painting, dying_at, module, where, made
):
    files = {"content": ("p.png", photo), "style": ("s.png", painting)}
    headers = {"Idempotency-Key": "k9"}
    with pytest.raises(httpx.TransportError):
        dying_at(module, where).post("/v1/jobs", files=files, data={"options": "{}"}, headers=headers)
    assert count(http) == made

    held = send("k9")  # nobody knows yet that it died
    assert (held.status_code, held.json()["type"]) == (409, "/problems/idempotency-key-in-flight")
    assert 0 < service.redis.pttl("strata:answering::k9") <= 15_000
    service.redis.delete("strata:answering::k9")  # 15 seconds later

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send("k9"), range(20)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    first, *others = [answer for answer in answers if answer.status_code == 202]
    assert {answer.json()["id"] for answer in others} <= {first.json()["id"]}
    assert sum("idempotency-replayed" not in answer.headers for answer in (first, *others)) == 1 - made
    assert count(http) == 1
    assert send("k9", '{"iterations": 6}').json()["type"] == "/problems/idempotency-key-reused"
    job = JobStore(service.redis, keep_seconds=60).claim(first.json()["id"], 30)
    assert job is not None
    for picture in job.inputs:
        assert http.get(f"/v1/images/{picture.id}/file").status_code == 200


def test_a_request_that_is_answered_slowly_stays_the_only_one(http, service, send, photo, painting, monkeypatch):
    monkeypatch.setattr("core.jobs.idempotency.LEASE_SECONDS", 0.3)
    monkeypatch.setattr("core.jobs.idempotency._RENEW_SECONDS", 0.05)
    files = {"content": ("p.png", photo), "style": ("s.png", painting)}
    headers = {"Idempotency-Key": "k10", "Prefer": "wait=2"}
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(http.post, "/v1/jobs", files=files, data={"options": "{}"}, headers=headers)
        while not service.redis.exists("strata:answering::k10"):
            assert not slow.done()
        while not slow.done():
            assert send("k10").status_code in (202, 409)
        seen = slow.result()
    assert (seen.status_code, "idempotency-replayed" in seen.headers) == (202, False)
    assert send("k10").content == seen.content
    assert count(http) == 1


def test_a_process_that_sleeps_through_its_lease_takes_nothing_from_whoever_answered_meanwhile(service):
    owner, key, bridge = None, "k11", Idempotency(connect_async(service.settings.redis_url))

    async def slept() -> None:
        asleep = await bridge.begin(owner, key, "the same")
        assert isinstance(asleep, Taken)
        service.redis.delete("strata:answering::k11")  # 15 seconds later
        awake = await bridge.begin(owner, key, "the same")
        assert awake == Taken(asleep.job_id, True, awake.holder)
        await bridge.settle(owner, key, KeptAnswer(asleep.job_id, 202, {}, b"{}"))
        async with bridge.held(owner, key, asleep):
            await bridge.abandon(owner, key, asleep)
        assert isinstance(await bridge.begin(owner, key, "the same"), KeptAnswer)
        assert service.redis.exists("strata:answering::k11")  # of whom it was taken by
        await bridge._redis.aclose()

    asyncio.run(slept())


def test_a_call_that_the_client_library_repeats_is_one(service, monkeypatch):
    bridge = Idempotency(connect_async(service.settings.redis_url))
    monkeypatch.setattr("core.jobs.idempotency.new_job_id", lambda now: "the-same-proposal")

    async def repeated() -> list[Any]:
        found = [await bridge.begin(None, "k12", "f") for _ in range(2)]
        await bridge._redis.aclose()
        return found

    first, again = asyncio.run(repeated())
    assert first == Taken("the-same-proposal", False, "the-same-proposal")
    assert again == Taken("the-same-proposal", True, "the-same-proposal")
