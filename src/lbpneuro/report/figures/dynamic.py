"""Figure of the thalamocortical states: which state when, the motion below, and what the states are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.report.canvas import BLUE, MUTED, SERIES, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import SPELLED
from lbpneuro.report.study import Study
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LEAST_LIMIT = 0.2


def plot_states(visit: Visit) -> Drawing:
    """Draw the state of every window over time, displacement under it, and the reference states as matrices."""
    path = visit.file("dynamic", desc="states", suffix="timeseries", ext=".tsv")
    windows, width_s = read_tsv(path), float(read_json(path.with_suffix(".json"))["WindowSeconds"])
    reference = _reference(visit)
    k = int(visit.config["dynamic"]["k"])
    with line_style():
        figure = new_figure(height=2.6 if reference is None else 5.4)
        rows = figure.add_gridspec(
            2 if reference is not None else 1, 1, height_ratios=[2.2, 3][: 1 + (reference is not None)]
        )
        panels = rows[0].subgridspec(2, 1, hspace=0.1).subplots(sharex=True)
        _time_line(panels, windows, width_s=width_s, k=k)
        if reference is not None:
            _matrices(figure, rows[1].subgridspec(1, k), reference, k=k)
        return Drawing(as_svg(figure), note=_note(windows, width_s=width_s, k=k))


def plot_group_states(study: Study) -> Drawing:
    """Draw the reference states of the study as matrices."""
    if study.states is None:
        raise AbsentError("no states were learned")
    reference = read_tsv(study.states)
    k = sum(str(column).startswith("state_") for column in reference)
    if not k or reference.empty:
        raise AbsentError("no states were learned")
    with line_style():
        figure = new_figure(height=3.4)
        _matrices(figure, figure.add_gridspec(1, k), reference, k=k)
        return Drawing(as_svg(figure))


def _reference(visit: Visit) -> pd.DataFrame | None:
    """The table of reference states, None if it lies outside the datasets of the study."""
    try:
        return read_tsv(visit.file("dynamic", desc="dynamic", suffix="states", ext=".tsv"))
    except AbsentError:
        return None


def _time_line(panels: Any, windows: pd.DataFrame, *, width_s: float, k: int) -> None:
    """Draw state and displacement at the middle of every window; several runs after one another."""
    runs = list(dict.fromkeys(windows["run"]))
    start = 0.0
    for run in runs:
        own = windows[windows["run"] == run]
        middle = start + own["onset"].to_numpy(dtype=float) + width_s / 2
        state = own["state"].to_numpy(dtype=float)
        for each in range(1, k + 1):
            panels[0].plot(
                middle[state == each],
                state[state == each],
                linestyle="",
                marker="|",
                color=SERIES[each - 1],
                markersize=9,
            )
        panels[1].plot(middle, own["fd_jenkinson"].to_numpy(dtype=float), color=BLUE, linewidth=1)
        start = float(middle[-1]) + width_s / 2
        if run != runs[-1]:
            for panel in panels:
                panel.axvline(start, color=MUTED, linewidth=1)
    panels[0].set(ylabel="state", yticks=range(1, k + 1), ylim=(k + 0.5, 0.5))
    panels[1].set(xlabel="middle of the window (s)", ylabel="motion (mm)", xlim=(0, start))
    panels[1].set_ylim(bottom=0)


def _matrices(figure: Any, places: Any, reference: pd.DataFrame, *, k: int) -> None:
    """Draw r of every edge in each state: the first nodes of the edges in rows, the second in columns."""
    first, second = (list(dict.fromkeys(reference[column])) for column in ("node_1", "node_2"))
    values = [np.tanh(reference[f"state_{state}"].to_numpy(dtype=float)) for state in range(1, k + 1)]
    limit = max(LEAST_LIMIT, float(np.ceil(10 * np.max(np.abs(values))) / 10))
    panels: list[Axes] = [figure.add_subplot(places[column]) for column in range(k)]
    for panel, each, state in zip(panels, values, range(1, k + 1), strict=True):
        matrix = np.full((len(first), len(second)), np.nan)
        matrix[[first.index(n) for n in reference["node_1"]], [second.index(n) for n in reference["node_2"]]] = each
        mesh = panel.pcolormesh(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set_title(f"State {state}")
        panel.set_xticks(np.arange(len(second)) + 0.5, [_label(name) for name in second], rotation=90, fontsize=7)
        names = [_label(name) for name in first] if panel is panels[0] else [""] * len(first)
        panel.set_yticks(np.arange(len(first)) + 0.5, names, fontsize=7)
        panel.invert_yaxis()
    bar = figure.colorbar(mesh, ax=panels, ticks=[-limit, 0, limit], shrink=0.7, pad=0.02)
    bar.set_label("r")


def _label(node: str) -> str:
    roi, _, side = node.partition("_")
    return f"{SPELLED.get(roi, roi)} {side.replace('_', ' ')}".strip()


def _note(windows: pd.DataFrame, *, width_s: float, k: int) -> str:
    state = windows["state"].to_numpy(dtype=float)
    share = [float(np.mean(state[np.isfinite(state)] == each)) for each in range(1, k + 1)]
    parts = [f"{number(100 * each, error=10)} % in state {place}" for place, each in enumerate(share, start=1)]
    return f"Windows of {width_s:.0f} s; {', '.join(parts)}."
