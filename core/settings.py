"""Every setting of every role, from `STRATA_*` variables. Read at the composition roots only."""

import os
import resource
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.engine.options import MAX_STYLES
from core.keys import ApiKey, KeyName, Keys

MEGA = 1_000_000

_OWN_DESCRIPTORS = 192
_FEWEST_CONNECTIONS = 16


def _hub_checkpoints() -> Path:
    """Where torch.hub keeps downloaded parameters, found by its rule without importing it."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


class Settings(BaseSettings):
    """One value holds them all; each is set by its name in capitals after `STRATA_`."""

    model_config = SettingsConfigDict(env_prefix="STRATA_", frozen=True, extra="ignore")

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Broker, records and events: redis://, rediss:// or unix:///path/to/socket.",
    )
    artifacts: str = Field(
        "./.strata/artifacts",
        description="Where pictures are kept: a folder, file:///path, s3://bucket/prefix or another URL for fsspec.",
    )
    weights: str = Field("auto", description="auto, pretrained, embedded, seeded, or the path of a file.")
    weights_dir: Path = Field(
        default_factory=_hub_checkpoints, description="Where downloaded parameters are looked for and put."
    )

    allowed_hosts: str = Field(
        "",
        description="Host names, separated by commas, that the API answers to without keys, beside the loopback ones:"
        " those of a proxy, or of its container; * for all of them.",
    )

    keys: dict[KeyName, ApiKey] = Field(
        default_factory=dict,
        description="API keys by name, as JSON: what `keys_file` has as TOML. With any, every request needs one.",
    )
    keys_file: Path | None = Field(
        None, description="A file of API keys; `strata keys new` writes it. It is read again whenever it changes."
    )
    cors_origins: str = Field(
        "", description="Origins, separated by commas, whose web pages may use the API; * for all of them."
    )

    log_format: Literal["text", "json"] = Field("text", description="Lines for people, or JSON lines for machines.")

    max_picture_bytes: Annotated[int, Field(gt=0)] = 25 * MEGA
    max_pixels: Annotated[int, Field(gt=0)] = 50 * MEGA
    min_side: Annotated[int, Field(gt=0)] = 16
    max_styles: Annotated[int, Field(gt=0, le=MAX_STYLES)] = MAX_STYLES
    max_body_bytes: Annotated[int, Field(gt=0)] = Field(
        240 * MEGA, description="A whole request: nine pictures of the largest size, and some text."
    )
    max_json_bytes: Annotated[int, Field(gt=0)] = Field(
        70 * MEGA, description="A request in JSON: two pictures of the largest size in base64, and some text."
    )
    bodies_bytes: Annotated[int, Field(gt=0)] = Field(
        500 * MEGA, description="Bodies in memory at a time in each API process; more are refused with 503."
    )
    max_connections: Annotated[int, Field(gt=0)] = Field(
        1000, description="Connections to each API process, as far as it has descriptors; more are refused with 503."
    )
    max_queued: Annotated[int, Field(gt=0)] = 1000
    decode_seconds: Annotated[float, Field(gt=0)] = Field(
        20.0, description="A picture that takes longer to decode is refused."
    )

    lease_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, description="A run that gives no sign for so long has lost its job."
    )
    max_attempts: Annotated[int, Field(gt=0)] = Field(
        3, description="A job that lost so many runs, because their workers died, has failed."
    )
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        2.0, description="A run puts itself aside no more often than this, and than costs 2 % of its time."
    )
    drain_seconds: Annotated[float, Field(ge=0)] = Field(
        5.0, description="A worker told to end hands its job back unless it can finish it within this time."
    )
    result_days: Annotated[float, Field(gt=0)] = 7
    max_stored_bytes: Annotated[int, Field(ge=0)] = Field(
        0, description="Bytes of pictures, sent and painted, that are kept at a time; 0 for as many as the disk takes."
    )
    reserve_bytes: Annotated[int, Field(ge=0)] = Field(
        500 * MEGA,
        description="Of the disk that keeps the pictures: so much stays free for Redis. Beyond it no picture is taken,"
        " and beyond half of it no result.",
    )

    egress_allow_loopback: bool = Field(
        False,
        description="Let callbacks and picture URLs reach http on this machine, for development and tests; otherwise"
        " only https to public addresses.",
    )

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = Field(
        "auto", description="auto, cpu, cuda or cuda:N."
    )
    slots: Annotated[int, Field(ge=0)] = Field(
        0, description="Pictures one worker paints at a time, each in a child process; 0 for one per card, or one."
    )
    cuda_graphs: bool = Field(True, description="Record small evaluations on a GPU and replay them.")
    threads: Annotated[int, Field(ge=0)] = Field(0, description="CPU threads of a child process; 0 for its share.")
    memory_bytes: Annotated[int, Field(ge=0)] = Field(
        0, description="Memory a run may take; 0 for its share of four fifths of the device's or machine's."
    )
    warm_networks: Annotated[int, Field(gt=0)] = Field(
        4, description="Networks a worker keeps loaded; beyond that the one used longest ago goes."
    )

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        scheme = urlsplit(url).scheme
        if scheme not in ("redis", "rediss", "unix"):
            raise ValueError(f"{scheme or url!r} is not a Redis URL; use redis://, rediss:// or unix:///path")
        return url

    @property
    def allowed_host_names(self) -> tuple[str, ...]:
        return _listed(self.allowed_hosts)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        return tuple(origin.rstrip("/") for origin in _listed(self.cors_origins))

    @property
    def connections(self) -> int:
        """To one API process at a time: within what its own files and connections leave of its descriptors."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(_FEWEST_CONNECTIONS, min(self.max_connections, descriptors - _OWN_DESCRIPTORS))

    @property
    def streams(self) -> int:
        """Answers that one API process holds open at a time: others must still get through."""
        return self.connections // 2

    def known_keys(self) -> Keys:
        """Those of the environment and of the file. Raises KeysError."""
        return Keys(self.keys, self.keys_file)

    @property
    def broker_url(self) -> str:
        """The Redis URL as Celery spells it: unix sockets are `redis+socket://`, a database `virtual_host`."""
        parts = urlsplit(self.redis_url)
        if parts.scheme != "unix":
            return self.redis_url
        database = f"?{parts.query.replace('db=', 'virtual_host=')}" if parts.query else ""
        return f"redis+socket://{parts.netloc}{parts.path}{database}"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
