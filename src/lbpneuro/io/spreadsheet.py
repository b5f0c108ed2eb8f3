"""Spreadsheets as labs keep them: CSV, TSV and XLSX as a table of text, with the row numbers a person sees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

EMPTY = frozenset({"", "n/a", "NA", "N/A", "NaN", "nan"})
SEPARATORS = ("\t", ";", ",", "|")
WORKBOOKS = (".xlsx", ".xlsm")
TEXT_FILES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreadsheet:
    """A spreadsheet: ``table`` is text or missing (NaN), its index the row numbers of the file."""

    path: Path
    table: pd.DataFrame
    decimal: str = "."

    def where(self, row: Any, column: str) -> str:
        """Return the place of a cell in words."""
        return f"{self.path}, row {row}, column {column!r}"

    def number(self, text: str) -> str | None:
        """Return the number in a cell with a decimal point, or None if it is none.

        A sign for thousands is not guessed at: with a decimal comma a point in a number is refused, and the other way
        round.
        """
        sign = re.escape(self.decimal)
        if not re.fullmatch(rf"[+-]?(\d+({sign}\d*)?|{sign}\d+)([eE][+-]?\d+)?", text):
            return None
        return text.replace(self.decimal, ".")


def read_spreadsheet(path: Path, settings: Mapping[str, Any]) -> Spreadsheet:
    """Return the spreadsheet; ``settings`` are sheet, header_row, separator, decimal, encoding, missing of a mapping.

    Raises
    ------
    InputError
        If the file is absent, of another kind or cannot be read, or a column name is empty or used twice.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    kind = path.suffix.lower()
    if kind in WORKBOOKS:
        cells = _workbook(path, settings)
    elif kind in TEXT_FILES:
        cells = _text(path, settings)
    else:
        raise InputError(
            f"{path}: expected {', '.join((*TEXT_FILES, *WORKBOOKS))}, found {kind or 'no extension'}; save the sheet "
            "as one of these."
        )
    return Spreadsheet(path=path, table=_with_header(path, cells, settings), decimal=settings.get("decimal", "."))


def _workbook(path: Path, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return all cells of a sheet as text; numbers of a workbook have no decimal sign, so they get the one expected."""
    import zipfile

    import pandas as pd

    sheet = settings.get("sheet", 0)
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            if isinstance(sheet, str) and sheet not in book.sheet_names:
                raise InputError(f"{path}: there is no sheet {sheet!r}, but {', '.join(map(str, book.sheet_names))}.")
            cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected a workbook, but {error}.") from error
    decimal = settings.get("decimal", ".")
    return cells.map(lambda cell: _as_text(cell, decimal))


def _as_text(cell: Any, decimal: str) -> Any:
    if isinstance(cell, bool) or cell is None:
        return str(cell) if cell is not None else None
    if isinstance(cell, float):
        return None if cell != cell else f"{cell:.15g}".replace(".", decimal)
    return str(cell)


def _text(path: Path, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return all cells of a text file; every line is a row, also an empty one, so that row numbers are those seen."""
    import csv

    import pandas as pd

    try:
        content = path.read_text(encoding=settings.get("encoding", "utf-8-sig"), errors="strict")
    except (UnicodeDecodeError, LookupError) as error:
        raise InputError(f"{path}: {error}; name its encoding in the mapping, for example latin-1.") from error
    header = settings.get("header_row", 1)
    lines = content.splitlines()
    if len(lines) < header:
        raise InputError(f"{path}: there is no row {header} for the header.")
    separator = settings.get("separator") or max(SEPARATORS, key=lines[header - 1].count)
    rows = list(csv.reader(lines, delimiter=separator))
    width = len(rows[header - 1])
    for number, row in enumerate(rows[header:], start=header + 1):
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise InputError(
                f"{path}, row {number}: {len(row)} cells where the header has {width}. Is {separator!r} the separator, "
                "and not a decimal comma? Set `separator` and `decimal` in the mapping."
            )
    return pd.DataFrame([row[:width] + [""] * (width - len(row)) for row in rows])


def _with_header(path: Path, cells: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows below the header, named by it, indexed by their number in the file."""
    import pandas as pd

    header = settings.get("header_row", 1)
    if len(cells) < header:
        raise InputError(f"{path}: there is no row {header} for the header.")
    table = cells.iloc[header:].copy()
    table.index = pd.RangeIndex(header + 1, header + 1 + len(table))
    table.columns = ["" if name is None or name != name else str(name).strip() for name in cells.iloc[header - 1]]
    missing = EMPTY | {same_number(str(code)) for code in settings.get("missing", [])}
    table = table.map(lambda cell: _known(cell, missing)).astype(object).dropna(how="all")
    nameless = [place for place, name in enumerate(table.columns) if not name]
    with_cells = [place for place in nameless if table.iloc[:, place].notna().any()]
    if with_cells:
        raise InputError(f"{path}, row {header}: column {with_cells[0] + 1} has cells but no name; give it one.")
    table = table.iloc[:, [place for place, name in enumerate(table.columns) if name]]
    double = table.columns[table.columns.duplicated()]
    if len(double):
        raise InputError(f"{path}, row {header}: the column {double[0]!r} is there twice; rename one.")
    if table.empty:
        raise InputError(f"{path}: there is no row below the header.")
    return table


def _known(cell: Any, missing: frozenset[str]) -> str | None:
    """Return a cell without blanks around it, None for one that means: not measured."""
    text = cell.strip() if isinstance(cell, str) else ""
    return None if text in missing or same_number(text) in missing else text


def same_number(text: str) -> str:
    """Return one spelling for one number, so that ``1``, ``1.0`` and ``1,0`` are the same code; other text as it is.

    >>> same_number("1.0"), same_number("-99"), same_number("1,50"), same_number("left")
    ('1', '-99', '1.5', 'left')
    """
    if not re.fullmatch(r"[+-]?\d+([.,]\d*)?", text):
        return text
    return f"{float(text.replace(',', '.')):.12g}"
