"""The command that makes a picture again from what it says of itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import UnidentifiedImageError

from cli import show
from cli.client import ApiProblem, Client, Source, Stored, StrataError
from cli.jobs import DEFAULT_URL, Key, Url, colours, follow, parse_settings
from cli.models import Job
from core.provenance import Provenance


def rerun(
    picture: Annotated[Path, typer.Argument(help="A picture made by strata: PNG, JPEG or WebP.", exists=True)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Save the new picture here.")],
    content: Annotated[
        Path | None, typer.Option(help="The photo, if the service no longer has it.", exists=True, dir_okay=False)
    ] = None,
    style: Annotated[
        list[Path] | None,
        typer.Option(help="The style pictures in their order, likewise.", exists=True, dir_okay=False),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="The mask, likewise, if there was one.", exists=True, dir_okay=False)
    ] = None,
    mask_map: Annotated[str | None, typer.Option(metavar="JSON", help="Its colours, if they were named.")] = None,
    begin: Annotated[
        Path | None, typer.Option(help="The picture it began with, likewise.", exists=True, dir_okay=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change an option: --set iterations=500"),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
) -> None:
    """Make a picture again from the options and pictures it carries in itself.

    On a CPU, with the same network and threads, unchanged options give the same bytes.
    """
    made = _provenance(picture)
    options = made.options | parse_settings(settings or [])
    styles: Sequence[Source] = style or [Stored(each) for each in made.styles]
    given = {"content": content, "style": style, "mask": mask, "begin": begin}
    with Client(url, api_key) as client:
        try:
            job = client.submit(
                content or Stored(made.content),
                styles,
                mask=mask or _stored(made.mask),
                mask_map=colours(mask_map) if mask else None,
                init_image=begin or _stored(made.init_image),
                **options,
            )
        except ApiProblem as problem:
            raise _asking_for_pictures(problem, made, given) from None
        _same_pictures(client, job, made)
        follow(client, job.id, output)
        drawn = client.get(job)
    if drawn.metrics and drawn.metrics["weights"] != made.weights:
        show.err.print(
            f"Note: the picture was drawn by {made.network} ({made.weights}), this one by"
            f" {drawn.metrics['network']} ({drawn.metrics['weights']})."
        )


def _provenance(picture: Path) -> Provenance:
    try:
        made = Provenance.read(picture.read_bytes())
    except UnidentifiedImageError:
        raise typer.BadParameter(f"{picture} is not a PNG, JPEG or WebP", param_hint="PICTURE") from None
    if made is None:
        raise typer.BadParameter(f"{picture} does not say how it was made", param_hint="PICTURE")
    return made


def _stored(picture: str | None) -> Stored | None:
    return None if picture is None else Stored(picture)


def _asking_for_pictures(problem: ApiProblem, made: Provenance, given: Mapping[str, object]) -> StrataError:
    """What to give, when the service no longer has the pictures."""
    asked = {
        "content": ("/content", "the photo", [made.content]),
        "style": ("/style", "the style picture", made.styles),
        "mask": ("/mask", "the mask", [made.mask]),
        "begin": ("/init_image", "the picture it began with", [made.init_image]),
    }
    pointers = [error.pointer for error in problem.problem.errors]
    gone = [
        f"  {f'--{option} FILE':<18}{what} {picture}"
        for option, (at, what, pictures) in asked.items()
        if given[option] is None and any(pointer.startswith(at) for pointer in pointers)
        for picture in pictures
    ]
    if not gone:
        return problem
    return StrataError("\n".join(["The service no longer has all the pictures; give them as files:", *gone]))


def _same_pictures(client: Client, job: Job, made: Provenance) -> None:
    """Files given by hand are the pictures that were used, or the job is taken back."""
    found = [
        None if picture is None else picture.id for picture in (job.content, *job.styles, job.mask, job.init_image)
    ]
    if found != [made.content, *made.styles, made.mask, made.init_image]:
        client.cancel(job)
        raise StrataError("These are not the pictures it was made from: their contents differ.")
