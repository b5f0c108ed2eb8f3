"""Totals of questionnaires whose items were not all answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sum of the points of a questionnaire.

    ``raw`` is the sum of the answered items (a blank counts 0), ``prorated`` that sum with every blank replaced by the
    person's own mean, ``se_blank`` the standard error which the blanks add to ``prorated``. NaN without an answer.
    """

    raw: float
    prorated: float
    se_blank: float
    items: int
    blank: int

    @property
    def answered(self) -> int:
        """Number of answered items."""
        return self.items - self.blank


def item_total(points: Array) -> Total:
    """Return the total of the points of all items (n_item,); NaN is a blank item.

    With m of n items answered, mean a and variance s^2 (``ddof=1``): ``raw = m a``, ``prorated = n a`` and
    ``se_blank = s sqrt(n (n - m) / m)``, the standard error of a total from a sample without replacement, which holds
    if it is by chance which items were left blank. With fewer than two answers ``se_blank`` is NaN unless nothing is
    blank.
    """
    answered = np.asarray(points, dtype=np.float64)
    n = answered.size
    answered = answered[np.isfinite(answered)]
    m = answered.size
    if not m:
        return Total(raw=np.nan, prorated=np.nan, se_blank=np.nan, items=n, blank=n)
    spread = float(answered.std(ddof=1)) if m > 1 else np.nan
    se = spread * float(np.sqrt(n * (n - m) / m)) if n > m else 0.0
    return Total(raw=float(answered.sum()), prorated=n * float(answered.mean()), se_blank=se, items=n, blank=n - m)


def sum_of(totals: Sequence[Total]) -> Total:
    """Return the total of several subscales; errors add in squares, and what one lacks the sum lacks."""
    return Total(
        raw=sum(total.raw for total in totals),
        prorated=sum(total.prorated for total in totals),
        se_blank=float(np.sqrt(sum(total.se_blank**2 for total in totals))),
        items=sum(total.items for total in totals),
        blank=sum(total.blank for total in totals),
    )


def all_the_same(answers: Array) -> bool:
    """Return whether all of at least two answers (n_item,), as they were ticked, are one and the same; NaN left out."""
    ticked = answers[np.isfinite(answers)]
    return ticked.size > 1 and bool(np.ptp(ticked) == 0)
