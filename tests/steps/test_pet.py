"""The step from the files of a simulated visit to rows, curves and the map of the uptake ratio."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_json, write_json, write_nifti, write_tsv
from lbpneuro.io.plan import make_plan
from lbpneuro.registry import family
from lbpneuro.simulate.anatomy import anatomy
from lbpneuro.simulate.imaging_files import write_derived_anatomy
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.pet import PetSettings, affinity
from lbpneuro.simulate.pet_files import pet_columns, write_pet
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow
from lbpneuro.steps.pet import main

VOXEL_MM = 8.0
RESCAN = {"suvr": 0.09, "suv": 0.1, "vt": 0.18}
Simulated = tuple[Study, Visit, list[TruthRow]]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    study = Study(root=tmp_path_factory.mktemp("pet"), voxel_mm=VOXEL_MM, pet=PetSettings())
    one = person(1, seed=4, effect=1.0)
    visit = Visit(one, 0, 4)
    planted = write_pet(study, visit)
    head = anatomy(visit, voxel_mm=VOXEL_MM, settings=study.anatomy)
    write_derived_anatomy(study.fmriprep / visit.folder / "anat", visit, head=head)
    for folder, kind in ((study.raw, "raw"), (study.fmriprep, "derivative")):
        about = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": kind}
        write_json(folder / "dataset_description.json", about)
    columns, _ = pet_columns([one], seed=4)
    write_tsv(study.raw / "participants.tsv", pd.DataFrame({"participant_id": ["sub-01"], **columns}))
    return study, visit, planted


def settings(study: Study, out: Path, *, raw: Path | None = None, **pet: Any) -> dict[str, Any]:
    folders = {"bids_dir": str(raw or study.raw), "out_dir": str(out), "work_dir": str(out / "work")}
    dataset = {**folders, "derivatives": {"fmriprep": str(study.fmriprep)}}
    return resolve(read_config(overrides={"dataset": dataset, "pet": pet}))


def rows_of(config: dict[str, Any], files: list[str], out: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    write_json(out / "config.json", config)
    target = out / "sub-01" / "pet" / "sub-01_desc-pet_markers.tsv"
    arguments = ["--in", *files, "--out", str(target), "--config", str(out / "config.json")]
    assert main([*arguments, "--participant", "sub-01"]) == 0
    table = pd.read_csv(target, sep="\t", na_values="n/a", keep_default_na=False)
    table[["roi", "hemi"]] = table[["roi", "hemi"]].fillna("n/a")
    return table.set_index(["marker", "roi", "hemi"]).sort_index(), json.loads(target.with_suffix(".json").read_text())


def planned(config: dict[str, Any], study: Study) -> list[str]:
    plan = make_plan(config, {"raw": study.raw, "fmriprep": study.fmriprep})
    unit = plan["units"]["sub-01"]
    assert unit["preprocess_anat"] == {}  # the derivative has the anatomy
    return list(unit["files"]["pet"])


@pytest.fixture(scope="module")
def analysed(
    simulated: Simulated, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, dict[str, Any], Path]:
    """The rows of the raw frames, aligned to the T1w image."""
    study, _, _ = simulated
    out = tmp_path_factory.mktemp("out")
    config = settings(study, out)
    return *rows_of(config, planned(config, study), out), out


def test_from_the_plan_to_rows(simulated: Simulated, analysed: tuple[pd.DataFrame, dict[str, Any], Path]) -> None:
    _, _, planted = simulated
    rows, sidecar, _ = analysed
    assert set(rows.index.get_level_values("marker")) == {marker.name for marker in family("pet")}
    assert set(rows["status"]) == {"ok"}
    assert len(planted) == 65
    for row in planted:
        found = rows.loc[(row["marker"], row["roi"], row["hemi"])]
        assert abs(found["value"] - row["value"]) < 2.5 * found["se"], row
    assert rows.loc[("pet_motion", "n/a", "n/a"), "value"] < 1.5
    assert rows.loc[("pet_window_covered", "n/a", "n/a"), "value"] == pytest.approx(1)
    assert sidecar["Space"] == "T1w"
    assert sidecar["ArterialInput"] is True
    assert sidecar["BloodVolumeTakenAway"] is True
    assert len(sidecar["Outputs"]) == 2


def test_curves_and_map_are_written(analysed: tuple[pd.DataFrame, dict[str, Any], Path]) -> None:
    rows, _, out = analysed
    curves = pd.read_csv(out / "sub-01" / "pet" / "sub-01_desc-regions_tacs.tsv", sep="\t")
    assert {"frame_start", "frame_end", "thalamus", "thalamus_L", "occipital"} <= set(curves)
    late = curves["frame_start"] >= 3600
    ratio = curves["thalamus"][late].sum() / curves["occipital"][late].sum()
    suvr = rows.loc[("tspo_suvr", "thalamus", "n/a"), "value"]
    assert ratio == pytest.approx(suvr, rel=0.05)
    image = nib.load(out / "sub-01" / "pet" / "sub-01_space-T1w_desc-suvr_pet.nii.gz")
    values = np.asarray(image.dataobj)
    assert np.nanmedian(values) == pytest.approx(1, abs=0.25)
    largest = rows.loc[("tspo_max", "thalamus", "n/a"), "value"]
    assert np.isclose(values[np.isfinite(values)], largest, rtol=1e-4).any()


def as_table(study: Study, out: Path, folder: Path, *, pvc: str = "nopvc") -> Path:
    """The curves of the raw frames as PETPrep would have written them, in Bq/mL."""
    table = pd.read_csv(out / "sub-01" / "pet" / "sub-01_desc-regions_tacs.tsv", sep="\t")
    columns = [name for name in table if not str(name).startswith("frame_")]
    table[columns] *= 1e3
    path = folder / "sub-01" / "pet" / f"sub-01_pvc-{pvc}_desc-mc_tacs.tsv"
    write_tsv(path, table)
    write_json(path.with_suffix(".json"), {"Units": "Bq/mL"})
    return path


def test_a_table_of_these_curves_gives_the_same_values(
    simulated: Simulated, analysed: tuple[pd.DataFrame, dict[str, Any], Path], tmp_path: Path
) -> None:
    study, _, _ = simulated
    rows, _, out = analysed
    table = as_table(study, out, tmp_path / "petprep")
    blood = study.raw / "sub-01" / "pet" / "sub-01_recording-manual_blood.tsv"
    found, sidecar = rows_of(settings(study, tmp_path), [str(table), str(blood)], tmp_path)
    same = [name for name in rows.index.levels[0] if name.startswith(("tspo_suv", "tspo_vt"))]
    np.testing.assert_allclose(found.loc[same, "value"], rows.loc[same, "value"], rtol=1e-6)
    assert set(found.loc[same, "reason"]) == {"motion_unknown"}
    assert found.loc[("tspo_max", "thalamus", "n/a"), "reason"] == "no_image"
    assert sidecar["CurveColumns"]["thalamus"] == ["thalamus"]


def test_an_image_in_the_template_with_its_motion(simulated: Simulated, tmp_path: Path) -> None:
    """Frames in the template, as a derivative has them: known ratios in labels of the template itself."""
    from lbpneuro.simulate.grids import mni_grid
    from lbpneuro.simulate.pet import place_shares

    study, _, _ = simulated
    grid = mni_grid(4.0)
    shares = place_shares(4.0)
    uptake = 6 * (1 + 0.5 * (shares["thalamus", "n/a"] > 0))
    folder = tmp_path / "petprep" / "sub-01" / "pet"
    stem = "sub-01_space-MNI152NLin2009cAsym_desc-preproc_pet"
    frames = np.stack([uptake, uptake], axis=-1).astype(np.float32)
    frames[:, : grid.shape[1] // 2] = 0
    write_nifti(folder / f"{stem}.nii.gz", nib.Nifti1Image(frames, grid.affine))
    raw = read_json(study.raw / "sub-01" / "pet" / "sub-01_pet.json")
    write_json(folder / f"{stem}.json", {**raw, "FrameTimesStart": [3600, 4500], "FrameDuration": [900, 900]})
    motion = pd.DataFrame({name: [0.0, 0.0] for name in ("trans_y", "trans_z", "rot_x", "rot_y", "rot_z")})
    confounds = folder / "sub-01_desc-confounds_timeseries.tsv"
    write_tsv(confounds, motion.assign(trans_x=[0.0, 2.0]))
    files = [str(folder / f"{stem}.nii.gz"), str(confounds)]
    rows, sidecar = rows_of(settings(study, tmp_path), files, tmp_path)
    assert sidecar["Space"] == "MNI152NLin2009cAsym"
    assert rows.loc[("pet_motion", "n/a", "n/a"), "value"] == pytest.approx(2)
    # the back half of the brain has no activity here
    assert rows.loc[("tspo_suvr", "thalamus", "n/a"), "status"] == "fail"
    assert rows.loc[("pet_brain_with_signal", "n/a", "n/a"), "reason"] == "failed_qc"
    whole = np.stack([uptake, uptake], axis=-1).astype(np.float32)
    write_nifti(folder / f"{stem}.nii.gz", nib.Nifti1Image(whole, grid.affine))
    rows, _ = rows_of(settings(study, tmp_path), files, tmp_path)
    assert rows.loc[("tspo_suvr", "thalamus", "n/a"), "value"] == pytest.approx(1.5, abs=1e-3)
    assert rows.loc[("tspo_suvr", "s1", "n/a"), "value"] == pytest.approx(1.0, abs=1e-3)
    assert rows.loc[("tspo_vt_ma1", "thalamus", "n/a"), "status"] == "missing"
    write_tsv(confounds, motion.assign(trans_x=[0.0, 4.0]))
    rows, _ = rows_of(settings(study, tmp_path), files, tmp_path)
    assert rows.loc[("tspo_suvr", "thalamus", "n/a"), "reason"] == "high_motion"
    write_tsv(confounds, pd.DataFrame({"trans_x": [0.0]}))
    rows, _ = rows_of(settings(study, tmp_path), files, tmp_path)
    assert rows.loc[("tspo_suvr", "thalamus", "n/a"), "reason"] == "motion_unknown"
    write_tsv(confounds, pd.concat([motion, motion]).assign(trans_x=0.0))
    rows, _ = rows_of(settings(study, tmp_path), files, tmp_path)
    assert rows.loc[("tspo_suvr", "thalamus", "n/a"), "reason"] == "invalid_input"


def without(word: str) -> Callable[[list[str]], list[str]]:
    return lambda files: [path for path in files if word not in path]


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (without("_xfm.h5"), "fail", "no_transform"),
        (without("_T1w.nii.gz"), "fail", "no_derivative"),
        (without("_pet.nii.gz"), "fail", "no_derivative"),
        (lambda files: [], "missing", "not_acquired"),
    ],
)
def test_what_gives_no_value_gives_a_reason(
    simulated: Simulated, tmp_path: Path, change: Callable[[list[str]], list[str]], status: str, reason: str
) -> None:
    study, _, _ = simulated
    config = settings(study, tmp_path)
    rows, _ = rows_of(config, change(planned(config, study)), tmp_path)
    assert set(rows["status"]) == {status}
    assert set(rows["reason"]) == {reason}


def people(genotype: str | None, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"participant_id": ["sub-01"], "weight": [75.8]} | ({} if genotype is None else {"rs6971": [genotype]})
    write_tsv(folder / "participants.tsv", pd.DataFrame(columns))
    return folder


@pytest.mark.parametrize(
    ("genotype", "status", "reason"),
    [(None, "flag", "genotype_unknown"), ("T/T", "fail", "low_affinity"), ("A/A", "flag", "genotype_unknown")],
)
def test_the_genotype_decides(
    simulated: Simulated,
    analysed: tuple[pd.DataFrame, dict[str, Any], Path],
    tmp_path: Path,
    genotype: str | None,
    status: str,
    reason: str,
) -> None:
    study, _, _ = simulated
    table = as_table(study, analysed[2], tmp_path / "petprep")
    write_json(
        table.with_suffix(".json"), read_json(study.raw / "sub-01" / "pet" / "sub-01_pet.json") | {"Units": "Bq/mL"}
    )
    config = settings(study, tmp_path, raw=people(genotype, tmp_path / "raw"))
    rows, sidecar = rows_of(config, [str(table)], tmp_path)
    found = rows.loc[("tspo_suvr", "thalamus", "n/a")]
    assert found["status"] == status
    assert found["reason"].split(";")[0] == reason
    assert bool(sidecar["Notes"]) is (genotype == "A/A")


def test_a_planted_class_and_mass_are_those_of_participants(simulated: Simulated) -> None:
    study, visit, _ = simulated
    table = pd.read_csv(study.raw / "participants.tsv", sep="\t")
    assert table.loc[0, "rs6971"] == str(affinity(visit.person, seed=4))
    assert 45 <= table.loc[0, "weight"] <= 140


def test_nothing_is_written_in_a_study_without_pet(tmp_path: Path) -> None:
    assert write_pet(Study(root=tmp_path, voxel_mm=8.0), Visit(person(1, seed=4, effect=1.0), 0, 4)) == []
    assert not list(tmp_path.iterdir())


def test_a_low_affinity_binder_has_no_truth() -> None:
    from lbpneuro.simulate.pet import kinetics, pet_truth

    number = next(n for n in range(1, 60) if str(affinity(person(n, seed=4, effect=1.0), seed=4)) == "LAB")
    visit = Visit(person(number, seed=4, effect=1.0), 0, 4)
    tracer = kinetics(visit, PetSettings())
    assert tracer.volumes[1] / tracer.volumes[0] < 1.2
    head = anatomy(visit, voxel_mm=VOXEL_MM, settings=Study(root=Path("x"), voxel_mm=8.0).anatomy)
    assert pet_truth(visit, head, tracer=tracer, settings=PetSettings()) == []


def test_another_tracer_is_told_before_anything_is_read(simulated: Simulated, tmp_path: Path) -> None:
    study, _, _ = simulated
    folder = tmp_path / "raw" / "sub-01" / "pet"
    folder.mkdir(parents=True)
    config = settings(study, tmp_path, raw=tmp_path / "raw")
    (folder / "sub-01_pet.nii.gz").write_bytes(b"<html>no image</html>")
    for name, told in (({"TracerName": "DASB"}, "DASB"), ({}, "absent")):
        write_json(folder / "sub-01_pet.json", name)
        rows, sidecar = rows_of(config, [str(folder / "sub-01_pet.nii.gz")], tmp_path)
        assert set(rows["reason"]) == {"not_tspo"}
        assert told in sidecar["Error"]["message"]
    raw = read_json(study.raw / "sub-01" / "pet" / "sub-01_pet.json")
    write_json(folder / "sub-01_pet.json", raw)
    rows, sidecar = rows_of(config, [str(folder / "sub-01_pet.nii.gz")], tmp_path)
    assert set(rows["reason"]) == {"invalid_input"}
    assert "web page" in sidecar["Error"]["message"]


def test_the_simulated_scan_is_valid_bids(simulated: Simulated) -> None:
    validator = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"
    run = subprocess.run(
        [validator, simulated[0].raw, "--format", "json"], capture_output=True, text=True, timeout=120, check=False
    )
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
