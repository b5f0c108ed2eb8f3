"""Sliding windows: correlation in each, the states that windows fall into, and how those follow each other in time.

Windows are indexed along the first axis. A window that cannot be used (too much of it censored, a series that is NaN)
is NaN, its label is ``NO_STATE``, and it is a gap: nothing is counted across it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels._checks import as_mask, check_length, check_option, check_positive

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

NO_STATE = -1
METRICS = ("cityblock", "euclidean")
TAIL_SIGMAS = 4  # beyond, the taper is below 1e-4
CENSORED_MAX = 0.2
VARIES = 1e-10  # least share of a series' energy in a window that is variation and not rounding
ITERATIONS = 300
DIMENSION_MIN = 3.0  # of a window; its Fisher z has no finite variance at 2


def taper(n: int, *, sigma: float) -> Array:
    """Return the window of dynamic connectivity: a rectangle convolved with a Gaussian, scaled to a maximum of 1.

    ``w_t = sum_{s=1..n} exp(-(t - s)^2 / (2 sigma^2)) / max``, the window of Allen et al. (2014,
    10.1093/cercor/bhs352) as GIFT computes it, its tails cut at 4 ``sigma``.

    Parameters
    ----------
    n : int
        Width of the rectangle (volumes), at least 1.
    sigma : float
        Of the Gaussian (volumes); 0 gives the rectangle.

    Returns
    -------
    (n + 2 ceil(4 sigma),) float64
        Symmetric; the rectangle reaches from entry ``ceil(4 sigma)`` on.
    """
    check_positive("n", n)
    if sigma == 0:
        return np.ones(n)
    check_positive("sigma", sigma)
    tail = int(np.ceil(TAIL_SIGMAS * sigma))
    gaussian = np.exp(-0.5 * (np.arange(-tail, tail + 1) / sigma) ** 2)
    whole = np.convolve(np.ones(n), gaussian)
    return np.asarray(whole / whole.max())


def window_volumes(*, t_r: float, volumes_min: int, seconds_min: float) -> int:
    """Return the width of a window (volumes): ``max(volumes_min, ceil(seconds_min / t_r))``."""
    check_positive("t_r", t_r)
    return max(volumes_min, int(np.ceil(seconds_min / t_r - 1e-9)))


def window_weights(weights: ArrayLike, *, width: int, step: int, keep: ArrayLike) -> Array:
    """Return the weight of every volume in every window.

    Window ``k`` has its rectangle on the volumes ``k step`` to ``k step + width - 1``; the tails of the taper reach
    beyond it, but not beyond the run. Censored volumes weigh 0.

    Parameters
    ----------
    weights : (width + 2 tail,)
        From :func:`taper`.
    width, step : int
        Volumes of the rectangle, and between the beginnings of two windows.
    keep : (n_time,) of bool

    Returns
    -------
    (n_window, n_time) float64
        ``n_window = (n_time - width) // step + 1`` (GIFT leaves out the last), none if the run is shorter than a
        window. A window is NaN if more than 20 % of its weight is on censored volumes.
    """
    weights, keep = np.asarray(weights, dtype=np.float64), np.asarray(keep)
    check_positive("step", step)
    keep = as_mask("keep", keep, expected=len(keep))
    tail, n_time = (len(weights) - width) // 2, len(keep)
    n_window = max(0, (n_time - width) // step + 1)
    place = np.arange(n_time) - step * np.arange(n_window)[:, None] + tail
    inside = (place >= 0) & (place < len(weights))
    whole = np.where(inside, weights[np.clip(place, 0, len(weights) - 1)], 0.0)
    kept = whole * keep
    usable = kept.sum(axis=1) >= (1 - CENSORED_MAX) * whole.sum(axis=1) - 1e-9
    return np.where(usable[:, None], kept, np.nan)


def window_means(series: ArrayLike, *, weights: Array) -> Array:
    """Return the weighted mean of one series in every window; volumes where it is NaN do not count.

    Parameters
    ----------
    series : (n_time,)
    weights : (n_window, n_time)
        From :func:`window_weights`.

    Returns
    -------
    (n_window,) float64
        NaN for a NaN window, or one without a known volume.
    """
    series = np.asarray(series, dtype=np.float64)
    check_length("weights", weights, expected=len(series), axis=1)
    known = np.isfinite(series)
    total = weights @ known
    return weights @ np.where(known, series, 0.0) / np.where(total > 0, total, np.nan)


def windowed_correlation(
    series: ArrayLike, *, weights: Array, out: NDArray[np.floating] | None = None
) -> NDArray[np.floating]:
    """Return the correlation matrix of every window.

    ``r_ij = sum_t w_t (x_ti - m_i)(x_tj - m_j) / sqrt(...)`` with the weighted means ``m``: Pearson's r with weights.
    GIFT correlates the products of series and window instead, which weighs by the square and centres over the run.

    Parameters
    ----------
    series : (n_time, n_node)
        Cleaned series. What they are on volumes of weight 0 does not matter, and may be NaN.
    weights : (n_window, n_time)
        From :func:`window_weights`.
    out : (n_window, n_node, n_node) of the type of the result, optional
        Where to write it. Of many runs one after another, to use the memory of the first again takes a third less time.

    Returns
    -------
    (n_window, n_node, n_node)
        Within rounding symmetric, 1 on the diagonal and in [-1, 1]; float32 if ``series`` is, else float64. NaN are a
        NaN window and, in it, the pairs of a node that is constant or NaN on a volume with weight.

    Raises
    ------
    InputError
        If ``weights`` are of another number of volumes, or ``out`` has another shape or type than the result.
    """
    given = np.asarray(series)
    kind = np.float32 if given.dtype == np.float32 else np.float64
    check_length("weights", weights, expected=len(given), axis=1)
    share = weights / weights.sum(axis=1, keepdims=True)
    centred, mean, scale = (each.astype(kind) for each in _moments(given, share))
    share = share.astype(kind)
    weighs = share > 0
    first, end = np.argmax(weighs, axis=1), weighs.shape[1] - np.argmax(weighs[:, ::-1], axis=1)
    usable = np.isfinite(share[:, 0])
    shape = (len(weights), given.shape[1], given.shape[1])
    found = np.empty(shape, dtype=kind) if out is None else out
    if found.shape != shape or found.dtype != kind:
        raise InputError(f"`out` must be {shape} of {kind.__name__}; got {found.shape} of {found.dtype}.")
    found[~usable] = np.nan
    for window in np.flatnonzero(usable):
        volumes = slice(first[window], end[window])
        unit = centred[volumes] - mean[window]
        unit *= scale[window]
        # of one array with itself NumPy computes a triangle and mirrors it, which takes longer than both triangles
        np.matmul(unit.T, unit * share[window, volumes, None], out=found[window])
    return found


def windowed_pairs(series: ArrayLike, *, weights: Array, pairs: ArrayLike) -> Array:
    """Return :func:`windowed_correlation` of some pairs alone, all windows in one product.

    The weighted sum of the products of two centred series, less the product of their weighted means. With dozens of
    pairs this is much less work than matrices; with tens of thousands it is more.

    Parameters
    ----------
    series, weights
        As in :func:`windowed_correlation`.
    pairs : (n_pair, 2) of int
        Columns of ``series``.

    Returns
    -------
    (n_window, n_pair) float64
        Within rounding of [-1, 1]; NaN as in :func:`windowed_correlation`.
    """
    given = np.asarray(series, dtype=np.float64)
    check_length("weights", weights, expected=len(given), axis=1)
    share = weights / weights.sum(axis=1, keepdims=True)
    usable = np.isfinite(share).all(axis=1)
    one, other = np.asarray(pairs, dtype=np.intp).T
    found = np.full((len(weights), len(one)), np.nan)
    centred, mean, scale = _moments(given, share[usable])
    together = share[usable] @ (centred[:, one] * centred[:, other])
    found[usable] = (together - mean[:, one] * mean[:, other]) * scale[:, one] * scale[:, other]
    return found


def _moments(series: NDArray[np.floating], share: Array) -> tuple[Array, Array, Array]:
    """Return the series about their means over the run, and their means and 1 / SD (n_window, n_node) in the windows.

    1 / SD is NaN where nothing varies or a value with weight is NaN.
    """
    seen = np.any(share > 0, axis=0, keepdims=True).T
    known = np.isfinite(series)
    count = np.maximum(np.sum(seen & known, axis=0), 1)
    middle = np.sum(series, axis=0, dtype=np.float64, where=seen & known) / count
    centred = np.where(known, series - middle, 0.0)
    mean, energy = share @ centred, share @ centred**2
    variance = energy - mean**2
    fine = variance > VARIES * energy
    if not known.all():
        fine &= share @ ~known == 0
    return centred, mean, 1 / np.sqrt(np.where(fine, variance, np.nan))


def lag_products(series: ArrayLike, *, pairs: ArrayLike) -> Array:
    """Return the product of the autocorrelations of two series at every lag, averaged over pairs.

    To first order the errors of windowed correlations of stationary Gaussian series have this autocorrelation.

    Parameters
    ----------
    series : (n_time, n_node)
        Cleaned series; NaN volumes do not count.
    pairs : (n_pair, 2) of int
        Columns of ``series``.

    Returns
    -------
    (n_time,) float64
        1 at lag 0. NaN if a series of a pair is constant or NaN throughout.
    """
    given = np.asarray(series, dtype=np.float64)
    n_time, known = len(given), np.isfinite(given)
    count = known.sum(axis=0)
    mean = np.sum(given, axis=0, where=known) / np.where(count > 0, count, np.nan)
    centred = np.where(known, given - mean, 0.0)
    together = np.round(_autocovariance(known.T.astype(np.float64)))
    found = _autocovariance(centred.T) / np.maximum(together, 1) * (n_time - np.arange(n_time))
    size = np.where(
        found[:, :1] > VARIES * np.sum(np.where(known, given, 0.0) ** 2, axis=0)[:, None], found[:, :1], np.nan
    )
    one, other = np.asarray(pairs, dtype=np.intp).T
    return np.asarray(np.mean((found / size)[one] * (found / size)[other], axis=0))


def _autocovariance(rows: Array) -> Array:
    """Return the sums of the products of every row (n_row, n) with itself, lags 0 .. n - 1 along the last axis."""
    n = rows.shape[-1]
    return np.asarray(np.fft.irfft(np.abs(np.fft.rfft(rows, 2 * n)) ** 2, 2 * n)[..., :n])


def window_mean_variance(weights: Array, *, inside: ArrayLike, products: ArrayLike) -> float:
    """Return the variance of the mean Fisher z of one edge over some windows of a stationary run.

    Windows that overlap share volumes. With the weights ``s`` of a window (sum 1), ``c`` their mean over the windows
    and ``Q(s) = sum_tu s_t s_u g(|t - u|)`` a single window has ``d = 1 / Q(s)`` effective dimensions and the variance
    ``1 / (d - 2)`` (:func:`lbpneuro.kernels.correlation.fisher_z_se`), the mean ``Q(c) / Q(s)`` times that.

    Parameters
    ----------
    weights : (n_window, n_time)
        From :func:`window_weights`.
    inside : (n_window,) of bool
        The windows of the mean; NaN windows do not count.
    products : (n_time,)
        ``g``, from :func:`lag_products`.

    Returns
    -------
    float
        NaN without a window, or with NaN ``products``. ``d`` counts as at least 3.
    """
    products = np.asarray(products, dtype=np.float64)
    check_length("products", products, expected=weights.shape[1])
    chosen = as_mask("inside", inside, expected=len(weights))
    usable = np.isfinite(weights).all(axis=1)
    if not (chosen & usable).any() or np.isnan(products).any():
        return float("nan")
    share = weights[usable] / weights[usable].sum(axis=1, keepdims=True)
    double = np.where(np.arange(len(products)) > 0, 2.0, 1.0) * products
    # lags that are known from few volumes can make a sum too small; without any autocorrelation it is that of lag 0
    energy = _autocovariance(np.vstack([share.mean(axis=0, where=chosen[usable][:, None]), share]))
    mean, *single = np.maximum(energy @ double, energy[:, 0])
    form = float(np.mean(single))
    return float(mean) / form / (max(1 / form, DIMENSION_MIN) - 2)


def assign_states(windows: ArrayLike, *, centroids: Array, metric: str) -> Labels:
    """Return the state of every window: the nearest centroid, the first of equals.

    Parameters
    ----------
    windows : (n_window, n_edge)
        Fisher z of the edges in each window.
    centroids : (k, n_edge)
    metric : str
        "cityblock" (sum of absolute differences) or "euclidean".

    Returns
    -------
    (n_window,) int64
        0 .. k - 1; ``NO_STATE`` for a window with a NaN.
    """
    check_option("metric", metric, allowed=METRICS)
    windows = np.asarray(windows, dtype=np.float64)
    check_length("windows", windows, expected=np.shape(centroids)[1], axis=1)
    usable = np.isfinite(windows).all(axis=1)
    labels = np.full(len(windows), NO_STATE, dtype=np.int64)
    labels[usable] = np.argmin(_distances(windows[usable], centroids, metric), axis=1)
    return labels


def _distances(windows: Array, centroids: Array, metric: str) -> Array:
    """Return the distances (n_window, k); squared ones for "euclidean", whose order is the same."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(windows, centroids, "cityblock" if metric == "cityblock" else "sqeuclidean"))


def learn_states(
    windows: ArrayLike, *, k: int, rng: np.random.Generator, n_init: int, metric: str
) -> tuple[Array, float]:
    """Return the centroids of ``k`` states by Lloyd's algorithm, the best of ``n_init`` starts.

    "euclidean" is k-means: centroids are means. "cityblock" is k-medians: centroids are medians, which minimise the sum
    of absolute differences. Every start is a k-means++ draw (Arthur 2007, 10.5555/1283383.1283494).

    Parameters
    ----------
    windows : (n_window, n_edge)
        Windows with a NaN are left out.
    k, n_init : int
        Number of states, number of starts.
    rng : Generator
    metric : str
        As in :func:`assign_states`.

    Returns
    -------
    centroids : (k, n_edge) float64
        The state that most windows are in comes first.
    inertia : float
        Sum of the distances (squared for "euclidean") of the windows to their centroids.

    Raises
    ------
    QualityError
        ``too_few_windows`` if there are fewer distinct usable windows than states.
    """
    check_option("metric", metric, allowed=METRICS)
    given = np.asarray(windows, dtype=np.float64)
    given = given[np.isfinite(given).all(axis=1)]
    if len(given) < k or len(np.unique(given, axis=0)) < k:
        raise QualityError(
            f"{k} states cannot be learned from {len(given)} usable windows.", reason=Reason.TOO_FEW_WINDOWS
        )
    starts = (_lloyd(given, _spread(given, k, rng, metric), metric) for _ in range(n_init))
    centroids, inertia = min(starts, key=lambda found: found[1])
    count = np.bincount(assign_states(given, centroids=centroids, metric=metric), minlength=k)
    return centroids[np.argsort(-count, kind="stable")], inertia


def _spread(windows: Array, k: int, rng: np.random.Generator, metric: str) -> Array:
    """Return k windows, each drawn with a probability proportional to its distance from those drawn before."""
    chosen = [int(rng.integers(len(windows)))]
    nearest = np.full(len(windows), np.inf)
    for _ in range(1, k):
        nearest = np.minimum(nearest, _distances(windows, windows[chosen[-1:]], metric)[:, 0])
        chosen.append(int(np.searchsorted(np.cumsum(nearest), rng.uniform(0, nearest.sum()), side="right")))
    return windows[np.minimum(chosen, len(windows) - 1)]


def _lloyd(windows: Array, centroids: Array, metric: str) -> tuple[Array, float]:
    """Return centroids that no further step moves, and their inertia; an empty state takes the farthest window."""
    middle = np.median if metric == "cityblock" else np.mean
    labels = np.full(len(windows), NO_STATE)
    for _ in range(ITERATIONS):
        distance = _distances(windows, centroids, metric)
        found = np.argmin(distance, axis=1)
        for state in np.flatnonzero(np.bincount(found, minlength=len(centroids)) == 0):
            found[np.argmax(distance[np.arange(len(found)), found])] = state
        if np.array_equal(found, labels):
            break
        labels = found
        centroids = np.stack([middle(windows[labels == state], axis=0) for state in range(len(centroids))])
    return centroids, float(_distances(windows, centroids, metric).min(axis=1).sum())


def adjusted_rand(first: ArrayLike, second: ArrayLike) -> float:
    """Return the agreement of two labellings: 1 if they are the same up to names, 0 on average for chance.

    The adjusted Rand index (Hubert 1985, 10.1007/BF01908075) over the places that both label; NaN if there is none.
    """
    one, two = np.asarray(first), np.asarray(second)
    check_length("second", two, expected=len(one))
    both = (one != NO_STATE) & (two != NO_STATE)
    if not both.any():
        return float("nan")
    table = np.histogram2d(one[both], two[both], bins=(np.arange(one.max() + 2), np.arange(two.max() + 2)))[0]
    pairs, rows, columns = (np.sum(n * (n - 1) / 2) for n in (table, table.sum(axis=1), table.sum(axis=0)))
    n = table.sum()
    expected = rows * columns / max(n * (n - 1) / 2, 1)
    most = (rows + columns) / 2
    return 1.0 if most == expected else float((pairs - expected) / (most - expected))


def state_stability(
    windows: ArrayLike,
    *,
    people: ArrayLike,
    k: int,
    rng: np.random.Generator,
    n_splits: int,
    n_init: int,
    metric: str,
) -> Array:
    """Return how well the states learned on one half of the people agree with those learned on the other half.

    In every split both sets of centroids label all windows; the number is the adjusted Rand index of the two
    labellings (the prediction-strength idea: Tibshirani 2005, 10.1198/106186005X59243).

    Parameters
    ----------
    windows : (n_window, n_edge)
    people : (n_window,)
        Whom each window is of; a person is never in both halves.
    k, rng, n_init, metric
        As in :func:`learn_states`.
    n_splits : int

    Returns
    -------
    (n_splits,) float64
        NaN for a split in which a half has too few windows; all are NaN with fewer than two people.
    """
    given, whose = np.asarray(windows, dtype=np.float64), np.asarray(people)
    check_length("people", whose, expected=len(given))
    names = np.unique(whose)
    found = np.full(n_splits, np.nan)
    for split in range(n_splits if len(names) > 1 else 0):
        half = np.isin(whose, rng.permutation(names)[: len(names) // 2])
        try:
            learned = [
                learn_states(given[part], k=k, rng=rng, n_init=n_init, metric=metric)[0] for part in (half, ~half)
            ]
        except QualityError:
            continue
        found[split] = adjusted_rand(*(assign_states(given, centroids=each, metric=metric) for each in learned))
    return found


def stable_k(stability: Mapping[int, ArrayLike]) -> int | None:
    """Return the number of states on which halves of the group agree best, of equals the largest.

    Too many states split one at random, differently in either half. Too few need not be unstable: two of three states
    can be taken together in the same way in either half, which is why the largest of equals is taken.

    Parameters
    ----------
    stability
        From :func:`state_stability`, by the number of states. The means over the splits are compared, to six decimals.

    Returns
    -------
    int or None
        None if no number of states has a known stability.
    """
    means = {}
    for k, found in stability.items():
        known = np.asarray(found, dtype=np.float64)
        known = known[np.isfinite(known)]
        if known.size:
            means[k] = round(float(known.mean()), 6)
    return max(means, key=lambda k: (means[k], k)) if means else None


def joined(runs: Sequence[ArrayLike]) -> Labels:
    """Return the labels of several runs as one sequence with a gap between two runs."""
    parts = [part for run in runs for part in (np.asarray(run, dtype=np.int64), [NO_STATE])]
    return np.concatenate([*parts[:-1], np.empty(0, dtype=np.int64)]).astype(np.int64)


def occupancy(labels: ArrayLike, *, k: int) -> Array:
    """Return the share of the labelled windows that is in each state, over the last axis.

    Parameters
    ----------
    labels : (..., n_window) of int

    Returns
    -------
    (..., k) float64
        NaN if no window is labelled.
    """
    labels = np.asarray(labels)
    count = np.stack([np.sum(labels == state, axis=-1) for state in range(k)], axis=-1).astype(np.float64)
    total = count.sum(axis=-1, keepdims=True)
    return count / np.where(total > 0, total, np.nan)


def independent_windows(labels: ArrayLike, *, k: int, block: int) -> Array:
    """Return how many independent looks at the long-run share of each state a sequence of windows is worth.

    A state that is left at the rate ``a`` and entered at the rate ``b`` per window has an autocorrelation of
    ``exp(-(a + b) t)``, so that ``n`` windows are worth ``n (a + b) / 2``. The rates are those that were seen. It is
    never more than ``n / block``, windows that do not overlap, and 1 if the state was not left or not entered from
    another one, which shows neither rate.

    Parameters
    ----------
    labels : (n_window,) of int
        Changes across a gap do not count.
    k : int
        Number of states.
    block : int
        Windows that one window overlaps with.

    Returns
    -------
    (k,) float64
        At least 1; NaN if no window is labelled.
    """
    check_positive("block", block)
    labels = np.asarray(labels)
    n = float(np.sum(labels != NO_STATE))
    now, then = (each[(labels[:-1] != NO_STATE) & (labels[1:] != NO_STATE)] for each in (labels[:-1], labels[1:]))
    states = np.arange(k)[:, None]
    here, there = now == states, then == states
    inside, outside = here.sum(axis=1), (~here).sum(axis=1)
    rates = np.sum(here & ~there, axis=1) / np.maximum(inside, 1) + np.sum(~here & there, axis=1) / np.maximum(
        outside, 1
    )
    looks = np.where((inside > 0) & (outside > 0), n * rates / 2, 1.0)
    return np.clip(looks, 1.0, max(n / block, 1.0)) if n else np.full(k, np.nan)


def share_interval(share: ArrayLike, *, n: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the standard error and the 95 % limits of a share of ``n`` independent looks, a whole number or not.

    The posterior ``Beta(n p + 1/2, n (1 - p) + 1/2)`` of Jeffreys: its standard deviation and its quantiles, with the
    lower limit 0 for a share of 0 and the upper limit 1 for one of 1 (Brown 2001, 10.1214/ss/1009213286).

    Parameters
    ----------
    share, n : (...)

    Returns
    -------
    se, low, high : (...) float64
        The limits hold the share. NaN where an argument is.
    """
    from scipy.stats import beta

    p, looks = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    posterior = beta(looks * p + 0.5, looks * (1 - p) + 0.5)
    low, high = (np.asarray(posterior.ppf(level)) for level in (0.025, 0.975))
    low, high = np.where(p == 0, 0.0, np.minimum(low, p)), np.where(p == 1, 1.0, np.maximum(high, p))
    middle = (looks * p + 0.5) / (looks + 1)
    return np.sqrt(middle * (1 - middle) / (looks + 2)), low, high


def run_lengths(labels: ArrayLike) -> tuple[Labels, Labels]:
    """Return the state and the number of windows of every unbroken stay in a state, in order; gaps are left out."""
    labels = np.asarray(labels, dtype=np.int64)
    if not labels.size:
        return labels, labels
    first = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    length = np.diff(np.append(first, len(labels)))
    stays = labels[first] != NO_STATE
    return labels[first][stays], length[stays]


def dwell_times(labels: ArrayLike, *, k: int, step_s: float) -> Array:
    """Return the mean time (s) of an unbroken stay in each state: mean number of windows times ``step_s``.

    Stays end at a gap and at the ends of a run, so that the mean of a short run is too small.

    Returns
    -------
    (k,) float64
        NaN for a state that was never visited.
    """
    state, length = run_lengths(labels)
    visits = np.bincount(state, minlength=k).astype(np.float64)
    total = np.bincount(state, weights=length, minlength=k)
    return step_s * total / np.where(visits > 0, visits, np.nan)


def transitions(labels: ArrayLike, *, step_s: float) -> float:
    """Return the changes of state per minute, over pairs of labelled windows next to each other; NaN without a pair."""
    labels = np.asarray(labels)
    pairs = (labels[:-1] != NO_STATE) & (labels[1:] != NO_STATE)
    changes = pairs & (labels[:-1] != labels[1:])
    return float(60 * changes.sum() / (pairs.sum() * step_s)) if pairs.any() else float("nan")


def block_resamples(lengths: Sequence[int], *, block: int, n_resamples: int, rng: np.random.Generator) -> Labels:
    """Return indices of windows that make resamples of as many windows, in blocks of successive ones.

    The moving-block bootstrap (Kunsch 1989, 10.1214/aos/1176347265): windows that overlap are resampled together. A
    block never joins two runs.

    Parameters
    ----------
    lengths
        Windows of each run; the indices count through all runs.
    block : int
        Windows per block; a shorter run is one block of its own length.
    n_resamples : int
    rng : Generator

    Returns
    -------
    (n_resamples, n_window) int64
    """
    check_positive("block", block)
    n_window = int(sum(lengths))
    if not n_window:
        raise InputError("`lengths` must add up to 1 or more; got no window.")
    ends = np.cumsum(lengths)
    starts, sizes = [], []
    for end, length in zip(ends, lengths, strict=True):
        size = min(block, int(length))
        begin = np.arange(end - length, end - size + 1 if size else end - length)
        starts.append(begin)
        sizes.append(np.full(len(begin), size))
    start, size = np.concatenate(starts), np.concatenate(sizes)
    n_blocks = int(np.ceil(n_window / size.min()))
    drawn = rng.integers(len(start), size=(n_resamples, n_blocks))
    within = np.arange(size.max())
    index = start[drawn][..., None] + within
    taken = (within < size[drawn][..., None]).reshape(n_resamples, -1)
    order = np.argsort(~taken, axis=1, kind="stable")[:, :n_window]
    return np.take_along_axis(index.reshape(n_resamples, -1), order, axis=1)
