"""JSON sidecars of BIDS files, with inheritance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbpneuro.io.files import read_json
from lbpneuro.io.index import entities

NOT_ENTITIES = ("datatype", "suffix", "ext")


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a BIDS file, nearer sidecars over farther ones (BIDS inheritance principle).

    A sidecar belongs to a file if it has its suffix and no entity that the file has not. A file without any sidecar
    gives an empty dictionary. The indexing library's own reader is not used, since it passes over a sidecar that is no
    valid JSON without a word, and does not see one written after its first look into a folder.

    Raises
    ------
    InputError
        If a sidecar is no valid JSON.
    """
    metadata: dict[str, Any] = {}
    for sidecar in reversed(list(sidecars(path))):
        metadata |= read_json(sidecar)
    return metadata


def sidecars(path: Path, *, suffix: str | None = None) -> Iterator[Path]:
    """Yield the sidecars of a file, the nearest and most specific first, up to the root of its dataset.

    With ``suffix`` yield JSON files of another suffix that belong to the file, as ``coordsystem`` to positions.
    """
    own = {**entities(path), **({"suffix": suffix} if suffix else {})}
    for folder in path.absolute().parents:
        found = [each for each in folder.glob(f"*{own.get('suffix', '')}.json") if _applies(entities(each), own)]
        yield from sorted(found, key=lambda each: len(entities(each)), reverse=True)
        if (folder / "dataset_description.json").is_file() or not _inside_subject(folder):
            return


def _applies(sidecar: dict[str, str], own: dict[str, str]) -> bool:
    shared = {key: value for key, value in sidecar.items() if key not in NOT_ENTITIES}
    return sidecar.get("suffix") == own.get("suffix") and shared.items() <= own.items()


def _inside_subject(folder: Path) -> bool:
    return any(part.startswith("sub-") for part in folder.parts)
