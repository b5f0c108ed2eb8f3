"""A preprocessed run that is like a real one in what costs time: grid, mask, noise, and how far it can be packed.

A head of two tissues on the grid of MNI152NLin2009cAsym, its brain a fifth of the image; smooth anatomy, noise that is
smooth in space and time, a few networks, air that is not empty, edges of the field of view that are. int16, packed by
zlib at level 1 (what nibabel writes): 1.9 times smaller, where real raw runs give 1.2 to 2.4.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SPACE = "MNI152NLin2009cAsym"
T_R = 2.0
EXTENT_MM = (193, 229, 193)
ORIGIN_MM = (-96, -132, -78)
CENTRE_MM = np.array([0, -18, 10])
RADII_MM = np.array([72.3, 91.0, 68.2])
N_NETWORKS = 8
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
Volume = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The files of a run."""

    bold: Path
    mask: Path
    confounds: Path


def run_files(folder: Path) -> Run:
    func = folder / "sub-01" / "func"
    stem = f"sub-01_task-rest_space-{SPACE}_desc"
    return Run(
        bold=func / f"{stem}-preproc_bold.nii.gz",
        mask=func / f"{stem}-brain_mask.nii.gz",
        confounds=func / "sub-01_task-rest_desc-confounds_timeseries.tsv",
    )


def make_run(folder: Path, *, voxel_mm: float, n_time: int) -> Run:
    """Write a run, unless a whole one is there."""
    files = run_files(folder)
    done = folder / "done"
    if done.exists():
        return files
    files.bold.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    shape = tuple(int(np.ceil(extent / voxel_mm)) for extent in EXTENT_MM)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = ORIGIN_MM
    brain, head = (_distance(shape, affine, scale=scale) < 1 for scale in (1.0, 1.2))
    nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), files.mask)
    courses = gaussian_filter(rng.standard_normal((n_time, N_NETWORKS)), (1.5, 0))
    write_confounds(files.confounds, rng=rng, courses=courses)
    metadata = {"RepetitionTime": T_R, "TaskName": "rest", "SkullStripped": False}
    files.bold.with_name(files.bold.name.replace(".nii.gz", ".json")).write_text(json.dumps(metadata))
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    header = bold_header((*shape, n_time), affine, voxel_mm=voxel_mm)
    with gzip.open(files.bold, "wb", compresslevel=1) as stream:
        stream.write(header)
        for volume in volumes(rng, brain=brain, head=head, courses=courses):
            stream.write(np.abs(np.rint(volume)).astype("<i2").tobytes("F"))
    done.touch()
    return files


def bold_header(shape: tuple[int, ...], affine: NDArray[Any], *, voxel_mm: float) -> bytes:
    header = nib.Nifti1Image(np.zeros((1, 1, 1, 1), dtype=np.int16), affine).header
    header.set_data_shape(shape)
    header.set_zooms((voxel_mm, voxel_mm, voxel_mm, T_R))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(affine, code=4)
    header.set_slope_inter(1, 0)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return bytes(header.binaryblock) + bytes(4)


def _distance(shape: tuple[int, ...], affine: NDArray[Any], *, scale: float) -> NDArray[Any]:
    """Return the squared distance from the centre, 1 on an ellipsoid of ``scale`` times the radii of the brain."""
    points = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) * affine[0, 0]
    return np.asarray((((points + affine[:3, 3] - CENTRE_MM) / (RADII_MM * scale)) ** 2).sum(axis=-1))


def volumes(
    rng: np.random.Generator, *, brain: NDArray[np.bool_], head: NDArray[np.bool_], courses: NDArray[Any]
) -> Iterator[Volume]:
    shape = brain.shape
    seen = np.zeros(shape, dtype=bool)
    seen[tuple(slice(n // 20, -(n // 20) or None) for n in shape)] = True
    texture = _smooth(rng, shape, 2.0)
    anatomy = gaussian_filter(
        np.where(brain, 9000, np.where(head, 4000, 0)).astype(np.float32) * (1 + 0.15 * texture), 0.8
    )
    anatomy *= seen
    noise_sd = np.where(head, anatomy * 0.01 + 8, 5).astype(np.float32) * seen
    loadings = np.stack([_smooth(rng, shape, 5.0) * np.where(brain, anatomy * 0.004, 0) for _ in range(N_NETWORKS)])
    weights = (courses / courses.std(axis=0)).astype(np.float32)
    noise = _smooth(rng, shape, 0.7)
    for weight in weights:
        noise = 0.4 * noise + 0.92 * _smooth(rng, shape, 0.7)
        yield anatomy + noise_sd * noise + np.tensordot(weight, loadings, axes=1)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Volume:
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    return np.asarray(field / field.std(), dtype=np.float32)


def write_confounds(path: Path, *, rng: np.random.Generator, courses: NDArray[Any]) -> None:
    """Write the base columns of the strategies: head motion, tissue signals, components."""
    n_time = len(courses)
    motion = np.cumsum(rng.standard_normal((n_time, 6)) * [0.02, 0.02, 0.02, 2e-4, 2e-4, 2e-4], axis=0)
    table = dict(zip(MOTION, motion.T, strict=True))
    for name in ("csf", "white_matter", "global_signal"):
        table[name] = 8000 + 40 * (rng.standard_normal(n_time) + courses @ rng.standard_normal(N_NETWORKS))
    for mask in "wc":
        for index in range(5):
            table[f"{mask}_comp_cor_{index:02d}"] = rng.standard_normal(n_time)
    pd.DataFrame(table).to_csv(path, sep="\t", index=False)
