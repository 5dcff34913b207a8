"""The engine on a GPU: the first thing to run where there is one, `pytest -m cuda`. Written without one."""

import gc
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.memory import predicted
from benchmarks.subject import Subject
from core.engine import scene
from core.engine.checkpoint import Checkpoint
from core.engine.devices import working_on
from core.engine.memory import Plan
from core.engine.metrics import ssim
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.progress import Ended, Progress
from core.engine.replay import Graphs, Replayed
from core.engine.scene import Pictures, Scene
from core.engine.schedule import schedule
from core.engine.stylize import stylize

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

ROOT = Path(__file__).parents[3]
DEVICE = torch.device("cuda", 0)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _in_the_engines_stream() -> Iterator[None]:
    """As in a run, for tests that reach below it."""
    with working_on(DEVICE):
        yield


@pytest.fixture(scope="module")
def network(tiny: Network) -> Network:
    return Network(tiny.parameters, DEVICE)


def soft(seed: int, height: int = 192, width: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(1, 3, 12, 16, generator=generator), (height, width), mode="bicubic")[0].clamp(0, 1)


def halves() -> Tensor:
    labels = torch.ones(192, 256, dtype=torch.long)
    labels[:, 128:] = 2
    return labels


def asked(**more: Any) -> Any:
    return resolve({"size": 256, "iterations": 60, "preview_every": 0, **more})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"preset": "gatys"},
        {"distance": "l1"},
        {"padding": "replicate"},
        {"pooling": "max"},
        {"style_weight": 0.0},
        {"dtype": "float32"},
        {"dtype": "float64"},
        {"regions": True},
        {"checkpointed": True},
    ],
    ids=str,
)
def test_a_recorded_evaluation_is_the_evaluation(network: Network, more: dict[str, Any]) -> None:
    more = dict(more)
    regions, checkpointed = more.pop("regions", False), more.pop("checkpointed", False)
    options = asked(**more)
    given = Pictures(soft(1), [soft(2)] * (2 if regions else 1), labels=halves() if regions else None)
    seen = Scene(given, options, network)
    if checkpointed:
        seen.plan = Plan(20, checkpointed=True)
    view = seen.at(schedule(options, seen.size)[-1])
    assert isinstance(view.repeated, Replayed)
    pictures = [view.content * share for share in (1.0, 0.5, 0.9, 0.3, 1.0)]
    for at in pictures:
        values, gradient = view.gradient(at)
        plain_values, plain_gradient = scene._taken(view.evaluate, at)
        torch.testing.assert_close(values, plain_values, rtol=1e-2, atol=1e-6)
        assert (gradient - plain_gradient).norm() <= 1e-2 * plain_gradient.norm()
    assert view.repeated._recording is not None
    view.close()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_a_run_on_the_second_card_is_recorded_there(tiny: Network) -> None:
    second, graphs = torch.device("cuda", 1), Graphs()
    there = stylize(soft(1), [soft(2)], asked(dtype="float32"), Network(tiny.parameters, second), graphs=graphs)
    here = stylize(soft(1), [soft(2)], asked(dtype="float32"), Network(tiny.parameters, DEVICE))
    assert graphs.wanted
    assert there.losses[0].total == pytest.approx(here.losses[0].total, rel=1e-4)
    assert there.losses[-1].total < there.losses[0].total


def test_float32_gives_what_the_cpu_gives(network: Network, tiny: Network) -> None:
    options = asked(dtype="float32", iterations=1)
    ours, theirs = (stylize(soft(1), [soft(2)], options, each) for each in (network, tiny))
    assert ours.losses[0].total == pytest.approx(theirs.losses[0].total, rel=1e-4)
    x, y = soft(1)[None], soft(2)[None]
    assert ssim(x.to(DEVICE), y.to(DEVICE)) == pytest.approx(ssim(x, y), abs=1e-5)


def test_nothing_recorded_outlives_its_run_and_no_collector_is_needed(network: Network) -> None:
    held = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            stylize(soft(1), [soft(2)], asked(scales=[128], iterations=120), network)
            torch.cuda.synchronize()
            held.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
    finally:
        gc.enable()
    assert held[-1][0] <= held[1][0]
    assert held[-1][1] <= held[1][1] + 64 * MIB


def test_an_iteration_waits_for_nothing_but_its_losses(network: Network) -> None:
    """PyTorch says where it waits; the losses are waited for through an event, of which it says nothing."""
    for more in ({}, {"random_shift": 0.97}, {"optimizer": "adam"}):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")

            def on_progress(progress: Progress) -> None:
                steady = 20 < progress.iteration < 45  # at the 50th the gradient is taken apart by layer
                torch.cuda.set_sync_debug_mode("warn" if steady else "default")

            try:
                stylize(soft(1), [soft(2)], asked(iterations=100, **more), network, on_progress)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert [str(each.message) for each in told if "synchroniz" in str(each.message)] == []


def test_a_large_photo_is_shrunk_to_the_smallest_size(network: Network) -> None:
    photo = soft(1, 48, 64).repeat(1, 128, 128)  # 8192 x 6144
    outcome = stylize(photo, [soft(2)], asked(scales="auto", size=256, iterations=8), network)
    assert outcome.picture.shape == (3, 192, 256)


def test_covariances_of_few_positions_are_compared(network: Network) -> None:
    for distance in ("l1", "l2"):
        options = asked(size=64, iterations=12, style_loss="wasserstein", distance=distance)
        outcome = stylize(soft(1), [soft(2)], options, network)
        assert outcome.ended is Ended.FINISHED
        assert outcome.losses[-1].total < outcome.losses[0].total


def test_a_run_goes_on_from_its_checkpoint(network: Network) -> None:
    taken: list[Checkpoint] = []
    options = asked(dtype="float32", iterations=40)
    whole = stylize(soft(1), [soft(2)], options, network, on_checkpoint=lambda take: taken.append(take()))
    kept = Checkpoint.from_bytes(taken[19].to_bytes())
    resumed = stylize(soft(1), [soft(2)], options, network, resume=kept)
    assert len(resumed.losses) == 40
    assert resumed.losses[20].total == pytest.approx(whole.losses[20].total, rel=0.05)


@pytest.mark.parametrize("more", [{}, {"style_scale": 4.0}, {"dtype": "float32"}, {"size": 2048}], ids=str)
def test_a_run_takes_no_more_of_the_card_than_was_predicted(more: dict[str, Any]) -> None:
    more = dict(more)
    size = more.pop("size", 1024)
    code = (
        "import json, sys, torch; from benchmarks.memory import peak;"
        "print(peak('vgg19', int(sys.argv[1]), torch.device('cuda', 0), json.loads(sys.argv[2])))"
    )
    took = float(_told(code, str(size), json.dumps(more)))
    said = predicted(Subject(DEVICE), size, more) / MIB
    assert took <= said


def test_memory_that_ends_in_the_middle_is_known_for_what_it_is_and_a_run_after_it_works() -> None:
    code = """
import torch
from benchmarks.subject import Subject
from core.engine.faults import is_device_fault, ran_out_of_memory
subject = Subject(torch.device("cuda", 0))
subject.ours(subject.options(256, 40))
whole = torch.cuda.get_device_properties(0).total_memory
for more in (100, 200, 400, 800, 1600):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (more << 20)) / whole)
    try:
        subject.ours(subject.options(1024, 40))
    except Exception as error:
        assert ran_out_of_memory(error) and not is_device_fault(error), repr(error)
        print("short")
torch.cuda.set_per_process_memory_fraction(1.0)
subject.ours(subject.options(256, 40))
print("and after it")
"""
    said = _told(code).split("\n")
    assert said[0] == "short"
    assert said[-1] == "and after it"


def test_a_broken_context_is_known_for_what_it_is_and_stays_broken() -> None:
    code = """
import torch
from core.engine.faults import is_device_fault, ran_out_of_memory
x = torch.zeros(4, device="cuda")
def broken():
    x[torch.tensor([99], device="cuda")]
    torch.cuda.synchronize()
for what in (broken, lambda: (torch.ones(2, device="cuda") + 1).tolist()):
    try:
        what()
        print("fine")
    except Exception as error:
        print(is_device_fault(error), ran_out_of_memory(error))
"""
    assert _told(code).split("\n") == ["True False"] * 2


def _told(code: str, *arguments: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
