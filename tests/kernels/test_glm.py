"""Least squares under coloured noise: the numbers of ordinary least squares, the errors of repetitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels import glm
from lbpneuro.kernels.nuisance import residual_basis

N_TIME, T_R, SEEDS = 200, 2.2, 2000


def keep() -> np.ndarray:
    return np.arange(N_TIME) % 13 != 5


def basis(n_confounds: int = 12) -> np.ndarray:
    confounds = np.random.default_rng(1).standard_normal((N_TIME, n_confounds))
    return residual_basis(confounds, t_r=T_R, band_hz=(0.0078, 0.5 / T_R), polynomial=1, keep=keep())


def slow(n_series: int, *, seed: int, memory: float = 0.9) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal((N_TIME + 200, n_series))
    return signal.lfilter([1], [1, -memory], white, axis=0)[200:]


def noise_of(kind: str, *, seed: int = 3) -> np.ndarray:
    """Series (n_time, SEEDS): autoregressive of order 1, or 1/f with a knee, as the simulated BOLD is."""
    if kind != "1/f":
        return slow(SEEDS, seed=seed, memory=float(kind))
    f = np.fft.rfftfreq(4 * N_TIME, T_R)
    white = np.random.default_rng(seed).standard_normal((SEEDS, 4 * N_TIME))
    density = np.where(f > 0, 1 / (f + 0.04), 0)
    return np.fft.irfft(np.fft.rfft(white, axis=1) * np.sqrt(density), axis=1)[:, :N_TIME].T


def fitted(series: np.ndarray, regressors: np.ndarray) -> glm.Fit:
    q = basis()
    noise = glm.noise_covariances(q, keep=keep())
    return glm.fit_effects(q.T @ series[keep()], regressors=q.T @ regressors[keep()], noise=noise)


def test_effects_are_those_of_one_regression_with_all_confounds() -> None:
    regressors, series = slow(2, seed=5), slow(3, seed=6)
    drift = np.polynomial.legendre.legvander(np.linspace(-1, 1, N_TIME), 1)
    orders = np.arange(1, int(np.ceil(0.0078 * 2 * N_TIME * T_R - 1e-6)))
    cosines = np.cos(np.pi * (np.arange(N_TIME)[:, None] + 0.5) * orders / N_TIME)
    confounds = np.random.default_rng(1).standard_normal((N_TIME, 12))
    design = np.column_stack([regressors, confounds, drift, cosines])[keep()]
    expected = np.linalg.lstsq(design, series[keep()], rcond=None)[0][:2]
    found = fitted(series, regressors)
    np.testing.assert_allclose(found.effect, expected, atol=1e-10)
    assert found.dof == keep().sum() - design.shape[1]


def test_with_white_noise_alone_the_error_is_the_usual_one() -> None:
    q, regressors, series = basis(), slow(2, seed=5), slow(3, seed=6)
    x, y = q.T @ regressors[keep()], q.T @ series[keep()]
    found = glm.fit_effects(y, regressors=x, noise=np.eye(q.shape[1])[None])
    rest = y - x @ np.linalg.solve(x.T @ x, x.T @ y)
    for column in range(3):
        variance = rest[:, column] @ rest[:, column] / (len(y) - 2)
        np.testing.assert_allclose(found.covariance[column], variance * np.linalg.inv(x.T @ x), rtol=1e-9)


def test_noise_is_autoregressive_over_the_volumes_that_are_missing_too() -> None:
    q = np.eye(3)
    where = np.array([True, False, True, True])
    found = glm.noise_covariances(q, keep=where)
    rho = glm.RHO[4]
    expected = [[1, rho**2, rho**3], [rho**2, 1, rho], [rho**3, rho, 1]]
    np.testing.assert_allclose(found[1 + 4 * len(glm.WHITE)], expected)
    np.testing.assert_allclose(found[0], np.eye(3))
    np.testing.assert_allclose(found[2 + 4 * len(glm.WHITE)], 0.7 * np.array(expected) + 0.3 * np.eye(3))


@pytest.mark.parametrize("kind", ["0.0", "0.3", "0.6", "1/f"])
def test_planted_effects_are_found_without_bias_and_covered(kind: str) -> None:
    regressors, planted = slow(2, seed=5), np.array([0.2, -0.1])
    found = fitted(noise_of(kind) + (regressors @ planted)[:, None], regressors)
    se = np.sqrt(found.covariance[:, 0, 0])
    covered = np.abs(found.effect[0] - planted[0]) < 1.959964 * se
    assert 0.93 <= covered.mean() <= 0.97
    assert abs(found.effect[0].mean() - planted[0]) < 3 * found.effect[0].std() / np.sqrt(SEEDS)


def test_errors_that_take_coloured_noise_for_white_are_too_small() -> None:
    regressors = slow(2, seed=5)
    q = basis()
    x, y = q.T @ regressors[keep()], q.T @ noise_of("0.6")[keep()]
    naive = glm.fit_effects(y, regressors=x, noise=np.eye(q.shape[1])[None])
    assert np.mean(np.abs(naive.effect[0]) < 1.959964 * np.sqrt(naive.covariance[:, 0, 0])) < 0.85


def test_effect_of_a_difference_is_the_difference_of_effects() -> None:
    series, regressors = slow(2, seed=8), slow(2, seed=5)
    found = fitted(np.column_stack([series, series[:, 1] - series[:, 0]]), regressors)
    np.testing.assert_allclose(found.effect[:, 2], found.effect[:, 1] - found.effect[:, 0], atol=1e-12)


def test_nan_stays_alone() -> None:
    series, regressors = slow(3, seed=8), slow(2, seed=5)
    spoilt = np.where(np.arange(3) == 1, np.nan, series)
    found, whole = fitted(spoilt, regressors), fitted(series, regressors)
    assert np.isnan(found.effect[:, 1]).all()
    assert np.isnan(found.covariance[1]).all()
    np.testing.assert_allclose(found.effect[:, [0, 2]], whole.effect[:, [0, 2]], rtol=1e-12)
    np.testing.assert_allclose(found.covariance[[0, 2]], whole.covariance[[0, 2]], rtol=1e-9)


@pytest.mark.parametrize(
    ("regressors", "reason"),
    [
        (np.zeros((9, 2)), Reason.ZERO_VARIANCE),
        (np.ones((9, 2)), Reason.ZERO_VARIANCE),
        (np.eye(9), Reason.TOO_FEW_DOF),
    ],
)
def test_a_regression_that_cannot_be_done_is_refused(regressors: np.ndarray, reason: Reason) -> None:
    with pytest.raises(QualityError) as error:
        glm.fit_effects(np.ones((9, 1)), regressors=regressors, noise=np.eye(9)[None])
    assert error.value.reason is reason
