"""Figures of the change of gray matter between sessions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from lbpneuro.markers.tissue import NUCLEI
from lbpneuro.report.canvas import BLUE, MUTED, RED, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.figures.structural import draw_regions
from lbpneuro.report.rows import Row
from lbpneuro.report.slices import read_volume
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = {"L": (-0.15, BLUE), "R": (0.15, RED)}


def plot_gray_matter_changes(visit: Visit) -> Drawing:
    """Draw the change of every region with its interval, left and right."""
    rows = [
        row
        for row in visit.family("change")
        if row.marker.name == "label_change_symmetric" and math.isfinite(row.value)
    ]
    if not rows:
        raise AbsentError(visit.absence("change"))
    names = list(dict.fromkeys(row.level[0] for row in rows))
    with line_style():
        figure = new_figure(height=0.9 + 0.28 * len(names))
        panel = figure.add_subplot()
        panel.axvline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        for side in SIDES:
            _side(panel, [row for row in rows if row.level[1] == side], names=names, side=side)
        panel.set_yticks(range(len(names)), names)
        panel.set(xlabel="change (%)", ylim=(len(names) - 0.5, -0.5))
        panel.legend(frameon=False, loc="best")
        return Drawing(as_svg(figure))


def plot_change_overlay(visit: Visit) -> Drawing:
    """Draw the outlines of the compared cortical regions on the mean of the two sessions."""
    return _overlay(visit, lambda roi: roi not in NUCLEI)


def plot_change_nuclei(visit: Visit) -> Drawing:
    """Draw the outlines of the compared deep nuclei on the mean of the two sessions."""
    return _overlay(visit, lambda roi: roi in NUCLEI)


def _overlay(visit: Visit, wanted: Callable[[str], bool]) -> Drawing:
    labels = visit.file("change", desc="change", suffix="dseg", ext=".nii.gz")
    mean = read_volume(visit.file("change", desc="change", suffix="T1w", ext=".nii.gz"))
    return draw_regions(labels, mean, wanted=wanted)


def _side(panel: Axes, rows: list[Row], *, names: list[str], side: str) -> None:
    offset, colour = SIDES[side]
    places = [names.index(row.level[0]) + offset for row in rows]
    ends = [[_length(row.value - row.ci_low) for row in rows], [_length(row.ci_high - row.value) for row in rows]]
    values = [row.value for row in rows]
    panel.errorbar(values, places, xerr=ends, color=colour, marker="o", linestyle="none", capsize=2, label=side)


def _length(part: float) -> float:
    """Length of one half of an interval, 0 where there is none."""
    return part if math.isfinite(part) else 0.0
