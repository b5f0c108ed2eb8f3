"""The parts of the anatomical path; the whole of it runs in tests/steps/test_preprocess.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lbpneuro.errors import QualityError
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess.anatomical import (
    brain_unbiased,
    check_anatomy,
    check_brain_volume,
    coarsened,
    filled,
    is_skull_stripped,
    scaled,
    working_head,
)
from lbpneuro.preprocess.levels import LEVELS
from tests.oracles import person

GOOD = {"brain_ml": 1500.0, "CSF_ml": 300.0, "GM_ml": 700.0, "WM_ml": 500.0, "template_correlation": 0.8}


def cube(size=20, *, voxel_mm=10.0, side=10):
    values = np.zeros((size, size, size), dtype=np.float32)
    values[2 : 2 + side, 2 : 2 + side, 2 : 2 + side] = 1.0
    return itk_image(values, np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0]))


@pytest.mark.parametrize(("side", "fits"), [(9, False), (10, True), (12, True), (13, False)])
def test_brain_volume_gate(side, fits):
    """Cubes of 729, 1000, 1728 and 2197 mL."""
    if fits:
        check_brain_volume(cube(side=side), path=Path("T1w.nii.gz"))
        return
    with pytest.raises(QualityError, match=rf"T1w.nii.gz.*{side**3} mL, expected 1000 to 2000 mL"):
        check_brain_volume(cube(side=side), path=Path("T1w.nii.gz"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template_correlation": 0.5}, "template correlation 0.50"),
        ({"GM_ml": 300.0}, "GM / TIV 0.20"),
        ({"WM_ml": 900.0}, "WM / TIV 0.60"),
        ({"CSF_ml": 30.0}, "CSF / TIV 0.02"),
        ({"template_correlation": float("nan")}, "template correlation nan"),
    ],
)
def test_implausible_segmentations_are_refused(change, words):
    check_anatomy(GOOD, path=Path("T1w.nii.gz"))
    with pytest.raises(QualityError, match=words):
        check_anatomy(GOOD | change, path=Path("T1w.nii.gz"))


def test_the_largest_piece_is_kept_and_filled():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1:6, 1:6, 1:6] = True
    mask[3, 3, 3] = False
    mask[8, 8, 8] = True
    found = filled(mask, like=itk_image(np.zeros((9, 9, 9)), np.eye(4))).numpy()
    assert found.sum() == 125
    assert found[3, 3, 3] == 1
    assert found[8, 8, 8] == 0


def test_scaling_by_hand():
    values = np.linspace(0, 50, 1000, dtype=np.float32).reshape(10, 10, 10)
    values[0, 0, 0] = -5
    found = scaled(itk_image(values, np.eye(4)), mask=itk_image(np.ones((10, 10, 10)), np.eye(4))).numpy()
    assert found.min() == 0
    assert np.quantile(found, 0.99) == pytest.approx(100, abs=0.1)


def test_coarsening_keeps_the_sum_of_a_blob_and_never_refines():
    points = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)
    blob = itk_image(np.exp(-((points - 20) ** 2).sum(axis=-1) / 40), np.eye(4))
    found = coarsened(blob, 4.0)
    assert found.spacing == pytest.approx((4.0, 4.0, 4.0))
    assert found.sum() * 64 == pytest.approx(blob.sum(), rel=0.02)
    assert coarsened(found, 3.0) is found


def test_stripped_and_whole_heads_are_told_apart(tmp_path, someone):
    for stripped in (True, False):
        path = person.write_t1w(someone, tmp_path / f"{stripped}.nii.gz", stripped=stripped)
        head, support = working_head(path, 4.0)
        _, points = person.grid(low=(-102.0, -135.0, -100.0), size=head.shape)
        brain = someone.source.at("brain", person.apply(someone.to_template, points)).reshape(head.shape)
        near = itk_image(brain > 0.02, np.diag([4.0, 4, 4, 1]))
        assert is_skull_stripped(head, near=near) == stripped
        if stripped:
            assert support.numpy().sum() == pytest.approx((brain > 0.5).sum(), rel=0.01)


def test_the_bias_field_leaves_no_step_at_the_edge_of_the_brain():
    """A bright ball in a ball of the same tissue, under a smooth field: inside and just outside stay alike."""
    points = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing="ij"), axis=-1)
    radius = np.linalg.norm(points - 14.5, axis=-1)
    field = np.exp(0.03 * (points[..., 0] - 14.5))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    head = itk_image(100 * field * (radius < 13), affine)
    found = brain_unbiased(head, mask=itk_image(radius < 9, affine), level=LEVELS["draft"]).numpy()
    inner, outer = found[(radius > 7) & (radius < 9)], found[(radius > 9) & (radius < 11)]
    assert np.median(outer) == pytest.approx(np.median(inner), rel=0.1)
    flat = found[radius < 9]
    assert flat.std(ddof=1) / flat.mean() < 0.5 * (field[radius < 9].std(ddof=1) / field[radius < 9].mean())
