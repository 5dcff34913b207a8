"""`strata up`: every role on this machine, in this terminal, until Ctrl-C."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from cli import signals
from cli.local import LocalService, Plan
from cli.supervisor import TICK_SECONDS, Role
from core.settings import Settings

DEFAULT_PORT: Final = 8000
SLOW_SECONDS: Final = 30.0
PREFIX_WIDTH: Final = 7

Weights = Annotated[
    str | None,
    typer.Option(
        metavar="KIND|FILE",
        help="auto, pretrained, embedded, seeded, or a file. Default: STRATA_WEIGHTS or auto.",
    ),
]


def up(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for a free one.")] = DEFAULT_PORT,
    data: Annotated[Path, typer.Option(file_okay=False, help="Folder of everything that lasts.")] = Path(".strata"),
    weights: Weights = None,
) -> None:
    """Start Redis, API, worker and courier here, and keep them running until Ctrl-C."""
    settings = Settings()
    given = settings.model_fields_set
    plan = Plan(
        data=data,
        port=port,
        weights=weights or settings.weights,
        redis_url=settings.redis_url if "redis_url" in given else None,
        artifacts=settings.artifacts if "artifacts" in given else None,
    )
    console = Console(soft_wrap=True, highlight=False)

    def say(role: Role, line: str) -> None:
        console.print(Text.assemble((f"{role.name:<{PREFIX_WIDTH}} │ ", role.colour), line))

    with signals.as_events() as interrupts, LocalService(plan, say) as service:
        herald = _Herald(service, console)
        while not interrupts.stop.wait(TICK_SECONDS):
            service.supervisor.tend()
            herald.tick()
        console.print("[bold]Stopping[/] (Ctrl-C again: at once)")
        service.stop(interrupts.hurry)
    console.print("Stopped.")


class _Herald:
    """Says once that the service is up, or after a while what is missing."""

    def __init__(self, service: LocalService, console: Console) -> None:
        self._service = service
        self._console = console
        self._began = time.monotonic()
        self._looked = 0.0
        self._warned = False
        self._done = False

    def tick(self) -> None:
        """Look at the service, at most once a second, until it is up."""
        now = time.monotonic()
        if self._done or now - self._looked < 1.0:
            return
        self._looked = now
        readiness = self._service.ready()
        if readiness and readiness.ok:
            self._done = True
            self._announce(readiness.answer, now - self._began)
        elif now - self._began > SLOW_SECONDS and not self._warned:
            self._warned = True
            self._console.print(f"[bold yellow]Not ready yet[/]; {self._service.url}/readyz says what is missing")

    def _announce(self, answer: Mapping[str, Any], seconds: float) -> None:
        url = self._service.url
        network = answer.get("network") or {}
        drawn = " ".join(str(network[key]) for key in ("network", "weights", "device", "card") if network.get(key))
        self._console.print(f"[bold green]Strata is up[/] after {seconds:.1f} s")
        facts = {"page": url, "docs": f"{url}/docs", "data": str(self._service.data), "network": drawn}
        for label, text in facts.items():
            self._console.print(f"  {label:<8} {text}")
        if str(network.get("weights", "")).startswith("seeded"):
            self._console.print("  [yellow]The network is untrained[/], for tests; without --weights VGG-19 draws.")
        self._console.print("  Ctrl-C stops everything")
