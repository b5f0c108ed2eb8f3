"""EMG-BIDS recordings with TMS pulses: signal, channels, events and stimulus positions.

Volts inside; the tables that are written elsewhere are in microvolts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.sidecars import read_metadata

if TYPE_CHECKING:
    import mne
    import pandas as pd

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6}
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
LARGEST_CM = 15.0
SFREQ_MIN = 1000.0
SFREQ_GOOD = 2000.0
EPOCH_S = (-0.35, 0.2)
CONTRACTED_S = (-0.35, 0.35)
"""Epochs of contracted muscles are longer: the background returns late after a silent period."""
UNKNOWN_HEADER_UNITS = ("", "n/a", "Filtered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel of the recording: name, muscle, factor from the stored numbers to volts, recordable range (V)."""

    name: str
    muscle: str
    scale: float
    limits: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An EMG recording whose samples are still on disk, its EMG channels, and its metadata."""

    path: Path
    raw: mne.io.BaseRaw
    channels: tuple[Channel, ...]
    metadata: Mapping[str, Any]

    @property
    def sfreq(self) -> float:
        """Sampling rate (Hz)."""
        return float(self.raw.info["sfreq"])

    @property
    def duration(self) -> float:
        """Length (s)."""
        return self.raw.n_times / self.sfreq


def one_file(files: Sequence[Path], suffix: str, *, of: Path, why: str) -> Path:
    """Return the file with the BIDS ``suffix`` among ``files``; the one of the longest name if several inherit.

    Raises
    ------
    InputError
        If there is none; ``why`` says what it is needed for.
    """
    found = [path for path in files if entities(path).get("suffix") == suffix and path.suffix == ".tsv"]
    if not found:
        stem = of.name.rsplit("_", 1)[0]
        raise InputError(
            f"{of}: no *_{suffix}.tsv belongs to this recording; {why}. Add {stem}_{suffix}.tsv beside it.",
            reason=Reason.FILE_MISSING,
        )
    return max(found, key=lambda path: (len(path.name), path.name))


def read_recording(path: Path, channels_path: Path) -> Recording:
    """Return an EDF or BDF recording, its samples not read yet.

    Raises
    ------
    InputError
        If the header is broken, a channel of the table is not in the file, or the sampling rate is below 1000 Hz
        or contradicts the sidecar.
    UnitError
        If a unit is absent, unknown, or not that of the header.
    """
    raw = _open(path)
    channels = read_channels(channels_path, header=read_header(path), recording=path)
    recording = Recording(path=path, raw=raw, channels=channels, metadata=read_metadata(path))
    _check_names(recording, channels_path)
    _check_sampling(recording)
    return recording


def _open(path: Path) -> mne.io.BaseRaw:
    import mne

    readers = {".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf}
    if path.suffix not in readers:
        raise InputError(f"{path}: expected an EMG recording as .edf or .bdf (EMG-BIDS); convert it.")
    try:
        return readers[path.suffix](path, preload=False, verbose="error", stim_channel=None)
    except (OSError, ValueError, IndexError, KeyError, ArithmeticError, AssertionError, RuntimeError) as error:
        raise InputError(
            f"{path}: the header of this {path.suffix[1:].upper()} file cannot be read ({error}); export it again."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalHeader:
    """What an EDF or BDF header says of one signal: its unit and the range it can hold, in that unit."""

    unit: str
    physical_range: tuple[float, float]


def read_header(path: Path) -> dict[str, SignalHeader]:
    """Return the signal headers of an EDF or BDF file by label (EDF specification: fixed-width ASCII fields).

    Raises
    ------
    InputError
        If the fields are not what the specification asks for.
    """
    try:
        with path.open("rb") as stream:
            n_signals = int(stream.read(256)[252:256])
            fields = stream.read(256 * n_signals).decode("latin-1")
        columns = {}
        start = 0
        for name, width in (("label", 16), ("transducer", 80), ("unit", 8), ("low", 8), ("high", 8)):
            columns[name] = [fields[start + i * width : start + (i + 1) * width].strip() for i in range(n_signals)]
            start += width * n_signals
        ranges = [(float(low), float(high)) for low, high in zip(columns["low"], columns["high"], strict=True)]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the signal headers cannot be read ({error}); export the file again.") from error
    return {
        label: SignalHeader(unit=unit, physical_range=bounds)
        for label, unit, bounds in zip(columns["label"], columns["unit"], ranges, strict=True)
    }


def read_channels(path: Path, *, header: Mapping[str, SignalHeader], recording: Path) -> tuple[Channel, ...]:
    """Return the EMG channels of a ``*_channels.tsv`` with their units checked.

    Channels whose ``status`` is ``bad`` are left out.

    Raises
    ------
    InputError
        If a column or every EMG channel is absent.
    UnitError
        If the unit of a channel is absent, unknown, or not that of the header of the recording.
    """
    table = read_tsv(path, dtype=str)
    absent = [column for column in ("name", "type", "units", "target_muscle") if column not in table]
    if "units" in absent:
        raise UnitError(f"{path}: the column `units` is absent; add it with V, mV or uV per channel.")
    if absent:
        raise InputError(f"{path}: the columns {', '.join(absent)} are absent; EMG-BIDS channel tables have them.")
    emg = table[table["type"].str.upper() == "EMG"]
    if "status" in emg:
        emg = emg[emg["status"].fillna("good") != "bad"]
    if emg.empty:
        raise InputError(f"{path}: no good channel of type EMG is listed.")
    return tuple(_channel(row, path=path, header=header, recording=recording) for row in emg.to_dict("records"))


def _channel(row: Mapping[Any, Any], *, path: Path, header: Mapping[str, SignalHeader], recording: Path) -> Channel:
    name, unit = row["name"], row["units"]
    if unit not in VOLTS:
        given = "is absent" if not isinstance(unit, str) else f"is {unit!r}"
        raise UnitError(f"{path}: the unit of channel {name} {given}; expected one of {', '.join(VOLTS)}.")
    if name not in header:
        raise InputError(f"{path}: channel {name} is not in {recording.name}, which has {', '.join(header)}.")
    stored = header[name].unit
    if stored in VOLTS and VOLTS[stored] != VOLTS[unit]:
        raise UnitError(f"{path}: channel {name} is in {unit}, but the header of {recording.name} says {stored}.")
    if stored not in VOLTS and stored not in UNKNOWN_HEADER_UNITS:
        raise UnitError(f"{recording}: the header gives channel {name} in {stored!r}, which is not a voltage.")
    scale = 1.0 if stored in VOLTS else VOLTS[unit]
    low, high = (bound * VOLTS[unit] for bound in header[name].physical_range)
    muscle = row["target_muscle"] if isinstance(row["target_muscle"], str) else ""
    return Channel(name=name, muscle=muscle, scale=scale, limits=(low, high))


def _check_names(recording: Recording, channels_path: Path) -> None:
    unknown = [channel.name for channel in recording.channels if channel.name not in recording.raw.ch_names]
    if unknown:
        raise InputError(f"{channels_path}: the channels {', '.join(unknown)} are not in {recording.path.name}.")


def _check_sampling(recording: Recording) -> None:
    if recording.sfreq < SFREQ_MIN:
        raise InputError(
            f"{recording.path}: sampled at {recording.sfreq:g} Hz; motor-evoked potentials need {SFREQ_MIN:g} Hz "
            f"or more ({SFREQ_GOOD:g} Hz recommended)."
        )
    stated = recording.metadata.get("SamplingFrequency")
    if isinstance(stated, int | float) and abs(stated - recording.sfreq) > 0.01 * recording.sfreq:
        raise InputError(
            f"{recording.path}: the sidecar says SamplingFrequency {stated:g} Hz, the header {recording.sfreq:g} Hz."
        )


def select_muscles(recording: Recording, muscles: Sequence[str], *, windows: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return the channels of ``muscles`` in the order of the file; every channel with a muscle if there are none asked.

    Raises
    ------
    InputError
        If a muscle is in no channel, in two channels, or has no response window in the settings.
    """
    by_muscle: dict[str, list[Channel]] = {}
    for channel in recording.channels:
        by_muscle.setdefault(channel.muscle, []).append(channel)
    known = ", ".join(sorted(name for name in by_muscle if name)) or "none"
    for muscle in muscles:
        if len(by_muscle.get(muscle, [])) != 1:
            found = "no channel" if muscle not in by_muscle else "more than one channel"
            raise InputError(
                f"{recording.path}: muscle {muscle!r} is the target_muscle of {found}; the file has {known}. "
                "Correct channels.tsv or the muscles in the settings."
            )
        if muscle not in windows:
            raise InputError(
                f"{recording.path}: muscle {muscle!r} has no response window; add it to `mep.windows_ms` "
                f"(there are {', '.join(windows)})."
            )
    return tuple(channel for channel in recording.channels if channel.muscle in muscles)


EVENT_COLUMNS = (
    "nibs_position_id",
    "block",
    "hemisphere",
    "stim_type",
    "isi_ms",
    "intensity_mso",
    "conditioning_mso",
    "rmt_mso",
    "amt_mso",
)
PAIRED = "paired"
ISI_LARGEST_MS = 500.0
ISI_SMALLEST_MS = 0.5


def read_pulses(path: Path, *, duration: float) -> pd.DataFrame:
    """Return the TMS pulses of an ``*_events.tsv`` in temporal order: ``onset`` (s) and what else is known of them.

    Rows whose ``trial_type`` is not TMS are other events. ``site_id`` and ``site`` are read as position,
    ``stimulus_intensity`` as intensity. ``isi_ms`` is the time between the pulses of a pair, 0 of a single pulse; it
    decides on the ``stim_type`` where that is not given.

    Raises
    ------
    InputError
        If there is no onset column, no pulse, or a pulse outside the recording of ``duration`` (s), or a pair has no
        interval.
    UnitError
        If an interval can hardly be in ms.
    """
    import pandas as pd

    table = read_tsv(path, dtype=dict.fromkeys(("nibs_position_id", "site_id", "site", "block", "trial_type"), str))
    if "onset" not in table:
        raise InputError(f"{path}: the column `onset` is absent; events need the time of each pulse in seconds.")
    names = {"site_id": "nibs_position_id", "site": "nibs_position_id", "stimulus_intensity": "intensity_mso"}
    table = table.rename(columns={old: new for old, new in names.items() if old in table and new not in table})
    if "trial_type" in table:
        table = table[table["trial_type"].str.upper() == "TMS"]
    if table.empty:
        raise InputError(f"{path}: no TMS pulse is listed (rows with trial_type TMS); without events there is no MEP.")
    onset = pd.to_numeric(table["onset"], errors="coerce")
    outside = table.index[~((onset >= 0) & (onset < duration))]
    if len(outside):
        raise InputError(
            f"{path}: row {outside[0] + 2} has onset {table.loc[outside[0], 'onset']}, outside the recording of "
            f"{duration:.3f} s ({len(outside)} such rows); give onsets in seconds from the start of the recording."
        )
    table = table.assign(onset=onset).reindex(columns=["onset", *EVENT_COLUMNS])
    return _with_pairs(table, path).sort_values("onset", kind="stable").reset_index(drop=True)


def _with_pairs(pulses: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The pulses with ``stim_type`` (single, paired) and ``isi_ms`` (0 for single pulses), checked."""
    import pandas as pd

    isi = pd.to_numeric(pulses["isi_ms"], errors="coerce").astype(float)
    kind = pulses["stim_type"].astype(object)
    kind = kind.where(kind.notna(), np.where(isi.fillna(0) > 0, PAIRED, "single"))
    paired = (kind == PAIRED).to_numpy()
    unknown = pulses.index[paired & ~(isi > 0).to_numpy()]
    if len(unknown):
        raise InputError(
            f"{path}: row {unknown[0] + 2} is a pair of pulses without isi_ms; give the time between its pulses in ms "
            f"({len(unknown)} such rows)."
        )
    odd = pulses.index[paired & ~isi.between(ISI_SMALLEST_MS, ISI_LARGEST_MS).to_numpy()]
    if len(odd):
        raise UnitError(
            f"{path}: row {odd[0] + 2} has isi_ms {isi[odd[0]]:g}; expected {ISI_SMALLEST_MS:g} to {ISI_LARGEST_MS:g} "
            "ms. Intervals in seconds must be multiplied by 1000."
        )
    return pulses.assign(stim_type=kind, isi_ms=np.where(paired, isi, 0.0))


def read_positions(path: Path) -> pd.DataFrame:
    """Return stimulus positions of a NIBS ``*_markers.tsv`` in mm: ``site_id``, ``x_mm``, ``y_mm``, ``hemisphere``.

    The unit is that of the coordinate system file beside it (``*_coordsystem.json``, a key that ends in ``Units``).

    Raises
    ------
    InputError
        If a column is absent or a position is named twice.
    UnitError
        If the unit is absent or unknown, or a coordinate beyond 15 is said to be in cm.
    """
    table = read_tsv(path, dtype={"nibs_position_id": str})
    absent = [column for column in ("nibs_position_id", "x", "y") if column not in table]
    if absent:
        raise InputError(f"{path}: the columns {', '.join(absent)} are absent; positions need nibs_position_id, x, y.")
    twice = table.loc[table["nibs_position_id"].duplicated(), "nibs_position_id"]
    if len(twice):
        raise InputError(f"{path}: position {twice.iloc[0]} is listed more than once; name each position once.")
    unit = _position_unit(path)
    factor = millimetres(table[["x", "y"]].to_numpy(dtype=float), unit, origin=path)
    positions = table.rename(columns={"nibs_position_id": "site_id"})
    positions = positions.assign(x_mm=positions["x"] * factor, y_mm=positions["y"] * factor)
    return positions.reindex(columns=["site_id", "x_mm", "y_mm", "hemisphere"])


def millimetres(coords: NDArray[np.float64], unit: Any, *, origin: Path) -> float:
    """Return the factor from ``unit`` to mm, after a check of the coordinates against it.

    Raises
    ------
    UnitError
        If the unit is absent or unknown, or cm with a coordinate beyond 15.
    """
    if unit not in MILLIMETRES:
        given = "no unit" if unit is None else f"the unit {unit!r}"
        raise UnitError(f"{origin}: the coordinates have {given}; state mm or cm in the JSON file beside them.")
    if unit == "cm" and np.nanmax(np.abs(coords), initial=0.0) > LARGEST_CM:
        raise UnitError(
            f"{origin}: the unit is cm, but a coordinate is {np.nanmax(np.abs(coords)):g}; a head is not that large. "
            "The coordinates are probably in mm: correct the unit."
        )
    return MILLIMETRES[unit]


def _position_unit(path: Path) -> Any:
    """The unit that the coordinate system files of a positions file state, the nearest name first."""
    own = path.with_name(path.name.replace("_markers.tsv", "_coordsystem.json"))
    others = sorted(path.parent.glob("*_coordsystem.json"), key=lambda other: (-len(other.name), other.name))
    for candidate in [own, *others]:
        if candidate.exists():
            content = read_json(candidate)
            units = [value for key, value in content.items() if key.endswith("Units")]
            return units[0] if units else None
    return read_metadata(path).get("Units")


def place_pulses(pulses: pd.DataFrame, positions: pd.DataFrame | None, *, origin: Path) -> pd.DataFrame:
    """Return pulses with ``site_id``, ``x_mm``, ``y_mm`` and the stimulated ``hemisphere``.

    The hemisphere is that of the events or the positions if they name it, else the side of the grid
    (x > 0 is right): a position on the midline goes with the rest of a one-sided grid.

    Raises
    ------
    InputError
        If a pulse names a position that is not listed.
    """
    placed = pulses.rename(columns={"nibs_position_id": "site_id"})
    if positions is None:
        return placed.assign(x_mm=np.nan, y_mm=np.nan)
    named = set(placed["site_id"].dropna())
    unknown = sorted(named - set(positions["site_id"]))
    if unknown:
        raise InputError(f"{origin}: the events name position {unknown[0]}, which is not listed ({len(unknown)} such).")
    placed = placed.merge(positions, on="site_id", how="left", suffixes=("", "_of_position"))
    by_event, by_position = (placed[name].astype(object) for name in ("hemisphere", "hemisphere_of_position"))
    stated = by_event.where(by_event.notna(), by_position)
    side = _sides(placed["x_mm"].to_numpy(dtype=float))
    return placed.drop(columns="hemisphere_of_position").assign(hemisphere=stated.where(stated.notna(), side))


def _sides(x_mm: NDArray[np.float64]) -> NDArray[np.object_]:
    sides = np.where(x_mm < 0, "L", np.where(x_mm > 0, "R", "")).astype(object)
    present = set(sides) - {""}
    sides[sides == ""] = present.pop() if len(present) == 1 else None
    sides[np.isnan(x_mm)] = None
    return sides


def read_epochs(
    recording: Recording,
    channels: Sequence[Channel],
    *,
    onsets: NDArray[np.float64],
    window: tuple[float, float] = EPOCH_S,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return epochs (n_trial, n_channel, n_time) in volts, and times (n_time,) in seconds from the pulse.

    Only the samples in ``window`` (s) around the pulses are read. An epoch that leaves the recording is NaN.
    """
    sfreq = recording.sfreq
    first, last = round(window[0] * sfreq), round(window[1] * sfreq)
    scale = np.array([channel.scale for channel in channels])[:, None]
    picks = [recording.raw.ch_names.index(channel.name) for channel in channels]
    epochs = np.full((len(onsets), len(channels), last - first + 1), np.nan)
    for epoch, onset in zip(epochs, onsets, strict=True):
        start, stop = round(onset * sfreq) + first, round(onset * sfreq) + last + 1
        if start >= 0 and stop <= recording.raw.n_times:
            epoch[:] = recording.raw.get_data(picks, start=start, stop=stop, verbose="error") * scale
    return epochs, np.arange(first, last + 1) / sfreq


def positions_among(files: Sequence[Path]) -> pd.DataFrame | None:
    """Return the stimulus positions of the NIBS markers table among ``files``; None if there is none."""
    tables = [path for path in files if entities(path).get("suffix") == "markers" and path.suffix == ".tsv"]
    return read_positions(max(tables, key=lambda path: (len(path.name), path.name))) if tables else None


def channel_limits(channels: Sequence[Channel]) -> NDArray[np.float64]:
    """Return the recordable range of each channel (n_channel, 2) in volts."""
    return np.array([channel.limits for channel in channels])
