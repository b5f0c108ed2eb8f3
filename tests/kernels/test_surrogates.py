"""Surrogates keep what is static, and only that; against the discrete Fourier transform and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels.surrogates import autocovariances, filled, phase_randomised, var_model, var_surrogate

A1 = np.array([[0.5, 0.2, 0.0], [0.0, 0.4, 0.1], [-0.2, 0.0, 0.3]])
A2 = np.array([[-0.2, 0.0, 0.0], [0.1, -0.1, 0.0], [0.0, 0.0, 0.1]])
NOISE = np.array([[1.0, 0.4, 0.0], [0.4, 1.0, 0.2], [0.0, 0.2, 0.5]])


def autoregression(rng, n_time: int) -> np.ndarray:
    noise = rng.multivariate_normal(np.zeros(3), NOISE, n_time + 200)
    series = np.zeros_like(noise)
    for t in range(2, len(series)):
        series[t] = A1 @ series[t - 1] + A2 @ series[t - 2] + noise[t]
    return 5 + series[200:]


def test_gaps_are_filled_by_straight_lines():
    series = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [4, 4], [np.nan, 5]])
    np.testing.assert_allclose(filled(series), [[2, 1], [2, 2], [3, 3], [4, 4], [4, 5]])
    assert np.isnan(filled(np.full((3, 1), np.nan))).all()


@pytest.mark.parametrize("n_time", [200, 201])
def test_random_phases_keep_all_spectra_and_cross_spectra(rng, n_time):
    series = autoregression(rng, n_time)
    made = phase_randomised(series, rng=rng)
    before, after = (np.fft.rfft(each, axis=0) for each in (series, made))
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(after[:, i] * after[:, j].conj(), before[:, i] * before[:, j].conj(), atol=1e-7)
    np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(series.T), atol=1e-12)
    np.testing.assert_allclose(made.mean(axis=0), series.mean(axis=0))
    assert abs(np.corrcoef(made[:, 0], series[:, 0])[0, 1]) < 0.5


def test_unknown_values_are_refused(rng):
    with pytest.raises(InputError, match="finite"):
        phase_randomised(np.array([[1.0], [np.nan]]), rng=rng)


def test_autocovariances_by_hand():
    found = autocovariances([[1.0, 0.0], [3.0, 0.0], [2.0, 6.0]], order=1)
    # centred: (-1, -2), (1, -2), (0, 4)
    np.testing.assert_allclose(found[0], np.array([[2, 0], [0, 24]]) / 3)
    np.testing.assert_allclose(found[1], np.array([[-1 + 0, -2 + 0], [2 + 4, 4 - 8]]) / 3)


def test_the_autoregression_is_that_of_statsmodels(rng):
    """Yule-Walker and least squares differ by the ends of the run: little in a long one."""
    from statsmodels.tsa.api import VAR

    series = autoregression(rng, 6000)
    coefficients, innovations = var_model(series, order=2)
    peer = VAR(series).fit(2)
    np.testing.assert_allclose(coefficients, peer.coefs, atol=0.005)
    np.testing.assert_allclose(innovations, peer.sigma_u, atol=0.01)
    np.testing.assert_allclose(coefficients, [A1, A2], atol=0.06)


def test_surrogates_of_the_autoregression_are_like_it(rng):
    series = autoregression(rng, 3000)
    made = var_surrogate(series, order=2, rng=rng)
    assert made.shape == series.shape
    np.testing.assert_allclose(autocovariances(made, order=2), autocovariances(series, order=2), atol=0.2)
    np.testing.assert_allclose(made.mean(axis=0), series.mean(axis=0), atol=0.2)


def test_a_slow_series_gives_a_stable_model(rng):
    walk = rng.standard_normal((150, 2)).cumsum(axis=0)
    coefficients, _ = var_model(walk, order=1)
    assert np.abs(np.linalg.eigvals(coefficients[0])).max() < 1
    assert np.isfinite(var_surrogate(walk, order=1, rng=rng)).all()


def test_what_cannot_be_modelled_is_refused(rng):
    with pytest.raises(QualityError, match="too few") as refused:
        var_model(rng.standard_normal((8, 3)), order=2)
    assert refused.value.reason is Reason.TOO_FEW_VOLUMES
    with pytest.raises(QualityError, match="dependent"):
        var_model(np.zeros((50, 3)), order=1)
