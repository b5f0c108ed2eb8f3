"""What a run measures in its regions: mean series, coverage, signal, and signal-to-noise ratio, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import Image
from lbpneuro.io.region_grid import GridRegions
from lbpneuro.io.series import Series
from lbpneuro.kernels.labels import region_means
from lbpneuro.kernels.quality import jackknife_spread, tsnr_left_out
from lbpneuro.kernels.voxels import in_mask, voxels_of

Array = NDArray[np.float64]

BLOCK = 2048
N_BLOCKS = 20
GRAY_MIN = 0.5
GRAY_SHARE_MIN = 0.05
"""Gray matter is about half of a brain mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSeries:
    """Arrays over regions as :class:`lbpneuro.markers.bold.Run` has them."""

    means: Array
    size: Array
    coverage: Array
    signal: Array
    tsnr: Array
    tsnr_se: Array
    n_voxels: NDArray[np.int64]


def gray_mean(series: Series, gray: Image) -> float | None:
    """Return the mean signal of the gray matter: where its probability at the centre of a voxel is above one half.

    None if the map shows too few such voxels in the brain mask, as a map that lies elsewhere does.
    """
    from scipy.ndimage import map_coordinates

    to_map = np.linalg.inv(gray.affine) @ series.affine
    voxels = voxels_of(series.mask)
    points = voxels @ to_map[:3, :3].T + to_map[:3, 3]
    probability = map_coordinates(np.nan_to_num(gray.data), points.T, order=1, mode="constant", output=np.float32)
    inside = in_mask(series.mean, series.mask)[probability > GRAY_MIN]
    inside = inside[np.isfinite(inside)]
    return float(inside.mean()) if inside.size >= GRAY_SHARE_MIN * len(voxels) else None


def region_series(
    series: Series, found: GridRegions, *, keep: NDArray[np.bool_], reference: float | None = None
) -> RegionSeries:
    """Return what a run measures in regions that may overlap.

    Parameters
    ----------
    series
        The masked run.
    found
        From :func:`lbpneuro.io.region_grid.roi_weights`.
    keep : (n_time,) of bool
        The volumes of signal and signal-to-noise ratio.
    reference
        The signal that those of the regions are shares of; by default the median over the brain.
    """
    means, coverage = region_means(series.bold, weights=found.weights, whole=found.whole)
    reference = float(np.median(series.mean[series.mask])) if reference is None else reference
    cores = [_core(found, row) for row in range(len(found.names))]
    touched = np.unique(np.concatenate(cores)) if cores else np.empty(0, dtype=np.intp)
    ratio, left_out = _signal_to_noise(series.bold, touched, keep=keep)
    medians = np.full((N_BLOCKS + 1, len(cores)), np.nan)
    for row, core in enumerate(cores):
        at = np.searchsorted(touched, core)
        at = at[np.isfinite(ratio[at])]
        if at.size:
            medians[:, row] = np.median(np.vstack([ratio[None, at], left_out[:, at]]), axis=1)
    return RegionSeries(
        means=means,
        size=np.nan_to_num(coverage * found.whole),
        coverage=coverage,
        signal=means[keep].mean(axis=0) / reference if keep.any() else np.full(len(cores), np.nan),
        tsnr=medians[0],
        tsnr_se=jackknife_spread(medians[1:]),
        n_voxels=np.array([core.size for core in cores], dtype=np.int64),
    )


def _core(found: GridRegions, row: int) -> NDArray[np.intp]:
    """Return the voxels at least half inside a region; on a grid too coarse for that, all it touches."""
    entries = slice(*found.weights.indptr[row : row + 2])
    columns, values = found.weights.indices[entries], found.weights.data[entries]
    half = columns[values >= 0.5]
    return np.sort(half if half.size else columns).astype(np.intp)


def _signal_to_noise(bold: NDArray[Any], columns: NDArray[np.intp], *, keep: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return :func:`tsnr_left_out` of some voxels, in blocks, so that the matrix is never copied whole."""
    ratio, left_out = np.empty(len(columns)), np.empty((N_BLOCKS, len(columns)))
    for start in range(0, len(columns), BLOCK):
        part = slice(start, start + BLOCK)
        ratio[part], left_out[:, part] = tsnr_left_out(bold[:, columns[part]], keep=keep, n_blocks=N_BLOCKS)
    return ratio, left_out
