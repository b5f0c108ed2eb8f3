"""What other programs would have made of a simulated head."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.simulate import imaging_files
from lbpneuro.simulate.anatomy import Anatomy, AnatomySettings, anatomy
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.structural_files import NUCLEI, label_volumes, native_labels, write_structural
from lbpneuro.simulate.study import Study


@pytest.fixture(scope="module")
def visit() -> Visit:
    return Visit(person(1, seed=1, effect=1.0), 1, 1)


@pytest.fixture(scope="module")
def head(visit: Visit) -> Anatomy:
    return anatomy(visit, voxel_mm=6.0, settings=AnatomySettings())


def written(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


NAMES = {
    "cat12": {
        "sub-01/ses-01/mri/mwp1sub-01_ses-01_T1w.nii",
        "sub-01/ses-01/mri/mwp2sub-01_ses-01_T1w.nii",
        "sub-01/ses-01/mri/mwp3sub-01_ses-01_T1w.nii",
        "sub-01/ses-01/report/cat_sub-01_ses-01_T1w.xml",
        "sub-01/ses-01/label/catROIs_sub-01_ses-01_T1w.xml",
    },
    "freesurfer": {
        "sub-01_ses-01/stats/aseg.stats",
        "sub-01_ses-01/stats/lh.aparc.stats",
        "sub-01_ses-01/stats/rh.aparc.stats",
        "sub-01_ses-01/mri/aparc+aseg.mgz",
    },
    "fastsurfer": {
        "sub-01_ses-01/stats/aseg.stats",
        "sub-01_ses-01/stats/lh.aparc.DKTatlas.mapped.stats",
        "sub-01_ses-01/stats/rh.aparc.DKTatlas.mapped.stats",
    },
}


@pytest.mark.parametrize("program", NAMES)
def test_names_are_those_of_the_program_and_bytes_are_the_same_again(tmp_path, visit, head, program):
    for folder in ("a", "b"):
        write_structural(tmp_path / folder, program, visit, head=head)
    assert set(written(tmp_path / "a")) == NAMES[program]
    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_labels_are_those_of_the_atlas_in_this_head(head):
    labels = native_labels(head)
    assert labels.shape == head.grid.shape
    whole, gray = label_volumes(head)
    assert set(NUCLEI) <= set(whole)
    x_mm = [
        head.grid.affine[0, 0] * np.argwhere(labels == side)[:, 0].mean() + head.grid.affine[0, 3] for side in (10, 49)
    ]
    assert x_mm[0] < x_mm[1], "left is left"
    assert whole[10] == pytest.approx(np.count_nonzero(labels == 10) * 216.0)
    assert 0 < gray[10] < whole[10]


def test_modulated_maps_hold_the_volume_of_the_tissue(tmp_path, visit, head):
    write_structural(tmp_path, "cat12", visit, head=head)
    for number, tissue in (("1", head.gm), ("2", head.wm)):
        image = nib.load(next((tmp_path / visit.folder / "mri").glob(f"mwp{number}*")))
        assert image.shape == (113, 137, 113)
        total = image.get_fdata().sum() * 1.5**3 / 1000
        assert total == pytest.approx(tissue.sum(dtype=float) * head.grid.voxel_ml, rel=0.01)


def test_a_visit_has_the_folders_that_were_asked_for(tmp_path, visit, head, monkeypatch):
    monkeypatch.setattr(imaging_files, "anatomy", lambda *_args, **_options: head)
    monkeypatch.setattr(imaging_files, "write_functional", lambda *_args, **_options: [])
    study = Study(root=tmp_path, voxel_mm=6.0, structural=("freesurfer", "cat12"))
    imaging_files.write_imaging(study, visit)
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "fmriprep", "freesurfer", "cat12"}
