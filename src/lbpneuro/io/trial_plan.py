"""The analysis plan of a trial: a small YAML file, the options of the command line laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbpneuro.errors import ConfigError
from lbpneuro.io.user_files import read_user_yaml

DEFAULTS: Mapping[str, Any] = {
    "sessions": [],
    "covariates": [],
    "interval": "noncentral_t",
    "level": 0.95,
    "resamples": 2000,
    "seed": 1,
}
NEEDED = {"arm": "--arm COLUMN", "control": "--control LEVEL", "outcomes": "--outcome NAME"}


def read_trial_plan(path: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan with nothing left open: defaults, the file, and what was ``given``, the later one counts.

    Raises
    ------
    ConfigError
        If the file is no YAML mapping, a key is unknown or has another form, or arm, control or outcomes are absent.
    """
    told = {key: value for key, value in given.items() if value not in (None, [], {})}
    written = read_user_yaml(path, "trial.schema.json") if path else {}
    plan = {**DEFAULTS, **written, **told}
    absent = [f"{key} ({option})" for key, option in NEEDED.items() if not plan.get(key)]
    if absent:
        raise ConfigError(f"a trial needs {', '.join(absent)}; give the option, or write it into the plan (--plan).")
    named = {str(key): dict(value or {}) for key, value in plan["outcomes"].items()}
    return {**plan, "control": str(plan["control"]), "sessions": list(map(str, plan["sessions"])), "outcomes": named}
