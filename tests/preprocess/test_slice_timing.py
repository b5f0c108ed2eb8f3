"""Slice times: what is read from the sidecar, planted phase shifts, and splines of scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from lbpneuro.errors import InputError
from lbpneuro.preprocess.slice_timing import correct_slices, shifted, slice_timing

PATH = Path("sub-01_task-rest_bold.nii.gz")
N_TIME = 120


def found(metadata, *, shape=(5, 6, 4), t_r=2.0, setting="auto"):
    return slice_timing(metadata, shape=shape, t_r=t_r, setting=setting, path=PATH)


def test_by_hand():
    """Slices at 0, 1, 0.5 and 1.5 s of 2 s: the middle is 0.75 s, the first slice is evaluated 0.375 volumes later."""
    timing = found({"SliceTiming": [0, 1, 0.5, 1.5]})
    assert timing.corrects
    assert timing.start_s == 0.75
    assert timing.axis == 2
    assert timing.shifts.tolist() == [0.375, -0.125, 0.125, -0.375]


def test_a_minus_lists_the_slices_from_the_last():
    timing = found({"SliceTiming": [0, 1, 0.5, 1.5], "SliceEncodingDirection": "k-"})
    assert timing.shifts.tolist() == [-0.375, 0.125, -0.125, 0.375]


@pytest.mark.parametrize(("direction", "axis", "n"), [("i", 0, 5), ("j-", 1, 6), ("k", 2, 4)])
def test_slices_along_any_axis(direction, axis, n):
    timing = found({"SliceTiming": np.linspace(0, 1.8, n).tolist(), "SliceEncodingDirection": direction})
    assert (timing.axis, len(timing.shifts)) == (axis, n)


def test_multiband_slices_share_their_times():
    assert found({"SliceTiming": [0, 1, 0, 1]}).shifts.tolist() == [0.25, -0.25, 0.25, -0.25]


@pytest.mark.parametrize(
    ("metadata", "options", "words"),
    [
        ({}, {}, "no SliceTiming"),
        ({"SliceTiming": [0, 0.2, 0.1, 0.3]}, {"t_r": 0.8}, "0.8 s is below 1 s"),
        ({"SliceTiming": [0.1] * 4}, {}, "at the same time"),
        ({"SliceTiming": [0, 1, 0.5, 1.5]}, {"setting": "off"}, "is off"),
        ({"SliceTiming": [0, 1, 0.5, 1.5]}, {"setting": False}, "is off"),
        ({"SliceTiming": ["nonsense"]}, {"setting": "off"}, "is off"),
    ],
)
def test_what_is_left_as_it_is(metadata, options, words):
    timing = found(metadata, **options)
    assert not timing.corrects
    assert words in timing.reason


@pytest.mark.parametrize("setting", ["on", True])
def test_on_means_even_a_short_repetition_time(setting):
    assert found({"SliceTiming": [0, 0.2, 0.1, 0.3]}, t_r=0.8, setting=setting).corrects
    with pytest.raises(InputError, match=r"is on, but .* no SliceTiming"):
        found({}, setting=setting)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"SliceTiming": [0, 1, 0.5]}, "3 entries, but the image has 4 slices"),
        ({"SliceTiming": [0, 1, 0.5, 2.5]}, "from 0 to 2.5 s, which does not fit .* 2 s;"),
        ({"SliceTiming": [0, 1000, 500, 1500]}, "milliseconds"),
        ({"SliceTiming": [-0.1, 1, 0.5, 1.5]}, "from -0.1"),
        ({"SliceTiming": ["a", 1, 0.5, 1.5]}, "list of seconds"),
        ({"SliceTiming": 0.5}, "list of seconds"),
        ({"SliceTiming": [0, 1, 0.5, 1.5], "SliceEncodingDirection": "z"}, "SliceEncodingDirection.*'z'"),
    ],
)
def test_what_contradicts_the_image(metadata, words):
    with pytest.raises(InputError, match=words) as caught:
        found(metadata)
    assert PATH.name in str(caught.value)


@pytest.mark.parametrize("direction", ["i", "j", "k", "k-"])
def test_planted_phase_shifts_are_taken_out(direction):
    """One slow wave, seen by every slice at its own time, is the same wave in all slices afterwards."""
    t_r, shape = 2.0, (6, 5, 7)
    axis = "ijk".index(direction[0])
    times = np.random.default_rng(1).permutation(np.linspace(0, 1.9, shape[axis]))
    metadata = {"SliceTiming": times.tolist(), "SliceEncodingDirection": direction}
    ordered = times[::-1] if direction.endswith("-") else times
    at = np.arange(N_TIME) * t_r + ordered[:, None]
    planted = np.sin(2 * np.pi * 0.08 * at)
    series = np.moveaxis(
        np.broadcast_to(planted[:, None, None], (shape[axis], *np.delete(shape, axis), N_TIME)), 0, axis
    )
    series = series.astype(np.float32)
    timing = found(metadata, shape=shape)
    correct_slices(series, timing)
    truth = np.sin(2 * np.pi * 0.08 * (np.arange(N_TIME) * t_r + timing.start_s))
    assert np.abs(planted - truth).max() > 0.4
    assert np.abs(series - truth)[..., 12:-12].max() < 0.001


def test_bright_first_volumes_stay_and_reach_no_further():
    series = np.full((2, 2, 4, N_TIME), 100, dtype=np.float32)
    series[..., :2] = 500
    correct_slices(series, found({"SliceTiming": [0, 1, 0.5, 1.5]}, shape=(2, 2, 4)), start=2)
    assert (series[..., :2] == 500).all()
    assert series[..., 2:] == pytest.approx(100)


@pytest.mark.parametrize("shift", [-0.5, -0.3, 0.0, 0.125, 0.5])
def test_away_from_the_ends_it_is_the_spline_of_scipy(rng, shift):
    values = rng.normal(size=(3, N_TIME))
    spline = make_interp_spline(np.arange(N_TIME), values, k=5, axis=1)
    inner = slice(25, -25)
    assert shifted(values, shift)[:, inner] == pytest.approx(spline(np.arange(N_TIME) + shift)[:, inner], abs=1e-6)


def test_no_shift_changes_nothing(rng):
    values = rng.normal(size=(3, N_TIME)).astype(np.float32)
    assert shifted(values, 0.0) == pytest.approx(values, abs=1e-5)
    assert shifted(values, 0.2).dtype == np.float32


def test_a_spike_stays_near():
    """What one volume of a spike leaves: 17 % in the next but one, below 1 % from the seventh on."""
    values = np.zeros(N_TIME)
    values[60] = 1.0
    moved = np.abs(shifted(values, 0.5))
    assert moved[61] == pytest.approx(0.168, abs=0.01)
    assert moved[67:].max() < 0.01
