"""On a loopback address the service answers to loopback names and to its own pages only."""

import httpx
import pytest

from api.app import create_app


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:9", "127.1.2.3", "[::1]:80", "strata.localhost"]
)
def test_loopback_names_are_answered(http, host):
    assert http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "", "["]
)
def test_other_names_are_refused(http, host):
    answer = http.get("/healthz", headers={"Host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "/problems/foreign-host")


def test_a_name_of_a_proxy_can_be_allowed(serve, settings):
    app = create_app(settings.model_copy(update={"allowed_hosts": "strata.example, other.example"}))
    with httpx.Client(base_url=serve(app)) as http:
        assert http.get("/healthz", headers={"Host": "strata.example"}).status_code == 200
        assert http.get("/healthz", headers={"Host": "evil.example"}).status_code == 421
        own = {"Host": "strata.example", "Origin": "https://strata.example"}
        assert http.post("/v1/jobs/x/cancel", headers=own).status_code == 404


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "http://[", "http://localhost:1"]
)
def test_pages_of_other_origins_are_refused(http, service, submit, origin):
    job = submit()
    answer = http.post(job["urls"]["cancel"], headers={"Origin": origin})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/foreign-origin")
    assert http.get(job["urls"]["self"]).json()["status"] == "queued"


def test_its_own_pages_are_answered(http, service, submit):
    assert http.post(submit()["urls"]["cancel"], headers={"Origin": service.url}).status_code == 202
