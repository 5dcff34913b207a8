"""A run's checkpoints: written as often as costs next to nothing, found again by the run that follows.

Each is an output of the attempt that wrote it, so that a run that lost its job can never overwrite what the run
after it has put aside.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from core.engine.checkpoint import Checkpoint
from core.engine.errors import CheckpointError
from core.engine.memory import HISTORY
from core.jobs.artifacts import CHECKPOINT, ArtifactStore
from core.jobs.errors import ArtifactMissing, ArtifactsUnavailable
from core.jobs.record import JobRecord

log = logging.getLogger(__name__)

WORTH: Final = 50
"""Checkpoints, the next one included, may cost one part in so many of the run's time so far: 2 %."""

_BYTES_PER_SECOND: Final = 200e6
"""A slow pace of taking and writing one: what the first, or one larger than those measured, is expected to cost."""

_PIXEL_BYTES: Final = 3 * 4
_PICTURES: Final = 6
"""Picture-sized values in a checkpoint beside L-BFGS's pairs."""


class Checkpoints:
    """Of one attempt at a job. `network`: the id of what draws; another's run is not gone on with."""

    def __init__(self, record: JobRecord, artifacts: ArtifactStore, network: str, shortest_seconds: float) -> None:
        """shortest_seconds: no two checkpoints are closer than that."""
        self.seconds = 0.0
        self.warning: str | None = None
        self._record = record
        self._artifacts = artifacts
        self._network = network
        self._shortest = shortest_seconds
        self._steps = 0
        self._cost = 0.0
        self._begun = monotonic()
        self._last = self._begun

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
        now, cost = monotonic(), max(self._cost, self._expected_bytes() / _BYTES_PER_SECOND)
        return now - self._last >= self._shortest and now - self._begun >= WORTH * (self.seconds + cost)

    def save(self, take: Callable[[], Checkpoint]) -> None:
        """Put the run aside as it is now. A store that cannot take it is no reason to end the run."""
        begun = monotonic()
        try:
            data = take().to_bytes()
            sealed = self._sealed(data)
            self._artifacts.put_output(self._record.id, self._record.attempt, CHECKPOINT, sealed, flush=False)
            log.info(
                "job %s attempt %d: put aside after iteration %d: %d bytes in %.3f s",
                *(self._record.id, self._record.attempt, self._steps, len(data), monotonic() - begun),
            )
        except ArtifactsUnavailable as error:
            log.warning("job %s: no checkpoint: %s", self._record.id, error)
        self._last = monotonic()
        self._cost = self._last - begun
        self.seconds += self._cost

    def _expected_bytes(self) -> int:
        """Of a checkpoint taken now, at most."""
        options = self._record.options
        pairs = min(self._steps, HISTORY) if options.optimizer == "lbfgs" else 0
        return _PIXEL_BYTES * options.size**2 * (_PICTURES + 2 * pairs)

    def _sealed(self, data: bytes) -> bytes:
        seal = {"network": self._network, "sha256": hashlib.sha256(data).hexdigest()}
        return json.dumps(seal).encode() + b"\n" + data

    def _read(self, file: bytes) -> Checkpoint:
        head, _, data = file.partition(b"\n")
        try:
            seal = json.loads(head)
            network, digest = seal["network"], seal["sha256"]
        except (ValueError, KeyError, TypeError):
            raise CheckpointError("the checkpoint is damaged; the run begins anew") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise CheckpointError("the checkpoint is damaged; the run begins anew")
        if network != self._network:
            raise CheckpointError(f"the checkpoint is {network}'s, we draw with {self._network}; the run begins anew")
        return Checkpoint.from_bytes(data)
