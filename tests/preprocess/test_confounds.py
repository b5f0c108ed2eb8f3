"""Confounds by hand, by slow loops, and by the loader of nilearn."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.preprocess.confounds import (
    component_columns,
    confound_columns,
    cosine_drift,
    dvars,
    expansions,
    lag_one,
    motion_outliers,
    non_steady_state,
    padded,
    spikes,
    tissue_components,
)
from tests.oracles import confounds as slow


def run(rng, n_time=60, n_voxel=90):
    """A series of three tissues with a course each, and the masks of the first two."""
    time = np.arange(n_time)
    courses = np.stack([np.sin(time / 3), np.cos(time / 5), np.sign(np.sin(time / 7))])
    owner = np.repeat([0, 1, 2], n_voxel // 3)
    series = 1000 + 8 * courses[owner].T + rng.normal(0, 3, (n_time, n_voxel))
    return series.astype(np.float32), {"CSF": owner == 0, "WM": owner == 1}


def test_expansions_by_hand():
    found = expansions("rot_x", np.array([1.0, 3.0, -2.0]))
    assert list(found) == ["rot_x", "rot_x_derivative1", "rot_x_power2", "rot_x_derivative1_power2"]
    assert found["rot_x_derivative1"][1:].tolist() == [2.0, -5.0]
    assert found["rot_x_power2"].tolist() == [1.0, 9.0, 4.0]
    assert found["rot_x_derivative1_power2"][1:].tolist() == [4.0, 25.0]
    assert np.isnan(found["rot_x_derivative1"][0])
    assert np.isnan(found["rot_x_derivative1_power2"][0])


def test_spike_columns_by_hand():
    found = spikes("motion_outlier", [2, 0], n_time=3)
    assert {name: column.tolist() for name, column in found.items()} == {
        "motion_outlier00": [0, 0, 1],
        "motion_outlier01": [1, 0, 0],
    }


def test_outliers_need_either_limit_and_an_unknown_value_is_none():
    fd = np.array([np.nan, 0.5, 0.51, 0.1])
    standard = np.array([np.nan, 1.5, 1.0, 1.51])
    assert motion_outliers(fd, standard) == [2, 3]


@pytest.mark.parametrize("n_dummy", [0, 1, 3])
def test_bright_first_volumes_are_counted(rng, n_dummy):
    signal = 1000 + rng.normal(0, 2, 100)
    signal[:n_dummy] += [300, 150, 60][:n_dummy]
    assert non_steady_state(signal) == n_dummy


def test_a_constant_signal_has_no_dummy_volumes():
    assert non_steady_state(np.full(30, 7.0)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_dvars_agrees_with_loops(seed):
    rng = np.random.default_rng(seed)
    series = 500 + rng.normal(0, 10, (17, 6)) + np.cumsum(rng.normal(0, 3, (17, 1)), axis=0)
    series[:, 2] = 500.0
    for found, expected in zip(dvars(series), slow.dvars(series), strict=True):
        assert np.isnan(found[0])
        assert found[1:] == pytest.approx(expected[1:], rel=1e-9)


def test_dvars_in_blocks_is_that_of_the_whole(rng, monkeypatch):
    series = 500 + rng.normal(0, 10, (17, 23))
    whole = dvars(series)
    monkeypatch.setattr("lbpneuro.preprocess.confounds.BLOCK", 5)
    for found, expected in zip(dvars(series), whole, strict=True):
        assert found[1:] == pytest.approx(expected[1:])


def test_dvars_by_hand():
    """Median 10, so scaled by 100: steps of 1 and 2 give sqrt((100^2 + 200^2) / 2); a constant is left out."""
    series = np.array([[9.0, 10, 10], [10, 12, 10], [11, 10, 10], [10, 12, 10], [11, 10, 10]])
    assert dvars(series)[0][1:] == pytest.approx([np.sqrt(25000.0)] * 4)


def test_standardised_dvars_of_noise_is_about_one(rng):
    assert np.nanmean(dvars(1000 + rng.normal(0, 10, (300, 400)))[1]) == pytest.approx(1.0, abs=0.02)


def test_lag_one_of_an_autoregressive_series(rng):
    noise = rng.normal(0, 1, (4000, 3))
    series = np.zeros_like(noise)
    for t in range(1, len(noise)):
        series[t] = 0.6 * series[t - 1] + noise[t]
    assert lag_one(series) == pytest.approx(np.full(3, 0.6), abs=0.05)


def test_cosines_agree_with_scipy_and_count_as_fmriprep_does():
    from scipy.fft import idct

    n_time, t_r = 100, 2.0
    found = cosine_drift(n_time, t_r)
    assert found.shape == (n_time, 3)  # floor(2 * 200 s / 128 s)
    units = np.eye(n_time)[:, 1:4]
    assert found == pytest.approx(idct(units, axis=0, norm="ortho"))
    assert found.T @ found == pytest.approx(np.eye(3), abs=1e-12)
    assert np.abs(found.sum(axis=0)).max() < 1e-12


def test_a_short_run_has_no_slow_cosine():
    assert cosine_drift(20, 2.0).shape == (20, 0)


def test_components_agree_with_scikit_learn(rng):
    from sklearn.decomposition import PCA

    series, masks = run(rng)
    drift = cosine_drift(60, 2.0)
    found = tissue_components(series[:, masks["WM"]], drift)
    clean = series[:, masks["WM"]].astype(float)
    design = np.column_stack([np.ones(60), drift])
    clean = clean - design @ np.linalg.lstsq(design, clean, rcond=None)[0]
    peer = PCA(n_components=len(found.singular)).fit(clean / clean.std(axis=0, ddof=0))
    scores = peer.transform(clean / clean.std(axis=0, ddof=0)) / peer.singular_values_
    assert found.singular == pytest.approx(peer.singular_values_)
    assert found.explained == pytest.approx(peer.explained_variance_ratio_)
    assert np.abs((found.courses * scores).sum(axis=0)) == pytest.approx(np.ones(len(found.singular)))


def test_half_of_the_variance_but_five_components_at_least(rng):
    series = run(rng)[0]
    found = tissue_components(series, cosine_drift(60, 2.0))
    assert len(found.singular) >= 5
    assert found.explained.sum() >= 0.5
    most = tissue_components(series, cosine_drift(60, 2.0), share=0.9)
    assert most.explained[:-1].sum() < 0.9 <= most.explained.sum()


def test_the_sign_of_a_component_is_fixed(rng):
    series, masks = run(rng)
    courses = tissue_components(series[:, masks["WM"]], cosine_drift(60, 2.0)).courses
    assert (courses[np.abs(courses).argmax(axis=0), np.arange(courses.shape[1])] > 0).all()


def test_fewer_voxels_than_components_and_constant_voxels(rng):
    series = np.column_stack([rng.normal(100, 1, (30, 2)), np.full(30, 5.0)])
    assert tissue_components(series, cosine_drift(30, 2.0)).courses.shape == (30, 2)


def test_components_are_named_and_described_as_fmriprep_does(rng):
    series, masks = run(rng)
    columns, description = component_columns(series, masks, drift=cosine_drift(60, 2.0))
    assert set(columns) == set(description)
    assert {name[0]: description[name]["Mask"] for name in columns} == {"c": "CSF", "w": "WM", "a": "combined"}
    first = description["w_comp_cor_00"]
    assert first["Retained"] is True
    assert first["Method"] == "aCompCor"
    assert first["CumulativeVarianceExplained"] == first["VarianceExplained"]


def test_components_are_those_of_their_tissue(rng):
    """The planted course of each tissue is its first component, and not that of the other."""
    series, masks = run(rng)
    columns, _ = component_columns(series, masks, drift=cosine_drift(60, 2.0))
    time = np.arange(60)
    for name, course in (("c_comp_cor_00", np.sin(time / 3)), ("w_comp_cor_00", np.cos(time / 5))):
        assert abs(np.corrcoef(columns[name], course)[0, 1]) > 0.9, name


@pytest.fixture
def table(rng):
    series, masks = run(rng)
    series[:2] += 200
    motion = np.cumsum(rng.normal(0, [0.02] * 3 + [0.0003] * 3, (60, 6)), axis=0)
    motion[30:, 0] += 0.6
    series.setflags(write=False)
    return series, masks, motion, *confound_columns(series, motion=motion, tissues=masks, t_r=2.0, n_dummy=2)


def test_table_by_hand(table):
    series, masks, motion, columns, _ = table
    assert columns["global_signal"] == pytest.approx(series.mean(axis=1, dtype=float))
    assert columns["csf"] == pytest.approx(series[:, masks["CSF"]].mean(axis=1, dtype=float))
    step = np.abs(motion[30] - motion[29])
    assert columns["framewise_displacement"][30] == pytest.approx(step[:3].sum() + 50 * step[3:].sum())
    assert np.isnan(columns["framewise_displacement"][0])
    assert columns["trans_x"] == pytest.approx(motion[:, 0])
    assert columns["non_steady_state_outlier00"].tolist() == [1.0, *[0.0] * 59]
    assert columns["non_steady_state_outlier01"].argmax() == 1
    # the jump at volume 30 and the step out of the dummy volumes
    outliers = [int(column.argmax()) for name, column in columns.items() if name.startswith("motion_outlier")]
    assert 30 in outliers
    assert 1 not in outliers
    for name in ("cosine00", "w_comp_cor_00"):
        assert columns[name][:2].tolist() == [0.0, 0.0]
        assert columns[name][2:].all()


def test_every_column_has_a_value_per_volume_and_only_the_first_may_lack_it(table):
    for name, column in table[3].items():
        assert column.shape == (60,), name
        assert column.dtype == np.float64, name
        assert np.isfinite(column[1:]).all(), name


def test_a_voxel_that_is_no_tissue_changes_no_tissue_column(table):
    series, masks, motion, columns, _ = table
    changed = series.copy()
    changed[:, -1] += 50 * np.arange(60)
    again, _ = confound_columns(changed, motion=motion, tissues=masks, t_r=2.0, n_dummy=2)
    for name, column in columns.items():
        if name.startswith(("csf", "white", "c_", "w_", "a_", "trans", "rot", "cosine")):
            assert np.array_equal(again[name], column, equal_nan=True), name


def test_nilearn_loads_the_table(table, tmp_path):
    import nibabel as nib
    import pandas as pd
    from nilearn.interfaces.fmriprep import load_confounds

    from lbpneuro.io.files import write_json, write_tsv

    bold = tmp_path / "sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 60), dtype=np.float32), np.eye(4)), bold)
    write_tsv(tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv", pd.DataFrame(table[3]))
    write_json(tmp_path / "sub-01_task-rest_desc-confounds_timeseries.json", table[4])
    found, kept = load_confounds(
        str(bold),
        strategy=("motion", "high_pass", "wm_csf", "compcor", "global_signal", "scrub"),
        motion="full",
        wm_csf="full",
        global_signal="full",
        compcor="anat_separated",
        n_compcor=5,
        fd_threshold=0.5,
        std_dvars_threshold=1.5,
    )
    assert {"c_comp_cor_04", "w_comp_cor_04", "rot_z_derivative1_power2", "cosine00"} <= set(found.columns)
    assert 0 not in kept
    assert 30 not in kept


def test_padding_by_hand():
    assert padded(np.array([1.0, 2.0]), 4).tolist() == [0, 0, 1, 2]
