"""How motor-evoked potentials grow with intensity, and what a conditioning pulse does to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

OFFSET_UV = 1.0
VISIBLE = 1e-6
RESPONSE_SHARE = 0.88
"""Share of the plateau that the largest intensity must reach: the curve two widths above its midpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An estimate with standard error and 95 % interval; NaN where there is none."""

    value: float
    se: float
    ci_low: float
    ci_high: float


NOTHING = Value(value=np.nan, se=np.nan, ci_low=np.nan, ci_high=np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruitment:
    """A recruitment curve: midpoint, threshold and width in the unit of intensity, plateau in uV, slope in uV per unit.

    ``reached`` is the share of the plateau at the largest intensity, ``floor`` the amplitude without a response (uV),
    ``n`` the number of trials. All is NaN if no curve could be fitted.
    """

    s50: Value
    threshold: Value
    slope: Value
    plateau: Value
    width: float
    floor: float
    reached: float
    n: int

    def amplitude(self, intensity: ArrayLike) -> Array:
        """Return the fitted amplitude (uV) at intensities, any shape."""
        x = np.asarray(intensity, dtype=np.float64)
        return np.asarray(self.floor + self.plateau.value * scipy.special.expit((x - self.s50.value) / self.width))


def recruitment_curve(intensity: ArrayLike, amplitude_uv: ArrayLike) -> Recruitment:
    """Return the logistic (Boltzmann) growth of amplitude with intensity.

    ``amplitude = floor + plateau / (1 + exp((s50 - x) / width))``, fitted to the logarithm of single trials (+ 1 uV),
    because single responses scatter by a factor and not by an amount; the curve is thus that of the geometric
    mean. ``slope = plateau / (4 width)`` is that at ``s50``, and ``threshold = s50 - 2 width`` is where its tangent
    meets the floor. Standard errors are those of least squares with unequal variances (HC3,
    10.1016/0304-4076(85)90158-7), intervals Student's t, of slope and plateau on the log scale.

    Parameters
    ----------
    intensity : (n_trial,)
    amplitude_uv : (n_trial,)
        Peak to peak of single trials, the background not taken off.
    """
    x, y = np.asarray(intensity, dtype=np.float64), np.asarray(amplitude_uv, dtype=np.float64)
    check_length("amplitude_uv", y, expected=x.size)
    logs = np.log(y + OFFSET_UV)
    if x.size <= 4 or np.ptp(x) == 0 or np.ptp(logs) == 0:
        return _no_curve(x.size)
    fit = scipy.optimize.least_squares(
        lambda p: _curve(p, x) - logs, _start(x, logs), jac=lambda p: _gradient(p, x), method="lm", max_nfev=400
    )
    covariance = _hc3(fit.jac, fit.fun)
    if covariance is None or not fit.success:
        return _no_curve(x.size)
    return _described(fit.x, covariance, x)


def _no_curve(n: int) -> Recruitment:
    values = dict.fromkeys(("s50", "threshold", "slope", "plateau"), NOTHING)
    return Recruitment(**values, width=np.nan, floor=np.nan, reached=np.nan, n=n)


def _curve(p: Array, x: Array) -> Array:
    """Log amplitude + 1 uV at intensities; ``p`` is s50, log width, log plateau, log floor."""
    return np.log(OFFSET_UV + np.exp(p[3]) + np.exp(p[2]) * scipy.special.expit((x - p[0]) / np.exp(p[1])))


def _gradient(p: Array, x: Array) -> Array:
    """Derivatives of the curve (n_trial, 4)."""
    z = (x - p[0]) / np.exp(p[1])
    rise, plateau, floor = scipy.special.expit(z), np.exp(p[2]), np.exp(p[3])
    total = OFFSET_UV + floor + plateau * rise
    by_z = plateau * rise * (1 - rise)
    return np.stack([-by_z / np.exp(p[1]), -by_z * z, plateau * rise, np.full_like(x, floor)], axis=1) / total[:, None]


def _start(x: Array, logs: Array) -> Array:
    """The best of a grid of midpoints, widths and floors; the plateau is that of the largest intensities."""
    spread = np.ptp(x)
    top = np.exp(np.quantile(logs, 0.95))
    low = np.exp(np.quantile(logs, 0.05))
    candidates = [
        np.array([s50, np.log(width * spread), np.log(top * factor), np.log(low)])
        for s50 in np.linspace(x.min(), x.max(), 9)
        for width in (0.03, 0.08, 0.2)
        for factor in (0.8, 2.0)
    ]
    errors = [float(((_curve(p, x) - logs) ** 2).sum()) for p in candidates]
    return candidates[int(np.argmin(errors))]


def _hc3(gradient: Array, residuals: Array) -> Array | None:
    """Covariance of least squares under unequal variances; None if midpoint, width and plateau depend on each other.

    A floor that the data do not show (no amplitude depends on it) is taken as known.
    """
    scale = np.linalg.norm(gradient, axis=0)
    seen = scale > VISIBLE * scale.max()
    if not seen[:3].all():
        return None
    left, size, right = np.linalg.svd(gradient[:, seen] / scale[seen], full_matrices=False)
    if size[-1] < VISIBLE * size[0]:
        return None
    inverse = (right.T / size) @ left.T / scale[seen, None]
    apart = residuals / np.maximum(1 - (left**2).sum(axis=1), VISIBLE)
    covariance = np.zeros((4, 4))
    covariance[np.ix_(seen, seen)] = (inverse * apart**2) @ inverse.T
    return covariance


def _described(p: Array, covariance: Array, x: Array) -> Recruitment:
    """Values and intervals of the curve's parameters, by the delta method."""
    width, plateau = float(np.exp(p[1])), float(np.exp(p[2]))
    reach = float(scipy.special.stdtrit(x.size - 4, 0.975))
    threshold_se = _error(covariance, [1, -2 * width, 0, 0])
    slope = plateau / (4 * width)
    return Recruitment(
        s50=_plain(float(p[0]), _error(covariance, [1, 0, 0, 0]), reach),
        threshold=_plain(float(p[0]) - 2 * width, threshold_se, reach),
        slope=_logarithmic(slope, _error(covariance, [0, -1, 1, 0]), reach),
        plateau=_logarithmic(plateau, _error(covariance, [0, 0, 1, 0]), reach),
        width=width,
        floor=float(np.exp(p[3])),
        reached=float(scipy.special.expit((x.max() - p[0]) / width)),
        n=x.size,
    )


def _error(covariance: Array, gradient: list[float]) -> float:
    g = np.array(gradient, dtype=np.float64)
    return float(np.sqrt(g @ covariance @ g))


def _plain(value: float, se: float, reach: float) -> Value:
    return Value(value=value, se=se, ci_low=value - reach * se, ci_high=value + reach * se)


def _logarithmic(value: float, log_se: float, reach: float) -> Value:
    """An estimate whose logarithm has the error ``log_se``."""
    with np.errstate(over="ignore"):
        low, high = value * np.exp(-reach * log_se), value * np.exp(reach * log_se)
    return Value(value=value, se=value * log_se, ci_low=float(low), ci_high=float(high))


def ratio_of_means(conditioned: ArrayLike, test: ArrayLike) -> Value:
    """Return the mean of conditioned over the mean of test responses, with an interval on the log scale.

    ``R = m_c / m_t``; ``se(log R)^2 = s_c^2 / (n_c m_c^2) + s_t^2 / (n_t m_t^2)`` (``ddof=1``), Student's t with
    Welch-Satterthwaite degrees of freedom, ``se(R) = R se(log R)``. NaN with fewer than two trials of a kind or a mean
    that is not above 0.

    Parameters
    ----------
    conditioned, test : (n_trial,)
        Amplitudes of single trials; NaN is left out.
    """
    parts = [_moments(np.asarray(values, dtype=np.float64)) for values in (conditioned, test)]
    if any(n < 2 or not mean > 0 for mean, _, n in parts):
        return NOTHING
    shares = np.array([variance / (n * mean**2) for mean, variance, n in parts])
    freedom = shares.sum() ** 2 / sum(share**2 / (n - 1) for share, (_, _, n) in zip(shares, parts, strict=True))
    ratio = parts[0][0] / parts[1][0]
    return _logarithmic(ratio, float(np.sqrt(shares.sum())), float(scipy.special.stdtrit(freedom, 0.975)))


def mean_amplitude(values: ArrayLike) -> Value:
    """Return the mean of amplitudes (n_trial,), NaN left out, with an interval on the log scale (Student's t)."""
    mean, variance, n = _moments(np.asarray(values, dtype=np.float64))
    if n < 2 or not mean > 0:
        return NOTHING
    return _logarithmic(mean, float(np.sqrt(variance / n)) / mean, float(scipy.special.stdtrit(n - 1, 0.975)))


def _moments(values: Array) -> tuple[float, float, int]:
    kept = values[np.isfinite(values)]
    if kept.size < 2:
        return np.nan, np.nan, int(kept.size)
    return float(kept.mean()), float(kept.var(ddof=1)), int(kept.size)
