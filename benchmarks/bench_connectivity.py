"""Connectivity against nilearn on the same files, side by side in one process: time, memory and agreement.

``python benchmarks/bench_connectivity.py [--voxel-mm 3] [--volumes 300] [--repeats 3] [--models ...] [--record]``

Kernel: cleaning a voxel matrix and correlating a seed with every voxel, from arrays. End to end: from a compressed
BOLD file, its mask and its confounds table to the correlation of PAG and vmPFC and the seed map.

Each with three models. `high-pass`: confounds of the strategy 24p and slow cosines in one regression. `band-pass,
cosines`: the same with all cosines outside 0.01-0.08 Hz. nilearn can do both when it is given the cosines as confounds,
so that the results must agree to rounding, and the times compare the same mathematics. `band-pass, Butterworth`:
nilearn's own filter for the same band, applied before the regression; the results are similar, not equal, and what the
ratio exceeds that of `cosines` is the price of the filter. Nothing is censored.

Every repeat runs both sides after one another, on one thread; seconds are medians of CPU time (user and system), which
other work on the machine does not lengthen much. ``--record`` appends to RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.confounds import read_confounds
from lbpneuro.io.regions import read_regions, region_weights
from lbpneuro.io.runs import RunFiles, read_scan
from lbpneuro.kernels.correlation import correlation, seed_correlation
from lbpneuro.kernels.nuisance import project, residual_basis
from lbpneuro.markers.functional import ROIS

Array = NDArray[np.floating[Any]]
Side = Callable[..., Array]

HERE = Path(__file__).resolve().parent
REGIONS = HERE.parent / "config" / "rois.tsv"
SPACE = "MNI152NLin2009cAsym"
T_R = 2.0
ALL_MODELS = ("high-pass", "band-pass, cosines", "band-pass, Butterworth")
BANDS_HZ = dict(zip(ALL_MODELS, ((0.01, 9.0), (0.01, 0.08), (0.01, 0.08)), strict=True))


def simulated_run(folder: Path, *, voxel_mm: float, n_time: int) -> RunFiles:
    """Write a run of int16 values with head motion, and return its files."""
    rng = np.random.default_rng(1)
    shape = tuple(int(np.ceil(extent / voxel_mm)) for extent in (193, 229, 193))
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = (-96, -132, -78)
    points = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) * voxel_mm + affine[:3, 3]
    mask = (((points - (0, -18, 10)) / (70, 88, 66)) ** 2).sum(axis=-1) < 1
    motion = np.cumsum(rng.standard_normal((n_time, 6)) * [0.02, 0.02, 0.02, 2e-4, 2e-4, 2e-4], axis=0)
    shared = 5 * np.cumsum(rng.standard_normal(n_time)) + motion @ rng.standard_normal(6) * 50
    bold = np.zeros((*shape, n_time), dtype=np.int16)
    for t in range(n_time):
        bold[mask, t] = 1000 + 20 * rng.standard_normal(mask.sum(), dtype=np.float32) + shared[t]
    func = folder / "sub-01" / "func"
    func.mkdir(parents=True)
    stem = f"sub-01_task-rest_space-{SPACE}_desc"
    files = RunFiles(
        bold=func / f"{stem}-preproc_bold.nii.gz",
        mask=func / f"{stem}-brain_mask.nii.gz",
        confounds=func / "sub-01_task-rest_desc-confounds_timeseries.tsv",
    )
    image = nib.Nifti1Image(bold, affine)
    image.header.set_zooms((voxel_mm, voxel_mm, voxel_mm, T_R))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, files.bold)
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), files.mask)
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    pd.DataFrame(motion, columns=names).to_csv(files.confounds, sep="\t", index=False)
    (func / f"{stem}-preproc_bold.json").write_text(json.dumps({"RepetitionTime": T_R}))
    return files


def our_kernel(bold: Array, regressors: Array, seed: Array, *, model: str) -> Array:
    keep = np.ones(len(bold), dtype=bool)
    basis = residual_basis(regressors, t_r=T_R, band_hz=BANDS_HZ[model], polynomial=0, keep=keep)
    return seed_correlation(project(basis, seed[:, None], keep=keep)[:, 0], projected=project(basis, bold, keep=keep))


def nilearn_clean(series: Array, regressors: Array, *, model: str) -> Array:
    """Clean by nilearn, with its Butterworth filter or with the cosines outside the band given as confounds.

    Its own cosine filter leaves all of them out (with a warning) when a confound resembles one of them.
    """
    from nilearn.signal import clean

    low, high = BANDS_HZ[model]
    if model == "band-pass, Butterworth":
        how: dict[str, Any] = {"filter": "butterworth", "high_pass": low, "low_pass": high}
    else:
        how = {"filter": False}
        regressors = np.column_stack([regressors, cosines_outside(low, high, n_time=len(series))])
    cleaned = clean(series, confounds=regressors, t_r=T_R, detrend=False, standardize=None, **how)
    return cleaned - cleaned.mean(axis=0)


def cosines_outside(low: float, high: float, *, n_time: int) -> Array:
    frequencies = np.arange(1, n_time) / (2 * n_time * T_R)
    outside = (frequencies < low * (1 - 1e-9)) | (frequencies > high * (1 + 1e-9))
    return np.cos(np.pi * (np.arange(n_time)[:, None] + 0.5) * (np.flatnonzero(outside) + 1) / n_time)


def nilearn_kernel(bold: Array, regressors: Array, seed: Array, *, model: str) -> Array:
    cleaned = nilearn_clean(np.column_stack([seed, bold]), regressors, model=model)
    unit = cleaned / np.linalg.norm(cleaned, axis=0)
    return unit[:, 0] @ unit[:, 1:]


def settings(model: str) -> dict[str, Any]:
    """Return the settings of the package with what both sides share: one set of confounds, nothing censored."""
    shared = {"confounds": "24p", "confounds_fallback": None, "polynomial": 0, "fd_spike_mm": 99.0}
    return {**resolve(read_config())["functional"], **shared, "band_hz": BANDS_HZ[model]}


def our_files(files: RunFiles, regions: Mapping[Any, Any], *, model: str) -> Array:
    scan = read_scan(files, regions=regions, settings=settings(model))
    run = scan.run
    assert run.basis is not None
    pair = project(run.basis, run.means, keep=run.keep)
    seed_map = seed_correlation(pair[:, 0], projected=project(run.basis, scan.series.bold, keep=run.keep))
    return np.concatenate([[correlation(pair)[0, 1]], seed_map])


def nilearn_files(files: RunFiles, regions: Mapping[Any, Any], *, model: str) -> Array:
    """The way of a nilearn script: mask, clean the voxels, take weighted means, correlate."""
    from nilearn.masking import apply_mask

    image, mask = nib.load(files.bold), nib.load(files.mask)
    bold = apply_mask(image, mask)
    inside = np.asarray(mask.dataobj) > 0
    weights = [region_weights(regions[roi, "n/a"], affine=image.affine, shape=image.shape[:3])[inside] for roi in ROIS]
    regressors = read_confounds(files.confounds, strategy="24p", n_time=len(bold)).regressors
    cleaned = nilearn_clean(bold, regressors, model=model)
    means = np.column_stack([cleaned @ weight / weight.sum() for weight in weights])
    unit = means / np.linalg.norm(means, axis=0)
    return np.concatenate([[unit[:, 0] @ unit[:, 1]], unit[:, 0] @ (cleaned / np.linalg.norm(cleaned, axis=0))])


def compare(name: str, ours: Side, theirs: Side, *, models: Sequence[str], repeats: int) -> list[dict[str, str]]:
    """Run both sides in turn under each model; return median seconds, peak memory of arrays and the difference."""
    return [
        {
            "comparison": f"{name}, {model}",
            **sides(partial(ours, model=model), partial(theirs, model=model), repeats),
        }
        for model in models
    ]


def sides(ours: Callable[[], Array], theirs: Callable[[], Array], repeats: int) -> dict[str, str]:
    both = {"lbpneuro": ours, "nilearn": theirs}
    results, peak = {}, {}
    for side, function in both.items():
        tracemalloc.start()
        results[side] = function()
        peak[side] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    seconds: dict[str, list[float]] = {side: [] for side in both}
    for _ in range(repeats):
        for side, function in both.items():
            start = time.process_time()
            function()
            seconds[side].append(time.process_time() - start)
    median = {side: float(np.median(values)) for side, values in seconds.items()}
    difference = np.abs(results["lbpneuro"] - results["nilearn"])
    return {
        **{f"{side} (CPU s)": f"{median[side]:.2f}" for side in both},
        "nilearn / lbpneuro": f"{median['nilearn'] / median['lbpneuro']:.1f}",
        **{f"{side} peak (MB)": f"{peak[side]:.0f}" for side in both},
        "difference of r, median": f"{np.median(difference):.0e}",
        "largest": f"{difference.max():.0e}",
    }


def markdown(rows: list[dict[str, str]]) -> str:
    """Return a table in Markdown."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(row.values()) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--voxel-mm", type=float, default=3.0)
    arguments.add_argument("--volumes", type=int, default=300)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--models", nargs="+", choices=ALL_MODELS, default=ALL_MODELS)
    arguments.add_argument("--record", action="store_true", help="append the result to RESULTS.md")
    options = arguments.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        files = simulated_run(Path(folder), voxel_mm=options.voxel_mm, n_time=options.volumes)
        regions = read_regions(REGIONS)
        scan = read_scan(files, regions=regions, settings=settings(ALL_MODELS[1]))
        arrays = (scan.series.bold, scan.confounds.regressors, scan.run.means[:, 0])
        rows = compare(
            "arrays to seed map",
            lambda model: our_kernel(*arrays, model=model),
            lambda model: nilearn_kernel(*arrays, model=model),
            models=options.models,
            repeats=options.repeats,
        ) + compare(
            "files to seed map and ROI pair",
            lambda model: our_files(files, regions, model=model),
            lambda model: nilearn_files(files, regions, model=model),
            models=options.models,
            repeats=options.repeats,
        )
        size = files.bold.stat().st_size / 1e6
    n_time, n_voxel = arrays[0].shape
    facts = (
        f"{n_time} volumes x {n_voxel} voxels ({options.voxel_mm:g} mm), {size:.0f} MB compressed; "
        f"1 thread, {options.repeats} repeat(s); {platform.machine()}, "
        f"Python {platform.python_version()}, numpy {version('numpy')}, nilearn {version('nilearn')}."
    )
    text = f"{facts}\n\n{markdown(rows)}\n"
    print(text)
    if options.record:
        with (HERE / "RESULTS.md").open("a", encoding="utf-8") as stream:
            stream.write(f"\n## Connectivity\n\n{text}")


if __name__ == "__main__":
    main()
