"""JobSpec: a validated request. Options resolved in full, pictures checked and by reference."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from core.engine.options import MAX_STYLES, StyleOptions
from core.jobs.egress import Egress
from core.jobs.errors import FieldProblem, InvalidRequest, PictureNotFound, PictureRefused
from core.jobs.ids import new_job_id
from core.jobs.intake import Intake
from core.jobs.masks import MaskRefusedError, labelled
from core.jobs.networks import Networks
from core.jobs.record import JobProgress, JobRecord, Picture, Priority, StylePicture, Webhook
from core.jobs.remote import PictureUrl, fetched
from core.jobs.validation import (
    checked_expiry,
    checked_init,
    checked_metadata,
    checked_network,
    checked_options,
    checked_priority,
    checked_webhook,
)

_CONTENT: Final = "/content"
_MASK: Final = "/mask"
_INIT: Final = "/init_image"

Source = bytes | str | PictureUrl
"""A picture as bytes not yet trusted, the id of one that is stored, or where to fetch it from."""


@dataclass(frozen=True)
class Submission:
    """A request as it came in: pictures not yet trusted, options not yet resolved.

    `priorities`: those its owner may ask for. `max_queued`: how many jobs of its owner may be queued.
    `max_running`: how many may run at a time. `max_stored`: bytes that may be stored for its owner.
    `expires_in`: seconds from its end to its removal.
    `mask`: which style goes where, in colours that `mask_map` gives to styles; `init_image`: what to begin with.
    `webhook`: whom to call back, `{"url", "events"}`. `jobs_url`: where its client looks for jobs.
    `job_id`: the id that the job is to have, however often it is submitted; None for a new one each time.
    """

    content: Source
    styles: Sequence[Source]
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: str = "normal"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires_in: int | None = None
    mask: Source | None = None
    mask_map: Mapping[str, Any] | None = None
    init_image: Source | None = None
    webhook: Mapping[str, Any] | None = None
    jobs_url: str = ""
    owner: str | None = None
    priorities: Sequence[Priority] = tuple(Priority)
    max_queued: int | None = None
    max_running: int | None = None
    max_stored: int | None = None
    job_id: str | None = None


@dataclass(frozen=True)
class TakenPicture:
    """A picture of a submission, checked. `png` is None for one that is stored already."""

    picture: Picture
    png: bytes | None = None


class JobSpec(BaseModel):
    """What a record is made from. `styles` and a non-empty `options.style_blend` are equally long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: StyleOptions
    content: Picture
    styles: tuple[Picture, ...]
    mask: Picture | None = None
    init_image: Picture | None = None
    priority: Priority = Priority.NORMAL
    metadata: dict[str, Any] = {}
    expires_in: int | None = None
    webhook: Webhook | None = None
    warnings: tuple[str, ...] = ()


Find = Callable[[str], Picture]
"""The stored picture of an id. Raises PictureNotFound."""


def checked(
    submission: Submission,
    intake: Intake,
    find: Find,
    egress: Egress,
    networks: Networks,
    *,
    max_styles: int,
    max_expiry: int,
) -> tuple[JobSpec, dict[str, TakenPicture]]:
    """The spec of a submission and its pictures, by a JSON pointer to where each stands, content first.

    Raises InvalidRequest with everything that is wrong, PictureRefused when that is pictures only and
    all for one reason.
    """
    problems: list[FieldProblem] = []
    options = checked_options(submission.options, len(submission.styles), problems)
    options, warnings = checked_network(submission.options, options, networks, problems)
    priority = checked_priority(submission.priority, submission.priorities, problems)
    metadata = checked_metadata(submission.metadata, problems)
    expires_in = checked_expiry(submission.expires_in, max_expiry, problems)
    webhook = checked_webhook(submission.webhook, egress, problems)
    if not 1 <= len(submission.styles) <= max_styles:
        found = f"There are {len(submission.styles)} style pictures; send 1 to {max_styles}."
        problems.append(FieldProblem("/styles", found))
    pictures, refusals = _taken_in(_pictures(submission, max_styles), intake, find, problems)
    _label(submission, pictures, problems)
    checked_init(options, submission.init_image is not None, problems)
    refused = tuple(error for refusal in refusals for error in refusal.errors)
    if refusals and not problems and len({refusal.reason for refusal in refusals}) == 1:
        raise PictureRefused(refused, refusals[0].reason)
    if problems or refused or options is None or priority is None:
        raise InvalidRequest((*problems, *refused))
    spec = JobSpec(
        options=options,
        content=pictures[_CONTENT].picture,
        styles=tuple(pictures[_style(at)].picture for at in range(len(submission.styles))),
        mask=pictures[_MASK].picture if _MASK in pictures else None,
        init_image=pictures[_INIT].picture if _INIT in pictures else None,
        priority=priority,
        metadata=metadata,
        expires_in=expires_in,
        webhook=webhook,
        warnings=warnings,
    )
    return spec, pictures


def recorded(spec: JobSpec, submission: Submission, now: datetime) -> JobRecord:
    """The record of a job that is accepted now."""
    job_id = submission.job_id or new_job_id(now)
    blend = spec.options.style_blend or (1.0,) * len(spec.styles)
    styles = (
        StylePicture(**picture.model_dump(), blend=share) for picture, share in zip(spec.styles, blend, strict=True)
    )
    return JobRecord(
        id=job_id,
        owner=submission.owner,
        created_at=now,
        priority=spec.priority,
        metadata=spec.metadata,
        expires_in=spec.expires_in,
        content=spec.content,
        styles=tuple(styles),
        mask=spec.mask,
        init_image=spec.init_image,
        options=spec.options,
        progress=JobProgress(iterations=spec.options.iterations),
        warnings=spec.warnings,
        webhook=spec.webhook and spec.webhook.model_copy(update={"home": f"{submission.jobs_url}/{job_id}"}),
    )


def with_files(submission: Submission, egress: Egress, max_bytes: int) -> Submission:
    """The same with a file in place of every URL. Raises InvalidRequest, PictureRefused."""
    sources = {at: source for at, source in _pictures(submission, MAX_STYLES) if isinstance(source, PictureUrl)}
    if not sources:
        return submission
    files = dict(zip(sources, fetched(list(sources.items()), egress, max_bytes), strict=True))
    return replace(
        submission,
        content=files.get(_CONTENT, submission.content),
        styles=[files.get(_style(at), style) for at, style in enumerate(submission.styles)],
        mask=files.get(_MASK, submission.mask),
        init_image=files.get(_INIT, submission.init_image),
    )


def _pictures(submission: Submission, max_styles: int) -> Iterator[tuple[str, Source]]:
    yield _CONTENT, submission.content
    if len(submission.styles) <= max_styles:  # more are refused anyway, and not worth decoding
        for at, style in enumerate(submission.styles):
            yield _style(at), style
    if submission.mask is not None:
        yield _MASK, submission.mask
    if submission.init_image is not None:
        yield _INIT, submission.init_image


def _style(at: int) -> str:
    return f"/styles/{at}"


def _label(submission: Submission, pictures: dict[str, TakenPicture], problems: list[FieldProblem]) -> None:
    """The mask that was drawn becomes the label map that is kept; one given by its id is that already."""
    if submission.mask is None and submission.mask_map is not None:
        problems.append(FieldProblem("/mask_map", "There is no mask it could belong to; send one as mask."))
    drawn = pictures.get(_MASK)
    if drawn is None or drawn.png is None:
        return
    try:
        labels = labelled(drawn.png, submission.mask_map, len(submission.styles))
    except MaskRefusedError as error:
        problems.append(FieldProblem(f"/{error.field}", str(error)))
        return
    picture_id = f"sha256:{hashlib.sha256(labels).hexdigest()}"
    pictures[_MASK] = TakenPicture(drawn.picture.model_copy(update={"id": picture_id}), labels)


def _taken_in(
    pictures: Iterator[tuple[str, Source]], intake: Intake, find: Find, problems: list[FieldProblem]
) -> tuple[dict[str, TakenPicture], list[PictureRefused]]:
    """The pictures that were taken, by where they stand in the request, and the others' refusals."""
    taken: dict[str, TakenPicture] = {}
    refusals: list[PictureRefused] = []
    for pointer, source in pictures:
        try:
            if isinstance(source, str):
                taken[pointer] = TakenPicture(find(source))
            elif isinstance(source, bytes):
                made = intake.check(source, pointer)
                taken[pointer] = TakenPicture(made.picture, made.png)
        except PictureRefused as refusal:
            refusals.append(refusal)
        except PictureNotFound as missing:
            problems.append(FieldProblem(pointer, str(missing)))
    return taken, refusals
