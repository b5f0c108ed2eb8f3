"""Whole-brain summaries against every pair of series."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels import summaries
from lbpneuro.kernels.summaries import degree, mean_correlation, mean_squared_correlation, without_noise
from tests.oracles.connectivity import slow_summaries

THRESHOLD = 0.25


def brain(rng: np.random.Generator, *, n_voxel: int = 80, d: int = 25) -> np.ndarray:
    """Series in single precision that share some variance, of very unequal size; two are unusable."""
    series = rng.standard_normal((d, n_voxel)) + 0.7 * rng.standard_normal((d, 1)) * rng.choice([-1, 1], n_voxel)
    series = (series * rng.lognormal(0, 3, n_voxel)).astype(np.float32)
    series[4, 7], series[:, 11] = np.nan, 0
    series.setflags(write=False)
    return series


def test_by_hand():
    # unit vectors at 0, 60 and 180 degrees: r = 1/2, -1, -1/2
    series = np.array([[1.0, 0.5, -1], [0, np.sqrt(3) / 2, 0]])
    assert mean_correlation(series) == pytest.approx([-0.25, 0, -0.75])
    assert mean_squared_correlation(series) == pytest.approx([0.625, 0.25, 0.625])
    assert degree(series, threshold=0.4, sign="positive").tolist() == [1, 1, 0]
    assert degree(series, threshold=0.4, sign="absolute").tolist() == [2, 2, 2]
    assert degree(series, threshold=0.6, sign="absolute", weighted=True) == pytest.approx([1, 0, 1])


@pytest.mark.parametrize("seed", range(5))
def test_agree_with_every_pair(seed, monkeypatch):
    monkeypatch.setattr(summaries, "BLOCK", 23)
    monkeypatch.setattr(summaries, "SQUARE", 17)
    series = brain(np.random.default_rng(seed))
    expected = slow_summaries(series, THRESHOLD)
    np.testing.assert_allclose(mean_correlation(series), expected["mean"], atol=1e-6)
    np.testing.assert_allclose(mean_squared_correlation(series), expected["squared"], atol=1e-6)
    for sign in ("positive", "absolute"):
        np.testing.assert_array_equal(degree(series, threshold=THRESHOLD, sign=sign), expected[sign])
    weighted = degree(series, threshold=THRESHOLD, sign="positive", weighted=True)
    np.testing.assert_allclose(weighted, expected["weighted"], atol=1e-5)


def test_agree_with_numpy_in_single_precision(rng):
    """Thousands of voxels of float32 projections against numpy.corrcoef of the same series in float64."""
    d, n_voxel = 60, 3000
    series = (rng.standard_normal((d, n_voxel)) + 0.5 * rng.standard_normal((d, 1))).astype(np.float32)
    # the mirrored series make every mean zero, so that Pearson's r is the uncentred one
    r = np.corrcoef(np.concatenate([series, -series]).astype(np.float64).T)
    np.fill_diagonal(r, np.nan)
    np.testing.assert_allclose(mean_correlation(series), np.nanmean(r, axis=0), atol=1e-6)
    np.testing.assert_allclose(mean_squared_correlation(series), np.nanmean(r**2, axis=0), atol=1e-6)
    lower, upper = (np.sum(r > 0.25 + shift, axis=0) for shift in (1e-6, -1e-6))
    found = degree(series, threshold=0.25, sign="positive")
    assert np.all((found >= lower) & (found <= upper))


def test_do_not_depend_on_scale_sign_order_or_block(rng, monkeypatch):
    series = brain(rng).astype(np.float64)
    order = rng.permutation(series.shape[1])
    for summary in (mean_squared_correlation, lambda y: degree(y, threshold=0.3, sign="absolute")):
        expected = summary(series)
        np.testing.assert_allclose(summary(-1e6 * series), expected, atol=1e-12)
        np.testing.assert_allclose(summary(series[:, order]), expected[order], atol=1e-12)
    expected = mean_correlation(series)
    monkeypatch.setattr(summaries, "BLOCK", 9)
    np.testing.assert_allclose(mean_correlation(series), expected, atol=1e-12)


def test_unusable_series_are_no_partners(rng):
    series = brain(rng).astype(np.float64)
    good = np.delete(np.arange(80), [7, 11])
    for summary in (
        mean_correlation,
        mean_squared_correlation,
        lambda y: degree(y, threshold=0.3, sign="positive"),
        lambda y: degree(y, threshold=0.0, sign="absolute", weighted=True),
    ):
        found = summary(series)
        assert np.isnan(found[[7, 11]]).all()
        np.testing.assert_allclose(found[good], summary(series[:, good]), atol=1e-12)


def test_a_series_without_others_is_nan():
    series = np.array([[1.0, np.nan], [2, np.nan]])
    assert np.isnan(mean_correlation(series)).all()
    assert np.isnan(mean_squared_correlation(series)).all()


def test_noise_alone_gives_one_over_d(rng):
    d = 20
    found = mean_squared_correlation(rng.standard_normal((d, 3000)))
    assert found.mean() == pytest.approx(1 / d, rel=0.02)
    assert without_noise(found, dimension=d).mean() == pytest.approx(0, abs=0.001)
    assert without_noise([1.0, 0.05], dimension=20) == pytest.approx([1, 0])


def test_mean_square_is_recovered_without_noise(rng):
    """All pairs share r = 0.3: the plain mean square is too large by what noise gives, the corrected one is not."""
    d, shared = 30, np.sqrt(3 / 7)
    found = [
        mean_squared_correlation(rng.standard_normal((d, 100)) + shared * rng.standard_normal((d, 1))).mean()
        for _ in range(400)
    ]
    assert np.mean(found) > 0.09 + 0.02
    assert without_noise(found, dimension=d).mean() == pytest.approx(0.09, abs=0.012)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 1.0}, r"`threshold` must be in \[0, 1\[; got 1.0"),
        ({"threshold": -0.1}, "`threshold` must be in"),
        ({"sign": "both"}, "`sign` must be one of 'positive', 'absolute'; got 'both'"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(InputError, match=message):
        degree(np.ones((3, 2)), **{"threshold": 0.2, "sign": "positive", **change})


def test_one_dimension_has_no_noise_to_take_off():
    with pytest.raises(InputError, match="`dimension` must be above 1; got 1"):
        without_noise(0.2, dimension=1)
