"""Trial tables against their contract: what is read, and the sentence that every kind of fault gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.psychophysics import read_task, read_trials, task_files
from lbpneuro.io.trial_schemas import TASKS, columns, required, schema, sidecar_fields

DEVICE = {"ManufacturersModelName": "Algometer"}
VALID: dict[str, tuple[dict[str, Any], str]] = {
    "ppt": (DEVICE, "site side trial value unit\nlumbar L 1 250 kPa\nlumbar L 2 270 kPa\n"),
    "cpt": ({"CutOff": 0}, "site side trial value\nforearm R 1 12.5\nforearm R 2 0\n"),
    "tsp": ({"RatingScaleMaximum": 100}, "modality trial single r1 r2 r3\npinprick_256mN 1 20 20 25 30\n"),
    "cpm": (
        {"RatingScaleMaximum": 10},
        """test_stimulus block trial value unit conditioning_rating
ppt before 1 250 kPa n/a
ppt during 1 320 kPa 6
heat_rating before 1 6 n/a n/a
""",
    ),
    "tpd": ({}, "run direction axis side distance_mm response\n1 asc horizontal L 40 1\n1 asc horizontal L 45 2\n"),
    "graph": ({"NumberOfOptions": 3}, "trial side stimulus response\n1 L A A\n2 L B n/a\n"),
    "loc": ({}, "trial actual_x_mm actual_y_mm perceived_x_mm perceived_y_mm\n1 0 0 10 -5\n"),
    "laterality": ({}, "trial image stimulus_side response rt_ms\n1 a.png L R 812\n2 b.png R n/a n/a\n"),
}


def write(folder: Path, task: str, text: str | None = None, run: str = "", **metadata: Any) -> Path:
    sidecar, valid = VALID[task]
    path = folder / f"sub-01_task-{task}{run}_beh.tsv"
    path.write_text((valid if text is None else text).replace(" ", "\t"))
    content = {key: value for key, value in {**sidecar, **metadata}.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("task", TASKS)
def test_a_table_that_keeps_its_contract_is_read_with_all_columns(task: str, tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, task))
    assert trials.task == task
    assert set(columns(task)) <= set(trials.table)
    assert len(trials.table) == VALID[task][1].count("\n") - 1
    for name, entry in columns(task).items():
        kind = trials.table[name].dtype.kind
        assert kind == ("f" if {"number", "integer"} & set(np.atleast_1d(entry["type"])) else "O"), name


@pytest.mark.parametrize("task", TASKS)
def test_the_schemas_are_schemas_and_say_what_everything_is(task: str) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema(task))
    assert "$ref" not in json.dumps(schema(task))
    for name, entry in {**columns(task), **sidecar_fields(task)}.items():
        assert entry["description"].endswith("."), name
    assert set(schema(task)["unique"]) <= set(columns(task))


@pytest.mark.parametrize("task", TASKS)
def test_a_table_without_a_needed_column_is_refused_by_its_name(task: str, tmp_path: Path) -> None:
    header, *rows = (line.split(" ") for line in VALID[task][1].splitlines())
    for name in required(task):
        at = header.index(name)
        text = "\n".join(" ".join(row[:at] + row[at + 1 :]) for row in [header, *rows])
        with pytest.raises(InputError, match=rf"needs the column {name}"):
            read_trials(write(tmp_path, task, text))


@pytest.mark.parametrize(("unit", "kpa"), [("kPa", 3.0), ("kgf/cm2", 294.1995), ("kg/cm2", 294.1995)])
def test_pressures_become_kilopascals(unit: str, kpa: float, tmp_path: Path) -> None:
    text = f"site side trial value unit tolerance_max\nlumbar L 1 3 {unit} 10\n"
    table = read_trials(write(tmp_path, "ppt", text)).table
    np.testing.assert_allclose(table["value"], kpa)
    np.testing.assert_allclose(table["tolerance_max"], kpa * 10 / 3)
    assert table["unit"].tolist() == ["kPa"]


def test_forces_are_divided_by_the_area_of_the_probe(tmp_path: Path) -> None:
    text = "site side trial value unit probe_cm2\nlumbar L 1 30 N 0.5\nlumbar L 2 3 kgf 2\nlumbar L 3 300 kPa 1\n"
    table = read_trials(write(tmp_path, "ppt", text, DeviceMaximum=100, DeviceMinimum=1)).table
    np.testing.assert_allclose(table["value"], [600, 147.09975, 300])
    np.testing.assert_allclose(table["tolerance_max"], [2000, 4903.325, 100])
    np.testing.assert_allclose(table["tolerance_min"], [20, 49.03325, 1])


def test_the_unit_and_the_area_may_stand_in_the_sidecar(tmp_path: Path) -> None:
    text = "site side trial value\nlumbar L 1 30\n"
    table = read_trials(write(tmp_path, "ppt", text, value={"Units": "N"}, ProbeArea=0.5)).table
    np.testing.assert_allclose(table["value"], [600])


def test_ratings_are_brought_to_100_by_the_declared_scale(tmp_path: Path) -> None:
    text = "modality trial single r1 r2 r10\nheat 1 2 2 4.5 n/a\n"
    table = read_trials(write(tmp_path, "tsp", text, RatingScaleMaximum=10)).table
    np.testing.assert_allclose(table[["single", "r1", "r2", "r10"]].to_numpy(), [[20, 20, 45, np.nan]])
    table = read_trials(write(tmp_path, "cpm")).table
    np.testing.assert_allclose(table["value"], [250, 320, 60])
    np.testing.assert_allclose(table["conditioning_rating"], [np.nan, 60, np.nan])


def test_a_scale_that_does_not_start_at_zero(tmp_path: Path) -> None:
    text = "modality trial r1\nheat 1 1\nheat 2 6\n"
    table = read_trials(write(tmp_path, "tsp", text, RatingScaleMinimum=1, RatingScaleMaximum=11)).table
    np.testing.assert_allclose(table["r1"], [0, 50])


def test_a_site_may_carry_its_side(tmp_path: Path) -> None:
    text = "site trial value unit\nlumbar_L 1 250 kPa\nlumbar_R 1 260 kPa\nback_low 1 270 kPa\n"
    table = read_trials(write(tmp_path, "ppt", text)).table
    assert table["site"].tolist() == ["lumbar", "lumbar", "back_low"]
    assert table["side"].fillna("none").tolist() == ["L", "R", "none"]


def test_rejected_trials_are_left_out_and_columns_of_ones_own_passed_over(tmp_path: Path) -> None:
    text = "site side trial value unit reject weather\nlumbar L 1 250 kPa 1 rain\nlumbar L 2 270 kPa 0 sun\n"
    trials = read_trials(write(tmp_path, "ppt", text))
    assert trials.table["trial"].tolist() == [2]
    assert trials.n_rejected == 1
    assert "weather" not in trials.table


def test_runs_are_joined_and_must_agree(tmp_path: Path) -> None:
    first = write(tmp_path, "ppt", run="_run-1")
    second = write(tmp_path, "ppt", run="_run-2")
    other = write(tmp_path, "cpt")
    assert task_files([second, other, first], "ppt") == [first, second]
    trials = read_task([second, other, first], "ppt")
    assert trials is not None
    assert trials.table["file_run"].tolist() == [1, 1, 2, 2]
    assert read_task([other], "ppt") is None
    write(tmp_path, "ppt", run="_run-2", ManufacturersModelName="Another")
    with pytest.raises(InputError, match=r"run-2_beh.tsv: ManufacturersModelName is 'Another' here, but 'Algometer'"):
        read_task([first, second], "ppt")


PPT = "site side trial value unit"
CPM = "test_stimulus block trial value unit"
FAULTS: list[tuple[str, str, dict[str, Any], type[InputError], str]] = [
    ("ppt", f"{PPT}\nlumbar L 1 250 psi\n", {}, UnitError, r"line 2, column unit: found \"psi\", expected one of kPa"),
    ("ppt", f"{PPT}\nlumbar L 1 250 n/a\n", {}, UnitError, r"line 2: the unit is absent; give one of kPa"),
    ("ppt", f"{PPT}\nlumbar L 1 250 n/a\n", {"value": {"Units": "psi"}}, UnitError, r"line 2: unknown unit 'psi'"),
    ("ppt", f"{PPT}\nlumbar L 1 30 N\n", {}, UnitError, r"line 2: values in N are forces, and the area of the probe"),
    (
        "ppt",
        f"{PPT}\nlumbar L 1 250 kPa\nlumbar L 2 3 kgf/cm2\n",
        {},
        UnitError,
        r"line 2: kPa and kgf/cm2 are mixed, and the area of the probe is absent",
    ),
    ("ppt", f"{PPT}\nlumbar L 1 25O kPa\n", {}, InputError, r"line 2, column value: expected a number .* '25O'"),
    ("ppt", f"{PPT}\nlumbar L 1 -3 kPa\n", {}, InputError, r"line 2, column value: -3.0 is less than the minimum of 0"),
    ("ppt", f"{PPT}\nlumbar L n/a 3 kPa\n", {}, InputError, r"line 2, column trial: n/a is not allowed here"),
    ("ppt", f"{PPT}\nlumbar left 1 3 kPa\n", {}, InputError, r"column side: found \"left\", expected one of L, R, n/a"),
    (
        "ppt",
        f"{PPT}\nlumbar L 1 3 kPa\nlumbar L 2 3 kPa\nlumbar L 1 4 kPa\n",
        {},
        InputError,
        r"line 4: site lumbar, side L, trial 1 is listed twice",
    ),
    ("ppt", "site sides trial value\nlumbar L 1 3\n", {}, InputError, r"column 'sides' is not .* is 'side' meant"),
    ("ppt", "Site side trial value\nlumbar L 1 3\n", {}, InputError, r"column 'Site' is not .* is 'site' meant"),
    ("ppt", f"{PPT}\nlumbar_R L 1 3 kPa\n", {}, InputError, r"line 2: site lumbar_R contradicts side L"),
    ("ppt", f"{PPT}\n", {}, InputError, r"the table has no trial"),
    (
        "ppt",
        f"{PPT}\nlumbar L 1 3 kPa\n",
        {"ProbeArea": "1"},
        InputError,
        r"JSON sidecar: column ProbeArea: '1' is not",
    ),
    (
        "ppt",
        f"{PPT} onset\nlumbar L 1 3 kPa 20\nlumbar L 2 3 kPa 10\n",
        {},
        InputError,
        r"line 3: trial 2 starts before the one it follows",
    ),
    ("cpt", "site side trial value unit\narm L 1 3 degF\n", {}, UnitError, r"column unit: found \"degF\""),
    (
        "cpt",
        "site side trial value rate_degC_s\narm L 1 3 1\n",
        {"rate_degC_s": {"Units": "K/min"}},
        UnitError,
        "K/min",
    ),
    ("tsp", None, {"RatingScaleMaximum": None}, InputError, r"sidecar: 'RatingScaleMaximum' is a required property"),
    ("tsp", None, {"RatingScaleMaximum": 10}, InputError, r"line 2, column single: a rating of 20 lies beyond the"),
    ("tsp", "modality trial single\nheat 1 20\n", {}, InputError, r"needs the column r1 or train"),
    ("tsp", "modality trial r1\nwarm 1 20\n", {}, InputError, r"column modality: found \"warm\", expected one of pin"),
    (
        "cpm",
        f"{CPM}\nppt during 1 320 kPa\nppt before 1 250 kPa\n",
        {},
        InputError,
        r"line 2: block 'during' comes before the end of block 'before'",
    ),
    (
        "cpm",
        f"{CPM} onset\nppt before 1 250 kPa 90\nppt after 1 320 kPa 30\n",
        {},
        InputError,
        r"line 3: block 'after' comes before the end of block 'before'",
    ),
    (
        "cpm",
        f"{CPM}\nheat_rating before 1 11 n/a\n",
        {},
        InputError,
        r"line 2, column value: a rating of 11 lies beyond",
    ),
    (
        "cpm",
        f"{CPM}\nheat_rating before 1 5 n/a\n",
        {"RatingScaleMaximum": None},
        InputError,
        r"must have RatingScaleMaximum \(10 or 100\)",
    ),
    ("cpm", f"{CPM}\nnfr_threshold before 1 5 kPa\n", {}, UnitError, r"line 2: nfr_threshold is in mA; found 'kPa'"),
    ("cpm", f"{CPM}\nppt before 1 5 mA\n", {}, UnitError, r"line 2: unknown unit 'mA'"),
    (
        "tpd",
        "run distance_mm response\n1 40 3\n",
        {},
        InputError,
        r"column response: 3.0 is greater than the maximum of 2",
    ),
    (
        "tpd",
        "run direction trial distance_mm response catch\n1 asc 1 40 1 0\n1 asc 2 0 1 1\n1 asc 3 30 1 0\n",
        {},
        InputError,
        r"line 4: distance_mm 30 runs against the direction 'asc' of its run; correct the direction",
    ),
    (
        "tpd",
        "run direction trial distance_mm response\n1 desc 2 50 1\n1 desc 1 40 2\n",
        {},
        InputError,
        r"line 2: distance_mm 50 runs against the direction 'desc'",
    ),
    (
        "tpd",
        "run direction distance_mm response\n1 desc 50 2\n1 asc 40 1\n",
        {},
        InputError,
        r"line 3: a run has one direction, this one has two",
    ),
    ("graph", "trial stimulus\n1 A\n", {}, InputError, r"needs the column correct or stimulus with response"),
    ("laterality", None, {"rt_ms": {"Units": "s"}}, UnitError, r"gives rt_ms in s, the contract in ms"),
]


@pytest.mark.parametrize(("task", "text", "metadata", "kind", "sentence"), FAULTS)
def test_every_fault_gets_its_sentence(
    task: str, text: str | None, metadata: dict[str, Any], kind: type[InputError], sentence: str, tmp_path: Path
) -> None:
    path = write(tmp_path, task, text, **metadata)
    with pytest.raises(kind, match=sentence) as error:
        read_trials(path)
    assert str(error.value).startswith(str(path))
    assert type(error.value) is kind


def test_a_run_follows_its_direction_by_trial_numbers_and_past_catches(tmp_path: Path) -> None:
    text = "run direction trial distance_mm response catch\n"
    text += "1 asc 2 35 1 0\n1 asc 1 30 1 0\n1 asc 3 0 1 1\n1 asc 4 20 1 1\n1 asc 5 35 2 0\n"
    text += "2 desc 1 60 2 0\n2 desc 2 55 2 0\n3 n/a 1 30 1 0\n3 n/a 2 50 2 0\n3 n/a 3 40 1 0\n"
    assert len(read_trials(write(tmp_path, "tpd", text)).table) == 10


def test_an_empty_table_was_not_acquired(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_trials(write(tmp_path, "ppt", f"{PPT}\n"))
    assert error.value.reason is Reason.NOT_ACQUIRED


def test_a_long_list_of_faults_is_cut(tmp_path: Path) -> None:
    rows = "".join(f"lumbar L {i} 250 psi\n" for i in range(12))
    with pytest.raises(UnitError, match=r"line 6, column unit.*\n\.\.\. and 7 more\.$"):
        read_trials(write(tmp_path, "ppt", f"{PPT}\n{rows}"))


def test_a_task_without_contract_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_task-taste_beh.tsv"
    path.write_text("trial\n1\n")
    with pytest.raises(InputError, match=r"task 'taste' has no trial table; there are ppt, cpt"):
        read_trials(path)
