"""Connectivity of pairs of regions: one table of edges, and the markers that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels.correlation import (
    correlation,
    effective_dimensions,
    fisher_z,
    jackknife,
    partial_correlation,
    pooled_z,
    seed_dimension,
    unit_norm,
)
from lbpneuro.kernels.nuisance import project
from lbpneuro.kernels.nulls import allowed_shifts, shift_p, shift_scores, shifted_seeds
from lbpneuro.markers.bold import (
    BRAINSTEM,
    FAMILY,
    WIDE,
    Functional,
    Level,
    Run,
    dimension,
    end_series,
    kept_s,
    parts_of,
    passing,
    run_laws,
    session_flags,
    session_refusals,
)
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Marker, Tier
from lbpneuro.markers.descriptor import Level as MarkerLevel
from lbpneuro.markers.edges import (
    CONTROL_ENDS,
    DEFAULT_MODE,
    EDGES,
    EMOTION_NODES,
    HASHMI,
    LABELS,
    MAKARY,
    MESOLIMBIC,
    PAIN_NODES,
    PLACE,
    SHIFTING,
    TU_2019,
    Edge,
    Parts,
    midline,
)

if TYPE_CHECKING:
    from lbpneuro.kernels.spectral import BandRatio

Array = NDArray[np.float64]

Ends = tuple[Parts, Parts]

Z_MAX = 5.0
"""Fisher z of r = 0.9999: what is closer to 1 is the same data twice."""
NORMAL_95 = 1.959964
VENTRICLE: Level = ("ventricle4", "n/a")
SE_Z = (
    "1 / sqrt(d - 2), d the effective dimension: residual dimensions, discounted for the slope of the two spectra "
    "within the band"
)
JACKKNIFE = "delete-one jackknife over the coordinates of the cleaned series in order of frequency; runs: weights d - 2"
N_COUNTS = "effective dimensions of the cleaned series (white-noise equivalents)"


# one edge, pooled over runs


def _basis(run: Run, model: str) -> Array:
    """Return the basis of a model; QualityError if the run has none and should have been left out."""
    basis = run.basis(model)
    if basis is None:
        raise QualityError(f"{run.name}: the {model} model leaves too few dimensions.", reason=Reason.TOO_FEW_DOF)
    return basis


@lru_cache(maxsize=64)
def _coordinates(run: Run, model: str, ends: tuple[Parts, ...]) -> Array:
    """Return the coordinates (d, n_end) of the cleaned mean series of some ends in one run."""
    series = np.column_stack([end_series(run, parts) for parts in ends])
    return np.asarray(project(_basis(run, model), series, keep=run.keep))


@lru_cache(maxsize=32)
def z_and_dimension(run: Run, pairs: tuple[Ends, ...], *, model: str, band_hz: tuple[float, float]) -> Array:
    """Return Fisher z and effective dimension (n_pair, 2) of many edges in one run."""
    ends = tuple(dict.fromkeys(end for pair in pairs for end in pair))
    columns = np.array([[ends.index(seed), ends.index(target)] for seed, target in pairs])
    projected = _coordinates(run, model, ends)
    dimension = effective_dimensions(projected, pairs=columns, laws=run_laws(run, model, band_hz))
    z = fisher_z(correlation(projected)[columns[:, 0], columns[:, 1]])
    return np.column_stack([z, dimension])


def edge_estimate(data: Functional, ends: Ends, *, model: str, among: tuple[Ends, ...] = ()) -> Estimate:
    """Return the Fisher z of one edge, pooled over the runs that pass; ``among`` are edges to compute along with it.

    Every run has its z and effective dimension ``d`` (the colour of the spectra within the band counts); runs are
    averaged with the weights ``d - 2``, and the standard error is ``1 / sqrt(sum (d - 2))``.
    """
    regions = (*ends[0], *ends[1])
    refusals = session_refusals(data, regions=regions, model=model)
    if refusals:
        return Estimate.fail(*refusals)
    band_hz = _band(data)
    runs = passing(data, regions=regions, model=model)
    among = among or (ends,)
    pairs = [z_and_dimension(run, among, model=model, band_hz=band_hz)[among.index(ends)] for run in runs]
    pairs = [pair for pair in pairs if pair[1] > 2]
    if not pairs:
        return Estimate.fail(Reason.TOO_FEW_DOF)
    z, dimension = np.transpose(pairs)
    value, se = pooled_z(z, dimension=dimension)
    flags = [*session_flags(data, regions=regions, model=model), *ventricle_flags(data, ends)]
    return _checked(value, se=se, n=float(dimension.sum()), flags=flags)


def ventricle_flags(data: Functional, ends: Ends) -> list[Reason]:
    """Return ``ventricle_as_strong`` if the fourth ventricle is connected with the target as strongly as the seed is.

    For a brainstem seed: the ventricle has the larger absolute z, and its z is beyond its own 95 % interval around 0.
    Both are taken under the cortical model, since the brainstem model takes the signal of the ventricle out.
    """
    seeds = [end for end in ends if any(part[0] in BRAINSTEM for part in end)]
    if len(seeds) != 1:
        return []
    target = ends[1] if ends[0] == seeds[0] else ends[0]
    runs = [run for run in passing(data, regions=(*ends[0], *ends[1])) if _sees_ventricle(run, data.settings)]
    pairs = ((seeds[0], target), ((VENTRICLE,), target))
    found = [z_and_dimension(run, pairs, model="cortical", band_hz=_band(data)) for run in runs]
    found = [each for each in found if np.all(each[:, 1] > 2)]
    if not found:
        return []
    z, dimension = np.moveaxis(np.stack(found), -1, 0)
    (seed, _), (ventricle, se) = (pooled_z(z[:, k], dimension=dimension[:, k]) for k in (0, 1))
    return [Reason.VENTRICLE_AS_STRONG] if abs(ventricle) >= abs(seed) and abs(ventricle) > NORMAL_95 * se else []


def _sees_ventricle(run: Run, settings: Mapping[str, Any]) -> bool:
    return VENTRICLE in run.regions and bool(run.coverage[run.regions.index(VENTRICLE)] >= settings["coverage_min"])


def _band(data: Functional) -> tuple[float, float]:
    low, high = data.settings["band_hz"]
    return (low, high)


def _checked(value: float, *, se: float, n: float, flags: Sequence[Reason], t: float = NORMAL_95) -> Estimate:
    """Return an estimate of Fisher z; one that means the same data twice is empty."""
    if not abs(value) <= Z_MAX:
        return Estimate.fail(Reason.OUT_OF_BOUNDS if value == value else Reason.ZERO_VARIANCE)
    return Estimate.of(value, se=se, ci=(value - t * se, value + t * se), n=n, flags=flags)


_ALONG = {
    model: tuple(edge.ends(side) for edge, side in LABELS.values() if edge.model == model)
    for model in ("cortical", "brainstem")
}


@lru_cache(maxsize=4)
def _edge_estimates(data: Functional, suffix: str) -> dict[str, Estimate]:
    """Return the estimates of all edges by label, under the model of the edge with a suffix to its name."""
    return {
        label: edge_estimate(data, edge.ends(side), model=edge.model + suffix, among=_ALONG[edge.model])
        for label, (edge, side) in LABELS.items()
    }


def edge_z(data: Functional, *, edge: Edge) -> dict[MarkerLevel, Estimate]:
    """Return the Fisher z of one connection, pooled over the runs that pass, for every side it has."""
    found = _edge_estimates(data, "")
    return {((side,) if side else ()): found[edge.label(side)] for side in edge.sides}


def _edge_function(edge: Edge) -> Callable[[Functional], dict[MarkerLevel, Estimate]]:
    """Return the function of the marker of an edge, with a docstring of its own."""
    function = partial(edge_z, edge=edge)
    function.__doc__ = f"Return the Fisher z of {edge.long_name}, pooled over the runs that pass."
    return function


def _edge_marker(edge: Edge) -> Marker:
    return Marker(
        name=f"{edge.name}_z",
        long_name=f"{edge.long_name} functional connectivity, Fisher z",
        description=(
            "Fisher z of the correlation between the mean unsmoothed series of the two ends, after one projection for "
            f"confounds ({edge.model} model), drift, band-pass and censoring."
        ),
        unit="1",
        family=FAMILY,
        function=_edge_function(edge),
        direction=edge.direction,
        tier=edge.tier,
        doi=edge.doi,
        fact_sheet=edge.fact_sheet,
        n_counts=N_COUNTS,
        version="2" if edge.name == "pag_vmpfc" else "1",
        index=("hemi",) if len(edge.sides) > 1 else (),
        levels=partial(_sides, edge=edge),
        direction_source=edge.direction_source,
        evidence=edge.evidence,
        se_method=SE_Z,
    )


def _sides(_config: Mapping[str, Any], *, edge: Edge) -> list[MarkerLevel]:
    return [(side,) if side else () for side in edge.sides]


EDGE_MARKERS: tuple[Marker, ...] = tuple(_edge_marker(edge) for edge in EDGES)


# all edges, other measures


def edge_levels(_config: Mapping[str, Any]) -> list[MarkerLevel]:
    """Levels of the markers that repeat over edges."""
    return [(label,) for label in LABELS]


def custom_levels(config: Mapping[str, Any]) -> list[MarkerLevel]:
    """Levels of the marker of the user's own edges."""
    return [(name,) for name in config[FAMILY]["edges"]]


_DIRECTIONS = {
    label: edge.direction for label, (edge, _) in LABELS.items() if edge.direction is not Direction.CONTESTED
}
_JOINT: dict[str, Any] = {
    "unit": "1",
    "family": FAMILY,
    "direction": Direction.CONTESTED,
    "tier": Tier.EXPLORATORY,
    "fact_sheet": "Functional changes: all connections of the fact sheet",
    "n_counts": N_COUNTS,
    "version": "1",
    "index": ("edge",),
    "levels": edge_levels,
    "direction_source": "of each edge that of its own marker, which names the source",
    "direction_by_level": _DIRECTIONS,
    "evidence": Evidence.UNVERIFIED,
}


def fc_r(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return Pearson's r of every edge: ``tanh`` of the pooled z, its interval ``tanh`` of that of z.

    The standard error is ``(1 - r^2) se_z``.
    """
    return {(label,): _as_r(z) for label, z in _edge_estimates(data, "").items()}


def _as_r(z: Estimate) -> Estimate:
    if np.isnan(z.value):
        return z
    r = np.tanh(z.value)
    interval = (np.tanh(z.ci_low), np.tanh(z.ci_high))
    return Estimate.of(r, se=(1 - r**2) * z.se, ci=interval, n=z.n, flags=z.reasons)


FC_R = Marker(
    name="fc_r",
    long_name="Functional connectivity, correlation",
    description="Pearson's r of every connection: tanh of its Fisher z.",
    function=fc_r,
    doi="n/a",
    bounds=(-1.0, 1.0),
    se_method=f"(1 - r^2) times the standard error of z, interval: tanh of that of z; {SE_Z}",
    **_JOINT,
)


def fc_z_alternative(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the Fisher z of every edge under the alternative nuisance model of the settings.

    Empty where short runs have the fall-back strategy in both models: the same value twice would look like agreement.
    """
    found = _edge_estimates(data, "_alternative")
    repeated = {label for label in found if not _has_alternative(data, LABELS[label][0].model)}
    return {
        (label,): Estimate.fail(Reason.NO_ALTERNATIVE) if label in repeated and not np.isnan(z.value) else z
        for label, z in found.items()
    }


def _has_alternative(data: Functional, model: str) -> bool:
    return any(run.models[model].strategy != run.models[f"{model}_alternative"].strategy for run in data.runs)


FC_Z_ALTERNATIVE = Marker(
    name="fc_z_alternative",
    long_name="Functional connectivity under the other confound strategy, Fisher z",
    description=(
        "Fisher z of every connection with the other confound strategy: how much the value depends on the choice, "
        "which for weak subcortical connections can be its sign."
    ),
    function=fc_z_alternative,
    doi="10.1016/j.neuroimage.2017.12.073",
    se_method=SE_Z,
    **_JOINT,
)


def fc_partial_z(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the Fisher z of the partial correlation of every edge, given the other regions of the markers.

    The precision matrix is that of the shrunken covariance of Ledoit and Wolf. What lies in the place of one of the two
    ends (the whole insula where an end is a sphere in it) is not given, nor what is not covered.
    """
    return {
        (label,): _partial_estimate(data, edge.ends(side), model=edge.model) for label, (edge, side) in LABELS.items()
    }


def _partial_estimate(data: Functional, ends: Ends, *, model: str) -> Estimate:
    regions = (*ends[0], *ends[1])
    refusals = session_refusals(data, regions=regions, model=model)
    if refusals:
        return Estimate.fail(*refusals)
    taken = {_place(part) for part in regions}
    found = []
    for run in passing(data, regions=regions, model=model):
        given = tuple(
            end
            for end in CONTROL_ENDS
            if not taken & {_place(part) for part in end}
            and np.all(run.coverage[run.columns(end)] >= data.settings["coverage_min"])
        )
        found.append((_coordinates(run, model, (*ends, *given)), _first_partial_z))
    return _pooled_jackknife(found, flags=session_flags(data, regions=regions, model=model))


def _place(part: Level) -> tuple[str, str]:
    roi, hemi = part
    place = PLACE.get(roi, roi)
    return (place, "n/a") if place in ("pcc", "vta") else (place, hemi)


def _first_partial_z(projected: Array) -> Array:
    """Return Fisher z of the partial correlation of the first two series (..., d, n_series)."""
    return np.asarray(fisher_z(partial_correlation(projected)[0][..., 0, 1]))


def _pooled_jackknife(
    found: Sequence[tuple[Array, Callable[[Array], Array]]], *, flags: Sequence[Reason], offsets: Sequence[float] = ()
) -> Estimate:
    """Return the mean over runs of a statistic of coordinates, with its jackknife error.

    Runs weigh by their dimensions less two; Student's t for the interval has the summed degrees of freedom of the runs.
    ``offsets`` is taken off the statistic of each run.
    """
    weight = np.array([max(len(projected) - 2, 0) for projected, _ in found], dtype=np.float64)
    values = np.array([float(statistic(projected)) for projected, statistic in found])
    values -= np.asarray(offsets) if len(offsets) else 0
    errors, dof = np.transpose([jackknife(statistic, projected) for projected, statistic in found])
    weight = weight / max(weight.sum(), 1)
    se = float(np.sqrt(np.sum((weight * errors) ** 2)))
    se = se if se > 0 else float("nan")  # all is shrunken away, however the data vary
    if not se > 0:
        # complete shrinkage: the covariance cannot be told from noise, and 0 is not an estimate but its absence
        return Estimate.fail(Reason.TOO_FEW_DOF)
    n = float(sum(len(projected) for projected, _ in found))
    return _checked(float(weight @ values), se=se, n=n, flags=flags, t=_student_95(float(np.sum(dof))))


def _student_95(dof: float) -> float:
    """Return the 97.5 % quantile of Student's t; the normal one for unknown degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(dof, 0.975)) if dof >= 1 else NORMAL_95


FC_PARTIAL_Z = Marker(
    name="fc_partial_z",
    long_name="Partial functional connectivity, Fisher z",
    description=(
        "Fisher z of the correlation of the two ends given the other regions of the markers, from a shrunken "
        "covariance (Ledoit-Wolf), which pulls it towards 0."
    ),
    function=fc_partial_z,
    doi="10.1016/S0047-259X(03)00096-4",
    se_method=JACKKNIFE,
    **{**_JOINT, "n_counts": "residual dimensions"},
)


@lru_cache(maxsize=64)
def _shifted(run: Run, model: str, seed: Parts, shifts: tuple[int, ...]) -> Array:
    """Return the coordinates (d, 1 + n_shift) of a seed in one run, as it is and after shifts in time."""
    own = _coordinates(run, model, (seed,))
    return np.hstack([own, shifted_seeds(own[:, 0], basis=_basis(run, model), keep=run.keep, shifts=np.array(shifts))])


@lru_cache(maxsize=64)
def _shifts(runs: tuple[Run, ...], settings: tuple[int, float], seed: int) -> tuple[tuple[int, ...], ...]:
    """Return the shifts of every run: all there are in a single run, or some of them; in several runs drawn jointly."""
    n, least_s = settings
    allowed = [allowed_shifts(len(run.keep), t_r=run.t_r, min_shift_s=least_s) for run in runs]
    if len(runs) == 1 and len(allowed[0]) <= n:
        return (tuple(allowed[0].tolist()),)
    rng = np.random.default_rng(seed)
    return tuple(tuple(rng.choice(each, n, replace=len(runs) > 1).tolist()) for each in allowed)


def fc_null_p(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return how often the seed of an edge goes with its target as closely after a shift in time, for every edge.

    In several runs the seeds are shifted jointly, each by a shift of its own; what is compared is the sum over runs of
    the correlations times ``d``, as a multiple of its standard deviation by chance.
    """
    return {(label,): shift_estimate(data, edge.ends(side), model=edge.model) for label, (edge, side) in LABELS.items()}


def shift_estimate(data: Functional, ends: Ends, *, model: str) -> Estimate:
    """Return the circular-shift p of one edge; its error is that of a share of as many draws as are independent.

    Neighbouring shifts are much alike: a run of ``d`` dimensions holds about as many different ones.
    """
    regions = (*ends[0], *ends[1])
    refusals = session_refusals(data, regions=regions, model=model)
    if refusals:
        return Estimate.fail(*refusals)
    wanted = data.settings["shift_null"]
    passed = passing(data, regions=regions, model=model)
    runs = tuple(run for run in passed if len(run.keep) * run.t_r >= 2 * wanted["min_shift_s"] + 2 * run.t_r)
    if not runs:
        return Estimate.fail(Reason.TOO_FEW_VOLUMES)
    shifts = _shifts(runs, (wanted["shifts"], wanted["min_shift_s"]), data.seed)
    n = len(shifts[0])
    pooled = np.zeros((2, 1 + n, 1))
    for run, own in zip(runs, shifts, strict=True):
        target = _coordinates(run, model, (ends[1],))
        scores = shift_scores(_shifted(run, model, ends[0], own), targets=target)
        pooled += np.stack([len(target) * scores[0], len(target) ** 2 * scores[1]])
    p = float(shift_p(*pooled)[0])
    se = float(np.sqrt(p * (1 - p) / min(n, dimension(runs, model=model))))
    interval = (max(p - NORMAL_95 * se, 0.0), min(p + NORMAL_95 * se, 1.0))
    return Estimate.of(p, se=se, ci=interval, n=n, flags=session_flags(data, regions=regions, model=model))


FC_NULL_P = Marker(
    name="fc_null_p",
    long_name="Probability of a connection that is as strong after a shift in time",
    description=(
        "Probability that the seed goes with the target as closely, in either direction, after a circular shift in "
        "time (at least 30 s by default; cleaned again). In unrelated series all values are equally frequent; with "
        "strong confound models, values of 0.05 or less occur in up to 8 % instead of 5 %."
    ),
    function=fc_null_p,
    doi="n/a",
    bounds=(0.0, 1.0),
    se_method="of a share of as many draws as the residual dimensions, at most the number of shifts",
    **{
        **_JOINT,
        "n_counts": "shifts",
        "direction": Direction.NOT_APPLICABLE,
        "direction_by_level": {},
        "direction_source": "",
        "evidence": Evidence.DESIGN,
    },
)


def custom_z(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the Fisher z of the user's own edges, pooled over the runs that pass."""
    if not data.runs:
        return {}
    known = data.runs[0].regions
    found: dict[MarkerLevel, Estimate] = {}
    for name, edge in data.settings["edges"].items():
        seed, target = (tuple(part for one in edge[end] for part in parts_of(one, known)) for end in ("seed", "target"))
        found[(name,)] = edge_estimate(data, (seed, target), model=edge.get("model", "cortical"))
    return found


CUSTOM_Z = Marker(
    name="custom_z",
    long_name="Functional connectivity of your own edges, Fisher z",
    description="Fisher z of the connections that the settings define (functional.edges).",
    function=custom_z,
    doi="n/a",
    se_method=SE_Z,
    **{
        **_JOINT,
        "fact_sheet": "n/a",
        "levels": custom_levels,
        "direction": Direction.NOT_APPLICABLE,
        "direction_by_level": {},
        "direction_source": "",
        "evidence": Evidence.DESIGN,
    },
)


# hub, slow-5, shift


def mpfc_hub(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the mean squared Fisher z of the mPFC with the 300 nodes of Seitzman, less its noise.

    ``mean z_i^2 - 1 / (d - 2)`` over the covered nodes that share no voxel with the mPFC; ``1 / d`` is the mean of
    ``tr(S_mpfc S_i)``. A mean of ``|z|`` grows with noise, and so with motion and short scans; this does not, and may
    be negative where there is nothing but noise.
    """
    regions = midline("mpfc")
    refusals = session_refusals(data, regions=regions)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    found, noise = [], []
    for run in passing(data, regions=regions):
        basis = run.basis("cortical")
        nodes = run.nodes[:, run.beyond_mpfc & np.isfinite(run.nodes).all(axis=0)]
        if basis is None or nodes.shape[1] < NODES_MIN:
            continue
        together = np.column_stack([end_series(run, regions), nodes])
        projected = np.asarray(project(basis, together, keep=run.keep))
        projected = projected[:, np.isfinite(projected).all(axis=0)]
        found.append((projected, _mean_squared_z))
        noise.append(_seed_noise(run, projected, band_hz=_band(data)))
    if not found:
        return {(): Estimate.fail(Reason.COVERAGE_TOO_LOW)}
    return {(): _pooled_jackknife(found, flags=session_flags(data, regions=regions), offsets=noise)}


NODES_MIN = 150
SIDES = ("L", "R")


def _mean_squared_z(projected: Array) -> Array:
    """Return the mean over series of the squared Fisher z with the first of them (..., d, n_series)."""
    unit = unit_norm(projected)
    r = np.einsum("...d,...ds->...s", unit[..., 0], unit[..., 1:])
    return np.asarray(np.mean(fisher_z(np.clip(r, -1, 1)) ** 2, axis=-1))


def _seed_noise(run: Run, projected: Array, *, band_hz: tuple[float, float]) -> float:
    """Return the mean sampling variance of the Fisher z of the first series with the others."""
    dimension = seed_dimension(projected[:, 0], projected=projected[:, 1:], laws=run_laws(run, "cortical", band_hz))
    return float(1 / max(dimension - 2, 1))


MPFC_HUB = Marker(
    name="mpfc_hub",
    long_name="Strength of the mPFC hub",
    description=(
        "Mean squared Fisher z of the mPFC with the 300 nodes of Seitzman, less its expected noise; it can be negative."
    ),
    unit="1",
    family=FAMILY,
    function=mpfc_hub,
    direction=Direction.CONTESTED,
    tier=Tier.EXPLORATORY,
    doi=TU_2019,
    fact_sheet=DEFAULT_MODE,
    n_counts="residual dimensions",
    version="1",
    direction_source=f"Contested: abnormal in the abstract of {TU_2019}, without a sign.",
    evidence=Evidence.DESIGN,
    se_method=JACKKNIFE,
)


def nac_slow5(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the share of slow-5 power in the nucleus accumbens, by multitapers of the kept volumes.

    The series is cleaned of confounds and drift but not low-passed. Runs with too little kept time are left out, the
    others averaged on the logarithm of ``share / (1 - share)`` with the inverse of its variance as weight.
    """
    return {(side,): _slow5_estimate(data, side) for side in SIDES}


def _slow5_estimate(data: Functional, side: str) -> Estimate:
    regions = (("accumbens", side),)
    refusals = session_refusals(data, regions=regions)
    if refusals:
        return Estimate.fail(*refusals)
    settings = data.settings["slow5"]
    runs = passing(data, regions=regions)
    long = [run for run in runs if kept_s([run]) >= settings["kept_s"] and run.basis(WIDE) is not None]
    long = [run for run in long if 0.5 / run.t_r >= settings["total_hz"][1]]
    if not long:
        return Estimate.fail(Reason.TOO_FEW_VOLUMES)
    bands = (*settings["band_hz"], *settings["total_hz"])
    found = [_slow5(run, bands) for run in long]
    which = SIDES.index(side)
    value = np.array([share.value[which] for share in found])
    errors = np.array([share.se[which] for share in found])
    known = np.isfinite(value)
    if not known.any():
        return Estimate.fail(Reason.ZERO_VARIANCE)
    value = value[known]
    se_logit = errors[known] / (value * (1 - value))
    weight = 1 / se_logit**2
    middle = float(np.sum(weight * np.log(value / (1 - value))) / weight.sum())
    half = NORMAL_95 / np.sqrt(weight.sum())
    low, share, high = (1 / (1 + np.exp(-x)) for x in (middle - half, middle, middle + half))
    se = share * (1 - share) / np.sqrt(weight.sum())
    n = sum(int(run.keep.sum()) for run in long)
    return Estimate.of(share, se=se, ci=(low, high), n=n, flags=session_flags(data, regions=regions))


@lru_cache(maxsize=8)
def _slow5(run: Run, bands: tuple[float, float, float, float]) -> BandRatio:
    """Return the share of a band in a wider one for both sides of the accumbens."""
    from lbpneuro.kernels.spectral import band_ratio

    basis = _basis(run, WIDE)
    series = np.column_stack([end_series(run, (("accumbens", side),)) for side in SIDES])
    return band_ratio(
        np.asarray(project(basis, series, keep=run.keep), dtype=np.float64),
        basis=basis,
        t_r=run.t_r,
        band_hz=bands[:2],
        total_hz=bands[2:],
        keep=run.keep,
    )


NAC_SLOW5 = Marker(
    name="nac_slow5",
    long_name="Slow-5 power of the nucleus accumbens",
    description=(
        "Power at 0.010-0.027 Hz as a share of that at 0.010-0.100 Hz in the mean series of the nucleus accumbens, by "
        "multitapers, cleaned but not low-passed."
    ),
    unit="1",
    family=FAMILY,
    function=nac_slow5,
    direction=Direction.LOWER,
    tier=Tier.SECONDARY,
    doi=MAKARY,
    fact_sheet=MESOLIMBIC,
    n_counts="kept volumes",
    version="1",
    bounds=(0.0, 1.0),
    index=("hemi",),
    levels=partial(_sides, edge=next(edge for edge in EDGES if len(edge.sides) > 1)),
    direction_source=f"{MAKARY}, abstract: lost in the chronic phase only; the normalisation here is ours.",
    evidence=Evidence.DESIGN,
    se_method="delta method on the covariance of multitaper powers of a Gaussian series; interval on the logit",
)


def shift_rest(data: Functional) -> dict[MarkerLevel, Estimate]:
    """Return the mean Fisher z among emotion regions minus that among pain regions: a proxy that was not validated."""
    regions = tuple(part for end in (*EMOTION_NODES, *PAIN_NODES) for part in end)
    refusals = session_refusals(data, regions=regions)
    if refusals:
        return {(): Estimate.fail(*refusals)}
    found = [
        (_coordinates(run, "cortical", (*EMOTION_NODES, *PAIN_NODES)), _shift) for run in passing(data, regions=regions)
    ]
    return {(): _pooled_jackknife(found, flags=session_flags(data, regions=regions))}


def _shift(projected: Array) -> Array:
    """Return the mean z among the first (emotion) series minus that among the others (..., d, n_series)."""
    z = fisher_z(correlation(projected))
    n = len(EMOTION_NODES)
    means = []
    for first, last in ((0, n), (n, n + len(PAIN_NODES))):
        rows, columns = np.triu_indices(last - first, k=1)
        means.append(z[..., first + rows, first + columns].mean(axis=-1))
    return np.asarray(means[0] - means[1])


SHIFT_REST = Marker(
    name="shift_rest",
    long_name="Sensory-to-affective shift at rest (proxy)",
    description=(
        "Mean Fisher z among emotion regions (mPFC, amygdala) minus that among pain regions (insula, anterior "
        "cingulate, thalamus, S2, putamen). An exploratory proxy: the published shift was seen in a pain-rating task."
    ),
    unit="1",
    family=FAMILY,
    function=shift_rest,
    direction=Direction.CONTESTED,
    tier=Tier.EXPLORATORY,
    doi=HASHMI,
    fact_sheet=SHIFTING,
    n_counts="residual dimensions",
    version="1",
    direction_source="None at rest: the shift was shown in a task only, and longitudinally.",
    evidence=Evidence.DESIGN,
    se_method=JACKKNIFE,
)

MARKERS: tuple[Marker, ...] = (
    *EDGE_MARKERS,
    FC_R,
    FC_Z_ALTERNATIVE,
    FC_PARTIAL_Z,
    FC_NULL_P,
    CUSTOM_Z,
    MPFC_HUB,
    NAC_SLOW5,
    SHIFT_REST,
)


def row_model(name: str, level: MarkerLevel, settings: Mapping[str, Any]) -> str | None:
    """Return the nuisance model that a value of the family has, None for one that is measured before cleaning.

    Parameters
    ----------
    name, level
        The marker and its level.
    settings
        The section ``functional`` of the settings.
    """
    if name == CUSTOM_Z.name:
        return str(settings["edges"][level[0]].get("model", "cortical"))
    if name in (NAC_SLOW5.name, "residual_dimension"):
        return WIDE if name == NAC_SLOW5.name else level[0]
    if name in (MPFC_HUB.name, SHIFT_REST.name, "network_z"):
        return "cortical"
    edge = _EDGE_OF.get(name)
    if edge is None and level and level[0] in LABELS:
        edge = LABELS[level[0]][0] if name in _OVER_EDGES else None
    return None if edge is None else edge.model + ("_alternative" if name == FC_Z_ALTERNATIVE.name else "")


_EDGE_OF = {f"{edge.name}_z": edge for edge in EDGES}
_OVER_EDGES = (FC_R.name, FC_Z_ALTERNATIVE.name, FC_PARTIAL_Z.name, FC_NULL_P.name)
