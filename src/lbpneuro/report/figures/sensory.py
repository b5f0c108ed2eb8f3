"""Figures of the sensory tests: thresholds on the body, trains of ratings, conditioned pain modulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import BLUE, INK, MUTED, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import level_words
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import SubFigure

OUTLINE = (
    *(
        (1.8, 87),
        (2.4, 84),
        (6.5, 82.5),
        (11, 80.5),
        (13.6, 76),
        (15, 67),
        (17.2, 58),
        (19.6, 46),
        (21.6, 40),
        (21.2, 36),
    ),
    *((19.6, 35.2), (18.4, 38.5), (17.2, 45.5), (14.4, 57), (12.2, 65), (10.6, 72.5), (9.4, 64), (8.8, 59), (10.2, 52)),
    *((10.8, 46), (9.8, 34), (8, 26), (8.2, 19), (6.2, 6), (7.8, 1.6), (7.2, 0.4), (2.6, 0.6), (2.8, 6), (2.9, 18)),
    *((2.6, 26), (2.2, 36), (0.6, 45)),
)
"""Half of a standing person of height 100, seen from the front; the other half is its mirror image."""
PLACES: dict[str, tuple[str, float, float]] = {
    "lumbar": ("back", 3.2, 57),
    "paraspinal": ("back", 3.2, 57),
    "scapula": ("back", 6, 74),
    "trapezius": ("back", 7.5, 81),
    "gluteus": ("back", 5.5, 47),
    "calf": ("back", 5.6, 18),
    "forearm": ("front", 17.0, 52),
    "elbow": ("front", 15.6, 59),
    "hand": ("front", 20.4, 42),
    "thumbnail": ("front", 18.6, 38),
    "thigh": ("front", 6, 37),
    "knee": ("front", 5.2, 27),
    "tibialis": ("front", 5.8, 19),
    "foot": ("front", 5, 2.5),
    "face": ("front", 2.2, 92),
}
"""Where a site is drawn: which view, how far from the midline, how high."""
GAP = 58.0
"""From the midline of the front view to that of the back view."""
Z_LIMIT = 3.0
COLD_RANGE = (-6.0, 33.0)
USUAL_KPA = (100.0, 1000.0)
"""Ends of the scale of pressures, so that sessions and people can be compared; it widens for values beyond."""
ROUND_KPA = (10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 1500.0, 2000.0)


class Look(NamedTuple):
    """The colours of the sites and what they mean."""

    colours: ScalarMappable
    values: dict[tuple[str, str], float]
    label: str
    ticks: list[float]


def plot_body_map(visit: Visit) -> Drawing:
    """Draw the pressure pain thresholds on the body, and all thresholds with their intervals beside it."""
    table = read_tsv(visit.file("sensory", desc="sites", suffix="thresholds"), dtype={"site": str, "side": str})
    table["side"] = table["side"].fillna("n/a")
    pressure, cold = (table[table["test"] == test] for test in ("ppt", "cpt"))
    with line_style():
        figure = new_figure(height=4.4)
        grid = figure.add_gridspec(1, 2, width_ratios=(1.15, 1))
        left, right = (figure.add_subfigure(grid[0, column]) for column in (0, 1))
        note = _body(left, pressure, visit) if len(pressure) else ""
        kinds = [(rows, unit) for rows, unit in ((pressure, "kPa"), (cold, "°C")) if len(rows)]
        panels = right.subplots(len(kinds), 1, squeeze=False, height_ratios=[len(rows) + 1 for rows, _ in kinds])
        for panel, (rows, unit) in zip(panels[:, 0], kinds, strict=True):
            _intervals(panel, rows, unit=unit)
        return Drawing(as_svg(figure), note=note)


def _places(rows: pd.DataFrame) -> list[Any]:
    return list(rows.itertuples())


def _body(figure: SubFigure, pressure: pd.DataFrame, visit: Visit) -> str:
    """Draw front and back with the sites; return what could not be placed."""
    panel = figure.subplots()
    panel.set(xlim=(-26, GAP + 26), ylim=(-9, 104), aspect="equal")
    panel.axis("off")
    for middle, title, sides in ((0.0, "front", ("R", "L")), (GAP, "back", ("L", "R"))):
        _person(panel, middle)
        panel.text(middle, 102, title, ha="center", color=MUTED)
        for x, side in zip((middle - 23, middle + 23), sides, strict=True):
            panel.text(x, 70, side, ha="center", color=MUTED, fontsize=8)
    look = _look(pressure, visit)
    for row in _places(pressure[pressure["site"].isin(list(PLACES))]):
        _spot(panel, row, look)
    bar = figure.colorbar(look.colours, ax=panel, orientation="horizontal", shrink=0.7, aspect=30, pad=0.01)
    bar.set_label(look.label)
    if look.ticks:
        bar.set_ticks(look.ticks, labels=[f"{tick:g}" for tick in look.ticks])
    bar.ax.minorticks_off()
    elsewhere = sorted(set(pressure["site"]) - set(PLACES))
    return f"Not on the drawing: {', '.join(elsewhere)}." if elsewhere else ""


def _person(panel: Axes, middle: float) -> None:
    from matplotlib.patches import Ellipse, Polygon

    half = np.array(OUTLINE)
    whole = np.vstack([half, half[::-1] * [-1, 1]]) + np.array([middle, 0])
    style: Any = {"facecolor": RULE, "edgecolor": MUTED, "alpha": 0.35, "linewidth": 0.8}
    panel.add_patch(Polygon(whole, **style))
    panel.add_patch(Ellipse((middle, 92.5), 10, 13, **style))


def _look(pressure: pd.DataFrame, visit: Visit) -> Look:
    """Colour by z-score where there is a norm, else by the logarithm of the threshold."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    places = list(zip(pressure["site"], pressure["side"], strict=True))
    rows = {site: visit.row("qst_z", "ppt", site) for site in pressure["site"]}
    scores = {site: row.value for site, row in rows.items() if row is not None and math.isfinite(row.value)}
    if scores:
        values = {place: scores.get(place[0], math.nan) for place in places}
        colours = ScalarMappable(Normalize(-Z_LIMIT, Z_LIMIT), mpl.colormaps["RdBu_r"])
        return Look(colours, values, "z-score: loss < 0 < gain (more sensitive)", [-3, -2, -1, 0, 1, 2, 3])
    kpa = pressure["value"].to_numpy(dtype=float)
    low, high = _ends(kpa)
    colours = ScalarMappable(LogNorm(low, high), mpl.colormaps["viridis"])
    return Look(colours, dict(zip(places, kpa, strict=True)), "pressure pain threshold (kPa)", _round(low, high))


def _ends(kpa: np.ndarray) -> tuple[float, float]:
    """Return the ends of the scale of pressures (kPa)."""
    return min(USUAL_KPA[0], float(kpa.min()) / 1.1), max(USUAL_KPA[1], float(kpa.max()) * 1.1)


def _round(low: float, high: float) -> list[float]:
    """Round pressures (kPa) between two."""
    return [tick for tick in ROUND_KPA if low <= tick <= high]


def _spot(panel: Axes, row: Any, look: Look) -> None:
    """A site: a disc of its colour; a triangle in the direction of the true value where that lies beyond a limit."""
    view, across, height = PLACES[row.site]
    sign = {"L": 1.0, "R": -1.0}.get(row.side, 0.0) * (1 if view == "front" else -1)
    x = sign * across + (GAP if view == "back" else 0)
    value = look.values[row.site, row.side]
    colour = look.colours.to_rgba(np.array([value]))[0] if math.isfinite(value) and row.bound == "none" else "none"
    marker = {"lower": "^", "upper": "v"}.get(row.bound, "o")
    panel.plot(x, height, marker, markersize=8, markerfacecolor=colour, markeredgecolor=INK, markeredgewidth=0.8)
    aside = {1.0: "left", -1.0: "right"}.get(sign, "center")
    prefix = {"lower": ">", "upper": "<"}.get(row.bound, "")
    shift = 2.4 * sign if sign else 0
    lift = 0 if sign else 3.2
    panel.text(x + shift, height + lift, f"{prefix}{row.value:.0f}", ha=aside, va="center", fontsize=7.5)


def _intervals(panel: Axes, rows: pd.DataFrame, *, unit: str) -> None:
    """Thresholds with intervals; one beyond a limit as an arrow from the limit."""
    names = [level_words((row.site, row.side), ("roi", "hemi")) for row in _places(rows)]
    for place, row in enumerate(_places(rows)):
        if row.bound == "none":
            below, above = max(row.value - row.ci_low, 0), max(row.ci_high - row.value, 0)
            error = [[below], [above]] if math.isfinite(below) else None
            panel.errorbar([row.value], [place], xerr=error, color=BLUE, marker="o", markersize=4.5, capsize=2)
            continue
        _arrow(panel, row.value, place, up=row.bound == "lower", unknown=row.bound == "unknown")
    panel.set_yticks(range(len(names)), names)
    panel.set(ylim=(len(names) - 0.4, -0.6), xlabel=f"threshold ({unit})")
    if unit == "kPa":
        _log_axis(panel, rows["value"].to_numpy(dtype=float))
    else:
        panel.set_xlim(COLD_RANGE)


def _log_axis(panel: Axes, values: np.ndarray) -> None:
    """A logarithmic axis with round numbers that are written out."""
    from matplotlib.ticker import NullLocator

    panel.set_xscale("log")
    low, high = _ends(values)
    ticks = _round(low, high)
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(low, high)


def _arrow(panel: Axes, value: float, place: int, *, up: bool, unknown: bool) -> None:
    """The true value lies on the side of the arrow; a cross where not even that is known."""
    if unknown:
        panel.plot([value], [place], marker="x", color=RED)
        return
    panel.plot([value], [place], marker="|", markersize=11, color=RED)
    arrow = {"arrowstyle": "<-", "color": RED, "linewidth": 1.4}
    panel.annotate("", (value, place), xytext=(34 if up else -34, 0), textcoords="offset points", arrowprops=arrow)


# ------------------------------------------------------------------------------------------------- trains of ratings


def plot_rating_trains(visit: Visit) -> Drawing:
    """Draw the ratings of every train with the mean slope, one panel per modality."""
    table = read_tsv(visit.file("sensory", desc="trains", suffix="ratings"), dtype={"modality": str})
    groups = [(name, rows) for name, rows in table.groupby("modality") if (rows["stimulus"] >= 1).any()]
    if not groups:
        raise AbsentError("only whole trains were rated")
    with line_style():
        figure = new_figure(height=2.8)
        panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
        for panel, (name, rows) in zip(panels, groups, strict=True):
            _trains(panel, rows, visit, str(name))
        panels[0].set_ylabel("rating (0-100)")
        return Drawing(as_svg(figure))


def _trains(panel: Axes, rows: pd.DataFrame, visit: Visit, modality: str) -> None:
    for _, train in rows.groupby("train"):
        stimuli = train[train["stimulus"] >= 1].sort_values("stimulus")
        panel.plot(stimuli["stimulus"], stimuli["rating"], color=MUTED, marker="o", markersize=2.5, linewidth=0.8)
    single = rows.loc[rows["stimulus"] == 0, "rating"]
    panel.plot([0] * len(single), single, "o", markerfacecolor="none", markeredgecolor=MUTED, markersize=4)
    means = rows[rows["stimulus"] >= 1].groupby("stimulus")["rating"].mean()
    slope = visit.row("tsp_slope", modality)
    if slope is not None and math.isfinite(slope.value):
        numbers = means.index.to_numpy(dtype=float)
        fitted = means.mean() + slope.value * (numbers - numbers.mean())
        panel.plot(numbers, fitted, color=BLUE, linewidth=2)
    difference = visit.row("tsp_diff", modality)
    told = f"last - first {difference.shown}" if difference is not None and math.isfinite(difference.value) else ""
    panel.set_title(f"{level_words((modality,), ('modality',))}: {told}" if told else modality)
    last = int(means.index.max())
    panel.set_xticks([0, *range(1, last + 1)], ["single", *(str(i) for i in range(1, last + 1))])
    panel.set(xlabel="stimulus of the train", ylim=(-3, 103), xlim=(-0.7, last + 0.5))


# ------------------------------------------------------------------------------------------ conditioned pain modulation


def plot_conditioning(visit: Visit) -> Drawing:
    """Draw the test stimulus before, during and after the conditioning stimulus, one panel per test stimulus."""
    table = read_tsv(visit.file("sensory", desc="conditioning", suffix="stimuli"))
    groups = list(table.groupby("test_stimulus"))
    with line_style():
        figure = new_figure(height=2.9)
        panels = figure.subplots(1, len(groups), squeeze=False)[0]
        for panel, (name, rows) in zip(panels, groups, strict=True):
            _modulation(panel, rows, visit, str(name))
        return Drawing(as_svg(figure))


BLOCKS = {"before": "before", "parallel": "during", "sequential": "after"}


def _modulation(panel: Axes, rows: pd.DataFrame, visit: Visit, stimulus: str) -> None:
    moments = rows["timing"].where(rows["block"] == "conditioned", "before")
    courses = rows.assign(moment=moments).pivot_table(index="repeat", columns="moment", values="value")
    shown = [moment for moment in BLOCKS if moment in courses]
    limited = rows.assign(moment=moments).pivot_table(index="repeat", columns="moment", values="limited", aggfunc="max")
    at_limit = limited[shown].to_numpy() == 1
    for place, (_, course) in enumerate(courses[shown].iterrows()):
        panel.plot(range(len(shown)), course, color=MUTED, marker="o", markersize=3, linewidth=0.8)
        beyond = np.flatnonzero(at_limit[place])
        panel.plot(beyond, course.iloc[beyond], "o", markersize=7, markerfacecolor="none", markeredgecolor=RED)
    panel.plot(range(len(shown)), courses[shown].mean(), color=BLUE, marker="o", markersize=6, linewidth=2)
    for place, timing in enumerate(shown):
        found = visit.row("cpm_inhibition", stimulus, timing)
        if found is not None and math.isfinite(found.value):
            _change(panel, place, courses[timing].mean(), f"{found.value:+.0f}")
    unit = {"ppt": "kPa", "nfr_threshold": "mA"}.get(stimulus, "rating 0-100")
    panel.set_xticks(range(len(shown)), [BLOCKS[moment] for moment in shown])
    panel.set_title(level_words((stimulus,), ("test_stimulus",)))
    panel.set(ylabel=unit, xlim=(-0.4, len(shown) - 0.5))
    panel.margins(y=0.2)


def _change(panel: Axes, place: int, height: float, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    panel.annotate(text, (place, height), xytext=(7, 7), textcoords="offset points", color=BLUE, fontsize=8.5, bbox=box)
