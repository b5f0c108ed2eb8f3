"""Settings: read, merge over the defaults, and refuse what the schema does not know."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import ConfigError
from lbpneuro.io.files import read_json
from lbpneuro.io.resources import config_schema, default_config, workflow_folder

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Config = dict[str, Any]


def read_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the defaults, with the settings of the YAML file ``path`` and then ``overrides`` laid over them.

    Raises
    ------
    ConfigError
        If the file is no YAML mapping, or a key or value is not in the schema.
    """
    merged = _read_yaml(default_config())
    if path:
        merged = merge(merged, _read_yaml(path))
        validate(merged, origin=str(path))
    merged = merge(merged, overrides or {})
    validate(merged, origin="settings of this run")
    return merged


def merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> Config:
    """Return ``base`` with ``layer`` laid over it, section by section; lists and tables of names are replaced."""
    both = dict(base)
    for key, value in layer.items():
        nested = isinstance(value, Mapping) and isinstance(base.get(key), Mapping) and key not in REPLACED
        both[key] = merge(base[key], value) if nested else value
    return both


REPLACED = ("derivatives", "filters", "atlases", "edges", "confounds_custom")
"""Sections whose keys are the user's own names: a new one replaces the old one."""


def _read_yaml(path: Path) -> Config:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file of settings, but {error}.") from error
    if content is None:  # an empty file, or nothing but comments
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected sections of settings, found {type(content).__name__}.")
    return content


def validate(config: Mapping[str, Any], *, origin: str) -> None:
    """Raise ConfigError for the first setting that the schema refuses; ``origin`` names the file in the message."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(read_json(config_schema()))
    problems = sorted(validator.iter_errors(config), key=lambda problem: list(map(str, problem.absolute_path)))
    if problems:
        raise ConfigError("\n".join(f"{origin}: {explain(problem)}" for problem in problems))


def explain(problem: ValidationError) -> str:
    """Return one sentence for a schema error: the key, what was found, what is allowed, the nearest valid key."""
    where = ".".join(map(str, problem.absolute_path))
    if problem.validator == "additionalProperties" and isinstance(problem.instance, Mapping):
        return _unknown_keys(where, problem)
    description = problem.schema.get("description", "") if isinstance(problem.schema, Mapping) else ""
    allowed = f" Allowed: {json.dumps(problem.validator_value)}." if problem.validator in ("enum", "type") else ""
    return f"setting `{where}`: {problem.message}.{allowed} {description}".strip()


def _known_keys(problem: ValidationError) -> list[str]:
    return sorted(problem.schema["properties"]) if isinstance(problem.schema, Mapping) else []


def _unknown_keys(where: str, problem: ValidationError) -> str:
    known = _known_keys(problem)
    given: Any = problem.instance
    sentences = []
    for key in sorted(set(map(str, given)) - set(known)):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        name = f"{where}.{key}" if where else key
        sentences.append(f"unknown setting `{name}`.{hint} Allowed here: {', '.join(known)}.")
    return " ".join(sentences)


def resolve(config: Mapping[str, Any]) -> Config:
    """Return ``config`` with absolute paths, so that it means the same in every folder.

    Raises
    ------
    ConfigError
        If a file that the settings name is not there, or a name that must exist (:mod:`lbpneuro.io.setting_names`).
    """
    from lbpneuro.io.setting_names import check_names

    dataset = dict(config["dataset"])
    for key in ("bids_dir", "out_dir", "work_dir"):
        dataset[key] = str(Path(dataset[key]).absolute())
    dataset["derivatives"] = {name: str(Path(path).absolute()) for name, path in dataset["derivatives"].items()}
    functional = {
        **config["functional"],
        "rois": str(_shipped(Path(config["functional"]["rois"]))),
        "atlases": {name: _atlas_files(name, entry) for name, entry in config["functional"]["atlases"].items()},
    }
    states = config["dynamic"]["states"]
    if states and not Path(states).is_file():
        raise ConfigError(
            f"setting `dynamic.states`: {states} is not there; give the path of a desc-dynamic_states.tsv."
        )
    dynamic = {**config["dynamic"], "states": str(Path(states).absolute()) if states else None}
    structural = {
        **config["structural"],
        "gm_maps": _map_files(config["structural"]["gm_maps"]),
        "reference": _reference_file(config, "structural"),
    }
    sensory = {**config["sensory"], "reference": _reference_file(config, "sensory")}
    resolved = {
        **config,
        "dataset": dataset,
        "functional": functional,
        "dynamic": dynamic,
        "structural": structural,
        "sensory": sensory,
    }
    check_names(resolved)
    way = functional["template_transform"]
    functional["template_transform"] = str(Path(way).absolute()) if way else None
    return resolved


def _atlas_files(name: str, entry: Mapping[str, str | None]) -> dict[str, str | None]:
    """Absolute paths of the files of a user's atlas; ConfigError if one is not there."""
    for key, path in entry.items():
        if path and not Path(path).is_file():
            raise ConfigError(f"setting `functional.atlases.{name}.{key}`: there is no file {path}; check the path.")
    return {key: str(Path(path).absolute()) if path else None for key, path in entry.items()}


def source_status(section: str) -> dict[str, str]:
    """Return per setting of a section how far its default is verified: verified, unverified or design."""
    return dict(_status(read_json(config_schema())["properties"][section]["properties"]))


def _status(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, entry in properties.items():
        if "properties" in entry:
            yield from _status(entry["properties"], f"{path}{name}.")
        else:
            yield f"{path}{name}", entry.get("evidence", "design")


def _reference_file(config: Mapping[str, Any], section: str) -> str | None:
    """Absolute path of the table of a reference cohort; ConfigError if it is not there."""
    path = config[section]["reference"]
    if path and not Path(path).is_file():
        raise ConfigError(f"setting `{section}.reference`: there is no file {path}; `lbpneuro reference` writes one.")
    return str(Path(path).absolute()) if path else None


def _map_files(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Absolute paths of the user's gray-matter maps; ConfigError if their table is not there."""
    table, pattern = entry["tiv_file"], entry["pattern"]
    if table and not Path(table).is_file():
        raise ConfigError(f"setting `structural.gm_maps.tiv_file`: there is no file {table}; check the path.")
    absolute = {
        key: str(Path(path).absolute()) if path else None for key, path in (("tiv_file", table), ("pattern", pattern))
    }
    return {**entry, **absolute}


def _shipped(path: Path) -> Path:
    """A file of the user's, or else the one of that name that comes with lbpneuro."""
    return path.absolute() if path.exists() else workflow_folder() / path


def config_hash(section: Any) -> str:
    """Return a short digest of settings: equal settings, equal digest."""
    return hashlib.sha256(json.dumps(section, sort_keys=True).encode()).hexdigest()[:12]
