"""JobSpec: a validated request. Options resolved in full, pictures by reference."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from core.engine.options import StyleOptions
from core.jobs.record import Picture, Priority


class JobSpec(BaseModel):
    """What a record is made from. `styles` and a non-empty `options.style_blend` are equally long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: StyleOptions
    content: Picture
    styles: tuple[Picture, ...]
    priority: Priority = Priority.NORMAL
    metadata: dict[str, Any] = {}
