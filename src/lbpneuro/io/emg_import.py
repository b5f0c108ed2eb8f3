"""From a vendor's file to EMG-BIDS: pulses, sidecars and the recording itself, written through MNE-BIDS."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro import __version__
from lbpneuro.errors import InputError
from lbpneuro.io import meps, reflexes
from lbpneuro.io.emg import SFREQ_MIN, epoch_reach
from lbpneuro.io.files import read_json, write_json, write_text, write_tsv
from lbpneuro.io.muscles import known_muscle, side, vocabulary_text
from lbpneuro.io.nibs import DRAFTS
from lbpneuro.io.positions import numbers
from lbpneuro.io.vendor_emg import RAIL_SAMPLES, VendorRecording, longest_run
from lbpneuro.markers.plasticity import BASELINE

if TYPE_CHECKING:
    import pandas as pd

    from lbpneuro.io.vendor_positions import Positions

Array = NDArray[np.float64]

BIDS_VERSION = "1.11.1"
README = """\
Surface or intramuscular EMG around TMS pulses or electrical stimuli, converted by lbpneuro import-emg.
emg/ follows BIDS 1.11; nibs/ follows draft 6.3 of BEP037, which is no part of BIDS yet (see .bidsignore).
"""
LABEL = re.compile(r"^[A-Za-z0-9]+$")
REFRACTORY_S = 0.050
HEADROOM = 1.25
"""Range that is written where the amplifier's is not known, as a multiple of the largest sample: nothing is clipped."""
LONGEST_NAME = 16
EVENTS: Mapping[str, dict[str, Any]] = {
    "trial_type": {
        "Description": "Kind of the event.",
        "Levels": {"TMS": "TMS pulse, or pair of pulses", "electrical": "electrical stimulus of a nerve"},
    },
    "nibs_event_id": {"Description": "Stimulus template, a row of the table of the nibs folder."},
    "nibs_position_id": {"Description": "Position of the coil, a row of the markers table of the nibs folder."},
    "site_id": {"Description": "Stimulated site."},
    "block": {"Description": "Part of the protocol."},
    "hemisphere": {"Description": "Stimulated hemisphere.", "Levels": {"L": "left", "R": "right"}},
    "stim_type": {"Description": "Kind of the stimulus.", "Levels": {"single": "one pulse", "paired": "two pulses"}},
    "isi_ms": {"Description": "Interval between the pulses of a pair.", "Units": "ms"},
    "intensity_mso": {"Description": "Stimulus intensity.", "Units": "percent of the maximum stimulator output"},
    "rmt_mso": {"Description": "Resting motor threshold.", "Units": "percent of the maximum stimulator output"},
    "amt_mso": {"Description": "Active motor threshold.", "Units": "percent of the maximum stimulator output"},
    "x_mm": {"Description": "Position to the right of the vertex.", "Units": "mm"},
    "y_mm": {"Description": "Position in front of the vertex.", "Units": "mm"},
    "z_mm": {"Description": "Position upwards.", "Units": "mm"},
    "grid_x_cm": {"Description": "Position to the right of the vertex.", "Units": "cm"},
    "grid_y_cm": {"Description": "Position in front of the vertex.", "Units": "cm"},
    "stim_mA": {"Description": "Intensity of the electrical stimulus.", "Units": "mA"},
    "rating": {"Description": "Pain of the stimulus, 0 (none) to 100 (worst imaginable).", "Units": "1"},
    "train_position": {"Description": "Place of the stimulus in a train, from 1; n/a for single stimuli."},
}
"""Columns of events that lbpneuro knows, and what the data dictionary says of them."""

ELECTRICAL = "stim_mA"
"""The column that events of the withdrawal reflex have, and TMS pulses have not."""


def task_of(events: pd.DataFrame) -> str:
    """Return the task that events are of, by their columns and blocks."""
    if ELECTRICAL in events:
        return "reflex"
    return "plasticity" if "block" in events and BASELINE in set(events["block"]) else "motormap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a recording goes in a BIDS dataset, and what EMG-BIDS asks to be said of it.

    ``placement`` is ``Measured``, ``ChannelSpecific``, or a description of where the electrodes were; ``power_line`` is
    the mains frequency in Hz, None if it is not known.
    """

    root: Path
    subject: str
    task: str
    reference: str
    placement: str
    power_line: float | None
    session: str | None = None
    acquisition: str | None = None
    run: str | None = None
    software_filters: Any = "n/a"
    more: Mapping[str, Any] = field(default_factory=dict)

    def entities(self) -> dict[str, str]:
        """Return the entities of the recording by their long names, those that are absent left out."""
        named = {"session": self.session, "task": self.task, "acquisition": self.acquisition, "run": self.run}
        return {"subject": self.subject, **{key: value for key, value in named.items() if value is not None}}

    @property
    def scheme(self) -> str:
        """The EMGPlacementScheme that BIDS knows; a description makes it ``Other``."""
        return self.placement if self.placement in ("Measured", "ChannelSpecific") else "Other"

    @property
    def path(self) -> Path:
        """Where the recording is written."""
        return self.folder("emg") / f"{self._start}_emg.bdf"

    @property
    def _start(self) -> str:
        named = {"sub": self.subject, "ses": self.session, "task": self.task, "acq": self.acquisition, "run": self.run}
        return "_".join(f"{key}-{label}" for key, label in named.items() if label is not None)

    def folder(self, datatype: str) -> Path:
        """Return the folder of a kind of data of this visit."""
        return self.root / f"sub-{self.subject}" / (f"ses-{self.session}" if self.session else "") / datatype

    def table(self, suffix: str, datatype: str = "emg") -> Path:
        """Return where a table of the recording is written."""
        return self.folder(datatype) / f"{self._start}_{suffix}.tsv"

    def check(self) -> None:
        """Refuse labels that BIDS does not allow."""
        for name, label in self.entities().items():
            if not LABEL.match(label):
                raise InputError(f"--{name} {label!r}: BIDS labels are made of letters and digits only.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: the recording, its pulses, the largest rounding error (uV), and what there is to say."""

    path: Path
    n_pulse: int
    error_uv: float
    notes: tuple[str, ...]


# ----------------------------------------------------------------------------------------------------------- pulses


def find_pulses(recording: VendorRecording, how: str) -> Array:
    """Return when the pulses came (s): by ``epochs``, ``annotations[:PATTERN]``, or ``trigger:CHANNEL[:THRESHOLD]``.

    The threshold of a trigger channel is half way between its median and its largest value (in V), unless it is given;
    crossings upwards count, once per 50 ms.

    Raises
    ------
    InputError
        If the recording has no such thing, or none is found.
    """
    kind, _, rest = how.partition(":")
    finders = {"epochs": _by_epochs, "annotations": _by_annotations, "trigger": _by_trigger}
    if kind not in finders:
        raise InputError(f"--pulses {how}: expected epochs, annotations[:PATTERN] or trigger:CHANNEL[:THRESHOLD].")
    onsets = finders[kind](recording, rest)
    if not len(onsets):
        raise InputError(f"--pulses {how}: no pulse was found.")
    return onsets


def _by_epochs(recording: VendorRecording, _: str) -> Array:
    if recording.epoch_s is None or recording.pulse_s is None:
        raise InputError("--pulses epochs: the recording is continuous; give --events, or find the pulses otherwise.")
    if not 0 <= recording.pulse_s < recording.epoch_s:
        raise InputError(
            f"--pulse-ms {recording.pulse_s * 1e3:g}: the pulse is not in an epoch, which lasts "
            f"{recording.epoch_s * 1e3:.1f} ms."
        )
    n_epoch = round(recording.signal.shape[1] / (recording.epoch_s * recording.sfreq))
    return np.arange(n_epoch) * recording.epoch_s + recording.pulse_s


def _by_annotations(recording: VendorRecording, pattern: str) -> Array:
    labels = sorted({label for _, label in recording.marks})
    if not labels:
        raise InputError("--pulses annotations: the file marks nothing; give --events, or use a trigger channel.")
    chosen = [when for when, label in recording.marks if not pattern or re.search(pattern, label)]
    if not chosen:
        raise InputError(f"--pulses annotations:{pattern}: no mark matches; the file has {', '.join(labels)}.")
    if not pattern and len(labels) > 1:
        raise InputError(
            f"--pulses annotations: the file has marks of several kinds ({', '.join(labels)}); say which are pulses, "
            "--pulses annotations:PATTERN."
        )
    return np.array(chosen)


def _by_trigger(recording: VendorRecording, rest: str) -> Array:
    name, _, stated = rest.partition(":")
    signal = recording.signal[recording.channel(name)]
    middle = (np.median(signal) + signal.max()) / 2
    threshold = float(stated) if stated else float(middle)
    up = np.flatnonzero((signal[1:] >= threshold) & (signal[:-1] < threshold)) + 1
    kept: list[int] = []
    for sample in up.tolist():
        if not kept or sample - kept[-1] > REFRACTORY_S * recording.sfreq:
            kept.append(sample)
    return np.array(kept) / recording.sfreq


def read_events(path: Path) -> pd.DataFrame:
    """Return a table of pulses or trials, TSV or CSV, its columns by the names lbpneuro knows.

    ``onset_ms`` and ``sample`` become ``onset`` (s) where they stand in for it; ``sample`` counts from 0.

    Raises
    ------
    InputError
        If the file is no table, is empty, or holds text where numbers are needed.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{path}: there is no such file of events.")
    with path.open(encoding="utf-8-sig") as stream:
        first = stream.readline()
    separator = max("\t;,", key=first.count)
    table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", na_values=["n/a"], keep_default_na=False)
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise InputError(f"{path}: the table has no row.")
    known = {name.lower(): name for name in ("onset", "onset_ms", "sample", "duration", *EVENTS)}
    return table.rename(columns={name: known[name.lower()] for name in table.columns if name.lower() in known})


def events_table(
    recording: VendorRecording, *, events: Path | None, pulses: str | None, block: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the events of a recording, in temporal order, and the columns that are not written.

    The onsets come from the table of ``events``; where it has none, or there is none, from ``pulses`` (by default the
    epochs of an epoched recording), and its rows describe these pulses in their order.

    Raises
    ------
    InputError
        If there is no onset, there are as many rows as there are not pulses, or a pulse lies outside the recording.
    """
    import pandas as pd

    table = read_events(events) if events else pd.DataFrame()
    onset = _stated_onsets(table, recording, events)
    how = pulses or ("epochs" if recording.epoch_s is not None else None)
    if onset is None:
        if how is None:
            raise InputError(
                "Nothing says when the pulses came: give --events FILE with the column onset (s), onset_ms or sample, "
                "or --pulses annotations, --pulses trigger:CHANNEL."
            )
        onset = find_pulses(recording, how)
        if events and len(table) != len(onset):
            raise InputError(f"{events}: {len(table)} rows describe {len(onset)} pulses; one row per pulse is needed.")
    outside = np.flatnonzero(~((onset >= 0) & (onset < recording.signal.shape[1] / recording.sfreq)))
    if len(outside):
        raise InputError(
            f"{events}: row {outside[0] + 2} has onset {onset[outside[0]]:g} s, outside the recording of "
            f"{recording.signal.shape[1] / recording.sfreq:.3f} s ({len(outside)} such rows)."
        )
    kept = [name for name in EVENTS if name in table]
    left = [str(name) for name in table.columns if name not in (*EVENTS, "onset", "onset_ms", "sample", "duration")]
    kind = "electrical" if ELECTRICAL in kept else "TMS"
    written = pd.DataFrame({"onset": onset, "duration": 0.0, "trial_type": kind})
    written = written.assign(**{name: table[name].to_numpy() for name in kept})
    if block is not None:
        written = written.assign(block=block)
    return written.sort_values("onset", kind="stable").reset_index(drop=True), left


def _stated_onsets(table: pd.DataFrame, recording: VendorRecording, path: Path | None) -> Array | None:
    factors = {"onset": 1.0, "onset_ms": 1e-3, "sample": 1 / recording.sfreq}
    name = next((column for column in factors if column in table), None)
    if name is None or path is None:
        return None
    values = numbers(table[name], path)
    missing = values.index[values.isna()]
    if len(missing):
        raise InputError(f"{path}: row {missing[0] + 2}, column {name}: a pulse needs its time.")
    return values.to_numpy() * factors[name]


# ---------------------------------------------------------------------------------------------------------- writing


def muscles_of(recording: VendorRecording, pairs: Sequence[str]) -> dict[int, str]:
    """Return the muscle of each channel that is kept, from ``CHANNEL=MUSCLE``; ``right FDI`` states the side, too.

    Raises
    ------
    InputError
        If there is no such channel or muscle, or a channel is named twice.
    """
    chosen: dict[int, str] = {}
    for pair in pairs:
        channel, sign, muscle = pair.partition("=")
        known = known_muscle(muscle)
        if not sign or known is None:
            raise InputError(
                f"--muscle {pair}: expected CHANNEL=MUSCLE with a muscle out of {vocabulary_text()}; right or left "
                "before it states the side."
            )
        place = recording.channel(channel)
        if place in chosen:
            raise InputError(f"--muscle {pair}: channel {channel} is given twice.")
        of_body = {"R": "right ", "L": "left ", None: ""}[side(muscle)]
        chosen[place] = f"{of_body}{known}"
    return chosen


def settings_needed(
    recording: VendorRecording, muscles: Sequence[str], events: pd.DataFrame, *, task: str, config: Mapping[str, Any]
) -> list[str]:
    """Return what must be set before a recording gives values, in words, where ``config`` are the settings.

    A marker must read its task and a muscle of it, the muscle needs a response window, and epochs must reach over
    the background and the response.
    """
    names = [known_muscle(muscle) or muscle for muscle in muscles]
    named = meps.named_muscles(task, config)
    if named is None:
        tasks = ", ".join(dict.fromkeys(_tasks(config)))
        return [f"No marker reads the task {task}; --task is one of {tasks}, or set the task of the family."]
    found, (setting, wanted) = [], named
    if not set(wanted) & set(names):
        here = f"[{', '.join(names[:2])}]" if setting.endswith("muscles") else names[0]
        found.append(f"The task {task} is read for {' and '.join(wanted)}; set `{setting}: {here}`.")
    of_reflex = task == config["reflex"]["task"]
    windows = {} if of_reflex else config["mep"]["windows_ms"]
    if not of_reflex:
        without = [name for name in dict.fromkeys(names) if name not in windows]
        text = "{0} has no response window; set `mep.windows_ms: {{{0}: [FIRST, LAST]}}` (ms)."
        found += [text.format(name) for name in without]
    if recording.epoch_s is not None:
        known = [windows[name][1] for name in names if name in windows]
        found += _faults_of_epochs(recording, events, config, last_ms=None if of_reflex else max(known, default=0.0))
    return found


def _tasks(config: Mapping[str, Any]) -> list[str]:
    of_tms = [config[family]["task"] for family in ("tms", "plasticity", "excitability", "reflex")]
    return [*of_tms, config["excitability"]["task_active"]]


def _faults_of_epochs(
    recording: VendorRecording, events: pd.DataFrame, config: Mapping[str, Any], *, last_ms: float | None
) -> list[str]:
    """What to set where epochs are too short; ``last_ms`` ends the response windows of MEPs, None: of the reflex."""
    import pandas as pd

    stated = events["isi_ms"] if "isi_ms" in events else pd.Series(0.0, events.index)
    interval = pd.to_numeric(stated, errors="coerce").fillna(0.0).to_numpy() / 1e3
    onset = events["onset"].to_numpy(dtype=float) + interval
    first, last = epoch_reach(onset, sfreq=recording.sfreq, length=float(recording.epoch_s or 0.0))
    times = np.arange(first, last + 1) / recording.sfreq
    if last_ms is None:
        faults = reflexes.window_faults(times, config["reflex"])
    else:
        begin, end = (bound / 1e3 for bound in config["mep"]["background_ms"])
        faults = meps.window_faults(times, background=(begin, end), last=last_ms / 1e3, longest=float(interval.max()))
    return [fault[0].upper() + fault[1:] for fault in faults]


def write_recording(
    recording: VendorRecording,
    target: Target,
    *,
    muscles: Mapping[int, str],
    events: pd.DataFrame,
    positions: Positions | None = None,
    overwrite: bool = False,
) -> Written:
    """Write a recording into a BIDS dataset as BDF with its sidecars, events and positions.

    Raises
    ------
    InputError
        If it is there already, is sampled below 1000 Hz, or a label is not allowed.
    """
    target.check()
    if recording.sfreq < SFREQ_MIN:
        raise InputError(f"Sampled at {recording.sfreq:g} Hz; motor-evoked potentials need {SFREQ_MIN:g} Hz or more.")
    if target.path.exists() and not overwrite:
        raise InputError(f"{target.path}: is there already; add --overwrite, or another --run.")
    signal = recording.signal[list(muscles)]
    full = [recording.names[place] for place in muscles]
    limits, notes = _limits(recording, signal)
    description = _description(target.root)
    notes += _write_signal(signal, _short_names(full), target, sfreq=recording.sfreq, limits=limits)
    write_json(target.root / "dataset_description.json", description)
    if not any(target.root.glob("README*")):
        write_text(target.root / "README", README)
    _write_sidecar(recording, target, n_channel=len(full))
    _write_channels(target, full, list(muscles.values()))
    _write_events(target.table("events"), events)
    if positions is not None:
        _write_positions(target, positions)
    _ignore_nibs(target.root)
    error = _round_trip(target.path, signal)
    return Written(path=target.path, n_pulse=len(events), error_uv=error, notes=tuple(notes))


def _write_signal(
    signal: Array, names: Sequence[str], target: Target, *, sfreq: float, limits: tuple[float, float]
) -> list[str]:
    """Write the signal through MNE-BIDS; return what there is to say of its sampling rate."""
    import mne
    import mne_bids

    info = mne.create_info(list(names), sfreq, "emg")
    info["line_freq"] = target.power_line
    raw = mne.io.RawArray(_whole_seconds(signal, sfreq), info, verbose="error")
    path = mne_bids.BIDSPath(**target.entities(), datatype="emg", suffix="emg", extension=".bdf", root=target.root)
    options: dict[str, Any] = {"format": "BDF", "allow_preload": True, "overwrite": True, "readme": False}
    options |= {"emg_placement": target.scheme, "physical_range": tuple(1e6 * end for end in limits)}
    with warnings.catch_warnings():  # the description is restored, and EMG is younger than what MNE-BIDS writes in it
        warnings.filterwarnings("ignore", "Conflicting BIDSVersion", UserWarning)
        mne_bids.write_raw_bids(raw, path, verbose="error", **options)
    whole = float(sfreq).is_integer()
    return (
        [] if whole else [f"The rate of {sfreq:g} Hz is no whole number; in BDF it is true to one part in a million."]
    )


def _description(root: Path) -> dict[str, Any]:
    """The description of the dataset as it is, or of a new one; MNE-BIDS would fill in what it does not know."""
    path = root / "dataset_description.json"
    if path.exists():
        return read_json(path)
    made = {"Name": "lbpneuro import-emg", "Version": __version__}
    return {"Name": root.resolve().name, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "GeneratedBy": [made]}


def _short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of at most 16 characters, which BDF allows, all different."""
    short: list[str] = []
    for name in names:
        cut = name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME]
        number = 2
        while cut in short:
            cut = f"{name[: LONGEST_NAME - 1 - len(str(number))]}_{number}"
            number += 1
        short.append(cut)
    return tuple(short)


def _limits(recording: VendorRecording, signal: Array) -> tuple[tuple[float, float], list[str]]:
    """The range (V) that is written: the amplifier's, or the rail that the signal lies at, or one with headroom."""
    largest = float(np.abs(signal).max()) or 1e-6
    if recording.limits is not None:
        end = max(*map(abs, recording.limits), largest)
        return (-end, end), []
    at_rail = longest_run(np.isclose(np.abs(signal), largest, rtol=1e-6))
    if at_rail >= RAIL_SAMPLES:
        said = f"The signal stays at {largest * 1e3:.4g} mV for {at_rail} samples: taken for the end of the range."
        return (-largest, largest), [said]
    return (-HEADROOM * largest, HEADROOM * largest), [RANGE_UNKNOWN]


RANGE_UNKNOWN = (
    "The range of the amplifier is not in the file: responses that it cut off will not be noticed. "
    "--amplifier-mv states it."
)


def _whole_seconds(signal: Array, sfreq: float) -> Array:
    """The signal, its last sample repeated to fill a record: BDF is made of records of a second or a little less."""
    return np.pad(signal, ((0, 0), (0, -signal.shape[1] % int(sfreq))), mode="edge")


def _round_trip(path: Path, signal: Array) -> float:
    """The largest difference (uV) between what was written and what is read."""
    import mne

    read = mne.io.read_raw_bdf(path, preload=True, stim_channel=None, verbose="error").get_data()
    return float(np.abs(read[:, : signal.shape[1]] - signal).max() * 1e6)


GUESSED = ("Manufacturer", "EEGChannelCount", "EOGChannelCount", "ECGChannelCount", "MiscChannelCount")
"""What MNE-BIDS fills in of the container format (a BDF file is of BioSemi), or counts though there is none."""


def _write_sidecar(recording: VendorRecording, target: Target, *, n_channel: int) -> None:
    path = target.path.with_suffix(".json")
    sidecar = {
        key: value for key, value in read_json(path).items() if key not in GUESSED and value not in ("n/a", None)
    }
    sidecar |= {
        "TaskName": target.task,
        "EMGPlacementScheme": target.scheme,
        "EMGReference": target.reference,
        "SamplingFrequency": recording.sfreq,
        "PowerLineFrequency": "n/a" if target.power_line is None else target.power_line,
        "RecordingType": "continuous",
        "RecordingDuration": recording.signal.shape[1] / recording.sfreq,
        "SoftwareFilters": target.software_filters,
        "EMGChannelCount": n_channel,
    }
    if recording.epoch_s is not None:
        sidecar |= {"RecordingType": "epoched", "EpochLength": recording.epoch_s}
    if target.scheme == "Other":
        sidecar |= {"EMGPlacementSchemeDescription": target.placement}
    write_json(path, {**sidecar, **target.more})


def _write_channels(target: Target, full: Sequence[str], muscles: Sequence[str]) -> None:
    import pandas as pd

    names = _short_names(full)
    table = pd.DataFrame({"name": names, "type": "EMG", "units": "uV", "reference": target.reference})
    table = table.assign(target_muscle=list(muscles), status="good")
    if list(full) != list(names):
        table = table.assign(description=[f"channel {name}" for name in full])
    write_tsv(target.table("channels"), table)


def _write_events(path: Path, events: pd.DataFrame) -> None:
    write_tsv(path, events)
    write_json(path.with_suffix(".json"), {name: about for name, about in EVENTS.items() if name in events})


def _write_positions(target: Target, positions: Positions) -> None:
    markers = target.table("markers", "nibs")
    table = positions.table.drop(columns="intensity_mso", errors="ignore")
    write_tsv(markers, table.rename(columns={"site_id": DRAFTS[0].position}))
    write_json(markers.with_suffix(".json"), {"nibs_position_id": EVENTS["nibs_position_id"]})
    frame = {
        "NIBSCoordinateSystem": positions.system,
        "NIBSCoordinateUnits": "mm",
        "NIBSCoordinateSystemDescription": positions.description,
    }
    write_json(target.table("coordsystem", "nibs").with_suffix(".json"), frame)


def _ignore_nibs(root: Path) -> None:
    """Have the validator pass over nibs/, which is no part of BIDS yet."""
    ignored = root / ".bidsignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.exists() else []
    if not any(line.strip().strip("/*") == "nibs" for line in lines):
        write_text(ignored, "\n".join([*lines, "nibs"]) + "\n")
