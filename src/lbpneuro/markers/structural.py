"""Gray matter: total intracranial volume, total gray matter, and gray matter of cortical and thalamic regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.volumes import coverage, ratio_se, regional_volume, segmented, tissue_volume
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Gray matter"
ROIS = ("dlpfc", "thalamus")
HEMISPHERES = ("L", "R")
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

Map = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMap:
    """A region on a box of the person's own grid, which may reach beyond the image.

    ``weights`` is the share of a voxel in the region, ``gm`` the gray-matter probability (zero beyond the image),
    ``inside`` where the brain was segmented; all (n_x, n_y, n_z).
    """

    weights: Map
    gm: Map
    inside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structural:
    """Input of the family: tissue probabilities (n_x, n_y, n_z) in the person's own space, and the regions there.

    ``regions`` is empty if no transform from template space is at hand; ``settings`` is the section ``structural``.
    ``draft`` says that the maps are those of the embedded path at its draft level, ``stripped`` that the image had lost
    its skull before it was segmented.
    """

    gm: Map
    wm: Map
    csf: Map
    voxel_mm3: float
    regions: Mapping[Level, RegionMap]
    settings: Mapping[str, Any]
    draft: bool = False
    stripped: bool = False


def region_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the regional markers: region and hemisphere, the same under any settings."""
    return list(LEVELS)


def tiv(data: Structural) -> dict[Level, Estimate]:
    """Return the total intracranial volume (mL), flagged if it or the share of gray matter is not plausible.

    Flagged too if the skull was removed before: the mask then used may follow the sulci, and what it leaves out is
    intracranial.
    """
    value = _tiv_ml(data)
    if np.isnan(value):
        return {(): Estimate.fail(Reason.INVALID_INPUT)}
    n_voxel = int(np.count_nonzero(segmented(gm=data.gm, wm=data.wm, csf=data.csf)))
    flags = (*_outer_flags(data), *(() if _plausible(data) else (Reason.FAILED_QC,)))
    return {(): _measured(value, _cv(data, "tiv"), n=n_voxel, flags=flags)}


def gm_total(data: Structural) -> dict[Level, Estimate]:
    """Return the total gray-matter volume (mL)."""
    refusals = _refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    value = _gm_ml(data)
    return {(): _measured(value, _cv(data, "gm_total"), n=_n_gray(data))}


def gm_total_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume per intracranial volume (mL/L)."""
    refusals = _refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    value = _gm_ml(data) / _tiv_ml(data) * ML_PER_L
    return {(): _measured(value, _ratio_cv(data, "gm_total"), n=_n_gray(data), flags=_outer_flags(data))}


def gm_volume(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume of every region (mL)."""

    def estimate(level: Level, flags: Sequence[Reason]) -> Estimate:
        value = _region_ml(data, level)
        return _measured(value, _cv(data, level[0]), n=_n_region(data, level), flags=flags)

    return _regional(data, estimate)


def gm_volume_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume of every region per intracranial volume (mL/L)."""

    def estimate(level: Level, flags: Sequence[Reason]) -> Estimate:
        value = _region_ml(data, level) / _tiv_ml(data) * ML_PER_L
        qualified = (*flags, *_outer_flags(data))
        return _measured(value, _ratio_cv(data, level[0]), n=_n_region(data, level), flags=qualified)

    return _regional(data, estimate)


def gm_coverage(data: Structural) -> dict[Level, Estimate]:
    """Return the share of every region inside the segmented brain, flagged below the least that is allowed."""
    if not data.regions:
        return dict.fromkeys(LEVELS, Estimate.fail(Reason.NO_TRANSFORM))
    return {level: _coverage_estimate(data, level) for level in data.regions}


def _coverage_estimate(data: Structural, level: Level) -> Estimate:
    share = _share(data, level)
    if np.isnan(share):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    flags = (Reason.COVERAGE_TOO_LOW,) if share < data.settings["coverage_min"] else ()
    return Estimate.of(share, n=_n_region(data, level), flags=flags)


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
    if np.isnan(_tiv_ml(data)):
        return (Reason.INVALID_INPUT,)
    return () if _plausible(data) else (Reason.FAILED_QC,)


def _region_refusals(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return why one region allows no volume."""
    if not _share(data, level) >= data.settings["coverage_min"]:
        return (Reason.COVERAGE_TOO_LOW,)
    return (Reason.INVALID_INPUT,) if np.isnan(_region_ml(data, level)) else ()


def _flags(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return ``asymmetric`` for a thalamus whose sides were both measured and differ more than anatomy does."""
    left, right = ("thalamus", "L"), ("thalamus", "R")
    if level[0] != "thalamus" or not {left, right} <= data.regions.keys():
        return ()
    if any(_region_refusals(data, side) for side in (left, right)):
        return ()
    low, high = data.settings["thalamus_ratio"]
    left_ml, right_ml = _region_ml(data, left), _region_ml(data, right)
    return () if low * right_ml <= left_ml <= high * right_ml else (Reason.ASYMMETRIC,)


def _outer_flags(data: Structural) -> tuple[Reason, ...]:
    """Return what qualifies the intracranial volume, and so every ratio to it."""
    return (Reason.SKULL_STRIPPED,) if data.stripped else ()


def _plausible(data: Structural) -> bool:
    """Return whether intracranial volume and its share of gray matter are those of an adult."""
    volume = _tiv_ml(data)
    low, high = data.settings["tiv_ml"]
    least, most = data.settings["gm_fraction"]
    return low <= volume <= high and least * volume <= _gm_ml(data) <= most * volume


def _tiv_ml(data: Structural) -> float:
    return float(sum(tissue_volume(tissue, voxel_mm3=data.voxel_mm3) for tissue in (data.gm, data.wm, data.csf)))


def _gm_ml(data: Structural) -> float:
    return float(tissue_volume(data.gm, voxel_mm3=data.voxel_mm3))


def _region_ml(data: Structural, level: Level) -> float:
    region = data.regions[level]
    return float(regional_volume(region.gm, region.weights, voxel_mm3=data.voxel_mm3))


def _share(data: Structural, level: Level) -> float:
    return float(coverage(data.regions[level].weights, data.regions[level].inside))


def _n_gray(data: Structural) -> int:
    return int(np.count_nonzero(data.gm > 0.5))


def _n_region(data: Structural, level: Level) -> int:
    return int(np.count_nonzero(data.regions[level].weights >= 0.5))


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
