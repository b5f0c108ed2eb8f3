"""Recordings of the withdrawal reflex: stimuli with their intensity, and a table of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io import emg, meps
from lbpneuro.io.files import read_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.positions import numbers
from lbpneuro.kernels import mep, mep_timing, reflex
from lbpneuro.markers.reflex import Reflexes

if TYPE_CHECKING:
    import pandas as pd

EPOCH_S = (-0.3, 0.4)
BLANK_FROM_S = -0.002
SHOWN_S = (-0.07, 0.25)
KEPT, NOISY, EARLY, LATE = "", "noisy_baseline", "early_response", "late_response"


def read_stimuli(path: Path, *, duration: float) -> pd.DataFrame:
    """Return the stimuli of an ``*_events.tsv``: onset (s), intensity, rating, place in a train (NaN: single).

    Rows without an intensity are other events.

    Raises
    ------
    InputError
        If the onset or the intensity is absent, no number, or an onset lies outside the recording of ``duration`` (s).
    """
    table = read_tsv(path, dtype=str)
    table.columns = [str(name).strip().lower() for name in table.columns]
    absent = [name for name in ("onset", "stim_ma") if name not in table]
    if absent:
        raise InputError(
            f"{path}: the columns {', '.join(absent)} are absent; a reflex needs the time of each stimulus (onset, s) "
            f"and its "
            "intensity (stim_mA)."
        )
    table = table.reindex(columns=["onset", "stim_ma", "rating", "train_position"])
    table = table.assign(**{name: numbers(table[name], path) for name in table.columns})
    table = table[table["stim_ma"].notna()]
    if table.empty:
        raise InputError(f"{path}: no stimulus has an intensity (stim_mA).")
    outside = table.index[~((table["onset"] >= 0) & (table["onset"] < duration))]
    if len(outside):
        raise InputError(
            f"{path}: row {outside[0] + 2} has an onset outside the recording of {duration:.3f} s; give onsets in "
            f"seconds "
            "from its start."
        )
    return table.sort_values("onset", kind="stable").reset_index(drop=True)


def read_responses(
    files: Sequence[Path], settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the table of responses of a recording, one row per stimulus, the sweeps, and facts of the recording.

    The sweeps have a column ``time_ms``, and one per row of the table, in uV.

    Raises
    ------
    LbpneuroError
        If the recording, its channels or its events cannot be used.
    """
    import pandas as pd

    path = next(path for path in files if entities(path).get("suffix") == "emg" and path.suffix in (".edf", ".bdf"))
    channels = emg.one_file(files, "channels", of=path, why="it names the muscles and units of the channels")
    events = emg.one_file(files, "events", of=path, why="without the stimuli there is no reflex")
    recording = emg.read_recording(path, channels)
    muscle = settings["muscle"]
    chosen = emg.select_muscles(recording, [muscle], windows={muscle: settings["window_ms"]})
    stimuli = read_stimuli(events, duration=recording.duration)
    epochs, times = emg.read_epochs(recording, chosen, onsets=stimuli["onset"].to_numpy(), window=EPOCH_S)
    if faults := window_faults(times, settings):
        raise InputError(f"{path}: {faults[0]}")
    low, high = settings["bandpass_hz"]
    whole, signal = np.asarray(np.isfinite(epochs[:, 0]).all(axis=-1)), np.nan_to_num(epochs[:, 0])
    hum = recording.mains_hz if settings["hum"] else None
    if hum is not None:
        # not on the baseline: what the fit takes of the muscle's activity there, it would not take of the response
        before = (float(times[0]), settings["baseline_ms"][0] / 1e3)
        signal = mep.subtract_hum(signal, times, frequency=hum, window=before)
    blanked = mep.blank_pulse(signal, times, window=(BLANK_FROM_S, settings["artifact_ms"] / 1e3))
    filtered = mep.band_pass(blanked, sfreq=recording.sfreq, band=(low, high))
    table = response_table(stimuli, filtered, times, whole=whole, settings=settings)
    shown = mep_timing.within(times, SHOWN_S)
    waves = {str(number): wave for number, wave in enumerate(filtered[:, shown] * 1e6)}
    sweeps = pd.DataFrame({"time_ms": times[shown] * 1e3, **waves}).astype("float32")
    facts = {"SamplingFrequency": recording.sfreq, "Muscle": muscle, "ResampledTo": reflex.SFREQ, "HumSubtracted": hum}
    return table, sweeps, facts


def window_faults(times: np.ndarray[Any, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return what to set, in words, where ``times`` (n_time,) of epochs (s) leave out the baseline or the window."""
    first, last = (bound / 1e3 for bound in settings["baseline_ms"])
    names = ("reflex.baseline_ms", "reflex.window_ms")
    return meps.window_faults(times, background=(first, last), last=settings["window_ms"][1] / 1e3, names=names)


def response_table(
    stimuli: pd.DataFrame,
    epochs: np.ndarray[Any, Any],
    times: np.ndarray[Any, Any],
    *,
    whole: np.ndarray[Any, Any],
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """Return measures, presence and rejection of every response; ``epochs`` (n_trial, n_time) in volts.

    A reflex is there if ``ipz`` and ``iz`` reach their cuts. Rejected are a baseline that is not quiet, activity that
    begins before the reflex can (RII, startle), and activity that begins after it (voluntary).
    """
    import pandas as pd

    slow, slow_times = reflex.at_one_kilohertz(epochs, times)
    window, baseline = (tuple(np.array(settings[name]) / 1e3) for name in ("window_ms", "baseline_ms"))
    early_s, late_s = np.array(settings["onset_ms"]) / 1e3
    search = settings["artifact_ms"] / 1e3
    scores = reflex.interval_scores(slow, slow_times, window=window, baseline=baseline, early=search)
    answered = (scores.peak_z >= settings["ipz_cut"]) & (scores.interval_z >= settings["iz_cut"])
    reason = np.full(len(stimuli), KEPT, dtype="<U16")
    reason[answered & (scores.onset > late_s)] = LATE
    reason[scores.onset < early_s] = EARLY
    noisy = ~(scores.baseline_sd * 1e6 <= settings["baseline_sd_max_uv"])
    reason[noisy | ~whole] = NOISY
    return stimuli.assign(
        ipz=scores.peak_z,
        iz=scores.interval_z,
        magnitude_d=scores.magnitude,
        onset_ms=scores.onset * 1e3,
        baseline_sd_uv=scores.baseline_sd * 1e6,
        reflex=answered.astype(int),
        reject=(reason != KEPT).astype(int),
        reject_reason=pd.Series(reason, dtype=object).replace(KEPT, None),
    )


def reflexes(table: pd.DataFrame, settings: Mapping[str, Any]) -> Reflexes:
    """Return the responses as arrays."""
    position = table["train_position"].to_numpy(dtype=float)
    first = table.loc[np.isnan(position) | (position == 1), "onset"].to_numpy(dtype=float)
    return Reflexes(
        stim_ma=table["stim_ma"].to_numpy(dtype=float),
        magnitude=table["magnitude_d"].to_numpy(dtype=float),
        interval_z=table["iz"].to_numpy(dtype=float),
        answered=(table["reflex"] == 1).to_numpy(),
        position=position,
        kept=(table["reject"] == 0).to_numpy(),
        interval_s=float(np.median(np.diff(first))) if len(first) > 1 else float("nan"),
        settings=settings,
    )


def rejections(table: pd.DataFrame, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how many responses were kept, and rejected for which reason."""
    counts = table.loc[table["reject"] != 0, "reject_reason"].value_counts()
    return [
        {
            "Task": settings["task"],
            "Muscle": settings["muscle"],
            "Trials": len(table),
            "Kept": int((table["reject"] == 0).sum()),
            "Rejected": {str(reason): int(count) for reason, count in sorted(counts.items())},
        }
    ]
