"""Motor maps: what a grid of responses to TMS says of a muscle's cortical representation.

The functionals (``map_area``, ``map_volume``, ``centre_of_gravity``, ``overlap_min`` and their neighbours) act on site
means of shape (..., n_site); a missing site is NaN. They are the definitions that the field publishes. Taken of noisy
means of a few trials they are biased; ``map_fit`` estimates them for the noise-free means, ``map_bootstrap``
resamples the trials as published studies would.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Functional = Callable[[Array], Array]

NEIGHBOUR_REACH = 1.7
"""Farthest of the eight neighbours of a site, in grid spacings: between the diagonal (1.41) and two steps (2)."""
NORMAL_95 = 1.959964


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


def map_area_above(site_means: Array, *, threshold: float, cell_cm2: float) -> Array:
    """Return the area in cm^2 of the sites whose mean is at least ``threshold`` (in the unit of the means)."""
    return (site_means >= threshold).sum(axis=-1) * float(cell_cm2)


def map_volume(site_means: Array, *, tau: float) -> Array:
    """Return the sum of the active sites over the largest site (in sites); NaN for a map without response."""
    active = active_map(site_means, tau=tau)
    return _ratio(np.nansum(active, axis=-1), np.max(active, axis=-1, where=np.isfinite(active), initial=0.0))


def map_volume_absolute(site_means: Array, *, cell_cm2: float) -> Array:
    """Return the sum of the positive site means times the area of a grid cell (unit of the means times cm^2)."""
    return np.nansum(np.maximum(site_means, 0.0), axis=-1) * float(cell_cm2)


def centre_of_gravity(site_means: Array, coords: Array, *, tau: float) -> Array:
    """Return the amplitude-weighted mean of the active sites' ``coords`` (n_site, n_dim), as (..., n_dim)."""
    active = np.nan_to_num(active_map(site_means, tau=tau))
    return _ratio(active @ coords, active.sum(axis=-1)[..., None])


def site_shares(site_means: Array, *, tau: float) -> Array:
    """Return the active sites divided by their sum (..., n_site), missing sites as 0; NaN without response."""
    active = np.nan_to_num(active_map(site_means, tau=tau))
    return _ratio(active, active.sum(axis=-1, keepdims=True))


def map_entropy(site_means: Array, *, tau: float = 0.0) -> Array:
    """Return ``-sum p ln p`` (nats) of the shares ``p`` of the active sites."""
    share = site_shares(site_means, tau=tau)
    return -(share * np.log(share, out=np.zeros_like(share), where=share > 0)).sum(axis=-1)


def effective_sites(site_means: Array, *, tau: float = 0.0) -> Array:
    """Return ``1 / sum p^2`` of the shares ``p`` of the active sites: how many equal sites the map is worth."""
    power = (site_shares(site_means, tau=tau) ** 2).sum(axis=-1)
    return _ratio(np.ones_like(power), power)


def map_spread(site_means: Array, coords: Array, *, tau: float = 0.0) -> Array:
    """Return the root of the trace of the amplitude-weighted covariance of ``coords`` (n_site, 2), in their unit."""
    share = site_shares(site_means, tau=tau)
    centred = coords - coords.mean(axis=0)
    variance = share @ (centred**2).sum(axis=-1) - ((share @ centred) ** 2).sum(axis=-1)
    return np.sqrt(np.maximum(variance, 0.0))


def overlap_min(first: Array, second: Array, *, tau: float) -> Array:
    """Return the overlap of two maps, 0 (apart) to 1 (the same): ``sum min(a / sum a, b / sum b)`` over active sites.

    Schoener's index. Only sites present in both maps count; NaN if either map is without response.
    """
    return np.minimum(*_paired_shares(first, second, tau=tau)).sum(axis=-1)


def overlap_bhattacharyya(first: Array, second: Array, *, tau: float) -> Array:
    """Return ``sum sqrt(p q)`` of the shares of two maps, 0 (apart) to 1 (the same), over sites present in both."""
    p, q = _paired_shares(first, second, tau=tau)
    return np.sqrt(p * q).sum(axis=-1)


def overlap_dice(first: Array, second: Array, *, tau: float) -> Array:
    """Return ``2 |A and B| / (|A| + |B|)`` of the active sites of two maps, over sites present in both."""
    p, q = _paired_shares(first, second, tau=tau)
    both, total = ((p > 0) & (q > 0)).sum(axis=-1), (p > 0).sum(axis=-1) + (q > 0).sum(axis=-1)
    known = np.isfinite(p).all(axis=-1) & np.isfinite(q).all(axis=-1)
    return np.where(known, _ratio(2.0 * both, total), np.nan)


def overlap_share(first: Array, second: Array, *, tau: float) -> Array:
    """Return ``|A and B| / |A|``: how much of the active sites of the first map is active in the second, too."""
    p, q = _paired_shares(first, second, tau=tau)
    known = np.isfinite(p).all(axis=-1) & np.isfinite(q).all(axis=-1)
    return np.where(known, _ratio(((p > 0) & (q > 0)).sum(axis=-1).astype(float), (p > 0).sum(axis=-1)), np.nan)


def _paired_shares(first: Array, second: Array, *, tau: float) -> tuple[Array, Array]:
    present = np.isfinite(first) & np.isfinite(second)
    p, q = (site_shares(np.where(present, each, 0.0), tau=tau) for each in (first, second))
    return p, q


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


# ----------------------------------------------------------------------------------------------------------- distance


def signed_root(square: Array) -> Array:
    """Return ``sign(s) sqrt(|s|)``."""
    return np.sign(square) * np.sqrt(np.abs(square))


def debiased_length(vector: Array, errors: Array) -> tuple[float, float, Array]:
    """Return length, standard error and 95 % interval (2,) of a vector (n_dim,) that was estimated with ``errors``.

    ``errors`` (n_draw, n_dim) are draws of the error of the estimate. Noise makes a length too large, so the mean
    square error is taken off its square: ``D^2 = |v|^2 - trace E[e e']``, and the sign-preserving root of ``D^2`` is
    returned: below 0 the ends are nearer to each other than noise alone would put them. The interval holds the
    lengths ``r`` (along ``v``) for which ``|v|`` lies within the central 95 % of ``|r u + e|``; its lower end is 0
    where no distance at all is compatible, and never above the estimate.
    """
    noise = float((errors**2).sum(axis=-1).mean())
    found = float(np.linalg.norm(vector))
    value = float(signed_root(np.array(found**2 - noise)))
    direction = vector / found if found > 0 else np.eye(vector.size)[0]
    again = np.linalg.norm(max(value, 0.0) * direction + errors, axis=-1)
    error = float(np.sqrt(np.mean((signed_root(again**2 - noise) - max(value, 0.0)) ** 2)))
    lengths = np.linspace(0.0, found + 6 * np.sqrt(noise), 301)
    reached = np.linalg.norm(lengths[:, None, None] * direction + errors, axis=-1) >= found
    share = np.maximum.accumulate(reached.mean(axis=-1))
    low, high = (float(np.interp(level, share, lengths)) for level in (0.025, 0.975))
    return value, error, np.array([min(low, value), max(high, value)])


# ----------------------------------------------------------------------------------------------------------- geometry


def grid_spacing(coords: Array) -> float:
    """Return the spacing of a grid: the median distance of a site (n_site, 2) to its nearest neighbour."""
    distance = distances(coords)
    np.fill_diagonal(distance, np.inf)
    return float(np.median(distance.min(axis=1)))


def distances(coords: Array) -> Array:
    """Return the distances (n_site, n_site) between sites (n_site, 2)."""
    return np.linalg.norm(coords[:, None] - coords[None], axis=-1)


def border_sites(coords: Array) -> Mask:
    """Return which sites (n_site,) lie at the border of the grid: those that lack one of four neighbours."""
    spacing = grid_spacing(coords)
    steps = spacing * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    wanted = coords[:, None] + steps
    nearest = np.linalg.norm(wanted[:, :, None] - coords[None, None], axis=-1).min(axis=-1)
    return (nearest > spacing / 2).any(axis=1)


def neighbours(coords: Array) -> Mask:
    """Return which sites (n_site, n_site) are among the eight neighbours of which, whatever the turn of the grid."""
    near = distances(coords) < NEIGHBOUR_REACH * grid_spacing(coords)
    np.fill_diagonal(near, False)
    return near


def imputation(coords: Array, present: Mask, *, neighbours_min: int = 5) -> tuple[Array, Mask]:
    """Return weights (n_filled, n_present) that fill missing sites from their neighbours, and which sites result.

    A missing site with at least ``neighbours_min`` of its eight neighbours present gets the value at its place of the
    plane through them (least squares), as bilinear interpolation has; other missing sites stay missing. Sites that
    are present keep their means. The mask is (n_site,).
    """
    near = neighbours(coords) & present
    filled = ~present & (near.sum(axis=1) >= neighbours_min)
    weights = np.zeros((len(coords), len(coords)))
    weights[np.flatnonzero(present), np.flatnonzero(present)] = 1.0
    for site in np.flatnonzero(filled):
        around = coords[near[site]] - coords[site]
        plane = np.column_stack([np.ones(len(around)), around])
        weights[site, near[site]] = np.linalg.pinv(plane)[0]
    kept = present | filled
    return weights[kept][:, present], kept


def site_means(trials: Array, *, min_trials: int) -> Array:
    """Return the mean over trials (..., n_site, n_trial), NaN entries left out; NaN below ``min_trials``."""
    count = np.isfinite(trials).sum(axis=-1)
    return np.where(count >= min_trials, _ratio(np.nansum(trials, axis=-1), count), np.nan)


def asymmetry(left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float]:
    """Return ``(L - R) / (L + R)`` and its standard error from two independent (value, standard error).

    First order: ``se = 2 sqrt((R s_L)^2 + (L s_R)^2) / (L + R)^2``. NaN if the sum is not positive.
    """
    (a, error_a), (b, error_b) = left, right
    total = a + b
    if not total > 0:
        return np.nan, np.nan
    return (a - b) / total, 2 * float(np.hypot(b * error_a, a * error_b)) / total**2
