"""Figures of the motor-map markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import BLUE, MUTED, RULE, SERIES, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import Row, level_words
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CHI_SQUARE_95 = 5.991465
"""The 95 % quantile of chi-square with two degrees of freedom: the squared radius of an ellipse that holds 95 %."""
SHOWN_MS = (-25.0, 85.0)
MOSAIC_MS = (-5.0, 60.0)
MAP_COLOURS = "cividis"


def plot_muscle_maps(visit: Visit) -> Drawing:
    """Draw the maps of the muscles side by side with centre and peaks, and where they overlap."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    sites = _sites(visit)
    hemispheres = sorted(sites["hemisphere"].unique())
    with line_style():
        figure = new_figure(height=2.7 * len(hemispheres))
        grid = figure.subplots(len(hemispheres), 3, squeeze=False)
        for panels, hemi in zip(grid, hemispheres, strict=True):
            _hemisphere(panels, sites[sites["hemisphere"] == hemi], visit=visit, hemi=hemi)
        scale = ScalarMappable(Normalize(0, 1), cmap=MAP_COLOURS)
        figure.colorbar(scale, ax=grid.ravel().tolist(), label="share of the largest response", fraction=0.02, pad=0.02)
        return Drawing(as_svg(figure))


def _sites(visit: Visit) -> pd.DataFrame:
    table = read_tsv(visit.file("tms", desc="sitemap", suffix="meps", ext=".tsv"), dtype={"hemisphere": str})
    return table.assign(hemisphere=table["hemisphere"].fillna("n/a"))


def _surfaces(visit: Visit, hemi: str) -> pd.DataFrame | None:
    """The surfaces of a map without a grid; None of a grid."""
    if visit.sidecars.get("tms", {}).get("Layout", {}).get(hemi) != "walk":
        return None
    table = read_tsv(visit.file("tms", desc="surface", suffix="meps", ext=".tsv"), dtype={"hemisphere": str})
    return table[table["hemisphere"].fillna("n/a") == hemi]


def _hemisphere(panels: Any, sites: pd.DataFrame, *, visit: Visit, hemi: str) -> None:
    muscles = [name for name in visit.config["tms"]["muscles"] if name in set(sites["muscle"])]
    if not muscles:
        raise AbsentError("no map of the configured muscles")
    tau, surfaces = float(visit.config["tms"]["tau"]), _surfaces(visit, hemi)
    shown = sites.rename(columns={"share": "shown"}) if surfaces is None else _shares(surfaces)
    maps = {name: shown[shown["muscle"] == name].set_index(["x_mm", "y_mm"])["shown"] for name in muscles}
    centres = visit.sidecars.get("tms", {}).get("CentreOfGravity_mm", {}).get(hemi, {})
    for panel, (name, share) in zip(panels, maps.items(), strict=False):
        own = sites[sites["muscle"] == name]
        _map(panel, share, tau=tau)
        if surfaces is None:
            _mark_peaks(panel, own)
        else:
            panel.plot(own["x_mm"], own["y_mm"], ".", color="white", markersize=2)
        if name in centres:
            _mark_centre(panel, centres[name]["Centre"], centres[name]["Covariance"])
        panel.set_title(level_words((name,)))
    both = _overlap(maps, tau) if len(maps) == 2 else None
    if both is not None:
        _map(panels[2], both / max(both.max(), 1e-12), tau=np.inf)
        panels[2].set_title(_overlap_title(visit.row("overlap_min", hemi)))
    for panel in panels[len(maps) if both is None else len(panels) :]:
        panel.set_axis_off()
    panels[0].set_ylabel(f"{level_words((hemi,), ('muscle', 'hemi'))}\nfront (mm)")


def _shares(surfaces: pd.DataFrame) -> pd.DataFrame:
    largest = surfaces.groupby("muscle")["mean_uv"].transform("max")
    return surfaces.assign(shown=(surfaces["mean_uv"] / largest).clip(lower=0))


def _overlap(maps: dict[str, pd.Series], tau: float) -> pd.Series:
    """The smaller of the two maps at each site, each with sum 1 over its active sites."""
    active = [share.where(share >= tau, 0.0) for share in maps.values()]
    first, second = (share / max(share.sum(), 1e-12) for share in active)
    return first.combine(second, min, fill_value=0.0)


def _overlap_title(row: Row | None) -> str:
    return "overlap" if row is None or row.value != row.value else f"overlap {row.shown}"


def _map(panel: Axes, share: pd.Series, *, tau: float) -> None:
    """An image of the responses; on a grid, a ring marks sites of at least ``tau`` of the maximum."""
    places = np.array(share.index.to_list(), dtype=float)
    size = _spacing(places)
    table = share.groupby(level=["x_mm", "y_mm"]).mean().unstack("x_mm")
    left, right = places[:, 0].min() - size / 2, places[:, 0].max() + size / 2
    low, high = places[:, 1].min() - size / 2, places[:, 1].max() + size / 2
    if len(places) <= table.size < 2 * len(places):
        extent = (left, right, low, high)
        panel.imshow(table, origin="lower", extent=extent, cmap=MAP_COLOURS, vmin=0, vmax=1, interpolation="nearest")
    else:
        panel.scatter(places[:, 0], places[:, 1], c=share, cmap=MAP_COLOURS, vmin=0, vmax=1, marker="s", s=60)
    if len(places) < MANY_POINTS:
        active = places[share.to_numpy() >= tau]
        panel.plot(active[:, 0], active[:, 1], "o", fillstyle="none", color="white", markersize=4, markeredgewidth=0.8)
    panel.set(aspect="equal", xlabel="right (mm)", xlim=(left - size / 2, right + size / 2))
    panel.set_ylim(low - size / 2, high + size / 2)


MANY_POINTS = 300
"""More points than this are a lattice, whose active points are not marked one by one."""


def _spacing(places: np.ndarray) -> float:
    """Median distance of a site to its nearest neighbour (mm); 10 for a single site."""
    from scipy.spatial import KDTree

    if len(places) < 2:
        return 10.0
    return float(np.median(KDTree(places).query(places, k=2)[0][:, 1]))


def _mark_peaks(panel: Axes, sites: pd.DataFrame) -> None:
    """A triangle at every strict peak, with the share of resamples that found it again; a dot at the published ones."""
    from matplotlib.patheffects import withStroke

    published = sites[(sites["published_peak"] == 1) & (sites["strict_peak"] != 1)]
    panel.plot(published["x_mm"], published["y_mm"], "^", fillstyle="none", color="white", markersize=7)
    outline = [withStroke(linewidth=2, foreground="white")]
    for _, peak in sites[sites["strict_peak"] == 1].iterrows():
        place = (peak["x_mm"], peak["y_mm"])
        panel.plot(*place, "^", color="white", markeredgecolor="black", markersize=7)
        label = panel.annotate(
            f"{100 * peak['support']:.0f} %",
            place,
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )
        label.set(color="black", path_effects=outline)


def _mark_centre(panel: Axes, centre: Sequence[float], covariance: Sequence[Sequence[float]]) -> None:
    """A cross at the centre of gravity and the ellipse that holds 95 % of the errors of the bootstrap."""
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(np.array(covariance))
    width, height = 2 * np.sqrt(CHI_SQUARE_95 * np.maximum(values, 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    panel.plot(*centre, "+", color=SERIES[1], markersize=11, markeredgewidth=2)
    panel.add_patch(
        Ellipse((centre[0], centre[1]), width, height, angle=angle, fill=False, edgecolor=SERIES[1], linewidth=1.4)
    )


SMUDGING: tuple[tuple[str, str], ...] = (
    ("overlap_min", "overlap"),
    ("cog_distance", "distance (mm)"),
    ("n_peaks_strict", "strict peaks"),
    ("map_spread", "spread (mm)"),
)


def plot_smudging(visit: Visit) -> Drawing:
    """Draw what smudging would change, side by side: overlap with that of shuffled sites, distance, peaks, spread."""
    hemispheres = visit.config["tms"]["hemispheres"]
    rows = {name: _known(visit, name) for name, _ in SMUDGING}
    if not any(rows.values()):
        raise AbsentError(visit.absence("tms"))
    with line_style():
        figure = new_figure(height=1.1 + 0.55 * len(hemispheres))
        for panel, (name, label) in zip(figure.subplots(1, len(SMUDGING)), SMUDGING, strict=True):
            _intervals(panel, rows[name], label=label)
            if name == "overlap_min":
                _chance(panel, _known(visit, "overlap_chance"), places=[row.level for row in rows[name]])
        return Drawing(as_svg(figure))


def _known(visit: Visit, name: str) -> list[Row]:
    return [row for row in visit.family("tms") if row.marker.name == name and np.isfinite(row.value)]


def _intervals(panel: Axes, rows: Sequence[Row], *, label: str) -> None:
    """A dot and an interval per row, from above; without rows it is said that there is no value."""
    panel.set(title=label)
    panel.spines["left"].set_visible(False)
    if not rows:
        panel.text(0.5, 0.5, "no value", transform=panel.transAxes, ha="center", color=MUTED)
        panel.set(xticks=[], yticks=[])
        return
    for place, row in enumerate(rows):
        panel.plot([row.ci_low, row.ci_high], [place, place], color=BLUE)
        panel.plot(row.value, place, "o", color=BLUE, markersize=5)
    words = [row.where.replace(" hemisphere", "").replace(", ", "\n") for row in rows]
    panel.set_yticks(range(len(rows)), words)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    low = min(0.0, *(row.ci_low for row in rows if np.isfinite(row.ci_low)), *(row.value for row in rows))
    high = 1.0 if label == "overlap" else None
    panel.set_xlim(low, high)


def _chance(panel: Axes, rows: Sequence[Row], *, places: Sequence[tuple[str, ...]]) -> None:
    """A gray bar: the overlaps of shuffled sites."""
    for row in rows:
        if row.level in places:
            panel.barh(
                places.index(row.level), row.ci_high - row.ci_low, left=row.ci_low, height=0.5, color=RULE, zorder=0
            )


def plot_site_responses(visit: Visit) -> Drawing:
    """Draw the average response at every site of the grid, at its place; a colour per muscle."""
    import pandas as pd

    waves = pd.read_parquet(visit.file("tms", desc="sites", suffix="emg", ext=".parquet"))
    sites = _sites(visit).assign(site_id=lambda table: table["site_id"].astype(str))
    hemispheres = sorted(sites["hemisphere"].unique())
    with line_style():
        figure = new_figure(height=5.2)
        for panel, hemi in zip(figure.subplots(1, len(hemispheres), squeeze=False)[0], hemispheres, strict=True):
            _mosaic(panel, waves, sites[sites["hemisphere"] == hemi], hemi=hemi)
        return Drawing(as_svg(figure))


def _mosaic(panel: Axes, waves: pd.DataFrame, sites: pd.DataFrame, *, hemi: str) -> None:
    """Traces lie in the cell of their site, one muscle above the other, each drawn to its own largest response."""
    places = sites.drop_duplicates("site_id")[["x_mm", "y_mm"]].to_numpy()
    size = _spacing(places)
    shown = waves["time_ms"].between(*MOSAIC_MS)
    time = (waves["time_ms"][shown].to_numpy() - MOSAIC_MS[0]) / (MOSAIC_MS[1] - MOSAIC_MS[0]) - 0.5
    muscles = list(sites.groupby("muscle", sort=False))
    for row, (colour, (muscle, own)) in enumerate(zip(SERIES, muscles, strict=False)):
        above = ((len(muscles) - 1) / 2 - row) * size / len(muscles)
        places_of = {f"{muscle}:{hemi}:{site}": (x, y) for site, x, y in own[["site_id", "x_mm", "y_mm"]].to_numpy()}
        traces = {place: waves.loc[shown, name].to_numpy() for name, place in places_of.items() if name in waves}
        scale = max((np.abs(trace).max() for trace in traces.values()), default=1.0)
        for (x, y), trace in traces.items():
            height = y + above + 0.55 * size / len(muscles) * trace / scale
            panel.plot(x + 0.88 * size * time, height, color=colour, linewidth=0.8)
        panel.plot([], [], color=colour, label=f"{level_words((str(muscle),))}, largest {scale:.0f} µV")
    panel.set(aspect="equal", xlabel="right (mm)", ylabel="front (mm)", title=level_words((hemi,), ("muscle", "hemi")))
    panel.set_xlim(places[:, 0].min() - 0.7 * size, places[:, 0].max() + 0.7 * size)
    panel.set_ylim(places[:, 1].min() - 0.7 * size, places[:, 1].max() + 0.7 * size)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize=8)


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
