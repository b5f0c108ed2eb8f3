"""A PET scan, whatever it comes from, as the input of its markers, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.index import entities
from lbpneuro.io.pet import SCAN_ENTITIES, Frames, Individual, ScanFiles, dose_bq, read_frames
from lbpneuro.io.pet_blood import read_plasma
from lbpneuro.io.pet_curves import read_curves
from lbpneuro.io.pet_images import (
    PetImage,
    frames_of,
    largest_displacement,
    read_image,
    region_uptake,
    write_curves,
    write_ratio_map,
)
from lbpneuro.io.regions import Name, Region
from lbpneuro.kernels.pet import window_mean
from lbpneuro.markers.bold import region_label
from lbpneuro.markers.pet import OCCIPITAL, Pet, Place, plain

Array = NDArray[np.float64]
PathOf = Callable[..., Path]
Align = Callable[..., PetImage]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Scan:
    """A scan as the markers take it, with its files, its frames, and its image or the columns of its table."""

    files: ScanFiles
    data: Pet
    frames: Frames
    image: PetImage | None
    columns: Mapping[Place, tuple[str, ...]]


def assemble(
    files: ScanFiles,
    individual: Individual,
    *,
    regions: Mapping[Name, Region],
    settings: Mapping[str, Any],
    align: Align,
) -> Scan:
    """Return a scan from its image, or from its table of curves where there is no image but a raw one.

    Parameters
    ----------
    files, individual
        From :func:`lbpneuro.io.pet.find_scan` and :func:`lbpneuro.io.pet.read_individual`.
    regions
        From :func:`lbpneuro.io.regions.read_regions`.
    settings
        Section ``pet``.
    align
        Brings a raw image to the space of the T1w image: called with the files and ``duration_s`` of its frames.

    Raises
    ------
    InputError
        With reason ``not_tspo`` if the tracer is none of the settings; what the readers of images, tables, metadata and
        blood refuse.
    """
    tracer = _tspo_tracer(files, settings)
    source = _from_image if files.from_image else _from_table
    frames, found = source(files, regions=regions, settings=settings, align=align)
    injected = float(files.metadata.get("InjectionStart", 0.0))
    data = Pet(
        curves=found["curves"],
        coverage=found["coverage"],
        start_s=frames.start_s,
        duration_s=frames.duration_s,
        voxels=found["voxels"],
        tracer=tracer,
        decay_per_s=frames.decay_per_s,
        dose_bq=dose_bq(files.metadata, where=str(files.main)),
        mass_g=individual.mass_g,
        affinity=individual.affinity,
        plasma=read_plasma(files.blood, frames=frames, injected_s=injected),
        motion_mm=found["motion_mm"],
        brain_with_signal=found["brain_with_signal"],
        ligand=individual.ligand,
        settings=settings,
    )
    return Scan(files=files, data=data, frames=frames, image=found["image"], columns=found["columns"])


def _tspo_tracer(files: ScanFiles, settings: Mapping[str, Any]) -> str:
    """Return the name of the tracer; InputError if it is none of those of TSPO, before anything is read."""
    tracer = str(files.metadata.get("TracerName", ""))
    known = [name for key in ("tracers", "tracers_without_genotype") for name in settings[key]]
    if plain(tracer) not in map(plain, known):
        raise InputError(
            f"{files.main}: its TracerName is {tracer or 'absent'}; expected one of {', '.join(known)} (settings "
            "`pet.tracers`).",
            reason=Reason.NOT_TSPO,
        )
    return tracer


def _from_image(
    files: ScanFiles, *, regions: Mapping[Name, Region], settings: Mapping[str, Any], align: Align
) -> tuple[Frames, dict[str, Any]]:
    if files.space == "raw":
        told = files.metadata.get("FrameDuration")
        n_frame = len(told) if isinstance(told, list) else 1
        before = read_frames(files.metadata, n_frame=n_frame, where=str(files.main))
        image = align(files, duration_s=before.duration_s)
    else:
        image = read_image(files)
    frames = frames_of(files, image)
    overlap = _overlap(frames, settings)
    uptake = region_uptake(
        image, factor=frames.factor, overlap_s=overlap, regions=regions, anatomy=files.anatomy, settings=settings
    )
    return frames, {
        "curves": uptake.curves,
        "coverage": uptake.coverage,
        "voxels": uptake.voxels,
        "motion_mm": largest_displacement(image, overlap),
        "brain_with_signal": uptake.brain_with_signal,
        "image": image,
        "columns": {},
    }


def _from_table(
    files: ScanFiles, *, regions: Mapping[Name, Region], settings: Mapping[str, Any], **_: Any
) -> tuple[Frames, dict[str, Any]]:
    table = read_curves(files, regions=regions, settings=settings)
    nothing = np.empty((0, len(table.frames.start_s)))
    return table.frames, {
        "curves": table.curves,
        "coverage": dict.fromkeys(table.curves, 1.0),
        "voxels": nothing,
        "motion_mm": float("nan"),
        "brain_with_signal": float("nan"),
        "image": None,
        "columns": table.columns,
    }


def _overlap(frames: Frames, settings: Mapping[str, Any]) -> Array:
    from lbpneuro.kernels.pet import window_overlap

    low, high = settings["window_min"]
    return window_overlap(frames.start_s, duration_s=frames.duration_s, window_s=(60.0 * low, 60.0 * high))


def write_scan(scan: Scan, path_of: PathOf) -> None:
    """Write the curves of the regions, and from an image the map of the uptake ratio."""
    named = {key: value for key, value in entities(scan.files.main).items() if key in SCAN_ENTITIES}
    window = scan.data.settings["window_min"]
    write_curves(
        path_of("pet", "tacs", ".tsv", **named, desc="regions"),
        curves=scan.data.curves,
        frames=scan.frames,
        window_min=window,
    )
    overlap = scan.data.overlap_s
    occipital = scan.data.curves.get((OCCIPITAL, "n/a"))
    if scan.image is None or occipital is None or not overlap.any():
        return
    reference = float(window_mean(occipital, overlap_s=overlap))
    if reference > 0:
        path = path_of("pet", "pet", ".nii.gz", **named, space=scan.image.space, desc="suvr")
        write_ratio_map(path, scan.image, factor=scan.frames.factor, overlap_s=overlap, reference=reference)


def scan_facts(scan: Scan, individual: Individual) -> dict[str, Any]:
    """Return what the sidecar of the rows says of a scan."""
    blood = scan.data.plasma
    return {
        "Activity": scan.files.main.name,
        "Space": scan.image.space if scan.image else "table of curves",
        "Tracer": scan.data.tracer,
        "Frames": len(scan.frames.start_s),
        "WindowCovered": scan.data.covered,
        "Affinity": str(scan.data.affinity),
        "Blood": [path.name for path in scan.files.blood],
        "ArterialInput": blood is not None,
        "BloodVolumeTakenAway": bool(blood is not None and np.isfinite(blood.blood).all()),
        "CurveColumns": {region_label(level): list(columns) for level, columns in scan.columns.items()},
        "AttenuationCorrection": scan.files.metadata.get("AttenuationCorrection"),
        "Notes": list(individual.notes),
        "NotDone": "correction for partial volume, scatter and attenuation; delay and dispersion of the arterial input",
    }
