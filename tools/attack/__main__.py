"""`python -m tools.attack [URL]`: every attack over HTTP on a running copy of one's own, in under three minutes.

The copy is on this machine: any other address is refused. What is made there is deleted again. docs/security.md says
what each attack once did; those that need a worker to die or a disk to fill are tests.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from tools.attack import bodies, exchanges
from tools.attack.target import Broken, NotLoopback, Pulse, Target

ALL_SECONDS: Final = 170.0
SILENT_SECONDS: Final = 5.0
"""So long nobody else is to be left without an answer."""

MOST_BYTES: Final = 700_000_000
"""By so much the API may grow while it is attacked: what bodies may take (STRATA_BODIES_BYTES), and some."""

ATTACKS: Final[tuple[Callable[[Target], str], ...]] = (
    bodies.charset,
    bodies.thumbnails,
    bodies.empty_arrays,
    bodies.raw_bodies,
    bodies.deep_metadata,
    bodies.damaged_picture,
    exchanges.foreign_page,
    exchanges.unknown_method,
    exchanges.odd_urls,
    exchanges.far_event,
    exchanges.conditional_post,
    exchanges.deleted_job,
    exchanges.kept_pictures,
    exchanges.streams,
    exchanges.half_heads,
    bodies.stalled_body,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the copy bore everything."""
    parser = argparse.ArgumentParser(prog="python -m tools.attack", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000", help="of a copy on this machine")
    parser.add_argument("--key", help="an API key, where the copy asks for one")
    asked = parser.parse_args(arguments)
    console = Console()
    try:
        with Target(asked.url, asked.key) as target:
            target.http.get("/healthz").raise_for_status()
            return attack(target, console)
    except NotLoopback as error:
        console.print(f"[red]{error}[/]")
    except httpx.HTTPError as error:
        console.print(f"[red]Nothing answers at {asked.url}: {error}[/]")
    return 2


def attack(target: Target, console: Console) -> int:
    """Every attack in turn, as long as there is time, and the table of what came of each."""
    table = Table("attack", "what it does", "what came of it", "longest silence", "memory")
    ends, failed = time.monotonic() + ALL_SECONDS, 0
    for attempt in ATTACKS:
        told, pulse = "[red]no time was left[/]", None
        if time.monotonic() < ends:
            told, pulse = _tried(attempt, target)
        failed += told.startswith("[red]")
        name, what = attempt.__name__.replace("_", " "), (attempt.__doc__ or "").partition("\n")[0]
        silence, grown = (f"{pulse.silence:.1f} s", f"{pulse.grown / 1e6:+.0f} MB") if pulse else ("", "")
        table.add_row(name, what, told, silence, grown)
        console.print(f"{name}: {told}")
    console.print(table)
    return 1 if failed else 0


def _tried(attempt: Callable[[Target], str], target: Target) -> tuple[str, Pulse]:
    """What came of it; it begins with [red] when the copy did not bear it."""
    with Pulse(target) as pulse:
        try:
            told = attempt(target)
        except Broken as error:
            told = f"[red]{error}[/]"
        except (httpx.HTTPError, OSError, LookupError) as error:
            told = f"[red]{type(error).__name__}: {error}[/]"
    if pulse.silence > SILENT_SECONDS:
        told = f"[red]nobody was answered for {pulse.silence:.1f} s[/]"
    if pulse.grown > MOST_BYTES:
        told = f"[red]the API grew by {pulse.grown / 1e6:.0f} MB[/]"
    return told, pulse


if __name__ == "__main__":
    raise SystemExit(main())
