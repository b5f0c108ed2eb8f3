"""Temporal summation of pain: how ratings change over a train of equal stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychophysics import Mean, line_errors, mean, train_differences, train_slopes
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.sensory import SensoryData, Trains, train_flags, wind_up_ratio

MCPHEE = "10.1097/j.pain.0000000000001737"
FACT_SHEET = "Temporal summation of pain is larger in low back pain, depending on what is applied."


def modality_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of a train: what was applied."""
    return [(modality,) for modality in config["sensory"]["tsp"]["modalities"]]


def _estimate(found: Mean, trains: Trains, settings: Mapping[str, Any], *, n: int) -> Estimate:
    if np.isnan(found.value):
        return Estimate.fail(Reason.TOO_FEW_TRIALS, n=n)
    return Estimate.of(found.value, se=found.se, ci=found.interval(), n=n, flags=train_flags(trains, settings, n=n))


def tsp_diff(data: SensoryData) -> dict[Level, Estimate]:
    """Return last minus first rating (points of 100), mean of the trains; of whole trains train - single."""
    return {(name,): _difference(trains, data.settings["tsp"]) for name, trains in data.trains.items()}


def _difference(trains: Trains, settings: Mapping[str, Any]) -> Estimate:
    differences = train_differences(trains.ratings) if trains.ratings.shape[1] else trains.train - trains.single
    n = int(np.isfinite(differences).sum())
    if n == 1 and trains.ratings.shape[1]:
        only = trains.ratings[np.isfinite(differences)][0]
        return _estimate(line_errors(only)[0], trains, settings, n=n)
    return _estimate(mean(differences), trains, settings, n=n)


TSP_DIFF = Marker(
    name="tsp_diff",
    long_name="Temporal summation of pain, difference",
    description=(
        "Last minus first rating of a train (points of 100), mean of the trains; where only whole trains were rated, "
        "the train minus the single stimulus. Never clipped: wind-down is a response. Flagged at the ceiling where the "
        "first rating leaves little room or a later one is the highest possible."
    ),
    unit="points",
    family="sensory",
    function=tsp_diff,
    index=("modality",),
    levels=modality_levels,
    direction=Direction.HIGHER,
    direction_source=f"SMD 0.50 (0.29 to 0.72): {MCPHEE}",
    tier=Tier.PRIMARY,
    tier_by_level=dict.fromkeys(("heat", "cuff", "electrical"), Tier.SECONDARY),
    doi=MCPHEE,
    fact_sheet=FACT_SHEET,
    n_counts="trains",
    bounds=(-100.0, 100.0),
    version="1",
    evidence=Evidence.VERIFIED,
    se_method="From the scatter of the trains, Student's t; of one train from the scatter about its straight line",
)


def tsp_slope(data: SensoryData) -> dict[Level, Estimate]:
    """Return the least-squares slope of the ratings (points per stimulus), mean of the trains."""
    return {(name,): _slope(trains, data.settings["tsp"]) for name, trains in data.trains.items()}


def _slope(trains: Trains, settings: Mapping[str, Any]) -> Estimate:
    ratings = trains.ratings[:, : settings["slope_stimuli"]]
    if not ratings.shape[1]:
        return Estimate.missing(Reason.NOT_ACQUIRED)
    slopes = train_slopes(ratings)
    n = int(np.isfinite(slopes).sum())
    found = line_errors(ratings[np.isfinite(slopes)][0])[1] if n == 1 else mean(slopes)
    return _estimate(found, trains, settings, n=n)


TSP_SLOPE = Marker(
    name="tsp_slope",
    long_name="Temporal summation of pain, slope",
    description="Least-squares slope of the ratings (points of 100) over the stimuli of a train, mean of the trains.",
    unit="points/stimulus",
    family="sensory",
    function=tsp_slope,
    index=("modality",),
    levels=modality_levels,
    direction=Direction.HIGHER,
    direction_source=f"temporal summation in general: {MCPHEE}",
    tier=Tier.SECONDARY,
    doi=MCPHEE,
    fact_sheet=FACT_SHEET,
    n_counts="trains",
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method="From the scatter of the trains, Student's t; of one train from the scatter about its straight line",
)


def tsp_wur(data: SensoryData) -> dict[Level, Estimate]:
    """Return the wind-up ratio: mean rating of the trains over mean rating of the single stimuli."""
    return {(name,): wind_up_ratio(trains, data.settings["tsp"]) for name, trains in data.trains.items()}


TSP_WUR = Marker(
    name="tsp_wur",
    long_name="Wind-up ratio",
    description=(
        "Mean rating of the trains (the rating of the train, or the mean of its stimuli) over the mean rating of "
        "single stimuli. Undefined where single stimuli were rated 0: empty (zero_baseline) with sensory.tsp.wur_zero: "
        "exclude; add0.1 and add1 add 0.1 or 1 of 100 points to both means."
    ),
    unit="1",
    family="sensory",
    function=tsp_wur,
    index=("modality",),
    levels=modality_levels,
    direction=Direction.HIGHER,
    direction_source=f"temporal summation in general: {MCPHEE}",
    tier=Tier.SECONDARY,
    doi="10.1016/j.ejpain.2005.02.003",
    fact_sheet=FACT_SHEET,
    n_counts="pairs of train and single stimulus",
    bounds=(0.0, np.inf),
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method="Delta method over the pairs of train and single stimulus; interval on the log scale",
)

MARKERS: tuple[Marker, ...] = (TSP_DIFF, TSP_SLOPE, TSP_WUR)
