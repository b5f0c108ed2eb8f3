"""What the sensory tests of a session are to their markers: trials by place, norms, and what limits a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychophysics import (
    Array,
    Mean,
    average,
    coefficient_of_variation,
    combination,
    log10_mean,
    mean,
    ratio_of_means,
)
from lbpneuro.markers.descriptor import Estimate, Level

TITLE = "Sensory tests"

Place = tuple[str, str]
"""A body site and its side: L, R, or n/a where none was stated."""

SE_TRIALS = "From the scatter of the trials, Student's t; combined by Welch-Satterthwaite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramps:
    """The trials of a threshold at one place (n_trial,); a trial that met a limit has the limit as its value.

    ``above``: the true threshold lies above the value; ``below``: it lies below.
    """

    values: Array
    above: NDArray[np.bool_]
    below: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trains:
    """The trains of one modality: ratings 0 to 100 of each stimulus (n_train, n_stimulus), NaN where not rated.

    ``single`` and ``train`` (n_train,) are the ratings of a single stimulus and of the train as a whole.
    """

    ratings: Array
    single: Array
    train: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """One application of a conditioning stimulus at one place: trials before, and during or after it.

    ``base_limited`` and ``limited`` tell whether a trial of either reached the limit of the device.
    """

    repeat: int
    base: Array
    conditioned: Array
    base_limited: bool = False
    limited: bool = False
    aborted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulation:
    """A test stimulus with a conditioning stimulus; ``strength`` is the highest rating of the latter, or NaN."""

    applications: tuple[Conditioning, ...]
    strength: float = math.nan
    at_pain_site: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """What people without pain of this sex and age have at this place, on the scale of the parameter."""

    mean: float
    sd: float
    n: int
    source: str
    device_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SensoryData:
    """The sensory tests of a session.

    ``ppt`` (kPa) and ``cpt`` (degC) by place, ``trains`` by modality, ``modulation`` by (test stimulus, timing),
    ``norms`` by (parameter, site): a norm, or why there is none. ``settings`` is the section ``sensory``.
    """

    settings: Mapping[str, Any]
    ppt: Mapping[Place, Ramps] = field(default_factory=dict)
    cpt: Mapping[Place, Ramps] = field(default_factory=dict)
    trains: Mapping[str, Trains] = field(default_factory=dict)
    modulation: Mapping[tuple[str, str], Modulation] = field(default_factory=dict)
    norms: Mapping[Level, Norm | Reason] = field(default_factory=dict)


class Bound(StrEnum):
    """What a limit of the device makes of a mean of trials."""

    NONE = "none"
    LOWER = "lower"
    UPPER = "upper"
    UNKNOWN = "unknown"

    def joined(self, other: Bound) -> Bound:
        """The bound of the sum of two values."""
        if Bound.NONE in (self, other):
            return other if self is Bound.NONE else self
        return self if self is other else Bound.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A mean of trials, the bound that limits of the device made of it, and its caveats."""

    mean: Mean
    bound: Bound = Bound.NONE
    flags: tuple[Reason, ...] = ()

    def minus(self, other: Threshold) -> Threshold:
        """Return the difference of two independent thresholds.

        Where either is a bound nothing is known of it: a bound minus a mean with an error of its own is none.
        """
        exact = self.bound is other.bound is Bound.NONE
        return Threshold(
            mean=combination([self.mean, other.mean], [1.0, -1.0]),
            bound=Bound.NONE if exact else Bound.UNKNOWN,
            flags=(*self.flags, *other.flags),
        )

    def estimate(self) -> Estimate:
        """Return the value; of a bound no value but the bound, open on the side of the true value."""
        if self.bound is Bound.UNKNOWN:
            return Estimate.fail(Reason.CENSORED_AT_LIMIT, n=self.mean.n)
        if self.bound is Bound.LOWER:
            return Estimate.censored(low=self.mean.value, n=self.mean.n, flags=self.flags)
        if self.bound is Bound.UPPER:
            return Estimate.censored(high=self.mean.value, n=self.mean.n, flags=self.flags)
        mean = self.mean
        return Estimate.of(mean.value, se=mean.se, ci=mean.interval(), n=mean.n, flags=self.flags)


def averaged(thresholds: Sequence[Threshold]) -> Threshold:
    """Return the unweighted mean of independent thresholds; not empty."""
    bound = Bound.NONE
    for each in thresholds:
        bound = bound.joined(each.bound)
    flags = tuple(flag for each in thresholds for flag in each.flags)
    return Threshold(mean=average([each.mean for each in thresholds]), bound=bound, flags=flags)


def ramp_threshold(ramps: Ramps, settings: Mapping[str, Any], *, log: bool) -> Threshold | None:
    """Return the threshold of one place, as log10 of the mean if ``log``; None without a valid trial."""
    first = int(settings["drop_first"] and ramps.values.size > 1)
    values, above, below = ramps.values[first:], ramps.above[first:], ramps.below[first:]
    valid = np.isfinite(values)
    if not valid.any():
        return None
    bound = Bound.LOWER if (above & valid).any() else Bound.NONE
    bound = bound.joined(Bound.UPPER if (below & valid).any() else Bound.NONE)
    variable = log and coefficient_of_variation(values) > settings["cv_flag"]
    found = {
        Reason.FEW_TRIALS: valid.sum() < settings["trials"] - first,
        Reason.VARIABLE_TRIALS: variable,
    }
    of_values = log10_mean(values) if log else mean(values)
    if not np.isfinite(of_values.value):
        return None
    return Threshold(mean=of_values, bound=bound, flags=tuple(reason for reason, applies in found.items() if applies))


def sides_of(places: Mapping[Place, Ramps], site: str) -> dict[str, Ramps]:
    """Return the ramps at a site by side."""
    return {side: ramps for (name, side), ramps in places.items() if name == site}


def site_threshold(
    places: Mapping[Place, Ramps], site: str, settings: Mapping[str, Any], *, log: bool
) -> Threshold | None:
    """Return the mean of the sides of a site; None if it was not tested or no trial is valid."""
    sides = [ramp_threshold(ramps, settings, log=log) for ramps in sides_of(places, site).values()]
    found = [each for each in sides if each is not None]
    return averaged(found) if found else None


def sites(config: Mapping[str, Any]) -> list[str]:
    """Return the sites of the settings, local ones first."""
    where = config["sensory"]["sites"]
    return [*where["local"], *where["remote"]]


def site_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of a site."""
    return [(site,) for site in sites(config)]


def absence(places: Mapping[Place, Ramps], site: str) -> Estimate:
    """Return why a site has no value: it was not tested, or no trial was valid."""
    tested = bool(sides_of(places, site))
    return Estimate.fail(Reason.TOO_FEW_TRIALS) if tested else Estimate.missing(Reason.NOT_ACQUIRED)


def how_scored(data: SensoryData, name: str, level: Level) -> str:
    """Return in words how a row came about: what was subtracted, and whose norm it was."""
    if name in ("qst_z", "ppt_widespread"):
        norms = [norm for key, norm in data.norms.items() if isinstance(norm, Norm) and (not level or key == level)]
        sources = "; ".join(dict.fromkeys(norm.source for norm in norms)) or "none"
        kind = "internal" if sources.startswith("internal") else "reference"
        return f"z-score, norm: {kind if norms else 'none'} ({sources})"
    if name == "tsp_diff" and level[0] in data.trains and not data.trains[level[0]].ratings.shape[1]:
        return "Rating of the train minus rating of the single stimulus"
    return "Means of trials"


# ------------------------------------------------------------------------------------------------------------- trains

OFFSETS = {"exclude": 0.0, "add0.1": 0.1, "add1": 1.0}
"""What is added to both means of the wind-up ratio (points of 100), by the setting sensory.tsp.wur_zero."""
TOP = 100.0


def train_flags(trains: Trains, settings: Mapping[str, Any], *, n: int) -> list[Reason]:
    """Return the caveats of a value of ``n`` trains."""
    first = trains.ratings[:, 0] if trains.ratings.shape[1] else trains.single
    start = np.nanmean(first) if np.isfinite(first).any() else np.nan
    rated = np.isfinite(trains.ratings)
    cut_short = rated.any(axis=1) & ~rated[:, -1] if trains.ratings.shape[1] else np.zeros(len(rated), dtype=bool)
    at_top = bool((trains.ratings[:, 1:] >= TOP).any() or (trains.train >= TOP).any())
    found = {
        Reason.FEW_TRIALS: n < 2,
        Reason.TRAIN_CUT_SHORT: bool(cut_short.any()),
        Reason.CEILING: bool(start >= settings["ceiling"]) or at_top,
    }
    return [reason for reason, applies in found.items() if applies]


def whole_trains(trains: Trains) -> np.ndarray:
    """Return the rating of every train as a whole (n_train,): the one given, else the mean of its stimuli."""
    rated = np.isfinite(trains.ratings)
    count = rated.sum(axis=1)
    sums = np.where(rated, trains.ratings, 0.0).sum(axis=1)
    means = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return np.where(np.isfinite(trains.train), trains.train, means)


def wind_up_ratio(trains: Trains, settings: Mapping[str, Any]) -> Estimate:
    """Return the wind-up ratio of one modality, with the interval on the log scale."""
    if not np.isfinite(trains.single).any():
        return Estimate.missing(Reason.NOT_ACQUIRED)
    offset = OFFSETS[settings["wur_zero"]]
    ratio, se, n = ratio_of_means(whole_trains(trains), trains.single, offset=offset)
    if n and np.isnan(ratio):
        return Estimate.fail(Reason.ZERO_BASELINE, n=n)
    if not n:
        return Estimate.fail(Reason.TOO_FEW_TRIALS)
    return Estimate.of(ratio, se=se, ci=_log_interval(ratio, se, n=n), n=n, flags=train_flags(trains, settings, n=n))


def _log_interval(ratio: float, se: float, *, n: int) -> tuple[float, float]:
    """Return the interval of a ratio, symmetric in its logarithm; as it is for a ratio of 0."""
    if not np.isfinite(se) or ratio <= 0:
        return Mean(value=ratio, se=se, dof=max(n - 1.0, 1.0), n=n).interval()
    low, high = Mean(value=float(np.log(ratio)), se=se / ratio, dof=n - 1.0, n=n).interval()
    return float(np.exp(low)), float(np.exp(high))
