"""Recordings of other programs: the same signal out of every format, and what each says when it cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io.vendor_emg import Hints, VendorRecording, is_amplifier_range, longest_run, read_vendor
from tests.oracles import vendor

SFREQ = 2000.0


@pytest.fixture(scope="module")
def signal():
    return vendor.known_signal()


def epochs_of(signal, before=0.1, after=0.1):
    """The epochs around the pulses (n_channel, n_time, n_trial)."""
    spans = [slice(int((onset - before) * SFREQ), int((onset + after) * SFREQ)) for onset in vendor.ONSETS]
    return np.stack([signal[:, span] for span in spans], axis=2)


def one_after_another(epochs):
    return np.concatenate(list(np.moveaxis(epochs, 2, 0)), axis=1)


def write_edf(folder, signal, *, limits=(-5000.0, 5000.0), unit="uV", extension=".edf"):
    import edfio

    kind, container = (edfio.BdfSignal, edfio.Bdf) if extension == ".bdf" else (edfio.EdfSignal, edfio.Edf)
    signals = [
        kind(np.clip(row * 1e6, *limits), SFREQ, label=f"EMG{i}", physical_dimension=unit, physical_range=limits)
        for i, row in enumerate(signal, start=1)
    ]
    notes = [edfio.EdfAnnotation(onset, None, "TMS") for onset in vendor.ONSETS]
    path = folder / f"map{extension}"
    container(signals, annotations=notes, data_record_duration=1).write(path)
    return path


def write_table(folder, signal, *, name="map.tsv", header=("time_ms", "EMG1 (uV)", "EMG2 (uV)"), separator="\t"):
    rows = np.column_stack([np.arange(signal.shape[1]) / SFREQ * 1e3, *(signal * 1e6)])
    lines = [separator.join(header), *(separator.join(f"{value:.5f}" for value in row) for row in rows)]
    text = "\n".join(lines) + "\n"
    path = folder / name
    path.write_text(text.replace(".", ",") if separator == ";" else text)
    return path


@pytest.mark.parametrize(
    ("write", "names", "tolerance_uv", "mark"),
    [
        (write_edf, ("EMG1", "EMG2"), 0.08, "TMS"),
        (lambda folder, signal: write_edf(folder, signal, extension=".bdf"), ("EMG1", "EMG2"), 3e-4, "TMS"),
        (vendor.write_brainvision, ("EMG1", "EMG2"), 1e-4, "Stimulus/S  1"),
        (vendor.write_eeglab, ("EMG1", "EMG2"), 1e-9, "TMS"),
        (vendor.write_smr, ("Mult", "Long"), 0.08, "TMS"),
        (write_table, ("EMG1 (uV)", "EMG2 (uV)"), 1e-5, None),
        (
            lambda folder, signal: write_table(folder, signal, name="map.csv", separator=","),
            ("EMG1 (uV)", "EMG2 (uV)"),
            1e-5,
            None,
        ),
        (
            lambda folder, signal: write_table(folder, signal, name="map.txt", separator=";"),
            ("EMG1 (uV)", "EMG2 (uV)"),
            1e-5,
            None,
        ),
    ],
    ids=["edf", "bdf", "brainvision", "eeglab", "smr", "tsv", "csv", "txt"],
)
def test_the_same_signal_out_of_every_format(tmp_path, signal, write, names, tolerance_uv, mark):
    read = read_vendor(write(tmp_path, signal), Hints())
    assert (read.names, read.sfreq, read.epoch_s) == (names, SFREQ, None)
    np.testing.assert_allclose(read.signal, signal, atol=tolerance_uv * 1e-6)
    assert [when for when, label in read.marks if label == mark] == pytest.approx(list(vendor.ONSETS) if mark else [])


def test_epochs_of_eeglab(tmp_path, signal):
    epochs = epochs_of(signal)
    read = read_vendor(vendor.write_eeglab(tmp_path, epochs, xmin=-0.1), Hints())
    assert (read.epoch_s, read.pulse_s) == pytest.approx((0.2, 0.1))
    np.testing.assert_allclose(read.signal, one_after_another(epochs), atol=1e-15)


# ------------------------------------------------------------------------------------------------------------ MATLAB


def write_mat(folder, **variables):
    from scipy.io import savemat

    path = folder / "map.mat"
    savemat(path, variables)
    return path


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        (("time", "trial", "channel"), (1, 2, 0)),
        (("trial", "channel", "time"), (2, 0, 1)),
        (("channel", "time", "trial"), (0, 1, 2)),
    ],
)
def test_axes_of_an_array(tmp_path, signal, axes, order):
    epochs = epochs_of(signal)
    path = write_mat(tmp_path, emg=epochs.transpose(order) * 1e3)
    read = read_vendor(path, Hints(units="mV", sfreq=SFREQ, axes=axes, pulse_s=0.1))
    np.testing.assert_allclose(read.signal, one_after_another(epochs), rtol=1e-12)
    assert (read.names, read.epoch_s, read.pulse_s) == (("emg1", "emg2"), 0.2, 0.1)


def test_samples_by_trials_and_samples_by_channels(tmp_path, signal):
    epochs = epochs_of(signal)[0]
    read = read_vendor(write_mat(tmp_path, meps=epochs), Hints(units="V", sfreq=SFREQ, pulse_s=0.1))
    np.testing.assert_array_equal(read.signal, epochs.T.reshape(1, -1))
    read = read_vendor(write_mat(tmp_path, emg=signal.T), Hints(units="V", sfreq=SFREQ))
    np.testing.assert_array_equal(read.signal, signal)


def test_matlab_of_version_7_3(tmp_path, signal):
    """HDF5, in which MATLAB stores arrays with their axes reversed."""
    import h5py

    path = tmp_path / "map.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("emg", data=signal)
        data.attrs["MATLAB_class"] = np.bytes_("double")
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(content)
    read = read_vendor(path, Hints(units="V", sfreq=SFREQ))
    np.testing.assert_array_equal(read.signal, signal)


def test_what_spike2_exports(tmp_path, signal):
    def channel(row, title):
        return {"title": title, "interval": 1 / SFREQ, "units": "mV", "values": row[:, None] * 1e3, "scale": 1.0}

    read = read_vendor(write_mat(tmp_path, V_Ch1=channel(signal[0], "Mult"), V_Ch2=channel(signal[1], "Long")), Hints())
    assert (read.names, read.sfreq) == (("Mult", "Long"), pytest.approx(SFREQ))
    np.testing.assert_allclose(read.signal, signal, rtol=1e-12)


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        (Hints(units="uV"), "name the array .* the file has emg .* other"),
        (Hints(units="uV", variable="absent", sfreq=1), "there is no array 'absent'; the file has emg .30 x 4."),
        (Hints(units="uV", variable="emg"), "no sampling rate; add --sfreq HZ"),
        (Hints(variable="emg", sfreq=2000), "add --units uV, mV or V"),
        (Hints(units="uV", variable="cube", sfreq=2000), r"cube has 3 axes .*--axes, out of time, trial, channel"),
        (Hints(units="uV", variable="emg", sfreq=2000, axes=("time", "trials")), "emg has 2 axes"),
        (Hints(units="uV", variable="emg", sfreq=2000, axes=("time", "trial")), "--pulse-ms MS"),
        (
            Hints(units="uV", variable="emg", sfreq=2000, axes=("time", "channel"), pulse_s=0.1),
            "name the axis of trials",
        ),
        (Hints(units="uV", variable="other", sfreq=2000), "other holds 1 samples that are no numbers"),
    ],
)
def test_what_an_array_does_not_say(tmp_path, hints, message):
    broken = np.zeros((30, 4))
    broken[3, 2] = np.nan
    path = write_mat(tmp_path, emg=np.zeros((30, 4)), other=broken, cube=np.zeros((3, 4, 5)))
    with pytest.raises(InputError, match=message):
        read_vendor(path, hints)


# -------------------------------------------------------------------------------------------------------------- text


def test_epochs_in_rows(tmp_path, signal):
    epochs = epochs_of(signal)
    lines = ["Trial,time_s,FDI_mV"]
    for trial in range(4):
        lines += [f"{trial},{i / SFREQ},{value * 1e3:.9f}" for i, value in enumerate(epochs[0, :, trial])]
    path = tmp_path / "epochs.csv"
    path.write_text("\n".join(lines) + "\n")
    read = read_vendor(path, Hints(pulse_s=0.1))
    assert (read.names, read.sfreq, read.epoch_s) == (("FDI_mV",), SFREQ, 0.2)
    np.testing.assert_allclose(read.signal, one_after_another(epochs)[:1], atol=1e-12)
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="the trials have 399 to 400 samples"):
        read_vendor(path, Hints(pulse_s=0.1))


def test_a_column_per_trial(tmp_path, signal):
    epochs = epochs_of(signal)[0]
    path = tmp_path / "fdi.tsv"
    lines = [
        "\t".join(f"sweep{i}" for i in range(4)),
        *("\t".join(f"{value * 1e6:.6f}" for value in row) for row in epochs),
    ]
    path.write_text("\n".join(lines) + "\n")
    read = read_vendor(path, Hints(units="uV", sfreq=SFREQ, axes=("time", "trial"), pulse_s=0.1))
    assert read.names == ("fdi",)
    np.testing.assert_allclose(read.signal, epochs.T.reshape(1, -1), atol=1e-12)


@pytest.mark.parametrize(
    ("header", "hints", "message"),
    [
        (("time", "a_uV", "b_uV"), Hints(), "the column time has no unit; name it time_s or time_ms, or add --sfreq"),
        (("t", "a_uV", "b_uV"), Hints(), "no column time_s or time_ms"),
        (("time_ms", "a", "b"), Hints(), "add --units uV, mV or V"),
        (("time_ms", "a_uV", "b_mV"), Hints(), "in several units"),
        (("time_ms", "a_uV", "b_uV"), Hints(units="mV"), "--units says mV, but the file says .* uV"),
    ],
)
def test_what_a_text_does_not_say(tmp_path, signal, header, hints, message):
    with pytest.raises(InputError, match=message):
        read_vendor(write_table(tmp_path, signal[:, :50], header=header), hints)


def test_time_that_stands_still(tmp_path, signal):
    path = write_table(tmp_path, signal[:, :50])
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], *rows[1:20], *rows[1:20]]) + "\n")
    with pytest.raises(InputError, match="time_ms does not run evenly"):
        read_vendor(path, Hints())


def test_text_among_the_numbers(tmp_path, signal):
    path = write_table(tmp_path, signal[:, :50])
    path.write_text(path.read_text() + "1\toff\t2\n")
    with pytest.raises(InputError, match=r"the column EMG1 \(uV\) holds text"):
        read_vendor(path, Hints())


# -------------------------------------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("map.cfs", "CED Signal: export it as .mat"),
        ("map.smrx", "export it as .smr"),
        ("map.adicht", "LabChart: export it as EDF"),
        ("map.acq", "AcqKnowledge"),
        ("map.xlsx", "save the sheet as CSV"),
        ("map.xyz", "none of the formats that are read: export it as EDF"),
        ("map", "a file without extension"),
    ],
)
def test_formats_without_an_open_reader(tmp_path, name, instead):
    (tmp_path / name).write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match=f"{instead}.*Read are .bdf, .csv, .edf"):
        read_vendor(tmp_path / name, Hints())


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_vendor(tmp_path / "map.edf", Hints())


@pytest.mark.parametrize("extension", ["edf", "bdf", "vhdr", "set", "smr", "mat", "csv"])
def test_broken_files_are_said_to_be(tmp_path, extension):
    path = tmp_path / f"map.{extension}"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(InputError, match=r"map\."):
        read_vendor(path, Hints(units="uV", sfreq=SFREQ))


def test_unit_that_is_no_voltage(tmp_path, signal):
    with pytest.raises(UnitError, match="'degC' is no voltage"):
        read_vendor(write_edf(tmp_path, signal, unit="degC"), Hints())
    np.testing.assert_allclose(
        read_vendor(write_edf(tmp_path, signal, unit="degC"), Hints(units="uV")).signal, signal, atol=1e-7
    )
    with pytest.raises(UnitError, match=r"--units says mV, but .* uV"):
        read_vendor(write_edf(tmp_path, signal), Hints(units="mV"))


def test_channels_of_several_rates(tmp_path, signal):
    """A slow channel that nobody wants does not keep the others from being read."""
    path = vendor.write_smr(tmp_path, np.vstack([signal, signal[:1]]), names=("Mult", "Long", "Force"), slow=("Force",))
    with pytest.raises(InputError, match="sampled at 200, 2000 Hz; name those that"):
        read_vendor(path, Hints())
    with pytest.raises(InputError, match="sampled at 200, 2000 Hz"):
        read_vendor(path, Hints(channels=("Long", "Force")))
    read = read_vendor(path, Hints(channels=("Long", "Mult")))
    assert read.names == ("Mult", "Long")
    np.testing.assert_allclose(read.signal, signal, atol=8e-8)
    assert read_vendor(path, Hints(channels=("Force",))).sfreq == 200


def test_unit_of_spike2(tmp_path, signal):
    with pytest.raises(UnitError, match=r"in which unit channel Mult is .'deg' is no voltage"):
        read_vendor(vendor.write_smr(tmp_path, signal, unit="deg"), Hints())


# ------------------------------------------------------------------------------------------- range of the amplifier


def test_longest_run():
    assert longest_run(np.array([0, 1, 1, 0, 1, 1, 1, 0], dtype=bool)) == 3
    assert longest_run(np.array([[1, 1], [1, 1]], dtype=bool)) == 2
    assert longest_run(np.zeros(5, dtype=bool)) == 0


def test_range_of_a_header(tmp_path, signal):
    """That of an amplifier is wider than the signal, or the signal stays at its end; a writer's is touched once."""
    assert read_vendor(write_edf(tmp_path, signal), Hints()).limits == pytest.approx((-5e-3, 5e-3))
    clipped = read_vendor(write_edf(tmp_path, signal, limits=(-100.0, 100.0)), Hints())
    assert clipped.limits == pytest.approx((-1e-4, 1e-4))
    touched = (signal.min(), signal.max())
    assert not is_amplifier_range(signal, touched)


def test_channels_by_name_and_number():
    recording = VendorRecording(signal=np.zeros((2, 4)), names=("2", "ECG"), sfreq=1000.0)
    assert [recording.channel(name) for name in ("2", "ECG", "1")] == [0, 1, 0]
    with pytest.raises(InputError, match="no channel '3'; the file has 2, ECG"):
        recording.channel("3")


@pytest.mark.real
def test_real_files(real_data):
    read = read_vendor(real_data("mepfeatx") / "data" / "ID01.mat", Hints(units="uV", sfreq=3000, pulse_s=0.05))
    assert read.signal.shape == (1, 451 * 152)
    with pytest.raises(InputError, match=r"meps \(601 x 40\), raw_meps \(601 x 40\)"):
        read_vendor(real_data("mepfeatx") / "data" / "ID02.mat", Hints(units="uV", sfreq=3000, pulse_s=0.05))
    read = read_vendor(real_data("bids_emg") / "sub-01_task-isometric_emg.edf", Hints())
    assert (read.signal.shape, read.sfreq, read.limits) == ((128, 1000), 2000, None)
    with pytest.raises(InputError, match="header"):
        read_vendor(real_data("malformed") / "emg_Multimodal__sub-01_task-pullstand_emg.edf", Hints())
