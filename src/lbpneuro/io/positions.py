"""Where a coil was: coordinates with their unit checked, in mm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, UnitError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
LARGEST = {"cm": 15.0, "m": 0.15}
"""Largest coordinate of a place on a head, by the unit it may have been mistaken for."""
GRID_SITES_MIN = 9
GRID_SPACING_MM = 2.0
GRID_EXTENT_MM = 15.0
"""A grid of that many sites, no further apart and no wider than this, was written down in cm."""


def millimetres(coords: Array, unit: Any, *, origin: Path) -> float:
    """Return the factor from ``unit`` to mm, after a check of the coordinates (..., n) against it.

    Raises
    ------
    UnitError
        If the unit is absent or unknown, or a coordinate is too large for it.
    """
    if unit not in MILLIMETRES:
        given = "no unit" if unit is None else f"the unit {unit!r}"
        raise UnitError(f"{origin}: the coordinates have {given}; state mm or cm in the JSON file beside them.")
    largest = float(np.nanmax(np.abs(coords), initial=0.0))
    if largest > LARGEST.get(unit, np.inf):
        raise UnitError(
            f"{origin}: the unit is {unit}, but a coordinate is {largest:g}; a head is not that large. "
            "The coordinates are probably in mm: correct the unit."
        )
    return MILLIMETRES[unit]


def check_grid(coords_mm: Array, *, origin: Path) -> None:
    """Refuse a grid (n_pulse, 2) that is too small for coordinates in mm: it was written in cm.

    Raises
    ------
    UnitError
        If nine or more sites lie within 15 mm, and most have another within 2 mm.
    """
    sites = np.unique(coords_mm[np.isfinite(coords_mm).all(axis=1)], axis=0)
    if len(sites) < GRID_SITES_MIN or np.ptp(sites, axis=0).max() > GRID_EXTENT_MM:
        return
    from scipy.spatial import KDTree

    spacing = float(np.median(KDTree(sites).query(sites, k=2)[0][:, 1]))
    if spacing <= GRID_SPACING_MM:
        raise UnitError(
            f"{origin}: the {len(sites)} sites are {spacing:g} mm apart and lie within "
            f"{np.ptp(sites, axis=0).max():g} mm, which no coil can tell apart. The coordinates are probably in cm: "
            "correct the unit."
        )


def numbers(column: pd.Series, path: Path) -> pd.Series:
    """Return a column of a table as float64.

    Raises
    ------
    InputError
        If it holds text where a number or n/a is expected; row and column are named.
    """
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = column.index[values.isna() & column.notna()]
    if len(wrong):
        raise InputError(
            f"{path}: row {wrong[0] + 2}, column {column.name}: expected a number or n/a, found {column[wrong[0]]!r}."
        )
    return values


def with_millimetres(table: pd.DataFrame, units: Mapping[str, Any], *, path: Path) -> pd.DataFrame:
    """Return a table with the columns ``x_mm``, ``y_mm``, ``z_mm``, of those axes that it has in any form.

    A coordinate is in ``x_mm``, ``x_cm``, ``grid_x_mm``, ``grid_x_cm``, or in ``x`` with its unit in ``units``.

    Raises
    ------
    InputError
        If there is text where numbers are needed.
    UnitError
        If coordinates have no unit or contradict it.
    """
    found: dict[str, pd.Series] = {}
    for axis in "xyz":
        forms = {f"{axis}_mm": "mm", f"{axis}_cm": "cm", f"grid_{axis}_mm": "mm", f"grid_{axis}_cm": "cm"}
        name = next((column for column in (*forms, axis) if column in table), None)
        if name is not None:
            values = numbers(table[name], path)
            found[f"{axis}_mm"] = values * millimetres(values.to_numpy(), forms.get(name, units.get(axis)), origin=path)
    table = table.assign(**found)
    if {"x_mm", "y_mm"} <= found.keys():
        check_grid(table[["x_mm", "y_mm"]].to_numpy(dtype=float), origin=path)
    return table


def sides(x_mm: Array) -> NDArray[np.object_]:
    """Return the hemisphere of each place (x > 0 is right); one on the midline goes with a one-sided rest."""
    named = np.where(x_mm < 0, "L", np.where(x_mm > 0, "R", "")).astype(object)
    present = set(named) - {""}
    named[named == ""] = present.pop() if len(present) == 1 else None
    named[np.isnan(x_mm)] = None
    return named
