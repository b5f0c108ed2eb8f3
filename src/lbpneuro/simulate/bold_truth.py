"""The values that a simulated resting run plants.

The planted value of a connection is what the generating model itself implies for an infinitely long run, within the
pass band, after confound regression. Under the brainstem model that is the run without global signal, physiology and
motion. The cortical model takes out the mean signals of brain, white matter and CSF, and the mean of the brain holds
the connections too: what is left is connectivity relative to that mean, lower than without, and this is what its
markers estimate. ``global_signal=False`` gives the values without it, to see the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.atlases import node_weights as atlas_weights
from lbpneuro.io.atlases import seitzman_nodes
from lbpneuro.io.config import read_config
from lbpneuro.io.region_grid import CSF_MAX
from lbpneuro.kernels.voxels import columns_of
from lbpneuro.markers.bold import BRAINSTEM
from lbpneuro.markers.edges import EDGE_REGIONS, EMOTION_NODES, LABELS, PAIN_NODES, Parts, midline
from lbpneuro.simulate.bold import (
    BoldSettings,
    Maps,
    Matrix,
    latent_correlation,
    nuisance_scale,
    template_maps,
    white_sd,
)
from lbpneuro.simulate.confounds import tissue_masks
from lbpneuro.simulate.grids import Array, Volume, mni_grid
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.template import RegionKey, region_shares
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    from scipy import sparse

MPFC = midline("mpfc")
ENDS: tuple[Parts, ...] = tuple(
    dict.fromkeys(
        (
            *(end for edge, side in LABELS.values() for end in edge.ends(side)),
            *EMOTION_NODES,
            *PAIN_NODES,
            MPFC,
            *((("accumbens", side),) for side in ("L", "R")),
        )
    )
)
"""Unions of regions whose means the markers correlate."""
ROW = {parts: row for row, parts in enumerate(ENDS)}
N_NETWORK_MIN = 3
SAME = 1e-9
"""A correlation this close to 1 is that of the same data twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of some mean series of an infinitely long run, as shares of the mean.

    ``coloured`` and ``white`` (n_mean, n_mean) are the covariances of the 1/f signals and of the white noise over all
    frequencies; ``bodily`` (n_mean, 3) is how much of the global signal and the two physiological noises, which are
    1/f too, each mean holds. NaN for a mean without weight.
    """

    coloured: Array
    white: Array
    bodily: Array


def band_shares(settings: BoldSettings) -> tuple[float, float]:
    """Return the share of the variance that lies in the pass band, of the 1/f signals and of white noise."""
    return shares_of_power(settings, band_hz=settings.band_hz)


def shares_of_power(settings: BoldSettings, *, band_hz: tuple[float, float]) -> tuple[float, float]:
    """Return the share of the variance within a band, of the 1/f signals and of white noise."""
    frequencies = np.linspace(0, 0.5 / settings.t_r, 20001)[1:]
    power = 1 / (frequencies + settings.knee_hz)
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    return float(power[inside].sum() / power.sum()), float(inside.mean())


def moments(weights: Matrix | sparse.csr_array, maps: Maps, *, correlation: Array, settings: BoldSettings) -> Moments:
    """Return the moments of weighted means.

    Parameters
    ----------
    weights : (n_mean, n_voxel)
        Weights of the means, on the voxels of ``maps``.
    maps, correlation, settings
        The generating model.

    Notes
    -----
    With voxel means m and weights a = w m / sum(w m): coloured a'(R C R' + N N')b and white a' diag(noise) b.
    """
    from scipy import sparse

    signal = np.asarray(weights @ maps.mean.astype(np.float64))
    share = 1 / np.where(signal > 0, signal, np.nan)
    loads = sparse.csr_array(weights, dtype=np.float64) * maps.mean[None].astype(np.float64)
    loads = sparse.csr_array(loads)
    regions = settings.latent * (loads @ maps.regions.astype(np.float64))
    nodes = settings.smooth_field * (loads @ maps.nodes).toarray()
    noise = loads * white_sd(maps, settings).astype(np.float64)[None]
    bodily = (loads @ maps.nuisance[:, :3].astype(np.float64)) * nuisance_scale(settings)[:3]
    both = np.outer(share, share)
    return Moments(
        coloured=(regions @ correlation @ regions.T + nodes @ nodes.T) * both,
        white=(noise @ noise.T).toarray() * both,
        bodily=bodily * share[:, None],
    )


def clean_correlation(found: Moments, settings: BoldSettings) -> Array:
    """Return the correlations (n_mean, n_mean) within the pass band, without global signal and physiological noise."""
    coloured, white = band_shares(settings)
    return _as_correlation(coloured * found.coloured + white * found.white)


def regressed_correlation(found: Moments, settings: BoldSettings, *, n_confound: int) -> Array:
    """Return the correlations within the pass band when the last means are confounds of those before them.

    Global signal and physiological noise stay in, and the confounds are regressed out as they are: with them goes what
    they hold of the signals.
    """
    coloured, white = band_shares(settings)
    covariance = coloured * (found.coloured + found.bodily @ found.bodily.T) + white * found.white
    beside = covariance[:-n_confound, -n_confound:]
    own = covariance[-n_confound:, -n_confound:]
    return _as_correlation(covariance[:-n_confound, :-n_confound] - beside @ np.linalg.solve(own, beside.T))


def _as_correlation(covariance: Array) -> Array:
    size = np.sqrt(np.diag(covariance))
    size = np.where(size > 0, size, np.nan)
    return np.asarray(covariance / np.outer(size, size))


def without_csf(weights: Volume, csf: Volume) -> Volume:
    """Return the weights of the seed without the voxels of CSF, or all of them if less than half would be left.

    This is the seed that connectivity is computed of: fewer voxels average less noise out, and it matters to r.
    """
    tissue = np.where(csf > CSF_MAX, np.float32(0), weights)
    return tissue if tissue.sum(dtype=float) >= 0.5 * weights.sum(dtype=float) else weights


def bold_truth(
    visit: Visit, maps: Maps, *, csf: Volume, voxel_mm: float, settings: BoldSettings, global_signal: bool = True
) -> list[TruthRow]:
    """Return the planted values of the functional markers.

    Partial correlations have none: their shrinkage depends on the length of the run.

    Parameters
    ----------
    visit, maps, voxel_mm, settings
        Who, where, and what is simulated.
    csf : (nx, ny, nz)
        Its probability in voxels of the brainstem.
    global_signal
        Whether the values of the cortical model are those after regression on the mean signals of brain, white matter
        and CSF.
    """
    from scipy import sparse

    ends, nodes, confounds = _end_weights(csf=csf, inside=maps.inside, voxel_mm=voxel_mm), *_fixed_weights(voxel_mm)
    means = sparse.vstack([ends, nodes, confounds], format="csr")
    found = moments(means, maps, correlation=latent_correlation(visit, settings), settings=settings)
    n = ends.shape[0] + nodes.shape[0]
    clean = _z(clean_correlation(found, settings)[:n, :n])
    cortical = _z(regressed_correlation(found, settings, n_confound=confounds.shape[0])) if global_signal else clean
    rows = _edges(visit, {"cortical": cortical, "brainstem": clean})
    among = slice(len(ENDS), n)
    if np.isfinite(cortical[ROW[MPFC]]).any():
        beyond = nodes @ ends[[ROW[MPFC]]].toarray()[0] == 0
        rows.append(truth_row(visit, "mpfc_hub", value=float(np.nanmean(cortical[among][beyond, ROW[MPFC]] ** 2))))
    shift = _mean_among(cortical, EMOTION_NODES) - _mean_among(cortical, PAIN_NODES)
    if np.isfinite(shift):
        rows.append(truth_row(visit, "shift_rest", value=shift))
    return [*rows, *_slow5(visit, found, settings), *_networks(visit, cortical[among, among])]


def _z(r: Array) -> Array:
    """Return Fisher z; NaN on the diagonal, and for two means of the same voxels."""
    return np.arctanh(np.where(np.abs(r) < 1 - SAME, r, np.nan))


def _edges(visit: Visit, z: Mapping[str, Array]) -> list[TruthRow]:
    """Return z and r of every edge from the z under each model."""
    rows = []
    for label, (edge, side) in LABELS.items():
        seed, target = edge.ends(side)
        value = z[edge.model][ROW[seed], ROW[target]]
        if np.isfinite(value):
            rows.append(truth_row(visit, "fc_r", value=np.tanh(value), edge=label))
            hemi = {"hemi": side} if side else {}
            rows.append(truth_row(visit, f"{edge.name}_z", value=value, **hemi))
    return rows


def _mean_among(z: Array, ends: Sequence[Parts]) -> float:
    """Return the mean z over the pairs of some ends."""
    at = [ROW[parts] for parts in ends]
    return float(z[np.ix_(at, at)][np.triu_indices(len(at), k=1)].mean())


def _slow5(visit: Visit, found: Moments, settings: BoldSettings) -> list[TruthRow]:
    """Return the share of slow-5 power in each nucleus accumbens."""
    bands = _defaults()["slow5"]
    slow, total = (shares_of_power(settings, band_hz=tuple(bands[band])) for band in ("band_hz", "total_hz"))
    rows = []
    for side in ("L", "R"):
        row = ROW[("accumbens", side),]
        size = np.array([found.coloured[row, row], found.white[row, row]])
        if np.isfinite(size).all():
            rows.append(truth_row(visit, "nac_slow5", value=float(size @ slow / (size @ total)), hemi=side))
    return rows


def _networks(visit: Visit, z: Array) -> list[TruthRow]:
    """Return the mean z over the pairs of nodes of every two networks of the default settings."""
    names = _defaults()["networks"]
    node_names = np.array(seitzman_nodes().networks)
    known = np.isfinite(z).any(axis=0)
    rows = []
    for place, first in enumerate(names):
        for second in names[place:]:
            one, other = ((node_names == name) & known for name in (first, second))
            if min(one.sum(), other.sum()) >= N_NETWORK_MIN:
                value = float(np.nanmean(z[np.ix_(one, other)]))
                rows.append(truth_row(visit, "network_z", value=value, network_a=first, network_b=second))
    return rows


@lru_cache(maxsize=1)
def _defaults() -> dict[str, Any]:
    """Return the default settings of the markers, which the planted values are of."""
    return dict(read_config()["functional"])


@lru_cache(maxsize=2)
def _measured_regions(voxel_mm: float) -> dict[RegionKey, tuple[NDArray[np.intp], Matrix]]:
    """Return the voxels (flat) of every region of a marker and their shares."""
    found = {}
    for roi, hemi in dict.fromkeys((*EDGE_REGIONS, *(part for parts in ENDS for part in parts))):
        shares = region_shares((roi, hemi), voxel_mm).ravel()
        voxels = np.flatnonzero(shares)
        found[roi, hemi] = (voxels, shares[voxels])
    return found


def _end_weights(*, csf: Volume, inside: NDArray[np.bool_], voxel_mm: float) -> sparse.csr_array:
    """Return the weights (n_end, n_voxel) of ``ENDS`` as they are measured."""
    from scipy import sparse

    shares, wet = _measured_regions(voxel_mm), csf.ravel()
    column = np.cumsum(inside.ravel()) - 1
    rows, columns, values = [], [], []
    for row, parts in enumerate(ENDS):
        for part in parts:
            voxels, share = shares[part]
            share = without_csf(share, wet[voxels]) if part[0] in BRAINSTEM else share
            seen = inside.ravel()[voxels]
            rows.append(np.full(int(seen.sum()), row))
            columns.append(column[voxels[seen]])
            values.append(share[seen])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(sparse.coo_array(entries, shape=(len(ENDS), int(inside.sum()))))


@lru_cache(maxsize=2)
def _fixed_weights(voxel_mm: float) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the weights (n_mean, n_voxel) of the Seitzman nodes (0 where too little is covered) and confounds."""
    from scipy import sparse

    grid, maps = mni_grid(voxel_mm), template_maps(voxel_mm)
    mask = maps.inside.reshape(grid.shape)
    weights, whole = atlas_weights(seitzman_nodes(), affine=grid.affine, mask=mask)
    weights = weights[:, columns_of(mask)[mask]]  # voxels of the simulation have the last axis fastest
    covered = weights.sum(axis=1) >= _defaults()["coverage_min"] * whole
    masks = tissue_masks(maps, grid)
    means = [np.ones(len(maps.mean)), *(masks[tissue] for tissue in ("WM", "CSF") if masks[tissue].any())]
    return weights * covered[:, None].astype(np.float32), sparse.csr_array(np.asarray(means, dtype=np.float32))
