"""`strata keys new`: a key for a client, shown once; only its hash is kept."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Annotated

import typer

from cli import show
from core.keys import KEY_NAME, hash_of, new_key, read_keys

app = typer.Typer(help="API keys: who may use the service.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """API keys: who may use the service."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; their jobs belong to this name.")],
    file: Annotated[Path | None, typer.Option(help="Add its hash to this file, for STRATA_KEYS_FILE.")] = None,
    running: Annotated[int | None, typer.Option(min=1, help="Jobs at work at a time.")] = None,
    queued: Annotated[int | None, typer.Option(min=1, help="Jobs in the queue at a time.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Requests in any minute.")] = None,
    priority: Annotated[list[str] | None, typer.Option(help="One it may ask for; repeat for more.")] = None,
) -> None:
    """Make a key. It is printed once and kept nowhere; what is kept is its hash."""
    if not re.fullmatch(KEY_NAME, name):
        raise typer.BadParameter("use small letters, digits, dot, dash and underscore", param_hint="NAME")
    key = new_key()
    limits = {"running": running, "queued": queued, "requests_per_minute": requests_per_minute}
    lines = [f'["{name}"]', f'hash = "{hash_of(key)}"']
    lines += [f"{limit} = {most}" for limit, most in limits.items() if most is not None]
    if priority:
        lines.append(f"priorities = {json.dumps(priority)}")
    entry = "\n".join(lines) + "\n"
    if file is None:
        show.err.print("Put this into the file that STRATA_KEYS_FILE names:")
        show.err.print(entry, highlight=False, markup=False)
    else:
        _add(file, name, entry)
        show.err.print(f"Its hash is in {file}; an API that reads this file lets it in from now on.", highlight=False)
    typer.echo(key)


def _add(file: Path, name: str, entry: str) -> None:
    """Append to the file, which stays one that can be read. Raises KeysError."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if before and name in read_keys(file):
        raise typer.BadParameter(f"{file} has a key of that name already; remove it first", param_hint="NAME")
    aside = file.with_name(f".{file.name}.part")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if file.exists():  # whoever reads it goes on reading it
            os.fchmod(descriptor, stat.S_IMODE(file.stat().st_mode))
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(f"{before.rstrip()}\n\n{entry}" if before.strip() else entry)
        read_keys(aside)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)
