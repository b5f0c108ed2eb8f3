"""Regions that follow the aqueduct of the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lbpneuro.io.aqueduct import own_aqueduct
from lbpneuro.io.images import Image
from lbpneuro.io.regions import read_regions
from lbpneuro.kernels.aqueduct import axis_at
from lbpneuro.simulate.template import template

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"


@pytest.fixture(scope="module")
def regions():
    return read_regions(ROIS)


def template_csf(voxel_mm: float, *, shift=(0, 0, 0)) -> Image:
    """The CSF of the template, moved by whole voxels."""
    source = template(voxel_mm)
    csf = np.clip(1 - source.gm - source.wm, 0, 1) * source.brain
    moved = np.roll(csf, shift, axis=(0, 1, 2)).astype(np.float32)
    return Image(path=Path("label-CSF_probseg.nii.gz"), data=moved, affine=source.grid.affine)


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0])
def test_on_the_template_itself_the_axis_is_that_of_the_template(regions, voxel_mm):
    moved, facts = own_aqueduct(regions, template_csf(voxel_mm))
    assert facts["AqueductAxis"] == "own"
    assert facts["AqueductDistanceMm"] < 0.5
    away = np.linalg.norm(moved["pag", "n/a"].points - regions["pag", "n/a"].points, axis=1)
    assert away.max() < 2.0  # largest at the ends, where the aqueduct opens into the ventricles
    assert list(moved) == list(regions)
    assert all(moved[name] is regions[name] for name in regions if regions[name].kind != "tube")


def test_every_tube_follows_the_same_axis_and_keeps_its_heights_and_sectors(regions):
    moved, _ = own_aqueduct(regions, template_csf(1.0, shift=(2, 0, 0)))
    axis = moved["pag", "n/a"].points
    for name in (name for name, region in regions.items() if region.kind == "tube"):
        np.testing.assert_array_equal(moved[name].points[:, 2], regions[name].points[:, 2])
        np.testing.assert_allclose(moved[name].points, axis_at(axis, height_mm=moved[name].points[:, 2]), atol=1e-9)
        assert moved[name].sectors == regions[name].sectors
    still, _ = own_aqueduct(regions, template_csf(1.0))
    np.testing.assert_allclose(axis - still["pag", "n/a"].points, [[2, 0, 0]] * len(axis), atol=0.1)


def test_the_axis_of_the_template_stays_where_there_is_nothing_better(regions, caplog):
    for csf, why in (
        (None, "no CSF map"),
        (template_csf(3.0), "voxels of the CSF map are 3 mm"),
        (template_csf(1.0, shift=(0, 6, 0)), "mm from that of the template"),
        (Image(path=Path("x"), data=np.full((20, 20, 20), 0.1, np.float32), affine=np.eye(4)), "shows no aqueduct"),
    ):
        moved, facts = own_aqueduct(regions, csf)
        assert facts["AqueductAxis"] == "template"
        assert why in facts["AqueductNote"]
        assert moved == regions
    assert "the axis of the template is used" in caplog.text


def test_without_tubes_nothing_is_done(regions):
    spheres = {name: region for name, region in regions.items() if region.kind == "sphere"}
    assert own_aqueduct(spheres, template_csf(2.0)) == (spheres, {})
