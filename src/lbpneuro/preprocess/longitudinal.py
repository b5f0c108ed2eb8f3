"""The change of regional volume between two T1w images of one person, measured in their common middle.

A rigid registration in both directions gives a space half-way between the two; both images are deformed into each
other there (``preprocess.symmetric``), and the Jacobian determinant is integrated over labels that come from the
template through the mean of the two. No image is the reference, so a second image that went through more
interpolation, or another template fit, does not look like a change (Reuter 2012, 10.1016/j.neuroimage.2012.02.084).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, QualityError
from lbpneuro.io.anatomy import native_regions
from lbpneuro.io.images import Grid as ImageGrid
from lbpneuro.io.images import place
from lbpneuro.io.regions import Name, Region
from lbpneuro.io.transforms import LPS, AntsImage, itk_image
from lbpneuro.markers.change import LabelChange
from lbpneuro.preprocess.itk import coarsened, grid_affine, on_grid
from lbpneuro.preprocess.symmetric import (
    MAD_TO_SD,
    Array,
    Middle,
    Round,
    Scan,
    Volume,
    determinant,
    halves,
    moved,
    velocity_between,
)

ROUNDS = (
    Round(voxel_mm=3.0, steps=3, solves=10, membrane=1.0, bending=100.0, bias_degree=4),
    Round(voxel_mm=1.5, steps=3, solves=15, membrane=1.0, bending=100.0, bias_degree=4),
)
COARSE_ROUNDS = (Round(voxel_mm=3.0, steps=4, solves=15, membrane=1.0, bending=100.0, bias_degree=4),)

WHITE_LEVEL = 100.0
RIGID_MM = 2.0
MARGIN_MM = 9.0
RIM_MM = 3.0
REACH_MM = 100.0
HEAD_MM = 80.0
FEWEST_LABELS = 8
SAME_HEAD = 0.9
PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A T1w image ``values`` (n_x, n_y, n_z) with the 99th percentile of its ``brain`` (0 or 1) at 100, and its grid.

    The bias field is still there: what two sessions have in common does not matter, and their ratio is estimated.
    """

    values: Volume
    brain: Volume
    affine: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinPerson:
    """Two sessions in their middle, on the grid ``middle``.

    ``first`` and ``second`` are the Jacobian determinants (n_x, n_y, n_z) from the middle to the sessions, ``mean``
    the mean of the two brains there, ``to_first`` and ``to_second`` the rigid affines (4, 4) in mm, ``rigid_mm`` how
    far these are from undoing each other, and ``correlation`` that of the two images after the deformation.
    """

    first: Array
    second: Array
    mean: Volume
    middle: Middle
    to_first: Array
    to_second: Array
    rigid_mm: float
    correlation: float

    @property
    def affine(self) -> Array:
        """The affine (4, 4) from the voxels of the middle to mm."""
        affine = np.diag([self.middle.voxel_mm] * 3 + [1.0])
        affine[:3, 3] = self.middle.origin_mm
        return affine


def session(image: AntsImage, mask: AntsImage) -> Session:
    """Return a T1w image and its brain mask (on one grid) as a session.

    Raises
    ------
    InputError
        If the mask is empty or of another grid.
    """
    values, brain = image.numpy(), mask.numpy() > 0
    if values.shape != brain.shape or not np.allclose(grid_affine(image), grid_affine(mask), atol=1e-3):
        raise InputError(f"The brain mask {brain.shape} must be on the grid of the T1w image {values.shape}.")
    if not brain.any():
        raise InputError("The brain mask is empty.")
    top = np.quantile(values[brain], 0.99)
    scaled = np.clip(values * (WHITE_LEVEL / top), 0, 2 * WHITE_LEVEL).astype(np.float32)
    return Session(values=scaled, brain=brain.astype(np.float32), affine=grid_affine(image))


def within_person(first: Session, second: Session, *, rounds: Sequence[Round] = ROUNDS) -> WithinPerson:
    """Return two sessions of one person in their middle; to be run inside an ``ants_session``.

    Exchanging the two exchanges the determinants, bit for bit.

    Raises
    ------
    QualityError
        If the two images do not look like one head.
    """
    forth, back = rigid_between(first, second), rigid_between(second, first)
    to_first, to_second = halfway(forth, back)
    scans = [
        Scan(values=one.values, to_voxel=np.linalg.inv(one.affine) @ to_one)
        for one, to_one in ((first, to_first), (second, to_second))
    ]
    brains = [Scan(values=one.brain, to_voxel=scan.to_voxel) for one, scan in zip((first, second), scans, strict=True)]
    middle = middle_grid(brains, voxel_mm=rounds[-1].voxel_mm)
    weight = compared(scans, brains, middle=middle)
    velocity, middle = velocity_between(scans[0], scans[1], weight, middle=middle, rounds=rounds)
    there = halves(velocity, voxel_mm=middle.voxel_mm)
    images = [moved(scan, half, middle=middle) for scan, half in zip(scans, there, strict=True)]
    inside = sum(moved(brain, None, middle=middle) for brain in brains) / 2 > 0.5
    correlation = float(np.corrcoef(images[0][inside], images[1][inside])[0, 1])
    if not correlation >= SAME_HEAD:
        raise QualityError(
            f"After registration the two T1w images correlate by {correlation:.2f} (expected {SAME_HEAD} or more): "
            "are they of one person and one contrast?"
        )
    determinants = [determinant(half, voxel_mm=middle.voxel_mm) for half in there]
    return WithinPerson(
        first=determinants[0],
        second=determinants[1],
        mean=((images[0] + images[1]) / 2 * inside).astype(np.float32),
        middle=middle,
        to_first=to_first,
        to_second=to_second,
        rigid_mm=(left_over(back @ forth, of=first) + left_over(forth @ back, of=second)) / 2,
        correlation=correlation,
    )


def rigid_between(fixed: Session, moving: Session) -> Array:
    """Return the rigid affine (4, 4) from the mm of one session to those of another, by mutual information."""
    import ants

    brains = [coarsened(itk_image(one.values * one.brain, one.affine), RIGID_MM) for one in (fixed, moving)]
    found = ants.registration(fixed=brains[0], moving=brains[1], type_of_transform="Rigid", aff_metric="mattes")
    transform = ants.read_transform(found["fwdtransforms"][0])
    corners = np.vstack([np.zeros(3), REACH_MM * np.eye(3)])
    there = np.array([LPS @ np.array(transform.apply_to_point(tuple(LPS @ point))) for point in corners])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = (there[1:] - there[0]).T / REACH_MM, there[0]
    return affine


def left_over(there_and_back: Array, *, of: Session) -> float:
    """Return the root mean square displacement (mm) by an affine (4, 4) within 80 mm of the centre of the brain.

    ``sqrt(R^2 / 5 tr(A'A) + |t + A c|^2)`` with ``[A, t]`` the affine less identity (Jenkinson 1999, FMRIB technical
    report TR99MJ1).
    """
    rest = there_and_back - np.eye(4)
    centre = of.affine @ np.append(np.argwhere(of.brain > 0).mean(axis=0), 1.0)
    shift = rest @ centre
    return float(np.sqrt(HEAD_MM**2 / 5 * np.sum(rest[:3, :3] ** 2) + shift[:3] @ shift[:3]))


def halfway(forth: Array, back: Array) -> tuple[Array, Array]:
    """Return the affines (4, 4) from the middle to the first and to the second session.

    Parameters
    ----------
    forth, back
        Rigid affines from the first to the second and from the second to the first, estimated independently; their
        mean in the logarithm is taken, and half of it each way (Arsigny 2006, 10.1007/11866565_113).
    """
    from scipy.linalg import expm, logm

    log = (np.real(logm(forth)) - np.real(logm(back))) / 2
    return np.asarray(expm(-log / 2)), np.asarray(expm(log / 2))


def middle_grid(brains: Sequence[Scan], *, voxel_mm: float) -> Middle:
    """Return the grid that holds the brains with a margin, in the mm of the middle."""
    corners = []
    for brain in brains:
        found = np.argwhere(brain.values > 0)
        back = np.linalg.inv(brain.to_voxel)
        points = found @ back[:3, :3].T + back[:3, 3]
        corners.append((points.min(axis=0), points.max(axis=0)))
    low = np.minimum(corners[0][0], corners[1][0]) - MARGIN_MM
    high = np.maximum(corners[0][1], corners[1][1]) + MARGIN_MM
    x, y, z = (int(n) for n in np.ceil((high - low) / voxel_mm))
    return Middle(shape=(x, y, z), origin_mm=low, voxel_mm=voxel_mm)


def compared(scans: Sequence[Scan], brains: Sequence[Scan], *, middle: Middle) -> Volume:
    """Return where the images are compared: the brain and what is around it to 3 mm, where both have a signal."""
    from scipy import ndimage

    rim = max(1, round(RIM_MM / middle.voxel_mm))
    brain = sum(moved(one, None, middle=middle) for one in brains) > 1.0
    seen = [ndimage.binary_erosion(moved(one, None, middle=middle) > 0, iterations=rim) for one in scans]
    filled = [ndimage.binary_closing(one, iterations=rim) for one in seen]
    near = ndimage.binary_dilation(brain, iterations=rim) & filled[0] & filled[1]
    return np.asarray(ndimage.gaussian_filter(near.astype(np.float32), 1.0))


def middle_regions(within: WithinPerson, regions: Mapping[Name, Region], *, transform: Path) -> dict[Name, Volume]:
    """Return regions of the template in the middle, (n_x, n_y, n_z) each, through a ``transform`` of images to it."""
    grid = ImageGrid(affine=within.affine, shape=within.middle.shape)
    found = native_regions(regions, transform, grid=grid)
    empty = np.zeros(within.middle.shape, dtype=np.float32)
    return {name: place(empty.copy(), region.weights, start=region.start) for name, region in found.items()}


def mean_brain(within: WithinPerson) -> AntsImage:
    """Return the mean brain of the two sessions as an image, to be normalised to the template."""
    image = itk_image(within.mean, within.affine)
    return on_grid(np.clip(within.mean, 0.0, 1.2 * WHITE_LEVEL), image)


def label_changes(within: WithinPerson, labels: Mapping[Name, NDArray[np.floating]]) -> dict[Name, LabelChange]:
    """Return the change of every label: ``100 (V2 - V1) / ((V1 + V2) / 2)``, with V the integral of the determinant.

    Parameters
    ----------
    within
        Two sessions in their middle.
    labels
        Share of every voxel of the middle that lies in a label; volumes of regions that overlap are their own.

    Returns
    -------
    dict
        Changes by name. The scatter is the robust spread of all labels, times the root of the volume, over the
        root of that of the label: it supposes that most of them did not change. NaN with fewer than 8 labels; a label
        without volume has NaN everywhere.
    """
    voxel_ml = within.middle.voxel_mm**3 / 1000.0
    names = list(labels)
    first, second = (
        np.array([float(np.vdot(labels[name], side)) for name in names]) * voxel_ml
        for side in (within.first, within.second)
    )
    mean = (first + second) / 2
    percent = np.full(len(names), np.nan)
    np.divide(PERCENT * (second - first), mean, out=percent, where=mean > 0)
    scatter = spread_errors(percent, mean)
    return {
        name: LabelChange(first_ml=a, second_ml=b, percent=c, scatter=e)
        for name, a, b, c, e in zip(names, *(x.tolist() for x in (first, second, percent, scatter)), strict=True)
    }


def spread_errors(percent: Array, volume: Array) -> Array:
    """Return standard errors (n,) of changes: ``1.4826 median|percent sqrt(volume)| / sqrt(volume)``."""
    known = np.isfinite(percent) & (volume > 0)
    if known.sum() < FEWEST_LABELS:
        return np.full(percent.shape, np.nan)
    spread = MAD_TO_SD * float(np.median(np.abs(percent[known]) * np.sqrt(volume[known])))
    return np.where(known, spread / np.sqrt(np.where(known, volume, 1.0)), np.nan)
