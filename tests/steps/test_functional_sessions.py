"""Two sessions of one person, from preprocessed runs over connectivity to the thalamocortical states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.dynamics import read_dynamic_run, series_files
from lbpneuro.steps import dynamic, functional
from tests.oracles.functional import SETTINGS, SHAPE, confounds_table, write_run

# three regions of the small image
NODES = ["vpl_L", "vmpfc", "pag"]


def settings_of(folder: Path) -> dict:
    config = resolve(read_config(overrides={"functional": {**SETTINGS, "edges": {}}, "dynamic": {"kept_s": 240}}))
    config["functional"]["rois"] = str(resolve(read_config())["functional"]["rois"])
    config["dynamic"] = {**config["dynamic"], "nodes": NODES, "edges": "all"}
    config["dataset"] |= {
        "bids_dir": str(folder / "raw"),
        "out_dir": str(folder / "out"),
        "derivatives": {"fmriprep": str(folder / "fmriprep")},
    }
    return config


def test_two_sessions_of_one_person(tmp_path, rng):
    config = settings_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = {}
    for session in ("ses-1", "ses-2"):
        bold = (1000 + 8 * rng.standard_normal((*SHAPE, 220))).astype(np.float32)
        table = confounds_table(rng, n_time=220)
        stem = f"sub-01_{session}_task-rest"
        mask = np.ones(SHAPE, dtype=bool)
        files = write_run(tmp_path / "fmriprep", bold=bold, mask=mask, table=table, t_r=2.0, stem=stem)
        rows = tmp_path / "out" / "sub-01" / session / "func" / f"sub-01_{session}_desc-functional_markers.tsv"
        options = ["--config", str(tmp_path / "config.json"), "--participant", "sub-01", "--session", session]
        assert functional.main(["--in", *map(str, files), "--out", str(rows), *options]) == 0
        found[session] = rows
        table = pd.read_csv(rows, sep="\t", na_values=["n/a"], keep_default_na=False)
        assert set(table.session_id) == {session}
        (series,) = series_files(rows, root=tmp_path / "out")
        assert series.parent == rows.parent
        assert series.name == f"sub-01_{session}_task-rest_desc-dynamic_timeseries.tsv"
        assert read_dynamic_run(series, nodes=NODES).series.shape == (220, 3)
    states = tmp_path / "out" / "desc-dynamic_states.tsv"
    states.write_text("node_1\tnode_2\n")
    states.with_suffix(".json").write_text(json.dumps({"Error": {"reason": "no_states", "message": "nobody"}}))
    out = found["ses-2"].with_name("sub-01_ses-2_desc-dynamic_markers.tsv")
    options = ["--config", str(tmp_path / "config.json"), "--participant", "sub-01", "--session", "ses-2"]
    assert dynamic.main(["--in", str(found["ses-2"]), str(states), "--out", str(out), *options]) == 0
    table = pd.read_csv(out, sep="\t", na_values=["n/a"], keep_default_na=False, dtype={"state": str})
    assert set(table.session_id) == {"ses-2"}
    assert set(table.source) == {"fmriprep"}
    assert (table.reason.notna() | table.value.notna()).all()
