"""Figures of the gray-matter markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import IMAGE_WIDTH_IN, SERIES, Drawing, as_png, image_style, new_figure
from lbpneuro.report.rows import level_words
from lbpneuro.report.slices import Volume, centre, dress, outline, read_volume, show, window
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def plot_roi_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the gray-matter regions on the participant's image."""
    labels_file = visit.file("structural", desc="roi", suffix="dseg", ext=".nii.gz")
    labels = read_volume(labels_file)
    regions = region_names(labels_file, labels)
    background = _background(visit)
    with image_style():
        figure = new_figure(IMAGE_WIDTH_IN, 2.9)
        _draw(figure, background, labels, regions)
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
    present = [int(label) for label in np.unique(labels.data) if label > 0]
    if not table.exists():
        return {label: f"label {label}" for label in present}
    listed = read_tsv(table, dtype={"name": str})
    if not {"index", "name"} <= set(listed):
        raise InputError(f"{table.name}: expected the columns index and name, found {', '.join(listed)}.")
    names = dict(zip(listed["index"].astype(int), listed["name"], strict=True))
    return {label: region_words(names.get(label, f"label {label}")) for label in present}


def region_words(name: str) -> str:
    """Return a region name in words: ``dlpfc_L`` or ``dlpfc__L`` becomes "dlpfc, left"."""
    return level_words(tuple(part for part in name.replace("-", "_").split("_") if part))


def _draw(figure: Figure, background: Volume, labels: Volume, regions: dict[int, str]) -> None:
    masks = {name: Volume((labels.data == label).astype(np.float32), labels.affine) for label, name in regions.items()}
    low, high = window(background)
    places = _places(masks)
    for number, (panel, (axis, at_mm)) in enumerate(zip(figure.subplots(1, len(places)), places, strict=True)):
        show(panel, background, axis=axis, at_mm=at_mm, cmap="gray", vmin=low, vmax=high)
        for colour, mask in zip(SERIES, masks.values(), strict=False):
            outline(panel, mask, axis=axis, at_mm=at_mm, colour=colour)
        dress(panel, axis=axis, at_mm=at_mm, sides=number == 0 or axis == "x")
    _legend(figure, list(masks))


def _places(masks: dict[str, Volume]) -> list[tuple[str, float]]:
    """Slices through the regions: axial through the first and last, coronal and sagittal through the first."""
    centres = [middle for middle in map(centre, masks.values()) if np.isfinite(middle).all()]
    if not centres:
        raise AbsentError("no region lies inside the image")
    first, last = centres[0], centres[-1]
    return [("z", first[2]), ("z", last[2]), ("y", first[1]), ("y", last[1]), ("x", first[0])]


def _legend(figure: Figure, names: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, label=name) for colour, name in zip(SERIES, names, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5)
