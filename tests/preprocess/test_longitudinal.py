"""The change within a person: geometry by hand, and two simulated sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.longitudinal import (
    Session,
    WithinPerson,
    halfway,
    label_changes,
    mean_brain,
    middle_regions,
    session,
    spread_errors,
    within_person,
)
from lbpneuro.preprocess.symmetric import Middle, Round
from lbpneuro.simulate.anatomy import AnatomySettings, deformation, pose_affine, rigid_affine, size_affine
from lbpneuro.simulate.heads import head, planted_velocity, true_volumes
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.template import regions
from lbpneuro.simulate.transforms import write_point_map

ROUNDS = (Round(voxel_mm=4.0, steps=4, solves=12, membrane=1.0, bending=100.0, bias_degree=3),)
SETTINGS = AnatomySettings()


def visit(number: int) -> Visit:
    return Visit(person(2, seed=5, effect=0.0), number, 5)


def scanned(number: int, *, loss: float) -> Session:
    made = head(visit(number), loss=loss, voxel_mm=4.0, look="whole", settings=SETTINGS)
    return session(itk_image(made.image, made.grid.affine), itk_image(made.brain > 0.5, made.grid.affine))


@pytest.fixture(scope="module")
def sessions():
    return scanned(1, loss=0.0), scanned(2, loss=20.0)


@pytest.fixture(scope="module")
def found(sessions):
    with ants_session():
        return within_person(*sessions, rounds=ROUNDS)


def test_the_middle_is_half_way():
    forth = rigid_affine(np.array([4.0, -2.0, 6.0, 0.1, -0.05, 0.2]))
    to_first, to_second = halfway(forth, np.linalg.inv(forth))
    np.testing.assert_allclose(to_second @ np.linalg.inv(to_first), forth, atol=1e-9)
    np.testing.assert_allclose(to_first @ to_second, np.eye(4), atol=1e-9)


def test_two_estimates_are_averaged_and_exchange_exactly():
    forth = rigid_affine(np.array([1.0, 0, 0, 0, 0, 0.02]))
    back = rigid_affine(np.array([-1.2, 0, 0.1, 0, 0, -0.024]))
    one, other = halfway(forth, back), halfway(back, forth)
    np.testing.assert_array_equal(one[0], other[1])
    np.testing.assert_array_equal(one[1], other[0])
    assert (one[1] @ np.linalg.inv(one[0]))[0, 3] == pytest.approx(1.1, abs=0.01)


def test_changes_by_hand():
    """Determinants of 1 and 0.9 over a label of 8 voxels of 8 mm³: -0.1 of a mean of 0.95."""
    ones = np.ones((6, 6, 6))
    within = WithinPerson(
        first=ones,
        second=0.9 * ones,
        mean=np.ones((6, 6, 6), dtype=np.float32),
        middle=Middle(shape=(6, 6, 6), origin_mm=np.array([1.0, 2.0, 3.0]), voxel_mm=2.0),
        to_first=np.eye(4),
        to_second=np.eye(4),
        rigid_mm=0.0,
        correlation=1.0,
    )
    label, nothing = np.zeros((6, 6, 6)), np.zeros((6, 6, 6))
    label[2:4, 2:4, 2:4] = 1
    changes = label_changes(within, {("a", "L"): label, ("b", "R"): nothing})
    one = changes["a", "L"]
    assert (one.first_ml, one.second_ml) == pytest.approx((0.064, 0.0576))
    assert one.percent == pytest.approx(-100 * 0.1 / 0.95)
    assert np.isnan(one.scatter)
    assert np.isnan(changes["b", "R"].percent)
    assert changes["b", "R"].first_ml == 0
    np.testing.assert_allclose(within.affine[:3], [[2, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3]])
    assert mean_brain(within).spacing == (2.0, 2.0, 2.0)


def test_standard_errors_by_hand():
    """Volumes of 4: z = 2 |percent|; the median of 2, 2, 2, 2, 2, 2, 2, 2, 40 is 2, so that se = 1.4826 * 2 / 2."""
    percent = np.array([1.0, -1, 1, -1, 1, -1, 1, -1, 20])
    volume = np.full(9, 4.0)
    np.testing.assert_allclose(spread_errors(percent, volume), 1.4826)
    assert spread_errors(np.append(percent, 1.0), np.append(volume, 16.0))[-1] == pytest.approx(1.4826 / 2)
    assert np.isnan(spread_errors(percent[:7], volume[:7])).all()
    assert np.isnan(spread_errors(np.append(percent, np.nan), np.append(volume, 0.0))[-1])


def test_a_session_is_scaled_to_its_brain():
    values = np.linspace(0, 50, 1000).reshape(10, 10, 10)
    one = session(itk_image(values, np.eye(4)), itk_image(np.ones((10, 10, 10)), np.eye(4)))
    assert np.quantile(one.values, 0.99) == pytest.approx(100, abs=0.2)
    np.testing.assert_allclose(one.affine, np.eye(4), atol=1e-12)


@pytest.mark.parametrize(("mask", "words"), [(np.zeros((9, 9, 9)), "empty"), (np.ones((9, 9, 8)), "grid of the T1w")])
def test_masks_that_do_not_fit_are_refused(mask, words):
    with pytest.raises(InputError, match=words):
        session(itk_image(np.ones((9, 9, 9)), np.eye(4)), itk_image(mask, np.eye(4)))


def test_a_planted_loss_is_found_and_the_rest_stays(found, tmp_path):
    path = tmp_path / "from-template_to-middle.h5"
    shape = planted_velocity(visit(1), loss=10.0, settings=SETTINGS)
    pose = pose_affine(visit(1)) @ size_affine(visit(1), SETTINGS)
    write_point_map(path, deformation(shape, np.linalg.inv(found.to_first) @ pose)[0])
    before, after = (true_volumes(visit(1), loss=loss, settings=SETTINGS) for loss in (0.0, 20.0))
    changes = label_changes(found, middle_regions(found, {key: regions()[key] for key in before}, transform=path))
    true = {key: 200 * (after[key][0] - before[key][0]) / (after[key][0] + before[key][0]) for key in before}
    assert true["dlpfc", "L"] < -18
    assert true["thalamus", "R"] < -18
    assert changes["dlpfc", "L"].percent == pytest.approx(true["dlpfc", "L"], rel=0.25)
    assert 0.6 < changes["thalamus", "R"].percent / true["thalamus", "R"] < 1.1  # voxels of 4 mm blur its border
    intact = [key for key in true if abs(true[key]) < 1]
    assert len(intact) > 6
    assert np.median([abs(changes[key].percent - true[key]) for key in intact]) < 2
    assert 0 < changes["thalamus", "R"].scatter < 4


def test_exchanging_the_sessions_exchanges_the_determinants(found, sessions):
    with ants_session():
        back = within_person(*sessions[::-1], rounds=ROUNDS)
    np.testing.assert_array_equal(back.first, found.second)
    np.testing.assert_array_equal(back.second, found.first)
    np.testing.assert_array_equal(back.mean, found.mean)
    np.testing.assert_array_equal(back.affine, found.affine)


def test_two_contrasts_are_refused(sessions):
    first = sessions[0]
    turned = Session(values=120 - first.values, brain=first.brain, affine=first.affine)
    with ants_session(), pytest.raises(QualityError, match="correlate by"):
        within_person(first, turned, rounds=[replace(ROUNDS[0], steps=1, solves=2)])
