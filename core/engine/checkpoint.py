"""A run put aside: everything it needs to go on as if it had never stopped, bit for bit on the CPU.

All of it is kept, L-BFGS's pairs too, which are most of the bytes: without them the curvature would have to be
found again, and the picture would be another. How often to pay for that is the caller's decision.

Written in the safetensors format, which is a copy of memory behind a small head, and can hold no code. Its own `save`
copies all of that memory twice; here it is handed out as it lies there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from core.engine.errors import CheckpointError

FORMAT: Final = 2
"""Of what a run keeps. A file of another one is of no use: what it means has changed."""

_TENSOR: Final = "$tensor"
_STATE: Final = "state"
_FORMAT: Final = "format"
_LENGTH_BYTES: Final = 8
_DTYPES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What a run may keep, by the format's names."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `iteration` evaluations: plain values and tensors in nested dicts and lists."""

    state: Mapping[str, Any]

    @property
    def iteration(self) -> int:
        return len(self.state["journal"]["losses"])

    def to_bytes(self) -> bytes:
        return b"".join(self.to_parts())

    def to_parts(self) -> list[bytes | memoryview]:
        """As `to_bytes`, in pieces that are to be written one after the other. They share the tensors' memory."""
        tensors: dict[str, Tensor] = {}
        plain = _without(self.state, tensors)
        parts = [tensor.reshape(-1).view(torch.uint8).numpy().data for tensor in tensors.values()]
        ends = list(accumulate(map(len, parts)))
        head: dict[str, Any] = {"__metadata__": {_FORMAT: str(FORMAT), _STATE: json.dumps(plain)}}
        for (name, tensor), part, end in zip(tensors.items(), parts, ends, strict=True):
            place = [end - len(part), end]
            head[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": place}
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % _LENGTH_BYTES)
        return [len(text).to_bytes(_LENGTH_BYTES, "little") + text, *parts]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises CheckpointError for bytes that are damaged or hold anything but values and tensors."""
        try:
            tensors = load(data)
            length = int.from_bytes(data[:_LENGTH_BYTES], "little")
            notes = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])["__metadata__"]
            if notes.get(_FORMAT) != str(FORMAT):
                raise CheckpointError(f"the checkpoint is of another format than {FORMAT}; the run begins anew")
            return cls(_with(json.loads(notes[_STATE]), tensors))
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
