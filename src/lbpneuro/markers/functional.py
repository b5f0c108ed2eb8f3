"""Connectivity of the periaqueductal gray with the ventromedial prefrontal cortex, and the quality of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.correlation import correlation, effective_dimension, fisher_z, pooled_z
from lbpneuro.kernels.nuisance import band_gain, project
from lbpneuro.kernels.quality import block_jackknife_se, spikes, tsnr
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Functional connectivity"
ROIS = ("pag", "vmpfc")
BRAINSTEM = ("pag",)
FACT_SHEET = "Functional changes: descending pain modulation, periaqueductal gray and medial prefrontal cortex"
YU = "10.1016/j.nicl.2014.08.019"
TIME_TOLERANCE_S = 1e-6
Z_MAX = 5.0
"""Fisher z of r = 0.9999: what is closer to 1 is the same data twice."""
DIRECTION = (
    f"Contested: higher than in controls and falling with current pain in {YU}; none reported at rest by a larger "
    "cohort (abstract of 10.1007/s11682-025-01047-0); lower in migraine (10.1038/srep20298). No meta-analysis."
)
SE_Z = (
    "1 / sqrt(d - 2), d the effective dimension: residual dimensions, discounted for the slope of the two spectra "
    "within the band"
)
JACKKNIFE = "delete-one-block jackknife over 20 blocks of successive volumes"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One BOLD run as the markers need it; regions in the order of ``ROIS``.

    Attributes
    ----------
    name
        ``task-rest_run-1``.
    resting
        Whether the task is rest.
    t_r
        Repetition time (s).
    fd_mm : (n_time,)
        Framewise displacement (Jenkinson, mm); NaN for the first volume.
    steady, keep : (n_time,) of bool
        Volumes in the steady state, and those of them that are not censored.
    basis : (n_kept, d) or None
        What the nuisance model leaves (:func:`lbpneuro.kernels.nuisance.residual_basis`); None if it leaves too little.
    means : (n_time, n_roi)
        Mean of the unsmoothed series in each region, not cleaned.
    coverage : (n_roi,)
        Share of each region inside the data.
    voxels : n_roi arrays (n_time, n_voxel) float32
        Unsmoothed series of the voxels of each region.
    reduced
        Whether the run was too short for the confounds asked for, and has those of the fall-back.
    """

    name: str
    resting: bool
    t_r: float
    fd_mm: Array
    steady: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    basis: Array | None
    means: Array
    coverage: Array
    voxels: tuple[NDArray[np.float32], ...]
    reduced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Functional:
    """Input of the family: the runs of one session, and the section ``functional`` of the settings."""

    runs: tuple[Run, ...]
    settings: Mapping[str, Any]


def roi_levels(_config: Mapping[str, Any]) -> list[Level]:
    """Levels of the regional quality markers."""
    return [(roi,) for roi in ROIS]


def pag_vmpfc_z(data: Functional) -> dict[Level, Estimate]:
    """Return the Fisher z of the correlation of PAG and vmPFC, pooled over the runs that pass.

    Every run has its z and effective dimension ``d`` (the colour of the spectra within the band counts); runs are
    averaged with the weights ``d - 2``, and the standard error is ``1 / sqrt(sum (d - 2))``.
    """
    refusals = session_refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    pairs = [pair for run in passing(data) if (pair := _z_and_dimension(run, data.settings))[1] > 2]
    if not pairs:
        return {(): Estimate.fail(Reason.TOO_FEW_DOF)}
    z, se = pooled_z([z for z, _ in pairs], dimension=[d for _, d in pairs])
    if abs(z) > Z_MAX:
        return {(): Estimate.fail(Reason.OUT_OF_BOUNDS)}
    return {(): Estimate.of(z, se=se, n=sum(d for _, d in pairs), flags=session_flags(data))}


PAG_VMPFC_Z = Marker(
    name="pag_vmpfc_z",
    long_name="PAG-vmPFC functional connectivity, Fisher z",
    description=(
        "Fisher z of the correlation between the mean unsmoothed series of the periaqueductal gray and of the "
        "ventromedial prefrontal cortex, after one projection for confounds, drift, band-pass and censoring."
    ),
    unit="1",
    family="functional",
    function=pag_vmpfc_z,
    direction=Direction.CONTESTED,
    tier=Tier.PRIMARY,
    doi=YU,
    fact_sheet=FACT_SHEET,
    n_counts="effective dimensions of the cleaned series (white-noise equivalents)",
    version="1",
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_Z,
)


def pag_vmpfc_r(data: Functional) -> dict[Level, Estimate]:
    """Return Pearson's r of PAG and vmPFC: ``tanh`` of the pooled z, its interval ``tanh`` of that of z.

    The standard error is ``(1 - r^2) se_z``.
    """
    z = pag_vmpfc_z(data)[()]
    if np.isnan(z.value):
        return {(): z}
    r = np.tanh(z.value)
    interval = (np.tanh(z.ci_low), np.tanh(z.ci_high))
    return {(): Estimate.of(r, se=(1 - r**2) * z.se, ci=interval, n=z.n, flags=z.reasons)}


PAG_VMPFC_R = Marker(
    name="pag_vmpfc_r",
    long_name="PAG-vmPFC functional connectivity, correlation",
    description="Pearson's r of the same two series: tanh of the Fisher z.",
    unit="1",
    family="functional",
    function=pag_vmpfc_r,
    direction=Direction.CONTESTED,
    tier=Tier.SECONDARY,
    doi=YU,
    fact_sheet=FACT_SHEET,
    n_counts="effective dimensions of the cleaned series (white-noise equivalents)",
    version="1",
    bounds=(-1.0, 1.0),
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=f"(1 - r^2) times the standard error of z, interval: tanh of that of z; {SE_Z}",
)


def roi_coverage(data: Functional) -> dict[Level, Estimate]:
    """Return the share of each region inside the data, the lowest over the runs; flagged below the least allowed."""
    return {(roi,): _coverage_estimate(data, index) for index, roi in enumerate(ROIS)}


ROI_COVERAGE = Marker(
    name="roi_coverage",
    long_name="Coverage of the region",
    description="Share of a region that lies inside the brain mask and holds signal; the lowest over runs.",
    unit="1",
    family="functional",
    function=roi_coverage,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="voxels at least half inside the region and in the brain mask",
    version="1",
    bounds=(0.0, 1.0),
    index=("roi",),
    levels=roi_levels,
    evidence=Evidence.DESIGN,
)


def roi_tsnr(data: Functional) -> dict[Level, Estimate]:
    """Return the median temporal signal-to-noise ratio over the voxels of each region, on the kept volumes.

    Several runs are averaged with their kept volumes as weights. The standard error is a delete-one-block jackknife
    over time, which allows for noise that is shared between voxels and between successive volumes.
    """
    return {(roi,): _tsnr_estimate(data, index) for index, roi in enumerate(ROIS)}


ROI_TSNR = Marker(
    name="roi_tsnr",
    long_name="Temporal signal-to-noise ratio of the region",
    description="Median over voxels of mean / standard deviation over the kept volumes, before any cleaning.",
    unit="1",
    family="functional",
    function=roi_tsnr,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="voxels at least half inside the region and in the brain mask",
    version="1",
    bounds=(0.0, np.inf),
    index=("roi",),
    levels=roi_levels,
    evidence=Evidence.DESIGN,
    se_method=JACKKNIFE,
)


def fd_mean(data: Functional) -> dict[Level, Estimate]:
    """Return the mean framewise displacement (Jenkinson, mm) of the steady state, censored volumes included."""
    fd = np.concatenate([_steady_fd(run) for run in described(data)])
    if not fd.size:
        return {(): Estimate.fail(Reason.TOO_FEW_VOLUMES)}
    se = block_jackknife_se(lambda volumes: float(fd[volumes].mean()), n_time=len(fd))
    flags = [
        flag
        for run in described(data)
        for flag in motion_refusals(run, data.settings) + motion_flags(run, data.settings)
    ]
    return {(): Estimate.of(float(fd.mean()), se=se, n=len(fd), flags=flags)}


FD_MEAN = Marker(
    name="fd_mean",
    long_name="Mean framewise displacement",
    description=(
        "Mean of the framewise displacement of Jenkinson (RMS shift in a sphere of 80 mm), smaller than that of Power."
    ),
    unit="mm",
    family="functional",
    function=fd_mean,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="volumes",
    version="1",
    bounds=(0.0, np.inf),
    evidence=Evidence.DESIGN,
    se_method=JACKKNIFE,
)


def kept_time(data: Functional) -> dict[Level, Estimate]:
    """Return the time that is kept after censoring (s), summed over runs."""
    runs = described(data)
    seconds = kept_s(runs)
    return {(): Estimate.of(seconds, n=sum(int(run.keep.sum()) for run in runs), flags=_time_reasons(seconds, data))}


KEPT_TIME = Marker(
    name="kept_time",
    long_name="Time kept",
    description="Time that is left after volumes before the steady state and volumes with motion are censored.",
    unit="s",
    family="functional",
    function=kept_time,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="kept volumes",
    version="1",
    bounds=(0.0, np.inf),
    evidence=Evidence.DESIGN,
)


def residual_dimension(data: Functional) -> dict[Level, Estimate]:
    """Return the number of dimensions that the nuisance model leaves, summed over runs."""
    d = _dimension(described(data))
    flags = [Reason.TOO_FEW_DOF] if d < data.settings["dof_min"] else []
    return {(): Estimate.of(d, n=sum(int(run.keep.sum()) for run in described(data)), flags=flags)}


RESIDUAL_DIMENSION = Marker(
    name="residual_dimension",
    long_name="Residual dimension",
    description="Dimensions that confounds, drift, band-pass and censoring leave.",
    unit="1",
    family="functional",
    function=residual_dimension,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts="kept volumes",
    version="1",
    bounds=(0.0, np.inf),
    evidence=Evidence.DESIGN,
)


def passing(data: Functional) -> tuple[Run, ...]:
    """Return the runs that no gate excludes."""
    return tuple(run for run in data.runs if not run_refusals(run, data.settings))


def described(data: Functional) -> tuple[Run, ...]:
    """Return the runs that the quality markers describe: those that pass, or all if none does."""
    return passing(data) or data.runs


def session_refusals(data: Functional) -> tuple[Reason, ...]:
    """Return why the session gives no connectivity, empty if it does.

    Runs are judged one by one for motion, coverage, signal and dimension; kept time and residual dimension are summed
    over the runs that pass.
    """
    runs = passing(data)
    reasons = [] if runs else [reason for run in data.runs for reason in run_refusals(run, data.settings)]
    if Reason.TOO_FEW_VOLUMES in _time_reasons(kept_s(runs or data.runs), data):
        reasons.append(Reason.TOO_FEW_VOLUMES)
    if _dimension(runs or data.runs) < data.settings["dof_min"]:
        reasons.append(Reason.TOO_FEW_DOF)
    return tuple(reasons)


def session_flags(data: Functional) -> list[Reason]:
    """Return what a reader of the connectivity should know about the runs that pass."""
    runs = passing(data)
    flags = [flag for run in runs for flag in motion_flags(run, data.settings)] + _time_reasons(kept_s(runs), data)
    if any(_roi_tsnr(run, ROIS.index(roi)) < data.settings["tsnr"][1] for run in runs for roi in BRAINSTEM):
        flags.append(Reason.LOW_TSNR)
    if any(run.reduced for run in runs):
        flags.append(Reason.REDUCED_CONFOUNDS)
    if not all(run.resting for run in runs):
        flags.append(Reason.NOT_RESTING_STATE)
    return flags


def run_refusals(run: Run, settings: Mapping[str, Any]) -> list[Reason]:
    """Return why a run gives no correlation, empty if it does."""
    reasons = motion_refusals(run, settings)
    if not np.all(run.coverage >= settings["coverage_min"]):
        reasons.append(Reason.COVERAGE_TOO_LOW)
    elif run.basis is None:
        reasons.append(Reason.TOO_FEW_DOF)
    elif not np.isfinite(project(run.basis, run.means, keep=run.keep)).all():
        reasons.append(Reason.ZERO_VARIANCE)
    if any(_roi_tsnr(run, ROIS.index(roi)) < settings["tsnr"][0] for roi in BRAINSTEM):
        reasons.append(Reason.LOW_TSNR)
    return reasons


def motion_refusals(run: Run, settings: Mapping[str, Any]) -> list[Reason]:
    """Return ``high_motion`` if the mean, the largest displacement or the share of spikes is beyond its limit."""
    fd = _steady_fd(run)
    if not fd.size:
        return [Reason.TOO_FEW_VOLUMES]
    moved = float(np.mean(spikes(fd, threshold_mm=settings["fd_spike_mm"])))
    beyond = (
        fd.mean() > settings["fd_mean_mm"][1] or fd.max() > settings["fd_max_mm"] or moved > settings["spike_fraction"]
    )
    return [Reason.HIGH_MOTION] if beyond else []


def motion_flags(run: Run, settings: Mapping[str, Any]) -> list[Reason]:
    """Return ``moderate_motion`` for a run whose mean displacement is above the first limit but passes."""
    if motion_refusals(run, settings):
        return []
    return [Reason.MODERATE_MOTION] if _steady_fd(run).mean() > settings["fd_mean_mm"][0] else []


def kept_s(runs: Sequence[Run]) -> float:
    """Return the time kept in some runs (s)."""
    return float(sum(run.keep.sum() * run.t_r for run in runs))


def _time_reasons(seconds: float, data: Functional) -> list[Reason]:
    """Return what a kept time means: too little, short, or (empty) enough."""
    fail, warn = data.settings["kept_s"]
    if seconds < fail - TIME_TOLERANCE_S:
        return [Reason.TOO_FEW_VOLUMES]
    return [Reason.SHORT_SCAN] if seconds < warn - TIME_TOLERANCE_S else []


def _dimension(runs: Sequence[Run]) -> int:
    return sum(run.basis.shape[1] for run in runs if run.basis is not None)


def _z_and_dimension(run: Run, settings: Mapping[str, Any]) -> tuple[float, float]:
    """Return Fisher z and effective dimension of PAG and vmPFC in one run."""
    if run.basis is None:
        return float("nan"), float("nan")
    pair = project(run.basis, run.means, keep=run.keep)
    frequencies, gain = band_gain(run.basis, t_r=run.t_r, band_hz=tuple(settings["band_hz"]), keep=run.keep)
    dimension = effective_dimension(pair, gain=gain, frequencies_hz=frequencies)
    return float(fisher_z(correlation(pair)[0, 1])), dimension


def _steady_fd(run: Run) -> Array:
    """Return the known displacements of the steady state."""
    return run.fd_mm[run.steady & np.isfinite(run.fd_mm)]


def _roi_tsnr(run: Run, index: int) -> float:
    """Return the median tSNR of a region, NaN if no voxel has one."""
    return _finite_median(tsnr(run.voxels[index], keep=run.keep))


def _finite_median(values: Array) -> float:
    found = values[np.isfinite(values)]
    return float(np.median(found)) if found.size else float("nan")


def _roi_tsnr_se(run: Run, index: int) -> float:
    """Return the jackknife standard error over time of the median tSNR of a region."""
    kept = run.voxels[index][run.keep]

    def median_tsnr(volumes: NDArray[np.intp]) -> float:
        return _finite_median(tsnr(kept[volumes], keep=np.ones(len(volumes), dtype=bool)))

    return block_jackknife_se(median_tsnr, n_time=len(kept))


def _tsnr_estimate(data: Functional, index: int) -> Estimate:
    runs = described(data)
    weight = np.array([run.keep.sum() for run in runs], dtype=np.float64)
    weight /= max(weight.sum(), 1.0)
    value = float(weight @ [_roi_tsnr(run, index) for run in runs])
    if np.isnan(value):
        unseen = any(not run.coverage[index] > 0 for run in runs)
        return Estimate.fail(Reason.COVERAGE_TOO_LOW if unseen else Reason.ZERO_VARIANCE)
    se = float(np.sqrt(np.sum((weight * [_roi_tsnr_se(run, index) for run in runs]) ** 2)))
    flags = [Reason.LOW_TSNR] if ROIS[index] in BRAINSTEM and value < data.settings["tsnr"][1] else []
    return Estimate.of(value, se=se, n=_n_voxels(data, index), flags=flags)


def _coverage_estimate(data: Functional, index: int) -> Estimate:
    share = float(np.min([run.coverage[index] for run in described(data)]))
    if np.isnan(share):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    flags = [Reason.COVERAGE_TOO_LOW] if share < data.settings["coverage_min"] else []
    return Estimate.of(share, n=_n_voxels(data, index), flags=flags)


def _n_voxels(data: Functional, index: int) -> int:
    return min(run.voxels[index].shape[1] for run in described(data))


MARKERS: tuple[Marker, ...] = (
    PAG_VMPFC_Z,
    PAG_VMPFC_R,
    ROI_COVERAGE,
    ROI_TSNR,
    FD_MEAN,
    KEPT_TIME,
    RESIDUAL_DIMENSION,
)
