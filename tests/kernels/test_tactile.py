"""Runs, localisation, judgements and shares: by hand, by peers, and how often intervals hold what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from lbpneuro.kernels.proportions import wilson, without_guessing
from lbpneuro.kernels.tactile import (
    inverse_efficiency,
    localisation,
    median_time,
    run_mean,
    run_threshold,
    usual_step,
)
from tests.oracles.tactile import mean_distance, midpoint


def test_two_point_runs_by_hand():
    """Ascending runs change at 45 to 50 and 50 to 55, descending ones at 50 to 45 and 40 to 35."""
    up = [
        run_threshold([40, 45, 50, 55], [1, 1, 2, 2], ascending=True),
        run_threshold([45, 50, 55, 60], [1, 1, 2, 2], ascending=True),
    ]
    down = [
        run_threshold([60, 55, 50, 45], [2, 2, 2, 1], ascending=False),
        run_threshold([45, 40, 35, 30], [2, 2, 1, 1], ascending=False),
    ]
    assert [run.value for run in up] == [47.5, 52.5]
    assert [run.value for run in down] == [47.5, 37.5]
    found = run_mean([47.5, 52.5], [47.5, 37.5], step_mm=5)
    assert (found.ascending, found.descending, found.value, found.hysteresis) == (50, 42.5, 46.25, -7.5)
    assert (found.dof, found.n) == (2, 4)
    pooled = (2 * 2.5**2 + 2 * 5**2) / 2
    assert found.se == pytest.approx(np.sqrt(pooled) / 2)
    low, high = found.interval(found.value, found.se)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 2) * found.se)


def test_runs_without_a_crossing_are_bounds():
    never, always = (
        run_threshold([40, 45, 50], [1, 1, 1], ascending=True),
        run_threshold([50, 45], [2, 2], ascending=False),
    )
    assert (np.isnan(never.value), never.low, never.high) == (True, 50, np.inf)
    assert (np.isnan(always.value), always.low, always.high) == (True, -np.inf, 45)


@pytest.mark.parametrize("seed", range(20))
def test_a_wavering_run_by_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    distances, answers = np.arange(20.0, 80, 5), rng.integers(1, 3, 12)
    answers[:2] = [1, 2]
    for ascending in (True, False):
        expected = midpoint(distances, answers, ascending=ascending)
        assert run_threshold(distances, answers, ascending=ascending).value == expected


def test_runs_that_agree_are_known_to_a_step_and_no_better():
    found = run_mean([47.5, 47.5], [47.5, 47.5], step_mm=5)
    assert found.se == pytest.approx(5 / np.sqrt(12) / 2)


def test_one_run_of_each_has_one_degree_of_freedom():
    found = run_mean([50.0], [40.0], step_mm=5)
    assert (found.value, found.dof) == (45, 1)
    assert found.se == pytest.approx(np.std([50, 40], ddof=1) / np.sqrt(2))


def test_the_interval_of_runs_holds_the_mean(rng):
    inside = []
    for _ in range(2000):
        up, down = 50 + rng.normal(0, 4, 3), 45 + rng.normal(0, 4, 3)
        found = run_mean(up, down, step_mm=0)
        low, high = found.interval(found.value, found.se)
        inside.append(low <= 47.5 <= high)
    assert 0.935 <= np.mean(inside) <= 0.965


def test_step():
    assert usual_step([50, 45, 60, 45]) == 5
    assert usual_step([50, 50]) == 0


@pytest.mark.parametrize(("count", "n"), [(0, 20), (7, 20), (20, 20), (1, 3), (150, 400)])
def test_wilson_is_that_of_statsmodels(count, n):
    found = wilson(count, n)
    np.testing.assert_allclose((found.ci_low, found.ci_high), proportion_confint(count, n, method="wilson"), atol=1e-6)
    assert found.value == count / n
    assert found.se > 0


def test_wilson_covers(rng):
    for p in (0.1, 0.3, 0.5):
        counts = rng.binomial(20, p, 4000)
        inside = [wilson(int(c), 20).ci_low <= p <= wilson(int(c), 20).ci_high for c in counts]
        assert 0.925 <= np.mean(inside) <= 0.985  # of a discrete share never exactly 0.95


def test_no_trials_are_no_share():
    assert np.isnan(wilson(0, 0).value)


def test_lucky_guesses_by_hand():
    """Of 20 with four options 6 are wrong: 8 were not known, of which a quarter was guessed right."""
    found = without_guessing(wilson(6, 20), 4)
    assert found.value == pytest.approx(8 / 20)
    assert without_guessing(wilson(20, 20), 4).value == 1
    assert found.se == pytest.approx(4 / 3 * wilson(6, 20).se)


def test_guess_correction_finds_what_was_planted(rng):
    unknown = rng.random((3000, 20)) < 0.3
    wrong = unknown & (rng.random((3000, 20)) < 3 / 4)
    raw = wrong.mean()
    assert raw == pytest.approx(0.225, abs=0.01)
    corrected = [without_guessing(wilson(int(each), 20), 4).value for each in wrong.sum(axis=1)]
    assert np.mean(corrected) == pytest.approx(0.3, abs=0.01)


def test_localisation_by_hand():
    found = localisation([[0, 0], [10, 0], [0, 10]], [[3, 4], [10, 0], [0, 16]])
    assert found.error == pytest.approx((5 + 0 + 6) / 3)
    np.testing.assert_allclose(found.bias, [1, 10 / 3])
    rest = np.array([[3, 4], [0, 0], [0, 6]]) - [1, 10 / 3]
    assert found.sd == pytest.approx(np.sqrt((rest**2).sum() / 2 / 2))


@pytest.mark.parametrize("seed", range(20))
def test_localisation_by_the_slow_way(seed):
    rng = np.random.default_rng(seed)
    actual, felt = rng.normal(0, 30, (9, 2)), rng.normal(0, 30, (9, 2))
    found = localisation(actual, felt)
    assert found.error == pytest.approx(mean_distance(actual, felt))
    low, high = stats.t.interval(0.95, 8, *[found.error, found.error_se])
    assert found.error + found.reach(found.error_se) == pytest.approx(high)
    assert found.error - found.reach(found.error_se) == pytest.approx(low)


def test_localisation_intervals_hold_bias_and_scatter(rng):
    bias, scatter = [], []
    for _ in range(2000):
        actual = rng.uniform(-60, 60, (18, 2))
        felt = actual + np.array([6.0, -4.0]) + rng.normal(0, 10, (18, 2))
        found = localisation(actual, felt)
        bias.append(abs(found.bias[0] - 6) <= found.reach(found.bias_se[0]))
        scatter.append(found.sd_ci[0] <= 10 <= found.sd_ci[1])
    assert 0.935 <= np.mean(bias) <= 0.965
    assert 0.935 <= np.mean(scatter) <= 0.965


def test_judgement_by_hand():
    """Ten values: the second from either end holds the median in 97.9 % of samples, the third in 89.1 %."""
    times = np.arange(1.0, 11) * 100
    median = median_time(times[::-1])
    assert median.value == 550
    short = (0.978515625 - 0.95) / (0.978515625 - 0.890625)
    share = 8 * short / (2 + 6 * short)
    assert median.ci == pytest.approx((200 + 100 * share, 900 - 100 * share))
    assert median.se == pytest.approx((median.ci[1] - median.ci[0]) / (2 * 1.959964))
    assert median_time([900.0, 1000.0, 1100.0]).ci == (900, 1100)
    efficiency = inverse_efficiency(median, wilson(10, 10))
    assert efficiency.value == 550
    assert efficiency.ci[0] == pytest.approx(median.ci[0])
    half = inverse_efficiency(median, wilson(20, 40))
    assert half.value == 1100
    reach = np.hypot(np.log(550 / median.ci[0]), np.log(wilson(20, 40).ci_high / 0.5))
    assert half.ci[0] == pytest.approx(1100 * np.exp(-reach))


def test_the_interval_of_the_median_lies_in_that_of_scipy():
    """The test of scipy gives whole order statistics: the outer ones, which hold the median in 95 % or more."""
    rng = np.random.default_rng(6)
    for n in (12, 31, 48):
        times = np.sort(rng.lognormal(7, 0.4, n))
        peer = stats.quantile_test(times, q=np.median(times)).confidence_interval(0.95)
        found = median_time(times)
        place = list(times).index(peer.low)
        assert peer.low <= found.ci[0] <= times[place + 1]
        assert times[list(times).index(peer.high) - 1] <= found.ci[1] <= peer.high


def test_the_intervals_of_times_hold_the_truth():
    rng, inside = np.random.default_rng(8), []
    for _ in range(4000):
        times = 1500 * np.exp(0.35 * rng.standard_normal(45))
        correct = rng.random(45) < 0.85
        median = median_time(times[correct])
        efficiency = inverse_efficiency(median, wilson(int(correct.sum()), 45))
        inside.append([each.ci[0] <= true <= each.ci[1] for each, true in ((median, 1500), (efficiency, 1500 / 0.85))])
    assert np.mean(inside, axis=0) == pytest.approx([0.95, 0.95], abs=0.011)
