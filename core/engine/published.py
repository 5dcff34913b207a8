"""Torchvision's published parameters: fetched once and verified. No torch at import."""

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from core.engine.catalog import PUBLISHED, Published
from core.engine.errors import WeightsError

_TIMEOUT_SECONDS: Final = 10
_CHUNK: Final = 1 << 20


def fetch(
    network: str, directory: Path, on_bytes: Callable[[int, int], None] | None = None, url: str | None = None
) -> Path:
    """Download the published parameters of `network` into `directory`, once. Returns the file.

    on_bytes(done, total) is called as bytes arrive (total 0 when the server does not say); url replaces
    torchvision's own, for a mirror. A file that is there already is verified, not fetched again.

    Raises WeightsError, within seconds when the hub cannot be reached.
    """
    published = PUBLISHED[network]
    target = directory / published.file
    if target.is_file():
        verify(target, published.sha256_prefix)
        return target
    directory.mkdir(parents=True, exist_ok=True)
    source = url or _torchvision_url(published)
    part = _download(source, directory, on_bytes or (lambda done, total: None))
    try:
        verify(part, published.sha256_prefix)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def verify(path: Path, sha256_prefix: str) -> None:
    """Raise WeightsError unless the file's SHA-256 begins as its publisher says."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if not digest.hexdigest().startswith(sha256_prefix):
        raise WeightsError(
            f"{path.name} is damaged or not the published file: its SHA-256 begins {digest.hexdigest()[:8]}, not"
            f" {sha256_prefix}; delete {path} and run `strata weights fetch`"
        )


def _torchvision_url(published: Published) -> str:
    from torchvision.models import get_weight  # here, because importing torchvision takes seconds

    return str(get_weight(published.enum).url)


def _download(url: str, directory: Path, on_bytes: Callable[[int, int], None]) -> Path:
    """The bytes at `url` in a new file of `directory`, which the caller renames or removes."""
    if not url.startswith(("https://", "http://")):
        raise WeightsError(f"{url} is not an http or https address")
    with NamedTemporaryFile(dir=directory, suffix=".part", delete=False) as part:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - checked above
                total = int(response.headers.get("Content-Length") or 0)
                done = 0
                while chunk := response.read(_CHUNK):
                    part.write(chunk)
                    on_bytes(done := done + len(chunk), total)
            if total and done < total:
                raise OSError(f"the connection ended after {done} of {total} bytes")
        except OSError as error:
            Path(part.name).unlink(missing_ok=True)
            raise WeightsError(
                f"could not fetch {url} ({error}); check the connection, give a mirror with --url, put the file into"
                f" {directory} by hand, or use --weights embedded, which needs no download"
            ) from error
    return Path(part.name)
