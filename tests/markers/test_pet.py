"""What the markers of TSPO-PET make of a scan, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.kernels.pet import decay_constant
from lbpneuro.kernels.pet_models import frame_means, integral_to
from lbpneuro.markers import pet
from lbpneuro.markers.descriptor import Direction, evaluate
from lbpneuro.markers.pet import Affinity, Pet, Plasma
from lbpneuro.registry import family
from lbpneuro.simulate import pet_kinetics

CONFIG = read_config()
SETTINGS = CONFIG["pet"]
LEVELS = [*pet.uptake_levels(CONFIG)]
THALAMUS, OCCIPITAL, BRAIN = ("thalamus", "n/a"), ("occipital", "n/a"), ("whole_brain", "n/a")
BLOOD_VOLUME = 0.05


def rates(k3: float) -> list[float]:
    return [0.12, 0.12, k3, 0.045]


def scan(*, noise: float = 0.0, seed: int = 1, **changes: Any) -> Pet:
    """A scan whose thalamus binds more than the rest."""
    frames, given = pet_kinetics.dynamic_frames(), pet_kinetics.arterial_input()
    binding = [0.16 if level[0] == "thalamus" else 0.08 for level in LEVELS]
    whole = pet_kinetics.two_tissue_curves([rates(k3) for k3 in binding], given=given, blood_volume=BLOOD_VOLUME)
    curves = 1e3 * pet_kinetics.sampled(whole, given=given, frames=frames)
    rng = np.random.default_rng(seed)
    curves *= 1 + noise * rng.standard_normal(curves.shape)
    at = {"start_s": frames.start_s, "duration_s": frames.duration_s}
    middle = frames.start_s + frames.duration_s / 2
    plasma = Plasma(
        integral=1e3 * integral_to(given.times_s, values=given.plasma, at_s=middle),
        blood=1e3 * frame_means(given.times_s, values=given.blood, **at),
    )
    voxels = curves[LEVELS.index(THALAMUS)] * (1 + 0.1 * rng.standard_normal((200, 1)))
    values: dict[str, Any] = {
        "curves": dict(zip(LEVELS, curves, strict=True)),
        "coverage": dict.fromkeys(LEVELS, 1.0),
        **at,
        "voxels": voxels,
        "tracer": "[11C]PBR28",
        "decay_per_s": decay_constant("C11"),
        "dose_bq": 4e8,
        "mass_g": 75e3,
        "affinity": Affinity.HIGH,
        "plasma": plasma,
        "motion_mm": 1.0,
        "brain_with_signal": 0.98,
        "ligand": None,
        "settings": SETTINGS,
    }
    return Pet(**{**values, **changes})


def without(data: Pet, *levels: pet.Place) -> Pet:
    return replace(data, curves={level: curve for level, curve in data.curves.items() if level not in levels})


def test_every_marker_has_a_value_at_all_its_levels() -> None:
    data = scan()
    for marker in family("pet"):
        found = evaluate(marker, data, CONFIG)
        assert list(found) == list(marker.levels(CONFIG))
        for level, estimate in found.items():
            assert estimate.status is Status.OK, (marker.name, level, estimate)


def test_the_ratio_is_that_of_the_means_in_the_window() -> None:
    data = scan()
    inside = data.start_s + data.duration_s > 3600
    assert data.covered == pytest.approx(1.0)
    weight = np.minimum(data.start_s + data.duration_s - 3600, data.duration_s)[inside]
    expected = (data.curves[THALAMUS][inside] @ weight) / (data.curves[OCCIPITAL][inside] @ weight)
    assert pet.tspo_suvr(data)[THALAMUS].value == pytest.approx(expected)
    assert pet.tspo_suvr_brain(data)["amcc", "n/a"].value == pytest.approx(1.0)
    uptake = pet.tspo_suv(data)
    assert uptake[THALAMUS].value / uptake[OCCIPITAL].value == pytest.approx(expected)
    mean = (data.curves[OCCIPITAL][inside] @ weight) / weight.sum()
    assert uptake[OCCIPITAL].value == pytest.approx(mean * 75e3 / 4e8)


def test_ratios_do_not_know_the_dose_and_uptake_does() -> None:
    data = scan()
    other = replace(data, dose_bq=data.dose_bq / 1.2, mass_g=data.mass_g * 1.1)
    assert pet.tspo_suvr(other) == pet.tspo_suvr(data)
    assert pet.tspo_suv(other)[THALAMUS].value == pytest.approx(1.32 * pet.tspo_suv(data)[THALAMUS].value)


def test_volumes_are_those_of_the_rates() -> None:
    data = scan()
    for function in (pet.tspo_vt_logan, pet.tspo_vt_ma1):
        found = function(data)
        for level, k3 in ((THALAMUS, 0.16), (BRAIN, 0.08)):
            truth = float(pet_kinetics.distribution_volume(rates(k3)))
            assert found[level].value == pytest.approx(truth, rel=0.02)
            assert found[level].se == pytest.approx(SETTINGS["rescan_cv"]["vt"] * truth, rel=0.05)


def test_intervals_of_scan_and_rescan_hold_the_truth() -> None:
    """Uptake that differs between scans as the settings say, and noisy frames."""
    rng = np.random.default_rng(4)
    only = {**SETTINGS, "regions": {"thalamus": ["thalamus"]}}
    clean = scan(settings=only)
    truth = {name: function(clean)[THALAMUS].value for name, function in FUNCTIONS.items()}
    cv = SETTINGS["rescan_cv"]
    held: dict[str, list[bool]] = {name: [] for name in FUNCTIONS}
    for seed in range(150):
        noisy = scan(noise=0.02, seed=seed, settings=only)
        data = replace(noisy, curves={level: noisy.curves[level] for level in (THALAMUS, OCCIPITAL, BRAIN)})
        for name, function in FUNCTIONS.items():
            estimate = function(data)[THALAMUS]
            shown = estimate.value * (1 + cv[KIND[name]] * rng.standard_normal())
            held[name].append(abs(shown - truth[name]) < 1.96 * estimate.se)
    for name, inside in held.items():
        assert 0.90 <= np.mean(inside) <= 0.99, name


FUNCTIONS = {
    "tspo_suvr": pet.tspo_suvr,
    "tspo_suv": pet.tspo_suv,
    "tspo_vt_logan": pet.tspo_vt_logan,
    "tspo_vt_ma1": pet.tspo_vt_ma1,
}
KIND = {"tspo_suvr": "suvr", "tspo_suv": "suv", "tspo_vt_logan": "vt", "tspo_vt_ma1": "vt"}


def test_the_distribution_over_voxels_equals_scipy() -> None:
    data = scan()
    inside = data.overlap_s > 0
    weight = data.overlap_s[inside] / data.overlap_s.sum()
    values = data.voxels[:, inside] @ weight / (data.curves[OCCIPITAL][inside] @ weight)
    assert pet.tspo_sd(data)[THALAMUS].value == pytest.approx(values.std(ddof=1))
    assert pet.tspo_max(data)[THALAMUS].value == pytest.approx(values.max())
    assert pet.tspo_kurtosis(data)[THALAMUS].value == pytest.approx(float(stats.kurtosis(values, bias=False)))
    _, counts = np.unique(np.floor(values / SETTINGS["texture"]["bin"]), return_counts=True)
    assert pet.tspo_entropy(data)[THALAMUS].value == pytest.approx(float(stats.entropy(counts, base=2)))
    flat = replace(data, voxels=np.ones((5, len(data.start_s))))
    assert pet.tspo_kurtosis(flat)[THALAMUS].reasons == (Reason.INVALID_INPUT,)


ALL = (pet.tspo_suvr, pet.tspo_suvr_brain, pet.tspo_suvr_cerebellum, pet.tspo_suv, pet.tspo_vt_ma1, pet.tspo_sd)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tracer": "DASB"}, Reason.NOT_TSPO),
        ({"affinity": Affinity.LOW}, Reason.LOW_AFFINITY),
        ({"motion_mm": 3.1}, Reason.HIGH_MOTION),
        ({"brain_with_signal": 0.5}, Reason.FAILED_QC),
    ],
)
def test_what_no_scan_may_have(change: dict[str, Any], reason: Reason) -> None:
    data = scan(**change)
    for function in ALL:
        estimates = function(data)
        assert all(one.status is Status.FAIL and one.reasons == (reason,) for one in estimates.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"affinity": Affinity.UNKNOWN}, Reason.GENOTYPE_UNKNOWN),
        ({"ligand": True}, Reason.TSPO_LIGAND),
        ({"motion_mm": float("nan")}, Reason.MOTION_UNKNOWN),
        ({"dose_bq": 2e8}, Reason.UNUSUAL_DOSE),
    ],
)
def test_what_a_reader_should_know(change: dict[str, Any], reason: Reason) -> None:
    data = scan(**change)
    for function in ALL:
        for estimate in function(data).values():
            assert estimate.status is Status.FLAG
            assert reason in estimate.reasons


def test_exactly_three_millimetres_are_no_failure() -> None:
    assert pet.tspo_suvr(scan(motion_mm=3.0))[THALAMUS].status is Status.OK


def test_the_first_generation_needs_no_genotype() -> None:
    data = scan(tracer="(R)-[11C]PK11195", affinity=Affinity.UNKNOWN)
    assert not data.is_tspo  # the enantiomer has another name
    data = scan(tracer="11C-PK11195", affinity=Affinity.LOW)
    assert pet.tspo_suvr(data)[THALAMUS].status is Status.OK


@pytest.mark.parametrize(
    ("name", "plain"), [("[11C]PBR28", "pbr28"), ("PBR28", "pbr28"), ("18F-DPA-714", "dpa714"), ("C11 PBR28", "pbr28")]
)
def test_names_of_tracers(name: str, plain: str) -> None:
    assert pet.plain(name) == plain


def test_a_short_scan_has_no_uptake_but_may_have_a_volume() -> None:
    whole = scan()
    keep = whole.start_s < 4200
    assert whole.plasma is not None
    data = replace(
        whole,
        curves={level: curve[keep] for level, curve in whole.curves.items()},
        start_s=whole.start_s[keep],
        duration_s=whole.duration_s[keep],
        voxels=whole.voxels[:, keep],
        plasma=Plasma(integral=whole.plasma.integral[keep], blood=whole.plasma.blood[keep]),
    )
    assert pet.tspo_suvr(data)[THALAMUS].reasons == (Reason.WINDOW_NOT_COVERED,)
    assert pet.pet_window_covered(data)[()].reasons == (Reason.WINDOW_NOT_COVERED,)
    assert pet.tspo_vt_ma1(data)[THALAMUS].value > 0


def test_a_region_that_is_not_there_leaves_the_others() -> None:
    data = without(scan(), ("amcc", "n/a"), ("cerebellum", "n/a"))
    assert pet.tspo_suvr(data)["amcc", "n/a"].reasons == (Reason.REGION_ABSENT,)
    assert pet.tspo_suvr(data)[THALAMUS].status is Status.OK
    assert pet.tspo_suvr_cerebellum(data)[THALAMUS].reasons == (Reason.REGION_ABSENT,)
    partial = replace(scan(), coverage={**dict.fromkeys(LEVELS, 1.0), THALAMUS: 0.4})
    assert pet.tspo_suvr(partial)[THALAMUS].reasons == (Reason.COVERAGE_TOO_LOW,)
    assert pet.tspo_sd(partial)[THALAMUS].reasons == (Reason.COVERAGE_TOO_LOW,)
    broken = scan()
    broken = replace(broken, curves={**broken.curves, THALAMUS: np.full(len(broken.start_s), np.nan)})
    assert pet.tspo_suvr(broken)[THALAMUS].reasons == (Reason.INVALID_INPUT,)
    assert pet.tspo_suv(broken)[THALAMUS].reasons == (Reason.INVALID_INPUT,)
    assert pet.tspo_vt_ma1(broken)[THALAMUS].reasons == (Reason.NOT_LINEAR,)


def test_without_dose_or_mass_ratios_remain() -> None:
    for change in ({"dose_bq": float("nan")}, {"mass_g": float("nan")}):
        data = scan(**change)
        assert pet.tspo_suv(data)[THALAMUS].reasons == (Reason.NO_DOSE,)
        assert pet.tspo_suvr(data)[THALAMUS].status is Status.OK
    assert pet.pet_dose(scan(dose_bq=float("nan")))[()].status is Status.MISSING
    assert pet.pet_body_mass(scan(mass_g=float("nan")))[()].status is Status.MISSING


def test_a_reference_with_impossible_uptake_is_flagged() -> None:
    data = scan(mass_g=1.0)  # grams given as kilograms
    assert pet.tspo_suvr(data)[THALAMUS].reasons == (Reason.IMPLAUSIBLE_UPTAKE,)
    assert pet.tspo_suv(data)[OCCIPITAL].reasons == (Reason.IMPLAUSIBLE_UPTAKE,)
    assert pet.tspo_suv(data)[THALAMUS].status is Status.OK


def test_volumes_need_blood() -> None:
    found = pet.tspo_vt_logan(scan(plasma=None))
    assert {(one.status, one.reasons) for one in found.values()} == {(Status.MISSING, (Reason.NO_ARTERIAL_INPUT,))}
    data = scan()
    assert data.plasma is not None
    unknown = replace(data, plasma=replace(data.plasma, blood=np.full(len(data.start_s), np.nan)))
    seen = pet.tspo_vt_ma1(unknown)[THALAMUS].value  # blood stays in
    assert seen == pytest.approx(pet.tspo_vt_ma1(data)[THALAMUS].value, rel=0.05)
    assert seen != pytest.approx(pet.tspo_vt_ma1(data)[THALAMUS].value, rel=1e-4)
    with pytest.raises(ValueError, match="arterial"):
        pet.fit_volumes(scan(plasma=None), [THALAMUS], method="ma1", from_s=1800)


def test_the_time_of_the_line_is_given_or_found() -> None:
    assert pet.linear_time(scan()) == 1800
    searching = {**SETTINGS, "t_star_min": None}
    found = pet.linear_time(scan(settings=searching))
    assert 600 <= found <= 1800
    strict = {**searching, "misfit_max": 1e-9}
    assert np.isnan(pet.linear_time(scan(settings=strict)))
    assert pet.tspo_vt_ma1(scan(settings=strict))[THALAMUS].reasons == (Reason.NOT_LINEAR,)
    bent = {**SETTINGS, "t_star_min": 1, "misfit_max": 0.05}
    assert pet.tspo_vt_logan(scan(settings=bent))[THALAMUS].reasons == (Reason.NOT_LINEAR,)
    assert pet.tspo_vt_logan(scan(settings=bent))[THALAMUS].status is Status.FLAG
    alone = without(scan(settings=searching), BRAIN)
    assert pet.linear_time(alone) > 0


def test_curves_without_image_have_no_distribution() -> None:
    data = scan(voxels=np.empty((0, 40)), brain_with_signal=float("nan"), motion_mm=float("nan"))
    assert pet.tspo_max(data)[THALAMUS].reasons == (Reason.NO_IMAGE,)
    assert pet.pet_brain_with_signal(data)[()].reasons == (Reason.NO_IMAGE,)
    assert pet.pet_motion(data)[()].reasons == (Reason.MOTION_UNKNOWN,)


def test_quality_rows_say_what_is_wrong() -> None:
    assert pet.pet_motion(scan(motion_mm=4.0))[()].reasons == (Reason.HIGH_MOTION,)
    assert pet.pet_brain_with_signal(scan(brain_with_signal=0.3))[()].reasons == (Reason.FAILED_QC,)
    assert pet.pet_dose(scan(dose_bq=9e8))[()].reasons == (Reason.UNUSUAL_DOSE,)
    assert pet.pet_dose(scan())[()].value == 400
    assert pet.pet_body_mass(scan())[()].value == 75


def test_only_thalamus_and_lumbar_cortex_are_expected_higher() -> None:
    marker = pet.TSPO_SUVR
    assert marker.direction_at(THALAMUS) is Direction.HIGHER
    assert marker.direction_at(("s1back_mgh", "n/a")) is Direction.HIGHER
    for roi in ("pgacc", "amcc", "striatum"):
        assert marker.direction_at((roi, "n/a")) is Direction.NOT_APPLICABLE


def test_sides_of_regions() -> None:
    assert pet.level_of("thalamus_L") == ("thalamus", "L")
    assert pet.level_of("s1back_mgh") == ("s1back_mgh", "n/a")
    assert pet.level_of("R") == ("R", "n/a")
