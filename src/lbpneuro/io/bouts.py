"""The protocol of a plasticity run: which bouts were given when, and which block a pulse belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.index import entities
from lbpneuro.kernels.plasticity import log_amplitude, log_ratio
from lbpneuro.markers.plasticity import AFTER_FIRST_BOUT, BASELINE, Blocks, interval, minutes_after

if TYPE_CHECKING:
    import pandas as pd

POLARITIES = {"anodal": 1, "itbs": 1, "excitatory": 1, "cathodal": -1, "ctbs": -1, "inhibitory": -1, "sham": 0}
PAUSE_MINUTES = 1.5
"""A longer pause between pulses after the bouts begins another block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The bouts of a plasticity run: +1 excitatory, -1 inhibitory, 0 sham, their durations and the gap in minutes.

    ``starts`` are when the bouts began, in minutes of the clock that the pulses have too; empty if that is not known.
    ``block_starts`` are when blocks began, on the same clock. ``assumed``: the polarity is that of the settings.
    """

    polarity: tuple[int, ...]
    kinds: tuple[str, ...]
    minutes: tuple[float, ...]
    gap: float
    starts: tuple[float, ...] = ()
    block_starts: Mapping[str, float]
    assumed: bool = False

    @property
    def words(self) -> str:
        """The protocol in words, e.g. "anodal, anodal; 7-3-5 min"."""
        times = f"{self.minutes[0]:g}-{self.gap:g}-{self.minutes[1]:g} min" if len(self.minutes) == 2 else ""
        return "; ".join(part for part in (", ".join(self.kinds), times) if part)

    @property
    def end(self) -> float | None:
        """When the last bout ended: as stated, else when the block began that follows it at once."""
        if self.starts and len(self.starts) == len(self.minutes):
            return self.starts[-1] + self.minutes[-1]
        return self.block_starts.get("post00")


def read_protocol(metadata: Mapping[str, Any], settings: Mapping[str, Any], *, path: str) -> Protocol:
    """Return the protocol that a sidecar states; what it does not state is that of the settings.

    Raises
    ------
    InputError
        If a statement has another form than a list of kinds or numbers.
    """
    stated = metadata.get("BoutPolarity")
    kinds = settings["bouts"] if stated is None else stated
    polarity = bout_polarity(kinds, path=path)
    return Protocol(
        polarity=polarity,
        kinds=tuple(each if isinstance(each, str) else _kind(each) for each in kinds),
        minutes=_minutes(metadata, "BoutDurationMinutes", settings["bout_minutes"], path=path),
        gap=_minutes(metadata, "BoutGapMinutes", [settings["gap_minutes"]], path=path)[0],
        starts=_minutes(metadata, "BoutStartMinutes", [], path=path),
        block_starts=_block_starts(metadata, path=path),
        assumed=stated is None,
    )


def _kind(polarity: int) -> str:
    return {1: "excitatory", -1: "inhibitory", 0: "sham"}[polarity]


def bout_polarity(stated: Any, *, path: str) -> tuple[int, ...]:
    """Return the polarity of the bouts, +1 excitatory, -1 inhibitory, 0 sham, of numbers or of names like anodal.

    Raises
    ------
    InputError
        If ``stated`` is no list of these.
    """
    known = isinstance(stated, list) and all(
        each.lower() in POLARITIES if isinstance(each, str) else each in (1, -1, 0) for each in stated
    )
    if not known:
        raise InputError(
            f"{path}: BoutPolarity must list 1, -1 or 0 per bout (e.g. [1, 1]), or {', '.join(POLARITIES)}; "
            f"found {stated!r}."
        )
    return tuple(POLARITIES[each.lower()] if isinstance(each, str) else int(each) for each in stated)


def _minutes(metadata: Mapping[str, Any], key: str, default: Sequence[float], *, path: str) -> tuple[float, ...]:
    stated = metadata.get(key, default)
    listed = stated if isinstance(stated, list) else [stated]
    if not all(_is_number(each) for each in listed):
        raise InputError(f"{path}: {key} must be minutes (a number or a list of them); found {stated!r}.")
    return tuple(float(each) for each in listed)


def _block_starts(metadata: Mapping[str, Any], *, path: str) -> dict[str, float]:
    stated = metadata.get("BlockStartMinutes", {})
    if not isinstance(stated, Mapping) or not all(_is_number(each) for each in stated.values()):
        raise InputError(
            f'{path}: BlockStartMinutes must give minutes per block (e.g. {{"pre": 0, "between": 10}}); '
            f"found {stated!r}."
        )
    return {str(name): float(each) for name, each in stated.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def with_blocks(
    table: pd.DataFrame, protocol: Protocol, settings: Mapping[str, Any], *, path: str
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the trials with their blocks, and by how many minutes each block after the bouts began after its time.

    Blocks that are named stay; without any name they follow from the times of pulses and bouts. The lateness is known
    where the sidecar says when the bouts, or the blocks, began.

    Raises
    ------
    InputError
        If no block is named and the times are not known either.
    """
    if table.empty or table["block"].notna().any():
        return table, lateness(protocol, settings["blocks"])
    if len(protocol.starts) != len(protocol.polarity) or table["onset_s"].isna().any():
        raise InputError(
            f"{path}: the trials name no block; expected pre, between, post00, post10, post20 in the column block, or "
            f"the onset of every trial and BoutStartMinutes (e.g. [5, 15]) in the sidecar."
        )
    return _blocks_by_time(table, protocol, settings)


def lateness(protocol: Protocol, blocks: Sequence[str]) -> dict[str, float]:
    """Return by how many minutes blocks began after their time, where the sidecar says when they and the bouts were."""
    end = protocol.end
    if end is None:
        return {}
    known = [name for name in blocks if name in protocol.block_starts]
    return {name: protocol.block_starts[name] - end - minutes_after(name) for name in known}


def _blocks_by_time(
    table: pd.DataFrame, protocol: Protocol, settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Blocks from the clock: before, between and after the bouts, there by the nearest nominal time.

    Pulses in a bout, and after the bouts in a series that is too far from any nominal time, belong to no block.
    """
    minute = table["onset_s"].to_numpy(dtype=float) / 60
    ends = np.add(protocol.starts, protocol.minutes)
    block = np.full(len(table), None, dtype=object)
    block[minute < protocol.starts[0]] = BASELINE
    if len(protocol.starts) > 1:
        block[(minute >= ends[0]) & (minute < protocol.starts[1])] = AFTER_FIRST_BOUT
    late: dict[str, float] = {}
    for members in _series(minute, after=float(ends[-1])):
        begun = float(minute[members].min() - ends[-1])
        name = min(settings["blocks"], key=lambda each: abs(begun - minutes_after(each)))
        if abs(begun - minutes_after(name)) <= settings["jitter_minutes"]:
            block[members] = name
            late.setdefault(name, begun - minutes_after(name))
    return table.assign(block=block), late


def _series(minute: np.ndarray, *, after: float) -> list[np.ndarray]:
    """The places of the pulses ``after`` the bouts, in series that pauses part."""
    later = np.flatnonzero(minute >= after)
    later = later[np.argsort(minute[later], kind="stable")]
    breaks = np.flatnonzero(np.diff(minute[later]) > PAUSE_MINUTES) + 1
    return [part for part in np.split(later, breaks) if part.size]


def of_session(files: Sequence[Path], session: str | None, *, sham: str | None) -> tuple[list[Path], list[Path]]:
    """Return the files of a session (``ses-<label>`` or None) itself, and those of the ``sham`` session."""
    own = (session or "").removeprefix("ses-") or None
    apart = [path for path in files if sham is not None and sham != own and entities(path).get("ses") == sham]
    return [path for path in files if path not in apart], apart


BLOCK_COLUMNS: dict[str, str] = {
    "block": "Block of the protocol.",
    "n": "Kept trials.",
    "delivered": "Pulses given.",
    "mean_uv": "Mean amplitude (uV).",
    "mean_log": "Mean of log(amplitude + 1 uV).",
    "log_sd": "Standard deviation of these logarithms (ddof 1).",
    "ratio": "Mean amplitude over that of the baseline, as published studies give it.",
    "log_ratio": "Mean logarithm less that of the baseline.",
    "welch_low": "Lower end of its 95 % interval, Student's t with Welch's degrees of freedom.",
    "welch_high": "Upper end.",
    "bootstrap_low": "Lower end of its 95 % interval, studentised bootstrap.",
    "bootstrap_high": "Upper end.",
    "late_min": "Minutes by which the block began after its time, where known.",
}


def block_table(blocks: Blocks) -> pd.DataFrame:
    """Return one row per block with its mean, its ratio to the baseline and both intervals: the ``BLOCK_COLUMNS``."""
    import pandas as pd

    names = [BASELINE, AFTER_FIRST_BOUT, *blocks.after]
    rows = [_block_row(blocks, name) for name in names if name in blocks.delivered]
    return pd.DataFrame(rows, columns=list(BLOCK_COLUMNS))


def _block_row(blocks: Blocks, name: str) -> dict[str, Any]:
    own, baseline = (blocks.amplitudes_uv.get(each, np.empty(0)) for each in (name, BASELINE))
    logs = log_amplitude(own)
    row = {
        "block": name,
        "n": own.size,
        "delivered": blocks.delivered[name],
        "mean_uv": own.mean() if own.size else np.nan,
        "mean_log": logs.mean() if own.size else np.nan,
        "log_sd": logs.std(ddof=1) if own.size > 1 else np.nan,
        "late_min": blocks.late.get(name, np.nan),
    }
    if name == BASELINE or min(own.size, baseline.size) < 2:
        return row
    ratio = log_ratio(own, baseline)
    both = {
        kind: interval(replace(blocks, settings={**blocks.settings, "interval": kind}), ratio)
        for kind in ("welch", "bootstrap")
    }
    limits = {f"{kind}_{end}": pair[place] for kind, pair in both.items() for place, end in enumerate(("low", "high"))}
    return {**row, "ratio": own.mean() / baseline.mean(), "log_ratio": ratio.value, **limits}


def course_table(blocks: Blocks) -> pd.DataFrame:
    """Return the kept trials of the blocks in order: ``block``, ``p2p_uv``."""
    import pandas as pd

    names = [name for name in (BASELINE, AFTER_FIRST_BOUT, *blocks.after) if name in blocks.amplitudes_uv]
    parts = [pd.DataFrame({"block": name, "p2p_uv": blocks.amplitudes_uv[name]}) for name in names]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["block", "p2p_uv"])
