"""A first mapping of a spreadsheet, guessed from its header, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError
from lbpneuro.io.files import write_text
from lbpneuro.io.spreadsheet import Spreadsheet, read_spreadsheet
from lbpneuro.markers.instrument import Instrument, instruments

PERSON_NAMES = (
    "participant_id",
    "participant",
    "subject",
    "subjectid",
    "sub",
    "id",
    "code",
    "proband",
    "patient",
    "nr",
)
SESSION_NAMES = ("session_id", "session", "visit", "timepoint", "time", "ses", "zeitpunkt")
PEOPLE_NAMES = {
    **dict.fromkeys(("age", "alter"), "age"),
    **dict.fromkeys(("sex", "gender", "geschlecht"), "sex"),
    **{name: name for name in ("group", "arm")},
}
TRIAL_NAME = re.compile(r"(?P<task>ppt|cpt|tsp|cpm|tpd)[_ .-](?P<rest>.+)", re.IGNORECASE)
HEAD = """\
# Draft from the header of {name}; every line is a guess. Correct it, then look at what it makes:
#   lbpneuro import-table {name} --mapping {mapping} --out BIDS_DIR --preview
# What each key means: docs/import-table.md
"""


def write_draft(file: Path, path: Path, settings: Mapping[str, Any]) -> str:
    """Write a draft of the mapping of a spreadsheet; return what was guessed in a sentence.

    Raises
    ------
    InputError
        If the file cannot be read, or ``path`` is there already.
    """
    import yaml

    if path.exists():
        raise InputError(f"{path} is there already and is not overwritten; choose another name.")
    sheet = read_spreadsheet(file, settings)
    draft = draft_mapping(sheet)
    text = yaml.safe_dump({**settings, **draft}, sort_keys=False, allow_unicode=True, default_flow_style=False)
    write_text(path, HEAD.format(name=file.name, mapping=path.name) + text)
    tools = ", ".join(entry["tool"] for entry in draft.get("phenotype", [])) or "none"
    tasks = ", ".join(entry["task"] for entry in draft.get("trials", [])) or "none"
    return (
        f"{path}: {len(sheet.table.columns)} columns; questionnaires guessed: {tools}; tests guessed: {tasks}; "
        f"{len(draft.get('ignore', []))} left out until you say what they are."
    )


def draft_mapping(sheet: Spreadsheet) -> dict[str, Any]:
    """Return a mapping guessed from the names of the columns."""
    names = [str(name) for name in sheet.table.columns]
    left = list(names)
    draft: dict[str, Any] = {"participant": _person(sheet, left)}
    if session := _take(left, SESSION_NAMES):
        draft["session"] = {"column": session}
    people = {name: PEOPLE_NAMES[_bare(name)] for name in left if _bare(name) in PEOPLE_NAMES}
    left = [name for name in left if name not in people]
    draft |= {"participants": {"columns": people}} if people else {}
    tools = [entry for tool in instruments().values() if (entry := _tool(tool, left))]
    left = [name for name in left if not any(name in entry["columns"] for entry in tools)]
    draft |= {"phenotype": tools} if tools else {}
    tests = _tests(left)
    left = [name for name in left if not any(name in entry["columns"] for entry in tests)]
    draft |= {"trials": tests} if tests else {}
    return draft | ({"ignore": left} if left else {})


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _take(left: list[str], wanted: Sequence[str]) -> str | None:
    """Take the first column whose name is among the wanted ones out of the list."""
    bare = {_bare(name): name for name in reversed(left)}
    found = next((bare[_bare(name)] for name in wanted if _bare(name) in bare), None)
    if found:
        left.remove(found)
    return found


def _person(sheet: Spreadsheet, left: list[str]) -> dict[str, Any]:
    column = _take(left, PERSON_NAMES)
    if column is None:
        return {"row_number": True}
    cells = sheet.table[column].dropna()
    numbers = all(str(cell).isdecimal() for cell in cells)
    return {"column": column, **({"pad": max(2, *(len(str(cell)) for cell in cells))} if numbers else {})}


def _tool(tool: Instrument, names: Sequence[str]) -> dict[str, Any] | None:
    """Return the columns that look like items or totals of a questionnaire."""
    columns: dict[str, str] = {}
    for name in names:
        match = re.fullmatch(rf"{tool.tool}[_ .-]*(.*)", name.lower())
        part = match[1] if match else None
        if part is None:
            continue
        if part.isdecimal() and f"{int(part):02d}" in tool.answers:
            columns[name] = tool.column(f"{int(part):02d}")
        elif part in tool.answers or part in tool.scores:
            columns[name] = tool.column(part)
        elif part in ("", "sum", "score", "summe") and "total" in tool.scores:
            columns[name] = tool.column("total")
    return {"tool": tool.tool, "columns": columns} if columns else None


def _tests(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns that look like trials of a sensory test, with site, side and number as far as they tell."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        match = TRIAL_NAME.fullmatch(name)
        if match:
            columns = found.setdefault(match["task"].lower(), {})
            columns[name] = _trial(match["rest"])
    return [{"task": task, "columns": columns} for task, columns in found.items()]


def _trial(rest: str) -> dict[str, Any]:
    parts = [part for part in re.split(r"[_ .-]+", rest) if part]
    sides = {"l": "L", "left": "L", "links": "L", "r": "R", "right": "R", "rechts": "R"}
    side = next((sides[part.lower()] for part in parts if part.lower() in sides), None)
    number = next((int(part) for part in reversed(parts) if part.isdecimal()), 1)
    site = "_".join(part.lower() for part in parts if part.lower() not in sides and not part.isdecimal())
    return {**({"site": site} if site else {}), **({"side": side} if side else {}), "trial": number}
