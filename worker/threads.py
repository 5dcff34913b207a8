"""How the threads of a worker behave beside those of its neighbours."""

import os
from typing import Final

_WAIT_POLICY: Final = "OMP_WAIT_POLICY"


def give_way(threads: int) -> None:
    """Before PyTorch is imported: OpenMP reads it once, when it is loaded.

    A worker that is told to use fewer threads than there are cores shares the machine. Its threads then sleep when they
    wait for each other: spinning ones take the cores from the processes beside them, up to ten times over.
    """
    if 0 < threads < (os.cpu_count() or 1):
        os.environ.setdefault(_WAIT_POLICY, "PASSIVE")
