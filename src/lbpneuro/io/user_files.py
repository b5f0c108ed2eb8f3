"""YAML files that a user writes beside the settings (a mapping, a plan): read, and refused in a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.errors import ConfigError
from lbpneuro.io.files import read_json
from lbpneuro.io.resources import config_schema

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

KINDS = {
    dict: ("object", "keys with their values"),
    list: ("array", "a list"),
    bool: ("boolean", "true or false"),
    str: ("string", "text"),
    int: ("integer", "a whole number"),
    float: ("number", "a number"),
}
"""What YAML gives, as JSON Schema and a person name it."""
SHOWN = 60


def read_user_yaml(path: Path, schema: str) -> dict[str, Any]:
    """Return the content of a YAML file that follows ``workflow/schemas/<schema>``.

    Raises
    ------
    ConfigError
        If it is no YAML, or of another form; with the place, what was expected and found, and an example.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file, but {error}.") from error
    _check(content, read_json(config_schema().with_name(schema)), path)
    return dict(content)


def _check(content: Any, schema: Mapping[str, Any], path: Path) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(content))
    if error is None:
        return
    parts = [f"entry {part + 1}" if isinstance(part, int) else part for part in error.absolute_path]
    section = schema["properties"].get(error.absolute_path[0], {}) if parts else schema
    shown = f" For example: {section['examples'][0]}" if "examples" in section else ""
    raise ConfigError(f"{path}{''.join(f', {part}' for part in parts)}: {_sentence(error)}{shown}")


def _sentence(error: ValidationError) -> str:
    """Return what is wrong in words, and what the entry is for."""
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    return f"{_wrong(error, schema)} {schema.get('description', '')}".strip()


def _wrong(error: ValidationError, schema: Mapping[str, Any]) -> str:
    found: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "type":
        return f"expected {_kinds(rule)}, found {_shown(found)}."
    if error.validator == "additionalProperties" and isinstance(found, Mapping):
        return _unknown(found, list(schema.get("properties", {})))
    if error.validator == "required":
        absent = [name for name in rule if name not in found]
        return f"{', '.join(absent)} is absent."
    if error.validator == "oneOf" and all("required" in each for each in rule):
        choices = [name for each in rule for name in each["required"]]
        given = [name for name in choices if name in found]
        return f"give one of {', '.join(choices)}; found {' and '.join(given) or 'none'}."
    if error.validator == "enum":
        return f"expected one of {', '.join(map(str, rule))}, found {_shown(found)}."
    if error.validator in ("minItems", "minProperties"):
        return f"expected at least {rule}, found {len(found)}."
    return "" if error.validator == "not" else f"{error.message}."  # of `not` the description says it


def _kinds(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    words = dict(KINDS.values())
    return " or ".join(words.get(name, "nothing") for name in names)


def _shown(found: Any) -> str:
    if found is None:
        return "nothing"
    text = str(found)
    said = text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
    return f"{KINDS[type(found)][1]} ({said})" if type(found) in KINDS else said


def _unknown(found: Mapping[str, Any], known: list[str]) -> str:
    sentences = []
    for key in sorted(set(map(str, found)) - set(known)):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        sentences.append(f"there is no key {key!r}.{hint}")
    return f"{' '.join(sentences)} Allowed: {', '.join(known)}."
