"""What can be asked for, and whether the service is well."""

from functools import cache
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api import examples, metrics
from api import problem_types as types
from api.answers import Health, PresetInfo, Presets, ProfileInfo, ReadyState
from api.deps import Service, parts
from api.openapi import Responses, problems, shown
from api.problems import Problem
from core.engine.architecture import ARCHITECTURES, BLOCK_EFFECTS, STYLE_LAYERS
from core.engine.options import PROFILES, StyleOptions
from core.engine.presets import PRESETS, resolve
from core.jobs.census import census
from core.jobs.errors import StoreUnavailable
from core.jobs.service import JobService

router = APIRouter()

_METRICS: Final[Responses] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": examples.METRICS}}}
}

_READY_EXAMPLE: Final = {
    "status": "ready",
    "parts": {
        "redis": {"ok": True, "detail": "answers"},
        "artifacts": {"ok": True, "detail": "writable"},
        "worker": {"ok": True, "detail": "1 worker, heard of 3 s ago"},
    },
    "network": {"network": "vgg19", "weights": "vgg19-normalized-v1", "device": "cpu"},
    "networks": {"vgg19": {"weights": "vgg19-normalized-v1", "deepest": "relu5_1"}},
}


def _resolved(preset: str) -> dict[str, Any]:
    return resolve({"preset": preset}).model_dump(mode="json")


_ABSTRACT: Final = dict(zip(STYLE_LAYERS, PROFILES["abstract"], strict=True))
_OPTIONS_EXAMPLE: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Options",
    "type": "object",
    "properties": {"iterations": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 150}},
    "x-layers": {"vgg19": ["conv1_1", "relu1_1"]},
    "x-blocks": {"1": {"name": "Grain", "effect": BLOCK_EFFECTS[1][1]}},
    "x-profiles": {"abstract": _ABSTRACT},
}
_PRESETS_EXAMPLE: Final = {
    "presets": [
        {"name": name, "source": preset.source, "choices": preset.choices, "options": _resolved(name)}
        for name, preset in list(PRESETS.items())[:1]
    ],
    "profiles": [{"name": "abstract", "layer_weights": _ABSTRACT}],
}


@cache
def _options() -> dict[str, Any]:
    schema = StyleOptions.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Options",
        "x-layers": {name: list(architecture.layers) for name, architecture in ARCHITECTURES.items()},
        "x-blocks": {block: {"name": name, "effect": effect} for block, (name, effect) in BLOCK_EFFECTS.items()},
        "x-profiles": {profile.name: profile.layer_weights for profile in _profiles()},
    }


@cache
def _presets() -> Presets:
    return Presets(
        presets=[
            PresetInfo(name=name, source=preset.source, choices=preset.choices, options=resolve({"preset": name}))
            for name, preset in PRESETS.items()
        ],
        profiles=_profiles(),
    )


def _profiles() -> list[ProfileInfo]:
    return [
        ProfileInfo(name=name, layer_weights=dict(zip(STYLE_LAYERS, ratios, strict=True)))
        for name, ratios in PROFILES.items()
    ]


@router.get(
    "/v1/options",
    tags=["options"],
    summary="List the options",
    operation_id="getOptions",
    response_description="A JSON Schema (2020-12) of a job's options.",
    responses=shown(200, _OPTIONS_EXAMPLE),
)
async def options() -> dict[str, Any]:
    """Every option with its type, default, bounds, unit, source and effect, as a JSON Schema.

    Beside the schema's own keywords: `x-layers`, the layers that each network has; `x-blocks`, what of a
    painting the layers of each block carry (the block of `relu4_1` is 4); and `x-profiles`, what the named
    balances mean.
    """
    return _options()


@router.get(
    "/v1/presets",
    tags=["options"],
    summary="List the presets",
    operation_id="getPresets",
    response_description="Presets and profiles.",
    responses=shown(200, _PRESETS_EXAMPLE),
)
async def presets() -> Presets:
    """The published systems that can be asked for by name, each with its source and its options in full."""
    return _presets()


@router.get(
    "/healthz",
    tags=["service"],
    summary="Is the process alive?",
    operation_id="getHealth",
    response_description="It is.",
    responses=shown(200, {"status": "ok"}),
)
async def healthz() -> Health:
    """Answers as long as the process does, whatever the state of the rest."""
    return Health()


@router.get(
    "/metrics",
    tags=["service"],
    summary="Numbers for Prometheus",
    operation_id="getMetrics",
    response_class=Response,
    response_description="Prometheus's text format.",
    responses=_METRICS,
)
async def told(request: Request) -> Response:
    """Jobs by state and outcome, queue depth and age, workers, engine time, webhooks; this process's HTTP latency.

    While Redis does not answer, that is told, and what is known without it. Asks for a key where the rest does.
    """
    own = parts(request)
    storage = await to_thread.run_sync(_storage, own.service)
    try:
        seen = await census(own.redis)
    except StoreUnavailable:
        seen = None
    return Response(metrics.exposed(seen, storage, request.app.state.registry), media_type=metrics.MEDIA_TYPE)


def _storage(service: JobService) -> metrics.Storage:
    return metrics.Storage(writable=service.storage().ok, space=service.space())


@router.get(
    "/readyz",
    tags=["service"],
    summary="Can work be taken and finished?",
    operation_id="getReadiness",
    response_model=ReadyState,
    response_description="Every part works.",
    responses=shown(200, _READY_EXAMPLE) | problems(types.NOT_READY),
)
def readyz(service: Service) -> JSONResponse:
    """Names each part that is needed, and the network that draws. 503 while a part is missing.

    The parts: `redis` answers; `artifacts` can be written; a `worker` was heard of within 30 s.
    """
    now = service.readiness()
    parts = {name: {"ok": part.ok, "detail": part.detail} for name, part in now.parts.items()}
    found = {"parts": parts, "network": now.network and dict(now.network), "networks": dict(now.networks)}
    if now.ok:
        return JSONResponse({"status": "ready"} | found)
    missing = "; ".join(f"{name}: {part.detail}" for name, part in now.parts.items() if not part.ok)
    raise Problem(types.NOT_READY, missing, more=found)
