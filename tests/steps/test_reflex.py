"""Step ``reflex``: from a recording with planted reflexes to rows, and what spoils a trial."""

from __future__ import annotations

import json

import edfio
import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io import reflexes
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.steps import reflex

SFREQ = 2000.0


def write_run(folder, *, spoil=None, hum_uv=0.0):
    """Stimuli of 4 to 18 mA, 10 s apart, a reflex at 105 ms above 10 mA, and three trains of five that grow."""
    rng = np.random.default_rng(2)
    stim = np.tile(np.arange(4.0, 19, 2), 3)
    single = [(10.0 * (k + 1), ma, "n/a", 60.0 * (ma > 10)) for k, ma in enumerate(stim)]
    start = 10.0 * (len(stim) + 1)
    trains = [(start + 10 * t + 0.5 * p, 14.0, str(p + 1), 30.0 + 15 * p) for t in range(3) for p in range(5)]
    rows = single + trains
    signal = 2.0 * rng.standard_normal(int((rows[-1][0] + 3) * SFREQ))
    signal += hum_uv * np.sin(2 * np.pi * 50 * np.arange(signal.size) / SFREQ)
    after = np.arange(int(0.4 * SFREQ)) / SFREQ
    for number, (onset, _, _, size) in enumerate(rows):
        place = slice(round(onset * SFREQ), round(onset * SFREQ) + after.size)
        burst = (after > 0.105) & (after < 0.145)
        if spoil == "early" and number == 7:
            burst |= (after > 0.055) & (after < 0.08)
        if spoil == "late" and number == 7:
            burst = (after > 0.195) & (after < 0.235)
        if spoil == "spike" and number == 0:
            signal[place] += 30 * ((after > 0.110) & (after < 0.1117))
        signal[place] += size * burst * rng.standard_normal(after.size) + 800 * np.exp(-after / 0.003)
        if spoil == "noisy" and number == 6:
            signal[place.start - 400 : place.start] += 60 * rng.standard_normal(400)
    emg = folder / "sub-01" / "emg"
    emg.mkdir(parents=True)
    stem = emg / "sub-01_task-reflex"
    channel = edfio.BdfSignal(signal, SFREQ, label="BF", physical_dimension="uV", physical_range=(-8000.0, 8000.0))
    edfio.Bdf([channel], data_record_duration=1).write(f"{stem}_emg.bdf")
    (emg / "sub-01_task-reflex_emg.json").write_text(json.dumps({"SamplingFrequency": SFREQ, "PowerLineFrequency": 50}))
    (emg / "sub-01_task-reflex_channels.tsv").write_text(
        "name\ttype\tunits\ttarget_muscle\nBF\tEMG\tuV\tbiceps_femoris\n"
    )
    lines = ["onset\tduration\tstim_mA\trating\ttrain_position"]
    lines += [f"{onset}\t0\t{ma}\t{5 * ma}\t{position}" for onset, ma, position, _ in rows]
    (emg / "sub-01_task-reflex_events.tsv").write_text("\n".join(lines) + "\n")
    return [emg / f"sub-01_task-reflex_{name}" for name in ("emg.bdf", "channels.tsv", "events.tsv")]


def run(tmp_path, *, settings=None, **more):
    files = write_run(tmp_path / "raw", **more)
    dataset = {"bids_dir": str(tmp_path / "raw"), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset, "reflex": settings or {}}))))
    out = tmp_path / "out" / "sub-01" / "emg" / "sub-01_desc-reflex_markers.tsv"
    given = ["--in", *map(str, files), "--out", str(out), "--config", str(config), "--participant", "sub-01"]
    assert reflex.main(given) == 0
    trials = read_tsv(out.with_name("sub-01_task-reflex_desc-trials_reflex.tsv"))
    return read_tsv(out).set_index("marker"), trials, json.loads(out.with_suffix(".json").read_text())


def test_planted_reflexes_are_found(tmp_path):
    rows, trials, sidecar = run(tmp_path)
    single = trials[trials["train_position"].isna()]
    assert (single["reflex"] == (single["stim_ma"] > 10)).all()
    assert (trials["reject"] == 0).all()
    assert rows.loc["nfr_threshold", "value"] == pytest.approx(11, abs=0.3)
    assert rows.loc["nfr_magnitude", "value"] > 1
    assert rows.loc["nfr_ts", "ci_low"] > 0
    assert sidecar["SourceStatus"]["ipz_cut"] == "unverified"
    assert sidecar["Rejected"][0]["Kept"] == len(trials)


@pytest.mark.parametrize(
    ("spoil", "number", "reason"), [("early", 7, "early_response"), ("noisy", 6, "noisy_baseline")]
)
def test_spoilt_trials_are_left_out(tmp_path, spoil, number, reason):
    _, trials, sidecar = run(tmp_path, spoil=spoil)
    assert trials.loc[number, "reject_reason"] == reason
    assert trials["reject"].sum() == 1
    assert sidecar["Rejected"][0]["Rejected"] == {reason: 1}


def test_a_response_that_begins_late_is_voluntary(tmp_path):
    """In a window that reaches so far; in the usual one there is no reflex."""
    _, trials, _ = run(tmp_path / "usual", spoil="late")
    assert (trials.loc[7, "reflex"], trials.loc[7, "reject"]) == (0, 0)
    _, trials, _ = run(tmp_path / "long", spoil="late", settings={"window_ms": [90, 250]})
    assert trials.loc[7, "reject_reason"] == "late_response"
    assert trials["reject"].sum() == 1


def test_a_spike_is_no_reflex(tmp_path):
    """It reaches the cut of the interval peak z, and not that of the interval z."""
    _, trials, _ = run(tmp_path, spoil="spike")
    assert trials.loc[0, "ipz"] > 10.3
    assert (trials.loc[0, "reflex"], trials.loc[1, "reflex"]) == (0, 0)


def test_hum_is_subtracted_on_demand(tmp_path):
    """Hum of 12 uV spoils every baseline; without it the values are those of a recording without hum."""
    clean, before, _ = run(tmp_path / "clean")
    _, spoilt, _ = run(tmp_path / "hum", hum_uv=12.0)
    assert (before["reject"] == 0).all()
    assert spoilt["iz"].max() < 0.5 * before["iz"].max()
    found, trials, sidecar = run(tmp_path / "without", hum_uv=12.0, settings={"hum": True})
    assert sidecar["HumSubtracted"] == 50
    assert (trials["reject"] == 0).all()
    assert trials["baseline_sd_uv"].mean() == pytest.approx(before["baseline_sd_uv"].mean(), rel=0.08)
    for marker in ("nfr_threshold", "nfr_magnitude"):
        assert found.loc[marker, "value"] == pytest.approx(clean.loc[marker, "value"], rel=0.05)


def test_epochs_without_baseline_are_refused_with_the_setting(tmp_path):
    files = write_run(tmp_path)
    sidecar = files[0].with_suffix(".json")
    sidecar.write_text(json.dumps({"SamplingFrequency": SFREQ, "RecordingType": "epoched", "EpochLength": 0.25}))
    with pytest.raises(InputError, match=r"begin 0 ms before the pulse, .* from -65 ms; export longer epochs"):
        reflexes.read_responses(files, read_config()["reflex"])
    later = np.arange(-0.05, 0.3, 1 / SFREQ)
    (fault,) = reflexes.window_faults(later, read_config()["reflex"])
    assert "set `reflex.baseline_ms: [-50, -5]`, or export longer epochs" in fault


def test_events_say_what_they_lack(tmp_path):
    path = tmp_path / "sub-01_task-reflex_events.tsv"
    path.write_text("onset\tduration\n1\t0\n")
    with pytest.raises(InputError, match=r"stim_ma are absent.*stim_mA"):
        reflexes.read_stimuli(path, duration=10)
    path.write_text("onset\tstim_mA\n1\tn/a\n")
    with pytest.raises(InputError, match="no stimulus has an intensity"):
        reflexes.read_stimuli(path, duration=10)
    path.write_text("onset\tstim_mA\n100\t5\n")
    with pytest.raises(InputError, match=r"row 2 has an onset outside the recording of 10.000 s"):
        reflexes.read_stimuli(path, duration=10)
