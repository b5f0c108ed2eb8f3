"""The nociceptive withdrawal reflex of a leg muscle, with what is planted in it.

One run: a staircase of single electrical stimuli around the threshold, then trains above it. A reflex is a burst of
muscle activity whose size is planted as interval z (how far the rectified EMG of the window exceeds that before the
stimulus, in its SD), so that the truth does not depend on how it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.simulate.emg import EmgSettings, muscle_activity, recording
from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.stimulation import Pulses
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

TASK = "reflex"
HALF_NORMAL_MEAN = float(np.sqrt(2 / np.pi))
HALF_NORMAL_SD = float(np.sqrt(1 - 2 / np.pi))


@dataclass(frozen=True, slots=True)
class ReflexSettings:
    """The reflex and the protocol; intensities in mA, times in s, sizes as interval z.

    A stimulus evokes the reflex with the probability of a logistic with the midpoint ``threshold_ma`` and ``width_ma``.
    ``size`` is the mean reflex to single stimuli, ``growth`` what it gains from one stimulus of a train to the next;
    single reflexes scatter with ``size_sd`` (of the logarithm). In people with low back pain the threshold is
    lower by ``patient_ma`` and the growth larger by ``patient_growth``. ``steps_ma`` are the steps of the staircase up
    to the first turn, up to the second, and from then on. ``window_s`` is where a reflex is looked for.
    """

    muscle: str = "biceps_femoris"
    threshold_ma: float = 16.0
    threshold_sd: float = 2.0
    width_ma: float = 0.8
    patient_ma: float = 4.0
    size: float = 12.0
    size_sd: float = 0.3
    growth: float = 1.5
    growth_sd: float = 0.4
    patient_growth: float = 2.0
    singles: int = 30
    steps_ma: tuple[float, float, float] = (4.0, 2.0, 1.0)
    trains: int = 8
    train_length: int = 5
    train_interval_s: float = 0.5
    above_threshold: float = 1.3
    interval_s: float = 10.0
    onset_s: float = 0.095
    onset_jitter_s: float = 0.002
    burst_s: float = 0.050
    window_s: tuple[float, float] = (0.090, 0.150)
    restless_share: float = 0.03
    session_ma: float = 0.5


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The reflex of one person in one session: threshold and width (mA), growth in a train (interval z)."""

    threshold_ma: float
    width_ma: float
    growth: float

    def probability(self, intensity_ma: float) -> float:
        """Return how likely a stimulus evokes the reflex."""
        return float(1 / (1 + np.exp(-(intensity_ma - self.threshold_ma) / self.width_ma)))


def withdrawal(visit: Visit, settings: ReflexSettings) -> Withdrawal:
    """Return the planted reflex of a person in a session."""
    lasting, passing = visit.lasting("reflex"), visit.passing("reflex")
    threshold = settings.threshold_ma + settings.threshold_sd * float(np.clip(lasting.standard_normal(), -2.5, 2.5))
    threshold += settings.session_ma * passing.standard_normal() - settings.patient_ma * visit.person.patient
    growth = settings.growth + settings.growth_sd * lasting.standard_normal()
    return Withdrawal(
        threshold_ma=float(threshold),
        width_ma=settings.width_ma,
        growth=float(growth + settings.patient_growth * visit.person.patient),
    )


# ------------------------------------------------------------------------------------------------------------- protocol


def planned(visit: Visit, settings: ReflexSettings) -> pd.DataFrame:
    """Return the stimuli, one per row: onset (s), stim_mA, train_position (NaN: single), rating, planted size (z)."""
    import pandas as pd

    rng, reflex = visit.passing("reflex stimuli"), withdrawal(visit, settings)
    intensity, answered = staircase(rng, reflex, settings)
    starts = np.cumsum(settings.interval_s * rng.uniform(0.9, 1.1, settings.singles + settings.trains))
    place = np.arange(1.0, settings.train_length + 1)
    strong = round(2 * settings.above_threshold * reflex.threshold_ma) / 2
    shape = (settings.trains, settings.train_length)
    scatter = np.exp(settings.size_sd * rng.standard_normal(settings.singles + place.size * settings.trains))
    mean = np.concatenate(
        [np.where(answered, settings.size, 0.0), np.tile(settings.size + reflex.growth * (place - 1), settings.trains)]
    )
    table = pd.DataFrame(
        {
            "onset": np.concatenate(
                [
                    starts[: settings.singles],
                    (starts[settings.singles :, None] + settings.train_interval_s * (place - 1)).ravel(),
                ]
            ).round(3),
            "stim_mA": np.concatenate([intensity, np.full(np.prod(shape), strong)]),
            "train_position": np.concatenate([np.full(settings.singles, np.nan), np.tile(place, settings.trains)]),
            "size": mean * scatter * np.exp(-(settings.size_sd**2) / 2),
        }
    )
    felt = 2.5 * table["stim_mA"] + 4 * rng.standard_normal(len(table))
    return table.assign(rating=felt.clip(0, 100).round())


def staircase(
    rng: np.random.Generator, reflex: Withdrawal, settings: ReflexSettings
) -> tuple[Array, NDArray[np.bool_]]:
    """Return intensities (mA) and answers of single stimuli: down after a reflex, else up, in ever smaller steps."""
    smallest = settings.steps_ma[-1]
    intensity, answered, turns, now = [], [], 0, smallest
    for _ in range(settings.singles):
        intensity.append(now)
        answered.append(bool(rng.random() < reflex.probability(now)))
        turns += len(answered) > 1 and answered[-1] != answered[-2]
        step = settings.steps_ma[min(turns, len(settings.steps_ma) - 1)]
        now = max(smallest, now - step if answered[-1] else now + step)
    return np.array(intensity), np.array(answered)


# --------------------------------------------------------------------------------------------------------------- signal


def burst_shape(time_s: Array, settings: ReflexSettings) -> Array:
    """Return the envelope of a reflex, largest 1, at times after the beginning of the burst (s)."""
    share = time_s / settings.burst_s
    return np.where((share > 0) & (share < 1), np.sin(np.pi * share) ** 2, 0.0)


def interval_z(gain: Array, settings: ReflexSettings) -> Array:
    """Return the interval z (n,) of bursts whose activity is ``gain`` (n,) times that of the quiet muscle."""
    spread = _spread(gain, settings)
    return np.asarray(HALF_NORMAL_MEAN * (spread.mean(axis=-1) - 1) / HALF_NORMAL_SD)


def standardised(gain: Array, settings: ReflexSettings) -> Array:
    """Return the size (n,) of the same bursts over the SD pooled over the window and the time before the stimulus."""
    spread = _spread(gain, settings)
    mean = HALF_NORMAL_MEAN * spread.mean(axis=-1)
    variance = (spread**2).mean(axis=-1) - mean**2
    return np.asarray((mean - HALF_NORMAL_MEAN) / np.sqrt((variance + HALF_NORMAL_SD**2) / 2))


def _spread(gain: Array, settings: ReflexSettings) -> Array:
    """SD (n, n_time) of the EMG in the window, over that of the quiet muscle."""
    times = np.linspace(*settings.window_s, 200) - settings.onset_s
    return np.sqrt(1 + (np.asarray(gain)[:, None] * burst_shape(times, settings)) ** 2)


def gain_of(size: Array, settings: ReflexSettings) -> Array:
    """Return the activity of bursts of the interval z ``size`` (n,), in multiples of that of the quiet muscle."""
    grid = np.concatenate([[0.0], np.geomspace(0.01, 1000, 2000)])
    return np.interp(size, interval_z(grid, settings), grid)


def run_signal(visit: Visit, events: pd.DataFrame, *, emg: EmgSettings, settings: ReflexSettings) -> Array:
    """Return the recording (1, n_sample) in uV of the stimuli of ``events`` (:func:`planned`)."""
    rng, onset = visit.passing("reflex emg"), events["onset"].to_numpy()
    pulses = Pulses(
        muscles=(settings.muscle,),
        onset_s=onset,
        position=np.zeros(len(onset), dtype=np.int64),
        block=("",) * len(onset),
        amplitude_uv=np.zeros((1, len(onset))),
        site_xy_mm=np.zeros((1, 2)),
        intensity_mso=0.0,
        restless=rng.random(len(onset)) < settings.restless_share,
    )
    signal = recording(rng, pulses, settings=emg)
    burst = emg.background_uv * muscle_activity(rng, signal.shape[1], settings=emg)
    beginning = onset + settings.onset_s + settings.onset_jitter_s * rng.standard_normal(len(onset))
    after = np.arange(int((settings.burst_s + 0.01) * emg.sfreq)) / emg.sfreq
    for start, gain in zip(beginning, gain_of(events["size"].to_numpy(), settings), strict=True):
        first = int(start * emg.sfreq)
        place = slice(first, first + after.size)
        signal[0, place] += gain * burst_shape(after + first / emg.sfreq - start, settings) * burst[place]
    return signal


# ---------------------------------------------------------------------------------------------------------------- truth


def reflex_truth(visit: Visit, settings: ReflexSettings) -> list[TruthRow]:
    """Return the planted values; the size is that expected of the reflexes to single stimuli."""
    reflex = withdrawal(visit, settings)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    sizes = settings.size * np.exp(settings.size_sd * nodes - settings.size_sd**2 / 2)
    values = {
        "nfr_threshold": reflex.threshold_ma,
        "nfr_threshold_staircase": reflex.threshold_ma,
        "nfr_magnitude": float(weights @ standardised(gain_of(sizes, settings), settings) / weights.sum()),
        "nfr_ts": reflex.growth,
    }
    return [truth_row(visit, name, value=value) for name, value in values.items()]
