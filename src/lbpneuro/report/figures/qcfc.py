"""Figure of QC-FC: how the correlations with motion are distributed, and how they depend on distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.report.canvas import BLUE, INK, MUTED, RED, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.coupling import MODEL_WORDS, Coupling
from lbpneuro.report.visit import AbsentError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DOTS = 300
BINS_OF_DISTANCE = 12
BINS = np.linspace(-1, 1, 61)


def plot_motion_coupling(coupling: Coupling) -> Drawing:
    """Draw, for every confound strategy, the correlations over people of motion and each edge."""
    edges = coupling.edges()
    if edges is None or edges.empty:
        raise AbsentError("there are too few people with connectivity for it")
    shown = edges[edges["atlas"] == edges["atlas"].iloc[0]]
    models = list(dict.fromkeys(shown["model"]))
    with line_style():
        figure = new_figure(height=2.4 * len(models))
        panels = figure.subplots(len(models), 2, squeeze=False, sharex="col")
        for (left, right), model in zip(panels, models, strict=True):
            part = shown[shown["model"] == model]
            _histogram(left, part)
            _by_distance(right, part)
            left.set_title(MODEL_WORDS.get(model, model))
        panels[-1][0].set_xlabel("correlation with motion over people")
        panels[-1][1].set_xlabel("distance between the nodes (mm)")
        return Drawing(as_svg(figure), note=f"Atlas {shown['atlas'].iloc[0]}, {len(part)} pairs of nodes.")


def _histogram(panel: Axes, edges: pd.DataFrame) -> None:
    """Correlations of all edges, and the curve of what no relation would give."""
    r = edges["r"].to_numpy()
    panel.hist(r, bins=list(BINS), density=True, color=BLUE, alpha=0.45, linewidth=0)
    dof = max(3.0, float(edges["n"].median()) - 2)
    grid = np.linspace(-1, 1, 401)[1:-1]
    density = (1 - grid**2) ** (dof / 2 - 1)
    panel.plot(grid, density / (density.sum() * (grid[1] - grid[0])), color=RED, linewidth=1.4)
    reach = max(0.5, 1.1 * float(np.quantile(np.abs(r), 0.999)))
    panel.axvline(0, color=MUTED, linewidth=0.8)
    panel.set(xlim=(-min(reach, 1), min(reach, 1)), yticks=[], ylabel="edges")


def _by_distance(panel: Axes, edges: pd.DataFrame) -> None:
    """Some of the edges as dots, and the median and middle 80 % of all of them in bins of as many edges."""
    ordered = edges[edges["distance"].notna()].sort_values("distance", kind="stable")
    if ordered.empty:
        return
    thin = ordered.iloc[:: max(1, len(ordered) // DOTS)]
    panel.plot(thin["distance"], thin["r"], ".", color=BLUE, alpha=0.35, markersize=3, markeredgewidth=0)
    pieces = [piece for piece in np.array_split(np.arange(len(ordered)), BINS_OF_DISTANCE) if len(piece)]
    parts = [ordered.iloc[piece] for piece in pieces]
    centre = [float(part["distance"].median()) for part in parts]
    low, middle, high = np.array([part["r"].quantile([0.1, 0.5, 0.9]).to_numpy() for part in parts]).T
    panel.fill_between(centre, low, high, color=RED, alpha=0.18, linewidth=0)
    panel.plot(centre, middle, color=RED, linewidth=1.4)
    panel.axhline(0, color=MUTED, linewidth=0.8)
    panel.set_ylabel("correlation with motion", color=INK)
