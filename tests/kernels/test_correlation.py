"""Correlation in the projected space, Fisher z, and intervals that cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from lbpneuro.errors import InputError
from lbpneuro.kernels.correlation import (
    EXPONENTS,
    autocorrelated_dimension,
    correlation,
    effective_dimension,
    fisher_z,
    fisher_z_se,
    jackknife,
    jackknife_se,
    ledoit_wolf,
    likelihood,
    mean_z_se,
    network_dimension,
    pack_triangle,
    partial_correlation,
    pooled_z,
    power_laws,
    seed_correlation,
    seed_dimension,
    unpack_triangle,
)
from lbpneuro.kernels.nuisance import band_gain, cleaned, project, residual_basis
from tests.oracles.connectivity import (
    slow_autocorrelated_variance,
    slow_jackknife,
    slow_ledoit_wolf,
    slow_partial,
    slow_z_covariance,
    uncentred_r,
)
from tests.oracles.functional import coloured

BAND = (0.01, 0.08)


def test_by_hand():
    # (3, 4) and (4, 3): 24 / 25; (3, 4) and (-4, 3): 0
    assert correlation(np.array([[3.0, 4, -4], [4, 3, 3]])) == pytest.approx(
        np.array([[1, 0.96, 0], [0.96, 1, -0.28], [0, -0.28, 1]])
    )
    assert fisher_z(0.6) == pytest.approx(0.6931472, abs=1e-7)
    assert fisher_z_se(27) == pytest.approx(0.2)
    assert np.isnan(fisher_z_se(2))


@pytest.mark.parametrize("seed", range(20))
def test_is_pearson_of_the_cleaned_series(seed):
    rng = np.random.default_rng(seed)
    keep = rng.random(180) > 0.1
    basis = residual_basis(rng.standard_normal((180, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    projected = project(basis, 500 + rng.standard_normal((180, 5)), keep=keep)
    series = cleaned(basis, projected, keep=keep)[keep]
    np.testing.assert_allclose(correlation(projected), np.corrcoef(series.T), atol=1e-12)
    np.testing.assert_allclose(
        seed_correlation(projected[:, 0], projected=projected), correlation(projected)[0], atol=1e-12
    )


def test_nan_and_constant_stay_local(rng):
    projected = rng.standard_normal((30, 5))
    expected = correlation(projected)
    spoilt = projected.copy()
    spoilt[4, 1], spoilt[:, 3] = np.nan, 0.0
    spoilt.setflags(write=False)
    found = correlation(spoilt)
    good = [0, 2, 4]
    np.testing.assert_array_equal(found[np.ix_(good, good)], expected[np.ix_(good, good)])
    assert np.isnan(found[[1, 3]]).all()
    seeds = seed_correlation(spoilt[:, 0], projected=spoilt)
    np.testing.assert_array_equal(np.isnan(seeds), [False, True, False, True, False])


def test_limits():
    assert fisher_z(1.0) == np.inf
    assert np.isnan(fisher_z(np.nan))
    with pytest.raises(InputError, match="`projected` must have 3 entries"):
        seed_correlation(np.ones(3), projected=np.ones((4, 2)))


def test_standard_error_of_z_by_simulation(rng):
    """Uncentred correlation in d white dimensions: the spread of z is 1 / sqrt(d - 2), not 1 / sqrt(d - 3)."""
    d = 8
    x, y = rng.standard_normal((2, d, 40_000))
    spread = fisher_z(np.sum(x * y, axis=0) / np.linalg.norm(x, axis=0) / np.linalg.norm(y, axis=0)).std(ddof=1)
    assert spread == pytest.approx(float(fisher_z_se(d)), rel=0.02)
    assert abs(spread - 1 / np.sqrt(d - 3)) > 0.03


def white_gain(n_band: int) -> dict:
    return {"laws": power_laws(np.eye(n_band), frequencies_hz=np.linspace(*BAND, n_band))}


def test_effective_dimension_of_white_series(rng):
    found = [effective_dimension(rng.standard_normal((60, 2)), **white_gain(60)) for _ in range(30)]
    assert 55 < np.mean(found) <= 60


@pytest.mark.parametrize("exponents", [(1, 1), (2, 2), (2, 0)])
def test_effective_dimension_of_independent_coloured_series(rng, exponents):
    """For independent series it must be 1 / sum of the products of the two spectra, each of sum 1."""
    f = np.linspace(*BAND, 60)
    spectra = [f**-e / np.sum(f**-e) for e in exponents]
    laws = power_laws(np.eye(60), frequencies_hz=f)
    found = [effective_dimension(np.sqrt(spectra).T * rng.standard_normal((60, 2)), laws=laws) for _ in range(60)]
    assert np.mean(found) == pytest.approx(1 / np.sum(spectra[0] * spectra[1]), rel=0.08)


def test_effective_dimension_does_not_depend_on_scale_sign_or_rotation(rng):
    pair = rng.standard_normal((40, 2)) * np.linspace(2, 0.5, 40)[:, None]
    first = effective_dimension(pair, **white_gain(40))
    rotation = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    f = np.linspace(*BAND, 40)
    assert effective_dimension(pair * [1e3, -1e-3], **white_gain(40)) == pytest.approx(first, rel=1e-9)
    assert effective_dimension(rotation @ pair, laws=power_laws(rotation, frequencies_hz=f)) == pytest.approx(
        first, rel=1e-6
    )


def test_effective_dimension_of_equal_or_missing_series(rng):
    series = rng.standard_normal(40)
    assert 1 <= effective_dimension(np.column_stack([series, series]), **white_gain(40)) <= 40
    assert np.isnan(effective_dimension(np.column_stack([series, np.zeros(40)]), **white_gain(40)))
    with pytest.raises(InputError, match="`laws` must have 39 entries"):
        effective_dimension(np.ones((39, 2)), **white_gain(40))


def test_pooled_by_hand():
    # weights 10 and 30: z = (10 * 0.1 + 30 * 0.5) / 40, se = 1 / sqrt(40)
    assert pooled_z([0.1, 0.5], dimension=[12, 32]) == pytest.approx((0.4, 1 / np.sqrt(40)))


N_DESIGNS, N_PAIRS = 25, 12


@pytest.mark.parametrize(
    ("exponent", "r", "n_censored", "t_r", "n_time"),
    [
        (0, 0.0, 0, 2.0, 300),
        (0, 0.6, 30, 2.0, 300),
        (1, 0.0, 30, 2.0, 300),
        (1, 0.3, 60, 1.0, 500),
        (1, -0.6, 15, 3.0, 160),
        (2, 0.6, 30, 2.0, 300),
    ],
)
def test_recovers_the_planted_correlation(exponent, r, n_censored, t_r, n_time):
    """Confounds leak into both series, volumes are censored: bias within SE / 4, intervals cover 90 to 98 %."""
    with threadpool_limits(1):
        runs = [_recovered(seed, exponent, r, n_censored, t_r, n_time) for seed in range(N_DESIGNS)]
    z, d = np.concatenate(runs).T
    error, se = z - np.arctanh(r), fisher_z_se(d)
    assert abs(error.mean()) < se.mean() / 4
    assert 0.90 <= np.mean(np.abs(error) < 1.96 * se) <= 0.98


def _recovered(seed: int, exponent: float, r: float, n_censored: int, t_r: float, n_time: int) -> np.ndarray:
    """Fisher z and effective dimension of some pairs under one draw of confounds and censored volumes."""
    rng = np.random.default_rng(1000 + seed)
    confounds = np.cumsum(rng.standard_normal((n_time, 12)), axis=0)
    keep = np.ones(n_time, dtype=bool)
    keep[rng.choice(n_time, n_censored, replace=False)] = False
    basis = residual_basis(confounds, t_r=t_r, band_hz=BAND, polynomial=1, keep=keep)
    frequencies, gain = band_gain(basis, t_r=t_r, band_hz=BAND, keep=keep)
    laws = power_laws(gain, frequencies_hz=frequencies)
    found = []
    for _ in range(N_PAIRS):
        signals = coloured(rng, n_time=n_time, n_series=3, exponent=exponent, t_r=t_r, band_hz=BAND)
        series = np.sqrt(1 - abs(r)) * signals[:, :2] + np.sqrt(abs(r)) * signals[:, 2:] * [1, np.sign(r)]
        series = 1000 + series + 0.02 * confounds @ rng.standard_normal((12, 2))
        series[~keep] += 50
        pair = project(basis, series, keep=keep)
        d = effective_dimension(pair, laws=laws)
        found.append((float(fisher_z(correlation(pair)[0, 1])), d))
    return np.array(found)


# many seeds


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_many_seeds_in_one_product(rng, dtype, tolerance):
    projected = (5 * rng.standard_normal((40, 200))).astype(dtype)
    seeds = rng.standard_normal((40, 3)) + projected[:, :3]
    projected[:, 7], projected[2, 9] = 0, np.nan
    for array in (seeds, projected):
        array.setflags(write=False)
    found = seed_correlation(seeds, projected=projected)
    expected = [[uncentred_r(seed, voxel) for voxel in projected.T.astype(float)] for seed in seeds.T]
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert found.dtype == dtype
    assert np.flatnonzero(np.isnan(found).any(axis=0)).tolist() == [7, 9]
    np.testing.assert_allclose(seed_correlation(seeds[:, 1], projected=projected), found[1], atol=tolerance)


def test_a_seed_of_nan_spoils_only_its_own_map(rng):
    projected = rng.standard_normal((30, 50)).astype(np.float32)
    seeds = rng.standard_normal((30, 2))
    expected = seed_correlation(seeds, projected=projected)
    seeds[3, 0] = np.nan
    found = seed_correlation(seeds, projected=projected)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], expected[1])


def test_single_precision_of_z():
    assert fisher_z(np.array([0.6], dtype=np.float32)).dtype == np.float32
    assert fisher_z(np.array([0.6], dtype=np.float32)) == pytest.approx([0.6931472], abs=1e-6)
    assert fisher_z(1).dtype == np.float64


def test_fisher_z_of_single_precision_is_as_exact_as_its_r() -> None:
    ends = 1 - np.logspace(-7, 0, 500)
    r = np.concatenate([np.linspace(-1, 1, 20_001)[1:-1], ends, -ends, np.logspace(-12, -1, 500)]).astype(np.float32)
    r = r[np.abs(r) < 1]
    exact = np.arctanh(r.astype(np.float64))
    assert np.abs(fisher_z(r) - exact).max() > 0
    assert np.all(np.abs(fisher_z(r) - exact) <= 1e-7 * (1 + np.abs(exact)))
    turned = r[: len(r) // 2 * 2].reshape(2, -1)[:, ::2].T
    np.testing.assert_array_equal(fisher_z(turned), fisher_z(turned.copy()))
    limits = fisher_z(np.array([1, -1, 1.5, np.nan], dtype=np.float32))
    np.testing.assert_array_equal(limits, [np.inf, -np.inf, np.nan, np.nan])


# triangles


def test_triangle_by_hand():
    matrix = np.array([[1, 2, 3], [2, 1, 4], [3, 4, 1]])
    assert pack_triangle(matrix).tolist() == [2, 3, 4]
    assert unpack_triangle(np.array([2, 3, 4]), diagonal=1).tolist() == matrix.tolist()


def test_triangle_keeps_leading_axes_and_type(rng):
    packed = rng.standard_normal((2, 5, 10)).astype(np.float32)
    matrix = unpack_triangle(packed, diagonal=np.nan)
    assert (matrix.shape, matrix.dtype) == ((2, 5, 5, 5), np.float32)
    np.testing.assert_array_equal(pack_triangle(matrix), packed)
    np.testing.assert_array_equal(matrix, np.swapaxes(matrix, -1, -2))


def test_triangle_refuses_other_shapes():
    with pytest.raises(InputError, match=r"must be square in its last two axes; got shape \(2, 3\)"):
        pack_triangle(np.ones((2, 3)))
    with pytest.raises(InputError, match=r"n \(n - 1\) / 2 entries; got 4"):
        unpack_triangle(np.ones(4), diagonal=1)


# shrinkage and partial correlation


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(60, 8), (12, 30), (5, 2)])
def test_shrinkage_agrees_with_its_definition_and_with_scikit_learn(seed, shape):
    from sklearn.covariance import ledoit_wolf as theirs

    rng = np.random.default_rng(seed)
    series = rng.standard_normal(shape) @ rng.standard_normal((shape[1],) * 2) + 0.5
    covariance, shrinkage = ledoit_wolf(series)
    expected, expected_shrinkage = theirs(series, assume_centered=True)
    np.testing.assert_allclose(covariance, expected, rtol=1e-10, atol=1e-10)
    assert float(shrinkage) == pytest.approx(expected_shrinkage, abs=1e-10)
    slow, slow_shrinkage = slow_ledoit_wolf(series)
    np.testing.assert_allclose(covariance, slow, rtol=1e-10, atol=1e-10)
    assert float(shrinkage) == pytest.approx(slow_shrinkage, abs=1e-10)


def test_nothing_to_shrink():
    covariance, shrinkage = ledoit_wolf(2 * np.eye(3))
    np.testing.assert_allclose(covariance, 4 / 3 * np.eye(3))
    assert float(shrinkage) == 0


@pytest.mark.parametrize("seed", range(10))
def test_partial_correlation_agrees_with_regression_and_with_scikit_learn(seed):
    from sklearn.covariance import LedoitWolf

    rng = np.random.default_rng(seed)
    projected = rng.standard_normal((50, 6)) @ rng.standard_normal((6, 6)) * 10.0 ** rng.integers(-3, 4, 6)
    found, shrinkage = partial_correlation(projected)
    scaled = projected / np.sqrt(np.mean(projected**2, axis=0))
    peer = LedoitWolf(assume_centered=True).fit(scaled)
    np.testing.assert_allclose(found, slow_partial(peer.covariance_), atol=1e-10)
    precision = peer.precision_
    expected = -precision / np.sqrt(np.outer(np.diag(precision), np.diag(precision)))
    np.testing.assert_allclose(found - np.diag(np.diag(found)), expected - np.diag(np.diag(expected)), atol=1e-10)
    assert float(shrinkage) == pytest.approx(peer.shrinkage_, abs=1e-10)
    np.testing.assert_array_equal(np.diag(found), 1)


def test_partial_correlation_against_nilearn(rng):
    from nilearn.connectome import ConnectivityMeasure
    from sklearn.covariance import LedoitWolf

    series = rng.standard_normal((80, 7)) @ rng.standard_normal((7, 7))
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    measure = ConnectivityMeasure(LedoitWolf(assume_centered=True), kind="partial correlation", standardize=False)
    theirs = measure.fit_transform([series])[0]
    np.testing.assert_allclose(pack_triangle(partial_correlation(series)[0]), pack_triangle(theirs), atol=1e-10)


def test_correlation_against_nilearn(rng):
    from nilearn.connectome import ConnectivityMeasure
    from sklearn.covariance import EmpiricalCovariance

    keep = np.ones(120, dtype=bool)
    basis = residual_basis(rng.standard_normal((120, 6)), t_r=2.0, band_hz=BAND, polynomial=1, keep=keep)
    projected = project(basis, 1000 + rng.standard_normal((120, 7)), keep=keep)
    measure = ConnectivityMeasure(EmpiricalCovariance(), kind="correlation", standardize=False)
    theirs = measure.fit_transform([cleaned(basis, projected, keep=keep)])[0]
    np.testing.assert_allclose(correlation(projected), theirs, atol=1e-10)


def test_partial_correlation_recovers_a_chain(rng):
    """x -> y -> z: the ends correlate, but not given the middle; shrinkage pulls towards 0 and vanishes with data."""
    x = rng.standard_normal(20_000)
    y = x + rng.standard_normal(20_000)
    z = y + rng.standard_normal(20_000)
    found, shrinkage = partial_correlation(np.column_stack([x, y, z]))
    assert correlation(np.column_stack([x, y, z]))[0, 2] == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert found[0, 2] == pytest.approx(0, abs=0.02)
    assert found[0, 1] == pytest.approx(1 / 2, abs=0.02)
    assert shrinkage < 0.001
    few, more = partial_correlation(np.column_stack([x, y, z])[:15])
    assert more > 0.01
    assert np.abs(pack_triangle(few)).max() < 1


def test_partial_correlation_leaves_bad_series_out(rng):
    projected = rng.standard_normal((40, 5))
    spoilt = projected.copy()
    spoilt[3, 1], spoilt[:, 4] = np.nan, 0
    found, shrinkage = partial_correlation(spoilt)
    good = [0, 2, 3]
    expected, expected_shrinkage = partial_correlation(projected[:, good])
    np.testing.assert_allclose(found[np.ix_(good, good)], expected, atol=1e-12)
    assert np.isnan(found[[1, 4]]).all()
    assert float(shrinkage) == pytest.approx(float(expected_shrinkage))
    nothing, none = partial_correlation(spoilt[:, [0, 1, 4]])
    assert np.isnan(nothing).all()
    assert np.isnan(none)


def test_leading_axes(rng):
    projected = rng.standard_normal((2, 3, 20, 4))
    np.testing.assert_allclose(correlation(projected)[1, 2], correlation(projected[1, 2]), atol=1e-12)
    partial, shrinkage = partial_correlation(projected)
    np.testing.assert_allclose(partial[1, 2], partial_correlation(projected[1, 2])[0], atol=1e-12)
    assert shrinkage.shape == (2, 3)


# errors of means of dependent z


def mean_edge(projected: np.ndarray) -> np.ndarray:
    return fisher_z(pack_triangle(correlation(projected))).mean(axis=-1)


def first_edge(projected: np.ndarray) -> np.ndarray:
    return fisher_z(correlation(projected)[..., 0, 1])


def test_jackknife_agrees_with_a_loop(rng):
    projected = rng.standard_normal((25, 4))
    se, dimension = jackknife(mean_edge, projected)
    assert float(se) == pytest.approx(slow_jackknife(mean_edge, projected), rel=1e-10)
    assert 1 < dimension < 25
    assert jackknife_se(lambda y: partial_correlation(y)[0], projected).shape == (4, 4)
    with pytest.raises(InputError, match="what `statistic` returns` must have 25 entries"):
        jackknife(lambda y: np.zeros(3), projected)


def test_jackknife_of_a_mean_by_hand():
    # the textbook case: the error of a mean is s / sqrt(n); of 1, 2, 3, 6 it is sqrt(14 / 3 / 4)
    se, dimension = jackknife(lambda y: y.mean(axis=(-2, -1)), np.array([[1.0], [2], [3], [6]]))
    assert float(se) == pytest.approx(np.sqrt(14 / 12))
    # squared deviations 4, 1, 0, 9: 14^2 / (16 + 1 + 81) = 2, and (9 * 2 - 8) / 4
    assert float(dimension) == pytest.approx(2.5)


@pytest.mark.parametrize("seed", range(5))
def test_error_of_a_mean_of_z_agrees_with_all_covariances(seed):
    rng = np.random.default_rng(seed)
    r = correlation(rng.standard_normal((30, 5)) + rng.standard_normal((30, 1)))
    weights = rng.uniform(0, 1, (5, 5))
    weights = weights + weights.T
    edges = list(zip(*np.triu_indices(5, k=1), strict=True))
    share = pack_triangle(weights) / pack_triangle(weights).sum()
    covariance = np.array([[slow_z_covariance(r, one, other) for other in edges] for one in edges])
    expected = np.sqrt(share @ covariance @ share / (42 - 2))
    assert float(mean_z_se(r, weights=weights, dimension=42)) == pytest.approx(expected, rel=1e-10)


def test_error_of_one_z_in_two_networks_at_once(rng):
    r = correlation(rng.standard_normal((30, 4)))
    weights = np.zeros((2, 4, 4))
    weights[0, 0, 1] = weights[0, 1, 0] = 3.0
    found = mean_z_se(r, weights=weights, dimension=27)
    assert found[0] == pytest.approx(float(fisher_z_se(27)))
    assert np.isnan(found[1])


def test_error_of_a_mean_leaves_out_what_has_no_z(rng):
    projected = rng.standard_normal((30, 5))
    projected[:, 4] = np.nan
    found = mean_z_se(correlation(projected), weights=np.ones((5, 5)), dimension=27)
    assert found == pytest.approx(
        float(mean_z_se(correlation(projected[:, :4]), weights=np.ones((4, 4)), dimension=27))
    )


N_SEEDS = 1000


def drawn_network(exponent: float, r: float, *, d: int = 60, n_series: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and coordinates (n_seed, d, n_series) of series of equal correlation and the spectrum f^-exponent."""
    rng = np.random.default_rng(int(100 * exponent + 10 * r))
    f = np.linspace(*BAND, d)
    own, shared = rng.standard_normal((N_SEEDS, d, n_series)), rng.standard_normal((N_SEEDS, d, 1))
    return f, (np.sqrt(1 - r) * own + np.sqrt(r) * shared) * (f ** (-exponent / 2))[:, None]


def covered(error: np.ndarray, se: np.ndarray, dimension: np.ndarray) -> float:
    return float(np.mean(np.abs(error) < student.ppf(0.975, dimension) * se))


@pytest.mark.parametrize("exponent", [0, 1])
@pytest.mark.parametrize("r", [0.0, 0.4])
def test_intervals_of_a_mean_over_ten_nodes_and_of_one_edge(exponent, r):
    """1000 people: the jackknife in coordinates of frequency is honest for white and for falling spectra."""
    _, networks = drawn_network(exponent, r)
    for statistic in (mean_edge, first_edge):
        se, dimension = np.array([jackknife(statistic, each) for each in networks]).T
        error = statistic(networks) - np.arctanh(r)
        assert np.sqrt(np.mean(se**2)) == pytest.approx(error.std(), rel=0.1)
        assert 0.92 <= covered(error, se, dimension) <= 0.975


@pytest.mark.parametrize("exponent", [0, 1])
@pytest.mark.parametrize("r", [0.0, 0.4])
def test_intervals_of_a_mean_from_the_formula(exponent, r):
    f, networks = drawn_network(exponent, r)
    networks = networks[:400]
    laws = power_laws(np.eye(60), frequencies_hz=f)
    d = np.array([network_dimension(each, laws=laws) for each in networks])
    se = np.array(
        [
            mean_z_se(correlation(each), weights=np.ones((10, 10)), dimension=n)
            for each, n in zip(networks, d, strict=True)
        ]
    )
    error = mean_edge(networks) - np.arctanh(r)
    share = f**-exponent / np.sum(f**-exponent)
    assert d.mean() == pytest.approx(1 / np.sum(share**2), rel=0.05)
    assert np.sqrt(np.mean(se**2)) == pytest.approx(error.std(), rel=0.1)
    assert 0.925 <= covered(error, se, d - 2) <= 0.98


def test_power_laws_against_their_covariances(rng):
    """What is kept of the covariances must give likelihoods and traces of the covariances themselves."""
    gain, f = rng.standard_normal((12, 30)), np.linspace(*BAND, 30)
    laws, series = power_laws(gain, frequencies_hz=f), rng.standard_normal((12, 4))
    models = [gain @ np.diag(f**-b) @ gain.T for b in EXPONENTS]
    models = [each / np.trace(each) + 1e-6 * np.eye(12) / 12 for each in models]
    density = [
        [-0.5 * (np.linalg.slogdet(m)[1] + 12 * np.log(y @ np.linalg.solve(m, y))) for y in series.T] for m in models
    ]
    expected = np.exp(np.array(density) - np.max(density, axis=0))
    np.testing.assert_allclose(likelihood(series, laws=laws), expected / expected.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(laws.traces, [[np.trace(a @ b) for b in models] for a in models], rtol=1e-9)


def test_dimension_of_a_seed_is_that_of_its_pairs(rng):
    """One over the mean of the traces of the products, which uncorrelated pairs have."""
    f = np.linspace(*BAND, 40)
    laws = power_laws(np.eye(40), frequencies_hz=f)
    series = rng.standard_normal((40, 5)) * np.linspace(3, 0.5, 40)[:, None]
    weight = likelihood(series / np.linalg.norm(series, axis=0), laws=laws)
    covariance = np.array([f**-b / np.sum(f**-b) for b in EXPONENTS]).T @ weight
    expected = 1 / np.mean(covariance[:, 0] @ covariance[:, 1:])
    spoilt = np.column_stack([series[:, 1:], np.full(40, np.nan), np.zeros(40)])
    assert seed_dimension(series[:, 0], projected=spoilt, laws=laws) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(seed_dimension(np.full(40, np.nan), projected=series, laws=laws))
    assert np.isnan(seed_dimension(series[:, 0], projected=spoilt[:, 4:], laws=laws))


def test_dimension_of_a_network_leaves_bad_series_out(rng):
    series = rng.standard_normal((40, 5))
    spoilt = np.column_stack([series, np.full(40, np.nan), np.zeros(40)])
    assert network_dimension(spoilt, **white_gain(40)) == network_dimension(series, **white_gain(40))
    assert np.isnan(network_dimension(spoilt[:, 5:], **white_gain(40)))


# plain time series


@pytest.mark.parametrize("seed", range(5))
def test_dimension_of_plain_series_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    x, y = lfilter([1], [1, -0.8], rng.standard_normal((2, 120)) + 0.7 * rng.standard_normal(120))
    expected = 2 + 1 / slow_autocorrelated_variance(x, y)
    assert float(autocorrelated_dimension(x + 1000, 3 * y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "r", "least"),
    [(0, 0, 0.0, 0.94), (0.4, 0.4, 0.5, 0.93), (0.8, 0.0, 0.0, 0.94), (0.7, 0.7, 0.0, 0.93), (0.7, 0.7, 0.5, 0.92)],
)
def test_intervals_of_autoregressive_series(first, second, r, least):
    """z of two AR(1) processes of 300 volumes, 3000 pairs; the naive error covers as little as three quarters."""
    innovations = np.random.default_rng(8).standard_normal((2, 400, 3000))
    innovations[1] = r * innovations[0] + np.sqrt(1 - r**2) * innovations[1]
    x, y = (lfilter([1], [1, -a], e, axis=0)[100:] for a, e in zip((first, second), innovations, strict=True))
    dimension = autocorrelated_dimension(x, y)
    centred = np.stack([x - x.mean(axis=0), y - y.mean(axis=0)], axis=-1)
    z = fisher_z(correlation(np.moveaxis(centred, 1, 0))[:, 0, 1])
    assert least <= covered(z - np.arctanh(r), fisher_z_se(dimension), dimension - 2) <= 0.965
    if first == second == 0.7:
        assert np.mean(np.abs(z - np.arctanh(r)) < 1.96 / np.sqrt(297)) < 0.8


def test_dimension_of_plain_series_that_are_constant_or_missing(rng):
    x = rng.standard_normal((50, 3))
    y = rng.standard_normal((50, 3))
    y[:, 1], y[4, 2] = 7.0, np.nan
    found = autocorrelated_dimension(x, y)
    assert np.isnan(found).tolist() == [False, True, True]
    assert found[0] == float(autocorrelated_dimension(x[:, 0], y[:, 0]))
    with pytest.raises(InputError, match="`second` must have 50 entries"):
        autocorrelated_dimension(x, y[1:])
