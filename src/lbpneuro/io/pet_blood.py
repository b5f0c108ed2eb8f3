"""Arterial blood of a PET scan: activity of plasma and whole blood, and the share of the parent compound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.pet import Frames, activity_factor
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.pet_models import frame_means, integral_to
from lbpneuro.markers.pet import Plasma

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Curve = tuple[Array, Array]
STEP_S = 5.0

PLASMA, PARENT, BLOOD, INPUT = "plasma_radioactivity", "metabolite_parent_fraction", "whole_blood_radioactivity", "aif"
"""Columns of blood tables (PET-BIDS) and of the input functions that bloodstream writes."""


def read_plasma(paths: Sequence[Path], *, frames: Frames, injected_s: float) -> Plasma | None:
    """Return the arterial input at the frames; None without plasma, or without the share of the parent compound.

    Total plasma times the share of the parent. Plasma is linear between samples up to its peak and exponential after
    it, as it falls; the share is 1 at the injection, a cubic that keeps the shape of its samples (PCHIP) between them,
    and constant after the last. An input function
    (``_inputfunction.tsv``, column ``AIF``) is taken as it is. Activities are corrected for decay to TimeZero, as
    PET-BIDS asks, and brought to the injection; negative ones count as 0.

    Parameters
    ----------
    paths
        ``_blood.tsv`` or ``_inputfunction.tsv`` with the column ``time`` (s from TimeZero).
    frames
        Of the scan.
    injected_s
        Injection after TimeZero (s).

    Raises
    ------
    InputError
        If a table has no times or no numbers.
    UnitError
        If the Units of a column are no activity per volume.
    """
    found: dict[str, Curve] = {}
    for path in sorted(paths, key=lambda each: entities(each).get("suffix") != "inputfunction"):
        for name, curve in _columns(path, shift_s=injected_s).items():
            found.setdefault(name, curve)
            if name == BLOOD and len(curve[0]) > len(found[name][0]):
                found[name] = curve
    parent = found.get(INPUT) or _parent(found)
    if parent is None:
        return None
    to_injection = np.exp(-frames.decay_per_s * injected_s)
    middle = frames.start_s + frames.duration_s / 2
    integral = integral_to(parent[0], values=parent[1] * to_injection, at_s=np.clip(middle, 0, None))
    blood = np.full(len(middle), np.nan)
    if BLOOD in found:
        times, values = found[BLOOD]
        start = np.clip(frames.start_s, 0, None)
        blood = frame_means(times, values=values * to_injection, start_s=start, duration_s=frames.duration_s)
    return Plasma(integral=integral, blood=blood)


def _parent(found: Mapping[str, Curve]) -> Curve | None:
    """Return plasma times the share of the parent compound, at the times of either and every few seconds between."""
    if PLASMA not in found or PARENT not in found:
        return None
    (t_plasma, plasma), (t_parent, share) = found[PLASMA], found[PARENT]
    if t_parent[0] > 0:
        t_parent, share = np.append(0.0, t_parent), np.append(1.0, share)
    last = max(t_plasma[-1], t_parent[-1])
    times = np.unique(np.concatenate([t_plasma, t_parent, np.arange(0.0, last, STEP_S)]))
    return times, _falling(times, t_plasma, plasma) * _share(times, t_parent, np.clip(share, 0, 1))


def _share(times: Array, t_parent: Array, share: Array) -> Array:
    """Return the share of the parent at ``times``; straight lines between sparse samples made it 5 % too large."""
    from scipy.interpolate import PchipInterpolator

    within = np.clip(times, t_parent[0], t_parent[-1])
    return np.asarray(PchipInterpolator(t_parent, share)(within) if len(share) > 1 else np.full(len(times), share[0]))


def _falling(times: Array, t_plasma: Array, plasma: Array) -> Array:
    """Return plasma at ``times``: straight from 0 at the injection up to its peak, exponential after it.

    A chord over a falling exponential lies above it: with samples ten minutes apart the integral was 3 % too large.
    """
    known, values = np.append(0.0, t_plasma[t_plasma > 0]), np.append(0.0, plasma[t_plasma > 0])
    straight = np.interp(times, known, values)
    after = (known >= known[values.argmax()]) & (values > 0)
    if after.sum() < 2 or np.any(values[values.argmax() :] <= 0):
        return np.asarray(straight)
    curved = np.exp(np.interp(times, known[after], np.log(values[after])))
    return np.where(times >= known[after][0], curved, straight)


def _columns(path: Path, *, shift_s: float) -> dict[str, Curve]:
    """Return the curves of a table by column in lower case, as Bq/mL over seconds after the injection."""
    table = read_tsv(path)
    table.columns = [str(name).strip().lower() for name in table.columns]
    if "time" not in table:
        raise InputError(f"{path}: expected the column time (s); found {', '.join(table.columns)}.")
    metadata = {str(key).lower(): value for key, value in read_metadata(path).items()}
    return {
        name: _curve(table, name, unit=_unit(metadata, name), shift_s=shift_s, path=path)
        for name in (PLASMA, PARENT, BLOOD, INPUT)
        if name in table and table[name].notna().any()
    }


def _unit(metadata: Mapping[str, Any], name: str) -> Any:
    described = metadata.get(name)
    return described.get("Units") if isinstance(described, dict) else None


def _curve(table: pd.DataFrame, name: str, *, unit: Any, shift_s: float, path: Path) -> Curve:
    import pandas as pd

    try:
        times, values = (pd.to_numeric(table[column]).to_numpy(dtype=np.float64) for column in ("time", name))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the columns time and {name} must hold numbers or n/a, but {error}.") from error
    factor = 1.0 if name == PARENT else activity_factor(unit, where=f"{path}, column {name}")
    times = times - shift_s
    known = np.isfinite(times) & np.isfinite(values) & (times >= 0)
    if not known.any():
        raise InputError(f"{path}: the column {name} has no sample after the injection; check time (s) and TimeZero.")
    times, first = np.unique(times[known], return_index=True)
    return times, np.clip(values[known][first], 0, None) * factor
