"""Thresholds of yes/no answers: psychometric functions by their posterior, logistic ones by penalised likelihood.

Both are found on a grid, so that nothing has to converge, and both weigh by the information about intercept and slope
(Firth 1993, 10.1093/biomet/80.1.27), so that there is an estimate where the answers change without overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length, check_option

Array = NDArray[np.float64]

# -------------------------------------------------------------------------------------------- posterior on a grid

COARSE, FINE, N_WIDTHS = 41, 81, 24
WIDTHS = (0.01, 3.0)
"""Narrowest and widest rise that is considered, as shares of the range of the stimuli."""
SPANS = 2.0
"""Thresholds are looked for this many ranges of the stimuli beyond them."""
GUESSES = np.array([0.0, 0.02, 0.05, 0.1, 0.16, 0.24, 0.35, 0.5])
NEGLIGIBLE = 1e-4
"""Probability at either end that the finer grid leaves out."""
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Psychometric:
    """A psychometric function ``P(yes | x) = g + (1 - g - l) F((x - threshold) / width)``.

    ``threshold``, where F is one half, is the median of its posterior, ``ci_low`` and ``ci_high`` the 2.5 and 97.5 %
    points, ``se`` the standard deviation, in the unit of the stimulus. ``width`` and ``guess`` (g) are those of the
    highest posterior; ``lapse`` is l, ``function`` names F.
    """

    threshold: float
    se: float
    ci_low: float
    ci_high: float
    width: float
    guess: float
    lapse: float
    function: str

    def probability(self, stimulus: ArrayLike) -> Array:
        """Return the probability of a yes at each stimulus, any shape."""
        z = (np.asarray(stimulus, dtype=np.float64) - self.threshold) / self.width
        return self.guess + (1 - self.guess - self.lapse) * _FUNCTIONS[self.function][0](z)


def _logistic(z: Array) -> Array:
    return np.asarray(scipy.special.expit(z))


def _logistic_density(z: Array) -> Array:
    p = _logistic(z)
    return p * (1 - p)


def _normal(z: Array) -> Array:
    return np.asarray(scipy.special.ndtr(z))


def _normal_density(z: Array) -> Array:
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


_FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "logistic": (_logistic, _logistic_density),
    "normal": (_normal, _normal_density),
}

Counts = tuple[Array, Array, Array]


def _counted(x: Array, y: Array) -> Counts:
    """The distinct stimuli, and how often yes and no were the answers to each."""
    levels, place = np.unique(x, return_inverse=True)
    yes = np.asarray(np.bincount(place, weights=y), dtype=np.float64)
    return np.asarray(levels, dtype=np.float64), yes, np.asarray(np.bincount(place) - yes, dtype=np.float64)


def _half_log_information(weight: Array, levels: Array) -> Array:
    """Half the logarithm of the determinant of the information (...,) about intercept and slope; weight (..., n)."""
    offset = levels - levels.mean()
    sums = weight @ np.stack([np.ones_like(offset), offset, offset**2], axis=-1)
    determinant = np.maximum(sums[..., 0] * sums[..., 2] - sums[..., 1] ** 2, np.finfo(np.float64).tiny)
    return np.asarray(0.5 * np.log(determinant))


def rises(stimulus: ArrayLike, yes: ArrayLike) -> bool:
    """Return whether yes (n,) becomes more frequent with the stimulus (n,).

    The sign of the covariance is that of the slope of a logistic regression, whose likelihood is concave.
    """
    x, y = np.asarray(stimulus, dtype=np.float64), np.asarray(yes, dtype=np.float64)
    return bool(np.mean((x - x.mean()) * (y - y.mean())) > 0)


def fit_psychometric(
    stimulus: ArrayLike,
    yes: ArrayLike,
    *,
    function: str,
    lapse: float,
    guess: float = 0.0,
    false_alarms: int = 0,
    catches: int = 0,
) -> Psychometric:
    """Return the psychometric function of answers (n,), 1 for yes and 0 for no, to stimuli (n,).

    The prior density of threshold t and logarithm of the width w is ``|I|^(1/2) / w``, with the information I about
    intercept and slope: its intervals were found to hold the truth about as often as they should
    (docs/decisions/0034-psychometric-threshold.md).

    Parameters
    ----------
    stimulus, yes : (n_trial,)
    function
        "logistic" or "normal" (cumulative normal).
    lapse
        Share of no to the clearest stimulus; fixed.
    guess
        Share of yes without a stimulus; fixed, unless there are catch trials.
    false_alarms, catches
        Number of yes among the trials without a stimulus, and of those trials. With them the guess rate is unknown, up
        to one half, and averaged over.

    Raises
    ------
    InputError
        If the arrays differ in length, the answers are all the same or do not rise with the stimulus (:func:`rises`),
        or the function is not known.
    """
    check_option("function", function, allowed=tuple(_FUNCTIONS))
    x, y = np.asarray(stimulus, dtype=np.float64), np.asarray(yes, dtype=np.float64)
    check_length("yes", y, expected=x.size)
    if np.ptp(y) == 0 or not rises(x, y):
        raise InputError("the answers must differ, and a yes must become more frequent with the stimulus.")
    guesses = GUESSES if catches else np.array([guess])
    start = _binomial(guesses, false_alarms, catches)
    widths = np.ptp(x) * np.geomspace(*WIDTHS, N_WIDTHS)
    grid = np.linspace(x.min() - SPANS * np.ptp(x), x.max() + SPANS * np.ptp(x), COARSE)
    for last in (False, True):
        mass = _posterior(_counted(x, y), grid, widths, guesses, lapse=lapse, functions=_FUNCTIONS[function]) * start
        share = mass.sum(axis=(0, 2)) / mass.sum()
        if not last:
            grid = _where(grid, share)
    kind, _, width = np.unravel_index(int(mass.argmax()), mass.shape)
    middle, low, high = np.interp([0.5, 0.025, 0.975], np.cumsum(share) - 0.5 * share, grid)
    return Psychometric(
        threshold=float(middle),
        se=float(np.sqrt(np.sum(share * (grid - np.sum(share * grid)) ** 2))),
        ci_low=float(low),
        ci_high=float(high),
        width=float(widths[width]),
        guess=float(guesses[kind]),
        lapse=lapse,
        function=function,
    )


def _binomial(guesses: Array, false_alarms: int, catches: int) -> Array:
    """Weight of every guess rate (n_guess, 1, 1): likelihood of the catch trials times its part of the range."""
    likelihood = np.maximum(guesses, TINY) ** false_alarms * (1 - guesses) ** (catches - false_alarms)
    part = np.gradient(guesses) if guesses.size > 1 else np.ones(1)
    return np.asarray(likelihood * part)[:, np.newaxis, np.newaxis]


def _posterior(
    data: Counts,
    thresholds: Array,
    widths: Array,
    guesses: Array,
    *,
    lapse: float,
    functions: tuple[Callable[[Array], Array], Callable[[Array], Array]],
) -> Array:
    """Posterior (n_guess, n_threshold, n_width) but for a factor, without that of the catch trials."""
    levels, yes, no = data
    rise, density = functions
    z = (levels - thresholds[:, np.newaxis, np.newaxis]) / widths[:, np.newaxis]
    rate = guesses[:, np.newaxis, np.newaxis, np.newaxis]
    p = np.clip(rate + (1 - rate - lapse) * rise(z), TINY, 1 - TINY)
    weight = (yes + no) * ((1 - rate - lapse) * density(z)) ** 2 / (p * (1 - p))
    height = np.log(p) @ yes + np.log1p(-p) @ no + _half_log_information(weight, levels) - np.log(widths)
    return np.asarray(np.exp(height - height.max()))


def _where(grid: Array, share: Array) -> Array:
    """A finer grid over the thresholds that are not negligible."""
    total = np.cumsum(share)
    first = max(int(np.searchsorted(total, NEGLIGIBLE)) - 1, 0)
    last = min(int(np.searchsorted(total, 1 - NEGLIGIBLE)) + 1, grid.size - 1)
    return np.linspace(grid[first], grid[last], FINE)


# ------------------------------------------------------------------------------- profile of the penalised likelihood

N_PROFILE_WIDTHS = 48
PROFILE_WIDTHS = (0.004, 4.0)
"""Narrowest and widest logistic that is considered, as shares of the range of the intensities."""
N_THRESHOLDS = 41
ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The 50 % point with its interval, and the width of the logistic, in the unit of the intensity.

    NaN where there is none. ``answered`` of ``n`` stimuli were answered; ``falling`` says that answers became rarer
    with intensity.
    """

    value: float
    ci_low: float
    ci_high: float
    width: float
    n: int
    answered: int
    falling: bool = False

    @property
    def se(self) -> float:
        """Standard error, from the width of the 95 % interval."""
        return (self.ci_high - self.ci_low) / (2 * 1.959964)


def logistic_threshold(
    intensity: ArrayLike, answered: ArrayLike, *, limits: tuple[float, float], level: float = 0.95
) -> Threshold:
    """Return the intensity that is answered half of the time, by penalised logistic regression.

    ``P(answer | x) = 1 / (1 + exp(-(x - t) / w))``. The likelihood is multiplied by the square root of the determinant
    of the information matrix; the interval is that of the penalised profile likelihood of ``t`` (Heinze & Schemper
    2002, 10.1002/sim.1047). Both are found on a grid that is refined.

    Parameters
    ----------
    intensity : (n_trial,)
    answered : (n_trial,)
        True or 1 where there was a response.
    limits
        Smallest and largest intensity that is possible; the interval ends there if the data do not end it.
    level
        Of the interval.

    Returns
    -------
    Threshold
        NaN if all or none were answered, at a single intensity, or if answers became rarer with intensity.

    Raises
    ------
    InputError
        If the two arrays differ in length.
    """
    x, y = np.asarray(intensity, dtype=np.float64), np.asarray(answered, dtype=np.float64)
    check_length("answered", y, expected=x.size)
    if limits[0] >= limits[1]:
        raise InputError(f"`limits` must be (smallest, largest); got {limits}.")
    n, count = x.size, int(y.sum())
    nothing = Threshold(value=np.nan, ci_low=np.nan, ci_high=np.nan, width=np.nan, n=n, answered=count)
    if count in (0, n) or np.ptp(x) == 0:
        return nothing
    if not rises(x, y):
        return replace(nothing, falling=True)
    data = _counted(x, y)
    widths = np.ptp(x) * np.geomspace(*PROFILE_WIDTHS, N_PROFILE_WIDTHS)
    value, best, width = _maximum(data, widths, limits=limits)
    drop = best - 0.5 * float(scipy.special.chdtri(1, 1 - level))
    low, high = (_crossing(data, widths, inside=value, outside=end, height=drop) for end in limits)
    return Threshold(value=value, ci_low=low, ci_high=high, width=width, n=n, answered=count)


def _profile(data: Counts, widths: Array, thresholds: Array) -> tuple[Array, Array]:
    """Penalised log likelihood at ``thresholds`` (n,), maximal over the width; and the widths (n,) of the maxima."""
    levels, answered, unanswered = data
    z = (levels - thresholds[:, None, None]) / widths[:, None]
    likelihood = scipy.special.log_expit(z) @ answered + scipy.special.log_expit(-z) @ unanswered
    weight = (answered + unanswered) * scipy.special.expit(z) * scipy.special.expit(-z)
    height = likelihood + _half_log_information(weight, levels)
    best = height.argmax(axis=-1)
    return np.take_along_axis(height, best[:, None], axis=-1)[:, 0], widths[best]


def _maximum(data: Counts, widths: Array, *, limits: tuple[float, float]) -> tuple[float, float, float]:
    """The threshold of the highest profile, its height, and the width there."""
    low, high = limits
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, N_THRESHOLDS)
        height, found = _profile(data, widths, grid)
        best = int(height.argmax())
        low, high = grid[max(best - 2, 0)], grid[min(best + 2, N_THRESHOLDS - 1)]
    return float(grid[best]), float(height[best]), float(found[best])


def _crossing(data: Counts, widths: Array, *, inside: float, outside: float, height: float) -> float:
    """Where the profile falls below ``height`` on the way from ``inside`` to ``outside``; there if it does not."""
    for _ in range(ROUNDS):
        grid = np.linspace(inside, outside, N_THRESHOLDS)
        below = _profile(data, widths, grid)[0] < height
        if not below.any():
            return outside
        first = max(int(below.argmax()), 1)
        inside, outside = float(grid[first - 1]), float(grid[first])
    return (inside + outside) / 2
