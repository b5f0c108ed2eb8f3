"""What the TMS of a simulated study does: which pulse comes when and where, and how large a response it evokes.

Two runs: a motor map of two paraspinal muscles on a grid over the left hemisphere, and a homeostatic-plasticity
protocol in a hand muscle. The planted values are the functionals of the noise-free maps, and the expectations of the
logarithms of the responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lbpneuro.kernels import motor_map
from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.truth import TruthRow, truth_row

BLOCKS = ("pre", "between", "post00", "post10", "post20")
POST = ("post00", "post10", "post20")
BLOCK_MINUTES: Mapping[str, float] = {"pre": 0, "between": 10, "post00": 18, "post10": 28, "post20": 38}
POLARITY = (1, 1)
LOG_OFFSET_UV = 1.0


@dataclass(frozen=True, slots=True)
class MapSettings:
    """The motor map; lengths in mm, amplitudes in uV peak to peak, logarithms natural.

    ``separation_mm`` is the distance between the centres of the two muscles; it is smaller in people with low back
    pain by ``patient_mm`` (smudged representations). ``trial_sd`` is the spread of the logarithm of single
    responses, of which ``shared`` is common to both muscles.
    """

    muscles: tuple[str, str] = ("multifidus_deep", "longissimus")
    hemisphere: str = "L"
    columns_mm: tuple[float, ...] = (-55, -45, -35, -25, -15, -5)
    rows_mm: tuple[float, ...] = (-25, -15, -5, 5, 15, 25, 35)
    trials_per_site: int = 5
    interval_s: float = 1.5
    tau: float = 0.25
    tau_low: float = 0.1
    centre_mm: tuple[float, float] = (-30, 5)
    centre_sd: float = 2.5
    separation_mm: float = 12.0
    patient_mm: float = 6.0
    separation_sd: float = 1.5
    direction_rad: float = 1.2
    width_mm: float = 10.0
    width_sd: float = 0.06
    texture_sd: float = 0.1
    peak_uv: float = 600.0
    peak_sd: float = 0.25
    trial_sd: float = 0.4
    shared: float = 0.5
    session_sd: float = 0.3
    intensity_mso: float = 72.0


@dataclass(frozen=True, slots=True)
class PlasticitySettings:
    """The homeostatic-plasticity protocol: two bouts of the same excitatory stimulation, blocks of single pulses.

    ``between`` is the planted logarithmic response to the first bout, ``post`` that to both (negative: homeostatic
    reversal), ``patient`` what is added to ``post`` in people with low back pain (reversal fails), ``shape`` the
    size of the effect in the three blocks afterwards.
    """

    muscle: str = "FDI"
    trials_per_block: int = 34
    interval_s: float = 4.0
    baseline_uv: float = 1000.0
    baseline_sd: float = 0.2
    between: float = 0.4
    between_sd: float = 0.08
    post: float = -0.35
    post_sd: float = 0.15
    patient: float = 0.4
    shape: Mapping[str, float] = field(default_factory=lambda: {"post00": 0.7, "post10": 1.0, "post20": 0.8})
    trial_sd: float = 0.5
    restless_share: float = 0.03
    session_sd: float = 0.3
    intensity_mso: float = 58.0


@dataclass(frozen=True, slots=True)
class Pulses:
    """The pulses of a run, in order: ``onset_s``, ``position``, ``block``, planted ``amplitude_uv`` (muscle, pulse).

    ``site_xy_mm`` (n_site, 2) are the positions that ``position`` (n_pulse,) counts; ``restless`` marks pulses with
    unwanted muscle activity before them.
    """

    muscles: tuple[str, ...]
    onset_s: Array
    position: NDArray[np.int64]
    block: tuple[str, ...]
    amplitude_uv: Array
    site_xy_mm: Array
    intensity_mso: float
    restless: NDArray[np.bool_]


# ----------------------------------------------------------------------------------------------------------------- map


def grid_mm(settings: MapSettings) -> Array:
    """Return the sites (n_site, 2) of the grid: x and y in mm from the vertex, row by row."""
    x, y = np.meshgrid(settings.columns_mm, settings.rows_mm)
    return np.column_stack([x.ravel(), y.ravel()]).astype(float)


def site_means(visit: Visit, settings: MapSettings) -> Array:
    """Return the planted mean response (2, n_site) in uV of each muscle at each site.

    A Gaussian hill per muscle, with a smooth random relief of its own so that no simple shape fits it exactly.
    """
    lasting, passing = visit.lasting("map"), visit.passing("map")
    sites = grid_mm(settings)
    distance = settings.separation_mm - settings.patient_mm * visit.person.patient
    distance = max(2.0, distance + _trait(lasting, passing, settings=settings).item() * settings.separation_sd)
    angle = settings.direction_rad + lasting.normal(0, 0.15)
    centre = np.array(settings.centre_mm) + settings.centre_sd * _trait(lasting, passing, settings=settings, size=2)
    half = 0.5 * distance * np.array([np.cos(angle), np.sin(angle)])
    return np.stack([_hill(lasting, sites, centre=centre + sign * half, settings=settings) for sign in (-1, 1)])


def _trait(
    lasting: np.random.Generator, passing: np.random.Generator, *, settings: MapSettings, size: int = 1
) -> Array:
    """Standard normal deviations of a person that differ between sessions by ``session_sd`` of their spread."""
    share = settings.session_sd
    return np.sqrt(1 - share**2) * lasting.standard_normal(size) + share * passing.standard_normal(size)


def _hill(rng: np.random.Generator, sites: Array, *, centre: Array, settings: MapSettings) -> Array:
    width = settings.width_mm * np.exp(rng.normal(0, settings.width_sd, 2))
    height = settings.peak_uv * np.exp(rng.normal(0, settings.peak_sd))
    waves = np.cos(sites @ rng.normal(0, 1 / 15, (2, 6)) + rng.uniform(0, 2 * np.pi, 6))
    relief = settings.texture_sd * waves.sum(axis=1) / np.sqrt(3)
    return height * np.exp(relief - 0.5 * (((sites - centre) / width) ** 2).sum(axis=1))


def map_pulses(visit: Visit, settings: MapSettings) -> Pulses:
    """Return the pulses of the mapping run: every site ``trials_per_site`` times, in random order."""
    rng = visit.passing("map pulses")
    sites = grid_mm(settings)
    position = np.concatenate([rng.permutation(len(sites)) for _ in range(settings.trials_per_site)])
    n_pulse = len(position)
    common, own = rng.standard_normal(n_pulse), rng.standard_normal((2, n_pulse))
    deviation = np.sqrt(settings.shared) * common + np.sqrt(1 - settings.shared) * own
    size = np.exp(settings.trial_sd * deviation - settings.trial_sd**2 / 2)
    return Pulses(
        muscles=settings.muscles,
        onset_s=_onsets(rng, n_pulse, interval_s=settings.interval_s),
        position=position,
        block=("map",) * n_pulse,
        amplitude_uv=site_means(visit, settings)[:, position] * size,
        site_xy_mm=sites,
        intensity_mso=settings.intensity_mso,
        restless=np.zeros(n_pulse, dtype=bool),
    )


def _onsets(rng: np.random.Generator, n_pulse: int, *, interval_s: float) -> Array:
    """Return pulse times in s, jittered by 10 %, the first after one interval."""
    return np.cumsum(interval_s * rng.uniform(0.9, 1.1, n_pulse)).round(3)


def map_truth(visit: Visit, settings: MapSettings) -> list[TruthRow]:
    """Return the planted values of the motor-map markers: the functionals of the noise-free site means."""
    means, sites, hemi = site_means(visit, settings), grid_mm(settings), settings.hemisphere
    cell_cm2 = (settings.columns_mm[1] - settings.columns_mm[0]) ** 2 / 100
    rows = []
    for muscle, one in zip(settings.muscles, means, strict=True):
        x, y = motor_map.centre_of_gravity(one, sites, tau=settings.tau)
        values = {
            "map_area": motor_map.map_area(one, tau=settings.tau, cell_cm2=cell_cm2),
            "map_area_low": motor_map.map_area(one, tau=settings.tau_low, cell_cm2=cell_cm2),
            "map_volume": motor_map.map_volume(one, tau=settings.tau),
            "map_volume_low": motor_map.map_volume(one, tau=settings.tau_low),
            "cog_x": x,
            "cog_y": y,
            "map_spread": motor_map.map_spread(one, sites),
            "map_entropy": motor_map.map_entropy(one),
            "map_effective_sites": motor_map.effective_sites(one),
        }
        rows += [truth_row(visit, name, value=float(value), muscle=muscle, hemi=hemi) for name, value in values.items()]
    centres = motor_map.centre_of_gravity(means, sites, tau=settings.tau)
    both = {
        "overlap_min": motor_map.overlap_min(*means, tau=settings.tau),
        "overlap_bhattacharyya": motor_map.overlap_bhattacharyya(*means, tau=settings.tau),
        "overlap_dice": motor_map.overlap_dice(*means, tau=settings.tau),
        "cog_distance": np.linalg.norm(centres[0] - centres[1]),
    }
    return rows + [truth_row(visit, name, value=float(value), hemi=hemi) for name, value in both.items()]


# ---------------------------------------------------------------------------------------------------------- plasticity


def log_responses(visit: Visit, settings: PlasticitySettings) -> dict[str, float]:
    """Return the mean of the natural logarithm of the response (uV) in each block."""
    lasting, passing = visit.lasting("plasticity"), visit.passing("plasticity")
    share = settings.session_sd

    def trait(sd: float) -> float:
        both = np.sqrt(1 - share**2) * lasting.standard_normal() + share * passing.standard_normal()
        return float(sd * both)

    base = np.log(settings.baseline_uv) - settings.trial_sd**2 / 2 + trait(settings.baseline_sd)
    post = settings.post + settings.patient * visit.person.patient + trait(settings.post_sd)
    changes = {"pre": 0.0, "between": settings.between + trait(settings.between_sd)}
    changes |= {block: shape * post for block, shape in settings.shape.items()}
    return {block: float(base + changes[block]) for block in BLOCKS}


def plasticity_pulses(visit: Visit, settings: PlasticitySettings) -> Pulses:
    """Return the pulses of the plasticity run, block after block (the pauses between blocks are not recorded)."""
    rng = visit.passing("plasticity pulses")
    blocks = tuple(block for block in BLOCKS for _ in range(settings.trials_per_block))
    means = log_responses(visit, settings)
    centre = np.array([means[block] for block in blocks])
    return Pulses(
        muscles=(settings.muscle,),
        onset_s=_onsets(rng, len(blocks), interval_s=settings.interval_s),
        position=np.zeros(len(blocks), dtype=np.int64),
        block=blocks,
        amplitude_uv=np.exp(centre + settings.trial_sd * rng.standard_normal(len(blocks)))[None],
        site_xy_mm=np.array([[-45.0, 5.0]]),
        intensity_mso=settings.intensity_mso,
        restless=rng.random(len(blocks)) < settings.restless_share,
    )


def expected_log(mean_log: float, *, sd_log: float) -> float:
    """Return E[log(A + 1 uV)] of a log-normal amplitude A, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float(weights @ np.log(np.exp(mean_log + sd_log * nodes) + LOG_OFFSET_UV) / weights.sum())


def plasticity_truth(visit: Visit, settings: PlasticitySettings) -> list[TruthRow]:
    """Return the planted values of the plasticity markers."""
    logs = {
        block: expected_log(mean, sd_log=settings.trial_sd) for block, mean in log_responses(visit, settings).items()
    }
    ratio = {block: logs[block] - logs["pre"] for block in BLOCKS[1:]}
    first, second = POLARITY
    rows = [truth_row(visit, "block_log_ratio", value=value, block=block) for block, value in ratio.items()]
    rows.append(truth_row(visit, "hp_first_bout", value=first * ratio["between"]))
    rows += [truth_row(visit, "hp_index", value=-second * ratio[block], block=block) for block in POST]
    return rows + [
        truth_row(visit, "hp_reversal", value=-second * (ratio[block] - ratio["between"]), block=block)
        for block in POST
    ]
