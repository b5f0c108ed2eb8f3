"""What the group page says of repeated sessions: how well each leading marker repeats, in words and digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.report.cohort import Cohort
from lbpneuro.report.rows import Row, leading, shorter
from lbpneuro.report.words import number

NAME = "reliability.tsv"
BORDERS = {"poor": 0.5, "moderate": 0.75, "good": 0.9, "excellent": math.inf}
"""Where each word ends, by Koo & Li 2016, 10.1016/j.jcm.2016.02.012, who judge the interval and not the estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One marker and two sessions in the words and digits of the page; ``icc`` is (value, low, high)."""

    name: str
    unit: str
    sessions: str
    people: str
    change: str
    agreement: str
    error: str
    detectable: str
    beyond: str
    verdict: str
    icc: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The leading markers of a study with several sessions; false without them. ``others``: comparisons not shown."""

    lines: tuple[Line, ...] = ()
    others: int = 0
    meaning: str = ""

    def __bool__(self) -> bool:
        return bool(self.lines)


def read_agreement(files: Iterable[Path], cohort: Cohort) -> Agreement:
    """Return the agreement of sessions from its table, if it is among the files."""
    path = next((path for path in files if path.name == NAME), None)
    if path is None:
        return Agreement()
    rows = read_tsv(path).to_dict("records")
    shown = {row.column: row for row in leading(cohort.columns.values())}
    found = {column: [row for row in rows if _column(row, head) == column] for column, head in shown.items()}
    lines = tuple(_line(row, shown[column]) for column, own in found.items() for row in own)
    meaning = str(read_json(path.with_suffix(".json")).get("Meaning", ""))
    return Agreement(lines=lines, others=len(rows) - len(lines), meaning=meaning)


def _column(row: Mapping[Any, Any], head: Row) -> str:
    return "__".join((str(row["marker"]), *(str(row.get(name)) for name in head.marker.index)))


def _line(row: Mapping[Any, Any], head: Row) -> Line:
    icc = (float(row["icc"]), float(row["icc_low"]), float(row["icc_high"]))
    error = float(row["sem"])
    first, second = str(row["sessions"]).split(", ")
    return Line(
        name=shorter(head.heading),
        unit=head.unit,
        sessions=f"{first.removeprefix('ses-')} and {second.removeprefix('ses-')}",
        people=number(float(row["n"])),
        change=number(float(row["mean_change"]), error=error),
        agreement=_interval(row, "icc", error=0.1),
        error=_interval(row, "sem", error=error),
        detectable=_interval(row, "mdc95", error=error),
        beyond=f"{number(float(row['n_beyond']))} of {number(float(row['n']))}",
        verdict=verdict(*icc[1:]),
        icc=icc,
    )


def _interval(row: Mapping[Any, Any], name: str, *, error: float) -> str:
    value, low, high = (float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(value):
        return "–"
    return f"{number(value, error=error)} ({number(low, error=error)} to {number(high, error=error)})"


def verdict(low: float, high: float) -> str:
    """Return what an interval of an intraclass correlation allows to say, e.g. "moderate to good"."""
    if math.isnan(low) or math.isnan(high):
        return "no variance between people"
    first, last = (next(word for word, border in BORDERS.items() if edge < border) for edge in (low, high))
    return first if first == last else f"{first} to {last}"
