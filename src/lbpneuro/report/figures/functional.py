"""Figures of the connectivity markers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.io.regions import read_regions, region_weights
from lbpneuro.report.canvas import (
    BLUE,
    IMAGE_WIDTH_IN,
    INK,
    MUTED,
    ORANGE,
    RED,
    SKY,
    Drawing,
    as_png,
    as_svg,
    image_style,
    line_style,
    new_figure,
)
from lbpneuro.report.slices import Volume, centre, dress, outline, read_volume, show, window
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CROP_MM = 32.0
SEED, TARGET = ("pag", "n/a"), ("vmpfc", "n/a")


def plot_seed_on_epi(visit: Visit) -> Drawing:
    """Draw the periaqueductal gray and the vmPFC region on the mean functional image."""
    epi = read_volume(visit.file("functional", desc="mean", suffix="boldref", ext=".nii.gz"))
    seed, target = _regions(visit, epi)
    low, high = window(epi)
    at, there = centre(seed), centre(target)
    places = [("x", at[0], at), ("y", at[1], at), ("z", at[2], at), ("x", 0.0, None), ("z", there[2], None)]
    with image_style():
        figure = new_figure(IMAGE_WIDTH_IN, 2.5)
        for panel, (axis, at_mm, crop) in zip(figure.subplots(1, len(places)), places, strict=True):
            show(panel, epi, axis=axis, at_mm=at_mm, cmap="gray", vmin=low, vmax=high)
            outline(panel, seed, axis=axis, at_mm=at_mm, colour=ORANGE)
            outline(panel, target, axis=axis, at_mm=at_mm, colour=SKY)
            dress(panel, axis=axis, at_mm=at_mm, sides=True)
            if crop is not None:
                _crop(panel, axis, crop)
        _legend(figure)
        return Drawing(as_png(figure))


def plot_seed_map(visit: Visit) -> Drawing:
    """Draw the correlation map of the periaqueductal gray over the mean functional image."""
    correlation = read_volume(visit.file("functional", suffix="boldmap", ext=".nii.gz"))
    epi = read_volume(visit.file("functional", desc="mean", suffix="boldref", ext=".nii.gz"))
    seed, target = _regions(visit, epi)
    at, there = centre(seed), centre(target)
    heights = [at[2], there[2], 5.0, 20.0, 35.0, 50.0]
    places = [("x", at[0]), ("y", at[1]), *(("z", height) for height in heights)]
    limit = _limit(correlation)
    with image_style():
        figure = new_figure(IMAGE_WIDTH_IN, 4.6)
        panels = figure.subplots(2, 4)
        for panel, (axis, at_mm) in zip(panels.flat, places, strict=True):
            show(panel, epi, axis=axis, at_mm=at_mm, cmap="gray", vmin=window(epi)[0], vmax=window(epi)[1])
            shown = _overlay(panel, correlation, axis=axis, at_mm=at_mm, limit=limit)
            outline(panel, seed, axis=axis, at_mm=at_mm, colour=ORANGE)
            outline(panel, target, axis=axis, at_mm=at_mm, colour=SKY)
            dress(panel, axis=axis, at_mm=at_mm, sides=True)
        bar = figure.colorbar(shown, ax=panels, shrink=0.6, pad=0.02, aspect=24)
        bar.set_label("correlation r", fontsize=8.5)
        _legend(figure)
        return Drawing(as_png(figure), note=f"Colours saturate at |r| = {number(limit, error=0.1)}.")


def _regions(visit: Visit, grid: Volume) -> tuple[Volume, Volume]:
    """The seed and target regions on the grid of an image."""
    regions = read_regions(Path(visit.config["functional"]["rois"]))
    masks = (region_weights(regions[name], affine=grid.affine, shape=grid.data.shape) for name in (SEED, TARGET))
    seed, target = (Volume(mask, grid.affine) for mask in masks)
    if not (seed.data.any() and target.data.any()):
        raise AbsentError("the regions lie outside the functional image")
    return seed, target


def _crop(panel: Axes, axis: str, middle: np.ndarray) -> None:
    across = [at for at in range(3) if at != "xyz".index(axis)]
    panel.set_xlim(middle[across[0]] - CROP_MM, middle[across[0]] + CROP_MM)
    panel.set_ylim(middle[across[1]] - CROP_MM, middle[across[1]] + CROP_MM)


def _limit(correlation: Volume) -> float:
    """The correlation at which colours saturate: 99th percentile of the map, to one decimal, at least 0.2."""
    finite = np.abs(correlation.data[np.isfinite(correlation.data) & (correlation.data != 0)])
    return max(0.2, float(np.ceil(np.percentile(finite, 99) * 10) / 10)) if finite.size else 0.2


def _overlay(panel: Axes, correlation: Volume, *, axis: str, at_mm: float, limit: float) -> object:
    """Colour the slice by r, the weaker the more see-through; return what the colour bar needs."""
    from matplotlib import cm, colors

    piece = np.nan_to_num(correlation.slice(axis, at_mm))
    scale = cm.ScalarMappable(colors.Normalize(-limit, limit), cmap="RdBu_r")
    painted = scale.to_rgba(piece)
    painted[..., 3] = np.clip(np.abs(piece) / (0.5 * limit), 0, 1) * 0.9
    panel.imshow(painted, origin="lower", extent=correlation.extent(axis), interpolation="nearest")
    return scale


def _legend(figure: object) -> None:
    from matplotlib.lines import Line2D

    names = {"periaqueductal gray": ORANGE, "ventromedial prefrontal region": SKY}
    handles = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8.5)  # type: ignore[attr-defined]


def plot_motion_trace(visit: Visit) -> Drawing:
    """Draw framewise displacement over time, censored volumes shaded."""
    path = visit.file("functional", desc="motion", suffix="timeseries", ext=".tsv")
    table = read_tsv(path)
    seconds, moved, censored = motion_columns(table.to_dict("list"))
    limit = float(visit.config["functional"]["fd_spike_mm"])
    with line_style():
        figure = new_figure(height=2.3)
        panel = figure.subplots()
        _shade(panel, seconds, censored)
        panel.plot(seconds, moved, color=BLUE, linewidth=1)
        panel.axhline(limit, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        panel.text(1.0, limit, f" {limit:g} mm", transform=panel.get_yaxis_transform(), va="center", color=INK)
        panel.set(xlabel="time (s)", ylabel="displacement (mm)", xlim=(0, seconds[-1]))
        panel.set_ylim(0, max(1.15 * np.nanmax(moved), 1.6 * limit))
        return Drawing(as_svg(figure, name="motion"), note=_motion_note(moved, censored))


def motion_columns(columns: dict[str, list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time (s), framewise displacement (mm) and whether each volume was censored."""
    moved = np.asarray(columns["framewise_displacement"], dtype=float)
    seconds = np.asarray(columns.get("time_s", columns.get("onset", np.arange(len(moved)))), dtype=float)
    return seconds, moved, np.asarray(columns["censored"], dtype=float) > 0


def _shade(panel: Axes, seconds: np.ndarray, censored: np.ndarray) -> None:
    step = float(np.median(np.diff(seconds)))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], censored, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        panel.axvspan(seconds[first] - step / 2, seconds[last - 1] + step / 2, color=RED, alpha=0.28, linewidth=0)


def _motion_note(moved: np.ndarray, censored: np.ndarray) -> str:
    share = censored.mean()
    return (
        f"Mean {number(float(np.nanmean(moved)), error=0.01)} mm, largest {number(float(np.nanmax(moved)), error=0.01)} mm; "
        f"{int(censored.sum())} of {len(censored)} volumes censored ({share:.0%})."
    )
