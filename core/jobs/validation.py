"""A request's fields to a JobSpec's, collecting every problem with a JSON pointer to where it is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.engine.options import StyleOptions
from core.engine.presets import resolve
from core.jobs.errors import FieldProblem, sentence
from core.jobs.record import Priority

MAX_METADATA_BYTES: Final = 4096

Problems = list[FieldProblem]


def checked_options(request: Any, styles: int, problems: Problems) -> StyleOptions | None:
    """The resolved options of a job with so many style pictures, or None and problems noted."""
    if not isinstance(request, Mapping):
        problems.append(FieldProblem("/options", "Options are an object of names and values."))
        return None
    try:
        options = resolve(request)
    except ValidationError as error:
        problems.extend(_problems_of(error, request))
        return None
    blend = len(options.style_blend)
    if blend and styles and blend != styles:
        problems.append(
            FieldProblem(
                "/options/style_blend",
                f"There are {blend} weights for {styles} style pictures; give one for each, or none.",
            )
        )
    return options


def checked_priority(text: str, problems: Problems) -> Priority | None:
    try:
        return Priority(text)
    except ValueError:
        problems.append(FieldProblem("/priority", f"It is one of {', '.join(Priority)}."))
        return None


def checked_metadata(metadata: Any, problems: Problems) -> dict[str, Any]:
    """Whatever JSON object a client wants to find again in the job, within a bound."""
    try:
        if not isinstance(metadata, Mapping):
            raise TypeError("not an object")
        size = len(json.dumps(dict(metadata), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        problems.append(FieldProblem("/metadata", f"Metadata are a JSON object ({error})."))
        return {}
    if size > MAX_METADATA_BYTES:
        detail = f"Metadata have {size} bytes as JSON; at most {MAX_METADATA_BYTES} are kept."
        problems.append(FieldProblem("/metadata", detail))
    return dict(metadata)


def _problems_of(error: ValidationError, request: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """One problem for each place that is wrong; alternatives that were tried there are listed in it."""
    found: dict[str, list[str]] = {}
    for wrong in error.errors(include_url=False, include_context=False, include_input=False):
        details = found.setdefault(_pointer(wrong["loc"], request), [])
        if (text := _told(wrong)) not in details:
            details.append(text)
    for pointer, details in found.items():
        if not any(other.startswith(f"{pointer}/") for other in found):  # the innermost place says most
            yield FieldProblem(pointer, " Or: ".join(details))


def _pointer(location: Sequence[str | int], request: Mapping[str, Any]) -> str:
    """Where in the request. Pydantic's location also names alternatives of a union, which are no place."""
    pointer = "/options"
    value: Any = request
    for depth, part in enumerate(location):
        inside = _holds(value, part)
        if inside or depth == 0:
            pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
            value = value[part] if inside else {}
    return pointer


def _holds(value: object, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int)


def _told(wrong: ErrorDetails) -> str:
    if wrong["type"] == "extra_forbidden":
        name = str(wrong["loc"][-1])
        close = get_close_matches(name, StyleOptions.model_fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(StyleOptions.model_fields)}."
        return f"There is no option {name[:80]}; {hint}"
    if wrong["type"] == "string_pattern_mismatch":  # the only pattern among the options
        return "A layer is named like relu4_1 or conv2_2."
    return sentence(wrong["msg"].removeprefix("Value error, "))
