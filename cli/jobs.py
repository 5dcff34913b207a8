"""The commands of a client: submit, watch, get, cancel."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import show
from cli.client import Client
from cli.models import Job

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[str, typer.Option("--url", envvar="STRATA_URL", help="Where the server answers.")]
Key = Annotated[str | None, typer.Option("--api-key", envvar="STRATA_API_KEY", help="Your key, if it asks for one.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id that submit printed.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Save the finished picture here.")]
Json = Annotated[bool, typer.Option("--json", help="The whole job as JSON.")]


def submit(
    content: Annotated[
        Path, typer.Argument(metavar="PHOTO", help="The picture to paint.", exists=True, dir_okay=False)
    ],
    styles: Annotated[
        list[Path],
        typer.Argument(metavar="STYLE", help="One to eight style pictures.", exists=True, dir_okay=False),
    ],
    profile: Annotated[str | None, typer.Option(help="fine-grain, balanced or abstract.")] = None,
    preset: Annotated[str | None, typer.Option(help="A published system's settings; see /v1/presets.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any option, as often as needed: --set size=256"),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Where each style goes: a picture of flat colours, a colour a style.", exists=True, dir_okay=False
        ),
    ] = None,
    mask_map: Annotated[
        str | None, typer.Option(metavar="JSON", help='Which colour is which style: {"#ff0000": 0, "#0000ff": 1}')
    ] = None,
    begin: Annotated[
        Path | None, typer.Option(help="A picture to begin with, in place of the photo.", exists=True, dir_okay=False)
    ] = None,
    priority: Annotated[str, typer.Option(help="high, normal or low.")] = "normal",
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Stay until the picture is there.")] = False,
    output: Output = None,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
) -> None:
    """Queue a job and print its id. With --wait or --output, follow it to the end."""
    options = parse_settings(settings or [])
    named = {"profile": profile, "preset": preset}
    options |= {name: value for name, value in named.items() if value is not None}
    options |= {"init": "upload"} if begin else {}
    mapping = colours(mask_map)
    with Client(url, api_key) as client:
        job = client.submit(
            content, styles, mask=mask, mask_map=mapping, init_image=begin, priority=priority, **options
        )
        show.out.print(job.id, highlight=False)
        if wait or output:
            follow(client, job.id, output)


def watch(job: JobId, output: Output = None, url: Url = DEFAULT_URL, api_key: Key = None) -> None:
    """Follow a job to its end."""
    with Client(url, api_key) as client:
        follow(client, job, output)


def get(job: JobId, output: Output = None, as_json: Json = False, url: Url = DEFAULT_URL, api_key: Key = None) -> None:
    """Show a job as it is now, and save its picture if asked to."""
    with Client(url, api_key) as client:
        _print(client.get(job), as_json)
        if output:
            _save(client, job, output)


def cancel(job: JobId, as_json: Json = False, url: Url = DEFAULT_URL, api_key: Key = None) -> None:
    """End a job, queued or running."""
    with Client(url, api_key) as client:
        _print(client.cancel(job), as_json)


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """`size=256` -> {"size": 256}; `layer_weights.relu1_1=4` -> {"layer_weights": {"relu1_1": 4}}.

    A value that is not JSON is text. Raises typer.BadParameter for anything else than NAME=VALUE.
    """
    options: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not (name and sign):
            raise typer.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        *path, last = name.split(".")
        place = options
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise typer.BadParameter(f"{name}: {step} already has a value", param_hint="--set")
        place[last] = _value(text)
    return options


def colours(text: str | None) -> dict[str, int] | None:
    """A mask map from its JSON; the service says what is wrong with its colours."""
    if text is None:
        return None
    if not isinstance(colours := _value(text), dict):
        raise typer.BadParameter(f"{text!r} is not a JSON object of colours", param_hint="--mask-map")
    return colours


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def follow(client: Client, job_id: str, output: Path | None) -> None:
    """Show a job's way to its end and save its picture. Raises typer.Exit unless it succeeded."""
    with show.JobBar() as bar:
        job = client.wait(job_id, bar.update)
    show.err.print(show.job_table(job))
    if job.status != "succeeded":
        raise typer.Exit(1)
    if output:
        _save(client, job_id, output)


def _save(client: Client, job_id: str, output: Path) -> None:
    output.write_bytes(client.image(job_id))
    show.err.print(f"saved [bold]{output}[/]", highlight=False)


def _print(job: Job, as_json: bool) -> None:
    if as_json:
        typer.echo(job.model_dump_json(indent=2))
    else:
        show.out.print(show.job_table(job))
