"""The step from tissue maps to rows."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from nilearn.image import smooth_img

from lbpneuro.io import modulated_maps
from lbpneuro.io.files import write_tsv
from lbpneuro.io.images import Grid
from lbpneuro.io.reference_cohort import COEFFICIENTS, COLUMNS, COVARIANCES
from lbpneuro.io.regions import load_atlas, read_regions
from lbpneuro.io.resources import default_config
from lbpneuro.markers.tissue import CORTEX, NUCLEI, SPHERES
from lbpneuro.registry import family
from lbpneuro.steps.structural import main
from tests.oracles import heads

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
SETTINGS = yaml.safe_load(default_config().read_text())["structural"] | {"tiv_ml": [1000, 4000]}
FMRIPREP = SETTINGS["rescan_cv"]["fmriprep"]
REGIONAL = ("gm_volume", "gm_volume_ratio", "gm_coverage", "gm_density")
TOTALS = ("tiv", "gm_total", "gm_total_ratio")
N_ROWS = sum(len(marker.levels({})) for marker in family("structural"))
TO_TEMPLATE = "sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5"


@pytest.fixture
def head(tmp_path):
    def written(**options):
        return heads.write_head(tmp_path / "fmriprep" / "sub-01" / "anat", **options)

    return written


@pytest.fixture
def step(tmp_path):
    """Run the step; return its rows by (marker, roi, hemi), its sidecar and its output folder."""

    def run(files, rois=ROIS, **settings):
        config = {
            "dataset": {
                "bids_dir": str(tmp_path / "raw"),
                "out_dir": str(tmp_path / "out"),
                "derivatives": {"fmriprep": str(tmp_path / "fmriprep")},
            },
            "functional": {"rois": str(rois)},
            "structural": SETTINGS | settings,
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        folder = tmp_path / "out" / "sub-01" / "anat"
        out = folder / "sub-01_desc-structural_markers.tsv"
        arguments = ["--out", str(out), "--config", str(tmp_path / "config.json"), "--participant", "sub-01"]
        assert main(["--in", *map(str, files), *arguments]) == 0
        table = pd.read_csv(out, sep="\t", keep_default_na=False, na_values={"value": "n/a", "se": "n/a"})
        rows = {(row["marker"], row["roi"], row["hemi"]): row for row in table.to_dict("records")}
        assert len(rows) == N_ROWS
        return rows, json.loads(out.with_suffix(".json").read_text()), folder

    return run


def test_volumes_of_a_known_head(head, step):
    rows, sidecar, folder = step(head())
    brain_ml = heads.ellipsoid(*heads.grid()).sum() * 0.125
    assert rows["tiv", "n/a", "n/a"]["value"] == pytest.approx(brain_ml, rel=1e-6)
    assert rows["gm_total", "n/a", "n/a"]["value"] == pytest.approx(0.45 * brain_ml, rel=1e-6)
    assert rows["gm_total_ratio", "n/a", "n/a"]["value"] == pytest.approx(450, rel=1e-6)
    for hemi, label in (("L", 10), ("R", 49)):
        row = rows["gm_volume", "thalamus", hemi]
        template_mm3 = (load_atlas(read_regions(ROIS)["thalamus", "L"].atlas)[0] == label).sum()
        assert row["value"] == pytest.approx(template_mm3 / 1000 / np.prod(heads.SCALE), rel=0.003)
        assert rows["gm_coverage", "thalamus", hemi]["value"] == 1
    regional = [row for (marker, roi, _), row in rows.items() if marker in REGIONAL and roi in (*CORTEX, *NUCLEI)]
    assert {row["status"] for row in regional} == {"ok"}
    missing = {row["reason"] for row in rows.values() if row["status"] == "missing"}
    assert missing == {"not_in_source", "no_reference", "not_acquired"}
    assert rows["gm_volume", "thalamus", "L"]["method"] == "fmriprep: volume of the label"
    assert rows["gm_volume", "dlpfc", "L"]["method"] == "fmriprep: gray matter in the region"
    assert rows["gm_density", "thalamus", "L"]["method"] == "fmriprep: mean tissue probability"
    assert rows["gm_density", "thalamus", "L"]["value"] == pytest.approx(0.45, rel=1e-6)
    assert rows["gm_coverage", "dlpfc", "L"]["method"] == "fmriprep: share inside the segmented brain"
    assert rows["tiv", "n/a", "n/a"]["method"].startswith("fmriprep: Tissue probabilities summed")
    assert {row["source"] for row in rows.values()} == {"fmriprep"}
    assert sidecar["RegionEvidence"]["dlpfc_L"] == "design"
    assert "misses 45-70 %" in sidecar["NucleiCaveat"]
    assert sidecar["RescanCV"] == FMRIPREP
    outputs = [f"sub-01/anat/sub-01_desc-roi_dseg{extension}" for extension in (".nii.gz", ".tsv")]
    assert sidecar["Outputs"] == outputs
    assert all((folder.parents[1] / name).exists() for name in outputs)


def test_the_label_image_lies_on_the_grid_of_the_maps(head, step):
    _, _, folder = step(head())
    image = nib.load(folder / "sub-01_desc-roi_dseg.nii.gz")
    affine, shape = heads.grid()
    np.testing.assert_array_equal(image.affine, affine)
    assert image.shape == shape
    table = pd.read_csv(folder / "sub-01_desc-roi_dseg.tsv", sep="\t")
    names = [f"{roi}_{hemi}" for roi in (*CORTEX, *SPHERES, *NUCLEI) for hemi in "LR"]
    assert table["name"].tolist() == names
    labels = np.asarray(image.dataobj)
    seen = [row for row in table.to_dict("records") if (labels == row["index"]).any()]
    assert len(seen) >= len(names) - 4  # the smallest spheres fill no voxel of 5 mm by half
    for row in seen:
        x_mm = affine[0, 0] * np.argwhere(labels == row["index"])[:, 0] + affine[0, 3]
        assert (x_mm.mean() < -3) if row["hemi"] == "L" else (x_mm.mean() > 3)


def test_equal_input_gives_equal_bytes(head, step):
    files = head()
    _, _, folder = step(files)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    step(files[::-1])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_mirroring_head_and_transform_swaps_the_sides(head, step, tmp_path, monkeypatch):
    there, _, _ = step(head())
    atlas, affine = load_atlas(read_regions(ROIS)["thalamus", "L"].atlas)
    mirrored = np.diag([-1.0, 1, 1, 1]) @ affine
    deep = {10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 26: 58, 7: 46, 8: 47}
    number = np.arange(int(atlas.max()) + 1)
    other_side = np.where((number >= 1000) & (number < 2000), number + 1000, number)
    other_side = np.where(number >= 2000, number - 1000, other_side)
    for left, right in deep.items():
        other_side[[left, right]] = right, left
    nib.save(nib.Nifti1Image(other_side[atlas].astype(np.uint16), mirrored), tmp_path / "mirror.nii.gz")
    kept = pd.read_csv(ROIS, sep="\t", dtype=str, keep_default_na=False)
    kept = kept[kept["roi"].isin([*CORTEX, *SPHERES, *NUCLEI, "cerebellum", "brainstem"])]
    kept = kept.assign(atlas=kept["atlas"].replace("desikan_killiany", "mirror.nii.gz"))
    sphere = kept["kind"] == "sphere"
    kept.loc[sphere, "hemi"] = kept.loc[sphere, "hemi"].map({"L": "R", "R": "L"})
    kept.loc[sphere, "x"] = (-kept.loc[sphere, "x"].astype(float)).astype(str)
    table = tmp_path / "rois.tsv"
    kept.to_csv(table, sep="\t", index=False)
    monkeypatch.setattr(heads, "CENTRE_MM", heads.CENTRE_MM * [-1, 1, 1])
    monkeypatch.setattr(heads, "SHIFT_MM", heads.SHIFT_MM * [-1, 1, 1])
    back, _, _ = step(head(), rois=table)
    for marker in REGIONAL:
        for roi in (*CORTEX, *SPHERES, *NUCLEI):
            for hemi, other in ("LR", "RL"):
                assert back[marker, roi, hemi]["value"] == pytest.approx(there[marker, roi, other]["value"], rel=1e-6)


def test_without_transform_the_totals_stay(head, step):
    rows, sidecar, folder = step(head(transform=False))
    assert {rows[name, "n/a", "n/a"]["status"] for name in TOTALS} == {"ok"}
    regional = [row for (marker, _, _), row in rows.items() if marker in REGIONAL]
    assert {(row["status"], row["reason"]) for row in regional} == {("fail", "no_transform")}
    assert sidecar["Outputs"] == []
    assert not list(folder.glob("*dseg*"))


def test_the_transform_of_another_template_is_not_used(head, step, tmp_path):
    files = head()
    other = files[-1].parent / heads.TO_T1W.replace("2009cAsym", "6Asym")
    (files[-1].parent / heads.TO_T1W).rename(other)
    rows, _, _ = step(sorted(other.parent.iterdir()))
    assert rows["gm_volume", "dlpfc", "L"]["reason"] == "other_template"


@pytest.mark.parametrize("missing", ["GM", "WM", "CSF"])
def test_a_missing_tissue_is_named(head, step, missing):
    rows, sidecar, _ = step(head(tissues=[t for t in heads.SHARES if t != missing]))
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("fail", "file_missing")}
    assert f"label-{missing}_probseg" in sidecar["Error"]["message"]


def test_no_files_are_missing_data(step):
    rows, _, _ = step([])
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("missing", "not_acquired")}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sub-01_label-WM_probseg.nii.gz", b"<!DOCTYPE html>", "web page"),
        ("sub-01_label-WM_probseg.nii.gz", None, "cut off"),
        ("sub-01_desc-brain_mask.nii.gz", b"", "empty"),
        (heads.TO_T1W, b"<html>", "expected an ITK transform"),
    ],
)
def test_a_broken_file_is_named_and_the_study_goes_on(head, step, name, content, message):
    files = head()
    broken = files[0].parent / name
    broken.write_bytes(broken.read_bytes()[:600] if content is None else content)
    rows, sidecar, _ = step(files)
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("fail", "invalid_input")}
    assert name in sidecar["Error"]["message"]
    assert message in sidecar["Error"]["message"]


def test_labels_instead_of_probabilities_are_refused(head, step):
    files = head()
    gm = next(path for path in files if "GM" in path.name)
    heads.save(np.asarray(nib.load(gm).dataobj) * np.float32(255), heads.grid()[0], gm)
    rows, sidecar, _ = step(files)
    assert rows["gm_total", "n/a", "n/a"]["reason"] == "invalid_input"
    assert "expected probabilities from 0 to 1, found values from 0 to 114.75" in sidecar["Error"]["message"]


def test_a_dangling_link_is_missing_data(head, step):
    files = head()
    gm = next(path for path in files if "GM" in path.name)
    gm.unlink()
    gm.symlink_to("../../.git/annex/objects/absent")
    rows, sidecar, _ = step(files)
    assert {row["reason"] for row in rows.values()} == {"file_missing"}
    assert "link leads to no file" in sidecar["Error"]["message"]


def test_a_scan_without_the_vertex_has_low_coverage_there_alone(head, step):
    files = head()
    for path in files:
        if path.name.endswith(".nii.gz"):
            image = nib.load(path)
            heads.save(np.asarray(image.dataobj)[:, :, :26], image.affine, path)  # ends at z = 20 mm
    rows, _, _ = step(files)
    assert rows["gm_coverage", "dlpfc", "L"]["value"] < 0.5
    assert rows["gm_volume", "dlpfc", "L"]["reason"] == "coverage_too_low"
    assert rows["gm_volume", "thalamus", "L"]["status"] == "ok"


def test_a_table_without_the_regions_is_refused(head, step, tmp_path):
    table = tmp_path / "rois.tsv"
    table.write_text("\n".join(line for line in ROIS.read_text().splitlines() if not line.startswith("dlpfc\t")))
    rows, sidecar, _ = step(head(), rois=table)
    assert {row["reason"] for row in rows.values()} == {"invalid_input"}
    assert "lacks dlpfc L, dlpfc R" in sidecar["Error"]["message"]


def test_the_sidecar_of_the_head_says_what_kind_of_maps_they_are(head, step):
    files = head()
    image = next(path for path in files if path.name.endswith("label-GM_probseg.nii.gz"))
    t1w = image.with_name("sub-01_desc-preproc_T1w.nii.gz")
    t1w.write_bytes(image.read_bytes())
    sidecar = t1w.with_name("sub-01_desc-preproc_T1w.json")
    errors, reasons = {}, {}
    for kind, content in (("plain", {"SkullStripped": False}), ("draft", {"SkullStripped": True, "Level": "draft"})):
        sidecar.write_text(json.dumps(content))
        rows, _, _ = step([*files, t1w])
        row = rows["tiv", "n/a", "n/a"]
        errors[kind], reasons[kind] = row["se"] / row["value"], row["reason"]
    assert errors == pytest.approx({"plain": FMRIPREP["tiv"], "draft": SETTINGS["rescan_cv"]["embedded_draft"]["tiv"]})
    assert reasons == {"plain": "n/a", "draft": "skull_stripped"}


# -- the smoothed map -------------------------------------------------------------------------------------------------


def write_way_back(folder):
    """The transform by which ITK brings the person's image to the template: from template points to T1w points."""
    import ants

    parts = [
        ants.create_ants_transform(
            "AffineTransform",
            dimension=3,
            precision="float",
            matrix=np.diag(1 / heads.SCALE),
            translation=-(heads.LPS @ heads.SHIFT_MM) / heads.SCALE,
        ),
        ants.create_ants_transform("AffineTransform", dimension=3, precision="float", matrix=np.eye(3)),
    ]
    ants.write_transform(ants.compose_ants_transforms(parts), str(folder / TO_TEMPLATE))
    return folder / TO_TEMPLATE


def test_the_modulated_map_keeps_the_volume(head, step):
    files = head()
    files.append(write_way_back(files[0].parent))
    rows, sidecar, folder = step(files)
    path = folder / "sub-01_space-MNI152NLin2009cAsym_label-GM_desc-smoothed_probseg.nii.gz"
    image = nib.load(path)
    assert image.get_fdata().sum() * 0.008 == pytest.approx(rows["gm_total", "n/a", "n/a"]["value"], rel=0.005)
    assert image.header.get_zooms() == (2, 2, 2)
    assert image.shape == (97, 115, 97)
    said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert said["SmoothingFWHM"] == 6
    assert f"bids:fmriprep:sub-01/anat/{TO_TEMPLATE}" in said["Sources"]
    assert f"sub-01/anat/{path.name}" in sidecar["Outputs"]
    inside = image.get_fdata()[48, 57, 48]  # deep in the brain: 0.45 of the volume, changed by the affine
    assert inside == pytest.approx(0.45 / np.prod(heads.SCALE), rel=1e-4)


@pytest.mark.parametrize("settings", [{"map_fwhm_mm": None}, {"tiv_ml": [100, 200]}])
def test_no_map_where_none_is_wanted_or_the_gates_say_no(head, step, settings):
    files = head()
    files.append(write_way_back(files[0].parent))
    _, _, folder = step(files, **settings)
    assert not list(folder.glob("*smoothed*"))


def test_without_the_way_back_there_is_no_map(head, step):
    _, _, folder = step(head())
    assert not list(folder.glob("*smoothed*"))


def test_smoothing_is_that_of_nilearn():
    rng = np.random.default_rng(3)
    values = np.zeros((40, 44, 36), dtype=np.float32)
    values[12:28, 12:30, 10:26] = rng.random((16, 18, 16))
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    mine, where = modulated_maps.smoothed(values, Grid(affine=affine, shape=values.shape), fwhm_mm=6)
    theirs = smooth_img(nib.Nifti1Image(values, affine), 6).get_fdata()
    np.testing.assert_allclose(mine, theirs, atol=2e-4)
    np.testing.assert_array_equal(where, affine)
    fine, where = modulated_maps.smoothed(values, Grid(affine=np.eye(4), shape=values.shape), fwhm_mm=6)
    theirs = smooth_img(nib.Nifti1Image(values, np.eye(4)), 6).get_fdata()
    np.testing.assert_allclose(fine, theirs[::2, ::2, ::2], atol=2e-4)
    np.testing.assert_array_equal(where, np.diag([2, 2, 2, 1]))
    assert fine.sum() * 8 == pytest.approx(values.sum(), rel=1e-3)


def test_a_map_that_the_source_modulated_is_taken_as_it_is(tmp_path):
    made = tmp_path / "sub-01_space-MNI152NLin2009cAsym_label-GM_desc-modulated_probseg.nii.gz"
    cat = tmp_path / "mwp1sub-01_T1w.nii"
    for path in (made, cat):
        values = np.full((4, 5, 6), 0.3, dtype=np.float32)
        values[0, 0, 0] = np.nan
        nib.save(nib.Nifti1Image(values, np.diag([1.5, 1.5, 1.5, 1.0])), path)
    for files, source in (([made], "embedded"), ([cat], "cat12")):
        values, grid = modulated_maps.modulated_gm(files, source=source)
        assert values[0, 0, 0] == 0
        assert values[1, 1, 1] == np.float32(0.3)
        assert grid.shape == (4, 5, 6)
    assert modulated_maps.modulated_gm([cat], source="maps") is None


# -- adjusted volumes -------------------------------------------------------------------------------------------------


def test_adjusted_volumes_come_from_the_cohort_and_the_list_of_participants(head, step, tmp_path):
    fixed = {"marker": "gm_volume", "roi": "dlpfc", "hemi": "L", "n": 50, "tiv_mean": 1500.0, "age_mean": 40.0}
    numbers = dict(zip(COEFFICIENTS, (20.0, 0.0, -0.1, 1.0), strict=True)) | dict.fromkeys(COVARIANCES, 0.0)
    reference = pd.DataFrame([{"method": "fmriprep", **fixed, "residual_sd": 1.0, **numbers}], columns=list(COLUMNS))
    write_tsv(tmp_path / "reference.tsv", reference)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t50\tM\n")
    rows, _, _ = step(head(), reference=str(tmp_path / "reference.tsv"))
    row, volume = rows["gm_volume_residual", "dlpfc", "L"], rows["gm_volume", "dlpfc", "L"]
    assert row["value"] == pytest.approx(volume["value"] - (20 - 1 + 1))
    assert row["se"] == pytest.approx(volume["se"])
    assert rows["gm_volume_residual", "s1", "L"]["reason"] == "no_reference"
    (tmp_path / "raw" / "participants.tsv").unlink()
    rows, _, _ = step(head(), reference=str(tmp_path / "reference.tsv"))
    assert rows["gm_volume_residual", "dlpfc", "L"]["reason"] == "no_covariate"
