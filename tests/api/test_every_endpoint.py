"""Whatever is wrong with a request to whichever endpoint is a problem that says so, and nothing is stored.

The endpoints are those of the OpenAPI document, so that a new one is not forgotten. What can be wrong with a
submission and with an upload has tables of its own, in test_bad_input.py and test_images.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.app import create_app

JOB = "0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596"
UNKNOWN = {"job_id": JOB, "image_id": "sha256:" + "0" * 64, "delivery_id": "msg_1"}
MALFORMED = ("x", "..%2F..%2Fetc%2Fpasswd", "%00", "%F0%9F%8E%A8", "a" * 3000, "*", "strata:queue", "' or 1=1")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")

PATHS: dict[str, dict[str, Any]] = create_app().openapi()["paths"]
OPERATIONS = [(method.upper(), path) for path, methods in PATHS.items() for method in methods]
WITHOUT_BODY = [(method, path) for method, path in OPERATIONS if "requestBody" not in PATHS[path][method.lower()]]
ABOUT_ONE = [(method, path) for method, path in OPERATIONS if "{" in path]


@dataclass(frozen=True)
class Wrong:
    """A request whose parameters are wrong, and where."""

    method: str
    path: str
    pointer: str
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


PARAMETERS = [
    *(
        Wrong("GET", "/v1/jobs", f"/query/{name}", {name: value})
        for name, values in {
            "status": ("done", "", "QUEUED", "queued,failed"),
            "created_after": (
                "yesterday",
                "",
                "2026-01-15",
                "1763640000",
                "2026-01-15T12:00:00",
                "2026-13-01T00:00:00Z",
            ),
            "created_before": ("9999999999999", "2026-02-30T00:00:00Z"),
            "limit": (0, -1, 101, "x", "", "1e1", 10**30),
            "cursor": ("x", "", "a" * 32, JOB, "%00"),
        }.items()
        for value in values
    ),
    *(
        Wrong("GET", f"/v1/jobs/{JOB}", "/query/wait", {"wait": value})
        for value in (-1, 61, "x", "", "1.5", "NaN", 10**30)
    ),
    *(
        Wrong("GET", f"/v1/jobs/{JOB}/image", "/query/format", {"format": value})
        for value in ("tiff", "", "PNG", "image/png")
    ),
    *(
        Wrong("POST", "/v1/jobs", "/header/idempotency-key", headers={"Idempotency-Key": value})
        for value in ("", "a b", "x" * 256, "\u00e4")
    ),
]
"""Of every parameter of the document that can be wrong; the others are any text (`ANY_TEXT`)."""

ANY_TEXT = {("POST /v1/jobs", "prefer"), ("GET /v1/jobs/{job_id}/events", "last-event-id")}


def filled(path: str, **ids: str) -> str:
    return path.format(**UNKNOWN | ids)


def parameters() -> Iterator[tuple[str, str, str]]:
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                yield f"{method.upper()} {path}", parameter["in"], parameter["name"]


def test_no_parameter_is_forgotten():
    tried = {(f"{w.method} {w.path.replace(JOB, '{job_id}')}", w.pointer.rpartition("/")[2]) for w in PARAMETERS}
    asked = {(where, name) for where, kind, name in parameters() if kind != "path"}
    assert asked == tried | ANY_TEXT


@pytest.mark.parametrize("wrong", PARAMETERS, ids=lambda w: f"{w.path} {w.query or w.headers}"[-60:])
def test_a_parameter_that_is_wrong_is_named(http, service, photo, painting, wrong):
    before = service.stored()
    files = {"content": photo, "style": painting} if wrong.method == "POST" else None
    headers = {name: value.encode() for name, value in wrong.headers.items()}
    answer = http.request(wrong.method, wrong.path, params=wrong.query, headers=headers, files=files)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [wrong.pointer]
    assert service.stored() == before


@pytest.mark.parametrize(("method", "path"), ABOUT_ONE, ids=lambda part: part)
def test_what_there_is_not_is_not_found_however_it_is_named(http, service, submit, method, path):
    kind = "image-not-found" if "image_id" in path else "job-not-found"
    name = re.findall(r"{(\w+)}", path)[0]
    for given in (UNKNOWN[name], *MALFORMED):
        answer = http.request(method, filled(path, **{name: given}))
        assert (answer.status_code, answer.json()["type"]) in (
            (404, f"/problems/{kind}"),
            (404, "/problems/not-found"),  # more than one segment
        ), given
        assert answer.headers["content-type"] == "application/problem+json"
    assert service.stored() == []


@pytest.mark.parametrize("delivery", ["msg_1", *MALFORMED])
def test_a_delivery_that_there_is_not_is_not_found_however_it_is_named(http, submit, delivery):
    answer = http.post(f"/v1/jobs/{submit()['id']}/deliveries/{delivery}/redeliver")
    assert answer.status_code == 404
    assert answer.json()["type"] in ("/problems/delivery-not-found", "/problems/not-found")


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused_with_those_that_are_allowed(http, path):
    allowed = {method.upper() for method in PATHS[path]}
    for method in set(METHODS) - allowed:
        answer = http.request(method, filled(path))
        assert (answer.status_code, answer.json()["type"]) == (405, "/problems/method-not-allowed"), method
        assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(("method", "path"), WITHOUT_BODY, ids=lambda part: part)
def test_a_body_that_nobody_asked_for_does_no_harm(http, method, path):
    body = b'{"a": NaN' + b"\xff" * 100_000
    answer = http.request(method, filled(path), content=body, headers={"Content-Type": "application/json"})
    expected = http.request(method, filled(path))
    assert answer.status_code == expected.status_code < 600


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: part)
@pytest.mark.parametrize("headers", [{"Accept": "text/nothing"}, {"If-None-Match": '"'}, {"Range": "bytes=9-1"}])
def test_headers_that_make_no_sense_change_nothing(http, method, path, headers):
    answer, expected = (http.request(method, filled(path), headers=given) for given in (headers, {}))
    assert answer.status_code == expected.status_code


@pytest.mark.parametrize("path", [path for path in PATHS if "get" in PATHS[path]])
def test_head_is_answered_as_get_is_but_for_the_body(http, submit, path):
    place = filled(path, job_id=submit()["id"])
    looked = http.head(place)
    with http.stream("GET", place) as answer:
        assert (looked.status_code, looked.content) == (answer.status_code, b"")
        kept = ("content-type", "cache-control", "location", "allow")
        assert {name: looked.headers.get(name) for name in kept} == {n: answer.headers.get(n) for n in kept}


def test_head_where_there_is_no_get_is_refused(http):
    assert http.head(filled("/v1/jobs/{job_id}/cancel")).status_code == 405
