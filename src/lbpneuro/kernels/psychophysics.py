"""Psychophysics: units of pressure and scales of rating."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KPA_PER_KGF_CM2 = 98.0665
KPA_PER_N_CM2 = 10.0
PRESSURE_UNITS = {"kPa": 1.0, "kgf/cm2": KPA_PER_KGF_CM2, "kg/cm2": KPA_PER_KGF_CM2}
FORCE_UNITS = {"N": KPA_PER_N_CM2, "kgf": KPA_PER_KGF_CM2}


def pressure_kpa(value: Array, unit: str, *, probe_cm2: Array | float = np.nan) -> Array:
    """Return pressures in kPa; ``value`` of any shape in kPa, kgf/cm2, kg/cm2, N or kgf.

    1 kgf/cm2 = 98.0665 kPa; a force (N, kgf) is divided by ``probe_cm2``, the area of the probe (1 N/cm2 = 10 kPa), and
    is NaN where that is NaN. KeyError for another unit.
    """
    values = np.asarray(value, dtype=np.float64)
    if unit in FORCE_UNITS:
        return values * FORCE_UNITS[unit] / probe_cm2
    return values * PRESSURE_UNITS[unit]


def rating_100(rating: Array, *, low: float, high: float) -> Array:
    """Return ratings (any shape) on a scale from ``low`` to ``high`` as ratings from 0 to 100."""
    return 100.0 * (np.asarray(rating, dtype=np.float64) - low) / (high - low)
