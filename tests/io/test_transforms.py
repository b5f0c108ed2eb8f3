"""ITK transforms: against matrices, an independent resampling, and what is no transform."""

from __future__ import annotations

import os
import tempfile

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.composites import TransformRecord, read_composite, write_composite
from lbpneuro.io.images import Grid
from lbpneuro.io.transforms import (
    box_grid,
    coarse_coordinates,
    read_transform,
    resample,
    source_coordinates,
    target_box,
)

LPS = np.diag([-1.0, -1.0, 1.0])
MATRIX = np.array([[1.05, 0.03, 0.0], [-0.02, 0.98, 0.04], [0.01, 0.0, 1.02]])  # in ITK's axes
TRANSLATION = np.array([4.0, -3.0, 5.0])
CENTRE = np.array([1.0, 2.0, 3.0])
SOURCE = Grid(affine=np.array([[2.0, 0, 0, -40], [0, 2, 0, -44], [0, 0, 2, -38], [0, 0, 0, 1]]), shape=(41, 45, 39))


def linear(points):
    """The affine on points (n, 3) in RAS mm, written down independently."""
    return ((points @ LPS - CENTRE) @ MATRIX.T + CENTRE + TRANSLATION) @ LPS


def positions(grid):
    voxels = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def field_values():
    """A smooth displacement (n_x, n_y, n_z, 3) in ITK's axes (mm), on the source grid."""
    rng = np.random.default_rng(3)
    noise = np.stack([gaussian_filter(rng.standard_normal(SOURCE.shape), 6) for _ in range(3)], axis=-1)
    return (4 * noise / np.abs(noise).max()).astype(np.float32)


@pytest.fixture(scope="module")
def ants():
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    return pytest.importorskip("ants")


@pytest.fixture(scope="module")
def affine_transform(ants):
    return ants.create_ants_transform(
        "AffineTransform", dimension=3, precision="float", matrix=MATRIX, translation=TRANSLATION, center=CENTRE
    )


@pytest.fixture(scope="module")
def composite(ants, affine_transform, tmp_path_factory):
    """A composite as fMRIPrep writes it: affine, then a displacement field in template space."""
    origin = tuple(LPS @ SOURCE.affine[:3, 3])
    field = ants.from_numpy(field_values(), origin=origin, spacing=(2.0, 2.0, 2.0), direction=LPS, has_components=True)
    warp = ants.transform_from_displacement_field(field)
    path = tmp_path_factory.mktemp("xfm") / "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5"
    ants.write_transform(ants.compose_ants_transforms([affine_transform, warp]), str(path))
    return path


@pytest.fixture(scope="module")
def probability():
    blurred = gaussian_filter(np.random.default_rng(1).standard_normal(SOURCE.shape), 2)
    return np.clip(blurred / np.abs(blurred).max() + 0.5, 0, 1).astype(np.float32)


def oblique_grid():
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)) + 3 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.7, 2.2, 1.9])
    affine[:3, 3] = affine[:3, :3] @ [-10, -10, -9]
    return Grid(affine=affine, shape=(21, 20, 18))


def interpolated(data, points, *, order=1, outside=0.0):
    """Linear interpolation of a source image at points (..., 3) in RAS mm."""
    voxels = (points - SOURCE.affine[:3, 3]) @ np.linalg.inv(SOURCE.affine[:3, :3]).T
    return map_coordinates(data.astype(float), np.moveaxis(voxels, -1, 0), order=order, cval=outside)


def displaced(points):
    """Affine first, then the displacement at the point it arrives at."""
    moved = linear(points)
    shift = np.stack([interpolated(part, moved) for part in np.moveaxis(field_values(), -1, 0)], axis=-1)
    return moved + shift @ LPS


@pytest.mark.parametrize("extension", [".mat", ".txt"])
def test_affines_written_by_ants_come_back(ants, affine_transform, tmp_path, extension):
    path = tmp_path / f"sub-01_from-T1w_to-MNI_mode-image_xfm{extension}"
    ants.write_transform(affine_transform, str(path))
    grid = oblique_grid()
    found = source_coordinates(read_transform(path), target=grid)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), linear(positions(grid)), atol=1e-3)


def test_a_composite_agrees_with_an_independent_resampling(composite, probability):
    grid = oblique_grid()
    found = resample(probability, read_transform(composite), source=SOURCE, target=grid)
    expected = interpolated(probability, displaced(positions(grid)))
    assert found.dtype == np.float32
    assert found.shape == grid.shape
    np.testing.assert_allclose(found, expected, atol=2e-4)
    still = interpolated(probability, linear(positions(grid)))
    assert np.abs(found - still).max() > 0.05  # the displacement matters here


def test_coordinates_of_a_composite_are_those_of_its_points(composite):
    grid = oblique_grid()
    found = source_coordinates(read_transform(composite), target=grid)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), displaced(positions(grid)), atol=2e-3)


@pytest.mark.parametrize("spelling", ["Transform", "Tranform"])
def test_the_own_reader_of_composites_agrees_with_that_of_itk(ants, composite, tmp_path, spelling):
    """Old ITK wrote ``TranformParameters``; fields of full size are 60 times as long as this one."""
    path = tmp_path / "way.h5"
    with h5py.File(composite) as source, h5py.File(path, "w") as file:
        source.copy("TransformGroup", file)
        for entry in file["TransformGroup"].values():
            for name in [each for each in entry if each.endswith("Parameters")]:
                entry.move(name, name.replace("Transform", spelling))
    expected = ants.read_transform(str(composite), precision="double")
    found = read_transform(path)
    points = np.random.default_rng(2).uniform(-35, 35, (40, 3))
    moved = np.array([expected.apply_to_point(tuple(point)) for point in points])
    np.testing.assert_allclose((LPS @ found.moved(LPS @ points.T)).T, moved, atol=2e-5)
    assert np.abs(moved - points).max() > 1


def test_points_beyond_the_field_are_moved_by_the_affine_only(composite):
    """The field ends half a voxel (1 mm) after its outermost voxels."""
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    affine[:3, 3] = [52.0, 48.0, 52.0]
    grid = Grid(affine=affine, shape=(12, 11, 10))
    found = source_coordinates(read_transform(composite), target=grid)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), linear(positions(grid)), atol=1e-3)


@pytest.mark.parametrize("turned", [False, True])
def test_composites_agree_with_itk_everywhere(ants, composite, probability, tmp_path, turned):
    """The order of the parts counts, and so do voxels at the edge of field and image."""
    path = tmp_path / "way.h5"
    write_composite(path, read_composite(composite)[:: -1 if turned else 1])
    grid = Grid(
        affine=np.array([[2.1, 0, 0, -52], [0, 1.9, 0, -50], [0, 0, 2.3, -49], [0, 0, 0, 1.0]]), shape=(50, 50, 43)
    )
    by_itk = ants.read_transform(str(path), precision="double")
    for spacing_mm in (np.inf, 1.5):
        found, expected = (
            resample(probability, way, source=SOURCE, target=grid, spacing_mm=spacing_mm)
            for way in (read_transform(path), by_itk)
        )
        differing = np.abs(found - expected) > 1e-4
        assert differing.mean() < 1e-4  # a point on the very edge may fall on either side
        assert expected.std() > 0.1


def test_composites_of_other_transforms_are_left_to_itk(ants, composite, tmp_path):
    turn = TransformRecord(
        kind="Euler3DTransform_float_3_3", parameters=np.array([0, 0, 0.1, 1, 2, 3]), fixed=np.zeros(4)
    )
    write_composite(tmp_path / "way.h5", [*read_composite(composite), turn])
    found = np.array(read_transform(tmp_path / "way.h5").apply_to_point((5.0, 0.0, 0.0)))
    turned = (5 * np.cos(0.1) + 1, 5 * np.sin(0.1) + 2, 3.0)
    np.testing.assert_allclose(found, ants.read_transform(str(composite)).apply_to_point(turned), atol=1e-4)


def test_the_command_line_route_of_ants_gives_the_same(ants, composite, probability):
    grid = oblique_grid()
    mapping = read_transform(composite)

    def itk(data, where):
        lps = LPS @ where.affine[:3, :3]
        spacing = np.linalg.norm(lps, axis=0)
        return ants.from_numpy(
            data, origin=tuple(LPS @ where.affine[:3, 3]), spacing=tuple(spacing), direction=lps / spacing
        )

    fixed = itk(np.zeros(grid.shape, dtype=np.float32), grid)
    expected = ants.apply_transforms(fixed, itk(probability, SOURCE), [str(composite)], interpolator="linear")
    np.testing.assert_allclose(resample(probability, mapping, source=SOURCE, target=grid), expected.numpy(), atol=1e-5)


def test_large_voxels_take_the_mean_of_points_within(composite, probability):
    coarse = Grid(affine=np.diag([4.0, 4.0, 3.0, 1.0]), shape=(5, 4, 6))
    fine_affine = np.diag([1.0, 1.0, 1.0, 1.0])
    fine_affine[:3, 3] = [-1.5, -1.5, -1.0]
    fine = Grid(affine=fine_affine, shape=(20, 16, 18))
    mapping = read_transform(composite)
    found = resample(probability, mapping, source=SOURCE, target=coarse, spacing_mm=1.0)
    points = resample(probability, mapping, source=SOURCE, target=fine)
    np.testing.assert_allclose(found, points.reshape(5, 4, 4, 4, 6, 3).mean(axis=(1, 3, 5)), atol=1e-6)


def test_equal_calls_give_equal_bits_and_leave_no_files(composite, probability, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    probability.setflags(write=False)
    grid = oblique_grid()
    first, second = (resample(probability, read_transform(composite), source=SOURCE, target=grid) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert list(tmp_path.iterdir()) == []


def test_the_box_holds_all_of_a_region_even_beyond_the_image(composite):
    small = np.zeros(SOURCE.shape, dtype=np.float32)
    small[20:24, 21:25, 18:23] = 1.0
    corners = SOURCE.affine[:3, :3] @ np.array([[19, 24], [20, 25], [17, 23]]) + SOURCE.affine[:3, 3:]
    mapping = read_transform(composite)
    wide = box_grid(oblique_grid(), start=(-30, -30, -30), shape=(90, 90, 90))
    whole = resample(small, mapping, source=SOURCE, target=wide)
    for shift in (0, 14):  # the second image ends before the region does
        grid = box_grid(oblique_grid(), start=(shift, 0, 0), shape=(21 - shift, 20, 18))
        coordinates = coarse_coordinates(mapping, grid=grid)
        start, shape = target_box(coordinates, bounds=(corners[:, 0], corners[:, 1]), grid=grid)
        part = resample(small, mapping, source=SOURCE, target=box_grid(grid, start=start, shape=shape))
        assert part.sum() == pytest.approx(whole.sum(), rel=1e-5)
        assert np.prod(shape) < whole.size / 4


def test_a_region_that_never_arrives_has_an_empty_box(composite):
    mapping = read_transform(composite)
    grid = oblique_grid()
    far = np.full(3, 5000.0)
    start, shape = target_box(coarse_coordinates(mapping, grid=grid), bounds=(far, far + 5), grid=grid)
    assert shape == (0, 0, 0)
    empty = box_grid(grid, start=start, shape=shape)
    assert resample(np.ones(SOURCE.shape), mapping, source=SOURCE, target=empty).shape == (0, 0, 0)


@pytest.mark.parametrize(("voxel_mm", "shift_mm", "most"), [(8.0, 0.0, 24), (3.0, 900.0, 0)])
def test_points_far_away_are_not_taken_for_the_origin(tmp_path, voxel_mm, shift_mm, most):
    """The box of a region at the origin stays small on a coarse grid, and is empty if all points arrive far away."""
    parameters = np.concatenate([np.eye(3).ravel(), [shift_mm, 0, 0]])
    record = TransformRecord(kind="AffineTransform_double_3_3", parameters=parameters, fixed=np.zeros(3))
    write_composite(tmp_path / "way.h5", [record])
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -12 * voxel_mm
    grid = Grid(affine=affine, shape=(25, 25, 25))
    coordinates = coarse_coordinates(read_transform(tmp_path / "way.h5"), grid=grid)
    start, shape = target_box(coordinates, bounds=(np.full(3, -5.0), np.full(3, 5.0)), grid=grid)
    assert max(shape) <= most
    assert not most or all(first <= 12 < first + size for first, size in zip(start, shape, strict=True))


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x89HDF\r\n\x1a\n" + bytes(100)])
@pytest.mark.parametrize("name", ["xfm.h5", "xfm.txt", "xfm.mat"])
def test_what_is_no_transform_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: expected an ITK transform") as caught:
        read_transform(tmp_path / name)
    assert caught.value.reason is Reason.INVALID_INPUT


def test_an_absent_transform_is_missing_data(tmp_path):
    with pytest.raises(InputError, match="no such file") as caught:
        read_transform(tmp_path / "xfm.h5")
    assert caught.value.reason is Reason.FILE_MISSING


def test_a_flat_transform_is_refused(ants, tmp_path):
    flat = ants.create_ants_transform("AffineTransform", dimension=2)
    ants.write_transform(flat, str(tmp_path / "flat.mat"))
    with pytest.raises(InputError, match="three dimensions, found 2"):
        read_transform(tmp_path / "flat.mat")


def test_sheared_grids_are_refused(composite):
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(InputError, match="not at right angles"):
        source_coordinates(read_transform(composite), target=Grid(affine=sheared, shape=(3, 3, 3)))
