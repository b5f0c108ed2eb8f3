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
    standard_error,
)
from lbpneuro.markers.descriptor import Direction, evaluate
from lbpneuro.preprocess.longitudinal import spread_errors

CONFIG = read_config()
SETTINGS = CONFIG["change"]
DLPFC = ("dlpfc", "L")
EMPTY = LabelChange(first_ml=0.0, second_ml=0.0, percent=np.nan, scatter=np.nan)


NOTHING_ELSE = {level: {"floor_percent": 0.0, "missed_share": 0.0} for level in ("draft", "standard")}


def change(first: float = 10.0, second: float = 9.0, *, se: float = 1.0, **fields: Any) -> Change:
    one = LabelChange(first_ml=first, second_ml=second, percent=200 * (second - first) / (first + second), scatter=se)
    levels = region_levels(CONFIG)
    common = {
        "labels": dict.fromkeys(levels, one),
        "coverage": dict.fromkeys(levels, 0.9),
        "brain_percent": 0.2,
        "correlation": 0.98,
        "rigid_mm": 0.3,
        "template_dice": 0.95,
        "level": "standard",
        "absent": None,
        "settings": SETTINGS | {"error": NOTHING_ELSE},
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


def test_the_three_parts_of_the_error_by_hand() -> None:
    """3, 4 and 12 are parts of 13; the change of -24 % of the mean is missed by half."""
    known = {"floor_percent": 4.0, "missed_share": 0.5}
    assert standard_error(-24.0, 3.0, known=known) == pytest.approx(13)
    assert np.isnan(standard_error(-24.0, np.nan, known=known))
    data = change(10, 10 * 88 / 112, se=3.0, settings=SETTINGS | {"error": {"standard": known, "draft": known}})
    found = label_change_symmetric(data)[DLPFC]
    assert (found.value, found.se) == pytest.approx((-24, 13))


def test_a_draft_has_the_errors_of_a_draft() -> None:
    errors = {
        "standard": {"floor_percent": 0.0, "missed_share": 0.0},
        "draft": {"floor_percent": 4.0, "missed_share": 0.0},
    }
    both = [
        label_change_symmetric(change(se=3.0, level=level, settings=SETTINGS | {"error": errors}))[DLPFC].se
        for level in ("standard", "draft")
    ]
    assert both == pytest.approx([3, 5])


@pytest.mark.parametrize("level", ["draft", "standard"])
@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_intervals_hold_the_truth_when_errors_are_what_they_are_said_to_be(level: str, noise: float) -> None:
    """1000 pairs of sessions, 34 labels of 0.5 to 30 mL, of which two lose 10 %; the share held by number of labels."""
    rng = np.random.default_rng(4)
    known = SETTINGS["error"][level]
    volume = np.geomspace(0.5, 30, 34)
    true = np.zeros(34)
    true[[20, 30]] = -10
    held, old = [], []
    for _ in range(1000):
        missed = 1 + known["missed_share"] * rng.normal(size=34)
        found = true * missed + rng.normal(size=34) * np.hypot(noise / np.sqrt(volume), known["floor_percent"])
        scatter = spread_errors(found, volume)
        se = [standard_error(a, b, known=known) for a, b in zip(found, scatter, strict=True)]
        held.append(np.abs(found - true) < 1.96 * np.array(se))
        old.append(np.abs(found - true) < 1.96 * scatter)
    assert 0.93 < np.mean(held) < 0.995
    assert np.mean(held, axis=0).min() > 0.92
    if noise <= 1:
        assert np.mean(old, axis=0).min() < 0.8  # the scatter by itself is too narrow for large labels


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
    [({"brain_percent": -1.5}, Reason.BRAIN_CHANGED), ({"level": "draft"}, Reason.DRAFT_PROCESSING)],
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
