"""The step ``qcfc`` from the command line: files in, files out, the same twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.atlases import NodeSeries
from lbpneuro.io.config import read_config
from lbpneuro.io.files import read_json, read_tsv, write_json
from lbpneuro.steps import qcfc
from tests.oracles.nodes import ball, node_run, nuisance, write_person


@pytest.fixture
def study(rng, tmp_path: Path) -> tuple[list[Path], Path]:
    """Rows of twelve people and the settings."""
    atlas, rows = ball(8, rng), []
    for place in range(12):
        means = 100 + rng.standard_normal((160, 8))
        models = {"cortical": nuisance(rng.standard_normal((160, 8)), strategy="36p")}
        run = node_run(means, models=models, fd=rng.uniform(0.05, 0.2))
        nodes = NodeSeries(atlas=atlas, means=means, coverage=np.ones(8))
        rows.append(write_person(tmp_path / "out", run, nodes, who=f"sub-{place:02d}"))
    raw = tmp_path / "raw"
    raw.mkdir()
    listed = "".join(f"sub-{place:02d}\t{'FM'[place % 2]}\n" for place in range(12))
    (raw / "participants.tsv").write_text(f"participant_id\tsex\n{listed}")
    config = read_config(overrides={"dataset": {"bids_dir": str(raw), "out_dir": str(tmp_path / "out")}})
    write_json(tmp_path / "config.json", config)
    return rows, tmp_path / "config.json"


def run(rows: list[Path], config: Path, out: Path) -> Path:
    assert qcfc.main(["--in", *map(str, rows), "--out", str(out), "--config", str(config)]) == 0
    return out


def test_table_edges_and_dictionary(study, tmp_path: Path) -> None:
    rows, config = study
    out = run(rows, config, tmp_path / "qcfc.tsv")
    table, sidecar = read_tsv(out), read_json(out.with_suffix(".json"))
    assert table["covariates"].fillna("-").tolist() == ["-", "sex"]
    assert table["median_abs_r"].between(0, 1).all()
    assert set(table.columns) <= set(sidecar)
    assert sidecar["Analyses"]["Ball, cortical"]["Strategies"] == {"36p": 12}
    edges = pd.read_parquet(tmp_path / "qcfc_edges.parquet")
    assert len(edges) == 2 * 28
    assert list(edges) == list(sidecar["EdgeColumns"])
    again = run(rows[::-1], config, tmp_path / "again" / "qcfc.tsv")
    assert again.read_bytes() == out.read_bytes()
    assert (tmp_path / "again" / "qcfc_edges.parquet").read_bytes() == (tmp_path / "qcfc_edges.parquet").read_bytes()


def test_a_study_too_small_says_so(study, tmp_path: Path) -> None:
    rows, config = study
    table = read_tsv(run(rows[:4], config, tmp_path / "qcfc.tsv"))
    assert table["note"].tolist() == ["fewer than 10 people: no numbers"] * 2
    assert table["median_abs_r"].isna().all()
    assert read_tsv(run([], config, tmp_path / "none.tsv")).empty
    assert pd.read_parquet(tmp_path / "none_edges.parquet").empty
