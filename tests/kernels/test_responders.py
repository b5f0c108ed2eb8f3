"""Shares of people who improved: counted by hand, statsmodels, and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from lbpneuro.errors import InputError
from lbpneuro.kernels.responders import Bounded, number_needed, responders, risk_difference, risk_ratio, wilson

TABLES = [((20, 10), (40, 45)), ((0, 5), (30, 30)), ((5, 0), (30, 30)), ((30, 29), (30, 30)), ((1, 60), (7, 61))]


def test_both_rules_must_hold() -> None:
    before, after = [6.0, 10, 4, 2, 0, 5, np.nan], [4.0, 8, 3, 1, 0, 3.5, 1]
    found = responders(before, after, mic=2, share=0.3)
    assert found[:6].tolist() == [1, 0, 0, 0, 0, 0], "10 to 8 is 2 points, but 20 %"
    assert np.isnan(found[6])
    assert responders([1.0], [1.3], mic=0.3, share=0.3, lower_is_better=False).tolist() == [1], "no loss by rounding"
    assert responders([6.0], [4.0], mic=2, lower_is_better=False).tolist() == [0]


@pytest.mark.parametrize(("count", "n"), TABLES)
def test_agrees_with_statsmodels(count: tuple[int, int], n: tuple[int, int]) -> None:
    difference = risk_difference(count, n)
    expected = confint_proportions_2indep(count[0], n[0], count[1], n[1], compare="diff", method="newcomb")
    assert (float(difference.low), float(difference.high)) == pytest.approx(expected)
    for k, size in zip(count, n, strict=True):
        expected = proportion_confint(k, size, method="wilson")
        assert [float(limit) for limit in wilson(k, size)] == pytest.approx(expected, abs=1e-12)


def test_a_ratio_near_that_of_the_score_method() -> None:
    ratio = risk_ratio((20, 10), (40, 45))
    score = confint_proportions_2indep(20, 40, 10, 45, compare="ratio", method="score")
    assert (float(ratio.low), float(ratio.high)) == pytest.approx(score, rel=0.03)


def test_ratios_with_nobody() -> None:
    none, nobody_first, nobody_second = (risk_ratio(count, (30, 30)) for count in ((0, 0), (0, 5), (5, 0)))
    assert np.isnan([none.value, none.low, none.high]).all()
    assert (nobody_first.value, nobody_first.low) == (0, 0)
    assert 0.4 < nobody_first.high < 1.2
    assert (nobody_second.value, nobody_second.high) == (np.inf, np.inf)
    assert 0.8 < nobody_second.low < 2.5


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    n, share = np.array([[40], [55]]), np.array([[0.45], [0.25]])
    count = rng.binomial(n, share, (2, 20_000))
    difference, ratio = risk_difference(count, np.broadcast_to(n, count.shape)), risk_ratio(count, n + 0 * count)
    assert np.mean((difference.low <= 0.2) & (difference.high >= 0.2)) == pytest.approx(0.95, abs=0.012)
    assert np.mean((ratio.low <= 1.8) & (ratio.high >= 1.8)) == pytest.approx(0.95, abs=0.012)


def test_the_number_needed_goes_through_infinity_where_no_difference_is_possible() -> None:
    sure = number_needed(risk_difference((20, 10), (40, 45)))
    assert not sure.through_infinity
    assert sure.value == pytest.approx(3.6)
    assert sure.low < sure.value < sure.high
    assert str(sure) == "benefit 3.6 [benefit 2.2 to benefit 13.6]"
    unsure = number_needed(risk_difference((30, 29), (30, 30)))
    assert unsure.through_infinity
    assert unsure.low < 0 < unsure.high < unsure.value
    assert str(unsure) == "benefit 30.0 [benefit 6.0 to infinity to harm 12.0]"
    harm = number_needed(risk_difference((0, 5), (30, 30)))
    assert str(harm) == "harm 6.0 [harm 3.0 to harm 50.7]"


def test_a_number_needed_of_nothing() -> None:
    same = number_needed(risk_difference((5, 5), (30, 30)))
    assert math.isinf(same.value)
    assert str(same).startswith("infinity [benefit")
    unknown = number_needed(Bounded(*(np.asarray(np.nan),) * 3))
    assert str(unknown) == "n/a"


@pytest.mark.parametrize(("count", "n"), [((50, 1), (40, 45)), ((-1, 1), (40, 45)), ((0, 0), (0, 4))])
def test_impossible_counts_are_named(count: tuple[int, int], n: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="`count` must lie between 0 and `n`"):
        risk_difference(count, n)


def test_impossible_rules_are_named() -> None:
    with pytest.raises(InputError, match="`mic` and `share`"):
        responders([1.0], [2.0], mic=0)
    with pytest.raises(InputError, match="level"):
        wilson(1, 2, level=95)
