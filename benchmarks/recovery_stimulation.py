"""How well planted motor maps, peaks, plasticity, silent periods and reflexes are recovered.

``python -m benchmarks.recovery_stimulation --study maps [--n 200] [--trials 10] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study peaks [--n 1500] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study plasticity [--n 4000] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study silence [--n 300] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study reflex [--n 2000] [--seed 1]``

``maps``: two muscles on 6 x 7 sites, 1 cm apart, with centres 0, 5, 10 and 20 mm from each other in a random direction,
widths of 10 to 16 mm, trials of log SD 0.6 half of which is common to both muscles. ``peaks``: how often a single hill,
two hills and two merged ones have how many peaks. ``plasticity``: log SD 0.5 and 0.9, ratios 0.6, 1 and 1.6, 15 and 30
trials a block. ``silence``: contracted muscles that fall silent for 110 ms on average, with an SD over trials of 0, 5
and 15 ms, after 10, 20 and 60 responses of 600 uV (2000 uV) that begin smoothly or with a kink; background 25 uV, at
1000, 2000 and 5000 Hz. ``reflex``: the size of 5 and 15 reflexes of 6, 12 and 25 SD of the baseline, log SD 0.3.
Printed are bias and its Monte-Carlo error, standard error and coverage of the 95 % intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from lbpneuro.kernels import map_fit, map_peaks, mep, motor_map
from lbpneuro.kernels.plasticity import log_ratio
from lbpneuro.kernels.reflex import interval_scores
from lbpneuro.markers.descriptor import Estimate
from lbpneuro.markers.excitability import Excitability, MuscleTrials, Pulses, silent_period
from lbpneuro.markers.reflex import Reflexes, nfr_magnitude
from lbpneuro.simulate.emg import LEG, EmgSettings, muscle_activity, response_shape
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.reflex import ReflexSettings, burst_shape, gain_of, reflex_truth

SIZES = {"maps": 200, "peaks": 1500, "plasticity": 4000, "silence": 300, "reflex": 2000}
VISIT = Visit(person(1, seed=1, effect=1.0), 0, 1)
TAU = 0.25
LOG_SD = 0.6
SHARED = 0.5
NOISE_UV = 6.0
DRAWS = 300
COORDS = np.array([(x, y) for y in range(-30, 40, 10) for x in range(-60, 0, 10)], dtype=float)
SEPARATIONS_MM = (0.0, 5.0, 10.0, 20.0)


def planted(rng: np.random.Generator, separation_mm: float) -> np.ndarray:
    """Noise-free site means (2, n_site) of two hills."""
    angle = rng.uniform(0, 2 * np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * separation_mm / 2
    middle = np.array([-35.0, 0.0]) + rng.uniform(-4, 4, 2)
    widths = rng.uniform(10, 16, 2)
    return np.stack([hill(middle + sign * half, width) for sign, width in zip((-1, 1), widths, strict=True)])


def hill(centre: np.ndarray, width: float, height: float = 300.0) -> np.ndarray:
    return height * np.exp(-((COORDS - centre) ** 2).sum(axis=1) / (2 * width**2))


def trials_of(rng: np.random.Generator, means: np.ndarray, *, n_trial: int) -> np.ndarray:
    """Single trials (2, n_site, n_trial): log-normal, partly common to both muscles, plus noise."""
    n_muscle, n_site = means.shape
    common, own = rng.standard_normal((1, n_site, n_trial)), rng.standard_normal((n_muscle, n_site, n_trial))
    deviation = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
    size = means[..., None] * np.exp(LOG_SD * deviation - LOG_SD**2 / 2)
    return size + NOISE_UV * rng.standard_normal(size.shape)


def functionals() -> dict[str, motor_map.Functional]:
    return {
        "map_area": lambda m: motor_map.map_area(m[..., 0, :], tau=TAU, cell_cm2=1.0),
        "map_volume": lambda m: motor_map.map_volume(m[..., 0, :], tau=TAU),
        "map_spread": lambda m: motor_map.map_spread(m[..., 0, :], COORDS),
        "map_entropy": lambda m: motor_map.map_entropy(m[..., 0, :]),
        "cog_x": lambda m: motor_map.centre_of_gravity(m[..., 0, :], COORDS, tau=TAU)[..., 0],
        "cog_y": lambda m: motor_map.centre_of_gravity(m[..., 0, :], COORDS, tau=TAU)[..., 1],
        "overlap_min": lambda m: motor_map.overlap_min(m[..., 0, :], m[..., 1, :], tau=TAU),
        "overlap_bhattacharyya": lambda m: motor_map.overlap_bhattacharyya(m[..., 0, :], m[..., 1, :], tau=TAU),
        "overlap_dice": lambda m: motor_map.overlap_dice(m[..., 0, :], m[..., 1, :], tau=TAU),
    }


def difference(maps: np.ndarray) -> np.ndarray:
    centres = motor_map.centre_of_gravity(maps, COORDS, tau=TAU)
    return centres[..., 0, :] - centres[..., 1, :]


def one_map(seed: tuple[int, ...], separation_mm: float, *, n_trial: int) -> list[dict[str, object]]:
    """Truth, estimate, error and coverage of every marker of one planted pair of maps."""
    rng = np.random.default_rng(seed)
    means = planted(rng, separation_mm)
    amplitudes = trials_of(rng, means, n_trial=n_trial)
    draws = map_fit.draw_maps(map_fit.fit_trials(amplitudes, COORDS), n_draws=DRAWS, rng=rng)
    rows = []
    for name, functional in functionals().items():
        bounds = (0.0, 1.0) if name.startswith("overlap") else (-np.inf, np.inf)
        value, se, (low, high) = draws.estimate(functional, bounds=bounds)
        rows.append(row(name, float(functional(means)), value, se, (low, high)))
        rows[-1]["plain"] = float(functional(amplitudes.mean(axis=-1)))
    truth = float(np.linalg.norm(difference(means)))
    value, se, (low, high) = motor_map.debiased_length(*draws.corrected(difference))
    rows.append(row("cog_distance", truth, value, se, (low, high)))
    rows[-1]["plain"] = float(np.linalg.norm(difference(amplitudes.mean(axis=-1))))
    return [{"separation_mm": separation_mm, **each} for each in rows]


def row(name: str, truth: float, value: float, se: float, interval: tuple[float, float]) -> dict[str, object]:
    low, high = interval
    return {"marker": name, "truth": truth, "value": value, "se": se, "covered": low <= truth <= high}


def maps(n: int, *, seed: int, n_trial: int) -> pd.DataFrame:
    """Bias, error and coverage of the map markers by separation of the centres."""
    found = [
        each
        for separation in SEPARATIONS_MM
        for number in range(n)
        for each in one_map((seed, number, round(separation)), separation, n_trial=n_trial)
    ]
    return summary(pd.DataFrame(found), ["marker", "separation_mm"])


def summary(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    error = rows["value"] - rows["truth"]
    rows = rows.assign(bias=error, size=error.abs(), plain_bias=rows["plain"] - rows["truth"])
    grouped = rows.groupby(keys, sort=False)
    table = grouped[["truth", "bias", "size", "se", "covered", "plain_bias"]].mean()
    spread = grouped["bias"].std(ddof=1)
    table.insert(2, "mc_error", spread / np.sqrt(grouped.size()))
    table.insert(4, "sd", spread)
    return table.reset_index()


SHAPES = {
    "one hill": [((-35, 0), 15.0)],
    "one wide hill": [((-35, 0), 20.0)],
    "two hills": [((-50, -20), 8.0), ((-20, 20), 8.0)],
    "merged hills": [((-40, -5), 13.0), ((-30, 5), 13.0)],
}


def peaks(n: int, *, seed: int) -> pd.DataFrame:
    """Mean number of peaks, and how often there are one and two, by shape and number of trials."""
    rng = np.random.default_rng(seed)
    near, rule = motor_map.neighbours(COORDS), map_peaks.PeakRule()
    rows = []
    for shape, hills in SHAPES.items():
        means = sum(hill(np.array(centre), width) for centre, width in hills)
        for n_trial in (5, 10):
            deviation = LOG_SD * rng.standard_normal((n, len(COORDS), n_trial)) - LOG_SD**2 / 2
            noisy = (means[:, None] * np.exp(deviation)).mean(axis=-1)
            for name, count in (("published", map_peaks.published_peaks), ("strict", map_peaks.strict_peaks)):
                found = count(noisy, near, rule=rule).sum(axis=1)
                rates = {"mean": found.mean(), "one": (found == 1).mean(), "two": (found == 2).mean()}
                rows.append({"shape": shape, "trials": n_trial, "rule": name, **rates})
    return pd.DataFrame(rows)


def plasticity(n: int, *, seed: int) -> pd.DataFrame:
    """Bias and coverage of the log ratio of two blocks, by Welch's and the bootstrap interval."""
    rng = np.random.default_rng(seed)
    rows = []
    for log_sd in (0.5, 0.9):
        for ratio in (0.6, 1.0, 1.6):
            for n_trial in (15, 30):
                found = [_ratio(rng, ratio, log_sd=log_sd, n_trial=n_trial) for _ in range(n)]
                value, se, welch, bootstrap = np.array(found, dtype=float).T
                bias, error = (value - np.log(ratio)).mean(), value.std(ddof=1) / np.sqrt(n)
                case = {"log_sd": log_sd, "ratio": ratio, "trials": n_trial}
                rows.append({**case, "bias": bias, "mc_error": error, "se": se.mean()})
                rows[-1] |= {"welch": welch.mean(), "bootstrap": bootstrap.mean()}
    return pd.DataFrame(rows)


def _ratio(rng: np.random.Generator, ratio: float, *, log_sd: float, n_trial: int) -> list[float]:
    pre, post = (1000 * size * np.exp(log_sd * rng.standard_normal(n_trial)) for size in (1.0, ratio))
    found, truth = log_ratio(post, pre), np.log(ratio)
    intervals = (found.interval(0.95), found.bootstrap_interval(0.95, n_draws=1000, rng=rng))
    return [found.value, found.se, *(low <= truth <= high for low, high in intervals)]


SILENCE_MS = 110.0
SCATTERS_MS = (0.0, 5.0, 15.0)
SILENCES = [
    *(
        {"hz": hz, "trials": 20, "uv": 600, "kink": False, "scatter": each}
        for hz in (1000, 5000)
        for each in SCATTERS_MS
    ),
    *(
        {"hz": 2000, "trials": n, "uv": 600, "kink": False, "scatter": each}
        for n in (10, 20, 60)
        for each in SCATTERS_MS
    ),
    *(
        {"hz": 2000, "trials": 20, "uv": uv, "kink": True, "scatter": each}
        for uv in (600, 2000)
        for each in SCATTERS_MS
    ),
]
CONTRACTED = mep.MepSettings(
    windows=[(0.015, 0.050)],
    background=(-0.105, -0.005),
    blank=(-0.002, 0.005),
    band=(20.0, 1000.0),
    hum=None,
    correction="quadrature",
    background_range=(0.5, 1.5),
)


def contracted(rng: np.random.Generator, case: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (n_trial, 1, n_time) in volts, and times: artefact, response at 22 ms, silence from there, background."""
    settings = EmgSettings(latency_s=0.022, background_uv=25.0, contracting=True, sfreq=float(case["hz"]))
    times = np.arange(round(-0.35 * settings.sfreq), round(0.35 * settings.sfreq) + 1) / settings.sfreq
    n = int(case["trials"])
    noise = [muscle_activity(rng, n * times.size, settings=settings).reshape(n, -1) for _ in range(2)]
    latency = settings.latency_s + settings.latency_jitter_s * rng.standard_normal((n, 1))
    ends = settings.latency_s + (SILENCE_MS + case["scatter"] * rng.standard_normal((n, 1))) / 1e3
    silent = (times >= settings.latency_s) & (times < ends)
    sizes = case["uv"] * np.exp(0.45 * rng.standard_normal((n, 1)))
    artefact = settings.artefact_uv * np.where(times >= 0, np.exp(-np.maximum(times, 0) / settings.artefact_tau_s), 0.0)
    signal = settings.background_uv * np.where(silent, 0.05, 1.0) * noise[0] + settings.noise_uv * noise[1]
    shape = kinked_shape if case["kink"] else response_shape
    signal += sizes * shape(times - latency, settings.response_s) + artefact
    return signal[:, None] * 1e-6, times


def kinked_shape(time_s: np.ndarray, duration_s: float) -> np.ndarray:
    """One period of a sine, peak-to-peak 1, that starts at 0."""
    return np.where((time_s > 0) & (time_s < duration_s), np.sin(2 * np.pi * time_s / duration_s) / 2, 0.0)


def one_silence(rng: np.random.Generator, case: Mapping[str, float]) -> Estimate:
    """The silent period of one person."""
    epochs, times = contracted(rng, case)
    found = mep.measure_responses(epochs, times, sfreq=float(case["hz"]), settings=CONTRACTED)
    nothing = np.full(len(epochs), np.nan)
    pulses = Pulses(
        amplitude_uv=found.p2p[:, 0] * 1e6,
        corrected_uv=found.p2p_corrected[:, 0] * 1e6,
        background_uv=found.background_rms[:, 0] * 1e6,
        intensity=nothing,
        isi_ms=np.zeros(len(epochs)),
        conditioning=nothing,
        latency_ms=found.latency[:, 0] * 1e3,
        silent_period_ms=found.silent_period[:, 0] * 1e3,
        kept=found.rejected[:, 0] == mep.KEPT,
        clipped=np.zeros(len(epochs), dtype=bool),
    )
    level = ("FDI", "L")
    return silent_period(Excitability(trials={level: MuscleTrials(contracted=pulses)}, settings={}))[level]


def silence(n: int, *, seed: int) -> pd.DataFrame:
    """Bias, error and coverage of the silent period."""
    rows = []
    for number, case in enumerate(SILENCES):
        found = [one_silence(np.random.default_rng((seed, number, each)), case) for each in range(n)]
        known = [each for each in found if np.isfinite(each.value)]
        error = np.array([each.value for each in known]) - SILENCE_MS
        inside = [each.ci_low <= SILENCE_MS <= each.ci_high for each in known]
        rows.append({**case, "known": len(known) / n, "bias": error.mean(), "sd": error.std(ddof=1)})
        rows[-1] |= {"se": np.mean([each.se for each in known]), "covered": np.mean(inside)}
    return pd.DataFrame(rows)


def reflex(n: int, *, seed: int) -> pd.DataFrame:
    """Bias, error and coverage of the size of the withdrawal reflex."""
    rows = []
    for size in (6.0, 12.0, 25.0):
        settings = replace(ReflexSettings(), size=size)
        planted = {each["marker"]: each["value"] for each in reflex_truth(VISIT, settings)}
        truth = planted["nfr_magnitude"]
        for trials in (5, 15):
            sizes = reflex_sizes(np.random.default_rng((seed, round(size), trials)), settings, shape=(n, trials))
            found = [nfr_magnitude(single_stimuli(each))[()] for each in sizes]
            error = np.array([each.value for each in found]) - truth
            covered = np.mean([each.ci_low <= truth <= each.ci_high for each in found])
            rows.append({"size": size, "trials": trials, "truth": truth, "bias": error.mean(), "sd": error.std(ddof=1)})
            rows[-1] |= {"se": np.mean([each.se for each in found]), "covered": covered}
    return pd.DataFrame(rows)


def reflex_sizes(rng: np.random.Generator, settings: ReflexSettings, *, shape: tuple[int, int]) -> np.ndarray:
    """Measured sizes (n_person, n_trial) of reflexes: quiet activity, and in the window a burst of the planted size."""
    times, leg, n = np.arange(-70, 251) / 1000, replace(LEG, sfreq=1000.0), shape[0] * shape[1]
    quiet, burst = (muscle_activity(rng, n * times.size, settings=leg).reshape(n, -1) for _ in range(2))
    planted = settings.size * np.exp(settings.size_sd * rng.standard_normal(n) - settings.size_sd**2 / 2)
    envelope = burst_shape(times - settings.onset_s, settings)
    epochs = leg.background_uv * 1e-6 * (quiet + gain_of(planted, settings)[:, None] * envelope * burst)
    windows = {"window": settings.window_s, "baseline": (-0.065, -0.005), "early": 0.04}
    return interval_scores(epochs, times, **windows).magnitude.reshape(shape)


def single_stimuli(sizes: np.ndarray) -> Reflexes:
    """Responses to single stimuli, all of them reflexes."""
    n = len(sizes)
    return Reflexes(
        stim_ma=np.full(n, 10.0),
        magnitude=sizes,
        interval_z=sizes,
        answered=np.ones(n, dtype=bool),
        position=np.full(n, np.nan),
        kept=np.ones(n, dtype=bool),
        interval_s=10.0,
        settings={"magnitude_trials_min": 3, "interval_min_s": 8},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", choices=SIZES, required=True)
    parser.add_argument("--n", type=int, help="simulations of each case; by default " + str(SIZES))
    parser.add_argument("--trials", type=int, default=10, help="pulses per site of a map")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    n = given.n or SIZES[given.study]
    table = {
        "maps": lambda: maps(n, seed=given.seed, n_trial=given.trials),
        "peaks": lambda: peaks(n, seed=given.seed),
        "plasticity": lambda: plasticity(n, seed=given.seed),
        "silence": lambda: silence(n, seed=given.seed),
        "reflex": lambda: reflex(n, seed=given.seed),
    }[given.study]()
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
