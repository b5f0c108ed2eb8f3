"""Network connectivity on runs made of arrays: planted values, their intervals, and what is not covered."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.kernels.nuisance import project
from lbpneuro.markers.bold import Functional, Run
from lbpneuro.markers.descriptor import evaluate
from lbpneuro.markers.networks import NETWORK_Z, network_levels
from tests.oracles.functional import coloured
from tests.oracles.nodes import BAND, NODE_SETTINGS, T_R, node_run, nuisance

NETWORKS = ["DefaultMode", "Salience", "Reward"]
SETTINGS_HERE = {**NODE_SETTINGS, "networks": NETWORKS}
NODES = ("DefaultMode",) * 5 + ("unassigned",) + ("Salience",) * 4 + ("Reward",) * 3
LEVELS = [("DefaultMode", "DefaultMode"), ("DefaultMode", "Salience"), ("DefaultMode", "Reward")]
LEVELS += [("Salience", "Salience"), ("Salience", "Reward"), ("Reward", "Reward")]


def nodes_with(rng, *, n_time: int, within: float, between: float, exponent: float = 1.0) -> np.ndarray:
    """Series of the nodes: one source for all, one for each network, and their own."""
    signals = coloured(rng, n_time=n_time, n_series=4 + len(NODES), exponent=exponent, t_r=T_R, band_hz=BAND)
    of_network = signals[:, [1 + [*NETWORKS, "unassigned"].index(name) for name in NODES]] if within else 0
    own = signals[:, 4:]
    return 1000 + np.sqrt(between) * signals[:, :1] + np.sqrt(within - between) * of_network + np.sqrt(1 - within) * own


def a_run(rng, *, n_time: int = 300, within: float = 0.5, between: float = 0.1, fd: float = 0.1, **changes) -> Run:
    """A run of nodes alone."""
    models = {"cortical": nuisance(rng.standard_normal((n_time, 12)), strategy="24p")}
    nodes = nodes_with(rng, n_time=n_time, within=within, between=between)
    return node_run(changes.pop("nodes", nodes), models=models, fd=fd, **{"node_networks": NODES, **changes})


def estimates(*runs: Run, **settings) -> dict:
    config = {"functional": {**SETTINGS_HERE, **settings}}
    return evaluate(NETWORK_Z, Functional(runs=runs, settings=config["functional"]), config)


def test_levels_are_every_network_with_itself_and_the_later_ones() -> None:
    assert network_levels({"functional": SETTINGS_HERE}) == LEVELS


def test_value_is_the_mean_over_pairs(rng) -> None:
    run = a_run(rng)
    found = estimates(run)
    assert list(found) == LEVELS
    y = project(run.models["cortical"].basis, run.nodes, keep=run.keep)
    for (first, second), estimate in found.items():
        pairs = [
            (i, j)
            for i, j in combinations(range(len(NODES)), 2)
            if (NODES[i], NODES[j]) in ((first, second), (second, first))
        ]
        z = [np.arctanh(y[:, i] @ y[:, j] / np.linalg.norm(y[:, i]) / np.linalg.norm(y[:, j])) for i, j in pairs]
        assert estimate.value == pytest.approx(np.mean(z), abs=1e-12)
        assert estimate.n == len(pairs)
        assert estimate.status is Status.OK
        assert estimate.ci_high - estimate.value == pytest.approx(estimate.value - estimate.ci_low)
        assert estimate.ci_high - estimate.value > 1.96 * estimate.se


def test_nodes_that_are_not_covered_are_left_out(rng) -> None:
    run = a_run(rng)
    nodes = run.nodes.copy()
    nodes[:, [0, 6]] = np.nan  # one of the default mode network, one of the salience network
    found, whole = estimates(replace(run, nodes=nodes)), estimates(run)
    assert found[LEVELS[0]].n == 6
    assert found[LEVELS[1]].n == 4 * 3
    assert found[LEVELS[5]].value == pytest.approx(whole[LEVELS[5]].value, abs=1e-12)
    nodes[:, 7] = np.nan  # two are left of the salience network
    found = estimates(replace(run, nodes=nodes))
    empty = {level for level, estimate in found.items() if estimate.reasons == (Reason.COVERAGE_TOO_LOW,)}
    assert empty == {level for level in LEVELS if "Salience" in level}


def test_a_constant_node_is_no_pair(rng) -> None:
    run = a_run(rng)
    nodes = run.nodes.copy()
    nodes[:, 0] = 7.0
    found = estimates(replace(run, nodes=nodes))
    assert found[LEVELS[0]].n == 6
    assert np.isfinite(found[LEVELS[0]].se)


def test_no_node_at_all(rng) -> None:
    found = estimates(a_run(rng, nodes=np.full((300, len(NODES)), np.nan)))
    assert {estimate.status for estimate in found.values()} == {Status.FAIL}


def test_runs_are_pooled_and_gated(rng) -> None:
    first, second = a_run(rng), a_run(rng)
    alone, both = estimates(first), estimates(first, second)
    assert both[LEVELS[0]].se == pytest.approx(alone[LEVELS[0]].se / np.sqrt(2), rel=0.25)
    moved = estimates(first, replace(second, fd_mm=np.full(300, 0.6)))
    assert moved == alone
    assert estimates(replace(first, fd_mm=np.full(300, 0.6)))[LEVELS[0]].reasons[0] is Reason.HIGH_MOTION
    assert estimates(first, kept_s=[900, 1200])[LEVELS[0]].reasons == (Reason.TOO_FEW_VOLUMES,)


def test_the_longer_run_counts_more(rng) -> None:
    """A run of 900 volumes has about four times the dimensions of one of 300 with twelve confounds."""
    short, long = a_run(rng, within=0.2), a_run(rng, n_time=900, within=0.6)
    first, second, both = (estimates(*runs)[LEVELS[0]].value for runs in ([short], [long], [short, long]))
    share = (both - first) / (second - first)
    assert 0.7 < share < 0.9


@pytest.mark.parametrize(("within", "between"), [(0.0, 0.0), (0.5, 0.2)])
def test_planted_connectivity_is_recovered(within: float, between: float) -> None:
    """Over 300 runs of pink noise: no bias beyond that of Fisher z, and intervals that hold the truth."""
    rng = np.random.default_rng(20210709)
    template = a_run(rng, n_time=240)
    truth = np.arctanh([within, between, between, within, between, within])
    errors, held = [], []
    for _ in range(300):
        nodes = nodes_with(rng, n_time=240, within=within, between=between)
        found = list(estimates(replace(template, nodes=nodes)).values())
        errors.append([estimate.value for estimate in found] - truth)
        held.append([e.ci_low <= t <= e.ci_high for e, t in zip(found, truth, strict=True)])
    d = template.models["cortical"].basis.shape[1]
    bias, error = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=1) / np.sqrt(300)
    assert np.all(np.abs(bias - np.tanh(truth) / (2 * d)) < 4 * error)
    assert 0.935 <= np.mean(held) <= 0.975, np.mean(held, axis=0)
