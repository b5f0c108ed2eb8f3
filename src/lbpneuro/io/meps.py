"""Tables of motor-evoked potentials: one row per TMS pulse and channel, written here or supplied by a lab."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.config import source_status
from lbpneuro.io.emg import CONTRACTED_S, EPOCH_S, SFREQ_GOOD, VOLTS, Channel, Recording
from lbpneuro.io.files import raise_upstream_error, read_json, read_tsv, write_json, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.muscles import known_muscle
from lbpneuro.io.positions import numbers, sides, with_millimetres
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels import coil, mep, mep_timing
from lbpneuro.kernels.mep_timing import Window
from lbpneuro.kernels.tangent import TangentPlane, tangent_plane

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("lbpneuro")
Array = NDArray[np.float64]

COLUMNS: dict[str, tuple[str, str]] = {
    "trial": ("Number of the pulse in the recording, from 1.", ""),
    "onset_s": ("Time of the pulse from the start of the recording.", "s"),
    "channel": ("EMG channel.", ""),
    "target_muscle": ("Muscle under the channel.", ""),
    "hemisphere": ("Stimulated hemisphere.", ""),
    "site_id": ("Stimulated position.", ""),
    "x_mm": ("Position to the right, of a grid from the vertex.", "mm"),
    "y_mm": ("Position to the front, of a grid from the vertex.", "mm"),
    "z_mm": ("Position upwards; n/a on a grid.", "mm"),
    "tilt_deg": ("Angle of the coil's normal to the usual one at this place.", "deg"),
    "turn_deg": ("Angle of the direction of the coil to the usual one at this place.", "deg"),
    "block": ("Block of the protocol.", ""),
    "stim_type": ("single or paired pulse.", ""),
    "isi_ms": ("Interval between the pulses of a pair; the response is that to the second.", "ms"),
    "intensity_mso": ("Stimulator output, of a pair that of the second pulse.", "%"),
    "conditioning_mso": ("Stimulator output of the first pulse of a pair.", "%"),
    "rmt_mso": ("Resting motor threshold that the study states.", "%"),
    "amt_mso": ("Active motor threshold that the study states.", "%"),
    "p2p_uv": ("Peak-to-peak amplitude in the response window.", "uV"),
    "p2p_corr_uv": ("Peak-to-peak above that of noise in a window as long; negative where noise had more.", "uV"),
    "rms_uv": ("Root mean square between onset and offset of the muscle's average response.", "uV"),
    "bg_rms_uv": ("Root mean square in the background window.", "uV"),
    "bg_mean_uv": ("Mean of the rectified signal in the background window.", "uV"),
    "rms_corr_uv": ("Root mean square above the background; negative where the background had more.", "uV"),
    "shape_uv": ("Share of the muscle's average response in the trial, as peak-to-peak; linear, signed.", "uV"),
    "area_uvms": ("Area of the rectified signal above the background, where the RMS is taken; signed.", "uV*ms"),
    "latency_ms": ("Onset of the response from the pulse; n/a without a response.", "ms"),
    "silent_period_ms": ("From the onset of the response to the return of the background (contracted muscles).", "ms"),
    "silent_period_reason": ("Why there is no silent period: at_rest, no_response, no_silence, not_returned.", ""),
    "reject": ("1: the trial is not used.", ""),
    "reject_reason": ("Why the trial is not used.", ""),
}
TEXT = (
    "trial",
    "channel",
    "target_muscle",
    "hemisphere",
    "site_id",
    "block",
    "stim_type",
    "silent_period_reason",
    "reject_reason",
)
ALIASES = {
    "site": "site_id",
    "nibs_position_id": "site_id",
    "muscle": "target_muscle",
    "hemi": "hemisphere",
    "amplitude_uv": "p2p_uv",
    "mep_uv": "p2p_uv",
    "onset": "onset_s",
}
AMPLITUDE_NAMES = ("p2p", "amplitude", "mep")
HEMISPHERES = {"l": "L", "left": "L", "lh": "L", "r": "R", "right": "R", "rh": "R"}
CROSSTALK_LAG_S = 0.002
LEVEL_MM = 0.5
"""Sites whose heights differ by less lie on a grid, not in space."""
AVERAGE_S = (-0.05, 0.1)
REST_RESPONSE_UV = 50.0
ACTIVE_RESPONSE_SD = 3.0


def named_muscles(task: str, config: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Return the setting that names the muscles of ``task``, and these muscles; None of a task that no marker reads."""
    settings = {
        config["excitability"]["task"]: "excitability.muscles",
        config["excitability"]["task_active"]: "excitability.muscles",
        config["tms"]["task"]: "tms.muscles",
        config["plasticity"]["task"]: "plasticity.muscle",
        config["reflex"]["task"]: "reflex.muscle",
    }
    if task not in settings:
        return None
    family, key = settings[task].split(".")
    named = config[family][key]
    return settings[task], [named] if isinstance(named, str) else list(named)


def task_muscles(task: str, config: Mapping[str, Any], *, available: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the muscles that a recording of ``task`` is read for, and those that are named but not ``available``.

    Muscles may be recorded in different runs. If none of those that the settings name is there, all are returned, so
    that the error can name them; of a task that no marker reads, those with a response window.
    """
    named = named_muscles(task, config)
    if named is None:
        return [name for name in available if name in config["mep"]["windows_ms"]], []
    _, wanted = named
    there = [name for name in wanted if name in available]
    return (there, [name for name in wanted if name not in there]) if there else (wanted, [])


def mep_settings(channels: Sequence[Channel], recording: Recording, *, config: Mapping[str, Any]) -> mep.MepSettings:
    """Return how the responses of a recording are measured: settings in seconds and volts, per channel.

    Muscles are contracted in the mapping task if the settings say so, and at rest otherwise. Hum is subtracted
    at the PowerLineFrequency of the sidecar, if that is known.
    """
    settings = config["mep"]
    task = entities(recording.path).get("task")
    active = contracted(task or "", config)
    low, high = settings["active_bg_range_of_median"]
    return mep.MepSettings(
        windows=mep.response_windows([channel.muscle for channel in channels], settings["windows_ms"]),
        background=_seconds(settings["background_ms"]),
        blank=_seconds(settings["artifact_window_ms"]),
        band=(settings["bandpass_hz"][0], settings["bandpass_hz"][1]),
        hum=recording.mains_hz if settings["hum"] else None,
        correction=settings["bg_correction"],
        background_max=None if active else settings["rest_bg_rms_max_uv"] * 1e-6,
        background_mads=None if active else settings["rest_bg_mads_max"],
        background_range=(low, high) if active else None,
    )


def contracted(task: str, config: Mapping[str, Any]) -> bool:
    """Return whether the muscles are contracted in a recording of ``task``."""
    mapped = task == config["tms"]["task"] and config["tms"]["contraction"] == "active"
    return bool(mapped or task == config["excitability"]["task_active"])


def epoch_window(settings: mep.MepSettings, *, longest: float) -> tuple[float, float]:
    """Return how much around a pulse is read (s); ``longest`` is the largest interval of paired pulses (s)."""
    first, last = CONTRACTED_S if settings.contracted else EPOCH_S
    return first - longest, last


HUM_FIT_S = 0.09
"""Shortest time before the pulse that mains hum is fitted on: of less, the fit takes noise and muscle activity too."""


def with_fitted_hum(settings: mep.MepSettings, times: Array, *, longest: float) -> mep.MepSettings:
    """Return the settings, without subtraction of hum where ``times`` (n_time,) leave too little to fit it on.

    ``longest`` is the largest interval of paired pulses (s): the hum is fitted before the first pulse.
    """
    before = settings.background[1] - longest - float(times[0])
    return settings if before >= HUM_FIT_S else replace(settings, hum=None)


def check_windows(times: Array, settings: mep.MepSettings, *, longest: float, path: Path) -> None:
    """Refuse epochs (n_time,) that do not reach over the windows in which background and responses are measured.

    ``longest`` is the largest interval of paired pulses (s): their background is that before the first pulse.

    Raises
    ------
    InputError
        If a window leaves the epochs; what to set is said.
    """
    last = max(window[1] for window in settings.windows)
    if faults := window_faults(times, background=settings.background, last=last, longest=longest):
        raise InputError(f"{path}: {faults[0]}")


BACKGROUND_MS_MIN = 20
"""Shortest background window that is suggested (ms)."""


def window_faults(
    times: Array,
    *,
    background: Window,
    last: float,
    longest: float = 0.0,
    names: tuple[str, str] = ("mep.background_ms", "mep.windows_ms"),
) -> list[str]:
    """Return what to set, in words, where ``times`` (n_time,) of epochs (s) leave a window out; empty if none.

    ``last`` is when the last response window ends (s), ``longest`` as of :func:`check_windows`; ``names`` are the
    settings of background and response.
    """
    step, found = times[1] - times[0], []
    if background[0] - longest < times[0] - step:
        latest, end = 5 * np.ceil((times[0] + longest) * 1e3 / 5), background[1] * 1e3
        setting = f"set `{names[0]}: [{latest:g}, {end:g}]`, or " if end - latest >= BACKGROUND_MS_MIN else ""
        found.append(
            f"the epochs begin {abs(times[0]) * 1e3:.0f} ms before the pulse, but the background is measured from "
            f"{background[0] * 1e3:g} ms; {setting}export longer epochs."
        )
    if last > times[-1] + step:
        found.append(
            f"the epochs end {times[-1] * 1e3:.0f} ms after the pulse, but responses are measured up to "
            f"{last * 1e3:g} ms; let `{names[1]}` end earlier, or export longer epochs."
        )
    return found


def _seconds(window_ms: Sequence[float]) -> tuple[float, float]:
    return window_ms[0] / 1000, window_ms[1] / 1000


def empty_table() -> pd.DataFrame:
    """Return a trial table without rows."""
    import pandas as pd

    return pd.DataFrame(columns=list(COLUMNS))


OF_PULSES = (
    "hemisphere",
    "site_id",
    "x_mm",
    "y_mm",
    "z_mm",
    "tilt_deg",
    "turn_deg",
    "block",
    "stim_type",
    "isi_ms",
    "intensity_mso",
    "conditioning_mso",
    "rmt_mso",
    "amt_mso",
)
"""Columns of the trial table that are those of the pulse."""


COIL_FAULTS = {"tilt_deg": "coil_tilted", "turn_deg": "coil_turned"}
COIL_AXES = {"tilt_deg": "normal", "turn_deg": "direction"}


def with_coil(pulses: pd.DataFrame, settings: Mapping[str, float]) -> pd.DataFrame:
    """Return pulses with the angles of the coil to the usual ones, and ``coil_fault``, why a pulse is left out.

    ``settings`` is ``mep.coil``. Where the positions have no axes the angles are NaN, and no pulse has a fault.
    """
    places = pulses[["x_mm", "y_mm", "z_mm"]].to_numpy(dtype=float)
    fault = np.full(len(pulses), None, dtype=object)
    angles = {}
    for name, axis in reversed(COIL_AXES.items()):
        axes = pulses.reindex(columns=[f"{axis}_{each}" for each in "xyz"]).to_numpy(dtype=float)
        angles[name] = coil.deviations(axes, places)
        far = coil.outlying(angles[name], sd=settings["deviation_sd"], least=settings["deviation_min_deg"])
        fault[far] = COIL_FAULTS[name]
    return pulses.assign(**angles, coil_fault=fault)


def coil_facts(pulses: pd.DataFrame) -> dict[str, Any]:
    """Return, for a sidecar, whether the axes of the coil were looked at and how many pulses have a fault."""
    known = {axis: bool(pulses[name].notna().any()) for name, axis in COIL_AXES.items()}
    if not any(known.values()):
        return {"CoilOrientation": "not given: pulses with a tilted or turned coil are not told from others"}
    counts = {name: int((pulses["coil_fault"] == name).sum()) for name in COIL_FAULTS.values()}
    return {"CoilOrientation": {"Axes": [axis for axis, there in known.items() if there], **counts}}


def trial_table(pulses: pd.DataFrame, channels: Sequence[Channel], *, responses: mep.Responses) -> pd.DataFrame:
    """Return the trial table: pulses in order, channels within a pulse; ``pulses`` as of ``with_coil``."""
    import pandas as pd

    n_trial, n_channel = responses.p2p.shape
    rows = pulses.loc[pulses.index.repeat(n_channel)].reset_index(drop=True)
    rejected = responses.rejected.ravel()
    reasons = np.where(rejected != mep.KEPT, rejected, rows["coil_fault"])
    return pd.DataFrame(
        {
            "trial": np.repeat(np.arange(1, n_trial + 1), n_channel),
            "onset_s": rows["onset"],
            "channel": [channel.name for channel in channels] * n_trial,
            "target_muscle": [channel.muscle for channel in channels] * n_trial,
            **{name: rows[name] for name in OF_PULSES},
            "p2p_uv": responses.p2p.ravel() * 1e6,
            "p2p_corr_uv": responses.p2p_corrected.ravel() * 1e6,
            "rms_uv": responses.rms.ravel() * 1e6,
            "bg_rms_uv": responses.background_rms.ravel() * 1e6,
            "bg_mean_uv": responses.background_mean.ravel() * 1e6,
            "rms_corr_uv": responses.rms_corrected.ravel() * 1e6,
            "shape_uv": responses.shape.ravel() * 1e6,
            "area_uvms": responses.area.ravel() * 1e9,
            "latency_ms": responses.latency.ravel() * 1e3,
            "silent_period_ms": responses.silent_period.ravel() * 1e3,
            "silent_period_reason": [reason or None for reason in responses.silent_reason.ravel().tolist()],
            "reject": pd.notna(reasons).astype(int),
            "reject_reason": reasons,
        },
        columns=list(COLUMNS),
    )


def contralateral(table: pd.DataFrame, channels: Sequence[Channel]) -> pd.DataFrame:
    """Return a trial table, of muscles recorded on both sides with the one opposite to the stimulated hemisphere only.

    Rows keep their place in the index. A muscle of one side stays as it is, and so do pulses of unknown hemisphere.
    """
    named = [channel.muscle for channel in channels]
    both = {channel.name: channel.side for channel in channels if named.count(channel.muscle) > 1}
    same_side = table["channel"].map(both).eq(table["hemisphere"]) & table["hemisphere"].notna()
    return table[~same_side]


AVERAGED_BY = ["target_muscle", "hemisphere", "block", "isi_ms"]
AVERAGE_COLUMNS = ("muscle", "hemisphere", "block", "isi_ms", "time_ms", "mean_uv", "sem_uv", "n")
LATENCY_DRAWS = 500


def _averaged(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], NDArray[np.intp]]]:
    """The kept trials that are averaged: per muscle, hemisphere, block and interval; of a map those at the best site.

    Yields what they have in common and their rows in the table.
    """
    for key, rows in table[table["reject"] == 0].groupby(AVERAGED_BY, dropna=False, sort=False):
        yield dict(zip(AVERAGE_COLUMNS[:4], key, strict=True)), _best_site(rows).index.to_numpy()


def average_waveforms(table: pd.DataFrame, responses: mep.Responses) -> pd.DataFrame:
    """Return mean responses of the kept trials in long form, with their standard error and number.

    Of a map, those at the site with the largest mean amplitude, per muscle and hemisphere; of other
    protocols, those of each block and each interval of paired pulses.
    """
    import pandas as pd

    shown = mep_timing.within(responses.times, AVERAGE_S)
    waves = responses.epochs.reshape(-1, responses.times.size)[:, shown] * 1e6
    parts = []
    for labels, rows in _averaged(table):
        chosen = waves[rows]
        error = chosen.std(axis=0, ddof=1) / np.sqrt(len(chosen)) if len(chosen) > 1 else np.nan
        values = {"time_ms": responses.times[shown] * 1e3, "mean_uv": chosen.mean(axis=0), "sem_uv": error}
        parts.append(pd.DataFrame({**labels, **values, "n": len(chosen)}))
    empty = pd.DataFrame(columns=list(AVERAGE_COLUMNS))
    return pd.concat(parts, ignore_index=True) if parts else empty


def average_latencies(
    table: pd.DataFrame, responses: mep.Responses, *, settings: mep.MepSettings, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return the onset of the average responses to single pulses (ms), with bootstrap error and 95 % interval.

    One entry per average of :func:`average_waveforms`. Trials are resampled ``LATENCY_DRAWS`` times; an average
    without a response, or whose resamples lack one more than once in twenty times, has no latency.
    """
    n_channel = len(settings.windows)
    found = []
    for labels, rows in _averaged(table):
        if labels["isi_ms"] > 0:
            continue
        trials, channels = rows // n_channel, rows % n_channel
        n = len(trials)
        draws = rng.multinomial(n, np.full(n, 1 / n), size=LATENCY_DRAWS) / n
        window = mep_timing.within(responses.times, settings.windows[channels[0]])
        onsets = mep_timing.average_latency(
            responses.unfiltered[trials, channels][:, None],
            responses.times,
            masks=window[None],
            background=settings.background,
            weights=np.concatenate([np.full((1, n), 1 / n), draws]),
        )[:, 0]
        names = {"Muscle": labels["muscle"], "Hemisphere": labels["hemisphere"], "Block": labels["block"]}
        present = {key: value if isinstance(value, str) else None for key, value in names.items()}
        spacing = float(responses.times[1] - responses.times[0]) * 1e3
        found.append({**present, **_spread(onsets[0] * 1e3, onsets[1:] * 1e3, n=n, spacing=spacing), "N": n})
    return found


LATENCY_NAMES = ("Latency_ms", "SE_ms", "Low_ms", "High_ms")
RESAMPLES_WITH_RESPONSE = 0.95
INTERPOLATION_ERROR = 0.1
"""Of an onset between two samples, as a share of their spacing."""


def _spread(value: float, draws: Array, *, n: int, spacing: float) -> dict[str, float | None]:
    """An estimate with its standard error and 95 % interval from resamples of ``n`` trials; empty if many of them are.

    The variance is ``n / (n - 1)`` times that of the resamples, plus that of the interpolation between samples, whose
    error is taken to be a tenth of the ``spacing``. The interval is Student's t.
    """
    from scipy import special

    there = draws[np.isfinite(draws)]
    if n < 2 or not np.isfinite(value) or len(there) < RESAMPLES_WITH_RESPONSE * len(draws):
        return dict.fromkeys(LATENCY_NAMES)
    se = float(np.sqrt(there.var(ddof=1) * n / (n - 1) + (INTERPOLATION_ERROR * spacing) ** 2))
    reach = float(special.stdtrit(n - 1, 0.975)) * se
    numbers = (value, se, value - reach, value + reach)
    return {name: round(float(number), 4) for name, number in zip(LATENCY_NAMES, numbers, strict=True)}


MOST_SWEEPS = 60


def single_sweeps(table: pd.DataFrame, responses: mep.Responses) -> pd.DataFrame:
    """Return single responses to be looked at (uV), a column per muscle and trial, named ``muscle:trial``.

    Every trial if there are at most ``MOST_SWEEPS`` per muscle, else as many, evenly over the run. The first
    column is ``time_ms``.
    """
    import pandas as pd

    shown = mep_timing.within(responses.times, AVERAGE_S)
    waves = responses.epochs.reshape(-1, responses.times.size)[:, shown] * 1e6
    columns: dict[str, Array] = {"time_ms": responses.times[shown] * 1e3}
    for muscle, rows in table.groupby("target_muscle", sort=False):
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_SWEEPS)).round().astype(int))
        columns |= {f"{muscle}:{table['trial'][row]}": waves[row] for row in rows.index.to_numpy()[chosen]}
    return pd.DataFrame(columns).astype("float32")


def _best_site(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the site of the largest mean amplitude; all rows if no site is named."""
    if rows["site_id"].isna().all():
        return rows
    best = rows.groupby("site_id")["p2p_uv"].mean().idxmax()
    return rows[rows["site_id"] == best]


def background_crosstalk(
    responses: mep.Responses, channels: Sequence[Channel], *, settings: mep.MepSettings
) -> list[dict[str, Any]]:
    """Return the largest background cross-correlation of each pair of channels at lags below 2 ms."""
    times = responses.times
    quiet = responses.epochs[..., mep_timing.within(times, settings.background)]
    lag = max(1, int(CROSSTALK_LAG_S / (times[1] - times[0])))
    pairs = [(i, j) for i in range(len(channels)) for j in range(i + 1, len(channels))]
    peaks = [mep.cross_correlation_peak(quiet[:, i], quiet[:, j], max_lag=lag) for i, j in pairs]
    return [
        {"Muscles": [channels[i].muscle, channels[j].muscle], "Peak": round(peak, 6) if np.isfinite(peak) else None}
        for (i, j), peak in zip(pairs, peaks, strict=True)
    ]


def artefact_tails(responses: mep.Responses, channels: Sequence[Channel]) -> dict[str, float]:
    """Return the share of the kept trials whose artefact lasts into the response, per muscle."""
    kept = responses.rejected == mep.KEPT
    counts = np.maximum(kept.sum(axis=0), 1)
    shares = (responses.tail & kept).sum(axis=0) / counts
    found: dict[str, float] = {}
    for channel, share in zip(channels, shares, strict=True):  # of a muscle recorded on both sides the worse
        found[channel.muscle] = max(found.get(channel.muscle, 0.0), round(float(share), 4))
    return found


def response_spans(responses: mep.Responses, channels: Sequence[Channel]) -> dict[str, list[float]]:
    """Return onset and offset of the average response per muscle (ms), between which the RMS was taken."""
    bounds = [responses.times[np.flatnonzero(span)[[0, -1]]] * 1e3 for span in responses.spans]
    return {
        channel.muscle: [round(float(bound), 3) for bound in pair]
        for channel, pair in zip(channels, bounds, strict=True)
    }


def column_dictionary() -> dict[str, Any]:
    """Return the BIDS data dictionary of the trial table."""
    return {name: {"Description": text, **({"Units": unit} if unit else {})} for name, (text, unit) in COLUMNS.items()}


def write_meps(path: Path, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Write a trial table, and beside it the dictionary of its columns with ``facts`` and the software versions."""
    write_tsv(path, table)
    sidecar = {**column_dictionary(), **facts, "SoftwareVersions": software_versions()}
    write_json(path.with_suffix(".json"), sidecar)


PROTOCOL_KEYS = (
    "BoutPolarity",
    "BoutDurationMinutes",
    "BoutGapMinutes",
    "BoutStartMinutes",
    "BlockStartMinutes",
    "TaskName",
)


def protocol(recording: Recording, nibs: Sequence[Path]) -> dict[str, Any]:
    """Return what the sidecars say of the stimulation that the marker steps need, the recording's first."""
    found: dict[str, Any] = {}
    for metadata in (*(read_metadata(path) for path in nibs), recording.metadata):
        found |= {key: metadata[key] for key in PROTOCOL_KEYS if key in metadata}
    return found


def recording_sidecar(
    recording: Recording, config: Mapping[str, Any], *, absent: Sequence[str], hum: float | None
) -> dict[str, Any]:
    """Return the facts of a recording for the sidecar of its trial table.

    ``absent`` as of :func:`task_muscles`; ``hum`` is the frequency (Hz) of the hum that was subtracted.
    """
    warnings = []
    if recording.sfreq < SFREQ_GOOD:
        warnings.append(f"Sampled at {recording.sfreq:g} Hz; {SFREQ_GOOD:g} Hz or more is recommended.")
    if absent:
        recorded = ", ".join(channel.muscle for channel in recording.channels)
        warnings.append(f"Not recorded: {', '.join(absent)}, which the settings name; the file has {recorded}.")
    if config["mep"]["hum"] and recording.mains_hz is not None and hum is None:
        least = f"{HUM_FIT_S * 1e3:g} ms"
        warnings.append(
            f"Mains hum is not subtracted: the epochs leave less than {least} before the pulse to fit it on."
        )
    return {
        "Description": "Motor-evoked potentials, one row per TMS pulse and channel.",
        "HumSubtracted": hum,
        "SamplingFrequency": recording.sfreq,
        "Settings": dict(config["mep"]),
        "SourceStatus": source_status("mep"),
        **({"Warnings": warnings} if warnings else {}),
    }


def tables_of_task(files: Sequence[Path], task: str) -> list[Path]:
    """Return the MEP tables of ``task`` among ``files``, sorted; a table that names no task counts for all."""
    tables = [path for path in files if entities(path).get("suffix") == "meps" and path.suffix == ".tsv"]
    return sorted(path for path in tables if entities(path).get("task") in (task, None))


def read_meps(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a trial table with all columns of the contract, and its metadata.

    A lab's own table needs an amplitude, and a block or a place. Names of columns are read in any case; amplitudes are
    in ``p2p_uv`` or ``p2p_mv``, or in ``p2p`` or ``amplitude`` with their unit in the JSON file, coordinates in
    ``x_mm`` or ``x_cm`` (``grid_x_cm``), or in ``x`` with its unit there. Muscles are those of the vocabulary or
    synonyms. Without ``trial`` the rows of a muscle are numbered per block and place, in their order. What a table
    lacks is missing.

    Raises
    ------
    LbpneuroError
        If an earlier step failed for the reason that is given.
    InputError
        If a column is absent or holds text where numbers are needed.
    UnitError
        If amplitudes or coordinates have no unit or contradict it.
    """
    raise_upstream_error(path)
    table = read_tsv(path, dtype=str)
    table.columns = [str(name).strip().lower() for name in table.columns]
    table = table.rename(columns={old: new for old, new in ALIASES.items() if old in table and new not in table})
    if table.empty:
        raise InputError(f"{path}: the table has no trial.", reason=Reason.NOT_ACQUIRED)
    metadata = {**read_metadata(path)}
    table = _with_microvolts(table, metadata, path=path)
    _require_columns(table, path)
    table = with_millimetres(table, {axis: _stated_unit(metadata, axis) for axis in "xyz"}, path=path)
    table = table.reindex(columns=list(COLUMNS))
    table = table.assign(**{name: numbers(table[name], path) for name in COLUMNS if name not in TEXT})
    table = _with_trials(_with_sites(_with_names(table, path)), path)
    return table.assign(reject=table["reject"].fillna(0).astype(int)), metadata


def _with_microvolts(table: pd.DataFrame, metadata: Mapping[str, Any], *, path: Path) -> pd.DataFrame:
    """The table with its amplitudes in uV, whatever unit they were written in."""
    if "p2p_uv" in table:
        return table
    forms = {f"{name}_{unit.lower()}": unit for name in AMPLITUDE_NAMES for unit in ("mV", "V")}
    name = next((column for column in (*forms, *AMPLITUDE_NAMES) if column in table), None)
    if name is None:
        return table
    unit = forms.get(name) or _stated_unit(metadata, name)
    if unit not in VOLTS:
        given = "no unit" if unit is None else f"the unit {unit!r}"
        raise UnitError(
            f"{path}: the amplitudes in the column {name} have {given}; name it p2p_uv or p2p_mv, or state uV or mV as "
            f"its Units in {path.with_suffix('.json').name}."
        )
    return table.assign(p2p_uv=numbers(table[name], path) * VOLTS[unit] * 1e6)


def _require_columns(table: pd.DataFrame, path: Path) -> None:
    absent = [] if "p2p_uv" in table else ["p2p_uv"]
    if not {"block", "onset_s", "site_id", "x", "x_mm", "x_cm", "grid_x_cm", "grid_x_mm"} & set(table.columns):
        absent.append("block (or site, x, y)")
    if absent:
        raise InputError(
            f"{path}: the columns {', '.join(absent)} are absent; a table of motor-evoked potentials needs p2p_uv, and "
            f"block or site with x_mm and y_mm. It has {', '.join(table.columns)}."
        )


def _stated_unit(metadata: Mapping[str, Any], column: str) -> str | None:
    entry = metadata.get(column)
    return entry.get("Units") if isinstance(entry, Mapping) else None


def _with_names(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Muscles by their name in the vocabulary, hemispheres as L and R: as stated, else by the side of the place."""
    import pandas as pd

    muscle = table["target_muscle"].map(lambda name: known_muscle(name) or name, na_action="ignore")
    side = table["hemisphere"].map(lambda name: HEMISPHERES.get(name.strip().lower(), ""), na_action="ignore")
    wrong = table.index[side == ""]
    if len(wrong):
        raise InputError(
            f"{path}: row {wrong[0] + 2}, column hemisphere: expected L or R, found "
            f"{table.loc[wrong[0], 'hemisphere']!r}."
        )
    of_place = pd.Series(sides(table["x_mm"].to_numpy(dtype=float)), table.index, dtype=object)
    return table.assign(target_muscle=muscle, hemisphere=side.astype(object).where(side.notna(), of_place))


def _with_sites(table: pd.DataFrame) -> pd.DataFrame:
    """Name sites by their coordinates where they have no name."""
    placed = table["site_id"].isna() & table["x_mm"].notna()
    axes = ["x_mm", "y_mm", *(["z_mm"] if table["z_mm"].notna().any() else [])]
    names = ["_".join(f"{value:g}" for value in place) for place in table.loc[placed, axes].to_numpy()]
    site = table["site_id"].astype(object)
    site[placed] = names
    return table.assign(site_id=site)


def _with_trials(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Number the rows of a table that names no trial: of a muscle, per block and place, in their order."""
    unnamed = table.index[table["trial"].isna()]
    if not len(unnamed):
        return table
    if len(unnamed) < len(table):
        raise InputError(f"{path}: row {unnamed[0] + 2} has no trial, others do; number all trials, or none.")
    rows = table.groupby(["target_muscle", "hemisphere", "block", "site_id"], dropna=False).cumcount() + 1
    return table.assign(trial=rows.astype(str))


def read_task(files: Sequence[Path], task: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the trials of all runs of ``task`` in one table, and their metadata; no rows if not recorded."""
    import pandas as pd

    paths = tables_of_task(files, task)
    if not paths:
        _say_which_tasks(files, task)
    runs = [read_meps(path) for path in paths]
    numbers_of_runs = _run_numbers(paths)
    tables = [
        table.assign(trial=[_trial_key(run, trial) for trial in table["trial"]])
        for run, (table, _) in zip(numbers_of_runs, runs, strict=True)
    ]
    metadata = _joined([own for _, own in runs])
    if runs:
        metadata["Frames"] = [
            {"Run": run, "Muscles": sorted(table["target_muscle"].dropna().unique()), "Frame": own.get(FRAME)}
            for run, (table, own) in zip(numbers_of_runs, runs, strict=True)
        ]
    return (pd.concat(tables, ignore_index=True) if tables else empty_table()), metadata


def _joined(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The metadata of several runs: the last wins, but the lowest rate, any crosstalk and the worst tails count."""
    joined: dict[str, Any] = {}
    for own in runs:
        joined |= own
    rates = [own["SamplingFrequency"] for own in runs if "SamplingFrequency" in own]
    pairs = [pair for own in runs for pair in own.get("BackgroundCrossCorrelation", [])]
    tails: dict[str, float] = {}
    for own in runs:
        for muscle, share in own.get("ArtefactTail", {}).items():
            tails[muscle] = max(share, tails.get(muscle, 0.0))
    worst = {"SamplingFrequency": min(rates, default=None), "BackgroundCrossCorrelation": pairs, "ArtefactTail": tails}
    return joined | {key: value for key, value in worst.items() if value}


def _say_which_tasks(files: Sequence[Path], task: str) -> None:
    """Log the tasks that there are, where the one that is asked for may only be named otherwise."""
    tasks = sorted({entities(path)["task"] for path in files if entities(path).get("suffix") == "meps"})
    if tasks:
        log.warning("There is no trial table of task %s, but of %s; settings name the task.", task, ", ".join(tasks))


FRAME = "CoordinateFrame"


def _run_numbers(paths: Sequence[Path]) -> list[int]:
    """Number the runs; recordings of several devices at the same time are one run, whose pulses are the same."""
    named = [
        tuple(sorted((key, value) for key, value in entities(path).items() if key not in ("recording", "desc")))
        for path in paths
    ]
    order = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return [order[name] for name in named]


def frames_differ(metadata: Mapping[str, Any], muscles: Sequence[str]) -> bool:
    """Return whether two muscles were never recorded in one run, and their runs do not state the same frame.

    The frame is ``CoordinateFrame`` in the sidecar of a trial table: any name of a cap or a navigation session.
    """
    runs = metadata.get("Frames", [])
    together: dict[int, set[str]] = {}
    for run in runs:
        together.setdefault(run["Run"], set()).update(run["Muscles"])
    wanted = set(muscles) & set().union(*together.values()) if together else set()
    if len(wanted) < 2 or any(wanted <= present for present in together.values()):
        return False
    frames = {run["Frame"] for run in runs if wanted & set(run["Muscles"])}
    return len(frames) > 1 or None in frames


def _trial_key(run: int, trial: str) -> str:
    """A name of a trial that sorts by run, then by number."""
    return f"{run}:{trial:0>8}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Trials of one hemisphere as arrays (n_muscle, n_site, n_trial); a slot is the same pulse in all columns.

    ``coords_mm`` (n_site, 2) lie in ``plane``, the tangent plane of the sites, where these have three coordinates.
    """

    muscles: tuple[str, ...]
    sites: tuple[str, ...]
    coords_mm: Array
    columns: Mapping[str, Array]
    kept: NDArray[np.bool_]
    plane: TangentPlane | None = None

    def kept_values(self, column: str) -> Array:
        """Return a column with the trials that are not kept set to NaN."""
        return np.where(self.kept, self.columns[column], np.nan)


VALUES = ("p2p_uv", "p2p_corr_uv", "rms_uv", "bg_rms_uv", "rms_corr_uv", "shape_uv")


def hemispheres(table: pd.DataFrame, wanted: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the trials per stimulated hemisphere; trials that name none belong to the only one that is ``wanted``.

    Raises
    ------
    InputError
        If there are trials, but none of a hemisphere that is wanted.
    """
    side = table["hemisphere"]
    if table.empty:
        return {}
    if side.isna().all() and len(wanted) == 1:
        return {wanted[0]: table}
    if not side.isin(wanted).any():
        found = ", ".join(sorted(side.dropna().unique())) or "no hemisphere"
        raise InputError(
            f"The pulses are over {found}, but `tms.hemispheres` asks for {', '.join(wanted)}; correct the setting, "
            "the column `hemisphere`, or the sign of x (to the right is positive).",
            reason=Reason.NOT_ACQUIRED,
        )
    return {hemi: table[side == hemi] for hemi in wanted if (side == hemi).any()}


def grid(table: pd.DataFrame, muscles: Sequence[str], *, path: str) -> Grid:
    """Return the trials of one hemisphere as arrays; sites in order of position, pulses in order of trial.

    Raises
    ------
    InputError
        If positions are absent, or a pulse is listed twice for a muscle.
    """
    present = tuple(muscle for muscle in muscles if (table["target_muscle"] == muscle).any())
    rows = table[table["target_muscle"].isin(present)]
    if rows.empty or rows[["site_id", "x_mm", "y_mm"]].isna().any(axis=None):
        raise InputError(f"{path}: a map needs rows of {', '.join(muscles)} with site, x and y.")
    twice = rows.duplicated(["target_muscle", "site_id", "trial"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise InputError(f"{path}: trial {first['trial']} at site {first['site_id']} is listed twice for a muscle.")
    places = rows.groupby("site_id")[["x_mm", "y_mm", "z_mm"]].mean().sort_values(["x_mm", "y_mm"], kind="stable")
    coords, plane = _flat(places, path=path)
    pulses = rows[["site_id", "trial"]].drop_duplicates().sort_values(["site_id", "trial"], kind="stable")
    pulses = pulses.assign(slot=pulses.groupby("site_id").cumcount())
    rows = rows.merge(pulses, on=["site_id", "trial"])
    shape = (len(present), len(places), int(pulses["slot"].max()) + 1)
    where = (
        rows["target_muscle"].map({name: i for i, name in enumerate(present)}).to_numpy(),
        rows["site_id"].map({name: i for i, name in enumerate(places.index)}).to_numpy(),
        rows["slot"].to_numpy(),
    )
    kept = np.zeros(shape, dtype=bool)
    kept[where] = (rows["reject"] == 0).to_numpy()
    columns = {name: np.full(shape, np.nan) for name in VALUES}
    for name, values in columns.items():
        values[where] = rows[name].to_numpy(dtype=float)
    return Grid(
        muscles=present,
        sites=tuple(map(str, places.index)),
        coords_mm=coords,
        columns=columns,
        kept=kept,
        plane=plane,
    )


def _flat(places: pd.DataFrame, *, path: str) -> tuple[Array, TangentPlane | None]:
    """Return the coordinates (n_site, 2) of a map: in the plane that touches the head there, if they are in space."""
    height = places["z_mm"].to_numpy(dtype=float)
    if np.isnan(height).all() or np.ptp(height) < LEVEL_MM:
        return places[["x_mm", "y_mm"]].to_numpy(dtype=float), None
    if np.isnan(height).any():
        raise InputError(
            f"{path}: {int(np.isnan(height).sum())} sites have no z, others do; give z of all sites or none."
        )
    points = places.to_numpy(dtype=float)
    plane = tangent_plane(points)
    return plane.project(points), plane


def plane_facts(grids: Mapping[str, Grid]) -> dict[str, Any]:
    """Return, for a sidecar, the tangent planes that navigated sites were projected to, by hemisphere."""
    planes = {hemi: each.plane for hemi, each in grids.items() if each.plane is not None}
    return {
        hemi: {
            "Right": plane.axes[0].round(4).tolist(),
            "Front": plane.axes[1].round(4).tolist(),
            "DistanceRms_mm": round(plane.rms, 2),
        }
        for hemi, plane in planes.items()
    }


PREFERENCES = {"rest": ("p2p_corr_uv", "p2p_uv"), "active": ("shape_uv", "rms_corr_uv", "p2p_uv")}


def amplitude_column(each: Grid, contraction: str) -> str:
    """Return which measure the map is made of: the first of those preferred that the table holds."""
    return next(name for name in PREFERENCES[contraction] if np.isfinite(each.columns[name]).any())


AMPLITUDE_WORDS = {
    "shape_uv": "the muscle's average response in each trial",
    "rms_corr_uv": "the root mean square above the background",
    "p2p_corr_uv": "the peak-to-peak amplitude above that of noise",
    "p2p_uv": "the peak-to-peak amplitude",
}


def map_method(columns: Mapping[str, str], kind: str) -> str:
    """Return in words what the maps of a ``kind`` were made of; ``columns`` by hemisphere, empty without a map."""
    if not columns:
        return kind
    return f"{kind} of {' or '.join(AMPLITUDE_WORDS[name] for name in dict.fromkeys(columns.values()))}"


def response_evidence(each: Grid, contraction: str) -> tuple[Array, Array]:
    """Return what tells a response from noise: trials (n_muscle, n_site, n_trial) in uV, and thresholds (n_muscle,).

    Of contracted muscles RMS minus background RMS, and 3 SD (``ddof=1``) of the background RMS over trials; at rest,
    and where the table has no RMS, peak-to-peak amplitudes and 50 uV.
    """
    if contraction == "rest" or not np.isfinite(each.columns["bg_rms_uv"]).any():
        return each.kept_values("p2p_uv"), np.full(len(each.muscles), REST_RESPONSE_UV)
    background = each.kept_values("bg_rms_uv")
    spread = np.nanstd(background.reshape(len(each.muscles), -1), axis=-1, ddof=1)
    return each.kept_values("rms_uv") - background, ACTIVE_RESPONSE_SD * spread


def unstable_background(each: Grid, *, limit: float = 0.30) -> NDArray[np.bool_]:
    """Return per muscle whether the coefficient of variation (``ddof=1``) of the background RMS is above ``limit``."""
    background = each.kept_values("bg_rms_uv").reshape(len(each.muscles), -1)
    known = np.isfinite(background).sum(axis=-1) > 1
    out = np.zeros(len(each.muscles), dtype=bool)
    out[known] = np.nanstd(background[known], axis=-1, ddof=1) > limit * np.nanmean(background[known], axis=-1)
    return out


def trial_sidecars(unit: Mapping[str, Any]) -> list[Path]:
    """Return the sidecars of the trial tables that were made for a participant and session of a plan."""
    found = [Path(path).with_suffix(".json") for path in unit["meps"]]
    return [path for path in found if path.is_file()]


def same_signals(sidecars: Sequence[Path]) -> list[list[str]]:
    """Return the names of recordings that hold the same samples around their pulses, in groups of two or more.

    ``sidecars`` are those of trial tables. The same file under two names is one measurement counted twice, whatever its
    header says.
    """
    groups: dict[str, list[str]] = {}
    for path in sorted(sidecars):
        content = read_json(path)
        if signal := content.get("SignalChecksum"):
            sources = [name for name in content.get("Sources", {}) if name.endswith(("_emg.edf", "_emg.bdf"))]
            groups.setdefault(signal, []).append(sources[0] if sources else path.name)
    return [names for names in groups.values() if len(names) > 1]


TAIL_SHARE_MAX = 0.5


def has_artefact_tail(metadata: Mapping[str, Any], muscle: str) -> bool:
    """Return whether the artefact lasts into the response in more than half of the trials of a muscle."""
    return bool(metadata.get("ArtefactTail", {}).get(muscle, 0.0) > TAIL_SHARE_MAX)


def has_crosstalk(metadata: Mapping[str, Any], muscles: Sequence[str], *, limit: float = 0.3) -> bool:
    """Return whether the metadata of a trial table give the pair a background cross-correlation above ``limit``."""
    pairs = metadata.get("BackgroundCrossCorrelation", [])
    return any((pair["Peak"] or 0.0) > limit for pair in pairs if set(pair["Muscles"]) == set(muscles))


def sampled_slowly(metadata: Mapping[str, Any]) -> bool:
    """Return whether the metadata of a trial table give a sampling rate below the recommended one."""
    return bool(metadata.get("SamplingFrequency", SFREQ_GOOD) < SFREQ_GOOD)


def rejected_share(table: pd.DataFrame, by: str, *, reason: str | None = None) -> dict[str, float]:
    """Return the share of pulses that were rejected, for ``reason`` if one is given, per entry of the column ``by``."""
    rejected = table["reject"] != 0
    if reason is not None:
        rejected &= table["reject_reason"] == reason
    return {str(entry): float(share) for entry, share in rejected.groupby(table[by]).mean().items()}


def rejections(table: pd.DataFrame, *, task: str) -> list[dict[str, Any]]:
    """Return per muscle of a trial table how many trials were kept, and rejected for which reason."""
    found = []
    for muscle, rows in table.groupby("target_muscle", dropna=False, sort=True):
        reasons = rows.loc[rows["reject"] != 0, "reject_reason"].fillna("not stated").value_counts()
        counts = {str(reason): int(count) for reason, count in sorted(reasons.items())}
        kept = int((rows["reject"] == 0).sum())
        name = muscle if isinstance(muscle, str) else "not stated"
        found.append({"Task": task, "Muscle": name, "Trials": len(rows), "Kept": kept, "Rejected": counts})
    return found


def block_amplitudes(table: pd.DataFrame, muscle: str, *, path: str) -> tuple[dict[str, Array], dict[str, int]]:
    """Return the kept amplitudes (uV) of a muscle per block, and how many pulses each block had.

    A table that names no muscle is taken to be of ``muscle``; one without rows has no block.

    Raises
    ------
    InputError
        If the muscle is not in the table, or the blocks are not named.
    """
    if table.empty:
        return {}, {}
    rows = of_muscle(table, muscle)
    if rows.empty:
        names = ", ".join(sorted(table["target_muscle"].dropna().unique()))
        raise InputError(f"{path}: no trial of muscle {muscle!r}; the table has {names}.")
    if rows["block"].isna().all():
        raise InputError(f"{path}: the trials name no block; expected pre, between, post00, post10, post20.")
    kept = rows[(rows["reject"] == 0) & rows["p2p_uv"].notna()]
    amplitudes = {str(name): part["p2p_uv"].to_numpy(dtype=float) for name, part in kept.groupby("block")}
    delivered = {str(name): len(part) for name, part in rows.groupby("block")}
    return {name: amplitudes.get(name, np.empty(0)) for name in delivered}, delivered


def of_muscle(table: pd.DataFrame, muscle: str) -> pd.DataFrame:
    """Return the trials of a muscle; all of them if the table names no muscle."""
    named = table["target_muscle"].notna().any()
    return table[table["target_muscle"] == muscle] if named else table


def intensity_changed(table: pd.DataFrame, *, more_than: float = 0.5) -> bool:
    """Return whether trials were given at stimulator outputs ``more_than`` % of the maximum apart."""
    known = table["intensity_mso"].dropna().to_numpy(dtype=float)
    return bool(known.size and np.ptp(known) > more_than)


def waveforms_of(tables: Sequence[Path]) -> list[Path]:
    """Return the files of mean waveforms and of single responses that lie beside trial tables."""
    averages = [average_path(path) for path in tables]
    return [path for average in averages for path in (average, sweeps_path(average)) if path.exists()]


def sweeps_path(average: Path) -> Path:
    """Return where the single responses are, beside the mean waveforms ``average``."""
    return average.with_name(average.name.replace("_desc-average_emg.tsv", "_desc-sweeps_emg.parquet"))


def average_path(table: Path) -> Path:
    """Return where the mean waveforms of a trial table are."""
    stem = table.name.removesuffix("_meps.tsv").removesuffix("_desc-trials")
    return table.with_name(f"{stem}_desc-average_emg.tsv")
