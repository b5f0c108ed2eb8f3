"""Correlation in the projected space, Fisher z, and intervals that cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lbpneuro.errors import InputError
from lbpneuro.kernels.correlation import (
    correlation,
    effective_dimension,
    fisher_z,
    fisher_z_se,
    pooled_z,
    seed_correlation,
)
from lbpneuro.kernels.nuisance import band_gain, cleaned, project, residual_basis
from tests.oracles.functional import coloured

BAND = (0.01, 0.08)


def test_by_hand():
    # (3, 4) and (4, 3): 24 / 25; (3, 4) and (-4, 3): 0
    assert correlation(np.array([[3.0, 4, -4], [4, 3, 3]])) == pytest.approx(
        np.array([[1, 0.96, 0], [0.96, 1, -0.28], [0, -0.28, 1]])
    )
    assert fisher_z(0.6) == pytest.approx(0.6931472, abs=1e-7)
    assert fisher_z_se(27) == pytest.approx(0.2)
    assert np.isnan(fisher_z_se(2))


@pytest.mark.parametrize("seed", range(20))
def test_is_pearson_of_the_cleaned_series(seed):
    rng = np.random.default_rng(seed)
    keep = rng.random(180) > 0.1
    basis = residual_basis(rng.standard_normal((180, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    projected = project(basis, 500 + rng.standard_normal((180, 5)), keep=keep)
    series = cleaned(basis, projected, keep=keep)[keep]
    np.testing.assert_allclose(correlation(projected), np.corrcoef(series.T), atol=1e-12)
    np.testing.assert_allclose(
        seed_correlation(projected[:, 0], projected=projected), correlation(projected)[0], atol=1e-12
    )


def test_nan_and_constant_stay_local(rng):
    projected = rng.standard_normal((30, 5))
    expected = correlation(projected)
    spoilt = projected.copy()
    spoilt[4, 1], spoilt[:, 3] = np.nan, 0.0
    spoilt.setflags(write=False)
    found = correlation(spoilt)
    good = [0, 2, 4]
    np.testing.assert_array_equal(found[np.ix_(good, good)], expected[np.ix_(good, good)])
    assert np.isnan(found[[1, 3]]).all()
    seeds = seed_correlation(spoilt[:, 0], projected=spoilt)
    np.testing.assert_array_equal(np.isnan(seeds), [False, True, False, True, False])


def test_limits():
    assert fisher_z(1.0) == np.inf
    assert np.isnan(fisher_z(np.nan))
    with pytest.raises(InputError, match="`projected` must have 3 entries"):
        seed_correlation(np.ones(3), projected=np.ones((4, 2)))


def test_standard_error_of_z_by_simulation(rng):
    """Uncentred correlation in d white dimensions: the spread of z is 1 / sqrt(d - 2), not 1 / sqrt(d - 3)."""
    d = 8
    x, y = rng.standard_normal((2, d, 40_000))
    spread = fisher_z(np.sum(x * y, axis=0) / np.linalg.norm(x, axis=0) / np.linalg.norm(y, axis=0)).std(ddof=1)
    assert spread == pytest.approx(float(fisher_z_se(d)), rel=0.02)
    assert abs(spread - 1 / np.sqrt(d - 3)) > 0.03


def white_gain(n_band: int) -> dict:
    return {"gain": np.eye(n_band), "frequencies_hz": np.linspace(*BAND, n_band)}


def test_effective_dimension_of_white_series(rng):
    found = [effective_dimension(rng.standard_normal((60, 2)), **white_gain(60)) for _ in range(30)]
    assert 55 < np.mean(found) <= 60


@pytest.mark.parametrize("exponents", [(1, 1), (2, 2), (2, 0)])
def test_effective_dimension_of_independent_coloured_series(rng, exponents):
    """For independent series it must be 1 / sum of the products of the two spectra, each of sum 1."""
    f = np.linspace(*BAND, 60)
    spectra = [f**-e / np.sum(f**-e) for e in exponents]
    found = [
        effective_dimension(np.sqrt(spectra).T * rng.standard_normal((60, 2)), gain=np.eye(60), frequencies_hz=f)
        for _ in range(60)
    ]
    assert np.mean(found) == pytest.approx(1 / np.sum(spectra[0] * spectra[1]), rel=0.08)


def test_effective_dimension_does_not_depend_on_scale_sign_or_rotation(rng):
    pair = rng.standard_normal((40, 2)) * np.linspace(2, 0.5, 40)[:, None]
    first = effective_dimension(pair, **white_gain(40))
    rotation = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    f = np.linspace(*BAND, 40)
    assert effective_dimension(pair * [1e3, -1e-3], **white_gain(40)) == pytest.approx(first, rel=1e-9)
    assert effective_dimension(rotation @ pair, gain=rotation, frequencies_hz=f) == pytest.approx(first, rel=1e-6)


def test_effective_dimension_of_equal_or_missing_series(rng):
    series = rng.standard_normal(40)
    assert 1 <= effective_dimension(np.column_stack([series, series]), **white_gain(40)) <= 40
    assert np.isnan(effective_dimension(np.column_stack([series, np.zeros(40)]), **white_gain(40)))
    with pytest.raises(InputError, match="`gain` must have 39 entries"):
        effective_dimension(np.ones((39, 2)), **white_gain(40))


def test_pooled_by_hand():
    # weights 10 and 30: z = (10 * 0.1 + 30 * 0.5) / 40, se = 1 / sqrt(40)
    assert pooled_z([0.1, 0.5], dimension=[12, 32]) == pytest.approx((0.4, 1 / np.sqrt(40)))


N_DESIGNS, N_PAIRS = 25, 12


@pytest.mark.parametrize(
    ("exponent", "r", "n_censored", "t_r", "n_time"),
    [
        (0, 0.0, 0, 2.0, 300),
        (0, 0.6, 30, 2.0, 300),
        (1, 0.0, 30, 2.0, 300),
        (1, 0.3, 60, 1.0, 500),
        (1, -0.6, 15, 3.0, 160),
        (2, 0.6, 30, 2.0, 300),
    ],
)
def test_recovers_the_planted_correlation(exponent, r, n_censored, t_r, n_time):
    """Confounds leak into both series, volumes are censored: bias within SE / 4, intervals cover 90 to 98 %."""
    with threadpool_limits(1):
        runs = [_recovered(seed, exponent, r, n_censored, t_r, n_time) for seed in range(N_DESIGNS)]
    z, d = np.concatenate(runs).T
    error, se = z - np.arctanh(r), fisher_z_se(d)
    assert abs(error.mean()) < se.mean() / 4
    assert 0.90 <= np.mean(np.abs(error) < 1.96 * se) <= 0.98


def _recovered(seed: int, exponent: float, r: float, n_censored: int, t_r: float, n_time: int) -> np.ndarray:
    """Fisher z and effective dimension of some pairs under one draw of confounds and censored volumes."""
    rng = np.random.default_rng(1000 + seed)
    confounds = np.cumsum(rng.standard_normal((n_time, 12)), axis=0)
    keep = np.ones(n_time, dtype=bool)
    keep[rng.choice(n_time, n_censored, replace=False)] = False
    basis = residual_basis(confounds, t_r=t_r, band_hz=BAND, polynomial=1, keep=keep)
    frequencies, gain = band_gain(basis, t_r=t_r, band_hz=BAND, keep=keep)
    found = []
    for _ in range(N_PAIRS):
        signals = coloured(rng, n_time=n_time, n_series=3, exponent=exponent, t_r=t_r, band_hz=BAND)
        series = np.sqrt(1 - abs(r)) * signals[:, :2] + np.sqrt(abs(r)) * signals[:, 2:] * [1, np.sign(r)]
        series = 1000 + series + 0.02 * confounds @ rng.standard_normal((12, 2))
        series[~keep] += 50
        pair = project(basis, series, keep=keep)
        d = effective_dimension(pair, gain=gain, frequencies_hz=frequencies)
        found.append((float(fisher_z(correlation(pair)[0, 1])), d))
    return np.array(found)
