"""Figures of the connectivity markers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.index import entities
from lbpneuro.report.canvas import (
    BLUE,
    INK,
    MUTED,
    RED,
    SKY,
    YELLOW,
    Drawing,
    as_png,
    as_svg,
    image_style,
    line_style,
    new_figure,
)
from lbpneuro.report.rows import level_words
from lbpneuro.report.slices import (
    Place,
    Volume,
    around,
    centre,
    fit,
    head_box,
    legend,
    mosaic,
    outline,
    peak,
    place,
    read_volume,
    read_volumes,
    show,
    window,
)
from lbpneuro.report.visit import AbsentError, Visit
from lbpneuro.report.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEED_REACH_MM = 30.0
SEED_COLOUR, TARGET_COLOUR = YELLOW, SKY
COLOURS = {"periaqueductal gray": SEED_COLOUR, "ventromedial prefrontal region": TARGET_COLOUR}
MAIN_SEEDS = ("pag", "mpfc", "vta", "accumbens")
MIDLINE_MM, ABOVE_MM = 6.0, 40.0
LEAST_LIMIT = 0.2


def plot_seed_on_epi(visit: Visit) -> Drawing:
    """Draw the periaqueductal gray and the vmPFC region on the mean functional image."""
    epi, seed, target = _images(visit)
    at, there, head = centre(seed), centre(target), head_box(epi)
    close = around(at, SEED_REACH_MM)
    scale = float(head[1][2] - head[0][2]) / (2 * SEED_REACH_MM)
    spots = [place(axis, at["xyz".index(axis)], box=close, scale=scale) for axis in "xyz"]
    spots += [place("x", there[0], box=head), place("z", there[2], box=head)]
    with image_style():
        figure, panels = mosaic([spots])
        for panel, spot in panels:
            show(panel, epi, spot=spot, cmap="gray", vmin=window(epi)[0], vmax=window(epi)[1])
            _outlines(panel, spot, seed=seed, target=target)
        legend(figure, COLOURS)
        return Drawing(as_png(figure), note=_which_run(visit))


def plot_seed_map(visit: Visit) -> Drawing:
    """Draw the connectivity maps of the main seeds over the mean functional image, a row per seed."""
    maps = _seed_maps(visit)
    epi = read_volume(visit.file("functional", desc="mean", suffix="boldref", ext=".nii.gz"))
    head, grey = head_box(epi), window(epi)
    limit = max(_limit(each) for each in maps.values())
    rows = [_map_places(peak(each), head=head) for each in maps.values()]
    with image_style():
        figure, panels = mosaic(rows, below_in=0.5)
        for (panel, spot), name in zip(
            panels, (name for name, row in zip(maps, rows, strict=True) for _ in row), strict=True
        ):
            show(panel, epi, spot=spot, cmap="gray", vmin=grey[0], vmax=grey[1])
            _overlay(panel, maps[name], spot=spot, limit=limit)
            fit(panel, spot)
            if spot.axis == "x":
                title = f"{level_words((name,))}, {panel.get_title()}"
                panel.set_title(title, loc="center", fontsize=9.5, weight="bold", pad=3)
        _colour_bar(figure, limit)
        return Drawing(as_png(figure), note=f"Colours saturate at |r| = {limit:.1f}. {_which_run(visit)}".strip())


def _seed_maps(visit: Visit) -> dict[str, Volume]:
    """Correlations with the main seeds by name, or with the first ones if none of these was asked for."""
    first: dict[str, Path] = {}
    for path in visit.all("functional", suffix="boldmap", ext=".nii.gz"):
        if "seed" in (named := entities(path)):
            first.setdefault(named["seed"], path)
    seeds = [name for name in MAIN_SEEDS if name in first] or list(first)[: len(MAIN_SEEDS)]
    if not seeds:
        raise AbsentError("no seed map was asked for")
    z_maps = {name: read_volume(first[name]) for name in seeds}
    return {name: Volume(np.tanh(each.data), each.affine) for name, each in z_maps.items()}


def _map_places(seed: np.ndarray, *, head: tuple[np.ndarray, np.ndarray]) -> list[Place]:
    """The three slices through the seed, and an axial one through the cortex above."""
    x, y, z = seed
    spots = [("x", 0.0 if abs(x) < MIDLINE_MM else x), ("y", y), ("z", z), ("z", z + ABOVE_MM)]
    return [place(axis, at_mm, box=head) for axis, at_mm in spots]


def _images(visit: Visit) -> tuple[Volume, Volume, Volume]:
    """The mean functional image, and seed and target on its grid as the step used them."""
    epi = read_volume(visit.file("functional", desc="mean", suffix="boldref", ext=".nii.gz"))
    path = visit.file("functional", desc="roi", suffix="probseg", ext=".nii.gz")
    names = read_json(path.with_name(path.name.split(".")[0] + ".json")).get("LabelMap", [])
    regions = dict(zip(names, read_volumes(path), strict=False))
    found = [regions.get(name) for name in ("pag", "vmpfc")]
    seed, target = (region for region in found)
    if seed is None or target is None or not (seed.data > 0).any() or not (target.data > 0).any():
        raise AbsentError("the regions lie outside the functional image")
    return epi, seed, target


def _outlines(panel: Axes, spot: Place, *, seed: Volume, target: Volume) -> None:
    outline(panel, seed, spot=spot, colour=SEED_COLOUR)
    outline(panel, target, spot=spot, colour=TARGET_COLOUR)
    fit(panel, spot)


def _which_run(visit: Visit) -> str:
    """Which run is shown, where there are several."""
    runs = visit.all("functional", desc="mean", suffix="boldref", ext=".nii.gz")
    if len(runs) < 2:
        return ""
    named = {key: value for key, value in entities(runs[0]).items() if key in ("task", "run")}
    return f"Shown is {' '.join(f'{key}-{value}' for key, value in named.items())}, the first of {len(runs)} runs."


def _limit(correlation: Volume) -> float:
    """The correlation at which colours saturate: 99th percentile of the map, up to the next tenth."""
    finite = np.abs(correlation.data[np.isfinite(correlation.data) & (correlation.data != 0)])
    return max(LEAST_LIMIT, float(np.ceil(np.percentile(finite, 99) * 10) / 10)) if finite.size else LEAST_LIMIT


def _scale(limit: float) -> Any:
    from matplotlib import cm, colors

    return cm.ScalarMappable(colors.Normalize(-limit, limit), cmap="RdBu_r")


def _overlay(panel: Axes, correlation: Volume, *, spot: Place, limit: float) -> None:
    """Colour the slice by r, the weaker the more see-through."""
    piece = np.nan_to_num(correlation.slice(spot.axis, spot.at_mm))
    painted = _scale(limit).to_rgba(piece)
    painted[..., 3] = 0.95 * np.clip(np.abs(piece) / (0.8 * limit), 0, 1) ** 1.5
    panel.imshow(painted, origin="lower", extent=correlation.extent(spot.axis), interpolation="nearest")


def _colour_bar(figure: Any, limit: float) -> None:
    """A bar below the slices."""
    height = figure.get_size_inches()[1]
    bar = figure.colorbar(
        _scale(limit), cax=figure.add_axes((0.35, 0.3 / height, 0.3, 0.1 / height)), orientation="horizontal"
    )
    bar.set_ticks([-limit, 0, limit], labels=[f"r = −{limit:.1f}", "0", f"{limit:.1f}"])
    bar.ax.tick_params(labelsize=8, length=0, pad=2)
    bar.outline.set_visible(False)


def plot_motion_trace(visit: Visit) -> Drawing:
    """Draw framewise displacement over time, censored volumes shaded, one panel per run."""
    paths = visit.all("functional", desc="motion", suffix="timeseries", ext=".tsv")
    limit = float(visit.config["functional"]["fd_spike_mm"])
    with line_style():
        figure = new_figure(height=0.5 + 1.9 * len(paths))
        notes = [
            _trace(panel, path, limit=limit)
            for panel, path in zip(figure.subplots(len(paths), 1, squeeze=False).flat, paths, strict=True)
        ]
        return Drawing(as_svg(figure), note=" ".join(notes))


def _trace(panel: Axes, path: Path, *, limit: float) -> str:
    """Draw one run and return its numbers in words."""
    table = read_tsv(path)
    moved, censored = table["fd_jenkinson"].to_numpy(dtype=float), table["censored"].to_numpy(dtype=float) > 0
    t_r = float(read_json(path.with_suffix(".json")).get("RepetitionTime", 1.0))
    seconds = t_r * np.arange(len(moved))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], censored, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        panel.axvspan(t_r * (first - 0.5), t_r * (last - 0.5), color=RED, alpha=0.3, linewidth=0)
    panel.plot(seconds, moved, color=BLUE, linewidth=1)
    panel.axhline(limit, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    panel.text(1.0, limit, f" {limit:g} mm", transform=panel.get_yaxis_transform(), va="center", color=INK)
    largest = float(np.nanmax(moved)) if np.isfinite(moved).any() else limit
    panel.set(
        xlabel="time (s)", ylabel="displacement (mm)", xlim=(0, seconds[-1]), ylim=(0, max(1.15 * largest, 1.6 * limit))
    )
    share = f"{censored.sum():d} of {len(censored)} volumes censored ({censored.mean():.0%})"
    return f"Mean {number(float(np.nanmean(moved)), error=0.01)} mm, largest {number(largest, error=0.1)} mm; {share}."
