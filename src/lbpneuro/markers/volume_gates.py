"""What allows a volume, what qualifies it, and how large its error is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.volumes import ratio_se
from lbpneuro.markers.descriptor import Estimate, Level
from lbpneuro.markers.tissue import NUCLEI, SPHERES, THALAMIC_NUCLEI, RegionMeasure, Structural

THALAMI: tuple[Level, Level] = (("thalamus", "L"), ("thalamus", "R"))
CONVEXITY = ("s1back_mgh", "s1lumbar_fmri", "s1trunk_hcp")
"""Spheres at the vertex, where skull stripping takes most."""
Z_975 = 1.959964
RESCAN = (
    "coefficient of variation between scans (structural.rescan_cv, by the source and its level) times the value, "
    "interval of a log-normal error; where a coefficient was not read in a publication the table says so"
)


def refusals(data: Structural) -> tuple[Reason, ...]:
    """Return why the image as a whole allows no volume and no thickness."""
    found = list(data.failures)
    if not plausible(data):
        found.append(Reason.FAILED_QC)
    if data.template_dice < data.settings["template_dice_min"]:
        found.append(Reason.TEMPLATE_MISFIT)
    if data.image_quality < data.settings["image_quality"][0]:
        found.append(Reason.POOR_IMAGE)
    return tuple(found)


def flags(data: Structural) -> tuple[Reason, ...]:
    """Return what qualifies every volume and thickness of the image."""
    least, enough = data.settings["image_quality"]
    return (
        *((Reason.MARGINAL_IMAGE,) if least <= data.image_quality < enough else ()),
        *((Reason.MOVING_HEAD,) if data.fd_mean_mm > data.settings["fd_mean_mm"] else ()),
    )


def outer_flags(data: Structural) -> tuple[Reason, ...]:
    """Return what qualifies the intracranial volume, and so everything relative to it."""
    return (Reason.SKULL_STRIPPED,) if data.stripped else ()


def plausible(data: Structural) -> bool:
    """Return whether intracranial volume and its share of gray matter, where given, are those of an adult."""
    low, high = data.settings["tiv_ml"]
    least, most = data.settings["gm_fraction"]
    size, share = data.tiv_ml, data.gm_ml / data.tiv_ml
    return not (size < low or size > high or share < least or share > most)


def asymmetric(data: Structural) -> bool:
    """Return whether both thalami were measured, in the same way, and differ more than anatomy does."""
    sides = [data.regions.get(level) for level in THALAMI]
    left, right = sides
    if left is None or right is None or left.measure != right.measure:
        return False
    if any(_unmeasured(data, level) for level in THALAMI):
        return False
    low, high = data.settings["thalamus_ratio"]
    return not low * right.volume_ml <= left.volume_ml <= high * right.volume_ml


def coverage_min(data: Structural, level: Level) -> float:
    """Return the least share of a region that must lie inside the segmented brain."""
    return float(data.settings["coverage_min_vertex" if level[0] in CONVEXITY else "coverage_min"])


def region_refusals(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return why one region allows no value: the image, the region, or a thalamus that cannot be right."""
    unequal = level in THALAMI and data.regions[level].measure == "label" and asymmetric(data)
    return (*refusals(data), *_unmeasured(data, level), *((Reason.ASYMMETRIC,) if unequal else ()))


def region_flags(data: Structural, level: Level) -> tuple[Reason, ...]:
    """Return what qualifies the value of one region."""
    tissue = level[0] in NUCLEI and data.regions[level].measure == "gray_matter"
    # thalami by tissue probability differ for reasons of contrast: that says nothing of the other regions
    by_label = THALAMI[0] in data.regions and data.regions[THALAMI[0]].measure == "label"
    unequal = (level in THALAMI or by_label) and asymmetric(data)
    return (
        *flags(data),
        *((Reason.TISSUE_IN_NUCLEUS,) if tissue else ()),
        *((Reason.ASYMMETRIC,) if unequal else ()),
    )


def _unmeasured(data: Structural, level: Level) -> tuple[Reason, ...]:
    region = data.regions[level]
    if region.coverage < coverage_min(data, level):
        return (Reason.COVERAGE_TOO_LOW,)
    return (data.absent.get(level, Reason.INVALID_INPUT),) if np.isnan(region.volume_ml) else ()


def absent(data: Structural, level: Level) -> Estimate:
    """Return the row of a region of which the source says nothing."""
    reason = data.absent.get(level, Reason.NOT_IN_SOURCE if data.regions else Reason.NO_TRANSFORM)
    return Estimate.missing(reason) if reason is Reason.NOT_IN_SOURCE else Estimate.fail(reason)


def by_region(
    data: Structural,
    levels: Iterable[Level],
    estimate: Callable[[Level, RegionMeasure, Sequence[Reason]], Estimate],
) -> dict[Level, Estimate]:
    """Return one estimate per region: made by ``estimate`` from level, measure and flags, or empty with the reasons."""
    found = {}
    for level in levels:
        region = data.regions.get(level)
        if region is None:
            found[level] = absent(data, level)
            continue
        reasons = region_refusals(data, level)
        found[level] = Estimate.fail(*reasons) if reasons else estimate(level, region, region_flags(data, level))
    return found


def rescan_cv(data: Structural, quantity: str, *, kind: str = "") -> float:
    """Return the rescan error of a quantity as a share of it: its own entry for the source, or that of its kind.

    NaN where the table of the source has neither.
    """
    table = data.settings["rescan_cv"][data.noise_of]
    return float(table.get(quantity, table.get(kind, np.nan)))


def region_cv(data: Structural, level: Level) -> float:
    """Return the rescan error of the volume of a region as a share of it."""
    roi, measure = level[0], data.regions[level].measure
    if roi in NUCLEI and measure == "gray_matter":
        return rescan_cv(data, "nucleus_tissue")
    kinds = {"sphere": SPHERES, "nucleus": NUCLEI, "thalamic_nucleus": THALAMIC_NUCLEI}
    return rescan_cv(data, roi, kind=next((kind for kind, rois in kinds.items() if roi in rois), "cortex"))


def ratio_cv(data: Structural, cv: float) -> float:
    """Return the error of a ratio to the intracranial volume, as a share, from that of its numerator."""
    return ratio_se(1.0, numerator_cv=cv, denominator_cv=rescan_cv(data, "tiv"))


def measured(value: float, cv: float, *, n: float, flags: Sequence[Reason] = ()) -> Estimate:
    """Return a volume whose error is the share ``cv`` of what is measured.

    The interval is that of a log-normal error: a symmetric one, as wide as the measured value is large, would miss the
    truth too often where the error made the value small.
    """
    factor = np.exp(Z_975 * np.sqrt(np.log1p(cv**2)))
    return Estimate.of(value, se=cv * value, ci=(value / factor, value * factor), n=n, flags=flags)
