"""Figures of the excitability markers: thresholds with their fits, recruitment curves, paired pulses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import BLUE, GREEN, MUTED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import Row, level_words
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STATES = {"rest": ("rmt", BLUE, "at rest"), "active": ("amt", GREEN, "contracted")}
PROTOCOLS = {
    "sici": "short-interval inhibition",
    "icf": "facilitation",
    "lici": "long-interval inhibition",
    "sicf": "short-interval facilitation",
}
AMPLITUDE_TICKS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000)
RATIO_TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)


def logistic(x: np.ndarray[Any, Any], *, middle: float, width: float) -> np.ndarray[Any, Any]:
    """Return ``1 / (1 + exp(-(x - middle) / width))``."""
    return np.asarray(1 / (1 + np.exp(-(x - middle) / width)))


def plot_thresholds(visit: Visit) -> Drawing:
    """Draw how often and how strongly each muscle responded to each intensity, with the fits."""
    table = read_tsv(
        visit.file("excitability", desc="intensities", suffix="meps", ext=".tsv"), dtype={"hemisphere": str}
    )
    places = [(str(m), str(h)) for m, h in table[["muscle", "hemisphere"]].drop_duplicates().to_numpy()]
    if not places:
        raise AbsentError("no pulse of known intensity")
    with line_style():
        figure = new_figure(height=2.9 * len(places))
        grid = figure.subplots(len(places), 2, squeeze=False)
        for (left, right), (muscle, hemi) in zip(grid, places, strict=True):
            rows = table[(table["muscle"] == muscle) & (table["hemisphere"] == hemi)]
            _probabilities(left, rows, visit, level=(muscle, hemi))
            _curve(right, rows, visit, level=(muscle, hemi))
            left.set_title(level_words((muscle, hemi), ("muscle", "hemi")))
        return Drawing(as_svg(figure))


def _fact(visit: Visit, name: str, level: Sequence[str], **wanted: str) -> Mapping[str, Any] | None:
    """An entry of the sidecar for a muscle and hemisphere."""
    entries = visit.sidecars.get("excitability", {}).get(name, [])
    keys = {"Muscle": level[0], "Hemisphere": level[1], **wanted}
    return next((entry for entry in entries if all(entry.get(key) == value for key, value in keys.items())), None)


def _probabilities(panel: Axes, rows: pd.DataFrame, visit: Visit, *, level: tuple[str, str]) -> None:
    """Share of responses per intensity, the fitted logistic, and the threshold with its interval."""
    settings = visit.config["excitability"]
    limits = {"rest": settings["response_uv"], "active": settings["response_active_uv"]}
    for state, (marker, colour, word) in STATES.items():
        kept = rows[(rows["measure"] == state) & (rows["kept"] == 1)]
        if kept.empty:
            continue
        shares = (kept["p2p_uv"] >= limits[state]).groupby(kept["intensity_mso"]).agg(["mean", "size"])
        sizes = 12 + 3 * shares["size"]
        panel.scatter(shares.index, shares["mean"], s=sizes, color=colour, alpha=0.7, linewidth=0, label=word)
        _fit(panel, visit.row(marker, *level), _fact(visit, "Logistic", level, State=state), colour=colour)
    panel.axhline(0.5, color=RULE, linewidth=0.8)
    panel.set(xlabel="stimulator output (%)", ylabel="share with a response", ylim=(-0.06, 1.06))
    panel.legend(loc="lower right")


def _fit(panel: Axes, row: Row | None, fact: Mapping[str, Any] | None, *, colour: str) -> None:
    if row is None or math.isnan(row.value) or fact is None or fact["Width"] is None:
        return
    x = np.linspace(*panel.get_xlim(), 200)
    panel.plot(x, logistic(x, middle=row.value, width=fact["Width"]), color=colour)
    panel.plot([row.ci_low, row.ci_high], [0.5, 0.5], color=colour, linewidth=4, alpha=0.5, solid_capstyle="butt")
    panel.plot(row.value, 0.5, "o", color=colour, markersize=5)


def _curve(panel: Axes, rows: pd.DataFrame, visit: Visit, *, level: tuple[str, str]) -> None:
    """Single responses by intensity and the recruitment curve, on a log scale."""
    chosen = rows[rows["measure"] == "curve"]
    panel.set(xlabel="stimulator output (%)", ylabel="response (µV)", title="recruitment curve")
    if chosen.empty:
        panel.text(0.5, 0.5, "not recorded", transform=panel.transAxes, ha="center", color=MUTED)
        return
    kept = chosen[chosen["kept"] == 1]
    panel.plot(kept["intensity_mso"], kept["p2p_uv"] + 1, ".", color=BLUE, alpha=0.35, markeredgewidth=0)
    _microvolts(panel, kept["p2p_uv"])
    fact, s50 = _fact(visit, "Curves", level), visit.row("curve_s50", *level)
    if fact is None or s50 is None or fact["s50"] is None:
        return
    x = np.linspace(kept["intensity_mso"].min(), kept["intensity_mso"].max(), 200)
    height = 1 + (fact["floor"] or 0) + fact["plateau"] * logistic(x, middle=fact["s50"], width=fact["width"])
    panel.plot(x, height, color=BLUE, linestyle="-" if math.isfinite(s50.value) else (0, (2, 2)))
    if math.isfinite(s50.value):
        panel.axvline(s50.value, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        panel.axvspan(s50.ci_low, s50.ci_high, color=BLUE, alpha=0.1, linewidth=0)


def _microvolts(panel: Axes, values: pd.Series[float]) -> None:
    """A log scale with round ticks around ``values``."""
    from matplotlib.ticker import NullLocator

    panel.set_yscale("log")
    low, high = max(1.0, float(values.min()) / 2), 2 * float(values.max())
    ticks = [tick for tick in AMPLITUDE_TICKS if low <= tick <= high]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.yaxis.set_minor_locator(NullLocator())


def plot_paired_pulses(visit: Visit) -> Drawing:
    """Draw the ratio of conditioned to unconditioned responses of each protocol with its interval."""
    from matplotlib.ticker import NullLocator

    rows = [row for row in visit.family("excitability") if row.marker.name in PROTOCOLS and math.isfinite(row.value)]
    if not rows:
        raise AbsentError(_why_no_pairs(visit))
    with line_style():
        figure = new_figure(height=1.1 + 0.42 * len(rows))
        panel = figure.subplots()
        panel.axvline(1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        for place, row in enumerate(reversed(rows)):
            panel.plot([row.ci_low, row.ci_high], [place, place], color=BLUE, linewidth=3, alpha=0.5)
            panel.plot(row.value, place, "o", color=BLUE, markersize=6)
        panel.set_xscale("log")
        low, high = min(row.ci_low for row in rows) / 1.3, max(1.2, max(row.ci_high for row in rows)) * 1.3
        ticks = [tick for tick in RATIO_TICKS if low <= tick <= high]
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        names = [
            f"{PROTOCOLS[row.marker.name]}, {level_words(row.level, ('muscle', 'hemi'))}" for row in reversed(rows)
        ]
        panel.set_yticks(range(len(rows)), names)
        panel.set(xlim=(low, high), ylim=(-0.6, len(rows) - 0.4), xlabel="conditioned / test response (ratio)")
        return Drawing(as_svg(figure))


def _why_no_pairs(visit: Visit) -> str:
    pairs = [row for row in visit.family("excitability") if row.marker.name in PROTOCOLS]
    reasons = {row.reasons for row in pairs}
    return (
        visit.absence("excitability")
        if not pairs
        else ("no pair of pulses was given" if len(reasons) == 1 else "no protocol has a value")
    )
