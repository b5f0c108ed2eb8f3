"""Tactile markers: vectors by hand, the rules for what has no value, and recovery of what was planted."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.markers.descriptor import Direction, Tier
from lbpneuro.markers.tactile import MARKERS, Named, Pictures, Tactile, Touches, TwoPoint

SETTINGS = read_config()["tactile"]
PLACE = ("L", "horizontal")
BY_NAME = {marker.name: marker for marker in MARKERS}


def points(*runs, **catches) -> TwoPoint:
    """Runs of (ascending, distances, answers)."""
    return TwoPoint(
        distance=np.concatenate([np.asarray(d, dtype=float) for _, d, _ in runs]),
        response=np.concatenate([np.asarray(a) for _, _, a in runs]),
        run=np.concatenate([np.full(len(d), place) for place, (_, d, _) in enumerate(runs)]),
        ascending=np.concatenate([np.full(len(d), float(up)) for up, d, _ in runs]),
        **catches,
    )


def session(**found) -> Tactile:
    return Tactile(settings={**SETTINGS, **found.pop("settings", {})}, **found)


def of(marker, data, *level):
    return BY_NAME[marker].function(data)[level]


VECTOR = points(
    (True, [40, 45, 50, 55], [1, 1, 2, 2]),
    (True, [45, 50, 55, 60], [1, 1, 2, 2]),
    (False, [60, 55, 50, 45], [2, 2, 2, 1]),
    (False, [45, 40, 35, 30], [2, 2, 1, 1]),
)


def test_two_point_runs_by_hand():
    data = session(two_point={PLACE: VECTOR})
    assert of("tpd", data, *PLACE).value == 46.25
    assert of("tpd_runs", data, *PLACE).value == 46.25
    assert of("tpd_ascending", data, *PLACE).value == 50
    assert of("tpd_descending", data, *PLACE).value == 42.5
    assert of("tpd_hysteresis", data, *PLACE).value == -7.5
    assert of("tpd", data, *PLACE).n == 4
    assert of("tpd_fit", data, *PLACE).reasons == (Reason.TOO_FEW_TRIALS,)
    assert of("tpd_hysteresis", data, *PLACE).se == pytest.approx(2 * of("tpd_runs", data, *PLACE).se)


def test_twenty_trials_are_fitted():
    distances = np.repeat(np.arange(20.0, 91, 5), 2)
    fit = points((True, distances, np.where(distances > 51, 2, 1)))
    data = session(two_point={PLACE: fit})
    assert of("tpd", data, *PLACE).value == pytest.approx(52.5, abs=0.3)
    assert of("tpd", data, *PLACE) == of("tpd_fit", data, *PLACE)
    assert of("tpd_runs", data, *PLACE).reasons == (Reason.TOO_FEW_TRIALS,), "no descending run"
    assert of("tpd", data, *PLACE).n == 30


@pytest.mark.parametrize(("felt", "low", "high"), [(1, 90, math.inf), (2, -math.inf, 20)])
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_threshold_beyond_the_calliper_is_a_bound(felt, low, high, repeats):
    up, down = np.arange(20.0, 91, 10), np.arange(90.0, 19, -10)
    runs = [(True, up, np.full(8, felt)), (False, down, np.full(8, felt))] * repeats
    estimate = of("tpd", session(two_point={PLACE: points(*runs)}), *PLACE)
    assert math.isnan(estimate.value)
    assert (estimate.status, estimate.reasons) == (Status.FAIL, (Reason.CENSORED_AT_LIMIT,))
    assert (estimate.ci_low, estimate.ci_high) == (low, high)


def test_one_run_at_the_limit_makes_the_mean_a_bound():
    runs = [(True, [80, 85, 90], [1, 1, 1]), (False, [90, 85, 80], [2, 1, 1])]
    estimate = of("tpd", session(two_point={PLACE: points(*runs)}), *PLACE)
    assert (estimate.ci_low, estimate.ci_high) == (pytest.approx((90 + 87.5) / 2), math.inf)


def test_runs_that_bound_it_from_both_sides_tell_nothing():
    runs = [(True, [80, 85, 90], [1, 1, 1]), (False, [50, 45, 40], [2, 2, 2])]
    assert of("tpd", session(two_point={PLACE: points(*runs)}), *PLACE).reasons == (Reason.NOT_MONOTONE,)


def test_a_fitted_threshold_outside_the_tested_distances_is_a_bound():
    distances = np.tile([20.0, 30.0, 40.0], 10)
    felt = np.ones(30, dtype=int)
    felt[[29, 26]] = 2
    estimate = of("tpd", session(two_point={PLACE: points((True, distances, felt))}), *PLACE)
    assert (estimate.reasons, estimate.ci_low) == ((Reason.CENSORED_AT_LIMIT,), 40)
    estimate = of("tpd", session(two_point={PLACE: points((True, distances[::-1].copy(), 3 - felt))}), *PLACE)
    assert (estimate.reasons, estimate.ci_high) == ((Reason.CENSORED_AT_LIMIT,), 20)


def test_answers_that_fall_with_the_distance_are_not_monotone():
    distances = np.repeat(np.arange(20.0, 91, 5), 2)
    falling = points((True, distances, np.where(distances > 51, 1, 2)))
    assert of("tpd", session(two_point={PLACE: falling}), *PLACE).reasons == (Reason.NOT_MONOTONE,)


@pytest.mark.parametrize(
    ("alarms", "catches", "status"),
    [(1, 6, Status.OK), (2, 6, Status.FAIL), (1, 3, Status.FLAG), (3, 10, Status.OK), (0, 0, Status.OK)],
)
def test_who_feels_two_points_where_there_is_one_guesses(alarms, catches, status):
    guess = points(
        (True, [40, 45, 50, 55], [1, 1, 2, 2]),
        (False, [60, 55, 50, 45], [2, 2, 2, 1]),
        catches=catches,
        false_alarms=alarms,
    )
    estimate = of("tpd", session(two_point={PLACE: guess}), *PLACE)
    assert estimate.status is status
    assert (Reason.GUESSING in estimate.reasons) is (status is not Status.OK)
    share = of("tpd_false_alarms", session(two_point={PLACE: guess}), *PLACE)
    assert share.value == pytest.approx(alarms / catches) if catches else share.status is Status.MISSING


def test_a_guesser_without_threshold_stays_without():
    numb = points((True, [40, 45], [1, 1]), (False, [45, 40], [1, 1]), catches=3, false_alarms=2)
    assert of("tpd", session(two_point={PLACE: numb}), *PLACE).reasons == (Reason.CENSORED_AT_LIMIT,)


def test_what_was_not_tested_is_missing_and_what_cannot_be_read_fails():
    assert of("tpd", session(two_point={PLACE: VECTOR}), "R", "vertical").reasons == (Reason.NOT_ACQUIRED,)
    broken = session(faults={"tpd": Reason.INVALID_INPUT, "loc": Reason.INVALID_INPUT})
    assert of("tpd", broken, *PLACE).reasons == (Reason.INVALID_INPUT,)
    assert of("loc_bias", broken, "L", "vertical").reasons == (Reason.INVALID_INPUT,)
    assert of("graph_error_rate", broken, "L").reasons == (Reason.NOT_ACQUIRED,)
    assert of("lrj_rt", broken).reasons == (Reason.NOT_ACQUIRED,)


def test_runs_in_random_order_and_few_trials_have_no_threshold():
    random = TwoPoint(
        distance=np.array([20.0, 80, 50]),
        response=np.array([1, 2, 1]),
        run=np.zeros(3, dtype=int),
        ascending=np.full(3, np.nan),
    )
    assert of("tpd", session(two_point={PLACE: random}), *PLACE).reasons == (Reason.TOO_FEW_TRIALS,)


def test_graphaesthesia_by_hand():
    data = session(graph={("L",): Named(errors=6, n=20, options=4), ("R",): Named(errors=1, n=5)})
    assert of("graph_error_rate", data, "L").value == 0.3
    assert of("graph_error_rate_corrected", data, "L").value == pytest.approx(0.4)
    assert of("graph_error_rate", data, "R").reasons == (Reason.TOO_FEW_TRIALS,)
    free = session(graph={("L",): Named(errors=6, n=20)})
    assert of("graph_error_rate_corrected", free, "L").reasons == (Reason.NO_OPTIONS,)


def test_localisation_by_hand():
    actual = np.array([[0.0, 0], [10, 0], [0, 10], [np.nan, 0]])
    felt = np.array([[3.0, 4], [10, 0], [0, 16], [1, 1]])
    touches = Touches(actual=actual, perceived=felt, fields=Named(errors=2, n=8))
    data = session(touches={("L",): touches}, settings={"loc_trials_min": 3})
    assert of("loc_error", data, "L").value == pytest.approx(11 / 3)
    assert of("loc_error", data, "L").n == 3
    assert of("loc_error", data, "L").ci_low == 0, "a distance is not negative"
    assert of("loc_bias", data, "L", "vertical").value == pytest.approx(10 / 3)
    assert of("loc_mislocalised", data, "L").value == 0.25
    few = session(touches={("L",): touches})
    assert of("loc_sd", few, "L").reasons == (Reason.TOO_FEW_TRIALS,)


def test_fields_without_points_and_points_without_fields():
    nowhere = np.full((9, 2), np.nan)
    data = session(touches={("R",): Touches(actual=nowhere, perceived=nowhere, fields=Named(errors=1, n=9))})
    assert of("loc_error", data, "R").reasons == (Reason.NOT_ACQUIRED,)
    assert of("loc_mislocalised", data, "R").value == pytest.approx(1 / 9)
    few = session(touches={("R",): Touches(actual=nowhere, perceived=nowhere, fields=Named(errors=1, n=2))})
    assert of("loc_mislocalised", few, "R").reasons == (Reason.TOO_FEW_TRIALS,)


def pictures(n, right):
    return Pictures(time_ms=np.linspace(900, 2900, n), correct=np.arange(n) < right)


def test_judgements_by_hand():
    data = session(pictures=pictures(41, 41))
    assert of("lrj_accuracy", data).value == 1
    assert of("lrj_rt", data).value == 1900
    assert of("lrj_inverse_efficiency", data).value == 1900
    assert of("lrj_rt", data).ci_low < 1900 < of("lrj_rt", data).ci_high
    assert of("lrj_rt", data).n == 41
    slow = of("lrj_inverse_efficiency", session(pictures=pictures(40, 30)))
    assert slow.value == pytest.approx(of("lrj_rt", session(pictures=pictures(40, 30))).value / 0.75)
    assert slow.n == 40


@pytest.mark.parametrize(("right", "status"), [(20, Status.FAIL), (24, Status.FLAG), (36, Status.OK)])
def test_at_chance_a_time_says_nothing(right, status):
    data = session(pictures=pictures(40, right))
    for marker in ("lrj_rt", "lrj_inverse_efficiency"):
        assert of(marker, data).status is status
        assert (Reason.AT_CHANCE in of(marker, data).reasons) is (status is not Status.OK)
    assert of("lrj_accuracy", data).status is Status.OK


def test_few_judgements_are_too_few():
    assert of("lrj_accuracy", session(pictures=pictures(29, 29))).reasons == (Reason.TOO_FEW_TRIALS,)


def test_directions_and_tiers():
    assert BY_NAME["tpd"].tier is Tier.PRIMARY
    assert all(BY_NAME[name].direction is Direction.HIGHER for name in ("tpd", "graph_error_rate", "lrj_rt"))
    assert BY_NAME["lrj_accuracy"].direction is Direction.LOWER


# --- what was planted ----------------------------------------------------------------------------------------------


@cache
def planted(people: int = 36):
    """(truth, estimate) of every marker over people with pain, read from the trials that the simulation writes."""
    from lbpneuro.io.psychophysics import check_trials
    from lbpneuro.io.tactile import SHAPES
    from lbpneuro.simulate.people import Visit, person
    from lbpneuro.simulate.tactile import SETTINGS as TRUE
    from lbpneuro.simulate.tactile import TASKS, tactile_truth

    found: dict[str, list[tuple[float, object]]] = {}
    for number in range(1, 2 * people, 2):
        visit = Visit(person(number, seed=3, effect=1.0), 0, 3)
        shaped = {}
        for task, (table, about) in TASKS.items():
            text = table(visit, TRUE).astype(object).map(str)
            name, shape = SHAPES[task]
            shaped[name] = shape(check_trials(text, dict(about), task=task, origin=task), SETTINGS)
        data = Tactile(settings=SETTINGS, **shaped)
        values = {name: BY_NAME[name].function(data) for name in {row["marker"] for row in tactile_truth(visit)}}
        for row in tactile_truth(visit):
            level = tuple(row[key] for key in BY_NAME[row["marker"]].index)
            found.setdefault(row["marker"], []).append((row["value"], values[row["marker"]][level]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("marker", "tolerance"),
    [
        ("tpd", 0.8),
        ("graph_error_rate", 0.02),
        ("graph_error_rate_corrected", 0.02),
        ("loc_error", 0.5),
        ("loc_bias", 0.5),
        ("loc_sd", 0.4),
        ("lrj_accuracy", 0.02),
        ("lrj_rt", 40.0),
    ],
)
def test_what_was_planted_is_found_and_the_intervals_hold_it(marker, tolerance):
    pairs = [(truth, each) for truth, each in planted()[marker] if math.isfinite(each.value)]
    assert len(pairs) > 30
    inside = np.mean([each.ci_low <= truth <= each.ci_high for truth, each in pairs])
    sure = 3 * math.sqrt(0.05 * 0.95 / len(pairs))
    assert 0.95 - sure - 0.01 <= inside <= min(0.95 + sure + 0.01, 1)
    assert abs(np.mean([each.value - truth for truth, each in pairs])) < tolerance


@pytest.mark.slow
def test_numb_people_are_censored_and_nobody_else():
    from lbpneuro.simulate.tactile import WIDEST_MM

    beyond = {truth > WIDEST_MM for truth, each in planted()["tpd"] if Reason.CENSORED_AT_LIMIT in each.reasons}
    assert beyond == {True}
