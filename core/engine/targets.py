"""What the network saw in pictures, kept from run to run: a popular painting is looked at once per worker.

Kept layer by layer, so that runs with other weights find what they share. Bounded: what was used longest ago goes
first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final

from core.engine.losses import Statistics

MAX_BYTES: Final = 256 << 20
"""Of tensors, on the device that draws: a style picture's Gram matrices are 2.4 MB for VGG-19's five layers."""

Compute = Callable[[Sequence[str]], Mapping[str, Statistics]]


class TargetCache:
    """Tensors by picture, circumstances and layer. For one thread: the one that draws."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """max_bytes: 0 to keep nothing."""
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[Hashable, str], Statistics] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, layers: Sequence[str], compute: Compute) -> dict[str, Statistics]:
        """What `compute` says of `layers`, asked only for those not known yet.

        key: whatever decides the result beside the layer, the picture's own id among it.
        """
        known = {layer: self._kept[key, layer] for layer in layers if (key, layer) in self._kept}
        missing = [layer for layer in layers if layer not in known]
        self.hits, self.misses = self.hits + len(known), self.misses + len(missing)
        for layer in known:
            self._kept.move_to_end((key, layer))
        if missing:
            found = compute(missing)
            for layer in missing:
                self._keep((key, layer), found[layer])
            known |= {layer: found[layer] for layer in missing}
        return {layer: known[layer] for layer in layers}

    def _keep(self, name: tuple[Hashable, str], tensors: Statistics) -> None:
        size = _bytes(tensors)
        if size > self._max_bytes:
            return
        while self.bytes + size > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= _bytes(oldest)
        self._kept[name] = tensors
        self.bytes += size


def _bytes(tensors: Statistics) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
