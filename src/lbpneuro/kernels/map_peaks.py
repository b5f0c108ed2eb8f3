"""Discrete peaks of a motor map: the published count, local maxima that stand out, how often they are found again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lbpneuro.kernels.motor_map import Array, Mask

EIGHT = 8
TIE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakRule:
    """What counts as a peak.

    A site above ``threshold`` times the maximum of the map that is higher than its neighbours: by the published rule
    if at least ``neighbours_min`` of the eight are lower by ``drop`` of its own value, where a neighbour beyond the
    border counts as lower with ``border_lower``; by the strict rule if it is a local maximum with a prominence of at
    least ``drop`` of the maximum. ``support`` is the share of resamples in which a stable peak is found again.
    """

    threshold: float = 0.5
    drop: float = 0.05
    neighbours_min: int = 7
    border_lower: bool = True
    support: float = 0.8


def published_peaks(maps: Array, near: Mask, *, rule: PeakRule) -> Mask:
    """Return the peaks (..., n_site) of site means (..., n_site) by the published rule; ``near`` is (n_site, n_site).

    One higher neighbour is tolerated, so a shoulder beside the maximum counts: a map with a single hill and the noise
    of five trials has two or three such peaks. Missing sites (NaN) are no peaks; as neighbours they are beyond the
    border.
    """
    lower = np.zeros(maps.shape, dtype=int)
    known = np.zeros(maps.shape, dtype=int)
    for places in _steps(near):
        value = _taken(maps, places)
        known += np.isfinite(value)
        lower += value <= (1 - rule.drop) * maps
    beyond = EIGHT - known if rule.border_lower else 0
    return _high(maps, rule) & (lower + beyond >= rule.neighbours_min)


def strict_peaks(maps: Array, near: Mask, *, rule: PeakRule) -> Mask:
    """Return the local maxima (..., n_site) whose prominence is at least ``rule.drop`` of the maximum of the map.

    Prominence is how far one must go down on the way to a higher site. It is tested by reconstruction: the map lowered
    by the wanted prominence is spread from neighbour to neighbour, never above the map; where it stays as low as it
    began, no higher site was within reach. Of equal neighbours the first one counts.
    """
    places = _steps(near)
    present = np.where(np.isfinite(maps), maps, -np.inf)
    top = np.max(present, axis=-1, keepdims=True)
    high = present - TIE * np.abs(top) * np.arange(maps.shape[-1])
    marker = high - rule.drop * top
    start, spread = marker, np.full_like(marker, -np.inf)
    while not np.array_equal(marker, spread):
        spread = marker
        marker = np.minimum(high, np.max([spread, *(_taken(spread, each, absent=-np.inf) for each in places)], axis=0))
    around = np.max([_taken(high, each, absent=-np.inf) for each in places], axis=0)
    return _high(maps, rule) & (high > around) & (marker == start)


def peak_support(peaks: Mask, resampled: Mask, near: Mask) -> Array:
    """Return the share of resamples (n_draw, n_site) that have a peak at or next to each of ``peaks`` (n_site,).

    0 at sites that are no peak.
    """
    close = near | np.eye(len(near), dtype=bool)
    found = (resampled.astype(float) @ close.T.astype(float)) > 0
    return np.where(peaks, found.mean(axis=0), 0.0)


def _high(maps: Array, rule: PeakRule) -> Mask:
    """Which sites are positive and above the threshold; NaN is not."""
    present = np.where(np.isfinite(maps), maps, 0.0)
    top = np.max(present, axis=-1, keepdims=True)
    return (present > rule.threshold * top) & (present > 0)


def _steps(near: Mask) -> list[np.ndarray]:
    """The k-th neighbour of every site, for each k; -1 where a site has fewer."""
    degree = near.sum(axis=1)
    order = np.argsort(~near, axis=1, kind="stable")
    return [np.where(k < degree, order[:, k], -1) for k in range(int(degree.max(initial=0)))]


def _taken(maps: Array, places: np.ndarray, *, absent: float = np.nan) -> Array:
    return np.where(places >= 0, maps[..., places], absent)
