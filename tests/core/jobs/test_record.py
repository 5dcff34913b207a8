"""The record as a value: its transitions, and what it looks like in JSON."""

import json
from math import inf, nan

import pytest
from pydantic import ValidationError

from core.engine.presets import resolve
from core.jobs.record import (
    TERMINAL,
    TRANSITIONS,
    JobLosses,
    JobMetrics,
    JobProgress,
    JobRecord,
    JobStatus,
    Picture,
    StylePicture,
)

PICTURE = {"id": "sha256:" + "a" * 64, "width": 64, "height": 48}
METRICS = {
    "iterations": 5,
    "queue_seconds": 0.1,
    "engine_seconds": 1.0,
    "device": "cpu",
    "dtype": "float32",
    "network": "vgg19",
    "weights": "seeded-v1",
}


def record(**fields: object) -> JobRecord:
    values = {
        "id": "x",
        "created_at": "2026-01-02T03:04:05Z",
        "content": Picture.model_validate(PICTURE),
        "styles": (StylePicture.model_validate(PICTURE),),
        "options": resolve({}),
        "progress": JobProgress(iterations=300),
    }
    return JobRecord.model_validate({**values, **fields})


def test_every_status_has_its_transitions_and_terminal_ones_have_none() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    assert {status for status, then in TRANSITIONS.items() if not then} == TERMINAL


def test_a_job_cannot_succeed_without_having_been_processed() -> None:
    assert JobStatus.SUCCEEDED not in TRANSITIONS[JobStatus.QUEUED]


def test_times_in_json_are_utc_and_end_in_z() -> None:
    made = record(created_at="2026-01-02T05:04:05+02:00", started_at="2026-01-02T03:04:06Z")

    shown = json.loads(made.model_dump_json())

    assert shown["started_at"] == "2026-01-02T03:04:06Z"
    assert JobRecord.model_validate_json(made.model_dump_json()) == made


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="created_at"):
        record(created_at="2026-01-02T03:04:05")


def test_a_record_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record().status = JobStatus.FAILED  # type: ignore[misc]


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_number_that_json_cannot_hold_becomes_null(value: float) -> None:
    losses = JobLosses(total=value, content=1, style=2, tv=3, style_by_layer={"relu1_1": value})
    metrics = JobMetrics.model_validate({**METRICS, "psnr": value, "style_distance_by_layer": {"relu1_1": value}})

    assert (losses.total, losses.content, losses.style_by_layer) == (None, 1, {"relu1_1": None})
    assert (metrics.psnr, metrics.style_distance_by_layer) == (None, {"relu1_1": None})
    assert JobMetrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_a_picture_id_is_a_sha256_and_nothing_else() -> None:
    with pytest.raises(ValidationError, match="id"):
        Picture(id="../../secret", width=1, height=1)
