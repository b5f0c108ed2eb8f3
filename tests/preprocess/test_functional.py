"""The parts of the functional path; the whole of it runs in tests/steps/test_preprocess.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lbpneuro.errors import InputError
from lbpneuro.io.images import Image
from lbpneuro.preprocess.functional import (
    brain_of_run,
    enough,
    head_centre,
    in_brain,
    normalised,
    pure_tissues,
    reference_volume,
    steady_start,
    target_grid,
)
from lbpneuro.preprocess.raw_images import RawRun
from tests.oracles import person

SHAPE = (12, 13, 14)


def tissues():
    """A ball of gray matter with white matter inside and a ventricle in the middle."""
    voxels = np.stack(np.meshgrid(*map(np.arange, (24, 24, 24)), indexing="ij"), axis=-1)
    radius = np.linalg.norm(voxels - 11.5, axis=-1)
    maps = {"CSF": radius < 3, "WM": (radius >= 3) & (radius < 8), "GM": (radius >= 8) & (radius < 11)}
    return {name: values.astype(np.float32) for name, values in maps.items()}, radius


def test_pure_tissue_is_deep():
    maps, radius = tissues()
    found = pure_tissues(maps, brain=in_brain(maps), path=Path("bold.nii.gz"))
    assert found["CSF"].sum() == (radius < 3).sum()
    assert radius[found["WM"]].min() > 3.5
    assert radius[found["WM"]].max() < 7.5
    assert not (found["CSF"] & found["WM"]).any()


@pytest.mark.parametrize(("spacing", "found_mm"), [(1.0, 2.0), (2.0, 2.0), (3.0, 3.0)])
def test_runs_are_brought_to_2_mm_or_the_grid_of_the_maps(spacing, found_mm):
    maps, _ = tissues()
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    target = target_grid({name: Image(path=Path("x"), data=data, affine=affine) for name, data in maps.items()})
    step = round(found_mm / spacing)
    assert np.abs(target.affine[0, 0]) == found_mm
    assert target.inside.shape == (24 // step,) * 3
    assert (target.inside & in_brain(target.tissues)).sum() == in_brain(target.tissues).sum()
    ml = in_brain(target.tissues).sum() * found_mm**3
    assert ml == pytest.approx(in_brain(maps).sum() * spacing**3, rel=0.05)


def test_too_few_voxels_are_replaced_by_the_purest():
    maps, _ = tissues()
    maps["CSF"] *= 0.7
    found = pure_tissues(maps, brain=in_brain(maps), path=Path("bold.nii.gz"))
    assert found["CSF"].sum() >= 20
    assert (maps["CSF"][found["CSF"]] > 0.6).all()


def test_no_brain_at_all_is_an_error():
    none = np.zeros(SHAPE, dtype=bool)
    with pytest.raises(InputError, match=r"bold\.nii\.gz: only 0 voxels"):
        enough(none, np.zeros(SHAPE), among=none, path=Path("bold.nii.gz"))


def test_brain_of_a_run_leaves_out_what_is_dark_or_out_of_view():
    maps, _ = tissues()
    brain = in_brain(maps)
    inside = ndimage.binary_dilation(brain)
    n_point = int(inside.sum())
    bold = np.full((3, n_point), 100, dtype=np.float32)
    seen = np.ones(n_point, dtype=bool)
    positions = np.flatnonzero(brain[inside])
    bold[:, positions[:10]] = 5
    seen[positions[10:25]] = False
    found, quality = brain_of_run(bold, seen, tissues=maps, inside=inside)
    assert found.sum() == brain.sum() - 25
    assert not (found & ~brain).any()
    assert quality["brain_in_view"] == pytest.approx(1 - 15 / brain.sum())
    assert quality["brain_with_signal"] == pytest.approx(1 - 10 / (brain.sum() - 15))


def run_of(series, affine):
    return RawRun(path=Path("bold.nii.gz"), series=series, affine=affine, t_r=2.0)


def test_one_interpolation_undoes_motion_and_reaches_any_point(someone, bold):
    """With the true motion, the series at points of the reference stands still and has the value of the source."""
    series, affine = bold
    _, points = person.grid(low=(-40.0, -60.0, 0.0), size=(12, 14, 8), voxel_mm=5.0)
    found, seen = normalised(run_of(series, affine), motion=someone.motion, points_mm=points.T)
    head = person.apply(someone.to_template @ np.linalg.inv(someone.to_bold), points)
    expected = someone.source.at("epi", head)
    assert seen.all()
    assert found.dtype == np.float32
    assert np.corrcoef(found.mean(axis=0), expected)[0, 1] > 0.95
    still = normalised(run_of(series, affine), motion=np.tile(np.eye(4), (24, 1, 1)), points_mm=points.T)[0]
    assert found.std(axis=0, ddof=1).mean() < 6.5  # the noise is 6
    assert still.std(axis=0, ddof=1).mean() > 7


def test_voxel_centres_are_returned_as_they_are(rng):
    series = rng.random((*SHAPE, 3), dtype=np.float32)
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    voxels = np.argwhere(np.ones(SHAPE, dtype=bool))
    found, seen = normalised(
        run_of(series, affine), motion=np.tile(np.eye(4), (3, 1, 1)), points_mm=person.apply(affine, voxels).T
    )
    assert seen.all()
    assert found == pytest.approx(series.reshape(-1, 3).T, abs=1e-5)


def test_points_that_leave_the_field_of_view_once_are_empty(rng):
    series = 100 + rng.random((*SHAPE, 2), dtype=np.float32)
    motion = np.stack([np.eye(4), person.affine(np.eye(3), [0, 0, 3])])
    points = np.array([[5.0, 5.0, 5.0], [5.0, 5.0, 12.0]]).T
    found, seen = normalised(run_of(series, np.eye(4)), motion=motion, points_mm=points)
    assert seen.tolist() == [True, False]
    assert (found[:, 1] == 0).all()
    assert (found[:, 0] > 99).all()


def test_reference_is_the_mean_of_a_still_run(rng):
    series = 100 + rng.random((*SHAPE, 4), dtype=np.float32)
    found = reference_volume(run_of(series, np.eye(4)), np.tile(np.eye(4), (4, 1, 1)), start=1)
    assert found == pytest.approx(series[..., 1:].mean(axis=-1), abs=1e-3)


def test_bright_start_is_seen(someone, bold):
    series = bold[0].copy()
    series[..., 0] *= 1.4
    series[..., 1] *= 1.2
    assert steady_start(series) == 2
    assert steady_start(bold[0]) == 0


def test_centre_of_the_head_by_hand():
    volume = np.zeros((9, 9, 9))
    volume[2:5, 3:6, 4:7] = 100
    assert head_centre(volume, np.diag([-2.0, 2.0, 2.0, 1.0])) == pytest.approx([-6, 8, 10])
