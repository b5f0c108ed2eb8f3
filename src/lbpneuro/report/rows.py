"""The rows of a marker table, each joined with its descriptor from the registry."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import InputError, Reason, Status
from lbpneuro.markers.descriptor import Direction, Level, Marker, Tier
from lbpneuro.markers.edges import LABELS
from lbpneuro.registry import MARKERS
from lbpneuro.report.words import because, number

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str, Level]

SPELLED = {
    "dlpfc": "DLPFC",
    "pag": "PAG",
    "lpag": "lateral PAG",
    "vlpag": "ventrolateral PAG",
    "vmpfc": "vmPFC",
    "mpfc": "mPFC",
    "vta": "VTA",
    "pcc": "PCC",
    "acc": "ACC",
    "sma": "SMA",
    "s1": "S1",
    "s2": "S2",
    "vpl": "VPL",
    "vpm": "VPM",
    "md": "MD",
    "pgacc": "pgACC",
    "amcc": "aMCC",
    "pre": "before",
    "ppt": "pressure pain threshold",
    "cpt": "cold pain threshold",
    "wur": "wind-up ratio",
    "nfr_threshold": "withdrawal reflex threshold",
    "pinprick_256mN": "pinprick (256 mN)",
    "tested": "at the tested site",
    "dlpfc_sem": "DLPFC (Seminowicz)",
    "mpfc_acc": "mPFC and ACC",
    "s1lumbar_fmri": "S1 (lumbar fMRI)",
    "s1trunk_hcp": "S1 trunk (HCP)",
    "s1back_mgh": "S1 back (MGH)",
    "thal_anterior": "anterior thalamus",
    "thal_md": "mediodorsal thalamus",
    "thal_vpl": "ventral posterolateral thalamus",
    "thal_intralaminar": "intralaminar thalamus",
    "thal_pulvinar": "pulvinar",
}
SHORTER = {
    "posterior cingulate and precuneus": "PCC/precuneus",
    "Ventrolateral PAG": "vlPAG",
    "Lateral PAG": "lPAG",
    "primary somatosensory cortex": "S1",
    "Ventral posterolateral thalamus": "VPL",
    "Ventral posteromedial thalamus": "VPM",
    "Mediodorsal thalamus": "MD",
    "nucleus accumbens": "accumbens",
    "sphere of a meta-analysis": "meta-analysis",
    "Functional connectivity under the other confound strategy, Fisher z": "Other strategy, z",
    "Functional connectivity, correlation": "r",
    "Partial functional connectivity, Fisher z": "Partial z",
    " functional connectivity, Fisher z": ", z",
    "Probability of a connection that is as strong after a shift in time": "Shift p",
    "Temporal signal-to-noise ratio": "tSNR",
}
SIDES = {"L": "left", "R": "right"}
NETWORKS = ("network_a", "network_b")
MANY_LEVELS = 12
"""Markers with more levels than this are shown side by side in one table, a line per level."""
ASKED_FOR = "custom_z"
"""The user's own connections are never folded away, whatever their tier."""


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
    def heading(self) -> str:
        """Name of marker and level, short enough for a column."""
        where = self.where.replace(" hemisphere", "") if self.marker.index == ("hemi",) else self.where
        return shorter(f"{self.marker.long_name}, {where}" if where else self.marker.long_name)

    @property
    def interval(self) -> str:
        """The 95 % interval as text; a dash without one."""
        if math.isnan(self.ci_low) or math.isnan(self.ci_high):
            return "–"
        return f"{number(self.ci_low, error=self.error)} to {number(self.ci_high, error=self.error)}"

    @property
    def bound(self) -> str:
        """What is known of a value beyond a limit; empty for any other row."""
        if not math.isnan(self.value) or math.isfinite(self.ci_low) == math.isfinite(self.ci_high):
            return ""
        return f"above {number(self.ci_low)}" if math.isfinite(self.ci_low) else f"below {number(self.ci_high)}"

    @property
    def acquired(self) -> bool:
        """Whether there is anything to say: a value, or another reason than that nobody measured this."""
        return self.reasons != (Reason.NOT_ACQUIRED,)

    @property
    def unit(self) -> str:
        """Unit for people: nothing for a pure number."""
        return unit_words(self.marker.unit_at(self.level))

    @property
    def why(self) -> str:
        """The reasons in words."""
        return because(self.reasons)

    @property
    def tier(self) -> Tier:
        """Tier at this level."""
        return self.marker.tier_at(self.level)

    @property
    def direction(self) -> Direction:
        """Expected direction at this level."""
        return self.marker.direction_at(self.level)


def level_words(level: Level, index: tuple[str, ...] = ("roi", "hemi")) -> str:
    """Return a level in words: sides and abbreviations as the field writes them, blocks as times, no "n/a".

    The side of a region is "left"; that of anything else, a muscle above all, is the "left hemisphere".
    """
    if index == ("edge",):
        return _edge(level[0])
    if index == NETWORKS:
        first, second = (_spaced(name) for name in level)
        return f"within {first}" if first == second else f"{first} with {second}"
    if index == ("state",):
        return f"state {level[0]}"
    side = "" if {"roi", "side"} & set(index) else " hemisphere"
    return ", ".join(f"{SIDES[part]}{side}" if part in SIDES else _word(part) for part in level if part != "n/a")


def _edge(label: str) -> str:
    """The name of a connection with its side; that of one of the user's own stays."""
    if label not in LABELS:
        return label
    edge, side = LABELS[label]
    return f"{edge.long_name}, {SIDES[side]}" if side else edge.long_name


def _spaced(name: str) -> str:
    """DefaultMode as "default mode"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _word(part: str) -> str:
    if part.startswith("post") and part[4:].isdigit():
        return f"{int(part[4:])} min after"
    region, _, side = part.rpartition("_")
    if side in SIDES and region:
        return f"{_word(region)} {SIDES[side]}"
    return SPELLED.get(part, part.replace("_", " "))


def shorter(name: str) -> str:
    """Return a name of a marker or connection that fits where there is little room."""
    for long, short in SHORTER.items():
        name = name.replace(long, short)
    return name


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
    return [row for row in rows if row.tier is Tier.PRIMARY]


def leading(rows: Iterable[Row]) -> list[Row]:
    """Return the rows to look at first: the primary markers, and of a family without one its first marker."""
    listed = list(rows)
    families = {row.marker.family for row in primary(listed)}
    chosen = set()
    for row in listed:
        if row.marker.family not in families and row.tier not in (Tier.QUALITY, Tier.COVARIATE):
            families.add(row.marker.family)
            chosen.add(row.marker.name)
    return [row for row in listed if row.tier is Tier.PRIMARY or row.marker.name in chosen]


def counts(rows: Iterable[Row]) -> dict[Status, int]:
    """Return how many rows have each status, in the order of the closed list."""
    found = [row.status for row in rows]
    return {status: found.count(status) for status in Status}


def told(rows: Iterable[Row]) -> list[Row]:
    """Return the rows that say what became of a family: not the checks of quality for which there are no data."""
    listed = list(rows)
    found = [row for row in listed if (row.tier, row.status) != (Tier.QUALITY, Status.MISSING)]
    return found or listed


def worst(rows: Iterable[Row]) -> Status:
    """Return the status that describes a family at a glance.

    ``missing`` if nothing was acquired, ``fail`` if no value could be computed or a primary one could not, ``flag`` if
    any value is flagged or empty, else ``ok``. A check of quality for which there are no data does not count.
    """
    listed = told(rows)
    found = {row.status for row in listed}
    leading = {row.status for row in primary(listed)} or found
    if found <= {Status.MISSING}:
        return Status.MISSING
    if Status.FAIL in leading or not found & {Status.OK, Status.FLAG}:
        return Status.FAIL
    return Status.OK if found == {Status.OK} else Status.FLAG


def by_marker(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of each marker together, in the order of first appearance."""
    return list(_by_name(rows).values())


def absent(rows: Iterable[Row]) -> bool:
    """Return whether nothing was acquired: every row, if there is any, is ``missing``."""
    return all(row.status is Status.MISSING for row in rows)


def not_acquired(rows: Iterable[Row]) -> bool:
    """Return whether there are rows, and all of them are empty since nobody measured this."""
    listed = list(rows)
    return bool(listed) and not any(row.acquired for row in listed)


def acquired_columns(rows: Iterable[Row]) -> list[str]:
    """Return the columns (marker and level) that some session has, in order."""
    return list(dict.fromkeys(row.column for row in rows if row.acquired))


def split_acquired(rows: Iterable[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows of the markers that some session has at some level, and the other markers in words."""
    listed = list(rows)
    known = {row.marker.name for row in listed if row.acquired}
    never = dict.fromkeys(row.marker.long_name for row in listed if row.marker.name not in known)
    return [row for row in listed if row.marker.name in known], list(never)


def measured(rows: Iterable[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows of a marker without the levels that no session has, and these levels in words.

    A marker of which no session has any level keeps all its rows.
    """
    listed = list(rows)
    levels: dict[Level, list[Row]] = {}
    for row in listed:
        levels.setdefault(row.level, []).append(row)
    never = [level for level, own in levels.items() if not_acquired(own)]
    if len(never) == len(levels):
        return listed, []
    return [row for row in listed if row.level not in never], [levels[level][0].where for level in never]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """Markers with the same many levels side by side: a line per level and session, a column per marker.

    A marker without the level of a line has None there.
    """

    markers: tuple[Marker, ...]
    lines: tuple[tuple[Row | None, ...], ...]

    @property
    def rows(self) -> list[Row]:
        """All rows, line by line."""
        return [row for line in self.lines for row in line if row is not None]

    @property
    def title(self) -> str:
        """What the table is of."""
        index = self.markers[0].index
        return {
            ("edge",): "Other measures of each connection",
            NETWORKS: "Networks",
            ("roi",): "Regions",
            ("roi", "hemi"): "Regions",
        }.get(index, "Per " + " and ".join(index))

    @property
    def intervals(self) -> bool:
        """Whether any value has an interval."""
        return any(math.isfinite(row.ci_low) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the rows of a family are shown: in the open, folded away, and as tables with a column per marker."""

    shown: tuple[Row, ...]
    folded: tuple[Row, ...]
    crossed: tuple[Crossed, ...]


def layout(rows: Iterable[Row]) -> Layout:
    """Return where each row is shown.

    Primary and secondary markers and covariates (without any of them all markers) come first, exploratory ones are
    folded away, and markers with more than ``MANY_LEVELS`` levels stand side by side with those of the same levels; the
    levels that lead such a marker are shown in the open too. A family of nothing but such markers has its tables only.
    """
    listed = list(rows)
    many = [name for name, own in _by_name(listed).items() if len({row.level for row in own}) > MANY_LEVELS]
    few = [row for row in listed if row.marker.name not in many or row.marker.name == ASKED_FOR or _leads(row)]
    tiers = {row.tier for row in few}
    first = tiers & {Tier.PRIMARY, Tier.SECONDARY, Tier.COVARIATE} or tiers
    shown = tuple(row for row in few if row.tier in first or row.marker.name == ASKED_FOR)
    folded = tuple(row for row in few if row not in shown)
    crossed = [row for row in listed if row.marker.name in many and row.marker.name != ASKED_FOR]
    return Layout(shown=shown, folded=folded, crossed=tuple(map(_crossed, _tables(crossed))))


def _tables(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of markers that stand side by side: of the same index, where one has the levels of the other."""
    tables: list[tuple[tuple[str, ...], set[Level], list[Row]]] = []
    for own in _by_name(rows).values():
        index, levels = own[0].marker.index, {row.level for row in own}
        for kind, known, members in tables:
            if kind == index and (levels <= known or known <= levels):
                known |= levels
                members += own
                break
        else:
            tables.append((index, levels, own))
    return [members for _, _, members in tables]


def _leads(row: Row) -> bool:
    """Whether this level of a marker goes before its others."""
    return row.tier is Tier.PRIMARY and row.marker.tier is not Tier.PRIMARY


def _by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.marker.name, []).append(row)
    return found


def _crossed(rows: Iterable[Row]) -> Crossed:
    listed = list(rows)
    markers = {row.marker.name: row.marker for row in listed}
    lines: dict[tuple[Level, str], dict[str, Row]] = {}
    for row in listed:
        lines.setdefault((row.level, row.session), {})[row.marker.name] = row
    return Crossed(
        markers=tuple(markers.values()),
        lines=tuple(tuple(line.get(name) for name in markers) for line in lines.values()),
    )
