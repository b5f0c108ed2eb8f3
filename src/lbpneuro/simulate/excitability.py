"""Thresholds, a recruitment curve and paired pulses in a hand muscle, with what is planted in them.

Two runs: at rest single pulses of many intensities, then pairs of pulses and their test pulses; with the muscle
contracted single pulses around the active threshold, each followed by a silent period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.simulate.emg import EmgSettings, add_responses, recording
from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.stimulation import Pulses
from lbpneuro.simulate.truth import TruthRow, truth_row

if TYPE_CHECKING:
    import pandas as pd

TASK, TASK_ACTIVE = "excitability", "excitabilityactive"
RESPONSE_UV, RESPONSE_ACTIVE_UV = 50.0, 200.0
TEST_SHARE, CONDITIONING_SHARE = 1.2, 0.8


@dataclass(frozen=True, slots=True)
class ExcitabilitySettings:
    """The recruitment of the muscle and the protocol; intensities in % of the maximum output, amplitudes in uV.

    The geometric mean response is ``plateau_uv`` times a logistic of intensity with the midpoint ``s50`` and ``width``;
    ``ratio`` are the planted ratios of conditioned to test responses at ``isi_ms``, and ``patient`` is added to that of
    ``sici`` in people with low back pain. ``eased`` is how much lower the midpoint of the contracted muscle is.
    """

    muscle: str = "FDI"
    hemisphere: str = "L"
    s50: float = 60.0
    s50_sd: float = 5.0
    width: float = 4.0
    plateau_uv: float = 2000.0
    plateau_sd: float = 0.25
    trial_sd: float = 0.45
    intensities: int = 11
    per_intensity: int = 8
    pairs: int = 16
    isi_ms: Mapping[str, float] = field(default_factory=lambda: {"sici": 2.5, "icf": 12.0, "lici": 100.0})
    ratio: Mapping[str, float] = field(default_factory=lambda: {"sici": 0.4, "icf": 1.5, "lici": 0.3})
    ratio_sd: float = 0.15
    patient: float = 0.25
    eased: float = 8.0
    contracted_gain: float = 1.5
    silent_ms: float = 110.0
    silent_sd: float = 12.0
    interval_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Muscle:
    """What one person's muscle does in one session: midpoint, width, plateau, ratios, silent period (ms)."""

    s50: float
    width: float
    plateau_uv: float
    ratio: Mapping[str, float]
    silent_ms: float

    def geometric_mean(self, intensity: Array) -> Array:
        """Return the geometric mean response (uV) to intensities."""
        return np.asarray(self.plateau_uv / (1 + np.exp(-(intensity - self.s50) / self.width)))

    def intensity_of(self, response_uv: float) -> float:
        """Return the intensity whose geometric mean response is ``response_uv``: half of the trials exceed it."""
        share = response_uv / self.plateau_uv
        return float(self.s50 + self.width * np.log(share / (1 - share)))


def muscles(visit: Visit, settings: ExcitabilitySettings) -> tuple[Muscle, Muscle]:
    """Return the muscle at rest and contracted."""
    lasting, passing = visit.lasting("excitability"), visit.passing("excitability")
    s50 = settings.s50 + settings.s50_sd * lasting.standard_normal() + 0.5 * passing.standard_normal()
    plateau = settings.plateau_uv * np.exp(settings.plateau_sd * lasting.standard_normal())
    ratio = {
        name: value * np.exp(settings.ratio_sd * lasting.standard_normal()) for name, value in settings.ratio.items()
    }
    ratio["sici"] += settings.patient * visit.person.patient
    silent = settings.silent_ms + settings.silent_sd * lasting.standard_normal()
    rest = Muscle(s50=s50, width=settings.width, plateau_uv=plateau, ratio=ratio, silent_ms=silent)
    gain = settings.contracted_gain
    active = Muscle(
        s50=s50 - settings.eased, width=settings.width, plateau_uv=gain * plateau, ratio={}, silent_ms=silent
    )
    return rest, active


def planned(visit: Visit, settings: ExcitabilitySettings, *, contracted: bool) -> pd.DataFrame:
    """Return the events of a run, one row per pulse or pair, with the planted response ``amplitude_uv``.

    ``onset`` is that of the first pulse of a pair.
    """
    import pandas as pd

    rest, active = muscles(visit, settings)
    rng = visit.passing(f"excitability pulses {contracted}")
    steps = np.linspace(-4.8, 3.2, settings.intensities) if not contracted else np.linspace(-4.2, 1.0, 8)
    muscle = active if contracted else rest
    intensities = np.round(muscle.s50 + steps * settings.width)
    singles = rng.permutation(np.repeat(intensities, settings.per_intensity))
    block = "amt" if contracted else "curve"
    rows = [{"block": block, "stim_type": "single", "intensity_mso": level, "ratio": 1.0} for level in singles]
    if not contracted:
        rows += _pairs(rng, rest, active, settings=settings)
    table = pd.DataFrame(rows).reindex(
        columns=["block", "stim_type", "isi_ms", "intensity_mso", "conditioning_mso", "ratio"]
    )
    onset = np.cumsum(settings.interval_s * rng.uniform(0.9, 1.1, len(table))).round(3)
    scatter = np.exp(settings.trial_sd * rng.standard_normal(len(table)))
    responses = muscle.geometric_mean(table["intensity_mso"].to_numpy()) * table["ratio"].to_numpy() * scatter
    entered = {
        "rmt_mso": np.round(rest.intensity_of(RESPONSE_UV)),
        "amt_mso": np.round(active.intensity_of(RESPONSE_ACTIVE_UV)),
    }
    return table.drop(columns="ratio").assign(onset=onset, amplitude_uv=responses, **entered)


def _pairs(
    rng: np.random.Generator, rest: Muscle, active: Muscle, *, settings: ExcitabilitySettings
) -> list[dict[str, Any]]:
    """Test pulses and pairs of all protocols in random order."""
    test = round(TEST_SHARE * rest.intensity_of(RESPONSE_UV))
    weak = round(CONDITIONING_SHARE * active.intensity_of(RESPONSE_ACTIVE_UV))
    rows: list[dict[str, Any]] = [{"stim_type": "single", "ratio": 1.0}] * settings.pairs
    for name, isi in settings.isi_ms.items():
        first = test if name == "lici" else weak
        pair = {"stim_type": "paired", "isi_ms": isi, "conditioning_mso": float(first), "ratio": rest.ratio[name]}
        rows = rows + [pair] * settings.pairs
    return [{**rows[place], "block": "paired", "intensity_mso": float(test)} for place in rng.permutation(len(rows))]


def run_signal(
    visit: Visit, events: pd.DataFrame, *, emg: EmgSettings, settings: ExcitabilitySettings, contracted: bool
) -> Array:
    """Return the recording (1, n_sample) in uV of the pulses of ``events`` (:func:`planned`)."""
    rng = visit.passing(f"excitability emg {contracted}")
    first, isi = events["onset"].to_numpy(), events["isi_ms"].fillna(0).to_numpy() / 1e3
    times = np.concatenate([first + isi, first[isi > 0]])
    own = np.concatenate([events["amplitude_uv"].to_numpy(), np.zeros((isi > 0).sum())])
    order = np.argsort(times, kind="stable")
    pulses = Pulses(
        muscles=(settings.muscle,),
        onset_s=times[order],
        position=np.zeros(len(times), dtype=np.int64),
        block=("",) * len(times),
        amplitude_uv=(np.zeros_like(own) if contracted else own[order])[None],
        site_xy_mm=np.array([[-45.0, 5.0]]),
        intensity_mso=0.0,
        restless=np.zeros(len(times), dtype=bool),
    )
    signal = recording(rng, pulses, settings=emg)
    if contracted:
        _silence(signal[0], first, muscles(visit, settings)[1], emg=emg)
        add_responses(signal[0], rng, onset_s=first, amplitude_uv=own, settings=emg)
    _strong_pulses(signal[0], rng, events, emg=emg)
    return signal


RESIDUAL = 0.05


def _silence(muscle: Array, onset_s: Array, kind: Muscle, *, emg: EmgSettings) -> None:
    """Silence the contracted muscle after every pulse, in place."""
    for onset in onset_s:
        start = round((onset + emg.latency_s) * emg.sfreq)
        stop = start + round(kind.silent_ms / 1e3 * emg.sfreq)
        artefact = emg.artefact_uv * np.exp(-(np.arange(start, stop) / emg.sfreq - onset) / emg.artefact_tau_s)
        muscle[start:stop] = RESIDUAL * (muscle[start:stop] - artefact) + artefact


def _strong_pulses(muscle: Array, rng: np.random.Generator, events: pd.DataFrame, *, emg: EmgSettings) -> None:
    """Add the responses that strong conditioning pulses evoke themselves, in place."""
    strong = events[events["conditioning_mso"] >= events["intensity_mso"]]
    if len(strong):
        sizes = strong["amplitude_uv"].to_numpy() * 3
        add_responses(muscle, rng, onset_s=strong["onset"].to_numpy(), amplitude_uv=sizes, settings=emg)


def excitability_truth(visit: Visit, settings: ExcitabilitySettings) -> list[TruthRow]:
    """Return the planted values: of the noise-free recruitment, and the ratios of conditioned to test responses."""
    rest, active = muscles(visit, settings)
    test = np.array(float(round(TEST_SHARE * rest.intensity_of(RESPONSE_UV))))
    values = {
        "rmt": rest.intensity_of(RESPONSE_UV),
        "amt": active.intensity_of(RESPONSE_ACTIVE_UV),
        "curve_s50": rest.s50,
        "curve_threshold": rest.s50 - 2 * rest.width,
        "curve_slope": rest.plateau_uv / (4 * rest.width),
        "curve_plateau": rest.plateau_uv,
        **rest.ratio,
        "mep_amplitude": float(rest.geometric_mean(test)) * np.exp(settings.trial_sd**2 / 2),
        "silent_period": rest.silent_ms,
    }
    levels = {"muscle": settings.muscle, "hemi": settings.hemisphere}
    return [truth_row(visit, name, value=float(value), **levels) for name, value in values.items()]
