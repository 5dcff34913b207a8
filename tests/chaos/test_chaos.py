"""Every accepted job comes to exactly one end, whatever befalls the service: `make chaos` prints the table.

STRATA_CHAOS_ROUNDS: how often each fault strikes, 1 unless set; then the faults are shorter, too.
STRATA_CHAOS_JOBS: how many jobs are sent at least. STRATA_CHAOS_SEED: which storm it is.
"""

import os
from pathlib import Path

import pytest

from tools.chaos.faults import faults
from tools.chaos.invariants import broken
from tools.chaos.receiver import Receiver
from tools.chaos.service import Service
from tools.chaos.storm import table, weathered

ROUNDS = int(os.environ.get("STRATA_CHAOS_ROUNDS", "1"))
JOBS = int(os.environ.get("STRATA_CHAOS_JOBS", "30"))
SEED = int(os.environ.get("STRATA_CHAOS_SEED", "1"))

SHORT = faults(redis_pause=5, worker_pause=5, spell=2)
FULL = faults(redis_pause=30, worker_pause=10, spell=10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_accepted_job_comes_to_one_end_whatever_befalls_the_service(
    tmp_path: Path, photo: bytes, painting: bytes
) -> None:
    with Receiver() as receiver, Service(tmp_path, receiver.url, photo, painting, max_attempts=10) as service:
        service.until(service.ready, "the service to come up")
        report = weathered(service, receiver, FULL if ROUNDS > 1 else SHORT, ROUNDS, JOBS, SEED)
        print(f"\n{table(report)}")  # noqa: T201 - what `make chaos` is for
        assert broken(service, receiver) == []
    assert report.jobs >= JOBS
