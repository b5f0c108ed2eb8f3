"""Runs that consist of nodes alone, atlases made by hand, and a study of connectivity matrices on disk."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lbpneuro.io.atlases import Atlas, NodeSeries
from lbpneuro.io.files import write_json, write_text
from lbpneuro.io.relmats import write_relmats
from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.markers.bold import Nuisance, Run
from tests.oracles.functional import SETTINGS

BAND, T_R = (0.01, 0.08), 2.0
NODE_SETTINGS = {**SETTINGS, "signal_min": 0.5}


def node_run(nodes: np.ndarray, *, models: dict[str, Nuisance], fd: float = 0.1, **changes: Any) -> Run:
    """A run without regions; ``changes`` are fields of it."""
    n_time = len(nodes)
    fd_mm = np.full(n_time, float(fd))
    fd_mm[0] = np.nan
    keep = np.ones(n_time, dtype=bool)
    known = {"name": "task-rest", "resting": True, "t_r": T_R, "fd_mm": fd_mm, "steady": keep, "keep": keep}
    known |= {"models": models, "regions": (), "means": np.empty((n_time, 0)), "nodes": nodes, **changes}
    # what belongs to regions: there are none
    others = {each.name: np.empty(0) for each in fields(Run) if each.default is MISSING and each.name not in known}
    return Run(**known, **others)


def nuisance(confounds: np.ndarray, *, strategy: str) -> Nuisance:
    """The model that takes out some confounds, nothing censored."""
    keep = np.ones(len(confounds), dtype=bool)
    return Nuisance(strategy=strategy, basis=residual_basis(confounds, t_r=T_R, band_hz=BAND, polynomial=1, keep=keep))


def ball(n_node: int, rng: np.random.Generator) -> Atlas:
    """An atlas of spheres anywhere in a box the size of a brain."""
    return Atlas(
        name="Ball",
        space="MNI152",
        source="none",
        names=tuple(f"node_{place}" for place in range(n_node)),
        networks=("unassigned",) * n_node,
        hemis=("n/a",) * n_node,
        coords_mm=rng.uniform(-60, 60, (n_node, 3)),
        radius_mm=np.full(n_node, 4.0),
    )


def write_person(root: Path, run: Run, nodes: NodeSeries, *, who: str, session: str = "", run_label: str = "") -> Path:
    """Write the matrices of a run and the rows whose sidecar lists them; the path of the rows."""
    folder = root / who / session / "func"
    prefix = "_".join(filter(None, [who, session]))
    written: list[Path] = []

    def path_of(_datatype: str, suffix: str, extension: str, **names: str) -> Path:
        parts = [f"{key}-{value}" for key, value in names.items()]
        written.append(folder / ("_".join([prefix, *parts, suffix]) + extension))
        return written[-1]

    names = {"task": "rest", **({"run": run_label} if run_label else {}), "space": "MNI152NLin2009cAsym"}
    confounds = {model: ["trans_x"] * 3 for model in run.models}
    write_relmats(run, [nodes], settings=NODE_SETTINGS, path_of=path_of, names=names, confounds=confounds)
    rows = folder / f"{prefix}_desc-functional_markers.tsv"
    before = written if not rows.exists() else [*written, *folder.glob("*_relmat.*")]
    write_json(rows.with_suffix(".json"), {"Outputs": sorted({path.relative_to(root).as_posix() for path in before})})
    write_text(rows, "participant_id\n")
    return rows


def write_labels(path: Path, data: np.ndarray, *, voxel_mm: float = 4.0) -> Path:
    """Write an image whose first voxel lies at (-40, -40, -40) mm."""
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -40
    nib.save(nib.Nifti1Image(data, affine), path)
    return path
