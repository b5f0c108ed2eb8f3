"""Planted maps and responses: what the numbers mean, and how the groups differ."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.stimulation import (
    BLOCKS,
    POST,
    MapSettings,
    PlasticitySettings,
    expected_log,
    grid_mm,
    log_responses,
    map_pulses,
    map_truth,
    plasticity_pulses,
    plasticity_truth,
    site_means,
)


def visit(number: int = 1, *, effect: float = 1.0, session: int = 0) -> Visit:
    return Visit(person(number, seed=9, effect=effect), session, 9)


def planted(rows, marker, **levels):
    return next(row["value"] for row in rows if row["marker"] == marker and levels.items() <= row.items())


def test_grid_is_six_by_seven_centimetres_over_the_left_hemisphere():
    sites = grid_mm(MapSettings())
    assert sites.shape == (42, 2)
    assert sites[:, 0].max() < 0
    assert np.ptp(sites, axis=0).tolist() == [50, 60]


def test_truth_of_a_plain_round_hill():
    """One centre for both muscles, no relief: all overlap, the centre of gravity is the centre."""
    still = dataclasses.replace(
        MapSettings(), separation_mm=2.0, patient_mm=0, separation_sd=0, centre_sd=0, width_sd=0, texture_sd=0
    )
    rows = map_truth(visit(), dataclasses.replace(still, centre_mm=(-30, 5)))
    assert planted(rows, "cog_x", muscle="longissimus") == pytest.approx(-30, abs=1)
    assert planted(rows, "cog_y", muscle="longissimus") == pytest.approx(5 + np.sin(1.2), abs=1)
    assert planted(rows, "overlap_min") > 0.9
    radius_cm = np.sqrt(2 * np.log(4))
    assert planted(rows, "map_area", muscle="longissimus") == pytest.approx(np.pi * radius_cm**2, abs=1.5)


def test_smudging_and_its_null():
    def overlaps(effect: float) -> np.ndarray:
        return np.array(
            [planted(map_truth(visit(n, effect=effect), MapSettings()), "overlap_min") for n in range(1, 61)]
        )

    full, null = overlaps(1.0), overlaps(0.0)
    assert full[0::2].mean() - full[1::2].mean() > 0.15
    assert abs(null[0::2].mean() - null[1::2].mean()) < 0.06
    np.testing.assert_array_equal(full[1::2], null[1::2])


def test_responses_average_to_the_site_means():
    settings = dataclasses.replace(MapSettings(), trials_per_site=4000)
    pulses = map_pulses(visit(), settings)
    means = site_means(visit(), settings)
    found = np.stack([pulses.amplitude_uv[:, pulses.position == site].mean(axis=1) for site in range(42)], axis=1)
    np.testing.assert_allclose(found, means, rtol=0.05)


def test_most_maps_lie_within_the_grid():
    settings = MapSettings()
    sites = grid_mm(settings)
    border = np.any((sites == sites.min(axis=0)) | (sites == sites.max(axis=0)), axis=1)
    cut = [
        (m[:, border].max(axis=1) >= 0.25 * m.max(axis=1)).any()
        for m in (site_means(visit(n), settings) for n in range(1, 61))
    ]
    assert np.mean(cut) < 0.2


def test_expected_logarithm_agrees_with_sampling():
    amplitudes = np.exp(3 + 0.5 * np.random.default_rng(1).standard_normal(1_000_000))
    assert expected_log(3, sd_log=0.5) == pytest.approx(np.log(amplitudes + 1).mean(), abs=2e-3)
    assert expected_log(np.log(1000), sd_log=0.0) == pytest.approx(np.log(1001))


def test_plasticity_signs_by_hand():
    """Excitatory bouts: a response that falls after the second is homeostatic, a positive index."""
    settings = dataclasses.replace(
        PlasticitySettings(), between=0.4, between_sd=0, post=-0.3, post_sd=0, patient=0.3, trial_sd=0.0
    )
    control, patient = (plasticity_truth(visit(number), settings) for number in (2, 1))
    for rows, index in ((control, 0.3), (patient, 0.0)):
        assert planted(rows, "hp_index", block="post10") == pytest.approx(index, abs=2e-3)
        assert planted(rows, "block_log_ratio", block="post10") == pytest.approx(-index, abs=2e-3)
        assert planted(rows, "hp_first_bout") == pytest.approx(0.4, abs=2e-3)
        assert planted(rows, "hp_reversal", block="post10") == pytest.approx(0.4 + index, abs=2e-3)
    assert planted(control, "hp_index", block="post00") == pytest.approx(0.7 * 0.3, abs=2e-3)


def test_baseline_is_neither_at_the_floor_nor_at_the_ceiling():
    settings = PlasticitySettings()
    baselines = [np.exp(log_responses(visit(number), settings)["pre"]) for number in range(1, 101)]
    assert 300 < min(baselines) < max(baselines) < 2500


def test_pulses_come_block_by_block():
    pulses = plasticity_pulses(visit(), PlasticitySettings())
    assert tuple(dict.fromkeys(pulses.block)) == BLOCKS
    assert set(POST) < set(BLOCKS)
    assert np.diff(pulses.onset_s).min() > 3.5
    assert pulses.amplitude_uv.shape == (1, 5 * 34)


def test_sessions_of_a_person_resemble_each_other():
    settings = PlasticitySettings()

    def index(number: int, session: int) -> float:
        return planted(plasticity_truth(visit(number, session=session), settings), "hp_index", block="post10")

    first, second = ([index(number, session) for number in range(2, 82, 2)] for session in (1, 2))
    assert 0.75 < np.corrcoef(first, second)[0, 1] < 0.99
