"""QC-FC: against plain loops, scipy and statsmodels; what no relation gives; what a planted one gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lbpneuro.errors import InputError
from lbpneuro.kernels import qcfc
from tests.oracles.qcfc import partial_correlation, without_each

N_PERSON, N_EDGE = 24, 40


@pytest.fixture
def cohort(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion, Fisher z of every edge, and two covariates, all of them related."""
    covariates = np.column_stack([rng.uniform(20, 70, N_PERSON), rng.integers(0, 2, N_PERSON)])
    motion = rng.lognormal(-2, 0.4, N_PERSON) + 0.001 * covariates[:, 0]
    edges = rng.standard_normal((N_PERSON, N_EDGE)) + 2 * motion[:, None] + 0.02 * covariates[:, :1]
    return motion, edges, covariates


def test_correlation_by_hand() -> None:
    # x: -1, 0, 1; y: -1, 2, -1 is uncorrelated, 0, 1, 5 gives 5 / sqrt(2 * 14)
    edges = np.array([[-1.0, 0.0, 7.0], [2.0, 1.0, 7.0], [-1.0, 5.0, 7.0]])
    found = qcfc.edge_correlation([1.0, 2.0, 3.0], edges=edges)
    np.testing.assert_allclose(found, [0, 5 / np.sqrt(28), np.nan], atol=1e-15)


def test_correlation_is_that_of_each_edge_alone(cohort) -> None:
    motion, edges, _ = cohort
    edges[3, 5] = edges[7, 5] = np.nan
    known = np.isfinite(edges)
    expected = [stats.pearsonr(motion[keep], edge[keep]).statistic for edge, keep in zip(edges.T, known.T, strict=True)]
    np.testing.assert_allclose(qcfc.edge_correlation(motion, edges=edges), expected, atol=1e-13)


def test_many_qualities_at_once_are_each_alone(cohort, rng: np.random.Generator) -> None:
    motion, edges, _ = cohort
    edges[2, 4] = np.nan
    shuffled = np.array([rng.permutation(motion) for _ in range(3)])
    expected = [qcfc.edge_correlation(each, edges=edges) for each in shuffled]
    np.testing.assert_allclose(qcfc.edge_correlation(shuffled, edges=edges), expected, atol=1e-14)


def test_residuals_give_the_partial_correlation(cohort) -> None:
    motion, edges, covariates = cohort
    left = qcfc.residuals(motion[:, None], covariates=covariates)[:, 0]
    found = qcfc.edge_correlation(left, edges=qcfc.residuals(edges, covariates=covariates))
    expected = [partial_correlation(motion, edge, covariates) for edge in edges.T]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_residuals_are_fitted_on_the_people_with_a_value(cohort) -> None:
    _, edges, covariates = cohort
    edges[:6, 0] = np.nan
    left = qcfc.residuals(edges, covariates=covariates)
    design = np.column_stack([np.ones(N_PERSON - 6), covariates[6:]])
    expected = edges[6:, 0] - design @ np.linalg.lstsq(design, edges[6:, 0], rcond=None)[0]
    np.testing.assert_allclose(left[6:, 0], expected, atol=1e-12)
    assert np.isnan(left[:6, 0]).all()
    assert np.isfinite(left[:, 1:]).all()


def test_residuals_without_covariates_are_centred_and_of_the_explained_zero(cohort) -> None:
    _, edges, covariates = cohort
    none = np.empty((N_PERSON, 0))
    np.testing.assert_allclose(qcfc.residuals(edges, covariates=none), edges - edges.mean(axis=0), atol=1e-13)
    explained = 0.1 + 3 * covariates[:, :1]
    left = qcfc.residuals(explained, covariates=covariates)
    assert np.all(left == 0)
    assert np.isnan(qcfc.edge_correlation(edges[:, 0], edges=left)).all()


def test_residuals_of_too_few_people_are_unknown(cohort) -> None:
    _, edges, covariates = cohort
    edges[3:, 2] = np.nan
    assert np.isnan(qcfc.residuals(edges, covariates=covariates)[:, 2]).all()


def test_each_person_left_out(cohort) -> None:
    motion, edges, _ = cohort
    expected = without_each(motion, edges)
    np.testing.assert_allclose(qcfc.left_out_correlation(motion, edges=edges), expected, atol=1e-12)
    piece = qcfc.left_out_correlation(motion, edges=edges, people=slice(4, 9))
    np.testing.assert_allclose(piece, expected[4:9], atol=1e-12)


def test_leaving_out_who_has_no_value_changes_nothing(cohort) -> None:
    motion, edges, _ = cohort
    edges[3, 0] = np.nan
    found = qcfc.left_out_correlation(motion, edges=edges)
    assert found[3, 0] == pytest.approx(qcfc.edge_correlation(motion, edges=edges)[0], abs=1e-13)


def test_p_values_are_those_of_scipy(cohort) -> None:
    motion, edges, _ = cohort
    r = qcfc.edge_correlation(motion, edges=edges)
    expected = [stats.pearsonr(motion, edge).pvalue for edge in edges.T]
    np.testing.assert_allclose(qcfc.two_sided_p(r, dof=N_PERSON - 2), expected, rtol=1e-9)
    assert np.isnan(qcfc.two_sided_p(0.3, dof=0))


def test_expected_median_under_no_relation(rng: np.random.Generator) -> None:
    t = stats.t.ppf(0.75, 39)
    assert qcfc.null_median(39) == pytest.approx(t / np.sqrt(39 + t**2), rel=1e-9)
    drawn = np.abs(qcfc.edge_correlation(rng.standard_normal(41), edges=rng.standard_normal((41, 20000))))
    assert np.median(drawn) == pytest.approx(float(qcfc.null_median(39)), abs=0.002)


def test_false_discovery_is_that_of_statsmodels(rng: np.random.Generator) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.append(rng.uniform(0, 1, 200) ** 3, [0.5, 0.5, 1.0])
    np.testing.assert_allclose(qcfc.false_discovery(p), multitest.multipletests(p, method="fdr_bh")[1], rtol=1e-12)
    # 0.01 * 3 / 1, 0.02 * 3 / 2, 0.5: by hand, the unknown one not counted
    np.testing.assert_allclose(qcfc.false_discovery([0.5, 0.01, np.nan, 0.02]), [0.5, 0.03, np.nan, 0.03])


def test_distance_dependence_is_that_of_scipy(rng: np.random.Generator) -> None:
    distance = np.round(rng.uniform(5, 150, 300))  # with ties
    r = 0.2 - 0.001 * distance + 0.05 * rng.standard_normal((3, 300))
    slope, rho = qcfc.distance_dependence(r, distance=distance)
    np.testing.assert_allclose(slope, [stats.linregress(distance, row).slope for row in r], rtol=1e-9)
    np.testing.assert_allclose(rho, [stats.spearmanr(distance, row).statistic for row in r], atol=1e-12)
    r[:, 7] = np.nan
    distance[11] = np.nan
    keep = np.delete(np.arange(300), [7, 11])
    expected = qcfc.distance_dependence(r[:, keep], distance=distance[keep])
    np.testing.assert_allclose(qcfc.distance_dependence(r, distance=distance), expected)
    assert np.isnan(qcfc.distance_dependence([0.1, 0.2, np.nan], distance=[1.0, 2.0, 3.0])).all()


def test_ranks_with_ties_are_those_of_scipy(rng: np.random.Generator) -> None:
    values = rng.integers(0, 6, (4, 2, 30)).astype(float)
    np.testing.assert_array_equal(qcfc.ranks(values), stats.rankdata(values, axis=-1))


def test_jackknife_error_of_a_mean_is_the_standard_error(rng: np.random.Generator) -> None:
    values = rng.standard_normal((15, 3))
    left_out = (values.sum(axis=0) - values) / 14
    np.testing.assert_allclose(qcfc.jackknife_error(left_out), stats.sem(values, axis=0), rtol=1e-12)


def test_what_does_not_fit_is_refused(cohort) -> None:
    motion, edges, covariates = cohort
    with pytest.raises(InputError, match="edges"):
        qcfc.edge_correlation(motion[1:], edges=edges)
    with pytest.raises(InputError, match="covariates"):
        qcfc.residuals(edges, covariates=covariates[1:])
    with pytest.raises(InputError, match="distance"):
        qcfc.distance_dependence(np.zeros(4), distance=np.zeros(3))
    with pytest.raises(InputError, match="two or more"):
        qcfc.jackknife_error(np.zeros((1, 3)))


def test_the_error_of_the_median_is_not_too_small() -> None:
    """Over 300 cohorts whose edges share 15 sources: the interval of the jackknife holds the mean of the medians."""
    rng = np.random.default_rng(20210709)
    loads = 0.5 * rng.standard_normal((15, 300))
    medians, errors = [], []
    for _ in range(300):
        motion = rng.lognormal(-2, 0.5, 30)
        planted = 0.4 * stats.zscore(motion)[:, None]
        edges = rng.standard_normal((30, 15)) @ loads + rng.standard_normal((30, 300)) + planted
        medians.append(np.median(np.abs(qcfc.edge_correlation(motion, edges=edges))))
        without = np.median(np.abs(qcfc.left_out_correlation(motion, edges=edges)), axis=1)
        errors.append(qcfc.jackknife_error(without))
    medians, errors = np.array(medians), np.array(errors)
    assert np.mean(np.abs(medians - medians.mean()) < 1.96 * errors) >= 0.95
    assert medians.mean() > 1.5 * qcfc.null_median(28)
