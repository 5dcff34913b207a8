"""Workers that share a machine do not take the cores from each other while they wait."""

import os
import subprocess
import sys

import pytest

from core.settings import Settings

CORES = os.cpu_count() or 1
PROGRAM = """
import os
import worker.app
from worker.cards import Slots, prepare_child
prepare_child(worker.app._places(), 0)
print(os.environ.get("OMP_WAIT_POLICY"))
"""


def policy(settings: Settings, **variables: str) -> str:
    """What a worker's child has told OpenMP when it is about to import PyTorch."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"STRATA_REDIS_URL": settings.redis_url, "STRATA_DEVICE": "cpu", **variables}
    said = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_a_worker_that_has_the_machine_to_itself_is_left_to_spin(settings: Settings) -> None:
    assert policy(settings) == "None"
    assert policy(settings, STRATA_THREADS=str(CORES)) == "None"


@pytest.mark.skipif(CORES == 1, reason="there is nothing to share")
def test_one_that_was_given_some_of_the_cores_sleeps_when_it_waits(settings: Settings) -> None:
    assert policy(settings, STRATA_THREADS="1") == "PASSIVE"


def test_so_do_the_children_of_one_worker(settings: Settings) -> None:
    assert policy(settings, STRATA_SLOTS="2") == "PASSIVE"


def test_what_was_chosen_stays(settings: Settings) -> None:
    assert policy(settings, STRATA_SLOTS="2", OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"
