"""Figure of repeated sessions: the intraclass correlation of every leading marker with its interval."""

from __future__ import annotations

import math

import numpy as np

from lbpneuro.report.agreement import BORDERS, Agreement
from lbpneuro.report.canvas import MUTED, RULE, SERIES, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.visit import AbsentError

LINE_IN = 0.26


def plot_agreement(agreement: Agreement) -> Drawing:
    """Draw the intraclass correlation of every marker and pair of sessions, and the borders of the words for it."""
    lines = [line for line in agreement.lines if math.isfinite(line.icc[0])]
    if not lines:
        raise AbsentError("no marker was measured twice in people who differ")
    pairs = list(dict.fromkeys(line.sessions for line in lines))
    names = list(dict.fromkeys(line.name for line in lines))
    shift = 0.22 * (np.arange(len(pairs)) - (len(pairs) - 1) / 2)
    lowest = min(0.0, *(max(line.icc[1], -1.0) for line in lines)) - 0.03
    with line_style():
        figure = new_figure(height=0.9 + LINE_IN * len(names) * (1 + 0.3 * (len(pairs) - 1)))
        panel = figure.subplots()
        for number, pair in enumerate(pairs):
            own = [line for line in lines if line.sessions == pair]
            places = np.array([len(names) - 1 - names.index(line.name) for line in own]) - shift[number]
            value, low, high = np.array([line.icc for line in own]).T
            colour = SERIES[number % len(SERIES)]
            panel.hlines(places, np.maximum(low, lowest), high, color=colour, linewidth=1.6)
            panel.plot(value, places, "o", color=colour, markersize=4.5, label=pair)
        edges = [lowest, *list(BORDERS.values())[:-1], 1.0]
        for word, start, end in zip(BORDERS, edges[:-1], edges[1:], strict=True):
            panel.axvline(start, color=RULE, linewidth=0.8, zorder=0)
            middle = (max(start, 0.0) + end) / 2
            panel.text(middle, len(names) - 0.35, word, color=MUTED, fontsize=8, ha="center")
        panel.set_yticks(np.arange(len(names))[::-1], names)
        panel.set(xlabel="ICC(A,1)", xlim=(lowest, 1.02), ylim=(-0.7, len(names) + 0.1))
        panel.tick_params(axis="y", length=0)
        if len(pairs) > 1:
            panel.legend(fontsize=8, loc="lower left", title="sessions", title_fontsize=8)
        return Drawing(as_svg(figure), note=f"{len(lines)} comparisons of {len(names)} markers.")
