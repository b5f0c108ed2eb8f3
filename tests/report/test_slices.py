"""Slices lie where the world says, whatever way the voxels run."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.report.slices import Volume, centre, head_box, mosaic, place, read_volume, read_volumes, window

SHAPE = (11, 13, 7)
POINT = (4, 9, 2)


def save(tmp_path, affine, shape=SHAPE, point=POINT):
    data = np.zeros(shape, dtype=np.float32)
    data[point] = 1
    path = tmp_path / "point.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return path, nib.affines.apply_affine(affine, point[:3])


AFFINES = {
    "RAS": np.array([[3, 0, 0, -15], [0, 3, 0, -20], [0, 0, 4, -10], [0, 0, 0, 1.0]]),
    "LAS": np.array([[-3, 0, 0, 15], [0, 3, 0, -20], [0, 0, 4, -10], [0, 0, 0, 1.0]]),
    "PIR": np.array([[0, 0, 3, -9], [-3, 0, 0, 12], [0, -3, 0, 20], [0, 0, 0, 1.0]]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_a_point_is_shown_where_it_lies(tmp_path, name):
    path, world = save(tmp_path, AFFINES[name])
    volume = read_volume(path)
    assert centre(volume) == pytest.approx(world)
    for axis, (right, up) in {"x": (1, 2), "y": (0, 2), "z": (0, 1)}.items():
        piece = volume.slice(axis, world["xyz".index(axis)])
        row, column = np.argwhere(piece)[0]
        left_mm, right_mm, bottom_mm, top_mm = volume.extent(axis)
        assert left_mm + (column + 0.5) * (right_mm - left_mm) / piece.shape[1] == pytest.approx(world[right])
        assert bottom_mm + (row + 0.5) * (top_mm - bottom_mm) / piece.shape[0] == pytest.approx(world[up])


def test_left_is_on_the_left(tmp_path):
    path, world = save(tmp_path, AFFINES["LAS"], point=(10, 6, 3))
    assert world[0] < 0
    assert np.argwhere(read_volume(path).slice("z", world[2]))[0][1] == 0


def test_slice_outside_is_the_nearest_edge(tmp_path):
    volume = read_volume(save(tmp_path, AFFINES["RAS"])[0])
    assert volume.index("z", -1000) == 0
    assert volume.index("z", 1000) == SHAPE[2] - 1


def test_oblique_image_is_off_by_less_than_its_tilt(tmp_path):
    tilt = np.deg2rad(8)
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * 3
    affine[:3, 3] = -turn @ (np.array(SHAPE) * 1.5)
    path, world = save(tmp_path, affine, point=(5, 6, 3))
    volume = read_volume(path)
    index = [volume.index(axis, world[at]) for at, axis in enumerate("xyz")]
    assert np.abs(np.array(index) - (5, 6, 3)).max() <= 1


def test_empty_mask_has_no_centre():
    assert np.isnan(centre(Volume(np.zeros(SHAPE), np.eye(4)))).all()


def test_window_of_an_empty_image():
    assert window(Volume(np.zeros(SHAPE), np.eye(4))) == (0.0, 1.0)


def test_head_box_leaves_the_dark_border_out():
    data = np.zeros((20, 20, 20))
    data[5:15, 6:16, 7:17] = 100
    low, high = head_box(Volume(data, np.diag([2, 2, 2, 1.0])), margin_mm=0)
    assert low == pytest.approx([10, 12, 14])
    assert high == pytest.approx([28, 30, 32])


def test_panels_have_one_scale():
    box = (np.array([-70.0, -100, -60]), np.array([70.0, 70, 80]))
    figure, panels = mosaic([[place("z", 0, box=box), place("x", 0, box=box)], [place("y", 0, box=box)]])
    width, height = figure.get_size_inches()
    for axes, spot in panels:
        bounds = axes.get_position()
        inch_per_mm = bounds.height * height / spot.size[1]
        assert bounds.width * width / spot.size[0] == pytest.approx(inch_per_mm, rel=0.02)
        assert 0 <= bounds.x0 <= bounds.x1 <= 1
        assert 0 <= bounds.y0 <= bounds.y1 <= 1


@pytest.mark.parametrize(("reader", "shape"), [(read_volume, (3, 4, 5, 2)), (read_volumes, (3, 4, 5))])
def test_wrong_number_of_axes_is_refused(tmp_path, reader, shape):
    path = tmp_path / "image.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype=np.float32), np.eye(4)), path)
    with pytest.raises(InputError, match=rf"image.nii.gz: expected a .-D image, found {len(shape)} axes"):
        reader(path)


def test_unreadable_image_is_refused(tmp_path):
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"not an image")
    with pytest.raises(InputError, match="cannot be read"):
        read_volume(path)
