"""Units, thresholds, trains and z-scores: counted by hand, and beside scipy and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lbpneuro.kernels import psychophysics as psy
from tests.oracles import sensory as slow

SEEDS = pytest.mark.parametrize("seed", range(20))
TRAIN = np.array([20.0, 25, 30, 38, 45, 50, 52, 55, 58, 60])


@pytest.mark.parametrize(
    ("value", "unit", "area", "kpa"),
    [(250, "kPa", np.nan, 250), (0.21, "kgf/cm2", np.nan, 20.593965), (3, "kg/cm2", 1, 294.1995), (25, "N", 0.5, 500)],
)
def test_pressure_in_kilopascals(value: float, unit: str, area: float, kpa: float) -> None:
    np.testing.assert_allclose(psy.pressure_kpa(np.array([value]), unit, probe_cm2=area), [kpa])


def test_a_force_without_area_is_no_pressure_and_another_unit_none_at_all() -> None:
    assert np.isnan(psy.pressure_kpa(np.array([25.0]), "N")).all()
    np.testing.assert_allclose(psy.pressure_kpa(np.array([2.0]), "kgf", probe_cm2=2.0), [98.0665])
    with pytest.raises(KeyError):
        psy.pressure_kpa(np.array([25.0]), "psi")


def test_ratings_on_another_scale() -> None:
    np.testing.assert_allclose(psy.rating_100(np.array([0, 2.5, 10]), low=0, high=10), [0, 25, 100])
    np.testing.assert_allclose(psy.rating_100(np.array([1, 6, 11]), low=1, high=11), [0, 50, 100])


def test_a_mean_of_three_trials_by_hand() -> None:
    found = psy.mean(np.array([240.0, np.nan, 250, 260]))
    assert (found.value, found.dof, found.n) == (250, 2, 3)
    assert found.se == pytest.approx(10 / np.sqrt(3))
    np.testing.assert_allclose(found.interval(), (250 - 4.302653 * 5.773503, 250 + 4.302653 * 5.773503), rtol=1e-6)


def test_one_trial_has_no_error_and_none_no_mean() -> None:
    one = psy.mean(np.array([5.0]))
    assert (one.value, one.n) == (5, 1)
    assert np.isnan(one.se)
    assert np.isnan(one.interval()).all()
    none = psy.mean(np.array([np.nan]))
    assert np.isnan(none.value)
    assert none.n == 0


@SEEDS
def test_a_difference_of_means_is_that_of_welch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(5, 1, 5), rng.normal(3, 3, 4)
    found = psy.combination([psy.mean(a), psy.mean(b)], [1.0, -1.0])
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose(found.interval(0.9), expected)
    assert found.n == 9


def test_means_without_scatter_have_no_error() -> None:
    found = psy.average([psy.mean(np.array([2.0, 2])), psy.mean(np.array([4.0, 4, 4]))])
    assert (found.value, found.se, found.dof, found.n) == (3, 0, 3, 5)
    assert found.interval() == (3, 3)
    assert found.times(-2).value == -6


def test_an_unknown_error_stays_unknown() -> None:
    assert np.isnan(psy.average([psy.mean(np.array([2.0])), psy.mean(np.array([4.0, 5]))]).se)


@SEEDS
def test_the_error_of_a_logarithm_is_that_of_the_jackknife(seed: int) -> None:
    values = np.random.default_rng(seed).normal(300, 15, 200)
    found = psy.log10_mean(values)
    assert found.value == pytest.approx(np.log10(values.mean()))
    assert found.se == pytest.approx(slow.jackknife(lambda kept: np.log10(np.mean(kept)), values), rel=0.01)


def test_zero_has_no_logarithm() -> None:
    assert np.isnan(psy.log10_mean(np.zeros(3)).value)


def test_the_coefficient_of_variation_by_hand() -> None:
    assert psy.coefficient_of_variation(np.array([80.0, 120, np.nan])) == pytest.approx(np.sqrt(800) / 100)
    assert np.isnan(psy.coefficient_of_variation(np.array([80.0])))


def test_the_train_of_the_definition() -> None:
    trains = TRAIN[np.newaxis]
    np.testing.assert_allclose(psy.train_differences(trains), [40])
    np.testing.assert_allclose(psy.train_slopes(trains), [4.624], atol=5e-4)
    ratio, se, n = psy.ratio_of_means(TRAIN.mean(keepdims=True), np.array([20.0]))
    assert ratio == pytest.approx(2.165)
    assert np.isnan(se)
    assert n == 1


@SEEDS
def test_slopes_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trains = rng.normal(40, 10, (4, 10))
    trains[1, 3] = trains[2, 0] = np.nan
    trains[3, 1:] = np.nan
    np.testing.assert_allclose(psy.train_slopes(trains), slow.slopes(trains))
    np.testing.assert_allclose(psy.train_differences(trains), slow.differences(trains))


@SEEDS
def test_the_errors_of_one_train_are_those_of_a_straight_line(seed: int) -> None:
    train = np.random.default_rng(seed).normal(40, 10, 10)
    train[4] = np.nan
    kept = np.flatnonzero(np.isfinite(train))
    fit = stats.linregress(kept, train[kept])
    difference, slope = psy.line_errors(train)
    assert (slope.value, slope.se) == (pytest.approx(fit.slope), pytest.approx(fit.stderr))
    residual = train[kept] - fit.intercept - fit.slope * kept
    assert difference.se == pytest.approx(np.sqrt(2 * (residual**2).sum() / (len(kept) - 2)))
    assert (difference.value, difference.dof, difference.n) == (pytest.approx(train[9] - train[0]), 7, 9)


def test_a_train_of_two_ratings_has_a_slope_without_error() -> None:
    difference, slope = psy.line_errors(np.array([20.0, 30, np.nan]))
    assert (difference.value, slope.value) == (10, 10)
    assert np.isnan(difference.se)
    assert np.isnan(slope.se)
    nothing, _ = psy.line_errors(np.array([np.nan, np.nan]))
    assert np.isnan(nothing.value)


@SEEDS
def test_the_error_of_a_ratio_is_that_of_the_jackknife(seed: int) -> None:
    rng = np.random.default_rng(seed)
    single = rng.normal(20, 2, 100)
    train = 2 * single + rng.normal(0, 3, 100)
    ratio, se, n = psy.ratio_of_means(train, single, offset=1.0)
    pairs = np.column_stack([train, single])

    def statistic(kept: np.ndarray) -> float:
        return float((kept[:, 0].mean() + 1) / (kept[:, 1].mean() + 1))

    assert ratio == pytest.approx(statistic(pairs))
    assert se == pytest.approx(slow.jackknife(statistic, pairs), rel=0.02)
    assert n == 100


def test_a_ratio_to_zero_is_none_unless_something_is_added() -> None:
    train, single = np.array([8.0, 6, np.nan]), np.array([0.0, 0, 5])
    assert np.isnan(psy.ratio_of_means(train, single)[0])
    assert psy.ratio_of_means(train, single, offset=1.0)[0] == 8.0
    assert psy.ratio_of_means(train, single)[2] == 2


def test_the_z_score_of_the_definition() -> None:
    norm = {"norm_mean": np.log10(300), "norm_sd": 0.18, "norm_n": 100}
    raw, _ = psy.z_score(np.log10(180), se=0.0, sign=1.0, **norm)
    gain, se = psy.z_score(np.log10(180), se=0.09, sign=-1.0, **norm)
    assert raw == pytest.approx(-1.232, abs=5e-4)
    assert gain == pytest.approx(1.232, abs=5e-4)
    assert se == pytest.approx(np.sqrt(0.25 + 0.01 + gain**2 / 198))


def test_the_error_of_a_z_score_covers_the_sampling_of_the_norm() -> None:
    rng = np.random.default_rng(1)
    hits, n = 0, 30
    for _ in range(4000):
        norm = rng.normal(0, 1, n)
        z, se = psy.z_score(
            1.5 + rng.normal(0, 0.3), se=0.3, norm_mean=norm.mean(), norm_sd=norm.std(ddof=1), norm_n=n, sign=1.0
        )
        hits += abs(z - 1.5) < 1.96 * se
    assert 0.93 < hits / 4000 < 0.97
