"""`python -m training`: train the networks of our own, the small one first, and export them."""

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
_CHANGEABLE = ("steps", "seed", "places", "painted", "scenes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train each network asked for, resuming from its checkpoint if there is one, and write parameters and pins."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(asked.threads)
    asked.work.mkdir(parents=True, exist_ok=True)
    console = Console()
    for name in asked.networks or RECIPES:
        changes = {key: getattr(asked, key) for key in _CHANGEABLE if getattr(asked, key) is not None}
        trainer = _train(name, replace(RECIPES[name], **changes), asked.work, console)
        path, sha256 = ship(name, trainer, asked.out)
        console.print(f"{path}  {path.stat().st_size / 1e6:.2f} MB  sha256 {sha256}", soft_wrap=True)
    return 0


def ship(name: str, trainer: Trainer, folder: Path) -> tuple[Path, str]:
    """Fold, calibrate, write and pin what a trainer holds. Returns the file and its SHA-256."""
    recipe = trainer.recipe
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


def _train(name: str, recipe: Recipe, work: Path, console: Console) -> Trainer:
    """Run a recipe to its end, from its checkpoint, from a narrower network, or from nothing."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with console.status("collecting pictures"):
        bank = build(recipe.places, recipe.painted, recipe.scenes, recipe.seed)
    trainer, checkpoint = Trainer(recipe, bank, device), work / f"{name}.pt"
    if checkpoint.is_file():
        trainer.load(checkpoint)
        console.print(f"going on from step {trainer.done} of {checkpoint}")
    elif recipe.grown_from:
        trainer.start_from(work / f"{recipe.grown_from}.pt")
    console.print(f"{name}: {recipe.steps} steps, {len(bank)} classes, seed {recipe.seed}, on {device}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=recipe.steps, completed=trainer.done)

        def tell(report: Report) -> None:
            text = f"loss {report.loss:.3f}  right {report.accuracy:.1%}"
            progress.update(task, completed=report.step, description=text)
            if not console.is_terminal and report.step % 100 == 0:
                console.print(f"step {report.step}  {text}")

        trainer.run(tell, checkpoint)
    return trainer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    names = ", ".join(RECIPES)
    parser.add_argument("networks", nargs="*", type=_known, metavar="NETWORK", help=f"{names}; both, in order, if none")
    for key in _CHANGEABLE:
        parser.add_argument(f"--{key}", type=int, help="instead of the recipe's")
    parser.add_argument("--out", type=Path, default=PARAMETERS, help="folder of the parameter files")
    parser.add_argument("--work", type=Path, default=Path("runs/training"), help="folder of the checkpoints")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def _known(name: str) -> str:
    if name not in RECIPES:
        raise argparse.ArgumentTypeError(f"there is no recipe {name!r}: choose from {', '.join(RECIPES)}")
    return name


if __name__ == "__main__":
    raise SystemExit(main())
