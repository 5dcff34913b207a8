"""What `Prefer` asks for, as RFC 7240 writes it."""

import pytest

from api.waiting import preferred


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("respond-async", None),
        ("return=minimal", None),
        ("handling=lenient; wait=10", 10),
        ("await=10", None),
        ("wait=10", 10),
        ("Wait=10", 10),
        ('wait="10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=10, respond-async", 10),
        ("wait = 10", 10),
        ("wait=0", 0),
        ("wait=60", 60),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("wait", 60),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait=1.5", None),
        ("wait=10x", None),
    ],
)
def test_a_preference_to_wait_is_read_and_bounded(header: str | None, seconds: int | None) -> None:
    assert preferred(header) == seconds
