"""The streaming read of BOLD, its repetition time, and files that are not what they should be."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image
from lbpneuro.io.series import (
    header_t_r,
    mean_in_voxels,
    missing_file,
    read_series,
    repetition_time,
    volumes,
)
from lbpneuro.kernels.voxels import columns_of

AFFINE = np.array([[-3.0, 0, 0, 60], [0, 3.5, 0, -40], [0, 0.5, 4.0, -20], [0, 0, 0, 1]])
SHAPE = (5, 7, 4, 9)
TYPES = ("i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
DTYPES = ("i1", "u1", *(order + kind for order in "<>" for kind in TYPES))


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
@pytest.mark.parametrize("dtype", DTYPES)
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
    np.testing.assert_array_equal(found.bold, expected.T[:, inside.T].astype(np.float32))
    np.testing.assert_allclose(found.mean, expected.mean(axis=3), rtol=1e-6)
    np.testing.assert_array_equal(found.affine, nib.load(path).affine)
    as_stored = np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize <= 2
    assert found.bold.dtype == (np.dtype(dtype).newbyteorder("=") if as_stored else np.float32)
    assert found.mean.dtype == np.float32


def with_scaling(content: bytes, *, slope: float, inter: float, order: str = "<") -> bytes:
    return content[:112] + np.array([slope, inter], dtype=f"{order}f4").tobytes() + content[120:]


def scaled_content(rng, dtype) -> bytes:
    order = ">" if dtype[0] == ">" else "<"
    data = rng.integers(0, 120, SHAPE).astype(dtype)
    header = nib.Nifti1Header().as_byteswapped(order)
    header.set_data_dtype(np.dtype(dtype))
    return with_scaling(nib.Nifti1Image(data, AFFINE, header=header).to_bytes(), slope=0.3, inter=-17.7, order=order)


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", ">u2", ">i4", "<u8", "<f4", ">f4", ">f8"])
def test_scaling_factors(tmp_path, rng, mask, dtype, extension):
    content = scaled_content(rng, dtype)
    path = tmp_path / f"bold{extension}"
    path.write_bytes(gzip.compress(content) if extension == ".nii.gz" else content)
    found = read_series(path, mask)
    expected = nib.load(path).get_fdata()
    inside = nib.load(mask).get_fdata() > 0
    np.testing.assert_array_equal(found.bold, expected.T[:, inside.T].astype(np.float32))
    np.testing.assert_allclose(found.mean, expected.mean(axis=3), rtol=1e-6)
    streamed = [volume.copy() for volume in volumes(nib.load(path), path)]
    np.testing.assert_array_equal(streamed, expected.reshape(-1, SHAPE[3], order="F").T)


def test_scaling_that_cancels_loses_no_digits(tmp_path, rng, mask):
    """Values near -30000 with an intercept of 30000, as conversion from DICOM writes them."""
    stored = rng.integers(-30_000, -29_900, SHAPE).astype(np.int16)
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(gzip.compress(with_scaling(nib.Nifti1Image(stored, AFFINE).to_bytes(), slope=1.0001, inter=3e4)))
    expected = stored * np.float64(np.float32(1.0001)) + 3e4
    inside = nib.load(mask).get_fdata() > 0
    np.testing.assert_allclose(read_series(path, mask).bold, expected.T[:, inside.T], rtol=1e-7)


@pytest.mark.parametrize("n_time", [32, 33, 70])
def test_the_mean_is_that_of_volumes_spread_over_the_run(tmp_path, n_time):
    """At most 32 of them, at even distances, and their sum does not wrap around."""
    data = np.full((2, 1, 1, n_time), 65_535, dtype=np.uint16)
    data[1, 0, 0] = np.arange(n_time) ** 2
    path = write_image(tmp_path / "bold.nii.gz", data)
    mask = write_image(tmp_path / "mask.nii.gz", np.ones((2, 1, 1), dtype=np.uint8))
    used = {32: range(32), 33: range(0, 33, 2), 70: range(0, 70, 3)}[n_time]
    np.testing.assert_allclose(read_series(path, mask).mean.ravel(), [65_535, np.mean(np.square(used))], rtol=1e-6)


def test_extension_of_the_header(tmp_path, rng, mask):
    """Data that begin behind an extension, off any multiple of the size of a value or of a page."""
    data = rng.random(SHAPE).astype(np.float32)
    for extension in (".nii", ".nii.gz"):
        image = nib.Nifti1Image(data, AFFINE)
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
        nib.save(image, tmp_path / f"bold{extension}")
        found = read_series(tmp_path / f"bold{extension}", mask)
        np.testing.assert_array_equal(found.bold, data.T[:, found.mask.T])


def test_other_compression(tmp_path, rng, mask):
    path = write_image(tmp_path / "bold.nii.bz2", rng.random(SHAPE).astype(np.float32))
    with pytest.raises(InputError, match=r"bold.nii.bz2: expected .nii or .nii.gz"):
        read_series(path, mask)


def test_header_and_data_in_two_files(tmp_path, rng, mask):
    nib.save(nib.Nifti1Pair(rng.random(SHAPE).astype(np.float32), AFFINE), tmp_path / "bold.hdr")
    with pytest.raises(InputError, match=r"expected a NIfTI image, found Nifti1Pair"):
        read_series(tmp_path / "bold.hdr", mask)


def test_columns_have_the_order_of_the_mask(tmp_path, mask):
    data = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    found = read_series(write_image(tmp_path / "bold.nii.gz", data), mask)
    np.testing.assert_array_equal(found.bold, data.T[:, found.mask.T])


def test_agrees_with_nilearn(tmp_path, rng, mask):
    from nilearn.masking import apply_mask

    data = (1000 + rng.standard_normal(SHAPE)).astype(np.float32)
    path = write_image(tmp_path / "bold.nii.gz", data)
    found = read_series(path, mask)
    theirs = apply_mask(nib.load(path), nib.load(mask))  # the last axis fastest
    np.testing.assert_array_equal(found.bold[:, columns_of(found.mask)[found.mask]], theirs)


MEASURED = """
import sys
from pathlib import Path
from lbpneuro.io.series import read_series

small, bold, mask = map(Path, sys.argv[1:])
def peak_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
read_series(small, mask)
before = peak_kb()
series = read_series(bold, mask)
print((peak_kb() - before) * 1024 / (4 * series.bold.size))
"""


@pytest.mark.parametrize(("extension", "dtype"), [(".nii", "f8"), (".nii", "i2"), (".nii.gz", "f4"), (".nii.gz", "i2")])
def test_peak_memory_is_that_of_the_result(tmp_path, rng, extension, dtype):
    """Resident memory of a process, pages of mapped files included, in units of the masked float32 matrix.

    At most 1.4 of it, and half for integers of two bytes.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell the peak memory of a process")
    shape = (64, 64, 40)
    volume = rng.integers(0, 1000, shape).astype(dtype)
    data = np.repeat(volume[..., None], 160, axis=3)
    inside = np.zeros(shape, dtype=np.uint8)
    inside[:24] = 1
    paths = [tmp_path / f"{name}{extension}" for name in ("small", "bold")]
    write_image(paths[0], data[..., :2])
    write_image(paths[1], data)
    mask = write_image(tmp_path / "mask.nii.gz", inside)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *paths, mask], capture_output=True, text=True, check=True, timeout=120
    )
    least, most = (0.45, 0.9) if dtype == "i2" else (0.9, 1.4)
    assert least < float(done.stdout) < most


def test_members_of_a_concatenated_gzip(tmp_path, rng, mask):
    data = rng.random(SHAPE).astype(np.float32)
    whole = nib.Nifti1Image(data, AFFINE).to_bytes()
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]))
    found = read_series(path, mask)
    np.testing.assert_array_equal(found.bold, data.T[:, found.mask.T])


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_truncation_names_the_volume(tmp_path, rng, mask, extension):
    content = nib.Nifti1Image(rng.random(SHAPE).astype(np.float32), AFFINE).to_bytes()
    for n_bytes, found in ((352 + 4 * 140 * 3 + 17, "3 of 9 volumes"), (352, "0 of 9 volumes"), (350, "the header")):
        cut = content[:n_bytes]
        path = tmp_path / f"bold{extension}"
        path.write_bytes(gzip.compress(cut) if extension == ".nii.gz" else cut)
        with pytest.raises(InputError, match=f"ends after {found}"):
            read_series(path, mask)


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
    """FEAT output with all zooms 1: nothing says where it lies, nor what the repetition time is."""
    path = real_data("fsl_ffd") / "filtered_func_data.nii.gz"
    image = nib.load(path)
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(image.shape[:3], dtype=np.uint8), image.affine), mask)
    with pytest.raises(InputError, match="neither sform nor qform"):
        read_series(path, mask)
    placed = tmp_path / "bold.nii.gz"
    image.header.set_sform(image.affine, code=4)
    nib.save(image, placed)
    found = read_series(placed, mask)
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
