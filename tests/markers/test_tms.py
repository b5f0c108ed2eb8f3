"""Motor-map markers: planted maps, the edge cases of the protocol, invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import griddata

from lbpneuro.errors import Reason, Status
from lbpneuro.kernels import motor_map
from lbpneuro.markers import tms
from lbpneuro.markers.motor_maps import HemisphereMap, MotorMaps, construct
from tests.oracles import neurophysiology as oracle

MUSCLES = ("multifidus_deep", "longissimus")
SETTINGS = {
    "hemispheres": ["L"],
    "muscles": list(MUSCLES),
    "tau": 0.25,
    "site_trials_min": 2,
    "site_trials_flag": 5,
    "bootstrap": 200,
    "estimator": "fitted",
    "tau_low": 0.1,
    "area_rest_uv": 50.0,
    "area_active_sd": 2.0,
    "impute_neighbours_min": 5,
    "lattice": 16,
    "peaks": {"threshold": 0.5, "drop": 0.05, "neighbours_min": 7, "border_lower": True, "support": 0.8},
}
COUNTS = (tms.MAP_SITES_KEPT, tms.MAP_SITES_IMPUTED, tms.MAP_SITES_NEGATIVE)
BOTH_SIDES = (tms.MAP_AREA_ASYMMETRY, tms.MAP_VOLUME_ASYMMETRY)
PEAKS = (tms.N_PEAKS_PUBLISHED, tms.N_PEAKS_STRICT, tms.N_PEAKS_STABLE)
MAP_MARKERS = [marker for marker in tms.MARKERS if marker not in (*COUNTS, *BOTH_SIDES)]


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
    data = maps()
    for marker in tms.MARKERS:
        found = marker.function(data)
        assert set(found) == set(marker.levels(config))
        if marker in MAP_MARKERS:
            assert {estimate.n for estimate in found.values()} == {42 * 6}
        if marker in MAP_MARKERS and marker not in (tms.N_PEAKS_STABLE, tms.OVERLAP_CHANCE_P):
            assert all(estimate.ci_low <= estimate.value <= estimate.ci_high for estimate in found.values())
            assert all(estimate.se >= 0 for estimate in found.values())


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


def test_an_artefact_that_lasts_into_the_response_is_flagged():
    data = maps(hemisphere(tails=frozenset(MUSCLES[:1])))
    areas = tms.map_area(data)
    assert Reason.ARTEFACT_TAIL in areas[MUSCLES[0], "L"].reasons
    assert Reason.ARTEFACT_TAIL not in areas[MUSCLES[1], "L"].reasons
    assert Reason.ARTEFACT_TAIL in tms.overlap_min(data)[("L",)].reasons


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
    for data in (maps(alone), maps(alone, muscles=[MUSCLES[0]])):
        assert all(marker.function(data) == {} for marker in tms.MARKERS if marker.index == ("hemi",))
        assert tms.overlap_share(data) == {}
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
    higher = {"overlap_min", "overlap_bhattacharyya", "overlap_dice", "overlap_share"}
    lower = {"map_volume", "map_volume_low", "map_volume_absolute", "cog_distance", "n_peaks_published"}
    assert {name for name, direction in directions.items() if direction == "higher"} == higher
    assert {name for name, direction in directions.items() if direction == "lower"} == lower
    assert {directions[marker.name] for marker in COUNTS} == {"n/a"}
    primary = [marker.name for marker in tms.MARKERS if marker.tier == "primary"]
    assert primary == ["overlap_min"]
    assert all(marker.evidence != "verified" for marker in tms.MARKERS)


def test_plain_values_are_those_of_the_site_means():
    each = hemisphere()
    data = maps(each, estimator="plain")
    means = each.amplitude.mean(axis=-1)
    for muscle, own in zip(MUSCLES, means, strict=True):
        level = (muscle, "L")
        assert tms.map_volume(data)[level].value == pytest.approx(motor_map.map_volume(own, tau=0.25))
        assert tms.map_area_low(data)[level].value == motor_map.map_area(own, tau=0.1, cell_cm2=1.0)
        assert tms.map_area_absolute(data)[level].se >= 0
        centre = motor_map.centre_of_gravity(own, each.coords_mm, tau=0.25)
        assert tms.cog_x(data)[level].value == pytest.approx(centre[0], rel=1e-12)
    assert tms.overlap_dice(data)[("L",)].value == motor_map.overlap_dice(*means[::-1], tau=0.25)
    shares = tms.overlap_share(data)
    assert shares[MUSCLES[0], "L"].value == motor_map.overlap_share(*means, tau=0.25)
    assert shares[MUSCLES[1], "L"].value == motor_map.overlap_share(*means[::-1], tau=0.25)
    assert tms.overlap_min(data)[("L",)].value < tms.overlap_min(maps(each))[("L",)].value


@pytest.mark.parametrize(("separation_mm", "n_map"), [(0.0, 12), (12.0, 12)])
def test_distance_of_planted_centres(separation_mm, n_map):
    coords, _ = oracle.planted_maps(np.random.default_rng(0))
    half = np.array([0.6, 0.8]) * separation_mm / 2
    means = 300 * np.stack([np.exp(-((coords - [-35, 0] - sign * half) ** 2).sum(axis=1) / 288) for sign in (-1, 1)])
    centres = [motor_map.centre_of_gravity(each, coords, tau=0.25) for each in means]
    planted = np.linalg.norm(centres[0] - centres[1])
    found = [tms.cog_distance(maps(hemisphere(seed, means=means, n_trial=10)))[("L",)] for seed in range(n_map)]
    assert np.mean([each.value for each in found]) == pytest.approx(planted, abs=1)
    assert sum(each.ci_low <= planted <= each.ci_high for each in found) >= n_map - 2


def test_overlap_is_set_against_shuffled_sites():
    data = maps()
    chance, p = tms.overlap_chance(data)[("L",)], tms.overlap_chance_p(data)[("L",)]
    assert chance.ci_low < chance.value < chance.ci_high < tms.overlap_min(data)[("L",)].value
    assert p.value == pytest.approx(1 / 201)


@pytest.mark.parametrize("marker", PEAKS, ids=lambda marker: marker.name)
def test_peaks_are_always_unreliable_and_need_trials_and_a_grid(marker):
    for estimate in marker.function(maps()).values():
        assert estimate.status is Status.FLAG
        assert Reason.LOW_RELIABILITY in estimate.reasons
        assert estimate.value >= 0
    few = marker.function(maps(hemisphere(n_trial=4)))
    assert {each.reasons for each in few.values()} == {(Reason.TOO_FEW_TRIALS,)}
    assert {each.reasons for each in marker.function(maps(walk())).values()} == {(Reason.NO_GRID,)}


def test_a_map_of_two_active_sites_has_no_peaks():
    means = np.zeros((2, 42))
    means[:, [20, 21]] = 300.0
    found = tms.n_peaks_strict(maps(hemisphere(means=means), impute_neighbours_min=9))
    assert {each.reasons for each in found.values()} == {(Reason.TOO_FEW_SITES,)}


def walk(seed=0, **changes):
    """Ninety pulses at places of their own, two hills 10 mm apart, one pulse far outside."""
    rng = np.random.default_rng(seed)
    coords = rng.uniform(-30, 30, (90, 2)) - [30, 0]
    coords[0] = [400.0, 0.0]
    means = 400 * np.stack([np.exp(-((coords - [x, 0]) ** 2).sum(axis=1) / 288) for x in (-35, -25)])
    trials = oracle.planted_trials(rng, means, n_trial=1, log_sd=0.4)
    values = {"muscles": MUSCLES, "amplitude": trials, "response": trials, "threshold": np.full(2, 50.0)}
    return HemisphereMap(
        **{**values, "coords_mm": coords, "unstable": np.zeros(2, dtype=bool), "walk": True, **changes}
    )


@pytest.mark.parametrize("estimator", ["fitted", "plain"])
def test_a_walk_has_surfaces(estimator):
    data = maps(walk(), estimator=estimator, lattice=20)
    for muscle, x in zip(MUSCLES, (-35, -25), strict=True):
        level = (muscle, "L")
        assert tms.cog_x(data)[level].value == pytest.approx(x, abs=4)
        assert tms.cog_y(data)[level].value == pytest.approx(0, abs=4)
        assert tms.map_area_low(data)[level].value == pytest.approx(2 * np.pi * 1.44 * np.log(10), rel=0.5)
        assert tms.cog_x(data)[level].n == 89
        assert tms.map_spread(data)[level].value == pytest.approx(np.sqrt(2) * 12, rel=0.35)
    assert tms.overlap_min(data)[("L",)].value == pytest.approx(0.66, abs=0.15)
    assert tms.overlap_chance(data)[("L",)].reasons == (Reason.NO_GRID,)
    surface = data.single[MUSCLES[0], "L"]
    assert (surface.sd is None) is (estimator == "plain")


def test_the_plain_surface_of_a_walk_is_linear_between_the_pulses():
    each = walk()
    surface = maps(each, estimator="plain", lattice=20).single[MUSCLES[0], "L"]
    expected = griddata(each.coords_mm, each.amplitude[0, :, 0], surface.coords_mm, method="linear")
    alike = np.isclose(surface.draws.maps[0], np.maximum(expected, 0), rtol=1e-6)
    assert alike.mean() > 0.9  # but at the border, where an outlying pulse is left out


def test_sums_over_a_walk_do_not_hang_on_the_lattice():
    coarse, fine = (maps(walk(), lattice=size) for size in (16, 30))
    for function in (tms.map_volume, tms.map_effective_sites, tms.map_volume_absolute, tms.map_area):
        for level, estimate in function(coarse).items():
            assert function(fine)[level].value == pytest.approx(estimate.value, rel=0.12)
    for level, estimate in tms.map_entropy(coarse).items():
        assert tms.map_entropy(fine)[level].value == pytest.approx(estimate.value, abs=0.1)


def test_a_walk_of_few_pulses():
    each = walk()
    few = replace(each, amplitude=each.amplitude[:, :29], response=each.response[:, :29], coords_mm=each.coords_mm[:29])
    assert tms.overlap_min(maps(few))[("L",)].reasons == (Reason.TOO_FEW_SITES,)
    some = replace(
        each, amplitude=each.amplitude[:, :50], response=each.response[:, :50], coords_mm=each.coords_mm[:50]
    )
    assert Reason.FEW_TRIALS in tms.overlap_min(maps(some))[("L",)].reasons


def test_missing_sites_are_filled_and_said():
    each = with_missing(hemisphere(), [20])
    data = maps(each)
    level = (MUSCLES[0], "L")
    assert tms.map_sites_imputed(data)[level].value == 1
    assert Reason.IMPUTED_SITES in tms.map_volume(data)[level].reasons
    never = maps(each, impute_neighbours_min=9)
    assert tms.map_sites_imputed(never)[level].value == 0
    assert Reason.IMPUTED_SITES not in tms.map_volume(never)[level].reasons
    whole = tms.map_volume_absolute(maps())[level].value
    assert tms.map_volume_absolute(data)[level].value == pytest.approx(whole, rel=0.05)
    assert tms.map_volume_absolute(never)[level].value < 0.97 * whole


def test_negative_sites_are_counted():
    each = hemisphere()
    shifted = replace(each, amplitude=each.amplitude - 30.0)
    negative = tms.map_sites_negative(maps(shifted))[(MUSCLES[0], "L")].value
    assert negative == (each.amplitude[0].mean(axis=-1) < 30).sum() > 0


def test_asymmetry_needs_both_hemispheres():
    left, right = hemisphere(0), replace(hemisphere(1), coords_mm=hemisphere(1).coords_mm * [-1, 1])
    both = MotorMaps(maps={"L": left, "R": right}, settings={**SETTINGS, "hemispheres": ["L", "R"]}, seed=1)
    areas = tms.map_area(both)
    for muscle in MUSCLES:
        a, b = (areas[muscle, hemi].value for hemi in "LR")
        found = tms.map_area_asymmetry(both)[(muscle,)]
        assert found.value == pytest.approx((a - b) / (a + b))
        assert found.ci_low <= found.value <= found.ci_high
        assert Reason.CROSSTALK not in found.reasons
        slow = replace(both, maps={"L": left, "R": replace(right, slow=True)})
        assert Reason.LOW_SAMPLING_RATE in tms.map_area_asymmetry(slow)[(muscle,)].reasons
        assert tms.map_volume_asymmetry(maps())[(muscle,)].reasons == (Reason.NOT_ACQUIRED,)


def test_another_pair_is_another_construct():
    named = ("erector_spinae_L5", "erector_spinae_L3")
    data = maps(replace(hemisphere(), muscles=named), muscles=list(named))
    assert Reason.OTHER_CONSTRUCT in tms.overlap_min(data)[("L",)].reasons
    assert Reason.OTHER_CONSTRUCT not in tms.map_area(data)[(named[0], "L")].reasons
    assert Reason.OTHER_CONSTRUCT not in tms.overlap_min(maps())[("L",)].reasons
    assert construct(named) == "one muscle at two levels of the spine"
    assert construct(["FDI", "APB"]) == "a pair of muscles that no cited study mapped"


def test_a_pair_has_the_pulses_that_both_muscles_kept():
    """Otherwise their common scatter from pulse to pulse would be taken for a difference of the maps."""
    each = hemisphere()
    amplitude = each.amplitude.copy()
    amplitude[0, :, 0] = amplitude[1, :, 1] = np.nan
    data = maps(replace(each, amplitude=amplitude))
    both = np.isnan(data.maps["L"].trials(MUSCLES))
    np.testing.assert_array_equal(both[0], both[1])
    assert tms.overlap_min(data)[("L",)].n == 42 * 4
    assert tms.map_area(data)[MUSCLES[1], "L"].n == 42 * 5


def test_muscles_of_different_runs_share_no_pulse():
    each = hemisphere(n_trial=10)
    apart = each.amplitude.copy()
    apart[0, :, :5], apart[1, :, 5:] = np.nan, np.nan
    runs = replace(each, amplitude=apart, response=apart)
    together = tms.overlap_min(maps(each))[("L",)]
    found = tms.overlap_min(maps(runs))[("L",)]
    assert found.value == pytest.approx(together.value, abs=3 * found.se)
    unknown = replace(runs, other_frame=True)
    assert tms.overlap_min(maps(unknown))[("L",)].reasons == (Reason.OTHER_FRAME,)
    assert np.isfinite(tms.map_area(maps(unknown))[(MUSCLES[0], "L")].value)


def test_absolute_area_counts_from_a_stated_amplitude_or_from_the_noise():
    each, level = hemisphere(n_trial=10), (MUSCLES[0], "L")
    stated = [tms.map_area_absolute(maps(replace(each, area_threshold=uv)))[level].value for uv in (50.0, 150.0)]
    assert stated[0] > stated[1] > 0
    from_noise = maps(each).area_threshold("L", MUSCLES[0])
    assert from_noise == pytest.approx(2 * 6.0, rel=0.5)
    assert maps(each, area_active_sd=3.0).area_threshold("L", MUSCLES[0]) == pytest.approx(1.5 * from_noise)


def test_centres_have_a_covariance():
    data, level = maps(), (MUSCLES[0], "L")
    centre, covariance = data.centre_covariance(level)
    assert centre[0] == pytest.approx(tms.cog_x(data)[level].value)
    assert np.sqrt(covariance[1, 1]) == pytest.approx(tms.cog_y(data)[level].se)
    assert maps(hemisphere(intensity_changed=True)).centre_covariance(level) is None
