"""A sweep's folder: which job each trial became, and what came of it. An interrupted sweep goes on from here."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli.models import Job
from cli.sweep.grid import Trial

MANIFEST: Final = "manifest.json"
RUNS: Final = "runs"


@dataclass(frozen=True)
class Result:
    """What came of a trial.

    job: as it ended; None when the server refused to take it, for the reason in `refusal`.
    losses: one entry per evaluation, as GET /v1/jobs/{id}/losses has them.
    picture: the file of the finished picture, if there is one.
    """

    trial: Trial
    job: Job | None = None
    refusal: str | None = None
    losses: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    picture: Path | None = None

    @property
    def status(self) -> str:
        return "refused" if self.job is None else self.job.status

    @property
    def reason(self) -> str:
        """Why there is no picture; empty when there is one."""
        if self.refusal is not None:
            return self.refusal
        error = self.job.error if self.job else None
        return f"{error.title}: {error.detail}" if error else ""

    @property
    def seconds(self) -> float | None:
        """From the start of the job to its end."""
        job = self.job
        if job is None or job.started_at is None or job.completed_at is None:
            return None
        return (job.completed_at - job.started_at).total_seconds()


class Ledger:
    """Everything is written aside and renamed, so that what is there is whole."""

    def __init__(self, folder: Path, sweep: str) -> None:
        self.folder = folder
        self.sweep = sweep
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        manifest = folder / MANIFEST
        self._jobs: dict[str, str] = json.loads(manifest.read_text())["jobs"] if manifest.is_file() else {}

    def job(self, trial: Trial) -> str | None:
        """The id of the job a trial became, in this run or an earlier one."""
        return self._jobs.get(trial.name)

    def note(self, trial: Trial, job_id: str) -> None:
        """The trial has become this job."""
        self._jobs[trial.name] = job_id
        self._write(MANIFEST, json.dumps({"sweep": self.sweep, "jobs": self._jobs}, indent=1).encode())

    def keep(self, result: Result, image: bytes | None) -> Result:
        """Save how a job ended. Returns the result with its picture's place."""
        assert result.job is not None  # noqa: S101 - a refused trial is asked again the next time
        if image is not None:
            self._write(self._image(result.trial), image)
        facts = {
            "values": dict(result.trial.values),
            "options": dict(result.trial.options),
            "job": result.job.model_dump(mode="json"),
            "losses": list(result.losses),
        }
        self._write(self._record(result.trial), json.dumps(facts).encode())
        return self._result(result.trial, facts)

    def result(self, trial: Trial) -> Result | None:
        """How the trial's job ended; None while it has not."""
        path = self.folder / self._record(trial)
        return self._result(trial, json.loads(path.read_text())) if path.is_file() else None

    def forget(self, trial: Trial) -> None:
        """As if the trial had never been run."""
        (self.folder / self._record(trial)).unlink(missing_ok=True)
        self._jobs.pop(trial.name, None)

    def _result(self, trial: Trial, facts: Mapping[str, Any]) -> Result:
        image = self.folder / self._image(trial)
        picture = image if image.is_file() else None
        return Result(trial, Job.model_validate(facts["job"]), None, tuple(facts["losses"]), picture)

    def _record(self, trial: Trial) -> str:
        return f"{RUNS}/{trial.name}.json"

    def _image(self, trial: Trial) -> str:
        return f"{RUNS}/{trial.name}.png"

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        aside = path.with_suffix(path.suffix + ".part")
        aside.write_bytes(data)
        os.replace(aside, path)
