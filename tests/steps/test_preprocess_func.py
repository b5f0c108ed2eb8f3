"""The step for raw BOLD on a known anatomy: what it writes is read by the functional step and by nilearn."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from lbpneuro.io.composites import TransformRecord, write_composite
from lbpneuro.io.config import read_config
from lbpneuro.io.confounds import STRATEGIES, read_confounds
from lbpneuro.io.files import expand_manifests
from lbpneuro.io.run_files import group_runs
from lbpneuro.io.template_maps import template_brain, tissue_maps
from lbpneuro.kernels.quality import fd_power
from lbpneuro.preprocess.realign import rigid
from lbpneuro.steps import functional, preprocess_func
from tests.oracles import person
from tests.oracles.functional import SETTINGS

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
N_TIME = 60
N_SLICE = 34
STEM = "sub-01_task-rest"
MNI = "space-MNI152NLin2009cAsym"
CENTRE = np.array([0.0, -20.0, 10.0])
SHORT_RUN = {
    "band_hz": [0.01, 0.2],
    "confounds": {"cortical": "acompcor6", "brainstem": "acompcor6"},
    "dof_min": 5,
    "kept_s": [60, 90],
}
FLIP = np.diag([-1.0, -1, 1, 1])


def write_anatomy(folder: Path, someone, spacing: int = 4) -> Path:
    """The manifest and the files of the anatomy of the simulated person, whose transform is known."""
    folder.mkdir(parents=True)
    brain = template_brain()
    mask = (brain.data > 0).astype(np.float32)
    tissues = {name: values * mask for name, values in tissue_maps(brain, warped=False).items()}
    white = np.clip((brain.data - 60.0) / 30.0, 0.0, 1.0)  # on the very anatomy of the run
    maps = {"T1w": brain.data, "mask": mask, **tissues, "WM": white}
    affine, points = person.grid(low=(-102.0, -135.0, -100.0), size=(68, 80, 72), voxel_mm=3.0)
    voxels = person.apply(np.linalg.inv(brain.affine) @ someone.to_template, points).T
    outputs = {"t1w": "T1w", "mask": "mask", "WM": "WM"}
    for role, name in outputs.items():
        data = map_coordinates(maps[name], voxels, order=1).reshape(68, 80, 72)
        outputs[role] = f"sub-01_{role}.nii.gz"
        nib.save(nib.Nifti1Image(data.astype(np.float32), affine), folder / outputs[role])
    coarse = brain.affine @ np.diag([spacing, spacing, spacing, 1])
    for tissue in ("CSF", "GM", "WM"):
        name = f"sub-01_{MNI}_label-{tissue}_probseg.nii.gz"
        data = tissues[tissue][::spacing, ::spacing, ::spacing]
        nib.save(nib.Nifti1Image(data.astype(np.float32), coarse), folder / name)
        outputs[f"template_{tissue}"] = name
    way = FLIP @ np.linalg.inv(someone.to_template) @ FLIP
    record = TransformRecord(
        kind="AffineTransform_double_3_3",
        parameters=np.concatenate([way[:3, :3].ravel(), way[:3, 3]]),
        fixed=np.zeros(3),
    )
    outputs["to_template"] = "sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5"
    write_composite(folder / outputs["to_template"], [record])
    manifest = folder / "sub-01_desc-embedded_anat.json"
    manifest.write_text(json.dumps({"Level": "standard", "Outputs": outputs}))
    return manifest


def bold_of(someone) -> tuple[np.ndarray, np.ndarray]:
    """The run with a slow wave that every slice sees at its own time, and two bright volumes at its start."""
    series, affine = person.bold_series(someone)
    at = np.arange(N_TIME) * person.T_R + slice_times()[:, None]
    series *= 1 + 0.03 * np.sin(2 * np.pi * 0.05 * at)
    series[..., 0] *= 1.5
    series[..., 1] *= 1.2
    return series, affine


def slice_times() -> np.ndarray:
    return np.argsort(np.argsort([*range(0, N_SLICE, 2), *range(1, N_SLICE, 2)])) * person.T_R / N_SLICE


@dataclass
class Made:
    folder: Path
    raw: Path
    anat: Path

    def config(self, slice_timing="auto") -> Path:
        dataset = {
            "bids_dir": str(self.folder / "raw"),
            "out_dir": str(self.folder / "out"),
            "derivatives": {},
        }
        content = {
            "dataset": dataset,
            "preprocess": {"level": "standard", "slice_timing": slice_timing},
            "functional": {**SETTINGS, "rois": str(ROIS), **SHORT_RUN},
            "dynamic": read_config()["dynamic"],
            "run": {"random_seed": 1},
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(content))
        return path

    def run(self, name="out", **settings) -> Path:
        """The manifest that the step writes."""
        out = self.folder / name / "sub-01" / "func" / f"{STEM}_bold_desc-embedded_func.json"
        arguments = ["--in", str(self.raw), str(self.anat), "--out", str(out)]
        assert preprocess_func.main([*arguments, "--config", str(self.config(**settings))]) == 0
        return out


def planted() -> np.ndarray:
    """Six motion parameters per volume: a slow walk, and two movements."""
    path = np.cumsum(np.random.default_rng(8).normal(0, 0.015, (N_TIME, 6)), axis=0)
    path[30:, 1] += 0.8
    path[45, 2] -= 0.7
    path[:, 3:] /= 50.0
    return path


@pytest.fixture(scope="module")
def someone():
    return replace(person.person(2), motion=rigid(planted(), CENTRE))


@pytest.fixture(scope="module")
def made(someone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw_bold")
    func = folder / "raw" / "sub-01" / "func"
    raw = person.write_bold(someone, func / f"{STEM}_bold.nii.gz", series=bold_of(someone))
    sidecar = {
        "RepetitionTime": person.T_R,
        "RepetitionTimeExcitation": 1.9,
        "MRAcquisitionType": "2D",
        "TaskName": "rest",
        "SliceTiming": slice_times().tolist(),
    }
    (func / f"{STEM}_bold.json").write_text(json.dumps(sidecar))
    return Made(folder, raw, write_anatomy(folder / "out" / "sub-01" / "anat", someone))


@pytest.fixture(scope="module")
def manifest(made):
    return made.run()


@pytest.fixture(scope="module")
def bold(manifest):
    return manifest.with_name(f"{STEM}_{MNI}_desc-preproc_bold.nii.gz")


@pytest.fixture(scope="module")
def table(manifest):
    return pd.read_csv(manifest.with_name(f"{STEM}_desc-confounds_timeseries.tsv"), sep="\t", na_values="n/a")


def test_the_run_lies_where_it_was_planted(someone, manifest):
    mean = nib.load(manifest.with_name(f"{STEM}_{MNI}_boldref.nii.gz"))
    mask = nib.load(manifest.with_name(f"{STEM}_{MNI}_desc-brain_mask.nii.gz")).get_fdata() > 0
    expected = someone.source.at("epi", person.apply(mean.affine, np.argwhere(mask)))
    assert mask.sum() * 0.064 > 1100
    assert np.corrcoef(mean.get_fdata()[mask], expected)[0, 1] > 0.8


def test_the_sidecar_says_how_slices_were_timed(bold, manifest):
    sidecar = json.loads(bold.with_name(bold.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["SliceTimingCorrected"] is True
    assert sidecar["StartTime"] == pytest.approx((N_SLICE - 1) / N_SLICE)
    assert sidecar["Resolution"].startswith("4 mm")
    assert (sidecar["MRAcquisitionType"], sidecar["RepetitionTimeExcitation"]) == ("2D", 1.9)  # the rows are flagged
    facts = json.loads(manifest.read_text())
    assert facts["SliceTiming"]["Corrected"] is True
    assert facts["SliceTiming"]["ReferenceTime"] == sidecar["StartTime"]
    assert len(facts["Warnings"]) == 1
    assert "RepetitionTimeExcitation 1.9 s" in facts["Warnings"][0]


def phase_error(bold: Path, mask: Path, *, start: float) -> float:
    """Spread (rad) of the phase of the planted wave over the brain, about that at ``start``."""
    series = nib.load(bold).get_fdata()[nib.load(mask).get_fdata() > 0][:, 10:]
    wave = np.exp(-2j * np.pi * 0.05 * (np.arange(10, N_TIME) * person.T_R + start))
    found = ((series / series.mean(axis=1, keepdims=True) - 1) @ wave) / (N_TIME - 10)
    strong = np.abs(found) > np.quantile(np.abs(found), 0.5)
    return float(np.sqrt(np.mean(np.angle(found[strong] * 1j) ** 2)))


def test_planted_phases_are_aligned_and_without_correction_they_are_not(made, bold, manifest):
    off = made.run("off", slice_timing=False)
    masks = [path.with_name(f"{STEM}_{MNI}_desc-brain_mask.nii.gz") for path in (manifest, off)]
    start = (N_SLICE - 1) / N_SLICE
    corrected, plain = (
        phase_error(path.with_name(bold.name), mask, start=start)
        for path, mask in zip((manifest, off), masks, strict=True)
    )
    assert corrected < 0.7 * plain
    facts = json.loads(off.read_text())
    assert facts["SliceTiming"] == {"Corrected": False, "Reason": "the setting preprocess.slice_timing is off"}
    # head motion is estimated before slices are shifted: it is the same
    columns = ["framewise_displacement", "rmsd", "trans_x", "rot_z"]
    name = f"{STEM}_desc-confounds_timeseries.tsv"
    with_correction, without = (pd.read_csv(path.with_name(name), sep="\t")[columns] for path in (manifest, off))
    pd.testing.assert_frame_equal(with_correction, without)


def test_displacement_is_the_planted_one(table):
    truth = fd_power(planted())
    found = table["framewise_displacement"].to_numpy()
    assert np.corrcoef(found[3:], truth[3:])[0, 1] > 0.97
    assert np.flatnonzero(found[3:] > 0.5).tolist() == [27, 42, 43]
    assert np.abs(found[3:] - truth[3:]).mean() < 0.1


def test_columns_are_those_of_fmriprep(table, manifest):
    names = list(table.columns)
    for base in ("csf", "white_matter", "global_signal", *(f"{k}_{a}" for k in ("trans", "rot") for a in "xyz")):
        assert {base, f"{base}_derivative1", f"{base}_power2", f"{base}_derivative1_power2"} <= set(names), base
    assert {"csf_wm", "std_dvars", "dvars", "framewise_displacement", "rmsd"} <= set(names)
    marks = [name for name in names if name.startswith("non_steady")]
    assert marks == ["non_steady_state_outlier00", "non_steady_state_outlier01"]
    assert "motion_outlier00" in names
    assert not table.iloc[1:].isna().any().any()
    described = json.loads(manifest.with_name(f"{STEM}_desc-confounds_timeseries.json").read_text())
    components = [name for name in names if "comp_cor" in name]
    assert {described[name]["Mask"] for name in components} == {"CSF", "WM", "combined"}
    assert {described[name]["Method"] for name in components} == {"aCompCor"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_confound_strategy_resolves(manifest, strategy):
    (files,) = group_runs(expand_manifests([manifest]))
    found = read_confounds(files.confounds, strategy=strategy, n_time=N_TIME)
    assert np.isfinite(found.regressors).all()
    assert np.linalg.matrix_rank(found.regressors) == found.regressors.shape[1]
    assert found.steady.tolist() == [False, False, *[True] * (N_TIME - 2)]


def test_nilearn_loads_the_confounds(bold):
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    found, kept = load_confounds(
        str(bold),
        strategy=("motion", "high_pass", "wm_csf", "global_signal", "compcor", "scrub"),
        motion="full",
        wm_csf="full",
        global_signal="full",
        compcor="anat_separated",
        n_compcor=5,
    )
    assert {"c_comp_cor_04", "w_comp_cor_04", "rot_z_derivative1_power2"} <= set(found.columns)
    assert not {0, 1} & set(kept)
    for name in ("simple", "scrubbing", "compcor"):
        assert len(load_confounds_strategy(str(bold), denoise_strategy=name)[0]) == N_TIME


def test_the_functional_step_runs_on_it(made, manifest):
    rows = manifest.with_name("sub-01_desc-functional_markers.tsv")
    arguments = ["--out", str(rows), "--config", str(made.config()), "--participant", "sub-01"]
    assert functional.main(["--in", str(manifest), *arguments]) == 0
    table = pd.read_csv(rows, sep="\t", na_values=["n/a"], keep_default_na=False)
    sidecar = json.loads(rows.with_suffix(".json").read_text())
    run = sidecar["Runs"]["task-rest"]
    assert run["VolumesBeforeSteadyState"] == 2
    assert run["SignalReference"] == "mean of the gray matter"
    assert run["RepetitionTime"] == person.T_R
    assert not table["reason"].str.contains("draft_processing").any()
    assert 0.03 < table[table.marker == "fd_mean"]["value"].iloc[0] < 0.15
    cortical = table[table.marker == "mpfc_pcc_z"].iloc[0]
    assert np.isfinite(cortical.value), cortical.reason


def test_a_run_whose_events_go_on_is_refused(made, tmp_path):
    events = made.raw.with_name(f"{STEM}_events.tsv")
    events.write_text("onset\tduration\n1\t1\n200\t1\n")
    try:
        content = json.loads(made.run("refused").read_text())
    finally:
        events.unlink()
    assert content["Error"]["reason"] == "invalid_input"
    assert "end at 120.0 s" in content["Error"]["message"]
    assert content["Outputs"] == {}
