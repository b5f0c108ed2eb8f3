"""NIBS-BIDS, the draft of BIDS extension 37: what was stimulated, how and where, as columns of the pulses.

The draft (github.com/nigelrogasch/nibs-bids) is no part of BIDS yet and has renamed its columns more than once. Each
version that is read stands in ``DRAFTS``; which of them a dataset was understood as goes into the sidecar of the trial
table. To follow the draft a version is added there, and nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.positions import numbers, sides, with_millimetres
from lbpneuro.io.sidecars import read_metadata, sidecars

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The column names of one version of the draft.

    ``places`` are the coordinates of a position in order of preference: the stimulated point, the coil, the entry.
    ``count``, ``interval`` and ``intensity`` describe the pulses of one stimulus; ``rmt`` and ``amt`` hold thresholds
    where they are columns, and ``per_template`` says that the template, not the event, names the position.
    """

    version: str
    event: str
    position: str
    places: tuple[str, ...]
    count: str = "pattern1_count"
    interval: str = "pattern1_interval"
    intensity: str = "stimulus_intensity"
    rmt: str | None = None
    amt: str | None = None
    per_template: bool = False


AXES: Mapping[str, tuple[str, ...]] = {
    "normal": ("position_normal_{}", "normal_{}"),
    "direction": ("position_direction_{}", "direction_{}"),
}
"""What the axes of the coil are called, in the current draft and before: its normal, and where it points."""
AXIS_COLUMNS = tuple(f"{name}_{axis}" for name in AXES for axis in "xyz")
POSE = "position_coil_transform"
POSE_COLUMNS = {"position_coil": 3, "position_normal": 2, "position_direction": 1}
"""Columns of the 4 x 4 pose of the coil: its place, its normal and where it points, as SimNIBS has them."""
PLACES = ("position_{}", "position_coil_{}", "position_entry_{}", "{}")
DRAFTS = (
    Draft(version="6.3", event="nibs_event_id", position="nibs_position_id", places=PLACES),
    Draft(version="6.3, before the prefix nibs_", event="event_id", position="position_id", places=PLACES),
    Draft(
        version="6.2",
        event="event_id",
        position="target_id",
        places=("target_{}", "coil_{}", "entry_{}"),
        count="pulses_in_event",
        interval="pulse_repetition_interval",
        intensity="pulse_intensity_mso",
        rmt="rmt_intensity_mso",
        amt="amt_intensity_mso",
        per_template=True,
    ),
)
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3}
PERCENT_OF_OUTPUT = re.compile(r"%|percent|mso|maximum stimulator output", re.IGNORECASE)
NO_PULSES = ("train", "other")
TEMPLATE_COLUMNS = ("stim_type", "isi_ms", "intensity_mso", "conditioning_mso", "rmt_mso", "amt_mso")
POSITION_COLUMNS = ("site_id", "x_mm", "y_mm", "z_mm", "hemisphere", *AXIS_COLUMNS)
NO_NUMBER = re.compile(r"[\s,;|\[\]]+")
ELECTRODE = re.compile(r"^[A-Za-z]+(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulation:
    """What the ``nibs/`` folder says of a run.

    ``templates`` has a row per stimulus, indexed by its identifier; ``positions`` one per place of the coil; ``frame``
    names the coordinate system, and ``notes`` say what was accepted although the draft asks for something else.
    """

    draft: Draft | None = None
    templates: pd.DataFrame | None = None
    positions: pd.DataFrame | None = None
    frame: str | None = None
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar of a trial table keeps of it."""
        said = {"NIBSDraft": self.draft.version if self.draft else None, "CoordinateFrame": self.frame}
        return {key: value for key, value in said.items() if value} | (
            {"NIBSNotes": [*self.notes]} if self.notes else {}
        )


def read_stimulation(files: Sequence[Path], *, events: Path) -> Stimulation:
    """Return stimuli and positions of the run whose files are ``files``, in whatever version of the draft they are.

    Raises
    ------
    InputError
        If identifiers are absent or listed twice, or a number is none.
    UnitError
        If coordinates or an interval have no unit.
    """
    tables = {suffix: nearest(files, suffix) for suffix in ("nibs", "markers")}
    read = {suffix: read_tsv(path, dtype=str) for suffix, path in tables.items() if path}
    draft = understood([read_tsv(events, dtype=str, nrows=0), *read.values()])
    notes: list[str] = []
    if draft is not None and draft is not DRAFTS[0]:
        notes.append(f"NIBS columns are those of draft {draft.version}; draft {DRAFTS[0].version} is current.")
    templates = positions = frame = None
    if draft and tables["nibs"] and draft.event in read["nibs"]:
        templates = _templates(read["nibs"], draft, path=tables["nibs"])
    if tables["markers"]:
        positions, more = _positions(read["markers"], draft or DRAFTS[0], path=tables["markers"])
        frame = coordinate_frame(tables["markers"])
        notes += more
    return Stimulation(draft=draft, templates=templates, positions=positions, frame=frame, notes=tuple(notes))


def nearest(files: Sequence[Path], suffix: str) -> Path | None:
    """Return the table of a suffix that belongs most closely to a run: the deepest folder, then the most entities."""
    found = [path for path in files if path.suffix == ".tsv" and entities(path).get("suffix") == suffix]
    return max(found, key=lambda path: (len(path.parts), len(entities(path)), path.name), default=None)


def understood(tables: Iterable[pd.DataFrame]) -> Draft | None:
    """Return the version of the draft whose identifiers the tables have; None if they have none of any version."""
    columns = {str(name) for table in tables for name in table.columns}
    ours = [draft for draft in DRAFTS if draft.position in columns]
    return next((draft for draft in (*ours, *DRAFTS) if {draft.event, draft.position} & columns), None)


# ---------------------------------------------------------------------------------------------------------- stimuli


def _templates(table: pd.DataFrame, draft: Draft, *, path: Path) -> pd.DataFrame:
    """Return the stimuli by identifier; what is no TMS is of the kind ``other``."""
    import pandas as pd

    _check_unique(table[draft.event], path)
    metadata = read_metadata(path)
    count = numbers(table[draft.count], path).fillna(1) if draft.count in table else pd.Series(1.0, table.index)
    outer = numbers(table["pattern2_count"], path).fillna(1) if "pattern2_count" in table else 1.0
    kind = np.where(count * outer == 1, "single", np.where(count * outer == 2, "paired", "train"))
    if "nibs_type" in table:
        kind = np.where(table["nibs_type"].fillna("TMS").str.upper() == "TMS", kind, "other")
    columns = {
        "stim_type": kind,
        "isi_ms": _interval_ms(table, draft, metadata, path=path).where(kind == "paired"),
        "intensity_mso": _intensity(table, draft, metadata, path=path, pulse=-1),
        "conditioning_mso": _intensity(table, draft, metadata, path=path, pulse=0).where(kind == "paired"),
        "rmt_mso": _threshold(table, "rMT", draft.rmt, metadata, path=path),
        "amt_mso": _threshold(table, "aMT", draft.amt, metadata, path=path),
    }
    if draft.per_template and draft.position in table:
        columns["site_id"] = table[draft.position]
    return pd.DataFrame(columns, index=table.index).set_index(table[draft.event].rename("nibs_event_id"))


def _check_unique(identifiers: pd.Series, path: Path) -> None:
    twice = identifiers[identifiers.duplicated()]
    if len(twice) or identifiers.isna().any():
        what = f"{twice.iloc[0]} is listed more than once" if len(twice) else "a row has no identifier"
        raise InputError(f"{path}: {what} in the column {identifiers.name}; name each row once.")


def _described(metadata: Mapping[str, Any], column: str, key: str) -> Any:
    entry = metadata.get(column)
    return entry.get(key) if isinstance(entry, Mapping) else None


def _interval_ms(table: pd.DataFrame, draft: Draft, metadata: Mapping[str, Any], *, path: Path) -> pd.Series:
    """The interval between the pulses of one stimulus; its unit is that of the sidecar, and never guessed."""
    import pandas as pd

    if draft.interval in table and table[draft.interval].notna().any():
        unit = _described(metadata, draft.interval, "Units")
        if unit not in SECONDS:
            given = "no unit" if unit is None else f"the unit {unit!r}"
            raise UnitError(
                f"{path}: {draft.interval} has {given}; state s or ms as `Units` of this column in the JSON file."
            )
        return numbers(table[draft.interval], path) * SECONDS[unit] * 1e3
    if "pattern1_frequency" in table:
        return 1e3 / numbers(table["pattern1_frequency"], path)
    return pd.Series(np.nan, table.index)


def _intensity(table: pd.DataFrame, draft: Draft, metadata: Mapping[str, Any], *, path: Path, pulse: int) -> pd.Series:
    """The output (% of the maximum) of the first (0) or last (-1) pulse; of a pair the last is the test."""
    import pandas as pd

    stated = table.get(draft.intensity, pd.Series(np.nan, table.index, dtype=object))
    each = table.get("pattern1_intensity", pd.Series(np.nan, table.index, dtype=object))
    chosen = stated.where(stated.notna(), each).astype(object).map(partial(_of_pulse, pulse), na_action="ignore")
    values = numbers(chosen.rename(draft.intensity), path)
    unit = _described(metadata, draft.intensity, "Units")
    in_percent = unit is None or bool(PERCENT_OF_OUTPUT.search(str(unit)))
    if not in_percent:
        return pd.Series(np.nan, table.index)
    scaled = _scaled(table, metadata, pulse=pulse)
    return values.where(values.notna(), scaled)


def _of_pulse(pulse: int, text: str) -> str:
    """The entry of one pulse in a list of them."""
    return str(text).split("|")[pulse].strip()


def _scaled(table: pd.DataFrame, metadata: Mapping[str, Any], *, pulse: int) -> pd.Series:
    """The output where only its reference and the multiple of it are given."""
    import pandas as pd

    if not {"intensity_reference", "intensity_scaling"} <= set(table.columns):
        return pd.Series(np.nan, table.index, dtype=float)
    values = {name: _reference(metadata, name) for name in ("rMT", "aMT", "1mV")}
    reference = (
        table["intensity_reference"].map(partial(_of_pulse, pulse), na_action="ignore").map(values).astype(float)
    )
    factor = table["intensity_scaling"].map(partial(_of_pulse, pulse), na_action="ignore")
    return reference * pd.to_numeric(factor, errors="coerce")


def _reference(metadata: Mapping[str, Any], name: str) -> float | None:
    """The measured value (% of the maximum output) of an entry of IntensitySet."""
    for entry in metadata.get("IntensitySet", []):
        in_percent = PERCENT_OF_OUTPUT.search(str(entry.get("Units", "%")))
        if entry.get("IntensityID") == name and in_percent and isinstance(entry.get("Value"), int | float):
            return float(entry["Value"])
    return None


def _threshold(
    table: pd.DataFrame, name: str, column: str | None, metadata: Mapping[str, Any], *, path: Path
) -> pd.Series:
    import pandas as pd

    if column is not None and column in table:
        return numbers(table[column], path)
    return pd.Series(_reference(metadata, name), table.index, dtype=float)


# -------------------------------------------------------------------------------------------------------- positions


def _positions(table: pd.DataFrame, draft: Draft, *, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the positions in mm, and what there is to say about their columns."""
    if draft.position not in table:
        known = ", ".join(each.position for each in DRAFTS)
        raise InputError(
            f"{path}: the column {draft.position} is absent (names of other versions: {known}); it is what the events "
            f"refer to. The table has {', '.join(map(str, table.columns))}."
        )
    _check_unique(table[draft.position], path)
    table, notes = _with_pose(table, path)
    place = next((each for each in draft.places if {each.format(axis) for axis in "xy"} <= set(table.columns)), None)
    if place is None and not {"x_mm", "x_cm", "grid_x_cm", "grid_x_mm"} & set(table.columns):
        _check_labelled(table, draft, path)
    elif place is not None:
        table = table.drop(columns=[axis for axis in "xyz" if axis in table and place != "{}"])
        table = table.rename(columns={place.format(axis): axis for axis in "xyz"})
        if place != draft.places[0]:
            notes.append(f"Positions are those of the columns {place.format('x')}, {place.format('y')} of {path.name}.")
    table = _with_axes(table, path)
    unit = position_unit(path)
    table = with_millimetres(table, dict.fromkeys("xyz", unit), path=path).rename(columns={draft.position: "site_id"})
    table = table.reindex(columns=[*POSITION_COLUMNS, "position_label"])
    labelled = table["position_label"].map(_side_of_electrode, na_action="ignore")
    hemisphere = table["hemisphere"].astype(object)
    return table.assign(hemisphere=hemisphere.where(hemisphere.notna(), labelled))[list(POSITION_COLUMNS)], notes


def _with_pose(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table with place and axes of the coil from its pose, where it has no columns for them; and a note of it.

    The draft does not say which axis of the coil is which. Were they others, tilted and turned pulses would be called
    the other way round; a rotation moves at least two of three axes, so that the same pulses are found.
    """
    if POSE not in table or table[POSE].isna().all():
        return table, []
    poses = np.full((len(table), 4, 4), np.nan)
    for place, text in enumerate(table[POSE]):
        if isinstance(text, str):
            poses[place] = _pose(text, f"{path}: row {place + 2}, column {POSE}")
    found = {
        f"{name}_{axis}": poses[:, row, column]
        for name, column in POSE_COLUMNS.items()
        if not {f"{name}_{axis}" for axis in "xyz"} & set(table.columns)
        for row, axis in enumerate("xyz")
    }
    read = [name for name in POSE_COLUMNS if f"{name}_x" in found]
    notes = [f"{', '.join(read)}: read from {POSE}, its axes taken to be those of SimNIBS."] if read else []
    return table.assign(**found), notes


def _pose(text: str, where: str) -> np.ndarray:
    """A 4 x 4 matrix, row by row: numbers between commas, bars or spaces, with or without brackets."""
    try:
        pose = np.array([float(each) for each in NO_NUMBER.split(text) if each])
    except ValueError:
        pose = np.empty(0)
    if pose.size != 16 or not np.isfinite(pose).all():
        raise InputError(f"{where}: expected the 16 numbers of a 4 x 4 matrix, row by row, found {text!r}.")
    pose = pose.reshape(4, 4)
    if not np.allclose(pose[3], (0, 0, 0, 1)):
        how = "transpose it" if np.allclose(pose[:, 3], (0, 0, 0, 1)) else "write it as rotation and place"
        raise InputError(f"{where}: the last row of a pose is 0 0 0 1, found {pose[3].tolist()}; {how}.")
    return pose


def _with_axes(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with the axes of the coil, where it has all three components of one."""
    for name, forms in AXES.items():
        form = next((form for form in forms if {form.format(axis) for axis in "xyz"} <= set(table.columns)), None)
        if form is None:
            table = table.drop(columns=[f"{name}_{axis}" for axis in "xyz"], errors="ignore")
        else:
            table = table.assign(**{f"{name}_{axis}": numbers(table[form.format(axis)], path) for axis in "xyz"})
    return table


def _check_labelled(table: pd.DataFrame, draft: Draft, path: Path) -> None:
    if not {"position_label", "position_description", "target_label", "hemisphere"} & set(table.columns):
        raise InputError(
            f"{path}: no position has coordinates; expected {draft.places[0].format('x')} and "
            f"{draft.places[0].format('y')} (or position_label). The table has {', '.join(map(str, table.columns))}."
        )


def _side_of_electrode(label: str) -> str | None:
    """The hemisphere of a place of the 10-20 system: odd numbers are left, even ones right."""
    found = ELECTRODE.match(str(label).strip())
    return None if found is None else ("L" if int(found[1]) % 2 else "R")


def read_coordinate_system(path: Path) -> dict[str, Any]:
    """Return the content of the coordinate system file that belongs to a table of positions; empty if there is none.

    Raises
    ------
    InputError
        If several coordinate systems lie there and none is named like the table.
    """
    found = list(sidecars(path, suffix="coordsystem"))
    if not found:
        found = sorted(path.parent.glob("*_space-*_coordsystem.json"))
        if len(found) > 1:
            raise InputError(
                f"{path}: {len(found)} coordinate systems lie beside it ({', '.join(each.name for each in found)}); "
                f"name the one of the positions {path.name.replace('_markers.tsv', '_coordsystem.json')}."
            )
    return read_json(found[0]) if found else {}


def position_unit(path: Path) -> Any:
    """Return the unit of the positions of a table, as its coordinate system or its own sidecar states it."""
    content = read_coordinate_system(path)
    own = [value for key, value in content.items() if key in ("NIBSCoordinateUnits", "NIBSCoordinateSystemUnits")]
    others = [
        value for key, value in content.items() if re.fullmatch(r"(TMS|Stimulation)?Coordinate(System)?Units", key)
    ]
    stated = [*own, *others, read_metadata(path).get("Units")]
    return next((unit for unit in stated if unit is not None), None)


def coordinate_frame(path: Path) -> str | None:
    """Return what tells one coordinate frame from another: the system's name and description."""
    content = read_coordinate_system(path)
    parts = [content.get(key) for key in ("NIBSCoordinateSystem", "NIBSCoordinateSystemDescription")]
    return ": ".join(str(part) for part in parts if part) or None


# ----------------------------------------------------------------------------------------------------------- pulses


def describe_pulses(pulses: pd.DataFrame, stimulation: Stimulation, *, origin: Path) -> pd.DataFrame:
    """Return pulses with stimulus, position (mm) and ``hemisphere``; what the events state themselves comes first.

    ``onset`` of a pair becomes that of its second pulse, after which the response comes: in BIDS the onset of an event
    is that of its first pulse. Trains, which are an intervention, and stimuli other than TMS are left out. The
    hemisphere is that of the events, of the positions, or the side of the grid (x > 0 is right).

    Raises
    ------
    InputError
        If a pulse names a stimulus or a position that is not listed, or two positions.
    """
    placed = pulses
    if stimulation.templates is not None:
        placed = _with_templates(placed, stimulation.templates, origin=origin)
    placed = _with_positions(placed, stimulation.positions, origin=origin)
    second = (placed["isi_ms"].where(placed["stim_type"] == "paired").fillna(0.0) / 1e3).to_numpy(dtype=float)
    return placed.assign(onset=placed["onset"] + second)[~placed["stim_type"].isin(NO_PULSES)].reset_index(drop=True)


def _with_templates(pulses: pd.DataFrame, templates: pd.DataFrame, *, origin: Path) -> pd.DataFrame:
    named = pulses["nibs_event_id"]
    unknown = sorted(set(named.dropna()) - set(templates.index))
    if unknown:
        raise InputError(
            f"{origin}: the events name the stimulus {unknown[0]}, which is not in the table of stimuli "
            f"({', '.join(map(str, templates.index))})."
        )
    of_each = templates.reindex(named).set_axis(pulses.index)
    filled = {
        name: pulses[name].astype(object).where(pulses[name].notna(), of_each[name])
        for name in (*TEMPLATE_COLUMNS, "site_id")
        if name in of_each
    }
    as_numbers = {name: column.astype(float) for name, column in filled.items() if name not in ("stim_type", "site_id")}
    return pulses.assign(**{**filled, **as_numbers})


def _with_positions(pulses: pd.DataFrame, positions: pd.DataFrame | None, *, origin: Path) -> pd.DataFrame:
    if positions is not None:
        named = set(pulses["site_id"].dropna())
        unknown = sorted(named - set(positions["site_id"]))
        if unknown:
            several = " Positions of several coils in one cell are not read." if "|" in unknown[0] else ""
            raise InputError(
                f"{origin}: the events name position {unknown[0]}, which is not listed ({len(unknown)} such).{several}"
            )
        of_each = positions.set_index("site_id").reindex(pulses["site_id"]).set_axis(pulses.index)
        own = pulses["x_mm"].notna() & pulses["y_mm"].notna()
        axes = {name: pulses[name].where(own, of_each[name]).astype(float) for name in ("x_mm", "y_mm", "z_mm")}
        axes |= {name: of_each[name].astype(float) for name in AXIS_COLUMNS}
        stated = pulses["hemisphere"].astype(object)
        pulses = pulses.assign(**axes, hemisphere=stated.where(stated.notna(), of_each["hemisphere"]))
    side = sides(pulses["x_mm"].to_numpy(dtype=float))
    stated = pulses["hemisphere"].astype(object)
    return pulses.assign(hemisphere=stated.where(stated.notna(), side))
