"""JSON sidecars of BIDS files, with inheritance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbpneuro.errors import InputError


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a BIDS file, nearer sidecars over farther ones (BIDS inheritance principle).

    A file without any sidecar gives an empty dictionary.

    Raises
    ------
    InputError
        If a sidecar is no valid JSON.
    """
    import bids2table

    try:
        return dict(bids2table.load_bids_metadata(path))
    except ValueError as error:
        raise InputError(f"{path}: a JSON sidecar of this file cannot be read: {error}.") from error
    except FileNotFoundError:
        return {}
