"""How good an anatomical scan and its segmentation are: the rows beside the volumes of gray matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.tissue import CORTEX, HEMISPHERES, NUCLEI, SPHERES, Structural
from lbpneuro.markers.volume_gates import THALAMI, absent, asymmetric, coverage_min

LEVELS: tuple[Level, ...] = tuple((roi, hemi) for roi in (*CORTEX, *SPHERES, *NUCLEI) for hemi in HEMISPHERES)


def coverage_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the coverage: those of the regional volumes."""
    return list(LEVELS)


def gm_coverage(data: Structural) -> dict[Level, Estimate]:
    """Return the share of every region inside the segmented brain, flagged below the least that is allowed."""
    return {level: _coverage(data, level) for level in LEVELS}


def _coverage(data: Structural, level: Level) -> Estimate:
    region = data.regions.get(level)
    if region is None:
        return absent(data, level)
    if np.isnan(region.coverage):
        return Estimate.missing(Reason.NOT_IN_SOURCE)
    caveats = (Reason.COVERAGE_TOO_LOW,) if region.coverage < coverage_min(data, level) else ()
    return Estimate.of(region.coverage, n=region.n, flags=caveats)


def thalamus_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of the left thalamus over that of the right, flagged beyond what anatomy does."""
    empty = next((absent(data, level) for level in THALAMI if level not in data.regions), None)
    if empty is not None:
        return {(): empty}
    left, right = (data.regions[level] for level in THALAMI)
    if not right.volume_ml > 0 or np.isnan(left.volume_ml):
        return {(): Estimate.fail(Reason.INVALID_INPUT)}
    caveats = (Reason.ASYMMETRIC,) if asymmetric(data) else ()
    return {(): Estimate.of(left.volume_ml / right.volume_ml, n=left.n + right.n, flags=caveats)}


def template_dice(data: Structural) -> dict[Level, Estimate]:
    """Return the overlap of the person's brain with that of the template, flagged below the least that is allowed."""
    low = data.template_dice < data.settings["template_dice_min"]
    return _given(data.template_dice, flags=(Reason.TEMPLATE_MISFIT,) if low else ())


def image_quality(data: Structural) -> dict[Level, Estimate]:
    """Return the rating of the image by CAT12 (%), flagged where it is marginal or too low."""
    least, enough = data.settings["image_quality"]
    if data.image_quality < least:
        return _given(data.image_quality, flags=(Reason.POOR_IMAGE,))
    return _given(data.image_quality, flags=(Reason.MARGINAL_IMAGE,) if data.image_quality < enough else ())


def euler_number(data: Structural) -> dict[Level, Estimate]:
    """Return the Euler number of the surfaces before their defects were mended."""
    return _given(data.euler)


def anat_motion(data: Structural) -> dict[Level, Estimate]:
    """Return the mean framewise displacement of the functional runs of the session, flagged above the threshold."""
    if np.isnan(data.fd_mean_mm):
        return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
    return _given(data.fd_mean_mm, flags=(Reason.MOVING_HEAD,) if data.fd_mean_mm > data.settings["fd_mean_mm"] else ())


def _given(value: float, *, flags: Sequence[Reason] = ()) -> dict[Level, Estimate]:
    """Return the row of a number of the source, or that it has none."""
    return {(): Estimate.missing(Reason.NOT_IN_SOURCE) if np.isnan(value) else Estimate.of(value, flags=flags)}


def _quality_marker(name: str, **fields: Any) -> Marker:
    common: dict[str, Any] = {
        "unit": "1",
        "family": "structural",
        "direction": Direction.NOT_APPLICABLE,
        "tier": Tier.QUALITY,
        "doi": "n/a",
        "fact_sheet": "Structural changes: gray matter of the dorsolateral prefrontal cortex and thalamus",
        "n_counts": "n/a",
        "version": "1",
        "evidence": Evidence.DESIGN,
    }
    return Marker(name=name, **(common | fields))


GM_COVERAGE = _quality_marker(
    "gm_coverage",
    long_name="Share of a region inside the segmented brain",
    description=(
        "Share of the region's volume inside the brain mask, or without a mask where the tissue probabilities add up "
        "to more than one half. What lies beyond the scan counts as not covered. Missing where the source drew the "
        "region in this very brain."
    ),
    function=gm_coverage,
    n_counts="voxels at least half inside the region",
    bounds=(0.0, 1.0),
    index=("roi", "hemi"),
    levels=coverage_levels,
)

THALAMUS_RATIO = _quality_marker(
    "thalamus_ratio",
    long_name="Left over right thalamus",
    description=(
        "Volume of the left thalamus divided by that of the right. Beyond `structural.thalamus_ratio` a lesion, a "
        "failed registration or a wrong orientation is likely: the thalamus has no volume then, "
        "and other regions are flagged."
    ),
    function=thalamus_ratio,
    n_counts="voxels at least half inside the two regions",
    bounds=(0.0, np.inf),
)

TEMPLATE_DICE = _quality_marker(
    "template_dice",
    long_name="Overlap with the brain of the template",
    description=(
        "Dice coefficient of the person's brain mask, brought to template space, and that of the template. Below "
        "`structural.template_dice_min` nothing is measured. Missing where the source has no transform or no mask."
    ),
    function=template_dice,
    bounds=(0.0, 1.0),
)

IMAGE_QUALITY = _quality_marker(
    "image_quality",
    long_name="Image quality rating",
    description=(
        "Weighted image quality rating of CAT12 in percent: 105 - 10 IQR. Flagged between the two limits of "
        "`structural.image_quality`, nothing is measured below the first. Only CAT12 has it."
    ),
    unit="%",
    function=image_quality,
    bounds=(0.0, 105.0),
)

EULER_NUMBER = _quality_marker(
    "euler_number",
    long_name="Euler number of the cortical surfaces",
    description=(
        "Mean over the hemispheres of 2 minus twice the number of holes in the surfaces of FreeSurfer before they were "
        "mended: the lower, the worse the image. There is no threshold; look for outliers within a scanner."
    ),
    function=euler_number,
    bounds=(-np.inf, 2.0),
    doi="10.1016/j.neuroimage.2017.12.059",
)

ANAT_MOTION = _quality_marker(
    "anat_motion",
    long_name="Head motion of the session",
    description=(
        "Mean framewise displacement (Jenkinson) over the functional runs of the session, standing in for motion "
        "during the T1w scan, which no image records: people who move have seemingly thinner cortex and less gray "
        "matter. Above `structural.fd_mean_mm` all volumes are flagged; use it "
        "as a covariate in any comparison of groups."
    ),
    unit="mm",
    function=anat_motion,
    bounds=(0.0, np.inf),
    doi="10.1002/hbm.23397",
)

MARKERS: tuple[Marker, ...] = (GM_COVERAGE, THALAMUS_RATIO, TEMPLATE_DICE, IMAGE_QUALITY, EULER_NUMBER, ANAT_MOTION)
