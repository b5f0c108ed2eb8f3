"""The table of regions and their weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.regions import (
    COLUMNS,
    OPTIONAL,
    Region,
    atlas_path,
    grid_around,
    load_atlas,
    read_regions,
    region_bounds,
    region_weights,
    require,
)
from tests.oracles import structural as oracle

TABLE = Path(__file__).resolve().parents[2] / "config" / "rois.tsv"
SPACE = "MNI152NLin2009cAsym"
MNI_2MM = np.array([[2.0, 0, 0, -96], [0, 2, 0, -132], [0, 0, 2, -78], [0, 0, 0, 1]])
MNI_SHAPE = (97, 115, 97)
NONE = np.empty(0)


@pytest.fixture(scope="module")
def regions():
    return read_regions(TABLE)


def spheres(*points, radius_mm=6.0):
    points = np.array(points, dtype=float)
    return Region(
        roi="test",
        hemi="n/a",
        kind="sphere",
        space=SPACE,
        evidence="design",
        source="n/a",
        points=points,
        radius_mm=np.broadcast_to(radius_mm, len(points)).astype(float),
    )


def tube(vertices, *, radius_mm, inner_mm):
    return Region(
        roi="test",
        hemi="n/a",
        kind="tube",
        space=SPACE,
        evidence="design",
        source="n/a",
        points=np.array(vertices, dtype=float),
        radius_mm=np.full(len(vertices), float(radius_mm)),
        inner_mm=inner_mm,
    )


def millimetre_grid(centre, reach=12):
    affine = np.eye(4)
    affine[:3, 3] = np.array(centre) - reach
    return {"affine": affine, "shape": (2 * reach + 1,) * 3}


def row(**fields):
    defaults = {
        "roi": "test",
        "hemi": "n/a",
        "kind": "sphere",
        "x": "0",
        "y": "1",
        "z": "2",
        "radius_mm": "5",
        "space": SPACE,
        "source": "n/a",
        "evidence": "design",
    }
    return defaults | fields


def write_table(path, *rows, columns=COLUMNS):
    lines = ["\t".join(columns), *("\t".join(str(one.get(column, "n/a")) for column in columns) for one in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("radius_mm", "count"), [(3, 123), (4, 257), (5, 515), (6, 925), (8, 2109)])
def test_spheres_on_voxel_centres_have_the_published_counts(radius_mm, count):
    centre = (-42.0, 31.0, 32.0)
    weights = region_weights(spheres(centre, radius_mm=radius_mm), **millimetre_grid(centre), subsamples=1)
    assert weights.sum() == count
    assert set(np.unique(weights)) == {0.0, 1.0}


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0, 3.0, 4.0])
def test_share_of_voxels_gives_the_volume_of_a_sphere_on_any_grid(voxel_mm):
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = -20.3
    weights = region_weights(
        spheres((0.4, -1.1, 2.3), radius_mm=8.0), affine=affine, shape=(int(45 / voxel_mm),) * 3, subsamples=6
    )
    assert weights.sum() * voxel_mm**3 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.01)


def test_a_union_counts_shared_voxels_once():
    centre = (0.0, 0.0, 0.0)
    grid = millimetre_grid(centre)
    twice = region_weights(spheres(centre, centre), **grid, subsamples=1)
    assert twice.sum() == 925


@pytest.mark.parametrize("seed", range(5))
def test_spheres_agree_with_the_slow_loop_on_oblique_grids(seed):
    rng = np.random.default_rng(seed)
    affine = oblique(rng, voxel_mm=2.3)
    centres = affine[:3, :3] @ rng.uniform(2, 6, 3) + affine[:3, 3] + rng.normal(0, 2, (2, 3))
    region = spheres(*centres, radius_mm=[3.0, 4.5])

    def inside(*point):
        return any(np.linalg.norm(np.subtract(point, c)) <= r for c, r in zip(centres, (3.0, 4.5), strict=True))

    expected = oracle.share_inside(inside, affine=affine, shape=(8, 7, 9), subsamples=3)
    found = region_weights(region, affine=affine, shape=(8, 7, 9), subsamples=3)
    assert expected
    assert_same_weights(found, expected)


def oblique(rng, *, voxel_mm):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation * voxel_mm
    affine[:3, 3] = rng.normal(0, 10, 3)
    return affine


def assert_same_weights(found, expected):
    whole = np.zeros(found.shape)
    for index, share in expected.items():
        whole[index] = share
    np.testing.assert_allclose(found, whole, atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_tubes_agree_with_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    vertices = np.column_stack([rng.normal(0, 1, 4), rng.normal(0, 2, 4), [-5.0, -2.0, 1.0, 6.0]])
    region = tube(vertices, radius_mm=4.5, inner_mm=1.5)

    def inside(*point):
        ends = [(i == 0, i == 2) for i in range(3)]
        distance = min(
            oracle.segment_distance(point, vertices[i], vertices[i + 1], open_start=first, open_end=last)
            for i, (first, last) in enumerate(ends)
        )
        return 1.5 <= distance <= 4.5 and -5 <= point[2] <= 6

    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -9.3
    expected = oracle.share_inside(inside, affine=affine, shape=(9, 9, 9), subsamples=2)
    assert_same_weights(region_weights(region, affine=affine, shape=(9, 9, 9), subsamples=2), expected)


def test_a_straight_tube_has_the_volume_of_its_shell():
    region = tube([(0, 0, -5), (0, 0, 1), (0, 0, 5)], radius_mm=4.5, inner_mm=1.5)
    weights = region_weights(region, **millimetre_grid((0, 0, 0)), subsamples=8)
    assert weights.sum() == pytest.approx(np.pi * (4.5**2 - 1.5**2) * 10, rel=0.01)


def test_the_order_of_vertices_along_the_axis_may_be_reversed():
    vertices = [(0, -27.5, -5), (0, -31, -8), (0, -36, -16)]
    grid = millimetre_grid((0, -31, -10))
    down, up = (region_weights(tube(v, radius_mm=4.5, inner_mm=1.5), **grid) for v in (vertices, vertices[::-1]))
    np.testing.assert_array_equal(down, up)


def test_spheres_agree_with_nilearn(regions):
    from nilearn.maskers import NiftiSpheresMasker

    data = np.random.default_rng(0).random((22, 21, 20)).astype(np.float32)
    for name in (("dlpfc_sem", "R"), ("mpfc", "n/a"), ("vta", "L")):
        region = regions[name]
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        affine[:3, 3] = 2 * np.round(region.points[0] / 2) - 20
        masker = NiftiSpheresMasker([tuple(region.points[0])], radius=region.radius_mm[0], standardize=None)
        expected = masker.fit_transform(nib.Nifti1Image(data, affine)).item()
        weights = region_weights(region, affine=affine, shape=data.shape, subsamples=1)
        assert (data * weights).sum() / weights.sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", [("dlpfc", "L"), ("thalamus", "R")])
def test_labels_agree_with_nearest_resampling_by_nilearn(regions, name):
    from nilearn.image import resample_img

    region = regions[name]
    labels, affine = load_atlas(region.atlas)
    member = nib.Nifti1Image(np.isin(labels, region.labels).astype(np.uint8), affine)
    target = MNI_2MM.copy()
    target[:3, 3] += 0.3
    expected = resample_img(
        member,
        target_affine=target,
        target_shape=MNI_SHAPE,
        interpolation="nearest",
        copy_header=True,
        force_resample=True,
    )
    weights = region_weights(region, affine=target, shape=MNI_SHAPE, subsamples=1)
    np.testing.assert_array_equal(weights, np.asarray(expected.dataobj))


@pytest.mark.parametrize("name", [("dlpfc", "L"), ("thalamus", "R"), ("s1", "L")])
def test_label_weights_keep_the_volume_and_the_side(regions, name):
    region = regions[name]
    labels, _ = load_atlas(region.atlas)
    weights = region_weights(region, affine=MNI_2MM, shape=MNI_SHAPE)
    assert weights.sum() * 8 == pytest.approx(np.isin(labels, region.labels).sum(), rel=1e-6)
    x_mm = MNI_2MM[0, 0] * np.arange(MNI_SHAPE[0]) + MNI_2MM[0, 3]
    centre = np.average(x_mm, weights=weights.sum(axis=(1, 2)))
    assert (centre < -5) if name[1] == "L" else (centre > 5)


@pytest.mark.parametrize("name", [("thalamus", "L"), ("pag", "n/a"), ("dlpfc_sem", "L")])
def test_weights_do_not_depend_on_the_order_of_the_voxels(regions, name):
    upright = region_weights(regions[name], affine=MNI_2MM, shape=MNI_SHAPE)
    flipped = MNI_2MM.copy()
    flipped[0] *= -1  # the first axis now runs from right to left
    flipped[0, 3] = MNI_2MM[0, 0] * (MNI_SHAPE[0] - 1) + MNI_2MM[0, 3]
    other = region_weights(regions[name], affine=flipped, shape=MNI_SHAPE)
    np.testing.assert_allclose(other[::-1], upright, atol=1e-7)
    swapped = MNI_2MM[:, [2, 0, 1, 3]]
    turned = region_weights(regions[name], affine=swapped, shape=tuple(np.array(MNI_SHAPE)[[2, 0, 1]]))
    np.testing.assert_allclose(turned, upright.transpose(2, 0, 1), atol=1e-7)


def test_mirrored_regions_have_mirrored_weights():
    left = region_weights(spheres((-42, 31, 32), (-45, 33, 24)), affine=MNI_2MM, shape=MNI_SHAPE)
    right = region_weights(spheres((42, 31, 32), (45, 33, 24)), affine=MNI_2MM, shape=MNI_SHAPE)
    np.testing.assert_array_equal(left, right[::-1])


def test_what_lies_outside_the_grid_is_left_out(regions):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 500
    assert region_weights(regions["thalamus", "L"], affine=affine, shape=(5, 5, 5)).sum() == 0
    half = spheres((0, 0, 0), radius_mm=5)
    weights = region_weights(half, affine=np.eye(4), shape=(6, 6, 6), subsamples=1)
    assert weights.sum() == sum(x * x + y * y + z * z <= 25 for x in range(6) for y in range(6) for z in range(6))


def test_the_grid_around_a_region_holds_it(regions):
    for name in (("thalamus", "L"), ("pag", "n/a"), ("vmpfc", "n/a")):
        grid = grid_around(region_bounds(regions[name]), voxel_mm=1.0, margin_mm=3.0)
        weights = region_weights(regions[name], affine=grid.affine, shape=grid.shape)
        assert weights[[0, -1]].sum() == weights[:, [0, -1]].sum() == weights[:, :, [0, -1]].sum() == 0
        wide = region_weights(regions[name], affine=MNI_2MM, shape=MNI_SHAPE)
        assert weights.sum() == pytest.approx(wide.sum() * 8, rel=0.01)
        low, high = region_bounds(regions[name])
        assert np.all(low - grid.affine[:3, 3] >= 3)
        assert np.all(high > low)


def test_the_aqueduct_runs_inside_the_pag_on_the_template(regions):
    """The core of the tube is CSF on the template, its shell is tissue: the axis sits where the aqueduct is."""
    file = atlas_path("desikan_killiany", folder=TABLE.parent).parents[1] / "templates"
    template = nib.load(file / "mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz")
    intensity = np.asarray(template.dataobj, dtype=float)
    region = regions["pag", "n/a"]
    grid = {"affine": template.affine, "shape": template.shape, "subsamples": 1}
    shell = region_weights(region, **grid).astype(bool)
    core = region_weights(tube(region.points, radius_mm=1.0, inner_mm=0.0), **grid).astype(bool)
    assert np.median(intensity[core]) < 40  # CSF is 20-30, tissue 65-75 on this image
    assert np.median(intensity[shell]) > 62
    assert 700 < shell.sum() < 1000


def test_the_table_describes_every_column_and_flag():
    described = json.loads(TABLE.with_suffix(".json").read_text())
    header = TABLE.read_text().splitlines()[0].split("\t")
    assert set(header) == set(described)
    letters = {"verified": set("KC"), "unverified": set("UDK"), "design": set("EK")}
    for line in TABLE.read_text().splitlines()[1:]:
        fields = dict(zip(header, line.split("\t"), strict=True))
        assert set(fields["flag"]) <= letters[fields["evidence"]]
        assert fields["space"] == SPACE
        assert (fields["source"] == "n/a") == (fields["flag"] == "U")


def test_regions_that_the_markers_need_are_there(regions):
    needed = [("dlpfc", "L"), ("dlpfc", "R"), ("thalamus", "L"), ("thalamus", "R"), ("pag", "n/a"), ("vmpfc", "n/a")]
    assert set(needed) <= set(regions)
    assert regions["dlpfc", "L"].labels == (1003, 1027)
    assert regions["thalamus", "R"].labels == (49,)
    assert require(regions, needed[:2]) == {name: regions[name] for name in needed[:2]}
    with pytest.raises(InputError, match="lacks basal_ganglia L"):
        require(regions, [("basal_ganglia", "L")])


def test_evidence_of_a_region_is_that_of_its_weakest_row(tmp_path):
    path = write_table(tmp_path / "rois.tsv", row(evidence="verified"), row(x="3", evidence="unverified"))
    assert read_regions(path)["test", "n/a"].evidence == "unverified"


def test_a_users_own_atlas_with_large_ids(tmp_path):
    atlas = np.empty((4, 4, 4), dtype=np.uint16)
    for slab, number in enumerate((3, 127, 128, 300)):
        atlas[slab] = number
    nib.save(nib.Nifti1Image(atlas, np.eye(4)), tmp_path / "mine.nii.gz")
    label = {"kind": "label", "x": "n/a", "y": "n/a", "z": "n/a", "radius_mm": "n/a", "atlas": "mine.nii.gz"}
    names = {"c": "300", "a": "3", "d": "127,128"}
    rows = [row(roi=roi, labels=labels, **label) for roi, labels in names.items()]
    found = read_regions(write_table(tmp_path / "rois.tsv", *rows))
    weights = {roi: region_weights(found[roi, "n/a"], affine=np.eye(4), shape=(4, 4, 4)) for roi in names}
    assert {roi: float(w.sum()) for roi, w in weights.items()} == {"c": 16.0, "a": 16.0, "d": 32.0}
    assert weights["c"][3].all()
    assert weights["d"][1:3].all()
    with pytest.raises(InputError, match=r"test n/a names the label\(s\) 44, which mine.nii.gz does not hold"):
        read_regions(write_table(tmp_path / "rois.tsv", row(labels="3,44", **label)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(kind="cube")], r"line 2: kind must be one of sphere, tube, label; found 'cube'"),
        ([row(hemi="left")], r"line 2: hemi must be one of L, R, n/a; found 'left'"),
        ([row(evidence="sure")], r"line 2: evidence must be one of"),
        ([row(radius_mm="n/a")], r"line 2: radius_mm is empty; a sphere needs it in mm"),
        ([row(radius_mm="0")], r"line 2: radius_mm must be above 0"),
        ([row(), row(x="4,5")], r"line 3: x must be a number in mm, found '4,5'"),
        ([row(y="inf")], r"line 2: y must be a number in mm, found 'inf'"),
        ([row(), row(x="9"), row()], r"line 4: the row of test n/a is a repetition"),
        ([row(hemi="L", x="12")], r"line 2: hemi is L, but x = 12 mm lies on the other side"),
        ([row(hemi="R", x="-12")], r"line 2: hemi is R, but x = -12 mm lies on the other side"),
        ([row(roi="n/a")], r"line 2: roi is empty"),
        ([row(), row(x="9", kind="tube")], r"all rows of a region must have the same kind"),
        ([row(kind="tube", inner_mm="1")], r"a tube needs at least two vertices"),
        ([row(kind="tube"), row(kind="tube", z="9"), row(kind="tube", z="5")], r"only rising or only falling"),
        ([row(kind="tube"), row(kind="tube", z="9", radius_mm="7")], r"must have the same radius_mm and inner_mm"),
        ([row(kind="tube", inner_mm="6"), row(kind="tube", z="9")], r"above inner_mm, found 5"),
        ([row(kind="label", labels="3")], r"a label region needs an atlas"),
        ([row(kind="label", atlas="desikan_killiany", labels="3;4")], r"separated by commas, found '3;4'"),
        ([row(kind="label", atlas="desikan_killiany", labels="10,999")], r"label\(s\) 999"),
        ([row(kind="label", atlas="absent.nii.gz", labels="1")], r"absent.nii.gz: there is no such file"),
        ([], r"expected at least one region"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, message):
    path = write_table(tmp_path / "rois.tsv", *rows)
    with pytest.raises(InputError, match=message) as caught:
        read_regions(path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_column_is_named(tmp_path):
    path = write_table(tmp_path / "rois.tsv", row(), columns=[name for name in COLUMNS if name != "radius_mm"])
    with pytest.raises(InputError, match=r"the column\(s\) radius_mm are missing"):
        read_regions(path)


def test_regions_must_share_a_space(tmp_path):
    path = write_table(tmp_path / "rois.tsv", row(roi="a"), row(roi="b", space="MNI152NLin6Asym"))
    found = read_regions(path)
    with pytest.raises(InputError, match="one space, found MNI152NLin2009cAsym and MNI152NLin6Asym"):
        require(found, list(found))


def test_an_atlas_of_fractions_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 1.5, dtype=np.float32), np.eye(4)), tmp_path / "blurred.nii.gz")
    with pytest.raises(InputError, match="expected whole label numbers"):
        load_atlas(tmp_path / "blurred.nii.gz")
    nib.save(nib.Nifti1Image(np.full((2, 2, 2, 1), 300.0, dtype=np.float32), np.eye(4)), tmp_path / "float.nii.gz")
    assert load_atlas(tmp_path / "float.nii.gz")[0].tolist() == [[[300, 300]] * 2] * 2
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2, 3), dtype=np.uint8), np.eye(4)), tmp_path / "series.nii.gz")
    with pytest.raises(InputError, match="three-dimensional label image"):
        load_atlas(tmp_path / "series.nii.gz")


def test_sectors_of_a_tube_counted_by_hand():
    """A straight tube on voxel centres, radius 1 to 2: of the 12 points of every slice, sectors take the right ones."""
    points = [(x, y) for x in range(-2, 3) for y in range(-2, 3) if 1 <= x * x + y * y <= 4]
    assert len(points) == 12
    grid = {"affine": millimetre_grid((0, 0, 0), reach=4)["affine"], "shape": (9, 9, 9), "subsamples": 1}
    whole = tube([(0, 0, -2), (0, 0, 0), (0, 0, 2)], radius_mm=2, inner_mm=1)
    assert region_weights(whole, **grid).sum() == 12 * 5
    # dorsal is -y; 45 degrees is on (1, -1), 90 on (1, 0), 135 on (1, 1)
    expected = {
        (0, 45): {(0, -1), (0, -2)},
        (45, 90): {(1, -1), (-1, -1)},
        (90, 135): {(1, 0), (2, 0), (-1, 0), (-2, 0)},
        (90, 180): {(1, 0), (2, 0), (-1, 0), (-2, 0), (1, 1), (-1, 1), (0, 1), (0, 2)},
    }
    for sector, wanted in expected.items():
        weights = region_weights(replace(whole, sectors=(sector, sector)), **grid)
        assert {(int(x) - 4, int(y) - 4) for x, y in np.argwhere(weights[:, :, 4])} == wanted
    split = region_weights(replace(whole, sectors=((0, 90), (90, 180))), **grid)
    # the vertex in the middle (z = 0) belongs to the segment below it
    assert [int(split[:, :, 4 + z].sum()) for z in (-2, -1, 0, 1, 2)] == [4, 4, 4, 8, 8]
    reverse = replace(whole, points=whole.points[::-1], sectors=((90, 180), (0, 90)))
    np.testing.assert_array_equal(region_weights(reverse, **grid), split)


def test_the_columns_of_the_pag_are_parts_of_it_and_disjoint(regions):
    """vlPAG and lPAG lie inside the shell and share no point; vlPAG is a quarter of it or so, below z = -10."""
    affine = np.eye(4)
    affine[:3, 3] = (-8, -45, -20)
    grid = {"affine": affine, "shape": (17, 30, 20), "subsamples": 1}
    pag, vlpag, lpag = (region_weights(regions[roi, "n/a"], **grid).astype(bool) for roi in ("pag", "vlpag", "lpag"))
    assert not (vlpag & lpag).any()
    assert not ((vlpag | lpag) & ~pag).any()
    heights = np.flatnonzero(vlpag.any(axis=(0, 1))) - 20
    assert (heights.min(), heights.max()) == (-16, -10)
    assert 0.15 < vlpag.sum() / pag.sum() < 0.4
    for part in (vlpag, lpag):
        np.testing.assert_array_equal(part, part[::-1])


def test_a_label_region_may_end_at_a_coronal_plane(regions):
    """Every point of the anterior hippocampus lies in front of y = -21 mm; with the rest it is the whole."""
    whole, front = regions["hippocampus", "L"], regions["hippocampus_anterior", "L"]
    assert front.y_min == -21
    y_mm = MNI_2MM[1, 1] * np.arange(MNI_SHAPE[1]) + MNI_2MM[1, 3]
    weights = region_weights(front, affine=MNI_2MM, shape=MNI_SHAPE)
    both = region_weights(whole, affine=MNI_2MM, shape=MNI_SHAPE)
    # a voxel of 2 mm around y = -22 reaches to -21: nothing of it is in front
    assert weights[:, y_mm <= -22].sum() == 0
    np.testing.assert_array_equal(weights[:, y_mm >= -20], both[:, y_mm >= -20])
    assert 0 < weights.sum() < both.sum()
    turn = oblique(np.random.default_rng(0), voxel_mm=3.0)
    turn[:3, 3] = np.array([-25, -20, -15]) - turn[:3, :3] @ [8, 8, 8]
    centres = np.stack(np.meshgrid(*[np.arange(17)] * 3, indexing="ij"), axis=-1) @ turn[:3, :3].T + turn[:3, 3]
    slanted, everything = (
        region_weights(region, affine=turn, shape=(17, 17, 17), subsamples=1) for region in (front, whole)
    )
    np.testing.assert_array_equal(slanted, everything * (centres[..., 1] >= -21))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(sector_deg="0-90")], r"of a tube; found '0-90'"),
        ([row(kind="tube", sector_deg="90-20"), row(kind="tube", z="9")], r"line 2: sector_deg must be low-high"),
        ([row(kind="tube", sector_deg="90-190"), row(kind="tube", z="9")], r"line 2: sector_deg must be low-high"),
        (
            [row(kind="tube", sector_deg="9-90"), row(kind="tube", z="9"), row(kind="tube", z="12")],
            r"at every vertex of a tube but the last",
        ),
        ([row(y_min="front")], r"line 2: y_min must be a number in mm, found 'front'"),
    ],
)
def test_sectors_and_bounds_that_make_no_sense(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_regions(write_table(tmp_path / "rois.tsv", *rows, columns=(*COLUMNS, *OPTIONAL)))
