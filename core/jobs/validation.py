"""A request's fields to a JobSpec's, collecting every problem with a JSON pointer to where it is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.engine.options import StyleOptions
from core.engine.presets import resolve
from core.jobs.egress import Egress
from core.jobs.errors import FieldProblem, sentence
from core.jobs.networks import Networks, substituted, undrawable
from core.jobs.record import TERMINAL, Priority, Webhook, WebhookEvent
from core.jobs.urls import UrlRefused

MAX_METADATA_BYTES: Final = 4096
MAX_METADATA_DEPTH: Final = 32
"""What reads them, here and at our clients', goes no deeper than a few hundred."""

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


def checked_network(
    request: Any, options: StyleOptions | None, networks: Networks, problems: Problems
) -> tuple[StyleOptions | None, tuple[str, ...]]:
    """The options with a network that somebody can draw with, and a warning if that is not the preset's own."""
    if options is None:
        return None, ()
    options, warning = substituted(request, options, networks)
    if problem := undrawable(options, networks):
        problems.append(problem)
    return options, (warning,) if warning else ()


def checked_init(options: StyleOptions | None, sent: bool, problems: Problems) -> None:
    """Whether an init_image was sent just when the options begin with one."""
    if options is not None and (options.init == "upload") != sent:
        told = ("It is used only with init upload.", "It is missing; init upload begins with it.")[not sent]
        problems.append(FieldProblem("/init_image", told))


def checked_priority(text: str, allowed: Sequence[Priority], problems: Problems) -> Priority | None:
    try:
        priority = Priority(text)
    except ValueError:
        problems.append(FieldProblem("/priority", f"It is one of {', '.join(allowed)}."))
        return None
    if priority not in allowed:
        problems.append(FieldProblem("/priority", f"Your key may ask for {', '.join(allowed)}."))
    return priority


def checked_expiry(seconds: Any, most: int, problems: Problems) -> int | None:
    """For how many seconds a job is kept once it is done, if its client says so."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= most:
        problems.append(FieldProblem("/expires_in", f"It is a whole number of seconds from 1 to {most}."))
        return None
    return seconds


def checked_webhook(request: Any, egress: Egress, problems: Problems) -> Webhook | None:
    """Whom to call back and when, but for the job's own URL."""
    if request is None:
        return None
    if not isinstance(request, Mapping):
        problems.append(FieldProblem("/webhook", 'It is an object: {"url": "https://...", "events": [...]}.'))
        return None
    for name in request.keys() - {"url", "events"}:
        problems.append(FieldProblem(f"/webhook/{_escaped(name)}", "Unknown field; a webhook has url and events."))
    events = _events(request.get("events"), problems)
    url = request.get("url")
    if not isinstance(url, str):
        problems.append(FieldProblem("/webhook/url", "Missing; say where to send the events."))
        return None
    try:
        target = egress.check(url)
    except UrlRefused as refused:
        problems.append(FieldProblem("/webhook/url", str(refused)))
        return None
    return Webhook(url=target.url, events=events, host=target.host, home="")


def _events(request: Any, problems: Problems) -> tuple[WebhookEvent, ...]:
    """The events that were asked for, each once; those of an end unless others were."""
    if request is None:
        return tuple(event for event in WebhookEvent if event.removeprefix("job.") in TERMINAL)
    if not isinstance(request, list | tuple) or not request:
        problems.append(FieldProblem("/webhook/events", f"It is a list of {', '.join(WebhookEvent)}."))
        return ()
    known = [event for event in WebhookEvent if event in request]
    for at, event in enumerate(request):
        if event not in known:
            problems.append(FieldProblem(f"/webhook/events/{at}", f"An event is one of {', '.join(WebhookEvent)}."))
    return tuple(known)


def checked_metadata(metadata: Any, problems: Problems) -> dict[str, Any]:
    """Whatever JSON object a client wants to find again in the job, within a bound."""
    try:
        if not isinstance(metadata, Mapping):
            raise TypeError("not an object")
        if _deeper(metadata, MAX_METADATA_DEPTH):
            raise ValueError(f"at most {MAX_METADATA_DEPTH} arrays and objects within each other")
        size = len(json.dumps(dict(metadata), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        problems.append(FieldProblem("/metadata", f"Metadata are a JSON object ({error})."))
        return {}
    if size > MAX_METADATA_BYTES:
        detail = f"Metadata have {size} bytes as JSON; at most {MAX_METADATA_BYTES} are kept."
        problems.append(FieldProblem("/metadata", detail))
    return dict(metadata)


def _deeper(value: Any, depth: int) -> bool:
    """Whether arrays and objects are nested more deeply than that."""
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    return inside is not None and (depth == 0 or any(_deeper(each, depth - 1) for each in inside))


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
            pointer += "/" + _escaped(part)
            value = value[part] if inside else {}
    return pointer


def _escaped(name: object) -> str:
    """As a JSON pointer spells it."""
    return str(name).replace("~", "~0").replace("/", "~1")


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
