"""Control signals of the brainstem, and the check that it lies where the template has it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lbpneuro.io.brainstem import brainstem_controls, brainstem_overlap
from lbpneuro.io.images import Image
from lbpneuro.io.region_grid import roi_weights
from lbpneuro.io.regions import load_atlas, read_regions
from lbpneuro.kernels.voxels import in_mask, voxels_of
from lbpneuro.simulate.template import template

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
CONTROLS = [(roi, "n/a") for roi in ("pag", "aqueduct", "ventricle4", "pons")]
DICE_MIN = 0.85


@pytest.fixture(scope="module")
def regions():
    return read_regions(ROIS)


def image(data, affine) -> Image:
    return Image(path=Path("map.nii.gz"), data=np.asarray(data, dtype=np.float32), affine=affine)


def tissues(voxel_mm: float, *, shift_mm=(0, 0, 0)) -> tuple[Image, Image]:
    """Gray and white matter of the template, moved by changing the affine."""
    source = template(voxel_mm)
    affine = source.grid.affine.copy()
    affine[:3, 3] += shift_mm
    return image(source.gm * source.brain, affine), image(source.wm * source.brain, affine)


def test_the_brainstem_of_the_atlas_overlaps_itself_wholly(regions):
    labels, affine = load_atlas(regions["brainstem", "n/a"].atlas)
    stem = np.isin(labels, [0, 15], invert=True)
    assert brainstem_overlap(image(stem, affine), image(0 * stem, affine), regions) == 1.0


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0])
def test_a_millimetre_passes_and_four_fail(regions, voxel_mm):
    """The tissue maps are of another template than the atlas: two brains registered well, not one brain."""
    assert brainstem_overlap(*tissues(voxel_mm), regions) > 0.88
    for axis in range(3):
        for sign in (-1, 1):
            shift = sign * np.eye(3)[axis]
            assert brainstem_overlap(*tissues(voxel_mm, shift_mm=shift), regions) > DICE_MIN
            assert brainstem_overlap(*tissues(voxel_mm, shift_mm=4 * shift), regions) < DICE_MIN


def test_the_overlap_hardly_depends_on_the_resolution_and_is_not_told_from_coarse_maps(regions):
    fine, coarse, too_coarse = (brainstem_overlap(*tissues(voxel_mm), regions) for voxel_mm in (1.0, 2.0, 3.0))
    assert abs(fine - coarse) < 0.02
    assert np.isnan(too_coarse)


def test_without_its_regions_the_overlap_is_not_known(regions):
    others = {name: region for name, region in regions.items() if name[0] != "brainstem"}
    assert np.isnan(brainstem_overlap(*tissues(3.0), others))


@pytest.fixture(scope="module")
def run(regions):
    """A run at 2 mm around the brainstem: every voxel its own noise, CSF and pons with a signal each."""
    source = template(2.0)
    mask = np.zeros(source.brain.shape, dtype=bool)
    mask[36:62, 36:66, 5:45] = source.brain[36:62, 36:66, 5:45] > 0.5
    csf = image(np.clip(1 - source.gm - source.wm, 0, 1) * source.brain, source.grid.affine)
    rng = np.random.default_rng(0)
    bold = rng.standard_normal((90, mask.sum())).astype(np.float32)
    series = SimpleNamespace(bold=bold, mask=mask, affine=source.grid.affine)
    found = roi_weights(series, regions={name: regions[name] for name in CONTROLS}, csf=csf, brainstem=("pag",))
    return series, found, csf


def test_controls_are_the_signals_of_their_places(run):
    series, found, csf = run
    waves = {"csf_local": np.sin(np.arange(90)), "pons": np.cos(np.arange(90))}
    bold = series.bold * 0.1
    weights = dict(zip([name[0] for name in found.names], found.weights.toarray(), strict=True))
    wet = in_mask(csf.data, series.mask) > 0.4
    bold += np.where((weights["ventricle4"] > 0) & wet, 1, 0) * waves["csf_local"][:, np.newaxis]
    bold += (weights["pons"] > 0) * waves["pons"][:, np.newaxis]
    signals = brainstem_controls(
        SimpleNamespace(bold=bold.astype(np.float32), mask=series.mask, affine=series.affine),
        found,
        csf=csf,
        seeds=["pag"],
    )
    for name, wave in waves.items():
        assert np.corrcoef(signals[name], wave)[0, 1] > 0.95


def test_the_seed_itself_is_in_no_control(run):
    series, found, csf = run
    pag = found.weights[[0]].toarray().ravel() > 0
    changed = series.bold.copy()
    changed[:, pag] += 100
    other = SimpleNamespace(bold=changed, mask=series.mask, affine=series.affine)
    for given in (csf, None):
        before = brainstem_controls(series, found, csf=given, seeds=["pag"])
        after = brainstem_controls(other, found, csf=given, seeds=["pag"])
        assert set(before) == {"csf_local", "pons"}
        for name, signal in before.items():
            np.testing.assert_array_equal(after[name], signal)


def test_a_control_that_is_all_seed_is_left_out(run):
    series, found, csf = run
    assert set(brainstem_controls(series, found, csf=csf, seeds=["pag", "pons"])) == {"csf_local"}
    assert set(brainstem_controls(series, found, csf=None, seeds=["ventricle4"])) == {"pons"}


def test_a_control_outside_the_data_is_left_out(run):
    series, found, csf = run
    high = voxels_of(series.mask)[:, 2] > 30  # above the pons and most of the ventricle
    bold = np.where(high, series.bold, 0)
    cut = SimpleNamespace(bold=bold.astype(np.float32), mask=series.mask, affine=series.affine)
    assert "pons" not in brainstem_controls(cut, found, csf=csf, seeds=["pag"])
