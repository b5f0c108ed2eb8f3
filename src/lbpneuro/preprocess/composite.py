"""ITK composite transforms (.h5) whose bytes do not tell when and on which system they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbpneuro.io.files import atomic

SYSTEM = ("OSName", "OSVersion")
UNKNOWN = "n/a"


def keep_transform(source: Path, destination: Path) -> None:
    """Copy a composite transform; equal transforms give equal bytes.

    ITK stamps times and the name of the system into the file; the copy holds the same transform without them.
    """
    import h5py

    with (
        h5py.File(source, "r") as old,
        atomic(destination) as temporary,
        h5py.File(temporary, "w", libver="earliest") as new,
    ):
        names: list[str] = []
        old.visit(names.append)
        for name in sorted(names):
            if isinstance(old[name], h5py.Dataset):
                _copy(old[name], new, name=name)


def _copy(dataset: Any, file: Any, *, name: str) -> None:
    """Copy a dataset to ``file`` as ``name``; long ones are packed."""
    values = [UNKNOWN] if name in SYSTEM else dataset[()]
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if dataset.size > 100 else {}
    file.create_dataset(name, data=values, dtype=dataset.dtype, **packing)
