"""What the steps wrote into their sidecars, as plain lines of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FRAME = {
    "Description",
    "Family",
    "Source",
    "Method",
    "Sources",
    "Outputs",
    "Settings",
    "SoftwareVersions",
    "Error",
    "Absent",
}
"""Keys that every sidecar has; they are shown in the methods."""

MOST_ITEMS = 12


def recorded(sidecar: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a step recorded beyond the frame, as (name, text) with nested names joined by a point."""
    extra = {key: value for key, value in sidecar.items() if key not in FRAME}
    return [(name, text) for name, text in _flat(extra) if text]


def settings(sidecar: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings a step used, as (name, text); paths are left out."""
    return [(name, text) for name, text in _flat(sidecar.get("Settings", {})) if "/" not in text]


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, prefix=f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", as_text(value)


def as_text(value: Any) -> str:
    """Return a value of a sidecar as text: lists joined and shortened, numbers with six significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        texts = [as_text(item) for item in value[:MOST_ITEMS]]
        more = f" and {len(value) - MOST_ITEMS} more" if len(value) > MOST_ITEMS else ""
        return ", ".join(texts) + more
    return str(value)
