"""A preprocessed BOLD run and its companions, told apart by their BIDS names and read into what the markers need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import SEITZMAN, Atlas, NodeSeries, node_series, node_weights
from lbpneuro.io.confounds import Confounds, find_strategy, read_table, select_confounds
from lbpneuro.io.images import load_probability
from lbpneuro.io.index import entities
from lbpneuro.io.nuisance_models import NuisanceModels, nuisance_models
from lbpneuro.io.region_grid import GridRegions, roi_weights
from lbpneuro.io.region_series import RegionSeries, region_series
from lbpneuro.io.regions import Region
from lbpneuro.io.series import Series, missing_file, read_series, repetition_time
from lbpneuro.kernels.nuisance import project_each
from lbpneuro.markers.bold import BRAINSTEM, MODELS, Run

NOT_OF_THE_RUN = ("sub", "ses", "space", "res", "den", "desc", "label", "datatype", "suffix", "ext")

MPFC = ("mpfc", "n/a")
Array = NDArray[np.float64]


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
class Extra:
    """What else is known of the brainstem of a run.

    ``regressors`` of the brainstem models by name, each (n_time,) or (n_time, k); ``facts`` for the sidecar;
    ``brainstem_dice`` as in :class:`lbpneuro.markers.bold.Run`.
    """

    regressors: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    brainstem_dice: float = float("nan")


Controls = Callable[[RunFiles, Series, float], Extra]
"""From the files of a run, its series and its repetition time (s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that is known of a run after its one read: what the markers take, and what is drawn.

    ``found`` are the regions as they were used, ``nodes`` the series of each atlas, ``regressors`` the names of the
    confounds by model, ``projected`` (d, n_voxel) the coordinates of the cleaned series of every voxel by model. The
    series themselves are no longer held.
    """

    files: RunFiles
    run: Run
    series: Series
    confounds: Confounds
    found: GridRegions
    nodes: tuple[NodeSeries, ...]
    regressors: Mapping[str, tuple[str, ...]]
    extra: Extra
    projected: Mapping[str, NDArray[np.floating]]

    def without_voxels(self) -> Scan:
        """Return the scan without what there is of every voxel, so that the next run finds the memory free."""
        return replace(self, series=_small(self.series, keep_volumes=False), projected={})


def _small(series: Series, *, keep_volumes: bool) -> Series:
    """Return a series without its matrix, and without its volumes too unless they are kept."""
    none = np.empty((0, 0), dtype=np.float32)
    bare = replace(series, bold=none)
    return bare if keep_volumes else replace(bare, mask=np.empty(0, dtype=bool), mean=none)


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
    atlases: Sequence[Atlas],
    settings: Mapping[str, Any],
    map_models: Sequence[str] = (),
    n_runs: int = 1,
    controls: Controls | None = None,
) -> Scan:
    """Return a run: confounds, censoring, nuisance models, region and node series, projected voxels.

    Parameters
    ----------
    files
        From :func:`group_runs`.
    regions
        The regions to measure, by (roi, hemi), from :func:`lbpneuro.io.regions.read_regions`.
    atlases
        From :func:`lbpneuro.io.atlases.read_atlases`, the nodes of Seitzman among them.
    settings
        The section ``functional`` of the configuration.
    map_models
        The nuisance models on which the voxels are projected.
    n_runs
        Number of runs of the session, which share the residual dimension that is asked for.
    controls
        Gives the further regressors of the brainstem models.

    Raises
    ------
    InputError
        What :func:`read_series`, :func:`repetition_time` and :func:`lbpneuro.io.confounds.read_confounds` refuse.
    """
    series = read_series(files.bold, files.mask)
    t_r = repetition_time(files.bold, header=series.t_r)
    table = read_table(files.confounds, n_time=len(series.bold))
    strategy = find_strategy(settings["confounds"]["cortical"], settings["confounds_custom"])
    confounds = select_confounds(table, files.confounds, strategy=strategy)
    extra = controls(files, series, t_r) if controls else Extra()
    models = nuisance_models(table, confounds, t_r=t_r, settings=settings, n_runs=n_runs, extra=extra.regressors)
    csf = load_probability(files.csf) if files.csf else None
    found = roi_weights(series, regions=regions, csf=csf, brainstem=BRAINSTEM)
    space = entities(files.bold).get("space")
    nodes = tuple(node_series(atlas, series, space=space, coverage_min=settings["coverage_min"]) for atlas in atlases)
    run = _run(files, confounds, models, t_r=t_r, measured=region_series(series, found, keep=models.keep), found=found)
    run = replace(run, brainstem_dice=extra.brainstem_dice)
    return Scan(
        files=files,
        run=_with_nodes(run, nodes, series, found),
        projected=_projected(run, series.bold, map_models),
        series=_small(series, keep_volumes=True),
        confounds=confounds,
        found=found,
        nodes=nodes,
        regressors=models.regressors,
        extra=extra,
    )


def _projected(run: Run, bold: NDArray[np.float32], models: Sequence[str]) -> dict[str, NDArray[np.floating]]:
    """Return the coordinates of all voxels under some models, in one pass over the matrix; equal ones are shared."""
    bases = {model: basis for model in models if (basis := run.basis(model)) is not None}
    distinct = {id(basis): basis for basis in bases.values()}
    if not distinct:
        return {}
    found = dict(zip(distinct, project_each(list(distinct.values()), bold, keep=run.keep), strict=True))
    return {model: found[id(basis)] for model, basis in bases.items()}


def _run(
    files: RunFiles,
    confounds: Confounds,
    models: NuisanceModels,
    *,
    t_r: float,
    measured: RegionSeries,
    found: GridRegions,
) -> Run:
    """Return what the markers need of a run, its nodes excepted."""
    n_time = len(models.keep)
    return Run(
        name=files.name,
        resting=files.entities.get("task", "").lower().startswith("rest"),
        t_r=t_r,
        fd_mm=confounds.fd_jenkinson,
        std_dvars=confounds.std_dvars,
        steady=confounds.steady,
        keep=models.keep,
        models=models.models,
        regions=tuple((str(roi), str(hemi)) for roi, hemi in found.names),
        means=measured.means,
        size=measured.size,
        coverage=measured.coverage,
        signal=measured.signal,
        tsnr=measured.tsnr,
        tsnr_se=measured.tsnr_se,
        n_voxels=measured.n_voxels,
        nodes=np.empty((n_time, 0)),
        beyond_mpfc=np.empty(0, dtype=bool),
    )


def _with_nodes(run: Run, nodes: Sequence[NodeSeries], series: Series, found: GridRegions) -> Run:
    """Return a run with the series of the Seitzman nodes, and which of them share no voxel with the mPFC."""
    for each in nodes:
        if each.atlas.name == SEITZMAN:
            weights, _ = node_weights(each.atlas, affine=series.affine, mask=series.mask)
            mpfc = np.zeros(weights.shape[1], dtype=np.float32)
            for row in [row for row, name in enumerate(found.names) if name == MPFC]:
                mpfc += found.weights[[row]].toarray()[0]
            return replace(run, nodes=each.means, beyond_mpfc=np.asarray(weights @ mpfc == 0))
    return run


def run_facts(scan: Scan) -> dict[str, Any]:
    """Return what the sidecar of the rows says of a run."""
    run = scan.run
    return {
        "Bold": scan.files.bold.name,
        "RepetitionTime": run.t_r,
        "Volumes": len(run.keep),
        "VolumesBeforeSteadyState": int((~run.steady).sum()),
        "VolumesKept": int(run.keep.sum()),
        "Models": {model: _model_facts(scan, model) for model in MODELS},
        "CSFExcluded": csf_excluded(scan),
        **scan.extra.facts,
    }


def _model_facts(scan: Scan, model: str) -> dict[str, Any]:
    basis = scan.run.basis(model)
    return {
        "ConfoundStrategy": scan.run.models[model].strategy,
        "Confounds": list(scan.regressors[model]),
        "ResidualDimension": 0 if basis is None else basis.shape[1],
    }


def csf_excluded(scan: Scan) -> bool:
    """Return whether voxels with cerebrospinal fluid were taken out of the PAG."""
    excluded = dict(zip(scan.found.names, scan.found.csf_excluded.tolist(), strict=True))
    return bool(excluded.get(("pag", "n/a"), False))


def method_text(scans: Sequence[Scan], settings: Mapping[str, Any]) -> str:
    """Return in a sentence how the values of a session were made."""
    low, high = settings["band_hz"]
    csf = "left out" if all(csf_excluded(scan) for scan in scans) else "not left out"
    return (
        f"Correlation of unsmoothed region means; {_words(scans, 'cortical', settings)} (connections of the PAG and "
        f"VTA: {_words(scans, 'brainstem', settings)}), drift, frequencies outside {low:g}-{high:g} Hz and "
        f"censored volumes are removed in one regression; voxels of the PAG with cerebrospinal fluid are {csf}"
    )


def _words(scans: Sequence[Scan], model: str, settings: Mapping[str, Any]) -> str:
    """Return what a model takes out, in words."""
    strategies = dict.fromkeys(scan.run.models[model].strategy for scan in scans)
    return " or ".join(find_strategy(strategy, settings["confounds_custom"]).words for strategy in strategies)
