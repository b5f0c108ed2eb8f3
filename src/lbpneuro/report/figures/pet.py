"""Figure of TSPO-PET: curves of regions, and their uptake against the three references."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.report.canvas import BLUE, GREEN, INK, MUTED, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CURVES = {"thalamus": RED, "s1back_mgh": BLUE, "occipital": INK, "whole_brain": MUTED}
NAMES = {
    "thalamus": "thalamus",
    "s1back_mgh": "S1, back",
    "s1lumbar_fmri": "S1, lumbar",
    "s1": "S1",
    "pgacc": "pgACC",
    "amcc": "aMCC",
    "striatum": "striatum",
    "occipital": "occipital",
    "whole_brain": "whole brain",
}
SHOWN = ("thalamus", "s1back_mgh", "s1lumbar_fmri", "s1", "pgacc", "amcc", "striatum")
REFERENCES = {
    "tspo_suvr": ("occipital cortex", RED),
    "tspo_suvr_brain": ("whole brain", BLUE),
    "tspo_suvr_cerebellum": ("cerebellum", GREEN),
}
STEP = 0.22


def plot_tspo_uptake(visit: Visit) -> Drawing:
    """Draw the curves with the window, and the ratios of regions to each reference with their intervals."""
    path = visit.file("pet", desc="regions", suffix="tacs", ext=".tsv")
    with line_style():
        figure = new_figure(height=3.6)
        grid = figure.add_gridspec(1, 2, width_ratios=(1.15, 1))
        _curves(figure.add_subplot(grid[0, 0]), read_tsv(path), path=path)
        drawn = _ratios(figure.add_subplot(grid[0, 1]), visit)
        if not drawn:
            raise AbsentError(visit.absence("pet"))
        return Drawing(as_svg(figure))


def _curves(panel: Axes, table: pd.DataFrame, *, path: Path) -> None:
    """The activity of some regions over time; the window is shaded."""
    middle = (table["frame_start"] + table["frame_end"]).to_numpy(dtype=float) / 120
    low, high = read_json(path.with_suffix(".json"))["WindowMinutes"]
    panel.axvspan(low, high, color=RULE, alpha=0.5, linewidth=0)
    for name, colour in CURVES.items():
        if name in table:
            panel.plot(middle, table[name], color=colour, label=NAMES[name])
    panel.set(xlabel="time after injection (min)", ylabel="activity (kBq/mL)", xlim=(0, max(high, middle[-1])))
    panel.set_ylim(bottom=0)
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, columnspacing=1)


def _ratios(panel: Axes, visit: Visit) -> int:
    """The ratios of each region, one point per reference; return how many were drawn."""
    panel.axvline(1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    drawn = 0
    for shift, (marker, (label, colour)) in zip((-STEP, 0.0, STEP), REFERENCES.items(), strict=True):
        rows = [(place, visit.row(marker, roi, "n/a")) for place, roi in enumerate(SHOWN)]
        known = [(place, row) for place, row in rows if row is not None and math.isfinite(row.value)]
        drawn += len(known)
        if known:
            values = np.array([row.value for _, row in known])
            low, high = (np.array([getattr(row, end) for _, row in known]) for end in ("ci_low", "ci_high"))
            places = [place + shift for place, _ in known]
            error = np.stack([values - low, high - values])
            panel.errorbar(
                values, places, xerr=error, color=colour, marker="o", markersize=3.5, linestyle="", label=label
            )
    panel.set_yticks(range(len(SHOWN)), [NAMES[roi] for roi in SHOWN])
    panel.set(xlabel="uptake ratio", ylim=(len(SHOWN) - 0.5, -0.5))
    if drawn:
        panel.legend(
            loc="lower center", bbox_to_anchor=(0.4, 1), ncols=len(REFERENCES), handletextpad=0, columnspacing=1
        )
    return drawn
