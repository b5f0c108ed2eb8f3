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
from lbpneuro.io import nibs
from lbpneuro.io.files import read_tsv
from lbpneuro.io.muscles import known_muscle, side, vocabulary_text
from lbpneuro.io.positions import numbers, with_millimetres
from lbpneuro.io.sidecars import read_metadata

if TYPE_CHECKING:
    import mne
    import pandas as pd

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6}
SFREQ_MIN = 1000.0
SFREQ_GOOD = 2000.0
EPOCH_S = (-0.35, 0.2)
CONTRACTED_S = (-0.35, 0.35)
"""Epochs of contracted muscles are longer: the background returns late after a silent period."""
UNKNOWN_HEADER_UNITS = ("", "n/a", "Filtered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel of the recording: name, muscle, factor from the stored numbers to volts, recordable range (V).

    ``muscle`` is a name of the vocabulary where ``target_muscle`` is one or a synonym; ``side`` is that of the body.
    """

    name: str
    muscle: str
    scale: float
    limits: tuple[float, float]
    side: str | None = None


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

    @property
    def mains_hz(self) -> float | None:
        """Frequency of the mains (Hz), if the sidecar states it."""
        stated = self.metadata.get("PowerLineFrequency")
        return float(stated) if isinstance(stated, int | float) else None


def one_file(files: Sequence[Path], suffix: str, *, of: Path, why: str) -> Path:
    """Return the file with the BIDS ``suffix`` among ``files``; the nearest to the recording ``of`` if several inherit.

    Raises
    ------
    InputError
        If there is none; ``why`` says what it is needed for.
    """
    found = nibs.nearest(files, suffix)
    if found is None:
        stem = of.name.rsplit("_", 1)[0]
        raise InputError(
            f"{of}: no *_{suffix}.tsv belongs to this recording; {why}. Add {stem}_{suffix}.tsv beside it.",
            reason=Reason.FILE_MISSING,
        )
    return found


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
    stated = row["target_muscle"] if isinstance(row["target_muscle"], str) else ""
    muscle = known_muscle(stated) or stated
    return Channel(name=name, muscle=muscle, scale=scale, limits=(low, high), side=side(stated))


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
    """Return the channels of ``muscles`` in the order of the file.

    A muscle may be in two channels, of the left and the right side.

    Raises
    ------
    InputError
        If a muscle is in no channel, in several of the same side, or has no response window in the settings.
    """
    for muscle in muscles:
        own = [channel for channel in recording.channels if channel.muscle == muscle]
        if not own:
            raise InputError(_no_such_muscle(recording, muscle))
        if len(own) != len({channel.side for channel in own} - ({None} if len(own) > 1 else set())):
            names = ", ".join(channel.name for channel in own)
            raise InputError(
                f"{recording.path}: muscle {muscle!r} is the target_muscle of more than one channel ({names}); write "
                "left and right before the names in channels.tsv, or mark the one that is not used as bad."
            )
        if muscle not in windows:
            raise InputError(
                f"{recording.path}: muscle {muscle!r} has no response window; add it to `mep.windows_ms` "
                f"(there are {', '.join(windows)})."
            )
    return tuple(channel for channel in recording.channels if channel.muscle in muscles)


def _no_such_muscle(recording: Recording, muscle: str) -> str:
    known = ", ".join(sorted({channel.muscle for channel in recording.channels} - {""})) or "none"
    return (
        f"{recording.path}: muscle {muscle!r} is the target_muscle of no channel; the file has {known}. Correct "
        f"channels.tsv or the muscles in the settings. Known names, with what is read as the same: {vocabulary_text()}."
    )


PULSE_TEXT = ("nibs_event_id", "site_id", "block", "hemisphere", "stim_type")
PULSE_NUMBERS = (
    "intensity_mso",
    "conditioning_mso",
    "isi_ms",
    "rmt_mso",
    "amt_mso",
    "x_mm",
    "y_mm",
    "z_mm",
)
STIM_TYPES = ("single", "paired", "train")


def read_pulses(path: Path, *, duration: float, draft: nibs.Draft | None = None) -> pd.DataFrame:
    """Return the TMS pulses of an ``*_events.tsv`` in temporal order: ``onset`` (s) and what else is known of them.

    Stimulus and position are in the columns of the NIBS ``draft``, the position also in ``site_id`` or ``site``, or as
    coordinates (``x_mm``, ``grid_x_cm`` ...); ``stimulus_intensity`` is read as ``intensity_mso``. Rows are pulses
    whose ``trial_type`` is TMS; where no row has that, those that name a stimulus of the draft.

    Raises
    ------
    InputError
        If there is no onset column, no pulse, a number or kind of stimulus is none, or a pulse lies outside the
        recording of ``duration`` (s).
    """
    table = read_tsv(path, dtype=str)
    if "onset" not in table:
        raise InputError(f"{path}: the column `onset` is absent; events need the time of each pulse in seconds.")
    draft = draft or nibs.DRAFTS[0]
    table = _renamed(table, "nibs_event_id", draft.event)
    table = _renamed(table, "intensity_mso", "intensity_mso", "stimulus_intensity")
    table = _renamed(table, "site_id", draft.position, "site_id", "site")
    table = with_millimetres(_pulse_rows(table, path), {}, path=path)
    onset = numbers(table["onset"].where(table["onset"].notna(), "none"), path)
    outside = table.index[~((onset >= 0) & (onset < duration))]
    if len(outside):
        raise InputError(
            f"{path}: row {outside[0] + 2} has onset {table.loc[outside[0], 'onset']}, outside the recording of "
            f"{duration:.3f} s ({len(outside)} such rows); give onsets in seconds from the start of the recording."
        )
    kept = table.assign(onset=onset).reindex(columns=["onset", *PULSE_TEXT, *PULSE_NUMBERS])
    kept = kept.assign(**{name: numbers(kept[name], path) for name in PULSE_NUMBERS})
    kept = kept.assign(stim_type=_kinds(kept, path))
    return kept.sort_values("onset", kind="stable").reset_index(drop=True)


PAIRED = "paired"
ISI_MS = (0.5, 500.0)
"""Intervals between the pulses of a pair that are believed to be in ms."""


def pair_intervals(pulses: pd.DataFrame, *, origin: Path) -> NDArray[np.float64]:
    """Return the time between the two pulses of every pair (n_pulse,), in s; 0 for single pulses.

    Raises
    ------
    InputError
        If a pair has no interval.
    UnitError
        If an interval can hardly be in ms.
    """
    paired = (pulses["stim_type"] == PAIRED).to_numpy()
    isi_ms = np.where(paired, pulses["isi_ms"].to_numpy(dtype=float), 0.0)
    onset = pulses["onset"].to_numpy(dtype=float)
    unknown = np.flatnonzero(np.isnan(isi_ms))
    if unknown.size:
        raise InputError(
            f"{origin}: the pair of pulses at {onset[unknown[0]]:.3f} s has no isi_ms; give the time between "
            f"its pulses in ms ({unknown.size} such)."
        )
    odd = np.flatnonzero(paired & ~((isi_ms >= ISI_MS[0]) & (isi_ms <= ISI_MS[1])))
    if odd.size:
        raise UnitError(
            f"{origin}: the pair of pulses at {onset[odd[0]]:.3f} s has isi_ms {isi_ms[odd[0]]:g}; expected "
            f"{ISI_MS[0]:g} to {ISI_MS[1]:g} ms ({odd.size} such). Intervals in seconds must be multiplied by 1000."
        )
    return isi_ms / 1e3


def _renamed(table: pd.DataFrame, name: str, *candidates: str) -> pd.DataFrame:
    """The table with the first of the ``candidates`` that it has as the column ``name``."""
    found = next((column for column in candidates if column in table), name)
    if found == name:
        return table
    return table.drop(columns=[name] if name in table else []).rename(columns={found: name})


def _pulse_rows(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if "trial_type" in table:
        rows = table[table["trial_type"].str.upper() == "TMS"]
        if rows.empty and "nibs_event_id" in table:
            rows = table[table["nibs_event_id"].notna()]
    else:
        rows = table
    if rows.empty:
        raise InputError(f"{path}: no TMS pulse is listed (rows with trial_type TMS); without events there is no MEP.")
    return rows


def _kinds(pulses: pd.DataFrame, path: Path) -> pd.Series:
    """The kind of each stimulus; one with an interval is a pair."""
    kinds = pulses["stim_type"].str.lower() if pulses["stim_type"].notna().any() else pulses["stim_type"].astype(object)
    wrong = kinds.index[kinds.notna() & ~kinds.isin(STIM_TYPES)]
    if len(wrong):
        raise InputError(
            f"{path}: row {wrong[0] + 2}, column stim_type: expected {', '.join(STIM_TYPES)}, found "
            f"{kinds[wrong[0]]!r}."
        )
    return kinds.where(kinds.notna(), (pulses["isi_ms"] > 0).map({True: PAIRED, False: None}))


def read_epochs(
    recording: Recording,
    channels: Sequence[Channel],
    *,
    onsets: NDArray[np.float64],
    window: tuple[float, float] = EPOCH_S,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return epochs (n_trial, n_channel, n_time) in volts, and times (n_time,) in seconds from the pulse.

    Only the samples in ``window`` (s) around the pulses are read. An epoch that leaves the recording is NaN. Of a
    recording in epochs (``RecordingType`` in the sidecar) no sample of another epoch is taken: the times are those that
    every epoch has.
    """
    sfreq = recording.sfreq
    first, last = round(window[0] * sfreq), round(window[1] * sfreq)
    first, last = _within_epochs(recording, onsets, first=first, last=last)
    scale = np.array([channel.scale for channel in channels])[:, None]
    picks = [recording.raw.ch_names.index(channel.name) for channel in channels]
    epochs = np.full((len(onsets), len(channels), last - first + 1), np.nan)
    for epoch, onset in zip(epochs, onsets, strict=True):
        start, stop = round(onset * sfreq) + first, round(onset * sfreq) + last + 1
        if start >= 0 and stop <= recording.raw.n_times:
            epoch[:] = recording.raw.get_data(picks, start=start, stop=stop, verbose="error") * scale
    return epochs, np.arange(first, last + 1) / sfreq


def _within_epochs(recording: Recording, onsets: NDArray[np.float64], *, first: int, last: int) -> tuple[int, int]:
    """The samples around a pulse that lie in its own epoch, of all pulses; ``first`` and ``last`` if continuous."""
    if recording.metadata.get("RecordingType") != "epoched" or not onsets.size:
        return first, last
    length = recording.metadata.get("EpochLength")
    if not isinstance(length, int | float) or length <= 0:
        raise InputError(
            f"{recording.path}: RecordingType is epoched, but EpochLength is {length!r}; give the length of an epoch "
            "in seconds in the sidecar, or nobody knows where one ends."
        )
    before, after = epoch_reach(onsets, sfreq=recording.sfreq, length=length)
    return max(first, before), min(last, after)


def epoch_reach(onsets: NDArray[np.float64], *, sfreq: float, length: float) -> tuple[int, int]:
    """Return the first and last sample from the pulse that every epoch of ``length`` (s) has, one after another.

    ``onsets`` (n_pulse,) in s from the start of the recording.
    """
    n_sample = round(length * sfreq)
    place = np.round(onsets * sfreq).astype(int) % n_sample
    return -int(place.min()), n_sample - 1 - int(place.max())


def channel_limits(channels: Sequence[Channel]) -> NDArray[np.float64]:
    """Return the recordable range of each channel (n_channel, 2) in volts."""
    return np.array([channel.limits for channel in channels])
