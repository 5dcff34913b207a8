"""Where each artifact lives below its store's root, and what a client's word may become a part of that.

inputs/3c/3c3c….png          a picture, by its SHA-256
jobs/<job>/<attempt>/<name>  what one run of a job made
"""

import re
from typing import Final

from core.jobs.errors import ArtifactMissing
from core.jobs.ids import is_job_id

INPUTS: Final = "inputs"
JOBS: Final = "jobs"
ASIDE: Final = ".part"
"""Ends the names of files that are being written; those begin with a dot."""

_PICTURE_ID: Final = re.compile(r"sha256:([0-9a-f]{64})")
_PICTURE: Final = re.compile(rf"(?:^|/){INPUTS}/[0-9a-f]{{2}}/([0-9a-f]{{64}})\.png$")
_OUTPUT: Final = re.compile(rf"(?:^|/){JOBS}/([^/]+)/[0-9]+/[^/]+$")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9]+)*")


def of_input(picture_id: str) -> str:
    """Raises ArtifactMissing for what is not the id of a picture."""
    match = _PICTURE_ID.fullmatch(picture_id)
    if match is None:
        raise ArtifactMissing(f"{picture_id[:80]!r} is not the id of a picture.")
    return f"{INPUTS}/{match[1][:2]}/{match[1]}.png"


def of_output(job_id: str, attempt: int, name: str) -> str:
    """Raises ArtifactMissing for what is not the id of a job or the name of an output."""
    if not _NAME.fullmatch(name):
        raise ArtifactMissing(f"{name[:80]!r} is not the name of an output.")
    return f"{of_attempt(job_id, attempt)}/{name}"


def of_attempt(job_id: str, attempt: int) -> str:
    """Raises ArtifactMissing for what is not the id of a job."""
    return f"{of_job(job_id)}/{int(attempt)}"


def of_job(job_id: str) -> str:
    """Raises ArtifactMissing for what is not the id of a job."""
    if not is_job_id(job_id):
        raise ArtifactMissing(f"{job_id[:80]!r} is not the id of a job.")
    return f"{JOBS}/{job_id}"


def picture_at(path: str) -> str | None:
    """The id of the picture whose file this is, if it is one."""
    match = _PICTURE.search(path)
    return f"sha256:{match[1]}" if match else None


def job_at(path: str) -> str | None:
    """The id of the job whose output this is, if it is one."""
    match = _OUTPUT.search(path)
    return match[1] if match and is_job_id(match[1]) else None


def is_half(path: str) -> bool:
    """Whether this is a file that was being written."""
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(ASIDE)
