"""Block ratios: the hand-counted vector, SciPy's Welch test, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lbpneuro.kernels.plasticity import log_amplitude, log_ratio

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
