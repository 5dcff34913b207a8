"""The supervisor with real processes: nothing of them survives it, in whichever way it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.supervisor import Role, Supervisor
from tools.waiting import until

SHORT = ((signal.SIGTERM, 0.5),)


def python(name: str, code: str, **more: object) -> Role:
    return Role(name, (sys.executable, "-Sc", code), colour="red", **more)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(said: list[tuple[str, str]]) -> Iterator[Supervisor]:
    supervisor = Supervisor(lambda role, line: said.append((role.name, line)))
    yield supervisor
    supervisor.stop()


def pids(said: list[tuple[str, str]], count: int = 1) -> list[int]:
    until(lambda: sum(line.isdigit() for _, line in said) >= count, lambda: said)
    return [int(line) for _, line in said if line.isdigit()]


SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def test_what_a_process_says_arrives_under_its_name(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    supervisor.start(python("poet", "import sys; print('out'); print('err', file=sys.stderr)"))
    until(lambda: {("poet", "out"), ("poet", "err")} <= set(said))


def test_a_process_that_dies_is_started_again(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    supervisor.start(python("sleeper", SLEEP))
    (first,) = pids(said)
    os.kill(first, signal.SIGKILL)

    def tended() -> bool:
        supervisor.tend()
        return sum(line.isdigit() for _, line in said) == 2

    until(tended)
    assert alive(pids(said)[1])
    assert any("killed by SIGKILL" in line for _, line in said)


def test_each_early_death_makes_the_next_start_wait_longer(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    supervisor.start(python("failing", "raise SystemExit(3)"))

    def thrice() -> bool:
        supervisor.tend()
        return sum("exit code 3" in line for _, line in said) == 3

    until(thrice)
    pauses = [float(line.split()[-2]) for _, line in said if "exit code 3" in line]
    assert pauses == sorted(set(pauses))


def test_stopping_ends_what_a_process_started_itself(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-Sc', {SLEEP!r}])"
    supervisor.start(python("parent", child, farewell=SHORT))
    (grandchild,) = pids(said)
    supervisor.stop()
    until(lambda: not alive(grandchild))


def test_a_process_that_ignores_the_signal_is_killed(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
    supervisor.start(python("deaf", deaf, farewell=SHORT))
    (pid,) = pids(said)
    supervisor.stop()
    assert not alive(pid)


def test_processes_end_in_the_opposite_order(supervisor: Supervisor, said: list[tuple[str, str]]) -> None:
    polite = f"import atexit, signal, sys; signal.signal(signal.SIGTERM, lambda *a: sys.exit()); {SLEEP}"
    telling = "import atexit; atexit.register(print, 'bye', flush=True); "
    supervisor.start(python("below", telling + polite))
    supervisor.start(python("above", telling + polite))
    pids(said, count=2)
    supervisor.stop()
    until(lambda: sum(line == "bye" for _, line in said) == 2)
    assert [name for name, line in said if line == "bye"] == ["above", "below"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_processes_end_when_the_supervisor_is_killed() -> None:
    code = f"""
import time
from cli.supervisor import Role, Supervisor
supervisor = Supervisor(lambda role, line: print(line, flush=True))
supervisor.start(Role("sleeper", ({sys.executable!r}, "-Sc", {SLEEP!r}), colour="red"))
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    until(lambda: not alive(pid))
