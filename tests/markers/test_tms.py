"""Motor-map markers: planted maps, the edge cases of the protocol, invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.kernels import motor_map
from lbpneuro.markers import tms
from lbpneuro.markers.tms import HemisphereMap, MotorMaps
from tests.oracles import neurophysiology as oracle

MUSCLES = ("multifidus_deep", "longissimus")
SETTINGS = {
    "hemispheres": ["L"],
    "muscles": list(MUSCLES),
    "tau": 0.25,
    "site_trials_min": 2,
    "site_trials_flag": 5,
    "bootstrap": 200,
}
MAP_MARKERS = [marker for marker in tms.MARKERS if marker is not tms.MAP_SITES_KEPT]


def hemisphere(seed=0, *, means=None, n_trial=6, **changes):
    rng = np.random.default_rng(seed)
    coords, planted = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, planted if means is None else means, n_trial=n_trial, log_sd=0.5)
    values = {
        "muscles": MUSCLES,
        "amplitude": trials,
        "response": trials,
        "threshold": np.full(2, 50.0),
        "coords_mm": coords,
        "unstable": np.zeros(2, dtype=bool),
    }
    return HemisphereMap(**{**values, **changes})


def maps(each=None, **settings):
    return MotorMaps(maps={"L": each or hemisphere()}, settings={**SETTINGS, **settings}, seed=1)


def with_missing(each, sites):
    holed = {name: getattr(each, name).copy() for name in ("amplitude", "response")}
    for array in holed.values():
        array[:, sites] = np.nan
    return replace(each, **holed)


def test_values_are_near_the_planted_ones():
    rng = np.random.default_rng(0)
    coords, planted = oracle.planted_maps(rng)
    found = {marker.name: marker.function(maps(hemisphere(n_trial=200))) for marker in tms.MARKERS}
    assert found["overlap_min"][("L",)].value == pytest.approx(motor_map.overlap_min(*planted, tau=0.25), abs=0.03)
    for muscle, means in zip(MUSCLES, planted, strict=True):
        level = (muscle, "L")
        volume = motor_map.map_volume(means, tau=0.25)
        centre = motor_map.centre_of_gravity(means, coords, tau=0.25)
        assert found["map_area"][level].value == pytest.approx(motor_map.map_area(means, tau=0.25, cell_cm2=1), abs=1.5)
        assert found["map_volume"][level].value == pytest.approx(volume, rel=0.06)
        assert found["cog_x"][level].value == pytest.approx(centre[0], abs=1)
        assert found["cog_y"][level].value == pytest.approx(centre[1], abs=1)
        assert found["map_sites_kept"][level].value == 42


def test_area_has_the_cells_of_the_grid():
    each = hemisphere()
    one = tms.map_area(maps(each))
    finer = tms.map_area(maps(replace(each, coords_mm=each.coords_mm * 0.763)))
    for level, estimate in one.items():
        assert finer[level].value == pytest.approx(0.763**2 * estimate.value, rel=1e-3)
        assert finer[level].se == pytest.approx(0.763**2 * estimate.se, rel=1e-3)


def test_every_level_is_there():
    config = {"tms": SETTINGS}
    for marker in tms.MARKERS:
        assert set(marker.function(maps())) == set(marker.levels(config))
        for estimate in marker.function(maps()).values():
            if marker is not tms.MAP_SITES_KEPT:
                assert estimate.ci_low <= estimate.value <= estimate.ci_high
                assert estimate.se > 0
                assert estimate.n == 42 * 6


@pytest.mark.parametrize("marker", MAP_MARKERS, ids=lambda marker: marker.name)
def test_noise_only_map_is_no_map(marker):
    silent = hemisphere(means=np.zeros((2, 42)))
    for estimate in marker.function(maps(silent)).values():
        assert (estimate.status, estimate.reasons) == (Status.FAIL, (Reason.NO_MAP,))


def test_one_silent_muscle_spares_the_other():
    planted = oracle.planted_maps(np.random.default_rng(0))[1] * [[1.0], [0.0]]
    data = maps(hemisphere(means=planted))
    found = tms.map_area(data)
    assert found[("multifidus_deep", "L")].status in (Status.OK, Status.FLAG)
    assert found[("longissimus", "L")].reasons == (Reason.NO_MAP,)
    assert tms.overlap_min(data)[("L",)].reasons == (Reason.NO_MAP,)


@pytest.mark.parametrize("marker", MAP_MARKERS, ids=lambda marker: marker.name)
def test_a_fifth_of_the_grid_may_be_missing(marker):
    each = hemisphere()
    corners = [0, 5, 36, 41, 35, 30, 6, 11]
    assert all(np.isfinite(found.value) for found in marker.function(maps(with_missing(each, corners))).values())
    for estimate in marker.function(maps(with_missing(each, [*corners, 40]))).values():
        assert (estimate.status, estimate.reasons) == (Status.FAIL, (Reason.TOO_FEW_SITES,))


def test_sites_with_one_trial_are_missing():
    each = hemisphere()
    amplitude = each.amplitude.copy()
    amplitude[:, 4, 1:] = np.nan
    data = maps(replace(each, amplitude=amplitude))
    assert tms.map_sites_kept(data)[("longissimus", "L")].value == 41


def test_negative_site_means_are_inactive():
    each = hemisphere()
    shifted = replace(each, amplitude=each.amplitude - 5.0)
    assert np.isfinite(tms.map_volume(maps(shifted))[("longissimus", "L")].value)


def test_map_at_the_border_is_flagged():
    coords, _ = oracle.planted_maps(np.random.default_rng(0))
    inside = np.exp(-((coords - [-35, 0]) ** 2).sum(axis=1) / (2 * 6.0**2)) * 300
    beyond = np.exp(-((coords - [-10, 0]) ** 2).sum(axis=1) / (2 * 12.0**2)) * 300
    found = tms.map_area(maps(hemisphere(means=np.stack([inside, beyond]))))
    assert Reason.MAP_TRUNCATED not in found[("multifidus_deep", "L")].reasons
    assert Reason.MAP_TRUNCATED in found[("longissimus", "L")].reasons


def test_flags_of_quality():
    each = hemisphere(n_trial=4, crosstalk=True, unstable=np.array([True, False]))
    overlap = tms.overlap_min(maps(each))[("L",)]
    assert {Reason.FEW_TRIALS, Reason.CROSSTALK, Reason.UNSTABLE_BACKGROUND} <= set(overlap.reasons)
    area = tms.map_area(maps(each))
    assert Reason.UNSTABLE_BACKGROUND in area[("multifidus_deep", "L")].reasons
    assert Reason.UNSTABLE_BACKGROUND not in area[("longissimus", "L")].reasons
    assert Reason.CROSSTALK not in area[("multifidus_deep", "L")].reasons


def test_many_rejected_and_slowly_sampled_trials_are_flagged():
    few, many = {MUSCLES[0]: 0.30}, {MUSCLES[0]: 0.31}
    found = [tms.map_area(maps(hemisphere(rejected=share, slow=share is many))) for share in (few, many)]
    asked = {Reason.MANY_REJECTED, Reason.LOW_SAMPLING_RATE}
    first, second = ([set(areas[muscle, "L"].reasons) & asked for muscle in MUSCLES] for areas in found)
    assert first == [set(), set()]
    assert second == [asked, {Reason.LOW_SAMPLING_RATE}]
    assert Reason.MANY_REJECTED in tms.overlap_min(maps(hemisphere(rejected=many)))[("L",)].reasons


def test_more_than_a_fifth_of_clipped_trials_is_no_map():
    at_limit, beyond = ({MUSCLES[1]: share} for share in (0.20, 0.21))
    assert Reason.CLIPPED not in tms.map_area(maps(hemisphere(clipped=at_limit)))[MUSCLES[1], "L"].reasons
    areas = tms.map_area(maps(hemisphere(clipped=beyond)))
    assert (areas[MUSCLES[1], "L"].status, areas[MUSCLES[1], "L"].reasons) == (Status.FAIL, (Reason.CLIPPED,))
    assert areas[MUSCLES[0], "L"].status is not Status.FAIL
    assert tms.overlap_min(maps(hemisphere(clipped=beyond)))[("L",)].reasons == (Reason.CLIPPED,)


@pytest.mark.parametrize("marker", MAP_MARKERS, ids=lambda marker: marker.name)
def test_a_map_of_several_intensities_is_none(marker):
    found = marker.function(maps(hemisphere(intensity_changed=True)))
    assert {estimate.reasons for estimate in found.values()} == {(Reason.INTENSITY_CHANGED,)}


def test_one_muscle_alone_has_no_overlap():
    each = hemisphere()
    alone = HemisphereMap(
        muscles=MUSCLES[:1],
        amplitude=each.amplitude[:1],
        response=each.response[:1],
        threshold=each.threshold[:1],
        coords_mm=each.coords_mm,
        unstable=each.unstable[:1],
    )
    data = maps(alone)
    assert tms.overlap_min(data) == {}
    assert set(tms.map_area(data)) == {(MUSCLES[0], "L")}


def test_mirrored_positions_swap_the_hemispheres():
    each = hemisphere()
    mirrored = replace(each, coords_mm=each.coords_mm * [-1, 1])
    both = MotorMaps(maps={"L": each, "R": mirrored}, settings={**SETTINGS, "hemispheres": ["L", "R"]}, seed=1)
    swapped = MotorMaps(maps={"R": mirrored, "L": each}, settings={**SETTINGS, "hemispheres": ["R", "L"]}, seed=1)
    for marker in tms.MARKERS:
        assert marker.function(both) == marker.function(swapped)
    x, y, overlap = tms.cog_x(both), tms.cog_y(both), tms.overlap_min(both)
    for muscle in MUSCLES:
        assert x[(muscle, "L")].value == pytest.approx(-x[(muscle, "R")].value)
        assert y[(muscle, "L")].value == pytest.approx(y[(muscle, "R")].value)
    assert overlap[("L",)].value == pytest.approx(overlap[("R",)].value)


def test_order_of_the_muscles_does_not_matter():
    each = hemisphere()
    turned = replace(each, muscles=MUSCLES[::-1], amplitude=each.amplitude[::-1], response=each.response[::-1])
    one, other = maps(each), maps(turned, muscles=list(MUSCLES[::-1]))
    for marker in tms.MARKERS:
        assert marker.function(one) == marker.function(other)


def test_inputs_are_not_changed():
    each = hemisphere()
    for array in (each.amplitude, each.response, each.coords_mm):
        array.setflags(write=False)
    assert tms.overlap_min(maps(each)) == tms.overlap_min(maps(each))


def test_directions_and_evidence():
    directions = {marker.name: str(marker.direction) for marker in tms.MARKERS}
    assert directions == {
        "overlap_min": "higher",
        "map_area": "contested",
        "map_volume": "lower",
        "cog_x": "contested",
        "cog_y": "contested",
        "map_sites_kept": "n/a",
    }
    assert tms.OVERLAP_MIN.tier == "primary"
    assert all(marker.evidence == "unverified" for marker in MAP_MARKERS)
