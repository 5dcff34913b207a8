"""A run put aside: everything it needs to go on as if it had never stopped, bit for bit on the CPU.

All of it is kept, L-BFGS's pairs too, which are most of the bytes: without them the curvature would have to be
found again, and the picture would be another. How often to pay for that is the caller's decision.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from core.engine.errors import CheckpointError


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `iteration` evaluations: plain values and tensors in nested dicts and lists."""

    state: Mapping[str, Any]

    @property
    def iteration(self) -> int:
        return len(self.state["journal"]["losses"])

    def to_bytes(self) -> bytes:
        file = io.BytesIO()
        torch.save(dict(self.state), file)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises CheckpointError for bytes that are damaged or hold anything but values and tensors."""
        try:
            return cls(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(f"the checkpoint cannot be read ({error}); the run begins anew") from error


OnCheckpoint = Callable[[Callable[[], Checkpoint]], None]
"""Called after each step with a way to take a checkpoint, which costs a copy of everything kept."""
