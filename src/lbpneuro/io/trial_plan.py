"""The analysis plan of a trial: a small YAML file, the options of the command line laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbpneuro.errors import ConfigError
from lbpneuro.io.files import read_json
from lbpneuro.io.resources import config_schema

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
    plan = {**DEFAULTS, **_read(path), **told}
    absent = [f"{key} ({option})" for key, option in NEEDED.items() if not plan.get(key)]
    if absent:
        raise ConfigError(f"a trial needs {', '.join(absent)}; give the option, or write it into the plan (--plan).")
    named = {str(key): dict(value or {}) for key, value in plan["outcomes"].items()}
    return {**plan, "control": str(plan["control"]), "sessions": list(map(str, plan["sessions"])), "outcomes": named}


def _read(path: Path | None) -> dict[str, Any]:
    import yaml

    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file, but {error}.") from error
    check_against(content, config_schema().with_name("trial.schema.json"), origin=path)
    return dict(content)


def check_against(content: Any, schema: Path, *, origin: Path) -> None:
    """Raise ConfigError unless ``content`` follows a JSON schema, naming the place and what is allowed there."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(read_json(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is None:
        return
    where = ".".join(map(str, error.absolute_path)) or "the top level"
    known = error.schema.get("properties") if isinstance(error.schema, dict) else None
    allowed = f" Allowed: {', '.join(known)}." if known and error.validator == "additionalProperties" else ""
    raise ConfigError(f"{origin}, {where}: {error.message}.{allowed}")
