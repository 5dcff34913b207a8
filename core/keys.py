"""API keys: how they are made, kept and recognised, and what each may do.

Only hashes are kept. A key has 256 random bits, so one round of SHA-256 is as good as any number of them.
"""

import hashlib
import hmac
import logging
import secrets
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.jobs.record import Priority

log = logging.getLogger(__name__)

PREFIX: Final = "strata_"
LOOK_SECONDS: Final = 1.0
"""A file of keys is looked at again no oftener than this."""

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
    streams: Most = Field(None, description="Jobs followed, and looks that wait, at a time in each API process.")
    stored_bytes: Most = Field(None, description="Bytes of pictures, sent and painted, that are kept at a time.")
    priorities: tuple[Priority, ...] = Field(tuple(Priority), min_length=1, description="Those a job may ask for.")


_FILE: Final = TypeAdapter(dict[KeyName, ApiKey])


class KeysError(Exception):
    """A file of keys cannot be used; says why."""


class Keys:
    """The keys that a service knows, by name: those it was given, and those in a file, also while that changes.

    A file that cannot be read or used any more changes nothing: those that were known stay known.
    """

    def __init__(self, given: Mapping[str, ApiKey], file: Path | None = None) -> None:
        """Those that were given count before those of the same name in the file. Raises KeysError."""
        self._given = given
        self._file = file
        self._seen = None if file is None else _stamp(file)
        self._looked = time.monotonic()
        self._known = _by_hash(given, {} if file is None else read_keys(file))

    @property
    def asked_for(self) -> bool:
        """Whether anybody is to be asked for a key. A file without any keys is no open door: nobody has one yet."""
        return bool(self._known) or self._file is not None

    def find(self, token: str) -> tuple[str, ApiKey] | None:
        """The name and rights that a key stands for. Takes as long for every key there is."""
        self._look()
        given, found = hash_of(token).encode(), None
        for known, name, key in self._known:
            if hmac.compare_digest(known, given):
                found = name, key
        return found

    def _look(self) -> None:
        """Take in what has changed in the file, as a whole or not at all."""
        if self._file is None or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        stamp = _stamp(self._file)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._known = _by_hash(self._given, read_keys(self._file))
        except KeysError as error:
            log.error("%s; those known before stay in force", str(error).rstrip("."))
        else:
            log.info("the keys in %s have changed; there are %d now", self._file, len(self._known))


def _by_hash(given: Mapping[str, ApiKey], read: Mapping[str, ApiKey]) -> tuple[tuple[bytes, str, ApiKey], ...]:
    return tuple((key.hash.encode(), name, key) for name, key in {**read, **given}.items())


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Differs when the file does; None when it cannot be seen."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


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
