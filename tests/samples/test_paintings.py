"""The painted pictures."""

import subprocess
import sys

import numpy as np
import pytest

from samples import PAINTINGS, paint


@pytest.mark.parametrize("name", PAINTINGS)
def test_a_painting_is_the_same_every_time(name: str) -> None:
    once, again = paint(name, (96, 64), 3), paint(name, (96, 64), 3)
    assert once.mode == "RGB"
    assert once.size == (96, 64)
    assert once.tobytes() == again.tobytes()


@pytest.mark.parametrize("name", PAINTINGS)
def test_another_seed_is_another_painting(name: str) -> None:
    assert paint(name, (64, 64), 0).tobytes() != paint(name, (64, 64), 1).tobytes()


@pytest.mark.parametrize("name", PAINTINGS)
def test_a_painting_has_contrast(name: str) -> None:
    assert np.asarray(paint(name, (96, 96))).std() > 20


def test_the_demo_painting_has_strong_colours_and_strokes() -> None:
    pixels = np.asarray(paint("starlit", (256, 256)), float) / 255
    saturation = pixels.max(2) - pixels.min(2)
    relief = np.abs(np.diff(pixels.mean(2), axis=0)).mean()
    assert saturation.mean() > 0.3
    assert relief > 0.02


@pytest.mark.parametrize("size", [(40, 200), (200, 40), (16, 16)])
def test_any_shape_can_be_painted(size: tuple[int, int]) -> None:
    assert all(paint(name, size).size == size for name in PAINTINGS)


def test_an_unknown_painting_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown painting 'monet': choose one of starlit"):
        paint("monet")


def test_a_painting_too_small_to_hold_a_stroke_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        paint("starlit", (8, 64))


def test_samples_need_no_torch() -> None:
    code = "import sys, samples; samples.paint('roof', (32, 32)); samples.photo('coins'); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.strip() == "False"
