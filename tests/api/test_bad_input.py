"""Everything that can be wrong with a submission: a problem that names the field, and nothing stored."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image


def picture(kind: str, size: tuple[int, int] = (32, 32), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it is 60 000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(60_000))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


GOOD = picture("PNG")
ANIMATED = picture("WEBP", save_all=True, append_images=[Image.new("RGB", (32, 32))])
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>'


@dataclass(frozen=True)
class Bad:
    """A form that is good but for what is said here, and the answer it gets."""

    about: str
    errors: Sequence[str]
    kind: str = "invalid-request"
    status: int = 422
    content: Sequence[bytes] = (GOOD,)
    styles: Sequence[bytes] = (GOOD,)
    text: Mapping[str, str] = field(default_factory=dict)


def bad_option(about: str, at: str, text: str) -> Bad:
    return Bad(about, [f"/options{at}"], text={"options": text})


def bad_picture(about: str, kind: str, status: int, data: bytes) -> list[Bad]:
    return [
        Bad(f"{about} as content", ["/content"], kind, status, content=(data,)),
        Bad(f"{about} as style", ["/style/1"], kind, status, styles=(GOOD, data)),
    ]


TABLE = [
    *bad_picture("an empty file", "unsupported-picture", 415, b""),
    *bad_picture("text", "unsupported-picture", 415, b"this is no picture"),
    *bad_picture("a GIF", "unsupported-picture", 415, picture("GIF")),
    *bad_picture("an SVG", "unsupported-picture", 415, SVG),
    *bad_picture("a BMP", "unsupported-picture", 415, picture("BMP")),
    *bad_picture("a truncated JPEG", "unusable-picture", 422, picture("JPEG", (200, 200))[:1500]),
    *bad_picture("a PNG of its signature alone", "unusable-picture", 422, GOOD[:8]),
    *bad_picture("huge dimensions in a tiny file", "unusable-picture", 422, bomb()),
    *bad_picture("an animation", "unusable-picture", 422, ANIMATED),
    *bad_picture("a side of 8 pixels", "unusable-picture", 422, picture("PNG", (64, 8))),
    *bad_picture("too many bytes", "picture-too-large", 413, GOOD + bytes(300_000)),
    Bad("no content", ["/content"], content=()),
    Bad("two contents", ["/content"], content=(GOOD, GOOD)),
    Bad("no style", ["/style"], styles=()),
    Bad("9 styles", ["/style"], styles=(GOOD,) * 9),
    Bad("nothing at all", ["/content"], content=(), styles=()),
    Bad("an unknown part", ["/stlye"], text={"stlye": "x"}),
    Bad("content as text", ["/content"], content=(), text={"content": "hello"}),
    Bad("a priority that does not exist", ["/priority"], text={"priority": "urgent"}),
    Bad("metadata that are no object", ["/metadata"], text={"metadata": "[1]"}),
    Bad("metadata that are no JSON", ["/metadata"], text={"metadata": "album"}),
    Bad("metadata with Infinity", ["/metadata/a/0"], text={"metadata": '{"a": [1e999]}'}),
    Bad("metadata without end", ["/metadata"], text={"metadata": json.dumps({"a": "x" * 10_000})}),
    Bad("metadata nested without end", ["/metadata"], text={"metadata": '{"a":' + "[" * 5000}),
    Bad("half a character", ["/metadata"], text={"metadata": '{"a": "\\ud800"}'}),
    bad_option("options that are no JSON", "", "{iterations: 3}"),
    bad_option("options that are no object", "", "3"),
    bad_option("an unknown option", "/iteration", '{"iteration": 3}'),
    bad_option("a number as text", "/iterations", '{"iterations": "30"}'),
    bad_option("a fraction of an iteration", "/iterations", '{"iterations": 1.5}'),
    bad_option("true as a number", "/iterations", '{"iterations": true}'),
    bad_option("iterations 0", "/iterations", '{"iterations": 0}'),
    bad_option("iterations beyond number", "/iterations", '{"iterations": 1' + "0" * 400 + "}"),
    bad_option("a weight beyond number", "/style_weight", '{"style_weight": 1' + "0" * 400 + "}"),
    bad_option("size 10 000", "/size", '{"size": 10000}'),
    bad_option("size null", "/size", '{"size": null}'),
    bad_option("NaN", "/content_weight", '{"content_weight": NaN}'),
    bad_option("Infinity", "/content_weight", '{"content_weight": Infinity}'),
    bad_option("-Infinity", "/layer_weights/relu1_1", '{"layer_weights": {"relu1_1": -Infinity}}'),
    bad_option("a negative weight", "/style_weight", '{"style_weight": -1}'),
    bad_option("a negative layer weight", "/layer_weights/relu1_1", '{"layer_weights": {"relu1_1": -1}}'),
    bad_option("all layer weights 0", "/layer_weights", '{"layer_weights": {"relu1_1": 0, "relu2_1": 0}}'),
    bad_option("no layer", "/layer_weights", '{"layer_weights": {}}'),
    bad_option("all terms 0", "", '{"content_weight": 0, "style_weight": 0, "tv_weight": 0}'),
    bad_option("an unknown layer", "/layer_weights/relu5_9", '{"layer_weights": {"relu5_9": 1}}'),
    bad_option("a layer of another network", "/layer_weights", '{"network": "vgg16", "layer_weights": {"relu4_4": 1}}'),
    bad_option("an unknown preset", "/preset", '{"preset": "van-gogh"}'),
    bad_option("an unknown profile", "/profile", '{"profile": {"a": 1}}'),
    bad_option("more weights than styles", "/style_blend", '{"style_blend": [1, 1]}'),
    Bad(
        "several things at once",
        ["/options/size", "/options/optimizer", "/priority", "/content", "/style/0"],
        content=(SVG,),
        styles=(b"",),
        text={"options": '{"size": 1, "optimizer": "magic"}', "priority": "urgent"},
    ),
]


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.about)
def test_what_is_wrong_is_named_and_nothing_is_stored(http, service, bad):
    before = service.stored()
    parts = [("content", ("a.png", data)) for data in bad.content] + [("style", ("b.png", d)) for d in bad.styles]
    # A form without files would not be multipart; one more empty field changes nothing.
    answer = http.post("/v1/jobs", files=parts or [("content", ("", b""))], data=dict(bad.text))

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["type"]) == (bad.status, bad.status, f"/problems/{bad.kind}")
    assert problem["instance"] == "/v1/jobs"
    assert sorted(error["pointer"] for error in problem["errors"]) == sorted(bad.errors)
    assert all(error["detail"] for error in problem["errors"])
    assert service.stored() == before


PICTURE = {"data": "data:image/png;base64," + base64.b64encode(GOOD).decode()}

JSON_TABLE: list[tuple[str, bytes, list[str]]] = [
    ("nothing", b"", [""]),
    ("no JSON", b"{", [""]),
    ("no UTF-8", b'{"content": "\xff"}', [""]),
    ("no object", b"[]", [""]),
    ("an empty object", b"{}", ["/content", "/style"]),
    ("NaN somewhere", b'{"a": {"b/c": [1, NaN]}}', ["/a/b~1c/1"]),
    ("nested without end", b"[" * 10_000, [""]),
    *(
        (about, json.dumps({"content": PICTURE, "style": [PICTURE]} | change).encode(), errors)
        for about, change, errors in (
            ("an unknown field", {"styles": []}, ["/styles"]),
            ("a picture that is null", {"content": None}, ["/content"]),
            ("a picture that is text", {"content": PICTURE["data"]}, ["/content"]),
            ("a picture without source", {"content": {}}, ["/content"]),
            ("a picture with two sources", {"content": PICTURE | {"id": "sha256:" + "0" * 64}}, ["/content"]),
            ("an id that is null", {"content": {"id": None}}, ["/content/id"]),
            ("a malformed id", {"content": {"id": "sha256:../../etc"}}, ["/content"]),
            ("an id of nothing", {"content": {"id": "sha256:" + "0" * 64}}, ["/content"]),
            ("a time to keep it that is no time", {"expires_in": 0}, ["/expires_in"]),
            ("a time to keep it that is text", {"expires_in": "soon"}, ["/expires_in"]),
            ("an unknown source", {"content": PICTURE | {"path": "/etc/passwd"}}, ["/content/path"]),
            ("data that are a number", {"content": {"data": 5}}, ["/content/data"]),
            ("data without base64", {"content": {"data": "data:text/plain,hello"}}, ["/content/data"]),
            ("data that are not base64", {"content": {"data": "data:image/png;base64,?"}}, ["/content/data"]),
            ("data that are not ASCII", {"content": {"data": "data:image/png;base64,ää"}}, ["/content/data"]),
            ("a style that is no list", {"style": PICTURE}, ["/style"]),
            ("no style", {"style": []}, ["/style"]),
            ("9 styles", {"style": [PICTURE] * 9}, ["/style"]),
            ("a style that is wrong", {"style": [PICTURE, {"data": "data:,"}]}, ["/style/1/data"]),
            ("options that are a list", {"options": []}, ["/options"]),
            ("an option that is wrong", {"options": {"size": 10_000}}, ["/options/size"]),
            ("metadata that are null", {"metadata": None}, ["/metadata"]),
            ("a priority that is a number", {"priority": 1}, ["/priority"]),
        )
    ),
]


@pytest.mark.parametrize(("about", "body", "errors"), JSON_TABLE, ids=[row[0] for row in JSON_TABLE])
def test_what_is_wrong_in_json_is_named_and_nothing_is_stored(http, service, about, body, errors):
    before = service.stored()
    answer = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == errors
    assert service.stored() == before


def test_an_empty_picture_in_json_is_not_a_picture(http):
    answer = http.post("/v1/jobs", json={"content": PICTURE, "style": [{"data": "data:;base64,"}]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (415, "/style/0")


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_other_kinds_of_body_are_refused_by_name(http, media):
    answer = http.post("/v1/jobs", content=b"content=x", headers={"Content-Type": media} if media else {})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-body")
    assert media in answer.json()["detail"]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary here"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nhello\r\n--x--\r\n"),
    ],
    ids=["without boundary", "with another boundary", "a part without name"],
)
def test_a_broken_form_is_a_problem(http, media, body):
    answer = http.post("/v1/jobs", content=body, headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")


def test_many_parts_are_refused_before_they_are_all_read(http):
    answer = http.post("/v1/jobs", files=[("style", ("s.png", b"x"))] * 200)
    assert answer.status_code == 422
    assert "files" in answer.json()["detail"]


def test_what_was_sent_is_not_echoed(http):
    answer = http.post("/v1/jobs", content=b'{"content": "s3cret", ', headers={"Content-Type": "application/json"})
    assert "s3cret" not in answer.text
