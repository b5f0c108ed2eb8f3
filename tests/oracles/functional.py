"""Slow and plain versions of the connectivity kernels, and runs made by hand."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
SPACE = "MNI152NLin2009cAsym"
# a box of template space around PAG and vmPFC
AFFINE = np.array([[4.0, 0, 0, -26], [0, 4.0, 0, -58], [0, 0, 4.0, -30], [0, 0, 0, 1]])
SHAPE = (14, 30, 14)
SETTINGS = {
    "band_hz": [0.01, 0.08],
    "confounds": {"cortical": "24p", "brainstem": "24p"},
    "confounds_alternative": {"cortical": "36p", "brainstem": "acompcor24"},
    "confounds_fallback": None,
    "confounds_custom": {},
    "std_dvars_max": None,
    "segment_min_volumes": 1,
    "signal_min": 0.5,
    "seed_mm3_min": {"pag": 320, "vlpag": 96},
    "brainstem_dice_min": 0.85,
    "brainstem_controls": False,
    "physio": True,
    "template_transform": None,
    "seeds": ["pag", "vmpfc"],
    "map_fwhm_mm": 0,
    "edges": {},
    "slow5": {"high_pass_hz": 0.008, "band_hz": [0.01, 0.027], "total_hz": [0.01, 0.1], "kept_s": 300},
    "networks": ["DefaultMode", "Salience"],
    "shift_null": {"shifts": 500, "min_shift_s": 30},
    "atlases": {},
    "polynomial": 1,
    "fd_spike_mm": 0.25,
    "fd_mean_mm": [0.2, 0.55],
    "fd_max_mm": 5.0,
    "multiband": 4,
    "spike_fraction": 0.2,
    "kept_s": [240, 480],
    "dof_min": 25,
    "coverage_min": 0.5,
    "tsnr": [20, 30],
    "rois": "config/rois.tsv",
}


def cosine_columns(n_time: int, t_r: float) -> tuple[Array, Array]:
    """Frequencies (Hz) and DCT-II vectors, one value at a time."""
    columns = np.empty((n_time, n_time))
    for k in range(n_time):
        for t in range(n_time):
            columns[t, k] = np.cos(np.pi * (t + 0.5) * k / n_time)
    return np.array([k / (2 * n_time * t_r) for k in range(n_time)]), columns


def least_squares_clean(
    series: Array, *, confounds: Array, t_r: float, band_hz: tuple[float, float], degree: int
) -> Array:
    """Residuals of one regression on confounds, powers of time and every cosine outside the band; no censoring."""
    n_time = len(series)
    frequencies, columns = cosine_columns(n_time, t_r)
    outside = (frequencies < band_hz[0]) | (frequencies > band_hz[1])
    time = np.linspace(-1, 1, n_time)
    design = np.column_stack([*[time**power for power in range(degree + 1)], columns[:, outside], confounds])
    design = design / np.linalg.norm(design, axis=0)
    beta, *_ = np.linalg.lstsq(design, series, rcond=1e-10)
    return series - design @ beta


def slow_region_means(series: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted means and coverage, voxel by voxel."""
    n_time, n_voxel = series.shape
    means, coverage = np.full((n_time, len(weights)), np.nan), np.full(len(weights), np.nan)
    for roi, row in enumerate(weights):
        usable = [
            v for v in range(n_voxel) if np.all(np.isfinite(series[:, v])) and not np.all(series[:, v] == series[0, v])
        ]
        whole = sum(row)
        kept = sum(row[v] for v in usable)
        if whole > 0:
            coverage[roi] = kept / whole
        if kept > 0:
            for t in range(n_time):
                means[t, roi] = sum(row[v] * float(series[t, v]) for v in usable) / kept
    return means, coverage


def slow_fd(motion: Array, radius_mm: float) -> tuple[Array, Array]:
    """Power's and Jenkinson's displacement, volume by volume."""
    power, jenkinson = [np.nan], [np.nan]
    for previous, current in pairwise(motion):
        change = np.abs(current - previous)
        power.append(sum(change[:3]) + 50 * sum(change[3:]))
        moved = slow_matrix(current) @ np.linalg.inv(slow_matrix(previous)) - np.eye(4)
        a, b = moved[:3, :3], moved[:3, 3]
        jenkinson.append(float(np.sqrt(radius_mm**2 / 5 * np.trace(a.T @ a) + b @ b)))
    return np.array(power), np.array(jenkinson)


def slow_matrix(parameters: Array) -> Array:
    """FSL's rigid matrix of one volume."""
    x, y, z = parameters[3:]
    rx = np.array([[1, 0, 0], [0, np.cos(x), np.sin(x)], [0, -np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), np.sin(z), 0], [-np.sin(z), np.cos(z), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rx @ ry @ rz
    matrix[:3, 3] = parameters[:3]
    return matrix


def coloured(
    rng: np.random.Generator, *, n_time: int, n_series: int, exponent: float, t_r: float, band_hz: tuple[float, float]
) -> Array:
    """Noise with the spectrum f^-exponent over all frequencies, of unit expected energy within the band.

    Cut from a process eight times as long, so that nothing in it is periodic over the run.
    """
    long = 8 * n_time
    frequencies = np.fft.rfftfreq(long, t_r)
    frequencies[0] = frequencies[1]
    amplitude = (frequencies / band_hz[1]) ** (-exponent / 2)
    shape = (len(frequencies), n_series)
    spectrum = amplitude[:, None] * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    series = np.fft.irfft(spectrum, n=long, axis=0)
    in_band = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    series /= np.sqrt(4 * np.sum(amplitude[in_band] ** 2)) / long
    start = int(rng.integers(0, long - n_time))
    return series[start : start + n_time]


def confounds_table(
    rng: np.random.Generator, *, n_time: int, step_mm: float = 0.02, n_unsteady: int = 0
) -> pd.DataFrame:
    """A table with the columns of fMRIPrep: a slow random walk of the head, and what follows from it."""
    motion = np.cumsum(rng.standard_normal((n_time, 6)) * step_mm * np.array([1, 1, 1, 0.01, 0.01, 0.01]), axis=0)
    signals = {name: motion[:, i] for i, name in enumerate(MOTION)}
    for name in ("csf", "white_matter", "global_signal"):
        signals[name] = 1000 + np.cumsum(rng.standard_normal(n_time))
    table = {}
    for name, values in signals.items():
        step = np.concatenate([[np.nan], np.diff(values)])
        table |= {name: values, f"{name}_derivative1": step, f"{name}_power2": values**2}
        table[f"{name}_derivative1_power2"] = step**2
    power, jenkinson = slow_fd(motion, 80.0)
    table |= {"framewise_displacement": power, "rmsd": jenkinson}
    for prefix in ("c_comp_cor_", "w_comp_cor_"):
        for index in range(6):
            table[f"{prefix}{index:02d}"] = rng.standard_normal(n_time)
    for index in range(n_unsteady):
        table[f"non_steady_state_outlier{index:02d}"] = (np.arange(n_time) == index).astype(int)
    return pd.DataFrame(table)


def write_run(
    folder: Path,
    *,
    bold: NDArray[np.generic],
    mask: NDArray[np.generic],
    table: pd.DataFrame,
    t_r: float,
    stem: str = "sub-01_task-rest",
    affine: Array = AFFINE,
) -> list[Path]:
    """Write one fMRIPrep-shaped run and return its files."""
    func = folder / stem.split("_")[0] / "func"
    func.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}'
    )
    image = nib.Nifti1Image(bold, affine)
    image.header.set_zooms((*nib.affines.voxel_sizes(affine), t_r))
    image.header.set_xyzt_units("mm", "sec")
    paths = [
        func / f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz",
        func / f"{stem}_space-{SPACE}_desc-brain_mask.nii.gz",
    ]
    paths[0].write_bytes(gzip.compress(image.to_bytes(), compresslevel=1))
    paths[0].with_name(paths[0].name.replace(".nii.gz", ".json")).write_text(json.dumps({"RepetitionTime": t_r}))
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), paths[1])
    confounds = func / f"{stem}_desc-confounds_timeseries.tsv"
    table.to_csv(confounds, sep="\t", index=False, na_rep="n/a")
    return [*paths, confounds]
