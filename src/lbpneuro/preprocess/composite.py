"""ITK composite transforms (.h5) whose bytes do not tell when and on which system they were written."""

from __future__ import annotations

from pathlib import Path

from lbpneuro.io.composites import read_composite, write_composite


def keep_transform(source: Path, destination: Path) -> None:
    """Copy a composite transform that ITK wrote; equal transforms give equal bytes."""
    write_composite(destination, read_composite(source))
