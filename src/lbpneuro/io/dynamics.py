"""Files of the dynamic family: cleaned series of its nodes, and the reference states of a study."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, LbpneuroError, QualityError, Reason
from lbpneuro.io.files import raise_upstream_error, read_json, read_tsv, write_json, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.provenance import bids_uri, checksum, software_versions
from lbpneuro.kernels.nuisance import cleaned, complement, cosines, frequencies_hz, project, unit_columns
from lbpneuro.kernels.windows import NO_STATE, learn_states, stable_k, state_stability, window_volumes
from lbpneuro.markers.bold import Run, end_series, parts_of
from lbpneuro.markers.dynamic import (
    Dynamic,
    DynamicRun,
    States,
    Windows,
    edges,
    passing,
    scan_refusals,
    session_windows,
)

if TYPE_CHECKING:
    import pandas as pd

MODEL = "cortical"
DESC = "dynamic"
SERIES_DECIMALS = 6
FD, UNSTEADY = "fd_jenkinson", "non_steady_state"
DIMENSIONS_MIN = 3
STATES_NAME = "desc-dynamic_states.tsv"
DEFINING = ("nodes", "edges", "window_volumes", "window_s", "sigma_volumes", "metric", "k")
"""Settings that must be those that reference states were learned with."""

PathOf = Callable[..., Path]
Array = NDArray[np.float64]
log = logging.getLogger("lbpneuro")


# -- the series, written by the connectivity step ---------------------------------------------------------------------


def write_dynamic_series(run: Run, settings: Mapping[str, Any], path_of: PathOf) -> Path:
    """Write the cleaned series of the dynamic nodes of a run, with its sidecar; return the table.

    The series are those of the cortical model, without what is slower than a window. A run of which that leaves too
    little has an empty table whose sidecar says so.

    Parameters
    ----------
    run
        With the mean series of all regions that ``nodes`` names.
    settings
        The section ``dynamic`` of the configuration.
    path_of
        ``path_of(datatype, suffix, extension, **entities)`` returns where a file goes.

    Raises
    ------
    InputError
        If a node is no region of the run.
    """
    import pandas as pd

    nodes = list(settings["nodes"])
    parts = [parts_of(node, run.regions) for node in nodes]
    raw = np.column_stack([end_series(run, each) for each in parts])
    width = window_volumes(t_r=run.t_r, volumes_min=settings["window_volumes"], seconds_min=settings["window_s"])
    facts: dict[str, Any] = {}
    series = np.full(raw.shape, np.nan)
    try:
        basis = without_slow(run, low_hz=1 / (width * run.t_r))
        series = cleaned(basis, project(basis, raw, keep=run.keep), keep=run.keep)
        facts["ResidualDimension"] = basis.shape[1]
    except QualityError as error:
        log.warning("%s: %s", run.name, error)
        facts["Error"] = {"reason": str(error.reason), "message": str(error)}
    table = pd.DataFrame(np.round(series, SERIES_DECIMALS), columns=nodes)
    table[FD], table[UNSTEADY] = run.fd_mm, (~run.steady).astype(int)
    run_entities = dict(part.split("-", 1) for part in run.name.split("_"))
    path = path_of("func", "timeseries", ".tsv", **run_entities, desc=DESC)
    write_tsv(path, table)
    coverage = [min(float(run.coverage[column]) for column in run.columns(each)) for each in parts]
    write_json(path.with_suffix(".json"), {**_sidecar(run, nodes, coverage=coverage, width=width), **facts})
    return path


def without_slow(run: Run, *, low_hz: float) -> Array:
    """Return the basis of what the cortical model leaves of a run at ``low_hz`` and above.

    The nuisance space grows by the slow cosines; what it leaves is the part of the model's own basis that is orthogonal
    to them.

    Raises
    ------
    QualityError
        ``too_few_dof`` if fewer than 3 dimensions are left.
    """
    basis = run.basis(MODEL)
    n_time = len(run.keep)
    slow = np.flatnonzero(frequencies_hz(n_time, t_r=run.t_r) < low_hz * (1 - 1e-9))
    if basis is not None:
        basis = complement(basis, nuisance=unit_columns(cosines(n_time, orders=slow)[run.keep]))
    if basis is None or basis.shape[1] < DIMENSIONS_MIN:
        left = 0 if basis is None else basis.shape[1]
        raise QualityError(
            f"The cortical confounds leave {left} dimensions at {low_hz:.4g} Hz and above; at least {DIMENSIONS_MIN} "
            "are needed: a longer run or fewer confounds.",
            reason=Reason.TOO_FEW_DOF,
        )
    return basis


def _sidecar(run: Run, nodes: Sequence[str], *, coverage: Sequence[float], width: int) -> dict[str, Any]:
    text = "Cleaned mean series of {}, in the units of the BOLD series; n/a on censored volumes."
    return {
        "Description": "Series of the nodes of the thalamocortical states.",
        **{node: {"Description": text.format(node)} for node in nodes},
        FD: {"Description": "Framewise displacement of Jenkinson.", "Units": "mm"},
        UNSTEADY: {
            "Description": "1 for a volume before the steady state.",
            "Levels": {"0": "no", "1": "yes"},
        },
        "RepetitionTime": run.t_r,
        "Run": run.name,
        "Resting": run.resting,
        "DoubtfulTiming": run.doubtful_timing,
        "Window": {"Volumes": width, "Seconds": round(width * run.t_r, 6)},
        "LowestFrequency": round(1 / (width * run.t_r), 9),
        "ConfoundStrategy": run.models[MODEL].strategy,
        "ConfoundsReduced": run.models[MODEL].reduced,
        "Coverage": {node: _number(share) for node, share in zip(nodes, coverage, strict=True)},
    }


def _number(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return None if math.isnan(value) else round(float(value), 6)


# -- the series, read by the steps of the family ----------------------------------------------------------------------


def series_files(rows: Path, *, root: Path) -> list[Path]:
    """Return the tables of series that the rows of the connectivity step name as outputs, relative to ``root``.

    Raises
    ------
    LbpneuroError
        The error that the connectivity step recorded; ``no_derivative`` if it left no such table.
    """
    raise_upstream_error(rows)
    named = [root / name for name in read_json(rows.with_suffix(".json")).get("Outputs", [])]
    found = [path for path in named if path.suffix == ".tsv" and entities(path).get("desc") == DESC]
    if not found:
        raise LbpneuroError(
            f"{rows}: its sidecar names no series of the dynamic nodes (desc-{DESC}_timeseries.tsv); run the "
            "connectivity step again.",
            reason=Reason.NO_DERIVATIVE,
        )
    return found


def read_dynamic_run(path: Path, *, nodes: Sequence[str]) -> DynamicRun:
    """Return the series of one run.

    Raises
    ------
    InputError
        If the table lacks a node: it was written with other settings.
    """
    table, facts = read_tsv(path), read_json(path.with_suffix(".json"))
    absent = [name for name in (*nodes, FD, UNSTEADY) if name not in table]
    if absent:
        raise InputError(f"{path}: the columns {', '.join(absent)} are absent; run the connectivity step again.")
    shares = [facts["Coverage"].get(node) for node in nodes]
    return DynamicRun(
        name=facts["Run"],
        resting=facts["Resting"],
        t_r=float(facts["RepetitionTime"]),
        series=table[list(nodes)].to_numpy(dtype=np.float64),
        fd_mm=table[FD].to_numpy(dtype=np.float64),
        steady=table[UNSTEADY].to_numpy(dtype=np.float64) == 0,
        coverage=np.array([np.nan if share is None else share for share in shares], dtype=np.float64),
        reduced=facts["ConfoundsReduced"],
        doubtful_timing=facts["DoubtfulTiming"],
        refused=Reason(facts["Error"]["reason"]) if "Error" in facts else None,
    )


def read_session(paths: Sequence[Path], config: Mapping[str, Any], *, states: States | None) -> Dynamic:
    """Return the runs of a session and the reference states as the input of the family's markers."""
    settings = config["dynamic"]
    return Dynamic(
        runs=tuple(read_dynamic_run(path, nodes=settings["nodes"]) for path in sorted(paths)),
        states=states,
        settings=settings,
        coverage_min=config["functional"]["coverage_min"],
        seed=config["run"]["random_seed"],
    )


def windows_table(data: Dynamic, windows: Windows) -> pd.DataFrame:
    """Return one row per window: run, beginning (s), state (1, 2 ...), mean displacement (mm)."""
    import pandas as pd

    runs, step = passing(data), data.settings["step_volumes"]
    onsets = [run.t_r * step * np.arange(n) for run, n in zip(runs, windows.lengths, strict=True)]
    states = pd.Series(windows.labels + 1, dtype="Int64")
    return pd.DataFrame(
        {
            "run": np.repeat([run.name for run in runs], windows.lengths),
            "onset": np.round(np.concatenate([np.empty(0), *onsets]), SERIES_DECIMALS),
            "state": states.mask(windows.labels == NO_STATE),
            "fd_jenkinson": np.round(windows.fd_mm, SERIES_DECIMALS),
        }
    )


def write_windows(path: Path, data: Dynamic) -> None:
    """Write the state of every window of a session, for the report and for a reader."""
    windows = session_windows(data)
    write_tsv(path, windows_table(data, windows))
    content = {
        "Description": "Thalamocortical state of every window; n/a where too much of the window is censored.",
        "run": {"Description": "Run, by its entities."},
        "onset": {"Description": "Beginning of the window in the run.", "Units": "s"},
        "state": {"Description": "Nearest reference state; 1 is the most frequent one in the group."},
        "fd_jenkinson": {"Description": "Mean framewise displacement in the window.", "Units": "mm"},
        "WindowSeconds": round(windows.block * windows.step_s, 6),
    }
    write_json(path.with_suffix(".json"), content)


# -- reference states -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Windows from which states are learned: ``z`` (n_window, n_edge) and whose they are, ``people`` (n_window,)."""

    z: Array
    people: NDArray[np.str_]
    files: tuple[Path, ...]


def collect_windows(rows: Sequence[Path], config: Mapping[str, Any]) -> Sample:
    """Return windows of all sessions whose scans pass, equally many of each, evenly over the scan.

    A session that has no series, or does not pass, is left out with a line in the log.
    """
    pairs = edges(config["dynamic"])
    parts, people, files = [], [], []
    for path in sorted(rows):
        try:
            series = series_files(path, root=Path(config["dataset"]["out_dir"]))
            data = read_session(series, config, states=None)
        except LbpneuroError as error:
            log.warning("%s: left out, because %s", path.name, error)
            continue
        refusals = scan_refusals(data)
        if refusals:
            log.info("%s: left out (%s)", path.name, ", ".join(refusals))
            continue
        parts.append(evenly(session_windows(data).z, most=config["dynamic"]["windows_per_session"]))
        people += [entities(path)["sub"]] * len(parts[-1])
        files += series
    z = np.concatenate([np.empty((0, len(pairs))), *parts])
    return Sample(z=z, people=np.array(people, dtype=np.str_), files=tuple(files))


def evenly(z: Array, *, most: int) -> Array:
    """Return at most ``most`` of the usable windows, evenly spread over them."""
    usable = z[np.isfinite(z).all(axis=1)]
    if len(usable) <= most:
        return usable
    return np.asarray(usable[np.round(np.linspace(0, len(usable) - 1, most)).astype(int)])


def learn_reference(sample: Sample, config: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
    """Return the centroids (k, n_edge) of a study and what is known of how stable they are.

    Raises
    ------
    QualityError
        If there are too few windows.
    """
    settings, seed = config["dynamic"], config["run"]["random_seed"]
    how = {"n_init": settings["starts"], "metric": settings["metric"]}
    centroids, inertia = learn_states(sample.z, k=settings["k"], rng=np.random.default_rng([seed, 0]), **how)
    low, high = settings["k_range"]
    splits, stability = {}, {}
    for k in range(low, high + 1):
        rng = np.random.default_rng([seed, 3, k])
        found = state_stability(
            sample.z, people=sample.people, k=k, rng=rng, n_splits=settings["splits"], n_init=5, metric=how["metric"]
        )
        splits[k], known = found, found[np.isfinite(found)]
        stability[str(k)] = (
            {
                "AdjustedRand": round(float(known.mean()), 6),
                "SD": round(float(known.std(ddof=0)), 6),
                "Splits": len(known),
            }
            if known.size
            else {"AdjustedRand": None, "SD": None, "Splits": 0}
        )
    return centroids, {"Inertia": inertia, "Stability": stability, "MostStableK": stable_k(splits)}


def write_states(path: Path, rows: Sequence[Path], config: Mapping[str, Any], *, roots: Mapping[str, Path]) -> None:
    """Learn the reference states of a study and write them: one row per edge, one column per state, and a sidecar.

    If they cannot be learned the table has no states, and its sidecar says why.
    """
    settings = config["dynamic"]
    sample = collect_windows(rows, config)
    try:
        centroids, found = learn_reference(sample, config)
    except QualityError as error:
        log.error("%s", error)
        centroids = np.empty((0, len(edges(settings))))
        found = {"Error": {"reason": str(Reason.NO_STATES), "message": str(error)}}
    write_tsv(path, states_table(centroids, settings))
    content = {
        "Description": "Reference states: Fisher z of every edge in the centroid of each state.",
        "node_1": {"Description": "First node of the edge."},
        "node_2": {"Description": "Second node of the edge."},
        **{f"state_{s + 1}": {"Description": f"Fisher z in state {s + 1}."} for s in range(len(centroids))},
        "Definition": {name: settings[name] for name in DEFINING},
        "Band": [None, config["functional"]["band_hz"][1]],
        "BandNote": "From 1 / window to the upper limit (Hz).",
        "Participants": len(np.unique(sample.people)),
        "Windows": len(sample.z),
        **found,
        "RandomSeed": config["run"]["random_seed"],
        "Sources": {bids_uri(each, roots): checksum(each) for each in sample.files},
        "SoftwareVersions": software_versions(),
    }
    write_json(path.with_suffix(".json"), content)


def states_table(centroids: Array, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the centroids as a table: the two nodes of each edge, and its Fisher z in each state."""
    import pandas as pd

    nodes, pairs = np.array(settings["nodes"]), edges(settings)
    columns: dict[str, Any] = {"node_1": nodes[pairs[:, 0]], "node_2": nodes[pairs[:, 1]]}
    columns |= {f"state_{s + 1}": np.round(centroid, SERIES_DECIMALS) for s, centroid in enumerate(centroids)}
    return pd.DataFrame(columns)


def read_states(path: Path, config: Mapping[str, Any]) -> States | None:
    """Return reference states, None if the study could not learn any.

    Raises
    ------
    InputError
        If the states were defined otherwise than the settings say, or the table does not hold them.
    """
    settings, facts = config["dynamic"], read_json(path.with_suffix(".json"))
    if "Error" in facts:
        return None
    _check_definition(path, facts, config)
    table = read_tsv(path)
    expected = states_table(np.empty((0, len(edges(settings)))), settings)
    states = [f"state_{s + 1}" for s in range(settings["k"])]
    absent = [column for column in ("node_1", "node_2", *states) if column not in table]
    if absent or not table[["node_1", "node_2"]].equals(expected):
        what = f"lacks the columns {', '.join(absent)}" if absent else "holds other edges than its sidecar says"
        raise InputError(f"{path}: the table {what}; use the pair of files as it was written.")
    return States(centroids=table[states].to_numpy(dtype=np.float64).T, people=int(facts["Participants"]))


def _check_definition(path: Path, facts: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse states that were learned on other nodes, windows or frequencies than the settings ask for."""
    wanted = {f"dynamic.{name}": config["dynamic"][name] for name in DEFINING}
    wanted["functional.band_hz[1]"] = config["functional"]["band_hz"][1]
    found = {f"dynamic.{name}": facts.get("Definition", {}).get(name) for name in DEFINING}
    found["functional.band_hz[1]"] = facts.get("Band", [None, None])[1]
    for name, value in wanted.items():
        if found[name] != value:
            raise InputError(
                f"{path}: these states were learned with `{name}` = {found[name]}, the settings say {value}; use the "
                "setting of the states, or learn new ones (`dynamic.states: null`)."
            )
