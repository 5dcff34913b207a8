"""Several small jobs at once on one device: as many workers, each with its share of the processor, against one.

python -m benchmarks.side_by_side 128 4 2 cpu    # four runs, in this process, on two threads
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import torch

from benchmarks.paired import Row, in_turns
from benchmarks.subject import Subject

_RUNS = 8
_ITERATIONS = 30
_READY = "ready"


def rows(size: int, workers: tuple[int, ...], device: str, rounds: int) -> Iterator[Row]:
    cores = os.cpu_count() or 1
    for many in workers:
        measured = in_turns(
            lambda many=many: _jobs_an_hour(many, size, max(1, cores // many), device),  # type: ignore[misc]
            lambda: _jobs_an_hour(1, size, cores, device),
            rounds,
        )
        title = f"strata-small, {size} px, {_ITERATIONS} iterations, {_RUNS} jobs"
        yield Row(title, f"{many} workers", "1 worker", measured, "jobs/h")


def _jobs_an_hour(workers: int, size: int, threads: int, device: str) -> float:
    """Everybody is warm before anybody begins."""
    command = [sys.executable, "-m", "benchmarks.side_by_side", str(size), str(_RUNS // workers), str(threads), device]
    begun = [_started(command, alone=workers == 1) for _ in range(workers)]
    for process in begun:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        process.stdout.readline()
    clock = Subject(torch.device("cpu")).now
    start = clock()
    for process in begun:
        process.communicate("go\n")
    return _RUNS // workers * workers / (clock() - start) * 3600


def _started(command: list[str], *, alone: bool) -> subprocess.Popen[str]:
    """As a worker starts its children: beside others, threads that wait sleep."""
    environment = os.environ if alone else {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def run(size: int, runs: int, threads: int, device: str) -> None:
    torch.set_num_threads(threads)
    subject = Subject(torch.device(device), network_name="strata-small")
    options = subject.options(size, _ITERATIONS, network="strata-small")
    subject.ours(options)
    print(_READY, flush=True)
    sys.stdin.readline()
    for _ in range(runs):
        subject.ours(options)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
