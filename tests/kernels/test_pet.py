"""Decay, uptake, windows, spread: by hand, against loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lbpneuro.errors import InputError
from lbpneuro.kernels import pet
from tests.oracles import pet as oracle

START, DURATION = np.array([0.0, 60, 120, 300, 600]), np.array([60.0, 60, 180, 300, 600])
DECAY = np.log(2) / (20.34 * 60)


def test_activity_halves_in_a_half_life() -> None:
    assert pet.decay_constant("C11") * 20.34 * 60 == pytest.approx(np.log(2))
    assert pet.decay_constant("F18") * 109.734 * 60 == pytest.approx(np.log(2))
    with pytest.raises(InputError, match="O15"):
        pet.decay_constant("O15")


def test_decay_within_a_frame_is_known() -> None:
    found = pet.decay_factors(START, duration_s=DURATION, decay_per_s=DECAY)
    expected = [1 / oracle.decayed_mean(s, d, decay=DECAY) for s, d in zip(START, DURATION, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # a long frame differs from the decay of its start and of its middle
    assert found[4] > np.exp(DECAY * 600) * 1.1
    np.testing.assert_allclose(pet.decay_factors([20.34 * 60], duration_s=[0.0], decay_per_s=DECAY), [2.0])
    np.testing.assert_array_equal(pet.decay_factors(START, duration_s=DURATION, decay_per_s=0.0), np.ones(5))


def test_uptake_by_hand() -> None:
    # 5 kBq/mL, 400 MBq in 80 kg: 5e3 * 80e3 / 4e8 = 1 g/mL
    assert pet.standardised_uptake(5e3, dose_bq=4e8, mass_g=80e3) == pytest.approx(1.0)
    with pytest.raises(InputError, match="mass_g"):
        pet.standardised_uptake(5e3, dose_bq=4e8, mass_g=0)


def test_frames_partly_inside_count_with_their_part() -> None:
    overlap = pet.window_overlap(START, duration_s=DURATION, window_s=(200, 900))
    np.testing.assert_array_equal(overlap, [0, 0, 100, 300, 300])
    curve = np.array([9.0, 9, 1, 2, 4])
    assert pet.window_mean(curve, overlap_s=overlap) == pytest.approx((100 + 600 + 1200) / 700)
    expected = oracle.window_mean(curve, START, DURATION, window=(200, 900))
    assert pet.window_mean(curve, overlap_s=overlap) == pytest.approx(expected)
    with pytest.raises(InputError, match="window_s"):
        pet.window_overlap(START, duration_s=DURATION, window_s=(900, 200))


def test_a_window_without_frames_or_with_a_hole_has_no_mean() -> None:
    curves = np.array([[1.0, 2, 3, 4, 5], [1, 2, np.nan, 4, 5]])
    inside = pet.window_overlap(START, duration_s=DURATION, window_s=(200, 900))
    assert np.isnan(pet.window_mean(curves, overlap_s=inside)).tolist() == [False, True]
    beyond = pet.window_overlap(START, duration_s=DURATION, window_s=(5000, 6000))
    assert np.isnan(pet.window_mean(curves, overlap_s=beyond)).all()
    outside = pet.window_overlap(START, duration_s=DURATION, window_s=(400, 900))
    assert np.isfinite(pet.window_mean(curves, overlap_s=outside)).all()


def test_ratio_by_hand_and_whatever_the_dose() -> None:
    overlap = np.array([0.0, 0, 100, 300, 300])
    target, reference = np.array([0.0, 0, 2, 4, 6]), np.array([0.0, 0, 1, 2, 3])
    ratio, se, dof = pet.window_ratio(target, reference=reference, overlap_s=overlap)
    assert (ratio, dof) == (pytest.approx(2.0), 2)
    assert se == pytest.approx(0.0, abs=1e-12)
    noisy = target + np.array([0, 0, 0.1, -0.2, 0.1])
    scaled = pet.window_ratio(7 * noisy, reference=7 * reference, overlap_s=overlap)
    np.testing.assert_allclose(scaled, pet.window_ratio(noisy, reference=reference, overlap_s=overlap))
    alone = pet.window_ratio(target, reference=reference, overlap_s=np.array([0.0, 0, 0, 0, 9]))
    assert alone[0] == pytest.approx(2.0)
    assert np.isnan(alone[1])
    assert np.isnan(pet.window_ratio(target, reference=0 * reference, overlap_s=overlap)[0])


def test_the_error_of_a_ratio_is_its_spread_and_no_trend_inflates_it() -> None:
    rng = np.random.default_rng(1)
    n, frames = 4000, 6
    truth, trend = 1.3, np.linspace(-0.05, 0.05, frames)
    reference = 10 + 0.2 * rng.standard_normal((n, frames))
    target = 10 * (truth + trend) + 0.3 * rng.standard_normal((n, frames))
    found = np.array(
        [
            pet.window_ratio(t, reference=r, overlap_s=np.full(frames, 360.0))
            for t, r in zip(target, reference, strict=True)
        ]
    )
    ratio, se, dof = found.T
    assert abs(ratio.mean() - truth) < 0.001
    assert np.sqrt((se**2).mean()) == pytest.approx(ratio.std(), rel=0.05)
    half = stats.t.ppf(0.975, dof) * se
    assert 0.935 < np.mean(np.abs(ratio - truth) < half) < 0.965


def test_means_over_regions_leave_unseen_voxels_out() -> None:
    values = np.array([[1.0, 2], [3, np.nan], [5, 6]])
    weights = np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]])
    found = pet.weighted_means(values, weights=weights)
    np.testing.assert_array_equal(found, [[2, 2], [3, np.nan], [np.nan, np.nan]])


def test_spread_equals_scipy() -> None:
    rng = np.random.default_rng(2)
    values = rng.gamma(3, 1, 300)
    found = pet.spread(np.append(values, np.nan))
    assert found["kurtosis"] == pytest.approx(float(stats.kurtosis(values, bias=False)))
    assert found["sd"] == pytest.approx(values.std(ddof=1))
    assert found["max"] == values.max()
    assert np.isnan(list(pet.spread([1.0, 1, 1, 1, 1]).values())).all()
    assert np.isnan(pet.spread([1.0, 2, 3])["sd"])


def test_entropy_equals_scipy_and_a_loop() -> None:
    assert pet.entropy([0.01, 0.02, 0.06, 0.07], bin_width=0.05) == 1.0
    assert pet.entropy([0.01, 0.02], bin_width=0.05) == 0.0
    values = np.random.default_rng(3).normal(1, 0.2, 200)
    _, counts = np.unique(np.floor(values / 0.05), return_counts=True)
    assert pet.entropy(values, bin_width=0.05) == pytest.approx(float(stats.entropy(counts, base=2)))
    assert pet.entropy(values, bin_width=0.05) == pytest.approx(oracle.entropy(values.tolist(), 0.05))
    assert np.isnan(pet.entropy([np.nan], bin_width=0.05))


def test_displacement_of_a_shift_and_a_turn() -> None:
    moved = np.stack([np.eye(4)] * 3)
    moved[1, :3, 3] = [3, 4, 0]
    turn = 0.02
    moved[2, :2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    found = pet.displacement_mm(moved, centre_mm=np.zeros(3), radius_mm=80.0)
    # a sphere of radius R: RMS of a small turn is R sqrt(2/5) angle
    np.testing.assert_allclose(found, [0, 5, 80 * np.sqrt(0.4) * turn], rtol=1e-3)
    points = np.random.default_rng(4).standard_normal((200_000, 3))
    points *= 80 * np.random.default_rng(5).random((200_000, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1)[:, None]
    way = points @ moved[2, :3, :3].T - points
    assert found[2] == pytest.approx(np.sqrt(np.mean(np.sum(way**2, axis=1))), rel=0.01)
