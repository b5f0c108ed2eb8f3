"""Trial tables of sensory tests (``beh/*_task-<task>_beh.tsv``): read, checked against their contract, in one unit."""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.io.trial_schemas import (
    TASKS,
    Schema,
    alternatives,
    column_schema,
    columns,
    required,
    schema,
)
from lbpneuro.kernels.psychophysics import FORCE_UNITS, PRESSURE_UNITS, pressure_kpa, rating_100

if TYPE_CHECKING:
    import pandas as pd
    from jsonschema.exceptions import ValidationError

FROM_SIDECAR = {
    "probe_cm2": "ProbeArea",
    "rate_kPa_s": "RampRate",
    "rate_degC_s": "RampRate",
    "tolerance_max": "DeviceMaximum",
    "isi_s": "InterStimulusInterval",
}
"""Columns that may be left out if all rows have one value, and the field of the sidecar that gives it."""
LOWEST = "tolerance_min"
"""The lowest reading of the device, of the sidecar, in the unit of the values."""
LIMITS = ("value", "tolerance_max", LOWEST)
RATING = "rating"
RATED_STIMULI = ("heat_rating", "pinprick_rating")
REFLEX_UNIT = "mA"
FILE_RUN = "file_run"
"""Number of the file (``run`` entity) among those of a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The trials of one task: pressures in kPa, ratings from 0 to 100, rejected trials left out.

    ``table`` has every column of the contract, those that the file has not filled with missing values; ``file_run``
    tells the files of several runs apart. ``n_rejected`` counts what was left out.
    """

    task: str
    table: pd.DataFrame
    metadata: Mapping[str, Any]
    n_rejected: int = 0


def task_files(files: Sequence[Path], task: str) -> list[Path]:
    """Return the trial tables of a task among ``files``, sorted by name."""
    wanted = {"task": task, "suffix": "beh", "ext": ".tsv"}
    return sorted(path for path in files if wanted.items() <= entities(path).items())


def read_task(files: Sequence[Path], task: str) -> Trials | None:
    """Return the trials of all runs of a task in one table; None if it was not done.

    Raises
    ------
    InputError
        As :func:`read_trials`; or if the sidecars of the runs contradict each other.
    """
    import pandas as pd

    paths = task_files(files, task)
    if not paths:
        return None
    runs = [read_trials(path) for path in paths]
    metadata: dict[str, Any] = {}
    for path, run in zip(paths, runs, strict=True):
        for key, value in run.metadata.items():
            if key in schema(task)["properties"]["sidecar"]["properties"] and metadata.get(key, value) != value:
                raise InputError(f"{path}: {key} is {value!r} here, but {metadata[key]!r} in another run of the task.")
        metadata |= run.metadata
    table = pd.concat([run.table.assign(**{FILE_RUN: i}) for i, run in enumerate(runs, 1)], ignore_index=True)
    return Trials(task=task, table=table, metadata=metadata, n_rejected=sum(run.n_rejected for run in runs))


def read_trials(path: Path) -> Trials:
    """Return a trial table; its task is that of the file name, its sidecar follows the inheritance of BIDS.

    Raises
    ------
    InputError
        As :func:`check_trials`, if there is no sidecar, or the name is of no known task.
    UnitError
        As :func:`check_trials`.
    """
    task = entities(path).get("task", "")
    if task not in TASKS:
        raise InputError(f"{path}: task {task!r} has no trial table; there are {', '.join(TASKS)}.")
    return check_trials(read_tsv(path, dtype=str), read_metadata(path), task=task, origin=str(path))


def check_trials(table: pd.DataFrame, metadata: Mapping[str, Any], *, task: str, origin: str) -> Trials:
    """Return a table of text, as read from a file, as trials that keep the contract of their task.

    Parameters
    ----------
    table
        All columns text or missing; a row that fails is named by its line in the file, counted from the header.
    metadata
        The sidecar.
    task
        One of :data:`lbpneuro.io.trial_schemas.TASKS`.
    origin
        Names the file in messages.

    Raises
    ------
    InputError
        If a column is absent or mistyped, an entry is not what its column allows, a rating lies beyond the declared
        scale, a trial is listed twice, a block or an onset comes before what it must follow, or a series runs against
        its direction.
    UnitError
        If the unit is absent, unknown or mixed, or a force has no probe area.
    """
    if table.empty:
        raise InputError(f"{origin}: the table has no trial.", reason=Reason.NOT_ACQUIRED)
    table = _known_columns(table.rename(columns=lambda name: str(name).strip()), task=task, origin=origin)
    _check_sidecar(metadata, task=task, origin=origin)
    table = _with_numbers(table, task=task, origin=origin)
    _check_entries(table, task=task, origin=origin)
    _check_described_units(table, metadata, task=task, origin=origin)
    table = _with_sides(_filled(table, metadata, task=task), origin=origin)
    table = _in_kilopascals(table, metadata, task=task, origin=origin)
    table = _rated_0_to_100(table, metadata, task=task, origin=origin)
    _check_duplicates(table, task=task, origin=origin)
    _check_order(table, task=task, origin=origin)
    rejected = (table["reject"] == 1).to_numpy()
    kept = table[~rejected].reset_index(drop=True)
    return Trials(task=task, table=kept, metadata=metadata, n_rejected=int(rejected.sum()))


def line(index: Hashable) -> int:
    """Return the line of a row in its file; the header is line 1."""
    return int(str(index)) + 2


# ------------------------------------------------------------------------------------------------------------ columns


def _known_columns(table: pd.DataFrame, *, task: str, origin: str) -> pd.DataFrame:
    """Return the columns of the contract; those of the user's own are passed over, unless they look mistyped."""
    known = [name for name in map(str, table.columns) if column_schema(task, name)]
    for name in table.columns.difference(known):
        near = difflib.get_close_matches(name.lower(), [each for each in columns(task) if each not in table], n=1)
        if near or name.lower() in map(str.lower, columns(task)):
            meant = near[0] if near else name.lower()
            raise InputError(f"{origin}: column {name!r} is not in the contract of task {task}; is {meant!r} meant?")
    _require(known, task=task, origin=origin)
    return table[known]


def _require(known: Sequence[str], *, task: str, origin: str) -> None:
    absent = [name for name in required(task) if name not in known]
    choices = alternatives(task)
    if choices and not any(set(choice) <= set(known) for choice in choices):
        absent.append(" or ".join(" with ".join(choice) for choice in choices))
    if absent:
        raise InputError(
            f"{origin}: a table of task {task} needs the column {', '.join(absent)}; it has {', '.join(known)}."
        )


def _is_number(entry: Schema) -> bool:
    return bool({"number", "integer"} & set(entry["type"] if isinstance(entry["type"], list) else [entry["type"]]))


def _with_numbers(table: pd.DataFrame, *, task: str, origin: str) -> pd.DataFrame:
    """Return the table with its numbers as float64, and its text without blanks around it."""
    import pandas as pd

    def converted(name: str) -> pd.Series:
        column = table[name].astype("object").map(lambda text: text.strip() if isinstance(text, str) else text)
        if not _is_number(column_schema(task, name) or {"type": "string"}):
            return column
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        wrong = column.index[(numbers.isna() | np.isinf(numbers)) & column.notna()]
        if len(wrong):
            raise InputError(
                f"{origin}: line {line(wrong[0])}, column {name}: expected a number or n/a, found {column[wrong[0]]!r}."
            )
        return numbers

    return pd.DataFrame({name: converted(name) for name in table.columns}, index=table.index)


# ------------------------------------------------------------------------------------------------------------- schema


def _check_sidecar(metadata: Mapping[str, Any], *, task: str, origin: str) -> None:
    from jsonschema import Draft202012Validator

    problems = list(Draft202012Validator(schema(task)["properties"]["sidecar"]).iter_errors(metadata))
    if problems:
        raise InputError("\n".join(f"{origin}: its JSON sidecar: {_sentence(problem)}" for problem in problems))


def _check_entries(table: pd.DataFrame, *, task: str, origin: str) -> None:
    """Refuse the first rows that the schema refuses; a long list helps nobody."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema(task)["properties"]["trials"]["items"])
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    problems = [
        f"{origin}: line {line(index)}, {_sentence(problem)}"
        for index, row in zip(table.index, rows, strict=True)
        for problem in validator.iter_errors(row)
    ]
    if problems:
        more = f"\n... and {len(problems) - 5} more." if len(problems) > 5 else ""
        error = UnitError if all("column unit:" in problem for problem in problems) else InputError
        raise error("\n".join(problems[:5]) + more)


def _sentence(problem: ValidationError) -> str:
    """Say what a schema error means: the field, what was found, what is allowed, what the field is."""
    where = "".join(f"column {name}: " for name in problem.absolute_path)
    about = problem.schema.get("description", "") if isinstance(problem.schema, Mapping) else ""
    if problem.validator == "enum" and isinstance(problem.schema, Mapping):
        allowed = ", ".join("n/a" if each is None else str(each) for each in problem.schema["enum"])
        return f"{where}found {json.dumps(problem.instance)}, expected one of {allowed}. {about}"
    if problem.validator == "type" and problem.instance is None:
        return f"{where}n/a is not allowed here. {about}"
    return f"{where}{problem.message}. {about}".rstrip()


def _check_described_units(table: pd.DataFrame, metadata: Mapping[str, Any], *, task: str, origin: str) -> None:
    """Refuse a sidecar that gives a column another unit than its contract."""
    for name in map(str, table.columns):
        stated, fixed = _stated_unit(metadata, name), (column_schema(task, name) or {}).get("unit")
        if stated and fixed and stated != fixed:
            raise UnitError(
                f"{origin}: its JSON sidecar gives {name} in {stated}, the contract in {fixed}; convert it."
            )


def _stated_unit(metadata: Mapping[str, Any], column: str) -> str | None:
    entry = metadata.get(column)
    return entry.get("Units") if isinstance(entry, Mapping) else None


# ----------------------------------------------------------------------------------------------- filling and converting


def _filled(table: pd.DataFrame, metadata: Mapping[str, Any], *, task: str) -> pd.DataFrame:
    """Return the table with all columns of the contract, constants taken from the sidecar."""
    series = [name for name in table if name not in columns(task)]
    table = table.reindex(columns=[*columns(task), *series])
    for name, entry in columns(task).items():
        table[name] = table[name].astype("float64" if _is_number(entry) else object)
        if name in FROM_SIDECAR and FROM_SIDECAR[name] in metadata:
            table[name] = table[name].fillna(float(metadata[FROM_SIDECAR[name]]))
    if "repeat" in table:
        table["repeat"] = table["repeat"].fillna(1.0)
    if "DeviceMinimum" in schema(task)["properties"]["sidecar"]["properties"]:
        table[LOWEST] = float(metadata.get("DeviceMinimum", np.nan))
    return table.assign(**{FILE_RUN: 1})


def _with_sides(table: pd.DataFrame, *, origin: str) -> pd.DataFrame:
    """Return the table with sites without side: ``lumbar_L`` is the site lumbar on side L."""
    if "site" not in table:
        return table
    parts = table["site"].astype("object").str.extract(r"^(.*)_([LR])$")
    named = parts[1].notna()
    wrong = table.index[named & table["side"].notna() & (table["side"] != parts[1])]
    if len(wrong):
        row = table.loc[wrong[0]]
        raise InputError(f"{origin}: line {line(wrong[0])}: site {row['site']} contradicts side {row['side']}.")
    return table.assign(
        site=table["site"].where(~named, parts[0]), side=table["side"].where(~named, parts[1]).astype(object)
    )


def _in_kilopascals(table: pd.DataFrame, metadata: Mapping[str, Any], *, task: str, origin: str) -> pd.DataFrame:
    """Return the table with pressures and their limits in kPa."""
    if task not in ("ppt", "cpm"):
        return table
    pressures = table["test_stimulus"] == "ppt" if task == "cpm" else table["trial"].notna()
    table = table.assign(unit=table["unit"].fillna(_stated_unit(metadata, "value")))
    _check_pressure_units(table[pressures], origin=origin)
    if task == "cpm":
        _check_other_units(table[~pressures], origin=origin)
    table = table.copy()
    for unit, rows in table[pressures].groupby("unit").groups.items():
        area = table.loc[rows, "probe_cm2"].to_numpy()
        for name in LIMITS:
            table.loc[rows, name] = pressure_kpa(table.loc[rows, name].to_numpy(), str(unit), probe_cm2=area)
    table.loc[pressures, "unit"] = "kPa"
    return table


def _check_pressure_units(rows: pd.DataFrame, *, origin: str) -> None:
    if rows.empty:
        return
    known = (*PRESSURE_UNITS, *FORCE_UNITS)
    allowed = f"give one of {', '.join(known)} in the column unit, or as Units of value in the sidecar"
    if rows["unit"].isna().any():
        raise UnitError(f"{origin}: line {line(rows.index[rows['unit'].isna()][0])}: the unit is absent; {allowed}.")
    unknown = rows.index[~rows["unit"].isin(known)]
    if len(unknown):
        raise UnitError(f"{origin}: line {line(unknown[0])}: unknown unit {rows.loc[unknown[0], 'unit']!r}; {allowed}.")
    used = sorted(set(rows["unit"]))
    area_needed = rows["unit"].isin(FORCE_UNITS) | (len(used) > 1)
    without = rows.index[area_needed & rows["probe_cm2"].isna()]
    if len(without):
        what = f"{' and '.join(used)} are mixed" if len(used) > 1 else f"values in {used[0]} are forces"
        raise UnitError(
            f"{origin}: line {line(without[0])}: {what}, and the area of the probe is absent; give probe_cm2 in every "
            "row, or ProbeArea in the sidecar, or convert all to kPa."
        )


def _check_other_units(rows: pd.DataFrame, *, origin: str) -> None:
    """Refuse a unit that does not belong to the test stimulus of a row; where none is given it is taken as known."""
    expected = rows["test_stimulus"].map(lambda name: RATING if name in RATED_STIMULI else REFLEX_UNIT)
    wrong = rows.index[rows["unit"].notna() & (rows["unit"] != expected)]
    if len(wrong):
        row = rows.loc[wrong[0]]
        raise UnitError(
            f"{origin}: line {line(wrong[0])}: {row['test_stimulus']} is in {expected[wrong[0]]}; "
            f"found {row['unit']!r}."
        )


def _rated_0_to_100(table: pd.DataFrame, metadata: Mapping[str, Any], *, task: str, origin: str) -> pd.DataFrame:
    """Return the table with ratings from 0 to 100 by the scale of the sidecar."""
    names = [name for name in map(str, table.columns) if (column_schema(task, name) or {}).get("rating")]
    rated: dict[str, pd.Series[bool]] = {name: table[name].notna() for name in names}
    if task == "cpm":
        rated["value"] = table["test_stimulus"].isin(RATED_STIMULI) & table["value"].notna()
    rated = {name: rows for name, rows in rated.items() if rows.any()}
    if not rated:
        return table
    if "RatingScaleMaximum" not in metadata:
        raise InputError(f"{origin}: its JSON sidecar must have RatingScaleMaximum (10 or 100): the table has ratings.")
    low, high = float(metadata.get("RatingScaleMinimum", 0)), float(metadata["RatingScaleMaximum"])
    table = table.copy()
    for name, rows in rated.items():
        ratings = table.loc[rows, name]
        beyond = ratings.index[(ratings < low) | (ratings > high)]
        if len(beyond):
            raise InputError(
                f"{origin}: line {line(beyond[0])}, column {name}: a rating of {ratings[beyond[0]]:g} lies beyond the "
                f"declared scale of {low:g} to {high:g}; correct it or RatingScaleMaximum in the sidecar."
            )
        table.loc[rows, name] = rating_100(ratings.to_numpy(), low=low, high=high)
    return table


# ----------------------------------------------------------------------------------------------- order and repetition


def _check_duplicates(table: pd.DataFrame, *, task: str, origin: str) -> None:
    keys = schema(task)["unique"]
    numbered = table[table["trial"].notna()]
    twice = numbered.index[numbered.duplicated(keys)]
    if len(twice):
        row = numbered.loc[twice[0], keys]
        named = ", ".join(
            f"{key} {_shown(value)}" for key, value in row.items() if value == value and value is not None
        )
        raise InputError(f"{origin}: line {line(twice[0])}: {named} is listed twice.")


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_order(table: pd.DataFrame, *, task: str, origin: str) -> None:
    """Refuse onsets that fall while trials rise, and a block before the one that must come first."""
    keys = [key for key in schema(task)["unique"] if key != "trial"]
    timed = table[table["onset"].notna() & table["trial"].notna()]
    for _, rows in timed.sort_values("trial", kind="stable").groupby(keys, dropna=False):
        back = rows.index[rows["onset"].diff() < 0]
        if len(back):
            number = rows.loc[back[0], "trial"]
            raise InputError(f"{origin}: line {line(back[0])}: trial {number:g} starts before the one it follows.")
    if order := schema(task).get("order"):
        _check_first_block(table, order, origin=origin)
    if course := schema(task).get("course"):
        _check_course(table, course, origin=origin)


def _check_course(table: pd.DataFrame, course: Mapping[str, Any], *, origin: str) -> None:
    """Refuse a series that runs against its direction, in the order of trials; catch trials are none of its steps."""
    column, direction = course["column"], course["direction"]
    steps = table[(table["catch"] != 1) & (table[column] > 0) & table[direction].notna()]
    for _, rows in steps.sort_values("trial", kind="stable").groupby(course["within"], dropna=False):
        if rows[direction].nunique() > 1:
            raise InputError(f"{origin}: line {line(rows.index[-1])}: a run has one {direction}, this one has two.")
        way = rows[direction].iloc[0]
        against = rows[column].diff() < 0 if way == course["rising"] else rows[column].diff() > 0
        if against.any():
            index = rows.index[against][0]
            raise InputError(
                f"{origin}: line {line(index)}: {column} {rows.loc[index, column]:g} runs against the {direction} "
                f"{way!r} of its run; correct the {direction} or the trial numbers, or write n/a for a random order."
            )


def _check_first_block(table: pd.DataFrame, order: Mapping[str, Any], *, origin: str) -> None:
    """Refuse a block that starts before the baseline: by onset where all rows have one, else by the order of rows."""
    column, first = order["column"], order["first"]
    position = table["onset"] if table["onset"].notna().all() else table.index.to_series()
    for _, rows in table.assign(position=position).groupby(order["within"], dropna=False):
        baseline = rows.loc[rows[column] == first, "position"]
        early = rows[(rows[column] != first) & (rows["position"] < baseline.max())]
        if len(early):
            row = early.iloc[0]
            raise InputError(
                f"{origin}: line {line(row.name)}: block {row[column]!r} comes before the end of block {first!r} of "
                "the same repeat; correct the blocks, or number the conditioning stimuli in the column repeat."
            )
