"""Motor maps as published: functionals of the mean responses, with intervals from resampled trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lbpneuro.kernels.motor_map import Array, Functional, Mask, overlap_min


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledMaps:
    """Site means ``maps`` (n_muscle, n_site) and those of resampled trials, ``resampled`` (n_draw, n_muscle, n_site).

    The plain estimator: values as published maps have them, biased by the noise of the means, and percentile
    intervals that repeat the bias.
    """

    maps: Array
    resampled: Array

    def corrected(self, functional: Functional) -> tuple[Array, Array]:
        """Return ``functional`` of the maps (...), and its deviations in the resampled maps (n_draw, ...)."""
        value = functional(self.maps)
        return value, functional(self.resampled) - value

    def estimate(self, functional: Functional, *, bounds: tuple[float, float]) -> tuple[float, float, Array]:
        """Return value, standard error (``ddof=1``) and percentile interval (2,) of ``functional``, cut to ``bounds``.

        The interval is widened to the value where bias carries all resamples past it.
        """
        value, deviations = self.corrected(functional)
        low, high = np.nanpercentile(value + deviations, [2.5, 97.5])
        interval = np.array([min(low, float(value)), max(high, float(value))])
        return float(np.clip(value, *bounds)), float(np.nanstd(deviations, ddof=1)), np.clip(interval, *bounds)


def resample_means(trials: Array, *, n_draws: int, rng: np.random.Generator) -> Array:
    """Return site means (n_draw, n_muscle, n_site) of trials drawn with replacement within sites.

    ``trials`` is (n_muscle, n_site, n_trial), NaN where a pulse is not kept; the same pulses are drawn for all muscles.
    Muscles that share no pulse (recorded one after the other) are drawn each for themselves.
    """
    kept = np.isfinite(trials)
    shared: Mask = np.logical_and.reduce(kept, axis=0)
    if shared.any():
        return _resample(trials, shared, n_draws=n_draws, rng=rng)
    apart = [_resample(trials[[m]], kept[m], n_draws=n_draws, rng=rng) for m in range(len(trials))]
    return np.concatenate(apart, axis=1)


def _resample(trials: Array, kept: Mask, *, n_draws: int, rng: np.random.Generator) -> Array:
    """Weights are how often each pulse was drawn: the means are then one product per site."""
    count = kept.sum(axis=1)
    first = np.argsort(~kept, axis=1, kind="stable")
    n_site, n_trial = kept.shape
    drawn = (rng.random((n_site, n_draws, n_trial)) * count[:, None, None]).astype(np.intp)
    used = np.arange(n_trial) < count[:, None]
    ordered = np.take_along_axis(np.where(kept, trials, 0.0), first[None], axis=2)
    picked = np.take_along_axis(ordered[:, :, None, :], drawn[None], axis=3)
    total = np.einsum("msbt,st->bms", picked, used.astype(float))
    with np.errstate(invalid="ignore"):
        return total / count


def shuffled_overlap(maps: Array, *, tau: float, n_draws: int, rng: np.random.Generator) -> Array:
    """Return the overlap (n_draw,) of two maps (2, n_site) when the sites of the second are dealt out at random.

    What two maps of these amplitudes overlap without any order in space. Neighbouring sites respond alike, so that
    overlaps above it are no surprise: it is a foot of the scale, not a test of smudging.
    """
    order = rng.permuted(np.tile(np.arange(maps.shape[1]), (n_draws, 1)), axis=1)
    return overlap_min(maps[0], maps[1][order], tau=tau)
