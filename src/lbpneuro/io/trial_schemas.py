"""The contract of the trial tables: one JSON schema per task, which reader, importer and documentation share.

A schema describes ``{"sidecar": ..., "trials": [...]}``. Beside the words of JSON Schema it has some of our own: of the
table ``task``, ``unique`` (columns that tell one trial from another) and ``order`` (a block that must come first); of a
column ``unit``, ``levels`` (the meaning of every entry) and ``rating`` (on the scale that the sidecar declares).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lbpneuro.io.files import read_json
from lbpneuro.io.resources import trial_schemas

Schema = dict[str, Any]

TASKS = ("ppt", "cpt", "tsp", "cpm", "tpd", "graph", "loc", "laterality")


def schema_path(task: str) -> Path:
    """Return the file of the schema of a task."""
    return trial_schemas() / f"task-{task}.schema.json"


@cache
def schema(task: str) -> Schema:
    """Return the schema of a task with what it takes from the shared file put in its place; not to be changed."""
    shared = read_json(trial_schemas() / "shared.schema.json")["$defs"]
    whole: Schema = _resolved(read_json(schema_path(task)), shared)
    return whole


def _resolved(node: Any, shared: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(each, shared) for each in node]
    if not isinstance(node, dict):
        return node
    own = {key: _resolved(value, shared) for key, value in node.items() if key != "$ref"}
    return {**shared[node["$ref"].rsplit("/", 1)[1]], **own} if "$ref" in node else own


def columns(task: str) -> dict[str, Schema]:
    """Return the columns of a task by name, in their order; those of a numbered series (r1, r2 ...) are not among."""
    found: dict[str, Schema] = _rows(task)["properties"]
    return found


def sidecar_fields(task: str) -> dict[str, Schema]:
    """Return the fields of the sidecar of a task by name."""
    found: dict[str, Schema] = schema(task)["properties"]["sidecar"]["properties"]
    return found


def column_schema(task: str, column: str) -> Schema | None:
    """Return what the contract says of a column, also of one of a numbered series; None if it does not know it."""
    series = _rows(task).get("patternProperties", {}).items()
    return columns(task).get(column) or next((each for name, each in series if re.search(name, column)), None)


def required(task: str) -> list[str]:
    """Return the columns that every table of the task must have."""
    found: list[str] = _rows(task)["required"]
    return found


def alternatives(task: str) -> list[list[str]]:
    """Return the sets of columns of which a table must have one; none if all is said by :func:`required`."""
    return [choice["required"] for choice in _rows(task).get("anyOf", [])]


def _rows(task: str) -> Schema:
    found: Schema = schema(task)["properties"]["trials"]["items"]
    return found
