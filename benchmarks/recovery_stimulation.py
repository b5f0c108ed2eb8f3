"""How well planted motor maps, peaks and plasticity are recovered.

``python -m benchmarks.recovery_stimulation --study maps [--n 200] [--trials 10] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study peaks [--n 1500] [--seed 1]``
``python -m benchmarks.recovery_stimulation --study plasticity [--n 4000] [--seed 1]``

``maps``: two muscles on 6 x 7 sites, 1 cm apart, with centres 0, 5, 10 and 20 mm from each other in a random direction,
widths of 10 to 16 mm, trials of log SD 0.6 half of which is common to both muscles. ``peaks``: how often a single hill,
two hills and two merged ones have how many peaks. ``plasticity``: log SD 0.5 and 0.9, ratios 0.6, 1 and 1.6, 15 and 30
trials a block.
Printed are bias and its Monte-Carlo error, standard error and coverage of the 95 % intervals.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from lbpneuro.kernels import map_fit, map_peaks, motor_map
from lbpneuro.kernels.plasticity import log_ratio

SIZES = {"maps": 200, "peaks": 1500, "plasticity": 4000}
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
    }[given.study]()
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
