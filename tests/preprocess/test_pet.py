"""Raw PET frames brought to the T1w image: planted motion and position are found."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.files import write_nifti
from lbpneuro.io.images import Image
from lbpneuro.io.pet import ScanFiles
from lbpneuro.kernels.pet import displacement_mm
from lbpneuro.preprocess import pet
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.realign import rigid

VOXEL_MM = 5.0
SHAPE = (36, 42, 34)
AFFINE = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
AFFINE[:3, 3] = -VOXEL_MM * (np.array(SHAPE) - 1) / 2


def brain(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T1w-like intensity and uptake of an egg with bright nuclei at points (n, 3) in mm."""
    radius = np.linalg.norm(points / [62, 78, 58], axis=1)
    inside = 1 / (1 + np.exp((radius - 1) * 25))
    core = np.exp(-((np.linalg.norm((points - [0, -8, 5]) / [26, 18, 14], axis=1)) ** 4))
    lobe = np.exp(-((np.linalg.norm((points - [20, 45, 15]) / [14, 18, 20], axis=1)) ** 4))
    return inside * (60 + 50 * core + 25 * lobe), inside * (1 + 0.6 * core + 0.4 * lobe)


def grid_points() -> np.ndarray:
    return np.argwhere(np.ones(SHAPE, bool)) @ AFFINE[:3, :3].T + AFFINE[:3, 3]


def frames(positions: np.ndarray, *, noise: float = 0.02, seed: int = 1) -> np.ndarray:
    """Uptake whose head is at ``positions[t]`` (T1w point to PET point) in each frame."""
    rng = np.random.default_rng(seed)
    found = []
    for position in positions:
        back = np.linalg.inv(position)
        uptake = brain(grid_points() @ back[:3, :3].T + back[:3, 3])[1].reshape(SHAPE)
        found.append(ndimage.gaussian_filter(uptake, 0.6) + noise * rng.standard_normal(SHAPE))
    return np.stack(found, axis=-1).astype(np.float32)


def moves(parameters: list[list[float]]) -> np.ndarray:
    return rigid(np.array(parameters), np.zeros(3))


def test_motion_between_frames_is_found() -> None:
    true = moves(
        [[0, 0, 0, 0, 0, 0], [1, 0.5, 0, 0, 0, 0.01], [2.5, 1, -1, 0.02, 0, 0.01], [2.5, 1, -1, 0.02, 0, 0.01]]
    )
    found = pet.frame_positions(frames(true), AFFINE, duration_s=np.array([300.0, 300, 300, 300]))
    expected = displacement_mm(true, centre_mm=np.zeros(3), radius_mm=80)
    np.testing.assert_allclose(displacement_mm(found, centre_mm=np.zeros(3), radius_mm=80), expected, atol=0.3)


def test_short_frames_take_the_position_of_the_first_long_one() -> None:
    true = moves([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0]])
    found = pet.frame_positions(frames(true), AFFINE, duration_s=np.array([10.0, 300, 300]))
    np.testing.assert_array_equal(found[0], found[1])
    assert displacement_mm(found, centre_mm=np.zeros(3), radius_mm=80)[2] == pytest.approx(3, abs=0.3)
    static = pet.frame_positions(frames(true[:1]), AFFINE, duration_s=np.array([1800.0]))
    np.testing.assert_array_equal(static, np.eye(4)[None])


def scan_files(folder: Path, *, positions: np.ndarray, durations: list[float]) -> ScanFiles:
    series = frames(positions)
    t1w, _ = brain(grid_points())
    inside = (t1w > 30).reshape(SHAPE)
    paths = [folder / f"sub-01_{name}.nii.gz" for name in ("pet", "desc-preproc_T1w", "desc-brain_mask")]
    for path, values in zip(
        paths, (series, t1w.reshape(SHAPE).astype(np.float32), inside.astype(np.uint8)), strict=True
    ):
        image = nib.Nifti1Image(values, AFFINE)
        image.set_sform(AFFINE, code=1)
        write_nifti(path, image)
    return ScanFiles(
        image=paths[0],
        space="raw",
        curves=None,
        volumes=None,
        confounds=None,
        blood=(),
        anatomy=tuple(paths[1:]),
        metadata={"FrameDuration": durations},
    )


def test_a_scan_that_lies_elsewhere_comes_to_lie_on_the_t1w_image(tmp_path: Path) -> None:
    pose = moves([[4, -6, 5, 0.04, -0.03, 0.05]])[0]
    steps = moves([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [5, 3, 2, 0, 0.05, 0.03]])
    files = scan_files(tmp_path, positions=steps @ pose, durations=[30.0, 300.0, 300.0])
    with ants_session():
        found = pet.in_anatomy(files, duration_s=np.array([30.0, 300, 300]))
    assert found.space == "T1w"
    assert found.values.shape == (*SHAPE, 3)
    points = grid_points()
    truth = brain(points)[1].reshape(SHAPE)
    seen = np.isfinite(found.values).all(axis=-1) & (truth > 0.3)
    for frame in range(3):
        assert np.corrcoef(found.values[seen, frame], truth[seen])[0, 1] > 0.97
    assert np.nanmean(np.abs(found.values[seen, 2] - found.values[seen, 1])) < 0.045  # noise alone gives 0.02
    core = (np.linalg.norm((points - [0, -8, 5]) / [26, 18, 14], axis=1) < 0.8).reshape(SHAPE)
    planted = ndimage.gaussian_filter(truth, 0.6)[core].mean()
    for frame in (1, 2):  # linear interpolation takes 0.8 and 1.6 % off this core
        assert found.values[core, frame].mean() == pytest.approx(planted, rel=0.003)
    unmoved = frames((steps @ pose)[2:])[..., 0]
    assert np.corrcoef(unmoved[seen], truth[seen])[0, 1] < 0.93  # what was there before
    moved = displacement_mm(found.motion, centre_mm=found.centre_mm, radius_mm=80)
    assert moved[2] == pytest.approx(displacement_mm(steps, centre_mm=np.zeros(3), radius_mm=80)[2], abs=0.4)


def test_a_raw_scan_needs_the_anatomy(tmp_path: Path) -> None:
    files = scan_files(tmp_path, positions=np.eye(4)[None], durations=[300.0])
    bare = ScanFiles(**{**{name: getattr(files, name) for name in files.__dataclass_fields__}, "anatomy": ()})
    with pytest.raises(InputError, match="preprocessed T1w") as caught:
        pet.in_anatomy(bare, duration_s=np.array([300.0]))
    assert caught.value.reason is Reason.NO_DERIVATIVE


def test_the_working_grid_is_about_two_millimetres() -> None:
    affine = np.diag([-0.7, 0.7, 1.0, 1.0])
    mask = np.zeros((40, 40, 40), np.float32)
    mask[10:30, 10:30, 10:30] = 1
    grid, inside = pet.working_grid(Image(path=Path("x"), data=mask, affine=affine))
    np.testing.assert_allclose(np.linalg.norm(grid.affine[:3, :3], axis=0), [2.1, 2.1, 2.0])
    assert grid.shape == inside.shape == (14, 14, 20)
