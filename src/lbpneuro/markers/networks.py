"""Connectivity within and between networks: mean Fisher z over the pairs of their nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels.correlation import correlation, fisher_z, mean_z_se, network_dimension
from lbpneuro.kernels.nuisance import project
from lbpneuro.markers.bold import Functional, Run, passing, run_laws, session_flags, session_refusals
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

NODES_MIN = 3
Z_MAX = 5.0
SEITZMAN = "10.1016/j.neuroimage.2019.116290"
FACT_SHEET = "Functional changes: default mode, salience, sensorimotor and other networks"
DIRECTION = (
    "Contested: of the networks in 10.1371/journal.pone.0106133 (abstract) only the default mode network deviated, its "
    "medial prefrontal part less connected with its posterior part and more with the insula; no sign for a whole "
    "network was found in a source that could be read."
)
Array = NDArray[np.float64]


def network_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels: every network with itself and with every later one of the settings."""
    return list(combinations_with_replacement(config["functional"]["networks"], 2))


def network_z(data: Functional) -> dict[Level, Estimate]:
    """Return the mean Fisher z over the pairs of nodes within a network, or between two.

    Nodes that are not covered are left out, and a network with fewer than three gives no value. Runs are averaged with
    the weights ``d - 2``, ``d`` the effective dimension. The error allows for pairs that share a node.
    """
    levels = network_levels({"functional": data.settings})
    refusals = session_refusals(data)
    if refusals:
        return dict.fromkeys(levels, Estimate.fail(*refusals))
    found = [each for run in passing(data) if (each := _run_means(run, data.settings)).dimension > 2]
    if not found:
        return dict.fromkeys(levels, Estimate.fail(Reason.TOO_FEW_DOF))
    flags = session_flags(data)
    pooled = _pooled(found)
    return {level: _estimate(pooled, place, flags=flags) for place, level in enumerate(levels)}


NETWORK_Z = Marker(
    name="network_z",
    long_name="Network connectivity, Fisher z",
    description=(
        "Mean Fisher z of the correlations between all pairs of nodes of two networks, or within one (same name "
        "twice), of the 300 functionally defined nodes; cortical confound strategy."
    ),
    unit="1",
    family="functional",
    function=network_z,
    direction=Direction.CONTESTED,
    tier=Tier.SECONDARY,
    doi=SEITZMAN,
    fact_sheet=FACT_SHEET,
    n_counts="pairs of nodes",
    version="1",
    bounds=(-Z_MAX, Z_MAX),
    index=("network_a", "network_b"),
    levels=network_levels,
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=(
        "first-order error of a mean over pairs that share nodes (covariances of Pearson and Filon), d the effective "
        "dimension of the nodes; interval: Student's t with d - 2 degrees of freedom"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Of one run or of several: mean z, error and number of pairs at every level, and the effective dimension."""

    z: Array
    se: Array
    n_pairs: NDArray[np.int64]
    dimension: float


def _run_means(run: Run, settings: Mapping[str, Any]) -> _Means:
    """Return the means of one run; NaN at levels with too few nodes."""
    networks = list(settings["networks"])
    known = np.asarray(np.isfinite(run.nodes).all(axis=0))
    used = [place for place, name in enumerate(run.node_networks) if name in networks and known[place]]
    member = np.array([[run.node_networks[place] == name for place in used] for name in networks], dtype=np.float64)
    basis = run.basis("cortical")
    if basis is None or not used:
        nothing = np.full(len(networks) * (len(networks) + 1) // 2, np.nan)
        return _Means(z=nothing, se=nothing, n_pairs=np.zeros(nothing.shape, dtype=np.int64), dimension=np.nan)
    projected = project(basis, run.nodes[:, used], keep=run.keep)
    low, high = settings["band_hz"]
    dimension = network_dimension(projected, laws=run_laws(run, "cortical", (low, high)))
    r = correlation(projected)
    weights = _pair_weights(member, z_known=np.isfinite(fisher_z(r)))
    n_pairs = weights.sum(axis=(1, 2)) / 2
    z = np.einsum("lij,ij->l", weights, np.nan_to_num(fisher_z(r), posinf=0, neginf=0), optimize=True)
    enough = _enough_nodes(member) & (n_pairs > 0)
    return _Means(
        z=np.where(enough, z / np.where(n_pairs > 0, 2 * n_pairs, np.nan), np.nan),
        se=np.where(enough, mean_z_se(r, weights=weights, dimension=dimension), np.nan),
        n_pairs=np.where(enough, n_pairs, 0).astype(np.int64),
        dimension=dimension,
    )


def _pair_weights(member: Array, *, z_known: NDArray[np.bool_]) -> Array:
    """Return which pairs (n_level, n_node, n_node) belong to each level, 1 in both triangles."""
    first, second = np.triu_indices(len(member))
    pairs = np.einsum("li,lj->lij", member[first], member[second])
    pairs = np.maximum(pairs, pairs.transpose(0, 2, 1))
    return np.asarray(np.where(z_known & ~np.eye(member.shape[1], dtype=bool), pairs, 0.0))


def _enough_nodes(member: Array) -> NDArray[np.bool_]:
    """Return which levels have enough nodes in both networks."""
    first, second = np.triu_indices(len(member))
    enough = member.sum(axis=1) >= NODES_MIN
    return np.asarray(enough[first] & enough[second])


def _pooled(runs: Sequence[_Means]) -> _Means:
    """Return the means over runs with the weights d - 2; a level must be known in all of them."""
    weight = np.array([run.dimension - 2 for run in runs])
    share = weight / weight.sum()
    return _Means(
        z=share @ np.stack([run.z for run in runs]),
        se=np.sqrt(share**2 @ np.stack([run.se for run in runs]) ** 2),
        n_pairs=np.min([run.n_pairs for run in runs], axis=0),
        dimension=2 + float(weight.sum()),
    )


def _estimate(pooled: _Means, place: int, *, flags: Sequence[Reason]) -> Estimate:
    from scipy.special import stdtrit

    z, se = float(pooled.z[place]), float(pooled.se[place])
    if np.isnan(z):
        return Estimate.fail(Reason.COVERAGE_TOO_LOW)
    reach = float(stdtrit(pooled.dimension - 2, 0.975)) * se
    return Estimate.of(z, se=se, ci=(z - reach, z + reach), n=int(pooled.n_pairs[place]), flags=flags)


MARKERS: tuple[Marker, ...] = (NETWORK_Z,)
