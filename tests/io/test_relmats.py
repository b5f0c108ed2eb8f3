"""Connectivity matrices on disk: what is written, what is read back, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import NodeSeries
from lbpneuro.io.files import read_json, write_json
from lbpneuro.io.relmats import node_matrix, read_relmat, write_relmats
from lbpneuro.kernels.nuisance import cleaned, project
from lbpneuro.markers.bold import Nuisance
from tests.oracles.nodes import NODE_SETTINGS, ball, node_run, nuisance

N_TIME = 240


@pytest.fixture
def measured(rng):
    """A run with six nodes, of which the third is not covered, under two strategies."""
    means = 500 + rng.standard_normal((N_TIME, 6)) + rng.standard_normal((N_TIME, 1))
    means[:, 2] = np.nan
    models = {
        "cortical": nuisance(rng.standard_normal((N_TIME, 24)), strategy="36p"),
        "cortical_alternative": nuisance(rng.standard_normal((N_TIME, 6)), strategy="acompcor24"),
    }
    coverage = np.array([1, 0.8, 0.3, 1, 1, 1])
    return node_run(means, models=models, fd=0.12), NodeSeries(atlas=ball(6, rng), means=means, coverage=coverage)


def written(folder: Path, run, nodes, *, names=None, **confounds) -> list[Path]:
    paths: list[Path] = []

    def path_of(datatype: str, suffix: str, extension: str, **names: str) -> Path:
        named = "_".join(f"{key}-{value}" for key, value in names.items())
        paths.append(folder / datatype / f"sub-01_{named}_{suffix}{extension}")
        return paths[-1]

    write_relmats(
        run, [nodes], settings=NODE_SETTINGS, path_of=path_of, names=names or {"task": "rest"}, confounds=confounds
    )
    return paths


def test_both_strategies_are_written_and_read_back(tmp_path: Path, measured) -> None:
    run, nodes = measured
    paths = written(tmp_path, run, nodes, cortical=("trans_x", "csf"))
    assert [path.name for path in paths[::2]] == [
        "sub-01_task-rest_atlas-Ball_stat-pearsoncorrelation_desc-36p_relmat.tsv",
        "sub-01_task-rest_atlas-Ball_stat-pearsoncorrelation_desc-acompcor24_relmat.tsv",
    ]
    names = {"task": "rest", "space": "MNI152NLin2009cAsym", "res": "2"}
    assert written(tmp_path, run, nodes, names=names)[0].name == (
        "sub-01_task-rest_space-MNI152NLin2009cAsym_atlas-Ball_res-2_stat-pearsoncorrelation_desc-36p_relmat.tsv"
    )
    first = read_relmat(paths[0])
    assert first.names == nodes.atlas.names
    basis = run.models["cortical"].basis
    series = cleaned(basis, project(basis, nodes.means, keep=run.keep), keep=run.keep)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(first.r[np.ix_(others, others)], np.corrcoef(series[:, others].T), atol=6e-5)
    assert np.isnan(first.r[2]).all()
    assert np.isnan(first.r[:, 2]).all()
    lines = paths[0].read_text().splitlines()
    assert lines[0] == "\t".join(nodes.atlas.names)
    assert [line.split("\t") for line in lines[1:]] == [
        ["n/a" if np.isnan(r) else f"{r:.4f}" for r in row] for row in node_matrix(run, nodes, model="cortical") + 0.0
    ]
    places = [node["Coordinates"] for node in first.sidecar["Nodes"]]
    np.testing.assert_allclose(places, nodes.atlas.coords_mm, atol=0.005)
    sidecar = first.sidecar
    assert sidecar["Models"] == ["cortical"]
    assert sidecar["Confounds"] == ["trans_x", "csf"]
    assert sidecar["MeanFramewiseDisplacement"] == 0.12
    assert sidecar["ResidualDimension"] == run.models["cortical"].basis.shape[1]
    assert (sidecar["Volumes"], sidecar["VolumesKept"], sidecar["Refused"]) == (N_TIME, N_TIME, [])
    assert sidecar["Nodes"][1]["Coverage"] == 0.8


def test_the_same_fall_back_for_both_is_one_matrix(tmp_path: Path, measured) -> None:
    run, nodes = measured
    model = run.models["cortical"]
    same = node_run(nodes.means, models={"cortical": model, "cortical_alternative": model}, fd=0.9)
    paths = written(tmp_path, same, nodes)
    assert len(paths) == 2
    sidecar = read_json(paths[1])
    assert sidecar["Models"] == ["cortical", "cortical_alternative"]
    assert sidecar["Refused"] == ["high_motion"]


def test_a_model_that_leaves_too_little_has_no_matrix(tmp_path: Path, measured) -> None:
    _, nodes = measured
    models = {"cortical": Nuisance(strategy="36p", basis=None)}
    poor = node_run(nodes.means, models=models)
    assert written(tmp_path, poor, nodes) == []
    with pytest.raises(ValueError, match="too little"):
        node_matrix(poor, nodes, model="cortical")


def test_what_is_no_matrix_is_refused(tmp_path: Path, measured) -> None:
    path, sidecar = written(tmp_path, *measured)[:2]
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:4]))
    with pytest.raises(InputError, match="symmetric"):
        read_relmat(path)
    path.write_text(whole + lines[1])
    with pytest.raises(InputError, match="as many rows as columns"):
        read_relmat(path)
    path.write_text(whole.replace("\n1.0000\t", "\n3\t", 1))
    with pytest.raises(InputError, match="from -1 to 1"):
        read_relmat(path)
    path.write_text(whole)
    content = read_json(sidecar)
    write_json(sidecar, {**content, "Nodes": content["Nodes"][::-1]})
    with pytest.raises(InputError, match="Nodes must be the 6 columns"):
        read_relmat(path)
