"""Homeostatic plasticity of motor cortex: response to a second bout of brain stimulation after a first one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.plasticity import Array, LogRatio, log_ratio
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Homeostatic plasticity"

BASELINE = "pre"
AFTER_FIRST_BOUT = "between"
PRIMING_LEVEL = 0.90
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
SE_METHOD = "Welch, on log amplitudes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Amplitudes of the kept trials per block in uV, and the protocol.

    ``delivered`` counts pulses per block, kept or not. ``polarity`` has one entry per bout: +1 excitatory, -1
    inhibitory, 0 sham; empty if the protocol is not documented. ``clipped`` is the share of the pulses of a block that
    left the range of the amplifier; ``slow`` says that the recording was sampled below the recommended rate.
    """

    amplitudes_uv: Mapping[str, Array]
    delivered: Mapping[str, int]
    polarity: tuple[int, ...]
    intensity_changed: bool
    settings: Mapping[str, Any]
    clipped: Mapping[str, float] = field(default_factory=dict)
    slow: bool = False

    @property
    def after(self) -> tuple[str, ...]:
        """Blocks after the second bout."""
        return tuple(self.settings["blocks"])


def _absence(blocks: Blocks, name: str) -> Estimate | None:
    """Why a block allows no value; None if it has enough trials."""
    if not blocks.delivered.get(name):
        return Estimate.missing(Reason.NOT_ACQUIRED)
    if blocks.clipped.get(name, 0.0) > CLIPPED_MAX:
        return Estimate.fail(Reason.CLIPPED)
    kept = blocks.amplitudes_uv[name].size
    return Estimate.fail(Reason.TOO_FEW_TRIALS, n=kept) if kept < blocks.settings["block_trials_min"] else None


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


def _first_bout_fault(blocks: Blocks) -> Estimate | None:
    """Why the effect of the first bout is not known."""
    absence = _absence(blocks, AFTER_FIRST_BOUT)
    return Estimate.fail(Reason.NO_PRIMING, *absence.reasons) if absence else None


def _compare(blocks: Blocks, name: str, *, reference: str = BASELINE) -> LogRatio:
    return log_ratio(blocks.amplitudes_uv[name], blocks.amplitudes_uv[reference])


def _many_rejected(kept: int, delivered: int) -> bool:
    return delivered - kept > REJECTED_FLAG * delivered


def _flags(blocks: Blocks, *names: str) -> list[Reason]:
    baseline = float(blocks.amplitudes_uv[BASELINE].mean())
    kept = {name: blocks.amplitudes_uv[name].size for name in names}
    few = any(n < blocks.settings["block_trials_flag"] for n in kept.values())
    found = {
        Reason.FEW_TRIALS: few,
        Reason.MANY_REJECTED: any(_many_rejected(n, blocks.delivered[name]) for name, n in kept.items()),
        Reason.LOW_SAMPLING_RATE: blocks.slow,
        Reason.FLOOR: baseline < blocks.settings["floor_uv"],
        Reason.CEILING: baseline > blocks.settings["ceiling_uv"],
    }
    return [reason for reason, applies in found.items() if applies]


def _estimate(blocks: Blocks, ratio: LogRatio, *names: str) -> Estimate:
    return Estimate.of(ratio.value, se=ratio.se, ci=ratio.interval(0.95), n=ratio.n, flags=_flags(blocks, *names))


def block_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the block ratios: between the bouts, then the blocks after the second."""
    return [(AFTER_FIRST_BOUT,), *after_levels(config)]


def after_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of the second bout."""
    return [(block,) for block in config["plasticity"]["blocks"]]


def hp_index(blocks: Blocks) -> dict[Level, Estimate]:
    """Return minus polarity times the log ratio of each block after the second bout to the baseline.

    Positive: the second bout reversed the response (homeostatic); negative: it did not.
    """
    fault = _protocol_fault(blocks) or _polarity_fault(blocks)
    return {(name,): fault or _absence(blocks, name) or _index(blocks, name) for name in blocks.after}


def _index(blocks: Blocks, name: str) -> Estimate:
    ratio = _compare(blocks, name).times(-blocks.polarity[0])
    return _estimate(blocks, ratio, name, BASELINE)


HP_INDEX = Marker(
    name="hp_index",
    long_name="Homeostatic plasticity index",
    description=(
        "Minus polarity of the bouts times the mean log amplitude (p2p + 1 uV) of the block after the second bout "
        "minus that of the baseline. Above 0: homeostatic reversal; below 0: the excitability moved on in the "
        "direction of the bouts (impaired). post10 is the primary block."
    ),
    unit="1",
    family="plasticity",
    function=hp_index,
    direction=Direction.LOWER,
    direction_source=REVIEW,
    tier=Tier.EXPLORATORY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    n_counts="kept trials of both blocks",
    version="1",
    index=("block",),
    levels=after_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def block_log_ratio(blocks: Blocks) -> dict[Level, Estimate]:
    """Return the log ratio of each later block to the baseline, whatever the polarity."""
    fault = _protocol_fault(blocks)
    names = (AFTER_FIRST_BOUT, *blocks.after)
    return {(name,): fault or _absence(blocks, name) or _block(blocks, name) for name in names}


def _block(blocks: Blocks, name: str) -> Estimate:
    return _estimate(blocks, _compare(blocks, name), name, BASELINE)


BLOCK_LOG_RATIO = Marker(
    name="block_log_ratio",
    long_name="Log ratio of block amplitude to baseline",
    description="Mean log amplitude (p2p + 1 uV) of a block minus that of the baseline; exp gives the ratio.",
    unit="1",
    family="plasticity",
    function=block_log_ratio,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    n_counts="kept trials of both blocks",
    version="1",
    index=("block",),
    levels=block_levels,
    se_method=SE_METHOD,
)


def hp_first_bout(blocks: Blocks) -> dict[Level, Estimate]:
    """Return polarity times the log ratio between the bouts: positive if the first bout did what it should."""
    fault = _protocol_fault(blocks) or _polarity_fault(blocks) or _first_bout_fault(blocks)
    return {(): fault or _estimate(blocks, _priming(blocks), AFTER_FIRST_BOUT, BASELINE)}


def _priming(blocks: Blocks) -> LogRatio:
    return _compare(blocks, AFTER_FIRST_BOUT).times(blocks.polarity[0])


HP_FIRST_BOUT = Marker(
    name="hp_first_bout",
    long_name="Effect of the first bout",
    description="Polarity of the bouts times the log ratio of the block between the bouts to the baseline.",
    unit="1",
    family="plasticity",
    function=hp_first_bout,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    n_counts="kept trials of both blocks",
    version="1",
    se_method=SE_METHOD,
)


def hp_reversal(blocks: Blocks) -> dict[Level, Estimate]:
    """Return minus polarity times the change from between the bouts to each block after the second."""
    fault = _protocol_fault(blocks) or _polarity_fault(blocks) or _first_bout_fault(blocks)
    return {(name,): fault or _absence(blocks, name) or _reversal(blocks, name) for name in blocks.after}


def _reversal(blocks: Blocks, name: str) -> Estimate:
    ratio = _compare(blocks, name, reference=AFTER_FIRST_BOUT).times(-blocks.polarity[0])
    return _estimate(blocks, ratio, name, AFTER_FIRST_BOUT)


HP_REVERSAL = Marker(
    name="hp_reversal",
    long_name="Reversal by the second bout",
    description=(
        "Minus polarity of the bouts times the mean log amplitude of the block after the second bout minus that of the "
        "block between the bouts: what the second bout changed."
    ),
    unit="1",
    family="plasticity",
    function=hp_reversal,
    direction=Direction.LOWER,
    direction_source=REVIEW,
    tier=Tier.EXPLORATORY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    n_counts="kept trials of both blocks",
    version="1",
    index=("block",),
    levels=after_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def hp_valid_priming(blocks: Blocks) -> dict[Level, Estimate]:
    """Return 1 if the lower limit of the 90 % interval of the first bout's effect is above 0, else 0."""
    fault = _protocol_fault(blocks) or _polarity_fault(blocks) or _first_bout_fault(blocks)
    return {(): fault or _validity(blocks)}


def _validity(blocks: Blocks) -> Estimate:
    ratio = _priming(blocks)
    valid = float(ratio.interval(PRIMING_LEVEL)[0] > 0)
    return Estimate.of(valid, ci=(np.nan, np.nan), n=ratio.n, flags=_flags(blocks, AFTER_FIRST_BOUT, BASELINE))


HP_VALID_PRIMING = Marker(
    name="hp_valid_priming",
    long_name="First bout was effective",
    description=(
        "1 if the lower limit of the 90 % interval of the effect of the first bout is above 0, else 0. Without "
        "effective priming a homeostatic response cannot be interpreted."
    ),
    unit="1",
    family="plasticity",
    function=hp_valid_priming,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi=DESIGN_DOI,
    fact_sheet=FACT_SHEET,
    n_counts="kept trials of both blocks",
    version="1",
    bounds=(0.0, 1.0),
)

MARKERS: tuple[Marker, ...] = (HP_INDEX, BLOCK_LOG_RATIO, HP_FIRST_BOUT, HP_REVERSAL, HP_VALID_PRIMING)
