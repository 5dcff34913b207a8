"""Which networks can draw, as live workers announce it, and what a request may therefore ask for. No torch."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from core.engine.architecture import ARCHITECTURES
from core.engine.catalog import PUBLISHED, SHIPPED, Drawable, deepest_of
from core.engine.options import StyleOptions
from core.engine.shares import layers_in_use
from core.jobs.errors import FieldProblem

ANNOUNCED: Final = "networks"
"""Where a worker's sign of life has its networks."""

_FULL: Final = {name: deepest_of(architecture) for name, architecture in ARCHITECTURES.items()}


@dataclass(frozen=True)
class Networks:
    """deepest: how deep each network reaches that may be asked for. certain: those that a live worker announced, or,
    while none is alive, those that ship."""

    deepest: Mapping[str, str]
    certain: frozenset[str]

    @classmethod
    def of(cls, workers: Iterable[Mapping[str, Any]], source: str) -> Self:
        """What the live workers announce; with none alive, what STRATA_WEIGHTS (`source`) may turn out to mean."""
        announced = [worker.get(ANNOUNCED) for worker in workers]
        if not announced or None in announced:  # none alive, or one of a version that did not announce
            return cls(_possible(source), frozenset(SHIPPED))
        deepest: dict[str, str] = {}
        for networks in announced:
            for name, told in (networks or {}).items():
                deepest[name] = max(deepest.get(name, ""), told["deepest"])  # relu4_4 < relu5_1: names sort by depth
        return cls(deepest, frozenset(deepest))


def announcement(networks: Mapping[str, Drawable]) -> dict[str, Any]:
    """A worker's networks as its sign of life has them."""
    return {ANNOUNCED: {name: asdict(drawable) for name, drawable in networks.items()}}


def substituted(
    request: Mapping[str, Any], options: StyleOptions, networks: Networks
) -> tuple[StyleOptions, str | None]:
    """The options with VGG-19 in the place of a preset's VGG-16 where nobody has that, and a warning that says so.

    A network that the request names itself is never replaced.
    """
    if options.network != "vgg16" or "network" in request or "vgg16" in networks.certain:
        return options, None
    warning = (
        f"preset {options.preset} was published for vgg16, which is not here: vgg19 draws in its place;"
        " `strata weights fetch vgg16` gets it"
    )
    return options.model_copy(update={"network": "vgg19"}), warning


def undrawable(options: StyleOptions, networks: Networks) -> FieldProblem | None:
    """Why no worker could draw with these options, if so; says how to get what is missing."""
    network = options.network
    get = f"run `strata weights fetch {network}` on the worker's machine and start it with"
    if network not in networks.deepest:
        how = f"{get} --weights auto" if network in PUBLISHED else "start a worker that has them"
        return FieldProblem("/options/network", f"The parameters of {network} are not here; {how}.")
    architecture, end = ARCHITECTURES[network], networks.deepest[network]
    beyond = [layer for layer in layers_in_use(options) if architecture.depth(layer) > architecture.depth(end)]
    if not beyond:
        return None
    layer = min(beyond, key=architecture.depth)
    field = "layer_weights" if options.layer_weights.get(layer) else "content_layers"
    how = f"to go deeper, {get} --weights pretrained" if network in PUBLISHED else f"ask for layers up to {end}"
    return FieldProblem(
        f"/options/{field}/{layer}", f"The parameters of {network} here end at {end}, before {layer}; {how}."
    )


def _possible(source: str) -> Mapping[str, str]:
    """The networks that a worker with these weights may be able to draw, and how deep."""
    shipped = {name: deepest_of(shipped.architecture) for name, shipped in SHIPPED.items()}
    if source == "embedded":
        return shipped
    return {**_FULL, **shipped} if source == "auto" else _FULL
