"""What a child does with its device before it has a job."""

import pytest
import torch

from worker import app


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"), True),
        (RuntimeError("Found no NVIDIA driver on your system."), False),
    ],
)
def test_a_child_whose_device_is_broken_is_replaced_before_it_takes_a_job(
    monkeypatch: pytest.MonkeyPatch, error: Exception, ends: bool
) -> None:
    def open_workshop() -> None:
        raise error

    monkeypatch.setattr(app, "_workshop", open_workshop)
    with pytest.raises(SystemExit if ends else RuntimeError):
        app.stylize("0" * 32)
