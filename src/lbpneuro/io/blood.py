"""Markers of inflammation in blood, from ``phenotype/inflammation.tsv``: units, and limits of detection as bounds."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.files import read_json
from lbpneuro.io.phenotype import number_in, person_row, read_phenotype
from lbpneuro.markers.scales import BLOOD, Concentration

log = logging.getLogger("lbpneuro")

TABLE = "inflammation"
UNITS: Mapping[str, Mapping[str, float]] = {
    "mg/L": {"mg/L": 1.0, "mg/dL": 10.0, "ug/mL": 1.0, "ng/mL": 0.001},
    "pg/mL": {"pg/mL": 1.0, "ng/L": 1.0, "ng/mL": 1000.0, "ug/L": 1000.0},
}
"""Units that are understood, and their factor to the unit of the marker."""
LIMIT = re.compile(r"^([<>])\s*([0-9.eE+-]+)$")


def read_blood(path: Path, *, participant: str, session: str | None) -> dict[str, Concentration]:
    """Return the concentrations of one person in one session in the unit of the marker, those that were measured.

    A cell holds a number, or ``<0.5`` below or ``>300`` above what the assay can tell. The limit of detection is
    ``<name>_lod``, a column in the unit of the values, or ``LimitOfDetection`` of the sidecar; a number below it is
    taken as no more than that. No value is ever put in the place of one below the limit.

    Raises
    ------
    InputError
        If a cell is neither, a concentration is negative, or one is 0 without a limit of detection.
    UnitError
        If the sidecar does not give the unit of a column that has values, or one that is not known.
    """
    table = read_phenotype(path)
    line, cells = person_row(table, participant=participant, session=session, path=path)
    about = read_json(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
    found = {}
    for name in BLOOD:
        if isinstance(cells.get(name), str):
            described: Mapping[str, Any] = about.get(name) or {}
            factor, where = _factor(path, name, described), f"{path}, line {line}"
            limit = cells.get(f"{name}_lod", described.get("LimitOfDetection"))
            least = number_in(limit, column=f"{name}_lod", where=where)
            found[name] = _scaled(_concentration(str(cells[name]), least, where=f"{where}, column {name}"), factor)
    return found


def _factor(path: Path, name: str, described: Mapping[str, Any]) -> float:
    known, unit = UNITS[BLOOD[name].unit], described.get("Units")
    if unit not in known:
        raise UnitError(
            f"{path.with_suffix('.json')}: the unit of {name} is {unit!r}; expected Units to be one of "
            f"{', '.join(known)}."
        )
    return known[str(unit)]


def _concentration(cell: str, least: float, *, where: str) -> Concentration:
    limit = LIMIT.match(cell)
    if limit:
        bound = number_in(limit[2], column="limit", where=where)
        return Concentration(high=bound) if limit[1] == "<" else Concentration(low=bound)
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{where}: expected a concentration or a limit such as <0.5, found {cell!r}.") from None
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{where}: expected a concentration of 0 or more, found {cell}.")
    if value < least:
        return Concentration(high=least)
    if value == 0:
        raise InputError(f"{where}: 0 is below any limit of detection; give the limit (<0.5, or a column _lod).")
    return Concentration(value=value)


def _scaled(found: Concentration, factor: float) -> Concentration:
    return Concentration(value=factor * found.value, low=factor * found.low, high=factor * found.high)


def blood_or_reason(
    tables: Sequence[Path], *, participant: str, session: str | None, problems: list[str]
) -> Mapping[str, Concentration] | Reason:
    """Return the concentrations of one person, or the reason of what is wrong, which is added to ``problems``.

    ``tables`` has the table, or nothing where there is none.
    """
    try:
        found = [read_blood(path, participant=participant, session=session) for path in tables]
    except InputError as error:
        log.error("%s", error)
        problems.append(str(error))
        return error.reason
    return found[0] if found else {}
