"""Pictures that a client names by URL: fetched all at once, before anything is checked or stored."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from core.jobs.egress import Egress, TooLarge, Unreachable
from core.jobs.errors import FieldProblem, InvalidRequest, PictureRefused
from core.jobs.urls import UrlRefused

_AT_A_TIME: Final = 12
"""More than a submission can name."""


@dataclass(frozen=True)
class PictureUrl:
    """Where a picture is to be fetched from; not yet trusted."""

    url: str


def fetched(pictures: Sequence[tuple[str, PictureUrl]], egress: Egress, max_bytes: int) -> list[bytes]:
    """The files, each named by a JSON pointer to where its URL stands.

    Raises InvalidRequest naming every one that could not be had, PictureRefused if all of them are too large.
    """
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="fetch") as pool:
        found = list(pool.map(lambda named: _outcome(lambda: egress.fetch(named[1].url, max_bytes)), pictures))
    failed = [(pointer, error) for (pointer, _), error in zip(pictures, found, strict=True) if not _is_file(error)]
    problems = tuple(FieldProblem(pointer, str(error)) for pointer, error in failed)
    if failed and all(isinstance(error, TooLarge) for _, error in failed):
        raise PictureRefused(problems, "too-large")
    if failed:
        raise InvalidRequest(problems)
    return [file for file in found if isinstance(file, bytes)]


def _outcome(fetch: Callable[[], bytes]) -> bytes | Exception:
    try:
        return fetch()
    except (UrlRefused, Unreachable) as error:
        return error


def _is_file(found: bytes | Exception) -> bool:
    return isinstance(found, bytes)
