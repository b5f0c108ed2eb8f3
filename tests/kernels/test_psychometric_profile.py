"""Logistic thresholds: agreement with an independent fit, separated data, recovery and coverage of what is planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from lbpneuro.errors import InputError
from lbpneuro.kernels.psychometric import logistic_threshold

LIMITS = (0.0, 100.0)
FROZEN = (
    [51.145500000000006, 45.807634711955565, 56.06811687193604, 5.288805691147815],
    [53.96125, 48.57164698643189, 59.78664835917358, 5.582628229544916],
    [53.1415, 47.99232088458252, 58.32598507233643, 3.941831330290646],
)
"""Threshold, interval and width of three data sets."""


def answers(rng, intensity, *, threshold, width):
    return rng.random(len(intensity)) < 1 / (1 + np.exp(-(intensity - threshold) / width))


def penalised(parameters, x, y):
    """Minus the penalised log likelihood of intercept and slope, spelled out."""
    z = parameters[0] + parameters[1] * x
    p = 1 / (1 + np.exp(-z))
    weight = p * (1 - p)
    information = np.array([[weight.sum(), (weight * x).sum()], [(weight * x).sum(), (weight * x**2).sum()]])
    return -(np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) + 0.5 * np.log(np.linalg.det(information)))


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_general_optimiser(seed):
    """Estimate and interval: the penalised likelihood maximised over both parameters, and over the slope alone."""
    rng = np.random.default_rng(seed)
    x = np.repeat(np.arange(44.0, 60, 2), 5)
    y = answers(rng, x, threshold=52, width=2.5).astype(float)
    found = logistic_threshold(x, y, limits=LIMITS)
    centred = x - x.mean()
    best = optimize.minimize(penalised, [-0.1, 0.3], args=(centred, y), method="BFGS")
    assert found.value == pytest.approx(x.mean() - best.x[0] / best.x[1], abs=0.05)
    assert found.width == pytest.approx(1 / best.x[1], rel=0.12)
    for end in (found.ci_low, found.ci_high):
        at = end - x.mean()
        profile = optimize.minimize_scalar(
            lambda slope, at=at: penalised([-slope * at, slope], centred, y), bounds=(1e-3, 5), method="bounded"
        )
        assert 2 * (profile.fun - best.fun) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=0.05)


def test_separated_data_have_a_threshold_in_the_gap():
    x = np.repeat([40.0, 45, 50, 55, 60], 6)
    found = logistic_threshold(x, x > 47, limits=LIMITS)
    assert found.value == pytest.approx(47.5, abs=0.2)
    assert 45 < found.ci_low < 46
    assert 49 < found.ci_high < 50
    assert (found.n, found.answered) == (30, 18)


@pytest.mark.parametrize("value", [0, 1])
def test_all_or_none_have_no_threshold(value):
    found = logistic_threshold(np.arange(20.0), np.full(20, value), limits=LIMITS)
    assert np.isnan([found.value, found.ci_low, found.ci_high, found.width, found.se]).all()
    assert found.answered == 20 * value
    assert not found.falling


def test_one_intensity_or_falling_answers_have_no_threshold():
    assert np.isnan(logistic_threshold(np.full(10, 5.0), np.arange(10) % 2, limits=LIMITS).value)
    falling = logistic_threshold(np.arange(20.0), np.arange(20) < 10, limits=LIMITS)
    assert falling.falling
    assert np.isnan(falling.value)


def test_interval_ends_at_the_limits_where_the_data_do_not_end_it():
    x = np.array([50.0, 51.0] * 3)
    found = logistic_threshold(x, np.array([0, 1, 1, 0, 0, 1]), limits=(48.0, 52.0))
    assert (found.ci_low, found.ci_high) == (48.0, 52.0)


def test_what_makes_no_sense():
    with pytest.raises(InputError, match="answered"):
        logistic_threshold(np.arange(3.0), np.ones(2), limits=LIMITS)
    with pytest.raises(InputError, match="smallest, largest"):
        logistic_threshold(np.arange(3.0), np.ones(3), limits=(1.0, 0.0))


def test_recovery_and_coverage_at_thirty_trials():
    """Error below 5 % and right coverage; docs/methods.md has the numbers of the long run."""
    rng = np.random.default_rng(7)
    errors, held = [], []
    for _ in range(150):
        x = np.tile(50 + np.linspace(-7, 7, 10) + rng.uniform(-2, 2), 3)
        found = logistic_threshold(x, answers(rng, x, threshold=50, width=2), limits=LIMITS)
        errors.append(abs(found.value - 50) / 50)
        held.append(found.ci_low <= 50 <= found.ci_high)
    assert np.mean(errors) < 0.025
    assert np.mean(np.array(errors) < 0.05) > 0.95
    assert 0.90 < np.mean(held) < 0.99


def test_it_is_what_it_was_before_it_shared_its_information_matrix():
    """Numbers of the version with formulas of its own, of 300 data sets compared; these are the first three."""
    expected = np.array(FROZEN)
    for seed, row in enumerate(expected):
        rng = np.random.default_rng(seed)
        x = rng.choice(np.arange(30, 80, rng.choice([1.0, 2.5, 5.0])), int(rng.integers(20, 60)))
        found = logistic_threshold(x, rng.random(x.size) < 1 / (1 + np.exp(-(x - 52) / 4)), limits=(0, 100))
        assert [found.value, found.ci_low, found.ci_high, found.width] == pytest.approx(row, rel=1e-12)
