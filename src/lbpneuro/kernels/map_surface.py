"""Maps of pulses that follow no grid: surfaces on a lattice within the convex hull of the coil positions.

A pseudorandom walk puts each pulse somewhere else (van de Ruit 2015, 10.1016/j.brs.2014.10.020). Its map is a Gaussian
process with a Matern 3/2 kernel around a quadratic trend, of the log of the response; its parameters, noise included,
have maximum likelihood. (Of the amplitudes themselves, whose noise grows with them, such a process makes the peak too
low and the map too wide.) It comes with a standard deviation, and with draws for the intervals. Linear interpolation
between the pulses is the published alternative. Surfaces hold amplitudes (..., n_point) at lattice points, so that the
functionals of ``motor_map`` apply to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import

from lbpneuro.kernels.map_bootstrap import ResampledMaps
from lbpneuro.kernels.map_fit import ITERATIONS, SELECTIONS, STEP_LIMITS, TREND_VARIANCE, MapDraws, log_evidence
from lbpneuro.kernels.motor_map import Array, Mask

OUTLIER_SD = 3.5
INNER_DRAWS = 10
ADDITIVE_SHARE = 0.01
START = (0.2, 0.1, 0.3, 1e-3)
"""Where the search begins: length (of the extent), variances of surface and noise in log units, additive noise."""
LIMITS = ((0.05, 2.0), (1e-3, 10.0), (1e-3, 10.0), (ADDITIVE_SHARE**2, 1.0))
SEARCH = {"xatol": 0.05, "fatol": 0.01, "maxiter": 120}
JITTER = 1e-9


def outlying(values: Array, *, sd: float = OUTLIER_SD) -> Mask:
    """Return which ``values`` (n,) lie more than ``sd`` standard deviations (``ddof=1``) above their mean."""
    return values > np.nanmean(values) + sd * np.nanstd(values, ddof=1)


def lattice(coords: Array, *, size: int) -> tuple[Array, Mask]:
    """Return ``size`` x ``size`` points (n_point, 2) over the box around ``coords`` and which lie in their hull.

    The points are the centres of equal cells.
    """
    low, high = coords.min(axis=0), coords.max(axis=0)
    steps = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(*(low + np.outer(steps, high - low)).T)
    points = np.column_stack([x.ravel(), y.ravel()])
    return points, scipy.spatial.Delaunay(coords).find_simplex(points) >= 0


def rim(covered: Mask, *, size: int) -> Mask:
    """Return which points of a ``lattice`` (n_point,) are ``covered`` but lack one of four covered neighbours."""
    square = np.pad(covered.reshape(size, size), 1)
    around = square[2:, 1:-1] & square[:-2, 1:-1] & square[1:-1, 2:] & square[1:-1, :-2]
    return covered & ~around.ravel()


def cell_area_cm2(coords: Array, *, size: int) -> float:
    """Return the area of a cell of the ``lattice`` of ``coords`` in mm, in cm^2."""
    return float(np.prod(np.ptp(coords, axis=0) / size) / 100)


def matern(first: Array, second: Array, *, length: float) -> Array:
    """Return the Matern 3/2 correlation ``(1 + r) exp(-r)``, ``r = sqrt(3) distance / length``, (n_first, n_second)."""
    r = np.sqrt(3) * np.linalg.norm(first[:, None] - second[None], axis=-1) / length
    return (1 + r) * np.exp(-r)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A Gaussian process of the log of one muscle's response, around a quadratic trend.

    ``working`` (n_pulse,) are the responses of the linearised model at ``coords`` (n_pulse, 2), ``noise`` their
    variances; both are in log units, ``level`` is taken off first. ``signal`` and ``length`` are variance and length of
    the departures from the trend.
    """

    coords: Array
    working: Array
    noise: Array
    level: float
    length: float
    signal: float

    def prior(self, first: Array, second: Array) -> Array:
        """Return the prior covariance (n_first, n_second) of the log response."""
        trend = TREND_VARIANCE * self._trend(first) @ self._trend(second).T
        return trend + self.signal * matern(first, second, length=self.length)

    def _trend(self, points: Array) -> Array:
        x, y = (3 * (points - self.coords.mean(axis=0)) / np.ptp(self.coords, axis=0).max()).T
        return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)

    def gain(self, points: Array) -> Array:
        """Return the weights (n_point, n_pulse) that turn working responses into the posterior mean at ``points``."""
        data = self.prior(self.coords, self.coords) + np.diag(self.noise)
        return scipy.linalg.solve(data, self.prior(self.coords, points), assume_a="pos").T

    def log_mean(self, points: Array) -> Array:
        """Return the posterior mean of the log response at ``points``."""
        return self.level + self.gain(points) @ (self.working - self.level)

    def mean_and_sd(self, points: Array) -> tuple[Array, Array]:
        """Return the response at ``points`` and its standard deviation, that of the log times the response."""
        explained = (self.gain(points) * self.prior(points, self.coords)).sum(axis=1)
        before = TREND_VARIANCE * (self._trend(points) ** 2).sum(axis=1) + self.signal
        mean = np.exp(self.log_mean(points))
        return mean, mean * np.sqrt(np.maximum(before - explained, 0.0))

    @property
    def evidence(self) -> float:
        """Log density of the working responses, without its constant."""
        return log_evidence(self.working - self.level, self.prior(self.coords, self.coords) + np.diag(self.noise))


def fit_surface(coords: Array, amplitude: Array) -> Surface:
    """Return the Gaussian process through single amplitudes (n_pulse,) at ``coords`` (n_pulse, 2).

    As ``map_fit.fit_map``: the amplitudes have expectation ``exp(f)`` and variance ``additive + relative * exp(2 f)``.
    As no place is stimulated twice, the noise cannot be read off: length and variance of the surface and both parts of
    the noise have maximum likelihood, in the linearised model.
    """
    top = float(amplitude.max())
    log_map = np.full(len(amplitude), np.log(max(float(amplitude.mean()), ADDITIVE_SHARE * top)))
    parameters = np.log(START)
    for iteration in range(ITERATIONS):
        expected = np.exp(log_map)
        working = log_map + np.clip((amplitude - expected) / expected, *STEP_LIMITS)
        linear = partial(_linearised, coords, working, share=top / expected)
        if iteration in SELECTIONS:
            parameters = _likeliest(linear, parameters)
        log_map = linear(parameters).log_mean(coords)
    return linear(parameters)


def _likeliest(linear: Callable[[Array], Surface], parameters: Array) -> Array:
    found = scipy.optimize.minimize(
        lambda each: -linear(each).evidence, parameters, method="Nelder-Mead", options=SEARCH
    )
    return np.asarray(found.x)


def _linearised(coords: Array, working: Array, parameters: Array, *, share: Array) -> Surface:
    """The surface for logarithms of length (of the extent), signal, relative and additive (of the maximum) variance."""
    length, signal, relative, additive = np.exp(np.clip(parameters, *np.log(LIMITS).T))
    return Surface(
        coords=coords,
        working=working,
        noise=relative + additive * share**2,
        level=float(working.max()),
        length=length * float(np.ptp(coords, axis=0).max()),
        signal=signal,
    )


def residual_correlation(surfaces: tuple[Surface, ...]) -> Array:
    """Return the correlation between muscles (n_muscle, n_muscle) of the deviations from their surfaces."""
    deviation = np.stack([(each.working - each.log_mean(each.coords)) / np.sqrt(each.noise) for each in surfaces])
    power = deviation @ deviation.T
    scale = np.sqrt(np.diag(power))
    return power / np.outer(scale, scale)


def draw_surfaces(surfaces: tuple[Surface, ...], points: Array, *, n_draws: int, rng: np.random.Generator) -> MapDraws:
    """Return surfaces at ``points`` for the parametric bootstrap, of muscles that the same pulses excited.

    Draws of the posterior are draws of the prior, moved by what the data say of them (Matheron's rule).
    """
    n_pulse, everywhere = len(surfaces[0].coords), np.concatenate([surfaces[0].coords, points])
    noise_root = np.linalg.cholesky(residual_correlation(surfaces) + JITTER * np.eye(len(surfaces)))

    def noise(n: int) -> Array:
        white = np.einsum("ij,njp->nip", noise_root, rng.standard_normal((n, len(surfaces), n_pulse)))
        return white * np.sqrt([each.noise for each in surfaces])

    priors = _prior_draws(surfaces, everywhere, n=n_draws + INNER_DRAWS, rng=rng)
    fitted = np.stack([each.log_mean(everywhere) for each in surfaces])
    deviation = priors - _joint_update(surfaces, everywhere, priors[..., :n_pulse] + noise(n_draws + INNER_DRAWS))
    plausible = fitted + deviation[:n_draws]
    again = plausible[..., :n_pulse] + noise(n_draws)
    refitted = np.stack([s.level + (again[:, m] - s.level) @ s.gain(points).T for m, s in enumerate(surfaces)], axis=1)
    around = refitted[:, None] + deviation[n_draws:, :, n_pulse:]
    return MapDraws(
        fitted=np.exp(fitted[:, n_pulse:]),
        plausible=np.exp(plausible[..., n_pulse:]),
        refitted=np.exp(refitted),
        around=np.exp(around),
    )


def _prior_draws(surfaces: tuple[Surface, ...], points: Array, *, n: int, rng: np.random.Generator) -> Array:
    """Draws (n, n_muscle, n_point) of the departures from the trend, and of the trend."""
    draws = []
    for each in surfaces:
        covariance = each.prior(points, points)
        root = np.linalg.cholesky(covariance + JITTER * covariance.diagonal().max() * np.eye(len(points)))
        draws.append(rng.standard_normal((n, len(points))) @ root.T)
    return np.stack(draws, axis=1)


def _joint_update(surfaces: tuple[Surface, ...], points: Array, data: Array) -> Array:
    """What data (n, n_muscle, n_pulse) make the surfaces at ``points``, if the noise of the muscles is correlated."""
    n_muscle, n_pulse = data.shape[1:]
    sd = np.sqrt([each.noise for each in surfaces]).ravel()
    together = np.kron(residual_correlation(surfaces), np.eye(n_pulse)) * np.outer(sd, sd)
    prior = scipy.linalg.block_diag(*[each.prior(each.coords, each.coords) for each in surfaces])
    weights = scipy.linalg.solve(prior + together, data.reshape(len(data), -1).T, assume_a="pos")
    parts = weights.T.reshape(len(data), n_muscle, n_pulse)
    return np.stack([parts[:, m] @ each.prior(each.coords, points) for m, each in enumerate(surfaces)], axis=1)


def linear_surface(coords: Array, amplitude: Array, points: Array) -> Array:
    """Return amplitudes (n_muscle, n_pulse) at ``coords``, interpolated linearly to ``points``: (n_muscle, n_point).

    Between the corners of the Delaunay triangle around a point; NaN outside the hull. Pulses at one place are averaged.
    """
    places, which = np.unique(coords, axis=0, return_inverse=True)
    count = np.bincount(which.ravel())
    means = np.stack([np.bincount(which.ravel(), weights=one) / count for one in amplitude], axis=1)
    return np.asarray(scipy.interpolate.LinearNDInterpolator(places, means)(points)).T


def resample_linear(
    coords: Array, amplitude: Array, points: Array, *, n_draws: int, rng: np.random.Generator
) -> ResampledMaps:
    """Return the linear surface of ``linear_surface`` and those of pulses drawn with replacement."""
    n_pulse = len(coords)
    drawn = rng.integers(0, n_pulse, (n_draws, n_pulse))
    again = np.stack([linear_surface(coords[some], amplitude[:, some], points) for some in drawn])
    return ResampledMaps(maps=linear_surface(coords, amplitude, points), resampled=again)
