"""Gray matter: total intracranial volume, total gray matter, and gray matter of cortical and thalamic regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.volumes import ratio_se
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.tissue import HEMISPHERES, Structural

TITLE = "Gray matter"
ROIS = ("dlpfc", "thalamus")
LEVELS: tuple[Level, ...] = tuple((roi, hemi) for roi in ROIS for hemi in HEMISPHERES)
ML_PER_L = 1000.0
Z_975 = 1.959964
FACT_SHEET = "Structural changes: gray matter of the dorsolateral prefrontal cortex and thalamus"
APKARIAN = "10.1523/JNEUROSCI.2541-04.2004"
GM_DIRECTION = (
    f"Weak: lower in {APKARIAN} (neocortex only) and in one small study; larger cohorts (130 people, PMC5425308) found "
    "no difference."
)
RESCAN = (
    "coefficient of variation between scans (structural.rescan_cv, at the draft level rescan_cv_draft) times the "
    "value, interval of a log-normal error; the coefficients come from a simulated rescan of one person, and from two "
    "people at two resolutions: unverified"
)


def region_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the regional markers: region and hemisphere, the same under any settings."""
    return list(LEVELS)


def tiv(data: Structural) -> dict[Level, Estimate]:
    """Return the total intracranial volume (mL), flagged if it or the share of gray matter is not plausible.

    Flagged too if the skull was removed before: the mask then used may follow the sulci, and what it leaves out is
    intracranial.
    """
    value = data.tiv_ml
    if np.isnan(value):
        return {(): Estimate.fail(*(data.failures or (Reason.INVALID_INPUT,)))}
    n_voxel = data.n_voxel.get("tiv", 0)
    flags = (*_outer_flags(data), *(() if _plausible(data) else (Reason.FAILED_QC,)))
    return {(): _measured(value, _cv(data, "tiv"), n=n_voxel, flags=flags)}


def gm_total(data: Structural) -> dict[Level, Estimate]:
    """Return the total gray-matter volume (mL)."""
    refusals = _refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    value = data.gm_ml
    return {(): _measured(value, _cv(data, "gm_total"), n=data.n_voxel.get("gm", 0))}


def gm_total_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume per intracranial volume (mL/L)."""
    refusals = _refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    value = data.gm_ml / data.tiv_ml * ML_PER_L
    return {(): _measured(value, _ratio_cv(data, "gm_total"), n=data.n_voxel.get("gm", 0), flags=_outer_flags(data))}


def gm_volume(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume of every region (mL)."""

    def estimate(level: Level, flags: Sequence[Reason]) -> Estimate:
        value = data.regions[level].volume_ml
        return _measured(value, _cv(data, level[0]), n=data.regions[level].n, flags=flags)

    return _regional(data, estimate)


def gm_volume_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume of every region per intracranial volume (mL/L)."""

    def estimate(level: Level, flags: Sequence[Reason]) -> Estimate:
        value = data.regions[level].volume_ml / data.tiv_ml * ML_PER_L
        qualified = (*flags, *_outer_flags(data))
        return _measured(value, _ratio_cv(data, level[0]), n=data.regions[level].n, flags=qualified)

    return _regional(data, estimate)


def gm_coverage(data: Structural) -> dict[Level, Estimate]:
    """Return the share of every region inside the segmented brain, flagged below the least that is allowed."""
    if not data.regions:
        return dict.fromkeys(LEVELS, Estimate.fail(Reason.NO_TRANSFORM))
    return {level: _coverage_estimate(data, level) for level in data.regions}


def _coverage_estimate(data: Structural, level: Level) -> Estimate:
    share = data.regions[level].coverage
    if np.isnan(share):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    flags = (Reason.COVERAGE_TOO_LOW,) if share < data.settings["coverage_min"] else ()
    return Estimate.of(share, n=data.regions[level].n, flags=flags)


def _regional(data: Structural, estimate: Callable[[Level, Sequence[Reason]], Estimate]) -> dict[Level, Estimate]:
    """Return one estimate per region, or the reasons why there is none."""
    if not data.regions:
        return dict.fromkeys(LEVELS, Estimate.fail(Reason.NO_TRANSFORM))
    overall = _refusals(data)
    found = {}
    for level in data.regions:
        refusals = (*overall, *_region_refusals(data, level))
        found[level] = Estimate.fail(*refusals) if refusals else estimate(level, _flags(data, level))
    return found


def _refusals(data: Structural) -> tuple[Reason, ...]:
    """Return why the segmentation as a whole allows no volume."""
    if np.isnan(data.tiv_ml):
        return (Reason.INVALID_INPUT,)
    return () if _plausible(data) else (Reason.FAILED_QC,)


def _region_refusals(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return why one region allows no volume."""
    if not data.regions[level].coverage >= data.settings["coverage_min"]:
        return (Reason.COVERAGE_TOO_LOW,)
    return (Reason.INVALID_INPUT,) if np.isnan(data.regions[level].volume_ml) else ()


def _flags(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return ``asymmetric`` for a thalamus whose sides were both measured and differ more than anatomy does."""
    left, right = ("thalamus", "L"), ("thalamus", "R")
    if level[0] != "thalamus" or not {left, right} <= data.regions.keys():
        return ()
    if any(_region_refusals(data, side) for side in (left, right)):
        return ()
    low, high = data.settings["thalamus_ratio"]
    left_ml, right_ml = data.regions[left].volume_ml, data.regions[right].volume_ml
    return () if low * right_ml <= left_ml <= high * right_ml else (Reason.ASYMMETRIC,)


def _outer_flags(data: Structural) -> tuple[Reason, ...]:
    """Return what qualifies the intracranial volume, and so every ratio to it."""
    return (Reason.SKULL_STRIPPED,) if data.stripped else ()


def _plausible(data: Structural) -> bool:
    """Return whether intracranial volume and its share of gray matter are those of an adult."""
    volume = data.tiv_ml
    low, high = data.settings["tiv_ml"]
    least, most = data.settings["gm_fraction"]
    return low <= volume <= high and least * volume <= data.gm_ml <= most * volume


def _measured(value: float, cv: float, *, n: int, flags: Sequence[Reason] = ()) -> Estimate:
    """Return a volume whose error is the share ``cv`` of what is measured.

    The interval is that of a log-normal error: a symmetric one, as wide as the measured value is large, would miss the
    truth too often where the error made the value small.
    """
    factor = np.exp(Z_975 * np.sqrt(np.log1p(cv**2)))
    return Estimate.of(value, se=cv * value, ci=(value / factor, value * factor), n=n, flags=flags)


def _ratio_cv(data: Structural, quantity: str) -> float:
    return float(ratio_se(1.0, numerator_cv=_cv(data, quantity), denominator_cv=_cv(data, "tiv")))


def _cv(data: Structural, quantity: str) -> float:
    return float(data.settings["rescan_cv_draft" if data.draft else "rescan_cv"][quantity])


TIV = Marker(
    name="tiv",
    long_name="Total intracranial volume",
    description="Sum of the gray-matter, white-matter and CSF probabilities. A covariate, and the gate of the family.",
    unit="mL",
    family="structural",
    function=tiv,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="voxels of the segmented brain",
    version="1",
    bounds=(0.0, np.inf),
    evidence=Evidence.DESIGN,
    se_method=RESCAN,
)

GM_TOTAL = Marker(
    name="gm_total",
    long_name="Total gray-matter volume",
    description="Sum of the gray-matter probability over the whole image, cerebellum and subcortical nuclei included.",
    unit="mL",
    family="structural",
    function=gm_total,
    direction=Direction.LOWER,
    tier=Tier.SECONDARY,
    doi=APKARIAN,
    fact_sheet=FACT_SHEET,
    n_counts="voxels with a gray-matter probability above one half",
    version="1",
    bounds=(0.0, np.inf),
    direction_source=GM_DIRECTION,
    evidence=Evidence.DESIGN,
    se_method=RESCAN,
)

GM_TOTAL_RATIO = Marker(
    name="gm_total_ratio",
    long_name="Gray-matter volume per intracranial volume",
    description="Total gray-matter volume divided by the total intracranial volume.",
    unit="mL/L",
    family="structural",
    function=gm_total_ratio,
    direction=Direction.LOWER,
    tier=Tier.SECONDARY,
    doi=APKARIAN,
    fact_sheet=FACT_SHEET,
    n_counts="voxels with a gray-matter probability above one half",
    version="1",
    bounds=(0.0, ML_PER_L),
    direction_source=GM_DIRECTION,
    evidence=Evidence.DESIGN,
    se_method=f"error propagation for a ratio of independent quantities; {RESCAN}",
)

REGIONAL_DIRECTION = {"dlpfc": Direction.LOWER, "thalamus": Direction.CONTESTED}
REGIONAL_SOURCE = (
    f"DLPFC: weak and reversible, lower in {APKARIAN} (density) and thinner on the left in "
    "10.1523/JNEUROSCI.5280-10.2011, not among the differences of the largest cohort, "
    "10.1097/j.pain.0000000000002524. "
    f"Thalamus: contested, lower on the right in {APKARIAN} and in one small study, not confirmed in larger cohorts "
    "(10.1016/j.jpain.2015.10.003)."
)

GM_VOLUME = Marker(
    name="gm_volume",
    long_name="Regional gray-matter volume",
    description=(
        "Sum of the gray-matter probability within an atlas label brought to the person's own space. In the thalamus, "
        "whose intensity lies between gray and white matter, this misses 45-70 % of the volume."
    ),
    unit="mL",
    family="structural",
    function=gm_volume,
    direction=Direction.LOWER,
    tier=Tier.PRIMARY,
    doi=APKARIAN,
    fact_sheet=FACT_SHEET,
    n_counts="voxels at least half inside the region",
    version="1",
    bounds=(0.0, np.inf),
    index=("roi", "hemi"),
    levels=region_levels,
    direction_source=REGIONAL_SOURCE,
    direction_by_level=REGIONAL_DIRECTION,
    evidence=Evidence.DESIGN,
    se_method=RESCAN,
)

GM_VOLUME_RATIO = Marker(
    name="gm_volume_ratio",
    long_name="Regional gray-matter volume per intracranial volume",
    description="Regional gray-matter volume divided by the total intracranial volume.",
    unit="mL/L",
    family="structural",
    function=gm_volume_ratio,
    direction=Direction.LOWER,
    tier=Tier.SECONDARY,
    doi=APKARIAN,
    fact_sheet=FACT_SHEET,
    n_counts="voxels at least half inside the region",
    version="1",
    bounds=(0.0, ML_PER_L),
    index=("roi", "hemi"),
    levels=region_levels,
    direction_source=REGIONAL_SOURCE,
    direction_by_level=REGIONAL_DIRECTION,
    evidence=Evidence.DESIGN,
    se_method=f"error propagation for a ratio of independent quantities; {RESCAN}",
)

GM_COVERAGE = Marker(
    name="gm_coverage",
    long_name="Share of a region inside the segmented brain",
    description=(
        "Share of the region's volume inside the brain mask, or without a mask where the tissue probabilities add up "
        "to more than one half. What lies beyond the scan counts as not covered."
    ),
    unit="1",
    family="structural",
    function=gm_coverage,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="voxels at least half inside the region",
    version="1",
    bounds=(0.0, 1.0),
    index=("roi", "hemi"),
    levels=region_levels,
    evidence=Evidence.DESIGN,
)

MARKERS: tuple[Marker, ...] = (TIV, GM_TOTAL, GM_TOTAL_RATIO, GM_VOLUME, GM_VOLUME_RATIO, GM_COVERAGE)
