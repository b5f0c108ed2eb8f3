"""Coordinates: units that are stated, and those that are contradicted by the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io.positions import check_grid, millimetres, numbers, sides, with_millimetres

HERE = Path("sub-01_markers.tsv")


def grid(step, n=6):
    x, y = np.meshgrid(np.arange(n) * step - n * step, np.arange(n) * step)
    return np.column_stack([x.ravel(), y.ravel()]).astype(float)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("cm", 10), ("m", 1000)])
def test_factor(unit, factor):
    assert millimetres(np.array([0.1, -0.05]), unit, origin=HERE) == factor


@pytest.mark.parametrize(
    ("unit", "coord", "message"),
    [
        ("cm", -30.0, "unit is cm, but a coordinate is 30; .* probably in mm"),
        ("m", 3.0, "unit is m, but a coordinate is 3"),
        (None, 3.0, "have no unit; state mm or cm"),
        ("inch", 3.0, "the unit 'inch'"),
    ],
)
def test_unit_that_cannot_be(unit, coord, message):
    with pytest.raises(UnitError, match=message):
        millimetres(np.array([coord, np.nan]), unit, origin=HERE)


def test_centimetres_on_the_border():
    assert millimetres(np.array([15.0]), "cm", origin=HERE) == 10


def test_grid_in_centimetres_that_is_said_to_be_in_millimetres():
    with pytest.raises(UnitError, match=r"36 sites are 1 mm apart and lie within 5 mm.* probably in cm"):
        check_grid(grid(1.0), origin=HERE)


@pytest.mark.parametrize("coords", [grid(10.0), grid(5.0, 3), grid(1.0, 2), np.full((40, 2), 3.0), grid(4.0, 20)])
def test_grids_that_can_be(coords):
    assert check_grid(coords, origin=HERE) is None


def test_forms_of_a_coordinate():
    table = pd.DataFrame({"grid_x_cm": ["-3", "n/a"], "y": ["20", "30"], "z_mm": ["80", "81"]}).replace("n/a", np.nan)
    read = with_millimetres(table, {"y": "mm"}, path=HERE)
    assert read["x_mm"].tolist()[0] == -30
    assert np.isnan(read["x_mm"][1])
    assert read["y_mm"].tolist() == [20, 30]
    assert read["z_mm"].tolist() == [80, 81]
    assert "x_mm" not in with_millimetres(table[["y"]], {"y": "mm"}, path=HERE)


def test_text_where_a_number_belongs():
    with pytest.raises(InputError, match="row 3, column x: expected a number or n/a, found 'left'"):
        numbers(pd.Series(["1", "left"], name="x"), HERE)


@pytest.mark.parametrize(
    ("x", "expected"),
    [((-30, 0), ["L", "L"]), ((30, 0), ["R", "R"]), ((-30, 0, 30), ["L", None, "R"]), ((np.nan,), [None])],
)
def test_side_of_the_grid(x, expected):
    assert sides(np.array(x, dtype=float)).tolist() == expected
