"""Whole runs through plan and step in every space, and resting runs beside those of a task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from lbpneuro.io.files import read_tsv
from lbpneuro.io.plan import load_plan
from lbpneuro.markers.bold import AROUND_AQUEDUCT, BRAINSTEM
from lbpneuro.markers.edges import LABELS
from lbpneuro.simulate.anatomy import NATIVE_CENTRE_MM, NATIVE_EXTENT_MM, anatomy, rigid_affine
from lbpneuro.simulate.imaging_files import SPACE, write_imaging
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.template import template
from lbpneuro.simulate.transforms import PointMap
from lbpneuro.steps.functional import main as step
from tests.oracles.files import blocks, matrices, shifting
from tests.workflow.study import settings, tree

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

VISIT = Visit(person(1, seed=5, effect=1.0), 0, 5)
OTHER = "MNI152NLin6Asym"
RUN = f"{VISIT.prefix}_task-rest"
TILT = np.array([0.0, 0.0, 0.0, *np.deg2rad([7.0, -5.0, 9.0])])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """One simulated person at 4 mm, the preprocessed run in template space, and in T1w space on an oblique grid."""
    root = tmp_path_factory.mktemp("native")
    planned = Study(root=root, voxel_mm=4.0)
    planned.fmriprep.mkdir()
    write_imaging(planned, VISIT)
    shutil.rmtree(planned.raw)
    tree(planned.raw, [f"{VISIT.folder}/func/{RUN}_bold.nii.gz"])
    to_template = anatomy(VISIT, voxel_mm=4.0, settings=planned.anatomy).to_template
    start = planned.fmriprep / VISIT.folder / "func" / RUN
    for name, order in (("desc-preproc_bold", 3), ("desc-brain_mask", 0)):
        image = in_own_space(nib.load(f"{start}_space-{SPACE}_{name}.nii.gz"), to_template, order=order)
        nib.save(image, f"{start}_space-T1w_{name}.nii.gz")
    return root


def in_own_space(source: nib.Nifti1Image, to_template: PointMap, *, order: int) -> nib.Nifti1Image:
    """An image or series of template space on a tilted grid around the head of the person."""
    voxel_mm = float(source.header.get_zooms()[0])
    shape = tuple(int(np.ceil(extent / voxel_mm)) for extent in NATIVE_EXTENT_MM)
    affine = rigid_affine(TILT) @ np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] += NATIVE_CENTRE_MM - apply_affine(affine, (np.array(shape) - 1) / 2)
    points = to_template(apply_affine(affine, np.indices(shape).reshape(3, -1).T))
    at = apply_affine(np.linalg.inv(source.affine), points).T
    data = np.asarray(source.dataobj, dtype=np.float32)
    volumes = [data[..., time] for time in range(data.shape[3])] if data.ndim == 4 else [data]
    moved = np.stack([ndimage.map_coordinates(volume, at, order=order).reshape(shape) for volume in volumes], axis=-1)
    moved = np.rint(moved).astype(source.get_data_dtype())
    image = nib.Nifti1Image(moved if data.ndim == 4 else moved[..., 0], affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = source.header["pixdim"][4]
    return image


def measured(root: Path, work: Path, *, functional: dict[str, Any] | None = None, **dataset: Any) -> pd.DataFrame:
    """The rows of the functional step for the files that the plan chooses; outputs go below ``work``/out."""
    paths = {"bids_dir": str(root / "raw"), "derivatives": {"fmriprep": str(root / "fmriprep")}}
    config = settings(work, **paths, **dataset)
    config["functional"] |= functional or {}
    (unit,) = load_plan(config)["units"].values()
    (work / "config.json").write_text(json.dumps(config))
    rows = work / "out" / VISIT.folder / "func" / f"{VISIT.prefix}_desc-functional_markers.tsv"
    options = ["--config", str(work / "config.json"), "--participant", VISIT.participant_id]
    assert step(["--in", *unit["files"]["functional"], "--out", str(rows), *options]) == 0
    return read_tsv(rows)


def connections(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the connections by name, their values numbers."""
    found = rows[rows["marker"] == "fc_r"].set_index("edge").loc[list(LABELS)]
    return found.assign(value=found["value"].astype(float), reason=found["reason"].fillna(""))


def on_stem(label: str) -> bool:
    edge, side = LABELS[label]
    return any(roi in BRAINSTEM for end in edge.ends(side) for roi, _ in end)


@pytest.fixture(scope="module")
def upright(study, tmp_path_factory) -> pd.DataFrame:
    """The rows of the run in template space."""
    return measured(study, tmp_path_factory.mktemp("upright"))


def test_a_run_in_native_space_gives_what_it_gives_in_template_space(study, upright, tmp_path):
    """Found through the transform of the derivative; the seeds of a few voxels differ most."""
    rows = measured(study, tmp_path, space="T1w")
    keys = ["marker", "roi", "hemi", "edge", "network_a", "network_b", "model"]
    both = upright[[*keys, "value"]].merge(rows[[*keys, "value"]], on=keys, suffixes=("", "_native"))
    assert set(upright["marker"]) == set(rows["marker"])
    assert len(both) == len(upright) == len(rows)
    assert both.loc[both["value"].notna(), "value_native"].notna().all()
    z, native = (np.arctanh(connections(table)["value"].to_numpy()) for table in (upright, rows))
    assert np.corrcoef(z, native)[0, 1] > 0.95
    assert np.median(np.abs(z - native)) < 0.05
    for marker, limit in (("network_z", 0.05), ("mpfc_hub", 0.01), ("roi_coverage", 0.05), ("fd_mean", 1e-9)):
        pair = both[both["marker"] == marker].astype({"value": float, "value_native": float})
        assert len(pair) == (upright["marker"] == marker).sum()
        assert np.nanmax(np.abs(pair["value"] - pair["value_native"])) < limit, marker


def test_what_is_written_of_a_native_run_says_so(study, tmp_path):
    rows = measured(study, tmp_path, functional={"seeds": ["pag"], "map_fwhm_mm": 0}, space="T1w")
    assert (rows["marker"] == "pag_vmpfc_z").any()
    folder = tmp_path / "out" / VISIT.folder / "func"
    own = nib.load(study / "fmriprep" / VISIT.folder / "func" / f"{RUN}_space-T1w_desc-preproc_bold.nii.gz")
    for name in ("seed-pag_stat-z_boldmap", "stat-gbc_boldmap", "desc-mean_boldref", "desc-roi_probseg"):
        image = nib.load(folder / f"{RUN}_space-T1w_{name}.nii.gz")
        np.testing.assert_allclose(image.affine, own.affine, atol=1e-4)
        assert image.header["sform_code"] == 2  # aligned to another scan, not to a template
    assert not list(folder.glob("*MNI152*"))
    sidecar = json.loads((folder / f"{VISIT.prefix}_desc-functional_markers.json").read_text())
    (facts,) = sidecar["Runs"].values()
    assert facts["Space"] == "T1w"
    assert facts["RegionsThrough"] == f"{VISIT.prefix}_from-{SPACE}_to-T1w_mode-image_xfm.h5"
    assert facts["OtherTemplate"] is False


# another template


def relabelled(study: Path, target: Path, *, tissue_mm: float | None) -> Path:
    """A copy of the run as if it were in the other template; tissue maps at 4 mm, or those of the template."""
    shutil.copytree(study / "raw", target / "raw")
    for path in (study / "fmriprep").rglob(f"*_space-{SPACE}_*"):
        copy = target / path.relative_to(study).with_name(path.name.replace(SPACE, OTHER))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        tissue = path.name.split("label-")[-1].split("_")[0]
        if tissue_mm and tissue in ("GM", "WM", "CSF"):
            source = template(tissue_mm)
            volumes = {"GM": source.gm, "WM": source.wm, "CSF": 1 - source.gm - source.wm}
            nib.save(nib.Nifti1Image((volumes[tissue] * source.brain).astype(np.float32), source.grid.affine), copy)
    for path in (study / "fmriprep").rglob("*_timeseries.*"):
        shutil.copy(path, target / path.relative_to(study))
    return target


@pytest.mark.parametrize("tissue_mm", [None, 2.0])
def test_a_run_in_another_template_is_flagged_and_its_brainstem_refused(study, upright, tmp_path, tissue_mm):
    """Only seeds around the aqueduct have a value there, and only where the aqueduct of the person is seen."""
    r = connections(measured(relabelled(study, tmp_path, tissue_mm=tissue_mm), tmp_path, space=OTHER))
    assert r["reason"].str.contains("other_template").all()
    for label, row in r.iterrows():
        edge, side = LABELS[label]
        seeds = {roi for end in edge.ends(side) for roi, _ in end if roi in BRAINSTEM}
        refused = bool(seeds) and (tissue_mm is None or not seeds <= set(AROUND_AQUEDUCT))
        assert np.isnan(row["value"]) == refused, label
        assert row["status"] == ("fail" if refused else "flag"), label
    cortical = [label for label in LABELS if not on_stem(label)]
    np.testing.assert_allclose(r.loc[cortical, "value"], connections(upright).loc[cortical, "value"], atol=0.03)


def test_an_atlas_follows_the_way_between_the_templates(study, tmp_path):
    """The run lies two voxels further in the other template; without the transform the atlas is refused."""
    (bold,) = (study / "fmriprep").rglob(f"*_space-{SPACE}_desc-preproc_bold.nii.gz")
    (mask,) = (study / "fmriprep").rglob(f"*_task-rest_space-{SPACE}_desc-brain_mask.nii.gz")
    labels = blocks(tmp_path / f"atlas-blocks_space-{SPACE}_dseg.nii.gz", bold, mask)
    atlases = {"atlases": {"blocks": {"image": str(labels), "labels": None}}}
    measured(study, tmp_path / "same", functional=atlases)
    moved = relabelled(study, tmp_path / "moved", tissue_mm=None)
    for path in moved.rglob(f"*_space-{OTHER}_*.nii.gz"):
        image = nib.load(path)
        affine = image.affine.copy()
        affine[1, 3] += 8
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine, image.header), path)
    refused = measured(moved, tmp_path / "refused", functional=atlases, space=OTHER)
    assert set(refused.loc[refused["marker"] == "fc_r", "reason"]) == {"invalid_input"}
    way = shifting(tmp_path / "between.h5", (0, -8, 0))
    rows = measured(moved, tmp_path / "through", functional={**atlases, "template_transform": str(way)}, space=OTHER)
    assert not rows["reason"].fillna("").str.contains("other_template").any()
    name = "blocks_stat-pearsoncorrelation_desc-36p"
    expected, found = (matrices(tmp_path / folder, name).to_numpy() for folder in ("same", "through"))
    assert expected.shape == (8, 8)
    np.testing.assert_allclose(found, expected, atol=1e-6)


# rest beside a task


@pytest.fixture
def with_task(study, tmp_path) -> Path:
    """The study with a second run, of a task, which holds the same series."""
    for folder in ("raw", "fmriprep"):
        shutil.copytree(study / folder, tmp_path / folder)
    for path in [*tmp_path.rglob(f"{RUN}_space-{SPACE}_*"), *tmp_path.rglob(f"{RUN}_*timeseries.*")]:
        shutil.copy(path, path.with_name(path.name.replace("task-rest", "task-oneback")))
    (raw,) = (tmp_path / "raw").rglob(f"{RUN}_bold.nii.gz")
    raw.with_name(raw.name.replace("task-rest", "task-oneback")).touch()
    return tmp_path


@pytest.mark.parametrize("task", [None, "rest", "oneback"])
def test_rest_is_taken_unless_a_task_is_named(with_task, upright, task):
    r = connections(measured(with_task, with_task, task=task))
    used = task or "rest"
    (sidecar,) = (with_task / "out").rglob("*_desc-functional_markers.json")
    assert list(json.loads(sidecar.read_text())["Runs"]) == [f"task-{used}"]
    assert {path.name.split("_")[1] for path in (with_task / "out").rglob("*_boldmap.nii.gz")} == {f"task-{used}"}
    assert r["reason"].str.contains("not_resting_state").all() == (used == "oneback")
    assert r["reason"].str.contains("not_resting_state").any() == (used == "oneback")
    np.testing.assert_allclose(r["value"], connections(upright)["value"], atol=1e-6)
