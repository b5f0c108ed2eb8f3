"""Figures of a trial: standardised differences of all outcomes, and every arm over the sessions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.report.canvas import BLUE, INK, MUTED, RED, RULE, SERIES, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.trial import Course, Trial
from lbpneuro.report.visit import AbsentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_IN = 0.3
COLUMNS = 2
PANEL_IN = 2.3


def plot_trial_forest(trial: Trial) -> Drawing:
    """Draw Hedges' g of every outcome, follow-up and arm with its interval."""
    lines = [line for line in trial.lines if line.g]
    if not lines:
        raise AbsentError("no standardised difference could be computed")
    several = len({line.arm for line in lines}) > 1
    with line_style():
        figure = new_figure(height=0.8 + LINE_IN * len(lines))
        panel = figure.subplots()
        places = np.arange(len(lines))[::-1]
        for place, line in zip(places, lines, strict=True):
            value, low, high = line.g
            sure = low > 0 or high < 0
            colour = BLUE if sure else MUTED
            panel.plot([low, high], [place, place], color=colour, linewidth=1.6)
            panel.plot([value], [place], "s", color=colour, markersize=5)
        names = [" · ".join([line.title, line.session, *([line.arm] if several else [])]) for line in lines]
        panel.set_yticks(places, names)
        panel.axvline(0, color=RED, linewidth=0.9)
        panel.set(xlabel=f"Hedges' g, minus: less than {lines[0].control}", ylim=(-0.7, len(lines) - 0.3))
        panel.tick_params(axis="y", length=0)
        return Drawing(as_svg(figure), note=f"{len(lines)} comparisons with {lines[0].control}.")


def plot_trial_course(trial: Trial) -> Drawing:
    """Draw the mean of every arm over the sessions, one panel per outcome, with intervals."""
    courses = [course for course in trial.courses if _drawable(course)]
    if not courses:
        raise AbsentError("values lie beyond a limit, so that there are no means to draw")
    rows = math.ceil(len(courses) / COLUMNS)
    with line_style():
        figure = new_figure(height=PANEL_IN * rows + 0.3)
        panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for panel, course in zip(panels, courses, strict=False):
            _course(panel, course)
        for panel in panels[len(courses) :]:
            panel.set_axis_off()
        panels[0].legend(fontsize=8, loc="best")
        return Drawing(as_svg(figure), note=f"{len(courses)} outcomes.")


def _drawable(course: Course) -> bool:
    return any(math.isfinite(mean) for points in course.arms.values() for mean, _, _ in points)


def _course(panel: Axes, course: Course) -> None:
    """One outcome: means with intervals, and how far measurement error alone may carry one person."""
    shift = 0.06 * (np.arange(len(course.arms)) - (len(course.arms) - 1) / 2)
    for colour, offset, (arm, points) in zip(SERIES, shift, course.arms.items(), strict=False):
        mean, low, high = np.array(points, dtype=float).T
        x = np.arange(len(mean)) + offset
        panel.errorbar(x, mean, yerr=[mean - low, high - mean], color=colour, marker="o", markersize=4, label=arm)
    start = float(np.nanmean([points[0][0] for points in course.arms.values()]))
    if math.isfinite(course.band) and math.isfinite(start):
        panel.axhspan(start - course.band, start + course.band, color=RULE, alpha=0.35, linewidth=0, zorder=0)
    panel.set_xticks(np.arange(len(course.sessions)), [name.removeprefix("ses-") for name in course.sessions])
    panel.set_xlim(-0.4, len(course.sessions) - 0.6)
    panel.set_title(course.title, color=INK)
