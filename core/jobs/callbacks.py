"""The use cases of callbacks: how they went, again by hand, and the secrets that sign them. No HTTP."""

from datetime import datetime
from typing import Self

from core.jobs.connections import connect
from core.jobs.deliveries import Delivery, DeliveryStore
from core.jobs.errors import DeliveryNotFound
from core.jobs.secrets import Secrets
from core.jobs.service import JobService
from core.settings import Settings


class Callbacks:
    """Sync and safe to share between threads. `owner`, when given, hides other owners' jobs."""

    def __init__(self, jobs: JobService, deliveries: DeliveryStore, secrets: Secrets) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._secrets = secrets

    @classmethod
    def from_settings(cls, settings: Settings, jobs: JobService) -> Self:
        """Beside the use cases of jobs. Opens no connection until it is used."""
        redis = connect(settings.redis_url)
        return cls(jobs, DeliveryStore(redis), Secrets(redis))

    def close(self) -> None:
        """Let go of connections."""
        self._deliveries.close()

    def deliveries(self, job_id: str, owner: str | None = None) -> list[Delivery]:
        """Oldest first. Raises JobNotFound, JobExpired, StoreUnavailable."""
        self._jobs.get(job_id, owner)
        return self._deliveries.of_job(job_id)

    def redeliver(self, job_id: str, delivery_id: str, owner: str | None = None) -> Delivery:
        """Make it due at once. Raises as `deliveries`, and DeliveryNotFound."""
        self._jobs.get(job_id, owner)
        found = self._deliveries.redeliver(job_id, delivery_id) and self._deliveries.get(delivery_id)
        if not found:
            raise DeliveryNotFound(job_id, delivery_id)
        return found

    def secret(self, owner: str | None = None) -> str:
        """The newest of an owner; made when first asked for."""
        return self._secrets.newest(owner)

    def rotate(self, owner: str | None = None) -> tuple[str, datetime]:
        """A new secret, and until when the one before it signs too."""
        return self._secrets.rotate(owner)
