"""Physiological recordings of a run (``_physio.tsv.gz``) as RETROICOR regressors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.retroicor import (
    cardiac_phase,
    peak_times,
    respiratory_phase,
    retroicor,
    retroicor_names,
    rhythm,
)

Array = NDArray[np.float64]

SOURCES = ("cardiac", "respiratory")
RATE_PER_MIN = {"cardiac": (30.0, 180.0), "respiratory": (4.0, 40.0)}
IMPLAUSIBLE_MAX = 0.2
STUCK_MAX = 0.2
STUCK_S = {"cardiac": 2.0, "respiratory": 5.0}
log = logging.getLogger("lbpneuro")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One recorded wave: ``samples`` (n_sample,), the first of them ``start_s`` after the first volume began."""

    path: Path
    samples: Array
    sampling_hz: float
    start_s: float

    @property
    def stop_s(self) -> float:
        """Time of the last sample (s)."""
        return self.start_s + (len(self.samples) - 1) / self.sampling_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPhysio:
    """The RETROICOR regressors of a run, and what is said of them.

    ``regressors`` (n_time, n_regressor) with their ``names``, none where no recording could be used; ``facts`` is for
    the sidecar.
    """

    regressors: Array
    names: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def run_physio(paths: Sequence[Path], *, n_time: int, t_r: float) -> RunPhysio:
    """Return the RETROICOR regressors of a run; none, with the reason in the log and the facts, if they cannot be had.

    What cannot be read or does not cover the run is not used and does not stop the run.

    Parameters
    ----------
    paths
        The recordings of the run, none or several (``recording-cardiac``, ``recording-respiratory``).
    n_time, t_r
        Number of volumes and repetition time (s). The phase is that of the middle of every volume.
    """
    nothing = np.empty((n_time, 0))
    if not paths:
        return RunPhysio(regressors=nothing, facts={"Used": [], "Note": "no recording"})
    try:
        return physio_regressors(read_physio(paths), n_time=n_time, t_r=t_r)
    except InputError as error:
        log.error("Physiological recording not used. %s", error)
        return RunPhysio(regressors=nothing, facts={"Used": [], "Note": str(error)})


def read_physio(paths: Sequence[Path]) -> dict[str, Wave]:
    """Return the waves ``cardiac`` and ``respiratory`` of the recordings of a run, as far as there are any.

    Raises
    ------
    InputError
        If a sidecar lacks ``SamplingFrequency``, ``StartTime`` or ``Columns``, the table has other columns or holds
        anything but numbers, or two recordings hold the same wave.
    """
    waves: dict[str, Wave] = {}
    for path in sorted(paths):
        for name, wave in _read_recording(path).items():
            if name in waves:
                raise InputError(
                    f"{path} and {waves[name].path}: both hold a {name} wave, and nothing says which is right; take "
                    "the column out of one, or name it otherwise in the Columns of its sidecar."
                )
            waves[name] = wave
    return waves


def physio_regressors(waves: Mapping[str, Wave], *, n_time: int, t_r: float) -> RunPhysio:
    """Return the regressors of the waves whose quality allows it: 3 cardiac, 4 respiratory orders, 1 interaction.

    Raises
    ------
    InputError
        If a wave does not reach from the middle of the first to the middle of the last volume.
    """
    times = np.asarray((np.arange(n_time) + 0.5) * t_r, dtype=np.float64)
    phases: dict[str, Array] = {}
    facts: dict[str, Any] = {"Recordings": sorted({wave.path.name for wave in waves.values()})}
    for name in (source for source in SOURCES if source in waves):
        _check_covers(waves[name], name, times)
        phase, facts[name] = _phase(waves[name], name, times)
        if phase is not None:
            phases[name] = phase
    facts["Used"] = list(phases)
    if not phases:
        return RunPhysio(regressors=np.empty((n_time, 0)), facts=facts)
    return RunPhysio(
        regressors=retroicor(phases.get("cardiac"), respiratory=phases.get("respiratory")),
        names=retroicor_names(cardiac="cardiac" in phases, respiratory="respiratory" in phases),
        facts={**facts, "PhaseAt": "middle of the volume"},
    )


def _phase(wave: Wave, name: str, times: Array) -> tuple[Array | None, dict[str, Any]]:
    """Return the phase at some times, None for a poor recording, and what is said of the wave."""
    low, high = RATE_PER_MIN[name]
    rates = (low / 60, high / 60)
    stuck = _stuck_share(wave, longer_than_s=STUCK_S[name])
    facts: dict[str, Any] = {"StuckShare": round(stuck, 3)}
    if wave.sampling_hz < 3 * rates[1]:
        return None, _refused(wave, name, facts, f"sampled at {wave.sampling_hz:g} Hz, less than {3 * rates[1]:g} Hz")
    if stuck > STUCK_MAX:
        return None, _refused(wave, name, facts, f"{stuck:.0%} of the samples stand still at one value")
    peaks = peak_times(wave.samples, sampling_hz=wave.sampling_hz, rate_hz=rates)
    rate, implausible = rhythm(peaks, rate_hz=rates)
    if np.isnan(rate):
        return None, _refused(wave, name, facts, f"only {len(peaks)} peaks were found")
    facts |= {"RatePerMinute": round(60 * rate, 1), "ImplausibleIntervals": round(implausible, 3)}
    if not low <= 60 * rate <= high:
        return None, _refused(wave, name, facts, f"rate of {60 * rate:.0f} per minute, outside {low:g} to {high:g}")
    if implausible > IMPLAUSIBLE_MAX:
        return None, _refused(wave, name, facts, f"{implausible:.0%} of the intervals are implausible")
    since = times - wave.start_s
    if name == "cardiac":
        return cardiac_phase(peaks, times_s=since), facts
    return respiratory_phase(wave.samples, sampling_hz=wave.sampling_hz, times_s=since), facts


def _refused(wave: Wave, name: str, facts: dict[str, Any], why: str) -> dict[str, Any]:
    log.warning("%s: the %s wave is not used: %s.", wave.path, name, why)
    return {**facts, "Refused": why}


def _stuck_share(wave: Wave, *, longer_than_s: float) -> float:
    """Return the share of samples in long stretches of one value: a sensor at its limit, or off."""
    ends = np.flatnonzero(np.diff(wave.samples, append=np.nan) != 0) + 1
    lengths = np.diff(ends, prepend=0)
    return float(lengths[lengths >= longer_than_s * wave.sampling_hz].sum() / len(wave.samples))


def _check_covers(wave: Wave, name: str, times: Array) -> None:
    tolerance = 1 / wave.sampling_hz
    if wave.start_s <= times[0] + tolerance and wave.stop_s >= times[-1] - tolerance:
        return
    raise InputError(
        f"{wave.path}: the {name} wave must cover the volumes from {times[0]:.1f} to {times[-1]:.1f} s; it lasts from "
        f"{wave.start_s:.1f} to {wave.stop_s:.1f} s ({len(wave.samples)} samples at {wave.sampling_hz:g} Hz). Check "
        "StartTime, SamplingFrequency and whether the recording was cut off."
    )


def _read_recording(path: Path) -> dict[str, Wave]:
    """Return the waves of one file."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, or the link leads to none.", reason=Reason.FILE_MISSING)
    metadata = read_metadata(path)
    columns = _columns(metadata, path)
    about = {"sampling_hz": _number(metadata, "SamplingFrequency", path, least=1e-3)}
    about["start_s"] = _number(metadata, "StartTime", path, least=-np.inf)
    wanted = [name for name in SOURCES if name in columns]
    if not wanted:
        log.info("%s: neither a cardiac nor a respiratory column.", path)
        return {}
    table = _table(path, n_column=len(columns))
    return {name: Wave(path=path, samples=_samples(table, columns.index(name), name, path), **about) for name in wanted}


def _columns(metadata: Mapping[str, Any], path: Path) -> list[str]:
    columns = metadata.get("Columns")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise InputError(
            f'{path}: its JSON sidecar must have Columns, a list of names such as ["cardiac", "respiratory"]; '
            f"found {columns!r}."
        )
    return [name.lower() for name in columns]


def _number(metadata: Mapping[str, Any], key: str, path: Path, *, least: float) -> float:
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < least:
        unit = "Hz, above 0" if key == "SamplingFrequency" else "s, relative to the first volume"
        raise InputError(f"{path}: its JSON sidecar must have {key} as a number ({unit}); found {value!r}.")
    return float(value)


def _table(path: Path, *, n_column: int) -> NDArray[Any]:
    """Return the table (n_sample, n_column), which has no header."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", header=None, na_values=["n/a"], compression="infer")
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: expected a compressed tab-separated table without header, but {error}.") from error
    if table.shape[1] != n_column:
        raise InputError(f"{path}: expected the {n_column} columns of its sidecar, found {table.shape[1]}.")
    return table.to_numpy()


def _samples(table: NDArray[Any], column: int, name: str, path: Path) -> Array:
    """Return a column as numbers; single missing samples are filled in linearly."""
    try:
        samples = table[:, column].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the {name} column must hold numbers ({error}); a _physio.tsv.gz has no header row."
        ) from error
    known = np.isfinite(samples)
    if np.mean(known) < 1 - IMPLAUSIBLE_MAX:
        raise InputError(f"{path}: the {name} column has no value in {np.mean(~known):.0%} of its rows.")
    if not known.all():
        samples = np.interp(np.arange(len(samples)), np.flatnonzero(known), samples[known])
    return samples
