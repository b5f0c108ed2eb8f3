"""TMS motor maps: size, place and overlap ("smudging") of the cortical representations of two trunk muscles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.kernels import motor_map
from lbpneuro.kernels.motor_map import Array, MapDraws
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier

TITLE = "TMS motor maps"

SITES_MIN = 6
GRID_SHARE_MIN = 0.8
CLIPPED_MAX = 0.20
"""Share of clipped pulses beyond which there is no map: the largest responses are those that are lost."""
REJECTED_FLAG = 0.30
INTENSITY_APART_MSO = 2.0
"""Most that the stimulator output of the pulses of one map may differ (% of its maximum)."""

SMUDGING = (
    "Smudging: motor-cortex representations of the deep multifidus and longissimus overlap more in recurrent low back "
    "pain (of the studies the fact sheet cites, one is of neck pain)."
)
TSAO_2011 = "10.1097/BRS.0b013e31821c4267"
CHANG_2019 = "Chang 2019 (acute low back pain, F(1,70) = 5.61); Tsao 2011, " + TSAO_2011
SE_METHOD = "parametric bootstrap of a smooth map fitted to the trials, errors of the refits around their own truth"
ESTIMAND = (
    "Estimated of the noise-free site means: a smooth map is fitted to the trials of all sites, and bias and error "
    "come from a parametric bootstrap; the plain value of the noisy site means is biased."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HemisphereMap:
    """Single-trial amplitudes over one mapped hemisphere.

    Attributes
    ----------
    amplitude : (n_muscle, n_site, n_trial)
        Amplitude above background (uV), NaN where a pulse was not delivered or not kept; a column is the same pulse in
        all muscles.
    response : (n_muscle, n_site, n_trial)
        What the presence of a response is judged by (uV), and ``threshold`` (n_muscle,) for its site means.
    coords_mm : (n_site, 2)
        x (right) and y (anterior) from the vertex.
    unstable : (n_muscle,)
        Whether the background varied more than it may.
    crosstalk
        Whether the backgrounds of the muscles correlate.
    rejected, clipped
        Share of the pulses that were rejected, and of those that left the range of the amplifier, by muscle.
    intensity_changed
        Whether the stimulator output differed by more than ``INTENSITY_APART_MSO`` between pulses.
    slow
        Whether the recording was sampled below the recommended rate.
    other_frame
        Whether the muscles were recorded in different runs whose coordinates are not known to be in one frame.
    """

    muscles: tuple[str, ...]
    amplitude: Array
    response: Array
    threshold: Array
    coords_mm: Array
    unstable: NDArray[np.bool_]
    crosstalk: bool = False
    rejected: Mapping[str, float] = field(default_factory=dict)
    clipped: Mapping[str, float] = field(default_factory=dict)
    intensity_changed: bool = False
    slow: bool = False
    other_frame: bool = False

    def fault(self, muscles: Sequence[str]) -> Estimate | None:
        """Return why the recording allows no map of ``muscles``; None if it does."""
        if self.intensity_changed:
            return Estimate.fail(Reason.INTENSITY_CHANGED)
        if self.other_frame and len(muscles) > 1:
            return Estimate.fail(Reason.OTHER_FRAME)
        clipped = max(self.clipped.get(muscle, 0.0) for muscle in muscles)
        return Estimate.fail(Reason.CLIPPED) if clipped > CLIPPED_MAX else None

    def select(self, muscle: str) -> Array:
        """Return the amplitudes of one muscle (n_site, n_trial)."""
        return self.amplitude[self.muscles.index(muscle)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSites:
    """The smooth maps of some muscles over the sites that all of them have, and draws for the bootstrap."""

    draws: MapDraws
    coords_mm: Array
    n_trials: int
    n_sites: int


Fit = FittedSites | Estimate


@dataclass(frozen=True)
class MotorMaps:
    """The maps of a session by hemisphere, and the settings of the family."""

    maps: Mapping[str, HemisphereMap]
    settings: Mapping[str, Any]
    seed: int

    @cached_property
    def single(self) -> dict[Level, Fit]:
        """The fit of each muscle and hemisphere, or why there is none."""
        return {
            (muscle, hemi): self._fit(each, (muscle,)) for hemi, each in self.maps.items() for muscle in each.muscles
        }

    @cached_property
    def pairs(self) -> dict[Level, Fit]:
        """The joint fit of the pair of muscles per hemisphere, or why there is none."""
        pair = tuple(sorted(self.settings["muscles"]))
        return {(hemi,): self._fit(each, pair) for hemi, each in self.maps.items() if set(pair) <= set(each.muscles)}

    def means(self, hemi: str, muscle: str) -> Array:
        """Return the site means (n_site,) of a muscle, NaN where too few trials are kept."""
        trials = self.maps[hemi].select(muscle)
        return motor_map.site_means(trials, min_trials=self.settings["site_trials_min"])

    def _fit(self, each: HemisphereMap, muscles: tuple[str, ...]) -> Fit:
        """Fit ``muscles`` over their common sites and pulses."""
        if fault := each.fault(muscles):
            return fault
        rows = [each.muscles.index(muscle) for muscle in muscles]
        trials = each.amplitude[rows]
        trials = np.where(np.isfinite(trials).all(axis=0), trials, np.nan)
        minimum = self.settings["site_trials_min"]
        kept = np.isfinite(trials[0]).sum(axis=-1) >= minimum
        if kept.sum() < max(SITES_MIN, GRID_SHARE_MIN * kept.size):
            return Estimate.fail(Reason.TOO_FEW_SITES, n=int(kept.sum()))
        response = motor_map.site_means(each.response[rows], min_trials=minimum)
        if (np.nanmax(response, axis=-1) < each.threshold[rows]).any() or (np.nansum(trials, axis=-1) <= 0).all(
            -1
        ).any():
            return Estimate.fail(Reason.NO_MAP, n=int(np.isfinite(trials[0]).sum()))
        joint = motor_map.fit_trials(trials[:, kept], each.coords_mm[kept])
        rng = np.random.default_rng(self.seed)
        draws = motor_map.draw_maps(joint, n_draws=self.settings["bootstrap"], rng=rng)
        n_trials = int(np.isfinite(trials[0]).sum())
        return FittedSites(draws=draws, coords_mm=each.coords_mm[kept], n_trials=n_trials, n_sites=int(kept.sum()))

    def flags(self, hemi: str, *muscles: str) -> list[Reason]:
        """Return what qualifies the map markers of ``muscles``."""
        each = self.maps[hemi]
        rows = [each.muscles.index(muscle) for muscle in muscles]
        counts = np.isfinite(each.amplitude[rows]).sum(axis=-1)
        found = {
            Reason.FEW_TRIALS: bool((np.median(counts, axis=-1) < self.settings["site_trials_flag"]).any()),
            Reason.UNSTABLE_BACKGROUND: bool(each.unstable[rows].any()),
            Reason.CROSSTALK: len(muscles) > 1 and each.crosstalk,
            Reason.MANY_REJECTED: max(each.rejected.get(muscle, 0.0) for muscle in muscles) > REJECTED_FLAG,
            Reason.LOW_SAMPLING_RATE: each.slow,
        }
        return [reason for reason, applies in found.items() if applies]

    def truncated(self, fit: FittedSites) -> list[Reason]:
        """Return the flag of maps that are still active at the border of the grid."""
        active = motor_map.active_map(fit.draws.fitted, tau=self.settings["tau"]) > 0
        return [Reason.MAP_TRUNCATED] if active[..., motor_map.border_sites(fit.coords_mm)].any() else []


def muscle_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of one muscle: muscle and hemisphere."""
    return [(muscle, hemi) for muscle in config["tms"]["muscles"] for hemi in config["tms"]["hemispheres"]]


def hemi_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of the pair of muscles: hemisphere."""
    return [(hemi,) for hemi in config["tms"]["hemispheres"]]


def _per_muscle(
    maps: MotorMaps,
    functional: Callable[[FittedSites], motor_map.Functional],
    *,
    bounds: Callable[[FittedSites], tuple[float, float]] = lambda _: (-np.inf, np.inf),
) -> dict[Level, Estimate]:
    estimates: dict[Level, Estimate] = {}
    for level, fit in maps.single.items():
        if isinstance(fit, Estimate):
            estimates[level] = fit
            continue
        value, se, ci = motor_map.calibrated(functional(fit), fit.draws, bounds=bounds(fit))
        flags = [*maps.flags(level[1], level[0]), *maps.truncated(fit)]
        estimates[level] = Estimate.of(value, se=se, ci=(ci[0], ci[1]), n=fit.n_trials, flags=flags)
    return estimates


def overlap_min(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the overlap of the two muscles' maps per hemisphere, 0 to 1 (Schoener's index above ``tau``)."""
    tau = maps.settings["tau"]
    estimates: dict[Level, Estimate] = {}
    for level, fit in maps.pairs.items():
        if isinstance(fit, Estimate):
            estimates[level] = fit
            continue
        value, se, ci = motor_map.calibrated(
            lambda drawn: motor_map.overlap_min(drawn[..., 0, :], drawn[..., 1, :], tau=tau),
            fit.draws,
            bounds=(0.0, 1.0),
        )
        flags = [*maps.flags(level[0], *maps.settings["muscles"]), *maps.truncated(fit)]
        estimates[level] = Estimate.of(value, se=se, ci=(ci[0], ci[1]), n=fit.n_trials, flags=flags)
    return estimates


OVERLAP_MIN = Marker(
    name="overlap_min",
    long_name="Overlap of the motor maps of two trunk muscles",
    description=(
        "Sum over sites of the smaller of the two muscles' shares of their map: 0 apart, 1 identical. Sites below tau "
        "of the map maximum are inactive. " + ESTIMAND
    ),
    unit="1",
    family="tms",
    function=overlap_min,
    direction=Direction.HIGHER,
    direction_source="Tsao 2011 (qualitative), " + TSAO_2011 + "; Te 2017 (knee pain, p = .02)",
    tier=Tier.PRIMARY,
    doi="10.2307/1935376",
    fact_sheet=SMUDGING,
    n_counts="kept pulses, in both muscles",
    version="1",
    bounds=(0.0, 1.0),
    index=("hemi",),
    levels=hemi_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def map_area(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the area of the active sites in cm^2, per muscle and hemisphere."""
    tau = maps.settings["tau"]

    def cell(fit: FittedSites) -> float:
        return (motor_map.grid_spacing(fit.coords_mm) / 10.0) ** 2

    return _per_muscle(
        maps,
        lambda fit: lambda drawn: motor_map.map_area(drawn[..., 0, :], tau=tau, cell_cm2=cell(fit)),
        bounds=lambda fit: (0.0, fit.n_sites * cell(fit)),
    )


MAP_AREA = Marker(
    name="map_area",
    long_name="Map area",
    description="Number of active sites (at least tau of the map maximum) times the area of a grid cell. " + ESTIMAND,
    unit="cm^2",
    family="tms",
    function=map_area,
    direction=Direction.CONTESTED,
    direction_source="No consistent finding; 10.1007/s00221-024-06844-5 names no difference",
    tier=Tier.SECONDARY,
    doi="10.1093/brain/awn154",
    fact_sheet=SMUDGING,
    n_counts="kept pulses",
    version="1",
    bounds=(0.0, np.inf),
    index=("muscle", "hemi"),
    levels=muscle_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def map_volume(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the sum of the active sites over the largest one (sites), per muscle and hemisphere."""
    tau = maps.settings["tau"]
    return _per_muscle(
        maps,
        lambda _: lambda drawn: motor_map.map_volume(drawn[..., 0, :], tau=tau),
        bounds=lambda fit: (0.0, float(fit.n_sites)),
    )


MAP_VOLUME = Marker(
    name="map_volume",
    long_name="Normalised map volume",
    description="Sum of the active sites divided by the largest site, in sites. " + ESTIMAND,
    unit="1",
    family="tms",
    function=map_volume,
    direction=Direction.LOWER,
    direction_source=CHANG_2019,
    tier=Tier.SECONDARY,
    doi="10.1093/brain/awn154",
    fact_sheet=SMUDGING,
    n_counts="kept pulses",
    version="1",
    bounds=(0.0, np.inf),
    index=("muscle", "hemi"),
    levels=muscle_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def _centre(maps: MotorMaps, axis: int) -> dict[Level, Estimate]:
    tau = maps.settings["tau"]

    def along(fit: FittedSites) -> motor_map.Functional:
        coords = fit.coords_mm[:, [axis]]
        return lambda drawn: motor_map.centre_of_gravity(drawn[..., 0, :], coords, tau=tau)[..., 0]

    return _per_muscle(maps, along)


def cog_x(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the centre of gravity to the right of the vertex (mm), per muscle and hemisphere."""
    return _centre(maps, 0)


def cog_y(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the centre of gravity anterior to the vertex (mm), per muscle and hemisphere."""
    return _centre(maps, 1)


COG_DIRECTION = "Posterior in 10.1097/BRS.0b013e31821c4267, anterior in 10.1097/AJP.0000000000000535: contradictory"

COG_X = Marker(
    name="cog_x",
    long_name="Centre of gravity, right of the vertex",
    description="Amplitude-weighted mean of x over the active sites; negative is left. " + ESTIMAND,
    unit="mm",
    family="tms",
    function=cog_x,
    direction=Direction.CONTESTED,
    direction_source=COG_DIRECTION,
    tier=Tier.EXPLORATORY,
    doi="10.1093/brain/awn154",
    fact_sheet=SMUDGING,
    n_counts="kept pulses",
    version="1",
    bounds=(-150.0, 150.0),
    index=("muscle", "hemi"),
    levels=muscle_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)

COG_Y = Marker(
    name="cog_y",
    long_name="Centre of gravity, anterior of the vertex",
    description="Amplitude-weighted mean of y over the active sites; negative is posterior. " + ESTIMAND,
    unit="mm",
    family="tms",
    function=cog_y,
    direction=Direction.CONTESTED,
    direction_source=COG_DIRECTION,
    tier=Tier.EXPLORATORY,
    doi="10.1093/brain/awn154",
    fact_sheet=SMUDGING,
    n_counts="kept pulses",
    version="1",
    bounds=(-150.0, 150.0),
    index=("muscle", "hemi"),
    levels=muscle_levels,
    evidence=Evidence.UNVERIFIED,
    se_method=SE_METHOD,
)


def map_sites_kept(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of sites with enough kept trials, per muscle and hemisphere."""
    return {
        (muscle, hemi): Estimate.of(
            float(np.isfinite(maps.means(hemi, muscle)).sum()), ci=(np.nan, np.nan), n=each.coords_mm.shape[0]
        )
        for hemi, each in maps.maps.items()
        for muscle in each.muscles
    }


MAP_SITES_KEPT = Marker(
    name="map_sites_kept",
    long_name="Grid sites with enough trials",
    description="Sites with at least the fewest kept trials; a map of less than 80 % of its grid is refused.",
    unit="1",
    family="tms",
    function=map_sites_kept,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi="10.1155/2017/6328569",
    fact_sheet=SMUDGING,
    n_counts="sites stimulated",
    version="1",
    bounds=(0.0, np.inf),
    index=("muscle", "hemi"),
    levels=muscle_levels,
)

MARKERS: tuple[Marker, ...] = (OVERLAP_MIN, MAP_AREA, MAP_VOLUME, COG_X, COG_Y, MAP_SITES_KEPT)
