"""`strata demo`, small: it writes what it says, and leaves nothing running."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

STRATA = str(Path(sys.executable).with_name("strata"))
KEYS = json.dumps({"somebody": {"hash": "sha256:" + "0" * 64}})
"""The demo's service is its own, whatever service this shell is set up for."""


@pytest.mark.timeout(600)
def test_the_demo_paints_a_picture_and_leaves_nothing(tmp_path: Path) -> None:
    small = ("--size", "64", "--iterations", "2", "--weights", "embedded", "--output", str(tmp_path / "out"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    ended = subprocess.run(
        (STRATA, "demo", *small),
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(temporary),
            "STRATA_THREADS": "1",
            "COLUMNS": "400",
            "STRATA_KEYS": KEYS,
        },
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in ("result.png", "metrics.json", "sheet.png"):
        assert str(tmp_path / "out" / name) in ended.stdout
    with Image.open(tmp_path / "out" / "result.png") as result, Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert result.size == (64, 43)
        assert sheet.width > 1000
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["outcome"], metrics["iterations"], metrics["weights"]) == ("finished", 2, "vgg19-normalized-v1")
    assert list(temporary.iterdir()) == []
    listing = subprocess.run(["ps", "-ewwo", "args="], capture_output=True, text=True, check=True).stdout
    assert str(temporary) not in listing
