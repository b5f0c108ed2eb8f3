"""Corticomotor excitability: motor thresholds, recruitment curve, paired-pulse inhibition and facilitation, latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychometric import Threshold, logistic_threshold
from lbpneuro.kernels.recruitment import Recruitment, Value, mean_amplitude, ratio_of_means, recruitment_curve
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Corticomotor excitability"

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

OUTPUT_PCT = (0.0, 100.0)
CLIPPED_MAX = 0.20
"""Share of clipped pulses beyond which amplitudes have no value: the largest responses are those that are lost."""
REJECTED_FLAG = 0.30
INTENSITY_APART_MSO = 0.5
BACKGROUND_TIMES = 4.0
PLATEAU_SHARE = 0.88
"""Share of the plateau that the largest intensity must reach: the logistic two widths above its midpoint."""
CURVE_RESPONSE = 2.0
"""A recruitment curve has a response if its largest intensity evokes this multiple of what its smallest does."""
PROTOCOLS = ("sici", "icf", "lici", "sicf")

GUIDELINE = "10.1016/j.clinph.2015.02.001"
MASSE_ALARIE = "10.1007/s00221-015-4528-x"
TSAO_2008 = (
    "Tsao 2008, 10.1093/brain/awn154 (lower threshold of the transversus abdominis on the less excitable side); "
    f"Masse-Alarie 2016, {MASSE_ALARIE} (no difference in the multifidus)"
)
FACT_SHEET = (
    "Excitability of the motor cortex: the fact sheet reports reorganisation of motor cortex in low back pain; "
    "thresholds, "
    "curves and paired pulses describe its excitability and are not among its markers."
)
ONE_STUDY = f"Masse-Alarie 2016, {MASSE_ALARIE}: one study of 11 and 13 people, multifidus, left hemisphere only"
PROFILE = "penalised profile likelihood; the standard error is the width of the interval over 3.92"
LOG_SCALE = "delta method on the log scale, Student's t"
CURVE_SE = "least squares on log amplitudes with HC3 errors, Student's t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulses:
    """Trials of one muscle (n_pulse,): amplitudes in uV, intensities in % of the maximum output, times in ms.

    ``amplitude_uv`` is peak to peak, ``corrected_uv`` the same above that of noise, ``background_uv`` the RMS before.
    ``isi_ms`` is 0 for single pulses. ``kept`` and ``clipped`` mark trials that are used, and that left the range of
    the amplifier.
    """

    amplitude_uv: Array
    corrected_uv: Array
    background_uv: Array
    intensity: Array
    isi_ms: Array
    conditioning: Array
    latency_ms: Array
    silent_period_ms: Array
    kept: Mask
    clipped: Mask

    @property
    def single(self) -> Mask:
        """Kept single pulses."""
        return self.kept & (self.isi_ms == 0)

    def above_background(self, response_uv: float) -> Mask:
        """Return which responses of a contracted muscle are ``response_uv`` large and four RMS above its background.

        The size is the measured one: the response is followed by silence, so that taking the noise of the contraction
        off it, as the background asks for, would put the threshold too high.
        """
        background = np.nan_to_num(self.background_uv)
        return (self.amplitude_uv >= response_uv) & (self.corrected_uv > BACKGROUND_TIMES * background)

    @property
    def many_rejected(self) -> bool:
        """Whether more than 30 % were rejected."""
        return bool(np.mean(~self.kept) > REJECTED_FLAG)

    @property
    def too_clipped(self) -> bool:
        """Whether too many left the range of the amplifier."""
        return bool(np.mean(self.clipped) > CLIPPED_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class MuscleTrials:
    """What was recorded of one muscle while one hemisphere was stimulated; None: it was not.

    ``rest`` and ``active`` hold the trials for the thresholds, ``curve`` those of the recruitment curve, ``paired``
    single and paired pulses, ``amplitude`` those at one intensity, ``contracted`` all of the contracted muscle.
    ``entered`` are the thresholds that the laboratory determined (NaN: not stated). ``onset_ms`` is the onset of the
    average response. ``tail`` says that the artefact lasted into the response.
    """

    rest: Pulses | None = None
    active: Pulses | None = None
    curve: Pulses | None = None
    paired: Pulses | None = None
    amplitude: Pulses | None = None
    contracted: Pulses | None = None
    entered: Mapping[str, float] = field(default_factory=dict)
    onset_ms: Value | None = None
    onset_n: int = 0
    tail: bool = False
    slow: bool = False

    def flags(self, pulses: Pulses) -> list[Reason]:
        """Return what qualifies all values made of ``pulses``."""
        found = {
            Reason.MANY_REJECTED: pulses.many_rejected,
            Reason.LOW_SAMPLING_RATE: self.slow,
            Reason.ARTEFACT_TAIL: self.tail,
        }
        return [reason for reason, applies in found.items() if applies]


@dataclass(frozen=True)
class Excitability:
    """The recordings by muscle and stimulated hemisphere, and the settings of the family."""

    trials: Mapping[Level, MuscleTrials]
    settings: Mapping[str, Any]

    @cached_property
    def resting(self) -> dict[Level, Threshold]:
        """The logistic fit of the responses at rest."""
        limit = self.settings["response_uv"]
        fits = {
            level: _threshold(each.rest, each.rest.amplitude_uv >= limit)
            for level, each in self.trials.items()
            if each.rest is not None
        }
        return {level: fit for level, fit in fits.items() if fit}

    @cached_property
    def curves(self) -> dict[Level, Recruitment]:
        """The recruitment curves that enough trials were given for."""
        found = {}
        for level, each in self.trials.items():
            if each.curve is not None and not self.too_few(each.curve):
                used = _known_single(each.curve)
                found[level] = recruitment_curve(each.curve.intensity[used], each.curve.amplitude_uv[used])
        return found

    @cached_property
    def contracted(self) -> dict[Level, Threshold]:
        """The logistic fit of the responses of the contracted muscle."""
        limit = self.settings["response_active_uv"]
        fits = {
            level: _threshold(each.active, each.active.above_background(limit))
            for level, each in self.trials.items()
            if each.active is not None
        }
        return {level: fit for level, fit in fits.items() if fit}

    def protocols(self, level: Level) -> NDArray[np.str_]:
        """Return which protocol each pair of pulses at a level is; empty for single pulses and for what fits none."""
        return self._classified(level)[0]

    def _classified(self, level: Level) -> tuple[NDArray[np.str_], Mask]:
        pulses = self.trials[level].paired
        if pulses is None:
            return np.empty(0, dtype="<U4"), np.empty(0, dtype=bool)
        entered = self.trials[level].entered.get("rmt", np.nan)
        fitted = self.resting[level].value if level in self.resting else np.nan
        return classified(
            pulses.isi_ms,
            conditioning=pulses.conditioning,
            intensity=pulses.intensity,
            rmt_mso=float(entered) if np.isfinite(entered) else fitted,
            ranges=self.settings["isi_ms"],
        )

    def ratio_trials(self, level: Level, name: str) -> tuple[Mask, bool]:
        """Return which trials are of a protocol, and whether that was told by the interval alone."""
        kinds, guessed = self._classified(level)
        return kinds == name, bool(guessed[kinds == name].any())

    def too_few(self, curve: Pulses) -> bool:
        """Return whether trials or intensities are too few for a recruitment curve."""
        used = _known_single(curve)
        levels = np.unique(curve.intensity[used]).size
        return bool(used.sum() < self.settings["curve_trials_min"] or levels < self.settings["curve_intensities_min"])


def _known_single(pulses: Pulses) -> Mask:
    return pulses.single & np.isfinite(pulses.intensity) & np.isfinite(pulses.amplitude_uv)


def _threshold(pulses: Pulses, answered: Mask) -> Threshold | None:
    used = _known_single(pulses)
    return logistic_threshold(pulses.intensity[used], answered[used], limits=OUTPUT_PCT) if used.any() else None


def muscle_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of all markers of the family: muscle and stimulated hemisphere."""
    settings = config["excitability"]
    return [(muscle, hemi) for muscle in settings["muscles"] for hemi in settings["hemispheres"]]


def _motor_threshold(
    data: Excitability, fits: Mapping[Level, Threshold], chosen: Callable[[MuscleTrials], Pulses | None]
) -> dict[Level, Estimate]:
    """The 50 % point of the responses, or what is known of it."""
    found = {}
    for level, fit in fits.items():
        each = data.trials[level]
        if (pulses := chosen(each)) is not None:
            found[level] = _judged(fit, pulses, each, trials=data.settings["threshold_trials"])
    return found


def _judged(fit: Threshold, pulses: Pulses, each: MuscleTrials, *, trials: tuple[int, int]) -> Estimate:
    fewest, flagged = trials
    tested = pulses.intensity[_known_single(pulses)]
    if fit.n < fewest:
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=fit.n)
    if fit.answered == 0:
        return Estimate.censored(low=float(tested.max()), n=fit.n)
    if fit.answered == fit.n:
        return Estimate.censored(high=float(tested.min()), n=fit.n)
    if np.isnan(fit.value):
        return Estimate.fail(Reason.NOT_MONOTONE, n=fit.n)
    flags = [*each.flags(pulses), *([Reason.FEW_TRIALS] if fit.n < flagged else [])]
    return Estimate.of(fit.value, se=fit.se, ci=(fit.ci_low, fit.ci_high), n=fit.n, flags=flags)


def rmt(data: Excitability) -> dict[Level, Estimate]:
    """Return the stimulator output that evokes a response of the resting muscle half of the time."""
    return _motor_threshold(data, data.resting, lambda each: each.rest)


def amt(data: Excitability) -> dict[Level, Estimate]:
    """Return the stimulator output that evokes a response of the contracted muscle half of the time."""
    return _motor_threshold(data, data.contracted, lambda each: each.active)


def _entered(data: Excitability, name: str) -> dict[Level, Estimate]:
    values = {level: each.entered.get(name, np.nan) for level, each in data.trials.items()}
    return {
        level: Estimate.of(value, ci=(np.nan, np.nan)) if np.isfinite(value) else Estimate.missing(Reason.NOT_ACQUIRED)
        for level, value in values.items()
    }


def rmt_entered(data: Excitability) -> dict[Level, Estimate]:
    """Return the resting motor threshold that the laboratory determined and wrote down."""
    return _entered(data, "rmt")


def amt_entered(data: Excitability) -> dict[Level, Estimate]:
    """Return the active motor threshold that the laboratory determined and wrote down."""
    return _entered(data, "amt")


def _of_curve(data: Excitability, name: str) -> dict[Level, Estimate]:
    """A parameter of the recruitment curve, where the curve allows it."""
    found = {}
    for level, each in data.trials.items():
        if each.curve is None:
            continue
        if data.too_few(each.curve):
            found[level] = Estimate.fail(Reason.TOO_FEW_TRIALS, n=int(_known_single(each.curve).sum()))
            continue
        found[level] = _curve_estimate(data.curves[level], name, each.curve, flags=each.flags(each.curve))
    return found


def _curve_estimate(curve: Recruitment, name: str, pulses: Pulses, *, flags: list[Reason]) -> Estimate:
    value: Value = getattr(curve, name)
    used = _known_single(pulses)
    tested = pulses.intensity[used]
    if pulses.too_clipped:
        return Estimate.fail(Reason.CLIPPED, n=curve.n)
    if not _grows(tested, pulses.amplitude_uv[used]) or not np.isfinite([value.value, value.se]).all():
        return Estimate.fail(Reason.NO_RESPONSE, n=curve.n)
    inside = tested.min() < curve.s50.value < tested.max()
    if curve.reached < PLATEAU_SHARE or not inside:
        return Estimate.fail(Reason.PLATEAU_NOT_REACHED, n=curve.n)
    return Estimate.of(value.value, se=value.se, ci=(value.ci_low, value.ci_high), n=curve.n, flags=flags)


def _grows(intensity: Array, amplitude_uv: Array) -> bool:
    """Whether the responses to the largest intensity exceed those to the smallest."""
    top, bottom = (np.median(amplitude_uv[intensity == end]) for end in (intensity.max(), intensity.min()))
    return bool(top > CURVE_RESPONSE * bottom)


def curve_s50(data: Excitability) -> dict[Level, Estimate]:
    """Return the stimulator output of half the plateau of the recruitment curve."""
    return _of_curve(data, "s50")


def curve_threshold(data: Excitability) -> dict[Level, Estimate]:
    """Return where the steepest tangent of the recruitment curve meets its floor."""
    return _of_curve(data, "threshold")


def curve_slope(data: Excitability) -> dict[Level, Estimate]:
    """Return the steepest slope of the recruitment curve."""
    return _of_curve(data, "slope")


def curve_plateau(data: Excitability) -> dict[Level, Estimate]:
    """Return the amplitude above the floor at which the recruitment curve levels off."""
    return _of_curve(data, "plateau")


def classified(
    isi_ms: Array, *, conditioning: Array, intensity: Array, rmt_mso: float, ranges: Mapping[str, tuple[float, float]]
) -> tuple[NDArray[np.str_], Mask]:
    """Return which protocol each pair of pulses is, and whether that is told by its interval alone.

    A conditioning pulse below the resting threshold inhibits at short (``sici``) and facilitates at longer intervals
    (``icf``); one at or above it inhibits at long intervals (``lici``). A first pulse no weaker than the second is
    short-interval facilitation (``sicf``). Where the threshold is not known, a pulse weaker than the second counts as
    below it. Pairs that fit none have no protocol; single pulses neither.

    Parameters
    ----------
    isi_ms, conditioning, intensity : (n_pulse,)
        NaN where the intensity is not known: then the interval decides, and the second result says so.
    ranges
        Intervals (ms, ends included) of ``PROTOCOLS``.
    """
    unknown = np.isnan(conditioning)
    border = np.where(np.isfinite(rmt_mso), rmt_mso, intensity)
    below, stronger = unknown | (conditioning < border), conditioning >= intensity
    fits = {
        "sici": below & ~stronger,
        "icf": below & ~stronger,
        "lici": unknown | (conditioning >= border),
        "sicf": stronger,
    }
    kinds = np.full(isi_ms.shape, "", dtype="<U4")
    for name in reversed(PROTOCOLS):
        low, high = ranges[name]
        kinds[(isi_ms > 0) & (isi_ms >= low) & (isi_ms <= high) & fits[name]] = name
    return kinds, unknown & (kinds != "")


def _paired(data: Excitability, name: str) -> dict[Level, Estimate]:
    """The ratio of conditioned to unconditioned responses of one protocol."""
    found = {}
    for level, each in data.trials.items():
        rows, guessed = data.ratio_trials(level, name)
        if each.paired is not None and rows.any():
            flags = [*each.flags(each.paired), *([Reason.CONDITIONING_UNKNOWN] if guessed else [])]
            found[level] = _ratio(each.paired, rows, fewest=data.settings["paired_trials_min"], flags=flags)
    return found


def _ratio(pulses: Pulses, of_protocol: Mask, *, fewest: int, flags: list[Reason]) -> Estimate:
    conditioned = pulses.corrected_uv[of_protocol & pulses.kept]
    test = pulses.corrected_uv[pulses.single]
    conditioned, test = conditioned[np.isfinite(conditioned)], test[np.isfinite(test)]
    n = conditioned.size + test.size
    if min(conditioned.size, test.size) < fewest:
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=n)
    if pulses.too_clipped:
        return Estimate.fail(Reason.CLIPPED, n=n)
    if _apart(pulses.intensity[of_protocol | pulses.single]):
        return Estimate.fail(Reason.INTENSITY_CHANGED, n=n)
    ratio = ratio_of_means(conditioned, test)
    if np.isnan(ratio.value):
        return Estimate.fail(Reason.FLOOR if test.mean() > 0 else Reason.NO_RESPONSE, n=n)
    return Estimate.of(ratio.value, se=ratio.se, ci=(ratio.ci_low, ratio.ci_high), n=n, flags=flags)


def _apart(intensity: Array) -> bool:
    known = intensity[np.isfinite(intensity)]
    return bool(known.size and np.ptp(known) > INTENSITY_APART_MSO)


def sici(data: Excitability) -> dict[Level, Estimate]:
    """Return the ratio of responses shortly after a weak conditioning pulse to those without one."""
    return _paired(data, "sici")


def icf(data: Excitability) -> dict[Level, Estimate]:
    """Return the ratio of responses some time after a weak conditioning pulse to those without one."""
    return _paired(data, "icf")


def lici(data: Excitability) -> dict[Level, Estimate]:
    """Return the ratio of responses long after a strong conditioning pulse to those without one."""
    return _paired(data, "lici")


def sicf(data: Excitability) -> dict[Level, Estimate]:
    """Return the ratio of responses to pairs whose first pulse is no weaker to those to single pulses."""
    return _paired(data, "sicf")


def mep_amplitude(data: Excitability) -> dict[Level, Estimate]:
    """Return the mean response of the resting muscle to single pulses of one intensity."""
    fewest, flagged = data.settings["amplitude_trials"]
    found = {}
    for level, each in data.trials.items():
        if (pulses := each.amplitude) is None:
            continue
        values = pulses.corrected_uv[pulses.single & np.isfinite(pulses.corrected_uv)]
        mean = mean_amplitude(values)
        if values.size < fewest:
            found[level] = Estimate.fail(Reason.TOO_FEW_TRIALS, n=values.size)
        elif pulses.too_clipped:
            found[level] = Estimate.fail(Reason.CLIPPED, n=values.size)
        elif _apart(pulses.intensity[pulses.isi_ms == 0]):
            found[level] = Estimate.fail(Reason.INTENSITY_CHANGED, n=values.size)
        elif np.isnan(mean.value):
            found[level] = Estimate.fail(Reason.NO_RESPONSE, n=values.size)
        else:
            flags = [*each.flags(pulses), *([Reason.FEW_TRIALS] if values.size < flagged else [])]
            found[level] = _with_interval(mean, n=values.size, flags=flags)
    return found


def _with_interval(value: Value, *, n: int, flags: list[Reason]) -> Estimate:
    return Estimate.of(value.value, se=value.se, ci=(value.ci_low, value.ci_high), n=n, flags=flags)


def mep_latency(data: Excitability) -> dict[Level, Estimate]:
    """Return the mean onset of single responses of the resting muscle."""
    return {
        level: _mean_time(each.amplitude, each.amplitude.latency_ms, each)
        for level, each in data.trials.items()
        if each.amplitude is not None
    }


def silent_period(data: Excitability) -> dict[Level, Estimate]:
    """Return the mean silent period of the contracted muscle."""
    return {
        level: _mean_time(each.contracted, each.contracted.silent_period_ms, each, common_ms=BEGINNING_MS)
        for level, each in data.trials.items()
        if each.contracted is not None
    }


TIMES_MIN = 5
BEGINNING_MS = 0.5
"""Error of where a response begins: it is found half a ms late if it rises smoothly, as much early if with a kink."""


def _mean_time(pulses: Pulses, times_ms: Array, each: MuscleTrials, *, common_ms: float = 0.0) -> Estimate:
    """The mean of what is timed in single trials; ``common_ms`` is the SD of an error that all trials share."""
    values = times_ms[pulses.single & np.isfinite(times_ms)]
    if values.size < TIMES_MIN:
        return Estimate.fail(Reason.TOO_FEW_TRIALS if values.size else Reason.NO_RESPONSE, n=values.size)
    mean, se = float(values.mean()), float(np.hypot(values.std(ddof=1) / np.sqrt(values.size), common_ms))
    reach = float(scipy.special.stdtrit(values.size - 1, 0.975)) * se
    return Estimate.of(mean, se=se, ci=(mean - reach, mean + reach), n=values.size, flags=each.flags(pulses))


def mep_latency_average(data: Excitability) -> dict[Level, Estimate]:
    """Return the onset of the average response of the resting muscle."""
    found = {}
    for level, each in data.trials.items():
        if (onset := each.onset_ms) is not None and each.amplitude is not None:
            there = np.isfinite(onset.value)
            flags = each.flags(each.amplitude)
            found[level] = (
                _with_interval(onset, n=each.onset_n, flags=flags) if there else Estimate.fail(Reason.NO_RESPONSE)
            )
    return found


_marker = partial(
    Marker,
    family="excitability",
    fact_sheet=FACT_SHEET,
    tier=Tier.EXPLORATORY,
    direction=Direction.NOT_APPLICABLE,
    doi=GUIDELINE,
    n_counts="kept trials",
    version="1",
    index=("muscle", "hemi"),
    levels=muscle_levels,
    evidence=Evidence.UNVERIFIED,
)


THRESHOLD_TEXT = (
    "Stimulator output (% of the maximum) at which the {state} muscle responds half of the time: 50 % point of a "
    "logistic regression of responses on intensity; a response is `excitability.{limit}` or more, peak to peak{more}. "
    "If none or all intensities evoke responses, the bounds are in the interval."
)
PAIR_INTERVAL = "at the intervals of `excitability.isi_ms`"
INF = float("inf")

MARKERS: tuple[Marker, ...] = (
    _marker(
        name="rmt",
        function=rmt,
        long_name="Resting motor threshold",
        description=THRESHOLD_TEXT.format(state="resting", limit="response_uv", more=""),
        unit="%",
        se_method=PROFILE,
        direction=Direction.CONTESTED,
        direction_source=TSAO_2008,
        bounds=OUTPUT_PCT,
    ),
    _marker(
        name="amt",
        function=amt,
        long_name="Active motor threshold",
        description=THRESHOLD_TEXT.format(
            state="contracted", limit="response_active_uv", more=", and above noise by four times the background RMS"
        ),
        unit="%",
        version="2",
        se_method=PROFILE,
        direction=Direction.CONTESTED,
        direction_source=TSAO_2008,
        bounds=OUTPUT_PCT,
    ),
    _marker(
        name="rmt_entered",
        function=rmt_entered,
        long_name="Resting motor threshold of the laboratory",
        description="The threshold that was determined during the session and stands in the events or the NIBS table.",
        unit="%",
        n_counts="not counted",
        se_method="",
        tier=Tier.QUALITY,
        bounds=OUTPUT_PCT,
    ),
    _marker(
        name="amt_entered",
        function=amt_entered,
        long_name="Active motor threshold of the laboratory",
        description="The threshold that was determined during the session and stands in the events or the NIBS table.",
        unit="%",
        n_counts="not counted",
        se_method="",
        tier=Tier.QUALITY,
        bounds=OUTPUT_PCT,
    ),
    _marker(
        name="curve_s50",
        function=curve_s50,
        long_name="Midpoint of the recruitment curve",
        description=(
            "Stimulator output at half the plateau of the logistic (Boltzmann) growth of the geometric mean amplitude."
        ),
        unit="%",
        se_method=CURVE_SE,
        bounds=OUTPUT_PCT,
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="curve_threshold",
        function=curve_threshold,
        long_name="Threshold of the recruitment curve",
        description="Stimulator output where the steepest tangent of the recruitment curve meets its floor.",
        unit="%",
        se_method=CURVE_SE,
        bounds=(-100.0, 100.0),
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="curve_slope",
        function=curve_slope,
        long_name="Slope of the recruitment curve",
        description="Steepest slope of the recruitment curve: plateau over four times its width.",
        unit="uV/%",
        se_method=CURVE_SE,
        bounds=(0.0, INF),
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="curve_plateau",
        function=curve_plateau,
        long_name="Plateau of the recruitment curve",
        description=(
            "Amplitude above the floor at which the recruitment curve levels off; empty if the largest intensity "
            "reaches "
            "less than 88 % of it."
        ),
        unit="uV",
        se_method=CURVE_SE,
        bounds=(0.0, INF),
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="sici",
        function=sici,
        long_name="Short-interval intracortical inhibition (ratio)",
        description=(
            f"Mean response after a conditioning pulse below the threshold, {PAIR_INTERVAL}, over the mean without; "
            "below 1: inhibition. Inhibition in percent is 100 (1 - ratio)."
        ),
        unit="1",
        n_counts="kept conditioned and test trials",
        se_method=LOG_SCALE,
        direction=Direction.HIGHER,
        direction_source=ONE_STUDY,
        bounds=(0.0, INF),
    ),
    _marker(
        name="icf",
        function=icf,
        long_name="Intracortical facilitation (ratio)",
        description=(
            f"Mean response after a conditioning pulse below the threshold, {PAIR_INTERVAL}, over the mean without."
        ),
        unit="1",
        n_counts="kept conditioned and test trials",
        se_method=LOG_SCALE,
        bounds=(0.0, INF),
    ),
    _marker(
        name="lici",
        function=lici,
        long_name="Long-interval intracortical inhibition (ratio)",
        description=(
            f"Mean response after a conditioning pulse above the threshold, {PAIR_INTERVAL}, over the mean without."
        ),
        unit="1",
        n_counts="kept conditioned and test trials",
        se_method=LOG_SCALE,
        bounds=(0.0, INF),
    ),
    _marker(
        name="sicf",
        function=sicf,
        long_name="Short-interval intracortical facilitation (ratio)",
        description=(
            f"Mean response to pairs whose first pulse is no weaker than the second, {PAIR_INTERVAL}, over that to "
            "single pulses."
        ),
        unit="1",
        n_counts="kept paired and single trials",
        se_method=LOG_SCALE,
        bounds=(0.0, INF),
    ),
    _marker(
        name="mep_amplitude",
        function=mep_amplitude,
        long_name="Resting response amplitude",
        description=(
            "Mean peak-to-peak response (above that of noise) of the resting muscle to single pulses of one intensity."
        ),
        unit="uV",
        se_method=LOG_SCALE,
        bounds=(0.0, INF),
    ),
    _marker(
        name="mep_latency",
        function=mep_latency,
        long_name="Response latency, single trials",
        description="Mean onset of single responses of the resting muscle after the pulse.",
        unit="ms",
        version="3",
        n_counts="trials with an onset",
        se_method="standard error of the mean, Student's t",
        bounds=(0.0, 100.0),
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="mep_latency_average",
        function=mep_latency_average,
        long_name="Response latency, average response",
        description=(
            "Where the average response of the resting muscle, rectified, rises above 5 % of its peak: within 0.6 ms "
            "of its first departure."
        ),
        unit="ms",
        version="2",
        se_method="bootstrap of trials and the error of interpolation, Student's t",
        bounds=(0.0, 100.0),
        evidence=Evidence.DESIGN,
    ),
    _marker(
        name="silent_period",
        function=silent_period,
        long_name="Silent period",
        description=(
            "Mean time from the onset of the response of the contracted muscle to the return of its background."
        ),
        unit="ms",
        version="3",
        n_counts="trials with a silent period",
        se_method="standard error of the mean and 0.5 ms for where the response begins, Student's t",
        bounds=(0.0, 400.0),
        evidence=Evidence.DESIGN,
    ),
)
