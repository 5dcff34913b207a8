"""A run that hangs ends its process, whatever hangs in it."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from core.jobs.record import JobRecord
from core.jobs.service import JobService
from core.settings import Settings
from tools.waiting import PATIENCE

Submit = Callable[..., JobRecord]

# `hang` keeps the interpreter's lock, as a device driver may: no thread of Python's runs meanwhile.
PROGRAM = """
import ctypes, sys, time
from core.jobs.artifacts import FolderArtifacts
from core.jobs.connections import connect
from core.jobs.store import JobStore
from worker.drain import Drain
from worker.run import Run
from pathlib import Path

def hang():
    ctypes.PyDLL(None).sleep(600)

def wait():
    time.sleep(600)

url, folder, job_id, how, patience = sys.argv[1:]
store = JobStore(connect(url), keep_seconds=60)
record = store.claim(job_id, 0.6)
with Run(record, store, FolderArtifacts(Path(folder)), 0.6, Drain(), float(patience)):
    print("begun", flush=True)
    {"hang": hang, "wait": wait, "end": lambda: None}[how]()
print("ended", flush=True)
"""


@pytest.fixture
def begun(settings: Settings) -> Callable[..., subprocess.Popen[str]]:
    """`begun(job, how, patience)`: a process in a run of this job."""

    def begin(job: JobRecord, how: str, patience: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, settings.redis_url, settings.artifacts, job.id, how, str(patience)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    return begin


@pytest.mark.parametrize("how", ["hang", "wait"])
def test_a_run_that_hangs_beyond_its_deadline_ends_its_process(
    begun: Callable[..., subprocess.Popen[str]], submit: Submit, how: str
) -> None:
    process = begun(submit(timeout_seconds=0.5), how, 0.5)

    _, told = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert f"in {how}" in told  # where it hangs


def test_a_run_that_is_told_to_stop_and_does_not_ends_its_process(
    begun: Callable[..., subprocess.Popen[str]], submit: Submit, service: JobService
) -> None:
    job = submit(timeout_seconds=3600)
    process = begun(job, "wait", 0.5)
    service.cancel(job.id)

    process.communicate(timeout=PATIENCE)

    assert process.returncode == 1


def test_a_run_that_ends_is_not_ended(begun: Callable[..., subprocess.Popen[str]], submit: Submit) -> None:
    process = begun(submit(timeout_seconds=0.1), "end", 30)
    time.sleep(0.5)

    told, _ = process.communicate(timeout=PATIENCE)

    assert (told, process.returncode) == ("ended\n", 0)
