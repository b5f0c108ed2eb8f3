"""z-scores of sensory tests against people without pain, in the manner of the German Research Network (DFNS)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels.psychophysics import z_score
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier, with_flag
from lbpneuro.markers.sensory import Norm, SensoryData, site_threshold, sites, wind_up_ratio

MAGERL = "10.1016/j.pain.2010.07.026"
DEN_BANDT = "10.2519/jospt.2019.8876"
FACT_SHEET = "Widespread sensitivity to pressure is a sign of central sensitisation in low back pain."
PINPRICK = "pinprick_256mN"
TESTED = "tested"
"""Level of a parameter that is tested at one site, whichever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the DFNS protocol: whether its logarithm is normal, and the sign that makes gain positive."""

    long_name: str
    log: bool
    gain: int


PARAMETERS: dict[str, Parameter] = {
    "cdt": Parameter(long_name="cold detection threshold (difference from baseline)", log=True, gain=-1),
    "wdt": Parameter(long_name="warm detection threshold (difference from baseline)", log=True, gain=-1),
    "tsl": Parameter(long_name="thermal sensory limen", log=True, gain=-1),
    "phs": Parameter(long_name="paradoxical heat sensations", log=False, gain=1),
    "cpt": Parameter(long_name="cold pain threshold", log=False, gain=1),
    "hpt": Parameter(long_name="heat pain threshold", log=False, gain=-1),
    "ppt": Parameter(long_name="pressure pain threshold", log=True, gain=-1),
    "mpt": Parameter(long_name="mechanical pain threshold", log=True, gain=-1),
    "mps": Parameter(long_name="mechanical pain sensitivity", log=True, gain=1),
    "wur": Parameter(long_name="wind-up ratio", log=True, gain=1),
    "mdt": Parameter(long_name="mechanical detection threshold", log=True, gain=-1),
    "vdt": Parameter(long_name="vibration detection threshold (x/8)", log=False, gain=1),
    "dma": Parameter(long_name="dynamic mechanical allodynia", log=True, gain=1),
}
"""Which parameters are log-normal was read in the source, the signs were not."""


def z_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the z-scores: pressure and cold at every site, wind-up where it was tested."""
    return [*((name, site) for name in ("ppt", "cpt") for site in sites(config)), ("wur", TESTED)]


def z_estimate(estimate: Estimate, norm: Norm | Reason, parameter: Parameter) -> Estimate:
    """Return the z-score of a value on the scale of its parameter; censored values have none.

    The interval is normal; it holds the errors of the person and of the norm.
    """
    if math.isnan(estimate.value):
        return Estimate(n=estimate.n, status=estimate.status, reasons=estimate.reasons)
    if isinstance(norm, Reason):
        return Estimate.fail(norm)
    z, se = z_score(
        estimate.value, se=estimate.se, norm_mean=norm.mean, norm_sd=norm.sd, norm_n=norm.n, sign=parameter.gain
    )
    found = Estimate.of(z, se=se, n=norm.n, flags=estimate.reasons)
    return found if norm.device_known else with_flag(found, Reason.DEVICE_UNKNOWN)


def _values(data: SensoryData) -> dict[Level, Estimate]:
    """Return what was measured, by (parameter, site), on the scale of the norms: ppt and wur as log10, cpt as it is."""
    found: dict[Level, Estimate] = {}
    for name, places, log in (("ppt", data.ppt, True), ("cpt", data.cpt, False)):
        for site in dict.fromkeys(site for site, _ in places):
            threshold = site_threshold(places, site, data.settings[name], log=log)
            absent = Estimate.fail(Reason.TOO_FEW_TRIALS)
            found[name, site] = threshold.estimate() if threshold is not None else absent
    if PINPRICK in data.trains:
        found["wur", TESTED] = _log10(wind_up_ratio(data.trains[PINPRICK], data.settings["tsp"]))
    return found


def _log10(estimate: Estimate) -> Estimate:
    if math.isnan(estimate.value):
        return estimate
    if estimate.value <= 0:
        return Estimate.fail(Reason.ZERO_BASELINE, n=estimate.n)
    se = estimate.se / estimate.value / math.log(10)
    return Estimate.of(math.log10(estimate.value), se=se, n=estimate.n, flags=estimate.reasons)


def qst_z(data: SensoryData) -> dict[Level, Estimate]:
    """Return the z-score of every parameter and site: ``gain (x' - mean) / sd``, x' = log10(x) where the DFNS logs."""
    return {
        level: z_estimate(estimate, data.norms.get(level, Reason.NO_REFERENCE), PARAMETERS[level[0]])
        for level, estimate in _values(data).items()
    }


QST_Z = Marker(
    name="qst_z",
    long_name="z-score of a sensory test",
    description=(
        "Difference from people without pain of the same sex and age at the same site, in their standard deviations; "
        "above 0: gain of function (more sensitive), below 0: loss. log10 of ppt and wur, cpt as it is. The norm is "
        "the user's table (sensory.reference), published or of the study's own controls (norm: internal); device, "
        "probe and rate must match. Beyond 1.96 lie 5 % of people without pain; it is no diagnosis."
    ),
    unit="1",
    family="sensory",
    function=qst_z,
    index=("parameter", "site"),
    levels=z_levels,
    direction=Direction.HIGHER,
    direction_source=f"pressure: {DEN_BANDT}; others not established",
    tier=Tier.SECONDARY,
    doi=MAGERL,
    fact_sheet=FACT_SHEET,
    n_counts="people of the norm",
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method="Errors of the person's value, and of mean and standard deviation of the norm; normal interval",
)


def ppt_widespread(data: SensoryData) -> dict[Level, Estimate]:
    """Return the mean over the remote sites of the z-score of the pressure pain threshold; above 0: more sensitive.

    The error of the mean takes sites as independent; those of one norm are nearly so.
    """
    places = [("ppt", site) for site in data.settings["sites"]["remote"] if any(name == site for name, _ in data.ppt)]
    scores = qst_z(data)
    found = [scores[place] for place in places]
    usable = [each for each in found if not math.isnan(each.value)]
    if not found:
        return {(): Estimate.missing(Reason.NOT_ACQUIRED)}
    if len(usable) < len(found):
        return {(): next(each for each in found if math.isnan(each.value))}
    flags = tuple(reason for each in usable for reason in each.reasons)
    value = float(np.mean([each.value for each in usable]))
    se = float(np.sqrt(np.sum([each.se**2 for each in usable])) / len(usable))
    return {(): Estimate.of(value, se=se, n=len(usable), flags=flags)}


PPT_WIDESPREAD = Marker(
    name="ppt_widespread",
    long_name="Widespread hyperalgesia index",
    description=(
        "Mean of the z-scores of the pressure pain threshold over the remote sites that were tested; above 0: more "
        "sensitive than people without pain. It needs a norm (sensory.reference); without one read ppt_remote, the "
        "mean log threshold of the same sites."
    ),
    unit="1",
    family="sensory",
    function=ppt_widespread,
    direction=Direction.HIGHER,
    direction_source=DEN_BANDT,
    tier=Tier.SECONDARY,
    doi=MAGERL,
    fact_sheet=FACT_SHEET,
    n_counts="remote sites",
    version="1",
    evidence=Evidence.DESIGN,
    se_method="From the errors of the z-scores of the sites, taken as independent; normal interval",
)

MARKERS: tuple[Marker, ...] = (QST_Z, PPT_WIDESPREAD)
