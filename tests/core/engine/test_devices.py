"""What goes to a device and comes back; on a CPU the same values at once."""

import pytest
import torch

from core.engine import devices
from core.engine.devices import fetched, kept, sent, working_on

CPU = torch.device("cpu")


def test_values_arrive_as_they_were_sent() -> None:
    like = torch.zeros(2, dtype=torch.float64)
    there = sent([[1, 2.5]], like)
    assert there.dtype == torch.float64
    assert there.tolist() == [[1, 2.5]]
    assert fetched(there[0])() == [1, 2.5]


def test_what_is_kept_has_memory_of_its_own() -> None:
    original = torch.ones(2, requires_grad=True)
    copy = kept(original)
    with torch.no_grad():
        original.fill_(5)
    assert copy.tolist() == [1, 1]
    assert not copy.requires_grad


def test_work_on_a_cpu_changes_nothing_for_others() -> None:
    allowed = torch.backends.cudnn.allow_tf32
    with working_on(CPU):
        assert torch.backends.cudnn.allow_tf32 == allowed


def test_on_cuda_float32_is_float32_and_the_work_goes_to_the_device_in_one_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch's streams replaced by names; there is no device here to have any."""
    current = ["theirs"]
    order: list[str] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            order.append(f"{self.name} after {other.name}")

    class On:
        def __init__(self, what: object) -> None:
            self.what = what

        def __enter__(self) -> None:
            if isinstance(self.what, Stream):
                current.append(self.what.name)
            else:
                order.append(f"on {self.what}")

        def __exit__(self, *_: object) -> None:
            if isinstance(self.what, Stream):
                current.pop()

    monkeypatch.setattr(torch.cuda, "device", On)
    monkeypatch.setattr(torch.cuda, "stream", On)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Stream(current[-1]))
    monkeypatch.setattr(devices, "_stream", lambda _: Stream("ours"))

    with working_on(torch.device("cuda", 1)):
        assert current[-1] == "ours"
        assert not torch.backends.cudnn.allow_tf32

    assert order == ["on cuda:1", "ours after theirs", "theirs after ours"]
    assert torch.backends.cudnn.allow_tf32
