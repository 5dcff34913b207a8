"""`strata weights fetch | show`: the network parameters on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from cli import show

app = typer.Typer(help="Network parameters: what is here, and fetch what is published.", no_args_is_help=True)


class Published(StrEnum):
    """The networks whose parameters torchvision publishes."""

    VGG19 = "vgg19"
    VGG16 = "vgg16"


Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="Where they are kept. Default: STRATA_WEIGHTS_DIR or torch's cache."),
]


@app.command()
def fetch(
    network: Annotated[Published, typer.Argument(help="Which network.")] = Published.VGG19,
    directory: Folder = None,
    url: Annotated[str | None, typer.Option(help="A mirror to take the file from.")] = None,
) -> None:
    """Download a published network's parameters once (vgg19: 548 MB), and verify them."""
    from core.engine.published import fetch as fetch_published

    with _download_bar(network) as bar:
        task = bar.add_task("", total=None)

        def on_bytes(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        path = fetch_published(network, directory or _directory(), on_bytes, url)
    show.out.print(f"{network}: verified, at {path}", highlight=False, soft_wrap=True)


@app.command("show")
def show_weights(
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="KIND|FILE",
            help="auto, pretrained, embedded, seeded, or a file. Default: STRATA_WEIGHTS or auto.",
        ),
    ] = None,
    directory: Folder = None,
) -> None:
    """Say which parameters each network would draw with."""
    from core.engine.architecture import ARCHITECTURES
    from core.engine.errors import WeightsError
    from core.engine.weights import choose, drawable  # slow: they bring torch
    from core.settings import Settings

    settings = Settings()
    source = weights or settings.weights
    folder = directory or settings.weights_dir
    table = Table("network", "parameters", "id", "down to", "", box=None, padding=(0, 2, 0, 0))
    here = drawable(source, folder)
    for network in ARCHITECTURES:
        try:
            origin = choose(source, network, (), folder)
        except WeightsError as problem:
            table.add_row(network, "[red]none[/]", "", "", str(problem))
        else:
            found = here[network]
            table.add_row(network, origin.kind, found.weights, found.deepest, str(origin.path or ""))
    show.out.print(f"weights: {source}   folder: {folder}", highlight=False, soft_wrap=True)
    show.out.print(table)


def _directory() -> Path:
    from core.settings import Settings

    return Settings().weights_dir


def _download_bar(network: str) -> Progress:
    return Progress(
        TextColumn(f"fetching {network}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=show.err,
        disable=not show.err.is_terminal,
    )
