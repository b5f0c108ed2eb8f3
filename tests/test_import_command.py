"""``lbpneuro import-emg`` from a vendor's file to the table of responses, and what it says on the way."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lbpneuro import cli
from lbpneuro.commands.import_emg import BOUTS
from lbpneuro.io.bouts import POLARITIES
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.io.reflexes import read_stimuli
from lbpneuro.steps import meps
from tests.oracles import vendor
from tests.oracles.bids import errors_of

ABOUT = ["--subject", "01", "--reference", "bipolar", "--placement", "over the belly", "--power-line", "50"]


def run_import(capsys, file, *more, out, task="motormap"):
    code = cli.main(["import-emg", str(file), *map(str, more), *ABOUT, "--task", task, "--out", str(out)])
    return code, capsys.readouterr()


def responses(tmp_path, root, task, **changes):
    """The trial table that the step ``meps`` makes of an imported recording."""
    dataset = {"bids_dir": str(root), "out_dir": str(tmp_path / "out"), "work_dir": str(tmp_path / "work")}
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(resolve(read_config(None, {"dataset": dataset, **changes}))))
    files = [path for path in sorted(root.glob("sub-01/*/*")) if path.suffix in (".bdf", ".tsv")]
    out = tmp_path / "out" / "sub-01" / "emg" / f"sub-01_task-{task}_desc-trials_meps.tsv"
    arguments = ["--in", *map(str, files), "--out", str(out), "--config", str(settings), "--participant", "sub-01"]
    assert meps.main(arguments) == 0
    return read_tsv(out), json.loads(out.with_suffix(".json").read_text())


def test_map_of_a_brainvision_file(tmp_path, capsys):
    """Signal, marks, sites and navigated positions come together in the trial table."""
    places = [(-40.0, 12.0, 63.0), (-35.5, 20.0, 66.0), (-28.0, -4.0, 70.0), (-30.0, 0.0, 71.0)]
    header = vendor.write_brainvision(tmp_path, vendor.known_signal())
    given = ["--pulses", "annotations:S  1", "--positions", vendor.write_brainsight(tmp_path, places)]
    muscles = ["--muscle", "EMG1=right deep multifidus", "--muscle", "EMG2=longissimus"]
    root = tmp_path / "study"
    code, said = run_import(capsys, header, *muscles, *given, "--block", "map", "--amplifier-mv", 5, out=root)
    assert code == 0
    assert "2 channels, 5.0 s at 2000 Hz, 4 pulses; largest rounding error" in said.out
    assert "SoftwareFilters is n/a" in said.out
    assert "range of the amplifier" not in said.out
    table, sidecar = responses(tmp_path, root, "motormap", tms={"contraction": "rest"})
    assert len(table) == 8
    assert (table["reject"] == 0).all()
    first = table[table["target_muscle"] == "multifidus_deep"]
    np.testing.assert_allclose(first[["x_mm", "y_mm", "z_mm"]], places)
    np.testing.assert_allclose(first["p2p_uv"], 400, rtol=0.1)
    np.testing.assert_allclose(table.loc[table["target_muscle"] == "longissimus", "p2p_uv"], 200, rtol=0.15)
    assert sidecar["NIBSDraft"] == "6.3"


def test_blocks_of_a_text_file(tmp_path, capsys):
    signal = vendor.known_signal(n_channel=1)[0]
    file = tmp_path / "fdi.csv"
    file.write_text("EMG (mV)\n" + "\n".join(f"{value * 1e3:.7f}" for value in signal) + "\n")
    events = tmp_path / "blocks.tsv"
    events.write_text("onset_ms\tblock\tintensity_mso\tremark\n1000\tpre\t55\ta\n2000\tpre\t55\tb\n")
    given = ["--muscle", "1=FDI", "--sfreq", 2000, "--events", events, "--bouts", "anodal", "anodal"]
    code, said = run_import(capsys, file, *given, out=tmp_path / "study", task="plasticity")
    assert code == 0
    assert "Columns that are not written: remark" in said.out
    table, sidecar = responses(tmp_path, tmp_path / "study", "plasticity")
    assert table["block"].tolist() == ["pre", "pre"]
    assert sidecar["BoutPolarity"] == ["anodal", "anodal"]
    assert set(BOUTS) == set(POLARITIES)
    np.testing.assert_allclose(table["p2p_uv"], 400, rtol=0.1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--muscle", "EMG1=jaw"], "expected CHANNEL=MUSCLE with a muscle out of"),
        (["--muscle", "EMG1=FDI", "--pulses", "guess"], "expected epochs, annotations"),
        (["--muscle", "EMG1=FDI", "--amplifier-mv", "-1", "--pulses", "annotations:1"], "a positive number of mV"),
    ],
)
def test_requests_that_cannot_be_met(tmp_path, capsys, more, message):
    header = vendor.write_brainvision(tmp_path, vendor.known_signal())
    code, said = run_import(capsys, header, *more, out=tmp_path / "study")
    assert code == 2
    assert message in said.err
    assert not (tmp_path / "study").exists()


def test_channels_pulses_and_a_folder_are_enough(tmp_path, capsys):
    """What the command does not say comes from the name of the file or is n/a, which is said with its cost."""
    signal = vendor.known_signal(n_channel=1)[0]
    file = tmp_path / "sub-07_ses-2_fdi.csv"
    file.write_text("time_s,EMG (mV)\n" + "".join(f"{i / 2000:.4f},{1e3 * v:.7f}\n" for i, v in enumerate(signal)))
    events = tmp_path / "blocks.tsv"
    events.write_text("onset\tblock\n1\tpre\n2\tbetween\n")
    study = tmp_path / "study"
    given = ["--muscle", "1=FDI", "--events", str(events), "--out", str(study)]
    assert cli.main(["import-emg", str(file), *given]) == 0
    said = capsys.readouterr().out
    sidecar = json.loads((study / "sub-07/ses-2/emg/sub-07_ses-2_task-plasticity_emg.json").read_text())
    for field in ("EMGReference", "EMGPlacementSchemeDescription", "PowerLineFrequency", "SoftwareFilters"):
        assert sidecar[field] == "n/a"
        assert f"{field} is n/a" in said
    assert errors_of(study) == []


def test_a_recording_without_blocks_is_a_map_of_the_first_participant(tmp_path, capsys):
    header = vendor.write_brainvision(tmp_path, vendor.known_signal())
    given = ["--muscle", "EMG1=FDI", "--pulses", "annotations:S  1", "--out", str(tmp_path / "study")]
    assert cli.main(["import-emg", str(header), *given]) == 0
    assert (tmp_path / "study/sub-01/emg/sub-01_task-motormap_emg.bdf").is_file()
    said = capsys.readouterr().out
    assert "The pulses have no place, so there is no map" in said
    assert "set `tms.muscles: [FDI]`" in said
    assert "--config-file FILE" in said
    more = ["--task", "plasticity", "--overwrite"]
    assert cli.main(["import-emg", str(header), *given, *more]) == 0
    said = capsys.readouterr().out
    assert "The pulses have no block" in said
    assert "--config-file" not in said


def test_a_recording_of_reflexes(tmp_path, capsys):
    """Electrical stimuli with intensity, rating and place in a train: the task follows, and nothing is lost."""
    header = vendor.write_brainvision(tmp_path, vendor.known_signal())
    events = tmp_path / "stimuli.csv"
    events.write_text("onset,stim_mA,rating,train_position\n1,8,20,n/a\n2,10,30,1\n3,10,35,2\n")
    given = ["--muscle", "EMG1=biceps femoris", "--events", str(events), "--out", str(tmp_path / "study")]
    assert cli.main(["import-emg", str(header), *given]) == 0
    said = capsys.readouterr().out
    assert "not written" not in said
    assert "block" not in said
    written = tmp_path / "study/sub-01/emg/sub-01_task-reflex_events.tsv"
    assert set(read_tsv(written)["trial_type"]) == {"electrical"}
    stimuli = read_stimuli(written, duration=5.0)
    assert stimuli["stim_ma"].tolist() == [8, 10, 10]
    assert stimuli["train_position"].tolist()[1:] == [1, 2]
    assert errors_of(tmp_path / "study") == []


@pytest.mark.real
def test_real_responses_agree_with_those_of_their_authors(tmp_path, capsys, real_data):
    """Epochs of 150 ms with the pulse at 50 ms: amplitudes and latencies of MEPFeatX, and what must be set for them."""
    file = real_data("mepfeatx") / "data" / "ID01.mat"
    given = ["--muscle", "1=FDI", "--units", "uV", "--sfreq", 3000, "--pulse-ms", 50, "--block", "pre"]
    code, said = run_import(capsys, file, *given, out=tmp_path / "study", task="plasticity")
    assert code == 0
    assert "152 pulses" in said.out
    assert "set `mep.background_ms: [-50, -5]`" in said.out
    _, sidecar = responses(tmp_path, tmp_path / "study", "plasticity")
    assert "set `mep.background_ms: [-50, -5]`" in sidecar["Error"]["message"]
    table, sidecar = responses(tmp_path, tmp_path / "study", "plasticity", mep={"background_ms": [-50, -5]})
    assert "Mains hum is not subtracted" in sidecar["Warnings"][0]
    reference = pd.read_csv(real_data("mepfeatx") / "features" / "ID01_features.csv")
    kept = (table["reject"] == 0).to_numpy() & (reference["Amplitude"] > 200).to_numpy()
    assert kept.mean() > 0.5
    ratio = table["p2p_uv"].to_numpy()[kept] / reference["Amplitude"].to_numpy()[kept]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    delay = table["latency_ms"].to_numpy()[kept] - reference["Latency"].to_numpy()[kept]
    assert np.nanmedian(delay) == pytest.approx(0, abs=1.0)


@pytest.mark.real
def test_real_recordings_of_the_bids_examples(tmp_path, capsys, real_data):
    """Noise of a microvolt: imported, measured, and nothing found."""
    events = tmp_path / "events.tsv"
    events.write_text("onset\tblock\n0.45\tpre\n0.6\tpre\n")
    file = real_data("bids_emg") / "sub-01_task-grasping_emg.edf"
    given = ["--muscle", "EMG1=FDI", "--events", events]
    assert run_import(capsys, file, *given, out=tmp_path / "study", task="plasticity")[0] == 0
    table, _ = responses(tmp_path, tmp_path / "study", "plasticity")
    assert (table["p2p_uv"] < 5).all()
    assert table["latency_ms"].isna().all()
