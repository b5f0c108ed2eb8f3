"""A run in which pain is rated all the time, with planted effects of the rating on sets of regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.config import read_config
from lbpneuro.io.ratings import Rating, exclusive_sets, set_parts
from lbpneuro.markers.shift import SETS
from lbpneuro.simulate.bold import Maps
from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.template import region_shares, regions
from lbpneuro.simulate.truth import TruthRow, truth_row

TASK = "rating"


@dataclass(frozen=True, slots=True)
class RatingSettings:
    """The run and what is planted.

    ``effects`` are percent signal change per point of the scale from 0 to 100: mean, spread over people, and difference
    of people with low back pain, for each set of regions.
    """

    n_time: int = 225
    sampling_hz: float = 4.0
    mean: float = 45.0
    sd: float = 18.0
    memory_s: float = 15.0
    effects: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "pain": {"mean": 0.025, "person": 0.004, "patient": -0.008},
            "emotion": {"mean": 0.01, "person": 0.004, "patient": 0.008},
            "reward": {"mean": 0.01, "person": 0.004, "patient": 0.0},
        }
    )


def drawn_rating(rng: np.random.Generator, *, duration_s: float, settings: RatingSettings, path: Path) -> Rating:
    """Return a rating that wanders around its mean and forgets within ``memory_s``; clipped to the scale."""
    n = int(np.ceil(duration_s * settings.sampling_hz))
    keeps = np.exp(-1 / (settings.memory_s * settings.sampling_hz))
    steps = rng.standard_normal(n) * np.sqrt(1 - keeps**2)
    from scipy.signal import lfilter

    smooth = lfilter([1.0], [1.0, -keeps], steps, zi=[keeps * rng.standard_normal()])[0]
    values = np.clip(settings.mean + settings.sd * smooth, 0, 100).round(1)
    return Rating(path=path, onsets_s=np.arange(n) / settings.sampling_hz, values=values)


def planted_effects(visit: Visit, settings: RatingSettings) -> dict[str, float]:
    """Return the effect on each set in this person."""
    rng = visit.lasting("rating")
    return {
        name: each["mean"] + each["patient"] * visit.person.patient + float(rng.normal(0, each["person"]))
        for name, each in settings.effects.items()
    }


@lru_cache(maxsize=2)
def set_maps(voxel_mm: float) -> NDArray[np.bool_]:
    """Return the voxels of the template grid that respond with each set (3, nx, ny, nz), no voxel with two."""
    known = regions()
    parts = set_parts(read_config()["shift"], list(known))
    shares = [np.max([region_shares(part, voxel_mm) for part in parts[name]], axis=0) for name in SETS]
    return exclusive_sets(np.stack(shares).reshape(len(SETS), -1)).reshape(len(SETS), *shares[0].shape) > 0


def response(maps: Maps, regressor: Array, *, effects: Mapping[str, float], voxel_mm: float) -> NDArray[np.float32]:
    """Return what the rating adds to the series of ``maps`` (n_voxel, n_time)."""
    inside = set_maps(voxel_mm).reshape(len(SETS), -1)[:, maps.inside]
    percent = np.array([effects[name] for name in SETS]) @ inside
    return np.outer(maps.mean * percent / 100, regressor).astype(np.float32)


def rating_truth(visit: Visit, planted: Mapping[str, float]) -> list[TruthRow]:
    """Return the planted values of the markers of the shift."""
    pain, emotion = planted["pain"], planted["emotion"]
    rows = [truth_row(visit, f"shift_{name}_beta", value=value) for name, value in planted.items()]
    rows.append(truth_row(visit, "shift_index", value=emotion - pain))
    rows.append(truth_row(visit, "shift_index_std", value=(emotion - pain) / (abs(emotion) + abs(pain))))
    return rows
