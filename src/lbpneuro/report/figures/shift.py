"""Figure of the sensory-to-affective shift."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.index import entities
from lbpneuro.report.canvas import BLUE, GREEN, INK, MUTED, RED, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = {"pain": RED, "emotion": BLUE, "reward": GREEN}


def plot_rating_response(visit: Visit) -> Drawing:
    """Draw the rating, the signal of the sets with what follows the rating, and the effects."""
    paths = visit.all("shift", desc="shift", suffix="timeseries", ext=".tsv")
    path = next((each for each in paths if not read_json(each.with_suffix(".json")).get("Control")), paths[0])
    table = read_tsv(path)
    if not np.isfinite(table["rating"].to_numpy(dtype=float)).all():
        raise AbsentError(visit.absence("shift"))
    seconds = np.arange(len(table)) * float(read_json(path.with_suffix(".json"))["RepetitionTime"])
    with line_style():
        figure = new_figure(height=4.6)
        grid = figure.add_gridspec(4, 2, width_ratios=(3.2, 1))
        rated = figure.add_subplot(grid[0, 0])
        rated.plot(seconds, table["rating"], color=INK, linewidth=1)
        rated.set(ylabel="rating", ylim=(0, 100), xlim=(0, seconds[-1]))
        rated.tick_params(labelbottom=False)
        for place, name in enumerate(COLOURS, start=1):
            panel = figure.add_subplot(grid[place, 0], sharex=rated)
            _signal(panel, table, name=name, seconds=seconds)
            panel.tick_params(labelbottom=place == len(COLOURS))
        panel.set_xlabel("time (s)")
        _effects(figure.add_subplot(grid[:, 1]), visit)
        return Drawing(as_svg(figure), note=_which_run(path, paths))


def _signal(panel: Axes, table: pd.DataFrame, *, name: str, seconds: np.ndarray) -> None:
    """The cleaned signal of a set, and what follows the rating in it."""
    panel.plot(seconds, table[name], color=MUTED, linewidth=0.8)
    panel.plot(seconds, table[f"{name}_fitted"], color=COLOURS[name])
    panel.set(ylabel=f"{name} (%)", xlim=(0, seconds[-1]))


def _effects(panel: Axes, visit: Visit) -> None:
    """The effect of the rating on each set with its interval."""
    panel.axhline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    for place, (name, colour) in enumerate(COLOURS.items()):
        row = visit.row(f"shift_{name}_beta")
        if row is not None and math.isfinite(row.value):
            below, above = row.value - row.ci_low, row.ci_high - row.value
            panel.errorbar([place], [row.value], yerr=[[below], [above]], color=colour, marker="o", capsize=3)
    panel.set_xticks(range(len(COLOURS)), list(COLOURS), rotation=45, ha="right")
    panel.set(ylabel="effect (% per point)", xlim=(-0.6, len(COLOURS) - 0.4))


def _which_run(path: Path, paths: list[Path]) -> str:
    if len(paths) < 2:
        return ""
    named = {key: value for key, value in entities(path).items() if key in ("task", "run")}
    return f"Shown is {' '.join(f'{key}-{value}' for key, value in named.items())}, one of {len(paths)} runs."
