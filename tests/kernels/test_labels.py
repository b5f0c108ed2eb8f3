"""Region means and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, sparse

from lbpneuro.errors import InputError
from lbpneuro.kernels import labels as kernel
from lbpneuro.kernels.labels import label_sums, label_weights, region_means, usable_voxels
from tests.oracles.functional import slow_region_means


def test_by_hand():
    # three voxels, two volumes; second region shares the middle voxel and weighs it double
    series = np.array([[1.0, 2, 6], [3, 6, 10]])
    weights = np.array([[1.0, 1, 0], [0, 2, 1]])
    means, coverage = region_means(series, weights=weights)
    assert means == pytest.approx(np.array([[1.5, 10 / 3], [4.5, 22 / 3]]))
    assert coverage == pytest.approx([1, 1])


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_loops(seed):
    rng = np.random.default_rng(seed)
    series = 1000 + rng.standard_normal((6, 15))
    weights = rng.random((4, 15)) * (rng.random((4, 15)) > 0.6)
    series[2, 3], series[:, 5] = np.nan, 7.0
    means, coverage = region_means(series, weights=weights)
    expected_means, expected_coverage = slow_region_means(series, weights)
    np.testing.assert_allclose(means, expected_means, rtol=1e-12)
    np.testing.assert_allclose(coverage, expected_coverage, rtol=1e-12)


def test_coverage_counts_what_lies_beyond_the_data():
    _, coverage = region_means(np.array([[1.0, 2], [2, 3]]), weights=np.array([[1.0, 1.0]]), whole=[8.0])
    assert coverage == pytest.approx([0.25])


def test_nan_stays_local_and_regions_swap_with_their_rows(rng):
    series = rng.standard_normal((10, 8)).astype(np.float32)
    weights = np.kron(np.eye(4), np.ones(2))
    for array in (series, weights):
        array.setflags(write=False)
    expected, _ = region_means(series, weights=weights)
    spoilt = series.copy()
    spoilt[:, :2] = np.nan
    found, coverage = region_means(spoilt, weights=weights)
    assert np.isnan(found[:, 0]).all()
    assert coverage.tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(found[:, 1:], expected[:, 1:])
    np.testing.assert_array_equal(region_means(series, weights=weights[::-1])[0], expected[:, ::-1])
    assert found.dtype == np.float64


def test_shift_in_float32(rng):
    series = rng.standard_normal((50, 30)).astype(np.float32)
    weights = rng.random((2, 30))
    shifted = series + np.float32(1e4)
    low, _ = region_means(shifted - np.float32(1e4), weights=weights)
    high, _ = region_means(shifted, weights=weights)
    np.testing.assert_allclose(high - 1e4, low, atol=1e-10)


def test_usable_voxels():
    series = np.array([[1.0, 1, np.nan, np.inf, 0], [2, 1, 2, 2, 0]])
    assert usable_voxels(series).tolist() == [True, False, False, False, False]


def test_weights_must_fit():
    with pytest.raises(InputError, match="`weights` must have 3 entries along axis 1"):
        region_means(np.ones((2, 3)), weights=np.ones((1, 4)))


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_weights_give_what_dense_ones_do(rng, form, dtype, monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", 7)
    series = (1000 + rng.standard_normal((12, 60))).astype(np.float32)
    series[3, 5], series[:, 8] = np.nan, 1000
    weights = (rng.random((9, 60)) * (rng.random((9, 60)) > 0.8)).astype(dtype)
    weights[4] = 0
    expected = slow_region_means(series.astype(np.float64), weights.astype(np.float64))
    for given in (weights, form(weights)):
        for found, wanted in zip(region_means(series, weights=given), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_stored_zeros_are_no_weights_and_stay(rng):
    series = rng.standard_normal((5, 3))
    weights = sparse.csc_array((np.array([1.0, 0.0]), (np.array([0, 0]), np.array([0, 1]))), shape=(1, 3))
    series[2, 1] = np.nan
    means, coverage = region_means(series, weights=weights)
    np.testing.assert_allclose(means[:, 0], series[:, 0])
    assert coverage.tolist() == [1]
    assert weights.nnz == 2


def test_no_region_and_no_voxel():
    means, coverage = region_means(np.ones((4, 3)), weights=np.empty((0, 3)))
    assert (means.shape, coverage.shape) == ((4, 0), (0,))
    means, coverage = region_means(np.empty((4, 0), dtype=np.float32), weights=np.empty((2, 0)))
    assert np.isnan(means).all()
    assert np.isnan(coverage).all()


def test_labels_by_hand():
    labels = np.array([0, 3, 3, 7, 0, 3])
    assert label_weights(labels, ids=[7, 3, 5]).toarray().tolist() == [
        [0, 0, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 1],
        [0, 0, 0, 0, 0, 0],
    ]
    sums, count = label_sums(np.array([9.0, 1, 2, 4, 9, np.nan]), labels=labels, ids=[7, 3, 5])
    np.testing.assert_array_equal(sums, [4, 3, np.nan])
    assert count.tolist() == [1, 2, 0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_labels_of_every_integer_type(rng, dtype):
    """Ids that the type cannot hold (300 of int8, 2^17 of uint16) are absent, and never those they would wrap to."""
    known = [4, 17, 100]
    if np.iinfo(dtype).max > 2**17:
        known += [2**17 + 3]
    labels = rng.choice([0, *known], 500).astype(dtype)
    labels.setflags(write=False)
    values = rng.standard_normal(500).astype(np.float32)
    ids = [*known, 2**17, 4 + 256, 17 + 2**16]
    sums, count = label_sums(values, labels=labels, ids=ids)
    expected = [sum(float(v) for v, label in zip(values, labels, strict=True) if int(label) == one) for one in ids]
    np.testing.assert_allclose(sums[: len(known)], expected[: len(known)], rtol=1e-10)
    assert np.isnan(sums[len(known) :]).all()
    np.testing.assert_array_equal(label_weights(labels, ids=ids).sum(axis=1), count)


def test_negative_labels():
    assert label_weights(np.array([-1, 2, -1], dtype=np.int8), ids=[-1, 255]).toarray().tolist() == [
        [1, 0, 1],
        [0, 0, 0],
    ]


def test_labels_against_scipy_and_nilearn(rng):
    import nibabel as nib
    from nilearn.maskers import NiftiLabelsMasker

    labels = rng.integers(0, 6, (4, 5, 6)).astype(np.int16)
    data = (1000 + rng.standard_normal((4, 5, 6, 20))).astype(np.float32)
    ids = np.arange(1, 6)
    sums, count = label_sums(data[..., 0].ravel(), labels=labels.ravel(), ids=ids)
    np.testing.assert_allclose(sums / count, ndimage.mean(data[..., 0].astype(float), labels, ids), rtol=1e-12)
    means, coverage = region_means(data.reshape(-1, 20).T, weights=label_weights(labels.ravel(), ids=ids))
    masker = NiftiLabelsMasker(nib.Nifti1Image(labels, np.eye(4)), standardize=None)
    np.testing.assert_allclose(means, masker.fit_transform(nib.Nifti1Image(data, np.eye(4))), rtol=1e-6)
    assert coverage.tolist() == [1] * 5


@pytest.mark.parametrize(
    ("labels", "ids", "message"),
    [
        (np.array([1.0, 2.0]), [1], "`labels` must be a row of whole numbers; got float64"),
        (np.array([[1, 2]]), [1], r"`labels` must be a row of whole numbers; got int64 of shape \(1, 2\)"),
        (np.array([1, 2]), [1.5], "`ids` must be a row of whole numbers; got float64"),
        (np.array([1, 2]), [2, 1, 2], "`ids` must hold every label once; 2 is there twice"),
    ],
)
def test_labels_are_whole_numbers_and_ids_are_given_once(labels, ids, message):
    with pytest.raises(InputError, match=message):
        label_weights(labels, ids=ids)


def test_no_ids_and_values_that_do_not_fit():
    assert label_weights(np.array([1, 2]), ids=np.empty(0, dtype=np.int64)).shape == (0, 2)
    with pytest.raises(InputError, match="`values` must have 2 entries"):
        label_sums(np.ones(3), labels=np.array([1, 2]), ids=[1])
