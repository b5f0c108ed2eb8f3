"""What the motor-map markers are taken of: trials per site or pulse, and what is fitted to them or resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels import map_bootstrap, map_fit, map_peaks, map_surface, motor_map
from lbpneuro.kernels.motor_map import Array, Functional, Mask
from lbpneuro.markers.descriptor import Estimate, Level

SITES_MIN = 6
GRID_SHARE_MIN = 0.8
PULSES_MIN = 30
"""Fewest pulses of a map without a grid; about 63 are held adequate."""
PULSES_FLAG = 63
ACTIVE_MIN = 3
"""Fewest active sites among which peaks are told apart."""
CLIPPED_MAX = 0.20
"""Share of clipped pulses beyond which there is no map: the largest responses are those that are lost."""
REJECTED_FLAG = 0.30
INTENSITY_APART_MSO = 2.0
"""Most that the stimulator output of the pulses of one map may differ (% of its maximum)."""
SURFACE_DRAWS = 200
"""Draws for the intervals of a map without a grid, whose surfaces have thousands of points."""
DEEP_AND_SUPERFICIAL = frozenset(("multifidus_deep", "longissimus"))
CONSTRUCTS = {
    DEEP_AND_SUPERFICIAL: "deep and superficial muscle of the back",
    frozenset(("erector_spinae_L5", "erector_spinae_L3")): "one muscle at two levels of the spine",
}


def construct(muscles: Sequence[str]) -> str:
    """Return in words what the overlap of a pair of muscles is an overlap of."""
    if len(muscles) == 1:
        return "a single muscle"
    return CONSTRUCTS.get(frozenset(muscles), "a pair of muscles that no cited study mapped")


class Draws(Protocol):
    """An estimator of functionals of maps: ``MapDraws`` or ``ResampledMaps``."""

    @property
    def maps(self) -> Array:
        """The maps themselves (n_muscle, n_site)."""

    def corrected(self, functional: Functional) -> tuple[Array, Array]:
        """Return estimate (...) and errors (n_draw, ...)."""

    def estimate(self, functional: Functional, *, bounds: tuple[float, float]) -> tuple[float, float, Array]:
        """Return estimate, standard error and interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HemisphereMap:
    """Single-trial amplitudes over one mapped hemisphere.

    Attributes
    ----------
    amplitude : (n_muscle, n_site, n_trial)
        Amplitude above background (uV), NaN where a pulse was not delivered or not kept; a column is the same pulse in
        all muscles. Without a grid every pulse is a site of its own.
    response : (n_muscle, n_site, n_trial)
        What the presence of a response is judged by (uV), and ``threshold`` (n_muscle,) for its site means.
    coords_mm : (n_site, 2)
        x (right) and y (anterior) from the vertex.
    unstable : (n_muscle,)
        Whether the background varied more than it may.
    walk
        Whether the pulses follow no grid.
    area_threshold
        Amplitude (uV) from which a site counts for the absolute area; None: from the noise of the trials.
    crosstalk
        Whether the backgrounds of the muscles correlate.
    rejected, clipped
        Share of the pulses that were rejected, and of those that left the range of the amplifier, by muscle.
    intensity_changed
        Whether the stimulator output differed by more than ``INTENSITY_APART_MSO`` between pulses.
    slow
        Whether the recording was sampled below the recommended rate.
    tails
        Muscles in which the artefact of the pulse lasts into the response.
    other_frame
        Whether the muscles were recorded in different runs whose coordinates are not known to be in one frame.
    """

    muscles: tuple[str, ...]
    amplitude: Array
    response: Array
    threshold: Array
    coords_mm: Array
    unstable: NDArray[np.bool_]
    walk: bool = False
    area_threshold: float | None = None
    crosstalk: bool = False
    rejected: Mapping[str, float] = field(default_factory=dict)
    clipped: Mapping[str, float] = field(default_factory=dict)
    intensity_changed: bool = False
    slow: bool = False
    tails: frozenset[str] = frozenset()
    other_frame: bool = False

    def fault(self, muscles: Sequence[str]) -> Estimate | None:
        """Return why the recording allows no map of ``muscles``; None if it does."""
        if self.intensity_changed:
            return Estimate.fail(Reason.INTENSITY_CHANGED)
        if self.other_frame and len(muscles) > 1:
            return Estimate.fail(Reason.OTHER_FRAME)
        clipped = max(self.clipped.get(muscle, 0.0) for muscle in muscles)
        return Estimate.fail(Reason.CLIPPED) if clipped > CLIPPED_MAX else None

    def rows(self, muscles: Sequence[str]) -> list[int]:
        """Return the places of ``muscles`` on the first axis."""
        return [self.muscles.index(muscle) for muscle in muscles]

    def trials(self, muscles: Sequence[str]) -> Array:
        """Return the amplitudes of ``muscles`` where all of them are kept; all, if they share no pulse at all."""
        trials = self.amplitude[self.rows(muscles)]
        shared = np.isfinite(trials).all(axis=0)
        return np.where(shared, trials, np.nan) if shared.any() else trials

    def without_response(self, muscles: Sequence[str], *, min_trials: int) -> bool:
        """Return whether any of the muscles has no site whose response is told from noise."""
        rows = self.rows(muscles)
        kept = min(min_trials, 1) if self.walk else min_trials
        means = motor_map.site_means(self.response[rows], min_trials=kept)
        weak = np.max(means, axis=-1, where=np.isfinite(means), initial=-np.inf) < self.threshold[rows]
        return bool(weak.any() or (np.nansum(self.amplitude[rows], axis=(1, 2)) <= 0).any())


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSites:
    """The maps of some muscles over the sites that all of them have, and draws for their intervals.

    ``cell_cm2`` is the area of a site; ``site`` what a site counts in sums over sites: 1 on a grid, its area in cm^2 on
    a lattice, so that a sum does not depend on how fine the lattice is. ``border`` (n_site,) marks the sites at the rim
    of what was stimulated; ``imputed`` sites were filled by their neighbours. ``sd`` (n_muscle, n_site) is the standard
    deviation of a surface.
    """

    draws: Draws
    coords_mm: Array
    border: Mask
    n_trials: int
    cell_cm2: float
    site: float = 1.0
    imputed: int = 0
    sd: Array | None = None

    @property
    def n_sites(self) -> int:
        """Number of sites or lattice points."""
        return len(self.coords_mm)


Fit = FittedSites | Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Peaks of the mean responses of one muscle over the sites (n_site,), and of resampled trials (n_draw, n_site)."""

    published: Mask
    strict: Mask
    support: Array
    published_again: Mask
    strict_again: Mask
    kept: Mask
    n_trials: int


@dataclass(frozen=True)
class MotorMaps:
    """The maps of a session by hemisphere, and the settings of the family."""

    maps: Mapping[str, HemisphereMap]
    settings: Mapping[str, Any]
    seed: int

    @cached_property
    def single(self) -> dict[Level, Fit]:
        """The fit of each muscle and hemisphere, or why there is none."""
        return {
            (muscle, hemi): self._fit(each, (muscle,)) for hemi, each in self.maps.items() for muscle in each.muscles
        }

    @cached_property
    def pairs(self) -> dict[Level, Fit]:
        """The joint fit of the pair of muscles per hemisphere, or why there is none; nothing of a single muscle."""
        pair = self.pair
        if len(pair) == 1:
            return {}
        return {(hemi,): self._fit(each, pair) for hemi, each in self.maps.items() if set(pair) <= set(each.muscles)}

    @cached_property
    def peaks(self) -> dict[Level, Peaks | Estimate]:
        """The peaks of each muscle and hemisphere, or why they are not counted."""
        return {level: self._peaks(*level) for level in self.single}

    @property
    def pair(self) -> tuple[str, ...]:
        """The two muscles in the order of their names, or the single one."""
        return tuple(sorted(self.settings["muscles"]))

    def means(self, hemi: str, muscle: str) -> Array:
        """Return the site means (n_site,) of a muscle, NaN where too few trials are kept."""
        return motor_map.site_means(self.maps[hemi].trials((muscle,))[0], min_trials=self._min_trials(self.maps[hemi]))

    def _min_trials(self, each: HemisphereMap) -> int:
        return 1 if each.walk else int(self.settings["site_trials_min"])

    def _fit(self, each: HemisphereMap, muscles: tuple[str, ...]) -> Fit:
        """Fit ``muscles`` over their common sites and pulses."""
        if fault := each.fault(muscles):
            return fault
        trials = each.trials(muscles)
        n_trials = int(np.isfinite(trials).sum(axis=(1, 2)).min())
        kept = (np.isfinite(trials).sum(axis=-1) >= self._min_trials(each)).all(axis=0)
        fewest = PULSES_MIN if each.walk else max(SITES_MIN, GRID_SHARE_MIN * kept.size)
        if kept.sum() < fewest:
            return Estimate.fail(Reason.TOO_FEW_SITES, n=int(kept.sum()))
        if each.without_response(muscles, min_trials=self._min_trials(each)):
            return Estimate.fail(Reason.NO_MAP, n=n_trials)
        if each.walk:
            return self._surface(trials[:, kept, :], each.coords_mm[kept])
        return self._sites(trials, each.coords_mm, kept=kept, n_trials=n_trials)

    def _sites(self, trials: Array, coords: Array, *, kept: Mask, n_trials: int) -> FittedSites:
        """The maps of a grid; missing sites are filled where enough neighbours are there."""
        draws = self._draws(trials[:, kept], coords[kept])
        weights, filled = motor_map.imputation(coords, kept, neighbours_min=self.settings["impute_neighbours_min"])
        imputed = int(filled.sum() - kept.sum())
        return FittedSites(
            draws=_through(draws, weights) if imputed else draws,
            coords_mm=coords[filled],
            border=motor_map.border_sites(coords[filled]),
            n_trials=n_trials,
            cell_cm2=(motor_map.grid_spacing(coords) / 10) ** 2,
            imputed=imputed,
        )

    def _draws(self, trials: Array, coords: Array) -> Draws:
        rng, n_draws = np.random.default_rng(self.seed), self.settings["bootstrap"]
        if self.settings["estimator"] == "plain":
            resampled = map_bootstrap.resample_means(trials, n_draws=n_draws, rng=rng)
            return map_bootstrap.ResampledMaps(maps=motor_map.site_means(trials, min_trials=1), resampled=resampled)
        return map_fit.draw_maps(map_fit.fit_trials(trials, coords), n_draws=n_draws, rng=rng)

    def _surface(self, trials: Array, coords: Array) -> FittedSites:
        """The maps of a walk, on a lattice within the hull of its pulses; outlying positions are left out."""
        inside = ~map_surface.outlying(np.linalg.norm(coords - np.median(coords, axis=0), axis=1))
        amplitude, coords = np.nanmean(trials[:, inside], axis=-1), coords[inside]
        size = self.settings["lattice"]
        points, covered = map_surface.lattice(coords, size=size)
        cell = map_surface.cell_area_cm2(coords, size=size)
        draws, sd = self._surface_draws(coords, amplitude, points[covered])
        return FittedSites(
            draws=draws,
            coords_mm=points[covered],
            border=map_surface.rim(covered, size=size)[covered],
            n_trials=len(coords),
            cell_cm2=cell,
            site=cell,
            sd=sd,
        )

    def _surface_draws(self, coords: Array, amplitude: Array, points: Array) -> tuple[Draws, Array | None]:
        rng, n_draws = np.random.default_rng(self.seed), min(SURFACE_DRAWS, self.settings["bootstrap"])
        if self.settings["estimator"] == "plain":
            return map_surface.resample_linear(coords, amplitude, points, n_draws=n_draws, rng=rng), None
        surfaces = tuple(map_surface.fit_surface(coords, each) for each in amplitude)
        sd = np.stack([each.mean_and_sd(points)[1] for each in surfaces])
        return map_surface.draw_surfaces(surfaces, points, n_draws=n_draws, rng=rng), sd

    def _peaks(self, muscle: str, hemi: str) -> Peaks | Estimate:
        """The peaks of the mean responses; counted on grids, of enough trials, with enough active sites."""
        each, fit = self.maps[hemi], self.single[muscle, hemi]
        if isinstance(fit, Estimate):
            return fit
        if each.walk:
            return Estimate.fail(Reason.NO_GRID)
        trials = each.trials((muscle,))
        count = np.isfinite(trials[0]).sum(axis=-1)
        if np.median(count) < self.settings["site_trials_flag"]:
            return Estimate.fail(Reason.TOO_FEW_TRIALS, n=fit.n_trials)
        kept = count >= self._min_trials(each)
        means = motor_map.site_means(trials[0, kept], min_trials=1)
        if (motor_map.active_map(means, tau=self.settings["tau"]) > 0).sum() < ACTIVE_MIN:
            return Estimate.fail(Reason.TOO_FEW_SITES, n=fit.n_trials)
        return self._counted(trials[:, kept], means, each=each, kept=kept)

    def _counted(self, trials: Array, means: Array, *, each: HemisphereMap, kept: Mask) -> Peaks:
        """The peaks of ``means`` (n_kept,) and of resampled ``trials`` (1, n_kept, n_trial)."""
        rng = np.random.default_rng(self.seed)
        again = map_bootstrap.resample_means(trials, n_draws=self.settings["bootstrap"], rng=rng)[:, 0]
        near = motor_map.neighbours(each.coords_mm)[np.ix_(kept, kept)]
        rule = map_peaks.PeakRule(**self.settings["peaks"])
        strict = map_peaks.strict_peaks(means, near, rule=rule)
        strict_again = map_peaks.strict_peaks(again, near, rule=rule)
        return Peaks(
            published=map_peaks.published_peaks(means, near, rule=rule),
            strict=strict,
            support=map_peaks.peak_support(strict, strict_again, near),
            published_again=map_peaks.published_peaks(again, near, rule=rule),
            strict_again=strict_again,
            kept=kept,
            n_trials=int(np.isfinite(trials).sum()),
        )

    def flags(self, hemi: str, *muscles: str) -> list[Reason]:
        """Return what qualifies the map markers of ``muscles``."""
        each = self.maps[hemi]
        rows = each.rows(muscles)
        counts = np.isfinite(each.amplitude[rows]).sum(axis=-1)
        few = (
            counts.sum(axis=-1) < PULSES_FLAG
            if each.walk
            else (np.median(counts, axis=-1) < self.settings["site_trials_flag"])
        )
        found = {
            Reason.FEW_TRIALS: bool(few.any()),
            Reason.UNSTABLE_BACKGROUND: bool(each.unstable[rows].any()),
            Reason.CROSSTALK: len(muscles) > 1 and each.crosstalk,
            Reason.OTHER_CONSTRUCT: len(muscles) > 1 and frozenset(muscles) != DEEP_AND_SUPERFICIAL,
            Reason.MANY_REJECTED: max(each.rejected.get(muscle, 0.0) for muscle in muscles) > REJECTED_FLAG,
            Reason.LOW_SAMPLING_RATE: each.slow,
            Reason.ARTEFACT_TAIL: not each.tails.isdisjoint(muscles),
        }
        return [reason for reason, applies in found.items() if applies]

    def map_flags(self, fit: FittedSites) -> list[Reason]:
        """Return the flags of maps that are still active at the border, or whose missing sites were filled."""
        active = motor_map.active_map(fit.draws.maps, tau=self.settings["tau"]) > 0
        found = {
            Reason.MAP_TRUNCATED: bool(active[..., fit.border].any()),
            Reason.IMPUTED_SITES: fit.imputed > 0,
        }
        return [reason for reason, applies in found.items() if applies]

    def area_threshold(self, hemi: str, muscle: str) -> float:
        """Return the amplitude (uV) from which a site of a muscle counts for the absolute area.

        Stated for muscles at rest; of active ones so many standard deviations of single trials without a response,
        which are the additive part of the noise.
        """
        each = self.maps[hemi]
        if each.area_threshold is not None:
            return each.area_threshold
        additive, _ = map_fit.trial_noise(each.trials((muscle,))[0])
        return float(self.settings["area_active_sd"] * np.sqrt(additive))

    def centre_covariance(self, level: Level) -> tuple[Array, Array] | None:
        """Return the centre of gravity (2,) of a muscle and the covariance (2, 2) of its errors, in mm."""
        fit = self.single[level]
        if isinstance(fit, Estimate):
            return None
        centre, errors = fit.draws.corrected(
            lambda maps: motor_map.centre_of_gravity(maps[..., 0, :], fit.coords_mm, tau=self.settings["tau"])
        )
        return centre, errors.T @ errors / len(errors)


def _through(draws: Draws, weights: Array) -> Draws:
    """Every array of maps (..., n_site) times ``weights`` (n_new, n_site)."""
    arrays = {each.name: getattr(draws, each.name) @ weights.T for each in fields(draws)}  # type: ignore[arg-type]
    return replace(draws, **arrays)  # type: ignore[type-var]
