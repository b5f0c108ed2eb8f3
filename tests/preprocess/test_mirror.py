"""With the mirror image of a head processed as well, a mirrored image has exactly the sides exchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io import anatomy
from lbpneuro.io.anatomy import NativeRegion, fused, mirrored_regions, native_regions
from lbpneuro.io.composites import TransformRecord, write_composite
from lbpneuro.io.config import read_config
from lbpneuro.io.files import expand_manifests
from lbpneuro.io.images import Grid, mirrored_grid
from lbpneuro.io.regions import OTHER_SIDE, read_regions, require
from lbpneuro.io.resources import workflow_folder
from lbpneuro.io.structural_sources import read
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess import derivatives, levels
from lbpneuro.preprocess.anatomical import Segmented, joined, mirrored_head
from lbpneuro.preprocess.extraction import working_head
from lbpneuro.preprocess.itk import grid_affine
from lbpneuro.steps import preprocess_anat
from tests.oracles import person

TINY = levels.Level(
    name="draft",
    anat_mm=6.0,
    extraction_mm=6,
    template_mm=6,
    maps_mm=6,
    bias_iterations=(10,),
    bias_spacing_mm=12.0,
    extraction_iterations=(15,),
    normalisation_iterations=(25,),
)
THALAMI = (("thalamus", "L"), ("thalamus", "R"))


def mirror(path, out):
    """Write the mirror image of a file: x becomes -x, with the voxels in their order."""
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([-1.0, 1, 1, 1]) @ image.affine), out)
    return out


class Study:
    """A T1w image, and what the step made of it; ``mirror`` is the setting."""

    def __init__(self, folder: Path, t1w: Path, *, mirror: bool) -> None:
        self.t1w, self.out = t1w, folder / "anat" / "sub-01_desc-embedded_anat.json"
        self.config = folder / "config.json"
        folder.mkdir(parents=True, exist_ok=True)
        dataset = {"bids_dir": str(t1w.parents[2]), "out_dir": str(folder), "derivatives": {}}
        self.settings = {"dataset": dataset, "preprocess": {"level": "draft", "mirror": mirror}}
        self.out.parent.mkdir(exist_ok=True)

    def run(self):
        self.config.write_text(json.dumps(self.settings))
        arguments = ["--in", str(self.t1w), "--out", str(self.out), "--config", str(self.config)]
        assert preprocess_anat.main([*arguments, "--participant", "sub-01"]) == 0
        return json.loads(self.out.read_text())

    def numbers(self):
        return read(expand_manifests([self.out]), read_config())


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A head and its mirror image, each processed with the setting on."""
    folder = tmp_path_factory.mktemp("mirror")
    t1w = person.write_t1w(person.person(), folder / "raw/sub-01/anat/sub-01_T1w.nii.gz", stripped=True)
    turned = folder / "turned" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    turned.parent.mkdir(parents=True)
    made = [Study(folder / name, path, mirror=True) for name, path in (("own", t1w), ("other", mirror(t1w, turned)))]
    known = levels.LEVELS["draft"]
    levels.LEVELS["draft"] = TINY
    for study in made:
        study.run()
    yield made
    levels.LEVELS["draft"] = known


def test_a_mirrored_image_has_exactly_the_sides_exchanged(studies):
    own, other = (study.numbers().data for study in studies)
    for roi, hemi in own.regions:
        found, expected = other.regions[roi, OTHER_SIDE.get(hemi, hemi)], own.regions[roi, hemi]
        for name in ("volume_ml", "density", "coverage"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9), (roi, hemi, name)
    for name in ("tiv_ml", "gm_ml", "gm_neocortical_ml", "gm_subcortical_ml"):
        assert getattr(other, name) == pytest.approx(getattr(own, name), rel=1e-9)
    left, right = (own.regions[at].volume_ml for at in THALAMI)
    assert left != pytest.approx(right, rel=1e-3)  # neither template nor labels are symmetric


def test_one_way_alone_does_not_exchange_them(studies):
    files, others = (expand_manifests([study.out]) for study in studies)
    one, two = (anatomy.template_transform(each, space=derivatives.SPACE) for each in (files, others))
    grid = anatomy.read_tissues(files).grid
    regions = require(read_regions(workflow_folder() / "config" / "rois.tsv"), THALAMI)
    own, turned = native_regions(regions, one, grid=grid), native_regions(regions, two, grid=mirrored_grid(grid))
    volumes = own["thalamus", "L"].weights.sum(dtype=float), turned["thalamus", "R"].weights.sum(dtype=float)
    assert volumes[0] != pytest.approx(volumes[1], rel=1e-3)


def test_the_rows_say_that_it_is_another_method(studies):
    reading = studies[0].numbers()
    assert reading.data.method == "embedded_draft_mirror"
    assert "mirror image" in reading.method
    assert reading.data.noise_of == "embedded_draft"


def test_the_second_transform_is_a_derivative_with_its_source(studies):
    study = studies[0]
    names = json.loads(study.out.read_text())["Outputs"]
    way = study.out.with_name(names["from_template_mirrored"])
    assert way.name == "sub-01_from-MNI152NLin2009cAsym_to-mirroredT1w_mode-image_xfm.h5"
    assert json.loads(way.with_suffix(".json").read_text())["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    files = expand_manifests([study.out])
    assert anatomy.mirrored_transform(files, space=derivatives.SPACE) == way
    assert anatomy.template_transform(files, space=derivatives.SPACE) != way


def test_maps_of_both_without_the_second_transform_are_refused(studies):
    files = [path for path in expand_manifests([studies[0].out]) if "mirroredT1w" not in path.name]
    with pytest.raises(InputError, match=r"to-mirroredT1w .* is missing") as caught:
        read(files, read_config())
    assert caught.value.reason is Reason.FILE_MISSING


def test_a_later_run_keeps_both_and_one_without_the_setting_neither(studies, monkeypatch):
    study = studies[1]
    before = study.out.read_text()

    def refuse(*_, **__):
        raise AssertionError("segmented again")

    monkeypatch.setattr(preprocess_anat, "segment_anatomy", refuse)
    study.out.unlink()
    study.run()
    assert study.out.read_text() == before
    study.settings["preprocess"]["mirror"] = False
    with pytest.raises(AssertionError, match="segmented again"):
        study.run()
    derivatives.remove_anatomy(study.out)
    assert not [path for path in study.out.parent.iterdir() if "mirroredT1w" in path.name]


def test_regions_of_the_mirror_image_are_those_of_the_other_side(tmp_path):
    """A shift along x by 4 mm: the label of the right, mirrored, lies on the left, 4 mm from where it would."""
    shift = TransformRecord(
        kind="AffineTransform_double_3_3", parameters=np.array([*np.eye(3).ravel(), -4.0, 0, 0]), fixed=np.zeros(3)
    )
    write_composite(tmp_path / "way.h5", [shift])  # ITK's x runs to the left: points arrive 4 mm farther right
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-89, -125, -71]
    grid = Grid(affine=affine, shape=(92, 108, 92))
    regions = require(read_regions(workflow_folder() / "config" / "rois.tsv"), THALAMI)
    plain = native_regions(regions, tmp_path / "way.h5", grid=grid)
    found = mirrored_regions(regions, tmp_path / "way.h5", grid=grid)
    centres = {}
    for name, each in (("plain", plain), ("mirrored", found)):
        for level, region in each.items():
            index = np.average(np.arange(region.weights.shape[0]), weights=region.weights.sum(axis=(1, 2)))
            centres[name, level[1]] = affine[0, 0] * (index + region.start[0]) + affine[0, 3]
    assert centres["mirrored", "L"] < -5 < 5 < centres["mirrored", "R"]
    assert centres["mirrored", "L"] == pytest.approx(-centres["plain", "R"], abs=1e-3)
    sums = [region.weights.sum(dtype=float) for region in (found["thalamus", "L"], plain["thalamus", "R"])]
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)


def test_two_boxes_are_averaged_where_they_lie():
    first = NativeRegion(weights=np.full((2, 1, 1), 1.0, dtype=np.float32), start=(0, 0, 0))
    second = NativeRegion(weights=np.full((1, 2, 1), 0.5, dtype=np.float32), start=(1, 0, 0))
    found = fused(first, second)
    assert found.start == (0, 0, 0)
    np.testing.assert_array_equal(found.weights[..., 0], [[0.5, 0], [0.75, 0.25]])


def test_the_mirrored_grid_by_hand():
    affine = np.array([[2.0, 0, 0, -7], [0, 3, 0, 5], [0, 0, 4, 6], [0, 0, 0, 1]])
    found = mirrored_grid(Grid(affine=affine, shape=(4, 5, 6)))
    np.testing.assert_array_equal(found.affine[0], [2, 0, 0, 1])  # the last voxel, at -1, is the first, at 1
    np.testing.assert_array_equal(found.affine[1:], affine[1:])
    oblique = affine.copy()
    oblique[:3, :3] = person.rotation([10.0, 20, 30]) @ affine[:3, :3]
    turned = mirrored_grid(Grid(affine=oblique, shape=(4, 5, 6))).affine
    point, same = oblique @ [3, 1, 2, 1], turned @ [0, 1, 2, 1]
    np.testing.assert_allclose(same, point * [-1, 1, 1, 1], atol=1e-12)


@pytest.mark.parametrize("tilt", [0.0, 7.0])
@pytest.mark.parametrize("voxel_mm", [0.8, 1.5, 4.0])
def test_the_mirror_image_of_a_file_is_the_mirrored_head(tmp_path, rng, voxel_mm, tilt):
    """Also where the image is sampled on a coarser grid that does not end at its last voxel; its place to the bit."""
    affine = np.eye(4)
    affine[:3, :3] = person.rotation([tilt, tilt / 2, -tilt]) * voxel_mm
    affine[:3, 3] = [-30.1, -40.7, -50.3]
    data = np.zeros((30, 31, 33), dtype=np.float32)
    data[7:-1, 1:-1, 1:-1] = rng.uniform(1, 9, (22, 29, 31))
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "T1w.nii.gz")
    own = mirrored_head(working_head(tmp_path / "T1w.nii.gz", 4.0, centred=True))
    turned = working_head(mirror(tmp_path / "T1w.nii.gz", tmp_path / "other.nii.gz"), 4.0, centred=True)
    np.testing.assert_allclose(own.image.numpy(), turned.image.numpy(), rtol=1e-6)
    assert own.image.origin == turned.image.origin
    np.testing.assert_allclose(grid_affine(own.image), grid_affine(turned.image), atol=1e-9)
    np.testing.assert_array_equal(own.content, turned.content)
    assert not own.content.all()
    np.testing.assert_allclose(own.affine, turned.affine, atol=2e-3)


def test_a_head_and_its_mirror_image_are_joined_by_hand():
    affine = np.diag([2.0, 2, 2, 1])
    values = np.zeros((3, 1, 1))

    def image(first):
        return itk_image(np.array([first, 1.0, 0.0]).reshape(3, 1, 1), affine)

    quality = {"thalamus_L_ml": 6.0, "thalamus_R_ml": 4.0, "thalamus_ratio": 1.5, "GM_ml": 10.0}
    own = Segmented(
        t1w=itk_image(values, affine),
        mask=image(1.0),
        tissues={"GM": image(0.5)},
        to_template=Path("to"),
        from_template=Path("from"),
        stripped=False,
        quality=quality,
        box=([0, 0, 0], [3, 1, 1]),
    )
    other = replace(own, mask=image(0.0), tissues={"GM": image(0.0)}, stripped=True, quality=quality | {"GM_ml": 12.0})
    found = joined(own, other)
    np.testing.assert_array_equal(found.mask.numpy().ravel(), [1, 1, 0])
    np.testing.assert_array_equal(found.tissues["GM"].numpy().ravel(), [0.25, 1, 0])
    assert found.stripped
    assert found.quality == {"thalamus_L_ml": 5.0, "thalamus_R_ml": 5.0, "thalamus_ratio": 1.0, "GM_ml": 11.0}
