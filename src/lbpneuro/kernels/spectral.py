"""Band power of cleaned series by multitapers that know which volumes are missing.

The tapers are the Slepian sequences of the kept volumes alone (Chave 2019): of all sequences that vanish on the
censored volumes they hold the most energy within a bandwidth, and without a gap they are the usual ones (Thomson
1982). The power of a band, the integral of the multitaper spectrum over it, is then one quadratic form
``y' A y`` of the coordinates ``y`` of a cleaned series in its basis ``Q`` (:mod:`lbpneuro.kernels.nuisance`), with the
integral over frequency in closed form.

What such a form expects is not the power of its band: gaps spread power over all frequencies, the taper blurs the
limits, and confound regression takes power away. All three are known, since ``Q`` and the tapers are. In these
coordinates, a process with the one-sided spectrum ``S`` has the covariance
``C = Q' [integral S(f) cos(2 pi f (t - s)) df] Q``, so the expected powers are ``q = M p`` with
``M[a, b] = tr(A_a C_b)`` and ``C_b`` the covariance of unit power in band b. Solving for ``p`` undoes gaps, blur and
regression at once. Only the shape of the spectrum *within* a band is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import as_mask, check_band, check_length, check_positive

Array = NDArray[np.float64]

NW = 3.0
SLOPE = 0.5
"""Within a band power falls as ``f^-SLOPE``: half-way between white noise and the 1/f of a strong BOLD signal."""
LEFT_MIN = 0.05  # share of a band that must be left for its power to be estimated
HALF = 0.5  # share of a band that must be left for it to count in a sum of amplitudes
AMPLITUDE_BANDS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BandForms:
    """Quadratic forms of some adjacent bands in the coordinates of one basis.

    Attributes
    ----------
    edges_hz : (n_band, 2)
        Limits of each band (Hz); a band that the basis has removed is left out.
    observed : (n_band, d, d)
        ``A``: the multitaper power of a band is ``y' A y``, in squared units of the series.
    covariance : (n_band, d, d)
        ``C``: covariance of a process with power 1 in one band and none elsewhere.
    mixing : (n_band, n_band)
        ``M[a, b] = tr(A_a C_b)``: what form ``a`` expects of unit power in band ``b``.
    left : (n_band,)
        Share of the power of each band that the basis leaves.
    """

    edges_hz: Array
    observed: Array
    covariance: Array
    mixing: Array
    left: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRatio:
    """Share of one band in the power of a wider one, per series: estimate, standard error, 95 % interval."""

    value: Array
    se: Array
    ci_low: Array
    ci_high: Array


def tapers(keep: ArrayLike, *, nw: float = NW) -> tuple[Array, Array]:
    """Return the Slepian sequences of the kept volumes.

    They are the leading ``2 nw - 1`` eigenvectors of the kept rows and columns of
    ``sin(2 pi w (t - s)) / (pi (t - s))`` with ``w = nw / n_time``.

    Parameters
    ----------
    keep : (n_time,) of bool
    nw : float
        Time-bandwidth product, at least 1: half the width of the main lobe is ``nw / (n_time t_r)`` Hz.

    Returns
    -------
    vectors : (n_kept, 2 nw - 1)
        Orthonormal.
    concentration : (2 nw - 1,)
        Share of the energy of each within the bandwidth, falling. A gap lowers it by about the censored share.

    References
    ----------
    Chave 2019, https://doi.org/10.1093/gji/ggz280; Thomson 1982, https://doi.org/10.1109/PROC.1982.12433
    """
    keep = as_mask("keep", keep, expected=len(np.asarray(keep)))
    n_taper, n_kept = int(2 * nw) - 1, int(keep.sum())
    if not (nw >= 1 and n_taper <= n_kept):
        raise InputError(f"`nw` must be at least 1, and 2 nw - 1 at most the {n_kept} kept volumes; got {nw}.")
    kernel = _cosine_integrals(np.array([[0.0, nw / len(keep)]]), n_time=len(keep), t_r=1.0)[0] * 2
    shares, vectors = scipy.linalg.eigh(kernel[_lags(keep)], subset_by_index=[n_kept - n_taper, n_kept - 1])
    return vectors[:, ::-1], shares[::-1]


def band_forms(
    basis: Array, *, t_r: float, edges_hz: ArrayLike, keep: ArrayLike, nw: float = NW, slope: float = SLOPE
) -> BandForms:
    """Return the quadratic forms of the adjacent bands between ``edges_hz``.

    Parameters
    ----------
    basis : (n_kept, d)
        From :func:`lbpneuro.kernels.nuisance.residual_basis` with a pass band up to the Nyquist frequency: the bands
        must be in it.
    t_r : float
        Repetition time (s).
    edges_hz : (n_band + 1,)
        Rising limits (Hz), from 0 or more to the Nyquist frequency at most. Power outside all bands is mistaken for
        power inside, so they should cover whatever the basis leaves.
    keep : (n_time,) of bool
        The kept volumes of ``basis``.
    nw : float
        Time-bandwidth product of the tapers (:func:`tapers`).
    slope : float
        Exponent of the fall of power with frequency within a band.

    Raises
    ------
    InputError
        If the limits do not rise or go beyond the Nyquist frequency.
    """
    keep = as_mask("keep", keep, expected=len(np.asarray(keep)))
    check_positive("t_r", t_r)
    check_length("basis", basis, expected=int(keep.sum()))
    edges = np.asarray(edges_hz, dtype=np.float64)
    _check_edges(edges, t_r=t_r)
    bands = np.array(list(pairwise(edges)))
    lags, n_time = _lags(keep), len(keep)
    shapes = _unit_power(bands, n_time=n_time, t_r=t_r, slope=slope)
    held = basis @ basis.T
    left = np.array([np.vdot(row[lags], held) for row in shapes]) / keep.sum()
    bands, shapes, left = bands[left > LEFT_MIN], shapes[left > LEFT_MIN], left[left > LEFT_MIN]
    covariance = np.stack([basis.T @ row[lags] @ basis for row in shapes])
    vectors, concentration = tapers(keep, nw=nw)
    weight = (vectors * (concentration / concentration.sum())) @ vectors.T * 2 * t_r
    rows = _cosine_integrals(bands, n_time=n_time, t_r=t_r)
    observed = np.stack([basis.T @ (weight * row[lags]) @ basis for row in rows])
    mixing = np.einsum("aij,bji->ab", observed, covariance, optimize=True)
    return BandForms(edges_hz=bands, observed=observed, covariance=covariance, mixing=mixing, left=left)


def observed_power(projected: Array, *, forms: BandForms) -> Array:
    """Return the multitaper power of each band as it is observed: gaps, blur and regression included.

    Parameters
    ----------
    projected : (d, n_series)
        From :func:`lbpneuro.kernels.nuisance.project` with the basis of ``forms``.

    Returns
    -------
    (n_band, n_series) float64
        Squared units of the series; a NaN series is NaN.
    """
    check_length("projected", projected, expected=forms.observed.shape[1])
    return np.stack([np.sum(projected * (form @ projected), axis=0) for form in forms.observed])


def band_power(projected: Array, *, forms: BandForms) -> Array:
    """Return the power of each band with gaps, blur and regression undone: ``solve(mixing, observed power)``.

    Unbiased where the spectrum within a band has the assumed slope. An estimate of little power can be negative.

    Parameters
    ----------
    projected : (d, n_series)

    Returns
    -------
    (n_band, n_series) float64
    """
    return np.asarray(np.linalg.solve(forms.mixing, observed_power(projected, forms=forms)), dtype=np.float64)


def band_power_covariance(power: Array, *, forms: BandForms, parts: ArrayLike | None = None) -> Array:
    """Return the sampling covariance of :func:`band_power`, or of sums of bands, for a Gaussian series.

    ``cov(p_a, p_b) = 2 tr(B_a S B_b S)`` with ``B = M^-1 A`` and ``S = sum_c p_c C_c``; negative powers count as 0.

    Parameters
    ----------
    power : (n_band, n_series)
    parts : (n_part, n_band), optional
        What is summed up: 1 where a band belongs to a part. By default every band is a part.

    Returns
    -------
    (n_series, n_part, n_part) float64
    """
    sums = np.eye(len(power)) if parts is None else np.asarray(parts, dtype=np.float64)
    check_length("parts", sums, expected=len(power), axis=1)
    unmixed = np.einsum("pb,bij->pij", sums @ np.linalg.inv(forms.mixing), forms.observed, optimize=True)
    found = np.empty((power.shape[1], len(sums), len(sums)))
    # one series at a time: few are asked for, and of a long run every product is large
    for place, own in enumerate(np.maximum(power, 0).T):
        turned = unmixed @ np.tensordot(own, forms.covariance, axes=1)
        found[place] = 2 * np.tensordot(turned, turned, axes=([1, 2], [2, 1]))
    return found


def band_ratio(
    projected: Array,
    *,
    basis: Array,
    t_r: float,
    band_hz: tuple[float, float],
    total_hz: tuple[float, float],
    keep: ArrayLike,
    nw: float = NW,
) -> BandRatio:
    """Return the power of ``band_hz`` as a share of that of ``total_hz``, e.g. slow-5 of a nucleus.

    ``r = P(band) / P(total)`` from :func:`band_power`, less the second-order bias of a ratio of uncertain numbers. The
    standard error is ``r (1 - r)`` times that of ``ln(P(band) / P(rest of total))``, which the delta method gives
    from :func:`band_power_covariance`; the interval is symmetric on that logarithm.

    Parameters
    ----------
    projected : (d, n_series)
        Coordinates of series that are cleaned but NOT low-passed: ``project`` on ``basis``.
    basis : (n_kept, d)
        ``residual_basis(..., band_hz=(0.008, 0.5 / t_r), ...)``: drift out, everything up to the Nyquist frequency in.
    t_r : float
        Repetition time (s).
    band_hz, total_hz
        Limits (Hz); the band lies within the total.
    keep : (n_time,) of bool
    nw : float
        Time-bandwidth product of the tapers.

    Returns
    -------
    BandRatio
        Arrays (n_series,); NaN for a NaN series and where the power of a part is estimated as 0 or less.

    Raises
    ------
    InputError
        If the band is not within the total, or the total reaches beyond the Nyquist frequency.
    """
    _check_within(band_hz, total_hz, t_r=t_r)
    edges = np.unique([0.0, *band_hz, *total_hz, 0.5 / t_r])
    forms = band_forms(basis, t_r=t_r, edges_hz=edges, keep=keep, nw=nw)
    low, high = forms.edges_hz.T
    inside = (low >= band_hz[0]) & (high <= band_hz[1])
    rest = (low >= total_hz[0]) & (high <= total_hz[1]) & ~inside
    power = band_power(projected, forms=forms)
    parts = np.stack([inside, rest]).astype(np.float64)
    known = np.isfinite(power).all(axis=0)
    spread = np.full((power.shape[1], 2, 2), np.nan)
    spread[known] = band_power_covariance(power[:, known], forms=forms, parts=parts)
    return _ratio(parts @ power, spread)


def falff(
    projected: Array, *, basis: Array, t_r: float, band_hz: tuple[float, float], keep: ArrayLike, nw: float = NW
) -> Array:
    """Return the fractional amplitude of low-frequency fluctuations.

    ``integral over the band of sqrt(S) / integral up to the Nyquist frequency of sqrt(S)`` (Zou et al. 2008), with the
    spectrum ``S`` flat within bands as wide as the main lobe of the tapers, or a 24th of all frequencies if that is
    more. Frequencies that the basis mostly removes do not count.

    Parameters
    ----------
    projected : (d, n_series)
        As in :func:`band_ratio`.

    Returns
    -------
    (n_series,) float64
        In [0, 1]; NaN for a NaN series.

    References
    ----------
    https://doi.org/10.1016/j.jneumeth.2008.04.012
    """
    nyquist = 0.5 / t_r
    _check_within(band_hz, (0.0, nyquist), t_r=t_r)
    width = max(2 * nw / (len(np.asarray(keep)) * t_r), nyquist / AMPLITUDE_BANDS)
    limits = np.unique([0.0, *band_hz, nyquist])
    pieces = [np.linspace(low, high, 1 + max(1, round((high - low) / width)))[:-1] for low, high in pairwise(limits)]
    forms = band_forms(basis, t_r=t_r, edges_hz=[*np.concatenate(pieces), nyquist], keep=keep, nw=nw, slope=0.0)
    low, high = forms.edges_hz.T
    power = band_power(projected, forms=forms)
    amplitude = np.sqrt(np.maximum(power, 0) * ((high - low) * (forms.left > HALF))[:, None])
    inside = (low >= band_hz[0] - 1e-12) & (high <= band_hz[1] + 1e-12)
    total = amplitude.sum(axis=0)
    return amplitude[inside].sum(axis=0) / np.where(total > 0, total, np.nan)


def _ratio(power: Array, spread: Array) -> BandRatio:
    """Return the share of the first of two powers (2, n_series) with the covariances (n_series, 2, 2)."""
    part, rest = np.where((power > 0).all(axis=0), power, np.nan)
    total = part + rest
    first, second, both = spread[:, 0, 0], spread[:, 1, 1], spread[:, 0, 1]
    bias = (part * second - rest * first + (part - rest) * both) / total**3
    value = np.clip(part / total - bias, 0, 1)
    se_log = np.sqrt(first / part**2 + second / rest**2 - 2 * both / (part * rest))
    middle, half = np.log(part / rest), scipy.special.ndtri(0.975) * se_log
    return BandRatio(
        value=value,
        se=part * rest / total**2 * se_log,
        ci_low=scipy.special.expit(middle - half),
        ci_high=scipy.special.expit(middle + half),
    )


def _lags(keep: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the distance in volumes between every two kept volumes."""
    kept = np.flatnonzero(keep)
    return np.abs(kept[:, None] - kept)


def _cosine_integrals(bands: Array, *, n_time: int, t_r: float) -> Array:
    """Return ``integral over each band of cos(2 pi f lag) df`` for the lags of a run, shape (n_band, n_time)."""
    lag = np.arange(n_time) * t_r
    low, high = bands[:, :1], bands[:, 1:]
    return np.asarray(high * np.sinc(2 * high * lag) - low * np.sinc(2 * low * lag))


def _unit_power(bands: Array, *, n_time: int, t_r: float, slope: float) -> Array:
    """Return autocovariances (n_band, n_time) of processes with power 1 in one band, falling as ``f^-slope`` within it.

    The fall is in steps of half a Rayleigh frequency, and flat below one.
    """
    duration, rows = n_time * t_r, []
    for low, high in bands.tolist():
        edges = np.linspace(low, high, 1 + max(4, int(np.ceil(2 * duration * (high - low)))))
        density = np.maximum((edges[1:] + edges[:-1]) / 2, 1 / duration) ** -slope
        steps = _cosine_integrals(np.column_stack([edges[:-1], edges[1:]]), n_time=n_time, t_r=t_r)
        rows.append(density @ steps / (density @ np.diff(edges)))
    return np.stack(rows)


def _check_edges(edges: Array, *, t_r: float) -> None:
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise InputError(f"`edges_hz` must be two or more rising frequencies from 0 on; got {edges.tolist()}.")
    if edges[-1] > 0.5 / t_r * (1 + 1e-9):
        raise InputError(f"`edges_hz` must end at the Nyquist frequency, {0.5 / t_r:g} Hz, at most; got {edges[-1]:g}.")


def _check_within(band_hz: tuple[float, float], total_hz: tuple[float, float], *, t_r: float) -> None:
    check_positive("t_r", t_r)
    check_band(band_hz)
    check_band(total_hz)
    if band_hz[0] < total_hz[0] or band_hz[1] > total_hz[1] or band_hz == total_hz:
        raise InputError(f"`band_hz` {band_hz} must be a part of {total_hz} Hz.")
    if total_hz[1] > 0.5 / t_r * (1 + 1e-9):
        raise InputError(
            f"A repetition time of {t_r:g} s shows frequencies up to {0.5 / t_r:g} Hz; {total_hz[1]:g} Hz needs at "
            f"most {0.5 / total_hz[1]:g} s."
        )
