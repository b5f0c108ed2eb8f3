"""The circular-shift null: its p against a loop, its level under the null, its power."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels import nulls
from lbpneuro.kernels.nuisance import cleaned, project, residual_basis
from lbpneuro.kernels.nulls import allowed_shifts, circular_shift_null, shifted_seeds
from tests.oracles.connectivity import slow_shift_p
from tests.oracles.functional import coloured

BAND = (0.01, 0.08)
N_TIME, T_R = 240, 2.0


def design(rng: np.random.Generator, *, n_confounds: int = 24, n_censored: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Basis and kept volumes of a run with wandering confounds."""
    keep = rng.permutation(np.arange(N_TIME) >= n_censored)
    confounds = np.cumsum(rng.standard_normal((N_TIME, n_confounds)), axis=0)
    return residual_basis(confounds, t_r=T_R, band_hz=BAND, polynomial=1, keep=keep), keep


def drawn(rng: np.random.Generator, *, n_series: int, exponent: float = 1.0) -> np.ndarray:
    return coloured(rng, n_time=N_TIME, n_series=n_series, exponent=exponent, t_r=T_R, band_hz=BAND)


def shift_null(rng, basis, keep, projected, **changed):
    options = {"t_r": T_R, "min_shift_s": 30.0, "n_shifts": 1000, "rng": rng, **changed}
    return circular_shift_null(projected[:, 0], targets=projected[:, 1:], basis=basis, keep=keep, **options)


def test_shifts_by_hand():
    # 10 volumes of 2 s, at least 5 s: 3 volumes forwards to 3 backwards
    assert allowed_shifts(10, t_r=2.0, min_shift_s=5.0).tolist() == [3, 4, 5, 6, 7]
    assert allowed_shifts(10, t_r=2.0, min_shift_s=10.0).tolist() == [5]
    # 2.16 / 0.72 is a little above 3 in binary
    assert allowed_shifts(1000, t_r=0.72, min_shift_s=2.16)[0] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_shift_s": 12.0}, "A run of 10 volumes of 2.0 s cannot be shifted by 12.0 s .* at most 10.0 s"),
        ({"min_shift_s": 0.0}, "`min_shift_s` must be a finite number above 0"),
        ({"t_r": -1.0}, "`t_r` must be a finite number above 0"),
    ],
)
def test_bad_shifts(change, message):
    with pytest.raises(InputError, match=message):
        allowed_shifts(10, **{"t_r": 2.0, "min_shift_s": 5.0, **change})


def test_shifted_seed_without_nuisance_is_the_shifted_series(rng):
    keep = np.ones(20, dtype=bool)
    basis = np.linalg.svd(np.eye(20) - 1 / 20)[0][:, :19]
    series = rng.standard_normal(20)
    series -= series.mean()
    found = shifted_seeds(basis.T @ series, basis=basis, keep=keep, shifts=np.array([0, 3, 19]))
    expected = np.column_stack([series, np.roll(series, 3), np.roll(series, -1)])
    np.testing.assert_allclose(basis @ found, expected, atol=1e-12)


@pytest.mark.parametrize("n_censored", [0, 25])
def test_agrees_with_a_loop(rng, n_censored, monkeypatch):
    monkeypatch.setattr(nulls, "BLOCK", 3)
    basis, keep = design(rng, n_censored=n_censored)
    projected = project(basis, drawn(rng, n_series=8), keep=keep)
    p, n = shift_null(rng, basis, keep, projected)
    assert n == N_TIME - 2 * 15 + 1
    whole = np.nan_to_num(cleaned(basis, projected, keep=keep))
    shifts = list(range(15, N_TIME - 14))
    expected = [
        slow_shift_p((whole[:, 0], whole[:, i]), clean=lambda series: basis.T @ series[keep], shifts=shifts)
        for i in range(1, 8)
    ]
    np.testing.assert_allclose(p, expected, atol=1e-12)


def test_fewer_shifts_are_drawn_as_the_generator_says(rng):
    basis, keep = design(rng)
    projected = project(basis, drawn(rng, n_series=30), keep=keep)
    first, n = shift_null(np.random.default_rng(1), basis, keep, projected, n_shifts=99)
    assert n == 99
    np.testing.assert_allclose(first * 100, np.round(first * 100), atol=1e-9)
    np.testing.assert_array_equal(first, shift_null(np.random.default_rng(1), basis, keep, projected, n_shifts=99)[0])
    assert np.any(first != shift_null(np.random.default_rng(2), basis, keep, projected, n_shifts=99)[0])


def test_a_strong_relation_has_the_least_p(rng):
    basis, keep = design(rng, n_censored=20)
    series = drawn(rng, n_series=3)
    series[:, 1] = series[:, 0] + 0.3 * series[:, 1]
    p, n = shift_null(rng, basis, keep, project(basis, series, keep=keep).astype(np.float32))
    assert p.dtype == np.float64
    assert p[0] == pytest.approx(1 / (1 + n))


def test_bad_series_stay_local(rng):
    basis, keep = design(rng)
    projected = project(basis, drawn(rng, n_series=5), keep=keep)
    expected, _ = shift_null(rng, basis, keep, projected)
    projected[:, 2], projected[0, 4] = 0, np.nan
    found, _ = shift_null(rng, basis, keep, projected)
    assert np.isnan(found).tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])
    projected[:, 0] = np.nan
    assert np.isnan(shift_null(rng, basis, keep, projected)[0]).all()


def test_shapes_must_fit(rng):
    basis, keep = design(rng)
    projected = rng.standard_normal((basis.shape[1], 3))
    with pytest.raises(InputError, match="`targets` must have"):
        circular_shift_null(
            projected[:, 0],
            targets=projected[1:],
            basis=basis,
            keep=keep,
            t_r=T_R,
            min_shift_s=30,
            n_shifts=9,
            rng=rng,
        )
    with pytest.raises(InputError, match="`basis` must have 239 entries"):
        shifted_seeds(projected[:, 0], basis=basis, keep=np.arange(N_TIME) > 0, shifts=np.array([1]))
    with pytest.raises(InputError, match="`seed` must have"):
        shifted_seeds(projected[1:, 0], basis=basis, keep=keep, shifts=np.array([1]))


@pytest.mark.parametrize(("exponent", "n_confounds", "n_censored"), [(0, 6, 0), (1, 24, 0), (1, 24, 30)])
def test_level_of_unrelated_series(exponent, n_confounds, n_censored):
    """200 runs of a seed and 40 targets: 5 % of p are at most 0.05, and 1 % at most 0.01."""
    rng = np.random.default_rng(17)
    found = []
    for _ in range(200):
        basis, keep = design(rng, n_confounds=n_confounds, n_censored=n_censored)
        projected = project(basis, drawn(rng, n_series=41, exponent=exponent), keep=keep)
        found.append(shift_null(rng, basis, keep, projected)[0])
    assert 0.04 <= np.mean(np.array(found) <= 0.05) <= 0.062
    assert 0.005 <= np.mean(np.array(found) <= 0.01) <= 0.018
