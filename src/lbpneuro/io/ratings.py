"""Runs during which a person rated something continuously: the rating, its regressors, the series of region sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.io.confounds import Confounds, find_strategy, read_table, select_confounds
from lbpneuro.io.files import read_tsv, write_json, write_nifti, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.nuisance_models import volumes_to_keep
from lbpneuro.io.placement import way_to_regions
from lbpneuro.io.region_grid import roi_weights
from lbpneuro.io.regions import Name, Region
from lbpneuro.io.run_files import RunFiles, group_runs, run_entities
from lbpneuro.io.series import Series, other_excitation, read_series, repetition_time
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.labels import region_means
from lbpneuro.kernels.nuisance import cleaned, project, residual_basis
from lbpneuro.kernels.voxels import as_volume
from lbpneuro.markers.bold import Nuisance, Run, parts_of
from lbpneuro.markers.shift import MODEL, REGIONS, SETS, RatingRun, fit_sets

Array = NDArray[np.float64]
PathOf = Callable[..., Path]

RECORDED, LISTED = ("stim", "physio"), ("events", "beh")
"""Suffixes of files that may hold a rating: sampled at equal times, and listed with onsets; the first is read."""
SAMPLES_HZ = 10.0
"""A rating sampled more often is averaged: the haemodynamic response sees nothing faster."""
HRF = "spm + derivative"
OVERSAMPLING = 50
SERIES_DECIMALS = 6
MAP_DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A rating as steps: ``values[i]``, 0 to 100, holds from ``onsets_s[i]`` (s after the first volume) to the next."""

    path: Path
    onsets_s: Array
    values: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFiles:
    """The files of one run, those that may hold its rating, and whether it is the control task."""

    run: RunFiles
    ratings: tuple[Path, ...]
    control: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingScan:
    """A run after its one read: what the markers take, and what is written.

    ``means`` (n_time, 3) are the mean series of the sets; ``beta`` (n_voxel,) is the effect of the rating in every
    voxel in percent per point, None where there is none.
    """

    files: RatingFiles
    rating: Rating | None
    run: RatingRun
    series: Series
    confounds: Confounds
    beta: Array | None


def group_ratings(files: Sequence[Path], settings: Mapping[str, Any]) -> list[RatingFiles]:
    """Return the runs among the files of a session with the files that may hold their ratings, sorted by name.

    Raises
    ------
    InputError
        With reason ``no_derivative`` if the runs were not preprocessed; what :func:`group_runs` raises.
    """
    images = [path for path in files if entities(path).get("suffix") == "bold"]
    if not any(entities(path).get("desc") == "preproc" for path in images):
        raise InputError(
            f"{', '.join(path.name for path in images) or 'No BOLD series'}: the rating runs are not preprocessed; "
            "give the derivative (fMRIPrep) that holds their desc-preproc_bold.",
            reason=Reason.NO_DERIVATIVE,
        )
    return [
        RatingFiles(
            run=run, ratings=_recordings(run, files), control=run.entities.get("task") == settings["control_task"]
        )
        for run in group_runs(files)
    ]


def _recordings(run: RunFiles, files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of a run that may hold a rating, sampled ones first."""
    order = (*RECORDED, *LISTED)
    found = [
        path
        for path in sorted(files)
        if entities(path).get("suffix") in order and ".tsv" in path.name and run_entities(path) == run.entities
    ]
    return tuple(sorted(found, key=lambda path: order.index(entities(path)["suffix"])))


# -------------------------------------------------------------------------------------------------------------- rating


def read_rating(paths: Sequence[Path], settings: Mapping[str, Any]) -> Rating | None:
    """Return the rating in the first of ``paths`` that has one of the columns of the settings, None if none has.

    Parameters
    ----------
    paths
        ``_stim.tsv.gz`` or ``_physio.tsv.gz`` (no header; ``Columns``, ``SamplingFrequency`` and ``StartTime`` in the
        sidecar), ``_events.tsv`` or ``_beh.tsv`` (header; every rating holds from its ``onset`` to the next).
    settings
        ``columns`` in the order of preference, and the ends of the ``scale``, which become 0 and 100.

    Raises
    ------
    InputError
        Naming file and field if a table or its sidecar is not what it must be, or a rating lies beyond the scale.
    """
    for path in paths:
        found = (_sampled if entities(path)["suffix"] in RECORDED else _listed)(path, settings["columns"])
        if found is None:
            continue
        onsets, values = found
        known = np.isfinite(values)
        if not known.any():
            continue
        low, high = settings["scale"]
        _check_scale(values[known], low=low, high=high, path=path)
        return Rating(path=path, onsets_s=onsets[known], values=100 * (values[known] - low) / (high - low))
    return None


def _sampled(path: Path, columns: Sequence[str]) -> tuple[Array, Array] | None:
    """Return onsets and values of a recording without header, averaged to at most ``SAMPLES_HZ``."""
    import pandas as pd

    metadata = read_metadata(path)
    names = metadata.get("Columns")
    if not isinstance(names, list):
        raise InputError(f"{path}: its JSON sidecar must have Columns, a list of names; found {names!r}.")
    column = next((name for name in columns if name in names), None)
    if column is None:
        return None
    rate, start = (_number(metadata, key, path) for key in ("SamplingFrequency", "StartTime"))
    if rate <= 0:
        raise InputError(f"{path}: SamplingFrequency must be above 0 Hz, found {rate:g}.")
    try:
        table = pd.read_csv(path, sep="\t", header=None, na_values=["n/a"], compression="infer")
        samples = table.iloc[:, names.index(column)].to_numpy(dtype=np.float64)
    except (OSError, EOFError, ValueError, IndexError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path}: expected a tab-separated table of numbers without header, with the columns "
            f"{', '.join(map(str, names))}, but {error}."
        ) from error
    step = max(1, int(rate // SAMPLES_HZ))
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    n_known = np.isfinite(blocks).sum(axis=1)
    means = np.nansum(blocks, axis=1) / np.where(n_known > 0, n_known, np.nan)
    return start + np.arange(len(means)) * step / rate, means


def _number(metadata: Mapping[str, Any], key: str, path: Path) -> float:
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: its JSON sidecar must have {key} as a number; found {value!r}.")
    return float(value)


def _listed(path: Path, columns: Sequence[str]) -> tuple[Array, Array] | None:
    """Return onsets and values of a table with header, in the order of time."""
    import pandas as pd

    table = read_tsv(path)
    column = next((name for name in columns if name in table.columns), None)
    if column is None or "onset" not in table.columns:
        return None
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    onsets = pd.to_numeric(table["onset"], errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    bad = np.flatnonzero(np.isfinite(values) & ~np.isfinite(onsets))
    if bad.size:
        raise InputError(f"{path}, line {bad[0] + 2}: a {column} needs its onset in seconds; found none.")
    order = np.argsort(onsets, kind="stable")
    return onsets[order], values[order]


def _check_scale(values: Array, *, low: float, high: float, path: Path) -> None:
    beyond = values[(values < low) | (values > high)]
    if beyond.size:
        raise InputError(
            f"{path}: a rating of {beyond[0]:g} lies beyond the scale of {low:g} to {high:g}; set shift.scale to the "
            "ends of the scale that was used."
        )


def volume_ratings(rating: Rating, *, n_time: int, t_r: float) -> Array:
    """Return the mean rating during each volume (n_time,); before its first onset a rating is what it is there."""
    edges = np.arange(n_time + 1) * t_r
    ends = np.append(rating.onsets_s[1:], max(edges[-1], rating.onsets_s[-1]))
    starts = np.append(min(0.0, rating.onsets_s[0]), rating.onsets_s[1:])
    area = np.concatenate([[0.0], np.cumsum(rating.values * (ends - starts))])
    known = np.append(starts, ends[-1])
    return np.asarray(np.diff(np.interp(edges, known, area)) / t_r)


def rating_regressors(rating: Rating, *, n_time: int, t_r: float, start_s: float) -> Array:
    """Return the rating convolved with the canonical response, and with its derivative (n_time, 2), in points.

    ``start_s`` is the time within a volume at which its signal counts. The rating before its first onset is taken to
    be what it is there: the response is to the changes since, and the level belongs to the constant.
    """
    from nilearn.glm.first_level import compute_regressor

    ends = np.append(rating.onsets_s[1:], max(n_time * t_r, rating.onsets_s[-1] + t_r))
    steps = np.stack([rating.onsets_s, ends - rating.onsets_s, rating.values - rating.values[0]])
    times = start_s + np.arange(n_time) * t_r
    earliest = min(-24.0, float(rating.onsets_s[0]) - 1)
    regressors, _ = compute_regressor(steps, HRF, times, oversampling=OVERSAMPLING, min_onset=earliest)
    return np.asarray(regressors, dtype=np.float64)


# ----------------------------------------------------------------------------------------------------------------- run


def set_parts(settings: Mapping[str, Any], known: Sequence[Name]) -> dict[str, tuple[Name, ...]]:
    """Return the regions of each set of the settings."""
    names = [(roi, hemi) for roi, hemi in known]
    return {name: tuple(part for each in settings[name] for part in parts_of(each, names)) for name in SETS}


def read_rating_run(
    files: RatingFiles,
    *,
    regions: Mapping[Name, Region],
    settings: Mapping[str, Any],
    functional: Mapping[str, Any],
) -> RatingScan:
    """Return a run: its rating, the mean series of the sets of regions, and the effects of the rating on them.

    Parameters
    ----------
    files
        From :func:`group_ratings`.
    regions
        From :func:`lbpneuro.io.regions.read_regions`.
    settings, functional
        The sections ``shift`` and ``functional`` of the settings.

    Raises
    ------
    InputError
        What the readers of series, confounds and ratings refuse.
    """
    series = read_series(files.run.bold, files.run.mask)
    t_r = repetition_time(files.run.bold, header=series.t_r)
    metadata, n_time = read_metadata(files.run.bold), len(series.bold)
    confounds, keep, nuisance = _nuisance(files, n_time=n_time, t_r=t_r, settings=settings, functional=functional)
    transform, other_template = way_to_regions(files.run, regions, functional)
    means, coverage = _set_means(series, regions=regions, settings=settings, transform=transform)
    rating = read_rating(files.ratings, settings)
    regressors = np.full((n_time, 2), np.nan)
    if rating is not None:
        start_s = float(metadata.get("StartTime", t_r / 2))
        regressors = rating_regressors(rating, n_time=n_time, t_r=t_r, start_s=start_s)
    fit = fit_sets(means, regressors=regressors, basis=nuisance.basis, keep=keep)
    signal = means[keep].mean(axis=0) / float(np.median(series.mean[series.mask]))
    shown = {"means": means, "coverage": coverage, "signal": signal}
    run = RatingRun(
        bold=replace(
            _bold_run(files, t_r=t_r, confounds=confounds, keep=keep, nuisance=nuisance, **shown),
            other_template=other_template,
            doubtful_timing=other_excitation(metadata, t_r) is not None,
        ),
        control=files.control,
        rating=np.full(n_time, np.nan) if rating is None else volume_ratings(rating, n_time=n_time, t_r=t_r),
        regressors=regressors,
        fit=fit,
    )
    beta = None
    if fit is not None and nuisance.basis is not None:
        beta = effect_in_voxels(series.bold[keep], coefficients=nuisance.basis @ fit.weights[0])
    return RatingScan(files=files, rating=rating, run=run, series=series, confounds=confounds, beta=beta)


def effect_in_voxels(bold: NDArray[np.float32], *, coefficients: Array) -> Array:
    """Return ``100 c'x / mean(x)`` of every voxel of the kept volumes (n_kept, n_voxel); NaN where the mean is 0."""
    mean = bold.mean(axis=0, dtype=np.float64)
    return np.asarray(100 * (coefficients @ bold) / np.where(mean > 0, mean, np.nan))


def _nuisance(
    files: RatingFiles, *, n_time: int, t_r: float, settings: Mapping[str, Any], functional: Mapping[str, Any]
) -> tuple[Confounds, NDArray[np.bool_], Nuisance]:
    """Return the confounds of a run, the volumes that are kept, and the model with a pass band without upper limit."""
    strategy = settings["confounds"]
    table = read_table(files.run.confounds, n_time=n_time)
    chosen = find_strategy(strategy, functional["confounds_custom"])
    confounds = select_confounds(table, files.run.confounds, strategy=chosen)
    keep = volumes_to_keep(confounds, functional)
    nyquist = 0.5 / t_r
    try:
        basis = residual_basis(
            confounds.regressors,
            t_r=t_r,
            band_hz=(min(settings["high_pass_hz"], nyquist / 2), nyquist),
            polynomial=functional["polynomial"],
            keep=keep,
        )
    except QualityError:
        return confounds, keep, Nuisance(strategy=strategy, basis=None)
    return confounds, keep, Nuisance(strategy=strategy, basis=basis)


def _set_means(
    series: Series, *, regions: Mapping[Name, Region], settings: Mapping[str, Any], transform: Path | None
) -> tuple[Array, Array]:
    """Return the mean series of the sets (n_time, 3), and the smallest coverage of the regions of each."""
    parts = set_parts(settings, list(regions))
    named = {part: regions[part] for set_of in parts.values() for part in set_of}
    found = roi_weights(series, regions=named, transform=transform)
    weights = found.weights.toarray()
    _, coverage = region_means(series.bold, weights=weights, whole=found.whole)
    sets = np.stack([weights[found.rows(parts[name])].max(axis=0) for name in SETS])
    means, _ = region_means(series.bold, weights=exclusive_sets(sets))
    return means, np.array([coverage[found.rows(parts[name])].min() for name in SETS])


def exclusive_sets(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the weights (n_set, n_voxel) of sets without the voxels that more than one set touches."""
    return np.where((weights > 0).sum(axis=0) > 1, np.zeros_like(weights), weights)


def _bold_run(
    files: RatingFiles,
    *,
    t_r: float,
    confounds: Confounds,
    keep: NDArray[np.bool_],
    nuisance: Nuisance,
    means: Array,
    coverage: Array,
    signal: Array,
) -> Run:
    """Return the run as the gates of resting runs see it: the sets take the place of regions."""
    unknown = np.full(len(SETS), np.nan)
    return Run(
        name=files.run.name,
        resting=False,
        t_r=t_r,
        fd_mm=confounds.fd_jenkinson,
        std_dvars=confounds.std_dvars,
        steady=confounds.steady,
        keep=keep,
        models={MODEL: nuisance},
        regions=REGIONS,
        means=means,
        size=np.asarray(np.isfinite(means).all(axis=0), dtype=np.float64),
        coverage=coverage,
        signal=signal,
        tsnr=unknown,
        tsnr_se=unknown,
        n_voxels=np.zeros(len(SETS), dtype=np.int64),
        nodes=np.empty((len(means), 0)),
        beyond_mpfc=np.empty(0, dtype=bool),
    )


# ------------------------------------------------------------------------------------------------------------- outputs


def write_rating_scan(scan: RatingScan, path_of: PathOf) -> None:
    """Write the cleaned series of the sets with the rating, and the map of the effect of the rating."""
    names = scan.files.run.entities
    _write_series(path_of("func", "timeseries", ".tsv", **names, desc="shift"), scan)
    if scan.beta is not None:
        own = entities(scan.files.run.bold)
        space = {key: own[key] for key in ("space", "res") if key in own}
        _write_map(path_of("func", "boldmap", ".nii.gz", **names, **space, stat="effect", desc="rating"), scan)


def _write_series(path: Path, scan: RatingScan) -> None:
    """Write one row per volume: rating, its regressor, and the cleaned series of the sets in percent of their mean."""
    import pandas as pd

    run, bold = scan.run, scan.run.bold
    percent = 100 * bold.means / bold.means[bold.keep].mean(axis=0)
    basis = bold.basis(MODEL)
    clean, fitted = np.full((2, *percent.shape), np.nan)
    if basis is not None:
        clean = cleaned(basis, project(basis, percent, keep=bold.keep), keep=bold.keep)
        if run.fit is not None:
            rated = basis.T @ run.regressors[bold.keep]
            fitted = cleaned(basis, rated @ run.fit.effect[:, : len(SETS)], keep=bold.keep)
    columns = {"rating": run.rating, "rating_convolved": run.regressors[:, 0]}
    columns |= dict(zip(SETS, clean.T, strict=True))
    columns |= dict(zip((f"{name}_fitted" for name in SETS), fitted.T, strict=True))
    write_tsv(path, pd.DataFrame({name: values.round(SERIES_DECIMALS) for name, values in columns.items()}))
    write_json(
        path.with_suffix(".json"),
        {
            "RepetitionTime": bold.t_r,
            "Control": run.control,
            "rating": {"Description": "Mean rating during the volume, from 0 to 100."},
            "rating_convolved": {"Description": "Rating since its beginning, convolved with the canonical response."},
            **{
                name: {
                    "Description": f"Mean signal of the {name} regions, cleaned; n/a in censored volumes.",
                    "Units": "%",
                }
                for name in SETS
            },
            **{
                f"{name}_fitted": {"Description": f"What follows the rating in the {name} regions.", "Units": "%"}
                for name in SETS
            },
        },
    )


def _write_map(path: Path, scan: RatingScan) -> None:
    import nibabel as nib

    values = np.asarray(scan.beta, dtype=np.float32).round(MAP_DECIMALS)
    volume = as_volume(values, scan.series.mask, outside=np.nan)
    image = nib.Nifti1Image(volume, scan.series.affine)
    image.set_sform(scan.series.affine, code="mni" if "MNI152" in path.name else "aligned")
    image.set_qform(scan.series.affine, code="unknown", strip_shears=True)
    image.header.set_xyzt_units("mm")
    write_nifti(path, image)
    text = "Effect of the convolved rating in every voxel, in percent of its mean per point of a scale from 0 to 100."
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), {"Description": text, "Units": "%"})


def rating_facts(scan: RatingScan) -> dict[str, Any]:
    """Return what the sidecar of the rows says of a run."""
    run = scan.run.bold
    return {
        "Bold": scan.files.run.bold.name,
        "Rating": scan.rating.path.name if scan.rating else None,
        "Control": scan.run.control,
        "RepetitionTime": run.t_r,
        "VolumesKept": int(run.keep.sum()),
        "ConfoundStrategy": run.models[MODEL].strategy,
        "Confounds": list(scan.confounds.names),
        "DegreesOfFreedom": scan.run.fit.dof if scan.run.fit else 0,
    }
