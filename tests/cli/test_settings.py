"""How `--set NAME=VALUE` becomes options."""

import pytest
import typer

from cli.jobs import parse_settings


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (["size=256"], {"size": 256}),
        (["tv_weight=1e-3"], {"tv_weight": 1e-3}),
        (["optimizer=adam"], {"optimizer": "adam"}),
        (["random_shift=null"], {"random_shift": None}),
        (["style_blend=[1, 3]"], {"style_blend": [1, 3]}),
        (
            ["layer_weights.relu1_1=4", "layer_weights.relu5_1=0"],
            {"layer_weights": {"relu1_1": 4, "relu5_1": 0}},
        ),
        (["size=256", "size=128"], {"size": 128}),
        (["init="], {"init": ""}),
    ],
)
def test_settings_are_read_as_json_and_else_as_text(settings: list[str], options: dict[str, object]) -> None:
    assert parse_settings(settings) == options


@pytest.mark.parametrize("settings", [["size"], ["=3"], ["size=3", "size.x=4"]])
def test_anything_else_is_refused_naming_the_option(settings: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match=r"size|=3"):
        parse_settings(settings)
