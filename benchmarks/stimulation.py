"""Time of a TMS session from its recordings to markers, and of the bootstrap of maps against a loop.

``python -m benchmarks.stimulation [--repeats 3] [--page]``

A session has a motor map of two muscles (42 sites x 10 pulses) and five blocks of 30 pulses, at 2000 Hz. It is
simulated, and all steps are run on one core in a fresh process. The bootstrap of 1,000 resamples is compared with a
loop over resamples and sites on the same random numbers: agreement stands beside the time. Results are kept in
benchmarks/results/stimulation.json; ``--page`` writes docs/benchmarks-neurophysiology.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import NOTE, table
from benchmarks.recovery_stimulation import COORDS, TAU, planted, trials_of
from lbpneuro.kernels import map_bootstrap, map_fit, motor_map

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "stimulation.json"
PAGE = ROOT / "docs" / "benchmarks-neurophysiology.md"
PULSES_PER_SITE = (5, 10, 20)
DRAWS = 1000
SESSION_GOAL_S = 5.0
SPEEDUP_GOAL = 50.0


def write_session(root: Path, *, pulses_per_site: int) -> None:
    """Simulate the recordings of a session below ``root``, and settings for the steps."""
    from lbpneuro.io.config import read_config, resolve
    from lbpneuro.simulate.people import Visit, person
    from lbpneuro.simulate.stimulation_files import write_motor_map, write_plasticity
    from lbpneuro.simulate.study import Study

    study = Study(root=root, voxel_mm=4.0)
    study = replace(
        study,
        motor_map=replace(study.motor_map, trials_per_site=pulses_per_site),
        plasticity=replace(study.plasticity, trials_per_block=3 * pulses_per_site),
    )
    visit = Visit(person(1, seed=1, effect=1.0), 0, 1)
    write_motor_map(study, visit)
    write_plasticity(study, visit)
    dataset = {"bids_dir": str(study.raw), "out_dir": str(root / "out"), "work_dir": str(root / "work")}
    (root / "config.json").write_text(json.dumps(resolve(read_config(None, {"dataset": dataset}))))


def run_steps(root: Path) -> dict[str, Any]:
    """Run all steps of the session below ``root`` in this process; return their seconds and the number of values."""
    start = time.perf_counter(), time.process_time()
    from lbpneuro.io.files import read_tsv
    from lbpneuro.steps import meps, plasticity, tms

    config, emg = str(root / "config.json"), root / "out" / "sub-01" / "emg"
    emg.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"imports": time.process_time() - start[1]}
    tables = []
    for task in ("motormap", "plasticity"):
        files = [path for path in sorted((root / "raw" / "sub-01").glob("*/*")) if task in path.name]
        tables.append(str(emg / f"sub-01_task-{task}_desc-trials_meps.tsv"))
        before = time.process_time()
        meps.main(["--in", *map(str, files), "--out", tables[-1], "--config", config])
        found[f"meps, {task}"] = time.process_time() - before
    rows = []
    for name, step in (("tms", tms), ("plasticity", plasticity)):
        out = emg / f"sub-01_desc-{name}_markers.tsv"
        before = time.process_time()
        step.main(["--in", *tables, "--out", str(out), "--config", config, "--participant", "sub-01"])
        found[f"markers, {name}"] = time.process_time() - before
        rows.append(read_tsv(out))
    found["CPU"], found["wall"] = time.process_time() - start[1], time.perf_counter() - start[0]
    found["values"] = int(sum(table["value"].notna().sum() for table in rows))
    return found


def session(pulses_per_site: int, *, repeats: int) -> dict[str, Any]:
    """Return the median seconds of a session over fresh processes on one core."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_session(root, pulses_per_site=pulses_per_site)
        own = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        found = []
        for _ in range(repeats):
            command = [sys.executable, "-m", "benchmarks.stimulation", "--steps", str(root)]
            finished = subprocess.run(command, env=own, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
            output = finished.stdout
            found.append(json.loads(output.splitlines()[-1]))
    return {name: float(np.median([each[name] for each in found])) for name in found[0]}


def functionals(maps: np.ndarray) -> np.ndarray:
    """Return area, volume, both axes of the centre, and overlap (..., 5) of maps (..., 2, n_site)."""
    first = maps[..., 0, :]
    centre = motor_map.centre_of_gravity(first, COORDS, tau=TAU)
    values = [
        motor_map.map_area(first, tau=TAU, cell_cm2=1.0),
        motor_map.map_volume(first, tau=TAU),
        centre[..., 0],
        centre[..., 1],
        motor_map.overlap_min(first, maps[..., 1, :], tau=TAU),
    ]
    return np.stack(values, axis=-1)


def bootstrap_by_loop(trials: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The same resamples, one at a time and site by site."""
    _, n_site, n_trial = trials.shape
    drawn = (rng.random((n_site, DRAWS, n_trial)) * n_trial).astype(int)
    values = []
    for draw in range(DRAWS):
        means = np.empty(trials.shape[:2])
        for site in range(n_site):
            means[:, site] = trials[:, site, drawn[site, draw]].mean(axis=1)
        values.append(functionals(means))
    return np.array(values)


def bootstrap(n_trial: int, *, repeats: int) -> dict[str, Any]:
    """Return the seconds of 1,000 resamples of two muscles with area, volume, centre and overlap, both ways."""
    rng = np.random.default_rng(0)
    trials = trials_of(rng, planted(rng, 10.0), n_trial=n_trial)
    ours, loop = [], []
    for _ in range(repeats):
        start = time.process_time()
        again = map_bootstrap.resample_means(trials, n_draws=DRAWS, rng=np.random.default_rng(1))
        fast = functionals(again)
        ours.append(time.process_time() - start)
        start = time.process_time()
        slow = bootstrap_by_loop(trials, rng=np.random.default_rng(1))
        loop.append(time.process_time() - start)
    start = time.process_time()
    draws = map_fit.draw_maps(map_fit.fit_trials(trials, COORDS), n_draws=DRAWS, rng=rng)
    draws.corrected(functionals)
    fitted = time.process_time() - start
    seconds = float(np.median(ours)), float(np.median(loop))
    return {
        "pulses per site": n_trial,
        "vectorised (s)": seconds[0],
        "loop (s)": seconds[1],
        "loop / vectorised": seconds[1] / seconds[0],
        "largest difference": float(np.abs(fast - slow).max()),
        "fitted maps with calibration (s)": fitted,
    }


def measure(repeats: int) -> dict[str, Any]:
    """Return everything that the page shows."""
    sessions = {str(n): session(n, repeats=repeats) for n in PULSES_PER_SITE}
    pulses = np.array([n * (42 + 15) for n in PULSES_PER_SITE], dtype=float)
    seconds = np.array([sessions[str(n)]["CPU"] for n in PULSES_PER_SITE])
    slope, fixed = np.polyfit(pulses, seconds, 1)
    misfit = float(np.abs(fixed + slope * pulses - seconds).max() / seconds.max())
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one used; Python {platform.python_version()}, "
        f"numpy {np.__version__}; load when it ended {os.getloadavg()[0]:.1f}",
        "sessions": sessions,
        "linear": {"ms per pulse": 1000 * slope, "fixed (s)": fixed, "largest misfit": misfit},
        "bootstrap": [bootstrap(n, repeats=repeats) for n in (5, 10)],
    }


SESSION_WORDS = (
    "CPU seconds of one core in a fresh process, imports included, and the number of marker values with it. The steps "
    "read BDF, measure every response, fit the maps and draw 1,000 of them for the intervals. Per pulse it takes "
    "{ms:.2g} ms, and {fixed:.2g} s besides."
)
BOOTSTRAP_WORDS = (
    "1,000 resamples of trials within sites, the same pulses for both muscles, with area, volume, centre and "
    "overlap of each. The loop does the same with numpy, resample by resample and site by site, on the same random "
    "numbers. "
    "The last column is the default estimator: fit, 1,000 plausible maps refitted with fresh noise, and 25 draws "
    "around each."
)


def targets(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what was asked for and what was measured."""
    seconds = found["sessions"]["10"]["CPU"]
    ratio = min(each["loop / vectorised"] for each in found["bootstrap"])
    slowest = max(each["vectorised (s)"] for each in found["bootstrap"])
    misfit = found["linear"]["largest misfit"]
    asked = [
        ("session from BDF to all markers, CPU of one core (s)", "<= 5", seconds, seconds <= SESSION_GOAL_S),
        ("bootstrap: loop / vectorised, CPU", ">= 50", ratio, ratio >= SPEEDUP_GOAL),
        ("bootstrap of 1,000 resamples, two muscles (s)", "<= 0.5", slowest, slowest <= 0.5),
        ("misfit of a straight line through time over pulses", "<= 0.1", misfit, misfit <= 0.1),
    ]
    return [dict(zip(("target", "goal", "measured", "met"), line, strict=True)) for line in asked]


def page(found: dict[str, Any]) -> str:
    """Return the page of the kept results."""
    linear = found["linear"]
    sessions = [
        {"pulses per site": int(n), "pulses": int(n) * (42 + 15), **each} for n, each in found["sessions"].items()
    ]
    design = "two muscles on 42 sites with 10 pulses each, five blocks of 30 pulses, 2000 Hz"
    parts = [
        NOTE.replace("benchmarks;", "benchmarks.stimulation;"),
        "",
        "# Benchmarks: TMS",
        "",
        f"One simulated session: {design}. {found['machine']}.",
        "",
        "## Targets",
        "",
        *table(targets(found)),
        "",
        "## A session from recordings to markers",
        "",
        SESSION_WORDS.format(ms=linear["ms per pulse"], fixed=linear["fixed (s)"]),
        "",
        *table(sessions),
        "",
        "## Bootstrap",
        "",
        BOOTSTRAP_WORDS,
        "",
        *table(found["bootstrap"]),
        "",
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="write the page of the kept results, measure nothing")
    parser.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps:
        print(json.dumps(run_steps(given.steps)))
        return
    if not given.page:
        RESULTS.write_text(json.dumps(measure(given.repeats), indent=2) + "\n")
    PAGE.write_text(page(json.loads(RESULTS.read_text())))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
