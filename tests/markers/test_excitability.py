"""Excitability markers: hand-counted protocols, gates, bounds of thresholds that were not reached."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.kernels.recruitment import NOTHING, Value
from lbpneuro.markers import excitability as markers
from lbpneuro.markers.excitability import Excitability, MuscleTrials, Pulses

SETTINGS = read_config()["excitability"]
LEVEL = ("FDI", "L")


def pulses(intensity, amplitude, **more):
    n = len(intensity)
    values = {
        "amplitude_uv": np.asarray(amplitude, dtype=float),
        "corrected_uv": np.asarray(amplitude, dtype=float),
        "background_uv": np.full(n, 2.0),
        "intensity": np.asarray(intensity, dtype=float),
        "isi_ms": np.zeros(n),
        "conditioning": np.full(n, np.nan),
        "latency_ms": np.full(n, 22.0) + 0.1 * (np.arange(n) % 2),
        "silent_period_ms": np.full(n, np.nan),
        "kept": np.ones(n, dtype=bool),
        "clipped": np.zeros(n, dtype=bool),
    }
    return Pulses(**{**values, **more})


def data(**trials):
    return Excitability(trials={LEVEL: MuscleTrials(**trials)}, settings=SETTINGS)


def steps(limit=48.0, *, n=8):
    """Intensities 40 to 56, responses of 200 uV above the limit and 10 uV below, one odd trial each."""
    intensity = np.repeat(np.arange(40.0, 58, 2), n)
    amplitude = np.where(intensity > limit, 200.0, 10.0)
    amplitude[[np.flatnonzero(intensity == 48)[0]]] = 200.0
    amplitude[[np.flatnonzero(intensity == 50)[0]]] = 10.0
    return pulses(intensity, amplitude)


def test_resting_threshold():
    found = markers.rmt(data(rest=steps()))[LEVEL]
    assert found.value == pytest.approx(49, abs=0.2)
    assert found.ci_low < 49 < found.ci_high
    assert (found.n, found.status) == (72, Status.OK)


def test_contracted_muscle_is_judged_above_noise_and_background():
    """200 uV above noise do not count where the background is 60 uV; 300 do."""
    intensity = np.repeat(np.arange(40.0, 58, 2), 6)
    amplitude = np.where(intensity > 48, 300.0, 210.0)
    loud = pulses(intensity, amplitude, background_uv=np.full(len(intensity), 60.0))
    assert markers.amt(data(active=loud))[LEVEL].value == pytest.approx(49, abs=0.3)
    quiet = pulses(intensity, amplitude)
    assert markers.amt(data(active=quiet))[LEVEL].reasons == (Reason.CENSORED_AT_LIMIT,)


def test_size_of_a_contracted_response_is_the_measured_one():
    """210 uV are a response although the noise of the contraction would take 70 off: the silence after it has none."""
    intensity = np.repeat(np.arange(40.0, 58, 2), 6)
    amplitude = np.where(intensity > 48, 210.0, 30.0)
    after = pulses(intensity, amplitude, background_uv=np.full(len(intensity), 25.0))
    after = replace(after, corrected_uv=np.where(intensity > 48, 140.0, 0.0))
    assert markers.amt(data(active=after))[LEVEL].value == pytest.approx(49, abs=0.3)


@pytest.mark.parametrize(("size", "low", "high"), [(10.0, 56.0, math.inf), (900.0, -math.inf, 40.0)])
def test_thresholds_beyond_the_tested_range_keep_their_bound(size, low, high):
    tested = steps()
    found = markers.rmt(data(rest=replace(tested, amplitude_uv=np.full(72, size))))[LEVEL]
    assert found.reasons == (Reason.CENSORED_AT_LIMIT,)
    assert (found.ci_low, found.ci_high) == (low, high)


def test_thresholds_without_enough_to_go_on():
    few = pulses([40.0, 50, 60] * 3, [10.0, 10, 200] * 3)
    assert markers.rmt(data(rest=few))[LEVEL].reasons == (Reason.TOO_FEW_TRIALS,)
    some = pulses([40.0, 50, 60] * 5, [10.0, 10, 200] * 5)
    assert Reason.FEW_TRIALS in markers.rmt(data(rest=some))[LEVEL].reasons
    falling = steps()
    falling = replace(falling, amplitude_uv=np.where(falling.intensity > 48, 10.0, 200.0))
    assert markers.rmt(data(rest=falling))[LEVEL].reasons == (Reason.NOT_MONOTONE,)
    unknown = pulses([np.nan] * 30, [200.0] * 30)
    assert markers.rmt(data(rest=unknown)) == {}
    assert markers.rmt(data()) == {}


def test_entered_thresholds_stand_beside():
    found = data(entered={"rmt": 47.0, "amt": math.nan})
    assert markers.rmt_entered(found)[LEVEL].value == 47
    assert markers.amt_entered(found)[LEVEL].reasons == (Reason.NOT_ACQUIRED,)


def test_flags():
    tested = steps()
    kept = np.arange(72) % 2 == 0
    found = markers.rmt(data(rest=replace(tested, kept=kept), tail=True, slow=True))[LEVEL]
    assert set(found.reasons) == {Reason.MANY_REJECTED, Reason.LOW_SAMPLING_RATE, Reason.ARTEFACT_TAIL}
    assert found.n == 36


RANGES = {name: tuple(pair) for name, pair in SETTINGS["isi_ms"].items()}


@pytest.mark.parametrize(
    ("isi", "first", "second", "threshold", "expected", "guessed"),
    [
        (0.0, np.nan, 60, 50, "", False),
        (2.5, 40, 60, 50, "sici", False),
        (2.5, np.nan, 60, 50, "sici", True),
        (2.5, 55, 60, 50, "", False),
        (2.5, 55, 60, np.nan, "sici", False),
        (2.5, 60, 45, 50, "sicf", False),
        (2.5, 60, 60, 50, "sicf", False),
        (12.0, 40, 60, 50, "icf", False),
        (12.0, 55, 60, 50, "", False),
        (100.0, 60, 60, 50, "lici", False),
        (100.0, 40, 60, 50, "", False),
        (100.0, np.nan, 60, 50, "lici", True),
        (30.0, 40, 60, 50, "", False),
        (6.5, 40, 60, 50, "", False),
    ],
)
def test_protocols_by_interval_and_intensity(isi, first, second, threshold, expected, guessed):
    kinds, unsure = markers.classified(
        np.array([isi]),
        conditioning=np.array([first], dtype=float),
        intensity=np.array([second], dtype=float),
        rmt_mso=threshold,
        ranges=RANGES,
    )
    assert (kinds[0], bool(unsure[0])) == (expected, guessed)


def pairs(conditioned=300.0, *, n=12, isi=2.5, first=40.0, test=600.0, intensity=60.0):
    sizes = np.concatenate([np.full(n, test), np.full(n, conditioned)]) * np.tile([0.9, 1.1], n)
    return pulses(
        np.full(2 * n, intensity),
        sizes,
        isi_ms=np.repeat([0.0, isi], n),
        conditioning=np.repeat([np.nan, first], n),
    )


def test_ratio_of_conditioned_to_test_responses():
    found = data(paired=pairs(), entered={"rmt": 50.0})
    assert markers.sici(found)[LEVEL].value == pytest.approx(0.5)
    assert markers.sici(found)[LEVEL].n == 24
    assert all(not each(found) for each in (markers.icf, markers.lici, markers.sicf))
    assert found.protocols(LEVEL).tolist() == [""] * 12 + ["sici"] * 12
    assert data().protocols(LEVEL).size == 0


def test_ratio_is_classified_by_the_threshold_of_the_data():
    strong = pairs(isi=100.0, first=60.0)
    assert markers.lici(data(paired=strong, rest=steps()))[LEVEL].value == pytest.approx(0.5)
    weak = pairs(isi=100.0, first=45.0)
    assert markers.lici(data(paired=weak, rest=steps())) == {}


def test_ratio_gates():
    entered = {"rmt": 50.0}
    guessed = markers.sici(data(paired=pairs(first=np.nan), entered=entered))[LEVEL]
    assert guessed.reasons == (Reason.CONDITIONING_UNKNOWN,)
    few = markers.sici(data(paired=pairs(n=8), entered=entered))[LEVEL]
    assert few.reasons == (Reason.TOO_FEW_TRIALS,)
    gone = markers.sici(data(paired=pairs(-5.0), entered=entered))[LEVEL]
    assert gone.reasons == (Reason.FLOOR,)
    nothing = markers.sici(data(paired=pairs(test=-5.0), entered=entered))[LEVEL]
    assert nothing.reasons == (Reason.NO_RESPONSE,)
    moved = pairs()
    moved = replace(moved, intensity=np.repeat([60.0, 64.0], 12))
    assert markers.sici(data(paired=moved, entered=entered))[LEVEL].reasons == (Reason.INTENSITY_CHANGED,)
    clipped = replace(pairs(), clipped=np.arange(24) < 6)
    assert markers.sici(data(paired=clipped, entered=entered))[LEVEL].reasons == (Reason.CLIPPED,)


def curve(highest=80.0, *, seed=1, repeats=8):
    rng = np.random.default_rng(seed)
    intensity = np.repeat(np.linspace(40, highest, 9), repeats)
    return pulses(intensity, 1500 / (1 + np.exp(-(intensity - 60) / 4)) * rng.lognormal(0, 0.3, len(intensity)) + 8)


def test_curve():
    found = data(curve=curve())
    assert markers.curve_s50(found)[LEVEL].value == pytest.approx(60, abs=1.5)
    assert markers.curve_threshold(found)[LEVEL].value == pytest.approx(52, abs=1.5)
    assert markers.curve_slope(found)[LEVEL].value == pytest.approx(94, rel=0.25)
    assert markers.curve_plateau(found)[LEVEL].value == pytest.approx(1500, rel=0.2)


def test_curve_gates():
    assert markers.curve_plateau(data(curve=curve(62.0)))[LEVEL].reasons == (Reason.PLATEAU_NOT_REACHED,)
    assert markers.curve_s50(data(curve=curve(repeats=2)))[LEVEL].reasons == (Reason.TOO_FEW_TRIALS,)
    flat = replace(curve(), amplitude_uv=np.random.default_rng(0).lognormal(3, 0.1, 72))
    assert markers.curve_s50(data(curve=flat))[LEVEL].reasons == (Reason.NO_RESPONSE,)
    clipped = replace(curve(), clipped=np.arange(72) < 20)
    assert markers.curve_slope(data(curve=clipped))[LEVEL].reasons == (Reason.CLIPPED,)
    assert markers.curve_s50(data()) == {}


def test_amplitude_and_latency_at_rest():
    found = data(amplitude=pairs(n=24), onset_ms=Value(value=21.5, se=0.2, ci_low=21.0, ci_high=22.0), onset_n=24)
    assert markers.mep_amplitude(found)[LEVEL].value == pytest.approx(600)
    assert markers.mep_amplitude(found)[LEVEL].n == 24
    assert markers.mep_latency(found)[LEVEL].value == pytest.approx(22.05)
    assert markers.mep_latency_average(found)[LEVEL].value == 21.5
    assert markers.silent_period(found) == {}


def test_amplitude_gates():
    assert markers.mep_amplitude(data(amplitude=pairs(n=8)))[LEVEL].reasons == (Reason.TOO_FEW_TRIALS,)
    assert markers.mep_amplitude(data(amplitude=pairs(n=12)))[LEVEL].reasons == (Reason.FEW_TRIALS,)
    assert markers.mep_amplitude(data(amplitude=pairs(n=24, test=-1.0)))[LEVEL].reasons == (Reason.NO_RESPONSE,)
    clipped = replace(pairs(n=24), clipped=np.arange(48) < 12)
    assert markers.mep_amplitude(data(amplitude=clipped))[LEVEL].reasons == (Reason.CLIPPED,)
    moved = replace(pairs(n=24), intensity=np.tile([60.0, 64.0], 24))
    assert markers.mep_amplitude(data(amplitude=moved))[LEVEL].reasons == (Reason.INTENSITY_CHANGED,)
    assert markers.mep_amplitude(data()) == {}


def test_time_gates():
    silent = replace(pairs(n=24), latency_ms=np.full(48, np.nan))
    assert markers.mep_latency(data(amplitude=silent))[LEVEL].reasons == (Reason.NO_RESPONSE,)
    few = replace(pairs(n=24), latency_ms=np.where(np.arange(48) < 3, 22.0, np.nan))
    assert markers.mep_latency(data(amplitude=few))[LEVEL].reasons == (Reason.TOO_FEW_TRIALS,)
    none = data(amplitude=pairs(n=24), onset_ms=NOTHING)
    assert markers.mep_latency_average(none)[LEVEL].reasons == (Reason.NO_RESPONSE,)
    timed = replace(pairs(n=24), silent_period_ms=np.tile([100.0, 104.0], 24))
    found = markers.silent_period(data(contracted=timed))[LEVEL]
    assert (found.value, found.n) == (102, 24)
    scatter = np.std([100.0, 104.0] * 12, ddof=1) / np.sqrt(24)
    assert found.se == pytest.approx(np.hypot(scatter, 0.5))
    assert found.ci_high - found.value == pytest.approx(2.068658 * found.se)  # Student's t of 23
    latency = markers.mep_latency(data(amplitude=pairs(n=24)))[LEVEL]
    assert latency.value - latency.ci_low == pytest.approx(2.068658 * latency.se)
