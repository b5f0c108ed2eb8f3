"""Whole heads as a T1-weighted scan shows them, before any processing, with a planted change of regional volume.

The brain is that of ``simulate.anatomy``; around it lie cerebrospinal fluid, skull, scalp, eyes, air-filled spaces, a
face and a neck, drawn once in template space and deformed with the brain. The truth is the integral of a region over
the deformed brain, so it holds whatever a pipeline makes of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.simulate.anatomy import (
    AnatomySettings,
    bias_field,
    deformation,
    pose_affine,
    regional_velocity,
    size_affine,
    velocity_field,
    volume_changes,
)
from lbpneuro.simulate.grids import Array, Grid, Volume, centred_grid, sample, sample_all
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.template import RegionKey, region_fine, template
from lbpneuro.simulate.transforms import PointMap
from lbpneuro.simulate.truth import TruthRow, truth_row

LOOKS = ("whole", "defaced", "stripped")
"""What is in the image: the whole head, the head without its face, the brain alone (0 elsewhere)."""

PLANTED: tuple[RegionKey, ...] = (("dlpfc", "L"), ("thalamus", "R"))
DEEP = ("thalamus", "accumbens", "caudate", "putamen", "hippocampus", "amygdala")
TRUTH_ROIS = ("dlpfc", "thalamus", "s1", "insula", "caudate", "hippocampus")
TRUTH_REGIONS: tuple[RegionKey, ...] = tuple((roi, hemi) for roi in TRUTH_ROIS for hemi in ("L", "R"))
LARGEST_LOSS = 30.0

TISSUE_MEANS = np.array([70.0, 100.0, 32.0], dtype=np.float32)  # gray, white, CSF
NOISE_SD = 2.0
SHELL_MM = 2.0
SHELL_CENTRE_MM, SHELL_EXTENT_MM = (0.0, -8.0, -14.0), (212.0, 268.0, 264.0)
HEAD_CENTRE_MM, HEAD_EXTENT_MM = (0.0, -14.0, -2.0), (184.0, 232.0, 232.0)
TRUTH_MM, TRUTH_MARGIN_MM = 0.75, 6.0
SLAB = 16
CSF, BONE, SOFT, FAT, VITREOUS = 30.0, 12.0, 62.0, 112.0, 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A raw T1w image (n_x, n_y, n_z) on ``grid``, the share of ``brain`` in its voxels, and the maps of points."""

    grid: Grid
    image: Volume
    brain: Volume
    to_template: PointMap
    from_template: PointMap


def head(visit: Visit, *, loss: float, voxel_mm: float, look: str, settings: AnatomySettings) -> Head:
    """Return the head of a person in one session.

    Parameters
    ----------
    visit
        Size and shape are those of the person; pose, bias field and noise those of the session.
    loss
        Planted loss of volume (%) of the regions ``PLANTED``; the logarithm of the Jacobian has the mean
        ``log(1 - loss / 100)`` over them, to first order. 0 gives a rescan.
    voxel_mm
        Edge of the voxels.
    look
        One of ``LOOKS``.
    settings
        What is planted beside it.

    Raises
    ------
    InputError
        If ``look`` is unknown or ``loss`` out of range.
    """
    check_head(loss=loss, look=look)
    velocity = planted_velocity(visit, loss=loss, settings=settings)
    back, out = deformation(velocity, pose_affine(visit) @ size_affine(visit, settings))
    grid = centred_grid(np.asarray(HEAD_CENTRE_MM), HEAD_EXTENT_MM, voxel_mm=voxel_mm)
    clean, brain, face = _clean(back, grid)
    rng = visit.passing("t1w")
    field = bias_field(rng, grid)
    noise = rng.normal(0, NOISE_SD, (2, *grid.shape)).astype(np.float32)
    image = np.hypot(clean * field + noise[0], noise[1])
    if look != "whole":
        image[(brain < 0.5) if look == "stripped" else (face > 0.5)] = 0
    return Head(grid=grid, image=image, brain=brain, to_template=back, from_template=out)


def check_head(*, loss: float, look: str) -> None:
    """Raise InputError if a loss or a look is not possible."""
    if not -LARGEST_LOSS <= loss <= LARGEST_LOSS:
        raise InputError(f"`loss` must be between -{LARGEST_LOSS:g} and {LARGEST_LOSS:g} %; got {loss:g}.")
    if look not in LOOKS:
        raise InputError(f"`look` must be one of {', '.join(LOOKS)}; got {look!r}.")


def planted_velocity(visit: Visit, *, loss: float, settings: AnatomySettings) -> Volume:
    """Return the velocity (3, ...) of a person (mm) with the planted loss (%) in the regions ``PLANTED``."""
    velocity = velocity_field(visit, volume_changes(visit, settings), settings=settings)
    for key in PLANTED:
        velocity = velocity + np.float32(np.log1p(-loss / 100)) * regional_velocity(key)
    return velocity


def true_volumes(
    visit: Visit, *, loss: float, settings: AnatomySettings, keys: Sequence[RegionKey] = TRUTH_REGIONS
) -> dict[RegionKey, tuple[float, float]]:
    """Return the volume of every label and that of the gray matter in it (mL).

    Taken on a lattice of 0.75 mm in the person's own space, in a pose of its own: it is the same in all sessions, so
    that the error of counting cancels in a change.
    """
    velocity = planted_velocity(visit, loss=loss, settings=settings)
    back, out = deformation(velocity, size_affine(visit, settings))
    source = template(1.0)
    tissue = source.gm * source.brain
    found = {}
    for key in keys:
        share, box = region_fine(key)
        points = _lattice(box, out)
        at = back(points)
        inside = sample(share, at, grid=box)
        gray = sample(tissue, at[inside > 0], grid=source.grid)
        voxel_ml = TRUTH_MM**3 / 1000
        label = float(inside.sum(dtype=float)) * voxel_ml
        found[key] = (label, float((inside[inside > 0] * gray).sum(dtype=float)) * voxel_ml)
    return found


def head_truth(
    visit: Visit,
    volumes: Mapping[RegionKey, tuple[float, float]],
    *,
    first: Mapping[RegionKey, tuple[float, float]],
) -> list[TruthRow]:
    """Return the planted values of a session: volumes (mL) and their change (%) since the ``first`` session.

    ``gm_volume`` is what that marker aims at: the label of a deep nucleus, the gray matter in a cortical one.
    """
    rows = []
    for (roi, hemi), (label, gray) in volumes.items():
        before = dict(zip(("label", "gm"), first[roi, hemi], strict=True))
        planted = {
            "gm_volume": label if roi in DEEP else gray,
            "label_volume": label,
            "label_change": 100 * (label / before["label"] - 1),
            "gm_change": 100 * (gray / before["gm"] - 1),
        }
        rows += [truth_row(visit, name, value=value, roi=roi, hemi=hemi) for name, value in planted.items()]
    return rows


def _lattice(box: Grid, out: PointMap) -> Array:
    """Points in the person's space, ``TRUTH_MM`` apart, that hold all of a box of the template; the same lattice."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in box.shape])).reshape(3, -1).T
    moved = (corners @ box.affine[:3, :3].T + box.affine[:3, 3]) @ out.affine[:3, :3].T + out.affine[:3, 3]
    low, high = moved.min(axis=0) - TRUTH_MARGIN_MM, moved.max(axis=0) + TRUTH_MARGIN_MM
    axes = [np.arange(np.floor(a / TRUTH_MM), np.ceil(b / TRUTH_MM) + 1) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) * TRUTH_MM


def _clean(back: PointMap, grid: Grid) -> tuple[Volume, Volume, Volume]:
    """The image without bias and noise, the share of brain, and where a defacing program cuts; slab by slab."""
    source, (outside, cut, wide) = template(max(1.0, grid.voxel_mm)), head_around()
    clean, brain, face = (np.empty(grid.shape, dtype=np.float32) for _ in range(3))
    for start in range(0, grid.shape[0], SLAB):
        part = slice(start, min(start + SLAB, grid.shape[0]))
        at = back(_slab_points(grid, part))
        inside, gm, wm = sample_all((source.brain, source.gm, source.wm), at, grid=source.grid)
        around, gone = sample_all((outside, cut), at, grid=wide)
        tissue = TISSUE_MEANS @ np.stack([gm, wm, np.maximum(1 - gm - wm, 0)])
        shape = (part.stop - part.start, *grid.shape[1:])
        clean[part] = (inside * tissue + (1 - inside) * around).reshape(shape)
        brain[part], face[part] = inside.reshape(shape), gone.reshape(shape)
    return clean, brain, face


def _slab_points(grid: Grid, part: slice) -> Array:
    """The centres of the voxels of some planes of the first axis, (n, 3), in mm."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * part.start
    return Grid(affine, (part.stop - part.start, *grid.shape[1:])).points()


@lru_cache(maxsize=1)
def head_around() -> tuple[Volume, Volume, Grid]:
    """Return what lies around the template's brain, where a defacing program cuts (0 or 1), and the 2-mm grid.

    Distances from the brain make the fluid (to 3 mm), the skull (to 9) and the scalp (to 16); ellipsoids make face and
    neck, the eyes in their fat, the nasal cavity and the sinuses.
    """
    from scipy import ndimage

    grid = centred_grid(np.asarray(SHELL_CENTRE_MM), SHELL_EXTENT_MM, voxel_mm=SHELL_MM)
    points = grid.points().reshape(*grid.shape, 3)
    source = template(SHELL_MM)
    brain = sample(source.brain, points.reshape(-1, 3), grid=source.grid).reshape(grid.shape)
    distance = ndimage.distance_transform_edt(brain < 0.5, sampling=SHELL_MM).astype(np.float32)
    below = _ellipsoid(points, (0, 32, -72), (62, 66, 62)) | _ellipsoid(points, (0, -34, -110), (58, 62, 78))
    inside = ndimage.binary_closing((distance < 16) | below, iterations=2)
    depth = ndimage.distance_transform_edt(inside, sampling=SHELL_MM)
    image = np.where(depth < 5, FAT, SOFT) * inside
    for x in (-33, 33):
        image[_ellipsoid(points, (x, 62, -42), (18, 18, 17))] = FAT
        image[_ellipsoid(points, (x, 66, -42), (12, 12, 12))] = VITREOUS
        image[_ellipsoid(points, (x * 0.85, 56, -74), (12, 15, 13))] = 0
    image[_ellipsoid(points, (0, 64, -64), (11, 24, 20))] = 0
    image[(distance >= 3) & (distance < 9)] = BONE
    image[distance < 3] = CSF
    cut = (points[..., 1] + 0.85 * points[..., 2] > -30) & (points[..., 2] < -18) & (points[..., 1] > 30)
    cut &= distance > 12
    return ndimage.gaussian_filter(image.astype(np.float32), 0.4), cut.astype(np.float32), grid


def _ellipsoid(
    points: Array, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Which ``points`` (..., 3) lie in an ellipsoid."""
    return np.asarray((((points - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) < 1)
