"""Psychometric functions: brute force, statsmodels, and how often the interval holds the planted threshold."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, ndtr

from lbpneuro.errors import InputError
from lbpneuro.kernels.psychometric import fit_psychometric, rises
from tests.oracles.tactile import posterior_threshold

DISTANCES = np.repeat(np.arange(20.0, 91.0, 5.0), 2)


def answers(rng, threshold, width, *, guess=0.0, lapse=0.02, distances=DISTANCES, function=expit):
    p = guess + (1 - guess - lapse) * function((distances - threshold) / width)
    return (rng.random(distances.size) < p).astype(float)


@pytest.mark.parametrize(("seed", "function"), [(0, "logistic")])
def test_brute_force_gives_the_same(seed, function):
    y = answers(np.random.default_rng(seed), 52, 6)
    found = fit_psychometric(DISTANCES, y, function=function, lapse=0.02)
    expected = posterior_threshold(DISTANCES, y, lapse=0.02, normal=function == "normal")
    np.testing.assert_allclose((found.threshold, found.ci_low, found.ci_high), expected, atol=0.6)


def test_many_trials_give_what_logistic_regression_gives():
    rng = np.random.default_rng(5)
    x = np.repeat(np.arange(20.0, 91.0, 5.0), 60)
    y = answers(rng, 55, 7, lapse=0.0, distances=x)
    regression = sm.Logit(y, sm.add_constant(x)).fit(disp=0)
    intercept, slope = regression.params
    threshold = -intercept / slope
    gradient = np.array([-1 / slope, intercept / slope**2])
    se = np.sqrt(gradient @ regression.cov_params() @ gradient)
    found = fit_psychometric(x, y, function="logistic", lapse=0.0)
    assert found.threshold == pytest.approx(threshold, abs=0.1)
    assert found.se == pytest.approx(se, rel=0.05)
    assert found.width == pytest.approx(1 / slope, rel=0.15)
    probit = sm.Probit(y, sm.add_constant(x)).fit(disp=0)
    normal = fit_psychometric(x, y, function="normal", lapse=0.0)
    assert normal.threshold == pytest.approx(-probit.params[0] / probit.params[1], abs=0.1)


@pytest.mark.parametrize(
    ("function", "shape", "n"), [("logistic", expit, 30), ("normal", ndtr, 30), ("logistic", expit, 22)]
)
def test_intervals_hold_the_threshold_and_it_is_not_biased(function, shape, n):
    rng, inside, error = np.random.default_rng(11), [], []
    distances = DISTANCES if n == 30 else np.repeat(np.arange(20.0, 91.0, 7.0), 2)
    for _ in range(500):
        threshold = 55 + rng.uniform(-12, 12)
        y = answers(rng, threshold, 6, distances=distances, function=shape)
        found = fit_psychometric(distances, y, function=function, lapse=0.02)
        inside.append(found.ci_low <= threshold <= found.ci_high)
        error.append(found.threshold - threshold)
    assert 0.925 <= np.mean(inside) <= 0.985  # 500 trials know a share of 0.95 to 0.01
    assert abs(np.mean(error)) < 0.7


def test_catch_trials_take_guessing_out_of_the_threshold():
    rng, plain, corrected = np.random.default_rng(4), [], []
    for _ in range(60):
        y = answers(rng, 55, 5, guess=0.2)
        alarms = int(rng.binomial(10, 0.2))
        options = {"function": "logistic", "lapse": 0.02}
        plain.append(fit_psychometric(DISTANCES, y, **options).threshold - 55)
        corrected.append(fit_psychometric(DISTANCES, y, false_alarms=alarms, catches=10, **options).threshold - 55)
    assert np.mean(plain) < -4
    assert abs(np.mean(corrected)) < 1.5


def test_answers_without_overlap_have_a_finite_interval_about_the_gap():
    y = (DISTANCES > 51).astype(float)
    found = fit_psychometric(DISTANCES, y, function="logistic", lapse=0.0)
    assert found.threshold == pytest.approx(52.5, abs=0.3)
    assert 40 < found.ci_low < 50 < 55 < found.ci_high < 65


def test_shift_and_unit_of_the_stimulus_go_through():
    y = answers(np.random.default_rng(8), 52, 6)
    one = fit_psychometric(DISTANCES, y, function="logistic", lapse=0.02)
    two = fit_psychometric(DISTANCES / 10 + 3, y, function="logistic", lapse=0.02)
    np.testing.assert_allclose([two.threshold, two.ci_low], np.array([one.threshold, one.ci_low]) / 10 + 3, rtol=1e-6)


def test_the_curve_rises_from_the_guess_to_the_lapse_rate():
    y = answers(np.random.default_rng(8), 52, 6)
    found = fit_psychometric(DISTANCES, y, function="normal", lapse=0.02, guess=0.1)
    np.testing.assert_allclose(found.probability([-1e4, found.threshold, 1e4]), [0.1, 0.1 + 0.44, 0.98])


@pytest.mark.parametrize("y", [np.zeros(30), np.ones(30), (DISTANCES < 50).astype(float)])
def test_answers_that_tell_no_threshold_are_refused(y):
    with pytest.raises(InputError, match="must differ, and a yes must become more frequent"):
        fit_psychometric(DISTANCES, y, function="logistic", lapse=0.02)


def test_unknown_functions_and_lengths_are_refused():
    with pytest.raises(InputError, match="function"):
        fit_psychometric(DISTANCES, DISTANCES > 50, function="weibull", lapse=0.02)
    with pytest.raises(InputError, match="yes"):
        fit_psychometric(DISTANCES, [0.0, 1.0], function="normal", lapse=0.02)


def test_what_rises():
    assert rises([1, 2, 3], [0, 0, 1])
    assert not rises([1, 2, 3], [1, 0, 0])
    assert not rises([1, 2, 3], [1, 0, 1])


def test_inputs_are_left_as_they_are():
    x, y = DISTANCES.copy(), (DISTANCES > 51).astype(float)
    for array in (x, y):
        array.setflags(write=False)
    assert fit_psychometric(x, y, function="logistic", lapse=0.0) == fit_psychometric(
        x, y, function="logistic", lapse=0.0
    )
