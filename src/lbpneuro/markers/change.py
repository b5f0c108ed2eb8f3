"""Change of gray matter between two sessions of one person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbpneuro.errors import Reason
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.tissue import HEMISPHERES

TITLE = "Change of gray matter between sessions"
FACT_SHEET = "Structural changes: gray matter of the dorsolateral prefrontal cortex and thalamus"
SEMINOWICZ = "10.1523/JNEUROSCI.5280-10.2011"
REUTER = "10.1016/j.neuroimage.2012.02.084"
PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange:
    """Volume of a label in the two sessions (mL), and its change in percent of their mean.

    ``scatter`` is the part of the standard error that the scatter of all labels of the two sessions shows.
    """

    first_ml: float
    second_ml: float
    percent: float
    scatter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Input of the family: what the comparison of a session with the first one of the person gave.

    Attributes
    ----------
    labels
        Changes by (roi, hemi), of all labels that the standard error is taken from.
    coverage
        Share of each label that lies inside the brain of both sessions.
    brain_percent
        Change of the whole brain in percent of the mean.
    correlation
        Of the two images after the deformation.
    rigid_mm
        How far the rigid registrations of one image to the other and back are from undoing each other.
    template_dice
        Overlap of the mean brain with that of the template.
    level
        Level at which it was computed: draft, standard or full; empty if there was nothing to compare.
    absent
        Why there was nothing to compare; None if there was.
    settings
        Section ``change`` of the settings.
    """

    labels: Mapping[Level, LabelChange]
    coverage: Mapping[Level, float]
    brain_percent: float
    correlation: float
    rigid_mm: float
    template_dice: float
    level: str
    absent: Reason | None
    settings: Mapping[str, Any]


def nothing_compared(reason: Reason, settings: Mapping[str, Any]) -> Change:
    """Return the input of a session that is compared with none, for a ``reason``."""
    nan = float("nan")
    return Change(
        labels={},
        coverage={},
        brain_percent=nan,
        correlation=nan,
        rigid_mm=nan,
        template_dice=nan,
        level="",
        absent=reason,
        settings=settings,
    )


def region_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the regional changes: the regions of the settings on both sides."""
    return [(roi, hemi) for roi in config["change"]["rois"] for hemi in HEMISPHERES]


def label_change_symmetric(data: Change) -> dict[Level, Estimate]:
    """Return the change of the volume of every label in percent of the mean of both sessions."""
    return {level: _regional(data, level) for level in region_levels({"change": data.settings})}


def label_change(data: Change) -> dict[Level, Estimate]:
    """Return the change of the volume of every label in percent of that of the first session.

    With the change ``r`` in shares of the mean it is ``2 r / (2 - r)``; the error is that of ``r`` times
    ``4 / (2 - r)^2``, and the interval is the one of ``r`` in this unit.
    """
    return {level: _of_first(estimate) for level, estimate in label_change_symmetric(data).items()}


def change_brain(data: Change) -> dict[Level, Estimate]:
    """Return the change of the whole brain in percent of the mean, flagged beyond what a brain does."""
    return _whole(data, data.brain_percent)


def change_correlation(data: Change) -> dict[Level, Estimate]:
    """Return the correlation of the two images inside the brain after the deformation."""
    return _whole(data, data.correlation)


def change_rigid(data: Change) -> dict[Level, Estimate]:
    """Return how far the two rigid registrations are from undoing each other (mm)."""
    return _whole(data, data.rigid_mm)


def refusals(data: Change) -> tuple[Reason, ...]:
    """Return why no region has a change, empty if they have."""
    found = []
    if not data.template_dice >= data.settings["template_dice_min"]:
        found.append(Reason.TEMPLATE_MISFIT)
    if not data.rigid_mm <= data.settings["rigid_mm_max"]:
        found.append(Reason.FAILED_QC)
    return tuple(found)


def flags(data: Change) -> tuple[Reason, ...]:
    """Return what a reader of the changes should know."""
    found = []
    if not abs(data.brain_percent) <= data.settings["brain_percent_max"]:
        found.append(Reason.BRAIN_CHANGED)
    if data.level == "draft":
        found.append(Reason.DRAFT_PROCESSING)
    return tuple(found)


def _regional(data: Change, level: Level) -> Estimate:
    if data.absent:
        return Estimate.missing(data.absent)
    reasons = refusals(data)
    if reasons:
        return Estimate.fail(*reasons)
    if level not in data.labels:
        return Estimate.missing(Reason.REGION_ABSENT)
    found = data.labels[level]
    if not data.coverage[level] >= data.settings["coverage_min"] or math.isnan(found.percent):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    se = standard_error(found.percent, found.scatter, known=data.settings["error"][data.level])
    return Estimate.of(found.percent, se=se, n=len(data.labels), flags=flags(data))


def standard_error(percent: float, scatter: float, *, known: Mapping[str, Any]) -> float:
    """Return the standard error (%) of a change: ``sqrt(scatter^2 + floor^2 + (missed percent)^2)``.

    Parameters
    ----------
    percent
        The change (%).
    scatter
        The part of its error that the labels of the two sessions show (%); NaN if it is not known.
    known
        ``floor_percent`` (%), the error that even a large label has, and ``missed_share``, that of what the
        registration misses of a change, as a share of it.
    """
    return math.hypot(scatter, known["floor_percent"], known["missed_share"] * percent)


def _of_first(estimate: Estimate) -> Estimate:
    if not estimate.value < 2 * PERCENT:
        return estimate
    se = estimate.se * 4 / (2 - estimate.value / PERCENT) ** 2
    ends = (_percent_of_first(estimate.ci_low), _percent_of_first(estimate.ci_high))
    value = _percent_of_first(estimate.value)
    return Estimate.of(value, se=se, ci=ends, n=estimate.n, flags=estimate.reasons)


def _percent_of_first(percent: float) -> float:
    """Return a change in percent of the mean as one in percent of the first; 200 % is a first volume of 0."""
    share = percent / PERCENT
    return PERCENT * 2 * share / (2 - share) if not share >= 2 else float("inf")


def _whole(data: Change, value: float) -> dict[Level, Estimate]:
    if data.absent:
        return {(): Estimate.missing(data.absent)}
    return {(): Estimate.of(value, n=len(data.labels), flags=flags(data))}


SE = (
    "root of the sum of squares of three parts: the robust spread of the changes of all labels of both sides, scaled "
    "by the root of the volume (it supposes that most labels did not change); an error that every label has; and what "
    "the registration misses, as a share of the change (change.error, by level, measured on planted changes). What all "
    "labels share (calibration of the scanner) is in none"
)
DIRECTION = (
    f"DLPFC on the left: thicker after treatment that helped in {SEMINOWICZ} (18 people; thickness, and without an "
    "untreated group scanned twice), contested elsewhere. It is the direction after treatment, not that of people with "
    "low back pain against others; without treatment, and in other regions, nothing is expected."
)
WHAT = (
    "of the label between the first session of the person and this one, from the Jacobian determinant of a symmetric "
    "registration of the two raw T1w images in their common middle; of cortex it is the volume of the whole label, "
    "in which gray matter is not told from what else lies there. Rows belong to the later session; the first one has "
    "none. Positive: larger now."
)
LABELS = "labels from which the standard error is taken"


def _marker(name: str, **fields: Any) -> Marker:
    common: dict[str, Any] = {
        "unit": "%",
        "family": "change",
        "direction": Direction.NOT_APPLICABLE,
        "doi": REUTER,
        "fact_sheet": FACT_SHEET,
        "n_counts": LABELS,
        "version": "3",
        "evidence": Evidence.DESIGN,
        "tier": Tier.QUALITY,
    }
    return Marker(name=name, **(common | fields))


def _regional_marker(name: str, **fields: Any) -> Marker:
    regional: dict[str, Any] = {
        "index": ("roi", "hemi"),
        "levels": region_levels,
        "direction_by_level": {"dlpfc": Direction.HIGHER},
        "direction_source": DIRECTION,
        "version": "4",
    }
    return _marker(name, **(regional | fields))


LABEL_CHANGE_SYMMETRIC = _regional_marker(
    "label_change_symmetric",
    long_name="Change of regional volume",
    description=f"Change {WHAT} In percent of the mean of the two volumes: exchanging the sessions changes the sign.",
    tier=Tier.SECONDARY,
    tier_by_level={"dlpfc": Tier.PRIMARY},
    function=label_change_symmetric,
    bounds=(-200.0, 200.0),
    se_method=SE,
)

LABEL_CHANGE = _regional_marker(
    "label_change",
    long_name="Change of regional volume since the first session",
    description=f"Change {WHAT} In percent of the volume in the first session, as studies usually give it.",
    tier=Tier.EXPLORATORY,
    function=label_change,
    bounds=(-100.0, float("inf")),
    se_method=f"{SE}; delta method, interval transformed",
)

CHANGE_BRAIN = _marker(
    "change_brain",
    long_name="Change of the whole brain between the sessions",
    description=(
        "Change of the volume inside the mean brain mask in percent of the mean of both sessions. More than a percent "
        "is rather a change of the scanner or a failed registration than one of the brain."
    ),
    function=change_brain,
    bounds=(-200.0, 200.0),
)

CHANGE_CORRELATION = _marker(
    "change_correlation",
    long_name="Likeness of the two images",
    description=(
        "Correlation of the two T1w images inside the brain, after the deformation of both to their middle; images "
        "below 0.9 are not compared."
    ),
    unit="1",
    function=change_correlation,
    bounds=(-1.0, 1.0),
)

CHANGE_RIGID = _marker(
    "change_rigid",
    long_name="Disagreement of the rigid registrations",
    description=(
        "Root mean square displacement within 80 mm of the centre of the brain after the rigid registration of one "
        "session to the other and back, mean over both orders: 0 if they undo each other."
    ),
    unit="mm",
    function=change_rigid,
    bounds=(0.0, float("inf")),
)

MARKERS: tuple[Marker, ...] = (LABEL_CHANGE_SYMMETRIC, LABEL_CHANGE, CHANGE_BRAIN, CHANGE_CORRELATION, CHANGE_RIGID)
