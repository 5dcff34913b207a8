"""Connections that are held, and requests that are not what they should be."""

from contextlib import ExitStack
from typing import Final
from uuid import uuid4

import httpx

from tools.attack.target import Broken, Target, expect, picture, until_closed

_HEADS: Final = 100
_HEAD_SECONDS: Final = 30.0
_MOST_STREAMS: Final = 600
_LONG: Final = '{"size": 64, "iterations": 10000, "timeout_seconds": 60}'
_FAR: Final = "99999999999999999999-0"


def half_heads(target: Target) -> str:
    """Connections on which the head of a request never ends."""
    with ExitStack() as held:
        connections = [held.enter_context(target.connect()) for _ in range(_HEADS)]
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        expect(target.http.get("/healthz").status_code == 200, "nobody else was answered meanwhile")
        for connection in connections:
            until_closed(connection, _HEAD_SECONDS)
    return f"{_HEADS} closed"


def streams(target: Target) -> str:
    """Events of one job, followed by ever more clients."""
    job = target.job(canceled=False, options=_LONG).json()
    with ExitStack() as held:
        for number in range(_MOST_STREAMS):
            connection = held.enter_context(target.connect())
            connection.sendall(target.head("GET", f"/v1/jobs/{job['id']}/events"))
            status = connection.recv(12).rpartition(b" ")[2].decode()
            if status in ("429", "503"):
                expect(target.http.get("/healthz").status_code == 200, "nobody else was answered meanwhile")
                return f"{number} held, then {status}"
            expect(status == "200", f"stream {number}: {status or 'no answer'}")
    raise Broken(f"{_MOST_STREAMS} were held and none refused")


def foreign_page(target: Target) -> str:
    """A page of another origin, or under a name of its own, in the browser of whoever runs the service."""
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        answer = httpx.get(f"http://{target.host}/v1/webhooks/secret", headers=headers, trust_env=False)
        expect(answer.status_code in (401, 403, 421), f"{headers}: {answer.status_code}")
    return "refused"


def unknown_method(target: Target) -> str:
    """A method that HTTP does not know."""
    with target.connect() as connection:
        connection.sendall(b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = until_closed(connection, _HEAD_SECONDS)
    expect(b"application/problem+json" in answer, "it is no problem document")
    return "400, a problem"


def odd_urls(target: Target) -> str:
    """Names that resolvers choke on."""
    for host in ("a..b", "a" * 64 + ".b", "f" * 64 + ".b"):
        answer = target.job(webhook=f'{{"url": "https://{host}/"}}')
        expect(answer.status_code == 422, f"{host[:8]}: {answer.status_code}")
    return "422"


def far_event(target: Target) -> str:
    """An event beyond all that Redis counts."""
    job = target.job().json()
    answer = target.http.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": _FAR})
    expect(answer.status_code == 200, str(answer.status_code))
    return "the events from the first on"


def conditional_post(target: Target) -> str:
    """A condition that has no meaning for a POST."""
    job = target.job().json()
    answer = target.http.post(f"/v1/jobs/{job['id']}/cancel", headers={"If-None-Match": "*"})
    expect(answer.status_code in (200, 202), str(answer.status_code))
    expect(answer.content, "an empty answer")
    return str(answer.status_code)


def deleted_job(target: Target) -> str:
    """A job that is deleted, and asked for again by its Idempotency-Key."""
    headers = {"Idempotency-Key": uuid4().hex}
    files = {"content": picture(), "style": picture()}
    first = target.http.post("/v1/jobs", files=files, headers=headers)
    expect(first.status_code == 202, str(first.status_code))
    expect(target.http.delete(first.headers["location"]).status_code == 204, "it was not deleted")
    again = target.http.post("/v1/jobs", files=files, headers=headers)
    if again.status_code == 202:
        raise Broken("it is shown")
    return str(again.status_code)


def kept_pictures(target: Target) -> str:
    """A picture that a browser would keep when it is deleted."""
    image = target.image(picture()).json()
    answer = target.http.get(f"/v1/images/{image['id']}/file")
    expect("immutable" not in answer.headers["cache-control"], "kept for a year")
    expect(answer.headers.get("x-content-type-options") == "nosniff", "its type may be guessed")
    return answer.headers["cache-control"]
