"""Everything a child process keeps between jobs, and the sign of life it gives."""

import logging
import os
import socket
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final, Self

from core.engine.errors import EngineError
from core.engine.options import StyleOptions
from core.jobs.artifacts import ArtifactStore, open_artifacts
from core.jobs.connections import connect
from core.jobs.errors import StoreUnavailable
from core.jobs.networks import announcement
from core.jobs.service import SECONDS_PER_DAY
from core.jobs.store import JobStore
from core.settings import Settings
from worker.cards import Slots
from worker.checkpoints import Pace
from worker.drain import Drain
from worker.studio import Studio

log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS: Final = 5.0
_ALONE: Final = Slots(1)


@dataclass(frozen=True)
class Workshop:
    """What jobs are carried out with."""

    studio: Studio
    store: JobStore
    artifacts: ArtifactStore
    lease_seconds: float
    checkpoint_seconds: float
    drain: Drain
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def open(cls, settings: Settings, drain: Drain, places: Slots = _ALONE) -> Self:
        """Load the network most jobs will ask for, and tell the world from then on that we are there."""
        workshop = cls.of(settings, drain, places)
        warm = workshop.warm_up()
        Thread(target=workshop._heartbeats, args=(warm,), name="heartbeat", daemon=True).start()
        return workshop

    @classmethod
    def of(cls, settings: Settings, drain: Drain, places: Slots = _ALONE) -> Self:
        """As the settings say, cold and unknown to the world."""
        studio = Studio(
            device=settings.device,
            weights=settings.weights,
            weights_dir=settings.weights_dir,
            threads=places.threads(settings.threads),
            memory_bytes=settings.memory_bytes,
            warm_networks=settings.warm_networks,
            sharers=places.sharers,
            cuda_graphs=settings.cuda_graphs,
        )
        store = JobStore(connect(settings.redis_url), keep_seconds=settings.result_days * SECONDS_PER_DAY)
        return cls(
            studio=studio,
            store=store,
            artifacts=open_artifacts(settings.artifacts, reserve_bytes=settings.reserve_bytes),
            lease_seconds=settings.lease_seconds,
            checkpoint_seconds=settings.checkpoint_seconds,
            drain=drain,
        )

    def warm_up(self) -> dict[str, Any] | None:
        """The network of default options, loaded, as readiness names it, and every network that can draw here; None
        while there are no parameters."""
        try:
            network = self.studio.model(StyleOptions()).network
        except EngineError as error:
            log.error("not ready for work: %s", error)
            return None
        self.studio.rehearse(network)
        return {
            "network": network.architecture.name,
            "weights": network.id,
            "device": str(self.studio.device),
            **announcement(self.studio.drawable()),
        }

    def say(self, info: dict[str, Any]) -> None:
        try:
            self.store.heartbeat(f"{socket.gethostname()}-{os.getpid()}", info)
        except StoreUnavailable as error:
            log.warning("no sign of life could be given: %s", error)

    def _heartbeats(self, warm: dict[str, Any] | None) -> None:
        """For the life of the process. A network that is missing may be fetched meanwhile."""
        pause = Event()
        while True:
            if warm is not None:
                self.say(warm | self.studio.card())
            pause.wait(_HEARTBEAT_SECONDS)
            warm = warm or self.warm_up()
