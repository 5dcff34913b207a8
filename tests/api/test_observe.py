"""What operators see: metrics, request ids, log lines."""

import json
import logging

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from core.jobs.record import JobError, JobMetrics
from core.jobs.store import JobStore
from core.logs import JsonLines
from core.settings import Settings


def told(http) -> dict[tuple[str, ...], float]:
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_jobs_the_queue_and_what_was_done(http, submit, service):
    store = JobStore(service.redis, keep_seconds=60)
    jobs = [submit() for _ in range(3)]
    metrics = JobMetrics(
        iterations=50, queue_seconds=0, engine_seconds=2.5, device="cpu", dtype="float32", network="vgg19", weights="x"
    )
    store.claim(jobs[0]["id"], 30)
    store.finish(jobs[0]["id"], 1, "succeeded", outcome="finished", metrics=metrics)
    store.request_cancel(jobs[1]["id"])
    store.heartbeat("w1", {})
    found = told(http)
    assert found["strata_jobs", "queued"] == 1
    assert found["strata_jobs", "succeeded"] == 1
    assert found["strata_jobs_finished_total", "finished", "succeeded"] == 1
    assert found["strata_jobs_finished_total", "canceled", "canceled"] == 1
    assert (found["strata_queue_depth", "normal"], found["strata_queue_depth", "high"]) == (1, 0)
    assert 0 <= found["strata_queue_oldest_seconds",] < 3600
    assert (found["strata_engine_seconds_total",], found["strata_iterations_total",]) == (2.5, 50)
    assert found["strata_workers",] == 1


def test_metrics_and_readiness_tell_of_the_cards_of_workers(http, service):
    store = JobStore(service.redis, keep_seconds=60)
    network = {"network": "vgg19", "weights": "imagenet1k-v1"}
    card = {"card": "NVIDIA H200", "driver": "570.86.15", "memory_bytes": "150754820096", "memory_used_bytes": "5000"}
    store.heartbeat("a-cpu", network | {"device": "cpu"})
    store.heartbeat("on-a-card", network | {"device": "cuda:0"} | card)
    found = told(http)
    names = sorted(["on-a-card", "cuda:0", "NVIDIA H200", "570.86.15"])
    assert found["strata_workers",] == 2
    assert found["strata_card_memory_bytes", *names] == 150754820096
    assert found["strata_card_memory_used_bytes", *names] == 5000
    assert len([name for name in found if name[0] == "strata_card_memory_bytes"]) == 1
    assert http.get("/readyz").json()["network"] == network | {"device": "cuda:0"} | card


def test_metrics_count_runs_and_what_became_of_those_that_were_lost(http, submit, service):
    store = JobStore(service.redis, keep_seconds=60)
    error = JobError(type="attempts-spent", title="Spent", detail="Spent.")
    before = told(http)
    assert before["strata_claims_total",] == before["strata_leases_lost_total", "spent"] == 0
    assert before["strata_webhook_attempts_total", "failed"] == 0
    assert ("strata_reconciled_seconds",) not in before
    job = submit()["id"]
    for _ in range(2):
        assert store.claim(job, 0) is not None
        store.reclaim(job, 2, error, error)
    store.note_reconciled()
    after = told(http)
    assert after["strata_claims_total",] == 2
    assert {then: after["strata_leases_lost_total", then] for then in ("queued", "spent", "late", "canceled")} == {
        "queued": 1,
        "spent": 1,
        "late": 0,
        "canceled": 0,
    }
    assert 0 <= after["strata_reconciled_seconds",] < 60


def test_metrics_tell_of_the_memory_of_redis_and_its_bound_if_it_has_one(http, service):
    found = told(http)
    assert found["strata_redis_memory_bytes",] > 100_000
    assert ("strata_redis_memory_max_bytes",) not in found
    service.redis.config_set("maxmemory", 2**30)
    try:
        assert told(http)["strata_redis_memory_max_bytes",] == 2**30
    finally:
        service.redis.config_set("maxmemory", 0)


def test_metrics_tell_of_the_disk(http):
    found = told(http)
    assert (found["strata_redis_up",], found["strata_artifacts_writable",]) == (1, 1)
    assert 0 < found["strata_artifacts_free_bytes",] <= found["strata_artifacts_size_bytes",]


def test_without_redis_metrics_say_so_and_tell_the_rest(serve, tmp_path):
    (tmp_path / "file").touch()
    settings = Settings(redis_url=f"unix://{tmp_path}/nobody.sock", artifacts=str(tmp_path / "file"))
    with httpx.Client(base_url=serve(create_app(settings)), timeout=60) as http:
        http.get("/healthz")
        found = told(http)
    assert (found["strata_redis_up",], found["strata_artifacts_writable",]) == (0, 0)
    assert found["strata_http_seconds_count", "/healthz", "200", "GET"] == 1
    assert not [name for name, *_ in found if name.startswith("strata_jobs")]


def test_latency_is_counted_by_route_not_by_path(http, submit):
    job = submit()

    def count() -> float:
        return told(http).get(("strata_http_seconds_count", "/v1/jobs/{job_id}", "200", "GET"), 0)

    before = count()
    http.get(job["urls"]["self"])
    assert count() == before + 1
    assert not [labels for labels in told(http) if job["id"] in labels]


@pytest.mark.parametrize(("sent", "kept"), [("abc-123", True), ("x" * 129, False), ("two words", False)])
def test_a_request_has_an_id_its_clients_if_that_is_a_word(http, sent, kept):
    answer = http.get("/healthz", headers={"X-Request-ID": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.headers["x-request-id"]


def test_an_error_has_the_id_too(http):
    first, second = (http.get("/v1/jobs/x").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_a_log_line_is_json_that_names_request_and_job(http, submit, caplog):
    job = submit()
    with caplog.at_level(logging.INFO, logger="strata.access"):
        http.get(job["urls"]["self"], headers={"X-Request-ID": "r-1"})
        http.get("/healthz")
    record = next(each for each in caplog.records if job["id"] in each.getMessage())
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["status"], line["job_id"], line["method"]) == ("info", 200, job["id"], "GET")
    assert line["time"].endswith("Z")


def test_an_error_in_a_log_line_has_its_traceback():
    try:
        raise ValueError("of no use")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed: %s", ("a\nb",), (ValueError, error, None))
    line = json.loads(JsonLines().format(record))
    assert line["message"] == "failed: a\nb"
    assert "of no use" in line["error"]
