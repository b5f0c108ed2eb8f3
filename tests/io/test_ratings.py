"""Ratings read from every kind of file, their regressors, and effects beside those of nilearn."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io import ratings
from lbpneuro.kernels.glm import fit_effects, noise_covariances
from lbpneuro.kernels.nuisance import cosines, legendre, residual_basis

SETTINGS = {"columns": ["rating", "value"], "scale": [0, 100], "control_task": "visual"}
T_R = 2.0


def recording(folder: Path, samples: np.ndarray, *, suffix: str = "stim", **metadata: Any) -> Path:
    path = folder / f"sub-01_task-rating_{suffix}.tsv.gz"
    lines = "\n".join("\t".join("n/a" if np.isnan(value) else f"{value:g}" for value in row) for row in samples)
    path.write_bytes(gzip.compress(lines.encode()))
    about = {"SamplingFrequency": 5.0, "StartTime": -1.0, "Columns": ["cardiac", "rating"], **metadata}
    path.with_name(path.name.replace(".tsv.gz", ".json")).write_text(json.dumps(about))
    return path


def listed(folder: Path, table: dict[str, list[Any]], *, suffix: str = "events") -> Path:
    path = folder / f"sub-01_task-rating_{suffix}.tsv"
    pd.DataFrame(table).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def test_a_recording_is_read_by_its_sidecar(tmp_path: Path) -> None:
    path = recording(tmp_path, np.array([[0, 10], [0, np.nan], [0, 30.0]]))
    found = ratings.read_rating([path], SETTINGS)
    assert found is not None
    np.testing.assert_allclose(found.onsets_s, [-1, -0.6])
    np.testing.assert_allclose(found.values, [10, 30])


def test_a_fast_recording_is_averaged(tmp_path: Path) -> None:
    samples = np.column_stack([np.zeros(250), np.arange(250) / 10])
    found = ratings.read_rating([recording(tmp_path, samples, SamplingFrequency=100.0)], SETTINGS)
    assert found is not None
    assert len(found.values) == 25
    np.testing.assert_allclose(found.onsets_s[:2], [-1, -0.9])
    np.testing.assert_allclose(found.values[:2], [0.45, 1.45])


def test_a_list_is_put_in_order_and_scaled(tmp_path: Path) -> None:
    path = listed(tmp_path, {"onset": [9, 0, 4], "duration": [0, 0, 0], "value": [7, 1, None]})
    found = ratings.read_rating([path], {**SETTINGS, "scale": [0, 10]})
    assert found is not None
    np.testing.assert_allclose(found.onsets_s, [0, 9])
    np.testing.assert_allclose(found.values, [10, 70])


def test_the_first_file_with_a_rating_is_read(tmp_path: Path) -> None:
    empty = recording(tmp_path, np.zeros((3, 2)), suffix="physio", Columns=["cardiac", "respiratory"])
    events = listed(tmp_path, {"onset": [0], "duration": [1], "trial_type": ["face"]})
    beh = listed(tmp_path, {"onset": [0, 3], "rating": [5, 50]}, suffix="beh")
    found = ratings.read_rating([empty, events, beh], SETTINGS)
    assert found is not None
    assert found.path == beh
    assert ratings.read_rating([empty, events], SETTINGS) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Columns": None}, "must have Columns"),
        ({"SamplingFrequency": "5 Hz"}, "SamplingFrequency as a number"),
        ({"StartTime": None}, "StartTime as a number"),
        ({"SamplingFrequency": 0}, "above 0 Hz"),
        ({"Columns": ["cardiac", "respiratory", "rating"]}, "expected a tab-separated table"),
    ],
)
def test_a_mistake_in_a_sidecar_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        ratings.read_rating([recording(tmp_path, np.ones((4, 2)), **changed)], SETTINGS)
    assert "task-rating_stim.tsv.gz" in str(error.value)


def test_a_mistake_in_a_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"events\.tsv: a rating of 140 lies beyond the scale of 0 to 100"):
        ratings.read_rating([listed(tmp_path, {"onset": [0, 1], "rating": [5, 140]})], SETTINGS)
    with pytest.raises(InputError, match="line 3: a rating needs its onset"):
        ratings.read_rating([listed(tmp_path, {"onset": [0, None], "rating": [5, 14]})], SETTINGS)


def test_runs_have_the_ratings_of_their_own_name(tmp_path: Path) -> None:
    names = [
        "task-rating_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
        "task-rating_run-1_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
        "task-rating_run-1_desc-confounds_timeseries.tsv",
        "task-visual_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
        "task-visual_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
        "task-visual_desc-confounds_timeseries.tsv",
        "task-rating_run-1_events.tsv",
        "task-rating_run-1_recording-slider_stim.tsv.gz",
        "task-rating_run-2_events.tsv",
        "task-visual_beh.tsv",
    ]
    found = ratings.group_ratings([tmp_path / f"sub-01_{name}" for name in names], SETTINGS)
    assert [(run.run.name, run.control) for run in found] == [("task-rating_run-1", False), ("task-visual", True)]
    assert [path.name for path in found[0].ratings] == [f"sub-01_{names[7]}", f"sub-01_{names[6]}"]
    assert [path.name for path in found[1].ratings] == [f"sub-01_{names[9]}"]


def test_raw_runs_need_their_derivative(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not preprocessed") as error:
        ratings.group_ratings([tmp_path / "sub-01_task-rating_bold.nii.gz"], SETTINGS)
    assert error.value.reason is Reason.NO_DERIVATIVE


def test_mean_rating_of_a_volume_by_hand() -> None:
    rating = ratings.Rating(path=Path(), onsets_s=np.array([1.0, 3.0, 5.0]), values=np.array([10.0, 20.0, 60.0]))
    np.testing.assert_allclose(ratings.volume_ratings(rating, n_time=4, t_r=2.0), [10, 15, 40, 60])
    early = ratings.Rating(path=Path(), onsets_s=np.array([-5.0, 2.0]), values=np.array([10.0, 30.0]))
    np.testing.assert_allclose(ratings.volume_ratings(early, n_time=2, t_r=2.0), [10, 30])


def test_the_response_to_a_lasting_change_is_that_change() -> None:
    rating = ratings.Rating(path=Path(), onsets_s=np.array([0.0, 40.0]), values=np.array([30.0, 50.0]))
    found = ratings.rating_regressors(rating, n_time=60, t_r=T_R, start_s=1.0)
    assert found.shape == (60, 2)
    np.testing.assert_allclose(found[:20, 0], 0, atol=1e-9)
    np.testing.assert_allclose(found[40:, 0], 20, rtol=1e-3)


def test_voxels_in_more_than_one_set_are_in_none() -> None:
    weights = np.array([[0.5, 1, 0, 0.2], [0, 0.3, 1, 0], [0, 0, 0, 0.1]], dtype=np.float32)
    expected = np.array([[0.5, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(ratings.exclusive_sets(weights)), expected)


def on_and_off(events: pd.DataFrame, folder: Path) -> Path:
    """Stimulation as a rating: 100 while an event lasts, 0 otherwise."""
    times = [0.0, *np.column_stack([events["onset"], events["onset"] + events["duration"]]).ravel()]
    return listed(folder, {"onset": times, "rating": [0.0, *[100.0, 0.0] * len(events)]})


def test_effects_on_real_data_are_those_of_nilearn(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    """Viewing pictures (TR 2 s): the effect in every voxel and in region means, to 1e-5 of FirstLevelModel."""
    import nibabel as nib
    from nilearn.glm.first_level import FirstLevelModel, make_first_level_design_matrix

    folder = real_data("studyforrest") / "sub-02" / "func"
    image = nib.load(next(folder.glob("*_bold.nii.gz")))
    bold = image.get_fdata(dtype=np.float32)
    mask = bold.mean(axis=3) > 0.6 * np.percentile(bold.mean(axis=3), 98)
    n_time = bold.shape[3]
    events = pd.read_csv(next(folder.glob("*_events.tsv")), sep="\t")[["onset", "duration"]]
    rating = ratings.read_rating([on_and_off(events, tmp_path)], SETTINGS)
    assert rating is not None
    rated = ratings.rating_regressors(rating, n_time=n_time, t_r=T_R, start_s=0.0)
    keep = np.ones(n_time, dtype=bool)
    basis = residual_basis(np.empty((n_time, 0)), t_r=T_R, band_hz=(0.0078, 0.25), polynomial=1, keep=keep)
    series = bold[mask].T
    fit = fit_effects(basis.T @ series, regressors=basis.T @ rated, noise=noise_covariances(basis, keep=keep)[:1])
    orders = np.arange(1, int(np.ceil(0.0078 * 2 * n_time * T_R - 1e-9)))
    drift = np.column_stack([legendre(n_time, degree=1)[:, 1:], cosines(n_time, orders=orders)])
    design = make_first_level_design_matrix(
        T_R * np.arange(n_time),
        events.assign(trial_type="seen", modulation=100.0),
        hrf_model="spm + derivative",
        drift_model=None,
        add_regs=drift,
    )
    model = FirstLevelModel(
        mask_img=nib.Nifti1Image(mask.astype(np.uint8), image.affine), noise_model="ols", signal_scaling=False
    )
    model.fit(image, design_matrices=design)
    expected = model.compute_contrast("seen", output_type="effect_size").get_fdata()[mask]
    size = np.abs(expected).max()
    np.testing.assert_allclose(fit.effect[0], expected, atol=1e-5 * size)
    strong = expected > np.percentile(expected, 99)
    region = fit_effects(
        basis.T @ series[:, strong].mean(axis=1, keepdims=True),
        regressors=basis.T @ rated,
        noise=noise_covariances(basis, keep=keep),
    )
    np.testing.assert_allclose(region.effect[0, 0], expected[strong].mean(), rtol=1e-5)
    assert region.effect[0, 0] > 5 * np.sqrt(region.covariance[0, 0, 0])
    percent = ratings.effect_in_voxels(series, coefficients=basis @ fit.weights[0])
    np.testing.assert_allclose(percent, 100 * fit.effect[0] / series.mean(axis=0), rtol=1e-3, atol=1e-6)
