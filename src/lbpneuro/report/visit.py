"""One session of one participant: rows, what the steps recorded, and the files they left to be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbpneuro.errors import LbpneuroError, Reason
from lbpneuro.io.files import read_json
from lbpneuro.io.index import entities
from lbpneuro.io.provenance import dataset_roots
from lbpneuro.io.tables import read_long
from lbpneuro.registry import FAMILIES
from lbpneuro.report.rows import Row, in_order, not_acquired, rows_of
from lbpneuro.report.words import because

NO_SESSION = "n/a"


class AbsentError(LbpneuroError):
    """A figure cannot be drawn because its data are not there; the message says why, for the reader of the page."""

    reason = Reason.NOT_ACQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What the page of a participant shows of one session (``n/a`` in a study without sessions).

    ``all_rows`` are those of all sessions of the participant, for what is drawn over time.
    """

    participant: str
    session: str
    rows: tuple[Row, ...]
    sidecars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    all_rows: tuple[Row, ...] = ()

    def family(self, name: str) -> list[Row]:
        """Return the rows of a family."""
        return [row for row in self.rows if row.marker.family == name]

    def row(self, marker: str, *level: str) -> Row | None:
        """Return the row of one marker at one level, if the table has it."""
        return next((row for row in self.rows if row.marker.name == marker and row.level == level), None)

    def course(self, marker: str, *level: str) -> list[Row]:
        """Return the rows of one marker at one level of all sessions up to this one, in their order."""
        own = [row for row in self.all_rows if row.marker.name == marker and row.level == level]
        return [row for row in own if row.session <= self.session]

    def all(self, family: str, **wanted: str | None) -> list[Path]:
        """Return the existing files of a family whose names have all the entities ``wanted``, at least one.

        Raises
        ------
        AbsentError
            If there is none; the message repeats why the family has no values.
        """
        found = [path for path in self.files.get(family, ()) if _named(path, wanted) and path.exists()]
        if not found:
            raise AbsentError(self.absence(family))
        return found

    def file(self, family: str, **wanted: str | None) -> Path:
        """Return the first of `all` such files; AbsentError if there is none."""
        return self.all(family, **wanted)[0]

    def absence(self, family: str) -> str:
        """Return why a figure of this family is not drawn, in words."""
        reasons = {row.reasons for row in self.family(family) if math.isnan(row.value)}
        if len(reasons) == 1:
            return because(*reasons)
        return "the step left no data to draw"


def _named(path: Path, wanted: Mapping[str, str | None]) -> bool:
    found = entities(path)
    return all(found.get(key) == value for key, value in wanted.items())


def read_visits(files: Iterable[Path], *, participant: str, out_dir: Path, config: Mapping[str, Any]) -> list[Visit]:
    """Return the sessions of ``participant`` found in marker tables, in order.

    ``files`` are marker tables (``*_markers.tsv``), of whole sessions or of families, in any order; other files are
    ignored. The sidecars of the families are looked for beside them, and name the files that can be drawn under
    ``Outputs`` and ``Sources``, relative to ``out_dir`` or as BIDS URIs.

    Raises
    ------
    InputError
        If a table is no marker table or names an unknown marker.
    """
    given = list(files)
    tables = [path for path in given if path.name.endswith("_markers.tsv")]
    rows = in_order(row for path in tables for row in rows_of(read_long(path), origin=path))
    sidecars, roots = (
        _sidecars([*tables, *(path for path in given if path.name.endswith("_markers.json"))]),
        {**dataset_roots(config), "": out_dir},
    )
    own = tuple(row for row in rows if row.participant == participant)
    sessions = dict.fromkeys(row.session for row in own)
    return [
        Visit(
            participant=participant,
            session=session,
            rows=tuple(row for row in own if row.session == session),
            all_rows=own,
            sidecars=sidecars.get(session, {}),
            files={name: _named_files(sidecar, roots) for name, sidecar in sidecars.get(session, {}).items()},
            config=config,
        )
        for session in sessions
    ]


def _sidecars(files: Sequence[Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the sidecars of the family rows of the given tables: {session: {family: content}}."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in dict.fromkeys(sidecar for table in files for sidecar in _beside(table)):
        name = entities(path)
        if name.get("desc") in FAMILIES:
            session = f"ses-{name['ses']}" if "ses" in name else NO_SESSION
            found.setdefault(session, {})[name["desc"]] = read_json(path)
    return found


def _beside(table: Path) -> list[Path]:
    """Return the sidecar of a family's rows, or the sidecars of all families whose rows a session's table joins."""
    stem = table.name.partition("_markers.")[0]
    if "_desc-" in stem:
        return [path for path in (table.with_suffix(".json"),) if path.exists()]
    return sorted(table.parent.glob(f"*/{stem}_desc-*_markers.json"))


def _named_files(sidecar: Mapping[str, Any], roots: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return the outputs and then the inputs that a sidecar names, as BIDS URIs or relative to the output folder."""
    names = [*sidecar.get("Outputs", []), *sidecar.get("Sources", [])]
    parts = [name.split(":", 2) if name.startswith("bids:") else ["bids", "", name] for name in names]
    return tuple(roots[dataset] / path for _, dataset, path in parts if dataset in roots)


def lacks(visits: Sequence[Visit], family: str) -> bool:
    """Return whether there are rows of a family, and no session of the participant has been measured."""
    return not_acquired(row for visit in visits for row in visit.family(family))


def never_acquired(visits: Sequence[Visit]) -> list[str]:
    """Return the families that a participant lacks; none if there is no other."""
    never = [name for name in FAMILIES if lacks(visits, name)]
    return never if len(never) < len(FAMILIES) else []


def over_sessions(visits: Sequence[Visit], family: str) -> list[Row]:
    """Return the rows of a family of all sessions, the sessions of one level next to each other."""
    rows = [row for visit in visits for row in visit.family(family)]
    place = {row.column: position for position, row in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda row: place[row.column])
