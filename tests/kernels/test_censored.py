"""Values beyond a limit: least squares without any, an independent likelihood, Mann and Whitney, and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.duration.survfunc import survdiff

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels.censored import gehan_test, tobit


def people(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), np.arange(n) % 2, rng.normal(40, 10, n)])
    return design @ [300, -60, 1] + rng.normal(0, 80, n), design


def bounded(values: np.ndarray, *, floor: float = -np.inf, ceiling: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    low = np.where(values > ceiling, ceiling, np.where(values < floor, -np.inf, values))
    return low, np.where(values < floor, floor, np.where(values > ceiling, np.inf, values))


def oracle(low: np.ndarray, high: np.ndarray, design: np.ndarray, *, start: list[float]) -> np.ndarray:
    """Coefficients and standard deviation by a search without derivatives on the plain likelihood."""

    def loss(at: np.ndarray) -> float:
        mean, sd = design @ at[:-1], np.exp(at[-1])
        # the mass between the bounds in the tail where the difference keeps its digits
        upper = stats.norm.sf(low, mean, sd) - stats.norm.sf(high, mean, sd)
        lower = stats.norm.cdf(high, mean, sd) - stats.norm.cdf(low, mean, sd)
        mass = np.log(np.maximum(np.where(low > mean, upper, lower), 1e-300))
        return -float(np.where(low == high, stats.norm.logpdf(low, mean, sd), mass).sum())

    how = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-7, "fatol": 1e-9}
    found = optimize.minimize(loss, start, method="Nelder-Mead", options=how)
    return np.append(found.x[:-1], np.exp(found.x[-1]))


def test_without_censoring_it_is_least_squares() -> None:
    values, design = people(1)
    fit, ols = tobit(values, values, design=design), sm.OLS(values, design).fit()
    assert fit.coefficients == pytest.approx(ols.params)
    assert fit.covariance == pytest.approx(ols.cov_params(), rel=1e-5)
    assert fit.sigma == pytest.approx(np.sqrt(ols.mse_resid), rel=1e-6)
    assert fit.log_likelihood == pytest.approx(ols.llf)
    test = ols.t_test([0, 1, 0])
    expected = [float(test.effect[0]), float(test.sd[0, 0]), *test.conf_int()[0], float(test.pvalue)]
    assert fit.contrast([0, 1, 0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["right", "left", "both", "interval"])
def test_agrees_with_a_search_on_the_likelihood(kind: str) -> None:
    values, design = people(2, n=40)
    limits = {"right": {"ceiling": 350.0}, "left": {"floor": 250.0}}.get(kind, {"floor": 230.0, "ceiling": 360.0})
    low, high = bounded(values, **limits)
    if kind == "interval":
        between = (values > 280) & (values < 320)
        low, high = np.where(between, 280, low), np.where(between, 320, high)
    design = design[:, :2]
    fit = tobit(low, high, design=design)
    expected = oracle(low, high, design, start=[300.0, 0.0, np.log(80.0)])
    assert fit.coefficients == pytest.approx(expected[:2], rel=1e-4)
    assert fit.sigma * np.sqrt(38 / 40) == pytest.approx(expected[2], rel=1e-4)


def test_covariance_is_the_inverse_of_the_numerical_curvature() -> None:
    values, design = people(3)
    low, high = bounded(values, ceiling=340.0)
    fit = tobit(low, high, design=design)

    def log_likelihood(at: np.ndarray) -> float:
        mean = design @ at[:-1]
        measured = stats.norm.logpdf(np.where(low == high, low, 0), mean, at[-1])
        return float(np.where(low == high, measured, stats.norm.logsf(low, mean, at[-1])).sum())

    at = np.append(fit.coefficients, fit.sigma * np.sqrt(fit.df / 60))
    assert log_likelihood(at) == pytest.approx(fit.log_likelihood)
    step = np.array([1e-2, 1e-2, 1e-3, 1e-2])
    moves = np.eye(4) * step
    curvature = np.array([
        [
            sum(s * t * log_likelihood(at + s * moves[i] + t * moves[j]) for s in (1, -1) for t in (1, -1))
            / (4 * step[i] * step[j])
            for j in range(4)
        ]
        for i in range(4)
    ])  # fmt: skip
    expected = np.linalg.inv(-curvature)[:3, :3] * 60 / fit.df
    assert fit.covariance == pytest.approx(expected, rel=2e-3, abs=1e-3)


def test_units_and_mirror_image() -> None:
    values, design = people(4)
    low, high = bounded(values, floor=260.0, ceiling=370.0)
    fit = tobit(low, high, design=design)
    turned = tobit(1000 - 2 * high, 1000 - 2 * low, design=design)
    assert turned.coefficients == pytest.approx([1000, 0, 0] - 2 * fit.coefficients, rel=1e-6)
    assert turned.sigma == pytest.approx(2 * fit.sigma, rel=1e-6)
    scaled = tobit(low, high, design=design * [1, 1, 1000])
    assert scaled.coefficients * [1, 1, 1000] == pytest.approx(fit.coefficients, rel=1e-6)


def test_a_design_without_a_constant() -> None:
    values, design = people(5)
    slope = design[:, 2:] / 40
    fit = tobit(values, values, design=slope)
    assert fit.coefficients == pytest.approx(sm.OLS(values, slope).fit().params)


def test_far_limits_lose_no_digits() -> None:
    """A limit thirty standard deviations away says nothing: as good as a value that is not bounded there."""
    values, design = people(6)
    low, high = values.copy(), values.copy()
    low[0], high[0] = 300.0, np.inf
    near = tobit(low, high, design=design)
    high[0] = 300.0 + 30 * near.sigma
    assert tobit(low, high, design=design).coefficients == pytest.approx(near.coefficients)


def test_a_value_known_to_lie_far_out_keeps_its_weight() -> None:
    """Above a limit forty standard deviations from the others; found by the logarithm of the survival function."""
    rng = np.random.default_rng(7)
    low = np.append(rng.normal(0, 1, 400), 40.0)
    high = np.append(low[:-1], np.inf)
    fit = tobit(low, high, design=np.ones((401, 1)))

    def loss(at: np.ndarray) -> float:
        measured = stats.norm.logpdf(low[:-1], at[0], np.exp(at[1])).sum()
        return -float(measured + stats.norm.logsf(40.0, at[0], np.exp(at[1])))

    expected = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert fit.log_likelihood == pytest.approx(-expected.fun)
    assert fit.coefficients[0] == pytest.approx(expected.x[0], abs=1e-4)
    assert fit.sigma * np.sqrt(400 / 401) == pytest.approx(np.exp(expected.x[1]), rel=1e-4)


def test_recovers_what_the_naive_mean_does_not() -> None:
    """Cold pain thresholds of 10 and 4 degC, spread 9, cut off at 0 degC: 13 and 33 % censored."""
    rng = np.random.default_rng(8)
    n, truth = 60, 6.0
    design = np.column_stack([np.ones(n), np.arange(n) < n // 2])
    estimates, held, dropped, at_limit = [], [], [], []
    for _ in range(500):
        values = 4 + truth * design[:, 1] + rng.normal(0, 9, n)
        low, high = bounded(values, floor=0.0)
        value, _, below, above, _ = tobit(low, high, design=design).contrast([0, 1])
        estimates.append(value)
        held.append(below <= truth <= above)
        first = design[:, 1] == 1
        dropped.append(values[first & (values > 0)].mean() - values[~first & (values > 0)].mean())
        at_limit.append(np.maximum(values, 0)[first].mean() - np.maximum(values, 0)[~first].mean())
    assert np.mean(estimates) == pytest.approx(truth, abs=0.3)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    assert np.mean(dropped) < 4.0
    assert np.mean(at_limit) < 5.2


def test_ranks_without_censoring_are_those_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(9)
    values, first = rng.integers(0, 9, 35).astype(float), np.arange(35) < 14
    found = gehan_test(values, values, first=first)
    expected = stats.mannwhitneyu(values[first], values[~first], use_continuity=False, method="asymptotic")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.superiority == pytest.approx(expected.statistic / (14 * 21))


def test_ranks_with_censoring_near_those_of_survival() -> None:
    rng = np.random.default_rng(10)
    values = rng.exponential(1, 120) * np.where(np.arange(120) < 60, 1.0, 1.8)
    low, high = bounded(values, ceiling=1.5)
    first = np.arange(120) < 60
    found = gehan_test(low, high, first=first)
    statistic, p = survdiff(low, (values <= 1.5).astype(int), first.astype(int), weight_type="gb")
    assert found.z**2 == pytest.approx(statistic, rel=0.05)
    assert found.p == pytest.approx(p, rel=0.3)
    assert found.z < 0, "the first group has the smaller values"


def test_order_of_pairs_by_hand() -> None:
    """3 and above 3: above is more. Below 3 and above 2: cannot be told. 3 and 3: equal."""
    told = gehan_test([3.0, 3], [np.inf, 3], first=[True, False])
    assert (told.superiority, told.told) == (1.0, 1.0)
    untold = gehan_test([-np.inf, 2], [3.0, np.inf], first=[True, False])
    assert (untold.superiority, untold.told, untold.z, untold.p) == (0.5, 0.0, 0.0, 1.0)
    assert gehan_test([3.0, 3], [3.0, 3], first=[True, False]).told == 0
    assert gehan_test([3.0, -np.inf], [3.0, 3], first=[True, False]).superiority == 1.0


def test_the_rank_test_keeps_its_level() -> None:
    rng = np.random.default_rng(11)
    first = np.arange(24) < 10
    p = [gehan_test(*bounded(rng.normal(0, 1, 24), floor=-0.7, ceiling=0.9), first=first).p for _ in range(2000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_what_has_no_estimate_is_refused() -> None:
    design = np.column_stack([np.ones(7), [0, 0, 0, 1, 1, 1, 1]])
    beyond = np.array([1.0, 2, 3, 4, 4, 4, 4])
    with pytest.raises(QualityError, match="no finite estimate") as caught:
        tobit(beyond, np.where(beyond == 4, np.inf, beyond), design=design)
    assert caught.value.reason is Reason.TOO_FEW_DOF
    with pytest.raises(QualityError, match="all values are the same"):
        tobit([4.0] * 3, [np.inf] * 3, design=np.ones((3, 1)))
    with pytest.raises(QualityError, match="independent"):
        tobit(beyond, beyond, design=np.ones((7, 2)))


@pytest.mark.parametrize(
    ("low", "high"), [([1.0, 3], [2.0, 2]), ([-np.inf, 1], [np.inf, 1]), ([np.nan, 1], [1.0, 1]), ([1.0], [1.0, 2])]
)
def test_impossible_bounds_are_named(low: list, high: list) -> None:
    with pytest.raises(InputError, match="`lower`"):
        gehan_test(low, high, first=[True] + [False] * (len(low) - 1))


def test_a_comparison_needs_two_groups() -> None:
    with pytest.raises(InputError, match="`first` must name some"):
        gehan_test([1.0, 2], [1.0, 2], first=[True, True])
