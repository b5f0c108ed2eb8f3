"""Intraclass correlation: a published table, analysis of variance of statsmodels, and coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.formula.api import ols

from lbpneuro.errors import InputError
from lbpneuro.kernels.reliability import absolute_difference, intraclass_correlation, within_person_cv

SHROUT_FLEISS = np.array([[9.0, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
"""Six people rated four times, the example of 10.1037/0033-2909.86.2.420: ICC(2,1) is 0.29, ICC(3,1) 0.71."""


def test_the_example_of_the_definition() -> None:
    agreement = intraclass_correlation(SHROUT_FLEISS, kind="2,1")
    consistency = intraclass_correlation(SHROUT_FLEISS, kind="3,1")
    assert round(agreement.icc, 2) == 0.29
    assert round(consistency.icc, 2) == 0.71
    # intervals of the R package psych for the same table
    assert (round(agreement.ci_low, 2), round(agreement.ci_high, 2)) == (0.02, 0.76)
    assert (round(consistency.ci_low, 2), round(consistency.ci_high, 2)) == (0.34, 0.95)


def test_equals_the_analysis_of_variance_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2, (12, 1)) + rng.normal(0, 1, (12, 2)) + [0, 0.5]
    table = pd.DataFrame({"value": values.ravel(), "who": np.repeat(np.arange(12), 2), "when": np.tile([0, 1], 12)})
    squares = sm.stats.anova_lm(ols("value ~ C(who) + C(when)", table).fit())
    people, sessions, error = squares["sum_sq"] / squares["df"]
    expected = (people - error) / (people + error + 2 * (sessions - error) / 12)
    assert intraclass_correlation(values, kind="2,1").icc == pytest.approx(expected)
    assert intraclass_correlation(values, kind="3,1").icc == pytest.approx((people - error) / (people + error))


@pytest.mark.parametrize("kind", ["2,1", "3,1"])
def test_intervals_hold_the_truth(kind: str) -> None:
    rng = np.random.default_rng(2)
    truth, runs = 0.7, 600
    values = np.sqrt(truth) * rng.standard_normal((runs, 15, 1)) + np.sqrt(1 - truth) * rng.standard_normal(
        (runs, 15, 2)
    )
    found = [intraclass_correlation(each, kind=kind) for each in values]
    assert 0.93 < np.mean([one.ci_low <= truth <= one.ci_high for one in found]) < 0.97
    assert np.mean([one.icc for one in found]) == pytest.approx(truth, abs=0.03)


def test_a_change_of_everybody_is_no_lack_of_consistency() -> None:
    values = np.array([[1.0, 2], [3, 4], [5, 6], [8, 9]])
    assert intraclass_correlation(values, kind="3,1").icc == 1.0
    assert intraclass_correlation(values, kind="2,1").icc < 1.0


def test_what_cannot_be_computed_is_nan() -> None:
    assert np.isnan(intraclass_correlation([[1.0, 2], [3, 4]], kind="2,1").icc)
    assert np.isnan(intraclass_correlation(np.ones((5, 2)), kind="3,1").icc)
    gone = np.array([[1.0, 2], [3, np.nan], [3, 4], [9, 8]])
    assert intraclass_correlation(gone, kind="3,1").n == 3
    with pytest.raises(InputError, match="sessions"):
        intraclass_correlation(np.ones((5, 1)), kind="2,1")


def test_differences_by_hand() -> None:
    np.testing.assert_allclose(absolute_difference([[1.0, 3], [4, 4], [0, 0]]), [100, 0, np.nan])
    assert within_person_cv([[9.0, 11.0]]) == pytest.approx(np.sqrt(2) * 1 / 10)
    assert np.isnan(within_person_cv(np.full((2, 2), np.nan)))
    with pytest.raises(InputError, match="n_person, 2"):
        absolute_difference(np.ones((2, 3)))
    rng = np.random.default_rng(3)
    assert within_person_cv(100 + 5 * rng.standard_normal((4000, 2))) == pytest.approx(0.05, rel=0.03)
