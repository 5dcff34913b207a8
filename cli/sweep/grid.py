"""What a sweep tries: axes of labelled points, and their product."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, Final

CONTENT: Final = "content"
STYLE: Final = "style"
"""Axes of these names vary the pictures; their values are files, or samples such as `sample:astronaut`."""

_NAME_CHARACTERS: Final = 60
_KEY_DIGITS: Final = 10


@dataclass(frozen=True)
class Point:
    """One place on an axis. `sets`: what it changes, options by name; a dotted name reaches into a map."""

    label: str
    sets: Mapping[str, Any]

    @property
    def number(self) -> float | None:
        """The label as a number, for a plot."""
        try:
            return float(self.label)
        except ValueError:
            return None


@dataclass(frozen=True)
class Axis:
    """What is varied under one name."""

    name: str
    points: tuple[Point, ...]

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """`iterations=50,100` -> two points. Commas inside brackets, braces or quotes do not separate.

        A value that is not JSON is text. Raises ValueError for anything else than NAME=VALUE,VALUE...
        """
        name, sign, values = text.partition("=")
        items = _split(values)
        if not (name and sign and all(items)):
            raise ValueError(f"{text!r} is not NAME=VALUE,VALUE,...")
        return cls(name, tuple(Point(_label(item), {name: _value(item)}) for item in items))


Grid = tuple[Axis, ...]
"""Every combination of the points of its axes is tried."""


@dataclass(frozen=True)
class Picture:
    """An input picture: what the user calls it, and the bytes of its file."""

    name: str
    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, eq=False)
class Trial:
    """One job of a sweep. `values`: the label it has on each axis. Equal to nothing but itself."""

    values: Mapping[str, str]
    content: Picture
    styles: tuple[Picture, ...]
    options: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        """Names the trial's files: readable, and different for other pictures or options."""
        asked = [self.content.digest, [style.digest for style in self.styles], self.options]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]
        text = "_".join(f"{axis}-{label}" for axis, label in self.values.items())
        return f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', text)[:_NAME_CHARACTERS]}_{key}"


def combinations(grids: Sequence[Grid]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """For each trial its labels by axis, and what it sets."""
    for grid in grids:
        for points in product(*(axis.points for axis in grid)):
            labels = {axis.name: point.label for axis, point in zip(grid, points, strict=True)}
            yield labels, {name: value for point in points for name, value in point.sets.items()}


def with_set(options: Mapping[str, Any], sets: Mapping[str, Any]) -> dict[str, Any]:
    """The options with more of them set; `layer_weights.relu1_1` sets one entry of a map.

    Raises ValueError where a dotted name goes through something that is no map.
    """
    merged = dict(options)
    for name, value in sets.items():
        first, dot, rest = name.partition(".")
        if not dot:
            merged[name] = value
        elif isinstance(inner := merged.get(first, {}), Mapping):
            merged[first] = with_set(inner, {rest: value})
        else:
            raise ValueError(f"{name}: {first} already has a value that is no map")
    return merged


def varied(grids: Sequence[Grid]) -> dict[str, list[str]]:
    """The axes with the labels met on each, in order."""
    found: dict[str, list[str]] = {}
    for axis in (axis for grid in grids for axis in grid):
        labels = found.setdefault(axis.name, [])
        labels += [point.label for point in axis.points if point.label not in labels]
    return found


def _split(text: str) -> list[str]:
    """At the commas outside brackets, braces and quotes."""
    items, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        if not quoted:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not quoted and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _value(item: str) -> Any:
    try:
        return json.loads(item)
    except json.JSONDecodeError:
        return item


def _label(item: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r'[{}"]', "", item)).strip() or item
