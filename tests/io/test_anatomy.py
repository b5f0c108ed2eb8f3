"""Tissue maps by their names, and regions of the template in a person's own space."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.anatomy import label_image, native_regions, read_tissues, template_transform
from lbpneuro.io.images import Grid
from lbpneuro.io.regions import load_atlas, read_regions, require
from tests.oracles import heads

TABLE = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
MNI = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return heads.write_head(tmp_path_factory.mktemp("sub-01") / "anat")


@pytest.fixture(scope="module")
def regions():
    names = [("thalamus", "L"), ("thalamus", "R"), ("vta", "L"), ("pag", "n/a"), ("dlpfc", "L")]
    return require(read_regions(TABLE), names)


@pytest.fixture(scope="module")
def native(files, regions):
    affine, shape = heads.grid()
    return native_regions(regions, template_transform(files, space=MNI), grid=Grid(affine=affine, shape=shape))


def test_maps_are_told_by_their_labels(files, tmp_path):
    other = tmp_path / f"sub-01_space-{MNI}_label-GM_probseg.nii.gz"
    heads.save(np.ones((2, 2, 2), dtype=np.float32), np.eye(4), other)
    maps = read_tissues([*reversed(files), other])
    assert (maps.gm.data.max(), maps.wm.data.max()) == pytest.approx((0.45, 0.35))
    assert maps.csf.path.name == "sub-01_label-CSF_probseg.nii.gz"
    np.testing.assert_array_equal(maps.inside, heads.ellipsoid(*heads.grid()))


def test_without_a_mask_the_brain_is_where_the_tissues_add_up(files):
    maps = read_tissues([path for path in files if "mask" not in path.name])
    assert maps.mask is None
    np.testing.assert_array_equal(maps.inside, heads.ellipsoid(*heads.grid()))


@pytest.mark.parametrize("left", [("GM",), ("GM", "CSF"), ("WM", "CSF")])
def test_all_three_tissues_are_needed(files, left):
    kept = [path for path in files if any(f"label-{tissue}_" in path.name for tissue in left)]
    absent = "/".join(tissue for tissue in ("GM", "WM", "CSF") if tissue not in left)
    with pytest.raises(
        InputError, match=f"label-{absent}_probseg image in the person's own space is missing"
    ) as caught:
        read_tissues(kept)
    assert caught.value.reason is Reason.FILE_MISSING


def test_two_maps_of_one_tissue_are_refused(files, tmp_path):
    again = tmp_path / "sub-01_run-2_label-GM_probseg.nii.gz"
    again.write_bytes(files[0].read_bytes())
    with pytest.raises(InputError, match="there are several GM maps"):
        read_tissues([*files, again])


def test_maps_of_different_grids_are_both_named(files, tmp_path):
    coarse = heads.write_head(tmp_path, voxel_mm=10.0, tissues=("WM",), transform=False, mask=False)
    with pytest.raises(InputError, match=r"label-GM_probseg.*label-WM_probseg.*same grid"):
        read_tissues([*(path for path in files if "WM" not in path.name), *coarse])


@pytest.mark.parametrize("mask", [True, False])
def test_nan_outside_the_brain_are_zero_and_inside_they_stay(tmp_path, mask):
    files = heads.write_head(tmp_path, mask=mask, transform=False)
    inside = heads.ellipsoid(*heads.grid())
    middle = tuple(size // 2 for size in inside.shape)
    for path in files:
        if "probseg" in path.name:
            data = np.asarray(nib.load(path).dataobj).copy()
            if "GM" in path.name or not mask:
                data[~inside] = np.nan
            if "GM" in path.name:
                data[middle] = np.nan
            heads.save(data, heads.grid()[0], path)
    maps = read_tissues(files)
    assert np.argwhere(np.isnan(maps.gm.data)).tolist() == [list(middle)]
    assert not np.isnan(maps.wm.data).any()
    assert maps.gm.data[~inside].max() == 0


def test_the_transform_is_that_from_the_space_of_the_regions(files):
    assert template_transform(files, space=MNI).name == heads.TO_T1W
    assert template_transform(files, space="MNI152NLin6Asym") is None
    wrong_way = Path("sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5")
    assert template_transform([wrong_way], space=MNI) is None


def test_regions_keep_their_volume_up_to_the_affine(native, regions):
    """An affine of known determinant scales every volume by it."""
    shrink = np.prod(heads.SCALE)
    voxel_mm3 = 5.0**3
    labels, _ = load_atlas(regions["thalamus", "L"].atlas)
    for name in (("thalamus", "L"), ("thalamus", "R"), ("dlpfc", "L")):
        template_mm3 = np.isin(labels, regions[name].labels).sum()
        assert native[name].weights.sum() * voxel_mm3 == pytest.approx(template_mm3 / shrink, rel=0.003)
    assert native["vta", "L"].weights.sum() * voxel_mm3 == pytest.approx(4 / 3 * np.pi * 27 / shrink, rel=0.02)


def test_regions_arrive_where_the_affine_sends_them(native, regions):
    affine, _ = heads.grid()
    region = native["vta", "L"]
    voxels = np.argwhere(region.weights > 0)
    weights = region.weights[region.weights > 0]
    centre = affine[:3, :3] @ (np.average(voxels, axis=0, weights=weights) + region.start) + affine[:3, 3]
    np.testing.assert_allclose(heads.SCALE * centre + heads.SHIFT_MM, regions["vta", "L"].points[0], atol=0.3)


def test_left_stays_left_in_an_image_that_runs_the_other_way(native):
    affine, _ = heads.grid()
    for hemi, sign in (("L", -1), ("R", 1)):
        region = native["thalamus", hemi]
        index = np.average(np.arange(region.weights.shape[0]), weights=region.weights.sum(axis=(1, 2)))
        assert sign * (affine[0, 0] * (index + region.start[0]) + affine[0, 3]) > 3


def test_the_label_image_numbers_the_regions_in_their_order(native):
    affine, shape = heads.grid()
    image = label_image(native, grid=Grid(affine=affine, shape=shape))
    labels = np.asarray(image.dataobj)
    assert labels.shape == shape
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(image.affine, affine)
    for number, region in enumerate(native.values(), start=1):
        assert (labels == number).sum() == pytest.approx((region.weights >= 0.5).sum(), abs=2)


def test_a_region_cut_off_by_the_image_keeps_its_volume(files, regions):
    affine, shape = heads.grid()
    cut = Grid(affine=affine, shape=(*shape[:2], shape[2] // 2))  # the scan ends below the DLPFC
    transform = template_transform(files, space=MNI)
    one = {("dlpfc", "L"): regions["dlpfc", "L"]}
    whole = native_regions(one, transform, grid=Grid(affine=affine, shape=shape))["dlpfc", "L"]
    part = native_regions(one, transform, grid=cut)["dlpfc", "L"]
    assert part.weights.sum() == pytest.approx(whole.weights.sum(), rel=1e-6)
    assert part.start[2] + part.weights.shape[2] > cut.shape[2]
