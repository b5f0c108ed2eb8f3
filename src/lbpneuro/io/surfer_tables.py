"""The text tables that FreeSurfer and FastSurfer write: statistics of a segmentation, volumes of thalamic nuclei."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbpneuro.errors import InputError, Reason, UnitError

MEASURE_FIELDS = 5  # name, short name, description, value, unit
AGAIN = "copy the file again, or run the statistics of the program again"


@dataclass(slots=True, kw_only=True)
class Statistics:
    """A statistics file.

    Attributes
    ----------
    path, program
        The file, and who wrote it ("FreeSurfer 7.3.2"; empty if it does not tell).
    measures
        Value and unit of the measures in its head by their short name (``eTIV``).
    units
        Unit of every column that states one.
    rows
        The numbers of every structure by column, by the name of the structure.
    """

    path: Path
    program: str = ""
    measures: dict[str, tuple[float, str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, float]] = field(default_factory=dict)

    def measure(self, name: str, unit: str) -> float | None:
        """Return a measure of the head, None without it; UnitError if it has another unit."""
        if name not in self.measures:
            return None
        value, found = self.measures[name]
        if found != unit:
            raise UnitError(f"{self.path}: expected the measure {name} in {unit}, found {found!r}; {AGAIN}.")
        return value

    def column(self, structure: str, name: str, unit: str) -> float:
        """Return a number of a structure; InputError without the column, UnitError if it has another unit."""
        if self.units.get(name, unit) != unit:
            raise UnitError(f"{self.path}: expected the column {name} in {unit}, found {self.units[name]!r}; {AGAIN}.")
        row = self.rows[structure]
        if name not in row:
            raise InputError(f"{self.path}: the column {name} is missing; found {', '.join(row)}.")
        return row[name]


def read_statistics(path: Path) -> Statistics:
    """Return the numbers of a statistics file (``aseg.stats``, ``lh.aparc.stats`` ...).

    Raises
    ------
    InputError
        Naming file and line if it is no such table, a row is cut off, or a value is no number.
    """
    table, columns, declared = Statistics(path=path), tuple[str, ...](), None
    offsets: dict[str, str] = {}
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        head, _, rest = line.lstrip("# ").partition(" ")
        if not line.startswith("#"):
            name, row = _row(line.split(), columns, where)
            table.rows[name] = row
        elif head == "Measure":
            name, value = _measure(rest, where)
            table.measures[name] = value
        elif head == "ColHeaders":
            columns = tuple(rest.split())
        elif head == "NRows":
            declared = int(_number(rest.strip(), where))
        elif head == "TableCol":
            _note_unit(rest.split(), offsets, table.units)
        elif (program := _program(head, rest)) is not None:
            table.program = program
    if not table.rows and not table.measures:
        raise InputError(f"{path}: expected a table of statistics (# ColHeaders ...), found none; {AGAIN}.")
    if declared is not None and declared != len(table.rows):
        raise InputError(
            f"{path}: expected {declared} structures (# NRows), found {len(table.rows)}; the file is cut off: {AGAIN}."
        )
    return table


def read_volumes(path: Path) -> dict[str, float]:
    """Return the volumes (mm³) of a file of the thalamic module by name: ``Left-AV``, ``Right-Whole_thalamus`` ...

    Raises
    ------
    InputError
        Naming file and line if it has other than a name and a number in a row.
    """
    found = {}
    for number, line in enumerate(_lines(path), start=1):
        parts = line.split()
        where = f"{path}, line {number}"
        if len(parts) != 2:
            raise InputError(f"{where}: expected a name and a volume, found {line.strip()!r}; {AGAIN}.")
        found[parts[0]] = _number(parts[1], where)
    return found


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file, or the link leads to none.", reason=Reason.FILE_MISSING
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a text file, but {error}; {AGAIN}.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: the file is empty; {AGAIN}.")
    return lines


def _row(parts: list[str], columns: tuple[str, ...], where: str) -> tuple[str, dict[str, float]]:
    """Return name and numbers of a structure."""
    if "StructName" not in columns:
        raise InputError(f"{where}: a row stands before the names of the columns (# ColHeaders); {AGAIN}.")
    if len(parts) != len(columns):
        raise InputError(f"{where}: expected {len(columns)} columns, found {len(parts)}; the row is cut off: {AGAIN}.")
    row = dict(zip(columns, parts, strict=True))
    name = row.pop("StructName")
    return name, {column: _number(text, where) for column, text in row.items()}


def _measure(text: str, where: str) -> tuple[str, tuple[float, str]]:
    """Return short name, value and unit of a measure."""
    fields = [part.strip() for part in text.split(",")]
    if len(fields) != MEASURE_FIELDS:
        raise InputError(
            f"{where}: expected {MEASURE_FIELDS} fields (name, short name, description, value, unit), found "
            f"{len(fields)}; is the value written with a decimal comma?"
        )
    return fields[1], (_number(fields[3], where), fields[4])


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        hint = " (write a point, not a comma)" if "," in text else ""
        raise InputError(f"{where}: expected a number, found {text!r}{hint}; {AGAIN}.") from error


def _note_unit(parts: list[str], offsets: dict[str, str], units: dict[str, str]) -> None:
    """Keep the unit of a column, which the head gives after its name: ``TableCol 4 Units mm^3``."""
    if len(parts) >= 3:
        number, kind, text = parts[:3]
        if kind == "ColHeader":
            offsets[number] = text
        elif kind == "Units" and number in offsets and text != "NA":
            units[offsets[number]] = text


def _program(head: str, rest: str) -> str | None:
    """Return the program that a line of the head names with its version; None if it names none."""
    if head == "FastSurfer_version":
        return f"FastSurfer {rest.split()[0]}"
    version = re.match(r"(?:freesurfer[^ ]*-)?(\d+(?:\.\d+)+)", rest.strip())
    return f"FreeSurfer {version[1]}" if head == "cvs_version" and version else None


def by_label(table: Statistics) -> Mapping[int, str]:
    """Return the names of the structures of a segmentation by their number."""
    return {int(row["SegId"]): name for name, row in table.rows.items() if "SegId" in row}
