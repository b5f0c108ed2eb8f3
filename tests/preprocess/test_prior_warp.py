"""The displacements between two templates, made coarsely."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.io.images import Grid
from lbpneuro.io.template_maps import warp_path
from lbpneuro.preprocess.prior_warp import as_image, make, own_coordinates
from lbpneuro.preprocess.templates import template_grid


def test_coarse_displacements_resemble_the_shipped_ones(tmp_path):
    path = tmp_path / "warp.nii.gz"
    make(path, template_mm=6, iterations=(30, 20))
    shipped, found = (np.asarray(nib.load(each).dataobj) for each in (warp_path(), path))
    moved = np.linalg.norm(shipped, axis=-1) > 1
    assert np.corrcoef(shipped[moved].ravel(), found[moved].ravel())[0, 1] > 0.5
    sidecar = json.loads((tmp_path / "warp.json").read_text())
    assert sidecar["TemplateResolution"] == "6 mm"
    assert sidecar["Software"]["antspyx"]


def test_displacements_are_stored_in_hundredths_of_a_millimetre(rng):
    grid = template_grid(4)
    field = rng.normal(0, 2, (3, *grid.shape)).astype(np.float32)
    image = as_image(field)
    again = nib.Nifti1Image.from_bytes(image.to_bytes())
    assert again.get_data_dtype() == np.int16
    stored = np.moveaxis(np.asarray(again.dataobj)[:, :, :, 0], -1, 0)
    assert np.abs(stored - field).max() == pytest.approx(0.005, abs=1e-4)
    assert again.affine == pytest.approx(grid.affine)


def test_own_coordinates_by_hand():
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-1, 0, 1]
    found = own_coordinates(Grid(affine=affine, shape=(2, 3, 4)))
    assert found[:, 1, 2, 3].tolist() == [1, 6, 13]
