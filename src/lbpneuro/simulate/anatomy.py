"""A person's head: the template brain in another size and shape, with regional atrophy of known amount.

The template is deformed by the exponential of a velocity field (a smooth random one for the individual shape, plus one
per region whose divergence is the planted logarithm of the change of its volume) followed by an affine. Tissue
maps are read through the inverse of this deformation, so that the planted volume of a region is an integral over the
person's own voxels, without any estimation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

import numpy as np

from lbpneuro.markers.structural import LEVELS
from lbpneuro.markers.tissue import NUCLEI
from lbpneuro.simulate.grids import Array, Grid, Volume, centred_grid, mni_grid, sample, sample_all
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.template import ATROPHY_REGIONS, RegionKey, region_bump, region_fine, region_shares, template
from lbpneuro.simulate.transforms import PointMap
from lbpneuro.simulate.truth import TruthRow, truth_row
from lbpneuro.simulate.warps import divergence_velocity, exponential, random_velocity, symmetrised

FIELD_MM = 4.0
SUBSAMPLE_MM = 1.5
NATIVE_CENTRE_MM = (0.0, -18.0, 6.0)
NATIVE_EXTENT_MM = (184.0, 224.0, 200.0)

RESCAN_CV: Mapping[str, float] = {"tiv": 0.005, "gm_total": 0.01, "dlpfc": 0.02, "thalamus": 0.2}
"""Segmentation error as a share of the gray matter found: that of fMRIPrep in the default settings (`rescan_cv`), which
call that in the thalamus nucleus_tissue. A label volume has none: the transform is the true one."""

SHARED_ERROR = 0.97
"""Share of the variance of the regional segmentation error that both hemispheres have in common.

It comes from the contrast of the scan: one simulated rescan moved the two thalami by +22 and +20 %.
"""


@dataclass(frozen=True, slots=True)
class AnatomySettings:
    """What is planted in the anatomy; volumes as natural logarithms.

    ``brain_scale`` is the volume of an average brain relative to the template (about 1.45 of 1.89 L); ``symmetry`` the
    share of the variance of shape and regional volume that the two hemispheres have in common.
    """

    brain_scale: float = 0.775
    brain_sd: float = 0.08
    male: float = 0.1
    shape_mm: float = 1.2
    shape_smooth_mm: float = 16.0
    region_sd: float = 0.05
    symmetry: float = 0.85
    patient: Mapping[str, float] = field(default_factory=lambda: {"dlpfc": -0.08, "thalamus": -0.07})


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One person's brain on the ``grid`` of the T1w image.

    ``brain``, ``gm``, ``wm`` are shares of the voxel without segmentation error (CSF is the rest of the brain);
    ``probabilities`` are the maps (3, nx, ny, nz) of a segmentation with its error, in the order of ``TISSUES``.
    """

    grid: Grid
    to_template: PointMap
    from_template: PointMap
    brain: Volume
    gm: Volume
    wm: Volume
    probabilities: Volume

    @property
    def csf(self) -> Volume:
        """Share of cerebrospinal fluid in the voxel."""
        return np.maximum(self.brain - self.gm - self.wm, 0)


def anatomy(visit: Visit, *, voxel_mm: float, settings: AnatomySettings) -> Anatomy:
    """Return the brain of a person in one session at ``voxel_mm``."""
    velocity = velocity_field(visit, volume_changes(visit, settings), settings=settings)
    back, out = deformation(velocity, pose_affine(visit) @ size_affine(visit, settings))
    grid = centred_grid(np.asarray(NATIVE_CENTRE_MM), NATIVE_EXTENT_MM, voxel_mm=voxel_mm)
    brain, gm, wm = _tissues(back, grid)
    probabilities = segmentation(visit, back, grid=grid, shares=(brain, gm, wm))
    return Anatomy(grid, back, out, brain, gm, wm, probabilities)


def deformation(velocity: Volume, affine: Array) -> tuple[PointMap, PointMap]:
    """Return the maps to and from the template of a brain with ``velocity``, then moved by ``affine`` (4, 4)."""
    field_grid = mni_grid(FIELD_MM)
    inverse = np.asarray(np.linalg.inv(affine), dtype=float)
    back = PointMap(inverse, exponential(-velocity, voxel_mm=FIELD_MM), field_grid, affine_first=True)
    return back, PointMap(affine, exponential(velocity, voxel_mm=FIELD_MM), field_grid, affine_first=False)


def volume_changes(visit: Visit, settings: AnatomySettings) -> dict[RegionKey, float]:
    """Return the planted logarithm of the relative volume of every region."""
    rng = visit.lasting("atrophy")
    patient = visit.person.patient
    individual = settings.region_sd * paired_normal(rng, share=settings.symmetry)
    return {
        (roi, hemi): float(deviation) + patient * settings.patient[roi]
        for (roi, hemi), deviation in zip(ATROPHY_REGIONS, individual, strict=True)
    }


def paired_normal(rng: np.random.Generator, *, share: float) -> Array:
    """Return a standard normal number per region of ``ATROPHY_REGIONS``; left and right have ``share`` in common."""
    rois = list(dict.fromkeys(roi for roi, _ in ATROPHY_REGIONS))
    common = dict(zip(rois, rng.standard_normal(len(rois)), strict=True))
    own = rng.standard_normal(len(ATROPHY_REGIONS))
    both = np.array([common[roi] for roi, _ in ATROPHY_REGIONS])
    return np.sqrt(share) * both + np.sqrt(1 - share) * own


def velocity_field(visit: Visit, changes: Mapping[RegionKey, float], *, settings: AnatomySettings) -> Volume:
    """Return the velocity (3, ...) in mm on the 4-mm template grid: individual shape plus planted changes."""
    shape = random_velocity(
        visit.lasting("shape"),
        _deformable(),
        voxel_mm=FIELD_MM,
        sd_mm=settings.shape_mm,
        smooth_mm=settings.shape_smooth_mm,
    )
    velocity = symmetrised(shape, share=settings.symmetry)
    for key, change in changes.items():
        velocity = velocity + np.float32(change) * regional_velocity(key)
    return velocity


@lru_cache(maxsize=8)
def regional_velocity(key: RegionKey) -> Volume:
    """Return the velocity whose divergence has mean 1 over the region: one unit of logarithmic volume."""
    return divergence_velocity(region_bump(key, FIELD_MM), voxel_mm=FIELD_MM)


@lru_cache(maxsize=1)
def _deformable() -> Volume:
    """1 in the brain, fading to 0 before the border of the field."""
    from scipy import ndimage

    brain = template(FIELD_MM).brain > 0.5
    return ndimage.gaussian_filter(ndimage.binary_dilation(brain, iterations=2).astype(np.float32), 1.5)


def size_affine(visit: Visit, settings: AnatomySettings) -> Array:
    """Return the affine (4, 4) of the size of this person's brain."""
    rng = visit.lasting("size")
    male = settings.male * (0.5 if visit.person.sex == "male" else -0.5)
    volume = np.log(settings.brain_scale) + male + rng.normal(0, settings.brain_sd)
    aspect = rng.normal(0, 0.02, 3)
    return np.diag([*np.exp(volume / 3 + aspect - aspect.mean()), 1.0])


def pose_affine(visit: Visit) -> Array:
    """Return the rigid affine (4, 4) of how the head lies in the scanner in this session."""
    rng = visit.passing("pose")
    rigid = rigid_affine(np.concatenate([rng.normal(0, 3, 3), rng.normal(0, np.deg2rad(3), 3)]))
    rigid[:3, 3] += (0.0, 0.0, 4.0)
    return rigid


def rigid_affine(parameters: Array) -> Array:
    """Return the (..., 4, 4) affine of three translations (mm) and three rotations (radian) (..., 6): Rz Ry Rx."""
    x, y, z = np.moveaxis(parameters[..., 3:], -1, 0)
    affine = np.zeros((*x.shape, 4, 4))
    cx, cy, cz, sx, sy, sz = np.cos(x), np.cos(y), np.cos(z), np.sin(x), np.sin(y), np.sin(z)
    affine[..., 0, 0], affine[..., 0, 1], affine[..., 0, 2] = cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx
    affine[..., 1, 0], affine[..., 1, 1], affine[..., 1, 2] = sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx
    affine[..., 2, 0], affine[..., 2, 1], affine[..., 2, 2] = -sy, cy * sx, cy * cx
    affine[..., :3, 3] = parameters[..., :3]
    affine[..., 3, 3] = 1
    return affine


def _tissues(back: PointMap, grid: Grid) -> tuple[Volume, Volume, Volume]:
    """Brain, gray and white matter as shares of the voxels of ``grid``."""
    source = template(grid.voxel_mm)
    at = back(grid.points())
    volumes = sample_all((source.brain, source.gm, source.wm), at, grid=source.grid)
    brain, gm, wm = (volume.reshape(grid.shape) for volume in volumes)
    return brain, brain * gm, brain * wm


def segmentation(visit: Visit, back: PointMap, *, grid: Grid, shares: tuple[Volume, Volume, Volume]) -> Volume:
    """Return tissue probabilities (3, ...) with the error of a rescan: GM, WM, CSF; their sum is at most 1.

    Gray matter is multiplied by a smooth field whose relative standard deviation over the whole brain and over each
    region is ``RESCAN_CV``, at the cost of white matter; the border of the brain moves so that the intracranial
    volume varies by its own ``RESCAN_CV``.
    """
    rng = visit.passing("segmentation")
    brain, gm, wm = shares
    edge = -brain * np.log(np.maximum(brain, 1e-6))
    shift = rng.normal(0, RESCAN_CV["tiv"]) * brain.sum() / edge.sum()
    border = np.divide(brain ** np.float32(np.exp(-shift)), brain, out=np.zeros_like(brain), where=brain > 0)
    relative = 1 + gray_matter_error(rng, back, grid=grid)
    tissue = gm + wm
    gray = np.clip(gm * relative, 0, tissue)
    csf = np.maximum(brain - tissue, 0)
    return np.stack([gray, tissue - gray, csf]) * border


def gray_matter_error(rng: np.random.Generator, back: PointMap, *, grid: Grid) -> Volume:
    """Return the relative error of the gray-matter probability, smooth in space.

    The border of the brain, which moves gray matter too, has its share of ``RESCAN_CV`` already.
    """
    border = RESCAN_CV["tiv"]
    whole = np.sqrt(RESCAN_CV["gm_total"] ** 2 - border**2)
    in_template = np.full(mni_grid(FIELD_MM).shape, rng.normal(0, whole), dtype=np.float32)
    for key, deviation in zip(ATROPHY_REGIONS, paired_normal(rng, share=SHARED_ERROR), strict=True):
        local = np.sqrt(RESCAN_CV[key[0]] ** 2 - whole**2 - border**2)
        in_template += np.float32(local * deviation) * error_bump(key)
    return sample(in_template, back(grid.points()), grid=mni_grid(FIELD_MM)).reshape(grid.shape)


@lru_cache(maxsize=8)
def error_bump(key: RegionKey) -> Volume:
    """Return a smooth bump whose mean over the gray matter of the region is 1."""
    source, bump = template(FIELD_MM), region_bump(key, FIELD_MM)
    weight = region_shares(key, FIELD_MM) * source.gm * source.brain
    return bump * (weight.sum() / (weight * bump).sum())


def region_in_native(key: RegionKey, head: Anatomy) -> Volume:
    """Return the share of every voxel of the T1w grid that lies in a region.

    The voxels near the region are sampled at evenly spread points, at most 1.5 mm apart, in the region as it is at
    1 mm in the template.
    """
    points = head.grid.points()
    return _shares_at(key, head, points=points, in_template=head.to_template(points))


def _shares_at(key: RegionKey, head: Anatomy, *, points: Array, in_template: Array) -> Volume:
    """Return ``region_in_native``, given the voxels of the grid (n, 3) and where they lie in the template (n, 3)."""
    grid = head.grid
    coarse = np.minimum(1, region_bump(key, FIELD_MM))
    near = sample(coarse, in_template, grid=mni_grid(FIELD_MM)) > 1e-3
    fine, fine_grid = region_fine(key)
    times = int(np.ceil(grid.voxel_mm / SUBSAMPLE_MM))
    offsets = grid.voxel_mm * ((np.arange(times) + 0.5) / times - 0.5)
    share = np.zeros(len(points), dtype=np.float32)
    for offset in product(offsets, repeat=3):
        share[near] += sample(fine, head.to_template(points[near] + offset), grid=fine_grid) / times**3
    return share.reshape(grid.shape)


def anatomy_truth(visit: Visit, head: Anatomy) -> list[TruthRow]:
    """Return the planted values of the structural markers (mL, mL/L); that of a nucleus is the volume of its label."""
    voxel_ml = head.grid.voxel_ml
    tiv, gm_total = (float(volume.sum(dtype=float)) * voxel_ml for volume in (head.brain, head.gm))
    rows = [
        truth_row(visit, "tiv", value=tiv),
        truth_row(visit, "gm_total", value=gm_total),
        truth_row(visit, "gm_total_ratio", value=1000 * gm_total / tiv),
    ]
    points = head.grid.points()
    in_template = head.to_template(points)
    for roi, hemi in LEVELS:
        share = _shares_at((roi, hemi), head, points=points, in_template=in_template)
        content = share if roi in NUCLEI else share * head.gm
        volume = float(content.sum(dtype=float)) * voxel_ml
        rows.append(truth_row(visit, "gm_volume", value=volume, roi=roi, hemi=hemi))
        rows.append(truth_row(visit, "gm_volume_ratio", value=1000 * volume / tiv, roi=roi, hemi=hemi))
    return rows


def t1w_intensity(head: Anatomy, rng: np.random.Generator, *, raw: bool) -> Volume:
    """Return a T1w-like image: tissue means, a skull and a scalp shell; the ``raw`` one with bias field and noise."""
    means = np.array([70.0, 100.0, 32.0], dtype=np.float32)
    image = sum(mean * share for mean, share in zip(means, (head.gm, head.wm, head.csf), strict=True))
    image = image + _shell(head)
    if not raw:
        return image
    noise = rng.normal(0, 2.0, (2, *head.grid.shape)).astype(np.float32)
    return np.hypot(image * bias_field(rng, head.grid) + noise[0], noise[1])


def _shell(head: Anatomy) -> Volume:
    """Skull (dark) and scalp (bright) around the brain."""
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(head.brain < 0.5, sampling=head.grid.voxel_mm)
    scalp = np.clip(1 - np.abs(distance - 12.0) / 4.0, 0, 1)
    skull = np.clip(1 - np.abs(distance - 6.0) / 4.0, 0, 1)
    return ((1 - head.brain) * (85 * scalp + 12 * skull)).astype(np.float32)


def bias_field(rng: np.random.Generator, grid: Grid) -> Volume:
    """Return a smooth multiplicative field, about 1 with a standard deviation of some 8 %."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in grid.shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    a = rng.normal(0, 0.12, 6).astype(np.float32)
    return np.exp(a[0] * x + a[1] * y + a[2] * z + a[3] * x * y + a[4] * (y * y - 0.33) + a[5] * (z * z - 0.33))


def template_space(volume: Volume, head: Anatomy) -> Volume:
    """Return a volume of the T1w grid on the template grid of the same resolution."""
    target = mni_grid(head.grid.voxel_mm)
    return sample(volume, head.from_template(target.points()), grid=head.grid).reshape(target.shape)
