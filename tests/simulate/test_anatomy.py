"""A person's head: tissue maps, planted volumes, and a segmentation error of the stated size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lbpneuro.simulate.anatomy import (
    RESCAN_CV,
    AnatomySettings,
    anatomy,
    anatomy_truth,
    region_in_native,
    rigid_affine,
    segmentation,
    t1w_intensity,
    template_space,
    volume_changes,
)
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.template import ATROPHY_REGIONS, region_fine, template

COARSE_MM = 6.0


def visit(number: int = 1, *, effect: float = 1.0, session: int = 0) -> Visit:
    return Visit(person(number, seed=21, effect=effect), session, 21)


@pytest.fixture(scope="module")
def head():
    return anatomy(visit(), voxel_mm=COARSE_MM, settings=AnatomySettings())


def test_probabilities_are_probabilities(head):
    assert head.probabilities.min() >= 0
    assert head.probabilities.sum(axis=0).max() <= 1 + 1e-5
    np.testing.assert_allclose(head.gm + head.wm + head.csf, head.brain, atol=1e-5)


def test_the_whole_brain_is_in_the_image(head):
    for axis in range(3):
        ends = np.take(head.brain, [0, -1], axis=axis)
        assert ends.max() == 0


def test_volumes_are_those_of_adults():
    volumes = []
    for one in map(visit, range(1, 9)):
        rows = anatomy_truth(one, anatomy(one, voxel_mm=8.0, settings=AnatomySettings()))
        sides = {(row.get("roi"), row.get("hemi")): row["value"] for row in rows if row["marker"] == "gm_volume"}
        ratios = [sides[roi, "L"] / sides[roi, "R"] for roi in ("dlpfc", "thalamus")]
        volumes.append({row["marker"]: row["value"] for row in rows} | {"sides": ratios})
    tiv = np.array([each["tiv"] for each in volumes])
    assert all(0.75 < ratio < 1.35 for each in volumes for ratio in each["sides"])
    assert 1000 < tiv.min() < tiv.max() < 2000
    assert all(350 < each["gm_total_ratio"] < 550 for each in volumes)


def test_planted_change_of_a_region_is_found_in_the_person():
    """The same person with and without atrophy: the volume ratio is the planted one."""
    plain = AnatomySettings(patient={"dlpfc": 0.0, "thalamus": 0.0})
    planted = AnatomySettings(patient={"dlpfc": -0.1, "thalamus": -0.1})
    before, after = (
        {
            (row["roi"], row["hemi"]): row["value"]
            for row in anatomy_truth(visit(), anatomy(visit(), voxel_mm=4.0, settings=settings))
            if row["marker"] == "gm_volume"
        }
        for settings in (plain, planted)
    )
    for key in ATROPHY_REGIONS:
        assert np.log(after[key] / before[key]) == pytest.approx(-0.1, abs=0.03), key
    assert before["thalamus", "L"] > 4  # the label, of which a segmentation finds a part
    for key in (("s1", "L"), ("hippocampus", "R"), ("s1back_mgh", "L")):
        assert after[key] == pytest.approx(before[key], rel=0.02), key


def test_spheres_have_their_volume_in_the_template():
    for roi, mm in (("s1back_mgh", 4), ("s1trunk_hcp", 6)):
        shares, _ = region_fine((roi, "L"))
        assert shares.sum() == pytest.approx(4 / 3 * np.pi * mm**3, rel=0.01)


def test_effect_zero_plants_nothing_in_patients():
    settings = AnatomySettings()
    null, full = (volume_changes(visit(effect=effect), settings) for effect in (0.0, 2.0))
    for key in ATROPHY_REGIONS:
        assert full[key] - null[key] == pytest.approx(2 * settings.patient[key[0]])


def test_segmentation_error_has_the_stated_size(head):
    """Relative error over many rescans of one head: no bias, the standard deviation of RESCAN_CV."""
    regions = {key: region_in_native(key, head) for key in ATROPHY_REGIONS}
    errors = []
    for number in range(1, 201):
        maps = segmentation(visit(number), head.to_template, grid=head.grid, shares=(head.brain, head.gm, head.wm))
        tiv, gm = maps.sum() / head.brain.sum() - 1, maps[0].sum() / head.gm.sum() - 1
        local = [(maps[0] * share).sum() / (head.gm * share).sum() - 1 for share in regions.values()]
        errors.append([tiv, gm, *local])
    found = np.std(errors, axis=0, ddof=1)
    stated = [RESCAN_CV["tiv"], RESCAN_CV["gm_total"], *(RESCAN_CV[roi] for roi, _ in ATROPHY_REGIONS)]
    np.testing.assert_allclose(found, stated, rtol=0.15)
    assert np.abs(np.mean(errors, axis=0) / found).max() < 0.25
    relative = 1 + np.array(errors)[:, -2:]  # the thalami err together: a rescan makes nobody asymmetric
    assert np.mean(np.abs(np.log(relative[:, 0] / relative[:, 1])) > np.log(1.25)) < 0.01


def test_segmentation_leaves_its_input_alone(head):
    shares = tuple(volume.copy() for volume in (head.brain, head.gm, head.wm))
    for volume in shares:
        volume.setflags(write=False)
    first = segmentation(visit(), head.to_template, grid=head.grid, shares=shares)
    np.testing.assert_array_equal(first, head.probabilities)


def test_t1w_separates_tissues(head):
    image = t1w_intensity(head, np.random.default_rng(1), raw=True)
    means = [image[share > 0.8].mean() for share in (head.csf, head.gm, head.wm)]
    assert means[0] < 0.75 * means[1] < 0.75 * means[2]
    assert image[head.brain == 0].max() > 60  # scalp


def test_template_space_brings_the_brain_back(head):
    back = template_space(head.gm, head)
    source = template(COARSE_MM)
    assert np.corrcoef(back.ravel(), (source.gm * source.brain).ravel())[0, 1] > 0.95


def test_sessions_differ_in_pose_not_in_size():
    first, second = (anatomy(visit(session=number), voxel_mm=8.0, settings=AnatomySettings()) for number in (1, 2))
    assert np.abs(first.gm - second.gm).max() > 0.1
    assert first.brain.sum() == pytest.approx(second.brain.sum(), rel=2e-3)


def test_rigid_affines_turn_as_named():
    quarter = np.pi / 2
    turned = rigid_affine(np.array([[0, 0, 0, quarter, 0, 0], [0, 0, 0, 0, quarter, 0], [1, 2, 3, 0, 0, quarter]]))
    np.testing.assert_allclose(turned[0] @ [0, 1, 0, 1], [0, 0, 1, 1], atol=1e-12)
    np.testing.assert_allclose(turned[1] @ [0, 0, 1, 1], [1, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turned[2] @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AnatomySettings().brain_sd = 1.0  # type: ignore[misc]
