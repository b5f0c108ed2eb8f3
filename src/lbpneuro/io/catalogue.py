"""The catalogue of markers as text, TSV or JSON, derived from the registry."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lbpneuro.io.tables import marker_dictionary
from lbpneuro.markers.descriptor import Marker

CATALOGUE_COLUMNS = ("name", "unit", "index", "directions", "tier", "evidence", "doi", "family", "long_name", "version")


def catalogue(markers: Sequence[Marker], form: str) -> str:
    """Return the catalogue in ``form``: text (for reading), tsv or json (for programs)."""
    if form == "json":
        return json.dumps({marker.name: marker_dictionary(marker) for marker in markers}, indent=2) + "\n"
    rows = [_cells(marker) for marker in markers]
    if form == "tsv":
        return "\n".join("\t".join(row) for row in [list(CATALOGUE_COLUMNS), *rows]) + "\n"
    return "\n".join(_paragraph(marker) for marker in markers)


def _cells(marker: Marker) -> list[str]:
    values = {column: getattr(marker, column) for column in CATALOGUE_COLUMNS}
    return [",".join(value) if isinstance(value, tuple) else str(value) or "n/a" for value in values.values()]


def _paragraph(marker: Marker) -> str:
    repeats = f", per {' and '.join(marker.index)}" if marker.index else ""
    return (
        f"{marker.name} [{marker.unit}]{repeats}: {marker.long_name}\n"
        f"    expected in low back pain: {marker.directions} ({marker.direction_source or 'no source'})\n"
        f"    tier {marker.tier}, definition {marker.evidence}, source {marker.doi or 'n/a'}\n"
    )
