"""Atlases: the nodes of Seitzman against nilearn, the user's own images in any form, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.atlases import node_series, node_weights, read_atlas, read_atlases, seitzman_nodes
from lbpneuro.io.composites import TransformRecord, write_composite
from lbpneuro.io.files import write_json
from lbpneuro.io.series import Series
from lbpneuro.io.transforms import LPS
from lbpneuro.kernels.voxels import in_mask, voxels_of
from tests.oracles.nodes import write_labels

MNI_2MM = np.array([[2.0, 0, 0, -96], [0, 2, 0, -132], [0, 0, 2, -78], [0, 0, 0, 1]])
SHAPE_2MM = (97, 115, 97)
BOLD = np.array([[4.0, 0, 0, -40], [0, 4, 0, -40], [0, 0, 4, -40], [0, 0, 0, 1]])
NETWORKS = 13
SPACE = "MNI152NLin2009cAsym"


def a_series(rng, *, shape=(20, 20, 20), affine=BOLD, mask=None, n_time=30) -> Series:
    """Noise in every voxel of a mask."""
    inside = np.ones(shape, dtype=bool) if mask is None else mask
    bold = (100 + rng.standard_normal((n_time, int(inside.sum())))).astype(np.float32)
    return Series(
        path=Path("sub-01_task-rest_bold.nii.gz"), bold=bold, mask=inside, mean=bold[:1], affine=affine, t_r=2.0
    )


def blocks(dtype=np.int16) -> np.ndarray:
    """Three blocks with the labels 7, 3 and 1000 (or 100 in small integers), one with a single voxel."""
    data = np.zeros((20, 20, 20), dtype=dtype)
    data[2:6, 2:6, 2:6] = 7
    data[10:14, 2:6, 2:6] = 3
    data[17, 17, 17] = 100
    return data


TABLE = (
    "index\tname\tnetwork\themi\n0\tbackground\tn/a\tn/a\n3\tinsula\tSalience\tL\n"
    "7\tmpfc\tDefaultMode\tn/a\n100\tdot\tn/a\tR\n"
)


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    image = write_labels(tmp_path / f"tpl-{SPACE}_atlas-Own_res-04_dseg.nii.gz", blocks())
    table = tmp_path / f"tpl-{SPACE}_atlas-Own_res-04_dseg.tsv"
    table.write_text(TABLE)
    return image, table


def test_the_nodes_are_those_of_nilearn() -> None:
    from nilearn.datasets import fetch_coords_seitzman_2018

    nodes, peer = seitzman_nodes(), fetch_coords_seitzman_2018(ordered_regions=False)
    np.testing.assert_array_equal(nodes.coords_mm, peer["rois"].to_numpy())
    np.testing.assert_array_equal(nodes.radius_mm, peer["radius"])
    assert list(nodes.networks) == list(peer["networks"])
    assert len(set(nodes.names)) == len(nodes.names) == 300
    assert len(set(nodes.networks) - {"unassigned"}) == NETWORKS
    assert nodes.names[0] == "unassigned_001"


@pytest.mark.parametrize("voxel_mm", [3.0, 4.5])
def test_node_means_are_those_of_nilearn(rng, voxel_mm: float) -> None:
    """On a grid that is turned a little; the brain is a ball, so that outer nodes are cut."""
    from nilearn.maskers import NiftiSpheresMasker

    turned = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.05, -0.03, 0.02) * voxel_mm, [-85, -115, -70])
    shape = tuple(int(170 / voxel_mm) for _ in range(3))
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    mask = np.linalg.norm(places @ turned[:3, :3].T + turned[:3, 3] - [0, -20, 10], axis=-1) < 75
    series = a_series(rng, shape=shape, affine=turned, mask=mask, n_time=5)
    nodes = seitzman_nodes()
    found = node_series(nodes, series, space=SPACE, coverage_min=0.0)
    volume = np.zeros((*shape, 5), dtype=np.float32)
    volume.T[:, mask.T] = series.bold
    images = nib.Nifti1Image(volume, turned), nib.Nifti1Image(mask.astype(np.uint8), turned)
    for radius in (4, 5):
        same = np.flatnonzero((nodes.radius_mm == radius) & (found.coverage > 0))
        masker = NiftiSpheresMasker(nodes.coords_mm[same], radius=radius, mask_img=images[1], allow_overlap=True)
        np.testing.assert_allclose(found.means[:, same], masker.fit_transform(images[0]), rtol=1e-5)


def test_three_hundred_nodes_take_less_than_a_second() -> None:
    mask = np.ones(SHAPE_2MM, dtype=bool)
    begun = time.perf_counter()
    weights, whole = node_weights(seitzman_nodes(), affine=MNI_2MM, mask=mask)
    assert time.perf_counter() - begun < 1.0
    np.testing.assert_array_equal(weights.sum(axis=1), whole)
    # 4 mm in voxels of 8 mm3: 33.5 on average, 5 mm: 65.4
    for radius, expected in ((4, 33.5), (5, 65.4)):
        assert whole[seitzman_nodes().radius_mm == radius].mean() == pytest.approx(expected, rel=0.03)


def test_a_node_that_is_cut_is_covered_in_part(rng) -> None:
    mask = np.ones(SHAPE_2MM, dtype=bool)
    weights, whole = node_weights(seitzman_nodes(), affine=MNI_2MM, mask=mask)
    node = 0
    columns = weights[[node]].indices
    mask[tuple(voxels_of(mask)[columns[: len(columns) // 2]].T)] = False
    series = a_series(rng, shape=SHAPE_2MM, affine=MNI_2MM, mask=mask, n_time=3)
    found = node_series(seitzman_nodes(), series, space=SPACE, coverage_min=0.6)
    assert found.coverage[node] == pytest.approx(1 - (len(columns) // 2) / whole[node])
    assert np.isnan(found.means[:, node]).all()
    assert np.isfinite(found.means[:, 100]).all()


def test_a_node_beyond_the_image_is_not_covered(rng) -> None:
    """The part of a sphere that lies outside the image counts as not covered."""
    series = a_series(rng, affine=BOLD, shape=(20, 20, 20))
    found = node_series(seitzman_nodes(), series, space=SPACE, coverage_min=0.5)
    inside = np.all((seitzman_nodes().coords_mm > -35) & (seitzman_nodes().coords_mm < 30), axis=1)
    beyond = np.any(np.abs(seitzman_nodes().coords_mm) > 50, axis=1)
    assert np.all(found.coverage[inside] == 1)
    assert np.all(found.coverage[beyond] == 0)
    assert np.isnan(found.means[:, beyond]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint16, np.float32])
def test_own_labels_of_any_number_type(tmp_path: Path, own, rng, dtype) -> None:
    image = write_labels(tmp_path / "labels.nii.gz", blocks(dtype))
    atlas = read_atlas("Own", image, own[1])
    assert atlas.names == ("insula", "mpfc", "dot")
    assert atlas.networks == ("Salience", "DefaultMode", "unassigned")
    assert atlas.hemis == ("L", "n/a", "R")
    np.testing.assert_allclose(atlas.coords_mm, [[6, -26, -26], [-26, -26, -26], [28, 28, 28]])
    series = a_series(rng)
    found = node_series(atlas, series, space=None, coverage_min=0.5)
    labels = in_mask(blocks(dtype), series.mask)
    expected = np.stack(
        [series.bold[:, labels == label].mean(axis=1, dtype=np.float64) for label in (3, 7, 100)], axis=1
    )
    np.testing.assert_allclose(found.means, expected, rtol=1e-12)
    np.testing.assert_array_equal(found.coverage, 1)


def test_the_image_is_looked_up_on_any_grid(own, rng) -> None:
    """Every voxel centre of a finer, shifted and flipped grid, one by one."""
    affine = np.array([[-3.0, 0, 0, 37], [0, 3.0, 0, -41], [0, 0, 3.0, -39], [0, 0, 0, 1]])
    mask = rng.uniform(size=(26, 27, 25)) < 0.8
    atlas = read_atlas("Own", *own)
    weights, whole = node_weights(atlas, affine=affine, mask=mask)
    labels = np.zeros(mask.shape, dtype=int)
    for voxel in np.ndindex(*mask.shape):
        mm = affine[:3, :3] @ voxel + affine[:3, 3]
        near = np.floor((mm + 40) / 4 + 0.5).astype(int)
        if np.all((near >= 0) & (near < 20)):
            labels[voxel] = blocks()[tuple(near)]
    for row, label in enumerate((3, 7, 100)):
        np.testing.assert_array_equal(weights[[row]].toarray()[0], in_mask(labels, mask) == label)
        assert whole[row] == np.sum(labels == label)


def test_a_label_without_voxels_is_an_empty_column(own, rng, caplog) -> None:
    own[1].write_text(TABLE + "55\tnowhere\tn/a\tn/a\n")
    atlas = read_atlas("Own", *own)
    found = node_series(atlas, a_series(rng), space=SPACE, coverage_min=0.5)
    assert np.isnan(found.means[:, 3]).all()
    assert found.coverage[3] == 0
    assert np.isnan(atlas.coords_mm[3]).all()
    assert "no voxel has the labels 55" in caplog.text


def test_the_column_of_names_may_be_called_label(own) -> None:
    own[1].write_text("index\tlabel\tnetwork_label\n3\ta\tX\n7\tb\tX\n100\tc\tY\n")
    atlas = read_atlas("Own", *own)
    assert (atlas.names, atlas.networks) == (("a", "b", "c"), ("X", "X", "Y"))


def test_the_table_beside_the_image_and_none_at_all(tmp_path: Path, own) -> None:
    assert read_atlas("Own", own[0]).names == ("insula", "mpfc", "dot")
    alone = write_labels(tmp_path / "alone.nii.gz", blocks())
    assert read_atlas("Own", alone).names == ("label_3", "label_7", "label_100")


def test_probabilities_are_weights(tmp_path: Path, rng) -> None:
    data = np.zeros((20, 20, 20, 2), dtype=np.float32)
    data[2:8, 2:8, 2:8, 0] = rng.uniform(0, 1, (6, 6, 6))
    data[5:9, 2:8, 2:8, 1] = 0.5  # overlaps
    image = write_labels(tmp_path / "atlas-Own_probseg.nii.gz", data)
    table = tmp_path / "own.tsv"
    table.write_text("index\tname\n0\tfirst\n1\tsecond\n")
    atlas = read_atlas("Own", image, table)
    series = a_series(rng)
    found = node_series(atlas, series, space=SPACE, coverage_min=0.5)
    for node in (0, 1):
        expected = np.average(series.bold.astype(np.float64), axis=1, weights=in_mask(data[..., node], series.mask))
        np.testing.assert_allclose(found.means[:, node], expected, rtol=1e-6)
    np.testing.assert_allclose(atlas.coords_mm[1], [-14, -22, -22], atol=1e-5)
    table.write_text("index\tname\n0\tfirst\n")
    with pytest.raises(InputError, match="one row for each of the 2 volumes"):
        read_atlas("Own", image, table)
    with pytest.raises(InputError, match="probabilities of 0 or more"):
        read_atlas("Own", write_labels(tmp_path / "negative.nii.gz", data - 0.5), table)


def test_another_space_is_refused(own, rng, tmp_path: Path) -> None:
    atlas = read_atlas("Own", *own)
    assert atlas.space == SPACE
    with pytest.raises(InputError, match=r"lies in MNI152NLin2009cAsym, but sub-01\S+ in MNI152NLin6Asym"):
        node_series(atlas, a_series(rng), space="MNI152NLin6Asym", coverage_min=0.5)
    node_series(seitzman_nodes(), a_series(rng), space="MNI152NLin6Asym", coverage_min=0.5)
    with pytest.raises(InputError, match="Seitzman300 lies in MNI152, but"):
        node_series(seitzman_nodes(), a_series(rng), space="T1w", coverage_min=0.5)
    stated = write_labels(tmp_path / "stated.nii.gz", blocks())
    write_json(tmp_path / "stated.json", {"SpatialReference": "MNI152NLin6Asym"})
    assert read_atlas("Own", stated, own[1]).space == "MNI152NLin6Asym"


def test_an_atlas_elsewhere_is_refused(own, rng) -> None:
    away = BOLD.copy()
    away[:3, 3] += 500
    with pytest.raises(InputError, match="no node of the atlas Own lies inside the brain mask"):
        node_series(read_atlas("Own", *own), a_series(rng, affine=away), space=SPACE, coverage_min=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number\tname\n3\ta\n", "need the columns index and name; index not found among number, name"),
        (TABLE + "x\ty\tn/a\tn/a\n", "line 6: expected a whole number as index"),
        (TABLE + "3\ty\tn/a\tn/a\n", "line 6: the index 3 is listed twice"),
        (TABLE + "8\tdot\tn/a\tn/a\n", "line 6: the name dot is listed twice"),
        ("index\tname\n3\ta\n7\tb\n", "holds the labels 100, which the table does not name"),
        ("index\tname\n4\ta\n", "holds the labels 3, 7, 100"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(own, text: str, message: str) -> None:
    own[1].write_text(text)
    with pytest.raises(InputError, match=message):
        read_atlas("Own", *own)


def test_an_image_that_is_no_atlas_is_refused(tmp_path: Path, own) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_atlas("Own", tmp_path / "absent.nii.gz")
    with pytest.raises(InputError, match="every voxel is 0"):
        read_atlas("Own", write_labels(tmp_path / "empty.nii.gz", np.zeros((4, 4, 4), dtype=np.int16)))
    with pytest.raises(InputError, match="found fractions"):
        read_atlas("Own", write_labels(tmp_path / "half.nii.gz", np.full((4, 4, 4), 0.5, dtype=np.float32)))


def test_the_atlases_of_a_study(own) -> None:
    settings = {"atlases": {"Own": {"image": str(own[0]), "labels": None}}}
    assert [atlas.name for atlas in read_atlases(settings)] == ["Seitzman300", "Own"]
    assert read_atlases({})[0] is read_atlases(settings)[0]
    with pytest.raises(InputError, match="built-in"):
        read_atlases({"atlases": {"Seitzman300": settings["atlases"]["Own"]}})


def test_a_changed_file_is_read_anew(own) -> None:
    first = read_atlas("Own", *own)
    assert read_atlas("Own", *own) is first
    own[1].write_text(TABLE.replace("mpfc", "acc"))
    assert read_atlas("Own", *own).names == ("insula", "acc", "dot")


MIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "rpn_bochum" / "atlas_relabeled.nii.gz"


@pytest.mark.skipif(not MIST.is_file(), reason="needs ../shared/data/rpn_bochum")
def test_a_real_atlas(tmp_path: Path) -> None:
    """122 regions at 1 mm, flipped left to right, labels as floats; its table names several of them alike."""
    with pytest.raises(InputError, match=r"atlas_relabeled\.tsv, line \d+: the name \w+ is listed twice"):
        read_atlas("MIST", MIST)
    labels = tmp_path / "mist.tsv"
    labels.write_text("index\tname\n" + "".join(f"{label}\tregion_{label}\n" for label in range(1, 123)))
    atlas = read_atlas("MIST", MIST, labels)
    assert np.isfinite(atlas.coords_mm).all()
    mask = np.ones(SHAPE_2MM, dtype=bool)
    weights, whole = node_weights(atlas, affine=MNI_2MM, mask=mask)
    at_1_mm = np.bincount(np.asarray(nib.load(MIST).dataobj).astype(int).ravel(), minlength=123)[1:]
    np.testing.assert_allclose(whole * 8, at_1_mm, rtol=0.1)
    np.testing.assert_array_equal(weights.sum(axis=1), whole)


SHIFT = np.array([3.0, -5.0, 2.0])


@pytest.mark.parametrize("kind", ["spheres", "labels", "probabilities"])
def test_nodes_of_a_native_run_are_found_through_its_transform(tmp_path, rng, own, kind):
    """A run that is moved as a whole: the same as on a grid that is moved back."""
    way = tmp_path / "way.h5"
    parameters = np.concatenate([np.eye(3).ravel(), LPS @ SHIFT])
    record = TransformRecord(kind="AffineTransform_double_3_3", parameters=parameters, fixed=np.zeros(3))
    write_composite(way, [record])
    atlas = seitzman_nodes()
    if kind == "labels":
        atlas = read_atlas("Own", *own)
    if kind == "probabilities":
        data = np.stack([(blocks() == label) * 0.7 for label in (3, 7)], axis=-1).astype(np.float32)
        nib.save(nib.Nifti1Image(data, BOLD), tmp_path / f"tpl-{SPACE}_probseg.nii.gz")
        atlas = read_atlas("Own", tmp_path / f"tpl-{SPACE}_probseg.nii.gz")
    affine = BOLD.copy()
    affine[:3, 3] -= [8.0, 0, 0]  # what lies in the first voxels of the image is cut off
    native = a_series(rng, affine=affine)
    moved = affine.copy()
    moved[:3, 3] += SHIFT
    weights, whole = node_weights(atlas, affine=affine, mask=native.mask, transform=way)
    expected, expected_whole = node_weights(atlas, affine=moved, mask=native.mask)
    known = expected.sum(axis=1) > 0
    assert known.sum() > 1
    np.testing.assert_allclose(weights.toarray()[known], expected.toarray()[known])
    np.testing.assert_allclose(whole[known], expected_whole[known])
    found = node_series(atlas, native, space=SPACE, coverage_min=0.5, transform=way)
    there = a_series(rng, affine=moved)
    np.testing.assert_allclose(found.coverage, node_series(atlas, there, space=SPACE, coverage_min=0.5).coverage)
