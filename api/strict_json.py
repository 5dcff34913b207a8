"""JSON as RFC 8259 has it: no NaN, no Infinity, no number beyond a float, no endless nesting."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from core.jobs.errors import FieldProblem


class NotJson(Exception):
    """The text is not JSON, or holds a number that JSON does not have. `errors` says where."""

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__("; ".join(e.detail for e in errors))
        self.errors = errors


def parse(text: bytes | str, at: str = "") -> Any:
    """The value of a JSON text. `at` is the JSON Pointer of the text itself, for the errors.

    Raises NotJson. The offending text is never part of the message.
    """
    try:
        value = from_json(text)
    except ValueError as error:
        raise NotJson(FieldProblem(at, f"This is not JSON: {error}.")) from None
    # Read first and refused second, so that the error can name the field.
    if unreal := [
        FieldProblem(where, "JSON has no such number; send a finite one.") for where in _not_finite(value, at)
    ]:
        raise NotJson(*unreal)
    return value


def _not_finite(value: Any, at: str) -> Iterator[str]:
    match value:
        case float() if not math.isfinite(value):
            yield at
        case dict():
            for key, item in value.items():
                yield from _not_finite(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
        case list():
            for index, item in enumerate(value):
                yield from _not_finite(item, f"{at}/{index}")


def kind_of(value: object) -> str:
    """What a JSON value is, in JSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
