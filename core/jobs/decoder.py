"""Decoding where a bomb cannot hurt: child processes with limited memory and time, replaced when they die."""

import contextlib
import multiprocessing
import os
import queue
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from core.jobs.canonical import Canonical, PictureLimits, UnusablePictureError, canonical
from core.jobs.renditions import Rendition, rendered

_MAX_CHILDREN: Final = 4
_START_SECONDS: Final = 30.0
# Measured: 836 MB for 50 megapixels with alpha, profile and turn; noise adds its PNG twice (400 MB).
_BASE_BYTES: Final = 512 * 2**20
_BYTES_PER_PIXEL: Final = 24

_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork would copy the API's threads and locks

T = TypeVar("T")


@dataclass(frozen=True)
class _Refused:
    """What a child says of a picture that it could not do."""

    why: str


class Decoders:
    """A few children, started when first needed, each busy with one picture at a time.

    Safe to share between threads; a caller waits while all are busy.
    """

    def __init__(
        self,
        limits: PictureLimits,
        seconds: float,
        children: int | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """`seconds`: a picture that takes longer is refused and its child replaced.

        `memory_bytes`: address space of a child; None for enough for the most pixels allowed.
        """
        self._limits = limits
        self._seconds = seconds
        self._memory = memory_bytes or _BASE_BYTES + _BYTES_PER_PIXEL * limits.max_pixels
        count = children or min(_MAX_CHILDREN, os.cpu_count() or 1)
        # Last in, first out: one caller at a time keeps using one child, and the others never start.
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._count = count

    def canonical(self, data: bytes) -> Canonical:
        """Raises UnusablePictureError, also when the child died or ran out of time."""
        return self._done(canonical, data, self._limits)

    def rendered(self, png: bytes, rendition: Rendition) -> bytes:
        """A stored picture in another form. Raises UnusablePictureError, as `canonical`."""
        return self._done(rendered, png, rendition)

    def close(self) -> None:
        """End the children. Waits for pictures in work; a later call starts new ones."""
        for child in [self._idle.get() for _ in range(self._count)]:
            if child is not None:
                child.kill()
            self._idle.put(None)

    def _done(self, work: Callable[[bytes, Any], T], data: bytes, how: object) -> T:
        with self._child() as child:
            return child.do(work, data, how, self._seconds)

    @contextmanager
    def _child(self) -> Iterator["_Child"]:
        child = self._idle.get()
        try:
            if child is None or not child.alive():
                child = None
                child = _Child(self._memory)
            yield child
        finally:
            self._idle.put(child if child is not None and child.alive() else None)


class _Child:
    def __init__(self, memory_bytes: int) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, memory_bytes), name="strata-decoder", daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_SECONDS) or not self._pipe.recv():
            self.kill()
            raise UnusablePictureError("The picture could not be decoded: the decoder did not start.")

    def do(self, work: Callable[[bytes, Any], T], data: bytes, how: object, seconds: float) -> T:
        """What `work(data, how)` returns there. `work` is a function of a module: only its name travels."""
        try:
            self._pipe.send((work, how))
            self._pipe.send_bytes(data)
            if not self._pipe.poll(seconds):
                self.kill()
                raise UnusablePictureError(f"The picture takes more than {seconds:g} s to decode.")
            answer: T | _Refused = self._pipe.recv()
        except (EOFError, OSError):
            self.kill()
            raise UnusablePictureError("The picture cannot be decoded within the memory allowed.") from None
        if isinstance(answer, _Refused):
            raise UnusablePictureError(answer.why)
        return answer

    def alive(self) -> bool:
        return self._process.is_alive() and not self._pipe.closed

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, memory_bytes: int) -> None:
    """The child: what to do with a picture, and the picture, in; the outcome out, until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    pipe.send(True)
    with contextlib.suppress(EOFError, OSError):
        while True:
            work, how = pipe.recv()
            data = pipe.recv_bytes()
            try:
                pipe.send(work(data, how))
            except UnusablePictureError as error:
                pipe.send(_Refused(str(error)))
            except MemoryError:
                pipe.send(_Refused("The picture needs too much memory to decode."))
