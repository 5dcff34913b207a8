"""What is wrong with a request's options, each problem at its JSON pointer."""

from math import inf, nan
from typing import Any

import pytest

from core.jobs.errors import FieldProblem
from core.jobs.record import Priority
from core.jobs.validation import (
    MAX_METADATA_BYTES,
    checked_expiry,
    checked_metadata,
    checked_options,
    checked_priority,
)

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "too large": ({"size": 10_000}, "/options/size", "4096"),
    "zero": ({"iterations": 0}, "/options/iterations", "greater than or equal to 1"),
    "text for a number": ({"iterations": "5"}, "/options/iterations", "integer"),
    "negative": ({"style_weight": -1}, "/options/style_weight", "greater than or equal to 0"),
    "not a number": ({"tv_weight": nan}, "/options/tv_weight", "finite"),
    "infinite": ({"layer_weights": {"relu1_1": inf}}, "/options/layer_weights/relu1_1", "finite"),
    "negative layer": ({"layer_weights": {"relu1_1": -1}}, "/options/layer_weights/relu1_1", "greater"),
    "no layer": ({"layer_weights": {"conv_4": 1}}, "/options/layer_weights/conv_4", "named like relu4_1"),
    "a layer it lacks": (
        {"network": "vgg16", "layer_weights": {"relu5_4": 1}},
        "/options/layer_weights",
        "vgg16 has no layer relu5_4",
    ),
    "all layers 0": ({"layer_weights": {"relu1_1": 0}}, "/options/layer_weights", "At least one"),
    "no layers": ({"layer_weights": {}}, "/options/layer_weights", "at least 1"),
    "all terms 0": (
        {"content_weight": 0, "style_weight": 0, "tv_weight": 0},
        "/options",
        "at least one must be positive",
    ),
    "unknown preset": ({"preset": "picasso"}, "/options/preset", "'lwsw'"),
    "misspelt": ({"iteration": 5}, "/options/iteration", "did you mean iterations?"),
    "unknown": ({"zzz": 5}, "/options/zzz", "there are preset, "),
    "awkward name": ({"a/b~c": 5}, "/options/a~1b~0c", "no option"),
    "one of a list": ({"scales": [128, 10]}, "/options/scales/1", "64"),
    "neither of two": ({"scales": "many"}, "/options/scales", "or 'auto'. Or: Input should be a valid"),
    "blend too short": ({"style_blend": [1]}, "/options/style_blend", "1 weights for 2 style pictures"),
    "blend all 0": ({"style_blend": [0, 0]}, "/options/style_blend", "At least one"),
}


@pytest.mark.parametrize(("request_", "pointer", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_named_with_what_is_allowed(request_: dict[str, Any], pointer: str, words: str) -> None:
    problems: list[FieldProblem] = []

    checked_options(request_, 2, problems)

    assert [problem.pointer for problem in problems] == [pointer]
    assert words in problems[0].detail


def test_all_wrong_options_are_told_at_once() -> None:
    problems: list[FieldProblem] = []

    assert checked_options({"size": 1, "iterations": -1, "zzz": 0}, 1, problems) is None

    assert {problem.pointer for problem in problems} == {"/options/size", "/options/iterations", "/options/zzz"}


@pytest.mark.parametrize("request_", [None, [], "options", 3])
def test_options_that_are_no_object_are_refused(request_: object) -> None:
    problems: list[FieldProblem] = []

    assert checked_options(request_, 1, problems) is None
    assert [problem.pointer for problem in problems] == ["/options"]


def test_good_options_are_resolved_in_full() -> None:
    problems: list[FieldProblem] = []

    options = checked_options({"profile": "abstract", "iterations": 7, "style_blend": [1, 3]}, 2, problems)

    assert problems == []
    assert options is not None
    assert (options.iterations, options.layer_weights["relu5_1"], options.style_blend) == (7, 256, (1, 3))


def test_an_unknown_priority_is_refused_with_the_known_ones() -> None:
    problems: list[FieldProblem] = []

    assert checked_priority("urgent", tuple(Priority), problems) is None
    assert problems == [FieldProblem("/priority", "It is one of high, normal, low.")]


def test_a_priority_that_a_key_may_not_ask_for_is_refused_with_those_it_may() -> None:
    problems: list[FieldProblem] = []

    checked_priority("high", (Priority.NORMAL, Priority.LOW), problems)

    assert problems == [FieldProblem("/priority", "Your key may ask for normal, low.")]


@pytest.mark.parametrize("seconds", [0, -1, 101, 1.5, True, "60"])
def test_a_time_to_keep_a_job_is_whole_seconds_within_the_services_own(seconds: object) -> None:
    problems: list[FieldProblem] = []

    assert checked_expiry(seconds, 100, problems) is None
    assert [problem.pointer for problem in problems] == ["/expires_in"]


@pytest.mark.parametrize(
    "metadata", [None, [1], "x", {"a": nan}, {"a": object()}, {"a": "x" * MAX_METADATA_BYTES}], ids=type
)
def test_metadata_that_cannot_be_kept_are_refused(metadata: object) -> None:
    problems: list[FieldProblem] = []

    checked_metadata(metadata, problems)

    assert [problem.pointer for problem in problems] == ["/metadata"]


def test_metadata_are_kept_as_they_are() -> None:
    problems: list[FieldProblem] = []

    assert checked_metadata({"a": [1, None]}, problems) == {"a": [1, None]}
    assert problems == []
