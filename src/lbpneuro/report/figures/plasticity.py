"""Figures of the homeostatic-plasticity markers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lbpneuro.report.canvas import BLUE, INK, MUTED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.figures.tms import waveforms
from lbpneuro.report.rows import Row
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = "before"


def plot_block_time_course(visit: Visit) -> Drawing:
    """Draw the response in each block relative to the block before the first bout."""
    rows = [row for row in visit.family("plasticity") if row.marker.name == "block_log_ratio"]
    drawn = [row for row in rows if math.isfinite(row.value)]
    if not drawn:
        raise AbsentError(visit.absence("plasticity"))
    with line_style():
        figure = new_figure(height=2.9)
        panel = figure.subplots()
        _course(panel, rows)
        _bouts(panel)
        return Drawing(as_svg(figure))


def _course(panel: Axes, rows: list[Row]) -> None:
    values = [1.0, *(math.exp(row.value) for row in rows)]
    below = [0.0, *(math.exp(row.value) - math.exp(row.ci_low) for row in rows)]
    above = [0.0, *(math.exp(row.ci_high) - math.exp(row.value) for row in rows)]
    places = list(range(len(values)))
    panel.axhline(1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    panel.errorbar(places, values, yerr=[below, above], color=BLUE, marker="o", markersize=5, capsize=3)
    panel.set_yscale("log")
    _ratio_ticks(
        panel,
        low=[v - b for v, b in zip(values, below, strict=True)],
        high=[v + a for v, a in zip(values, above, strict=True)],
    )
    panel.set_xticks(places, [BASELINE, *(row.where for row in rows)])
    panel.set(ylabel="response / before (ratio)", xlim=(-0.4, len(values) - 0.6))


def _ratio_ticks(panel: Axes, *, low: list[float], high: list[float]) -> None:
    """Ticks at round ratios around the intervals."""
    from matplotlib.ticker import NullLocator

    bottom = min(v for v in low if math.isfinite(v)) / 1.15
    top = max(v for v in high if math.isfinite(v)) * 1.3
    round_ratios = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20]
    ticks = [ratio for ratio in round_ratios if bottom <= ratio <= top]
    panel.set_yticks(ticks, [f"{ratio:g}" for ratio in ticks])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(bottom, top)


def _bouts(panel: Axes) -> None:
    """The two stimulation bouts lie before and after the block between them."""
    for place, name in ((0.5, "first bout"), (1.5, "second bout")):
        panel.axvspan(place - 0.09, place + 0.09, color=RULE, alpha=0.7, linewidth=0)
        panel.text(
            place, 0.98, name, transform=panel.get_xaxis_transform(), ha="center", va="top", color=INK, fontsize=8.5
        )


def plot_plasticity_waveforms(visit: Visit) -> Drawing:
    """Draw the average response of each block of the plasticity run."""
    return waveforms(visit, "plasticity", by="block")
