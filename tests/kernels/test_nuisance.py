"""The projection equals explicit least squares, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels.correlation import correlation
from lbpneuro.kernels.nuisance import (
    BLOCK,
    band_gain,
    by_frequency,
    cleaned,
    cosines,
    frequencies_hz,
    low_pass_basis,
    orders_in,
    project,
    project_each,
    residual_basis,
)
from tests.oracles.functional import least_squares_clean

BAND = (0.01, 0.08)


def everything(n_time: int) -> np.ndarray:
    return np.ones(n_time, dtype=bool)


def clean(series, confounds, *, t_r=2.0, band_hz=BAND, polynomial=1, keep=None):
    keep = everything(len(series)) if keep is None else keep
    basis = residual_basis(confounds, t_r=t_r, band_hz=band_hz, polynomial=polynomial, keep=keep)
    return cleaned(basis, project(basis, series, keep=keep), keep=keep)


def test_frequencies_by_hand():
    # 100 volumes of 2 s: steps of 1 / 400 s = 0.0025 Hz; 0.01 Hz is order 4, 0.08 Hz order 32, both included
    assert frequencies_hz(100, t_r=2.0)[:3] == pytest.approx([0, 0.0025, 0.005])
    orders = orders_in(BAND, n_time=100, t_r=2.0)
    assert (orders[0], orders[-1]) == (4, 32)


def test_cosines_are_orthonormal():
    vectors = cosines(50, orders=np.arange(50))
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(50), atol=1e-12)


def test_dimension_is_counted_by_hand():
    # 29 cosines in the band, 3 confounds; the linear drift is not wholly a slow cosine and costs one more
    confounds = np.random.default_rng(1).standard_normal((100, 3))
    assert residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=0, keep=everything(100)).shape == (100, 26)
    assert residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=everything(100)).shape == (100, 25)


@pytest.mark.parametrize("seed", range(20))
def test_equals_explicit_least_squares(seed):
    rng = np.random.default_rng(seed)
    n_time = int(rng.integers(80, 140))
    confounds = np.cumsum(rng.standard_normal((n_time, 5)), axis=0)
    series = 1000 + np.cumsum(rng.standard_normal((n_time, 4)), axis=0)
    expected = least_squares_clean(series, confounds=confounds, t_r=1.5, band_hz=BAND, degree=2)
    found = clean(series, confounds, t_r=1.5, polynomial=2)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_with_censoring_equals_least_squares_on_the_kept_volumes(seed):
    """On the kept volumes the design is confounds, drift, slow cosines, and the directions mostly above the band."""
    rng = np.random.default_rng(seed)
    keep = rng.random(150) > 0.1
    confounds = rng.standard_normal((150, 4))
    series = 1000 + rng.standard_normal((150, 3))
    below = low_pass_basis(150, t_r=2.0, high_hz=0.08, keep=keep, band_share=0.5)
    above = np.linalg.svd(below, full_matrices=True)[0][:, below.shape[1] :]
    time = np.arange(150)
    slow = [np.cos(np.pi * (time + 0.5) * k / 150) for k in range(1, 6)]  # 5 / 600 s < 0.01 Hz = 6 / 600 s
    design = np.column_stack([np.ones(150), time, *slow, confounds])[keep]
    design = np.column_stack([design / np.linalg.norm(design, axis=0), above])
    expected = series[keep] - design @ np.linalg.lstsq(design, series[keep], rcond=1e-10)[0]
    found = clean(series, confounds, keep=keep)
    np.testing.assert_allclose(found[keep], expected, atol=1e-9)
    assert np.isnan(found[~keep]).all()


def test_share_of_one_is_regression_on_every_stop_band_cosine():
    rng = np.random.default_rng(3)
    keep = everything(200)
    keep[[20, 21, 90, 150]] = False
    none = np.empty((200, 0))
    strict = residual_basis(none, t_r=2.0, band_hz=BAND, polynomial=0, keep=keep, band_share=1.0)
    soft = residual_basis(none, t_r=2.0, band_hz=BAND, polynomial=0, keep=keep)
    n_band = len(orders_in(BAND, n_time=200, t_r=2.0))
    assert strict.shape[1] == n_band - 4
    # 1 % of the time is censored by the pair, 1 % by the single ones: at most the Slepian share of the band goes
    assert n_band - 2 <= soft.shape[1] <= n_band
    fast = np.cos(np.pi * (np.arange(200) + 0.5) * rng.integers(70, 199) / 200)
    assert np.abs(strict.T @ fast[keep]).max() < 1e-9
    assert np.sum((soft.T @ fast[keep]) ** 2) < 0.05 * np.sum(fast[keep] ** 2)


def test_basis_is_orthonormal_and_orthogonal_to_the_nuisance():
    rng = np.random.default_rng(4)
    keep = rng.random(200) > 0.15
    confounds = 1e4 + np.cumsum(rng.standard_normal((200, 10)), axis=0)
    basis = residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    nuisance = np.column_stack([np.ones(200), np.arange(200), confounds])[keep]
    assert np.abs(basis.T @ (nuisance / np.linalg.norm(nuisance, axis=0))).max() < 1e-7


def test_collinear_constant_and_scaled_confounds_change_nothing():
    rng = np.random.default_rng(5)
    confounds = rng.standard_normal((120, 4))
    series = rng.standard_normal((120, 2))
    redundant = np.column_stack(
        [confounds, confounds[:, :2] @ [[1.0], [2.0]], np.full(120, 7.0), np.zeros(120), 1e6 * confounds[:, 3]]
    )
    np.testing.assert_allclose(clean(series, redundant), clean(series, confounds), atol=1e-10)


def test_shift_and_read_only(rng):
    series = rng.standard_normal((150, 6)).astype(np.float32)
    confounds = rng.standard_normal((150, 3))
    keep = everything(150)
    for array in (series, confounds, keep):
        array.setflags(write=False)
    basis = residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    first, second = project(basis, series, keep=keep), project(basis, series, keep=keep)
    np.testing.assert_array_equal(first, second)
    shifted = (series.astype(np.float64) + 1e4).astype(np.float32)
    # float32 keeps 1e4 to 5e-4: nothing worse may happen
    np.testing.assert_allclose(project(basis, shifted, keep=keep), first, atol=5e-3)
    assert first.dtype == np.float32


def test_nan_constant_and_explained_series_stay_local(rng):
    series = rng.standard_normal((150, 5))
    confounds = rng.standard_normal((150, 2))
    keep = everything(150)
    basis = residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    expected = project(basis, series, keep=keep)
    spoilt = series.copy()
    spoilt[7, 0], spoilt[:, 1], spoilt[:, 2], spoilt[3, 3] = np.nan, 1000.0, 5 * confounds[:, 0], np.inf
    found = project(basis, spoilt, keep=keep)
    assert np.isnan(found[:, :4]).all()
    np.testing.assert_array_equal(found[:, 4], expected[:, 4])


def test_censored_values_do_not_matter(rng):
    series, confounds = rng.standard_normal((150, 3)), rng.standard_normal((150, 2))
    keep = everything(150)
    keep[[0, 40, 41, 149]] = False
    expected = clean(series, confounds, keep=keep)
    series[~keep], confounds[~keep] = 1e6, np.nan
    np.testing.assert_array_equal(clean(series, confounds, keep=keep), expected)


def correlated(rng: np.random.Generator, *, mean: float, deviation: float) -> np.ndarray:
    """Series of a large mean that share half of their variance, in single precision."""
    series = rng.standard_normal((240, 60)) + rng.standard_normal((240, 1))
    return (mean + deviation * series).astype(np.float32)


@pytest.mark.parametrize(("mean", "deviation"), [(1000, 10), (1e4, 20), (0, 1)])
def test_single_precision_gives_the_correlation_of_double(rng, mean, deviation):
    keep = rng.random(240) > 0.05
    basis = residual_basis(rng.standard_normal((240, 24)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    series = correlated(rng, mean=mean, deviation=deviation)
    before = series.copy()
    single = project(basis, series, keep=keep)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(series, before)
    np.testing.assert_allclose(
        correlation(single), correlation(project(basis, series.astype(np.float64), keep=keep)), atol=1e-6
    )


def test_single_precision_knows_what_nothing_is_left_of(rng):
    confounds = np.cumsum(rng.standard_normal((150, 12)), axis=0)
    keep = rng.random(150) > 0.1
    basis = residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    scale = rng.lognormal(0, 3, 3000)
    explained = confounds @ rng.standard_normal((12, 3000)) * scale + rng.choice([0, 100, 1e4], 3000)
    constant = np.broadcast_to(rng.lognormal(3, 3, 3000), (150, 3000))
    assert np.isnan(project(basis, explained.astype(np.float32), keep=keep)).all()
    assert np.isnan(project(basis, constant.astype(np.float32), keep=keep)).all()
    faint = (1e4 + 0.1 * rng.standard_normal((150, 3000))).astype(np.float32)
    assert np.isfinite(project(basis, faint, keep=keep)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_bases_in_one_pass(rng, dtype):
    keep = everything(150)
    bases = [
        residual_basis(rng.standard_normal((150, n)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep) for n in (3, 9)
    ]
    series = (1000 + rng.standard_normal((150, 20))).astype(dtype)
    series[:, 4] = 1000 + 5 * (np.eye(150) - bases[0] @ bases[0].T)[:, 3]  # nothing of it is in the first basis
    found = project_each(bases, series, keep=keep)
    assert [part.shape for part in found] == [(basis.shape[1], 20) for basis in bases]
    assert [bool(np.isnan(part[:, 4]).all()) for part in found] == [True, False]
    for part, basis in zip(found, bases, strict=True):
        np.testing.assert_allclose(part, project(basis, series, keep=keep), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="`basis` must have 150 entries"):
        project_each([bases[0], bases[1][1:]], series, keep=keep)


@pytest.mark.parametrize("censored", [0, 12])
def test_basis_does_not_depend_on_the_one_that_linear_algebra_returns(rng, censored):
    keep = everything(150)
    keep[rng.choice(150, censored, replace=False)] = False
    basis = residual_basis(rng.standard_normal((150, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    rotation = np.linalg.qr(rng.standard_normal((basis.shape[1],) * 2))[0]
    np.testing.assert_allclose(by_frequency(basis @ rotation, keep=keep), basis, atol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)


def test_a_band_up_to_the_highest_frequency_with_censoring(rng):
    """All directions are wholly in the band, at which LAPACK's divide and conquer does not always arrive."""
    for high_hz in (0.249, 0.25):
        keep = np.random.default_rng(39).permutation(np.arange(240) < 210)
        basis = residual_basis(rng.standard_normal((240, 3)), t_r=2.0, band_hz=(0, high_hz), polynomial=1, keep=keep)
        assert basis.shape == (210, 210 - 5)
        np.testing.assert_allclose(basis.T @ basis, np.eye(205), atol=1e-12)


def test_basis_ascends_in_frequency_and_is_the_cosines_without_nuisance(rng):
    keep = everything(100)
    plain = residual_basis(np.empty((100, 0)), t_r=2.0, band_hz=BAND, polynomial=0, keep=keep)
    np.testing.assert_allclose(plain, cosines(100, orders=np.arange(4, 33)), atol=1e-10)
    basis = residual_basis(rng.standard_normal((100, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    share = (cosines(100, orders=np.arange(100)).T @ basis) ** 2
    assert np.all(np.diff(np.arange(100) @ share) > 0)


def test_coordinates_of_a_coloured_series_are_nearly_independent(rng):
    keep = rng.random(240) > 0.05
    basis = residual_basis(rng.standard_normal((240, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    frequencies, gain = band_gain(basis, t_r=2.0, band_hz=BAND, keep=keep)
    rotation = np.linalg.qr(rng.standard_normal((len(gain), len(gain))))[0]

    def dependence(gain):
        covariance = gain @ np.diag(frequencies**-2.0) @ gain.T
        deviation = np.sqrt(np.diag(covariance))
        return np.sqrt(np.mean((covariance / np.outer(deviation, deviation) - np.eye(len(gain))) ** 2))

    assert dependence(gain) < 0.1 < 0.15 < dependence(rotation @ gain)


def test_blocks_agree_with_one_product(rng, monkeypatch):
    series = rng.standard_normal((100, 23))
    basis = residual_basis(np.empty((100, 0)), t_r=2.0, band_hz=BAND, polynomial=0, keep=everything(100))
    whole = project(basis, series, keep=everything(100))
    monkeypatch.setattr("lbpneuro.kernels.nuisance.BLOCK", 5)
    np.testing.assert_allclose(project(basis, series, keep=everything(100)), whole, atol=1e-12)


def test_gain_is_the_identity_without_nuisance():
    keep = everything(100)
    basis = residual_basis(np.empty((100, 0)), t_r=2.0, band_hz=BAND, polynomial=0, keep=keep)
    frequencies, gain = band_gain(basis, t_r=2.0, band_hz=BAND, keep=keep)
    assert frequencies == pytest.approx(np.arange(4, 33) / 400)
    np.testing.assert_allclose(gain.T @ gain, np.eye(29), atol=1e-12)


def test_nan_confound_names_the_place():
    confounds = np.zeros((100, 3))
    confounds[4, 2] = np.nan
    with pytest.raises(InputError, match=r"must be finite; got nan at \[4, 2\] \(1 such"):
        residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=1, keep=everything(100))


def test_too_few_dimensions():
    confounds = np.random.default_rng(0).standard_normal((100, 27))
    with pytest.raises(QualityError, match="leaves 2 of 33 dimensions") as caught:
        residual_basis(confounds, t_r=2.0, band_hz=BAND, polynomial=0, keep=everything(100))
    assert caught.value.reason is Reason.TOO_FEW_DOF


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_r": 0.0}, "`t_r` must be a finite number above 0; got 0.0"),
        ({"band_hz": (0.1, 0.01)}, r"`band_hz` must be \(low, high\)"),
        ({"keep": np.ones(100)}, "`keep` must be 100 Boolean values; got float64"),
        ({"keep": np.ones(99, dtype=bool)}, "`keep` must be 100 Boolean values"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"t_r": 2.0, "band_hz": BAND, "polynomial": 1, "keep": everything(100)}
    with pytest.raises(InputError, match=message):
        residual_basis(np.zeros((100, 1)), **{**arguments, **change})


def test_shapes_must_fit(rng):
    keep = everything(100)
    basis = residual_basis(np.empty((100, 0)), t_r=2.0, band_hz=BAND, polynomial=0, keep=keep)
    with pytest.raises(InputError, match="`basis` must have 100 entries"):
        by_frequency(basis[1:], keep=keep)
    with pytest.raises(InputError, match="`keep` must be 90"):
        project(basis, np.zeros((90, 2)), keep=keep)
    with pytest.raises(InputError, match="`projected` must have 29 rows"):
        cleaned(basis, np.zeros((3, 2)), keep=keep)


NILEARN_NOTE = "ignore:From release 0.14.0:DeprecationWarning"  # raised by nilearn 0.13 whatever one asks


@pytest.mark.filterwarnings(NILEARN_NOTE)
def test_against_the_cosine_filter_of_nilearn(rng):
    """nilearn's cosine high-pass is one regression with the confounds, as ours: without a low-pass both are the same.

    (It detrends before, not with, that regression, so the drift polynomial is left out of the comparison.)
    """
    from nilearn.signal import clean as nilearn_clean

    series = 1000 + np.cumsum(rng.standard_normal((150, 4)), axis=0)
    confounds = rng.standard_normal((150, 6))
    options = {"detrend": False, "standardize": None, "standardize_confounds": True}
    theirs = nilearn_clean(series, confounds=confounds, filter="cosine", high_pass=0.011, t_r=2.0, **options)
    ours = clean(series, confounds, band_hz=(0.011, 0.25), polynomial=0)
    np.testing.assert_allclose(ours, theirs - theirs.mean(axis=0), atol=1e-9)


@pytest.mark.filterwarnings(NILEARN_NOTE)
def test_against_the_butterworth_filter_of_nilearn(rng):
    """Another filter with soft edges, applied before the regression: the same series but for the edges of the band."""
    from nilearn.signal import clean as nilearn_clean

    series = 1000 + rng.standard_normal((300, 20))
    confounds = rng.standard_normal((300, 6))
    options = {"detrend": True, "standardize": None, "standardize_confounds": True}
    theirs = nilearn_clean(series, confounds=confounds, low_pass=0.08, high_pass=0.01, t_r=2.0, **options)
    ours = clean(series, confounds)
    agreement = [np.corrcoef(ours[:, i], theirs[:, i])[0, 1] for i in range(20)]
    assert np.median(agreement) > 0.9


MOTION_AND_TISSUE = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "white_matter"]
REAL = {
    "myconnectome_sub-01_ses-002_task-rest_run-001_desc-confounds_timeseries.tsv": (1.16, (0.02, 0.3)),
    "no_nonsteady_desc-confounds_regressors.tsv": (2.0, (0.02, 0.2)),
}


def real_run(real_data, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Regressors of a real table of fMRIPrep, and forty series into which they leak."""
    table = pd.read_csv(real_data("fmriprep_confounds") / name, sep="\t")
    confounds = table[MOTION_AND_TISSUE].to_numpy()
    rng = np.random.default_rng(6)
    leak = ((confounds - confounds.mean(axis=0)) / confounds.std(axis=0)) @ rng.standard_normal(
        (confounds.shape[1], 40)
    )
    return confounds, 1000 + np.cumsum(rng.standard_normal((len(table), 40)), axis=0) + leak


@pytest.mark.filterwarnings(NILEARN_NOTE)
@pytest.mark.parametrize("name", REAL)
def test_against_the_cosine_filter_of_nilearn_with_real_confounds(real_data, name):
    from nilearn.signal import clean as nilearn_clean

    confounds, series = real_run(real_data, name)
    t_r, _ = REAL[name]
    options = {"detrend": False, "standardize": None, "standardize_confounds": True}
    theirs = nilearn_clean(series, confounds=confounds, filter="cosine", high_pass=0.011, t_r=t_r, **options)
    ours = clean(series, confounds, t_r=t_r, band_hz=(0.011, 0.5 / t_r), polynomial=0)
    np.testing.assert_allclose(ours, theirs - theirs.mean(axis=0), atol=1e-8)


@pytest.mark.filterwarnings(NILEARN_NOTE)
def test_against_the_butterworth_filter_of_nilearn_with_real_confounds(real_data):
    """Forty volumes are hard on a filter with soft edges: much of what it leaves is not in the band."""
    from nilearn.signal import clean as nilearn_clean

    name = next(iter(REAL))
    confounds, series = real_run(real_data, name)
    t_r, band_hz = REAL[name]
    options = {"detrend": True, "standardize": None, "standardize_confounds": True}
    theirs = nilearn_clean(series, confounds=confounds, low_pass=band_hz[1], high_pass=band_hz[0], t_r=t_r, **options)
    ours = clean(series, confounds, t_r=t_r, band_hz=band_hz)
    assert np.median([np.corrcoef(ours[:, i], theirs[:, i])[0, 1] for i in range(40)]) > 0.7
    vectors = cosines(len(series), orders=orders_in(band_hz, n_time=len(series), t_r=t_r))
    ours_inside, theirs_inside = (np.sum((vectors.T @ each) ** 2) / np.sum(each**2) for each in (ours, theirs))
    assert ours_inside == pytest.approx(1)
    assert 0.5 < theirs_inside < 0.97


def test_coordinates_in_the_place_of_the_series(rng):
    """Written over the first rows of the series they must be what they are elsewhere, across all blocks."""
    n_time, n_voxel = 40, 2 * BLOCK + 7
    keep = np.arange(n_time) != 11
    bases = [np.linalg.qr(rng.standard_normal((39, d)))[0] for d in (6, 9)]
    series = (rng.standard_normal((n_time, n_voxel)) + 100).astype(np.float32)
    expected = project_each(bases, series, keep=keep)
    spent = series.copy()
    found = project_each(bases, spent, keep=keep, out=spent[:15])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.shares_memory(each, spent) for each in found)
    with pytest.raises(InputError, match="out"):
        project_each(bases, series, keep=keep, out=spent[:14])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_small_integers_are_projected_as_single_precision(rng, dtype):
    """They are exact in float32; larger ones are not, and so become float64."""
    series = rng.integers(0, 250, (120, 30)).astype(dtype)
    keep = rng.random(120) > 0.1
    basis = residual_basis(rng.standard_normal((120, 4)), t_r=2.0, band_hz=(0.01, 0.1), polynomial=1, keep=keep)
    found = project(basis, series, keep=keep)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, project(basis, series.astype(np.float32), keep=keep))
    assert project(basis, series.astype(np.int32), keep=keep).dtype == np.float64
