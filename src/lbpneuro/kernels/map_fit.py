"""Motor maps estimated for the noise-free site means, and how surely.

Taken of the noisy means of five or ten trials, the functionals of ``motor_map`` are far off: noise raises the largest
of the means, which shrinks area and volume, and noise that two muscles do not share lowers their overlap, so that
a noisier participant seems less smudged. Resampling the trials repeats that error around the wrong map. Here the
site means are therefore first estimated together (``fit_map``): a log-link Gaussian process with a quadratic trend,
weighted by the noise that the trials show. The interval comes from a parametric bootstrap (``MapDraws``): maps that
the fit finds plausible are given fresh trial noise and are fitted again, and the errors then made tell bias and
standard error of the estimate, smoothing error included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import

from lbpneuro.kernels.motor_map import NORMAL_95, Array, Functional, grid_spacing, site_means

LENGTH_SCALES = (1.0, 1.5, 2.2, 3.3)
"""Candidate length scales of the Gaussian process, in grid spacings."""
ROUGHNESS = (0.01, 0.1, 0.3, 1.0)
"""Candidate variances of what departs from the quadratic trend, in squared log units."""
TREND_VARIANCE = 10.0
ITERATIONS = 8
SELECTIONS = (0, 1, 3, 5)
STEP_LIMITS = (-1.0, 1.5)
ADDITIVE_SHARE = 0.01
RELATIVE_VARIANCE = 1e-6
NOISE_MAX = 1e6
"""Variance in squared log units from which a site says nothing: keeps silent sites from spoiling the linear algebra."""
INNER_DRAWS = 25


def trial_noise(trials: Array) -> tuple[float, float]:
    """Return (additive, relative) variance of single trials (n_site, n_trial): ``additive + relative * mean**2``.

    Fitted to the variances within sites (``ddof=1``) by non-negative least squares, weighted by the
    squared model (quasi-likelihood), over sites with at least two trials. The additive part is at least
    (1 % of the largest mean)^2, so that sites without any response cannot claim to be exact.
    """
    count = np.isfinite(trials).sum(axis=-1)
    kept = trials[count >= 2]
    mean = np.nanmean(kept, axis=-1)
    variance = np.nanvar(kept, axis=-1, ddof=1)
    signal = np.maximum(mean, 0.0) ** 2
    design = np.stack([np.ones_like(signal), signal], axis=1)
    floor = (ADDITIVE_SHARE * mean.max()) ** 2
    coefficients = np.array([floor, 0.3])
    for _ in range(ITERATIONS):
        weight = np.sqrt(np.maximum(count[count >= 2] - 1, 1)) / np.maximum(design @ coefficients, floor)
        coefficients, _ = scipy.optimize.nnls(design * weight[:, None], variance * weight)
    return max(float(coefficients[0]), floor), max(float(coefficients[1]), RELATIVE_VARIANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedMap:
    """A smooth map of one muscle: log of the site means (n_site,), its prior covariance, and the data's noise."""

    log_map: Array
    prior: Array
    noise: Array


def candidate_priors(coords: Array) -> list[Array]:
    """Return prior covariances (n_site, n_site) of a log map: quadratic trend plus smooth departures from it."""
    spacing = grid_spacing(coords)
    squared = ((coords[:, None] - coords[None]) ** 2).sum(axis=-1) / spacing**2
    x, y = ((coords - coords.mean(axis=0)) / (2 * spacing)).T
    trend = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    flat = TREND_VARIANCE * trend @ trend.T
    return [flat + rough * np.exp(-squared / (2 * scale**2)) for scale in LENGTH_SCALES for rough in ROUGHNESS]


def log_evidence(data: Array, covariance: Array) -> float:
    """Return the Gaussian log density of ``data`` (n,) under mean 0 and ``covariance``, without its constant."""
    root = scipy.linalg.cholesky(covariance, lower=True)
    white = scipy.linalg.solve_triangular(root, data, lower=True)
    return float(-0.5 * white @ white - np.log(np.diag(root)).sum())


def fit_map(means: Array, coords: Array, *, additive: Array, relative: Array) -> FittedMap:
    """Return the smooth map behind noisy site means (n_site,), all present.

    Quasi-likelihood with log link: the means have expectation ``exp(f)`` and variance ``additive + relative *
    exp(2 f)`` (both (n_site,), of the mean, so already divided by the number of trials), and ``f`` is a Gaussian
    process around a quadratic trend (a Gaussian bump has exactly that shape). Iterated weighted least squares;
    length scale and roughness by the evidence of the working responses.
    """
    priors = candidate_priors(coords)
    floor = max(float(np.sqrt(additive.min())), 1e-3 * float(means.max()))
    log_map = np.log(np.maximum(means, floor))
    prior = priors[0]
    for iteration in range(ITERATIONS):
        expected = np.exp(log_map)
        noise = np.minimum(relative + additive / expected**2, NOISE_MAX)
        working = log_map + np.clip((means - expected) / expected, *STEP_LIMITS)
        level = working.max()
        if iteration in SELECTIONS:
            prior = max(priors, key=lambda each: log_evidence(working - level, each + np.diag(noise)))
        log_map = level + prior @ scipy.linalg.solve(prior + np.diag(noise), working - level, assume_a="pos")
    noise = np.minimum(relative + additive * np.exp(-2 * log_map), NOISE_MAX)
    return FittedMap(log_map=log_map, prior=prior, noise=noise)


@dataclass(frozen=True, slots=True, kw_only=True)
class JointMap:
    """Smooth maps of several muscles, (n_muscle, n_site), with what is needed to draw plausible ones and refit.

    ``spread`` is a root of the posterior covariance, ``noise_root`` one of the noise covariance of the working
    responses, ``gain`` turns working responses into a fit; all (n_muscle * n_site) squared.
    """

    log_map: Array
    spread: Array
    noise_root: Array
    gain: Array


def join_maps(fits: Sequence[FittedMap], *, noise_correlation: Array) -> JointMap:
    """Return the joint map of muscles recorded with the same pulses.

    ``noise_correlation`` (n_muscle, n_muscle) is that of the trial-to-trial noise: a strong pulse is strong in
    both muscles, so their maps err together.
    """
    noise_sd = np.sqrt(np.stack([fit.noise for fit in fits]))
    prior = scipy.linalg.block_diag(*[fit.prior for fit in fits])
    apart = np.diag(noise_sd.ravel() ** 2)
    n_site = noise_sd.shape[1]
    scaled = noise_sd.ravel()[:, None] * np.kron(_root(noise_correlation), np.eye(n_site))
    together = scaled @ scaled.T
    posterior = prior - prior @ scipy.linalg.solve(prior + together, prior, assume_a="pos")
    return JointMap(
        log_map=np.stack([fit.log_map for fit in fits]),
        spread=_root(posterior),
        noise_root=scaled,
        gain=scipy.linalg.solve(prior + apart, prior, assume_a="pos").T,
    )


def _root(covariance: Array) -> Array:
    """The symmetric square root of ``covariance``; rounding below zero is cut off.

    Unlike a Cholesky factor or bare eigenvectors it is a continuous function of the covariance, so that equal random
    numbers give equal draws whatever the last digit of the linear algebra.
    """
    values, vectors = scipy.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def residual_correlation(trials: Array) -> Array:
    """Return the correlation between muscles of the deviations from the site means, (n_muscle, n_muscle).

    ``trials`` is (n_muscle, n_site, n_trial), NaN where a pulse is not kept. Deviations are divided by their
    standard deviation under ``trial_noise`` first. Only pulses kept in all muscles count, and only sites where the
    response varies more than the background in all of them: what silent sites share says nothing of responses.
    """
    standard = np.stack([_standardised(muscle) for muscle in trials])
    shared = standard[:, np.isfinite(standard).all(axis=0)]
    power = shared @ shared.T
    scale = np.sqrt(np.diag(power))
    return power / np.outer(scale, scale) if (scale > 0).all() else np.eye(len(trials))


def _standardised(trials: Array) -> Array:
    """Deviations over their standard deviation; NaN at sites whose noise is mostly additive."""
    additive, relative = trial_noise(trials)
    mean = site_means(trials, min_trials=2)[:, None]
    multiplied = relative * np.maximum(mean, 0.0) ** 2
    return np.where(multiplied > additive, (trials - mean) / np.sqrt(additive + multiplied), np.nan)


def fit_trials(trials: Array, coords: Array) -> JointMap:
    """Return the joint smooth map behind single trials (n_muscle, n_site, n_trial); each site has two or more.

    NaN marks a pulse that is not kept; ``coords`` is (n_site, 2).
    """
    fits = []
    for muscle in trials:
        additive, relative = trial_noise(muscle)
        count = np.isfinite(muscle).sum(axis=-1)
        means = site_means(muscle, min_trials=1)
        fits.append(fit_map(means, coords, additive=additive / count, relative=relative / count))
    return join_maps(fits, noise_correlation=residual_correlation(trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDraws:
    """Maps for the parametric bootstrap, in amplitude.

    ``plausible`` (n_draw, n_muscle, n_site) are maps from the posterior, ``refitted`` the fits to them with fresh
    noise, ``around`` (n_draw, n_inner, n_muscle, n_site) draws around each refit.
    """

    fitted: Array
    plausible: Array
    refitted: Array
    around: Array

    @property
    def maps(self) -> Array:
        """The fitted maps (n_muscle, n_site)."""
        return self.fitted

    def corrected(self, functional: Functional) -> tuple[Array, Array]:
        """Return the estimate (...) of ``functional`` of the noise-free site means, and its errors (n_draw, ...).

        ``functional`` takes maps (..., n_muscle, n_site) to values (..., [n_value]). The estimate is ``2 t(fit) - mean
        t(draw)``: the fit errs from the truth as the plausible maps err from the fit, which removes the bias of first
        order. Its errors are those of the same estimate of the refitted maps from the plausible map they came from.
        """
        truth = functional(self.plausible)
        estimate = 2 * functional(self.fitted) - truth.mean(axis=0)
        again = 2 * functional(self.refitted) - functional(self.around).mean(axis=1)
        return estimate, again - truth

    def estimate(self, functional: Functional, *, bounds: tuple[float, float]) -> tuple[float, float, Array]:
        """Return estimate, standard error and 95 % interval (2,) of a ``functional`` with a single value.

        The standard error is the root mean square of the errors, so that bias left over counts; the interval is the
        normal one. Estimate and interval are cut to ``bounds``.
        """
        estimate, errors = self.corrected(functional)
        error = float(np.sqrt(np.mean(errors**2)))
        reach = NORMAL_95 * error
        return float(np.clip(estimate, *bounds)), error, np.clip([estimate - reach, estimate + reach], *bounds)


def draw_maps(joint: JointMap, *, n_draws: int, rng: np.random.Generator) -> MapDraws:
    """Return plausible maps, and what would be fitted to each with fresh trial noise.

    The weights of the smoother are held at those of the data.
    """
    size = joint.log_map.size
    deviation = rng.standard_normal((n_draws, size)) @ joint.spread.T
    noise = rng.standard_normal((n_draws, size)) @ joint.noise_root.T
    inner = rng.standard_normal((INNER_DRAWS, size)) @ joint.spread.T
    fitted = joint.log_map.ravel()
    level = np.repeat(joint.log_map.max(axis=1), joint.log_map.shape[1])
    plausible = fitted + deviation
    refitted = level + (plausible + noise - level) @ joint.gain.T
    maps = [fitted, plausible, refitted, refitted[:, None] + inner]
    shaped = [np.exp(each).reshape(*each.shape[:-1], *joint.log_map.shape) for each in maps]
    return MapDraws(fitted=shaped[0], plausible=shaped[1], refitted=shaped[2], around=shaped[3])
