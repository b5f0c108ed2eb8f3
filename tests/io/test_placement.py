"""Regions in runs of every space."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.io.placement import brainstem_extra, place_regions, way_to_regions
from lbpneuro.io.regions import read_regions
from lbpneuro.io.run_files import RunFiles
from lbpneuro.io.series import Series
from lbpneuro.kernels.voxels import voxels_of
from lbpneuro.simulate.physio import physiology, write_physio
from lbpneuro.simulate.template import template
from tests.oracles.files import shifting

ROIS = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
NAMES = [("pag", "n/a"), ("vmpfc", "n/a"), ("thalamus", "L"), ("ventricle4", "n/a"), ("pons", "n/a"), ("vta", "L")]
SETTINGS = {"template_transform": None, "physio": True, "brainstem_controls": True}
SHIFT = np.array([3.0, -5.0, 2.0])
N_TIME, T_R = 30, 2.0


@pytest.fixture(scope="module")
def table():
    return read_regions(ROIS)


@pytest.fixture(scope="module")
def regions(table):
    return {name: table[name] for name in NAMES}


def run(space: str, *, affine=None, **files) -> tuple[RunFiles, Series]:
    """A run at 3 mm over the whole template, or over another grid of the same shape."""
    grid = template(3.0).grid
    mask = np.ones(grid.shape, dtype=bool)
    bold = np.random.default_rng(0).standard_normal((N_TIME, mask.sum())).astype(np.float32)
    path = Path(f"sub-01_task-rest_space-{space}_desc-preproc_bold.nii.gz")
    series = Series(
        path=path, bold=bold, mask=mask, mean=bold[0].reshape(mask.shape), affine=grid.affine.copy(), t_r=T_R
    )
    if affine is not None:
        series = Series(path=path, bold=bold, mask=mask, mean=series.mean, affine=affine, t_r=T_R)
    return RunFiles(bold=path, mask=path, confounds=path, **files), series


def centres(placed, series) -> np.ndarray:
    """Centre of gravity (mm) of every region."""
    voxels = voxels_of(series.mask) @ series.affine[:3, :3].T + series.affine[:3, 3]
    return np.asarray(placed.found.weights @ voxels / placed.found.weights.sum(axis=1)[:, np.newaxis])


def test_a_native_run_is_measured_where_its_transform_says(tmp_path, regions):
    files, series = run("T1w", transform=shifting(tmp_path / "way.h5", SHIFT))
    native = place_regions(files, series, regions=regions, settings=SETTINGS)
    template_files, template_series = run("MNI152NLin2009cAsym")
    upright = place_regions(template_files, template_series, regions=regions, settings=SETTINGS)
    np.testing.assert_allclose(centres(native, series), centres(upright, template_series) - SHIFT, atol=0.2)
    np.testing.assert_allclose(native.found.whole, upright.found.whole, rtol=0.06)
    assert not native.other_template
    assert native.facts["RegionsThrough"] == "way.h5"
    assert upright.facts["RegionsThrough"] is None


def test_another_template_is_taken_as_it_stands_or_through_the_users_transform(tmp_path, regions):
    files, series = run("MNI152NLin6Asym")
    plain = place_regions(files, series, regions=regions, settings=SETTINGS)
    assert plain.other_template
    assert not plain.own_aqueduct
    given = {**SETTINGS, "template_transform": str(shifting(tmp_path / "between.h5", SHIFT))}
    through = place_regions(files, series, regions=regions, settings=given)
    assert not through.other_template
    np.testing.assert_allclose(centres(through, series), centres(plain, series) - SHIFT, atol=0.2)
    same = place_regions(*run("MNI152NLin2009cAsym"), regions=regions, settings=given)
    assert same.facts["RegionsThrough"] is None


def saved(folder: Path, label: str, data: np.ndarray, affine: np.ndarray) -> Path:
    path = folder / f"sub-01_space-MNI152NLin2009cAsym_label-{label}_probseg.nii.gz"
    nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    return path


@pytest.fixture(scope="module")
def tissues(tmp_path_factory):
    folder, source = tmp_path_factory.mktemp("maps"), template(2.0)
    gm, wm = source.gm * source.brain, source.wm * source.brain
    csf = np.clip(1 - source.gm - source.wm, 0, 1) * source.brain
    return {
        name: saved(folder, name, data, source.grid.affine) for name, data in (("GM", gm), ("WM", wm), ("CSF", csf))
    }


def test_the_aqueduct_of_the_person_is_found_for_every_space(tmp_path, regions, tissues):
    files, series = run("MNI152NLin2009cAsym", csf=tissues["CSF"], tissues=tissues)
    placed = place_regions(files, series, regions=regions, settings=SETTINGS)
    assert placed.own_aqueduct
    assert placed.facts["AqueductAxis"] == "own"
    native, series = run("T1w", tissues=tissues, transform=shifting(tmp_path / "way.h5", SHIFT))
    assert place_regions(native, series, regions=regions, settings=SETTINGS).own_aqueduct
    other, series = run("MNI152NLin6Asym", csf=tissues["CSF"], tissues=tissues)
    stands = place_regions(other, series, regions=regions, settings=SETTINGS)
    assert stands.own_aqueduct
    assert stands.other_template


def test_what_the_brainstem_gets(tmp_path, table, regions, tissues):
    physio = tmp_path / "sub-01_task-rest_physio.tsv.gz"
    write_physio(physio, physiology(np.random.default_rng(0), start_s=-1, stop_s=N_TIME * T_R + 1))
    files, series = run("MNI152NLin2009cAsym", csf=tissues["CSF"], tissues=tissues, physio=(physio,))
    placed = place_regions(files, series, regions=regions, settings=SETTINGS)
    extra = brainstem_extra(files, series, placed, t_r=T_R, known=table, settings=SETTINGS)
    assert len(extra.regressors) == 20
    assert {"csf_local", "pons", "cardiac1_cos", "respiratory4_sin"} <= set(extra.regressors)
    assert all(each.shape == (N_TIME,) for each in extra.regressors.values())
    assert extra.brainstem_dice > 0.85
    assert extra.facts["BrainstemControls"] == ["csf_local", "pons"]
    off = {**SETTINGS, "physio": False, "brainstem_controls": False}
    nothing = brainstem_extra(files, series, placed, t_r=T_R, known=table, settings=off)
    assert nothing.regressors == {}
    bare, series = run("MNI152NLin2009cAsym")
    unknown = brainstem_extra(bare, series, placed, t_r=T_R, known=table, settings=SETTINGS)
    assert np.isnan(unknown.brainstem_dice)
    assert unknown.facts["Physio"]["Note"] == "no recording"


def test_the_way_of_a_run_to_its_regions(tmp_path, regions):
    """What resting and rating runs share."""
    way = shifting(tmp_path / "way.h5", SHIFT)
    given = {**SETTINGS, "template_transform": str(way)}
    for space, files_way, settings, expected in (
        ("MNI152NLin2009cAsym", None, given, (None, False)),
        ("T1w", way, SETTINGS, (way, False)),
        ("MNI152NLin6Asym", None, SETTINGS, (None, True)),
        ("MNI152NLin6Asym", None, given, (way, False)),
    ):
        files, _ = run(space, transform=files_way)
        assert way_to_regions(files, regions, settings) == expected
