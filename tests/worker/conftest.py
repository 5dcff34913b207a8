"""Jobs to carry out."""

from collections.abc import Callable, Sequence

import pytest

from core.jobs.record import JobRecord
from core.jobs.service import JobService, Submission

Submit = Callable[..., JobRecord]


@pytest.fixture(scope="session")
def quick() -> dict[str, object]:
    """Options of a run of a fraction of a second."""
    return {"network": "strata-small", "size": 64, "iterations": 5, "dtype": "float32"}


@pytest.fixture
def submit(service: JobService, photo: bytes, painting: bytes, quick: dict[str, object]) -> Submit:
    """`submit(content=…, styles=[…], **options)`: a quick job, queued."""

    def submit(content: bytes = photo, styles: Sequence[bytes] = (painting,), **options: object) -> JobRecord:
        return service.submit(Submission(content, styles, {**quick, **options}))

    return submit
