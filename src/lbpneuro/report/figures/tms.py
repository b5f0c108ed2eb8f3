"""Figures of the motor-map markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import MUTED, RULE, SERIES, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import Row, level_words
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NORMAL_95 = 1.959964
SHOWN_MS = (-25.0, 85.0)
MAP_COLOURS = "cividis"


def plot_muscle_maps(visit: Visit) -> Drawing:
    """Draw the site maps of the muscles side by side, and where they overlap."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    sites = read_tsv(visit.file("tms", desc="sitemap", suffix="meps", ext=".tsv"), dtype={"hemisphere": str})
    tau = float(visit.config["tms"]["tau"])
    hemispheres = sorted(sites["hemisphere"].fillna("n/a").unique())
    with line_style():
        figure = new_figure(height=2.7 * len(hemispheres))
        grid = figure.subplots(len(hemispheres), 3, squeeze=False)
        for panels, hemi in zip(grid, hemispheres, strict=True):
            _hemisphere(panels, sites[sites["hemisphere"].fillna("n/a") == hemi], visit=visit, hemi=hemi, tau=tau)
        scale = ScalarMappable(Normalize(0, 1), cmap=MAP_COLOURS)
        figure.colorbar(scale, ax=grid.ravel().tolist(), label="share of the largest site", fraction=0.02, pad=0.02)
        return Drawing(as_svg(figure))


def _hemisphere(panels: Any, sites: pd.DataFrame, *, visit: Visit, hemi: str, tau: float) -> None:
    muscles = [name for name in visit.config["tms"]["muscles"] if name in set(sites["muscle"])]
    if not muscles:
        raise AbsentError("no map of the configured muscles")
    maps = {name: sites[sites["muscle"] == name].set_index(["x_mm", "y_mm"])["share"] for name in muscles}
    for panel, (name, share) in zip(panels, maps.items(), strict=False):
        _map(panel, share, tau=tau)
        _mark_centre(panel, x=visit.row("cog_x", name, hemi), y=visit.row("cog_y", name, hemi))
        panel.set_title(level_words((name,)))
    both = _overlap(maps, tau) if len(maps) == 2 else None
    if both is not None:
        _map(panels[2], both / max(both.max(), 1e-12), tau=np.inf)
        panels[2].set_title(_overlap_title(visit.row("overlap_min", hemi)))
    panels[0].set_ylabel(f"{level_words((hemi,), ('muscle', 'hemi'))}\nfront (mm)")


def _overlap(maps: dict[str, pd.Series], tau: float) -> pd.Series:
    """The smaller of the two maps at each site, each with sum 1 over its active sites."""
    active = [share.where(share >= tau, 0.0) for share in maps.values()]
    first, second = (share / max(share.sum(), 1e-12) for share in active)
    return first.combine(second, min, fill_value=0.0)


def _overlap_title(row: Row | None) -> str:
    return "overlap" if row is None or row.value != row.value else f"overlap {row.shown}"


def _map(panel: Axes, share: pd.Series, *, tau: float) -> None:
    """Squares coloured by response; a ring marks sites of at least ``tau`` of the maximum."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    places = np.array(share.index.to_list(), dtype=float)
    size = _spacing(places)
    squares = [Rectangle((x - size / 2, y - size / 2), size, size) for x, y in places]
    panel.add_collection(
        PatchCollection(squares, array=share.to_numpy(), cmap=MAP_COLOURS, clim=(0, 1), edgecolor="none")
    )
    active = places[share.to_numpy() >= tau]
    panel.plot(active[:, 0], active[:, 1], "o", fillstyle="none", color="white", markersize=4, markeredgewidth=0.8)
    panel.set(aspect="equal", xlabel="right (mm)")
    panel.set_xlim(places[:, 0].min() - size, places[:, 0].max() + size)
    panel.set_ylim(places[:, 1].min() - size, places[:, 1].max() + size)


def _spacing(places: np.ndarray) -> float:
    """Median distance of a site to its nearest neighbour (mm); 10 for a single site."""
    from scipy.spatial import KDTree

    if len(places) < 2:
        return 10.0
    return float(np.median(KDTree(places).query(places, k=2)[0][:, 1]))


def _mark_centre(panel: Axes, *, x: Row | None, y: Row | None) -> None:
    """A cross at the centre of gravity and an ellipse for its interval."""
    from matplotlib.patches import Ellipse

    if x is None or y is None or np.isnan([x.value, y.value]).any():
        return
    panel.plot(x.value, y.value, "+", color=SERIES[1], markersize=11, markeredgewidth=2)
    widths = [2 * NORMAL_95 * row.se for row in (x, y)]
    if np.isfinite(widths).all():
        panel.add_patch(Ellipse((x.value, y.value), *widths, fill=False, edgecolor=SERIES[1], linewidth=1.4))


def plot_mep_waveforms(visit: Visit) -> Drawing:
    """Draw the average response of each muscle of the mapping run."""
    return waveforms(visit, "tms", by="muscle")


def waveforms(visit: Visit, family: str, *, by: str) -> Drawing:
    """Draw the average waveforms of a run: a panel per stimulated hemisphere, a line per entry of the column ``by``."""
    table = read_tsv(visit.file(family, desc="average", suffix="emg", ext=".tsv"), dtype={"hemisphere": str})
    sides = table["hemisphere"].fillna("n/a")
    hemispheres = sorted(sides.unique())
    with line_style():
        figure = new_figure(height=2.7)
        panels = figure.subplots(1, len(hemispheres), squeeze=False, sharey=True)[0]
        for panel, hemi in zip(panels, hemispheres, strict=True):
            _waves(panel, table[sides == hemi], by=by, blanked=visit.config["mep"]["artifact_window_ms"])
            if len(hemispheres) > 1:
                panel.set_title(level_words((hemi,), ("hemi",)) or "hemisphere not stated")
        panels[0].set_ylabel("EMG (µV)")
        panels[-1].legend(loc="upper right")
        return Drawing(as_svg(figure))


def _waves(panel: Axes, table: pd.DataFrame, *, by: str, blanked: Sequence[float]) -> None:
    """Lines with a band of one standard error; the time of the pulse is shaded."""
    panel.axvspan(*blanked, color=RULE, alpha=0.6, linewidth=0)
    panel.axhline(0, color=RULE, linewidth=0.8)
    for colour, (label, wave) in zip(SERIES, table.groupby(by, sort=False), strict=False):
        panel.plot(wave["time_ms"], wave["mean_uv"], color=colour, label=level_words((str(label),)))
        low, high = wave["mean_uv"] - wave["sem_uv"], wave["mean_uv"] + wave["sem_uv"]
        panel.fill_between(wave["time_ms"], low, high, color=colour, alpha=0.2, linewidth=0)
    panel.set(xlabel="time after the pulse (ms)", xlim=SHOWN_MS)
    panel.text(
        float(np.mean(blanked)),
        0.98,
        "pulse",
        transform=panel.get_xaxis_transform(),
        ha="center",
        va="top",
        color=MUTED,
    )
