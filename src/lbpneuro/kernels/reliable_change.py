"""Whether one person changed by more than the measurement error, and whether that left them well."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError

Array = NDArray[np.float64]


class Change(StrEnum):
    """What became of one person, after Jacobson & Truax 1991 (10.1037/0022-006X.59.1.12)."""

    RECOVERED = "recovered"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    DETERIORATED = "deteriorated"
    UNKNOWN = "unknown"


def standard_error_of_measurement(*, sd: ArrayLike, reliability: ArrayLike) -> Array:
    """Return ``SEM = SD sqrt(1 - r)``, in the unit of the outcome.

    Parameters
    ----------
    sd : (...)
        Standard deviation over people, in whom ``reliability`` was estimated or like them.
    reliability : (...)
        Intraclass correlation of two measurements without change in between, 0 to 1.

    Raises
    ------
    InputError
        If a standard deviation is not above 0 or a reliability not between 0 and 1.
    """
    spread, r = np.asarray(sd, dtype=np.float64), np.asarray(reliability, dtype=np.float64)
    if (spread <= 0).any():
        raise InputError(f"`sd` must be above 0; got {spread.tolist()}.")
    if ((r < 0) | (r > 1)).any():
        raise InputError(f"`reliability` is an intraclass correlation between 0 and 1; got {r.tolist()}.")
    return np.asarray(spread * np.sqrt(1 - r))


def minimal_detectable_change(sem: ArrayLike, *, level: float = 0.95) -> Array:
    """Return the change that measurement error alone exceeds in ``1 - level`` of people, ``z sqrt(2) SEM``.

    >>> round(float(minimal_detectable_change(1.6 * 0.2**0.5)), 3)
    1.983
    """
    if not 0 < level < 1:
        raise InputError(f"`level` must lie between 0 and 1, as 0.95; got {level}.")
    return np.asarray(scipy.stats.norm.isf((1 - level) / 2) * np.sqrt(2) * np.asarray(sem, dtype=np.float64))


def reliable_change_index(before: ArrayLike, after: ArrayLike, *, sem: ArrayLike) -> Array:
    """Return ``(after - before) / (sqrt(2) SEM)``: beyond 1.96 it is more than measurement error.

    NaN where a measurement is, or where the error is 0.
    """
    error = np.sqrt(2) * np.asarray(sem, dtype=np.float64)
    change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    return np.asarray(change / np.where(error > 0, error, np.nan))


def change_classes(
    before: ArrayLike,
    after: ArrayLike,
    *,
    sem: float,
    lower_is_better: bool,
    cutoff: float | None = None,
    level: float = 0.95,
) -> NDArray[np.str_]:
    """Return for every person whether they recovered, improved, stayed, or deteriorated.

    Reliable is a change by more than :func:`minimal_detectable_change`. ``recovered`` is a reliable improvement that
    crosses the ``cutoff``: ill before, and not ill after; a value at the cut-off counts as not ill. Without a cut-off
    nobody is called recovered.

    Parameters
    ----------
    before, after : (n_person,)
    sem
        Standard error of measurement.
    lower_is_better
        Whether a fall is an improvement, as of pain.
    cutoff
        In the unit of the outcome.
    level
        Of the reliable change.
    """
    sign = -1.0 if lower_is_better else 1.0
    first, last = (sign * np.asarray(values, dtype=np.float64) for values in (before, after))
    index = reliable_change_index(first, last, sem=sem)
    least = minimal_detectable_change(sem, level=level) / (np.sqrt(2) * sem) if sem > 0 else np.nan
    crossed = np.zeros(first.shape, dtype=bool) if cutoff is None else (first < sign * cutoff) & (last >= sign * cutoff)
    conditions = [~np.isfinite(index), (index > least) & crossed, index > least, index < -least]
    names = [Change.UNKNOWN, Change.RECOVERED, Change.IMPROVED, Change.DETERIORATED]
    return np.select(conditions, [str(name) for name in names], default=str(Change.UNCHANGED))


def cutoff_between(*, mean: tuple[float, float], sd: tuple[float, float]) -> float:
    """Return the value as far from people who are ill as from people who are well, in standard deviations.

    Criterion c of Jacobson & Truax: ``(s_well m_ill + s_ill m_well) / (s_well + s_ill)``; first ill, second well.
    """
    if min(sd) <= 0:
        raise InputError(f"`sd` must be above 0 in both groups; got {sd}.")
    return float((sd[1] * mean[0] + sd[0] * mean[1]) / (sd[0] + sd[1]))
