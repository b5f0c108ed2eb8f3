"""Standardised differences of two groups and their intervals, from summaries or from data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_option

Array = NDArray[np.float64]

INTERVALS = ("noncentral_t", "wald")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Means, standard deviations and sizes of two groups at one time.

    Attributes
    ----------
    mean, sd, n : (2, ...)
        First and second group; ``sd`` with ddof 1. What follows are outcomes, which broadcast.
    """

    mean: Array
    sd: Array
    n: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A standardised difference, first group minus second, with what its intervals are made from.

    Attributes
    ----------
    value : (...)
        ``correction * difference / standardiser``.
    standardiser : (...)
        The standard deviation in the denominator.
    scale : (...)
        Standard error of the difference over the standardiser: ``difference / standardiser / scale`` follows a
        noncentral t distribution.
    df : (...)
        Degrees of freedom of the standardiser.
    spread : (...)
        Wald variance of the uncorrected effect ``d`` is ``scale^2 + d^2 / (2 spread)``.
    correction : (...)
        1, or the factor of Hedges for small samples.
    """

    value: Array
    standardiser: Array
    scale: Array
    df: Array
    spread: Array
    correction: Array

    @property
    def se(self) -> Array:
        """Wald standard error of the value."""
        return np.asarray(
            self.correction * np.sqrt(self.scale**2 + (self.value / self.correction) ** 2 / 2 / self.spread)
        )


def groups(*, mean: ArrayLike, sd: ArrayLike, n: ArrayLike) -> Groups:
    """Return the summaries of two groups, checked; NaN stays, as an outcome that is not known.

    Parameters
    ----------
    mean, sd, n : (2, ...)
        First and second group.

    Raises
    ------
    InputError
        If there are not two groups, a standard deviation is not above 0, or a group has fewer than two people.
    """
    parts = {"mean": mean, "sd": sd, "n": n}
    arrays = {name: np.asarray(part, dtype=np.float64) for name, part in parts.items()}
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != 2:
            raise InputError(f"`{name}` must have two entries, first and second group; got shape {array.shape}.")
        if np.isinf(array).any():
            raise InputError(f"`{name}` must be finite; got {array.tolist()}.")
    if (arrays["sd"] <= 0).any():
        raise InputError(f"`sd` must be above 0 in both groups; got {arrays['sd'].tolist()}.")
    size = arrays["n"]
    if ((size < 2) | (size != np.round(size)) & ~np.isnan(size)).any():
        raise InputError(f"`n` must be whole numbers of 2 or more; got {size.tolist()}.")
    return Groups(**arrays)


def groups_of(first: ArrayLike, second: ArrayLike) -> Groups:
    """Return the summaries of the values of two groups; people with NaN are left out, outcome by outcome.

    Parameters
    ----------
    first, second : (n_person, ...)

    Raises
    ------
    InputError
        As :func:`groups`: for example where a group has one person or all have the same value.
    """
    parts = [_summary(np.asarray(values, dtype=np.float64)) for values in (first, second)]
    mean, sd, n = (np.stack(part) for part in zip(*parts, strict=True))
    return groups(mean=mean, sd=sd, n=n)


def _summary(values: Array) -> tuple[Array, Array, Array]:
    known = np.isfinite(values)
    n = np.asarray(np.count_nonzero(known, axis=0), dtype=np.float64)
    mean = np.sum(values, axis=0, where=known) / np.where(n > 0, n, np.nan)
    left = np.where(known, values - mean, 0.0)
    return np.asarray(mean), np.asarray(np.sqrt(np.sum(left**2, axis=0) / np.where(n > 1, n - 1, np.nan))), n


def hedges_correction(df: ArrayLike) -> Array:
    """Return the factor that makes a standardised difference unbiased, exactly.

    ``J = gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2))`` (Hedges 1981, 10.3102/10769986006002107); the
    approximation ``1 - 3 / (4 df - 1)`` differs in the fifth digit at 68 degrees of freedom. NaN for ``df`` of 1 or
    less, where the mean of the effect does not exist.

    >>> round(float(hedges_correction(68)), 6)
    0.988923
    """
    free = np.asarray(df, dtype=np.float64)
    free = np.where(free > 1, free, np.nan)
    log_ratio = scipy.special.gammaln(free / 2) - scipy.special.gammaln((free - 1) / 2)
    return np.asarray(np.exp(log_ratio) / np.sqrt(free / 2))


def pooled_sd(data: Groups) -> Array:
    """Return the standard deviation within two groups, ``sqrt(((n1-1) s1^2 + (n2-1) s2^2) / (n1 + n2 - 2))``."""
    free = data.n - 1
    return np.asarray(np.sqrt(np.sum(free * data.sd**2, axis=0) / np.sum(free, axis=0)))


def _effect(
    difference: Array,
    standardiser: Array,
    *,
    scale: Array,
    df: Array,
    spread: Array,
    correction: Array | float = 1.0,
) -> Effect:
    factor = np.asarray(correction, dtype=np.float64)
    value = np.asarray(factor * difference / standardiser)
    parts = {"standardiser": standardiser, "scale": scale, "df": df, "spread": spread}
    return Effect(value=value, correction=factor, **{name: np.asarray(part) for name, part in parts.items()})


def _size(data: Groups) -> tuple[Array, Array]:
    """Return ``sqrt(1/n1 + 1/n2)`` and the number of people."""
    return np.asarray(np.sqrt(np.sum(1 / data.n, axis=0))), np.asarray(np.sum(data.n, axis=0))


def cohen_d(data: Groups) -> Effect:
    """Return the difference of the means over the standard deviation within groups.

    ``d = (M1 - M2) / S_pooled`` (Cohen 1988); variance ``1/n1 + 1/n2 + d^2 / (2 (n1 + n2))`` (Hedges & Olkin 1985).
    """
    scale, people = _size(data)
    return _effect(data.mean[0] - data.mean[1], pooled_sd(data), scale=scale, df=people - 2, spread=people)


def hedges_g(data: Groups) -> Effect:
    """Return Cohen's d times the exact factor :func:`hedges_correction`.

    The interval by the noncentral t is that of the population effect, which d and g both estimate: it is the same for
    both.
    """
    scale, people = _size(data)
    difference = np.asarray(data.mean[0] - data.mean[1])
    correction = hedges_correction(people - 2)
    return _effect(difference, pooled_sd(data), scale=scale, df=people - 2, spread=people, correction=correction)


def glass_delta(data: Groups, *, standardiser: int = 1, equal_variances: bool = False) -> Effect:
    """Return the difference of the means over the standard deviation of one group.

    Glass 1976 (10.3102/0013189X005010003).

    Parameters
    ----------
    data
        Two groups.
    standardiser
        0 or 1: the group, first or second, whose standard deviation is taken; the second is the usual control.
    equal_variances
        Take the variance of the other group as the same; otherwise the error of its mean has its own variance.
    """
    check_option("standardiser", standardiser, allowed=(0, 1))
    own, other = standardiser, 1 - standardiser
    ratio = np.ones_like(data.sd[0]) if equal_variances else (data.sd[other] / data.sd[own]) ** 2
    scale = np.sqrt(1 / data.n[own] + ratio / data.n[other])
    free = data.n[own] - 1
    return _effect(data.mean[0] - data.mean[1], data.sd[own], scale=scale, df=free, spread=free)


def change_sd(before: Groups, after: Groups, *, r: ArrayLike) -> Array:
    """Return the standard deviations of the change in each group, ``sqrt(s0^2 + s1^2 - 2 r s0 s1)``, (2, ...).

    Raises
    ------
    InputError
        If a correlation does not lie between -1 and 1, or leaves a change without any variance.
    """
    correlation = np.asarray(r, dtype=np.float64)
    if (np.abs(correlation) > 1).any():
        raise InputError(
            f"`r` is the correlation of baseline and follow-up, between -1 and 1; got {correlation.tolist()}."
        )
    variance = before.sd**2 + after.sd**2 - 2 * correlation * before.sd * after.sd
    if (variance <= 0).any():
        raise InputError(
            f"`r` of {correlation.tolist()} leaves no variance of change; the correlation must be below 1."
        )
    return np.asarray(np.sqrt(variance))


def d_of_change(before: Groups, after: Groups, *, r: ArrayLike) -> Effect:
    """Return the difference of the mean changes over the standard deviation of change within groups.

    Parameters
    ----------
    before, after
        The same people at baseline and at follow-up; of ``after`` the number of people is taken.
    r : (...) or (2, ...)
        Correlation of baseline and follow-up within groups.
    """
    change = Groups(mean=after.mean - before.mean, sd=change_sd(before, after, r=r), n=after.n)
    return cohen_d(change)


def dppc2(before: Groups, after: Groups, *, r: ArrayLike) -> Effect:
    """Return the difference of the mean changes over the standard deviation at baseline, corrected.

    ``J (dM1 - dM2) / SD_baseline,pooled`` (Morris 2008, 10.1177/1094428106291059). A baseline that was restricted by
    the criteria of inclusion has a small standard deviation and makes the effect look large.

    Parameters
    ----------
    before, after
        The same people at baseline and at follow-up; of ``after`` the number of people is taken.
    r : (...) or (2, ...)
        Correlation of baseline and follow-up within groups; it matters for the interval only.
    """
    baseline = Groups(mean=before.mean, sd=before.sd, n=after.n)
    standardiser = pooled_sd(baseline)
    _, people = _size(after)
    change = after.mean - before.mean
    error = np.sqrt(np.sum(change_sd(before, after, r=r) ** 2 / after.n, axis=0))
    scale = np.asarray(error / standardiser)
    correction = hedges_correction(people - 2)
    return _effect(
        change[0] - change[1], standardiser, scale=scale, df=people - 2, spread=people, correction=correction
    )


def effect_interval(effect: Effect, *, method: str = "noncentral_t", level: float = 0.95) -> tuple[Array, Array]:
    """Return the limits of an interval of a standardised difference.

    ``noncentral_t``: the population effects for which the observed one is just not surprising (Steiger & Fouladi
    1997; exact for d and g of normal values with equal variances). ``wald``: value -/+ z times :attr:`Effect.se`.

    Parameters
    ----------
    effect
        From one of the functions above.
    method : {"noncentral_t", "wald"}
    level : float
        Between 0 and 1.
    """
    check_option("method", method, allowed=INTERVALS)
    tail = (1 - _level(level)) / 2
    if method == "wald":
        reach = scipy.stats.norm.isf(tail) * effect.se
        return np.asarray(effect.value - reach), np.asarray(effect.value + reach)
    t = effect.value / effect.correction / effect.scale
    low, high = (_noncentrality(t, df=effect.df, share=share) for share in (1 - tail, tail))
    return np.asarray(low * effect.scale), np.asarray(high * effect.scale)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"`level` must lie between 0 and 1, as 0.95; got {level}.")
    return level


def _noncentrality(t: Array, *, df: Array, share: float) -> Array:
    """Return the noncentrality for which ``share`` of the distribution lies below ``t``."""
    known = np.isfinite(t) & (df > 0)
    # the mirror image for negative t, where the library's inverse is less sure
    sign = np.where(t < 0, -1.0, 1.0)
    wanted = np.where(sign > 0, share, 1 - share)
    found = scipy.special.nctdtrinc(np.where(known, df, 1.0), wanted, np.where(known, np.abs(t), 0.0))
    return np.asarray(np.where(known, sign * found, np.nan))


def d_of_difference(difference: float, *, interval: tuple[float, float], n: ArrayLike, level: float = 0.95) -> Effect:
    """Return the effect that a published difference of two means and its interval imply.

    The interval gives the standard error (as a normal one), this the standard deviation
    ``SE / sqrt(1/n1 + 1/n2)``, and this divides the difference. Where a model adjusted for baseline, the standard
    deviation is what the model left, so that the effect is larger than one on raw standard deviations.

    Raises
    ------
    InputError
        If the interval does not hold the difference, or a group has fewer than two people.
    """
    low, high = interval
    if not low < high or not low <= difference <= high:
        raise InputError(f"the interval must hold the difference: low <= {difference} <= high; got {low} and {high}.")
    size = groups(mean=[difference, 0], sd=[1, 1], n=n)
    scale, people = _size(size)
    error = (high - low) / 2 / scipy.stats.norm.isf((1 - _level(level)) / 2)
    return _effect(np.asarray(difference), np.asarray(error / scale), scale=scale, df=people - 2, spread=people)


def bootstrap_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    effect: Callable[[Array, Array], ArrayLike],
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the bootstrap interval of an effect, bias-corrected and accelerated, people resampled within groups.

    Parameters
    ----------
    first, second : (n_person, ...)
        Values of the people of each group, for example (n_person, 2) for baseline and follow-up; without NaN.
    effect
        Function of resamples (n_person, n_resample, ...) of both groups that returns (n_resample,).
    rng
        Source of randomness.
    n_resamples, level
        Number of resamples; level of the interval.
    """
    samples = [np.asarray(values, dtype=np.float64) for values in (first, second)]

    def of_people(*chosen: NDArray[np.int64], axis: int = -1) -> Array:
        picked = [
            values[np.moveaxis(np.asarray(who, dtype=np.intp), axis, 0)]
            for values, who in zip(samples, chosen, strict=True)
        ]
        return np.asarray(effect(*picked), dtype=np.float64)

    found = scipy.stats.bootstrap(
        tuple(np.arange(len(values)) for values in samples),
        of_people,
        n_resamples=n_resamples,
        confidence_level=_level(level),
        method="BCa",
        vectorized=True,
        axis=-1,
        random_state=rng,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
