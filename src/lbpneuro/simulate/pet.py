"""A dynamic TSPO-PET scan with planted distribution volumes: the uptake of a brain, frame by frame, and its blood.

Every voxel is a mixture of two tissues, one with little and one with much specific binding. Curves, and with them
distribution volumes, are linear in the amounts of both: the truth of a region is that of its mean amounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from lbpneuro.io.config import read_config
from lbpneuro.io.pet_curves import wanted_parts
from lbpneuro.kernels.pet import decay_constant, window_mean, window_overlap
from lbpneuro.markers.pet import CEREBELLUM, OCCIPITAL, WHOLE_BRAIN, Affinity, Place
from lbpneuro.simulate.anatomy import Anatomy, rigid_affine
from lbpneuro.simulate.grids import Array, Grid, Volume, centred_grid, mni_grid, sample, sample_all
from lbpneuro.simulate.people import Person, Visit
from lbpneuro.simulate.pet_kinetics import (
    Frames,
    Input,
    arterial_input,
    distribution_volume,
    dynamic_frames,
    sampled,
    two_tissue_curves,
)
from lbpneuro.simulate.seeding import generator
from lbpneuro.simulate.template import region_shares, regions, template
from lbpneuro.simulate.truth import TruthRow, truth_row

LOW_RATES, HIGH_RATES = (0.12, 0.12, 0.06, 0.045), (0.12, 0.12, 0.24, 0.045)
"""K1 (mL/cm3/min), k2, k3, k4 (1/min) of the two tissues in high-affinity binders."""
BINDING = {Affinity.HIGH: 1.0, Affinity.MIXED: 0.6, Affinity.LOW: 0.02}
"""What k3 is multiplied with in each class."""
FREQUENCIES = {Affinity.HIGH: 0.49, Affinity.MIXED: 0.42, Affinity.LOW: 0.09}
SMOOTH_MM = 3.0
EXTENT_MM = (184.0, 224.0, 200.0)
TRACER, NUCLIDE = "PBR28", "C11"


@dataclass(frozen=True, slots=True)
class PetSettings:
    """What is planted.

    ``shares`` are mean and difference of people with low back pain, for the share of the tissue with much binding
    in each set of regions; ``person`` its spread over people. ``rescan`` are standard deviations of the logarithm
    between scans: of one region, of all uptake, of the measured blood. ``noise`` is the relative standard deviation
    of a voxel of 4 mm in a frame of 6 min around 45 min; ``motion_mm`` and ``pose_mm`` are standard deviations of
    the head's position between frames and of the image against the T1w image.
    """

    shares: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "thalamus": {"mean": 0.45, "patient": 0.12},
            "s1back_mgh": {"mean": 0.12, "patient": 0.05},
            "pgacc": {"mean": 0.15, "patient": 0.0},
            "striatum": {"mean": 0.2, "patient": 0.0},
            "cerebellum": {"mean": 0.1, "patient": 0.0},
        }
    )
    person: float = 0.06
    rescan: Mapping[str, float] = field(default_factory=lambda: {"region": 0.06, "uptake": 0.07, "blood": 0.15})
    noise: float = 0.12
    motion_mm: float = 0.3
    pose_mm: float = 3.0
    dose_mbq: float = 420.0
    blood_volume: float = 0.05


@dataclass(frozen=True, eq=False, slots=True)
class Tracer:
    """The kinetics in one person: frames, input, curves (2, n_frame) of the two tissues with blood, their volumes."""

    frames: Frames
    given: Input
    curves: Array
    volumes: Array


def body_mass_kg(person: Person, *, seed: int) -> float:
    """Return the mass of a person."""
    rng = generator(seed, participant=person.number, what="body mass")
    return float(np.round(np.clip(rng.normal(82 if person.sex == "male" else 69, 11), 45, 140), 1))


def affinity(person: Person, *, seed: int) -> Affinity:
    """Return the class of a person by rs6971."""
    rng = generator(seed, participant=person.number, what="rs6971")
    return Affinity(str(rng.choice([str(name) for name in FREQUENCIES], p=list(FREQUENCIES.values()))))


def kinetics(visit: Visit, settings: PetSettings) -> Tracer:
    """Return input and curves of a person in one session (kBq/mL for a dose of 400 MBq in 75 kg, scaled to theirs)."""
    rng = visit.lasting("input")
    strength = BINDING[affinity(visit.person, seed=visit.seed)]
    scale = settings.dose_mbq / 400 * 75 / body_mass_kg(visit.person, seed=visit.seed)
    given = arterial_input(scale=scale, slow_per_min=float(np.clip(rng.normal(0.012, 0.002), 0.006, 0.02)))
    rates = np.array([LOW_RATES, HIGH_RATES])
    rates[:, 2] *= strength
    frames = dynamic_frames()
    curves = two_tissue_curves(rates, given=given, blood_volume=settings.blood_volume)
    return Tracer(frames, given, sampled(curves, given=given, frames=frames), distribution_volume(rates))


@lru_cache(maxsize=1)
def places() -> dict[Place, tuple[tuple[str, str], ...]]:
    """Return the regions and references of the default settings with the regions of the table they are made of."""
    parts = wanted_parts(read_config()["pet"], dict(regions().items()))
    return {place: tuple((roi, hemi) for roi, hemi in each) for place, each in parts.items()}


@lru_cache(maxsize=2)
def place_shares(voxel_mm: float) -> dict[Place, Volume]:
    """Return the share of every voxel of the template grid in each region and reference."""
    return {
        place: np.max([region_shares(part, voxel_mm) for part in parts], axis=0) for place, parts in places().items()
    }


@lru_cache(maxsize=2)
def smooth_shares(voxel_mm: float) -> dict[Place, Volume]:
    """Return the shares of regions with soft edges, as planted."""
    from scipy import ndimage

    return {
        place: ndimage.gaussian_filter(share.astype(np.float32), SMOOTH_MM / voxel_mm)
        for place, share in place_shares(voxel_mm).items()
    }


def planted_shares(visit: Visit, settings: PetSettings) -> dict[str, float]:
    """Return the share of the tissue with much binding in each set of regions of this person."""
    rng = visit.lasting("binding")
    return {
        name: max(0.0, each["mean"] + each["patient"] * visit.person.patient + float(rng.normal(0, settings.person)))
        for name, each in settings.shares.items()
    }


def binding_map(shares: Mapping[str, float], voxel_mm: float) -> Volume:
    """Return the share of the tissue with much binding in the voxels of the template grid."""
    soft = smooth_shares(voxel_mm)
    return np.sum([share * soft[name, "n/a"] for name, share in shares.items()], axis=0, dtype=np.float32)


def rescan_map(visit: Visit, settings: PetSettings, voxel_mm: float) -> Volume:
    """Return the factor of the uptake of this session in the voxels of the template grid."""
    rng = visit.passing("pet rescan")
    soft = smooth_shares(voxel_mm)
    names = [*settings.shares, OCCIPITAL, "s1"]
    total = sum(settings.rescan["region"] * float(rng.standard_normal()) * soft[name, "n/a"] for name in names)
    overall = settings.rescan["uptake"] * float(rng.standard_normal())
    return np.exp(np.asarray(total, dtype=np.float32) + np.float32(overall))


@dataclass(frozen=True, eq=False, slots=True)
class BrainUptake:
    """Maps on the grid of the T1w image: of the brain times the session's factor, and the same times the binding share.

    The activity of a voxel in a frame is ``base * low + bound * (high - low)``.
    """

    grid: Grid
    base: Volume
    bound: Volume


def brain_uptake(visit: Visit, head: Anatomy, *, settings: PetSettings) -> BrainUptake:
    """Return the uptake of a person's brain in one session."""
    voxel_mm = head.grid.voxel_mm
    at = head.to_template(head.grid.points())
    brain = template(voxel_mm).brain * rescan_map(visit, settings, voxel_mm)
    bound = brain * binding_map(planted_shares(visit, settings), voxel_mm)
    base, bound = sample_all((brain, bound), at, grid=mni_grid(voxel_mm))
    return BrainUptake(head.grid, base.reshape(head.grid.shape), bound.reshape(head.grid.shape))


def frames_of_brain(
    visit: Visit, uptake: BrainUptake, *, tracer: Tracer, settings: PetSettings, voxel_mm: float
) -> tuple[Grid, Volume]:
    """Return the frames (n_x, n_y, n_z, n_frame) of a scan in kBq/mL, decay corrected, on a grid of its own.

    The head lies elsewhere than in the T1w image and moves a little between frames.
    """
    rng = visit.passing("pet image")
    grid = centred_grid(np.array([0.0, -18.0, 6.0]), EXTENT_MM, voxel_mm=voxel_mm)
    points = grid.points()
    pose = _pose(rng.normal(0, settings.pose_mm, 3), rng.normal(0, np.deg2rad(settings.pose_mm), 3))
    low, high = tracer.curves
    found = np.zeros((*grid.shape, len(low)), dtype=np.float32)
    drift = np.cumsum(rng.normal(0, settings.motion_mm, (len(low), 3)) / np.sqrt(len(low)), axis=0)
    sd = noise_sd(tracer, settings=settings, voxel_mm=voxel_mm)
    for frame, shift in enumerate(drift):
        where = points @ pose[:3, :3].T + pose[:3, 3] + shift
        base, bound = sample_all((uptake.base, uptake.bound), where, grid=uptake.grid)
        clean = base * low[frame] + bound * (high[frame] - low[frame])
        noise = sd[frame] * np.sqrt(np.maximum(base, 0.05)) * rng.standard_normal(len(points))
        found[..., frame] = (clean + noise).reshape(grid.shape)
    return grid, found


def _pose(shift_mm: Array, turn: Array) -> Array:
    return rigid_affine(np.concatenate([shift_mm, turn]))


def noise_sd(tracer: Tracer, *, settings: PetSettings, voxel_mm: float) -> Array:
    """Return the standard deviation of a voxel in each frame (kBq/mL), that of counted decays."""
    level = np.maximum(tracer.curves[0], 0.01 * tracer.curves[0].max())
    middle = tracer.frames.start_s + tracer.frames.duration_s / 2
    decayed = np.exp(decay_constant(NUCLIDE) * (middle - 2700))
    reference = float(np.interp(2700, middle, level))
    variance = settings.noise**2 * reference * level * decayed * 360 / tracer.frames.duration_s * (4 / voxel_mm) ** 3
    return np.sqrt(variance)


def mean_amounts(head: Anatomy, visit: Visit, *, settings: PetSettings) -> dict[Place, Array]:
    """Return the mean share of brain and of the tissue with much binding in every place, without the session's factor.

    What of a region lies outside the brain has no uptake: regions at its border are diluted, as they are in the image.
    """
    voxel_mm = head.grid.voxel_mm
    at = head.to_template(head.grid.points())
    whole = template(voxel_mm).brain
    amounts = (whole, whole * binding_map(planted_shares(visit, settings), voxel_mm))
    maps = np.stack(sample_all(amounts, at, grid=mni_grid(voxel_mm))).astype(np.float64)
    weights = {
        place: sample(share, at, grid=mni_grid(voxel_mm)).astype(np.float64)
        for place, share in place_shares(voxel_mm).items()
    }
    return {place: maps @ weight / weight.sum() for place, weight in weights.items()}


def pet_truth(visit: Visit, head: Anatomy, *, tracer: Tracer, settings: PetSettings) -> list[TruthRow]:
    """Return the planted uptake, ratios and distribution volumes of a person; none for a low-affinity binder."""
    if affinity(visit.person, seed=visit.seed) is Affinity.LOW:
        return []
    window = read_config()["pet"]["window_min"]
    overlap = window_overlap(
        tracer.frames.start_s, duration_s=tracer.frames.duration_s, window_s=(60 * window[0], 60 * window[1])
    )
    low, high = window_mean(tracer.curves, overlap_s=overlap)
    amounts = mean_amounts(head, visit, settings=settings)
    level = {place: float(amount @ [low, high - low]) for place, amount in amounts.items()}
    names = {"tspo_suvr": OCCIPITAL, "tspo_suvr_brain": WHOLE_BRAIN, "tspo_suvr_cerebellum": CEREBELLUM}
    rows = []
    for (roi, hemi), value in level.items():
        where = {"roi": roi, "hemi": hemi}
        dose_kbq, mass_g = 1e3 * settings.dose_mbq, 1e3 * body_mass_kg(visit.person, seed=visit.seed)
        rows.append(truth_row(visit, "tspo_suv", value=value * mass_g / dose_kbq, **where))
        if roi not in names.values():
            rows += [
                truth_row(visit, marker, value=value / level[reference, "n/a"], **where)
                for marker, reference in names.items()
            ]
        if roi not in (OCCIPITAL, CEREBELLUM):
            volume = float(amounts[roi, hemi] @ [tracer.volumes[0], np.diff(tracer.volumes)[0]])
            rows += [truth_row(visit, marker, value=volume, **where) for marker in ("tspo_vt_logan", "tspo_vt_ma1")]
    return rows
