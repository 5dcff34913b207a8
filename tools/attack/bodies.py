"""Bodies that cost the service more than their sender."""

import struct
import zlib
from contextlib import ExitStack
from typing import Final

from tools.attack.target import Broken, Target, each, expect, until_closed

_SIDE: Final = 7071
_PICTURES: Final = 6
_RAW: Final = 4
_RAW_BYTES: Final = 150_000_000
_SEND_SECONDS: Final = 4.0
_STALLED_SECONDS: Final = 50.0


def charset(target: Target) -> str:
    """The parser decodes a megabyte of punycode for twenty seconds."""
    text = b'--x\r\nContent-Disposition: form-data; name="options"\r\n\r\n' + b"a" * 950_000 + b"\r\n--x--\r\n"
    for name in ("punycode", "undefined", "unicode_escape"):
        media = {"Content-Type": f"multipart/form-data; boundary=x; charset={name}"}
        answer = target.http.post("/v1/jobs", content=text, headers=media)
        expect(answer.status_code == 415, f"charset={name}: {answer.status_code}")
    return "415"


def thumbnails(target: Target) -> str:
    """Small files of fifty megapixels each, all at once."""
    made = [target.image(_bomb(shade)) for shade in range(_PICTURES)]
    expect(all(answer.status_code == 201 for answer in made), f"uploads: {[answer.status_code for answer in made]}")
    paths = iter([f"/v1/images/{answer.json()['id']}/thumbnail" for answer in made])
    statuses = [answer.status_code for answer in each(_PICTURES, lambda: target.http.get(next(paths)))]
    expect(statuses == [200] * _PICTURES, f"thumbnails: {statuses}")
    return f"{_PICTURES} of 50 megapixels shown"


def empty_arrays(target: Target) -> str:
    """Thirteen million values in forty megabytes of JSON."""
    body = b'{"metadata":{"a":[' + b"[]," * 13_000_000 + b"[]]}}"
    answer = target.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    expect(answer.status_code in (413, 422), str(answer.status_code))
    return str(answer.status_code)


def raw_bodies(target: Target) -> str:
    """Pictures that are larger than may be, never finished."""
    with ExitStack() as held:
        for _ in range(_RAW):
            connection = held.enter_context(target.connect())
            connection.settimeout(_SEND_SECONDS)
            head = target.head("POST", "/v1/images", Content_Type="image/png", Content_Length=str(_RAW_BYTES))
            connection.sendall(head)
            try:
                for _ in range(_RAW_BYTES // 1_000_000 - 1):
                    connection.sendall(bytes(1_000_000))
            except OSError:  # it was refused on the way
                continue
        expect(target.http.get("/healthz").status_code == 200, "nobody else was answered meanwhile")
    return f"{_RAW} held or refused"


def stalled_body(target: Target) -> str:
    """A body that stops coming."""
    with target.connect() as connection:
        connection.sendall(target.head("POST", "/v1/jobs", Content_Type="application/json", Content_Length="1000"))
        connection.sendall(b"{")
        answer = until_closed(connection, _STALLED_SECONDS)
    expect(b" 408 " in answer[:20], f"closed with {answer[:40]!r}")
    return "408"


def deep_metadata(target: Target) -> str:
    """Two hundred brackets, which a record cannot be read back with."""
    answer = target.job(metadata='{"a":' + "[" * 190 + "]" * 190 + "}")
    if answer.status_code == 202:
        again = target.http.get(answer.headers["location"])
        raise Broken(f"accepted, then {again.status_code}")
    expect(answer.status_code == 422, str(answer.status_code))
    return "422"


def damaged_picture(target: Target) -> str:
    """The decoder's own words name objects in memory."""
    answer = target.image(b"\x89PNG\r\n\x1a\n" + bytes(64))
    expect(answer.status_code == 422, str(answer.status_code))
    expect("object at" not in answer.text, "it names an object")
    return "422, in our own words"


def _bomb(shade: int) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    rows = [deflate.compress(b"\0" + bytes([shade]) * 3 * _SIDE) for _ in range(_SIDE)]
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    pixels = b"".join(rows) + deflate.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
