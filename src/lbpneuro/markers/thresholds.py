"""Pressure and cold pain thresholds, near the pain and far from it."""

from __future__ import annotations

import math
from functools import partial

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier
from lbpneuro.markers.sensory import (
    SE_TRIALS,
    SensoryData,
    Threshold,
    absence,
    averaged,
    ramp_threshold,
    sides_of,
    site_levels,
    site_threshold,
)

DEN_BANDT = "10.2519/jospt.2019.8876"
ALMEIDA = "10.1016/j.jmpt.2024.08.007"
PFAU = "Pfau 2014 (trunk norms)"
PROTOCOL = "10.1016/j.ejpain.2005.02.003"  # the protocol of the German Research Network on Neuropathic Pain
FACT_SHEET = (
    "Pressure pain thresholds far from the back are lower in low back pain; of local thresholds a meta-analysis found "
    "no difference. They may mirror ongoing nociception, and have no prognostic value."
)
CENSORED = (
    " Where a ramp reached a limit of the device there is no value (censored_at_limit), but a bound: ci_low is the "
    "mean with the limit in its place, below which the true one cannot lie; ci_high at the lowest reading."
)


_of_pressure = partial(
    Marker,
    unit="log10(kPa)",
    family="sensory",
    doi=PROTOCOL,
    fact_sheet=FACT_SHEET,
    n_counts="valid ramps",
    bounds=(-1.0, 5.0),
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method=SE_TRIALS,
)


def _site(data: SensoryData, site: str) -> Threshold | None:
    return site_threshold(data.ppt, site, data.settings["ppt"], log=True)


def _class(data: SensoryData, name: str) -> Threshold | None:
    """Return the mean over the sites of a class, local or remote, that were tested."""
    found = [_site(data, site) for site in data.settings["sites"][name]]
    tested = [each for each in found if each is not None]
    return averaged(tested) if tested else None


def _class_estimate(data: SensoryData, name: str) -> Estimate:
    threshold = _class(data, name)
    if threshold is not None:
        return threshold.estimate()
    absent = [absence(data.ppt, site) for site in data.settings["sites"][name]]
    failed = [each for each in absent if each.status is Status.FAIL]
    return (failed or absent or [Estimate.missing(Reason.NOT_ACQUIRED)])[0]


def ppt(data: SensoryData) -> dict[Level, Estimate]:
    """Return log10 of the pressure pain threshold (kPa) of every site: of the mean of the ramps, mean of the sides."""
    found = {site: _site(data, site) for site in _all_sites(data)}
    return {(site,): each.estimate() if each is not None else absence(data.ppt, site) for site, each in found.items()}


def _all_sites(data: SensoryData) -> list[str]:
    return [*data.settings["sites"]["local"], *data.settings["sites"]["remote"]]


PPT = _of_pressure(
    name="ppt",
    long_name="Pressure pain threshold",
    description="log10 of the mean of the ramps (kPa) at a site, mean of its sides." + CENSORED,
    function=ppt,
    index=("site",),
    levels=site_levels,
    direction=Direction.LOWER,
    direction_source=f"remote sites: {DEN_BANDT}; local sites not significant: {ALMEIDA}",
    tier=Tier.SECONDARY,
)


def ppt_local(data: SensoryData) -> dict[Level, Estimate]:
    """Return the mean log10 pressure pain threshold (kPa) over the local sites that were tested."""
    return {(): _class_estimate(data, "local")}


PPT_LOCAL = _of_pressure(
    name="ppt_local",
    long_name="Pressure pain threshold near the pain",
    description="Mean over the local sites (sensory.sites.local) of log10 of the threshold in kPa." + CENSORED,
    function=ppt_local,
    direction=Direction.LOWER,
    direction_source=f"no significant difference ({ALMEIDA}); the sign is that of single studies",
    tier=Tier.SECONDARY,
)


def ppt_remote(data: SensoryData) -> dict[Level, Estimate]:
    """Return the mean log10 pressure pain threshold (kPa) over the remote sites that were tested."""
    return {(): _class_estimate(data, "remote")}


PPT_REMOTE = _of_pressure(
    name="ppt_remote",
    long_name="Pressure pain threshold far from the pain",
    description="Mean over the remote sites (sensory.sites.remote) of log10 of the threshold in kPa." + CENSORED,
    function=ppt_remote,
    direction=Direction.LOWER,
    direction_source=DEN_BANDT,
    tier=Tier.PRIMARY,
)


def ppt_local_remote_logratio(data: SensoryData) -> dict[Level, Estimate]:
    """Return log10 of the local over the remote pressure pain threshold: the difference of the two means of logs."""
    local, remote = _class(data, "local"), _class(data, "remote")
    if local is None or remote is None:
        return {(): _class_estimate(data, "local" if local is None else "remote")}
    return {(): local.minus(remote).estimate()}


PPT_LOCAL_REMOTE_LOGRATIO = Marker(
    name="ppt_local_remote_logratio",
    long_name="Local over remote pressure pain threshold",
    description=(
        "ppt_local minus ppt_remote: strongly negative where sensitivity is confined to the back (segmental). It "
        "depends on the sites that were tested."
    ),
    unit="1",
    family="sensory",
    function=ppt_local_remote_logratio,
    direction=Direction.CONTESTED,
    direction_source=f"remote lower: {DEN_BANDT}; local not: {ALMEIDA}",
    tier=Tier.EXPLORATORY,
    doi="",
    fact_sheet=FACT_SHEET,
    n_counts="valid ramps",
    version="1",
    se_method=SE_TRIALS,
)


def ppt_side_difference(data: SensoryData) -> dict[Level, Estimate]:
    """Return log10 of the left over the right pressure pain threshold of every site that was tested on both sides."""
    return {(site,): _side_difference(data, site) for site in _all_sites(data)}


def _side_difference(data: SensoryData, site: str) -> Estimate:
    sides = sides_of(data.ppt, site)
    if not {"L", "R"} <= set(sides):
        return Estimate.missing(Reason.NOT_ACQUIRED)
    left, right = (ramp_threshold(sides[side], data.settings["ppt"], log=True) for side in "LR")
    if left is None or right is None:
        return Estimate.fail(Reason.TOO_FEW_TRIALS)
    return left.minus(right).estimate()


PPT_SIDE_DIFFERENCE = Marker(
    name="ppt_side_difference",
    long_name="Left over right pressure pain threshold",
    description=(
        "log10 of the threshold on the left minus that on the right. On the trunk more than 35 % between the sides "
        f"(0.13) is unusual ({PFAU}); the sign belongs to the side of the pain."
    ),
    unit="1",
    family="sensory",
    function=ppt_side_difference,
    index=("site",),
    levels=site_levels,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.EXPLORATORY,
    doi="",
    fact_sheet=FACT_SHEET,
    n_counts="valid ramps of both sides",
    version="1",
    evidence=Evidence.VERIFIED,
    se_method=SE_TRIALS,
)


def cpt(data: SensoryData) -> dict[Level, Estimate]:
    """Return the cold pain threshold (degC) of every site: mean of the ramps, mean of the sides, not logged.

    Where a ramp reached the cut-off the value is empty, and the interval says that it lies below.
    """
    return {(site,): _cold(data, site) for site in _all_sites(data)}


def _cold(data: SensoryData, site: str) -> Estimate:
    threshold = site_threshold(data.cpt, site, data.settings["cpt"], log=False)
    if threshold is None:
        return absence(data.cpt, site)
    return threshold.estimate()


CPT = Marker(
    name="cpt",
    long_name="Cold pain threshold",
    description=(
        "Temperature at which cold hurts, mean of the ramps and sides; not logged. A ramp that reached the cut-off is "
        "no threshold: the value is then empty (censored_at_limit), and ci_high is the mean with the cut-off in its "
        "place, above which the true one cannot lie."
    ),
    unit="degC",
    family="sensory",
    function=cpt,
    index=("site",),
    levels=site_levels,
    direction=Direction.HIGHER,
    direction_source="low confidence: of prognostic value in whiplash (fact sheet); no meta-analysis in low back pain",
    tier=Tier.EXPLORATORY,
    doi=PROTOCOL,
    fact_sheet="Cold pain thresholds predict outcome after whiplash; in low back pain this has not been shown.",
    n_counts="valid ramps, those at the cut-off included",
    bounds=(-math.inf, 40.0),
    version="1",
    evidence=Evidence.UNVERIFIED,
    se_method=SE_TRIALS,
)

MARKERS: tuple[Marker, ...] = (
    PPT_REMOTE,
    PPT_LOCAL,
    PPT,
    PPT_LOCAL_REMOTE_LOGRATIO,
    PPT_SIDE_DIFFERENCE,
    CPT,
)
