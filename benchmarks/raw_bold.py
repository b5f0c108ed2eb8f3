"""Raw BOLD runs of known head motion through the embedded path: residual motion, seconds and peak memory.

``python -m benchmarks.raw_bold motion [--voxel-mm 3] [--volumes 240]``: conditions in turn, in this process.
``python -m benchmarks.raw_bold whole [--voxel-mm 2] [--volumes 240] [--folder DIR]``: the whole of a run, with
coregistration and normalisation to 2 mm; the peak is that of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from lbpneuro.io.images import Image
from lbpneuro.io.template_maps import template_brain, tissue_maps
from lbpneuro.kernels.quality import fd_power
from lbpneuro.preprocess.realign import parameters, realign, rigid

T_R = 2.0
EXTENT_MM = np.array([204.0, 216.0, 150.0])
CENTRE_MM = np.array([0.0, -18.0, 8.0])
TILT = np.deg2rad(12.0)
SIGNAL = {"CSF": 1100.0, "GM": 800.0, "WM": 620.0}
SCALP = 250.0
HEAD_MM = (4.0, 12.0)
ANATOMY_TO_BOLD = np.array([2.0, -3.0, 1.5, 0.03, -0.02, 0.025])

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Standard deviations: ``noise`` and ``drift`` as shares of the brain's mean, ``walk_mm`` of a step of the head."""

    walk_mm: float = 0.03
    spikes: int = 0
    noise: float = 0.0
    drift: float = 0.0


CONDITIONS = {
    "slow motion": Condition(),
    "noise": Condition(noise=0.012),
    "noise, spikes": Condition(noise=0.012, spikes=8),
    "noise, spikes, drift": Condition(noise=0.012, spikes=8, drift=0.03),
    "noise, spikes, drift, large motion": Condition(noise=0.012, spikes=8, drift=0.03, walk_mm=0.08),
    "still head, noise, drift": Condition(walk_mm=0.0, noise=0.012, drift=0.03),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A head on the 1-mm grid of the template: EPI contrast, tissue maps, brain."""

    affine: Array
    epi: Array
    brain: Array
    tissues: dict[str, Array]


def head() -> Head:
    brain = template_brain()
    inside = brain.data > 0
    tissues = {name: values * inside for name, values in tissue_maps(brain, warped=False).items()}
    epi = sum(SIGNAL[name] * values for name, values in tissues.items())
    distance = distance_transform_edt(~inside[::2, ::2, ::2]) * 2.0
    scalp = np.kron((distance > HEAD_MM[0]) & (distance < HEAD_MM[1]), np.ones((2, 2, 2)))
    scalp = scalp[tuple(slice(0, size) for size in epi.shape)]
    epi = gaussian_filter(np.where(inside, epi, SCALP * scalp).astype(np.float32), 0.6)
    return Head(affine=brain.affine, epi=epi, brain=brain.data, tissues=tissues)


def planted_motion(condition: Condition, *, n_time: int, seed: int) -> Array:
    """Six parameters per volume: a walk that is pulled back, and movements of about a millimetre for one volume."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, condition.walk_mm, (n_time, 6))
    path = np.zeros((n_time, 6))
    for t in range(1, n_time):
        path[t] = 0.985 * path[t - 1] + steps[t]
    for t in rng.choice(np.arange(5, n_time - 5), condition.spikes, replace=False):
        path[t] += rng.normal(0, 0.6, 6)
    path[:, 3:] /= 50.0
    return path


def grid(voxel_mm: float) -> tuple[Array, tuple[int, int, int]]:
    """A tilted grid, as scans have it."""
    shape = tuple(int(size) for size in np.round(EXTENT_MM / voxel_mm))
    turn = np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * voxel_mm
    affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine, shape


def simulated(source: Head, motion: Array, condition: Condition, *, voxel_mm: float, seed: int) -> tuple[Array, Array]:
    """Series (n_x, n_y, n_z, n_time) float32 and affine; the T1w image lies at ``ANATOMY_TO_BOLD`` of it."""
    rng = np.random.default_rng([seed, 1])
    affine, shape = grid(voxel_mm)
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(3, -1)
    points = affine[:3, :3] @ voxels + affine[:3, 3:]
    to_anatomy = np.linalg.inv(rigid(ANATOMY_TO_BOLD[None], CENTRE_MM)[0])
    # a voxel is as wide as it is: the source is smoothed to that
    image = gaussian_filter(source.epi, 0.36 * np.sqrt(max(voxel_mm**2 - 1.0, 0.0)))
    series = np.empty((*shape, len(motion)), dtype=np.float32, order="F")
    level = float(source.epi[source.brain > 0].mean())
    for t, moved in enumerate(rigid(motion, CENTRE_MM)):
        back = np.linalg.inv(source.affine) @ to_anatomy @ np.linalg.inv(moved)
        values = map_coordinates(image, back[:3, :3] @ points + back[:3, 3:], order=1, output=np.float32)
        values *= 1.0 + condition.drift * t / len(motion)
        values += condition.noise * level * rng.standard_normal(values.shape, dtype=np.float32)
        series[..., t] = np.maximum(values, 0).reshape(shape)
    return series, affine


def residual_mm(found: Array, motion: Array, points: Array) -> Array:
    """Mean distance per volume between where the head was and where it was found, the common offset taken out."""
    planted = rigid(motion, CENTRE_MM)
    offset = parameters(np.linalg.inv(planted) @ found, CENTRE_MM)
    common = rigid(np.median(offset, axis=0)[None], CENTRE_MM)[0]

    def moved(transforms: Array) -> Array:
        return np.einsum("tij,nj->tni", transforms[:, :3, :3], points) + transforms[:, None, :3, 3]

    return np.linalg.norm(moved(found) - moved(planted @ common), axis=-1).mean(axis=1)


def recovered(source: Head, condition: Condition, *, voxel_mm: float, n_time: int, seed: int = 1) -> dict[str, float]:
    motion = planted_motion(condition, n_time=n_time, seed=seed)
    series, affine = simulated(source, motion, condition, voxel_mm=voxel_mm, seed=seed)
    start = time.process_time()
    found = realign(series, affine)
    seconds = time.process_time() - start
    points = np.argwhere(source.brain[::8, ::8, ::8] > 0) * 8 @ source.affine[:3, :3].T + source.affine[:3, 3]
    residual = residual_mm(found, motion, points)
    planted = residual_mm(np.tile(np.eye(4), (n_time, 1, 1)), motion, points)
    fd, true_fd = fd_power(parameters(found, CENTRE_MM))[1:], fd_power(motion)[1:]
    over = true_fd > 0.5
    return {
        "planted mean": planted.mean(),
        "planted max": planted.max(),
        "residual mean": residual.mean(),
        "residual p95": float(np.quantile(residual, 0.95)),
        "residual max": residual.max(),
        "FD planted": true_fd.mean(),
        "FD found": fd.mean(),
        "FD r": float(np.corrcoef(fd, true_fd)[0, 1]) if true_fd.std() else float("nan"),
        "FD max error": float(np.abs(fd - true_fd).max()),
        "FD > 0.5 both": int((over & (fd > 0.5)).sum()),
        "FD > 0.5 planted": int(over.sum()),
        "FD > 0.5 found": int((fd > 0.5).sum()),
        "CPU s": seconds,
    }


def write_run(folder: Path, source: Head, *, voxel_mm: float, n_time: int) -> tuple[Path, Array]:
    """Write a raw run (int16, gzip) with slice times, unless it is there."""
    condition = CONDITIONS["noise, spikes, drift"]
    motion = planted_motion(condition, n_time=n_time, seed=1)
    path = folder / "raw" / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz"
    if path.exists():
        return path, motion
    path.parent.mkdir(parents=True, exist_ok=True)
    series, affine = simulated(source, motion, condition, voxel_mm=voxel_mm, seed=1)
    image = nib.Nifti1Image(np.rint(series * 4).astype(np.int16), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = T_R
    nib.save(image, path)
    order = np.argsort(np.argsort([*range(0, series.shape[2], 2), *range(1, series.shape[2], 2)]))
    times = (order * T_R / series.shape[2]).round(4).tolist()
    sidecar = {"TaskName": "rest", "RepetitionTime": T_R, "SliceTiming": times}
    path.with_name("sub-01_task-rest_bold.json").write_text(json.dumps(sidecar))
    return path, motion


def anatomy(folder: Path, source: Head) -> Any:
    """The head as ``preprocess-anat`` would have written it at the standard level; T1w and template are one space."""
    from lbpneuro.io.composites import TransformRecord, write_composite
    from lbpneuro.preprocess.functional import NativeAnatomy
    from lbpneuro.preprocess.templates import subsample

    transform = folder / "identity.h5"
    still = TransformRecord(kind="AffineTransform_double_3_3", parameters=np.eye(4, 3).ravel(), fixed=np.zeros(3))
    write_composite(transform, [still])
    maps = {"T1w": source.brain, "mask": (source.brain > 0).astype(np.float32), **source.tissues}
    native = {
        name: Image(path=folder, data=data.astype(np.float32), affine=source.affine) for name, data in maps.items()
    }
    affine = source.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    template = {name: Image(path=folder, data=subsample(source.tissues[name], 2), affine=affine) for name in SIGNAL}
    return NativeAnatomy(
        t1w=native["T1w"],
        mask=native["mask"],
        white_matter=native["WM"],
        to_template=transform,
        template_tissues=template,
    )


def whole(folder: Path, *, voxel_mm: float, n_time: int) -> dict[str, float]:
    """CPU seconds and peak memory (GB) of a run from file to file."""
    from lbpneuro.preprocess.derivatives import write_confounds, write_series
    from lbpneuro.preprocess.functional import preprocess_run
    from lbpneuro.preprocess.itk import ants_session
    from lbpneuro.preprocess.levels import level

    source = head()
    path, motion = write_run(folder, source, voxel_mm=voxel_mm, n_time=n_time)
    person = anatomy(folder, source)
    source = replace(source, epi=np.empty(0))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with ants_session():
        run = preprocess_run(path, anatomy=person, level=level("standard"))
    seconds = time.process_time() - start
    write_series(folder / "sub-01_task-rest_desc-preproc_bold.nii.gz", run)
    write_confounds(folder / "sub-01_task-rest_desc-confounds_timeseries.tsv", run)
    true_fd = fd_power(motion)[1:]
    return {
        "points": run.bold.shape[1],
        "CPU s": seconds,
        "CPU s with writing": time.process_time() - start,
        "peak GB before": before / 1e6,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "FD r": float(np.corrcoef(run.confounds["framewise_displacement"][1:], true_fd)[0, 1]),
        **run.quality,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("motion", "whole"))
    parser.add_argument("--voxel-mm", type=float)
    parser.add_argument("--volumes", type=int, default=240)
    parser.add_argument("--folder", type=Path, help="keep the files here (a temporary folder)")
    given = parser.parse_args()
    if given.part == "motion":
        source = head()
        for name, condition in CONDITIONS.items():
            figures = recovered(source, condition, voxel_mm=given.voxel_mm or 3.0, n_time=given.volumes)
            print(f"{name}: {', '.join(f'{key} {value:.3f}' for key, value in figures.items())}", flush=True)
        return
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        figures = whole(folder, voxel_mm=given.voxel_mm or 2.0, n_time=given.volumes)
    print(", ".join(f"{key} {value:.3f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
