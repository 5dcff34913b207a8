"""Whether work can be taken and finished: each part that is needed, and how it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.jobs.artifacts import ArtifactStore
from core.jobs.errors import ArtifactsUnavailable, StoreUnavailable
from core.jobs.networks import ANNOUNCED
from core.jobs.store import WORKER_SEEN_SECONDS, JobStore


@dataclass(frozen=True)
class Part:
    """One thing the service needs in order to take and finish work."""

    ok: bool
    detail: str


@dataclass(frozen=True)
class Readiness:
    """`parts`: redis, artifacts, worker. `network`: {"network", "weights", "device"} of a live worker.
    `networks`: all that it can draw with, {name: {"weights", "deepest"}}."""

    parts: Mapping[str, Part]
    network: Mapping[str, Any] | None
    networks: Mapping[str, Mapping[str, str]]

    @property
    def ok(self) -> bool:
        return all(part.ok for part in self.parts.values())


def readiness(store: JobStore, artifacts: ArtifactStore) -> Readiness:
    """What works and what does not. Never raises."""
    pictures = storage(artifacts)
    try:
        store.ping()
        workers = store.workers()
    except StoreUnavailable as error:
        silent = Part(False, "not known while Redis does not answer")
        return Readiness({"redis": Part(False, str(error)), "artifacts": pictures, "worker": silent}, None, {})
    worker = (
        Part(True, f"{len(workers)} ready")
        if workers
        else Part(False, f"none was heard of within {WORKER_SEEN_SECONDS} s; start one")
    )
    latest = dict(list(workers.values())[-1]) if workers else None
    networks = latest.pop(ANNOUNCED, {}) if latest else {}
    return Readiness({"redis": Part(True, "answers"), "artifacts": pictures, "worker": worker}, latest, networks)


def storage(artifacts: ArtifactStore) -> Part:
    """Whether pictures can be stored. Never raises."""
    try:
        artifacts.check()
    except ArtifactsUnavailable as error:
        return Part(False, f"cannot be written ({error})")
    return Part(True, "can be written")
