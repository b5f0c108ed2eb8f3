"""A resting BOLD run with planted correlations.

The signal of a voxel, in percent of its mean, is a sum of time courses times maps:

    latent signals of the regions x share of the voxel in the region
    + a spatially smooth 1/f field
    + global signal, respiratory and cardiac-like noise x tissue
    + leaked head motion x edge of the image
    + white noise.

All but the last are products of a matrix of maps and a matrix of time courses, so that one model serves the run in
template space and the raw run in the person's own space. What this plants is in :mod:`lbpneuro.simulate.bold_truth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.simulate.anatomy import Anatomy, rigid_affine
from lbpneuro.simulate.grids import Array, Grid, Volume, centred_grid, mni_grid, sample, sample_all
from lbpneuro.simulate.motion import MotionSettings, jenkinson_displacement, motion_parameters
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.template import RegionKey, region_shares, template

if TYPE_CHECKING:
    from scipy import sparse

Matrix = NDArray[np.float32]

SEED: RegionKey = ("pag", "n/a")
TARGET: RegionKey = ("vmpfc", "n/a")
_PAIRED = ("thalamus", "amygdala", "accumbens", "hippocampus", "insula", "s1", "dlpfc", "vta")
SOURCES: tuple[RegionKey, ...] = (
    SEED,
    TARGET,
    ("pcc", "n/a"),
    *((roi, hemi) for roi in _PAIRED for hemi in ("L", "R")),
)
"""Regions with a signal of their own; where two overlap, the earlier one has the voxel."""

NODE_MM = 9.0
BOLD_MM_MIN = 2.0


@dataclass(frozen=True, slots=True)
class BoldSettings:
    """The run and its signals; standard deviations in percent of the voxel mean.

    ``pag_vmpfc`` is the correlation of the two latent signals as Fisher z: mean, spread over people, spread over
    sessions of one person, and difference of people with low back pain.
    """

    t_r: float = 2.2
    n_time: int = 280
    dummy: tuple[float, ...] = (0.25, 0.06)
    band_hz: tuple[float, float] = (0.01, 0.08)
    latent: float = 1.0
    smooth_field: float = 0.45
    white: float = 1.0
    brainstem_white: float = 1.5
    global_signal: float = 0.5
    physio: float = 0.6
    motion_leak: float = 0.35
    knee_hz: float = 0.04
    pag_vmpfc: Mapping[str, float] = field(
        default_factory=lambda: {"mean": 0.35, "person": 0.15, "session": 0.05, "patient": 0.2}
    )
    motion: MotionSettings = field(default_factory=MotionSettings)


@dataclass(frozen=True, slots=True)
class Maps:
    """What the voxels of one grid carry: ``mean`` (v,), ``regions`` (v, r), ``nodes`` (v, k), ``nuisance`` (v, m)."""

    inside: NDArray[np.bool_]
    mean: Matrix
    regions: Matrix
    nodes: sparse.csr_array
    nuisance: Matrix
    white: Matrix


@dataclass(frozen=True, slots=True)
class Courses:
    """Time courses of unit expected variance (…, n_time) and the motion (n_time, 6) that leaked into them."""

    regions: Matrix
    nodes: Matrix
    nuisance: Matrix
    motion: Array


def bold_mm(voxel_mm: float) -> float:
    """Return the voxel size of the run: that of the cohort, but never finer than a real run."""
    return max(voxel_mm, BOLD_MM_MIN)


# ---------------------------------------------------------------------------------------------------------------- time


def spectrum(n_time: int, *, t_r: float, knee_hz: float) -> Array:
    """Return the power spectral density 1 / (f + knee) at the frequencies of a Fourier transform of ``n_time``."""
    return 1 / (np.fft.rfftfreq(n_time, t_r) + knee_hz)


def coloured(rng: np.random.Generator, shape: tuple[int, int], *, t_r: float, knee_hz: float) -> Matrix:
    """Return stationary 1/f noise (n_series, n_time) whose expected variance is 1: part of a circular series."""
    n_series, n_time = shape
    power = spectrum(2 * n_time, t_r=t_r, knee_hz=knee_hz)
    power[0] = 0
    full = np.fft.irfft(power, 2 * n_time)[0]
    gain = np.sqrt(power / full).astype(np.float32)
    white = rng.standard_normal((n_series, 2 * n_time), dtype=np.float32)
    from scipy import fft

    return fft.irfft(fft.rfft(white, axis=1) * gain, 2 * n_time, axis=1)[:, :n_time]


def courses(visit: Visit, *, settings: BoldSettings, correlation: Array, n_nodes: int) -> Courses:
    """Return the time courses of one run."""
    rng = visit.passing("bold")
    n_time, colour = settings.n_time, {"t_r": settings.t_r, "knee_hz": settings.knee_hz}
    latent = coloured(rng, (len(SOURCES), n_time), **colour)
    regions = np.linalg.cholesky(correlation).astype(np.float32) @ latent
    nodes = coloured(rng, (n_nodes, n_time), **colour)
    physiology = coloured(rng, (3, n_time), **colour)
    motion = motion_parameters(visit.passing("motion"), n_time=n_time, settings=settings.motion)
    leak = np.diff(motion, axis=0, prepend=motion[:1]) * [1, 1, 1, 50, 50, 50]
    jerk = np.nan_to_num(jenkinson_displacement(motion))
    dummy = np.zeros(n_time)
    dummy[: len(settings.dummy)] = settings.dummy
    nuisance = np.vstack([physiology, motion.T * [[1], [1], [1], [50], [50], [50]], leak.T, jerk, dummy])
    return Courses(regions, nodes, nuisance.astype(np.float32), motion)


# --------------------------------------------------------------------------------------------------------------- space


@lru_cache(maxsize=2)
def source_shares(voxel_mm: float) -> Volume:
    """Return (n_source, nx, ny, nz): the share of each voxel that follows the signal of each region."""
    left = np.ones(mni_grid(voxel_mm).shape, dtype=np.float32)
    shares = []
    for key in SOURCES:
        own = np.minimum(region_shares(key, voxel_mm), left)
        left = left - own
        shares.append(own)
    return np.stack(shares)


def maps_at(points: Array, *, voxel_mm: float, inside_min: float = 0.3) -> Maps:
    """Return the maps of the voxels at ``points`` (n, 3) in template mm; voxels outside the brain are left out."""
    grid = mni_grid(voxel_mm)
    inside = sample(template(voxel_mm).brain, points, grid=grid) > inside_min
    points = points[inside]
    brain, gm, wm, *shares = sample_all((*_tissues(voxel_mm), *source_shares(voxel_mm)), points, grid=grid)
    csf = np.maximum(1 - gm - wm, 0)
    mean = brain * (900 * gm + 780 * wm + 1150 * csf)
    stem = np.exp(-0.5 * (((points - (0, -30, -20)) / (14, 14, 22)) ** 2).sum(axis=1)).astype(np.float32)
    return Maps(
        inside=inside,
        mean=mean,
        regions=np.stack(shares, axis=1),
        nodes=node_weights(points),
        nuisance=_nuisance_maps(points, brain=brain, gm=gm, wm=wm),
        white=stem,
    )


def _tissues(voxel_mm: float) -> tuple[Volume, Volume, Volume]:
    source = template(voxel_mm)
    return source.brain, source.gm, source.wm


def _nuisance_maps(points: Array, *, brain: Matrix, gm: Matrix, wm: Matrix) -> Matrix:
    """Maps (v, 17): global signal, two physiological noises, motion and its change per axis, jerk, dummy volumes.

    The first three vary in strength over the brain, so that they are separate components in white matter and CSF.
    """
    csf = np.maximum(1 - gm - wm, 0)
    physiology = [gm + 0.6 * wm + 0.3 * csf, 0.15 + 1.5 * csf, 0.2 + 0.6 * wm + 0.4 * csf]
    waves = [np.cos(points @ direction / 35.0 + phase).astype(np.float32) for direction, phase in _WAVES]
    physiology = [one * (1 + 0.5 * wave) for one, wave in zip(physiology, waves[3:], strict=True)]
    edge = np.clip(1 - brain, 0, 1) * 2 + 0.15
    motion = [edge * wave for wave in waves]
    still = np.ones_like(brain)
    return np.stack([*physiology, *motion, *motion, -still, still], axis=1).astype(np.float32)


_WAVES = [
    (np.array(direction), phase)
    for direction, phase in zip(
        [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.7, 0.7, 0), (0, 0.7, 0.7), (0.7, 0, 0.7)], range(6), strict=True
    )
]


def nuisance_scale(settings: BoldSettings) -> Matrix:
    """Return the size (17,) of each nuisance in percent (per mm for motion)."""
    physiology = [settings.global_signal, settings.physio, settings.physio]
    leak = settings.motion_leak
    return np.array([*physiology, *[leak] * 6, *[2 * leak] * 6, 2 * leak, 100.0], dtype=np.float32)


@lru_cache(maxsize=1)
def node_grid() -> Grid:
    """Return the coarse grid that carries the smooth noise field."""
    whole = mni_grid(1.0)
    centre = whole.affine[:3, 3] + (np.array(whole.shape) - 1) / 2
    return centred_grid(centre, (198.0, 234.0, 198.0), voxel_mm=NODE_MM)


def node_weights(points: Array) -> sparse.csr_array:
    """Return trilinear weights (n, n_node) of the coarse grid, scaled so that unit noise gives unit variance."""
    from scipy import sparse

    grid = node_grid()
    at = np.clip((points - grid.affine[:3, 3]) / grid.voxel_mm, 0, np.array(grid.shape) - 1.001)
    base = np.floor(at).astype(int)
    fraction = at - base
    rows, columns, values = [], [], []
    for corner in np.ndindex(2, 2, 2):
        node = base + corner
        values.append(np.prod(np.where(corner, fraction, 1 - fraction), axis=1))
        columns.append(np.ravel_multi_index(node.T, grid.shape))
        rows.append(np.arange(len(points)))
    size = np.sqrt(np.square(values).sum(axis=0))
    data = (np.asarray(values) / size).ravel().astype(np.float32)
    return sparse.csr_array((data, (np.concatenate(rows), np.concatenate(columns))), shape=(len(points), _n_nodes()))


def _n_nodes() -> int:
    return int(np.prod(node_grid().shape))


# ----------------------------------------------------------------------------------------------------------------- run


def synthesise(maps: Maps, time: Courses, *, rng: np.random.Generator, settings: BoldSettings) -> Matrix:
    """Return the series (n_voxel, n_time) of the voxels of ``maps``."""
    percent = settings.latent * (maps.regions @ time.regions)
    percent += settings.smooth_field * (maps.nodes @ time.nodes)
    percent += (maps.nuisance * nuisance_scale(settings)) @ time.nuisance
    white = white_sd(maps, settings)
    percent += white[:, None] * rng.standard_normal(percent.shape, dtype=np.float32)
    percent *= np.float32(0.01)
    percent += 1
    percent *= maps.mean[:, None]
    return percent


def white_sd(maps: Maps, settings: BoldSettings) -> Matrix:
    """Return the standard deviation (n_voxel,) of the white noise in percent; larger in the brainstem."""
    return settings.white + (settings.brainstem_white - settings.white) * maps.white


def latent_correlation(visit: Visit, settings: BoldSettings) -> Array:
    """Return the population correlation (n_source, n_source) of the latent signals of this person and session."""
    rng = visit.lasting("connectivity")
    loadings = rng.normal(0.35, 0.25, (len(SOURCES), 3))
    planted = settings.pag_vmpfc
    z = planted["mean"] + planted["patient"] * visit.person.patient + rng.normal(0, planted["person"])
    z += visit.passing("connectivity").normal(0, planted["session"])
    loadings *= 0.8 / np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    correlation = loadings @ loadings.T
    np.fill_diagonal(correlation, 1)
    correlation[0, 1] = correlation[1, 0] = np.tanh(z)
    return nearest_correlation(correlation)


def nearest_correlation(matrix: Array, *, smallest: float = 0.02) -> Array:
    """Return ``matrix`` with eigenvalues of at least ``smallest`` and a unit diagonal."""
    values, vectors = np.linalg.eigh(matrix)
    raised = (vectors * np.maximum(values, smallest)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    return raised / np.outer(scale, scale)


def template_run(visit: Visit, *, voxel_mm: float, settings: BoldSettings) -> tuple[Grid, Maps, Courses, Matrix]:
    """Return grid, maps, time courses and series of the run in template space, head motion corrected."""
    grid = mni_grid(voxel_mm)
    maps = template_maps(voxel_mm)
    time = courses(visit, settings=settings, correlation=latent_correlation(visit, settings), n_nodes=_n_nodes())
    return grid, maps, time, synthesise(maps, time, rng=visit.passing("bold white"), settings=settings)


@lru_cache(maxsize=2)
def template_maps(voxel_mm: float) -> Maps:
    """Return the maps of the template grid."""
    return maps_at(mni_grid(voxel_mm).points(), voxel_mm=voxel_mm)


def raw_run(
    visit: Visit, head: Anatomy, *, time: Courses, voxel_mm: float, settings: BoldSettings
) -> tuple[Grid, NDArray[np.bool_], Matrix]:
    """Return grid, voxels inside, and their series of the raw run in the person's own space, with its head motion.

    The motion moves the mean image to first order: its derivative along each of the six parameters times that
    parameter. The fluctuations are a few percent and are not moved.
    """
    rng = visit.passing("bold raw")
    grid = centred_grid(np.array([0.0, -18.0, 10.0]), (184.0, 216.0, 176.0), voxel_mm=voxel_mm)
    offset = rigid_affine(np.concatenate([rng.normal(0, 2, 3), rng.normal(0, np.deg2rad(2), 3)]))
    points = grid.points() @ offset[:3, :3].T + offset[:3, 3]
    maps = maps_at(head.to_template(points), voxel_mm=voxel_mm, inside_min=0.02)
    mean = np.zeros(len(points), dtype=np.float32)
    mean[maps.inside] = maps.mean
    series = synthesise(maps, time, rng=rng, settings=settings)
    series += motion_derivative(mean, grid)[maps.inside] @ time.motion.T.astype(np.float32)
    return grid, maps.inside, np.maximum(series, 0)


def motion_derivative(mean: Matrix, grid: Grid) -> Matrix:
    """Return d image / d parameter (n_voxel, 6) of moving the head: -grad . (translation + rotation x point)."""
    slopes = _slopes(mean, grid)
    return -np.hstack([slopes, np.cross(grid.points().astype(np.float32), slopes)])


def _slopes(mean: Matrix, grid: Grid) -> Matrix:
    gradient = np.gradient(mean.reshape(grid.shape), grid.voxel_mm)
    return np.stack([part.ravel() for part in gradient], axis=1)
