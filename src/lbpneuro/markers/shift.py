"""Activity that follows the rating of one's own pain: in regions of acute pain, of emotion and of reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels.glm import Fit, fit_effects, noise_covariances
from lbpneuro.kernels.nuisance import project
from lbpneuro.markers.bold import Run, kept_s, motion_flags, run_refusals, time_reasons
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Sensory-to-affective shift"
FACT_SHEET = "Functional changes: shift from sensory to affective circuits"
HASHMI = "10.1093/brain/awt211"
SETS = ("pain", "emotion", "reward")
DIFFERENCE = 3
"""Place of emotion minus pain, after the sets."""
REGIONS = tuple((name, "n/a") for name in SETS)
MODEL = "cortical"
NORMAL = 1.959964

SE = (
    "least squares; error under autoregressive noise of order 1 with white noise, averaged over a grid of both with "
    "the restricted likelihood as weights"
)
CONTESTED = (
    f"One longitudinal study of subacute back pain that persisted (abstract of {HASHMI}); no replication of the shift "
    "was read, and the regions here are not its masks."
)
ABOUT = (
    "Mean over runs of the effect of the rating, convolved with the canonical haemodynamic response, on the mean "
    "signal of the {name} regions, in percent of their mean per point of a scale from 0 to 100; that of the control "
    "rating is taken away where there is one."
)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RatingRun:
    """One run during which the person rated something continuously.

    Attributes
    ----------
    bold
        The run; its regions are the sets ``REGIONS``, its one nuisance model is ``MODEL``, with a pass band up to the
        Nyquist frequency.
    control
        Whether it is the control task.
    rating : (n_time,)
        Mean rating during each volume on a scale from 0 to 100; all NaN if the run has no rating.
    regressors : (n_time, 2)
        The rating convolved with the haemodynamic response, and with its time derivative.
    fit
        From :func:`fit_sets`; None if there is no rating or the model leaves too little.
    """

    bold: Run
    control: bool
    rating: Array
    regressors: Array
    fit: Fit | None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Ratings:
    """Input of the family: runs of one session, sections ``shift`` and ``functional`` of the settings."""

    runs: tuple[RatingRun, ...]
    settings: Mapping[str, Any]
    gates: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Effects:
    """Effects (4,) of the rating on pain, emotion, reward and emotion minus pain, and their variances."""

    effect: Array
    variance: Array
    dof: int

    @property
    def covariance(self) -> float:
        """Covariance of the effects on pain and on emotion: ``(var P + var E - var(E - P)) / 2``, kept possible."""
        pain, emotion, difference = self.variance[[0, 1, DIFFERENCE]]
        most = np.sqrt(pain * emotion)
        return float(np.clip((pain + emotion - difference) / 2, -most, most))


def fit_sets(means: Array, *, regressors: Array, basis: Array | None, keep: NDArray[np.bool_]) -> Fit | None:
    """Return the effects of the rating on the sets and on emotion minus pain, in percent of the mean signal per point.

    ``means`` (n_time, 3) are the mean series of the sets. None without a basis or a varying rating.
    """
    if basis is None or not np.isfinite(regressors).all():
        return None
    percent = 100 * means / means[keep].mean(axis=0)
    series = np.column_stack([percent, percent[:, 1] - percent[:, 0]])
    try:
        return fit_effects(
            project(basis, series, keep=keep),
            regressors=basis.T @ regressors[keep],
            noise=noise_covariances(basis, keep=keep),
        )
    except QualityError:
        return None


def effects(data: Ratings) -> Effects:
    """Return the effects of a session: mean over its task runs minus mean over its control runs.

    Runs are averaged with the information of their rating, the inverse of ``(X'X)^-1`` at the rating, as weights: the
    same for all sets, so that the effect on a difference stays the difference of effects.
    """
    parts = [
        _averaged([run.fit for run in passing(data) if run.control is control and run.fit is not None])
        for control in (False, True)
    ]
    task, control = parts
    if control is None or task is None:
        return task or Effects(effect=np.full(4, np.nan), variance=np.full(4, np.nan), dof=0)
    return Effects(effect=task.effect - control.effect, variance=task.variance + control.variance, dof=task.dof)


def _averaged(fits: list[Fit]) -> Effects | None:
    if not fits:
        return None
    information = np.array([1 / np.sum(fit.weights[0] ** 2) for fit in fits])
    weight = information / information.sum()
    effect = weight @ np.stack([fit.effect[0] for fit in fits])
    variance = weight**2 @ np.stack([fit.covariance[:, 0, 0] for fit in fits])
    return Effects(effect=effect, variance=variance, dof=sum(fit.dof for fit in fits))


def shift_pain_beta(data: Ratings) -> dict[Level, Estimate]:
    """Return the effect of the rating on the pain regions."""
    return _beta(data, 0)


def shift_emotion_beta(data: Ratings) -> dict[Level, Estimate]:
    """Return the effect of the rating on the emotion regions."""
    return _beta(data, 1)


def shift_reward_beta(data: Ratings) -> dict[Level, Estimate]:
    """Return the effect of the rating on the reward regions."""
    return _beta(data, 2)


def shift_index(data: Ratings) -> dict[Level, Estimate]:
    """Return the effect on the emotion regions minus that on the pain regions."""
    return _beta(data, DIFFERENCE)


def shift_index_std(data: Ratings) -> dict[Level, Estimate]:
    """Return ``(E - P) / (|E| + |P|)``; ``no_response`` if neither effect differs from 0.

    The error is that of the delta method, with the covariance of the two effects.
    """
    refusals = session_refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    found = effects(data)
    pain, emotion = found.effect[:2]
    if not np.any(np.abs(found.effect[:2]) > NORMAL * np.sqrt(found.variance[:2])):
        return {(): Estimate.fail(Reason.NO_RESPONSE, n=found.dof)}
    size = abs(emotion) + abs(pain)
    value = (emotion - pain) / size
    slope = np.array([-1 - value * np.sign(pain), 1 - value * np.sign(emotion)]) / size
    covariance = np.array([[found.variance[0], found.covariance], [found.covariance, found.variance[1]]])
    se = float(np.sqrt(slope @ covariance @ slope))
    interval = (max(-1.0, value - NORMAL * se), min(1.0, value + NORMAL * se))
    return {(): Estimate.of(value, se=se, ci=interval, n=found.dof, flags=session_flags(data))}


def rating_sd(data: Ratings) -> dict[Level, Estimate]:
    """Return the standard deviation of the rating over the steady volumes, the smallest over the task runs."""
    found = [_spread(run) for run in data.runs if not run.control and np.isfinite(run.rating).all()]
    if not found:
        return {(): Estimate.fail(Reason.NO_RATING)}
    low = [Reason.CONSTANT_RATING] if min(found) <= data.settings["rating_sd_min"] else []
    return {(): Estimate.of(min(found), n=sum(_volumes(run) for run in data.runs if not run.control), flags=low)}


def rating_motion_r(data: Ratings) -> dict[Level, Estimate]:
    """Return the correlation of the convolved rating with framewise displacement, the largest in size over the runs."""
    found = [r for run in data.runs if np.isfinite(r := motion_correlation(run))]
    if not found:
        return {(): Estimate.fail(Reason.NO_RATING)}
    r = max(found, key=abs)
    coupled = [Reason.TASK_MOTION] if abs(r) >= data.settings["motion_r_max"] else []
    return {(): Estimate.of(r, n=sum(_volumes(run) for run in data.runs), flags=coupled)}


def motion_correlation(run: RatingRun) -> float:
    """Return Pearson's r of the convolved rating and framewise displacement over the steady volumes, NaN without."""
    known = run.bold.steady & np.isfinite(run.bold.fd_mm) & np.isfinite(run.regressors).all(axis=1)
    moved, rated = run.bold.fd_mm[known], run.regressors[known, 0]
    if known.sum() < 3 or np.ptp(moved) == 0 or np.ptp(rated) == 0:
        return float("nan")
    return float(np.corrcoef(moved, rated)[0, 1])


def passing(data: Ratings) -> tuple[RatingRun, ...]:
    """Return the runs that no gate excludes."""
    return tuple(run for run in data.runs if not refusals_of(run, data))


def refusals_of(run: RatingRun, data: Ratings) -> list[Reason]:
    """Return why a run gives no effect: the gates of a resting run, and those of the rating."""
    reasons = run_refusals(run.bold, data.gates, regions=REGIONS, model=MODEL)
    if not np.isfinite(run.rating).all():
        return [Reason.NO_RATING, *reasons]
    if _spread(run) <= data.settings["rating_sd_min"]:
        reasons.append(Reason.CONSTANT_RATING)
    if abs(motion_correlation(run)) >= data.settings["motion_r_max"]:
        reasons.append(Reason.TASK_MOTION)
    if run.fit is None and not reasons:
        reasons.append(Reason.TOO_FEW_DOF)
    return reasons


def session_refusals(data: Ratings) -> tuple[Reason, ...]:
    """Return why the session gives no effect, empty if it does; where there is a control task, it must pass as well."""
    task = [run for run in data.runs if not run.control]
    control = [run for run in data.runs if run.control]
    if not task:
        return (Reason.NOT_ACQUIRED,)
    reasons: list[Reason] = []
    for runs in filter(None, (task, control)):
        good = [run for run in runs if run in passing(data)]
        reasons += [reason for run in ([] if good else runs) for reason in refusals_of(run, data)]
        reasons += _time_reasons(good or runs, data, fatal=True)
        if good and sum(run.fit.dof for run in good if run.fit) < data.gates["dof_min"]:
            reasons.append(Reason.TOO_FEW_DOF)
    return tuple(reasons)


def session_flags(data: Ratings) -> list[Reason]:
    """Return what a reader of the effects should know about the runs that pass."""
    runs = passing(data)
    flags = [flag for run in runs for flag in motion_flags(run.bold, data.gates)]
    flags += _time_reasons([run for run in runs if not run.control], data, fatal=False)
    if data.settings["control_task"] is not None and not any(run.control for run in runs):
        flags.append(Reason.NO_CONTROL_RUN)
    if any(run.bold.models[MODEL].reduced for run in runs):
        flags.append(Reason.REDUCED_CONFOUNDS)
    if any(run.bold.doubtful_timing for run in runs):
        flags.append(Reason.DOUBTFUL_TIMING)
    if any(run.bold.other_template for run in runs):
        flags.append(Reason.OTHER_TEMPLATE)
    return flags


def _beta(data: Ratings, place: int) -> dict[Level, Estimate]:
    refusals = session_refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    found = effects(data)
    se = float(np.sqrt(found.variance[place]))
    return {(): Estimate.of(float(found.effect[place]), se=se, n=found.dof, flags=session_flags(data))}


def _time_reasons(runs: list[RatingRun], data: Ratings, *, fatal: bool) -> list[Reason]:
    reasons = time_reasons(kept_s([run.bold for run in runs]), data.gates)
    return [reason for reason in reasons if (reason is Reason.TOO_FEW_VOLUMES) is fatal]


def _spread(run: RatingRun) -> float:
    """Return the standard deviation of the rating over the steady volumes."""
    return float(np.std(run.rating[run.bold.steady], ddof=1)) if run.bold.steady.sum() > 1 else 0.0


def _volumes(run: RatingRun) -> int:
    return int(run.bold.steady.sum())


def _beta_marker(name: str, function: Any, *, set_name: str, direction: Direction, source: str) -> Marker:
    return Marker(
        name=name,
        long_name=f"Activity of {set_name} regions with the rating of pain",
        description=ABOUT.format(name=set_name),
        unit="%",
        family="shift",
        function=function,
        direction=direction,
        tier=Tier.EXPLORATORY,
        doi=HASHMI,
        fact_sheet=FACT_SHEET,
        n_counts="residual degrees of freedom",
        version="1",
        direction_source=source,
        evidence=Evidence.DESIGN,
        se_method=SE,
    )


SHIFT_PAIN_BETA = _beta_marker(
    "shift_pain_beta",
    shift_pain_beta,
    set_name="pain",
    direction=Direction.LOWER,
    source=f"Falls while pain persists. {CONTESTED}",
)
SHIFT_EMOTION_BETA = _beta_marker(
    "shift_emotion_beta",
    shift_emotion_beta,
    set_name="emotion",
    direction=Direction.HIGHER,
    source=f"Rises while pain persists. {CONTESTED}",
)
SHIFT_REWARD_BETA = _beta_marker(
    "shift_reward_beta",
    shift_reward_beta,
    set_name="reward",
    direction=Direction.NOT_APPLICABLE,
    source=f"Unchanged in {HASHMI}: a comparison for the other two.",
)

SHIFT_INDEX = Marker(
    name="shift_index",
    long_name="Sensory-to-affective shift: emotion minus pain regions",
    description=(
        "Effect of the pain rating on the mean signal of the emotion regions minus that on the pain regions, in "
        "percent per point of a scale from 0 to 100. Of a rating task only; what is computed at rest is another marker."
    ),
    unit="%",
    family="shift",
    function=shift_index,
    direction=Direction.HIGHER,
    tier=Tier.EXPLORATORY,
    doi=HASHMI,
    fact_sheet=FACT_SHEET,
    n_counts="residual degrees of freedom",
    version="1",
    direction_source=f"Higher the longer the pain lasts. {CONTESTED}",
    evidence=Evidence.DESIGN,
    se_method=SE,
)

SHIFT_INDEX_STD = Marker(
    name="shift_index_std",
    long_name="Sensory-to-affective shift, share of the response",
    description="(E - P) / (|E| + |P|) with the effects E on the emotion and P on the pain regions; 1: emotion alone.",
    unit="1",
    family="shift",
    function=shift_index_std,
    direction=Direction.HIGHER,
    tier=Tier.EXPLORATORY,
    doi=HASHMI,
    fact_sheet=FACT_SHEET,
    n_counts="residual degrees of freedom",
    version="1",
    bounds=(-1.0, 1.0),
    direction_source=f"As the difference. {CONTESTED}",
    evidence=Evidence.DESIGN,
    se_method=f"{SE}; delta method with the covariance of the two effects, interval cut at -1 and 1",
)

RATING_SD = Marker(
    name="rating_sd",
    long_name="Spread of the rating",
    description="Standard deviation of the rating over the run, on a scale from 0 to 100; the smallest over the runs.",
    unit="1",
    family="shift",
    function=rating_sd,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="volumes",
    version="1",
    bounds=(0.0, 100.0),
    evidence=Evidence.DESIGN,
)

RATING_MOTION_R = Marker(
    name="rating_motion_r",
    long_name="Head motion that follows the rating",
    description=(
        "Correlation of the convolved rating with framewise displacement (Jenkinson); the largest in size over "
        "the runs."
    ),
    unit="1",
    family="shift",
    function=rating_motion_r,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="volumes",
    version="1",
    bounds=(-1.0, 1.0),
    evidence=Evidence.DESIGN,
)

MARKERS: tuple[Marker, ...] = (
    SHIFT_PAIN_BETA,
    SHIFT_EMOTION_BETA,
    SHIFT_REWARD_BETA,
    SHIFT_INDEX,
    SHIFT_INDEX_STD,
    RATING_SD,
    RATING_MOTION_R,
)
