"""Psychometric functions of yes/no answers: the threshold with its interval, from the posterior on a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length, check_option

Array = NDArray[np.float64]

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
    intercept and slope (that of Firth's regression, 10.1093/biomet/80.1.27): it is finite where the answers change
    without overlap, and its intervals were found to hold the truth about as often as they should
    (docs/decisions/0034-psychometric-threshold.md). Nothing has to converge.

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


Counts = tuple[Array, Array, Array]


def _counted(x: Array, y: Array) -> Counts:
    """The distinct stimuli, and how often yes and no were the answers to each."""
    levels, place = np.unique(x, return_inverse=True)
    yes = np.asarray(np.bincount(place, weights=y), dtype=np.float64)
    return np.asarray(levels, dtype=np.float64), yes, np.asarray(np.bincount(place) - yes, dtype=np.float64)


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
    offset = levels - levels.mean()
    sums = weight @ np.stack([np.ones_like(offset), offset, offset**2], axis=-1)
    information = np.maximum(sums[..., 0] * sums[..., 2] - sums[..., 1] ** 2, np.finfo(np.float64).tiny)
    height = np.log(p) @ yes + np.log1p(-p) @ no + 0.5 * np.log(information) - np.log(widths)
    return np.asarray(np.exp(height - height.max()))


def _where(grid: Array, share: Array) -> Array:
    """A finer grid over the thresholds that are not negligible."""
    total = np.cumsum(share)
    first = max(int(np.searchsorted(total, NEGLIGIBLE)) - 1, 0)
    last = min(int(np.searchsorted(total, 1 - NEGLIGIBLE)) + 1, grid.size - 1)
    return np.linspace(grid[first], grid[last], FINE)
