"""Sensory tests of simulated people: what is planted in a person, and the trials that an examiner would note."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.simulate.people import CENTRES, Visit
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

EXAMINERS = ("A", "B")
STIMULI = 10
PAIN_LOCAL, CONDITIONED_SITE = "lumbar", "forearm"


@dataclass(frozen=True, slots=True)
class SensorySettings:
    """What is planted. Thresholds in log10(kPa) and degC, ratings in points of 100; ``_lbp`` is the group difference.

    ``missing`` is the share of trials without value, ``zero_raters`` that of people whom the pinprick does not hurt.
    ``ppt_centre`` and ``cpt_centre`` are what the devices of the centres A and B add to every threshold.
    """

    ppt_mean: float = 2.60
    ppt_sd: float = 0.15
    ppt_site: dict[str, float] = field(default_factory=lambda: {PAIN_LOCAL: 0.15, "tibialis": 0.05, "thumbnail": 0.0})
    ppt_site_sd: float = 0.06
    ppt_side_sd: float = 0.02
    ppt_women: float = -0.08
    ppt_lbp: float = -0.10
    ppt_examiner: float = 0.04
    ppt_centre: tuple[float, float] = (0.0, 0.10)
    ppt_cv: float = 0.12
    ppt_maximum_kpa: float = 1000.0
    ramps: int = 3
    cpt_mean: float = 11.0
    cpt_sd: float = 8.0
    cpt_lbp: float = 4.0
    cpt_centre: tuple[float, float] = (0.0, -3.0)
    cpt_trial_sd: float = 2.0
    cpt_cutoff: float = 0.0
    start_mean: float = 32.0
    start_sd: float = 6.0
    start_range: tuple[float, float] = (20.0, 50.0)
    rise_mean: float = 12.0
    rise_sd: float = 6.0
    rise_lbp: float = 6.0
    rise_range: tuple[float, float] = (-10.0, 35.0)
    train_sd: float = 3.0
    rating_sd: float = 2.5
    trains: int = 5
    zero_raters: float = 0.08
    inhibition_mean: float = 70.0
    inhibition_sd: float = 35.0
    inhibition_lbp: float = -35.0
    late_share: float = 0.3
    repeat_sd: float = 20.0
    repeats: int = 3
    relief_mean: float = 12.0
    relief_sd: float = 7.0
    relief_lbp: float = -6.0
    heat_mean: float = 55.0
    missing: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What is true of a person at a visit; ``ppt`` and ``cpt`` by site and side, zero raters have ``start`` 0."""

    examiner: str
    ppt: dict[tuple[str, str], float]
    cpt: dict[tuple[str, str], float]
    start: float
    rise: float
    base_kpa: float
    inhibition_kpa: float
    heat: float
    relief: float


def sensitivity(visit: Visit, settings: SensorySettings) -> Sensitivity:
    """Return what is true of a person; thresholds hold for the centre, and the examiner who tests at this visit."""
    rng, one = visit.lasting("sensory"), visit.person
    examiner = EXAMINERS[int(visit.passing("examiner").integers(len(EXAMINERS)))]
    general = settings.ppt_mean + settings.ppt_sd * rng.standard_normal() + settings.ppt_lbp * one.patient
    general += settings.ppt_women * (one.sex == "female") + settings.ppt_examiner * (examiner == EXAMINERS[1])
    general += _offset(settings.ppt_centre, one.centre)
    ppt: dict[tuple[str, str], float] = {}
    for site, offset in settings.ppt_site.items():
        here = general + offset + settings.ppt_site_sd * rng.standard_normal()
        ppt |= {(site, side): here + settings.ppt_side_sd * rng.standard_normal() for side in "LR"}
    cold = settings.cpt_mean + settings.cpt_sd * rng.standard_normal() + settings.cpt_lbp * one.patient
    cold += _offset(settings.cpt_centre, one.centre)
    cpt = {("hand", side): min(cold + rng.standard_normal(), 30.0) for side in "LR"}
    start = float(np.clip(settings.start_mean + settings.start_sd * rng.standard_normal(), *settings.start_range))
    rise = settings.rise_mean + settings.rise_sd * rng.standard_normal() + settings.rise_lbp * one.patient
    hurts = rng.random() >= settings.zero_raters
    inhibition = settings.inhibition_mean + settings.inhibition_sd * rng.standard_normal()
    relief = settings.relief_mean + settings.relief_sd * rng.standard_normal()
    return Sensitivity(
        examiner=examiner,
        ppt=ppt,
        cpt=cpt,
        start=start if hurts else 0.0,
        rise=float(np.clip(rise, *settings.rise_range)) if hurts else 0.0,
        base_kpa=float(np.clip(10**general, 120, 600)),
        inhibition_kpa=inhibition + settings.inhibition_lbp * one.patient,
        heat=settings.heat_mean,
        relief=float(np.clip(relief + settings.relief_lbp * one.patient, -25, 40)),
    )


def _offset(offsets: tuple[float, float], centre: str) -> float:
    return offsets[CENTRES.index(centre)] if centre else 0.0


def centre_truth(settings: SensorySettings) -> list[dict[str, object]]:
    """Return what each centre adds to the markers; a difference of two thresholds stays as it is."""
    shifted = {"cpt": settings.cpt_centre, **dict.fromkeys(("ppt", "ppt_local", "ppt_remote"), settings.ppt_centre)}
    return [
        {"centre": centre, "marker": marker, "offset": offsets[place]}
        for place, centre in enumerate(CENTRES)
        for marker, offsets in shifted.items()
    ]


def sensory_truth(visit: Visit, settings: SensorySettings) -> list[TruthRow]:
    """Return the planted values of a visit, thresholds beyond the limit of the device as they truly are."""
    true = sensitivity(visit, settings)
    sites = {site: (true.ppt[site, "L"] + true.ppt[site, "R"]) / 2 for site in settings.ppt_site}
    local = sites[PAIN_LOCAL]
    remote = float(np.mean([value for site, value in sites.items() if site != PAIN_LOCAL]))
    planted: list[tuple[str, float, dict[str, str]]] = [
        ("ppt_local", local, {}),
        ("ppt_remote", remote, {}),
        ("ppt_local_remote_logratio", local - remote, {}),
        ("cpt", float(np.mean(list(true.cpt.values()))), {"site": "hand"}),
        ("tsp_diff", true.rise, {"modality": "pinprick_256mN"}),
        ("tsp_slope", true.rise / (STIMULI - 1), {"modality": "pinprick_256mN"}),
    ]
    for site, value in sites.items():
        planted += [
            ("ppt", value, {"site": site}),
            ("ppt_side_difference", true.ppt[site, "L"] - true.ppt[site, "R"], {"site": site}),
        ]
    if true.start > 0:
        planted.append(("tsp_wur", 1 + true.rise / 2 / true.start, {"modality": "pinprick_256mN"}))
    planted += _modulation_truth(true, settings)
    return [truth_row(visit, marker, value=float(value), **levels) for marker, value, levels in planted]


def _modulation_truth(true: Sensitivity, settings: SensorySettings) -> list[tuple[str, float, dict[str, str]]]:
    changes = {
        ("ppt", "parallel"): (true.inhibition_kpa, true.base_kpa),
        ("ppt", "sequential"): (settings.late_share * true.inhibition_kpa, true.base_kpa),
        ("heat_rating", "parallel"): (true.relief, true.heat),
    }
    planted = []
    for (stimulus, timing), (change, base) in changes.items():
        where = {"test_stimulus": stimulus, "timing": timing}
        planted += [
            ("cpm_inhibition", change, where),
            ("cpm_yarnitsky", -change, where),
            ("cpm_pct", 100 * change / base, where),
        ]
    return planted


# -------------------------------------------------------------------------------------------------------------- trials


def ppt_table(visit: Visit, settings: SensorySettings) -> pd.DataFrame:
    """Return the ramps of the pressure pain threshold; what the device cannot reach is noted as its maximum."""
    import pandas as pd

    true, rng = sensitivity(visit, settings), visit.passing("ppt")
    rows = []
    for (site, side), threshold in true.ppt.items():
        for trial in range(1, settings.ramps + 1):
            value = 10**threshold * (1 + settings.ppt_cv * np.clip(rng.standard_normal(), -3, 3))
            noted = round(min(value, settings.ppt_maximum_kpa), 1)
            rows.append((site, side, trial, _noted(noted, rng, settings), true.examiner))
    return pd.DataFrame(rows, columns=["site", "side", "trial", "value", "examiner"])


def cpt_table(visit: Visit, settings: SensorySettings) -> pd.DataFrame:
    """Return the ramps of the cold pain threshold; who feels no pain before the cut-off has the cut-off."""
    import pandas as pd

    true, rng = sensitivity(visit, settings), visit.passing("cpt")
    rows = []
    for (site, side), threshold in true.cpt.items():
        for trial in range(1, settings.ramps + 1):
            value = max(threshold + settings.cpt_trial_sd * rng.standard_normal(), settings.cpt_cutoff)
            rows.append((site, side, trial, _noted(round(value, 2), rng, settings), true.examiner))
    return pd.DataFrame(rows, columns=["site", "side", "trial", "value", "examiner"])


def tsp_table(visit: Visit, settings: SensorySettings) -> pd.DataFrame:
    """Return the trains of pinpricks, each after a single one; a zero rater says 0 to all."""
    import pandas as pd

    true, rng = sensitivity(visit, settings), visit.passing("tsp")
    shape = true.start + true.rise * np.arange(STIMULI) / (STIMULI - 1)
    rows = []
    for trial in range(1, settings.trains + 1):
        shift = settings.train_sd * rng.standard_normal()
        ratings = np.append(true.start, shape) + shift + settings.rating_sd * rng.standard_normal(STIMULI + 1)
        noted = np.round(np.clip(ratings, 0, 100), 1) if true.start else np.zeros(STIMULI + 1)
        rows.append(("pinprick_256mN", "hand", "L", trial, *noted, true.examiner))
    columns = ["modality", "site", "side", "trial", "single", *(f"r{i}" for i in range(1, STIMULI + 1)), "examiner"]
    return pd.DataFrame(rows, columns=columns)


def cpm_table(visit: Visit, settings: SensorySettings) -> pd.DataFrame:
    """Return pressure thresholds and heat ratings before, during and after cold water on the other hand."""
    import pandas as pd

    true, rng = sensitivity(visit, settings), visit.passing("cpm")
    strength = float(np.round(np.clip(50 + 15 * rng.standard_normal(), 5, 95)))
    rows = []
    for repeat in range(1, settings.repeats + 1):
        early = true.inhibition_kpa + settings.repeat_sd * rng.standard_normal()
        late = settings.late_share * true.inhibition_kpa + settings.repeat_sd * rng.standard_normal()
        relief = true.relief + 3 * rng.standard_normal()
        pressure = {"before": true.base_kpa, "during": true.base_kpa + early, "after": true.base_kpa + late}
        heat = {"before": true.heat, "during": true.heat - relief}
        for stimulus, blocks, spread, unit in (
            ("ppt", pressure, 0.05 * true.base_kpa, "kPa"),
            ("heat_rating", heat, 3.0, "rating"),
        ):
            rows += [
                (stimulus, block, repeat, trial, round(max(level + spread * rng.standard_normal(), 0.0), 1), unit)
                for block, level in blocks.items()
                for trial in (1, 2)
            ]
    columns = ["test_stimulus", "block", "repeat", "trial", "value", "unit"]
    table = pd.DataFrame(rows, columns=columns).assign(site=CONDITIONED_SITE, side="R", examiner=true.examiner)
    conditioned = table["block"] == "during"
    about = {"conditioning": "cold_water", "conditioning_site": "hand", "conditioning_side": "L"}
    for name, value in {**about, "conditioning_rating": strength}.items():
        table[name] = pd.Series(value, index=table.index).where(conditioned)
    return table


def _noted(value: float, rng: np.random.Generator, settings: SensorySettings) -> float:
    """A value, or NaN for a trial that was lost."""
    return value if rng.random() >= settings.missing else float("nan")
