"""Two machines with names of their own share one queue and one bucket: each job is one worker's, or the other's."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from cli.roles import worker_command
from core.jobs.connections import connect
from core.jobs.queue import StylizeQueue, make_celery, ring
from core.jobs.record import JobRecord, JobStatus, Priority
from core.jobs.service import JobService
from core.jobs.store import JobStore
from core.settings import Settings
from tests.storage import Bucket, new_bucket

Submit = Callable[..., JobRecord]
HOSTS = ("north", "south")
LONG = 400
_NAMED = 'hostname "$0" && exec "$@"'


def command(host: str) -> tuple[str, ...]:
    """A worker on a machine of that name: in a namespace where it is called so."""
    return ("unshare", "--uts", "sh", "-c", _NAMED, host, *worker_command("INFO"))


def stored(bucket: Bucket, job: JobRecord) -> dict[str, bytes]:
    """The files of a job, by their names below its folder."""
    _, _, found = bucket.url.rpartition("/")
    folder = f"{found}/jobs/{job.id}/"
    return {name.removeprefix(folder): bucket.read(name) for name in bucket.files() if name.startswith(folder)}


@pytest.fixture(scope="module")
def bucket(_s3_server: str) -> Iterator[Bucket]:
    with new_bucket(_s3_server) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def machines(
    open_floor: Any, start_redis: Callable[[], str], bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A worker on each host, ready for work, and a courier, which share nothing but Redis and a bucket.

    One pair for all of this file: a test may make one of them sleep, and only the last one kills.
    """
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces can be made here, so all processes have one host name")
    base: dict[str, Any] = {"redis_url": start_redis(), "weights": "embedded", "threads": 1}
    settings = Settings(**base, artifacts=bucket.url, lease_seconds=5.0, checkpoint_seconds=0.1)
    with open_floor(settings, tmp_path_factory.mktemp("hosts")) as floor, connect(settings.redis_url) as redis:
        for host in HOSTS:
            floor.start(command(host), host)
        floor.courier()
        store = JobStore(redis, keep_seconds=3600)
        floor.until(lambda: len(store.workers()) == 2)
        assert {name.rpartition("-")[0] for name in store.workers()} == set(HOSTS)
        yield floor


@pytest.fixture
def floor(machines: Any) -> Any:
    return machines


@pytest.fixture
def settings(machines: Any) -> Settings:
    return machines.settings


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    with connect(settings.redis_url) as client:
        yield client


@pytest.fixture
def workers(floor: Any) -> dict[str, Any]:
    return dict(zip(HOSTS, floor.processes, strict=False))


def at_work(workers: dict[str, Any], floor: Any, job: JobRecord) -> tuple[str, str]:
    """The host that has put this job aside, and the other."""
    told = f"job {job.id} attempt 1: put aside after"
    floor.until(lambda: any(told in worker.log.read_text() for worker in workers.values()))
    one, other = sorted(workers, key=lambda host: told not in workers[host].log.read_text())
    return one, other


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


def test_of_ten_messages_for_one_job_one_worker_carries_out_one(
    floor: Any, submit: Submit, redis: Redis, service: JobService
) -> None:
    jobs = [submit(iterations=20) for _ in range(3)]
    with make_celery(floor.settings) as celery:
        for job in jobs * 9:
            ring(celery, job.id, Priority.NORMAL)

    done = [floor.finished(job) for job in jobs]
    floor.until(lambda: all(f"job {job.id} attempt 1: succeeded" in floor.told() for job in jobs))
    floor.until(lambda: not redis.llen(StylizeQueue.NORMAL))
    in_vain = "was rung for, and no job is to be had"  # more often if the reconciler rang, too
    floor.until(lambda: sum(floor.told().count(f"job {job.id} {in_vain}") for job in jobs) >= 9 * len(jobs))

    assert [(job.status, job.attempt) for job in done] == [(JobStatus.SUCCEEDED, 1)] * len(jobs)
    assert [service.get(job.id) for job in jobs] == done
    assert all(floor.told().count(f"job {job.id} attempt 1: succeeded") == 1 for job in jobs)


def test_a_worker_that_wakes_up_beyond_its_lease_changes_nothing_of_the_job_that_another_one_finished(
    workers: dict[str, Any], floor: Any, bucket: Bucket, submit: Submit, redis: Redis, service: JobService
) -> None:
    job = submit(iterations=LONG)
    undisturbed = submit(iterations=LONG)
    host, _ = at_work(workers, floor, job)
    sleeper = workers[host]
    asleep = (sleeper.popen.pid, sleeper.child)
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    done, other = floor.finished(job), floor.finished(undisturbed)
    floor.until(lambda: f"job {job.id} attempt 2: succeeded" in floor.told())  # and nothing more is tidied
    before = stored(bucket, job)
    events = redis.xrange(f"strata:events:{job.id}")

    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    floor.until(lambda: f"job {job.id} attempt 1: lost, discarded" in floor.told())

    assert (done.status, done.attempt, other.status) == (JobStatus.SUCCEEDED, 2, JobStatus.SUCCEEDED)
    assert service.get(job.id) == done
    assert redis.xrange(f"strata:events:{job.id}") == events
    assert stored(bucket, job) == {name: data for name, data in before.items() if not name.startswith("1/")}
    assert service.image(job.id) == service.image(other.id)


def test_what_a_machine_was_at_when_it_died_is_finished_by_the_other_from_where_it_was(
    workers: dict[str, Any], floor: Any, service: JobService, submit: Submit
) -> None:
    job = submit(iterations=500)
    host, other = at_work(workers, floor, job)
    at = service.get(job.id).progress.iteration
    assert service.get(job.id).status is JobStatus.PROCESSING

    workers[host].end()

    floor.until(lambda: service.get(job.id).attempt == 2)
    floor.until(lambda: f"job {job.id}: goes on after iteration" in workers[other].log.read_text())
    finished = floor.finished(job)
    assert (finished.status, finished.attempt) == (JobStatus.SUCCEEDED, 2)
    assert finished.progress.iteration == 500 > at
    assert service.image(job.id).startswith(b"\x89PNG")
