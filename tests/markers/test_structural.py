"""Gray-matter markers: by hand, gates, adjusted volumes, and recovery of the truth under rescan error."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers import scan_anatomy, structural, volume_gates
from lbpneuro.markers.descriptor import Direction, Tier, evaluate
from lbpneuro.markers.tissue import Reference
from tests.markers.structural_person import CV, LEVELS, SETTINGS, person, region, regions, surfaces

BY_NAME = {marker.name: marker for marker in (*structural.MARKERS, *scan_anatomy.MARKERS)}
VOLUMES = (structural.gm_volume, structural.gm_volume_ratio, structural.gm_density)
WHOLE = (structural.gm_total, structural.gm_neocortical, structural.gm_subcortical)
RATIOS = (structural.gm_total_ratio, structural.gm_neocortical_ratio, structural.gm_subcortical_ratio)
STANDARD = CV["embedded_standard"]
THALAMI = (("thalamus", "L"), ("thalamus", "R"))


def values(function, data):
    return {level: estimate.value for level, estimate in function(data).items()}


def reasons(function, data):
    return {level: estimate.reasons for level, estimate in function(data).items()}


def all_reasons(function, data):
    return {estimate.reasons for estimate in function(data).values()}


def changed(data, level, **fields):
    return replace(data, regions=data.regions | {level: replace(data.regions[level], **fields)})


def references(**changes):
    """A cohort in which a volume of 8 mL is expected at 1400 mL and 40 years, with 2 mL / L, -0.1 mL / year."""
    fields = {
        "method": "embedded_standard",
        "coefficients": np.array([8.0, 0.002, -0.1, 0.5]),
        "covariance": np.diag([0.04, 1e-8, 1e-4, 0.09]),
        "tiv_mean": 1400.0,
        "age_mean": 40.0,
        "n": 60,
    }
    reference = Reference(**(fields | changes))
    keys = [("gm_total",), ("gm_neocortical",), *(("gm_volume", *level) for level in LEVELS)]
    return dict.fromkeys(keys, reference)


def someone(**changes):
    return person(age=50.0, male=1.0, reference=references(), **changes)


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_the_levels_are_those_of_maps():
    assert set(structural.LEVELS) == set(LEVELS) == set(scan_anatomy.LEVELS)


def test_values_counted_by_hand():
    data = person()
    assert values(structural.tiv, data)[()] == 1500
    assert [values(function, data)[()] for function in WHOLE] == [675, 520, 60]
    assert [values(function, data)[()] for function in RATIOS] == pytest.approx([450, 1000 * 520 / 1500, 40])
    for level in LEVELS:
        assert values(structural.gm_volume, data)[level] == 10
        assert values(structural.gm_volume_ratio, data)[level] == pytest.approx(10 / 1.5)
        assert values(structural.gm_density, data)[level] == 0.6


def test_counts_and_errors():
    data = person()
    assert structural.tiv(data)[()].n == 64
    assert structural.tiv(data)[()].se == pytest.approx(STANDARD["tiv"] * 1500)
    assert structural.gm_total(data)[()].n == 32
    assert math.isnan(structural.gm_neocortical(data)[()].n)
    assert structural.gm_total_ratio(data)[()].se == pytest.approx(
        450 * np.hypot(STANDARD["gm_total"], STANDARD["tiv"])
    )
    volumes, ratios, density = (function(data) for function in VOLUMES)
    assert volumes["dlpfc", "L"].n == 100
    kinds = {
        "dlpfc": "cortex",
        "dlpfc_sem": "sphere",
        "thalamus": "nucleus",
        "caudate": "nucleus",
        "amygdala": "amygdala",
    }
    for roi, kind in kinds.items():
        assert volumes[roi, "L"].se == pytest.approx(10 * STANDARD[kind])
        assert ratios[roi, "R"].se == pytest.approx(10 / 1.5 * np.hypot(STANDARD[kind], STANDARD["tiv"]))
    assert density["s1", "L"].se == pytest.approx(0.6 * STANDARD["density"])
    assert density["thalamus", "L"].se == pytest.approx(0.6 * STANDARD["nucleus_tissue"])


@pytest.mark.parametrize(
    ("data", "method"),
    [
        (person(level="draft"), "embedded_draft"),
        (person(level="full"), "embedded_full"),
        (person(), "embedded_standard"),
        (person(source="cat12"), "cat12"),
        (surfaces(), "freesurfer"),
    ],
)
def test_every_source_has_its_own_error(data, method):
    assert data.method == method
    assert structural.tiv(data)[()].se == pytest.approx(1500 * CV[method]["tiv"])
    assert data.draft == (method == "embedded_draft")


def test_the_error_of_a_region_goes_before_that_of_its_kind():
    volumes = structural.gm_volume(surfaces())
    assert volumes["thalamus", "L"].se == pytest.approx(10 * 0.061)
    assert volumes["caudate", "L"].se == pytest.approx(10 * 0.016)
    assert volumes["putamen", "L"].se == pytest.approx(10 * CV["freesurfer"]["nucleus"])


def test_what_has_no_known_error_has_none():
    tables = {**CV, "maps": {"evidence": "design", "note": "", "tiv": 0.01}}
    data = person(source="maps", settings=SETTINGS | {"rescan_cv": tables})
    row = structural.gm_volume(data)["dlpfc", "L"]
    assert row.status is Status.OK
    assert math.isnan(row.se)
    assert math.isnan(row.ci_low)


def test_adjusted_volumes_by_hand():
    """Expected at 1500 mL, 50 years, male: 8 + 0.002 * 100 - 0.1 * 10 + 0.5 = 7.7 mL."""
    row = structural.gm_volume_residual(someone())["dlpfc", "L"]
    assert row.value == pytest.approx(2.3)
    fit = 0.04 + 100**2 * 1e-8 + 10**2 * 1e-4 + 0.09
    measured = (10 * STANDARD["cortex"]) ** 2 + (0.002 * 1500 * STANDARD["tiv"]) ** 2
    assert row.se == pytest.approx(np.sqrt(fit + measured))
    assert row.ci_high == pytest.approx(2.3 + 1.959964 * row.se)
    assert structural.gm_total_residual(someone())[()].value == pytest.approx(675 - 7.7)
    assert structural.gm_neocortical_residual(someone())[()].value == pytest.approx(520 - 7.7)


# -- what cannot be given ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reference": {}}, Reason.NO_REFERENCE),
        ({"reference": references(method="cat12")}, Reason.OTHER_METHOD),
        ({"reference": references(method="embedded_full")}, Reason.OTHER_METHOD),
        ({"age": np.nan}, Reason.NO_COVARIATE),
        ({"male": np.nan}, Reason.NO_COVARIATE),
    ],
)
def test_an_adjusted_volume_needs_a_cohort_and_covariates(changes, reason):
    data = replace(someone(), **changes)
    for function in (structural.gm_volume_residual, structural.gm_total_residual, structural.gm_neocortical_residual):
        assert all_reasons(function, data) == {(reason,)}
        assert {estimate.status for estimate in function(data).values()} == {Status.MISSING}


def test_a_source_without_intracranial_volume_has_volumes_alone():
    data = replace(someone(source="maps"), tiv_ml=np.nan)
    assert all_reasons(structural.tiv, data) == {(Reason.NOT_IN_SOURCE,)}
    assert structural.gm_total(data)[()].value == 675
    assert all_reasons(structural.gm_volume, data) == {()}
    for function in (*RATIOS, structural.gm_volume_ratio, structural.gm_volume_residual, structural.gm_total_residual):
        assert all_reasons(function, data) == {(Reason.NOT_IN_SOURCE,)}


def test_surfaces_have_no_spheres_density_or_coverage():
    data = surfaces()
    volumes = structural.gm_volume(data)
    spheres = {level for level in LEVELS if level[0] in ("dlpfc_sem", "s1back_mgh", "s1lumbar_fmri", "s1trunk_hcp")}
    assert {level for level, row in volumes.items() if row.reasons == (Reason.NOT_IN_SOURCE,)} == spheres
    assert {row.status for level, row in volumes.items() if level not in spheres} == {Status.OK}
    for function in (structural.gm_density, scan_anatomy.gm_coverage):
        assert all_reasons(function, data) == {(Reason.NOT_IN_SOURCE,)}
    assert set(values(structural.cortical_thickness, data).values()) == {2.5}
    assert structural.cortical_thickness(data)["dlpfc", "L"].se == pytest.approx(2.5 * CV["freesurfer"]["thickness"])
    assert set(values(structural.thalamic_nucleus_volume, data).values()) == {1.5}
    assert math.isnan(structural.gm_total(data)[()].n)


def test_maps_have_no_thickness_and_no_thalamic_nuclei():
    for function in (structural.cortical_thickness, structural.thalamic_nucleus_volume):
        assert all_reasons(function, person()) == {(Reason.NOT_IN_SOURCE,)}


def test_without_a_transform_there_are_totals_but_no_regions():
    data = person(regions={}, gm_neocortical_ml=np.nan, gm_subcortical_ml=np.nan)
    assert structural.gm_total(data)[()].status is Status.OK
    for function in (*VOLUMES, scan_anatomy.gm_coverage, structural.gm_neocortical, scan_anatomy.thalamus_ratio):
        found = function(data)
        assert {estimate.reasons for estimate in found.values()} == {(Reason.NO_TRANSFORM,)}
        assert {estimate.status for estimate in found.values()} == {Status.FAIL}


def test_a_region_may_have_a_reason_of_its_own():
    level = ("dlpfc", "L")
    data = person(regions={at: one for at, one in regions().items() if at != level})
    other = replace(data, absent={level: Reason.OTHER_TEMPLATE})
    thick = replace(other, regions=other.regions | {level: region(np.nan, thickness_mm=2.4)})
    assert reasons(structural.gm_volume, data)[level] == (Reason.NOT_IN_SOURCE,)
    for each in (other, thick):
        assert reasons(structural.gm_volume, each)[level] == (Reason.OTHER_TEMPLATE,)
        assert structural.gm_volume(each)[level].status is Status.FAIL
    assert structural.cortical_thickness(thick)[level].value == 2.4


def test_nan_in_one_region_stays_there():
    found = reasons(structural.gm_volume, changed(person(), ("thalamus", "L"), volume_ml=np.nan))
    assert found.pop(("thalamus", "L")) == (Reason.INVALID_INPUT,)
    assert set(found.values()) == {()}


def test_what_failed_upstream_leaves_no_volume():
    data = person(failures=(Reason.INVALID_INPUT,), tiv_ml=np.nan)
    for function in (structural.tiv, *WHOLE, *RATIOS, *VOLUMES, structural.gm_volume_residual):
        assert all_reasons(function, data) == {(Reason.INVALID_INPUT,)}


# -- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tiv_ml", "gm_ml", "ok"),
    [
        (1500, 675, True),
        (1000, 450, True),
        (2000, 900, True),
        (1000, 350, True),
        (1000, 550, True),
        (999, 450, False),
        (2001, 900, False),
        (1500, 826, False),
        (1500, 524, False),
    ],
)
def test_an_implausible_segmentation_gives_no_volumes_but_its_size(tiv_ml, gm_ml, ok):
    data = person(tiv_ml=float(tiv_ml), gm_ml=float(gm_ml))
    size = structural.tiv(data)[()]
    assert size.value == tiv_ml
    assert size.status is (Status.OK if ok else Status.FLAG)
    for function in (*WHOLE, *RATIOS, *VOLUMES):
        assert all_reasons(function, data) == {() if ok else (Reason.FAILED_QC,)}
    assert all_reasons(scan_anatomy.gm_coverage, data) == {()}


def test_implausible_surfaces_have_no_thickness():
    assert all_reasons(structural.cortical_thickness, surfaces(tiv_ml=3000.0)) == {(Reason.FAILED_QC,)}


@pytest.mark.parametrize(
    ("rating", "quality", "volume"),
    [
        (80.0, (), ()),
        (75.0, (), ()),
        (74.9, (Reason.MARGINAL_IMAGE,), (Reason.MARGINAL_IMAGE,)),
        (70.0, (Reason.MARGINAL_IMAGE,), (Reason.MARGINAL_IMAGE,)),
        (69.9, (Reason.POOR_IMAGE,), (Reason.POOR_IMAGE,)),
    ],
)
def test_the_rating_of_the_image_flags_and_fails(rating, quality, volume):
    data = person(source="cat12", image_quality=rating)
    row = scan_anatomy.image_quality(data)[()]
    assert (row.value, row.reasons) == (rating, quality)
    status = Status.FAIL if rating < 70 else (Status.FLAG if volume else Status.OK)
    for function in (*WHOLE, *RATIOS, *VOLUMES):
        assert all_reasons(function, data) == {volume}
        assert {estimate.status for estimate in function(data).values()} == {status}


@pytest.mark.parametrize(("dice", "ok"), [(0.95, True), (0.9, True), (0.89, False)])
def test_a_brain_that_misses_the_template_has_no_volumes(dice, ok):
    data = person(template_dice=dice)
    expected = () if ok else (Reason.TEMPLATE_MISFIT,)
    assert scan_anatomy.template_dice(data)[()].reasons == expected
    assert scan_anatomy.template_dice(data)[()].value == dice
    for function in (*WHOLE, *VOLUMES):
        assert all_reasons(function, data) == {expected}


@pytest.mark.parametrize(("moved", "flagged"), [(0.2, False), (0.21, True), (np.nan, False)])
def test_motion_of_the_session_flags_every_volume(moved, flagged):
    expected = {(Reason.MOVING_HEAD,)} if flagged else {()}
    data = person(fd_mean_mm=moved)
    for function in (structural.tiv, *WHOLE, *RATIOS, *VOLUMES):
        assert all_reasons(function, data) == expected
    assert all_reasons(structural.gm_volume_residual, someone(fd_mean_mm=moved)) == expected
    assert all_reasons(structural.cortical_thickness, surfaces(fd_mean_mm=moved)) == expected
    row = scan_anatomy.anat_motion(data)[()]
    assert row.reasons == ((Reason.NOT_ACQUIRED,) if np.isnan(moved) else tuple(*expected))


@pytest.mark.parametrize(
    ("level", "covered", "low"),
    [
        (("dlpfc", "R"), 0.5, False),
        (("dlpfc", "R"), 0.49, True),
        (("dlpfc", "R"), 0.0, True),
        (("s1back_mgh", "L"), 0.6, False),
        (("s1back_mgh", "L"), 0.59, True),
        (("s1trunk_hcp", "L"), 0.59, True),
    ],
)
def test_coverage_gates_the_region_alone(level, covered, low):
    data = changed(person(), level, coverage=covered)
    expected = (Reason.COVERAGE_TOO_LOW,) if low else ()
    assert scan_anatomy.gm_coverage(data)[level].value == covered
    for function in (scan_anatomy.gm_coverage, *VOLUMES):
        found = reasons(function, data)
        assert found.pop(level) == expected
        assert set(found.values()) == {()}


@pytest.mark.parametrize(
    ("left", "right", "unequal"),
    [(10, 10, False), (10, 8.1, False), (10, 7.9, True), (7.9, 10, True), (12.5, 10, False)],
)
def test_thalami_that_cannot_be_have_no_volume_and_flag_the_rest(left, right, unequal):
    data = changed(changed(person(), THALAMI[0], volume_ml=left), THALAMI[1], volume_ml=right)
    ratio = scan_anatomy.thalamus_ratio(data)[()]
    assert ratio.value == pytest.approx(left / right)
    assert ratio.reasons == ((Reason.ASYMMETRIC,) if unequal else ())
    for function in VOLUMES:
        found = function(data)
        assert {found[level].status for level in THALAMI} == {Status.FAIL if unequal else Status.OK}
        assert {found[level].reasons for level in LEVELS} == {(Reason.ASYMMETRIC,) if unequal else ()}
        assert found["dlpfc", "L"].status is (Status.FLAG if unequal else Status.OK)


def test_thalami_by_tissue_probability_are_flagged_and_kept():
    """Their contrast differs between the sides more than their size: it says nothing of the other regions."""
    data = person()
    for level, volume in zip(THALAMI, (3.0, 2.0), strict=True):
        data = changed(data, level, measure="gray_matter", volume_ml=volume)
    found = structural.gm_volume(data)
    assert found["thalamus", "L"].reasons == (Reason.ASYMMETRIC, Reason.TISSUE_IN_NUCLEUS)
    assert found["thalamus", "L"].value == 3
    assert found["thalamus", "L"].se == pytest.approx(3 * STANDARD["nucleus_tissue"])
    assert found["dlpfc", "L"].reasons == ()
    assert Reason.TISSUE_IN_NUCLEUS not in structural.gm_density(data)["thalamus", "L"].reasons


def test_one_thalamus_alone_is_not_compared():
    data = person()
    data = replace(data, regions={level: one for level, one in data.regions.items() if level != ("thalamus", "R")})
    assert not volume_gates.asymmetric(data)
    assert reasons(structural.gm_volume, data)["thalamus", "L"] == ()
    assert all_reasons(scan_anatomy.thalamus_ratio, data) == {(Reason.NOT_IN_SOURCE,)}
    low = changed(person(), ("thalamus", "R"), coverage=0.1, volume_ml=1.0)
    assert not volume_gates.asymmetric(low)
    empty = changed(person(), ("thalamus", "R"), volume_ml=0.0)
    assert all_reasons(scan_anatomy.thalamus_ratio, empty) == {(Reason.INVALID_INPUT,)}


def test_without_a_skull_the_intracranial_volume_is_flagged():
    data = replace(someone(), stripped=True)
    relative = (structural.gm_volume_residual, structural.gm_total_residual)
    for function in (structural.tiv, *RATIOS, structural.gm_volume_ratio, *relative):
        assert all_reasons(function, data) == {(Reason.SKULL_STRIPPED,)}
    for function in (*WHOLE, structural.gm_volume, structural.gm_density):
        assert all_reasons(function, data) == {()}


def test_the_euler_number_is_passed_on():
    assert scan_anatomy.euler_number(surfaces())[()].value == -40
    assert scan_anatomy.euler_number(person())[()].reasons == (Reason.NOT_IN_SOURCE,)


# -- descriptors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", BY_NAME.values(), ids=BY_NAME)
def test_every_level_has_a_row_within_bounds(marker):
    whole = replace(someone(image_quality=90.0, template_dice=0.95, fd_mean_mm=0.1), euler=-10.0)
    rich = replace(whole, regions=whole.regions | dict(list(surfaces().regions.items())))
    found = evaluate(marker, rich, {})
    assert list(found) == list(marker.levels({}))
    known = [estimate for level, estimate in found.items() if estimate.status is not Status.MISSING]
    assert known
    assert {estimate.status for estimate in known} == {Status.OK}


def test_directions_by_region():
    volume = BY_NAME["gm_volume"]
    expected = {
        "dlpfc": Direction.LOWER,
        "mpfc_acc": Direction.LOWER,
        "accumbens": Direction.LOWER,
        "caudate": Direction.HIGHER,
        "thalamus": Direction.CONTESTED,
        "s1": Direction.CONTESTED,
        "s1back_mgh": Direction.CONTESTED,
        "insula": Direction.CONTESTED,
        "amygdala": Direction.CONTESTED,
    }
    assert {roi: volume.direction_at((roi, "L")) for roi in expected} == expected
    assert BY_NAME["gm_total"].direction_at(()) is Direction.LOWER
    assert BY_NAME["cortical_thickness"].direction_at(("s1", "L")) is Direction.CONTESTED
    quality = {marker.name for marker in BY_NAME.values() if marker.tier is Tier.QUALITY}
    assert quality == {"tiv", *(marker.name for marker in scan_anatomy.MARKERS)}


# -- recovery ---------------------------------------------------------------------------------------------------------


def test_intervals_hold_the_truth_when_the_error_is_large():
    """Of 4000 rescans with a log-normal error of 20 %: 95 % of the intervals, and as many misses on either side."""
    spread = np.sqrt(np.log1p(0.2**2))
    factors = np.exp(spread * np.random.default_rng(0).standard_normal(4000))
    found = [volume_gates.measured(6 * factor, 0.2, n=1) for factor in factors]
    below, above = (np.mean([e.ci_high < 6 for e in found]), np.mean([e.ci_low > 6 for e in found]))
    assert below == pytest.approx(0.025, abs=0.008)
    assert above == pytest.approx(0.025, abs=0.008)
    assert min(e.ci_low for e in found) > 0


N_SEED = 400
RECOVERED = (structural.tiv, *WHOLE, *RATIOS, structural.gm_volume, structural.gm_volume_ratio)


def rescanned(seed):
    """The same brain seen once more: every quantity off by its own rescan error, independently."""
    rng = np.random.default_rng(seed)

    def off(value, cv):
        return value * (1 + cv * rng.standard_normal())

    kinds = {"sphere": ("dlpfc_sem", "s1back_mgh"), "cortex": ("dlpfc", "s1"), "nucleus": ("thalamus", "caudate")}
    seen = {
        (roi, hemi): region(off(10.0, STANDARD[kind]), measure="label" if kind == "nucleus" else "gray_matter")
        for kind, rois in kinds.items()
        for roi in rois
        for hemi in "LR"
    }
    totals = {"tiv_ml": off(1500.0, STANDARD["tiv"]), "gm_ml": off(675.0, STANDARD["gm_total"])}
    totals["gm_neocortical_ml"] = off(520.0, STANDARD["gm_neocortical"])
    totals["gm_subcortical_ml"] = off(60.0, STANDARD["gm_subcortical"])
    return person(regions=seen, **totals)


@pytest.fixture(scope="module")
def scans():
    return [rescanned(seed) for seed in range(N_SEED)]


@pytest.mark.parametrize("function", RECOVERED, ids=lambda function: function.__name__)
def test_the_planted_volume_is_recovered(function, scans):
    truth = values(function, person())
    found = [function(scan) for scan in scans]
    levels = [level for level, estimate in found[0].items() if estimate.status is not Status.MISSING]
    assert levels
    for level in levels:
        error = np.array([scan[level].value for scan in found]) - truth[level]
        se = np.mean([scan[level].se for scan in found])
        covered = np.mean([scan[level].ci_low <= truth[level] <= scan[level].ci_high for scan in found])
        assert abs(error.mean()) < se / 4
        assert 0.92 <= covered <= 0.98
        assert np.std(error, ddof=1) == pytest.approx(se, rel=0.15)


def test_the_sides_are_swapped_by_a_mirror():
    rng = np.random.default_rng(1)
    there = person(regions={level: region(10 + rng.random(), density=rng.random()) for level in LEVELS})
    swapped = {(roi, "LR"[hemi == "L"]): one for (roi, hemi), one in there.regions.items()}
    for function in VOLUMES:
        one, two = values(function, there), values(function, replace(there, regions=swapped))
        assert {(roi, "LR"[hemi == "L"]): value for (roi, hemi), value in one.items()} == two
