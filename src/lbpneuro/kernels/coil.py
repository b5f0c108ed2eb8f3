"""How far the coil of single pulses was turned or tilted against the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError

Array = NDArray[np.float64]

FLAT_MM = 1.0
PULSES_MIN = 10
"""Fewest pulses with an orientation from which the usual one is told."""


def deviations(axes: ArrayLike, places: ArrayLike) -> Array:
    """Return the angle (deg) of each axis to the one that the other pulses have at its place.

    On a head the coil turns with the surface. The usual axis is therefore a linear function of the place along the
    surface, by least squares over all other pulses; at a single place it is their mean axis.

    Parameters
    ----------
    axes : (n_pulse, 3)
        Of any length; NaN or zero where it is not known.
    places : (n_pulse, 3)
        In mm; NaN in a column that is not known.

    Returns
    -------
    (n_pulse,) float64
        NaN where the axis is not known; all of them with fewer than ten.
    """
    vectors, where = np.asarray(axes, dtype=np.float64), np.asarray(places, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != 3 or where.shape != vectors.shape:
        raise InputError(f"`axes` and `places` must be (n_pulse, 3); got {vectors.shape} and {where.shape}.")
    length = np.linalg.norm(vectors, axis=1)
    known = np.isfinite(length) & (length > 0)
    found = np.full(len(vectors), np.nan)
    if known.sum() < PULSES_MIN:
        return found
    unit = vectors[known] / length[known, None]
    basis = np.linalg.qr(_along_surface(where[known]))[0]
    own = (basis**2).sum(axis=1, keepdims=True)
    usual = basis @ (basis.T @ unit) - own * unit
    cross = np.linalg.norm(np.cross(unit, usual), axis=1)
    found[known] = np.degrees(np.arctan2(cross, (unit * usual).sum(axis=1)))
    return found


def _along_surface(places: Array) -> Array:
    """A constant, and the two directions in which the places extend by more than a millimetre."""
    stated = places[:, np.isfinite(places).any(axis=0)]
    if not stated.size:
        return np.ones((len(places), 1))
    centred = np.nan_to_num(stated - np.nanmean(stated, axis=0))
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    wide = directions[:2][sizes[:2] / np.sqrt(len(places)) > FLAT_MM]
    return np.column_stack([np.ones(len(places)), centred @ wide.T])


def outlying(angles: ArrayLike, *, sd: float, least: float) -> NDArray[np.bool_]:
    """Return which angles (n_pulse,) exceed mean + ``sd`` SD (``ddof=1``) and are ``least`` or more; NaN never."""
    values = np.asarray(angles, dtype=np.float64)
    if np.isfinite(values).sum() < PULSES_MIN:
        return np.zeros(values.shape, dtype=bool)
    border = float(np.nanmean(values) + sd * np.nanstd(values, ddof=1))
    return np.asarray(values >= max(border, least))
