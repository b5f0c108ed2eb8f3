"""Homeostatic plasticity of motor cortex: response to a second bout of brain stimulation after a first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.plasticity import Array, LogRatio, log_contrast, log_ratio, trapezoid_weights
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Homeostatic plasticity"

BASELINE = "pre"
AFTER_FIRST_BOUT = "between"
PRIMING_LEVEL = 0.90
POWER = 0.8
SHAM = 0
BOUTS = 2
CLIPPED_MAX = 0.20
"""Share of clipped pulses beyond which a block has no value: the largest responses are those that are lost."""
REJECTED_FLAG = 0.30

DESIGN_DOI = "10.1155/2018/6207508"
REVIEW = "Thapa & Schabrun 2018, 10.1016/j.clinph.2018.01.060 (group means not verified); 10.1097/pr9.0000000000001141"
FACT_SHEET = (
    "Impaired homeostatic plasticity: in chronic low back pain a second bout of stimulation does not reverse the "
    "effect of the first (the fact sheet describes inhibitory bouts; the study it cites used excitatory ones)."
)
SE_METHOD = (
    "Welch, on log amplitudes; interval Student's t, or studentised bootstrap with plasticity.interval: bootstrap"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Amplitudes of the kept trials per block in uV, and the protocol.

    ``delivered`` counts pulses per block, kept or not. ``polarity`` has one entry per bout: +1 excitatory, -1
    inhibitory, 0 sham; ``assumed`` says that it is that of the settings. ``clipped`` is the share of the pulses of a
    block that left the range of the amplifier; ``slow`` says that the recording was sampled below the recommended rate,
    ``tail`` that the artefact of the pulse lasts into the response.
    ``late`` has the minutes by which a block began after its time, where that is known. ``sham`` are the blocks of a
    session with sham bouts.
    """

    amplitudes_uv: Mapping[str, Array]
    delivered: Mapping[str, int]
    polarity: tuple[int, ...]
    intensity_changed: bool
    settings: Mapping[str, Any]
    clipped: Mapping[str, float] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    slow: bool = False
    tail: bool = False
    assumed: bool = False
    sham: Blocks | None = None
    seed: int = 0

    @property
    def after(self) -> tuple[str, ...]:
        """Blocks after the second bout."""
        return tuple(self.settings["blocks"])


def minutes_after(block: str) -> float:
    """Return how many minutes after the second bout a block nominally begins: post10 is 10."""
    return float(block.removeprefix("post"))


def _absence(blocks: Blocks, name: str) -> Estimate | None:
    """Why a block allows no value; None if it has enough trials and came in time."""
    if not blocks.delivered.get(name):
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if abs(blocks.late.get(name, 0.0)) > blocks.settings["jitter_minutes"]:
        return Estimate.fail(Reason.OFF_SCHEDULE)
    if blocks.clipped.get(name, 0.0) > CLIPPED_MAX:
        return Estimate.fail(Reason.CLIPPED)
    kept = blocks.amplitudes_uv[name].size
    return Estimate.fail(Reason.TOO_FEW_TRIALS, n=kept) if kept < blocks.settings["block_trials_min"] else None


def _any_absence(blocks: Blocks, names: Sequence[str]) -> Estimate | None:
    return next((absence for name in names if (absence := _absence(blocks, name))), None)


def _protocol_fault(blocks: Blocks) -> Estimate | None:
    """What makes all block comparisons void: no recording, no baseline, or another stimulation intensity."""
    if not blocks.delivered:
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if baseline := _absence(blocks, BASELINE):
        clipped = [reason for reason in baseline.reasons if reason is Reason.CLIPPED]
        return Estimate.fail(Reason.NO_BASELINE, *clipped)
    return Estimate.fail(Reason.INTENSITY_CHANGED) if blocks.intensity_changed else None


def _polarity_fault(blocks: Blocks) -> Estimate | None:
    """Why the sign of a homeostatic response is not known; None if both bouts have the same real polarity."""
    kinds = set(blocks.polarity)
    if len(blocks.polarity) != BOUTS:
        return Estimate.fail(Reason.INVALID_INPUT)
    if kinds == {SHAM}:
        return Estimate.fail(Reason.NO_PRIMING)
    return Estimate.fail(Reason.MIXED_POLARITY) if len(kinds) > 1 else None


def _fault(blocks: Blocks) -> Estimate | None:
    return _protocol_fault(blocks) or _polarity_fault(blocks)


def _first_bout_fault(blocks: Blocks) -> Estimate | None:
    """Why the effect of the first bout is not known."""
    absence = _absence(blocks, AFTER_FIRST_BOUT)
    return Estimate.fail(Reason.NO_PRIMING, *absence.reasons) if absence else None


def _compare(blocks: Blocks, name: str, *, reference: str = BASELINE) -> LogRatio:
    return log_ratio(blocks.amplitudes_uv[name], blocks.amplitudes_uv[reference])


def _many_rejected(kept: int, delivered: int) -> bool:
    return delivered - kept > REJECTED_FLAG * delivered


def _flags(blocks: Blocks, *names: str, signed: bool = True) -> list[Reason]:
    """What qualifies a comparison of blocks; ``signed`` if it hangs on the polarity of the bouts."""
    baseline = float(blocks.amplitudes_uv[BASELINE].mean())
    kept = {name: blocks.amplitudes_uv[name].size for name in names}
    few = any(n < blocks.settings["block_trials_flag"] for n in kept.values())
    found = {
        Reason.PROTOCOL_ASSUMED: signed and blocks.assumed,
        Reason.FEW_TRIALS: few,
        Reason.MANY_REJECTED: any(_many_rejected(n, blocks.delivered[name]) for name, n in kept.items()),
        Reason.LOW_SAMPLING_RATE: blocks.slow,
        Reason.ARTEFACT_TAIL: blocks.tail,
        Reason.FLOOR: baseline < blocks.settings["floor_uv"],
        Reason.CEILING: baseline > blocks.settings["ceiling_uv"],
    }
    return [reason for reason, applies in found.items() if applies]


def interval(blocks: Blocks, ratio: LogRatio, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a comparison of blocks that the settings ask for: Welch's, or the bootstrap's."""
    if blocks.settings["interval"] == "welch":
        return ratio.interval(level)
    rng = np.random.default_rng(blocks.seed)
    return ratio.bootstrap_interval(level, n_draws=blocks.settings["bootstrap"], rng=rng)


def _estimate(blocks: Blocks, ratio: LogRatio, *names: str, signed: bool = True) -> Estimate:
    flags = _flags(blocks, *names, signed=signed)
    return Estimate.of(ratio.value, se=ratio.se, ci=interval(blocks, ratio), n=ratio.n, flags=flags)


def block_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the block ratios: between the bouts, then the blocks after the second."""
    return [(AFTER_FIRST_BOUT,), *after_levels(config)]


def after_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of the second bout."""
    return [(block,) for block in config["plasticity"]["blocks"]]


_of_family = partial(
    Marker,
    family="plasticity",
    unit="1",
    tier=Tier.EXPLORATORY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    se_method=SE_METHOD,
    n_counts="kept trials of both blocks",
)
_of_index = partial(_of_family, direction=Direction.LOWER, direction_source=REVIEW, evidence=Evidence.UNVERIFIED)
_undirected = partial(_of_family, direction=Direction.NOT_APPLICABLE)


# -------------------------------------------------------------------------------------------------------------- index


def hp_index(blocks: Blocks) -> dict[Level, Estimate]:
    """Return minus polarity times the log ratio of each block after the second bout to the baseline.

    Positive: the second bout reversed the response (homeostatic); negative: it did not.
    """
    fault = _fault(blocks)
    return {(name,): fault or _absence(blocks, name) or _index(blocks, name) for name in blocks.after}


def _signed(blocks: Blocks, name: str) -> LogRatio:
    return _compare(blocks, name).times(-blocks.polarity[0])


def _index(blocks: Blocks, name: str) -> Estimate:
    return _estimate(blocks, _signed(blocks, name), name, BASELINE)


HP_INDEX = _of_index(
    name="hp_index",
    long_name="Homeostatic plasticity index",
    description=(
        "Minus polarity of the bouts times the mean log amplitude (p2p + 1 uV) of the block after the second bout "
        "minus that of the baseline. Above 0: homeostatic reversal; below 0: the excitability moved on in the "
        "direction of the bouts (impaired). post10 is the primary block."
    ),
    function=hp_index,
    version="2",
    index=("block",),
    levels=after_levels,
)


def hp_index_auc(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the index averaged over the time from the first to the last block (trapezoids)."""
    minutes = [minutes_after(name) for name in blocks.after]
    if len(minutes) < 2:
        return {(): Estimate.fail(Reason.NOT_ACQUIRED)}
    return {(): _average(blocks, list(trapezoid_weights(minutes)))}


def hp_index_mean(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the mean of the index over the blocks after the second bout."""
    return {(): _average(blocks, [1 / len(blocks.after)] * len(blocks.after))}


def _average(blocks: Blocks, weights: list[float]) -> Estimate:
    """The index with ``weights`` of the blocks after the second bout, which must all be there."""
    empty = _fault(blocks) or _any_absence(blocks, blocks.after)
    if empty:
        return empty
    names = (*blocks.after, BASELINE)
    contrast = log_contrast([blocks.amplitudes_uv[name] for name in names], [*weights, -1.0])
    return _estimate(blocks, contrast.times(-blocks.polarity[0]), *names)


HP_INDEX_AUC = _of_index(
    name="hp_index_auc",
    long_name="Homeostatic plasticity index over time",
    description=(
        "Area under the time course of hp_index from the first to the last block after the second bout, over its "
        "duration. Needs all of them."
    ),
    function=hp_index_auc,
    version="1",
    n_counts="kept trials of all blocks",
)
HP_INDEX_MEAN = _of_index(
    name="hp_index_mean",
    long_name="Homeostatic plasticity index, mean of the blocks",
    description="Mean of hp_index over the blocks after the second bout. Needs all of them.",
    function=hp_index_mean,
    version="1",
    n_counts="kept trials of all blocks",
)


def hp_index_sham(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the index minus that of the session with sham bouts, per block."""
    return {(name,): _without_sham(blocks, name) for name in blocks.after}


def _without_sham(blocks: Blocks, name: str) -> Estimate:
    sham = blocks.sham
    if sham is None:
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if set(sham.polarity) != {SHAM}:
        return Estimate.fail(Reason.INVALID_INPUT)
    empty = _fault(blocks) or _absence(blocks, name) or _protocol_fault(sham) or _absence(sham, name)
    if empty:
        return empty
    difference = _signed(blocks, name).plus(_compare(sham, name).times(blocks.polarity[0]))
    flags = [*_flags(blocks, name, BASELINE), *_flags(sham, name, BASELINE, signed=False)]
    ci = interval(blocks, difference)
    return Estimate.of(difference.value, se=difference.se, ci=ci, n=difference.n, flags=flags)


HP_INDEX_SHAM = _of_index(
    name="hp_index_sham",
    long_name="Homeostatic plasticity index less that of sham",
    description=(
        "hp_index minus that of the session with sham bouts (plasticity.sham_session), taken with the same sign: what "
        "time and repeated pulses do without stimulation is taken off, and its noise is added."
    ),
    function=hp_index_sham,
    version="1",
    index=("block",),
    levels=after_levels,
    n_counts="kept trials of both blocks, of both sessions",
)


# ------------------------------------------------------------------------------------------------------------- course


def block_log_ratio(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the log ratio of each later block to the baseline, whatever the polarity."""
    fault = _protocol_fault(blocks)
    names = (AFTER_FIRST_BOUT, *blocks.after)
    return {(name,): fault or _absence(blocks, name) or _block(blocks, name) for name in names}


def _block(blocks: Blocks, name: str) -> Estimate:
    return _estimate(blocks, _compare(blocks, name), name, BASELINE, signed=False)


BLOCK_LOG_RATIO = _undirected(
    name="block_log_ratio",
    long_name="Log ratio of block amplitude to baseline",
    description="Mean log amplitude (p2p + 1 uV) of a block minus that of the baseline; exp gives the ratio.",
    function=block_log_ratio,
    version="2",
    index=("block",),
    levels=block_levels,
)


def hp_first_bout(blocks: Blocks) -> dict[Level, Estimate]:
    """Return polarity times the log ratio between the bouts: positive if the first bout did what it should."""
    fault = _fault(blocks) or _first_bout_fault(blocks)
    return {(): fault or _estimate(blocks, _priming(blocks), AFTER_FIRST_BOUT, BASELINE)}


def _priming(blocks: Blocks) -> LogRatio:
    return _compare(blocks, AFTER_FIRST_BOUT).times(blocks.polarity[0])


HP_FIRST_BOUT = _undirected(
    name="hp_first_bout",
    long_name="Effect of the first bout",
    description="Polarity of the bouts times the log ratio of the block between the bouts to the baseline.",
    function=hp_first_bout,
    version="2",
)


def hp_reversal(blocks: Blocks) -> dict[Level, Estimate]:
    """Return minus polarity times the change from between the bouts to each block after the second."""
    fault = _fault(blocks) or _first_bout_fault(blocks)
    return {(name,): fault or _absence(blocks, name) or _reversal(blocks, name) for name in blocks.after}


def _reversal(blocks: Blocks, name: str) -> Estimate:
    ratio = _compare(blocks, name, reference=AFTER_FIRST_BOUT).times(-blocks.polarity[0])
    return _estimate(blocks, ratio, name, AFTER_FIRST_BOUT)


HP_REVERSAL = _of_index(
    name="hp_reversal",
    long_name="Reversal by the second bout",
    description=(
        "Minus polarity of the bouts times the mean log amplitude of the block after the second bout minus that of the "
        "block between the bouts: what the second bout changed."
    ),
    function=hp_reversal,
    version="2",
    index=("block",),
    levels=after_levels,
)


# ----------------------------------------------------------------------------------------------------- what it says


def hp_valid_priming(blocks: Blocks) -> dict[Level, Estimate]:
    """Return 1 if the lower limit of the 90 % interval of the first bout's effect is above 0, else 0."""
    fault = _fault(blocks) or _first_bout_fault(blocks)
    return {(): fault or _validity(blocks)}


def _primed(blocks: Blocks) -> bool:
    return interval(blocks, _priming(blocks), level=PRIMING_LEVEL)[0] > 0


def _validity(blocks: Blocks) -> Estimate:
    flags = _flags(blocks, AFTER_FIRST_BOUT, BASELINE)
    return Estimate.of(float(_primed(blocks)), ci=(np.nan, np.nan), n=_priming(blocks).n, flags=flags)


HP_VALID_PRIMING = _undirected(
    name="hp_valid_priming",
    long_name="First bout was effective",
    description=(
        "1 if the lower limit of the 90 % interval of the effect of the first bout is above 0, else 0. Without "
        "effective priming a homeostatic response cannot be interpreted."
    ),
    function=hp_valid_priming,
    tier=Tier.QUALITY,
    version="2",
    bounds=(0.0, 1.0),
    se_method="",
)


def _told(blocks: Blocks, name: str, summary: Any) -> Estimate:
    """What ``summary`` makes of the index; flagged where the first bout is not known to have worked."""
    empty = _fault(blocks) or _absence(blocks, name)
    if empty:
        return empty
    unproven = bool(_first_bout_fault(blocks)) or not _primed(blocks)
    flags = [*_flags(blocks, name, BASELINE), *([Reason.PRIMING_UNPROVEN] if unproven else [])]
    ratio = _signed(blocks, name)
    return Estimate.of(summary(ratio), ci=(np.nan, np.nan), n=ratio.n, flags=flags)


def hp_probability(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the probability that the index of a block is above 0, from its error and a flat prior."""
    return {(name,): _told(blocks, name, LogRatio.probability_positive) for name in blocks.after}


HP_PROBABILITY = _undirected(
    name="hp_probability",
    long_name="Probability of a homeostatic response",
    description=(
        "Probability that the true hp_index of the block is above 0, from the scatter of the trials alone, if all "
        "values were as likely before. It says how well this session tells the sign, not how often people respond so."
    ),
    function=hp_probability,
    tier=Tier.QUALITY,
    version="1",
    index=("block",),
    levels=after_levels,
    bounds=(0.0, 1.0),
    se_method="none: a probability",
)


def hp_class(blocks: Blocks) -> dict[Level, Estimate]:
    """Return 1 (homeostatic), -1 (anti-homeostatic) or 0 (indeterminate) per block, by the interval of the index."""

    def side(ratio: LogRatio) -> float:
        low, high = interval(blocks, ratio)
        return float(low > 0) - float(high < 0)

    return {(name,): _told(blocks, name, side) for name in blocks.after}


HP_CLASS = _undirected(
    name="hp_class",
    long_name="Kind of response to the second bout",
    description=(
        "1: homeostatic, the 95 % interval of hp_index lies above 0; -1: anti-homeostatic, it lies below; 0: "
        "indeterminate. No published limit exists for one person, and this is none: it says what the trials of this "
        "session can tell."
    ),
    function=hp_class,
    tier=Tier.QUALITY,
    version="1",
    index=("block",),
    levels=after_levels,
    bounds=(-1.0, 1.0),
    evidence=Evidence.DESIGN,
    se_method="none: a class",
)


def hp_detectable(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the smallest log ratio that the trials of each block and the baseline would show with 80 % power."""
    fault = _protocol_fault(blocks)
    return {(name,): fault or _absence(blocks, name) or _smallest(blocks, name) for name in blocks.after}


def _smallest(blocks: Blocks, name: str) -> Estimate:
    ratio = _compare(blocks, name)
    flags = _flags(blocks, name, BASELINE, signed=False)
    return Estimate.of(ratio.detectable(power=POWER), ci=(np.nan, np.nan), n=ratio.n, flags=flags)


HP_DETECTABLE = _undirected(
    name="hp_detectable",
    long_name="Smallest change that the trials can show",
    description=(
        "Log ratio of a block to the baseline that a two-sided test at 5 % would find with 80 % power, from the number "
        "and the scatter of these trials; exp gives the ratio. A smaller change of this person cannot be told from "
        "none."
    ),
    function=hp_detectable,
    tier=Tier.QUALITY,
    version="1",
    index=("block",),
    levels=after_levels,
    bounds=(0.0, np.inf),
    se_method="",
)

MARKERS: tuple[Marker, ...] = (
    HP_INDEX,
    HP_INDEX_AUC,
    HP_INDEX_MEAN,
    HP_INDEX_SHAM,
    BLOCK_LOG_RATIO,
    HP_FIRST_BOUT,
    HP_REVERSAL,
    HP_PROBABILITY,
    HP_CLASS,
    HP_VALID_PRIMING,
    HP_DETECTABLE,
)
