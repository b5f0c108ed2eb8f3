"""A lab that has nothing but amplitudes: one derivative of trial tables, one command, the marker table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.cli import main
from tests.oracles import neurophysiology as oracle

pytestmark = pytest.mark.slow

MUSCLES = ("multifidus_deep", "longissimus")
BLOCKS = {"pre": 1.0, "between": 1.4, "post00": 0.8, "post10": 0.6, "post20": 0.7}


def study(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write the least that the contract asks for, for one participant; return sites and planted maps."""
    rng = np.random.default_rng(4)
    for name, kind in (("raw", {}), ("meps", {"DatasetType": "derivative", "GeneratedBy": [{"Name": "lab"}]})):
        (root / name).mkdir()
        (root / name / "dataset_description.json").write_text(
            json.dumps({"Name": name, "BIDSVersion": "1.11.1", **kind})
        )
    (root / "raw" / "participants.tsv").write_text("participant_id\nsub-01\n")
    folder = root / "meps" / "sub-01" / "ses-1" / "nibs"
    folder.mkdir(parents=True)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=6, log_sd=0.4)
    rows = [
        (f"s{site}", x, y, muscle, f"{trials[number, site, trial]:.3f}")
        for site, (x, y) in enumerate(coords)
        for trial in range(6)
        for number, muscle in enumerate(MUSCLES)
    ]
    start = folder / "sub-01_ses-1_task-{}_desc-trials_meps"
    columns = ["site", "x_mm", "y_mm", "target_muscle", "p2p_uV"]
    pd.DataFrame(rows, columns=columns).to_csv(f"{start}.tsv".format("motormap"), sep="\t", index=False)
    rows = [
        (block, "FDI", value) for block, factor in BLOCKS.items() for value in 800 * factor * rng.lognormal(0, 0.4, 32)
    ]
    columns = ["block", "target_muscle", "p2p_uV"]
    pd.DataFrame(rows, columns=columns).to_csv(f"{start}.tsv".format("plasticity"), sep="\t", index=False)
    Path(f"{start}.json".format("plasticity")).write_text('{"BoutPolarity": [1, 1]}')
    return coords, means


def test_from_amplitudes_to_markers(tmp_path: Path) -> None:
    coords, means = study(tmp_path)
    given = f"meps={tmp_path / 'meps'}"
    done = main([*map(str, (tmp_path / "raw", tmp_path / "out")), "participant", "-d", given, "--nprocs", "2"])
    assert done == 0
    rows = pd.read_csv(tmp_path / "out/sub-01/ses-1/sub-01_ses-1_markers.tsv", sep="\t", na_values="n/a")
    assert set(rows["session_id"]) == {"ses-1"}
    for number, muscle in enumerate(MUSCLES):
        own = rows[rows["muscle"] == muscle].set_index("marker")["value"]
        planted = oracle.centre_by_loop(means[number], coords, 0.25)
        assert [own["cog_x"], own["cog_y"]] == pytest.approx(planted, abs=2.0)
    overlap = rows.set_index("marker").loc["overlap_min"]
    assert overlap["value"] == pytest.approx(oracle.overlap_by_loop(*means, 0.25), abs=0.1)
    assert overlap["ci_low"] < overlap["value"] < overlap["ci_high"]
    index = rows[(rows["marker"] == "hp_index") & (rows["block"] == "post10")].iloc[0]
    assert index["value"] == pytest.approx(-np.log(BLOCKS["post10"]), abs=0.25)
    assert index["ci_low"] < -np.log(BLOCKS["post10"]) < index["ci_high"]
    assert index["n"] == 2 * 32
    assert index["status"] == "ok"
