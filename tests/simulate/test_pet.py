"""Simulated TSPO-PET: what is planted is recovered by the markers, with intervals that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lbpneuro.io.config import read_config
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.pet import read_frames
from lbpneuro.io.pet_blood import read_plasma
from lbpneuro.kernels.pet import window_mean, window_overlap
from lbpneuro.markers import pet
from lbpneuro.markers.pet import Affinity, Pet
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.pet import FREQUENCIES, PetSettings, affinity, body_mass_kg, kinetics, planted_shares
from lbpneuro.simulate.pet_files import blood_table, metadata, pet_columns

CONFIG = read_config()
ONLY = {**CONFIG["pet"], "regions": {"thalamus": ["thalamus"]}}
THALAMUS, OCCIPITAL, BRAIN = ("thalamus", "n/a"), ("occipital", "n/a"), ("whole_brain", "n/a")
SETTINGS = PetSettings()
PEOPLE = 240


def session(number: int, folder: Path, *, noise: float = 0.02) -> tuple[Pet, dict[str, float]]:
    """The curves of one person in one session, with the errors of a rescan, and the truth behind them."""
    visit = Visit(person(number, seed=8, effect=1.0), 0, 8)
    tracer = kinetics(visit, SETTINGS)
    share = {THALAMUS: planted_shares(visit, SETTINGS)["thalamus"], OCCIPITAL: 0.0, BRAIN: 0.08}
    rng = visit.passing("recovery")
    low, high = tracer.curves
    overall = SETTINGS.rescan["uptake"] * rng.standard_normal()
    curves = {}
    for place, amount in share.items():
        regional = 0.0 if place == BRAIN else SETTINGS.rescan["region"] * rng.standard_normal()
        clean = (low + amount * (high - low)) * np.exp(overall + regional)
        curves[place] = 1e3 * clean * (1 + noise * rng.standard_normal(len(low)))
    about = metadata(tracer, SETTINGS)
    frames = read_frames({**about, "Units": "Bq/mL"}, n_frame=len(low), where="x")
    table, described = blood_table(visit, tracer, settings=SETTINGS)
    path = folder / f"sub-{number}_recording-manual_blood.tsv"
    write_tsv(path, table)
    write_json(path.with_suffix(".json"), described)
    mass_g = 1e3 * body_mass_kg(visit.person, seed=8)
    data = Pet(
        curves=curves,
        coverage=dict.fromkeys(curves, 1.0),
        start_s=frames.start_s,
        duration_s=frames.duration_s,
        voxels=np.empty((0, len(low))),
        tracer="PBR28",
        decay_per_s=frames.decay_per_s,
        dose_bq=1e6 * SETTINGS.dose_mbq,
        mass_g=mass_g,
        affinity=Affinity.HIGH,
        plasma=read_plasma([path], frames=frames, injected_s=0.0),
        motion_mm=0.5,
        brain_with_signal=1.0,
        ligand=None,
        settings=ONLY,
    )
    overlap = window_overlap(frames.start_s, duration_s=frames.duration_s, window_s=(3600, 5400))
    base, extra = window_mean(np.stack([low, high - low]), overlap_s=overlap)
    level = {place: base + amount * extra for place, amount in share.items()}
    volume = tracer.volumes[0] + share[THALAMUS] * np.diff(tracer.volumes)[0]
    return data, {
        "tspo_suvr": level[THALAMUS] / level[OCCIPITAL],
        "tspo_suvr_brain": level[THALAMUS] / level[BRAIN],
        "tspo_suv": 1e3 * level[THALAMUS] * mass_g / (1e6 * SETTINGS.dose_mbq),
        "tspo_vt_logan": float(volume),
        "tspo_vt_ma1": float(volume),
    }


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Value, standard error, interval and truth (n, 5) of the thalamus by marker."""
    folder = tmp_path_factory.mktemp("blood")
    found: dict[str, list[tuple[float, ...]]] = {}
    for number in range(1, PEOPLE + 1):
        data, truth = session(number, folder)
        for name, planted in truth.items():
            estimate = getattr(pet, name)(data)[THALAMUS]
            found.setdefault(name, []).append((estimate.value, estimate.se, estimate.ci_low, estimate.ci_high, planted))
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize("name", ["tspo_suvr", "tspo_suvr_brain", "tspo_suv", "tspo_vt_logan", "tspo_vt_ma1"])
def test_planted_values_are_recovered(recovered: dict[str, np.ndarray], name: str) -> None:
    value, se, low, high, truth = recovered[name].T
    bias, cover = (value - truth).mean() / se.mean(), np.mean((low <= truth) & (truth <= high))
    print(f"{name}: {PEOPLE} people, bias {bias:+.2f} SE, coverage {cover:.1%}")  # noqa: T201
    assert abs(bias) < 0.25
    assert cover >= 0.92  # more where the reference is not planted with an error of its own
    assert np.corrcoef(value, truth)[0, 1] > 0.6


def test_people_have_classes_and_masses_of_their_own() -> None:
    people = [person(number, seed=3, effect=1.0) for number in range(1, 201)]
    classes = [affinity(one, seed=3) for one in people]
    for name, share in FREQUENCIES.items():
        assert np.mean([each is name for each in classes]) == pytest.approx(share, abs=0.1)
    columns, about = pet_columns(people, seed=3)
    assert set(columns) == set(about) == {"weight", "rs6971"}
    assert 45 <= min(columns["weight"]) < max(columns["weight"]) <= 140


def test_patients_bind_more_in_the_thalamus_and_the_back_area_alone() -> None:
    def mean(name: str, *, patient: bool) -> float:
        numbers = range(1 if patient else 2, 400, 2)
        visits = [Visit(person(number, seed=5, effect=1.0), 0, 5) for number in numbers]
        return float(np.mean([planted_shares(visit, SETTINGS)[name] for visit in visits]))

    for name, each in SETTINGS.shares.items():
        difference = mean(name, patient=True) - mean(name, patient=False)
        assert difference == pytest.approx(each["patient"], abs=0.02), name
