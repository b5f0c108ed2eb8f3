"""QC-FC of a study: how far connectivity still goes with head motion over people, and what the cleaning cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import SEITZMAN
from lbpneuro.io.files import read_json
from lbpneuro.io.index import entities
from lbpneuro.io.relmats import MODELS, STAT, read_relmat
from lbpneuro.kernels.qcfc import (
    distance_dependence,
    edge_correlation,
    false_discovery,
    jackknife_error,
    left_out_correlation,
    null_median,
    residuals,
    two_sided_p,
)

if TYPE_CHECKING:
    import pandas as pd

TABLE = "qcfc"
COLUMNS: dict[str, str] = {
    "atlas": "Atlas of the connectivity matrices.",
    "model": "cortical: the confound strategy of the values of the study; cortical_alternative: the other one.",
    "strategy": "Confound strategy; several where runs too short for the first had the fall-back.",
    "covariates": "Columns of participants.tsv that were held constant; n/a: none.",
    "n_people": "People with a usable matrix, one session each.",
    "n_edges": "Pairs of nodes.",
    "median_abs_r": "Median over edges of the absolute correlation over people of mean displacement and Fisher z.",
    "se": "Standard error of median_abs_r: delete-one jackknife over people.",
    "ci_low": "Lower limit of the 95 % interval of median_abs_r.",
    "ci_high": "Upper limit of the 95 % interval of median_abs_r.",
    "null_median_abs_r": "What median_abs_r would be on average with as many people if motion mattered nowhere.",
    "null_low": "2.5 % of the permutations of motion over people have a smaller median_abs_r.",
    "null_high": "2.5 % of the permutations of motion over people have a larger median_abs_r.",
    "p": "Share of permutations with as large a median_abs_r.",
    "share_significant": "Share of edges whose correlation with motion is significant (false discovery rate 5 %).",
    "spearman_distance": "Spearman correlation over edges of that correlation with the distance between the nodes.",
    "slope_distance": "Change of that correlation per mm between the nodes.",
    "spearman_null_low": "2.5 % of the permutations have a smaller spearman_distance.",
    "spearman_null_high": "2.5 % of the permutations have a larger spearman_distance.",
    "p_distance": "Share of permutations with as large an absolute spearman_distance.",
    "volumes": "Volumes per person (mean, all runs).",
    "volumes_kept": "Volumes per person that are not censored (mean).",
    "regressors": "Confound regressors per person (mean).",
    "residual_dimension": "Dimensions per person that confounds, drift, band-pass and censoring leave (mean).",
    "lost_dimensions": "Volumes less residual dimension: what the cleaning cost.",
    "note": "Why there are no numbers.",
}
EDGE_COLUMNS: dict[str, str] = {
    "atlas": COLUMNS["atlas"],
    "model": COLUMNS["model"],
    "covariates": COLUMNS["covariates"],
    "node_a": "First node.",
    "node_b": "Second node.",
    "distance": "Between the centres of the nodes (mm).",
    "n": "People with a value.",
    "r": "Correlation over people of mean framewise displacement and Fisher z.",
    "p": "Two-sided p-value of r by Student's t.",
    "q": "p adjusted for the false discovery rate over the edges of the analysis.",
}
MEANING = (
    "QC-FC tells whether people who moved more differ in connectivity after cleaning. A median within its permutation "
    "range means that no more relation is seen than chance gives with as many people; a small study cannot see a weak "
    "one. A larger median means that motion, or what goes with it (age, pain, sleepiness), still shapes the values. A "
    "negative dependence on distance is the mark of motion itself: it raises connectivity of near nodes. A strategy "
    "with a smaller median is not better if it costs so many dimensions that the signal goes too."
)

log = logging.getLogger("lbpneuro")
SIGNIFICANT = 0.05
BLOCK = 2_000_000
"""Numbers held at once of resamples by edges."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMatrix:
    """A connectivity matrix on disk and its sidecar."""

    path: Path
    participant: str
    session: str
    sidecar: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The people of one analysis: an atlas under one nuisance model, one session each.

    Attributes
    ----------
    atlas, model
        Name of the atlas; ``cortical`` or ``cortical_alternative``.
    people
        Participant labels.
    motion : (n_person,)
        Mean framewise displacement (Jenkinson, mm).
    z : (n_person, n_edge) float32
        Fisher z of the upper triangle of the matrix; NaN where a node is not covered.
    nodes
        Names of the nodes.
    distance : (n_edge,)
        Between the centres of the two nodes (mm).
    strategies
        Confound strategies and how many people have each: the fall-back serves runs that are too short.
    costs
        Means over people: volumes, kept volumes, regressors, residual dimension.
    """

    atlas: str
    model: str
    people: tuple[str, ...]
    motion: Array
    z: NDArray[np.float32]
    nodes: tuple[str, ...]
    distance: Array
    strategies: Mapping[str, int]
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Result of one analysis: ``summary`` is a row of the table, the arrays (n_edge,) are rows of the edges."""

    summary: Mapping[str, Any]
    r: Array = field(default_factory=lambda: np.empty(0))
    p: Array = field(default_factory=lambda: np.empty(0))
    q: Array = field(default_factory=lambda: np.empty(0))
    n: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def find_matrices(rows: Sequence[Path], *, root: Path) -> list[RunMatrix]:
    """Return the matrices that the sidecars of the functional ``rows`` list, below the output folder ``root``.

    One without a readable sidecar is left out, with a line in the log.
    """
    found = []
    for path in rows:
        listed = read_json(path.with_suffix(".json")).get("Outputs", [])
        for name in sorted(name for name in listed if f"_stat-{STAT}_" in name and name.endswith("_relmat.tsv")):
            try:
                found.append(_run_matrix(root / name))
            except InputError as error:
                log.warning("%s: left out, because %s", name, error)
    return found


def _run_matrix(path: Path) -> RunMatrix:
    """Return what is known of a matrix before its table is read."""
    who = entities(path)
    return RunMatrix(
        path=path,
        participant=f"sub-{who['sub']}",
        session=f"ses-{who['ses']}" if "ses" in who else "",
        sidecar=read_json(path.with_suffix(".json")),
    )


def groups(matrices: Sequence[RunMatrix]) -> dict[tuple[str, str], dict[str, list[RunMatrix]]]:
    """Return the usable matrices by atlas and nuisance model, and in them by participant.

    A matrix whose run a gate refuses (motion, too few dimensions) is left out. Of several sessions the first that has
    a usable run is taken, since people, not sessions, are independent of each other.
    """
    found: dict[tuple[str, str], dict[str, list[RunMatrix]]] = {}
    usable = [each for each in matrices if not each.sidecar["Refused"]]
    for each in sorted(usable, key=lambda each: (each.participant, each.session, each.path.name)):
        for model in each.sidecar["Models"]:
            runs = found.setdefault((each.sidecar["Atlas"]["Name"], model), {}).setdefault(each.participant, [])
            if not runs or runs[0].session == each.session:
                runs.append(each)
    order = sorted(found, key=lambda key: (key[0] != SEITZMAN, key[0], MODELS.index(key[1])))
    return {key: found[key] for key in order}


def read_group(runs_of: Mapping[str, Sequence[RunMatrix]], *, atlas: str, model: str) -> Cohort:
    """Return the cohort of a group: runs of a person averaged with their residual dimensions as weights.

    A person with a matrix that cannot be read is left out, with a line in the log.

    Raises
    ------
    InputError
        If the matrices of two people have different nodes.
    """
    first = next(iter(runs_of.values()))[0]
    names = _node_names(first)
    found: dict[str, NDArray[np.float32]] = {}
    for who, runs in runs_of.items():
        _check_nodes(runs, first)
        try:
            found[who] = _person_z(runs)
        except InputError as error:
            log.warning("%s: left out, because %s", who, error)
    kept = {who: runs_of[who] for who in found}
    places = [node["Coordinates"] or [np.nan] * 3 for node in first.sidecar["Nodes"]]
    upper = np.triu_indices(len(names), k=1)
    coords = np.array(places, dtype=np.float64).reshape(-1, 3)
    strategies = [" + ".join(_distinct(runs, "ConfoundStrategy")) for runs in kept.values()]
    return Cohort(
        atlas=atlas,
        model=model,
        people=tuple(kept),
        motion=np.array([_weighted(runs, "MeanFramewiseDisplacement", "Volumes") for runs in kept.values()]),
        z=np.array(list(found.values()), dtype=np.float32).reshape(len(kept), len(upper[0])),
        nodes=names,
        distance=np.linalg.norm(coords[upper[0]] - coords[upper[1]], axis=1),
        strategies={name: strategies.count(name) for name in sorted(set(strategies))},
        costs=_costs(kept) if kept else {},
    )


def _node_names(run: RunMatrix) -> tuple[str, ...]:
    return tuple(node["Name"] for node in run.sidecar["Nodes"])


def _check_nodes(runs: Sequence[RunMatrix], first: RunMatrix) -> None:
    """Raise InputError for a run whose nodes are not those of the first."""
    for run in runs:
        if _node_names(run) != _node_names(first):
            raise InputError(
                f"{run.path}: its nodes are not those of {first.path.name}; run the connectivity of all people with "
                "the same atlas."
            )


def _distinct(runs: Sequence[RunMatrix], key: str) -> list[str]:
    return sorted({str(run.sidecar[key]) for run in runs})


def _weighted(runs: Sequence[RunMatrix], key: str, weight: str) -> float:
    return float(np.average([run.sidecar[key] for run in runs], weights=[run.sidecar[weight] for run in runs]))


def _costs(runs_of: Mapping[str, Sequence[RunMatrix]]) -> dict[str, float]:
    """Return means over people of sums over their runs."""
    keys = {"volumes": "Volumes", "volumes_kept": "VolumesKept", "residual_dimension": "ResidualDimension"}
    costs = {
        column: float(np.mean([sum(run.sidecar[key] for run in runs) for runs in runs_of.values()]))
        for column, key in keys.items()
    }
    costs["regressors"] = float(
        np.mean([sum(len(run.sidecar["Confounds"]) for run in runs) for runs in runs_of.values()])
    )
    return costs


def _person_z(runs: Sequence[RunMatrix]) -> NDArray[np.float32]:
    """Return the mean Fisher z of a person's runs (n_edge,); NaN for an edge that no run has."""
    matrices = [read_relmat(run.path).r for run in runs]
    upper = np.triu_indices(len(matrices[0]), k=1)
    with np.errstate(divide="ignore"):
        z = np.stack([np.arctanh(r[upper]) for r in matrices])
    d = np.array([run.sidecar["ResidualDimension"] for run in runs])[:, None] * np.isfinite(z)
    total = np.sum(np.where(d > 0, z, 0) * d, axis=0)
    return np.asarray(total / np.where(d.any(axis=0), d.sum(axis=0), np.nan), dtype=np.float32)


def covariate_columns(participants: pd.DataFrame, people: Sequence[str], names: Sequence[str]) -> dict[str, Array]:
    """Return the covariates (n_person, n_column) by name: numbers as they are, categories as indicators.

    A column that is absent, wholly unknown or the same in everyone is left out; an unknown value is NaN.
    """
    import pandas as pd

    table = participants.set_index("participant_id").reindex(list(people))
    found = {}
    for name in names:
        if name not in table or table[name].nunique() < 2:
            continue
        numbers = pd.to_numeric(table[name], errors="coerce")
        if numbers.notna().sum() == table[name].notna().sum():
            found[name] = numbers.to_numpy(dtype=np.float64)[:, None]
            continue
        levels = sorted(table[name].dropna().astype(str).unique())
        indicators = np.stack([(table[name].astype(str) == level).to_numpy() for level in levels[1:]], axis=1)
        found[name] = np.where(table[name].notna().to_numpy()[:, None], indicators, np.nan)
    return found


def analyse(
    cohort: Cohort, *, covariates: Mapping[str, Array], people_min: int, permutations: int, seed: int
) -> Analysis:
    """Return how strongly connectivity goes with motion in a cohort, beside what no relation would give.

    The interval of the median is that of the delete-one jackknife over people. The other ranges are those of
    permutations of motion over people (of its residuals where there are covariates), the same for every model, so that
    strategies can be compared. The share of significant edges is that of Benjamini and Hochberg at 5 %.

    Parameters
    ----------
    cohort
        From :func:`read_group`.
    covariates
        From :func:`covariate_columns`; who lacks one is left out.
    people_min
        With fewer people there are no numbers.
    permutations, seed
        Number of permutations, and the seed of their generator.
    """
    given = np.column_stack([np.empty((len(cohort.people), 0)), *covariates.values()])
    known = np.isfinite(given).all(axis=1) & np.isfinite(cohort.motion)
    head = {
        "atlas": cohort.atlas,
        "model": cohort.model,
        "strategy": "; ".join(cohort.strategies),
        "covariates": ";".join(covariates) or None,
        "n_people": int(known.sum()),
    }
    least = max(people_min, given.shape[1] + 4)
    if known.sum() < least:
        return Analysis(summary={**head, "note": f"fewer than {least} people: no numbers"})
    motion = residuals(cohort.motion[known, None], covariates=given[known])[:, 0]
    if not np.any(motion):
        return Analysis(summary={**head, "note": "motion is the same in everyone"})
    z = cohort.z[known].astype(np.float64)
    n = np.isfinite(z).sum(axis=0)
    z[:, n < people_min] = np.nan
    z = residuals(z, covariates=given[known])
    r = edge_correlation(motion, edges=z)
    dof = np.where(np.isfinite(r), n - 2 - given.shape[1], np.nan)
    p = two_sided_p(r, dof=dof)
    q = false_discovery(p)
    numbers = _numbers(motion, z, r=r, distance=cohort.distance, permutations=permutations, seed=seed)
    summary = {
        **head,
        "n_edges": int(np.isfinite(r).sum()),
        **numbers,
        "null_median_abs_r": float(null_median(np.nanmedian(dof))),
        "share_significant": float(np.mean(q[np.isfinite(q)] < SIGNIFICANT)),
        **cohort.costs,
        "lost_dimensions": cohort.costs["volumes"] - cohort.costs["residual_dimension"],
    }
    return Analysis(summary=summary, r=r, p=p, q=q, n=n)


def _numbers(motion: Array, z: Array, *, r: Array, distance: Array, permutations: int, seed: int) -> dict[str, float]:
    """Return median and distance dependence with error, and with range and p-value under no relation."""
    usable = np.isfinite(r)
    z, r, distance = z[:, usable], r[usable], distance[usable]
    median = float(np.median(np.abs(r)))
    slope, rho = (float(each) for each in distance_dependence(r, distance=distance))
    left_out = [left_out_correlation(motion, edges=z, people=piece) for piece in _pieces(len(motion), len(r))]
    error = float(jackknife_error(np.concatenate([np.median(np.abs(each), axis=1) for each in left_out])))
    rng = np.random.default_rng(seed)
    shuffled = np.array([motion[rng.permutation(len(motion))] for _ in range(permutations)])
    null = [
        np.stack([np.median(np.abs(each), axis=1), distance_dependence(each, distance=distance)[1]])
        for piece in _pieces(permutations, len(r))
        for each in [edge_correlation(shuffled[piece], edges=z)]
    ]
    medians, rhos = np.concatenate(null, axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    rho_low, rho_high = np.quantile(rhos, [0.025, 0.975])
    return {
        "median_abs_r": median,
        "se": error,
        "ci_low": max(0.0, median - 1.959964 * error),
        "ci_high": min(1.0, median + 1.959964 * error),
        "null_low": float(low),
        "null_high": float(high),
        "p": _share_beyond(medians, median),
        "spearman_distance": rho,
        "slope_distance": slope,
        "spearman_null_low": float(rho_low),
        "spearman_null_high": float(rho_high),
        "p_distance": _share_beyond(np.abs(rhos), abs(rho)),
    }


def study(
    rows: Sequence[Path],
    *,
    root: Path,
    participants: Callable[[Sequence[str]], pd.DataFrame],
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the table of analyses, that of edges, and the facts of the sidecar.

    Every atlas and nuisance model is analysed once as it is and once more with covariates, where there are any.

    Parameters
    ----------
    rows
        Rows of the functional family of everyone; their sidecars list the matrices.
    root
        Output folder.
    participants
        Returns the rows of participants.tsv of some people.
    settings
        The section ``qcfc``.
    seed
        Of the permutations.
    """
    import pandas as pd

    matrices = find_matrices(rows, root=root)
    summaries, edges, facts = [], [], {}
    for (atlas, model), runs_of in groups(matrices).items():
        cohort = read_group(runs_of, atlas=atlas, model=model)
        covariates = covariate_columns(participants(cohort.people), cohort.people, settings["covariates"])
        for held in [{}, covariates] if covariates else [{}]:
            limits = {key: settings[key] for key in ("people_min", "permutations")}
            analysis = analyse(cohort, covariates=held, seed=seed, **limits)
            summaries.append(analysis.summary)
            if len(analysis.r):
                edges.append(edge_table(cohort, analysis))
        facts[f"{atlas}, {model}"] = {"Strategies": dict(cohort.strategies), "Participants": list(cohort.people)}
    table = pd.DataFrame(summaries, columns=list(COLUMNS))
    joined = pd.concat(edges, ignore_index=True) if edges else pd.DataFrame(columns=list(EDGE_COLUMNS))
    return table, joined, {"Analyses": facts, "LeftOut": _left_out(matrices)}


def _left_out(matrices: Sequence[RunMatrix]) -> dict[str, list[str]]:
    """Return by run why its matrices were left out."""
    refused = {f"{each.participant} {each.session} {each.sidecar['Run']}": each for each in matrices}
    return {name: each.sidecar["Refused"] for name, each in sorted(refused.items()) if each.sidecar["Refused"]}


def edge_table(cohort: Cohort, analysis: Analysis) -> pd.DataFrame:
    """Return one row per edge that has a value."""
    import pandas as pd

    first, second = np.triu_indices(len(cohort.nodes), k=1)
    names = np.array(cohort.nodes, dtype=object)
    columns = {
        **{key: analysis.summary[key] for key in ("atlas", "model", "covariates")},
        "node_a": names[first],
        "node_b": names[second],
        "distance": cohort.distance,
        "n": analysis.n,
        "r": analysis.r,
        "p": analysis.p,
        "q": analysis.q,
    }
    table = pd.DataFrame(columns, columns=list(EDGE_COLUMNS))
    return table[np.isfinite(analysis.r)]


def _share_beyond(permuted: Array, observed: float) -> float:
    """Return the one-sided p-value of a permutation test, NaN for a value that could not be computed."""
    return float("nan") if np.isnan(observed) else float((1 + np.sum(permuted >= observed)) / (1 + len(permuted)))


def _pieces(n: int, n_edge: int) -> Iterator[slice]:
    """Return slices of ``n`` resamples, few enough at once to fit the memory."""
    step = max(1, BLOCK // max(1, n_edge))
    return (slice(start, start + step) for start in range(0, n, step))
