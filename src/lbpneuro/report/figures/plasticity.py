"""Figures of the homeostatic-plasticity markers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.kernels.motor_map import NORMAL_95
from lbpneuro.kernels.plasticity import OFFSET_UV
from lbpneuro.report.canvas import BLUE, INK, MUTED, RULE, SKY, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.figures.tms import waveforms
from lbpneuro.report.rows import Row
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BASELINE = "before"
MOST_TICKS = 9


def plot_block_time_course(visit: Visit) -> Drawing:
    """Draw the response in each block relative to the block before the first bout, over its single responses."""
    rows = [row for row in visit.family("plasticity") if row.marker.name == "block_log_ratio"]
    if not any(math.isfinite(row.value) for row in rows):
        raise AbsentError(visit.absence("plasticity"))
    blocks, trials = (
        read_tsv(visit.file("plasticity", desc=name, suffix="meps", ext=".tsv"), dtype={"block": str})
        for name in ("blocks", "course")
    )
    with line_style():
        figure = new_figure(height=3.4)
        panel = figure.subplots()
        _cloud(panel, trials, names=["pre", *(row.level[0] for row in rows)])
        _course(panel, rows)
        note = _band(panel, blocks.set_index("block"), rows)
        _bouts(panel)
        return Drawing(as_svg(figure), note)


def _cloud(panel: Axes, trials: pd.DataFrame, *, names: list[str]) -> None:
    """Single responses over the geometric mean of the baseline, beside the place of their block in their order."""
    logs = np.log(trials["p2p_uv"] + OFFSET_UV)
    baseline = logs[trials["block"] == names[0]].mean()
    for place, name in enumerate(names):
        own = logs[trials["block"] == name].to_numpy() - baseline
        across = place + np.linspace(-0.22, 0.22, own.size) if own.size > 1 else np.full(own.size, float(place))
        panel.plot(across, np.exp(own), "o", color=SKY, alpha=0.5, markersize=3.2, markeredgewidth=0)


def _course(panel: Axes, rows: list[Row]) -> None:
    values = [1.0, *(math.exp(row.value) for row in rows)]
    below = [0.0, *(math.exp(row.value) - math.exp(row.ci_low) for row in rows)]
    above = [0.0, *(math.exp(row.ci_high) - math.exp(row.value) for row in rows)]
    places = list(range(len(values)))
    panel.axhline(1, color=MUTED, linewidth=0.8)
    panel.errorbar(places, values, yerr=[below, above], color=BLUE, marker="o", markersize=5, capsize=3)
    panel.set_yscale("log")
    _ratio_ticks(panel)
    panel.set_xticks(places, [BASELINE, *(row.where for row in rows)])
    panel.set(ylabel="response / before (ratio)", xlim=(-0.4, len(values) - 0.6))


def _ratio_ticks(panel: Axes) -> None:
    """Ticks at round ratios within what is drawn."""
    from matplotlib.ticker import NullLocator

    bottom, top = panel.get_ylim()
    round_ratios = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50]
    ticks = [ratio for ratio in round_ratios if bottom <= ratio <= top]
    ticks = ticks if len(ticks) <= MOST_TICKS else [ratio for ratio in ticks if ratio not in (0.3, 0.7, 1.5, 3, 7)]
    panel.set_yticks(ticks, [f"{ratio:g}" for ratio in ticks])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(bottom, top * 1.2)


def _band(panel: Axes, blocks: pd.DataFrame, rows: list[Row]) -> str:
    """The ratios of two blocks without any change, from the scatter of all blocks; returned in words too."""
    known = blocks[blocks["n"] > 1]
    if known.empty or "pre" not in known.index:
        return ""
    freedom = known["n"] - 1
    log_sd = math.sqrt((freedom * known["log_sd"] ** 2).sum() / freedom.sum())
    before = float(known["n"]["pre"])
    later = float(known["n"][[row.level[0] for row in rows if row.level[0] in known.index]].median())
    reach = NORMAL_95 * log_sd * math.sqrt(1 / before + 1 / later)
    for edge in (math.exp(-reach), math.exp(reach)):
        panel.axhline(edge, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    low, high = math.exp(-reach), math.exp(reach)
    return (
        f"Log SD of single responses {log_sd:.2f}, {before:.0f} before and {later:.0f} in a later block: without any "
        f"change, 95 of 100 ratios lie between {low:.2f} and {high:.2f}."
    )


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
