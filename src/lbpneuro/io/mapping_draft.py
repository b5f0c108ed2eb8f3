"""A first mapping of a spreadsheet, guessed from its header and its cells, for a person to correct."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError
from lbpneuro.io.files import write_text
from lbpneuro.io.spreadsheet import TEXT_FILES, Spreadsheet, read_spreadsheet, same_number
from lbpneuro.markers.instrument import Instrument, instruments

PERSON_NAMES = (
    *("participant_id", "participant", "subject", "subject_id", "subjid", "sub", "record_id", "study_id", "id", "code"),
    *("patient", "patient_id", "patnr", "patid", "pid", "case", "case_id", "proband", "vp", "vpnr", "nr"),
)
SESSION_NAMES = (
    *("session_id", "session", "visit", "timepoint", "wave", "redcap_event_name", "event", "time", "ses"),
    *("messzeitpunkt", "zeitpunkt"),
)
PEOPLE_NAMES = {
    **dict.fromkeys(("age", "alter", "ageyears"), "age"),
    **dict.fromkeys(("sex", "gender", "geschlecht"), "sex"),
    **dict.fromkeys(("group", "gruppe"), "group"),
    **{name: name for name in ("arm", "centre", "bmi")},
}
SEXES = {
    **dict.fromkeys(("m", "male", "man", "mann", "mannlich"), "M"),
    **dict.fromkeys(("f", "female", "w", "woman", "frau", "weiblich"), "F"),
}
TOTAL_WORDS = re.compile(r"(total|tot|sum|score|summe|gesamt|points|percent|pct)+$")
SESSION_ENDS = re.compile(
    r"(?P<name>.*?[a-z0-9])[_ .-]*(?P<session>t\d|pre|post|baseline|bl|fu\d*|follow_?up\d*|d\d+|"
    r"(?:week|wk|w|month|mo|day)_?\d+|\d+(?:weeks?|wk|w|months?|mo|days?))",
    re.IGNORECASE,
)
TRIAL_NAME = re.compile(r"(?P<task>ppt|cpt|tsp|cpm|tpd)[_ .-](?P<rest>.+)", re.IGNORECASE)
TASK_WORDS = {
    "cpt": "{site: hand, trial: 1}",
    "ppt": "{site: lumbar, trial: 1}",
    "tpd": "{run: 1, trial: 1, field: distance_mm}",
}
UNITS = {"kpa": "kPa", "n": "N", "kgf": "kgf"}
MISSING_CODES = ("-9", "-99", "-999", "-9999", "-77", "-88", "9999")
"""Numbers that no scale and no threshold has; others (99, 999) may be a value."""
NAMED = 6
HEAD = """\
# Draft from the header of {name}; every line is a guess. Correct it, then look at what it makes:
#   lbpneuro import-table {name} --mapping {mapping} --out BIDS_DIR --preview
# What each key means: docs/import-table.md
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A guessed mapping, and what a person must look at, in sentences."""

    mapping: Mapping[str, Any]
    notes: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class _Work:
    """A draft in the making: the columns that are left, what was seen, and by column why it was not taken."""

    sheet: Spreadsheet
    left: list[str]
    notes: list[str] = field(default_factory=list)
    doubts: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def take(self, names: Sequence[str]) -> None:
        """Take columns out of those that are left."""
        self.left = [name for name in self.left if name not in names]

    def beyond(self, column: str, fits: Callable[[float], bool]) -> str | None:
        """Return the first cell that is no number that fits, with its row; codes for missing values are put down."""
        codes = set()
        for row, cell in self.sheet.table[column].dropna().items():
            number = self.sheet.number(cell)
            if number is not None and fits(float(number)):
                continue
            if same_number(cell) not in MISSING_CODES:
                return f"{cell!r} in row {row}"
            codes.add(same_number(cell))
        self.missing |= codes
        return None


def write_draft(file: Path, path: Path, settings: Mapping[str, Any]) -> str:
    """Write a draft of the mapping of a spreadsheet; return in sentences what was guessed and what to look at.

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
    text = yaml.safe_dump({**settings, **draft.mapping}, sort_keys=False, allow_unicode=True, default_flow_style=False)
    notes = "".join(f"# - {note}\n" for note in draft.notes)
    write_text(path, HEAD.format(name=file.name, mapping=path.name) + (f"# Look at:\n{notes}" if notes else "") + text)
    tools = ", ".join(dict.fromkeys(entry["tool"] for entry in draft.mapping.get("phenotype", []))) or "none"
    tasks = ", ".join(entry["task"] for entry in draft.mapping.get("trials", [])) or "none"
    said = (
        f"{path}: {len(sheet.table.columns)} columns; questionnaires guessed: {tools}; tests guessed: {tasks}; "
        f"{len(draft.mapping.get('ignore', []))} left out until you say what they are."
    )
    return "\n".join([said, *(f"- {note}" for note in draft.notes)])


def draft_mapping(sheet: Spreadsheet) -> Draft:
    """Return a mapping guessed from the names of the columns; what the cells contradict is not guessed but said."""
    sheet, decimal = _decimal(sheet)
    work = _Work(sheet=sheet, left=[str(name) for name in sheet.table.columns])
    mapping: dict[str, Any] = {"decimal": decimal} if decimal else {}
    mapping["participant"], session = _who_and_when(work)
    parts = {"session": session, "participants": _people(work), "phenotype": _tools(work), "trials": _tests(work)}
    if work.missing:
        mapping = {"missing": sorted(int(code) for code in work.missing), **mapping}
    mapping |= {key: part for key, part in parts.items() if part}
    _hint_at_tests(work)
    doubts = dict.fromkeys(doubt for column, doubt in work.doubts.items() if column in work.left)
    return Draft(mapping=mapping | ({"ignore": work.left} if work.left else {}), notes=(*work.notes, *doubts))


def _bare(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower())
    return re.sub(r"[^a-z0-9]", "", plain)


def _decimal(sheet: Spreadsheet) -> tuple[Spreadsheet, str | None]:
    """Return the sheet with a decimal comma if a text file has numbers with commas and none with points."""
    if sheet.path.suffix.lower() not in TEXT_FILES:
        return sheet, None
    numbers = (re.fullmatch(r"-?\d+([.,])\d+", str(cell)) for cell in sheet.table.stack())
    seen = {number[1] for number in numbers if number}
    return (replace(sheet, decimal=","), ",") if seen == {","} else (sheet, None)


# -- who and when -----------------------------------------------------------------------------------------------------


def _named(left: Sequence[str], wanted: Sequence[str]) -> Iterator[str]:
    """Yield the columns with one of the wanted names, in the order of these."""
    bare = {_bare(name): name for name in reversed(left)}
    yield from (bare[_bare(name)] for name in wanted if _bare(name) in bare)


def _who_and_when(work: _Work) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the columns of person and session; a session is what tells the rows of a person apart."""
    table = work.sheet.table
    who = next(_named(work.left, PERSON_NAMES), None)
    work.take([who] if who else [])
    several = who is not None and bool(table[who].duplicated().any())
    found = None
    for name in _named(work.left, SESSION_NAMES):
        if several and not table[[who, name]].duplicated().any():
            found = name
            work.take([name])
            break
    if several and not found:
        work.notes.append(
            f"{who} names {table[who].nunique()} people in {len(table)} rows, and no column was found that tells the "
            "rows of a person apart: say `session: {column: ...}`, or keep one row per person."
        )
    if who is None:
        work.notes.append("no column names the people: they are numbered by row. Is there one?")
        return {"row_number": True}, None
    cells = [same_number(cell) for cell in table[who].dropna()]
    numbers = all(cell.isdecimal() for cell in cells)
    pad = {"pad": max(2, *map(len, cells))} if numbers and cells else {}
    return {"column": who, **pad}, {"column": found} if found else None


def _people(work: _Work) -> dict[str, Any]:
    """Return what belongs into participants.tsv, with what the codes of the sex mean where they are words."""
    columns = {name: PEOPLE_NAMES[_bare(name)] for name in work.left if _bare(name) in PEOPLE_NAMES}
    work.take(list(columns))
    values: dict[str, dict[str, str]] = {}
    for name, target in columns.items():
        codes = sorted({same_number(cell) for cell in work.sheet.table[name].dropna()})
        if target == "age":
            work.beyond(name, partial(_between, low=0.0, high=math.inf))
        elif target == "sex" and all(_bare(code) in SEXES for code in codes):
            values["sex"] = {code: SEXES[_bare(code)] for code in codes}
        elif target == "sex":
            work.notes.append(
                f"{name} holds {', '.join(codes[:NAMED])}: say what they mean, "
                "`participants: {values: {sex: {0: F, 1: M}}}`."
            )
    return {"columns": columns, **({"values": values} if values else {})} if columns else {}


# -- questionnaires ---------------------------------------------------------------------------------------------------


def _tools(work: _Work) -> list[dict[str, Any]]:
    """Return one entry per questionnaire and session that the columns look like."""
    entries = []
    for session, columns in _by_session(work.left).items():
        when = {"session": {"constant": session}} if session else {}
        for tool in instruments().values():
            taken = _items(work, tool, _still(work, columns))
            work.take(list(taken))
            taken |= _scores(work, tool, _still(work, columns))
            work.take(list(taken))
            if taken:
                entries.append({"tool": tool.tool, "columns": taken, **when})
    return entries


def _still(work: _Work, columns: Mapping[str, str]) -> dict[str, str]:
    return {name: column for name, column in columns.items() if column in work.left}


def _by_session(left: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return columns by the session that their names end in, {session: {bare name without it: column}}; "" for none."""
    found: dict[str, dict[str, str]] = {"": {}}
    for column in left:
        found[""].setdefault(_bare(column), column)
        if match := SESSION_ENDS.fullmatch(column):
            found.setdefault(_bare(match["session"]), {}).setdefault(_bare(match["name"]), column)
    return found


def _items(work: _Work, tool: Instrument, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of all items of a questionnaire, {column: name}; none where one is absent."""
    for title in (tool.tool, *tool.headings.get("total", ())):
        found = {_item(name.removeprefix(title)): column for name, column in columns.items() if name.startswith(title)}
        named = {item: found[item] for item in tool.answers if item in found}
        counts = (form["count"] for form in tool.short_forms.values())
        complete = (list(tool.answers), *(list(tool.answers)[:count] for count in counts))
        if not tool.numbered or len(named) < 2:
            continue
        if list(named) not in complete:
            absent = [item for item in tool.answers if item not in named]
            doubt = f"{tool.title}: {_some(absent)} of its items have no column; the others are left out."
            work.doubts |= dict.fromkeys(named.values(), doubt)
            continue
        cells = {item: work.beyond(column, tool.answers[item].points.__contains__) for item, column in named.items()}
        wrong = [_not_it(named[item], tool, cell, tool.answers[item].allowed) for item, cell in cells.items() if cell]
        if not wrong:
            return {column: tool.column(item) for item, column in named.items()}
        work.doubts |= dict.fromkeys(named.values(), wrong[0])
    return {}


def _item(rest: str) -> str:
    return f"{int(rest):02d}" if rest.isdecimal() else rest


def _scores(work: _Work, tool: Instrument, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that look like scores of a questionnaire and hold nothing else."""
    known = {_bare(tool.column(score)): score for score in tool.scores}
    known |= {tool.tool: "total"} if "total" in tool.scores else {}
    known |= {title: score for score, titles in tool.headings.items() for title in titles}
    taken: dict[str, str] = {}
    for name, column in columns.items():
        score = known.get(name) or known.get(TOTAL_WORDS.sub("", name))
        if score is None or tool.column(score) in taken.values():
            continue
        answer, ends = tool.answers.get(score), tool.scores[score]
        fits = answer.points.__contains__ if answer else partial(_between, low=ends.low, high=ends.high)
        if cell := work.beyond(column, fits):
            work.doubts[column] = _not_it(column, tool, cell, f"{ends.low:g} to {ends.high:g}")
        else:
            taken[column] = tool.column(score)
    return taken


def _between(value: float, *, low: float, high: float) -> bool:
    return low <= value <= high


def _not_it(column: str, tool: Instrument, cell: str, allowed: str) -> str:
    return f"{column} looks like {tool.title}, but has {cell}, and {allowed} is allowed; it is left out."


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


# -- sensory tests ----------------------------------------------------------------------------------------------------


def _tests(work: _Work) -> list[dict[str, Any]]:
    """Return the columns that look like trials of a sensory test, with site, side and number as far as they tell."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for column in work.left:
        ended = SESSION_ENDS.fullmatch(column)
        short = TRIAL_NAME.fullmatch(ended["name"]) if ended else None
        match = short or TRIAL_NAME.fullmatch(column)
        if match:
            work.beyond(column, partial(_between, low=0.0, high=math.inf))
            session = _bare(ended["session"]) if ended and short else ""
            found.setdefault((match["task"].lower(), session), {})[column] = _trial(match["rest"])
    work.take([column for columns in found.values() for column in columns])
    return [_test(work, task, session, columns) for (task, session), columns in found.items()]


def _test(work: _Work, task: str, session: str, columns: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the entry of a test; a unit that all names tell is that of the test, and one that none tells is asked."""
    units = {trial.pop("unit", None) for trial in columns.values()}
    if task == "ppt" and None in units:
        work.notes.append("ppt: no unit is told; add `constants: {unit: kPa}`, or whatever the device shows.")
    told = {"constants": {"unit": next(iter(units))}} if len(units) == 1 and None not in units else {}
    when = {"session": {"constant": session}} if session else {}
    return {"task": task, "columns": dict(columns), **told, **when}


def _trial(rest: str) -> dict[str, Any]:
    sides = {"l": "L", "left": "L", "links": "L", "li": "L", "r": "R", "right": "R", "rechts": "R", "re": "R"}
    parts = [part.lower() for part in re.split(r"[_ .-]+", rest) if part]
    unit = next((UNITS[part] for part in parts if part in UNITS), None)
    side = next((sides[part] for part in parts if part in sides), None)
    number = next((int(part) for part in reversed(parts) if part.isdecimal()), 1)
    site = "_".join(part for part in parts if part not in sides and part not in UNITS and not part.isdecimal())
    told = {"site": site, "side": side, "trial": number, "unit": unit}
    return {name: value for name, value in told.items() if value}


def _hint_at_tests(work: _Work) -> None:
    """Say which columns look like a test whose site their names do not tell."""
    for task, trial in TASK_WORDS.items():
        alike = [name for name in work.left if re.fullmatch(rf"{task}(d?\d+)?", _bare(name))]
        if alike:
            work.notes.append(
                f"{', '.join(alike)} may be task {task}: say where, "
                f"`trials: [{{task: {task}, columns: {{{alike[0]}: {trial}}}}}]`."
            )
