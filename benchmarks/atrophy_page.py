"""Page and figure of the recovery of planted changes."""

from __future__ import annotations

from pathlib import Path


def write(results: Path, *, root: Path) -> None:
    raise SystemExit(f"{results}, {root}")
