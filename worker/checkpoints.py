"""A run's checkpoints: written as often as costs next to nothing, found again by the run that follows.

The run stands still only while its state is copied; a thread writes the copy. Each is an output of the attempt that
wrote it, so that a run that lost its job can never overwrite what the run after it has put aside.
"""

import json
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from time import monotonic, thread_time
from typing import Final

from core.engine.checkpoint import Checkpoint
from core.engine.errors import CheckpointError
from core.engine.geometry import fit
from core.engine.memory import HISTORY
from core.jobs.artifacts import CHECKPOINT, ArtifactStore
from core.jobs.errors import ArtifactMissing, ArtifactsUnavailable
from core.jobs.record import JobRecord

log = logging.getLogger(__name__)

WORTH: Final = 50
"""From one checkpoint to the next the run works so many times as long as one costs: 2 %."""

_PIXEL_BYTES: Final = 3 * 4
_PICTURES: Final = 6
"""Picture-sized values in a checkpoint beside L-BFGS's pairs."""

_TELLING_BYTES: Final = 5_000_000
"""A smaller checkpoint tells how long the way is, not how fast."""


@dataclass
class Pace:
    """How fast this process takes and writes checkpoints: a guess before the first, and then the last one's."""

    bytes_per_second: float = 1e9

    def learn(self, size: int, seconds: float) -> None:
        """From one that was written."""
        if size >= _TELLING_BYTES:
            self.bytes_per_second = size / seconds


class Checkpoints:
    """Of one attempt at a job. `network`: the id of what draws; another's run is not gone on with."""

    def __init__(
        self, record: JobRecord, artifacts: ArtifactStore, network: str, shortest_seconds: float, pace: Pace
    ) -> None:
        """shortest_seconds: no two checkpoints are closer than that."""
        self.seconds = 0.0
        self.warning: str | None = None
        self._record = record
        self._artifacts = artifacts
        self._network = network
        self._shortest = shortest_seconds
        self._pace = pace
        self._written = 0
        self._writer: Thread | None = None
        self._steps = 0
        self._last = monotonic()

    def latest(self) -> Checkpoint | None:
        """What the newest run before this one put aside. None, and perhaps `warning`, if there is nothing of use.

        Raises ArtifactsUnavailable.
        """
        for attempt in range(self._record.attempt - 1, 0, -1):
            try:
                found = self._read(self._artifacts.output(self._record.id, attempt, CHECKPOINT))
            except ArtifactMissing:
                continue
            except CheckpointError as error:
                self.begin_anew(error)
                return None
            self._steps = found.iteration
            log.info("job %s: goes on after iteration %d of attempt %d", self._record.id, found.iteration, attempt)
            return found
        return None

    def begin_anew(self, error: Exception) -> None:
        """What was put aside is of no use."""
        log.warning("job %s: %s", self._record.id, error)
        self.warning = "an interrupted run could not be gone on with; this one began anew"
        self._steps = 0

    def due(self) -> bool:
        """Whether it is time for the next one. Call it once after each step."""
        self._steps += 1
        if self._writer is not None and self._writer.is_alive():
            return False
        # The mean of this run's, not the last: one that happened to be slow would put off the next for long.
        mean = self.seconds / self._written if self._written else self._expected_bytes() / self._pace.bytes_per_second
        return monotonic() - self._last >= max(self._shortest, WORTH * mean)

    def save(self, take: Callable[[], Checkpoint]) -> None:
        """Put the run aside as it is now. A store that cannot take it is no reason to end the run."""
        self.settle()
        begun = monotonic()
        taken = take()
        self._last = monotonic()
        held = self._last - begun
        self._writer = Thread(
            target=self._write, args=(taken, self._steps, held, self._expected_bytes()), name="checkpoint", daemon=True
        )
        self._writer.start()

    def settle(self) -> None:
        """Wait until what was put aside is written."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def _write(self, taken: Checkpoint, steps: int, held: float, size: int) -> None:
        """held: seconds for which the run stood still. The work of this thread counts as a cost, for on a CPU that is
        what it takes from the run; that it waits does not. size: bytes, as expected."""
        begun = thread_time()
        try:
            parts = taken.to_parts()
            size = sum(map(len, parts))
            self._artifacts.put_output(
                self._record.id, self._record.attempt, CHECKPOINT, self._sealed(parts), flush=False
            )
            told = f"put aside after iteration {steps}: {size} bytes"
        except (ArtifactsUnavailable, MemoryError) as error:
            told = f"no checkpoint: {error}"
        cost = held + thread_time() - begun
        self.seconds += cost
        self._written += 1
        self._pace.learn(size, cost)
        log.info("job %s attempt %d: %s, for %.3f s", self._record.id, self._record.attempt, told, cost)

    def _expected_bytes(self) -> int:
        """Of a checkpoint taken now, at most."""
        options, content = self._record.options, self._record.content
        width, height = fit((content.width, content.height), options.size)
        pairs = min(self._steps, HISTORY) if options.optimizer == "lbfgs" else 0
        return _PIXEL_BYTES * width * height * (_PICTURES + 2 * pairs)

    def _sealed(self, parts: Sequence[bytes | memoryview]) -> Sequence[bytes | memoryview]:
        digest = 0
        for part in parts:
            digest = zlib.crc32(part, digest)
        return [json.dumps({"network": self._network, "crc32": digest}).encode() + b"\n", *parts]

    def _read(self, file: bytes) -> Checkpoint:
        head, _, data = file.partition(b"\n")
        try:
            seal = json.loads(head)
            network, digest = seal["network"], seal["crc32"]
        except (ValueError, KeyError, TypeError):
            raise CheckpointError("the checkpoint is damaged; the run begins anew") from None
        if zlib.crc32(data) != digest:
            raise CheckpointError("the checkpoint is damaged; the run begins anew")
        if network != self._network:
            raise CheckpointError(f"the checkpoint is {network}'s, we draw with {self._network}; the run begins anew")
        return Checkpoint.from_bytes(data)
