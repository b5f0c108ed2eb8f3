"""Writes what CAT12, FreeSurfer and FastSurfer would have made of a simulated head, with its true volumes in it.

The tables hold the volumes of the person's labels as they are, without the error of any program: what is read back can
be compared with what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.desikan_killiany import HEMISPHERES, NAMES
from lbpneuro.io.files import atomic, gzip_writer, write_text
from lbpneuro.io.regions import atlas_path, load_atlas
from lbpneuro.kernels.deformation import jacobian_determinant
from lbpneuro.simulate.anatomy import Anatomy
from lbpneuro.simulate.grids import Grid, Volume, centred_grid, sample
from lbpneuro.simulate.people import Visit

CAT12_MM = 1.5
CAT12_CENTRE_MM, CAT12_EXTENT_MM = (0.0, -18.0, 6.0), (169.5, 205.5, 169.5)
CAT12_VERSION, CAT12_TEMPLATE = "12.9", "templates_MNI152NLin2009cAsym/Template_{}_GS.nii"
IQR = 2.0
SIDES = {"lh": "L", "rh": "R"}
THICKNESS_MM, THICKNESS_STEP_MM = 2.2, 0.02
VERTICES_PER_MM2 = 1.5
HOLES = 20
STRUCTURES = {
    4: "Left-Lateral-Ventricle",
    7: "Left-Cerebellum-White-Matter",
    8: "Left-Cerebellum-Cortex",
    10: "Left-Thalamus",
    11: "Left-Caudate",
    12: "Left-Putamen",
    13: "Left-Pallidum",
    16: "Brain-Stem",
    17: "Left-Hippocampus",
    18: "Left-Amygdala",
    26: "Left-Accumbens-area",
    28: "Left-VentralDC",
    43: "Right-Lateral-Ventricle",
    46: "Right-Cerebellum-White-Matter",
    47: "Right-Cerebellum-Cortex",
    49: "Right-Thalamus",
    50: "Right-Caudate",
    51: "Right-Putamen",
    52: "Right-Pallidum",
    53: "Right-Hippocampus",
    54: "Right-Amygdala",
    58: "Right-Accumbens-area",
    60: "Right-VentralDC",
}
NUCLEI = (10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
CEREBELLUM, CEREBELLAR_WHITE, BRAINSTEM = (8, 47), (7, 46), 16


def write_structural(root: Path, program: str, visit: Visit, *, head: Anatomy) -> None:
    """Write the results of a program below ``root``, in the folders and under the names that it uses."""
    WRITERS[program](root, visit, head)


def thickness(number: int) -> float:
    """Return the cortical thickness (mm) that every head has in a label, by its number within the hemisphere."""
    return THICKNESS_MM + THICKNESS_STEP_MM * number


def native_labels(head: Anatomy) -> NDArray[np.int32]:
    """Return the label of every voxel of the T1w grid."""
    labels, grid = _atlas()
    found = sample(labels, head.to_template(head.grid.points()), grid=grid, order=0)
    return np.rint(found).astype(np.int32).reshape(head.grid.shape)


def label_volumes(head: Anatomy) -> tuple[dict[int, float], dict[int, float]]:
    """Return the volume of every label (mm³), and of the gray matter in it."""
    labels, voxel_mm3 = native_labels(head).ravel(), head.grid.voxel_ml * 1000.0
    whole = np.bincount(labels) * voxel_mm3
    gray = np.bincount(labels, weights=head.gm.ravel()) * voxel_mm3
    found = np.flatnonzero(whole)
    return {int(n): float(whole[n]) for n in found}, {int(n): float(gray[n]) for n in found}


@lru_cache(maxsize=1)
def _atlas() -> tuple[Volume, Grid]:
    labels, affine = load_atlas(atlas_path("desikan_killiany", folder=Path()))
    return labels.astype(np.float32), Grid(affine, (labels.shape[0], labels.shape[1], labels.shape[2]))


# -- FreeSurfer and FastSurfer ----------------------------------------------------------------------------------------


def write_freesurfer(root: Path, visit: Visit, head: Anatomy) -> None:
    """Write a subject folder of FreeSurfer: statistics of segmentation and surfaces, and the label volume."""
    _write_surfer(root / visit.prefix, head, made_by="cvs_version 7.4.1", parcellation="aparc.stats", dropped=())
    _write_labels(root / visit.prefix / "mri" / "aparc+aseg.mgz", head)


def write_fastsurfer(root: Path, visit: Visit, head: Anatomy) -> None:
    """Write a subject folder of FastSurfer with surfaces."""
    _write_surfer(
        root / visit.prefix,
        head,
        made_by="FastSurfer_version 2.4.2",
        parcellation="aparc.DKTatlas.mapped.stats",
        dropped=(1, 32, 33),
    )


def _write_surfer(folder: Path, head: Anatomy, *, made_by: str, parcellation: str, dropped: tuple[int, ...]) -> None:
    """Write the statistics of a subject; the labels ``dropped`` are those that the parcellation has not."""
    whole, gray = label_volumes(head)
    write_text(folder / "stats" / "aseg.stats", _segmentation(whole, gray, head, made_by=made_by))
    for side, hemi in SIDES.items():
        kept = {number: name for number, name in NAMES.items() if number not in dropped}
        text = _surface(gray, kept, start=HEMISPHERES[hemi], made_by=made_by)
        write_text(folder / "stats" / f"{side}.{parcellation}", text)


def _segmentation(whole: Mapping[int, float], gray: Mapping[int, float], head: Anatomy, *, made_by: str) -> str:
    """Return the statistics of a segmentation."""
    total, white, brain = (
        float(share.sum(dtype=float)) * head.grid.voxel_ml * 1000.0 for share in (head.gm, head.wm, head.brain)
    )
    inner = sum(gray.get(number, 0.0) for number in (*NUCLEI, *CEREBELLUM, BRAINSTEM))
    measures = {
        "Cortex, CortexVol": total - inner,
        "CerebralWhiteMatter, CerebralWhiteMatterVol": white - sum(whole.get(n, 0.0) for n in CEREBELLAR_WHITE),
        "SubCortGray, SubCortGrayVol": sum(whole.get(number, 0.0) for number in NUCLEI),
        "TotalGray, TotalGrayVol": total,
        "EstimatedTotalIntraCranialVol, eTIV": brain,
    }
    rows = [(number, whole.get(number, 0.0), name) for number, name in STRUCTURES.items()]
    lines = ["# Title Segmentation Statistics", f"# {made_by}"]
    lines += [f"# Measure {name}, simulated, {value:.6f}, mm^3" for name, value in measures.items()]
    lines += [f"# Measure SurfaceHoles, SurfaceHoles, simulated, {HOLES}, unitless"]
    lines += ["# TableCol  4 ColHeader Volume_mm3", "# TableCol  4 Units     mm^3", f"# NRows {len(rows)}"]
    lines += ["# ColHeaders  Index SegId NVoxels Volume_mm3 StructName"]
    lines += [
        f"{i:3d} {number:4d} {volume:9.0f} {volume:10.1f}  {name}" for i, (number, volume, name) in enumerate(rows, 1)
    ]
    return "\n".join(lines) + "\n"


def _surface(gray: Mapping[int, float], names: Mapping[int, str], *, start: int, made_by: str) -> str:
    """Return the statistics of the surface of a hemisphere, whose labels have their true volume of gray matter."""
    rows = []
    for number, name in names.items():
        volume = gray.get(start + number, 0.0)
        area = volume / thickness(number)
        rows.append((name, round(area * VERTICES_PER_MM2), area, volume, thickness(number)))
    total = sum(row[2] for row in rows)
    mean = sum(row[2] * row[4] for row in rows) / total
    lines = ["# Table of cortical statistics", f"# {made_by}"]
    lines += [f"# Measure Cortex, NumVert, simulated, {sum(row[1] for row in rows)}, unitless"]
    lines += [f"# Measure Cortex, WhiteSurfArea, simulated, {total:.1f}, mm^2"]
    lines += [f"# Measure Cortex, MeanThickness, simulated, {mean:.5f}, mm"]
    for column, unit in {3: "SurfArea mm^2", 4: "GrayVol mm^3", 5: "ThickAvg mm"}.items():
        name, mark = unit.split()
        lines += [f"# TableCol  {column} ColHeader {name}", f"# TableCol  {column} Units     {mark}"]
    lines += ["# ColHeaders StructName NumVert SurfArea GrayVol ThickAvg"]
    lines += [f"{name:36s} {n:7d} {area:9.3f} {volume:9.3f} {thick:6.3f}" for name, n, area, volume, thick in rows]
    return "\n".join(lines) + "\n"


def _write_labels(path: Path, head: Anatomy) -> None:
    """Write the label volume."""
    import nibabel as nib

    image = nib.MGHImage(native_labels(head), head.grid.affine.astype(np.float32))
    with gzip_writer(path) as stream:
        stream.write(image.to_bytes())


# -- CAT12 ------------------------------------------------------------------------------------------------------------


def write_cat12(root: Path, visit: Visit, head: Anatomy) -> None:
    """Write modulated maps, report and thickness of labels in the folders ``mri``, ``report`` and ``label``."""
    folder = root / visit.folder
    grid = centred_grid(np.asarray(CAT12_CENTRE_MM), CAT12_EXTENT_MM, voxel_mm=CAT12_MM)
    points = head.from_template(grid.points())
    change = jacobian_determinant(points.T.reshape(3, *grid.shape), affine=grid.affine)
    for tissue, share in (("1", head.gm), ("2", head.wm), ("3", head.csf)):
        modulated = sample(share, points, grid=head.grid).reshape(grid.shape) * change
        _write_map(folder / "mri" / f"mwp{tissue}{visit.prefix}_T1w.nii", modulated, grid)
    write_text(folder / "report" / f"cat_{visit.prefix}_T1w.xml", _report(head))
    write_text(folder / "label" / f"catROIs_{visit.prefix}_T1w.xml", _thickness_report())


def _write_map(path: Path, values: NDArray[Any], grid: Grid) -> None:
    """Write an image without packing, as CAT12 does."""
    import nibabel as nib

    image = nib.Nifti1Image(values.astype(np.float32), grid.affine)
    with atomic(path) as temporary:
        temporary.write_bytes(image.to_bytes())


def _report(head: Anatomy) -> str:
    """Return the report of a head."""
    volumes = [float(share.sum(dtype=float)) * head.grid.voxel_ml for share in (head.csf, head.gm, head.wm)]
    items = "".join(f"<item>cat12/{CAT12_TEMPLATE.format(number)}</item>" for number in range(2))
    vector = " ".join(f"{volume:.6f}" for volume in volumes)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<S>\n'
        f"   <parameter><extopts><vox>{CAT12_MM}</vox><templates>{items}</templates></extopts></parameter>\n"
        f"   <qualityratings><IQR>{IQR}</IQR></qualityratings>\n"
        f"   <software><version_cat>{CAT12_VERSION}</version_cat></software>\n"
        f"   <subjectmeasures><vol_abs_CGW>[{vector} 0]</vol_abs_CGW>"
        f"<vol_TIV>{sum(volumes):.6f}</vol_TIV></subjectmeasures>\n"
        "   <subjectratings><vol_TIV>1.0</vol_TIV></subjectratings>\n</S>\n"
    )


def _thickness_report() -> str:
    """Return the thickness of the labels of both hemispheres, which take turns; the medial wall has none."""
    sides = [(side, number, name) for number, name in NAMES.items() for side in "lr"]
    names = "".join(f"<item>{side}{name}</item>" for side, _, name in [("l", 0, "unknown"), *sides])
    values = " ".join(["NaN", *(f"{thickness(number):.3f}" for _, number, _ in sides)])
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<S>\n'
        f"   <aparc_DK40><names>{names}</names><data><thickness>[{values}]</thickness></data></aparc_DK40>\n</S>\n"
    )


WRITERS: Mapping[str, Callable[[Path, Visit, Anatomy], None]] = {
    "cat12": write_cat12,
    "freesurfer": write_freesurfer,
    "fastsurfer": write_fastsurfer,
}
