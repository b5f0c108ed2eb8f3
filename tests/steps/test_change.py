"""The step from the raw T1w images of two simulated sessions to the rows of the change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import write_json, write_nifti
from lbpneuro.markers.change import region_levels
from lbpneuro.preprocess import between_sessions
from lbpneuro.preprocess.derivatives import nifti
from lbpneuro.preprocess.longitudinal import WithinPerson, within_person
from lbpneuro.preprocess.symmetric import Round
from lbpneuro.registry import family
from lbpneuro.simulate.anatomy import AnatomySettings, deformation, pose_affine, size_affine
from lbpneuro.simulate.heads import head, planted_velocity, true_volumes
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.transforms import write_point_map
from lbpneuro.steps.change import main

ROUNDS = (Round(voxel_mm=4.0, steps=4, solves=12, membrane=1.0, bending=100.0, bias_degree=3),)
SETTINGS = AnatomySettings()
LOSS = 20.0
PLANTED = [("dlpfc", "L"), ("thalamus", "R")]
CONFIG = read_config()


def visit(number: int) -> Visit:
    return Visit(person(2, seed=5, effect=0.0), number, 5)


def images(root: Path, session: str) -> list[Path]:
    """The raw image of a session and the brain mask of it."""
    stem = f"sub-01/{session}/anat/sub-01_{session}"
    return [root / "raw" / f"{stem}_T1w.nii.gz", root / "prep" / f"{stem}_desc-brain_mask.nii.gz"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of one head, the second on another grid and with a loss."""
    root = tmp_path_factory.mktemp("change")
    for number, loss, voxel_mm in ((1, 0.0, 4.0), (2, LOSS, 3.5)):
        made = head(visit(number), loss=loss, voxel_mm=voxel_mm, look="whole", settings=SETTINGS)
        for path, values in zip(images(root, f"ses-{number}"), (made.image, made.brain > 0.5), strict=True):
            path.parent.mkdir(parents=True)
            write_nifti(path, nifti(values.astype(np.float32), made.grid.affine))
    return root


class Truth:
    """Stands for the registration to the template: the true deformation, in the middle that was found."""

    def __init__(self, folder: Path, *, pose_of: str = "to_first") -> None:
        self.folder, self.pose_of = folder, pose_of

    def within(self, *sessions: Any, rounds: Any) -> WithinPerson:
        self.found = within_person(*sessions, rounds=ROUNDS)
        return self.found

    def normalise(self, _brain: Any, **_: Any) -> tuple[Path, Path]:
        shape = planted_velocity(visit(1), loss=LOSS / 2, settings=SETTINGS)
        pose = pose_affine(visit(1)) @ size_affine(visit(1), SETTINGS)
        maps = deformation(shape, np.linalg.inv(getattr(self.found, self.pose_of)) @ pose)
        paths = [self.folder / f"{name}.h5" for name in ("from", "to")]
        for path, point_map in zip(paths, maps, strict=True):
            write_point_map(path, point_map)
        return paths[1], paths[0]


def run(
    root: Path, out: Path, session: str | None, files: list[Path], **settings: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    folders = {"bids_dir": str(root / "raw"), "out_dir": str(out), "work_dir": str(out / "work")}
    dataset = {**folders, "derivatives": {"fmriprep": str(root / "prep")}}
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", resolve(read_config(overrides={"dataset": dataset, **settings})))
    target = out / "rows_desc-change_markers.tsv"
    who = ["--participant", "sub-01", *(["--session", session] if session else [])]
    options = ["--in", *map(str, files), "--out", str(target), "--config", str(out / "config.json"), *who]
    assert main(options) == 0
    table = pd.read_csv(target, sep="\t", na_values="n/a", keep_default_na=False)
    table[["roi", "hemi"]] = table[["roi", "hemi"]].fillna("n/a")
    return table.set_index(["marker", "roi", "hemi"]).sort_index(), json.loads(target.with_suffix(".json").read_text())


def compared(root: Path, out: Path, sessions: tuple[str, str], truth: Truth) -> tuple[pd.DataFrame, dict[str, Any]]:
    files = [path for session in sessions for path in images(root, session)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(between_sessions, "within_person", truth.within)
        patch.setattr(between_sessions, "normalise", truth.normalise)
        return run(root, out, sessions[1], files)


@pytest.fixture(scope="module")
def found(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out")
    rows, sidecar = compared(study, out, ("ses-1", "ses-2"), Truth(out))
    return rows, {**sidecar, "root": str(out)}


def test_all_rows_are_there_with_intervals(found: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    rows, sidecar = found
    expected = {(m.name, *(level or ("n/a", "n/a"))) for m in family("change") for level in m.levels(CONFIG)}
    assert set(rows.index) == expected
    assert rows["value"].notna().all()
    regional = rows.loc[["label_change", "label_change_symmetric"]]
    assert (regional["ci_low"] < regional["value"]).all()
    assert (regional["value"] < regional["ci_high"]).all()
    assert (regional["n"] >= 22).all()
    assert "since ses-1" in rows["method"].iloc[0]
    assert sidecar["FirstSession"] == "ses-1"
    assert len(sidecar["Sources"]) == 4
    first, second = sidecar["VolumesML"]["dlpfc_L"]
    assert rows.loc[("label_change", "dlpfc", "L"), "value"] == pytest.approx(100 * (second / first - 1), abs=0.05)


def test_the_mean_and_the_labels_are_written_on_one_grid(found: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    _, sidecar = found
    names = [f"sub-01/ses-2/anat/sub-01_ses-2_desc-change_{end}" for end in ("T1w.nii.gz", "dseg.nii.gz", "dseg.tsv")]
    assert sidecar["Outputs"] == names
    root = Path(sidecar["root"])
    mean, labels = (nib.load(root / name) for name in names[:2])
    assert mean.shape == labels.shape
    np.testing.assert_allclose(mean.affine, labels.affine)
    table = pd.read_csv(root / names[2], sep="\t")
    assert list(zip(table["roi"], table["hemi"], strict=True)) == region_levels(CONFIG)
    drawn, voxel_ml = labels.get_fdata(), abs(np.linalg.det(labels.affine[:3, :3])) / 1000
    for name in ("dlpfc_L", "thalamus_R"):
        number = table.set_index("name").loc[name, "index"]
        share = (drawn == number).sum() * voxel_ml / np.mean(sidecar["VolumesML"][name])
        assert 0.5 < share < 1.2, name  # voxels of 4 mm that lie in the label by half
    assert (mean.get_fdata()[drawn > 0] > 0).mean() > 0.95


def test_a_planted_loss_is_found_on_another_grid(found: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    rows, _ = found
    before, after = (true_volumes(visit(1), loss=loss, settings=SETTINGS) for loss in (0.0, LOSS))
    true = {key: 100 * (after[key][0] / before[key][0] - 1) for key in before}
    values = rows.loc["label_change", "value"]
    for key in PLANTED:
        assert true[key] < -17
        assert 0.6 < values[key] / true[key] < 1.2, key
        assert rows.loc[("label_change", *key), "ci_high"] < 0
    intact = [key for key in true if abs(true[key]) < 1 and key in values.index]
    assert len(intact) > 6
    assert np.median([abs(values[key] - true[key]) for key in intact]) < 2


def test_quality_rows_of_a_good_pair(found: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    values = found[0].loc[["change_brain", "change_correlation", "change_rigid"]]
    assert values.loc["change_correlation", "value"].item() > 0.92
    assert 0 <= values.loc["change_rigid", "value"].item() < 1
    assert -2 < values.loc["change_brain", "value"].item() < 0.5
    assert found[1]["TemplateDice"] > 0.9


def test_exchanging_the_sessions_changes_the_sign(
    study: Path, found: tuple[pd.DataFrame, dict[str, Any]], tmp_path: Path
) -> None:
    names = ("ses-1", "ses-2")
    for name, other in zip(names, names[::-1], strict=True):
        for path, source in zip(images(tmp_path, name), images(study, other), strict=True):
            path.parent.mkdir(parents=True)
            shutil.copy(source, path)
    rows, _ = compared(tmp_path, tmp_path / "out", names, Truth(tmp_path, pose_of="to_second"))
    there, back = (each.loc["label_change_symmetric"] for each in (found[0], rows))
    np.testing.assert_allclose(back["value"], -there["value"], atol=1e-6)
    np.testing.assert_allclose(back["se"], there["se"], atol=1e-6)
    quality = ["change_correlation", "change_rigid"]
    np.testing.assert_allclose(rows.loc[quality, "value"], found[0].loc[quality, "value"], atol=1e-6)


def reasons(rows: pd.DataFrame) -> tuple[str, str]:
    (status,), (reason,) = set(rows["status"]), set(rows["reason"])
    return status, reason


@pytest.mark.parametrize(
    ("session", "settings", "expected"),
    [
        ("ses-1", {}, ("missing", "first_session")),
        (None, {}, ("missing", "first_session")),
        ("ses-2", {"change": {"enabled": False}}, ("missing", "switched_off")),
    ],
)
def test_a_session_alone_has_no_values(
    study: Path, tmp_path: Path, session: str | None, settings: dict[str, Any], expected: tuple[str, str]
) -> None:
    rows, _ = run(study, tmp_path, session, images(study, session or "ses-1")[:1], **settings)
    assert reasons(rows) == expected
    assert len(rows) == 2 * len(region_levels(CONFIG)) + 3


def test_nothing_at_all_is_not_acquired(study: Path, tmp_path: Path) -> None:
    assert reasons(run(study, tmp_path, "ses-2", [])[0]) == ("missing", "not_acquired")


def test_without_a_mask_there_is_no_comparison(study: Path, tmp_path: Path) -> None:
    files = [*images(study, "ses-1")[:1], *images(study, "ses-2")]
    rows, sidecar = run(study, tmp_path, "ses-2", files)
    assert reasons(rows) == ("fail", "no_derivative")
    assert "sub-01 ses-1: there is no brain mask" in sidecar["Error"]["message"]


def test_a_failed_anatomy_passes_its_reason_on(study: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_desc-embedded_anat.json"
    manifest.parent.mkdir(parents=True)
    error = {"reason": "failed_qc", "message": "volume of the brain mask (mL): 300"}
    write_json(manifest, {"Level": "standard", "Error": error, "Outputs": {}})
    files = [images(study, "ses-1")[0], manifest, *images(study, "ses-2")]
    rows, sidecar = run(study, tmp_path, "ses-2", files)
    assert reasons(rows) == ("fail", "failed_qc")
    assert sidecar["Error"]["message"] == error["message"]


def test_a_mask_of_another_place_is_refused(study: Path, tmp_path: Path) -> None:
    (image, mask), second = images(study, "ses-1"), images(study, "ses-2")
    far = tmp_path / mask.name
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = 5000
    write_nifti(far, nifti(np.ones((8, 8, 8), dtype=np.float32), affine))
    rows, sidecar = run(study, tmp_path, "ses-2", [image, far, *second])
    assert reasons(rows) == ("fail", "invalid_input")
    assert "The brain mask is empty" in sidecar["Error"]["message"]


def test_a_label_outside_the_grid_is_not_covered() -> None:
    inside = np.ones((3, 3, 3), dtype=bool)
    assert between_sessions._share_inside(np.zeros((3, 3, 3)), inside) == 0
    inside[0] = False
    assert between_sessions._share_inside(np.ones((3, 3, 3)), inside) == pytest.approx(2 / 3)
