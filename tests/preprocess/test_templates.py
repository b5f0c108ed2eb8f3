"""The template and its priors."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import ConfigError, InputError
from lbpneuro.io.resources import package_file
from lbpneuro.io.transforms import itk_image, orthonormal
from lbpneuro.preprocess.itk import grid_affine
from lbpneuro.preprocess.levels import LEVELS, level
from lbpneuro.preprocess.templates import subsample, template, template_box, template_grid


@pytest.fixture(scope="module")
def coarse():
    return template(4)


def test_grid_is_a_subset_of_the_one_millimetre_grid():
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-96, -132, -78]
    grid = template_grid(4)
    assert grid.affine == pytest.approx(affine)
    assert grid.shape == (49, 58, 49)
    assert template_grid(2).shape == (97, 115, 97)
    assert template_grid(1).shape == (193, 229, 193)


def test_the_template_is_cut_around_its_brain(coarse):
    """The box begins and ends at voxels of the grid, and the brain is some 14 mm away from its faces."""
    start, shape = template_box(4)
    assert coarse.brain.shape == coarse.mask.shape == coarse.priors["GM"].shape == tuple(shape)
    assert grid_affine(coarse.brain)[:3, 3] == pytest.approx(template_grid(4).affine[:3, 3] + 4 * np.array(start))
    inside = np.argwhere(coarse.mask.numpy())
    assert ((inside.min(axis=0) * 4 >= 10) | (np.array(start) == 0)).all()
    assert ((inside.max(axis=0) + 1 + 10 // 4 <= shape) | (np.add(start, shape) == template_grid(4).shape)).all()


def test_brain_volume(coarse):
    """The 1-mm brain has 1886.6 mL."""
    assert coarse.mask.numpy().sum() * 0.064 == pytest.approx(1886.6, rel=0.01)
    assert set(np.unique(coarse.mask.numpy())) == {0.0, 1.0}
    assert template(6, priors=False).priors == {}


def test_priors_are_probabilities_that_sum_to_one(coarse):
    # outside the 1-mm grid the smoothing mirrors, so that the sum holds everywhere
    total = sum(image.numpy() for image in coarse.priors.values())
    assert total == pytest.approx(np.ones_like(total), abs=1e-5)
    assert min(image.numpy().min() for image in coarse.priors.values()) >= -1e-6


def test_priors_lie_where_the_tissue_is(coarse):
    """White matter of the corpus callosum, gray matter of the caudate, fluid of a lateral ventricle (mm)."""
    to_voxel = np.linalg.inv(grid_affine(coarse.brain))
    for point, tissue in (((0, 24, 6), "WM"), ((-12, 14, 8), "GM"), ((-24, -38, 40), "WM")):
        voxel = tuple(np.rint(to_voxel[:3, :3] @ point + to_voxel[:3, 3]).astype(int))
        values = {name: image.numpy()[voxel] for name, image in coarse.priors.items()}
        assert max(values, key=values.get) == tissue, (point, values)


def test_brain_and_priors_belong_together(coarse):
    """T1w intensity rises from fluid over gray to white matter."""
    means = [
        np.average(coarse.brain.numpy(), weights=coarse.priors[name].numpy() * coarse.mask.numpy())
        for name in ("CSF", "GM", "WM")
    ]
    assert means == sorted(means)


def test_subsampling_keeps_the_mean_and_step_one_the_image(rng):
    image = rng.random((24, 24, 24), dtype=np.float32)
    assert subsample(image, 1) is image
    assert subsample(image, 3).shape == (8, 8, 8)
    assert subsample(image, 3).mean() == pytest.approx(image.mean(), rel=0.01)


def test_an_absent_file_is_named():
    with pytest.raises(InputError, match=r"nothing\.nii is not found in the package numpy"):
        package_file("numpy", "nothing.nii")
    with pytest.raises(InputError, match="reinstall no_such_package"):
        package_file("no_such_package", "a.nii")


def test_levels_are_known_by_name():
    assert level("draft") is LEVELS["draft"]
    assert [each.template_mm for each in LEVELS.values()] == [3, 2, 1]
    with pytest.raises(ConfigError, match=r"draft.*got 'best'"):
        level("best")


def test_itk_grids_keep_the_affine():
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 2.0, 3.0])
    affine[:3, 3] = [10, -20, 30]
    image = itk_image(np.zeros((4, 5, 6)), affine)
    assert grid_affine(image) == pytest.approx(affine)
    assert image.shape == (4, 5, 6)
    # ITK and NIfTI agree on where a voxel lies, up to the sign of x and y
    import ants

    assert ants.transform_index_to_physical_point(image, (1, 2, 3)) * np.array([-1, -1, 1]) == pytest.approx(
        (affine @ [1, 2, 3, 1])[:3], abs=1e-5
    )


def test_nearly_orthonormal_becomes_orthonormal():
    found = orthonormal(np.eye(3) + 1e-4)
    assert found @ found.T == pytest.approx(np.eye(3))
