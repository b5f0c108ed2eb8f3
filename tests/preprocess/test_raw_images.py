"""Raw images that cannot be processed are refused with the file, what was found and what to do."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lbpneuro.errors import InputError, Reason
from lbpneuro.preprocess.raw_images import read_head, read_run


def save(path, data, *, t_r=2.0, sidecar=2.0):
    image = nib.Nifti1Image(data, np.diag([18.0, 18.0, 18.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header["pixdim"][4] = t_r
    nib.save(image, path)
    if sidecar is not None:
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps({"RepetitionTime": sidecar}))
    return path


@pytest.fixture
def series(rng):
    return (1000 + rng.normal(0, 10, (10, 11, 12, 21))).astype(np.float32)


@pytest.fixture
def bold(tmp_path):
    return tmp_path / "sub-01_task-rest_bold.nii.gz"


@pytest.fixture
def t1w(tmp_path):
    return tmp_path / "sub-01_T1w.nii.gz"


def test_a_run_is_read_as_float32(bold, series):
    run = read_run(save(bold, series))
    assert run.series.dtype == np.float32
    assert np.array_equal(run.series, series)
    assert run.t_r == 2.0


def test_scaled_integers_are_scaled(bold, series):
    image = nib.Nifti1Image(series, np.diag([18.0, 18.0, 18.0, 1.0]))
    image.set_data_dtype(np.int16)
    image.header["pixdim"][4] = 2.0
    nib.save(image, bold)
    bold.with_name("sub-01_task-rest_bold.json").write_text('{"RepetitionTime": 2.0}')
    assert read_run(bold).series == pytest.approx(series, abs=0.01)


def assert_refused(path, words, *, reason=Reason.INVALID_INPUT, read=read_run):
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert caught.value.reason == reason


def test_nan_in_a_run(bold, series):
    series[3, 3, 3, :] = np.nan
    assert_refused(save(bold, series), r"0\.1% of the values are NaN")


def test_constant_run(bold, series):
    assert_refused(save(bold, np.repeat(series[..., :1], 21, -1)), "no voxel changes", reason=Reason.ZERO_VARIANCE)


def test_short_run(bold, series):
    assert_refused(save(bold, series[..., :5]), "at least 20 volumes", reason=Reason.TOO_FEW_VOLUMES)


def test_three_dimensional_run(bold, series):
    assert_refused(save(bold, series[..., 0]), "at least 20 volumes, found a single volume")
    assert_refused(save(bold, series[..., None, :]), "found 5 dimensions")


def test_single_slice(bold, series):
    assert_refused(save(bold, series[:, :, :1]), "a single slice cannot")
    assert_refused(save(bold, series[:, :, :3]), "this thin")


def test_cut_short(bold, series):
    save(bold, series)
    content = bold.read_bytes()
    bold.write_bytes(content[: len(content) // 2])
    assert_refused(bold, "cut off|damaged|truncated")


def test_no_repetition_time(bold, series):
    assert_refused(save(bold, series, t_r=0.0, sidecar=None), "RepetitionTime")


def test_contradicting_repetition_times(bold, series):
    assert_refused(save(bold, series, t_r=1.79355, sidecar=2.0), r"2 s in the JSON sidecar, but 1\.79355 s")


def test_no_orientation(bold, t1w, series):
    for path, data, read in ((bold, series, read_run), (t1w, series[..., 0], read_head)):
        image = nib.Nifti1Image(data, None)
        image.header["sform_code"] = image.header["qform_code"] = 0
        nib.save(image, path)
        assert_refused(path, "neither qform nor sform", read=read)


def test_sheared_axes(t1w, bold, series):
    sheared = np.array([[3.0, 0.3, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    for path, data, read in ((bold, series, read_run), (t1w, series[..., 0], read_head)):
        nib.save(nib.Nifti1Image(data, sheared), path)
        assert_refused(path, "right angles", read=read)


def test_a_damaged_run(bold, series):
    """The checksum of gzip is looked at: a flipped bit is no signal."""
    content = bytearray(save(bold, series).read_bytes())
    content[-6] ^= 1
    bold.write_bytes(content)
    assert_refused(bold, "corrupt")


def test_a_single_echo(bold, series):
    save(bold, series)
    echo = bold.with_name("sub-01_task-rest_echo-2_bold.nii.gz")
    bold.rename(echo)
    assert_refused(echo, "single echo")


@pytest.mark.parametrize(("size", "unit"), [(1.0, "unknown"), (0.018, "meter"), (18000.0, "micron")])
def test_voxels_in_another_unit(bold, series, size, unit):
    image = nib.Nifti1Image(series, np.diag([size, size, size, 1.0]))
    image.header.set_xyzt_units(unit, "sec")
    image.header["pixdim"][4] = 2.0
    nib.save(image, bold)
    assert_refused(bold, rf"unit in the header: {unit}.*not that of a head")


def test_a_header_that_was_stripped_of_everything(bold, series):
    image = nib.Nifti1Image(series, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    image.header.set_xyzt_units("unknown", "unknown")
    nib.save(image, bold)
    assert_refused(bold, "neither qform nor sform.*all are 1, without a unit")


def test_warnings_and_metadata_come_along(bold, series):
    run = read_run(save(bold, series, t_r=2000.0))
    assert run.t_r == 2.0
    assert "read as milliseconds" in run.warnings[0]
    assert run.metadata == {"RepetitionTime": 2.0}


def test_nan_around_a_head_becomes_background(t1w, series):
    data = series[..., 0].copy()
    data[0] = np.nan
    assert (read_head(save(t1w, data)).data[0] == 0).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("reversed_axes", [(), (0, 2), (0, 1, 2)])
def test_how_a_file_stores_its_axes_does_not_matter(tmp_path, order, reversed_axes):
    """The same head with axes in another order and direction is the same head to the last bit, though headers round."""
    values = np.random.default_rng(4).uniform(1, 2, (11, 13, 9)).astype(np.float32)
    tilted = Rotation.from_euler("xyz", [4.4, 0.1, -2.3], degrees=True).as_matrix()
    affine = nib.affines.from_matvec(tilted * [1.5, 2.0, 2.5], [-86.4996719, -124.429077, -56.6462631])
    turned = np.flip(values.transpose(order), reversed_axes)
    to_known = np.zeros((4, 4))  # from voxels of the turned array to those of the known one
    to_known[3, 3] = 1
    for axis, own in enumerate(order):
        to_known[own, axis] = -1 if axis in reversed_axes else 1
        to_known[own, 3] = turned.shape[axis] - 1 if axis in reversed_axes else 0
    for name, data, matrix in (("known", values, affine), ("turned", turned, affine @ to_known)):
        nib.save(nib.Nifti1Image(data, matrix), tmp_path / f"{name}.nii.gz")
    known, found = (read_head(tmp_path / f"{name}.nii.gz") for name in ("known", "turned"))
    assert nib.aff2axcodes(found.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(found.data, known.data)
    np.testing.assert_array_equal(found.affine, known.affine)


def test_head_of_one_value(t1w):
    assert_refused(save(t1w, np.full((10, 10, 10), 7, dtype=np.int16)), "value 7", read=read_head)


def test_fourth_dimension_of_a_head(t1w, series):
    assert read_head(save(t1w, series[..., :1])).data.shape == (10, 11, 12)
    assert_refused(save(t1w, series), "three-dimensional", read=read_head)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ieeg_visual__sub-01_ses-01_T1w.nii.gz", "."),
        ("mri_chunk__sub-001_chunk-1_T1w.nii.gz", "."),
        ("pet001__sub-01_ses-01_T1w.nii", "."),
        ("pet005__sub-01_ses-baseline_T1w.nii.gz", "."),
    ],
)
def test_malformed_heads_of_public_datasets(real_data, name, words):
    with pytest.raises(InputError, match=words):
        read_head(real_data("malformed") / name)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("malformed/synthetic__sub-01_ses-01_task-rest_bold.nii", "."),
        ("fsl_ffd/filtered_func_data.nii.gz", "neither qform nor sform.*all are 1, without a unit"),
        ("haxby_mvpa/sub001/BOLD/task001_run001/bold_1slice.nii.gz", "a single slice"),
        ("haxby_mvpa/sub001/BOLD/task001_run001/bold_25mm.nii.gz", "this thin"),
        ("coreg_qa/example_func.nii.gz", "a single volume"),
        ("tedana_multiecho/sub-01_task-rest_echo-1_bold.nii.gz", "found 5"),
    ],
)
def test_malformed_runs_of_public_datasets(real_data, name, words):
    folder, _, rest = name.partition("/")
    with pytest.raises(InputError, match=words):
        read_run(real_data(folder) / rest)
