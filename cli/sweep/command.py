"""The command `strata sweep`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import show, signals
from cli.client import Client
from cli.jobs import DEFAULT_URL, Key, Url, parse_settings
from cli.sweep import contact, plots, table
from cli.sweep.display import SweepBar, studies_table
from cli.sweep.ledger import Ledger, Result
from cli.sweep.plan import Plan, plan
from cli.sweep.runner import Runner

CSV = "results.csv"
SHEET = "contact-sheet.png"


def sweep(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PHOTO STYLE...]", help="The picture to paint, and styles. Default: samples."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE,...", help="Any option, or content or style; as often as needed."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="A named study; --list shows them.")] = None,
    size: Annotated[int | None, typer.Option(help="Longer side of the results, pixels.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option of every job.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the jobs' metadata call the sweep.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", file_okay=False, help="Folder. Default: sweeps/NAME.")
    ] = None,
    priority: Annotated[str, typer.Option(help="high, normal or low.")] = "low",
    at_once: Annotated[int, typer.Option(min=1, help="Jobs queued or running at a time.")] = 8,
    retry: Annotated[bool, typer.Option("--retry", help="Run again what failed or was canceled.")] = False,
    list_studies: Annotated[bool, typer.Option("--list", help="Show the named studies.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
) -> None:
    """Run one job with many settings; write a table, a contact sheet and plots.

    Run the same again to go on after an interruption, or with more values to add to what is there.
    """
    if list_studies:
        show.out.print(studies_table())
        return
    asked = _asked(study, vary or [], pictures or [], settings or [], size, name)
    ledger = Ledger(output or Path("sweeps") / asked.name, asked.name)
    if retry:
        _forget_failed(ledger, asked)
    results: list[Result] = []
    try:
        with signals.as_exception(), Client(url, api_key) as client, SweepBar(asked.name, len(asked.trials)) as bar:
            for result in Runner(client, ledger, bar, priority, at_once).run(asked.trials):
                results.append(result)
                table.write(ledger.folder / CSV, _in_order(asked, results))
    except KeyboardInterrupt:
        show.err.print("Jobs under way go on; the same command again goes on from here.", highlight=False)
        raise
    finally:
        if results:
            _report(ledger.folder, asked, _in_order(asked, results))
    if not any(result.picture for result in results):
        raise typer.Exit(1)


def _asked(
    study: str | None,
    vary: Sequence[str],
    pictures: Sequence[str],
    settings: Sequence[str],
    size: int | None,
    name: str | None,
) -> Plan:
    if len(pictures) == 1:
        raise typer.BadParameter("a photo needs a style picture beside it", param_hint="PHOTO STYLE...")
    if name and ("/" in name or name in (".", "..")):
        raise typer.BadParameter("a name is no path; --output says where results go", param_hint="--name")
    try:
        return plan(study, vary, pictures, parse_settings(list(settings)), size=size, name=name)
    except (ValueError, OSError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error


def _forget_failed(ledger: Ledger, asked: Plan) -> None:
    for trial in asked.trials:
        if (result := ledger.result(trial)) is not None and result.picture is None:
            ledger.forget(trial)


def _in_order(asked: Plan, results: Sequence[Result]) -> list[Result]:
    """As the trials were asked for, not as they ended."""
    places = {trial: at for at, trial in enumerate(asked.trials)}
    return sorted(results, key=lambda result: places[result.trial])


def _report(folder: Path, asked: Plan, results: Sequence[Result]) -> None:
    columns = contact.columns_for(asked.axes, len(results))
    contact.contact_sheet(asked.title, results, asked.metrics[:2], columns).save(folder / SHEET)
    try:
        plots.write(folder, results, asked.axes, asked.metrics)
    except ImportError:
        show.err.print("No plots: they need matplotlib (pip install 'strata\\[study]').")
    painted = sum(result.picture is not None for result in results)
    show.err.print(f"{painted} of {len(asked.trials)} painted: {folder}", highlight=False, soft_wrap=True)
