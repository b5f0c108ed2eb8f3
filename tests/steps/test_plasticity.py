"""Step ``plasticity``: trial tables by block to marker rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.steps import meps, plasticity
from tests.oracles.neurophysiology import write_emg_run

BLOCKS = {"pre": 1000, "between": 1600, "post00": 900, "post10": 600, "post20": 700}


@pytest.fixture
def settings(tmp_path):
    dataset = {"bids_dir": str(tmp_path / "raw"), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset}))))
    return path


def rows_of(table, config, tmp_path):
    out = tmp_path / "out" / "sub-01" / "emg" / "sub-01_desc-plasticity_markers.tsv"
    arguments = ["--in", str(table), "--out", str(out), "--config", str(config), "--participant", "sub-01"]
    assert plasticity.main(arguments) == 0
    return read_tsv(out).set_index(["marker", "block"]), json.loads(out.with_suffix(".json").read_text())


def lab_table(tmp_path, *, sidecar=None, name="sub-01_task-plasticity_meps.tsv", blocks=BLOCKS):
    rng = np.random.default_rng(0)
    rows = [(block, size * np.exp(0.3 * rng.standard_normal())) for block, size in blocks.items() for _ in range(30)]
    path = tmp_path / "raw" / "sub-01" / "emg" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows, columns=["block", "p2p_uv"])
    table.insert(0, "trial", range(len(table)))
    table.to_csv(path, sep="\t", index=False)
    path.with_suffix(".json").write_text(json.dumps({"BoutPolarity": [1, 1]} if sidecar is None else sidecar))
    return path


def test_table_of_a_lab(tmp_path, settings):
    rows, sidecar = rows_of(lab_table(tmp_path), settings, tmp_path)
    sham = rows.index.get_level_values("marker") == "hp_index_sham"
    assert rows.loc[~sham, "value"].notna().all()
    assert set(rows.loc[sham, "reason"]) == {"not_acquired"}
    for block in ("post00", "post10", "post20"):
        expected = -np.log(BLOCKS[block] / BLOCKS["pre"])
        assert rows.loc[("hp_index", block), "value"] == pytest.approx(expected, abs=0.25)
    assert rows.loc[[("hp_valid_priming", np.nan)], "value"].item() == 1
    assert sidecar["BoutPolarity"] == [1, 1]
    assert sidecar["SourceStatus"]["floor_uv"] == "design"


def test_unknown_polarity_is_that_of_the_settings_and_flagged(tmp_path, settings):
    rows, sidecar = rows_of(lab_table(tmp_path, sidecar={}), settings, tmp_path)
    assert rows.loc[("hp_index", "post10"), "reason"] == "protocol_assumed"
    assert rows.loc[("block_log_ratio", "post10"), "status"] == "ok"
    assert sidecar["ProtocolAssumed"] is True
    assert rows["method"].str.endswith("anodal, anodal; 7-3-5 min").all()


def test_wrong_polarity_is_said(tmp_path, settings):
    rows, sidecar = rows_of(lab_table(tmp_path, sidecar={"BoutPolarity": "anodal"}), settings, tmp_path)
    assert set(rows["reason"]) == {"invalid_input"}
    assert "found 'anodal'" in sidecar["Error"]["message"]


def test_other_task_is_not_acquired(tmp_path, settings):
    rows, _ = rows_of(lab_table(tmp_path, name="sub-01_task-motormap_meps.tsv"), settings, tmp_path)
    assert set(rows["status"]) == {"missing"}
    assert set(rows["reason"]) == {"not_acquired"}


def test_missing_baseline(tmp_path, settings):
    blocks = {name: size for name, size in BLOCKS.items() if name != "pre"}
    rows, _ = rows_of(lab_table(tmp_path, blocks=blocks), settings, tmp_path)
    assert set(rows.drop("hp_index_sham", level="marker")["reason"]) == {"no_baseline"}


def test_clipped_block_and_slow_sampling_reach_the_rows(tmp_path, settings):
    facts = {"BoutPolarity": [1, 1], "SamplingFrequency": 1000, "ArtefactTail": {"FDI": 0.51}}
    path = lab_table(tmp_path, sidecar=facts)
    table = pd.read_csv(path, sep="\t")
    clipped = (table["block"] == "post20") & (table["trial"] % 4 == 0)
    table.assign(reject=clipped.astype(int), reject_reason="clipped").to_csv(path, sep="\t", index=False)
    rows, _ = rows_of(path, settings, tmp_path)
    assert rows.loc[("hp_index", "post20"), "reason"] == "clipped"
    assert rows.loc[("hp_index", "post10"), "reason"] == "low_sampling_rate;artefact_tail"


def test_recording_to_rows(tmp_path, settings):
    files = write_emg_run(
        tmp_path / "raw",
        task="plasticity",
        muscles=("FDI",),
        blocks=tuple(BLOCKS),
        trials=10,
        amplitude=lambda muscle, site, block: BLOCKS[block],
        metadata={"BoutPolarity": [1, 1]},
    )
    table = tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-plasticity_desc-trials_meps.tsv"
    assert meps.main(["--in", *map(str, files), "--out", str(table), "--config", str(settings)]) == 0
    rows, sidecar = rows_of(table, settings, tmp_path)
    for block in ("post00", "post10", "post20"):
        expected = -np.log(BLOCKS[block] / BLOCKS["pre"])
        assert rows.loc[("hp_index", block), "value"] == pytest.approx(expected, abs=0.03)
    assert set(rows.drop("hp_index_sham", level="marker")["reason"]) == {"few_trials"}
    names = ("average_emg.tsv", "sweeps_emg.parquet", "blocks_meps.tsv", "course_meps.tsv")
    assert sidecar["Outputs"] == [f"sub-01/emg/sub-01_task-plasticity_desc-{name}" for name in names]
    counts = {"Task": "plasticity", "Muscle": "FDI", "Trials": 50, "Kept": 50, "Rejected": {}}
    assert sidecar["Rejected"] == [counts]


def test_unnamed_blocks_follow_from_the_times(tmp_path, settings):
    path = lab_table(tmp_path, sidecar={"BoutPolarity": ["anodal", "anodal"], "BoutStartMinutes": [3, 13]})
    table = pd.read_csv(path, sep="\t")
    named, _ = rows_of(path, settings, tmp_path)
    starts = {"pre": 0, "between": 10, "post00": 18, "post10": 29, "post20": 38}
    onset = 60 * table["block"].map(starts) + 4.0 * (table["trial"] % 30)
    table.drop(columns="block").assign(onset_s=onset).to_csv(path, sep="\t", index=False)
    rows, sidecar = rows_of(path, settings, tmp_path)
    pd.testing.assert_series_equal(rows["value"], named["value"])
    assert sidecar["BlockLatenessMinutes"] == {"post00": 0.0, "post10": 1.0, "post20": 0.0}


def test_a_sham_session_is_taken_off(tmp_path, settings):
    config = json.loads(settings.read_text())
    config["plasticity"]["sham_session"] = "sham"
    settings.write_text(json.dumps(config))
    flat = dict.fromkeys(BLOCKS, 1000)
    real = lab_table(tmp_path, name="sub-01_ses-real_task-plasticity_meps.tsv")
    sham = lab_table(
        tmp_path, name="sub-01_ses-sham_task-plasticity_meps.tsv", blocks=flat, sidecar={"BoutPolarity": [0, 0]}
    )
    out = tmp_path / "out" / "sub-01" / "ses-real" / "emg" / "sub-01_ses-real_desc-plasticity_markers.tsv"
    who = ["--participant", "sub-01", "--session", "ses-real"]
    arguments = ["--in", str(real), str(sham), "--out", str(out), "--config", str(settings), *who]
    assert plasticity.main(arguments) == 0
    rows = read_tsv(out).set_index(["marker", "block"])
    index, less = (rows.loc[(name, "post10")] for name in ("hp_index", "hp_index_sham"))
    assert index["n"] == 60
    assert less["n"] == 120
    assert less["se"] > index["se"]
    assert less["value"] == pytest.approx(index["value"], abs=3 * less["se"])
