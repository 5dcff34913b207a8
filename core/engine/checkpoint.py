"""A run put aside: everything it needs to go on as if it had never stopped, bit for bit on the CPU.

All of it is kept, L-BFGS's pairs too, which are most of the bytes: without them the curvature would have to be
found again, and the picture would be another. How often to pay for that is the caller's decision.

Written in the safetensors format, which is a copy of memory behind a small head, and can hold no code.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from core.engine.errors import CheckpointError

_TENSOR: Final = "$tensor"
_STATE: Final = "state"
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `iteration` evaluations: plain values and tensors in nested dicts and lists."""

    state: Mapping[str, Any]

    @property
    def iteration(self) -> int:
        return len(self.state["journal"]["losses"])

    def to_bytes(self) -> bytes:
        tensors: dict[str, Tensor] = {}
        plain = _without(self.state, tensors)
        return save(tensors, {_STATE: json.dumps(plain)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises CheckpointError for bytes that are damaged or hold anything but values and tensors."""
        try:
            tensors = load(data)
            length = int.from_bytes(data[:_LENGTH_BYTES], "little")
            head = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
            return cls(_with(json.loads(head["__metadata__"][_STATE]), tensors))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"the checkpoint cannot be read ({error}); the run begins anew") from error


def _without(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value with a name in the place of each tensor, which goes into `tensors` by that name."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {key: _without(part, tensors) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without(part, tensors) for part in value]
    return value


def _with(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The other way round."""
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _with(part, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [_with(part, tensors) for part in value]
    return value


OnCheckpoint = Callable[[Callable[[], Checkpoint]], None]
"""Called after each step with a way to take a checkpoint, which costs a copy of everything kept."""
