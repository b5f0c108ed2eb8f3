"""Least squares over people: by hand, beside statsmodels, and the errors it states."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels.regression import departure, ols_hc3


def test_a_mean_by_hand() -> None:
    # residuals -1, 0, 1; leverages 1/3: HC3 = sum((e / (2/3))^2) / 9 = 2 * 9/4 / 9
    coefficients, covariance = ols_hc3([[1.0], [2.0], [3.0]], design=np.ones((3, 1)))
    assert coefficients == pytest.approx(np.array([[2.0]]))
    assert covariance == pytest.approx(np.array([[[0.5]]]))


@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(40), rng.normal(0, 150, 40), rng.uniform(-20, 20, 40), rng.integers(0, 2, 40)])
    outcomes = design @ rng.normal(0, [5, 0.01, 0.1, 1], (3, 4)).T + rng.standard_normal((40, 3)) * (1 + design[:, 3:])
    coefficients, covariance = ols_hc3(outcomes, design=design)
    for number in range(3):
        fit = sm.OLS(outcomes[:, number], design).fit(cov_type="HC3")
        np.testing.assert_allclose(coefficients[number], fit.params, rtol=1e-9)
        np.testing.assert_allclose(covariance[number], fit.cov_params(), rtol=1e-8)


def test_a_person_whom_the_fit_must_follow_has_no_error_to_learn_from() -> None:
    design = np.column_stack([np.ones(6), [0, 0, 0, 0, 0, 1]])
    coefficients, covariance = ols_hc3(np.arange(6.0)[:, None], design=design)
    assert coefficients[0] == pytest.approx([2.0, 3.0])
    assert np.isnan(covariance).any()


@pytest.mark.parametrize(
    "design",
    [np.ones((3, 3)), np.column_stack([np.ones(8), np.full(8, 2.0)]), np.column_stack([np.ones(8), np.zeros(8)])],
)
def test_too_few_or_dependent_regressors_are_refused(design: np.ndarray) -> None:
    with pytest.raises(QualityError, match="must be more people") as caught:
        ols_hc3(np.ones((len(design), 1)), design=design)
    assert caught.value.reason is Reason.TOO_FEW_DOF


def test_an_outcome_with_a_gap_leaves_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    design, outcomes = np.column_stack([np.ones(9), rng.random(9)]), rng.random((9, 2))
    whole = ols_hc3(outcomes, design=design)
    outcomes[2, 0] = np.nan
    spoilt = ols_hc3(outcomes, design=design)
    for one, other in zip(whole, spoilt, strict=True):
        assert np.isnan(other[0]).all()
        np.testing.assert_allclose(other[1], one[1])


def test_departure_by_hand() -> None:
    fit = np.array([8.0, 0.5]), np.diag([0.04, 0.01])
    found, se = departure(12.0, value_se=0.3, design=[1.0, 4.0], design_se=[0.0, 0.2], fit=fit)
    assert found == pytest.approx(2.0)
    assert se == pytest.approx(np.sqrt(0.09 + 0.01 + 0.04 + 16 * 0.01))


def test_departures_of_many_people_are_each_alone() -> None:
    rng = np.random.default_rng(2)
    design, errors = rng.random((2, 6, 4))
    fit = rng.random((6, 4)), np.array([np.cov(rng.random((4, 9))) for _ in range(6)])
    value, value_se = rng.random((2, 6))
    many = departure(value, value_se=value_se, design=design, design_se=errors, fit=fit)
    for person in range(6):
        one = departure(
            value[person],
            value_se=value_se[person],
            design=design[person],
            design_se=errors[person],
            fit=(fit[0][person], fit[1][person]),
        )
        np.testing.assert_allclose([many[0][person], many[1][person]], one)


def test_the_interval_of_a_departure_holds_the_truth() -> None:
    """4000 cohorts of 50 people and a new person each: what the person departs from the true expectation is covered."""
    rng = np.random.default_rng(5)
    n_cohort, n_person, truth = 4000, 50, np.array([8.0, 0.004, -0.02, 0.4])
    tiv, age, male = rng.normal(0, 120, n_person), rng.uniform(-25, 25, n_person), rng.integers(0, 2, n_person)
    design = np.column_stack([np.ones(n_person), tiv, age, male])
    spread = 0.5 * (1 + 0.5 * male)  # men vary more: the plain error of least squares would be wrong
    outcomes = (design @ truth)[:, None] + spread[:, None] * rng.standard_normal((n_person, n_cohort))
    fit = ols_hc3(outcomes, design=design)
    person, tiv_se, value_se, planted = np.array([1.0, 90.0, 12.0, 1.0]), 7.0, 0.2, -0.9
    seen = np.tile(person, (n_cohort, 1))
    seen[:, 1] += tiv_se * rng.standard_normal(n_cohort)
    value = person @ truth + planted + value_se * rng.standard_normal(n_cohort)
    found, se = departure(value, value_se=value_se, design=seen, design_se=[0.0, tiv_se, 0.0, 0.0], fit=fit)
    assert found.mean() == pytest.approx(planted, abs=0.02)
    assert np.mean(np.abs(found - planted) <= 1.959964 * se) == pytest.approx(0.95, abs=0.015)
    assert np.mean(se) == pytest.approx(np.std(found, ddof=1), rel=0.06)
