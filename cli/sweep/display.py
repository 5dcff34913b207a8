"""How a sweep goes, drawn while it goes: a bar for all of it, and a line for each job under way."""

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.models import Job
from cli.show import COLOURS, err, progress_line
from cli.studies import STUDIES
from cli.sweep.ledger import Result

REFUSED: Final = "red"


class SweepBar:
    """Follows a sweep of `total` trials; each that ends leaves a line."""

    def __init__(self, name: str, total: int, console: Console = err) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task(name, total=total, facts="")
        self._jobs: dict[str, TaskID] = {}
        self._why = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, running: Mapping[str, Job], ended: int) -> None:
        """The jobs under way by their trial's name, and how many trials are over."""
        self._bar.update(self._all, completed=ended)
        for gone in self._jobs.keys() - running.keys():
            self._bar.remove_task(self._jobs.pop(gone))
        for name, job in running.items():
            if name not in self._jobs:
                self._jobs[name] = self._bar.add_task("", facts="")
            status = f"  [{COLOURS[job.status]}]{job.status}[/]"
            progress = job.progress
            self._bar.update(
                self._jobs[name],
                description=status,
                completed=progress.iteration,
                total=progress.iterations or None,
                facts=f"{escape(_said(job))}  {escape(progress_line(job))}",
            )

    def ended(self, result: Result) -> None:
        """A trial is over."""
        self._why = ""
        self._bar.update(self._all, facts="")
        colour = COLOURS.get(result.status, REFUSED)
        facts = f"  {result.reason}" if result.reason else ""
        values = " ".join(f"{axis} {label}" for axis, label in result.trial.values.items())
        self._console.print(f"[{colour}]{result.status}[/] {escape(values)}{escape(facts)}", highlight=False)

    def waiting(self, seconds: float, why: str) -> None:
        """The service asked us to wait; said once for each reason."""
        self._bar.update(self._all, facts=f"waiting {seconds:.0f} s")
        if why != self._why:
            self._why = why
            self._console.print(f"[yellow]waiting[/] {escape(why)}", highlight=False)


def studies_table() -> Table:
    """The named studies at a glance."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("study", no_wrap=True)
    for heading in ("runs", "what it varies", "source"):
        table.add_column(heading)
    for name, study in STUDIES.items():
        table.add_row(name, str(study.runs), study.title, study.source)
    return table


def _said(job: Job) -> str:
    """A job's place on the axes, from its own metadata."""
    return " ".join(str(value) for key, value in job.metadata.items() if key not in ("sweep", "trial"))
