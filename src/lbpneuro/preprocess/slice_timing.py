"""Slice timing correction: every slice of a BOLD run as if it had been taken at one time within the volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import BSpline

from lbpneuro.errors import InputError
from lbpneuro.preprocess.timing import numbers

Array = NDArray[np.float64]

AUTO = "auto"
ON: tuple[str | bool, ...] = ("on", True)  # YAML reads on and off as true and false
OFF: tuple[str | bool, ...] = ("off", False)
SHORTEST_T_R = 1.0  # s; below, "auto" leaves the slices as they are
SAME_TIME_S = 1e-3
ORDER = 5
AXES = {"i": 0, "j": 1, "k": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTiming:
    """When the slices of a run are taken, and the time within the volume that they are brought to.

    ``shifts`` (n_slice,) is by how many volumes each slice of the ``axis`` (0, 1 or 2) is evaluated later than it was
    taken; ``start_s`` is the reference time after the start of the volume. Without a correction ``shifts`` is empty
    and ``reason`` says why.
    """

    shifts: Array
    axis: int = 2
    start_s: float = 0.0
    reason: str = ""

    @property
    def corrects(self) -> bool:
        """Whether there is anything to correct."""
        return self.shifts.size > 0


def uncorrected(reason: str) -> SliceTiming:
    """Return that nothing is to be corrected, and why."""
    return SliceTiming(shifts=np.empty(0), reason=reason)


def slice_timing(
    metadata: Mapping[str, Any], *, shape: tuple[int, ...], t_r: float, setting: str | bool, path: Path
) -> SliceTiming:
    """Return how the slices of a run are to be shifted.

    The reference time is midway between the first and the last slice, which makes the largest shift the smallest
    possible (and is the default of fMRIPrep).

    Parameters
    ----------
    metadata
        Sidecar of the run: ``SliceTiming`` (s, one entry per slice; slices of a multiband excitation share theirs) and
        ``SliceEncodingDirection`` (``k`` if absent; with a minus the first entry is the last slice).
    shape
        Of a volume (n_x, n_y, n_z).
    t_r
        Repetition time (s).
    setting
        ``auto``: where slice times are known and the repetition time is 1 s or more; ``on`` (or True): always, and an
        error without slice times; ``off`` (or False): never.

    Raises
    ------
    InputError
        If the slice times do not fit the image or the repetition time, or are asked for and not there.
    """
    if setting in OFF:
        return uncorrected("the setting preprocess.slice_timing is off")
    if metadata.get("SliceTiming") is None:
        if setting in ON:
            raise InputError(
                f"{path}: preprocess.slice_timing is on, but its JSON sidecar has no SliceTiming; "
                "add it to the sidecar, or set preprocess.slice_timing to auto."
            )
        return uncorrected("the sidecar has no SliceTiming")
    if setting == AUTO and t_r < SHORTEST_T_R:
        return uncorrected(f"the repetition time of {t_r:g} s is below {SHORTEST_T_R:g} s")
    axis, backwards = encoding(metadata, path)
    times = slice_times(metadata["SliceTiming"], n_slice=shape[axis], t_r=t_r, path=path)
    if np.ptp(times) < SAME_TIME_S:
        return uncorrected("all slices are taken at the same time")
    start = float(times.min() + times.max()) / 2.0
    ordered = times[::-1] if backwards else times
    return SliceTiming(shifts=(start - ordered) / t_r, axis=axis, start_s=start)


def encoding(metadata: Mapping[str, Any], path: Path) -> tuple[int, bool]:
    """Return the axis of the slices and whether they are listed from the last to the first."""
    direction = metadata.get("SliceEncodingDirection", "k")
    if direction not in {f"{axis}{sign}" for axis in AXES for sign in ("", "-")}:
        raise InputError(
            f"{path}: SliceEncodingDirection must be i, j or k, with or without a minus; found {direction!r}."
        )
    return AXES[direction[0]], direction.endswith("-")


def slice_times(values: Any, *, n_slice: int, t_r: float, path: Path) -> Array:
    """Return ``SliceTiming`` as numbers (n_slice,); InputError if it does not fit the image or the repetition time."""
    advice = "correct the sidecar, or set preprocess.slice_timing to off."
    times = numbers(values)
    if times.ndim != 1 or not times.size:
        raise InputError(f"{path}: SliceTiming must be a list of seconds, one per slice; found {values!r}; {advice}")
    if len(times) != n_slice:
        raise InputError(f"{path}: SliceTiming has {len(times)} entries, but the image has {n_slice} slices; {advice}")
    if times.min() < 0 or times.max() >= t_r + SAME_TIME_S:
        unit = " (milliseconds in the place of seconds?)" if times.max() > 100 else ""
        raise InputError(
            f"{path}: SliceTiming goes from {times.min():g} to {times.max():g} s, which does not fit into the "
            f"repetition time of {t_r:g} s{unit}; {advice}"
        )
    return times


def correct_slices(series: NDArray[np.float32], timing: SliceTiming, *, start: int = 0) -> None:
    """Shift every slice of ``series`` (n_x, n_y, n_z, n_time) in time, in place, to spare a copy of the run.

    Splines of degree 5 through the volumes from ``start`` on, mirrored at both ends; the first and the last volume are
    extrapolated by up to half a volume. Earlier ones, which are brighter than the rest, stay as they are and do not
    reach into others.
    """
    by_slice = np.moveaxis(series, timing.axis, 0)
    for index, shift in enumerate(timing.shifts):
        if shift:
            by_slice[index, ..., start:] = shifted(by_slice[index, ..., start:], shift)


def shifted(values: NDArray[np.floating], shift: float) -> NDArray[np.floating]:
    """Return evenly sampled series at the sample numbers n + ``shift``.

    Parameters
    ----------
    values : array, shape (..., n_time)
    shift : float
        From -0.5 to 0.5 samples; positive: what comes later.

    Returns
    -------
    array, shape (..., n_time)
    """
    taps = np.arange(-3, 4)
    weights = BSpline.basis_element(taps, extrapolate=False)(shift - taps)
    coefficients = ndimage.spline_filter1d(values, order=ORDER, axis=-1, mode="mirror", output=np.float64)
    return np.asarray(
        ndimage.correlate1d(coefficients, np.nan_to_num(weights), axis=-1, mode="mirror", output=values.dtype)
    )
