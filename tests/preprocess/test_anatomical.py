"""The parts of the anatomical path; the whole of it runs in tests/steps/test_preprocess.py."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_to_output

from lbpneuro.errors import Reason
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess.anatomical import brain_unbiased, posteriors, scaled
from lbpneuro.preprocess.anatomy_quality import WORDS, AnatomyError, check_anatomy, template_quality, tissue_quality
from lbpneuro.preprocess.extraction import background, extract_brain, filled, is_skull_stripped, mask_ml, working_head
from lbpneuro.preprocess.itk import ants_session, box_around, coarsened, cropped, uncropped
from lbpneuro.preprocess.levels import LEVELS, Level
from lbpneuro.preprocess.templates import Template, template
from tests.oracles import person

GOOD = {
    "brain_ml": 1500.0,
    "template_correlation": 0.8,
    "template_dice": 0.95,
    "csf_share": 0.2,
    "gm_share": 0.47,
    "wm_share": 0.33,
    "thalamus_ratio": 1.02,
    "gm_to_csf": 1.8,
    "wm_to_gm": 1.3,
}


def cube(size=20, *, voxel_mm=10.0, side=10):
    values = np.zeros((size, size, size), dtype=np.float32)
    values[2 : 2 + side, 2 : 2 + side, 2 : 2 + side] = 1.0
    return itk_image(values, np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0]))


@pytest.mark.parametrize(("side", "volume"), [(9, 729.0), (10, 1000.0), (13, 2197.0)])
def test_the_volume_of_a_mask(side, volume):
    assert mask_ml(cube(side=side)) == pytest.approx(volume)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"brain_ml": 2197.0}, r"brain mask \(mL\) is 2197.00, expected 1000 to 2000.*look|Look at the image"),
        ({"template_correlation": 0.5}, "correlation with the template is 0.50.*cut off"),
        ({"template_dice": 0.8}, r"\(Dice\) is 0.80, expected 0.9 to 1"),
        ({"gm_share": 0.3}, "gray matter as a share of the intracranial volume is 0.30, expected 0.35 to 0.55"),
        ({"wm_share": 0.6}, "white matter .* is 0.60"),
        ({"csf_share": 0.02}, "CSF as a share .* is 0.02"),
        ({"thalamus_ratio": 1.4}, "left to right thalamus is 1.40, expected 0.8 to 1.25"),
        ({"gm_to_csf": 0.7}, "gray matter relative to CSF is 0.70, expected at least 1.08.*is this a T1w image"),
        ({"wm_to_gm": 1.0, "template_dice": 0.7}, "is this a T1w image"),
        ({"template_correlation": float("nan")}, "template is nan"),
    ],
)
def test_implausible_segmentations_are_refused_with_their_numbers(change, words):
    check_anatomy(GOOD, path=Path("T1w.nii.gz"))
    with pytest.raises(AnatomyError, match=words) as caught:
        check_anatomy(GOOD | change, path=Path("T1w.nii.gz"))
    assert "T1w.nii.gz" in str(caught.value)
    assert caught.value.reason == Reason.FAILED_QC
    assert caught.value.quality == pytest.approx(GOOD | change, nan_ok=True)


def test_gates_that_cannot_be_seen_yet_do_not_apply():
    """The volume of the brain is judged before anything else is known, and it alone is named."""
    assert check_anatomy({"brain_ml": 1500.0}, path=Path("T1w.nii.gz")) is None
    with pytest.raises(AnatomyError, match="brain") as caught:
        check_anatomy({"brain_ml": 500.0}, path=Path("T1w.nii.gz"))
    assert caught.value.quality == {"brain_ml": 500.0}
    assert not [words for name, words in WORDS.items() if name != "brain_ml" and words in str(caught.value)]


def test_the_largest_piece_is_kept_and_filled():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1:6, 1:6, 1:6] = True
    mask[3, 3, 3] = False
    mask[8, 8, 8] = True
    found = filled(mask, like=itk_image(np.zeros((9, 9, 9)), np.eye(4))).numpy()
    assert found.sum() == 125
    assert found[3, 3, 3] == 1
    assert found[8, 8, 8] == 0


def test_scaling_by_hand():
    values = np.linspace(0, 50, 1000, dtype=np.float32).reshape(10, 10, 10)
    values[0, 0, 0] = -5
    found = scaled(itk_image(values, np.eye(4)), mask=itk_image(np.ones((10, 10, 10)), np.eye(4))).numpy()
    assert found.min() == 0
    assert np.quantile(found, 0.99) == pytest.approx(100, abs=0.1)


def test_coarsening_keeps_the_sum_of_a_blob_and_never_refines():
    points = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)
    blob = itk_image(np.exp(-((points - 20) ** 2).sum(axis=-1) / 40), np.eye(4))
    found = coarsened(blob, 4.0)
    assert found.spacing == pytest.approx((4.0, 4.0, 4.0))
    assert found.sum() * 64 == pytest.approx(blob.sum(), rel=0.02)
    assert coarsened(found, 3.0) is found


@pytest.mark.parametrize("stripped", [True, False])
@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_stripped_and_whole_heads_are_told_apart(tmp_path, someone, stripped, shift):
    """Also where the empty background is not 0."""
    path = person.write_t1w(someone, tmp_path / "T1w.nii.gz", stripped=stripped)
    image = nib.load(path)
    nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float32) + np.float32(shift), image.affine), path)
    head = working_head(path, 4.0)
    _, points = person.grid(low=(-102.0, -135.0, -100.0), size=head.image.shape)
    brain = someone.source.at("brain", person.apply(someone.to_template, points)).reshape(head.image.shape)
    near = itk_image(brain > 0.02, np.diag([4.0, 4, 4, 1]))
    assert is_skull_stripped(head.image, near=near) == stripped
    if stripped:
        assert head.content.sum() == pytest.approx((brain > 0.5).sum(), rel=0.01)
        assert head.image.numpy()[brain < 0.4].max() == 0


def test_the_background_is_what_most_of_the_faces_hold(rng):
    data = rng.normal(100, 20, (12, 12, 12)).astype(np.float32)
    assert background(data) == 0.0
    data[:3] = data[-3:] = data[:, :3] = data[:, -3:] = -7.0
    assert background(data) == -7.0


def test_a_part_of_an_image_is_cut_out_and_put_back():
    mask = cube()
    box = box_around(mask, margin=3)
    assert box == ([0, 0, 0], [15, 15, 15])
    part = cropped(mask, box)
    assert part.shape == (15, 15, 15)
    assert part.origin == mask.origin
    assert np.array_equal(uncropped(part, box, like=mask).numpy(), mask.numpy())


def test_overlap_and_correlation_by_hand():
    """A template of 1000 voxels, and a mask of 900 of them: Dice 1800 / 1900."""
    brain = cube() * itk_image(np.arange(8000.0).reshape(20, 20, 20), np.diag([10.0, 10, 10, 1]))
    target = Template(brain=brain, mask=cube(), priors={})
    smaller = cube()
    smaller[2, :, :] = 0
    found = template_quality(brain * -2.0, smaller, target=target)
    assert found["template_dice"] == pytest.approx(1800 / 1900)
    assert found["template_correlation"] == pytest.approx(-1)


def test_tissue_numbers_by_hand():
    """1000 voxels of 1 mL: 200 CSF at 30, 500 GM at 60, 300 WM at 90."""
    order = np.zeros((20, 20, 20), dtype=np.float32)
    order[2:12, 2:12, 2:12] = np.repeat([1.0, 2.0, 3.0], [200, 500, 300]).reshape(10, 10, 10)
    affine = np.diag([10.0, 10, 10, 1])
    tissues = {name: itk_image(order == number, affine) for number, name in enumerate(("CSF", "GM", "WM"), start=1)}
    found = tissue_quality(tissues, t1w=itk_image(30 * order, affine), mask=cube())
    assert found == pytest.approx(
        {
            "brain_ml": 1000,
            "CSF_ml": 200,
            "GM_ml": 500,
            "WM_ml": 300,
            "csf_share": 0.2,
            "gm_share": 0.5,
            "wm_share": 0.3,
            "gm_to_csf": 2.0,
            "wm_to_gm": 1.5,
        },
        rel=1e-5,
    )


def test_the_bias_field_leaves_no_step_at_the_edge_of_the_brain():
    """A bright ball in a ball of the same tissue, under a smooth field: inside and just outside stay alike."""
    points = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing="ij"), axis=-1)
    radius = np.linalg.norm(points - 14.5, axis=-1)
    field = np.exp(0.03 * (points[..., 0] - 14.5))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    head = itk_image(100 * field * (radius < 13), affine)
    found = brain_unbiased(head, mask=itk_image(radius < 9, affine), level=LEVELS["draft"]).numpy()
    inner, outer = found[(radius > 7) & (radius < 9)], found[(radius > 9) & (radius < 11)]
    assert np.median(outer) == pytest.approx(np.median(inner), rel=0.1)
    flat = found[radius < 9]
    assert flat.std(ddof=1) / flat.mean() < 0.5 * (field[radius < 9].std(ddof=1) / field[radius < 9].mean())


def test_tissues_are_found_wherever_the_grid_lies(rng):
    """Origins and axes that files round: a cube of three layers with vague priors."""
    turn = person.rotation([3.3, -1.7, 0.9])
    affine = person.affine(turn, [-101.2345678, 87.6543217, -33.3333333])
    layer = np.repeat([1.0, 2.0, 3.0], 8)[:, None, None] * np.ones((24, 24, 24))
    brain = itk_image(30 * layer + rng.normal(0, 2, layer.shape), affine)
    priors = {name: itk_image(0.2 + 0.4 * (layer == n), affine) for n, name in enumerate(("CSF", "GM", "WM"), start=1)}
    with ants_session():
        found = posteriors(brain, mask=itk_image(np.ones(layer.shape), affine), priors=priors, weight=0.25)
    for number, image in enumerate(found.values(), start=1):
        assert np.mean((image.numpy() > 0.5) == (layer == number)) > 0.98
        assert image.origin == pytest.approx(brain.origin)


def test_a_stripped_image_that_was_resampled_is_a_stripped_image(tmp_path, someone):
    """Splines of the third order leave ripples in the empty background, which are no part of the head."""
    path = person.write_t1w(someone, tmp_path / "T1w.nii.gz", stripped=True)
    image = nib.load(path)
    finer = resample_to_output(image, [3.0, 3.0, 3.0], order=3)
    values = np.maximum(finer.get_fdata(dtype=np.float32), 0)
    nib.save(nib.Nifti1Image(values, finer.affine), tmp_path / "finer.nii.gz")
    first, again = working_head(path, 4.0), working_head(tmp_path / "finer.nii.gz", 3.0)
    assert np.count_nonzero(values) * 27e-3 > 1.5 * first.content_ml
    assert again.content_ml == pytest.approx(first.content_ml, rel=0.08)  # half a voxel of edge on voxels of 4 mm


def test_the_outline_of_a_stripped_image_is_its_mask(tmp_path, someone):
    """The image is 4 mm, the level 6 mm: the mask is that of the image, read at the level's grid."""
    path = person.write_t1w(someone, tmp_path / "T1w.nii.gz", stripped=True)
    coarse = Level(name="coarse", anat_mm=6.0, extraction_mm=6, template_mm=6, maps_mm=6, bias_iterations=(5,))
    head = working_head(path, 6.0)
    assert head.image.spacing == pytest.approx((6, 6, 6))
    with ants_session():
        mask, stripped = extract_brain(head, target=template(6, priors=False), level=coarse)
    assert stripped
    assert mask.shape == head.image.shape
    assert mask_ml(mask) == pytest.approx(head.content_ml, rel=0.03)
