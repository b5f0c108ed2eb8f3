"""Tables of regional curves: those of PETPrep and PETFit, and plain ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.desikan_killiany import NAMES
from lbpneuro.io.files import read_tsv
from lbpneuro.io.pet import Frames, ScanFiles, read_frames
from lbpneuro.io.regions import Name, Region
from lbpneuro.markers.bold import parts_of, region_label
from lbpneuro.markers.pet import Place, level_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

START, END = ("frame_start", "frametimestart", "frametimesstart", "start"), ("frame_end", "frametimesend", "end")
DURATION = ("frame_dur", "frame_duration", "frameduration", "duration")
NOT_REGIONS = {*START, *END, *DURATION, "frame_mid", "time", "weights", "weight"}
LONG = ("region", "tac")
SIDES = {"L": ("left", "lh"), "R": ("right", "rh")}
DEEP = {
    10: ("thalamus", "thalamusproper", "thalamusproperstar"),
    11: ("caudate",),
    12: ("putamen",),
    26: ("accumbensarea", "accumbens"),
    8: ("cerebellumcortex",),
    7: ("cerebellumwhitematter",),
}
"""Names of FreeSurfer labels of the left side; those of the right are 38 or 39 higher."""
RIGHT = {49: 10, 50: 11, 51: 12, 58: 26, 47: 8, 46: 7}
WHOLE = ("wholebrain", "brain", "wb")
TIME_TOLERANCE_S = 0.5


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RegionCurves:
    """Curves (n_frame,) in Bq/mL at the injection by region, the columns each was made of, and its frames."""

    curves: dict[Place, Array]
    columns: dict[Place, tuple[str, ...]]
    frames: Frames


def wanted_parts(settings: Mapping[str, Any], regions: Mapping[Name, Region]) -> dict[Place, tuple[Name, ...]]:
    """Return the regions of the table of regions that each region and reference of the settings is made of."""
    known = [(roi, hemi) for roi, hemi in regions]
    named = {**settings["regions"], **settings["references"]}
    return {
        level_of(name): tuple(part for each in parts for part in parts_of(each, known)) for name, parts in named.items()
    }


def read_curves(scan: ScanFiles, *, regions: Mapping[Name, Region], settings: Mapping[str, Any]) -> RegionCurves:
    """Return the curves of a table of a scan.

    The table has a row per frame with ``frame_start`` and ``frame_end`` (s) and a column per region, or a row per frame
    and region with ``region`` and ``TAC``. A region is the mean of its columns, weighted with their volumes where
    a ``_morph.tsv`` beside the table gives them. Columns are found by the names of ``pet.curve_columns``, of
    the table of regions, or of FreeSurfer.

    Raises
    ------
    InputError
        If the table has no frame times, or its frames are not those of the metadata.
    """
    if scan.curves is None:
        raise ValueError("the scan has no table of curves")
    table = read_tsv(scan.curves)
    table.columns = [str(name).strip() for name in table.columns]
    wide, volumes = _wide(table, scan.curves)
    volumes |= _volumes(scan.volumes)
    frames = _frames(wide, scan)
    used = frames.duration_s > 0
    names = {_key(column): column for column in wide.columns if column.lower() not in NOT_REGIONS}
    curves, columns = {}, {}
    for level, parts in wanted_parts(settings, regions).items():
        chosen = _columns_of(level, parts, names, regions=regions, settings=settings)
        if chosen:
            curves[level] = _mean(wide, chosen, volumes=volumes, path=scan.curves)[used] * frames.factor[used]
            columns[level] = tuple(chosen)
    kept = replace(
        frames,
        start_s=frames.start_s[used],
        duration_s=frames.duration_s[used],
        factor=frames.factor[used],
    )
    return RegionCurves(curves=curves, columns=columns, frames=kept)


def _key(name: str) -> str:
    """Return a region's name without signs and case: ``Left-Thalamus-Proper*`` is ``leftthalamusproperstar``."""
    return "".join(sign for sign in name.lower().replace("*", "star") if sign.isalnum())


def _wide(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a table with a row per frame, and the volumes of its regions where the table has them."""
    lower = {name.lower(): name for name in table.columns}
    if not all(name in lower for name in LONG):
        return table, {}
    region, tac = (lower[name] for name in LONG)
    start = next((lower[name] for name in START if name in lower), None)
    end = next((lower[name] for name in END if name in lower), None)
    if start is None or end is None or table.duplicated([start, end, region]).any():
        raise InputError(f"{path}: expected one row per frame and region with frame_start, frame_end, region and TAC.")
    wide = table.pivot(index=[start, end], columns=region, values=tac).reset_index()
    size = lower.get("volume_mm3")
    volumes = {} if size is None else table.drop_duplicates(region).set_index(region)[size].to_dict()
    wide.columns = [str(name) for name in wide.columns]
    return wide, {_key(str(name)): float(value) for name, value in volumes.items()}


def _volumes(path: Path | None) -> dict[str, float]:
    """Return the volumes of a ``_morph.tsv`` by the key of the region."""
    if path is None:
        return {}
    table = read_tsv(path)
    lower = {str(name).lower(): name for name in table.columns}
    size = next((lower[name] for name in lower if name.startswith("volume")), None)
    if "name" not in lower or size is None:
        return {}
    return {_key(str(name)): float(value) for name, value in zip(table[lower["name"]], table[size], strict=True)}


def _frames(table: pd.DataFrame, scan: ScanFiles) -> Frames:
    """Return the frames of the table; the sidecar of the raw image, where it is, must have the same."""
    lower = {name.lower(): name for name in table.columns}
    start, end, duration = (next((lower[n] for n in names if n in lower), None) for names in (START, END, DURATION))
    where = str(scan.curves)
    if start is None or (end is None and duration is None):
        raise InputError(
            f"{where}: expected the columns frame_start and frame_end (s); found {', '.join(table.columns)}."
        )
    begun = table[start].to_numpy(dtype=np.float64)
    lasted = table[end].to_numpy(dtype=np.float64) - begun if end else table[duration].to_numpy(dtype=np.float64)
    told = scan.metadata.get("FrameTimesStart")
    if isinstance(told, list) and len(told) == len(begun) and np.abs(np.array(told) - begun).max() > TIME_TOLERANCE_S:
        raise InputError(
            f"{where}: its frames do not begin when FrameTimesStart of the image says; check the units (s)."
        )
    own = {**scan.metadata, "FrameTimesStart": begun.tolist(), "FrameDuration": lasted.tolist()}
    return read_frames(own, n_frame=len(begun), where=where)


def _columns_of(
    level: Place,
    parts: Sequence[Name],
    names: Mapping[str, str],
    *,
    regions: Mapping[Name, Region],
    settings: Mapping[str, Any],
) -> list[str]:
    """Return the columns of a region: given in the settings, named like it, or those of all its parts."""
    label = region_label(level)
    given = settings["curve_columns"].get(label)
    if given is not None:
        absent = [name for name in given if _key(name) not in names]
        if absent:
            raise InputError(
                f"setting `pet.curve_columns.{label}`: the table of curves has no column {', '.join(absent)}; it has "
                f"{', '.join(names.values())}."
            )
        return [names[_key(name)] for name in given]
    own = [_key(label), *(WHOLE if label == "whole_brain" else ())]
    direct = next((names[key] for key in own if key in names), None)
    if direct is not None:
        return [direct]
    found = [_columns_of_part(regions[part], names) for part in parts]
    return [column for columns in found for column in columns] if found and all(found) else []


def _columns_of_part(region: Region, names: Mapping[str, str]) -> list[str]:
    """Return the columns of a region of the table: its own name, or those of all its Desikan-Killiany labels."""
    own = _key(region_label((region.roi, region.hemi)))
    if own in names:
        return [names[own]]
    if region.kind != "label" or np.isfinite(region.y_min):
        return []
    found = [next((names[key] for key in _aliases(label) if key in names), None) for label in region.labels]
    return [] if None in found else [name for name in found if name is not None]


def _aliases(label: int) -> list[str]:
    """Return the keys by which tables name a label of FreeSurfer."""
    if label >= 1000:
        side, name = ("L" if label < 2000 else "R"), NAMES.get(label % 1000, "")
        return [f"ctx{SIDES[side][1]}{name}", *(f"{word}{name}" for word in SIDES[side])] if name else []
    side = "R" if label in RIGHT else "L"
    words = DEEP.get(RIGHT.get(label, label), ())
    return [f"{start}{word}" for word in words for start in SIDES[side]]


def _mean(table: pd.DataFrame, columns: Sequence[str], *, volumes: Mapping[str, float], path: Path) -> Array:
    try:
        values = table[list(columns)].to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the columns {', '.join(columns)} must hold numbers, but {error}.") from error
    size = np.array([volumes.get(_key(column), np.nan) for column in columns])
    weight = size if np.isfinite(size).all() and size.sum() > 0 else np.ones(len(columns))
    return np.asarray(values @ (weight / weight.sum()))
