"""Recordings as amplifiers and other programs write them: a signal in volts, its marks, and epochs if it has any."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io.emg import VOLTS, read_header

if TYPE_CHECKING:
    import mne
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRecording:
    """A recording of any format.

    Attributes
    ----------
    signal : (n_channel, n_sample)
        In volts; epochs one after another.
    names, sfreq
        Of the channels, and in Hz.
    marks
        Onset (s) and label of what the file itself marks: annotations, triggers, events.
    epoch_s
        Length of an epoch (s); None if the recording is continuous. ``pulse_s`` is when in it the pulse comes, if the
        file says so.
    limits
        Range (V) that the amplifier could record, where the file says so.
    """

    signal: Array
    names: tuple[str, ...]
    sfreq: float
    marks: tuple[tuple[float, str], ...] = ()
    epoch_s: float | None = None
    pulse_s: float | None = None
    limits: tuple[float, float] | None = None

    def channel(self, name: str) -> int:
        """Return the place of a channel given by name, or by number from 1.

        Raises
        ------
        InputError
            If there is no such channel.
        """
        if name in self.names:
            return self.names.index(name)
        if name.isdecimal() and 1 <= int(name) <= len(self.names):
            return int(name) - 1
        raise InputError(f"There is no channel {name!r}; the file has {', '.join(self.names)} (or give its number).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a file that is no recording format does not say itself.

    ``axes`` of an array are words out of time, trial, channel in their order; ``pulse_s`` marks epochs and says when in
    them the pulse comes; ``channels`` are those that are wanted, where a file has channels of several rates.
    """

    units: str | None = None
    sfreq: float | None = None
    variable: str | None = None
    axes: tuple[str, ...] | None = None
    pulse_s: float | None = None
    channels: tuple[str, ...] = ()


UNREADABLE: Mapping[str, str] = {
    ".cfs": "CED Signal: export it as .mat (File > Export As) or as text",
    ".smrx": "Spike2, 64 bit: export it as .smr (File > Export As, 32 bit), .mat or text; its reader is closed source",
    ".adicht": "LabChart: export it as EDF, .mat or text; its reader runs on Windows only",
    ".acq": "AcqKnowledge: save it as EDF, .mat or text",
    ".xls": "save the sheet as CSV",
    ".xlsx": "save the sheet as CSV",
}
"""Formats that are not read, and what to do instead."""
ELSE = "It is none of the formats that are read: export it as EDF, .mat or text (Neurosoft: EDF or ASCII)"


def read_vendor(path: Path, hints: Hints) -> VendorRecording:
    """Return the recording in a file of EDF, BDF, BrainVision, EEGLAB, Spike2 (.smr), MATLAB, CSV or TSV.

    Raises
    ------
    InputError
        If the file is absent, of a format that no open program reads, broken, or does not say what is needed.
    UnitError
        If the unit of the signal is neither in the file nor in ``hints``.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    extension = path.suffix.lower()
    reader = READERS.get(extension)
    if reader is None:
        what = UNREADABLE.get(extension, ELSE)
        known = ", ".join(sorted(READERS))
        raise InputError(f"{path}: {extension or 'a file without extension'} cannot be read. {what}. Read are {known}.")
    try:
        recording = reader(path, hints)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # the readers of a dozen formats raise what they like on broken files
        raise InputError(f"{path}: this {extension[1:]} file cannot be read ({error}); export it again.") from error
    if recording.signal.size == 0:
        raise InputError(f"{path}: the file holds no sample.")
    return recording


def _factor(unit: str | None, hints: Hints, *, path: Path, what: str = "the signal") -> float:
    """The factor to volts of a unit in the file, or else of that of the hints."""
    chosen = unit if unit in VOLTS else hints.units
    if chosen is None:
        stated = f" ({unit!r} is no voltage)" if unit else ""
        raise UnitError(f"{path}: the file does not say in which unit {what} is{stated}; add --units uV, mV or V.")
    if unit in VOLTS and hints.units is not None and VOLTS[hints.units] != VOLTS[unit]:
        raise UnitError(f"{path}: --units says {hints.units}, but the file says that {what} is in {unit}.")
    return VOLTS[chosen]


# ----------------------------------------------------------------------------------------------------- read by MNE


def _from_raw(
    raw: mne.io.BaseRaw, *, scale: Array | float = 1.0, limits: tuple[float, float] | None
) -> VendorRecording:
    marks = [(float(each["onset"]), str(each["description"])) for each in raw.annotations]
    return VendorRecording(
        signal=raw.get_data(verbose="error") * scale,
        names=tuple(raw.ch_names),
        sfreq=float(raw.info["sfreq"]),
        marks=tuple(sorted(marks)),
        limits=limits,
    )


def _edf(path: Path, hints: Hints) -> VendorRecording:
    import mne

    header = read_header(path)
    read = mne.io.read_raw_bdf if path.suffix.lower() == ".bdf" else mne.io.read_raw_edf
    raw = read(path, preload=True, stim_channel=None, verbose="error")
    own = [header[name] for name in raw.ch_names if name in header]
    in_volts = [_factor(each.unit, hints, path=path) for each in own]
    factors = [1.0 if each.unit in VOLTS else factor for each, factor in zip(own, in_volts, strict=True)]
    bounds = [[bound * factor for bound in each.physical_range] for each, factor in zip(own, in_volts, strict=True)]
    same = len({tuple(pair) for pair in bounds}) == 1
    recording = _from_raw(raw, scale=np.array(factors)[:, None], limits=None)
    known = same and is_amplifier_range(recording.signal, (min(bounds[0]), max(bounds[0])))
    return replace(recording, limits=(min(bounds[0]), max(bounds[0])) if known else None)


RAIL_SAMPLES = 4


def is_amplifier_range(signal: Array, limits: tuple[float, float]) -> bool:
    """Return whether the range of a header is that of an amplifier.

    Writers that know of none put the extremes of the signal there. These are touched by single samples, whereas an
    amplifier that is driven beyond its range stays there.
    """
    margin = 0.01 * (limits[1] - limits[0])
    inside = limits[0] + margin < signal.min() and signal.max() < limits[1] - margin
    return bool(
        inside or any(longest_run(np.isclose(signal, end, atol=margin / 1e3)) >= RAIL_SAMPLES for end in limits)
    )


def longest_run(mask: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True along the last axis."""
    edges = np.diff(np.pad(mask.astype(np.int8), [(0, 0)] * (mask.ndim - 1) + [(1, 1)]), axis=-1).ravel()
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))


def _brainvision(path: Path, _: Hints) -> VendorRecording:
    import mne

    return _from_raw(mne.io.read_raw_brainvision(path, preload=True, verbose="error"), limits=None)


def _eeglab(path: Path, _: Hints) -> VendorRecording:
    """A data set of EEGLAB, which is in uV by its convention; one of epochs has the pulse at time 0."""
    import mne

    try:
        return _from_raw(mne.io.read_raw_eeglab(path, preload=True, verbose="error"), limits=None)
    except TypeError:
        epochs = mne.io.read_epochs_eeglab(path, verbose="error")
    data = epochs.get_data(copy=True)
    return VendorRecording(
        signal=_one_after_another(data),
        names=tuple(epochs.ch_names),
        sfreq=float(epochs.info["sfreq"]),
        epoch_s=data.shape[-1] / float(epochs.info["sfreq"]),
        pulse_s=-float(epochs.times[0]),
    )


def _one_after_another(data: Array) -> Array:
    """Epochs (n_trial, n_channel, n_time) as one signal (n_channel, n_trial * n_time)."""
    return np.ascontiguousarray(data.transpose(1, 0, 2).reshape(data.shape[1], -1))


# --------------------------------------------------------------------------------------------------- Spike2 by Neo


def _spike2(path: Path, hints: Hints) -> VendorRecording:
    import neo.rawio

    reader = neo.rawio.Spike2RawIO(filename=str(path))
    reader.parse_header()
    if reader.segment_count(0) != 1:
        raise InputError(f"{path}: recorded in {reader.segment_count(0)} pieces; export each as a file of its own.")
    channels = reader.header["signal_channels"]
    wanted = np.isin(channels["name"], hints.channels)
    channels = channels[wanted] if wanted.sum() == len(set(hints.channels)) > 0 else channels
    rates = {float(rate) for rate in channels["sampling_rate"]}
    if len(rates) != 1:
        raise InputError(
            f"{path}: the channels are sampled at {', '.join(f'{rate:g}' for rate in sorted(rates))} Hz; name those "
            "that are wanted, which must be of one rate, or export them alone."
        )
    pieces, names, bounds = [], [], []
    for stream, identity in enumerate(reader.header["signal_streams"]["id"]):
        own = channels[channels["stream_id"] == identity]
        chosen = {"stream_index": stream, "channel_ids": list(own["id"])}
        if not len(own):
            continue
        raw = reader.get_analogsignal_chunk(**chosen)
        signal = reader.rescale_signal_raw_to_float(raw, dtype="float64", **chosen)
        for column, channel in zip(signal.T, own, strict=True):
            factor = _factor(str(channel["units"]).strip(), hints, path=path, what=f"channel {channel['name']}")
            pieces.append(column * factor)
            names.append(str(channel["name"]))
            ends = np.array([-32768, 32767]) * channel["gain"] + channel["offset"]
            bounds.append(tuple(float(end) for end in np.sort(ends * factor)))
    length = min(len(piece) for piece in pieces)
    return VendorRecording(
        signal=np.stack([piece[:length] for piece in pieces]),
        names=tuple(names),
        sfreq=rates.pop(),
        marks=_spike2_marks(reader),
        limits=bounds[0] if len(set(bounds)) == 1 else None,  # type: ignore[arg-type]
    )


def _spike2_marks(reader: Any) -> tuple[tuple[float, str], ...]:
    marks = []
    for number, channel in enumerate(reader.header["event_channels"]):
        times, _, labels = reader.get_event_timestamps(event_channel_index=number)
        seconds = reader.rescale_event_timestamp(times, event_channel_index=number)
        marks += [
            (float(when), f"{channel['name']} {label}".strip()) for when, label in zip(seconds, labels, strict=True)
        ]
    return tuple(sorted(marks))


# ------------------------------------------------------------------------------------------------ arrays and tables


def _matlab(path: Path, hints: Hints) -> VendorRecording:
    """An array of samples with axes as the hints say, or the channels of Spike2's own export (structures)."""
    import pymatreader

    content = pymatreader.read_mat(path)
    channels = {name: value for name, value in content.items() if _is_spike2_channel(value)}
    if channels and hints.variable is None:
        return _spike2_export(channels, hints, path=path)
    arrays = {
        name: np.asarray(value, dtype=float)
        for name, value in content.items()
        if not name.startswith("__") and isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim >= 1
    }
    if hints.variable is not None and hints.variable not in arrays:
        raise InputError(f"{path}: there is no array {hints.variable!r}; the file has {_shapes(arrays)}.")
    names = [hints.variable] if hints.variable is not None else [name for name in arrays if arrays[name].ndim >= 2]
    if len(names) != 1:
        raise InputError(f"{path}: name the array with the signal, --variable NAME; the file has {_shapes(arrays)}.")
    if hints.sfreq is None:
        raise InputError(f"{path}: an array has no sampling rate; add --sfreq HZ.")
    return _from_array(arrays[names[0]], names[0], sfreq=hints.sfreq, unit=None, hints=hints, path=path)


def _shapes(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} ({' x '.join(map(str, each.shape))})" for name, each in arrays.items()) or "no array"


def _is_spike2_channel(value: Any) -> bool:
    return isinstance(value, dict) and {"values", "interval", "units", "title"} <= value.keys()


def _spike2_export(channels: Mapping[str, Any], hints: Hints, *, path: Path) -> VendorRecording:
    """Waveform channels of a .mat file that Spike2 exported: values, interval (s), units and title of each."""
    intervals = {float(each["interval"]) for each in channels.values()}
    if len(intervals) != 1:
        raise InputError(f"{path}: the channels are sampled at several rates; export those of one rate.")
    signals = [
        np.ravel(each["values"]).astype(float) * _factor(str(each["units"]), hints, path=path, what=str(each["title"]))
        for each in channels.values()
    ]
    length = min(map(len, signals))
    return VendorRecording(
        signal=np.stack([signal[:length] for signal in signals]),
        names=tuple(str(each["title"]) or name for name, each in channels.items()),
        sfreq=1 / intervals.pop(),
    )


AXES = ("time", "trial", "channel")


def _from_array(
    array: Array, name: str, *, sfreq: float, unit: str | None, hints: Hints, path: Path, names: tuple[str, ...] = ()
) -> VendorRecording:
    """The recording in an array whose axes are stated, or are those that there can be."""
    default = (
        ("time",) if array.ndim == 1 else (("time", "trial") if hints.pulse_s is not None else ("time", "channel"))
    )
    axes = hints.axes or default
    if len(axes) != array.ndim or "time" not in axes or len(set(axes)) != len(axes) or not set(axes) <= set(AXES):
        raise InputError(
            f"{path}: {name} has {array.ndim} axes ({' x '.join(map(str, array.shape))}); name them in their order "
            f"with --axes, out of {', '.join(AXES)}, for example --axes time,trial."
        )
    if ("trial" in axes) != (hints.pulse_s is not None):
        need = (
            "say when the pulse comes in a trial, --pulse-ms MS"
            if "trial" in axes
            else "name the axis of trials, --axes"
        )
        raise InputError(f"{path}: {name} is read as {' x '.join(axes)}; {need}.")
    missing = [axis for axis in AXES if axis not in axes]
    whole = np.expand_dims(array, tuple(range(array.ndim, 3)))
    order = [(*axes, *missing).index(axis) for axis in ("trial", "channel", "time")]
    data = whole.transpose(order) * _factor(unit, hints, path=path)
    if not np.isfinite(data).all():
        raise InputError(
            f"{path}: {name} holds {int((~np.isfinite(data)).sum())} samples that are no numbers; remove them."
        )
    labels = names or ((name,) if data.shape[1] == 1 else tuple(f"{name}{i}" for i in range(1, data.shape[1] + 1)))
    return VendorRecording(
        signal=_one_after_another(data),
        names=labels,
        sfreq=sfreq,
        epoch_s=data.shape[-1] / sfreq if "trial" in axes else None,
        pulse_s=hints.pulse_s,
    )


TIME_COLUMN = re.compile(r"^\s*time\s*[_(\[]?\s*(?P<unit>s|sec|ms)?\s*[)\]]?\s*$", re.IGNORECASE)
TRIAL_COLUMNS = ("trial", "epoch", "frame", "sweep")
UNIT_IN_NAME = re.compile(r"[_ ]*[(\[]?(?P<unit>[uµμ]V|mV|V)[)\]]?$")


def _text(path: Path, hints: Hints) -> VendorRecording:
    """A table with a column per channel (or, with axes time,trial, per trial), a time column or a stated rate.

    A column trial, epoch, frame or sweep makes its rows epochs; units may stand in the names of columns.
    """
    table = _read_text(path)
    time = next((name for name in table.columns if TIME_COLUMN.match(str(name))), None)
    sfreq = hints.sfreq or _rate(table, time, path=path)
    table = table.drop(columns=[] if time is None else [time])
    trial = next((name for name in table.columns if str(name).strip().lower() in TRIAL_COLUMNS), None)
    if trial is not None:
        return _long_epochs(table, trial, sfreq=sfreq, hints=hints, path=path)
    units = {found["unit"] for name in table.columns if (found := UNIT_IN_NAME.search(str(name)))}
    if len(units) > 1:
        raise UnitError(f"{path}: the columns are in several units ({', '.join(sorted(units))}); bring them to one.")
    names = () if hints.axes and "trial" in hints.axes else tuple(map(str, table.columns))
    values = table.to_numpy(dtype=float)
    if hints.axes is None and hints.pulse_s is None:
        hints = Hints(units=hints.units, sfreq=hints.sfreq, axes=("time", "channel"))
    unit = units.pop() if units else None
    return _from_array(values, path.stem, sfreq=sfreq, unit=unit, hints=hints, path=path, names=names)


def _read_text(path: Path) -> pd.DataFrame:
    import pandas as pd

    with path.open(encoding="utf-8-sig") as stream:
        first = stream.readline()
    separator = max("\t;,", key=first.count)
    table = pd.read_csv(path, sep=separator, decimal="," if separator == ";" else ".", encoding="utf-8-sig")
    text = [str(name) for name in table.columns if table[name].dtype.kind not in "fiu"]
    if text:
        raise InputError(f"{path}: the column {text[0]} holds text; expected a row of names, then numbers.")
    return table


def _rate(table: pd.DataFrame, time: Any, *, path: Path) -> float:
    """The sampling rate of a time column, which must run evenly (within a trial)."""
    if time is None:
        raise InputError(f"{path}: there is no column time_s or time_ms; add one, or --sfreq HZ.")
    unit = TIME_COLUMN.match(str(time))["unit"]  # type: ignore[index]
    if unit is None:
        raise InputError(f"{path}: the column {time} has no unit; name it time_s or time_ms, or add --sfreq HZ.")
    steps = np.diff(table[time].to_numpy(dtype=float)) * (1e-3 if unit.lower() == "ms" else 1.0)
    step = float(np.median(steps))
    uneven = np.abs(steps - step) > 0.02 * abs(step)
    if step <= 0 or uneven.mean() > 0.02:
        raise InputError(f"{path}: the column {time} does not run evenly; export with a constant sampling rate.")
    return float(f"{1 / step:.6g}")


def _long_epochs(table: pd.DataFrame, trial: Any, *, sfreq: float, hints: Hints, path: Path) -> VendorRecording:
    lengths = table.groupby(trial, sort=False).size()
    if lengths.nunique() != 1:
        raise InputError(
            f"{path}: the trials have {lengths.min()} to {lengths.max()} samples; export them equally long."
        )
    names = tuple(str(name) for name in table.columns if name != trial)
    units = {found["unit"] for name in names if (found := UNIT_IN_NAME.search(name))}
    values = np.concatenate([part[list(names)].to_numpy(dtype=float) for _, part in table.groupby(trial, sort=False)])
    data = values.reshape(len(lengths), int(lengths.iloc[0]), len(names))
    own = Hints(units=hints.units, axes=("trial", "time", "channel"), pulse_s=hints.pulse_s)
    unit = units.pop() if len(units) == 1 else None
    return _from_array(data, path.stem, sfreq=sfreq, unit=unit, hints=own, path=path, names=names)


READERS: Mapping[str, Callable[[Path, Hints], VendorRecording]] = {
    ".edf": _edf,
    ".bdf": _edf,
    ".vhdr": _brainvision,
    ".set": _eeglab,
    ".smr": _spike2,
    ".mat": _matlab,
    ".csv": _text,
    ".tsv": _text,
    ".txt": _text,
}
