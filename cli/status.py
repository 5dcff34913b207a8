"""`strata status`: how a service is, at a glance."""

import re
from collections.abc import Mapping
from typing import Final

import httpx
from rich.table import Table

from cli import show
from cli.client import Unreachable
from cli.jobs import DEFAULT_URL, Key, Url

_SAMPLE: Final = re.compile(r'^(strata_\w+?)(?:_total)?(?:\{(?:\w+="(\w*)",?)+\})? ([0-9.eE+]+)$', re.MULTILINE)


def status(url: Url = DEFAULT_URL, api_key: Key = None) -> None:
    """Show what works, what is missing, how long the queue is, and what was done."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
            ready, numbers = http.get("/readyz"), http.get("/metrics")
    except httpx.TransportError as error:
        raise Unreachable(f"{url} does not answer: {error}") from error
    table = Table(box=None, show_header=False)
    for name, part in ready.json().get("parts", {}).items():
        table.add_row(name, f"[{'green' if part['ok'] else 'red'}]{part['detail']}[/]")
    if network := ready.json().get("network"):
        table.add_row("network", " ".join(network.values()))
    if numbers.is_success and "strata_redis_up 0" in numbers.text:
        table.add_row("jobs", "not known while Redis does not answer")
    elif numbers.is_success:
        _counted(table, counted(numbers.text))
    else:
        table.add_row("jobs", f"not told: {numbers.json()['detail']}")
    show.out.print(table)


def counted(text: str) -> Mapping[tuple[str, str], float]:
    """Prometheus's text as (name, its last label's value or nothing) -> number, histograms left out."""
    return {(name, label): float(number) for name, label, number in _SAMPLE.findall(text) if "_seconds_" not in name}


def _counted(table: Table, numbers: Mapping[tuple[str, str], float]) -> None:
    jobs = {label: number for (name, label), number in numbers.items() if name == "strata_jobs"}
    table.add_row("jobs", ", ".join(f"{number:.0f} {label}" for label, number in jobs.items() if number) or "none")
    if jobs.get("queued"):
        oldest = numbers.get(("strata_queue_oldest_seconds", ""), 0)
        table.add_row("queue", f"the oldest has waited {show.duration(oldest)}")
    seconds = numbers.get(("strata_engine_seconds", ""), 0)
    if seconds:
        pace = numbers.get(("strata_iterations", ""), 0) / seconds
        table.add_row("pace", f"{pace:.1f} iterations/s over {show.duration(seconds)} of painting")
