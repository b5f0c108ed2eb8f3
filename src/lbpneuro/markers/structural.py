"""Gray matter: volumes of brain and regions, as they are and adjusted for head size, and cortical thickness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.regression import departure
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.tissue import (
    CORTEX,
    HEMISPHERES,
    NUCLEI,
    SPHERES,
    THALAMIC_NUCLEI,
    THICKNESS,
    Reference,
    RegionMeasure,
    Structural,
)
from lbpneuro.markers.volume_gates import (
    RESCAN,
    absent,
    by_region,
    flags,
    measured,
    outer_flags,
    plausible,
    ratio_cv,
    refusals,
    region_cv,
    rescan_cv,
)

TITLE = "Gray matter"
ROIS = (*CORTEX, *SPHERES, *NUCLEI)
LEVELS: tuple[Level, ...] = tuple((roi, hemi) for roi in ROIS for hemi in HEMISPHERES)
NUCLEUS_LEVELS: tuple[Level, ...] = tuple((roi, hemi) for roi in THALAMIC_NUCLEI for hemi in HEMISPHERES)
THICKNESS_LEVELS: tuple[Level, ...] = tuple((roi, hemi) for roi in THICKNESS for hemi in HEMISPHERES)
ML_PER_L = 1000.0


def region_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the regional volumes: region and hemisphere, the same under any settings."""
    return list(LEVELS)


def nucleus_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the parts of the thalamus."""
    return list(NUCLEUS_LEVELS)


def thickness_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the cortical thickness."""
    return list(THICKNESS_LEVELS)


# -- the brain --------------------------------------------------------------------------------------------------------


def tiv(data: Structural) -> dict[Level, Estimate]:
    """Return the total intracranial volume (mL), flagged if it or the share of gray matter is not plausible.

    Flagged too if the skull was removed before: the mask then used may follow the sulci, and what it leaves out is
    intracranial.
    """
    if np.isnan(data.tiv_ml):
        return {(): _not_given(data)}
    caveats = (*flags(data), *outer_flags(data), *(() if plausible(data) else (Reason.FAILED_QC,)))
    return {(): measured(data.tiv_ml, rescan_cv(data, "tiv"), n=_n(data, "tiv"), flags=caveats)}


def gm_total(data: Structural) -> dict[Level, Estimate]:
    """Return the total gray-matter volume (mL)."""
    return _whole(data, "gm_total")


def gm_total_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume per intracranial volume (mL/L)."""
    return _whole_ratio(data, "gm_total")


def gm_total_residual(data: Structural) -> dict[Level, Estimate]:
    """Return how far the total gray matter lies from the reference cohort (mL)."""
    return _whole_residual(data, "gm_total")


def gm_neocortical(data: Structural) -> dict[Level, Estimate]:
    """Return the gray-matter volume of the neocortex (mL)."""
    return _whole(data, "gm_neocortical")


def gm_neocortical_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the neocortical gray matter per intracranial volume (mL/L)."""
    return _whole_ratio(data, "gm_neocortical")


def gm_neocortical_residual(data: Structural) -> dict[Level, Estimate]:
    """Return how far the neocortical gray matter lies from the reference cohort (mL)."""
    return _whole_residual(data, "gm_neocortical")


def gm_subcortical(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of the deep nuclei (mL)."""
    return _whole(data, "gm_subcortical")


def gm_subcortical_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of the deep nuclei per intracranial volume (mL/L)."""
    return _whole_ratio(data, "gm_subcortical")


def _whole(data: Structural, quantity: str) -> dict[Level, Estimate]:
    def estimate(value: float) -> Estimate:
        return measured(value, rescan_cv(data, quantity), n=_n(data, quantity), flags=flags(data))

    return {(): _of_brain(data, quantity, estimate)}


def _whole_ratio(data: Structural, quantity: str) -> dict[Level, Estimate]:
    def estimate(value: float) -> Estimate:
        if np.isnan(data.tiv_ml):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        caveats = (*flags(data), *outer_flags(data))
        cv = ratio_cv(data, rescan_cv(data, quantity))
        return measured(value / data.tiv_ml * ML_PER_L, cv, n=_n(data, quantity), flags=caveats)

    return {(): _of_brain(data, quantity, estimate)}


def _whole_residual(data: Structural, quantity: str) -> dict[Level, Estimate]:
    def estimate(value: float) -> Estimate:
        if np.isnan(data.tiv_ml):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        cv, caveats = rescan_cv(data, quantity), (*flags(data), *outer_flags(data))
        return _departure(data, (quantity,), value=(value, cv * value), n=_n(data, quantity), flags=caveats)

    return {(): _of_brain(data, quantity, estimate)}


def _of_brain(data: Structural, quantity: str, estimate: Callable[[float], Estimate]) -> Estimate:
    """Return the row of a volume of the whole brain: made by ``estimate``, or empty with the reason."""
    volumes = {
        "gm_total": data.gm_ml,
        "gm_neocortical": data.gm_neocortical_ml,
        "gm_subcortical": data.gm_subcortical_ml,
    }
    reasons = refusals(data)
    if reasons:
        return Estimate.fail(*reasons)
    if np.isnan(volumes[quantity]):
        return _not_given(data)
    return estimate(volumes[quantity])


def _not_given(data: Structural) -> Estimate:
    """Return the row of a volume of the whole brain that the source does not give, or could not."""
    if data.failures:
        return Estimate.fail(*data.failures)
    return absent(data, ())


def _n(data: Structural, quantity: str) -> float:
    """Return the number of voxels behind a volume of the whole brain; NaN if the source counts none."""
    return float(data.n_voxel.get("gm" if quantity == "gm_total" else quantity, np.nan))


# -- regions ----------------------------------------------------------------------------------------------------------


def gm_volume(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of every region (mL): gray matter of the cortex, label volume of the nuclei."""
    return by_region(data, LEVELS, _volume(data))


def thalamic_nucleus_volume(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of parts of the thalamus (mL)."""
    return by_region(data, NUCLEUS_LEVELS, _volume(data))


def _volume(data: Structural) -> Callable[[Level, RegionMeasure, Sequence[Reason]], Estimate]:
    def estimate(level: Level, region: RegionMeasure, caveats: Sequence[Reason]) -> Estimate:
        return measured(region.volume_ml, region_cv(data, level), n=region.n, flags=caveats)

    return estimate


def gm_volume_ratio(data: Structural) -> dict[Level, Estimate]:
    """Return the volume of every region per intracranial volume (mL/L)."""

    def estimate(level: Level, region: RegionMeasure, caveats: Sequence[Reason]) -> Estimate:
        if np.isnan(data.tiv_ml):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        value = region.volume_ml / data.tiv_ml * ML_PER_L
        cv = ratio_cv(data, region_cv(data, level))
        return measured(value, cv, n=region.n, flags=(*caveats, *outer_flags(data)))

    return by_region(data, LEVELS, estimate)


def gm_volume_residual(data: Structural) -> dict[Level, Estimate]:
    """Return how far the volume of every region lies from the reference cohort (mL)."""

    def estimate(level: Level, region: RegionMeasure, caveats: Sequence[Reason]) -> Estimate:
        if np.isnan(data.tiv_ml):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        value = region.volume_ml, region_cv(data, level) * region.volume_ml
        caveats = (*caveats, *outer_flags(data))
        return _departure(data, ("gm_volume", *level), value=value, n=region.n, flags=caveats)

    return by_region(data, LEVELS, estimate)


def gm_density(data: Structural) -> dict[Level, Estimate]:
    """Return the mean gray-matter probability of every region, volume aside."""

    def estimate(level: Level, region: RegionMeasure, caveats: Sequence[Reason]) -> Estimate:
        if np.isnan(region.density):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        caveats = [reason for reason in caveats if reason is not Reason.TISSUE_IN_NUCLEUS]
        kind = "nucleus_tissue" if level[0] in NUCLEI else "density"
        return measured(region.density, rescan_cv(data, kind), n=region.n, flags=caveats)

    return by_region(data, LEVELS, estimate)


def cortical_thickness(data: Structural) -> dict[Level, Estimate]:
    """Return the mean thickness of the cortex in every region (mm)."""
    reasons = refusals(data)

    def estimate(level: Level) -> Estimate:
        region = data.regions.get(level)
        if region is None or np.isnan(region.thickness_mm):
            return Estimate.missing(Reason.NOT_IN_SOURCE)
        if reasons:
            return Estimate.fail(*reasons)
        return measured(region.thickness_mm, rescan_cv(data, "thickness"), n=region.n, flags=flags(data))

    return {level: estimate(level) for level in THICKNESS_LEVELS}


def _departure(
    data: Structural, key: Level, *, value: tuple[float, float], n: float, flags: Sequence[Reason]
) -> Estimate:
    """Return how far a volume (with its error) lies from the reference cohort, or why that cannot be told."""
    reference = data.reference.get(key)
    if reference is None:
        return Estimate.missing(Reason.NO_REFERENCE)
    if reference.method != data.method:
        return Estimate.missing(Reason.OTHER_METHOD)
    if np.isnan(data.age) or np.isnan(data.male):
        return Estimate.missing(Reason.NO_COVARIATE)
    design, errors = _covariates(data, reference)
    fit = reference.coefficients, reference.covariance
    residual, se = departure(value[0], value_se=value[1], design=design, design_se=errors, fit=fit)
    return Estimate.of(float(residual), se=float(se), n=n, flags=flags)


def _covariates(data: Structural, reference: Reference) -> tuple[list[float], list[float]]:
    """Return the regressors of a person and their errors: 1, TIV, age, male."""
    design = [1.0, data.tiv_ml - reference.tiv_mean, data.age - reference.age_mean, data.male]
    return design, [0.0, rescan_cv(data, "tiv") * data.tiv_ml, 0.0, 0.0]


# -- what they are ----------------------------------------------------------------------------------------------------

FACT_SHEET = "Structural changes: gray matter of the dorsolateral prefrontal cortex and thalamus"
FACT_SHEET_S1 = "Structural changes: primary somatosensory cortex and tactile acuity"
APKARIAN = "10.1523/JNEUROSCI.2541-04.2004"
SEMINOWICZ = "10.1523/JNEUROSCI.5280-10.2011"
IGLESIAS = "10.1016/j.neuroimage.2018.08.012"
UK_BIOBANK = "10.1097/j.pain.0000000000002524"
SHIP = "10.1016/j.jpain.2015.10.003"
GM_DIRECTION = (
    f"Weak: lower in {APKARIAN} (neocortex only) and in one small study; larger cohorts (130 people, PMC5425308) found "
    "no difference."
)
SUBCORTICAL_DIRECTION = f"Contested: single nuclei were larger and smaller ({UK_BIOBANK}: caudate larger)."
N_GRAY = "voxels with a gray-matter probability above one half; n/a where the source counts none"
N_REGION = "voxels at least half inside the region, or what the source counts (vertices)"
RATIO_SE = f"error propagation for a ratio of independent quantities; {RESCAN}"
RESIDUAL_SE = (
    "error propagation: rescan errors of the volume and of the intracranial volume, and the error of the reference fit "
    "(HC3); the spread of healthy people around the fit is not part of it"
)
RESIDUAL = (
    "minus what the reference cohort (`structural.reference`) has at this intracranial volume, age and sex: "
    "V - [b0 + b1 (TIV - mean) + b2 (age - mean) + b3 male]. Missing without a reference cohort measured by the same "
    "method."
)
WHAT_VOLUME = (
    "Cortex and spheres: sum of the gray-matter probability within the region. Thalamus, caudate, putamen, pallidum, "
    "accumbens, hippocampus and amygdala: anatomical volume of the label (the sum of the Jacobian determinant over "
    "it), because segmentation by intensity misses 45-70 % of the thalamus; where a source has no label volume its "
    "rows are flagged `tissue_in_nucleus`. FreeSurfer and FastSurfer: the volumes of their own parcellation. Volume, "
    "density and thickness are different quantities and never stand for one another."
)
REGIONAL_DIRECTION = {
    "dlpfc": Direction.LOWER,
    "dlpfc_sem": Direction.LOWER,
    "mpfc_acc": Direction.LOWER,
    "accumbens": Direction.LOWER,
    "caudate": Direction.HIGHER,
}
REGIONAL_SOURCE = (
    f"DLPFC: weak and reversible, lower in {APKARIAN} (density) and thinner on the left in {SEMINOWICZ}, not among the "
    f"differences of the largest cohort, {UK_BIOBANK}. mPFC/ACC: lower in the meta-analysis "
    "10.1097/AJP.0000000000000489. Accumbens: smaller in 10.1073/pnas.1918682117. Caudate: slightly larger in "
    f"{UK_BIOBANK}. Thalamus: contested, lower on the right in {APKARIAN} and in one small study, not confirmed in "
    f"larger cohorts ({SHIP}). S1: contested, larger around the trunk in 10.1016/j.neuroimage.2020.116899, smaller as "
    f"a whole in {UK_BIOBANK}. Insula, amygdala, hippocampus, putamen, pallidum: no agreement among studies."
)
THICKNESS_DIRECTION = {
    "dlpfc": Direction.LOWER,
    "rostral_middle_frontal": Direction.LOWER,
    "caudal_middle_frontal": Direction.LOWER,
}
THICKNESS_SOURCE = (
    f"Weak and reversible: left DLPFC thinner before and thicker after treatment in {SEMINOWICZ} (18 people); no "
    "prefrontal thinning in a small matched cohort (PMC4103969). S1: thicker in 10.1186/1744-8069-9-43. Elsewhere no "
    "agreement."
)


def _brain_marker(name: str, **fields: Any) -> Marker:
    """Return the descriptor of a volume of the whole brain."""
    common: dict[str, Any] = {
        "unit": "mL",
        "family": "structural",
        "direction": Direction.LOWER,
        "direction_source": GM_DIRECTION,
        "tier": Tier.SECONDARY,
        "doi": APKARIAN,
        "fact_sheet": FACT_SHEET,
        "n_counts": N_GRAY,
        "version": "3",
        "evidence": Evidence.DESIGN,
        "se_method": RESCAN,
        "bounds": (0.0, np.inf),
    }
    return Marker(name=name, **(common | fields))


def _regional_marker(name: str, **fields: Any) -> Marker:
    """Return the descriptor of a quantity of every region."""
    common: dict[str, Any] = {
        "index": ("roi", "hemi"),
        "levels": region_levels,
        "direction": Direction.CONTESTED,
        "direction_source": REGIONAL_SOURCE,
        "direction_by_level": REGIONAL_DIRECTION,
        "n_counts": N_REGION,
    }
    return _brain_marker(name, **(common | fields))


TIV = _brain_marker(
    "tiv",
    long_name="Total intracranial volume",
    description=(
        "Sum of the gray-matter, white-matter and CSF probabilities; CAT12: its own total; FreeSurfer: the estimate "
        "from the registration (eTIV). A covariate, and the gate of the family."
    ),
    function=tiv,
    direction=Direction.NOT_APPLICABLE,
    direction_source="",
    tier=Tier.QUALITY,
    doi="n/a",
    n_counts="voxels of the segmented brain; n/a where the source counts none",
)

GM_TOTAL = _brain_marker(
    "gm_total",
    long_name="Total gray-matter volume",
    description=(
        "Sum of the gray-matter probability over the whole image, cerebellum and subcortical nuclei included; "
        "FreeSurfer and FastSurfer: their total gray matter."
    ),
    function=gm_total,
)

GM_TOTAL_RATIO = _brain_marker(
    "gm_total_ratio",
    long_name="Gray-matter volume per intracranial volume",
    description="Total gray-matter volume divided by the total intracranial volume.",
    unit="mL/L",
    function=gm_total_ratio,
    bounds=(0.0, ML_PER_L),
    se_method=RATIO_SE,
)

GM_TOTAL_RESIDUAL = _brain_marker(
    "gm_total_residual",
    long_name="Total gray-matter volume, adjusted",
    description=f"Total gray-matter volume {RESIDUAL}",
    function=gm_total_residual,
    bounds=(-np.inf, np.inf),
    se_method=RESIDUAL_SE,
)

GM_NEOCORTICAL = _brain_marker(
    "gm_neocortical",
    long_name="Neocortical gray-matter volume",
    description=(
        "Total gray matter without what lies in the labels of the deep nuclei, the cerebellum and the brainstem; "
        "FreeSurfer and FastSurfer: their cortical gray matter. Closest to what Apkarian 2004 measured; that their "
        "measure was computed like this was not verified."
    ),
    function=gm_neocortical,
)

GM_NEOCORTICAL_RATIO = _brain_marker(
    "gm_neocortical_ratio",
    long_name="Neocortical gray matter per intracranial volume",
    description="Neocortical gray-matter volume divided by the total intracranial volume.",
    unit="mL/L",
    function=gm_neocortical_ratio,
    bounds=(0.0, ML_PER_L),
    se_method=RATIO_SE,
)

GM_NEOCORTICAL_RESIDUAL = _brain_marker(
    "gm_neocortical_residual",
    long_name="Neocortical gray matter, adjusted",
    description=f"Neocortical gray-matter volume {RESIDUAL}",
    function=gm_neocortical_residual,
    bounds=(-np.inf, np.inf),
    se_method=RESIDUAL_SE,
)

GM_SUBCORTICAL = _brain_marker(
    "gm_subcortical",
    long_name="Volume of the deep nuclei",
    description=(
        "Sum of the volumes of thalamus, caudate, putamen, pallidum, accumbens, hippocampus and amygdala of both "
        "sides; FreeSurfer and FastSurfer: their subcortical gray matter."
    ),
    function=gm_subcortical,
    direction=Direction.CONTESTED,
    direction_source=SUBCORTICAL_DIRECTION,
    tier=Tier.EXPLORATORY,
    doi=UK_BIOBANK,
    n_counts="n/a",
)

GM_SUBCORTICAL_RATIO = _brain_marker(
    "gm_subcortical_ratio",
    long_name="Deep nuclei per intracranial volume",
    description="Volume of the deep nuclei divided by the total intracranial volume.",
    unit="mL/L",
    function=gm_subcortical_ratio,
    direction=Direction.CONTESTED,
    direction_source=SUBCORTICAL_DIRECTION,
    tier=Tier.EXPLORATORY,
    doi=UK_BIOBANK,
    n_counts="n/a",
    bounds=(0.0, ML_PER_L),
    se_method=RATIO_SE,
)

GM_VOLUME = _regional_marker(
    "gm_volume",
    long_name="Regional gray-matter volume",
    description=WHAT_VOLUME,
    function=gm_volume,
    tier_by_level={"dlpfc": Tier.PRIMARY, "thalamus": Tier.PRIMARY},
    version="4",
)

GM_VOLUME_RATIO = _regional_marker(
    "gm_volume_ratio",
    long_name="Regional gray-matter volume per intracranial volume",
    description="Regional volume (as in gm_volume) divided by the total intracranial volume.",
    unit="mL/L",
    function=gm_volume_ratio,
    bounds=(0.0, ML_PER_L),
    version="4",
    se_method=RATIO_SE,
)

GM_VOLUME_RESIDUAL = _regional_marker(
    "gm_volume_residual",
    long_name="Regional gray-matter volume, adjusted",
    description=f"Regional volume (as in gm_volume) {RESIDUAL}",
    function=gm_volume_residual,
    bounds=(-np.inf, np.inf),
    se_method=RESIDUAL_SE,
)

GM_DENSITY = _regional_marker(
    "gm_density",
    long_name="Regional gray-matter density",
    description=(
        "Mean unmodulated gray-matter probability of a region, the quantity of early voxel-based morphometry: how gray "
        "the voxels are, whatever the size of the region. Not a volume; kept to compare with early studies. In the "
        "person's own space every voxel of the region counts alike. Low in deep nuclei, whose intensity lies between "
        "gray and white matter."
    ),
    unit="1",
    function=gm_density,
    tier=Tier.EXPLORATORY,
    bounds=(0.0, 1.0),
)

THALAMIC_NUCLEUS_VOLUME = _regional_marker(
    "thalamic_nucleus_volume",
    long_name="Volume of thalamic nuclei",
    description=(
        "Label volume of groups of thalamic nuclei: anterior (AV), mediodorsal (MDm, MDl), ventral posterolateral "
        "(VPL), intralaminar (CeM, CL, Pc, CM, Pf), pulvinar (PuA, PuM, PuL, PuI). Missing unless the source has a "
        "segmentation of thalamic nuclei."
    ),
    function=thalamic_nucleus_volume,
    levels=nucleus_levels,
    direction_by_level={},
    direction_source="No study with an agreed direction was found.",
    tier=Tier.EXPLORATORY,
    doi=IGLESIAS,
    version="2",
)

CORTICAL_THICKNESS = _regional_marker(
    "cortical_thickness",
    long_name="Cortical thickness",
    description=(
        "Mean distance between the white and the pial surface over a region, by area where it joins several labels "
        "(`dlpfc`: rostral and caudal middle frontal; `mpfc_acc`: anterior cingulate and medial orbitofrontal; "
        "`cortex`: the hemisphere). Needs no adjustment for head size. Never compare programs: their thickness differs."
    ),
    unit="mm",
    function=cortical_thickness,
    levels=thickness_levels,
    direction_source=THICKNESS_SOURCE,
    direction_by_level=THICKNESS_DIRECTION,
    doi=SEMINOWICZ,
    version="2",
    n_counts="vertices of the region, where the source counts them",
    bounds=(0.0, 10.0),
)

MARKERS: tuple[Marker, ...] = (
    TIV,
    GM_TOTAL,
    GM_TOTAL_RATIO,
    GM_TOTAL_RESIDUAL,
    GM_NEOCORTICAL,
    GM_NEOCORTICAL_RATIO,
    GM_NEOCORTICAL_RESIDUAL,
    GM_SUBCORTICAL,
    GM_SUBCORTICAL_RATIO,
    GM_VOLUME,
    GM_VOLUME_RATIO,
    GM_VOLUME_RESIDUAL,
    GM_DENSITY,
    THALAMIC_NUCLEUS_VOLUME,
    CORTICAL_THICKNESS,
)
