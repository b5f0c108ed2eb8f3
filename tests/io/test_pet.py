"""The files of a PET scan: units, decay, frames, blood, tables of curves, people, and the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io import pet, pet_blood, pet_curves, pet_images
from lbpneuro.io.config import read_config
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.pet_plan import pet_files
from lbpneuro.io.regions import read_regions
from lbpneuro.io.resources import workflow_folder
from lbpneuro.markers.pet import Affinity

SETTINGS = read_config()["pet"]
REGIONS = read_regions(workflow_folder() / "config" / "rois.tsv")
N = 4
METADATA: dict[str, Any] = {
    "TracerName": "PBR28",
    "TracerRadionuclide": "C11",
    "Units": "Bq/mL",
    "InjectedRadioactivity": 400,
    "InjectedRadioactivityUnits": "MBq",
    "FrameTimesStart": [0, 600, 3600, 4500],
    "FrameDuration": [600, 3000, 900, 900],
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "InjectionStart": 0,
}


# ------------------------------------------------------------------------------------------------------------ metadata


@pytest.mark.parametrize(("unit", "factor"), [("Bq/mL", 1), ("kBq/ml", 1e3), ("nCi/cc", 37), ("MBq/cm3", 1e6)])
def test_units_of_activity(unit: str, factor: float) -> None:
    assert pet.activity_factor(unit, where="x") == factor


@pytest.mark.parametrize("unit", [None, "SUV", "g/mL", "Bq", "Bq/kg"])
def test_what_is_no_activity_per_volume_is_refused(unit: str | None) -> None:
    with pytest.raises(UnitError, match="sub-01"):
        pet.activity_factor(unit, where="sub-01")


def test_dose_in_any_unit() -> None:
    assert pet.dose_bq(METADATA, where="x") == 4e8
    assert pet.dose_bq({"InjectedRadioactivity": 10, "InjectedRadioactivityUnits": "mCi"}, where="x") == 3.7e8
    assert np.isnan(pet.dose_bq({}, where="x"))
    for bad in ({"InjectedRadioactivity": 400}, {**METADATA, "InjectedRadioactivity": "400"}):
        with pytest.raises(UnitError, match="InjectedRadioactivity"):
            pet.dose_bq(bad, where="x")


def test_frames_after_the_injection_with_their_decay() -> None:
    found = pet.read_frames(METADATA, n_frame=N, where="x")
    np.testing.assert_array_equal(found.start_s, METADATA["FrameTimesStart"])
    np.testing.assert_array_equal(found.factor, 1)
    later = pet.read_frames({**METADATA, "InjectionStart": 60, "Units": "kBq/mL"}, n_frame=N, where="x")
    np.testing.assert_array_equal(later.start_s, np.array(METADATA["FrameTimesStart"]) - 60)
    half_life = 20.34 * 60
    # corrected to TimeZero, 60 s before the injection: what was injected then had decayed less
    np.testing.assert_allclose(later.factor, 1e3 * 2 ** (-60 / half_life))
    scan_end = {**METADATA, "ImageDecayCorrectionTime": half_life}
    np.testing.assert_allclose(pet.read_frames(scan_end, n_frame=N, where="x").factor, 2)


def test_frames_that_are_not_corrected_are_corrected() -> None:
    found = pet.read_frames({**METADATA, "ImageDecayCorrected": False}, n_frame=N, where="x")
    decay = np.log(2) / (20.34 * 60)
    steps = np.arange(0.5, 900) + 4500
    assert found.factor[3] == pytest.approx(1 / np.mean(np.exp(-decay * steps)), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"FrameTimesStart": None}, "FrameTimesStart"),
        ({"FrameDuration": [600, 3000, 900]}, "FrameDuration"),
        ({"FrameDuration": [600, 3000, 900, True]}, "FrameDuration"),
        ({"FrameTimesStart": [600, 0, 3600, 4500]}, "increase"),
        ({"ImageDecayCorrected": None}, "ImageDecayCorrected"),
        ({"TracerRadionuclide": "O15"}, "TracerRadionuclide"),
        ({"Units": "SUV"}, "Units"),
        ({"InjectionStart": "noon"}, "InjectionStart"),
    ],
)
def test_metadata_that_do_not_do_are_named(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        pet.read_frames({**METADATA, **change}, n_frame=N, where="x")


@pytest.mark.parametrize("name", ["C11", "11C", "C-11", "[11C]"])
def test_nuclides_however_written(name: str) -> None:
    assert pet.nuclide_decay({"TracerRadionuclide": name}, where="x") == pytest.approx(np.log(2) / 1220.4)


# -------------------------------------------------------------------------------------------------------------- people


def person(**columns: Any) -> pet.Individual:
    return pet.read_individual(pd.Series({"participant_id": "sub-01", **columns}), SETTINGS)


@pytest.mark.parametrize(
    ("code", "affinity"),
    [("HAB", "HAB"), ("c/c", "HAB"), ("Ala/Thr", "MAB"), ("CT", "MAB"), (" T/T ", "LAB"), ("LAB", "LAB")],
)
def test_codes_of_the_genotype(code: str, affinity: str) -> None:
    assert person(rs6971=code).affinity == Affinity(affinity)
    assert person(TSPO_genotype=code).affinity == Affinity(affinity)


def test_what_is_not_known_stays_unknown() -> None:
    assert person().affinity is Affinity.UNKNOWN
    assert person(rs6971=None).notes == ()
    found = person(rs6971="A/A")  # alanine twice, or adenine twice: the opposite
    assert found.affinity is Affinity.UNKNOWN
    assert "A/A" in found.notes[0]


def test_mass_in_kilograms_alone() -> None:
    assert person(weight=72.5).mass_g == 72500
    assert np.isnan(person(weight=None).mass_g)
    for wrong in (72500, 0.07, "heavy"):
        found = person(weight=wrong)
        assert np.isnan(found.mass_g)
        assert "kg" in found.notes[0]


def test_drugs_that_bind() -> None:
    assert person(benzodiazepine="yes").ligand is True
    assert person(benzodiazepine=0).ligand is False
    assert person().ligand is None


def test_the_row_of_a_person() -> None:
    assert pet.person_row(pd.DataFrame({"weight": [70.0]}))["weight"] == 70


# --------------------------------------------------------------------------------------------------------------- files


def touched(folder: Path, *names: str) -> list[Path]:
    found = []
    for name in names:
        path = folder / "sub-01" / ("anat" if "_T1w" in name or "mask" in name or "xfm" in name else "pet") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        found.append(path)
    return found


def test_an_image_in_a_known_space_comes_before_a_table_and_this_before_a_raw_image(tmp_path: Path) -> None:
    raw, t1w, mni, table = touched(
        tmp_path,
        "sub-01_pet.nii.gz",
        "sub-01_space-T1w_desc-preproc_pet.nii.gz",
        "sub-01_space-MNI152NLin2009cAsym_desc-preproc_pet.nii.gz",
        "sub-01_seg-gtm_desc-preproc_tacs.tsv",
    )
    for files, expected, space in (
        ([raw, t1w, mni, table], mni, "MNI152NLin2009cAsym"),
        ([raw, t1w, table], t1w, "T1w"),
        ([raw, table], table, "raw"),
        ([raw], raw, "raw"),
    ):
        found = pet.find_scan(files, bids_dir=tmp_path, settings=SETTINGS)
        assert (found.main, found.space) == (expected, space)
        assert found.from_image is (expected != table)


def test_the_scan_of_a_tspo_tracer_is_found_with_its_own_files(tmp_path: Path) -> None:
    files = touched(
        tmp_path,
        "sub-01_trc-DASB_pet.nii.gz",
        "sub-01_trc-PBR28_pet.nii.gz",
        "sub-01_trc-PBR28_recording-manual_blood.tsv",
        "sub-01_trc-DASB_recording-manual_blood.tsv",
        "sub-01_trc-PBR28_desc-confounds_timeseries.tsv",
        "sub-01_desc-preproc_T1w.nii.gz",
    )
    write_json(tmp_path / "sub-01" / "pet" / "sub-01_trc-PBR28_pet.json", {"TracerName": "[11C]PBR28"})
    write_json(tmp_path / "sub-01" / "pet" / "sub-01_trc-DASB_pet.json", {"TracerName": "DASB"})
    found = pet.find_scan(files, bids_dir=tmp_path, settings=SETTINGS)
    assert found.main.name == "sub-01_trc-PBR28_pet.nii.gz"
    assert [path.name for path in found.blood] == ["sub-01_trc-PBR28_recording-manual_blood.tsv"]
    assert found.confounds is not None
    assert [path.name for path in found.anatomy] == ["sub-01_desc-preproc_T1w.nii.gz"]


def test_metadata_of_a_derivative_are_those_of_the_raw_image_where_it_has_none(tmp_path: Path) -> None:
    raw, derived = tmp_path / "raw", tmp_path / "derived"
    (raw / "sub-01" / "pet").mkdir(parents=True)
    write_json(raw / "sub-01" / "pet" / "sub-01_pet.json", METADATA)
    (table,) = touched(derived, "sub-01_desc-preproc_tacs.tsv")
    write_json(table.with_suffix(".json"), {"Units": "kBq/mL"})
    found = pet.find_scan([table], bids_dir=raw, settings=SETTINGS)
    assert found.metadata["InjectedRadioactivity"] == 400
    assert found.metadata["Units"] == "kBq/mL"


def test_a_table_without_correction_for_partial_volume_is_preferred(tmp_path: Path) -> None:
    tables = touched(
        tmp_path,
        "sub-01_pvc-gtm_desc-mc_tacs.tsv",
        "sub-01_pvc-nopvc_desc-mc_tacs.tsv",
        "sub-01_ref-cerebellum_desc-mc_tacs.tsv",
    )
    assert pet.find_scan(tables, bids_dir=tmp_path, settings=SETTINGS).main.name == "sub-01_pvc-nopvc_desc-mc_tacs.tsv"


def test_pet_files_without_activity_are_refused(tmp_path: Path) -> None:
    files = touched(tmp_path, "sub-01_recording-manual_blood.tsv")
    with pytest.raises(InputError, match="manual_blood") as caught:
        pet.find_scan(files, bids_dir=tmp_path, settings=SETTINGS)
    assert caught.value.reason is Reason.NO_DERIVATIVE


# --------------------------------------------------------------------------------------------------------------- blood


def blood(folder: Path, table: dict[str, Any], *, name: str = "recording-manual_blood", unit: str = "kBq/mL") -> Path:
    path = folder / f"sub-01_{name}.tsv"
    write_tsv(path, pd.DataFrame(table))
    write_json(path.with_suffix(".json"), {column: {"Units": unit} for column in table if column != "time"})
    return path


def frames() -> pet.Frames:
    return pet.read_frames(METADATA, n_frame=N, where="x")


def test_parent_is_plasma_times_its_share(tmp_path: Path) -> None:
    path = blood(
        tmp_path,
        {
            "time": [-10, 60, 120, 5400],
            "plasma_radioactivity": [-1, 10.0, 4, 4],
            "metabolite_parent_fraction": [None, None, 0.5, 0.5],
            "whole_blood_radioactivity": [0, 6.0, 6, 6],
        },
    )
    found = pet_blood.read_plasma([path], frames=frames(), injected_s=0)
    assert found is not None
    # rises from 0 to 10 at 60 s, falls by a factor exp(-t/65.5) to 4 at 120 s, stays; the share goes from 1 to 0.5 and
    # arrives there level, as it stays at 0.5
    t = np.arange(0.025, 120, 0.05)
    plasma = np.where(t < 60, t / 6, 10 * np.exp(-(t - 60) / 60 * np.log(2.5)))
    share = PchipInterpolator([0, 120, 5400], [1, 0.5, 0.5])(t)
    edge = np.sum(plasma * share) * 0.05
    assert found.integral[0] == pytest.approx(1e3 * (edge + 180 * 2), rel=2e-3)
    assert found.integral[3] == pytest.approx(1e3 * (edge + (4950 - 120) * 2), rel=1e-3)
    np.testing.assert_allclose(found.blood[1:], 6e3)


def test_an_input_function_is_taken_as_it_is_and_blood_from_the_denser_recording(tmp_path: Path) -> None:
    given = blood(tmp_path, {"time": [0.0, 100, 5400], "AIF": [0, 5.0, 5]}, name="inputfunction", unit="Bq/mL")
    dense = blood(
        tmp_path, {"time": np.arange(0, 5401, 10.0), "whole_blood_radioactivity": 8.0}, name="recording-a_blood"
    )
    sparse = blood(tmp_path, {"time": [0.0, 5400], "whole_blood_radioactivity": [9.0, 9]}, name="recording-m_blood")
    found = pet_blood.read_plasma([dense, sparse, given], frames=frames(), injected_s=0)
    assert found is not None
    assert found.integral[3] == pytest.approx(250 + 4850 * 5)
    np.testing.assert_allclose(found.blood, 8e3)


def test_times_and_decay_are_those_of_the_injection(tmp_path: Path) -> None:
    path = blood(tmp_path, {"time": [60.0, 160, 5460], "AIF": [0, 5.0, 5]}, name="inputfunction", unit="Bq/mL")
    found = pet_blood.read_plasma([path], frames=frames(), injected_s=60)
    assert found is not None
    assert found.integral[3] == pytest.approx((250 + 4850 * 5) * 2 ** (-60 / 1220.4))


def test_plasma_that_falls_to_nothing_is_straight(tmp_path: Path) -> None:
    table = {"time": [60.0, 120, 180], "plasma_radioactivity": [4.0, 2, 0], "metabolite_parent_fraction": [1.0, 1, 1]}
    found = pet_blood.read_plasma([blood(tmp_path, table)], frames=frames(), injected_s=0)
    assert found is not None
    assert found.integral[3] == pytest.approx(1e3 * (120 + 180 + 60))


def test_sparse_samples_of_a_falling_curve_have_its_area(tmp_path: Path) -> None:
    times = np.array([0.0, 60, 120, 300, 600, 1200, 1800, 3000, 4200, 5400])
    plasma = np.where(times < 60, 0, 20 * np.exp(-(times - 60) / 1500))
    table = {"time": times, "plasma_radioactivity": plasma, "metabolite_parent_fraction": 1.0}
    found = pet_blood.read_plasma([blood(tmp_path, table)], frames=frames(), injected_s=0)
    assert found is not None
    truth = 1e3 * (60 * 20 / 2 + 20 * 1500 * (1 - np.exp(-(4950 - 60) / 1500)))
    assert found.integral[3] == pytest.approx(truth, rel=1e-3)


def test_blood_without_metabolites_is_no_input(tmp_path: Path) -> None:
    path = blood(tmp_path, {"time": [0.0, 60], "plasma_radioactivity": [0, 9.0]})
    assert pet_blood.read_plasma([path], frames=frames(), injected_s=0) is None
    assert pet_blood.read_plasma([], frames=frames(), injected_s=0) is None


def test_blood_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="plasma_radioactivity"):
        bad = blood(tmp_path, {"time": [0.0], "plasma_radioactivity": [1.0]}, unit="counts")
        pet_blood.read_plasma([bad], frames=frames(), injected_s=0)
    with pytest.raises(InputError, match="column time"):
        pet_blood.read_plasma([blood(tmp_path, {"AIF": [1.0]})], frames=frames(), injected_s=0)
    with pytest.raises(InputError, match="numbers"):
        pet_blood.read_plasma([blood(tmp_path, {"time": [0], "AIF": ["high"]})], frames=frames(), injected_s=0)
    with pytest.raises(InputError, match="after the injection"):
        pet_blood.read_plasma([blood(tmp_path, {"time": [-5.0], "AIF": [1.0]})], frames=frames(), injected_s=0)


# -------------------------------------------------------------------------------------------------------------- curves


TIMES = {"frame_start": [0, 600, 3600, 4500], "frame_end": [600, 3600, 4500, 5400]}


def curve_scan(folder: Path, table: dict[str, Any], **more: Any) -> pet.ScanFiles:
    path = folder / "sub-01_desc-preproc_tacs.tsv"
    write_tsv(path, pd.DataFrame(table))
    return pet.ScanFiles(
        image=None,
        space="raw",
        curves=path,
        volumes=more.pop("volumes", None),
        confounds=None,
        blood=(),
        anatomy=(),
        metadata={**METADATA, **more},
    )


def test_columns_by_the_names_of_freesurfer(tmp_path: Path) -> None:
    table = {
        **TIMES,
        "Left-Thalamus-Proper": [1.0, 2, 3, 4],
        "Right-Thalamus": [3.0, 4, 5, 6],
        "ctx-lh-rostralanteriorcingulate": [1.0, 1, 1, 1],
        "ctx-rh-rostralanteriorcingulate": [3.0, 3, 3, 3],
        "left_caudate": [1.0, 1, 1, 1],
    }
    found = pet_curves.read_curves(curve_scan(tmp_path, table), regions=REGIONS, settings=SETTINGS)
    np.testing.assert_allclose(found.curves["thalamus", "L"], [1, 2, 3, 4])
    np.testing.assert_allclose(found.curves["thalamus", "n/a"], [2, 3, 4, 5])
    np.testing.assert_allclose(found.curves["pgacc", "n/a"], 2)
    assert set(found.curves) == {("thalamus", "L"), ("thalamus", "R"), ("thalamus", "n/a"), ("pgacc", "n/a")}
    assert found.columns["thalamus", "n/a"] == ("Left-Thalamus-Proper", "Right-Thalamus")


def test_volumes_beside_the_table_weight_its_columns(tmp_path: Path) -> None:
    morph = tmp_path / "sub-01_desc-preproc_morph.tsv"
    names = ["Left-Thalamus", "Right-Thalamus"]
    write_tsv(morph, pd.DataFrame({"index": [10, 49], "name": names, "volume-mm3": [1000.0, 3000]}))
    table = {**TIMES, "Left-Thalamus": [4.0] * N, "Right-Thalamus": [8.0] * N}
    scan = curve_scan(tmp_path, table, volumes=morph)
    found = pet_curves.read_curves(scan, regions=REGIONS, settings=SETTINGS)
    np.testing.assert_allclose(found.curves["thalamus", "n/a"], 7)
    write_tsv(morph, pd.DataFrame({"other": [1]}))
    plain = pet_curves.read_curves(scan, regions=REGIONS, settings=SETTINGS)
    np.testing.assert_allclose(plain.curves["thalamus", "n/a"], 6)


def test_own_names_and_units(tmp_path: Path) -> None:
    table = {**TIMES, "THA": [1.0] * N, "WB": [2.0] * N, "s1": [3.0] * N, "occ": [4.0] * N}
    settings = {**SETTINGS, "curve_columns": {"thalamus": ["THA"], "occipital": ["occ"]}}
    found = pet_curves.read_curves(curve_scan(tmp_path, table, Units="kBq/mL"), regions=REGIONS, settings=settings)
    assert {name: curve[0] for name, curve in found.curves.items()} == {
        ("thalamus", "n/a"): 1e3,
        ("whole_brain", "n/a"): 2e3,
        ("s1", "n/a"): 3e3,
        ("occipital", "n/a"): 4e3,
    }
    wrong = {**SETTINGS, "curve_columns": {"thalamus": ["thal"]}}
    with pytest.raises(InputError, match=r"curve_columns\.thalamus"):
        pet_curves.read_curves(curve_scan(tmp_path, table), regions=REGIONS, settings=wrong)


def test_a_long_table_and_frames_without_duration(tmp_path: Path) -> None:
    rows = [
        {"region": name, "volume_mm3": size, "frame_start": start, "frame_end": end, "TAC": value + start}
        for name, size, value in (("Left-Thalamus", 1.0, 1), ("Right-Thalamus", 3.0, 5))
        for start, end in zip(*TIMES.values(), strict=True)
    ]
    rows += [{**row, "frame_end": row["frame_start"], "frame_start": -1} for row in rows if row["frame_start"] == 0]
    scan = curve_scan(
        tmp_path, pd.DataFrame(rows).assign(frame_start=lambda t: t["frame_start"].clip(0)).to_dict("list")
    )
    found = pet_curves.read_curves(scan, regions=REGIONS, settings=SETTINGS)
    np.testing.assert_allclose(found.curves["thalamus", "n/a"], np.array(TIMES["frame_start"]) + 4)
    np.testing.assert_array_equal(found.frames.duration_s, METADATA["FrameDuration"])
    twice = pd.DataFrame([*rows, rows[0]]).to_dict("list")
    with pytest.raises(InputError, match="one row per frame and region"):
        pet_curves.read_curves(curve_scan(tmp_path, twice), regions=REGIONS, settings=SETTINGS)


def test_tables_that_do_not_do_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frame_start"):
        pet_curves.read_curves(curve_scan(tmp_path, {"THA": [1.0]}), regions=REGIONS, settings=SETTINGS)
    minutes = {"frame_start": [0, 10, 60, 75], "frame_end": [10, 60, 75, 90], "s1": [1.0] * N}
    with pytest.raises(InputError, match="units"):
        pet_curves.read_curves(curve_scan(tmp_path, minutes), regions=REGIONS, settings=SETTINGS)
    text = {**TIMES, "s1": ["high"] * N}
    with pytest.raises(InputError, match="s1"):
        pet_curves.read_curves(curve_scan(tmp_path, text), regions=REGIONS, settings=SETTINGS)
    with pytest.raises(ValueError, match="table"):
        image = pet.ScanFiles(
            image=None, space="raw", curves=None, volumes=None, confounds=None, blood=(), anatomy=(), metadata={}
        )
        pet_curves.read_curves(image, regions=REGIONS, settings=SETTINGS)
    with pytest.raises(ValueError, match="image or curves"):
        _ = image.main


# ------------------------------------------------------------------------------------------------------ images and plan


def test_images_that_hold_nothing_are_named(tmp_path: Path) -> None:
    import nibabel as nib

    from lbpneuro.io.files import write_nifti

    path = tmp_path / "sub-01_pet.nii.gz"
    write_nifti(path, nib.Nifti1Image(np.zeros((4, 4, 4, 2), np.float32), np.eye(4)))
    with pytest.raises(InputError, match="no activity"):
        pet_images.read_series(path)
    write_nifti(path, nib.Nifti1Image(np.ones((4, 4), np.float32), np.eye(4)))
    with pytest.raises(InputError, match="three dimensions"):
        pet_images.read_series(path)
    write_nifti(path, nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)))
    assert pet_images.read_series(path)[0].shape == (4, 4, 4, 1)
    whole = nib.Nifti1Image(np.ones((9, 9, 9, 2), np.float32), np.eye(4)).to_bytes()
    cut = tmp_path / "cut_pet.nii"
    cut.write_bytes(whole[:2000])
    with pytest.raises(InputError, match="cut off"):
        pet_images.read_series(cut)


def row(name: str, *, dataset: str = "raw", exists: bool = True, **more: str) -> dict[str, Any]:
    from lbpneuro.io.index import entities

    path = f"/{dataset}/sub-01/{'pet' if '_pet' in name or '.tsv' in name else 'anat'}/{name}"
    return {**entities(path), "dataset": dataset, "path": path, "exists": exists, **more}


RAW, BLOOD = row("sub-01_pet.nii.gz"), row("sub-01_recording-manual_blood.tsv")
TABLE = row("sub-01_desc-preproc_tacs.tsv", dataset="petprep")
ALIGNED = row("sub-01_space-T1w_desc-preproc_pet.nii.gz", dataset="petprep")
WAY = row("sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5", dataset="fmriprep")
HEAD = row("sub-01_desc-preproc_T1w.nii.gz", dataset="fmriprep")
MANIFEST = {"path": "/out/sub-01_desc-embedded_anat.json", "exists": True}


def names(found: list[dict[str, Any]]) -> set[str]:
    return {Path(each["path"]).name for each in found}


def test_the_plan_takes_what_each_kind_of_scan_needs(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\n")
    people = "participants.tsv"
    found, embedded = pet_files([RAW, BLOOD, TABLE], [HEAD, WAY], [MANIFEST], raw=tmp_path)
    assert (names(found), embedded) == ({names([TABLE]).pop(), names([BLOOD]).pop(), people}, False)
    found, embedded = pet_files([RAW, BLOOD], [HEAD, WAY, WAY], [MANIFEST], raw=tmp_path)
    assert (names(found), embedded) == (names([RAW, BLOOD, HEAD, WAY]) | {people}, False)
    assert len(found) == 5
    found, embedded = pet_files([RAW], [HEAD], [MANIFEST], raw=tmp_path)
    assert (names(found), embedded) == (names([RAW, MANIFEST]) | {people}, True)
    found, embedded = pet_files([RAW, ALIGNED], [WAY], [], raw=tmp_path)
    assert (names(found), embedded) == (names([ALIGNED, WAY]) | {people}, False)
    assert pet_files([RAW], [], [], raw=tmp_path)[1] is False
    assert pet_files([], [WAY], [MANIFEST], raw=tmp_path) == ([], False)


def test_a_scan_that_was_not_fetched_is_absent_and_nothing_else_is_there(tmp_path: Path) -> None:
    gone = {**RAW, "exists": False}
    assert pet_files([gone, BLOOD], [WAY, HEAD], [MANIFEST], raw=tmp_path) == ([gone], False)
