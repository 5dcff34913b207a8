"""Errors that no field is to blame for, and the page that explains each kind."""

import re
from pathlib import Path

import httpx
import pytest

from api import problem_types, problems
from api.app import create_app
from core.jobs import errors as jobs_errors

DOCS = Path(__file__).parents[2] / "docs" / "problems.md"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing/here", 404, "not-found"),
        ("GET", "/v1/jobs/a/b", 404, "not-found"),
        ("PUT", "/v1/jobs", 405, "method-not-allowed"),
        ("DELETE", "/docs", 405, "method-not-allowed"),
        ("GET", "/docs/assets/none.js", 404, "not-found"),
        ("GET", "/problems/none", 404, "not-found"),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(http, method, path, status, kind):
    answer = http.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (status, status, f"/problems/{kind}")
    assert problem["instance"] == path
    assert problem["title"]
    assert problem["detail"]
    if status == 405:
        assert answer.headers["allow"]


def test_an_unexpected_error_is_a_problem_that_gives_nothing_away(serve, settings):
    app = create_app(settings)

    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError("the secret is 42")

    answer = httpx.get(f"{serve(app)}/fault")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "42" not in answer.text


def test_every_error_of_the_contract_has_a_problem_type():
    def below(kind):
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    # A picture that should be there and is not: nothing the client could mend.
    ours = {jobs_errors.JobsError, jobs_errors.ArtifactMissing}
    mapped = set(problems.OF_JOBS_ERROR)
    assert [kind for kind in below(jobs_errors.JobsError) - ours if not mapped & set(kind.__mro__)] == []
    assert set(problems.OF_REFUSED_PICTURE) == set(jobs_errors.RefusalReason.__args__)


def test_every_type_is_explained_where_it_points(http):
    listed = http.get("/problems").text
    for kind in problem_types.TYPES:
        page = http.get(kind.uri)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert kind.uri in page.text
        assert kind.uri in listed


def test_every_reason_for_a_failed_job_is_documented_and_no_other():
    from worker import failures, reconcile, stylize  # brings torch, which nothing else here needs

    kinds = {kind for kind, _ in failures.FAILURES.values()} | {stylize._DEADLINE[0], failures.UNEXPECTED.type}
    kinds |= {reconcile._LATE.type, reconcile._spent(1).type}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", DOCS.read_text(), re.MULTILINE)) == kinds


def test_every_type_is_documented_and_no_other():
    found = re.findall(r"^## `/problems/([a-z-]+)` \((\d+)\)\n\n\*\*(.+)\*\* (.+)$", DOCS.read_text(), re.MULTILINE)
    assert found == [(k.name, str(k.status), f"{k.title}.", k.meaning) for k in problem_types.TYPES]
