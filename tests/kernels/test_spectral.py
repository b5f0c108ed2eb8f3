"""Multitaper band power: the usual tapers without gaps, the definition with them, and planted spectra recovered."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.signal.windows import dpss

from lbpneuro.errors import InputError
from lbpneuro.kernels import spectral
from lbpneuro.kernels.nuisance import legendre, project, residual_basis
from tests.oracles import spectral as oracle

T_R, N_TIME = 2.0, 240
SLOW5, TOTAL = (0.010, 0.027), (0.010, 0.100)
SEEDS = 600


def censored(share: float, *, n_time: int = N_TIME, seed: int = 4) -> np.ndarray:
    keep = np.ones(n_time, dtype=bool)
    keep[np.random.default_rng(seed).choice(n_time, int(share * n_time), replace=False)] = False
    return keep


def power_law(
    slope: float, *, n_series: int = SEEDS, seed: int = 9, n_time: int = N_TIME
) -> tuple[np.ndarray, dict[str, float]]:
    """Stretches of long f^-slope series (n_time, n_series), and the shares of their amplitude and power in bands."""
    n_long = 64 * n_time
    f = np.fft.rfftfreq(n_long, T_R)
    density = np.concatenate([[0.0], f[1:] ** -slope])
    noise = np.fft.rfft(np.random.default_rng(seed).standard_normal((n_series, n_long)), axis=1)
    series = np.fft.irfft(noise * np.sqrt(density), axis=1)[:, :n_time].T

    def total(values: np.ndarray, low: float, high: float) -> float:
        return float(values[(f >= low) & (f < high)].sum())

    shares = {
        "slow5": total(density, *SLOW5) / total(density, *TOTAL),
        "falff": total(np.sqrt(density), 0.01, 0.08) / total(np.sqrt(density), 0.01, 1),
    }
    return series, shares


def residual(keep: np.ndarray, *, n_confounds: int = 24) -> np.ndarray:
    confounds = np.random.default_rng(2).standard_normal((len(keep), n_confounds))
    return residual_basis(confounds, t_r=T_R, band_hz=(0.008, 0.5 / T_R), polynomial=1, keep=keep)


def without_mean(keep: np.ndarray) -> np.ndarray:
    """Basis of everything but the constant."""
    constant = legendre(len(keep), degree=0)[keep]
    return np.linalg.svd(constant, full_matrices=True)[0][:, 1:]


def test_without_gaps_the_tapers_are_the_usual_ones() -> None:
    vectors, shares = spectral.tapers(np.ones(200, dtype=bool), nw=3.0)
    usual, ratios = dpss(200, 3.0, 5, return_ratios=True)
    np.testing.assert_allclose(shares, ratios, atol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(vectors * usual.T, axis=0)), 1, atol=1e-9)


def test_with_gaps_the_tapers_are_those_of_the_kept_volumes() -> None:
    keep = censored(0.15, n_time=60)
    vectors, shares = spectral.tapers(keep, nw=2.5)
    sequences, expected = oracle.slepian_sequences(keep, 2.5)
    np.testing.assert_allclose(shares, expected, atol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(vectors * sequences[:, keep].T, axis=0)), 1, atol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-12)


def test_observed_power_is_the_integral_of_the_multitaper_spectrum() -> None:
    keep = censored(0.2, n_time=60)
    series = np.random.default_rng(0).standard_normal((60, 2)).cumsum(axis=0)
    basis = without_mean(keep)
    bands = [0.01, 0.03, 0.11, 0.25]
    forms = spectral.band_forms(basis, t_r=T_R, edges_hz=bands, keep=keep)
    found = spectral.observed_power(project(basis, series, keep=keep), forms=forms)
    centred = series - series[keep].mean(axis=0)
    for column in range(2):
        for row, band in enumerate(pairwise(bands)):
            expected = oracle.multitaper_band_power(centred[:, column], keep, band=band, t_r=T_R, nw=3.0)
            np.testing.assert_allclose(found[row, column], expected, rtol=2e-3)


def test_the_spectrum_without_gaps_is_that_of_mne_but_for_its_periodic_windows() -> None:
    """The textbook spectrum of scipy's tapers is ours when they are symmetric, and MNE's when they are periodic."""
    mne = pytest.importorskip("mne")
    keep = np.ones(150, dtype=bool)
    series = np.random.default_rng(0).standard_normal((150, 3)).cumsum(axis=0)
    centred = (series - series.mean(axis=0)).T

    def textbook(*, symmetric: bool) -> np.ndarray:
        windows, ratios = dpss(150, 3.0, 5, sym=symmetric, return_ratios=True)
        spectra = np.abs(np.fft.rfft(windows[:, None] * centred, axis=-1)) ** 2
        return np.asarray(2 * T_R * np.einsum("k,ksf->sf", ratios, spectra) / ratios.sum())

    width = 6 / (150 * T_R)
    psd, f = mne.time_frequency.psd_array_multitaper(
        centred, 1 / T_R, bandwidth=width, normalization="full", verbose="error"
    )
    basis = without_mean(keep)
    projected = project(basis, series, keep=keep)
    for place in (3, 11, 40):
        narrow = [f[place] - 1e-7, f[place] + 1e-7]
        forms = spectral.band_forms(basis, t_r=T_R, edges_hz=narrow, keep=keep)
        found = spectral.observed_power(projected, forms=forms)[0] / 2e-7
        np.testing.assert_allclose(found, textbook(symmetric=True)[:, place], rtol=1e-5)
        np.testing.assert_allclose(psd[:, place], textbook(symmetric=False)[:, place], rtol=1e-5)


def test_mixing_is_what_the_forms_expect_of_unit_power() -> None:
    """A cosine of random phase has its power at one frequency: averaged over phases, the form gives its mixing."""
    keep = censored(0.1, n_time=80)
    basis = without_mean(keep)
    edges = [0.0, 0.05, 0.1, 0.1 + 1e-6, 0.25]
    forms = spectral.band_forms(basis, t_r=T_R, edges_hz=edges, keep=keep)
    phases = 2 * np.pi * (np.arange(8) / 8)
    waves = np.sqrt(2) * np.cos(2 * np.pi * 0.1 * T_R * np.arange(80)[:, None] + phases)
    found = spectral.observed_power(basis.T @ waves[keep], forms=forms).mean(axis=1)
    np.testing.assert_allclose(found, forms.mixing[:, 2], rtol=1e-3)


def test_white_noise_fills_every_band_by_its_width() -> None:
    keep = censored(0.3)
    edges = np.array([0.0, 0.03, 0.1, 0.25])
    forms = spectral.band_forms(residual(keep), t_r=T_R, edges_hz=edges, keep=keep, slope=0.0)
    white = np.trace(forms.observed, axis1=1, axis2=2)  # expected observed power of unit variance
    np.testing.assert_allclose(np.linalg.solve(forms.mixing, white), np.diff(edges) * 2 * T_R, rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_slow5_of_noise_is_unbiased_with_gaps_and_confounds(share: float) -> None:
    keep = censored(share)
    basis = residual(keep)
    for slope, tolerance in ((1.0, 0.02), (0.5, 0.03), (0.0, 0.05)):
        series, shares = power_law(slope, n_series=1500)
        ratio = spectral.band_ratio(
            basis.T @ series[keep], basis=basis, t_r=T_R, band_hz=SLOW5, total_hz=TOTAL, keep=keep
        )
        assert np.mean(np.isfinite(ratio.value)) > 0.97
        mean, error = np.nanmean(ratio.value), np.nanstd(ratio.value) / np.sqrt(1500)
        assert abs(mean / shares["slow5"] - 1) < tolerance + 2 * error / mean


def test_the_ratio_of_a_short_run_is_unbiased_too() -> None:
    """Five minutes: the mean ratio of estimates is 5 % below the ratio of their means, if that is not taken off."""
    keep = censored(0.0, n_time=150)
    basis = residual(keep)
    series, shares = power_law(1.0, n_series=3000, n_time=150)
    ratio = spectral.band_ratio(basis.T @ series[keep], basis=basis, t_r=T_R, band_hz=SLOW5, total_hz=TOTAL, keep=keep)
    assert abs(np.nanmean(ratio.value) / shares["slow5"] - 1) < 0.025


def test_power_of_bands_is_unbiased_where_the_observed_is_not() -> None:
    keep = censored(0.1)
    basis = residual(keep)
    series, shares = power_law(1.0, n_series=2000)
    forms = spectral.band_forms(basis, t_r=T_R, edges_hz=[0, 0.01, 0.027, 0.1, 0.25], keep=keep)
    projected = basis.T @ series[keep]
    power = spectral.band_power(projected, forms=forms).mean(axis=1)
    seen = spectral.observed_power(projected, forms=forms).mean(axis=1)
    assert abs(power[1] / (power[1] + power[2]) / shares["slow5"] - 1) < 0.02
    assert abs(seen[1] / (seen[1] + seen[2]) / shares["slow5"] - 1) > 0.08


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_interval_of_slow5_covers_the_planted_share(slope: float) -> None:
    keep = censored(0.1)
    basis = residual(keep)
    series, shares = power_law(slope, n_series=2000, seed=31)
    ratio = spectral.band_ratio(basis.T @ series[keep], basis=basis, t_r=T_R, band_hz=SLOW5, total_hz=TOTAL, keep=keep)
    covered = (ratio.ci_low <= shares["slow5"]) & (shares["slow5"] <= ratio.ci_high)
    assert 0.93 <= covered.mean() <= 0.97
    assert abs(np.nanmean(ratio.se) / np.nanstd(ratio.value) - 1) < 0.1


def test_covariance_of_band_power_is_that_of_repetitions() -> None:
    keep = censored(0.1)
    basis = residual(keep)
    series, _ = power_law(1.0, n_series=4000)
    forms = spectral.band_forms(basis, t_r=T_R, edges_hz=[0, 0.01, 0.027, 0.1, 0.25], keep=keep)
    power = spectral.band_power(basis.T @ series[keep], forms=forms)
    found = spectral.band_power_covariance(power.mean(axis=1, keepdims=True), forms=forms)[0]
    spread = np.cov(power)
    np.testing.assert_allclose(np.diag(found)[1:], np.diag(spread)[1:], rtol=0.1)
    np.testing.assert_allclose(found[1, 2], spread[1, 2], atol=0.1 * np.sqrt(spread[1, 1] * spread[2, 2]))


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_falff_is_the_share_of_the_amplitude(slope: float) -> None:
    keep = censored(0.1)
    basis = residual(keep)
    series, shares = power_law(slope)
    found = spectral.falff(basis.T @ series[keep], basis=basis, t_r=T_R, band_hz=(0.01, 0.08), keep=keep)
    assert abs(found.mean() / shares["falff"] - 1) < 0.03


def test_scale_does_not_matter_and_nan_stays_alone() -> None:
    keep = censored(0.1)
    basis = residual(keep)
    projected = basis.T @ power_law(1.0, n_series=3)[0][keep]
    spoilt = np.where(np.arange(3) == 1, np.nan, projected)
    options: dict[str, Any] = {"basis": basis, "t_r": T_R, "band_hz": SLOW5, "total_hz": TOTAL, "keep": keep}
    whole = spectral.band_ratio(projected, **options)
    found = spectral.band_ratio(1e3 * spoilt, **options)
    assert np.isnan([found.value[1], found.se[1], found.ci_low[1]]).all()
    for name in ("value", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(getattr(found, name)[[0, 2]], getattr(whole, name)[[0, 2]], rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t_r": 5.5}, "at most 5 s"),
        ({"band_hz": (0.005, 0.027)}, "must be a part of"),
        ({"band_hz": (0.01, 0.1)}, "must be a part of"),
    ],
)
def test_impossible_bands_are_refused(changed: dict[str, Any], message: str) -> None:
    keep = censored(0.0)
    options: dict[str, Any] = {"basis": residual(keep), "t_r": T_R, "band_hz": SLOW5, "total_hz": TOTAL, "keep": keep}
    with pytest.raises(InputError, match=message):
        spectral.band_ratio(np.ones((5, 1)), **{**options, **changed})


def test_limits_that_do_not_rise_are_refused() -> None:
    keep = censored(0.0)
    for edges, message in (([0.1, 0.05], "rising"), ([0.0, 0.3], "Nyquist")):
        with pytest.raises(InputError, match=message):
            spectral.band_forms(residual(keep), t_r=T_R, edges_hz=edges, keep=keep)
    with pytest.raises(InputError, match="`nw`"):
        spectral.tapers(keep[:4], nw=3.0)
