"""The way of a job: claim, load, stylize, measure, save, finish."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from torch import Tensor

from core import logs
from core.engine.errors import CheckpointError
from core.engine.faults import is_device_fault, ran_out_of_memory
from core.engine.metrics import measure
from core.engine.network import Network
from core.engine.progress import Ended, Outcome
from core.engine.shares import blend_weights
from core.engine.stylize import stylize
from core.jobs.artifacts import LOSSES, RESULT, ArtifactStore, left_for_upkeep
from core.jobs.errors import ArtifactsUnavailable, UnreadableRecord
from core.jobs.record import JobError, JobMetrics, JobProgress, JobRecord, JobStatus
from core.jobs.store import Verdict
from core.provenance import Provenance
from worker import inputs
from worker.checkpoints import Checkpoints
from worker.failures import UNEXPECTED, failure, shortage
from worker.leftovers import clear_up, discard
from worker.memory import PeakMemory, peak_bytes, predicted_bytes, taken_by_others
from worker.output import png, png16
from worker.run import PutAside, Run, job_losses
from worker.studio import Model
from worker.workshop import Workshop

log = logging.getLogger(__name__)

_DEADLINE: Final = ("deadline", "The run took longer than it may")


@dataclass(frozen=True)
class Ending:
    """The terminal state a run arrived at, and what the record says of it.

    unfit: memory ran out in the middle of things; the process should not be trusted with another job.
    """

    status: JobStatus
    fields: Mapping[str, Any] = field(default_factory=dict)
    unfit: bool = False


@dataclass(frozen=True)
class Carried:
    """A job that was worked on.

    handed_back: it waits again, for another worker; nobody has rung for it yet. unfit: the process should not be
    trusted with another job.
    """

    record: JobRecord
    handed_back: bool = False
    unfit: bool = False


def carry_out(job_id: str, workshop: Workshop) -> Carried | None:
    """Carry out this queued job to its terminal state, unless this worker is to end; None for one not to be had."""
    return _carried(workshop, lambda: workshop.store.claim(job_id, workshop.lease_seconds))


def carry_out_next(workshop: Workshop) -> Carried | None:
    """The same for the first job of the queue that may be had; None if there is none.

    Messages come in the order in which they were sent; jobs that wait again, as after a worker's death, are older.
    """
    return _carried(workshop, lambda: workshop.store.claim_next(workshop.lease_seconds))


def _carried(workshop: Workshop, claim: Callable[[], JobRecord | None]) -> Carried | None:
    store, artifacts = workshop.store, workshop.artifacts
    try:
        record = claim()
    except UnreadableRecord as error:
        log.error("%s It has failed.", error)
        store.finish(error.job_id, error.attempt, JobStatus.FAILED, error=UNEXPECTED)
        return None
    if record is None:
        return None
    logs.job_id.set(record.id)
    with Run(record, store, artifacts, workshop.lease_seconds, workshop.drain) as run:
        try:
            ending = _ending(run, workshop)
        except PutAside:
            back = run.insist(lambda: store.hand_back(record.id, record.attempt))
            log.info("job %s attempt %d: %s", record.id, record.attempt, "handed back" if back else "lost")
            return Carried(record, handed_back=back)
        if ending is not None:
            finish = partial(store.finish, record.id, record.attempt, ending.status, stored_bytes=run.stored_bytes)
            held = run.insist(partial(finish, **ending.fields))
    if ending is None:
        run.let_go()
        return Carried(record, unfit=True)
    with left_for_upkeep(f"what job {record.id} no longer needs"):
        if held:
            clear_up(record, ending.status, artifacts)
        else:
            discard(record, store, artifacts)
    log.info("job %s attempt %d: %s", record.id, record.attempt, ending.status if held else "lost, discarded")
    return Carried(record, unfit=ending.unfit)


def _ending(run: Run, workshop: Workshop) -> Ending | None:
    """None when this process cannot carry the job out, though another one may."""
    try:
        return _worked(run, workshop)
    except PutAside:
        raise
    except Exception as error:
        if isinstance(error, ArtifactsUnavailable) and run.ask() is Verdict.CANCEL:
            return Ending(JobStatus.CANCELED, {"outcome": Ended.CANCELED})
        if is_device_fault(error):
            log.exception("job %s: the device failed", run.record.id)
            return None
        if ran_out_of_memory(error):
            if taken_by_others(workshop.studio):
                log.warning("job %s: others have taken the card's memory: %s", run.record.id, error)
                return None
            log.warning("job %s ran out of memory: %s", run.record.id, error)
            predicted, peak = predicted_bytes(run.record, workshop.studio), peak_bytes(workshop.studio.device)
            return replace(_failed(shortage(error, predicted, peak)), unfit=True)
        known = failure(error)
        if known is None:
            log.exception("job %s failed unexpectedly", run.record.id)
        else:
            log.warning("job %s failed: %s", run.record.id, error)
        return _failed(known or UNEXPECTED)


def _worked(run: Run, workshop: Workshop) -> Ending:
    record, studio, artifacts = run.record, workshop.studio, workshop.artifacts
    with PeakMemory(studio.device) as memory:
        model = studio.model(record.options)
        content, *styles = run.stored(
            lambda: [inputs.picture(artifacts, picture.id) for picture in (record.content, *record.styles)]
        )
        checkpoints = Checkpoints(record, artifacts, model.network.id, workshop.checkpoint_seconds, workshop.pace)
        outcome = _drawn(run, checkpoints, content, styles, model.network, workshop)
        _log_start(run, model)
        _keep(run, artifacts, LOSSES, _losses(outcome))
        if outcome.ended is Ended.DEADLINE:
            return _late(record, outcome)
        if outcome.ended is Ended.CANCELED:
            return _canceled(record, outcome)
        blend = blend_weights(record.options, len(styles))
        measures = measure(
            *(content, styles, blend, outcome.picture, model.measuring, studio.lpips),
            ids=inputs.ids(record),
            targets=studio.targets,
            color=record.options.color,
        )
    write = png16 if record.options.output_format == "png16" else png
    _keep(run, artifacts, RESULT, write(outcome.picture, _provenance(record, model)))
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
    warnings = (*record.warnings, *filter(None, (checkpoints.warning,)), *outcome.warnings)
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
        init=run.stored(partial(inputs.picture, artifacts, record.init_image.id)) if record.init_image else None,
        labels=run.stored(partial(inputs.labels, artifacts, record.mask.id)) if record.mask else None,
        memory_bytes=workshop.studio.memory_bytes,
        ids=inputs.ids(record),
        targets=workshop.studio.targets,
        graphs=workshop.studio.graphs,
        on_checkpoint=lambda take: run.on_checkpoint(take, checkpoints),
    )
    put_aside = run.stored(checkpoints.latest)
    try:
        outcome = draw(resume=put_aside)
    except CheckpointError as error:
        checkpoints.begin_anew(error)
        outcome = draw()
    finally:
        checkpoints.settle()
    if checkpoints.seconds:
        share = 100 * checkpoints.seconds / outcome.seconds
        log.info("job %s attempt %d: checkpoints took %.2f %% of the run", record.id, record.attempt, share)
    return outcome


def _keep(run: Run, artifacts: ArtifactStore, name: str, data: bytes) -> None:
    run.stored(lambda: artifacts.put_output(run.record.id, run.record.attempt, name, data))
    run.stored_bytes += len(data)


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


def _log_start(run: Run, model: Model) -> None:
    log.info(
        "job %s attempt %d: first iteration %.3f s after the claim; %s",
        *(run.record.id, run.record.attempt, run.seconds_to_first_iteration or float("nan")),
        f"loaded {model.network.id}" if model.loaded else "loaded nothing",
    )
