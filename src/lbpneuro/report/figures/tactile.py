"""Figures of the tests of touch: psychometric functions, localisation on the back, and left/right judgement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import Reason
from lbpneuro.io.tactile import read_tactile
from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.tactile import CHANCE, Tactile, Touches, TwoPoint, crossings, fitted, is_fitted
from lbpneuro.report.canvas import BLUE, INK, MUTED, ORANGE, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import SIDES, Row
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILY = "tactile"
BACK_MM = (150.0, 120.0)
"""Half width and height of the drawn back."""
ELLIPSE = 2.4477
"""Radius of the ellipse that holds 95 % of a bivariate normal, in standard deviations."""


def _tests(visit: Visit) -> Tactile:
    """The tests of a session, read from the trial tables that the step read."""
    tables = visit.all(FAMILY, suffix="beh", ext=".tsv")
    return read_tactile(tables, visit.config[FAMILY])[0]


def plot_two_point(visit: Visit) -> Drawing:
    """Draw the share of "two" at every distance, the fitted function, and the threshold with its interval."""
    tests = _tests(visit)
    if not tests.two_point:
        raise AbsentError(visit.absence(FAMILY))
    with line_style():
        lines = math.ceil(len(tests.two_point) / 2)
        figure = new_figure(height=0.4 + 2.1 * lines)
        panels = figure.subplots(lines, 2, sharex=True, sharey=True, squeeze=False).flat
        for panel, (level, points) in zip(panels, tests.two_point.items(), strict=False):
            _curve(panel, points, tests, row=visit.row("tpd", *level))
            panel.set_title(_place(level), fontsize=9)
        for panel in list(panels):
            panel.set_visible(False)
        figure.supxlabel("distance of the points (mm)", fontsize=9)
        figure.supylabel('share of "two"', fontsize=9)
        return Drawing(as_svg(figure))


def _place(level: Level) -> str:
    return ", ".join(SIDES.get(part, part) for part in level if part != "n/a")


def _curve(panel: Axes, points: TwoPoint, tests: Tactile, *, row: Row | None) -> None:
    distances = np.unique(points.distance)
    own = [points.response[points.distance == distance] for distance in distances]
    shares = [float((answers == 2).mean()) for answers in own]
    sizes = [9.0 * answers.size for answers in own]
    panel.scatter(distances, shares, s=sizes, color=BLUE, alpha=0.55, linewidths=0, zorder=3)
    if points.catches:
        panel.scatter(
            0, points.false_alarms / points.catches, s=9.0 * points.catches, facecolors="none", edgecolors=ORANGE
        )
    function = fitted(points, tests.settings) if is_fitted(points, tests.settings) else None
    if function is not None:
        fine = np.linspace(0, distances[-1], 200)
        panel.plot(fine, function.probability(fine), color=INK, linewidth=1.2)
    else:
        _ticks_of_runs(panel, points)
    _threshold(panel, row, last=float(distances[-1]))
    panel.set(ylim=(-0.06, 1.06), xlim=(-5, distances[-1] + 6), yticks=[0, 0.5, 1])


def _ticks_of_runs(panel: Axes, points: TwoPoint) -> None:
    """A tick per run where it changed, ascending ones up and descending ones down."""
    for ascending, runs in crossings(points).items():
        values = [run.value for run in runs if math.isfinite(run.value)]
        panel.plot(values, [0.5] * len(values), "^" if ascending else "v", color=INK, markersize=5)


def _threshold(panel: Axes, row: Row | None, *, last: float) -> None:
    if row is None:
        return
    if math.isfinite(row.value):
        panel.axvspan(max(row.ci_low, 0), min(row.ci_high, last), color=BLUE, alpha=0.12, linewidth=0)
        panel.axvline(row.value, color=RED, linewidth=1.2)
        told = f"{number(row.value, error=row.error)} mm"
    elif Reason.CENSORED_AT_LIMIT in row.reasons:
        beyond = math.isfinite(row.ci_low)
        limit = row.ci_low if beyond else row.ci_high
        panel.axvline(limit, color=RED, linewidth=1.2, linestyle=(0, (3, 2)))
        panel.plot(limit + (3 if beyond else -3), 0.5, ">" if beyond else "<", color=RED, markersize=6, clip_on=False)
        told = f"{'above' if beyond else 'below'} {number(limit)} mm"
    else:
        told = row.why
    panel.text(0.02, 0.97, told, transform=panel.transAxes, va="top", color=INK, fontsize=8.5)


def plot_localisation(visit: Visit) -> Drawing:
    """Draw every touch and where it was felt on the back, and the mean error of each side with its scatter."""
    tests = _tests(visit)
    drawn = {level: touches for level, touches in tests.touches.items() if touches.measured.sum() > 1}
    if not drawn:
        raise AbsentError(visit.absence(FAMILY))
    with line_style():
        figure = new_figure(height=3.6)
        back, errors = figure.subplots(1, 2, width_ratios=[1.55, 1])
        for (level, touches), colour in zip(drawn.items(), (BLUE, RED, INK), strict=False):
            _arrows(back, touches, colour)
            _errors(errors, touches, colour, name=_place(level) or "both sides")
        _back(back, np.concatenate([touches.actual for touches in drawn.values()]))
        _cross(errors)
        return Drawing(as_svg(figure))


def _arrows(panel: Axes, touches: Touches, colour: str) -> None:
    actual, perceived = touches.actual[touches.measured], touches.perceived[touches.measured]
    panel.plot(*actual.T, "o", color=colour, markersize=4)
    for start, end in zip(actual, perceived, strict=True):
        look = {"arrowstyle": "-|>", "color": colour, "alpha": 0.7, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        panel.annotate("", xy=(end[0], end[1]), xytext=(start[0], start[1]), arrowprops=look)


def _back(panel: Axes, touched: NDArray[np.float64]) -> None:
    """The outline of a back seen from behind around what was touched; the spine in the middle."""
    middle = float(np.nanmean(touched[:, 1]))
    wide, high = BACK_MM
    wide = max(wide, 1.25 * float(np.nanmax(np.abs(touched[:, 0]))))
    y = np.linspace(-high, high, 60)
    flank = wide * (
        0.92 + 0.08 * np.cos(np.pi * (y + 0.2 * high) / high) ** 2 - 0.06 * np.exp(-(((y - 0.1 * high) / 45) ** 2))
    )
    for side in (-1, 1):
        panel.plot(side * flank, y + middle, color=MUTED, linewidth=1.2)
    panel.plot([0, 0], [middle - high, middle + high], color=RULE, linewidth=1, linestyle=(0, (6, 4)))
    panel.text(-wide, middle - high, "left", ha="left", va="top", fontsize=8.5, color=MUTED)
    panel.text(wide, middle - high, "right", ha="right", va="top", fontsize=8.5, color=MUTED)
    panel.set(aspect="equal", xticks=[], yticks=[], title="touched (dot) and felt (arrow head), from behind")
    for spine in ("left", "bottom"):
        panel.spines[spine].set_visible(False)


def _errors(panel: Axes, touches: Touches, colour: str, *, name: str) -> None:
    """Errors of one side, their mean, and the ellipse in which 95 % of its touches are expected."""
    from matplotlib.patches import Ellipse

    error = (touches.perceived - touches.actual)[touches.measured]
    mean = error.mean(axis=0)
    panel.plot(*error.T, ".", color=colour, markersize=4, alpha=0.6)
    panel.plot(*mean, "+", color=colour, markersize=11, markeredgewidth=2, label=name)
    variance, axes = np.linalg.eigh(np.cov(error.T, ddof=1))
    lengths = 2 * ELLIPSE * np.sqrt(np.maximum(variance, 0))
    angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
    about: dict[str, Any] = {"angle": angle, "facecolor": "none", "edgecolor": colour, "linewidth": 1.1}
    panel.add_patch(Ellipse((mean[0], mean[1]), lengths[1], lengths[0], **about))
    panel.autoscale_view()


def _cross(panel: Axes) -> None:
    panel.axhline(0, color=RULE, linewidth=1)
    panel.axvline(0, color=RULE, linewidth=1)
    panel.set(aspect="equal", xlabel="to the right (mm)", ylabel="upwards (mm)", title="errors")
    panel.legend(loc="best", fontsize=8)


def plot_laterality(visit: Visit) -> Drawing:
    """Draw the times of right and wrong judgements, and the share of right ones with its interval."""
    tests = _tests(visit)
    found = tests.pictures
    if found is None or not found.correct.size:
        raise AbsentError(visit.absence(FAMILY))
    with line_style():
        figure = new_figure(height=2.4)
        times, share = figure.subplots(1, 2, width_ratios=[2.6, 1])
        edges = np.linspace(0, 1.05 * float(found.time_ms.max()), 25)
        both = [found.time_ms[found.correct], found.time_ms[~found.correct]]
        times.hist(both, bins=list(edges), stacked=True, color=[BLUE, ORANGE], label=["right", "wrong"])
        row = visit.row("lrj_rt")
        if row is not None and math.isfinite(row.value):
            times.axvspan(row.ci_low, row.ci_high, color=RULE, alpha=0.5, linewidth=0, zorder=0)
            times.axvline(row.value, color=RED, linewidth=1.4, label="median of right ones")
        times.set(xlabel="time (ms)", ylabel="judgements")
        times.legend(fontsize=8)
        _accuracy(share, visit.row("lrj_accuracy"))
        return Drawing(as_svg(figure))


def _accuracy(panel: Axes, row: Row | None) -> None:
    panel.axhline(CHANCE, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    panel.text(0.45, CHANCE + 0.01, "chance", color=MUTED, fontsize=8, va="bottom", ha="right")
    if row is not None and math.isfinite(row.value):
        ends = [[row.value - row.ci_low], [row.ci_high - row.value]]
        panel.errorbar([0], [row.value], yerr=ends, fmt="o", color=BLUE, capsize=4)
    panel.set(xlim=(-0.5, 0.5), ylim=(0.3, 1.03), xticks=[], ylabel="share of right answers")
