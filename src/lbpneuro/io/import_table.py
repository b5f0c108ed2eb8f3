"""From a spreadsheet to the tables of a BIDS dataset: what is understood, checked, and then written all at once."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import ConfigError, InputError, OutputError
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.phenotype import answer_columns
from lbpneuro.io.psychophysics import check_trials
from lbpneuro.io.spreadsheet import Spreadsheet, read_spreadsheet, same_number
from lbpneuro.io.trial_schemas import column_schema, columns
from lbpneuro.io.user_files import read_user_yaml
from lbpneuro.markers.instrument import instruments

if TYPE_CHECKING:
    import pandas as pd

VALUE = "value"
PEOPLE = "participants"
SHOWN_ROWS = 4
SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One table that would be written: text cells, its sidecar, and where it comes from (column: its meaning)."""

    path: str
    kind: str
    table: pd.DataFrame
    sidecar: Mapping[str, Any]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a mapping makes of a spreadsheet: tables, the columns left out on purpose, and those nobody asked for."""

    source: Path
    rows: int
    people: int
    tables: Sequence[Made]
    ignored: Sequence[str]
    unused: Sequence[str] = field(default_factory=list)


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping; ConfigError if it is no YAML of the form of workflow/schemas/import-mapping.schema.json."""
    return read_user_yaml(path, "import-mapping.schema.json")


def understand(file: Path, mapping: Mapping[str, Any]) -> Understood:
    """Return what the mapping makes of a spreadsheet, everything checked; nothing is written.

    Raises
    ------
    InputError, UnitError
        If a column is not there, a person is listed twice, or a cell is not what its place allows; with file, row and
        column.
    """
    sheet = read_spreadsheet(file, mapping)
    _check_columns(sheet, mapping)
    labels = _labels(sheet, mapping["participant"])
    tables = [
        *_trial_tables(sheet, labels, mapping),
        *_phenotype_tables(sheet, labels, mapping),
        _people_table(sheet, labels, mapping),
    ]
    used = {column for made in tables for column in made.sources} | _control_columns(mapping)
    ignored = list(mapping.get("ignore", []))
    unused = [column for column in map(str, sheet.table.columns) if column not in used and column not in ignored]
    return Understood(
        source=file,
        rows=len(sheet.table),
        people=len(set(labels)),
        tables=tables,
        ignored=ignored,
        unused=unused,
    )


def _control_columns(mapping: Mapping[str, Any]) -> set[str]:
    """Return the columns that say who and when."""
    entries = [mapping["participant"], mapping.get("session", {})]
    entries += [each.get("session", {}) for each in (*mapping.get("trials", []), *mapping.get("phenotype", []))]
    return {entry["column"] for entry in entries if "column" in entry}


def _asked(mapping: Mapping[str, Any]) -> Iterator[str]:
    """Yield every column of the spreadsheet that the mapping names."""
    yield from sorted(_control_columns(mapping))
    yield from mapping.get("ignore", [])
    yield from mapping.get("participants", {}).get("columns", {})
    for entry in mapping.get("phenotype", []):
        yield from entry["columns"]
    for entry in mapping.get("trials", []):
        yield from entry.get("columns", {})
        yield from entry.get("fields", {}).values()


def _check_columns(sheet: Spreadsheet, mapping: Mapping[str, Any]) -> None:
    import difflib

    there = list(map(str, sheet.table.columns))
    for column in _asked(mapping):
        if column not in there:
            near = difflib.get_close_matches(column, there, n=3, cutoff=0.5)
            hint = f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(there[:8])}."
            raise InputError(f"{sheet.path}: there is no column {column!r}. {hint}")


# -- who and when -----------------------------------------------------------------------------------------------------


def _labels(sheet: Spreadsheet, entry: Mapping[str, Any]) -> pd.Series:
    """Return ``sub-<label>`` of every row; letters and digits are kept of what the cell says."""
    import pandas as pd

    if entry.get("row_number"):
        numbers = range(1, len(sheet.table) + 1)
        pad = entry.get("pad", len(str(len(sheet.table))))
        return pd.Series([f"sub-{number:0{pad}d}" for number in numbers], index=sheet.table.index)
    cells = sheet.table[entry["column"]]
    labels = cells.map(lambda cell: _label(cell, entry))
    empty = labels.index[labels.isna()]
    if len(empty):
        raise InputError(f"{sheet.where(empty[0], entry['column'])}: nobody is named; every row needs a participant.")
    spelled = pd.DataFrame({"cell": cells, "label": labels}).drop_duplicates()
    clash = spelled[spelled["label"].duplicated(keep=False)]
    if len(clash):
        first = clash[clash["label"] == clash["label"].iloc[0]]
        named = ", ".join(f"{row.cell!r} (row {row.Index})" for row in first.itertuples())
        raise InputError(f"{sheet.path}, column {entry['column']!r}: {named} all become {clash['label'].iloc[0]}.")
    return labels


def _label(cell: Any, entry: Mapping[str, Any]) -> str | None:
    if not isinstance(cell, str):
        return None
    text = cell.removeprefix("sub-").removeprefix(entry.get("remove", ""))
    text = re.sub(r"^(\d+)[.,]0+$", r"\1", text)
    label = re.sub(r"[^A-Za-z0-9]", "", text)
    if label.isdecimal() and "pad" in entry:
        label = label.zfill(entry["pad"])
    return f"sub-{label}" if label else None


def _sessions(sheet: Spreadsheet, entry: Mapping[str, Any] | None) -> pd.Series | None:
    """Return ``ses-<label>`` of every row; None in a study without sessions."""
    import pandas as pd

    if entry is None:
        return None
    if "constant" in entry:
        return pd.Series(_session_label(entry["constant"]), index=sheet.table.index)
    cells, column = sheet.table[entry["column"]], entry["column"]
    empty = cells.index[cells.isna()]
    if len(empty):
        raise InputError(f"{sheet.where(empty[0], column)}: the session is empty; every row needs one.")
    return _translated(sheet, cells, entry.get("values"), column).map(_session_label)


def _session_label(text: Any) -> str:
    return "ses-" + re.sub(r"[^A-Za-z0-9]", "", str(text).removeprefix("ses-"))


def _translated(sheet: Spreadsheet, cells: pd.Series, values: Mapping[Any, Any] | None, column: str) -> pd.Series:
    """Return cells replaced by what they mean; InputError for a cell that is not listed."""
    if values is None:
        return cells
    known = {same_number(str(key)): str(value) for key, value in values.items()}
    unknown = cells.index[cells.notna() & ~cells.map(lambda cell: isinstance(cell, str) and same_number(cell) in known)]
    if len(unknown):
        raise InputError(
            f"{sheet.where(unknown[0], column)}: {cells[unknown[0]]!r} is not among the values of the mapping "
            f"({', '.join(known)})."
        )
    return cells.map(lambda cell: known[same_number(cell)] if isinstance(cell, str) else None)


def _check_once(sheet: Spreadsheet, labels: pd.Series, sessions: pd.Series | None, rows: pd.Index, what: str) -> None:
    """Refuse two rows of one person in one session, among ``rows`` that have something to say."""
    import pandas as pd

    who = pd.DataFrame({"who": labels[rows], "when": "" if sessions is None else sessions[rows]})
    double = who[who.duplicated(keep=False)]
    if len(double):
        first = double[(double == double.iloc[0]).all(axis=1)]
        named = " ".join(filter(None, double.iloc[0]))
        raise InputError(
            f"{sheet.path}, rows {', '.join(map(str, first.index))}: {named} has {len(first)} rows with {what}; keep "
            "one, or name the column of the session."
        )


def _numbers(sheet: Spreadsheet, cells: pd.Series, column: str) -> pd.Series:
    """Return cells as numbers with a decimal point; InputError with the place of the first that is none."""
    numbers = cells.map(lambda cell: sheet.number(cell) if isinstance(cell, str) else None)
    wrong = cells.index[cells.notna() & numbers.isna()]
    if len(wrong):
        other = "," if sheet.decimal == "." else "."
        hint = f" Set `decimal: '{other}'` in the mapping?" if other in str(cells[wrong[0]]) else ""
        raise InputError(
            f"{sheet.where(wrong[0], column)}: expected a number, found {cells[wrong[0]]!r}.{hint} A code for missing "
            "values belongs into `missing`."
        )
    return numbers


# -- trial tables -----------------------------------------------------------------------------------------------------


def _trial_tables(sheet: Spreadsheet, labels: pd.Series, mapping: Mapping[str, Any]) -> list[Made]:
    """Return one trial table per person, session and task."""
    import pandas as pd

    parts: dict[tuple[str, str, str], list[pd.DataFrame]] = {}
    sidecars: dict[str, dict[str, Any]] = {}
    sources: dict[str, dict[str, str]] = {}
    for entry in mapping.get("trials", []):
        task = entry["task"]
        sessions = _sessions(sheet, entry.get("session", mapping.get("session")))
        trials, named = _trials_of(sheet, labels, sessions, entry)
        sources.setdefault(task, {}).update(named)
        _join_sidecars(sidecars.setdefault(task, {"TaskName": task}), entry.get("sidecar", {}), task)
        keys = [trials.pop("_who"), trials.pop("_when")]
        for (who, when), rows in trials.groupby(keys, sort=False):
            parts.setdefault((str(who), str(when), task), []).append(rows)
    return [
        _trial_table(sheet, pd.concat(rows), key, sidecar=sidecars[key[2]], sources=sources[key[2]])
        for key, rows in sorted(parts.items())
    ]


def _join_sidecars(into: dict[str, Any], more: Mapping[str, Any], task: str) -> None:
    clash = [key for key, value in more.items() if into.get(key, value) != value]
    if clash:
        raise ConfigError(f"trials: {clash[0]} of task {task} is given twice with different values.")
    into.update(more)


def _trials_of(
    sheet: Spreadsheet, labels: pd.Series, sessions: pd.Series | None, entry: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the trials of an entry, text cells with ``_who`` and ``_when``, and what its columns mean."""
    if "fields" in entry:
        table, named = _long_trials(sheet, entry)
    else:
        table, named = _wide_trials(sheet, labels, sessions, entry)
    for name, value in entry.get("constants", {}).items():
        table[name] = _plain(value)
    unknown = [str(name) for name in table if not column_schema(entry["task"], str(name))]
    if unknown:
        known = ", ".join(columns(entry["task"]))
        raise ConfigError(f"trials, task {entry['task']}: there is no column {unknown[0]!r}; there are {known}.")
    rows = table.index
    when = "" if sessions is None else sessions.loc[rows]
    return table.assign(_who=labels.loc[rows], _when=when), named


def _plain(value: Any) -> str:
    """Return an entry of YAML as the text of a cell."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_number(task: str, name: str) -> bool:
    kind = (column_schema(task, name) or {}).get("type", "string")
    return bool({"number", "integer"} & set(kind if isinstance(kind, list) else [kind]))


def _cells(sheet: Spreadsheet, column: str, task: str, name: str, entry: Mapping[str, Any]) -> pd.Series:
    """Return the cells of a column as what they are in the trial table."""
    cells = _translated(sheet, sheet.table[column], entry.get("values", {}).get(name), column)
    return _numbers(sheet, cells, column) if _is_number(task, name) else cells


def _long_trials(sheet: Spreadsheet, entry: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    task = entry["task"]
    table = pd.DataFrame({name: _cells(sheet, column, task, name, entry) for name, column in entry["fields"].items()})
    return table.dropna(how="all"), {column: f"{task}: {name}" for name, column in entry["fields"].items()}


def _wide_trials(
    sheet: Spreadsheet, labels: pd.Series, sessions: pd.Series | None, entry: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return one row per spreadsheet row and trial; columns that differ in ``field`` alone share a row."""
    import pandas as pd

    task, named = entry["task"], {}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    columns_of = entry.get("columns") or _by_pattern(sheet, entry)
    for column, about in columns_of.items():
        known = {name: _plain(value) for name, value in about.items()}
        target = known.pop("field", VALUE)
        named[column] = f"{task}: {target} of {', '.join(f'{key} {value}' for key, value in known.items()) or 'all'}"
        cells = _cells(sheet, column, task, target, entry).dropna()
        for row, cell in cells.items():
            found = rows.setdefault((row, *known.items()), {"_row": row, **known})
            if target in found:
                raise ConfigError(f"trials, task {task}: column {column!r} is the same trial as another one.")
            found[target] = cell
    if not rows:
        raise InputError(f"{sheet.path}: the columns of task {task} hold no value.")
    table = pd.DataFrame(list(rows.values())).set_index("_row")
    _check_once(sheet, labels, sessions, table.index.unique(), f"task {task}")
    return table, named


def _by_pattern(sheet: Spreadsheet, entry: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return what the names of the columns that match the pattern say of their trial."""
    try:
        pattern = re.compile(entry["pattern"])
    except re.error as error:
        raise ConfigError(f"trials, task {entry['task']}: `pattern` is no regular expression: {error}.") from error
    found = {}
    for column in map(str, sheet.table.columns):
        match = pattern.fullmatch(column)
        if match:
            parts = {key: value for key, value in match.groupdict().items() if value is not None}
            found[column] = {key: _part(entry, key, value, column) for key, value in parts.items()}
    if not found:
        raise InputError(f"{sheet.path}: no column matches {entry['pattern']!r} of task {entry['task']}.")
    return found


def _part(entry: Mapping[str, Any], name: str, text: str, column: str) -> str:
    values = {same_number(str(key)): str(value) for key, value in entry.get("values", {}).get(name, {}).items()}
    if values and same_number(text) not in values:
        raise ConfigError(
            f"trials: {name} {text!r} of column {column!r} is not among its values ({', '.join(values)})."
        )
    return values.get(same_number(text), text)


def _trial_table(
    sheet: Spreadsheet,
    table: pd.DataFrame,
    key: tuple[str, str, str],
    *,
    sidecar: dict[str, Any],
    sources: dict[str, str],
) -> Made:
    """Return one trial table, checked against the contract of its task."""
    who, when, task = key
    order = [name for name in columns(task) if name in table]
    ordered = table[[*order, *(name for name in table if name not in order)]]
    lines = ordered.index
    ordered = ordered.reset_index(drop=True)
    rows = ", ".join(map(str, sorted(set(lines))[:SHOWN_PROBLEMS]))
    origin = f"{sheet.path}, row {rows}, task {task} of {' '.join(filter(None, (who, when)))}"
    check_trials(ordered.astype(object).where(ordered.notna(), None), sidecar, task=task, origin=origin)
    prefix = "_".join(filter(None, (who, when)))
    folder = "/".join(filter(None, (who, when, "beh")))
    path = f"{folder}/{prefix}_task-{task}_beh.tsv"
    return Made(path=path, kind=f"task {task}", table=ordered, sidecar=sidecar, sources=sources)


# -- questionnaires and people ----------------------------------------------------------------------------------------


def _phenotype_tables(sheet: Spreadsheet, labels: pd.Series, mapping: Mapping[str, Any]) -> list[Made]:
    """Return one table per tool; entries of one tool are joined, as two sessions in two sets of columns are."""
    import pandas as pd

    parts: dict[str, list[pd.DataFrame]] = {}
    sources: dict[str, dict[str, str]] = {}
    units: dict[str, dict[str, str]] = {}
    for entry in mapping.get("phenotype", []):
        tool = entry["tool"]
        sessions = _sessions(sheet, entry.get("session", mapping.get("session")))
        table = pd.DataFrame(
            {
                name: _numbers(sheet, _translated(sheet, sheet.table[column], entry.get("values"), column), column)
                for column, name in entry["columns"].items()
            }
        ).dropna(how="all")
        _check_once(sheet, labels, sessions, table.index, tool)
        table.insert(0, "participant_id", labels[table.index])
        if sessions is not None:
            table.insert(1, "session_id", sessions[table.index])
        parts.setdefault(tool, []).append(table)
        sources.setdefault(tool, {}).update({column: f"{tool}: {name}" for column, name in entry["columns"].items()})
        units.setdefault(tool, {}).update(entry.get("units", {}))
    return [
        _phenotype_table(sheet, tool, pd.concat(tables), sources[tool], units[tool]) for tool, tables in parts.items()
    ]


def _phenotype_table(
    sheet: Spreadsheet, tool: str, table: pd.DataFrame, sources: dict[str, str], units: Mapping[str, str]
) -> Made:
    keys = [name for name in ("participant_id", "session_id") if name in table]
    double = table[table.duplicated(keys, keep=False)]
    if len(double):
        raise InputError(
            f"{sheet.path}, row {double.index[0]}: {' '.join(double[keys].iloc[0])} has two rows of {tool}."
        )
    _check_answers(sheet, tool, table)
    known = instruments().get(tool)
    sidecar: dict[str, Any] = {"MeasurementToolMetadata": {"Description": known.title if known else tool}}
    columns_of = [str(name) for name in table if name not in keys]
    sidecar |= {name: {"Description": f"{tool} {name}", **_units(units, name)} for name in columns_of}
    ordered = table.sort_values(keys, kind="stable").reset_index(drop=True)
    return Made(
        path=f"phenotype/{tool}.tsv", kind=f"questionnaire {tool}", table=ordered, sidecar=sidecar, sources=sources
    )


def _units(units: Mapping[str, str], name: str) -> dict[str, str]:
    return {"Units": units[name]} if name in units else {}


def _check_answers(sheet: Spreadsheet, tool: str, table: pd.DataFrame) -> None:
    """Refuse answers and totals that the questionnaire does not have; a tool that lbpneuro does not score passes."""
    known = instruments().get(tool)
    if known is None:
        return
    names = [str(name) for name in table if name not in ("participant_id", "session_id")]
    allowed = {column: known.answers[name].points for name, column in answer_columns(sheet.path, known, names).items()}
    ends = {known.column(name): (score.low, score.high) for name, score in known.scores.items()}
    lost = [name for name in names if name not in allowed and name not in ends]
    if lost:
        there = ", ".join([*(known.column(name) for name in list(known.answers)[:3]), "...", *ends])
        raise ConfigError(f"phenotype, {tool}: there is no column {lost[0]!r}; there are {there}.")
    for name in names:
        for row, cell in table[name].dropna().items():
            value = float(cell)
            fits = value in allowed[name] if name in allowed else ends[name][0] <= value <= ends[name][1]
            if not fits:
                low, high = (min(allowed[name]), max(allowed[name])) if name in allowed else ends[name]
                raise InputError(
                    f"{sheet.path}, row {row}, {name}: expected {low:g} to {high:g}, found {cell}. Is it the tool, or "
                    "a code for missing values?"
                )


def _people_table(sheet: Spreadsheet, labels: pd.Series, mapping: Mapping[str, Any]) -> Made:
    """Return participants.tsv: everybody once; a column must not change between the rows of a person."""
    import pandas as pd

    entry = mapping.get("participants", {"columns": {}})
    table = pd.DataFrame({"participant_id": labels})
    for column, name in entry["columns"].items():
        cells = _translated(sheet, sheet.table[column], entry.get("values", {}).get(name), column)
        numbers = cells.map(lambda cell: sheet.number(cell) if isinstance(cell, str) else None)
        table[name] = numbers if numbers.notna().sum() == cells.notna().sum() else cells
        _check_constant(sheet, table, name, column)
    return Made(
        path="participants.tsv",
        kind=PEOPLE,
        # the first known value of a person: rows of later sessions may leave it empty
        table=table.groupby("participant_id", sort=True).first().reset_index(),
        sidecar={name: {"Description": f"{sheet.path.name}: {column}"} for column, name in entry["columns"].items()},
        sources={column: f"participants: {name}" for column, name in entry["columns"].items()},
    )


def _check_constant(sheet: Spreadsheet, table: pd.DataFrame, name: str, column: str) -> None:
    spread = table.groupby("participant_id")[name].nunique()
    if (spread > 1).any():
        who = spread.index[spread > 1][0]
        rows = ", ".join(map(str, table.index[table["participant_id"] == who]))
        raise InputError(
            f"{sheet.path}, rows {rows}, column {column!r}: {who} has several values; what changes between sessions "
            "belongs into a questionnaire (phenotype)."
        )


# -- writing ----------------------------------------------------------------------------------------------------------


def write_understood(understood: Understood, out: Path) -> list[Path]:
    """Write all tables into a BIDS dataset, or none: they are made beside it and moved when all are there.

    A participants.tsv that is there already is kept if the mapping adds no column to it.

    Raises
    ------
    InputError
        If one of the files is there already.
    OutputError
        If the folder cannot be written to.
    """
    tables = [made for made in understood.tables if not _keeps_people(made, out)]
    targets = [target for made in tables for target in (out / made.path, (out / made.path).with_suffix(".json"))]
    there = [str(path.relative_to(out)) for path in targets if path.exists()]
    if there:
        named = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
        raise InputError(
            f"{out}: {named} is there already and is not overwritten; remove it, or choose another folder."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".import_", dir=out))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written to ({error.strerror or error}).") from error
    try:
        _stage(tables, staging, understood)
        return _move(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _keeps_people(made: Made, out: Path) -> bool:
    return made.kind == PEOPLE and len(made.table.columns) == 1 and (out / made.path).exists()


def _stage(tables: Sequence[Made], staging: Path, understood: Understood) -> None:
    """Write all tables into a folder of their own."""
    for made in tables:
        path = staging / made.path
        table = made.table.astype(object).where(made.table.notna(), None)
        write_tsv(path, table)
        write_json(path.with_suffix(".json"), {**made.sidecar, "Sources": [understood.source.name]})
    description = {"Name": understood.source.stem, "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    write_json(staging / "dataset_description.json", description)


def _move(staging: Path, out: Path) -> list[Path]:
    written = []
    for source in sorted(path for path in staging.rglob("*") if path.is_file()):
        target = out / source.relative_to(staging)
        if target.name == "dataset_description.json" and target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        written.append(target)
    return written


def preview(understood: Understood) -> str:
    """Return in words and first rows what would be written, what every column means, and what is left out."""
    lines = [f"{understood.source}: {understood.rows} rows, {understood.people} people", "", "columns"]
    meanings = {column: meaning for made in understood.tables for column, meaning in made.sources.items()}
    width = max((len(column) for column in meanings), default=0)
    lines += [f"  {column:<{width}}  ->  {meaning}" for column, meaning in meanings.items()]
    lines += [f"left out on purpose: {', '.join(understood.ignored) or 'none'}"]
    lines += [f"NOT USED: {', '.join(understood.unused) or 'none'}", "", "tables"]
    kinds: dict[str, list[Made]] = {}
    for made in understood.tables:
        kinds.setdefault(made.kind, []).append(made)
    for tables in kinds.values():
        lines += _shown(tables)
    return "\n".join(lines)


def _shown(tables: Sequence[Made]) -> list[str]:
    first = tables[0]
    more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
    rows = sum(len(made.table) for made in tables)
    told = {key: value for key, value in first.sidecar.items() if key != "TaskName" and not isinstance(value, dict)}
    units = _known_units(first)
    lines = [f"  {first.path}{more}: {rows} rows"]
    lines += [f"    sidecar: {', '.join(f'{key} {value}' for key, value in told.items())}"] if told else []
    lines += [f"    units: {', '.join(f'{key} {value}' for key, value in units.items())}"] if units else []
    text = first.table.head(SHOWN_ROWS).fillna("n/a").to_string(index=False)
    return [*lines, *(f"    {line}" for line in text.splitlines()), ""]


def _known_units(made: Made) -> dict[str, str]:
    """Return the units that the contract of a task or the sidecar give, by column."""
    task = made.kind.removeprefix("task ")
    fixed = {str(name): column_schema(task, str(name)) or {} for name in made.table} if task != made.kind else {}
    stated = {
        name: entry["Units"] for name, entry in made.sidecar.items() if isinstance(entry, dict) and "Units" in entry
    }
    return {name: entry["unit"] for name, entry in fixed.items() if "unit" in entry} | stated
