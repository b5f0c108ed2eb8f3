"""Change of gray matter: values, intervals and gates, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.markers.change import (
    MARKERS,
    Change,
    LabelChange,
    change_brain,
    change_correlation,
    change_rigid,
    label_change,
    label_change_symmetric,
    nothing_compared,
    region_levels,
)
from lbpneuro.markers.descriptor import Direction, evaluate

CONFIG = read_config()
SETTINGS = CONFIG["change"]
DLPFC = ("dlpfc", "L")
EMPTY = LabelChange(first_ml=0.0, second_ml=0.0, percent=np.nan, se=np.nan)


def change(first: float = 10.0, second: float = 9.0, *, se: float = 1.0, **fields: Any) -> Change:
    one = LabelChange(first_ml=first, second_ml=second, percent=200 * (second - first) / (first + second), se=se)
    levels = region_levels(CONFIG)
    common = {
        "labels": dict.fromkeys(levels, one),
        "coverage": dict.fromkeys(levels, 0.9),
        "brain_percent": 0.2,
        "correlation": 0.98,
        "rigid_mm": 0.3,
        "template_dice": 0.95,
        "draft": False,
        "absent": None,
        "settings": SETTINGS,
    }
    return Change(**(common | fields))


def test_changes_by_hand() -> None:
    """10 mL become 9: -1 of a mean of 9.5, and -10 % of the first."""
    found = label_change_symmetric(change())[DLPFC]
    assert found.value == pytest.approx(-100 / 9.5)
    assert (found.ci_low, found.ci_high) == pytest.approx((-100 / 9.5 - 1.96, -100 / 9.5 + 1.96), abs=1e-3)
    assert found.status is Status.OK
    assert found.n == 22
    since = label_change(change())[DLPFC]
    assert since.value == pytest.approx(-10)


def test_the_error_in_percent_of_the_first_is_the_slope_times_that_of_the_mean() -> None:
    step = 1e-4
    data = [change(10, second).labels[DLPFC].percent for second in (9.0, 9.0 + step)]
    slope = (step / 10 * 100) / (data[1] - data[0])
    since = label_change(change(se=0.7))[DLPFC]
    assert since.se == pytest.approx(0.7 * slope, rel=1e-4)
    symmetric = label_change_symmetric(change(se=0.7))[DLPFC]
    for end, other in ((since.ci_low, symmetric.ci_low), (since.ci_high, symmetric.ci_high)):
        ratio = 1 + end / 100
        assert 200 * (ratio - 1) / (ratio + 1) == pytest.approx(other)


def test_exchanging_the_sessions_changes_the_sign() -> None:
    there, back = label_change_symmetric(change(10, 9))[DLPFC], label_change_symmetric(change(9, 10))[DLPFC]
    assert there.value == -back.value
    assert there.ci_low == -back.ci_high


def test_intervals_beyond_what_is_possible_are_open() -> None:
    assert label_change(change(1, 30, se=90.0))[DLPFC].ci_high == np.inf
    assert evaluate(MARKERS[0], change(1, 1e9), CONFIG)[DLPFC].status is Status.OK


def test_without_a_standard_error_there_is_no_interval() -> None:
    found = label_change(change(se=np.nan))[DLPFC]
    assert found.value == pytest.approx(-10)
    assert np.isnan([found.se, found.ci_low, found.ci_high]).all()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"template_dice": 0.8}, Reason.TEMPLATE_MISFIT),
        ({"template_dice": np.nan}, Reason.TEMPLATE_MISFIT),
        ({"rigid_mm": 1.2}, Reason.FAILED_QC),
        ({"coverage": dict.fromkeys(region_levels(CONFIG), 0.4)}, Reason.COVERAGE_TOO_LOW),
        ({"labels": dict.fromkeys(region_levels(CONFIG), EMPTY)}, Reason.COVERAGE_TOO_LOW),
    ],
)
def test_gates(fields: dict[str, Any], reason: Reason) -> None:
    for function in (label_change_symmetric, label_change):
        found = function(change(**fields))[DLPFC]
        assert (found.status, found.reasons) == (Status.FAIL, (reason,))
    assert change_correlation(change(**fields))[()].value == 0.98


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"brain_percent": -1.5}, Reason.BRAIN_CHANGED), ({"draft": True}, Reason.DRAFT_PROCESSING)],
)
def test_caveats(fields: dict[str, Any], reason: Reason) -> None:
    data = change(**fields)
    for function in (label_change_symmetric, label_change):
        assert function(data)[DLPFC].reasons == (reason,)
        assert np.isfinite(function(data)[DLPFC].value)
    assert change_brain(data)[()].reasons == (reason,)


def test_a_region_that_the_table_lacks_is_missing() -> None:
    data = change()
    found = label_change_symmetric(replace(data, labels={DLPFC: data.labels[DLPFC]}))
    assert found["thalamus", "R"].reasons == (Reason.REGION_ABSENT,)
    assert found["thalamus", "R"].status is Status.MISSING
    assert np.isfinite(found[DLPFC].value)


def test_a_first_session_has_every_row_and_no_value() -> None:
    data = nothing_compared(Reason.FIRST_SESSION, SETTINGS)
    for marker in MARKERS:
        found = evaluate(marker, data, CONFIG)
        assert list(found) == list(marker.levels(CONFIG))
        assert {each.reasons for each in found.values()} == {(Reason.FIRST_SESSION,)}
        assert {each.status for each in found.values()} == {Status.MISSING}


def test_quality_rows_are_the_numbers_themselves() -> None:
    data = change()
    found = [function(data)[()].value for function in (change_brain, change_correlation, change_rigid)]
    assert found == [0.2, 0.98, 0.3]


def test_regions_of_the_settings_are_the_levels() -> None:
    assert region_levels({"change": {"rois": ["insula"]}}) == [("insula", "L"), ("insula", "R")]
    assert MARKERS[0].direction_at(DLPFC) is Direction.HIGHER
    assert MARKERS[0].direction_at(("thalamus", "R")) is Direction.NOT_APPLICABLE
