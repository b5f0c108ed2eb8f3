"""The resting run: the planted correlation is what an endless run would show; confounds are what fMRIPrep writes."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.atlases import node_weights, seitzman_nodes
from lbpneuro.io.images import load_probability
from lbpneuro.io.region_grid import roi_weights, volume_weights
from lbpneuro.kernels.quality import fd_jenkinson, fd_power
from lbpneuro.kernels.voxels import columns_of
from lbpneuro.markers.edges import LABELS
from lbpneuro.simulate import bold, bold_truth
from lbpneuro.simulate.confounds import expansion, principal_components
from lbpneuro.simulate.grids import mni_grid
from lbpneuro.simulate.imaging_files import csf_of_seed
from lbpneuro.simulate.motion import (
    MotionSettings,
    framewise_displacement,
    jenkinson_displacement,
    motion_parameters,
)
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.template import region_shares
from lbpneuro.simulate.template import regions as regions_of_lbpneuro

VOXEL_MM = 4.0


def visit(number: int = 1, *, effect: float = 1.0) -> Visit:
    return Visit(person(number, seed=33, effect=effect), 0, 33)


def in_band(series: np.ndarray, *, t_r: float, band_hz: tuple[float, float]) -> np.ndarray:
    spectrum = np.fft.rfft(series, axis=1)
    frequencies = np.fft.rfftfreq(series.shape[1], t_r)
    return spectrum * ((frequencies >= band_hz[0]) & (frequencies <= band_hz[1]))


@pytest.fixture(scope="module")
def both_regions():
    """Shares (2, n) and points of the voxels of the two regions."""
    shares = np.stack([region_shares(key, VOXEL_MM).ravel() for key in (bold.SEED, bold.TARGET)])
    used = shares.sum(axis=0) > 0
    return shares[:, used], mni_grid(VOXEL_MM).points()[used]


def correlations(weights, maps, correlation, settings):
    found = bold_truth.moments(weights, maps, correlation=correlation, settings=settings)
    return bold_truth.clean_correlation(found, settings)


def test_population_correlation_is_that_of_an_endless_run(both_regions):
    """A run of 60,000 volumes without nuisance, band-passed by Fourier, against the formula."""
    shares, points = both_regions
    planted = {**bold.BoldSettings().pag_vmpfc, "mean": 1.2}
    quiet = {"dummy": (), "global_signal": 0, "physio": 0, "motion_leak": 0, "pag_vmpfc": planted}
    settings = bold.BoldSettings(n_time=60_000, smooth_field=0.8, white=4, brainstem_white=4, **quiet)
    maps = bold.maps_at(points, voxel_mm=VOXEL_MM)
    shares = shares[:, maps.inside]
    used_nodes = np.flatnonzero(np.asarray(abs(maps.nodes).sum(axis=0)) > 0)
    maps = dataclasses.replace(maps, nodes=maps.nodes[:, used_nodes])
    correlation = bold.latent_correlation(visit(), settings)
    time = bold.courses(visit(), settings=settings, correlation=correlation, n_nodes=len(used_nodes))
    means = [
        share @ bold.synthesise(maps, time, rng=np.random.default_rng(8), settings=settings) / share.sum()
        for share in shares
    ]
    y = in_band(np.stack(means), t_r=settings.t_r, band_hz=settings.band_hz)
    found = np.real(np.vdot(y[0], y[1])) / np.sqrt(np.vdot(y[0], y[0]).real * np.vdot(y[1], y[1]).real)
    expected = correlations(shares, maps, correlation, settings)[0, 1]
    assert correlation[0, 1] - expected > 0.2  # noise matters in this test
    assert np.arctanh(found) == pytest.approx(np.arctanh(expected), abs=0.03)


def test_what_regression_on_a_mean_signal_leads_to_in_an_endless_run(both_regions):
    """Noise that all voxels share, and their own mean as the confound: the correlation falls below the planted one."""
    shares, points = both_regions
    settings = bold.BoldSettings(n_time=40_000, dummy=(), global_signal=1.0, physio=0.5, motion_leak=0)
    maps = bold.maps_at(points, voxel_mm=VOXEL_MM)
    shares = shares[:, maps.inside]
    shares = np.vstack([shares, np.ones((1, shares.shape[1]))])
    used_nodes = np.flatnonzero(np.asarray(abs(maps.nodes).sum(axis=0)) > 0)
    maps = dataclasses.replace(maps, nodes=maps.nodes[:, used_nodes])
    correlation = bold.latent_correlation(visit(), settings)
    time = bold.courses(visit(), settings=settings, correlation=correlation, n_nodes=len(used_nodes))
    series = bold.synthesise(maps, time, rng=np.random.default_rng(8), settings=settings)
    y = in_band((shares / (shares @ maps.mean)[:, None]) @ series, t_r=settings.t_r, band_hz=settings.band_hz)
    covariance = np.real(y @ y.conj().T)
    left = covariance[:2, :2] - np.outer(covariance[:2, 2], covariance[2, :2]) / covariance[2, 2]
    found = bold_truth.moments(shares, maps, correlation=correlation, settings=settings)
    clean = bold_truth.clean_correlation(found, settings)[0, 1]
    regressed = bold_truth.regressed_correlation(found, settings, n_confound=1)[0, 1]
    assert left[0, 1] / np.sqrt(left[0, 0] * left[1, 1]) == pytest.approx(regressed, abs=0.02)
    assert clean - regressed > 0.2


def test_joint_markers_are_means_over_planted_correlations():
    """Hub and networks from the nodes alone, the shift from its regions, and a white nucleus accumbens."""
    maps, settings, who = bold.template_maps(VOXEL_MM), bold.BoldSettings(), visit()
    where = {"csf": np.zeros(mni_grid(VOXEL_MM).shape), "voxel_mm": VOXEL_MM}
    rows = bold_truth.bold_truth(who, maps, settings=settings, global_signal=False, **where)
    found = {(row["marker"], row.get("network_a", row.get("hemi")), row.get("network_b")): row["value"] for row in rows}
    shape = mni_grid(VOXEL_MM).shape
    mask = maps.inside.reshape(shape)
    nodes, whole = node_weights(seitzman_nodes(), affine=mni_grid(VOXEL_MM).affine, mask=mask)
    nodes = nodes[:, columns_of(mask)[mask]]
    names = np.array(seitzman_nodes().networks)
    covered = nodes.sum(axis=1) >= 0.5 * whole
    mpfc = region_shares(("mpfc", "n/a"), VOXEL_MM).ravel()[maps.inside]
    weights = np.vstack([nodes.toarray()[covered], mpfc])
    correlation = bold.latent_correlation(who, settings)
    z = correlations(weights, maps, correlation, settings)
    z = np.arctanh(np.where(np.eye(len(z)), np.nan, z))
    beyond = nodes.toarray()[covered] @ mpfc == 0
    assert found["mpfc_hub", None, None] == pytest.approx(np.nanmean(z[-1, :-1][beyond] ** 2), rel=1e-5)
    salience, reward = (np.flatnonzero(names[covered] == name) for name in ("Salience", "Reward"))
    assert found["network_z", "Salience", "Reward"] == pytest.approx(z[np.ix_(salience, reward)].mean(), rel=1e-5)
    assert found["network_z", "Reward", "Reward"] == pytest.approx(np.nanmean(z[np.ix_(reward, reward)]), rel=1e-5)
    assert len([row for row in rows if row["marker"] == "network_z"]) == 21
    loud = dataclasses.replace(settings, white=1000.0, brainstem_white=1000.0)
    white = {row.get("hemi"): row for row in bold_truth.bold_truth(who, maps, settings=loud, **where)}["L"]
    assert white["marker"] == "nac_slow5"
    assert white["value"] == pytest.approx(17 / 90, abs=1e-3)


def test_every_edge_has_its_planted_value_on_every_side():
    """All edges in one product, each against the formula for two regions written out."""
    maps, settings, who = bold.template_maps(VOXEL_MM), bold.BoldSettings(), visit()
    where = {"csf": np.zeros(mni_grid(VOXEL_MM).shape), "voxel_mm": VOXEL_MM}
    rows = bold_truth.bold_truth(who, maps, settings=settings, global_signal=False, **where)
    z = {(row["marker"], row.get("hemi", "")): row["value"] for row in rows if row["marker"].endswith("_z")}
    r = {row["edge"]: row["value"] for row in rows if row["marker"] == "fc_r"}
    assert set(r) == set(LABELS)
    correlation = bold.latent_correlation(who, settings)
    coloured, white_share = bold_truth.band_shares(settings)
    for label in ("pag_vmpfc", "mpfc_pcc", "vpl_s1_L", "nac_dlpfc"):
        edge, side = LABELS[label]
        loads = [
            sum(region_shares(part, VOXEL_MM).ravel()[maps.inside].astype(float) for part in parts) * maps.mean
            for parts in edge.ends(side)
        ]
        covariance = np.empty((2, 2))
        for i, one in enumerate(loads):
            for j, other in enumerate(loads):
                a, b = (load @ maps.regions.astype(float) for load in (one, other))
                nodes = (maps.nodes.T @ one) @ (maps.nodes.T @ other)
                noise = np.sum(one * other * bold.white_sd(maps, settings).astype(float) ** 2)
                structured = settings.latent**2 * (a @ correlation @ b) + settings.smooth_field**2 * nodes
                covariance[i, j] = coloured * structured + white_share * noise
        expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert r[label] == pytest.approx(expected, abs=1e-6)
        assert z[f"{edge.name}_z", side] == pytest.approx(np.arctanh(expected), abs=1e-5)


def test_only_the_cortical_model_takes_the_global_signal_out():
    maps, settings, who = bold.template_maps(VOXEL_MM), bold.BoldSettings(), visit()
    where = {"csf": np.zeros(mni_grid(VOXEL_MM).shape), "voxel_mm": VOXEL_MM, "settings": settings}
    clean, regressed = (
        {
            row["edge"]: row["value"]
            for row in bold_truth.bold_truth(who, maps, global_signal=on, **where)
            if "edge" in row
        }
        for on in (False, True)
    )
    for label, (edge, _) in LABELS.items():
        if edge.model == "brainstem":
            assert regressed[label] == clean[label]
        else:
            assert -0.15 < regressed[label] - clean[label] < 0


def test_voxels_of_csf_are_no_seed_unless_too_few_are_left():
    weights = np.array([1, 1, 0.5, 0], dtype=np.float32)
    kept = bold_truth.without_csf(weights, np.array([0.1, 0.2, 0.21, 0.9], dtype=np.float32))
    assert kept.tolist() == [1, 1, 0, 0]
    assert bold_truth.without_csf(weights, np.array([0.9, 0.9, 0, 0], dtype=np.float32)).tolist() == weights.tolist()


def test_the_seed_of_the_truth_is_the_one_that_is_measured(study_folder):
    path = next((study_folder / "fmriprep").rglob("*_space-*_label-CSF_probseg.nii.gz"))
    bold_path = next(path.parents[1].rglob("*_desc-preproc_bold.nii.gz"))
    image = nib.load(bold_path)
    voxel_mm = float(image.header.get_zooms()[0])
    series = SimpleNamespace(affine=image.affine, mask=np.ones(image.shape[:3], dtype=bool))
    regions = {key: regions_of_lbpneuro()[key] for key in (bold.SEED, bold.TARGET)}
    found = roi_weights(series, regions=regions, csf=load_probability(path), brainstem=("pag",))
    measured, excluded = np.moveaxis(volume_weights(found, mask=series.mask), -1, 0), found.csf_excluded[0]
    whole = region_shares(bold.SEED, voxel_mm)
    planted = bold_truth.without_csf(whole, csf_of_seed(path, mni_grid(voxel_mm), voxel_mm=voxel_mm))
    np.testing.assert_allclose(planted, measured[0], atol=1e-6)
    assert excluded == (planted.sum() < whole.sum())


def test_coloured_noise_has_unit_variance_and_the_stated_share_in_the_band():
    settings = bold.BoldSettings()
    noise = bold.coloured(np.random.default_rng(2), (300, 2000), t_r=settings.t_r, knee_hz=settings.knee_hz)
    assert noise.var(ddof=0) == pytest.approx(1, rel=0.03)
    y = in_band(noise - noise.mean(axis=1, keepdims=True), t_r=settings.t_r, band_hz=settings.band_hz)
    share = 2 * (np.abs(y) ** 2).sum() / noise.size / noise.shape[1]
    assert share == pytest.approx(bold_truth.band_shares(settings)[0], rel=0.03)
    assert bold_truth.band_shares(settings)[1] == pytest.approx(0.07 / (0.5 / settings.t_r), rel=1e-3)


def test_nodes_give_unit_variance_and_stay_in_the_grid():
    points = np.array([[0.0, 0, 0], [3, -40, 12], [-150, 200, 300]])
    weights = bold.node_weights(points).toarray()
    np.testing.assert_allclose((weights**2).sum(axis=1), 1, rtol=1e-5)


def test_correlations_are_positive_definite_and_keep_the_planted_one():
    settings = bold.BoldSettings()
    planted = []
    for number in range(1, 31):
        matrix = bold.latent_correlation(visit(number), settings)
        assert np.linalg.eigvalsh(matrix).min() > 0.01
        np.testing.assert_allclose(np.diag(matrix), 1)
        planted.append(np.arctanh(matrix[0, 1]))
    patients, controls = np.mean(planted[0::2]), np.mean(planted[1::2])
    assert patients - controls == pytest.approx(settings.pag_vmpfc["patient"], abs=0.12)


def test_nearest_correlation_repairs_a_contradiction():
    wrong = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    repaired = bold.nearest_correlation(wrong)
    assert np.linalg.eigvalsh(repaired).min() > 0
    np.testing.assert_allclose(np.diag(repaired), 1)


def test_no_voxel_follows_two_regions_by_more_than_itself():
    assert bold.source_shares(8.0).sum(axis=0).max() <= 1 + 1e-5


def test_motion_of_a_translation_and_a_turn():
    parameters = np.zeros((3, 6))
    parameters[1, 0] = 0.3
    parameters[2] = [0.3, 0, 0, 0, 0, 0.01]
    np.testing.assert_allclose(framewise_displacement(parameters), [np.nan, 0.3, 0.5])
    turn = np.sqrt(80**2 / 5 * 2 * ((1 - np.cos(0.01)) ** 2 + np.sin(0.01) ** 2) + (0.3 * 0.01) ** 2)
    np.testing.assert_allclose(jenkinson_displacement(parameters)[:2], [np.nan, 0.3])
    assert jenkinson_displacement(parameters)[2] == pytest.approx(turn, rel=1e-3)


def test_motion_agrees_with_the_kernels():
    parameters = motion_parameters(np.random.default_rng(1), n_time=200, settings=MotionSettings())
    np.testing.assert_allclose(framewise_displacement(parameters), fd_power(parameters), atol=1e-12)
    np.testing.assert_allclose(jenkinson_displacement(parameters), fd_jenkinson(parameters), rtol=1e-2, atol=1e-4)


def test_most_people_keep_still_enough():
    kept, means = [], []
    settings = bold.BoldSettings()
    for number in range(1, 101):
        path = motion_parameters(visit(number).passing("motion"), n_time=settings.n_time, settings=settings.motion)
        displacement = jenkinson_displacement(path)[1:]
        kept.append((displacement <= 0.25).sum() * settings.t_r)
        means.append(displacement.mean())
    assert np.percentile(kept, 5) > 480
    assert max(means) < 0.2


def test_principal_components_are_those_of_a_singular_value_decomposition(rng):
    series, drift = rng.standard_normal((60, 40)), np.ones((1, 40))
    singular, share, courses = principal_components(series, drift)
    centred = series - series.mean(axis=1, keepdims=True)
    centred /= centred.std(axis=1, keepdims=True, ddof=1)
    _, expected, right = np.linalg.svd(centred)
    np.testing.assert_allclose(singular, expected[:10], rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(courses * right[:10], axis=1)), 1, rtol=1e-6)
    np.testing.assert_allclose(share, expected[:10] ** 2 / (expected**2).sum(), rtol=1e-8)


def test_expansion_by_hand():
    found = expansion("csf", np.array([1.0, 3, 2]))
    np.testing.assert_array_equal(found["csf_derivative1"], [np.nan, 2, -1])
    np.testing.assert_array_equal(found["csf_power2"], [1, 9, 4])
    np.testing.assert_array_equal(found["csf_derivative1_power2"], [np.nan, 4, 1])


def test_confounds_are_read_by_nilearn(study_folder):
    interfaces = pytest.importorskip("nilearn.interfaces.fmriprep")
    image = next(study_folder.glob("fmriprep/sub-01/func/*desc-preproc_bold.nii.gz"))
    table, kept = interfaces.load_confounds(
        str(image),
        strategy=("motion", "wm_csf", "global_signal", "compcor", "high_pass"),
        motion="full",
        wm_csf="full",
        global_signal="full",
        compcor="anat_separated",
        n_compcor=5,
    )
    assert table.shape[1] >= 24 + 8 + 4 + 10
    assert len(kept) == len(table) - 2


def test_confounds_describe_their_components(study_folder):
    path = next(study_folder.glob("fmriprep/sub-01/func/*desc-confounds_timeseries.tsv"))
    table = pd.read_csv(path, sep="\t")
    described = json.loads(path.with_suffix(".json").read_text())
    assert set(described) <= set(table.columns)
    assert {described[f"{letter}_comp_cor_00"]["Mask"] for letter in "acw"} == {"combined", "CSF", "WM"}
    first = table.iloc[0]
    assert first[["framewise_displacement", "rmsd", "dvars", "std_dvars", "trans_x_derivative1"]].isna().all()
    assert first[["trans_x", "csf", "global_signal", "non_steady_state_outlier00"]].notna().all()
    assert table.drop(index=0).notna().all(axis=None)


def test_raw_run_moves_with_the_head(study_folder):
    """The centre of mass of the raw run follows the planted translations."""
    import nibabel as nib

    data = nib.load(study_folder / "raw/sub-01/func/sub-01_task-rest_bold.nii.gz").get_fdata(dtype=np.float32)
    table = pd.read_csv(next(study_folder.glob("fmriprep/sub-01/func/*desc-confounds_timeseries.tsv")), sep="\t")
    planes = data[..., 2:].sum(axis=(0, 1))
    centre = 4 * (np.arange(data.shape[2])[:, None] * planes).sum(axis=0) / planes.sum(axis=0)
    moved = table["trans_z"].to_numpy()[2:]
    steps = np.abs(np.diff(moved)) > 0.1
    assert steps.any()
    assert np.corrcoef(np.diff(centre)[steps], np.diff(moved)[steps])[0, 1] > 0.8
