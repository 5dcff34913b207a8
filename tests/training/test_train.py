"""The training loop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.bank import Bank
from training.muon import orthogonalised
from training.recipe import Phase, Recipe
from training.train import Trainer

CPU = torch.device("cpu")


def test_the_loss_falls_and_the_classes_are_learnt(bank: Bank, recipe: Recipe) -> None:
    trainer = Trainer(replace(recipe, steps=60), bank, CPU)  # its loss is a running mean, which is slow to fall
    first = trainer.loss
    trainer.run(lambda report: None, None)
    assert trainer.done == 60
    assert trainer.loss < 0.85 * first


def test_a_resumed_run_is_the_same_run_bit_for_bit(bank: Bank, recipe: Recipe, tmp_path: Path) -> None:
    whole = Trainer(recipe, bank, CPU)
    whole.model.train()
    for _ in range(6):
        whole.step()
    begun = Trainer(recipe, bank, CPU)
    begun.model.train()
    for _ in range(3):
        begun.step()
    begun.save(tmp_path / "run.pt")
    resumed = Trainer(replace(recipe), bank, CPU)
    resumed.load(tmp_path / "run.pt")
    resumed.model.train()
    for _ in range(3):
        resumed.step()
    assert resumed.done == whole.done
    wanted = whole.model.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in resumed.model.state_dict().items())


def test_another_seed_trains_another_network(bank: Bank, recipe: Recipe) -> None:
    weights = []
    for seed in (0, 1):
        trainer = Trainer(replace(recipe, seed=seed), bank, CPU)
        trainer.step()
        weights.append(trainer.model.head.weight)
    assert not torch.equal(*weights)


def test_a_checkpoint_of_another_recipe_is_refused(bank: Bank, recipe: Recipe, tmp_path: Path) -> None:
    Trainer(recipe, bank, CPU).save(tmp_path / "run.pt")
    other = Trainer(replace(recipe, weight_decay=0.5), bank, CPU)
    with pytest.raises(ValueError, match="another recipe"):
        other.load(tmp_path / "run.pt")


def test_phases_follow_one_another_by_their_share_of_the_steps() -> None:
    recipe = Recipe(width=0.125, steps=10, phases=(Phase(0.6, 32, 8), Phase(0.4, 64, 4)))
    assert [recipe.phase(step).side for step in range(10)] == [32] * 6 + [64] * 4


def test_the_rate_warms_up_stays_and_falls_to_nothing(recipe: Recipe) -> None:
    rates = [recipe.rate(step) for step in range(recipe.steps)]
    assert rates[0] < rates[1] < rates[recipe.warmup] == rates[recipe.plateau_end] == 1
    assert rates[-1] < 0.2


def test_a_run_may_be_given_another_length_until_its_rate_falls(bank: Bank, recipe: Recipe, tmp_path: Path) -> None:
    begun = Trainer(recipe, bank, CPU)
    begun.step()
    begun.save(tmp_path / "run.pt")
    longer = Trainer(replace(recipe, steps=400), bank, CPU)
    longer.load(tmp_path / "run.pt")
    assert longer.done == 1
    begun.done = 39
    begun.save(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="another recipe"):
        longer.load(tmp_path / "run.pt")


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (32, 32)])
def test_muon_makes_every_direction_of_a_step_about_as_long(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = torch.linalg.svdvals(orthogonalised(matrix).float())
    assert found.min() > 0.5
    assert found.max() < 1.4
