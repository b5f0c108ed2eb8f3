"""The realigner against planted motion and an independent optimiser."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage, optimize

from lbpneuro.preprocess.realign import (
    align,
    head_mask,
    mean_aligned,
    parameters,
    realign,
    reference,
    rigid,
    sample,
    spline_coefficients,
    thinned,
)
from tests.oracles import person

CENTRE = np.array([0.0, -20.0, 10.0])


def brain_points(series, affine):
    return person.apply(affine, np.argwhere(head_mask(series[..., 0])).astype(float))[::7]


@pytest.fixture(scope="module")
def found(bold):
    return realign(*bold)


def test_planted_motion_is_recovered_within_a_tenth_of_a_millimetre(someone, bold, found):
    points = brain_points(*bold)
    between = [moved @ np.linalg.inv(someone.motion[0]) for moved in someone.motion]
    estimated = [moved @ np.linalg.inv(found[0]) for moved in found]
    errors = [person.distances(a, b, points).mean() for a, b in zip(between[1:], estimated[1:], strict=True)]
    planted = [person.distances(moved, np.eye(4), points).mean() for moved in between[1:]]
    assert np.mean(planted) > 0.8
    assert np.mean(errors) < 0.1


def test_a_general_optimiser_finds_the_same_motion(bold):
    """Least squares of scipy on the same images: numerical derivatives of the moving image, not of the reference."""
    series, affine = bold
    smooth = [ndimage.gaussian_filter(series[..., t].astype(np.float64), 1.5) for t in (0, 15)]
    inside = np.zeros(series.shape[:3], dtype=bool)
    inside[6:-6, 6:-6, 6:-6] = head_mask(series[..., 0])[6:-6, 6:-6, 6:-6]
    target = reference(smooth[0], affine, inside=inside)
    moving = spline_coefficients(smooth[1])
    ours = align(target, moving, affine=affine, guess=np.eye(4), order=3)

    to_voxel = np.linalg.inv(affine)

    def residual(values):
        moved = rigid(values[None, :6], target.centre_mm)[0]
        return sample(moving, target.points_mm, to_voxel=to_voxel @ moved, order=3)[0] - values[6] * target.values

    start = np.array([0.0, 0, 0, 0, 0, 0, 1])
    best = optimize.least_squares(residual, start, x_scale=[1, 1, 1, 0.02, 0.02, 0.02, 0.1], diff_step=1e-4)
    theirs = rigid(best.x[None, :6], target.centre_mm)[0]
    assert person.distances(np.eye(4), theirs, target.points_mm).mean() > 0.5
    assert person.distances(ours, theirs, target.points_mm).mean() < 0.02


def test_a_still_head_gives_the_identity(bold):
    series = np.repeat(bold[0][..., :1], 3, axis=-1)
    assert np.allclose(realign(series, bold[1]), np.eye(4), atol=1e-3)


def test_a_change_of_intensity_is_not_taken_for_motion(bold):
    series = bold[0][..., :1] * np.array([1.0, 1.3, 0.8], dtype=np.float32)
    assert np.allclose(realign(series, bold[1]), np.eye(4), atol=2e-3)


def test_the_series_is_not_changed(bold):
    series = bold[0][..., :3].copy()
    series.setflags(write=False)
    assert np.array_equal(realign(series, bold[1]), realign(series, bold[1]))


def test_a_shift_by_one_voxel_by_hand():
    """A blob moved by one voxel of 3 mm along x: tx = 3, all else 0."""
    points = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    series = np.stack(
        [1000 * np.exp(-((points - centre) ** 2).sum(axis=-1) / 30) for centre in ([9, 10, 10], [10, 10, 10])], axis=-1
    )
    found = parameters(realign(series, np.diag([3.0, 3.0, 3.0, 1.0])), np.array([28.5, 30, 30]))
    assert np.allclose(found[1] - found[0], [3, 0, 0, 0, 0, 0], atol=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_parameters_are_the_inverse_of_rigid(seed):
    given = np.random.default_rng(seed).normal(0, [1, 1, 1, 0.1, 0.1, 0.1], (4, 6))
    assert np.allclose(parameters(rigid(given, CENTRE), CENTRE), given)


def test_rigid_turns_about_its_centre():
    turned = rigid(np.array([[0, 0, 0, 0, 0, np.pi / 2]]), CENTRE)[0]
    assert np.allclose(person.apply(turned, CENTRE[None]), CENTRE)
    # FSL's sign: a positive rotation about z takes +y to +x
    assert np.allclose(person.apply(turned, (CENTRE + np.array([0, 10, 0]))[None]), CENTRE + np.array([10, 0, 0]))


def test_points_lie_no_closer_than_told():
    """4 mm: every fourth voxel of 1 mm, every second of 2 mm, and all of 3 mm."""
    mask = np.ones((9, 9, 9), dtype=bool)
    mask[0] = False
    found = thinned(mask, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert np.unique(np.argwhere(found)[:, 0]).tolist() == [4, 8]
    assert np.unique(np.argwhere(found)[:, 1]).tolist() == [0, 2, 4, 6, 8]
    assert np.unique(np.argwhere(found)[:, 2]).tolist() == list(range(9))


def test_points_out_of_view_take_no_part(bold):
    """A volume of which a third was cut off gives the motion that the same part of the reference gives."""
    series, affine = bold
    first, moved = (ndimage.gaussian_filter(series[..., t], 1.0) for t in (0, 15))
    target = reference(first, affine, inside=head_mask(first))
    cut = first.shape[2] // 3
    lower = affine.copy()
    lower[:3, 3] += affine[:3, :3] @ [0, 0, cut]
    whole = align(target, spline_coefficients(moved), affine=affine, guess=np.eye(4), order=3)
    part = align(target, spline_coefficients(moved[..., cut:]), affine=lower, guess=np.eye(4), order=3)
    points = brain_points(series, affine)
    assert person.distances(np.eye(4), whole, points).mean() > 0.5
    assert person.distances(whole, part, points).mean() < 0.15


def test_sample_tells_what_lies_outside():
    volume = np.arange(27.0).reshape(3, 3, 3)
    values, seen = sample(volume, np.array([[1.0, 1, 1], [0.5, 0, 0], [2.5, 0, 0]]), to_voxel=np.eye(4))
    assert values[:2] == pytest.approx([13.0, 4.5])
    assert seen.tolist() == [True, True, False]


def test_mean_of_aligned_volumes_is_sharper_than_the_plain_mean(someone, bold):
    series, affine = bold
    aligned = mean_aligned(
        lambda t: spline_coefficients(series[..., t]), someone.motion, affine=affine, shape=series.shape[:3]
    )
    first = series[..., 0]
    inner = (slice(8, -8), slice(8, -8), slice(8, -8))
    fit = [np.corrcoef(image[inner].ravel(), first[inner].ravel())[0, 1] for image in (aligned, series.mean(axis=-1))]
    assert fit[0] > fit[1]
    assert fit[0] > 0.99


@pytest.mark.real
def test_three_echoes_of_a_head_move_together(real_data):
    """Real images, each echo realigned by itself: the head moved by 0.7 mm, and the echoes agree within 0.2 mm."""
    motions = []
    for echo in (1, 2, 3):
        image = nib.load(real_data("tedana_multiecho") / f"sub-01_task-rest_echo-{echo}_bold.nii.gz")
        series = np.asarray(image.dataobj, dtype=np.float32)
        motion = realign(series, image.affine)
        motions.append(motion @ np.linalg.inv(motion[0]))
    points = brain_points(series, image.affine)
    moved = [person.distances(motion, np.eye(4), points).mean() for motion in motions[0][1:]]
    assert np.mean(moved) > 0.5
    for other in motions[1:]:
        away = [person.distances(a, b, points).mean() for a, b in zip(motions[0][1:], other[1:], strict=True)]
        assert max(away) < 0.2


@pytest.mark.slow
def test_ants_finds_the_same_motion(bold, found):
    from lbpneuro.io.transforms import itk_image
    from lbpneuro.preprocess.coregister import matrix_of
    from lbpneuro.preprocess.itk import ants_session

    series, affine = bold
    points = brain_points(series, affine)
    with ants_session():
        import ants

        fixed, moving = (itk_image(ndimage.gaussian_filter(series[..., t], 0.6), affine) for t in (0, 15))
        result = ants.registration(
            fixed=fixed, moving=moving, type_of_transform="BOLDRigid", aff_random_sampling_rate=0.5
        )
        theirs = matrix_of(result["fwdtransforms"][0])
    ours = found[15] @ np.linalg.inv(found[0])
    assert person.distances(ours, theirs, points).mean() < 0.2
