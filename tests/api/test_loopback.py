"""A service that asks nobody for a key answers to loopback names and to its own pages only, wherever it listens."""

import socket
import threading
from pathlib import Path

import httpx
import pytest
import uvicorn
import yaml

from api.app import create_app
from core.keys import hash_of
from core.settings import Settings


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:9", "127.1.2.3", "[::1]:80", "strata.localhost"]
)
def test_loopback_names_are_answered(http, host):
    assert http.get("/v1/options", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "", "["]
)
def test_other_names_are_refused(http, host):
    answer = http.get("/v1/options", headers={"Host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "/problems/foreign-host")


def test_a_name_of_a_proxy_can_be_allowed(serve, settings):
    app = create_app(settings.model_copy(update={"allowed_hosts": "strata.example, other.example"}))
    with httpx.Client(base_url=serve(app)) as http:
        assert http.get("/v1/options", headers={"Host": "strata.example"}).status_code == 200
        assert http.get("/v1/options", headers={"Host": "evil.example"}).status_code == 421
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


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_and_prometheus_are_answered_by_whatever_name_they_know(http, path):
    assert http.get(path, headers={"Host": "api:8000"}).status_code in (200, 503)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104
def test_in_a_container_a_page_from_anywhere_cannot_use_the_service_either(settings, photo, painting, address):
    """Where the server listens on all addresses, it is published on the host's loopback."""
    listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    port, name = listener.getsockname()[1], "[::1]" if ":" in address else "127.0.0.1"
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://{name}:{port}", timeout=60) as http:
            page = {"Origin": "https://evil.example"}
            for headers in (page, {"Host": "evil.example"}):
                assert http.get("/v1/webhooks/secret", headers=headers).status_code in (403, 421)
                assert http.post("/v1/webhooks/secret/rotate", headers=headers).status_code in (403, 421)
                files = {"content": photo, "style": painting}
                assert http.post("/v1/jobs", files=files, headers=headers).status_code in (403, 421)
            assert http.get("/v1/jobs").json()["items"] == []
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


def test_where_keys_are_asked_for_names_are_the_proxys_affair(serve, settings):
    keys = {"ann": {"hash": hash_of("k")}}
    with httpx.Client(base_url=serve(create_app(Settings(**settings.model_dump(exclude={"keys"}), keys=keys)))) as http:
        headers = {"Host": "strata.example", "Authorization": "Bearer k"}
        assert http.get("/v1/jobs", headers=headers).status_code == 200


def test_the_compose_file_names_the_host_that_its_containers_call() -> None:
    compose = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
    assert compose["services"]["api"]["environment"]["STRATA_ALLOWED_HOSTS"] == "api"
