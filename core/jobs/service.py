"""The use cases: submit, get, cancel, and what a finished job left. No HTTP."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from celery import Celery

from core.jobs import artifacts as names
from core.jobs.artifacts import ArtifactStore, left_for_upkeep, open_artifacts
from core.jobs.artifacts.space import Space
from core.jobs.canonical import UnusablePictureError
from core.jobs.connections import connect
from core.jobs.egress import Egress
from core.jobs.errors import (
    ArtifactMissing,
    ArtifactsUnavailable,
    FieldProblem,
    InvalidRequest,
    JobExpired,
    JobNotFound,
    NotReadyYet,
    PictureNotFound,
    StoreUnavailable,
    UnreadableRecord,
)
from core.jobs.intake import Intake
from core.jobs.networks import Networks
from core.jobs.pictures import Pictures, Upload
from core.jobs.queue import let_next_in, make_celery, ring
from core.jobs.readiness import Part, Readiness, readiness, storage
from core.jobs.record import JobRecord, JobStatus, Picture
from core.jobs.renditions import Rendition
from core.jobs.spec import Submission, TakenPicture, checked, recorded, with_files
from core.jobs.store import JobStore
from core.settings import Settings

__all__ = ["JobService", "Submission"]

log = logging.getLogger(__name__)

SECONDS_PER_DAY: Final = 86_400


class JobService:
    """Sync and safe to share between threads. `owner`, when given, hides other owners' jobs."""

    def __init__(
        self,
        store: JobStore,
        artifacts: ArtifactStore,
        pictures: Pictures,
        intake: Intake,
        queue: Celery,
        settings: Settings,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._pictures = pictures
        self._intake = intake
        self._queue = queue
        self._settings = settings
        self._egress = Egress(allow_loopback=settings.egress_allow_loopback)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Wire the service up. Opens no connection and starts no process until it is used."""
        redis = connect(settings.redis_url)
        artifacts = open_artifacts(settings.artifacts, reserve_bytes=settings.reserve_bytes)
        keep_seconds = settings.result_days * SECONDS_PER_DAY
        return cls(
            JobStore(redis, keep_seconds=keep_seconds),
            artifacts,
            Pictures(redis, artifacts, keep_seconds=keep_seconds, max_bytes=settings.max_stored_bytes),
            Intake(
                max_bytes=settings.max_picture_bytes,
                max_pixels=settings.max_pixels,
                min_side=settings.min_side,
                decode_seconds=settings.decode_seconds,
            ),
            make_celery(settings),
            settings,
        )

    def close(self) -> None:
        """Let go of connections and child processes."""
        self._intake.close()
        self._queue.close()
        self._store.close()

    def submit(self, submission: Submission) -> JobRecord:
        """Check everything, store the inputs and the record, and ring the queue.

        Raises InvalidRequest (PictureRefused when only pictures are wrong) naming every wrong field,
        QueueFull, QuotaExceeded, ArtifactsFull: then no job was made. Raises StoreUnavailable: then perhaps one was,
        for an answer may have been lost; to submit the same with the same `job_id` again makes one in all.

        A bell that cannot be rung once the record exists is no failure: the job was accepted, stays
        queued, and is rung for again by whoever finds it so.
        """
        owner, limits = submission.owner, self._settings
        spec, pictures = checked(
            self.fetched(submission),
            self._intake,
            lambda picture_id: self._pictures.find(picture_id, owner),
            self._egress,
            Networks.of(self._store.workers().values(), limits.weights),
            max_styles=limits.max_styles,
            max_expiry=int(limits.result_days * SECONDS_PER_DAY),
        )
        record = recorded(spec, submission, self._store.now())
        self._store.expect_room(limits.max_queued)  # before anything is stored; create decides
        try:
            self._keep(pictures, record, submission.max_stored)
            self._store.create(
                record, max_queued=limits.max_queued, max_own=submission.max_queued, max_running=submission.max_running
            )
        except StoreUnavailable:
            raise  # if there is no job after all, upkeep finds what was kept for it
        except Exception:
            if not self._store.has(record.id):  # by somebody else, who was asked for the same `job_id`
                self._release(record)
            raise
        try:
            ring(self._queue, record.id, record.priority)
        except StoreUnavailable as error:
            log.warning("job %s is queued, but the bell was not rung: %s", record.id, error)
        return record

    def fetched(self, submission: Submission) -> Submission:
        """The same with its pictures fetched, which takes as long as their servers take; `submit` does it otherwise.

        Raises InvalidRequest, naming every URL that leads to no picture.
        """
        return with_files(submission, self._egress, self._settings.max_picture_bytes)

    @property
    def max_picture_bytes(self) -> int:
        """Of one picture, as it is sent."""
        return self._settings.max_picture_bytes

    def upload(self, data: bytes, pointer: str, owner: str | None = None, max_own_bytes: int | None = None) -> Upload:
        """Check a picture and keep it for use by id. Raises PictureRefused, naming `pointer`, QuotaExceeded."""
        return self._pictures.upload(self._intake.check(data, pointer), owner, max_own_bytes=max_own_bytes)

    def picture(self, picture_id: str, owner: str | None = None) -> Picture:
        """A stored picture that something of this owner's needs. Raises PictureNotFound."""
        return self._pictures.find(picture_id, owner)

    def picture_png(self, picture_id: str, owner: str | None = None) -> bytes:
        """Its bytes. Raises PictureNotFound."""
        return self._artifacts.input(self._pictures.find(picture_id, owner).id)

    def delete_picture(self, picture_id: str, owner: str | None = None) -> None:
        """Forget an uploaded picture. Raises PictureNotFound, PictureInUse."""
        self._pictures.delete(picture_id, owner)

    def rendered(self, png: bytes, rendition: Rendition) -> bytes:
        """A stored picture in another form. Raises ArtifactsUnavailable if it cannot be made."""
        try:
            return self._intake.rendered(png, rendition)
        except UnusablePictureError as error:
            raise ArtifactsUnavailable(f"a picture could not be shown in another form ({error})") from error

    def delete(self, job_id: str, owner: str | None = None) -> None:
        """Remove a job in any state, its outputs, and its inputs unless something else needs them."""
        with _hidden(job_id, owner):
            if owner not in (None, self._store.owner(job_id)):
                raise JobNotFound(job_id)
        self.remove(job_id)

    def remove(self, job_id: str, *, remember_seconds: float = 0) -> None:
        """As `delete`, for the service itself. `remember_seconds`: for how long it is said to have expired."""
        try:
            record = self._store.remove(job_id, remember_seconds=remember_seconds)
        except UnreadableRecord as error:
            log.error("%s It is removed; its inputs are left for upkeep.", error)
            record = None
            with left_for_upkeep(f"what job {job_id} made"):
                self._artifacts.delete_job(job_id)
        if record is not None:
            with left_for_upkeep(f"what job {job_id} made"):
                self._artifacts.delete_job(job_id)
            self._release(record)
            if record.status is JobStatus.PROCESSING:
                let_next_in(self._store, self._queue, record.owner)

    def get(self, job_id: str, owner: str | None = None) -> JobRecord:
        """Raises JobNotFound, JobExpired, UnreadableRecord, StoreUnavailable."""
        with _hidden(job_id, owner):
            record = self._store.get(job_id)
        if owner is not None and record.owner != owner:
            raise JobNotFound(job_id)
        return record

    def cancel(self, job_id: str, owner: str | None = None) -> JobRecord:
        """Queued: canceled at once. Processing: flagged, the run ends soon. Finished: unchanged."""
        self.get(job_id, owner)
        record = self._store.request_cancel(job_id)
        if record.finished and record.status is not JobStatus.SUCCEEDED:
            with left_for_upkeep(f"what job {job_id} put aside"):
                for name in names.WITHOUT_PICTURE:
                    self._artifacts.delete_output(job_id, name)
        return record

    def queue_position(self, record: JobRecord) -> int | None:
        """1 for the next to run; None unless queued."""
        return self._store.queue_position(record.id) if record.status is JobStatus.QUEUED else None

    def image(self, job_id: str, owner: str | None = None) -> bytes:
        """The result, PNG. Raises as `finished`."""
        return self._artifacts.output(job_id, self.finished(job_id, owner).attempt, names.RESULT)

    def finished(self, job_id: str, owner: str | None = None) -> JobRecord:
        """The record of a job that has a picture. Raises NotReadyYet unless the job has succeeded."""
        record = self.get(job_id, owner)
        if record.status is not JobStatus.SUCCEEDED:
            raise NotReadyYet(job_id, "image", _no_picture(record))
        return record

    def preview(self, job_id: str, owner: str | None = None) -> bytes:
        """The newest intermediate picture, JPEG. Raises NotReadyYet while there is none."""
        return self._output(self.get(job_id, owner), "preview", names.PREVIEW)

    def losses(self, job_id: str, owner: str | None = None) -> list[dict[str, Any]]:
        """One entry per evaluation: iteration, total, content, style, tv, style_by_layer.

        Raises NotReadyYet until the run has ended.
        """
        series: list[dict[str, Any]] = json.loads(self._output(self.get(job_id, owner), "losses", names.LOSSES))
        return series

    def readiness(self) -> Readiness:
        """What works and what does not. Never raises."""
        return readiness(self._store, self._artifacts)

    def storage(self) -> Part:
        """Whether pictures can be stored. Never raises."""
        return storage(self._artifacts)

    def space(self) -> Space | None:
        """What is left of the disk that keeps the pictures; None where that has no bound, or is not known now."""
        try:
            return self._artifacts.space()
        except ArtifactsUnavailable:
            return None

    def _keep(self, pictures: Mapping[str, TakenPicture], record: JobRecord, most: int | None) -> None:
        """Raises InvalidRequest for a picture named by its id that has gone since it was found."""
        for pointer, taken in pictures.items():
            try:
                self._pictures.keep(taken.picture, taken.png, record.owner, record.id, max_own_bytes=most)
            except PictureNotFound as gone:
                raise InvalidRequest((FieldProblem(pointer, str(gone)),)) from gone

    def _release(self, record: JobRecord) -> None:
        self._pictures.release((picture.id for picture in record.inputs), record.owner, record.id)

    def _output(self, record: JobRecord, what: str, name: str) -> bytes:
        try:
            return self._artifacts.output(record.id, record.attempt, name)
        except ArtifactMissing:
            state = f"the job is {record.status}" if record.finished else f"the job is {record.status} still"
            raise NotReadyYet(record.id, what, f"There is no {what}: {state}.") from None


@contextmanager
def _hidden(job_id: str, owner: str | None) -> Iterator[None]:
    """Nobody learns that somebody else's job was there once."""
    try:
        yield
    except JobExpired as expired:
        raise expired if owner in (None, expired.owner) else JobNotFound(job_id) from None


def _no_picture(record: JobRecord) -> str:
    if record.status is JobStatus.FAILED and record.error is not None:
        return f"There is no picture: the job failed. {record.error.detail}"
    if record.status is JobStatus.CANCELED:
        return "There is no picture: the job was canceled."
    return f"There is no picture yet: the job is {record.status}."
