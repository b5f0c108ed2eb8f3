"""Planted values: rows in the long form of the marker table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lbpneuro.simulate.people import Visit

if TYPE_CHECKING:
    import pandas as pd

INDEX_COLUMNS = (
    "roi",
    "hemi",
    "edge",
    "network_a",
    "network_b",
    "muscle",
    "block",
    "subscale",
    "window",
    "side",
    "axis",
)

TruthRow = dict[str, Any]


def truth_row(visit: Visit, marker: str, *, value: float, **levels: str) -> TruthRow:
    """Return one planted value; ``levels`` are the index columns of the marker."""
    identity = {"participant_id": visit.participant_id, "session_id": visit.session_id, "marker": marker}
    return {**identity, **levels, "value": float(value)}


def truth_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the planted values as a table."""
    import pandas as pd

    columns = ["participant_id", "session_id", "marker", *INDEX_COLUMNS, "value"]
    return pd.DataFrame(list(rows), columns=columns)
