"""Recruitment curves and ratios of means: planted curves, an independent fit, hand-counted numbers, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from lbpneuro.kernels.recruitment import mean_amplitude, ratio_of_means, recruitment_curve

TRUTH = {"s50": 60.0, "threshold": 52.0, "slope": 1500 / 16, "plateau": 1500.0}


def planted(rng, *, n_intensity=10, repeats=8, log_sd=0.5, highest=76.0):
    x = np.repeat(np.linspace(40, highest, n_intensity), repeats)
    median = 1500 / (1 + np.exp(-(x - 60) / 4))
    noise = 12 * np.exp(0.2 * rng.standard_normal(x.size))
    return x, np.hypot(median * np.exp(log_sd * rng.standard_normal(x.size)), noise)


def test_curve_without_noise():
    x = np.linspace(40, 80, 41)
    found = recruitment_curve(x, 5 + 1500 / (1 + np.exp(-(x - 60) / 4)) * np.exp(1e-6 * np.sin(x)))
    for name, value in TRUTH.items():
        assert getattr(found, name).value == pytest.approx(value, rel=1e-3)
    assert found.floor == pytest.approx(5, abs=0.5)
    assert found.reached == pytest.approx(1 / (1 + np.exp(-5)), rel=1e-3)
    np.testing.assert_allclose(found.amplitude([60.0, 64.0]), [755, 5 + 1500 / (1 + np.exp(-1))], rtol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_a_general_optimiser(seed):
    x, y = planted(np.random.default_rng(seed))
    found = recruitment_curve(x, y)

    def misfit(p):
        curve = np.exp(p[3]) + np.exp(p[2]) / (1 + np.exp(-(x - p[0]) / np.exp(p[1])))
        return np.sum((np.log(curve + 1) - np.log(y + 1)) ** 2)

    best = optimize.minimize(misfit, [60, np.log(4), np.log(1500), np.log(10)], method="BFGS")
    assert found.s50.value == pytest.approx(best.x[0], abs=0.05)
    assert found.plateau.value == pytest.approx(np.exp(best.x[2]), rel=0.01)
    assert found.width == pytest.approx(np.exp(best.x[1]), rel=0.01)


def test_errors_are_those_of_unequal_variances():
    """HC3 from a numerical gradient, one trial after the other."""
    x, y = planted(np.random.default_rng(1))
    found = recruitment_curve(x, y)
    best = np.array([found.s50.value, np.log(found.width), np.log(found.plateau.value), np.log(found.floor)])

    def curve(p):
        return np.log(1 + np.exp(p[3]) + np.exp(p[2]) / (1 + np.exp(-(x - p[0]) / np.exp(p[1]))))

    steps = 1e-5 * np.eye(4)
    gradient = np.stack([(curve(best + step) - curve(best - step)) / 2e-5 for step in steps], axis=1)
    inverse = np.linalg.inv(gradient.T @ gradient)
    meat = np.zeros((4, 4))
    for row, residual in zip(gradient, np.log(y + 1) - curve(best), strict=True):
        leverage = row @ inverse @ row
        meat += np.outer(row, row) * (residual / (1 - leverage)) ** 2
    covariance = inverse @ meat @ inverse
    assert found.s50.se == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-3)
    assert found.plateau.se == pytest.approx(found.plateau.value * np.sqrt(covariance[2, 2]), rel=1e-3)


def test_coverage_of_planted_curves():
    rng = np.random.default_rng(5)
    held = {name: [] for name in TRUTH}
    for _ in range(150):
        found = recruitment_curve(*planted(rng))
        if found.reached > 0.88:
            for name, value in TRUTH.items():
                each = getattr(found, name)
                held[name].append(each.ci_low <= value <= each.ci_high)
    assert min(map(len, held.values())) > 120
    for name, inside in held.items():
        assert 0.87 < np.mean(inside) <= 1.0, name


def test_curve_that_ends_early_says_so():
    found = recruitment_curve(*planted(np.random.default_rng(2), highest=60.0))
    assert not found.reached > 0.88


@pytest.mark.parametrize("case", ["few", "one intensity", "constant"])
def test_no_curve(case):
    x, y = np.repeat(np.arange(5.0), 4), np.arange(1.0, 21)
    if case == "few":
        x, y = x[:4], y[:4]
    elif case == "one intensity":
        x = np.full(20, 5.0)
    else:
        y = np.full(20, 30.0)
    found = recruitment_curve(x, y)
    assert np.isnan([found.s50.value, found.plateau.ci_low, found.width, found.reached]).all()
    assert found.n == len(x)


def test_parameters_that_depend_on_each_other_have_no_errors():
    """Straight growth on the log scale: midpoint and plateau cannot be told apart."""
    x = np.repeat(np.linspace(0, 10, 6), 5)
    found = recruitment_curve(x, np.exp(x / 2) * np.exp(0.01 * np.sin(7 * np.arange(30))))
    assert np.isnan(found.s50.value) or found.reached < 0.5


def test_ratio_by_hand():
    """Means 2 and 8; variances 1 and 4 of three trials each: log error sqrt(1/12 + 4/192)."""
    found = ratio_of_means([1.0, 2.0, 3.0, np.nan], [6.0, 8.0, 10.0])
    error = np.sqrt(1 / (3 * 4) + 4 / (3 * 64))
    freedom = error**4 / ((1 / 12) ** 2 / 2 + (4 / 192) ** 2 / 2)
    assert found.value == 0.25
    assert found.se == pytest.approx(0.25 * error)
    assert found.ci_low == pytest.approx(0.25 * np.exp(-stats.t.ppf(0.975, freedom) * error))
    assert found.ci_high == pytest.approx(0.25 * np.exp(stats.t.ppf(0.975, freedom) * error))


@pytest.mark.parametrize(
    ("conditioned", "test"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [-1.0, 0.5]), ([-2.0, 1.0], [1.0, 2.0])]
)
def test_no_ratio(conditioned, test):
    assert np.isnan(ratio_of_means(conditioned, test).value)


@pytest.mark.parametrize("log_sd", [0.5, 0.9])
def test_coverage_of_ratios(log_sd):
    rng = np.random.default_rng(3)
    held = []
    for _ in range(600):
        found = ratio_of_means(300 * rng.lognormal(0, log_sd, 15), 600 * rng.lognormal(0, log_sd, 15))
        held.append(found.ci_low <= 0.5 <= found.ci_high)
    assert 0.90 < np.mean(held) < 0.98


def test_mean_by_hand():
    found = mean_amplitude([2.0, 4.0, 6.0, np.nan])
    assert (found.value, found.se) == (4.0, pytest.approx(2 / np.sqrt(3)))
    reach = stats.t.ppf(0.975, 2) * 2 / np.sqrt(3) / 4
    assert found.ci_high == pytest.approx(4 * np.exp(reach))
    assert np.isnan(mean_amplitude([3.0]).value)
