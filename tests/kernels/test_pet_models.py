"""Distribution volumes: by hand, against loops and statsmodels, and the truth of a two-tissue model."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from lbpneuro.errors import InputError
from lbpneuro.kernels import pet_models
from lbpneuro.kernels.pet import decay_constant
from lbpneuro.simulate import pet_kinetics
from tests.oracles import pet as oracle

RATES = np.array([[0.12, 0.12, 0.06, 0.045], [0.1, 0.14, 0.11, 0.05], [0.15, 0.11, 0.08, 0.04]])


def test_integrals_equal_the_loop() -> None:
    times, values = np.array([30.0, 50, 90, 200]), np.array([4.0, 9, 2, 1])
    found = pet_models.integral_to(times, values=values, at_s=[0, 10, 30, 60, 200, 260])
    expected = [oracle.integral_to(times, values, at) for at in (0, 10, 30, 60, 200, 260)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[2] == pytest.approx(30 * 4 / 2)
    assert found[5] - found[4] == pytest.approx(60)  # constant after the last sample
    means = pet_models.frame_means(times, values=values, start_s=[50, 90], duration_s=[40, 0])
    np.testing.assert_allclose(means, [5.5, 2])


@pytest.mark.parametrize("times", [[5.0, 5.0], [9.0, 3.0], [-1.0, 3.0]])
def test_samples_must_be_in_order(times: list[float]) -> None:
    with pytest.raises(InputError, match="increasing"):
        pet_models.integral_to(times, values=[1.0, 2.0], at_s=[4.0])


def test_tissue_integral_equals_the_loop_with_gaps() -> None:
    start, duration = np.array([20.0, 60, 120, 400]), np.array([40.0, 30, 100, 200])
    curve = np.array([2.0, 5, 4, 3])
    found = pet_models.tissue_integral(np.stack([curve, 2 * curve]), start_s=start, duration_s=duration)
    np.testing.assert_allclose(found[0], oracle.tissue_integral(curve, start, duration))
    np.testing.assert_allclose(found[1], 2 * found[0])
    with pytest.raises(InputError, match="order"):
        pet_models.tissue_integral(curve, start_s=start[::-1], duration_s=duration)


def test_blood_is_taken_away() -> None:
    tissue, blood = np.array([[3.0, 4.0]]), np.array([10.0, 2.0])
    seen = 0.95 * tissue + 0.05 * blood
    np.testing.assert_allclose(pet_models.without_blood(seen, blood=blood, fraction=0.05), tissue)
    with pytest.raises(InputError, match="fraction"):
        pet_models.without_blood(seen, blood=blood, fraction=1.0)


def test_the_two_tissue_curve_equals_small_steps() -> None:
    given = pet_kinetics.arterial_input()
    part = slice(0, 1201)
    short = pet_kinetics.Input(given.times_s[part], given.plasma[part], given.blood[part])
    found = pet_kinetics.two_tissue_curves(RATES[:1], given=short)[0]
    expected = oracle.two_tissue(RATES[0], short.plasma.tolist(), step_s=1.0)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=2e-3)
    np.testing.assert_allclose(pet_kinetics.distribution_volume(RATES[0]), 1 + 0.06 / 0.045)


def test_the_volume_is_the_ratio_of_whole_areas() -> None:
    """V_T is the tissue's area over that of plasma, when both are followed to the end: no formula of rates needed."""
    given = pet_kinetics.arterial_input(slow_per_min=0.05)
    plasma = np.concatenate([given.plasma[:5400], np.zeros(60_000)])
    long = pet_kinetics.Input(np.arange(len(plasma)) * 1.0, plasma, plasma)
    area = pet_kinetics.two_tissue_curves(RATES, given=long).sum(axis=1) / plasma.sum()
    np.testing.assert_allclose(area, pet_kinetics.distribution_volume(RATES), rtol=2e-3)


def fitted(curves: np.ndarray, *, method: str, from_min: float = 30, blood_volume: float = 0.0) -> pet_models.Fit:
    frames, given = pet_kinetics.dynamic_frames(), pet_kinetics.arterial_input()
    at = {"start_s": frames.start_s, "duration_s": frames.duration_s}
    middle = frames.start_s + frames.duration_s / 2
    blood = pet_models.frame_means(given.times_s, values=given.blood, **at)
    tissue = pet_models.without_blood(curves, blood=blood, fraction=blood_volume)
    return pet_models.distribution_volume(
        tissue,
        **at,
        plasma_integral=pet_models.integral_to(given.times_s, values=given.plasma, at_s=middle),
        used=middle >= from_min * 60,
        noise=pet_models.relative_noise(curves.mean(axis=0), **at, decay_per_s=decay_constant("C11")),
        method=method,
    )


def clean(rates: np.ndarray, *, blood_volume: float = 0.0) -> np.ndarray:
    given = pet_kinetics.arterial_input()
    whole = pet_kinetics.two_tissue_curves(rates, given=given, blood_volume=blood_volume)
    return pet_kinetics.sampled(whole, given=given, frames=pet_kinetics.dynamic_frames())


@pytest.mark.parametrize("method", ["logan", "ma1"])
def test_without_noise_the_volume_is_that_of_the_rates(method: str) -> None:
    truth = pet_kinetics.distribution_volume(RATES)
    np.testing.assert_allclose(fitted(clean(RATES), method=method).v_t, truth, rtol=0.02)
    bloody = clean(RATES, blood_volume=0.05)
    without = fitted(bloody, method=method, blood_volume=0.05).v_t
    np.testing.assert_allclose(without, fitted(clean(RATES), method=method).v_t, rtol=1e-6)
    assert np.abs(fitted(bloody, method=method).v_t / without - 1).max() > 0.005  # blood is not tissue


def test_slopes_equal_those_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    frames, given = pet_kinetics.dynamic_frames(), pet_kinetics.arterial_input()
    curves = clean(RATES) * (1 + 0.02 * rng.standard_normal((3, len(frames.start_s))))
    middle = frames.start_s + frames.duration_s / 2
    used = middle >= 1800
    area = pet_models.tissue_integral(curves, start_s=frames.start_s, duration_s=frames.duration_s)[:, used]
    plasma = pet_models.integral_to(given.times_s, values=given.plasma, at_s=middle)[used]
    for row, tissue in enumerate(curves[:, used]):
        straight = sm.OLS(area[row] / tissue, sm.add_constant(plasma / tissue)).fit()
        assert fitted(curves, method="logan").v_t[row] == pytest.approx(straight.params[1], rel=1e-8)
        assert fitted(curves, method="logan").misfit[row] == pytest.approx(
            np.max(np.abs(straight.resid) / (area[row] / tissue)), rel=1e-6
        )
        plane = sm.OLS(tissue, np.column_stack([plasma, area[row]])).fit()
        assert fitted(curves, method="ma1").v_t[row] == pytest.approx(-plane.params[0] / plane.params[1], rel=1e-8)


@pytest.mark.parametrize(("method", "bias"), [("logan", 0.03), ("ma1", 0.015)])
def test_intervals_hold_the_truth(method: str, bias: float) -> None:
    """400 noisy regions of a two-tissue model; the error of an ordinary regression would hold it in 70 to 85 %."""
    rng = np.random.default_rng(2)
    n = 400
    low, high = [0.08, 0.1, 0.06, 0.035], [0.16, 0.16, 0.12, 0.06]
    rates = rng.uniform(low, high, (n, 4))
    frames = pet_kinetics.dynamic_frames()
    curves, truth = clean(rates), pet_kinetics.distribution_volume(rates)
    middle = frames.start_s + frames.duration_s / 2
    decayed = np.exp(decay_constant("C11") * (middle - 2700))
    top = curves.max(axis=1, keepdims=True)
    sd = 0.02 * top * np.sqrt(curves / top * 360 / frames.duration_s * decayed)
    found = fitted(curves + sd * rng.standard_normal(curves.shape), method=method)
    error = found.v_t / truth - 1
    assert abs(np.median(error)) < bias
    assert np.median(found.se / truth) == pytest.approx(error.std(), rel=0.2)
    half = stats.t.ppf(0.975, found.n - 2) * found.se
    assert 0.93 <= np.mean(np.abs(found.v_t - truth) < half) <= 0.995


def test_a_bad_region_stays_alone_and_too_few_frames_give_nothing() -> None:
    curves = clean(RATES)
    curves[1, 38] = np.nan
    for method in ("logan", "ma1"):
        assert np.isnan(fitted(curves, method=method).v_t).tolist() == [False, True, False]
    curves[1, 38] = -1.0
    assert np.isnan(fitted(curves, method="logan").v_t).tolist() == [False, True, False]
    few = fitted(clean(RATES), method="ma1", from_min=84)
    assert np.isnan(few.v_t).all()
    none = fitted(clean(RATES), method="logan", from_min=500)
    assert (np.isnan(none.v_t).all(), none.n) == (True, 0)
    assert np.isnan(none.misfit).all()


def test_shapes_are_checked() -> None:
    more = {"start_s": np.arange(4.0), "duration_s": np.ones(4), "used": np.ones(4, bool), "noise": np.ones(4)}
    with pytest.raises(InputError, match="curves"):
        pet_models.distribution_volume(np.ones(4), **more, plasma_integral=np.ones(4), method="ma1")
    with pytest.raises(InputError, match="plasma_integral"):
        pet_models.distribution_volume(np.ones((1, 4)), **more, plasma_integral=np.ones(3), method="ma1")
    with pytest.raises(InputError, match="method"):
        pet_models.distribution_volume(np.ones((1, 4)), **more, plasma_integral=np.ones(4), method="2tcm")


def test_noise_is_that_of_counts() -> None:
    found = pet_models.relative_noise([4.0, 4, 2], start_s=[0, 10, 40], duration_s=[10.0, 30, 30], decay_per_s=0.0)
    np.testing.assert_allclose(found / found[0], [1, 1 / 3, 1 / 6])
    assert found.mean() == pytest.approx(1)
    np.testing.assert_array_equal(
        pet_models.relative_noise([0.0, 0], start_s=[0, 1], duration_s=[1.0, 1], decay_per_s=0.0), [1, 1]
    )
    with pytest.raises(InputError, match="duration"):
        pet_models.relative_noise([1.0], start_s=[0], duration_s=[0.0], decay_per_s=0.0)


def test_the_line_begins_where_all_after_it_is_straight() -> None:
    middle, starts = np.arange(10.0), np.arange(10.0)
    misfit = np.array([0.5, 0.3, 0.12, 0.08, 0.2, 0.05, 0.04, 0.03, 0.01, 0.0])
    assert pet_models.linear_from(middle, starts_s=starts, misfit=misfit, limit=0.1) == 3
    assert np.isnan(pet_models.linear_from(middle, starts_s=starts, misfit=misfit + 1, limit=0.1))
    late = np.where(starts < 8, 1.0, 0.0)  # fewer than three frames are no line
    assert np.isnan(pet_models.linear_from(middle, starts_s=starts, misfit=late, limit=0.1))
