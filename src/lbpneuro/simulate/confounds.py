"""The confounds table of fMRIPrep, computed from a simulated run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.simulate.bold import BoldSettings, Courses, Maps, Matrix
from lbpneuro.simulate.grids import Array, Grid
from lbpneuro.simulate.motion import MOTION_COLUMNS, framewise_displacement, jenkinson_displacement
from lbpneuro.simulate.template import template

if TYPE_CHECKING:
    import pandas as pd

HIGH_PASS_S = 128.0
COMPONENTS = 10
RETAINED = 5
OUTLIER_FD_MM = 0.5
OUTLIER_STD_DVARS = 1.5

Columns = dict[str, Array]
Sidecar = dict[str, Any]


def confounds(
    series: Matrix, maps: Maps, *, time: Courses, grid: Grid, settings: BoldSettings
) -> tuple[pd.DataFrame, Sidecar]:
    """Return the confounds table (one row per volume) of ``series`` (n_voxel, n_time) and its sidecar."""
    import pandas as pd

    masks = tissue_masks(maps, grid)
    signals = {
        "csf": series[masks["CSF"]].mean(axis=0, dtype=float),
        "white_matter": series[masks["WM"]].mean(axis=0, dtype=float),
        "global_signal": series.mean(axis=0, dtype=float),
    }
    motion = dict(zip(MOTION_COLUMNS, time.motion.T, strict=True))
    columns: Columns = {}
    for name, values in {**signals, **motion}.items():
        columns |= expansion(name, values)
    columns |= displacement(series, time)
    components, sidecar = compcor(series, masks, settings=settings)
    drift = cosines(settings)
    columns |= components | drift | outliers(columns, n_dummy=len(settings.dummy))
    return pd.DataFrame(columns), {**{name: {"Method": "Mean"} for name in signals}, **sidecar}


def tissue_masks(maps: Maps, grid: Grid) -> dict[str, NDArray[np.bool_]]:
    """Return masks (n_voxel,) of voxels that hold next to nothing but one tissue, and no region with its own signal."""
    source = template(grid.voxel_mm)
    brain, gm, wm = (volume.ravel()[maps.inside] for volume in (source.brain, source.gm, source.wm))
    deep = (brain > 0.99) & (maps.regions.sum(axis=1) < 0.01)
    csf = deep & (1 - gm - wm > 0.6)
    white = deep & (wm > 0.85)
    return {"CSF": csf, "WM": white, "combined": csf | white}


def expansion(name: str, values: Array) -> Columns:
    """Return a time course, its backward difference (NaN first) and the squares of both."""
    change = np.diff(values, prepend=np.nan)
    return {
        name: values,
        f"{name}_derivative1": change,
        f"{name}_derivative1_power2": change**2,
        f"{name}_power2": values**2,
    }


def displacement(series: Matrix, time: Courses) -> Columns:
    """Return DVARS, standardised DVARS and the two framewise displacements; NaN for the first volume."""
    change = np.diff(series, axis=1)
    dvars = np.concatenate([[np.nan], np.sqrt(np.mean(change**2, axis=0, dtype=float))])
    expected = np.median(change.std(axis=1, ddof=1))
    return {
        "dvars": dvars,
        "std_dvars": dvars / float(expected),
        "framewise_displacement": framewise_displacement(time.motion),
        "rmsd": jenkinson_displacement(time.motion),
    }


def cosines(settings: BoldSettings) -> Columns:
    """Return the discrete cosines of periods longer than 128 s, without the constant."""
    order = np.arange(1, int(np.floor(2 * settings.n_time * settings.t_r / HIGH_PASS_S)) + 1)
    steps = np.arange(settings.n_time) + 0.5
    basis = np.sqrt(2 / settings.n_time) * np.cos(np.pi * np.outer(order, steps) / settings.n_time)
    return {f"cosine{number:02d}": row for number, row in enumerate(basis)}


def compcor(series: Matrix, masks: dict[str, NDArray[np.bool_]], *, settings: BoldSettings) -> tuple[Columns, Sidecar]:
    """Return principal components of the noise tissues after a high-pass, and what the sidecar says of them.

    Behzadi 2007 (10.1016/j.neuroimage.2007.04.042); named as since fMRIPrep 21: a for combined, c for CSF, w for WM.
    """
    columns: Columns = {}
    sidecar: Sidecar = {}
    steady = len(settings.dummy)
    drift = np.stack([np.ones(settings.n_time), *cosines(settings).values()])[:, steady:]
    for letter, mask in (("a", "combined"), ("c", "CSF"), ("w", "WM")):
        singular, share, courses = principal_components(series[masks[mask]][:, steady:].astype(float), drift)
        cumulative = np.cumsum(share)
        for number in range(COMPONENTS):
            name = f"{letter}_comp_cor_{number:02d}"
            retained = number < RETAINED or letter == "a"
            columns[name] = np.concatenate([np.zeros(steady), courses[number]])
            sidecar[name] = {
                "CumulativeVarianceExplained": round(float(cumulative[number]), 10),
                "Mask": mask,
                "Method": "aCompCor",
                "Retained": retained,
                "SingularValue": round(float(singular[number]), 10),
                "VarianceExplained": round(float(share[number]), 10),
            }
    return columns, sidecar


def principal_components(series: Array, drift: Array) -> tuple[Array, Array, Array]:
    """Return singular values, shares of variance and time courses (COMPONENTS, n_time) of standardised ``series``."""
    from scipy import linalg

    basis = np.linalg.qr(drift.T)[0]
    residual = series - (series @ basis) @ basis.T
    residual /= residual.std(axis=1, keepdims=True, ddof=1)
    product = residual.T @ residual
    n_time = len(product)
    values, vectors = linalg.eigh(product, subset_by_index=(n_time - COMPONENTS, n_time - 1))
    values = np.maximum(values[::-1], 0)
    courses = vectors[:, ::-1].T
    largest = np.abs(courses).argmax(axis=1)
    courses = courses * np.sign(courses[np.arange(len(courses)), largest])[:, None]
    return np.sqrt(values), values / np.trace(product), courses


def outliers(columns: Columns, *, n_dummy: int) -> Columns:
    """Return one indicator per volume before the steady state and per volume with much motion or signal change."""
    n_time = len(columns["dvars"])
    moved = (columns["framewise_displacement"] > OUTLIER_FD_MM) | (columns["std_dvars"] > OUTLIER_STD_DVARS)
    moved[:n_dummy] = False
    marks = {f"non_steady_state_outlier{number:02d}": number for number in range(n_dummy)}
    marks |= {f"motion_outlier{number:02d}": int(time) for number, time in enumerate(np.flatnonzero(moved))}
    return {name: (np.arange(n_time) == time).astype(float) for name, time in marks.items()}
