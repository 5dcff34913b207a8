"""API keys: how they are made, kept and recognised, and what each may do.

Only hashes are kept. A key has 256 random bits, so one round of SHA-256 is as good as any number of them.
"""

import hashlib
import hmac
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.jobs.record import Priority

PREFIX: Final = "strata_"

KEY_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"

KeyName = Annotated[str, Field(pattern=KEY_NAME)]
Most = Annotated[int | None, Field(ge=1)]


class ApiKey(BaseModel):
    """What the holder of a key may do. None: as much as the service does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="Of the key: `strata keys new` prints it.")
    running: Most = Field(None, description="Jobs at work at a time; more wait in the queue.")
    queued: Most = Field(None, description="Jobs in the queue at a time; more are refused.")
    requests_per_minute: Most = Field(None, description="More are refused.")
    priorities: tuple[Priority, ...] = Field(tuple(Priority), min_length=1, description="Those a job may ask for.")


_FILE: Final = TypeAdapter(dict[KeyName, ApiKey])


class KeysError(Exception):
    """A file of keys cannot be used; says why."""


class Keys:
    """The keys that a service knows, by name."""

    def __init__(self, known: Mapping[str, ApiKey]) -> None:
        self._known = tuple((name, key, key.hash.encode()) for name, key in known.items())

    def __bool__(self) -> bool:
        return bool(self._known)

    def find(self, token: str) -> tuple[str, ApiKey] | None:
        """The name and rights that a key stands for. Takes as long for every key there is."""
        given, found = hash_of(token).encode(), None
        for name, key, known in self._known:
            if hmac.compare_digest(known, given):
                found = name, key
        return found


def new_key() -> str:
    """A key that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is kept of a key."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def read_keys(path: Path) -> dict[str, ApiKey]:
    """The keys in a TOML file, a table for each name. Raises KeysError."""
    try:
        return _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise KeysError(f"The keys in {path} cannot be read: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found) or str(error)
        raise KeysError(f"The keys in {path} cannot be used: {wrong}") from None
