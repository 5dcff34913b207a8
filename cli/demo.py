"""`strata demo`: one picture painted by a real service that lives only meanwhile."""

import io
import json
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from PIL import Image

from cli import show, signals
from cli.client import Client
from cli.local import LocalError, LocalService, Plan
from cli.models import Job
from cli.sheet import sheet
from cli.supervisor import Role, Say
from cli.up import Weights
from core.settings import Settings

PHOTO: Final = "chelsea"
PAINTING: Final = "ember"
READY_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.25
LOG_LINES: Final = 40


@dataclass(frozen=True)
class Effort:
    """Longer side in pixels, and evaluations."""

    size: int
    iterations: int


CPU: Final = Effort(512, 45)
"""Within 40 s on two slow processor cores, two thirds of the evaluations at half the size."""
GPU: Final = Effort(512, 150)
"""What a job gets by default."""


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the pictures.", file_okay=False)] = Path("demo-output"),
    profile: Annotated[str, typer.Option(help="fine-grain, balanced or abstract.")] = "balanced",
    size: Annotated[int | None, typer.Option(help="Longer side of the result, pixels.")] = None,
    iterations: Annotated[int | None, typer.Option(help="How long to paint.")] = None,
    weights: Weights = None,
) -> None:
    """Paint a photo in the manner of a painting, from end to end, and leave nothing running."""
    from samples import PAINTINGS, PHOTOS, paint, photo  # slow: scikit-image

    began = time.monotonic()
    content, style = photo(PHOTO), paint(PAINTING)
    with _running(weights or Settings().weights) as (service, network), Client(service.url) as client:
        effort = effort_for(network)
        options = {
            "profile": profile,
            "size": size or effort.size,
            "iterations": iterations or effort.iterations,
        }
        job = _paint(service, client, content, style, options)
        result = Image.open(io.BytesIO(client.image(job)))
    panels = (
        (PHOTOS[PHOTO].title, content),
        (PAINTINGS[PAINTING].title, style),
        (f"Strata, {profile}", result),
    )
    files = _save(output, job, result, sheet(panels))
    show.out.print(show.job_table(job))
    for file in files:
        show.out.print(f"saved [bold]{file}[/]", highlight=False, soft_wrap=True)
    show.out.print(f"{time.monotonic() - began:.0f} s in all; nothing is left running.", highlight=False)


def effort_for(network: Mapping[str, Any]) -> Effort:
    """How much to ask of the worker whose network and device /readyz names."""
    return GPU if str(network.get("device", "")).startswith("cuda") else CPU


@contextmanager
def _running(weights: str) -> Iterator[tuple[LocalService, Mapping[str, Any]]]:
    """A ready service in a temporary folder, and the network that draws there."""
    with (
        signals.as_exception(),
        _last_words() as say,
        tempfile.TemporaryDirectory(prefix="strata-demo-") as folder,
        LocalService(Plan(Path(folder), weights=weights, throwaway=True), say) as service,
    ):
        with show.err.status("Starting Redis, API and worker"):
            readiness = service.wait_ready(READY_SECONDS, tick=lambda: _check(service))
        if readiness is None or not readiness.ok:
            raise LocalError(f"The service is not ready after {READY_SECONDS:g} s: {readiness}")
        yield service, readiness.answer.get("network") or {}


@contextmanager
def _last_words() -> Iterator[Say]:
    """Keeps what the processes say to itself, and tells the end of it if something fails."""
    log: deque[str] = deque(maxlen=LOG_LINES)

    def say(role: Role, line: str) -> None:
        log.append(f"{role.name} │ {line}")

    try:
        yield say
    except Exception:
        show.err.print("\n".join(log), highlight=False, markup=False, soft_wrap=True)
        raise


def _check(service: LocalService) -> None:
    if dead := service.supervisor.dead():
        raise LocalError(f"The {dead[0].name} ended unexpectedly; its last words are above.")


def _paint(
    service: LocalService,
    client: Client,
    content: Image.Image,
    style: Image.Image,
    options: Mapping[str, Any],
) -> Job:
    job = client.submit(_png(content), _png(style), **options)
    with show.JobBar() as bar:

        def on_progress(current: Job) -> None:
            _check(service)
            bar.update(current)

        job = client.wait(job, on_progress, poll=POLL_SECONDS)
    if job.status != "succeeded":
        raise LocalError(f"The job {job.status}: {job.error.detail if job.error else job.outcome}")
    return job


def _save(folder: Path, job: Job, result: Image.Image, page: Image.Image) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"outcome": job.outcome, "warnings": job.warnings, "options": job.options, **(job.metrics or {})}
    picture, metrics, overview = (folder / name for name in ("result.png", "metrics.json", "sheet.png"))
    result.save(picture)
    metrics.write_text(json.dumps(facts, indent=2) + "\n")
    page.save(overview)
    return picture, metrics, overview


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
