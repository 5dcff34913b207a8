"""Bodies that are too large, and clients that are still sending when the answer is ready."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from api.limits import BoundedBody

LIMIT = 1_000_000
MEGABYTE = bytes(1_000_000)


async def reading(scope, receive, send):
    """An application that reads its body and answers with its length."""
    if scope["type"] != "http":
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await _answer(send, 200, str(length).encode())


async def deaf(scope, receive, send):
    """An application that answers without reading anything."""
    if scope["type"] == "http":
        await _answer(send, 403, b"no")


async def _answer(send, status, body):
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def reader(serve):
    return serve(BoundedBody(reading, max_bytes=LIMIT))


def sent_raw(url: str, head: str, chunks: Iterator[bytes]) -> bytes:
    """What a client reads that sends everything first and closes only then."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n{head}\r\n\r\n".encode())
        for chunk in chunks:
            connection.sendall(chunk)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def test_a_body_within_the_limit_arrives_whole(reader):
    assert httpx.post(reader, content=bytes(LIMIT)).text == str(LIMIT)
    assert httpx.post(reader, content=iter([bytes(10)] * 10)).text == "100"
    assert httpx.get(reader).text == "0"


def test_a_body_that_says_it_is_too_large_is_refused_as_a_problem(reader):
    answer = httpx.post(reader, content=bytes(LIMIT + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
    assert answer.json()["detail"] == "The body is larger than 1 MB."


def test_a_body_that_grows_too_large_is_refused_while_it_streams_in(reader):
    answer = httpx.post(reader, content=iter([MEGABYTE] * 3))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_to_the_end_can_still_read_the_refusal(reader, chunked):
    count = 20
    if chunked:
        head = "Transfer-Encoding: chunked"
        chunks = iter([b"f4240\r\n" + MEGABYTE + b"\r\n"] * count + [b"0\r\n\r\n"])
    else:
        head = f"Content-Length: {count * len(MEGABYTE)}"
        chunks = iter([MEGABYTE] * count)
    assert sent_raw(reader, head, chunks).startswith(b"HTTP/1.1 413 ")


def test_an_answer_given_before_the_body_was_read_can_be_read_too(serve):
    url = serve(BoundedBody(deaf, max_bytes=100 * LIMIT))
    answer = sent_raw(url, f"Content-Length: {20 * len(MEGABYTE)}", iter([MEGABYTE] * 20))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"\r\n\r\nno")


def test_a_client_that_asks_first_is_refused_before_it_sends(reader):
    parts = urlsplit(reader)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {10 * LIMIT}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_vanishes_while_sending_harms_nobody(reader):
    parts = urlsplit(reader)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {10 * LIMIT}\r\n\r\nabc".encode())
    assert httpx.post(reader, content=b"abc").text == "3"


def test_the_service_itself_has_the_limit(serve, settings):
    from api.app import create_app

    url = serve(create_app(settings.model_copy(update={"max_body_bytes": 1000})))
    answer = httpx.post(f"{url}/v1/jobs", files={"content": bytes(2000)})
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
