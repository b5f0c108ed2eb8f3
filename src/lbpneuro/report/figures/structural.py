"""Figures of the gray-matter markers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.template_maps import SPACE, template_brain
from lbpneuro.markers.tissue import NUCLEI, SPHERES
from lbpneuro.report.canvas import BLUE, GREEN, RED, SERIES, Drawing, as_png, image_style
from lbpneuro.report.rows import level_words
from lbpneuro.report.slices import (
    Place,
    Volume,
    centre,
    fit,
    head_box,
    legend,
    mosaic,
    outline,
    place,
    read_volume,
    show,
    thinned,
    window,
)
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = (*SERIES, "#f0e442")
OWN_SPACE: dict[str, str | None] = {"space": None, "desc": None}
WHITE_SHARE = 0.34  # of the brain of the template, by its intensity


def plot_roi_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the cortical regions, and of any that are not known, on the participant's image."""
    return _regions(visit, lambda roi: roi not in (*NUCLEI, *SPHERES))


def plot_nuclei_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the deep nuclei on the participant's image."""
    return _regions(visit, lambda roi: roi in NUCLEI)


def plot_sphere_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the spheres around published coordinates on the participant's image."""
    return _regions(visit, lambda roi: roi in SPHERES)


def _regions(visit: Visit, wanted: Callable[[str], bool]) -> Drawing:
    """Draw the outlines of the wanted regions on slices through them, both sides in one colour."""
    labels_file = visit.file("structural", desc="roi", suffix="dseg", ext=".nii.gz")
    return draw_regions(labels_file, _background(visit), wanted=wanted)


def draw_regions(labels_file: Path, background: Volume, *, wanted: Callable[[str], bool]) -> Drawing:
    """Draw the outlines of the wanted regions of a label image on a background, both sides in one colour."""
    labels = read_volume(labels_file)
    sides: dict[str, list[int]] = {}
    for label, name in region_names(labels_file, labels).items():
        sides.setdefault(_without_side(name), []).append(label)
    masks = {roi: Volume(np.isin(labels.data, numbers), labels.affine) for roi, numbers in sides.items() if wanted(roi)}
    first_side = [Volume(labels.data == sides[roi][0], labels.affine) for roi in masks]
    colours = {level_words((roi,)): colour for roi, colour in zip(masks, cycle(COLOURS), strict=False)}
    low, high = window(background)
    with image_style():
        figure, panels = mosaic(_places(first_side, background))
        for panel, spot in panels:
            show(panel, background, spot=spot, cmap="gray", vmin=low, vmax=high)
            for mask, colour in zip(masks.values(), colours.values(), strict=True):
                outline(panel, mask, spot=spot, colour=colour, width=0.9)
            fit(panel, spot)
        legend(figure, colours)
        return Drawing(as_png(figure))


def _without_side(name: str) -> str:
    """Return the region of a name such as ``dlpfc_L`` or ``dlpfc__L``."""
    region, _, side = name.replace("-", "_").rpartition("_")
    return region.rstrip("_") if side in ("L", "R", "n/a") and region else name


def plot_tissue_contours(visit: Visit) -> Drawing:
    """Draw the borders of brain, gray and white matter on the participant's image."""
    tissues = {
        tissue: read_volume(visit.file("structural", **OWN_SPACE, suffix="probseg", label=tissue, ext=".nii.gz"))
        for tissue in ("CSF", "GM", "WM")
    }
    white, gray, csf = (tissues[tissue].data for tissue in ("WM", "GM", "CSF"))
    affine = tissues["GM"].affine
    borders = {
        "intracranial volume": Volume(white + gray + csf, affine),
        "gray matter and fluid": Volume(white + gray, affine),
        "white and gray matter": Volume(white, affine),
    }
    return _contours(_background(visit), borders, spread=borders["gray matter and fluid"])


def plot_template_fit(visit: Visit) -> Drawing:
    """Draw the borders of the template on the participant's brain in template space."""
    moved = read_volume(visit.file("structural", suffix="T1w", desc="preproc", space=SPACE, ext=".nii.gz"))
    brain = template_brain()
    inside = brain.data > 0
    white = brain.data > np.quantile(brain.data[inside], 1 - WHITE_SHARE)
    borders = {
        "brain of the template": Volume(inside.astype(np.float32), brain.affine),
        "white matter of the template": Volume(white.astype(np.float32), brain.affine),
    }
    return _contours(moved, borders, spread=borders["brain of the template"])


def _contours(background: Volume, borders: dict[str, Volume], *, spread: Volume) -> Drawing:
    """Draw borders on slices through the middle of ``spread`` and to both sides of it."""
    middle, box = centre(thinned(spread)), head_box(background)
    if not np.isfinite(middle).all():
        raise AbsentError("the maps hold no brain")
    low, high = window(background)
    with image_style():
        figure, panels = mosaic(
            [
                [place("z", middle[2] + offset, box=box) for offset in (-20, 0, 20, 40)],
                [place("y", middle[1] + offset, box=box) for offset in (-25, 10)]
                + [place("x", middle[0] + offset, box=box) for offset in (-28, 4)],
            ]
        )
        colours = dict(zip(borders, (GREEN, BLUE, RED), strict=False))
        for panel, spot in panels:
            show(panel, background, spot=spot, cmap="gray", vmin=low, vmax=high)
            for name, colour in colours.items():
                outline(panel, borders[name], spot=spot, colour=colour, width=0.6)
            fit(panel, spot)
        legend(figure, colours)
        return Drawing(as_png(figure))


def _background(visit: Visit) -> Volume:
    """The image the labels were laid on: the T1-weighted image, or else the gray-matter map."""
    kinds: list[dict[str, str | None]] = [{"suffix": "T1w", "desc": "preproc"}, {"suffix": "T1w"}]
    kinds.insert(1, {"suffix": "probseg", "label": "GM", **OWN_SPACE})
    for wanted in kinds:
        try:
            return read_volume(visit.file("structural", ext=".nii.gz", **wanted))
        except AbsentError:
            continue
    raise AbsentError("the anatomical image is no longer where the step read it")


def region_names(path: Path, labels: Volume) -> dict[int, str]:
    """Return the names of the labels in an image: from the look-up table beside it, or else their numbers."""
    table = path.with_name(path.name.replace(".nii.gz", ".tsv"))
    present = [int(label) for label in np.unique(labels.data.astype(np.int32)) if label > 0]
    if not table.exists():
        return {label: f"label {label}" for label in present}
    listed = read_tsv(table, dtype={"name": str})
    if not {"index", "name"} <= set(listed):
        raise InputError(f"{table.name}: expected the columns index and name, found {', '.join(map(str, listed))}.")
    names = dict(zip(listed["index"].astype(int), listed["name"], strict=True))
    return {label: names.get(label, f"label {label}") for label in present}


def _places(masks: Sequence[Volume], background: Volume) -> list[list[Place]]:
    """Slices through regions of one side: axial from bottom to top, coronal and sagittal at the ends."""
    centres = np.array([middle for middle in map(centre, masks) if np.isfinite(middle).all()])
    if not len(centres):
        raise AbsentError("no such region lies inside the image")
    box = head_box(background)
    x, y, z = np.quantile(centres, [0.0, 1 / 3, 2 / 3, 1.0], axis=0).T
    axial = [place("z", at_mm, box=box) for at_mm in np.unique(z.round(1))]
    across = [place("y", at_mm, box=box) for at_mm in np.unique(y[[0, -1]].round(1))]
    along = [place("x", at_mm, box=box) for at_mm in np.unique(x[[0, -1]].round(1))]
    return [axial, [*across, *along]]
