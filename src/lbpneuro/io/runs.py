"""A preprocessed BOLD run and its companions, told apart by their BIDS names and read into what the markers need."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.confounds import Confounds, read_table, select_confounds
from lbpneuro.io.images import load_probability
from lbpneuro.io.index import entities
from lbpneuro.io.region_grid import roi_weights, volume_weights
from lbpneuro.io.regions import Region
from lbpneuro.io.series import Series, missing_file, read_series, repetition_time
from lbpneuro.kernels.labels import region_means
from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.kernels.quality import kept_volumes
from lbpneuro.markers.functional import BRAINSTEM, ROIS, Run

NOT_OF_THE_RUN = ("sub", "ses", "space", "res", "den", "desc", "label", "datatype", "suffix", "ext")
CONFOUNDS_WORDS = {
    "24p": "24 motion terms",
    "36p": "24 motion terms and the white-matter, CSF and global signals with their expansions",
    "acompcor24": "24 motion terms and ten aCompCor components",
    "acompcor6": "6 motion terms and five aCompCor components",
}
log = logging.getLogger("lbpneuro")

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """The files of one run; ``csf`` is the CSF probability map in the space of the run, if there is one."""

    bold: Path
    mask: Path
    confounds: Path
    csf: Path | None = None

    @property
    def entities(self) -> dict[str, str]:
        """The entities that tell this run from the others of its session, in BIDS order."""
        return run_entities(self.bold)

    @property
    def name(self) -> str:
        """``task-rest_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that is known of a run after its one read: what the markers take, and what is drawn.

    ``weights`` (n_roi, n_x, n_y, n_z) is the share of each voxel in each region as it was used.
    """

    files: RunFiles
    run: Run
    series: Series
    confounds: Confounds
    weights: Weights
    csf_excluded: bool
    strategy: str

    def without_voxels(self) -> Scan:
        """Return the scan without the voxel matrix and volumes, so that the next run finds the memory free."""
        none = np.empty((0, 0), dtype=np.float32)
        small = replace(self.series, bold=none, mask=np.empty(0, dtype=bool), mean=none)
        return replace(self, series=small, weights=none)


def run_entities(path: Path) -> dict[str, str]:
    """Return the entities of a file that name its run: task, acquisition, run number, echo ..."""
    return {key: value for key, value in entities(path).items() if key not in NOT_OF_THE_RUN}


def group_runs(files: Sequence[Path]) -> list[RunFiles]:
    """Return the runs among the files of a session, each with its mask, confounds and CSF map, sorted by name.

    Raises
    ------
    InputError
        If a run lacks its brain mask or its confounds (reason ``file_missing``), or no file is a preprocessed BOLD
        series.
    """
    named = [(path, entities(path)) for path in sorted(files) if path.suffix != ".json"]
    runs = [path for path, name in named if name.get("suffix") == "bold" and name.get("desc") == "preproc"]
    if not runs:
        raise InputError(
            f"No preprocessed BOLD series (desc-preproc_bold) among {', '.join(path.name for path, _ in named)}."
        )
    return [_companions(bold, named) for bold in runs]


def _companions(bold: Path, named: Sequence[tuple[Path, Mapping[str, str]]]) -> RunFiles:
    """Return the files that belong to a BOLD series."""
    own, run = entities(bold), run_entities(bold)
    same_run = [(path, name) for path, name in named if run_entities(path) == run]
    grid = [(path, name) for path, name in same_run if all(name.get(key) == own.get(key) for key in ("space", "res"))]
    masks = [path for path, name in grid if name.get("suffix") == "mask" and name.get("desc") == "brain"]
    tables = [path for path, name in same_run if name.get("desc") == "confounds" and name.get("ext") == ".tsv"]
    tissue = [
        path
        for path, name in named
        if name.get("suffix") == "probseg" and name.get("label") == "CSF" and name.get("space") == own.get("space")
    ]
    if not masks:
        raise missing_file(bold, role="brain mask on its own grid (desc-brain_mask)")
    if not tables:
        raise missing_file(bold, role="confounds table (desc-confounds_timeseries.tsv)")
    return RunFiles(bold=bold, mask=masks[0], confounds=tables[0], csf=next(iter(tissue), None))


def read_scan(
    files: RunFiles,
    *,
    regions: Mapping[tuple[str, ...], Region],
    settings: Mapping[str, Any],
    n_runs: int = 1,
) -> Scan:
    """Return a run: masked series, confounds, censoring, nuisance model, region means and coverage.

    Parameters
    ----------
    files
        From :func:`group_runs`.
    regions
        From :func:`lbpneuro.io.regions.read_regions`; the midline regions of ``ROIS`` are used.
    settings
        The section ``functional`` of the configuration.
    n_runs
        Number of runs of the session, which share the residual dimension that is asked for.

    Raises
    ------
    InputError
        What :func:`read_series`, :func:`repetition_time` and :func:`lbpneuro.io.confounds.read_confounds` refuse.
    """
    series = read_series(files.bold, files.mask)
    t_r = repetition_time(files.bold, header=series.t_r)
    model = nuisance_model(files, n_time=len(series.bold), t_r=t_r, settings=settings, n_runs=n_runs)
    confounds = model.confounds
    csf = load_probability(files.csf) if files.csf else None
    wanted: dict[tuple[str, ...], Region] = {(roi, "n/a"): regions[roi, "n/a"] for roi in ROIS}
    found = roi_weights(series, regions=wanted, csf=csf, brainstem=BRAINSTEM)
    inside = found.weights.toarray()
    means, coverage = region_means(series.bold, weights=inside, whole=found.whole)
    run = Run(
        name=files.name,
        resting=files.entities.get("task", "").lower().startswith("rest"),
        t_r=t_r,
        fd_mm=confounds.fd_jenkinson,
        steady=confounds.steady,
        keep=model.keep,
        basis=model.basis,
        reduced=model.strategy != settings["confounds"],
        means=means,
        coverage=coverage,
        voxels=tuple(series.bold[:, _core(row)] for row in inside),
    )
    return Scan(
        files=files,
        run=run,
        series=series,
        confounds=confounds,
        weights=volume_weights(found, mask=series.mask),
        csf_excluded=bool(found.csf_excluded[: len(BRAINSTEM)].all()),
        strategy=model.strategy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NuisanceModel:
    """What is taken out of a run: its confounds, the volumes that are kept, and the basis of what is left."""

    strategy: str
    confounds: Confounds
    keep: NDArray[np.bool_]
    basis: NDArray[np.float64] | None


def nuisance_model(
    files: RunFiles, *, n_time: int, t_r: float, settings: Mapping[str, Any], n_runs: int
) -> NuisanceModel:
    """Return the model of the strategy in the settings, or of the fall-back where that leaves too few dimensions.

    Too few is less than this run's share of ``dof_min``. Without a fall-back the first model is returned as it is.
    """
    table = read_table(files.confounds, n_time=n_time)
    for strategy in filter(None, (settings["confounds"], settings["confounds_fallback"])):
        confounds = select_confounds(table, files.confounds, strategy=strategy)
        keep = kept_volumes(confounds.fd_jenkinson, steady=confounds.steady, threshold_mm=settings["fd_spike_mm"])
        basis = _basis(files, confounds, keep=keep, t_r=t_r, settings=settings)
        model = NuisanceModel(strategy=strategy, confounds=confounds, keep=keep, basis=basis)
        if basis is not None and basis.shape[1] >= settings["dof_min"] / n_runs:
            break
    return model


def _basis(
    files: RunFiles, confounds: Confounds, *, keep: NDArray[np.bool_], t_r: float, settings: Mapping[str, Any]
) -> NDArray[np.float64] | None:
    """Return what the nuisance model leaves, None (and a line in the log) if that is too little."""
    try:
        return residual_basis(
            confounds.regressors,
            t_r=t_r,
            band_hz=tuple(settings["band_hz"]),
            polynomial=settings["polynomial"],
            keep=keep,
        )
    except QualityError as error:
        log.warning("%s: %s", files.bold, error)
        return None


def _core(weights: Weights) -> NDArray[np.bool_]:
    """Return the voxels at least half inside a region; on a grid too coarse for that, all it touches."""
    core = weights >= 0.5
    return core if core.any() else weights > 0


def run_facts(scan: Scan) -> dict[str, Any]:
    """Return what the sidecar of the rows says of a run."""
    run = scan.run
    return {
        "Bold": scan.files.bold.name,
        "RepetitionTime": run.t_r,
        "Volumes": len(run.keep),
        "VolumesBeforeSteadyState": int((~run.steady).sum()),
        "VolumesKept": int(run.keep.sum()),
        "ConfoundStrategy": scan.strategy,
        "Confounds": list(scan.confounds.names),
        "ResidualDimension": 0 if run.basis is None else run.basis.shape[1],
        "CSFExcluded": scan.csf_excluded,
    }


def method_text(scans: Sequence[Scan], settings: Mapping[str, Any]) -> str:
    """Return in a sentence how the values of a session were made."""
    low, high = settings["band_hz"]
    strategies = " or ".join(dict.fromkeys(CONFOUNDS_WORDS[scan.strategy] for scan in scans))
    csf = "left out" if all(scan.csf_excluded for scan in scans) else "not left out"
    return (
        f"Correlation of unsmoothed region means; {strategies}, drift, frequencies outside {low:g}-{high:g} Hz and "
        f"censored volumes are removed in one regression; voxels of the PAG with cerebrospinal fluid are {csf}"
    )
