"""Deformations with a known Jacobian: stationary velocity fields and their exponentials.

A velocity field is an array (3, nx, ny, nz) in mm on a grid; its exponential is a diffeomorphism whose inverse is
the exponential of the negative field (Arsigny 2006, 10.1007/11866565_113). To first order the logarithm of the
Jacobian determinant is the divergence of the velocity, so a wanted regional change of volume is the divergence of a
gradient, and a Poisson equation gives the field.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lbpneuro.simulate.grids import Volume

SQUARINGS = 6


def random_velocity(
    rng: np.random.Generator, inside: Volume, *, voxel_mm: float, sd_mm: float, smooth_mm: float
) -> Volume:
    """Return a smooth random field (3, ...) with standard deviation ``sd_mm``, fading where ``inside`` is 0."""
    from scipy import ndimage

    white = rng.standard_normal((3, *inside.shape), dtype=np.float32)
    sigma = smooth_mm / voxel_mm
    field = ndimage.gaussian_filter(white, (0, sigma, sigma, sigma), mode="wrap")
    field *= sd_mm / field.std(ddof=0)
    return field * inside


def symmetrised(velocity: Volume, *, share: float) -> Volume:
    """Return ``velocity`` with ``share`` of its variance the same on both sides of the middle of the first axis."""
    mirrored = velocity[:, ::-1] * np.array([-1, 1, 1], dtype=np.float32)[:, None, None, None]
    both, apart = (velocity + mirrored) / np.sqrt(2), (velocity - mirrored) / np.sqrt(2)
    return (np.sqrt(share) * both + np.sqrt(1 - share) * apart).astype(np.float32)


def divergence_velocity(target: NDArray[np.floating], *, voxel_mm: float) -> Volume:
    """Return the gradient field whose divergence is ``target`` (1/unit time), minus its mean over the box.

    Solves Poisson's equation with the spectral form of the central differences that ``divergence`` takes.
    """
    spectrum = np.fft.rfftn(target)
    axes = [np.fft.fftfreq(n) for n in target.shape[:2]] + [np.fft.rfftfreq(target.shape[2])]
    slopes = [1j * np.sin(2 * np.pi * k) / voxel_mm for k in np.meshgrid(*axes, indexing="ij")]
    laplacian = sum(slope**2 for slope in slopes).real
    potential = np.divide(spectrum, laplacian, out=np.zeros_like(spectrum), where=np.abs(laplacian) > 1e-12)
    parts = [np.fft.irfftn(slope * potential, s=target.shape, axes=(0, 1, 2)) for slope in slopes]
    return np.stack(parts).astype(np.float32)


def exponential(velocity: Volume, *, voxel_mm: float) -> Volume:
    """Return the displacement u (3, ...) in mm of the flow x -> x + u(x) of ``velocity`` after unit time."""
    displacement = velocity / np.float32(2**SQUARINGS)
    for _ in range(SQUARINGS):
        displacement = displacement + _pull(displacement, displacement, voxel_mm=voxel_mm)
    return displacement


def _pull(field: Volume, displacement: Volume, *, voxel_mm: float) -> Volume:
    """The field at x + u(x), linear, zero outside."""
    from scipy import ndimage

    at = np.indices(field.shape[1:], dtype=np.float32) + displacement / np.float32(voxel_mm)
    return np.stack([ndimage.map_coordinates(part, at, order=1, mode="constant") for part in field])


def jacobian(displacement: Volume, *, voxel_mm: float) -> Volume:
    """Return det(I + du/dx) at every voxel, by central differences."""
    gradient = np.stack([np.stack(np.gradient(part, voxel_mm)) for part in displacement])
    gradient += np.eye(3, dtype=np.float32)[:, :, None, None, None]
    return np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1))).astype(np.float32)
