"""Phenotype tables of a dataset: one row per participant, or per participant and session, and one file per tool."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.markers.instrument import Answer, Instrument, instruments
from lbpneuro.markers.scales import Sheet

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("lbpneuro")

PERSON, SESSION = "participant_id", "session_id"
SOME = 6


def read_phenotype(path: Path) -> pd.DataFrame:
    """Return a phenotype table as text, its columns in lower case, indexed by the line in the file.

    Raises
    ------
    InputError
        If it is no table, has no ``participant_id``, or two columns of one name.
    """
    table = read_tsv(path, dtype=str, skip_blank_lines=False)
    table.columns = [str(column).strip().lower() for column in table.columns]
    table.index = table.index + 2
    doubled = sorted(set(table.columns[table.columns.duplicated()]))
    if doubled:
        raise InputError(f"{path}: the column {doubled[0]} is there twice; remove one.")
    if PERSON not in table:
        raise InputError(
            f"{path}: there is no column {PERSON}; it must hold sub-<label>. Found {_some(list(table.columns))}."
        )
    return table.apply(lambda column: column.str.strip())


def label_of(cell: Any, prefix: str) -> str | None:
    """Return the label in ``sub-01`` or ``01``; None for an empty cell."""
    return str(cell).removeprefix(f"{prefix}-") if isinstance(cell, str) and cell else None


def person_row(table: pd.DataFrame, *, participant: str, session: str | None, path: Path) -> tuple[int, dict[str, Any]]:
    """Return the line number and the cells of one person in one session; an empty row if there is none.

    A table without ``session_id`` has one row per person; which session that belongs to is decided by the plan.

    Raises
    ------
    InputError
        If there is more than one row, or a row whose session is not told.
    """
    who = table[table[PERSON].map(lambda cell: label_of(cell, "sub") == label_of(participant, "sub"))]
    if SESSION in table and session is not None:
        nameless = who.index[who[SESSION].isna()]
        if len(nameless):
            raise InputError(
                f"{path}, line {nameless[0]}: {SESSION} of {participant} is empty; it must be ses-<label>."
            )
        who = who[who[SESSION].map(lambda cell: label_of(cell, "ses") == label_of(session, "ses"))]
    if len(who) > 1:
        lines = ", ".join(map(str, who.index))
        where = f" in {session}" if session else ""
        raise InputError(
            f"{path}, lines {lines}: {participant} has {len(who)} rows{where}; there must be one. Remove the others."
        )
    if who.empty:
        return 0, {}
    return int(who.index[0]), dict(who.iloc[0])


def number_in(cell: Any, *, column: str, where: str) -> float:
    """Return the number in a cell, NaN for an empty one; InputError for anything else."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise InputError(
            f"{where}, column {column}: expected a number, found {cell!r}; leave n/a where there is none."
        ) from None
    if not math.isfinite(value):
        raise InputError(f"{where}, column {column}: expected a number, found {cell!r}; leave n/a where there is none.")
    return value


def read_sheets(
    files: Sequence[Path], *, participant: str, session: str | None, settings: Mapping[str, Any]
) -> tuple[dict[str, Sheet | Reason], list[str]]:
    """Return the sheets of one person by tool, and what is wrong with those that cannot be used, in words.

    What is wrong with one tool leaves the others as they are.
    """
    sheets: dict[str, Sheet | Reason] = {}
    problems: list[str] = []
    for path in files:
        tool = instruments().get(path.stem)
        if tool is None:
            continue
        try:
            sheets[tool.tool] = read_sheet(path, tool, participant=participant, session=session, settings=settings)
        except InputError as error:
            log.error("%s", error)
            problems.append(str(error))
            sheets[tool.tool] = error.reason
    return sheets, problems


def read_sheet(
    path: Path, tool: Instrument, *, participant: str, session: str | None, settings: Mapping[str, Any]
) -> Sheet | Reason:
    """Return the answers of one person to one questionnaire; the reason not_acquired where there are none.

    Raises
    ------
    InputError
        If a row is doubled, an item has no column or too many, an answer or total is not a number that is allowed, or
        a short form was used that the settings do not accept.
    """
    table = read_phenotype(path)
    columns = answer_columns(path, tool, list(table.columns))
    line, cells = person_row(table, participant=participant, session=session, path=path)
    where = f"{path}, line {line}"
    answers = {
        name: _answer(cells.get(column), tool.answers[name], column=column, where=where)
        for name, column in columns.items()
    }
    totals = {
        name: _total(cells, tool, name, where=where)
        for name in tool.scores
        if tool.column(name) in table and name not in columns
    }
    form = _short_form(path, tool, columns, settings)
    sheet = Sheet(answers=answers, totals=totals, version=_version(path, tool, cells), form=form, source=where)
    return Reason.NOT_ACQUIRED if sheet.empty else sheet


def answer_columns(path: Path, tool: Instrument, columns: Sequence[str]) -> dict[str, str]:
    """Return the column of every answer of a tool; none if the table holds totals only.

    Items may be numbered with or without leading zeros. Every item must have a column (the last ones may be absent in a
    short form), for an absent one is no blank answer; windows of a rating need not be there.
    """
    found: dict[str, str] = {}
    for column in columns:
        part = column.removeprefix(f"{tool.tool}_")
        if part == column:
            continue
        name = f"{int(part):02d}" if re.fullmatch(r"\d+", part) else part
        if re.fullmatch(r"\d+", part) and not 1 <= int(part) <= tool.numbered:
            raise InputError(f"{path}, column {column}: {tool.title} has the items 1 to {tool.numbered}.")
        if name in tool.answers and name in found:
            raise InputError(f"{path}: the columns {found[name]} and {column} are the same item; remove one.")
        if name in tool.answers:
            found[name] = column
    counts = [form["count"] for form in tool.short_forms.values()]
    short = [list(tool.answers)[:count] for count in counts]
    absent = [tool.column(name) for name in tool.answers if name not in found]
    if tool.numbered and found and absent and list(found) not in short and sorted(found) not in short:
        raise InputError(
            f"{path}: the columns {_some(absent)} of {tool.title} are absent; every item needs one, with n/a where it "
            "was left blank."
        )
    return found


def _answer(cell: Any, answer: Answer, *, column: str, where: str) -> float:
    value = number_in(cell, column=column, where=where)
    if math.isfinite(value) and value not in answer.points:
        raise InputError(f"{where}, column {column}: expected {answer.allowed}, found {cell}.")
    return value


def _total(cells: Mapping[str, Any], tool: Instrument, name: str, *, where: str) -> float:
    column, score = tool.column(name), tool.scores[name]
    value = number_in(cells.get(column), column=column, where=where)
    if math.isfinite(value) and not score.low <= value <= score.high:
        raise InputError(f"{where}, column {column}: expected {score.low:g} to {score.high:g}, found {value:g}.")
    return value


def _short_form(path: Path, tool: Instrument, columns: Mapping[str, str], settings: Mapping[str, Any]) -> str | None:
    for name, form in tool.short_forms.items():
        if columns and len(columns) == form["count"] < len(tool.answers):
            if settings[form["setting"]]:
                return name
            raise InputError(
                f"{path}: there are {form['count']} items, so this is the form with {name} items; it is brought to the "
                f"ends of the longer one only on request (scales.{form['setting']}: true)."
            )
    return None


def _version(path: Path, tool: Instrument, cells: Mapping[str, Any]) -> str | None:
    """The version of a tool: of the row, or else of the sidecar (MeasurementToolMetadata.Version)."""
    own = cells.get(tool.column("version"))
    about: Any = read_json(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
    version = own if isinstance(own, str) else (about.get("MeasurementToolMetadata") or {}).get("Version")
    if version is not None and tool.versions and str(version) not in tool.versions:
        raise InputError(
            f"{path}: version {version} of {tool.title} is not known; expected {', '.join(tool.versions)}."
        )
    return None if version is None else str(version)


def _some(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:SOME])) + (f" and {len(names) - SOME} more" if len(names) > SOME else "")
