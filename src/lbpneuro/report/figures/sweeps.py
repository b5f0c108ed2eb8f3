"""Single sweeps of an EMG recording, kept and rejected, with the window that responses are looked for in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import read_tsv
from lbpneuro.report.canvas import BLUE, MUTED, RED, RULE, Drawing, as_svg, line_style, new_figure
from lbpneuro.report.rows import level_words
from lbpneuro.report.visit import AbsentError, Visit

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

SWEEP_DPI = 160
SHARE_SHOWN = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """Sweeps of one muscle and task: ``times_ms`` (n_time,), ``waves`` (n_sweep, n_time) in uV, which are kept."""

    title: str
    times_ms: np.ndarray[Any, Any]
    waves: np.ndarray[Any, Any]
    kept: np.ndarray[Any, Any]
    window_ms: Sequence[float] | None


def plot_excitability_sweeps(visit: Visit) -> Drawing:
    """Draw the single responses of the excitability runs."""
    return drawn(visit, "excitability")


def plot_map_sweeps(visit: Visit) -> Drawing:
    """Draw the single responses of the mapping runs."""
    return drawn(visit, "tms")


def plot_plasticity_sweeps(visit: Visit) -> Drawing:
    """Draw the single responses of the plasticity runs."""
    return drawn(visit, "plasticity")


def drawn(visit: Visit, family: str) -> Drawing:
    """Draw the single sweeps of all runs of a family, a panel per run and muscle."""
    windows = visit.config["mep"]["windows_ms"]
    runs = [each for path in visit.all(family, desc="sweeps", suffix="emg") for each in _runs(path, windows)]
    if not runs:
        raise AbsentError("no sweep was stored")
    with line_style():
        figure = new_figure(height=2.5 * len(runs))
        figure.set_dpi(SWEEP_DPI)
        panels = figure.subplots(len(runs), 1, squeeze=False)[:, 0]
        for panel, run in zip(panels, runs, strict=True):
            draw_sweeps(panel, run, blanked=visit.config["mep"]["artifact_window_ms"])
        return Drawing(as_svg(figure), note=_counts(runs))


def _runs(path: Path, windows: Mapping[str, Sequence[float]]) -> list[Sweeps]:
    import pandas as pd

    table = pd.read_parquet(path)
    stem = path.name.removesuffix("_desc-sweeps_emg.parquet")
    trials = read_tsv(path.with_name(f"{stem}_desc-trials_meps.tsv"), dtype={"trial": str})
    task = stem.partition("_task-")[2].partition("_")[0]
    rejected = {
        (muscle, trial) for muscle, trial in trials.loc[trials["reject"] != 0, ["target_muscle", "trial"]].to_numpy()
    }
    return [
        _of_muscle(
            table, muscle, title=f"{level_words((muscle,))}, {task}", rejected=rejected, window=windows.get(muscle)
        )
        for muscle in dict.fromkeys(name.rpartition(":")[0] for name in table.columns[1:])
    ]


def _of_muscle(
    table: pd.DataFrame, muscle: str, *, title: str, rejected: set[tuple[str, str]], window: Sequence[float] | None
) -> Sweeps:
    names = [name for name in table.columns[1:] if name.rpartition(":")[0] == muscle]
    kept = [(muscle, name.rpartition(":")[2]) not in rejected for name in names]
    return Sweeps(
        title=title,
        times_ms=table["time_ms"].to_numpy(),
        waves=table[names].to_numpy().T,
        kept=np.array(kept),
        window_ms=window,
    )


def draw_sweeps(panel: Axes, run: Sweeps, *, blanked: Sequence[float]) -> None:
    """Lines for single sweeps, the rejected ones above the others; window and blanked time are shaded."""
    panel.axvspan(*blanked, color=RULE, alpha=0.6, linewidth=0)
    if run.window_ms is not None:
        panel.axvspan(*run.window_ms, color=BLUE, alpha=0.08, linewidth=0)
        for edge in run.window_ms:
            panel.axvline(edge, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    for kept, colour, width in ((True, BLUE, 0.5), (False, RED, 0.8)):
        chosen = run.waves[run.kept == kept]
        lines = panel.plot(run.times_ms, chosen.T, color=colour, linewidth=width, alpha=0.55 if kept else 0.9)
        for line in lines:
            line.set_rasterized(True)
    limit = np.nanquantile(np.abs(run.waves).max(axis=1), SHARE_SHOWN) if len(run.waves) else 1.0
    limit = float(limit) if np.isfinite(limit) and limit > 0 else 1.0
    panel.set(xlabel="time after the pulse (ms)", ylabel="EMG (µV)", title=run.title, ylim=(-1.1 * limit, 1.1 * limit))
    panel.set_xlim(float(run.times_ms[0]), float(run.times_ms[-1]))


def _counts(runs: Sequence[Sweeps]) -> str:
    return (
        "; ".join(f"{run.title}: {int(run.kept.sum())} of {len(run.kept)} shown sweeps are kept" for run in runs) + "."
    )
