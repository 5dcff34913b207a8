"""How the threads of a worker behave beside those of its neighbours."""

import os
from typing import Final

_WAIT_POLICY: Final = "OMP_WAIT_POLICY"


def give_way(threads: int) -> None:
    """Before PyTorch is imported: OpenMP reads it once, when it is loaded.

    A worker that is told to use fewer threads than there are cores shares the machine, with other workers as a rule; of
    its own children it knows by itself (worker.cards). Its threads then sleep when they wait for each other: spinning
    ones take the cores from the processes beside them, and slow them down up to ten times.
    """
    if 0 < threads < (os.cpu_count() or 1):
        sleep_while_waiting()


def sleep_while_waiting() -> None:
    """Unless the environment says otherwise. Before PyTorch is imported."""
    os.environ.setdefault(_WAIT_POLICY, "PASSIVE")
