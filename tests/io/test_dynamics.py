"""Series of the dynamic nodes and reference states, to files and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, LbpneuroError, Reason
from lbpneuro.io.dynamics import (
    collect_windows,
    evenly,
    read_dynamic_run,
    read_session,
    read_states,
    series_files,
    windows_table,
    without_slow,
    write_states,
    write_windows,
)
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.kernels.nuisance import residual_basis
from lbpneuro.markers.bold import Nuisance
from lbpneuro.markers.dynamic import Dynamic, States, session_windows
from tests.oracles.dynamic import NODES, SETTINGS, T_R, bold_run, config, regions, state_series, write_rows
from tests.oracles.runs import a_run

N_TIME = 300


def scan(rng, **changes):
    return bold_run(rng, state_series(rng, n_time=N_TIME, dwell_s=(180.0, 120.0)), **changes)


def study(root, rng, n_people=6, **settings):
    """The rows of several people, with the settings of the study."""
    rows = [write_rows(root / "out", f"sub-{number:02d}", scan(rng)) for number in range(1, n_people + 1)]
    return rows, config(root, **settings)


def test_what_is_slower_than_a_window_is_taken_out(rng):
    """The same basis as that of one regression on everything: confounds, drift, and the band from 1 / window on."""
    run = scan(rng)
    confounds = rng.standard_normal((N_TIME, 5))
    basis = residual_basis(confounds, t_r=T_R, band_hz=(0.01, 0.08), polynomial=1, keep=run.keep)
    run = replace(run, models={**run.models, "cortical": Nuisance(strategy="36p", basis=basis)})
    found = without_slow(run, low_hz=1 / 60)
    expected = residual_basis(confounds, t_r=T_R, band_hz=(1 / 60, 0.08), polynomial=1, keep=run.keep)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-6)


def test_series_to_a_file_and_back(tmp_path, rng):
    fd = np.full(N_TIME, 0.1)
    fd[[50, 120]] = 0.6
    run = bold_run(rng, np.zeros(N_TIME, dtype=int))
    spoilt = a_run(rng, n_time=N_TIME, fd=fd)
    run = replace(run, keep=spoilt.keep, models=spoilt.models, fd_mm=spoilt.fd_mm, steady=np.arange(N_TIME) > 1)
    rows = write_rows(tmp_path, "sub-01", run)
    (path,) = series_files(rows, root=tmp_path)
    assert path.name == "sub-01_task-rest_desc-dynamic_timeseries.tsv"
    found = read_dynamic_run(path, nodes=NODES)
    np.testing.assert_array_equal(found.keep, run.keep)
    np.testing.assert_array_equal(found.steady, run.steady)
    assert (found.t_r, found.name, found.resting) == (2.0, "task-rest", True)
    assert np.isnan(found.fd_mm[0])
    # what is left holds no cosine slower than a window
    slow = np.cos(np.pi * (np.arange(N_TIME) + 0.5) * 10 / N_TIME)  # 10 / (2 * 600 s): 120 s
    assert np.abs(slow[found.keep] @ found.series[found.keep]).max() < 1e-3
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["Window"] == {"Volumes": 30, "Seconds": 60.0}
    assert facts["LowestFrequency"] == pytest.approx(1 / 60)
    assert set(facts["Coverage"]) == set(NODES)


def test_both_sides_are_one_node_where_the_settings_say_so(tmp_path, rng):
    """The anterior cingulate is the mean of its two sides, weighted by size; its coverage is the lower one."""
    run = scan(rng)
    left, right = (regions().index(("acc", hemi)) for hemi in "LR")
    means, size, coverage = run.means.copy(), run.size.copy(), run.coverage.copy()
    size[left], coverage[right] = 3.0, 0.3
    means[:, right] = means[:, regions().index(("s1", "L"))]
    rows = write_rows(tmp_path, "sub-01", replace(run, means=means, size=size, coverage=coverage))
    found = read_dynamic_run(series_files(rows, root=tmp_path)[0], nodes=NODES)
    table = dict(zip(NODES, found.series.T, strict=True))
    alone = write_rows(tmp_path, "sub-02", run)
    before = dict(
        zip(NODES, read_dynamic_run(series_files(alone, root=tmp_path)[0], nodes=NODES).series.T, strict=True)
    )
    np.testing.assert_allclose(table["acc"], 0.75 * before["acc"] + 0.25 * before["s1_L"], atol=1e-5)
    assert found.coverage[NODES.index("acc")] == 0.3


def test_a_run_with_nothing_left_says_so(tmp_path, rng):
    run = scan(rng)
    empty = replace(run, models={**run.models, "cortical": Nuisance(strategy="36p", basis=None)})
    found = read_dynamic_run(series_files(write_rows(tmp_path, "sub-01", empty), root=tmp_path)[0], nodes=NODES)
    assert found.refused is Reason.TOO_FEW_DOF
    assert not found.keep.any()


def test_what_the_connectivity_step_could_not_do_is_passed_on(tmp_path, rng):
    rows = write_rows(tmp_path, "sub-01", error={"reason": "invalid_input", "message": "the file is truncated"})
    with pytest.raises(LbpneuroError, match="truncated") as refused:
        series_files(rows, root=tmp_path)
    assert refused.value.reason is Reason.INVALID_INPUT
    with pytest.raises(LbpneuroError, match="names no series") as refused:
        series_files(write_rows(tmp_path, "sub-02"), root=tmp_path)
    assert refused.value.reason is Reason.NO_DERIVATIVE
    (path,) = series_files(write_rows(tmp_path, "sub-03", scan(rng)), root=tmp_path)
    with pytest.raises(InputError, match="vmpfc are absent"):
        read_dynamic_run(path, nodes=[*NODES, "vmpfc"])


def test_states_are_learned_written_and_read(tmp_path, rng):
    rows, settings = study(tmp_path, rng)
    path = tmp_path / "out" / "desc-dynamic_states.tsv"
    write_states(path, rows, settings, roots={"": tmp_path / "out"})
    table, facts = read_tsv(path), json.loads(path.with_suffix(".json").read_text())
    assert list(table.columns) == ["node_1", "node_2", "state_1", "state_2"]
    assert len(table) == 72
    assert (facts["Participants"], facts["Windows"]) == (6, 600)
    assert facts["Definition"]["nodes"] == NODES
    assert set(facts["Stability"]) == {"2", "3"}
    assert facts["MostStableK"] == 2
    assert facts["Stability"]["2"]["AdjustedRand"] > 0.4
    assert len(facts["Sources"]) == 6
    states = read_states(path, settings)
    assert states.people == 6
    np.testing.assert_allclose(states.centroids, table[["state_1", "state_2"]].to_numpy().T)
    again = tmp_path / "again_states.tsv"
    write_states(again, rows[::-1], settings, roots={"": tmp_path / "out"})
    assert again.read_bytes() == path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == path.with_suffix(".json").read_bytes()


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("dynamic", {"nodes": [*NODES[:-1], "vmpfc"]}, "dynamic.nodes"),
        ("dynamic", {"window_s": 90}, r"`dynamic.window_s` = 44, the settings say 90"),
        ("dynamic", {"k": 3}, "dynamic.k"),
        ("dynamic", {"metric": "euclidean"}, "dynamic.metric"),
        ("functional", {"band_hz": [0.01, 0.1]}, "band_hz"),
    ],
)
def test_states_of_another_definition_are_refused(tmp_path, rng, section, change, message):
    rows, settings = study(tmp_path, rng, n_people=2)
    path = tmp_path / "desc-dynamic_states.tsv"
    write_states(path, rows, settings, roots={})
    other = {**settings, section: {**settings[section], **change}}
    with pytest.raises(InputError, match=message):
        read_states(path, other)


def test_a_table_that_was_changed_by_hand_is_refused(tmp_path, rng):
    rows, settings = study(tmp_path, rng, n_people=2)
    path = tmp_path / "desc-dynamic_states.tsv"
    write_states(path, rows, settings, roots={})
    table = read_tsv(path)
    write_tsv(path, table.iloc[::-1])
    with pytest.raises(InputError, match="other edges"):
        read_states(path, settings)
    write_tsv(path, table.drop(columns="state_2"))
    with pytest.raises(InputError, match="state_2"):
        read_states(path, settings)


def test_who_cannot_be_used_is_left_out(tmp_path, rng, caplog):
    rows, settings = study(tmp_path, rng, n_people=2)
    rows.append(write_rows(tmp_path / "out", "sub-03", error={"reason": "invalid_input", "message": "truncated"}))
    rows.append(write_rows(tmp_path / "out", "sub-04", bold_run(rng, np.zeros(200, dtype=int))))  # under 8 minutes
    sample = collect_windows(rows, settings)
    assert set(sample.people) == {"01", "02"}
    assert "sub-03" in caplog.text


def test_a_study_without_usable_scans_has_no_states(tmp_path, rng):
    rows = [write_rows(tmp_path / "out", "sub-01", bold_run(rng, np.zeros(200, dtype=int)))]
    path, settings = tmp_path / "desc-dynamic_states.tsv", config(tmp_path)
    write_states(path, rows, settings, roots={})
    assert json.loads(path.with_suffix(".json").read_text())["Error"]["reason"] == "no_states"
    assert read_states(path, settings) is None


def test_a_long_scan_gives_no_more_windows_than_a_short_one():
    z = np.arange(200.0)[:, None]
    z[10] = np.nan
    found = evenly(z, most=50)
    assert len(found) == 50
    assert (found[0], found[-1]) == (0, 199)
    assert np.ptp(np.diff(found[:, 0])) <= 2
    assert len(evenly(z[:30], most=50)) == 29


def test_the_state_of_every_window_is_written(tmp_path, rng):
    rows = write_rows(tmp_path / "out", "sub-01", *(scan(rng, name=f"task-rest_run-{number}") for number in (1, 2)))
    settings = config(tmp_path)
    states = States(centroids=np.array([np.full(72, 0.1), np.full(72, 0.8)]), people=30)
    data = read_session(series_files(rows, root=tmp_path / "out"), settings, states=states)
    assert isinstance(data, Dynamic)
    windows = session_windows(data)
    table = windows_table(data, windows)
    assert list(table["run"].unique()) == ["task-rest_run-1", "task-rest_run-2"]
    assert table["onset"].max() == (N_TIME - 30) * T_R
    np.testing.assert_array_equal(table["state"], windows.labels + 1)
    path = tmp_path / "sub-01_desc-states_timeseries.tsv"
    write_windows(path, data)
    pd.testing.assert_frame_equal(read_tsv(path), table.astype({"state": "int64"}), check_dtype=False)
    assert json.loads(path.with_suffix(".json").read_text())["WindowSeconds"] == 60


def test_the_settings_of_the_tests_are_those_of_the_study():
    from lbpneuro.io.config import read_config

    shipped = read_config()["dynamic"]
    assert set(shipped) == set(SETTINGS)
    assert shipped["nodes"] == NODES
