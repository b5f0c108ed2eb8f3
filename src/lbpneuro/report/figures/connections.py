"""Figures of all connections of a person: the pairs of regions with their intervals, and the networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.markers.descriptor import Direction
from lbpneuro.markers.edges import DEFAULT_MODE, DESCENDING, LABELS, MESOLIMBIC, THALAMIC
from lbpneuro.report.canvas import BLUE, INK, MUTED, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import ASKED_FOR, SIDES, Row, level_words, shorter
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import DIRECTION_SYMBOL, STATUS_SYMBOL, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYSTEMS = {
    DESCENDING: "Descending pain modulation, PAG",
    DEFAULT_MODE: "mPFC and default mode",
    MESOLIMBIC: "Mesolimbic: VTA, accumbens",
    THALAMIC: "Thalamocortical",
}
OWN = "Your own connections"
LINE_IN = 0.195
SHORT = {Direction.CONTESTED: "contested", Direction.NOT_APPLICABLE: ""}
LEAST_LIMIT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One connection of the figure: its value, and that under the other confound strategy."""

    system: str
    name: str
    row: Row
    other: Row | None


def lines_of(visit: Visit) -> list[Line]:
    """Return the connections of a session by system, the user's own last."""
    found = [
        Line(
            system=SYSTEMS.get(edge.fact_sheet, edge.fact_sheet),
            name=shorter(edge.long_name).replace("-", " – ", 1) + (f", {SIDES[side]}" if side else ""),
            row=row,
            other=visit.row("fc_z_alternative", label),
        )
        for label, (edge, side) in LABELS.items()
        if (row := visit.row(f"{edge.name}_z", *([side] if side else []))) is not None
    ]
    own = [
        Line(system=OWN, name=row.level[0], row=row, other=None) for row in visit.rows if row.marker.name == ASKED_FOR
    ]
    systems = [*SYSTEMS.values(), OWN]
    return sorted(found + own, key=lambda line: systems.index(line.system))


def plot_connections(visit: Visit) -> Drawing:
    """Draw Fisher z of every connection with its 95 % interval, under both confound strategies."""
    lines = lines_of(visit)
    if not any(math.isfinite(line.row.value) for line in lines):
        raise AbsentError(visit.absence("functional"))
    with line_style():
        figure = new_figure(height=LINE_IN * (len(lines) + 1.4 * len({line.system for line in lines})) + 0.9)
        panel = figure.subplots()
        place = 0.0
        for before, line in zip([None, *lines], lines, strict=False):
            if before is None or before.system != line.system:
                place += 1.4
                panel.text(
                    -0.02, place - 1, line.system, transform=panel.get_yaxis_transform(), ha="right", weight="bold"
                )
            _draw_line(panel, line, place=place)
            place += 1
        _finish(panel, bottom=place)
        return Drawing(as_svg(figure), note=_note(lines))


def _draw_line(panel: Axes, line: Line, *, place: float) -> None:
    """One connection: name, both values, and what is expected."""
    beside = panel.get_yaxis_transform()
    panel.text(-0.02, place, line.name, transform=beside, ha="right", va="center", color=INK)
    direction = line.row.direction
    told = f"{DIRECTION_SYMBOL[direction]} {SHORT.get(direction, direction.value)}".strip()
    if not math.isfinite(line.row.value):
        panel.text(0.01, place, f"no value: {line.row.why}", transform=beside, va="center", color=MUTED, fontsize=8)
    else:
        told += f"  {STATUS_SYMBOL[line.row.status]}" if line.row.reasons else ""
        _interval(panel, line.row, place=place - 0.14, colour=BLUE, filled=True)
        if line.other is not None and math.isfinite(line.other.value):
            _interval(panel, line.other, place=place + 0.24, colour=RED, filled=False)
    panel.text(1.02, place, told, transform=beside, va="center", color=INK, fontsize=8.5)


def _interval(panel: Axes, row: Row, *, place: float, colour: str, filled: bool) -> None:
    if math.isfinite(row.ci_low) and math.isfinite(row.ci_high):
        panel.plot([row.ci_low, row.ci_high], [place, place], color=colour, linewidth=1.8 if filled else 1)
    face = colour if filled else "none"
    panel.plot([row.value], [place], "o", color=colour, markerfacecolor=face, markersize=4.5 if filled else 3.5)


def _finish(panel: Axes, *, bottom: float) -> None:
    """Axes, zero and legend."""
    from matplotlib.lines import Line2D

    panel.axvline(0, color=MUTED, linewidth=0.9, zorder=0)
    panel.set(ylim=(bottom - 0.3, -0.2), yticks=[], xlabel="Fisher z")
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color=RULE, linewidth=0.6)
    panel.text(1.02, 0.4, "expected", transform=panel.get_yaxis_transform(), color=MUTED, fontsize=8.5, va="center")
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=4.5, linewidth=1.8, label="as analysed"),
        Line2D([], [], color=RED, marker="o", markersize=3.5, markerfacecolor="none", label="other strategy"),
    ]
    panel.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)


def _note(lines: Sequence[Line]) -> str:
    """How often the sign hangs on the strategy, and how wide the intervals are."""
    both = [(line.row, line.other) for line in lines if line.other and math.isfinite(line.row.value * line.other.value)]
    turned = sum(row.value * other.value < 0 for row, other in both)
    across = [line.row for line in lines if line.row.ci_low < 0 < line.row.ci_high]
    valued = [line.row for line in lines if math.isfinite(line.row.ci_low)]
    wide = float(np.median([row.ci_high - row.ci_low for row in valued])) if valued else math.nan
    return (
        f"Half of the intervals are wider than {number(wide, error=0.1)}; {len(across)} of {len(valued)} hold 0. "
        f"The two strategies differ in sign in {turned} of {len(both)} connections."
    )


def plot_networks(visit: Visit) -> Drawing:
    """Draw the mean connectivity within and between networks as a matrix of values and half intervals."""
    rows = [row for row in visit.family("functional") if row.marker.name == "network_z"]
    if not any(math.isfinite(row.value) for row in rows):
        raise AbsentError(visit.absence("functional"))
    names = list(dict.fromkeys(name for row in rows for name in row.level))
    matrix = np.full((len(names), len(names)), np.nan)
    for row in rows:
        first, second = sorted(names.index(name) for name in row.level)
        matrix[second, first] = row.value
    limit = max(LEAST_LIMIT, float(np.ceil(20 * np.nanmax(np.abs(matrix))) / 20))
    with line_style():
        figure = new_figure(height=0.9 + 0.48 * len(names))
        panel = figure.subplots()
        mesh = panel.pcolormesh(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-limit, vmax=limit)
        for row in rows:
            first, second = sorted(names.index(name) for name in row.level)
            _cell(panel, row, x=first + 0.5, y=second + 0.5, dark=abs(row.value) > 0.65 * limit)
        words = [level_words((name, name), ("network_a", "network_b")).removeprefix("within ") for name in names]
        ticks = np.arange(len(names)) + 0.5
        panel.set_xticks(ticks, [word.replace(" ", "\n") for word in words], fontsize=8)
        panel.set_yticks(ticks, words, fontsize=8)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.invert_yaxis()
        figure.colorbar(mesh, ax=panel, ticks=[-limit, 0, limit], shrink=0.7, pad=0.02).set_label("mean Fisher z")
        return Drawing(as_svg(figure))


def _cell(panel: Axes, row: Row, *, x: float, y: float, dark: bool) -> None:
    """Value and half of the interval in one cell; black or white letters, since the cell has a colour of its own."""
    if not math.isfinite(row.value):
        panel.text(x, y, "–", ha="center", va="center", color=MUTED)
        return
    half = (row.ci_high - row.ci_low) / 2
    said = f"{number(row.value, error=half)}\n± {number(half, error=half)}"
    panel.text(x, y, said, ha="center", va="center", fontsize=7.5, color="white" if dark else "black", linespacing=1.1)
