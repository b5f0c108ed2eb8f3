"""The index of a study: which files there are, told by their BIDS names alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError

Row = dict[str, Any]


def entities(path: str | Path) -> dict[str, str]:
    """Return what the name of a BIDS file says: entities by short key, and ``datatype``, ``suffix`` and ``ext``."""
    import bids2table

    return {key: str(value) for key, value in bids2table.parse_bids_entities(path).items() if value is not None}


def tree_signature(roots: Iterable[Path]) -> str:
    """Return a digest of the folders below ``roots``; it changes when a file is added, removed or renamed.

    Only the folders of participants are looked at (their time stamps change with their entries), so that a study of
    thousands of files is checked in milliseconds, and results written into ``derivatives/`` do not count.
    """
    digest = hashlib.sha256()
    for root in roots:
        participants = sorted(path for path in root.glob("sub-*") if path.is_dir())
        for folder in (folder for participant in participants for folder in _folders(participant)):
            digest.update(f"{folder}\0{folder.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _folders(root: Path) -> Iterator[Path]:
    yield root
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=True))
    for name in names:
        if not name.startswith("."):
            yield from _folders(root / name)


def index_dataset(root: Path, *, dataset: str) -> list[Row]:
    """Return one row per file of the participants in the BIDS dataset ``root``, sorted by path.

    A row has the entities by short key, ``datatype``, ``suffix``, ``ext``, ``dataset``, ``path`` (absolute) and
    ``exists``, which is False for a link whose target is not there (an annexed file that was not fetched).

    Raises
    ------
    InputError
        If ``root`` is no folder.
    """
    import bids2table

    if not root.is_dir():
        raise InputError(f"{root}: the dataset {dataset!r} is not a folder; check the path.")
    if not subject_folders(root):
        return []
    table = bids2table.index_dataset(root) if _has_description(root) else None
    names = table.column("path").to_pylist() if table is not None else _subject_files(root)
    paths = sorted(root / name for name in names)
    return [{**entities(path), "dataset": dataset, "path": str(path), "exists": path.exists()} for path in paths]


def index_root(root: Path, *, suffixes: Collection[str]) -> list[Row]:
    """Return the tables of some suffixes at the root of the raw dataset, which all participants inherit, as rows."""
    names = sorted(entry.name for entry in os.scandir(root) if entry.name.endswith(".tsv") and entry.is_file())
    tables = [root / name for name in names if name.removesuffix(".tsv").rsplit("_", 1)[-1] in suffixes]
    return [{**entities(path), "dataset": "raw", "path": str(path), "exists": True} for path in tables]


def _has_description(root: Path) -> bool:
    return (root / "dataset_description.json").is_file()


def _subject_files(root: Path) -> list[str]:
    """Files of a tree without dataset_description.json, which the indexing library does not take for a dataset."""
    found = (path for path in root.glob("sub-*/**/*") if path.is_symlink() or path.is_file())
    return [str(path.relative_to(root)) for path in found]


def matches(row: Mapping[str, Any], **wanted: str | None) -> bool:
    """Return whether a row has all the entities ``wanted``; None asks that the entity be absent."""
    return all(row.get(key) == value for key, value in wanted.items())


def subject_folders(root: Path) -> list[str]:
    """Return the labels of the participant folders of a dataset, sorted, without ``sub-``."""
    return sorted(path.name.removeprefix("sub-") for path in root.glob("sub-*") if path.is_dir())
