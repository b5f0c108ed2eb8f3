"""Quality of the BOLD runs: coverage and signal of the regions, motion, and what is left to compute from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.quality import block_jackknife_se
from lbpneuro.markers.bold import (
    BRAINSTEM,
    FAMILY,
    Functional,
    Level,
    Run,
    described,
    dimension,
    kept_s,
    motion_flags,
    motion_refusals,
    region_label,
    steady_fd,
    time_reasons,
)
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Marker, Tier
from lbpneuro.markers.descriptor import Level as MarkerLevel
from lbpneuro.markers.edges import EDGE_REGIONS, EMOTION_NODES, PAIN_NODES

FACT_SHEET = "Quality of the functional scan"
JACKKNIFE = "delete-one-block jackknife over 20 blocks of successive volumes"

Array = NDArray[np.float64]


REST_REGIONS = tuple(dict.fromkeys(part for end in (*PAIN_NODES, *EMOTION_NODES) for part in end))
"""The regions of the shift at rest."""


def roi_levels(config: Mapping[str, Any]) -> list[MarkerLevel]:
    """Levels of the regional quality markers: every region of an edge, also of the user's own, and of the shift.

    A region of the user's own edges has the name of the settings, which may stand for both sides.
    """
    own = [name for edge in config[FAMILY]["edges"].values() for end in ("seed", "target") for name in edge[end]]
    return _distinct([region_label(level) for level in (*EDGE_REGIONS, *REST_REGIONS)], own)


def coverage_levels(config: Mapping[str, Any]) -> list[MarkerLevel]:
    """Levels of the coverage: those of the other regional markers, and the nodes of the thalamocortical states."""
    return _distinct([roi for (roi,) in roi_levels(config)], config.get("dynamic", {}).get("nodes", []))


def _distinct(first: Sequence[str], further: Sequence[str]) -> list[MarkerLevel]:
    """Return names once; a name for both sides is left out where each side is there."""
    known = [*first, *further]
    sides = [name for name in further if {f"{name}_L", f"{name}_R"} <= set(known)]
    return [(name,) for name in dict.fromkeys(known) if name not in sides]


def _each_region(data: Functional, estimate: Callable[[Functional, Level], Estimate]) -> dict[MarkerLevel, Estimate]:
    """Return an estimate of every region of the runs by its name; both sides together have that of the worse."""
    common = [level for level in data.runs[0].regions if all(level in run.regions for run in data.runs)]
    found = {level: estimate(data, level) for level in common}
    pairs = [roi for roi, hemi in common if hemi == "L" and (roi, "R") in found]
    rows: dict[MarkerLevel, Estimate] = {
        (roi,): min((found[roi, side] for side in ("L", "R")), key=_goodness) for roi in pairs
    }
    rows |= {(region_label(level),): each for level, each in found.items()}
    return rows


def _goodness(estimate: Estimate) -> float:
    return -np.inf if np.isnan(estimate.value) else estimate.value


def roi_coverage(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the share of each region inside the data, the lowest over the runs; flagged below the least allowed."""
    return _each_region(data, _coverage_estimate)


def _coverage_estimate(data: Functional, level: Level) -> Estimate:
    share = float(np.min([run.coverage[run.regions.index(level)] for run in described(data)]))
    if np.isnan(share):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    flags = [Reason.COVERAGE_TOO_LOW] if share < data.settings["coverage_min"] else []
    return Estimate.of(share, n=_n_voxels(data, level), flags=flags)


def _n_voxels(data: Functional, level: Level) -> int:
    return min(int(run.n_voxels[run.regions.index(level)]) for run in described(data))


_QUALITY: dict[str, Any] = {
    "family": FAMILY,
    "direction": Direction.NOT_APPLICABLE,
    "tier": Tier.QUALITY,
    "fact_sheet": FACT_SHEET,
    "evidence": Evidence.DESIGN,
}
_REGIONAL: dict[str, Any] = {
    **_QUALITY,
    "unit": "1",
    "doi": "n/a",
    "n_counts": "voxels at least half inside the region and in the brain mask",
    "index": ("roi",),
    "levels": roi_levels,
    "version": "2",
}

ROI_COVERAGE = Marker(
    name="roi_coverage",
    long_name="Coverage of the region",
    description="Share of a region that lies inside the brain mask and holds signal; the lowest over runs.",
    function=roi_coverage,
    bounds=(0.0, 1.0),
    **{**_REGIONAL, "levels": coverage_levels},
)


def roi_tsnr(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the median temporal signal-to-noise ratio over the voxels of each region, on the kept volumes.

    Several runs are averaged with their kept volumes as weights. The standard error is a delete-one-block jackknife
    over time, which allows for noise that is shared between voxels and between successive volumes.
    """
    return _each_region(data, _tsnr_estimate)


def _tsnr_estimate(data: Functional, level: Level) -> Estimate:
    runs = described(data)
    columns = [run.regions.index(level) for run in runs]
    weight = np.array([run.keep.sum() for run in runs], dtype=np.float64)
    weight /= max(weight.sum(), 1.0)
    value = float(weight @ [run.tsnr[column] for run, column in zip(runs, columns, strict=True)])
    if np.isnan(value):
        unseen = any(not run.coverage[column] > 0 for run, column in zip(runs, columns, strict=True))
        return Estimate.fail(Reason.COVERAGE_TOO_LOW if unseen else Reason.ZERO_VARIANCE)
    errors = weight * [run.tsnr_se[column] for run, column in zip(runs, columns, strict=True)]
    flags = [Reason.LOW_TSNR] if level[0] in BRAINSTEM and value < data.settings["tsnr"][1] else []
    return Estimate.of(value, se=float(np.sqrt(np.sum(errors**2))), n=_n_voxels(data, level), flags=flags)


ROI_TSNR = Marker(
    name="roi_tsnr",
    long_name="Temporal signal-to-noise ratio of the region",
    description="Median over voxels of mean / standard deviation over the kept volumes, before any cleaning.",
    function=roi_tsnr,
    bounds=(0.0, np.inf),
    se_method=JACKKNIFE,
    **_REGIONAL,
)


def roi_signal(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the mean signal of each region as a share of that of the gray matter, the lowest over the runs.

    Without a map of the gray matter in the space of the run it is a share of the median of the brain.
    """
    return _each_region(data, _signal_estimate)


def _signal_estimate(data: Functional, level: Level) -> Estimate:
    share = float(np.min([run.signal[run.regions.index(level)] for run in described(data)]))
    if np.isnan(share):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    flags = [Reason.SIGNAL_DROPOUT] if share < data.settings["signal_min"] else []
    return Estimate.of(share, n=_n_voxels(data, level), flags=flags)


ROI_SIGNAL = Marker(
    name="roi_signal",
    long_name="Signal of the region",
    description=(
        "Mean signal of the region as a share of the mean of the gray matter (without a map of it, of the median over "
        "the brain; the sidecar says which): low where the image drops out."
    ),
    function=roi_signal,
    bounds=(0.0, np.inf),
    **_REGIONAL,
)


def fd_mean(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the mean framewise displacement (Jenkinson, mm) of the steady state, censored volumes included."""
    fd = np.concatenate([steady_fd(run) for run in described(data)])
    if not fd.size:
        return {(): Estimate.fail(Reason.TOO_FEW_VOLUMES)}
    flags = [
        flag
        for run in described(data)
        for flag in motion_refusals(run, data.settings) + motion_flags(run, data.settings)
    ]
    return {(): _mean_estimate(fd, flags=flags)}


def _mean_estimate(values: Array, *, flags: Sequence[Reason] = ()) -> Estimate:
    """Return the mean of successive values with its block-jackknife error."""
    se = block_jackknife_se(lambda volumes: float(values[volumes].mean()), n_time=len(values))
    return Estimate.of(float(values.mean()), se=se, n=len(values), flags=flags)


FD_MEAN = Marker(
    name="fd_mean",
    long_name="Mean framewise displacement",
    description=(
        "Mean of the framewise displacement of Jenkinson (RMS shift in a sphere of 80 mm), smaller than that of Power."
    ),
    unit="mm",
    function=fd_mean,
    doi="n/a",
    n_counts="volumes",
    version="1",
    bounds=(0.0, np.inf),
    se_method=JACKKNIFE,
    **_QUALITY,
)


def dvars_mean(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the mean standardised DVARS of the steady state, censored volumes included."""
    values = np.concatenate([_steady_dvars(run) for run in described(data)])
    return {(): _mean_estimate(values) if values.size else Estimate.missing(Reason.NOT_ACQUIRED)}


def _steady_dvars(run: Run) -> Array:
    return run.std_dvars[run.steady & np.isfinite(run.std_dvars)]


DVARS_MEAN = Marker(
    name="dvars_mean",
    long_name="Mean standardised DVARS",
    description=(
        "Mean root-mean-square change of the signal from volume to volume, as a share of what noise alone would give; "
        "from the confounds table, missing if it has none."
    ),
    unit="1",
    function=dvars_mean,
    doi="n/a",
    n_counts="volumes",
    version="1",
    bounds=(0.0, np.inf),
    se_method=JACKKNIFE,
    **_QUALITY,
)


def kept_time(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the time that is kept after censoring (s), summed over runs."""
    runs = described(data)
    seconds = kept_s(runs)
    flags = time_reasons(seconds, data.settings)
    return {(): Estimate.of(seconds, n=sum(int(run.keep.sum()) for run in runs), flags=flags)}


KEPT_TIME = Marker(
    name="kept_time",
    long_name="Time kept",
    description="Time that is left after volumes before the steady state and volumes with motion are censored.",
    unit="s",
    function=kept_time,
    doi="n/a",
    n_counts="kept volumes",
    version="1",
    bounds=(0.0, np.inf),
    **_QUALITY,
)


def residual_dimension(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the number of dimensions that each nuisance model leaves, summed over runs."""
    return {(model,): _dimension_estimate(data, model) for model in ("cortical", "brainstem")}


def _dimension_estimate(data: Functional, model: str) -> Estimate:
    d = dimension(described(data), model=model)
    flags = [Reason.TOO_FEW_DOF] if d < data.settings["dof_min"] else []
    return Estimate.of(d, n=sum(int(run.keep.sum()) for run in described(data)), flags=flags)


def model_levels(_config: Mapping[str, Any]) -> list[MarkerLevel]:
    """Levels of the markers that repeat over the two main nuisance models."""
    return [("cortical",), ("brainstem",)]


RESIDUAL_DIMENSION = Marker(
    name="residual_dimension",
    long_name="Residual dimension",
    description="Dimensions that confounds, drift, band-pass and censoring leave.",
    unit="1",
    function=residual_dimension,
    doi="n/a",
    n_counts="kept volumes",
    version="2",
    bounds=(0.0, np.inf),
    index=("model",),
    levels=model_levels,
    **_QUALITY,
)


def brainstem_overlap(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the overlap (Dice) of the brainstem with that of the template, the lowest over runs.

    It is known where tissue maps in template space with voxels of 2 mm or less are there.
    """
    known = [run.brainstem_dice for run in described(data) if np.isfinite(run.brainstem_dice)]
    if not known:
        return {(): Estimate.missing(Reason.NO_DERIVATIVE)}
    value = float(min(known))
    flags = [Reason.BRAINSTEM_MISPLACED] if value < data.settings["brainstem_dice_min"] else []
    return {(): Estimate.of(value, n=len(known), flags=flags)}


BRAINSTEM_OVERLAP = Marker(
    name="brainstem_overlap",
    long_name="Overlap of the brainstem with that of the template",
    description=(
        "Dice coefficient of the tissue of the person and the brainstem of the template near its free border; a shift "
        "of 4 mm in any direction takes it below 0.85."
    ),
    unit="1",
    function=brainstem_overlap,
    doi="n/a",
    n_counts="runs",
    version="1",
    bounds=(0.0, 1.0),
    **_QUALITY,
)

MARKERS: tuple[Marker, ...] = (
    ROI_COVERAGE,
    ROI_TSNR,
    ROI_SIGNAL,
    FD_MEAN,
    DVARS_MEAN,
    KEPT_TIME,
    RESIDUAL_DIMENSION,
    BRAINSTEM_OVERLAP,
)
