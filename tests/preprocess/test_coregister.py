"""Coregistration: the border of white matter, the cost, planted and real transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lbpneuro.errors import QualityError
from lbpneuro.preprocess.coregister import (
    boundary,
    boundary_cost,
    check_coregistration,
    coregistration_quality,
    matrix_of,
    refine,
)
from lbpneuro.preprocess.realign import rigid
from tests.oracles import person

VOXEL_MM = 3.0
AFFINE = np.array([[-VOXEL_MM, 0, 0, 45], [0, VOXEL_MM, 0, -45], [0, 0, VOXEL_MM, -45], [0, 0, 0, 1]])
RADII = np.array([32.0, 24.0, 18.0])


def ellipsoid():
    """Share of each voxel inside an ellipsoid, about."""
    voxels = np.stack(np.meshgrid(*[np.arange(31)] * 3, indexing="ij"), axis=-1)
    radius = np.linalg.norm(person.apply(AFFINE, voxels) / RADII, axis=-1)
    return np.clip((1.0 - radius) * 20 / VOXEL_MM + 0.5, 0, 1)


@pytest.fixture(scope="module")
def border():
    return boundary(ellipsoid(), AFFINE)


def test_the_border_lies_on_the_surface_and_its_normals_point_inwards(border):
    assert len(border.points_mm) > 500
    assert np.abs(np.linalg.norm(border.points_mm / RADII, axis=1) - 1).max() < 0.06
    assert np.linalg.norm(border.normals, axis=1) == pytest.approx(np.ones(len(border.normals)))
    assert ((border.normals * border.points_mm).sum(axis=1) < 0).all()


def test_the_cost_by_hand(border):
    """Gray 110, white 90 on the two sides of the border: Q = 20 %, cost 1 - tanh(2)."""
    inside = ellipsoid()
    sharp = np.where(inside > 0.5, 90.0, 110.0)
    assert boundary_cost(np.linalg.inv(AFFINE), border, volume=sharp, depth_mm=6.0) == pytest.approx(
        1 - np.tanh(2), abs=0.03
    )
    assert boundary_cost(np.linalg.inv(AFFINE), border, volume=np.full((31, 31, 31), 100.0)) == 1.0
    assert boundary_cost(np.linalg.inv(AFFINE), border, volume=200 - sharp, depth_mm=6.0) > 1.8


def test_a_border_outside_the_volume_costs_most(border):
    away = np.linalg.inv(AFFINE) @ person.affine(np.eye(3), [500, 0, 0])
    assert boundary_cost(away, border, volume=np.ones((31, 31, 31))) == 2.0


@pytest.fixture(scope="module")
def folded(someone):
    """The border of white matter of the simulated person, from the template's probability on a 3-mm grid."""
    source = someone.source
    white = np.clip((source.t1w - 60.0) / 30.0, 0.0, 1.0) * (source.brain > 0.5)
    affine, points = person.grid(low=(-102.0, -135.0, -100.0), size=(68, 80, 72), voxel_mm=3.0)
    voxels = person.apply(np.linalg.inv(source.affine) @ someone.to_template, points)
    return boundary(ndimage.map_coordinates(white, voxels.T, order=1).reshape(68, 80, 72), affine)


@pytest.mark.parametrize("seed", range(3))
def test_refinement_finds_the_planted_transform(someone, bold, folded, seed):
    start = someone.to_bold @ rigid(np.random.default_rng(seed).normal(0, [2] * 3 + [0.03] * 3, (1, 6)), np.zeros(3))[0]
    found, cost = refine(start, folded, volume=bold[0][..., 0], affine=bold[1])
    assert person.distances(start, someone.to_bold, folded.points_mm).mean() > 1.5
    assert person.distances(found, someone.to_bold, folded.points_mm).mean() < 1.0
    assert cost < boundary_cost(np.linalg.inv(bold[1]) @ start, folded, volume=bold[0][..., 0])


def test_quality_by_hand():
    seen = np.array([True, True, True, True, False])
    assert coregistration_quality(seen, np.array([100.0, 90, 110, 5, 0])) == {
        "brain_in_view": 0.8,
        "brain_with_signal": 0.75,
    }
    assert coregistration_quality(np.zeros(3, dtype=bool), np.zeros(3))["brain_with_signal"] == 0.0


@pytest.mark.parametrize(
    ("name", "value"), [("brain_in_view", 0.3), ("brain_with_signal", 0.4), ("boundary_cost", 0.99)]
)
def test_a_run_beside_the_head_is_refused(name, value):
    good = {"brain_in_view": 0.95, "brain_with_signal": 0.97, "boundary_cost": 0.4}
    check_coregistration(good, path=Path("run.nii.gz"))
    with pytest.raises(QualityError, match=rf"run\.nii\.gz.*{name} {value}"):
        check_coregistration(good | {name: value}, path=Path("run.nii.gz"))


def test_itk_files_are_read_in_scanner_coordinates(tmp_path):
    """A point taken by ANTs and by the matrix comes to the same place."""
    import ants

    turn = person.rotation([3, -5, 8])
    transform = ants.create_ants_transform(
        "AffineTransform", dimension=3, precision="double", matrix=turn, translation=(1.0, -2.0, 3.0), center=(5, 6, -7)
    )
    ants.write_transform(transform, str(tmp_path / "rigid.mat"))
    lps = transform.apply_to_point((10.0, 20.0, 30.0))
    flip = np.array([-1, -1, 1])
    assert person.apply(matrix_of(str(tmp_path / "rigid.mat")), np.array([[-10.0, -20.0, 30.0]])) == pytest.approx(
        np.array([flip * lps]), abs=1e-4
    )


def fsl_to_scanner(matrix, moving, fixed):
    """A FLIRT matrix (scaled voxels, first axis flipped where the determinant is positive) in scanner coordinates."""

    def scaled(image):
        zooms = image.header.get_zooms()[:3]
        to_fsl = np.diag([*zooms, 1.0])
        if np.linalg.det(image.affine) > 0:
            flip = np.diag([-1.0, 1, 1, 1])
            flip[0, 3] = (image.shape[0] - 1) * zooms[0]
            to_fsl = flip @ to_fsl
        return to_fsl @ np.linalg.inv(image.affine)

    return np.linalg.inv(scaled(fixed)) @ matrix @ scaled(moving)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("spacing_mm", [3.0, 1.0])
def test_agrees_with_fsl_on_a_real_epi(real_data, spacing_mm):
    """T1w (skull-stripped) and EPI of one person: within 2 mm of FLIRT in the mean; header alone is 12 mm off."""
    import nibabel as nib

    from lbpneuro.io.transforms import itk_image
    from lbpneuro.preprocess.coregister import coregister
    from lbpneuro.preprocess.extraction import filled
    from lbpneuro.preprocess.itk import ants_session, coarsened, on_grid

    folder = real_data("coreg_qa")
    anatomy, epi = (nib.load(folder / f"{name}.nii.gz") for name in ("highres", "example_func"))
    theirs = fsl_to_scanner(np.loadtxt(folder / "highres2example_func.mat"), anatomy, epi)
    with ants_session():
        t1w = coarsened(itk_image(np.asarray(anatomy.dataobj), anatomy.affine), spacing_mm)
        brain = filled(t1w.numpy() > 0.1 * np.quantile(t1w.numpy(), 0.99), like=t1w)
        level = np.quantile(t1w.numpy()[brain.numpy() > 0], 0.6)
        white = on_grid(ndimage.gaussian_filter((t1w.numpy() > level).astype(float), 1.2 / spacing_mm), t1w)
        reference = itk_image(np.asarray(epi.dataobj, dtype=np.float32), epi.affine)
        ours, cost = coregister(reference, t1w=t1w, mask=brain, white_matter=white)
    inside = np.argwhere(np.asarray(anatomy.dataobj) > 0)[::97]
    points = person.apply(anatomy.affine, inside)
    away = person.distances(ours, theirs, points)
    assert cost < 0.9
    assert person.distances(np.eye(4), theirs, points).mean() > 10
    assert away.mean() < 2.0
