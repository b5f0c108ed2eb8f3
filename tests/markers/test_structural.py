"""Gray-matter markers: by hand, gates, recovery of the truth under rescan error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers import structural
from lbpneuro.markers.descriptor import Direction, Tier, evaluate
from lbpneuro.markers.structural import LEVELS, MARKERS, RegionMap, Structural

SETTINGS = {
    "coverage_min": 0.5,
    "tiv_ml": [1000, 2000],
    "gm_fraction": [0.35, 0.55],
    "thalamus_ratio": [0.8, 1.25],
    "rescan_cv": {"tiv": 0.005, "gm_total": 0.01, "dlpfc": 0.02, "thalamus": 0.2},
    "rescan_cv_draft": {"tiv": 0.03, "gm_total": 0.04, "dlpfc": 0.06, "thalamus": 0.25},
}
SHAPE = (4, 4, 4)
VOXEL_MM3 = 1500 * 1000 / 64  # 64 voxels make a brain of 1.5 L


def brain(gm=0.45, wm=0.35, csf=0.2, **changes):
    """A brain of equal voxels whose slabs along the first axis are the four regions."""
    gm, wm, csf = (np.full(SHAPE, share, dtype=np.float32) for share in (gm, wm, csf))
    fields = {
        "gm": gm,
        "wm": wm,
        "csf": csf,
        "voxel_mm3": VOXEL_MM3,
        "regions": {level: slab(gm, number) for number, level in enumerate(LEVELS)},
        "settings": SETTINGS,
    }
    return Structural(**(fields | changes))


def slab(gm, number, *, covered=4):
    weights = np.zeros(SHAPE, dtype=np.float32)
    weights[number] = 1
    inside = np.zeros(SHAPE, dtype=bool)
    inside[number, :covered] = True
    return RegionMap(weights=weights, gm=gm, inside=inside)


def values(function, data):
    return {level: estimate.value for level, estimate in function(data).items()}


def reasons(function, data):
    return {level: estimate.reasons for level, estimate in function(data).items()}


def test_values_counted_by_hand():
    data = brain()
    assert values(structural.tiv, data)[()] == pytest.approx(1500)
    assert values(structural.gm_total, data)[()] == pytest.approx(675)
    assert values(structural.gm_total_ratio, data)[()] == pytest.approx(450)
    for level in LEVELS:  # a slab is a quarter of the brain
        assert values(structural.gm_volume, data)[level] == pytest.approx(675 / 4)
        assert values(structural.gm_volume_ratio, data)[level] == pytest.approx(450 / 4)
        assert values(structural.gm_coverage, data)[level] == 1


def test_counts_and_errors():
    data = brain()
    assert structural.tiv(data)[()].n == 64
    assert structural.tiv(data)[()].se == pytest.approx(7.5)
    assert structural.gm_total(data)[()].se == pytest.approx(6.75)
    assert structural.gm_total_ratio(data)[()].se == pytest.approx(450 * np.hypot(0.01, 0.005))
    volumes, ratios = structural.gm_volume(data), structural.gm_volume_ratio(data)
    assert volumes["dlpfc", "L"].n == 16
    assert volumes["dlpfc", "L"].se == pytest.approx(0.02 * 675 / 4)
    assert volumes["thalamus", "R"].se == pytest.approx(0.2 * 675 / 4)
    assert ratios["thalamus", "R"].se == pytest.approx(112.5 * np.hypot(0.2, 0.005))
    assert ratios["dlpfc", "L"].ci_high == pytest.approx(112.5 + 1.959964 * ratios["dlpfc", "L"].se, rel=1e-3)
    assert structural.gm_total(brain(gm=0.52, wm=0.4, csf=0.08))[()].n == 64


def test_intervals_hold_the_truth_when_the_error_is_large():
    """Of 4000 rescans with a log-normal error of 20 %: 95 % of the intervals, and as many misses on either side."""
    spread = np.sqrt(np.log1p(0.2**2))
    factors = np.exp(spread * np.random.default_rng(0).standard_normal(4000))
    found = [structural._measured(6 * factor, 0.2, n=1) for factor in factors]
    below, above = (np.mean([e.ci_high < 6 for e in found]), np.mean([e.ci_low > 6 for e in found]))
    assert below == pytest.approx(0.025, abs=0.008)
    assert above == pytest.approx(0.025, abs=0.008)
    assert min(e.ci_low for e in found) > 0


def test_draft_maps_have_the_error_of_their_voxel_size():
    data = brain(draft=True)
    assert structural.tiv(data)[()].se == pytest.approx(0.03 * 1500)
    assert structural.gm_total(data)[()].se == pytest.approx(0.04 * 675)
    assert structural.gm_total_ratio(data)[()].se == pytest.approx(450 * np.hypot(0.04, 0.03))
    assert structural.gm_volume(data)["dlpfc", "R"].se == pytest.approx(0.06 * 675 / 4)
    assert structural.gm_volume_ratio(data)["thalamus", "L"].se == pytest.approx(112.5 * np.hypot(0.25, 0.03))


def test_without_a_skull_the_intracranial_volume_is_flagged():
    data = brain(stripped=True)
    for function in (structural.tiv, structural.gm_total_ratio, structural.gm_volume_ratio):
        assert set(reasons(function, data).values()) == {(Reason.SKULL_STRIPPED,)}
    for function in (structural.gm_total, structural.gm_volume):
        assert set(reasons(function, data).values()) == {()}


def test_mirroring_the_brain_swaps_the_sides_exactly():
    rng = np.random.default_rng(1)
    gm = (0.3 + 0.3 * rng.random(SHAPE)).astype(np.float32)
    order = [LEVELS.index((roi, hemi)) for roi in structural.ROIS for hemi in ("R", "L")]
    there = brain(gm=0.45, regions={level: slab(gm, number) for number, level in enumerate(LEVELS)})
    back = brain(gm=0.45, regions={level: slab(gm[order], number) for number, level in enumerate(LEVELS)})
    for function in (structural.gm_volume, structural.gm_volume_ratio, structural.gm_coverage):
        one, two = values(function, there), values(function, back)
        assert {(roi, "LR"[hemi == "L"]): value for (roi, hemi), value in one.items()} == two


def test_the_order_of_the_regions_does_not_matter():
    data = brain()
    turned = replace(data, regions=dict(reversed(data.regions.items())))
    assert values(structural.gm_volume, turned) == values(structural.gm_volume, data)


@pytest.mark.parametrize(
    ("tissues", "ok"),
    [
        ({"gm": 0.45, "wm": 0.35, "csf": 0.2}, True),
        ({"gm": 0.45, "wm": 0.0, "csf": 0.0}, False),
        ({"gm": 0.6, "wm": 0.3, "csf": 0.1}, False),
        ({"gm": 0.3, "wm": 0.5, "csf": 0.2}, False),
        ({"gm": 0.95, "wm": 0.9, "csf": 0.3}, False),
    ],
)
def test_an_implausible_segmentation_gives_no_volumes_but_its_size(tissues, ok):
    data = brain(**tissues)
    size = structural.tiv(data)[()]
    assert size.value == pytest.approx(1500 * sum(tissues.values()), rel=1e-6)
    assert size.status is (Status.OK if ok else Status.FLAG)
    for function in (structural.gm_total, structural.gm_total_ratio, structural.gm_volume, structural.gm_volume_ratio):
        for estimate in function(data).values():
            assert (estimate.status is Status.OK) == ok
            assert estimate.reasons == (() if ok else (Reason.FAILED_QC,))
    assert set(values(structural.gm_coverage, data).values()) == {1.0}


def test_the_limits_belong_to_the_plausible_range():
    smallest = brain(gm=0.5, wm=0.25, csf=0.25, voxel_mm3=1000 * 1000 / 64)
    assert structural.tiv(smallest)[()].value == 1000
    assert structural.tiv(smallest)[()].status is Status.OK
    assert structural.tiv(replace(smallest, voxel_mm3=999 * 1000 / 64))[()].status is Status.FLAG


@pytest.mark.parametrize(("covered", "share"), [(4, 1.0), (3, 0.75), (2, 0.5), (1, 0.25), (0, 0.0)])
def test_coverage_gates_the_region_alone(covered, share):
    data = brain()
    regions = dict(data.regions) | {("dlpfc", "R"): slab(data.gm, 1, covered=covered)}
    data = replace(data, regions=regions)
    assert values(structural.gm_coverage, data)["dlpfc", "R"] == share
    low = share < 0.5
    assert reasons(structural.gm_coverage, data)["dlpfc", "R"] == ((Reason.COVERAGE_TOO_LOW,) if low else ())
    for function in (structural.gm_volume, structural.gm_volume_ratio):
        found = reasons(function, data)
        assert found.pop(("dlpfc", "R")) == ((Reason.COVERAGE_TOO_LOW,) if low else ())
        assert set(found.values()) == {()}


def test_a_region_that_is_nowhere_has_no_coverage():
    data = brain()
    empty = np.zeros((0, 0, 0), dtype=np.float32)
    nowhere = RegionMap(weights=empty, gm=empty, inside=empty.astype(bool))
    data = replace(data, regions=dict(data.regions) | {("thalamus", "L"): nowhere})
    for function in (structural.gm_coverage, structural.gm_volume, structural.gm_volume_ratio):
        estimate = function(data)["thalamus", "L"]
        assert estimate.status is Status.FAIL
        assert estimate.reasons == (Reason.COVERAGE_TOO_LOW,)
        assert function(data)["thalamus", "R"].status is Status.OK


@pytest.mark.parametrize(
    ("left", "right", "flagged"), [(1, 1, False), (1, 0.81, False), (1, 0.79, True), (0.79, 1, True)]
)
def test_thalami_of_unequal_size_are_flagged_and_kept(left, right, flagged):
    data = brain()
    sizes = {("thalamus", "L"): left, ("thalamus", "R"): right}
    regions = {
        level: replace(region, gm=region.gm * np.float32(sizes.get(level, 0.1)))
        for level, region in data.regions.items()
    }
    data = replace(data, regions=regions)
    for function in (structural.gm_volume, structural.gm_volume_ratio):
        found = reasons(function, data)
        expected = (Reason.ASYMMETRIC,) if flagged else ()
        assert found["thalamus", "L"] == found["thalamus", "R"] == expected
        assert found["dlpfc", "L"] == found["dlpfc", "R"] == ()
        assert all(np.isfinite(list(values(function, data).values())))


def test_one_side_alone_is_not_compared():
    data = brain()
    data = replace(data, regions={("thalamus", "L"): data.regions["thalamus", "L"]})
    assert reasons(structural.gm_volume, data) == {("thalamus", "L"): ()}


def test_without_a_transform_there_are_totals_but_no_regions():
    data = brain(regions={})
    assert structural.gm_total(data)[()].status is Status.OK
    for function in (structural.gm_volume, structural.gm_volume_ratio, structural.gm_coverage):
        found = function(data)
        assert set(found) == set(LEVELS)
        assert {e.reasons for e in found.values()} == {(Reason.NO_TRANSFORM,)}


def test_nan_in_one_region_stays_there():
    data = brain()
    spoilt = data.gm.copy()
    spoilt[2, 0, 0] = np.nan
    regions = {level: slab(spoilt, number) for number, level in enumerate(LEVELS)}
    found = reasons(structural.gm_volume, replace(data, regions=regions))
    assert found.pop(("thalamus", "L")) == (Reason.INVALID_INPUT,)
    assert set(found.values()) == {()}


def test_nan_in_a_map_gives_no_totals():
    data = brain()
    spoilt = data.csf.copy()
    spoilt[0, 0, 0] = np.nan
    data = replace(data, csf=spoilt)
    for function in (structural.tiv, structural.gm_total, structural.gm_total_ratio, structural.gm_volume):
        assert {e.reasons for e in function(data).values()} == {(Reason.INVALID_INPUT,)}


def test_inputs_are_only_read():
    data = brain()
    for array in (data.gm, data.wm, data.csf, *(r.weights for r in data.regions.values())):
        array.setflags(write=False)
    for marker in MARKERS:
        assert values(marker.function, data) == values(marker.function, data)


@pytest.mark.parametrize("marker", MARKERS, ids=lambda marker: marker.name)
def test_every_level_has_a_row_within_bounds(marker):
    found = evaluate(marker, brain(), {})
    assert list(found) == list(marker.levels({}))
    assert all(estimate.status is Status.OK for estimate in found.values())


def test_directions_by_region():
    by_name = {marker.name: marker for marker in MARKERS}
    assert by_name["gm_volume"].direction_at(("dlpfc", "L")) is Direction.LOWER
    assert by_name["gm_volume"].direction_at(("thalamus", "R")) is Direction.CONTESTED
    assert by_name["gm_total"].direction_at(()) is Direction.LOWER
    assert by_name["tiv"].direction_at(()) is Direction.NOT_APPLICABLE
    quality = {marker.name for marker in MARKERS if marker.tier is Tier.QUALITY}
    assert quality == {"tiv", "gm_coverage"}


N_SEED = 400


def rescanned(seed):
    """The same brain seen once more: every quantity off by its own rescan error, the truth as in ``brain()``.

    The error of the total gray matter and that of the regions are independent here, since the markers use them apart.
    """
    rng = np.random.default_rng(seed)
    cv = SETTINGS["rescan_cv"]
    data = brain()
    gm = data.gm * (1 + cv["gm_total"] * rng.standard_normal())
    total = 1 + cv["tiv"] * rng.standard_normal()
    rest = total - gm[0, 0, 0]
    errors = {level: 1 + cv[level[0]] * rng.standard_normal() for level in LEVELS}
    regions = {level: replace(region, gm=region.gm * errors[level]) for level, region in data.regions.items()}
    wm, csf = (np.full(SHAPE, share * rest / 0.55) for share in (0.35, 0.2))
    return replace(data, gm=gm, wm=wm, csf=csf, regions=regions)


@pytest.mark.parametrize("marker", [m for m in MARKERS if m.name != "gm_coverage"], ids=lambda marker: marker.name)
def test_the_planted_volume_is_recovered(marker):
    truth = {level: estimate.value for level, estimate in marker.function(brain()).items()}
    scans = [marker.function(rescanned(seed)) for seed in range(N_SEED)]
    for level, planted in truth.items():
        found = [scan[level] for scan in scans]
        error = np.array([estimate.value for estimate in found]) - planted
        covered = np.mean([estimate.ci_low <= planted <= estimate.ci_high for estimate in found])
        assert abs(error.mean()) < np.mean([estimate.se for estimate in found]) / 4
        assert 0.90 <= covered <= 0.98
        spread = np.std(error, ddof=1)
        assert spread == pytest.approx(np.mean([estimate.se for estimate in found]), rel=0.15)
