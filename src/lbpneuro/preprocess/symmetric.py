"""The deformation between two scans of one head, the same whichever of them comes first.

Both scans are moved half of the way, each with its own single interpolation: a stationary velocity field v takes the
first by ``exp(-v/2)`` and the second by ``exp(v/2)``. The field minimises the squared difference of the two (over the
variance of what remains) plus the membrane and bending energy of v, by Gauss-Newton steps whose linear systems are
solved by conjugate gradients with a preconditioner in Fourier space; the model is that of Ashburner & Ridgway 2013
(10.3389/fnins.2012.00197) without its template. Exchanging the scans changes the sign of every number exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Array = NDArray[np.float64]
Volume = NDArray[np.float32]

SQUARINGS = 3
MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan ``values`` (n_x, n_y, n_z), and the affine (4, 4) from the millimetres of the middle to its voxels."""

    values: Volume
    to_voxel: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How the field is refined at one resolution.

    ``voxel_mm`` is the grid of the field and of the comparison, ``steps`` the number of Gauss-Newton steps,
    ``solves`` that of conjugate gradients in each, ``membrane`` (mm²) and ``bending`` (mm⁴) the weights of the
    energies of the field, ``bias_degree`` the degree of the polynomial that takes out the ratio of the intensities.
    """

    voxel_mm: float
    steps: int
    solves: int
    membrane: float
    bending: float
    bias_degree: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """An isotropic grid half-way between two scans: ``shape``, ``origin_mm`` of the first voxel, ``voxel_mm``."""

    shape: tuple[int, int, int]
    origin_mm: Array
    voxel_mm: float

    def coarser(self, voxel_mm: float) -> Middle:
        """Return the grid with the same first corner and larger voxels that covers the same box."""
        extent = np.asarray(self.shape) * self.voxel_mm
        shape = [fft.next_fast_len(int(n), real=True) for n in np.ceil(extent / voxel_mm)]
        origin = self.origin_mm + (voxel_mm - self.voxel_mm) / 2
        return Middle(shape=(shape[0], shape[1], shape[2]), origin_mm=origin, voxel_mm=voxel_mm)


def velocity_between(
    first: Scan, second: Scan, weight: Volume, *, middle: Middle, rounds: Sequence[Round]
) -> tuple[Volume, Middle]:
    """Return the velocity (3, n_x, n_y, n_z) in mm that takes the second scan to the first, and its grid.

    Parameters
    ----------
    first, second
        The scans, in comparable units.
    weight
        Where they are compared, 0 to 1, on the grid ``middle``.
    middle
        The finest grid.
    rounds
        Resolutions, from coarse to fine.
    """
    velocity: Volume | None = None
    grid = middle
    for now in rounds:
        before, grid = grid, middle.coarser(now.voxel_mm)
        inside = _regridded(weight, source=middle, target=grid)
        if velocity is None:
            velocity = np.zeros((3, *grid.shape), dtype=np.float32)
        else:
            velocity = np.stack([_regridded(part, source=before, target=grid) for part in velocity])
        both = (_prepared(first, now.voxel_mm), _prepared(second, now.voxel_mm))
        energy = _energy(grid, membrane=now.membrane, bending=now.bending)
        for _ in range(now.steps):
            velocity = velocity + _step(both, velocity, inside=inside, energy=energy, grid=grid, now=now)
    if velocity is None:
        raise ValueError("velocity_between needs one round or more.")
    return velocity, grid


def halves(velocity: Volume, *, voxel_mm: float) -> tuple[Volume, Volume]:
    """Return the displacements (3, ...) in mm of ``exp(-velocity / 2)`` and ``exp(velocity / 2)``."""
    half = velocity * np.float32(0.5)
    return _exponential(-half, voxel_mm=voxel_mm), _exponential(half, voxel_mm=voxel_mm)


def determinant(displacement: Volume, *, voxel_mm: float) -> Array:
    """Return the determinant (n_x, n_y, n_z) of the Jacobian of ``x + u(x)``, by central differences."""
    a = np.array([np.gradient(part, voxel_mm) for part in np.asarray(displacement, dtype=float)])
    for axis in range(3):
        a[axis, axis] += 1
    return np.asarray(
        a[0, 0] * (a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1])
        - a[0, 1] * (a[1, 0] * a[2, 2] - a[1, 2] * a[2, 0])
        + a[0, 2] * (a[1, 0] * a[2, 1] - a[1, 1] * a[2, 0])
    )


def moved(scan: Scan, displacement: Volume | None, *, middle: Middle, coefficients: Volume | None = None) -> Volume:
    """Return a scan on the grid ``middle`` at ``x + u(x)`` (cubic spline; 0 outside); no displacement is none."""
    source = spline(scan.values) if coefficients is None else coefficients
    points = np.indices(middle.shape, dtype=np.float32) * np.float32(middle.voxel_mm)
    points += middle.origin_mm.astype(np.float32)[:, None, None, None]
    if displacement is not None:
        points += displacement
    matrix = scan.to_voxel.astype(np.float32)
    at = np.tensordot(matrix[:3, :3], points, axes=1) + matrix[:3, 3][:, None, None, None]
    return np.asarray(ndimage.map_coordinates(source, at, order=3, prefilter=False, output=np.float32))


def spline(values: NDArray[np.floating[Any]]) -> Volume:
    """Return the cubic spline coefficients of ``values``, with which ``moved`` interpolates."""
    return np.asarray(ndimage.spline_filter(values, order=3, output=np.float32))


def _prepared(scan: Scan, voxel_mm: float) -> Scan:
    """The scan smoothed to the resolution of the comparison, as spline coefficients."""
    own_mm = 1 / np.linalg.norm(scan.to_voxel[:3, :3], axis=1)
    sigma = np.sqrt(np.maximum(voxel_mm**2 - own_mm**2, 0) / (8 * np.log(2))) / own_mm
    return Scan(values=spline(ndimage.gaussian_filter(scan.values, sigma)), to_voxel=scan.to_voxel)


def _step(
    both: tuple[Scan, Scan], velocity: Volume, *, inside: Volume, energy: Volume, grid: Middle, now: Round
) -> Volume:
    """One Gauss-Newton step of the velocity."""
    here, there = (
        moved(scan, half, middle=grid, coefficients=scan.values)
        for scan, half in zip(both, halves(velocity, voxel_mm=grid.voxel_mm), strict=True)
    )
    here, there = _same_bias(here, there, inside, degree=now.bias_degree)
    residual = here - there
    scale = MAD_TO_SD * float(np.median(np.abs(residual[inside > 0.5])))
    data = inside / np.float32(max(scale, 1e-6) ** 2)
    slopes = np.stack(np.gradient(here, grid.voxel_mm)) + np.stack(np.gradient(there, grid.voxel_mm))
    slopes = (slopes / 2).astype(np.float32)
    wanted = slopes * (data * residual) - _filtered(velocity, energy)
    return _solved(slopes, data, wanted, energy=energy, n_iteration=now.solves)


def _same_bias(here: Volume, there: Volume, inside: Volume, *, degree: int) -> tuple[Volume, Volume]:
    """Two images with the smooth ratio of their intensities, a polynomial of the coordinates, shared out."""
    ratio = np.log(np.maximum(here, 1)) - np.log(np.maximum(there, 1))
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in here.shape]
    powers = [[np.polynomial.legendre.legval(x, np.eye(degree + 1)[k]) for k in range(degree + 1)] for x in axes]
    known = (inside > 0.5) & (here > 1) & (there > 1)
    known[1::2] = known[:, 1::2] = known[:, :, 1::2] = False
    limit = MAD_TO_SD * 3 * float(np.median(np.abs(ratio[known])))
    at = np.nonzero(known & (np.abs(ratio) < limit))
    orders = [k for k in product(range(degree + 1), repeat=3) if sum(k) <= degree]
    design = np.stack([np.prod([powers[a][n][at[a]] for a, n in enumerate(k)], axis=0) for k in orders], axis=1)
    weights = np.linalg.lstsq(design, ratio[at].astype(float), rcond=None)[0]
    cube = np.zeros((degree + 1,) * 3)
    cube[tuple(np.transpose(orders))] = weights
    half = np.einsum("abc,ax,by,cz->xyz", cube, *[np.stack(p) for p in powers], optimize=True).astype(np.float32) / 2
    return here * np.exp(-half), there * np.exp(half)


def _solved(slopes: Volume, data: Volume, wanted: Volume, *, energy: Volume, n_iteration: int) -> Volume:
    """Solve ``(slopes data slopes' + energy) x = wanted`` by preconditioned conjugate gradients, from 0."""
    mean = float((data * (slopes**2).sum(axis=0)).sum(dtype=float) / data.size / 3)
    inverse = np.float32(1) / (energy + np.float32(mean))
    x = np.zeros_like(wanted)
    rest = wanted
    direction = z = _filtered(rest, inverse)
    product = _dot(rest, z)
    for _ in range(n_iteration):
        if product <= 0:  # nothing is left to explain: two images of the same numbers
            break
        image = slopes * (data * (slopes * direction).sum(axis=0)) + _filtered(direction, energy)
        length = np.float32(product / _dot(direction, image))
        x = x + length * direction
        rest = rest - length * image
        z = _filtered(rest, inverse)
        product, old = _dot(rest, z), product
        direction = z + np.float32(product / old) * direction
    return x


def _dot(a: Volume, b: Volume) -> float:
    return float(np.vdot(a, b))


def _filtered(field: Volume, spectrum: Volume) -> Volume:
    """Each component of a field (3, ...) through a real filter given by its half spectrum."""
    shape = field.shape[1:]
    return np.stack([fft.irfftn(fft.rfftn(part) * spectrum, s=shape) for part in field])


def _energy(grid: Middle, *, membrane: float, bending: float) -> Volume:
    """The half spectrum of ``-membrane * laplacian + bending * laplacian²``, of second differences."""
    steps = [fft.fftfreq(n) for n in grid.shape[:2]] + [fft.rfftfreq(grid.shape[2])]
    parts = [(2 - 2 * np.cos(2 * np.pi * f)) / grid.voxel_mm**2 for f in np.meshgrid(*steps, indexing="ij")]
    laplacian = sum(parts)
    return np.asarray(membrane * laplacian + bending * laplacian**2, dtype=np.float32)


def _exponential(velocity: Volume, *, voxel_mm: float) -> Volume:
    """The displacement of the flow of ``velocity`` after unit time, by squaring."""
    displacement = velocity / np.float32(2**SQUARINGS)
    base = np.indices(velocity.shape[1:], dtype=np.float32)
    for _ in range(SQUARINGS):
        at = base + displacement / np.float32(voxel_mm)
        pulled = [ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in displacement]
        displacement = displacement + np.stack(pulled)
    return displacement


def _regridded(volume: Volume, *, source: Middle, target: Middle) -> Volume:
    """A volume of one grid on another, linear; what lies outside is 0."""
    scale = np.full(3, target.voxel_mm / source.voxel_mm)
    offset = (target.origin_mm - source.origin_mm) / source.voxel_mm
    return np.asarray(
        ndimage.affine_transform(volume, np.diag(scale), offset, output_shape=target.shape, output=np.float32, order=1)
    )
