"""The step from tissue maps to rows."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.regions import load_atlas, read_regions
from lbpneuro.steps.structural import main
from tests.oracles import heads

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
SETTINGS = {
    "coverage_min": 0.5,
    "tiv_ml": [1000, 4000],
    "gm_fraction": [0.35, 0.55],
    "thalamus_ratio": [0.8, 1.25],
    "rescan_cv": {"tiv": 0.005, "gm_total": 0.01, "dlpfc": 0.02, "thalamus": 0.2},
    "rescan_cv_draft": {"tiv": 0.03, "gm_total": 0.04, "dlpfc": 0.06, "thalamus": 0.25},
}
REGIONAL = ("gm_volume", "gm_volume_ratio", "gm_coverage")
TOTALS = ("tiv", "gm_total", "gm_total_ratio")


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
        assert len(rows) == len(TOTALS) + 4 * len(REGIONAL)
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
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert {row["method"] for row in rows.values()} == {
        "Tissue probabilities summed over the brain and over labelled regions"
    }
    assert {row["source"] for row in rows.values()} == {"fmriprep"}
    assert sidecar["RegionEvidence"]["dlpfc_L"] == "design"
    assert "misses 45-70 %" in sidecar["ThalamusCaveat"]
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
    assert table["name"].tolist() == ["dlpfc_L", "dlpfc_R", "thalamus_L", "thalamus_R"]
    labels = np.asarray(image.dataobj)
    for row in table.to_dict("records"):
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
    pairs = {10: 49, 49: 10, 1003: 2003, 2003: 1003, 1027: 2027, 2027: 1027}
    swapped = np.zeros(atlas.shape, dtype=np.uint16)
    for label, other in pairs.items():
        swapped[atlas == label] = other
    nib.save(nib.Nifti1Image(swapped, mirrored), tmp_path / "mirror.nii.gz")
    lines = [line.split("\t") for line in ROIS.read_text().splitlines()]
    kept = [lines[0], *(line for line in lines if line[0] in ("dlpfc", "thalamus"))]
    table = tmp_path / "rois.tsv"
    table.write_text("\n".join("\t".join(line).replace("desikan_killiany", "mirror.nii.gz") for line in kept) + "\n")
    monkeypatch.setattr(heads, "CENTRE_MM", heads.CENTRE_MM * [-1, 1, 1])
    monkeypatch.setattr(heads, "SHIFT_MM", heads.SHIFT_MM * [-1, 1, 1])
    back, _, _ = step(head(), rois=table)
    for marker in REGIONAL:
        for roi in ("dlpfc", "thalamus"):
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
    assert rows["gm_volume", "dlpfc", "L"]["reason"] == "no_transform"


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
    assert errors == pytest.approx({"plain": 0.005, "draft": 0.03})
    assert reasons == {"plain": "n/a", "draft": "skull_stripped"}
