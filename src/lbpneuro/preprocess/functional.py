"""From a raw BOLD run to a normalised series, its brain mask and its confounds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lbpneuro.errors import InputError
from lbpneuro.io.images import Image, load_image, load_probability
from lbpneuro.io.transforms import Grid, itk_image, read_transform, source_coordinates
from lbpneuro.preprocess.confounds import confound_columns, non_steady_state
from lbpneuro.preprocess.coregister import check_coregistration, coregister, coregistration_quality
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.progress import stage
from lbpneuro.preprocess.raw_images import RawRun, read_run
from lbpneuro.preprocess.realign import head_mask, mean_aligned, parameters, realign, spline_coefficients
from lbpneuro.preprocess.slice_timing import AUTO, SliceTiming, correct_slices, slice_timing
from lbpneuro.preprocess.templates import TISSUES, subsample

log = logging.getLogger(__name__)

FINEST_MM = 2.0
REFERENCE_VOLUMES = 30
MARGIN_VOXELS = 3
SIGNAL_SHARE = 0.2
FEWEST_TISSUE_VOXELS = 20
CARRIED = ("MRAcquisitionType", "RepetitionTimeExcitation", "MultibandAccelerationFactor")


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeAnatomy:
    """What ``preprocess-anat`` wrote: native images on one grid, the transform, tissue maps in template space."""

    t1w: Image
    mask: Image
    white_matter: Image
    to_template: Path
    template_tissues: dict[str, Image]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The grid that runs are brought to: tissue probabilities (n_x, n_y, n_z) on it, and its affine.

    ``inside`` are the voxels that get values: the brain and a margin around it.
    """

    tissues: dict[str, NDArray[np.float32]]
    inside: NDArray[np.bool_]
    affine: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """A run on the grid of a target, before its brain is known.

    ``bold`` (n_time, n_point) and ``seen`` (n_point,), whether a point lies in the field of view of every volume;
    ``motion`` (n_time, 6) in mm and rad.
    """

    bold: NDArray[np.float32]
    seen: NDArray[np.bool_]
    motion: NDArray[np.float64]
    t_r: float
    n_dummy: int
    boundary_cost: float
    timing: SliceTiming
    warnings: tuple[str, ...]
    acquisition: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run in template space.

    ``brain`` (n_x, n_y, n_z) is the mask, ``bold`` (n_time, n_point) float32 the series at the points ``inside``,
    which are a margin wider than the brain. ``acquisition`` is what the sidecar of the raw run says of ``CARRIED``.
    """

    bold: NDArray[np.float32]
    inside: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]
    t_r: float
    timing: SliceTiming
    confounds: dict[str, NDArray[np.float64]]
    description: dict[str, Any]
    quality: dict[str, float]
    warnings: tuple[str, ...] = ()
    acquisition: dict[str, Any] = field(default_factory=dict)

    def volumes(self) -> Iterator[NDArray[np.float32]]:
        """Yield the volumes (n_x, n_y, n_z) one by one."""
        for values in self.bold:
            yield self.volume(values)

    def volume(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return ``values`` at their voxels, 0 elsewhere."""
        volume = np.zeros(self.inside.shape, dtype=np.float32)
        volume[self.inside] = values
        return volume


def preprocess_run(path: Path, *, anatomy: NativeAnatomy, level: Level, timing: str | bool = AUTO) -> Run:
    """Realign, coregister and normalise a BOLD run; to be run inside an ``ants_session``.

    All spatial steps are joined, so that every value is interpolated once in space. Head motion is estimated before
    slices are shifted in time (``timing``: the setting ``preprocess.slice_timing``). Susceptibility distortion is not
    corrected.

    Raises
    ------
    InputError
        If the file is no usable run.
    QualityError
        If the run does not lie on the T1w image.
    """
    target = target_grid(anatomy.template_tissues)
    found = normalise_run(path, anatomy=anatomy, target=target, level=level, timing=timing)
    with stage("confounds"):
        brain, quality = brain_of_run(found.bold, found.seen, tissues=target.tissues, inside=target.inside)
        quality["boundary_cost"] = found.boundary_cost
        check_coregistration(quality, path=path)
        masks = pure_tissues(target.tissues, brain=brain, path=path)
        confounds, description = confound_columns(
            found.bold[:, brain[target.inside]],
            motion=found.motion,
            tissues={name: mask[brain] for name, mask in masks.items()},
            t_r=found.t_r,
            n_dummy=found.n_dummy,
        )
    quality |= {
        "fd_mean_mm": float(np.nanmean(confounds["framewise_displacement"])),
        "non_steady_state_volumes": found.n_dummy,
        "csf_voxels": int(masks["CSF"].sum()),
        "wm_voxels": int(masks["WM"].sum()),
    }
    return Run(
        bold=found.bold,
        inside=target.inside,
        brain=brain,
        affine=target.affine,
        t_r=found.t_r,
        timing=found.timing,
        confounds=confounds,
        description=description,
        quality=quality,
        warnings=found.warnings,
        acquisition=found.acquisition,
    )


def normalise_run(
    path: Path, *, anatomy: NativeAnatomy, target: Target, level: Level, timing: str | bool
) -> Normalised:
    """Return a run on the grid of ``target``; the series in its own space are no longer held then."""
    with stage("reading the run"):
        run = read_run(path)
        n_dummy = steady_start(run.series)
        shape = run.series.shape[:3]
        slices = slice_timing(run.metadata, shape=shape, t_r=run.t_r, setting=timing, path=path)
    for warning in run.warnings:
        log.warning("%s: %s.", path.name, warning)
    motion, reference = realigned(run, level=level, start=n_dummy)
    with stage("coregistration"):
        to_bold, cost = coregistered(reference, run.affine, anatomy=anatomy)
    if slices.corrects:
        with stage("slice timing"):
            correct_slices(run.series, slices, start=n_dummy)
    with stage("normalisation"):
        points = to_bold[:3, :3] @ template_points(anatomy, target) + to_bold[:3, 3:]
        bold, seen = normalised(run, motion=motion, points_mm=points)
    return Normalised(
        bold=bold,
        seen=seen,
        motion=parameters(motion, head_centre(reference, run.affine)),
        t_r=run.t_r,
        n_dummy=n_dummy,
        boundary_cost=cost,
        timing=slices,
        warnings=run.warnings,
        acquisition={key: run.metadata[key] for key in CARRIED if key in run.metadata},
    )


def coregistered(
    reference: NDArray[np.float64], affine: NDArray[np.float64], *, anatomy: NativeAnatomy
) -> tuple[NDArray[np.float64], float]:
    """Return the rigid transform from the T1w image to the reference volume of a run, and its cost."""
    return coregister(
        itk_image(reference, affine),
        t1w=itk_image(anatomy.t1w.data, anatomy.t1w.affine),
        mask=itk_image(anatomy.mask.data, anatomy.mask.affine),
        white_matter=itk_image(anatomy.white_matter.data, anatomy.white_matter.affine),
    )


def target_grid(template_tissues: dict[str, Image]) -> Target:
    """Return the grid of runs: that of the tissue maps in template space, but no finer than 2 mm.

    A finer grid would hold eight times the data and no more of the brain, for runs have voxels of 2 mm and more.
    """
    first = next(iter(template_tissues.values()))
    spacing = float(np.linalg.norm(first.affine[:3, 0]))
    step = max(1, round(FINEST_MM / spacing))
    tissues = {name: subsample(image.data, step) for name, image in template_tissues.items()}
    return Target(
        tissues=tissues, inside=margin(in_brain(tissues)), affine=first.affine @ np.diag([step, step, step, 1.0])
    )


def realigned(run: RawRun, *, level: Level, start: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the head motion of a run and its reference volume, both from the steady state on."""
    with stage(f"realignment of {run.series.shape[-1]} volumes"):
        motion = realign(
            run.series,
            run.affine,
            start=start,
            fwhm_mm=level.realign_smoothing_mm,
            iterations=level.realign_iterations,
        )
        return motion, reference_volume(run, motion, start=start)


def steady_start(series: NDArray[np.float32]) -> int:
    """Return how many volumes at the start are not in steady state, from the mean signal of the head."""
    head = head_mask(series[..., -1])
    return non_steady_state(np.array([series[..., t][head].mean(dtype=np.float64) for t in range(series.shape[-1])]))


def reference_volume(run: RawRun, motion: NDArray[np.float64], *, start: int) -> NDArray[np.float64]:
    """Return the mean of the first volumes in steady state after realignment."""
    used = range(start, min(start + REFERENCE_VOLUMES, run.series.shape[-1]))
    return mean_aligned(
        lambda index: spline_coefficients(run.series[..., start + index]),
        motion[used.start : used.stop],
        affine=run.affine,
        shape=run.series.shape[:3],
    )


def head_centre(reference: NDArray[np.floating], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centre of the head (mm), about which the motion parameters are given."""
    centre = np.argwhere(head_mask(reference)).mean(axis=0)
    return np.asarray(affine[:3, :3] @ centre + affine[:3, 3])


def in_brain(tissues: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Return where the tissue probabilities add up to more than one half."""
    return np.asarray(np.sum(list(tissues.values()), axis=0) > 0.5)


def margin(brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return ``brain`` and a margin around it, so that the edge of the brain can be judged by eye."""
    return np.asarray(ndimage.binary_dilation(brain, iterations=MARGIN_VOXELS))


def template_points(anatomy: NativeAnatomy, target: Target) -> NDArray[np.float64]:
    """Return where the voxels inside the target lie in the T1w image: (3, n_point) in mm."""
    grid = Grid(affine=target.affine, shape=target.inside.shape)
    return source_coordinates(read_transform(anatomy.to_template), target=grid)[:, target.inside].astype(np.float64)


def normalised(
    run: RawRun, *, motion: NDArray[np.float64], points_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the run at points of its reference, by cubic spline interpolation.

    Parameters
    ----------
    points_mm : array, shape (3, n_point)

    Returns
    -------
    bold : array, shape (n_time, n_point)
        Values below 0, which splines make beside sharp edges, are set to 0.
    seen : array, shape (n_point,)
        Whether the point lies inside the field of view of every volume.
    """
    n_time = run.series.shape[-1]
    bold = np.empty((n_time, points_mm.shape[1]), dtype=np.float32)
    seen = np.ones(points_mm.shape[1], dtype=bool)
    last = np.array(run.series.shape[:3])[:, None] - 1
    for time, transform in enumerate(np.linalg.inv(run.affine) @ motion):
        voxels = transform[:3, :3] @ points_mm + transform[:3, 3:]
        seen &= ((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=0)
        coefficients = spline_coefficients(run.series[..., time])
        ndimage.map_coordinates(coefficients, voxels, order=3, mode="mirror", output=bold[time], prefilter=False)
    np.maximum(bold, 0.0, out=bold)
    bold[:, ~seen] = 0.0
    return bold, seen


def brain_of_run(
    bold: NDArray[np.float32],
    seen: NDArray[np.bool_],
    *,
    tissues: dict[str, NDArray[np.float32]],
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], dict[str, float]]:
    """Return the brain voxels with signal in every volume (n_x, n_y, n_z), and how far brain and run agree."""
    mean = bold.mean(axis=0, dtype=np.float64)
    anatomical = in_brain(tissues)[inside]
    quality = coregistration_quality(seen[anatomical], mean[anatomical])
    bright = mean > SIGNAL_SHARE * np.median(mean[anatomical & seen]) if (anatomical & seen).any() else seen
    brain = np.zeros(inside.shape, dtype=bool)
    brain[inside] = anatomical & seen & bright
    return brain, quality


def pure_tissues(
    tissues: dict[str, NDArray[np.float32]], *, brain: NDArray[np.bool_], path: Path
) -> dict[str, NDArray[np.bool_]]:
    """Return voxels of pure WM and of pure deep CSF, away from gray matter, for the nuisance signals.

    WM: probability above 0.95 after one erosion. CSF: probability above 0.8, at least three voxels from the edge of
    the brain, which leaves the ventricles. Where that leaves few voxels, the purest of the eroded brain are taken.
    """
    deep = ndimage.binary_erosion(brain, iterations=3)
    white = ndimage.binary_erosion((tissues["WM"] > 0.9) & brain) & (tissues["WM"] > 0.95)
    found = {"CSF": (tissues["CSF"] > 0.8) & deep, "WM": white}
    return {name: enough(mask, tissues[name], among=deep, path=path) for name, mask in found.items()}


def enough(
    mask: NDArray[np.bool_], probability: NDArray[np.float32], *, among: NDArray[np.bool_], path: Path
) -> NDArray[np.bool_]:
    """Return ``mask``, or the purest voxels ``among`` the given ones if it has too few."""
    if mask.sum() >= FEWEST_TISSUE_VOXELS:
        return mask
    if among.sum() < FEWEST_TISSUE_VOXELS:
        raise InputError(f"{path}: only {among.sum()} voxels of the brain are in view; the run cannot be used.")
    limit = np.sort(probability[among])[-FEWEST_TISSUE_VOXELS]
    return np.asarray(among & (probability >= limit))


def read_anatomy(files: dict[str, Path]) -> NativeAnatomy:
    """Return the anatomy from the files of its manifest, by role."""
    return NativeAnatomy(
        t1w=load_image(files["t1w"]),
        mask=load_image(files["mask"]),
        white_matter=load_probability(files["WM"]),
        to_template=files["to_template"],
        template_tissues={name: load_probability(files[f"template_{name}"]) for name in TISSUES},
    )
