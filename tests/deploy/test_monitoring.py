"""Rules, dashboard and autoscaling ask for what /metrics tells, and the rules fire when they should and only then."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from starlette.types import ASGIApp

from api.app import create_app
from core.jobs.deliveries import RESULTS
from core.jobs.record import JobError, JobMetrics, JobStatus
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "strata.rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
DASHBOARD: Mapping[str, Any] = json.loads((DEPLOY / "grafana" / "strata.json").read_text())

Serving = Callable[[ASGIApp], AbstractContextManager[str]]
Told = Mapping[str, list[Mapping[str, str]]]

_METRIC = re.compile(r"\b(strata_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"')


def queries() -> Iterator[tuple[str, str]]:
    """Where each stands, and what it asks."""
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    scaled = yaml.safe_load((DEPLOY / "kubernetes" / "components" / "keda" / "worker.yaml").read_text())
    for trigger in scaled["spec"]["triggers"]:
        yield "keda", trigger["metadata"]["query"]


@pytest.fixture
def told(
    serving: Serving, settings: Settings, service: JobService, redis: Redis, photo: bytes, painting: bytes
) -> Told:
    """What a service that has done a bit of everything tells, as Prometheus reads it: labels by name."""
    store = JobStore(redis, keep_seconds=60)
    measured = JobMetrics(
        iterations=5, queue_seconds=0, engine_seconds=1, device="cpu", dtype="float32", network="vgg19", weights="x"
    )
    ends: list[tuple[JobStatus, dict[str, Any]]] = [
        (JobStatus.SUCCEEDED, {"outcome": "finished", "metrics": measured}),
        (JobStatus.FAILED, {"error": JobError(type="engine", title="No", detail="No.")}),
    ]
    for status, fields in ends:
        job = store.claim(service.submit(Submission(photo, [painting], {})).id, 30)
        assert job is not None
        store.finish(job.id, job.attempt, status, **fields)
    redis.config_set("maxmemory", 2**30)
    store.heartbeat("w", {})
    store.note_reconciled()
    with serving(create_app(settings)) as url:
        httpx.post(f"{url}/v1/jobs", files={"content": photo, "style": painting})
        text = httpx.get(f"{url}/metrics").text
    redis.config_set("maxmemory", 0)
    found: dict[str, list[Mapping[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def test_whatever_is_asked_for_is_told(told: Told) -> None:
    asked = [(where, *match.groups()) for where, query in queries() for match in _METRIC.finditer(query)]
    assert len(asked) > 40
    for where, name, matchers in asked:
        assert name in told, f"{where}: {name} is not told"
        for label, how, value in _MATCHER.findall(matchers or ""):
            values = {labels[label] for labels in told[name] if label in labels}
            assert values, f"{where}: {name} has no {label}"
            if how == "=" and label != "status":
                assert value in values, f"{where}: {name} has {label} {sorted(values)}"
            if name == "strata_jobs":
                assert set(value.split("|")) <= values


def test_labels_that_are_joined_by_are_there(told: Told) -> None:
    known = {label for samples in told.values() for labels in samples for label in labels}
    for where, query in queries():
        for named in re.findall(r"\bby \(([^)]*)\)", query):
            assert set(re.split(r",\s*", named)) <= known, f"{where}: {named}"


def test_results_of_callbacks_are_counted_from_nothing(told: Told) -> None:
    """A counter that appears with its first event has no increase to alert on."""
    assert {labels["result"] for labels in told["strata_webhook_attempts_total"]} == set(map(str, RESULTS))
    assert {labels["then"] for labels in told["strata_leases_lost_total"]} >= {"queued", "spent"}


def test_numbers_of_the_whole_service_are_not_summed_over_its_api_processes(told: Told) -> None:
    whole = {name for name in told if not name.startswith("strata_http_")}
    for where, query in queries():
        for summed in re.findall(r"\bsum(?: by \([^)]*\))? ?\((?:rate|increase)?\(?(strata_\w+)", query):
            assert summed not in whole, f"{where}: sum of {summed}"


def test_every_alert_is_explained_where_it_says() -> None:
    pages: dict[str, str] = {}
    for rule in ALERTS:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        text = pages.setdefault(page, (ROOT / page).read_text())
        assert anchor == rule["alert"].lower()
        assert re.search(rf"^#+ {rule['alert']}$", text, re.MULTILINE), f"{page} does not explain {rule['alert']}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    headings = set(re.findall(r"^#+ (Strata[A-Z]\w+)$", "\n".join(pages.values()), re.MULTILINE))
    assert headings == {rule["alert"] for rule in ALERTS}


def test_the_dashboard_is_one() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 15
    assert {"uid", "title", "schemaVersion", "templating", "time"} <= DASHBOARD.keys()
    (source,) = DASHBOARD["templating"]["list"]
    for panel in panels:
        assert panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, "two panels lie on each other"


@pytest.fixture
def promtool() -> Callable[..., None]:
    """`promtool(*words)`: fails with what it says. Of Debian's package `prometheus`."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")

    def run(*words: str) -> None:
        done = subprocess.run([program, *words], capture_output=True, text=True, cwd=DEPLOY / "prometheus")
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_prometheus_takes_the_rules_and_they_fire_when_they_should(promtool: Callable[..., None]) -> None:
    promtool("check", "rules", "strata.rules.yml")
    promtool("test", "rules", "strata.rules.test.yml")


def test_every_alert_is_shown_to_fire_and_to_be_silent() -> None:
    cases = yaml.safe_load((DEPLOY / "prometheus" / "strata.rules.test.yml").read_text())["tests"]
    fires = {case["alertname"] for test in cases for case in test["alert_rule_test"] if case.get("exp_alerts")}
    silent = {case["alertname"] for test in cases for case in test["alert_rule_test"] if not case.get("exp_alerts")}
    assert fires == silent == {rule["alert"] for rule in ALERTS}


def test_prometheus_takes_every_query(promtool: Callable[..., None], tmp_path: Path) -> None:
    asked = [query.replace("$__rate_interval", "5m") for _, query in queries()]
    rules = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(asked)]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", str(path))
