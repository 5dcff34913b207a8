"""Repeating a submission with the same Idempotency-Key."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from core.jobs.store import JobStore


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
