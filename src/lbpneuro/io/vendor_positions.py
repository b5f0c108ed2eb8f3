"""Stimulus positions as neuronavigation and caps give them: Brainsight, Localite, and plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.positions import numbers, with_millimetres

if TYPE_CHECKING:
    import pandas as pd

AXES = ("position_x", "position_y", "position_z")
AXIS_COLUMNS = tuple(f"position_{name}_{axis}" for name in ("normal", "direction") for axis in "xyz")
BRAINSIGHT_AXES = {"position_normal": 2, "position_direction": 1}
LOCALITE_AXES = {"position_normal": 0, "position_direction": 1}
"""Which column of the rotation of a coil is which of its axes."""
TO_RAS = {"RAS": (1.0, 1.0, 1.0), "LPS": (-1.0, -1.0, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Positions in mm: right, front, up. ``per_pulse`` tells that there is one per pulse, in the order of the pulses.

    ``table`` has ``site_id``, ``position_x``, ``position_y``, mostly ``position_z``, and the axes of the coil where
    they are known (``AXIS_COLUMNS``); ``intensity_mso`` is known of
    pulses that a navigation system logged.
    """

    table: pd.DataFrame
    system: str
    description: str
    per_pulse: bool = False


def read_positions(path: Path, *, unit: str | None = None, frame: str | None = None) -> Positions:
    """Return the positions in an export of Brainsight (.txt) or Localite (.xml), or in a table (.tsv, .csv).

    A table has ``site_id`` (or ``site``, ``nibs_position_id``) and x, y, maybe z, in the ``unit`` or with it in the
    name (``x_mm``, ``grid_x_cm``); ``frame`` describes where its origin is and where its axes point.

    Raises
    ------
    InputError
        If the file is absent, of another format, or lacks what is needed.
    UnitError
        If coordinates have no unit, or one that they cannot be in.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file of positions.")
    if path.suffix.lower() == ".xml":
        return _localite(path)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if "# Coordinate system:" in text[:2000]:
        return _brainsight(text.splitlines(), path)
    if path.suffix.lower() not in (".tsv", ".csv"):
        raise InputError(
            f"{path}: this is no export of Brainsight or Localite; save the positions as .tsv or .csv with site_id, "
            "x_mm, y_mm, z_mm."
        )
    return _table(path, unit=unit, frame=frame)


def _table(path: Path, *, unit: str | None, frame: str | None) -> Positions:
    import pandas as pd

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", na_values=["n/a"], keep_default_na=False)
    table.columns = [str(name).strip().lower() for name in table.columns]
    name = next((column for column in ("site_id", "nibs_position_id", "site") if column in table), None)
    if name is None:
        raise InputError(f"{path}: the column site_id is absent; it is what the events refer to.")
    table = with_millimetres(table, dict.fromkeys("xyz", unit), path=path)
    absent = [axis for axis in ("x_mm", "y_mm") if axis not in table]
    if absent:
        raise InputError(f"{path}: no {' and '.join(absent)}; the table has {', '.join(table.columns)}.")
    made = {axis: table[f"{axis[-1]}_mm"] for axis in AXES if f"{axis[-1]}_mm" in table}
    axes = [name for name in AXIS_COLUMNS if name in table]
    more = {name: table[name] for name in (*axes, "hemisphere") if name in table}
    described = frame or "Grid on the head: origin at the vertex, x to the right, y to the front."
    return Positions(
        table=pd.DataFrame({"site_id": table[name], **made, **more}), system="Other", description=described
    )


# -------------------------------------------------------------------------------------------------------- Brainsight


def _brainsight(lines: Sequence[str], path: Path) -> Positions:
    """Samples of a Brainsight export (the targets where nothing was stimulated), version 12 to 15 of the format.

    The file is tab separated; header lines begin with ``#``: version, coordinate system, units, then one line of names
    per table, ``# Target Name  Loc. X  Loc. Y  Loc. Z  m0n0 ...`` and ``# Sample Name  Index  Assoc. Target ...``. In
    the system ``Brainsight`` (and ``World``, of DICOM data) x runs to the left and y to the back; in ``NIfTI:...`` x to
    the right and y to the front. Layout and axes as SimNIBS documents them (simnibs/utils/nnav.py, with a note of the
    vendor; simnibs.github.io, "Brainsight") and pyNIBS writes them; ``m2`` is the axis normal to the coil, ``m1`` the
    one along its handle.
    """
    header = {
        key.strip("# "): value.strip() for key, _, value in (line.partition(":") for line in lines if line[:1] == "#")
    }
    system = header.get("Coordinate system", "")
    if not header.get("Units", "").startswith("millimetres"):
        raise InputError(f"{path}: the units are {header.get('Units', 'absent')!r}; export in millimetres.")
    signs = TO_RAS["RAS" if system.lower().startswith("nifti") else "LPS"]
    if not system.lower().startswith(("nifti", "brainsight", "world")):
        raise InputError(
            f"{path}: the coordinate system {system!r} is not known; export in NIfTI:Aligned or Brainsight."
        )
    samples, targets = (_brainsight_table(lines, kind) for kind in ("Sample Name", "Target Name"))
    table = samples if samples is not None and len(samples) else targets
    if table is None or table.empty:
        raise InputError(f"{path}: the export holds no sample and no target; export the samples.")
    per_pulse = table is samples
    places = [numbers(table[name].replace({"(null)": np.nan}), path) for name in ("Loc. X", "Loc. Y", "Loc. Z")]
    made = {axis: sign * values for axis, sign, values in zip(AXES, signs, places, strict=True)}
    for name, column in BRAINSIGHT_AXES.items():
        parts = [f"m{column}n{row}" for row in range(3)]
        if set(parts) <= set(table.columns):
            turned = [numbers(table[part].replace({"(null)": np.nan}), path) for part in parts]
            made |= {f"{name}_{axis}": sign * each for axis, sign, each in zip("xyz", signs, turned, strict=True)}
    names = table.iloc[:, 0].astype(str)
    return _with_own_names(names, made, system=f"Brainsight {system}", per_pulse=per_pulse)


def _brainsight_table(lines: Sequence[str], kind: str) -> pd.DataFrame | None:
    """The table whose line of names begins with ``kind``; it ends at the next line that begins with ``#``."""
    import pandas as pd

    start = next((number for number, line in enumerate(lines) if line.lstrip("# ").startswith(kind)), None)
    if start is None:
        return None
    columns = lines[start].lstrip("# ").split("\t")
    rows = []
    for line in lines[start + 1 :]:
        if line.startswith("#"):
            break
        if line.strip():
            rows.append((line.split("\t") + [""] * len(columns))[: len(columns)])
    return pd.DataFrame(rows, columns=columns)


# ---------------------------------------------------------------------------------------------------------- Localite


def _localite(path: Path) -> Positions:
    """Trigger markers (or instrument markers) of a Localite TMS Navigator session.

    The root has ``coordinateSpace`` RAS or LPS; every ``TriggerMarker`` has ``recordingTime`` (ms) and a ``Matrix4D``
    with the attributes ``data00`` to ``data33``, whose last column is the place of the coil in mm, and
    ``ResponseValues`` with ``Value key="amplitudeA" response=...`` (% of the maximum output). An ``InstrumentMarker``
    has a ``Marker`` with ``description`` and the matrix. Its first column is the axis normal to the coil, its second
    the one along the handle. Layout as SimNIBS reads it (simnibs/utils/nnav.py).
    """
    from xml.etree import ElementTree

    import pandas as pd

    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314  # a file of the user's own navigation system
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: this XML file cannot be read ({error}); export the markers again.") from error
    space = str(root.get("coordinateSpace", "")).upper()
    if space not in TO_RAS:
        raise InputError(
            f"{path}: coordinateSpace is {space or 'absent'}; expected RAS or LPS (a Localite marker file)."
        )
    triggers = list(root.iter("TriggerMarker"))
    markers = triggers or [each for one in root.iter("InstrumentMarker") for each in one.iter("Marker")]
    matrices = np.array([_matrix(each, path) for each in markers])
    if not markers:
        raise InputError(f"{path}: the file holds no TriggerMarker and no InstrumentMarker.")
    matrices = matrices * np.array(TO_RAS[space])[:, None]
    if triggers:  # a coil out of sight is logged at the origin; the pulse was given all the same
        matrices[(matrices[:, :, 3] == 0).all(axis=1)] = np.nan
    columns = {3: AXES, **{at: [f"{name}_{axis}" for axis in "xyz"] for name, at in LOCALITE_AXES.items()}}
    table = pd.DataFrame(
        {name: matrices[:, row, at] for at, names in columns.items() for row, name in enumerate(names)}
    )
    names = pd.Series([str(each.get("description") or f"marker{i}") for i, each in enumerate(markers, start=1)])
    made = {str(name): table[name] for name in table}
    positions = _with_own_names(names, made, system=f"Localite {space}", per_pulse=bool(triggers))
    if not triggers:
        return positions
    outputs = [_localite_output(marker) for marker in markers]
    return replace(positions, table=positions.table.assign(intensity_mso=outputs))


def _matrix(marker: Any, path: Path) -> list[list[float]]:
    """The first three rows of the matrix of a marker."""
    matrix = marker.find("Matrix4D")
    try:
        return [[float(matrix.get(f"data{row}{column}")) for column in range(4)] for row in range(3)]
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a marker has no Matrix4D with data00 to data23; export again.") from error


def _localite_output(marker: Any) -> float:
    values = [each.get("response") for each in marker.iter("Value") if each.get("key") == "amplitudeA"]
    try:
        return float(values[0])
    except (IndexError, TypeError, ValueError):
        return float("nan")


def _with_own_names(names: pd.Series, made: dict[str, pd.Series], *, system: str, per_pulse: bool) -> Positions:
    """Positions with names of their own: repeated ones are numbered."""
    import pandas as pd

    seen = names.groupby(names).cumcount()
    unique = [name if not count else f"{name}_{count + 1}" for name, count in zip(names, seen, strict=True)]
    return Positions(
        table=pd.DataFrame({"site_id": unique, **made}),
        system="IndividualMRI",
        description=f"{system}, in mm: x to the right, y to the front, z up; origin of the image of the navigation.",
        per_pulse=per_pulse,
    )


def assign(events: pd.DataFrame, positions: Positions) -> pd.DataFrame:
    """Return events that name the position of each pulse: by their site, or one after another where all were logged.

    Raises
    ------
    InputError
        If the events name no site and there are not as many positions as pulses.
    """
    column = next((name for name in ("nibs_position_id", "site_id") if name in events), None)
    if column is not None:
        unknown = sorted(set(events[column].dropna()) - set(positions.table["site_id"]))
        if unknown:
            raise InputError(
                f"The events name the site {unknown[0]}, which is not among the positions ({len(unknown)} such)."
            )
        return events.rename(columns={column: "nibs_position_id"})
    if not positions.per_pulse or len(positions.table) != len(events):
        raise InputError(
            f"There are {len(positions.table)} positions for {len(events)} pulses, and the events do not say which "
            "belongs to which; add the column site_id to --events."
        )
    events = events.assign(nibs_position_id=positions.table["site_id"].to_numpy())
    if "intensity_mso" in positions.table and "intensity_mso" not in events:
        events = events.assign(intensity_mso=positions.table["intensity_mso"].to_numpy())
    return events
