"""The steps of the thalamocortical states, from the series of a small study to rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.steps import dynamic, dynamic_states
from tests.oracles.dynamic import bold_run, config, state_series, write_rows

DWELL_S = (180.0, 120.0)
N_TIME = 300


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Six people whose states are known: (folder, rows of connectivity, states by person)."""
    root, rng = tmp_path_factory.mktemp("dynamic"), np.random.default_rng(3)
    states = [state_series(rng, n_time=N_TIME, dwell_s=DWELL_S) for _ in range(6)]
    rows = [
        write_rows(root / "out", f"sub-{number:02d}", bold_run(rng, each))
        for number, each in enumerate(states, start=1)
    ]
    rows.append(write_rows(root / "out", "sub-07", error={"reason": "invalid_input", "message": "truncated"}))
    (root / "config.json").write_text(json.dumps(config(root)))
    reference = root / "out" / "desc-dynamic_states.tsv"
    options = ["--out", str(reference), "--config", str(root / "config.json")]
    assert dynamic_states.main(["--in", *map(str, rows), *options]) == 0
    return root, rows, states


def run_step(root, files, *, participant, **settings):
    """Run the step; return its rows by marker and state, and the sidecar."""
    path = root / f"config_{participant}.json"
    path.write_text(json.dumps(config(root, **settings)))
    out = root / "out" / participant / "func" / f"{participant}_desc-dynamic_markers.tsv"
    options = ["--out", str(out), "--config", str(path), "--participant", participant]
    assert dynamic.main(["--in", *map(str, files), *options]) == 0
    table = pd.read_csv(out, sep="\t", na_values=["n/a"], keep_default_na=False, dtype={"state": str})
    return table.set_index(["marker", "state"]), json.loads(out.with_suffix(".json").read_text())


def test_occupancy_is_recovered_from_the_files_of_a_study(study):
    root, rows, states = study
    found = []
    for number, each in enumerate(rows[:6], start=1):
        table, sidecar = run_step(root, [each, root / "out/desc-dynamic_states.tsv"], participant=f"sub-{number:02d}")
        row = table.loc["state_occupancy", "2"]
        assert row["source"] == "fmriprep"
        assert row["status"] == "flag"
        assert "few_for_states" in row["reason"]
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        found.append(row["value"])
    truth = [each[15:-15].mean() for each in states]
    assert np.abs(np.subtract(found, truth)).mean() < 0.1
    assert sidecar["StatesLearnedFrom"] == 6
    assert sidecar["Outputs"] == ["sub-06/func/sub-06_desc-states_timeseries.tsv"]
    assert "bids::desc-dynamic_states.tsv" in sidecar["Sources"]


def test_the_failure_of_the_connectivity_step_is_the_reason(study):
    root, rows, _ = study
    table, sidecar = run_step(root, [rows[6], root / "out/desc-dynamic_states.tsv"], participant="sub-07")
    assert set(table["reason"]) == {"invalid_input"}
    assert sidecar["Error"]["message"] == "truncated"


def test_without_a_scan_the_family_is_missing(study):
    table, _ = run_step(study[0], [], participant="sub-08")
    assert set(table["status"]) == {"missing"}
    assert set(table["reason"]) == {"not_acquired"}


def test_states_of_another_definition_are_the_reason(study):
    root, rows, _ = study
    files = [rows[0], root / "out/desc-dynamic_states.tsv"]
    table, sidecar = run_step(root, files, participant="sub-01", window_s=90)
    assert set(table["reason"]) == {"invalid_input"}
    assert "dynamic.window_s" in sidecar["Error"]["message"]


def test_draft_preprocessing_is_passed_on(study, tmp_path):
    root, rows, _ = study
    draft = tmp_path / rows[0].name
    draft.write_text("marker\treason\npag_vmpfc_z\tdraft_processing\n")
    draft.with_suffix(".json").write_text(rows[0].with_suffix(".json").read_text())
    table, _ = run_step(root, [draft, root / "out/desc-dynamic_states.tsv"], participant="sub-01")
    assert "draft_processing" in table.loc["state_occupancy", "1"]["reason"]
