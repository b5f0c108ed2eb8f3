"""Thalamocortical states: how connectivity between thalamic nuclei and cortex changes during a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import ConfigError, Reason
from lbpneuro.kernels.correlation import fisher_z, mean_z_se
from lbpneuro.kernels.surrogates import filled, phase_randomised, var_surrogate
from lbpneuro.kernels.windows import (
    NO_STATE,
    assign_states,
    block_resamples,
    dwell_times,
    independent_windows,
    joined,
    lag_products,
    occupancy,
    run_lengths,
    share_interval,
    taper,
    transitions,
    window_mean_variance,
    window_means,
    window_volumes,
    window_weights,
    windowed_pairs,
)
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "Thalamocortical states"
FACT_SHEET = "Functional changes: thalamocortical network dynamics"
TU = "10.1038/s41467-020-17788-z"
THALAMIC = ("vpl", "vpm", "md", "thalamus")
EDGE_SETS = ("thalamocortical", "all")
TIME_TOLERANCE_S = 1e-6
Z_CLIP = 1 - 1e-9
PERCENTILES = (2.5, 97.5)
VAR_ORDER = 2
UNIT_DIMENSION = 3.0  # at which the standard error of Fisher z is 1
DIRECTION = (
    f"Contested: {TU} reports differences from controls in either state, their signs are not in its abstract; no "
    "replication was read."
)
SHARE_ERROR = (
    "of the long-run share: Jeffreys interval of as many independent looks as the changes of state are worth (at "
    "most the windows that do not overlap, one if no change was seen), or the moving-block bootstrap over windows if "
    "that is wider. In simulated scans of ten minutes it holds the long-run share in 93 to 99 % (resamples alone: 38 "
    "to 74 %), the share of the scan in 99 to 100 %"
)
EDGE_ERROR = (
    "sampling error of windowed correlation in a stationary run: effective dimension of a window from the "
    "autocorrelation of the series and the taper, overlap of the windows, both sides together; or the moving-block "
    "bootstrap over windows if that is larger. The symmetric interval holds the planted z in 92 to 98 %"
)
N_WINDOWS = "windows, which overlap: one per volume, some 30 of them per independent one"

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DynamicRun:
    """The cleaned series of one run; nodes in the order of the settings.

    Attributes
    ----------
    name
        ``task-rest_run-1``.
    resting
        Whether the task is rest.
    t_r
        Repetition time (s).
    series : (n_time, n_node)
        Cleaned, within the dynamic band; rows of censored volumes and columns of absent nodes are NaN.
    fd_mm : (n_time,)
        Framewise displacement (Jenkinson, mm).
    steady : (n_time,) of bool
        Volumes in the steady state.
    coverage : (n_node,)
        Share of each node inside the data.
    reduced
        Whether the run was too short for its confounds, and has those of the fall-back.
    doubtful_timing
        Whether the sidecar holds two repetition times.
    refused
        Why there is no cleaned series, None if there is.
    """

    name: str
    resting: bool
    t_r: float
    series: Array
    fd_mm: Array
    steady: NDArray[np.bool_]
    coverage: Array
    reduced: bool = False
    doubtful_timing: bool = False
    refused: Reason | None = None

    @property
    def keep(self) -> NDArray[np.bool_]:
        """The volumes that are not censored."""
        return np.asarray(np.isfinite(self.series).any(axis=1))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class States:
    """Reference states: ``centroids`` (k, n_edge) in Fisher z, and how many people they were learned from."""

    centroids: Array
    people: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Dynamic:
    """Input of the family: runs of a session, reference states (None: there are none), section ``dynamic``."""

    runs: tuple[DynamicRun, ...]
    states: States | None
    settings: Mapping[str, Any]
    coverage_min: float
    seed: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Windows:
    """The windows of a session, runs after one another.

    ``z`` (n_window, n_edge), ``fd_mm`` (n_window,) and ``labels`` (n_window,) of all windows; ``lengths`` the number of
    each run; ``step_s`` the time between two windows, and ``block`` the windows that one window overlaps with.
    """

    z: Array
    fd_mm: Array
    labels: Labels
    lengths: tuple[int, ...]
    step_s: float
    block: int

    @property
    def sequence(self) -> Labels:
        """The labels with a gap between two runs."""
        return joined(np.split(self.labels, np.cumsum(self.lengths)[:-1]))


def edges(settings: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the pairs of nodes (n_edge, 2) whose connectivity defines the states.

    Raises
    ------
    ConfigError
        If the nodes of the settings make no such pair.
    """
    nodes = settings["nodes"]
    thalamic = np.array([_roi(node) in THALAMIC for node in nodes], dtype=bool)
    first, second = np.triu_indices(len(nodes), 1)
    wanted = (
        thalamic[first] != thalamic[second] if settings["edges"] == "thalamocortical" else np.full(len(first), True)
    )
    if not wanted.any():
        raise ConfigError(
            f"setting `dynamic.nodes`: {', '.join(nodes)} hold no pair of a thalamic nucleus ({', '.join(THALAMIC)}) "
            "and another region; add one, or set `dynamic.edges: all`."
        )
    return np.column_stack([first[wanted], second[wanted]])


def _roi(node: str) -> str:
    return node.removesuffix("_L").removesuffix("_R")


def run_width(run: DynamicRun, settings: Mapping[str, Any]) -> int:
    """Return the width of a window of a run (volumes)."""
    return window_volumes(t_r=run.t_r, volumes_min=settings["window_volumes"], seconds_min=settings["window_s"])


def run_weights(run: DynamicRun, settings: Mapping[str, Any]) -> Array:
    """Return the weights of the volumes of a run in its windows (n_window, n_time)."""
    width = run_width(run, settings)
    shape = taper(width, sigma=settings["sigma_volumes"])
    return window_weights(shape, width=width, step=settings["step_volumes"], keep=run.keep)


def window_z(series: Array, *, weights: Array, pairs: NDArray[np.int64]) -> Array:
    """Return the Fisher z of the edges in each window (n_window, n_edge)."""
    r = windowed_pairs(series, weights=weights, pairs=pairs)
    return fisher_z(np.clip(r, -Z_CLIP, Z_CLIP))


def session_windows(data: Dynamic) -> Windows:
    """Return the windows of the runs that pass, with the states they are in."""
    pairs = edges(data.settings)
    runs = passing(data)
    weights = [run_weights(run, data.settings) for run in runs]
    z = [window_z(run.series, weights=each, pairs=pairs) for run, each in zip(runs, weights, strict=True)]
    fd = [window_means(run.fd_mm, weights=each) for run, each in zip(runs, weights, strict=True)]
    both = np.concatenate([np.empty((0, len(pairs))), *z])
    labels = np.full(len(both), NO_STATE, dtype=np.int64)
    if data.states is not None:
        labels = assign_states(both, centroids=data.states.centroids, metric=data.settings["metric"])
    step = data.settings["step_volumes"]
    return Windows(
        z=both,
        fd_mm=np.concatenate([np.empty(0), *fd]),
        labels=labels,
        lengths=tuple(len(each) for each in z),
        step_s=step * float(np.mean([run.t_r for run in runs])) if runs else float("nan"),
        block=max([-(-run_width(run, data.settings) // step) for run in runs], default=1),
    )


def run_refusals(run: DynamicRun, data: Dynamic) -> list[Reason]:
    """Return why a run has no windows, empty if it has."""
    reasons = [run.refused] if run.refused else []
    censored = float(np.mean(~run.keep[run.steady])) if run.steady.any() else 1.0
    if run.refused is None and censored > data.settings["censored_max"] + 1e-9:
        reasons.append(Reason.HIGH_MOTION)
    if not np.all(run.coverage >= data.coverage_min):
        reasons.append(Reason.COVERAGE_TOO_LOW)
    elif run.refused is None and np.isnan(run.series[run.keep]).any():
        reasons.append(Reason.ZERO_VARIANCE)
    return reasons


def passing(data: Dynamic) -> tuple[DynamicRun, ...]:
    """Return the runs that no gate excludes."""
    return tuple(run for run in data.runs if not run_refusals(run, data))


def scan_refusals(data: Dynamic) -> tuple[Reason, ...]:
    """Return why the scan of the session gives no windows, empty if it does: motion, coverage, length."""
    runs = passing(data)
    reasons = [] if runs else [reason for run in data.runs for reason in run_refusals(run, data)]
    volumes = sum(int(run.keep.sum()) for run in runs)
    seconds = sum(float(run.keep.sum()) * run.t_r for run in runs)
    least = data.settings["kept_s"] - TIME_TOLERANCE_S
    if runs and (volumes < data.settings["kept_volumes"] or seconds < least):
        reasons.append(Reason.TOO_FEW_VOLUMES)
    return tuple(reasons)


def session_refusals(data: Dynamic, windows: Windows) -> tuple[Reason, ...]:
    """Return why the session has no states, empty if it has."""
    reasons = list(scan_refusals(data))
    if data.states is None:
        reasons.append(Reason.NO_STATES)
    elif not reasons and not np.any(windows.labels != NO_STATE):
        reasons.append(Reason.TOO_FEW_WINDOWS)
    return tuple(reasons)


def session_flags(data: Dynamic, windows: Windows) -> list[Reason]:
    """Return what a reader of the states should know."""
    flags = []
    if data.states is not None and data.states.people < data.settings["people_min"]:
        flags.append(Reason.FEW_FOR_STATES)
    if abs(motion_rho(windows)) > data.settings["motion_rho"]:
        flags.append(Reason.STATES_FOLLOW_MOTION)
    if not all(run.resting for run in passing(data)):
        flags.append(Reason.NOT_RESTING_STATE)
    if any(run.reduced for run in passing(data)):
        flags.append(Reason.REDUCED_CONFOUNDS)
    if any(run.doubtful_timing for run in passing(data)):
        flags.append(Reason.DOUBTFUL_TIMING)
    return flags


def motion_rho(windows: Windows) -> float:
    """Return Spearman's correlation of displacement and number of the state over windows; NaN if one is constant."""
    from scipy.stats import rankdata

    used = (windows.labels != NO_STATE) & np.isfinite(windows.fd_mm)
    ranks = [rankdata(each[used]) for each in (windows.fd_mm, windows.labels)]
    if used.sum() < 3 or min(np.ptp(each) for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def state_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of a marker with one value per state; the state that is most frequent in the group is 1."""
    return [(str(state + 1),) for state in range(config["dynamic"]["k"])]


def _by_state(values: Sequence[Estimate]) -> dict[Level, Estimate]:
    return {(str(state + 1),): value for state, value in enumerate(values)}


def _refused(data: Dynamic, reasons: tuple[Reason, ...]) -> dict[Level, Estimate]:
    return _by_state([Estimate.fail(*reasons)] * data.settings["k"])


def _resamples(data: Dynamic, windows: Windows) -> NDArray[np.int64]:
    """Return bootstrap indices of windows: the same for all markers of the session."""
    rng = np.random.default_rng([data.seed, 1])
    lengths = [length for length in windows.lengths if length]
    return block_resamples(lengths, block=windows.block, n_resamples=data.settings["bootstrap"], rng=rng)


def _spread(drawn: Array) -> float:
    """Return the standard deviation of the known resamples."""
    known = drawn[np.isfinite(drawn)]
    return float(known.std(ddof=1)) if known.size > 1 else float("nan")


def state_occupancy(data: Dynamic) -> dict[Level, Estimate]:
    """Return the share of the windows of the session that is in each state."""
    return share_of_states(data, session_windows(data))


def share_of_states(data: Dynamic, windows: Windows) -> dict[Level, Estimate]:
    """Return the share of given windows that is in each state."""
    refusals = session_refusals(data, windows)
    if refusals:
        return _refused(data, refusals)
    k, flags = data.settings["k"], session_flags(data, windows)
    share = occupancy(windows.labels, k=k)
    drawn = occupancy(windows.labels[_resamples(data, windows)], k=k)
    looks = independent_windows(windows.sequence, k=k, block=windows.block)
    errors, lows, highs = share_interval(share, n=looks)
    n = int(np.sum(windows.labels != NO_STATE))
    found = []
    for state in range(k):
        limits = np.nanpercentile(drawn[:, state], PERCENTILES)
        interval = (min(limits[0], lows[state]), max(limits[1], highs[state]))
        se = np.fmax(errors[state], _spread(drawn[:, state]))
        found.append(Estimate.of(float(share[state]), se=se, ci=interval, n=n, flags=flags))
    return _by_state(found)


STATE_OCCUPANCY = Marker(
    name="state_occupancy",
    long_name="Occupancy of the thalamocortical state",
    description=(
        "Share of the scan spent in a state of connectivity between thalamic nuclei and cortex. States are the "
        "centroids of tapered sliding windows, learned from the group or given; state 1 is the most frequent "
        "in the group."
    ),
    unit="1",
    family="dynamic",
    function=state_occupancy,
    direction=Direction.CONTESTED,
    tier=Tier.PRIMARY,
    doi=TU,
    fact_sheet=FACT_SHEET,
    n_counts=N_WINDOWS,
    version="1",
    bounds=(0.0, 1.0),
    index=("state",),
    levels=state_levels,
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=SHARE_ERROR,
)


def state_dwell(data: Dynamic) -> dict[Level, Estimate]:
    """Return the mean time of an unbroken stay in each state (s).

    The standard error takes stays as exponential: mean / sqrt(number of stays), the interval that of its logarithm.
    """
    windows = session_windows(data)
    refusals = session_refusals(data, windows)
    if refusals:
        return _refused(data, refusals)
    k, flags = data.settings["k"], session_flags(data, windows)
    mean = dwell_times(windows.sequence, k=k, step_s=windows.step_s)
    stays = np.bincount(run_lengths(windows.sequence)[0], minlength=k)
    return _by_state([_dwell(float(mean[s]), n=int(stays[s]), flags=flags) for s in range(k)])


def _dwell(seconds: float, *, n: int, flags: Sequence[Reason]) -> Estimate:
    if not n:
        return Estimate.fail(Reason.TOO_FEW_WINDOWS, n=0)
    factor = float(np.exp(1.959964 / np.sqrt(n)))
    return Estimate.of(seconds, se=seconds / np.sqrt(n), ci=(seconds / factor, seconds * factor), n=n, flags=flags)


STATE_DWELL = Marker(
    name="state_dwell",
    long_name="Dwell time in the thalamocortical state",
    description=(
        "Mean time between entering a state and leaving it. Stays are cut short by the ends of a run and by censored "
        "stretches, and cannot be much shorter than a window; much less reliable than occupancy."
    ),
    unit="s",
    family="dynamic",
    function=state_dwell,
    direction=Direction.CONTESTED,
    tier=Tier.EXPLORATORY,
    doi=TU,
    fact_sheet=FACT_SHEET,
    n_counts="stays in the state",
    version="1",
    bounds=(0.0, np.inf),
    index=("state",),
    levels=state_levels,
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method="mean / sqrt(number of stays), as of exponential times; interval on the scale of logarithms",
)


def state_transitions(data: Dynamic) -> dict[Level, Estimate]:
    """Return the changes of state per minute, with the interval of a Poisson count."""
    from scipy.stats import chi2

    windows = session_windows(data)
    refusals = session_refusals(data, windows)
    rate = transitions(windows.sequence, step_s=windows.step_s)
    if refusals or np.isnan(rate):
        return {(): Estimate.fail(*(refusals or (Reason.TOO_FEW_WINDOWS,)))}
    sequence = windows.sequence
    minutes = np.sum((sequence[:-1] != NO_STATE) & (sequence[1:] != NO_STATE)) * windows.step_s / 60
    count = round(rate * minutes)
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    interval = (float(low / minutes), float(chi2.ppf(0.975, 2 * count + 2) / 2 / minutes))
    flags = session_flags(data, windows)
    return {(): Estimate.of(rate, se=np.sqrt(max(count, 1)) / minutes, ci=interval, n=count, flags=flags)}


STATE_TRANSITIONS = Marker(
    name="state_transitions",
    long_name="Changes of thalamocortical state per minute",
    description="Changes from one state to another between successive windows, per minute of windows.",
    unit="1/min",
    family="dynamic",
    function=state_transitions,
    direction=Direction.CONTESTED,
    tier=Tier.EXPLORATORY,
    doi=TU,
    fact_sheet=FACT_SHEET,
    n_counts="changes of state",
    version="1",
    bounds=(0.0, np.inf),
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method="as of a Poisson count",
)


def dtc_vpl_s1_z(data: Dynamic) -> dict[Level, Estimate]:
    """Return the mean Fisher z of VPL and S1 of the same side over the windows of each state, sides averaged."""
    return state_edge(data, session_windows(data), "vpl", "s1")


def dtc_md_ins_z(data: Dynamic) -> dict[Level, Estimate]:
    """Return the mean Fisher z of MD and insula of the same side over the windows of each state, sides averaged."""
    return state_edge(data, session_windows(data), "md", "insula")


def state_edge(data: Dynamic, windows: Windows, nucleus: str, cortex: str) -> dict[Level, Estimate]:
    """Return the mean over the windows of each state; no level if the settings leave out a node."""
    columns = _columns(data.settings, nucleus, cortex)
    if columns is None:
        return {}
    refusals = session_refusals(data, windows)
    if refusals:
        return _refused(data, refusals)
    z, drawn = windows.z[:, columns].mean(axis=1), _resamples(data, windows)
    flags = session_flags(data, windows)
    found = []
    for state in range(data.settings["k"]):
        inside = np.where(windows.labels == state, 1.0, np.nan)
        n = int(np.sum(windows.labels == state))
        if n < data.settings["state_windows_min"]:
            found.append(Estimate.fail(Reason.TOO_FEW_WINDOWS, n=n))
            continue
        means = _row_means((z * inside)[drawn])
        se = np.fmax(_spread(means), _sampling_error(data, windows, columns=columns, state=state))
        found.append(Estimate.of(float(np.nanmean(z * inside)), se=se, n=n, flags=flags))
    return _by_state(found)


def _sampling_error(data: Dynamic, windows: Windows, *, columns: Sequence[int], state: int) -> float:
    """Return the standard error of the mean z over the windows of a state, had the series always been the same.

    Runs are independent, and count as their windows do.
    """
    pairs = edges(data.settings)[list(columns)]
    inside = np.split(windows.labels == state, np.cumsum(windows.lengths)[:-1])
    total = np.sum(windows.labels == state)
    variance = 0.0
    for run, here in zip(passing(data), inside, strict=True):
        if here.any():
            products = lag_products(run.series, pairs=pairs)
            alone = window_mean_variance(run_weights(run, data.settings), inside=here, products=products)
            variance += (here.sum() / total * _together(run, pairs)) ** 2 * alone
    return float(np.sqrt(variance))


def _together(run: DynamicRun, pairs: NDArray[np.int64]) -> float:
    """Return the standard error of the mean z of some edges in units of that of one edge."""
    nodes, place = np.unique(pairs, return_inverse=True)
    one, other = place.reshape(pairs.shape).T
    weights = np.zeros((len(nodes), len(nodes)))
    weights[one, other] = weights[other, one] = 1
    r = np.corrcoef(run.series[run.keep][:, nodes].T)
    return float(mean_z_se(r, weights=weights, dimension=UNIT_DIMENSION))


def _row_means(values: Array) -> Array:
    """Return the mean of the known values of each row, NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(known, values, 0).sum(axis=1) / np.where(count > 0, count, np.nan)


def _columns(settings: Mapping[str, Any], nucleus: str, cortex: str) -> list[int] | None:
    """Return the edges of a nucleus with the cortex of its own side, None if one of the two sides is no node."""
    nodes = settings["nodes"]
    found = []
    for hemi in ("L", "R"):
        ends = {f"{nucleus}_{hemi}", f"{cortex}_{hemi}"}
        found += [i for i, (a, b) in enumerate(edges(settings)) if {nodes[a], nodes[b]} == ends]
    return found if len(found) == 2 else None


DTC_VPL_S1_Z = Marker(
    name="dtc_vpl_s1_z",
    long_name="VPL-S1 connectivity in the state, Fisher z",
    description=(
        "Mean Fisher z of the ventral posterolateral nucleus with the primary somatosensory cortex of its side over "
        "the windows of a state, left and right averaged. The nucleus is an atlas label that stands for VPL."
    ),
    unit="1",
    family="dynamic",
    function=dtc_vpl_s1_z,
    direction=Direction.CONTESTED,
    tier=Tier.SECONDARY,
    doi=TU,
    fact_sheet=FACT_SHEET,
    n_counts=N_WINDOWS,
    version="1",
    index=("state",),
    levels=state_levels,
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=EDGE_ERROR,
)

DTC_MD_INS_Z = Marker(
    name="dtc_md_ins_z",
    long_name="MD-insula connectivity in the state, Fisher z",
    description=(
        "Mean Fisher z of the mediodorsal nucleus with the insula of its side over the windows of a state, left and "
        "right averaged. The nucleus is an atlas label that stands for MD."
    ),
    unit="1",
    family="dynamic",
    function=dtc_md_ins_z,
    direction=Direction.CONTESTED,
    tier=Tier.SECONDARY,
    doi=TU,
    fact_sheet=FACT_SHEET,
    n_counts=N_WINDOWS,
    version="1",
    index=("state",),
    levels=state_levels,
    direction_source=DIRECTION,
    evidence=Evidence.UNVERIFIED,
    se_method=EDGE_ERROR,
)


def state_motion_rho(data: Dynamic) -> dict[Level, Estimate]:
    """Return Spearman's correlation of the displacement in a window and the number of its state."""
    windows = session_windows(data)
    refusals = session_refusals(data, windows)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    rho = motion_rho(windows)
    if np.isnan(rho):
        return {(): Estimate.fail(Reason.ZERO_VARIANCE)}
    n = int(np.sum(windows.labels != NO_STATE))
    return {(): Estimate.of(rho, n=n, flags=session_flags(data, windows))}


STATE_MOTION_RHO = Marker(
    name="state_motion_rho",
    long_name="Head motion and thalamocortical state",
    description=(
        "Spearman's correlation over windows of the mean framewise displacement (Jenkinson) and the number of the "
        "state; where it is strong, states may be motion."
    ),
    unit="1",
    family="dynamic",
    function=state_motion_rho,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="n/a",
    fact_sheet=FACT_SHEET,
    n_counts=N_WINDOWS,
    version="1",
    bounds=(-1.0, 1.0),
    evidence=Evidence.DESIGN,
)


def dynamics_p(data: Dynamic) -> dict[Level, Estimate]:
    """Return how often surrogates without dynamics vary from window to window as much as the session does.

    The statistic is the variance of Fisher z over windows, averaged over edges and runs. ``p = (1 + b) / (1 + B)``
    with ``b`` of ``B`` surrogates at least as large (Hindriks 2016, 10.1016/j.neuroimage.2015.11.055, for the idea).
    Censored volumes are interpolated to make a surrogate, and censored again in it.
    """
    refusals = scan_refusals(data)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    rng, pairs = np.random.default_rng([data.seed, 2]), edges(data.settings)
    runs = [(filled(run.series), run_weights(run, data.settings)) for run in passing(data)]
    runs = [(series, weights) for series, weights in runs if np.isfinite(weights).any()]
    n_surrogates = data.settings["surrogates"]
    if not runs:
        return {(): Estimate.fail(Reason.TOO_FEW_WINDOWS)}
    measured = _variation(runs, pairs)
    drawn = [
        _variation([(_surrogate(series, data.settings["surrogate"], rng), weights) for series, weights in runs], pairs)
        for _ in range(n_surrogates)
    ]
    p = (1 + np.sum(np.asarray(drawn) >= measured)) / (1 + n_surrogates)
    se = float(np.sqrt(p * (1 - p) / (1 + n_surrogates)))
    interval = (max(0.0, p - 1.959964 * se), min(1.0, p + 1.959964 * se))
    return {(): Estimate.of(float(p), se=se, ci=interval, n=n_surrogates, flags=session_flags_of_scan(data))}


def session_flags_of_scan(data: Dynamic) -> list[Reason]:
    """Return the flags that do not depend on reference states."""
    return [] if all(run.resting for run in passing(data)) else [Reason.NOT_RESTING_STATE]


def _surrogate(series: Array, kind: str, rng: np.random.Generator) -> Array:
    """Return a series without dynamics.

    For random phases the run is continued by its mirror image and cut again: a Fourier transform joins the last volume
    to the first, and the jump there would leak out of the band and make the surrogates vary too little.
    """
    if kind == "phase":
        return phase_randomised(np.concatenate([series, series[::-1]]), rng=rng)[: len(series)]
    return var_surrogate(series, order=VAR_ORDER, rng=rng)


def _variation(runs: Sequence[tuple[Array, Array]], pairs: NDArray[np.int64]) -> float:
    """Return the variance of z over the windows of a run, averaged over edges and windows of all runs."""
    z = [window_z(series, weights=weights, pairs=pairs) for series, weights in runs]
    squares = [np.nansum((each - np.nanmean(each, axis=0)) ** 2) for each in z]
    return float(np.sum(squares) / sum(np.isfinite(each).sum() for each in z))


DYNAMICS_P = Marker(
    name="dynamics_p",
    long_name="Null of no dynamics, p value",
    description=(
        "Share of surrogates with the same spectra and static correlations, but without dynamics, whose connectivity "
        "varies from window to window at least as much as that of the scan."
    ),
    unit="1",
    family="dynamic",
    function=dynamics_p,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    doi="10.1016/j.neuroimage.2015.11.055",
    fact_sheet=FACT_SHEET,
    n_counts="surrogates",
    version="1",
    bounds=(0.0, 1.0),
    evidence=Evidence.DESIGN,
    se_method="of the share among the surrogates drawn",
)

MARKERS: tuple[Marker, ...] = (
    STATE_OCCUPANCY,
    STATE_DWELL,
    STATE_TRANSITIONS,
    DTC_VPL_S1_Z,
    DTC_MD_INS_Z,
    STATE_MOTION_RHO,
    DYNAMICS_P,
)
