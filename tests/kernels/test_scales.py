"""Totals of questionnaires with blanks: by hand, by a slow loop, and how often the interval holds the whole total."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels.scales import all_the_same, item_total, sum_of
from tests.oracles.scales import prorated


def test_a_total_by_hand():
    total = item_total(np.array([2.0, 4.0, np.nan, 0.0]))
    assert (total.raw, total.prorated, total.items, total.blank, total.answered) == (6, 8, 4, 1, 3)
    assert total.se_blank == pytest.approx(2 * np.sqrt(4 * 1 / 3))  # s = 2


def test_without_blanks_nothing_is_estimated():
    total = item_total(np.array([1.0, 0.0, 1.0]))
    assert (total.raw, total.prorated, total.se_blank) == (2, 2, 0)


def test_nothing_answered_is_no_total():
    total = item_total(np.full(3, np.nan))
    assert np.isnan([total.raw, total.prorated, total.se_blank]).all()
    assert total.blank == 3


def test_one_answer_tells_no_spread():
    assert np.isnan(item_total(np.array([1.0, np.nan])).se_blank)


def test_subscales_add_up():
    parts = [item_total(np.array([1.0, np.nan, 2.0])), item_total(np.array([3.0, 4.0, np.nan, 0.0]))]
    whole = sum_of(parts)
    assert whole.raw == 3 + 7
    assert whole.prorated == pytest.approx(4.5 + 28 / 3)
    assert whole.se_blank == pytest.approx(np.hypot(parts[0].se_blank, parts[1].se_blank))
    assert (whole.items, whole.blank) == (7, 2)


@pytest.mark.parametrize("seed", range(20))
def test_the_slow_way_gives_the_same(seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 5, rng.integers(3, 25)).astype(float)
    points[rng.random(points.size) < 0.2] = np.nan
    points[0] = 2
    total = item_total(points)
    assert total.prorated == pytest.approx(prorated([None if np.isnan(v) else v for v in points]))
    assert total.raw == pytest.approx(np.nansum(points))


def test_the_interval_holds_the_whole_total_and_the_total_is_not_biased(rng):
    """Ten of 25 items blank by chance; a normal interval with a spread from 15 answers is a little short of 95 %."""
    error, inside = [], []
    for _ in range(4000):
        points = rng.choice(5, size=25, p=[0.3, 0.25, 0.2, 0.15, 0.1]).astype(float)
        seen = points.copy()
        seen[rng.choice(25, 10, replace=False)] = np.nan
        total = item_total(seen)
        error.append(total.prorated - points.sum())
        inside.append(abs(error[-1]) <= 1.96 * total.se_blank)
    assert np.mean(error) == pytest.approx(0, abs=0.25)
    assert 0.93 <= np.mean(inside) <= 0.97


def test_the_same_answer_all_the_way_down():
    assert all_the_same(np.array([3.0, np.nan, 3.0]))
    assert not all_the_same(np.array([3.0, 2.0]))
    assert not all_the_same(np.array([3.0, np.nan])), "one answer says nothing"
    assert not all_the_same(np.full(2, np.nan))
