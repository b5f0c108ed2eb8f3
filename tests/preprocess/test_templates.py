"""The template and its priors."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import ConfigError, InputError
from lbpneuro.io.resources import package_file
from lbpneuro.io.transforms import itk_image, orthonormal
from lbpneuro.preprocess.itk import grid_affine
from lbpneuro.preprocess.levels import LEVELS, level
from lbpneuro.preprocess.templates import on_template_grid, subsample, template


@pytest.fixture(scope="module")
def coarse():
    return template(4)


def test_grid_is_a_subset_of_the_one_millimetre_grid(coarse):
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-96, -132, -78]
    assert grid_affine(coarse.brain) == pytest.approx(affine)
    assert coarse.brain.shape == (49, 58, 49)


def test_brain_volume(coarse):
    """The 1-mm brain has 1886.6 mL."""
    assert coarse.mask.numpy().sum() * 0.064 == pytest.approx(1886.6, rel=0.01)
    assert set(np.unique(coarse.mask.numpy())) == {0.0, 1.0}


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


def test_an_image_is_cut_and_padded_by_whole_voxels():
    data = np.arange(27, dtype=np.float32).reshape(3, 3, 3) / 27
    shifted = np.eye(4)
    shifted[:3, 3] = [1, 0, -1]
    found = on_template_grid(nib.Nifti1Image(data, np.eye(4)), shape=(3, 3, 3), affine=shifted)
    assert np.array_equal(found[:2, :, 1:], data[1:, :, :2])
    assert found[2].max() == found[:, :, 0].max() == 0


def test_half_voxels_are_refused():
    shifted = np.eye(4)
    shifted[0, 3] = 0.5
    with pytest.raises(InputError, match="do not share"):
        on_template_grid(
            nib.Nifti1Image(np.zeros((3, 3, 3), dtype=np.float32), np.eye(4)), shape=(3, 3, 3), affine=shifted
        )


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
