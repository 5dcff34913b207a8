"""Start a wide network from a trained narrow one, so that its first hours need not be repeated.

The narrow network's filters become the first ones of each layer, computing what they did; the others start
fresh, see everything and are heard by nobody until they have learnt something. After Net2Net (Chen, Goodfellow
and Shlens 2015, arXiv 1511.05641), with fresh filters instead of copies: copies give Gram matrices nothing new.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from training.model import Classifier


@torch.no_grad()
def grow(narrow: Mapping[str, Tensor], wide: Classifier) -> None:
    """Write the state of a narrower Classifier with the same classes into a wide one, in place."""
    state = wide.state_dict()
    for name, value in narrow.items():
        target = state[name]
        if value.ndim == 0:  # batches counted by batch norm
            continue
        if value.ndim >= 2:  # the narrow network's own filters must not hear the fresh ones yet
            target[: len(value)] = 0
            target[: len(value), : value.shape[1]] = value
        else:
            target[: len(value)] = value
    wide.load_state_dict(state)
