"""JobSpec: a validated request. Options resolved in full, pictures checked and by reference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.engine.options import StyleOptions
from core.jobs.errors import FieldProblem, InvalidRequest, PictureRefused
from core.jobs.intake import CheckedPicture, Intake
from core.jobs.record import Picture, Priority
from core.jobs.validation import checked_metadata, checked_options, checked_priority


@dataclass(frozen=True)
class Submission:
    """A request as it came in: picture bytes not yet trusted, options not yet resolved."""

    content: bytes
    styles: Sequence[bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: str = "normal"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None


class JobSpec(BaseModel):
    """What a record is made from. `styles` and a non-empty `options.style_blend` are equally long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: StyleOptions
    content: Picture
    styles: tuple[Picture, ...]
    priority: Priority = Priority.NORMAL
    metadata: dict[str, Any] = {}


def checked(submission: Submission, intake: Intake, *, max_styles: int) -> tuple[JobSpec, list[CheckedPicture]]:
    """The spec of a submission and its pictures, content first.

    Raises InvalidRequest with everything that is wrong, PictureRefused when that is pictures only and
    all for one reason.
    """
    problems: list[FieldProblem] = []
    options = checked_options(submission.options, len(submission.styles), problems)
    priority = checked_priority(submission.priority, problems)
    metadata = checked_metadata(submission.metadata, problems)
    if not 1 <= len(submission.styles) <= max_styles:
        found = f"There are {len(submission.styles)} style pictures; send 1 to {max_styles}."
        problems.append(FieldProblem("/styles", found))
    pictures, refusals = _taken_in(_pictures(submission, max_styles), intake)
    refused = tuple(error for refusal in refusals for error in refusal.errors)
    if refusals and not problems and len({refusal.reason for refusal in refusals}) == 1:
        raise PictureRefused(refused, refusals[0].reason)
    if problems or refused or options is None or priority is None:
        raise InvalidRequest((*problems, *refused))
    content, *styles = (picture.picture for picture in pictures)
    spec = JobSpec(options=options, content=content, styles=tuple(styles), priority=priority, metadata=metadata)
    return spec, pictures


def _pictures(submission: Submission, max_styles: int) -> Iterator[tuple[str, bytes]]:
    yield "/content", submission.content
    if len(submission.styles) <= max_styles:  # more are refused anyway, and not worth decoding
        for at, style in enumerate(submission.styles):
            yield f"/styles/{at}", style


def _taken_in(
    pictures: Iterator[tuple[str, bytes]], intake: Intake
) -> tuple[list[CheckedPicture], list[PictureRefused]]:
    taken: list[CheckedPicture] = []
    refusals: list[PictureRefused] = []
    for pointer, data in pictures:
        try:
            taken.append(intake.check(data, pointer))
        except PictureRefused as refusal:
            refusals.append(refusal)
    return taken, refusals
