"""What the maps of a session leave beside their rows: tables of sites and of surfaces, and facts of the layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.meps import Grid
from lbpneuro.kernels import motor_map
from lbpneuro.kernels.mep import Responses
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.markers.motor_maps import FittedSites, MotorMaps, Peaks

if TYPE_CHECKING:
    import pandas as pd

SITE_COLUMNS: dict[str, str] = {
    "muscle": "Mapped muscle.",
    "hemisphere": "Stimulated hemisphere.",
    "site_id": "Site.",
    "x_mm": "Position to the right (mm).",
    "y_mm": "Position to the front (mm).",
    "mean_uv": "Mean response of the kept trials (uV).",
    "share": "Share of the largest mean of the muscle.",
    "n": "Kept trials.",
    "fitted_uv": "Response of the map that the markers are taken of (uV).",
    "published_peak": "1: a peak by the published rule.",
    "strict_peak": "1: a local maximum that stands out.",
    "support": "Share of resampled maps with a strict peak at or next to this one.",
}
SURFACE_COLUMNS = ("muscle", "hemisphere", "x_mm", "y_mm", "mean_uv", "sd_uv")


def is_walk(each: Grid, layout: str) -> bool:
    """Return whether the pulses follow no grid: as ``layout`` says, or (auto) if most places have a single pulse."""
    if layout != "auto":
        return layout == "walk"
    given = np.isfinite(each.columns["p2p_uv"]).any(axis=0).sum(axis=-1)
    return bool(np.median(given) < 2)


def site_table(grids: Mapping[str, Grid], columns: Mapping[str, str], maps: MotorMaps) -> pd.DataFrame:
    """Return what a drawing of the maps needs, one row per muscle, hemisphere and site: the ``SITE_COLUMNS``.

    A site without a kept trial has no mean; one that is not in the fit has no fitted response.
    """
    import pandas as pd

    parts = []
    for hemi, each in grids.items():
        trials = each.kept_values(columns[hemi])
        means, counts = motor_map.site_means(trials, min_trials=1), np.isfinite(trials).sum(axis=-1)
        places = {"site_id": each.sites, "x_mm": each.coords_mm[:, 0], "y_mm": each.coords_mm[:, 1]}
        for muscle, mean, count in zip(each.muscles, means, counts, strict=True):
            values = {"mean_uv": mean, "share": motor_map.share_of_maximum(mean), "n": count}
            found = {**_fitted(maps, muscle, hemi), **_peaks(maps.peaks[muscle, hemi], n_site=len(each.sites))}
            parts.append(pd.DataFrame({"muscle": muscle, "hemisphere": hemi, **places, **values, **found}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SITE_COLUMNS))


def _fitted(maps: MotorMaps, muscle: str, hemi: str) -> dict[str, Any]:
    """The map at the sites of a grid; empty where there is none, and between the points of a lattice."""
    fit, coords = maps.single[muscle, hemi], maps.maps[hemi].coords_mm
    response = np.full(len(coords), np.nan)
    if isinstance(fit, FittedSites) and not maps.maps[hemi].walk:
        place = {tuple(each): row for row, each in enumerate(coords)}
        response[[place[tuple(each)] for each in fit.coords_mm]] = fit.draws.maps[0]
    return {"fitted_uv": response}


def _peaks(peaks: Peaks | Estimate, *, n_site: int) -> dict[str, Any]:
    columns = {name: np.full(n_site, np.nan) for name in ("published_peak", "strict_peak", "support")}
    if isinstance(peaks, Peaks):
        columns["published_peak"][peaks.kept] = peaks.published
        columns["strict_peak"][peaks.kept] = peaks.strict
        columns["support"][peaks.kept] = np.where(peaks.strict, peaks.support, np.nan)
    return columns


def surface_table(maps: MotorMaps) -> pd.DataFrame:
    """Return the surfaces of maps without a grid: a row per muscle, hemisphere and lattice point within the hull.

    Means and, of a Gaussian process, standard deviations; linear interpolation has none.
    """
    import pandas as pd

    parts = [
        pd.DataFrame({"muscle": muscle, "hemisphere": hemi, **_surface(fit)})
        for (muscle, hemi), fit in maps.single.items()
        if maps.maps[hemi].walk and isinstance(fit, FittedSites)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(SURFACE_COLUMNS))


def _surface(fit: FittedSites) -> dict[str, Any]:
    x, y = fit.coords_mm.T
    return {"x_mm": x, "y_mm": y, "mean_uv": fit.draws.maps[0], "sd_uv": np.nan if fit.sd is None else fit.sd[0]}


SITES_MS = (-10.0, 70.0)


def site_waveforms(table: pd.DataFrame, responses: Responses) -> pd.DataFrame | None:
    """Return the mean response of the kept trials at every site (uV), None of a run without repeated sites.

    A column per muscle, hemisphere and site, named ``muscle:hemisphere:site``; the first column is ``time_ms``.
    """
    import pandas as pd

    kept = table[(table["reject"] == 0) & table["site_id"].notna()]
    if kept["site_id"].nunique() < 2:
        return None
    labels = kept[["target_muscle", "hemisphere", "site_id"]].fillna("n/a").astype(str).agg(":".join, axis=1)
    sites = kept.groupby(labels, sort=True).indices
    if len(kept) < 2 * len(sites):
        return None
    time_ms = responses.times * 1e3
    shown = (time_ms >= SITES_MS[0]) & (time_ms <= SITES_MS[1])
    waves = responses.epochs.reshape(-1, time_ms.size)[:, shown]
    rows = kept.index.to_numpy()
    means = {str(label): waves[rows[places]].mean(axis=0) * 1e6 for label, places in sites.items()}
    return pd.DataFrame({"time_ms": time_ms[shown], **means}).astype("float32")


def site_waveforms_path(average: Path) -> Path:
    """Return where the mean responses at the sites are, beside the mean waveforms ``average``."""
    return average.with_name(average.name.replace("_desc-average_emg.tsv", "_desc-sites_emg.parquet"))


def centre_facts(maps: MotorMaps) -> dict[str, Any]:
    """Return the centres of gravity with the covariance of their errors, by hemisphere and muscle (mm)."""
    found: dict[str, Any] = {}
    for muscle, hemi in maps.single:
        centre = maps.centre_covariance((muscle, hemi))
        if centre is not None:
            place, covariance = (np.round(each, 4).tolist() for each in centre)
            found.setdefault(hemi, {})[muscle] = {"Centre": place, "Covariance": covariance}
    return found
