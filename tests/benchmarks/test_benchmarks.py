"""What the engine is measured against descends the same function, and ratios are what they say."""

from copy import deepcopy

import pytest
import torch

from benchmarks import claims, iteration, textbook, time_to_loss
from benchmarks.__main__ import main
from benchmarks.paired import Paired, Row, in_turns, markdown
from benchmarks.subject import Subject
from core.engine.scene import Pictures, Scene
from core.engine.schedule import schedule

SIZE = 64


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.set_num_threads(1)
    return Subject(torch.device("cpu"))


def test_the_textbook_loop_and_the_engine_have_the_same_objective_and_gradient(subject: Subject) -> None:
    options = subject.options(SIZE, 1, dtype="float32")
    scene = Scene(Pictures(subject.content, [subject.style]), options, subject.network)
    view = scene.at(schedule(options, scene.size)[0])
    picture = (view.content * 0.8 + 0.1).requires_grad_()
    ours, theirs = view.evaluate(picture).total, subject.loss(SIZE)(picture)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(total, picture)[0] for total in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-7)


def test_the_textbook_loop_stays_on_the_device_of_its_picture(subject: Subject) -> None:
    nowhere = torch.device("meta")
    found = textbook.features(deepcopy(subject.trunk).to(nowhere), torch.empty(1, 3, SIZE, SIZE, device=nowhere))
    assert {x.device for x in found.values()} == {nowhere}


def test_the_textbook_loop_descends(subject: Subject) -> None:
    loss, (start, _) = subject.loss(SIZE), subject.start(SIZE)
    seen: list[float] = []
    for rate in (0.0, 0.02):
        drawn = textbook.descend(loss, start, 6, lambda picture: seen.append(float(loss(picture))), rate)
        assert loss(drawn) < 0.7 * loss(start)
    assert len(seen) >= 12


def test_operations_grow_with_the_area_and_are_about_four_tenths_of_a_teraflop() -> None:
    """189 GFLOP forward through the convolutions to relu5_1 at 512 x 512, as much again backward, and Gram matrices."""
    assert iteration.operations((512, 512)) == pytest.approx(2 * 189e9 + 20e9, rel=0.01)
    assert iteration.operations((512, 512)) == pytest.approx(4 * iteration.operations((256, 256)))


def test_both_take_turns_and_the_ratio_is_first_over_second() -> None:
    order: list[str] = []
    measured = in_turns(lambda: order.append("first") or 6.0, lambda: order.append("second") or 2.0, 2)
    assert order == ["first", "second", "second", "first"]
    assert measured.ratios == (3.0, 3.0)
    assert "| **3.00** | 3.00 to 3.00 | 2 |" in markdown([Row("a", "first", "second", measured)])


def test_a_loss_never_reached_counts_as_twice_the_run() -> None:
    descent = time_to_loss.Descent((1.0, 2.0), (0.5, 0.3))
    assert [descent.reached(loss) for loss in (0.6, 0.3, 0.1)] == [1.0, 2.0, 4.0]
    assert Paired((8.0,), (descent.reached(0.3),)).ratios == (4.0,)


def test_the_command_writes_its_table(tmp_path: object) -> None:
    out = f"{tmp_path}/bench.md"
    assert main(["iteration", "--sizes", str(SIZE), "--rounds", "1", "--threads", "1", "--out", out]) == 0
    with open(out) as file:
        assert "iteration, 64 px, lbfgs" in file.read()


def test_a_first_iteration_is_timed_with_new_pictures_and_again_with_the_same() -> None:
    (row,) = claims.rows(SIZE, 1, networks=("strata-small",))
    assert len(row.measured.ratios) == 1
    assert min(row.measured.first + row.measured.second) > 0
