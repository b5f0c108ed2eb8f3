"""EMG-BIDS recordings: what is read, and what each defect says."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io import emg
from tests.oracles.neurophysiology import write_emg_run

WINDOWS = {"multifidus_deep": [10, 55], "longissimus": [10, 55]}


@pytest.fixture
def run(tmp_path):
    return write_emg_run(tmp_path)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("extension", [".bdf", ".edf"])
def test_recording_in_volts(tmp_path, extension):
    signal, channels, *_ = write_emg_run(tmp_path, extension=extension, background_uv=50.0)
    recording = emg.read_recording(signal, channels)
    assert recording.sfreq == 2000
    assert [channel.muscle for channel in recording.channels] == ["multifidus_deep", "longissimus"]
    np.testing.assert_allclose(emg.channel_limits(recording.channels), [[-8e-3, 8e-3]] * 2)
    epochs, times = emg.read_epochs(recording, recording.channels, onsets=np.array([1.0, 1.7]))
    assert epochs.shape == (2, 2, times.size)
    assert times[0] == pytest.approx(-0.35)
    assert epochs[..., times < -0.01].std(ddof=1) == pytest.approx(50e-6, rel=0.1)


@pytest.mark.parametrize("units", ["uV", "mV"])
def test_unit_does_not_change_the_signal(tmp_path, units):
    signal, channels, *_ = write_emg_run(tmp_path, units=units)
    recording = emg.read_recording(signal, channels)
    epochs, times = emg.read_epochs(recording, recording.channels, onsets=np.array([1.0]))
    assert np.ptp(epochs[..., np.abs(times - 0.024) < 0.006]) == pytest.approx(500e-6, rel=0.1)


def test_epoch_that_leaves_the_recording_is_nan(run):
    recording = emg.read_recording(run[0], run[1])
    epochs, _ = emg.read_epochs(recording, recording.channels, onsets=np.array([0.1, 1.0]))
    assert np.isnan(epochs[0]).all()
    assert np.isfinite(epochs[1]).all()


def test_events_are_needed(run):
    with pytest.raises(InputError, match=r"no \*_events.tsv .* without events there is no MEP") as caught:
        emg.one_file(run[:2], "events", of=run[0], why="without events there is no MEP")
    assert caught.value.reason == Reason.FILE_MISSING


def test_nearest_of_several_tables_counts(run, tmp_path):
    shared = tmp_path / "sub-01_channels.tsv"
    shared.write_text(run[1].read_text())
    assert emg.one_file([shared, *run], "channels", of=run[0], why="") == run[1]


def test_pulse_outside_the_recording(run):
    recording = emg.read_recording(run[0], run[1])
    edit(run[2], "\n1.0\t", "\n1000.0\t")
    with pytest.raises(InputError, match=r"row 2 has onset 1000.0, outside the recording of .* \(1 such rows\)"):
        emg.read_pulses(run[2], duration=recording.duration)


def pairs(**columns):
    return pd.DataFrame({"onset": np.arange(1.0, 1 + len(columns["stim_type"])), **columns})


def test_intervals_of_pairs():
    kinds = ["single", "paired", None, "paired", "single"]
    pulses = pairs(stim_type=kinds, isi_ms=[np.nan, 2.5, np.nan, 100, 3])
    np.testing.assert_allclose(emg.pair_intervals(pulses, origin="e.tsv"), [0, 0.0025, 0, 0.1, 0])
    with pytest.raises(InputError, match=r"the pair of pulses at 2.000 s has no isi_ms.*\(1 such\)"):
        emg.pair_intervals(pairs(stim_type=["single", "paired"], isi_ms=[np.nan, np.nan]), origin="e.tsv")
    with pytest.raises(UnitError, match=r"at 1.000 s has isi_ms 0.003; expected 0.5 to 500 ms"):
        emg.pair_intervals(pairs(stim_type=["paired"], isi_ms=[0.003]), origin="e.tsv")


def test_table_without_pulse(run):
    edit(run[2], "TMS", "rest")
    with pytest.raises(InputError, match="no TMS pulse is listed"):
        emg.read_pulses(run[2], duration=100.0)


def test_onset_column_is_needed(run):
    edit(run[2], "onset", "time")
    with pytest.raises(InputError, match="column `onset` is absent"):
        emg.read_pulses(run[2], duration=100.0)


def test_sampling_rate_too_low(tmp_path):
    signal, channels, *_ = write_emg_run(tmp_path, sfreq=500.0)
    with pytest.raises(InputError, match=r"sampled at 500 Hz; .* need 1000 Hz"):
        emg.read_recording(signal, channels)


def test_sampling_rate_contradicts_the_sidecar(tmp_path):
    signal, channels, *_ = write_emg_run(tmp_path, metadata={"SamplingFrequency": 5000})
    with pytest.raises(InputError, match="SamplingFrequency 5000 Hz, the header 2000 Hz"):
        emg.read_recording(signal, channels)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tuV\t", "\tn/a\t", "unit of channel EMG1 is absent"),
        ("\tuV\t", "\tarbitrary\t", "unit of channel EMG1 is 'arbitrary'; expected one of V, mV, uV"),
        ("\tuV\t", "\tmV\t", "channel EMG1 is in mV, but the header of .* says uV"),
        ("units", "unit", "column `units` is absent"),
    ],
)
def test_units_are_never_guessed(run, old, new, message):
    edit(run[1], old, new)
    with pytest.raises(UnitError, match=message):
        emg.read_recording(run[0], run[1])


def test_channel_that_is_not_in_the_file(run):
    edit(run[1], "EMG2\t", "EMG7\t")
    with pytest.raises(InputError, match=r"channel EMG7 is not in .* which has EMG1, EMG2"):
        emg.read_recording(run[0], run[1])


def test_columns_of_the_channel_table(run):
    edit(run[1], "target_muscle", "muscle")
    with pytest.raises(InputError, match="columns target_muscle are absent"):
        emg.read_recording(run[0], run[1])


def test_bad_channels_are_left_out(run):
    text = run[1].read_text().splitlines()
    run[1].write_text("\n".join([f"{text[0]}\tstatus", f"{text[1]}\tbad", f"{text[2]}\tn/a"]) + "\n")
    recording = emg.read_recording(run[0], run[1])
    assert [channel.name for channel in recording.channels] == ["EMG2"]


def test_header_without_unit_takes_that_of_the_table(run):
    header = emg.read_header(run[0])
    unknown = {name: emg.SignalHeader(unit="", physical_range=(-8.0, 8.0)) for name in header}
    edit(run[1], "\tuV\t", "\tmV\t")
    first = emg.read_channels(run[1], header=unknown, recording=run[0])[0]
    assert (first.scale, first.limits) == (1e-3, (-8e-3, 8e-3))


def test_header_that_is_no_voltage(run):
    odd = {name: emg.SignalHeader(unit="degC", physical_range=(0, 1)) for name in emg.read_header(run[0])}
    with pytest.raises(UnitError, match="in 'degC', which is not a voltage"):
        emg.read_channels(run[1], header=odd, recording=run[0])


def test_signal_headers_that_are_cut_off(run):
    run[0].write_bytes(run[0].read_bytes()[:300])
    with pytest.raises(InputError, match="signal headers cannot be read"):
        emg.read_header(run[0])


@pytest.mark.parametrize("column", ["site", "site_id"])
def test_site_is_another_name_of_the_position(run, column):
    edit(run[2], "nibs_position_id", column)
    assert set(emg.read_pulses(run[2], duration=100.0)["site_id"]) == {"p0"}


def test_what_the_events_may_say_of_a_pulse(run):
    edit(run[2], "intensity_mso", "intensity_mso\tisi_ms\trmt_mso\tgrid_x_cm\tgrid_y_cm")
    run[2].write_text(run[2].read_text().replace("\t60", "\t60\t3\t55\t-4\t1.5"))
    pulses = emg.read_pulses(run[2], duration=100.0)
    first = pulses.iloc[0]
    assert (first["stim_type"], first["isi_ms"], first["rmt_mso"], first["intensity_mso"]) == ("paired", 3, 55, 60)
    assert (first["x_mm"], first["y_mm"]) == (-40, 15)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t60\n", "\tsixty\n", "row 2, column intensity_mso: expected a number or n/a, found 'sixty'"),
        ("\n1.0\t", "\nsoon\t", "row 2, column onset: expected a number or n/a, found 'soon'"),
    ],
)
def test_text_where_a_number_belongs(run, old, new, message):
    run[2].write_text(run[2].read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        emg.read_pulses(run[2], duration=100.0)


def test_kind_of_stimulus_is_one_of_three(run):
    edit(run[2], "intensity_mso", "stim_type")
    with pytest.raises(InputError, match="row 2, column stim_type: expected single, paired, train, found '60'"):
        emg.read_pulses(run[2], duration=100.0)


def test_no_emg_channel(run):
    edit(run[1], "\tEMG\t", "\tEEG\t")
    with pytest.raises(InputError, match="no good channel of type EMG"):
        emg.read_recording(run[0], run[1])


def test_muscle_that_is_not_in_the_file(run):
    recording = emg.read_recording(run[0], run[1])
    with pytest.raises(InputError, match=r"'FDI' is the target_muscle of no channel; the file has longissimus, multi"):
        emg.select_muscles(recording, ["FDI"], windows=WINDOWS)


def test_muscles_by_other_names(run):
    edit(run[1], "multifidus_deep", "Right deep multifidus")
    recording = emg.read_recording(run[0], run[1])
    assert [(channel.muscle, channel.side) for channel in recording.channels] == [
        ("multifidus_deep", "R"),
        ("longissimus", None),
    ]
    with pytest.raises(InputError, match=r"Known names, .* FDI \(first dorsal interosseous"):
        emg.select_muscles(recording, ["FDI"], windows=WINDOWS)


def test_muscle_of_both_sides(run):
    text = run[1].read_text().replace("longissimus", "left multifidus_deep")
    run[1].write_text(text.replace("\tmultifidus_deep", "\tright multifidus_deep"))
    recording = emg.read_recording(run[0], run[1])
    channels = emg.select_muscles(recording, ["multifidus_deep"], windows=WINDOWS)
    assert [channel.side for channel in channels] == ["R", "L"]


def test_muscle_without_response_window(run):
    recording = emg.read_recording(run[0], run[1])
    with pytest.raises(InputError, match=r"'longissimus' has no response window; add it to `mep.windows_ms`"):
        emg.select_muscles(recording, ["longissimus"], windows={"FDI": [15, 50]})


def test_muscle_of_two_channels(run):
    edit(run[1], "longissimus", "multifidus_deep")
    recording = emg.read_recording(run[0], run[1])
    with pytest.raises(InputError, match="more than one channel"):
        emg.select_muscles(recording, ["multifidus_deep"], windows=WINDOWS)


def test_broken_header(run):
    run[0].write_bytes(b"\xffBIOSEMI" + b"x" * 400)
    with pytest.raises(InputError, match=r"header of this BDF file cannot be read .* export it again"):
        emg.read_recording(run[0], run[1])


def test_other_formats_are_named(run):
    other = run[0].with_suffix(".vhdr")
    with pytest.raises(InputError, match=r"expected an EMG recording as .edf or .bdf"):
        emg.read_recording(other, run[1])


@pytest.mark.real
@pytest.mark.parametrize(("name", "n_channel"), [("grasping", 6), ("isometric", 128)])
def test_real_recordings_are_read(name, n_channel, real_data, tmp_path):
    source = real_data("bids_emg") / f"sub-01_task-{name}_emg.edf"
    path = tmp_path / "sub-01" / "emg" / source.name
    path.parent.mkdir(parents=True)
    shutil.copy(source, path)
    header = emg.read_header(path)
    assert len(header) == n_channel
    rows = ["name\ttype\tunits\ttarget_muscle", *(f"{label}\tEMG\tuV\tn/a" for label in header)]
    channels = path.with_name(path.name.replace("_emg.edf", "_channels.tsv"))
    channels.write_text("\n".join(rows) + "\n")
    recording = emg.read_recording(path, channels)
    epochs, _ = emg.read_epochs(recording, recording.channels, onsets=np.array([recording.duration / 2]))
    assert epochs.shape[1] == n_channel


@pytest.mark.real
def test_real_broken_header(real_data, tmp_path):
    source = real_data("malformed") / "emg_Multimodal__sub-01_task-pullstand_emg.edf"
    with pytest.raises(InputError, match="header of this EDF file cannot be read"):
        emg.read_recording(source, tmp_path / "channels.tsv")
