"""Composite transforms keep their points and lose their time stamps."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from lbpneuro.io.transforms import Grid, itk_image, read_transform, source_coordinates
from lbpneuro.preprocess.composite import keep_transform
from lbpneuro.preprocess.itk import ants_session


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """The transforms of a small registration, twice, with the points that the loose files give."""
    folder = tmp_path_factory.mktemp("composite")
    points = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"), axis=-1)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    fixed, moving = (
        100 * np.exp(-(((points - centre) / width) ** 2).sum(axis=-1))
        for centre, width in (([12, 12, 12], [5, 6, 7]), ([13, 11, 12], [6, 5, 7]))
    )
    with ants_session():
        import ants

        for name in ("a", "b"):
            result = ants.registration(
                fixed=itk_image(fixed, affine),
                moving=itk_image(moving, affine),
                type_of_transform="SyN",
                reg_iterations=(5, 5, 0),
                write_composite_transform=True,
            )
            keep_transform(result["fwdtransforms"], folder / f"{name}.h5")
            keep_transform(result["invtransforms"], folder / f"{name}_inverse.h5")
            time.sleep(1.1)
        warped = ants.apply_transforms(itk_image(fixed, affine), itk_image(moving, affine), [result["fwdtransforms"]])
        kept = ants.apply_transforms(itk_image(fixed, affine), itk_image(moving, affine), [str(folder / "a.h5")])
        images = warped.numpy(), kept.numpy()
    return folder, affine, images


def test_two_registrations_at_different_times_give_the_same_bytes(registered):
    folder = registered[0]
    assert (folder / "a.h5").read_bytes() == (folder / "b.h5").read_bytes()
    assert b"fc-v" not in (folder / "a.h5").read_bytes()


def test_the_copy_warps_as_the_original(registered):
    original, copied = registered[2]
    assert original.max() > 50
    assert np.array_equal(original, copied)


def test_there_and_back_again(registered):
    """The inverse brings the points back to within a tenth of a voxel in the middle of the image."""
    folder, affine, _ = registered
    grid = Grid(affine=affine, shape=(24, 24, 24))
    forward = source_coordinates(read_transform(folder / "a.h5"), target=grid)
    back = source_coordinates(read_transform(folder / "a_inverse.h5"), target=grid)
    inner = (slice(None), *[slice(8, 16)] * 3)
    there = forward[inner].reshape(3, -1).T
    voxels = np.linalg.inv(affine)[:3, :3] @ there.T
    returned = np.stack([map_coordinates(axis, voxels, order=1) for axis in back])
    start = np.stack(np.meshgrid(*[np.arange(8, 16) * 4.0] * 3, indexing="ij")).reshape(3, -1)
    assert np.abs(there.T - start).max() > 2
    assert np.linalg.norm(returned - start, axis=0).max() < 0.4
