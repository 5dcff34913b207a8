"""The OpenAPI document: complete enough for people to read and for generators to work from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api import examples
from api.answers import Job, LossPoint
from api.app import create_app
from api.auth import GUARDED
from api.requests import JobRequest


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = create_app().openapi()
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from inside(item)


def test_it_is_served_as_it_is_made(http: httpx.Client, document):
    assert http.get("/openapi.json").json() == json.loads(json.dumps(document))
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_is_for(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids)) >= 10
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name


def test_every_operation_shows_an_example_of_what_it_says_and_how_errors_look(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            for media, content in response.get("content", {}).items():
                assert "schema" in content or media == "text/event-stream", (name, status)
                if status[0] in "45":
                    assert media == "application/problem+json", (name, status)
                    assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
                    assert content["examples"], (name, status)
                elif not media.startswith("image/"):
                    assert content["example"], (name, status)
        assert {"4XX", "5XX"} <= set(operation["responses"]), name


def test_every_parameter_and_every_field_is_described(document):
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
            assert parameter["schema"].get("examples") or parameter["in"] != "path", (name, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for field, about in schema.get("properties", {}).items():
            assert "$ref" in about or about["description"], (name, field)


def test_what_asks_for_a_key_says_so_and_nothing_else_does(document):
    for name, operation in operations(document):
        asks = name.partition(" ")[2].startswith(GUARDED)
        assert ("security" in operation, "401" in operation["responses"]) == (asks, asks), name
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_reference_leads_somewhere(document):
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert {found["$ref"] for found in inside(document) if "$ref" in found} == known


def test_links_lead_to_operations_and_their_parameters(document):
    known = {
        operation["operationId"]: {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        for _, operation in operations(document)
    }
    links = [link for found in inside(document) for link in found.get("links", {}).values()]
    assert links
    for link in links:
        assert set(link["parameters"]) == known[link["operationId"]]


def test_uploads_are_files_so_that_the_page_shows_file_pickers(document):
    form = document["components"]["schemas"]["JobForm"]["properties"]
    assert (form["content"]["type"], form["content"]["format"]) == ("string", "binary")
    assert (form["style"]["items"]["type"], form["style"]["items"]["format"]) == ("string", "binary")
    assert (form["style"]["minItems"], form["style"]["maxItems"]) == (1, 8)


def test_job_examples_are_jobs(document):
    for example in (examples.QUEUED, examples.CANCELED, examples.SUCCEEDED):
        Job.model_validate(example)
    for point in examples.LOSSES:
        LossPoint.model_validate(point)
    assert examples.QUEUED["status"] == "queued"


def test_the_request_example_runs_as_it_stands(http: httpx.Client, document):
    example = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["example"]
    JobRequest.model_validate(example)
    answer = http.post("/v1/jobs", json=example)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/problems"])
def test_pages_are_held_to_this_service(http: httpx.Client, page):
    answer = http.get(page)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "cdn." not in answer.text


def test_importing_the_app_brings_no_torch():
    code = (
        "import sys; import api.app; api.app.create_app();"
        "print(*sorted({'torch', 'numpy', 'torchvision', 'worker', 'cli'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
