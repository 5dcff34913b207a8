"""The warm engine of this process: its device, and every network it has loaded so far."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from time import perf_counter

import torch

from core.engine.network import Network, Parameters, resolve_dtype
from core.engine.options import StyleOptions
from core.engine.perceptual import Lpips
from core.engine.weights import Origin, choose, load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A network for one job. `loaded`: whether it had to be loaded just now.

    measuring: the same network in float32, in which pictures are measured whatever drew them.
    """

    network: Network
    measuring: Network
    warning: str | None
    loaded: bool


class Studio:
    """Networks stay: a second job with the same one loads nothing. Safe to share between threads."""

    def __init__(self, *, device: str, weights: str, weights_dir: Path, threads: int) -> None:
        """device: auto, cpu, cuda or cuda:N. weights: as for `core.engine.weights.choose`.

        threads: CPU threads of this process, 0 to leave them to torch.
        """
        if threads:
            torch.set_num_threads(threads)
        self.device = _device(device)
        self.lpips = Lpips(weights_dir)
        self._weights = weights
        self._weights_dir = weights_dir
        self._parameters: dict[Origin, Parameters] = {}
        self._networks: dict[tuple[Origin, torch.dtype], Network] = {}
        self._lock = Lock()

    def model(self, options: StyleOptions) -> Model:
        """The network that draws with these options, in the arithmetic they ask for.

        Raises WeightsError when its parameters are missing or damaged.
        """
        layers = {*options.layer_weights, *options.content_layers}
        dtype = resolve_dtype(options.dtype, self.device)
        with self._lock:
            chosen = choose(self._weights, options.network, layers, self._weights_dir)
            origin = replace(chosen, warning=None)  # however it came to be chosen, it is the same network
            loaded = (origin, dtype) not in self._networks
            network, measuring = (self._placed(origin, d) for d in (dtype, torch.float32))
        return Model(network, measuring, chosen.warning, loaded)

    def _placed(self, origin: Origin, dtype: torch.dtype) -> Network:
        if (origin, dtype) not in self._networks:
            begun = perf_counter()
            if origin not in self._parameters:
                self._parameters[origin] = load(origin)
            network = Network(self._parameters[origin], self.device, dtype)
            network.trunk(network.architecture.layers[:1])  # brings the parameters onto the device
            self._networks[origin, dtype] = network
            log.info(
                "loaded %s %s on %s as %s in %.2f s",
                *(network.architecture.name, network.id, self.device, dtype, perf_counter() - begun),
            )
        return self._networks[origin, dtype]


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device(name)
