"""A preprocessed BOLD run, read into what the markers need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.atlases import SEITZMAN, Atlas, NodeSeries, node_series, node_weights
from lbpneuro.io.confounds import Confounds, find_strategy, read_table, select_confounds
from lbpneuro.io.files import read_json
from lbpneuro.io.images import load_probability
from lbpneuro.io.nuisance_models import NuisanceModels, nuisance_models
from lbpneuro.io.placement import brainstem_extra, place_regions, way_to_space
from lbpneuro.io.region_grid import GridRegions
from lbpneuro.io.region_series import RegionSeries, gray_mean, region_series
from lbpneuro.io.regions import Region
from lbpneuro.io.run_files import MNI, NATIVE, RunFiles
from lbpneuro.io.series import Series, multiband_factor, other_excitation, read_series, repetition_time
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.nuisance import project_each
from lbpneuro.markers.bold import MODELS, WIDE, Run

MPFC = ("mpfc", "n/a")

Array = NDArray[np.float64]


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
    facts: Mapping[str, Any]
    projected: Mapping[str, NDArray[np.floating]]

    def without_voxels(self) -> Scan:
        """Return the scan without what there is of every voxel, so that the next run finds the memory free."""
        return replace(self, series=_small(self.series, keep_volumes=False), projected={})


def _small(series: Series, *, keep_volumes: bool) -> Series:
    """Return a series without its matrix, and without its volumes too unless they are kept."""
    none = np.empty((0, 0), dtype=np.float32)
    bare = replace(series, bold=none)
    return bare if keep_volumes else replace(bare, mask=np.empty(0, dtype=bool), mean=none)


def read_scan(
    files: RunFiles,
    *,
    regions: Mapping[tuple[str, ...], Region],
    atlases: Sequence[Atlas],
    settings: Mapping[str, Any],
    map_models: Sequence[str] = (),
    n_runs: int = 1,
    known: Mapping[tuple[str, ...], Region] | None = None,
) -> Scan:
    """Return a run: confounds, censoring, nuisance models, region and node series, projected voxels.

    Parameters
    ----------
    files
        From :func:`lbpneuro.io.run_files.group_runs`.
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
    known
        All regions of the table, for the overlap of the brainstem; by default ``regions``.

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
    placed = place_regions(files, series, regions=regions, settings=settings)
    found = placed.found
    extra = brainstem_extra(files, series, placed, t_r=t_r, known=known or regions, settings=settings)
    models = nuisance_models(table, confounds, t_r=t_r, settings=settings, n_runs=n_runs, extra=extra.regressors)
    nodes = tuple(_node_series(files, series, atlas, settings=settings) for atlas in atlases)
    reference = gray_mean(series, load_probability(files.gray)) if files.gray else None
    measured = region_series(series, found, keep=models.keep, reference=reference)
    run = replace(
        _as_acquired(_run(files, confounds, models, t_r=t_r, measured=measured, found=found), files),
        brainstem_dice=extra.brainstem_dice,
        own_aqueduct=placed.own_aqueduct,
        other_template=placed.other_template,
        voxel_mm3=float(abs(np.linalg.det(series.affine[:3, :3]))),
    )
    return Scan(
        files=files,
        run=_with_nodes(run, nodes, series, found, transform=files.transform),
        projected=_projected(run, series.bold, map_models),
        series=_small(series, keep_volumes=True),
        confounds=confounds,
        found=found,
        nodes=nodes,
        regressors=models.regressors,
        facts={
            **placed.facts,
            **extra.facts,
            "MultibandAccelerationFactor": run.multiband,
            "SignalReference": "mean of the gray matter" if reference is not None else "median of the brain",
        },
    )


def _node_series(files: RunFiles, series: Series, atlas: Atlas, *, settings: Mapping[str, Any]) -> NodeSeries:
    """Return the series of the nodes of an atlas, through a transform where the run is not in the space of the atlas.

    Nodes that are said to lie in "MNI152", no more, are taken as they stand in every such template.
    """
    space, transform = files.space, None
    if space == NATIVE or atlas.space == MNI:
        way, apart = way_to_space(files, MNI, settings)
        space, transform = (space, None) if apart else (MNI, way)
    least = settings["coverage_min"]
    return node_series(atlas, series, space=space, coverage_min=least, transform=transform)


def _projected(run: Run, bold: NDArray[Any], models: Sequence[str]) -> dict[str, NDArray[np.floating]]:
    """Return the coordinates of all voxels under some models, in one pass over the matrix; equal ones are shared.

    Where ``bold`` is of their type they take the place of its first rows, and it is spent: nothing else is as large.
    """
    bases = {model: basis for model in models if (basis := run.basis(model)) is not None}
    distinct = {id(basis): basis for basis in bases.values()}
    if not distinct:
        return {}
    n_rows = sum(basis.shape[1] for basis in distinct.values())
    room = bold[:n_rows] if bold.dtype == np.float32 and n_rows <= len(bold) else None
    found = dict(zip(distinct, project_each(list(distinct.values()), bold, keep=run.keep, out=room), strict=True))
    return {model: found[id(basis)] for model, basis in bases.items()}


def _as_acquired(run: Run, files: RunFiles) -> Run:
    """Return the run with what sidecars tell of the scanner, its own before those of its raw images."""
    own = read_metadata(files.bold)
    raw = {key: value for path in reversed(files.acquired) for key, value in read_json(path).items()}
    doubtful = other_excitation(own, run.t_r) is not None
    return replace(run, doubtful_timing=doubtful, multiband=multiband_factor({**raw, **own}))


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


def _with_nodes(
    run: Run, nodes: Sequence[NodeSeries], series: Series, found: GridRegions, *, transform: Path | None
) -> Run:
    """Return a run with the series of the Seitzman nodes, and which of them share no voxel with the mPFC."""
    for each in nodes:
        if each.atlas.name == SEITZMAN:
            weights, _ = node_weights(each.atlas, affine=series.affine, mask=series.mask, transform=transform)
            mpfc = np.zeros(weights.shape[1], dtype=np.float32)
            for row in [row for row, name in enumerate(found.names) if name == MPFC]:
                mpfc += found.weights[[row]].toarray()[0]
            networks = each.atlas.networks
            return replace(run, nodes=each.means, node_networks=networks, beyond_mpfc=np.asarray(weights @ mpfc == 0))
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
        **scan.facts,
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


def method_texts(scans: Sequence[Scan], settings: Mapping[str, Any]) -> dict[str | None, str]:
    """Return in a sentence how the values of a session were made, by nuisance model; None: without one."""
    low, high = settings["band_hz"]
    band = f"frequencies outside {low:g}-{high:g} Hz"
    wide = f"frequencies below {settings['slow5']['high_pass_hz']:g} Hz"
    texts: dict[str | None, str] = {None: "Preprocessed runs before any cleaning"}
    for model in (*MODELS, WIDE):
        removed = _words(scans, model, settings) + (_local_words(scans) if model.startswith("brainstem") else "")
        texts[model] = (
            f"Unsmoothed region means; {removed}, drift, {wide if model == WIDE else band} and censored volumes are "
            f"removed in one regression{_csf_words(scans) if model.startswith('brainstem') else ''}"
        )
    return texts


def _csf_words(scans: Sequence[Scan]) -> str:
    taken = all(csf_excluded(scan) for scan in scans)
    return f"; voxels of the PAG with cerebrospinal fluid are {'left out' if taken else 'not left out'}"


def _local_words(scans: Sequence[Scan]) -> str:
    """Return what else the brainstem models take out, in words."""
    names = {name for scan in scans for name in scan.regressors["brainstem"]}
    local = [("csf_local", "the CSF around the brainstem"), ("pons", "the pons")]
    found = [words for name, words in local if name in names]
    if any(name.endswith(("1_cos", "1_sin")) for name in names):
        found.append("RETROICOR")
    return "".join(f", {words}" for words in found)


def _words(scans: Sequence[Scan], model: str, settings: Mapping[str, Any]) -> str:
    """Return what a model takes out, in words."""
    strategies = dict.fromkeys(scan.run.models[model].strategy for scan in scans)
    return " or ".join(find_strategy(strategy, settings["confounds_custom"]).words for strategy in strategies)
