"""When the volumes of a raw BOLD run were taken: what header, sidecar and events say, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, LbpneuroError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.series import header_t_r, other_excitation, repetition_time

if TYPE_CHECKING:
    import nibabel as nib

MILLISECONDS_FROM = 100.0  # no volume takes that many seconds
EVEN_WITHIN = 0.01  # of the repetition time


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Repetition time (s) of a run, and what should be looked at."""

    t_r: float
    warnings: tuple[str, ...] = ()


def run_timing(path: Path, image: nib.Nifti1Image, metadata: Mapping[str, Any]) -> Timing:
    """Return the repetition time of a raw run.

    Raises
    ------
    InputError
        If it is unknown, if header, sidecar and events contradict each other, or if the volumes are not evenly spaced.
    """
    warnings: list[str] = []
    header = header_t_r(image)
    if header is not None and header >= MILLISECONDS_FROM:
        unit = image.header.get_xyzt_units()[1]
        warnings.append(
            f"the NIfTI header has the repetition time {header:g} with the unit {unit}; read as milliseconds"
        )
        header /= 1000.0
    n_time = image.shape[3]
    check_unit(metadata, path)
    even = even_volumes(metadata, n_time=n_time, path=path)
    t_r = repetition_time(path, header=header) if even is None else even
    warnings += excitation_warning(metadata, t_r)
    warnings += events_warning(path, end_s=n_time * t_r, n_time=n_time, metadata=metadata)
    return Timing(t_r=t_r, warnings=tuple(warnings))


def check_unit(metadata: Mapping[str, Any], path: Path) -> None:
    """Raise InputError if the repetition time of the sidecar is one in milliseconds."""
    value = metadata.get("RepetitionTime")
    if isinstance(value, int | float) and value >= MILLISECONDS_FROM:
        raise InputError(
            f"{path}: RepetitionTime is {value:g} in the JSON sidecar, which are milliseconds; BIDS has seconds: "
            f"write {value / 1000:g}."
        )


def even_volumes(metadata: Mapping[str, Any], *, n_time: int, path: Path) -> float | None:
    """Return the spacing (s) of ``VolumeTiming``, None where the sidecar has none (or a repetition time as well).

    Raises
    ------
    InputError
        If there is not one time per volume, or they are not evenly spaced.
    """
    if "VolumeTiming" not in metadata or metadata.get("RepetitionTime") is not None:
        return None
    times = numbers(metadata["VolumeTiming"])
    if times.shape != (n_time,):
        raise InputError(
            f"{path}: VolumeTiming must be a list of seconds, one for each of the {n_time} volumes; "
            f"found {times.size} numbers."
        )
    steps = np.diff(times)
    spacing = float(np.median(steps))
    if spacing <= 0 or np.abs(steps - spacing).max() > EVEN_WITHIN * spacing:
        raise InputError(
            f"{path}: the volumes are not evenly spaced in time (VolumeTiming has steps of {steps.min():g} to "
            f"{steps.max():g} s); such a run (sparse sampling) cannot be filtered to a frequency band."
        )
    return spacing


def numbers(values: Any) -> NDArray[np.float64]:
    """Return a list of a sidecar as an array, an empty one if it holds anything but finite numbers."""
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)
    return found if np.isfinite(found).all() else np.empty(0)


def excitation_warning(metadata: Mapping[str, Any], t_r: float) -> list[str]:
    """Return a warning if slices are excited at other intervals than volumes are taken, which 2D EPI does not do."""
    value = other_excitation(metadata, t_r)
    if value is None:
        return []
    message = (
        f"RepetitionTime is {t_r:g} s, but RepetitionTimeExcitation {value:g} s (the converter found two values); "
        "find out which is the time from volume to volume"
    )
    return [message]


def events_warning(path: Path, *, end_s: float, n_time: int, metadata: Mapping[str, Any]) -> list[str]:
    """Return a warning if the events of a run cannot be read.

    Raises
    ------
    InputError
        If an event begins more than a volume after the end of the run: then the repetition time is wrong, or the scan
        was stopped early.
    """
    events = events_of(path)
    if not events.is_file():
        return []
    try:
        onsets = last_onset(events)
    except LbpneuroError as error:
        return [f"the events were not looked at: {error}"]
    t_r = end_s / n_time
    if onsets <= end_s + t_r:
        return []
    excitation = metadata.get("RepetitionTimeExcitation")
    hint = (
        f"; RepetitionTimeExcitation of the sidecar is {excitation:g} s" if isinstance(excitation, float | int) else ""
    )
    raise InputError(
        f"{path}: {n_time} volumes with the RepetitionTime of {t_r:g} s end at {end_s:.1f} s, but the last event of "
        f"{events.name} begins at {onsets:.1f} s. Either the repetition time is wrong (it is at least "
        f"{onsets / n_time:.3f} s then{hint}): correct it in sidecar and header; or the scan was stopped early: remove "
        "the events after its end."
    )


def events_of(path: Path) -> Path:
    """Return where the events of a run are: those of all its echoes and parts."""
    stem = re.sub(r"_(echo|part)-[^_]+", "", path.name.partition("_bold.")[0])
    return path.with_name(f"{stem}_events.tsv")


def last_onset(events: Path) -> float:
    """Return the latest onset (s) of an events table, minus infinity without any; InputError if it is no such table."""
    import pandas as pd

    table = read_tsv(events)
    if "onset" not in table.columns:
        raise InputError(f"{events}: the column onset is missing; found {', '.join(map(str, table.columns))}.")
    onsets = pd.to_numeric(table["onset"], errors="coerce").dropna()
    return float(onsets.max()) if len(onsets) else -np.inf
