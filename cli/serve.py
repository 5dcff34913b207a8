"""`strata api` and `strata worker`: one role in this process, for containers and service managers."""

import ipaddress
import os
from typing import Annotated, Final

import typer

from cli import show

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
    if not (is_loopback(host) or without_keys):
        show.error(
            f"{host} can be reached from other machines, and nobody would be asked for a key. Listen on"
            " 127.0.0.1 behind a proxy that checks who is asking, or say --without-keys for one you trust."
        )
        raise typer.Exit(2)
    import uvicorn

    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=host,
        port=port,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )


def worker(log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO") -> None:
    """Run one worker, which paints one picture at a time."""
    from cli.roles import worker_command

    command = worker_command(log_level)
    os.execv(command[0], command)  # noqa: S606 - becomes the worker: signals reach it, not a parent in between


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
