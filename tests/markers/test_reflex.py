"""Reflex markers: gates, bounds, and recovery of a planted threshold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.markers import reflex as markers
from lbpneuro.markers.reflex import Reflexes

SETTINGS = read_config()["reflex"]


def data(**changes):
    """Three series up and down between 6 and 14 mA with a threshold at 10, 12 s apart."""
    stim = np.tile([6.0, 8, 10.5, 12, 14, 12, 10.5, 8], 4)
    values = {
        "stim_ma": stim,
        "magnitude": np.where(stim > 10, 1.2, 0.0) + 0.01 * (np.arange(32) % 3),
        "interval_z": np.where(stim > 10, 5.0, 0.0),
        "answered": stim > 10,
        "position": np.full(32, np.nan),
        "kept": np.ones(32, dtype=bool),
        "interval_s": 12.0,
        "settings": SETTINGS,
    }
    return Reflexes(**{**values, **changes})


def test_threshold_size_and_staircase():
    found = markers.nfr_threshold(data())[()]
    assert found.value == pytest.approx(9.25, abs=0.1)
    assert (found.status, found.n) == (Status.OK, 32)
    stairs = markers.nfr_threshold_staircase(data())[()]
    assert (stairs.value, stairs.n) == (9.25, 8)
    assert markers.nfr_magnitude(data())[()].value == pytest.approx(1.21, abs=0.01)
    assert markers.nfr_ts(data())[()].reasons == (Reason.NOT_ACQUIRED,)


def test_turns_that_are_alike_do_not_make_a_staircase_sure():
    """Answers that come and go at 10 and 11 mA: the turns lie within 1 mA, the answers tell less."""
    stim = np.tile([10.0, 11.0], 16)
    unsure = data(stim_ma=stim, answered=(np.arange(32) % 2 == 1) ^ (np.arange(32) % 7 == 0))
    turns = stim[1:][unsure.answered[1:] != unsure.answered[:-1]]
    found = markers.nfr_threshold_staircase(unsure)[()]
    assert found.se == pytest.approx(unsure.fit.se)
    assert found.se > turns.std(ddof=1) / np.sqrt(turns.size)


@pytest.mark.parametrize(("answered", "low", "high"), [(False, 14.0, math.inf), (True, -math.inf, 6.0)])
@pytest.mark.parametrize("marker", [markers.nfr_threshold, markers.nfr_threshold_staircase])
def test_all_or_none_keep_their_bound(marker, answered, low, high):
    found = marker(data(answered=np.full(32, answered)))[()]
    assert found.reasons == (Reason.CENSORED_AT_LIMIT,)
    assert (found.ci_low, found.ci_high) == (low, high)


@pytest.mark.parametrize("marker", [markers.nfr_threshold, markers.nfr_threshold_staircase])
def test_reflex_at_the_lowest_intensity_leaves_a_bound(marker):
    """Three of four stimuli of the lowest intensity evoke it: the 50 % point would lie where nothing was tested."""
    found = marker(data(answered=np.arange(32) != 8))[()]
    assert found.reasons == (Reason.CENSORED_AT_LIMIT,)
    assert (found.ci_low, found.ci_high) == (-math.inf, 6.0)
    found = marker(data(answered=np.arange(32) == 28))[()]
    assert (found.ci_low, found.ci_high) == (14.0, math.inf)


def test_gates():
    few = data(kept=np.arange(32) < 6)
    assert markers.nfr_threshold(few)[()].reasons == (Reason.TOO_FEW_TRIALS,)
    falling = data(answered=data().stim_ma < 9)
    assert markers.nfr_threshold(falling)[()].reasons == (Reason.NOT_MONOTONE,)
    one_turn = data(answered=np.arange(32) > 20, stim_ma=np.linspace(4, 20, 32))
    assert markers.nfr_threshold_staircase(one_turn)[()].reasons == (Reason.TOO_FEW_TRIALS,)
    flagged = markers.nfr_threshold(data(kept=np.arange(32) < 12, interval_s=3.0))[()]
    assert set(flagged.reasons) == {Reason.FEW_TRIALS, Reason.MANY_REJECTED, Reason.SHORT_INTERVALS}
    assert markers.nfr_magnitude(data(answered=np.zeros(32, dtype=bool)))[()].reasons == (Reason.NO_RESPONSE,)
    two = data(answered=np.arange(32) < 2)
    assert markers.nfr_magnitude(two)[()].reasons == (Reason.TOO_FEW_TRIALS,)
    nothing = replace(
        data(), **{name: np.empty(0) for name in ("stim_ma", "magnitude", "interval_z", "position")},
        answered=np.empty(0, bool), kept=np.empty(0, bool),
    )  # fmt: skip
    for marker in (markers.nfr_threshold, markers.nfr_magnitude):
        assert marker(nothing)[()].reasons == (Reason.NOT_ACQUIRED,)


def test_summation_in_trains():
    position = np.tile(np.arange(1.0, 6), 4)
    rng = np.random.default_rng(0)
    trains = replace(
        data(), stim_ma=np.full(20, 12.0), magnitude=np.ones(20), interval_z=0.3 * position + 0.1 *
        rng.standard_normal(20), position=position, answered=np.ones(20, bool), kept=np.ones(20, bool),
    )  # fmt: skip
    found = markers.nfr_ts(trains)[()]
    assert found.ci_low < 0.3 < found.ci_high
    assert found.n == 20
    single = replace(trains, kept=np.arange(20) < 5)
    assert markers.nfr_ts(single)[()].reasons == (Reason.TOO_FEW_TRIALS,)


def trains(answered, *, intensity=None, kept=None):
    """Twenty trains of five of 4 to 13 mA, twice each; ``answered`` is a function of intensity and place."""
    stim = np.repeat(np.repeat(np.arange(4.0, 14), 2) if intensity is None else intensity, 5)
    place = np.tile(np.arange(1.0, 6), stim.size // 5)
    return replace(
        data(),
        stim_ma=stim,
        magnitude=np.ones(stim.size),
        interval_z=np.ones(stim.size),
        position=place,
        answered=answered(stim, place),
        kept=np.ones(stim.size, dtype=bool) if kept is None else kept(stim, place),
    )


def test_trains_that_summate_have_a_threshold():
    """Only the last two stimuli count; a train without them does not."""
    summed = trains(lambda ma, place: (ma > 8) & (place == 5) | (place == 1))
    found = markers.nfr_ts_threshold(summed)[()]
    assert found.value == pytest.approx(8.5, abs=0.1)
    assert (found.n, found.status) == (20, Status.OK)
    lost = trains(lambda ma, place: (ma > 8) & (place == 4), kept=lambda ma, place: (ma > 4) | (place < 4))
    assert markers.nfr_ts_threshold(lost)[()].n == 18
    none = markers.nfr_ts_threshold(trains(lambda ma, place: place < 4))[()]
    assert (none.reasons, none.ci_low) == ((Reason.CENSORED_AT_LIMIT,), 13.0)
    low = markers.nfr_ts_threshold(trains(lambda ma, place: place > 3))[()]
    assert (low.reasons, low.ci_high) == ((Reason.CENSORED_AT_LIMIT,), 4.0)
    few = trains(lambda ma, place: ma > 8, intensity=np.arange(4.0, 11))
    assert markers.nfr_ts_threshold(few)[()].reasons == (Reason.TOO_FEW_TRIALS,)
    one = trains(lambda ma, place: place > 3, intensity=np.full(10, 12.0))
    assert markers.nfr_ts_threshold(one)[()].reasons == (Reason.NOT_ACQUIRED,)
    assert markers.nfr_ts_threshold(data())[()].reasons == (Reason.NOT_ACQUIRED,)


def test_planted_threshold_within_five_percent_at_thirty_trials():
    rng = np.random.default_rng(4)
    errors, held = [], []
    for _ in range(80):
        stim = np.repeat(np.arange(6.0, 16), 3)
        answered = rng.random(30) < 1 / (1 + np.exp(-(stim - 10.4) / 0.6))
        found = markers.nfr_threshold(
            data(stim_ma=stim, answered=answered, magnitude=np.ones(30), interval_z=np.ones(30), position=np.full(30,
            np.nan),
                 kept=np.ones(30, bool))
        )[()]  # fmt: skip
        errors.append(abs(found.value - 10.4) / 10.4)
        held.append(found.ci_low <= 10.4 <= found.ci_high)
    assert np.mean(errors) < 0.05
    assert np.mean(held) > 0.88
