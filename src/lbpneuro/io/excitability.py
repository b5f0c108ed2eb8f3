"""Which trials of the excitability recordings each measure is taken of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io import meps
from lbpneuro.kernels.mep import CLIPPED
from lbpneuro.kernels.recruitment import Value
from lbpneuro.markers.excitability import Excitability, MuscleTrials, Pulses

if TYPE_CHECKING:
    import pandas as pd

    from lbpneuro.markers.descriptor import Level

ENTERED = {"rmt": "rmt_mso", "amt": "amt_mso"}


def read_excitability(files: Sequence[Path], settings: Mapping[str, Any]) -> Excitability:
    """Return the trials of every muscle and stimulated hemisphere from the trial tables of both tasks.

    Raises
    ------
    LbpneuroError
        If a table cannot be used.
    """
    rest, active = (meps.read_task(files, settings[key]) for key in ("task", "task_active"))
    sides = {hemi for table, _ in (rest, active) for hemi in meps.hemispheres(table, settings["hemispheres"])}
    trials: dict[Level, MuscleTrials] = {
        (muscle, hemi): muscle_trials(rest, active, muscle=muscle, hemi=hemi, settings=settings)
        for muscle in settings["muscles"]
        for hemi in sorted(sides)
    }
    return Excitability(trials=trials, settings=settings)


def muscle_trials(
    rest: tuple[pd.DataFrame, Mapping[str, Any]],
    active: tuple[pd.DataFrame, Mapping[str, Any]],
    *,
    muscle: str,
    hemi: str,
    settings: Mapping[str, Any],
) -> MuscleTrials:
    """Return the trials of one muscle and hemisphere; ``rest`` and ``active`` are trial tables with metadata."""
    resting, contracted = (_of(table, muscle, hemi, settings) for table, _ in (rest, active))
    blocks = settings["blocks"]
    chosen = {name: _of_blocks(resting, blocks[name]) for name in ("threshold", "curve", "paired", "amplitude")}
    onset, n = average_onset(rest[1], muscle, hemi, blocks=blocks["amplitude"])
    return MuscleTrials(
        rest=pulses(chosen["threshold"]),
        active=pulses(_of_blocks(contracted, blocks["threshold"])),
        curve=pulses(chosen["curve"]),
        paired=pulses(chosen["paired"]),
        amplitude=pulses(chosen["amplitude"]),
        contracted=pulses(contracted),
        entered={name: _entered([resting, contracted], column) for name, column in ENTERED.items()},
        onset_ms=onset,
        onset_n=n,
        tail=any(meps.has_artefact_tail(metadata, muscle) for _, metadata in (rest, active)),
        slow=any(meps.sampled_slowly(metadata) for _, metadata in (rest, active)),
    )


def _of(table: pd.DataFrame, muscle: str, hemi: str, settings: Mapping[str, Any]) -> pd.DataFrame:
    sides = meps.hemispheres(table, settings["hemispheres"])
    return meps.of_muscle(sides[hemi], muscle) if hemi in sides else table.iloc[:0]


def _of_blocks(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The rows of some blocks; of a table that names neither block nor site, all."""
    if table[["block", "site_id"]].isna().all(axis=None):
        return table
    return table[table["block"].isin(names)]


def _entered(tables: Sequence[pd.DataFrame], column: str) -> float:
    """The threshold that was written down; the last if it was determined again."""
    values = [value for table in tables for value in table[column].dropna()]
    return float(values[-1]) if values else float("nan")


def pulses(table: pd.DataFrame) -> Pulses | None:
    """Return rows of a trial table as arrays; None if there are none."""
    if table.empty:
        return None
    measured = table["p2p_uv"].to_numpy(dtype=float)
    corrected = table["p2p_corr_uv"].to_numpy(dtype=float)
    return Pulses(
        amplitude_uv=measured,
        corrected_uv=corrected if np.isfinite(corrected).any() else measured,
        background_uv=table["bg_rms_uv"].to_numpy(dtype=float),
        intensity=table["intensity_mso"].to_numpy(dtype=float),
        isi_ms=np.nan_to_num(table["isi_ms"].to_numpy(dtype=float)),
        conditioning=table["conditioning_mso"].to_numpy(dtype=float),
        latency_ms=table["latency_ms"].to_numpy(dtype=float),
        silent_period_ms=table["silent_period_ms"].to_numpy(dtype=float),
        kept=(table["reject"] == 0).to_numpy() & np.isfinite(measured),
        clipped=(table["reject_reason"] == CLIPPED).to_numpy(),
    )


def average_onset(
    metadata: Mapping[str, Any], muscle: str, hemi: str, *, blocks: Sequence[str]
) -> tuple[Value | None, int]:
    """Return the onset of the average response that a trial table's metadata give, and of how many trials it is.

    Of several blocks the one of most trials; None if the metadata have none, as with a table of amplitudes.
    """
    found = [
        entry
        for entry in metadata.get("AverageLatency", [])
        if entry["Muscle"] == muscle and entry["Hemisphere"] in (hemi, None) and entry["Block"] in (*blocks, None)
    ]
    if not found:
        return None, 0
    best = max(found, key=lambda entry: entry["N"])
    numbers = {key: np.nan if best[key] is None else float(best[key]) for key in meps.LATENCY_NAMES}
    value, se, low, high = numbers.values()
    return Value(value=value, se=se, ci_low=low, ci_high=high), int(best["N"])


def curve_table(data: Excitability) -> pd.DataFrame:
    """Return the trials by intensity that a drawing of thresholds and curves needs, one row per single pulse.

    ``measure`` is rest, active or curve.
    """
    import pandas as pd

    parts = []
    for (muscle, hemi), each in data.trials.items():
        for name in ("rest", "active", "curve"):
            chosen: Pulses | None = getattr(each, name)
            if chosen is not None:
                parts.append(_drawn(chosen, {"muscle": muscle, "hemisphere": hemi, "measure": name}))
    names = ["muscle", "hemisphere", "measure", "intensity_mso", "p2p_uv", "kept"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def _drawn(chosen: Pulses, labels: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    single = (chosen.isi_ms == 0) & np.isfinite(chosen.intensity)
    values = {
        "intensity_mso": chosen.intensity[single],
        "p2p_uv": chosen.amplitude_uv[single],
        "kept": chosen.kept[single].astype(int),
    }
    return pd.DataFrame({**labels, **values})


def protocol_facts(data: Excitability) -> list[dict[str, Any]]:
    """Return which pairs of pulses were found to be which protocol: intervals, intensities and number of trials."""
    found = []
    for level, each in data.trials.items():
        if each.paired is None:
            continue
        kinds = data.protocols(level)
        for name in np.unique(kinds[each.paired.isi_ms > 0]):
            rows = (kinds == name) & (each.paired.isi_ms > 0)
            found.append(
                {
                    "Muscle": level[0],
                    "Hemisphere": level[1],
                    "Protocol": str(name) or "none",
                    "Intervals_ms": _distinct(each.paired.isi_ms[rows]),
                    "Conditioning_mso": _distinct(each.paired.conditioning[rows]),
                    "Trials": int(rows.sum()),
                }
            )
    return found


def rejection_facts(files: Sequence[Path], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how many trials of each task and muscle were kept, and rejected for which reason."""
    found = []
    for key in ("task", "task_active"):
        table, _ = meps.read_task(files, settings[key])
        found += meps.rejections(table, task=settings[key])
    return found


def _distinct(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.unique(values[np.isfinite(values)])]


def curve_facts(data: Excitability) -> list[dict[str, Any]]:
    """Return the fitted recruitment curves and thresholds with which trials are drawn."""
    fitted: list[dict[str, Any]] = []
    for level, curve in data.curves.items():
        names = ("width", "floor", "reached")
        values = {name: getattr(curve, name) for name in names} | {
            name: getattr(curve, name).value for name in ("s50", "plateau")
        }
        fitted.append({"Muscle": level[0], "Hemisphere": level[1], **{k: _number(v) for k, v in values.items()}})
    return fitted


def threshold_facts(data: Excitability) -> list[dict[str, Any]]:
    """Return the widths of the logistic fits, which no marker holds."""
    fits: list[tuple[Level, str, Any]] = [(level, "rest", fit) for level, fit in data.resting.items()]
    fits += [(level, "active", fit) for level, fit in data.contracted.items()]
    return [
        {"Muscle": level[0], "Hemisphere": level[1], "State": state, "Width": _number(fit.width), "N": fit.n}
        for level, state, fit in fits
    ]


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
