"""Conditioned pain modulation: what a painful stimulus elsewhere does to a test stimulus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychophysics import Mean, average, combination, mean, ratio_of_means
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.sensory import Bound, Conditioning, Modulation, SensoryData, Threshold

PARALLEL, SEQUENTIAL = "parallel", "sequential"
TIMINGS = (PARALLEL, SEQUENTIAL)
BLOCKS = {PARALLEL: "during", SEQUENTIAL: "after"}
SIGNS = {"ppt": 1.0, "nfr_threshold": 1.0, "heat_rating": -1.0, "pinprick_rating": -1.0}
"""By test stimulus, the sign that makes inhibition positive: a threshold rises, a rating falls."""
UNITS = {"ppt": "kPa", "nfr_threshold": "mA", "heat_rating": "points", "pinprick_rating": "points"}
MCPHEE = "10.1097/j.pain.0000000000001737"
YARNITSKY = "10.1002/ejp.605"
GEHLING = "early and late effects differ: Gehling 2016"
KENNEDY = "PMC5228613"
FACT_SHEET = "Conditioned pain modulation is less effective in low back pain, more so in chronic pain."
SE_REPEATS = (
    "From the scatter of the repeats, Student's t; of one repeat from the trials of its blocks (Welch); none from "
    "single trials"
)
CONVENTION = (
    " Two signs are in use: cpm_inhibition is positive for inhibition (threshold rises, rating falls); cpm_yarnitsky, "
    "its negative, follows the recommendation of 2015, where less pain is negative."
)


def modulation_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels: test stimulus and timing."""
    return [(stimulus, timing) for stimulus in config["sensory"]["cpm"]["test_stimuli"] for timing in TIMINGS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change that conditioning made (positive: inhibition) and the baseline, one entry per repeat.

    ``threshold`` is the mean change with bound and caveats; ``base`` and ``conditioned`` are the means of the trials
    with their errors.
    """

    changes: np.ndarray
    bases: np.ndarray
    threshold: Threshold
    base: Mean
    conditioned: Mean


def change(modulation: Modulation, stimulus: str, settings: Mapping[str, Any]) -> Change | Reason:
    """Return the change of a test stimulus over the repeats, or why there is none.

    Within a repeat the change is that of every place, averaged over places; repeats are averaged. With one repeat the
    error is that of its trials.
    """
    usable = _usable(modulation)
    if isinstance(usable, Reason):
        return usable
    sign = SIGNS[stimulus]
    repeats = sorted({each.repeat for each in usable})
    of_repeat = [[each for each in usable if each.repeat == repeat] for repeat in repeats]
    changes = np.array([np.mean([sign * _shift(each) for each in group]) for group in of_repeat])
    bases = np.array([np.mean([np.nanmean(each.base) for each in group]) for group in of_repeat])
    by_trial = average([combination([mean(each.conditioned), mean(each.base)], [sign, -sign]) for each in usable])
    found = mean(changes) if len(repeats) > 1 else replace(by_trial, n=1)
    base, conditioned = (average([mean(part) for part in parts]) for parts in _blocks(usable))
    limited = any(each.limited for each in usable)
    bound = (Bound.LOWER if sign > 0 else Bound.UPPER) if limited else Bound.NONE
    flags = _flags(modulation, stimulus, base=base, found=found, settings=settings)
    threshold = Threshold(mean=found, bound=bound, flags=tuple(flags))
    return Change(changes=changes, bases=bases, threshold=threshold, base=base, conditioned=conditioned)


def _usable(modulation: Modulation) -> list[Conditioning] | Reason:
    """Return the applications with a baseline and a conditioned trial that were not stopped, or why there are none."""
    complete = [each for each in modulation.applications if np.isfinite(each.conditioned).any()]
    finished = [each for each in complete if not each.aborted]
    based = [each for each in finished if np.isfinite(each.base).any()]
    unlimited = [each for each in based if not each.base_limited]
    steps = (
        (complete, Reason.TOO_FEW_TRIALS),
        (finished, Reason.CONDITIONING_ABORTED),
        (based, Reason.NO_BASELINE),
        (unlimited, Reason.CENSORED_AT_LIMIT),
    )
    return next((reason for left, reason in steps if not left), unlimited)


def _blocks(usable: Sequence[Conditioning]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [each.base for each in usable], [each.conditioned for each in usable]


def _shift(application: Conditioning) -> float:
    return float(np.nanmean(application.conditioned) - np.nanmean(application.base))


def _flags(
    modulation: Modulation, stimulus: str, *, base: Mean, found: Mean, settings: Mapping[str, Any]
) -> list[Reason]:
    applies = {
        Reason.WEAK_CONDITIONING: modulation.strength < settings["min_conditioning_rating"],
        Reason.CONDITIONING_AT_PAIN_SITE: modulation.at_pain_site,
        Reason.LOW_BASELINE: UNITS[stimulus] == "points" and base.value < settings["min_base_rating"],
        Reason.FEW_TRIALS: math.isnan(found.se),
    }
    return [reason for reason, it_does in applies.items() if it_does]


def _changes(data: SensoryData) -> dict[Level, Change | Reason]:
    settings = data.settings["cpm"]
    return {level: change(each, level[0], settings) for level, each in data.modulation.items()}


def cpm_inhibition(data: SensoryData) -> dict[Level, Estimate]:
    """Return conditioned minus baseline of a threshold, baseline minus conditioned of a rating."""
    return {
        level: Estimate.fail(found) if isinstance(found, Reason) else found.threshold.estimate()
        for level, found in _changes(data).items()
    }


CPM_INHIBITION = Marker(
    name="cpm_inhibition",
    long_name="Conditioned pain modulation",
    description=(
        "Change of the test stimulus by the conditioning stimulus, mean of the repeats: conditioned minus baseline of "
        "a threshold, baseline minus conditioned of a rating (points of 100). Parallel: during the conditioning "
        f"stimulus; sequential: after it ({GEHLING})." + CONVENTION
    ),
    unit="kPa",
    unit_by_level=UNITS,
    family="sensory",
    function=cpm_inhibition,
    index=("test_stimulus", "timing"),
    levels=modulation_levels,
    direction=Direction.LOWER,
    direction_source=f"SMD -0.44 (-0.64 to -0.23): {MCPHEE}",
    tier=Tier.PRIMARY,
    tier_by_level=dict.fromkeys((SEQUENTIAL, *(name for name in SIGNS if name != "ppt")), Tier.SECONDARY),
    doi=YARNITSKY,
    fact_sheet=FACT_SHEET,
    n_counts="repeats of the conditioning stimulus",
    version="1",
    evidence=Evidence.VERIFIED,
    se_method=SE_REPEATS,
)


def cpm_yarnitsky(data: SensoryData) -> dict[Level, Estimate]:
    """Return minus cpm_inhibition: negative is inhibition."""
    return {level: _negative(estimate) for level, estimate in cpm_inhibition(data).items()}


def _negative(estimate: Estimate) -> Estimate:
    return replace(estimate, value=-estimate.value, ci_low=-estimate.ci_high, ci_high=-estimate.ci_low)


CPM_YARNITSKY = Marker(
    name="cpm_yarnitsky",
    long_name="Conditioned pain modulation, sign of the 2015 recommendation",
    description="Minus cpm_inhibition: the same quantity, negative for inhibition." + CONVENTION,
    unit="kPa",
    unit_by_level=UNITS,
    family="sensory",
    function=cpm_yarnitsky,
    index=("test_stimulus", "timing"),
    levels=modulation_levels,
    direction=Direction.HIGHER,
    direction_source=f"turned with the sign: {MCPHEE}",
    tier=Tier.EXPLORATORY,
    doi=YARNITSKY,
    fact_sheet=FACT_SHEET,
    n_counts="repeats of the conditioning stimulus",
    version="1",
    evidence=Evidence.VERIFIED,
    se_method=SE_REPEATS,
)


def cpm_pct(data: SensoryData) -> dict[Level, Estimate]:
    """Return 100 times the change over the baseline (mean change over mean baseline); empty for a baseline of 0."""
    return {
        level: Estimate.fail(found) if isinstance(found, Reason) else _percent(found)
        for level, found in _changes(data).items()
    }


def _percent(found: Change) -> Estimate:
    if found.base.value == 0:
        return Estimate.fail(Reason.ZERO_BASELINE, n=found.threshold.mean.n)
    repeats = len(found.changes)
    if repeats > 1:
        ratio, se, _ = ratio_of_means(found.changes, found.bases)
        dof = repeats - 1.0
    else:
        ratio, dof = found.threshold.mean.value / found.base.value, found.threshold.mean.dof
        se = _error_of_ratio(found.conditioned, found.base)
    percent = Mean(value=100 * ratio, se=100 * se, dof=dof, n=repeats)
    return replace(found.threshold, mean=percent).estimate()


def _error_of_ratio(c: Mean, b: Mean) -> float:
    """Return the standard error of ``c / b`` of independent means: ``sqrt((se_c / b)^2 + (c se_b / b^2)^2)``."""
    return float(np.hypot(c.se / b.value, c.value * b.se / b.value**2))


CPM_PCT = Marker(
    name="cpm_pct",
    long_name="Conditioned pain modulation, percent",
    description=(
        "100 times the mean change (positive: inhibition) over the mean baseline. Empty where the baseline is 0; "
        "flagged where a rated baseline is low, for then a few points are many percent."
    ),
    unit="%",
    family="sensory",
    function=cpm_pct,
    index=("test_stimulus", "timing"),
    levels=modulation_levels,
    direction=Direction.LOWER,
    direction_source=f"conditioned pain modulation in general: {MCPHEE}",
    tier=Tier.SECONDARY,
    doi=YARNITSKY,
    fact_sheet=FACT_SHEET,
    n_counts="repeats of the conditioning stimulus",
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method="Delta method over the repeats, or over the trials of one repeat",
)


def cpm_responder(data: SensoryData) -> dict[Level, Estimate]:
    """Return 1 (inhibition), 0 or -1 (facilitation): whether the change exceeds ``k`` standard errors of measurement.

    The standard error of measurement is the one of the settings; else that of the person's repeated baselines,
    ``sd / sqrt(k)``; else, for pressure, the published one, flagged.
    """
    settings = data.settings["cpm"]
    return {
        level: Estimate.fail(found) if isinstance(found, Reason) else _responder(found, level[0], settings)
        for level, found in _changes(data).items()
    }


def measurement_error(bases: np.ndarray, stimulus: str, settings: Mapping[str, Any]) -> tuple[float, list[Reason]]:
    """Return the standard error of measurement of the baseline and the flags it brings; NaN if it is not known."""
    given = settings["sem"].get(stimulus)
    if given is not None:
        return float(given), []
    if len(bases) > 1:
        return float(np.std(bases, ddof=1) / np.sqrt(len(bases))), []
    fallback = settings["sem_fallback_kpa"] if stimulus == "ppt" else math.nan
    return float(fallback), [Reason.PUBLISHED_ERROR]


def _responder(found: Change, stimulus: str, settings: Mapping[str, Any]) -> Estimate:
    sem, flags = measurement_error(found.bases, stimulus, settings)
    if math.isnan(sem):
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=len(found.changes))
    limit = settings["responder_k_sem"] * sem
    value = found.threshold.mean.value
    answer = float(value > limit) - float(value < -limit)
    bounded = found.threshold.bound is not Bound.NONE
    if bounded and answer != {Bound.LOWER: 1, Bound.UPPER: -1}[found.threshold.bound]:
        return Estimate.fail(Reason.CENSORED_AT_LIMIT, n=len(found.changes))
    kept = [*found.threshold.flags, *flags]
    return Estimate.of(answer, ci=(math.nan, math.nan), n=len(found.changes), flags=kept)


CPM_RESPONDER = Marker(
    name="cpm_responder",
    long_name="Conditioned pain modulation, responder",
    description=(
        "1: inhibition, the change exceeds 2 standard errors of measurement (sensory.cpm.responder_k_sem); -1: "
        "facilitation by as much; 0: neither. The error is that of the settings (sensory.cpm.sem), else of the "
        "person's repeated baselines, else for pressure the published 0.21 kgf/cm2 (20.6 kPa), flagged. The error of "
        "two or three repeats is itself unsure: of people whom conditioning does not change, 39 or 29 % are in class 1 "
        "or -1 by it, and 16 % by an error that is known, as that of a whole study nearly is. Facilitation is common "
        "in people without pain, and the class of a person changes between sessions (kappa below .36)."
    ),
    unit="1",
    family="sensory",
    function=cpm_responder,
    index=("test_stimulus", "timing"),
    levels=modulation_levels,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi=KENNEDY,
    fact_sheet=FACT_SHEET,
    n_counts="repeats of the conditioning stimulus",
    bounds=(-1.0, 1.0),
    version="1",
    evidence=Evidence.VERIFIED,
    se_method="None: a class",
)

MARKERS: tuple[Marker, ...] = (CPM_INHIBITION, CPM_PCT, CPM_YARNITSKY, CPM_RESPONDER)
