"""The step from files to rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from lbpneuro.io.config import read_config
from lbpneuro.io.confounds import STRATEGIES, read_confounds
from lbpneuro.io.regions import read_regions, region_weights
from lbpneuro.markers.descriptor import Tier
from lbpneuro.registry import family
from lbpneuro.steps.functional import main
from tests.oracles.files import content
from tests.oracles.functional import AFFINE, SETTINGS, SHAPE, SPACE, coloured, confounds_table, write_run

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
BAND = (0.01, 0.08)
T_R = 2.0


@pytest.fixture(scope="module")
def weights():
    regions = read_regions(ROIS)
    return [region_weights(regions[roi, "n/a"], affine=AFFINE, shape=SHAPE) for roi in ("pag", "vmpfc")]


def simulated_bold(rng, weights, *, r: float, n_time: int = 260) -> np.ndarray:
    """A brain of noise around 1000 with two correlated regions; float32, x y z t."""
    shared = coloured(rng, n_time=n_time, n_series=1, exponent=1, t_r=T_R, band_hz=BAND)
    own = coloured(rng, n_time=n_time, n_series=2, exponent=1, t_r=T_R, band_hz=BAND)
    signals = np.sqrt(r) * shared + np.sqrt(1 - r) * own
    bold = 1000 + 8 * rng.standard_normal((*SHAPE, n_time), dtype=np.float32)
    for region, signal in zip(weights, signals.T, strict=True):
        bold[region > 0] += (20 * signal).astype(np.float32)
    return bold.astype(np.float32)


def brain() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:-1, 1:-1, 1:-1] = True
    return mask


@pytest.fixture
def study(tmp_path, rng, weights):
    """Return a function that writes a run and gives its files."""

    def written(*, r=0.6, n_time=260, change=lambda bold: bold, mask=None, table=None, **names) -> list[Path]:
        bold = change(simulated_bold(rng, weights, r=r, n_time=n_time))
        mask = brain() if mask is None else mask
        table = confounds_table(rng, n_time=n_time, n_unsteady=2) if table is None else table
        return write_run(tmp_path / "fmriprep", bold=bold, mask=mask, table=table, t_r=T_R, **names)

    return written


def run_step(tmp_path: Path, files, *, out="out", **settings) -> tuple[pd.DataFrame, dict]:
    """Run the step; return rows by marker (and region) and the sidecar."""
    config = {
        "dataset": {
            "bids_dir": str(tmp_path / "raw"),
            "out_dir": str(tmp_path / out),
            "derivatives": {"fmriprep": str(tmp_path / "fmriprep")},
        },
        "functional": {**SETTINGS, "rois": str(ROIS), **settings},
        "dynamic": read_config()["dynamic"],
        "preprocess": {"level": "draft", "slice_timing": "auto"},
        "run": {"random_seed": 1},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    rows = tmp_path / out / "sub-01" / "func" / "sub-01_desc-functional_markers.tsv"
    arguments = ["--out", str(rows), "--config", str(tmp_path / "config.json"), "--participant", "sub-01"]
    assert main(["--in", *[str(path) for path in files], *arguments]) == 0
    table = pd.read_csv(rows, sep="\t", na_values=["n/a"], keep_default_na=False)
    assert set(table.marker) == {marker.name for marker in family("functional")} - {"custom_z"} | set(
        ["custom_z"] if settings.get("edges") else []
    )
    return table, json.loads(rows.with_suffix(".json").read_text())


def row(table: pd.DataFrame, marker: str, **index: str) -> pd.Series:
    found = table[table.marker == marker]
    for column, level in index.items():
        found = found[found[column] == level]
    assert len(found) == 1 or not index
    return found.iloc[0]


def cleaned_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the main models made."""
    quality = [marker.name for marker in family("functional") if marker.tier is Tier.QUALITY]
    return rows[~rows.marker.isin([*quality, "fc_z_alternative"])]


def both(strategy: str) -> dict[str, str]:
    return {"cortical": strategy, "brainstem": strategy}


def test_from_files_to_rows(tmp_path, study, weights):
    rows, sidecar = run_step(tmp_path, study())
    z = row(rows, "pag_vmpfc_z")
    assert z.status == "ok"
    assert abs(z.value - np.arctanh(0.6)) < 3 * z.se
    for marker, index in (("fc_r", {"edge": "pag_vmpfc"}), ("roi_tsnr", {"roi": "pag"}), ("fd_mean", {})):
        assert row(rows, marker, **index).status == "ok"
    assert row(rows, "fc_z_alternative", edge="pag_vmpfc").value != z.value
    # S1 lies outside the small image: only what needs it is empty
    assert row(rows, "vlpag_s1_z", hemi="L").reason == "coverage_too_low"
    assert set(rows.source) == {"fmriprep"}
    assert row(rows, "kept_time").value == 2 * 258
    assert sidecar["Runs"]["task-rest"]["VolumesBeforeSteadyState"] == 2
    for name in sidecar["Outputs"]:
        assert (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(("fallback", "status"), [("24p", "flag"), (None, "fail")])
def test_a_run_too_short_for_its_confounds_has_those_of_the_fallback(tmp_path, study, fallback, status):
    """200 volumes of 2 s have 56 dimensions in the band: 36 confounds leave less than 25 of them, 24 leave more."""
    rows, sidecar = run_step(tmp_path, study(n_time=200), confounds=both("36p"), confounds_fallback=fallback)
    z = row(rows, "pag_vmpfc_z")
    assert z.status == status
    assert ("reduced_confounds" if fallback else "too_few_dof") in z.reason
    assert cleaned_rows(rows).method.str.contains(STRATEGIES[fallback or "36p"].words, regex=False).all()
    models = sidecar["Runs"]["task-rest"]["Models"]
    assert [models[name]["ConfoundStrategy"] for name in ("cortical", "brainstem")] == [fallback or "36p"] * 2


def test_two_runs_share_the_dimension_that_is_asked_for(tmp_path, study):
    """36 confounds leave 20 of 56 dimensions in each of two runs: 40 together, enough without the fall-back."""
    files = [path for run in "12" for path in study(n_time=200, stem=f"sub-01_task-rest_run-{run}")]
    rows, sidecar = run_step(tmp_path, files, confounds=both("36p"), confounds_fallback="24p")
    assert [run["Models"]["brainstem"]["ConfoundStrategy"] for run in sidecar["Runs"].values()] == ["36p", "36p"]
    assert "reduced_confounds" not in row(rows, "pag_vmpfc_z").reason


def test_a_run_that_is_long_enough_has_the_confounds_asked_for(tmp_path, study):
    rows, _ = run_step(tmp_path, study(), confounds=both("24p"), confounds_fallback="acompcor6")
    assert row(rows, "pag_vmpfc_z").status == "ok"
    assert row(rows, "pag_vmpfc_z").method.startswith("Unsmoothed region means; 24 motion terms, drift")


def test_further_outputs(tmp_path, study, weights):
    files = study()
    run_step(tmp_path, files)
    func = tmp_path / "out" / "sub-01" / "func"
    prefix = f"sub-01_task-rest_space-{SPACE}"
    mean = nib.load(func / f"{prefix}_desc-mean_boldref.nii.gz")
    bold = nib.load(files[0])
    some = bold.get_fdata()[..., :: -(-bold.shape[3] // 32)]
    np.testing.assert_allclose(mean.get_fdata(), some.mean(axis=3), rtol=1e-5)
    np.testing.assert_array_equal(mean.affine, bold.affine)
    regions = nib.load(func / f"{prefix}_desc-roi_probseg.nii.gz").get_fdata()
    np.testing.assert_allclose(regions[brain()][:, :2], np.stack([region[brain()] for region in weights], axis=1))
    for stat in ("gbc", "icc"):
        found = nib.load(func / f"{prefix}_stat-{stat}_boldmap.nii.gz").get_fdata()
        assert np.isfinite(found).all()
        assert found[weights[1] > 0.5].mean() > 1.2 * found[brain()].mean()
    seed = nib.load(func / f"{prefix}_seed-pag_stat-z_boldmap.nii.gz").get_fdata()
    assert np.all(seed[~brain()] == 0)
    assert np.nanmean(seed[weights[1] > 0.5]) > 0.3
    assert abs(np.nanmean(seed[brain() & (weights[0] == 0) & (weights[1] == 0)])) < 0.05
    motion = pd.read_csv(func / "sub-01_task-rest_desc-motion_timeseries.tsv", sep="\t", na_values="n/a")
    assert len(motion) == 260
    assert motion.non_steady_state.sum() == motion.censored.sum() == 2
    assert motion.std_dvars.isna().all()
    for desc in ("roi", "roibrainstem"):
        series = pd.read_csv(func / f"sub-01_task-rest_desc-{desc}_timeseries.tsv", sep="\t", na_values="n/a")
        assert series.isna().all(axis=1).sum() == 2
        assert {"pag", "vmpfc", "accumbens_L"} <= set(series.columns)
    assert len(list(func.glob("*_atlas-Seitzman300_stat-pearsoncorrelation_desc-*_relmat.tsv"))) == 2


def test_rows_series_and_map_tell_the_same(tmp_path, study, weights):
    edges = {"mine": {"seed": ["vmpfc"], "target": ["pag"], "model": "brainstem"}}
    settings = {"confounds": {"cortical": "36p", "brainstem": "24p"}, "edges": edges}
    rows, _ = run_step(tmp_path, study(), **settings)
    func = tmp_path / "out" / "sub-01" / "func"
    series = pd.read_csv(func / "sub-01_task-rest_desc-roibrainstem_timeseries.tsv", sep="\t", na_values="n/a")
    r = row(rows, "fc_r", edge="pag_vmpfc").value
    assert series.corr().loc["pag", "vmpfc"] == pytest.approx(r, abs=1e-6)
    assert np.tanh(row(rows, "custom_z", edge="mine").value) == pytest.approx(r, abs=1e-9)
    cortical = pd.read_csv(func / "sub-01_task-rest_desc-roi_timeseries.tsv", sep="\t", na_values="n/a")
    assert abs(cortical.corr().loc["pag", "vmpfc"] - r) > 1e-3


def test_maps_are_smoothed_and_regions_are_not(tmp_path, study, weights):
    files = study()
    plain, _ = run_step(tmp_path, files, out="plain")
    smooth, _ = run_step(tmp_path, files, out="smooth", map_fwhm_mm=8)
    pd.testing.assert_frame_equal(plain, smooth)
    name = f"sub-01/func/sub-01_task-rest_space-{SPACE}_seed-pag_stat-z_boldmap.nii.gz"
    maps = [nib.load(tmp_path / out / name).get_fdata() for out in ("plain", "smooth")]
    quiet = brain() & (weights[0] == 0) & (weights[1] == 0)
    pairs = quiet[1:] & quiet[:-1]
    likeness = [np.corrcoef(found[1:][pairs], found[:-1][pairs])[0, 1] for found in maps]
    assert abs(likeness[0]) < 0.2 < 0.6 < likeness[1]
    assert np.all(maps[1][~brain()] == 0)


def test_a_strategy_of_the_users_own(tmp_path, study):
    """Column names and patterns; one that matches nothing is an error that names file and pattern."""
    own = {"mine": ["trans_?", "rot_?", "csf"]}
    rows, sidecar = run_step(tmp_path, study(), confounds=both("mine"), confounds_custom=own)
    assert row(rows, "pag_vmpfc_z").status == "ok"
    taken = sidecar["Runs"]["task-rest"]["Models"]["cortical"]["Confounds"]
    assert taken == ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf"]
    assert cleaned_rows(rows).method.str.contains("the confounds of the strategy mine", regex=False).all()
    rows, sidecar = run_step(tmp_path, study(), confounds=both("mine"), confounds_custom={"mine": ["edge_comp_*"]})
    assert row(rows, "pag_vmpfc_z").reason == "invalid_input"
    assert re.search(r"confounds_timeseries.tsv: no column matches 'edge_comp_\*'", sidecar["Error"]["message"])


def test_every_row_names_the_model_that_made_it(tmp_path, study):
    settings = {
        "confounds": {"cortical": "36p", "brainstem": "24p"},
        "confounds_alternative": {"cortical": "mine", "brainstem": "36p"},
        "confounds_custom": {"mine": ["trans_?"]},
        "edges": {"own": {"seed": ["pag"], "target": ["vmpfc"], "model": "brainstem"}},
    }
    rows, sidecar = run_step(tmp_path, study(), **settings)
    words = {name: f"; {STRATEGIES[name].words}, " for name in ("24p", "36p")}
    for marker, index, said in (
        ("pag_vmpfc_z", {}, words["24p"]),
        ("mpfc_pcc_z", {}, words["36p"]),
        ("fc_r", {"edge": "pag_vmpfc"}, words["24p"]),
        ("fc_r", {"edge": "mpfc_pcc"}, words["36p"]),
        ("fc_null_p", {"edge": "pag_vmpfc"}, words["24p"]),
        ("fc_z_alternative", {"edge": "pag_vmpfc"}, words["36p"]),
        ("fc_z_alternative", {"edge": "mpfc_pcc"}, "; the confounds of the strategy mine, "),
        ("custom_z", {"edge": "own"}, words["24p"]),
        ("mpfc_hub", {}, words["36p"]),
        ("shift_rest", {}, words["36p"]),
        ("nac_slow5", {"hemi": "L"}, "frequencies below 0.008 Hz"),
        ("network_z", {"network_a": "Salience", "network_b": "Salience"}, words["36p"]),
        ("residual_dimension", {"model": "brainstem"}, words["24p"]),
        ("roi_tsnr", {"roi": "pag"}, "before any cleaning"),
    ):
        assert said in row(rows, marker, **index).method, marker
    assert rows.method.notna().all()
    assert ("fluid" in row(rows, "pag_vmpfc_z").method, "fluid" in row(rows, "mpfc_pcc_z").method) == (True, False)
    models = sidecar["Runs"]["task-rest"]["Models"]
    assert {name: model["ConfoundStrategy"] for name, model in models.items()} == {
        "cortical": "36p",
        "brainstem": "24p",
        "cortical_alternative": "mine",
        "brainstem_alternative": "36p",
    }


def test_scrubbing_censors_by_dvars_and_short_stretches(tmp_path, study, rng):
    table = confounds_table(rng, n_time=260)
    dvars = np.ones(260)
    dvars[[0, 100, 104]] = np.nan, 1.6, 1.51
    table["std_dvars"] = dvars
    rows, _ = run_step(tmp_path, study(table=table), confounds_alternative=both("scrubbing"))
    # 100 and 104 are above 1.5; the three volumes between them are fewer than five
    assert row(rows, "kept_time").value == 2 * (260 - 5)
    assert row(rows, "dvars_mean").value == pytest.approx(np.nanmean(dvars))
    rows, sidecar = run_step(tmp_path, study(), confounds=both("scrubbing"))
    assert "the column std_dvars is missing" in sidecar["Error"]["message"]


def test_lost_signal_refuses_the_connections_of_the_region_alone(tmp_path, study, weights):
    def dark(bold):
        bold[weights[1] > 0] *= 0.4
        return bold

    rows, _ = run_step(tmp_path, study(change=dark))
    assert row(rows, "pag_vmpfc_z").reason == "signal_dropout"
    assert row(rows, "roi_signal", roi="vmpfc").reason == "signal_dropout"
    assert 0.3 < row(rows, "roi_signal", roi="vmpfc").value < 0.45
    assert row(rows, "fd_mean").status == "ok"


@pytest.mark.filterwarnings("ignore:From release 0.14.0:DeprecationWarning")  # nilearn 0.13, whatever one asks
def test_agrees_with_nilearn(tmp_path, study, weights):
    """Masking and cleaning by nilearn on the same files: cosine high-pass, no low-pass, nothing censored."""
    from nilearn.masking import apply_mask
    from nilearn.signal import clean

    files = study(table=confounds_table(np.random.default_rng(5), n_time=260))
    rows, _ = run_step(tmp_path, files, band_hz=[0.011, 0.25], polynomial=0, fd_spike_mm=9)
    voxels = apply_mask(str(files[0]), str(files[1]), dtype=np.float64)
    inside = np.stack([region[brain()] for region in weights])
    means = voxels @ inside.T / inside.sum(axis=1)
    regressors = read_confounds(files[2], strategy="24p", n_time=260).regressors
    options = {"filter": "cosine", "high_pass": 0.011, "t_r": T_R, "detrend": False, "standardize": None}
    theirs = np.corrcoef(clean(means, confounds=regressors, **options).T)[0, 1]
    assert row(rows, "fc_r", edge="pag_vmpfc").value == pytest.approx(theirs, abs=1e-6)


def test_output_is_the_same_to_the_byte(tmp_path, study):
    files = study()
    with threadpool_limits(1):
        run_step(tmp_path, files, out="one")
    with threadpool_limits(2):
        run_step(tmp_path, files, out="two")
    ours = sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(ours) > 20
    for path in ours:
        assert content(path) == content(tmp_path / "two" / path.relative_to(tmp_path / "one")), path.name


def test_two_runs_of_which_one_cannot_be_read(tmp_path, study):
    good = study(stem="sub-01_task-rest_run-1")
    bad = study(stem="sub-01_task-rest_run-2")
    bad[0].write_bytes(bad[0].read_bytes()[:100_000])
    alone, _ = run_step(tmp_path, good)
    together, sidecar = run_step(tmp_path, [*good, *bad])
    pd.testing.assert_frame_equal(alone, together)
    error = sidecar["Runs"]["task-rest_run-2"]["Error"]
    assert error["reason"] == "invalid_input"
    assert "truncated" in error["message"]


def test_two_good_runs(tmp_path, study):
    rows, sidecar = run_step(
        tmp_path, [*study(stem="sub-01_task-rest_run-1"), *study(stem="sub-01_task-rest_run-2", n_time=200)]
    )
    assert row(rows, "kept_time").value == 2 * (258 + 198)
    assert len({name for name in sidecar["Outputs"] if "boldmap" in name}) == 8


FEW = {
    "confounds": {"cortical": "few", "brainstem": "few"},
    "confounds_alternative": {"cortical": "fewer", "brainstem": "fewer"},
    "confounds_custom": {"few": ["trans_?"], "fewer": ["rot_x"]},
}


def test_runs_of_different_length_weigh_by_what_is_left_of_them(tmp_path, study, rng):
    """Three runs, the third with too much motion: the mean of two with the weights d - 2, as of each run alone."""
    moved = confounds_table(rng, n_time=260)
    moved["trans_x"] = 2 * (np.arange(260) % 2)
    moved[["rmsd", "framewise_displacement"]] = 2.0
    lengths, tables = (260, 200, 260), (None, None, moved)
    runs = [
        study(stem=f"sub-01_task-rest_run-{number}", n_time=n_time, table=table)
        for number, (n_time, table) in enumerate(zip(lengths, tables, strict=True), start=1)
    ]
    alone = [run_step(tmp_path, files, out=f"run-{k}", **FEW)[0] for k, files in enumerate(runs)]
    together, sidecar = run_step(tmp_path, [path for files in runs for path in files], **FEW)
    for marker, index in (("pag_vmpfc_z", {}), ("fc_z_alternative", {"edge": "pag_vmpfc"})):
        first, second, third = (row(rows, marker, **index) for rows in alone)
        assert (first.status, second.status) == ("ok", "flag"), (marker, first.reason, second.reason)
        assert third.reason.split(";")[0] == "high_motion"
        weight = np.array([first.n, second.n]) - 2
        both = row(together, marker, **index)
        assert both.value == pytest.approx(np.average([first.value, second.value], weights=weight))
        assert both.se == pytest.approx(1 / np.sqrt(weight.sum()))
        assert both.n == pytest.approx(first.n + second.n)
    assert row(together, "kept_time").value == 2 * (258 + 198)
    assert row(together, "fc_null_p", edge="pag_vmpfc").n == SETTINGS["shift_null"]["shifts"]
    assert len(sidecar["Runs"]) == 3


def test_runs_that_are_too_short_alone_may_be_enough_together(tmp_path, study):
    runs = [study(stem=f"sub-01_task-rest_run-{number}", n_time=102) for number in (1, 2)]
    settings = {**FEW, "dof_min": 10}
    assert "too_few_volumes" in row(run_step(tmp_path, runs[0], **settings)[0], "pag_vmpfc_z").reason
    both = row(run_step(tmp_path, [*runs[0], *runs[1]], **settings)[0], "pag_vmpfc_z")
    assert (both.status, both.reason) == ("flag", "short_scan")


REAL = (
    "test_desc-confounds_regressors",
    "test-v21_desc-confounds_timeseries",
    "no_nonsteady_desc-confounds_regressors",
)


@pytest.mark.parametrize("name", REAL)
def test_real_confounds_of_fmriprep(tmp_path, study, real_data, name):
    """Three versions of fMRIPrep, 30 volumes: every row has a value or a reason."""
    source = real_data("fmriprep_confounds") / f"{name}.tsv"
    table = pd.read_csv(source, sep="\t", na_values=["n/a"])
    files = study(table=table, n_time=len(table))
    if source.with_suffix(".json").exists():
        files[2].with_suffix(".json").write_text(source.with_suffix(".json").read_text())
    rows, sidecar = run_step(tmp_path, files, confounds_fallback="24p", dof_min=5)
    assert (rows.value.notna() | rows.reason.notna()).all()
    if name.startswith("no_nonsteady"):  # no JSON: nothing tells the tissue of its components
        assert set(rows.reason) == {"invalid_input"}
        assert "no aCompCor component of the WM mask" in sidecar["Error"]["message"]
        return
    models = sidecar["Runs"]["task-rest"]["Models"]
    assert [len(models[model]["Confounds"]) for model in ("cortical", "brainstem")] == [24, 24]
    assert row(rows, "fd_mean").value > 0


@pytest.mark.parametrize(("excitation", "flagged"), [(2.0, False), (1.79355, True)])
def test_two_repetition_times_in_the_sidecar_are_flagged(tmp_path, study, excitation, flagged):
    files = study()
    sidecar = files[0].with_name(files[0].name.replace(".nii.gz", ".json"))
    facts = {"RepetitionTime": T_R, "RepetitionTimeExcitation": excitation, "MRAcquisitionType": "2D"}
    sidecar.write_text(json.dumps(facts))
    rows, _ = run_step(tmp_path, files)
    assert (row(rows, "pag_vmpfc_z").reason == "doubtful_timing") is flagged


@pytest.mark.parametrize(("factor", "flagged"), [(3, False), (4, True), ("4", False)])
def test_many_slices_at_once_flag_what_reads_the_accumbens_and_the_vta(tmp_path, study, factor, flagged):
    raw = tmp_path / "task-rest_bold.json"
    raw.write_text(json.dumps({"MultibandAccelerationFactor": factor}))
    rows, sidecar = run_step(tmp_path, [*study(), raw])
    told = rows[rows.reason.fillna("").str.contains("high_multiband")]
    assert sidecar["Runs"]["task-rest"]["MultibandAccelerationFactor"] == (factor if factor != "4" else 1)
    assert ("nac_slow5" in set(told.marker)) is flagged
    assert "pag_vmpfc_z" not in set(told.marker)


def test_task_runs_are_flagged(tmp_path, study):
    rows, _ = run_step(tmp_path, study(stem="sub-01_task-nback"))
    assert row(rows, "pag_vmpfc_z").reason == "not_resting_state"


@pytest.mark.parametrize("wet", [True, False])
def test_csf_voxels_are_taken_out(tmp_path, study, weights, wet):
    """A quarter of the tube is CSF; where all of it is, the exclusion is given up and the rows say so."""
    files = study()
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[7:, :, -8:] = 0.9
    if not wet:
        probability[:] = 0.9
    csf = tmp_path / "fmriprep" / "sub-01" / "anat" / f"sub-01_space-{SPACE}_label-CSF_probseg.nii.gz"
    csf.parent.mkdir()
    nib.save(nib.Nifti1Image(probability, AFFINE), csf)
    rows, sidecar = run_step(tmp_path, [*files, csf])
    used = nib.load(tmp_path / "out" / sidecar["Outputs"][1]).get_fdata()
    assert sidecar["Runs"]["task-rest"]["CSFExcluded"] is wet
    assert ("not left out" not in rows.method.iloc[0]) is wet
    np.testing.assert_allclose(used[brain(), 1], weights[1][brain()])
    expected = np.where(probability > 0.5, 0, weights[0]) if wet else weights[0]
    np.testing.assert_allclose(used[brain(), 0], expected[brain()])


def test_region_outside_the_mask(tmp_path, study):
    mask = brain()
    mask[:, 18:] = False
    rows, _ = run_step(tmp_path, study(mask=mask))
    assert row(rows, "pag_vmpfc_z").reason == "coverage_too_low"
    assert row(rows, "roi_coverage", roi="vmpfc").value == 0
    assert row(rows, "roi_coverage", roi="pag").value == 1
    assert row(rows, "roi_tsnr", roi="vmpfc").status == "fail"


def constant(bold):
    return np.full_like(bold, 1000)


def not_a_number(bold):
    return np.full_like(bold, np.nan)


def one_voxel_lost(bold):
    bold[7, 7, 5] = np.nan
    return bold


@pytest.mark.parametrize("change", [constant, not_a_number])
def test_series_without_signal(tmp_path, study, change):
    rows, _ = run_step(tmp_path, study(change=change))
    for found in (row(rows, "pag_vmpfc_z"), row(rows, "fc_r", edge="pag_vmpfc")):
        assert (found.status, found.reason) == ("fail", "coverage_too_low")
    assert row(rows, "kept_time").value == 516


def test_a_lost_voxel_stays_alone(tmp_path, study):
    rows, sidecar = run_step(tmp_path, study(change=one_voxel_lost))
    assert row(rows, "pag_vmpfc_z").status == "ok"
    seed = nib.load(tmp_path / "out" / next(name for name in sidecar["Outputs"] if "seed-pag" in name)).get_fdata()
    assert np.argwhere(np.isnan(seed)).tolist() == [[7, 7, 5]]


def spoil_grid(files):
    nib.save(nib.Nifti1Image(np.ones((14, 30, 13), dtype=np.uint8), AFFINE), files[1])


def spoil_rows(files):
    files[2].write_text("\n".join(files[2].read_text().splitlines()[:-3]) + "\n")


def spoil_columns(files):
    files[2].write_text(files[2].read_text().replace("trans_x", "X", 1))


def spoil_t_r(files):
    files[0].with_name(files[0].name.replace(".nii.gz", ".json")).write_text('{"RepetitionTime": 1.79355}')


def spoil_image(files):
    files[0].write_text("<!DOCTYPE html><html></html>")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_grid, r"the grid is \(14, 30, 14\)"),
        (spoil_rows, "expected 260 rows"),
        (spoil_columns, "the column trans_x is missing"),
        (spoil_t_r, "1.79355 s in the JSON sidecar, but 2 s"),
        (spoil_image, "a web page"),
    ],
)
def test_bad_files_become_rows_with_a_reason(tmp_path, study, spoil, message):
    files = study()
    spoil(files)
    rows, sidecar = run_step(tmp_path, files)
    assert set(rows.status) == {"fail"}
    assert set(rows.reason) == {"invalid_input"}
    assert re.search(message, sidecar["Error"]["message"])


@pytest.mark.parametrize(("index", "message"), [(1, "has no brain mask"), (2, "has no confounds table")])
def test_a_companion_is_missing(tmp_path, study, index, message):
    files = study()
    del files[index]
    rows, sidecar = run_step(tmp_path, files)
    assert set(rows.reason) == {"file_missing"}
    assert message in sidecar["Error"]["message"]


def test_no_preprocessed_series(tmp_path, study):
    rows, sidecar = run_step(tmp_path, study()[1:])
    assert set(rows.status) == {"fail"}
    assert "No preprocessed BOLD series" in sidecar["Error"]["message"]


def test_nothing_acquired(tmp_path):
    rows, _ = run_step(tmp_path, [])
    assert set(rows.status) == {"missing"}
    assert set(rows.reason) == {"not_acquired"}
