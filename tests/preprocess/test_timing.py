"""The repetition time of raw runs: what contradicts it is refused or said."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.preprocess.timing import events_of, run_timing

N_TIME = 30


@pytest.fixture
def bold(tmp_path):
    return tmp_path / "sub-01_task-rest_bold.nii.gz"


def timing(path, sidecar, *, header=0.0, unit="sec", onsets=None, n_time=N_TIME):
    """What is found for a run with this sidecar, header and events."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2, n_time), dtype=np.int16), np.eye(4))
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = header
    path.with_name("sub-01_task-rest_bold.json").write_text(json.dumps(sidecar))
    if onsets is not None:
        rows = "".join(f"{onset}\t1.0\tpress\n" for onset in onsets)
        path.with_name("sub-01_task-rest_events.tsv").write_text(f"onset\tduration\ttrial_type\n{rows}")
    return run_timing(path, image, read_metadata(path))


def test_sidecar_and_header_agree(bold):
    found = timing(bold, {"RepetitionTime": 2.0}, header=2.0)
    assert (found.t_r, found.warnings) == (2.0, ())


def test_header_alone(bold):
    assert timing(bold, {}, header=2500.0, unit="msec").t_r == 2.5


@pytest.mark.parametrize(("unit", "words"), [("sec", "unit sec"), ("unknown", "unit unknown")])
def test_milliseconds_under_another_unit(bold, unit, words):
    found = timing(bold, {"RepetitionTime": 2.0}, header=2000.0, unit=unit)
    assert found.t_r == 2.0
    assert len(found.warnings) == 1
    assert words in found.warnings[0]


@pytest.mark.parametrize(
    ("sidecar", "header", "words"),
    [
        ({}, 0.0, "no RepetitionTime"),
        ({"RepetitionTime": 2000}, 0.0, r"milliseconds.*write 2\."),
        ({"RepetitionTime": 2.0}, 1.79355, r"2 s in the JSON sidecar, but 1\.79355 s in the NIfTI header"),
        ({"RepetitionTime": 2.0}, 1793.55, r"2 s in the JSON sidecar, but 1\.79355 s in the NIfTI header"),
        ({"RepetitionTime": "2"}, 0.0, "must be a number"),
        ({"VolumeTiming": [0, 2, 4]}, 0.0, "VolumeTiming must be a list.*30 volumes; found 3 numbers"),
        ({"VolumeTiming": ["a"] * N_TIME}, 0.0, "found 0 numbers"),
        ({"VolumeTiming": [*range(N_TIME - 1), 40]}, 0.0, "not evenly spaced.*steps of 1 to 12 s"),
    ],
)
def test_what_cannot_be_used(bold, sidecar, header, words):
    with pytest.raises(InputError, match=words) as caught:
        timing(bold, sidecar, header=header)
    assert bold.name in str(caught.value)


def test_even_volume_times_are_a_repetition_time(bold):
    assert timing(bold, {"VolumeTiming": [2.2 * k for k in range(N_TIME)], "AcquisitionDuration": 2.0}).t_r == (
        pytest.approx(2.2)
    )


def test_events_that_go_on_after_the_end(bold):
    """30 volumes of 1.8 s end at 54 s; an event at 58 s would need 1.933 s."""
    sidecar = {"RepetitionTime": 1.8, "RepetitionTimeExcitation": 2.0, "MRAcquisitionType": "2D"}
    words = r"1\.8 s end at 54\.0 s.*sub-01_task-rest_events\.tsv begins at 58\.0 s.*at least 1\.933 s.*Excitation.*2 s"
    with pytest.raises(InputError, match=words):
        timing(bold, sidecar, onsets=[1.0, 58.0])
    with pytest.raises(InputError, match=r"at least 1\.933 s then\): correct"):
        timing(bold, {"RepetitionTime": 1.8}, onsets=[1.0, 58.0])


def test_an_event_with_the_end_of_the_last_volume_is_fine(bold):
    assert timing(bold, {"RepetitionTime": 1.8}, onsets=["n/a", 1.0, 55.0]).warnings == ()
    assert timing(bold, {"RepetitionTime": 1.8}, onsets=[]).warnings == ()


def test_two_repetition_times_in_the_sidecar_are_said(bold):
    sidecar = {"RepetitionTime": 1.8, "RepetitionTimeExcitation": 2.0}
    found = timing(bold, {**sidecar, "MRAcquisitionType": "2D"})
    assert found.t_r == 1.8
    assert "1.8 s, but RepetitionTimeExcitation 2 s" in found.warnings[0]
    assert timing(bold, {**sidecar, "MRAcquisitionType": "3D"}).warnings == ()
    assert timing(bold, {**sidecar, "MRAcquisitionType": "2D", "RepetitionTimeExcitation": 1.8}).warnings == ()


def test_events_that_are_no_events_are_said(bold):
    bold.with_name("sub-01_task-rest_events.tsv").write_text("time\tpress\n1\t2\n")
    assert "column onset is missing; found time, press" in timing(bold, {"RepetitionTime": 2.0}).warnings[0]


def test_events_of_echoes_and_parts(tmp_path):
    path = tmp_path / "sub-01_task-x_run-1_echo-2_part-mag_bold.nii.gz"
    assert events_of(path).name == "sub-01_task-x_run-1_events.tsv"


@pytest.mark.real
def test_a_converter_that_took_the_wrong_repetition_time(real_data, tmp_path):
    """Header and sidecar of the converter agree on 1.79355 s; events to 291 s do not fit into 156 volumes of that."""
    folder = real_data("studyforrest")
    (source,) = folder.glob("sub-*/func/*_bold.nii.gz")
    image = nib.load(source)
    assert run_timing(source, image, read_metadata(source)).t_r == 2.0
    (events,) = folder.glob("sub-*/func/*_events.tsv")
    shutil.copy(events, tmp_path)
    (sidecar,) = (folder / "raw_dcm2niix").glob("func*.json")
    metadata = json.loads(sidecar.read_text())
    copy = tmp_path / source.name
    shutil.copy(sidecar, copy.with_name(copy.name.replace(".nii.gz", ".json")))
    image.header["pixdim"][4] = metadata["RepetitionTime"]
    with pytest.raises(InputError, match=r"1\.79355 s end at 279\.8 s.*291\.0 s.*RepetitionTimeExcitation.*2 s"):
        run_timing(copy, image, metadata)
    (tmp_path / events.name).unlink()
    assert "1.79355 s, but RepetitionTimeExcitation 2 s" in run_timing(copy, image, metadata).warnings[0]
