"""The tissue maps of one template brought to another."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from lbpneuro.io.images import Image
from lbpneuro.io.template_maps import (
    box_points,
    brain_box,
    displacements,
    template_brain,
    tissue_maps,
    value_at,
    warp_path,
)
from lbpneuro.kernels.deformation import jacobian_determinant


@pytest.fixture(scope="module")
def brain():
    return template_brain()


def explained(maps, brain):
    """Share of the variance of the template's intensities that its tissues explain."""
    brain, gray, white = (values[::3, ::3, ::3] for values in (brain.data, maps["GM"], maps["WM"]))
    inside = brain > 0
    design = np.column_stack([gray[inside], white[inside], np.ones(inside.sum())])
    values = brain[inside].astype(float)
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return 1 - residual.var() / values.var()


def overlap(maps, brain):
    """Dice of white matter with the brightest 30 % of the template's brain."""
    inside = brain.data > 0
    bright, white = brain.data[inside] > np.quantile(brain.data[inside], 0.7), maps["WM"][inside] > 0.5
    return 2 * (bright & white).sum() / (bright.sum() + white.sum())


def test_the_shipped_displacements_bring_the_tissues_to_the_template(brain):
    unmoved, moved = (tissue_maps(brain, warped=warped) for warped in (False, True))
    assert explained(unmoved, brain) == pytest.approx(0.78, abs=0.01)
    assert explained(moved, brain) > 0.88
    assert overlap(moved, brain) > overlap(unmoved, brain) + 0.05
    total = sum(moved.values())
    assert total == pytest.approx(np.ones_like(total), abs=1e-5)


def test_displacements_are_small_smooth_and_described():
    image = nib.load(warp_path())
    field = np.asarray(image.dataobj, dtype=np.float32)
    assert field.shape == (49, 58, 49, 1, 3)
    length = np.linalg.norm(field, axis=-1)
    moved = length[length > 0.1]
    assert 0.5 < np.median(moved) < 1.5
    assert np.percentile(moved, 99) < 4
    assert moved.max() < 10
    points = apply_affine(image.affine, np.indices(field.shape[:3]).T).T
    determinant = jacobian_determinant(points + np.moveaxis(field[:, :, :, 0], -1, 0), affine=image.affine)
    assert determinant.min() > 0.1
    assert warp_path().stat().st_size < 500_000
    sidecar = json.loads(warp_path().with_name(warp_path().name.replace(".nii.gz", ".json")).read_text())
    assert {"Fixed", "Moving", "Method", "GeneratedBy", "Software"} <= set(sidecar)


def test_displacements_are_interpolated_on_the_points_of_the_field(brain):
    field = np.asarray(nib.load(warp_path()).dataobj)[:, :, :, 0]
    part = (slice(40, 61), slice(80, 101), slice(60, 81))
    found = displacements(brain, part)
    assert found[:, ::4, ::4, ::4] == pytest.approx(np.moveaxis(field[10:16, 20:26, 15:21], -1, 0), abs=1e-4)
    assert found[:, 2, 0, 0] == pytest.approx(field[10:12, 20, 15].mean(axis=0), abs=1e-4)


def test_points_and_values_of_a_small_image(rng):
    data = np.zeros((30, 30, 30), dtype=np.float32)
    data[10:20, 12:18, 9:11] = 1
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-15, -20, 5]
    image = Image(path=warp_path(), data=data, affine=affine)
    box = brain_box(image)
    assert [(part.start, part.stop) for part in box] == [(4, 26), (6, 24), (3, 17)]
    points = box_points(image, box)
    assert points[:, 0, 0, 0] == pytest.approx([-11, -14, 8])
    values = value_at(nib.Nifti1Image(1.5 * data, affine), points)
    assert np.array_equal(values, data[box])
    assert value_at(nib.Nifti1Image(data, affine), points + 100).max() == 0
