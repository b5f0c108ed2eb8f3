"""How well a measurement repeated in the same people tells these people apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_option

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """An intraclass correlation with its interval and the number of people."""

    icc: float
    ci_low: float
    ci_high: float
    n: int


def intraclass_correlation(values: ArrayLike, *, kind: str, level: float = 0.95) -> Reliability:
    """Return the intraclass correlation of single measurements.

    ``"2,1"``: two-way random effects, absolute agreement (systematic change counts as error);
    ``"3,1"``: two-way mixed effects, consistency. Definitions of Shrout & Fleiss
    (https://doi.org/10.1037/0033-2909.86.2.420), intervals of McGraw & Wong
    (https://doi.org/10.1037/1082-989X.1.1.30): from F distributions, with Satterthwaite's freedom for agreement.

    Parameters
    ----------
    values : (n_person, n_session)
        A person with NaN is left out.
    kind : {"2,1", "3,1"}
    level : float
        Of the interval.

    Returns
    -------
    Reliability
        NaN with fewer than three people, or without any variance.

    Raises
    ------
    InputError
        If there are not at least two sessions.
    """
    check_option("kind", kind, allowed=("2,1", "3,1"))
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise InputError(f"`values` must be (n_person, at least 2 sessions); got shape {table.shape}.")
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    if n < 3 or np.ptp(table) == 0:
        return Reliability(icc=np.nan, ci_low=np.nan, ci_high=np.nan, n=n)
    people, sessions, error = _mean_squares(table)
    quantile = scipy.stats.f.ppf
    tail = (1 - level) / 2
    if kind == "3,1":
        freedom = (n - 1, (n - 1) * (k - 1))
        ratio = people / error if error > 0 else np.inf
        low, high = ratio / quantile(1 - tail, *freedom), ratio * quantile(1 - tail, *freedom[::-1])
        return Reliability(icc=_share(ratio, k), ci_low=_share(low, k), ci_high=_share(high, k), n=n)
    icc = (people - error) / (people + (k - 1) * error + k * (sessions - error) / n)
    if icc == 1:  # the sessions are equal to the last digit
        return Reliability(icc=1.0, ci_low=1.0, ci_high=1.0, n=n)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    parts = (a * sessions) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    freedom_error = (a * sessions + b * error) ** 2 / parts
    upper, lower = quantile(1 - tail, n - 1, freedom_error), quantile(1 - tail, freedom_error, n - 1)
    spread = k * sessions + (k * n - k - n) * error
    ci_low = n * (people - upper * error) / (upper * spread + n * people)
    ci_high = n * (lower * people - error) / (spread + n * lower * people)
    return Reliability(icc=float(icc), ci_low=float(ci_low), ci_high=float(ci_high), n=n)


def _share(ratio: float, k: int) -> float:
    return float((ratio - 1) / (ratio + k - 1)) if np.isfinite(ratio) else 1.0


def _mean_squares(table: Array) -> tuple[float, float, float]:
    """Return the mean squares of people, sessions and error of a two-way layout (n_person, n_session)."""
    n, k = table.shape
    rows, columns, whole = table.mean(axis=1), table.mean(axis=0), table.mean()
    residual = table - rows[:, None] - columns + whole
    return (
        float(k * np.sum((rows - whole) ** 2) / (n - 1)),
        float(n * np.sum((columns - whole) ** 2) / (k - 1)),
        float(np.sum(residual**2) / ((n - 1) * (k - 1))),
    )


def absolute_difference(values: ArrayLike) -> Array:
    """Return the difference of two measurements as a percentage of their mean, ``200 |a - b| / (a + b)``.

    Parameters
    ----------
    values : (n_person, 2)

    Returns
    -------
    (n_person,) float64
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2:
        raise InputError(f"`values` must be (n_person, 2); got shape {table.shape}.")
    total = table.sum(axis=1)
    return np.asarray(200 * np.abs(table[:, 0] - table[:, 1]) / np.where(total != 0, total, np.nan))


def within_person_cv(values: ArrayLike) -> float:
    """Return the within-person coefficient of variation of two measurements.

    Root mean square over people of ``|a - b| / (sqrt(2) (a + b) / 2)``; as a share, NaN without people.

    Parameters
    ----------
    values : (n_person, 2)
        A person with NaN is left out.
    """
    share = absolute_difference(values) / 100 / np.sqrt(2)
    share = share[np.isfinite(share)]
    return float(np.sqrt(np.mean(share**2))) if share.size else float("nan")


DETECTABLE = 1.959964 * float(np.sqrt(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementError:
    """Standard error of measurement and smallest detectable change, in the unit of the values.

    ``sem`` counts systematic change between sessions as error; ``sem_low`` and ``sem_high`` are its interval.
    """

    sem: float
    sem_low: float
    sem_high: float

    @property
    def mdc95(self) -> float:
        """Smallest detectable change of one person, ``1.96 sqrt(2) sem``."""
        return DETECTABLE * self.sem

    @property
    def mdc95_interval(self) -> tuple[float, float]:
        """The interval of the smallest detectable change: that of ``sem``, as far apart."""
        return DETECTABLE * self.sem_low, DETECTABLE * self.sem_high


def measurement_error(values: ArrayLike, *, level: float = 0.95) -> MeasurementError:
    """Return the error of a single measurement that belongs to the intraclass correlation for agreement.

    ``sem^2 = max(0, (MS_sessions - MS_error) / n) + MS_error`` of the two-way layout (de Vet 2006,
    10.1016/j.jclinepi.2005.10.015). A change of one person that is smaller than ``mdc95`` is within the error in 95 of
    100 people who did not change. The interval is ``sem sqrt(f / chi2_f)`` with Satterthwaite's degrees of freedom
    ``f`` of that sum of mean squares (1946, 10.2307/3002019).

    Parameters
    ----------
    values : (n_person, n_session)
        A person with NaN is left out.
    level : float
        Of the interval.

    Returns
    -------
    MeasurementError
        NaN with fewer than three people.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise InputError(f"`values` must be (n_person, at least 2 sessions); got shape {table.shape}.")
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    if n < 3:
        return MeasurementError(sem=np.nan, sem_low=np.nan, sem_high=np.nan)
    _, sessions, error = _mean_squares(table)
    share = 1 / n if sessions > error else 0.0
    parts = np.array([share * sessions, (1 - share) * error])
    variance = float(parts.sum())
    sem = float(np.sqrt(variance))
    if variance == 0:
        return MeasurementError(sem=sem, sem_low=sem, sem_high=sem)
    freedom = variance**2 / float((parts**2 / [k - 1, (n - 1) * (k - 1)]).sum())
    low, high = (float(scipy.special.chdtri(freedom, tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return MeasurementError(
        sem=sem, sem_low=sem * float(np.sqrt(freedom / low)), sem_high=sem * float(np.sqrt(freedom / high))
    )
