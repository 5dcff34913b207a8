"""The program `strata`: its commands, and how their errors are told."""

from typing import Any

import typer
from typer.core import TyperGroup

from cli import demo, jobs, keys, serve, show, up, weights
from cli.client import StrataError, Unreachable
from cli.local import LocalError
from cli.rerun import rerun
from cli.status import status
from cli.sweep.command import sweep
from core.engine.errors import EngineError
from core.keys import KeysError


class _Told(TyperGroup):
    """Errors meant for people are told in a line or two; others keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Unreachable as error:
            show.error(f"{error}\nIs the service running? `strata up` starts one here; --url names another.")
        except (StrataError, LocalError, EngineError, KeysError, TimeoutError) as error:
            show.error(str(error))
        except KeyboardInterrupt:
            show.err.print("Interrupted.")
            raise typer.Exit(130) from None
        raise typer.Exit(1)


app = typer.Typer(
    name="strata",
    cls=_Told,
    help="Layer-weighted neural style transfer as a job queue.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(up.up)
app.command()(demo.demo)
app.command()(jobs.submit)
app.command()(jobs.watch)
app.command()(jobs.get)
app.command()(jobs.cancel)
app.command()(status)
app.command()(rerun)
app.command()(sweep)
app.command()(serve.api)
app.command()(serve.worker)
app.command()(serve.courier)
app.add_typer(keys.app, name="keys")
app.add_typer(weights.app, name="weights")


if __name__ == "__main__":
    app()
