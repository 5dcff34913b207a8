"""What a run leaves that nobody needs."""

from core.jobs.artifacts import CHECKPOINT, RESULT, ArtifactStore
from core.jobs.errors import JobExpired, JobNotFound, StoreUnavailable
from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore


def clear_up(record: JobRecord, status: JobStatus, artifacts: ArtifactStore) -> None:
    """What a job that has ended keeps is what this run made of it."""
    artifacts.delete_output(record.id, CHECKPOINT)
    if status is not JobStatus.SUCCEEDED:  # canceled just when its picture was written
        artifacts.delete_output(record.id, RESULT)
    for earlier in range(1, record.attempt):  # one that died between its picture and its end left that
        artifacts.delete_attempt(record.id, earlier)


def discard(record: JobRecord, store: JobStore, artifacts: ArtifactStore) -> None:
    """What a run made that lost its job. Its checkpoint is what the next run goes on from: that one clears it up."""
    try:
        over = store.get(record.id).finished
    except (JobNotFound, JobExpired):
        over = True
    except StoreUnavailable:
        over = False
    artifacts.delete_attempt(record.id, record.attempt, but=None if over else CHECKPOINT)
