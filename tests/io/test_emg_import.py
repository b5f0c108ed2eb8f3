"""Pulses of a recording, and the dataset that is written: valid, complete, and with the signal as it was."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io import emg, nibs
from lbpneuro.io.config import read_config
from lbpneuro.io.emg_import import (
    Target,
    events_table,
    find_pulses,
    muscles_of,
    read_events,
    settings_needed,
    write_recording,
)
from lbpneuro.io.vendor_emg import VendorRecording
from lbpneuro.io.vendor_positions import assign, read_positions
from tests.oracles import vendor
from tests.oracles.bids import errors_of

SFREQ = 2000.0
MARKS = tuple((onset, "S 1") for onset in vendor.ONSETS)


def recording(**changes):
    signal = vendor.known_signal()
    return VendorRecording(**{"signal": signal, "names": ("EMG1", "EMG2"), "sfreq": SFREQ, "marks": MARKS, **changes})


def epoched():
    signal = vendor.known_signal()
    spans = [signal[:, int((onset - 0.1) * SFREQ) : int((onset + 0.1) * SFREQ)] for onset in vendor.ONSETS]
    return recording(signal=np.concatenate(spans, axis=1), marks=(), epoch_s=0.2, pulse_s=0.1)


# ----------------------------------------------------------------------------------------------------------- pulses


def test_pulses_of_epochs():
    assert find_pulses(epoched(), "epochs").tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7])


@pytest.mark.parametrize("how", ["annotations", "annotations:S", "annotations:^S 1$"])
def test_pulses_of_marks(how):
    assert find_pulses(recording(), how).tolist() == list(vendor.ONSETS)


@pytest.mark.parametrize("more", ["", ":2.5"])
def test_pulses_of_a_trigger_channel(more):
    """A pulse of 5 V for 2 ms that bounces once, counts once, at the sample at which it rises."""
    trigger = np.zeros(10_000)
    for onset in vendor.ONSETS:
        trigger[int(onset * SFREQ) : int(onset * SFREQ) + 4] = 5.0
        trigger[int(onset * SFREQ) + 6] = 5.0
    signal = np.vstack([vendor.known_signal(), trigger + 0.01])
    found = find_pulses(recording(signal=signal, names=("EMG1", "EMG2", "TTL")), f"trigger:TTL{more}")
    assert found.tolist() == list(vendor.ONSETS)


@pytest.mark.parametrize(
    ("how", "changes", "message"),
    [
        ("guess", {}, "expected epochs, annotations"),
        ("epochs", {}, "the recording is continuous"),
        ("annotations", {"marks": ()}, "the file marks nothing"),
        ("annotations", {"marks": (*MARKS, (0.5, "S 9"))}, "marks of several kinds .S 1, S 9.; say which are pulses"),
        ("annotations:TMS", {}, "no mark matches; the file has S 1"),
        ("trigger:TTL", {}, "no channel 'TTL'; the file has EMG1, EMG2"),
        ("trigger:EMG1:9", {}, "no pulse was found"),
    ],
)
def test_pulses_that_are_not_there(how, changes, message):
    with pytest.raises(InputError, match=message):
        find_pulses(recording(**changes), how)


def test_pulse_outside_its_epoch():
    one = epoched()
    late = VendorRecording(signal=one.signal, names=one.names, sfreq=SFREQ, epoch_s=0.2, pulse_s=0.25)
    with pytest.raises(InputError, match=r"--pulse-ms 250: the pulse is not in an epoch, which lasts 200.0 ms"):
        find_pulses(late, "epochs")


def table(tmp_path, text, name="events.tsv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("column", "values"), [("onset", (2, 1)), ("Onset_ms", (2000, 1000)), ("sample", (4000, 2000))]
)
def test_onsets_in_three_units(tmp_path, column, values):
    path = table(tmp_path, f"{column},Block,comment\n{values[0]},post,x\n{values[1]},pre,y\n", "events.csv")
    events, left = events_table(recording(), events=path, pulses=None, block=None)
    assert events["onset"].tolist() == [1, 2]
    assert events["block"].tolist() == ["pre", "post"]
    assert set(events["trial_type"]) == {"TMS"}
    assert left == ["comment"]


def test_rows_that_describe_pulses_found_otherwise(tmp_path):
    path = table(tmp_path, "site_id\tintensity_mso\na\t60\nb\t61\nc\t62\nd\t63\n")
    events, _ = events_table(recording(), events=path, pulses="annotations", block="map")
    assert events["onset"].tolist() == list(vendor.ONSETS)
    assert events["site_id"].tolist() == ["a", "b", "c", "d"]
    assert set(events["block"]) == {"map"}
    assert events_table(epoched(), events=path, pulses=None, block=None)[0]["onset"].tolist() == pytest.approx(
        [0.1, 0.3, 0.5, 0.7]
    )


@pytest.mark.parametrize(
    ("text", "pulses", "message"),
    [
        ("site_id\na\n", "annotations", "1 rows describe 4 pulses; one row per pulse"),
        ("site_id\na\n", None, "Nothing says when the pulses came"),
        ("onset\n9\n", None, "row 2 has onset 9 s, outside the recording of 5.000 s"),
        ("onset\nsoon\n", None, "row 2, column onset: expected a number or n/a, found 'soon'"),
        ("onset\tblock\n1\tpre\nn/a\tpre\n", None, "row 3, column onset: a pulse needs its time"),
        ("onset\n", None, "has no row"),
    ],
)
def test_events_that_cannot_be_used(tmp_path, text, pulses, message):
    with pytest.raises(InputError, match=message):
        events_table(recording(), events=table(tmp_path, text), pulses=pulses, block=None)


def test_absent_events(tmp_path):
    with pytest.raises(InputError, match="no such file of events"):
        read_events(tmp_path / "absent.tsv")


# ---------------------------------------------------------------------------------------------------------- muscles


def test_muscles_of_channels():
    assert muscles_of(recording(), ["EMG2=Right FDI", "1=deep multifidus"]) == {1: "right FDI", 0: "multifidus_deep"}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["EMG1"], "expected CHANNEL=MUSCLE with a muscle out of .*FDI .first dorsal"),
        (["EMG1=biceps of the jaw"], "expected CHANNEL=MUSCLE"),
        (["EMG7=FDI"], "no channel 'EMG7'; the file has EMG1, EMG2"),
        (["EMG1=FDI", "1=APB"], "channel 1 is given twice"),
    ],
)
def test_muscles_that_are_none(pairs, message):
    with pytest.raises(InputError, match=message):
        muscles_of(recording(), pairs)


# ---------------------------------------------------------------------------------------------------------- writing


def target(root, **changes):
    given = {"reference": "bipolar", "placement": "over the belly", "power_line": 50.0, "task": "motormap"}
    return Target(**{"root": root, "subject": "01", **given, **changes})


def write(root, made, *, muscles=None, **options):
    events, _ = events_table(made, events=None, pulses="annotations" if made.marks else "epochs", block="map")
    chosen = muscles or {0: "right multifidus_deep", 1: "right longissimus"}
    return write_recording(made, options.pop("into", target(root)), muscles=chosen, events=events, **options)


def placeholders(root):
    """Every text of a dataset that stands for something nobody filled in."""
    found = []
    for path in sorted(root.rglob("*.json")):
        text = path.read_text()
        found += [f"{path.name}: {word}" for word in ("TODO", "Unspecified", "Biosemi") if word in text]
    return found


def test_signal_comes_back_and_the_dataset_is_valid(tmp_path):
    made = recording(limits=(-5e-3, 5e-3))
    written = write(tmp_path / "study", made)
    assert written.error_uv < 5e-4
    assert written.n_pulse == 4
    assert written.notes == ()
    path = tmp_path / "study/sub-01/emg/sub-01_task-motormap_emg.bdf"
    assert written.path == path
    read = emg.read_recording(path, path.with_name("sub-01_task-motormap_channels.tsv"))
    assert [(channel.muscle, channel.side) for channel in read.channels] == [
        ("multifidus_deep", "R"),
        ("longissimus", "R"),
    ]
    np.testing.assert_allclose(emg.channel_limits(read.channels), [[-5e-3, 5e-3]] * 2, rtol=1e-6)
    np.testing.assert_allclose(read.raw.get_data(), made.signal, atol=5e-10)
    assert errors_of(tmp_path / "study") == []
    assert placeholders(tmp_path / "study") == []
    sidecar = json.loads(path.with_suffix(".json").read_text())
    required = {
        "EMGPlacementScheme",
        "EMGReference",
        "SamplingFrequency",
        "PowerLineFrequency",
        "RecordingType",
        "SoftwareFilters",
    }
    assert required <= sidecar.keys()
    assert sidecar["EMGPlacementSchemeDescription"] == "over the belly"


def test_epochs_stay_apart(tmp_path):
    made = epoched()
    written = write(tmp_path, made)
    read = emg.read_recording(written.path, written.path.with_name("sub-01_task-motormap_channels.tsv"))
    assert (read.metadata["RecordingType"], read.metadata["EpochLength"]) == ("epoched", 0.2)
    pulses = emg.read_pulses(written.path.with_name("sub-01_task-motormap_events.tsv"), duration=read.duration)
    epochs, times = emg.read_epochs(read, read.channels, onsets=pulses["onset"].to_numpy())
    assert (times[0], times[-1]) == pytest.approx((-0.1, 0.0995))
    own = made.signal.reshape(2, 4, 400).transpose(1, 0, 2)
    np.testing.assert_allclose(epochs, own, atol=1e-9)
    assert errors_of(tmp_path) == []


def test_epochs_of_unknown_length(tmp_path):
    written = write(tmp_path, epoched())
    sidecar = json.loads(written.path.with_suffix(".json").read_text())
    del sidecar["EpochLength"]
    written.path.with_suffix(".json").write_text(json.dumps(sidecar))
    read = emg.read_recording(written.path, written.path.with_name("sub-01_task-motormap_channels.tsv"))
    with pytest.raises(InputError, match="RecordingType is epoched, but EpochLength is None"):
        emg.read_epochs(read, read.channels, onsets=np.array([0.1]))


def test_range_that_is_not_known_is_wider_than_the_signal(tmp_path):
    written = write(tmp_path, recording())
    assert "--amplifier-mv" in written.notes[0]
    read = emg.read_recording(written.path, written.path.with_name("sub-01_task-motormap_channels.tsv"))
    assert emg.channel_limits(read.channels)[0, 1] == pytest.approx(
        1.25 * np.abs(vendor.known_signal()).max(), rel=1e-5
    )


def test_signal_that_stays_at_its_end_is_clipped(tmp_path):
    written = write(tmp_path, recording(signal=np.clip(vendor.known_signal(), -8e-5, 8e-5)))
    assert "stays at 0.08 mV for" in written.notes[0]
    read = emg.read_recording(written.path, written.path.with_name("sub-01_task-motormap_channels.tsv"))
    assert emg.channel_limits(read.channels)[0].tolist() == pytest.approx([-8e-5, 8e-5], rel=1e-5)


def test_rate_and_names_that_bdf_does_not_hold(tmp_path):
    made = recording(
        sfreq=2034.5, names=("erector spinae at L5, right", "erector spinae at L3, right"), marks=((1.0, "S 1"),)
    )
    written = write(tmp_path, made)
    assert "rate of 2034.5 Hz is no whole number" in written.notes[-1]
    channels = pd.read_csv(written.path.with_name("sub-01_task-motormap_channels.tsv"), sep="\t")
    assert channels["name"].tolist() == ["erector spinae a", "erector spinae_2"]
    assert channels["description"].tolist()[1] == "channel erector spinae at L3, right"
    read = emg.read_recording(written.path, written.path.with_name("sub-01_task-motormap_channels.tsv"))
    assert read.sfreq == pytest.approx(2034.5, rel=1e-5)


def test_positions_go_to_nibs(tmp_path):
    places = [(-40.0, 12.0, 63.0), (-35.5, 20.0, 66.0), (-28.0, -4.0, 70.0), (-30.0, 0.0, 71.0)]
    positions = read_positions(vendor.write_brainsight(tmp_path, places))
    events, _ = events_table(recording(), events=None, pulses="annotations", block="map")
    root = tmp_path / "study"
    muscles = {0: "multifidus_deep"}
    write_recording(
        recording(), target(root, session="1"), muscles=muscles, events=assign(events, positions), positions=positions
    )
    assert errors_of(root) == []
    files = [
        root / "sub-01/ses-1" / kind / f"sub-01_ses-1_task-motormap_{name}.tsv"
        for kind, name in (("emg", "events"), ("nibs", "markers"))
    ]
    stimulation = nibs.read_stimulation(files, events=files[0])
    pulses = emg.read_pulses(files[0], duration=5.0, draft=stimulation.draft)
    pulses = nibs.describe_pulses(pulses, stimulation, origin=files[0])
    np.testing.assert_allclose(pulses[["x_mm", "y_mm", "z_mm"]].to_numpy(), places)
    assert set(pulses["hemisphere"]) == {"L"}
    assert stimulation.draft.version == "6.3"
    assert "Brainsight NIfTI:Aligned" in stimulation.frame


PAIR = ("right multifidus_deep", "right longissimus")


@pytest.mark.parametrize(
    ("made", "muscles", "task", "expected"),
    [
        (recording(), PAIR, "motormap", []),
        (recording(), PAIR[:1], "motormap", []),
        (epoched(), ("FDI",), "plasticity", ["begin 100 ms before .* set `mep.background_ms: \\[-100, -5\\]`"]),
        (
            epoched(),
            ("FDI",),
            "excitability",
            ["begin 98 ms before .* set `mep.background_ms: \\[-95, -5\\]`"],
        ),
        (epoched(), ("biceps_femoris",), "reflex", ["end 100 ms after .* let `reflex.window_ms` end earlier"]),
        (
            recording(),
            ("left FDI",),
            "motormap",
            ["read for multifidus_deep and longissimus; set `tms.muscles: \\[FDI\\]`"],
        ),
        (
            recording(),
            ("TA",),
            "plasticity",
            ["read for FDI; set `plasticity.muscle: tibialis_anterior`", "windows_ms: {tibialis_anterior: \\[FIRST"],
        ),
        (recording(), ("FDI",), "grip", ["No marker reads the task grip; --task is one of motormap, plasticity, "]),
    ],
)
def test_what_must_be_set_is_said_at_import(made, muscles, task, expected):
    """The pairs of the task excitability have 2 ms between their pulses, and the response follows the second."""
    onset = np.arange(4) * 0.2 + 0.1 if made.epoch_s else np.array(vendor.ONSETS)
    events = pd.DataFrame({"onset": onset})
    if task == "excitability":
        events = events.assign(onset=onset - 0.002, isi_ms=["n/a", "2", None, "2"])
    found = settings_needed(made, muscles, events, task=task, config=read_config())
    assert len(found) == len(expected)
    for text, pattern in zip(found, expected, strict=True):
        assert re.search(pattern, text), text


def test_second_recording_of_a_dataset(tmp_path):
    write(tmp_path, recording(), into=target(tmp_path))
    (tmp_path / "dataset_description.json").write_text('{"Name": "mine", "BIDSVersion": "1.11.0", "Authors": ["A"]}')
    (tmp_path / ".bidsignore").write_text("extra\nnibs/\n")
    write(tmp_path, recording(), into=target(tmp_path, subject="02"))
    with pytest.raises(InputError, match="is there already; add --overwrite, or another --run"):
        write(tmp_path, recording(), into=target(tmp_path))
    write(tmp_path, recording(), into=target(tmp_path), overwrite=True)
    assert json.loads((tmp_path / "dataset_description.json").read_text())["Name"] == "mine"
    assert (tmp_path / ".bidsignore").read_text() == "extra\nnibs/\n"
    assert set(pd.read_csv(tmp_path / "participants.tsv", sep="\t")["participant_id"]) == {"sub-01", "sub-02"}
    assert errors_of(tmp_path) == []


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        (recording(sfreq=500.0), {}, "Sampled at 500 Hz; .* need 1000 Hz"),
        (recording(), {"task": "motor_map"}, "--task 'motor_map': BIDS labels are made of letters and digits"),
        (recording(), {"subject": "a b"}, "--subject 'a b'"),
    ],
)
def test_recordings_that_are_not_written(tmp_path, made, changes, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / "study", made, into=target(tmp_path / "study", **changes))
    assert not (tmp_path / "study").exists()
