"""The written study: valid BIDS, readable, the same for the same seed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.config import read_config
from lbpneuro.markers.structural import LEVELS
from lbpneuro.registry import MARKERS
from lbpneuro.simulate.anatomy import RESCAN_CV
from lbpneuro.simulate.cohort import simulate_cohort
from lbpneuro.simulate.stimulation import BLOCKS, MapSettings
from tests.oracles.bids import errors_of
from tests.oracles.files import content

COARSE = {"participants": 2, "resolution_mm": 8.0}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(content(path)).hexdigest() for path in files}


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarse")
    simulate_cohort(folder, seed=11, **COARSE)
    return folder


def difference(one: Path, other: Path) -> str:
    """In which bytes two files differ."""
    first, second = (np.frombuffer(content(path), dtype=np.uint8) for path in (one, other))
    if first.size != second.size:
        return f"{first.size} and {second.size} bytes"
    places = np.flatnonzero(first != second)
    return f"{places.size} of {first.size} bytes differ: {[(int(at), first[at], second[at]) for at in places[:20]]}"


def test_same_seed_gives_the_same_bytes_in_any_number_of_processes(coarse, tmp_path):
    simulate_cohort(tmp_path, seed=11, jobs=2, **COARSE)
    expected, found = digests(coarse), digests(tmp_path)
    assert found.keys() == expected.keys()
    assert {name: difference(tmp_path / name, coarse / name) for name in found if found[name] != expected[name]} == {}


def test_another_seed_gives_other_data_and_a_larger_cohort_the_same_people(coarse, tmp_path):
    simulate_cohort(tmp_path / "other", seed=12, participants=1, resolution_mm=8.0)
    simulate_cohort(tmp_path / "fewer", seed=11, participants=1, resolution_mm=8.0)
    first = {name: digest for name, digest in digests(coarse).items() if "/sub-01/" in name}
    other, fewer = digests(tmp_path / "other"), digests(tmp_path / "fewer")
    assert {name: fewer[name] for name in first} == first
    data = [name for name in first if name.endswith((".nii.gz", ".bdf", ".h5", "timeseries.tsv", "events.tsv"))]
    data = [
        name
        for name in data
        if not name.endswith("func/sub-01_task-rest_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz")
    ]
    assert len(data) > 20
    assert all(other[name] != first[name] for name in data)


@pytest.mark.parametrize("dataset", ["raw", "fmriprep"])
def test_the_official_validator_reports_no_error(study_folder, dataset):
    assert errors_of(study_folder / dataset) == []


def test_the_validator_is_asked_the_right_question(study_folder, tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"BIDSVersion": "1.11.0"}')
    assert errors_of(tmp_path)


def test_images_have_units_times_and_orientation(study_folder):
    bold = nib.load(next(study_folder.glob("fmriprep/sub-01/func/*desc-preproc_bold.nii.gz")))
    raw = nib.load(study_folder / "raw/sub-01/func/sub-01_task-rest_bold.nii.gz")
    sidecar = json.loads((study_folder / "raw/sub-01/func/sub-01_task-rest_bold.json").read_text())
    for image in (bold, raw):
        assert image.header.get_xyzt_units() == ("mm", "sec")
        np.testing.assert_allclose(image.header.get_zooms(), (4, 4, 4, sidecar["RepetitionTime"]), rtol=1e-6)
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert bold.shape[3] == raw.shape[3]
    assert bold.shape[3] * sidecar["RepetitionTime"] > 480


def test_the_recording_is_read_in_volts_with_its_muscles(study_folder):
    mne = pytest.importorskip("mne")
    folder = study_folder / "raw/sub-01/emg"
    raw = mne.io.read_raw_bdf(folder / "sub-01_task-motormap_emg.bdf", preload=True, verbose="error")
    assert raw.info["sfreq"] == 2000
    assert tuple(raw.ch_names) == MapSettings().muscles
    still = raw.get_data(tmax=1.0)
    assert 10e-6 < still.std(ddof=0) < 60e-6
    events = pd.read_csv(folder / "sub-01_task-motormap_events.tsv", sep="\t")
    assert len(events) == 42 * 5
    assert events["onset"].iloc[-1] + 0.2 < raw.times[-1]


def test_events_positions_and_muscles_fit_together(study_folder):
    folder = study_folder / "raw/sub-02"
    events = pd.read_csv(folder / "emg/sub-02_task-motormap_events.tsv", sep="\t")
    positions = pd.read_csv(folder / "nibs/sub-02_task-motormap_markers.tsv", sep="\t")
    counts = events["nibs_position_id"].value_counts()
    assert set(counts) == {5}
    assert set(counts.index) == set(positions["nibs_position_id"])
    assert sorted(set(np.diff(sorted(set(positions["position_x"]))))) == [10]
    blocks = pd.read_csv(folder / "emg/sub-02_task-plasticity_events.tsv", sep="\t")["block"]
    assert tuple(dict.fromkeys(blocks)) == BLOCKS


def test_truth_has_the_names_and_levels_of_the_registry(study_folder):
    truth = pd.read_csv(study_folder / "truth.tsv", sep="\t", keep_default_na=False)
    config = read_config()
    registered = {(marker.name, *level) for marker in MARKERS for level in marker.levels(config)}
    index = {marker.name: marker.index for marker in MARKERS}
    planted = {(row["marker"], *(row[column] for column in index[row["marker"]])) for row in truth.to_dict("records")}
    assert planted <= registered
    # simulated runs have one state, PET is planted on request, and changes in raw heads only
    plantable = [marker for marker in MARKERS if marker.family not in ("dynamic", "pet", "change")]
    leading = {(m.name, *level) for m in plantable for level in m.levels(config) if m.tier_at(level) == "primary"}
    assert leading <= planted
    assert {("gm_volume", *level) for level in LEVELS} <= planted
    assert not truth.duplicated([column for column in truth if column != "value"]).any()
    assert pd.to_numeric(truth["value"]).notna().all()


def test_segmentation_error_is_that_of_the_settings():
    stated = read_config()["structural"]["rescan_cv"]["fmriprep"]
    kinds = {"tiv": "tiv", "gm_total": "gm_total", "dlpfc": "cortex", "thalamus": "nucleus_tissue"}
    assert {name: stated[kind] for name, kind in kinds.items()} == dict(RESCAN_CV)


def test_groups_are_balanced_and_tables_described(study_folder):
    table = pd.read_csv(study_folder / "raw/participants.tsv", sep="\t")
    assert list(table["group"]) == ["LBP", "control"]
    dictionary = json.loads((study_folder / "raw/participants.json").read_text())
    assert set(dictionary) == set(table.columns)
    for name in ("rmdq", "nrs", "frebaq"):
        columns = pd.read_csv(study_folder / f"raw/phenotype/{name}.tsv", sep="\t").columns
        described = json.loads((study_folder / f"raw/phenotype/{name}.json").read_text())
        assert set(columns) | {"MeasurementToolMetadata"} == set(described)


def test_sessions_have_their_folders_and_progress_is_told(tmp_path):
    told = []
    simulate_cohort(
        tmp_path,
        participants=1,
        sessions=2,
        resolution_mm=8.0,
        progress=lambda done, total, what: told.append((done, total, what)),
    )
    assert told == [(1, 2, "sub-01/ses-01"), (2, 2, "sub-01/ses-02")]
    truth = pd.read_csv(tmp_path / "truth.tsv", sep="\t")
    assert set(truth["session_id"]) == {"ses-01", "ses-02"}
    assert (tmp_path / "raw/sub-01/ses-02/anat/sub-01_ses-02_T1w.nii.gz").is_file()
    volumes = truth.loc[truth["marker"] == "gm_total", "value"]
    assert volumes.max() / volumes.min() < 1.01
    assert truth.loc[truth["marker"] == "hp_index", "value"].nunique() == 6


@pytest.mark.parametrize(("name", "wrong"), [("participants", 0), ("sessions", 0), ("jobs", 0), ("resolution_mm", 0.5)])
def test_senseless_numbers_are_refused(tmp_path, name, wrong):
    with pytest.raises(InputError, match=name):
        simulate_cohort(tmp_path / "out", **{name: wrong})
    assert not (tmp_path / "out").exists()
