"""Everything ends at once, right after jobs were accepted, and is started again in the same folder."""

import os
import re
import signal
from pathlib import Path

import pytest

from tools.chaos import processes
from tools.chaos.receiver import Receiver
from tools.chaos.service import Sent, Service

LONG = 1000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_that_were_accepted_a_moment_before_everything_ended_are_done_after_the_next_start(
    tmp_path: Path, photo: bytes, painting: bytes, how: signal.Signals
) -> None:
    with Receiver() as receiver:
        with Service(tmp_path, receiver.url, photo, painting, drain_seconds=0, lease_seconds=6.0) as first:
            first.until(first.ready, "the service to come up")
            at_work = first.submit(Sent(LONG))
            first.until(lambda: first.started(at_work), "a job to begin")
            jobs = [at_work, *(first.submit(Sent(3)) for _ in range(3))]
            if how is signal.SIGKILL:
                first.until(lambda: _put_aside(tmp_path), "a checkpoint, as nobody is asked for one now")
            everything = processes.below(first.process.pid, processes.running())
            first.process.send_signal(how)
            first.until(lambda: not everything & processes.running().keys(), "everything to end")
        with Service(tmp_path, receiver.url, photo, painting, lease_seconds=6.0) as second:
            second.until(lambda: all(second.ended(job) for job in jobs), "the jobs to end")
            second.until(lambda: all(receiver.events_of(job) for job in jobs), "the callbacks")
            looked = {job: second.job(job) for job in jobs}
            assert {job: at["status"] for job, at in looked.items()} == dict.fromkeys(jobs, "succeeded")
            assert looked[at_work]["attempt"] == 2
            assert f"job {at_work}: goes on after iteration" in second.log.read_text()


def test_a_rolling_restart_of_every_role_loses_no_iteration(tmp_path: Path, photo: bytes, painting: bytes) -> None:
    with (
        Receiver() as receiver,
        Service(
            tmp_path, receiver.url, photo, painting, drain_seconds=0, checkpoint_seconds=3600, lease_seconds=6.0
        ) as service,
    ):
        service.until(service.ready, "the service to come up")
        job = service.submit(Sent(3 * LONG))
        for turn in (1, 2):
            service.until(lambda turn=turn: _iteration(service, job) > turn * 20, "the job to go on")  # type: ignore[misc]
            for role in ("API", "courier", "worker"):
                (pid,) = service.role(role)
                os.kill(pid, signal.SIGTERM)
                service.until(lambda role=role, pid=pid: service.role(role) not in ([], [pid]), f"a new {role}")  # type: ignore[misc]
            seen = _iteration(service, job)
            told = f"attempt {turn}: handed back"
            service.until(lambda told=told: told in service.log.read_text(), "the job to be handed back")  # type: ignore[misc]
            service.until(lambda turn=turn: service.job(job).get("attempt") == turn + 1, "it to be taken up")  # type: ignore[misc]
            service.until(lambda turn=turn: _went_on(service, job) == turn, "it to go on")  # type: ignore[misc]
            service.until(lambda seen=seen: _iteration(service, job) >= seen, "its progress")  # type: ignore[misc]
        service.until(lambda: service.ended(job), "the job to end")
        assert service.job(job)["status"] == "succeeded"
        assert _lost_iterations(service, job) == []


def _put_aside(folder: Path) -> bool:
    return any(folder.rglob("checkpoint*"))


def _iteration(service: Service, job: str) -> int:
    return int(service.job(job).get("progress", {}).get("iteration", 0))


def _went_on(service: Service, job: str) -> int:
    return service.log.read_text().count(f"job {job}: goes on after iteration")


def _lost_iterations(service: Service, job: str) -> list[str]:
    """What was put aside by each attempt, where the next one did not go on from there."""
    text = service.log.read_text()
    aside = re.findall(rf"job {job} attempt \d+: put aside after iteration (\d+)", text)
    taken = re.findall(rf"job {job}: goes on after iteration (\d+)", text)
    return [] if aside == taken else [f"put aside {aside}, taken up {taken}"]
