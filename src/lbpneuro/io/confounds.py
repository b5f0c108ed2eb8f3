"""fMRIPrep confounds: strategies as data, head motion and the volumes before the steady state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels._checks import check_option
from lbpneuro.kernels.quality import fd_jenkinson, fd_power

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
GLOBAL = ("csf", "white_matter", "global_signal")
EXPANSION = ("", "_derivative1", "_power2", "_derivative1_power2")
CHANGES = ("framewise_displacement", "rmsd", "dvars", "std_dvars")
COMPONENT_PREFIX = {"WM": "w_comp_cor_", "CSF": "c_comp_cor_"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A set of confounds, and what it adds to the censoring of the run.

    Attributes
    ----------
    words
        What it takes out, for the methods text.
    motion
        Forms of the six motion parameters, of ``EXPANSION``.
    tissue
        Mean signals, of ``GLOBAL``, in all forms.
    components
        Number of aCompCor components by mask.
    patterns
        Columns of the table, or patterns of their names; the strategies of the user have nothing else.
    std_dvars_max, segment_min_volumes
        Volumes with more standardised DVARS are censored, and stretches of fewer kept volumes.
    """

    words: str
    motion: tuple[str, ...] = ()
    tissue: tuple[str, ...] = ()
    components: Mapping[str, int] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    std_dvars_max: float = np.inf
    segment_min_volumes: int = 1


STRATEGIES: dict[str, Strategy] = {
    "24p": Strategy(words="24 motion terms", motion=EXPANSION),
    "36p": Strategy(
        words="24 motion terms and the white-matter, CSF and global signals with their expansions",
        motion=EXPANSION,
        tissue=GLOBAL,
    ),
    "acompcor24": Strategy(
        words="24 motion terms and ten aCompCor components", motion=EXPANSION, components={"WM": 5, "CSF": 5}
    ),
    "acompcor6": Strategy(
        words="6 motion terms and five aCompCor components", motion=EXPANSION[:1], components={"WM": 3, "CSF": 2}
    ),
    "scrubbing": Strategy(
        words="24 motion terms and the white-matter and CSF signals with their expansions",
        motion=EXPANSION,
        tissue=GLOBAL[:2],
        std_dvars_max=1.5,
        segment_min_volumes=5,
    ),
}
"""The strategies by name.

``24p``: six motion parameters, their backward differences, and the squares of both (Friston 1996,
10.1002/mrm.1910350312). ``36p``: those and the same expansion of CSF, white-matter and global signal (Satterthwaite
2013, 10.1016/j.neuroimage.2012.08.052); with the censoring of the run it is the model with spike regression, for to
regress a one-hot column per volume out of a run leaves what dropping these volumes leaves. ``acompcor24``: 24p, 5
white-matter and 5 CSF components of aCompCor (Behzadi 2007, 10.1016/j.neuroimage.2007.04.042), told apart by the
``Mask`` of the JSON sidecar. ``acompcor6``: six motion parameters, 3 white-matter and 2 CSF components, for short runs.
``scrubbing``: 24p and the expansion of CSF and white-matter signal, no global one; volumes with standardised DVARS
above 1.5 and stretches of fewer than five volumes are censored as well (the preset of that name in nilearn).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confounds:
    """The confounds of one run under one strategy.

    ``regressors`` (n_time, n_confounds) with their ``names``; ``fd_jenkinson`` and ``fd_power`` (n_time,) mm, NaN for
    the first volume; ``std_dvars`` (n_time,), NaN for the first volume, all NaN if the table has none; ``steady``
    (n_time,) is False for the volumes before the steady state.
    """

    path: Path
    names: tuple[str, ...]
    regressors: Array
    fd_jenkinson: Array
    fd_power: Array
    std_dvars: Array
    steady: NDArray[np.bool_]


def find_strategy(name: str, custom: Mapping[str, Sequence[str]] | None = None) -> Strategy:
    """Return a strategy by its name: one of the user's (``{name: columns}``), else one of ``STRATEGIES``."""
    custom = custom or {}
    if name in custom:
        return Strategy(words=f"the confounds of the strategy {name}", patterns=tuple(custom[name]))
    check_option("functional.confounds", name, allowed=(*STRATEGIES, *custom))
    return STRATEGIES[name]


def read_confounds(path: Path, *, strategy: str, n_time: int) -> Confounds:
    """Return the regressors of a strategy and the head motion from an fMRIPrep confounds table.

    Parameters
    ----------
    path
        ``*_desc-confounds_timeseries.tsv`` (before fMRIPrep 20.2 ``_regressors.tsv``).
    strategy
        A name of ``STRATEGIES``.
    n_time
        Number of volumes of the run.

    Returns
    -------
    Confounds
        The first volume has no backward difference (``n/a``): it gets that of the second. Differences and squares that
        the table lacks are computed from its base columns.

    Raises
    ------
    InputError
        Naming file and column if a column is absent, a value is not a number, or the rows are not those of the volumes.
    """
    return select_confounds(read_table(path, n_time=n_time), path, strategy=find_strategy(strategy))


def read_table(path: Path, *, n_time: int) -> pd.DataFrame:
    """Return the whole table of a run of ``n_time`` volumes; InputError if its rows are not those of the volumes."""
    table = read_tsv(path)
    if len(table) != n_time:
        raise InputError(
            f"{path}: expected {n_time} rows, one per volume of the run, found {len(table)}; "
            "the table belongs to another run or is cut off."
        )
    return table


def select_confounds(table: pd.DataFrame, path: Path, *, strategy: Strategy) -> Confounds:
    """Return what :func:`read_confounds` does, from its table that is read already."""
    names = confound_names(table, path, strategy=strategy)
    regressors = np.column_stack([_regressor(table, name, path=path) for name in names])
    motion = np.column_stack([_column(table, name, path=path) for name in MOTION])
    return Confounds(
        path=path,
        names=names,
        regressors=regressors,
        fd_jenkinson=_change(table, "rmsd", path=path, otherwise=fd_jenkinson(motion)),
        fd_power=_change(table, "framewise_displacement", path=path, otherwise=fd_power(motion)),
        std_dvars=_change(table, "std_dvars", path=path, otherwise=np.full(len(table), np.nan)),
        steady=_steady(table),
    )


def head_motion(path: Path) -> Array:
    """Return the framewise displacement (Jenkinson, mm) of the volumes of a run in the steady state, but for the first.

    Raises
    ------
    InputError
        Naming file and column if the table cannot be read, or has neither displacement nor motion parameters.
    """
    table = read_tsv(path)
    if "rmsd" in table.columns:
        moved = _change(table, "rmsd", path=path, otherwise=np.empty(0))
    else:
        moved = fd_jenkinson(np.column_stack([_column(table, name, path=path) for name in MOTION]))
    return np.asarray(moved[_steady(table) & np.isfinite(moved)])


def confound_names(table: pd.DataFrame, path: Path, *, strategy: Strategy) -> tuple[str, ...]:
    """Return the columns that a strategy takes from a table, in a fixed order."""
    names = [f"{base}{form}" for form in strategy.motion for base in MOTION]
    names += [f"{base}{form}" for form in EXPANSION for base in strategy.tissue]
    metadata = read_metadata(path) if strategy.components else {}
    for mask, most in strategy.components.items():
        names += _components(table, path, mask=mask, metadata=metadata)[:most]
    for pattern in strategy.patterns:
        names += _matching(list(table.columns), pattern, path=path)
    return tuple(dict.fromkeys(names))


def _matching(columns: list[str], pattern: str, *, path: Path) -> list[str]:
    """Return the columns that a pattern names; InputError if there is none."""
    found = [name for name in columns if fnmatchcase(name, pattern)]
    if not found:
        raise InputError(
            f"{path}: no column matches {pattern!r} of functional.confounds_custom; found {_some(columns)}."
        )
    return found


def _components(table: pd.DataFrame, path: Path, *, mask: str, metadata: Mapping[str, Any]) -> list[str]:
    """Return the aCompCor columns of a tissue, strongest first: by the mask in the sidecar, else by their prefix."""
    candidates = [name for name in table.columns if re.fullmatch(r"[acw]_comp_cor_\d+", name)]
    known = [name for name in candidates if _mask_of(name, metadata) == mask]
    if not known:
        raise InputError(
            f"{path}: no aCompCor component of the {mask} mask; found {_some(candidates) or 'no component at all'}"
            f"{'' if metadata else ' and no JSON sidecar that names their masks'}. "
            "Give the sidecar of the table, or set functional.confounds and confounds_alternative to 24p or 36p."
        )
    return sorted(known, key=lambda name: int(name.rsplit("_", 1)[1]))


def _mask_of(name: str, metadata: Mapping[str, Any]) -> str | None:
    """Return the tissue mask of a component: WM, CSF, combined, or None if nothing tells."""
    entry = metadata.get(name)
    if isinstance(entry, Mapping) and "Mask" in entry:
        return str(entry["Mask"])
    return next((mask for mask, prefix in COMPONENT_PREFIX.items() if name.startswith(prefix)), None)


def _regressor(table: pd.DataFrame, name: str, *, path: Path) -> Array:
    """Return a column; the difference or square that a table lacks is made from its base column."""
    if name in table.columns:
        return _column(table, name, path=path, backfill="_derivative1" in name or name in CHANGES)
    if name.endswith("_power2"):
        return _regressor(table, name.removesuffix("_power2"), path=path) ** 2
    if name.endswith("_derivative1"):
        step = np.diff(_column(table, name.removesuffix("_derivative1"), path=path))
        return np.concatenate([step[:1], step])
    return _column(table, name, path=path)


def _column(table: pd.DataFrame, name: str, *, path: Path, backfill: bool = False) -> Array:
    """Return a column as numbers; with ``backfill`` an empty first value becomes the second."""
    if name not in table.columns:
        raise InputError(f"{path}: the column {name} is missing; found {_some(list(table.columns))}.")
    try:
        column = table[name]
        stored = column if column.dtype.kind in "iuf" else column.replace("", np.nan)
        values = stored.to_numpy(dtype=np.float64, copy=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: the column {name} must hold numbers ({error}).") from error
    if backfill and len(values) > 1 and np.isnan(values[0]):
        values[0] = values[1]
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"{path}, line {bad[0] + 2}: the column {name} has no value (n/a); {bad.size} of {len(values)} rows "
            "are empty."
        )
    return values


def _change(table: pd.DataFrame, name: str, *, path: Path, otherwise: Array) -> Array:
    """Return a column of changes from volume to volume, NaN for the first; ``otherwise`` where the table has none."""
    if name not in table.columns:
        return otherwise
    values = _column(table, name, path=path, backfill=True)
    values[0] = np.nan
    return values


def _steady(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the volumes that no ``non_steady_state_outlier`` column marks."""
    marks = [name for name in table.columns if name.startswith("non_steady_state_outlier")]
    return np.asarray(~(table[marks].to_numpy(dtype=np.float64) > 0.5).any(axis=1))


def _some(names: list[str], *, most: int = 12) -> str:
    """Return names for a message, cut after a few."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
