"""Callbacks over HTTP: asked for with the job, listed, sent again, signed with a secret that can be changed."""

import json
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError

from api.answers import Job
from api.app import create_app
from core.jobs.connections import connect
from core.jobs.egress import Egress
from core.keys import ApiKey, hash_of
from worker.courier import Courier


@pytest.fixture
def open_http(serve, settings):
    """A client of a service that may call back to this machine, and fetch pictures from it."""
    url = serve(create_app(settings.model_copy(update={"egress_allow_loopback": True})))
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def deliver(settings):
    """`deliver()`: what a courier does when it is due."""

    def delivered() -> None:
        courier = Courier(connect(settings.redis_url), Egress(allow_loopback=True))
        courier.round()
        courier.close()

    return delivered


def submitted(http: httpx.Client, photo: bytes, painting: bytes, **parts: Any) -> httpx.Response:
    files = {"content": ("photo.png", photo), "style": ("painting.png", painting)}
    return http.post("/v1/jobs", files=files, data={name: json.dumps(value) for name, value in parts.items()})


def canceled(http: httpx.Client, *args: Any, **parts: Any) -> dict[str, Any]:
    answer = submitted(http, *args, **parts)
    assert answer.status_code == 202, answer.text
    return http.post(f"/v1/jobs/{answer.json()['id']}/cancel").json()


def test_a_callback_carries_the_very_job_that_http_shows(open_http, photo, painting, receiver, deliver):
    job = canceled(open_http, photo, painting, webhook={"url": f"{receiver.url}/ok"}, metadata={"album": "ü"})
    deliver()

    (request,) = receiver.received
    secret = open_http.get("/v1/webhooks/secret").json()["secret"]
    body = Oracle(secret).verify(request.body, request.headers)
    assert body["data"] == open_http.get(f"/v1/jobs/{job['id']}").json()
    assert body["data"].keys() == set(Job.model_fields)
    assert (body["type"], body["timestamp"]) == ("job.canceled", job["completed_at"])


def test_json_takes_a_webhook_too_and_only_the_events_it_names(open_http, receiver, deliver):
    example = open_http.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    sent = example["application/json"]["example"]
    webhook = {"url": f"{receiver.url}/ok", "events": ["job.succeeded"]}
    job = open_http.post("/v1/jobs", json=sent | {"webhook": webhook}).json()
    open_http.post(f"/v1/jobs/{job['id']}/cancel")
    deliver()

    assert open_http.get(f"/v1/jobs/{job['id']}/deliveries").json() == {"items": []}
    assert receiver.received == []


def test_deliveries_are_listed_with_every_attempt_and_sent_again_by_hand(open_http, photo, painting, receiver, deliver):
    job = canceled(open_http, photo, painting, webhook={"url": f"{receiver.url}/gone"})
    path = f"/v1/jobs/{job['id']}/deliveries"
    (waiting,) = open_http.get(path).json()["items"]
    deliver()
    (failed,) = open_http.get(path).json()["items"]
    receiver.behaviours["/gone"] = receiver.behaviours["/ok"]
    again = open_http.post(f"{path}/{failed['id']}/redeliver")
    deliver()
    (done,) = open_http.get(path).json()["items"]

    assert (waiting["status"], waiting["attempts"]) == ("pending", [])
    assert waiting["next_attempt_at"] is not None
    assert (failed["status"], [a["status_code"] for a in failed["attempts"]]) == ("failed", [410])
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    assert (done["status"], [a["status_code"] for a in done["attempts"]]) == ("delivered", [410, 200])
    assert len({request.headers["webhook-id"] for request in receiver.received} | {done["id"]}) == 1


def test_a_job_without_deliveries_and_one_that_is_not(http, submit):
    job = submit()

    assert http.get(f"/v1/jobs/{job['id']}/deliveries").json() == {"items": []}
    nothing = http.post(f"/v1/jobs/{job['id']}/deliveries/msg_1/redeliver")
    assert (nothing.status_code, nothing.json()["type"]) == (404, "/problems/delivery-not-found")
    for answer in (http.get("/v1/jobs/nope/deliveries"), http.post("/v1/jobs/nope/deliveries/msg_1/redeliver")):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found")


def test_the_secret_stays_until_it_is_changed(http):
    first, second = (http.get("/v1/webhooks/secret").json() for _ in range(2))
    changed = http.post("/v1/webhooks/secret/rotate").json()

    assert first == second
    assert changed["secret"] != first["secret"]
    assert changed["previous_valid_until"].endswith("Z")
    assert http.get("/v1/webhooks/secret").json() == {"secret": changed["secret"]}


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "/webhook/url"),
        ({"url": "http://hooks.example/"}, "/webhook/url"),
        ({"url": "https://169.254.169.254/"}, "/webhook/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "/webhook/url"),
        ({"url": "https://8.8.8.8/", "events": ["job.born"]}, "/webhook/events/0"),
        ({"url": "https://8.8.8.8/", "secret": "x"}, "/webhook/secret"),
        (["https://8.8.8.8/"], "/webhook"),
        ("https://8.8.8.8/", "/webhook"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_and_nothing_is_stored(http, service, photo, painting, webhook, pointer):
    sent = http.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    answers = [
        submitted(http, photo, painting, webhook=webhook),
        http.post("/v1/jobs", json=sent["application/json"]["example"] | {"webhook": webhook}),
    ]

    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert service.redis.keys("strata:job*") == []


def test_pictures_can_be_fetched_by_their_urls(open_http, photo, painting, receiver):
    def serve(body: bytes) -> Any:
        def answer(handler: Any, over: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return answer

    receiver.behaviours |= {"/photo": serve(photo), "/painting": serve(painting)}
    urls = {"content": f"{receiver.url}/photo", "style": f"{receiver.url}/painting"}

    by_json = open_http.post("/v1/jobs", json={"content": {"url": urls["content"]}, "style": [{"url": urls["style"]}]})
    by_form = open_http.post("/v1/jobs", files={name: (None, url) for name, url in urls.items()})
    plain = submitted(open_http, photo, painting)

    seen = [[answer.json()["content"], answer.json()["styles"]] for answer in (by_json, by_form, plain)]
    assert seen[0] == seen[1] == seen[2]
    assert sorted(request.path for request in receiver.received) == ["/painting"] * 2 + ["/photo"] * 2


@pytest.mark.parametrize("path", ["/error", "/redirect", "/away", "/reset", "/garbage"])
def test_a_url_without_a_picture_is_named(open_http, service, receiver, path):
    sent = {"content": {"url": receiver.url + path}, "style": [{"url": receiver.url + path}]}

    answer = open_http.post("/v1/jobs", json=sent)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/content", "/style/0"]
    assert service.redis.keys("strata:*") == []


def test_a_picture_that_is_too_large_is_not_read_to_its_end(open_http, receiver):
    sent = {"content": {"url": f"{receiver.url}/endless"}, "style": [{"url": f"{receiver.url}/endless"}]}

    answer = open_http.post("/v1/jobs", json=sent)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/picture-too-large")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://127.0.0.1/", "https://2130706433/", "https://[fd00::1]/"]
)
def test_pictures_are_not_fetched_from_addresses_that_are_not_public(http, url):
    answer = http.post("/v1/jobs", json={"content": {"url": url}, "style": [{"url": url}]})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/content", "/style/0"]


def test_nobody_sees_or_signs_anothers_callbacks(serve, settings, photo, painting, receiver, deliver):
    keys = {name: ApiKey(hash=hash_of(f"key-of-{name}")) for name in ("ann", "bob")}
    url = serve(create_app(settings.model_copy(update={"egress_allow_loopback": True, "keys": keys})))
    with ExitStack() as clients:
        ann, bob = (
            clients.enter_context(
                httpx.Client(base_url=url, headers={"Authorization": f"Bearer key-of-{name}"}, timeout=30)
            )
            for name in keys
        )
        job = canceled(ann, photo, painting, webhook={"url": f"{receiver.url}/ok"})
        deliver()
        path = f"/v1/jobs/{job['id']}/deliveries"
        (mine,) = ann.get(path).json()["items"]
        secrets = [client.get("/v1/webhooks/secret").json()["secret"] for client in (ann, bob)]

        assert bob.get(path).status_code == 404
        assert bob.post(f"{path}/{mine['id']}/redeliver").status_code == 404
        assert httpx.get(f"{url}/v1/webhooks/secret").status_code == 401

    (request,) = receiver.received
    Oracle(secrets[0]).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Oracle(secrets[1]).verify(request.body, request.headers)
