"""Standardised differences: published numbers, other programs, and what they recover."""

from __future__ import annotations

import numpy as np
import pingouin as pg
import pytest
from scipy import optimize, stats

from lbpneuro.errors import InputError
from lbpneuro.kernels.effect_size import (
    bootstrap_interval,
    change_sd,
    cohen_d,
    d_of_change,
    d_of_difference,
    dppc2,
    effect_interval,
    glass_delta,
    groups,
    groups_of,
    hedges_correction,
    hedges_g,
)

AFTER = groups(mean=[1.66, 3.86], sd=[2.00, 2.35], n=[35, 35])
BEFORE = groups(mean=[5.03, 5.03], sd=[0.92, 0.95], n=[35, 35])
"""Pain of Bemani 2023 (10.1186/s42358-023-00329-9) at 22 weeks and at baseline, treated first."""


def rounded(effect, *, method: str = "noncentral_t") -> tuple[float, float, float]:
    low, high = effect_interval(effect, method=method)
    return tuple(round(float(part), 3) for part in (effect.value, low, high))


def test_the_summaries_of_bemani() -> None:
    assert rounded(cohen_d(AFTER)) == (-1.008, -1.503, -0.507)
    assert rounded(cohen_d(AFTER), method="wald") == (-1.008, -1.506, -0.511)
    assert rounded(hedges_g(AFTER)) == (-0.997, -1.503, -0.507)
    assert rounded(hedges_g(AFTER), method="wald") == (-0.997, -1.489, -0.505)
    equal = glass_delta(AFTER, equal_variances=True)
    assert rounded(equal, method="wald") == (-0.936, -1.455, -0.417)


def test_the_published_effect_of_bemani_needs_a_correlation_that_nobody_printed() -> None:
    """Only a change score with r of about -0.12 gives -0.89 [-1.38, -0.39]; see docs/trials.md."""
    assert round(float(d_of_change(BEFORE, AFTER, r=0.0).value), 3) == -0.927
    assert round(float(d_of_change(BEFORE, AFTER, r=0.5).value), 3) == -1.160
    change = d_of_change(BEFORE, AFTER, r=-0.12)
    assert [round(part, 2) for part in rounded(change)] == [-0.89, -1.38, -0.39]
    assert float(change.standardiser) == pytest.approx(2.475, abs=0.001)
    assert float(dppc2(BEFORE, AFTER, r=0.0).value) == pytest.approx(-2.353 * 0.98892, abs=0.001)


def test_the_published_interval_of_the_difference_is_not_that_of_the_groups() -> None:
    """Bemani prints a half-width of 1.05 at 10 and at 22 weeks alike: one error of a repeated-measures model."""
    effect = cohen_d(AFTER)
    assert float(effect.scale * effect.standardiser) * stats.t.isf(0.025, 68) == pytest.approx(1.04, abs=0.005)


def test_standard_deviations_that_ignore_the_groups_do_not_give_it_either() -> None:
    total = np.sqrt((34 * np.sum(AFTER.sd**2) + 35 * 35 / 70 * 2.2**2) / 69)
    assert round(total, 3) == 2.433
    assert round(-2.2 / total, 3) == -0.904
    assert round(-2.2 / total * float(hedges_correction(68)), 3) == -0.894


def test_the_adjusted_difference_of_resolve() -> None:
    effect = d_of_difference(-1.0, interval=(-1.5, -0.4), n=[130, 131])
    assert float(effect.value) == pytest.approx(-0.44, abs=0.005)
    assert float(effect.standardiser) == pytest.approx(2.27, abs=0.005)
    limits = np.array([-1.5, -0.4]) / effect.standardiser
    assert limits.round(2).tolist() == [-0.66, -0.18]


def test_the_exact_factor() -> None:
    assert float(hedges_correction(68)) == pytest.approx(0.988923, abs=5e-7)
    assert float(hedges_correction(2)) == pytest.approx(1 / np.sqrt(np.pi) / 1.0, abs=1e-12)
    assert np.isnan(hedges_correction(1))


def test_counted_by_hand() -> None:
    """Means 2 and 5, variance 1 and 4 in three people each: pooled variance 2.5."""
    data = groups_of([1.0, 2, 3], [3.0, 5, 7])
    assert float(cohen_d(data).value) == pytest.approx(-3 / np.sqrt(2.5))
    assert float(glass_delta(data).value) == pytest.approx(-1.5)
    assert float(glass_delta(data, standardiser=0).value) == pytest.approx(-3)
    assert float(glass_delta(data).scale) == pytest.approx(np.sqrt(1 / 3 + 1 / 4 / 3))
    assert float(glass_delta(data).df) == 2


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_pingouin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 1, 9 + seed), rng.normal(1, 2, 14)
    data = groups_of(first, second)
    assert float(cohen_d(data).value) == pytest.approx(pg.compute_effsize(first, second, eftype="cohen"))
    assert float(hedges_g(data).value) == pytest.approx(pg.compute_effsize(first, second, eftype="hedges"), rel=2e-3)
    t, p = stats.ttest_ind(first, second)
    assert float(cohen_d(data).value / cohen_d(data).scale) == pytest.approx(t)
    touches = effect_interval(cohen_d(data), level=1 - p)[int(t < 0)]
    assert float(touches) == pytest.approx(0, abs=1e-6), "the interval at 1 - p ends at 0"


@pytest.mark.parametrize("t", [-9.0, -2.1, 0.0, 0.4, 5.0])
@pytest.mark.parametrize("n", [(3, 4), (20, 35), (300, 300)])
def test_interval_by_searching_the_noncentral_t(t: float, n: tuple[int, int]) -> None:
    scale = np.sqrt(1 / n[0] + 1 / n[1])
    data = groups(mean=[t * scale, 0], sd=[1, 1], n=n)
    low, high = effect_interval(cohen_d(data), level=0.9)
    for found, share in ((low, 0.95), (high, 0.05)):
        miss = lambda c, share=share: stats.nct.cdf(t, sum(n) - 2, c) - share  # noqa: E731
        expected = optimize.brentq(miss, t - 3 - abs(t) / 2, t + 3 + abs(t) / 2)
        assert float(found) == pytest.approx(expected * scale, rel=1e-4, abs=1e-6)


def test_mirror_image() -> None:
    low, high = effect_interval(hedges_g(AFTER))
    swapped = groups(mean=AFTER.mean[::-1], sd=AFTER.sd[::-1], n=AFTER.n)
    other = effect_interval(hedges_g(swapped))
    assert (-float(high), -float(low)) == pytest.approx([float(part) for part in other])


@pytest.fixture(scope="module")
def trials() -> dict[str, np.ndarray]:
    """4000 trials of 12 and 18 people: baseline, and follow-up with r 0.5 and an effect of 0.8 SD."""
    rng = np.random.default_rng(7)
    made = {}
    for name, people, effect in (("first", 12, 0.8), ("second", 18, 0.0)):
        before = rng.standard_normal((people, 4000))
        made[name] = np.stack([before, effect + 0.5 * before + np.sqrt(0.75) * rng.standard_normal(before.shape)])
    return made


def covered(effect, truth: float, **how) -> float:
    low, high = effect_interval(effect, **how)
    return float(np.mean((low <= truth) & (truth <= high)))


def test_recovers_what_was_planted(trials) -> None:
    before, after = (groups_of(trials["first"][time], trials["second"][time]) for time in (0, 1))
    assert np.mean(hedges_g(after).value) == pytest.approx(0.8, abs=0.02)
    assert np.mean(cohen_d(after).value) > 0.81, "d is biased, which is what the correction is for"
    assert np.mean(dppc2(before, after, r=0.5).value) == pytest.approx(0.8, abs=0.02)
    assert covered(cohen_d(after), 0.8) == pytest.approx(0.95, abs=0.012)
    assert covered(hedges_g(after), 0.8, level=0.9) == pytest.approx(0.90, abs=0.015)
    assert covered(glass_delta(after), 0.8) == pytest.approx(0.95, abs=0.015)
    assert covered(d_of_change(before, after, r=0.5), 0.8) == pytest.approx(0.95, abs=0.02)
    assert covered(dppc2(before, after, r=0.5), 0.8) == pytest.approx(0.95, abs=0.015)
    assert covered(hedges_g(after), 0.8, method="wald") == pytest.approx(0.95, abs=0.02)


def test_glass_allows_unequal_variances() -> None:
    rng = np.random.default_rng(3)
    data = groups_of(1.0 + 3 * rng.standard_normal((40, 3000)), rng.standard_normal((15, 3000)))
    assert covered(glass_delta(data), 1.0) == pytest.approx(0.95, abs=0.02)
    assert covered(glass_delta(data, equal_variances=True), 1.0) < 0.88


def test_change_scores_from_data_and_from_summaries_are_the_same() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(5, 1, (2, 20))
    after = before + rng.normal([[-2], [-1]], 1, (2, 20))
    r = np.array([np.corrcoef(b, a)[0, 1] for b, a in zip(before, after, strict=True)])
    summaries = d_of_change(groups_of(*before), groups_of(*after), r=r)
    change = cohen_d(groups_of(*(after - before)))
    assert float(summaries.value) == pytest.approx(float(change.value))
    assert change_sd(groups_of(*before), groups_of(*after), r=r) == pytest.approx((after - before).std(axis=1, ddof=1))


def test_a_missing_value_or_outcome_stays_alone() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.standard_normal((10, 3)), rng.standard_normal((12, 3))
    first[2, 1] = np.nan
    data = groups_of(first, second)
    assert data.n.tolist() == [[10, 9, 10], [12, 12, 12]]
    for column in range(3):
        alone = groups_of(first[np.isfinite(first[:, column]), column], second[:, column])
        assert cohen_d(data).value[column] == pytest.approx(float(cohen_d(alone).value))
    unknown = groups(mean=[[1, np.nan], [0, 0]], sd=[[1, 1], [1, 1]], n=[[9, 9], [9, 9]])
    low, high = effect_interval(hedges_g(unknown))
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [False, True]


def test_the_bootstrap_holds_a_skewed_effect() -> None:
    rng = np.random.default_rng(5)
    effect = lambda a, b: hedges_g(groups_of(a, b)).value  # noqa: E731
    first, second = rng.exponential(1, 60) + 0.5, rng.exponential(1, 60)
    found = bootstrap_interval(first, second, effect=effect, rng=np.random.default_rng(1), n_resamples=999)
    again = bootstrap_interval(first, second, effect=effect, rng=np.random.default_rng(1), n_resamples=999)
    assert found == again
    low, high = effect_interval(cohen_d(groups_of(first, second)))
    assert found == pytest.approx([float(low), float(high)], abs=0.15)
    held = []
    for trial in range(60):
        groups_now = (rng.standard_normal((25, 2)) @ [[1, 0.5], [0, 0.9]] + [0, shift] for shift in (0.7, 0.0))
        a, b = groups_now
        change = lambda x, y: cohen_d(groups_of(x[..., 1] - x[..., 0], y[..., 1] - y[..., 0])).value  # noqa: E731
        held.append(bootstrap_interval(a, b, effect=change, rng=np.random.default_rng(trial), n_resamples=499))
    truth = 0.7 / np.sqrt(0.5**2 + 0.9**2)
    assert np.mean([low <= truth <= high for low, high in held]) > 0.87


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sd": [0, 1]}, "`sd` must be above 0"),
        ({"sd": [-1, 1]}, "`sd` must be above 0"),
        ({"n": [1, 9]}, "whole numbers of 2 or more"),
        ({"n": [9.5, 9]}, "whole numbers of 2 or more"),
        ({"mean": [np.inf, 1]}, "`mean` must be finite"),
        ({"mean": [1, 2, 3]}, "two entries"),
        ({"mean": 3.0}, "two entries"),
    ],
)
def test_impossible_summaries_are_named(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        groups(**{"mean": [1, 2], "sd": [1, 1], "n": [9, 9]} | given)


def test_impossible_correlations_levels_and_intervals_are_named() -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        d_of_change(BEFORE, AFTER, r=1.2)
    with pytest.raises(InputError, match="no variance of change"):
        d_of_change(BEFORE, BEFORE, r=1.0)
    with pytest.raises(InputError, match="level"):
        effect_interval(cohen_d(AFTER), level=95)
    with pytest.raises(InputError, match="`method` must be one of"):
        effect_interval(cohen_d(AFTER), method="exact")
    with pytest.raises(InputError, match="must hold the difference"):
        d_of_difference(-1.0, interval=(-0.4, -1.5), n=[9, 9])
    with pytest.raises(InputError, match="must hold the difference"):
        d_of_difference(1.0, interval=(-1.5, -0.4), n=[9, 9])
