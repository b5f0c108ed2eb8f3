"""Plasticity markers: signs, polarity, and what each gap in the protocol leads to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers import plasticity
from lbpneuro.markers.plasticity import Blocks

SETTINGS = {
    "blocks": ["post00", "post10", "post20"],
    "block_trials_min": 8,
    "block_trials_flag": 30,
    "floor_uv": 100,
    "ceiling_uv": 3000,
    "jitter_minutes": 3,
    "interval": "welch",
    "bootstrap": 500,
}
CONFIG = {"plasticity": SETTINGS}


def block(centre_uv, n=30):
    """Trials whose mean log amplitude is exactly that of ``centre_uv``."""
    spread = np.linspace(-0.5, 0.5, n)
    return (centre_uv + 1) * np.exp(spread) - 1


def blocks(**changes):
    amplitudes = {
        "pre": block(1000),
        "between": block(1500),
        "post00": block(900),
        "post10": block(600),
        "post20": block(700),
    }
    amplitudes |= changes.pop("amplitudes", {})
    delivered = {name: trials.size for name, trials in amplitudes.items()}
    values = {
        "amplitudes_uv": amplitudes,
        "delivered": delivered,
        "polarity": (1, 1),
        "intensity_changed": False,
        "settings": SETTINGS,
    }
    return Blocks(**{**values, **changes})


def with_sham(**changes):
    """A session whose sham went nowhere, but for a drift of 10 % at every later block."""
    flat = {name: block(1100, n=25) for name in ("between", "post00", "post10", "post20")}
    sham = blocks(amplitudes={"pre": block(1000, n=25), **flat}, polarity=(0, 0), **changes.pop("of_sham", {}))
    return blocks(sham=sham, **changes)


def without(name):
    whole = blocks()
    return replace(
        whole,
        amplitudes_uv={key: value for key, value in whole.amplitudes_uv.items() if key != name},
        delivered={key: value for key, value in whole.delivered.items() if key != name},
    )


def test_hand_counted_index():
    """Baseline 800, 1000, 1200 and post10 500, 600, 700: +0.5059 after excitatory bouts, -0.5059 after inhibitory."""
    few = {**SETTINGS, "block_trials_min": 3}
    amplitudes = {"pre": np.array([800.0, 1000, 1200]), "post10": np.array([500.0, 600, 700])}
    for polarity, expected in (((1, 1), 0.5059), ((-1, -1), -0.5059)):
        data = blocks(amplitudes=amplitudes, settings=few, polarity=polarity)
        assert plasticity.hp_index(data)[("post10",)].value == pytest.approx(expected, abs=5e-5)


def test_signs_of_all_markers():
    data = blocks()
    assert plasticity.hp_index(data)[("post10",)].value == pytest.approx(np.log(1001 / 601))
    assert plasticity.block_log_ratio(data)[("between",)].value == pytest.approx(np.log(1501 / 1001))
    assert plasticity.hp_first_bout(data)[()].value == pytest.approx(np.log(1501 / 1001))
    assert plasticity.hp_reversal(data)[("post20",)].value == pytest.approx(np.log(1501 / 701))
    assert plasticity.hp_valid_priming(data)[()].value == 1.0
    found = {
        marker.name: marker.function(data) for marker in plasticity.MARKERS if marker is not plasticity.HP_INDEX_SHAM
    }
    assert all(each.status is Status.OK for estimates in found.values() for each in estimates.values())


def test_inhibitory_bouts_turn_the_sign():
    one, other = blocks(), blocks(polarity=(-1, -1))
    for function in (plasticity.hp_index, plasticity.hp_first_bout, plasticity.hp_reversal):
        for level, estimate in function(one).items():
            mirrored = function(other)[level]
            assert mirrored.value == -estimate.value
            assert (mirrored.ci_low, mirrored.ci_high) == (-estimate.ci_high, -estimate.ci_low)
    assert plasticity.hp_valid_priming(other)[()].value == 0.0
    assert plasticity.block_log_ratio(one) == plasticity.block_log_ratio(other)


@pytest.mark.parametrize("marker", plasticity.MARKERS, ids=lambda marker: marker.name)
@pytest.mark.parametrize(
    ("data", "reason"),
    [(without("pre"), Reason.NO_BASELINE), (blocks(intensity_changed=True), Reason.INTENSITY_CHANGED)],
    ids=["no baseline", "intensity changed"],
)
def test_void_protocol(marker, data, reason):
    for estimate in marker.function(replace(data, sham=with_sham().sham)).values():
        assert (estimate.status, estimate.reasons) == (Status.FAIL, (reason,))


@pytest.mark.parametrize(("between_uv", "valid"), [(1500, 1.0), (1156, 1.0), (1130, 0.0), (1050, 0.0), (700, 0.0)])
def test_priming_is_valid_only_beyond_chance(between_uv, valid):
    """The 90 % interval reaches 0.132 on either side, the 95 % one 0.158, the 80 % one 0.102."""
    data = blocks(amplitudes={"between": block(between_uv)})
    assert plasticity.hp_valid_priming(data)[()].value == valid


def test_missing_between():
    data = without("between")
    assert plasticity.hp_index(data)[("post10",)].status is Status.OK
    for function in (plasticity.hp_first_bout, plasticity.hp_reversal, plasticity.hp_valid_priming):
        for estimate in function(data).values():
            assert estimate.status is Status.FAIL
            assert Reason.NO_PRIMING in estimate.reasons
    assert plasticity.block_log_ratio(data)[("between",)].status is Status.MISSING


@pytest.mark.parametrize(
    ("polarity", "reason"),
    [
        ((1, -1), Reason.MIXED_POLARITY),
        ((0, 0), Reason.NO_PRIMING),
        ((), Reason.INVALID_INPUT),
        ((1,), Reason.INVALID_INPUT),
    ],
)
def test_bouts_without_one_polarity_have_no_index(polarity, reason):
    data = blocks(polarity=polarity)
    for function in (
        plasticity.hp_index,
        plasticity.hp_first_bout,
        plasticity.hp_reversal,
        plasticity.hp_valid_priming,
    ):
        assert all(estimate.reasons == (reason,) for estimate in function(data).values())
    assert all(estimate.status is Status.OK for estimate in plasticity.block_log_ratio(data).values())


def test_absent_and_poor_blocks():
    data = blocks(amplitudes={"post10": block(600, n=5)})
    data = replace(data, delivered={**data.delivered, "post10": 30, "post20": 0})
    found = plasticity.hp_index(data)
    assert (found[("post10",)].status, found[("post10",)].reasons) == (Status.FAIL, (Reason.TOO_FEW_TRIALS,))
    assert (found[("post20",)].status, found[("post20",)].reasons) == (Status.MISSING, (Reason.NOT_ACQUIRED,))
    assert found[("post00",)].status is Status.OK


@pytest.mark.parametrize(
    ("amplitudes", "reason"),
    [
        ({"pre": block(60)}, Reason.FLOOR),
        ({"pre": block(3500)}, Reason.CEILING),
        ({"post10": block(600, n=15)}, Reason.FEW_TRIALS),
    ],
)
def test_flags(amplitudes, reason):
    estimate = plasticity.hp_index(blocks(amplitudes=amplitudes))[("post10",)]
    assert (estimate.status, estimate.reasons) == (Status.FLAG, (reason,))
    assert np.isfinite(estimate.value)


def test_many_rejected_trials_are_flagged():
    whole = blocks(amplitudes={"post10": block(600, n=35)})
    for delivered, reasons in ((50, ()), (51, (Reason.MANY_REJECTED,))):
        data = replace(whole, delivered={**whole.delivered, "post10": delivered})
        assert plasticity.hp_index(data)[("post10",)].reasons == reasons
        assert plasticity.hp_index(data)[("post00",)].reasons == ()


@pytest.mark.parametrize(("fault", "reason"), [("slow", Reason.LOW_SAMPLING_RATE), ("tail", Reason.ARTEFACT_TAIL)])
def test_faults_of_the_recording_are_flagged(fault, reason):
    for marker in plasticity.MARKERS:
        found = marker.function(with_sham(**{fault: True}))
        assert all(reason in estimate.reasons for estimate in found.values())


def test_more_than_a_fifth_of_clipped_trials_leaves_no_value():
    assert plasticity.hp_index(blocks(clipped={"post10": 0.20}))[("post10",)].status is Status.OK
    found = plasticity.hp_index(blocks(clipped={"post10": 0.21}))
    assert (found[("post10",)].status, found[("post10",)].reasons) == (Status.FAIL, (Reason.CLIPPED,))
    assert found[("post00",)].status is Status.OK
    found = plasticity.block_log_ratio(blocks(clipped={"pre": 0.5}))
    assert {estimate.reasons for estimate in found.values()} == {(Reason.CLIPPED, Reason.NO_BASELINE)}


def test_levels():
    assert plasticity.block_levels(CONFIG) == [("between",), ("post00",), ("post10",), ("post20",)]
    for marker in plasticity.MARKERS:
        assert set(marker.function(blocks())) == set(marker.levels(CONFIG))


def test_unverified_claims_are_marked():
    assert plasticity.HP_INDEX.evidence == "unverified"
    assert plasticity.HP_INDEX.tier == "exploratory"


@pytest.mark.slow
def test_planted_change_is_recovered():
    """log SD 0.5 and 30 trials: bias within a quarter of the standard error, intervals cover 93-97 %."""
    rng = np.random.default_rng(6)
    truth = {"pre": 0.0, "between": 0.3, "post00": -0.2, "post10": -0.4, "post20": -0.1}
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for _ in range(600):
        sizes = {name: 1000 * np.exp(shift + 0.5 * rng.standard_normal(30)) for name, shift in truth.items()}
        data = blocks(amplitudes=sizes)
        for name, estimate, planted in (
            ("hp_index", plasticity.hp_index(data)[("post10",)], 0.4),
            ("hp_first_bout", plasticity.hp_first_bout(data)[()], 0.3),
            ("hp_reversal", plasticity.hp_reversal(data)[("post00",)], 0.5),
            ("block_log_ratio", plasticity.block_log_ratio(data)[("post20",)], -0.1),
        ):
            covered = estimate.ci_low <= planted <= estimate.ci_high
            found.setdefault(name, []).append((estimate.value - planted, estimate.se, covered))
    for name, rows in found.items():
        deviation, error, covered = np.array(rows, dtype=float).T
        assert abs(deviation.mean()) < error.mean() / 4, name
        assert 0.93 <= covered.mean() <= 0.97, name


def test_time_course_in_one_number():
    data = blocks()
    indices = {name: plasticity.hp_index(data)[(name,)].value for name in data.after}
    area = 0.25 * indices["post00"] + 0.5 * indices["post10"] + 0.25 * indices["post20"]
    assert plasticity.hp_index_auc(data)[()].value == pytest.approx(area)
    assert plasticity.hp_index_mean(data)[()].value == pytest.approx(np.mean(list(indices.values())))
    assert plasticity.hp_index_auc(data)[()].n == 120
    for function in (plasticity.hp_index_auc, plasticity.hp_index_mean):
        assert function(without("post20"))[()].reasons == (Reason.NOT_ACQUIRED,)
    single = blocks(settings={**SETTINGS, "blocks": ["post10"]})
    assert plasticity.hp_index_auc(single)[()].reasons == (Reason.NOT_ACQUIRED,)
    assert plasticity.hp_index_mean(single)[()].value == pytest.approx(indices["post10"])


def test_unequal_times_weigh_by_how_long_they_stand():
    data = blocks(settings={**SETTINGS, "blocks": ["post00", "post10", "post30"]}, amplitudes={"post30": block(1000)})
    indices = [plasticity.hp_index(data)[(name,)].value for name in data.after]
    expected = (10 * (indices[0] + indices[1]) / 2 + 20 * (indices[1] + indices[2]) / 2) / 30
    assert plasticity.hp_index_auc(data)[()].value == pytest.approx(expected)


@pytest.mark.parametrize("polarity", [(1, 1), (-1, -1)])
def test_sham_is_taken_off_with_its_noise(polarity):
    data = with_sham(polarity=polarity)
    plain, found = plasticity.hp_index(data)[("post10",)], plasticity.hp_index_sham(data)[("post10",)]
    sham = -polarity[0] * np.log(1101 / 1001)
    assert found.value == pytest.approx(plain.value - sham)
    assert found.se > plain.se
    assert found.n == 110
    assert Reason.FEW_TRIALS in found.reasons


def test_sham_needs_a_session_with_sham_bouts():
    level = ("post10",)
    assert plasticity.hp_index_sham(blocks())[level].status is Status.MISSING
    real = replace(with_sham().sham, polarity=(1, 1))
    assert plasticity.hp_index_sham(blocks(sham=real))[level].reasons == (Reason.INVALID_INPUT,)
    assert plasticity.hp_index_sham(with_sham(polarity=(1, -1)))[level].reasons == (Reason.MIXED_POLARITY,)
    lost = replace(with_sham().sham, delivered={})
    assert plasticity.hp_index_sham(blocks(sham=lost))[level].reasons == (Reason.NOT_ACQUIRED,)


def test_class_and_probability_follow_the_interval():
    reversed_, moved_on, nothing = (blocks(amplitudes={"post10": block(uv)}) for uv in (500, 2000, 1010))
    level = ("post10",)
    for data, kind in ((reversed_, 1), (moved_on, -1), (nothing, 0)):
        assert plasticity.hp_class(data)[level].value == kind
        index = plasticity.hp_index(data)[level]
        assert (index.ci_low > 0) - (index.ci_high < 0) == kind
    probabilities = [plasticity.hp_probability(data)[level].value for data in (reversed_, moved_on, nothing)]
    assert probabilities[0] > 0.975
    assert probabilities[1] < 0.025
    assert 0.4 < probabilities[2] < 0.5


def test_without_priming_the_class_is_unproven():
    level = ("post10",)
    for data in (without("between"), blocks(amplitudes={"between": block(1010)})):
        for function in (plasticity.hp_class, plasticity.hp_probability):
            assert Reason.PRIMING_UNPROVEN in function(data)[level].reasons
        assert Reason.PRIMING_UNPROVEN not in plasticity.hp_index(data)[level].reasons
    assert plasticity.hp_class(blocks())[level].status is Status.OK


def test_assumed_polarity_is_flagged_where_it_matters():
    data = blocks(assumed=True)
    assert plasticity.hp_index(data)[("post10",)].reasons == (Reason.PROTOCOL_ASSUMED,)
    assert plasticity.hp_first_bout(data)[()].reasons == (Reason.PROTOCOL_ASSUMED,)
    assert plasticity.block_log_ratio(data)[("post10",)].status is Status.OK
    assert plasticity.hp_detectable(data)[("post10",)].status is Status.OK


def test_a_block_off_its_time_has_no_value():
    data = blocks(late={"post10": 3.0, "post20": -3.1})
    assert plasticity.hp_index(data)[("post10",)].status is Status.OK
    assert plasticity.hp_index(data)[("post20",)].reasons == (Reason.OFF_SCHEDULE,)
    assert plasticity.hp_index_auc(data)[()].reasons == (Reason.OFF_SCHEDULE,)


def test_bootstrap_intervals_are_near_those_of_welch():
    other = blocks(settings={**SETTINGS, "interval": "bootstrap", "bootstrap": 4000})
    for function in (plasticity.hp_index, plasticity.hp_reversal):
        for level, estimate in function(blocks()).items():
            found = function(other)[level]
            assert found.value == estimate.value
            assert found.ci_low == pytest.approx(estimate.ci_low, abs=0.02)
            assert found.ci_high == pytest.approx(estimate.ci_high, abs=0.02)
            assert found != estimate


def test_detectable_change_has_its_power():
    """Simulated at the smallest detectable ratio, four fifths of the sessions give an interval without 0."""
    rng = np.random.default_rng(2)
    found = plasticity.hp_detectable(blocks())[("post10",)].value
    sd = np.log(block(1000) + 1).std(ddof=1)
    hits = 0
    for _ in range(600):
        sizes = {name: 1000 * np.exp(sd * rng.standard_normal(30)) for name in ("pre", "post10")}
        data = blocks(amplitudes={**sizes, "post10": sizes["post10"] * np.exp(found)})
        hits += plasticity.block_log_ratio(data)[("post10",)].ci_low > 0
    assert hits / 600 == pytest.approx(0.8, abs=0.05)
