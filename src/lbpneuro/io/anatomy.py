"""The anatomical derivatives of one person: tissue maps, and regions of the template brought to where the maps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import (
    Image,
    block,
    check_same_grid,
    load_image,
    load_probability,
    mirrored_grid,
    place,
)
from lbpneuro.io.index import entities
from lbpneuro.io.region_blocks import Source, placed_regions
from lbpneuro.io.regions import OTHER_SIDE, Name, Region, grid_around, region_bounds, region_weights
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.io.structural_plan import MIRROR_SPACE
from lbpneuro.io.transforms import (
    Composite,
    Grid,
    Transform,
    box_grid,
    coarse_coordinates,
    read_transform,
    resample,
    source_coordinates,
    target_box,
)
from lbpneuro.kernels.deformation import jacobian_determinant
from lbpneuro.kernels.volumes import segmented, without_background
from lbpneuro.markers.tissue import RegionMap

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd

TISSUES = ("GM", "WM", "CSF")
NATIVE_SPACES = (None, "T1w")
TEMPLATE_VOXEL_MM = 1.0
TEMPLATE_MARGIN_MM = 3.0
TEMPLATE_SUBSAMPLES = 4
JACOBIAN_MM = 2.0
ROUNDING = 1e-3


@dataclass(frozen=True, kw_only=True)
class TissueMaps:
    """Tissue probabilities (n_x, n_y, n_z) in the person's own space, and where the brain was segmented."""

    gm: Image
    wm: Image
    csf: Image
    mask: Image | None

    @property
    def grid(self) -> Grid:
        """The grid that the maps share."""
        return Grid(affine=self.gm.affine, shape=self.gm.data.shape)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """The brain mask, or where the tissue probabilities add up to more than one half."""
        if self.mask is not None:
            return self.mask.data > 0.5
        return segmented(gm=self.gm.data, wm=self.wm.data, csf=self.csf.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRegion:
    """A region in the person's own space: weights (n_x, n_y, n_z) of the box that begins at the voxel ``start``.

    The box may reach beyond the image.
    """

    weights: NDArray[np.float32]
    start: tuple[int, int, int]


def has_native_tissues(files: Sequence[Path]) -> bool:
    """Return whether there is a tissue map in the person's own space among BIDS files."""
    return bool(_images(files, suffix="probseg"))


def read_tissues(files: Sequence[Path], *, space: str | None = None) -> TissueMaps:
    """Return the tissue maps among BIDS files: those in the person's own space, or in the template ``space``.

    NaN outside the brain, which some programs write, become zero.

    Raises
    ------
    InputError
        If one of the three maps is absent (reason ``file_missing``) or there are two of one tissue, a file is no
        probability map, or the grids differ.
    """
    spaces = (space,) if space else NATIVE_SPACES
    paths = {tissue: _only(_images(files, spaces, suffix="probseg", label=tissue), tissue) for tissue in TISSUES}
    absent = [tissue for tissue, path in paths.items() if path is None]
    if absent:
        where = f"the space {space}" if space else "the person's own space"
        raise InputError(
            f"{files[0].parent}: the label-{'/'.join(absent)}_probseg image in {where} is missing; "
            "volumes need gray matter, white matter and CSF.",
            reason=Reason.FILE_MISSING,
        )
    gm, wm, csf = (load_probability(path) for path in paths.values() if path is not None)
    masks = _images(files, spaces, suffix="mask", desc="brain")
    mask = load_image(masks[0]) if masks else None
    check_same_grid([gm, wm, csf, *([mask] if mask else [])])
    return _without_background(TissueMaps(gm=gm, wm=wm, csf=csf, mask=mask))


def head_metadata(files: Sequence[Path]) -> dict[str, Any]:
    """Return what the sidecar of the preprocessed T1w image among BIDS files says; nothing without such an image."""
    heads = _images(files, suffix="T1w", desc="preproc")
    return read_metadata(heads[0]) if heads else {}


def template_transform(files: Sequence[Path], *, space: str) -> Path | None:
    """Return the file of the transform from a template to the T1w image among BIDS files, if there is one."""
    return _transform(files, f"_from-{space}_to-T1w_")


def to_template_transform(files: Sequence[Path], *, space: str) -> Path | None:
    """Return the file of the transform from the T1w image to a template among BIDS files, if there is one."""
    return _transform(files, f"_from-T1w_to-{space}_")


def mirrored_transform(files: Sequence[Path], *, space: str) -> Path | None:
    """Return the file of the transform from a template to the mirror image of the T1w image, if there is one."""
    return _transform(files, f"_from-{space}_to-{MIRROR_SPACE}_")


def _transform(files: Sequence[Path], wanted: str) -> Path | None:
    return next((path for path in sorted(files) if path.name.endswith("_xfm.h5") and wanted in path.name), None)


def jacobian(transform: Path, *, grid: Grid) -> NDArray[np.float32]:
    """Return the volume in the person's own space per volume of the template, at the voxels of a template grid.

    Parameters
    ----------
    transform
        File of the transform from the T1w image to the template: it maps points of the template to the T1w image.
    grid
        Grid in template space. On a grid finer than 2 mm the determinant, which is smooth, is computed on every other
        voxel and interpolated.

    Raises
    ------
    InputError
        If ``transform`` is no ITK transform.
    """
    mapping = read_transform(transform)
    voxel_mm = np.linalg.norm(grid.affine[:3, :3], axis=0)
    steps = np.maximum(1, np.floor(JACOBIAN_MM / voxel_mm + ROUNDING)).astype(int)
    coarse = _every(grid, steps)
    determinant = jacobian_determinant(source_coordinates(mapping, target=coarse), affine=coarse.affine)
    found = np.abs(determinant)
    for axis, (step, size) in enumerate(zip(steps.tolist(), grid.shape, strict=True)):
        found = _between(found, step, size=size, axis=axis) if step > 1 else found
    return np.asarray(found, dtype=np.float32)


def _between(values: NDArray[Any], step: int, *, size: int, axis: int) -> NDArray[Any]:
    """Return values at every place along an axis, of which every ``step``-th is known, by linear interpolation."""
    place = np.arange(size) / step
    low = np.floor(place).astype(np.intp)
    share = (place - low).astype(values.dtype).reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    above = np.minimum(low + 1, values.shape[axis] - 1)
    return np.asarray(values.take(low, axis=axis) * (1 - share) + values.take(above, axis=axis) * share)


def _every(grid: Grid, steps: NDArray[np.integer[Any]]) -> Grid:
    """Return the grid of every n-th voxel along each axis, the last one not before the end of the grid."""
    affine = np.array(grid.affine, dtype=np.float64)
    affine[:3, :3] *= steps
    shape = tuple(int(-(-(size - 1) // step)) + 1 for size, step in zip(grid.shape, steps, strict=True))
    return Grid(affine=affine, shape=shape)


def template_regions(regions: Mapping[Name, Region], *, grid: Grid) -> dict[Name, NativeRegion]:
    """Return regions of the template on a grid in template space, each on a box that may reach beyond the grid."""
    to_voxel = np.linalg.inv(grid.affine)
    fine = np.linalg.norm(grid.affine[:3, :3], axis=0).max() <= TEMPLATE_VOXEL_MM + ROUNDING
    found = {}
    for level, region in regions.items():
        corners = np.array(list(product(*zip(*region_bounds(region), strict=True))))
        voxels = corners @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        start = np.floor(voxels.min(axis=0)).astype(int)
        shape = np.ceil(voxels.max(axis=0)).astype(int) + 1 - start
        box = box_grid(grid, start=start.tolist(), shape=shape.tolist())
        subsamples = 1 if fine and region.kind == "label" else TEMPLATE_SUBSAMPLES
        weights = region_weights(region, affine=box.affine, shape=box.shape, subsamples=subsamples)
        found[level] = NativeRegion(weights=weights, start=(int(start[0]), int(start[1]), int(start[2])))
    return found


def region_map(
    region: NativeRegion,
    *,
    gm: NDArray[Any],
    inside: NDArray[np.bool_],
    jacobian: NDArray[Any] | None = None,
    probability: NDArray[Any] | None = None,
) -> RegionMap:
    """Return a region with what maps (n_x, n_y, n_z) of its grid hold in its box; they are empty beyond the image."""
    box: dict[str, Any] = {"start": region.start, "shape": region.weights.shape}
    return RegionMap(
        weights=region.weights,
        gm=block(gm, **box),
        inside=block(inside, **box),
        jacobian=None if jacobian is None else block(jacobian, **box),
        probability=None if probability is None else block(probability, **box),
    )


def native_regions(regions: Mapping[Name, Region], transform: Path, *, grid: Grid) -> dict[Name, NativeRegion]:
    """Return regions of the template on the grid of a person's own image.

    The share of every 1-mm template voxel in a region is interpolated linearly, at points no more than 1 mm apart.

    Raises
    ------
    InputError
        If ``transform`` is no ITK transform.
    """
    mapping = read_transform(transform)
    sources = [_on_template(region) for region in regions.values()]
    if isinstance(mapping, Composite):
        placed = placed_regions(sources, mapping, grid=grid, spacing_mm=TEMPLATE_VOXEL_MM)
    else:
        placed = _in_boxes(sources, mapping, grid=grid)
    return {
        level: NativeRegion(weights=weights, start=start)
        for level, (weights, start) in zip(regions, placed, strict=True)
    }


def mirrored_regions(regions: Mapping[Name, Region], transform: Path, *, grid: Grid) -> dict[Name, NativeRegion]:
    """Return regions of the template on the grid of a person's own image, found in its mirror image (x becomes -x).

    A region of the left is what lies at that of the right in the mirror image.

    Parameters
    ----------
    regions
        Both sides of everything that has sides.
    transform
        File of the transform from the template to the mirror image.
    grid
        Grid of the image itself.
    """
    found = native_regions(regions, transform, grid=mirrored_grid(grid))
    return {(*roi, OTHER_SIDE.get(hemi, hemi)): _turned(region, grid) for (*roi, hemi), region in found.items()}


def _turned(region: NativeRegion, grid: Grid) -> NativeRegion:
    """Return a region of the mirror image, mirrored back."""
    first, *others = region.start
    start = (grid.shape[0] - first - region.weights.shape[0], *others)
    return NativeRegion(weights=region.weights[::-1], start=(start[0], start[1], start[2]))


def fused(first: NativeRegion, second: NativeRegion) -> NativeRegion:
    """Return the mean of the weights of two regions."""
    low = np.minimum(first.start, second.start)
    stops = [np.add(region.start, region.weights.shape) for region in (first, second)]
    shape = (np.maximum(*stops) - low).tolist()
    one, other = (block(region.weights, start=(low - region.start).tolist(), shape=shape) for region in (first, second))
    return NativeRegion(weights=(one + other) / 2, start=(int(low[0]), int(low[1]), int(low[2])))


def _on_template(region: Region) -> Source:
    """Return a region on a grid of the template around it."""
    bounds = region_bounds(region)
    source = grid_around(bounds, voxel_mm=TEMPLATE_VOXEL_MM, margin_mm=TEMPLATE_MARGIN_MM)
    # Atlases are made of whole voxels of about this size: finer sampling of labels changes nothing but the time.
    subsamples = 1 if region.kind == "label" else TEMPLATE_SUBSAMPLES
    weights = region_weights(region, affine=source.affine, shape=source.shape, subsamples=subsamples)
    return Source(weights=weights, grid=source, bounds=bounds)


def _in_boxes(
    sources: Sequence[Source], transform: Transform, *, grid: Grid
) -> list[tuple[NDArray[np.float32], tuple[int, int, int]]]:
    """Return weights and first voxel of regions on a grid by a transform of ITK, which knows whole boxes only."""
    coordinates = coarse_coordinates(transform, grid=grid)
    found = []
    for source in sources:
        start, shape = target_box(coordinates, bounds=source.bounds, grid=grid)
        box = box_grid(grid, start=start, shape=shape)
        weights = resample(source.weights, transform, source=source.grid, target=box, spacing_mm=TEMPLATE_VOXEL_MM)
        found.append((weights, start))
    return found


def label_image(regions: Mapping[Name, NativeRegion], *, grid: Grid) -> nib.Nifti1Image:
    """Return an image that numbers the regions from 1 in their order; a voxel belongs where it lies by half or more."""
    import nibabel as nib

    labels = np.zeros(grid.shape, dtype=np.uint8)
    for number, region in enumerate(regions.values(), start=1):
        member = place(np.zeros(grid.shape, dtype=bool), region.weights >= 0.5, start=region.start)
        labels[member] = number
    image = nib.Nifti1Image(labels, np.asarray(grid.affine, dtype=np.float64))
    image.header.set_xyzt_units("mm")
    return image


def label_table(regions: Mapping[Name, NativeRegion]) -> pd.DataFrame:
    """Return the look-up table of ``label_image``: index, name, roi, hemi."""
    import pandas as pd

    rows = [(number, "_".join(level), *level) for number, level in enumerate(regions, start=1)]
    return pd.DataFrame(rows, columns=["index", "name", "roi", "hemi"])


def _images(files: Sequence[Path], spaces: Sequence[str | None] = NATIVE_SPACES, **asked: str) -> list[Path]:
    """Return the images in a space, by default the person's own, whose names have the entities asked for, in order.

    Without a ``desc`` asked for they have none: maps that were changed (modulated) are others.
    """
    found = []
    for path in sorted(files):
        named = entities(path)
        is_image = named.get("ext", "").startswith(".nii") and named.get("space") in spaces
        wanted = {"desc": None, **asked}
        if is_image and all(named.get(key) == value for key, value in wanted.items()):
            found.append(path)
    return found


def _only(paths: Sequence[Path], tissue: str) -> Path | None:
    """Return the one path, or None; InputError if there are several."""
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths[:2])
        raise InputError(f"{names}: there are several {tissue} maps; choose one with `filters` in the settings.")
    return paths[0] if paths else None


def _without_background(maps: TissueMaps) -> TissueMaps:
    """Return the maps with zero where there is NaN outside the mask, or without a mask in all three maps."""
    tissues = (maps.gm, maps.wm, maps.csf)
    holes = [np.isnan(image.data) for image in tissues]
    if not np.any(holes):
        return maps
    background = np.all(holes, axis=0) if maps.mask is None else ~(maps.mask.data > 0.5)
    gm, wm, csf = (replace(image, data=without_background(image.data, background)) for image in tissues)
    return TissueMaps(gm=gm, wm=wm, csf=csf, mask=maps.mask)
