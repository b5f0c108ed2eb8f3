"""Values that are known only to lie beyond a limit: regression by maximum likelihood, and a test by ranks.

A value is a pair of bounds, lower and upper. They are equal where the value was measured, infinite on the side that is
not known: (2.5, inf) is a threshold above the maximum of the device, (-inf, 0.1) a concentration below detection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

MAX_STEPS = 100
SETTLED = 1e-9
COLLINEAR = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tobit:
    """Regression of values of which some are censored.

    Attributes
    ----------
    coefficients : (n_regressor,)
    covariance : (n_regressor, n_regressor)
        With the factor n / df, so that without censoring it is that of least squares.
    sigma : float
        Standard deviation around the regression, with the same factor.
    df : float
        People less regressors.
    log_likelihood : float
    """

    coefficients: Array
    covariance: Array
    sigma: float
    df: float
    log_likelihood: float

    def contrast(self, weights: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float, float, float]:
        """Return a weighted sum of coefficients: value, standard error, interval, and p by Student's t."""
        w = np.asarray(weights, dtype=np.float64)
        value, se = float(w @ self.coefficients), float(np.sqrt(w @ self.covariance @ w))
        reach = float(scipy.stats.t.isf((1 - level) / 2, self.df)) * se
        p = 2 * float(scipy.stats.t.sf(abs(value) / se, self.df))
        return value, se, value - reach, value + reach, p


def tobit(lower: ArrayLike, upper: ArrayLike, *, design: ArrayLike) -> Tobit:
    """Return the regression of values known between bounds, errors normal, by maximum likelihood.

    The likelihood of Tobin 1958 (10.2307/1907382) for any mix of measured, left-, right- and interval-censored values.
    In the parameters ``1/sigma`` and ``b/sigma`` it is concave (Olsen 1978, 10.2307/1913082), so that Newton's steps
    find its one maximum.

    Parameters
    ----------
    lower, upper : (n_person,)
        Equal where the value was measured; infinite where it has no bound. Without NaN.
    design : (n_person, n_regressor)
        Include a column of ones for the mean.

    Raises
    ------
    InputError
        If a lower bound lies above the upper one, or neither is finite.
    QualityError
        With the reason ``too_few_dof`` if the regressors depend on each other, or the values leave no finite estimate:
        for example where all of one group lie beyond the limit.
    """
    low, high = _bounds(lower, upper)
    x = np.asarray(design, dtype=np.float64)
    check_length("design", x, expected=len(low))
    scale = _whole_rank(x, low, high)
    of_mean, centre, spread = _start(low, high, x)
    bounds = ((low - centre) / spread, (high - centre) / spread)
    found, information, log_likelihood = _maximum(*bounds, x / scale)
    theta = found[-1]
    gradient = np.hstack([np.eye(x.shape[1]) / theta, -found[:-1, np.newaxis] / theta**2])
    inner = np.linalg.inv(information)
    df = len(low) - x.shape[1]
    covariance = gradient @ inner @ gradient.T * (spread**2 * len(low) / df) / np.outer(scale, scale)
    coefficients = found[:-1] / theta * spread / scale
    measured = int(np.count_nonzero(low == high))
    return Tobit(
        coefficients=coefficients + centre * of_mean,
        covariance=covariance,
        sigma=float(spread / theta * np.sqrt(len(low) / df)),
        df=float(df),
        log_likelihood=float(log_likelihood - measured * np.log(spread)),
    )


def _bounds(lower: ArrayLike, upper: ArrayLike) -> tuple[Array, Array]:
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if low.shape != high.shape or low.ndim != 1:
        raise InputError(f"`lower` and `upper` must be two lists of equal length; got {low.shape} and {high.shape}.")
    bad = ~(low <= high) | (np.isinf(low) & np.isinf(high))
    if bad.any():
        place = int(np.argmax(bad))
        raise InputError(
            f"`lower` must not lie above `upper`, and one be finite; got {low[place]} and {high[place]} at {place}."
        )
    return low, high


def _whole_rank(x: Array, low: Array, high: Array) -> Array:
    """Return the size of each column; QualityError unless the regressors are independent and values can vary."""
    scale = np.linalg.norm(x, axis=0)
    size = np.linalg.svd(x / np.where(scale > 0, scale, 1.0), compute_uv=False)
    if len(x) <= x.shape[1] or size[-1] <= COLLINEAR * size[0]:
        raise QualityError(
            f"{len(x)} people and {x.shape[1]} regressors, of which {np.count_nonzero(size > COLLINEAR * size[0])} are "
            "independent: there must be more people, who differ in every regressor.",
            reason=Reason.TOO_FEW_DOF,
        )
    if not np.ptp(_middle(low, high)) > 0:
        raise QualityError("all values are the same; there is nothing to estimate.", reason=Reason.ZERO_VARIANCE)
    return scale


def _middle(low: Array, high: Array) -> Array:
    """Return the value, or the middle of its bounds, or the one bound that is known."""
    ends = [np.where(np.isfinite(end), end, other) for end, other in ((low, high), (high, low))]
    return np.asarray((ends[0] + ends[1]) / 2)


def _start(low: Array, high: Array, x: Array) -> tuple[Array, float, float]:
    """Return how the design makes a constant, and centre and spread that are taken off; 0 if it makes none."""
    of_mean = np.linalg.lstsq(x, np.ones(len(x)), rcond=None)[0]
    middle = _middle(low, high)
    centre = float(middle.mean()) if np.allclose(x @ of_mean, 1) else 0.0
    return np.asarray(of_mean), centre, float(middle.std(ddof=0))


def _maximum(low: Array, high: Array, x: Array) -> tuple[Array, Array, float]:
    """Return (b / sigma, 1 / sigma), the information there, and the log-likelihood, by damped Newton steps."""
    at = np.zeros(x.shape[1] + 1)
    at[-1] = 1.0
    value, slope, information = _likelihood(at, low, high, x)
    for _ in range(MAX_STEPS):
        step = np.linalg.lstsq(information, slope, rcond=None)[0]
        gain = float(slope @ step)
        if gain < SETTLED:
            return _settled(at, information, value)
        share = 1.0
        while share > 1e-10:
            tried = at + share * step
            if tried[-1] > 0:
                found = _likelihood(tried, low, high, x)
                if found[0] >= value + 1e-4 * share * gain:
                    break
            share /= 2
        else:
            return _settled(at, information, value)
        at, (value, slope, information) = tried, found
    raise _no_estimate()


def _settled(at: Array, information: Array, value: float) -> tuple[Array, Array, float]:
    """Return the maximum; QualityError where it lies at infinity, so that the likelihood is flat."""
    curvature = np.linalg.eigvalsh(information)
    if curvature[0] <= 1e-9 * curvature[-1]:
        raise _no_estimate()
    return at, information, value


def _no_estimate() -> QualityError:
    return QualityError(
        "the values leave no finite estimate: too few were measured, or all of a group lie beyond the limit.",
        reason=Reason.TOO_FEW_DOF,
    )


def _likelihood(at: Array, low: Array, high: Array, x: Array) -> tuple[float, Array, Array]:
    """Return log-likelihood, gradient and information of (b / sigma, 1 / sigma)."""
    theta, shift = at[-1], x @ at[:-1]
    exact = low == high
    a, b = theta * low - shift, theta * high - shift
    log_mass = _log_mass(np.where(exact, -1.0, a), np.where(exact, 1.0, b))
    value = np.where(exact, np.log(theta) - 0.5 * np.where(exact, a, 0) ** 2 - 0.5 * np.log(2 * np.pi), log_mass)
    # ratios of density to mass at both bounds: 0 at infinity, and unused where the value was measured
    of_a, of_b = (np.exp(-0.5 * np.where(exact, 0, end) ** 2 - 0.5 * np.log(2 * np.pi) - log_mass) for end in (a, b))
    of_a, of_b = np.where(exact, 0, of_a), np.where(exact, 0, of_b)
    finite = [np.where(np.isfinite(end), end, 0.0) for end in (a, b)]
    by_a, by_b = np.where(exact, -finite[0], -of_a), of_b
    aa = np.where(exact, 1.0, of_a**2 - finite[0] * of_a)
    bb = of_b**2 + finite[1] * of_b
    ab = -of_a * of_b
    along_a = np.hstack([-x, np.where(np.isfinite(low), low, 0.0)[:, np.newaxis]])
    along_b = np.hstack([-x, np.where(np.isfinite(high), high, 0.0)[:, np.newaxis]])
    slope = along_a.T @ by_a + along_b.T @ by_b
    cross = (along_a * ab[:, np.newaxis]).T @ along_b
    information = (
        (along_a * aa[:, np.newaxis]).T @ along_a + (along_b * bb[:, np.newaxis]).T @ along_b + cross + cross.T
    )
    slope[-1] += exact.sum() / theta
    information[-1, -1] += exact.sum() / theta**2
    return float(value.sum()), slope, information


def _log_mass(a: Array, b: Array) -> Array:
    """Return ``log(Phi(b) - Phi(a))``, in the tail where it keeps its digits."""
    turn = a > 0
    low, high = np.where(turn, -b, a), np.where(turn, -a, b)
    log_low, log_high = scipy.special.log_ndtr(low), scipy.special.log_ndtr(high)
    with np.errstate(divide="ignore"):
        return np.asarray(log_high + np.log1p(-np.exp(np.minimum(log_low - log_high, -1e-16))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gehan:
    """A comparison of two groups by ranks.

    ``superiority`` is the share of pairs in which the first group has the larger value, pairs that cannot be told
    counted half; ``z`` and ``p`` are two-sided; ``told`` is the share of pairs that can be told.
    """

    superiority: float
    z: float
    p: float
    told: float


def gehan_test(lower: ArrayLike, upper: ArrayLike, *, first: ArrayLike) -> Gehan:
    """Return Gehan's generalised Wilcoxon test of values known between bounds.

    Two values are in order if the bounds tell it. The score of a person is how many others lie below less how many lie
    above (Gehan 1965, 10.1093/biomet/52.1-2.203); its sum over a group has the variance of permutations (Mantel 1967,
    10.2307/2528134). Without censoring it is the test of Mann and Whitney with its correction for ties.

    Parameters
    ----------
    lower, upper : (n_person,)
        As in :func:`tobit`.
    first : (n_person,) bool
        Who is in the first group.
    """
    low, high = _bounds(lower, upper)
    who = np.asarray(first, dtype=bool)
    check_length("first", who, expected=len(low))
    n, n_first = len(who), int(who.sum())
    if not 0 < n_first < n:
        raise InputError(f"`first` must name some of {n} people, not {n_first}.")
    exact = low == high
    above = (low[:, np.newaxis] >= high) & ~(exact[:, np.newaxis] & exact & (low[:, np.newaxis] == low))
    score = above.sum(axis=1) - above.sum(axis=0)
    total = float(score[who].sum())
    variance = n_first * (n - n_first) * float(np.sum(score.astype(float) ** 2)) / (n * (n - 1))
    z = total / np.sqrt(variance) if variance > 0 else 0.0
    wins, losses = (float(block.sum()) for block in (above[np.ix_(who, ~who)], above[np.ix_(~who, who)]))
    pairs = n_first * (n - n_first)
    return Gehan(
        superiority=0.5 + (wins - losses) / 2 / pairs,
        z=float(z),
        p=float(2 * scipy.stats.norm.sf(abs(z))),
        told=(wins + losses) / pairs,
    )
