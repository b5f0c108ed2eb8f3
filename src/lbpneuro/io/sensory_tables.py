"""What the pictures of the sensory tests show, as tables beside the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.markers.sensory import SensoryData, ramp_threshold

if TYPE_CHECKING:
    import pandas as pd

THRESHOLDS = {
    "test": "ppt or cpt.",
    "site": "Body site.",
    "side": "L, R, or n/a where none was stated.",
    "value": "Threshold: kPa or degC; a bound where `bound` says so.",
    "ci_low": "Lower limit of the 95 % interval.",
    "ci_high": "Upper limit of the 95 % interval.",
    "n": "Valid trials.",
    "n_censored": "Trials that reached a limit of the device.",
    "bound": "none; lower or upper: the true threshold lies above or below the value; unknown.",
}
RATINGS = {
    "modality": "What was applied.",
    "train": "Number of the train.",
    "stimulus": "Number of the stimulus in the train; 0: the single stimulus before it; n/a: the train as a whole.",
    "rating": "Rating (points of 100).",
}
STIMULI = {
    "test_stimulus": "What was tested.",
    "timing": "parallel or sequential.",
    "repeat": "Number of the conditioning stimulus.",
    "block": "before or conditioned (during or after, as the timing says).",
    "value": "Mean of the trials: kPa, mA or points of 100.",
    "n": "Valid trials.",
    "limited": "1: a trial reached a limit of the device, so that the mean lies beyond the value; 0: none did.",
}


def threshold_table(data: SensoryData) -> pd.DataFrame:
    """Return the thresholds of every place (:data:`THRESHOLDS`) in kPa and degC."""
    import pandas as pd

    rows = []
    for test, places, log in (("ppt", data.ppt, True), ("cpt", data.cpt, False)):
        for (site, side), ramps in places.items():
            found = ramp_threshold(ramps, data.settings[test], log=log)
            if found is None:
                continue
            numbers = np.array([found.mean.value, *found.mean.interval()])
            value, low, high = 10**numbers if log else numbers
            limited = int(((ramps.above | ramps.below) & np.isfinite(ramps.values)).sum())
            known = {"n": found.mean.n, "n_censored": limited, "bound": str(found.bound)}
            where = {"test": test, "site": site, "side": side}
            rows.append({**where, "value": value, "ci_low": low, "ci_high": high, **known})
    return pd.DataFrame(rows, columns=list(THRESHOLDS))


def rating_table(data: SensoryData) -> pd.DataFrame:
    """Return every rating of the trains (:data:`RATINGS`)."""
    import pandas as pd

    rows = []
    for modality, trains in data.trains.items():
        for number, (ratings, single, whole) in enumerate(
            zip(trains.ratings, trains.single, trains.train, strict=True), start=1
        ):
            given = [(0, single), *enumerate(ratings, start=1), (np.nan, whole)]
            rows += [(modality, number, stimulus, rating) for stimulus, rating in given if np.isfinite(rating)]
    return pd.DataFrame(rows, columns=list(RATINGS))


def conditioning_table(data: SensoryData) -> pd.DataFrame:
    """Return the means of the blocks of conditioned pain modulation (:data:`STIMULI`)."""
    import pandas as pd

    rows = []
    for (stimulus, timing), modulation in data.modulation.items():
        for each in modulation.applications:
            blocks = (("before", each.base, each.base_limited), ("conditioned", each.conditioned, each.limited))
            for block, values, limited in blocks:
                kept = values[np.isfinite(values)]
                if kept.size:
                    rows.append((stimulus, timing, each.repeat, block, float(kept.mean()), kept.size, int(limited)))
    return pd.DataFrame(rows, columns=list(STIMULI))
