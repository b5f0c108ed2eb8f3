"""Gray matter from whichever program measured it: tells the source by its files and reads it into one form."""

from __future__ import annotations

import fnmatch
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lbpneuro.errors import InputError, Reason
from lbpneuro.io import anatomy
from lbpneuro.io.cat12 import CAT12_FILE, read_cat12
from lbpneuro.io.confounds import head_motion
from lbpneuro.io.freesurfer import program_of, read_surfer
from lbpneuro.io.gm_maps import read_gm_map
from lbpneuro.io.regions import Region, read_regions, require
from lbpneuro.io.structural_plan import MIRROR_SPACE
from lbpneuro.io.transforms import Grid
from lbpneuro.kernels.volumes import tissue_volume
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tissue import MAP_REGIONS, Structural, from_modulated_maps, from_native_maps

TEMPLATE = "MNI152NLin2009cAsym"
OTHER_TEMPLATES = ("MNI152NLin6Asym",)
CONFOUNDS = ("_desc-confounds_timeseries.tsv", "_desc-confounds_regressors.tsv")
FUSED = "; of the image and of its mirror image: tissue maps and labels are the mean of both, left and right exchanged"
NATIVE = (
    "Tissue probabilities summed in the person's own space: cortex over labels brought there, thalamus and other "
    "nuclei as volumes of their labels"
)
MODULATED = (
    "Tissue probabilities in template space times the Jacobian determinant of the transform: cortex over labels, "
    "thalamus and other nuclei as the sum of the determinant over their labels"
)
log = logging.getLogger("lbpneuro")

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read.

    Attributes
    ----------
    data
        The numbers.
    method
        How they were measured, in a sentence.
    files
        What they were made from, without what only qualifies them.
    sidecar
        Further facts for the sidecar of the rows.
    native, grid
        The regions on the grid of the maps, where these are in the person's own space.
    """

    data: Structural
    method: str
    files: tuple[Path, ...]
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[Level, anatomy.NativeRegion] = field(default_factory=dict)
    grid: Grid | None = None


def source_of(files: Sequence[Path], config: Config) -> str:
    """Return which source files are of; InputError (``no_derivative``) if they are none but a raw image."""
    pattern = config["structural"].get("gm_maps", {}).get("pattern")
    if pattern and any(fnmatch.fnmatch(str(path), pattern) for path in files):
        return "maps"
    program = program_of(path.name for path in files)
    if program:
        return program
    if any(CAT12_FILE.fullmatch(path.name) for path in files):
        return "cat12"
    if any("_probseg.nii" in path.name for path in files):
        return "embedded" if anatomy.head_metadata(files).get("Level") else "fmriprep"
    asked = config["structural"].get("source", "auto")
    raise InputError(
        f"{files[0] if files else 'no file'}: there is a raw image only, and the gray matter of this study comes from "
        f"{'another source' if asked == 'auto' else asked}; run that program on this scan, or see `structural.source`.",
        reason=Reason.NO_DERIVATIVE,
    )


def read(files: Sequence[Path], config: Config, *, who: tuple[str, str | None] = ("", None)) -> Reading:
    """Return the numbers of one person and session, whichever source they come from.

    Parameters
    ----------
    files
        Files of one source (manifests expanded), and the confounds of the BOLD runs of the session.
    config
        All settings.
    who
        ``sub-<label>`` and ``ses-<label>`` or None, to find the person in a table of intracranial volumes.

    Raises
    ------
    InputError
        If the files are not what they must be.
    """
    confounds = [path for path in files if path.name.endswith(CONFOUNDS)]
    own = [path for path in files if path not in set(confounds)]
    source = source_of(own, config)
    regions = _regions(config, look_up=source not in ("freesurfer", "fastsurfer"))
    facts = {"fd_mean_mm": mean_displacement(confounds)}
    readers: dict[str, Callable[[], tuple[Structural, str]]] = {
        "maps": lambda: read_gm_map(own, regions=regions, config=config, who=who, **facts),
        "cat12": lambda: read_cat12(own, regions=regions, settings=config["structural"], **facts),
    }
    if source in ("fmriprep", "embedded"):
        reading = _tissues(own, source, regions=regions, settings=config["structural"], facts=facts)
    elif source in readers:
        data, method = readers[source]()
        reading = Reading(data=data, method=method, files=tuple(own))
    else:
        data, method = read_surfer(own, regions=regions, settings=config["structural"], **facts)
        reading = Reading(data=data, method=method, files=tuple(own))
    return reading


def mean_displacement(paths: Sequence[Path]) -> float:
    """Return the mean framewise displacement (mm) over the volumes of some runs; NaN without any.

    A table that cannot be read is left out, with a line in the log: it qualifies the values, it does not make them.
    """
    runs = []
    for path in paths:
        try:
            runs.append(head_motion(path))
        except InputError as error:
            log.warning("%s", error)
    moved = np.concatenate([np.empty(0), *runs])
    return float(moved.mean()) if moved.size else math.nan


def _regions(config: Config, *, look_up: bool) -> dict[Level, Region]:
    return require(read_regions(Path(config["functional"]["rois"]), look_up=look_up), MAP_REGIONS)


def _tissues(
    files: Sequence[Path],
    source: str,
    *,
    regions: Mapping[Level, Region],
    settings: Mapping[str, Any],
    facts: dict[str, Any],
) -> Reading:
    """Return the numbers of tissue maps: in the person's own space, else in that of a template."""
    head = anatomy.head_metadata(files)
    facts |= {
        "level": head.get("Level", ""),
        "stripped": head.get("SkullStripped") is True,
        "mirror": head.get("MirrorImage") is True,
        "template_dice": head.get("Quality", {}).get("template_dice", math.nan),
    }
    if anatomy.has_native_tissues(files):
        return _native(files, source, regions=regions, settings=settings, facts=facts)
    return _modulated(files, source, regions=regions, settings=settings, facts=facts)


def _native(
    files: Sequence[Path],
    source: Any,
    *,
    regions: Mapping[Level, Region],
    settings: Mapping[str, Any],
    facts: dict[str, Any],
) -> Reading:
    """Return the numbers of tissue maps in the person's own space; without the way from the template, no regions."""
    maps = anatomy.read_tissues(files)
    way = anatomy.template_transform(files, space=TEMPLATE)
    native = anatomy.native_regions(regions, way, grid=maps.grid) if way else {}
    if facts["mirror"]:
        native = _fused(native, anatomy.mirrored_transform(files, space=TEMPLATE), regions=regions, maps=maps)
    gm, inside = maps.gm.data, maps.inside
    data = from_native_maps(
        source=source,
        settings=settings,
        gm=gm,
        wm=maps.wm.data,
        csf=maps.csf.data,
        voxel_mm3=maps.gm.voxel_mm3,
        regions={level: anatomy.region_map(region, gm=gm, inside=inside) for level, region in native.items()},
        absent=_absent(files, native),
        **facts,
    )
    return Reading(
        data=data,
        method=NATIVE + (FUSED if facts["mirror"] else ""),
        files=tuple(files),
        sidecar=_maps_sidecar(maps, way, regions),
        native=native,
        grid=maps.grid,
    )


def _fused(
    native: Mapping[Level, anatomy.NativeRegion],
    way: Path | None,
    *,
    regions: Mapping[Level, Region],
    maps: anatomy.TissueMaps,
) -> dict[Level, anatomy.NativeRegion]:
    """Return the mean of regions and of those found in the mirror image; InputError without the transform to it."""
    if way is None:
        raise InputError(
            f"{maps.gm.path}: the maps are those of an image and its mirror image, and the transform "
            f"from-{TEMPLATE}_to-{MIRROR_SPACE} (*_xfm.h5) is missing; add it, or process the image again.",
            reason=Reason.FILE_MISSING,
        )
    others = anatomy.mirrored_regions(regions, way, grid=maps.grid)
    return {level: anatomy.fused(region, others[level]) for level, region in native.items()}


def _modulated(
    files: Sequence[Path],
    source: Any,
    *,
    regions: Mapping[Level, Region],
    settings: Mapping[str, Any],
    facts: dict[str, Any],
) -> Reading:
    """Return the numbers of tissue maps in template space, times the Jacobian determinant.

    Maps in another template than that of the regions have totals, and ``other_template`` for the regions.
    """
    space = _space(files)
    maps = anatomy.read_tissues(files, space=space)
    way = anatomy.to_template_transform(files, space=space)
    if way is None:
        raise InputError(
            f"{maps.gm.path}: there are tissue maps in {space} only, and without the transform from-T1w_to-{space} "
            "(*_xfm.h5) they say nothing about volumes; add it, or the maps in the person's own space.",
            reason=Reason.NO_TRANSFORM,
        )
    volume = anatomy.jacobian(way, grid=maps.grid)
    gm, wm, csf = (image.data * volume for image in (maps.gm, maps.wm, maps.csf))
    inside, voxel_mm3 = maps.inside, maps.gm.voxel_mm3
    placed = anatomy.template_regions(regions, grid=maps.grid) if space == TEMPLATE else {}
    wm_ml, csf_ml = (float(tissue_volume(tissue, voxel_mm3=voxel_mm3)) for tissue in (wm, csf))
    data = from_modulated_maps(
        source=source,
        settings=settings,
        gm=gm,
        voxel_mm3=voxel_mm3,
        regions={
            level: anatomy.region_map(region, gm=gm, inside=inside, jacobian=volume, probability=maps.gm.data)
            for level, region in placed.items()
        },
        tiv_ml=float(tissue_volume(gm, voxel_mm3=voxel_mm3)) + wm_ml + csf_ml,
        wm_ml=wm_ml,
        csf_ml=csf_ml,
        absent={} if placed else dict.fromkeys(MAP_REGIONS, Reason.OTHER_TEMPLATE),
        **facts,
    )
    return Reading(data=data, method=MODULATED, files=tuple(files), sidecar=_maps_sidecar(maps, way, regions))


def _space(files: Sequence[Path]) -> str:
    """Return the template of the tissue maps, that of the regions if there are maps in it."""
    for space in (TEMPLATE, *OTHER_TEMPLATES):
        if any(f"_space-{space}_" in path.name and "_probseg" in path.name for path in files):
            return space
    raise InputError(
        f"{files[0].parent}: the tissue maps are neither in the person's own space nor in "
        f"{' or '.join((TEMPLATE, *OTHER_TEMPLATES))}.",
        reason=Reason.OTHER_TEMPLATE,
    )


def _absent(files: Sequence[Path], native: Mapping[Level, Any]) -> dict[Level, Reason]:
    """Return why there are no regions: there is a way from another template only, or none at all."""
    others = any(anatomy.template_transform(files, space=space) for space in OTHER_TEMPLATES)
    return dict.fromkeys(MAP_REGIONS, Reason.OTHER_TEMPLATE) if others and not native else {}


def _maps_sidecar(maps: anatomy.TissueMaps, way: Path | None, regions: Mapping[Level, Region]) -> dict[str, Any]:
    return {
        "BrainMask": maps.mask.path.name if maps.mask else "tissue probabilities add up to more than one half",
        "Transform": way.name if way else "none: regional volumes need the transform from template space",
        "RegionSources": {"_".join(level): region.source for level, region in regions.items()},
        "RegionEvidence": {"_".join(level): region.evidence for level, region in regions.items()},
    }
