"""What is done for the brainstem of a run: local control signals, and whether it lies where the template has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import Image
from lbpneuro.io.region_grid import GridRegions
from lbpneuro.io.regions import Name, Region, grid_around, region_bounds, region_weights
from lbpneuro.io.series import Series, mean_in_voxels
from lbpneuro.kernels.labels import region_means
from lbpneuro.kernels.voxels import voxels_of

Array = NDArray[np.float64]

BRAINSTEM: Name = ("brainstem", "n/a")
VENTRICLE: Name = ("ventricle4", "n/a")
AQUEDUCT: Name = ("aqueduct", "n/a")
PONS: Name = ("pons", "n/a")
CONTROLS = (AQUEDUCT, VENTRICLE, PONS)
EDGE_MM = 5.5
ZONE_MM = 1.0
TISSUE_MIN = 0.5
VOXEL_MAX_MM = 2.0
VOXEL_TOLERANCE_MM = 0.05
CSF_MIN = 0.5


def brainstem_controls(
    series: Series, found: GridRegions, *, csf: Image | None, seeds: Sequence[str]
) -> dict[str, Array]:
    """Return the local control signals of the brainstem, for the confounds of brainstem connectivity.

    ``csf_local`` is the mean over the voxels of the fourth ventricle and the aqueduct, weighted by their CSF
    probability; ``pons`` that over a sphere in the ventral pons. Voxels that any seed touches are left out: on a grid
    of 2 mm, four fifths of the weight of the aqueduct lie in voxels that hold gray matter around it, and to take their
    signal out takes the seed out.

    Parameters
    ----------
    series
        The masked run.
    found
        Regions of the run, ``aqueduct``, ``ventricle4``, ``pons`` and the seeds among them.
    csf
        CSF probability in the space of the run; without it, only voxels wholly inside the fourth ventricle count.
    seeds
        Names of the regions whose voxels are left out.

    Returns
    -------
    dict
        (n_time,) by name; a signal without usable voxels is absent.
    """
    dense = {name: found.weights[[row]].toarray().ravel() for name, row in _rows(found, CONTROLS).items()}
    rows = [row for (roi, *_), row in zip(found.names, range(len(found.names)), strict=True) if roi in seeds]
    seed = np.asarray(found.weights[rows].sum(axis=0)).ravel() > 0
    weights = {"csf_local": _csf_weights(series, dense, csf=csf), "pons": dense.get(PONS)}
    signals = {}
    for name, weight in weights.items():
        if weight is None:
            continue
        means, _ = region_means(series.bold, weights=np.where(seed, 0, weight)[np.newaxis].astype(np.float32))
        if np.isfinite(means).all():
            signals[name] = means[:, 0]
    return signals


def _csf_weights(series: Series, dense: Mapping[Name, NDArray[np.float32]], *, csf: Image | None) -> Array | None:
    """Return the weights (n_voxel,) of the CSF around the brainstem."""
    if VENTRICLE not in dense:
        return None
    if csf is None:
        return np.where(dense[VENTRICLE] >= 1, 1.0, 0.0)
    share = np.minimum(dense[VENTRICLE] + dense.get(AQUEDUCT, np.float32(0)), 1).astype(np.float64)
    touched = np.flatnonzero(share)
    voxels = voxels_of(series.mask)[touched]
    probability = mean_in_voxels(csf, affine=series.affine, voxels=voxels)
    share[touched] *= np.where(probability >= CSF_MIN, probability, 0)
    return share


def _rows(found: GridRegions, names: Sequence[Name]) -> dict[Name, int]:
    return {name: found.names.index(name) for name in names if name in found.names}


def brainstem_overlap(gm: Image, wm: Image, regions: Mapping[Name, Region]) -> float:
    """Return how well the brainstem of a person lies on that of the template, 0 to 1; NaN if it cannot be told.

    The Dice coefficient of the tissue of the person (gray and white matter above one half) and of the brainstem of
    the template, within 5.5 mm of the border between the brainstem of the template and what the atlas leaves empty or
    calls fourth ventricle. Borders with the cerebellum and the thalamus, which tissue maps do not show, do not count;
    nor does the inside, which is tissue wherever it lies. Maps are sampled at points 1 mm apart. Those with voxels
    above 2 mm give NaN: partial volume alone then lowers the overlap as much as a shift of a millimetre does.

    Parameters
    ----------
    gm, wm
        Tissue probabilities in the space of the regions.
    regions
        ``brainstem`` and ``ventricle4``, label regions of one atlas, among them.
    """
    if BRAINSTEM not in regions or VENTRICLE not in regions or regions[BRAINSTEM].atlas is None:
        return float("nan")
    if np.linalg.norm(gm.affine[:3, :3], axis=0).max() > VOXEL_MAX_MM + VOXEL_TOLERANCE_MM:
        return float("nan")
    stem, ventricle = regions[BRAINSTEM], regions[VENTRICLE]
    points, inside = _border_zone(stem.atlas, stem.labels, ventricle.labels)
    tissue = _at(gm, points) + _at(wm, points) > TISSUE_MIN
    return float(2 * np.sum(tissue & inside) / (tissue.sum() + inside.sum()))


@lru_cache(maxsize=2)
def _border_zone(atlas: Path, stem: tuple[int, ...], ventricle: tuple[int, ...]) -> tuple[Array, NDArray[np.bool_]]:
    """Return the points (n, 3) near the free border of the template's brainstem (mm), and which are inside."""
    from scipy import ndimage

    grid = grid_around(region_bounds(_labelled(atlas, stem)), voxel_mm=ZONE_MM, margin_mm=2 * EDGE_MM)
    shares = [
        region_weights(_labelled(atlas, labels), affine=grid.affine, shape=grid.shape, subsamples=1)
        for labels in (stem, (0, *ventricle))
    ]
    inside, empty = (share > 0 for share in shares)
    reach = EDGE_MM / ZONE_MM
    near_inside = inside & (ndimage.distance_transform_edt(~empty) <= reach)
    near_empty = empty & (ndimage.distance_transform_edt(~inside) <= reach)
    voxels = np.argwhere(near_inside | near_empty)
    points = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.asarray(points, dtype=np.float64), inside[tuple(voxels.T)]


def _labelled(atlas: Path, labels: tuple[int, ...]) -> Region:
    """Return the region of some labels of an atlas."""
    return Region(
        roi="n/a",
        hemi="n/a",
        kind="label",
        space="n/a",
        evidence="design",
        source="n/a",
        points=np.empty((0, 3)),
        radius_mm=np.empty(0),
        atlas=atlas,
        labels=labels,
    )


def _at(image: Image, points: Array) -> Array:
    """Return an image at points (n, 3) in mm, by linear interpolation; zero outside."""
    from scipy.ndimage import map_coordinates

    to_voxel = np.linalg.inv(image.affine)
    voxels = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    return np.asarray(map_coordinates(np.nan_to_num(image.data), voxels.T, order=1, mode="constant"), dtype=np.float64)
