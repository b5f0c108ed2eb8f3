"""The steps of the embedded path, from raw images to manifests, on a simulated and on a real person."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import map_coordinates

from lbpneuro.errors import LbpneuroError, Reason
from lbpneuro.io.anatomy import read_tissues, template_transform
from lbpneuro.io.confounds import read_confounds
from lbpneuro.io.files import expand_manifests
from lbpneuro.io.run_files import group_runs
from lbpneuro.io.series import read_series, repetition_time
from lbpneuro.io.transforms import Grid, read_transform, source_coordinates
from lbpneuro.preprocess import derivatives, levels
from lbpneuro.steps import preprocess_anat, preprocess_func
from tests.oracles import person
from tests.oracles.files import content

TINY = levels.Level(
    name="tiny",
    anat_mm=4.0,
    extraction_mm=4,
    template_mm=4,
    maps_mm=4,
    bias_iterations=(20, 20),
    bias_spacing_mm=8.0,
    extraction_iterations=(20, 10, 5),
)
MNI = "space-MNI152NLin2009cAsym"


class Study:
    """A folder with raw data and results, and the two steps on it."""

    def __init__(self, folder: Path, *, level: str) -> None:
        self.raw, self.out = folder / "raw" / "sub-01", folder / "out" / "sub-01"
        self.out.mkdir(parents=True)
        self.config = folder / "config.json"
        dataset = {"bids_dir": str(folder / "raw"), "out_dir": str(folder / "out"), "derivatives": {}}
        self.config.write_text(
            json.dumps({"dataset": dataset, "preprocess": {"level": level, "mirror": False, "slice_timing": "auto"}})
        )
        self.anat = self.out / "anat" / "sub-01_desc-embedded_anat.json"
        self.func = self.out / "func" / "sub-01_task-rest_bold_desc-embedded_func.json"

    def run(self, step, files, out):
        arguments = ["--in", *map(str, files), "--out", str(out), "--config", str(self.config)]
        assert step.main([*arguments, "--participant", "sub-01"]) == 0
        return json.loads(out.read_text())


@pytest.fixture(scope="module")
def tiny():
    levels.LEVELS["tiny"] = TINY
    yield "tiny"
    del levels.LEVELS["tiny"]


@pytest.fixture(scope="module")
def someone():
    return person.person()


@pytest.fixture(scope="module")
def study(tiny, someone, tmp_path_factory):
    """One simulated person, processed once for all tests of this module."""
    made = Study(tmp_path_factory.mktemp("embedded"), level=tiny)
    t1w = person.write_t1w(someone, made.raw / "anat" / "sub-01_T1w.nii.gz")
    bold = person.write_bold(someone, made.raw / "func" / "sub-01_task-rest_bold.nii.gz")
    made.run(preprocess_anat, [t1w], made.anat)
    made.run(preprocess_func, [bold, made.anat], made.func)
    return made


def inner_points(someone):
    """Points of the person's brain in T1w space (mm)."""
    _, points = person.grid(low=(-60.0, -95.0, -40.0), size=(13, 17, 12), voxel_mm=10.0)
    return points[someone.source.at("brain", person.apply(someone.to_template, points)) > 0.9]


def test_manifests_list_what_is_there(study):
    for manifest in (study.anat, study.func):
        content = json.loads(manifest.read_text())
        assert content["Level"] == "tiny"
        assert content["Software"]["antspyx"]
        assert all(path.exists() for path in expand_manifests([manifest]))
    ((source, checksum),) = content["Sources"].items()
    assert source == "bids:raw:sub-01/func/sub-01_task-rest_bold.nii.gz"
    assert checksum.startswith("crc32:")


def test_names_are_those_of_fmriprep(study):
    names = {path.name for path in study.out.rglob("*") if path.is_file()}
    expected = {
        *(f"sub-01_{part}label-{tissue}_probseg.nii.gz" for part in ("", f"{MNI}_") for tissue in ("CSF", "GM", "WM")),
        "sub-01_desc-preproc_T1w.nii.gz",
        "sub-01_desc-brain_mask.nii.gz",
        f"sub-01_{MNI}_desc-preproc_T1w.nii.gz",
        f"sub-01_{MNI}_label-GM_desc-modulated_probseg.nii.gz",
        f"sub-01_{MNI}_jacobian.nii.gz",
        "sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
        "sub-01_from-MNI152NLin2009cAsym_to-T1w_mode-image_xfm.h5",
        f"sub-01_task-rest_{MNI}_desc-preproc_bold.nii.gz",
        f"sub-01_task-rest_{MNI}_desc-brain_mask.nii.gz",
        f"sub-01_task-rest_{MNI}_boldref.nii.gz",
        "sub-01_task-rest_desc-confounds_timeseries.tsv",
    }
    assert expected <= names
    images = {name for name in names if name.endswith((".nii.gz", ".tsv"))}
    assert {name.removesuffix(".nii.gz").removesuffix(".tsv") + ".json" for name in images} <= names
    assert not [name for name in names if name.startswith(".")]


def test_the_transform_is_the_planted_one(study, someone):
    """Template points come to the T1w image within 3 mm of the truth (4-mm images); unmoved they are 8 mm off."""
    files = expand_manifests([study.anat])
    points = inner_points(someone)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-102, -135, -100]
    field = source_coordinates(
        read_transform(template_transform(files, space="MNI152NLin2009cAsym")),
        target=Grid(affine=affine, shape=(52, 60, 54)),
    )
    voxels = np.rint(person.apply(np.linalg.inv(affine), points)).astype(int)
    centres = person.apply(affine, voxels)
    found = field[:, voxels[:, 0], voxels[:, 1], voxels[:, 2]].T
    truth = person.apply(someone.to_template, centres)
    assert np.linalg.norm(truth - centres, axis=1).mean() > 6
    assert np.linalg.norm(found - truth, axis=1).mean() < 3


def test_there_and_back_again(study, someone):
    """The two composites are each other's inverse within 1.5 mm inside the brain."""
    outputs = json.loads(study.anat.read_text())["Outputs"]
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-110, -140, -110]
    grid = Grid(affine=affine, shape=(60, 60, 60))
    there, back = (
        source_coordinates(read_transform(study.anat.with_name(outputs[role])), target=grid)
        for role in ("from_template", "to_template")
    )
    points = inner_points(someone)
    for first, second in ((there, back), (back, there)):
        middle = np.stack(
            [map_coordinates(axis, person.apply(np.linalg.inv(affine), points).T, order=1) for axis in first]
        )
        voxels = person.apply(np.linalg.inv(affine), middle.T).T
        returned = np.stack([map_coordinates(axis, voxels, order=1) for axis in second]).T
        assert np.linalg.norm(returned - points, axis=1).mean() < 1.5


def test_tissue_maps_are_probabilities_of_a_plausible_head(study, someone):
    maps = read_tissues(expand_manifests([study.anat]))
    total = maps.gm.data + maps.wm.data + maps.csf.data
    brain = nib.load(study.anat.with_name("sub-01_desc-brain_mask.nii.gz")).get_fdata() > 0
    assert total[brain] == pytest.approx(np.ones(brain.sum()), abs=1e-4)
    assert total[~brain].max() == 0
    true_ml = 1886.6 / np.linalg.det(someone.to_template[:3, :3])
    assert brain.sum() * 0.064 == pytest.approx(true_ml, rel=0.06)
    t1w = nib.load(study.anat.with_name("sub-01_desc-preproc_T1w.nii.gz")).get_fdata()
    means = [np.average(t1w, weights=image.data) for image in (maps.csf, maps.gm, maps.wm)]
    assert means == sorted(means)


def test_modulation_keeps_the_gray_matter_and_holds_the_affine(study, someone):
    """The head is 1 / det = 1.03 times as large as the template; without the affine the median would be 1."""
    quality = json.loads(study.anat.read_text())["Quality"]
    native, modulated, jacobian = (
        nib.load(study.anat.with_name(f"sub-01_{name}.nii.gz"))
        for name in ("label-GM_probseg", f"{MNI}_label-GM_desc-modulated_probseg", f"{MNI}_jacobian")
    )
    total = [float(image.get_fdata().sum()) * 0.064 for image in (native, modulated)]
    assert total[1] == pytest.approx(total[0], rel=0.02)
    assert quality["modulated_to_native_GM"] == pytest.approx(total[1] / total[0], abs=1e-3)
    assert quality["GM_ml"] == pytest.approx(total[0], rel=1e-3)
    inside = modulated.get_fdata() > 0.2
    true = 1 / np.linalg.det(someone.to_template[:3, :3])
    assert np.median(jacobian.get_fdata()[inside]) == pytest.approx(true, rel=0.05)
    sidecar = json.loads(study.anat.with_name(f"sub-01_{MNI}_label-GM_desc-modulated_probseg.json").read_text())
    assert sidecar["Modulation"] == "affine and warp"
    assert sidecar["Sources"][0] == "bids::sub-01/anat/sub-01_label-GM_probseg.nii.gz"


def test_the_manifest_holds_the_numbers_of_the_gates(study):
    quality = json.loads(study.anat.read_text())["Quality"]
    assert quality["template_dice"] > 0.9
    assert 0.8 < quality["thalamus_ratio"] < 1.25
    assert quality["thalamus_L_ml"] == pytest.approx(10.9, rel=0.15)
    assert quality["folded_voxels"] == 0
    sidecar = json.loads(study.anat.with_name("sub-01_desc-preproc_T1w.json").read_text())
    assert sidecar["Quality"] == quality


def refuse(*_, **__):
    raise AssertionError("segmented again")


def test_what_is_there_is_kept_when_the_workflow_lost_its_manifest(study, monkeypatch):
    before = study.anat.read_text()
    monkeypatch.setattr(preprocess_anat, "segment_anatomy", refuse)
    study.anat.unlink()
    t1w = study.raw / "anat" / "sub-01_T1w.nii.gz"
    study.run(preprocess_anat, [t1w], study.anat)
    assert study.anat.read_text() == before


@pytest.mark.parametrize("change", ["level", "image", "file", "version"])
def test_what_was_made_otherwise_is_not_kept(study, monkeypatch, tmp_path, change):
    known = {"source": study.raw / "anat" / "sub-01_T1w.nii.gz", "level": TINY, "roots": {"raw": study.raw.parent}}
    folder = shutil.copytree(study.anat.parent, tmp_path / "anat")
    manifest = folder / study.anat.name
    assert derivatives.kept_anatomy(manifest, **known) is not None
    if change == "level":
        known["level"] = levels.level("draft")
    if change == "image":
        known["source"] = shutil.copy(study.anat.with_name("sub-01_desc-preproc_T1w.nii.gz"), tmp_path)
        known["source"] = Path(known["source"])
    if change == "file":
        (folder / "sub-01_label-WM_probseg.nii.gz").unlink()
    if change == "version":
        monkeypatch.setattr(derivatives, "VERSION", derivatives.VERSION + 1)
    assert derivatives.kept_anatomy(manifest, **known) is None


AGAIN = """
import sys
from lbpneuro.preprocess import levels
from lbpneuro.steps import preprocess_anat
levels.LEVELS["tiny"] = eval(sys.argv[1], {"Level": levels.Level})
preprocess_anat.main(sys.argv[2:])
"""


def test_other_threads_and_another_hash_seed_give_the_same_bytes(study, tmp_path):
    """Nor is anything left in the temporary folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "2"), "PYTHONHASHSEED": "7", "TMPDIR": str(scratch)}
    out = study.out / "again" / "anat" / study.anat.name
    files = ["--in", str(study.raw / "anat" / "sub-01_T1w.nii.gz"), "--out", str(out)]
    rest = ["--config", str(study.config), "--participant", "sub-01"]
    subprocess.run([sys.executable, "-c", AGAIN, repr(TINY), *files, *rest], env=environment, check=True)
    assert list(scratch.iterdir()) == []
    for path in sorted(study.anat.parent.iterdir()):
        again = content(out.parent / path.name)
        if path.suffix == ".json":
            again = again.replace(b"bids::sub-01/again/", b"bids::sub-01/")
        assert again == content(path), path.name


def test_the_normalised_run_is_the_template_in_epi_contrast(study, someone):
    mean = nib.load(study.func.with_name(f"sub-01_task-rest_{MNI}_boldref.nii.gz"))
    mask = nib.load(study.func.with_name(f"sub-01_task-rest_{MNI}_desc-brain_mask.nii.gz")).get_fdata() > 0
    points = person.apply(mean.affine, np.argwhere(mask))
    expected = someone.source.at("epi", points)
    assert mask.sum() * 0.064 > 1100
    assert np.corrcoef(mean.get_fdata()[mask], expected)[0, 1] > 0.75


def test_the_run_goes_through_the_readers_of_the_functional_step(study):
    (files,) = group_runs(expand_manifests([study.func]))
    series = read_series(files.bold, files.mask)
    assert series.bold.shape[0] == 24
    assert repetition_time(files.bold, header=series.t_r) == 2.0
    assert files.csf is not None
    confounds = read_confounds(files.confounds, strategy="acompcor24", n_time=24)
    assert np.isfinite(confounds.regressors).all()
    assert confounds.steady.all()


def test_motion_of_the_table_is_the_planted_motion(study, someone):
    table = pd.read_csv(
        study.func.with_name("sub-01_task-rest_desc-confounds_timeseries.tsv"), sep="\t", na_values="n/a"
    )
    shift = someone.motion[:, :3, 3] - someone.motion[:, :3, 3].mean(axis=0)
    centre = np.array([0.0, -10.0, 5.0])
    at_centre = np.array([person.apply(moved, centre[None])[0] - centre for moved in someone.motion])
    for axis, name in enumerate(("trans_x", "trans_y", "trans_z")):
        assert np.corrcoef(table[name], at_centre[:, axis])[0, 1] > 0.9, name
    assert np.abs(shift).max() > 0.5
    assert table["framewise_displacement"].isna().tolist() == [True, *[False] * 23]
    assert table["framewise_displacement"].idxmax() == 10  # the planted jump


def test_series_is_stored_in_sixteen_bits_with_its_repetition_time(study):
    image = nib.load(study.func.with_name(f"sub-01_task-rest_{MNI}_desc-preproc_bold.nii.gz"))
    assert image.get_data_dtype() == np.int16
    assert image.header.get_zooms()[3] == 2.0
    assert image.header.get_xyzt_units() == ("mm", "sec")
    data = image.get_fdata()
    mean = nib.load(study.func.with_name(f"sub-01_task-rest_{MNI}_boldref.nii.gz")).get_fdata()
    assert np.abs(data.mean(axis=-1) - mean).max() < 0.02
    sidecar = json.loads(study.func.with_name(f"sub-01_task-rest_{MNI}_desc-preproc_bold.json").read_text())
    assert sidecar["RepetitionTime"] == 2.0
    assert sidecar["SliceTimingCorrected"] is False


def test_the_functional_step_repeats_to_the_byte(study, someone, tmp_path):
    again = study.out / "func2" / study.func.name
    study.run(preprocess_func, [study.raw / "func" / "sub-01_task-rest_bold.nii.gz", study.anat], again)
    for path in sorted(study.func.parent.iterdir()):
        assert content(again.parent / path.name) == content(path), path.name


@pytest.fixture
def blank(tiny, tmp_path):
    return Study(tmp_path, level=tiny)


def assert_recorded(manifest, content, reason, words):
    assert content["Error"]["reason"] == reason
    assert words in content["Error"]["message"]
    assert content["Outputs"] == {}
    with pytest.raises(LbpneuroError, match=words) as caught:
        expand_manifests([manifest])
    assert caught.value.reason == reason


def test_a_damaged_head_is_recorded(blank):
    path = blank.raw / "anat" / "sub-01_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    path.write_text("<html>not found</html>")
    content = blank.run(preprocess_anat, [path], blank.anat)
    assert_recorded(blank.anat, content, Reason.INVALID_INPUT, "web page")


def test_noise_is_no_head(blank, rng):
    path = blank.raw / "anat" / "sub-01_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(rng.random((20, 20, 20), dtype=np.float32), np.diag([4.0, 4, 4, 1])), path)
    stale = blank.anat.with_name("sub-01_label-GM_probseg.nii.gz")
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of another image")
    content = blank.run(preprocess_anat, [path], blank.anat)
    assert_recorded(blank.anat, content, Reason.FAILED_QC, "mL")
    assert not 1000 < content["Quality"]["brain_ml"] < 2000
    assert not stale.exists()


def test_a_run_without_a_head_says_so(blank, someone):
    path = person.write_bold(someone, blank.raw / "func" / "sub-01_task-rest_bold.nii.gz")
    content = blank.run(preprocess_func, [path], blank.func)
    assert_recorded(blank.func, content, Reason.NO_TRANSFORM, "T1w image")


def test_what_was_wrong_with_the_head_is_the_reason_of_the_run(blank, someone):
    path = person.write_bold(someone, blank.raw / "func" / "sub-01_task-rest_bold.nii.gz")
    blank.anat.parent.mkdir(parents=True)
    blank.anat.write_text(json.dumps({"Error": {"reason": "failed_qc", "message": "no brain found"}, "Outputs": {}}))
    content = blank.run(preprocess_func, [path, blank.anat], blank.func)
    assert_recorded(blank.func, content, Reason.FAILED_QC, "no brain found")


def test_a_run_of_noise_is_refused(study, rng):
    """The simulated head with a run that holds no brain."""
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = [-90, -120, -60]
    series = (1000 + rng.normal(0, 50, (30, 30, 20, 20)), affine)
    path = person.write_bold(None, study.raw / "func" / "sub-01_task-noise_bold.nii.gz", series=series)
    out = study.out / "noise" / "sub-01_task-noise_bold_desc-embedded_func.json"
    content = study.run(preprocess_func, [path, study.anat], out)
    assert_recorded(out, content, Reason.FAILED_QC, "does not lie on the T1w image")


def raw_head(someone, path, *, kind):
    """A whole head to be refused: another contrast, a lesion, noise; or one that lies on its back."""
    person.write_t1w(someone, path)
    image = nib.load(path)
    data, affine = image.get_fdata(dtype=np.float32), image.affine
    if kind == "T2w":
        _, points = person.grid(low=(-102.0, -135.0, -100.0), size=image.shape)
        data = someone.source.at("epi", person.apply(someone.to_template, points)).reshape(image.shape)
    if kind == "turned":
        data = np.ascontiguousarray(np.rot90(data, axes=(1, 2)))
    if kind == "lesion":
        at = person.apply(affine, np.argwhere(np.ones(image.shape))).reshape(*image.shape, 3)
        middle = person.apply(np.linalg.inv(someone.to_template), np.array([[-14.0, -18.0, 8.0]]))[0]
        data = np.where(np.linalg.norm(at - middle, axis=-1) < 32, 40.0, data)
    if kind == "noise":
        data = np.abs(np.random.default_rng(3).normal(100, 30, image.shape))
    nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["T2w", "lesion", "noise"])
def test_images_that_are_no_heads_of_this_kind_are_refused(blank, someone, kind):
    path = raw_head(someone, blank.raw / "anat" / "sub-01_T1w.nii.gz", kind=kind)
    content = blank.run(preprocess_anat, [path], blank.anat)
    assert_recorded(blank.anat, content, Reason.FAILED_QC, "the segmentation is not believed")
    assert content["Quality"]["brain_ml"] > 0


@pytest.mark.slow
def test_a_head_that_lies_on_its_back_is_found(study, blank, someone):
    """A turn of a quarter about the left-right axis changes no volume."""
    path = raw_head(someone, blank.raw / "anat" / "sub-01_T1w.nii.gz", kind="turned")
    content = blank.run(preprocess_anat, [path], blank.anat)
    upright = json.loads(study.anat.read_text())["Quality"]
    for name in ("brain_ml", "GM_ml", "WM_ml", "thalamus_L_ml"):
        assert content["Quality"][name] == pytest.approx(upright[name], rel=0.05), name


@pytest.mark.slow
def test_a_stripped_head_gives_the_same_brain(study, someone, blank):
    path = person.write_t1w(someone, blank.raw / "anat" / "sub-01_T1w.nii.gz", stripped=True)
    content = blank.run(preprocess_anat, [path], blank.anat)
    whole = json.loads(study.anat.read_text())["Quality"]
    assert (content["Quality"]["skull_stripped"], whole["skull_stripped"]) == (1, 0)
    for name, tolerance in (("brain_ml", 0.06), ("GM_ml", 0.1), ("WM_ml", 0.1)):
        assert content["Quality"][name] == pytest.approx(whole[name], rel=tolerance), name


@pytest.mark.slow
@pytest.mark.real
def test_a_real_person(real_data, tmp_path):
    """T1w (2 mm) and 40 volumes of the studyforrest project, at the level that is shipped."""
    folder = real_data("studyforrest_mini") / "sub-02"
    made = Study(tmp_path, level="draft")
    anat = made.run(preprocess_anat, sorted(folder.glob("anat/*T1w.nii.gz")), made.anat)
    quality = anat["Quality"]
    assert 1500 < quality["brain_ml"] < 1750
    assert 650 < quality["GM_ml"] < 830
    assert quality["template_correlation"] > 0.75
    func = made.run(preprocess_func, [*folder.glob("func/*bold.nii.gz"), made.anat], made.func)
    assert func["Quality"]["brain_in_view"] > 0.9
    assert func["Quality"]["brain_with_signal"] > 0.95
    assert func["Quality"]["boundary_cost"] < 0.8
    assert 0.05 < func["Quality"]["fd_mean_mm"] < 0.3
    (files,) = group_runs(expand_manifests([made.func]))
    series = read_series(files.bold, files.mask)
    tsnr = series.bold.mean(axis=0) / series.bold.std(axis=0, ddof=1)
    assert np.median(tsnr) > 60
