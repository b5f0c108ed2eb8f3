"""Tactile acuity and laterality: two-point discrimination, graphaesthesia, localisation, left/right judgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.proportions import Proportion, wilson, without_guessing
from lbpneuro.kernels.psychometric import Psychometric, fit_psychometric, rises
from lbpneuro.kernels.tactile import (
    TWO,
    Crossing,
    Localisation,
    RunMean,
    Timing,
    inverse_efficiency,
    localisation,
    median_time,
    run_mean,
    run_threshold,
    usual_step,
)
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Tactile acuity and left/right judgement"

Array = NDArray[np.float64]
CHANCE = 0.5
CATCHES_SURE = 5
"""With fewer catch trials a high share of false alarms is a caveat, no verdict."""
FEWEST_TOUCHES = 3

ACUITY = (
    "Tactile acuity over the back is lower in low back pain: two points must lie farther apart to be told from one."
)
LATERALITY = "Judging the side of a trunk in pictures is slower or less accurate in low back pain; studies differ."
TPD_SOURCE = (
    "10.1136/bjsm.2009.060731 (45 and 45 people, g 1.45 [0.99, 1.91], computed from means); PubMed 21056167 (19 and "
    "19, 17.9 mm [5.9, 29.8]); 10.1097/j.pain.0000000000001110 (experimental pain); a study of 30 and 30 found none"
)
LRJ_SOURCE = (
    "10.3390/jcm14155328 (150 and 107 people: time d 0.47 to 0.50, accuracy d 0.30 to 0.55; no difference from people "
    "with past pain); another study of 30 and 30 found none"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPoint:
    """Two-point discrimination at one place: ``distance`` (n,) in mm and ``response`` (n,), 1 or 2, in testing order.

    ``run`` (n,) numbers the runs and ``ascending`` (n,) is 1, 0, or NaN for a run in random order. Trials with one
    point are not among them: ``false_alarms`` of ``catches`` of these were felt as two.
    """

    distance: Array
    response: NDArray[np.int64]
    run: NDArray[np.int64]
    ascending: Array
    catches: int = 0
    false_alarms: int = 0

    @property
    def n(self) -> int:
        """Number of trials with two points."""
        return self.distance.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Answers that were right or wrong: ``errors`` of ``n``, out of ``options`` figures (None: a free answer)."""

    errors: int
    n: int
    options: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """Touched and perceived points (n, 2) in mm, NaN where not measured, and how many fields were named wrongly."""

    actual: Array
    perceived: Array
    fields: Named

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which touches have both points."""
        return np.asarray(np.isfinite(np.column_stack([self.actual, self.perceived])).all(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Left/right judgements within the limits of time: ``time_ms`` (n,) and ``correct`` (n,); ``excluded`` were not."""

    time_ms: Array
    correct: NDArray[np.bool_]
    excluded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tactile:
    """The tests of one person in one session; ``faults`` names the tests whose table cannot be used."""

    settings: Mapping[str, Any]
    two_point: Mapping[Level, TwoPoint] = field(default_factory=dict)
    graph: Mapping[Level, Named] = field(default_factory=dict)
    touches: Mapping[Level, Touches] = field(default_factory=dict)
    pictures: Pictures | None = None
    faults: Mapping[str, Reason] = field(default_factory=dict)

    def absence(self, test: str) -> Estimate:
        """Why a test has no value at a place where nothing was measured."""
        fault = self.faults.get(test)
        return Estimate.fail(fault) if fault else Estimate.missing(Reason.NOT_ACQUIRED)


def place_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of two-point discrimination: side and axis."""
    return [(side, axis) for side in config["tactile"]["sides"] for axis in config["tactile"]["axes"]]


def side_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the tests of one side."""
    return [(side,) for side in config["tactile"]["sides"]]


# ------------------------------------------------------------------------------------------- two-point discrimination


def is_fitted(points: TwoPoint, settings: Mapping[str, Any]) -> bool:
    """Whether there are enough trials for a psychometric function, which then gives the threshold."""
    return points.n >= settings["fit_trials_min"]


def fitted(points: TwoPoint, settings: Mapping[str, Any]) -> Psychometric | None:
    """Return the psychometric function; None where all answers are the same or do not rise with the distance."""
    yes = points.response == TWO
    if yes.all() or not yes.any() or not rises(points.distance, yes):
        return None
    return fit_psychometric(
        points.distance,
        yes,
        function=settings["function"],
        lapse=settings["lapse"],
        false_alarms=points.false_alarms,
        catches=points.catches,
    )


def crossings(points: TwoPoint) -> dict[bool, list[Crossing]]:
    """Return the thresholds of the ascending (True) and descending (False) runs; runs in random order have none."""
    found: dict[bool, list[Crossing]] = {True: [], False: []}
    for number in np.unique(points.run):
        own = points.run == number
        way = points.ascending[own][0]
        if np.isfinite(way):
            crossing = run_threshold(points.distance[own], points.response[own], ascending=bool(way))
            found[bool(way)].append(crossing)
    return found


def averaged(points: TwoPoint) -> RunMean | Estimate:
    """Return the mean of the runs, or why there is none: too few runs, or one that never crossed."""
    found = crossings(points)
    runs = [*found[True], *found[False]]
    if not found[True] or not found[False]:
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=len(runs))
    if any(not math.isfinite(run.value) for run in runs):
        return _limit(runs)
    values = [[run.value for run in found[way]] for way in (True, False)]
    return run_mean(*values, step_mm=usual_step(points.distance))


def _limit(runs: list[Crossing]) -> Estimate:
    """What runs tell of which at least one never crossed: a bound, with the mean of what is known of each."""
    lows = [run.value if math.isfinite(run.value) else run.low for run in runs]
    highs = [run.value if math.isfinite(run.value) else run.high for run in runs]
    low, high = float(np.mean(lows)), float(np.mean(highs))
    if math.isinf(low) and math.isinf(high):
        return Estimate.fail(Reason.NOT_MONOTONE, n=len(runs))
    return Estimate.censored(low=low, high=high, n=len(runs))


def guessing(points: TwoPoint, settings: Mapping[str, Any]) -> bool:
    """Whether more trials with one point were felt as two than is allowed."""
    return points.catches > 0 and points.false_alarms > settings["false_alarm_max"] * points.catches


def _fit_estimate(points: TwoPoint, settings: Mapping[str, Any]) -> Estimate:
    if not is_fitted(points, settings):
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=points.n)
    felt_two = points.response == TWO
    low, high = float(points.distance.min()), float(points.distance.max())
    if not felt_two.any():
        return Estimate.censored(low=high, n=points.n)
    if felt_two.all():
        return Estimate.censored(high=low, n=points.n)
    function = fitted(points, settings)
    if function is None:
        return Estimate.fail(Reason.NOT_MONOTONE, n=points.n)
    if function.threshold > high:
        return Estimate.censored(low=high, n=points.n)
    if function.threshold < low:
        return Estimate.censored(high=low, n=points.n)
    ci = (max(function.ci_low, 0.0), function.ci_high)
    return Estimate.of(function.threshold, se=function.se, ci=ci, n=points.n)


def _run_estimate(points: TwoPoint, pick: Callable[[RunMean], tuple[float, float]]) -> Estimate:
    found = averaged(points)
    if isinstance(found, Estimate):
        return found
    value, se = pick(found)
    return Estimate.of(value, se=se, ci=found.interval(value, se), n=found.n)


def _checked(points: TwoPoint, settings: Mapping[str, Any], estimate: Estimate) -> Estimate:
    """The estimate, empty or flagged where the person guessed."""
    if not guessing(points, settings):
        return estimate
    if points.catches >= CATCHES_SURE:
        return Estimate.fail(Reason.GUESSING, n=points.n)
    return estimate if math.isnan(estimate.value) else _flagged(estimate)


def _flagged(estimate: Estimate) -> Estimate:
    ci = (estimate.ci_low, estimate.ci_high)
    return Estimate.of(estimate.value, se=estimate.se, ci=ci, n=estimate.n, flags=[Reason.GUESSING])


def _everywhere(tests: Tactile, estimate: Callable[[TwoPoint], Estimate]) -> dict[Level, Estimate]:
    """An estimate at every place that was tested; elsewhere why there is none."""
    found: dict[Level, Estimate] = dict.fromkeys(place_levels({"tactile": tests.settings}), tests.absence("tpd"))
    return found | {level: estimate(points) for level, points in tests.two_point.items()}


def tpd(tests: Tactile) -> dict[Level, Estimate]:
    """Return the two-point threshold in mm: that of the psychometric function, or with few trials the mean of the runs.

    From ``fit_trials_min`` trials on the distance at which the fitted function has risen by half; below it the mean of
    ascending and descending runs. Definition: 10.1136/bjsm.2009.060731 (runs); fit: 10.1093/biomet/80.1.27.
    """

    def one(points: TwoPoint) -> Estimate:
        fit = is_fitted(points, tests.settings)
        found = (
            _fit_estimate(points, tests.settings) if fit else _run_estimate(points, lambda runs: (runs.value, runs.se))
        )
        return _checked(points, tests.settings, found)

    return _everywhere(tests, one)


def tpd_fit(tests: Tactile) -> dict[Level, Estimate]:
    """Return the threshold of the psychometric function in mm; empty with fewer than ``fit_trials_min`` trials."""
    return _everywhere(tests, lambda points: _fit_estimate(points, tests.settings))


def tpd_runs(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean of ascending and descending runs in mm; empty without a run of each."""
    return _everywhere(tests, lambda points: _run_estimate(points, lambda runs: (runs.value, runs.se)))


def tpd_ascending(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean of the ascending runs in mm."""
    return _everywhere(
        tests, lambda points: _run_estimate(points, lambda runs: (runs.ascending, math.sqrt(2) * runs.se))
    )


def tpd_descending(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean of the descending runs in mm."""
    return _everywhere(
        tests, lambda points: _run_estimate(points, lambda runs: (runs.descending, math.sqrt(2) * runs.se))
    )


def tpd_hysteresis(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean of the descending minus that of the ascending runs in mm."""
    return _everywhere(tests, lambda points: _run_estimate(points, lambda runs: (runs.hysteresis, 2 * runs.se)))


def tpd_false_alarms(tests: Tactile) -> dict[Level, Estimate]:
    """Return the share of trials with one point that were felt as two, with Wilson's interval."""

    def one(points: TwoPoint) -> Estimate:
        share = wilson(points.false_alarms, points.catches)
        return _share(share) if points.catches else Estimate.missing(Reason.NOT_ACQUIRED)

    return _everywhere(tests, one)


def _share(share: Proportion) -> Estimate:
    return Estimate.of(share.value, se=share.se, ci=(share.ci_low, share.ci_high), n=share.n)


_of_touch = partial(Marker, family="tactile", fact_sheet=ACUITY, version="1", evidence=Evidence.UNVERIFIED)
_of_place = partial(
    _of_touch,
    unit="mm",
    index=("side", "axis"),
    levels=place_levels,
    doi="10.1136/bjsm.2009.060731",
    bounds=(0.0, 300.0),
)
_of_acuity = partial(_of_place, direction=Direction.HIGHER, direction_source=TPD_SOURCE)
_of_runs = partial(
    _of_place,
    n_counts="runs",
    se_method="scatter of the runs within their direction (t), at least that of a step",
    tier=Tier.EXPLORATORY,
)

TPD = _of_acuity(
    name="tpd",
    long_name="Two-point discrimination threshold",
    description=(
        "Distance at which two points are told from one, over the back. With tactile.fit_trials_min trials or more "
        "that of the psychometric function, else the mean of ascending and descending runs (midway between the last "
        "answer of one kind and the first of the other); the method column says which. Empty (censored_at_limit, with "
        "a bound in ci_low or ci_high) where the threshold lies beyond the tested distances."
    ),
    function=tpd,
    tier=Tier.PRIMARY,
    n_counts="trials with two points, or runs",
    se_method="psychometric function: posterior; runs: scatter within their direction (t)",
)
TPD_FIT = _of_acuity(
    name="tpd_fit",
    long_name="Two-point threshold of the psychometric function",
    description=(
        "Distance at which the fitted psychometric function has risen by half between the guess and the lapse rate."
    ),
    function=tpd_fit,
    tier=Tier.EXPLORATORY,
    n_counts="trials with two points",
    se_method="posterior of the psychometric function",
)
TPD_RUNS = _of_runs(
    name="tpd_runs",
    long_name="Two-point threshold of the runs",
    description="Mean of the means of ascending and of descending runs.",
    function=tpd_runs,
    direction=Direction.HIGHER,
    direction_source=TPD_SOURCE,
)
TPD_ASCENDING = _of_runs(
    name="tpd_ascending",
    long_name="Two-point threshold, ascending",
    description="Mean threshold of the ascending runs.",
    function=tpd_ascending,
    direction=Direction.NOT_APPLICABLE,
)
TPD_DESCENDING = _of_runs(
    name="tpd_descending",
    long_name="Two-point threshold, descending",
    description="Mean threshold of the descending runs.",
    function=tpd_descending,
    direction=Direction.NOT_APPLICABLE,
)
TPD_HYSTERESIS = _of_runs(
    name="tpd_hysteresis",
    long_name="Hysteresis of two-point discrimination",
    description="Mean threshold of the descending minus that of the ascending runs.",
    function=tpd_hysteresis,
    direction=Direction.NOT_APPLICABLE,
    bounds=(-300.0, 300.0),
)
TPD_FALSE_ALARMS = _of_place(
    name="tpd_false_alarms",
    long_name="One point felt as two",
    description="Share of the catch trials, with one point, that were answered with two.",
    unit="1",
    function=tpd_false_alarms,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    bounds=(0.0, 1.0),
    evidence=Evidence.DESIGN,
    n_counts="catch trials",
    se_method="Wilson",
)

# ---------------------------------------------------------------------------------------------------- graphaesthesia


def _sides(tests: Tactile, test: str, found: Mapping[Level, Estimate]) -> dict[Level, Estimate]:
    every = dict.fromkeys(side_levels({"tactile": tests.settings}), tests.absence(test))
    return {**every, **found}


def _errors(tests: Tactile, share: Callable[[Named, Proportion], Proportion | None]) -> dict[Level, Estimate]:
    found = {}
    for level, named in tests.graph.items():
        corrected = share(named, wilson(named.errors, named.n))
        if named.n < tests.settings["graph_trials_min"]:
            found[level] = Estimate.fail(Reason.TOO_FEW_TRIALS, n=named.n)
        else:
            found[level] = _share(corrected) if corrected else Estimate.fail(Reason.NO_OPTIONS, n=named.n)
    return _sides(tests, "graph", found)


def graph_error_rate(tests: Tactile) -> dict[Level, Estimate]:
    """Return the share of figures drawn on the skin that were named wrongly, with Wilson's interval."""
    return _errors(tests, lambda _named, share: share)


def graph_error_rate_corrected(tests: Tactile) -> dict[Level, Estimate]:
    """Return the share of errors with that of lucky guesses added, ``e k / (k - 1)`` for k options."""
    return _errors(tests, lambda named, share: without_guessing(share, named.options) if named.options else None)


_of_figures = partial(
    _of_touch,
    unit="1",
    index=("side",),
    levels=side_levels,
    doi="PubMed 21056167",
    direction=Direction.HIGHER,
    direction_source="PubMed 21056167 (19 and 19 people; g about 0.81, denominators not read)",
    n_counts="figures",
    bounds=(0.0, 1.0),
)
GRAPH_ERROR_RATE = _of_figures(
    name="graph_error_rate",
    long_name="Graphaesthesia, share of errors",
    description="Share of letters or numbers drawn on the back that were named wrongly; no answer is an error.",
    function=graph_error_rate,
    tier=Tier.SECONDARY,
    se_method="Wilson",
)
GRAPH_ERROR_RATE_CORRECTED = _of_figures(
    name="graph_error_rate_corrected",
    long_name="Graphaesthesia, share of errors without guessing",
    description=(
        "Share of errors times k / (k - 1), for a forced choice among k figures (NumberOfOptions of the sidecar): what "
        "would be wrong if nobody guessed right. Cut at 1."
    ),
    function=graph_error_rate_corrected,
    tier=Tier.EXPLORATORY,
    se_method="Wilson, stretched by the same factor",
)

# ------------------------------------------------------------------------------------------------------ localisation


def _located(tests: Tactile, estimate: Callable[[Localisation], Estimate]) -> dict[Level, Estimate]:
    found = {}
    for level, touches in tests.touches.items():
        known = touches.measured
        if not known.any():
            continue
        if known.sum() < max(FEWEST_TOUCHES, tests.settings["loc_trials_min"]):
            found[level] = Estimate.fail(Reason.TOO_FEW_TRIALS, n=float(known.sum()))
        else:
            found[level] = estimate(localisation(touches.actual[known], touches.perceived[known]))
    return _sides(tests, "loc", found)


def loc_error(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean distance in mm between where the skin was touched and where it was felt."""

    def one(found: Localisation) -> Estimate:
        reach = found.reach(found.error_se)
        ci = (max(found.error - reach, 0.0), found.error + reach)
        return Estimate.of(found.error, se=found.error_se, ci=ci, n=found.n)

    return _located(tests, one)


def loc_bias(tests: Tactile) -> dict[Level, Estimate]:
    """Return the mean of perceived minus touched in mm, to the right and upwards."""

    def along(place: int) -> dict[Level, Estimate]:
        def one(found: Localisation) -> Estimate:
            value, se = float(found.bias[place]), float(found.bias_se[place])
            reach = found.reach(se)
            return Estimate.of(value, se=se, ci=(value - reach, value + reach), n=found.n)

        return _located(tests, one)

    axes = {"horizontal": along(0), "vertical": along(1)}
    return {(*level, axis): estimate for axis, found in axes.items() for level, estimate in found.items()}


def loc_sd(tests: Tactile) -> dict[Level, Estimate]:
    """Return the scatter of localisation in mm about its mean error, pooled over both axes (``ddof=1``)."""
    return _located(tests, lambda found: Estimate.of(found.sd, se=found.sd_se, ci=found.sd_ci, n=found.n))


def loc_mislocalised(tests: Tactile) -> dict[Level, Estimate]:
    """Return the share of touches felt in another field of the grid, with Wilson's interval."""
    found = {}
    for level, touches in tests.touches.items():
        if touches.fields.n:
            few = touches.fields.n < tests.settings["loc_trials_min"]
            share = wilson(touches.fields.errors, touches.fields.n)
            found[level] = Estimate.fail(Reason.TOO_FEW_TRIALS, n=touches.fields.n) if few else _share(share)
    return _sides(tests, "loc", found)


def bias_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the mean error: side, and the axis of the back it lies on."""
    return [(side, axis) for side in config["tactile"]["sides"] for axis in ("horizontal", "vertical")]


_of_touches = partial(
    _of_touch, index=("side",), levels=side_levels, doi="10.1097/AJP.0b013e318274b320", n_counts="touches"
)
_MORE_ERRORS = "10.1097/AJP.0b013e318274b320 (more touches felt in another place, p = 0.034)"
LOC_ERROR = _of_touches(
    name="loc_error",
    long_name="Error of localisation",
    description="Mean distance between the touched point of the back and the point that was named.",
    unit="mm",
    function=loc_error,
    direction=Direction.HIGHER,
    direction_source=f"{_MORE_ERRORS}; of distances none was read",
    tier=Tier.SECONDARY,
    bounds=(0.0, 1000.0),
    se_method="scatter of the touches (t)",
)
LOC_BIAS = _of_touches(
    name="loc_bias",
    long_name="Bias of localisation",
    description=(
        "Mean of named minus touched point: horizontal, to the person's right; vertical, upwards. Healthy people err "
        "outwards and downwards."
    ),
    unit="mm",
    function=loc_bias,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    bounds=(-1000.0, 1000.0),
    se_method="scatter of the touches (t)",
    index=("side", "axis"),
    levels=bias_levels,
)
LOC_SD = _of_touches(
    name="loc_sd",
    long_name="Scatter of localisation",
    description="Standard deviation of the named points about the mean error of the person, pooled over both axes.",
    unit="mm",
    function=loc_sd,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    bounds=(0.0, 1000.0),
    se_method="that of a variance, chi-squared with 2 (n - 1) degrees of freedom",
    evidence=Evidence.DESIGN,
)
LOC_MISLOCALISED = _of_touches(
    name="loc_mislocalised",
    long_name="Touches felt in another field",
    description="Share of touches for which another field of the grid was named; no answer is an error.",
    unit="1",
    function=loc_mislocalised,
    direction=Direction.HIGHER,
    direction_source=_MORE_ERRORS,
    tier=Tier.SECONDARY,
    bounds=(0.0, 1.0),
    se_method="Wilson",
)

# -------------------------------------------------------------------------------------------- left/right judgement


def _judged(tests: Tactile, estimate: Callable[[Pictures], Estimate]) -> dict[Level, Estimate]:
    if tests.pictures is None:
        return {(): tests.absence("laterality")}
    if tests.pictures.correct.size < tests.settings["laterality_trials_min"]:
        return {(): Estimate.fail(Reason.TOO_FEW_TRIALS, n=tests.pictures.correct.size)}
    return {(): estimate(tests.pictures)}


def lrj_accuracy(tests: Tactile) -> dict[Level, Estimate]:
    """Return the share of pictures whose side was judged rightly, with Wilson's interval."""
    return _judged(tests, lambda found: _share(wilson(int(found.correct.sum()), found.correct.size)))


def _timed(tests: Tactile, time: Callable[[Timing, Proportion], Timing], *, n_of: str) -> dict[Level, Estimate]:
    def one(found: Pictures) -> Estimate:
        share = wilson(int(found.correct.sum()), found.correct.size)
        if share.value <= CHANCE:
            return Estimate.fail(Reason.AT_CHANCE, n=share.n)
        known = time(median_time(found.time_ms[found.correct]), share)
        flags = [Reason.AT_CHANCE] if share.ci_low <= CHANCE else []
        n = {"right": found.correct.sum(), "all": share.n}[n_of]
        return Estimate.of(known.value, se=known.se, ci=known.ci, n=float(n), flags=flags)

    return _judged(tests, one)


def lrj_rt(tests: Tactile) -> dict[Level, Estimate]:
    """Return the median time of right judgements in ms; empty at chance."""
    return _timed(tests, lambda median, _share: median, n_of="right")


def lrj_inverse_efficiency(tests: Tactile) -> dict[Level, Estimate]:
    """Return the median time of right judgements over the share of right ones, in ms; empty at chance."""
    return _timed(tests, inverse_efficiency, n_of="all")


_of_pictures = partial(
    _of_touch, doi="10.3390/jcm14155328", fact_sheet=LATERALITY, direction_source=LRJ_SOURCE, tier=Tier.EXPLORATORY
)
LRJ_ACCURACY = _of_pictures(
    name="lrj_accuracy",
    long_name="Left/right judgement, share of right answers",
    description="Share of pictures whose side was judged rightly, of those answered within tactile.rt_ms.",
    unit="1",
    function=lrj_accuracy,
    direction=Direction.LOWER,
    n_counts="pictures within the limits of time",
    bounds=(0.0, 1.0),
    se_method="Wilson",
)
LRJ_RT = _of_pictures(
    name="lrj_rt",
    long_name="Left/right judgement, time",
    description="Median time of right judgements; empty (at_chance) where no more than half are right.",
    unit="ms",
    function=lrj_rt,
    direction=Direction.HIGHER,
    n_counts="right judgements",
    bounds=(0.0, math.inf),
    version="2",
    se_method="interpolated order statistics (half their interval over 1.96)",
)
LRJ_INVERSE_EFFICIENCY = _of_pictures(
    name="lrj_inverse_efficiency",
    long_name="Left/right judgement, inverse efficiency",
    description="Median time of right judgements over the share of right ones: time that errors were not bought with.",
    unit="ms",
    function=lrj_inverse_efficiency,
    direction=Direction.HIGHER,
    n_counts="pictures within the limits of time",
    bounds=(0.0, math.inf),
    version="2",
    se_method="intervals of time and share combined on the scale of logarithms (half over 1.96)",
)

MARKERS: tuple[Marker, ...] = (
    TPD,
    TPD_FIT,
    TPD_RUNS,
    TPD_ASCENDING,
    TPD_DESCENDING,
    TPD_HYSTERESIS,
    TPD_FALSE_ALARMS,
    GRAPH_ERROR_RATE,
    GRAPH_ERROR_RATE_CORRECTED,
    LOC_ERROR,
    LOC_BIAS,
    LOC_SD,
    LOC_MISLOCALISED,
    LRJ_ACCURACY,
    LRJ_RT,
    LRJ_INVERSE_EFFICIENCY,
)
