"""The runner against a real API whose queue takes a single job, and no worker: jobs end by being canceled."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rich.console import Console

from cli.client import ApiProblem, Client
from cli.models import Job
from cli.sweep.display import SweepBar
from cli.sweep.grid import Picture, Trial
from cli.sweep.ledger import Ledger, Result
from cli.sweep.runner import Runner
from core.jobs.artifacts import open_artifacts
from core.jobs.pictures import Pictures
from core.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_queued": 1})


@pytest.fixture
def trials(photo: bytes, painting: bytes) -> list[Trial]:
    content, style = Picture("photo", photo), Picture("painting", painting)
    return [Trial({"seed": str(n)}, content, (style,), {"seed": n, "size": 64}) for n in (1, 2, 3)]


class Impatient:
    """Cancels each job once it has seen it, as soon as it is told to wait, or at once."""

    def __init__(self, client: Client, *, at_once: bool = True) -> None:
        self.client = client
        self.at_once = at_once
        self.waits: list[str] = []
        self.most = 0
        self._running: Mapping[str, Job] = {}

    def progress(self, running: Mapping[str, Job], ended: int) -> None:
        self._running = running
        self.most = max(self.most, len(running))
        if self.at_once:
            self._cancel()

    def ended(self, result: Result) -> None:
        pass

    def waiting(self, seconds: float, why: str) -> None:
        assert seconds > 0
        self.waits.append(why)
        self._cancel()

    def _cancel(self) -> None:
        for job in self._running.values():
            self.client.cancel(job)


def runner(client: Client, folder: Path, watcher: Impatient, at_once: int = 1) -> Runner:
    return Runner(client, Ledger(folder, "try"), watcher, priority="normal", at_once=at_once, poll=0.01)


def test_a_full_queue_is_waited_for(
    client: Client, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.store._QUEUE_FULL_RETRY_SECONDS", 1)
    watcher = Impatient(client, at_once=False)
    ended: list[Result] = []
    for result in runner(client, tmp_path, watcher, at_once=3).run(trials):
        ended.append(result)
        if len(ended) == 2:
            watcher.at_once = True  # nothing is left that could be refused
    assert [result.status for result in ended] == ["canceled"] * 3
    assert len(watcher.waits) >= 2
    assert all("full" in why.lower() or "queued" in why.lower() for why in watcher.waits)


def test_no_more_jobs_are_under_way_than_asked_for(client: Client, trials: list[Trial], tmp_path: Path) -> None:
    watcher = Impatient(client)
    ended = list(runner(client, tmp_path, watcher).run(trials))
    assert [result.status for result in ended] == ["canceled"] * 3
    assert watcher.most == 1
    assert watcher.waits == []


def test_jobs_carry_the_sweeps_name_and_their_place_in_it(client: Client, trials: list[Trial], tmp_path: Path) -> None:
    (ended,) = runner(client, tmp_path, Impatient(client)).run(trials[:1])
    assert ended.job is not None
    assert client.get(ended.job).metadata == {"sweep": "try", "trial": trials[0].name, "seed": "1"}


def test_each_picture_is_sent_once_however_many_jobs_use_it(
    client: Client, trials: list[Trial], tmp_path: Path
) -> None:
    sent: list[tuple[str, bytes]] = []
    client._http.event_hooks["request"] = [lambda request: sent.append((request.url.path, request.read()))]
    ended = list(runner(client, tmp_path, Impatient(client)).run(trials))
    assert [path for path, _ in sent].count("/v1/images") == 2  # the photo and the painting, for three jobs
    assert [b"PNG" in body for path, body in sent if path == "/v1/jobs"] == [False] * 3
    assert len({result.job.content.id for result in ended if result.job}) == 1


def test_pictures_that_the_service_dropped_meanwhile_are_sent_again(
    client: Client, trials: list[Trial], tmp_path: Path, redis: Redis, settings: Settings
) -> None:
    uploads = Pictures(redis, open_artifacts(settings.artifacts), keep_seconds=1)

    class Dropping(Impatient):
        def ended(self, result: Result) -> None:
            assert result.job is not None
            client._call("DELETE", f"/v1/jobs/{result.job.id}")
            assert uploads.expire(datetime.now(UTC) + timedelta(days=400), 10) in (0, 2)

    ended = list(runner(client, tmp_path, Dropping(client)).run(trials))
    assert [result.status for result in ended] == ["canceled"] * 3


def test_an_interrupted_sweep_goes_on_with_the_jobs_it_had(client: Client, trials: list[Trial], tmp_path: Path) -> None:
    class Interrupting(Impatient):
        def progress(self, running: Mapping[str, Job], ended: int) -> None:
            if running:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(runner(client, tmp_path, Interrupting(client)).run(trials))
    (submitted,) = json.loads((tmp_path / "manifest.json").read_text())["jobs"].values()
    ended = list(runner(client, tmp_path, Impatient(client)).run(trials))
    assert ended[0].job is not None
    assert ended[0].job.id == submitted
    again = list(runner(client, tmp_path, Impatient(client)).run(trials))
    assert [result.job for result in again] == [result.job for result in ended]


def test_a_job_the_service_no_longer_knows_is_submitted_again(
    client: Client, trials: list[Trial], tmp_path: Path
) -> None:
    lost = {"sweep": "try", "jobs": {trials[0].name: "0" * 32}}
    (tmp_path / "manifest.json").write_text(json.dumps(lost))
    (ended,) = runner(client, tmp_path, Impatient(client)).run(trials[:1])
    assert ended.status == "canceled"
    assert ended.job is not None
    assert ended.job.id != "0" * 32


def test_a_refused_trial_is_a_result_that_names_the_field_and_is_asked_again_the_next_time(
    client: Client, photo: bytes, tmp_path: Path
) -> None:
    content = Picture("photo", photo)
    bad = Trial({"size": "5"}, content, (content,), {"size": 5})
    for _ in range(2):
        (ended,) = runner(client, tmp_path, Impatient(client)).run([bad])
        assert (ended.status, ended.job, ended.picture) == ("refused", None, None)
        assert "/options/size" in ended.reason


def test_a_service_that_refuses_us_as_such_ends_the_sweep(url: str, trials: list[Trial], tmp_path: Path) -> None:
    with Client(f"{url}/nowhere/") as lost, pytest.raises(ApiProblem) as refusal:
        list(runner(lost, tmp_path, Impatient(lost)).run(trials))
    assert refusal.value.status == 404


@pytest.mark.parametrize("terminal", [True, False])
def test_a_sweep_shows_what_runs_what_it_waits_for_and_what_ended(
    terminal: bool, client: Client, trials: list[Trial]
) -> None:
    metadata = {"sweep": "try", "trial": trials[0].name, **trials[0].values}
    job = client.submit(trials[0].content.data, trials[0].styles[0].data, metadata=metadata)
    paper = io.StringIO()
    with SweepBar("try", 3, Console(file=paper, force_terminal=terminal, width=120)) as bar:
        bar.progress({trials[0].name: job}, ended=0)
        bar.waiting(30, "The queue is full.")
        bar.waiting(30, "The queue is full.")
        bar.ended(Result(trials[1], refusal="/options/size is wrong"))
        bar.progress({}, ended=1)
    said = paper.getvalue()
    assert said.count("The queue is full.") == 1
    assert "seed 2" in said
    assert "/options/size is wrong" in said
    if terminal:
        assert "1/3" in said
