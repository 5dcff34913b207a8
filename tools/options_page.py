"""Writes docs/options.md from the code: `python -m tools.options_page`. A test holds the page to it."""

import json
from pathlib import Path
from typing import Any, Final

from core.engine.options import BY_OPTIMIZER, PROFILES, StyleOptions
from core.engine.presets import PRESETS, resolve

PAGE: Final = Path(__file__).parent.parent / "docs" / "options.md"

_HEAD: Final = """\
# Options

Every knob of a run, as the service understands it. This page is generated from the code
(`python -m tools.options_page`); `GET /v1/options` gives the same as a JSON schema.

A request names only what it wants to change: a preset fills the rest, a profile sets the balance of its five
style layers, and fields given by hand come last. The job's record holds the complete, resolved set.

Three kinds of weight keep three names: `content_weight`, `style_weight` and `tv_weight` weigh the terms of the
objective, `layer_weights` the layers within the style term, `style_blend` the style pictures among each other.

    L(x) = content_weight * L_content + style_weight * sum_l w_l E_l + tv_weight * L_tv,   w_l = layer_weights_l / sum

"""


def page() -> str:
    """The whole page as Markdown."""
    schema = StyleOptions.model_json_schema()
    defaults = resolve({}).model_dump(mode="json")
    parts = [_HEAD, "## Every option\n"]
    parts += [_option(name, field, defaults[name], schema) for name, field in schema["properties"].items()]
    parts += ["## Profiles\n", _profiles(), "## Presets\n"]
    parts += [_preset(name) for name in PRESETS]
    return "\n".join(parts).rstrip() + "\n"


def _option(name: str, field: dict[str, Any], default: Any, schema: dict[str, Any]) -> str:
    if name in BY_OPTIMIZER:
        default_text = ", ".join(f"{json.dumps(own)} for {optimizer}" for optimizer, own in BY_OPTIMIZER[name].items())
        default_text = default_text.replace('"', "`")
    else:
        default_text = f"`{json.dumps(default)}`"
    lines = [f"### `{name}`\n", f"{field['description']}\n", f"- Allowed: {_allowed(field, schema)}"]
    lines.append(f"- Default: {default_text}")
    lines += [f"- Unit: {field.get('unit', 'none')}", f"- Source: {field.get('source', 'this project')}"]
    return "\n".join(lines) + "\n"


def _allowed(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """A field's type and bounds in words."""
    if "anyOf" in field:
        return ", or ".join(_allowed(option, schema) for option in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    match field.get("type"):
        case "null":
            return "null"
        case "object":
            return f"an object of layer names (`conv1_1`, `relu1_1`, ...) to {_allowed(_values(field), schema)}"
        case "array":
            at_most = f" at most {field['maxItems']}" if "maxItems" in field else ""
            return f"a list of{at_most}: {_allowed(field['items'], schema)}"
        case kind:
            return " ".join(
                [{"integer": "a whole number", "number": "a number"}.get(str(kind), str(kind)), *_bounds(field)]
            )


def _values(field: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = field.get("additionalProperties") or next(iter(field["patternProperties"].values()))
    return values


def _bounds(field: dict[str, Any]) -> list[str]:
    words = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    return [text.format(f"{field[key]:g}") for key, text in words.items() if key in field]


def _profiles() -> str:
    rows = [f"| `{name}` | {' : '.join(f'{ratio:g}' for ratio in ratios)} |" for name, ratios in PROFILES.items()]
    return "\n".join(
        [
            "Ratios over the preset's five style layers, shallow to deep.\n",
            "| profile | ratios |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _preset(name: str) -> str:
    preset = PRESETS[name]  # type: ignore[index]
    fields = [f"| `{key}` | `{json.dumps(value)}` |" for key, value in preset.fields.items()]
    table = ["| option | value |", "|---|---|", *fields, ""] if fields else ["It is the defaults above.\n"]
    return "\n".join([f"### `{name}`\n", f"Source: {preset.source}.\n", f"Where we chose: {preset.choices}\n", *table])


if __name__ == "__main__":
    PAGE.write_text(page())
