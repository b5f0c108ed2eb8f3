"""Reading images, and what is said of broken ones."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image, block, check_same_grid, load_image, load_probability, open_image, place


@pytest.fixture
def save(tmp_path):
    def saved(data, name="sub-01_T1w.nii.gz", affine=None):
        nib.save(nib.Nifti1Image(np.asarray(data), np.eye(4) if affine is None else affine), tmp_path / name)
        return tmp_path / name

    return saved


def image(path, shape=(2, 2, 2), shift=0.0):
    affine = np.eye(4)
    affine[0, 3] = shift
    return Image(path=path, data=np.ones(shape, dtype=np.float32), affine=affine)


def test_an_image_is_read_as_float32_with_its_affine(save):
    affine = np.array([[0, -2.0, 0, 5], [2, 0, 0, -7], [0, 0, 3, 1], [0, 0, 0, 1]])
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    found = load_image(save(data, affine=affine))
    np.testing.assert_array_equal(found.data, data)
    np.testing.assert_array_equal(found.affine, affine)
    assert found.data.dtype == np.float32
    assert found.voxel_mm3 == pytest.approx(12.0)


def test_a_fourth_dimension_of_one_volume_is_dropped(save):
    assert load_image(save(np.ones((2, 3, 4, 1), dtype=np.float32))).data.shape == (2, 3, 4)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)])
def test_other_dimensions_are_refused(save, shape):
    with pytest.raises(InputError, match="expected a three-dimensional image"):
        load_image(save(np.ones(shape, dtype=np.float32)))


@pytest.mark.parametrize(
    ("values", "message"), [(0.0, "every voxel is zero"), (np.nan, "only NaN"), (np.inf, "no voxel has a finite value")]
)
def test_images_without_values_are_refused(save, values, message):
    with pytest.raises(InputError, match=message):
        load_image(save(np.full((3, 3, 3), values, dtype=np.float32)))


def test_some_nan_are_left_to_the_reader_of_the_values(save):
    data = np.ones((3, 3, 3), dtype=np.float32)
    data[0] = np.nan
    assert np.isnan(load_image(save(data)).data).sum() == 9


def test_absent_files_and_dangling_links_are_missing_data(tmp_path):
    link = tmp_path / "linked.nii.gz"
    link.symlink_to(tmp_path / "annex" / "object")
    for path, message in ((link, "the link leads to no file"), (tmp_path / "none.nii.gz", "no such file")):
        with pytest.raises(InputError, match=message) as caught:
            load_image(path)
        assert caught.value.reason is Reason.FILE_MISSING
        assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", b"", "empty"),
        ("a.nii.gz", b"<!DOCTYPE html><html></html>", "web page"),
        ("a.nii", b"\n <html>", "web page"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\n", "not fetched"),
        ("a.nii.gz", b"/annex/objects/MD5E-s123", "not fetched"),
        ("a.nii.gz", gzip.compress(b"no image at all", mtime=0), "damaged gzip"),
        ("a.nii", b"\x00" * 400, "something else"),
        ("a.txt", b"words", "something else"),
    ],
)
def test_files_that_are_no_image_are_named_for_what_they_are(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_image(tmp_path / name)
    assert caught.value.reason is Reason.INVALID_INPUT


def test_other_image_formats_are_refused(tmp_path):
    nib.save(nib.MGHImage(np.ones((2, 2, 2), dtype=np.float32), np.eye(4)), tmp_path / "a.mgz")
    with pytest.raises(InputError, match="found MGHImage; convert it"):
        open_image(tmp_path / "a.mgz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_truncated_image_is_refused(save, name):
    path = save(np.random.default_rng(0).random((20, 20, 20)), name=name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cut off"):
        load_image(path)


def test_an_affine_without_volume_is_refused(save):
    path = save(np.ones((2, 2, 2), dtype=np.float32), name="a.nii")
    raw = nib.load(path)
    raw.header["srow_x"] = 0
    raw.header["sform_code"] = 1
    flat = nib.Nifti1Image(raw.get_fdata(), None, raw.header)
    flat.header["sform_code"] = 1
    nib.save(flat, path)
    with pytest.raises(InputError, match="affine of the header is not usable"):
        load_image(path)


@pytest.mark.parametrize(
    ("low", "high", "accepted"), [(0, 1, True), (-1e-7, 1.0000001, True), (0, 255, False), (-1, 1, False)]
)
def test_probabilities_lie_between_zero_and_one(save, low, high, accepted):
    path = save(np.linspace(low, high, 8, dtype=np.float32).reshape(2, 2, 2))
    if accepted:
        assert load_probability(path).data.shape == (2, 2, 2)
        return
    with pytest.raises(InputError, match=f"from 0 to 1, found values from {low} to {high}"):
        load_probability(path)


def test_images_on_one_grid_pass_and_others_are_both_named(tmp_path):
    one, two = tmp_path / "gm.nii.gz", tmp_path / "wm.nii.gz"
    check_same_grid([image(one), image(two), image(two, shift=1e-5)])
    for other, message in (
        (image(two, shape=(2, 2, 3)), r"\(2, 2, 2\) and \(2, 2, 3\)"),
        (image(two, shift=1.0), "affines"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            check_same_grid([image(one), other])
        assert "gm.nii.gz" in str(caught.value)
        assert "wm.nii.gz" in str(caught.value)


@pytest.mark.parametrize("start", [(-2, 0, 1), (1, 1, 1), (3, -1, 2), (9, 9, 9), (-9, 0, 0)])
def test_blocks_reach_beyond_the_image_and_come_back(start):
    data = np.random.default_rng(0).random((4, 5, 6)) + 1
    found = block(data, start=start, shape=(3, 4, 5))
    for index in np.ndindex(3, 4, 5):
        voxel = tuple(np.add(index, start))
        inside = all(0 <= v < n for v, n in zip(voxel, data.shape, strict=True))
        assert found[index] == (data[voxel] if inside else 0)
    returned = place(np.zeros(data.shape), found, start=start)
    assert np.all((returned == 0) | (returned == data))
    assert np.count_nonzero(returned) == np.count_nonzero(found)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ieeg_visual__sub-01_ses-01_T1w.nii.gz", "only NaN"),
        ("mri_chunk__sub-001_chunk-1_T1w.nii.gz", "cut off"),
        ("pet001__sub-01_ses-01_T1w.nii", "web page"),
        ("pet002__sub-01_ses-baseline_pet.nii.gz", "web page"),
        ("pet005__sub-01_ses-baseline_T1w.nii.gz", "every voxel is zero"),
        ("synthetic__sub-01_ses-01_task-rest_bold.nii", "cut off"),
        ("pet001__sub-01_ses-01_trc-CIMBI36_pet.nii.gz", "three-dimensional"),
    ],
)
def test_bad_files_of_public_datasets_are_refused_in_words(real_data, name, message):
    with pytest.raises(InputError, match=message):
        load_image(real_data("malformed") / name)
