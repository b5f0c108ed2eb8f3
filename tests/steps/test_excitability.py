"""Step ``excitability``: from simulated recordings to rows, against what was planted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.simulate.excitability import ExcitabilitySettings
from lbpneuro.simulate.excitability_files import write_excitability
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.study import Study
from lbpneuro.steps import excitability, meps

TASKS = ("excitability", "excitabilityactive")


def settings(root):
    dataset = {"bids_dir": str(root / "raw"), "out_dir": str(root / "out"), "work_dir": str(root / "work")}
    path = root / "config.json"
    path.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset}))))
    return path


def run_visit(root, number, *, seed=11):
    """Simulate one person's recordings, measure them and return the rows with the truth beside them."""
    visit = Visit(person(number, seed=seed, effect=1.0), 0, seed)
    truth = pd.DataFrame(write_excitability(Study(root=root, voxel_mm=4.0, excitability=ExcitabilitySettings()), visit))
    config, folder = settings(root), root / "raw" / visit.folder / "emg"
    out = root / "out" / visit.folder / "emg"
    tables = []
    for task in TASKS:
        start = f"{visit.prefix}_task-{task}"
        files = [str(folder / f"{start}_{name}") for name in ("emg.bdf", "channels.tsv", "events.tsv")]
        tables.append(out / f"{start}_desc-trials_meps.tsv")
        assert meps.main(["--in", *files, "--out", str(tables[-1]), "--config", str(config)]) == 0
    rows = out / f"{visit.prefix}_desc-excitability_markers.tsv"
    given = ["--in", *map(str, tables), "--out", str(rows), "--config", str(config)]
    assert excitability.main([*given, "--participant", visit.participant_id]) == 0
    found = read_tsv(rows).merge(truth[["marker", "value"]].rename(columns={"value": "truth"}), on="marker", how="left")
    return found.set_index("marker"), json.loads(rows.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return [run_visit(tmp_path_factory.mktemp("excitability"), number) for number in (1, 2, 3)]


def test_what_was_planted_is_found(people):
    """Every planted value within four standard errors, and most within their intervals."""
    rows = pd.concat([found for found, _ in people])
    planted = rows[rows["truth"].notna()]
    assert len(planted) == 3 * 11
    assert set(planted["status"]) == {"ok", "flag"}
    assert set(planted["reason"].dropna()) == {"few_trials"}
    silent = planted.loc["silent_period"]
    np.testing.assert_allclose(silent["value"], silent["truth"], atol=4)
    planted = planted.drop(index="silent_period")
    assert (np.abs(planted["value"] - planted["truth"]) < 4 * planted["se"]).all()
    inside = (planted["ci_low"] <= planted["truth"]) & (planted["truth"] <= planted["ci_high"])
    assert inside.mean() > 0.85


def test_latencies_and_entered_thresholds(people):
    for found, _ in people:
        assert found.loc["mep_latency", "value"] == pytest.approx(23.0, abs=1.0)
        assert found.loc["mep_latency_average", "value"] == pytest.approx(22.5, abs=1.0)
        assert found.loc["rmt_entered", "value"] == pytest.approx(found.loc["rmt", "truth"], abs=0.51)
        assert found.loc["amt_entered", "value"] == pytest.approx(found.loc["amt", "truth"], abs=0.51)


def test_pairs_are_told_apart(people):
    for _, sidecar in people:
        kinds = {entry["Protocol"]: entry for entry in sidecar["Protocols"]}
        assert set(kinds) == {"sici", "icf", "lici"}
        assert {name: entry["Trials"] for name, entry in kinds.items()} == dict.fromkeys(kinds, 16)
        assert kinds["sici"]["Intervals_ms"] == [2.5]
        assert kinds["lici"]["Conditioning_mso"][0] > kinds["sici"]["Conditioning_mso"][0]
        assert {entry["Task"] for entry in sidecar["Rejected"]} == set(TASKS)
