"""Keeps a handful of processes running in one terminal, and leaves none behind."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1
BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_SECONDS: Final = 60.0
"""A process that lived so long has recovered: its next death is a first one."""
TICK_SECONDS: Final = 0.1
PUMP_SECONDS: Final = 2.0
"""How long the last lines of a process that ended are waited for."""

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Role:
    """A process to keep running.

    env: variables beside our own; None takes one away.
    farewell: the signals that ask it to end, each with the seconds it is given; SIGKILL follows.
    orphaned: the signal it gets when this process dies without a word (Linux only).
    """

    name: str
    argv: tuple[str, ...]
    colour: str
    env: Mapping[str, str | None] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    farewell: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 5.0),)
    orphaned: signal.Signals = signal.SIGTERM


Say = Callable[[Role, str], None]
"""Where a line of a process, or about it, goes. Called from several threads."""


class _Child:
    """One role's process, its successors included."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.process: subprocess.Popen[str] | None = None
        self.pump: threading.Thread | None = None
        self.started = 0.0
        self.failures = 0
        self.due = 0.0

    def start(self, say: Say) -> None:
        # Of its own session: Ctrl-C in the terminal reaches only us, and we choose who ends first.
        self.process = subprocess.Popen(  # noqa: S603 - our own argument list, no shell
            self.role.argv,
            env={name: value for name, value in {**os.environ, **self.role.env}.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            pass_fds=self.role.pass_fds,
            start_new_session=True,
            preexec_fn=self._die_with_parent if _libc else None,
        )
        self.started = time.monotonic()
        self.pump = threading.Thread(target=self._pump, args=(self.process, say), daemon=True)
        self.pump.start()

    def _die_with_parent(self) -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(self.role.orphaned))

    def _pump(self, process: subprocess.Popen[str], say: Say) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for above
        with process.stdout as lines:
            for line in lines:
                if text := line.rstrip():
                    say(self.role, text)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def sweep(self) -> None:
        """Kill the process and what it started and left behind."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.pump is not None:
            self.pump.join(PUMP_SECONDS)


class Supervisor:
    """Starts roles in order, starts again whichever dies, and stops them in the opposite order.

    Call it from the main thread only: Linux ties the life of the processes to the thread that started them.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._children: list[_Child] = []

    def start(self, role: Role) -> None:
        """Start a role, and keep it from now on."""
        child = _Child(role)
        self._children.append(child)
        child.start(self._say)

    def dead(self) -> Sequence[Role]:
        """The roles that have no process at this moment."""
        return [child.role for child in self._children if not child.alive]

    def tend(self) -> None:
        """Start again whichever died, later each time it dies soon. Call it several times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.alive:
                continue
            if not child.due:
                self._mourn(child, now)
            elif now >= child.due:
                child.due = 0.0
                child.start(self._say)

    def _mourn(self, child: _Child, now: float) -> None:
        assert child.process is not None  # noqa: S101 - it was started before it died
        child.sweep()
        child.failures = 1 if now - child.started > STEADY_SECONDS else child.failures + 1
        pause = BACKOFF_SECONDS[min(child.failures, len(BACKOFF_SECONDS)) - 1]
        child.due = now + pause
        self._say(child.role, f"ended ({_verdict(child.process.returncode)}); starting it again in {pause:g} s")

    def stop(self, hurry: threading.Event | None = None) -> None:
        """End every process, and what it started. `hurry`, once set, kills instead of asking."""
        impatient = hurry or threading.Event()
        for child in reversed(self._children):
            for number, seconds in child.role.farewell:
                if not child.alive or impatient.is_set():
                    break
                child.signal(number)
                _until(lambda child=child: not child.alive or impatient.is_set(), seconds)  # type: ignore[misc]
            child.sweep()
        self._children.clear()


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(TICK_SECONDS / 2)


def _verdict(returncode: int) -> str:
    return f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
