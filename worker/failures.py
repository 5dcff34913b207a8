"""What a failed job says of its failure."""

from collections.abc import Mapping
from typing import Final

from core.engine.errors import EngineError, MemoryLimitError, OptionsError, PictureError, WeightsError
from core.jobs.errors import ArtifactMissing, ArtifactsUnavailable, sentence
from core.jobs.record import JobError

_MEMORY: Final = ("out-of-memory", "The job needs more memory than the worker has")

FAILURES: Final[Mapping[type[Exception], tuple[str, str]]] = {
    WeightsError: ("weights-unavailable", "The network's parameters cannot be used"),
    PictureError: ("picture-unusable", "A picture cannot be used as asked"),
    OptionsError: ("options-unusable", "The options do not fit together"),
    MemoryLimitError: _MEMORY,
    EngineError: ("engine", "The run could not be carried out"),
    ArtifactMissing: ("input-missing", "An input picture is gone"),
    ArtifactsUnavailable: ("storage-failed", "The worker could not read or write its files"),
    OSError: ("storage-failed", "The worker could not read or write its files"),
}
"""What a failure is called, the first that fits; its own message is the detail."""

UNEXPECTED: Final = JobError(
    type="internal",
    title="The job failed for a reason on our side",
    detail="Something unexpected went wrong; the worker's log says what. Sending the job again may help.",
)


def failure(error: Exception) -> JobError | None:
    """None for one that nobody expected."""
    for known, (kind, title) in FAILURES.items():
        if isinstance(error, known):
            return JobError(type=kind, title=title, detail=_detail(error))
    return None


def shortage(error: Exception, predicted: int | None, peak: int | None) -> JobError:
    """predicted, peak: bytes the run was thought to need, and those it had when it got no more."""
    kind, title = _MEMORY
    asked = "The run asked for more memory than there was"
    told = [
        *([f"it was expected to need {predicted / 1e6:,.0f} MB"] if predicted else []),
        *([f"the worker held {peak / 1e6:,.0f} MB"] if peak else []),
    ]
    said = str(error).strip().splitlines()
    detail = f"{asked}{': ' if told else ''}{' and '.join(told)}. Lower the size, or choose a smaller network."
    return JobError(type=kind, title=title, detail=f"{detail} ({said[0][:200]})" if said else detail)


def _detail(error: Exception) -> str:
    """The error's own words, without the paths of this machine."""
    if isinstance(error, OSError):
        return sentence(error.strerror or "a file is damaged")
    return sentence(str(error) or type(error).__name__)
