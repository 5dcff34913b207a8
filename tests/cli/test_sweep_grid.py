"""What a sweep tries: axes as a person writes them, studies as the papers have them, and the trials they make."""

from pathlib import Path

import pytest

from cli.studies import STUDIES
from cli.sweep.grid import Axis, Picture, Trial, varied, with_set
from cli.sweep.plan import plan
from core.engine.presets import resolve

SMALL = ("sample:astronaut", "sample:knife")
PAGE = Path(__file__).parents[2] / "docs" / "studies.md"


@pytest.mark.parametrize(
    ("text", "labels", "values"),
    [
        ("iterations=50,100", ["50", "100"], [50, 100]),
        ("profile=fine-grain, abstract", ["fine-grain", "abstract"], ["fine-grain", "abstract"]),
        ("style_weight=1e6,1e7", ["1e6", "1e7"], [1e6, 1e7]),
        ("random_shift=null,0.97", ["null", "0.97"], [None, 0.97]),
        ("scales=single,[64,96]", ["single", "[64,96]"], ["single", [64, 96]]),
        (
            'layer_weights={"relu1_1": 1, "relu2_1": 2},{"relu3_1": 1}',
            ["relu1_1: 1, relu2_1: 2", "relu3_1: 1"],
            [{"relu1_1": 1, "relu2_1": 2}, {"relu3_1": 1}],
        ),
    ],
)
def test_an_axis_is_read_as_it_is_written(text: str, labels: list[str], values: list[object]) -> None:
    axis = Axis.parse(text)
    assert [point.label for point in axis.points] == labels
    assert [point.sets[axis.name] for point in axis.points] == values


@pytest.mark.parametrize("text", ["iterations", "=5", "iterations=", "iterations=5,,6"])
def test_what_is_no_axis_is_refused_in_its_own_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not NAME=VALUE"):
        Axis.parse(text)


def test_every_combination_is_one_trial() -> None:
    asked = plan(None, ["iterations=5,6,7", "profile=abstract,balanced"], SMALL, {"size": 64})
    tried = [(trial.options["iterations"], trial.options["profile"]) for trial in asked.trials]
    assert tried == [(n, profile) for n in (5, 6, 7) for profile in ("abstract", "balanced")]
    assert {trial.options["size"] for trial in asked.trials} == {64}
    assert len({trial.name for trial in asked.trials}) == 6


def test_a_dotted_name_varies_one_entry_of_a_map() -> None:
    before = {"layer_weights": {"relu1_1": 1.0, "relu2_1": 1.0}}
    after = with_set(before, {"layer_weights.relu1_1": 8})
    assert after == {"layer_weights": {"relu1_1": 8, "relu2_1": 1.0}}
    assert before == {"layer_weights": {"relu1_1": 1.0, "relu2_1": 1.0}}
    with pytest.raises(ValueError, match="size already has a value"):
        with_set({"size": 64}, {"size.relu1_1": 8})


def test_pictures_can_be_varied_like_options() -> None:
    asked = plan(None, ["content=sample:astronaut,sample:rocket", "style=sample:knife"], [], {})
    assert [trial.content.name for trial in asked.trials] == ["astronaut", "rocket"]
    assert "content" not in asked.trials[0].options


def test_other_pictures_or_options_make_another_trial() -> None:
    one, other = Picture("a", b"1"), Picture("a", b"2")
    trials = [
        Trial({"size": "64"}, content, (style,), options)
        for content, style, options in ((one, one, {}), (one, other, {}), (other, one, {}), (one, one, {"seed": 1}))
    ]
    assert len({trial.name for trial in trials}) == 4
    assert trials[0].name == Trial({"size": "64"}, one, (one,), {}).name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, [], SMALL, {}), "nothing is varied"),
        (("unheard-of", [], SMALL, {}), "interpretable-layers"),
        ((None, ["size=64", "size=96"], SMALL, {}), "size is varied twice"),
        ((None, ["size=64,96"], SMALL, {"size": 64}), "size is varied and cannot be fixed"),
        ((None, ["content=sample:rocket"], SMALL, {}), "content is varied and cannot be fixed"),
        ((None, ["seed=1,2"], ("sample:astronaut", "sample:nobody"), {}), "there is no sample 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(*arguments)


@pytest.mark.parametrize("name", STUDIES)
def test_every_run_of_every_study_is_a_valid_request_and_no_two_are_named_alike(name: str) -> None:
    asked = plan(name, [], [], {})
    assert len(asked.trials) == STUDIES[name].runs
    assert len({tuple(trial.values.items()) for trial in asked.trials}) == len(asked.trials)
    assert len({trial.name for trial in asked.trials}) == len(asked.trials)
    for trial in asked.trials:
        resolve(trial.options)


def test_the_layer_study_has_each_subset_for_both_kinds_and_both_roles() -> None:
    trials = plan("interpretable-layers", [], SMALL, {}).trials
    assert len(trials) == 31 * 2 * 2
    seen = set()
    for trial in trials:
        options = resolve(trial.options)
        chosen, other = options.layer_weights, options.content_layers
        if trial.values["role"] == "content":
            chosen, other = other, chosen
        assert {layer[:4] for layer in chosen} == {trial.values["kind"]}
        assert (
            other
            == resolve({"preset": "interpretable-baseline"}).model_dump()[
                "content_layers" if trial.values["role"] == "style" else "layer_weights"
            ]
        )
        seen.add((trial.values["role"], frozenset(chosen)))
        # As published every layer weighs 1e6 for style and 1 for content, summed; ours are averaged.
        weight = options.style_weight if trial.values["role"] == "style" else options.content_weight
        assert weight == len(chosen) * (1e6 if trial.values["role"] == "style" else 1)
    assert len(seen) == 124


def test_the_style_weights_of_a_source_that_sums_five_layers_are_sent_five_times_as_large() -> None:
    trials = plan("dynamic-style-weight", [], SMALL, {}).trials
    assert [trial.values["style_weight"] for trial in trials] == ["1e6", "1e7", "1e8", "1e9", "1e10"]
    assert [trial.options["style_weight"] for trial in trials] == [5e6, 5e7, 5e8, 5e9, 5e10]


@pytest.mark.parametrize(("size", "sides"), [(None, [256, 512, 1024]), (512, [128, 256, 512]), (96, [64, 64, 96])])
def test_a_study_of_sizes_keeps_its_proportions_at_another_size(size: int | None, sides: list[int]) -> None:
    trials = plan("dynamic-runtime", [], SMALL, {}, size=size).trials
    assert [trial.options["size"] for trial in trials] == sides


def test_a_study_runs_at_any_size_with_any_axis_replaced_or_added() -> None:
    asked = plan("interpretable-iterations", ["iterations=2,3", "seed=1,2"], SMALL, {"network": "strata"}, size=96)
    assert varied([]) == {}
    assert asked.axes == {"iterations": ["2", "3"], "seed": ["1", "2"]}
    assert {(t.options["size"], t.options["network"], t.options["preset"]) for t in asked.trials} == {
        (96, "strata", "interpretable-baseline")
    }


def test_the_page_about_studies_names_each_with_its_number_of_runs() -> None:
    told = [line.split("|")[1:3] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    rows = {name.strip(" `"): int(runs) for name, runs in told if runs.strip().isdigit()}
    assert rows == {name: study.runs for name, study in STUDIES.items()}
