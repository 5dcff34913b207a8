"""The losses of a run as a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

_COLUMNS: Final = ("iteration", "total", "content", "style", "tv")


def of_losses(series: Sequence[Mapping[str, Any]]) -> str:
    """CSV (RFC 4180) with a header; after the sums, one column for each style layer."""
    layers = tuple(dict.fromkeys(layer for point in series for layer in point["style_by_layer"]))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_COLUMNS, *layers])
    writer.writerows(
        [*(point[c] for c in _COLUMNS), *(point["style_by_layer"].get(k) for k in layers)] for point in series
    )
    return out.getvalue()
