"""`strata api`, `strata worker` and `strata courier`: one role in this process, for containers and service managers."""

import ipaddress
import os
from typing import Annotated, Final

import typer

from cli import roles, show
from core.settings import Settings

DRAIN_SECONDS: Final = 10


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    without_keys: Annotated[
        bool,
        typer.Option(help="Serve whoever can reach the address: a private network, or a proxy that checks."),
    ] = False,
) -> None:
    """Run the HTTP server."""
    settings = Settings()
    if not (settings.known_keys().asked_for or is_loopback(host) or without_keys):
        show.error(
            f"{host} can be reached from other machines, and nobody would be asked for a key. Make one with"
            " `strata keys new NAME --file keys.toml` and set STRATA_KEYS_FILE=keys.toml; or listen on 127.0.0.1"
            " behind a proxy that checks who is asking; or say --without-keys for a network you trust."
        )
        raise typer.Exit(2)
    import uvicorn

    uvicorn.run(
        "api.app:create_app",
        factory=True,
        http=roles.CONNECTION,
        limit_concurrency=settings.connections,
        host=host,
        port=port,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )


LogLevel = Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")]


def worker(log_level: LogLevel = "INFO") -> None:
    """Run one worker, which paints one picture at a time."""
    _become(roles.worker_command(log_level))


def courier(log_level: LogLevel = "INFO") -> None:
    """Run one courier, which carries out callbacks and clears away what has had its time."""
    _become(roles.courier_command(log_level))


def _become(command: tuple[str, ...]) -> None:
    """Signals then reach the process itself, not a parent in between."""
    os.execv(command[0], command)  # noqa: S606 - our own argument list, no shell


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
