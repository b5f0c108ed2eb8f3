"""What the group page is built from: the rows of everyone, who belongs to which group, and who has no value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.io.files import read_tsv
from lbpneuro.io.tables import LONG_NAME, read_long
from lbpneuro.markers.descriptor import Tier
from lbpneuro.registry import FAMILIES, MARKERS
from lbpneuro.report.marks import Strip
from lbpneuro.report.rows import Row, in_order, layout, leading, not_acquired, rows_of, told, worst

Session = tuple[str, str]

EVERYONE = "all"
NO_GROUP = "no group"
MOST_CELLS = 25_000
"""A table with more cells than this shows fewer tiers, and at last the primary markers of as many people as fit."""
ORDER = (Tier.PRIMARY, Tier.SECONDARY, Tier.EXPLORATORY, Tier.COVARIATE, Tier.QUALITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Rows of everyone, in order, and the group of every participant."""

    rows: Sequence[Row]
    groups: Mapping[str, str]

    @property
    def sessions(self) -> list[Session]:
        """Participants and their sessions, in order; people without any row have the session ``n/a``."""
        found = list(dict.fromkeys((row.participant, row.session) for row in self.rows))
        seen = {participant for participant, _ in found}
        return sorted(found + [(who, "n/a") for who in self.groups if who not in seen])

    @property
    def columns(self) -> dict[str, Row]:
        """The first row of every marker level that anybody acquired, by column of the wide table, in registry order."""
        every: dict[str, list[Row]] = {}
        for row in self.rows:
            every.setdefault(row.column, []).append(row)
        place = {marker.name: position for position, marker in enumerate(MARKERS)}
        acquired = [rows[0] for rows in every.values() if not not_acquired(rows)]
        return {row.column: row for row in sorted(acquired, key=lambda row: place[row.marker.name])}

    def group(self, participant: str) -> str:
        """Return the group of a participant."""
        return self.groups.get(participant, NO_GROUP)


def read_cohort(files: Iterable[Path], *, group_column: str) -> Cohort:
    """Return the cohort from its long marker table and, if it is given or beside it, participants.tsv.

    Raises
    ------
    InputError
        If no marker table is among the files.
    """
    given = list(files)
    table = next((path for path in given if path.name == f"{LONG_NAME}.tsv"), None)
    if table is None:
        raise InputError(f"expected {LONG_NAME}.tsv among the files, got {', '.join(p.name for p in given) or 'none'}.")
    people = next((path for path in given if path.name == "participants.tsv"), table.with_name("participants.tsv"))
    rows = in_order(rows_of(read_long(table), origin=table))
    return Cohort(rows=rows, groups=_groups(people, rows, column=group_column))


def _groups(path: Path, rows: Sequence[Row], *, column: str) -> dict[str, str]:
    everyone = dict.fromkeys((row.participant for row in rows), EVERYONE)
    if not path.exists():
        return everyone
    table = read_tsv(path, dtype=str)
    if not {"participant_id", column} <= set(table):
        return everyone
    listed = dict(zip(table["participant_id"], table[column].fillna(NO_GROUP), strict=True))
    return {**dict.fromkeys(everyone, NO_GROUP), **listed}


def head_counts(cohort: Cohort) -> list[dict[str, object]]:
    """Return per group the number of participants and of sessions, and with a value in each family."""
    table = []
    by_group: dict[str, list[Session]] = {}
    for session in cohort.sessions:
        by_group.setdefault(cohort.group(session[0]), []).append(session)
    valued = {(r.participant, r.session, r.marker.family) for r in cohort.rows if r.value == r.value}
    for name in sorted(by_group, key=str.casefold):
        sessions = by_group[name]
        families = {family: sum((*session, family) in valued for session in sessions) for family in FAMILIES}
        people = len({participant for participant, _ in sessions})
        table.append({"group": name, "participants": people, "sessions": len(sessions), "families": families})
    return table


def drawn_columns(cohort: Cohort) -> dict[str, Row]:
    """Return the columns whose distribution is drawn: primary and secondary markers, and what leads a family.

    Markers with many levels (networks) are left to the table.
    """
    columns = list(cohort.columns.values())
    shown = {row.column for each in by_family(columns) for row in layout(each).shown if row.tier in ORDER[:2]}
    shown |= {row.column for row in leading(columns)}
    return {row.column: row for row in columns if row.column in shown}


def by_family(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of each family together, in the order of first appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.marker.family, []).append(row)
    return list(found.values())


def distributions(cohort: Cohort) -> dict[str, list[Strip]]:
    """Return the rows of each group, and of each session where there are several, by column of `drawn_columns`."""
    several = len({row.session for row in cohort.rows}) > 1
    names = sorted({cohort.group(row.participant) for row in cohort.rows}, key=str.casefold)
    found: dict[str, dict[tuple[int, str], list[Row]]] = {column: {} for column in drawn_columns(cohort)}
    for row in cohort.rows:
        if row.column not in found:
            continue
        place = names.index(cohort.group(row.participant))
        found[row.column].setdefault((place, row.session), []).append(row)
    return {
        column: [
            Strip(names[place] + (f", {session}" if several else ""), rows, series=place)
            for (place, session), rows in sorted(strips.items())
        ]
        for column, strips in found.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The table of all people and markers as the page shows it, and what had to be left out."""

    columns: Sequence[Row]
    lines: Sequence[tuple[Session, Sequence[Row | None]]]
    left_out: str = ""


def grid(cohort: Cohort, *, most: int = MOST_CELLS) -> Grid:
    """Return the table: one line per participant and session, one column per marker level, in a family by tier.

    A family that nobody has is left out, unless nobody has any. Where it has more than ``most`` cells, exploratory and
    quality columns go first, then secondary ones, then people.
    """
    known = {row.marker.family for row in cohort.rows if row.status is not Status.MISSING}
    columns = in_tiers(row for row in cohort.columns.values() if not known or row.marker.family in known)
    sessions, left_out = cohort.sessions, ""
    too_large = len(columns) * len(sessions) > most
    for kept in (3, 2, 1):
        if len(columns) * len(sessions) > most:
            columns = [row for row in columns if row.tier in ORDER[:kept]]
    if too_large:
        sessions = sessions[: max(1, most // max(1, len(columns)))]
        tiers = ", ".join(dict.fromkeys(row.tier.value for row in columns))
        left_out = (
            f"The study is too large for one page: only the {tiers} markers of the first {len(sessions)} sessions are "
            "shown. Everything is in markers.tsv."
        )
    cells = {(row.participant, row.session, row.column): row for row in cohort.rows}
    lines = [(who, [cells.get((*who, head.column)) for head in columns]) for who in sessions]
    return Grid(columns=columns, lines=lines, left_out=left_out)


def in_tiers(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by family, in each the primary ones first and those of quality last."""
    return [row for each in by_family(rows) for row in sorted(each, key=lambda row: ORDER.index(row.tier))]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyState:
    """What became of one family of one participant and session."""

    status: Status
    reasons: tuple[Reason, ...]


def family_states(cohort: Cohort) -> dict[Session, dict[str, FamilyState]]:
    """Return for every participant and session what became of each family."""
    by_place: dict[tuple[str, str, str], list[Row]] = {}
    for row in cohort.rows:
        by_place.setdefault((row.participant, row.session, row.marker.family), []).append(row)
    return {
        session: {family: _state(by_place.get((*session, family), [])) for family in FAMILIES}
        for session in cohort.sessions
    }


def acquired_families(states: Mapping[Session, Mapping[str, FamilyState]]) -> list[str]:
    """Return the families that anybody has, all if nobody has any."""
    found = {family for line in states.values() for family, each in line.items() if each.status is not Status.MISSING}
    return [family for family in FAMILIES if family in found] or list(FAMILIES)


def _state(rows: Sequence[Row]) -> FamilyState:
    if not rows:
        return FamilyState(status=Status.MISSING, reasons=(Reason.NOT_ACQUIRED,))
    named = {reason for row in told(rows) for reason in row.reasons}
    return FamilyState(status=worst(rows), reasons=tuple(reason for reason in Reason if reason in named))


def reason_counts(states: Mapping[Session, Mapping[str, FamilyState]]) -> list[tuple[str, Status, Reason, int]]:
    """Return how many sessions have each status and reason in each family, the most frequent first."""
    found = Counter(
        (family, state.status, reason)
        for families in states.values()
        for family, state in families.items()
        for reason in state.reasons
    )
    places = list(FAMILIES)
    ordered = sorted(found.items(), key=lambda item: (places.index(item[0][0]), -item[1], item[0][2]))
    return [(*key, count) for key, count in ordered]
