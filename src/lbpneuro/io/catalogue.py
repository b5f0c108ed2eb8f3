"""The catalogue of markers as text, TSV or JSON, derived from the registry."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lbpneuro.io.tables import marker_dictionary
from lbpneuro.markers.descriptor import Marker
from lbpneuro.registry import FAMILIES

CATALOGUE_COLUMNS = ("name", "unit", "index", "directions", "tier", "evidence", "doi", "family", "long_name", "version")


MOST_EXCEPTIONS = 4


def catalogue(markers: Sequence[Marker], form: str, *, full: bool = True) -> str:
    """Return the catalogue in ``form``: text (for reading), tsv or json (for programs).

    Text is grouped by family, with a paragraph per marker if it is ``full``, else a line.
    """
    if form == "json":
        return json.dumps({marker.name: marker_dictionary(marker) for marker in markers}, indent=2) + "\n"
    if form == "tsv":
        rows = [_cells(marker) for marker in markers]
        return "\n".join("\t".join(row) for row in [list(CATALOGUE_COLUMNS), *rows]) + "\n"
    present = {family: [marker for marker in markers if marker.family == family] for family in FAMILIES}
    parts = [_part(family, own, full=full) for family, own in present.items() if own]
    return "\n".join(parts) + ("" if full else f"\n{MORE}\n")


MORE = "Expected: in low back pain. Sources, definitions and evidence: lbpneuro markers --family FAMILY"


def _part(family: str, markers: Sequence[Marker], *, full: bool) -> str:
    head = f"{FAMILIES[family]} ({family})\n"
    return head + ("\n" + "\n".join(map(_paragraph, markers)) if full else "".join(map(_line, markers)))


def _line(marker: Marker) -> str:
    """A marker on one line: name, tier, expected direction, what it is."""
    repeats = f" per {', '.join(marker.index)}" if marker.index else ""
    unit = "" if marker.unit == "1" else f" [{marker.units}]"
    return f"  {marker.name:20} {marker.tier:11} {marker.direction:9}  {marker.long_name}{unit}{repeats}\n"


def expected(marker: Marker) -> str:
    """Return the expected direction in words; where it differs at many levels, only at how many."""
    if len(marker.direction_by_level) <= MOST_EXCEPTIONS:
        return marker.directions
    return f"{marker.direction}, another direction at {len(marker.direction_by_level)} levels"


def _cells(marker: Marker) -> list[str]:
    values = {column: getattr(marker, column) for column in CATALOGUE_COLUMNS}
    return [",".join(value) if isinstance(value, tuple) else str(value) or "n/a" for value in values.values()]


def _paragraph(marker: Marker) -> str:
    repeats = f", per {' and '.join(marker.index)}" if marker.index else ""
    return (
        f"{marker.name} [{marker.units}]{repeats}: {marker.long_name}\n"
        f"    expected in low back pain: {expected(marker)} ({marker.direction_source or 'no source'})\n"
        f"    tier {marker.tier}, definition {marker.evidence}, source {marker.doi or 'n/a'}\n"
    )
