"""Figure of the withdrawal reflex: sweeps by intensity, and responses to each intensity with the fitted threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import BLUE, MUTED, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.figures.excitability import logistic
from lbpneuro.report.visit import Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DPI = 160


def plot_withdrawal_reflex(visit: Visit) -> Drawing:
    """Draw the sweeps of single stimuli by intensity, and which of them evoked a reflex."""
    import pandas as pd

    trials = read_tsv(visit.file("reflex", desc="trials", suffix="reflex", ext=".tsv"))
    sweeps = pd.read_parquet(visit.file("reflex", desc="sweeps", suffix="emg"))
    single = trials[trials["train_position"].isna()].sort_values("stim_ma", kind="stable")
    with line_style():
        figure = new_figure(height=4.6)
        figure.set_dpi(DPI)
        left, right = figure.subplots(1, 2)
        _sweeps(left, single, sweeps, window=visit.config["reflex"]["window_ms"])
        _doses(right, single, visit)
        kept = int((single["reject"] == 0).sum())
        return Drawing(as_svg(figure), note=f"{kept} of {len(single)} single stimuli are kept.")


def _sweeps(panel: Axes, single: pd.DataFrame, sweeps: pd.DataFrame, *, window: list[float]) -> None:
    """A line per stimulus, the weakest at the bottom; reflexes blue, rejected trials red."""
    panel.axvspan(*window, color=BLUE, alpha=0.1, linewidth=0)
    waves = sweeps[[str(number) for number in single.index]].to_numpy().T
    step = 4 * float(np.nanmedian(np.abs(waves).max(axis=1))) if len(waves) else 1.0
    colours: list[Any] = [
        RED if reject else (BLUE if reflex else "#808080")
        for reject, reflex in zip(single["reject"], single["reflex"], strict=True)
    ]
    for place, (wave, colour) in enumerate(zip(waves, colours, strict=True)):
        (line,) = panel.plot(sweeps["time_ms"], wave / max(step, 1e-9) + place, color=colour, linewidth=0.7)
        line.set_rasterized(True)
    shown = np.unique(np.linspace(0, len(single) - 1, min(len(single), 8)).round().astype(int))
    panel.set_yticks(shown, [f"{single['stim_ma'].iloc[place]:g}" for place in shown])
    panel.set(xlabel="time after the stimulus (ms)", ylabel="stimulus (mA)", ylim=(-1.5, len(single) + 0.5))


def _doses(panel: Axes, single: pd.DataFrame, visit: Visit) -> None:
    """Share of reflexes at each intensity, the fitted logistic, and the threshold with its interval."""
    kept = single[single["reject"] == 0]
    shares = kept["reflex"].groupby(kept["stim_ma"]).agg(["mean", "size"])
    panel.scatter(shares.index, shares["mean"], s=12 + 6 * shares["size"], color=BLUE, alpha=0.7, linewidth=0)
    row, width = visit.row("nfr_threshold"), visit.sidecars.get("reflex", {}).get("LogisticWidth")
    panel.axhline(0.5, color=RULE, linewidth=0.8)
    if row is not None and math.isfinite(row.value) and width:
        x = np.linspace(*panel.get_xlim(), 200)
        panel.plot(x, logistic(x, middle=row.value, width=width), color=BLUE)
        panel.plot([row.ci_low, row.ci_high], [0.5, 0.5], color=BLUE, linewidth=4, alpha=0.5, solid_capstyle="butt")
        panel.axvline(row.value, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    panel.set(xlabel="stimulus (mA)", ylabel="share with a reflex", ylim=(-0.06, 1.06))
