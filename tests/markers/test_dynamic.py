"""Thalamocortical states of scans whose states are known; gates, flags and intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, spearmanr

from lbpneuro.errors import ConfigError, Reason, Status
from lbpneuro.kernels.surrogates import phase_randomised
from lbpneuro.kernels.windows import (
    NO_STATE,
    adjusted_rand,
    assign_states,
    learn_states,
    taper,
    window_weights,
)
from lbpneuro.markers.descriptor import Direction, Tier, evaluate
from lbpneuro.markers.dynamic import (
    MARKERS,
    Dynamic,
    DynamicRun,
    States,
    edges,
    session_windows,
    share_of_states,
    state_edge,
    window_z,
)
from tests.oracles.dynamic import NODES, SETTINGS, T_R, band_limited, state_series, switching

N_TIME = 300
PAIRS = edges(SETTINGS)
SHARED = (0.1, 0.7)
BY_NAME = {marker.name: marker for marker in MARKERS}


@pytest.fixture(scope="module")
def centroids() -> np.ndarray:
    """States learned from 24 scans; the weaker is the more frequent one, so state 1."""
    return reference(np.random.default_rng(5), dwell_s=(180.0, 120.0))


def reference(rng, *, dwell_s, shared=SHARED, n_people=24) -> np.ndarray:
    scans = [switching(rng, state_series(rng, n_time=N_TIME, dwell_s=dwell_s), shared=shared) for _ in range(n_people)]
    windows = np.concatenate([z_of(series)[::4] for series in scans])
    found, _ = learn_states(windows, k=2, rng=rng, n_init=10, metric="cityblock")
    return found[np.argsort(found.mean(axis=1))]


def weights_of(n_time: int) -> np.ndarray:
    return window_weights(taper(30, sigma=3), width=30, step=1, keep=np.ones(n_time, dtype=bool))


def z_of(series: np.ndarray) -> np.ndarray:
    return window_z(series, weights=weights_of(len(series)), pairs=PAIRS)


def a_run(rng, *, states=None, n_time=N_TIME, shared=SHARED, censored=(), fd=None, **changes) -> DynamicRun:
    states = state_series(rng, n_time=n_time, dwell_s=(180.0, 120.0)) if states is None else np.asarray(states)
    series = switching(rng, states, shared=shared)
    series[list(censored)] = np.nan
    run = DynamicRun(
        name="task-rest",
        resting=True,
        t_r=T_R,
        series=series,
        fd_mm=np.abs(rng.normal(0.1, 0.02, len(states))) if fd is None else fd,
        steady=np.ones(len(states), dtype=bool),
        coverage=np.ones(len(NODES)),
    )
    return replace(run, **changes)


def found_in(*runs: DynamicRun, centroids, people=24, **settings) -> dict:
    """All estimates of the family by marker (and state)."""
    section = {**SETTINGS, **settings}
    states = None if centroids is None else States(centroids=centroids, people=people)
    data = Dynamic(runs=runs, states=states, settings=section, coverage_min=0.5, seed=1)
    found = {marker.name: evaluate(marker, data, {"dynamic": section}) for marker in MARKERS}
    return {name if level == () else (name, *level): e for name, levels in found.items() for level, e in levels.items()}


def test_a_clean_scan(rng, centroids):
    states = np.repeat([0, 1, 0, 1, 0], 60)
    found = found_in(a_run(rng, states=states), centroids=centroids, motion_rho=1.0)
    assert {estimate.status for estimate in found.values()} == {Status.OK}
    one, two = found["state_occupancy", "1"], found["state_occupancy", "2"]
    assert one.value + two.value == pytest.approx(1)
    assert one.value == pytest.approx(0.6, abs=0.1)
    assert one.n == N_TIME - 30 + 1
    assert one.ci_low <= one.value <= one.ci_high
    # five stays of two minutes; the ends of windows take from them and give to them
    assert found["state_dwell", "1"].value == pytest.approx(120, rel=0.35)
    assert found["state_transitions"].value == pytest.approx(4 / (270 * T_R / 60), rel=0.6)
    assert found["dtc_vpl_s1_z", "2"].value > found["dtc_vpl_s1_z", "1"].value + 0.3
    for name in ("dtc_vpl_s1_z", "dtc_md_ins_z"):
        assert found[name, "1"].n == round(one.value * one.n)
    assert found["dynamics_p"].value <= 0.05


def test_the_edges_are_those_of_thalamic_nuclei_with_others():
    assert len(PAIRS) == 6 * 12
    assert {(NODES[a][:3] in ("vpl", "vpm", "md_"), NODES[b][:3] in ("vpl", "vpm", "md_")) for a, b in PAIRS} == {
        (True, False)
    }
    assert len(edges({**SETTINGS, "edges": "all"})) == 18 * 17 // 2
    with pytest.raises(ConfigError, match="no pair"):
        edges({**SETTINGS, "nodes": ["s1_L", "s1_R"]})


def test_state_edges_are_averaged_over_sides_and_windows(rng, centroids):
    run = a_run(rng)
    data = Dynamic(
        runs=(run,), states=States(centroids=centroids, people=24), settings=SETTINGS, coverage_min=0.5, seed=1
    )
    windows = session_windows(data)
    left, right = (NODES.index(f"vpl_{h}") * 12 + NODES.index(f"s1_{h}") - 6 for h in "LR")
    mean = windows.z[:, [left, right]].mean(axis=1)
    found = found_in(run, centroids=centroids)
    for state in (0, 1):
        value = found["dtc_vpl_s1_z", str(state + 1)].value
        assert value == pytest.approx(mean[windows.labels == state].mean())
    assert found["dtc_vpl_s1_z", "1"].se > 0


def test_without_a_node_its_edges_are_not_there(rng, centroids):
    nodes = [name for name in NODES if name != "vpl_L"]
    kept = [NODES.index(name) for name in nodes]
    edge_kept = [i for i, (a, _) in enumerate(PAIRS) if NODES[a] != "vpl_L"]
    run = a_run(rng)
    fewer = replace(run, series=run.series[:, kept], coverage=run.coverage[kept])
    found = found_in(fewer, centroids=centroids[:, edge_kept], nodes=nodes)
    assert found["dtc_vpl_s1_z", "1"].reasons == (Reason.NOT_ACQUIRED,)
    assert np.isfinite(found["dtc_md_ins_z", "1"].value)
    assert np.isfinite(found["state_occupancy", "1"].value)


def test_two_runs_are_pooled_and_never_joined(rng, centroids):
    """Each run stays in one state: two stays, no change."""
    parts = [a_run(rng, states=np.full(150, state), shared=(0.02, 0.9), name=f"run-{state}") for state in (0, 1)]
    found = found_in(*parts, centroids=centroids)
    assert found["state_occupancy", "1"].value == pytest.approx(0.5, abs=0.1)
    assert found["state_occupancy", "1"].n == 2 * (150 - 30 + 1)
    assert found["state_transitions"].value == 0
    assert found["state_dwell", "1"].n == found["state_dwell", "2"].n == 1
    alone = found_in(parts[0], centroids=centroids)
    assert alone["state_occupancy", "1"].reasons == (Reason.TOO_FEW_VOLUMES,)


@pytest.mark.parametrize(
    ("n_time", "reason"), [(240, None), (239, Reason.TOO_FEW_VOLUMES), (149, Reason.TOO_FEW_VOLUMES)]
)
def test_eight_minutes_are_needed(rng, centroids, n_time, reason):
    found = found_in(a_run(rng, n_time=n_time), centroids=centroids, motion_rho=1.0)["state_occupancy", "1"]
    assert found.reasons == ((reason,) if reason else ())


@pytest.mark.parametrize(("n_censored", "refused"), [(30, False), (31, True)])
def test_no_more_than_a_tenth_may_be_censored(rng, centroids, n_censored, refused):
    censored = np.arange(5, 5 + 9 * n_censored, 9)
    run = a_run(rng, censored=censored[censored < N_TIME])
    assert int((~run.keep).sum()) == n_censored
    found = found_in(run, centroids=centroids)
    assert (found["state_occupancy", "1"].reasons == (Reason.HIGH_MOTION,)) == refused
    assert (found["dynamics_p"].status is Status.FAIL) == refused


def test_windows_with_a_censored_stretch_are_gaps(rng, centroids):
    run = a_run(rng, censored=range(140, 160))
    found = found_in(run, centroids=centroids)
    assert found["state_occupancy", "1"].n < N_TIME - 30 + 1 - 20
    data = Dynamic(
        runs=(run,), states=States(centroids=centroids, people=24), settings=SETTINGS, coverage_min=0.5, seed=1
    )
    labels = session_windows(data).labels
    assert (labels[125:145] == NO_STATE).all()
    assert (labels[:115] != NO_STATE).all()


def test_why_there_is_no_value(rng, centroids):
    run = a_run(rng)
    low = np.where(np.arange(18) == 3, 0.4, 1.0)
    flat = run.series.copy()
    flat[:, 4] = np.nan
    cases = {
        Reason.COVERAGE_TOO_LOW: replace(run, coverage=low),
        Reason.ZERO_VARIANCE: replace(run, series=flat),
        Reason.TOO_FEW_DOF: replace(run, series=np.full_like(flat, np.nan), refused=Reason.TOO_FEW_DOF),
    }
    for reason, each in cases.items():
        found = found_in(each, centroids=centroids)
        assert {estimate.reasons[0] for estimate in found.values()} == {reason}
    none = found_in(run, centroids=None)
    assert none["state_occupancy", "1"].reasons == (Reason.NO_STATES,)
    assert np.isfinite(none["dynamics_p"].value), "the null needs no reference states"


def test_what_a_reader_is_told(rng, centroids):
    run = a_run(rng)
    few = found_in(run, centroids=centroids, people=19, motion_rho=1.0)["state_occupancy", "2"]
    assert few.reasons == (Reason.FEW_FOR_STATES,)
    assert found_in(run, centroids=centroids, people=20, motion_rho=1.0)["state_occupancy", "2"].reasons == ()
    task = found_in(replace(run, resting=False, reduced=True), centroids=centroids, motion_rho=1.0)["state_dwell", "1"]
    assert task.reasons == (Reason.NOT_RESTING_STATE, Reason.REDUCED_CONFOUNDS)
    timing = found_in(replace(run, doubtful_timing=True), centroids=centroids, motion_rho=1.0)["state_dwell", "1"]
    assert timing.reasons == (Reason.DOUBTFUL_TIMING,)


def test_states_that_follow_motion_are_flagged(rng, centroids):
    states = np.repeat([0, 1, 0, 1, 0], 60)
    fd = 0.1 + 0.1 * states + 0.01 * rng.random(N_TIME)
    run = a_run(rng, states=states, fd=fd, shared=(0.02, 0.9))
    found = found_in(run, centroids=centroids)
    rho = found["state_motion_rho"]
    assert rho.value > 0.6
    assert Reason.STATES_FOLLOW_MOTION in found["state_occupancy", "1"].reasons
    data = Dynamic(
        runs=(run,), states=States(centroids=centroids, people=24), settings=SETTINGS, coverage_min=0.5, seed=1
    )
    windows = session_windows(data)
    assert rho.value == pytest.approx(spearmanr(windows.fd_mm, windows.labels).statistic)


def test_a_state_that_is_never_visited(rng, centroids):
    found = found_in(a_run(rng, states=np.zeros(N_TIME, dtype=int), shared=(0.0, 0.0)), centroids=centroids)
    never, always = found["state_occupancy", "2"], found["state_occupancy", "1"]
    assert (never.value, always.value) == (0, 1)
    # one stay, which is one look at the long run: quantile 0.975 of Beta(1/2, 3/2)
    assert (never.ci_low, never.ci_high) == (0, pytest.approx(0.853, abs=0.001))
    assert (always.ci_low, always.ci_high) == (pytest.approx(0.147, abs=0.001), 1)
    assert never.se == always.se == pytest.approx(0.25)
    assert found["state_dwell", "2"].reasons == (Reason.TOO_FEW_WINDOWS,)
    assert found["dtc_vpl_s1_z", "2"].reasons == (Reason.TOO_FEW_WINDOWS,)
    assert found["state_motion_rho"].reasons == (Reason.ZERO_VARIANCE,)
    changes = found["state_transitions"]
    assert changes.value == 0
    assert changes.ci_high == pytest.approx(3.689 / (270 * T_R / 60), rel=1e-3)  # of a Poisson count of none


def test_the_same_seed_gives_the_same_values(rng, centroids):
    run = a_run(rng)
    first, second = (found_in(run, centroids=centroids) for _ in range(2))
    assert first.keys() == second.keys()
    for name, estimate in first.items():
        assert repr(estimate) == repr(second[name])


def test_long_stays_in_states_that_differ_are_recovered():
    """Stays of ten minutes, windows of one; who is where is judged by what most of the window is in."""
    rng = np.random.default_rng(7)
    centroids = reference(rng, dwell_s=(300.0, 300.0), shared=(0.0, 0.8))
    weights = weights_of(2000)
    agreement = []
    for _ in range(8):
        states = state_series(rng, n_time=2000, dwell_s=(600.0, 600.0))
        z = window_z(switching(rng, states, shared=(0.0, 0.8)), weights=weights, pairs=PAIRS)
        labels = assign_states(z, centroids=centroids, metric="cityblock")
        truth = (weights @ states / weights.sum(axis=1) > 0.5).astype(int)
        agreement.append(adjusted_rand(labels, truth))
    assert np.mean(agreement) >= 0.9


@pytest.mark.parametrize("dwell_s", [(60.0, 60.0), (100.0, 60.0), (180.0, 120.0), (300.0, 200.0), (600.0, 60.0)])
def test_occupancy_and_its_interval_over_many_scans(dwell_s):
    """Over 300 scans of ten minutes: error, bias towards the weaker state, and how often the interval is right.

    Of the share in the scan it is too wide, because it is that of the long run, of which a scan holds a few stays.
    """
    rng = np.random.default_rng(11)
    centroids = reference(rng, dwell_s=dwell_s)
    weights = weights_of(N_TIME)
    error, inside, long_run, spread = [], [], [], []
    for _ in range(300):
        states = state_series(rng, n_time=N_TIME, dwell_s=dwell_s)
        found = occupied(a_run(rng, states=states), centroids)
        truth = float(np.mean(weights @ states / weights.sum(axis=1) > 0.5))
        error.append(found.value - truth)
        inside.append(found.ci_low <= truth <= found.ci_high)
        long_run.append(found.ci_low <= dwell_s[1] / sum(dwell_s) <= found.ci_high)
        spread.append((found.value, found.se))
    value, se = np.transpose(spread)
    assert np.sqrt(np.mean(np.square(error))) < 0.1
    assert abs(np.mean(error)) < 0.07
    assert np.mean(inside) > 0.97
    assert np.mean(long_run) > 0.9
    assert 0.7 < np.sqrt(np.mean(se**2)) / value.std() < 2


def occupied(run: DynamicRun, centroids: np.ndarray):
    """The occupancy of the second state, with few resamples."""
    settings = {**SETTINGS, "bootstrap": 50}
    states = States(centroids=centroids, people=24)
    data = Dynamic(runs=(run,), states=states, settings=settings, coverage_min=0.5, seed=1)
    return BY_NAME["state_occupancy"].function(data)["2",]


def test_the_interval_does_not_end_at_the_value(rng, centroids):
    """Six windows of 271 in the other state: resamples of windows would end at the share itself."""
    states = States(centroids=centroids, people=24)
    data = Dynamic(runs=(a_run(rng),), states=states, settings=SETTINGS, coverage_min=0.5, seed=1)
    labels = np.zeros(271, dtype=int)
    labels[:6] = 1
    found = share_of_states(data, replace(session_windows(data), labels=labels))
    one, two = found["1",], found["2",]
    assert two.value == pytest.approx(6 / 271)
    assert one.ci_low < one.value - 0.1
    assert one.ci_high > one.value + 0.01
    assert two.ci_low == pytest.approx(1 - one.ci_high)
    assert two.se == pytest.approx(one.se)


VPL_S1 = ["vpl_L", "s1_L", "vpl_R", "s1_R"]


def stationary(rng, *, r: float, n_time: int, between: float = 0.3, censored=(), name="task-rest") -> DynamicRun:
    """Two pairs of nodes with the correlation ``r``, which go together over the sides."""
    within = np.array([[1, r], [r, 1]])
    truth = np.block([[within, between * within], [between * within, within]])
    series = band_limited(rng, n_time=n_time, n_series=4, low_hz=1 / 60) @ np.linalg.cholesky(truth).T
    series[list(censored)] = np.nan
    quiet = {"fd_mm": np.full(n_time, 0.1), "steady": np.ones(n_time, dtype=bool), "coverage": np.ones(4)}
    return DynamicRun(name=name, resting=True, t_r=T_R, series=series, **quiet)


def in_state(runs, inside=None):
    """The connectivity of VPL and S1 in the state of the windows ``inside``; of all if there are none."""
    settings = {**SETTINGS, "nodes": VPL_S1, "bootstrap": 50}
    centroids = np.array([[0.5] * 4, [50.0] * 4])
    data = Dynamic(
        runs=tuple(runs), states=States(centroids=centroids, people=24), settings=settings, coverage_min=0.5, seed=1
    )
    windows = session_windows(data)
    if inside is not None:
        windows = replace(windows, labels=np.where(inside(len(windows.z)), 0, 1))
    return state_edge(data, windows, "vpl", "s1")["1",]


def covered(n_scans: int, r: float, runs, inside=None) -> float:
    found = [in_state(runs(), inside) for _ in range(n_scans)]
    assert all(each.ci_high - each.value == pytest.approx(1.959964 * each.se) for each in found)
    assert all(each.value - each.ci_low == pytest.approx(1.959964 * each.se) for each in found)
    return float(np.mean([each.ci_low <= np.arctanh(r) <= each.ci_high for each in found]))


@pytest.mark.parametrize(("r", "n_time"), [(0.0, 300), (0.3, 300), (0.6, 300), (0.3, 600)])
def test_the_interval_of_a_long_stay_holds_the_planted_z(r, n_time):
    """93 to 97 %, with the luck of 400 scans on both sides."""
    rng = np.random.default_rng(23)
    assert 0.92 <= covered(400, r, lambda: [stationary(rng, r=r, n_time=n_time)]) <= 0.98


@pytest.mark.parametrize("case", ["six windows", "two stays", "two runs", "censored", "sides that are one"])
def test_the_interval_of_a_few_windows_holds_the_planted_z(case):
    rng = np.random.default_rng(29)
    between = 0.95 if case == "sides that are one" else 0.0

    def runs():
        n, censored = (150, ()) if case == "two runs" else (300, range(3, 300, 11) if case == "censored" else ())
        return [
            stationary(rng, r=0.4, n_time=n, between=between, censored=censored, name=f"run-{i}")
            for i in range(2 if case == "two runs" else 1)
        ]

    def inside(n: int) -> np.ndarray:
        place = np.arange(n)
        starts = [100, 220] if case == "two stays" else [90, 140] if case == "two runs" else [100]
        return np.any([(place >= start) & (place < start + 6) for start in starts], axis=0)

    assert 0.9 < covered(300, 0.4, runs, inside) < 0.99


@pytest.mark.parametrize(("n_censored", "n_scans"), [(0, 150), (18, 80)])
def test_p_is_uniform_without_dynamics(n_censored, n_scans):
    """Of 20 possible values each, with and without censored volumes; a value stands for the 20th below it."""
    rng = np.random.default_rng(13)
    p = np.array([null_p(rng, n_censored=n_censored, states=np.zeros(N_TIME, dtype=int)) for _ in range(n_scans)])
    assert kstest(p - 0.05 * rng.random(n_scans), "uniform").pvalue > 0.01
    for level in (0.05, 0.1, 0.2):
        assert np.mean(p <= level + 1e-9) < level + 3 * np.sqrt(level * (1 - level) / n_scans)


def test_dynamics_are_told_from_none():
    rng = np.random.default_rng(17)
    p = [null_p(rng, n_censored=0, states=np.repeat([0, 1, 0, 1, 0], 60)) for _ in range(30)]
    assert np.mean(np.array(p) <= 0.05) > 0.7


def null_p(rng, *, n_censored: int, states: np.ndarray) -> float:
    run = a_run(rng, states=states, shared=(0.4, 0.8) if states.any() else (0.4, 0.4))
    run.series[rng.permutation(N_TIME)[:n_censored]] = np.nan
    settings = {**SETTINGS, "step_volumes": 6, "nodes": NODES}
    data = Dynamic(runs=(run,), states=None, settings=settings, coverage_min=0.5, seed=int(rng.integers(2**31)))
    return float(BY_NAME["dynamics_p"].function(data)[()].value)


def test_surrogates_have_the_occupancy_of_stationary_series():
    """A surrogate of a switching scan is stationary: its windows lie between the two states, not in both by turns."""
    rng = np.random.default_rng(19)
    states = np.repeat([0, 1, 0, 1, 0], 60)
    series = switching(rng, states, shared=(0.0, 0.9))
    spread = [z_of(each).mean(axis=1).std() for each in (series, phase_randomised(series, rng=rng))]
    assert spread[1] < 0.6 * spread[0]


def test_directions_and_tiers():
    assert BY_NAME["state_occupancy"].tier is Tier.PRIMARY
    assert {BY_NAME[name].tier for name in ("state_dwell", "state_transitions", "dynamics_p")} == {Tier.EXPLORATORY}
    assert BY_NAME["state_motion_rho"].tier is Tier.QUALITY
    contested = [name for name, marker in BY_NAME.items() if marker.direction is Direction.CONTESTED]
    assert set(contested) == set(BY_NAME) - {"state_motion_rho", "dynamics_p"}


def test_noise_of_the_oracle_is_band_limited(rng):
    series = band_limited(rng, n_time=2000, n_series=4, low_hz=1 / 60)
    power = np.abs(np.fft.rfft(series * np.hanning(2000)[:, None], axis=0)) ** 2
    inside = np.fft.rfftfreq(2000, T_R) >= 1 / 60 - 0.001
    inside &= np.fft.rfftfreq(2000, T_R) <= 0.081
    assert power[inside].sum() > 0.999 * power.sum()
    assert series.var() == pytest.approx(1, rel=0.1)
