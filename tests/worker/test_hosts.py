"""Two machines with names of their own share one queue and one bucket, and one does the work of the other."""

import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from redis import Redis

from cli.roles import worker_command
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService
from core.jobs.store import JobStore
from core.settings import Settings

Submit = Callable[..., JobRecord]
HOSTS = ("north", "south")
_NAMED = 'hostname "$0" && exec "$@"'


def command(host: str) -> tuple[str, ...]:
    """A worker on a machine of that name: in a namespace where it is called so."""
    return ("unshare", "--uts", "sh", "-c", _NAMED, host, *worker_command("INFO"))


@pytest.fixture
def settings(settings: Settings, s3: Any) -> Settings:
    """Those of machines that share nothing but Redis and a bucket."""
    return settings.model_copy(update={"artifacts": s3.url})


@pytest.fixture
def workers(floor: Any, redis: Redis) -> dict[str, Any]:
    """One on each host, ready for work."""
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces can be made here, so all processes have one host name")
    quick = {"lease_seconds": 5.0, "checkpoint_seconds": 0.1}
    workers = {host: floor.start(command(host), host, quick) for host in HOSTS}
    floor.courier()
    store = JobStore(redis, keep_seconds=3600)
    floor.until(lambda: len(store.workers()) == 2)
    assert {name.rpartition("-")[0] for name in store.workers()} == set(HOSTS)
    return workers


def test_both_work_and_both_are_seen(
    workers: dict[str, Any], floor: Any, url: str, service: JobService, submit: Submit
) -> None:
    assert httpx.get(f"{url}/readyz").json()["parts"]["worker"] == {"ok": True, "detail": "2 ready"}

    jobs = [submit(iterations=80) for _ in range(6)]

    assert {floor.finished(job).status for job in jobs} == {JobStatus.SUCCEEDED}

    def done(host: str) -> set[str]:
        return set(re.findall(r"job (\S+) attempt 1: succeeded", workers[host].log.read_text()))

    floor.until(lambda: done("north") | done("south") == {job.id for job in jobs})
    assert all(done(host) for host in HOSTS), "one of them did nothing"
    assert not done("north") & done("south")
    assert all(service.image(job.id).startswith(b"\x89PNG") for job in jobs)


def test_what_a_machine_was_at_when_it_died_is_finished_by_the_other_from_where_it_was(
    workers: dict[str, Any], floor: Any, service: JobService, submit: Submit
) -> None:
    job = submit(iterations=1500)
    floor.until(lambda: any("put aside after" in worker.log.read_text() for worker in workers.values()))
    at_work, other = sorted(workers, key=lambda host: "put aside after" not in workers[host].log.read_text())
    at = service.get(job.id).progress.iteration
    assert service.get(job.id).status is JobStatus.PROCESSING

    workers[at_work].end()

    floor.until(lambda: service.get(job.id).attempt == 2)
    floor.until(lambda: "goes on after iteration" in workers[other].log.read_text())
    finished = floor.finished(job)
    assert (finished.status, finished.attempt) == (JobStatus.SUCCEEDED, 2)
    assert finished.progress.iteration == 1500 > at
    assert service.image(job.id).startswith(b"\x89PNG")
