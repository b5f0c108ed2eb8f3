"""Motor maps: what a grid of responses to TMS says of a muscle's cortical representation, and how surely.

Functionals (``map_area``, ``map_volume``, ``centre_of_gravity``, ``overlap_min``) act on site means of shape
(..., n_site); a missing site is NaN. They define the estimand: the functional of the noise-free site means, that is
of the means that infinitely many trials per site would give.

Taken of the noisy means of five or ten trials, the same functionals are far off: noise raises the largest of the
means, which shrinks area and volume, and noise that two muscles do not share lowers their overlap, so that
a noisier participant seems less smudged. Resampling the trials repeats that error around the wrong map. Here the
site means are therefore first estimated together (``fit_map``): a log-link Gaussian process with a quadratic trend,
weighted by the noise that the trials show. The interval comes from a parametric bootstrap (``calibrated``): maps that
the fit finds plausible are given fresh trial noise and are fitted again, and the errors then made tell bias and
standard error of the estimate, smoothing error included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Functional = Callable[[Array], Array]

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
INNER_DRAWS = 25


def active_map(site_means: Array, *, tau: float) -> Array:
    """Return site means (..., n_site) with inactive sites set to 0: negative, or below ``tau`` times the maximum.

    Missing sites (NaN) stay missing. A map without a positive site is 0 everywhere.
    """
    positive = np.maximum(site_means, 0.0)
    peak = np.max(positive, axis=-1, keepdims=True, where=np.isfinite(positive), initial=0.0)
    return np.where(np.isnan(positive) | (positive >= tau * peak), positive, 0.0)


def share_of_maximum(site_means: Array) -> Array:
    """Return site means (..., n_site) as a share of the largest, negative ones as 0; NaN for a map without response."""
    positive = np.maximum(site_means, 0.0)
    return _ratio(positive, np.max(positive, axis=-1, keepdims=True, where=np.isfinite(positive), initial=0.0))


def map_area(site_means: Array, *, tau: float, cell_cm2: float) -> Array:
    """Return the area of the active sites in cm^2: their number times the area of a grid cell."""
    return (active_map(site_means, tau=tau) > 0).sum(axis=-1) * float(cell_cm2)


def map_volume(site_means: Array, *, tau: float) -> Array:
    """Return the sum of the active sites over the largest site (in sites); NaN for a map without response."""
    active = active_map(site_means, tau=tau)
    return _ratio(np.nansum(active, axis=-1), np.max(active, axis=-1, where=np.isfinite(active), initial=0.0))


def centre_of_gravity(site_means: Array, coords: Array, *, tau: float) -> Array:
    """Return the amplitude-weighted mean of the active sites' ``coords`` (n_site, n_dim), as (..., n_dim)."""
    active = np.nan_to_num(active_map(site_means, tau=tau))
    return _ratio(active @ coords, active.sum(axis=-1)[..., None])


def overlap_min(first: Array, second: Array, *, tau: float) -> Array:
    """Return the overlap of two maps, 0 (apart) to 1 (the same): ``sum min(a / sum a, b / sum b)`` over active sites.

    Schoener's index. Only sites present in both maps count; NaN if either map is without response.
    """
    present = np.isfinite(first) & np.isfinite(second)
    a = active_map(np.where(present, first, 0.0), tau=tau)
    b = active_map(np.where(present, second, 0.0), tau=tau)
    total_a, total_b = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    return np.minimum(_ratio(a, total_a), _ratio(b, total_b)).sum(axis=-1)


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def grid_spacing(coords: Array) -> float:
    """Return the spacing of a grid: the median distance of a site (n_site, 2) to its nearest neighbour."""
    distance = np.linalg.norm(coords[:, None] - coords[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float(np.median(distance.min(axis=1)))


def border_sites(coords: Array) -> Mask:
    """Return which sites (n_site,) lie at the border of the grid: those that lack one of four neighbours."""
    spacing = grid_spacing(coords)
    steps = spacing * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    wanted = coords[:, None] + steps
    nearest = np.linalg.norm(wanted[:, :, None] - coords[None, None], axis=-1).min(axis=-1)
    return (nearest > spacing / 2).any(axis=1)


def site_means(trials: Array, *, min_trials: int) -> Array:
    """Return the mean over trials (..., n_site, n_trial), NaN entries left out; NaN below ``min_trials``."""
    count = np.isfinite(trials).sum(axis=-1)
    return np.where(count >= min_trials, _ratio(np.nansum(trials, axis=-1), count), np.nan)


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
        noise = relative + additive / expected**2
        working = log_map + np.clip((means - expected) / expected, *STEP_LIMITS)
        level = working.max()
        if iteration in SELECTIONS:
            prior = max(priors, key=lambda each: log_evidence(working - level, each + np.diag(noise)))
        log_map = level + prior @ scipy.linalg.solve(prior + np.diag(noise), working - level, assume_a="pos")
    return FittedMap(log_map=log_map, prior=prior, noise=relative + additive * np.exp(-2 * log_map))


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


def calibrated(functional: Functional, draws: MapDraws, *, bounds: tuple[float, float]) -> tuple[float, float, Array]:
    """Return estimate, standard error and 95 % interval (2,) of ``functional`` of the noise-free site means.

    ``functional`` takes maps (..., n_muscle, n_site) to values (...). The estimate is ``2 t(fit) - mean t(draw)``:
    the fit errs from the truth as the plausible maps err from the fit, which removes the bias of first order. Its
    standard error is that of the same estimate of the refitted maps around the plausible map they came from
    (root mean square, so that bias left over counts), the interval is the normal one, cut to ``bounds``.
    """
    estimate = 2 * functional(draws.fitted) - functional(draws.plausible).mean()
    again = 2 * functional(draws.refitted) - functional(draws.around).mean(axis=1)
    error = float(np.sqrt(np.mean((again - functional(draws.plausible)) ** 2)))
    value = float(np.clip(estimate, *bounds))
    interval = np.clip([estimate - 1.959964 * error, estimate + 1.959964 * error], *bounds)
    return value, error, interval
