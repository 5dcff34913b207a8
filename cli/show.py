"""What the command line draws: progress, a job at a glance, an error."""

from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from cli.models import Job

COLOURS: Final = {
    "queued": "blue",
    "processing": "yellow",
    "succeeded": "green",
    "failed": "red",
    "canceled": "magenta",
}
NOTEWORTHY: Final = ("converged", "diverged", "deadline")
"""Outcomes that say more than the status."""
PLAIN_STEP: Final = 0.1
"""Where no bar can be drawn, a line is written each time so much of the run is done."""

out = Console()
"""For what a script may want to read: ids, JSON."""
err = Console(stderr=True)
"""For people: progress, notes, errors."""


def error(message: str) -> None:
    """Say what went wrong."""
    err.print(f"[bold red]Error[/] {escape(message)}", highlight=False, soft_wrap=True)


def duration(seconds: float | None) -> str:
    """75.2 -> 1:15; nothing known -> –."""
    return "–" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class JobBar:
    """A progress bar that follows one job: iteration, losses, time left. Without a terminal, plain lines."""

    def __init__(self, console: Console = err) -> None:
        self._console = console
        self._said = -PLAIN_STEP
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}"),
            console=console,
            expand=True,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, job: Job) -> None:
        """Draw the job as it is now."""
        facts = progress_line(job)
        status = f"[{COLOURS[job.status]}]{job.status}[/]"
        self._bar.update(self._task, description=status, completed=job.progress.fraction, facts=facts)
        if not self._console.is_terminal and job.progress.fraction >= self._said + PLAIN_STEP:
            self._said = job.progress.fraction
            self._console.print(f"{job.status} {facts}", highlight=False)


def progress_line(job: Job) -> str:
    """Iteration, losses and time left, in one line."""
    if job.status == "queued":
        return "" if job.queue_position is None else f"place {job.queue_position} in the queue"
    progress = job.progress
    parts = [f"{progress.iteration}/{progress.iterations}"]
    if (losses := progress.losses) is not None:
        total, content, style = map(_number, (losses.total, losses.content, losses.style))
        parts.append(f"loss {total} (content {content}, style {style})")
    if not job.done:
        parts.append(f"{duration(progress.eta_seconds)} left")
    return "  ".join(parts)


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.3g}"


def job_table(job: Job) -> Table:
    """A job at a glance."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("job", job.id)
    outcome = f" ({job.outcome})" if job.outcome in NOTEWORTHY else ""
    table.add_row("status", f"[{COLOURS[job.status]}]{job.status}[/]{outcome}")
    table.add_row("progress", progress_line(job))
    if job.error is not None:
        table.add_row("error", escape(f"{job.error.title}: {job.error.detail}"))
    for warning in job.warnings:
        table.add_row("warning", escape(warning))
    for name, value in metric_rows(job.metrics or {}):
        table.add_row(name, value)
    return table


METRICS: Final = (
    ("ssim", "SSIM with the photo", "{:.3f}"),
    ("psnr", "PSNR with the photo", "{:.1f} dB"),
    ("lpips", "LPIPS to the photo", "{:.3f}"),
    ("style_distance", "style distance", "{:.4g}"),
    ("content_style_distance", "… of the photo itself", "{:.4g}"),
    ("palette_distance", "palette distance", "{:.2f}"),
    ("content_palette_distance", "… of the photo itself", "{:.2f}"),
    ("seconds_per_iteration", "seconds an iteration", "{:.3f}"),
    ("queue_seconds", "seconds queued", "{:.2f}"),
    ("engine_seconds", "seconds painting", "{:.2f}"),
    ("device", "device", "{}"),
    ("network", "network", "{}"),
    ("weights", "weights", "{}"),
)


def metric_rows(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """The metrics there are, labelled, in a fixed order."""
    return [(label, form.format(metrics[key])) for key, label, form in METRICS if metrics.get(key) is not None]
