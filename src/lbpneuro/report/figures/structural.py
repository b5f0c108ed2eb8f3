"""Figures of the gray-matter markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.template_maps import SPACE, template_brain
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

WHITE_SHARE = 0.34  # of the brain of the template, by its intensity


def plot_roi_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the gray-matter regions on the participant's image."""
    labels_file = visit.file("structural", desc="roi", suffix="dseg", ext=".nii.gz")
    labels = read_volume(labels_file)
    regions = region_names(labels_file, labels)
    background = _background(visit)
    masks = {name: Volume(labels.data == label, labels.affine) for label, name in regions.items()}
    colours = dict(zip(masks, SERIES, strict=False))
    low, high = window(background)
    with image_style():
        figure, panels = mosaic([_places(masks, background)])
        for panel, spot in panels:
            show(panel, background, spot=spot, cmap="gray", vmin=low, vmax=high)
            for name, colour in colours.items():
                outline(panel, masks[name], spot=spot, colour=colour, width=0.9)
            fit(panel, spot)
        legend(figure, colours)
        return Drawing(as_png(figure))


def plot_tissue_contours(visit: Visit) -> Drawing:
    """Draw the borders of brain, gray and white matter on the participant's image."""
    tissues = {
        tissue: read_volume(visit.file("structural", suffix="probseg", label=tissue, ext=".nii.gz"))
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
    for wanted in ({"suffix": "T1w", "desc": "preproc"}, {"suffix": "probseg", "label": "GM"}, {"suffix": "T1w"}):
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
    return {label: region_words(names.get(label, f"label {label}")) for label in present}


def region_words(name: str) -> str:
    """Return a region name in words: ``dlpfc_L`` or ``dlpfc__L`` becomes "dlpfc, left"."""
    return level_words(tuple(part for part in name.replace("-", "_").split("_") if part))


def _places(masks: dict[str, Volume], background: Volume) -> list[Place]:
    """Slices through the regions: axial and coronal through the first and the last, sagittal through the first."""
    centres = [middle for middle in map(centre, masks.values()) if np.isfinite(middle).all()]
    if not centres:
        raise AbsentError("no region lies inside the image")
    first, last, box = centres[0], centres[-1], head_box(background)
    spots = [("z", first[2]), ("z", last[2]), ("y", first[1]), ("y", last[1]), ("x", first[0])]
    return [place(axis, at_mm, box=box) for axis, at_mm in spots]
