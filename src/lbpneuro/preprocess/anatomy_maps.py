"""Tissue maps of a person in template space: how much gray matter there is, and how much was stretched to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import place
from lbpneuro.io.transforms import AntsImage, Grid, Transform, box_grid, read_transform, resample, source_coordinates
from lbpneuro.kernels.deformation import jacobian_determinant
from lbpneuro.preprocess.itk import grid_affine
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.templates import template_box, template_grid

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMaps:
    """Maps (n_x, n_y, n_z) on the ``grid`` of the template.

    ``t1w`` is the brain without its bias field, ``tissues`` are probabilities by tissue, ``jacobian`` the volume in
    the person's brain per volume in the template (affine and warp), and ``modulated`` the gray matter of the person
    per volume of the template. All are 0 far from the brain.
    """

    grid: Grid
    t1w: Map
    tissues: dict[str, Map]
    jacobian: Map
    modulated: Map
    quality: dict[str, float]


def template_maps(brain: AntsImage, tissues: Mapping[str, AntsImage], *, transform: Path, level: Level) -> TemplateMaps:
    """Return a brain and its tissues in template space, sampled at points no farther apart than native voxels."""
    grid = template_grid(level.maps_mm)
    start, shape = template_box(level.maps_mm)
    box = box_grid(grid, start=start, shape=shape)
    mapping = read_transform(transform)
    moved = {name: pulled(image, mapping, box=box) for name, image in {"t1w": brain, **tissues}.items()}
    jacobian = jacobian_determinant(source_coordinates(mapping, target=box), affine=box.affine)
    modulated = moved["GM"] * jacobian
    whole = {name: place(np.zeros(grid.shape, np.float32), values, start=start) for name, values in moved.items()}
    native, mapped = (
        float(values.sum(dtype=np.float64)) * abs(np.linalg.det(affine[:3, :3])) / 1000.0
        for values, affine in ((tissues["GM"].numpy(), grid_affine(tissues["GM"])), (modulated, grid.affine))
    )
    return TemplateMaps(
        grid=grid,
        t1w=whole.pop("t1w"),
        tissues=whole,
        jacobian=place(np.zeros(grid.shape, np.float32), jacobian.astype(np.float32), start=start),
        modulated=place(np.zeros(grid.shape, np.float32), modulated.astype(np.float32), start=start),
        quality={
            "modulated_to_native_GM": mapped / native,
            "folded_voxels": float(np.count_nonzero(jacobian <= 0)),
        },
    )


def pulled(image: AntsImage, mapping: Transform, *, box: Grid) -> Map:
    """Return a native image on a grid of the template."""
    source = Grid(affine=grid_affine(image), shape=image.shape)
    return resample(image.numpy(), mapping, source=source, target=box, spacing_mm=float(min(image.spacing)))
