"""The warm engine of this process: its device, and every network it has loaded so far."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Final

import torch

from core.engine.catalog import Drawable
from core.engine.network import Network, Parameters, resolve_dtype
from core.engine.options import FeatureScale, StyleOptions
from core.engine.perceptual import Lpips
from core.engine.presets import resolve
from core.engine.replay import Graphs
from core.engine.shares import layers_in_use
from core.engine.stylize import stylize
from core.engine.targets import TargetCache
from core.engine.weights import Origin, choose, drawable, load
from worker.cards import driver

log = logging.getLogger(__name__)

MEMORY_SHARE: Final = 0.8
"""Of the device's memory: the rest is for parameters, the process itself and its neighbours."""

_MOST: Final = 0.95
"""Of a card's memory, for all that share it: what they hold beside PyTorch's allocator needs room, too."""

_REHEARSAL: Final = {"size": 64, "iterations": 3}

_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
"""What a container may have, as Linux tells it inside (cgroup v2)."""


@dataclass(frozen=True)
class Model:
    """A network for one job. `loaded`: whether its parameters had to be read just now.

    measuring: the same network in float32, in which pictures are measured whatever drew them.
    """

    network: Network
    measuring: Network
    loaded: bool


class Studio:
    """Networks stay: a second job with the same one loads nothing. Safe to share between threads."""

    def __init__(
        self,
        *,
        device: str,
        weights: str,
        weights_dir: Path,
        threads: int,
        memory_bytes: int,
        warm_networks: int,
        sharers: int = 1,
        cuda_graphs: bool = True,
    ) -> None:
        """device: auto, cpu, cuda or cuda:N. weights: as for `core.engine.weights.choose`.

        threads: CPU threads of this process, 0 to leave them to torch. memory_bytes: what a run may take, 0 for
        MEMORY_SHARE of all there is, divided by `sharers`, the processes that share the device. warm_networks: how
        many sets of parameters stay loaded. cuda_graphs: whether evaluations may be recorded.
        """
        if threads:
            torch.set_num_threads(threads)
        self.device = _device(device)
        # Of what the machine has, not of what is free now: how a run is carried out must not depend on its moment.
        self.memory_bytes = memory_bytes or int(MEMORY_SHARE * _memory_of(self.device) / sharers)
        if self.device.type == "cuda" and sharers > 1:  # nobody takes what the others were promised
            torch.cuda.set_per_process_memory_fraction(_MOST / sharers, self.device)
        self.graphs = Graphs(cuda_graphs)
        self.lpips = Lpips()
        self.targets = TargetCache()
        self._weights = weights
        self._weights_dir = weights_dir
        self._warm_networks = warm_networks
        self._parameters: dict[Origin, Parameters] = {}  # the one used last stands last
        self._networks: dict[tuple[Origin, torch.dtype, FeatureScale], Network] = {}
        self._lock = Lock()

    def model(self, options: StyleOptions) -> Model:
        """The network that draws with these options, in the arithmetic they ask for.

        Raises WeightsError when its parameters are missing or damaged.
        """
        layers = layers_in_use(options)
        dtype = resolve_dtype(options.dtype, self.device)
        with self._lock:
            origin = choose(self._weights, options.network, layers, self._weights_dir)
            loaded = origin not in self._parameters
            network = self._placed(origin, dtype, options.feature_scale)
            measuring = self._placed(origin, torch.float32, "normalized")
            self._parameters[origin] = self._parameters.pop(origin)
            self._forget_oldest()
        return Model(network, measuring, loaded)

    def drawable(self) -> dict[str, Drawable]:
        """Every network that can draw here, by name."""
        return drawable(self._weights, self._weights_dir)

    def rehearse(self, network: Network) -> None:
        """On a GPU, draw something small: the first job then waits for no library, and a card that is broken has no
        first job. Raises RuntimeError for such a one."""
        if self.device.type == "cuda":
            gray = torch.full((3, 64, 64), 0.5)
            stylize(gray, [gray], resolve(_REHEARSAL), network, graphs=self.graphs)

    def card(self) -> dict[str, str]:
        """What is known of the card, as readiness tells it: nothing on a CPU."""
        if self.device.type != "cuda":
            return {}
        free, total = torch.cuda.mem_get_info(self.device)
        return {
            "card": torch.cuda.get_device_name(self.device),
            "driver": driver() or "unknown",
            "memory_bytes": str(total),
            "memory_used_bytes": str(total - free),
        }

    def _forget_oldest(self) -> None:
        while len(self._parameters) > self._warm_networks:
            oldest = next(iter(self._parameters))
            del self._parameters[oldest]
            for key in [key for key in self._networks if key[0] == oldest]:
                del self._networks[key]
            log.info("let go of %s %s", oldest.architecture.name, oldest.kind)

    def _placed(self, origin: Origin, dtype: torch.dtype, scale: FeatureScale) -> Network:
        if (origin, dtype, scale) not in self._networks:
            begun = perf_counter()
            if origin not in self._parameters:
                self._parameters[origin] = load(origin)
            network = Network(self._parameters[origin], self.device, dtype, scale)
            network.trunk(network.architecture.layers[:1])  # brings the parameters onto the device
            self._networks[origin, dtype, scale] = network
            log.info(
                "loaded %s %s on %s as %s in %.2f s",
                *(network.architecture.name, network.id, self.device, dtype, perf_counter() - begun),
            )
        return self._networks[origin, dtype, scale]


def _memory_of(device: torch.device) -> float:
    """Bytes of memory a run on this device draws on: the machine's, or what a container may have of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _container_limit())


def _container_limit(file: Path = _CGROUP_LIMIT) -> float:
    """Bytes, or infinity where nobody set a limit."""
    try:
        text = file.read_text().strip()
    except OSError:
        return float("inf")
    return float("inf") if text == "max" else int(text)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and (version := driver()):
            log.error(
                "there is an NVIDIA card with driver %s, which PyTorch %s (CUDA %s) cannot use: pictures are drawn on"
                " the CPU. A newer driver may help; with STRATA_DEVICE=cuda nothing is drawn there instead",
                *(version, torch.__version__, torch.version.cuda),
            )
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device(name)
