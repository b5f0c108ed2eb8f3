"""What FreeSurfer and FastSurfer measured: their statistics, and their label volume for what has no statistics.

Both number their labels as the Desikan-Killiany atlas of the table of regions does, so that every region that consists
of whole labels of that atlas has its value here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.desikan_killiany import HEMISPHERES, NAMES, NUMBERS, ONLY_IN_DK
from lbpneuro.io.regions import Region, atlas_path
from lbpneuro.io.surfer_tables import AGAIN, Statistics, by_label, read_statistics, read_volumes
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tissue import RegionMeasure, Structural

Program = Literal["freesurfer", "fastsurfer"]

PROGRAMS: Mapping[Program, str] = {"freesurfer": "FreeSurfer", "fastsurfer": "FastSurfer"}
SIDES = {"lh": "L", "rh": "R"}
SEGMENTATIONS = ("aseg.stats", "aseg+DKT.stats", "aseg+DKT.VINN.stats", "aparc.DKTatlas+aseg.deep.volume.stats")
DK, DKT, MAPPED = "aparc.stats", "aparc.DKTatlas.stats", "aparc.DKTatlas.mapped.stats"
PARCELLATIONS: Mapping[Program, tuple[str, ...]] = {"freesurfer": (DK, DKT), "fastsurfer": (MAPPED, DKT, DK)}
"""Surface statistics in the order in which they are looked for."""
VOLUMES = (
    "aparc+aseg.mgz",
    "aparc.DKTatlas+aseg.mapped.mgz",
    "aparc.DKTatlas+aseg.mgz",
    "aparc.DKTatlas+aseg.deep.withCC.mgz",
    "aparc.DKTatlas+aseg.deep.mgz",
)
NUCLEI_FILES = "ThalamicNuclei*volumes.txt"

MM3_PER_ML = 1000.0
CORTEX_FROM = min(HEMISPHERES.values())
CEREBRAL_WHITE, CEREBELLAR_WHITE = (2, 41), (7, 46)
CEREBELLAR_GRAY, VENTRAL_DIENCEPHALON = (8, 47), (28, 60)
CEREBRAL_WHITE_NAMES = ("CerebralWhiteMatterVol", "CorticalWhiteMatterVol")  # the latter before FreeSurfer 6
NUCLEUS_LABELS = (10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58)

THIN_REGIONS: Mapping[str, str] = {
    "rostral_middle_frontal": "rostralmiddlefrontal",
    "caudal_middle_frontal": "caudalmiddlefrontal",
}
"""Regions of cortical thickness that are no rows of the table of regions."""

THALAMIC: Mapping[str, tuple[str, ...]] = {
    "thal_anterior": ("AV",),
    "thal_md": ("MDm", "MDl"),
    "thal_vpl": ("VPL",),
    "thal_intralaminar": ("CeM", "CL", "Pc", "CM", "Pf"),
    "thal_pulvinar": ("PuA", "PuM", "PuL", "PuI"),
}
"""Groups of the nuclei of the thalamic module (Iglesias 2018, 10.1016/j.neuroimage.2018.08.012)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of one label: volume (mm³), voxels or vertices, and for cortex surface (mm²) and thickness (mm)."""

    volume_mm3: float
    n: int
    area_mm2: float = math.nan
    thickness_mm: float = math.nan


def program_of(names: Iterable[str]) -> Program | None:
    """Return which program wrote files of these names; None if neither did."""
    found = set(names)
    if any("aseg+DKT" in name or ".deep." in name or ".mapped." in name for name in found):
        return "fastsurfer"
    tables = {*SEGMENTATIONS, *(f"{side}.{kind}" for side in SIDES for kind in (DK, DKT))}
    return "freesurfer" if found & {*tables, *VOLUMES} else None


def read_surfer(
    files: Sequence[Path], *, regions: Mapping[Level, Region], settings: Mapping[str, Any], **facts: Any
) -> tuple[Structural, str]:
    """Return the numbers of one person, and in a sentence how they were measured.

    Parameters
    ----------
    files
        Files of one subject folder: statistics, thalamic nuclei, and a label volume for what has no statistics.
    regions
        Rows of the table of regions.
    settings
        Section ``structural``.
    facts
        Further fields of ``Structural``.

    Raises
    ------
    InputError
        If a file is none of them, cut off, or a value or unit in it is not what it must be.
    """
    program = program_of(path.name for path in files)
    if program is None:
        raise InputError(
            f"{files[0].parent if files else 'no files'}: expected statistics or labels of FreeSurfer or FastSurfer.",
            reason=Reason.FILE_MISSING,
        )
    tables = {path.name: read_statistics(path) for path in files if path.suffix == ".stats"}
    segmentation = next((tables[name] for name in SEGMENTATIONS if name in tables), None)
    surfaces = _surfaces(tables, program)
    labels, words = _labels(files, tables, surfaces)
    measures = {
        level: _combined(labels, wanted) for level, wanted in label_regions(regions).items() if wanted <= labels.keys()
    }
    measures |= {("cortex", hemi): _whole_cortex(table) for hemi, table in surfaces.items()}
    nuclei = next((path for path in files if path.match(NUCLEI_FILES)), None)
    if nuclei:
        measures |= thalamic_nuclei(nuclei)
        words.append("thalamic nuclei")
    versions = sorted({table.program for table in tables.values() if table.program}) or [PROGRAMS[program]]
    totals = _totals(segmentation, labels)
    data = Structural(source=program, settings=settings, regions=measures, **totals, **facts)
    return data, f"{' and '.join(versions)}: {', '.join(words)}"


def thalamic_nuclei(path: Path) -> dict[Level, RegionMeasure]:
    """Return the volumes of the groups of thalamic nuclei; a group lacking one of its nuclei is left out."""
    volumes = read_volumes(path)
    found: dict[Level, RegionMeasure] = {}
    for (roi, names), (word, hemi) in (
        (group, side) for group in THALAMIC.items() for side in (("Left", "L"), ("Right", "R"))
    ):
        parts = [volumes.get(f"{word}-{name}", math.nan) for name in names]
        if not math.isnan(sum(parts)):
            found[roi, hemi] = RegionMeasure(volume_ml=sum(parts) / MM3_PER_ML, measure="label", n=0)
    return found


def _surfaces(tables: Mapping[str, Statistics], program: Program) -> dict[str, Statistics]:
    """Return the surface statistics by hemisphere, the same parcellation for both; empty without such."""
    for kind in PARCELLATIONS[program]:
        if all(f"{side}.{kind}" in tables for side in SIDES):
            found = {hemi: tables[f"{side}.{kind}"] for side, hemi in SIDES.items()}
            for table in found.values():
                _check_whole(table)
            return found
    return {}


def _check_whole(table: Statistics) -> None:
    """Refuse surface statistics that lack a label which all parcellations have."""
    absent = sorted(set(NAMES.values()) - set(ONLY_IN_DK) - table.rows.keys())
    if absent:
        raise InputError(f"{table.path}: the labels {', '.join(absent)} are missing; the file is cut off: {AGAIN}.")


def _labels(
    files: Sequence[Path], tables: Mapping[str, Statistics], surfaces: Mapping[str, Statistics]
) -> tuple[dict[int, Label], list[str]]:
    """Return the labels by their number, and in words where they come from.

    What the surfaces say of the cortex goes before what the voxels say; the label volume fills in what is left.
    """
    labels: dict[int, Label] = {}
    words = []
    volume = next((path for name in VOLUMES for path in files if path.name == name), None)
    if volume:
        labels |= _counted(volume)
        words.append(f"voxels of {volume.name}")
    for name in reversed(SEGMENTATIONS):
        if name in tables:
            labels |= _segmented(tables[name])
            words.append(f"statistics of {name.removesuffix('.stats')}")
    for hemi, table in surfaces.items():
        labels |= _parcellated(table, hemi)
        words.append(f"surface statistics of {table.path.name.split('.', 1)[1].removesuffix('.stats')}")
    return labels, list(dict.fromkeys(words))


def _counted(path: Path) -> dict[int, Label]:
    """Return the labels of a volume by the number of their voxels."""
    import nibabel as nib

    try:
        image = nib.load(path)
        values = np.asarray(image.dataobj)
    except Exception as error:  # nibabel, gzip and zlib have no common base for what a broken file raises
        raise InputError(f"{path}: expected a label volume, but {error}; copy or make it again.") from error
    if values.min() < 0 or not np.array_equal(values, np.rint(values)):
        raise InputError(f"{path}: expected whole label numbers from 0, found others; give the label volume.")
    counts = np.bincount(values.astype(np.int64).ravel())
    voxel_mm3 = float(abs(np.linalg.det(image.affine[:3, :3])))
    return {
        int(label): Label(volume_mm3=float(counts[label]) * voxel_mm3, n=int(counts[label]))
        for label in np.flatnonzero(counts)
        if label
    }


def _segmented(table: Statistics) -> dict[int, Label]:
    """Return the labels of the statistics of a segmentation."""
    return {
        label: Label(
            volume_mm3=table.column(name, "Volume_mm3", "mm^3"), n=int(table.column(name, "NVoxels", "unitless"))
        )
        for label, name in by_label(table).items()
    }


def _parcellated(table: Statistics, hemi: str) -> dict[int, Label]:
    """Return the labels of the statistics of a surface."""
    return {
        NUMBERS[name, hemi]: Label(
            volume_mm3=table.column(name, "GrayVol", "mm^3"),
            n=int(table.column(name, "NumVert", "unitless")),
            area_mm2=table.column(name, "SurfArea", "mm^2"),
            thickness_mm=table.column(name, "ThickAvg", "mm"),
        )
        for name in table.rows
        if (name, hemi) in NUMBERS
    }


def label_regions(regions: Mapping[Level, Region]) -> dict[Level, set[int]]:
    """Return the labels of every region that consists of whole labels of the Desikan-Killiany atlas."""
    atlas = atlas_path("desikan_killiany", folder=Path())
    wanted: dict[Level, set[int]] = {
        level: set(region.labels)
        for level, region in regions.items()
        if region.atlas == atlas and not np.isfinite(region.y_min)
    }
    return wanted | {(roi, hemi): {NUMBERS[name, hemi]} for roi, name in THIN_REGIONS.items() for hemi in HEMISPHERES}


def _combined(labels: Mapping[int, Label], wanted: set[int]) -> RegionMeasure:
    """Return a region made of labels: the sum of their volumes, the mean of their thickness weighted by surface."""
    parts = [labels[label] for label in sorted(wanted)]
    area = sum(part.area_mm2 for part in parts)
    return RegionMeasure(
        volume_ml=sum(part.volume_mm3 for part in parts) / MM3_PER_ML,
        measure="label",
        n=sum(part.n for part in parts),
        thickness_mm=sum(part.area_mm2 * part.thickness_mm for part in parts) / area if area else math.nan,
    )


def _whole_cortex(table: Statistics) -> RegionMeasure:
    """Return the mean thickness of a hemisphere, as the head of its statistics gives it."""
    thickness, n_vertex = table.measure("MeanThickness", "mm"), table.measure("NumVert", "unitless")
    return RegionMeasure(
        volume_ml=math.nan,
        measure="label",
        n=int(n_vertex or 0),
        thickness_mm=math.nan if thickness is None else thickness,
    )


def _totals(table: Statistics | None, labels: Mapping[int, Label]) -> dict[str, Any]:
    """Return the volumes of the head (mL) and the Euler number; what the statistics do not give is added up."""

    def stated(*names: str) -> float:
        values = (table.measure(name, "mm^3") for name in names) if table else ()
        return next((value for value in values if value is not None), math.nan)

    def added(numbers: Iterable[int]) -> float:
        return sum((labels[number].volume_mm3 if number in labels else math.nan) for number in numbers)

    def either(value: float, otherwise: float) -> float:
        return (otherwise if math.isnan(value) else value) / MM3_PER_ML

    in_cortex = [number for number in labels if number >= CORTEX_FROM]
    cortex = added(in_cortex) if in_cortex else math.nan
    white = stated(*CEREBRAL_WHITE_NAMES)
    holes = table.measure("SurfaceHoles", "unitless") if table else None
    gray = cortex + added((*NUCLEUS_LABELS, *VENTRAL_DIENCEPHALON, *CEREBELLAR_GRAY))
    n_gray = sum(label.n for number, label in labels.items() if number in NUCLEUS_LABELS or number >= CORTEX_FROM)
    return {
        "tiv_ml": stated("eTIV", "ICV") / MM3_PER_ML,
        "gm_ml": either(stated("TotalGrayVol"), gray),
        "gm_neocortical_ml": either(stated("CortexVol"), cortex),
        "gm_subcortical_ml": added(NUCLEUS_LABELS) / MM3_PER_ML,
        "wm_ml": either(white, added(CEREBRAL_WHITE)) + added(CEREBELLAR_WHITE) / MM3_PER_ML,
        "n_voxel": {
            "tiv": 0,
            "gm": n_gray,
            "gm_neocortical": sum(labels[k].n for k in in_cortex),
            "gm_subcortical": sum(labels[k].n for k in NUCLEUS_LABELS if k in labels),
        },
        "euler": math.nan if holes is None else 2.0 - holes,
    }
