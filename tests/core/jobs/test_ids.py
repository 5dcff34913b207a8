"""Job ids sort by time, do not repeat, and anything else is told apart."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from core.jobs.ids import is_job_id, new_job_id

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_id_is_a_version_7_uuid_that_holds_its_time() -> None:
    made = uuid.UUID(new_job_id(NOON))

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


def test_ids_sort_by_time() -> None:
    ids = [new_job_id(NOON + timedelta(milliseconds=at)) for at in range(50)]

    assert ids == sorted(ids)


def test_ids_made_at_once_differ() -> None:
    assert len({new_job_id(NOON) for _ in range(1000)}) == 1000


def test_what_was_made_is_recognised() -> None:
    assert is_job_id(new_job_id(NOON))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        "0198c",
        str(uuid.UUID(int=0)),
        str(uuid.uuid4()),
        new_job_id(NOON).upper().replace("0", "A"),
        new_job_id(NOON) + "\n",
        " " + new_job_id(NOON),
    ],
    ids=["empty", "path", "short", "zero", "random", "capitals", "line end", "space"],
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_job_id(text)
