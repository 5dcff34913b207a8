"""The way of a job: claim, load, stylize, measure, save, finish."""

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.engine.errors import CheckpointError, EngineError, MemoryLimitError, OptionsError, PictureError, WeightsError
from core.engine.metrics import measure
from core.engine.network import Network
from core.engine.objective import blend_weights
from core.engine.pixels import to_tensor
from core.engine.progress import Ended, Outcome
from core.engine.stylize import stylize
from core.jobs.artifacts import CHECKPOINT, LOSSES, RESULT, ArtifactStore
from core.jobs.errors import ArtifactMissing, sentence
from core.jobs.record import JobError, JobMetrics, JobProgress, JobRecord, JobStatus
from core.jobs.store import Verdict
from core.provenance import Provenance
from worker.checkpoints import Checkpoints
from worker.memory import PeakMemory
from worker.output import png, png16
from worker.run import Run, job_losses
from worker.studio import Model
from worker.workshop import Workshop

log = logging.getLogger(__name__)

_MEMORY: Final = ("out-of-memory", "The job needs more memory than the worker has")

FAILURES: Final[Mapping[type[Exception], tuple[str, str]]] = {
    WeightsError: ("weights-unavailable", "The network's parameters cannot be used"),
    PictureError: ("picture-unusable", "A picture cannot be used as asked"),
    OptionsError: ("options-unusable", "The options do not fit together"),
    MemoryLimitError: _MEMORY,
    EngineError: ("engine", "The run could not be carried out"),
    ArtifactMissing: ("input-missing", "An input picture is gone"),
    torch.OutOfMemoryError: _MEMORY,
    MemoryError: _MEMORY,
    OSError: ("storage-failed", "The worker could not read or write its files"),
}
"""What a failure is called, the first that fits; its own message is the detail."""

_DEADLINE: Final = ("deadline", "The run took longer than it may")
_UNEXPECTED: Final = JobError(
    type="internal",
    title="The job failed for a reason on our side",
    detail="Something unexpected went wrong; the worker's log says what. Sending the job again may help.",
)


@dataclass(frozen=True)
class Ending:
    """The terminal state a run arrived at, and what the record says of it."""

    status: JobStatus
    fields: Mapping[str, Any] = field(default_factory=dict)


def carry_out(job_id: str, workshop: Workshop) -> JobRecord | None:
    """Carry out a queued job to its terminal state, and say which; one that is not to be had is left alone."""
    store, artifacts = workshop.store, workshop.artifacts
    record = store.claim(job_id, workshop.lease_seconds)
    if record is None:
        log.info("job %s is not queued, or not yet to be had; nothing to do", job_id)
        return None
    with Run(record, store, artifacts, workshop.lease_seconds) as run:
        ending = _ending(run, workshop)
        held = store.finish(record.id, record.attempt, ending.status, **ending.fields)
    if held:
        artifacts.delete_output(record.id, CHECKPOINT)
    else:
        artifacts.delete_attempt(record.id, record.attempt)
    log.info("job %s attempt %d: %s", record.id, record.attempt, ending.status if held else "lost, discarded")
    return record


def _ending(run: Run, workshop: Workshop) -> Ending:
    try:
        return _worked(run, workshop)
    except tuple(FAILURES) as error:
        kind, title = next(named for known, named in FAILURES.items() if isinstance(error, known))
        log.warning("job %s failed: %s", run.record.id, error)
        return _failed(JobError(type=kind, title=title, detail=_detail(error)))
    except Exception:
        log.exception("job %s failed unexpectedly", run.record.id)
        return _failed(_UNEXPECTED)


def _worked(run: Run, workshop: Workshop) -> Ending:
    record, studio, artifacts = run.record, workshop.studio, workshop.artifacts
    with PeakMemory(studio.device) as memory:
        model = studio.model(record.options)
        content = _picture(artifacts, record.content.id)
        styles = [_picture(artifacts, style.id) for style in record.styles]
        checkpoints = Checkpoints(record, artifacts, model.network.id, workshop.checkpoint_seconds)
        outcome = _drawn(run, checkpoints, content, styles, model.network, workshop)
        _log_start(run, model)
        artifacts.put_output(record.id, record.attempt, LOSSES, _losses(outcome))
        if outcome.ended is Ended.DEADLINE:
            return _late(record, outcome)
        if outcome.ended is Ended.CANCELED:
            return _canceled(record, outcome)
        blend = blend_weights(record.options, len(styles))
        measures = measure(content, styles, blend, outcome.picture, model.measuring, studio.lpips)
    write = png16 if record.options.output_format == "png16" else png
    artifacts.put_output(record.id, record.attempt, RESULT, write(outcome.picture, _provenance(record, model)))
    if run.ask() is not Verdict.GO_ON:
        return _canceled(record, outcome)
    metrics = JobMetrics(
        **{name: value for name, value in vars(measures).items() if name in JobMetrics.model_fields},
        layer_influence=dict(outcome.layer_influence) or None,
        iterations=len(outcome.losses),
        seconds_per_iteration=_pace(outcome),
        queue_seconds=_queue_seconds(record),
        engine_seconds=outcome.seconds,
        device=str(studio.device),
        dtype=str(model.network.dtype).removeprefix("torch."),
        network=model.network.architecture.name,
        weights=model.network.id,
        peak_memory_bytes=memory.peak_bytes,
    )
    warnings = (*record.warnings, *filter(None, (model.warning, checkpoints.warning)), *outcome.warnings)
    progress = _progress(record, outcome, fraction=1.0, eta_seconds=0.0)
    return Ending(
        JobStatus.SUCCEEDED,
        {"outcome": outcome.ended, "metrics": metrics, "warnings": warnings, "progress": progress},
    )


def _drawn(
    run: Run,
    checkpoints: Checkpoints,
    content: Tensor,
    styles: list[Tensor],
    network: Network,
    workshop: Workshop,
) -> Outcome:
    """From where an earlier run was put aside, or from the beginning."""
    record, artifacts = run.record, workshop.artifacts
    draw = partial(
        stylize,
        content,
        styles,
        record.options,
        network,
        run.on_progress,
        init=_picture(artifacts, record.init_image.id) if record.init_image else None,
        labels=_labels(artifacts, record.mask.id) if record.mask else None,
        memory_bytes=workshop.studio.memory_bytes,
        on_checkpoint=lambda take: run.on_checkpoint(take, checkpoints),
    )
    put_aside = checkpoints.latest()
    try:
        outcome = draw(resume=put_aside)
    except CheckpointError as error:
        checkpoints.begin_anew(error)
        outcome = draw()
    if checkpoints.seconds:
        share = 100 * checkpoints.seconds / outcome.seconds
        log.info("job %s attempt %d: checkpoints took %.2f %% of the run", record.id, record.attempt, share)
    return outcome


def _late(record: JobRecord, outcome: Outcome) -> Ending:
    kind, title = _DEADLINE
    detail = (
        f"{len(outcome.losses)} of {record.options.iterations} iterations were done after"
        f" {record.options.timeout_seconds:g} s; ask for fewer, a smaller size or more time."
    )
    ending = _failed(JobError(type=kind, title=title, detail=detail))
    return Ending(ending.status, {**ending.fields, "outcome": outcome.ended, "progress": _progress(record, outcome)})


def _canceled(record: JobRecord, outcome: Outcome) -> Ending:
    return Ending(JobStatus.CANCELED, {"outcome": Ended.CANCELED, "progress": _progress(record, outcome)})


def _failed(error: JobError) -> Ending:
    return Ending(JobStatus.FAILED, {"error": error})


def _progress(
    record: JobRecord, outcome: Outcome, fraction: float | None = None, eta_seconds: float | None = None
) -> JobProgress:
    done, asked = len(outcome.losses), record.options.iterations
    return JobProgress(
        iteration=done,
        iterations=asked,
        fraction=done / asked if fraction is None else fraction,
        eta_seconds=eta_seconds,
        losses=job_losses(outcome.losses[-1]) if outcome.losses else None,
    )


def _labels(artifacts: ArtifactStore, picture_id: str) -> Tensor:
    """A label map as (H, W) integers. Raises PictureError for a picture that is none."""
    with Image.open(io.BytesIO(artifacts.input(picture_id)), formats=("PNG",)) as image:
        if image.mode != "L":
            raise PictureError("the mask given by its id is not the mask of an earlier job")
        return torch.from_numpy(np.array(image)).long()


def _picture(artifacts: ArtifactStore, picture_id: str) -> Tensor:
    with Image.open(io.BytesIO(artifacts.input(picture_id)), formats=("PNG",)) as image:
        return to_tensor(image)


def _provenance(record: JobRecord, model: Model) -> Provenance:
    return Provenance(
        content=record.content.id,
        styles=tuple(style.id for style in record.styles),
        mask=record.mask.id if record.mask else None,
        init_image=record.init_image.id if record.init_image else None,
        options=record.options.model_dump(mode="json"),
        network=model.network.architecture.name,
        weights=model.network.id,
    )


def _losses(outcome: Outcome) -> bytes:
    series = [{"iteration": at, **job_losses(losses).model_dump()} for at, losses in enumerate(outcome.losses, 1)]
    return json.dumps(series, allow_nan=False).encode()


def _pace(outcome: Outcome) -> float | None:
    """Seconds for an iteration once the run is prepared; the first one's preparation is left out."""
    steps = len(outcome.losses) - 1
    return (outcome.seconds - outcome.seconds_to_first_iteration) / steps if steps > 0 else None


def _queue_seconds(record: JobRecord) -> float:
    begun = record.started_at or record.created_at
    return (begun - record.created_at).total_seconds()


def _detail(error: Exception) -> str:
    """The error's own words, without the paths of this machine."""
    if isinstance(error, OSError):
        return sentence(error.strerror or "a file is damaged")
    return sentence(str(error) or type(error).__name__)


def _log_start(run: Run, model: Model) -> None:
    log.info(
        "job %s attempt %d: first iteration %.3f s after the claim; %s",
        *(run.record.id, run.record.attempt, run.seconds_to_first_iteration or float("nan")),
        f"loaded {model.network.id}" if model.loaded else "loaded nothing",
    )
