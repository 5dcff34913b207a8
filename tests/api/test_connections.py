"""Connections that cost without ever asking for anything, and more of them than there may be."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.server import SPARE, BoundedConnection
from core.keys import hash_of
from core.settings import Settings
from tools.waiting import PATIENCE, until

MOST = 4
LARGE = 64_000_000  # more than two sockets and their buffers hold


async def answering(scope, receive, send):
    """An application whose `/large` is large."""
    if scope["type"] != "http":
        return
    body = bytes(LARGE) if scope["path"] == "/large" else b"yes"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Hasty(BoundedConnection):
    """The same with less patience."""

    head_seconds = 0.3
    stuck_seconds = 0.3


@contextmanager
def served(app: Any, http: type[BoundedConnection], most: int | None = None) -> Iterator[tuple[str, int]]:
    """The address of a server, as `strata api` starts it."""
    config = uvicorn.Config(app, http=http, limit_concurrency=most, log_config=None, timeout_graceful_shutdown=5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def what_comes(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    connection.settimeout(PATIENCE)
    found = []
    with suppress(ConnectionResetError):
        while data := connection.recv(1_000_000):
            found.append(data)
    return b"".join(found)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"\r\n\r\n"], ids=["nothing", *"abc"]
)
def test_a_connection_without_a_whole_head_is_closed(sent):
    with served(answering, Hasty) as address, socket.create_connection(address) as connection:
        connection.sendall(sent)
        assert what_comes(connection) == b""


def test_a_connection_that_was_answered_is_closed_when_no_whole_head_follows():
    with served(answering, Hasty) as address, socket.create_connection(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        connection.sendall(b"\r\nGET")
        assert what_comes(connection).endswith(b"\r\n\r\nyes")


def test_a_head_in_pieces_is_answered_if_they_come():
    with served(answering, BoundedConnection) as address, socket.create_connection(address) as connection:
        for piece in (b"GET / HT", b"TP/1.1\r\nHost: x\r\n", b"Connection: close\r\n\r\n"):
            connection.sendall(piece)
            time.sleep(0.05)
        assert what_comes(connection).endswith(b"\r\n\r\nyes")


def test_a_client_that_takes_nothing_of_its_answer_is_let_go():
    with served(answering, Hasty) as address, socket.create_connection(address) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3 * Hasty.stuck_seconds)
        assert len(what_comes(connection)) < LARGE


def test_a_client_that_takes_its_answer_slowly_gets_all_of_it():
    class Patient(BoundedConnection):
        stuck_seconds = 2.0

    with served(answering, Patient) as address, socket.create_connection(address) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        for _ in range(6):  # more than twice as long as a client may take nothing
            time.sleep(0.4 * Patient.stuck_seconds)
            found += len(connection.recv(4_000_000, socket.MSG_WAITALL))
        assert found + len(what_comes(connection)) > LARGE


def test_more_connections_than_may_be_are_told_to_come_back_and_that_is_logged(caplog):
    BoundedConnection._logged = float("-inf")
    caplog.set_level(logging.WARNING, "strata.connections")
    with served(answering, BoundedConnection, MOST) as address, ExitStack() as held:
        others = [held.enter_context(socket.create_connection(address)) for _ in range(MOST)]
        refused = httpx.get("http://{}:{}/v1/jobs".format(*address))
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/too-busy")
        assert int(refused.headers["retry-after"]) > 0
        assert [line.getMessage() for line in caplog.records] == [
            f"{MOST + 1} connections are open, more than the {MOST} that may be"
        ]
        for other in others:
            other.close()
        until(lambda: httpx.get("http://{}:{}/".format(*address)).status_code == 200)


def test_far_more_are_closed_at_once_so_that_descriptors_never_run_out():
    with served(answering, BoundedConnection, MOST) as address, ExitStack() as held:
        for _ in range(MOST + SPARE):
            held.enter_context(socket.create_connection(address))
        beyond = [held.enter_context(socket.create_connection(address)) for _ in range(SPARE)]
        assert [what_comes(connection) for connection in beyond] == [b""] * SPARE


def test_what_is_not_http_and_a_method_nobody_knows_are_problems():
    for request in (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
        with served(answering, BoundedConnection) as address, socket.create_connection(address) as connection:
            connection.sendall(request)
            head, _, body = what_comes(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/problem+json" in head.lower()
        assert b'"/problems/bad-request"' in body


@pytest.fixture
def few(settings: Settings) -> Settings:
    """A service of sixteen connections, half of which may be held open."""
    keys = {name: {"hash": hash_of(name)} for name in ("ann", "bob")}
    keys["ann"] |= {"streams": 2}
    return Settings(**settings.model_dump() | {"keys": keys, "max_connections": 16})


@pytest.fixture
def follow(serve, few, photo, painting):
    """`follow(name, how)`: an answer that is being held for the holder of a key, or that was refused."""
    url = serve(create_app(few))
    job = httpx.post(
        f"{url}/v1/jobs", files={"content": photo, "style": painting}, headers={"Authorization": "Bearer bob"}
    )
    ann = httpx.post(
        f"{url}/v1/jobs", files={"content": photo, "style": painting}, headers={"Authorization": "Bearer ann"}
    )
    of = {"bob": job.headers["location"], "ann": ann.headers["location"]}
    with ExitStack() as running:
        client = running.enter_context(httpx.Client(timeout=PATIENCE, limits=httpx.Limits(max_connections=None)))

        def followed(name: str, how: str = "/events") -> tuple[httpx.Response, Callable[[], None]]:
            held = ExitStack()
            running.enter_context(held)
            headers = {"Authorization": f"Bearer {name}"}
            return held.enter_context(client.stream("GET", of[name] + how, headers=headers)), held.close

        yield followed


def test_of_one_key_only_so_many_jobs_are_followed_at_a_time(follow):
    (first, leave), _ = follow("ann"), follow("ann")
    refused, _ = follow("ann")
    assert (first.status_code, refused.status_code) == (200, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert follow("bob")[0].status_code == 200
    leave()
    until(lambda: follow("ann")[0].status_code == 200)


def test_in_all_no_more_answers_are_held_open_than_leave_others_room(follow, few):
    held = [follow("bob") for _ in range(few.streams)]
    assert {answer.status_code for answer, _ in held} == {200}
    refused, _ = follow("bob")
    refused.read()
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/too-busy")
    looked, _ = follow("bob", "?wait=60")  # not held, but answered
    assert looked.status_code == 200
    held[0][1]()
    until(lambda: follow("bob")[0].status_code == 200)


def test_a_service_takes_no_more_connections_than_it_has_descriptors(few):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = few.model_copy(update={"max_connections": 100_000})
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (900, hard))
        assert 500 < many.connections < 900
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
