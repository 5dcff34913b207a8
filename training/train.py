"""The training loop: one step at a time, each seeded by its number, so that a resumed run is the same run."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from training.bank import Bank
from training.crops import crops, labels_for
from training.grow import grow
from training.model import Classifier, architecture_of
from training.muon import Muon
from training.recipe import Recipe


@dataclass(frozen=True)
class Report:
    """After a step: how many are done, and running means of the loss and of the share of samples named right."""

    step: int
    loss: float
    accuracy: float


class Trainer:
    """Holds a run's state: the classifier, its optimisers and the number of steps done."""

    def __init__(self, recipe: Recipe, bank: Bank, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.bank = bank.to(device)
        torch.manual_seed(recipe.seed)
        self.model = Classifier(architecture_of("trained", recipe.width), recipe.pooling, len(bank))
        self.model = self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        matrices = [p for p in self.model.trunk.parameters() if p.ndim == 4 and p.shape[1] > 3]
        chosen = {id(p) for p in matrices}
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, lr=recipe.muon_lr, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(others, lr=recipe.adam_lr, weight_decay=recipe.weight_decay, fused=True),
        )
        self._peaks = (recipe.muon_lr, recipe.adam_lr)
        self.done = 0
        self.loss, self.accuracy = math.log(len(bank)), 0.0

    def step(self) -> Report:
        """Train on one batch."""
        recipe, phase = self.recipe, self.recipe.phase(self.done)
        g = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.done)
        torch.manual_seed(recipe.seed * 1_000_003 + self.done)
        labels = labels_for(self.bank, phase.batch, g)
        x = crops(self.bank, labels, phase.side, recipe.augmentation, g)
        labels = labels.to(self.device)
        for optimizer, peak in zip(self.optimizers, self._peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * recipe.rate(self.done)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.model(x).float()
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        self.done += 1
        right = (logits.argmax(1) == labels).float().mean().item()
        self.loss += 0.02 * (loss.item() - self.loss)
        self.accuracy += 0.02 * (right - self.accuracy)
        return Report(self.done, self.loss, self.accuracy)

    def save(self, path: Path) -> None:
        """Write a checkpoint, aside and then renamed, so that a killed run leaves the last good one."""
        state = {
            "recipe": repr(replace(self.recipe, steps=0)),
            "steps": self.recipe.steps,
            "done": self.done,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
        }
        aside = path.with_suffix(".part")
        torch.save(state, aside)
        aside.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint. Raises ValueError when it belongs to another recipe."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        longer = replace(self.recipe, steps=state["steps"])
        early = state["done"] <= min(longer.plateau_end, self.recipe.plateau_end)
        if state["recipe"] != repr(replace(self.recipe, steps=0)) or not (early or longer == self.recipe):
            raise ValueError(f"{path} was made with another recipe: remove it or train with that one")
        self.done, self.loss, self.accuracy = state["done"], state["loss"], state["accuracy"]
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def start_from(self, path: Path) -> None:
        """Grow the classifier out of a narrower one's checkpoint. Raises FileNotFoundError without it."""
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there: this network grows out of that one, so train it first")
        grow(torch.load(path, map_location=self.device, weights_only=True)["model"], self.model)

    def run(self, report: Callable[[Report], None], checkpoint: Path | None, every: int = 250) -> None:
        """Train to the recipe's last step, from wherever this run stands."""
        self.model.train()
        while self.done < self.recipe.steps:
            report(self.step())
            if checkpoint and (self.done % every == 0 or self.done == self.recipe.steps):
                self.save(checkpoint)
