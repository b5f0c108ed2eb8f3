"""Checks of kernel arguments; every message gives the name, what was expected and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError


def check_option(name: str, value: Any, *, allowed: Sequence[Any]) -> None:
    """Raise InputError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise InputError(f"`{name}` must be one of {choices}; got {value!r}.")


def check_positive(name: str, value: float) -> None:
    """Raise InputError unless ``value`` is a finite number above zero."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"`{name}` must be a finite number above 0; got {value!r}.")


def check_band(band_hz: tuple[float, float]) -> None:
    """Raise InputError unless ``band_hz`` is (low, high) with 0 <= low < high."""
    low, high = band_hz
    if not 0 <= low < high:
        raise InputError(f"`band_hz` must be (low, high) with 0 <= low < high; got ({low}, {high}).")


def check_length(name: str, array: NDArray[Any], *, expected: int, axis: int = 0) -> None:
    """Raise InputError unless ``array`` has ``expected`` entries along ``axis``."""
    if array.ndim <= axis or array.shape[axis] != expected:
        raise InputError(f"`{name}` must have {expected} entries along axis {axis}; got shape {array.shape}.")


def check_finite(name: str, array: NDArray[Any]) -> None:
    """Raise InputError if ``array`` holds NaN or infinity, naming the first place."""
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        place = ", ".join(str(i) for i in bad[0])
        raise InputError(f"`{name}` must be finite; got {array[tuple(bad[0])]} at [{place}] ({len(bad)} such entries).")


def as_mask(name: str, mask: ArrayLike, *, expected: int) -> NDArray[np.bool_]:
    """Return ``mask`` as a 1-D Boolean array of ``expected`` entries; InputError if it is anything else."""
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != (expected,):
        raise InputError(
            f"`{name}` must be {expected} Boolean values; got {array.dtype} values of shape {array.shape}."
        )
    return array
