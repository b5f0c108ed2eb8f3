"""The rows of a marker table, each joined with its descriptor from the registry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.markers.descriptor import Direction, Level, Marker, Tier
from lbpneuro.registry import MARKERS
from lbpneuro.report.words import because, number

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str, Level]

SPELLED = {"dlpfc": "DLPFC", "pag": "PAG", "vmpfc": "vmPFC", "pre": "before"}
SIDES = {"L": "left", "R": "right"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value of one person, or the reason for its absence, with the marker it belongs to."""

    marker: Marker
    level: Level
    participant: str
    session: str
    value: float
    se: float
    ci_low: float
    ci_high: float
    n: float
    status: Status
    reasons: tuple[Reason, ...]
    source: str
    method: str
    version: str

    @property
    def key(self) -> Key:
        """What names this row among all rows of a study."""
        return self.participant, self.session, self.marker.name, self.level

    @property
    def where(self) -> str:
        """The level in words, e.g. "dlpfc, left"; empty if the marker does not repeat."""
        return level_words(self.level, self.marker.index)

    @property
    def column(self) -> str:
        """Name of the column of the wide table."""
        return "__".join((self.marker.name, *self.level))

    @property
    def error(self) -> float:
        """Standard error, or what the interval implies where only that is given."""
        return self.se if math.isfinite(self.se) else (self.ci_high - self.ci_low) / 3.92

    @property
    def shown(self) -> str:
        """The value with the digits its error supports."""
        return number(self.value, error=self.error)

    @property
    def interval(self) -> str:
        """The 95 % interval as text; a dash without one."""
        if math.isnan(self.ci_low) or math.isnan(self.ci_high):
            return "–"
        return f"{number(self.ci_low, error=self.error)} to {number(self.ci_high, error=self.error)}"

    @property
    def unit(self) -> str:
        """Unit for people: nothing for a pure number."""
        return unit_words(self.marker.unit)

    @property
    def why(self) -> str:
        """The reasons in words."""
        return because(self.reasons)

    @property
    def direction(self) -> Direction:
        """Expected direction at this level."""
        return self.marker.direction_at(self.level)


def level_words(level: Level, index: tuple[str, ...] = ("roi", "hemi")) -> str:
    """Return a level in words: sides and abbreviations as the field writes them, blocks as times, no "n/a".

    The side of a region is "left"; that of anything else, a muscle above all, is the "left hemisphere".
    """
    side = "" if "roi" in index else " hemisphere"
    return ", ".join(f"{SIDES[part]}{side}" if part in SIDES else _word(part) for part in level if part != "n/a")


def _word(part: str) -> str:
    if part.startswith("post") and part[4:].isdigit():
        return f"{int(part[4:])} min after"
    return SPELLED.get(part, part.replace("_", " "))


def unit_words(unit: str) -> str:
    """Return a BIDS unit string for people: nothing for 1, superscripts for powers."""
    return "" if unit in ("1", "n/a", "") else unit.replace("^2", "²").replace("^3", "³")


def rows_of(table: pd.DataFrame, *, origin: Path) -> list[Row]:
    """Return the rows of a long marker table as read from the file ``origin``.

    Raises
    ------
    InputError
        If a marker is not in the registry or a status or reason is not in its closed list.
    """
    by_name = {marker.name: marker for marker in MARKERS}
    return [
        _row(record, by_name, line=f"{origin.name}, row {position + 2}")
        for position, record in enumerate(table.to_dict("records"))
    ]


def _row(record: Mapping[Any, Any], by_name: Mapping[str, Marker], *, line: str) -> Row:
    marker = by_name.get(record["marker"])
    if marker is None:
        raise InputError(f"{line}: unknown marker {record['marker']!r}; make the tables again with this version.")
    try:
        status = Status(_text(record["status"]))
        reasons = tuple(Reason(name) for name in _text(record["reason"], "").split(";") if name)
    except ValueError as error:
        raise InputError(f"{line}: {error}; expected a word of the closed list. Make the tables again.") from error
    return Row(
        marker=marker,
        level=tuple(_text(record.get(column)) for column in marker.index),
        participant=_text(record["participant_id"]),
        session=_text(record["session_id"]),
        **{name: float(record[name]) for name in ("value", "se", "ci_low", "ci_high", "n")},
        status=status,
        reasons=reasons,
        source=_text(record.get("source")),
        method=_text(record.get("method")),
        version=_text(record.get("method_version")),
    )


def _text(entry: Any, absent: str = "n/a") -> str:
    missing = entry is None or (isinstance(entry, float) and math.isnan(entry))
    return absent if missing else str(entry)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by participant and session, within these in registry order; doubled rows once, the last wins."""
    place = {marker.name: position for position, marker in enumerate(MARKERS)}
    unique = {row.key: row for row in rows}
    return sorted(unique.values(), key=lambda row: (row.participant, row.session, place[row.marker.name]))


def primary(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of primary markers."""
    return [row for row in rows if row.marker.tier is Tier.PRIMARY]


def leading(rows: Iterable[Row]) -> list[Row]:
    """Return the rows to look at first: the primary markers, and of a family without one its first marker."""
    listed = list(rows)
    chosen = {row.marker.name for row in primary(listed)}
    families = {row.marker.family for row in primary(listed)}
    for row in listed:
        if row.marker.family not in families and row.marker.tier is not Tier.QUALITY:
            families.add(row.marker.family)
            chosen.add(row.marker.name)
    return [row for row in listed if row.marker.name in chosen]


def counts(rows: Iterable[Row]) -> dict[Status, int]:
    """Return how many rows have each status, in the order of the closed list."""
    found = [row.status for row in rows]
    return {status: found.count(status) for status in Status}


def worst(rows: Iterable[Row]) -> Status:
    """Return the status that describes a family at a glance.

    ``missing`` if nothing was acquired, ``fail`` if no value could be computed or a primary one could not, ``flag`` if
    any value is flagged or empty, else ``ok``.
    """
    listed = list(rows)
    found = {row.status for row in listed}
    leading = {row.status for row in primary(listed)} or found
    if found <= {Status.MISSING}:
        return Status.MISSING
    if Status.FAIL in leading or not found & {Status.OK, Status.FLAG}:
        return Status.FAIL
    return Status.OK if found == {Status.OK} else Status.FLAG


def by_marker(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of each marker together, in the order of first appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.marker.name, []).append(row)
    return list(found.values())
