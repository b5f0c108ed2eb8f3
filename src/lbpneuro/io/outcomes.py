"""Outcomes of a study: marker values and questionnaire totals of everybody, with what is known of censored ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import ConfigError, InputError, Reason
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.tables import LONG_NAME, read_long, wide_name
from lbpneuro.markers.descriptor import Direction, Marker
from lbpneuro.markers.instrument import instruments
from lbpneuro.registry import INDEX_COLUMNS, MARKERS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("participant_id", "session_id", "outcome", "value", "low", "high")
ONE_SESSION = "n/a"
BETTER = {Direction.HIGHER: "lower", Direction.LOWER: "higher"}
"""What people with low back pain have more of is better lower."""
PLACES_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known of an outcome before it is analysed.

    Attributes
    ----------
    name
        Column of the wide marker table, or ``tool.column`` of a phenotype table.
    label, unit
        In words.
    better
        ``lower`` or ``higher``; empty where the direction is contested or unknown.
    """

    name: str
    label: str
    unit: str
    better: str = ""


def read_outcomes(folder: Path, names: Sequence[str]) -> tuple[pd.DataFrame, list[Outcome]]:
    """Return the values of the outcomes and what they are.

    Parameters
    ----------
    folder
        Output folder of lbpneuro (``markers_long.tsv``), or a BIDS dataset with ``phenotype/``.
    names
        Each the name of a marker (all its levels), a column of the wide table (``gm_volume__dlpfc__L``), or
        ``tool.column`` for a number in ``phenotype/tool.tsv``.

    Returns
    -------
    table
        Columns `COLUMNS`; ``low`` and ``high`` are equal to the value where it was measured, and the bounds of a
        censored one, whose value is NaN and whose bounds may both be infinite. Other rows without a value are left out.
    outcomes
        In the order asked for.

    Raises
    ------
    InputError
        If an outcome is not there, or a table cannot be read.
    """
    import pandas as pd

    markers = _marker_values(folder)
    tables, outcomes = [], []
    for name in dict.fromkeys(names):
        found = _phenotype(folder, name) if "." in name else _of_marker(markers, name, folder=folder)
        for outcome, table in found:
            outcomes.append(outcome)
            tables.append(table.assign(outcome=outcome.name))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)], outcomes


def _marker_values(folder: Path) -> pd.DataFrame | None:
    """Return the long marker table with bounds and the column of the wide table, or None if there is none."""
    path = folder / f"{LONG_NAME}.tsv"
    return with_bounds(read_long(path)) if path.is_file() else None


def with_bounds(table: pd.DataFrame) -> pd.DataFrame:
    """Return a long marker table with ``low``, ``high``, ``column``; rows that say nothing of a value are left out.

    A row with the reason ``censored_at_limit`` holds its bounds in ``ci_low`` and ``ci_high``, an open side empty or
    infinite; its value, if it has one, is the limit and is not used. Both sides are open where the limit does not bound
    the marker (a difference of which one part is censored).
    """
    index = {marker.name: marker.index for marker in MARKERS}
    known = table[table["marker"].isin(index)]
    levels = [name for name in INDEX_COLUMNS if name in known]
    # a column of text that is empty in all rows is one of numbers to pandas
    rows = known[["marker", *levels]].astype(object).fillna("n/a").to_dict("records")
    names = [wide_name(row["marker"], (row[name] for name in index[row["marker"]])) for row in rows]
    reasons = known["reason"].astype(object).fillna("").str.split(";")
    censored = reasons.map(lambda own: str(Reason.CENSORED_AT_LIMIT) in own).astype(bool)
    bounds = {side: known[f"ci_{side}"].where(censored, known["value"]) for side in ("low", "high")}
    made = known.assign(column=names, value=known["value"].mask(censored), **bounds)
    made["low"] = made["low"].mask(censored & made["low"].isna(), -np.inf)
    made["high"] = made["high"].mask(censored & made["high"].isna(), np.inf)
    return made[censored | made["value"].notna()]


def _of_marker(table: pd.DataFrame | None, name: str, *, folder: Path) -> list[tuple[Outcome, pd.DataFrame]]:
    if table is None:
        raise InputError(
            f"{folder}: there is no {LONG_NAME}.tsv, so {name!r} cannot be a marker; run `lbpneuro BIDS_DIR {folder} "
            "participant group` first, or name a phenotype column as tool.column, for example nrs.nrs_7d_average."
        )
    rows = table[(table["column"] == name) | (table["marker"] == name)]
    if rows.empty:
        known = [*dict.fromkeys(table["column"]), *dict.fromkeys(table["marker"])]
        raise InputError(f"{folder / LONG_NAME}.tsv: no value of {name!r}.{_near(name, known)}")
    markers = {marker.name: marker for marker in MARKERS}
    return [
        (_outcome(str(column), markers[group["marker"].iloc[0]]), _people(group))
        for column, group in rows.groupby("column", sort=False)
    ]


def _outcome(column: str, marker: Marker) -> Outcome:
    level = tuple(column.split("__")[1:])
    label = ", ".join([marker.long_name, *(name.replace("_", " ") for name in level)])
    return Outcome(name=column, label=label, unit=marker.unit, better=BETTER.get(marker.direction_at(level), ""))


def _people(rows: pd.DataFrame) -> pd.DataFrame:
    found = rows[["participant_id", "session_id", "value", "low", "high"]]
    return found.assign(session_id=found["session_id"].fillna(ONE_SESSION))


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f" Did you mean {', '.join(near)}?" if near else f" There are {_some(known)}."


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - PLACES_NAMED} more" if len(listed) > PLACES_NAMED else ""
    return (", ".join(listed[:PLACES_NAMED]) or "none") + more


def _phenotype(folder: Path, name: str) -> list[tuple[Outcome, pd.DataFrame]]:
    """Return a column of a phenotype table; sessions in ``session_id``, the only one named ``n/a`` if there is none."""
    import pandas as pd

    tool, _, column = name.partition(".")
    path = _phenotype_file(folder, tool)
    table = read_tsv(path, dtype=str)
    if "participant_id" not in table or column not in table:
        absent = column if "participant_id" in table else "participant_id"
        raise InputError(f"{path}: there is no column {absent}.{_near(absent, list(map(str, table.columns)))}")
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = table.index[values.isna() & table[column].notna()]
    if len(wrong):
        raise InputError(
            f"{path}, row {wrong[0] + 2}, column {column}: expected a number, found {table[column][wrong[0]]!r}; write "
            "n/a where there is none."
        )
    sessions = table["session_id"] if "session_id" in table else pd.Series(ONE_SESSION, index=table.index)
    rows = pd.DataFrame(
        {"participant_id": table["participant_id"], "session_id": sessions.fillna(ONE_SESSION), "value": values}
    )
    rows = rows.assign(low=values, high=values).dropna(subset="value")
    _check_once(rows, path)
    return [(Outcome(name=name, **_about_column(path, column)), rows)]


def _phenotype_file(folder: Path, tool: str) -> Path:
    """Return the table of a tool in the folder, or in the dataset that the folder was made from."""
    settings = folder / "logs" / "config.json"
    places = [folder, *([Path(read_json(settings)["dataset"]["bids_dir"])] if settings.is_file() else [])]
    for place in places:
        if (path := place / "phenotype" / f"{tool}.tsv").is_file():
            return path
    there = sorted({path.stem for place in places for path in (place / "phenotype").glob("*.tsv")})
    raise InputError(f"{places[-1] / 'phenotype'}: there is no table {tool}.tsv.{_near(tool, there)}")


def _check_once(rows: pd.DataFrame, path: Path) -> None:
    double = rows[rows.duplicated(["participant_id", "session_id"], keep=False)]
    if len(double):
        who = double.iloc[0]
        lines = ", ".join(str(row + 2) for row in double.index[double["participant_id"] == who["participant_id"]])
        raise InputError(
            f"{path}, rows {lines}: {who['participant_id']} has several rows in session {who['session_id']}; keep one, "
            "or add a column session_id."
        )


def _about_column(path: Path, column: str) -> dict[str, str]:
    sidecar = path.with_suffix(".json")
    about: dict[str, Any] = read_json(sidecar).get(column, {}) if sidecar.is_file() else {}
    about = about if isinstance(about, dict) else {}
    return {"label": str(about.get("LongName", _title(path.stem, column))), "unit": str(about.get("Units", "n/a"))}


def _title(tool: str, column: str) -> str:
    """Return what a column of a questionnaire is: its title and the score, as far as it is known."""
    known, score = instruments().get(tool), column.removeprefix(f"{tool}_")
    if known is None or score == column:
        return f"{tool} {column}"
    return known.title if score == "total" else f"{known.title}, {score.replace('_', ' ')}"


def read_groups(folder: Path, column: str) -> pd.Series:
    """Return the group of every participant, a column of participants.tsv, by participant; without those that lack it.

    Raises
    ------
    InputError
        If there is no such table or column, a person is listed twice, or all belong to one group.
    """
    path = folder / "participants.tsv"
    table = read_tsv(path, dtype=str)
    for needed in ("participant_id", column):
        if needed not in table:
            raise InputError(f"{path}: there is no column {needed}.{_near(needed, list(map(str, table.columns)))}")
    double = table["participant_id"][table["participant_id"].duplicated()]
    if len(double):
        raise InputError(f"{path}: {double.iloc[0]} is listed more than once; keep one row.")
    groups = table.set_index("participant_id")[column].dropna()
    found = sorted(set(groups))
    if len(found) < 2:
        raise InputError(
            f"{path}, column {column}: two groups or more are needed to compare, found {_some(found)}; name another "
            "column."
        )
    return groups


def chosen_group(groups: pd.Series, level: str, *, column: str) -> str:
    """Return ``level`` if it is one of the groups; InputError if not."""
    found = sorted(set(groups))
    if level not in found:
        raise InputError(f"participants.tsv, column {column}: nobody is {level!r}; found {_some(found)}.")
    return level


def read_covariates(folder: Path, names: Sequence[str]) -> pd.DataFrame:
    """Return covariates as numbers by participant: columns of participants.tsv; text becomes 0/1 columns.

    Raises
    ------
    InputError
        If a column is not there.
    """
    import pandas as pd

    path = folder / "participants.tsv"
    table = read_tsv(path).set_index("participant_id")
    columns = {}
    for name in names:
        if name not in table:
            raise InputError(f"{path}: there is no column {name}.{_near(name, list(map(str, table.columns)))}")
        if pd.api.types.is_numeric_dtype(table[name]):
            columns[name] = table[name].astype(float)
            continue
        for level in sorted(set(table[name].dropna().astype(str)))[1:]:
            columns[f"{name}[{level}]"] = (table[name].astype(str) == level).where(table[name].notna()).astype(float)
    return pd.DataFrame(columns, index=table.index.astype(str))


def session_order(found: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return the sessions in their order; the first is the baseline.

    Parameters
    ----------
    found
        Sessions in the data.
    wanted
        The order that the user gives, with or without ``ses-``; empty: labels that differ by one number alone
        (ses-01, ses-02; ses-week0, ses-week18) are ordered by it.

    Raises
    ------
    ConfigError
        If a wanted session is not in the data, or the order cannot be told.
    """
    there = sorted(set(found))
    if wanted:
        named = [label if label.startswith("ses-") else f"ses-{label}" for label in wanted]
        absent = [label for label in named if label not in there]
        if absent:
            raise ConfigError(f"sessions: nobody has a value in {', '.join(absent)}; found {_some(there)}.")
        if len(set(named)) < len(named):
            raise ConfigError(f"sessions: {', '.join(named)} names a session twice.")
        return named
    parts = [re.fullmatch(r"(ses-[A-Za-z]*)(\d+)([A-Za-z]*)", label) for label in there]
    told = [part for part in parts if part is not None]
    if len(there) > 1 and (len(told) < len(there) or len({(part[1], part[3]) for part in told}) > 1):
        raise ConfigError(
            f"sessions: which comes first cannot be told from {', '.join(there)}; name them in their order, the "
            "baseline first, for example --sessions " + " ".join(label.removeprefix("ses-") for label in there) + "."
        )
    return [part[0] for part in sorted(told, key=lambda part: int(part[2]))] if told else there
