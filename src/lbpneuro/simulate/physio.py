"""Peripheral recordings with a known phase: a pulse wave and a respiration belt, and the BIDS files of both."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import atomic, write_json

Array = NDArray[np.float64]

HEART_HZ = 1.1
BREATH_HZ = 0.27


@dataclass(frozen=True, slots=True, kw_only=True)
class Physiology:
    """Recordings and what made them; ``clock`` (n_sample,) is in seconds from the start of the first volume.

    ``heart`` and ``breath`` (n_sample,) are the unwrapped phases (rad): a beat or the end of an inspiration at every
    multiple of 2 pi. ``pulse`` and ``belt`` (n_sample,) are the recorded waves.
    """

    clock: Array
    heart: Array
    breath: Array
    pulse: Array
    belt: Array
    sampling_hz: float


def physiology(
    rng: np.random.Generator, *, start_s: float, stop_s: float, sampling_hz: float = 100.0, noise: float = 0.05
) -> Physiology:
    """Return the recordings of a person whose heart and breath wander in rate by a few percent.

    The pulse has a dicrotic wave; breaths differ in depth, and the belt drifts.
    """
    clock = np.asarray(np.arange(start_s, stop_s, 1 / sampling_hz), dtype=np.float64)
    heart = _phase(rng, clock, rate_hz=HEART_HZ, spread=0.05)
    breath = _phase(rng, clock, rate_hz=BREATH_HZ, spread=0.12)
    shape = np.exp(4 * (np.cos(heart) - 1)) + 0.25 * np.exp(4 * (np.cos(heart - 2.2) - 1))
    depth = 1 + 0.25 * _wander(rng, clock, period_s=12.0)
    pulse = shape + noise * rng.standard_normal(len(clock)) + 0.3 * _wander(rng, clock, period_s=20.0)
    belt = depth * np.cos(breath) + noise * rng.standard_normal(len(clock)) + 0.05 * _wander(rng, clock, period_s=60.0)
    return Physiology(clock=clock, heart=heart, breath=breath, pulse=pulse, belt=belt, sampling_hz=sampling_hz)


def planted_noise(made: Physiology, *, times_s: Array) -> Array:
    """Return the physiological noise of one voxel at some times (n_time,), of unit variance over a long run.

    Two cardiac and two respiratory harmonics and one interaction, half of the variance from the heart.
    """
    heart, breath = (np.interp(times_s, made.clock, phase) for phase in (made.heart, made.breath))
    waves = [
        np.cos(heart + 0.4),
        np.sin(2 * heart - 1),
        np.cos(breath - 0.7),
        np.sin(2 * breath),
        np.cos(heart - breath),
    ]
    sizes = np.sqrt(2 * np.array([0.4, 0.1, 0.3, 0.1, 0.1]))
    return np.asarray(sizes @ np.stack(waves))


def write_physio(
    path: Path, made: Physiology, *, columns: Sequence[str] = ("cardiac", "respiratory", "trigger")
) -> None:
    """Write a recording and its sidecar; ``path`` ends in ``_physio.tsv.gz``."""
    waves = {"cardiac": made.pulse, "respiratory": made.belt, "trigger": np.zeros(len(made.clock))}
    table = np.stack([waves[column] for column in columns], axis=1)
    lines = "\n".join("\t".join(f"{value:.4f}" for value in row) for row in table) + "\n"
    with atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(lines.encode(), compresslevel=6, mtime=0))
    about = {"SamplingFrequency": made.sampling_hz, "StartTime": float(made.clock[0]), "Columns": list(columns)}
    write_json(path.with_name(path.name.replace(".tsv.gz", ".json")), about)


def _phase(rng: np.random.Generator, clock: Array, *, rate_hz: float, spread: float) -> Array:
    rate = rate_hz * (1 + spread * _wander(rng, clock, period_s=8.0))
    step = np.diff(clock, prepend=clock[0] - (clock[1] - clock[0]))
    return rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(rate * step)


def _wander(rng: np.random.Generator, clock: Array, *, period_s: float) -> Array:
    """Return a smooth random course of unit variance (n_sample,) that changes over about ``period_s``."""
    from scipy.interpolate import CubicSpline

    knots = np.arange(clock[0] - period_s, clock[-1] + 2 * period_s, period_s)
    return np.asarray(CubicSpline(knots, rng.standard_normal(len(knots)))(clock))
