"""Connectivity matrices of atlases: dense tables with the names of the nodes, and sidecars that say all about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import NodeSeries
from lbpneuro.io.files import read_json, read_tsv, write_json, write_text
from lbpneuro.kernels.correlation import correlation
from lbpneuro.kernels.nuisance import project
from lbpneuro.markers.bold import Nuisance, Run, run_refusals, steady_fd

MODELS = ("cortical", "cortical_alternative")
STAT = "pearsoncorrelation"
# far above what numbers of threads change, and a thousandth of the sampling error
DECIMALS = 4
FD_DECIMALS = 6
PathOf = Callable[..., Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relmat:
    """A connectivity matrix: ``r`` (n_node, n_node), NaN where a node is not covered, and its sidecar."""

    path: Path
    names: tuple[str, ...]
    r: NDArray[np.float64]
    sidecar: Mapping[str, Any]


def write_relmats(
    run: Run,
    nodes: Sequence[NodeSeries],
    *,
    settings: Mapping[str, Any],
    path_of: PathOf,
    names: Mapping[str, str],
    confounds: Mapping[str, Sequence[str]],
) -> None:
    """Write the matrices of every atlas under the cortical confound strategy and its alternative.

    Where both strategies came to be the same, because the run was too short for them, there is one matrix for both.

    Parameters
    ----------
    run
        Its models, kept volumes and displacements are used.
    nodes
        From :func:`lbpneuro.io.atlases.node_series`, one entry per atlas.
    settings
        The section ``functional`` of the settings.
    path_of
        ``path_of(datatype, suffix, extension, **entities)`` returns where a file goes.
    names
        Entities of the files: those of the run, ``space`` and ``res``.
    confounds
        Names of the regressors by model.
    """
    resolution = {key: value for key, value in names.items() if key == "res"}
    names = {key: value for key, value in names.items() if key != "res"}  # the atlas stands before the resolution
    strategies: dict[str, list[str]] = {}
    for model in MODELS:
        if model in run.models and run.basis(model) is not None:
            strategies.setdefault(run.models[model].strategy, []).append(model)
    for each in nodes:
        for strategy, models in strategies.items():
            label = "".join(letter for letter in strategy if letter.isalnum())
            where = {**names, "atlas": each.atlas.name, **resolution, "stat": STAT, "desc": label}
            matrix = node_matrix(run, each, model=models[0])
            _write_matrix(path_of("func", "relmat", ".tsv", **where), matrix, names=each.atlas.names)
            content = _sidecar(run, each, models=models, settings=settings, regressors=confounds.get(models[0], ()))
            write_json(path_of("func", "relmat", ".json", **where), content)


def node_matrix(run: Run, nodes: NodeSeries, *, model: str) -> NDArray[np.float64]:
    """Return the correlations (n_node, n_node) of the cleaned node series, rounded; NaN for a node without series."""
    nuisance: Nuisance = run.models[model]
    if nuisance.basis is None:
        raise ValueError(f"{run.name}: the model {model} leaves too little for a correlation")
    r = np.full((nodes.means.shape[1],) * 2, np.nan)
    known = np.flatnonzero(np.isfinite(nodes.means).all(axis=0))
    r[np.ix_(known, known)] = correlation(project(nuisance.basis, nodes.means[:, known], keep=run.keep))
    return np.round(r, DECIMALS)


def _write_matrix(path: Path, r: NDArray[np.float64], *, names: Sequence[str]) -> None:
    """Write a matrix with fixed decimals, every number looked up in a table of all there are: 20 times faster."""
    texts = _texts()
    steps = 10**DECIMALS
    places = np.where(np.isfinite(r), np.rint(np.nan_to_num(r) * steps) + steps, 2 * steps + 1).astype(np.intp)
    lines = ["\t".join(names), *("\t".join(row) for row in texts[places].tolist())]
    write_text(path, "\n".join(lines) + "\n")


@cache
def _texts() -> NDArray[np.object_]:
    """Return the text of every correlation from -1 to 1, in steps of the last decimal, and of one that is unknown."""
    steps = 10**DECIMALS
    return np.array([*(f"{step / steps:.{DECIMALS}f}" for step in range(-steps, steps + 1)), "n/a"], dtype=object)


def _sidecar(
    run: Run, nodes: NodeSeries, *, models: Sequence[str], settings: Mapping[str, Any], regressors: Sequence[str]
) -> dict[str, Any]:
    """Return what must be known to use a matrix, or to leave it out."""
    nuisance, atlas, fd = run.models[models[0]], nodes.atlas, steady_fd(run)
    dimension = 0 if nuisance.basis is None else nuisance.basis.shape[1]
    return {
        "Description": (
            "Pearson correlation of the mean series of all pairs of nodes after one projection for confounds, drift, "
            "band-pass and censoring. Row i is the node of column i; n/a where a node is not covered."
        ),
        "RelationshipMeasure": "Pearson correlation",
        "Weighted": True,
        "Directed": False,
        "Run": run.name,
        "Models": list(models),
        "ConfoundStrategy": nuisance.strategy,
        "ReducedConfounds": nuisance.reduced,
        "Confounds": list(regressors),
        "BandHz": list(settings["band_hz"]),
        "RepetitionTime": run.t_r,
        "Volumes": len(run.keep),
        "VolumesKept": int(run.keep.sum()),
        "ResidualDimension": dimension,
        "MeanFramewiseDisplacement": round(float(fd.mean()), FD_DECIMALS) if fd.size else None,
        "FramewiseDisplacement": "Jenkinson, mm, over the steady state, censored volumes included",
        "Refused": [str(reason) for reason in run_refusals(run, settings, model=models[0])],
        "CoverageMin": settings["coverage_min"],
        "Atlas": {"Name": atlas.name, "Space": atlas.space, "Source": atlas.source},
        "Nodes": [
            {
                "Name": name,
                "Network": network,
                "Coordinates": None if np.isnan(place).any() else [round(float(mm), 2) for mm in place],
                "Coverage": round(float(share), 4),
            }
            for name, network, place, share in zip(
                atlas.names, atlas.networks, atlas.coords_mm, nodes.coverage, strict=True
            )
        ],
    }


def read_relmat(path: Path) -> Relmat:
    """Return a connectivity matrix with its sidecar.

    Raises
    ------
    InputError
        If the table is not square, not symmetric, or not within -1 to 1, or the sidecar does not list its nodes.
    """
    table = read_tsv(path)
    names = tuple(str(name) for name in table.columns)
    if len(table) and table.index[-1] >= len(names):
        raise InputError(f"{path}: expected as many rows as columns ({len(names)}), found {table.index[-1] + 1}.")
    try:
        # a node that is not covered is a row of n/a, which reading leaves out
        r = table.reindex(range(len(names))).to_numpy(dtype=np.float64, na_value=np.nan)
    except ValueError as error:
        raise InputError(f"{path}: expected correlations or n/a, but {error}; write it again.") from error
    if not np.array_equal(r, r.T, equal_nan=True) or np.any(np.abs(r) > 1):
        raise InputError(f"{path}: expected a symmetric matrix of correlations from -1 to 1; write it again.")
    sidecar = read_json(path.with_suffix(".json"))
    listed = tuple(node.get("Name") for node in sidecar.get("Nodes", []))
    if listed != names:
        differ = next((f": {one}, not {two}" for one, two in zip(listed, names, strict=False) if one != two), "")
        raise InputError(
            f"{path.with_suffix('.json')}: its Nodes must be the {len(names)} columns of {path.name} in their order, "
            f"found {len(listed)} nodes{differ}; write both again."
        )
    return Relmat(path=path, names=names, r=r, sidecar=sidecar)
