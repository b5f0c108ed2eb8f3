"""Step ``meps``: from a recording to the trial table, and what a recording that cannot be used leaves."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io import meps as io_meps
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.io.meps import COLUMNS
from lbpneuro.simulate.stimulation_files import coil_axes, on_head
from lbpneuro.steps import meps
from tests.oracles.neurophysiology import write_emg_run

SITES = ((-30.0, 10.0), (-40.0, 10.0))


@pytest.fixture
def settings(tmp_path):
    dataset = {"bids_dir": str(tmp_path / "raw"), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset, "tms": {"contraction": "rest"}}))))
    return path


def run(files, settings, out):
    arguments = ["--in", *map(str, files), "--out", str(out), "--config", str(settings), "--participant", "sub-01"]
    assert meps.main(arguments) == 0
    return read_tsv(out), json.loads(out.with_suffix(".json").read_text())


def target(tmp_path, task="motormap"):
    return tmp_path / "out" / "sub-01" / "emg" / f"sub-01_task-{task}_desc-trials_meps.tsv"


def test_planted_amplitudes_come_out(tmp_path, settings):
    planted = {("multifidus_deep", 0): 800, ("multifidus_deep", 1): 200, ("longissimus", 0): 300, ("longissimus", 1): 0}
    files = write_emg_run(
        tmp_path / "raw", sites=SITES, trials=12, amplitude=lambda muscle, site, _: planted[muscle, site]
    )
    table, sidecar = run(files, settings, target(tmp_path))
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 2 * 12 * 2
    assert (table["reject"] == 0).all()
    means = table.groupby(["target_muscle", "site_id"])["p2p_corr_uv"].mean()
    for (muscle, site), size in planted.items():
        assert means[muscle, f"p{site}"] == pytest.approx(size, rel=0.06, abs=12)
    assert set(table["hemisphere"]) == {"L"}
    strong = table[(table["target_muscle"] == "multifidus_deep") & (table["site_id"] == "p0")]
    np.testing.assert_allclose(strong["latency_ms"], 20, atol=1.01)
    assert table.loc[table["p2p_corr_uv"] < 20, "latency_ms"].isna().all()
    assert sidecar["p2p_uv"]["Units"] == "uV"
    assert sidecar["SourceStatus"]["bandpass_hz"] == "unverified"
    assert sidecar["BackgroundCrossCorrelation"][0]["Peak"] < 0.1
    onset, offset = sidecar["ResponseSpan_ms"]["multifidus_deep"]
    assert onset == pytest.approx(20, abs=3)
    assert offset == pytest.approx(28, abs=4)
    assert "Warnings" not in sidecar


def test_mean_waveforms_of_the_best_site(tmp_path, settings):
    files = write_emg_run(tmp_path / "raw", sites=SITES, amplitude=lambda muscle, site, _: 600.0 if site else 100.0)
    run(files, settings, target(tmp_path))
    waves = read_tsv(tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-motormap_desc-average_emg.tsv")
    assert set(waves["muscle"]) == {"multifidus_deep", "longissimus"}
    assert set(waves["n"]) == {6}
    assert (waves["time_ms"].min(), waves["time_ms"].max()) == (-50, 100)
    assert np.ptp(waves.loc[waves["muscle"] == "longissimus", "mean_uv"]) == pytest.approx(600, rel=0.06)


def test_averages_leave_out_rejected_trials(tmp_path, settings):
    files = write_emg_run(tmp_path / "raw", trials=8)
    files[2].write_text(files[2].read_text().replace("\n1.0\t", "\n0.1\t", 1))
    table, sidecar = run(files, settings, target(tmp_path))
    assert table.loc[table["reject"] == 1, "reject_reason"].tolist() == ["incomplete_epoch"] * 2
    waves = read_tsv(tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-motormap_desc-average_emg.tsv")
    assert set(waves["n"]) == {7}
    assert waves["mean_uv"].notna().all()
    assert [entry["N"] for entry in sidecar["AverageLatency"]] == [7, 7]


def test_onset_of_the_average_and_single_sweeps(tmp_path, settings):
    files = write_emg_run(tmp_path / "raw", trials=15, amplitude=lambda muscle, *_: 300.0 if muscle[0] == "m" else 0.0)
    table, sidecar = run(files, settings, target(tmp_path))
    strong, none = sorted(sidecar["AverageLatency"], key=lambda entry: entry["Muscle"], reverse=True)
    assert (strong["Muscle"], strong["Block"], strong["N"]) == ("multifidus_deep", "map", 15)
    assert strong["Low_ms"] <= strong["Latency_ms"] <= strong["High_ms"]
    assert strong["Latency_ms"] == pytest.approx(20, abs=1)
    assert none["Latency_ms"] is None
    assert sidecar["ArtefactTail"] == {"multifidus_deep": 0, "longissimus": 0}
    sweeps = pd.read_parquet(tmp_path / "out" / "sub-01" / "emg" / "sub-01_task-motormap_desc-sweeps_emg.parquet")
    assert sweeps.shape == (301, 31)
    assert np.ptp(sweeps["multifidus_deep:3"]) == pytest.approx(table["p2p_uv"][4], rel=0.1)


def test_pairs_are_read_from_their_first_pulse(tmp_path, settings):
    """The response follows the second pulse, 10 ms after the one that the event marks."""
    files = write_emg_run(tmp_path / "raw", trials=8, amplitude=lambda *_: 400.0)
    rows = files[2].read_text().splitlines()
    cells = [row.split("\t") for row in rows[1:]]
    moved = [[f"{float(onset) - 0.010:.4f}", *rest, "paired", "10", "48"] for onset, *rest in cells]
    events = [f"{rows[0]}\tstim_type\tisi_ms\tconditioning_mso", *("\t".join(row) for row in moved)]
    files[2].write_text("\n".join(events) + "\n")
    table, _ = run(files, settings, target(tmp_path))
    assert set(table["stim_type"]) == {"paired"}
    assert set(table["isi_ms"]) == {10}
    assert set(table["conditioning_mso"]) == {48}
    np.testing.assert_allclose(table["p2p_corr_uv"].mean(), 400, rtol=0.05)
    np.testing.assert_allclose(table["latency_ms"], 20, atol=1.01)


def test_protocol_goes_along(tmp_path, settings):
    files = write_emg_run(
        tmp_path / "raw",
        task="plasticity",
        muscles=("FDI",),
        blocks=("pre", "between"),
        metadata={"BoutPolarity": [-1, -1]},
    )
    table, sidecar = run(files, settings, target(tmp_path, "plasticity"))
    assert sidecar["BoutPolarity"] == [-1, -1]
    assert set(table["block"]) == {"pre", "between"}


def test_low_sampling_rate_is_said(tmp_path, settings):
    files = write_emg_run(tmp_path / "raw", sfreq=1250.0)
    _, sidecar = run(files, settings, target(tmp_path))
    assert "1250 Hz" in sidecar["Warnings"][0]


@pytest.mark.parametrize(
    ("without", "reason", "message"),
    [
        ("_events.tsv", "file_missing", "without events there is no MEP"),
        ("_channels.tsv", "file_missing", "names the mu"),
    ],
)
def test_unusable_recording_leaves_an_empty_table(tmp_path, settings, without, reason, message):
    files = [path for path in write_emg_run(tmp_path / "raw") if not path.name.endswith(without)]
    table, sidecar = run(files, settings, target(tmp_path))
    assert table.empty
    assert list(table.columns) == list(COLUMNS)
    assert sidecar["Error"]["reason"] == reason
    assert message in sidecar["Error"]["message"]


def test_equal_input_gives_equal_bytes(tmp_path, settings):
    files = write_emg_run(tmp_path / "raw", sites=SITES)
    out = target(tmp_path)
    folder = out.parent
    contents = []
    for _ in range(2):
        run(files, settings, out)
        contents.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 5


def test_recording_without_sites_or_without_a_kept_trial(tmp_path, settings):
    """A plasticity run on a hot spot that nobody named: blocks and average waveforms, no averages of sites."""
    files = write_emg_run(tmp_path / "raw", task="plasticity", muscles=("FDI",), blocks=("pre", "between"))
    events = next(path for path in files if path.name.endswith("_events.tsv"))
    table = read_tsv(events, dtype=str).drop(columns="nibs_position_id")
    table.to_csv(events, sep="\t", index=False)
    table, sidecar = run([path for path in files if "nibs" not in path.parts], settings, target(tmp_path, "plasticity"))
    assert table["site_id"].isna().all()
    assert set(table["block"]) == {"pre", "between"}
    assert not any("desc-sites" in name for name in sidecar["Outputs"])


def test_the_same_signal_in_two_sessions_is_noticed(tmp_path, settings):
    """Whatever the header says: here the copy has another recording date. Both files are named."""
    files = write_emg_run(tmp_path / "raw" / "one")
    copies = write_emg_run(tmp_path / "raw" / "two", sites=((-20.0, 5.0),))
    data = bytearray(copies[0].read_bytes())
    data[168:176] = b"01.02.03"
    copies[0].write_bytes(bytes(data))
    other = write_emg_run(tmp_path / "raw" / "three", amplitude=lambda *_: 300.0)
    outs = [tmp_path / "out" / name / "sub-01_task-motormap_desc-trials_meps.tsv" for name in "abc"]
    for given, out in zip((files, copies, other), outs, strict=True):
        run(given, settings, out)
    (names,) = io_meps.same_signals([out.with_suffix(".json") for out in outs])
    assert len(names) == 2
    assert "one" in names[0]
    assert "two" in names[1]
    unit = {"meps": {str(outs[0]): [], str(tmp_path / "none.tsv"): []}}
    assert io_meps.trial_sidecars(unit) == [outs[0].with_suffix(".json")]


def walk_with_axes(tmp_path, *, names=("normal", "direction")):
    """Forty pulses over a round head; the coil was tilted by 30 degrees at pulse 8 and turned by 40 at pulse 21."""
    rng = np.random.default_rng(3)
    grid = np.column_stack([rng.uniform(-50, -10, 40), rng.uniform(-20, 20, 40)])
    files = write_emg_run(tmp_path / "raw", sites=tuple(map(tuple, grid)), trials=1, amplitude=lambda *_: 300.0)
    places = on_head(grid)
    normal, direction = coil_axes(places)
    aside = np.cross(normal, direction)
    normal[7] = np.cos(np.radians(30)) * normal[7] + np.sin(np.radians(30)) * aside[7]
    direction[20] = np.cos(np.radians(40)) * direction[20] + np.sin(np.radians(40)) * aside[20]
    columns = {f"position_{axis}": column for axis, column in zip("xyz", places.T, strict=True)}
    for name, vectors in (("normal", normal), ("direction", direction)):
        if name in names:
            columns |= {f"position_{name}_{axis}": part for axis, part in zip("xyz", vectors.T, strict=True)}
    table = pd.DataFrame({"nibs_position_id": [f"p{number}" for number in range(40)], **columns})
    table.to_csv(files[-1], sep="\t", index=False)
    return files


def test_pulses_with_a_tilted_or_turned_coil_are_left_out(tmp_path, settings):
    table, sidecar = run(walk_with_axes(tmp_path), settings, target(tmp_path))
    faults = table[table["reject"] == 1].groupby("site_id")["reject_reason"].agg(set).to_dict()
    assert faults == {"p7": {"coil_tilted"}, "p20": {"coil_turned"}}
    one = table[table["target_muscle"] == "longissimus"].set_index("site_id")
    assert one.loc["p7", "tilt_deg"] == pytest.approx(30, abs=4)
    assert one.loc["p20", "turn_deg"] == pytest.approx(40, abs=4)
    assert one.drop(index=["p7", "p20"])[["tilt_deg", "turn_deg"]].max().max() < 8
    assert sidecar["CoilOrientation"] == {"Axes": ["normal", "direction"], "coil_tilted": 1, "coil_turned": 1}


def test_axes_that_are_not_given_are_said_so(tmp_path, settings):
    table, sidecar = run(walk_with_axes(tmp_path, names=("normal",)), settings, target(tmp_path))
    assert table.loc[table["reject"] == 1, "site_id"].unique().tolist() == ["p7"]
    assert table["turn_deg"].isna().all()
    assert sidecar["CoilOrientation"]["Axes"] == ["normal"]
    table, sidecar = run(walk_with_axes(tmp_path, names=()), settings, target(tmp_path))
    assert (table["reject"] == 0).all()
    assert sidecar["CoilOrientation"].startswith("not given")
