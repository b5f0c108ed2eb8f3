"""The order of the pages: sections, their figures and captions, read from ``spec.yaml`` and checked."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbpneuro.errors import ConfigError
from lbpneuro.registry import FAMILIES

SPEC = Path(__file__).with_name("spec.yaml")

_TEXT = {"type": "string", "minLength": 1}
_FIGURE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "title", "caption", "alt"],
    "properties": {"name": _TEXT, "title": _TEXT, "caption": _TEXT, "alt": _TEXT, "first": {"type": "boolean"}},
}
_SECTION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "content"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        "title": _TEXT,
        "family": {"enum": sorted(FAMILIES)},
        "content": _TEXT,
        "needs": _TEXT,
        "figures": {"type": "array", "items": _FIGURE},
    },
    "oneOf": [{"required": ["title"]}, {"required": ["family"]}],
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["participant", "group"],
    "properties": {page: {"type": "array", "items": _SECTION, "minItems": 1} for page in ("participant", "group")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSpec:
    """What a figure is called and how it is explained; ``name`` is that of the function that draws it.

    ``first``: it stands before the content of its section.
    """

    name: str
    title: str
    caption: str
    alt: str
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of a page; it is left out where the content of the name ``needs`` is empty."""

    id: str
    title: str
    content: str
    family: str | None
    figures: tuple[FigureSpec, ...]
    needs: str | None = None


def read_spec(page: str, *, figures: Collection[str], path: Path = SPEC) -> tuple[Section, ...]:
    """Return the sections of a page (``participant`` or ``group``) in their order.

    ``figures`` are the names of the figures that can be drawn.

    Raises
    ------
    ConfigError
        If the file has another form, names a figure that nobody draws, or uses a section id twice.
    """
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check(content, path)
    sections = tuple(_section(entry) for entry in content[page])
    ids = [section.id for section in sections]
    if len(set(ids)) < len(ids):
        raise ConfigError(f"{path.name}: section ids of the {page} page must differ; got {', '.join(ids)}.")
    for section in sections:
        _check_figures(section, figures, origin=path.name)
    return sections


def _check(content: Any, path: Path) -> None:
    import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(content))
    if error is not None:
        where = "/".join(map(str, error.absolute_path)) or "top level"
        raise ConfigError(f"{path.name}, {where}: {error.message}.")


def _section(entry: Mapping[str, Any]) -> Section:
    family = entry.get("family")
    return Section(
        id=entry["id"],
        title=FAMILIES[family] if family else entry["title"],
        content=entry["content"],
        needs=entry.get("needs"),
        family=family,
        figures=tuple(FigureSpec(**figure) for figure in entry.get("figures", [])),
    )


def _check_figures(section: Section, figures: Collection[str], *, origin: str) -> None:
    for figure in section.figures:
        if figure.name not in figures:
            near = difflib.get_close_matches(figure.name, figures, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"{origin}, section {section.id!r}: unknown figure {figure.name!r}.{hint} "
                f"Known: {', '.join(sorted(figures))}."
            )
