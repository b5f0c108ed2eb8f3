"""Block ratios: the hand-counted vector, SciPy's Welch test, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lbpneuro.kernels.plasticity import log_amplitude, log_contrast, log_ratio, trapezoid_weights
from tests.oracles import neurophysiology as oracle

PRE = np.array([800.0, 1000.0, 1200.0])
POST = np.array([500.0, 600.0, 700.0])


def test_hand_counted_blocks():
    assert POST.mean() / PRE.mean() == pytest.approx(0.6)
    assert log_ratio(POST, PRE).value == pytest.approx(-0.5059, abs=5e-5)
    assert log_ratio(POST, PRE).times(-1).value == pytest.approx(0.5059, abs=5e-5)
    assert log_ratio(POST, PRE).n == 6


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    block, reference = (np.exp(rng.normal(6, rng.uniform(0.3, 1), n)) for n in rng.integers(5, 40, 2))
    found = log_ratio(block, reference)
    peer = stats.ttest_ind(log_amplitude(block), log_amplitude(reference), equal_var=False)
    assert found.value / found.se == pytest.approx(peer.statistic)
    assert found.dof == pytest.approx(peer.df)
    for level in (0.9, 0.95):
        interval = peer.confidence_interval(level)
        assert found.interval(level) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("log_sd", [0.5, 0.9])
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.6])
def test_planted_ratios_are_recovered(log_sd, ratio):
    """Bias within a quarter of the standard error; 95 % intervals cover 93-97 %."""
    rng = np.random.default_rng(11)
    n = 3000
    pre, post = (np.exp(np.log(size) + log_sd * rng.standard_normal((n, 30))) for size in (1000.0, 1000.0 * ratio))
    found = [log_ratio(a, b) for a, b in zip(post, pre, strict=True)]
    deviation = np.array([each.value for each in found]) - np.log(ratio)
    assert abs(deviation.mean()) < np.mean([each.se for each in found]) / 4
    covered = [low <= np.log(ratio) <= high for low, high in (each.interval(0.95) for each in found)]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_missing_trials_are_left_out():
    holed = np.array([500.0, np.nan, 600.0, 700.0])
    assert log_ratio(holed, PRE) == log_ratio(POST, PRE)


def test_one_trial_is_no_block():
    alone = log_ratio(np.array([500.0]), PRE)
    assert np.isnan([alone.value, alone.se, *alone.interval(0.95)]).all()


def test_equal_trials_have_no_error():
    same = log_ratio(np.full(3, 500.0), np.full(4, 1000.0))
    assert same.se == 0
    assert same.interval(0.95) == pytest.approx((same.value, same.value))


def test_inputs_are_not_changed():
    PRE.setflags(write=False)
    POST.setflags(write=False)
    assert log_ratio(POST, PRE) == log_ratio(POST, PRE)


@pytest.mark.parametrize("log_sd", [0.5, 0.9])
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.6])
def test_bootstrap_intervals_cover(log_sd, ratio):
    """95 % studentised bootstrap intervals of 30 and 30 trials cover 93-97 %."""
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(500):
        pre, post = (np.exp(np.log(size) + log_sd * rng.standard_normal(30)) for size in (1000.0, 1000.0 * ratio))
        low, high = log_ratio(post, pre).bootstrap_interval(0.95, n_draws=400, rng=rng)
        hits.append(low <= np.log(ratio) <= high)
    assert 0.93 - 0.01 <= np.mean(hits) <= 0.97 + 0.01


def test_bootstrap_agrees_with_a_loop():
    found = log_ratio(POST, PRE).bootstrap_interval(0.9, n_draws=50, rng=np.random.default_rng(1))
    expected = oracle.studentised_interval_by_loop(POST, PRE, level=0.9, n_draws=50, rng=np.random.default_rng(1))
    assert found == pytest.approx(expected)


def test_contrast_is_the_sum_of_its_blocks():
    between = np.array([700.0, 900.0, 1300.0, 800.0])
    found = log_contrast([POST, between, PRE], [0.5, 0.5, -1.0])
    means = [log_amplitude(each).mean() for each in (POST, between, PRE)]
    assert found.value == pytest.approx(0.5 * means[0] + 0.5 * means[1] - means[2])
    variances = [log_amplitude(each).var(ddof=1) / each.size for each in (POST, between, PRE)]
    assert found.se**2 == pytest.approx(0.25 * variances[0] + 0.25 * variances[1] + variances[2])
    assert log_contrast([POST, PRE], [1, -1]) == log_ratio(POST, PRE)
    whole = log_ratio(POST, PRE).plus(log_ratio(between, PRE).times(-1))
    assert whole.value == pytest.approx(means[0] - means[1])
    assert whole.n == 13


def test_probability_is_one_minus_the_one_sided_p():
    found = log_ratio(POST, PRE)
    peer = stats.ttest_ind(log_amplitude(POST), log_amplitude(PRE), equal_var=False, alternative="greater")
    assert found.probability_positive() == pytest.approx(1 - peer.pvalue)
    same = log_ratio(np.full(3, 500.0), np.full(4, 1000.0))
    assert same.probability_positive() == 0.0
    assert np.isnan(same.bootstrap_interval(0.95, n_draws=20, rng=np.random.default_rng(0))).all()


def test_smallest_detectable_value():
    found = log_ratio(POST, PRE)
    assert found.detectable() == pytest.approx((stats.t.ppf(0.975, found.dof) + stats.t.ppf(0.8, found.dof)) * found.se)


def test_trapezoids():
    np.testing.assert_allclose(trapezoid_weights([0, 10, 20]), [0.25, 0.5, 0.25])
    minutes, values = np.array([0.0, 10, 20, 45]), np.array([3.0, -1, 2, 5])
    assert trapezoid_weights(minutes) @ values == pytest.approx(np.trapezoid(values, minutes) / 45)
