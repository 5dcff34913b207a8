"""The examples of the documents, made from the models that are served."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from api.answers import Image, ImageUrls, Job, JobUrls, UploadedImage
from core.engine.architecture import STYLE_LAYERS
from core.engine.presets import resolve
from core.jobs.record import JobLosses, JobMetrics, JobProgress, JobStatus, Picture, Priority, StylePicture

JOB_ID: Final = "0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596"
_HOME: Final = f"http://127.0.0.1:8000/v1/jobs/{JOB_ID}"
_THEN: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)

OPTIONS: Final = {"profile": "abstract", "size": 256, "iterations": 50}
METADATA: Final = {"album": "holidays"}

# As small as the service takes them, and real: the example runs as it stands.
_SUNSET: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAGklEQVR42mM8EaXBQApgYWBjGNUwqmGYagAA"
    "3AQB4rUxcBcAAAAASUVORK5CYII="
)
_CHECKERS: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAALUlEQVR42mOUO7GFAQ5KEEyGHgas4kwMJALa"
    "a2Ahxt3I4oPSD0S4ezQeaK4BACZ8CTRQnofFAAAAAElFTkSuQmCC"
)
REQUEST: Final[dict[str, Any]] = {
    "content": {"data": _SUNSET},
    "style": [{"data": _CHECKERS}],
    "options": OPTIONS,
    "priority": "normal",
    "metadata": METADATA,
}


def _job(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": JOB_ID,
        "status": JobStatus.QUEUED,
        "created_at": _THEN,
        "started_at": None,
        "completed_at": None,
        "expires_at": None,
        "queue_position": 1,
        "priority": Priority.NORMAL,
        "attempt": 0,
        "metadata": METADATA,
        "content": Picture(id="sha256:" + "3c" * 32, width=1024, height=768),
        "styles": (StylePicture(id="sha256:" + "a7" * 32, width=970, height=768, blend=1.0),),
        "mask": None,
        "init_image": None,
        "options": resolve(OPTIONS),
        "progress": JobProgress(iterations=50),
        "outcome": None,
        "metrics": None,
        "error": None,
        "warnings": (),
        "urls": JobUrls(**{u: _HOME if u == "self" else f"{_HOME}/{u}" for u in JobUrls.model_fields}),
    }
    return Job(**(fields | changes)).model_dump(mode="json")


_LOSSES: Final = {
    "total": 0.0832,
    "content": 0.412,
    "style": 0.0626,
    "tv": 0.0193,
    "style_by_layer": dict(zip(STYLE_LAYERS, (0.021, 0.034, 0.047, 0.061, 0.074), strict=True)),
}
LOSSES: Final = [{"iteration": 50, **_LOSSES}]
QUEUED: Final = _job()
CANCELED: Final = _job(status=JobStatus.CANCELED, completed_at=_THEN + timedelta(seconds=2), queue_position=None)
SUCCEEDED: Final = _job(
    status=JobStatus.SUCCEEDED,
    started_at=_THEN + timedelta(seconds=1),
    completed_at=_THEN + timedelta(seconds=21),
    expires_at=_THEN + timedelta(days=7),
    queue_position=None,
    attempt=1,
    progress=JobProgress(iteration=50, iterations=50, fraction=1, eta_seconds=0, losses=JobLosses(**_LOSSES)),
    outcome="finished",
    metrics=JobMetrics(
        lpips=0.58,
        ssim=0.41,
        psnr=14.2,
        style_distance=0.058,
        style_distance_by_layer=dict(zip(STYLE_LAYERS, (0.02, 0.03, 0.05, 0.07, 0.12), strict=True)),
        style_distance_by_style=[0.058],
        content_style_distance=0.83,
        palette_distance=2.6,
        content_palette_distance=17.9,
        content_distance=0.41,
        layer_influence=dict(zip(STYLE_LAYERS, (0.06, 0.11, 0.19, 0.27, 0.37), strict=True)),
        iterations=50,
        seconds_per_iteration=0.39,
        queue_seconds=1.0,
        engine_seconds=19.6,
        device="cpu",
        dtype="float32",
        network="vgg19",
        weights="vgg19-normalized-v1",
        peak_memory_bytes=None,
        unavailable={},
    ),
)


IMAGE_ID: Final = "sha256:" + "3c" * 32
_IMAGE_HOME: Final = f"http://127.0.0.1:8000/v1/images/{IMAGE_ID}"
_IMAGE_URLS: Final = ImageUrls(self=_IMAGE_HOME, file=f"{_IMAGE_HOME}/file", thumbnail=f"{_IMAGE_HOME}/thumbnail")
IMAGE: Final = Image(id=IMAGE_ID, width=1024, height=768, urls=_IMAGE_URLS).model_dump(mode="json")
UPLOADED: Final = UploadedImage(**IMAGE, expires_at=_THEN + timedelta(days=7)).model_dump(mode="json")
METRICS: Final = """\
# HELP strata_jobs Jobs there are, by state.
# TYPE strata_jobs gauge
strata_jobs{status="queued"} 3.0
"""
DELIVERY: Final[dict[str, Any]] = {
    "id": f"msg_{JOB_ID.replace('-', '')}_succeeded_1",
    "event": "job.succeeded",
    "url": "https://example.org/hooks/strata",
    "status": "delivered",
    "created_at": "2026-01-15T12:00:21Z",
    "next_attempt_at": None,
    "attempts": [
        {
            "at": "2026-01-15T12:00:21.5Z",
            "seconds": 0.42,
            "status_code": 503,
            "error": "The answer was 503; only 2xx counts as taken.",
        },
        {"at": "2026-01-15T12:00:27Z", "seconds": 0.08, "status_code": 204, "error": None},
    ],
}
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 - of nobody
