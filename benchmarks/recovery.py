"""How well planted connectivity is recovered.

``python -m benchmarks.recovery --study arrays [--n 400] [--seed 1]``
``python -m benchmarks.recovery --study sessions [--n 300] [--null] [--seed 1]``
``python -m benchmarks.recovery --study cohort [--n 60] [--jobs 2] [--mm 4] [--null] [--seed 1] [--set KEY=JSON ...]``

``arrays`` are single pairs of series, ``sessions`` all markers of two runs of series, ``cohort`` goes from files to
rows: every visit is simulated into a folder of its own, measured by the step, and its images are deleted. Printed are
bias (over the mean standard error, with its Monte-Carlo error), coverage of the 95 % intervals and correlation with the
truth of every marker. ``--null`` plants nothing: no signal is correlated with another, and there is no smooth field;
then the share of intervals without 0 is the rate of false positives.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import recovery_series
from lbpneuro.io.config import merge, read_config
from lbpneuro.io.files import read_tsv
from lbpneuro.io.resources import workflow_folder
from lbpneuro.simulate import bold, bold_truth
from lbpneuro.simulate.bold import BoldSettings
from lbpneuro.simulate.imaging_files import write_imaging
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.recovery import agreement
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

SIZES = {"arrays": 400, "sessions": 300, "cohort": 60}
LEVELS = ("hemi", "edge", "roi", "network_a", "network_b")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is simulated and measured: seed, voxel size, whether nothing is planted, and settings of ``functional``."""

    seed: int
    voxel_mm: float
    null: bool
    settings: dict[str, Any]


def bold_settings(*, null: bool) -> BoldSettings:
    return replace(BoldSettings(), smooth_field=0.0) if null else BoldSettings()


def uncorrelated(_visit: Visit, _settings: BoldSettings) -> bold.Array:
    return np.eye(len(bold.SOURCES))


def one_visit(number: int, plan: Plan) -> tuple[list[TruthRow], pd.DataFrame, tuple[float, float]]:
    """Return planted values, rows and the CPU seconds of simulation and step of one person."""
    from threadpoolctl import threadpool_limits

    if plan.null:
        bold.latent_correlation = bold_truth.latent_correlation = uncorrelated
    visit = Visit(person(number, seed=plan.seed, effect=1.0), 0, plan.seed)
    with tempfile.TemporaryDirectory() as temporary, threadpool_limits(1):
        root = Path(temporary)
        study = Study(root=root, voxel_mm=plan.voxel_mm, bold=bold_settings(null=plan.null))
        study.fmriprep.mkdir(parents=True)
        start = time.process_time()
        truth = write_imaging(study, visit)
        made = time.process_time()
        rows = measured(root, visit, plan.settings)
        shutil.rmtree(study.raw)
        return (
            [row for row in truth if row["marker"] in set(rows["marker"])],
            rows,
            (
                made - start,
                time.process_time() - made,
            ),
        )


def measured(root: Path, visit: Visit, settings: dict[str, Any]) -> pd.DataFrame:
    """Return the rows of the functional step."""
    from lbpneuro.steps.functional import main as step

    folder = root / "fmriprep" / visit.folder
    files = sorted(folder.glob("func/*space-*")) + sorted(folder.glob("func/*_timeseries.tsv"))
    files += sorted(folder.glob("anat/*_space-*_label-*_probseg.nii.gz"))
    files = [file for file in files if file.suffix != ".json" and "boldref" not in file.name]
    fmriprep = {"fmriprep": str(root / "fmriprep")}
    dataset = {"bids_dir": str(root / "raw"), "out_dir": str(root / "out"), "derivatives": fmriprep}
    config = merge(read_config(), {"functional": settings})
    config["dataset"] = {**config["dataset"], **dataset}
    config["functional"]["rois"] = str(workflow_folder() / "config" / "rois.tsv")
    (root / "config.json").write_text(json.dumps(config))
    rows = root / "out" / visit.folder / "func" / f"{visit.prefix}_desc-functional_markers.tsv"
    arguments = ["--out", str(rows), "--config", str(root / "config.json"), "--participant", visit.participant_id]
    if step(["--in", *map(str, files), *arguments]):
        raise RuntimeError(visit.prefix)
    return read_tsv(rows)


def compared(truth: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per marker and level."""
    levels = [column for column in LEVELS if column in rows]
    rows = rows[rows["marker"].isin(truth["marker"])].copy()
    for table in (truth, rows):
        for column in levels:
            table[column] = table[column].fillna("n/a") if column in table else "n/a"
    keys = ["participant_id", "marker", *levels]
    both = truth.rename(columns={"value": "truth"})[[*keys, "truth"]].merge(
        rows[[*keys, "value", "se", "ci_low", "ci_high", "status"]], on=keys, how="left", validate="one_to_one"
    )
    return agreements(both, ["marker", *levels])


def agreements(both: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return one line per combination of ``keys``, from truth, estimate and interval in every row."""
    lines = []
    for level, group in both.groupby(keys, sort=False):
        name = "_".join(part for part in level if part not in ("n/a", ""))
        found = agreement(group)
        lines.append({"marker": name, "truth": group["truth"].mean(), **found, "se": group["se"].mean()})
    table = pd.DataFrame(lines)
    table["not_zero"] = shares_without_zero(both, keys)
    table["mc_error"] = table["rmse"] / table["se"] / np.sqrt(table["n"])
    return table


def shares_without_zero(both: pd.DataFrame, keys: list[str]) -> list[float]:
    """Return the share of the known intervals without 0 of every marker and level, NaN if none is known."""
    known = both.assign(found=((both["ci_low"] > 0) | (both["ci_high"] < 0)).where(both["ci_low"].notna()))
    return [float(group["found"].astype(float).mean()) for _, group in known.groupby(keys, sort=False)]


def cohort(given: argparse.Namespace) -> pd.DataFrame:
    """Return one line per marker and level of a simulated cohort; ``given`` are the options of the command."""
    settings = {key: json.loads(value) for key, _, value in (one.partition("=") for one in given.set)}
    plan = Plan(seed=given.seed, voxel_mm=given.mm, null=given.null, settings=settings)
    numbers = range(1, given.n + 1)
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(one_visit, numbers, [plan] * len(numbers)))
    truth = pd.DataFrame([row for planted, _, _ in found for row in planted])
    rows = pd.concat([table for _, table, _ in found], ignore_index=True)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        for name, table in (("truth", truth), ("rows", rows)):
            table.to_csv(given.out / f"{name}.tsv", sep="\t", index=False, na_rep="n/a")
    print("median CPU seconds of simulation and step:", np.median([seconds for *_, seconds in found], axis=0))
    return compared(truth, rows)


def study(given: argparse.Namespace) -> pd.DataFrame:
    """Return the lines of the study that was asked for."""
    if given.study == "cohort":
        return cohort(given)
    if given.study == "arrays":
        both, censored = recovery_series.arrays(given.n, seed=given.seed)
        low, middle, high = np.percentile(censored, [0, 50, 100])
        print(f"censored volumes: {low:.1%} to {high:.1%}, median {middle:.1%}")
        return agreements(both, ["marker", "level"])
    both = recovery_series.sessions(given.n, seed=given.seed, null=given.null)
    each = agreements(both, ["marker", "level"])
    return pd.concat([agreements(both, ["marker"]), each], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", choices=SIZES, default="cohort")
    parser.add_argument("--n", type=int, help="runs, sessions or people; by default " + str(SIZES))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--mm", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--null", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="settings of `functional`")
    parser.add_argument("--out", type=Path, help="folder of truth.tsv and rows.tsv of a cohort")
    given = parser.parse_args()
    given.n = given.n or SIZES[given.study]
    print(study(given).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
