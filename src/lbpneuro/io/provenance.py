"""Where results came from: versions, checksums, BIDS URIs, dataset descriptions, methods text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

SOFTWARE = ("lbpneuro", "numpy", "scipy", "pandas", "nibabel", "nilearn", "mne", "antspyx", "snakemake")
TRAILER_BYTES = 8


def software_versions(names: Iterable[str] = SOFTWARE) -> dict[str, str]:
    """Return the installed version of each package in ``names``."""
    return {name: version(name) for name in names}


def checksum(path: Path) -> str:
    """Return a checksum of a file's content.

    For .gz files this is the CRC-32 and length (modulo 2**32) of the uncompressed content that gzip keeps in its
    last bytes and that reading verifies, so that a large image is not read a second time; for all others SHA-256.
    """
    if path.suffix == ".gz":
        with path.open("rb") as stream:
            stream.seek(-min(TRAILER_BYTES, path.stat().st_size), 2)
            trailer = stream.read()
        return f"crc32:{trailer[:4][::-1].hex()} length:{int.from_bytes(trailer[4:], 'little')}"
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def dataset_roots(config: Mapping[str, Any]) -> dict[str, Path]:
    """Return the folder of every dataset by the name it has in BIDS URIs; the output itself has the empty name."""
    dataset = config["dataset"]
    derivatives = {name: Path(path) for name, path in dataset["derivatives"].items()}
    return {"": Path(dataset["out_dir"]), **derivatives, "raw": Path(dataset["bids_dir"])}


def bids_uri(path: Path, roots: Mapping[str, Path]) -> str:
    """Return ``bids:<dataset>:<path in it>``; a file outside all datasets keeps only its name."""
    for name, root in roots.items():
        if path.is_relative_to(root):
            return f"bids:{name}:{path.relative_to(root).as_posix()}"
    return path.name


def source_name(paths: Sequence[Path], roots: Mapping[str, Path]) -> str:
    """Return the names of the datasets that hold ``paths``, joined; what lbpneuro made itself came from raw data."""
    uris = (bids_uri(path, roots) for path in paths)
    return "+".join(sorted({uri.split(":")[1] or "raw" for uri in uris if uri.startswith("bids:")}))
