"""Scores of questionnaires by loops over items, written without looking at how lbpneuro does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Ticked = Sequence[float | None]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def prorated(points: Ticked) -> float:
    """Every blank replaced by the mean of the person."""
    known = [value for value in points if value is not None]
    return sum(mean(known) if value is None else value for value in points)


def odi(ticked: Ticked) -> float:
    known = [value for value in ticked if value is not None]
    return math.nan if len(known) < 8 else 100 * sum(known) / (5 * len(known))


def tsk17(ticked: Ticked) -> float:
    points = [None if v is None else 5 - v if i in (4, 8, 12, 16) else v for i, v in enumerate(ticked, start=1)]
    return math.nan if points.count(None) > 2 else prorated(points)


def tsk11(ticked17: Ticked) -> float:
    chosen = [ticked17[i - 1] for i in (1, 2, 3, 5, 6, 7, 10, 11, 13, 15, 17)]
    return math.nan if chosen.count(None) > 1 else prorated(chosen)


def pcs(ticked: Ticked) -> dict[str, float]:
    groups = {"rumination": (8, 9, 10, 11), "magnification": (6, 7, 13), "helplessness": (1, 2, 3, 4, 5, 12)}
    found = {}
    for name, items in groups.items():
        own = [ticked[i - 1] for i in items]
        found[name] = math.nan if own.count(None) > 1 else prorated(own)
    return {**found, "total": sum(found.values())}


def paindetect(items: Ticked, course: int | None, radiation: int | None) -> float:
    if None in (*items, course, radiation):
        return math.nan
    return sum(items) + {1: 0, 2: -1, 3: 1, 4: 1}[course] + 2 * radiation


def limited(ticked: Ticked, blanks: int) -> float:
    return math.nan if list(ticked).count(None) > blanks else prorated(ticked)


def sheet(ticked: Ticked) -> Mapping[str, float]:
    """Answers as lbpneuro takes them."""
    return {f"{i:02d}": math.nan if v is None else float(v) for i, v in enumerate(ticked, start=1)}
