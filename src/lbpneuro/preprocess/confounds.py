"""Nuisance regressors of a BOLD run, under the column names of fMRIPrep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.kernels.quality import fd_jenkinson, fd_power

Array = NDArray[np.floating]
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
MAD_TO_SIGMA = 0.6745
IQR_TO_SIGMA = 1.349
LOW_FREQUENCY_S = 128.0
BLOCK = 16_384  # voxels at a time, so that the run is never copied whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Principal components of a tissue's time courses.

    ``courses`` (n_time, n_component) have unit norm, ``singular`` (n_component,) are the singular values and
    ``explained`` (n_component,) the shares of the total variance.
    """

    courses: NDArray[np.float64]
    singular: NDArray[np.float64]
    explained: NDArray[np.float64]


def non_steady_state(global_signal: Array, *, n_first: int = 50, threshold: float = 3.5) -> int:
    """Return how many volumes at the start are brighter than the rest: the scanner was not yet in steady state.

    A volume counts while its modified z value 0.6745 |x - median| / MAD among the first ``n_first`` exceeds
    ``threshold`` (Iglewicz & Hoaglin 1993, as fMRIPrep does).
    """
    first = np.asarray(global_signal[:n_first], dtype=np.float64)
    distance = np.abs(first - np.median(first))
    spread = np.median(distance)
    outlying = MAD_TO_SIGMA * distance > threshold * spread
    return int(np.argmin(outlying)) if not outlying.all() else 0


def dvars(series: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return DVARS and its standardised form (Nichols 2017, https://doi.org/10.48550/arXiv.1704.01469).

    Parameters
    ----------
    series : array, shape (n_time, n_voxel)
        BOLD inside the brain; scaled here to a median of 1000.

    Returns
    -------
    dvars, std_dvars : array, shape (n_time,)
        The first of each is NaN. The expected value under no motion is taken from the interquartile range and the
        lag-1 autocorrelation of every voxel.
    """
    scale = 1000.0 / float(np.median(series))
    squares, expected, n_varying = np.zeros(len(series) - 1), 0.0, 0
    for start in range(0, series.shape[1], BLOCK):
        part = series[:, start : start + BLOCK] * scale
        quartiles = np.quantile(part, (0.25, 0.75), axis=0, method="lower")
        sigma = (quartiles[1] - quartiles[0]) / IQR_TO_SIGMA
        varies = sigma > 0
        part, sigma = part[:, varies].astype(np.float64), sigma[varies]
        expected += float((np.sqrt(2.0 * (1.0 - lag_one(part))) * sigma).sum())
        squares += (np.diff(part, axis=0) ** 2).sum(axis=1)
        n_varying += int(varies.sum())
    plain = np.sqrt(squares / n_varying)
    return np.concatenate([[np.nan], plain]), np.concatenate([[np.nan], plain * n_varying / expected])


def lag_one(series: Array) -> NDArray[np.float64]:
    """Return the lag-1 autocorrelation of every column (Yule-Walker; sums divided by n_time)."""
    centred = series - series.mean(axis=0, dtype=np.float64)
    return np.asarray((centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0), dtype=np.float64)


def cosine_drift(n_time: int, t_r: float, *, period_s: float = LOW_FREQUENCY_S) -> NDArray[np.float64]:
    """Return the discrete cosines slower than ``period_s``, without the constant.

    Column k is sqrt(2 / n_time) cos(pi (k + 1) (t + 1/2) / n_time), t = 0 ... n_time - 1.

    Returns
    -------
    array, shape (n_time, floor(2 n_time t_r / period_s))
    """
    order = min(int(np.floor(2.0 * n_time * t_r / period_s)), n_time - 1)
    phase = np.pi * np.outer(np.arange(n_time) + 0.5, np.arange(1, order + 1)) / n_time
    return np.sqrt(2.0 / n_time) * np.cos(phase)


def tissue_components(series: Array, drift: Array, *, share: float = 0.5, at_least: int = 5) -> Components:
    """Return the principal components of a tissue that fMRIPrep's aCompCor would keep.

    Constant and ``drift`` are removed from every voxel, voxels are scaled to unit variance, and as many components
    are kept as explain ``share`` of the variance, ``at_least`` a fixed number where the data allow
    (Behzadi et al. 2007, https://doi.org/10.1016/j.neuroimage.2007.04.042).

    Parameters
    ----------
    series : array, shape (n_time, n_voxel)
    drift : array, shape (n_time, n_drift)
        Orthonormal, orthogonal to the constant.
    """
    centred = series - series.mean(axis=0, dtype=np.float64)
    residual = centred - drift @ (drift.T @ centred)
    sigma = residual.std(axis=0, ddof=0)
    standard = residual[:, sigma > 0] / sigma[sigma > 0]
    values, courses = np.linalg.eigh(standard @ standard.T)
    values, courses = np.maximum(values[::-1], 0.0), courses[:, ::-1]
    singular, explained = np.sqrt(values), values / values.sum()
    n_kept = max(int(np.searchsorted(np.cumsum(explained), share)) + 1, at_least)
    n_kept = min(n_kept, int((singular > singular[0] * 1e-6).sum()))
    peaks = np.abs(courses).argmax(axis=0)
    signs = np.sign(courses[peaks, np.arange(courses.shape[1])])
    return Components(courses=(courses * signs)[:, :n_kept], singular=singular[:n_kept], explained=explained[:n_kept])


def expansions(name: str, course: Array) -> dict[str, NDArray[np.float64]]:
    """Return a course with its backward difference (first NaN) and the squares of both."""
    values = np.asarray(course, dtype=np.float64)
    derivative = np.concatenate([[np.nan], np.diff(values)])
    return {
        name: values,
        f"{name}_derivative1": derivative,
        f"{name}_power2": values**2,
        f"{name}_derivative1_power2": derivative**2,
    }


def spikes(prefix: str, volumes: Iterable[int], *, n_time: int) -> dict[str, NDArray[np.float64]]:
    """Return one column per volume that is 1 there and 0 elsewhere: ``prefix00``, ``prefix01`` ..."""
    return {f"{prefix}{k:02d}": (np.arange(n_time) == volume).astype(float) for k, volume in enumerate(volumes)}


def motion_outliers(fd: Array, std_dvars: Array, *, fd_mm: float = 0.5, dvars_limit: float = 1.5) -> list[int]:
    """Return the volumes whose framewise displacement or standardised DVARS exceeds the limit of fMRIPrep."""
    return [int(k) for k in np.flatnonzero((fd > fd_mm) | (std_dvars > dvars_limit))]


def confound_columns(
    series: Array, *, motion: Array, tissues: Mapping[str, NDArray[np.bool_]], t_r: float, n_dummy: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Return the confound columns of a run and their JSON description, both as fMRIPrep writes them.

    Parameters
    ----------
    series : array, shape (n_time, n_voxel)
        BOLD inside the brain mask.
    motion : array, shape (n_time, 6)
        Translations (mm) and rotations (rad).
    tissues : mapping of array, shape (n_voxel,)
        Voxels of pure "CSF" and "WM", away from other tissue.
    n_dummy : int
        Volumes at the start that are not in steady state: they get spike columns and zeros in drift and components.
    """
    n_time = len(series)
    fd, (plain, standard) = fd_power(motion), dvars(series)
    means = {
        "global_signal": series,
        "csf": series[:, tissues["CSF"]],
        "white_matter": series[:, tissues["WM"]],
    }
    columns: dict[str, NDArray[np.float64]] = {}
    for name, voxels in means.items():
        columns |= expansions(name, voxels.mean(axis=1, dtype=np.float64))
    columns |= {"csf_wm": series[:, tissues["CSF"] | tissues["WM"]].mean(axis=1, dtype=np.float64)}
    columns |= {"std_dvars": standard, "dvars": plain}
    columns |= {"framewise_displacement": fd, "rmsd": fd_jenkinson(motion)}
    drift = cosine_drift(n_time - n_dummy, t_r)
    components, description = component_columns(series[n_dummy:], tissues, drift=drift)
    columns |= {name: padded(course, n_time) for name, course in components.items()}
    columns |= {f"cosine{k:02d}": padded(course, n_time) for k, course in enumerate(drift.T)}
    columns |= spikes("non_steady_state_outlier", range(n_dummy), n_time=n_time)
    for name, course in zip(MOTION, motion.T, strict=True):
        columns |= expansions(name, course)
    columns |= spikes("motion_outlier", [k for k in motion_outliers(fd, standard) if k >= n_dummy], n_time=n_time)
    return columns, {**{name: {"Method": "Mean"} for name in (*means, "csf_wm")}, **description}


def component_columns(
    series: Array, tissues: Mapping[str, NDArray[np.bool_]], *, drift: Array
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Return the aCompCor columns (c: CSF, w: WM, a: both combined) and their description."""
    masks = {"c": ("CSF", tissues["CSF"]), "w": ("WM", tissues["WM"])}
    masks["a"] = ("combined", tissues["CSF"] | tissues["WM"])
    columns, description = {}, {}
    for letter, (mask_name, voxels) in masks.items():
        found = tissue_components(series[:, voxels], drift)
        cumulative = np.cumsum(found.explained)
        for k, course in enumerate(found.courses.T):
            name = f"{letter}_comp_cor_{k:02d}"
            columns[name] = course
            description[name] = {
                "CumulativeVarianceExplained": round(float(cumulative[k]), 10),
                "Mask": mask_name,
                "Method": "aCompCor",
                "Retained": True,
                "SingularValue": round(float(found.singular[k]), 10),
                "VarianceExplained": round(float(found.explained[k]), 10),
            }
    return columns, description


def padded(course: Array, n_time: int) -> NDArray[np.float64]:
    """Return ``course`` with zeros put before it, to ``n_time`` values."""
    return np.concatenate([np.zeros(n_time - len(course)), course])
