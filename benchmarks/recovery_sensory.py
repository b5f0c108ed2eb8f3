"""How well planted sensory tests are recovered from their trials.

``python -m benchmarks.recovery_sensory [--n 400] [--seed 5]``

Every person is simulated (``lbpneuro simulate`` uses the same functions), the trials go through the arrays of the step,
and every marker is compared with what was planted: bias over the mean standard error, coverage of the 95 % intervals,
correlation with the truth, and the share of bounds of censored thresholds that hold. Errors of the mean over people:
``naive`` if thresholds at a limit are taken as values, ``left_out`` without them, ``tobit`` by maximum likelihood.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

from lbpneuro.io.config import read_config
from lbpneuro.io.psychophysics import LOWEST, Trials
from lbpneuro.io.sensory import sensory_data
from lbpneuro.io.trial_schemas import columns
from lbpneuro.kernels.censored import tobit
from lbpneuro.markers.descriptor import evaluate
from lbpneuro.registry import family
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.recovery import agreement
from lbpneuro.simulate.sensory import SensorySettings, sensory_truth
from lbpneuro.simulate.sensory_files import TABLES, sidecar

SETTINGS = SensorySettings()
NUMBERS = ("value", "se", "ci_low", "ci_high", "status")


def trials(task: str, visit: Visit) -> Trials:
    """The trials as the reader returns them, without the detour over a file."""
    known = columns(task)
    table = TABLES[task](visit, SETTINGS)
    absent = {name: np.nan for name in (*known, LOWEST) if name not in table}
    table = table.assign(**absent, file_run=1)
    if task in ("ppt", "cpm"):
        table["tolerance_max"] = np.where(table.get("test_stimulus", "ppt") == "ppt", SETTINGS.ppt_maximum_kpa, np.nan)
    return Trials(task=task, table=table, metadata=sidecar(task, SETTINGS))


def person_rows(number: int, *, seed: int, config: dict[str, Any]) -> list[dict[str, Any]]:
    visit = Visit(person(number, seed=seed, effect=1.0), 0, seed)
    data = sensory_data({task: trials(task, visit) for task in TABLES}, config["sensory"])
    markers = {marker.name: marker for marker in family("sensory")}
    planted = sensory_truth(visit, SETTINGS)
    found = {name: evaluate(markers[name], data, config) for name in {row["marker"] for row in planted}}
    rows = []
    for row in planted:
        level = tuple(row[column] for column in markers[row["marker"]].index)
        estimate = found[row["marker"]][level]
        numbers = {name: getattr(estimate, name) for name in NUMBERS}
        rows.append({"marker": row["marker"], "level": " ".join(level), "truth": row["value"], **numbers})
    return rows


def bounds(rows: pd.DataFrame) -> dict[str, float]:
    """How many thresholds are censored, how many of their bounds hold, and three ways to the mean over people."""
    censored = rows["value"].isna() & (np.isfinite(rows["ci_low"]) | np.isfinite(rows["ci_high"]))
    if censored.sum() < 3:
        return {"censored": int(censored.sum())}
    low, high = (rows[f"ci_{side}"].where(censored, rows["value"]) for side in ("low", "high"))
    known = np.isfinite(low) | np.isfinite(high)
    limited = rows["value"].fillna(low.where(np.isfinite(low), high))[known]
    truth = rows["truth"][known]
    fitted = tobit(low[known].to_numpy(), high[known].to_numpy(), design=np.ones((int(known.sum()), 1)))
    holds = (low <= rows["truth"]) & (rows["truth"] <= high)
    return {
        "censored": int(censored.sum()),
        "bounds_hold": float(holds[censored].mean()),
        "naive": float(limited.mean() - truth.mean()),
        "left_out": float(rows["value"].mean() - truth.mean()),
        "tobit": float(fitted.coefficients[0] - truth.mean()),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--n", type=int, default=400)
    options.add_argument("--seed", type=int, default=5)
    given = options.parse_args()
    config = read_config()
    rows = [row for i in range(1, given.n + 1) for row in person_rows(i, seed=given.seed, config=config)]
    table = pd.DataFrame(rows)
    found = [
        {"marker": marker, "level": level, **agreement(group), **bounds(group)}
        for (marker, level), group in table.groupby(["marker", "level"], sort=False)
    ]
    print(pd.DataFrame(found).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
