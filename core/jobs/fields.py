"""A record as Redis keeps it: a hash with one field per field of JobRecord, each holding its JSON."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from core.jobs.errors import UnreadableRecord
from core.jobs.record import JobRecord

_JSON: Final = TypeAdapter(Any)


def to_fields(values: Mapping[str, Any]) -> list[str]:
    """field, JSON, field, JSON ..., as a script takes them."""
    return [part for name, value in values.items() for part in (name, _JSON.dump_json(value).decode())]


def paired(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def to_record(job_id: str, pairs: Iterable[tuple[bytes, bytes]]) -> JobRecord:
    """Each field is JSON already: the record's JSON is their concatenation. Raises UnreadableRecord."""
    kept = dict(pairs)
    own = (b'"%b":%b' % (name, value) for name, value in kept.items() if not name.startswith(b"_"))
    try:
        return JobRecord.model_validate_json(b"{" + b",".join(own) + b"}")
    except ValidationError as error:
        attempt = kept.get(b"attempt", b"")
        raise UnreadableRecord(job_id, int(attempt) if attempt.isdigit() else 0) from error


def expect_readable(record: JobRecord, fields: list[str]) -> None:
    """Whether the record will come back as it is written. Raises UnreadableRecord: what cannot be read is not kept."""
    written = [part.encode() for part in fields]
    if to_record(record.id, paired(written)) != record:
        raise UnreadableRecord(record.id)
