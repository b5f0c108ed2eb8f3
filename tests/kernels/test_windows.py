"""Windows, states and what is counted of them: by hand, against a slow loop, against scikit-learn and nilearn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels.windows import (
    NO_STATE,
    adjusted_rand,
    assign_states,
    block_resamples,
    dwell_times,
    independent_windows,
    joined,
    lag_products,
    learn_states,
    occupancy,
    run_lengths,
    share_interval,
    stable_k,
    state_stability,
    taper,
    transitions,
    window_mean_variance,
    window_means,
    window_volumes,
    window_weights,
    windowed_correlation,
    windowed_pairs,
)
from tests.oracles.dynamic import gift_window, slow_windowed_correlation


def everything(n_time: int) -> np.ndarray:
    return np.ones(n_time, dtype=bool)


def clouds(rng, *, k: int = 3, n: int = 60, n_edge: int = 8) -> np.ndarray:
    """Windows around ``k`` far centres; cloud s holds n + 10 s of them, the largest last."""
    centres = 3 * rng.standard_normal((k, n_edge))
    return np.concatenate([c + 0.4 * rng.standard_normal((n + 10 * s, n_edge)) for s, c in enumerate(centres)])


@pytest.mark.parametrize(("n_time", "width"), [(200, 30), (200, 44), (151, 20)])
def test_the_taper_is_that_of_gift(n_time, width):
    """GIFT's window reaches over the whole run; ours is its middle, and nothing of weight lies outside."""
    whole, ours = gift_window(n_time, width, 3.0), taper(width, sigma=3)
    place = int(np.flatnonzero(whole >= 0.5 - 1e-9)[0]) - 12  # half the height is where the rectangle begins
    np.testing.assert_allclose(whole[place : place + len(ours)], ours, atol=2e-4)
    assert np.delete(whole, np.arange(place, place + len(ours))).max() < 1e-4


def test_the_taper_by_hand():
    np.testing.assert_array_equal(taper(4, sigma=0), np.ones(4))
    shape = taper(30, sigma=3)
    assert len(shape) == 30 + 24
    assert shape.max() == 1
    np.testing.assert_allclose(shape, shape[::-1])
    # at the edge of the rectangle half of the Gaussian is inside, its middle counted whole
    assert shape[12] == pytest.approx(0.5 * (1 + 1 / (3 * np.sqrt(2 * np.pi))), abs=1e-3)
    with pytest.raises(InputError, match="sigma"):
        taper(30, sigma=-1)


@pytest.mark.parametrize(("t_r", "expected"), [(3.0, 30), (2.0, 30), (1.0, 44), (0.8, 55), (0.72, 62)])
def test_a_window_is_long_enough_in_volumes_and_in_seconds(t_r, expected):
    assert window_volumes(t_r=t_r, volumes_min=30, seconds_min=44) == expected


def test_weights_by_hand():
    """Seven volumes, windows of 3 with a tail of 1 that does not reach beyond the run."""
    shape = np.array([0.5, 1, 1, 1, 0.5])
    keep = np.array([True, True, True, True, True, True, False])
    found = window_weights(shape, width=3, step=2, keep=keep)
    np.testing.assert_array_equal(found[0], [1, 1, 1, 0.5, 0, 0, 0])
    np.testing.assert_array_equal(found[1], [0, 0.5, 1, 1, 1, 0.5, 0])
    assert np.isnan(found[2]).all(), "1 of 3.5 is censored: more than 20 %"
    assert window_weights(shape, width=8, step=1, keep=keep).shape == (0, 7)


def test_a_window_with_20_percent_censored_is_kept():
    keep = np.ones(10, dtype=bool)
    keep[:2] = False
    assert np.isfinite(window_weights(np.ones(10), width=10, step=1, keep=keep)).all()
    keep[2] = False
    assert np.isnan(window_weights(np.ones(10), width=10, step=1, keep=keep)).all()


def test_window_means_leave_out_what_is_unknown():
    weights = np.array([[1.0, 1, 0.5, 0], [0, 0, 1, 0], [np.nan] * 4])
    np.testing.assert_allclose(window_means([np.nan, 2, 4, 100], weights=weights), [(2 + 0.5 * 4) / 1.5, 4, np.nan])
    np.testing.assert_array_equal(window_means([1, 1, np.nan, 1], weights=weights[1:2]), [np.nan])


@pytest.mark.parametrize("sigma", [0, 2])
def test_windowed_correlation_is_that_of_the_slow_loop(rng, sigma):
    series = 1000 + rng.standard_normal((45, 4)).cumsum(axis=0)
    keep = rng.random(45) > 0.1
    keep[20:24] = False
    shape = taper(12, sigma=sigma)
    weights = window_weights(shape, width=12, step=3, keep=keep)
    expected = slow_windowed_correlation(series, shape, width=12, step=3, keep=keep)
    given = np.where(keep[:, None], series, np.nan)
    found = windowed_correlation(given, weights=weights)
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(found, expected, atol=1e-9)
    single = windowed_correlation((given - 1000).astype(np.float32), weights=weights)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-5)


def test_a_rectangular_window_is_nilearns_correlation(rng):
    from nilearn.connectome import ConnectivityMeasure
    from sklearn.covariance import EmpiricalCovariance

    series = rng.standard_normal((60, 12)) @ rng.standard_normal((12, 12))
    weights = window_weights(taper(25, sigma=0), width=25, step=5, keep=everything(60))
    measure = ConnectivityMeasure(
        kind="correlation", cov_estimator=EmpiricalCovariance(store_precision=False), standardize=False
    )
    expected = measure.fit_transform([series[start : start + 25] for start in range(0, 36, 5)])
    np.testing.assert_allclose(windowed_correlation(series, weights=weights), expected, atol=1e-9)


def test_memory_of_an_earlier_result_is_used_again(rng):
    series = rng.standard_normal((40, 3)).astype(np.float32)
    weights = window_weights(taper(20, sigma=2), width=20, step=1, keep=np.arange(40) > 12)
    expected = windowed_correlation(series, weights=weights)
    assert np.isnan(expected[0]).all()
    out = np.ones_like(expected)
    assert windowed_correlation(series, weights=weights, out=out) is out
    np.testing.assert_array_equal(out, expected)
    with pytest.raises(InputError, match=r"`out` must be \(21, 3, 3\) of float32; got \(21, 3, 3\) of float64"):
        windowed_correlation(series, weights=weights, out=out.astype(np.float64))
    with pytest.raises(InputError, match=r"`out` must be .*; got \(3, 3\)"):
        windowed_correlation(series, weights=weights, out=out[0])


def test_a_bad_node_stays_alone(rng):
    series = rng.standard_normal((50, 4))
    weights = window_weights(taper(20, sigma=2), width=20, step=1, keep=everything(50))
    expected = windowed_correlation(series, weights=weights)
    spoilt = series.copy()
    spoilt[:, 1] = 7.0
    spoilt[2, 2] = np.nan  # in the first windows only
    found = windowed_correlation(spoilt, weights=weights)
    assert np.isnan(found[:, 1]).all()
    assert np.isnan(found[0, 2]).all()
    np.testing.assert_allclose(found[:, 0, 3], expected[:, 0, 3])
    np.testing.assert_allclose(found[-1, 2, [0, 2, 3]], expected[-1, 2, [0, 2, 3]])


@pytest.mark.parametrize("metric", ["cityblock", "euclidean"])
def test_windows_go_to_the_nearest_centroid(metric):
    centroids = np.array([[0.0, 0.0], [1.0, 0.0]])
    windows = np.array([[0.2, 5], [0.9, -5], [0.5, 0], [np.nan, 0]])
    np.testing.assert_array_equal(assign_states(windows, centroids=centroids, metric=metric), [0, 1, 0, NO_STATE])


def test_the_two_distances_can_differ():
    """(1.2, 1.2) is 2.4 from the origin in blocks and 1.7 as the crow flies; (3.2, 1.2) is 2 from it either way."""
    centroids, window = np.array([[0.0, 0.0], [3.2, 1.2]]), np.array([[1.2, 1.2]])
    assert assign_states(window, centroids=centroids, metric="euclidean")[0] == 0
    assert assign_states(window, centroids=centroids, metric="cityblock")[0] == 1
    with pytest.raises(InputError, match="metric"):
        assign_states(window, centroids=centroids, metric="cosine")


@pytest.mark.parametrize("seed", range(5))
def test_states_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    windows = rng.standard_normal((300, 6)) + 3 * rng.integers(0, 3, 300)[:, None] * [1, 1, 0, 0, -1, -1]
    centroids, inertia = learn_states(windows, k=3, rng=rng, n_init=20, metric="euclidean")
    peer = KMeans(3, n_init=20, random_state=seed, tol=0).fit(windows)
    assert inertia == pytest.approx(peer.inertia_, rel=1e-6)
    order = np.argsort(-np.bincount(peer.labels_))
    np.testing.assert_allclose(centroids, peer.cluster_centers_[order], atol=1e-6)
    labels = assign_states(windows, centroids=centroids, metric="euclidean")
    assert adjusted_rand_score(labels, peer.labels_) == 1
    assert list(np.bincount(labels)) == sorted(np.bincount(labels), reverse=True)


def test_city_block_centroids_are_medians_and_cannot_be_improved(rng):
    windows = clouds(rng)
    windows[::17] += 40 * rng.standard_normal((len(windows[::17]), 1))  # outliers, which medians bear
    centroids, inertia = learn_states(windows, k=3, rng=rng, n_init=20, metric="cityblock")
    labels = assign_states(windows, centroids=centroids, metric="cityblock")
    for state in range(3):
        np.testing.assert_allclose(centroids[state], np.median(windows[labels == state], axis=0))
    assert inertia == pytest.approx(sum(np.abs(w - centroids[s]).sum() for w, s in zip(windows, labels, strict=True)))


@pytest.mark.parametrize("metric", ["cityblock", "euclidean"])
def test_planted_states_are_found_most_frequent_first(rng, metric):
    windows = clouds(rng)
    windows[0] = np.nan
    centroids, _ = learn_states(windows, k=3, rng=rng, n_init=10, metric=metric)
    labels = assign_states(windows, centroids=centroids, metric=metric)
    truth = np.repeat([2, 1, 0], [60, 70, 80])
    assert labels[0] == NO_STATE
    np.testing.assert_array_equal(labels[1:], truth[1:])


def test_too_few_windows_are_refused(rng):
    with pytest.raises(QualityError, match="3 states") as refused:
        learn_states(np.ones((9, 4)), k=3, rng=rng, n_init=2, metric="euclidean")
    assert refused.value.reason is Reason.TOO_FEW_WINDOWS


def test_the_rand_index_is_that_of_scikit_learn(rng):
    for _ in range(20):
        first, second = rng.integers(0, 4, 50), rng.integers(0, 3, 50)
        assert adjusted_rand(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert adjusted_rand([0, 0, 1, 1], [1, 1, 0, 0]) == 1
    assert adjusted_rand([0, 0, 0], [0, 0, 0]) == 1
    assert adjusted_rand([0, 1, NO_STATE, 1], [1, 0, 1, 0]) == 1
    assert np.isnan(adjusted_rand([NO_STATE], [0]))


def test_more_states_than_planted_are_unstable(rng):
    """Fewer need not be: two of three states may be taken together in either half."""
    windows = np.tile(clouds(rng, k=3, n=40), (4, 1)) + 0.4 * rng.standard_normal((4 * 150, 8))
    people = np.repeat(np.arange(8), 75)
    people = rng.permutation(people)
    settings = {"people": people, "n_splits": 6, "n_init": 8, "metric": "euclidean"}
    means = {k: state_stability(windows, k=k, rng=rng, **settings).mean() for k in (2, 3, 4, 5)}
    assert means[3] > 0.99
    assert max(means[4], means[5]) < 0.9
    alone = {**settings, "people": np.zeros(600)}
    assert np.isnan(state_stability(windows, k=2, rng=rng, **alone)).all()


def test_a_person_is_never_in_both_halves(rng):
    """Two people who switch in different ways: what is learned from one is no state of the other."""
    switch = np.repeat([-3.0, 3.0], 50)
    windows = 0.3 * rng.standard_normal((200, 4))
    windows[:100, 0] += switch
    windows[100:, 1] += switch
    found = state_stability(
        windows, people=np.repeat([0, 1], 100), k=2, rng=rng, n_splits=3, n_init=5, metric="euclidean"
    )
    assert (found < 0.2).all()


SEQUENCE = [0, 0, 0, 1, 1, NO_STATE, 1, 0, 0]


def test_what_is_counted_of_a_sequence():
    """State 0 stays 3 and 2 windows, state 1 two and, after the gap, one; two changes in six pairs of 2 s."""
    np.testing.assert_allclose(occupancy(SEQUENCE, k=3), [5 / 8, 3 / 8, 0])
    state, length = run_lengths(SEQUENCE)
    np.testing.assert_array_equal(state, [0, 1, 1, 0])
    np.testing.assert_array_equal(length, [3, 2, 1, 2])
    np.testing.assert_allclose(dwell_times(SEQUENCE, k=3, step_s=2.0), [5.0, 3.0, np.nan])
    assert transitions(SEQUENCE, step_s=2.0) == pytest.approx(60 * 2 / (6 * 2))


def test_nothing_is_counted_across_runs_or_without_windows():
    both = joined([[0, 0], [1], [1, 0]])
    np.testing.assert_array_equal(both, [0, 0, NO_STATE, 1, NO_STATE, 1, 0])
    assert transitions(both, step_s=60.0) == pytest.approx(1 / 2)
    assert joined([]).shape == (0,)
    assert np.isnan(occupancy([NO_STATE], k=2)).all()
    assert np.isnan(transitions([0], step_s=1.0))
    assert run_lengths([])[0].size == 0


def test_blocks_are_successive_and_never_join_two_runs(rng):
    drawn = block_resamples([40, 25], block=10, n_resamples=300, rng=rng)
    assert drawn.shape == (300, 65)
    assert set(np.unique(drawn)) == set(range(65))
    blocks = drawn[:, :60].reshape(300, 6, 10)
    assert (np.diff(blocks, axis=2) == 1).all()
    assert ((blocks < 40).all(axis=2) | (blocks >= 40).all(axis=2)).all()


def test_a_run_shorter_than_a_block_is_one_block(rng):
    drawn = block_resamples([3, 20], block=10, n_resamples=200, rng=rng)
    assert drawn.shape == (200, 23)
    short = (drawn < 3).sum(axis=1)
    assert short.any()
    first = drawn[:, 0] == 0
    np.testing.assert_array_equal(drawn[first, :3], np.tile([0, 1, 2], (first.sum(), 1)))
    with pytest.raises(InputError, match="lengths"):
        block_resamples([], block=3, n_resamples=2, rng=rng)


def test_the_bootstrap_error_of_a_moving_average_is_its_true_one(rng):
    """Means of ten white numbers each: the standard error of their mean is known."""
    n, width = 400, 10
    white = rng.standard_normal((200, n + width - 1))
    series = np.lib.stride_tricks.sliding_window_view(white, width, axis=1).mean(axis=2)
    true = series.mean(axis=1).std()
    index = block_resamples([n], block=4 * width, n_resamples=200, rng=rng)
    found = np.mean([each[index].mean(axis=1).std() for each in series[:60]])
    assert found == pytest.approx(true, rel=0.15)


def test_pairs_are_those_of_the_matrices(rng):
    """With censored volumes, an unusable window, a constant node and a NaN on a volume that counts in some windows."""
    series = 1000 + np.cumsum(rng.standard_normal((90, 6)), axis=0)
    series[:, 3] = 7
    series[80, 4] = np.nan
    keep = np.arange(90) % 11 != 4
    keep[30:45] = False
    weights = window_weights(taper(12, sigma=2), width=12, step=3, keep=keep)
    pairs = np.array([[0, 1], [2, 0], [1, 3], [4, 5], [2, 2]])
    expected = windowed_correlation(series, weights=weights)[:, pairs[:, 0], pairs[:, 1]]
    found = windowed_pairs(series, weights=weights, pairs=pairs)
    assert np.isnan(expected).any(axis=0).all()
    assert np.isfinite(expected[:, 0]).any()
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_number_of_states_that_halves_agree_on():
    """The largest of equals: halves can agree on two of three states. What is NaN says nothing."""
    nothing = [float("nan")] * 2
    assert stable_k({2: [0.5, 0.7], 3: [0.9, float("nan")], 4: [0.8, 0.8], 5: nothing}) == 3
    assert stable_k({2: [1.0, 1.0], 3: [1.0, 1.0], 4: [0.8, 0.8]}) == 3
    assert stable_k({2: nothing}) is None
    assert stable_k({}) is None


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_planted_number_of_states_is_recommended(k):
    """Of far states at random places, in most groups."""
    right = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        centres = 3 * rng.standard_normal((k, 8))
        windows = centres[rng.integers(0, k, 400)] + rng.standard_normal((400, 8))
        settings = {"people": rng.integers(0, 10, 400), "n_splits": 5, "n_init": 4, "metric": "cityblock"}
        right.append(stable_k({n: state_stability(windows, k=n, rng=rng, **settings) for n in range(2, 7)}) == k)
    assert sum(right) >= 6


def test_lag_products_are_those_of_the_slow_loop(rng):
    series = np.cumsum(rng.standard_normal((50, 4)), axis=0)
    series[[7, 8, 30]] = np.nan
    found = lag_products(series, pairs=[[0, 2], [3, 1]])
    centred = series - np.nanmean(series, axis=0)
    for lag in (0, 1, 5, 44):
        products = centred[: 50 - lag] * centred[lag:]
        a = (
            np.nansum(products, axis=0)
            / np.isfinite(products).sum(axis=0)
            * (50 - lag)
            / 50
            / np.nanvar(series, axis=0)
        )
        assert found[lag] == pytest.approx((a[0] * a[2] + a[3] * a[1]) / 2, abs=1e-9)
    assert found[0] == pytest.approx(1)
    assert np.isnan(lag_products(np.column_stack([series, np.full(50, 7.1)]), pairs=[[0, 4]])).all()


def test_the_variance_of_a_mean_over_windows_by_hand():
    """White series, windows of 8 of which two do not overlap: the mean of two is worth twice as much."""
    white = np.eye(1, 16)[0]
    weights = window_weights(np.ones(8), width=8, step=8, keep=everything(16))
    one = window_mean_variance(weights, inside=[True, False], products=white)
    assert one == pytest.approx(1 / (8 - 2))
    assert window_mean_variance(weights, inside=[True, True], products=white) == pytest.approx(one / 2)
    overlapping = window_weights(np.ones(8), width=8, step=4, keep=everything(16))
    # 4 volumes of weight 1/16 at either end, 4 of 2/16 in the middle: sum of squares 24/256, that of a window 1/8
    assert window_mean_variance(overlapping, inside=[True, True, False], products=white) == pytest.approx(one * 24 / 32)
    spoilt = np.vstack([overlapping[:2], np.full((1, 16), np.nan)])
    assert window_mean_variance(spoilt, inside=[True, True, True], products=white) == pytest.approx(one * 24 / 32)
    assert np.isnan(window_mean_variance(spoilt, inside=[False, False, True], products=white))
    # a window of two volumes has no finite variance: counted as of three dimensions
    tiny = window_weights(np.ones(2), width=2, step=2, keep=everything(16))
    assert window_mean_variance(tiny, inside=np.arange(8) == 1, products=white) == pytest.approx(1)


def test_independent_windows_by_hand():
    # left at 2 of 9 windows, entered at 1 of 10: 20 windows are worth 20 (2/9 + 1/10) / 2, which is 3.2
    labels = [0] * 4 + [1] * 6 + [0] * 5 + [1] * 5
    assert independent_windows(labels, k=2, block=2) == pytest.approx(np.full(2, 10 * (2 / 9 + 1 / 10)))
    assert independent_windows(labels, k=2, block=10) == pytest.approx([2, 2])
    assert independent_windows(labels, k=3, block=2)[2] == 1
    apart = joined([[0] * 10, [1] * 10])
    np.testing.assert_array_equal(independent_windows(apart, k=2, block=2), [1, 1])
    assert np.isnan(independent_windows([NO_STATE], k=2, block=2)).all()


def test_independent_windows_are_those_of_a_chain(rng):
    """The variance of the share over many chains is that of as many independent looks."""
    n, leave, enter = 4000, 0.02, 0.05
    draws, state = rng.random((n, 400)), np.zeros((n, 400), dtype=int)
    for t in range(1, n):
        now = state[t - 1]
        state[t] = np.where(draws[t] < np.where(now == 1, leave, enter), 1 - now, now)
    share = (state[500:] == 1).mean(axis=0)
    found = [independent_windows(each, k=2, block=1)[1] for each in state[500:].T]
    p = enter / (leave + enter)
    assert np.mean(found) == pytest.approx(p * (1 - p) / share.var(), rel=0.2)


def test_the_interval_of_a_share_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for count, n in [(3, 10), (9, 10), (20, 47)]:
        se, low, high = share_interval(count / n, n=n)
        assert (low, high) == pytest.approx(proportion_confint(count, n, method="jeffreys"))
        middle = (count + 0.5) / (n + 1)
        assert se == pytest.approx(np.sqrt(middle * (1 - middle) / (n + 2)))
    se, low, high = share_interval([0.0, 1.0, 0.999], n=[4.0, 4.0, 1.0])
    assert (low[0], high[1]) == (0, 1)
    assert 0 < high[0] == pytest.approx(1 - low[1])
    assert low[2] <= 0.999 <= high[2]
