"""What is known of one brain: its volumes and those of its regions, whichever program measured them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.volumes import coverage, regional_mean, regional_volume, segmented, tissue_volume
from lbpneuro.markers.descriptor import Level

HEMISPHERES = ("L", "R")
CORTEX = ("dlpfc", "mpfc_acc", "s1", "insula")
"""Cortical labels."""
SPHERES = ("dlpfc_sem", "s1lumbar_fmri", "s1trunk_hcp", "s1back_mgh")
"""Spheres around published coordinates, in template space, the smallest last; only sources with maps have them."""
NUCLEI = ("thalamus", "caudate", "putamen", "pallidum", "accumbens", "hippocampus", "amygdala")
"""Deep nuclei: what is wanted is the anatomical volume of the label, not the gray matter found in it."""
THALAMIC_NUCLEI = ("thal_anterior", "thal_md", "thal_vpl", "thal_intralaminar", "thal_pulvinar")
"""Parts of the thalamus; only a source with a segmentation of thalamic nuclei has them."""
THICKNESS = ("cortex", "dlpfc", "rostral_middle_frontal", "caudal_middle_frontal", "mpfc_acc", "s1", "insula")
"""Regions with a cortical thickness; ``cortex`` is that of the hemisphere. Only sources with surfaces have them."""
MIDLINE: tuple[Level, ...] = (("cerebellum", "n/a"), ("brainstem", "n/a"))
"""What neither cortex nor nuclei are; needed by the neocortical volume of maps, and no row of its own."""
MAP_REGIONS: tuple[Level, ...] = (
    *((roi, hemi) for roi in (*CORTEX, *SPHERES, *NUCLEI) for hemi in HEMISPHERES),
    *MIDLINE,
)
"""Levels that a source with maps measures: rows of the table of regions."""

Map = NDArray[np.floating[Any]]
Source = Literal["embedded", "fmriprep", "cat12", "freesurfer", "fastsurfer", "maps"]
Measure = Literal["gray_matter", "label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMap:
    """A region on a box of a grid, the person's own or that of a template; the box may reach beyond the image.

    ``weights`` is the share of a voxel in the region, ``gm`` the gray matter (zero beyond the image): in the person's
    own space its probability, in template space that times the Jacobian determinant; ``inside`` is where the brain was
    segmented. In template space ``jacobian`` gives the determinant and ``probability`` the unmodulated gray matter,
    where there are such maps. All (n_x, n_y, n_z).
    """

    weights: Map
    gm: Map
    inside: NDArray[np.bool_]
    jacobian: Map | None = None
    probability: Map | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMeasure:
    """What a source says about one region; NaN where it says nothing.

    ``measure`` tells what ``volume_ml`` is: ``label`` the anatomical volume of the labelled region, ``gray_matter`` the
    sum of the gray-matter probability within it. ``density`` is the mean unmodulated gray-matter probability,
    ``coverage`` the share of the region inside the segmented brain (NaN: the source drew the region in this very
    brain), ``n`` the number of voxels at least half inside, or of vertices.
    """

    volume_ml: float
    measure: Measure
    n: int
    coverage: float = math.nan
    density: float = math.nan
    thickness_mm: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a volume is expected to be in a reference cohort, and how well that is known.

    ``coefficients`` (4,) are those of 1, TIV - ``tiv_mean`` (mL), age - ``age_mean`` (years) and male (1, else 0);
    ``covariance`` (4, 4) is that of the coefficients. ``method`` says how the cohort was measured, as
    ``Structural.method`` does.
    """

    method: str
    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    tiv_mean: float
    age_mean: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Structural:
    """Input of the family: the numbers of one person and session, from whichever source; NaN: not given.

    ``regions`` holds what the source knows of a level (roi, hemi); a level that is not there has no row values, for
    the reason in ``absent``, else ``no_transform`` where there are no regions at all, else ``not_in_source``.
    ``n_voxel`` counts the voxels (vertices) behind ``tiv``, ``gm``, ``gm_neocortical`` and ``gm_subcortical``.
    ``level`` is that of the embedded path (``draft``, ``standard``, ``full``), ``stripped`` says that the image had
    lost its skull before it was segmented, ``mirror`` that its mirror image was measured too and the mean is given.
    ``fd_mean_mm`` is the mean framewise displacement of the BOLD runs of the
    session, ``image_quality`` the weighted rating of CAT12 (%), ``euler`` the Euler number of FreeSurfer (mean of both
    hemispheres), ``template_dice`` the overlap with the brain of the template. ``failures`` are reasons found upstream
    for which no volume may be given. ``settings`` is the section ``structural``. ``age`` (years), ``male`` (1, or 0 for
    female) and ``reference``, by (marker, *level), serve the residuals.
    """

    source: Source
    settings: Mapping[str, Any]
    regions: Mapping[Level, RegionMeasure] = field(default_factory=dict)
    tiv_ml: float = math.nan
    gm_ml: float = math.nan
    gm_neocortical_ml: float = math.nan
    gm_subcortical_ml: float = math.nan
    wm_ml: float = math.nan
    csf_ml: float = math.nan
    n_voxel: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[Level, Reason] = field(default_factory=dict)
    level: str = ""
    stripped: bool = False
    mirror: bool = False
    fd_mean_mm: float = math.nan
    image_quality: float = math.nan
    euler: float = math.nan
    template_dice: float = math.nan
    failures: tuple[Reason, ...] = ()
    age: float = math.nan
    male: float = math.nan
    reference: Mapping[Level, Reference] = field(default_factory=dict)

    @property
    def draft(self) -> bool:
        """Whether the embedded path worked at its draft level."""
        return self.level == "draft"

    @property
    def method(self) -> str:
        """What must be equal for values to be comparable: source, and of the embedded path level and mirror image."""
        return self.noise_of + ("_mirror" if self.mirror else "")

    @property
    def noise_of(self) -> str:
        """Source and level whose rescan noise is taken: that with the mirror image is assumed not to be larger."""
        return f"embedded_{self.level or 'standard'}" if self.source == "embedded" else self.source


def from_native_maps(
    *,
    source: Source,
    settings: Mapping[str, Any],
    gm: Map,
    wm: Map,
    csf: Map,
    voxel_mm3: float,
    regions: Mapping[Level, RegionMap],
    **facts: Any,
) -> Structural:
    """Return the numbers of tissue probabilities (n_x, n_y, n_z) in the person's own space, and of regions there.

    ``regions`` are on boxes of the same grid, and empty without a transform from template space; ``facts`` are further
    fields of ``Structural``. Nuclei are label volumes here: a voxel of the person's own grid has its true size.
    """
    gm_ml, wm_ml, csf_ml = (float(tissue_volume(tissue, voxel_mm3=voxel_mm3)) for tissue in (gm, wm, csf))
    measures = {level: measured_native(region, level, voxel_mm3=voxel_mm3) for level, region in regions.items()}
    head = {"tiv": int(np.count_nonzero(segmented(gm=gm, wm=wm, csf=csf))), "gm": int(np.count_nonzero(gm > 0.5))}
    tiv_ml = gm_ml + wm_ml + csf_ml
    outer = {"tiv_ml": tiv_ml, "gm_ml": gm_ml, "wm_ml": wm_ml, "csf_ml": csf_ml}
    parts = _parts(gm_ml, measures, regions, voxel_mm3=voxel_mm3)
    failures = (*facts.pop("failures", ()), *((Reason.INVALID_INPUT,) if np.isnan(tiv_ml) else ()))
    fields: dict[str, Any] = {**outer, **parts, "n_voxel": head, "failures": failures, **facts}
    return Structural(source=source, settings=settings, regions=measures, **fields)


def from_modulated_maps(
    *,
    source: Source,
    settings: Mapping[str, Any],
    gm: Map,
    voxel_mm3: float,
    regions: Mapping[Level, RegionMap],
    **facts: Any,
) -> Structural:
    """Return the numbers of a modulated gray-matter map (n_x, n_y, n_z) in template space, and of regions there.

    A nucleus is a label volume where its map holds the Jacobian, the gray matter in the label where it does not.
    What the map cannot tell (``tiv_ml``, ``wm_ml`` ...) comes as further fields of ``Structural`` in ``facts``.
    """
    gm_ml = float(tissue_volume(gm, voxel_mm3=voxel_mm3))
    measures = {level: measured_in_template(region, level, voxel_mm3=voxel_mm3) for level, region in regions.items()}
    failures = (*facts.pop("failures", ()), *((Reason.INVALID_INPUT,) if np.isnan(gm_ml) else ()))
    parts = _parts(gm_ml, measures, regions, voxel_mm3=voxel_mm3)
    fields: dict[str, Any] = {
        "gm_ml": gm_ml,
        **parts,
        "n_voxel": {"gm": int(np.count_nonzero(gm > 0.5))},
        "failures": failures,
        **facts,
    }
    return Structural(source=source, settings=settings, regions=measures, **fields)


def measured_native(region: RegionMap, level: Level, *, voxel_mm3: float) -> RegionMeasure:
    """Return what the person's own space says about a region."""
    nucleus = level[0] in NUCLEI
    gray = float(regional_volume(region.gm, region.weights, voxel_mm3=voxel_mm3))
    return RegionMeasure(
        volume_ml=float(tissue_volume(region.weights, voxel_mm3=voxel_mm3)) if nucleus else gray,
        measure="label" if nucleus else "gray_matter",
        n=_n_inside(region),
        coverage=_covered(region),
        density=float(regional_mean(region.gm, region.weights)),
    )


def measured_in_template(region: RegionMap, level: Level, *, voxel_mm3: float) -> RegionMeasure:
    """Return what maps in template space say about a region."""
    by_label = level[0] in NUCLEI and region.jacobian is not None
    map_ = region.jacobian if by_label and region.jacobian is not None else region.gm
    return RegionMeasure(
        volume_ml=float(regional_volume(map_, region.weights, voxel_mm3=voxel_mm3)),
        measure="label" if by_label else "gray_matter",
        n=_n_inside(region),
        coverage=_covered(region),
        density=math.nan if region.probability is None else float(regional_mean(region.probability, region.weights)),
    )


def _parts(
    gm_ml: float, measures: Mapping[Level, RegionMeasure], regions: Mapping[Level, RegionMap], *, voxel_mm3: float
) -> dict[str, float]:
    """Return the volume of the nuclei, and of the gray matter outside nuclei, cerebellum and brainstem (mL).

    NaN if one of the regions is not there or not measured as a whole.
    """
    nuclei = [(roi, hemi) for roi in NUCLEI for hemi in HEMISPHERES]
    if not {*nuclei, *MIDLINE} <= regions.keys():
        return {}
    within = [regional_volume(regions[at].gm, regions[at].weights, voxel_mm3=voxel_mm3) for at in (*nuclei, *MIDLINE)]
    return {
        "gm_subcortical_ml": sum(measures[at].volume_ml for at in nuclei),
        "gm_neocortical_ml": gm_ml - float(sum(within)),
    }


def _n_inside(region: RegionMap) -> int:
    return int(np.count_nonzero(region.weights >= 0.5))


def _covered(region: RegionMap) -> float:
    """Return the share of a region inside the segmented brain; a region that is nowhere in the image has none."""
    return float(np.nan_to_num(coverage(region.weights, region.inside), nan=0.0))


def how_measured(data: Structural, marker: str, level: Level, *, sentence: str) -> str:
    """Return the ``method`` of a row: that of the study, a colon, and what this value is.

    ``sentence`` says how the source measures, for rows of which there is nothing more to say.
    """
    region = data.regions.get(level)
    if region is None:
        return f"{data.method}: {sentence}"
    if marker == "gm_density":
        return f"{data.method}: mean tissue probability"
    if marker == "cortical_thickness":
        return f"{data.method}: mean thickness"
    if marker == "gm_coverage":
        return f"{data.method}: share inside the segmented brain"
    return f"{data.method}: {'volume of the label' if region.measure == 'label' else 'gray matter in the region'}"
