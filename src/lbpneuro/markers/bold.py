"""What a BOLD run is to the markers, and the gates that decide whether it gives a value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels.correlation import PowerLaws, power_laws
from lbpneuro.kernels.nuisance import band_gain, project
from lbpneuro.kernels.quality import spikes

FAMILY = "functional"
TITLE = "Functional connectivity"
MODELS = ("cortical", "brainstem", "cortical_alternative", "brainstem_alternative")
WIDE = "wide"
"""The cortical model without an upper frequency limit, for spectra."""
BRAINSTEM = ("pag", "vlpag", "lpag", "pag_kong", "pag_linnman", "vta")
AROUND_AQUEDUCT = ("pag", "vlpag", "lpag")
MESOLIMBIC = ("accumbens", "nac", "vta")
TIME_TOLERANCE_S = 1e-6

Array = NDArray[np.float64]
Level = tuple[str, str]  # roi, hemi


@dataclass(frozen=True, slots=True, kw_only=True)
class Nuisance:
    """One nuisance model of a run.

    ``basis`` (n_kept, d) is what the model leaves (:func:`lbpneuro.kernels.nuisance.residual_basis`), None if that is
    too little; ``reduced`` tells that the run was too short for the confounds asked for and has those of the fall-back.
    """

    strategy: str
    basis: Array | None
    reduced: bool = False


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Run:
    """One BOLD run as the markers need it; arrays over regions are in the order of ``regions``.

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
    std_dvars : (n_time,)
        Standardised DVARS; NaN where unknown.
    steady, keep : (n_time,) of bool
        Volumes in the steady state, and those of them that are not censored; the same for all models.
    models
        Nuisance model by name, one of ``MODELS`` or ``WIDE``.
    regions : n_region pairs (roi, hemi)
    means : (n_time, n_region)
        Mean of the unsmoothed series in each region, not cleaned; NaN for a region without usable voxels.
    size : (n_region,)
        Usable weight of the region in voxels.
    coverage : (n_region,)
        Usable share of the region.
    signal : (n_region,)
        Mean over time in the region, as a share of the mean of the gray matter, or without a map of that of the median
        of the brain.
    tsnr, tsnr_se, n_voxels : (n_region,)
        Median temporal signal-to-noise ratio, its jackknife error over time, and over how many voxels.
    nodes : (n_time, n_node)
        Mean series of the Seitzman nodes, NaN where a node is not covered.
    beyond_mpfc : (n_node,) of bool
        The nodes that share no voxel with the region mpfc.
    node_networks : n_node names
        Network of each node.
    brainstem_dice
        Overlap of the brainstem of the run with that of the template; NaN where it was not measured.
    own_aqueduct
        Whether the regions around the aqueduct follow that of the person.
    doubtful_timing
        Whether the sidecar holds two repetition times.
    multiband
        Slices excited at once, 1 where the sidecar does not tell.
    other_template
        Whether the regions were defined in another template than that of the run, and taken as they stand.
    voxel_mm3
        Volume of a voxel (mm³).
    """

    name: str
    resting: bool
    t_r: float
    fd_mm: Array
    steady: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    models: Mapping[str, Nuisance]
    regions: tuple[Level, ...]
    means: Array
    size: Array
    coverage: Array
    signal: Array
    tsnr: Array
    tsnr_se: Array
    n_voxels: NDArray[np.int64]
    nodes: Array
    beyond_mpfc: NDArray[np.bool_]
    std_dvars: Array
    node_networks: tuple[str, ...] = ()
    brainstem_dice: float = float("nan")
    own_aqueduct: bool = False
    doubtful_timing: bool = False
    multiband: int = 1
    other_template: bool = False
    voxel_mm3: float = float("nan")

    def columns(self, parts: Sequence[Level]) -> list[int]:
        """Return the columns of ``parts`` in the arrays over regions."""
        return [self.regions.index(part) for part in parts]

    def basis(self, model: str) -> Array | None:
        """Return the basis of a nuisance model, None if the model leaves too little."""
        return self.models[model].basis


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Functional:
    """Input of the family: the runs of one session, the section ``functional`` of the settings, and a random seed."""

    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    seed: int = 0


def region_label(level: Level) -> str:
    """Return ``pag`` or ``amygdala_L``."""
    roi, hemi = level
    return roi if hemi == "n/a" else f"{roi}_{hemi}"


def parts_of(name: str, known: Collection[Level]) -> tuple[Level, ...]:
    """Return the regions that a name of the settings means: ``pag``, ``amygdala_L``, or ``amygdala`` for both sides.

    Raises
    ------
    InputError
        If there is no such region among ``known``.
    """
    roi, _, hemi = name.rpartition("_")
    candidates = [((name, "n/a"),), ((roi, hemi),), ((name, "L"), (name, "R"))]
    for parts in candidates:
        if all(part in known for part in parts):
            return parts
    listed = ", ".join(sorted({region_label(level) for level in known}))
    raise InputError(f"The settings name the region {name}, which the table of regions lacks; it has {listed}.")


def end_series(run: Run, parts: Sequence[Level]) -> Array:
    """Return the mean series (n_time,) of a union of regions, every voxel counted alike.

    ``sum_p size_p mean_p / sum_p size_p`` over the parts that have usable voxels; NaN if none has.
    """
    return _end_series(run, tuple(parts))


@lru_cache(maxsize=256)
def _end_series(run: Run, parts: tuple[Level, ...]) -> Array:
    columns = [column for column in run.columns(parts) if run.size[column] > 0]
    size = run.size[columns]
    series = np.asarray(run.means[:, columns] @ size / (size.sum() if columns else np.nan))
    series.setflags(write=False)
    return series


def passing(data: Functional, *, regions: Sequence[Level] = (), model: str = "cortical") -> tuple[Run, ...]:
    """Return the runs that no gate excludes from a value of some regions under a nuisance model."""
    return _passing(data, tuple(regions), model)


@lru_cache(maxsize=256)
def _passing(data: Functional, regions: tuple[Level, ...], model: str) -> tuple[Run, ...]:
    return tuple(run for run in data.runs if not run_refusals(run, data.settings, regions=regions, model=model))


def described(data: Functional) -> tuple[Run, ...]:
    """Return the runs that the quality markers describe: those that motion does not exclude, or all if none is left."""
    return tuple(run for run in data.runs if not motion_refusals(run, data.settings)) or data.runs


def session_refusals(data: Functional, *, regions: Sequence[Level] = (), model: str = "cortical") -> tuple[Reason, ...]:
    """Return why the session gives no connectivity of some regions, empty if it does.

    Runs are judged one by one for motion, coverage, signal and dimension; kept time and residual dimension are summed
    over the runs that pass.
    """
    runs = passing(data, regions=regions, model=model)
    reasons = [
        reason
        for run in ([] if runs else data.runs)
        for reason in run_refusals(run, data.settings, regions=regions, model=model)
    ]
    if Reason.TOO_FEW_VOLUMES in time_reasons(kept_s(runs or data.runs), data.settings):
        reasons.append(Reason.TOO_FEW_VOLUMES)
    if dimension(runs or data.runs, model=model) < data.settings["dof_min"]:
        reasons.append(Reason.TOO_FEW_DOF)
    return tuple(reasons)


def session_flags(data: Functional, *, regions: Sequence[Level] = (), model: str = "cortical") -> list[Reason]:
    """Return what a reader of the connectivity of some regions should know about the runs that pass."""
    runs = passing(data, regions=regions, model=model)
    flags = [flag for run in runs for flag in motion_flags(run, data.settings)]
    flags += time_reasons(kept_s(runs), data.settings)
    if any(_low_tsnr(run, regions, least=data.settings["tsnr"][1]) for run in runs):
        flags.append(Reason.LOW_TSNR)
    if any(run.models[model].reduced for run in runs):
        flags.append(Reason.REDUCED_CONFOUNDS)
    if any(run.doubtful_timing for run in runs):
        flags.append(Reason.DOUBTFUL_TIMING)
    mesolimbic = any(roi in MESOLIMBIC for roi, _ in regions)
    if mesolimbic and any(run.multiband >= data.settings["multiband"] for run in runs):
        flags.append(Reason.HIGH_MULTIBAND)
    if not all(run.resting for run in runs):
        flags.append(Reason.NOT_RESTING_STATE)
    if any(run.other_template for run in runs):
        flags.append(Reason.OTHER_TEMPLATE)
    return flags


def run_refusals(
    run: Run, settings: Mapping[str, Any], *, regions: Sequence[Level] = (), model: str = "cortical"
) -> list[Reason]:
    """Return why a run gives no value of some regions under a nuisance model, empty if it does."""
    reasons = motion_refusals(run, settings)
    columns = run.columns(regions)
    if not np.all(run.coverage[columns] >= settings["coverage_min"]):
        reasons.append(Reason.COVERAGE_TOO_LOW)
    elif run.basis(model) is None:
        reasons.append(Reason.TOO_FEW_DOF)
    elif not _varies(run, model)[columns].all():
        reasons.append(Reason.ZERO_VARIANCE)
    if np.any(run.signal[columns] < settings["signal_min"]):
        reasons.append(Reason.SIGNAL_DROPOUT)
    if _low_tsnr(run, regions, least=settings["tsnr"][0]):
        reasons.append(Reason.LOW_TSNR)
    return reasons + brainstem_refusals(run, settings, regions=regions)


@lru_cache(maxsize=16)
def _varies(run: Run, model: str) -> NDArray[np.bool_]:
    """Return which regions have a series of which the nuisance model leaves something, shape (n_region,)."""
    basis = run.basis(model)
    if basis is None:
        return np.zeros(len(run.regions), dtype=bool)
    return np.asarray(np.isfinite(project(basis, run.means, keep=run.keep)).all(axis=0))


@lru_cache(maxsize=16)
def run_laws(run: Run, model: str, band_hz: tuple[float, float]) -> PowerLaws:
    """Return the power laws of frequency in the coordinates of a nuisance model that the run has."""
    basis = run.basis(model)
    if basis is None:
        raise QualityError(f"{run.name}: the {model} model leaves too few dimensions.", reason=Reason.TOO_FEW_DOF)
    frequencies, gain = band_gain(basis, t_r=run.t_r, band_hz=band_hz, keep=run.keep)
    return power_laws(gain, frequencies_hz=frequencies)


def brainstem_refusals(run: Run, settings: Mapping[str, Any], *, regions: Sequence[Level]) -> list[Reason]:
    """Return why a run gives no value of brainstem regions, empty if it does or if none is among ``regions``.

    A seed must keep its least volume (mm³), the brainstem must lie on that of the template where this was measured,
    and regions that were defined in another template must at least follow the aqueduct of the person.
    """
    stem = [level for level in regions if level[0] in BRAINSTEM]
    if not stem:
        return []
    reasons = []
    least = settings["seed_mm3_min"]
    if any(run.size[run.regions.index(level)] * run.voxel_mm3 < least.get(level[0], 0) for level in stem):
        reasons.append(Reason.COVERAGE_TOO_LOW)
    if run.brainstem_dice < settings["brainstem_dice_min"]:
        reasons.append(Reason.BRAINSTEM_MISPLACED)
    if run.other_template and not (run.own_aqueduct and all(level[0] in AROUND_AQUEDUCT for level in stem)):
        reasons.append(Reason.OTHER_TEMPLATE)
    return reasons


def motion_refusals(run: Run, settings: Mapping[str, Any]) -> list[Reason]:
    """Return ``high_motion`` if the mean, the largest displacement or the share of spikes is beyond its limit."""
    if not steady_fd(run).size:
        return [Reason.TOO_FEW_VOLUMES]
    mean, largest, share = _motion(run, settings["fd_spike_mm"])
    beyond = mean > settings["fd_mean_mm"][1] or largest > settings["fd_max_mm"] or share > settings["spike_fraction"]
    return [Reason.HIGH_MOTION] if beyond else []


@lru_cache(maxsize=16)
def _motion(run: Run, spike_mm: float) -> tuple[float, float, float]:
    """Return mean and largest displacement of the steady state (mm), and the share of spikes; every marker asks."""
    fd = steady_fd(run)
    return float(fd.mean()), float(fd.max()), float(np.mean(spikes(fd, threshold_mm=spike_mm)))


def motion_flags(run: Run, settings: Mapping[str, Any]) -> list[Reason]:
    """Return ``moderate_motion`` for a run whose mean displacement is above the first limit but passes."""
    if motion_refusals(run, settings):
        return []
    return [Reason.MODERATE_MOTION] if steady_fd(run).mean() > settings["fd_mean_mm"][0] else []


def kept_s(runs: Sequence[Run]) -> float:
    """Return the time kept in some runs (s)."""
    return float(sum(run.keep.sum() * run.t_r for run in runs))


def time_reasons(seconds: float, settings: Mapping[str, Any]) -> list[Reason]:
    """Return what a kept time means: too little, short, or (empty) enough."""
    fail, warn = settings["kept_s"]
    if seconds < fail - TIME_TOLERANCE_S:
        return [Reason.TOO_FEW_VOLUMES]
    return [Reason.SHORT_SCAN] if seconds < warn - TIME_TOLERANCE_S else []


def dimension(runs: Sequence[Run], *, model: str) -> int:
    """Return how many dimensions a nuisance model leaves, summed over runs."""
    return sum(basis.shape[1] for run in runs if (basis := run.basis(model)) is not None)


def steady_fd(run: Run) -> Array:
    """Return the known displacements of the steady state (mm)."""
    return run.fd_mm[run.steady & np.isfinite(run.fd_mm)]


def _low_tsnr(run: Run, regions: Sequence[Level], *, least: float) -> bool:
    """Return whether a brainstem region among ``regions`` has less signal-to-noise than ``least``."""
    stem = [level for level in regions if level[0] in BRAINSTEM]
    return bool(np.any(run.tsnr[run.columns(stem)] < least))
