"""The simulated withdrawal reflex: what its numbers mean, and how the groups differ."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.reflex import (
    ReflexSettings,
    Withdrawal,
    burst_shape,
    gain_of,
    interval_z,
    planned,
    reflex_truth,
    staircase,
    standardised,
    withdrawal,
)
from lbpneuro.simulate.reflex_files import write_reflex
from lbpneuro.simulate.study import Study

SETTINGS = ReflexSettings()


def visit(number: int = 1, *, effect: float = 1.0, session: int = 0) -> Visit:
    return Visit(person(number, seed=9, effect=effect), session, 9)


def test_reflexes_are_planted_where_they_are_looked_for():
    config = read_config()["reflex"]
    assert SETTINGS.muscle == config["muscle"]
    assert tuple(1e3 * edge for edge in SETTINGS.window_s) == tuple(config["window_ms"])
    assert SETTINGS.interval_s * 0.9 > config["interval_min_s"]
    assert SETTINGS.above_threshold * (SETTINGS.threshold_ma + 3 * SETTINGS.threshold_sd) < config["limit_ma"]


def test_sizes_are_those_of_gaussian_noise_of_that_shape():
    """Interval z and standardised size of long series of noise, counted sample by sample."""
    rng = np.random.default_rng(1)
    times = np.linspace(*SETTINGS.window_s, 61) - SETTINGS.onset_s
    quiet = np.abs(rng.standard_normal((4000, 61)))
    for size in (5.0, 20.0):
        (gain,) = gain_of(np.array([size]), SETTINGS)
        rectified = np.abs(
            rng.standard_normal((4000, 61)) + gain * burst_shape(times, SETTINGS) * rng.standard_normal((4000, 61))
        )
        assert (rectified.mean() - quiet.mean()) / quiet.std() == pytest.approx(size, rel=0.02)
        pooled = np.sqrt((rectified.var() + quiet.var()) / 2)
        assert standardised(np.array([gain]), SETTINGS)[0] == pytest.approx(
            (rectified.mean() - quiet.mean()) / pooled, rel=0.02
        )
        assert interval_z(np.array([gain]), SETTINGS)[0] == pytest.approx(size, rel=1e-3)


def test_staircase_goes_down_after_a_reflex_and_up_without_one():
    sure = Withdrawal(threshold_ma=10.2, width_ma=0.02, growth=0.0)
    intensity, answered = staircase(np.random.default_rng(0), sure, dataclasses.replace(SETTINGS, singles=9))
    assert intensity.tolist() == [1, 5, 9, 13, 11, 9, 10, 11, 10]
    np.testing.assert_array_equal(answered, intensity > 10.2)


def test_stimuli_are_singles_then_trains():
    table = planned(visit(), SETTINGS)
    single = table["train_position"].isna()
    assert single.sum() == SETTINGS.singles
    assert table.loc[~single, "train_position"].tolist() == [1, 2, 3, 4, 5] * SETTINGS.trains
    assert table["stim_mA"][~single].nunique() == 1
    assert table["stim_mA"][~single].iloc[0] > withdrawal(visit(), SETTINGS).threshold_ma
    starts = table.loc[single | (table["train_position"] == 1), "onset"]
    assert starts.diff().min() > 8
    assert np.allclose(table["onset"][~single].to_numpy().reshape(-1, 5) @ [-1, 1, 0, 0, 0], 0.5, atol=2e-3)


def test_people_in_pain_have_lower_thresholds_and_summate_more():
    def mean(marker: str, effect: float) -> float:
        rows = [
            row["value"] * (1 if n % 2 else -1)
            for n in range(1, 61)
            for row in reflex_truth(visit(n, effect=effect), SETTINGS)
            if row["marker"] == marker
        ]
        return sum(rows) / 30

    assert mean("nfr_threshold", 1.0) == pytest.approx(-SETTINGS.patient_ma, abs=1.5)
    assert mean("nfr_ts", 1.0) == pytest.approx(SETTINGS.patient_growth, abs=0.3)
    assert abs(mean("nfr_threshold", 0.0)) < 1.5


def test_files_are_those_of_emg_bids_and_absent_where_not_asked_for(tmp_path):
    assert write_reflex(Study(root=tmp_path, voxel_mm=4.0), visit()) == []
    assert not list(tmp_path.iterdir())
    rows = write_reflex(Study(root=tmp_path, voxel_mm=4.0, reflex=SETTINGS), visit())
    assert {row["marker"] for row in rows} == {"nfr_threshold", "nfr_threshold_staircase", "nfr_magnitude", "nfr_ts"}
    start = tmp_path / "raw/sub-01/emg/sub-01_task-reflex"
    events = pd.read_csv(f"{start}_events.tsv", sep="\t", na_values="n/a")
    assert {"onset", "duration", "stim_mA", "train_position", "rating"} <= set(events)
    assert events["rating"].between(0, 100).all()
    assert (tmp_path / "raw/sub-01/emg/sub-01_task-reflex_emg.bdf").stat().st_size > 1e6
