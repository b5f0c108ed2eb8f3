"""The values that a simulated resting run plants.

The planted value is what the generating model itself implies for an infinitely long run, within the pass band, when
everything that confound regression is meant to take out (global, physiological, motion) has been taken out, and nothing
else. What a strategy takes away of the signal on top of that is an error of the strategy, and shows as one: were the
planted value that of each strategy, none could ever be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.atlases import node_weights as atlas_weights
from lbpneuro.io.atlases import seitzman_nodes
from lbpneuro.io.config import read_config
from lbpneuro.io.region_grid import CSF_MAX
from lbpneuro.markers.bold import BRAINSTEM
from lbpneuro.markers.edges import EDGE_REGIONS, EMOTION_NODES, LABELS, PAIN_NODES, Parts, midline
from lbpneuro.simulate.bold import BoldSettings, Maps, Matrix, latent_correlation, nuisance_scale, white_sd
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Moments of some mean series for an infinitely long, cleaned run.

    ``structured`` (n_mean, n_mean) and ``white`` (n_mean, n_mean) are the covariances of the 1/f signals and of the
    white noise over all frequencies; ``r`` (n_mean, n_mean) the correlations within the pass band, NaN for a mean
    without weight.
    """

    structured: Array
    white: Array
    r: Array


def band_shares(settings: BoldSettings) -> tuple[float, float]:
    """Return the share of the variance that lies in the pass band, of the 1/f signals and of white noise."""
    return shares_of_power(settings, band_hz=settings.band_hz)


def shares_of_power(settings: BoldSettings, *, band_hz: tuple[float, float]) -> tuple[float, float]:
    """Return the share of the variance within a band, of the 1/f signals and of white noise."""
    frequencies = np.linspace(0, 0.5 / settings.t_r, 20001)[1:]
    power = 1 / (frequencies + settings.knee_hz)
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    return float(power[inside].sum() / power.sum()), float(inside.mean())


def population(
    weights: Matrix | sparse.csr_array,
    maps: Maps,
    *,
    correlation: Array,
    settings: BoldSettings,
    regressed: int = 0,
) -> Population:
    """Return the moments of weighted means.

    Parameters
    ----------
    weights : (n_mean, n_voxel)
        Weights of the means, on the voxels of ``maps``.
    maps, correlation, settings
        The generating model.
    regressed
        The last so many means are confounds: physiological noise and global signal stay in, and these means are
        regressed out within the band, as they are. By default the noise is taken out, and nothing else.

    Notes
    -----
    With voxel means m and weights a = w m / sum(w m): covariance a'(R C R' s1 + N N' s1 + diag(white) s0) b, where s1
    and s0 are the shares of the 1/f and the white variance in the band.
    """
    from scipy import sparse

    coloured_share, white_share = band_shares(settings)
    signal = np.asarray(weights @ maps.mean.astype(np.float64))
    scale = 1 / np.where(signal > 0, signal, np.nan)
    loads = sparse.csr_array(weights, dtype=np.float64) * maps.mean[None].astype(np.float64)
    loads = sparse.csr_array(loads)
    regions = settings.latent * (loads @ maps.regions.astype(np.float64))
    nodes = settings.smooth_field * (loads @ maps.nodes).toarray()
    noise = loads * white_sd(maps, settings).astype(np.float64)[None]
    both = np.outer(scale, scale)
    body = (loads @ maps.nuisance[:, :3].astype(np.float64)) * nuisance_scale(settings)[:3] * bool(regressed)
    structured = (regions @ correlation @ regions.T + nodes @ nodes.T + body @ body.T) * both
    white = (noise @ noise.T).toarray() * both
    covariance = coloured_share * structured + white_share * white
    if regressed:
        beside = covariance[:, -regressed:]
        covariance = covariance - beside @ np.linalg.solve(beside[-regressed:], beside.T)
    size = np.sqrt(np.maximum(np.diag(covariance), 0))
    size = np.where(size > 0, size, np.nan)
    return Population(structured=structured, white=white, r=np.asarray(covariance / np.outer(size, size)))


def without_csf(weights: Volume, csf: Volume) -> Volume:
    """Return the weights of the seed without the voxels of CSF, or all of them if less than half would be left.

    This is the seed that connectivity is computed of: fewer voxels average less noise out, and it matters to r.
    """
    tissue = np.where(csf > CSF_MAX, np.float32(0), weights)
    return tissue if tissue.sum(dtype=float) >= 0.5 * weights.sum(dtype=float) else weights


def bold_truth(
    visit: Visit,
    maps: Maps,
    *,
    csf: Volume,
    voxel_mm: float,
    settings: BoldSettings,
    confounds: Matrix | None = None,
) -> list[TruthRow]:
    """Return the planted values of the functional markers.

    Partial correlations have none: their shrinkage depends on the length of the run.

    Parameters
    ----------
    visit, maps, voxel_mm, settings
        Who, where, and what is simulated.
    csf : (nx, ny, nz)
        Its probability in voxels of the brainstem.
    confounds : (n_confound, n_voxel)
        Weights of mean signals. With these the values are not those planted, but those that regression on these means
        leads to in an endless run.
    """
    from scipy import sparse

    ends = _end_weights(csf=csf, inside=maps.inside, voxel_mm=voxel_mm)
    nodes = _nodes(voxel_mm)
    means = sparse.vstack([ends, nodes, *([] if confounds is None else [sparse.csr_array(confounds)])], format="csr")
    n_confound = 0 if confounds is None else len(confounds)
    correlation = latent_correlation(visit, settings)
    found = population(means, maps, correlation=correlation, settings=settings, regressed=n_confound)
    z = np.arctanh(np.where(np.eye(len(found.r), dtype=bool), np.nan, found.r))
    among = slice(len(ENDS), len(ENDS) + nodes.shape[0])
    rows = _edges(visit, z)
    if np.isfinite(z[ROW[MPFC]]).any():
        beyond = nodes @ ends[[ROW[MPFC]]].toarray()[0] == 0
        rows.append(truth_row(visit, "mpfc_hub", value=np.nanmean(z[among][beyond, ROW[MPFC]] ** 2)))
    shift = _mean_among(z, EMOTION_NODES) - _mean_among(z, PAIN_NODES)
    if np.isfinite(shift):
        rows.append(truth_row(visit, "shift_rest", value=shift))
    return [*rows, *_slow5(visit, found, settings), *_networks(visit, z[among, among])]


def _edges(visit: Visit, z: Array) -> list[TruthRow]:
    rows = []
    for label, (edge, side) in LABELS.items():
        seed, target = edge.ends(side)
        value = z[ROW[seed], ROW[target]]
        if np.isfinite(value):
            rows.append(truth_row(visit, "fc_r", value=np.tanh(value), edge=label))
            hemi = {"hemi": side} if side else {}
            rows.append(truth_row(visit, f"{edge.name}_z", value=value, **hemi))
    return rows


def _mean_among(z: Array, ends: Sequence[Parts]) -> float:
    """Return the mean z over the pairs of some ends."""
    at = [ROW[parts] for parts in ends]
    return float(z[np.ix_(at, at)][np.triu_indices(len(at), k=1)].mean())


def _slow5(visit: Visit, found: Population, settings: BoldSettings) -> list[TruthRow]:
    """Return the share of slow-5 power in each nucleus accumbens."""
    bands = _defaults()["slow5"]
    slow, total = (shares_of_power(settings, band_hz=tuple(bands[band])) for band in ("band_hz", "total_hz"))
    rows = []
    for side in ("L", "R"):
        row = ROW[("accumbens", side),]
        size = np.array([found.structured[row, row], found.white[row, row]])
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
def _nodes(voxel_mm: float) -> sparse.csr_array:
    """Return the weights (n_node, n_voxel) of the Seitzman nodes in the run; 0 where too little is covered."""
    from lbpneuro.simulate.bold import template_maps

    grid, inside = mni_grid(voxel_mm), template_maps(voxel_mm).inside
    weights, whole = atlas_weights(seitzman_nodes(), affine=grid.affine, mask=inside.reshape(grid.shape))
    covered = weights.sum(axis=1) >= _defaults()["coverage_min"] * whole
    return weights * covered[:, None].astype(np.float32)
