"""The nociceptive withdrawal reflex: its threshold, its size, and how it grows in a train of stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychometric import Threshold, logistic_threshold
from lbpneuro.kernels.reflex import staircase_threshold, train_slope
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Nociceptive withdrawal reflex"

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

REJECTED_FLAG = 0.30
TURNS_MIN = 4
SUMMED_PLACES = (4, 5)
"""Places in a train of five at which a reflex that summates is there."""

PROFILE = "penalised profile likelihood; the standard error is the width of the interval over 3.92"

RHUDY = "10.1016/j.pain.2006.09.024"
BIURRUN = "Biurrun Manresa 2013, 10.1186/1471-2202-14-110 (chronic low back and neck pain)"
BY_ANALOGY = (
    "by analogy with temporal summation of pain: McPhee 2020, 10.1097/j.pain.0000000000001737; not shown for the reflex"
)
FACT_SHEET = (
    "Sensitisation of the nociceptive system: lower thresholds and stronger summation; the reflex shows it without "
    "a rating."
)


@dataclass(frozen=True)
class Reflexes:
    """Trials of one muscle (n_trial,) in order, and the settings of the family.

    Attributes
    ----------
    stim_ma : intensity (mA).
    magnitude : size of the response as Cohen's d.
    interval_z : the same over the SD of the baseline alone, which does not level off.
    answered : whether there was a reflex.
    position : place in a train from 1, NaN for single stimuli.
    kept : trials without a noisy baseline, an early or a late response.
    interval_s : median time between single stimuli, or trains; NaN if unknown.
    """

    stim_ma: Array
    magnitude: Array
    interval_z: Array
    answered: Mask
    position: Array
    kept: Mask
    interval_s: float
    settings: Mapping[str, Any]

    @property
    def single(self) -> Mask:
        """Kept single stimuli."""
        return self.kept & np.isnan(self.position) & np.isfinite(self.stim_ma)

    @cached_property
    def fit(self) -> Threshold:
        """The logistic fit of the responses to single stimuli."""
        return logistic_threshold(
            self.stim_ma[self.single], self.answered[self.single], limits=(0.0, float(self.settings["limit_ma"]))
        )

    @property
    def trains(self) -> tuple[Array, Mask]:
        """Intensity (mA) of each train (n_train,), and whether its fourth or fifth stimulus evoked the reflex.

        Trains of which neither response is kept are left out.
        """
        number = np.cumsum(self.position == 1)
        late = self.kept & np.isin(self.position, SUMMED_PLACES)
        numbers = np.unique(number[late])
        answered = np.array([self.answered[late & (number == each)].any() for each in numbers], dtype=bool)
        return np.array([self.stim_ma[late & (number == each)][0] for each in numbers], dtype=float), answered

    def flags(self, *, few: bool) -> list[Reason]:
        """Return what qualifies all values."""
        found = {
            Reason.FEW_TRIALS: few,
            Reason.MANY_REJECTED: bool(np.mean(~self.kept) > REJECTED_FLAG),
            Reason.SHORT_INTERVALS: bool(self.interval_s < self.settings["interval_min_s"]),
        }
        return [reason for reason, applies in found.items() if applies]


def _no_threshold(data: Reflexes) -> Estimate | None:
    """Why there is no threshold, with the bound that is known.

    A fit whose 50 % point lies beyond the intensities that were tested is a bound too.
    """
    n = int(data.single.sum())
    if not len(data.stim_ma):
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if n < data.settings["threshold_trials"][0]:
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=n)
    return _bound(data.fit, data.stim_ma[data.single])


def _bound(fit: Threshold, tested: Array) -> Estimate | None:
    """The bound of a threshold that lies beyond the ``tested`` intensities; None of one that does not."""
    if fit.answered == 0 or fit.value > tested.max():
        return Estimate.censored(low=float(tested.max()), n=fit.n)
    if fit.answered == fit.n or fit.value < tested.min():
        return Estimate.censored(high=float(tested.min()), n=fit.n)
    return None


def nfr_threshold(data: Reflexes) -> dict[Level, Estimate]:
    """Return the stimulus intensity that evokes the reflex half of the time (logistic regression)."""
    if empty := _no_threshold(data):
        return {(): empty}
    return {(): _fitted(data, data.fit)}


def _fitted(data: Reflexes, fit: Threshold) -> Estimate:
    if np.isnan(fit.value):
        return Estimate.fail(Reason.NOT_MONOTONE, n=fit.n)
    flags = data.flags(few=fit.n < data.settings["threshold_trials"][1])
    return Estimate.of(fit.value, se=fit.se, ci=(fit.ci_low, fit.ci_high), n=fit.n, flags=flags)


def nfr_threshold_staircase(data: Reflexes) -> dict[Level, Estimate]:
    """Return the mean of the peaks and troughs of the staircase.

    Turns that follow each other are not independent: where the reflex is uncertain over more than a step, their scatter
    tells less than half of the error. The standard error is therefore at least that of the likelihood of all answers.
    """
    if empty := _no_threshold(data):
        return {(): empty}
    value, se, n = staircase_threshold(data.stim_ma[data.single], data.answered[data.single])
    if n < TURNS_MIN:
        return {(): Estimate.fail(Reason.TOO_FEW_TRIALS, n=n)}
    se = float(np.fmax(se, data.fit.se))
    return {(): _with_t(value, se, n=n, freedom=n - 1, flags=data.flags(few=False))}


def _with_t(value: float, se: float, *, n: int, freedom: int, flags: list[Reason]) -> Estimate:
    reach = float(scipy.special.stdtrit(freedom, 0.975)) * se
    return Estimate.of(value, se=se, ci=(value - reach, value + reach), n=n, flags=flags)


def nfr_magnitude(data: Reflexes) -> dict[Level, Estimate]:
    """Return the mean size of the responses to single stimuli that evoked the reflex."""
    values = data.magnitude[data.single & data.answered & np.isfinite(data.magnitude)]
    if not len(data.stim_ma):
        return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
    if values.size < data.settings["magnitude_trials_min"]:
        return {(): Estimate.fail(Reason.TOO_FEW_TRIALS if values.size else Reason.NO_RESPONSE, n=values.size)}
    se = float(values.std(ddof=1) / np.sqrt(values.size))
    return {(): _with_t(float(values.mean()), se, n=values.size, freedom=values.size - 1, flags=data.flags(few=False))}


def nfr_ts(data: Reflexes) -> dict[Level, Estimate]:
    """Return how much the reflex grows from one stimulus of a train to the next."""
    in_train = np.isfinite(data.position)
    if not in_train.any():
        return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
    used = data.kept & in_train
    trains = int((used & (data.position == 1)).sum())
    slope, se, n = train_slope(data.position[used], data.interval_z[used])
    if trains < data.settings["trains_min"] or np.isnan(slope):
        return {(): Estimate.fail(Reason.TOO_FEW_TRIALS, n=n)}
    return {(): _with_t(slope, se, n=n, freedom=n - 2, flags=data.flags(few=False))}


def nfr_ts_threshold(data: Reflexes) -> dict[Level, Estimate]:
    """Return the intensity of a train whose last stimuli evoke the reflex half of the time."""
    intensity, answered = data.trains
    if not intensity.size or np.ptp(intensity) == 0:
        return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
    if intensity.size < data.settings["threshold_trials"][0]:
        return {(): Estimate.fail(Reason.TOO_FEW_TRIALS, n=intensity.size)}
    fit = logistic_threshold(intensity, answered, limits=(0.0, float(data.settings["limit_ma"])))
    return {(): _bound(fit, intensity) or _fitted(data, fit)}


_marker = partial(
    Marker,
    family="reflex",
    fact_sheet=FACT_SHEET,
    tier=Tier.EXPLORATORY,
    doi=RHUDY,
    version="1",
    evidence=Evidence.UNVERIFIED,
)

MARKERS: tuple[Marker, ...] = (
    _marker(
        name="nfr_threshold",
        function=nfr_threshold,
        long_name="Threshold of the withdrawal reflex",
        description=(
            "Stimulus intensity that evokes the reflex half of the time: 50 % point of a logistic regression. If "
            "none or all stimuli evoke it, or the point lies beyond the tested intensities, the bounds are in the "
            "interval."
        ),
        unit="mA",
        direction=Direction.LOWER,
        direction_source=BIURRUN,
        n_counts="kept single stimuli",
        se_method=PROFILE,
        bounds=(0.0, 200.0),
        version="2",
    ),
    _marker(
        name="nfr_threshold_staircase",
        function=nfr_threshold_staircase,
        long_name="Threshold of the withdrawal reflex, staircase",
        description="Mean intensity of the peaks and troughs at which an up-and-down series turned.",
        unit="mA",
        direction=Direction.LOWER,
        direction_source=BIURRUN,
        n_counts="turns of the staircase",
        se_method="standard error of the mean, at least that of the logistic threshold; Student's t",
        bounds=(0.0, 200.0),
        version="3",
    ),
    _marker(
        name="nfr_magnitude",
        function=nfr_magnitude,
        long_name="Size of the withdrawal reflex",
        description=(
            "Mean of the rectified EMG in the reflex window minus that of the baseline, over their pooled SD, without "
            "what few independent samples add to it."
        ),
        unit="1",
        version="2",
        direction=Direction.NOT_APPLICABLE,
        n_counts="single stimuli with a reflex",
        se_method="standard error of the mean, Student's t",
    ),
    _marker(
        name="nfr_ts",
        function=nfr_ts,
        long_name="Temporal summation of the withdrawal reflex",
        description="Slope of the interval z of the reflex on the place of the stimulus in the train, over all trains.",
        unit="1",
        direction=Direction.HIGHER,
        direction_source=BY_ANALOGY,
        n_counts="kept stimuli of trains",
        se_method="least squares, Student's t",
    ),
    _marker(
        name="nfr_ts_threshold",
        function=nfr_ts_threshold,
        long_name="Threshold of temporal summation of the withdrawal reflex",
        description=(
            "Intensity of a train of five whose fourth or fifth stimulus evokes the reflex half of the time: 50 % "
            "point of a logistic regression over trains of several intensities. With one intensity there is none."
        ),
        unit="mA",
        direction=Direction.LOWER,
        direction_source=BY_ANALOGY,
        n_counts="trains",
        se_method=PROFILE,
        bounds=(0.0, 200.0),
    ),
)
