"""Writes the rating run of a visit: raw BIDS with the rating, and what fMRIPrep would have made of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lbpneuro.io.files import gzip_writer, write_json, write_nifti
from lbpneuro.io.ratings import Rating, rating_regressors
from lbpneuro.simulate.anatomy import Anatomy, anatomy
from lbpneuro.simulate.bold import (
    BoldSettings,
    Courses,
    bold_mm,
    courses,
    latent_correlation,
    node_grid,
    raw_run,
    synthesise,
    template_maps,
)
from lbpneuro.simulate.grids import mni_grid
from lbpneuro.simulate.imaging_files import (
    ECHO_TIME_S,
    SCANNER_CODE,
    SPACE,
    TEMPLATE_CODE,
    bold_metadata,
    series_image,
    write_confounds,
)
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.rating import TASK, drawn_rating, planted_effects, rating_truth, response
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

OWN_SEED = 7_919_000_003
"""Added to the seed of a visit, so that the signals of this run are not those of the resting run."""


def write_rating(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the rating run of a visit, raw and preprocessed, with the rating; return the planted values.

    Nothing is written, and nothing planted, in a study without ratings.
    """
    if study.rating is None:
        return []
    settings, planted = replace(study.bold, n_time=study.rating.n_time), planted_effects(visit, study.rating)
    voxel_mm, t_r = bold_mm(study.voxel_mm), study.bold.t_r
    run = f"{visit.prefix}_task-{TASK}"
    raw, derived = (root / visit.folder / "func" for root in (study.raw, study.fmriprep))
    path = raw / f"{run}_stim.tsv.gz"
    rating = drawn_rating(visit.passing("rating"), duration_s=settings.n_time * t_r, settings=study.rating, path=path)
    _write_recording(rating, sampling_hz=study.rating.sampling_hz)
    regressor = rating_regressors(rating, n_time=settings.n_time, t_r=t_r, start_s=t_r / 2)[:, 0]
    own = replace(visit, seed=visit.seed + OWN_SEED)
    n_nodes = int(np.prod(node_grid().shape))
    time = courses(own, settings=settings, correlation=latent_correlation(visit, settings), n_nodes=n_nodes)
    grid, maps = mni_grid(voxel_mm), template_maps(voxel_mm)
    series = synthesise(maps, time, rng=own.passing("bold white"), settings=settings)
    series += response(maps, regressor, effects=planted, voxel_mm=voxel_mm)
    start = f"{run}_space-{SPACE}"
    mean = series[:, len(settings.dummy) :].mean(axis=1, keepdims=True)
    for name, values, dtype in (
        ("desc-brain_mask", np.ones_like(mean), np.uint8),
        ("desc-preproc_bold", series, np.int16),
    ):
        image = series_image(values, maps.inside, grid=grid, dtype=dtype, code=TEMPLATE_CODE, t_r=t_r)
        write_nifti(derived / f"{start}_{name}.nii.gz", image)
    about = {**bold_metadata(settings), "TaskName": TASK}
    source = f"bids:raw:{visit.folder}/func/{run}_bold.nii.gz"
    write_json(derived / f"{start}_desc-preproc_bold.json", {**about, "SkullStripped": True})
    write_json(derived / f"{start}_desc-brain_mask.json", {"Type": "Brain", "RawSources": [source]})
    write_confounds(
        derived / f"{run}_desc-confounds_timeseries", series, maps=maps, time=time, grid=grid, settings=settings
    )
    head = anatomy(visit, voxel_mm=study.voxel_mm, settings=study.anatomy)
    _write_raw(raw / f"{run}_bold", own, head=head, time=time, voxel_mm=voxel_mm, settings=settings)
    return rating_truth(visit, planted)


def _write_raw(
    path: Path, own: Visit, *, head: Anatomy, time: Courses, voxel_mm: float, settings: BoldSettings
) -> None:
    """Write the raw run and its sidecar; it holds no response to the rating, which the raw images are not read for."""
    grid, inside, series = raw_run(own, head, time=time, voxel_mm=voxel_mm, settings=settings)
    image = series_image(series, inside, grid=grid, dtype=np.int16, code=SCANNER_CODE, t_r=settings.t_r)
    write_nifti(path.with_name(f"{path.name}.nii.gz"), image)
    scanner = {"MagneticFieldStrength": 3, "EchoTime": ECHO_TIME_S, "FlipAngle": 80, "Modality": "MR"}
    told = {"TaskName": TASK, "Instructions": "Show with the slider how strong your back pain is, all the time."}
    write_json(path.with_name(f"{path.name}.json"), {**bold_metadata(settings), **told, **scanner})


def _write_recording(rating: Rating, *, sampling_hz: float) -> None:
    """Write the rating as a recording without header, and its sidecar."""
    with gzip_writer(rating.path) as stream:
        stream.write("".join(f"{value:g}\n" for value in rating.values).encode())
    about = {"SamplingFrequency": sampling_hz, "StartTime": 0.0, "Columns": ["rating"]}
    described = {"Description": "Back pain, 0 none to 100 the worst imaginable.", "Units": "1"}
    name = rating.path.name.removesuffix(".tsv.gz") + ".json"
    write_json(rating.path.with_name(name), {**about, "rating": described})
