"""Submitting a job, as a form and as JSON."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.answers import Job
from core.engine.presets import resolve


def files(content: bytes, *styles: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("content", ("photo.png", content)), *(("style", ("style.png", style)) for style in styles)]


def data_uri(picture: bytes) -> dict[str, str]:
    return {"data": f"data:image/png;base64,{base64.b64encode(picture).decode()}"}


def test_a_form_makes_a_queued_job_and_says_where_it_is(http, service, photo, painting):
    answer = http.post("/v1/jobs", files=files(photo, painting))

    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["urls"]["self"] == f"{service.url}/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert job["status"] == "queued"
    assert job["queue_position"] == 1
    assert (job["content"]["width"], job["content"]["height"]) == (96, 64)
    assert [style["blend"] for style in job["styles"]] == [1.0]
    assert job["progress"] == {
        "iteration": 0,
        "iterations": 150,
        "fraction": 0.0,
        "eta_seconds": None,
        "losses": None,
    }
    assert http.get(answer.headers["location"]).json()["id"] == job["id"]


def test_a_job_has_exactly_the_documented_fields(submit):
    job = submit()
    assert list(job) == list(Job.model_fields)
    Job.model_validate(job)
    assert set(job["urls"]) == {"self", "cancel", "events", "image", "preview", "losses", "thumbnail"}


def test_options_are_resolved_in_full(submit):
    job = submit(profile="abstract", iterations=7)
    assert job["options"] == json.loads(resolve({"profile": "abstract", "iterations": 7}).model_dump_json())


def test_several_styles_keep_their_order_and_blend(http, photo, painting):
    answer = http.post(
        "/v1/jobs",
        files=files(photo, painting, photo, painting),
        data={"options": json.dumps({"style_blend": [1, 2, 3]})},
    )
    styles = answer.json()["styles"]
    assert [style["blend"] for style in styles] == [1, 2, 3]
    assert styles[0]["id"] == styles[2]["id"] != styles[1]["id"] == answer.json()["content"]["id"]


def test_json_and_a_form_make_the_same_job(http, photo, painting):
    fields: dict[str, Any] = {"options": {"iterations": 5}, "priority": "high", "metadata": {"album": ["ä", 1]}}
    as_json = http.post("/v1/jobs", json={"content": data_uri(photo), "style": [data_uri(painting)], **fields})
    as_form = http.post(
        "/v1/jobs",
        files=files(photo, painting),
        data={"options": json.dumps(fields["options"]), "priority": "high", "metadata": json.dumps(fields["metadata"])},
    )
    assert as_json.status_code == as_form.status_code == 202
    own = {"id", "created_at", "queue_position", "urls"}
    assert {k: v for k, v in as_json.json().items() if k not in own} == {
        k: v for k, v in as_form.json().items() if k not in own
    }
    assert as_form.json()["metadata"] == {"album": ["ä", 1]}


def test_text_parts_may_be_files(http, photo, painting):
    parts = [*files(photo, painting), ("options", ("options.json", b'{"iterations": 9}', "application/json"))]
    assert http.post("/v1/jobs", files=parts).json()["options"]["iterations"] == 9


def test_fields_a_browser_left_empty_count_as_absent(http, photo, painting):
    parts = [*files(photo, painting), ("style", ("", b"", "application/octet-stream"))]
    answer = http.post("/v1/jobs", files=parts, data={"options": "", "metadata": "", "priority": ""})
    assert answer.status_code == 202, answer.text
    assert len(answer.json()["styles"]) == 1


def test_a_name_that_only_looks_like_a_path_is_harmless(http, service, photo, painting):
    parts = [("content", ("../../../etc/passwd", photo)), ("style", ("/tmp/x.png", painting))]  # noqa: S108
    assert http.post("/v1/jobs", files=parts).status_code == 202
    assert all("passwd" not in name for name in service.stored())


@pytest.mark.parametrize("kind", ["data:image/jpeg;base64,", "data:;base64,", "DATA:image/png;BASE64,"])
def test_what_a_data_uri_claims_to_be_does_not_matter(http, photo, painting, kind):
    picture = {"data": kind + base64.b64encode(photo).decode()}
    answer = http.post("/v1/jobs", json={"content": picture, "style": [data_uri(painting)]})
    assert answer.status_code == 202, answer.text


def test_only_the_id_goes_through_the_broker(submit, service):
    job = submit()
    [message] = service.redis.lrange("stylize.normal", 0, -1)
    assert json.loads(base64.b64decode(json.loads(message)["body"]))[0] == [job["id"]]


def test_a_hundred_submissions_at_once_are_a_hundred_jobs(service, photo, painting):
    with httpx.Client(base_url=service.url, timeout=60) as http, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: http.post("/v1/jobs", files=files(photo, painting)), range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 100


@pytest.mark.parametrize("tag", ["*", '"x"'])
def test_nothing_is_conditional_about_a_post(http, submit, photo, painting, tag):
    files, headers = {"content": photo, "style": painting}, {"If-None-Match": tag}
    assert http.post("/v1/jobs", files=files, headers=headers).json()["status"] == "queued"
    canceled = submit()["urls"]["cancel"]
    for status in (202, 200):
        answer = http.post(canceled, headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (status, "canceled")
