"""What the report says in words: statuses, reasons, expected directions, and numbers with honest digits."""

from __future__ import annotations

import math

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.descriptor import Direction, Evidence

STATUS_SYMBOL: dict[Status, str] = {Status.OK: "✓", Status.FLAG: "⚑", Status.FAIL: "✕", Status.MISSING: "○"}

STATUS_MEANING: dict[Status, str] = {
    Status.OK: "computed, no reservation",
    Status.FLAG: "computed, read with the reservation named beside it",
    Status.FAIL: "the data exist but do not allow a value",
    Status.MISSING: "there are no data",
}

DIRECTION_SYMBOL: dict[Direction, str] = {
    Direction.LOWER: "↓",
    Direction.HIGHER: "↑",
    Direction.CONTESTED: "↕",
    Direction.NOT_APPLICABLE: "–",
}

DIRECTION_WORDS: dict[Direction, str] = {
    Direction.LOWER: "lower in low back pain",
    Direction.HIGHER: "higher in low back pain",
    Direction.CONTESTED: "contested: studies disagree",
    Direction.NOT_APPLICABLE: "no expectation",
}

EVIDENCE_WORDS: dict[Evidence, str] = {
    Evidence.VERIFIED: "read in the source",
    Evidence.UNVERIFIED: "unverified: not checked against this source",
    Evidence.DESIGN: "details are a design choice",
}

_REASON_WORDS: dict[Reason, str] = {
    Reason.NOT_ACQUIRED: "the measurement was not acquired",
    Reason.FIRST_SESSION: "there is no earlier session to compare with",
    Reason.SWITCHED_OFF: "switched off in the settings",
    Reason.FILE_MISSING: "a file that the dataset names is not there",
    Reason.INVALID_INPUT: "an input file is not what it must be",
    Reason.NO_DERIVATIVE: "the preprocessed files are not there",
    Reason.NO_TRANSFORM: "the transform to template space is not there",
    Reason.NOT_IN_SOURCE: "the program that processed the image does not provide this",
    Reason.NO_REFERENCE: "no reference cohort was given",
    Reason.OTHER_METHOD: "the reference cohort was measured by another method",
    Reason.NO_COVARIATE: "age or sex is not known",
    Reason.STEP_FAILED: "an earlier step failed",
    Reason.FAILED_QC: "a quality check forbids a value",
    Reason.POOR_IMAGE: "the quality of the image is too low",
    Reason.TEMPLATE_MISFIT: "the brain does not lie where that of the template does",
    Reason.HIGH_MOTION: "too much head motion",
    Reason.TASK_MOTION: "head motion follows the rating",
    Reason.TOO_FEW_VOLUMES: "too little scan time is left after censoring",
    Reason.TOO_FEW_DOF: "too few degrees of freedom are left",
    Reason.COVERAGE_TOO_LOW: "too little of the region lies inside the data",
    Reason.SIGNAL_DROPOUT: "the region has lost most of its signal (dropout)",
    Reason.BRAINSTEM_MISPLACED: "the brainstem does not lie where that of the template does",
    Reason.OTHER_TEMPLATE: "the regions were defined in another template",
    Reason.ZERO_VARIANCE: "the signal does not vary",
    Reason.NO_ALTERNATIVE: "the scan is so short that both confound strategies came down to the same one",
    Reason.NO_STATES: "no connectivity states could be learned from this study",
    Reason.TOO_FEW_WINDOWS: "too few windows of time in this state",
    Reason.NO_RATING: "the run has no rating",
    Reason.CONSTANT_RATING: "the rating hardly varies",
    Reason.NO_RESPONSE: "neither the pain nor the emotion regions follow the rating",
    Reason.NOT_TSPO: "the tracer does not bind to TSPO",
    Reason.LOW_AFFINITY: "the person's TSPO does not bind the tracer (low-affinity binder, rs6971)",
    Reason.WINDOW_NOT_COVERED: "too little of the time window was scanned",
    Reason.REGION_ABSENT: "the data have no such region",
    Reason.NO_DOSE: "injected radioactivity or body mass is not given",
    Reason.NO_ARTERIAL_INPUT: "there are no arterial blood samples",
    Reason.NO_IMAGE: "there are only curves of regions, no image",
    Reason.NOT_LINEAR: "the plot is not straight",
    Reason.TOO_FEW_TRIALS: "too few usable trials",
    Reason.TOO_FEW_SITES: "too few usable stimulation sites",
    Reason.NO_GRID: "the pulses follow no grid, which this marker needs",
    Reason.NO_MAP: "no response above the background at any site",
    Reason.CLIPPED: "too many responses exceed the range of the amplifier",
    Reason.NOT_MONOTONE: "the answers do not follow the stimulus",
    Reason.GUESSING: "one point was often felt as two",
    Reason.AT_CHANCE: "the answers are no better than chance, or not surely so",
    Reason.NO_OPTIONS: "the number of figures to choose from is not given",
    Reason.TOO_FEW_ITEMS: "too many items were left blank",
    Reason.NO_BASELINE: "no usable baseline block",
    Reason.NO_PRIMING: "no effect of a first bout is known",
    Reason.MIXED_POLARITY: "the two bouts had different polarity",
    Reason.INTENSITY_CHANGED: "the stimulation intensity changed during the run",
    Reason.ZERO_BASELINE: "the baseline is 0: a ratio to it is not defined",
    Reason.CONDITIONING_ABORTED: "the conditioning stimulus was stopped early",
    Reason.OTHER_DEVICE: "the norm was measured with another device, probe or rate",
    Reason.OTHER_FRAME: "the muscles were recorded in different coordinate frames",
    Reason.OUT_OF_BOUNDS: "the value lies outside what is possible",
    Reason.CENSORED_AT_LIMIT: "the value lies beyond the limit of the device or assay",
    Reason.DOUBTFUL_TIMING: "two repetition times in the sidecar of the run",
    Reason.HIGH_MULTIBAND: "many slices at once (multiband): less signal from the nucleus accumbens and the VTA",
    Reason.SHORT_SCAN: "short scan",
    Reason.MODERATE_MOTION: "moderate head motion",
    Reason.ASYMMETRIC: "the two sides differ more than anatomy does",
    Reason.SKULL_STRIPPED: "the skull had been removed: the mask then used may follow the sulci",
    Reason.TISSUE_IN_NUCLEUS: "gray matter found in the nucleus, which is only a part of its volume",
    Reason.BRAIN_CHANGED: "the whole brain changed by more than a brain does; the scanner may have",
    Reason.MARGINAL_IMAGE: "the quality of the image is marginal",
    Reason.MOVING_HEAD: "the head moved in the functional runs of the session, and so perhaps in this scan",
    Reason.GENOTYPE_UNKNOWN: "not comparable across people: the TSPO genotype (rs6971) is not known",
    Reason.TSPO_LIGAND: "the person takes a drug that binds to TSPO",
    Reason.IMPLAUSIBLE_UPTAKE: "the uptake of the reference region is not plausible",
    Reason.UNUSUAL_DOSE: "unusual injected radioactivity",
    Reason.MOTION_UNKNOWN: "head motion between frames is not known",
    Reason.LOW_TSNR: "low temporal signal-to-noise ratio",
    Reason.VENTRICLE_AS_STRONG: "the fourth ventricle is as strongly connected as the seed",
    Reason.NOT_RESTING_STATE: "not a resting-state scan",
    Reason.NO_CONTROL_RUN: "without the control rating, which was to be taken away",
    Reason.FEW_FOR_STATES: "the connectivity states were learned from few people",
    Reason.STATES_FOLLOW_MOTION: "the connectivity states follow head motion",
    Reason.FEW_TRIALS: "few trials",
    Reason.MANY_REJECTED: "more than 30 % of the trials were rejected",
    Reason.LOW_SAMPLING_RATE: "sampled below 2000 Hz",
    Reason.OFF_SCHEDULE: "the block did not come at its time after the second bout",
    Reason.PROTOCOL_ASSUMED: "the kind of the bouts is that of the settings; the recording does not state it",
    Reason.PRIMING_UNPROVEN: "the first bout is not known to have worked",
    Reason.LOW_RELIABILITY: "hardly alike from day to day: not for a single person",
    Reason.OTHER_CONSTRUCT: "not the pair of muscles whose maps were found smudged",
    Reason.IMPUTED_SITES: "missing sites filled from their neighbours",
    Reason.PLATEAU_NOT_REACHED: "the recruitment curve does not reach its plateau",
    Reason.ARTEFACT_TAIL: "the artefact of the pulse lasts into the response",
    Reason.CONDITIONING_UNKNOWN: "the intensity of the conditioning pulse is not known",
    Reason.SHORT_INTERVALS: "stimuli followed each other too soon, so that responses habituate",
    Reason.MAP_TRUNCATED: "the map reaches the border of the grid",
    Reason.CROSSTALK: "the two muscle channels share signal",
    Reason.UNSTABLE_BACKGROUND: "unstable background contraction",
    Reason.VARIABLE_TRIALS: "the trials differ much from each other",
    Reason.TRAIN_CUT_SHORT: "a train was stopped before its last stimulus",
    Reason.WEAK_CONDITIONING: "the conditioning stimulus hardly hurt",
    Reason.CONDITIONING_AT_PAIN_SITE: "the conditioning stimulus was applied where it hurts",
    Reason.LOW_BASELINE: "the baseline rating is low, so that there is little to inhibit",
    Reason.PUBLISHED_ERROR: "judged by a published error of measurement, not by the person's own",
    Reason.DEVICE_UNKNOWN: "the norm does not say with which device it was measured",
    Reason.FLOOR: "responses close to the floor",
    Reason.CEILING: "responses close to the ceiling",
    Reason.ITEMS_MISSING: "some items were left blank",
    Reason.STRAIGHT_LINING: "the same answer was ticked all the way down",
    Reason.TOTAL_DIFFERS: "the total in the table is not that of its items",
    Reason.REDUCED_CONFOUNDS: "fewer confounds taken out, because the scan is short",
    Reason.DRAFT_PROCESSING: "draft preprocessing (coarse resolution)",
}


def reason_words(reason: Reason) -> str:
    """Return what ``reason`` means, in words."""
    return _REASON_WORDS.get(reason, reason.value.replace("_", " "))


def because(reasons: tuple[Reason, ...]) -> str:
    """Return several reasons as one phrase; empty without reasons."""
    return "; ".join(reason_words(reason) for reason in reasons)


def decimals(error: float, *, digits: int = 2) -> int:
    """Return the decimal places that show ``error`` with ``digits`` significant digits (0 to 6).

    >>> decimals(0.0234), decimals(4.1), decimals(37.0)
    (3, 1, 0)
    """
    return min(6, max(0, digits - 1 - math.floor(math.log10(error))))


def number(value: float, *, error: float = math.nan) -> str:
    """Return ``value`` as text with the digits that its standard error ``error`` supports.

    The last digit shown is the second significant one of the error. Without an error whole numbers are shown
    whole, others with three significant digits. The minus sign is a minus sign; NaN is a dash.

    >>> number(612.3456, error=4.1), number(-0.12345, error=0.2), number(240.0), number(0.123456)
    ('612.3', '−0.12', '240', '0.123')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{_places(value, error)}f}"
    return text.replace("-", "−") if float(text) != 0 else text.lstrip("-")


def count(n: float) -> str:
    """Return a number of observations as text; an effective number keeps one decimal.

    >>> count(210.0), count(43.11)
    ('210', '43.1')
    """
    return number(n) if math.isnan(n) or n == round(n) else f"{n:.1f}"


def _places(value: float, error: float) -> int:
    if math.isfinite(error) and error > 0:
        return decimals(error)
    return 0 if value == round(value) else decimals(abs(value), digits=3)
