"""Two workers, one queue: each job is one worker's, and a worker that sleeps through its lease changes nothing."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from core.jobs.queue import StylizeQueue
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService

Submit = Callable[..., JobRecord]
LONG = 400


def _files(folder: str, job: JobRecord) -> dict[str, bytes]:
    below = Path(folder) / "jobs" / job.id
    return {str(path.relative_to(below)): path.read_bytes() for path in below.rglob("*") if path.is_file()}


def test_of_ten_messages_for_one_job_two_workers_carry_out_one(
    floor: Any, submit: Submit, redis: Redis, service: JobService
) -> None:
    jobs = [submit(iterations=20) for _ in range(3)]
    messages: Any = redis.lrange(StylizeQueue.NORMAL, 0, -1)
    redis.rpush(StylizeQueue.NORMAL, *messages * 9)
    for _ in range(2):
        floor.worker()

    done = [floor.finished(job) for job in jobs]
    floor.until(lambda: not redis.llen(StylizeQueue.NORMAL))
    floor.until(lambda: floor.told().count("nothing to do") == 9 * len(jobs))

    assert [(job.status, job.attempt) for job in done] == [(JobStatus.SUCCEEDED, 1)] * len(jobs)
    assert [service.get(job.id) for job in jobs] == done
    assert all(floor.told().count(f"job {job.id} attempt 1: succeeded") == 1 for job in jobs)


def test_a_worker_that_wakes_up_beyond_its_lease_changes_nothing_of_the_job_that_another_one_finished(
    floor: Any, submit: Submit, redis: Redis, service: JobService
) -> None:
    floor.courier()
    sleeper = floor.worker(checkpoint_seconds=0.1)
    floor.warm()
    job, undisturbed = submit(iterations=LONG), submit(iterations=LONG)
    floor.reached(job, LONG // 3)
    asleep = (sleeper.popen.pid, sleeper.child)
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    floor.worker()
    done, other = floor.finished(job), floor.finished(undisturbed)
    before = _files(floor.settings.artifacts, job)
    events = redis.xrange(f"strata:events:{job.id}")

    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    floor.until(lambda: f"job {job.id} attempt 1: lost, discarded" in floor.told())

    assert (done.status, done.attempt, other.status) == (JobStatus.SUCCEEDED, 2, JobStatus.SUCCEEDED)
    assert service.get(job.id) == done
    assert redis.xrange(f"strata:events:{job.id}") == events
    after = _files(floor.settings.artifacts, job)
    assert after == {name: data for name, data in before.items() if not name.startswith("1/")}
    assert service.image(job.id) == service.image(other.id)
