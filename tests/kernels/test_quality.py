"""Displacement, censoring, tSNR and the block jackknife."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels.quality import (
    block_jackknife_se,
    fd_jenkinson,
    fd_power,
    jackknife_spread,
    kept_volumes,
    long_segments,
    spikes,
    tsnr,
    tsnr_left_out,
)
from tests.oracles.functional import slow_fd


def test_power_by_hand():
    # 1 + 2 + 0 mm, 0.01 rad on 50 mm = 0.5 mm
    motion = np.array([[0, 0, 0, 0, 0, 0], [1.0, -2, 0, 0, 0.01, 0]])
    assert fd_power(motion) == pytest.approx([np.nan, 3.5], nan_ok=True)


def test_jenkinson_by_hand():
    # a pure shift is its length; a rotation by 0.01 about one axis: sqrt(80^2 / 5 * 2 * (2 - 2 cos 0.01)) = 0.5060 mm
    motion = np.array([[0.0] * 6, [3, 4, 0, 0, 0, 0], [3, 4, 0, 0, 0, 0]])
    assert fd_jenkinson(motion) == pytest.approx([np.nan, 5, 0], nan_ok=True)
    turned = np.array([[0.0] * 6, [0, 0, 0, 0, 0, 0.01]])
    assert fd_jenkinson(turned)[1] == pytest.approx(np.sqrt(80**2 / 5 * 2 * (2 - 2 * np.cos(0.01))))


@pytest.mark.parametrize("seed", range(20))
def test_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    motion = rng.standard_normal((30, 6)) * [1, 1, 1, 0.05, 0.05, 0.05]
    motion.setflags(write=False)
    power, jenkinson = slow_fd(motion, 80.0)
    np.testing.assert_allclose(fd_power(motion), power, rtol=1e-12)
    np.testing.assert_allclose(fd_jenkinson(motion), jenkinson, rtol=1e-10)


def test_displacement_needs_six_parameters():
    with pytest.raises(InputError, match="`motion` must have 6 entries along axis 1"):
        fd_power(np.zeros((5, 3)))


def test_exactly_at_the_threshold_is_no_spike():
    fd = [np.nan, 0.25, np.nextafter(0.25, 1), 0.1]
    assert spikes(fd, threshold_mm=0.25).tolist() == [False, False, True, False]
    steady = np.array([False, True, True, True])
    assert kept_volumes(fd, steady=steady, threshold_mm=0.25).tolist() == [False, True, False, True]


def test_tsnr_by_hand():
    # mean 4, SD with ddof 1 of (3, 5) = sqrt 2
    series = np.array([[3.0, 7, np.nan], [5, 7, 1], [900, 900, 900]])
    keep = np.array([True, True, False])
    assert tsnr(series, keep=keep) == pytest.approx([4 / np.sqrt(2), np.nan, np.nan], nan_ok=True)
    assert np.isnan(tsnr(series, keep=np.array([True, False, False]))).all()


def test_tsnr_in_float32_is_not_one_pass(rng):
    noise = rng.standard_normal((200, 4)).astype(np.float32)
    series = noise + np.float32(1e4)
    expected = series.astype(np.float64)
    np.testing.assert_allclose(
        tsnr(series, keep=np.ones(200, dtype=bool)), expected.mean(axis=0) / expected.std(axis=0, ddof=1), rtol=1e-7
    )


def test_jackknife_of_a_mean_is_its_standard_error():
    # equal blocks of one value each: s_i = (sum - b_i) / (b - 1), so the jackknife is SD of block means / sqrt b
    values = np.repeat([1.0, 2, 4, 7], 5)
    found = block_jackknife_se(lambda volumes: float(values[volumes].mean()), n_time=20, n_blocks=4)
    assert found == pytest.approx(np.std([1, 2, 4, 7], ddof=1) / 2)
    assert np.isnan(block_jackknife_se(lambda _: 0.0, n_time=11, n_blocks=4))


def test_jackknife_covers_the_mean_of_dependent_values():
    """AR(1) of 0.6 over 300 volumes; the naive standard error would cover about 67 %."""
    covered, n_seeds = 0, 300
    for seed in range(n_seeds):
        noise = np.random.default_rng(seed).standard_normal(400)
        series = np.empty(400)
        series[0] = noise[0]
        for t in range(1, 400):
            series[t] = 0.6 * series[t - 1] + noise[t]
        values = series[100:]
        se = block_jackknife_se(lambda volumes, values=values: float(values[volumes].mean()), n_time=300)
        covered += abs(values.mean()) < 1.96 * se
    assert 0.90 <= covered / n_seeds <= 0.98


def test_short_stretches_are_left_out():
    keep = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], dtype=bool)
    assert long_segments(keep, shortest=1).tolist() == keep.tolist()
    assert np.flatnonzero(long_segments(keep, shortest=2)).tolist() == [0, 1, 3, 4, 5]
    assert np.flatnonzero(long_segments(keep, shortest=3)).tolist() == [3, 4, 5]
    assert not long_segments(keep, shortest=4).any()


def test_volumes_are_censored_by_dvars_too():
    """Strictly above the limit; unknown values are no reason; what is left between two is as long as it is."""
    fd = np.full(8, 0.1)
    dvars = np.array([np.nan, 1.5, 1.51, 1, 1, 2, 1, 1])
    options = {"steady": np.ones(8, dtype=bool), "threshold_mm": 0.25}
    assert kept_volumes(fd, **options).all()
    kept = kept_volumes(fd, std_dvars=dvars, std_dvars_max=1.5, **options)
    assert np.flatnonzero(~kept).tolist() == [2, 5]
    assert kept_volumes(fd, std_dvars=dvars, std_dvars_max=1.5, segment_min=3, **options).sum() == 0


def test_tsnr_without_each_block_is_that_of_the_other_volumes(rng):
    series = (1000 + 20 * rng.standard_normal((97, 5))).astype(np.float32)
    series[:, 3], series[4, 4] = 1234.567, np.nan
    keep = rng.random(97) > 0.1
    whole, left_out = tsnr_left_out(series, keep=keep, n_blocks=20)
    np.testing.assert_allclose(whole, tsnr(series, keep=keep), rtol=1e-9)
    assert np.isnan(whole[3:]).all()
    blocks = np.array_split(np.flatnonzero(keep), 20)
    for i, one in enumerate(left_out):
        rest = np.setdiff1d(np.flatnonzero(keep), blocks[i])
        expected = tsnr(series[rest], keep=np.ones(len(rest), dtype=bool))
        np.testing.assert_allclose(one[:4], expected[:4], rtol=1e-9)
    assert np.isnan(left_out[:, 4]).all()
    assert np.isnan(tsnr_left_out(series[:59], keep=np.ones(59, dtype=bool))[1]).all()
    np.testing.assert_allclose(
        jackknife_spread(left_out[:, 0]),
        block_jackknife_se(
            lambda volumes: float(tsnr(series[keep][volumes, :1], keep=np.ones(len(volumes), dtype=bool))[0]),
            n_time=int(keep.sum()),
        ),
    )
