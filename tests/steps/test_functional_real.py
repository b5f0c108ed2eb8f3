"""Real images that are no whole-brain runs in template space: reasons and messages instead of values and tracebacks."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.oracles.functional import SPACE, confounds_table
from tests.steps.test_functional import FEW, run_step


def as_run(folder: Path, image: Path, *, number: int | None = None, echo: int | None = None) -> list[Path]:
    """The image as a preprocessed run, with a mask of everything and confounds of its length where it can be read."""
    func = folder / "fmriprep" / "sub-01" / "func"
    func.mkdir(parents=True, exist_ok=True)
    parts = ["sub-01", "task-rest", *([f"run-{number}"] if number else []), *([f"echo-{echo}"] if echo else [])]
    stem = "_".join(parts)
    bold = func / f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz"
    if image.name.endswith(".gz"):
        shutil.copy(image, bold)
    else:
        bold.write_bytes(gzip.compress(image.read_bytes(), 1))
    try:
        opened = nib.load(bold)
        shape, affine = opened.shape, opened.affine
    except (nib.filebasedimages.ImageFileError, OSError, EOFError):
        shape, affine = (10, 10, 10, 50), np.eye(4)
    mask = func / f"{stem}_space-{SPACE}_desc-brain_mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(shape[:3], dtype=np.uint8), affine), mask)
    table = func / f"{stem}_desc-confounds_timeseries.tsv"
    n_time = shape[3] if len(shape) > 3 else 50
    confounds_table(np.random.default_rng(0), n_time=n_time).to_csv(table, sep="\t", index=False, na_rep="n/a")
    return [bold, mask, table]


def test_twelve_runs_of_one_slice(tmp_path, real_data):
    images = sorted((real_data("haxby_mvpa") / "sub001").rglob("*bold*.nii.gz"))
    runs = [image for image in images if nib.load(image).shape == (40, 20, 1, 121)]
    assert len(runs) == 12
    files = [path for number, image in enumerate(runs, start=1) for path in as_run(tmp_path, image, number=number)]
    rows, sidecar = run_step(tmp_path, files, **FEW)
    assert len(sidecar["Runs"]) == 12
    assert (rows.value.notna() | rows.reason.notna()).all()
    connections = rows[rows.marker.str.endswith("_z")]
    assert (connections.status == "fail").all()


@pytest.mark.parametrize(
    ("folder", "name", "said"),
    [
        ("fsl_ffd", "filtered_func_data.nii.gz", "neither sform nor qform"),
        ("malformed", "ieeg_visual__sub-01_ses-01_T1w.nii.gz", "a four-dimensional BOLD series, found the shape (181"),
        ("malformed", "mri_chunk__sub-001_chunk-1_T1w.nii.gz", "a four-dimensional BOLD series, found the shape (52"),
        ("malformed", "pet001__sub-01_ses-01_T1w.nii", "expected a NIfTI image"),
        ("malformed", "pet002__sub-01_ses-baseline_pet.nii.gz", "found a web page"),
        ("malformed", "pet005__sub-01_ses-baseline_T1w.nii.gz", "found the shape (192, 512, 512, 1)"),
        ("malformed", "synthetic__sub-01_ses-01_task-rest_bold.nii", "the file ends after 0 of 64 volumes"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(tmp_path, real_data, folder, name, said):
    rows, sidecar = run_step(tmp_path, as_run(tmp_path, real_data(folder) / name), **FEW)
    assert set(rows.reason) == {"invalid_input"}
    assert said in sidecar["Error"]["message"]
    assert "desc-preproc_bold.nii.gz" in sidecar["Error"]["message"]


def test_an_image_of_zeros_covers_nothing(tmp_path, real_data):
    image = real_data("malformed") / "pet001__sub-01_ses-01_trc-CIMBI36_pet.nii.gz"
    rows, _ = run_step(tmp_path, as_run(tmp_path, image), **FEW)
    assert rows[rows.marker == "pag_vmpfc_z"].reason.iloc[0].endswith("coverage_too_low")
    assert (rows.value.notna() | rows.reason.notna()).all()


def test_single_echoes_are_refused(tmp_path, real_data):
    echoes = sorted(real_data("tedana_multiecho").glob("*_bold.nii.gz"))
    files = [path for number, image in enumerate(echoes, start=1) for path in as_run(tmp_path, image, echo=number)]
    rows, sidecar = run_step(tmp_path, files, **FEW)
    assert set(rows.reason) == {"invalid_input"}
    assert "this is a single echo" in sidecar["Error"]["message"]
    combined = as_run(tmp_path, echoes[0])
    rows, _ = run_step(tmp_path, [*files, *combined], **FEW)
    assert "too_few_volumes" in rows[rows.marker == "pag_vmpfc_z"].reason.iloc[0]
