"""`python -m training [strata|strata-small]`: train a network of our own and export it."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training import export
from training.bank import build
from training.model import architecture_of
from training.recipe import RECIPES, Recipe
from training.train import Report, Trainer

PARAMETERS = Path(__file__).parent.parent / "core" / "engine" / "parameters"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, resuming from a checkpoint if there is one, and write parameters and their pin."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(asked.threads)
    recipe = _recipe(asked)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console = Console()
    checkpoint = asked.work / f"{asked.network}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with console.status("collecting pictures"):
        bank = build(recipe.places, recipe.painted, recipe.scenes, recipe.seed)
    trainer = Trainer(recipe, bank, device)
    if checkpoint.is_file():
        trainer.load(checkpoint)
        console.print(f"going on from step {trainer.done} of {checkpoint}")
    console.print(f"{asked.network}: {recipe.steps} steps, {len(bank)} classes, seed {recipe.seed}, on {device}")
    _train(trainer, checkpoint, console)
    path, sha256 = ship(asked.network, recipe, trainer, asked.out)
    console.print(f"{path}  {path.stat().st_size / 1e6:.2f} MB  sha256 {sha256}")
    return 0


def ship(name: str, recipe: Recipe, trainer: Trainer, folder: Path) -> tuple[Path, str]:
    """Fold, calibrate, write and pin what a trainer holds. Returns the file and its SHA-256."""
    architecture = architecture_of(name, recipe.width)
    tensors = export.calibrate(export.fold(trainer.model.trunk), architecture)
    path = folder / f"{name}-v1.safetensors"
    notes = {
        "architecture": "vgg19",
        "width": str(recipe.width),
        "pooling": recipe.pooling,
        "version": f"{name}-v1",
        "seed": str(recipe.seed),
        "steps": str(recipe.steps),
        "normalisation": "torchvision ImageNet mean and std, RGB 0..1",
    }
    sha256 = export.write(path, tensors, notes)
    export.pin(folder, name, path.name, sha256, recipe.width)
    return path, sha256


def _train(trainer: Trainer, checkpoint: Path, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=trainer.recipe.steps, completed=trainer.done)

        def tell(report: Report) -> None:
            text = f"loss {report.loss:.3f}  right {report.accuracy:.1%}"
            progress.update(task, completed=report.step, description=text)
            if not console.is_terminal and report.step % 100 == 0:
                console.print(f"step {report.step}  {text}")

        trainer.run(tell, checkpoint)


def _recipe(asked: argparse.Namespace) -> Recipe:
    recipe = RECIPES[asked.network]
    changes = {name: getattr(asked, name) for name in ("steps", "seed", "width", "places", "painted", "scenes")}
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("network", nargs="?", default="strata", choices=list(RECIPES))
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--width", type=float, help="channels as a part of VGG-19's, instead of the recipe's")
    parser.add_argument("--places", type=int, help="classes cut from photos and scenes, instead of the recipe's")
    parser.add_argument("--painted", type=int, help="classes of painted texture, instead of the recipe's")
    parser.add_argument("--scenes", type=int, help="painted compositions among the pictures, instead of the recipe's")
    parser.add_argument("--out", type=Path, default=PARAMETERS, help="folder of the parameter file")
    parser.add_argument("--work", type=Path, default=Path("runs/training"), help="folder of the checkpoint")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
