"""TMS motor maps of two trunk muscles: area, volume, centre of gravity, shape, peaks, and how far the two overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lbpneuro.errors import Reason
from lbpneuro.kernels import map_bootstrap, motor_map
from lbpneuro.kernels.motor_map import Array, Functional
from lbpneuro.markers.descriptor import Direction, Estimate, Evidence, Level, Marker, Tier, by_gravity
from lbpneuro.markers.motor_maps import FittedSites, MotorMaps, Peaks

TITLE = "TMS motor maps"

SMUDGING = (
    "Smudging: motor-cortex representations of the deep multifidus and longissimus overlap more in recurrent low back "
    "pain (of the studies the fact sheet cites, one is of neck pain)."
)
TSAO_2008 = "10.1093/brain/awn154"
TSAO_2011 = "10.1097/BRS.0b013e31821c4267"
TMSMAP_2018 = "10.3389/fnhum.2018.00239"
VAN_DE_RUIT_2015 = "10.1016/j.brs.2014.10.020"
CHANG_2019 = "Chang 2019 (acute low back pain, F(1,70) = 5.61); Tsao 2011, " + TSAO_2011
SE_METHOD = (
    "parametric bootstrap of a smooth map fitted to the trials, errors of the refits around their own truth; with "
    "tms.estimator plain, percentiles of resampled trials"
)
ESTIMAND = (
    "Estimated of the noise-free site means: a smooth map is fitted to the trials of all sites, and bias and error "
    "come from a parametric bootstrap; the plain value of the noisy site means, which tms.estimator: plain gives, is "
    "biased."
)
NO_FINDING = "No published difference in low back pain"


def muscle_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of one muscle: muscle and hemisphere."""
    return [(muscle, hemi) for muscle in config["tms"]["muscles"] for hemi in config["tms"]["hemispheres"]]


def hemi_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers of the pair of muscles: hemisphere."""
    return [(hemi,) for hemi in config["tms"]["hemispheres"]]


def both_levels(config: Mapping[str, Any]) -> list[Level]:
    """Levels of the markers that compare the hemispheres: muscle."""
    return [(muscle,) for muscle in config["tms"]["muscles"]]


_of_family = partial(Marker, family="tms", fact_sheet=SMUDGING, evidence=Evidence.UNVERIFIED, se_method=SE_METHOD)
_of_muscle = partial(_of_family, index=("muscle", "hemi"), levels=muscle_levels, n_counts="kept pulses")
_of_pair = partial(_of_family, index=("hemi",), levels=hemi_levels, n_counts="kept pulses, in both muscles")
_of_sites = partial(
    _of_muscle, tier=Tier.QUALITY, direction=Direction.NOT_APPLICABLE, bounds=(0.0, np.inf), evidence=Evidence.DESIGN
)


def _muscles(
    maps: MotorMaps,
    functional: Callable[[FittedSites, Level], Functional],
    *,
    bounds: Callable[[FittedSites], tuple[float, float]] = lambda _: (-np.inf, np.inf),
) -> dict[Level, Estimate]:
    """The estimate of a functional of the map of each muscle and hemisphere; it takes maps (..., n_site)."""
    found: dict[Level, Estimate] = {}
    for level, fit in maps.single.items():
        if isinstance(fit, Estimate):
            found[level] = fit
            continue
        value, se, ci = fit.draws.estimate(_of_first(functional(fit, level)), bounds=bounds(fit))
        flags = [*maps.flags(level[1], level[0]), *maps.map_flags(fit)]
        found[level] = Estimate.of(value, se=se, ci=(ci[0], ci[1]), n=fit.n_trials, flags=flags)
    return found


def _of_first(functional: Functional) -> Functional:
    """A functional of maps (..., n_site) as one of the maps (..., 1, n_site) of a single muscle."""
    return lambda drawn: functional(drawn[..., 0, :])


def _pairs(maps: MotorMaps, reduction: Callable[[FittedSites], tuple[float, float, Array]]) -> dict[Level, Estimate]:
    """Value, standard error and interval that ``reduction`` gives of the joint fit of the pair, per hemisphere."""
    found: dict[Level, Estimate] = {}
    for level, fit in maps.pairs.items():
        if isinstance(fit, Estimate):
            found[level] = fit
            continue
        value, se, ci = reduction(fit)
        flags = [*maps.flags(level[0], *maps.pair), *maps.map_flags(fit)]
        found[level] = Estimate.of(value, se=se, ci=(ci[0], ci[1]), n=fit.n_trials, flags=flags)
    return found


# ------------------------------------------------------------------------------------------------------------ overlap


def _overlap(maps: MotorMaps, functional: Callable[..., Array]) -> dict[Level, Estimate]:
    tau = maps.settings["tau"]

    def of_both(drawn: Array) -> Array:
        return functional(drawn[..., 0, :], drawn[..., 1, :], tau=tau)

    return _pairs(maps, lambda fit: fit.draws.estimate(of_both, bounds=(0.0, 1.0)))


def overlap_min(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the overlap of the two muscles' maps per hemisphere, 0 to 1 (Schoener's index above ``tau``)."""
    return _overlap(maps, motor_map.overlap_min)


OVERLAP_MIN = _of_pair(
    name="overlap_min",
    long_name="Overlap of the motor maps of two trunk muscles",
    description=(
        "Sum over sites of the smaller of the two muscles' shares of their map: 0 apart, 1 identical. Sites below tau "
        "of the map maximum are inactive. " + ESTIMAND
    ),
    unit="1",
    function=overlap_min,
    direction=Direction.HIGHER,
    direction_source="Tsao 2011 (qualitative), " + TSAO_2011 + "; Te 2017 (knee pain, p = .02)",
    tier=Tier.PRIMARY,
    doi="10.2307/1935376",
    version="2",
    bounds=(0.0, 1.0),
)


def overlap_bhattacharyya(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the Bhattacharyya coefficient of the two muscles' maps per hemisphere, 0 to 1."""
    return _overlap(maps, motor_map.overlap_bhattacharyya)


OVERLAP_BHATTACHARYYA = _of_pair(
    name="overlap_bhattacharyya",
    long_name="Bhattacharyya coefficient of two motor maps",
    description=(
        "Sum over sites of the root of the product of the two muscles' shares of their map: 0 apart, 1 identical. "
        + ESTIMAND
    ),
    unit="1",
    function=overlap_bhattacharyya,
    direction=Direction.HIGHER,
    direction_source="As of overlap_min: Tsao 2011 (qualitative), " + TSAO_2011,
    tier=Tier.EXPLORATORY,
    doi=TSAO_2011,
    version="1",
    bounds=(0.0, 1.0),
)


def overlap_dice(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the Dice coefficient of the two muscles' active sites per hemisphere, 0 to 1."""
    return _overlap(maps, motor_map.overlap_dice)


OVERLAP_DICE = _of_pair(
    name="overlap_dice",
    long_name="Dice coefficient of two motor maps",
    description="Twice the number of sites active in both muscles over the sum of their numbers. " + ESTIMAND,
    unit="1",
    function=overlap_dice,
    direction=Direction.HIGHER,
    direction_source="As of overlap_min: Tsao 2011 (qualitative), " + TSAO_2011,
    tier=Tier.EXPLORATORY,
    doi="10.2307/1932409",
    version="1",
    bounds=(0.0, 1.0),
)


def overlap_share(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return how much of the active sites of a muscle is active in the other one too, per muscle and hemisphere."""
    tau = maps.settings["tau"]

    def estimates(own: int) -> dict[Level, Estimate]:
        def share(drawn: Array) -> Array:
            return motor_map.overlap_share(drawn[..., own, :], drawn[..., 1 - own, :], tau=tau)

        return _pairs(maps, lambda fit: fit.draws.estimate(share, bounds=(0.0, 1.0)))

    return {
        (muscle, *level): estimate
        for place, muscle in enumerate(maps.pair)
        for level, estimate in estimates(place).items()
    }


OVERLAP_SHARE = _of_muscle(
    name="overlap_share",
    long_name="Share of a motor map that the other muscle shares",
    description="Number of sites active in both muscles over the number active in this one. " + ESTIMAND,
    unit="1",
    function=overlap_share,
    direction=Direction.HIGHER,
    direction_source="As of overlap_min: Tsao 2011 (qualitative), " + TSAO_2011,
    tier=Tier.EXPLORATORY,
    doi=TSAO_2011,
    version="1",
    bounds=(0.0, 1.0),
    n_counts="kept pulses, in both muscles",
)


def overlap_chance(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the mean overlap under shuffled site labels per hemisphere; the interval holds 95 % of these overlaps."""
    return _shuffled(maps, _chance)


def _chance(_: float, null: Array) -> tuple[float, float, Array]:
    return float(null.mean()), float(null.std(ddof=1)), np.asarray(np.percentile(null, [2.5, 97.5]), dtype=float)


def _shuffled(maps: MotorMaps, summary: Callable[[float, Array], tuple[float, float, Array]]) -> dict[Level, Estimate]:
    """What ``summary`` makes of the overlap and those of shuffled sites; only grids have sites to shuffle."""
    tau, n_draws = maps.settings["tau"], maps.settings["bootstrap"]

    def reduction(fit: FittedSites) -> tuple[float, float, Array]:
        both, rng = fit.draws.maps, np.random.default_rng(maps.seed)
        null = map_bootstrap.shuffled_overlap(both, tau=tau, n_draws=n_draws, rng=rng)
        return summary(float(motor_map.overlap_min(both[0], both[1], tau=tau)), null)

    found = _pairs(maps, reduction)
    walks = [level for level in found if maps.maps[level[0]].walk]
    return found | {level: Estimate.fail(Reason.NO_GRID) for level in walks}


OVERLAP_CHANCE = _of_pair(
    name="overlap_chance",
    long_name="Overlap of two motor maps with shuffled sites",
    description=(
        "Mean of overlap_min when the sites of one muscle are dealt out at random, and the range of 95 % of these: "
        "what maps of these amplitudes overlap without order in space. Neighbouring sites respond alike, so that a "
        "larger overlap is no surprise: the foot of the scale, not a test of smudging."
    ),
    unit="1",
    function=overlap_chance,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi=TSAO_2011,
    version="1",
    bounds=(0.0, 1.0),
    evidence=Evidence.DESIGN,
    se_method="standard deviation over shuffles",
)


def overlap_chance_p(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the share of shuffled overlaps that are at least as large as that of the maps, per hemisphere."""

    def share(found: float, null: Array) -> tuple[float, float, Array]:
        p = (1 + int((null >= found).sum())) / (1 + null.size)
        error = float(np.sqrt(p * (1 - p) / null.size))
        reach = motor_map.NORMAL_95 * error
        return p, error, np.clip([p - reach, p + reach], 0.0, 1.0)

    return _shuffled(maps, share)


OVERLAP_CHANCE_P = _of_pair(
    name="overlap_chance_p",
    long_name="Probability of an overlap as large with shuffled sites",
    description="Share of the overlaps with shuffled sites (overlap_chance) that are at least as large as overlap_min.",
    unit="1",
    function=overlap_chance_p,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    doi=TSAO_2011,
    version="1",
    bounds=(0.0, 1.0),
    evidence=Evidence.DESIGN,
    se_method="binomial, over shuffles",
)


# ----------------------------------------------------------------------------------------------------- area and volume


def _area(maps: MotorMaps, tau: float) -> dict[Level, Estimate]:
    return _muscles(
        maps,
        lambda fit, _: partial(motor_map.map_area, tau=tau, cell_cm2=fit.cell_cm2),
        bounds=lambda fit: (0.0, fit.n_sites * fit.cell_cm2),
    )


def map_area(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the area of the active sites in cm^2, per muscle and hemisphere."""
    return _area(maps, maps.settings["tau"])


_of_area = partial(
    _of_muscle,
    unit="cm^2",
    direction=Direction.CONTESTED,
    direction_source="No consistent finding; 10.1007/s00221-024-06844-5 names no difference",
    doi=TSAO_2008,
    bounds=(0.0, np.inf),
)
MAP_AREA = _of_area(
    name="map_area",
    long_name="Map area",
    description="Number of active sites (at least tau of the map maximum) times the area of a grid cell. " + ESTIMAND,
    function=map_area,
    tier=Tier.SECONDARY,
    version="2",
)


def map_area_low(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the area of the sites above the lower threshold in cm^2, per muscle and hemisphere."""
    return _area(maps, maps.settings["tau_low"])


MAP_AREA_LOW = _of_area(
    name="map_area_low",
    long_name="Map area, lower threshold",
    description="Area of the sites of at least tau_low of the map maximum, as published of walks. " + ESTIMAND,
    function=map_area_low,
    tier=Tier.EXPLORATORY,
    doi=VAN_DE_RUIT_2015,
    version="1",
)


def map_area_absolute(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the area of the sites above a fixed amplitude in cm^2, per muscle and hemisphere."""
    return _muscles(
        maps,
        lambda fit, level: partial(
            motor_map.map_area_above, threshold=maps.area_threshold(level[1], level[0]), cell_cm2=fit.cell_cm2
        ),
        bounds=lambda fit: (0.0, fit.n_sites * fit.cell_cm2),
    )


MAP_AREA_ABSOLUTE = _of_area(
    name="map_area_absolute",
    long_name="Map area above a fixed amplitude",
    description=(
        "Area of the sites whose response is at least tms.area_rest_uv in a muscle at rest, or tms.area_active_sd "
        "standard deviations of trials without response in an active one. " + ESTIMAND
    ),
    function=map_area_absolute,
    tier=Tier.EXPLORATORY,
    doi=TMSMAP_2018,
    version="1",
)


def _volume(maps: MotorMaps, tau: float) -> dict[Level, Estimate]:
    return _muscles(
        maps,
        lambda fit, _: lambda drawn: fit.site * motor_map.map_volume(drawn, tau=tau),
        bounds=lambda fit: (0.0, fit.site * fit.n_sites),
    )


def map_volume(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the sum of the active sites over the largest one (sites), per muscle and hemisphere."""
    return _volume(maps, maps.settings["tau"])


_of_volume = partial(
    _of_muscle,
    direction=Direction.LOWER,
    direction_source=CHANG_2019,
    doi=TSAO_2008,
    bounds=(0.0, np.inf),
)
MAP_VOLUME = _of_volume(
    name="map_volume",
    long_name="Normalised map volume",
    description=(
        "Sum of the active sites divided by the largest site, in sites; of a map without a grid in areas of 1 cm^2. "
        + ESTIMAND
    ),
    unit="1",
    function=map_volume,
    tier=Tier.SECONDARY,
    version="2",
)


def map_volume_low(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the normalised volume above the lower threshold (sites), per muscle and hemisphere."""
    return _volume(maps, maps.settings["tau_low"])


MAP_VOLUME_LOW = _of_volume(
    name="map_volume_low",
    long_name="Normalised map volume, lower threshold",
    description="As map_volume, over the sites of at least tau_low of the map maximum. " + ESTIMAND,
    unit="1",
    function=map_volume_low,
    tier=Tier.EXPLORATORY,
    version="1",
)


def map_volume_absolute(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the sum of the responses over the map times the area of a cell (uV cm^2), per muscle and hemisphere."""
    return _muscles(
        maps,
        lambda fit, _: partial(motor_map.map_volume_absolute, cell_cm2=fit.cell_cm2),
        bounds=lambda _: (0.0, np.inf),
    )


MAP_VOLUME_ABSOLUTE = _of_volume(
    name="map_volume_absolute",
    long_name="Map volume",
    description=(
        "Sum of the responses of all sites times the area of a grid cell. It hangs on electrodes, contraction and "
        "stimulus intensity as any amplitude does. " + ESTIMAND
    ),
    unit="uV*cm^2",
    function=map_volume_absolute,
    tier=Tier.SECONDARY,
    version="1",
)


# ---------------------------------------------------------------------------------------------------- asymmetry


def _asymmetry(estimates: Mapping[Level, Estimate], muscles: list[str]) -> dict[Level, Estimate]:
    """(L - R) / (L + R) of a marker per muscle; empty for the reason of the side that is empty."""
    absent = Estimate.missing(Reason.NOT_ACQUIRED)
    sides = {muscle: [estimates.get((muscle, hemi), absent) for hemi in "LR"] for muscle in muscles}
    return {(muscle,): _index(*both) for muscle, both in sides.items()}


def _index(left: Estimate, right: Estimate) -> Estimate:
    empty = next((each for each in (left, right) if np.isnan(each.value)), None)
    if empty is not None:
        return empty
    value, error = motor_map.asymmetry((left.value, left.se), (right.value, right.se))
    if np.isnan(value):
        return Estimate.fail(Reason.NO_MAP)
    reach = motor_map.NORMAL_95 * error
    interval = (max(-1.0, value - reach), min(1.0, value + reach))
    return Estimate.of(
        value, se=error, ci=interval, n=left.n + right.n, flags=by_gravity((*left.reasons, *right.reasons))
    )


def map_area_asymmetry(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return (L - R) / (L + R) of the map area, per muscle."""
    return _asymmetry(map_area(maps), maps.settings["muscles"])


def map_volume_asymmetry(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return (L - R) / (L + R) of the normalised map volume, per muscle."""
    return _asymmetry(map_volume(maps), maps.settings["muscles"])


_of_both = partial(
    _of_family,
    unit="1",
    index=("muscle",),
    levels=both_levels,
    n_counts="kept pulses, of both hemispheres",
    direction=Direction.CONTESTED,
    direction_source="Li 2021 used such an index, 10.1155/2021/6666024; its cut-offs were not read",
    tier=Tier.EXPLORATORY,
    doi="10.1155/2021/6666024",
    bounds=(-1.0, 1.0),
    se_method="first order, of the two hemispheres",
)
MAP_AREA_ASYMMETRY = _of_both(
    name="map_area_asymmetry",
    long_name="Asymmetry of the map area",
    description="(L - R) / (L + R) of map_area over the stimulated hemispheres; needs maps of both.",
    function=map_area_asymmetry,
    version="1",
)
MAP_VOLUME_ASYMMETRY = _of_both(
    name="map_volume_asymmetry",
    long_name="Asymmetry of the normalised map volume",
    description="(L - R) / (L + R) of map_volume over the stimulated hemispheres; needs maps of both.",
    function=map_volume_asymmetry,
    version="1",
)


# ------------------------------------------------------------------------------------------------- centre of gravity


def _centre(maps: MotorMaps, axis: int) -> dict[Level, Estimate]:
    tau = maps.settings["tau"]

    def along(fit: FittedSites, _: Level) -> Functional:
        coords = fit.coords_mm[:, [axis]]
        return lambda drawn: motor_map.centre_of_gravity(drawn, coords, tau=tau)[..., 0]

    return _muscles(maps, along)


def cog_x(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the centre of gravity to the right of the vertex (mm), per muscle and hemisphere."""
    return _centre(maps, 0)


def cog_y(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the centre of gravity anterior to the vertex (mm), per muscle and hemisphere."""
    return _centre(maps, 1)


_of_centre = partial(
    _of_muscle,
    unit="mm",
    direction=Direction.CONTESTED,
    direction_source=(
        "Posterior in 10.1097/BRS.0b013e31821c4267, anterior in 10.1097/AJP.0000000000000535: contradictory"
    ),
    tier=Tier.EXPLORATORY,
    doi=TSAO_2008,
    bounds=(-150.0, 150.0),
)
COG_X = _of_centre(
    name="cog_x",
    long_name="Centre of gravity, right of the vertex",
    description="Amplitude-weighted mean of x over the active sites; negative is left. " + ESTIMAND,
    function=cog_x,
    version="2",
)
COG_Y = _of_centre(
    name="cog_y",
    long_name="Centre of gravity, anterior of the vertex",
    description="Amplitude-weighted mean of y over the active sites; negative is posterior. " + ESTIMAND,
    function=cog_y,
    version="2",
)


def cog_distance(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the distance between the centres of the two muscles per hemisphere (mm), less what noise adds to it."""
    tau = maps.settings["tau"]

    def apart(fit: FittedSites) -> tuple[float, float, Array]:
        def difference(drawn: Array) -> Array:
            centres = motor_map.centre_of_gravity(drawn, fit.coords_mm, tau=tau)
            return centres[..., 0, :] - centres[..., 1, :]

        vector, errors = fit.draws.corrected(difference)
        return motor_map.debiased_length(vector, errors[np.isfinite(errors).all(axis=-1)])

    return _pairs(maps, apart)


COG_DISTANCE = _of_pair(
    name="cog_distance",
    long_name="Distance between the centres of gravity of two trunk muscles",
    description=(
        "Root of the squared distance less the mean square of its error, with the sign kept: noise alone puts two "
        "equal centres apart. Below 0 the centres are nearer than noise would put them, so that means over people are "
        "not pulled up. " + ESTIMAND
    ),
    unit="mm",
    function=cog_distance,
    direction=Direction.LOWER,
    direction_source="Tsao 2011 (no effect size), " + TSAO_2011 + "; the opposite on the left in 10.1155/2021/6666024",
    tier=Tier.SECONDARY,
    doi=TSAO_2011,
    version="1",
    bounds=(-150.0, 150.0),
)


# -------------------------------------------------------------------------------------------------------------- shape


def map_entropy(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the entropy of the map (nats), per muscle and hemisphere."""
    return _muscles(maps, lambda fit, _: lambda drawn: motor_map.map_entropy(drawn) + np.log(fit.site))


def map_spread(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the root mean square distance of the response from its centre (mm), per muscle and hemisphere."""
    return _muscles(maps, lambda fit, _: partial(motor_map.map_spread, coords=fit.coords_mm))


def map_effective_sites(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return how many sites of equal response the map is worth, per muscle and hemisphere."""
    return _muscles(maps, lambda fit, _: lambda drawn: fit.site * motor_map.effective_sites(drawn))


_of_shape = partial(
    _of_muscle,
    direction=Direction.CONTESTED,
    direction_source=NO_FINDING,
    tier=Tier.EXPLORATORY,
    evidence=Evidence.DESIGN,
    doi=TMSMAP_2018,
    version="1",
)
MAP_ENTROPY = _of_shape(
    name="map_entropy",
    long_name="Entropy of the map",
    description=(
        "- sum p ln p of the shares p of all sites, in nats; of a map without a grid, with cells of 1 cm^2. Among the "
        "measures that are most alike from day to day. " + ESTIMAND
    ),
    unit="1",
    function=map_entropy,
)
MAP_SPREAD = _of_shape(
    name="map_spread",
    long_name="Spread of the map",
    description=(
        "Root of the trace of the amplitude-weighted covariance of the positions of all sites. Among the measures that "
        "are most alike from day to day. " + ESTIMAND
    ),
    unit="mm",
    function=map_spread,
    bounds=(0.0, 150.0),
)
MAP_EFFECTIVE_SITES = _of_shape(
    name="map_effective_sites",
    long_name="Effective number of sites",
    description="1 / sum p^2 of the shares p of all sites; of a map without a grid in areas of 1 cm^2. " + ESTIMAND,
    unit="1",
    function=map_effective_sites,
    bounds=(0.0, np.inf),
)


# -------------------------------------------------------------------------------------------------------------- peaks


def _peaks(maps: MotorMaps, counted: Callable[[Peaks], tuple[float, Array | None]]) -> dict[Level, Estimate]:
    """Counts with the spread and the percentiles of those of resampled trials, always flagged as unreliable."""
    found: dict[Level, Estimate] = {}
    for level, peaks in maps.peaks.items():
        if isinstance(peaks, Estimate):
            found[level] = peaks
            continue
        value, again = counted(peaks)
        error, low, high = np.nan, np.nan, np.nan
        if again is not None:
            error, (low, high) = float(again.std(ddof=1)), np.percentile(again, [2.5, 97.5])
        flags = [Reason.LOW_RELIABILITY, *maps.flags(level[1], level[0])]
        interval = (min(low, value), max(high, value)) if again is not None else (low, high)
        found[level] = Estimate.of(value, se=error, ci=interval, n=peaks.n_trials, flags=flags)
    return found


def n_peaks_published(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of peaks by the published rule, per muscle and hemisphere."""
    return _peaks(maps, lambda peaks: (float(peaks.published.sum()), peaks.published_again.sum(axis=1)))


def n_peaks_strict(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of local maxima that stand out, per muscle and hemisphere."""
    return _peaks(maps, lambda peaks: (float(peaks.strict.sum()), peaks.strict_again.sum(axis=1)))


def n_peaks_stable(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of strict peaks that are found again in most resamples, per muscle and hemisphere."""
    support = maps.settings["peaks"]["support"]
    return _peaks(maps, lambda peaks: (float((peaks.support >= support).sum()), None))


_of_peaks = partial(
    _of_muscle,
    unit="1",
    tier=Tier.EXPLORATORY,
    doi="10.1097/BRS.0000000000001938",
    version="1",
    bounds=(0.0, np.inf),
    se_method="resampled trials within sites",
)
N_PEAKS_PUBLISHED = _of_peaks(
    name="n_peaks_published",
    long_name="Discrete peaks, published rule",
    description=(
        "Sites above half the maximum of which at least seven of the eight neighbours are lower by 5 % (beyond the "
        "border counts as lower), of the plain means. A map with a single hill has 2.5 such peaks at five trials per "
        "site and 2.1 at ten, and a wider one more: not to be compared between protocols, and always flagged."
    ),
    function=n_peaks_published,
    direction=Direction.LOWER,
    direction_source=(
        "Schabrun 2017 (not read in full), 10.1097/BRS.0000000000001938; Te 2017 (knee), 10.1002/hbm.24558 (neck)"
    ),
)
N_PEAKS_STRICT = _of_peaks(
    name="n_peaks_strict",
    long_name="Discrete peaks, strict rule",
    description=(
        "Local maxima above half the maximum with a prominence of at least 5 % of it, of the plain means: 1.2 for a "
        "single hill at five trials per site, 1.1 at ten."
    ),
    function=n_peaks_strict,
    direction=Direction.CONTESTED,
    direction_source="No study counted peaks in this way",
    evidence=Evidence.DESIGN,
)
N_PEAKS_STABLE = _of_peaks(
    name="n_peaks_stable",
    long_name="Discrete peaks that are found again",
    description="Strict peaks that are found at or next to their site in at least 80 % of resampled maps.",
    function=n_peaks_stable,
    direction=Direction.NOT_APPLICABLE,
    tier=Tier.QUALITY,
    evidence=Evidence.DESIGN,
)


# ------------------------------------------------------------------------------------------------------------ quality


def _counted(maps: MotorMaps, count: Callable[[str, str], float]) -> dict[Level, Estimate]:
    """A number of sites per muscle and hemisphere, of the sites that were stimulated."""
    return {
        (muscle, hemi): Estimate.of(count(muscle, hemi), ci=(np.nan, np.nan), n=each.coords_mm.shape[0])
        for hemi, each in maps.maps.items()
        for muscle in each.muscles
    }


def map_sites_kept(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of sites with enough kept trials, per muscle and hemisphere."""
    return _counted(maps, lambda muscle, hemi: float(np.isfinite(maps.means(hemi, muscle)).sum()))


MAP_SITES_KEPT = _of_sites(
    name="map_sites_kept",
    long_name="Grid sites with enough trials",
    description=(
        "Sites with at least the fewest kept trials; a map of less than 80 % of its grid is refused. Of a map without "
        "a grid the pulses that are kept."
    ),
    unit="1",
    function=map_sites_kept,
    doi="10.1155/2017/6328569",
    n_counts="sites stimulated",
    version="1",
)


def map_sites_imputed(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of missing sites that were filled from their neighbours, per muscle and hemisphere."""
    fits = {level: fit for level, fit in maps.single.items() if isinstance(fit, FittedSites)}
    return _counted(maps, lambda muscle, hemi: float(fits[muscle, hemi].imputed if (muscle, hemi) in fits else 0))


MAP_SITES_IMPUTED = _of_sites(
    name="map_sites_imputed",
    long_name="Grid sites filled from their neighbours",
    description="Sites with too few trials that have enough neighbours to be interpolated (plane through them).",
    unit="1",
    function=map_sites_imputed,
    doi=TSAO_2008,
    n_counts="sites stimulated",
    version="1",
)


def map_sites_negative(maps: MotorMaps) -> dict[Level, Estimate]:
    """Return the number of sites with a mean response below that of the background, per muscle and hemisphere."""
    return _counted(maps, lambda muscle, hemi: float((maps.means(hemi, muscle) < 0).sum()))


MAP_SITES_NEGATIVE = _of_sites(
    name="map_sites_negative",
    long_name="Grid sites below the background",
    description="Sites whose mean response above the background is negative; they are inactive, not missing.",
    unit="1",
    function=map_sites_negative,
    doi=TSAO_2008,
    n_counts="sites stimulated",
    version="1",
)

MARKERS: tuple[Marker, ...] = (
    OVERLAP_MIN,
    COG_DISTANCE,
    MAP_AREA,
    MAP_VOLUME,
    MAP_VOLUME_ABSOLUTE,
    COG_X,
    COG_Y,
    MAP_SPREAD,
    MAP_ENTROPY,
    MAP_EFFECTIVE_SITES,
    N_PEAKS_PUBLISHED,
    N_PEAKS_STRICT,
    N_PEAKS_STABLE,
    OVERLAP_BHATTACHARYYA,
    OVERLAP_DICE,
    OVERLAP_SHARE,
    MAP_AREA_LOW,
    MAP_AREA_ABSOLUTE,
    MAP_VOLUME_LOW,
    MAP_AREA_ASYMMETRY,
    MAP_VOLUME_ASYMMETRY,
    OVERLAP_CHANCE,
    OVERLAP_CHANCE_P,
    MAP_SITES_KEPT,
    MAP_SITES_IMPUTED,
    MAP_SITES_NEGATIVE,
)
