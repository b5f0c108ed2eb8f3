"""QC-FC: how strongly head motion still goes with connectivity over people, edge by edge, after cleaning."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_finite, check_length

Array = NDArray[np.float64]


def residuals(values: ArrayLike, *, covariates: ArrayLike) -> Array:
    """Return what a least-squares fit of the constant and the covariates leaves of every column.

    Parameters
    ----------
    values : (n_person, n_column)
        NaN where unknown; a column is fitted on the people it is known for.
    covariates : (n_person, n_covariate)
        Finite; ``n_covariate`` may be 0, then the mean is removed.

    Returns
    -------
    (n_person, n_column) float64
        NaN where ``values`` are, and throughout a column known for too few people to fit.

    Raises
    ------
    InputError
        If the numbers of people differ, or a covariate is not finite.
    """
    y = np.asarray(values, dtype=np.float64)
    given = np.asarray(covariates, dtype=np.float64)
    check_length("covariates", given, expected=len(y))
    check_finite("covariates", given)
    spread = np.std(given, axis=0, ddof=0)
    design = np.column_stack([np.ones(len(y)), (given - given.mean(axis=0)) / np.where(spread > 0, spread, 1)])
    known = np.isfinite(y)
    filled = np.where(known, y, 0.0)
    squares = np.einsum("ie,ip,iq->epq", known.astype(np.float64), design, design, optimize=True)
    fit = np.linalg.pinv(squares, hermitian=True) @ (design.T @ filled).T[..., None]
    left = y - design @ fit[..., 0].T
    # what the fit explains wholly leaves rounding, which must not pass for variation
    explained = np.sum(np.where(known, left, 0.0) ** 2, axis=0) <= 1e-20 * np.sum(filled**2, axis=0)
    left = np.where(known & explained, 0.0, left)
    return np.where(known.sum(axis=0) > design.shape[1], left, np.nan)


def edge_correlation(quality: ArrayLike, *, edges: ArrayLike) -> Array:
    """Return Pearson's r over people of a quality measure with every edge.

    Parameters
    ----------
    quality : (..., n_person)
        For example mean framewise displacement, or permutations of it; finite.
    edges : (n_person, n_edge)
        Fisher z of every edge; NaN where a person has none, who is then left out of that edge alone.

    Returns
    -------
    (..., n_edge) float64
        In [-1, 1]; NaN for an edge or quality that does not vary.
    """
    x, y = np.asarray(quality, dtype=np.float64), np.asarray(edges, dtype=np.float64)
    check_length("edges", y, expected=x.shape[-1])
    check_finite("quality", x)
    return _from_sums(_sums(x - x.mean(axis=-1, keepdims=True), y - _known_mean(y)))


def left_out_correlation(quality: ArrayLike, *, edges: ArrayLike, people: slice = slice(None)) -> Array:
    """Return the correlations of :func:`edge_correlation` without each person in turn.

    Parameters
    ----------
    quality : (n_person,)
    edges : (n_person, n_edge)
    people
        Which people are left out in turn; a large cohort is taken piece by piece.

    Returns
    -------
    (n_left_out, n_edge) float64
        Row i is without person i: the sums over everyone less those of the person, so that nothing is summed twice.
    """
    x, y = np.asarray(quality, dtype=np.float64), np.asarray(edges, dtype=np.float64)
    check_length("edges", y, expected=len(x))
    check_finite("quality", x)
    x, y = x - x.mean(), y - _known_mean(y)
    known, filled, own = np.isfinite(y[people]), np.nan_to_num(y[people]), x[people, None]
    parts = (known, known * own, filled, known * own**2, filled**2, filled * own)
    return _from_sums(tuple(total - part for total, part in zip(_sums(x, y), parts, strict=True)))


def _known_mean(edges: Array) -> Array:
    """Return the mean of every column over the people that have it, 0 where nobody has."""
    known = np.isfinite(edges)
    total = np.where(known, edges, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1))


def _sums(x: Array, y: Array) -> tuple[Array, ...]:
    """Return n, and the sums of x, y, x^2, y^2 and xy over the people known in each edge."""
    known = np.isfinite(y).astype(np.float64)
    filled = np.nan_to_num(y)
    ones = np.ones_like(x)
    return ones @ known, x @ known, ones @ filled, x**2 @ known, ones @ filled**2, x @ filled


def _from_sums(sums: tuple[Array, ...]) -> Array:
    n, x, y, xx, yy, xy = (np.asarray(each, dtype=np.float64) for each in sums)
    n = np.where(n > 2, n, np.nan)
    spread_x, spread_y = xx - x**2 / n, yy - y**2 / n
    # a constant leaves only rounding of the sums
    varies = (spread_x > 1e-12 * np.maximum(xx, 1e-300)) & (spread_y > 1e-12 * np.maximum(yy, 1e-300))
    product = np.where(varies, spread_x * spread_y, np.nan)
    return np.asarray(np.clip((xy - x * y / n) / np.sqrt(product), -1, 1))


def two_sided_p(r: ArrayLike, *, dof: ArrayLike) -> Array:
    """Return the two-sided p-value of a correlation under no relation.

    ``r^2`` of normal data follows Beta(1/2, dof/2), so that ``p = I_(1 - r^2)(dof/2, 1/2)``, Student's t-test of r.

    Parameters
    ----------
    r : array
    dof : array or number
        People - 2 - covariates; NaN comes out where it is not above 0.
    """
    from scipy.special import betainc

    r, dof = np.asarray(r, dtype=np.float64), np.asarray(dof, dtype=np.float64)
    return np.asarray(betainc(np.where(dof > 0, dof, np.nan) / 2, 0.5, np.clip(1 - r**2, 0, 1)))


def null_median(dof: ArrayLike) -> Array:
    """Return the median of ``|r|`` that is expected under no relation: the root of the median of Beta(1/2, dof/2)."""
    from scipy.special import betaincinv

    dof = np.asarray(dof, dtype=np.float64)
    return np.asarray(np.sqrt(betaincinv(0.5, np.where(dof > 0, dof, np.nan) / 2, 0.5)))


def false_discovery(p: ArrayLike) -> Array:
    """Return the p-values adjusted for the false discovery rate of Benjamini and Hochberg (1995).

    ``min over j >= rank of p_(j) m / j`` (10.1111/j.2517-6161.1995.tb02031.x); ``m`` counts the p-values that are not
    NaN, NaN stays NaN.

    Parameters
    ----------
    p : (n,)
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return adjusted


def distance_dependence(r: ArrayLike, *, distance: ArrayLike) -> tuple[Array, Array]:
    """Return how QC-FC changes with the distance between the nodes: least-squares slope and Spearman's rho.

    Parameters
    ----------
    r : (..., n_edge)
        NaN edges, which must be the same in all rows, are left out.
    distance : (n_edge,)
        Between the centres of the two nodes (mm); NaN is left out.

    Returns
    -------
    slope : (...) float64
        Change of r per unit of distance; NaN with fewer than three edges or without any variation.
    spearman : (...) float64
        Pearson's r of the ranks, ties at their mean rank.

    Raises
    ------
    InputError
        If the numbers of edges differ.
    """
    values, apart = np.asarray(r, dtype=np.float64), np.asarray(distance, dtype=np.float64)
    check_length("distance", apart, expected=values.shape[-1])
    known = np.isfinite(values).all(axis=tuple(range(values.ndim - 1))) & np.isfinite(apart)
    if known.sum() < 3:
        return np.full(values.shape[:-1], np.nan), np.full(values.shape[:-1], np.nan)
    values, apart = values[..., known], apart[known]
    centred = apart - apart.mean()
    energy = float(centred @ centred)
    slope = (values - values.mean(axis=-1, keepdims=True)) @ centred / (energy if energy > 0 else np.nan)
    return np.asarray(slope), edge_correlation(ranks(values), edges=ranks(apart)[:, None])[..., 0]


def ranks(values: ArrayLike) -> Array:
    """Return the ranks (1 is the lowest) along the last axis, ties at their mean rank; InputError if not finite.

    Parameters
    ----------
    values : (..., n)
    """
    given = np.asarray(values, dtype=np.float64)
    check_finite("values", given)
    order = np.argsort(given, axis=-1)  # not stable: the order within a tie does not matter
    ordered = np.take_along_axis(given, order, axis=-1)
    begins = np.ones(given.shape, dtype=bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    tie = np.cumsum(begins.ravel()) - 1  # a row always begins a new tie, so that rows share none
    place = np.broadcast_to(np.arange(1.0, given.shape[-1] + 1), given.shape)
    mean = np.bincount(tie, weights=place.ravel()) / np.bincount(tie)
    found = np.empty_like(given)
    np.put_along_axis(found, order, mean[tie].reshape(given.shape), axis=-1)
    return found


def jackknife_error(left_out: ArrayLike) -> Array:
    """Return the delete-one jackknife standard error of a statistic over people.

    ``sqrt((n - 1) / n sum (t_i - mean t)^2)``.

    Parameters
    ----------
    left_out : (n_person, ...)
        The statistic without each person.

    Raises
    ------
    InputError
        If there are fewer than two people.
    """
    values = np.asarray(left_out, dtype=np.float64)
    if len(values) < 2:
        raise InputError(f"`left_out` must have one row for each of two or more people; got shape {values.shape}.")
    return np.asarray(np.sqrt((len(values) - 1) / len(values) * np.sum((values - values.mean(axis=0)) ** 2, axis=0)))
