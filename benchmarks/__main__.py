"""`python -m benchmarks`: everything measured, two things at a time in turns, as a table of ratios.

These machines are noisy: a figure in seconds is worth little by itself, a ratio from one run much more. Nothing else
should run meanwhile.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import claims, costs, iteration, memory, service, side_by_side, time_to_loss
from benchmarks.paired import Row, markdown
from benchmarks.subject import PAIRS, Subject
from core.engine.network import resolve_dtype


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and write the table."""
    asked = _parser().parse_args(arguments)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device = torch.device(asked.device)
    subject, sizes = Subject(device), tuple(asked.sizes)
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "iteration": lambda: iteration.rows(subject, sizes, asked.rounds),
        "loss": lambda: time_to_loss.rows(subject, asked.loss_size, asked.pairs),
        "accuracy": lambda: time_to_loss.accuracy_rows(subject, asked.loss_size),
        "memory": lambda: memory.rows(sizes, asked.device),
        "predicted": lambda: memory.predicted_rows(sizes, asked.device),
        "service": lambda: service.rows(asked.rounds),
        "claim": lambda: claims.rows(256, asked.rounds),
        "parallel": lambda: side_by_side.rows(128, (2, 4), asked.device, asked.rounds),
        "costs": lambda: costs.rows(256, 150, asked.rounds),
    }
    console = Console()
    found: list[Row] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("measuring", total=None)
        for name in asked.parts or parts:
            progress.update(task, description=name)
            for row in parts[name]():
                found.append(row)
                console.print(" | ".join(row.cells()), markup=False)
                asked.out.parent.mkdir(parents=True, exist_ok=True)
                asked.out.write_text(f"{_machine(device)}\n\n{markdown(found)}")
    console.print(f"\n{_machine(device)}\n\n{markdown(found)}\nalso in {asked.out}", markup=False, soft_wrap=True)
    return 0


def _machine(device: torch.device) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    dtype = str(resolve_dtype("auto", device)).removeprefix("torch.")
    return f"{where}, {os.cpu_count()} cores; arithmetic {dtype}; PyTorch {torch.__version__}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "parts",
        nargs="*",
        help="iteration, loss, accuracy, memory, predicted, service, claim, parallel, costs; all if none",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="longer sides, pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=1, choices=range(1, len(PAIRS) + 1), help="of pictures, for loss")
    parser.add_argument("--loss-size", type=int, default=256)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/bench.md"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
