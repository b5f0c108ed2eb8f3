"""Composite transforms: what ANTs makes of the files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lbpneuro.simulate.grids import Grid, mni_grid
from lbpneuro.simulate.transforms import PointMap, write_point_map
from lbpneuro.simulate.warps import exponential, random_velocity


@pytest.fixture(scope="module", params=[True, False], ids=["affine first", "warp first"])
def point_map(request):
    rng = np.random.default_rng(5)
    grid = mni_grid(8.0)
    inside = np.zeros(grid.shape, dtype=np.float32)
    inside[4:-4, 4:-4, 4:-4] = 1
    velocity = random_velocity(rng, inside, voxel_mm=8, sd_mm=4, smooth_mm=30)
    affine = np.array([[0.9, 0.1, 0, 3], [-0.1, 0.95, 0.05, -5], [0, -0.05, 0.85, 8], [0, 0, 0, 1.0]])
    return PointMap(affine, exponential(velocity, voxel_mm=8), grid, affine_first=request.param)


def test_ants_moves_points_alike(point_map, rng, tmp_path):
    import ants

    write_point_map(tmp_path / "xfm.h5", point_map)
    points = rng.uniform(-50, 50, (200, 3))
    lps = pd.DataFrame(points * [-1, -1, 1], columns=list("xyz"))
    moved = ants.apply_transforms_to_points(3, lps, [str(tmp_path / "xfm.h5")]).to_numpy() * [-1, -1, 1]
    np.testing.assert_allclose(moved, point_map(points), atol=1e-4)
    assert np.abs(moved - points).max() > 5


def test_equal_maps_give_equal_bytes(point_map, tmp_path):
    for name in ("a.h5", "b.h5"):
        write_point_map(tmp_path / name, point_map)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_labels_come_to_the_person_on_the_right_side(study_folder):
    """The left thalamus of the template, pulled by ANTs, lies on the left and where the person's GM and WM are."""
    import ants

    from lbpneuro.simulate.template import region_shares

    folder = study_folder / "fmriprep/sub-01/anat"
    fixed = ants.image_read(str(folder / "sub-01_label-GM_probseg.nii.gz"))
    transform = str(folder / "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5")
    centres = {}
    for hemi in ("L", "R"):
        label = itk(region_shares(("thalamus", hemi), 2.0), mni_grid(2.0))
        moved = ants.apply_transforms(fixed, label, [transform], interpolator="linear").numpy()
        assert 4 < moved.sum() * 0.064 < 12
        index = np.array([(moved * axis).sum() / moved.sum() for axis in np.indices(moved.shape)])
        centres[hemi] = np.array(fixed.origin) + fixed.direction @ (index * fixed.spacing)
    assert centres["L"][0] - centres["R"][0] > 15  # ITK: left is positive


def itk(volume: np.ndarray, grid: Grid):
    import ants

    flip = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        np.ascontiguousarray(volume, dtype=np.float32),
        origin=tuple(flip @ grid.affine[:3, 3]),
        spacing=(grid.voxel_mm,) * 3,
        direction=flip,
    )
