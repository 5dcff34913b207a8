"""Bodies made to cost the service more than they cost their sender."""

import io
import json
import os
import socket
import struct
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from api.app import create_app
from api.limits import BoundedBody, Budget
from tools.waiting import until

SIDE = 7071
DECODED = 3 * SIDE * SIDE
MEGABYTE = 1_000_000
ALL_OF_IT = "--x--\r\n"


async def reading(scope, receive, send):
    """An application that reads its body and answers with its length."""
    if scope["type"] != "http":
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-length", str(len(str(length))).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(length).encode()})


def bomb() -> bytes:
    """A PNG of one colour, small for its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate, rows = zlib.compressobj(9), bytearray()
    for _ in range(SIDE):
        rows += deflate.compress(b"\0" + b"\x80" * (3 * SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    pixels = bytes(rows + deflate.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@contextmanager
def growth() -> Iterator[list[int]]:
    """By how many bytes this process, which is also the server, was larger at most than before."""
    found: list[int] = []
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    yield found
    found.append(resident("VmHWM") - before)


def resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) * 1024


def form(charset: str, text: str) -> dict[str, object]:
    part = f'--x\r\nContent-Disposition: form-data; name="options"\r\n\r\n{text}\r\n'
    return {
        "content": (part + ALL_OF_IT).encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"},
    }


@pytest.mark.parametrize("charset", ["punycode", "undefined", "unicode_escape", "utf-16", "latin-1", "no-such", "zlib"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/images"])
def test_a_form_in_another_charset_is_refused_before_it_is_read(http, path, charset):
    answer = http.post(path, **form(charset, "{}"))
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-body")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
def test_a_form_that_says_it_is_utf8_is_read(http, charset):
    answer = http.post("/v1/jobs", **form(charset, '{"iterations": "ü"}'))
    assert answer.status_code == 422
    assert "/content" in {error["pointer"] for error in answer.json()["errors"]}


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux tells it")
def test_what_a_few_bytes_decode_to_is_never_in_the_servers_memory(http, service, submit):
    picture = bomb()
    assert len(picture) < DECODED / 500
    image = http.post("/v1/images", files={"image": ("p.png", picture)}).json()
    job = submit()
    service.run(job["id"], picture, [])
    paths = [image["urls"]["thumbnail"], job["urls"]["thumbnail"], f"{job['urls']['image']}?format=jpeg"]

    with growth() as grown, ThreadPoolExecutor() as pool:
        answers = list(pool.map(http.get, paths))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    with Image.open(io.BytesIO(answers[2].content)) as whole:
        assert whole.size == (SIDE, SIDE)
    assert grown[0] < DECODED / 2


def test_json_of_more_values_than_a_job_has_is_refused_before_it_is_read(http):
    empty = b"[" + b",".join([b"[]"] * 100_000) + b"]"
    answer = http.post("/v1/jobs", content=empty, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "")
    assert "values" in answer.json()["detail"]


def test_json_may_be_smaller_than_a_form(serve, settings, photo, painting):
    with httpx.Client(base_url=serve(create_app(settings.model_copy(update={"max_json_bytes": 1000})))) as http:
        answer = http.post("/v1/jobs", json={"metadata": {"text": "x" * 1000}})
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
        assert http.post("/v1/jobs", files={"content": photo, "style": painting}).status_code == 202


@contextmanager
def unfinished(url: str, size: int, media: str = "image/png") -> Iterator[socket.socket]:
    """A request whose body is sent but for its last byte."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + bytes(size - 1))
        yield connection


def test_bodies_share_what_memory_there_is_for_them(serve):
    budget = Budget(2 * MEGABYTE)
    url = serve(BoundedBody(reading, max_bytes=2 * MEGABYTE, budget=budget))
    with unfinished(url, 3 * MEGABYTE // 2) as first:
        until(lambda: budget.left < MEGABYTE)  # it has come
        refused = httpx.post(url, content=bytes(MEGABYTE))
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/too-busy")
        assert int(refused.headers["retry-after"]) > 0
        assert httpx.post(url, content=bytes(MEGABYTE // 4)).status_code == 200
        first.sendall(b"0")
        assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert httpx.post(url, content=bytes(2 * MEGABYTE)).status_code == 200


def test_json_counts_as_often_as_it_is_in_memory(serve):
    url = serve(BoundedBody(reading, max_bytes=MEGABYTE, budget=Budget(MEGABYTE)))
    for media, status in (("image/png", 200), ("application/json", 503), ("application/JSON; x=y", 503)):
        answer = httpx.post(url, content=bytes(MEGABYTE // 2), headers={"Content-Type": media})
        assert answer.status_code == status


def test_the_service_itself_has_such_a_budget(serve, settings, photo, painting):
    with httpx.Client(base_url=serve(create_app(settings.model_copy(update={"bodies_bytes": 1000})))) as http:
        answer = http.post("/v1/jobs", files={"content": photo, "style": painting})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/too-busy")
        assert http.get("/v1/jobs").json()["items"] == []


def test_a_body_that_stops_coming_is_not_waited_for(serve):
    url = serve(BoundedBody(reading, max_bytes=MEGABYTE, idle_seconds=0.2))
    with unfinished(url, 1000) as connection:
        answer = b""
        while data := connection.recv(65536):  # to its end: the connection is closed, too
            answer += data
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/request-too-slow" in answer


def test_a_body_that_trickles_in_is_not_waited_for_either(serve):
    url = serve(BoundedBody(reading, max_bytes=MEGABYTE, idle_seconds=0.5))
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        connection.settimeout(0.02)  # as long as it is open a byte comes that often
        answer = b""
        while not answer:
            connection.send(b"0")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def nested(depth: int) -> str:
    return '{"a":' + "[" * depth + "]" * depth + "}"


def test_metadata_nested_more_deeply_than_can_be_read_back_make_no_job(http, service, photo, painting):
    files, before = {"content": photo, "style": painting}, service.stored()
    for depth in (32, 150, 400):
        answer = http.post("/v1/jobs", files=files, data={"metadata": nested(depth)})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/metadata")
    assert service.stored() == before
    job = http.post("/v1/jobs", files=files, data={"metadata": nested(31)})
    assert job.status_code == 202
    shown = http.get(job.headers["location"])
    assert (shown.status_code, shown.json()["metadata"]) == (200, json.loads(nested(31)))
    assert http.delete(job.headers["location"]).status_code == 204


def test_what_is_wrong_with_a_picture_names_no_object_of_ours(http, photo):
    for data in (photo[:20], photo[:-40], b"RIFF\x00\x00\x00\x00WEBPVP8 ", os.urandom(64)):
        answer = http.post("/v1/images", files={"image": ("p.png", b"\x89PNG\r\n\x1a\n" + data)})
        assert answer.status_code in (415, 422)
        assert "object at" not in answer.text
