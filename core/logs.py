"""Logs for machines: a line of JSON for each record, with the ids of the request and the job it is about."""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
job_id: Final[ContextVar[str | None]] = ContextVar("job_id", default=None)

_SERVERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "celery.redirected")


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …, "request_id": …, "job_id": …, …facts}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        ids = {"request_id": request_id.get(), "job_id": job_id.get()}
        line |= {name: value for name, value in ids.items() if value is not None}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


def as_json(level: int = logging.INFO) -> None:
    """Everything that is logged or warned of in this process, the servers' own lines too, as JSON lines on standard
    error.
    """
    logging.captureWarnings(True)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _SERVERS:
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # ours says more
