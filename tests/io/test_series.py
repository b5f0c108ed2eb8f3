"""The streaming read of BOLD, its repetition time, and files that are not what they should be."""

from __future__ import annotations

import gzip
import json
import shutil
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image
from lbpneuro.io.series import header_t_r, mean_in_voxels, missing_file, read_series, repetition_time

AFFINE = np.array([[-3.0, 0, 0, 60], [0, 3.5, 0, -40], [0, 0.5, 4.0, -20], [0, 0, 0, 1]])
SHAPE = (5, 7, 4, 9)


def write_image(path: Path, data, *, kind=nib.Nifti1Image, affine=AFFINE, scale=None, t_r=2.0, units="sec") -> Path:
    image = kind(data, affine)
    image.header.set_data_dtype(data.dtype)
    if data.ndim == 4:
        image.header.set_zooms((3, 3.5, 4, t_r))
        image.header.set_xyzt_units("mm", units)
    if scale:
        image.header.set_slope_inter(*scale)
    nib.save(image, path)
    return path


@pytest.fixture
def mask(tmp_path, rng) -> Path:
    inside = rng.random(SHAPE[:3]) > 0.4
    return write_image(tmp_path / "mask.nii.gz", inside.astype(np.uint8))


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", ">u2", "<i4", ">f4", "<f4", "<f8", "i1", "<i8"])
def test_agrees_with_nibabel(tmp_path, rng, mask, extension, kind, dtype):
    data = (rng.random(SHAPE) * 100).astype(dtype)
    header = kind(np.zeros(SHAPE, dtype=np.float32), AFFINE).header.as_byteswapped(">" if dtype[0] == ">" else "<")
    image = kind(data, AFFINE, dtype=np.dtype(dtype), header=header)
    image.header.set_data_dtype(np.dtype(dtype))
    path = tmp_path / f"bold{extension}"
    nib.save(image, path)
    found = read_series(path, mask)
    expected = nib.load(path).get_fdata()
    inside = nib.load(mask).get_fdata() > 0
    np.testing.assert_array_equal(found.bold, expected[inside].T.astype(np.float32))
    np.testing.assert_allclose(found.mean, expected.mean(axis=3), rtol=1e-6)
    np.testing.assert_array_equal(found.affine, nib.load(path).affine)
    assert found.bold.dtype == found.mean.dtype == np.float32


def test_scaling_factors(tmp_path, rng, mask):
    stored = rng.integers(-3000, 3000, SHAPE).astype(np.int16)
    image = nib.Nifti1Image(stored, AFFINE)
    content = bytearray(image.to_bytes())
    content[112:120] = np.array([0.25, 1000], dtype="<f4").tobytes()  # scl_slope, scl_inter
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(gzip.compress(bytes(content)))
    inside = nib.load(mask).get_fdata() > 0
    found = read_series(path, mask)
    np.testing.assert_allclose(found.bold, stored[inside].T * 0.25 + 1000, rtol=1e-6)
    np.testing.assert_allclose(found.bold, nib.load(path).get_fdata()[inside].T, rtol=1e-6)


def test_columns_have_the_order_of_the_mask(tmp_path, mask):
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    found = read_series(write_image(tmp_path / "bold.nii.gz", data), mask)
    np.testing.assert_array_equal(found.bold, data[found.mask].T)


def test_agrees_with_nilearn(tmp_path, rng, mask):
    from nilearn.masking import apply_mask

    data = (1000 + rng.standard_normal(SHAPE)).astype(np.float32)
    path = write_image(tmp_path / "bold.nii.gz", data)
    np.testing.assert_array_equal(read_series(path, mask).bold, apply_mask(nib.load(path), nib.load(mask)))


def test_never_holds_the_whole_image(tmp_path):
    data = np.zeros((60, 60, 30, 40), dtype=np.float32)
    inside = np.zeros(data.shape[:3], dtype=np.uint8)
    inside[:10] = 1
    path, mask = write_image(tmp_path / "bold.nii.gz", data), write_image(tmp_path / "mask.nii.gz", inside)
    read_series(path, mask)  # imports
    tracemalloc.start()
    read_series(path, mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < data.nbytes / 2


def test_members_of_a_concatenated_gzip(tmp_path, rng, mask):
    data = rng.random(SHAPE).astype(np.float32)
    whole = nib.Nifti1Image(data, AFFINE).to_bytes()
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]))
    np.testing.assert_array_equal(read_series(path, mask).bold, data[nib.load(mask).get_fdata() > 0].T)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_truncated(tmp_path, rng, mask, extension, share):
    path = write_image(tmp_path / f"bold{extension}", rng.standard_normal(SHAPE).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"bold.nii.*(truncated|cut off|copy or download)"):
        read_series(path, mask)


def test_cut_off_checksum_and_flipped_bits(tmp_path, rng, mask):
    path = write_image(tmp_path / "bold.nii.gz", rng.standard_normal(SHAPE).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(InputError, match="truncated"):
        read_series(path, mask)
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])
    with pytest.raises(InputError, match="corrupt"):
        read_series(path, mask)
    middle = len(content) // 2
    path.write_bytes(
        content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 50]) + content[middle + 50 :]
    )
    with pytest.raises(InputError, match=r"corrupt|truncated"):
        read_series(path, mask)


def test_wrong_checksum_behind_the_last_volume(tmp_path, rng):
    """The last volume can be had without a look at what follows it; the look is taken all the same."""
    data = rng.integers(0, 255, SHAPE, dtype=np.uint8)
    path = tmp_path / "bold.nii.gz"
    content = gzip.compress(nib.Nifti1Image(data, AFFINE).to_bytes() + rng.bytes(1 << 20))
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])
    mask = write_image(tmp_path / "mask.nii.gz", np.ones(data.shape[:3], dtype=np.uint8))
    with pytest.raises(InputError, match="corrupt"):
        read_series(path, mask)


def test_not_four_dimensional(tmp_path, rng, mask):
    path = write_image(tmp_path / "bold.nii.gz", rng.random(SHAPE[:3]).astype(np.float32))
    with pytest.raises(InputError, match=r"four-dimensional BOLD series, found the shape \(5, 7, 4\)"):
        read_series(path, mask)


def test_complex_values(tmp_path, rng, mask):
    path = write_image(tmp_path / "bold.nii.gz", rng.random(SHAPE).astype(np.complex64))
    with pytest.raises(InputError, match="expected integer or real values, found the data type complex64"):
        read_series(path, mask)


def test_other_grid(tmp_path, rng, mask):
    path = write_image(tmp_path / "bold.nii.gz", rng.random((5, 7, 5, 9)).astype(np.float32))
    with pytest.raises(InputError, match=r"the grid is \(5, 7, 5\), affine .*mask.nii.gz is \(5, 7, 4\)"):
        read_series(path, mask)
    moved = AFFINE.copy()
    moved[0, 3] += 1
    path = write_image(tmp_path / "moved.nii.gz", rng.random(SHAPE).astype(np.float32), affine=moved)
    with pytest.raises(InputError, match=r"affine \[\[-3.0, 0.0, 0.0, 61.0\].*affine \[\[-3.0, 0.0, 0.0, 60.0\]"):
        read_series(path, mask)


def test_absent_and_empty(tmp_path, mask):
    with pytest.raises(InputError, match="no such file") as caught:
        read_series(tmp_path / "bold.nii.gz", mask)
    assert caught.value.reason is Reason.FILE_MISSING
    (tmp_path / "bold.nii.gz").touch()
    with pytest.raises(InputError, match="empty"):
        read_series(tmp_path / "bold.nii.gz", mask)


def test_real_malformed_files(real_data, mask):
    files = sorted(real_data("malformed").glob("*.nii*"))
    assert len(files) >= 7
    for path in files:
        with pytest.raises(InputError, match=path.name):
            read_series(path, mask)


@pytest.mark.parametrize(
    ("t_r", "units", "expected"),
    [
        (2.0, "sec", 2),
        (2000, "msec", 2),
        (2.5, "unknown", 2.5),
        (1.0, "unknown", None),
        (1.0, "sec", 1),
        (0, "sec", None),
        (0.1, "hz", None),
    ],
)
def test_header_t_r(t_r, units, expected):
    image = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.float32), AFFINE)
    image.header.set_zooms((3, 3.5, 4, t_r))
    image.header.set_xyzt_units("mm", units)
    assert header_t_r(image) == (None if expected is None else pytest.approx(expected))


@pytest.fixture
def dataset(tmp_path):
    """Return a function that writes the sidecar of a run and gives the path of the run."""
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    path = tmp_path / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz"
    path.parent.mkdir(parents=True)
    path.touch()

    def written(metadata, *, name="sub-01/func/sub-01_task-rest_bold.json") -> Path:
        (tmp_path / name).write_text(json.dumps(metadata))
        return path

    return written


def test_t_r_of_the_sidecar(dataset):
    assert repetition_time(dataset({"RepetitionTime": 2.0}), header=None) == 2.0
    assert repetition_time(dataset({"RepetitionTime": 2.0}), header=2.019) == 2.0


def test_t_r_is_inherited(dataset):
    assert repetition_time(dataset({"RepetitionTime": 0.8}, name="task-rest_bold.json"), header=None) == 0.8


def test_t_r_of_the_header(dataset):
    assert repetition_time(dataset({}), header=1.5) == 1.5
    with pytest.raises(InputError, match="no RepetitionTime in its JSON sidecar and none in its header"):
        repetition_time(dataset({}), header=None)


def test_t_r_that_contradicts_the_header(dataset):
    with pytest.raises(InputError, match=r"1.79355 s in the JSON sidecar, but 2 s in the NIfTI header"):
        repetition_time(dataset({"RepetitionTime": 1.79355}), header=2.0)


@pytest.mark.parametrize("value", ["2", True, 0, -2, 2000])
def test_t_r_that_is_no_time(dataset, value):
    with pytest.raises(InputError, match="RepetitionTime must be a number of seconds"):
        repetition_time(dataset({"RepetitionTime": value}), header=None)


def test_uneven_volumes(dataset):
    with pytest.raises(InputError, match="VolumeTiming instead of RepetitionTime"):
        repetition_time(dataset({"VolumeTiming": [0, 3, 9]}), header=2.0)


def test_real_series_whose_t_r_was_written_wrong(real_data, tmp_path):
    """dcm2niix wrote 1.79355 s; the truth is 2.0 s. A header and a sidecar that differ are never settled by a guess."""
    source = next((real_data("studyforrest") / "sub-02").rglob("*_bold.nii.gz"))
    header = header_t_r(nib.load(source))
    assert header == pytest.approx(2.0)
    path = tmp_path / source.name
    shutil.copy(source, path)
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text('{"RepetitionTime": 1.79355}')
    with pytest.raises(InputError, match="find out which is right"):
        repetition_time(path, header=header)


def test_real_series_without_header(real_data, tmp_path):
    """FEAT output with all zooms 1: readable, but it has no repetition time."""
    path = real_data("fsl_ffd") / "filtered_func_data.nii.gz"
    image = nib.load(path)
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(image.shape[:3], dtype=np.uint8), image.affine), mask)
    found = read_series(path, mask)
    assert found.bold.shape == (64, 64 * 64 * 21)
    assert found.t_r is None


def test_mean_in_voxels_by_hand():
    # a plane x mm on a 1-mm grid: the mean over a 3-mm voxel is the coordinate of its centre, wherever the grids lie
    data = np.broadcast_to(np.arange(40.0)[:, None, None], (40, 40, 40)).astype(np.float32)
    image = Image(path=Path("map.nii.gz"), data=data, affine=np.eye(4))
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = 5
    found = mean_in_voxels(image, affine=affine, voxels=np.array([[0, 0, 0], [2, 1, 1], [100, 0, 0]]))
    assert found == pytest.approx([5, 11, 0])


def test_missing_companion():
    assert missing_file(Path("x_bold.nii.gz"), role="brain mask").reason is Reason.FILE_MISSING
