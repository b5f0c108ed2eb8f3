"""Slow and plain versions of the window kernels, and scans whose states are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.dynamics import write_dynamic_series
from lbpneuro.io.files import write_json, write_text
from lbpneuro.markers.bold import Run
from tests.oracles.runs import a_run

Array = NDArray[np.float64]
T_R = 2.0
NODES = [
    *("vpl_L", "vpl_R", "vpm_L", "vpm_R", "md_L", "md_R"),
    *("s1_L", "s1_R", "insula_L", "insula_R", "mpfc", "pcc", "angular_L", "angular_R", "acc", "sma"),
    *("dlpfc_L", "dlpfc_R"),
]
SETTINGS = {
    "nodes": NODES,
    "edges": "thalamocortical",
    "window_volumes": 30,
    "window_s": 44,
    "sigma_volumes": 3,
    "step_volumes": 1,
    "k": 2,
    "metric": "cityblock",
    "states": None,
    "people_min": 20,
    "windows_per_session": 100,
    "starts": 10,
    "k_range": [2, 3],
    "splits": 3,
    "kept_s": 480,
    "kept_volumes": 150,
    "censored_max": 0.1,
    "state_windows_min": 3,
    "motion_rho": 0.3,
    "surrogates": 19,
    "surrogate": "phase",
    "bootstrap": 200,
}


def gift_window(n_time: int, width: int, sigma: float) -> Array:
    """The window of GIFT for a run of ``n_time``, by its definition: both parts as long as the run, then convolved."""
    whole = n_time + n_time % 2
    middle, half = whole // 2, (width + 1) // 2
    gaussian = [np.exp(-((t - middle) ** 2) / (2 * sigma**2)) for t in range(whole)]
    rectangle = [1.0 if middle - half <= t < middle + half else 0.0 for t in range(whole)]
    found = [
        sum(gaussian[s] * rectangle[t - s] for s in range(whole) if 0 <= t - s < whole) for t in range(2 * whole - 1)
    ]
    return np.array(found)[middle : middle + n_time] / max(found)


def slow_windowed_correlation(series: Array, shape: Array, *, width: int, step: int, keep: NDArray[np.bool_]) -> Array:
    """Weighted Pearson correlation, window by window, pair by pair, volume by volume."""
    n_time, n_node = series.shape
    tail = (len(shape) - width) // 2
    found = []
    for start in range(0, n_time - width + 1, step):
        weight = {t: shape[t - start + tail] for t in range(n_time) if 0 <= t - start + tail < len(shape)}
        kept = {t: w for t, w in weight.items() if keep[t]}
        matrix = np.full((n_node, n_node), np.nan)
        if sum(kept.values()) >= 0.8 * sum(weight.values()):
            for i in range(n_node):
                for j in range(n_node):
                    matrix[i, j] = slow_weighted_r(
                        [series[t, i] for t in kept], [series[t, j] for t in kept], list(kept.values())
                    )
        found.append(matrix)
    return np.array(found)


def slow_weighted_r(x: list[float], y: list[float], w: list[float]) -> float:
    total = sum(w)
    mx, my = (sum(a * b for a, b in zip(each, w, strict=True)) / total for each in (x, y))
    sxy = sum(c * (a - mx) * (b - my) for a, b, c in zip(x, y, w, strict=True))
    sxx = sum(c * (a - mx) ** 2 for a, c in zip(x, w, strict=True))
    syy = sum(c * (b - my) ** 2 for b, c in zip(y, w, strict=True))
    return float(sxy / np.sqrt(sxx * syy)) if sxx > 0 and syy > 0 else float("nan")


def band_limited(rng: np.random.Generator, *, n_time: int, n_series: int, low_hz: float, t_r: float = T_R) -> Array:
    """White noise from ``low_hz`` to 0.08 Hz, of unit expected variance; a cut of a run twice as long."""
    frequencies = np.fft.rfftfreq(2 * n_time, t_r)
    inside = (frequencies >= low_hz) & (frequencies <= 0.08)
    spectrum = np.fft.rfft(rng.standard_normal((2 * n_time, n_series)), axis=0) * inside[:, None]
    return np.fft.irfft(spectrum, 2 * n_time, axis=0)[:n_time] / np.sqrt(2 * inside.sum() / (2 * n_time))


def state_series(rng: np.random.Generator, *, n_time: int, dwell_s: tuple[float, float], t_r: float = T_R) -> Array:
    """A Markov chain of two states, 0 and 1, with the given mean stays (s); it begins in its long-run mixture."""
    leave = t_r / np.array(dwell_s)
    draws = rng.random(n_time + 1)
    states = np.empty(n_time, dtype=int)
    state = int(draws[-1] < dwell_s[1] / sum(dwell_s))
    for t in range(n_time):
        states[t] = state
        state = 1 - state if draws[t] < leave[state] else state
    return states


def switching(
    rng: np.random.Generator, states: Array, *, shared: tuple[float, float], low_hz: float = 1 / 60, n_factors: int = 3
) -> Array:
    """Series (n_time, 18) whose thalamocortical correlations are ``shared[state]`` within each of ``n_factors`` groups.

    Every thalamic node goes with every third cortical node; the share of their common signal changes with the state.
    """
    n_time, n_node = len(states), len(NODES)
    common = band_limited(rng, n_time=n_time, n_series=n_factors, low_hz=low_hz)
    own = band_limited(rng, n_time=n_time, n_series=n_node, low_hz=low_hz)
    share = np.asarray(shared)[states][:, None]
    return np.sqrt(share) * common[:, np.arange(n_node) % n_factors] + np.sqrt(1 - share) * own


def regions() -> tuple[tuple[str, str], ...]:
    """The regions of the nodes: acc and sma have two sides, which are one node."""
    sides = {"acc": ("L", "R"), "sma": ("L", "R"), "mpfc": ("n/a",), "pcc": ("n/a",)}
    return tuple(
        (roi, hemi)
        for node in NODES
        for roi, hemi in ([(node, side) for side in sides[node]] if node in sides else [tuple(node.rsplit("_", 1))])
    )


def bold_run(
    rng: np.random.Generator, states: Array, *, shared: tuple[float, float] = (0.1, 0.7), **changes: Any
) -> Run:
    """A run of the regions of the nodes, as the connectivity step has it, that switches between two states."""
    n_time, places = len(states), regions()
    series = switching(rng, states, shared=shared)
    column = [NODES.index(roi if roi in NODES else f"{roi}_{hemi}") for roi, hemi in places]
    ones = np.ones(len(places))
    arrays = dict.fromkeys(("size", "coverage", "signal", "tsnr", "tsnr_se"), ones)
    run = replace(
        a_run(rng, n_time=n_time, n_confounds=2),
        regions=places,
        means=1000 + 10 * series[:, column],
        n_voxels=np.full(len(places), 30),
        **arrays,
    )
    return replace(run, **changes)


def write_rows(root: Path, participant: str, *runs: Run, error: dict[str, str] | None = None) -> Path:
    """Write what the connectivity step leaves of a session for the dynamic family; return the path of its rows."""
    folder = root / participant / "func"
    written: list[Path] = []

    def path_of(datatype: str, suffix: str, extension: str, **entities: str) -> Path:
        name = "_".join([participant, *(f"{key}-{value}" for key, value in entities.items()), suffix])
        written.append(root / participant / datatype / f"{name}{extension}")
        return written[-1]

    for run in runs:
        write_dynamic_series(run, SETTINGS, path_of)
    rows = folder / f"{participant}_desc-functional_markers.tsv"
    facts: dict[str, Any] = {"Source": "fmriprep", "Outputs": [path.relative_to(root).as_posix() for path in written]}
    write_text(rows, "marker\tvalue\n")
    write_json(rows.with_suffix(".json"), {**facts, "Error": error} if error else facts)
    return rows


def config(root: Path, **settings: Any) -> dict[str, Any]:
    """Settings of a study whose output is ``root / out``."""
    return {
        "dataset": {"bids_dir": str(root / "raw"), "out_dir": str(root / "out"), "derivatives": {}},
        "functional": {"coverage_min": 0.5, "band_hz": [0.01, 0.08]},
        "dynamic": {**SETTINGS, **settings},
        "run": {"random_seed": 1},
        "preprocess": {"level": "draft", "slice_timing": "auto"},
    }
