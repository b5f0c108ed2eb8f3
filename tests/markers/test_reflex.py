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
