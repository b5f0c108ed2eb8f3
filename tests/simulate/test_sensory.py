"""Simulated sensory tests: tables that keep their contract, and markers that find what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config
from lbpneuro.io.psychophysics import read_trials
from lbpneuro.io.sensory import read_tests, sensory_data
from lbpneuro.markers.descriptor import evaluate
from lbpneuro.registry import family
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.recovery import agreement
from lbpneuro.simulate.sensory import SensorySettings, cpm_table, cpt_table, ppt_table, sensitivity, tsp_table
from lbpneuro.simulate.sensory_files import write_sensory
from lbpneuro.simulate.study import Study

CONFIG = read_config()
SETTINGS = SensorySettings()


def visit(number: int, *, effect: float = 1.0) -> Visit:
    return Visit(person(number, seed=7, effect=effect), 0, 7)


def test_the_tables_keep_their_contract_and_are_the_same_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sensory(Study(root=tmp_path / name, voxel_mm=4.0), visit(1))
    files = sorted((tmp_path / "one" / "raw").rglob("*.tsv"))
    assert [path.name for path in files] == [f"sub-01_task-{task}_beh.tsv" for task in ("cpm", "cpt", "ppt", "tsp")]
    for path in files:
        assert len(read_trials(path).table)
        again = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == again.read_bytes()


def test_what_the_device_cannot_reach_is_noted_as_its_limit() -> None:
    high = replace(SETTINGS, ppt_mean=3.7, cpt_mean=-30.0, missing=0.0)
    assert (ppt_table(visit(2), high)["value"] == 1000).all()
    assert (cpt_table(visit(2), high)["value"] == 0).all()


def test_zero_raters_lost_trials_and_two_examiners() -> None:
    tables = [tsp_table(visit(number), SETTINGS) for number in range(1, 61)]
    zero = [table for table in tables if (table.filter(regex="single|^r") == 0).all(axis=None)]
    assert 1 <= len(zero) <= 12
    lost = pd.concat([ppt_table(visit(number), SETTINGS) for number in range(1, 61)])
    assert 0.005 < lost["value"].isna().mean() < 0.05
    assert set(lost["examiner"]) == {"A", "B"}


def test_groups_and_examiners_differ_as_planted() -> None:
    found = {"patients": [], "A": [], "B": []}
    for number in range(2, 800, 2):
        control, patient = (sensitivity(visit(number, effect=0.0), SETTINGS), None)
        found[control.examiner].append(control.ppt["tibialis", "L"])
        patient = sensitivity(visit(number + 1), SETTINGS)
        found["patients"].append(patient.ppt["tibialis", "L"])
    middle = {name: np.mean(values) for name, values in found.items()}
    assert middle["B"] - middle["A"] == pytest.approx(SETTINGS.ppt_examiner, abs=0.05)
    controls = (middle["A"] + middle["B"]) / 2
    assert middle["patients"] - controls == pytest.approx(SETTINGS.ppt_lbp, abs=0.04)


def test_conditioning_is_noted_where_it_happened() -> None:
    table = cpm_table(visit(1), SETTINGS)
    conditioned = table["block"] == "during"
    assert table.loc[conditioned, "conditioning_rating"].notna().all()
    assert table.loc[~conditioned, ["conditioning", "conditioning_rating"]].isna().all(axis=None)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> pd.DataFrame:
    """What was planted in two dozen people beside what the markers found."""
    root, rows = tmp_path_factory.mktemp("sensory"), []
    markers = {marker.name: marker for marker in family("sensory")}
    for number in range(1, 25):
        planted = write_sensory(Study(root=root, voxel_mm=4.0), visit(number))
        files = sorted((root / "raw" / visit(number).folder / "beh").glob("*.tsv"))
        data = sensory_data(read_tests(files), CONFIG["sensory"])
        found = {name: evaluate(markers[name], data, CONFIG) for name in {row["marker"] for row in planted}}
        for row in planted:
            level = tuple(row[column] for column in markers[row["marker"]].index)
            estimate = found[row["marker"]][level]
            numbers = {name: getattr(estimate, name) for name in ("value", "se", "ci_low", "ci_high", "status")}
            rows.append({"marker": row["marker"], "truth": row["value"], **numbers})
    return pd.DataFrame(rows)


def test_what_was_planted_is_found(pairs: pd.DataFrame) -> None:
    """Two dozen people: near the truth, and intervals that hold; the numbers of many people are in docs/methods.md."""
    for marker, rows in pairs.groupby("marker"):
        found = agreement(rows)
        assert found["n"] > 0.5 * found["n_planted"], marker
        assert abs(found["bias"]) < 4 * found["rmse"] / np.sqrt(found["n"]), marker
        assert found["coverage"] > 0.85, marker
        assert found["r"] > 0.5, marker


def test_the_bounds_of_censored_thresholds_hold(pairs: pd.DataFrame) -> None:
    censored = pairs[pairs["value"].isna() & pairs["marker"].isin(["ppt", "ppt_local", "cpt"])]
    assert len(censored) > 3
    slack = np.where(censored["marker"] == "cpt", 3.0, 0.1)
    low, high = censored["ci_low"].fillna(-np.inf), censored["ci_high"].fillna(np.inf)
    assert ((low - slack <= censored["truth"]) & (censored["truth"] <= high + slack)).all()
