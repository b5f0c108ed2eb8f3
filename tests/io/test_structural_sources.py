"""Gray matter from every source through one door."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.anatomy import jacobian, template_regions, to_template_transform
from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.images import Grid
from lbpneuro.io.structural_sources import mean_displacement, read, source_of
from lbpneuro.markers.tissue import NUCLEI
from lbpneuro.simulate.anatomy import anatomy_truth
from lbpneuro.simulate.grids import mni_grid
from tests.oracles import heads

MNI = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    dataset = {"bids_dir": str(folder), "out_dir": str(folder), "work_dir": str(folder), "derivatives": {}}
    return resolve(read_config(overrides={"dataset": dataset}))


@pytest.fixture(scope="module")
def own(simulated_head):
    return [path for path in simulated_head.files("fmriprep") if "space-" not in path.name]


@pytest.fixture(scope="module")
def template(simulated_head):
    wanted = ("space-", "from-T1w_to")
    return [path for path in simulated_head.files("fmriprep") if any(word in path.name for word in wanted)]


@pytest.fixture(scope="module")
def readings(own, template, config):
    return read(own, config), read(template, config)


def test_maps_of_the_template_say_what_those_of_the_own_space_say(readings, simulated_head):
    native, modulated = readings
    assert (native.data.source, modulated.data.source) == ("fmriprep", "fmriprep")
    assert native.method != modulated.method
    truth = {row["marker"]: row["value"] for row in anatomy_truth(simulated_head.visit, simulated_head.head)}
    for name in ("tiv_ml", "gm_ml", "wm_ml", "csf_ml", "gm_subcortical_ml"):
        assert getattr(modulated.data, name) == pytest.approx(getattr(native.data, name), rel=0.005), name
    assert native.data.tiv_ml == pytest.approx(truth["tiv"], rel=0.02)
    for level, measure in native.data.regions.items():
        other = modulated.data.regions[level]
        assert measure.measure == other.measure == ("label" if level[0] in NUCLEI else "gray_matter")
        if level[0] in NUCLEI:
            assert other.volume_ml == pytest.approx(measure.volume_ml, rel=0.01), level
        elif level[0] in ("dlpfc", "insula", "cerebellum"):
            # 4-mm voxels blur the cortex when they are brought to the template; at 1 mm they agree to 1 %
            assert other.volume_ml == pytest.approx(measure.volume_ml, rel=0.12), level
    assert native.native
    assert not modulated.native


def test_the_determinant_is_that_of_ants(template, tmp_path):
    import ants

    path = to_template_transform(template, space=MNI)
    grid = mni_grid(4.0)
    ours = jacobian(path, grid=Grid(affine=grid.affine, shape=grid.shape))
    image = ants.from_numpy(
        np.ones(grid.shape, dtype=np.float32),
        origin=tuple(np.diag([-1, -1, 1]) @ grid.affine[:3, 3]),
        spacing=(4.0, 4.0, 4.0),
        direction=np.diag([-1.0, -1.0, 1.0]),
    )
    field = ants.apply_transforms(image, image, [str(path)], compose=f"{tmp_path}/field")
    theirs = ants.create_jacobian_determinant_image(image, field, do_log=False, geom=False).numpy()
    inner = (slice(3, -3),) * 3
    assert np.abs(ours / theirs - 1)[inner].max() < 0.02
    assert ours[inner].mean() == pytest.approx(theirs[inner].mean(), rel=1e-4)


def test_a_finer_grid_gets_the_determinant_between_known_voxels(template):
    path = to_template_transform(template, space=MNI)
    fine, coarse = mni_grid(1.0), mni_grid(2.0)
    between = jacobian(path, grid=Grid(affine=fine.affine, shape=fine.shape))
    known = jacobian(path, grid=Grid(affine=fine.affine @ np.diag([2, 2, 2, 1.0]), shape=coarse.shape))
    assert between.shape == fine.shape
    assert between.dtype == np.float32
    np.testing.assert_allclose(between[::2, ::2, ::2][:90, :90, :90], known[:90, :90, :90], rtol=1e-5)
    middle = (between[40, 100, 100] + between[42, 100, 100]) / 2
    assert between[41, 100, 100] == pytest.approx(middle, rel=1e-5)


def test_an_affine_has_one_determinant(tmp_path):
    heads.write_transform(tmp_path / "x.h5")
    found = jacobian(tmp_path / "x.h5", grid=Grid(affine=np.diag([3.0, 3, 3, 1]), shape=(8, 8, 8)))
    np.testing.assert_allclose(found, np.prod(heads.SCALE), rtol=1e-4)


def test_regions_on_a_grid_of_the_template_keep_their_volume(shipped_regions):
    region = {("thalamus", "L"): shipped_regions["thalamus", "L"], ("vta", "R"): shipped_regions["vta", "R"]}
    volumes = []
    for voxel_mm in (1.0, 1.5, 2.0):
        grid = mni_grid(voxel_mm)
        found = template_regions(region, grid=Grid(affine=grid.affine, shape=grid.shape))
        volumes.append([found[level].weights.sum() * voxel_mm**3 for level in region])
    np.testing.assert_allclose(volumes, [volumes[0]] * 3, rtol=0.015)


def test_a_map_of_another_template_has_totals_and_no_regions(simulated_head, template, config, tmp_path):
    for path in template:
        (tmp_path / path.name.replace("2009cAsym", "6Asym")).write_bytes(path.read_bytes())
    data = read(sorted(tmp_path.iterdir()), config).data
    assert data.gm_ml == pytest.approx(read(template, config).data.gm_ml)
    assert data.regions == {}
    assert data.absent["dlpfc", "L"] is Reason.OTHER_TEMPLATE


def test_the_way_from_another_template_alone_is_said(own, config, tmp_path):
    files = [path for path in own if path.suffix != ".h5"]
    other = tmp_path / "sub-01_from-MNI152NLin6Asym_to-T1w_mode-image_xfm.h5"
    other.touch()
    assert read([*files, other], config).data.absent["s1", "R"] is Reason.OTHER_TEMPLATE
    data = read(files, config).data
    assert (data.regions, data.absent) == ({}, {})
    assert data.gm_ml > 100


def test_maps_of_the_template_without_the_way_there_are_refused(template, config):
    with pytest.raises(InputError, match=f"tissue maps in {MNI} only, .* from-T1w_to-{MNI}") as caught:
        read([path for path in template if path.suffix != ".h5"], config)
    assert caught.value.reason is Reason.NO_TRANSFORM


def test_maps_of_an_unknown_space_are_refused(template, config, tmp_path):
    for path in template:
        (tmp_path / path.name.replace(MNI, "OASIS30ANTs")).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="neither in the person's own space nor in MNI152NLin2009cAsym or") as caught:
        read(sorted(tmp_path.iterdir()), config)
    assert caught.value.reason is Reason.OTHER_TEMPLATE


def test_a_missing_tissue_of_the_template_is_named(template, config):
    with pytest.raises(InputError, match=f"label-CSF_probseg image in the space {MNI} is missing"):
        read([path for path in template if "label-CSF" not in path.name], config)


@pytest.mark.parametrize("program", ["cat12", "freesurfer", "fastsurfer"])
def test_programs_go_through_the_same_door(simulated_head, config, program):
    reading = read(simulated_head.files(program), config)
    assert reading.data.source == program
    assert reading.data.regions["dlpfc", "L"].volume_ml > 1
    assert reading.grid is None
    assert len(reading.files) >= 3


def test_maps_of_the_user_go_through_the_same_door(simulated_head, config):
    path = next(path for path in simulated_head.files("cat12") if path.name.startswith("mwp1"))
    maps = {"pattern": f"{path.parent}/mwp1*.nii", "modulated": True, "tiv_file": None, "tiv_column": None}
    changed = {**config, "structural": {**config["structural"], "gm_maps": maps}}
    reading = read([path], changed, who=("sub-01", None))
    assert (reading.data.source, reading.files) == ("maps", (path,))


def test_the_embedded_path_is_told_by_its_head(own, config, tmp_path):
    for path in own:
        (tmp_path / path.name).symlink_to(path)
    content = '{"Level": "standard", "SkullStripped": true, "Quality": {"template_dice": 0.96}}'
    (tmp_path / "sub-01_desc-preproc_T1w.json").write_text(content)
    files = sorted(path for path in tmp_path.iterdir() if path.suffix != ".json")
    assert source_of(files, config) == "embedded"
    data = read(files, config).data
    assert (data.source, data.level, data.stripped, data.template_dice) == ("embedded", "standard", True, 0.96)


@pytest.mark.parametrize(("asked", "said"), [("cat12", "comes from cat12"), ("auto", "comes from another source")])
def test_a_raw_image_alone_is_no_derivative(config, asked, said):
    changed = {**config, "structural": {**config["structural"], "source": asked}}
    with pytest.raises(InputError, match=said) as caught:
        source_of([Path("sub-01_T1w.nii.gz")], changed)
    assert caught.value.reason is Reason.NO_DERIVATIVE


def confounds(path, **columns):
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def test_the_mean_displacement_of_the_runs_goes_along(own, config, tmp_path, caplog):
    first = confounds(
        tmp_path / "sub-01_task-rest_run-1_desc-confounds_timeseries.tsv",
        rmsd=[np.nan, 5.0, 0.1, 0.3],
        non_steady_state_outlier00=[0, 1, 0, 0],
    )
    second = confounds(
        tmp_path / "sub-01_task-rest_run-2_desc-confounds_regressors.tsv", rmsd=[np.nan, 0.5], csf=[1.0, 2.0]
    )
    assert mean_displacement([first, second]) == pytest.approx(0.3)
    assert math.isnan(mean_displacement([]))
    broken = confounds(tmp_path / "sub-01_task-rest_run-3_desc-confounds_timeseries.tsv", x=[1.0])
    assert mean_displacement([first, second, broken]) == pytest.approx(0.3)
    assert "trans_x is missing" in caplog.text
    reading = read([*own, first], config)
    assert reading.data.fd_mean_mm == pytest.approx(0.2)
    assert first not in reading.files


def test_displacement_is_computed_where_the_table_has_none(tmp_path):
    motion = {name: [0.0, 0.0, 0.0] for name in ("trans_y", "trans_z", "rot_x", "rot_y", "rot_z")}
    path = confounds(tmp_path / "x_desc-confounds_timeseries.tsv", trans_x=[0.0, 0.2, 0.6], **motion)
    assert mean_displacement([path]) == pytest.approx(0.3)


def test_left_and_right_change_places_in_a_mirrored_template(template, config, tmp_path):
    """The maps mirrored, with the identity in place of the way: what was left is right."""
    both = []
    for flipped in (False, True):
        folder = tmp_path / str(flipped)
        folder.mkdir()
        for path in template:
            if path.name.endswith("_probseg.nii.gz"):
                image = nib.load(path)
                data = np.asarray(image.dataobj)
                nib.save(nib.Nifti1Image(data[::-1] if flipped else data, image.affine), folder / path.name)
        write_identity(folder / f"sub-01_from-T1w_to-{MNI}_mode-image_xfm.h5")
        both.append(read(sorted(folder.iterdir()), config).data)
    for name in ("gm_ml", "tiv_ml"):
        assert getattr(both[0], name) == pytest.approx(getattr(both[1], name), rel=1e-6)
    for hemi, other in ("LR", "RL"):
        assert both[1].regions["s1back_mgh", hemi].volume_ml == pytest.approx(
            both[0].regions["s1back_mgh", other].volume_ml, rel=0.02
        )


def write_identity(path):
    import ants

    parts = [ants.create_ants_transform("AffineTransform", dimension=3, matrix=np.eye(3)) for _ in range(2)]
    ants.write_transform(ants.compose_ants_transforms(parts), str(path))
